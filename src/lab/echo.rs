//! Measuring a way through the lab with UDP echoes of our own.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::time::{sleep, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use super::network::{NetworkError, Place};
use super::wire::Conditions;

/// As large as the packets that a rate is about.
const BULK_BYTES: usize = 1200;
const PING_BYTES: usize = 64;
/// The longest packet that the lab's interfaces take, and what of it IPv4 and UDP need.
const PACKET_MAX: u16 = 1500;
const HEADERS: u16 = 28;
/// Datagrams of one size: some may be lost for other reasons.
const SIZE_TRIES: u32 = 3;
/// What those begin with, beside the numbers of pings.
const SIZES: u32 = 2_000_000;
/// Between two pings.
const SPACING: Duration = Duration::from_millis(5);
/// What an echo may take beyond what was asked for.
const GRACE: Duration = Duration::from_millis(150);

/// What a way through the lab does, as measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// The median round trip; `None` if nothing came back.
    pub rtt: Option<Duration>,
    /// The quickest one: a busy machine only adds.
    pub quickest: Option<Duration>,
    /// The slowest and the fastest lie this far apart.
    pub spread: Duration,
    /// Pings sent.
    pub sent: u32,
    /// Pings that came back.
    pub received: u32,
    /// Pings that came back after a later one.
    pub overtaken: u32,
    /// Bits a second, if a rate was asked for.
    pub rate: Option<f64>,
    /// The longest packet that came back, if a limit was asked for and longer ones did
    /// not: bytes of IP.
    pub mtu: Option<u16>,
    /// Whether TCP connects, if UDP is not to pass.
    pub tcp: Option<bool>,
}

impl Measured {
    /// The share that was lost on the way there and back.
    pub fn lost(&self) -> f64 {
        1.0 - f64::from(self.received) / f64::from(self.sent.max(1))
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tcp = match self.tcp {
            Some(true) => ", TCP connects",
            Some(false) => ", TCP does not connect",
            None => "",
        };
        let Some(rtt) = self.rtt else { return write!(f, "0 of {} came back{tcp}", self.sent) };
        write!(f, "{:.1} ms", 1000.0 * rtt.as_secs_f64())?;
        if self.received < self.sent {
            write!(f, ", {} of {} came back", self.received, self.sent)?;
        }
        if self.overtaken > 0 {
            write!(f, ", {} overtaken", self.overtaken)?;
        }
        if let Some(mtu) = self.mtu {
            write!(f, ", at most {mtu} bytes")?;
        }
        f.write_str(tcp)?;
        self.rate.map_or(Ok(()), |rate| write!(f, ", {:.0} kbit/s", rate / 1000.0))
    }
}

/// Sends what it gets back to where it came from, and lets TCP connect, until dropped.
pub(super) struct Echo {
    pub(super) addr: SocketAddr,
    _listener: TcpListener,
    _task: AbortOnDropHandle<()>,
}

impl Echo {
    pub(super) fn start(place: &Place, ip: Ipv4Addr) -> Result<Self, NetworkError> {
        let socket = place.socket(ip)?;
        let addr = socket.local_addr().map_err(|e| failed(place, &e))?;
        let listener = place.run(move || TcpListener::bind(addr))?;
        let task = tokio::spawn(async move {
            let mut buffer = [0; 2048];
            while let Ok((len, from)) = socket.recv_from(&mut buffer).await {
                // A reply that finds no room is a reply lost.
                let _ = socket.try_send_to(&buffer[..len], from);
            }
        });
        Ok(Self { addr, _listener: listener, _task: AbortOnDropHandle::new(task) })
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
    let (mut trips, overtaken) = burst(&socket, pings, PING_BYTES, SPACING, patience).await;
    trips.sort_unstable();
    let mtu = match asked.mtu {
        Some(mtu) => longest(&socket, mtu, patience).await,
        None => None,
    };
    let tcp = asked.no_udp.then(|| place.run(move || TcpStream::connect_timeout(&echo, patience)).is_ok());
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
        quickest: trips.first().copied(),
        spread,
        sent: pings,
        received: trips.len() as u32,
        overtaken,
        rate,
        mtu,
        tcp,
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

/// The longest packet that comes back, of those around a limit; `None` if the longest
/// that the lab takes does.
async fn longest(socket: &UdpSocket, limit: u16, patience: Duration) -> Option<u16> {
    let around =
        [limit.saturating_sub(100), limit.saturating_sub(1), limit, limit + 1, limit + 100, PACKET_MAX];
    let payload = |bytes: u16| usize::from(bytes.clamp(HEADERS + 4, PACKET_MAX) - HEADERS);
    for _ in 0..SIZE_TRIES {
        for bytes in around {
            let mut datagram = vec![0; payload(bytes)];
            datagram[..4].copy_from_slice(&SIZES.to_be_bytes());
            let _ = socket.try_send(&datagram);
        }
    }
    let end = tokio::time::Instant::now() + patience;
    let mut buffer = vec![0; usize::from(PACKET_MAX)];
    let mut longest = 0;
    while let Ok(came) = timeout_at(end, socket.recv(&mut buffer)).await {
        if let Ok(len) = came
            && buffer[..len].starts_with(&SIZES.to_be_bytes())
        {
            longest = longest.max(len as u16 + HEADERS);
        }
    }
    Some(longest).filter(|longest| *longest < PACKET_MAX)
}

/// Round trips of numbered datagrams that are on their way at the same time, and how
/// many of them a later one overtook.
async fn burst(
    socket: &UdpSocket,
    count: u32,
    bytes: usize,
    spacing: Duration,
    patience: Duration,
) -> (Vec<Duration>, u32) {
    let (mut newest, mut overtaken) = (0, 0);
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
            overtaken += u32::from(number < newest);
            newest = newest.max(number);
        }
    }
    (trips, overtaken)
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
