//! Peers gone bad, written with the wire types: each is stopped by the limit
//! that says so, and the counter shows it.

use libtest_mimic::Trial;
use punchdeck::core::limits::{FRAME_MAX, OBSERVED_PER_MINUTE, WHY_PER_MINUTE};
use punchdeck::core::wire::{
    AccountAsk, Delta, Echo, Frame, Message, Observed, Record, Standing, WhoHas, WhyAsk, WhyHalf, kind,
};
use punchdeck::model::{CloseCode, NatType, PeerId};

use super::scripted::{Scripted, Stranger};
use super::support::{TestNode, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("a_malformed_frame_costs_its_sender_the_link", malformed_frame),
        trial("an_oversized_frame_is_refused_from_its_header", oversized_frame),
        trial("an_unknown_frame_is_skipped_and_counted", unknown_frame),
        trial("a_flood_of_records_is_cut_at_its_limit", record_flood),
        trial("a_flood_of_questions_is_cut_at_its_limit", who_has_flood),
        trial("who_says_all_the_time_that_it_sees_us_elsewhere_is_heard_six_times", observed_flood),
        trial("a_flood_of_whys_is_answered_six_times", why_flood),
        trial("a_forged_version_is_dropped", forged_version),
        trial("addresses_that_aim_us_at_others_are_dropped", bad_addresses),
        trial("a_leave_counts_for_nobody_but_its_sender", leave_is_first_hand),
        trial("an_acknowledgement_of_the_future_costs_the_link", bad_ack),
        trial("who_opens_a_stream_and_says_nothing_is_closed", silent_stream),
        trial("escape_sequences_in_a_name_do_not_reach_the_screen", dirty_name),
    ]
}

fn code(close: CloseCode) -> u64 {
    u64::from(close.code())
}

async fn malformed_frame() {
    let node = TestNode::start("node", &[]).await;
    let mut peer = Scripted::linked(&node).await;
    let mut frame = vec![0, 0, 0, 5, 0x01, 0x10];
    frame.extend([0xff; 3]);
    peer.raw(&frame).await;
    assert_eq!(peer.closed_with().await, code(CloseCode::Malformed));
    node.until("no link", |s| s.links.is_empty()).await;
    assert_eq!(node.counted("malformed frame"), 1);
}

async fn oversized_frame() {
    let node = TestNode::start("node", &[]).await;
    let mut peer = Scripted::linked(&node).await;
    // Sixteen megabytes are announced; only the header is sent.
    peer.raw(&[1, 0, 0, 0, 0x01, 0x10]).await;
    assert_eq!(peer.closed_with().await, code(CloseCode::Malformed));
    node.until_counted("malformed frame").await;

    // What is no page is refused at four kilobytes.
    let mut peer = Scripted::linked(&node).await;
    let payload = vec![0; FRAME_MAX];
    let mut frame = u32::try_from(2 + payload.len()).unwrap().to_be_bytes().to_vec();
    frame.extend(kind::ECHO.to_be_bytes());
    frame.extend(payload);
    peer.raw(&frame).await;
    assert_eq!(peer.closed_with().await, code(CloseCode::Malformed));
    node.until("counted", |s| s.counters.0.get("malformed frame") == Some(&2)).await;
}

async fn unknown_frame() {
    let node = TestNode::start("node", &[]).await;
    let mut peer = Scripted::linked(&node).await;
    peer.raw(&[0, 0, 0, 4, 0x00, 0x77, 1, 2]).await;
    node.until_counted("unknown frame").await;
    peer.say(Message::Echo(Echo { id: 7, payload: vec![1] })).await;
    peer.hear(|m| matches!(m, Message::EchoReply(e) if e.id == 7).then_some(())).await;
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
    node.until("cut", |s| s.counters.0.get("gossip.intake").is_some_and(|n| *n >= 500)).await;
    let known = node.snapshot().peers.len();
    assert!(known <= 1_100, "{known} of 1800 records got in");
}

async fn who_has_flood() {
    let node = TestNode::start("node", &[]).await;
    let mut peer = Scripted::linked(&node).await;
    for query in 0..100 {
        peer.say(Message::WhoHas(WhoHas { query, peer: PeerId([1; 32]) })).await;
    }
    node.until("cut", |s| s.counters.0.get("who-has rate").is_some_and(|n| *n >= 35)).await;
}

async fn observed_flood() {
    let node = TestNode::start("node", &[]).await;
    let mut peer = Scripted::linked(&node).await;
    let mut witness = Scripted::linked(&node).await;
    for port in 0..30 {
        let addr = ([198, 18, 0, 1], 3000 + port).into();
        peer.say(Message::Observed(Observed { addr })).await;
    }
    let cut = 30 - OBSERVED_PER_MINUTE as u64;
    node.until("cut", |s| s.counters.0.get("observed rate") == Some(&cut)).await;
    // Each of those that count changes the node's record, and everybody hears:
    // of the last of them, and of none behind it.
    let (me, last) = (node.id(), 3000 + OBSERVED_PER_MINUTE as u16 - 1);
    let told = |m: &Message| {
        let Message::Delta(delta) = m else { return None };
        let own = delta.added.iter().find(|r| r.peer == me)?;
        let port = own.addresses.iter().find(|a| !a.ip().is_loopback())?.port();
        assert!(port <= last, "it told of port {port}");
        (port == last).then_some(())
    };
    witness.hear(told).await;
}

async fn why_flood() {
    let node = TestNode::start("node", &[]).await;
    let mut peer = Scripted::linked(&node).await;
    for query in 0..20 {
        peer.say(Message::WhyAsk(WhyAsk { query })).await;
    }
    peer.say(Message::Echo(Echo { id: 7, payload: vec![1] })).await;
    let mut answers = 0;
    peer.hear(|m| {
        answers += u64::from(matches!(m, Message::WhyHalf(_)));
        matches!(m, Message::EchoReply(_)).then_some(())
    })
    .await;
    assert_eq!(answers, WHY_PER_MINUTE as u64);
    node.until("cut", |s| s.counters.0.get("why rate") == Some(&(20 - answers))).await;
    // What it saw of others is asked with the same six.
    let mut nosy = Scripted::linked(&node).await;
    for query in 0..20 {
        nosy.say(Message::AccountAsk(AccountAsk { query, about: peer.id })).await;
    }
    nosy.say(Message::Echo(Echo { id: 8, payload: vec![1] })).await;
    let mut accounts = Vec::new();
    nosy.hear(|m| {
        accounts.extend(if let Message::Account(account) = m { Some(account.clone()) } else { None });
        matches!(m, Message::EchoReply(_)).then_some(())
    })
    .await;
    assert_eq!(accounts.len(), WHY_PER_MINUTE as usize);
    // What the other one asked for is not its business.
    assert!(accounts.iter().all(|a| a.standing == Standing::Linked && a.notes.is_empty()), "{accounts:?}");
    // And an answer to no question is none.
    let half = WhyHalf { query: 99, nat: NatType::None, measured_s: None, evidence: vec![], notes: vec![] };
    peer.say(Message::WhyHalf(half)).await;
    node.until_counted("answer to no question").await;
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
    node.until_counted("record.version_jump").await;
    assert_eq!(node.peer(subject).unwrap().version, 1);
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
    assert_eq!(node.counted("record.addresses"), bad.len() as u64);
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

async fn bad_ack() {
    let node = TestNode::start("node", &[]).await;
    let mut peer = Scripted::linked(&node).await;
    let mut first = [0; 8];
    first.copy_from_slice(&peer.channel[..8]);
    let session = u64::from_be_bytes(first) | 1;
    peer.frame(&Frame::Ack { session, next: 1_000_000 }).await;
    assert_eq!(peer.closed_with().await, code(CloseCode::Malformed));
}

async fn silent_stream() {
    let node = TestNode::start("node", &[]).await;
    // Only the end with the smaller id opens; try until we are it.
    let peer = loop {
        let stranger = Stranger::start().await;
        if stranger.id() < node.id() {
            break stranger.control(&node).await;
        }
    };
    let mut peer = peer;
    // A stream is there for the other end with its first byte.
    peer.raw(&[0]).await;
    node.until_counted("no hello in time").await;
    peer.until_stopped().await;
}

async fn dirty_name() {
    let node = TestNode::start("node", &[]).await;
    let mut peer = Stranger::start().await.control(&node).await;
    let mut hello = peer.hello("test");
    hello.name = "\u{1b}]0;evil\u{7}nice\u{202e}".into();
    peer.frame(&Frame::Hello(Box::new(hello))).await;
    peer.frame(&Frame::Resume { session: 0, next: 0 }).await;
    node.until_linked(peer.id).await;
    assert_eq!(node.peer(peer.id).unwrap().name.as_deref(), Some("]0;evilnice"));
}
