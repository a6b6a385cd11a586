//! The console and its node as processes in a terminal, each figure beside its
//! target: `cargo bench --bench process`, or with the name of a part.
//!
//! `load`: the console alone on a made-up node of 10 000 peers with 100 changes
//! a second; this program runs itself again for it. The others run the real
//! binary: `start` until its first frame, `idle` beside one other node, `memory`
//! with 1 000 peers in its cache, `port` until the port of one that ended is
//! free. Everything stays on 127.0.0.1.

#![allow(clippy::print_stdout)]

#[path = "hub/mod.rs"]
mod hub;
#[path = "../tests/pty/mod.rs"]
mod pty;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use hub::{Hub, resident_mib};
use portable_pty::CommandBuilder;
use pty::{Console, END};
use punchdeck::core::book::CacheEntry;
use punchdeck::core::wire::Record;
use punchdeck::model::{Event, EventKind, PeerId, Source, Stamp};
use punchdeck::node::feed::{CommandSender, EVENT_BACKLOG, Feed, OUTCOME_BACKLOG};
use punchdeck::tui::{self, demo};

const BINARY: &str = env!("CARGO_BIN_EXE_punchdeck");
/// Says to this program that it is to be the console.
const ROLE: &str = "PUNCHDECK_BENCH_CONSOLE";
/// The thread that makes the node up; its time is not the console's.
const FEED: &str = "feed";
/// How long something is watched.
const WATCHED: Duration = Duration::from_secs(20);
/// How long a start may go on working.
const SETTLED: Duration = Duration::from_secs(10);

/// What is measured together.
type Part = fn() -> Result<()>;

fn main() -> Result<()> {
    if std::env::var_os(ROLE).is_some() {
        return be_the_console();
    }
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let parts: [(&str, Part); 5] =
        [("load", load), ("start", start), ("idle", idle), ("memory", memory), ("port", port)];
    println!("{:<52} {:>14} {:>24}", "what", "target", "measured");
    for (name, part) in parts {
        if wanted.is_empty() || wanted.iter().any(|w| w == name) {
            part().with_context(|| name.to_owned())?;
        }
    }
    Ok(())
}

fn tell(what: &str, target: &str, measured: &str) {
    println!("{what:<52} {target:>14} {measured:>24}");
}

/// The middle and the longest of some times in milliseconds.
fn middle_and_longest(mut times: Vec<f64>) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    (times.get(times.len() / 2).copied().unwrap_or(f64::NAN), times.last().copied().unwrap_or(f64::NAN))
}

/// The time on a processor of all threads but those of one name.
fn cpu(pid: u32, but: &str) -> Result<Duration> {
    let mut ns = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let task = task?.path();
        let name = fs::read_to_string(task.join("comm"))?;
        if name.trim() != but {
            let stat = fs::read_to_string(task.join("schedstat"))?;
            ns += stat.split(' ').next().context("no time")?.parse::<u64>()?;
        }
    }
    Ok(Duration::from_nanos(ns))
}

/// What a process does while nothing is asked of it.
struct Watched {
    cpu_percent: f64,
    bytes_a_second: f64,
    frames_a_second: f64,
}

fn watch(console: &Console, pid: u32, span: Duration) -> Result<Watched> {
    let before = (cpu(pid, FEED)?, console.written(), console.frames(), Instant::now());
    std::thread::sleep(span);
    let seconds = before.3.elapsed().as_secs_f64();
    Ok(Watched {
        cpu_percent: (cpu(pid, FEED)?.saturating_sub(before.0)).as_secs_f64() / seconds * 100.0,
        bytes_a_second: (console.written() - before.1) as f64 / seconds,
        frames_a_second: (console.frames() - before.2) as f64 / seconds,
    })
}

fn load() -> Result<()> {
    let mut command = CommandBuilder::new(std::env::current_exe()?);
    command.env(ROLE, "load");
    let mut console = Console::start(command, 200, 50, true)?;
    console.wait_for("10000 peers")?;
    let pid = console.child.process_id().context("no process")?;
    std::thread::sleep(Duration::from_secs(2));
    let watched = watch(&console, pid, WATCHED)?;
    tell(
        "10 000 peers, 100 changes a second: console's CPU",
        "< 15 %",
        &format!("{:.1} %", watched.cpu_percent),
    );
    let frames = format!("{:.1}/s, {:.0} B/s", watched.frames_a_second, watched.bytes_a_second);
    tell("  frames and bytes meanwhile", "<= 20/s", &frames);

    let mut times = Vec::new();
    for n in 0..120_u64 {
        let (key, shows) = if n % 2 == 0 { ("7", "▶7 Events") } else { ("1", "▶1 Peers") };
        // At no fixed moment of a frame.
        std::thread::sleep(Duration::from_millis(60 + n * 37 % 50));
        let pressed = Instant::now();
        console.press(key)?;
        console.wait_for(shows)?;
        times.push(pressed.elapsed().as_secs_f64() * 1e3);
    }
    let (middle, longest) = middle_and_longest(times);
    let text = format!("{middle:.0} ms, longest {longest:.0} ms");
    tell("  a key until it shows, median of 120", "<= 50 ms", &text);
    console.press("q")?;
    console.wait_for_end(END)
}

/// The child's part: the console on a made-up node.
fn be_the_console() -> Result<()> {
    let first = demo::large(10_000, 0);
    let (commands, mut queue) = CommandSender::channel();
    let (snapshots_in, snapshots) = tokio::sync::watch::channel(first.clone());
    let (events_in, events) = tokio::sync::broadcast::channel(EVENT_BACKLOG);
    let (outcomes_in, outcomes) = tokio::sync::broadcast::channel(OUTCOME_BACKLOG);
    let feed = Feed { snapshots, events, outcomes, commands, presence: None, logs: None };
    std::thread::Builder::new().name(FEED.to_owned()).spawn(move || {
        let (_open, mut last, mut seq) = (outcomes_in, first, 0);
        for round in 1.. {
            std::thread::sleep(Duration::from_millis(100));
            while queue.try_recv().is_ok() {}
            last = demo::changed(&last, round, 10);
            let _ = snapshots_in.send(last.clone());
            for row in last.peers.iter().skip(round as usize % 100).step_by(1_000) {
                seq += 1;
                let kind = EventKind::LinkSuspect { missed: 1 };
                let event = Event { seq, at: last.at, peer_id: Some(row.peer_id), kind };
                let _ = events_in.send(event.into());
            }
        }
    })?;
    tui::run(feed, tui::Options::default())?;
    Ok(())
}

fn console(home: &Path, bootstrap: Option<&str>) -> Result<Console> {
    let mut command = CommandBuilder::new(BINARY);
    command.env_clear();
    command.env("HOME", home);
    command.args(["run", "--bind", "127.0.0.1:0", "--data-dir"]);
    command.arg(home.join("data"));
    if let Some(addr) = bootstrap {
        command.args(["--bootstrap", addr]);
    }
    Console::start(command, 200, 50, true)
}

fn start() -> Result<()> {
    let home = tempfile::tempdir()?;
    let mut times = Vec::new();
    for _ in 0..12 {
        let begun = Instant::now();
        let mut console = console(home.path(), None)?;
        console.wait_for("1 Peers")?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        console.press("q")?;
        console.wait_for_end(END * 2)?;
    }
    // The first makes the identity.
    let new = times.remove(0);
    let (middle, longest) = middle_and_longest(times);
    let text = format!("{middle:.0} ms, longest {longest:.0} ms");
    tell("from the start to the first frame, median of 11", "<= 50 ms", &text);
    tell("  the very first, with a new identity", "", &format!("{new:.0} ms"));
    Ok(())
}

fn idle() -> Result<()> {
    let hub = Hub::start("127.0.0.1:0", None)?;
    let home = tempfile::tempdir()?;
    let mut console = console(home.path(), Some(&hub.addr()?))?;
    console.wait_for("linked")?;
    let pid = console.child.process_id().context("no process")?;
    std::thread::sleep(SETTLED);
    let watched = watch(&console, pid, WATCHED * 3)?;
    tell("idle, one link: bytes written", "<= 150 B/s", &format!("{:.0} B/s", watched.bytes_a_second));
    tell("  frames", "<= 1/s", &format!("{:.2}/s", watched.frames_a_second));
    tell("  CPU, console and node", "<= 0.2 %", &format!("{:.2} %", watched.cpu_percent));
    console.press("q")?;
    console.wait_for_end(END * 2)
}

fn memory() -> Result<()> {
    let hub = Hub::start("127.0.0.1:0", None)?;
    let home = tempfile::tempdir()?;
    fill_cache(&home.path().join("data"), 1_000)?;
    let mut console = console(home.path(), Some(&hub.addr()?))?;
    console.wait_for("1000 peers")?;
    let pid = console.child.process_id().context("no process")?;
    std::thread::sleep(WATCHED);
    let with_console = format!("{:.1} MiB", resident_mib(pid)?);
    tell("memory, console and node, 1 000 cached peers", "<= 30 MiB", &with_console);
    console.press("q")?;
    console.wait_for_end(END * 2)?;
    let headless = Hub::start_in(home, "127.0.0.1:0", Some(&hub.addr()?))?;
    headless.addr()?;
    std::thread::sleep(WATCHED);
    tell("  the node alone", "<= 20 MiB", &format!("{:.1} MiB", resident_mib(headless.pid())?));
    Ok(())
}

/// From the signal that ends a node with a link until its port can be bound.
fn port() -> Result<()> {
    let hub = Hub::start("127.0.0.1:0", None)?;
    let mut times = Vec::new();
    for _ in 0..5 {
        let mut node = Hub::start("127.0.0.1:0", Some(&hub.addr()?))?;
        let addr: SocketAddr = node.addr()?.parse()?;
        std::thread::sleep(Duration::from_secs(1));
        let begun = Instant::now();
        node.terminate_soon()?;
        while std::net::UdpSocket::bind(addr).is_err() {
            std::thread::sleep(Duration::from_millis(2));
        }
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    let (middle, longest) = middle_and_longest(times);
    let text = format!("{middle:.0} ms, longest {longest:.0} ms");
    tell("a node's port free again after SIGTERM, median of 5", "<= 300 ms", &text);
    Ok(())
}

/// A cache of peers that nobody can reach: ports of this host on which nobody
/// listens.
fn fill_cache(data: &Path, peers: u16) -> Result<()> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let now = Stamp(i64::try_from(now.as_millis())?);
    let entry = |n: u16| {
        let mut id = [7; 32];
        id[..2].copy_from_slice(&n.to_be_bytes());
        let addresses = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 20_000 + n))];
        let record = Record { name: format!("node-{n}"), addresses, ..Record::new(PeerId(id), 3) };
        CacheEntry { record: Some(record), ..CacheEntry::bare(PeerId(id), Source::Gossip, now) }
    };
    let peers: Vec<_> = (0..peers).map(entry).collect();
    let file = serde_json::json!({ "schema": 1, "own_version": 1, "anchors": [], "peers": peers });
    let dir = data.join("cache");
    fs::create_dir_all(&dir)?;
    let mode = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o700);
    fs::set_permissions(data, mode)?;
    fs::write(dir.join("peers.json"), file.to_string())?;
    ensure!(dir.join("peers.json").is_file());
    Ok(())
}
