//! Punches through real NATs, coordinated by a third node.

use std::path::Path;
use std::time::Duration;

use libtest_mimic::Trial;
use punchdeck::lab::drill::{BUILT_IN, Runner, Scenario, Verdict};
use punchdeck::lab::{LabArena, LabOptions, NatLab, Topology, Unsupported, Userns};
use punchdeck::model::{
    Attempt, Command, Done, NatType, Path as LinkPath, Reason, Snapshot, StageKind, StageOutcome,
};
use punchdeck::node::feed::Feed;
use tokio_util::sync::CancellationToken;

use super::support::{ignored, nft, order, trial};

const AGAIN: &str = "who_was_disconnected_is_punched_again_as_soon_as_the_same_end_connects";
const SUCCESS: &str = "test_punch_success_via_coordination";
const TIMEOUT: &str = "test_punch_timeout_fallback_to_relay";

/// A NAT is measured, and a whole punch over, within this.
const WITHIN: Duration = Duration::from_secs(60);

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

/// Three public hosts, and one behind each of two routers that can be punched.
const TWO_CONES: &str = r#"
    region = [{ name = "mid" }]
    router = [
        { name = "r-here", upstream = "mid", nat = "port-restricted" },
        { name = "r-there", upstream = "mid", nat = "port-restricted" },
    ]
    host = [
        { name = "pub-1", upstream = "mid" },
        { name = "pub-2", upstream = "mid" },
        { name = "pub-3", upstream = "mid" },
        { name = "here", upstream = "r-here" },
        { name = "there", upstream = "r-there" },
    ]
"#;

pub fn trials(userns: Result<&Userns, &Unsupported>) -> Vec<Trial> {
    match userns.cloned() {
        Ok(userns) => {
            let (other, third) = (userns.clone(), userns.clone());
            vec![
                trial(AGAIN, move || async move { reconnects(&third).await }),
                trial(SUCCESS, move || async move { punches(&userns).await }),
                trial(TIMEOUT, move || async move { times_out(&other).await }),
            ]
        }
        Err(why) => [AGAIN, SUCCESS, TIMEOUT].map(|name| ignored(name, &why.to_string())).into(),
    }
}

async fn until(feed: &Feed, what: &str, mut holds: impl FnMut(&Snapshot) -> bool) {
    let mut snapshots = feed.snapshots.clone();
    let seen = tokio::time::timeout(WITHIN, snapshots.wait_for(|s| holds(s))).await;
    assert!(seen.is_ok_and(|s| s.is_ok()), "no {what}: {:#?}", feed.snapshots.borrow());
}

async fn times_out(userns: &Userns) {
    let topology = Topology::parse(TWO_CONES, "test").unwrap();
    let options = LabOptions { skip_self_test: true, seed: 1, ..LabOptions::new(topology) };
    let lab = NatLab::build(userns, options).await.unwrap();
    for n in 1..=3 {
        lab.start_node(&format!("pub-{n}")).await.unwrap();
    }
    // Whatever comes from one side to the other without a relay is lost, and
    // neither a NAT nor a measurement says so.
    for (host, other) in [("here", "r-there"), ("there", "r-here")] {
        let outside = lab.outside(other).await.unwrap();
        let rules = format!(
            "table inet deaf {{ chain deaf {{ type filter hook input priority -300; ip saddr {outside} drop; }}; }}\n"
        );
        nft(&lab, host, rules).await;
    }
    let (here, there) = (lab.start_passive("here").await.unwrap(), lab.start_passive("there").await.unwrap());
    let (me, peer) = (lab.peer_id("here").await.unwrap(), lab.peer_id("there").await.unwrap());
    let cone = NatType::PortRestricted;
    for (feed, other) in [(&here, peer), (&there, me)] {
        until(feed, "NATs that can be punched", |s| {
            s.nat.nat_type == cone && s.peer(&other).is_some_and(|p| p.nat_type == cone)
        })
        .await;
    }
    let outcome = order(&here, Command::Connect { peer }).await;
    let Ok(Done::Connected(report)) = &outcome.result else { panic!("{outcome:?}") };
    assert_eq!(report.path, Some(LinkPath::Relayed), "{report:#?}");
    let relay = report.stages.iter().find(|s| s.stage == StageKind::Relay).unwrap();
    assert!(relay.outcome == StageOutcome::Ok && relay.via.is_some(), "{report:#?}");
    // The relay takes over one second into the punch.
    assert!((1_000..5_000).contains(&report.elapsed_ms), "{report:#?}");
    until(&there, "relayed link at the other end", |s| {
        s.link(&me).is_some_and(|l| l.path == LinkPath::Relayed && l.via == relay.via)
    })
    .await;
    // Behind it the punch goes on to the end of its time, and says so.
    let punch = |a: &Attempt| {
        let stage = a.stages.iter().find(|s| s.stage == StageKind::Punch).cloned();
        stage.filter(|s| a.peer_id == Some(peer) && s.outcome != StageOutcome::Running)
    };
    until(&here, "end of the punch", |s| s.attempts.recent.iter().any(|a| punch(a).is_some())).await;
    let shown = here.snapshots.borrow().clone();
    let punch = shown.attempts.recent.iter().find_map(|a| punch(a)).unwrap();
    assert_eq!(punch.outcome, StageOutcome::Failed, "{punch:?}");
    let took = punch.elapsed_ms.unwrap();
    assert_eq!(punch.reason, Some(Reason::TimedOut { after_ms: took }), "one stage, one time: {punch:?}");
    assert!(punch.elapsed_ms.is_some_and(|ms| (29_900..31_000).contains(&ms)), "{punch:?}");
    assert_eq!(shown.link(&peer).map(|l| l.path), Some(LinkPath::Relayed), "and the link stays");
    lab.stop().await;
}

/// The drill, with room for a development build on a busy machine.
async fn reconnects(userns: &Userns) {
    let (_, text) = BUILT_IN.iter().find(|(name, _)| *name == "reconnect").unwrap();
    let drill =
        Scenario::parse("reconnect", "reconnect.toml", &text.replace("max = 20.0", "max = 450.0")).unwrap();
    let topology = Topology::built_in("default").unwrap().without_latency();
    let program = Path::new(env!("CARGO_BIN_EXE_punchdeck")).to_owned();
    let mut fleet = LabArena::start(userns, topology, &drill, program).await.unwrap();
    let report = Runner::new(&mut fleet, &drill, CancellationToken::new(), |_| {}).run().await;
    fleet.stop().await;
    assert_eq!(report.verdict, Verdict::Pass, "{}", report.text());
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
