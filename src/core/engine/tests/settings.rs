//! Settings that change while the node runs.

use std::net::SocketAddr;
use std::time::Duration;

use super::super::sim::{Net, addr};
use super::super::{Input, Settings};
use super::punch::{TO, connect, pair};
use super::{LATENCY, secs};
use crate::model::{DropReason, EventKind, HardNat, NatType, Path, PunchConsent, RelayMode, StageKind};

fn settings(bootstrap: &[SocketAddr]) -> Settings {
    Settings {
        bootstrap: bootstrap.to_vec(),
        direct_window: secs(2),
        relay_after: secs(1),
        punch: PunchConsent::Any,
        relay: RelayMode::Network,
        hard_nat: HardNat::Off,
        path_test: crate::model::TestConsent::Network,
    }
}

#[test]
fn a_node_without_anybody_dials_a_new_bootstrap_list_at_once() {
    let mut net = Net::new(1, LATENCY);
    let hub = net.add(&[]);
    let alone = net.add(&[]);
    net.run(secs(5));
    assert_eq!(net.links(alone), 0);
    net.tell(alone, Input::Settings(settings(&[addr(hub)])));
    let linked = |net: &Net| net.up_links(1) == 1;
    assert!(net.run_until(secs(1), linked).is_some(), "it does not wait for a round");
}

#[test]
fn an_isolated_node_does_not_wait_for_its_next_round_when_the_list_is_another_one() {
    let mut net = Net::new(1, LATENCY);
    let hub = net.add(&[]);
    let alone = net.add(&[addr(77)]);
    net.run(Duration::from_secs(600));
    net.tell(alone, Input::Settings(settings(&[addr(77), addr(hub)])));
    let linked = |net: &Net| net.up_links(1) == 1;
    assert!(net.run_until(secs(5), linked).is_some());
}

#[test]
fn a_target_that_lets_nobody_punch_from_now_on_answers_no_request() {
    let (from, to) = (NatType::PortRestricted, NatType::AddressRestricted);
    let (_, _, paths) = connect(&mut pair(from, to));
    assert_eq!(paths, [Some(Path::Punched); 2]);
    let mut net = pair(from, to);
    net.tell(TO, Input::Settings(Settings { punch: PunchConsent::Never, ..settings(&[]) }));
    let (_, _, paths) = connect(&mut net);
    assert_eq!(paths, [None; 2], "neither a punch nor an invitation");
    let now = net.now;
    let counters = net.nodes[TO].engine.snapshot(now).counters.clone();
    assert!(counters.0[&DropReason::PunchWithoutConsent] > 0, "{counters:?}");
}

#[test]
fn the_next_attempt_takes_the_new_times() {
    // Nothing answers there: the stage lasts as long as its window.
    let direct_took = |net: &Net| {
        net.nodes[0].events.iter().rev().find_map(|e| match e.kind {
            EventKind::StageEnded { stage: StageKind::Direct, elapsed_ms, .. } => Some(elapsed_ms),
            _ => None,
        })
    };
    let mut net = Net::new(1, LATENCY);
    net.add(&[addr(77)]);
    net.run(secs(10));
    let before = direct_took(&net).unwrap();
    net.tell(0, Input::Settings(Settings { direct_window: secs(5), ..settings(&[addr(78)]) }));
    net.run(secs(20));
    let after = direct_took(&net).unwrap();
    assert_eq!((before / 1000, after / 1000), (2, 5));
}
