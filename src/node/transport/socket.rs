//! The UDP socket under the node's endpoint.
//!
//! It keeps the local address of each path, so that a host with several
//! addresses answers from the one that was asked. It never fails: what the
//! system refuses to send is a lost datagram, counted by what the system said.
//! What would be answered with more bytes than it has is not handed on. And it can
//! be given up at once, whoever still holds the endpoint.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use ant_quic::high_level::{AsyncUdpSocket, UdpSender};
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::time::Sleep;

use crate::core::Mono;
use crate::core::guessing;
use crate::core::limits::FIRST_PACKET_MIN;
use crate::core::sounding::{self, Came, Soundings};
use crate::model::plain_addr;
use crate::node::locks::lock;

/// Hosts remembered to which the system would not send: each is tried twice a second.
/// Above, it is likely not about hosts but about all of them.
const BARRED_MAX: usize = 32;
/// Set in the first byte of the packets of a handshake.
const LONG_HEADER: u8 = 0x80;
/// The version of a packet that names versions. It is never answered.
const NEGOTIATION: u32 = 0;

/// A socket that only fails is read again after this long.
const PAUSE: Duration = Duration::from_millis(50);

/// The socket as the system knows it.
#[derive(Debug)]
struct Io {
    socket: UdpSocket,
    state: UdpSocketState,
}

#[derive(Debug)]
struct Shared {
    local: SocketAddr,
    /// Nothing after [`Self::release`].
    io: RwLock<Option<Arc<Io>>>,
    refused: Mutex<BTreeMap<ErrorKind, u64>>,
    /// Where the system would not send to, by host, and what it said last.
    barred: Mutex<BTreeMap<IpAddr, (SocketAddr, ErrorKind)>>,
    /// Datagrams that were dropped as they came.
    strays: AtomicU64,
    /// Whether short datagrams pass where long ones do not.
    soundings: Mutex<Soundings>,
    soundings_stopped: AtomicU64,
    begun: Instant,
    pause: Mutex<Option<Pin<Box<Sleep>>>>,
}

/// The node's socket; clones are the same one.
#[derive(Debug, Clone)]
pub(super) struct NodeSocket {
    shared: Arc<Shared>,
}

impl NodeSocket {
    /// Takes a bound socket, on the current runtime.
    pub(super) fn new(socket: std::net::UdpSocket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let state = UdpSocketState::new((&socket).into())?;
        without_coalescing(&socket);
        let socket = UdpSocket::from_std(socket)?;
        let local = socket.local_addr()?;
        let io = RwLock::new(Some(Arc::new(Io { socket, state })));
        let shared = Shared {
            local,
            io,
            refused: Mutex::default(),
            barred: Mutex::default(),
            strays: AtomicU64::new(0),
            soundings: Mutex::new(Soundings::new(Mono(Duration::ZERO))),
            soundings_stopped: AtomicU64::new(0),
            begun: Instant::now(),
            pause: Mutex::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Where it is bound.
    pub(super) fn bound(&self) -> SocketAddr {
        self.shared.local
    }

    /// Gives up the system's socket: its port is free from now on. What is sent
    /// later is lost, and nothing is received any more.
    pub(super) fn release(&self) {
        *self.shared.io.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// How many datagrams the system refused to send since this was last asked,
    /// by what it said.
    pub(super) fn take_refused(&self) -> Vec<(ErrorKind, u64)> {
        let mut refused = lock(&self.shared.refused);
        std::mem::take(&mut *refused).into_iter().collect()
    }

    /// How many datagrams were not handed on since this was last asked: they ask for
    /// a version negotiation that is longer than they are.
    pub(super) fn take_strays(&self) -> u64 {
        self.shared.strays.swap(0, Ordering::Relaxed)
    }

    /// Asks by a short datagram whether anything passes there.
    pub(super) fn sound(&self, to: SocketAddr) {
        let now = self.elapsed();
        let question = lock(&self.shared.soundings).ask(plain_addr(to), rand::random(), now);
        self.send_beside(to, &question);
    }

    /// Whether an answer came from there since it was asked; it is told once.
    pub(super) fn take_heard(&self, from: SocketAddr) -> bool {
        lock(&self.shared.soundings).take_heard(plain_addr(from))
    }

    /// How many soundings came since this was last asked that were not answered, or
    /// answered nothing.
    pub(super) fn take_soundings_stopped(&self) -> u64 {
        self.shared.soundings_stopped.swap(0, Ordering::Relaxed)
    }

    fn elapsed(&self) -> Mono {
        Mono(self.shared.begun.elapsed())
    }

    /// Whether a datagram is a sounding; what it asks for is done.
    fn is_sounding(&self, datagram: &[u8], from: SocketAddr) -> bool {
        if datagram.len() != sounding::LEN {
            return false;
        }
        let came = lock(&self.shared.soundings).came(plain_addr(from), datagram, self.elapsed());
        match came {
            Came::Other => return false,
            Came::Answer(answer) => self.send_beside(plain_addr(from), &answer),
            Came::Heard => {}
            Came::Stopped => drop(self.shared.soundings_stopped.fetch_add(1, Ordering::Relaxed)),
        }
        true
    }

    /// Takes out what is not to be answered. An empty datagram is none to the
    /// endpoint.
    fn sift(&self, bufs: &[IoSliceMut<'_>], meta: &mut [RecvMeta]) {
        for (buf, meta) in bufs.iter().zip(meta) {
            let datagram = buf.get(..meta.len).unwrap_or_default();
            if is_stray(datagram) {
                meta.len = 0;
                self.shared.strays.fetch_add(1, Ordering::Relaxed);
            } else if self.is_sounding(datagram, meta.addr) {
                meta.len = 0;
            } else if guessing::is_ours(datagram) {
                // The other end of a guessed punch opened its sockets with it. An
                // endpoint that took it for QUIC would answer with a reset.
                meta.len = 0;
            }
        }
    }

    fn io(&self) -> Option<Arc<Io>> {
        self.shared.io.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends, or says that the system has no room at the moment.
    fn send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let Some(io) = self.io() else { return Ok(()) };
        let attempt = |transmit: &Transmit<'_>| {
            io.socket.try_io(Interest::WRITABLE, || io.state.try_send((&io.socket).into(), transmit))
        };
        let mut result = attempt(transmit);
        if transmit.src_ip.is_some() && matches!(&result, Err(error) if is_source_gone(error)) {
            // The address that was asked is not ours any more: the system
            // chooses another, and the other end follows it.
            result = attempt(&Transmit { src_ip: None, ..transmit.clone() });
        }
        match result {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Err(error),
            // Longer than the path takes: that is what probing for its size is for.
            Err(error) if is_too_long(&error) => Ok(()),
            Err(error) => {
                self.refuse(transmit.destination, &error);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Sends a datagram that is no QUIC, if there is room for it just now.
    pub(super) fn send_beside(&self, to: SocketAddr, contents: &[u8]) {
        drop(self.send(&self.beside(to, contents)));
    }

    /// A datagram that no connection sends.
    fn beside<'a>(&self, to: SocketAddr, contents: &'a [u8]) -> Transmit<'a> {
        let destination = if self.shared.local.is_ipv6() { mapped(to) } else { to };
        Transmit { destination, ecn: None, contents, segment_size: None, src_ip: None }
    }

    fn refuse(&self, to: SocketAddr, error: &io::Error) {
        *lock(&self.shared.refused).entry(error.kind()).or_default() += 1;
        // A full queue says nothing of whom it is for.
        if error.raw_os_error() == Some(rustix::io::Errno::NOBUFS.raw_os_error()) {
            return;
        }
        let to = plain_addr(to);
        let mut barred = lock(&self.shared.barred);
        if barred.len() < BARRED_MAX || barred.contains_key(&to.ip()) {
            barred.insert(to.ip(), (to, error.kind()));
        }
    }

    /// Whether the system refused to send to somebody, as far as is known.
    pub(super) fn is_barred(&self) -> bool {
        !lock(&self.shared.barred).is_empty()
    }

    /// Tries everybody to whom the system would not send once more; those to whom it
    /// still does not.
    pub(super) fn try_barred(&self) -> Vec<(IpAddr, ErrorKind)> {
        let barred: Vec<SocketAddr> = lock(&self.shared.barred).values().map(|(to, _)| *to).collect();
        for to in barred {
            let byte = self.beside(to, &[0]);
            let Some(io) = self.io() else { break };
            let sent = io.socket.try_io(Interest::WRITABLE, || io.state.try_send((&io.socket).into(), &byte));
            match sent {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => drop(lock(&self.shared.barred).insert(to.ip(), (to, error.kind()))),
                Ok(()) => drop(lock(&self.shared.barred).remove(&to.ip())),
            }
        }
        lock(&self.shared.barred).iter().map(|(ip, (_, kind))| (*ip, *kind)).collect()
    }

    /// Waits after an error of reading; whether that is over.
    fn poll_pause(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut pause = lock(&self.shared.pause);
        if let Some(sleep) = pause.as_mut() {
            ready!(sleep.as_mut().poll(cx));
            *pause = None;
        }
        Poll::Ready(())
    }
}

/// As a socket for both families names it.
fn mapped(addr: SocketAddr) -> SocketAddr {
    match addr.ip() {
        IpAddr::V4(ip) => (ip.to_ipv6_mapped(), addr.port()).into(),
        IpAddr::V6(_) => addr,
    }
}

/// One datagram a buffer: the endpoint would need 64 times the memory to take
/// what the system coalesces.
fn without_coalescing(socket: &std::net::UdpSocket) {
    #[cfg(target_os = "linux")]
    if let Err(error) = nix::sys::socket::setsockopt(socket, nix::sys::socket::sockopt::UdpGroSegment, &false)
    {
        tracing::debug!(%error, "the system cannot coalesce datagrams, which is not wanted anyhow");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = socket;
}

/// What the system says when it is to send from an address that it does not have.
fn is_source_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::InvalidInput | ErrorKind::AddrNotAvailable | ErrorKind::NetworkUnreachable
    )
}

/// Whether a datagram is the first of a connection of another version and shorter
/// than first ones have to be (RFC 9000, 14.1 and 6.1). The endpoint would say
/// which versions it speaks, to an address that may be forged, in more bytes than
/// it was sent.
pub(in crate::node) fn is_stray(datagram: &[u8]) -> bool {
    let [first, v0, v1, v2, v3, ..] = *datagram else { return false };
    let version = u32::from_be_bytes([v0, v1, v2, v3]);
    first & LONG_HEADER != 0
        && version != NEGOTIATION
        && !ant_quic::DEFAULT_SUPPORTED_VERSIONS.contains(&version)
        && datagram.len() < FIRST_PACKET_MIN
}

fn is_too_long(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::MSGSIZE.raw_os_error())
}

impl AsyncUdpSocket for NodeSocket {
    fn create_sender(&self) -> Pin<Box<dyn UdpSender>> {
        Box::pin(NodeSender { socket: self.clone(), writable: None })
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_pause(cx));
        let Some(io) = self.io() else { return Poll::Pending };
        loop {
            ready!(io.socket.poll_recv_ready(cx))?;
            let received =
                io.socket.try_io(Interest::READABLE, || io.state.recv((&io.socket).into(), bufs, meta));
            match received {
                Ok(count) => {
                    self.sift(bufs, meta.get_mut(..count).unwrap_or_default());
                    return Poll::Ready(Ok(count));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => {
                    tracing::debug!(%error, "the node's socket cannot be read");
                    let sleep = Box::pin(tokio::time::sleep(PAUSE));
                    *lock(&self.shared.pause) = Some(sleep);
                    ready!(self.poll_pause(cx));
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.shared.local)
    }

    fn may_fragment(&self) -> bool {
        self.io().is_none_or(|io| io.state.may_fragment())
    }
}

type Writable = Pin<Box<dyn Future<Output = io::Result<()>> + Send + Sync>>;

/// Sends for one connection and waits for room by itself.
struct NodeSender {
    socket: NodeSocket,
    writable: Option<Writable>,
}

impl fmt::Debug for NodeSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeSender").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl UdpSender for NodeSender {
    fn poll_send(
        mut self: Pin<&mut Self>,
        transmit: &Transmit<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if let Some(writable) = &mut self.writable {
                // If waiting fails, the next attempt says why.
                let _ = ready!(writable.as_mut().poll(cx));
                self.writable = None;
            }
            match self.socket.send(transmit) {
                Ok(()) => return Poll::Ready(Ok(())),
                Err(_) => {
                    let Some(io) = self.socket.io() else { return Poll::Ready(Ok(())) };
                    self.writable = Some(Box::pin(async move { io.socket.writable().await }));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::task::Waker;

    use super::*;

    fn bound(addr: &str) -> NodeSocket {
        NodeSocket::new(std::net::UdpSocket::bind(addr).unwrap()).unwrap()
    }

    fn transmit(to: SocketAddr, src_ip: Option<IpAddr>, contents: &[u8]) -> Transmit<'_> {
        Transmit { destination: to, ecn: None, contents, segment_size: None, src_ip }
    }

    async fn send(socket: &NodeSocket, transmit: &Transmit<'_>) {
        let mut sender = socket.create_sender();
        std::future::poll_fn(|cx| sender.as_mut().poll_send(transmit, cx)).await.unwrap();
    }

    async fn receive(socket: &NodeSocket) -> (Vec<u8>, RecvMeta) {
        let (mut buf, mut meta) = ([0; 2048], [RecvMeta::default()]);
        let count =
            std::future::poll_fn(|cx| socket.poll_recv(cx, &mut [IoSliceMut::new(&mut buf)], &mut meta));
        assert_eq!(count.await.unwrap(), 1);
        (buf[..meta[0].len].to_vec(), meta[0])
    }

    #[tokio::test]
    async fn an_answer_leaves_by_the_address_that_was_asked() {
        let node = bound("0.0.0.0:0");
        let asker = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let asked: SocketAddr = (Ipv4Addr::new(127, 0, 0, 2), node.bound().port()).into();
        asker.send_to(b"question", asked).unwrap();
        let (bytes, meta) = receive(&node).await;
        assert_eq!((&bytes[..], meta.dst_ip), (&b"question"[..], Some(asked.ip())));
        send(&node, &transmit(meta.addr, meta.dst_ip, b"answer")).await;
        let mut buf = [0; 16];
        let (len, from) = asker.recv_from(&mut buf).unwrap();
        assert_eq!((&buf[..len], from), (&b"answer"[..], asked));
    }

    #[tokio::test]
    async fn an_address_that_is_gone_is_left_for_another() {
        let node = bound("0.0.0.0:0");
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let gone = Some(IpAddr::V4(Ipv4Addr::new(198, 18, 255, 254)));
        send(&node, &transmit(peer.local_addr().unwrap(), gone, b"still there")).await;
        let mut buf = [0; 16];
        let (len, from) = peer.recv_from(&mut buf).unwrap();
        assert_eq!((&buf[..len], from.port()), (&b"still there"[..], node.bound().port()));
        assert!(node.take_refused().is_empty());
    }

    #[tokio::test]
    async fn what_the_system_refuses_to_send_is_lost_and_counted() {
        let node = bound("127.0.0.1:0");
        // Nothing leaves the loopback interface for elsewhere.
        let elsewhere: SocketAddr = "198.18.255.254:9".parse().unwrap();
        for _ in 0..3 {
            send(&node, &transmit(elsewhere, None, b"x")).await;
        }
        let refused = node.take_refused();
        assert_eq!(refused.iter().map(|(_, count)| count).sum::<u64>(), 3, "{refused:?}");
        assert!(node.take_refused().is_empty(), "told once");
        let barred: Vec<IpAddr> = node.try_barred().into_iter().map(|(ip, _)| ip).collect();
        assert_eq!(barred, [elsewhere.ip()], "still");
    }

    #[tokio::test]
    async fn a_released_socket_frees_its_port_and_stays_silent() {
        let node = bound("127.0.0.1:0");
        let sender = node.create_sender();
        let at = node.bound();
        node.release();
        let next = std::net::UdpSocket::bind(at).unwrap();
        let mut sender = sender;
        let lost = transmit(next.local_addr().unwrap(), None, b"x");
        let sent = sender.as_mut().poll_send(&lost, &mut Context::from_waker(Waker::noop()));
        assert!(matches!(sent, Poll::Ready(Ok(()))));
        next.set_nonblocking(true).unwrap();
        assert!(next.recv_from(&mut [0; 16]).is_err());
    }

    #[tokio::test]
    async fn a_short_question_for_versions_is_not_handed_on_and_counted() {
        let node = bound("127.0.0.1:0");
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let asks = |version: u32, len: usize| {
            let mut bytes = vec![0xc0];
            bytes.extend(version.to_be_bytes());
            bytes.resize(len, 0);
            bytes
        };
        // The next one is there, so nothing waits for the first.
        for stray in [asks(0xdead_beef, 7), asks(0xdead_beef, FIRST_PACKET_MIN - 1)] {
            peer.send_to(&stray, node.bound()).unwrap();
            assert_eq!(receive(&node).await.0, b"");
        }
        assert_eq!((node.take_strays(), node.take_strays()), (2, 0));
        let passed =
            [asks(0xdead_beef, FIRST_PACKET_MIN), asks(1, 40), asks(NEGOTIATION, 40), vec![0x40; 40]];
        for bytes in passed {
            peer.send_to(&bytes, node.bound()).unwrap();
            assert_eq!(receive(&node).await.0, bytes);
        }
        assert_eq!(node.take_strays(), 0);
    }

    #[tokio::test]
    async fn a_datagram_beside_quic_leaves_from_the_same_port_and_none_is_handed_to_the_endpoint() {
        let [node, other] = [bound("[::]:0"), bound("127.0.0.1:0")];
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, node.bound().port()));
        for socket in [&node, &other] {
            socket.io().unwrap().socket.writable().await.unwrap();
        }
        let bytes = guessing::datagram(guessing::RunId([7; 16]));
        node.send_beside(other.bound(), &bytes);
        let (_, meta) = receive(&other).await;
        assert_eq!((meta.addr, meta.len), (at, 0), "it came, and nothing of it is shown");
        other.send_beside(at, b"quic, for all we know");
        assert_eq!(receive(&node).await.0, b"quic, for all we know");
    }

    #[tokio::test]
    async fn a_sounding_is_answered_by_the_socket_alone_and_heard_where_it_was_asked() {
        let (asks, answers) = (bound("127.0.0.1:0"), bound("127.0.0.1:0"));
        for socket in [&asks, &answers] {
            socket.io().unwrap().socket.writable().await.unwrap();
        }
        asks.sound(answers.bound());
        let (handed_on, _) = receive(&answers).await;
        assert!(handed_on.is_empty(), "the endpoint hears nothing of it");
        let (handed_on, _) = receive(&asks).await;
        assert!(handed_on.is_empty() && asks.take_heard(answers.bound()));
        assert!(!asks.take_heard(answers.bound()) && !answers.take_heard(asks.bound()));
        asks.send_beside(answers.bound(), &sounding::question([1; 8]));
        receive(&answers).await;
        receive(&asks).await;
        assert_eq!(asks.take_soundings_stopped(), 1, "an answer that nobody asked for");
    }

    #[tokio::test]
    async fn datagrams_come_one_by_one_however_fast() {
        let node = bound("127.0.0.1:0");
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        for n in 0..200u32 {
            peer.send_to(&n.to_be_bytes(), node.bound()).unwrap();
        }
        for n in 0..200u32 {
            assert_eq!(receive(&node).await.0, n.to_be_bytes());
        }
    }
}
