//! Measuring a way through the lab with UDP echoes of our own.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::time::{sleep, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use super::network::{NetworkError, Place};
use super::wire::Conditions;

/// As large as the packets that a rate is about.
const BULK_BYTES: usize = 1200;
const PING_BYTES: usize = 64;
/// Between two pings.
const SPACING: Duration = Duration::from_millis(5);
/// What an echo may take beyond what was asked for.
const GRACE: Duration = Duration::from_millis(150);

/// What a way through the lab does, as measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// The median round trip; `None` if nothing came back.
    pub rtt: Option<Duration>,
    /// The slowest and the fastest lie this far apart.
    pub spread: Duration,
    /// Pings sent.
    pub sent: u32,
    /// Pings that came back.
    pub received: u32,
    /// Bits a second, if a rate was asked for.
    pub rate: Option<f64>,
}

impl Measured {
    /// The share that was lost on the way there and back.
    pub fn lost(&self) -> f64 {
        1.0 - f64::from(self.received) / f64::from(self.sent.max(1))
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(rtt) = self.rtt else { return write!(f, "0 of {} came back", self.sent) };
        write!(f, "{:.1} ms", 1000.0 * rtt.as_secs_f64())?;
        if self.received < self.sent {
            write!(f, ", {} of {} came back", self.received, self.sent)?;
        }
        self.rate.map_or(Ok(()), |rate| write!(f, ", {:.0} kbit/s", rate / 1000.0))
    }
}

/// Sends what it gets back to where it came from, until dropped.
pub(super) struct Echo {
    pub(super) addr: SocketAddr,
    _task: AbortOnDropHandle<()>,
}

impl Echo {
    pub(super) fn start(place: &Place, ip: Ipv4Addr) -> Result<Self, NetworkError> {
        let socket = place.socket(ip)?;
        let addr = socket.local_addr().map_err(|e| failed(place, &e))?;
        let task = tokio::spawn(async move {
            let mut buffer = [0; 2048];
            while let Ok((len, from)) = socket.recv_from(&mut buffer).await {
                // A reply that finds no room is a reply lost.
                let _ = socket.try_send_to(&buffer[..len], from);
            }
        });
        Ok(Self { addr, _task: AbortOnDropHandle::new(task) })
    }
}

/// Pings from `place` to an address that echoes, and a burst if there is a rate
/// to be seen.
pub(super) async fn measure(
    place: &Place,
    own: Ipv4Addr,
    echo: SocketAddr,
    asked: &Conditions,
    pings: u32,
) -> Result<Measured, NetworkError> {
    let socket = place.socket(own)?;
    socket.connect(echo).await.map_err(|e| failed(place, &e))?;
    let patience = 2 * (asked.delay + asked.jitter) + GRACE;
    // The first asks for the neighbours' addresses, which takes trips too.
    trip(&socket, 0, PING_BYTES, 2 * patience).await;
    let mut trips = burst(&socket, pings, PING_BYTES, SPACING, patience).await;
    trips.sort_unstable();
    let rate = match asked.rate {
        Some(rate) => {
            // A quarter of a second's worth, as the wire holds no more.
            let frames = (rate as f64 / 8.0 / BULK_BYTES as f64 / 4.0).clamp(4.0, 200.0) as u32;
            throughput(&socket, frames, patience + Duration::from_millis(750)).await
        }
        None => None,
    };
    let spread =
        trips.last().zip(trips.first()).map(|(slow, fast)| slow.saturating_sub(*fast)).unwrap_or_default();
    Ok(Measured {
        rtt: trips.get(trips.len() / 2).copied(),
        spread,
        sent: pings,
        received: trips.len() as u32,
        rate,
    })
}

/// One round trip.
async fn trip(socket: &UdpSocket, number: u32, bytes: usize, patience: Duration) -> Option<Duration> {
    let begun = Instant::now();
    let mut buffer = vec![0; bytes];
    buffer[..4].copy_from_slice(&number.to_be_bytes());
    let _ = socket.try_send(&buffer);
    let answered = tokio::time::timeout(patience, socket.recv(&mut buffer)).await;
    matches!(answered, Ok(Ok(_))).then(|| begun.elapsed())
}

/// Round trips of numbered datagrams that are on their way at the same time.
async fn burst(
    socket: &UdpSocket,
    count: u32,
    bytes: usize,
    spacing: Duration,
    patience: Duration,
) -> Vec<Duration> {
    let mut sent: BTreeMap<u32, Instant> = BTreeMap::new();
    let mut trips = Vec::new();
    let mut buffer = vec![0; bytes];
    let mut next = 1;
    let mut send_at = tokio::time::Instant::now();
    let mut end = send_at + patience;
    while next <= count || (tokio::time::Instant::now() < end && !sent.is_empty()) {
        let now = tokio::time::Instant::now();
        if next <= count && now >= send_at {
            buffer[..4].copy_from_slice(&next.to_be_bytes());
            if socket.try_send(&buffer).is_ok() {
                sent.insert(next, Instant::now());
            }
            next += 1;
            send_at += spacing;
            end = now + patience;
            continue;
        }
        let until = if next <= count { send_at } else { end };
        if let Ok(Ok(len)) = timeout_at(until, socket.recv(&mut buffer)).await
            && let Some(number) = buffer[..len].first_chunk().map(|b| u32::from_be_bytes(*b))
            && let Some(at) = sent.remove(&number)
        {
            trips.push(at.elapsed());
        }
    }
    trips
}

/// Bits a second of datagrams that are sent at once and come back one after
/// another.
async fn throughput(socket: &UdpSocket, count: u32, patience: Duration) -> Option<f64> {
    let mut buffer = vec![0; BULK_BYTES];
    for number in 0..count {
        buffer[..4].copy_from_slice(&(1_000_000 + number).to_be_bytes());
        let _ = socket.try_send(&buffer);
        if number % 16 == 15 {
            // Room for the local queues, not for the line.
            sleep(Duration::from_micros(100)).await;
        }
    }
    let end = tokio::time::Instant::now() + patience;
    let mut came: Vec<Instant> = Vec::new();
    while came.len() < count as usize {
        match timeout_at(end, socket.recv(&mut buffer)).await {
            Ok(Ok(len)) if len == BULK_BYTES => came.push(Instant::now()),
            Ok(_) => {}
            Err(_) => break,
        }
    }
    let (first, last) = came.first().zip(came.last())?;
    let seconds = (*last - *first).as_secs_f64();
    // Headers of UDP, IPv4 and Ethernet go over the wire too.
    let bits = (came.len() - 1) as f64 * (BULK_BYTES + 42) as f64 * 8.0;
    (seconds > 0.0).then(|| bits / seconds)
}

fn failed(place: &Place, error: &std::io::Error) -> NetworkError {
    NetworkError::Place { place: place.name().to_owned(), detail: error.to_string() }
}
