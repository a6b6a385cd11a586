//! The relay service: who is served by a whole node, and what it tells of it.

use std::net::SocketAddr;

use super::super::sim::{Net, addr, id};
use super::super::{Input, Settings};
use super::{LATENCY, secs};
use crate::core::link::{ConnId, ConnInfo};
use crate::core::serving::{Ask, ServeId};
use crate::core::wire::Capabilities;
use crate::model::{
    Command, Done, DropReason, EventKind, HardNat, NatType, Path, PeerId, PunchConsent, Reason, RelayMode,
    RelaysView, ServedEnd,
};

/// A relay, node 0, and so many nodes that are linked to it and to nobody else.
fn star(count: usize) -> Net {
    let mut net = Net::new(1, LATENCY);
    net.add_behind(NatType::None, true, &[]);
    for _ in 0..count {
        net.add_behind(NatType::None, true, &[addr(0)]);
    }
    net.run(secs(5));
    net
}

fn relays(net: &mut Net) -> RelaysView {
    let now = net.now;
    (*net.nodes[0].engine.snapshot(now).relays).clone()
}

fn served(net: &mut Net) -> Vec<PeerId> {
    relays(net).served.iter().map(|row| row.peer_id).collect()
}

fn counted(net: &mut Net, what: DropReason) -> u64 {
    let now = net.now;
    net.nodes[0].engine.snapshot(now).counters.0.get(&what).copied().unwrap_or(0)
}

/// The connection that carries the link of a node to the relay.
fn conn_of(net: &Net, n: usize) -> ConnId {
    net.nodes[0].engine.links.in_use(&id(n)).unwrap().id
}

/// A node asks the relay, and a second passes.
fn ask(net: &mut Net, n: usize) {
    let conn = conn_of(net, n);
    net.ask_relay(n, 0, conn);
    net.run(secs(1));
}

/// Why reservations ended, by whose they were.
fn ends(net: &Net) -> Vec<(PeerId, ServedEnd)> {
    let end = |e: &crate::model::Event| match &e.kind {
        EventKind::RelayServedEnded { reason, .. } => Some((e.peer_id.unwrap(), *reason)),
        _ => None,
    };
    net.nodes[0].events.iter().filter_map(end).collect()
}

fn settings(relay: RelayMode) -> Settings {
    Settings {
        bootstrap: Vec::new(),
        direct_window: secs(2),
        relay_after: secs(1),
        punch: PunchConsent::Any,
        relay,
        hard_nat: HardNat::Off,
        path_test: crate::model::TestConsent::Network,
    }
}

/// Somebody connects who is no node, and asks.
fn stranger_asks(net: &mut Net, path: Path, wait: u64) -> PeerId {
    let peer = PeerId([0xee; 32]);
    let info = ConnInfo {
        id: ConnId(9_999),
        remote: "198.18.222.1:4000".parse::<SocketAddr>().unwrap(),
        outbound: false,
        path,
        via: None,
        channel: [9; 16],
        binding: [9; 32],
        nonce: [9; 32],
    };
    net.tell(0, Input::ConnUp { peer, info });
    net.run(secs(wait));
    let ask = Ask { id: ServeId(9_999), peer, conn: ConnId(9_999), bind: true };
    net.tell(0, Input::RelayAsked(ask));
    peer
}

#[test]
fn a_linked_member_is_served_and_told_of() {
    let mut net = star(2);
    ask(&mut net, 1);
    let view = relays(&mut net);
    assert_eq!((view.mode, view.served.len()), (RelayMode::Network, 1));
    assert_eq!((view.served[0].peer_id, view.served[0].public_addr.ip()), (id(1), addr(0).ip()));
    let told = net.nodes[0].events.iter().find(|e| matches!(e.kind, EventKind::RelayServing { .. })).unwrap();
    assert_eq!(told.peer_id, Some(id(1)));
}

#[test]
fn a_foreign_peer_is_refused_at_once_and_who_never_says_hello_after_a_second() {
    let mut net = star(1);
    stranger_asks(&mut net, Path::Direct, 8);
    assert_eq!(counted(&mut net, DropReason::RelayAskedByStranger), 1, "it was found to be foreign before");

    let mut net = star(1);
    stranger_asks(&mut net, Path::Direct, 0);
    assert_eq!(counted(&mut net, DropReason::RelayAskedByStranger), 0, "it may still say Hello");
    net.run(secs(1));
    assert_eq!(counted(&mut net, DropReason::RelayAskedByStranger), 1);
    assert!(served(&mut net).is_empty());
}

#[test]
fn who_is_not_even_connected_is_refused() {
    let mut net = star(1);
    let ask = Ask { id: ServeId(1), peer: PeerId([0xdd; 32]), conn: ConnId(77), bind: true };
    net.tell(0, Input::RelayAsked(ask));
    assert_eq!(counted(&mut net, DropReason::RelayAskedByStranger), 1);
}

#[test]
fn a_second_reservation_of_the_same_peer_replaces_its_first() {
    let mut net = star(2);
    ask(&mut net, 1);
    ask(&mut net, 1);
    assert_eq!(served(&mut net), [id(1)]);
    assert_eq!(ends(&net), [(id(1), ServedEnd::Replaced)]);
}

#[test]
fn the_sixty_fifth_member_is_refused_and_the_operator_sees_it() {
    let mut net = star(66);
    for n in 1..=66 {
        let conn = conn_of(&net, n);
        net.ask_relay(n, 0, conn);
    }
    net.run(secs(1));
    assert_eq!(served(&mut net).len(), 64);
    assert_eq!(counted(&mut net, DropReason::ReservationsServed), 2);
    let hit = |e: &crate::model::Event| {
        matches!(&e.kind, EventKind::LimitHit { limit: DropReason::ReservationsServed })
    };
    assert_eq!(net.nodes[0].events.iter().filter(|e| hit(e)).count(), 2);
}

#[test]
fn the_fifth_member_at_one_address_is_refused() {
    let mut net = Net::new(1, LATENCY);
    net.add_behind(NatType::None, true, &[]);
    for n in 1..=6_u16 {
        let node = net.add_behind(NatType::None, true, &[]);
        net.connect([node, 0], [addr(0), ([198, 18, 250, 1], 4_000 + n).into()], None);
    }
    net.run(secs(2));
    for n in 1..=6 {
        ask(&mut net, n);
    }
    assert_eq!(served(&mut net).len(), 4);
    assert_eq!(counted(&mut net, DropReason::ReservationsPerAddress), 2);
}

#[test]
fn whom_the_operator_ends_is_kept_off_for_ten_minutes() {
    let mut net = star(2);
    net.command(0, Command::EndServed { peer: id(1) });
    let refused = net.nodes[0].outcomes.last().unwrap().result.clone();
    assert_eq!(refused.unwrap_err().reason, Reason::NotServed);
    ask(&mut net, 1);
    net.command(0, Command::EndServed { peer: id(1) });
    let done = net.nodes[0].outcomes.last().unwrap().result.clone();
    assert_eq!(done, Ok(Done::EndedServed { peer_id: id(1), kept_off_ms: 600_000 }));
    assert_eq!((served(&mut net), ends(&net)), (Vec::new(), vec![(id(1), ServedEnd::ByOperator)]));
    net.run(secs(590));
    let before = counted(&mut net, DropReason::RelayAskedWhileKeptOff);
    ask(&mut net, 1);
    let refused = counted(&mut net, DropReason::RelayAskedWhileKeptOff) - before;
    assert_eq!((served(&mut net), refused), (Vec::new(), 1));
    net.run(secs(10));
    ask(&mut net, 1);
    assert_eq!(served(&mut net), [id(1)]);
    assert!(net.nodes[0].engine.links.is_up(&id(1)), "its link is another matter");
}

#[test]
fn a_reservation_ends_with_the_connection_of_its_link() {
    let mut net = star(2);
    ask(&mut net, 1);
    net.break_native(0, 1);
    assert!(served(&mut net).is_empty());
    assert_eq!(ends(&net), [(id(1), ServedEnd::ConnectionClosed)]);
}

#[test]
fn a_reservation_ends_soon_after_its_holder_fell_silent() {
    let mut net = star(2);
    ask(&mut net, 1);
    net.cut(0, 1);
    let over = net.run_until(secs(40), |net| !ends(net).is_empty());
    assert!(over.is_some_and(|after| after <= secs(30)), "{over:?}");
    assert!(served(&mut net).is_empty());
}

#[test]
fn switched_off_it_ends_all_says_so_in_its_record_and_is_asked_no_more() {
    let mut net = star(2);
    let says = |net: &Net| {
        let record = net.nodes[2].engine.book.get(id(0)).and_then(|e| e.record()).unwrap();
        record.capabilities.has(Capabilities::RELAY)
    };
    ask(&mut net, 1);
    assert!(says(&net));
    net.tell(0, Input::Settings(settings(RelayMode::Off)));
    assert_eq!(ends(&net), [(id(1), ServedEnd::SwitchedOff)]);
    net.run(secs(2));
    assert!(!says(&net), "withdrawn");
    let view = relays(&mut net);
    assert_eq!((view.mode, view.served.len()), (RelayMode::Off, 0));
    ask(&mut net, 2);
    assert_eq!(counted(&mut net, DropReason::RelayAskedWhileOff), 1);
    net.believes(2, NatType::Symmetric);
    net.run(secs(5));
    assert_eq!(counted(&mut net, DropReason::RelayAskedWhileOff), 1, "who knows does not ask");
    net.tell(0, Input::Settings(settings(RelayMode::Network)));
    net.run(secs(30));
    assert!(says(&net));
    assert!(served(&mut net).contains(&id(2)), "and is asked again");
}

#[test]
fn a_node_that_leaves_ends_all_that_it_serves() {
    let mut net = star(2);
    ask(&mut net, 1);
    net.command(0, Command::Leave);
    assert_eq!(ends(&net), [(id(1), ServedEnd::Stopping)]);
}
