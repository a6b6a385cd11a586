//! Whole fleets in virtual time.

use std::time::Duration;

use proptest::prelude::*;

use super::super::*;
use super::net::*;
use crate::core::wire::{Delta, Message, Record};
use crate::model::NatType;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn ring(n: u32) -> Net {
    let mut net = Net::new(n);
    (0..n).for_each(|i| net.link(i, (i + 1) % n));
    net
}

fn line(n: u32) -> Net {
    let mut net = Net::new(n);
    (1..n).for_each(|i| net.link(i - 1, i));
    net
}

fn star(n: u32) -> Net {
    let mut net = Net::new(n);
    (1..n).for_each(|i| net.link(0, i));
    net
}

#[test]
fn sixteen_nodes_know_each_other_within_a_second_in_any_shape() {
    for (name, mut net) in [("ring", ring(16)), ("line", line(16)), ("star", star(16))] {
        let took = net.run_until(SECOND, Net::all_know_all);
        assert!(took.is_some(), "{name}");
    }
}

#[test]
fn a_newcomer_at_the_end_of_a_line_is_known_to_all_within_a_second() {
    let mut net = line(15);
    net.run(SECOND * 5);
    net.add(15);
    net.link(14, 15);
    assert!(net.run_until(SECOND, Net::all_know_all).is_some());
    assert_eq!(net.node(0).book.get(id(15)).unwrap().told_by, Some(id(1)));
}

#[test]
fn a_status_change_reaches_all_within_a_second_and_is_told_once() {
    let mut net = ring(16);
    net.run(SECOND * 5);
    let before: u64 = net.nodes.values().map(|n| n.gossip.view().deltas_out).sum();
    let changed = Record { nat: NatType::Symmetric, ..record(3, 0) };
    net.act(3, |gossip, _, now, out| gossip.set_own(changed, now, out));
    assert!(net.run_until(SECOND, |net| net.all_know(3, 2)).is_some());
    net.run(SECOND * 5);
    let after: u64 = net.nodes.values().map(|n| n.gossip.view().deltas_out).sum();
    assert!(after - before <= 2 * 16, "{} deltas for one change", after - before);
    assert_eq!(net.node(11).book.get(id(3)).unwrap().record().unwrap().nat, NatType::Symmetric);
}

#[test]
fn a_delta_that_is_dropped_before_sending_is_repaired_by_the_digest_within_a_minute() {
    let mut net = line(4);
    net.run(SECOND * 100);
    net.act(0, |gossip, _, now, out| {
        gossip.drop_next_delta();
        gossip.set_own(Record { name: "other".into(), ..record(0, 0) }, now, out);
    });
    net.run(SECOND * 1);
    assert!(!net.all_know(0, 2), "the delta was lost");
    assert!(net.run_until(SECOND * 59, |net| net.all_know(0, 2)).is_some());
    let repairs: u64 = net.nodes.values().map(|n| n.gossip.view().repairs).sum();
    assert!(repairs > 0);
    net.act(0, |gossip, _, now, out| {
        gossip.set_own(Record { name: "third".into(), ..record(0, 0) }, now, out);
    });
    assert!(net.run_until(SECOND, |net| net.all_know(0, 3)).is_some(), "only one batch was lost");
}

#[test]
fn links_that_lose_every_delta_still_converge_hop_by_hop() {
    let mut net = line(3);
    net.run(SECOND * 5);
    net.loses = |message| matches!(message, Message::Delta(_));
    net.act(0, |gossip, _, now, out| {
        gossip.set_own(Record { name: "other".into(), ..record(0, 0) }, now, out);
    });
    assert!(net.run_until(MINUTE, |net| net.nodes[&1].knows(0) == Some(2)).is_some());
    assert!(net.run_until(MINUTE, |net| net.all_know(0, 2)).is_some());
}

#[test]
fn propagation_says_what_the_linked_peers_have() {
    let mut net = star(5);
    net.run(SECOND * 30);
    net.run(MINUTE * 2);
    let view = net.node(0).gossip.view();
    assert_eq!((view.known, view.expected), (20, 20), "five records at each of four peers");

    // One who takes nothing in.
    net.loses = |message| !matches!(message, Message::Digest(_) | Message::DigestPage(_));
    net.act(1, |gossip, _, now, out| {
        gossip.set_own(Record { name: "other".into(), ..record(1, 0) }, now, out);
    });
    net.run(MINUTE * 3);
    let view = net.node(1).gossip.view();
    assert_eq!((view.known, view.expected), (4, 5), "the others lack what the first says anew");
}

#[test]
fn a_fleet_at_rest_says_nothing_but_digests() {
    let mut net = ring(6);
    net.run(MINUTE * 2);
    net.loses = |message| {
        assert!(matches!(message, Message::Digest(_)), "{message:?}");
        false
    };
    net.run(MINUTE * 10);
}

#[test]
fn a_peer_that_leaves_is_deleted_by_its_neighbours_doubted_by_theirs_and_stays_away() {
    let mut net = ring(6);
    net.run(SECOND * 5);
    for neighbour in [1, 5] {
        net.act(neighbour, |gossip, book, now, out| gossip.on_message(id(0), Message::Leave, book, now, out));
        net.cut(0, neighbour);
    }
    net.nodes.remove(&0);
    net.run(SECOND);
    assert_eq!(net.nodes[&1].knows(0), None);
    assert!(net.nodes[&2].book.get(id(0)).unwrap().demoted.is_some());
    assert!(net.nodes[&3].book.get(id(0)).unwrap().demoted.is_none(), "hearsay of it goes no further");
    net.run(MINUTE * 10);
    assert_eq!(net.nodes[&1].knows(0), None, "no digest brings it back");
    assert_eq!(net.nodes[&5].knows(0), None);

    net.add(0);
    net.act(0, |gossip, _, now, out| {
        gossip.set_own(Record { name: "again".into(), ..record(0, 0) }, now, out);
    });
    net.link(0, 2);
    assert!(net.run_until(SECOND, |net| net.all_know(0, 2)).is_some());
    assert!(net.nodes[&2].book.get(id(0)).unwrap().demoted.is_none());
}

#[test]
fn a_lost_removal_is_told_again_by_the_digest() {
    let mut net = line(3);
    net.run(SECOND * 5);
    net.act(1, |gossip, book, now, out| {
        gossip.drop_next_delta();
        gossip.on_message(id(0), Message::Leave, book, now, out);
    });
    net.cut(0, 1);
    net.nodes.remove(&0);
    net.run(SECOND);
    assert!(net.nodes[&2].book.get(id(0)).unwrap().demoted.is_none());
    net.run(MINUTE * 2);
    assert!(net.nodes[&2].book.get(id(0)).unwrap().demoted.is_some());
    assert_eq!(net.nodes[&1].knows(0), None);
}

#[test]
fn word_that_a_peer_is_gone_hides_it_from_nobody() {
    let mut net = line(4);
    net.run(SECOND * 20);
    // 3 hears from 2 that 0 is gone; 0 itself is linked to 1 only.
    net.inject(2, 3, Message::Delta(Delta { added: vec![], removed: vec![id(0)] }));
    net.run(SECOND);
    let asked = net.node(3).log.iter().filter(|o| **o == Output::Ask { peer: id(0) }).count();
    assert_eq!(asked, 1, "the peer itself is to say");
    net.add(4);
    net.link(3, 4);
    net.run(SECOND);
    assert_eq!(net.node(4).knows(0), Some(1), "a newcomer hears of it");
}

#[test]
fn a_node_that_lost_its_counter_issues_versions_above_its_old_ones() {
    let mut net = line(4);
    net.run(SECOND);
    for n in 0..40 {
        let own = Record { name: format!("name {n}"), ..record(0, 0) };
        net.act(0, |gossip, _, now, out| gossip.set_own(own, now, out));
        net.run(SECOND);
    }
    assert!(net.all_know(0, 41));
    net.cut(0, 1);
    net.add(0);
    net.link(0, 1);
    net.run(SECOND);
    assert!(net.node(0).gossip.own().version > 41);
    assert!(net.all_know(0, 42));
    assert_eq!(net.node(3).book.get(id(0)).unwrap().record().unwrap().name, "node-0");
}

#[test]
fn the_same_seeds_make_the_same_history() {
    let history = || {
        let mut net = ring(8);
        net.run(MINUTE * 5);
        net.nodes.values().map(|node| format!("{:?}", node.log)).collect::<Vec<_>>()
    };
    assert_eq!(history(), history());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_happens_and_gets_lost_a_connected_fleet_agrees_within_minutes(
        spine in proptest::collection::vec(any::<prop::sample::Index>(), 7),
        steps in proptest::collection::vec((0u8..5, 0u32..8, 0u32..8, 0u64..40), 0..30),
    ) {
        let mut net = Net::new(8);
        net.delta_loss = 40;
        for (step, a, b, seconds) in steps {
            match step {
                0 | 1 if a != b => net.link(a, b),
                2 if a != b => net.cut(a, b),
                3 => net.inject(a, b, Message::Delta(Delta { added: vec![], removed: vec![id(b + 1), id(0)] })),
                _ => net.act(a, |gossip, _, now, out| {
                    gossip.set_own(Record { name: format!("{b}{seconds}"), ..record(a, 0) }, now, out);
                }),
            }
            net.run(SECOND * seconds as u32);
        }
        // A tree over all of them.
        for (n, parent) in (1..8).zip(spine) {
            net.link(n, parent.index(n as usize) as u32);
        }
        net.run(MINUTE * 20);
        net.delta_loss = 0;
        net.run(MINUTE * 10);
        for n in 0..8 {
            let own = net.node(n).gossip.own().clone();
            prop_assert!(net.all_know(n, own.version), "{n}");
            for (m, node) in net.nodes.iter().filter(|(m, _)| **m != n) {
                let entry = node.book.get(id(n)).unwrap();
                prop_assert_eq!(&entry.record().unwrap().name, &own.name, "{} at {}", n, m);
            }
            let view = net.node(n).gossip.view();
            prop_assert_eq!(view.known, view.expected);
        }
    }
}
