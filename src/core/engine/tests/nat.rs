//! Whole nodes that measure their NATs by each other: what the probe's wiring makes of
//! links, claims and addresses.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::{LATENCY, secs};
use crate::core::Mono;
use crate::core::engine::{EngineConfig, Input};
use crate::core::limits::{REACH_TEST_EVERY, REACH_TESTS_AT_ONCE};
use crate::core::sim::{Net, addr, id};
use crate::core::wire::{DialBack, Message, Observed};
use crate::model::{Command, Done, Event, EventKind, NatType, NoProbePorts, Path, PeerId, Reason, Snapshot};

/// Nodes that measure, of which each knows all before it.
fn fleet(count: usize) -> Net {
    let mut net = Net::new(1, LATENCY);
    net.probing = true;
    (0..count).for_each(|_| join(&mut net));
    net
}

fn join(net: &mut Net) {
    let known: Vec<SocketAddr> = (0..net.nodes.len()).map(addr).collect();
    net.add(&known);
}

fn shows(net: &mut Net, n: usize) -> Snapshot {
    let now = net.now;
    net.nodes[n].engine.snapshot(now)
}

fn counted(net: &mut Net, n: usize, name: &str) -> u64 {
    shows(net, n).counters.0.get(name).copied().unwrap_or(0)
}

fn is_public(net: &Net, n: usize, peer: usize) -> bool {
    net.nodes[n].engine.peers(net.now).is_public(&id(peer))
}

#[test]
fn a_fleet_without_nats_measures_none_tells_it_and_proves_it() {
    let mut net = fleet(4);
    net.run(secs(10));
    for n in 0..4 {
        let shown = shows(&mut net, n);
        assert_eq!(shown.nat.nat_type, NatType::None, "{:#?}", shown.nat);
        assert_eq!(shown.nat.nat6, None, "there is no IPv6 here");
        assert!(shown.peers.iter().all(|p| p.nat_type == NatType::None), "and so say the peers");
        let named = |name: &str| net.nodes[n].events.iter().filter(|e| e.kind.name() == name).count();
        assert_eq!(named("nat.changed"), 1);
        assert_eq!(named("peer.public"), 3);
        for other in (0..4).filter(|o| *o != n) {
            assert!(is_public(&net, n, other));
        }
    }
}

/// A peer tells the first node that it sees it at that port.
fn sees(net: &mut Net, by: usize, port: u16) {
    let addr = SocketAddr::new(addr(0).ip(), port);
    net.send(by, 0, &Message::Observed(Observed { addr }));
    net.run(LATENCY * 2);
}

#[test]
fn a_port_where_nobody_else_sees_us_has_the_nat_measured_anew_and_nothing_known_until_then() {
    let mut net = fleet(5);
    net.run(secs(30));
    assert_eq!(shows(&mut net, 0).nat.nat_type, NatType::None);
    sees(&mut net, 1, 4242);
    let nat = shows(&mut net, 0).nat.clone();
    assert_eq!((nat.nat_type, &nat.reason), (NatType::Unknown, &Some(Reason::NatChanging)), "{nat:#?}");
    assert_eq!((nat.mapping, nat.confidence, nat.measured), (None, None, None), "nothing of before");
    assert_eq!(net.nodes[0].engine.nat.view().summary(), "unknown: changed, measuring");
    let told = net.nodes[0].engine.gossip.own().nat;
    assert_eq!(told, NatType::Unknown, "others decide nothing by what was, either");
    let since = net.now.mono;
    while shows(&mut net, 0).nat.nat_type == NatType::Unknown {
        net.run(Duration::from_millis(100));
        assert!(net.now.mono.since(since) < secs(5), "it is measured at once");
    }
    assert_eq!(shows(&mut net, 0).nat.nat_type, NatType::None);
}

#[test]
fn a_port_that_others_see_too_contradicts_nothing() {
    let mut net = fleet(5);
    net.run(secs(30));
    sees(&mut net, 1, 9000);
    assert_eq!(shows(&mut net, 0).nat.nat_type, NatType::None);
}

/// Five nodes, of which the first has measured that its NAT is symmetric.
fn behind_a_symmetric_nat() -> Net {
    let mut net = fleet(5);
    net.run(Duration::from_millis(200));
    net.reroute(0, NatType::Symmetric);
    net.run(secs(120));
    assert_eq!(shows(&mut net, 0).nat.nat_type, NatType::Symmetric, "{:#?}", shows(&mut net, 0).nat);
    net
}

fn doubted(net: &Net) -> usize {
    let doubt = |e: &&Event| {
        let EventKind::NatChanged { to, .. } = &e.kind else { return false };
        *to == NatType::Unknown
    };
    net.nodes[0].events.iter().filter(doubt).count()
}

#[test]
fn under_one_connection_a_symmetric_nat_keeps_its_port_or_has_changed() {
    let mut net = behind_a_symmetric_nat();
    sees(&mut net, 1, 4242);
    let nat = shows(&mut net, 0).nat.clone();
    assert_eq!((nat.nat_type, &nat.reason), (NatType::Unknown, &Some(Reason::NatChanging)), "{nat:#?}");
    let since = net.now.mono;
    while shows(&mut net, 0).nat.nat_type == NatType::Unknown {
        net.run(Duration::from_millis(100));
        assert!(net.now.mono.since(since) < secs(5), "it is measured at once");
    }
    // The others hear from us later, and tell the same.
    sees(&mut net, 2, 4243);
    sees(&mut net, 3, 4244);
    assert_eq!(doubted(&net), 1, "one change is doubted once");
}

#[test]
fn another_port_for_each_peer_and_for_each_connection_is_what_a_symmetric_nat_does() {
    let mut net = behind_a_symmetric_nat();
    // A link that comes back over a connection of its own.
    net.sees_at.insert((1, 0), SocketAddr::new(addr(0).ip(), 4242));
    net.break_native(0, 1);
    net.run(secs(20));
    assert!(net.nodes[0].engine.nat.seen_by(&id(1)).is_some_and(|at| at.port() == 4242));
    assert_eq!(doubted(&net), 0);
}

#[test]
fn another_public_address_has_a_symmetric_nat_measured_anew() {
    let mut net = behind_a_symmetric_nat();
    for by in 1..4 {
        let seen = SocketAddr::new(addr(77).ip(), 4240 + by as u16);
        net.send(by, 0, &Message::Observed(Observed { addr: seen }));
    }
    net.run(LATENCY * 2);
    assert_eq!(shows(&mut net, 0).nat.reason, Some(Reason::NatChanging));
}

#[test]
fn a_liar_has_the_nat_measured_once_a_minute_and_no_oftener() {
    let mut net = fleet(5);
    net.run(secs(30));
    let unknown = |net: &mut Net| shows(net, 0).nat.nat_type == NatType::Unknown;
    sees(&mut net, 1, 4242);
    assert!(unknown(&mut net));
    net.run(secs(10));
    for port in 5000..5005 {
        sees(&mut net, 1, port);
        assert!(!unknown(&mut net), "its word was taken a moment ago");
    }
    assert!(counted(&mut net, 0, "NAT doubted too often") > 0);
}

#[test]
fn a_command_is_answered_once_with_what_was_measured() {
    let mut net = fleet(3);
    net.run(secs(10));
    for _ in 0..2 {
        net.command(0, Command::NatProbe);
    }
    net.run(secs(3));
    let outcomes = &net.nodes[0].outcomes;
    assert_eq!(outcomes.len(), 2);
    for outcome in outcomes {
        let Ok(Done::Probed(view)) = &outcome.result else { panic!("{outcome:?}") };
        assert_eq!(view.nat_type, NatType::None);
    }
}

#[test]
fn a_command_without_vantage_points_says_so_at_once() {
    let mut net = fleet(1);
    net.command(0, Command::NatProbe);
    net.run(Duration::from_millis(1));
    let Ok(Done::Probed(view)) = &net.nodes[0].outcomes[0].result else { panic!("no view") };
    assert_eq!((view.nat_type, &view.reason), (NatType::Unknown, &Some(Reason::NoVantagePoints)));
}

#[test]
fn by_public_peers_whose_links_a_punch_made_the_nat_is_measured_as_well() {
    let mut net = fleet(0);
    net.path = Path::Punched;
    (0..4).for_each(|_| join(&mut net));
    net.run(secs(10));
    assert_eq!(shows(&mut net, 0).links.len(), 3);
    assert!(is_public(&net, 0, 1), "a fresh socket reached it");
    assert_eq!(shows(&mut net, 0).nat.nat_type, NatType::None);
}

#[test]
fn over_a_relayed_link_nothing_is_measured_and_nobody_dialled_back() {
    let mut net = fleet(0);
    net.path = Path::Relayed;
    (0..3).for_each(|_| join(&mut net));
    net.run(secs(10));
    assert_eq!(shows(&mut net, 0).links.len(), 2);
    assert_eq!(shows(&mut net, 0).nat.reason, Some(Reason::NoVantagePoints));
    let target = SocketAddr::new(addr(1).ip(), 30_000);
    net.send(1, 0, &Message::DialBack(DialBack { nonce: [1; 16], target }));
    net.run(secs(1));
    assert_eq!(counted(&mut net, 0, "dial-back to another address"), 1);
    assert!(net.nodes[0].probed.is_empty());
    // The network knows of no such relay, and would call the screens liars.
    net.nodes.iter_mut().for_each(|node| node.up = false);
}

#[test]
fn claims_are_tested_few_at_a_time_and_not_often() {
    let mut net = fleet(6);
    // Whoever is asked never says anything: the tests stay under way.
    net.answers_reach = false;
    net.run(secs(30));
    assert_eq!(net.nodes[0].reached.len(), REACH_TESTS_AT_ONCE);
    assert!(!is_public(&net, 0, 1), "a claim alone is nothing");
    // They fail: each is tried again, but not soon.
    let mut last: BTreeMap<PeerId, Mono> = BTreeMap::new();
    for _ in 0..300 {
        for (at, peer) in std::mem::take(&mut net.nodes[0].reached) {
            if let Some(before) = last.insert(peer, at) {
                assert!(at.since(before) >= REACH_TEST_EVERY, "{:?} after the last", at.since(before));
            }
            net.tell(0, Input::Reached { peer, addr: addr(1), reached: false });
        }
        net.run(secs(1));
    }
    assert_eq!(last.len(), 5, "everybody had his turn");
    assert!(counted(&mut net, 0, "claim to be public not borne out") > 5);
    assert!(!is_public(&net, 0, 1));
}

#[test]
fn a_proof_is_renewed_before_it_expires() {
    let mut net = fleet(3);
    net.run(secs(10));
    let first = net.nodes[0].reached.len();
    net.run(secs(13 * 3600));
    assert!(net.nodes[0].reached.len() > first);
    assert!(is_public(&net, 0, 1));
    let news = |e: &&Event| matches!(e.kind, EventKind::PeerVerifiedPublic { .. });
    assert_eq!(net.nodes[0].events.iter().filter(news).count(), 2, "and that is no news");
}

#[test]
fn nobody_rules_a_vantage_point_out_by_saying_that_its_address_is_ours() {
    let mut net = fleet(1);
    net.sees_at.insert((1, 0), addr(2));
    (1..5).for_each(|_| join(&mut net));
    net.run(secs(70));
    let nat = shows(&mut net, 0).nat;
    assert_eq!(nat.nat_type, NatType::None);
    assert!(nat.vantage_points.iter().any(|v| v.peer_id == id(2)), "{:#?}", nat.vantage_points);
}

#[test]
fn another_address_is_measured_at_once() {
    let mut net = fleet(4);
    net.run(secs(20));
    // The host moves to another network: its connections break, and it dials
    // again from there.
    net.nodes[3].addr = addr(77);
    (0..3).for_each(|other| net.break_native(3, other));
    net.nodes[3].probed.clear();
    net.run(secs(10));
    assert_eq!(shows(&mut net, 3).links.len(), 3);
    assert!(!net.nodes[3].probed.is_empty(), "it does not wait for its minute");
}

#[test]
fn ports_that_cannot_be_had_are_a_shown_reason_and_no_failed_start() {
    let mut net = fleet(3);
    net.run(secs(10));
    let config = EngineConfig {
        probe_ports: Vec::new(),
        no_probe_ports: Some(NoProbePorts::Unbound { detail: "address in use".into() }),
        ..net.config(&[addr(0)])
    };
    net.start(config, NatType::None);
    net.run(secs(10));
    let shown = shows(&mut net, 3);
    assert_eq!(shown.nat.nat_type, NatType::None, "it measures all the same");
    let why = shown.node.no_probe_ports.as_ref().map(ToString::to_string);
    assert_eq!(why.as_deref(), Some("no ports could be had: address in use"));
    assert!(net.nodes[3].events.iter().any(|e| e.kind.name() == "nat.no_responder"));
    assert!(shows(&mut net, 0).nat.vantage_points.iter().all(|v| v.peer_id != id(3)));
}

#[test]
fn a_node_on_loopback_has_nothing_to_measure() {
    let mut net = fleet(0);
    let config = EngineConfig { local_addr: (Ipv4Addr::LOCALHOST, 9000).into(), ..net.config(&[]) };
    net.start(config, NatType::None);
    net.command(0, Command::NatProbe);
    net.run(secs(5));
    assert_eq!(shows(&mut net, 0).nat.reason, Some(Reason::LoopbackHasNoNat));
    let Ok(Done::Probed(view)) = &net.nodes[0].outcomes[0].result else { panic!("no view") };
    assert_eq!(view.nat_type, NatType::Unknown);
}
