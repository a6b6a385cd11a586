//! What strangers cost a node: `cargo bench --bench hostile`. The node is the
//! real binary as a process; everything stays on 127.0.0.0/8.
//!
//! `flood`: 20 000 garbage datagrams and 5 000 first packets of handshakes a
//! second, each from one of many forged addresses, for 20 s, while the node has
//! a link and a newcomer wants one.

#![allow(clippy::print_stdout)]

#[path = "hub/mod.rs"]
mod hub;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ant_quic::high_level::default_runtime;
use ant_quic::{Endpoint, EndpointConfig};
use anyhow::{Context as _, Result};
use hub::{Hub, own_mib, resident_mib};
use punchdeck::node::{Tls, keys};

const GARBAGE_PER_SECOND: u32 = 20_000;
const INITIALS_PER_SECOND: u32 = 5_000;
const FLOODED: Duration = Duration::from_secs(20);
/// How long memory has to come back.
const AFTER: Duration = Duration::from_secs(15);
/// Forged addresses.
const SOURCES: u16 = 256;
/// First packets that are recorded and sent again from other addresses.
const RECORDED: usize = 5_000;

fn main() -> Result<()> {
    println!("{:<58} {:>14} {:>26}", "what", "target", "measured");
    flood()
}

fn tell(what: &str, target: &str, measured: &str) {
    println!("{what:<58} {target:>14} {measured:>26}");
}

fn flood() -> Result<()> {
    let initials = record_initials()?;
    // Bound to all addresses: what is exempt on loopback is not here.
    let node = Hub::start("0.0.0.0:0", None)?;
    let port = node.addr()?.rsplit(':').next().context("no port")?.parse::<u16>()?;
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let linked = Hub::start("127.0.0.1:0", Some(&at.to_string()))?;
    let before_link = until_linked(&linked)?;
    // A short one first, so that the program text for it is in memory.
    let warm_up = Flood::begin(at, &initials);
    std::thread::sleep(Duration::from_secs(3));
    drop(warm_up);
    std::thread::sleep(Duration::from_secs(10));
    let rtt_before = rtt(&linked)?;
    let memory_before = (resident_mib(node.pid())?, own_mib(node.pid())?);

    let flood = Flood::begin(at, &initials);
    let begun = Instant::now();
    std::thread::sleep(Duration::from_secs(3));
    let newcomer = Hub::start("127.0.0.1:0", Some(&at.to_string()))?;
    let newcomer_after = until_linked(&newcomer);
    let mut peak = memory_before;
    while begun.elapsed() < FLOODED {
        peak = (peak.0.max(resident_mib(node.pid())?), peak.1.max(own_mib(node.pid())?));
        std::thread::sleep(Duration::from_millis(200));
    }
    let [garbage, first] = flood.rates();
    drop(flood);
    tell("flood: garbage and first packets a second", "", &format!("{garbage:.0} and {first:.0}"));

    let missed = suspected(&node)? + suspected(&linked)?;
    tell("  heartbeats missed on the link meanwhile", "0", &missed.to_string());
    let rtt_after = rtt(&linked)?;
    let round_trips = format!("{rtt_before:.2} and {rtt_after:.2} ms");
    tell("  the link's round trip before and at the end", "", &round_trips);
    let newcomer_after = newcomer_after
        .map_or_else(|_| "not linked".to_owned(), |after| format!("{:.0} ms", after.as_secs_f64() * 1e3));
    let without = before_link.as_secs_f64() * 1e3;
    let text = format!("{newcomer_after} ({without:.0} ms without)");
    tell("  a newcomer, from its start until linked", "linked", &text);
    std::thread::sleep(AFTER);
    let memory_after = (resident_mib(node.pid())?, own_mib(node.pid())?);
    let text = format!("{:.1}, {:.1}, {:.1} MiB", memory_before.0, peak.0, memory_after.0);
    tell("  memory before, at its peak, and 15 s later", "", &text);
    let text = format!("{:.1}, {:.1}, {:.1} MiB", memory_before.1, peak.1, memory_after.1);
    tell("  the same without the program's text", "", &text);
    let grown = (memory_after.0 / memory_before.0 - 1.0) * 100.0;
    tell("  memory that did not come back", "<= 10 %", &format!("{grown:+.1} %"));
    Ok(())
}

/// A flood, until it is dropped.
struct Flood {
    stop: Arc<AtomicBool>,
    sent: Arc<[AtomicU64; 2]>,
    begun: Instant,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Flood {
    fn begin(at: SocketAddr, initials: &[Vec<u8>]) -> Self {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::<[AtomicU64; 2]>::default());
        let kinds = [(GARBAGE_PER_SECOND, garbage()), (INITIALS_PER_SECOND, initials.to_vec())];
        let threads = kinds.into_iter().enumerate().map(|(n, (rate, datagrams))| {
            let (stop, sent) = (stop.clone(), sent.clone());
            std::thread::spawn(move || spray(&stop, &sent[n], at, rate, &datagrams))
        });
        Self { threads: threads.collect(), stop, sent, begun: Instant::now() }
    }

    /// What was sent of each kind a second.
    fn rates(&self) -> [f64; 2] {
        let seconds = self.begun.elapsed().as_secs_f64();
        [0, 1].map(|n: usize| self.sent[n].load(Ordering::Relaxed) as f64 / seconds)
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

/// Waits until a node has a link; how long that took from now.
fn until_linked(node: &Hub) -> Result<Duration> {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(15) {
        let links = node.ctl("links")?;
        if links["links"].as_array().is_some_and(|l| !l.is_empty()) {
            return Ok(begun.elapsed());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    anyhow::bail!("no link within 15 s")
}

fn rtt(node: &Hub) -> Result<f64> {
    node.ctl("links")?["links"][0]["rtt_ms"].as_f64().context("no round trip")
}

/// How often a heartbeat of a link was missed.
fn suspected(node: &Hub) -> Result<usize> {
    let told = node.ctl_lines("events")?;
    Ok(told.iter().filter(|e| matches!(e["kind"].as_str(), Some("link.suspect" | "link.down"))).count())
}

/// Datagrams that are nothing, of several lengths and beginnings.
fn garbage() -> Vec<Vec<u8>> {
    let mut seed = 1u64;
    let mut byte = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 56) as u8
    };
    (0..512).map(|n| (0..40 + n * 2).map(|_| byte()).collect()).collect()
}

/// First packets of real handshakes with whoever listens on a socket that
/// answers nothing.
fn record_initials() -> Result<Vec<Vec<u8>>> {
    let mute = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    mute.set_nonblocking(true)?;
    let to = mute.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let tls = Tls::new(&keys::generate()?)?;
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let runtime = default_runtime().context("no runtime")?;
        let endpoint = Endpoint::new(EndpointConfig::default(), None, socket, runtime)?;
        let mut recorded = Vec::new();
        let mut buffer = [0; 2048];
        while recorded.len() < RECORDED {
            let dialling = endpoint.connect_with(tls.client_config(), to, "peer")?;
            tokio::time::sleep(Duration::from_micros(100)).await;
            drop(dialling);
            while let Ok(len) = mute.recv(&mut buffer) {
                // A long header of version 1 whose packet is an Initial.
                if buffer[0] & 0xf0 == 0xc0 && len >= 1200 {
                    recorded.push(buffer[..len].to_vec());
                }
            }
        }
        Ok(recorded)
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
