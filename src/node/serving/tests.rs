mod quic;

use std::net::Ipv6Addr;
use std::time::Duration;

use ant_quic::masque::{ConnectUdpRequest, ConnectUdpResponse};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;
use crate::core::limits::{SERVED_DATAGRAM_MAX, SERVED_FRAME_MAX, SERVED_QUEUE_MAX, SERVED_REQUEST_MAX};
use crate::core::serving::Dropped;
use crate::node::lanes::framing::{Deframer, push_datagram};

const SOON: Duration = Duration::from_secs(5);
const QUIET: Duration = Duration::from_millis(200);
const LOCALHOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const WHO: (PeerId, ConnId) = (PeerId([7; 32]), ConnId(1));

/// A relay with a client that was granted a reservation.
struct Bench {
    serving: Serving,
    inbox: mpsc::Receiver<Report>,
    id: ServeId,
    told: SocketAddr,
    up: WriteHalf<DuplexStream>,
    down: ReadHalf<DuplexStream>,
    deframer: Deframer,
}

impl Bench {
    /// `room`: bytes that the client's stream takes before somebody reads.
    async fn on(bind: IpAddr, room: usize) -> Self {
        let (reports, inbox) = mpsc::channel(16);
        let mut serving = Serving::new(bind, Clock::start(), reports);
        let (id, client) = ask(&mut serving, room);
        let Some(Input::RelayStarted { id: started, public_addr }) = serving.serve(id) else {
            panic!("not granted")
        };
        assert_eq!(started, id);
        let (mut down, up) = split(client);
        let answer = answer_of(&mut down).await;
        assert!(answer.is_success());
        assert_eq!(answer.proxy_public_address, Some(public_addr));
        Self { serving, inbox, id, told: public_addr, up, down, deframer: Deframer::default() }
    }

    async fn new() -> Self {
        Self::on(LOCALHOST, 1 << 20).await
    }

    async fn send(&mut self, to: SocketAddr, payload: &[u8]) {
        let mut frame = Vec::new();
        push_datagram(&mut frame, to, payload);
        self.up.write_all(&frame).await.unwrap();
    }

    async fn receive(&mut self) -> (SocketAddr, Bytes) {
        loop {
            if let Some(datagram) = self.deframer.next().unwrap() {
                return datagram;
            }
            let read = timeout(SOON, self.down.read_buf(&mut self.deframer.buffer)).await;
            assert_ne!(read.expect("nothing came").unwrap(), 0, "the stream ended");
        }
    }

    fn traffic(&self) -> Traffic {
        self.serving.traffic()[0].1
    }

    async fn until_dropped(&self, why: Dropped) {
        let dropped = async {
            while self.traffic().drops.of(why) == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(SOON, dropped).await.unwrap_or_else(|_| panic!("{:?}", self.traffic()));
    }

    /// Why it ended by itself.
    async fn end(&mut self) -> ServedEnd {
        match timeout(SOON, self.inbox.recv()).await {
            Ok(Some(Report::Input(Input::RelayEnded { id, why, .. }))) => {
                assert_eq!(id, self.id);
                why
            }
            _ => panic!("it did not end"),
        }
    }
}

fn ask(serving: &mut Serving, room: usize) -> (ServeId, DuplexStream) {
    let (client, relay) = duplex(room);
    let (up, down) = split(relay);
    let input = serving.asked(WHO, true, None, (Box::new(down), Box::new(up)));
    let Input::RelayAsked(ask) = input else { panic!("{input:?}") };
    assert_eq!((ask.peer, ask.conn, ask.bind), (WHO.0, WHO.1, true));
    (ask.id, client)
}

async fn answer_of(down: &mut (impl tokio::io::AsyncRead + Unpin)) -> ConnectUdpResponse {
    let len = timeout(SOON, down.read_u32()).await.expect("no answer").unwrap();
    let mut answer = vec![0; len as usize];
    down.read_exact(&mut answer).await.unwrap();
    ConnectUdpResponse::decode(&mut Bytes::from(answer)).unwrap()
}

/// Somebody outside.
async fn somebody() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind((LOCALHOST, 0)).await.unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

async fn heard(socket: &UdpSocket) -> Option<(Vec<u8>, SocketAddr)> {
    let mut buf = vec![0; 4_096];
    let (len, from) = timeout(QUIET, socket.recv_from(&mut buf)).await.ok()?.ok()?;
    buf.truncate(len);
    Some((buf, from))
}

#[tokio::test]
async fn datagrams_come_in_and_answers_go_out_from_the_address_that_the_holder_was_told() {
    let mut b = Bench::new().await;
    let (peer, at) = somebody().await;
    peer.send_to(b"hello", b.told).await.unwrap();
    assert_eq!(b.receive().await, (at, Bytes::from_static(b"hello")));
    b.send(at, b"and back").await;
    assert_eq!(heard(&peer).await, Some((b"and back".to_vec(), b.told)));
    let traffic = b.traffic();
    assert_eq!((traffic.bytes_tx, traffic.bytes_rx, traffic.drops.total()), (8, 5, 0));
}

#[tokio::test]
async fn nobody_who_sent_nothing_in_hears_anything() {
    let mut b = Bench::new().await;
    let ((peer, at), (third, aimed_at)) = (somebody().await, somebody().await);
    peer.send_to(b"hello", b.told).await.unwrap();
    b.receive().await;
    b.send(aimed_at, b"aimed").await;
    b.send(at, b"meant").await;
    assert!(heard(&peer).await.is_some());
    assert_eq!(heard(&third).await, None);
    assert_eq!(b.traffic().drops.of(Dropped::Unheard), 1);
}

#[tokio::test]
async fn a_node_on_the_wildcard_takes_both_families_and_sends_nothing_to_its_own_host() {
    let mut b = Bench::on(Ipv6Addr::UNSPECIFIED.into(), 1 << 20).await;
    assert!(b.told.ip().is_unspecified(), "the holder knows better: {}", b.told);
    let (peer, at) = somebody().await;
    peer.send_to(b"hello", (LOCALHOST, b.told.port())).await.unwrap();
    assert_eq!(b.receive().await.0, at, "plain");
    b.send(at, b"to a service of this host").await;
    b.until_dropped(Dropped::Forbidden).await;
    assert_eq!(heard(&peer).await, None);
}

#[tokio::test]
async fn a_holder_that_reads_slowly_loses_the_oldest_and_no_more_waits_than_the_queue_takes() {
    let mut b = Bench::on(LOCALHOST, 64).await;
    let (peer, _) = somebody().await;
    let sent = u32::try_from(SERVED_QUEUE_MAX * 3).unwrap();
    for n in 0..sent {
        peer.send_to(&n.to_be_bytes(), b.told).await.unwrap();
        if n % 16 == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    b.until_dropped(Dropped::Full).await;
    let mut came = Vec::new();
    while came.last() != Some(&(sent - 1)) {
        let (_, payload) = b.receive().await;
        came.push(u32::from_be_bytes(payload[..].try_into().unwrap()));
    }
    assert!(came.is_sorted());
    assert!(came.len() < sent as usize - 50, "{}", came.len());
}

#[tokio::test]
async fn a_datagram_longer_than_the_lane_takes_does_not_come_in() {
    let mut b = Bench::new().await;
    let (peer, _) = somebody().await;
    peer.send_to(&[0; SERVED_DATAGRAM_MAX + 1], b.told).await.unwrap();
    b.until_dropped(Dropped::TooLong).await;
    peer.send_to(&[1; SERVED_DATAGRAM_MAX], b.told).await.unwrap();
    assert_eq!(b.receive().await.1.len(), SERVED_DATAGRAM_MAX);
}

#[tokio::test]
async fn a_holder_that_announces_too_much_loses_its_reservation() {
    let mut b = Bench::new().await;
    let len = u32::try_from(SERVED_FRAME_MAX + 1).unwrap();
    b.up.write_all(&len.to_be_bytes()).await.unwrap();
    assert_eq!(b.end().await, ServedEnd::Garbled);
}

#[tokio::test]
async fn a_stream_that_the_holder_closes_ends_it() {
    let mut b = Bench::new().await;
    b.up.shutdown().await.unwrap();
    assert_eq!(b.end().await, ServedEnd::ClosedByPeer);
    b.serving.ended(b.id);
    assert!(b.serving.traffic().is_empty());
}

#[tokio::test]
async fn what_is_ended_frees_its_port_ends_its_stream_and_says_what_went_through() {
    let mut b = Bench::new().await;
    let (peer, at) = somebody().await;
    peer.send_to(b"hello", b.told).await.unwrap();
    b.receive().await;
    b.send(at, b"answer").await;
    heard(&peer).await.unwrap();
    let Input::RelayEnded { id, why, traffic } = b.serving.end(b.id, ServedEnd::Replaced) else { panic!() };
    assert_eq!((id, why), (b.id, ServedEnd::Replaced));
    assert_eq!((traffic.bytes_tx, traffic.bytes_rx), (6, 5));
    let mut rest = BytesMut::new();
    assert_eq!(timeout(SOON, b.down.read_buf(&mut rest)).await.unwrap().unwrap(), 0, "the stream is over");
    UdpSocket::bind(b.told).await.expect("the port is free");
}

#[tokio::test]
async fn everything_ends_with_the_table() {
    let mut b = Bench::new().await;
    let (reports, _inbox) = mpsc::channel(1);
    drop(std::mem::replace(&mut b.serving, Serving::new(LOCALHOST, Clock::start(), reports)));
    let mut rest = BytesMut::new();
    assert_eq!(timeout(SOON, b.down.read_buf(&mut rest)).await.unwrap().unwrap(), 0);
    UdpSocket::bind(b.told).await.expect("the port is free");
}

#[tokio::test]
async fn a_refusal_has_its_status_and_ends_the_stream() {
    let (reports, _inbox) = mpsc::channel(1);
    let mut serving = Serving::new(LOCALHOST, Clock::start(), reports);
    for (why, status) in [(Refusal::NotLinked, 403), (Refusal::KeptOff, 429), (Refusal::Full, 503)] {
        let (id, mut client) = ask(&mut serving, 4_096);
        serving.refuse(id, why);
        let answer = answer_of(&mut client).await;
        assert_eq!((answer.status, answer.proxy_public_address), (status, None));
        let mut rest = BytesMut::new();
        assert_eq!(client.read_buf(&mut rest).await.unwrap(), 0);
        assert!(serving.serve(id).is_none(), "it is answered once");
    }
}

#[tokio::test]
async fn a_client_that_takes_no_refusal_is_not_waited_for() {
    let (reports, _inbox) = mpsc::channel(1);
    let mut serving = Serving::new(LOCALHOST, Clock::start(), reports);
    let mut clients = Vec::new();
    for _ in 0..REFUSALS_MAX * 3 {
        let (id, client) = ask(&mut serving, 1);
        clients.push(client);
        serving.refuse(id, Refusal::NotLinked);
        assert!(serving.refusing.len() <= REFUSALS_MAX);
    }
    assert!(serving.asked.is_empty());
}

#[tokio::test]
async fn requests_are_read_and_what_is_none_is_told_from_them() {
    let read = async |bytes: &[u8]| {
        let (mut client, mut relay) = duplex(4_096);
        client.write_all(bytes).await.unwrap();
        client.shutdown().await.unwrap();
        read_request(u32::try_from(bytes.len()).unwrap().to_be_bytes(), &mut relay).await
    };
    assert_eq!(read(&ConnectUdpRequest::bind_any().encode()).await, Some(true));
    assert_eq!(
        read(&ConnectUdpRequest::target("198.18.0.9:22".parse().unwrap()).encode()).await,
        Some(false)
    );
    assert_eq!(read(&ConnectUdpRequest::bind_port(4_000).encode()).await, Some(false));
    assert_eq!(read(&[1, 0x40]).await, None);
    assert_eq!(read(&[0; SERVED_REQUEST_MAX + 1]).await, None);
}

#[test]
fn the_holder_is_told_where_its_connection_arrives_if_we_listen_everywhere() {
    let told = |bind: &str, local: Option<&str>| {
        public_ip(bind.parse().unwrap(), local.map(|ip| ip.parse().unwrap())).to_string()
    };
    assert_eq!(told("198.18.0.1", Some("198.18.0.2")), "198.18.0.1");
    assert_eq!(told("::", Some("::ffff:198.18.0.2")), "198.18.0.2");
    assert_eq!(told("0.0.0.0", Some("198.18.0.2")), "198.18.0.2");
    assert_eq!(told("::", None), "::");
}

#[test]
fn this_host_has_its_loopback_address_at_least() {
    if cfg!(target_os = "linux") {
        assert!(host::addresses().contains(&LOCALHOST));
    }
}
