//! Tests of paths between real nodes, on this host.

use std::time::Duration;

use libtest_mimic::Trial;
use punchdeck::core::limits::TEST_RATE_MAX;
use punchdeck::model::{Command, Done, Path, Reason, TestPhase};

use super::support::{TestNode, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("the_path_between_two_nodes_is_tested_and_no_heartbeat_is_missed", direct),
        trial("a_test_that_is_called_off_ends_at_once_at_both_ends", called_off),
    ]
}

async fn two() -> (TestNode, TestNode) {
    let hub = TestNode::start("hub", &[]).await;
    let leaf = TestNode::start("leaf", &[hub.addr()]).await;
    leaf.until_linked(hub.id()).await;
    (hub, leaf)
}

async fn direct() {
    let (mut hub, mut leaf) = two().await;
    let mut feeds = [hub.feed(), leaf.feed()];
    let outcome = leaf.command(Command::Test { peer: hub.id(), for_ms: 3_000 }).await;
    let Ok(Done::Tested(test)) = &outcome.result else { panic!("{outcome}") };
    let [path] = test.paths.as_slice() else { panic!("{test:?}") };
    assert_eq!((path.path, path.phase, &path.reason), (Path::Direct, TestPhase::Over, &None));
    let rtt = path.rtt.unwrap();
    assert!(rtt.min > 0.0 && rtt.min <= rtt.p50 && rtt.p50 <= rtt.p95, "{rtt:?}");
    assert!(path.lost_of().1 > 100 && path.loss().unwrap() < 0.05, "{path:?}");
    for rate in [path.rate_up, path.rate_down] {
        let mbit = rate.unwrap().mbit;
        assert!(mbit > 1.0 && mbit <= f64::from(TEST_RATE_MAX) * 8.0 / 1e6 * 1.2, "{mbit}");
    }
    assert!((1_200..=1_500).contains(&path.mtu.unwrap()), "{path:?}");
    for feed in &mut feeds {
        while let Ok(event) = feed.events.try_recv() {
            assert_ne!(event.kind.name(), "link.suspect", "a heartbeat was late");
        }
    }
}

async fn called_off() {
    let (hub, leaf) = two().await;
    let ends = async {
        leaf.until("running", |s| s.tests.first().is_some_and(|t| t.paths[0].rtt.is_some())).await;
        leaf.command(Command::EndTest { peer: hub.id() }).await;
    };
    let both = async { tokio::join!(leaf.command(Command::Test { peer: hub.id(), for_ms: 60_000 }), ends) };
    let (outcome, ()) = tokio::time::timeout(Duration::from_secs(10), both).await.expect("it goes on");
    let Ok(Done::Tested(test)) = &outcome.result else { panic!("{outcome}") };
    assert_eq!(test.paths[0].reason, Some(Reason::CalledOff));
}
