//! The real binary without a console: its log.

use std::fs::{self, File};
use std::process::Stdio;
use std::time::Duration;

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::tempdir;

use super::binary::{Process, as_node, punchdeck};
use super::support::{PATIENCE, TestNode, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("with_json_every_line_of_the_log_is_an_object_that_names_event_and_peer", json_lines),
        trial("lost_log_lines_are_told_of_in_the_log_that_is_left", lost_lines),
    ]
}

/// What every end of a node has to keep.
const END: Duration = Duration::from_secs(2);

async fn json_lines() {
    let home = tempdir().unwrap();
    let mut hub = TestNode::start("hub", &[]).await;
    let data = home.path().join("data");
    let mut command = as_node(punchdeck(home.path()), &data);
    command.args(["--log-format", "json", "--bootstrap", &hub.addr().to_string()]);
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
    let of_kind =
        |kind: &str| objects.iter().find(|o| o["kind"] == kind).unwrap_or_else(|| panic!("no {kind}"));
    assert_eq!(of_kind("link.up")["peer_id"], hub.id().to_string());
    assert_eq!(of_kind("link.up")["node"], "node");
    assert_eq!(of_kind("node.started").get("peer_id"), None, "it is about no peer");
    let file = fs::read_to_string(data.join("punchdeck.log")).unwrap();
    let messages = |lines: &[Value]| lines.iter().map(|l| l["message"].clone()).collect::<Vec<_>>();
    assert_eq!(messages(&parsed(file.lines())), messages(&objects), "the file says the same");
}

fn parsed<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<Value> {
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
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
