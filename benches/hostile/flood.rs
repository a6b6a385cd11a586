//! What 20 000 garbage datagrams and 5 000 first packets of handshakes a second, each
//! from one of many forged addresses, do to a node that has a link, and to a newcomer.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::hub::{Hub, own_mib, resident_mib};
use super::peer::{Flood, garbage, record_initials};

const GARBAGE_PER_SECOND: u32 = 20_000;
const INITIALS_PER_SECOND: u32 = 5_000;
const FLOODED: Duration = Duration::from_secs(20);
/// How long memory has to come back.
const AFTER: Duration = Duration::from_secs(15);
/// First packets that are recorded and sent again from other addresses.
const RECORDED: usize = 5_000;

fn tell(what: &str, target: &str, measured: &str) {
    println!("{what:<58} {target:>14} {measured:>26}");
}

pub fn flood() -> Result<()> {
    println!("{:<58} {:>14} {:>26}", "what", "target", "measured");
    let initials = record_initials(RECORDED);
    // Bound to all addresses: what is exempt on loopback is not here.
    let node = Hub::start("0.0.0.0:0", None)?;
    let port = node.addr()?.rsplit(':').next().context("no port")?.parse::<u16>()?;
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let linked = Hub::start("127.0.0.1:0", Some(&at.to_string()))?;
    let before_link = until_linked(&linked)?;
    // A short one first, so that the program text for it is in memory.
    let warm_up = begin(at, &initials);
    std::thread::sleep(Duration::from_secs(3));
    drop(warm_up);
    std::thread::sleep(Duration::from_secs(10));
    let rtt_before = rtt(&linked)?;
    let memory_before = (resident_mib(node.pid())?, own_mib(node.pid())?);

    let flood = begin(at, &initials);
    let begun = Instant::now();
    std::thread::sleep(Duration::from_secs(3));
    let newcomer = Hub::start("127.0.0.1:0", Some(&at.to_string()))?;
    let newcomer_after = until_linked(&newcomer);
    let mut peak = memory_before;
    while begun.elapsed() < FLOODED {
        peak = (peak.0.max(resident_mib(node.pid())?), peak.1.max(own_mib(node.pid())?));
        std::thread::sleep(Duration::from_millis(200));
    }
    let rates = flood.rates();
    let (garbage, first) = (rates[0], rates[1]);
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

fn begin(at: SocketAddr, initials: &[Vec<u8>]) -> Flood {
    Flood::begin(at, vec![(GARBAGE_PER_SECOND, garbage()), (INITIALS_PER_SECOND, initials.to_vec())])
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
