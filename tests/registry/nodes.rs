//! Nodes that report: what arrives, what waits, and what is never asked.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use punchdeck::model::{ReportingState, Snapshot};
use punchdeck::node::feed::Feed;
use punchdeck::node::lock::DataDirLock;
use punchdeck::node::options::NodeOptions;
use punchdeck::node::{Node, RegistryOptions, RegistryUrl, keys};
use punchdeck::registry::Registry;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{Running, attempt, batch, options, read};

const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Reporting {
    pub(super) node: Node,
    feed: Feed,
    options: NodeOptions,
    dir: Arc<TempDir>,
}

impl Reporting {
    pub(super) async fn start(name: &str, registry: &str, bootstrap: &[SocketAddr]) -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        let bind = (Ipv4Addr::LOCALHOST, 0).into();
        let registry = RegistryOptions { url: RegistryUrl::parse(registry).unwrap(), token: None };
        let options = NodeOptions {
            bootstrap: bootstrap.to_vec(),
            registry: Some(registry),
            ..NodeOptions::new(dir.path().to_owned(), keys::generate().unwrap(), name, "test", bind)
        };
        Self::launch(options, dir).await
    }

    async fn launch(options: NodeOptions, dir: Arc<TempDir>) -> Self {
        let lock = DataDirLock::acquire(&options.data_dir).unwrap();
        let (node, feed) = Node::start(options.clone(), lock).await.unwrap();
        Self { node, feed, options, dir }
    }

    pub(super) async fn until(&mut self, what: &str, mut is: impl FnMut(&Snapshot) -> bool) -> Arc<Snapshot> {
        let wait = self.feed.snapshots.wait_for(|snapshot| is(snapshot));
        let found = tokio::time::timeout(PATIENCE, wait).await;
        found.unwrap_or_else(|_| panic!("never: {what}")).unwrap().clone()
    }

    fn spill(&self) -> std::path::PathBuf {
        self.options.data_dir.join("reports.json")
    }
}

pub(super) async fn until_kpi(
    r: &Running,
    what: &str,
    is: impl Fn(&serde_json::Value) -> bool,
) -> serde_json::Value {
    let begun = Instant::now();
    loop {
        let kpi = r.json("/api/v1/kpi").await;
        if is(&kpi) {
            return kpi;
        }
        assert!(begun.elapsed() < PATIENCE, "never: {what} in {kpi}");
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn test_registry_receives_connection_reports() {
    let r = Running::start(None).await;
    let a = Reporting::start("a", &r.url(""), &[]).await;
    let begun = Instant::now();
    let mut b = Reporting::start("b", &r.url(""), &[a.node.local_addr()]).await;
    b.until("a link", |s| s.kpi.figures.connected > 0).await;
    let kpi = until_kpi(&r, "a connection", |k| k["connected"] == 1 && k["population"]["nodes"] == 2).await;
    // Node b's first report was its state at the start.
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    let shown = b.until("taken", |s| s.reporting.taken > 0).await;
    assert_eq!((&kpi["attempts"], &kpi["direct"]), (&json!(1), &json!(1)));
    assert_eq!(kpi["mean_connect_ms"].as_f64(), shown.kpi.figures.mean_connect_ms);
    let matrix = r.json("/api/v1/matrix").await;
    assert_eq!(matrix["cells"][0]["direct"], 1, "{matrix}");
    let nodes = r.json("/api/v1/nodes").await;
    let node = nodes["nodes"].as_array().unwrap().iter().find(|n| n["name"] == "b").unwrap().clone();
    assert_eq!(node["peer_id"], b.node.peer_id().to_string());
    assert_eq!((&node["network"], &node["attempts"]), (&json!("test"), &json!(1)));
    assert_eq!(node["nat_type"], "unknown", "on loopback there is none to measure");
    assert_eq!(shown.reporting.dropped, 0);
    b.node.stop().await;
    a.node.stop().await;
}

/// A door in front of a registry that writes down what is asked.
async fn door(to: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let (addr, asked) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
    let log = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                let mut server = TcpStream::connect(to).await.unwrap();
                let (mut from_client, mut to_client) = client.split();
                let (mut from_server, mut to_server) = server.split();
                let there = async {
                    let mut bytes = vec![0; 64 * 1024];
                    while let Ok(n @ 1..) = from_client.read(&mut bytes).await {
                        let text = String::from_utf8_lossy(&bytes[..n]);
                        let heads = text.split_inclusive('\n').filter(|l| l.contains(" HTTP/1."));
                        log.lock().unwrap().extend(heads.map(|l| l.trim_end().to_owned()));
                        to_server.write_all(&bytes[..n]).await.unwrap();
                    }
                };
                tokio::join!(there, tokio::io::copy(&mut from_server, &mut to_client)).1.ok();
            });
        }
    });
    (addr, asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn test_no_registry_peer_discovery_calls() {
    let r = Running::start(None).await;
    // A registry full of peers, two of which really run and would answer.
    let a = Reporting::start("a", &r.url(""), &[]).await;
    let b = Reporting::start("b", &r.url(""), &[a.node.local_addr()]).await;
    for n in 1..=50 {
        read(r.post(&batch(n, vec![attempt(1, Some("direct"), 5, ["none", "none"])])).await).await;
    }
    until_kpi(&r, "two nodes and fifty more", |k| k["population"]["nodes"] == 52).await;

    let (door, asked) = door(r.registry.addr()).await;
    let mut alone = Reporting::start("alone", &format!("http://{door}"), &[]).await;
    alone.until("its first report is taken", |s| s.reporting.taken > 0).await;
    // It goes on reporting, and has all the time to use what it might have heard.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let shown = alone.feed.snapshots.borrow().clone();
    assert_eq!((shown.peers.len(), shown.links.len(), shown.kpi.figures.attempts), (0, 0, 0));
    let id = alone.node.peer_id();
    alone.node.stop().await;
    let asked = asked.lock().unwrap().clone();
    assert!(!asked.is_empty() && asked.iter().all(|l| l == "POST /api/v1/reports HTTP/1.1"), "{asked:?}");
    let nodes = r.json("/api/v1/nodes").await.to_string();
    assert!(nodes.contains(&id.to_string()), "it was heard");
    b.node.stop().await;
    a.node.stop().await;
}

/// No code path exists: the crate that speaks HTTP is named in one file, and
/// that file posts.
#[test]
fn the_client_of_the_registry_can_do_nothing_but_post() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    visit(&src, &mut |path, text| {
        if text.contains("reqwest") {
            found.push((path.strip_prefix(&src).unwrap().to_owned(), text.to_owned()));
        }
    });
    let [(path, text)] = &found[..] else { panic!("{:?}", found.iter().map(|f| &f.0).collect::<Vec<_>>()) };
    assert_eq!(path, Path::new("node/reporting.rs"));
    assert_eq!(text.matches(".post(").count(), 1);
    for other in ["client.get(", "client.put(", "client.request(", "client.head(", "reqwest::get", "Method"] {
        assert!(!text.contains(other), "{other}");
    }
}

fn visit(dir: &Path, see: &mut impl FnMut(&Path, &str)) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            visit(&path, see);
        } else if path.extension().is_some_and(|e| e == "rs") {
            see(&path, &std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn test_dashboard_shows_reported_connections() {
    let r = Running::start(None).await;
    let before = r.get("/").await.text().await.unwrap();
    assert!(before.contains("nobody has reported yet"), "{before}");
    let a = Reporting::start("a", &r.url(""), &[]).await;
    let b = Reporting::start("b", &r.url(""), &[a.node.local_addr()]).await;
    let kpi = until_kpi(&r, "a connection", |k| k["connected"] == 1 && k["population"]["nodes"] == 2).await;
    let page = r.get("/").await.text().await.unwrap();
    let mean = kpi["mean_connect_ms"].as_f64().unwrap();
    for figure in [
        "<td>Connectivity</td><td>1 of 1</td><td>100.0 %</td>".to_owned(),
        "<td>Direct</td><td>1 of 1</td><td>100.0 %</td>".to_owned(),
        "<td>Relayed</td><td>0 of 1</td><td>0.0 %</td>".to_owned(),
        format!("<td>Mean time to connect</td><td>{mean} ms over 1</td><td>{mean:.0} ms</td>"),
    ] {
        assert!(page.contains(&figure), "{figure} in\n{page}");
    }
    // And what its script begins with is what the routes answer.
    let block = page.split("id=\"first\">").nth(1).unwrap().split("</script>").next().unwrap();
    let first: serde_json::Value = serde_json::from_str(block).unwrap();
    for field in ["attempts", "connected", "direct", "criteria", "mean_connect_ms", "population"] {
        assert_eq!(first["kpi"][field], kpi[field], "{field}");
    }
    b.node.stop().await;
    a.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_with_markup_in_it_stays_text_on_the_served_page() {
    let r = Running::start(None).await;
    let mut told = batch(1, Vec::new());
    told["reporter"]["name"] = json!("</script><script>x()</script><!--");
    read(r.post(&told).await).await;
    let page = r.get("/").await.text().await.unwrap();
    assert!(page.contains("\\u003c/script\\u003e\\u003cscript\\u003ex()"), "it is there");
    assert_eq!(page.matches("<script").count(), page.matches("</script>").count());
    assert!(!page.contains("<script>x()") && !page.contains("</script><script>"));
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_wait_on_disk_for_a_registry_that_is_away_and_arrive_once() {
    let r = Running::start(None).await;
    let (addr, url) = (r.registry.addr(), r.url(""));
    r.registry.stop().await;
    let a = Reporting::start("a", &url, &[]).await;
    let mut b = Reporting::start("b", &url, &[a.node.local_addr()]).await;
    let away = |s: &Snapshot| matches!(s.reporting.state, ReportingState::Away { .. });
    let shown = b.until("away", |s| s.kpi.figures.connected > 0 && away(s)).await;
    assert!(shown.reporting.queued >= 2 && shown.reporting.taken == 0, "{:?}", shown.reporting);
    assert!(shown.reporting.trouble.is_some());
    let (spill, options_of_b, dir) = (b.spill(), b.options.clone(), b.dir.clone());
    b.node.stop().await;
    a.node.stop().await;
    let file: serde_json::Value = serde_json::from_slice(&std::fs::read(&spill).unwrap()).unwrap();
    let waiting: Vec<serde_json::Value> = serde_json::from_value(file["content"].clone()).unwrap();
    assert!(waiting.iter().any(|w| w["kind"] == "attempt"), "{waiting:?}");

    let registry =
        Registry::start(punchdeck::registry::Options { listen: addr, ..options(&r.dir, None) }).await;
    let r = Running { registry: registry.unwrap(), client: super::client(), dir: r.dir };
    let mut again = Reporting::launch(NodeOptions { bootstrap: Vec::new(), ..options_of_b }, dir).await;
    again
        .until("all is taken", |s| s.reporting.taken >= waiting.len() as u64 && s.reporting.queued == 0)
        .await;
    let kpi = r.json("/api/v1/kpi").await;
    assert!(kpi["connected"].as_u64().unwrap() >= 1, "what happened before the restart: {kpi}");
    let begun = Instant::now();
    while spill.exists() {
        assert!(begun.elapsed() < PATIENCE, "the file is of no use any more");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    again.node.stop().await;
    // The same once more, as after an answer that got lost.
    let id = waiting[0]["id"].as_str().unwrap();
    let mut twice = batch(1, vec![json!({ "id": id, "age_ms": 0 })]);
    let fact = twice["reports"][0].as_object_mut().unwrap();
    for (key, value) in waiting[0].as_object().unwrap().iter().filter(|(k, _)| *k != "at") {
        fact.insert(key.clone(), value.clone());
    }
    twice["reporter"]["peer_id"] = json!(again_id(&again_peer(&r).await));
    let answer = read(r.post(&twice).await).await;
    assert_eq!((&answer["accepted"], &answer["duplicates"]), (&json!(0), &json!(1)));
}

async fn again_peer(r: &Running) -> serde_json::Value {
    let nodes = r.json("/api/v1/nodes").await;
    nodes["nodes"].as_array().unwrap().iter().find(|n| n["name"] == "b").unwrap().clone()
}

fn again_id(node: &serde_json::Value) -> String {
    node["peer_id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_never_answers_holds_up_nothing() {
    let tarpit = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", tarpit.local_addr().unwrap());
    let held = tokio::spawn(async move {
        let mut all = Vec::new();
        while let Ok((stream, _)) = tarpit.accept().await {
            all.push(stream);
        }
    });
    let a = Reporting::start("a", &url, &[]).await;
    let mut b = Reporting::start("b", &url, &[a.node.local_addr()]).await;
    let shown = b.until("a link", |s| s.kpi.figures.connected > 0).await;
    assert!(shown.kpi.figures.mean_connect_ms.unwrap() < 1_000.0, "{:?}", shown.kpi);
    b.until("a batch on its way", |s| s.reporting.state == ReportingState::Sending).await;
    let begun = Instant::now();
    b.node.stop().await;
    a.node.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(4), "each within two seconds: {:?}", begun.elapsed());
    held.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_answers_yes_to_everything_is_no_registry() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = vec![0; 64 * 1024];
            let _ = stream.read(&mut bytes).await;
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\nwelcome")
                .await;
        }
    });
    let mut a = Reporting::start("a", &url, &[]).await;
    let shown = a.until("trouble", |s| s.reporting.trouble.is_some()).await;
    assert_eq!(
        (shown.reporting.taken, shown.reporting.trouble.as_deref()),
        (0, Some("it answers as no registry does"))
    );
    a.node.stop().await;
}
