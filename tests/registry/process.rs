//! The real binary: started, stopped, killed.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rand::RngExt as _;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{attempt, batch, client};

struct Process {
    child: Child,
    url: String,
}

fn command(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_punchdeck"));
    command.env_clear().env("HOME", dir).arg("registry");
    command
}

impl Process {
    fn start(dir: &Path) -> Self {
        let mut command = command(dir);
        command.args(["--listen", "127.0.0.1:0", "--db"]).arg(dir.join("r.db"));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("http://127.0.0.1:"), "{line}");
        Self { child, url: line.trim().to_owned() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn refused(command: &mut Command) -> String {
    let Output { status, stderr, .. } = command.output().unwrap();
    let said = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(2), "{said}");
    said
}

#[test]
fn it_refuses_to_start_wide_open_or_with_a_token_that_others_can_read() {
    let dir = tempfile::tempdir().unwrap();
    let said = refused(command(dir.path()).args(["--listen", "0.0.0.0:0"]));
    assert!(said.contains("set a token, or listen on 127.0.0.1"), "{said}");
    let token = dir.path().join("token");
    std::fs::write(&token, "0123456789abcdef\n").unwrap();
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o644)).unwrap();
    let said = refused(command(dir.path()).arg("--token-file").arg(&token));
    assert!(said.contains("others may read it") && !said.contains("0123"), "{said}");
    let said = refused(command(dir.path()).env("PUNCHDECK_REGISTRY_TOKEN", "short"));
    assert!(said.contains("16 to 256") && !said.contains("short"), "{said}");
    std::fs::write(
        dir.path().join("no.db"),
        "this is no database, and long enough to look like one".repeat(30),
    )
    .unwrap();
    let said =
        refused(command(dir.path()).args(["--listen", "127.0.0.1:0", "--db"]).arg(dir.path().join("no.db")));
    assert!(said.contains("no.db"), "{said}");
}

#[test]
fn a_second_one_on_the_same_database_is_refused_and_told_who_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let first = Process::start(dir.path());
    std::os::unix::fs::symlink(dir.path().join("r.db"), dir.path().join("other.db")).unwrap();
    for name in ["r.db", "other.db"] {
        let db = dir.path().join(name);
        let said = refused(command(dir.path()).args(["--listen", "127.0.0.1:0", "--db"]).arg(&db));
        let told = format!("the database {} is in use by process {}", db.display(), first.child.id());
        assert!(said.contains(&told), "{said}");
    }
    drop(first);
    Process::start(dir.path());
}

#[test]
fn a_signal_stops_it_in_order_within_two_seconds() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = Process::start(dir.path());
    let begun = Instant::now();
    let id = rustix::process::Pid::from_child(&process.child);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    assert_eq!(process.child.wait().unwrap().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    // Stopped in order it leaves the database in one file, not three.
    assert!(!dir.path().join("r.db-wal").exists());
}

/// Posts batches of seven until nobody answers; gives those that were
/// acknowledged and the one that was not.
async fn report(url: &str, reporter: u8, next: &AtomicU64, sent: &mut Vec<Value>) -> u64 {
    let client = client();
    let mut acknowledged = 0;
    loop {
        let from = next.fetch_add(7, Ordering::Relaxed);
        let reports = (from..from + 7).map(|n| attempt(n, Some("direct"), n % 50, ["none", "none"]));
        let one = batch(reporter, reports.collect());
        sent.push(one.clone());
        let post = client.post(format!("{url}api/v1/reports")).header("content-type", "application/json");
        let Ok(response) = post.body(one.to_string()).send().await else { return acknowledged };
        match response.status() {
            StatusCode::OK => acknowledged += 7,
            StatusCode::TOO_MANY_REQUESTS => return acknowledged,
            other => panic!("{other}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_in_the_middle_of_batches_loses_nothing_acknowledged_and_doubles_nothing() {
    const ROUNDS: u64 = 8;
    let dir = tempfile::tempdir().unwrap();
    let next: Vec<AtomicU64> = (0..8).map(|_| AtomicU64::new(1)).collect();
    let (mut acknowledged, mut cut) = (0, 0);
    let mut sent = vec![Vec::new(); next.len()];
    for round in 0..ROUNDS {
        let mut process = Process::start(dir.path());
        let url = process.url.clone();
        let wait = Duration::from_millis(rand::rng().random_range(20..250));
        let kill = async {
            tokio::time::sleep(wait).await;
            process.child.kill().unwrap();
            process.child.wait().unwrap();
        };
        let reporters = sent.iter_mut().zip(&next).enumerate();
        let posts = reporters.map(|(n, (sent, next))| report(&url, n as u8, next, sent));
        let (taken, ()) = tokio::join!(futures_util::future::join_all(posts), kill);
        acknowledged += taken.iter().sum::<u64>();
        cut += 1;

        let process = Process::start(dir.path());
        let kpi: Value = serde_json::from_str(
            &client()
                .get(format!("{}api/v1/kpi?window=24h", process.url))
                .send()
                .await
                .unwrap()
                .text()
                .await
                .unwrap(),
        )
        .unwrap();
        let stored = kpi["attempts"].as_u64().unwrap();
        let all: u64 = next.iter().map(|n| n.load(Ordering::Relaxed) - 1).sum();
        assert!((acknowledged..=all).contains(&stored), "round {round}: {acknowledged} <= {stored} <= {all}");
    }
    assert!(acknowledged > 0 && cut == ROUNDS);
    // Everybody sends everything again, not knowing what got through.
    let process = Process::start(dir.path());
    let all: u64 = next.iter().map(|n| n.load(Ordering::Relaxed) - 1).sum();
    let client = client();
    for (n, batches) in sent.iter().enumerate() {
        // In batches of 70, as a queue that waited would.
        for some in batches.chunks(10) {
            let reports: Vec<Value> =
                some.iter().flat_map(|b| b["reports"].as_array().unwrap().clone()).collect();
            let post = client
                .post(format!("{}api/v1/reports", process.url))
                .header("content-type", "application/json");
            let answer = post.body(batch(n as u8, reports).to_string()).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
        }
    }
    let kpi = client
        .get(format!("{}api/v1/kpi?window=24h", process.url))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let kpi: Value = serde_json::from_str(&kpi).unwrap();
    assert_eq!((&kpi["attempts"], &kpi["direct"]), (&json!(all), &json!(all)));
}
