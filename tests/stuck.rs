//! A node whose console's terminal takes nothing: it goes on as if somebody
//! looked, and so does the console once somebody does.

mod pty;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use portable_pty::CommandBuilder;
use pty::{Console, END};
use serde_json::Value;
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_punchdeck");
/// Longer than a link lasts whose heartbeats are not answered.
const STUCK: Duration = Duration::from_secs(20);

/// A headless node, killed at the end.
struct Hub {
    process: Child,
    home: TempDir,
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn run_args(home: &TempDir, name: &str) -> Vec<String> {
    let data = home.path().join("data").display().to_string();
    ["run", "--name", name, "--bind", "127.0.0.1:0", "--data-dir", &data].map(str::to_owned).into()
}

fn ctl(home: &TempDir, verb: &[&str]) -> Result<Value> {
    let output = Command::new(BINARY)
        .env_clear()
        .env("HOME", home.path())
        .args(["ctl", "--json", "--data-dir"])
        .arg(home.path().join("data"))
        .args(verb)
        .output()?;
    ensure!(output.status.success(), "{verb:?}: {}", String::from_utf8_lossy(&output.stdout));
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn until_it_answers(home: &TempDir) -> Result<Value> {
    let start = Instant::now();
    loop {
        match ctl(home, &["status"]) {
            Err(error) if start.elapsed() > Duration::from_secs(20) => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
            answer => return answer,
        }
    }
}

/// A node with its console in a terminal that is read, or is not.
fn with_console(home: &TempDir, name: &str, bootstrap: &str, read: bool) -> Result<Console> {
    let mut command = CommandBuilder::new(BINARY);
    command.env_clear();
    command.env("HOME", home.path());
    command.args(run_args(home, name));
    command.args(["--bootstrap", bootstrap]);
    Console::start(command, 200, 50, read)
}

/// Since when the hub has had its link to a node, or why it has none.
fn link_age(hub: &Hub, peer: &str) -> Result<f64> {
    let links = ctl(&hub.home, &["links"])?;
    let links = links["links"].as_array().context("no links")?;
    let link = links.iter().find(|l| l["peer_id"] == peer).context("the hub has lost its link")?;
    link["age_s"].as_f64().context("no age")
}

#[test]
fn a_terminal_that_takes_nothing_slows_neither_heartbeats_nor_answers_of_its_node() -> Result<()> {
    let home = tempfile::tempdir()?;
    let process = Command::new(BINARY)
        .env_clear()
        .env("HOME", home.path())
        .args(run_args(&home, "hub"))
        .arg("--headless")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let hub = Hub { process, home };
    let addr = until_it_answers(&hub.home)?["local_addr"].as_str().context("no address")?.to_owned();

    let (stuck_home, shown_home) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let mut stuck = with_console(&stuck_home, "stuck", &addr, false)?;
    let shown = with_console(&shown_home, "shown", &addr, true)?;
    let ids = [&stuck_home, &shown_home].map(|home| until_it_answers(home).map(|s| s["peer_id"].clone()));
    let [stuck_id, shown_id] = ids;
    let (stuck_id, shown_id) = (stuck_id?, shown_id?);
    shown.wait_for("linked")?;
    // A frame of everything, again and again: far more than a terminal holds.
    for _ in 0..40 {
        stuck.press("z")?;
        std::thread::sleep(Duration::from_millis(60));
    }

    let start = Instant::now();
    let mut took: [Vec<u64>; 2] = Default::default();
    let mut uptime = 0.0;
    while start.elapsed() < STUCK {
        // Five fit in what the hub serves at once.
        for (home, took) in [&stuck_home, &shown_home].into_iter().zip(&mut took) {
            let report = ctl(home, &["sync"])?;
            took.push(report["elapsed_ms"].as_u64().context("no time")?);
        }
        std::thread::sleep(STUCK / 5);
        let now = ctl(&stuck_home, &["status"])?["uptime_s"].as_f64().context("no uptime")?;
        ensure!(now >= uptime + 3.5, "its snapshots stand still: {now} s after {uptime} s");
        uptime = now;
    }
    for (name, took) in ["stuck", "shown"].into_iter().zip(&mut took) {
        took.sort_unstable();
        let median = took.get(took.len() / 2).context("never synced")?;
        eprintln!("{name}: {} syncs, median {median} ms, longest {:?} ms", took.len(), took.last());
    }
    for (name, id) in [("stuck", &stuck_id), ("shown", &shown_id)] {
        let age = link_age(&hub, id.as_str().context("no id")?)?;
        eprintln!("{name}: its link with the hub is {age} s old");
        ensure!(age >= STUCK.as_secs_f64(), "{name}: the link with the hub broke");
    }

    // Somebody looks again: nothing of what was not shown is owed.
    stuck.read()?;
    stuck.wait_for("linked")?;
    stuck.press("?")?;
    stuck.wait_for("Help")?;
    // It has a link, so it asks; the same key again says yes.
    stuck.press("?qq")?;
    stuck.wait_for_end(END)
}
