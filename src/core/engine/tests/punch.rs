//! Punches between engines behind NATs, in virtual time.

use std::time::Duration;

use super::NATS;
use crate::core::sim::{Net, addr, id};
use crate::model::{AttemptOutcome, Command, EventKind, NatType, Path, StageKind};

const LATENCY: Duration = Duration::from_millis(40);
pub(super) const FROM: usize = 2;
pub(super) const TO: usize = 3;

/// Two public nodes, and two behind these NATs that know each other by gossip.
pub(super) fn pair(from: NatType, to: NatType) -> Net {
    let mut net = Net::new(1, LATENCY);
    net.add(&[]);
    net.add(&[addr(0)]);
    for nat in [from, to] {
        net.add_behind(nat, true, &[addr(0), addr(1)]);
    }
    net.run(Duration::from_secs(10));
    for (n, nat) in [(0, NatType::None), (1, NatType::None), (FROM, from), (TO, to)] {
        net.believes(n, nat);
    }
    net.run(Duration::from_secs(15));
    assert_eq!(net.up_links(FROM), 2, "{from} to {to}: nobody is linked to the other yet");
    net
}

/// The first outcome of a connect, and the path on both ends.
pub(super) fn connect(net: &mut Net) -> (AttemptOutcome, Duration, [Option<Path>; 2]) {
    net.command(FROM, Command::Connect { peer: id(TO) });
    let ended = |net: &Net| !net.nodes[FROM].outcomes.is_empty();
    let took = net.run_until(Duration::from_secs(60), ended).expect("every attempt ends");
    net.run(LATENCY * 4);
    let now = net.now;
    let path = |net: &mut Net, n: usize, peer: usize| {
        let shot = net.nodes[n].engine.snapshot(now);
        shot.links.iter().find(|l| l.peer_id == id(peer)).map(|l| l.path)
    };
    let paths = [path(net, FROM, TO), path(net, TO, FROM)];
    let outcome = if paths[0].is_some() { AttemptOutcome::Connected } else { AttemptOutcome::Unreachable };
    (outcome, took, paths)
}

#[test]
fn all_25_pairs_connect_by_the_best_path_there_is_within_four_round_trips() {
    let mut counts = [0; 3];
    for (from, to) in NATS.into_iter().flat_map(|from| NATS.map(|to| (from, to))) {
        let mut net = pair(from, to);
        let before = net.conns_made();
        let (outcome, took, paths) = connect(&mut net);
        let minds = |nat| matches!(nat, NatType::Symmetric | NatType::PortRestricted);
        let expected = match (from, to) {
            (_, NatType::None | NatType::FullCone) => Some(Path::Direct),
            (from, to) if minds(from) && minds(to) && NatType::Symmetric == from.max(to) => {
                Some(Path::Relayed)
            }
            _ => Some(Path::Punched),
        };
        assert_eq!(paths, [expected; 2], "{from} to {to}");
        assert_eq!(outcome, AttemptOutcome::Connected, "{from} to {to}");
        // A lane's two hops make a round trip of two.
        let trips = if expected == Some(Path::Relayed) { 16 } else { 8 };
        assert!(took <= LATENCY * trips, "{from} to {to} took {took:?}");
        assert_eq!(net.conns_made() - before, 1, "{from} to {to}: dials that cross cost a move");
        counts[expected.map_or(3, |path| path as usize)] += 1;
    }
    assert_eq!(counts, [10, 12, 3]);
}

#[test]
fn test_punch_coordination_through_intermediary() {
    let mut net = pair(NatType::PortRestricted, NatType::AddressRestricted);
    connect(&mut net);
    let about =
        |n: usize, peer: usize| net.nodes[n].events.iter().filter(move |e| e.peer_id == Some(id(peer)));
    let via = about(FROM, TO).find_map(|e| match e.kind {
        EventKind::StageStarted { stage: StageKind::Punch, via, .. } => via,
        _ => None,
    });
    assert!(via == Some(id(0)) || via == Some(id(1)), "{via:?}");
    let outbound = |n, peer| {
        about(n, peer).find_map(|e| match e.kind {
            EventKind::LinkUp { outbound, .. } => Some(outbound),
            _ => None,
        })
    };
    assert_eq!((outbound(FROM, TO), outbound(TO, FROM)), (Some(false), Some(true)), "the target dialled");
}

#[test]
fn a_target_names_its_homes_and_one_of_them_is_asked_at_once() {
    let mut net = pair(NatType::PortRestricted, NatType::PortRestricted);
    let record = net.nodes[FROM].engine.book.read().get(id(TO)).and_then(|e| e.record()).unwrap();
    assert_eq!(record.homes.len(), 2);
    let (_, with, _) = connect(&mut net);
    // The same when nobody was found to be public, so that all are to be asked.
    let mut net = pair(NatType::PortRestricted, NatType::PortRestricted);
    net.forget_homes(FROM, TO);
    let (_, without, paths) = connect(&mut net);
    assert_eq!(paths, [Some(Path::Punched); 2]);
    assert_eq!(without, with + LATENCY * 2, "a round trip more");
}

#[test]
fn a_peer_that_turns_out_to_be_behind_a_nat_is_no_home_any_more() {
    let mut net = pair(NatType::PortRestricted, NatType::PortRestricted);
    net.believes(0, NatType::PortRestricted);
    net.run(Duration::from_secs(1));
    assert_eq!(net.nodes[TO].engine.gossip.own().homes, [id(1)]);
}

#[test]
fn two_that_dial_each_other_at_once_have_punched() {
    let mut net = pair(NatType::PortRestricted, NatType::PortRestricted);
    net.command(TO, Command::Connect { peer: id(FROM) });
    let (_, took, paths) = connect(&mut net);
    assert_eq!(paths, [Some(Path::Punched); 2], "neither let a stranger in");
    assert!(took <= LATENCY * 8, "{took:?}");
}

#[test]
fn a_nat_that_was_measured_wrongly_costs_half_a_second_and_not_the_punch() {
    let mut net = pair(NatType::Symmetric, NatType::AddressRestricted);
    net.believes(FROM, NatType::AddressRestricted);
    let (_, took, paths) = connect(&mut net);
    assert_eq!(paths, [Some(Path::Punched); 2]);
    assert!(took > Duration::from_millis(500) && took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn a_target_stops_dialling_when_the_link_stands() {
    let mut net = pair(NatType::Symmetric, NatType::AddressRestricted);
    net.command(FROM, Command::Connect { peer: id(TO) });
    let dials = |net: &Net| net.dialling(TO);
    assert!(
        net.run_until(Duration::from_secs(1), |net| dials(net) == 1).is_some(),
        "in vain: we are symmetric"
    );
    assert!(net.run_until(Duration::from_secs(1), |net| net.up_links(TO) == 3).is_some());
    assert_eq!(dials(&net), 0);
}
