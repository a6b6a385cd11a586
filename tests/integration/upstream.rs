//! What goes past our limits through ant-quic's own relay and coordinator,
//! which every node serves and none can switch off. These tests say what is
//! true now; the README's "Open upstream" names them. When one fails, a hole
//! was closed there: say so, and turn it around.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ant_quic::VarInt;
use ant_quic::masque::{ConnectUdpRequest, ConnectUdpResponse, UncompressedDatagram};
use bytes::Bytes;
use libtest_mimic::Trial;
use punchdeck::core::link::NetworkSecret;
use punchdeck::model::PeerId;
use serde_json::json;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::scripted::Stranger;
use super::support::{PATIENCE, TestNode, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("the_librarys_relay_still_sends_anywhere_open_upstream", relay),
        trial("the_librarys_coordinator_still_aims_anywhere_open_upstream", coordinator),
        trial("the_librarys_target_still_dials_anywhere_open_upstream", target),
    ]
}

/// A node of a closed fleet, which lets no outsider coordinate or invite.
async fn closed(name: &str, bootstrap: &[SocketAddr]) -> TestNode {
    TestNode::with(name, bootstrap, |o| {
        o.secret = Some(NetworkSecret::new([1; 32]));
        o.passive = true;
    })
    .await
}

/// A host that has nothing to do with any of it, on an address of its own.
async fn third_party() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 2), 0)).await.unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

async fn relay() {
    let node = closed("node", &[]).await;
    let stranger = Stranger::start().await;
    let (victim, at) = third_party().await;
    let connection = stranger.dial(&node).await;
    let (mut send, mut recv) = connection.open_bi().await.unwrap();
    send.write_all(&framed(&ConnectUdpRequest::bind_any().encode())).await.unwrap();
    let mut len = [0; 4];
    recv.read_exact(&mut len).await.unwrap();
    let mut answer = vec![0; u32::from_be_bytes(len) as usize];
    recv.read_exact(&mut answer).await.unwrap();
    let answer = ConnectUdpResponse::decode(&mut Bytes::from(answer)).unwrap();
    assert_eq!(answer.status, 200, "whoever connects is served");

    // One datagram, to a host that never asked for it, in the node's name.
    let payload = Bytes::from_static(b"whatever");
    let datagram = UncompressedDatagram::new(VarInt::from_u32(0), at, payload.clone()).encode();
    send.write_all(&framed(&datagram)).await.unwrap();
    let mut buffer = [0; 64];
    let (len, from) =
        timeout(PATIENCE, victim.recv_from(&mut buffer)).await.expect("closed upstream?").unwrap();
    assert_eq!((&buffer[..len], from.port()), (&payload[..], answer.proxy_public_address.unwrap().port()));
    unnoticed(&node);
}

/// None of our limits saw it; that the stranger says nothing may be seen.
fn unnoticed(node: &TestNode) {
    let counters = node.snapshot().counters.0.clone();
    assert!(counters.keys().all(|name| *name == "no hello in time"), "{counters:?}");
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    let mut framed = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    framed.extend_from_slice(bytes);
    framed
}

/// A message of the library's own coordination.
fn control(request: u64, message: &serde_json::Value) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let expires = (now + Duration::from_secs(10)).as_millis() as u64;
    let envelope = json!({ "request_id": request, "expires_at_unix_ms": expires, "message": message });
    let mut bytes = b"AQCC\x01".to_vec();
    bytes.extend(serde_json::to_vec(&envelope).unwrap());
    bytes
}

async fn say(stranger: &Stranger, to: PeerId, bytes: &[u8]) {
    stranger.node.send(&ant_quic::PeerId(to.0), bytes).await.unwrap();
}

/// The host that sends to a third party within that time.
async fn sender(victim: &UdpSocket, within: Duration) -> Option<SocketAddr> {
    timeout(within, victim.recv_from(&mut [0; 2048])).await.ok().map(|r| r.unwrap().1)
}

async fn coordinator() {
    let node = closed("coordinator", &[]).await;
    let target = closed("target", &[node.addr()]).await;
    target.until_linked(node.id()).await;
    let stranger = Stranger::start().await;
    stranger.dial(&node).await;
    let (victim, at) = third_party().await;
    let request = json!({ "CoordinationRequest": {
        "initiator": stranger.id().0, "target": target.id().0, "round": 1, "initiator_addrs": [at],
    }});
    say(&stranger, node.id(), &control(1 << 40, &request)).await;
    // The target never heard of the stranger, and dials where it said.
    let from = sender(&victim, PATIENCE).await.expect("closed upstream?");
    assert_eq!(from, target.addr());
    unnoticed(&node);
    unnoticed(&target);
}

async fn target() {
    let node = closed("node", &[]).await;
    let stranger = Stranger::start().await;
    stranger.dial(&node).await;
    let (victim, at) = third_party().await;
    // Nothing was asked; that somebody accepted is all it takes.
    let accepted = json!({ "CoordinationAccepted": {
        "initiator": ([7u8; 32]), "target": node.id().0, "round": 1,
        "initiator_addrs": [at], "target_addrs": [node.addr()],
    }});
    say(&stranger, node.id(), &control(1 << 41, &accepted)).await;
    assert_eq!(sender(&victim, PATIENCE).await.expect("closed upstream?"), node.addr());
    unnoticed(&node);
}
