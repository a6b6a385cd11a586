//! The library's own coordination, by which a peer once aimed a node at whom it
//! liked, and cannot any more.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ant_quic::{ConnectionError, TransportErrorCode};
use libtest_mimic::Trial;
use punchdeck::core::limits::OBSERVED_FRAMES_MAX;
use punchdeck::model::{DropReason, PeerId};
use serde_json::json;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::peer::{A_WHILE, Bad, Forger, Stock, Stranger, bystander, frames, is_hit};
use super::{closed, closed_beside_stock};
use crate::support::{PATIENCE, TestNode, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("the_librarys_frames_that_aim_a_node_are_never_negotiated", not_negotiated),
        trial("who_forges_the_librarys_frames_all_the_same_aims_nobody_and_loses_his_connection", forged),
        // Its packets ride on a stream, and a stranger's takes 4 KiB now.
        trial("who_says_without_end_where_he_sees_us_loses_his_connection", observed).with_ignored_flag(true),
        trial("the_librarys_coordinator_messages_move_nobody", coordinator),
        trial("the_librarys_target_messages_move_nobody", target),
    ]
}

async fn not_negotiated() {
    let (node, stock) = closed_beside_stock("node").await;
    let (_, at) = bystander([127, 0, 0, 2]).await;
    for connection in [stock.dial(&node).await, Stranger::start().await.dial(&node).await] {
        assert!(!connection.nat_traversal_supported());
        assert!(connection.send_nat_punch_coordination(1, at, 1).is_err());
        assert!(connection.send_nat_punch_via_relay([7; 32], at, 1).is_err());
    }
}

async fn forged() {
    let node = closed("node", &[]).await;
    for (name, frame) in [
        ("ADD_ADDRESS", frames::add_address as fn(SocketAddr) -> Vec<u8>),
        ("PUNCH_ME_NOW", frames::punch_me_now),
    ] {
        for ip in [Ipv4Addr::new(127, 0, 0, 2)].into_iter().chain(own_ip()) {
            let (victim, end) = aimed(&node, frame, ip).await;
            let ConnectionError::ConnectionClosed(close) = end else { panic!("{name}: {end:?}") };
            assert_eq!(close.error_code, TransportErrorCode::PROTOCOL_VIOLATION, "{name}");
            assert!(!is_hit(&victim, A_WHILE).await, "{name} {ip}");
        }
    }
    // The library takes this one from everybody; that we do not is seen a moment later.
    // One that names a loopback address breaks an assertion of a library built for
    // debugging: `cargo bench --bench hostile -- costs TRY_CONNECT_TO` does that.
    if let Some(ip) = own_ip().filter(|ip| !ip.is_loopback()) {
        let (victim, _) = aimed(&node, frames::try_connect_to, ip).await;
        node.until_counted(DropReason::FramesThatAim).await;
        assert!(!is_hit(&victim, A_WHILE).await, "TRY_CONNECT_TO {ip}");
    }
}

/// Sends such a frame with the address of a bystander on that host, and waits for the end
/// of the connection.
async fn aimed(
    node: &TestNode,
    frame: fn(SocketAddr) -> Vec<u8>,
    ip: Ipv4Addr,
) -> (UdpSocket, ConnectionError) {
    let (victim, at) = bystander(ip.octets()).await;
    let forger = Forger::default();
    let stranger = Bad::peer().forging(&forger).stranger();
    let connection = stranger.dial(node).await;
    forger.send(&connection, &frame(at)).await;
    let end = timeout(PATIENCE, connection.closed()).await.expect("it is not closed");
    (victim, end)
}

async fn observed() {
    let node = closed("node", &[]).await;
    let forger = Forger::default();
    let stranger = Bad::peer().forging(&forger).stranger();
    let connection = stranger.dial(&node).await;
    let mut number = 0;
    let many = move || {
        number += 60;
        (number..number + 60)
            .flat_map(|n| frames::observed_address(n, ([127, 0, 0, 2], 9_000).into()))
            .collect()
    };
    forger.floods(&connection, OBSERVED_FRAMES_MAX as usize / 60 + 2, many).await;
    node.until_counted(DropReason::ObservedWithoutEnd).await;
    node.until("no connection", |s| s.links.is_empty()).await;
}

/// An address of this host that is no loopback, if it has one; nothing is sent.
fn own_ip() -> Option<Ipv4Addr> {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(198, 18, 0, 1), 9)).ok()?;
    let SocketAddr::V4(own) = socket.local_addr().ok()? else { return None };
    Some(*own.ip())
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

/// Says it for as long as somebody might listen; whether it is taken is the
/// other end's.
async fn say(stock: &Stock, to: PeerId, bytes: &[u8]) {
    let to = ant_quic::PeerId(to.0);
    let _ = timeout(A_WHILE, stock.node.send(&to, bytes)).await;
}

async fn coordinator() {
    let (node, stock) = closed_beside_stock("coordinator").await;
    let target = closed("target", &[node.addr()]).await;
    target.until_linked(node.id()).await;
    stock.dial(&node).await;
    let (victim, at) = bystander([127, 0, 0, 2]).await;
    let request = json!({ "CoordinationRequest": {
        "initiator": stock.id().0, "target": target.id().0, "round": 1, "initiator_addrs": [at],
    }});
    say(&stock, node.id(), &control(1 << 40, &request)).await;
    assert!(!is_hit(&victim, A_WHILE).await);
}

async fn target() {
    let (node, stock) = closed_beside_stock("node").await;
    stock.dial(&node).await;
    let (victim, at) = bystander([127, 0, 0, 2]).await;
    let accepted = json!({ "CoordinationAccepted": {
        "initiator": ([7u8; 32]), "target": node.id().0, "round": 1,
        "initiator_addrs": [at], "target_addrs": [node.addr()],
    }});
    say(&stock, node.id(), &control(1 << 41, &accepted)).await;
    assert!(!is_hit(&victim, A_WHILE).await);
}
