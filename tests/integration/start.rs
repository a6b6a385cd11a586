//! Starting: cold, from the cache, alone; and the way from eight strangers to
//! a fleet.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use punchdeck::lab::LoopbackFleet;
use punchdeck::model::{Cause, EventKind, Phase, Source};

use super::support::{TestNode, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("eight_nodes_with_one_bootstrap_all_know_each_other", eight_nodes),
        trial("cached_peers_are_dialled_before_the_bootstrap_list", cached_first),
        trial("a_node_with_nobody_to_dial_says_so_and_accepts", nothing_to_dial),
        trial("an_isolated_node_reconnects_when_the_other_returns", isolated),
        trial("a_port_in_use_is_a_clear_error", port_in_use),
        trial("a_node_stops_within_two_seconds", stops_quickly),
    ]
}

async fn eight_nodes() {
    let fleet = LoopbackFleet::start(8).await.unwrap();
    for node in fleet.nodes() {
        let mut snapshots = node.feed().snapshots;
        let all = snapshots.wait_for(|s| s.peers.len() == 7 && s.links.len() == 7);
        let seen = tokio::time::timeout(Duration::from_secs(20), all).await;
        assert!(seen.is_ok_and(|s| s.is_ok()), "node {:?} knows them all", node.peer_id());
    }
    fleet.stop().await;
}

async fn cached_first() {
    let a = TestNode::start("a", &[]).await;
    let b = TestNode::start("b", &[a.addr()]).await;
    b.until_linked(a.id()).await;
    let decoy = TestNode::start("decoy", &[]).await;
    let decoy_addr = decoy.addr();
    let mut b = b.restart(|o| o.bootstrap = vec![decoy_addr]).await;
    let cause = b
        .event("attempt.started", |e| match e.kind {
            EventKind::AttemptStarted { cause, .. } => Some(cause),
            _ => None,
        })
        .await;
    assert_eq!(cause, Cause::Cache);
    b.until_linked(a.id()).await;
    assert!(b.peer(decoy.id()).is_none(), "the list was not needed");
    assert_eq!(b.peer(a.id()).unwrap().source, Source::Bootstrap, "how it was first learned is remembered");
}

async fn nothing_to_dial() {
    let a = TestNode::start("a", &[]).await;
    assert_eq!(a.until("phase", |s| s.node.phase != Phase::Starting).await.node.phase, Phase::NothingToDial);
    let b = TestNode::start("b", &[a.addr()]).await;
    a.until("joined", |s| s.node.phase == Phase::Joined).await;
    assert_eq!(a.peer(b.id()).unwrap().source, Source::Inbound);
}

async fn isolated() {
    let mut a = TestNode::start("a", &[]).await;
    let addr = a.addr();
    let mut b = TestNode::start("b", &[addr]).await;
    b.until_linked(a.id()).await;
    a.stop().await;
    b.event("node.isolated", |e| matches!(e.kind, EventKind::NodeIsolated { .. }).then_some(())).await;
    let phase = b.until("isolation", |s| matches!(s.node.phase, Phase::Isolated { .. })).await;
    assert!(matches!(phase.node.phase, Phase::Isolated { rounds, .. } if rounds >= 1));
    let a = a.restart(|o| o.bind = addr).await;
    b.until_linked(a.id()).await;
    b.event("node.rejoined", |e| matches!(e.kind, EventKind::NodeRejoined { .. }).then_some(())).await;
}

async fn port_in_use() {
    let a = TestNode::start("a", &[]).await;
    let dir = tempfile::tempdir().unwrap();
    let mut options = super::support::options("b", &dir, &[]);
    options.bind = a.addr();
    let lock = punchdeck::node::lock::DataDirLock::acquire(dir.path()).unwrap();
    let error = punchdeck::node::Node::start(options, lock).await.unwrap_err().to_string();
    assert!(error.contains(&a.addr().to_string()), "{error}");

    // One family of a wildcard bind is taken: the library would silently do
    // with the other.
    let held = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let port = held.local_addr().unwrap().port();
    let dir = tempfile::tempdir().unwrap();
    let mut options = super::support::options("c", &dir, &[]);
    options.bind = format!("[::]:{port}").parse().unwrap();
    let lock = punchdeck::node::lock::DataDirLock::acquire(dir.path()).unwrap();
    let error = punchdeck::node::Node::start(options, lock).await.unwrap_err().to_string();
    assert!(error.contains(&port.to_string()), "{error}");
}

async fn stops_quickly() {
    let a = TestNode::start("a", &[]).await;
    let mut b = TestNode::start("b", &[a.addr()]).await;
    b.until_linked(a.id()).await;
    let begun = Instant::now();
    b.stop().await;
    assert!(begun.elapsed() < Duration::from_millis(2_500), "{:?}", begun.elapsed());
}
