//! Gossip: records that are forged, too many, or lead where they should not.

use libtest_mimic::Trial;
use punchdeck::core::wire::{Delta, Message, Record, Request, Want};
use punchdeck::model::{DropReason, EventKind, PeerId, Reason, StageKind};

use super::peer::Scripted;
use crate::support::{TestNode, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("a_flood_of_records_is_cut_at_its_limit", record_flood),
        trial("a_forged_version_is_dropped", forged_version),
        trial("one_record_asked_for_five_hundred_times_is_sent_once", one_record_many_times),
        trial("addresses_that_aim_us_at_others_are_dropped", bad_addresses),
        trial("a_leave_counts_for_nobody_but_its_sender", leave_is_first_hand),
        trial("somebody_else_at_the_address_is_named", somebody_else_answers),
    ]
}

async fn record_flood() {
    let node = TestNode::start("node", &[]).await;
    let mut peer = Scripted::linked(&node).await;
    for batch in 0..60u8 {
        let record = |n: u8| {
            let mut id = [batch; 32];
            id[0] = n;
            Record { addresses: vec![([127, 0, 0, 1], 3000).into()], ..Record::new(PeerId(id), 1) }
        };
        let added: Vec<Record> = (0..30).map(record).collect();
        peer.say(Message::Delta(Delta { added, removed: vec![] })).await;
    }
    node.until("cut", |s| s.counters.0.get(&DropReason::GossipIntake).is_some_and(|n| *n >= 500)).await;
    let known = node.snapshot().peers.len();
    assert!(known <= 1_100, "{known} of 1800 records got in");
}

async fn forged_version() {
    let node = TestNode::start("node", &[]).await;
    let mut peer = Scripted::linked(&node).await;
    let subject = PeerId([9; 32]);
    let record =
        |version| Record { addresses: vec![([127, 0, 0, 1], 3000).into()], ..Record::new(subject, version) };
    let delta = |record| Message::Delta(Delta { added: vec![record], removed: vec![] });
    peer.say(delta(record(1))).await;
    peer.say(delta(record(u64::MAX))).await;
    node.until_counted(DropReason::RecordVersionJump).await;
    assert_eq!(node.peer(subject).unwrap().version, 1);
}

async fn one_record_many_times() {
    let node = TestNode::start("node", &[]).await;
    let mut peer = Scripted::linked(&node).await;
    let want = Want::Prefixes(vec![node.id().into(); 500]);
    peer.say(Message::Request(Request { sync: 77, want })).await;
    let records = peer
        .hear(|m| match m {
            Message::FullSync(page) if page.sync == 77 => Some(page.records.len()),
            _ => None,
        })
        .await;
    assert_eq!(records, 1);
}

async fn bad_addresses() {
    let node = TestNode::start("node", &[]).await;
    let mut peer = Scripted::linked(&node).await;
    let subject = PeerId([9; 32]);
    let bad = ["0.0.0.0:3000", "224.0.0.1:3000", "255.255.255.255:3000", "198.18.0.1:53", "10.0.0.1:3000"];
    let good = "198.18.0.1:3000";
    let addresses = bad.iter().chain([&good]).map(|a| a.parse().unwrap()).collect();
    let record = Record { addresses, ..Record::new(subject, 1) };
    peer.say(Message::Delta(Delta { added: vec![record], removed: vec![] })).await;
    node.until("peer", |s| s.peers.iter().any(|p| p.peer_id == subject)).await;
    let kept: Vec<String> = node.peer(subject).unwrap().addresses.iter().map(ToString::to_string).collect();
    // The link runs over loopback, so private addresses are nobody's either.
    assert_eq!(kept, [good]);
    assert_eq!(node.counted(DropReason::RecordAddresses), bad.len() as u64);
}

async fn leave_is_first_hand() {
    let node = TestNode::start("node", &[]).await;
    let other = TestNode::start("other", &[node.addr()]).await;
    node.until_linked(other.id()).await;
    let mut peer = Scripted::linked(&node).await;
    peer.say(Message::Delta(Delta { added: vec![], removed: vec![other.id()] })).await;
    peer.say(Message::Leave).await;
    let gone = peer.id;
    node.until("sender forgotten", |s| s.peers.iter().all(|p| p.peer_id != gone)).await;
    assert!(node.peer(other.id()).is_some());
    assert!(node.link(other.id()).is_some());
}

async fn somebody_else_answers() {
    let a = TestNode::start("a", &[]).await;
    let b = TestNode::start("b", &[a.addr()]).await;
    a.until_linked(b.id()).await;
    let mut liar = Scripted::linked(&a).await;
    // A record that sends whoever believes it to b's address for somebody else.
    let ghost = PeerId([0xaa; 32]);
    let record = Record { addresses: vec![b.addr()], ..Record::new(ghost, 1) };
    let third = TestNode::start("third", &[a.addr()]).await;
    third.until_linked(b.id()).await;
    let mut third = third;
    liar.say(Message::Delta(Delta { added: vec![record], removed: vec![] })).await;
    let reason = third
        .event("wrong identity", |e| match &e.kind {
            EventKind::StageEnded { stage: StageKind::Direct, reason, .. } if e.peer_id == Some(ghost) => {
                reason.clone()
            }
            _ => None,
        })
        .await;
    assert_eq!(reason, Reason::WrongIdentity { got: b.id() });
    let row = third.until("ghost", |s| s.peers.iter().any(|p| p.peer_id == ghost && p.attempts == 1)).await;
    assert!(row.peers.iter().all(|p| p.peer_id != ghost || p.successes == 0));
}
