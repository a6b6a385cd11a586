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
/// Memory that comes and goes by itself, in KiB: a second attack leaves no more.
pub const LEFT_KIB: f64 = 512.0;

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
    /// KiB that a second one leaves when everything of it has ended.
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
    // The program text for connections is in memory before it is measured.
    let warm = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    warm.block_on(async { drop(member(250).linked_at(ground.at).await) });
    warm.shutdown_timeout(Duration::from_secs(1));
    std::thread::sleep(Duration::from_secs(1));

    let before = ground.own_kib()?;
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
    let (done, computed) = attack(surface, &ground)?;
    std::thread::sleep(Duration::from_millis(300));
    over.store(true, Ordering::Relaxed);
    let peak = peak.join().map_err(|_| anyhow::anyhow!("no peak"))?;
    let computes = computed / done.messages.max(1) as f64;
    let sends = (done.sent > 0).then(|| done.got as f64 / done.sent as f64);
    let note = done.note;
    std::mem::forget(done.keep);
    // The allocator keeps what was freed, for the next time. So a second attack shows
    // what is really left of one.
    Ok(std::thread::spawn(move || {
        std::thread::sleep(GONE);
        let once = ground.own_kib()?;
        std::mem::forget(attack(surface, &ground)?.0.keep);
        let begun = Instant::now();
        let mut left = f64::MAX;
        while begun.elapsed() < GONE && left > LEFT_KIB / 2.0 {
            std::thread::sleep(Duration::from_secs(1));
            left = ground.own_kib()? - once;
        }
        Ok(Row { surface, holds: peak - before, sends, computes, left, note })
    }))
}

/// Attacks once, and vanishes without a word. What it kept is of a runtime that is
/// gone: to be forgotten. And the milliseconds that the node computed.
fn attack(surface: Surface, ground: &Arc<Ground>) -> Result<(Done, f64)> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let before = ground.computed_ms()?;
    let done = runtime.block_on((surface.attack)(ground.clone()));
    let computed = ground.computed_ms()? - before;
    runtime.shutdown_background();
    Ok((done, computed))
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
