//! One machine, message by message.

use std::time::Duration;

use super::super::*;
use super::net::*;
use crate::core::limits::{DELTA_RECORDS_MAX, SYNC_SERVE_BURST, SYNC_SERVE_EVERY};
use crate::core::wire::{Delta, FullSync, Record, RelayAddr, Request, SyncRefused, Want};
use crate::model::{DropReason, EventKind, NatType, Reason};

const SECOND: Duration = Duration::from_secs(1);

fn node_with_links(links: u32) -> (Node, Now) {
    let now = Now::START;
    let mut node = Node::new(0, now);
    for n in 1..=links {
        node.gossip.link_up(id(n), LINK, &mut node.book, now);
        node.gossip.room(id(n), ROOM_AT_START, &node.book, now);
    }
    node.drain();
    (node, now)
}

fn hear(node: &mut Node, from: u32, message: Message, now: Now) -> Vec<(PeerId, Message)> {
    node.gossip.on_message(id(from), message, &mut node.book, now);
    node.drain()
}

fn delta(records: Vec<Record>) -> Message {
    Message::Delta(Delta { added: records, removed: vec![] })
}

/// To whom, which records, which removals.
type Told = (PeerId, Vec<(PeerId, u64)>, Vec<PeerId>);

/// What a batch says, once it is due.
fn flush(node: &mut Node, now: Now) -> Vec<Told> {
    node.gossip.handle_timeout(&node.book, now.plus(DELTA_BATCH));
    node.drain()
        .into_iter()
        .filter_map(|(to, message)| match message {
            Message::Delta(d) => Some((to, d.added.iter().map(|r| (r.peer, r.version)).collect(), d.removed)),
            _ => None,
        })
        .collect()
}

#[test]
fn test_full_sync_on_connect() {
    let now = Now::START;
    let mut node = Node::new(0, now);
    for n in 10..15 {
        node.book.hearsay(record(n, 1), id(9), now).unwrap();
    }
    node.gossip.link_up(id(1), LINK, &mut node.book, now);
    let sent = node.drain();
    let [(to, Message::FullSync(page))] = sent.as_slice() else {
        panic!("{sent:?}");
    };
    assert_eq!((*to, page.sync, page.page, page.last), (id(1), 0, 0, true));
    assert_eq!(page.records[0].peer, id(0), "our own record comes first");
    assert_eq!(page.records.len(), 6);
}

#[test]
fn test_delta_broadcast_on_new_peer() {
    let (mut node, now) = node_with_links(3);
    hear(&mut node, 1, delta(vec![record(7, 1)]), now);
    let told = flush(&mut node, now);
    let news = vec![(id(7), 1)];
    assert_eq!(told.len(), 2);
    for (to, added, _) in &told {
        assert!(*to == id(2) || *to == id(3), "not back to where it came from");
        assert_eq!(*added, news);
    }
    hear(&mut node, 2, delta(vec![record(7, 1)]), now);
    assert!(flush(&mut node, now).is_empty(), "passed on once");
}

#[test]
fn test_delta_broadcast_on_status_change() {
    let (mut node, now) = node_with_links(2);
    hear(&mut node, 1, delta(vec![record(1, 1)]), now);
    flush(&mut node, now);
    let relay = RelayAddr { relay: id(5), addr: ([8, 8, 8, 8], 2000).into() };
    let changed = Record { nat: NatType::Symmetric, relays: vec![relay], ..record(1, 2) };
    hear(&mut node, 1, delta(vec![changed.clone()]), now);
    let change = node.log.iter().rev().find_map(|o| match o {
        Output::Changed { change, .. } => Some(change.clone()),
        _ => None,
    });
    assert!(change.unwrap().significant());
    assert_eq!(flush(&mut node, now), vec![(id(2), vec![(id(1), 2)], vec![])]);

    let change = node.book.leave(id(1), now);
    node.gossip.spread(id(1), &change, now);
    assert!(flush(&mut node, now).contains(&(id(2), vec![], vec![id(1)])));
}

#[test]
fn test_cache_merge_deduplication() {
    let (mut node, now) = node_with_links(2);
    let page = |sync| {
        let records = vec![record(7, 1), record(8, 1), record(7, 1)];
        Message::FullSync(FullSync { sync, page: 0, last: true, records })
    };
    hear(&mut node, 1, page(0), now);
    hear(&mut node, 2, page(0), now);
    hear(&mut node, 1, delta(vec![record(7, 1), record(8, 2)]), now);
    assert_eq!(node.book.len(), 4, "two links and two others");
    assert_eq!((node.knows(7), node.knows(8)), (Some(1), Some(2)));
}

#[test]
fn our_own_record_goes_out_only_when_it_says_something_new() {
    let (mut node, now) = node_with_links(1);
    node.gossip.set_own(record(0, 99), now);
    assert_eq!(node.gossip.own().version, 1);
    assert!(flush(&mut node, now).is_empty());
    node.gossip.set_own(Record { nat: NatType::None, ..record(0, 99) }, now);
    assert_eq!(node.gossip.own().version, 2);
    assert_eq!(flush(&mut node, now), vec![(id(1), vec![(id(0), 2)], vec![])]);
    assert!(node.log.contains(&Output::Published { version: 2 }));
}

#[test]
fn changes_of_our_own_record_that_go_out_together_are_one_event() {
    let (mut node, now) = node_with_links(1);
    node.gossip.set_own(Record { nat: NatType::None, ..record(0, 99) }, now);
    node.gossip.set_own(Record { nat: NatType::Symmetric, ..record(0, 99) }, now);
    assert_eq!(flush(&mut node, now), vec![(id(1), vec![(id(0), 3)], vec![])]);
    let told: Vec<_> = node
        .log
        .iter()
        .filter_map(|output| match output {
            Output::Event { kind: EventKind::RecordPublished { version }, .. } => Some(*version),
            _ => None,
        })
        .collect();
    assert_eq!(told, [3]);
}

#[test]
fn a_burst_of_changes_is_one_message() {
    let (mut node, now) = node_with_links(2);
    for n in 10..15 {
        hear(&mut node, 1, delta(vec![record(n, 1)]), now);
    }
    assert_eq!(node.gossip.next_timeout(), Some(now.mono + DELTA_BATCH));
    let told = flush(&mut node, now);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].1.len(), 5);
}

#[test]
fn a_delta_that_finds_no_room_is_dropped_and_counted() {
    let (mut node, now) = node_with_links(2);
    node.gossip.room(id(2), 10, &node.book, now);
    hear(&mut node, 1, delta(vec![record(10, 1)]), now);
    assert!(flush(&mut node, now).is_empty());
    assert_eq!(node.counter(DropReason::GossipDeltaDropped), 1);
}

#[test]
fn a_batch_is_no_longer_than_the_other_end_takes() {
    let (mut node, now) = node_with_links(2);
    node.gossip.room(id(2), usize::MAX, &node.book, now);
    // More than a batch, all known already, changed at once.
    for n in 0..DELTA_RECORDS_MAX as u32 + 50 {
        node.gossip.pass_on(id(n + 10), &Change { updated: true, ..Change::default() }, Some(id(1)), now);
        let _ = node.book.first_hand(record(n + 10, 1), now);
    }
    let told: usize = flush(&mut node, now).iter().map(|(_, added, _)| added.len()).sum();
    assert_eq!(told, DELTA_RECORDS_MAX);
    assert_eq!(node.counter(DropReason::GossipDeltaDropped), 50);
}

#[test]
fn pages_wait_for_room() {
    let now = Now::START;
    let mut node = Node::new(0, now);
    for n in 10..2_010 {
        let _ = node.book.first_hand(record(n, 1), now);
    }
    node.gossip.link_up(id(1), LINK, &mut node.book, now);
    let count = |sent: &[(PeerId, Message)]| {
        sent.iter()
            .map(|(_, m)| match m {
                Message::FullSync(page) => page.records.len(),
                _ => 0,
            })
            .sum::<usize>()
    };
    let mut got = count(&node.drain());
    assert!(got < 2_001);
    node.gossip.room(id(1), 1_000, &node.book, now);
    assert!(node.drain().is_empty(), "too little to begin a page");
    while got < 2_001 {
        node.gossip.room(id(1), 100_000, &node.book, now);
        let sent = node.drain();
        let bytes: usize = sent.iter().map(|(_, m)| m.encode(1, 1).unwrap().len()).sum();
        assert!(bytes <= 100_000 && bytes > 0);
        got += count(&sent);
    }
    assert_eq!(got, 2_001);
    assert_eq!(node.gossip.view().syncs_out, 1);
}

fn synced(node: &Node) -> Vec<(CommandId, SyncReport)> {
    node.log
        .iter()
        .filter_map(|o| match o {
            Output::Synced { command, report } => Some((*command, *report)),
            _ => None,
        })
        .collect()
}

fn request_number(sent: &[(PeerId, Message)], to: u32) -> Option<u32> {
    sent.iter().find_map(|(peer, m)| match m {
        Message::Request(Request { sync, want: Want::All }) if *peer == id(to) => Some(*sync),
        _ => None,
    })
}

#[test]
fn a_sync_asks_answers_and_reports_what_came() {
    let (mut node, now) = node_with_links(1);
    node.gossip.sync(Some(id(1)), CommandId(4), &node.book, now).unwrap();
    let sent = node.drain();
    let sync = request_number(&sent, 1).unwrap();
    assert!(sent.iter().any(|(_, m)| matches!(m, Message::FullSync(p) if p.last)), "our half");
    let later = now.plus(Duration::from_millis(30));
    let page = |page, last, n| Message::FullSync(FullSync { sync, page, last, records: vec![record(n, 1)] });
    hear(&mut node, 1, page(0, false, 7), later);
    assert!(synced(&node).is_empty());
    hear(&mut node, 1, page(1, true, 7), later);
    let [(CommandId(4), report)] = synced(&node)[..] else {
        panic!("{:?}", node.log);
    };
    assert_eq!((report.peers_asked, report.peers_synced), (1, 1));
    assert_eq!((report.records_received, report.records_new), (2, 1));
    assert!(report.records_sent >= 1);
    assert_eq!(report.elapsed_ms, 30);
}

#[test]
fn a_sync_ends_after_three_seconds_with_what_came() {
    let (mut node, now) = node_with_links(2);
    node.gossip.sync(None, CommandId(4), &node.book, now).unwrap();
    let sent = node.drain();
    let sync = request_number(&sent, 1).unwrap();
    let page = FullSync { sync, page: 0, last: true, records: vec![record(7, 1)] };
    hear(&mut node, 1, Message::FullSync(page), now);
    node.gossip.handle_timeout(&node.book, now.plus(Duration::from_millis(2_999)));
    node.drain();
    assert!(synced(&node).is_empty());
    assert!(node.gossip.next_timeout().unwrap() <= now.mono + SYNC_WITHIN);
    node.gossip.handle_timeout(&node.book, now.plus(SYNC_WITHIN));
    node.drain();
    let [(_, report)] = synced(&node)[..] else {
        panic!("{:?}", node.log);
    };
    assert_eq!((report.peers_asked, report.peers_synced, report.elapsed_ms), (2, 1, 3_000));
}

#[test]
fn a_peer_that_serves_no_sync_now_says_when_and_the_sync_ends_at_once() {
    let (mut node, now) = node_with_links(1);
    node.gossip.sync(Some(id(1)), CommandId(4), &node.book, now).unwrap();
    let sync = request_number(&node.drain(), 1).unwrap();
    hear(&mut node, 1, Message::SyncRefused(SyncRefused { sync: sync + 1, retry_s: 9 }), now);
    assert!(synced(&node).is_empty(), "that was another question");
    hear(&mut node, 1, Message::SyncRefused(SyncRefused { sync, retry_s: 24 }), now);
    let [(CommandId(4), report)] = synced(&node)[..] else {
        panic!("{:?}", node.log);
    };
    assert_eq!((report.peers_asked, report.peers_synced, report.peers_refused), (1, 0, 1));
    assert_eq!(report.retry_ms, Some(24_000));
}

#[test]
fn who_asks_for_too_many_full_syncs_is_told_when_the_next_one_is_served() {
    let (mut node, now) = node_with_links(1);
    let ask = |sync| Message::Request(Request { sync, want: Want::All });
    // The sync of the new link is the first one.
    for sync in 1..SYNC_SERVE_BURST as u32 {
        let sent = hear(&mut node, 1, ask(sync), now);
        assert!(sent.iter().any(|(_, m)| matches!(m, Message::FullSync(p) if p.sync == sync)), "{sync}");
    }
    let refused = SyncRefused { sync: 77, retry_s: SYNC_SERVE_EVERY.as_secs() as u16 + 1 };
    assert_eq!(hear(&mut node, 1, ask(77), now), [(id(1), Message::SyncRefused(refused))]);
}

#[test]
fn a_sync_asked_for_again_joins_the_running_one() {
    let (mut node, now) = node_with_links(1);
    node.gossip.sync(None, CommandId(1), &node.book, now).unwrap();
    let sync = request_number(&node.drain(), 1).unwrap();
    for n in 2..20 {
        node.gossip.sync(None, CommandId(n), &node.book, now).unwrap();
    }
    assert!(node.drain().is_empty(), "nothing more is said");
    hear(&mut node, 1, Message::FullSync(FullSync { sync, page: 0, last: true, records: vec![] }), now);
    assert_eq!(synced(&node).len(), 19, "each command has its end");
}

#[test]
fn a_sync_with_nobody_says_so_and_one_whose_link_goes_ends() {
    let (mut node, now) = node_with_links(1);
    assert_eq!(node.gossip.sync(Some(id(9)), CommandId(1), &node.book, now), Err(Reason::NotLinked));
    node.gossip.sync(None, CommandId(2), &node.book, now).unwrap();
    node.gossip.link_down(id(1), &mut node.book, now);
    node.drain();
    let [(CommandId(2), report)] = synced(&node)[..] else {
        panic!("{:?}", node.log);
    };
    assert_eq!((report.peers_asked, report.peers_synced), (1, 0));
    assert_eq!(node.gossip.sync(None, CommandId(3), &node.book, now), Err(Reason::NoLinks));
}

#[test]
fn a_record_travels_with_the_age_of_the_last_contact() {
    let (mut node, now) = node_with_links(1);
    hear(&mut node, 1, delta(vec![Record { age_s: 100, ..record(7, 1) }]), now);
    let later = now.plus(SECOND * 5);
    let out = node.gossip.outgoing(id(7), LINK, &node.book, later).unwrap();
    assert_eq!(out.age_s, 105);
    let out = node.gossip.outgoing(id(1), LINK, &node.book, later);
    assert!(out.is_none(), "it said nothing of itself yet");
    hear(&mut node, 1, delta(vec![record(1, 1)]), now);
    let out = node.gossip.outgoing(id(1), LINK, &node.book, later).unwrap();
    assert_eq!(out.age_s, 5, "that its link stands is no sighting");
    node.book.heard(&id(1), later);
    assert_eq!(node.gossip.outgoing(id(1), LINK, &node.book, later).unwrap().age_s, 0);
}

#[test]
fn what_nobody_saw_for_a_month_is_no_longer_shared() {
    let (mut node, now) = node_with_links(1);
    let age_s = u32::try_from(SHARED_AGE.as_secs()).unwrap();
    hear(&mut node, 1, delta(vec![Record { age_s, ..record(7, 1) }, record(8, 1)]), now);
    let shared = |n, now| super::super::serve::shared(node.book.get(id(n)).unwrap(), now).is_some();
    assert!(shared(7, now));
    let later = now.plus(SECOND);
    assert!(!shared(7, later));
    assert!(shared(8, later));
}

#[test]
fn private_addresses_are_told_only_where_they_mean_something() {
    let (mut node, now) = node_with_links(2);
    node.gossip.set_context(id(2), LinkContext { private: true, ..LINK }, &node.book, now);
    node.drain();
    let own =
        Record { addresses: vec![([10, 0, 0, 1], 2000).into(), ([8, 8, 8, 8], 2000).into()], ..record(0, 0) };
    node.gossip.set_own(own, now);
    node.gossip.handle_timeout(&node.book, now.plus(DELTA_BATCH));
    let told: BTreeMap<PeerId, usize> = node
        .drain()
        .into_iter()
        .filter_map(|(to, m)| match m {
            Message::Delta(d) => Some((to, d.added[0].addresses.len())),
            _ => None,
        })
        .collect();
    assert_eq!(told, BTreeMap::from([(id(1), 1), (id(2), 2)]));

    node.gossip.set_context(id(1), LinkContext { private: true, ..LINK }, &node.book, now);
    let sent = node.drain();
    let [(to, Message::Delta(d))] = sent.as_slice() else {
        panic!("{sent:?}");
    };
    assert_eq!(
        (*to, d.added[0].peer, d.added[0].addresses.len()),
        (id(1), id(0), 2),
        "told when it comes to mean something"
    );
}
