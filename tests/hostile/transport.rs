//! What can be done to a node below its protocol: streams, connections and first
//! packets that nobody asked for.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use libtest_mimic::Trial;
use punchdeck::core::limits::{
    CONNECTION_STREAMS_MAX, CONNECTIONS_PER_PEER_MAX, FRAME_MAX, STRANGER_STREAMS_MAX,
};
use punchdeck::core::wire::{Echo, Frame, Message};
use punchdeck::model::{CloseCode, DropReason};

use super::peer::{Scripted, Stranger};
use crate::support::{PATIENCE, TestNode, trial};

/// How long something is waited for that must not come.
const A_WHILE: Duration = Duration::from_millis(300);

pub fn trials() -> Vec<Trial> {
    vec![
        trial("a_stream_that_nobody_expects_is_stopped_at_once", unexpected_streams),
        trial("a_stranger_opens_two_streams_and_a_linked_peer_four", streams_by_standing),
        trial("who_acknowledges_what_it_never_read_is_given_up", acknowledges_unread),
        trial("one_peer_has_four_connections_and_no_more", many_connections),
        trial("a_question_for_versions_is_never_answered_with_more_than_it_has", version_negotiation),
    ]
}

/// How many streams of either kind it may open at once.
async fn streams(connection: &ant_quic::HighLevelConnection) -> (usize, usize) {
    let (mut two_way, mut one_way) = (Vec::new(), Vec::new());
    while let Ok(stream) = tokio::time::timeout(A_WHILE, connection.open_bi()).await {
        let (mut send, recv) = stream.unwrap();
        // Not enough to say what it is for.
        send.write_all(&[0]).await.unwrap();
        two_way.push((send, recv));
    }
    while let Ok(stream) = tokio::time::timeout(A_WHILE, connection.open_uni()).await {
        one_way.push(stream.unwrap());
    }
    (two_way.len(), one_way.len())
}

async fn unexpected_streams() {
    let node = TestNode::start("node", &[]).await;
    let stranger = Stranger::start().await;
    let connection = stranger.dial(&node).await;
    for _ in 0..20 {
        let (mut send, mut recv) = connection.open_bi().await.unwrap();
        let _ = send.write_all(&vec![0xff; 64 * 1024]).await;
        let stopped = tokio::time::timeout(A_WHILE * 5, send.stopped()).await;
        assert!(stopped.is_ok(), "it is still read");
        assert!(recv.read_to_end(16).await.is_err(), "and nothing comes back");
    }
    node.until("counted", |s| s.counters.0.get(&DropReason::UnknownStream).is_some_and(|n| *n >= 20)).await;
    assert!(connection.close_reason().is_none());
}

async fn streams_by_standing() {
    let node = TestNode::start("node", &[]).await;
    let stranger = Stranger::start().await;
    let connection = stranger.dial(&node).await;
    assert_eq!(streams(&connection).await, (STRANGER_STREAMS_MAX as usize, 0));

    let peer = Scripted::linked(&node).await;
    let connection = peer.stays();
    let (two_way, one_way) = streams(&connection).await;
    // One of them may be its control stream.
    assert!((CONNECTION_STREAMS_MAX as usize - 1..=CONNECTION_STREAMS_MAX as usize).contains(&two_way));
    assert_eq!(one_way, 0);
}

async fn acknowledges_unread() {
    let node = TestNode::start("node", &[]).await;
    let mut peer = Scripted::linked(&node).await;
    let mut first = [0; 8];
    first.copy_from_slice(&peer.channel[..8]);
    let session = u64::from_be_bytes(first) | 1;
    let payload = vec![7; FRAME_MAX - 64];
    // It has the node say more and more, and never reads any of it.
    for id in 0..2_000 {
        if peer.connection.close_reason().is_some() {
            break;
        }
        peer.say(Message::Echo(Echo { id, payload: payload.clone() })).await;
        peer.frame(&Frame::Ack { session, next: id }).await;
    }
    assert_eq!(peer.closed_with().await, u64::from(CloseCode::Limit.code()));
    node.until_counted(DropReason::AnswersUnread).await;
}

async fn many_connections() {
    let node = TestNode::start("node", &[]).await;
    let stranger = Stranger::start().await;
    let mut connections = Vec::new();
    for _ in 0..16 {
        connections.push(stranger.dial(&node).await);
    }
    let over = 16 - CONNECTIONS_PER_PEER_MAX as u64;
    node.until("counted", |s| s.counters.0.get(&DropReason::ConnectionsOfPeer) == Some(&over)).await;
    for old in &connections[..over as usize] {
        tokio::time::timeout(PATIENCE, old.closed()).await.expect("the oldest go");
    }
    let standing = connections.iter().filter(|c| c.close_reason().is_none()).count();
    assert_eq!(standing, CONNECTIONS_PER_PEER_MAX);
}

/// The first packet of a connection of a version that does not exist.
fn of_no_version(name: u8, len: usize) -> Vec<u8> {
    let mut bytes = vec![0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 1, name, 1, name];
    bytes.resize(len, 0);
    bytes
}

async fn version_negotiation() {
    let node = TestNode::start("node", &[]).await;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let lens = [7, 9, 20, 40, 100, 600, 1_199];
    for (name, len) in lens.into_iter().enumerate() {
        let mut bytes = of_no_version(name as u8, len.max(9));
        bytes.truncate(len);
        if len < 9 {
            // No connection ids at all.
            bytes[5..].fill(0);
        }
        socket.send_to(&bytes, node.addr()).unwrap();
    }
    socket.send_to(&of_no_version(77, 1_200), node.addr()).unwrap();
    let mut answer = [0; 2_048];
    let len = socket.recv(&mut answer).unwrap();
    assert_eq!(answer[6], 77, "the first answer is to the one that was long enough");
    assert!(len <= 100, "{len} bytes");
    let counted = lens.len() as u64;
    node.until("counted", |s| s.counters.0.get(&DropReason::VersionQuestions) == Some(&counted)).await;
}
