//! Carries datagrams between a reservation's socket and its holder's stream, by the
//! rules of its gate. Three loops in one task: out, in, and down to the holder, who
//! may read slowly and then loses the oldest.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::{answer, host, lock};
use crate::core::Mono;
use crate::core::limits::{SERVED_DATAGRAM_MAX, SERVED_FRAME_MAX, SERVED_QUEUE_MAX};
use crate::core::serving::{Dropped, Gate};
use crate::model::{ServedEnd, plain_addr};
use crate::node::clock::Clock;
use crate::node::lanes::framing::{Deframer, push_datagram};
use crate::node::lanes::queue::DropQueue;

/// Read from the stream at once.
const CHUNK: usize = 4 * 1024;
/// Written to the stream at once; what is taken from the queue for it can no longer
/// be dropped.
const BATCH: usize = 16 * 1024;
/// A socket that fails is tried again after this long ...
const PAUSE: Duration = Duration::from_millis(50);
/// ... and given up after so many failures in a row.
const FAILURES_MAX: u32 = 40;
/// How often the addresses of this host are looked up.
const HOST_EVERY: Duration = Duration::from_secs(60);

/// What a reservation is made of.
pub(super) struct Pump<R, W> {
    pub(super) socket: UdpSocket,
    /// To the holder.
    pub(super) down: W,
    /// From the holder.
    pub(super) up: R,
    pub(super) gate: Arc<Mutex<Gate>>,
    pub(super) clock: Clock,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Pump<R, W> {
    /// Says where the holder is reached, and carries until something ends.
    pub(super) async fn run(self, public_addr: SocketAddr) -> ServedEnd {
        let Self { socket, mut down, up, gate, clock } = self;
        if !answer::grant(&mut down, public_addr).await {
            return ServedEnd::ClosedByPeer;
        }
        let queue = Queue::new();
        let now = || clock.now().mono;
        tokio::select! {
            end = carry_out(up, &socket, &gate, now) => end,
            end = carry_in(&socket, &queue, &gate, now) => end,
            end = hand_over(down, &queue) => end,
            () = look_around(&gate) => ServedEnd::SocketFailed,
        }
    }
}

/// Datagrams that wait for the holder.
struct Queue {
    frames: Mutex<DropQueue<Vec<u8>>>,
    filled: Notify,
}

impl Queue {
    fn new() -> Self {
        Self { frames: Mutex::new(DropQueue::new(SERVED_QUEUE_MAX)), filled: Notify::new() }
    }
}

/// From the holder's stream to whoever may get it.
async fn carry_out(
    mut up: impl AsyncRead + Unpin,
    socket: &UdpSocket,
    gate: &Mutex<Gate>,
    now: impl Fn() -> Mono,
) -> ServedEnd {
    let dual_stack = socket.local_addr().is_ok_and(|at| at.is_ipv6());
    let mut deframer = Deframer::up_to(SERVED_FRAME_MAX);
    loop {
        loop {
            match deframer.next() {
                Ok(Some((to, payload))) => {
                    let to = plain_addr(to);
                    if lock(gate).may_go(to, payload.len(), now()).is_err() {
                        continue;
                    }
                    if socket.send_to(&payload, as_known_to(dual_stack, to)).await.is_err() {
                        lock(gate).dropped(Dropped::NotSent, 1);
                    }
                }
                Ok(None) => break,
                Err(_) => return ServedEnd::Garbled,
            }
        }
        deframer.buffer.reserve(CHUNK);
        match up.read_buf(&mut deframer.buffer).await {
            Ok(0) => return ServedEnd::ClosedByPeer,
            Ok(_) => {}
            Err(error) => return end_of(&error),
        }
    }
}

/// From whoever sends something to the queue for the holder.
async fn carry_in(
    socket: &UdpSocket,
    queue: &Queue,
    gate: &Mutex<Gate>,
    now: impl Fn() -> Mono,
) -> ServedEnd {
    // Room for one byte more, so that what is too long shows.
    let mut buf = [0; SERVED_DATAGRAM_MAX + 1];
    let mut failures = 0;
    loop {
        let (len, from) = match socket.recv_from(&mut buf).await {
            Ok(got) => got,
            Err(_) if failures < FAILURES_MAX => {
                failures += 1;
                sleep(PAUSE).await;
                continue;
            }
            Err(_) => return ServedEnd::SocketFailed,
        };
        failures = 0;
        let from = plain_addr(from);
        if lock(gate).came(from, len, now()).is_err() {
            continue;
        }
        let mut frame = Vec::new();
        push_datagram(&mut frame, from, &buf[..len]);
        if lock(&queue.frames).push(frame) {
            lock(gate).dropped(Dropped::Full, 1);
        }
        queue.filled.notify_one();
    }
}

/// From the queue to the holder's stream, as fast as it takes it.
async fn hand_over(mut down: impl AsyncWrite + Unpin, queue: &Queue) -> ServedEnd {
    let mut batch = Vec::new();
    loop {
        batch.clear();
        {
            let mut frames = lock(&queue.frames);
            while batch.len() < BATCH
                && let Some(frame) = frames.pop()
            {
                batch.extend_from_slice(&frame);
            }
        }
        if batch.is_empty() {
            queue.filled.notified().await;
        } else if let Err(error) = down.write_all(&batch).await {
            return end_of(&error);
        }
    }
}

/// Addresses come and go: never returns.
async fn look_around(gate: &Mutex<Gate>) {
    loop {
        sleep(HOST_EVERY).await;
        let own = host::addresses();
        lock(gate).set_own(own);
    }
}

/// A dual-stack socket knows IPv4 addresses in their mapped form only.
fn as_known_to(dual_stack: bool, to: SocketAddr) -> SocketAddr {
    match to {
        SocketAddr::V4(v4) if dual_stack => SocketAddr::new(IpAddr::V6(v4.ip().to_ipv6_mapped()), v4.port()),
        plain => plain,
    }
}

/// What the end of a stream means.
fn end_of(error: &io::Error) -> ServedEnd {
    match error.kind() {
        io::ErrorKind::NotConnected => ServedEnd::ConnectionClosed,
        _ => ServedEnd::ClosedByPeer,
    }
}
