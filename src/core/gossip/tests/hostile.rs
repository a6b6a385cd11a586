//! Peers gone bad. Each test fails when its limit is removed.

use crate::model::DropReason;
use std::time::Duration;

use super::super::*;
use super::net::*;
use crate::core::limits::*;
use crate::core::wire::{
    Delta, Digest, DigestEntry, DigestPage, FullSync, PeerPrefix, Record, Request, Want,
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// A node with a link to peer 1, who says whatever the test wants.
fn linked(outbound: bool) -> (Node, Now) {
    let now = Now::START;
    let mut node = Node::new(0, now);
    node.gossip.link_up(id(1), LinkContext { outbound, ..LINK }, &mut node.book, now);
    node.drain();
    (node, now)
}

fn hear(node: &mut Node, message: Message, now: Now) -> Vec<(PeerId, Message)> {
    node.gossip.on_message(id(1), message, &mut node.book, now);
    node.drain()
}

fn delta(records: Vec<Record>) -> Message {
    Message::Delta(Delta { added: records, removed: vec![] })
}

/// Tells of `count` records from number `first` on; returns how many passed
/// the intake.
fn flood(node: &mut Node, first: u32, count: u32, now: Now) -> u64 {
    let before = node.counter(DropReason::GossipIntake);
    for n in first..first + count {
        hear(node, delta(vec![record(n, 1)]), now);
    }
    u64::from(count) - (node.counter(DropReason::GossipIntake) - before)
}

#[test]
fn a_flooding_link_is_cut_to_its_burst_and_then_its_rate() {
    let (mut node, now) = linked(false);
    assert_eq!(flood(&mut node, 10, 3_000, now), INTAKE_BURST as u64);
    assert_eq!(flood(&mut node, 5_000, 100, now.plus(SECOND * 7)), 7);
    assert!(node.gossip.view().dropped >= 2_000);
    let told =
        node.log.iter().filter(|o| matches!(o, Output::Event { kind: EventKind::LimitHit { .. }, .. }));
    assert_eq!(told.count(), 1, "a flood is one line");
}

#[test]
fn removals_are_counted_like_records() {
    let (mut node, now) = linked(false);
    for _ in 0..10 {
        let removed = (0..200).map(|n| id(10 + n)).collect();
        hear(&mut node, Message::Delta(Delta { added: vec![], removed }), now);
    }
    assert_eq!(node.counter(DropReason::GossipIntake), 2_000 - INTAKE_BURST as u64);
}

#[test]
fn linking_again_brings_no_new_burst() {
    let (mut node, now) = linked(false);
    flood(&mut node, 10, 1_000, now);
    node.gossip.link_down(id(1), &mut node.book, now);
    node.gossip.link_up(id(1), LINK, &mut node.book, now);
    assert_eq!(flood(&mut node, 2_000, 100, now), 0);
}

#[test]
fn our_own_request_lets_ten_thousand_in_and_no_more() {
    let (mut node, now) = linked(false);
    node.gossip.sync(None, CommandId(1), &node.book, now).unwrap();
    assert_eq!(flood(&mut node, 10, 12_000, now), INTAKE_BURST_REQUESTED as u64);
}

#[test]
fn a_cut_full_sync_is_asked_for_again_once_and_only_where_we_dialled() {
    let train = |node: &mut Node, now| {
        let mut asked = 0;
        for page in 0..6 {
            let records = (0..256).map(|n| record(10 + page * 256 + n, 1)).collect();
            let page = FullSync { sync: 0, page, last: page == 5, records };
            let out = hear(node, Message::FullSync(page), now);
            asked += out.iter().filter(|(_, m)| matches!(m, Message::Request(_))).count();
        }
        asked
    };
    let (mut node, now) = linked(true);
    assert_eq!(train(&mut node, now), 1);
    node.gossip.on_message(
        id(1),
        Message::FullSync(FullSync { sync: 0, page: 0, last: true, records: vec![] }),
        &mut node.book,
        now,
    );
    assert_eq!((train(&mut node, now), train(&mut node, now)), (0, 0));
    let (mut node, now) = linked(false);
    assert_eq!(train(&mut node, now), 0);
}

#[test]
fn a_forged_version_far_above_the_known_one_is_dropped_and_counted() {
    let (mut node, now) = linked(false);
    hear(&mut node, delta(vec![record(2, 5)]), now);
    hear(&mut node, delta(vec![record(2, 5 + VERSION_JUMP_MAX + 1)]), now);
    assert_eq!(node.knows(2), Some(5));
    assert_eq!(node.counter(DropReason::RecordVersionJump), 1);
    hear(&mut node, delta(vec![record(2, 5 + VERSION_JUMP_MAX)]), now);
    assert_eq!(node.knows(2), Some(5 + VERSION_JUMP_MAX));
}

#[test]
fn our_own_counter_cannot_be_driven_far_or_fast() {
    let (mut node, now) = linked(false);
    hear(&mut node, delta(vec![record(0, u64::MAX)]), now);
    assert_eq!(node.gossip.own().version, 1);
    assert_eq!(node.counter(DropReason::RecordVersionJump), 1);
    hear(&mut node, delta(vec![record(0, 7)]), now);
    assert_eq!(node.gossip.own().version, 8);
    for v in 8..100 {
        hear(&mut node, delta(vec![record(0, v)]), now);
    }
    assert_eq!(node.gossip.own().version, 8, "once in a while is enough");
    let later = now.plus(REISSUE_EVERY);
    node.gossip.handle_timeout(&node.book, later);
    assert_eq!(node.gossip.own().version, 100);
}

#[test]
fn forged_records_do_not_stick_in_a_fleet() {
    let mut net = Net::new(5);
    (1..5).for_each(|n| net.link(n - 1, n));
    net.run(SECOND * 5);
    // 4 lies about 0, who is linked to 1 only.
    let forged = Record { name: "forged".into(), ..record(0, 9) };
    net.inject(4, 3, delta(vec![forged.clone()]));
    net.inject(4, 3, delta(vec![Record { version: u64::MAX, ..forged }]));
    net.run(SECOND * 2);
    for n in [1, 2, 3] {
        let entry = net.node(n).book.get(id(0)).unwrap().record().unwrap().clone();
        assert_eq!((entry.name.as_str(), entry.version), ("node-0", 1), "at {n}");
    }
}

#[test]
fn a_peer_that_signs_is_not_even_told_of_what_others_make_up() {
    let (mut node, now) = linked(false);
    node.gossip.link_up(id(2), LINK, &mut node.book, now);
    node.gossip.on_message(id(2), delta(vec![signed(2, 5)]), &mut node.book, now);
    node.drain();
    let forged = Record { version: 6, ..signed(2, 5) };
    for lie in [record(2, 6), forged, Record { proof: signed(3, 1).proof, ..record(2, 6) }] {
        assert!(hear(&mut node, delta(vec![lie]), now).is_empty());
    }
    assert_eq!(node.counter(DropReason::RecordForged), 3);
    // What it did sign it is told of: it lost its counter.
    let told = hear(&mut node, delta(vec![signed(2, VERSION_JUMP_MAX * 9)]), now);
    assert_eq!(told.len(), 1);
}

#[test]
fn a_lost_counter_is_found_again_however_far_it_had_come() {
    let (mut node, now) = linked(false);
    hear(&mut node, delta(vec![signed(0, VERSION_JUMP_MAX * 9)]), now);
    assert_eq!(node.gossip.own().version, VERSION_JUMP_MAX * 9 + 1);
    let later = now.plus(REISSUE_EVERY);
    let forged = Record { version: VERSION_JUMP_MAX * 30, ..signed(0, 1) };
    hear(&mut node, delta(vec![forged]), later);
    assert_eq!(node.gossip.own().version, VERSION_JUMP_MAX * 9 + 1);
}

#[test]
fn hearsay_about_a_linked_peer_is_not_taken_up() {
    let (mut node, now) = linked(false);
    node.gossip.link_up(id(2), LINK, &mut node.book, now);
    node.gossip.on_message(id(2), delta(vec![record(2, 5)]), &mut node.book, now);
    let told = hear(&mut node, delta(vec![Record { name: "forged".into(), ..record(2, 6) }]), now);
    assert_eq!(node.book.get(id(2)).unwrap().record().unwrap().name, "node-2");
    assert!(
        told.iter().any(|(to, m)| *to == id(2) && matches!(m, Message::Delta(_))),
        "its subject hears of it"
    );
    let removed = Message::Delta(Delta { added: vec![], removed: vec![id(2)] });
    hear(&mut node, removed, now);
    assert!(node.book.get(id(2)).unwrap().demoted.is_none());
}

#[test]
fn a_removal_deletes_nobody_and_one_of_ourselves_is_answered_with_a_new_version() {
    let (mut node, now) = linked(false);
    hear(&mut node, delta(vec![record(2, 5)]), now);
    hear(&mut node, Message::Delta(Delta { added: vec![], removed: vec![id(2), id(0)] }), now);
    assert_eq!(node.knows(2), Some(5));
    assert!(node.book.get(id(2)).unwrap().demoted.is_some());
    assert_eq!(node.gossip.own().version, 2);
}

#[test]
fn addresses_against_the_rules_do_not_reach_the_book() {
    let (mut node, now) = linked(false);
    let mut bad = record(2, 1);
    bad.addresses = ["127.0.0.1:2000", "10.0.0.1:2000", "8.8.8.8:53", "[::ffff:8.8.4.4]:2000"]
        .map(|a| a.parse().unwrap())
        .to_vec();
    hear(&mut node, delta(vec![bad]), now);
    let kept = node.book.get(id(2)).unwrap().record().unwrap().addresses.clone();
    assert_eq!(kept, vec!["8.8.4.4:2000".parse().unwrap()]);
    assert_eq!(node.counter(DropReason::RecordAddresses), 3);
}

#[test]
fn whom_we_had_to_do_with_comes_before_whom_somebody_invented() {
    let (mut node, now) = linked(false);
    flood(&mut node, 10, 300, now);
    let honest = id(4_000);
    node.gossip.link_up(honest, LINK, &mut node.book, now);
    node.gossip.on_message(honest, delta(vec![record(4_000, 3)]), &mut node.book, now);
    let newcomer = id(5_000);
    node.gossip.link_up(newcomer, LINK, &mut node.book, now);
    node.gossip.room(newcomer, ROOM_AT_START, &node.book, now);
    let told: Vec<PeerId> = node
        .drain()
        .into_iter()
        .filter(|(to, _)| *to == newcomer)
        .filter_map(|(_, message)| match message {
            Message::FullSync(page) => Some(page.records.into_iter().map(|r| r.peer)),
            _ => None,
        })
        .flatten()
        .collect();
    assert!(told.len() > 300, "{}", told.len());
    assert!(told.iter().position(|peer| *peer == honest).unwrap() < 4);
}

#[test]
fn one_source_cannot_fill_the_book() {
    let (mut node, now) = linked(false);
    flood(&mut node, 10, 1_000, now);
    assert_eq!(node.book.len(), 512, "its own entry among them: it is not tried yet");
    assert!(node.counter(DropReason::CacheSourceShare) > 0);
}

fn pages_in(out: &[(PeerId, Message)]) -> usize {
    out.iter().filter(|(_, m)| matches!(m, Message::FullSync(p) if p.last)).count()
}

#[test]
fn full_syncs_are_served_six_times_and_then_every_thirty_seconds() {
    let (mut node, now) = linked(false);
    let ask = |node: &mut Node, now| {
        let asks = |n| Message::Request(Request { sync: n, want: Want::All });
        (1..=20).map(|n| pages_in(&hear(node, asks(n), now))).sum::<usize>()
    };
    // The first of the six was the one at the start of the link.
    assert_eq!(ask(&mut node, now), 5);
    assert_eq!(ask(&mut node, now.plus(SYNC_SERVE_EVERY)), 1);
    assert!(node.counter(DropReason::GossipServe) > 0);
}

#[test]
fn single_records_are_served_by_number() {
    let (mut node, now) = linked(false);
    let prefixes = (0..500).map(|n| id(n + 10).into()).collect();
    let ask = Message::Request(Request { sync: 1, want: Want::Prefixes(prefixes) });
    let served: usize = (0..20).map(|_| pages_in(&hear(&mut node, ask.clone(), now))).sum();
    assert_eq!(served, (RECORDS_SERVE_BURST as usize) / 500);
    let nothing = Message::Request(Request { sync: 1, want: Want::Prefixes(vec![]) });
    let served: usize = (0..200).map(|_| pages_in(&hear(&mut node, nothing.clone(), now))).sum();
    assert!(served < 100, "asking for nothing is not free");
}

/// A book in which so many invented ids share one prefix.
fn with_colliding(count: u32) -> (Node, Now, PeerPrefix) {
    let (mut node, now) = linked(false);
    let prefix = PeerPrefix([0x77; 8]);
    for n in 0..count {
        let mut peer = [0x77; 32];
        peer[28..].copy_from_slice(&n.to_be_bytes());
        let _ = node.book.first_hand(Record { peer: PeerId(peer), ..record(n, 1) }, now);
    }
    node.gossip.room(id(1), usize::MAX, &node.book, now);
    (node, now, prefix)
}

fn records_in(out: &[(PeerId, Message)]) -> usize {
    let records = |(_, m): &(PeerId, Message)| match m {
        Message::FullSync(page) => page.records.len(),
        _ => 0,
    };
    out.iter().map(records).sum()
}

#[test]
fn one_prefix_asked_for_five_hundred_times_yields_a_few_records_once() {
    let (mut node, now, prefix) = with_colliding(1_000);
    let ask = Message::Request(Request { sync: 1, want: Want::Prefixes(vec![prefix; 500]) });
    assert_eq!(records_in(&hear(&mut node, ask, now)), PREFIX_RECORDS_MAX);
}

#[test]
fn records_behind_prefixes_are_paid_for_one_by_one() {
    let (mut node, now, prefix) = with_colliding(1_000);
    let ask = Message::Request(Request { sync: 1, want: Want::Prefixes(vec![prefix]) });
    let mut served = 0;
    for _ in 0..5_000 {
        served += records_in(&hear(&mut node, ask.clone(), now));
        node.gossip.room(id(1), usize::MAX, &node.book, now);
    }
    assert_eq!(served, RECORDS_SERVE_BURST as usize);
    assert!(node.counter(DropReason::GossipServeRecords) > 0);
}

#[test]
fn an_answer_is_made_as_there_is_room_for_it() {
    let (mut node, now) = linked(false);
    for n in 0..5_000 {
        let _ = node.book.first_hand(record(10 + n, 1), now);
    }
    node.gossip.room(id(1), 0, &node.book, now);
    for sync in 1..=SYNC_QUEUE_MAX as u32 {
        hear(&mut node, Message::Request(Request { sync, want: Want::All }), now);
    }
    // What waits knows how far it is, and holds no record and no id.
    let waiting = &node.gossip.links[&id(1)].queue;
    assert!(waiting.len() > 3);
    assert!(waiting.iter().all(|train| matches!(train.whose, super::super::link::Whose::All)));
    node.gossip.room(id(1), 20_000, &node.book, now);
    let first = records_in(&node.drain());
    assert!(first > 0 && first < 300, "{first} records in 20 kB");
}

#[test]
fn four_links_are_served_at_once_and_a_stalled_one_gives_its_place_up() {
    let now = Now::START;
    let mut node = Node::new(0, now);
    for n in 1..=6 {
        node.gossip.link_up(id(n), LINK, &mut node.book, now);
        // Nothing gets through to the first ones.
        if n <= 4 {
            node.gossip.room(id(n), 0, &node.book, now);
        }
    }
    node.drain();
    for n in 1..=4 {
        node.gossip.on_message(
            id(n),
            Message::Request(Request { sync: 1, want: Want::All }),
            &mut node.book,
            now,
        );
    }
    node.gossip.on_message(
        id(5),
        Message::Request(Request { sync: 1, want: Want::All }),
        &mut node.book,
        now,
    );
    assert_eq!(pages_in(&node.drain()), 0, "all places are taken");
    let later = now.plus(SYNC_STALL);
    assert!(node.gossip.next_timeout().unwrap() <= later.mono);
    node.gossip.handle_timeout(&node.book, later);
    let out = node.drain();
    assert_eq!(pages_in(&out), 1);
    assert!(out.iter().any(|(to, m)| *to == id(5) && matches!(m, Message::FullSync(_))));
    assert_eq!(node.counter(DropReason::GossipStalled), 4);
}

#[test]
fn waiting_answers_are_bounded_per_link() {
    let (mut node, now) = linked(false);
    node.gossip.room(id(1), 0, &node.book, now);
    let ask = Message::Request(Request { sync: 1, want: Want::Prefixes(vec![PeerPrefix([1; 8])]) });
    for _ in 0..100 {
        hear(&mut node, ask.clone(), now);
    }
    assert_eq!(node.counter(DropReason::GossipServeQueue), 100 - SYNC_QUEUE_MAX as u64);
}

#[test]
fn digests_are_looked_at_a_few_times_and_then_every_thirty_seconds() {
    let (mut node, now) = linked(false);
    let digest = Message::Digest(Digest { round: 1, count: 9, hash: [0; 16] });
    let ask = |node: &mut Node, now| {
        let answered = (0..20).flat_map(|_| hear(node, digest.clone(), now));
        answered.filter(|(_, m)| matches!(m, Message::DigestPage(_))).count()
    };
    assert_eq!(ask(&mut node, now), DIGEST_BURST as usize);
    assert_eq!(ask(&mut node, now.plus(DIGEST_EVERY_MIN)), 1);
}

/// Lets our digest go out, and answers it with entries.
fn answer_digest(node: &mut Node, entries: &[DigestEntry], now: Now) -> Vec<(PeerId, Message)> {
    node.gossip.handle_timeout(&node.book, now);
    let round = node.drain().into_iter().find_map(|(_, m)| match m {
        Message::Digest(digest) => Some(digest.round),
        _ => None,
    });
    let round = round.expect("a digest is due");
    let mut out = Vec::new();
    let pages = entries.chunks(DigestPage::ENTRIES_MAX);
    let count = pages.len();
    for (page, entries) in pages.enumerate() {
        let page =
            DigestPage { round, page: page as u32, last: page + 1 == count, entries: entries.to_vec() };
        out.extend(hear(node, Message::DigestPage(page), now));
    }
    out
}

fn invented(count: u32) -> Vec<DigestEntry> {
    (0..count).map(|n| DigestEntry { peer: id(n + 10).into(), version: 1 }).collect()
}

fn asked_for(out: &[(PeerId, Message)]) -> usize {
    out.iter()
        .map(|(_, m)| match m {
            Message::Request(Request { want: Want::Prefixes(p), .. }) => p.len(),
            _ => 0,
        })
        .sum()
}

#[test]
fn an_invented_digest_makes_us_ask_for_so_much_and_no_more() {
    let (mut node, now) = linked(false);
    let out = answer_digest(&mut node, &invented(9_000), now.plus(SECOND * 20));
    assert_eq!(asked_for(&out), REPAIR_PULL_MAX);
    let taken = flood(&mut node, 10, 9_000, now.plus(SECOND * 20));
    assert!(taken <= (INTAKE_BURST as u64) + REPAIR_PULL_MAX as u64);
}

#[test]
fn a_digest_with_more_entries_than_anybody_has_is_thrown_away() {
    let (mut node, now) = linked(false);
    let out = answer_digest(&mut node, &invented(30_000), now.plus(SECOND * 20));
    assert_eq!(asked_for(&out), 0);
    assert_eq!(node.counter(DropReason::GossipDigestTooLong), 1);
}

#[test]
fn a_digest_page_that_we_did_not_ask_for_is_ignored() {
    let (mut node, now) = linked(false);
    let page = DigestPage { round: 77, page: 0, last: true, entries: invented(10) };
    assert!(hear(&mut node, Message::DigestPage(page), now).is_empty());
    assert_eq!(node.counter(DropReason::GossipDigestUnasked), 1);
}

#[test]
fn repair_that_does_not_stick_is_not_tried_every_minute() {
    let (mut node, now) = linked(false);
    hear(&mut node, delta(vec![record(2, 1)]), now);
    let mut now = now.plus(SECOND * 20);
    let mut pushes = 0;
    let mut pulls = 0;
    for _ in 0..4 {
        let out = answer_digest(&mut node, &invented(5), now);
        pulls += asked_for(&out);
        pushes += out.iter().filter(|(_, m)| matches!(m, Message::Delta(_))).count();
        now = now.plus(MINUTE);
    }
    assert_eq!((pulls, pushes), (5, 1));
}

#[test]
fn nothing_counts_after_the_goodbye() {
    let (mut node, now) = linked(false);
    hear(&mut node, delta(vec![record(1, 1)]), now);
    hear(&mut node, Message::Leave, now);
    hear(&mut node, delta(vec![record(1, 2), record(5, 1)]), now);
    assert_eq!((node.knows(1), node.knows(5)), (None, None));
}

#[test]
fn one_round_of_repair_sends_so_much_unasked_and_no_more() {
    let (mut node, now) = linked(false);
    let many = REPAIR_PUSH_MAX as u32 + 50;
    for n in 0..many {
        let _ = node.book.first_hand(record(10 + n, 1), now);
        let _ = node.book.first_hand(record(50_000 + n, 1), now);
        let _ = node.book.leave(id(50_000 + n), now);
    }
    // It lacks all we have, and has all that is gone for us.
    let gone: Vec<DigestEntry> =
        (0..many).map(|n| DigestEntry { peer: id(50_000 + n).into(), version: 1 }).collect();
    node.gossip.handle_timeout(&node.book, now.plus(SECOND));
    node.gossip.room(id(1), usize::MAX, &node.book, now);
    node.drain();
    let out = answer_digest(&mut node, &gone, now.plus(SECOND * 20));
    let (mut added, mut removed) = (0, 0);
    for (_, message) in out {
        if let Message::Delta(delta) = message {
            added += delta.added.len();
            removed += delta.removed.len();
        }
    }
    assert_eq!((added, removed), (REPAIR_PUSH_MAX, REPAIR_PUSH_MAX));
}

#[test]
fn the_memory_of_what_peers_used_up_is_bounded() {
    let (mut node, now) = linked(false);
    for n in 10..METERS_MAX as u32 + 100 {
        node.gossip.link_up(id(n), LINK, &mut node.book, now);
        node.gossip.link_down(id(n), &mut node.book, now);
        node.drain();
    }
    assert_eq!(node.gossip.meters.len(), METERS_MAX);
    node.gossip.link_down(id(1), &mut node.book, now.plus(METERS_KEPT));
    assert_eq!(node.gossip.meters.len(), 1, "and ends");
}

#[test]
fn no_page_has_more_records_than_the_other_end_parses() {
    let (mut node, now) = linked(false);
    for n in 0..PAGE_RECORDS_MAX as u32 * 2 {
        let _ = node.book.first_hand(Record::new(id(10 + n), 1), now);
    }
    node.gossip.room(id(1), usize::MAX, &node.book, now);
    let out = hear(&mut node, Message::Request(Request { sync: 1, want: Want::All }), now);
    assert_eq!(out.len(), 3);
    for (_, message) in out {
        let Message::FullSync(page) = message else { panic!("{message:?}") };
        assert!(page.records.len() <= PAGE_RECORDS_MAX);
    }
}
