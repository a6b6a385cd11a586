//! Accepts connections: so many at once, so many of them from one address, and none
//! that only takes up room.
//!
//! Where all room is taken, whoever has asked for nothing yet makes way for the next
//! one, the oldest of those first who have most: an address that opens connections and
//! says nothing loses them to whoever comes.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::gate::one;
use super::http::App;
use crate::core::limits::{
    REGISTRY_CONNECTIONS_MAX, REGISTRY_CONNECTIONS_PER_IP, REGISTRY_HEAD_BYTES_MAX, REGISTRY_HEAD_TIMEOUT,
};

/// A connection over which nothing moves for so long is closed. An event stream
/// says something more often.
const IDLE: Duration = Duration::from_secs(60);
/// No room for another file, for example; it passes.
const AGAIN: Duration = Duration::from_millis(100);
/// Lines that a request's head may have.
const HEADERS_MAX: usize = 64;

/// Accepts until told to stop; then what is under way gets its answer.
pub(super) async fn serve(
    socket: TcpListener,
    app: Arc<App>,
    proxies: Vec<IpAddr>,
    routes: Router,
    stop: CancellationToken,
) {
    let room = Room::new(proxies);
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((io, from)) => match room.enter(from) {
                Some(seat) => {
                    connections.spawn(converse(io, Arc::new(seat), routes.clone(), stop.clone()));
                }
                None => app.metrics.refused("connections"),
            },
            Err(_) => sleep(AGAIN).await,
        }
    }
    drop(socket);
    connections.close();
    connections.wait().await;
}

async fn converse(io: TcpStream, seat: Arc<Seat>, routes: Router, stop: CancellationToken) {
    let _ = io.set_nodelay(true);
    let way = seat.makes_way.clone();
    let routes = TowerToHyperService::new(routes);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        seat.asks();
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(Arc::clone(&seat));
        routes.call(request)
    });
    let conversation = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REGISTRY_HEAD_TIMEOUT)
        .max_headers(HEADERS_MAX)
        .max_buf_size(REGISTRY_HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(Watched::new(io)), service);
    let mut conversation = pin!(conversation);
    tokio::select! {
        _ = conversation.as_mut() => return,
        () = way.cancelled() => return,
        () = stop.cancelled() => conversation.as_mut().graceful_shutdown(),
    }
    let _ = conversation.await;
}

/// Who is connected.
#[derive(Debug)]
struct Room {
    guests: Arc<Mutex<Guests>>,
    /// Whose connections are many others'.
    proxies: Vec<IpAddr>,
}

#[derive(Debug, Default)]
struct Guests {
    next: u64,
    seats: HashMap<u64, Guest>,
    of: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Guest {
    ip: IpAddr,
    asked: bool,
    makes_way: CancellationToken,
}

/// A connection that counts, and what is remembered of it.
#[derive(Debug)]
pub(super) struct Seat {
    /// Who is at the other end.
    pub(super) from: SocketAddr,
    /// Whether the other end is a proxy that is believed.
    pub(super) is_proxy: bool,
    /// Wrong tokens shown here, and those that were not looked at.
    pub(super) wrong: AtomicU32,
    /// Whether the right one was.
    pub(super) proven: AtomicBool,
    id: u64,
    guests: Arc<Mutex<Guests>>,
    makes_way: CancellationToken,
}

impl Room {
    fn new(proxies: Vec<IpAddr>) -> Self {
        Self { guests: Arc::default(), proxies: proxies.into_iter().map(|ip| ip.to_canonical()).collect() }
    }

    /// A seat, if there is one for that address.
    fn enter(&self, from: SocketAddr) -> Option<Seat> {
        let is_proxy = self.proxies.contains(&from.ip().to_canonical());
        let ip = one(from.ip());
        let mut guests = lock(&self.guests);
        if !is_proxy && guests.of.get(&ip).is_some_and(|count| *count >= REGISTRY_CONNECTIONS_PER_IP) {
            return None;
        }
        if guests.seats.len() >= REGISTRY_CONNECTIONS_MAX && !guests.make_room() {
            return None;
        }
        let (id, makes_way) = (guests.next, CancellationToken::new());
        guests.next += 1;
        guests.seats.insert(id, Guest { ip, asked: false, makes_way: makes_way.clone() });
        *guests.of.entry(ip).or_default() += 1;
        drop(guests);
        let guests = Arc::clone(&self.guests);
        Some(Seat {
            from,
            is_proxy,
            wrong: AtomicU32::default(),
            proven: false.into(),
            id,
            guests,
            makes_way,
        })
    }
}

impl Guests {
    /// Has one go that has asked for nothing: of those the oldest of the address that
    /// has most seats.
    fn make_room(&mut self) -> bool {
        let silent = self.seats.iter().filter(|(_, guest)| !guest.asked);
        let first = silent.max_by_key(|(id, guest)| (self.of.get(&guest.ip), std::cmp::Reverse(**id)));
        let Some(id) = first.map(|(id, _)| *id) else { return false };
        if let Some(guest) = self.leave(id) {
            guest.makes_way.cancel();
        }
        true
    }

    fn leave(&mut self, id: u64) -> Option<Guest> {
        let guest = self.seats.remove(&id)?;
        if let Some(count) = self.of.get_mut(&guest.ip) {
            *count -= 1;
            if *count == 0 {
                self.of.remove(&guest.ip);
            }
        }
        Some(guest)
    }
}

impl Seat {
    /// A whole head has come.
    fn asks(&self) {
        if let Some(guest) = lock(&self.guests).seats.get_mut(&self.id) {
            guest.asked = true;
        }
    }

    /// Counts a wrong token, or one that was not looked at.
    pub(super) fn was_wrong(&self) {
        self.wrong.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        lock(&self.guests).leave(self.id);
    }
}

fn lock(guests: &Mutex<Guests>) -> MutexGuard<'_, Guests> {
    guests.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection that ends when nothing moves.
struct Watched {
    io: TcpStream,
    idle: Pin<Box<Sleep>>,
}

impl Watched {
    fn new(io: TcpStream) -> Self {
        Self { io, idle: Box::pin(sleep(IDLE)) }
    }

    /// What was ready moved bytes; what is not may have waited too long.
    fn watch<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.idle.as_mut().reset(Instant::now() + IDLE);
            return polled;
        }
        self.idle.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        self.watch(cx, polled)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, buf);
        self.watch(cx, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(n: usize) -> SocketAddr {
        ([198, 18, (n >> 8) as u8, n as u8], 4000).into()
    }

    #[test]
    fn one_address_gets_its_share_and_a_proxy_that_is_believed_more() {
        let proxy = from(9);
        let room = Room::new(vec![proxy.ip()]);
        let held: Vec<_> = std::iter::from_fn(|| room.enter(from(1))).collect();
        assert_eq!(held.len(), REGISTRY_CONNECTIONS_PER_IP);
        assert!(room.enter(from(2)).is_some());
        let many: Vec<_> = (0..=REGISTRY_CONNECTIONS_PER_IP).map_while(|_| room.enter(proxy)).collect();
        assert_eq!(many.len(), REGISTRY_CONNECTIONS_PER_IP + 1);
        drop(held);
        assert!(room.enter(from(1)).is_some());
    }

    #[test]
    fn who_says_nothing_makes_way_for_who_comes_and_who_asked_stays() {
        let room = Room::new(Vec::new());
        let mut held: Vec<Seat> = (0..)
            .map_while(|n| room.enter(from(n / REGISTRY_CONNECTIONS_PER_IP)))
            .take(REGISTRY_CONNECTIONS_MAX)
            .collect();
        assert_eq!(held.len(), REGISTRY_CONNECTIONS_MAX);
        held[0].asks();
        let newcomer = room.enter(from(60_000)).unwrap();
        assert!(!held[0].makes_way.is_cancelled() && held[1].makes_way.is_cancelled());
        assert_eq!(lock(&room.guests).seats.len(), REGISTRY_CONNECTIONS_MAX);
        held.iter().chain([&newcomer]).for_each(Seat::asks);
        assert!(room.enter(from(60_001)).is_none(), "nobody is cut off in the middle");
        held.clear();
        drop(newcomer);
        let guests = lock(&room.guests);
        assert!(guests.seats.is_empty() && guests.of.is_empty(), "{guests:?}");
    }
}
