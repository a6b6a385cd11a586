//! A UDP socket on a relay: what QUIC writes to it travels over a stream to
//! the relay, which sends it on, and back.
//!
//! It never fails. An error from a socket makes the library bind a real one on
//! the same address in its place, and that address is the relay's; so a socket
//! whose stream has ended is only silent, and says so once, apart.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use ant_quic::high_level::{AsyncUdpSocket, UdpSender};
use ant_quic::{HighLevelRecvStream, HighLevelSendStream};
use bytes::Bytes;
use quinn_udp::{RecvMeta, Transmit};
use tokio::io::AsyncReadExt;
use tokio::sync::{Notify, watch};

use super::framing::{Deframer, push_datagram};
use super::queue::DropQueue;
use super::sources::Sources;
use crate::core::limits::LANE_QUEUE_MAX;
use crate::model::plain_addr;
use crate::node::locks::lock;
use crate::node::transport;

/// Written to the stream at once; what is taken from the queue for it can no
/// longer be dropped.
const BATCH: usize = 32 * 1024;

/// Why a lane socket fell silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LaneEnd {
    /// We let go of it.
    Released,
    /// The relay finished the stream.
    Finished,
    /// The stream or its connection broke.
    Broken,
    /// The relay sent what cannot be read.
    Garbled,
}

/// What went through a lane socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LaneCounts {
    /// Bytes of datagrams handed to the relay.
    pub bytes_tx: u64,
    /// Bytes of datagrams that came from it.
    pub bytes_rx: u64,
    /// Datagrams dropped because the queue towards the relay was full.
    pub dropped_tx: u64,
    /// Datagrams dropped because the queue from it was full, or because they ask
    /// for an answer that is longer than they are.
    pub dropped_rx: u64,
    /// Datagrams not sent because nothing ever came from where they should go.
    pub unasked: u64,
}

#[derive(Debug)]
struct Inbound {
    queue: DropQueue<(SocketAddr, Bytes)>,
    sources: Sources,
    reader: Option<Waker>,
}

#[derive(Debug)]
struct Shared {
    public_addr: SocketAddr,
    inbound: Mutex<Inbound>,
    outbound: Mutex<DropQueue<Vec<u8>>>,
    /// Something waits in `outbound`, or the stream is to be finished.
    written: Notify,
    finishing: AtomicBool,
    /// Whether the relay's own socket is a dual-stack one: then it knows IPv4
    /// addresses in their mapped form only, and takes no other back.
    mapped: AtomicBool,
    bytes_tx: AtomicU64,
    bytes_rx: AtomicU64,
    unasked: AtomicU64,
    strays: AtomicU64,
    end: watch::Sender<Option<LaneEnd>>,
}

/// The socket; clones are the same one.
#[derive(Debug, Clone)]
pub(super) struct LaneSocket {
    shared: Arc<Shared>,
}

impl LaneSocket {
    /// A socket with the address that the relay gave us. `dual_stack`: the
    /// relay names IPv4 addresses in their mapped form, as far as we know.
    pub(super) fn new(public_addr: SocketAddr, dual_stack: bool) -> Self {
        let inbound =
            Inbound { queue: DropQueue::new(LANE_QUEUE_MAX), sources: Sources::default(), reader: None };
        Self {
            shared: Arc::new(Shared {
                public_addr,
                inbound: Mutex::new(inbound),
                outbound: Mutex::new(DropQueue::new(LANE_QUEUE_MAX)),
                written: Notify::new(),
                finishing: AtomicBool::new(false),
                mapped: AtomicBool::new(dual_stack),
                bytes_tx: AtomicU64::new(0),
                bytes_rx: AtomicU64::new(0),
                unasked: AtomicU64::new(0),
                strays: AtomicU64::new(0),
                end: watch::Sender::new(None),
            }),
        }
    }

    /// What went through so far.
    pub(super) fn counts(&self) -> LaneCounts {
        LaneCounts {
            bytes_tx: self.shared.bytes_tx.load(Ordering::Relaxed),
            bytes_rx: self.shared.bytes_rx.load(Ordering::Relaxed),
            dropped_tx: lock(&self.shared.outbound).dropped(),
            dropped_rx: lock(&self.shared.inbound).queue.dropped()
                + self.shared.strays.load(Ordering::Relaxed),
            unasked: self.shared.unasked.load(Ordering::Relaxed),
        }
    }

    /// Tells of the end, once.
    pub(super) fn ended(&self) -> watch::Receiver<Option<LaneEnd>> {
        self.shared.end.subscribe()
    }

    /// What is queued still goes out, then the stream is finished.
    pub(super) fn finish(&self) {
        self.shared.finishing.store(true, Ordering::Release);
        self.shared.written.notify_one();
    }

    fn end(&self, end: LaneEnd) {
        // What the relay does about our goodbye is no news.
        let released = self.shared.finishing.load(Ordering::Acquire);
        let end = if released { LaneEnd::Released } else { end };
        self.shared.end.send_if_modified(|known| {
            let first = known.is_none();
            known.get_or_insert(end);
            first
        });
    }

    /// Reads datagrams from the relay until the stream ends.
    pub(super) async fn read_from(self, mut recv: HighLevelRecvStream) {
        let mut deframer = Deframer::default();
        let end = loop {
            loop {
                match deframer.next() {
                    Ok(Some((from, payload))) => self.received(from, payload),
                    Ok(None) => break,
                    Err(_) => return self.end(LaneEnd::Garbled),
                }
            }
            match recv.read_buf(&mut deframer.buffer).await {
                Ok(0) => break LaneEnd::Finished,
                Ok(_) => {}
                Err(_) => break LaneEnd::Broken,
            }
        };
        self.end(end);
    }

    fn received(&self, from: SocketAddr, payload: Bytes) {
        if transport::is_stray(&payload) {
            self.shared.strays.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let source = plain_addr(from);
        if source.is_ipv4() {
            self.shared.mapped.store(from.is_ipv6(), Ordering::Relaxed);
        }
        self.shared.bytes_rx.fetch_add(payload.len() as u64, Ordering::Relaxed);
        let reader = {
            let mut inbound = lock(&self.shared.inbound);
            inbound.sources.heard(source);
            inbound.queue.push((source, payload));
            inbound.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Writes queued datagrams to the relay until the stream ends or is
    /// finished.
    pub(super) async fn write_to(self, mut send: HighLevelSendStream) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            batch.clear();
            {
                let mut queue = lock(&self.shared.outbound);
                while batch.len() < BATCH
                    && let Some(frame) = queue.pop()
                {
                    batch.extend_from_slice(&frame);
                }
            }
            if !batch.is_empty() {
                if send.write_all(&batch).await.is_err() {
                    return self.end(LaneEnd::Broken);
                }
            } else if self.shared.finishing.load(Ordering::Acquire) {
                let _ = send.finish();
                // Only when the relay has all of it may the stream be dropped.
                let _ = send.stopped().await;
                return self.end(LaneEnd::Released);
            } else {
                self.shared.written.notified().await;
            }
        }
    }

    /// Queues a datagram for the relay.
    fn send(&self, to: SocketAddr, payload: &[u8]) {
        let to = plain_addr(to);
        if !lock(&self.shared.inbound).sources.knows(&to) {
            self.shared.unasked.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let to = match to {
            SocketAddr::V4(v4) if self.shared.mapped.load(Ordering::Relaxed) => {
                SocketAddr::new(IpAddr::V6(v4.ip().to_ipv6_mapped()), v4.port())
            }
            plain => plain,
        };
        let mut frame = Vec::new();
        push_datagram(&mut frame, to, payload);
        self.shared.bytes_tx.fetch_add(payload.len() as u64, Ordering::Relaxed);
        lock(&self.shared.outbound).push(frame);
        self.shared.written.notify_one();
    }
}

impl AsyncUdpSocket for LaneSocket {
    fn create_sender(&self) -> Pin<Box<dyn UdpSender>> {
        Box::pin(LaneSender(self.clone()))
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut inbound = lock(&self.shared.inbound);
        let mut filled = 0;
        for (buf, meta) in bufs.iter_mut().zip(meta) {
            let Some((addr, payload)) = inbound.queue.pop() else { break };
            let len = payload.len().min(buf.len());
            buf[..len].copy_from_slice(&payload[..len]);
            *meta = RecvMeta { addr, len, stride: len, ecn: None, dst_ip: None };
            filled += 1;
        }
        if filled > 0 {
            return Poll::Ready(Ok(filled));
        }
        inbound.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.shared.public_addr)
    }

    /// The relay's kernel does what it likes with what is too long; probing
    /// for a larger size finds out.
    fn may_fragment(&self) -> bool {
        false
    }
}

#[derive(Debug)]
struct LaneSender(LaneSocket);

impl UdpSender for LaneSender {
    fn poll_send(self: Pin<&mut Self>, transmit: &Transmit<'_>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.send(transmit.destination, transmit.contents);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn socket() -> LaneSocket {
        LaneSocket::new("192.0.2.9:4000".parse().unwrap(), false)
    }

    fn receive(socket: &LaneSocket) -> Option<(SocketAddr, Vec<u8>)> {
        let mut buf = [0; 64];
        let mut meta = [RecvMeta::default()];
        let mut cx = Context::from_waker(Waker::noop());
        match socket.poll_recv(&mut cx, &mut [IoSliceMut::new(&mut buf)], &mut meta) {
            Poll::Ready(n) => {
                assert_eq!(n.unwrap(), 1);
                Some((meta[0].addr, buf[..meta[0].len].to_vec()))
            }
            Poll::Pending => None,
        }
    }

    #[test]
    fn each_way_keeps_the_newest_and_counts_what_it_dropped() {
        let (socket, from) = (socket(), "192.0.2.1:1".parse().unwrap());
        for n in 0..LANE_QUEUE_MAX + 3 {
            socket.received(from, Bytes::from(n.to_be_bytes().to_vec()));
            socket.send(from, &[0; 8]);
        }
        let counts = socket.counts();
        assert_eq!((counts.dropped_rx, counts.dropped_tx), (3, 3));
        assert_eq!(counts.bytes_rx, 8 * (LANE_QUEUE_MAX as u64 + 3));
        assert_eq!(receive(&socket), Some((from, 3usize.to_be_bytes().to_vec())), "the oldest is gone");
    }

    #[test]
    fn addresses_are_plain_here_and_as_the_relay_knows_them_there() {
        let socket = socket();
        let plain: SocketAddr = "192.0.2.1:7".parse().unwrap();
        let mapped: SocketAddr = "[::ffff:192.0.2.1]:7".parse().unwrap();
        let sent_to = || {
            let mut deframer = Deframer::default();
            socket.send(plain, b"x");
            deframer.buffer.extend_from_slice(&lock(&socket.shared.outbound).pop().unwrap());
            deframer.next().unwrap().unwrap().0
        };
        socket.received(plain, Bytes::new());
        assert_eq!(receive(&socket).unwrap().0, plain);
        assert_eq!(sent_to(), plain);
        socket.received(mapped, Bytes::from_static(b"hello"));
        assert_eq!(receive(&socket).unwrap().0, plain);
        assert_eq!(sent_to(), mapped);
    }

    #[test]
    fn nothing_is_sent_to_whom_nothing_came_from() {
        let socket = socket();
        let (heard, third): (SocketAddr, SocketAddr) =
            ("192.0.2.1:7".parse().unwrap(), "192.0.2.2:7".parse().unwrap());
        socket.received(heard, Bytes::new());
        socket.send(heard, b"answer");
        socket.send(third, b"aimed at a third party");
        assert_eq!((socket.counts().bytes_tx, socket.counts().unasked), (6, 1));
    }

    #[test]
    fn an_ended_socket_is_silent_and_never_fails() {
        let socket = socket();
        let ended = socket.ended();
        socket.end(LaneEnd::Broken);
        socket.end(LaneEnd::Released);
        assert_eq!(*ended.borrow(), Some(LaneEnd::Broken), "the first reason stands");
        assert_eq!(receive(&socket), None);
        socket.send("192.0.2.1:7".parse().unwrap(), b"into the void");
    }
}
