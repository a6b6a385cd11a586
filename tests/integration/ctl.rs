//! `punchdeck ctl` against living nodes, as a script uses it: every verb's
//! fields, texts and exit codes.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::{TempDir, tempdir};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::time::timeout;

use super::binary::{Process, as_node, as_node_named, punchdeck};
use super::support::{PATIENCE, TestNode, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("every_question_of_ctl_has_the_fields_of_the_contract", questions),
        trial("every_command_of_ctl_has_the_fields_of_the_contract", commands),
        trial("ctl_exits_1_when_it_did_not_happen_and_says_why", did_not_happen),
        trial("ctl_exits_2_when_it_was_asked_wrongly_and_lists_whom_one_may_mean", asked_wrongly),
        trial("ctl_names_peers_by_any_unique_prefix_or_by_name", named),
        trial("ctl_says_the_same_to_people_in_aligned_columns_without_colour_in_a_pipe", for_people),
        trial("ctl_events_follow_tells_what_happens_until_the_node_leaves", events_follow),
        trial("a_test_that_is_interrupted_ends_at_the_node_and_says_what_it_measured", interrupted),
        trial("ctl_events_follow_ends_when_its_reader_has_gone_though_nothing_happens", reader_gone),
        trial("ctl_says_of_a_stopped_node_that_it_is_stopped_and_how_it_goes_on", stopped),
        trial("ctl_status_says_that_saves_fail_and_why_and_when_they_go_through_again", failing_saves),
        trial("ctl_whose_output_is_lost_says_why_and_exits_1", lost_output),
        trial("ctl_says_of_a_killed_peer_when_it_was_heard_last_and_not_when_that_was_noticed", last_heard),
        trial("ctl_reports_of_a_stage_that_is_asked_for_that_stage_alone", stage_alone),
        trial("ctl_log_keeps_other_lines_for_a_while_and_none_after_that", log_levels),
        trial("ctl_leave_says_goodbye_and_stops_the_node", leave),
        trial("what_a_command_did_is_seen_by_the_question_after_it", seen_at_once),
        trial("a_killed_node_leaves_nothing_that_blocks_the_next_start", killed),
        trial("a_node_on_a_socket_of_a_living_node_is_refused_with_its_pid", socket_in_use),
        trial("a_node_restarted_under_load_keeps_its_identity_and_its_cache", restarted_under_load),
    ]
}

/// A node of the real binary.
struct Node {
    process: Process,
    home: TempDir,
    addr: std::net::SocketAddr,
}

impl Node {
    async fn start(name: &str, bootstrap: Option<std::net::SocketAddr>) -> Self {
        Self::start_in(tempdir().unwrap(), name, bootstrap).await
    }

    async fn start_in(home: TempDir, name: &str, bootstrap: Option<std::net::SocketAddr>) -> Self {
        let mut command = as_node_named(name, punchdeck(home.path()), &home.path().join("data"));
        if let Some(addr) = bootstrap {
            command.args(["--bootstrap", &addr.to_string()]);
        }
        let mut process = Process::start(command);
        let (addr, _) = process.started().await;
        Self { process, home, addr }
    }

    async fn ctl(&self, args: &[&str]) -> Output {
        ctl(self.home.path(), &self.home.path().join("data"), args).await
    }

    /// The object that a verb prints, and the exit code.
    async fn json(&self, args: &[&str]) -> (Value, i32) {
        let output = self.ctl(&[&["--json"], args].concat()).await;
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text.lines().count(), 1, "{args:?}: {text}");
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["schema"], 1, "{args:?}: {text}");
        (value, output.status.code().unwrap())
    }

    async fn done(&self, args: &[&str]) -> Value {
        let (value, code) = self.json(args).await;
        assert_eq!(code, 0, "{args:?}: {value}");
        value
    }

    async fn id(&self) -> String {
        self.done(&["status"]).await["peer_id"].as_str().unwrap().to_owned()
    }

    async fn until(&self, args: &[&str], what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let (value, _) = self.json(args).await;
            if holds(&value) {
                return value;
            }
            assert!(begun.elapsed() < PATIENCE, "no {what}: {value:#}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn until_links(&self, count: u64) {
        self.until(&["status"], "links", |s| s["links"]["direct"] == count).await;
    }
}

async fn ctl(home: &Path, data: &Path, args: &[&str]) -> Output {
    let mut command = punchdeck(home);
    command.args(["ctl", "--data-dir"]).arg(data).args(args);
    timeout(PATIENCE, command.output()).await.expect("ctl did not end").unwrap()
}

async fn two() -> (Node, Node) {
    let hub = Node::start("hub", None).await;
    let leaf = Node::start("leaf", Some(hub.addr)).await;
    leaf.until_links(1).await;
    hub.until(&["peers"], "name", |p| p["peers"][0]["name"] == "leaf").await;
    (hub, leaf)
}

/// The object has exactly these fields, whatever else is added later being named
/// here first.
fn fields(value: &Value, names: &[&str]) {
    let object = value.as_object().unwrap_or_else(|| panic!("{value} is no object"));
    for name in names {
        assert!(object.contains_key(*name), "{name} is missing in {value:#}");
    }
}

fn is_id(value: &Value) -> bool {
    value.as_str().is_some_and(|s| s.len() == 64 && s.bytes().all(|b| b.is_ascii_hexdigit()))
}

async fn failing_saves() {
    let home = tempdir().unwrap();
    // A directory where the file should go: no rename onto it succeeds.
    let own = home.path().join("data/cache/peers.json");
    let hub = Node::start("hub", None).await;
    let leaf = Node::start_in(home, "leaf", None).await;
    let _ = std::fs::remove_file(&own);
    std::fs::create_dir_all(own.join("in the way")).unwrap();
    let mut command = as_node_named("third", punchdeck(hub.home.path()), &hub.home.path().join("third"));
    command.args(["--bootstrap", &leaf.addr.to_string()]);
    let mut third = Process::start(command);
    third.started().await;
    let failed = |s: &Value| s["cache"]["save"]["state"] == "failed";
    let status = leaf.until(&["status"], "a failed save", failed).await;
    let save = &status["cache"]["save"];
    assert!(save["detail"].as_str().unwrap().contains("directory"), "{save}");
    assert!(save["since_s"].as_f64().unwrap() >= 0.0, "{save}");
    let text = String::from_utf8(leaf.ctl(&["status"]).await.stdout).unwrap();
    let line = text.lines().find(|l| l.starts_with("cache ")).unwrap();
    assert!(line.contains("NOT SAVED for ") && line.contains("directory"), "{line}");
    std::fs::remove_dir_all(&own).unwrap();
    leaf.until(&["status"], "a save", |s| s["cache"]["save"]["state"] == "saved").await;
    third.kill().await;
}

#[cfg(target_os = "linux")]
async fn lost_output() {
    let (hub, _leaf) = two().await;
    for verb in [
        &["status"][..],
        &["peers", "--json"],
        &["events"],
        &["events", "--json", "--follow"],
        &["why", "leaf"],
        &["sync", "--json"],
        &["nat"],
    ] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = punchdeck(hub.home.path());
        command
            .args(["ctl", "--data-dir"])
            .arg(hub.home.path().join("data"))
            .args(verb)
            .stdout(full)
            .stderr(Stdio::piped());
        let output = command.spawn().unwrap().wait_with_output();
        let output = timeout(PATIENCE, output).await.expect("it goes on").unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{verb:?}: {err}");
        assert!(err.contains("standard output: "), "{verb:?}: {err}");
    }
}

/// Until a killed peer's heartbeats are missed, and some more.
const NOTICED: Duration = Duration::from_millis(1_500);

async fn last_heard() {
    let (hub, leaf) = two().await;
    let Node { process, home: _home, .. } = leaf;
    process.kill().await;
    let killed = Instant::now();
    hub.until(&["links"], "end of the link", |l| l["links"].as_array().is_some_and(Vec::is_empty)).await;
    // It was noticed later than it happened: that moment is no contact.
    let noticed = killed.elapsed();
    assert!(noticed >= NOTICED, "{noticed:?}: nothing is shown by this");
    let peers = hub.done(&["peers"]).await;
    let seen = Duration::from_secs_f64(peers["peers"][0]["last_seen_s"].as_f64().unwrap());
    let least = killed.elapsed().saturating_sub(Duration::from_secs(1));
    assert!(seen >= least, "seen {seen:?} ago, and killed {:?} ago", killed.elapsed());
    let why = hub.done(&["why", "leaf"]).await;
    for name in ["last seen", "round trip"] {
        let fact = why["facts"].as_array().unwrap().iter().find(|f| f["name"] == name).unwrap();
        let age = Duration::from_secs(fact["age_s"].as_u64().unwrap());
        assert!(age + Duration::from_secs(1) >= least, "{name}: {fact}");
    }
}

async fn stage_alone() {
    let (hub, leaf) = two().await;
    let names = ["peer_id", "outcome", "path", "path_before", "path_after", "elapsed_ms", "stages"];
    for (node, peer) in [(&hub, "leaf"), (&leaf, "hub")] {
        for verb in ["punch", "relay"] {
            let done = node.done(&[verb, peer]).await;
            fields(&done, &names);
            assert_eq!(done["outcome"], "nothing_to_do", "{done}");
            assert_eq!((&done["path_before"], &done["path_after"]), (&"direct".into(), &"direct".into()));
            assert_eq!(done["stages"].as_array().map(Vec::len), Some(0), "{done}");
            let text = node.ctl(&[verb, peer]).await;
            let text = String::from_utf8(text.stdout).unwrap();
            assert!(text.contains("nothing to do, the link is direct"), "{text}");
        }
    }
    leaf.done(&["disconnect", "hub"]).await;
    for (verb, why) in [("punch", "loopback_cannot_be_punched"), ("relay", "nobody_to_invite")] {
        let (failed, code) = leaf.json(&[verb, "hub"]).await;
        assert_eq!((code, &failed["outcome"]), (1, &"failed".into()), "{failed}");
        assert_eq!((&failed["path_before"], &failed["path_after"]), (&Value::Null, &Value::Null));
        let stages = failed["stages"].as_array().unwrap();
        assert!(stages.iter().all(|s| s["stage"] == verb), "of that stage alone: {failed}");
        assert!(verb == "relay" || stages[0]["reason_code"] == why, "{failed}");
    }
}

async fn questions() {
    let (hub, leaf) = two().await;
    let status = leaf.done(&["status"]).await;
    let names = [
        "peer_id",
        "name",
        "version",
        "network",
        "local_addr",
        "observed_addrs",
        "nat",
        "nat6",
        "uptime_s",
        "links",
        "cache",
        "relay",
    ];
    fields(&status, &names);
    fields(&status["nat"], &["type", "mapping", "filtering", "confidence", "evidence"]);
    fields(&status["links"], &["direct", "punched", "relayed", "foreign"]);
    assert_eq!(status["relay"], serde_json::json!({ "serving": 0, "mode": "network" }));
    assert!(is_id(&status["peer_id"]));
    assert_eq!((&status["name"], &status["network"]), (&"leaf".into(), &"test".into()));
    let cache = &status["cache"];
    assert_eq!((&cache["known"], &cache["tried"], &cache["set_aside"]), (&1.into(), &1.into(), &Value::Null));
    fields(&cache["save"], &["state", "detail", "since_s"]);
    assert_eq!((&status["nat"]["type"], &status["nat6"]), (&"unknown".into(), &Value::Null));
    assert!(status["uptime_s"].as_f64().unwrap() > 0.0);

    let peers = leaf.done(&["peers"]).await;
    let peer = &peers["peers"][0];
    let names = [
        "peer_id",
        "name",
        "also",
        "addresses",
        "nat_type",
        "state",
        "path",
        "rtt_ms",
        "success_rate",
        "attempts",
        "last_seen_s",
        "source",
    ];
    fields(peer, &names);
    let hub_id = hub.id().await;
    assert_eq!(
        (&peer["peer_id"], &peer["state"], &peer["path"], &peer["source"]),
        (&hub_id.as_str().into(), &"linked".into(), &"direct".into(), &"bootstrap".into())
    );
    assert_eq!(peer["addresses"], serde_json::json!([hub.addr.to_string()]), "plain, not ::ffff:");
    assert_eq!((&peer["success_rate"], &peer["attempts"]), (&1.0.into(), &1.into()));

    let links = leaf.done(&["links"]).await;
    let names =
        ["peer_id", "path", "remote_addr", "via", "standby", "rtt_ms", "age_s", "bytes_tx", "bytes_rx"];
    fields(&links["links"][0], &names);
    assert_eq!(links["links"][0]["via"], Value::Null);
    assert_eq!(links["links"][0]["remote_addr"], hub.addr.to_string());

    let attempts = leaf.done(&["attempts", "hub"]).await;
    let attempt = &attempts["attempts"][0];
    fields(attempt, &["peer_id", "started_s", "outcome", "path", "elapsed_ms", "stages"]);
    fields(&attempt["stages"][0], &["stage", "outcome", "reason", "elapsed_ms", "via"]);
    assert_eq!((&attempt["outcome"], &attempt["path"]), (&"connected".into(), &"direct".into()));

    let why = leaf.done(&["why", "hub"]).await;
    fields(&why, &["peer_id", "path", "verdict", "timeline", "evidence", "next"]);
    fields(&why["timeline"][0], &["at_ms", "who", "what"]);
    assert!(is_id(&why["timeline"][0]["who"]));

    let relays = leaf.done(&["relays"]).await;
    fields(&relays, &["reservations", "serving", "last_failover"]);
    assert_eq!(relays["serving"], serde_json::json!({ "sessions": 0, "bytes": 0, "clients": [] }));
    let gossip = leaf.done(&["gossip"]).await;
    fields(&gossip, &["syncs", "deltas", "repairs", "dropped", "propagation"]);
    fields(&gossip["syncs"], &["in", "out"]);
    let nat = leaf.done(&["nat"]).await;
    fields(&nat, &["type", "mapping", "filtering", "confidence", "evidence", "vantage_points"]);
    let kpi = leaf.done(&["kpi"]).await;
    let names = [
        "attempts",
        "connected",
        "rate",
        "interval",
        "direct",
        "punched",
        "relayed",
        "unreachable",
        "mean_connect_ms",
        "p50_ms",
        "p95_ms",
        "propagation",
    ];
    fields(&kpi, &names);
    assert_eq!((&kpi["attempts"], &kpi["direct"], &kpi["rate"]), (&1.into(), &1.into(), &1.0.into()));
    assert_eq!(kpi["interval"].as_array().unwrap().len(), 2);

    let events = leaf.ctl(&["events", "--json"]).await;
    let lines = String::from_utf8(events.stdout).unwrap();
    for line in lines.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        fields(&event, &["schema", "at", "kind", "peer_id"]);
    }
    assert!(lines.contains(r#""kind":"link.up""#), "{lines}");
}

async fn commands() {
    let (hub, leaf) = two().await;
    let hub_id = hub.id().await;
    let again = leaf.done(&["connect", "hub"]).await;
    fields(&again, &["peer_id", "outcome", "path", "elapsed_ms", "stages"]);
    assert_eq!((&again["outcome"], &again["stages"]), (&"connected".into(), &serde_json::json!([])));
    let sync = leaf.done(&["sync", &hub_id[..8]]).await;
    fields(&sync, &["peers_synced", "records_sent", "records_received", "elapsed_ms"]);
    assert_eq!(sync["peers_synced"], 1);
    assert_eq!(leaf.done(&["sync"]).await["peers_synced"], 1);
    let test = leaf.done(&["test", "hub", "--for", "1s"]).await;
    fields(&test, &["peer_id", "for_ms", "elapsed_ms", "paths"]);
    let path = &test["paths"][0];
    fields(
        path,
        &[
            "path",
            "via",
            "rtt_ms",
            "jitter_ms",
            "loss",
            "mbit_up",
            "mbit_down",
            "mtu",
            "reordered",
            "complete",
        ],
    );
    fields(&path["rtt_ms"], &["min", "p50", "p95"]);
    assert_eq!((&path["path"], &path["complete"]), (&"direct".into(), &true.into()), "{test:#}");
    let probed = leaf.done(&["nat-probe"]).await;
    fields(&probed, &["type", "vantage_points"]);
    let away = leaf.done(&["disconnect", "hub"]).await;
    assert_eq!((&away["peer_id"], &away["held_off_s"]), (&hub_id.as_str().into(), &60.into()));
    leaf.until(&["peers"], "hold-off", |p| p["peers"][0]["state"] == "held_off").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(leaf.done(&["status"]).await["links"]["direct"], 0, "nobody dials by itself");
    let back = leaf.done(&["connect", "hub"]).await;
    assert_eq!((&back["path"], &back["stages"][0]["outcome"]), (&"direct".into(), &"ok".into()));
    for verb in ["punch", "relay"] {
        let there = leaf.done(&[verb, "hub"]).await;
        assert_eq!((&there["path"], &there["stages"]), (&"direct".into(), &serde_json::json!([])), "{verb}");
    }
}

async fn interrupted() {
    let (hub, leaf) = two().await;
    let mut command = punchdeck(leaf.home.path());
    command.args(["ctl", "--json", "--data-dir"]).arg(leaf.home.path().join("data"));
    command.args(["test", "hub", "--for", "60s"]);
    let running = command.spawn().unwrap();
    let pid = running.id().unwrap();
    // Two seconds of it are enough to have measured something.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::INT).unwrap();
    let output =
        timeout(Duration::from_secs(10), running.wait_with_output()).await.expect("it goes on").unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&told["paths"][0]["note"], &told["paths"][0]["complete"]),
        (&"called off".into(), &false.into())
    );
    let again = leaf.done(&["test", "hub", "--for", "1s"]).await;
    assert_eq!(again["paths"][0]["complete"], true, "no test runs at the node any more");
    drop(hub);
}

async fn did_not_happen() {
    let (hub, leaf) = two().await;
    let (failover, code) = leaf.json(&["failover"]).await;
    assert_eq!((code, &failover["error"]["code"]), (1, &"no_relay_in_use".into()));
    assert_eq!(failover["error"]["message"], "failover: no relay is in use");
    let (end, code) = leaf.json(&["relays", "end", "hub"]).await;
    assert_eq!((code, &end["error"]["code"]), (1, &"not_served".into()));
    assert_eq!(end["error"]["message"], "relays end: it holds no reservation here");
    let (end, code) = leaf.json(&["relays", "end", "nobody"]).await;
    assert_eq!((code, &end["error"]["code"]), (2, &"unknown_peer".into()));
    leaf.done(&["disconnect", "hub"]).await;
    let (_, code) = leaf.json(&["disconnect", "hub"]).await;
    assert_eq!(code, 1, "there is no link any more");
    hub.process.signal(Signal::KILL);
    hub.process.ended(PATIENCE).await;
    let (dead, code) = leaf.json(&["connect", "hub"]).await;
    assert_eq!((code, &dead["outcome"], &dead["path"]), (1, &"unreachable".into(), &Value::Null));
    let stages = dead["stages"].as_array().unwrap();
    assert!(!stages.is_empty() && stages.iter().all(|s| s["reason"].is_string()), "{dead:#}");

    let nobody = tempdir().unwrap();
    let output = ctl(nobody.path(), &nobody.path().join("data"), &["status", "--json"]).await;
    assert_eq!(output.status.code(), Some(1));
    let error: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&error["schema"], &error["error"]["code"]), (&1.into(), &"no_node".into()));
    let output = ctl(nobody.path(), &nobody.path().join("data"), &["status"]).await;
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.starts_with("punchdeck: no node answers at ") && text.lines().count() == 1, "{text}");
}

async fn asked_wrongly() {
    let hub = Node::start("hub", None).await;
    let _one = Node::start("twin", Some(hub.addr)).await;
    let _two = Node::start("twin", Some(hub.addr)).await;
    hub.until(&["peers"], "twins", |p| {
        p["peers"].as_array().unwrap().iter().filter(|p| p["name"] == "twin").count() == 2
    })
    .await;
    let (twins, code) = hub.json(&["connect", "twin"]).await;
    assert_eq!((code, &twins["error"]["code"]), (2, &"ambiguous_peer".into()));
    let candidates = twins["error"]["candidates"].as_array().unwrap();
    assert!(candidates.len() == 2 && candidates.iter().all(|c| is_id(&c["peer_id"]) && c["name"] == "twin"));
    let peers = hub.done(&["peers"]).await;
    for peer in peers["peers"].as_array().unwrap() {
        let also = &peer["also"]["peer_id"];
        assert!(is_id(also) && *also != peer["peer_id"], "each is marked with the other: {peer:#}");
    }
    let text = String::from_utf8(hub.ctl(&["peers"]).await.stdout).unwrap();
    assert_eq!(text.matches("(also ").count(), 2, "{text}");
    let (nobody, code) = hub.json(&["why", "nobody"]).await;
    assert_eq!((code, &nobody["error"]["code"]), (2, &"unknown_peer".into()));
    let (me, code) = hub.json(&["connect", "hub"]).await;
    assert_eq!(code, 2, "{me}");
    for args in [&["dance"][..], &["connect"], &["status", "--colour"], &["test", "twin", "--for", "61s"]] {
        let (wrong, code) = hub.json(args).await;
        assert_eq!((code, &wrong["error"]["code"]), (2, &"usage".into()), "{args:?}");
    }
    let output = hub.ctl(&["--config", "/nonexistent/x.toml", "--json", "status"]).await;
    assert_eq!(output.status.code(), Some(2));
    let error: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(error["error"]["code"], "configuration");
}

async fn named() {
    let (hub, leaf) = two().await;
    let id = hub.id().await;
    for name in [&id, &id[..8], &id[..8].to_uppercase(), "hub"] {
        assert_eq!(leaf.done(&["why", name]).await["peer_id"], id.as_str(), "{name}");
    }
}

async fn for_people() {
    let (_hub, leaf) = two().await;
    for verb in ["status", "peers", "links", "attempts", "relays", "gossip", "nat", "kpi", "events"] {
        let output = leaf.ctl(&[verb]).await;
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{verb}");
        assert!(!text.is_empty() && !text.contains('\u{1b}') && output.stderr.is_empty(), "{verb}: {text}");
    }
    let peers = String::from_utf8(leaf.ctl(&["peers"]).await.stdout).unwrap();
    let (head, row) = peers.split_once('\n').unwrap();
    assert_eq!(head.find("state"), row.find("linked"), "{peers}");
    let why = String::from_utf8(leaf.ctl(&["why", "hub"]).await.stdout).unwrap();
    assert!(why.contains("hub: direct") && why.contains("evidence"), "{why}");
}

async fn events_follow() {
    let (hub, leaf) = two().await;
    let mut command = punchdeck(leaf.home.path());
    command.args(["ctl", "events", "--follow", "--json", "--data-dir"]).arg(leaf.home.path().join("data"));
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = async |kind: &str| loop {
        let line = timeout(PATIENCE, lines.next_line()).await.expect("no line").unwrap();
        let line = line.unwrap_or_else(|| panic!("it ended before {kind}"));
        let event: Value = serde_json::from_str(&line).unwrap();
        if event["kind"] == kind {
            return event;
        }
    };
    next("link.up").await;
    leaf.done(&["disconnect", "hub"]).await;
    let down = next("link.down").await;
    assert_eq!(down["peer_id"], hub.id().await.as_str());
    assert!(down["reason"].is_string() && down["reason_code"].is_string(), "{down}");
    leaf.done(&["leave"]).await;
    let end = timeout(PATIENCE, child.wait()).await.expect("it goes on").unwrap();
    assert_eq!(end.code(), Some(0));
}

async fn reader_gone() {
    let node = Node::start("one", None).await;
    node.id().await;
    let mut command = punchdeck(node.home.path());
    command.args(["ctl", "--json", "events", "--follow", "--data-dir"]).arg(node.home.path().join("data"));
    let mut following = command.spawn().unwrap();
    let mut out = BufReader::new(following.stdout.take().unwrap()).lines();
    // All that has happened; from here on the node is quiet.
    while timeout(Duration::from_secs(2), out.next_line()).await.is_ok() {}
    drop(out);
    let ended = timeout(Duration::from_secs(1), following.wait()).await;
    assert_eq!(ended.expect("it goes on for nobody").unwrap().code(), Some(0));
}

async fn stopped() {
    let node = Node::start("one", None).await;
    let id = node.id().await;
    node.process.signal(Signal::STOP);
    let (told, code) = node.json(&["status"]).await;
    let pid = node.process.pid();
    let message = told["error"]["message"].as_str().unwrap();
    assert_eq!((code, told["error"]["code"].as_str()), (1, Some("no_answer")), "{told}");
    assert!(message.contains("takes the connection and does not answer within 5 s"), "{message}");
    let fix = format!("process {pid} is stopped; `fg` or `kill -CONT {pid}` lets it go on");
    assert!(message.ends_with(&fix), "{message}");
    node.process.signal(Signal::CONT);
    assert_eq!(node.id().await, id);
}

async fn leave() {
    let (hub, leaf) = two().await;
    let begun = Instant::now();
    assert_eq!(leaf.done(&["leave"]).await, serde_json::json!({ "schema": 1 }));
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    let (status, said) = leaf.process.ended(Duration::from_secs(2)).await;
    assert_eq!(status.code(), Some(0), "{said:#?}");
    let events = String::from_utf8(hub.ctl(&["events"]).await.stdout).unwrap();
    assert!(events.contains("peer.left"), "{events}");
    assert!(!leaf.home.path().join("data/control.sock").exists());
}

async fn seen_at_once() {
    let (_hub, leaf) = two().await;
    for _ in 0..5 {
        leaf.done(&["disconnect", "hub"]).await;
        assert_eq!(leaf.done(&["links"]).await["links"], serde_json::json!([]));
        leaf.done(&["connect", "hub"]).await;
        assert_eq!(leaf.done(&["links"]).await["links"].as_array().unwrap().len(), 1);
    }
    assert_eq!(leaf.done(&["kpi"]).await["attempts"], 6);
}

async fn killed() {
    let node = Node::start("one", None).await;
    let id = node.id().await;
    node.process.kill().await;
    assert!(node.home.path().join("data/control.sock").exists(), "SIGKILL tidies nothing up");
    let again = Node::start_in(node.home, "one", None).await;
    assert_eq!(again.id().await, id);
}

async fn socket_in_use() {
    let node = Node::start("one", None).await;
    let home = tempdir().unwrap();
    let mut command = as_node(punchdeck(home.path()), &home.path().join("data"));
    command.arg("--socket").arg(node.home.path().join("data/control.sock"));
    let why = super::binary::refused(command).await;
    assert!(why.ends_with(&format!("belongs to a running node, process {}\n", node.process.pid())), "{why}");
    node.id().await;
}

async fn restarted_under_load() {
    let mut peers = vec![TestNode::start("p0", &[]).await];
    for i in 1..6 {
        peers.push(TestNode::start(&format!("p{i}"), &[peers[0].addr()]).await);
    }
    let mut node = Node::start("one", Some(peers[0].addr())).await;
    let id = node.id().await;
    node.until(&["status"], "cache", |s| s["cache"]["known"] == 6).await;
    // What is significant is on disk within a second.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    for end in [Signal::KILL, Signal::TERM, Signal::KILL] {
        // Clients keep asking while it goes down.
        let data = node.home.path().join("data");
        let asking: Vec<_> = (0..4)
            .map(|_| {
                let (home, data) = (node.home.path().to_owned(), data.clone());
                tokio::spawn(async move {
                    for _ in 0..5 {
                        ctl(&home, &data, &["sync"]).await;
                    }
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(100)).await;
        node.process.signal(end);
        let Node { process, home, .. } = node;
        process.ended(PATIENCE).await;
        for client in asking {
            client.await.unwrap();
        }
        // Nobody is told of a bootstrap address: it is the cache that leads back.
        node = Node::start_in(home, "one", None).await;
        assert_eq!(node.id().await, id);
        assert_eq!(node.done(&["status"]).await["cache"]["known"], 6);
        node.until_links(6).await;
        tokio::time::sleep(Duration::from_millis(1_500)).await;
    }
}

async fn log_levels() {
    let node = Node::start("node", None).await;
    let now = node.done(&["log"]).await;
    assert_eq!((&now["filter"], &now["changes"]), (&"info".into(), &serde_json::json!([])));
    let changed = node.done(&["log", "punchdeck::core=debug", "punchdeck::node=off", "--for", "1h"]).await;
    let of = |n: usize| (changed["changes"][n]["target"].clone(), changed["changes"][n]["level"].clone());
    assert_eq!(of(0), ("punchdeck::core".into(), "debug".into()));
    assert_eq!(of(1), ("punchdeck::node".into(), "off".into()));
    assert!(changed["changes"][0]["left_s"].as_f64().is_some_and(|left| left > 3_500.0), "{changed}");
    assert_eq!(node.done(&["log"]).await["changes"].as_array().map(Vec::len), Some(2));
    assert_eq!(node.done(&["log", "reset"]).await["changes"], serde_json::json!([]));

    node.done(&["log", "punchdeck=trace", "--for", "1s"]).await;
    node.until(&["log"], "end of what was wanted", |log| log["changes"] == serde_json::json!([])).await;
    let (error, code) = node.json(&["log", "punchdeck=loud"]).await;
    assert_eq!((&error["error"]["code"], code), (&"usage".into(), 2));
}
