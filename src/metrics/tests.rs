use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::*;
use crate::core::limits::METRICS_AT_ONCE;
use crate::core::token::Token;
use crate::model::{AttemptId, AttemptOutcome, EventKind, Totals};
use crate::tui::demo;

fn snapshot() -> Snapshot {
    let mut totals = Totals::default();
    for (path, elapsed_ms) in [(Path::Direct, 4), (Path::Punched, 40), (Path::Punched, 60_000)] {
        let (attempt, outcome, path) = (AttemptId(1), AttemptOutcome::Connected, Some(path));
        totals.take(&EventKind::AttemptEnded { attempt, outcome, path, elapsed_ms });
    }
    Snapshot { totals: Arc::new(totals), ..(*demo::busy()).clone() }
}

#[test]
fn a_page_has_each_family_once_with_its_type_and_ends() {
    let page = of(&snapshot(), true, Format::OpenMetrics);
    let families: Vec<&str> = page.lines().filter_map(|l| l.strip_prefix("# TYPE ")).collect();
    let mut names: Vec<&str> = families.iter().filter_map(|f| f.split(' ').next()).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert!(all > 15 && names.len() == all, "{families:#?}");
    assert!(names.iter().all(|name| name.starts_with("punchdeck_")), "{names:?}");
    assert!(page.ends_with("# EOF\n"));
}

#[test]
fn attempts_are_told_by_outcome_and_how_long_they_took_adds_up() {
    let page = of(&snapshot(), false, Format::OpenMetrics);
    for line in [
        "punchdeck_attempts_total{outcome=\"direct\"} 1",
        "punchdeck_attempts_total{outcome=\"punched\"} 2",
        "punchdeck_attempt_connect_duration_seconds_count 3",
        "punchdeck_attempt_connect_duration_seconds_sum 60.044",
        "punchdeck_attempt_connect_duration_seconds_bucket{le=\"0.05\"} 2",
        "punchdeck_attempt_connect_duration_seconds_bucket{le=\"+Inf\"} 3",
    ] {
        assert!(page.lines().any(|l| l == line), "{line} is not in\n{page}");
    }
}

#[test]
fn peers_are_a_label_where_that_is_asked_for_and_nowhere_else() {
    let shown = snapshot();
    let peer = shown.links[0].peer_id.to_string();
    assert!(of(&shown, true, Format::Text).contains(&peer));
    assert!(!of(&shown, false, Format::Text).contains(&peer));
}

/// A listener, and what keeps its snapshots.
async fn listener(token: Option<&str>) -> (Metrics, watch::Sender<Arc<Snapshot>>) {
    let (keep, snapshots) = watch::channel(Arc::new(snapshot()));
    let listen = (Ipv4Addr::LOCALHOST, 0).into();
    let options = Options { listen, token: token.map(|t| Token::new(t).unwrap()), peers: false };
    (Metrics::start(options, snapshots).await.unwrap(), keep)
}

async fn asked(metrics: &Metrics, head: &str) -> String {
    let mut stream = TcpStream::connect(metrics.addr()).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(Duration::from_secs(5), stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

#[tokio::test]
async fn who_scrapes_gets_the_page_as_what_it_is() {
    let (metrics, _keep) = listener(None).await;
    let wanted =
        "GET /metrics HTTP/1.1\r\nhost: x\r\naccept: application/openmetrics-text;version=1.0.0\r\n\r\n";
    let answer = asked(&metrics, wanted).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("# EOF\n"), "{answer}");
    assert!(answer.contains("application/openmetrics-text; version=1.0.0"));
    let plain = asked(&metrics, "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(plain.contains("text/plain; version=0.0.4") && !plain.contains("# EOF"), "{plain}");
    assert!(asked(&metrics, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.starts_with("HTTP/1.1 404 "));
    assert!(asked(&metrics, "POST /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await.starts_with("HTTP/1.1 405 "));
}

#[tokio::test]
async fn without_the_token_there_is_nothing_where_one_is_set() {
    let (metrics, _keep) = listener(Some("0123456789abcdef")).await;
    let with = |line: &str| format!("GET /metrics HTTP/1.1\r\nhost: x\r\n{line}\r\n");
    for wrong in
        ["", "authorization: Bearer fedcba9876543210\r\n", "authorization: Basic 0123456789abcdef\r\n"]
    {
        assert!(asked(&metrics, &with(wrong)).await.starts_with("HTTP/1.1 401 "), "{wrong}");
    }
    let right = asked(&metrics, &with("authorization: Bearer 0123456789abcdef\r\n")).await;
    assert!(right.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn without_a_token_only_this_host_is_listened_to() {
    let (_keep, snapshots) = watch::channel(Arc::new(snapshot()));
    let options = Options { listen: (Ipv4Addr::UNSPECIFIED, 0).into(), token: None, peers: false };
    let refused = Metrics::start(options, snapshots).await.map(|_| ());
    assert!(matches!(refused, Err(MetricsError::Open(_))), "{refused:?}");
}

#[tokio::test]
async fn who_connects_and_says_nothing_keeps_nobody_out() {
    let (metrics, _keep) = listener(None).await;
    let mut mute = Vec::new();
    for _ in 0..METRICS_AT_ONCE * 2 {
        mute.push(TcpStream::connect(metrics.addr()).await.unwrap());
    }
    let answer = asked(&metrics, "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 "));
}
