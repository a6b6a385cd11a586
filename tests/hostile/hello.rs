//! Hello: silence in its place, another network, no proof, a name full of escapes.

use std::time::Duration;

use libtest_mimic::Trial;
use punchdeck::core::link::NetworkSecret;
use punchdeck::core::wire::Frame;
use punchdeck::model::{CloseCode, DropReason, EventKind, Reason, StageKind};

use super::peer::Stranger;
use crate::support::{PATIENCE, TestNode, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("another_network_is_refused_with_its_code", another_network),
        trial("a_closed_fleet_admits_its_members_only", closed_fleet),
        trial("who_opens_a_stream_and_says_nothing_is_closed", silent_stream),
        trial("escape_sequences_in_a_name_do_not_reach_the_screen", dirty_name),
    ]
}

async fn another_network() {
    let a = TestNode::start("a", &[]).await;
    let mut b = TestNode::with("b", &[a.addr()], |o| o.network = "other".into()).await;
    let reason = b
        .event("stage.ended", |e| match &e.kind {
            EventKind::StageEnded { stage: StageKind::Direct, reason, .. } => reason.clone(),
            _ => None,
        })
        .await;
    assert_eq!(reason, Reason::Closed { close: Some(CloseCode::Network) });
    assert!(a.snapshot().links.is_empty());
    assert!(a.snapshot().peers.is_empty(), "who is refused does not enter the cache");
}

async fn closed_fleet() {
    let secret = |byte| {
        move |o: &mut punchdeck::node::options::NodeOptions| {
            o.secret = Some(NetworkSecret::new([byte; 32]));
        }
    };
    let a = TestNode::with("a", &[], secret(1)).await;
    let member = TestNode::with("member", &[a.addr()], secret(1)).await;
    member.until_linked(a.id()).await;
    // Either end may be the first to see that the other is no member of its own
    // fleet: whichever did not open.
    for (outsider, theirs) in [
        (TestNode::start("outsider", &[a.addr()]).await, DropReason::OtherNetwork),
        (TestNode::with("wrong", &[a.addr()], secret(2)).await, DropReason::NoProof),
    ] {
        let before = a.counted(DropReason::NoProof);
        outsider.until("refusal", |s| s.attempts.ended > 0).await;
        assert!(outsider.snapshot().links.is_empty());
        assert!(a.link(outsider.id()).is_none());
        assert!(a.peer(outsider.id()).is_none(), "and gets no gossip");
        // Counters are shown a tenth of a second late.
        let counted = || a.counted(DropReason::NoProof) > before || outsider.counted(theirs) > 0;
        let told = async {
            while !counted() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, told).await.is_ok(), "neither end counted it");
    }
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
    node.until_counted(DropReason::NoHelloInTime).await;
    peer.until_stopped().await;
}

async fn dirty_name() {
    let node = TestNode::start("node", &[]).await;
    let mut peer = Stranger::start().await.control(&node).await;
    let mut hello = peer.hello();
    hello.name = "\u{1b}]0;evil\u{7}nice\u{202e}".into();
    peer.frame(&Frame::Hello(Box::new(hello))).await;
    peer.frame(&Frame::Resume { session: 0, next: 0 }).await;
    node.until_linked(peer.id).await;
    assert_eq!(node.peer(peer.id).unwrap().name.as_deref(), Some(r"\u{1b}]0;evil\u{7}nice\u{202e}"));
}
