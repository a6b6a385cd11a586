//! What somebody who means no good can do to a registry, and what others notice of it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use punchdeck::core::limits;
use punchdeck::registry::{Options, Registry};
use reqwest::{Client, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::{Running, attempt, batch, client, options, peer, read, refused};

/// An address of this host that is nobody else's in a test.
fn host(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, n)
}

/// As many open files as the host allows: both ends are in this process.
fn raise_open_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

async fn connect(from: Ipv4Addr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    socket.connect(to).await
}

fn client_at(from: Ipv4Addr) -> Client {
    Client::builder().no_proxy().local_address(IpAddr::V4(from)).build().unwrap()
}

#[tokio::test]
async fn a_thousand_half_sent_heads_from_one_address_keep_nobody_out_and_are_not_waited_for() {
    raise_open_files();
    let r = Running::start(None).await;
    let mut half = Vec::new();
    for _ in 0..limits::REGISTRY_CONNECTIONS_MAX {
        let mut stream = connect(host(2), r.registry.addr()).await.unwrap();
        let _ = stream.write_all(b"GET /api/v1/kpi HTTP/1.1\r\nhost: localhost\r\nx: ").await;
        half.push(stream);
    }
    let begun = Instant::now();
    let posted = r.post(&batch(1, vec![attempt(1, Some("direct"), 10, ["none", "none"])])).await;
    assert_eq!(posted.status(), StatusCode::OK);
    assert_eq!(r.json("/api/v1/kpi").await["attempts"], 1);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let counted = r.get("/metrics").await.text().await.unwrap();
    let refused =
        |line: &&str| line.starts_with("punchdeck_registry_requests_refused_total{reason=\"connections\"}");
    assert!(counted.lines().any(|line| refused(&line)), "{counted}");
    // And they end, one byte a second or none.
    let begun = Instant::now();
    let last = half.first_mut().unwrap();
    let ended = async {
        let mut bytes = [0; 64];
        loop {
            tokio::select! {
                read = last.read(&mut bytes) => if matches!(read, Ok(0) | Err(_)) { break },
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
            let _ = last.write_all(b"y").await;
        }
    };
    let within = limits::REGISTRY_HEAD_TIMEOUT * 2;
    tokio::time::timeout(within, ended).await.expect("it is waited for");
    assert!(begun.elapsed() < within);
}

#[tokio::test]
async fn half_sent_heads_from_as_many_addresses_as_it_takes_make_way_for_who_asks() {
    raise_open_files();
    let r = Running::start(None).await;
    let mut half = Vec::new();
    let addresses = limits::REGISTRY_CONNECTIONS_MAX / limits::REGISTRY_CONNECTIONS_PER_IP;
    for n in 0..addresses {
        for _ in 0..limits::REGISTRY_CONNECTIONS_PER_IP {
            half.push(connect(host(10 + n as u8), r.registry.addr()).await.unwrap());
        }
    }
    let begun = Instant::now();
    assert_eq!(r.json("/api/v1/kpi").await["attempts"], 0);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn ten_thousand_invented_reporters_lock_nobody_out() {
    let dir = tempfile::tempdir().unwrap();
    // Once, so that there is a database; then as if they had come over the last days.
    Registry::start(options(&dir, None)).await.unwrap().stop().await;
    let db = rusqlite::Connection::open(dir.path().join("registry.db")).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    let insert = "INSERT INTO nodes (peer_id, name, version, network, first_seen, last_seen) \
                  VALUES (randomblob(32), 'x', '0', 'n', ?1, ?1)";
    db.execute_batch("BEGIN").unwrap();
    for n in 0..limits::REGISTRY_REPORTERS_MAX.cast_signed() {
        db.execute(insert, [now - 600_000 - n]).unwrap();
    }
    db.execute_batch("COMMIT").unwrap();
    drop(db);
    let registry = Registry::start(options(&dir, None)).await.unwrap();
    let r = Running { registry, client: client(), dir };
    let real = batch(1, vec![attempt(1, Some("direct"), 10, ["none", "none"])]);
    assert_eq!(r.post(&real).await.status(), StatusCode::OK, "an idle one made way");
    let nodes = r.json("/api/v1/nodes").await;
    assert_eq!(nodes["nodes"][0]["peer_id"], peer(1));

    // One address brings no more than its share of new ones, whom nobody knows ...
    let liar = client_at(host(3));
    let invent = async |n: u32| {
        let mut one = batch(0, Vec::new());
        one["reporter"]["peer_id"] = json!(format!("{n:064x}"));
        let post = liar.post(r.url("/api/v1/reports")).header("content-type", "application/json");
        post.body(one.to_string()).send().await.unwrap()
    };
    let mut taken = 0;
    let answer = loop {
        let answer = invent(taken + 1_000).await;
        if answer.status() != StatusCode::OK {
            break answer;
        }
        taken += 1;
    };
    assert!((256..270).contains(&taken), "{taken}");
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(answer.headers().contains_key("retry-after"));
    refused(&read(answer).await, "newcomers");
    // ... and goes on for those that it brought; others bring theirs.
    assert_eq!(invent(1_000).await.status(), StatusCode::OK);
    assert_eq!(r.post(&batch(2, Vec::new())).await.status(), StatusCode::OK);
    assert_eq!(r.post(&real).await.status(), StatusCode::OK, "the real one is known as before");
}

#[tokio::test]
async fn who_guesses_at_the_token_waits_and_whoever_has_it_does_not() {
    const TOKEN: &str = "0123456789abcdef";
    let r = Running::start(Some(TOKEN)).await;
    let ask = |client: &Client, path: &str, token: &str| {
        client.get(r.url(path)).header("authorization", format!("Bearer {token}")).send()
    };
    let neighbour = client_at(host(4));
    assert_eq!(ask(&neighbour, "/api/v1/kpi", TOKEN).await.unwrap().status(), StatusCode::OK);
    // A node with an old token shows it again and again; that is no guess.
    for _ in 0..20 {
        let old = ask(&neighbour, "/api/v1/kpi", "the-token-of-last-year").await.unwrap();
        assert_eq!(old.status(), StatusCode::UNAUTHORIZED);
    }
    let guesser = client_at(host(4));
    let mut waits = Vec::new();
    let mut closed = 0;
    for n in 0..80 {
        // Whatever says whether it was right is asked, and whatever is said of where it is.
        let path = ["/api/v1/kpi", "/", "/healthz"][n % 3];
        let get = guesser.get(r.url(path)).header("x-forwarded-for", format!("198.18.0.{n}"));
        let answer = get.header("authorization", format!("Bearer guess-number-{n:05}")).send().await.unwrap();
        closed += usize::from(answer.headers().get("connection").is_some_and(|v| v == "close"));
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            waits.push(answer.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap());
            refused(&read(answer).await, "guesses");
        }
    }
    assert!(waits.len() > 70, "all but a few were not even looked at: {}", waits.len());
    assert!(closed > 0, "the connection is not kept for more");
    // The right one is not looked at either where it could be a guess ...
    let fresh = client_at(host(4));
    assert_eq!(ask(&fresh, "/api/v1/kpi", TOKEN).await.unwrap().status(), StatusCode::TOO_MANY_REQUESTS);
    // ... and others are not held up.
    assert_eq!(ask(&r.client, "/api/v1/kpi", TOKEN).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_damaged_database_is_found_at_the_start_and_posts_are_answered_507() {
    use std::os::unix::fs::FileExt as _;
    let r = Running::start(None).await;
    for from in 0..4 {
        let reports = (1..=500).map(|n| attempt(from * 500 + n, Some("direct"), 10, ["none", "none"]));
        assert_eq!(r.post(&batch(1, reports.collect())).await.status(), StatusCode::OK);
    }
    r.registry.stop().await;
    let path = r.dir.path().join("registry.db");
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    let pages = file.metadata().unwrap().len() / 4096;
    for page in pages / 2..pages {
        file.write_all_at(&[0xa5; 2_000], page * 4096).unwrap();
    }
    let registry = Registry::start(options(&r.dir, None)).await.unwrap();
    let r = Running { registry, ..r };
    let answer = r.post(&batch(1, vec![attempt(9_999, None, 1, ["none", "none"])])).await;
    assert_eq!(answer.status(), StatusCode::INSUFFICIENT_STORAGE);
    let answer = read(answer).await;
    refused(&answer, "damaged");
    assert!(answer["error"]["message"].as_str().unwrap().contains("put a backup in its place"), "{answer}");
    let health = r.get("/healthz").await;
    assert_eq!(health.status(), StatusCode::SERVICE_UNAVAILABLE);
    refused(&read(health).await, "damaged");
}

#[tokio::test]
async fn a_second_registry_by_another_name_of_the_file_is_refused() {
    let r = Running::start(None).await;
    let other = r.dir.path().join("other.db");
    std::fs::hard_link(r.dir.path().join("registry.db"), &other).unwrap();
    let second = Registry::start(Options { db: other, ..options(&r.dir, None) }).await;
    let why = second.map(drop).unwrap_err().to_string();
    assert!(why.contains("2 names (hard links)"), "{why}");
    assert_eq!(r.post(&batch(1, Vec::new())).await.status(), StatusCode::OK);
}
