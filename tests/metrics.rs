//! A node's metrics as those programs see them that read them: promtool has nothing to
//! say against them, and a Prometheus finds every node of a fleet.
//!
//! Both are Debian's (package `prometheus`): `cargo test --test metrics -- --ignored`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Long enough for a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An address that was free just now.
fn free() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

fn punchdeck(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_punchdeck"));
    command.env("PUNCHDECK_CONFIG", dir.join("none.toml")).env("PUNCHDECK_DATA_DIR", dir);
    command.stdin(Stdio::null()).stderr(Stdio::null());
    command
}

struct Node {
    dir: tempfile::TempDir,
    metrics: SocketAddr,
    _process: Running,
}

fn node(name: &str, bind: SocketAddr, bootstrap: Option<SocketAddr>) -> Node {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("none.toml"), "").unwrap();
    let metrics = free();
    let mut command = punchdeck(dir.path());
    command.args(["run", "--headless", "--name", name, "--bind", &bind.to_string()]);
    command.args(["--probe-ports", "off"]);
    if let Some(bootstrap) = bootstrap {
        command.args(["--bootstrap", &bootstrap.to_string()]);
    }
    command.env("PUNCHDECK_METRICS_LISTEN", metrics.to_string()).env("PUNCHDECK_METRICS_PEERS", "true");
    let process = Running(command.stdout(Stdio::null()).spawn().unwrap());
    Node { dir, metrics, _process: process }
}

fn fleet() -> Vec<Node> {
    let first = free();
    let mut fleet = vec![node("one", first, None)];
    fleet.extend(["two", "three"].map(|name| node(name, free(), Some(first))));
    fleet
}

/// What the node prints, once it is there.
fn page(node: &Node) -> String {
    let begun = Instant::now();
    loop {
        let out = punchdeck(node.dir.path()).args(["ctl", "metrics", "--peers"]).output().unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        if out.status.success() && text.contains("punchdeck_joined 1") {
            return text;
        }
        assert!(begun.elapsed() < PATIENCE, "{text}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
#[ignore = "needs promtool"]
fn promtool_finds_nothing_wrong_with_the_page_of_a_node() {
    let fleet = fleet();
    for node in &fleet {
        let page = page(node);
        let mut promtool = Command::new("promtool");
        promtool
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut promtool = promtool.spawn().expect("promtool, of Debian's package prometheus");
        promtool.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
        let said = promtool.wait_with_output().unwrap();
        let said = String::from_utf8([said.stdout, said.stderr].concat()).unwrap();
        assert_eq!(said, "", "{page}");
    }
}

#[test]
#[ignore = "needs promtool"]
fn the_alerts_that_are_shipped_fire_when_they_should() {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/prometheus");
    for args in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]] {
        let out = Command::new("promtool").args(args).current_dir(&rules).output();
        let out = out.expect("promtool, of Debian's package prometheus");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
    }
}

fn prometheus(home: &Path, targets: &[SocketAddr]) -> (Running, SocketAddr) {
    let at = free();
    let targets: Vec<String> = targets.iter().map(|addr| format!("\"{addr}\"")).collect();
    let config = format!(
        "global: {{ scrape_interval: 1s }}\nscrape_configs:\n  - job_name: punchdeck\n    static_configs: \
         [{{ targets: [{}] }}]\n",
        targets.join(", ")
    );
    let file: PathBuf = home.join("prometheus.yml");
    fs::write(&file, config).unwrap();
    let mut command = Command::new("prometheus");
    command.arg(format!("--config.file={}", file.display()));
    command.arg(format!("--storage.tsdb.path={}", home.join("data").display()));
    command.arg(format!("--web.listen-address={at}"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    (Running(command.spawn().expect("prometheus, Debian's package")), at)
}

#[tokio::test]
#[ignore = "needs prometheus"]
async fn a_prometheus_finds_every_node_of_a_fleet_and_their_links() {
    let (fleet, home) = (fleet(), tempfile::tempdir().unwrap());
    let targets: Vec<SocketAddr> = fleet.iter().map(|node| node.metrics).collect();
    let (_prometheus, at) = prometheus(home.path(), &targets);
    let begun = Instant::now();
    loop {
        let answer = reqwest::get(format!("http://{at}/api/v1/query?query=punchdeck_links")).await;
        let text = match answer {
            Ok(answer) => answer.text().await.unwrap(),
            Err(error) => error.to_string(),
        };
        let found: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let direct = |instance: &SocketAddr| {
            let series = found["data"]["result"].as_array()?;
            let of = |s: &&serde_json::Value| {
                s["metric"]["instance"] == instance.to_string() && s["metric"]["path"] == "direct"
            };
            series.iter().find(of)?["value"][1].as_str().map(str::to_owned)
        };
        if targets.iter().all(|target| direct(target).as_deref() == Some("2")) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{text}");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}
