//! The node's test of itself. On a host that confines nothing it finds what the
//! library does today; with the rules that we ship it finds the relay closed.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;

use libtest_mimic::Trial;
use punchdeck::lab::{Unsupported, Userns};
use punchdeck::model::{EventKind, Evidence, ExposureState, Reason, Snapshot};
use tokio::process::Command;

use super::binary::{Process, settled};
use super::support::{TestNode, ignored, trial};

pub fn trials(userns: Result<&Userns, &Unsupported>) -> Vec<Trial> {
    let confined_name = "with_the_rules_as_shipped_a_node_finds_its_relay_closed_and_starts";
    vec![
        match userns {
            Ok(_) => trial(confined_name, confined),
            Err(why) => ignored(confined_name, &why.to_string()),
        },
        trial("a_plain_node_finds_its_relay_and_its_coordinator_open", plain),
        if UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
            trial("a_node_on_all_addresses_finds_its_relay_open_in_both_families", wildcard)
        } else {
            ignored("a_node_on_all_addresses_finds_its_relay_open_in_both_families", "no IPv6 here")
        },
        trial("who_tests_a_node_is_no_peer_of_it", no_peer),
        trial("a_node_that_is_told_not_to_test_itself_says_so", off),
    ]
}

fn is_tested(snapshot: &Snapshot) -> bool {
    snapshot.node.relay_egress.tested.is_some()
}

fn arrived(snapshot: &Snapshot) -> &[IpAddr] {
    match &snapshot.node.relay_egress.evidence {
        Evidence::Arrived { at } => at,
        other => panic!("{other}"),
    }
}

async fn plain() {
    let mut node = TestNode::start("node", &[]).await;
    let shown = node.until("self-test", is_tested).await;
    assert_eq!(shown.node.relay_egress.state, ExposureState::Open);
    assert!(arrived(&shown).contains(&Ipv4Addr::LOCALHOST.into()));
    assert_eq!(shown.node.coordinator.state, ExposureState::Open);
    assert_eq!(shown.node.coordinator.evidence, Evidence::PassedOn);

    let told =
        node.event("relay.egress", |e| (e.kind.name() == "relay.egress").then(|| e.kind.clone())).await;
    assert!(told.is_trouble() && told.to_string().starts_with("open: "), "{told}");
    let told = node
        .event("coordinator", |e| matches!(e.kind, EventKind::Coordinator { .. }).then(|| e.kind.clone()));
    assert!(told.await.is_trouble());
}

async fn wildcard() {
    let bind = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    let node = TestNode::with("node", &[], |o| o.bind = bind).await;
    let shown = node.until("self-test", is_tested).await;
    let at = arrived(&shown);
    assert!(at.contains(&Ipv4Addr::LOCALHOST.into()) && at.contains(&Ipv6Addr::LOCALHOST.into()), "{at:?}");
}

async fn no_peer() {
    let node = TestNode::start("node", &[]).await;
    node.until("self-test", is_tested).await;
    let shown = node.snapshot();
    assert!(shown.peers.is_empty() && shown.links.is_empty(), "{shown:#?}");
    assert_eq!(shown.node.cache.known, 0);
    assert!(shown.relays.served.is_empty(), "its session is given back");
    let again = node.restart(|_| {}).await;
    assert_eq!(again.snapshot().node.cache.known, 0, "nor is it on disk");
}

async fn off() {
    let node = TestNode::with("node", &[], |o| o.self_test = false).await;
    let not_asked = Evidence::NotMeasured { reason: Reason::NotAsked };
    let shown = node.until("no test", |s| s.node.relay_egress.evidence == not_asked).await;
    assert_eq!(shown.node.relay_egress.state, ExposureState::Unknown);
}

/// Makes a host of its own with a public address, loads rules, and becomes the
/// node.
const SCRIPT: &str = r#"
    PATH=$PATH:/usr/sbin:/sbin
    ip link set lo up
    ip address add 198.18.0.1/32 dev lo
    nft -f "$0"
    exec "$@"
"#;

fn confined_node(home: &Path, rules: &str) -> Process {
    let file = home.join("rules.nft");
    fs::write(&file, rules).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-ec", SCRIPT]).arg(file).arg(env!("CARGO_BIN_EXE_punchdeck"));
    command.args(["run", "--headless", "--bind", "198.18.0.1:9000", "--data-dir"]).arg(home.join("data"));
    let mut command = settled(command, home);
    command.env("PUNCHDECK_RELAY_EGRESS", "require-closed");
    Process::start(command)
}

async fn confined() {
    let home = tempfile::tempdir().unwrap();
    // In the tests' own user namespace there is one user.
    let rules = include_str!("../../assets/punchdeck.nft").replace("skuid \"punchdeck\"", "skuid 0");
    let mut node = confined_node(home.path(), &rules);
    let told = node.line("relay.egress: ").await;
    assert!(told.contains("closed: the host lets this process send nothing to 127.0.0.1"), "{told}");
    let told = node.line("node.coordinator: ").await;
    assert!(told.contains("unknown: not measured"), "what cannot be tried is not called closed: {told}");
    node.kill().await;

    // Where strangers get to the relay, it is the relay that is tried.
    let rules: String =
        rules.lines().filter(|l| !l.contains("fib daddr")).fold(String::new(), |all, l| all + l + "\n");
    let mut node = confined_node(home.path(), &rules);
    let told = node.line("relay.egress: ").await;
    assert!(told.contains("closed: strangers do not reach 127.0.0.1 here"), "{told}");
    let told = node.line("node.coordinator: ").await;
    assert!(told.contains("open: "), "{told}");
    node.kill().await;
}
