//! One surface, one attack, and what it cost the node: measured from outside, on a
//! process of its own for each.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ant_quic::HighLevelConnection;
use anyhow::{Context as _, Result};
use punchdeck::core::limits::CONNECTION_IDLE;
use punchdeck::core::link::NetworkSecret;
use punchdeck::model::PeerId;

use super::hub::{Hub, own_mib};
use super::peer::{Bad, Target};

const SECRET: [u8; 32] = [7; 32];
/// By then everything of somebody who vanished without a word has ended.
const GONE: Duration = CONNECTION_IDLE.saturating_add(Duration::from_secs(15));
/// Memory that comes and goes by itself, in KiB: what is below is nothing.
const NOISE: f64 = 384.0;

/// Who attacks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Without the secret.
    Stranger,
    /// With it, linked.
    Member,
}

/// What an attack is held to; `None` where nothing is promised.
#[derive(Clone, Copy, Default)]
pub struct Held {
    /// KiB that the node holds for all of it.
    pub holds: Option<f64>,
    /// Bytes that the node sends for a byte that it got.
    pub sends: Option<f64>,
    /// Milliseconds of a core for one message.
    pub computes: Option<f64>,
    /// KiB that are left when everything of it has ended.
    pub left: Option<f64>,
    /// The limits that hold it, by their names.
    pub by: &'static str,
}

type Attack = fn(Arc<Ground>) -> Pin<Box<dyn Future<Output = Done>>>;

/// A row of the table.
#[derive(Clone, Copy)]
pub struct Surface {
    pub what: &'static str,
    pub who: Who,
    pub attack: Attack,
    pub held: Held,
}

/// What an attack did, counted by the attacker.
#[derive(Default)]
pub struct Done {
    /// Messages, datagrams or connections, whatever the row counts.
    pub messages: u64,
    /// Bytes of datagrams to the node ...
    pub sent: u64,
    /// ... and from it.
    pub got: u64,
    /// Said in the row: what was counted.
    pub note: String,
    /// Kept until the memory was measured; then all of it vanishes without a word.
    pub keep: Vec<Box<dyn Send>>,
}

impl Done {
    /// What a connection carried since it stands.
    pub fn over(connection: &HighLevelConnection, messages: u64) -> Self {
        let stats = connection.stats();
        Self { messages, sent: stats.udp_tx.bytes, got: stats.udp_rx.bytes, ..Self::default() }
    }

    pub fn keeps(mut self, what: impl Send + 'static) -> Self {
        self.keep.push(Box::new(what));
        self
    }

    pub fn note(mut self, note: String) -> Self {
        self.note = note;
        self
    }
}

/// The node that is attacked: closed, and bound to all addresses, so that what is
/// exempt on loopback is not here.
pub struct Ground {
    node: Hub,
    pub at: SocketAddr,
    id: PeerId,
}

impl Ground {
    fn start() -> Result<Self> {
        let secret = SECRET.map(|b| format!("{b:02x}")).concat();
        let node = Hub::start_closed("0.0.0.0:0", &secret, "test")?;
        let status = node.ctl("status")?;
        let port = node.addr()?.rsplit(':').next().context("no port")?.parse::<u16>()?;
        let id: PeerId = status["peer_id"].as_str().context("no id")?.parse().ok().context("no id")?;
        Ok(Self { node, at: (Ipv4Addr::LOCALHOST, port).into(), id })
    }

    fn own_kib(&self) -> Result<f64> {
        Ok(own_mib(self.node.pid())? * 1024.0)
    }

    /// What its threads have computed, in milliseconds.
    fn computed_ms(&self) -> Result<f64> {
        let mut total = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.node.pid()))? {
            let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
            total += text.split(' ').next().context("no time")?.parse::<u64>()?;
        }
        Ok(total as f64 / 1e6)
    }
}

/// A stranger, from that host.
pub fn stranger(host: u8) -> Bad {
    Bad::peer().on((Ipv4Addr::new(127, 9, host, 1), 0).into())
}

/// A member, from that host.
pub fn member(host: u8) -> Bad {
    stranger(host).with_secret(Some(NetworkSecret::new(SECRET)))
}

impl Target for Ground {
    fn addr(&self) -> SocketAddr {
        self.at
    }

    fn id(&self) -> PeerId {
        self.id
    }

    async fn until_linked(&self, _peer: PeerId) {}
}

/// What a row came to.
struct Row {
    surface: Surface,
    holds: f64,
    sends: Option<f64>,
    computes: f64,
    left: f64,
    note: String,
}

/// Runs every surface that has this word, prints the table, and says whether all
/// limits held.
pub fn table(surfaces: &[Surface], word: &str) -> Result<bool> {
    println!(
        "| surface | who | holds, KiB | sends, bytes for a byte | computes, ms a message | left, KiB | held by | |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut ends = Vec::new();
    for surface in surfaces.iter().filter(|s| s.what.contains(word)) {
        ends.push(measure(*surface).with_context(|| surface.what)?);
    }
    let mut all = true;
    for end in ends {
        let row = end.join().map_err(|_| anyhow::anyhow!("a measurement ended early"))??;
        all &= print(&row);
    }
    Ok(all)
}

/// Attacks, and measures in a thread of its own what is left.
fn measure(surface: Surface) -> Result<std::thread::JoinHandle<Result<Row>>> {
    let ground = Arc::new(Ground::start()?);
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    // The program text for connections is in memory before it is measured.
    let warm = runtime()?;
    warm.block_on(async { drop(member(250).linked_at(ground.at).await) });
    warm.shutdown_timeout(Duration::from_secs(1));
    std::thread::sleep(Duration::from_secs(1));

    let (before, computed) = (ground.own_kib()?, ground.computed_ms()?);
    let over = Arc::new(AtomicBool::new(false));
    let peak = {
        let (ground, over) = (ground.clone(), over.clone());
        std::thread::spawn(move || {
            let mut peak = before;
            while !over.load(Ordering::Relaxed) {
                peak = peak.max(ground.own_kib().unwrap_or(peak));
                std::thread::sleep(Duration::from_millis(20));
            }
            peak
        })
    };
    let attacker = runtime()?;
    let done = attacker.block_on((surface.attack)(ground.clone()));
    let computed = ground.computed_ms()? - computed;
    std::thread::sleep(Duration::from_millis(300));
    over.store(true, Ordering::Relaxed);
    let peak = peak.join().map_err(|_| anyhow::anyhow!("no peak"))?;
    let computes = computed / done.messages.max(1) as f64;
    let sends = (done.sent > 0).then(|| done.got as f64 / done.sent as f64);
    // Nobody says goodbye.
    std::mem::forget(done.keep);
    attacker.shutdown_background();
    let note = done.note;
    Ok(std::thread::spawn(move || {
        let begun = Instant::now();
        let mut left = f64::MAX;
        while begun.elapsed() < GONE && left > NOISE {
            std::thread::sleep(Duration::from_secs(1));
            left = ground.own_kib()? - before;
        }
        Ok(Row { surface, holds: peak - before, sends, computes, left, note })
    }))
}

fn print(row: &Row) -> bool {
    let held = row.surface.held;
    let mut all = true;
    let mut cell = |value: f64, limit: Option<f64>, digits: usize| {
        let Some(limit) = limit else { return format!("{value:.digits$}") };
        all &= value <= limit;
        format!("{value:.digits$} (<= {limit})")
    };
    let holds = cell(row.holds.max(0.0), held.holds, 0);
    let sends = row.sends.map_or_else(|| "-".to_owned(), |sends| cell(sends, held.sends, 2));
    let computes = cell(row.computes, held.computes, 3);
    let left = cell(row.left.max(0.0), held.left, 0);
    let who = if row.surface.who == Who::Stranger { "stranger" } else { "member" };
    let what = if row.note.is_empty() {
        row.surface.what.to_owned()
    } else {
        format!("{}: {}", row.surface.what, row.note)
    };
    let verdict = if all { "PASS" } else { "FAIL" };
    println!("| {what} | {who} | {holds} | {sends} | {computes} | {left} | {} | {verdict} |", held.by);
    all
}
