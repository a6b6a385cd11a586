//! The registry under load: 200 reporters that together report 1 000 times a
//! second, for a minute (or as many seconds as `REGISTRY_BENCH_SECS` says), each
//! from an address of its own on loopback. Prints how long a POST took, and
//! whether everything that was acknowledged is there. Targets: nothing is lost,
//! p99 under 100 ms, on two cores that the reporters share.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use punchdeck::registry::{Options, RETENTION_DEFAULT, Registry};
use serde_json::{Value, json};

const REPORTERS: u64 = 200;
const PER_SECOND: u64 = 1_000;
/// A node sends what it has every four seconds.
const BATCH_EVERY: Duration = Duration::from_secs(4);
const PER_BATCH: u64 = PER_SECOND * BATCH_EVERY.as_secs() / REPORTERS;

fn main() {
    let secs = std::env::var("REGISTRY_BENCH_SECS").ok().and_then(|s| s.parse().ok()).unwrap_or(60);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(run(Duration::from_secs(secs)));
}

async fn run(span: Duration) {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        listen: "127.0.0.1:0".parse().unwrap(),
        db: dir.path().join("registry.db"),
        token: None,
        retention: RETENTION_DEFAULT,
        proxies: Vec::new(),
    };
    let registry = Registry::start(options).await.unwrap();
    let url = format!("http://{}/api/v1/reports", registry.addr());
    let begun = Instant::now();
    let reporters = (0..REPORTERS).map(|n| tokio::spawn(report(n, url.clone(), begun, span)));
    let mut times = Vec::new();
    let (mut acknowledged, mut failed) = (0, 0);
    for reporter in futures_util::future::join_all(reporters).await {
        let (took, reports, errors) = reporter.unwrap();
        times.extend(took);
        acknowledged += reports;
        failed += errors;
    }
    let elapsed = begun.elapsed();
    times.sort_unstable();
    let at = |p: f64| times[((p * times.len() as f64).ceil() as usize).clamp(1, times.len()) - 1];
    let stored = registry.overview(Duration::from_secs(3600)).await.unwrap().kpi.kpi.figures.attempts;
    let asked = Instant::now();
    registry.overview(Duration::from_secs(24 * 3600)).await.unwrap();
    println!("reporters        {REPORTERS}, a batch of {PER_BATCH} each every {BATCH_EVERY:?}");
    println!(
        "acknowledged     {acknowledged} reports in {:.1} s, {:.0} a second",
        elapsed.as_secs_f64(),
        acknowledged as f64 / span.as_secs_f64()
    );
    println!("stored           {stored}, lost {}", i128::from(acknowledged) - i128::from(stored));
    println!("refused, failed  {failed}");
    println!(
        "POST             {} in all, p50 {:.1?} p95 {:.1?} p99 {:.1?} max {:.1?}",
        times.len(),
        at(0.50),
        at(0.95),
        at(0.99),
        at(1.0)
    );
    println!("GET kpi 24h      {:.1?}", asked.elapsed());
    registry.stop().await;
    assert_eq!(stored, acknowledged, "what was acknowledged is there");
}

/// One reporter: how long its posts took, how many reports were taken, and how
/// many posts were not.
async fn report(n: u64, url: String, begun: Instant, span: Duration) -> (Vec<Duration>, u64, u64) {
    let from = Ipv4Addr::new(127, 1, (n / 250) as u8, (n % 250 + 1) as u8);
    let client =
        reqwest::Client::builder().no_proxy().local_address(std::net::IpAddr::from(from)).build().unwrap();
    let (mut times, mut taken, mut failed) = (Vec::new(), 0, 0);
    // Not all at once, as nodes do not start at once.
    let mut next = begun + BATCH_EVERY.mul_f64(n as f64 / REPORTERS as f64);
    let mut seq = 1;
    while next < begun + span {
        tokio::time::sleep_until(next.into()).await;
        next += BATCH_EVERY;
        let body = batch(n, seq).to_string();
        seq += PER_BATCH;
        let sent = Instant::now();
        let post = client.post(&url).header("content-type", "application/json").body(body);
        let answer = post.send().await.and_then(reqwest::Response::error_for_status);
        let body = match answer {
            Ok(answer) => answer.text().await.ok().and_then(|t| serde_json::from_str::<Value>(&t).ok()),
            Err(_) => None,
        };
        match body.and_then(|b| b["accepted"].as_u64()) {
            Some(count) => {
                times.push(sent.elapsed());
                taken += count;
            }
            None => failed += 1,
        }
    }
    (times, taken, failed)
}

fn batch(reporter: u64, from: u64) -> Value {
    let report = |seq: u64| {
        let path = ["direct", "direct", "punched", "relayed"][(seq % 4) as usize];
        json!({
            "id": format!("{reporter:016x}{seq:016x}"), "age_ms": seq % 4_000, "kind": "attempt", "attempt": seq,
            "peer": hex::encode([7; 32]), "cause": "gossip", "outcome": "connected", "path": path,
            "elapsed_ms": seq * 7 % 900, "own_nat": "port-restricted", "peer_nat": "full-cone", "reason": null,
        })
    };
    let mut id = [0; 32];
    id[..8].copy_from_slice(&reporter.to_be_bytes());
    json!({
        "schema": 1,
        "reporter": { "peer_id": hex::encode(id), "name": format!("node-{reporter}"), "version": "0", "network": "bench" },
        "reports": (from..from + PER_BATCH).map(report).collect::<Vec<_>>(),
    })
}
