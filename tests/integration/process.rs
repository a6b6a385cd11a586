//! The real binary as a process: how it starts, what refuses it, how it ends.

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

use libtest_mimic::Trial;
use punchdeck::model::{CloseCode, EventKind, Reason};
use rustix::process::Signal;
use tempfile::tempdir;

use super::binary::{Process, as_node, punchdeck, refused};
use super::support::{PATIENCE, TestNode, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("sigterm_ends_a_headless_node_and_its_peers_see_it_leave", || leaves(Signal::TERM)),
        trial("sigint_ends_a_headless_node_and_its_peers_see_it_leave", || leaves(Signal::INT)),
        trial("sigterm_with_five_links_ends_in_two_seconds_and_every_peer_sees_it_leave", leaves_all),
        trial("a_signal_during_the_start_of_a_fleet_leaves_nothing_behind", signal_during_start),
        trial("a_second_process_on_a_data_directory_names_the_first_and_exits_2", second_process),
        trial("a_port_in_use_is_named_with_exit_2", port_in_use),
        trial("one_family_of_a_wildcard_port_in_use_is_named_with_exit_2", family_in_use),
        trial("a_mistake_in_the_settings_is_one_line_and_leaves_nothing_behind", mistake),
        trial("without_a_terminal_it_says_so_and_runs_headless", no_terminal),
        trial("a_lab_without_a_terminal_prints_when_all_know_each_other", lab_without_terminal),
        trial("other_files_in_the_data_directory_stay", other_files),
    ]
}

/// What every end of a node has to keep.
const END: Duration = Duration::from_secs(2);

async fn leaves(signal: Signal) {
    let home = tempdir().unwrap();
    let mut hub = TestNode::start("hub", &[]).await;
    let mut command = as_node(punchdeck(home.path()), &home.path().join("data"));
    command.args(["--bootstrap", &hub.addr().to_string()]);
    let mut process = Process::start(command);
    process.started().await;
    let up = |kind: &EventKind| matches!(kind, EventKind::LinkUp { .. });
    let id = hub.event("link.up", |e| up(&e.kind).then_some(e.peer_id)).await.unwrap();
    process.signal(signal);
    let (status, said) = process.ended(END).await;
    assert_eq!(status.code(), Some(0), "{said:#?}");
    let down = hub.event_named("link.down", id).await;
    let left = Reason::Closed { close: Some(CloseCode::Leave) };
    assert_eq!(down, EventKind::LinkDown { reason: left }, "{said:#?}");
}

async fn leaves_all() {
    let home = tempdir().unwrap();
    let mut hubs = Vec::new();
    for n in 0..5 {
        hubs.push(TestNode::start(&format!("hub-{n}"), &[]).await);
    }
    let mut command = as_node(punchdeck(home.path()), &home.path().join("data"));
    command.arg("--bootstrap").args(hubs.iter().map(|hub| hub.addr().to_string()));
    let mut process = Process::start(command);
    process.started().await;
    let mut id = None;
    for hub in &mut hubs {
        id = hub.event("link.up", |e| (e.kind.name() == "link.up").then_some(e.peer_id)).await;
        hub.until_linked(id.unwrap()).await;
    }
    process.signal(Signal::TERM);
    let (status, said) = process.ended(END).await;
    assert_eq!(status.code(), Some(0), "{said:#?}");
    for hub in &mut hubs {
        let left = Reason::Closed { close: Some(CloseCode::Leave) };
        assert_eq!(hub.event_named("link.down", id.unwrap()).await, EventKind::LinkDown { reason: left });
    }
}

fn lab(home: &Path, nodes: &str) -> Process {
    let mut command = punchdeck(home);
    command.args(["lab", "--loopback", "--nodes", nodes]);
    Process::start(command)
}

async fn signal_during_start() {
    let home = tempdir().unwrap();
    let mut process = lab(home.path(), "64");
    process.line("no terminal here").await;
    process.signal(Signal::TERM);
    // Many nodes and one moment: how long a single one takes is shown above.
    let (status, said) = process.ended(PATIENCE).await;
    assert_eq!(status.code(), Some(0), "{said:#?}");
    assert_eq!(names(home.path()), [""; 0]);
}

async fn second_process() {
    let home = tempdir().unwrap();
    let data = home.path().join("data");
    let mut first = Process::node(&data);
    first.started().await;
    let why = refused(as_node(punchdeck(home.path()), &data)).await;
    assert!(why.ends_with(&format!("is in use by process {}\n", first.pid())), "{why}");
    first.signal(Signal::TERM);
    assert_eq!(first.ended(END).await.0.code(), Some(0), "the first does not mind");
}

async fn port_in_use() {
    let home = tempdir().unwrap();
    let held = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = held.local_addr().unwrap().to_string();
    let why = refused(node_on(&addr, home.path())).await;
    assert!(why.contains(&format!("cannot listen on {addr}: ")), "{why}");
}

async fn family_in_use() {
    let home = tempdir().unwrap();
    let held = UdpSocket::bind("0.0.0.0:0").unwrap();
    let addr = held.local_addr().unwrap();
    let why = refused(node_on(&format!("[::]:{}", addr.port()), home.path())).await;
    assert!(why.contains(&format!("cannot listen on {addr}: ")), "{why}");
}

fn node_on(addr: &str, home: &Path) -> tokio::process::Command {
    let mut command = punchdeck(home);
    command.args(["--headless", "--bind", addr, "--data-dir"]).arg(home.join("data"));
    command
}

async fn mistake() {
    let home = tempdir().unwrap();
    let why = refused(node_on("127.0.0.1:80", home.path())).await;
    assert!(why.contains("bind = \"127.0.0.1:80\" (flag --bind): must be "), "{why}");
    assert_eq!(names(home.path()), [""; 0]);
}

async fn no_terminal() {
    let home = tempdir().unwrap();
    let mut command = punchdeck(home.path());
    command.args(["--bind", "127.0.0.1:0", "--data-dir"]).arg(home.path().join("data"));
    let mut process = Process::start(command);
    let first = process.line("").await;
    assert_eq!(first, "punchdeck: no terminal here, running headless; SIGTERM or ctrl-c stops it");
    process.started().await;
    process.signal(Signal::TERM);
    assert_eq!(process.ended(END).await.0.code(), Some(0));
}

async fn lab_without_terminal() {
    let home = tempdir().unwrap();
    let mut process = lab(home.path(), "4");
    let line = process.printed().await;
    assert!(line.starts_with("4 nodes know each other after ") && line.ends_with(" s"), "{line}");
    process.signal(Signal::TERM);
    assert_eq!(process.ended(END).await.0.code(), Some(0));
    assert_eq!(names(home.path()), [""; 0]);
}

async fn other_files() {
    let home = tempdir().unwrap();
    let data = home.path().join("data");
    fs::create_dir_all(data.join("photos")).unwrap();
    fs::write(data.join("notes.txt"), "mine").unwrap();
    let mut process = Process::node(&data);
    process.started().await;
    process.signal(Signal::TERM);
    assert_eq!(process.ended(END).await.0.code(), Some(0));
    assert_eq!(fs::read_to_string(data.join("notes.txt")).unwrap(), "mine");
    assert!(data.join("photos").is_dir() && data.join("identity.key").is_file());
}

/// What is in a directory.
fn names(dir: &Path) -> Vec<String> {
    fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
}
