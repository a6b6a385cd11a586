//! The registry over HTTP: what it takes, what it refuses, what it answers; and
//! nodes that report to it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "registry/browser.rs"]
mod browser;
#[path = "registry/hostile.rs"]
mod hostile;
#[path = "registry/nodes.rs"]
mod nodes;
#[path = "registry/process.rs"]
mod process;

use std::time::{Duration, Instant};

use punchdeck::core::limits;
use punchdeck::core::token::Token;
use punchdeck::registry::{Options, RETENTION_DEFAULT, Registry, StartError};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

struct Running {
    registry: Registry,
    client: Client,
    dir: TempDir,
}

impl Running {
    async fn start(token: Option<&str>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let registry = Registry::start(options(&dir, token)).await.unwrap();
        Self { registry, client: client(), dir }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.registry.addr())
    }

    async fn get(&self, path: &str) -> Response {
        self.client.get(self.url(path)).send().await.unwrap()
    }

    async fn json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        read(response).await
    }

    async fn post(&self, batch: &Value) -> Response {
        let body = batch.to_string();
        let post = self.client.post(self.url("/api/v1/reports")).header("content-type", "application/json");
        post.body(body).send().await.unwrap()
    }
}

fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

fn options(dir: &TempDir, token: Option<&str>) -> Options {
    Options {
        listen: "127.0.0.1:0".parse().unwrap(),
        db: dir.path().join("registry.db"),
        token: token.map(|t| Token::new(t).unwrap()),
        retention: RETENTION_DEFAULT,
        proxies: Vec::new(),
    }
}

async fn read(response: Response) -> Value {
    let text = response.text().await.unwrap();
    let json: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    assert_eq!(json["schema"], 1, "{json}");
    json
}

fn peer(n: u8) -> String {
    hex::encode([n; 32])
}

fn batch(reporter: u8, reports: Vec<Value>) -> Value {
    json!({
        "schema": 1,
        "reporter": { "peer_id": peer(reporter), "name": format!("node-{reporter}"), "version": "0.1.0", "network": "test" },
        "reports": reports,
    })
}

/// An attempt over a path, or to nowhere.
fn attempt(seq: u64, path: Option<&str>, ms: u64, nats: [&str; 2]) -> Value {
    json!({
        "id": format!("{:016x}{seq:016x}", 7), "age_ms": 1000, "kind": "attempt",
        "attempt": seq, "peer": peer(200), "cause": "gossip",
        "outcome": if path.is_some() { "connected" } else { "unreachable" },
        "path": path, "elapsed_ms": ms, "own_nat": nats[0], "peer_nat": nats[1],
        "reason": if path.is_some() { Value::Null } else { "timed_out".into() },
    })
}

fn state(seq: u64, nat: &str, known: u64) -> Value {
    json!({
        "id": format!("{:016x}{seq:016x}", 7), "age_ms": 0, "kind": "node", "nat": nat, "known": known, "tried": 1,
        "links": { "direct": 1, "punched": 0, "relayed": 0 }, "propagation": { "known": 3, "expected": 4 },
    })
}

#[track_caller]
fn refused(answer: &Value, code: &str) {
    assert_eq!(answer["error"]["code"], code, "{answer}");
    assert!(answer["error"]["message"].as_str().is_some_and(|m| !m.is_empty()), "{answer}");
}

#[tokio::test]
async fn reports_are_counted_by_path_by_nat_pair_and_over_time() {
    let r = Running::start(None).await;
    let empty = r.json("/api/v1/kpi").await;
    assert_eq!(
        (&empty["attempts"], &empty["rate"], &empty["last_report_s"]),
        (&json!(0), &Value::Null, &Value::Null)
    );
    let moved = json!({
        "id": format!("{:016x}{:016x}", 7, 90), "age_ms": 10, "kind": "moved", "peer": peer(200), "attempt": 3,
        "from": "relayed", "to": "punched", "gap_ms": 4,
    });
    let failover = json!({
        "id": format!("{:016x}{:016x}", 7, 91), "age_ms": 10, "kind": "failover",
        "from": peer(1), "to": peer(2), "gap_ms": 1200, "lost": 0,
    });
    let cone = ["full-cone", "none"];
    let hard = ["symmetric", "symmetric"];
    let reports = vec![
        attempt(1, Some("direct"), 10, cone),
        attempt(2, Some("direct"), 20, cone),
        attempt(3, Some("relayed"), 1000, hard),
        attempt(4, None, 30000, hard),
        moved,
        failover,
        state(92, "full-cone", 8),
    ];
    let answer = read(r.post(&batch(1, reports)).await).await;
    assert_eq!(answer, json!({ "schema": 1, "accepted": 7, "duplicates": 0, "expired": 0 }));

    let kpi = r.json("/api/v1/kpi?window=1h").await;
    for (field, value) in [
        ("attempts", json!(4)),
        ("connected", json!(3)),
        ("rate", json!(0.75)),
        ("direct", json!(2)),
        ("punched", json!(0)),
        ("relayed", json!(1)),
        ("unreachable", json!(1)),
        ("moved", json!({ "direct": 0, "punched": 1 })),
        ("p50_ms", json!(20.0)),
        ("p95_ms", json!(1000.0)),
        ("propagation", json!({ "known": 3, "expected": 4 })),
        ("path_changes", json!(1)),
        ("failovers", json!(1)),
        ("window_s", json!(3600)),
        ("population", json!({ "nodes": 1, "nat": { "full-cone": 1 } })),
    ] {
        assert_eq!(kpi[field], value, "{field} in {kpi}");
    }
    assert!((kpi["mean_connect_ms"].as_f64().unwrap() - 1030.0 / 3.0).abs() < 1e-9);
    let criteria = kpi["criteria"].as_array().unwrap();
    assert_eq!(criteria.len(), 6);
    assert_eq!(criteria[0]["met"], false);
    assert!(criteria.iter().all(|c| c["n_too_small"] == true), "{criteria:?}");
    let series = kpi["series"].as_array().unwrap();
    assert_eq!(series.len(), 60);
    assert_eq!(series[59]["attempts"], 4, "a second ago");
    assert!(series[..59].iter().all(|p| p["attempts"] == 0 && p["mean_connect_ms"].is_null()));

    let matrix = r.json("/api/v1/matrix").await;
    assert_eq!(matrix["types"], json!(["none", "full-cone", "symmetric"]));
    let cells = matrix["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 2);
    let cell = |from: &str| cells.iter().find(|c| c["from"] == from).unwrap();
    assert_eq!((&cell("full-cone")["direct"], &cell("full-cone")["to"]), (&json!(2), &json!("none")));
    let hard = cell("symmetric");
    assert_eq!((&hard["attempts"], &hard["relayed"], &hard["moved"]), (&json!(2), &json!(1), &json!(1)));

    let nodes = r.json("/api/v1/nodes").await;
    assert_eq!(nodes["total"], 1);
    let node = &nodes["nodes"][0];
    assert_eq!(
        (&node["name"], &node["nat_type"], &node["attempts"]),
        (&json!("node-1"), &json!("full-cone"), &json!(4))
    );
    assert_eq!((&node["cache"]["known"], &node["stale"]), (&json!(8), &json!(false)));
}

#[tokio::test]
async fn a_report_that_comes_twice_counts_once() {
    let r = Running::start(None).await;
    let one = batch(1, vec![attempt(1, Some("direct"), 10, ["none", "none"])]);
    read(r.post(&one).await).await;
    let again = read(r.post(&one).await).await;
    assert_eq!((&again["accepted"], &again["duplicates"]), (&json!(0), &json!(1)));
    assert_eq!(r.json("/api/v1/kpi").await["attempts"], 1);
}

#[tokio::test]
async fn a_window_ends_now_and_a_wrong_one_is_refused() {
    let r = Running::start(None).await;
    let mut old = attempt(1, Some("direct"), 10, ["none", "none"]);
    old["age_ms"] = json!(2 * 3600 * 1000);
    read(r.post(&batch(1, vec![old])).await).await;
    assert_eq!(r.json("/api/v1/kpi").await["attempts"], 0);
    assert_eq!(r.json("/api/v1/kpi?window=24h").await["attempts"], 1);
    assert_eq!(r.json("/api/v1/matrix?window=7d").await["cells"][0]["attempts"], 1);
    for wrong in ["0s", "59s", "32d", "week", ""] {
        let answer = r.get(&format!("/api/v1/kpi?window={wrong}")).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{wrong}");
        refused(&read(answer).await, "window");
    }
    // Also where it is said twice.
    for path in ["/api/v1/kpi", "/api/v1/matrix", "/api/v1/nodes", "/api/v1/stream"] {
        let answer = r.get(&format!("{path}?window=1h&window=2h")).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{path}");
        refused(&read(answer).await, "query");
    }
}

#[tokio::test]
async fn what_is_no_batch_is_refused_with_a_reason_and_nothing_of_it_is_stored() {
    let r = Running::start(None).await;
    let good = attempt(1, Some("direct"), 10, ["none", "none"]);
    let mut later_schema = batch(1, vec![good.clone()]);
    later_schema["schema"] = json!(2);
    let mut pathless = attempt(2, Some("direct"), 10, ["none", "none"]);
    pathless["path"] = Value::Null;
    let mut abandoned = attempt(2, Some("direct"), 10, ["none", "none"]);
    abandoned["outcome"] = json!("abandoned");
    let mut long_name = batch(1, vec![good.clone()]);
    long_name["reporter"]["name"] = json!("x".repeat(65));
    for wrong in [
        json!({}),
        later_schema,
        batch(1, vec![good.clone(), pathless]),
        batch(1, vec![good.clone(), abandoned]),
        batch(1, vec![good.clone(), attempt(2, Some("teleported"), 1, ["none", "none"])]),
        batch(1, vec![good.clone(), attempt(2, Some("direct"), u64::MAX, ["none", "none"])]),
        long_name,
    ] {
        let answer = r.post(&wrong).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{wrong}");
        refused(&read(answer).await, "malformed");
    }
    let form = r.client.post(r.url("/api/v1/reports")).body(batch(1, vec![good]).to_string());
    refused(&read(form.send().await.unwrap()).await, "content_type");
    assert_eq!(r.json("/api/v1/kpi").await["attempts"], 0);
    assert_eq!(r.json("/api/v1/nodes").await["total"], 0);
}

#[tokio::test]
async fn a_body_over_256_kib_and_a_batch_over_500_are_refused() {
    let r = Running::start(None).await;
    let reports = |n: usize| (1..=n as u64).map(|s| attempt(s, None, 1, ["none", "none"])).collect();
    let answer = r.post(&batch(1, reports(limits::REGISTRY_BATCH_MAX + 1))).await;
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    refused(&read(answer).await, "too_many_reports");
    assert_eq!(r.post(&batch(1, reports(limits::REGISTRY_BATCH_MAX))).await.status(), StatusCode::OK);

    let padded = |bytes: usize| {
        let mut text = batch(2, Vec::new()).to_string();
        text.push_str(&" ".repeat(bytes - text.len()));
        r.client.post(r.url("/api/v1/reports")).header("content-type", "application/json").body(text)
    };
    assert_eq!(padded(limits::REGISTRY_BODY_MAX).send().await.unwrap().status(), StatusCode::OK);
    let answer = padded(limits::REGISTRY_BODY_MAX + 1).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    refused(&read(answer).await, "too_long");
    // Also where nobody says how long it will be.
    let chunks = (0..300).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1024]));
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(chunks));
    let post = r.client.post(r.url("/api/v1/reports")).header("content-type", "application/json");
    refused(&read(post.body(body).send().await.unwrap()).await, "too_long");
}

#[tokio::test]
async fn one_reporter_gets_sixty_posts_a_minute_and_another_its_own() {
    let r = Running::start(None).await;
    let mut taken = 0;
    let answer = loop {
        let answer = r.post(&batch(1, Vec::new())).await;
        if answer.status() != StatusCode::OK {
            break answer;
        }
        taken += 1;
    };
    assert!((60..=65).contains(&taken), "{taken}");
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(answer.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() > 0);
    refused(&read(answer).await, "rate_limited");
    assert_eq!(r.post(&batch(2, Vec::new())).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn one_address_gets_600_posts_and_120_questions_a_minute() {
    let r = Running::start(None).await;
    let begun = Instant::now();
    let mut taken = 0;
    // The content type is looked at after the limit.
    while r.client.post(r.url("/api/v1/reports")).send().await.unwrap().status()
        != StatusCode::TOO_MANY_REQUESTS
    {
        taken += 1;
    }
    let refilled = begun.elapsed().as_secs() * 10 + 10;
    assert!((600..=600 + refilled).contains(&taken), "{taken}");
    let begun = Instant::now();
    let mut taken = 0;
    while r.get("/api/v1/nodes").await.status() != StatusCode::TOO_MANY_REQUESTS {
        taken += 1;
    }
    assert!((120..=120 + begun.elapsed().as_secs() * 2 + 2).contains(&taken), "{taken}");
    // What anybody says of where he is counts for nothing.
    let other = r.client.get(r.url("/api/v1/nodes")).header("x-forwarded-for", "10.9.9.9, 198.18.0.7");
    assert_eq!(other.send().await.unwrap().status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn behind_a_proxy_that_is_named_each_address_has_its_own_limits() {
    let dir = tempfile::tempdir().unwrap();
    let proxies = vec!["127.0.0.1".parse().unwrap()];
    let registry = Registry::start(Options { proxies, ..options(&dir, None) }).await.unwrap();
    let r = Running { registry, client: client(), dir };
    let ask = |from: &str| r.client.get(r.url("/api/v1/nodes")).header("x-forwarded-for", from).send();
    while ask("198.18.0.6").await.unwrap().status() != StatusCode::TOO_MANY_REQUESTS {}
    assert_eq!(ask("198.18.0.6, 198.18.0.7").await.unwrap().status(), StatusCode::OK, "the last one is true");
    assert_eq!(ask("198.18.0.8, 198.18.0.6").await.unwrap().status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn without_the_token_nothing_is_taken_and_nothing_told() {
    let r = Running::start(Some("0123456789abcdef")).await;
    let body = batch(1, Vec::new());
    for path in ["/api/v1/kpi", "/api/v1/matrix", "/api/v1/nodes", "/api/v1/stream", "/metrics"] {
        let answer = r.get(path).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}");
        refused(&read(answer).await, "token");
        let wrong = r.client.get(r.url(path)).header("authorization", "Bearer 0123456789abcdeX");
        assert_eq!(wrong.send().await.unwrap().status(), StatusCode::UNAUTHORIZED, "{path}");
        let right = r.client.get(r.url(path)).header("authorization", "Bearer 0123456789abcdef");
        assert_eq!(right.send().await.unwrap().status(), StatusCode::OK, "{path}");
    }
    assert_eq!(r.post(&body).await.status(), StatusCode::UNAUTHORIZED);
    let right = r.client.post(r.url("/api/v1/reports")).header("content-type", "application/json");
    let right = right.header("authorization", "bearer 0123456789abcdef").body(body.to_string());
    assert_eq!(right.send().await.unwrap().status(), StatusCode::OK);
    // The page holds no figures; it asks for the token itself.
    assert_eq!(r.get("/").await.status(), StatusCode::OK);
    assert_eq!(r.get("/healthz").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn it_does_not_listen_wider_than_this_host_without_a_token() {
    let dir = tempfile::tempdir().unwrap();
    for wide in ["0.0.0.0:0", "[::]:0"] {
        let wide = Options { listen: wide.parse().unwrap(), ..options(&dir, None) };
        assert!(matches!(Registry::start(wide).await, Err(StartError::Open(_))));
    }
}

#[tokio::test]
async fn a_page_elsewhere_cannot_have_a_browser_ask_under_its_own_name() {
    let r = Running::start(None).await;
    for (host, status) in [
        ("evil.example.org", StatusCode::FORBIDDEN),
        ("127.0.0.1.example.org:9080", StatusCode::FORBIDDEN),
        ("localhost:9080", StatusCode::OK),
        ("[::1]:9080", StatusCode::OK),
    ] {
        let asked = r.client.get(r.url("/api/v1/kpi")).header("host", host).send().await.unwrap();
        assert_eq!(asked.status(), status, "{host}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_refused_in_json_and_there_is_no_way_to_ask_for_peers() {
    let r = Running::start(None).await;
    for path in
        ["/api/v1/peers", "/api/v1/discover", "/api/peers", "/peers", "/api/v1/nodes/1", "/api/v1/bootstrap"]
    {
        let answer = r.get(path).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        refused(&read(answer).await, "not_found");
    }
    let answer = r.get("/api/v1/reports").await;
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    refused(&read(answer).await, "method");
    // Whatever a reporter says of addresses is not even kept.
    let mut told = batch(1, vec![attempt(1, Some("direct"), 10, ["none", "none"])]);
    told["reporter"]["addresses"] = json!(["198.18.0.9:9000"]);
    told["reports"][0]["target"] = json!("198.18.0.9:9000");
    read(r.post(&told).await).await;
    for path in ["/api/v1/kpi", "/api/v1/matrix", "/api/v1/nodes"] {
        assert!(!r.json(path).await.to_string().contains("198.18"), "{path}");
    }
    r.registry.stop().await;
    let file = std::fs::read(r.dir.path().join("registry.db")).unwrap();
    assert!(!file.windows(8).any(|w| w == b"198.18.0"));
}

#[tokio::test]
async fn the_page_comes_with_headers_that_let_it_run_its_own_script_alone() {
    let r = Running::start(None).await;
    let page = r.get("/").await;
    let header = |name: &str| page.headers()[name].to_str().unwrap().to_owned();
    let (policy, kind) = (header("content-security-policy"), header("content-type"));
    assert_eq!(kind, "text/html; charset=utf-8");
    assert_eq!(
        (header("x-frame-options"), header("x-content-type-options")),
        ("DENY".into(), "nosniff".into())
    );
    let nonce = policy.split("script-src 'nonce-").nth(1).unwrap().split('\'').next().unwrap().to_owned();
    assert_eq!(nonce.len(), 32);
    assert!(
        !policy.contains("unsafe")
            && policy.contains("default-src 'none'")
            && policy.contains("connect-src 'self'")
    );
    let html = page.text().await.unwrap();
    assert!(html.contains(&format!("<script nonce=\"{nonce}\">")) && !html.contains("__NONCE__"));
    let elsewhere = html.replace("http://www.w3.org/2000/svg", "");
    assert!(
        !elsewhere.contains("http://") && !elsewhere.contains("https://"),
        "it asks nobody else for anything"
    );
    let again = r.get("/").await.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert_ne!(again, policy, "a nonce serves once");
}

#[tokio::test]
async fn the_stream_tells_what_the_routes_answer_as_soon_as_it_changes() {
    let r = Running::start(None).await;
    let mut stream = r.get("/api/v1/stream?window=24h").await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let mut seen = String::new();
    let mut told = false;
    let begun = Instant::now();
    while !seen.contains("\"attempts\":1,") {
        assert!(begun.elapsed() < Duration::from_secs(5), "{seen}");
        let chunk =
            tokio::time::timeout(Duration::from_secs(5), stream.chunk()).await.unwrap().unwrap().unwrap();
        seen.push_str(std::str::from_utf8(&chunk).unwrap());
        if !told && seen.contains("\"window_s\":86400") {
            told = true;
            read(r.post(&batch(1, vec![attempt(1, Some("direct"), 10, ["none", "none"])])).await).await;
        }
    }
    // Before it there is nothing but what fills a proxy's buffer.
    let (padding, events) = seen.split_once("event: overview\n").unwrap();
    assert!(padding.len() >= 2048 && padding.starts_with(':') && padding.trim_end().lines().count() == 1);
    assert!(events.starts_with("data: "), "{events}");
}

/// A proxy that hands an answer on when it has some of it, unless it is told that this
/// answer is not to be collected; it asks for nothing to be compressed.
#[tokio::test]
async fn the_stream_says_to_proxies_that_it_is_not_to_be_collected_or_changed() {
    let r = Running::start(None).await;
    let stream = r.get("/api/v1/stream").await;
    assert_eq!(stream.headers()["x-accel-buffering"], "no");
    assert_eq!(stream.headers()["cache-control"], "no-store, no-transform");
    let mut stream = stream;
    let mut seen = 0;
    // More comes at once than what buffers usually hold back before they look.
    while seen < 2048 {
        let chunk = tokio::time::timeout(Duration::from_secs(2), stream.chunk()).await;
        seen += chunk.unwrap().unwrap().unwrap().len();
    }
    assert_eq!(r.get("/api/v1/kpi").await.headers()["cache-control"], "no-store");
}

#[tokio::test]
async fn there_are_32_event_streams_and_one_that_ends_makes_room() {
    let r = Running::start(None).await;
    let mut streams = Vec::new();
    for _ in 0..limits::REGISTRY_STREAMS_MAX {
        let stream = r.get("/api/v1/stream").await;
        assert_eq!(stream.status(), StatusCode::OK);
        streams.push(stream);
    }
    let one_more = r.get("/api/v1/stream").await;
    assert_eq!(one_more.status(), StatusCode::SERVICE_UNAVAILABLE);
    refused(&read(one_more).await, "streams");
    streams.clear();
    let begun = Instant::now();
    while r.get("/api/v1/stream").await.status() != StatusCode::OK {
        assert!(begun.elapsed() < Duration::from_secs(15), "the room came back");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test]
async fn the_metrics_are_typed_and_named_by_prometheus_conventions() {
    let r = Running::start(None).await;
    let one = batch(1, vec![attempt(1, Some("punched"), 250, ["none", "none"]), state(2, "none", 3)]);
    read(r.post(&one).await).await;
    read(r.post(&one).await).await;
    r.get("/nowhere").await;
    let text = r.get("/metrics").await.text().await.unwrap();
    for line in [
        "# TYPE punchdeck_registry_reports_received_total counter",
        "punchdeck_registry_reports_received_total{kind=\"attempt\"} 2",
        "punchdeck_registry_reports_accepted_total 2",
        "punchdeck_registry_reports_duplicate_total 2",
        "punchdeck_registry_requests_refused_total{reason=\"not_found\"} 1",
        "# TYPE punchdeck_registry_batch_duration_seconds histogram",
        "punchdeck_registry_batch_duration_seconds_bucket{le=\"+Inf\"} 2",
        "punchdeck_registry_batch_duration_seconds_count 2",
        "punchdeck_fleet_attempts{outcome=\"punched\"} 1",
        "punchdeck_fleet_nodes{nat=\"none\"} 1",
        "punchdeck_fleet_connect_seconds 0.25",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
    }
    for family in text.lines().filter_map(|l| l.strip_prefix("# TYPE ")) {
        let (name, kind) = family.split_once(' ').unwrap();
        assert_eq!(kind == "counter", name.ends_with("_total"), "{family}");
        assert!(text.contains(&format!("# HELP {name} ")), "{family}");
    }
}

#[tokio::test]
async fn a_stop_ends_streams_and_loses_nothing_that_was_acknowledged() {
    let mut r = Running::start(None).await;
    let mut stream = r.get("/api/v1/stream").await;
    read(r.post(&batch(1, vec![attempt(1, Some("direct"), 10, ["none", "none"])])).await).await;
    let begun = Instant::now();
    r.registry.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    while let Ok(Some(_)) = stream.chunk().await {}
    r.registry = Registry::start(options(&r.dir, None)).await.unwrap();
    assert_eq!(r.json("/api/v1/kpi").await["attempts"], 1);
}

#[tokio::test]
async fn what_moves_a_screen_or_is_not_seen_in_a_name_is_an_escape_and_markup_stays_text() {
    let r = Running::start(None).await;
    let mut told = batch(1, Vec::new());
    told["reporter"]["name"] = json!("<b>x</b>\u{1b}[2J\u{202e}");
    read(r.post(&told).await).await;
    let escaped = r"<b>x</b>\u{1b}[2J\u{202e}";
    assert_eq!(r.json("/api/v1/nodes").await["nodes"][0]["name"], escaped);
}
