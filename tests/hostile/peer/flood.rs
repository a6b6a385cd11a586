//! Datagrams from many forged addresses: garbage, and first packets of handshakes
//! that were recorded once and are sent again.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ant_quic::high_level::default_runtime;
use ant_quic::{Endpoint, EndpointConfig};
use punchdeck::node::{Tls, keys};

/// Forged addresses.
const SOURCES: u16 = 256;

/// A flood, until it is dropped.
pub struct Flood {
    stop: Arc<AtomicBool>,
    sent: Vec<Arc<AtomicU64>>,
    begun: Instant,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Flood {
    /// Sends each of these sets of datagrams again and again at its rate a second,
    /// each datagram from one of many forged addresses.
    pub fn begin(at: SocketAddr, kinds: Vec<(u32, Vec<Vec<u8>>)>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let sent: Vec<Arc<AtomicU64>> = kinds.iter().map(|_| Arc::default()).collect();
        let threads = kinds.into_iter().zip(&sent).map(|((rate, datagrams), sent)| {
            let (stop, sent) = (stop.clone(), sent.clone());
            std::thread::spawn(move || spray(&stop, &sent, at, rate, &datagrams))
        });
        Self { threads: threads.collect(), stop, sent, begun: Instant::now() }
    }

    /// What was sent of each set a second.
    pub fn rates(&self) -> Vec<f64> {
        let seconds = self.begun.elapsed().as_secs_f64();
        self.sent.iter().map(|sent| sent.load(Ordering::Relaxed) as f64 / seconds).collect()
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// What a volley came to, in bytes of datagrams.
#[derive(Default)]
pub struct Volley {
    pub datagrams: u64,
    pub sent: u64,
    pub got: u64,
    /// The most that one address got for a byte in its name.
    pub worst: f64,
}

/// Sends each of these once, each from an address of its own that never proves
/// itself, and counts what comes back to it. What belongs together is sent together.
pub fn volley(at: SocketAddr, together: &[Vec<Vec<u8>>], pause: Duration) -> Volley {
    let mut volley = Volley::default();
    let mut sources = Vec::new();
    for (n, datagrams) in (0u16..).zip(together) {
        let from = UdpSocket::bind((Ipv4Addr::new(127, 1 + (n >> 8) as u8, n as u8, 1), 0)).unwrap();
        from.set_nonblocking(true).unwrap();
        let mut sent = 0;
        for datagram in datagrams {
            sent += from.send_to(datagram, at).map_or(0, |len| len as u64);
            volley.datagrams += 1;
        }
        sources.push((from, sent));
        std::thread::sleep(pause);
    }
    // What is sent again and again for want of an answer counts, too.
    std::thread::sleep(Duration::from_secs(6));
    let mut buffer = [0; 2048];
    for (from, sent) in sources {
        let mut got = 0;
        while let Ok(len) = from.recv(&mut buffer) {
            got += len as u64;
        }
        volley.sent += sent;
        volley.got += got;
        volley.worst = volley.worst.max(got as f64 / sent.max(1) as f64);
    }
    volley
}

/// First packets of a version that nobody speaks, of that length.
pub fn unknown_versions(count: u8, len: usize) -> Vec<Vec<Vec<u8>>> {
    let one = |n: u8| {
        let mut datagram =
            vec![0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8, 1, 2, 3, 4, 5, 6, 7, n, 8, 8, 7, 6, 5, 4, 3, 2, n];
        datagram.resize(len, 0);
        vec![datagram]
    };
    (0..count).map(one).collect()
}

/// The same first packets by handshake.
fn by_handshake(initials: Vec<Vec<u8>>) -> Vec<Vec<Vec<u8>>> {
    let connection = |datagram: &Vec<u8>| datagram[6..6 + usize::from(datagram[5])].to_vec();
    let mut handshakes: Vec<Vec<Vec<u8>>> = Vec::new();
    for initial in initials {
        match handshakes.last_mut() {
            Some(last) if connection(&last[0]) == connection(&initial) => last.push(initial),
            _ => handshakes.push(vec![initial]),
        }
    }
    handshakes
}

/// Datagrams that are nothing, of several lengths and beginnings.
pub fn garbage() -> Vec<Vec<u8>> {
    let mut seed = 1u64;
    let mut byte = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 56) as u8
    };
    (0..512).map(|n| (0..40 + n * 2).map(|_| byte()).collect()).collect()
}

/// So many first packets of real handshakes with whoever listens on a socket that
/// answers nothing.
pub fn record_initials(count: usize) -> Vec<Vec<u8>> {
    record(count, Duration::from_micros(100))
}

/// Whole first flights of so many of them.
pub fn record_flights(count: usize) -> Vec<Vec<Vec<u8>>> {
    let mut flights = by_handshake(record(4 * count, Duration::from_millis(3)));
    flights.truncate(count);
    flights
}

fn record(count: usize, linger: Duration) -> Vec<Vec<u8>> {
    let mute = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    mute.set_nonblocking(true).unwrap();
    let to = mute.local_addr().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let tls = Tls::new(&keys::generate().unwrap()).unwrap();
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let endpoint = Endpoint::new(EndpointConfig::default(), None, socket, default_runtime().unwrap());
        let endpoint = endpoint.unwrap();
        let (mut recorded, mut buffer) = (Vec::new(), [0; 2048]);
        while recorded.len() < count {
            let dialling = endpoint.connect_with(tls.client_config(), to, "peer").unwrap();
            tokio::time::sleep(linger).await;
            drop(dialling);
            while let Ok(len) = mute.recv(&mut buffer) {
                // A long header of version 1 whose packet is an Initial.
                if buffer[0] & 0xf0 == 0xc0 && len >= 1200 {
                    recorded.push(buffer[..len].to_vec());
                }
            }
        }
        recorded
    })
}

/// Sends these datagrams again and again at that rate, from many addresses.
fn spray(stop: &AtomicBool, sent: &AtomicU64, to: SocketAddr, per_second: u32, datagrams: &[Vec<u8>]) {
    let source = |n: u16| {
        let ip = Ipv4Addr::new(127, 1 + (n >> 8) as u8, n as u8, 1);
        UdpSocket::bind((ip, 0))
    };
    let sources: Vec<UdpSocket> = (0..SOURCES).filter_map(|n| source(n).ok()).collect();
    let begun = Instant::now();
    for (n, (from, datagram)) in sources.iter().cycle().zip(datagrams.iter().cycle()).enumerate() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let due = begun + Duration::from_secs_f64(n as f64 / f64::from(per_second));
        if let Some(wait) = due.checked_duration_since(Instant::now()).filter(|w| w.as_millis() > 0) {
            std::thread::sleep(wait);
        }
        if from.send_to(datagram, to).is_ok() {
            sent.fetch_add(1, Ordering::Relaxed);
        }
    }
}
