//! Punches through real NATs, coordinated by a third node.

use std::path::Path;

use libtest_mimic::Trial;
use punchdeck::lab::drill::{Runner, Scenario};
use punchdeck::lab::{LabArena, Topology, Unsupported, Userns};
use tokio_util::sync::CancellationToken;

use super::support::{ignored, trial};

const NAME: &str = "test_punch_success_via_coordination";

/// Ids are random, so which end opens the control stream differs from pair to
/// pair; each pair of types is tried both ways.
const PAIRS: &str = r#"
    about = "punches"
    fleet = {}
    [[steps]]
    do = "matrix"
    pairs = [
        ["address-restricted", "port-restricted"],
        ["port-restricted", "address-restricted"],
        ["none", "symmetric"],
        ["symmetric", "address-restricted"],
        ["address-restricted", "symmetric"],
    ]
    [[checks]]
    name = "connected"
    value = "connected"
    min = 5.0
    unit = "count"
"#;

pub fn trials(userns: Result<&Userns, &Unsupported>) -> Vec<Trial> {
    vec![match userns.cloned() {
        Ok(userns) => trial(NAME, move || async move { punches(&userns).await }),
        Err(why) => ignored(NAME, &why.to_string()),
    }]
}

async fn punches(userns: &Userns) {
    let drill = Scenario::parse("punches", "punches.toml", PAIRS).unwrap();
    // Three public nodes and nobody else.
    let topology = Topology::built_in("default").unwrap().without_latency().with_hosts(3);
    let program = Path::new(env!("CARGO_BIN_EXE_punchdeck")).to_owned();
    let mut fleet = LabArena::start(userns, topology, &drill, program).await.unwrap();
    let report = Runner::new(&mut fleet, &drill, CancellationToken::new(), |_| {}).run().await;
    fleet.stop().await;
    assert_eq!(report.pairs.len(), 5, "{}", report.text());
    for pair in &report.pairs {
        assert_eq!(pair.path.as_deref(), Some("punched"), "{}", report.text());
    }
    // A dial that is lost and repeated takes half a second and more; a machine
    // with other things to do may lose one or two.
    let quick = report.pairs.iter().filter(|pair| pair.elapsed_ms < 450).count();
    assert!(quick >= 3, "{}", report.text());
}
