//! Tests of paths between engines: which connections are tested, and what is told, kept
//! and shown of it.

use super::*;
use crate::core::engine::Settings;
use crate::model::{EventKind, Known, Outcome, Path, PathTest, Reason, TestConsent, TestPhase};

fn direct() -> Net {
    let mut net = fleet(2, 5);
    net.run(secs(20));
    net
}

fn ask(net: &mut Net) -> crate::model::CommandId {
    net.command(0, Command::Test { peer: id(1), for_ms: 5_000 })
}

fn outcome(net: &Net, command: crate::model::CommandId) -> Option<&Outcome> {
    net.nodes[0].outcomes.iter().find(|o| o.id == command)
}

fn measured(net: &Net, command: crate::model::CommandId) -> PathTest {
    match outcome(net, command).map(|o| &o.result) {
        Some(Ok(Done::Tested(test))) => (**test).clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_direct_path_is_tested_and_the_row_the_why_and_both_ends_events_say_so() {
    let mut net = direct();
    let command = ask(&mut net);
    net.run(secs(10));
    let test = measured(&net, command);
    let [path] = test.paths.as_slice() else { panic!("{test:?}") };
    let rtt = path.rtt.unwrap();
    let asked = net.latency.as_secs_f64() * 2e3;
    assert!((rtt.p50 - asked).abs() < 1.0, "{rtt:?} of {asked}");
    assert_eq!((path.path, path.in_use, path.loss()), (Path::Direct, true, Some(0.0)));
    assert!(path.rate_up.is_some() && path.rate_down.is_some() && path.reason.is_none(), "{path:?}");
    let now = net.now;
    let row = net.nodes[0].engine.snapshot(now).peer(&id(1)).cloned().unwrap();
    let tested = row.tested.clone().unwrap();
    assert_eq!((tested.path, tested.loss, tested.up), (Path::Direct, Some(0.0), path.rate_up));
    let why = net.command(0, Command::Why { peer: id(1) });
    net.run(secs(3));
    let Some(Ok(Done::Explained(why))) = outcome(&net, why).map(|o| o.result.clone()) else { panic!() };
    let fact =
        why.facts.iter().find(|fact| matches!(fact.known, Known::Test(_))).expect("the why knows of it");
    assert_eq!(fact.known.value(why.at), Some(path.summary()));
    let has = |n: usize, kind: &dyn Fn(&EventKind) -> bool| net.nodes[n].events.iter().any(|e| kind(&e.kind));
    assert!(has(1, &|kind| matches!(kind, EventKind::TestServed { for_ms: 5_000 })));
    for phase in [TestPhase::Asking, TestPhase::Quiet, TestPhase::Up, TestPhase::Down] {
        assert!(
            has(0, &|kind| matches!(kind, EventKind::TestStage { phase: p, .. } if *p == phase)),
            "{phase:?}"
        );
    }
}

#[test]
fn a_test_is_called_off_by_command_and_by_the_end_of_its_link() {
    let mut net = direct();
    let command = ask(&mut net);
    net.run(secs(1));
    let now = net.now;
    let shown = net.nodes[0].engine.snapshot(now).test(&id(1)).cloned().unwrap();
    assert!(shown.ended.is_none() && shown.paths[0].rtt.is_some(), "it is shown while it runs");
    let end = net.command(0, Command::EndTest { peer: id(1) });
    assert_eq!(outcome(&net, end).unwrap().result, Ok(Done::EndedTest { peer_id: id(1) }));
    assert_eq!(measured(&net, command).paths[0].reason, Some(Reason::CalledOff));
    let again = net.command(0, Command::EndTest { peer: id(1) });
    assert_eq!(outcome(&net, again).unwrap().result.clone().unwrap_err().reason, Reason::NoTestRuns);
    let command = ask(&mut net);
    net.run(secs(1));
    net.command(0, Command::Disconnect { peer: id(1) });
    net.run(secs(1));
    assert_eq!(measured(&net, command).paths[0].reason, Some(Reason::NotLinked));
}

#[test]
fn without_a_link_or_against_the_peers_setting_nothing_is_tested() {
    let mut net = direct();
    let nobody = net.command(0, Command::Test { peer: id(7), for_ms: 5_000 });
    assert_eq!(outcome(&net, nobody).unwrap().result.clone().unwrap_err().reason, Reason::NotLinked);
    let settings = Settings {
        bootstrap: Vec::new(),
        direct_window: secs(2),
        relay_after: secs(1),
        punch: crate::model::PunchConsent::Any,
        relay: crate::model::RelayMode::Network,
        hard_nat: crate::model::HardNat::Off,
        path_test: TestConsent::Off,
    };
    net.tell(1, crate::core::engine::Input::Settings(settings));
    let command = ask(&mut net);
    net.run(secs(5));
    assert_eq!(outcome(&net, command).unwrap().result.clone().unwrap_err().reason, Reason::NoTesting);
}
