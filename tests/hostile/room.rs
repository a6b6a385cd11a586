//! Whoever wants to keep others out of a node: by mute connections, or by many
//! identities. The node listens to the world, so that loopback is no exception.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use ant_quic::HighLevelConnection;
use libtest_mimic::Trial;
use punchdeck::core::limits::{FRAME_MAX, LINKS_MUTE_MAX, LINKS_PER_IP_MAX, LINKS_STRANGERS_MAX};
use punchdeck::core::wire::{Echo, Message};
use punchdeck::model::{Command, DropReason, Snapshot};

use super::peer::{Bad, Scripted, Stranger};
use crate::support::{TestNode, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("mute_connections_from_four_addresses_keep_nobody_out", mute),
        trial("what_a_stranger_left_unread_is_not_kept_for_it", left_unread),
        trial("many_identities_from_sixteen_addresses_keep_nobody_out", many_identities),
    ]
}

/// A node that listens on every address, and where it is reached.
async fn open_to_the_world(name: &str) -> (TestNode, SocketAddr) {
    let node = TestNode::with(name, &[], |o| o.bind = (Ipv4Addr::UNSPECIFIED, 0).into()).await;
    let at = (Ipv4Addr::LOCALHOST, node.addr().port()).into();
    (node, at)
}

/// An address of a prefix of its own.
fn host(n: usize) -> SocketAddr {
    (Ipv4Addr::new(127, 1, n as u8, 1), 0).into()
}

/// Peers that the node was linked to and that are gone now: they come back to the same
/// port.
async fn known(node: &TestNode, at: SocketAddr) -> [TestNode; 2] {
    let mut known = Vec::new();
    for name in ["back", "dialled"] {
        let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let mut peer = TestNode::with(name, &[at], |o| o.bind = port).await;
        node.until_linked(peer.id()).await;
        peer.stop().await;
        known.push(peer);
    }
    node.until("they are gone", |s| s.links.is_empty()).await;
    known.try_into().unwrap_or_else(|_| panic!("two"))
}

/// A newcomer links, a peer that went comes back, and the node dials another one.
async fn nobody_is_kept_out(node: &TestNode, at: SocketAddr, known: [TestNode; 2]) {
    let [back, dialled] = known;
    let newcomer = TestNode::start("newcomer", &[at]).await;
    node.until_linked(newcomer.id()).await;
    let back = back.restart(|_| {}).await;
    node.until_linked(back.id()).await;
    let dialled = dialled.restart(|o| (o.bootstrap, o.passive) = (Vec::new(), true)).await;
    node.command(Command::Connect { peer: dialled.id() }).await;
    node.until_linked(dialled.id()).await;
    for peer in [newcomer.id(), back.id(), dialled.id()] {
        assert!(node.link(peer).is_some_and(|l| !l.foreign), "and stays");
    }
}

async fn mute() {
    let (node, at) = open_to_the_world("node").await;
    let known = known(&node, at).await;
    let mut held: Vec<(Stranger, HighLevelConnection)> = Vec::new();
    for n in 0..LINKS_MUTE_MAX + 16 {
        let stranger = Bad::peer().on(host(n % 4)).stranger();
        let connection = stranger.dial_at(at, node.id()).await;
        held.push((stranger, connection));
    }
    nobody_is_kept_out(&node, at, known).await;
    let left = held.iter().filter(|(_, c)| c.close_reason().is_none()).count();
    assert!(left <= 4 * LINKS_PER_IP_MAX, "{left} of them are left");
}

async fn many_identities() {
    let (node, at) = open_to_the_world("node").await;
    let known = known(&node, at).await;
    let mut held = Vec::new();
    for n in 0..256 {
        let stranger = Bad::peer().on(host(n % 16)).stranger();
        let mut peer = stranger.control_at(at).await;
        if peer.try_shake().await {
            held.push(Scripted::stays(peer));
        }
    }
    let standing = |s: &Snapshot| s.links.iter().filter(|l| !l.foreign).count();
    let seen = node.until("all the room there is", |s| standing(s) == LINKS_STRANGERS_MAX).await;
    assert!(seen.counters.0.get(&DropReason::Links).is_some_and(|n| *n > 0), "and the rest was refused");
    nobody_is_kept_out(&node, at, known).await;
}

async fn left_unread() {
    let node = TestNode::start("node", &[]).await;
    for n in 1..=8 {
        let mut peer = Scripted::linked(&node).await;
        // It has the node say more than half a megabyte, acknowledges nothing, and goes.
        for id in 0..160 {
            peer.say(Message::Echo(Echo { id, payload: vec![7; FRAME_MAX - 64] })).await;
        }
        node.until("it said it", |s| s.links.iter().any(|l| l.peer_id == peer.id && l.bytes_rx > 600_000))
            .await;
        peer.connection.close(0u32.into(), b"");
        let forgotten = |s: &Snapshot| s.counters.0.get(&DropReason::StrangersSessions) == Some(&n);
        node.until("it is forgotten", forgotten).await;
    }
}
