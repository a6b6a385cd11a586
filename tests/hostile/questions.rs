//! Questions: each costs an answer, and a link may ask so many.

use libtest_mimic::Trial;
use punchdeck::core::limits::{OBSERVED_PER_MINUTE, WHY_PER_MINUTE};
use punchdeck::core::wire::{Echo, Message, Observed, PeerReply, WhoHas, WhyAsk, WitnessAsk};
use punchdeck::model::{DropReason, NatType, PeerId, PeerLinkStatus};

use super::peer::Scripted;
use crate::support::{TestNode, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("a_flood_of_questions_is_cut_at_its_limit", who_has_flood),
        trial("who_says_all_the_time_that_it_sees_us_elsewhere_is_heard_six_times", observed_flood),
        trial("a_flood_of_whys_is_answered_six_times", why_flood),
    ]
}

async fn who_has_flood() {
    let node = TestNode::start("node", &[]).await;
    let mut peer = Scripted::linked(&node).await;
    for query in 0..100 {
        peer.say(Message::WhoHas(WhoHas { query, peer: PeerId([1; 32]) })).await;
    }
    node.until("cut", |s| s.counters.0.get(&DropReason::WhoHasRate).is_some_and(|n| *n >= 35)).await;
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
    node.until("cut", |s| s.counters.0.get(&DropReason::ObservedRate) == Some(&cut)).await;
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
        answers += u64::from(matches!(m, Message::PeerReply(_)));
        matches!(m, Message::EchoReply(_)).then_some(())
    })
    .await;
    assert_eq!(answers, WHY_PER_MINUTE as u64);
    node.until("cut", |s| s.counters.0.get(&DropReason::WhyRate) == Some(&(20 - answers))).await;
    // What it saw of others is asked with the same six.
    let mut nosy = Scripted::linked(&node).await;
    for query in 0..20 {
        nosy.say(Message::WitnessAsk(WitnessAsk { query, about: peer.id })).await;
    }
    nosy.say(Message::Echo(Echo { id: 8, payload: vec![1] })).await;
    let mut accounts = Vec::new();
    nosy.hear(|m| {
        accounts.extend(if let Message::WitnessReply(account) = m { Some(account.clone()) } else { None });
        matches!(m, Message::EchoReply(_)).then_some(())
    })
    .await;
    assert_eq!(accounts.len(), WHY_PER_MINUTE as usize);
    // What the other one asked for is not its business.
    assert!(
        accounts.iter().all(|a| a.standing == PeerLinkStatus::Linked && a.notes.is_empty()),
        "{accounts:?}"
    );
    // And an answer to no question is none.
    let half = PeerReply { query: 99, nat: NatType::None, measured_s: None, evidence: vec![], notes: vec![] };
    peer.say(Message::PeerReply(half)).await;
    node.until_counted(DropReason::AnswerToNoQuestion).await;
}
