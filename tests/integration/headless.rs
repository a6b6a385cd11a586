//! The real binary without a console: its log, what SIGHUP reloads, and what a
//! service manager hears.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::{TempDir, tempdir};
use tokio::net::{UnixDatagram, UnixStream};
use tokio::process::Command;

use super::binary::{Process, as_node, punchdeck};
use super::support::{PATIENCE, TestNode, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("with_json_every_line_of_the_log_is_an_object_that_names_event_and_peer", json_lines),
        trial("lost_log_lines_are_told_of_in_the_log_that_is_left", lost_lines),
        trial("a_log_that_was_moved_or_removed_is_gone_on_with_under_its_name", moved_log),
        trial("sighup_reloads_what_can_be_and_names_what_needs_a_restart", reload),
        trial("a_broken_configuration_changes_nothing_and_says_why", broken_reload),
        trial("a_service_manager_hears_ready_status_reloading_and_stopping", service),
        trial("a_service_manager_that_is_not_there_does_not_keep_a_node_from_running", no_manager),
    ]
}

/// What every end of a node has to keep.
const END: Duration = Duration::from_secs(2);

async fn json_lines() {
    let home = tempdir().unwrap();
    let mut hub = TestNode::start("hub", &[]).await;
    let data = home.path().join("data");
    let mut command = punchdeck(home.path());
    // Not told to run headless: that there is no terminal is said in an object.
    command.args(["--name", "node", "--network", "test", "--bind", "127.0.0.1:0", "--log-format", "json"]);
    command.arg("--data-dir").arg(&data).args(["--bootstrap", &hub.addr().to_string()]);
    // What colours would be asked for by whoever looks on.
    command.env("CLICOLOR_FORCE", "1").env("PUNCHDECK_LOG_FILTER", "debug");
    let mut process = Process::start(command);
    process.line("\"link.up\"").await;
    hub.event("link.up", |e| (e.kind.name() == "link.up").then_some(())).await;
    process.signal(Signal::TERM);
    let (status, said) = process.ended(END).await;
    assert_eq!(status.code(), Some(0), "{said:#?}");
    let objects: Vec<Value> = said
        .iter()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    for object in &objects {
        for key in ["timestamp", "level", "target", "message"] {
            assert!(object[key].is_string(), "{key} in {object}");
        }
    }
    assert!(objects[0]["message"].to_string().contains("no terminal here"), "{}", objects[0]);
    let of_kind =
        |kind: &str| objects.iter().find(|o| o["kind"] == kind).unwrap_or_else(|| panic!("no {kind}"));
    assert_eq!(of_kind("link.up")["peer_id"], hub.id().to_string());
    assert_eq!(of_kind("link.up")["node"], "node");
    assert_eq!(of_kind("node.started").get("peer_id"), None, "it is about no peer");
    let file = fs::read_to_string(data.join("punchdeck.log")).unwrap();
    // Tasks log at the same time: each sink has an order of its own.
    let messages = |lines: &[Value]| lines.iter().map(|l| l["message"].to_string()).collect::<BTreeSet<_>>();
    assert_eq!(messages(&parsed(file.lines())), messages(&objects), "the file says the same");
}

fn parsed<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<Value> {
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

async fn moved_log() {
    let home = tempdir().unwrap();
    let data = home.path().join("data");
    let mut process = Process::node(&data);
    process.started().await;
    let (log, moved) = (data.join("punchdeck.log"), data.join("moved.log"));
    // As whoever rotates logs does it.
    fs::rename(&log, &moved).unwrap();
    process.signal(Signal::HUP);
    process.line("reloaded: nothing has changed").await;
    let until_logged = async |what: &str| {
        let begun = Instant::now();
        while !fs::read_to_string(&log).is_ok_and(|text| text.contains(what)) {
            assert!(begun.elapsed() < PATIENCE, "{what} is in no {}", log.display());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    until_logged("reloaded: nothing has changed").await;
    assert!(!fs::read_to_string(&moved).unwrap().contains("reloaded"), "it is left alone");
    fs::remove_file(&log).unwrap();
    process.signal(Signal::HUP);
    until_logged("reloaded: nothing has changed").await;
    process.signal(Signal::TERM);
    let (status, said) = process.ended(END).await;
    assert_eq!(status.code(), Some(0), "{said:#?}");
}

async fn lost_lines() {
    let home = tempdir().unwrap();
    let data = home.path().join("data");
    let mut command = as_node(punchdeck(home.path()), &data);
    let full = File::options().write(true).open("/dev/full").unwrap();
    command.stderr(Stdio::from(full));
    let mut child = command.spawn().unwrap();
    let told = async {
        loop {
            let log = fs::read_to_string(data.join("punchdeck.log")).unwrap_or_default();
            if let Some(line) = log.lines().find(|l| l.contains("log lines were dropped")) {
                return line.to_owned();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let line = tokio::time::timeout(PATIENCE, told).await.expect("nothing was said");
    let lines: u64 = line.rsplit_once("lines=").unwrap().1.parse().unwrap();
    assert!(line.contains("WARN") && lines > 0, "{line}");
    child.kill().await.unwrap();
}

/// A node with a configuration file of its own.
struct Configured {
    process: Process,
    file: PathBuf,
    _home: TempDir,
}

impl Configured {
    async fn start(text: &str, change: impl FnOnce(&mut Command, &Path)) -> Self {
        let home = tempdir().unwrap();
        let file = home.path().join("c.toml");
        fs::write(&file, text).unwrap();
        let mut command = as_node(punchdeck(home.path()), &home.path().join("data"));
        command.arg("--config").arg(&file);
        change(&mut command, home.path());
        let mut process = Process::start(command);
        process.started().await;
        Self { process, file, _home: home }
    }

    fn reload(&self, text: &str) {
        fs::write(&self.file, text).unwrap();
        self.process.signal(Signal::HUP);
    }

    /// Ends it, and gives all that it said.
    async fn end(self) -> Vec<String> {
        self.process.signal(Signal::TERM);
        let (status, said) = self.process.ended(END).await;
        assert_eq!(status.code(), Some(0), "{said:#?}");
        said
    }
}

async fn reload() {
    let mut hub = TestNode::start("hub", &[]).await;
    let mut node = Configured::start("name = \"a\"\n", |_, _| {}).await;
    // Flags go first, also then: name, bind and network stay.
    node.reload(&format!(
        "name = \"b\"\nbootstrap = [\"{}\"]\npunch = \"never\"\nrelay_after = \"3s\"\n\
         log_filter = \"info,punchdeck::event=off\"\ntitle = false\n",
        hub.addr()
    ));
    let process = &mut node.process;
    let line = process.line("key=bootstrap").await;
    assert!(line.contains("reloaded: a setting has changed"), "{line}");
    assert!(line.ends_with(&format!("from=[] to=[\"{}\"]", hub.addr())), "{line}");
    let line = process.line("key=relay_after").await;
    assert!(line.ends_with("from=\"1s\" to=\"3s\""), "{line}");
    let line = process.line("key=punch").await;
    assert!(line.ends_with("from=\"any\" to=\"never\""), "{line}");
    let line = process.line("key=log_filter").await;
    assert!(line.ends_with("from=\"info\" to=\"info,punchdeck::event=off\""), "{line}");
    let line = process.line("needs a restart").await;
    assert!(line.contains("WARN") && line.ends_with("key=title from=true to=false"), "{line}");
    // It was alone, and dials the new list.
    hub.event("link.up", |e| (e.kind.name() == "link.up").then_some(())).await;
    node.process.signal(Signal::HUP);
    let line = node.process.line("reloaded").await;
    assert!(line.contains("needs a restart"), "no event is logged any more: {line}");
    node.end().await;
}

async fn broken_reload() {
    let mut node = Configured::start("punch = \"any\"\n", |_, _| {}).await;
    node.reload("punch = \"never\"\nbnid = \"[::]:9001\"\n");
    let line = node.process.line("not reloaded").await;
    assert!(line.contains("ERROR") && line.contains("nothing changes"), "{line}");
    assert!(line.contains("c.toml:2: unknown key \"bnid\", the nearest is \"bind\""), "{line}");
    node.reload("punch = \"known\"\n");
    let line = node.process.line("key=punch").await;
    assert!(line.ends_with("from=\"any\" to=\"known\""), "never did not hold: {line}");
    node.process.signal(Signal::HUP);
    node.process.line("reloaded: nothing has changed").await;
    node.end().await;
}

async fn service() {
    let hub = TestNode::start("hub", &[]).await;
    let dir = tempdir().unwrap();
    let path = dir.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    let mut control = PathBuf::new();
    let node = Configured::start("", |command, home| {
        command.env("NOTIFY_SOCKET", &path);
        control = home.join("data/control.sock");
    })
    .await;
    assert_eq!(heard(&manager).await, "READY=1\n");
    UnixStream::connect(&control).await.expect("who is ready can be talked to");
    assert_eq!(heard(&manager).await, "STATUS=links: 0; peers known: 0\n");
    let said = Instant::now();
    node.reload(&format!("bootstrap = [\"{}\"]\n", hub.addr()));
    let reloading = heard(&manager).await;
    let began = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().trim_end();
    assert!(began.parse::<u64>().unwrap() > 0, "{reloading}");
    assert_eq!(heard(&manager).await, "READY=1\n");
    assert_eq!(heard(&manager).await, "STATUS=links: 1 (1 direct); peers known: 1\n");
    assert!(said.elapsed() > Duration::from_secs(9), "at most one in ten seconds");
    node.process.signal(Signal::TERM);
    assert_eq!(heard(&manager).await, "STOPPING=1\n");
    let (status, said) = node.process.ended(END).await;
    assert_eq!(status.code(), Some(0), "{said:#?}");
}

async fn heard(manager: &UnixDatagram) -> String {
    let mut bytes = [0; 1024];
    let heard = tokio::time::timeout(PATIENCE, manager.recv(&mut bytes)).await;
    let len = heard.expect("nothing was told").unwrap();
    String::from_utf8(bytes[..len].to_vec()).unwrap()
}

async fn no_manager() {
    let node = Configured::start("", |command, home| {
        command.env("NOTIFY_SOCKET", home.join("nobody"));
    })
    .await;
    // Before the line of its start, or after.
    let said = node.end().await;
    assert!(said.iter().any(|l| l.contains("the service manager could not be told")), "{said:#?}");
}
