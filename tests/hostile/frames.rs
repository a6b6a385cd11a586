//! Frames: bytes that are none, too long, unknown, or acknowledge the future.

use libtest_mimic::Trial;
use punchdeck::core::limits::FRAME_MAX;
use punchdeck::core::wire::{Echo, Frame, Message, kind};
use punchdeck::model::{CloseCode, DropReason};

use super::code;
use super::peer::Scripted;
use crate::support::{TestNode, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("a_malformed_frame_costs_its_sender_the_link", malformed_frame),
        trial("an_oversized_frame_is_refused_from_its_header", oversized_frame),
        trial("an_unknown_frame_is_skipped_and_counted", unknown_frame),
        trial("an_acknowledgement_of_the_future_costs_the_link", bad_ack),
        trial("what_is_said_twice_under_one_number_is_done_once", replayed),
    ]
}

async fn malformed_frame() {
    let node = TestNode::start("node", &[]).await;
    let mut peer = Scripted::linked(&node).await;
    let mut frame = vec![0, 0, 0, 5, 0x01, 0x10];
    frame.extend([0xff; 3]);
    peer.raw(&frame).await;
    assert_eq!(peer.closed_with().await, code(CloseCode::Malformed));
    node.until("no link", |s| s.links.is_empty()).await;
    assert_eq!(node.counted(DropReason::MalformedFrame), 1);
}

async fn oversized_frame() {
    let node = TestNode::start("node", &[]).await;
    let mut peer = Scripted::linked(&node).await;
    // Sixteen megabytes are announced; only the header is sent.
    peer.raw(&[1, 0, 0, 0, 0x01, 0x10]).await;
    assert_eq!(peer.closed_with().await, code(CloseCode::Malformed));
    node.until_counted(DropReason::MalformedFrame).await;

    // What is no page is refused at four kilobytes.
    let mut peer = Scripted::linked(&node).await;
    let payload = vec![0; FRAME_MAX];
    let mut frame = u32::try_from(2 + payload.len()).unwrap().to_be_bytes().to_vec();
    frame.extend(kind::ECHO.to_be_bytes());
    frame.extend(payload);
    peer.raw(&frame).await;
    assert_eq!(peer.closed_with().await, code(CloseCode::Malformed));
    node.until("counted", |s| s.counters.0.get(&DropReason::MalformedFrame) == Some(&2)).await;
}

async fn unknown_frame() {
    let node = TestNode::start("node", &[]).await;
    let mut peer = Scripted::linked(&node).await;
    peer.raw(&[0, 0, 0, 4, 0x00, 0x77, 1, 2]).await;
    node.until_counted(DropReason::UnknownFrame).await;
    peer.say(Message::Echo(Echo { id: 7, payload: vec![1] })).await;
    peer.hear(|m| matches!(m, Message::EchoReply(e) if e.id == 7).then_some(())).await;
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

async fn replayed() {
    let node = TestNode::start("node", &[]).await;
    let mut peer = Scripted::linked(&node).await;
    peer.say(Message::Echo(Echo { id: 7, payload: vec![1] })).await;
    peer.again().await;
    peer.say(Message::Echo(Echo { id: 8, payload: vec![1] })).await;
    let mut answers = 0;
    peer.hear(|m| {
        answers += u64::from(matches!(m, Message::EchoReply(e) if e.id == 7));
        matches!(m, Message::EchoReply(e) if e.id == 8).then_some(())
    })
    .await;
    assert_eq!(answers, 1);
}
