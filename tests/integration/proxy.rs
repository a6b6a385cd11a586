//! Nobody's proxy: what strangers and members once could have a node do for
//! them through the library's relay and coordinator, and cannot any more.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ant_quic::masque::{ConnectUdpRequest, ConnectUdpResponse, UncompressedDatagram};
use ant_quic::{HighLevelConnection, HighLevelRecvStream, HighLevelSendStream, VarInt};
use bytes::{Bytes, BytesMut};
use libtest_mimic::Trial;
use punchdeck::core::limits::{SERVED_MAX, SERVED_UNPROVEN_BYTES};
use punchdeck::core::link::NetworkSecret;
use punchdeck::model::PeerId;
use serde_json::json;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::scripted::{Scripted, Stock, Stranger};
use super::support::{PATIENCE, TestNode, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("a_stranger_gets_no_reservation", stranger),
        trial("a_stock_node_gets_no_reservation", stock),
        trial("nobody_has_a_node_send_to_an_address_of_his_choice", targeted),
        trial("a_reservation_sends_to_nobody_who_did_not_send_first", unasked),
        trial("a_reservation_never_reaches_the_host_of_its_relay", own_host),
        trial("a_single_packet_perhaps_forged_opens_eight_kibibytes_and_no_more", forged),
        trial("a_reservation_does_not_outlive_its_link", outlived),
        trial("a_newer_reservation_of_the_same_peer_replaces_the_older_at_once", replaced),
        trial("sixty_four_reservations_are_all", crowd),
        trial("the_librarys_frames_that_aim_a_node_are_never_negotiated", frames),
        trial("the_librarys_coordinator_messages_move_nobody", coordinator),
        trial("the_librarys_target_messages_move_nobody", target),
    ]
}

/// Long enough for whatever would be sent on one host.
const SILENCE: Duration = Duration::from_millis(400);

/// A node of a closed fleet.
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

/// Whether something arrives there.
async fn hears(socket: &UdpSocket) -> bool {
    timeout(SILENCE, socket.recv_from(&mut [0; 2048])).await.is_ok()
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    let mut framed = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    framed.extend_from_slice(bytes);
    framed
}

/// A stream on which a relay was asked for.
struct Asked {
    status: u16,
    public: Option<SocketAddr>,
    send: HighLevelSendStream,
    recv: HighLevelRecvStream,
}

impl Asked {
    async fn on(connection: &HighLevelConnection, request: ConnectUdpRequest) -> Self {
        let (mut send, mut recv) = connection.open_bi().await.unwrap();
        send.write_all(&framed(&request.encode())).await.unwrap();
        let answer = timeout(PATIENCE, frame(&mut recv)).await.expect("no answer").expect("no answer");
        let answer = ConnectUdpResponse::decode(&mut Bytes::from(answer)).unwrap();
        let port = answer.proxy_public_address.map(|addr| addr.port());
        let public = port.map(|port| (Ipv4Addr::LOCALHOST, port).into());
        Self { status: answer.status, public, send, recv }
    }

    /// A reservation, granted.
    async fn reservation(connection: &HighLevelConnection) -> Self {
        let asked = Self::on(connection, ConnectUdpRequest::bind_any()).await;
        assert_eq!(asked.status, 200);
        asked
    }

    fn at(&self) -> SocketAddr {
        self.public.unwrap()
    }

    async fn send_to(&mut self, to: SocketAddr, payload: &[u8]) {
        let datagram = UncompressedDatagram::new(VarInt::from_u32(0), to, Bytes::copy_from_slice(payload));
        self.send.write_all(&framed(&datagram.encode())).await.unwrap();
    }

    /// The next datagram that comes in.
    async fn heard(&mut self) -> (SocketAddr, Vec<u8>) {
        let bytes = timeout(PATIENCE, frame(&mut self.recv)).await.expect("nothing came").unwrap();
        let datagram = UncompressedDatagram::decode(&mut Bytes::from(bytes)).unwrap();
        (datagram.target, datagram.payload.to_vec())
    }

    /// Waits until the relay ended it.
    async fn ended(&mut self) {
        let end = async { while frame(&mut self.recv).await.is_some() {} };
        timeout(PATIENCE, end).await.expect("it stands");
    }
}

/// The next frame of a relay's stream, unless it ended.
async fn frame(recv: &mut HighLevelRecvStream) -> Option<Vec<u8>> {
    let mut len = [0; 4];
    recv.read_exact(&mut len).await.ok()?;
    let mut bytes = BytesMut::zeroed(u32::from_be_bytes(len) as usize);
    recv.read_exact(&mut bytes).await.ok()?;
    Some(bytes.to_vec())
}

async fn stranger() {
    for node in [closed("closed", &[]).await, TestNode::start("open", &[]).await] {
        let stranger = Stranger::start().await;
        let connection = stranger.dial(&node).await;
        let asked = Asked::on(&connection, ConnectUdpRequest::bind_any()).await;
        assert_eq!((asked.status, asked.public), (403, None));
    }
}

async fn stock() {
    let node = closed("node", &[]).await;
    let stock = Stock::start().await;
    let connection = stock.dial(&node).await;
    let asked = Asked::on(&connection, ConnectUdpRequest::bind_any()).await;
    assert_eq!((asked.status, asked.public), (403, None));
}

async fn targeted() {
    let node = TestNode::start("node", &[]).await;
    let member = Scripted::linked(&node).await;
    let (victim, at) = third_party().await;
    let mut asked = Asked::on(&member.connection, ConnectUdpRequest::target(at)).await;
    assert!(asked.status >= 400, "{}", asked.status);
    let _ = asked.send.write_all(&framed(b"\0whatever")).await;
    assert!(!hears(&victim).await);
}

async fn unasked() {
    let node = TestNode::start("node", &[]).await;
    let member = Scripted::linked(&node).await;
    let mut held = Asked::reservation(&member.connection).await;
    let (victim, at) = third_party().await;
    let beside = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    for to in [at, beside.local_addr().unwrap(), node.addr()] {
        held.send_to(to, b"whatever").await;
    }
    assert!(!hears(&victim).await && !hears(&beside).await, "neither another host nor a port of its own");
    // One that sends is answered, at the very port from which it sent.
    beside.send_to(b"hello", held.at()).await.unwrap();
    let (from, hello) = held.heard().await;
    assert_eq!((from.port(), &hello[..]), (beside.local_addr().unwrap().port(), &b"hello"[..]));
    held.send_to(from, b"answer").await;
    assert!(hears(&beside).await);
    let other = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    held.send_to(other.local_addr().unwrap(), b"whatever").await;
    assert!(!hears(&other).await, "another port of the same host did not send");
    let served = node.until("dropped datagrams", |s| s.relays.served.iter().any(|r| r.dropped >= 3)).await;
    assert_eq!(served.relays.served[0].peer_id, member.id);
}

async fn own_host() {
    let node = TestNode::with("node", &[], |o| o.bind = (Ipv4Addr::UNSPECIFIED, 0).into()).await;
    let at = (Ipv4Addr::LOCALHOST, node.addr().port()).into();
    let member = Scripted::linked_at(at).await;
    node.until_linked(member.id).await;
    let mut held = Asked::reservation(&member.connection).await;
    // Even a service of that host that spoke first.
    for ip in [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 9)] {
        let service = UdpSocket::bind((ip, 0)).await.unwrap();
        service.send_to(b"hello", held.at()).await.unwrap();
        held.send_to(service.local_addr().unwrap(), b"whatever").await;
        assert!(!hears(&service).await, "{ip}");
    }
}

async fn forged() {
    let node = TestNode::start("node", &[]).await;
    let member = Scripted::linked(&node).await;
    let mut held = Asked::reservation(&member.connection).await;
    // A packet in its name is all that it ever sends.
    let (victim, at) = third_party().await;
    victim.send_to(b"forged", held.at()).await.unwrap();
    held.heard().await;
    let payload = [0; 1000];
    for _ in 0..50 {
        held.send_to(at, &payload).await;
    }
    let mut got = 0;
    while let Ok(Ok((len, _))) = timeout(SILENCE, victim.recv_from(&mut [0; 2048])).await {
        got += len as u64;
    }
    assert!((1..=SERVED_UNPROVEN_BYTES).contains(&got), "{got} bytes");
    // Who answers is no forgery.
    victim.send_to(b"I want this", held.at()).await.unwrap();
    held.heard().await;
    held.send_to(at, &payload).await;
    assert!(hears(&victim).await);
}

async fn outlived() {
    let node = TestNode::start("node", &[]).await;
    let member = Scripted::linked(&node).await;
    let held = Asked::reservation(&member.connection).await;
    let at = held.at();
    let begun = Instant::now();
    member.connection.close(VarInt::from_u32(0), b"");
    while UdpSocket::bind(at).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(3), "it stands");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    node.until("nobody served", |s| s.relays.served.is_empty()).await;
}

async fn replaced() {
    let node = TestNode::start("node", &[]).await;
    let member = Scripted::linked(&node).await;
    let mut old = Asked::reservation(&member.connection).await;
    let begun = Instant::now();
    let new = Asked::reservation(&member.connection).await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_ne!(old.at(), new.at());
    old.ended().await;
    let served = node.until("one row", |s| s.relays.served.len() == 1).await;
    assert_eq!(served.relays.served[0].public_addr.port(), new.at().port());
}

async fn crowd() {
    let node = TestNode::start("node", &[]).await;
    let (mut members, mut granted) = (Vec::new(), 0);
    for n in 0..=SERVED_MAX {
        let member = Scripted::linked(&node).await.stays();
        let asked = Asked::on(&member, ConnectUdpRequest::bind_any()).await;
        match asked.status {
            200 => granted += 1,
            503 => assert_eq!(n, SERVED_MAX),
            other => panic!("{other}"),
        }
        members.push((member, asked));
    }
    assert_eq!(granted, SERVED_MAX);
}

async fn frames() {
    let node = closed("node", &[]).await;
    let stock = Stock::start().await;
    let (_, at) = third_party().await;
    for connection in [stock.dial(&node).await, Stranger::start().await.dial(&node).await] {
        assert!(!connection.nat_traversal_supported());
        assert!(connection.send_nat_punch_coordination(1, at, 1).is_err());
        assert!(connection.send_nat_punch_via_relay([7; 32], at, 1).is_err());
    }
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
    let _ = timeout(SILENCE, stock.node.send(&to, bytes)).await;
}

async fn coordinator() {
    let node = closed("coordinator", &[]).await;
    let target = closed("target", &[node.addr()]).await;
    target.until_linked(node.id()).await;
    let stock = Stock::start().await;
    stock.dial(&node).await;
    let (victim, at) = third_party().await;
    let request = json!({ "CoordinationRequest": {
        "initiator": stock.id().0, "target": target.id().0, "round": 1, "initiator_addrs": [at],
    }});
    say(&stock, node.id(), &control(1 << 40, &request)).await;
    assert!(!hears(&victim).await);
}

async fn target() {
    let node = closed("node", &[]).await;
    let stock = Stock::start().await;
    stock.dial(&node).await;
    let (victim, at) = third_party().await;
    let accepted = json!({ "CoordinationAccepted": {
        "initiator": ([7u8; 32]), "target": node.id().0, "round": 1,
        "initiator_addrs": [at], "target_addrs": [node.addr()],
    }});
    say(&stock, node.id(), &control(1 << 41, &accepted)).await;
    assert!(!hears(&victim).await);
}
