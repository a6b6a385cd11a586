//! The cache on disk: GOSSIP-1.

use std::fs;
use std::time::Duration;

use libtest_mimic::Trial;
use punchdeck::model::{EventKind, SaveState};

use super::support::{TestNode, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("test_bootstrap_cache_initialization", initialization),
        trial("test_cache_persistence_on_change", persistence_on_change),
        trial("test_cache_loads_on_startup", loads_on_startup),
        trial("a_damaged_cache_file_is_set_aside_with_its_reason", damaged_file),
        trial("the_figures_go_on_after_a_restart_and_say_since_when", figures),
        trial("a_damaged_history_is_set_aside_and_counting_begins_anew", damaged_history),
        trial("losing_either_cache_file_loses_no_peer", losing_either_file),
        trial("a_save_that_fails_is_shown_and_retried", failing_save),
        trial("a_changed_byte_in_any_file_of_the_cache_is_noticed", changed_byte),
        trial("a_peer_that_was_seen_by_a_clock_that_was_ahead_is_not_seen_just_now", clock_that_was_ahead),
        trial(
            "a_cache_of_a_version_without_checksums_is_read_and_bears_one_after_the_next_save",
            without_checksum,
        ),
    ]
}

const LIBRARY: &str = "cache/bootstrap_cache.json";
const HISTORY: &str = "cache/attempts.json";
const OWN: &str = "cache/peers.json";

async fn initialization() {
    let node = TestNode::start("node", &[]).await;
    let snapshot = node.until("start", |s| s.seq > 1).await;
    assert_eq!((snapshot.node.cache.known, snapshot.node.cache.tried), (0, 0));
    assert_eq!(snapshot.node.cache.set_aside, None);
    assert!(node.dir().join("cache").is_dir());
}

async fn persistence_on_change() {
    let a = TestNode::start("a", &[]).await;
    let b = TestNode::start("b", &[a.addr()]).await;
    let at = tokio::time::Instant::now();
    b.until_linked(a.id()).await;
    b.until("save", |s| matches!(s.node.cache.save, SaveState::Saved { .. })).await;
    assert!(at.elapsed() < Duration::from_secs(5));
    // On disk now, while the node runs: both files name the peer.
    let id = a.id().to_string();
    for file in [LIBRARY, OWN] {
        let text = fs::read_to_string(b.dir().join(file)).unwrap();
        assert!(text.contains(&id), "{file}");
    }
}

async fn loads_on_startup() {
    let a = TestNode::start("a", &[]).await;
    let b = TestNode::start("b", &[a.addr()]).await;
    b.until_linked(a.id()).await;
    b.until("save", |s| matches!(s.node.cache.save, SaveState::Saved { .. })).await;
    let mut b = b.restart(|o| o.bootstrap.clear()).await;
    let cached = b
        .event("node.started", |e| match e.kind {
            EventKind::NodeStarted { cached, .. } => Some(cached),
            _ => None,
        })
        .await;
    assert_eq!(cached, 1);
    let row = b.peer(a.id()).unwrap();
    assert_eq!(row.name.as_deref(), Some("a"));
    assert!(row.tried && row.attempts >= 1);
    b.until_linked(a.id()).await;
}

async fn damaged_file() {
    let a = TestNode::start("a", &[]).await;
    let mut b = TestNode::start("b", &[a.addr()]).await;
    b.until_linked(a.id()).await;
    b.until("save", |s| matches!(s.node.cache.save, SaveState::Saved { .. })).await;
    b.stop().await;
    let library = b.dir().join(LIBRARY);
    let whole = fs::read(&library).unwrap();
    fs::write(&library, &whole[..whole.len() / 2]).unwrap();
    let mut b = b.restart(|o| o.bootstrap.clear()).await;
    let file = b
        .event("cache.set_aside", |e| match &e.kind {
            EventKind::CacheSetAside { file, .. } => Some(file.clone()),
            _ => None,
        })
        .await;
    assert_eq!(file, "bootstrap_cache.json.damaged-1");
    assert_eq!(
        fs::read(b.dir().join("cache").join(file)).unwrap(),
        &whole[..whole.len() / 2],
        "nothing is lost"
    );
    let shown = b.until("reason on screen", |s| s.node.cache.set_aside.is_some()).await;
    assert!(shown.node.cache.set_aside.as_ref().unwrap().contains("damaged-1"));
    b.until_linked(a.id()).await;
}

async fn figures() {
    let a = TestNode::start("a", &[]).await;
    let b = TestNode::start("b", &[a.addr()]).await;
    b.until_linked(a.id()).await;
    let first = b.until("attempt", |s| s.kpi.figures.attempts > 0).await;
    assert_eq!(first.kpi.since, Some(first.node.started));
    let b = b.restart(|_| {}).await;
    let again = b.until("attempt", |s| s.kpi.figures.attempts > first.kpi.figures.attempts).await;
    assert_eq!(again.kpi.since, first.kpi.since);
    assert!(again.node.started > first.node.started);
    assert_eq!(
        again.kpi.figures.attempts, again.kpi.figures.direct,
        "those before are among them: {:?}",
        again.kpi
    );
}

async fn damaged_history() {
    let a = TestNode::start("a", &[]).await;
    let mut b = TestNode::start("b", &[a.addr()]).await;
    b.until("attempt", |s| s.kpi.figures.attempts > 0).await;
    b.stop().await;
    let history = b.dir().join(HISTORY);
    fs::write(&history, &fs::read(&history).unwrap()[..40]).unwrap();
    let mut b = b.restart(|_| {}).await;
    let file = b
        .event("cache.set_aside", |e| match &e.kind {
            EventKind::CacheSetAside { file, .. } => Some(file.clone()),
            _ => None,
        })
        .await;
    assert_eq!(file, "attempts.json.damaged-1");
    let shown = b.until("attempt", |s| s.kpi.figures.attempts > 0).await;
    assert_eq!(shown.kpi.since, Some(shown.node.started));
    b.until_linked(a.id()).await;
}

async fn losing_either_file() {
    let a = TestNode::start("a", &[]).await;
    let mut b = TestNode::start("b", &[a.addr()]).await;
    b.until_linked(a.id()).await;
    for lost in [LIBRARY, OWN] {
        b.until("save", |s| matches!(s.node.cache.save, SaveState::Saved { .. })).await;
        b.stop().await;
        fs::remove_file(b.dir().join(lost)).unwrap();
        b = b.restart(|o| o.bootstrap.clear()).await;
        b.until_linked(a.id()).await;
    }
}

async fn failing_save() {
    let a = TestNode::start("a", &[]).await;
    let mut b = TestNode::start("b", &[]).await;
    // A directory where the file should go: no rename onto it succeeds.
    let own = b.dir().join(OWN);
    fs::create_dir_all(own.join("in the way")).unwrap();
    let a_addr = a.addr();
    let mut c = TestNode::start("c", &[b.addr(), a_addr]).await;
    b.until_linked(c.id()).await;
    b.event("cache.save_failed", |e| matches!(e.kind, EventKind::CacheSaveFailed { .. }).then_some(())).await;
    b.until("state", |s| matches!(s.node.cache.save, SaveState::Failed { .. })).await;
    fs::remove_dir_all(&own).unwrap();
    b.event("cache.saved_again", |e| matches!(e.kind, EventKind::CacheSavedAgain).then_some(())).await;
    assert!(fs::read_to_string(&own).unwrap().contains(&c.id().to_string()));
    c.stop().await;
}

/// A node's data directory after it met one peer and stopped.
async fn met_one() -> (TestNode, TestNode) {
    let a = TestNode::start("a", &[]).await;
    let mut b = TestNode::start("b", &[a.addr()]).await;
    b.until_linked(a.id()).await;
    b.until("attempt", |s| s.kpi.figures.attempts > 0).await;
    b.until("save", |s| matches!(s.node.cache.save, SaveState::Saved { .. })).await;
    b.stop().await;
    (a, b)
}

async fn changed_byte() {
    let (_a, mut b) = met_one().await;
    for file in [LIBRARY, OWN, HISTORY] {
        let path = b.dir().join(file);
        let mut bytes = fs::read(&path).unwrap();
        // In a number or a name, where it is JSON as before.
        let digit = bytes.iter().rposition(u8::is_ascii_digit).unwrap();
        bytes[digit] ^= 1;
        fs::write(&path, bytes).unwrap();
        b = b.restart(|_| {}).await;
        let name = b
            .event("cache.set_aside", |e| match &e.kind {
                EventKind::CacheSetAside { file, .. } => Some(file.clone()),
                _ => None,
            })
            .await;
        assert_eq!(format!("cache/{name}"), format!("{file}.damaged-1"));
        b.until("attempt", |s| s.kpi.figures.attempts > 0).await;
        b.until("save", |s| matches!(s.node.cache.save, SaveState::Saved { .. })).await;
        b.stop().await;
    }
}

/// The content of a file, without its checksum.
fn bare(path: &std::path::Path) -> serde_json::Value {
    let mut file: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    file["content"].take()
}

async fn clock_that_was_ahead() {
    let (a, b) = met_one().await;
    let path = b.dir().join(OWN);
    let mut own = bare(&path);
    let ahead = 10 * 365 * 86_400_000_i64;
    let peer = &mut own["peers"][0];
    for name in ["seen", "first_seen"] {
        let time = &mut peer[name];
        *time = serde_json::json!(time.as_i64().unwrap() + ahead);
    }
    let contact = &mut peer["measured"]["last_contact"];
    *contact = serde_json::json!(contact.as_i64().unwrap() + ahead);
    own["own_version"] = serde_json::json!(u64::MAX);
    fs::write(&path, own.to_string()).unwrap();
    drop(a);
    let mut b = b.restart(|o| o.bootstrap.clear()).await;
    b.event("node.started", |e| matches!(e.kind, EventKind::NodeStarted { cached: 1, .. }).then_some(()))
        .await;
    let shown = b.until("start", |s| s.peers.len() == 1).await;
    assert_eq!(shown.peers[0].last_seen, None, "nobody knows when that was");
}

async fn without_checksum() {
    let (a, b) = met_one().await;
    for file in [OWN, HISTORY] {
        let path = b.dir().join(file);
        fs::write(&path, bare(&path).to_string()).unwrap();
    }
    let b = b.restart(|o| o.bootstrap.clear()).await;
    b.until_linked(a.id()).await;
    let shown = b.until("save", |s| matches!(s.node.cache.save, SaveState::Saved { .. })).await;
    assert_eq!(shown.node.cache.set_aside, None);
    assert!(bare(&b.dir().join(OWN))["peers"].is_array());
}
