//! The NAT lab: real NATs in namespaces of our own, and nodes behind them.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use punchdeck::lab::{
    Conditions, Happening, LabError, LabOptions, NatLab, NetworkError, Topology, Unsupported, Userns,
};
use punchdeck::model::{EventKind, NatType, Reason};
use tokio::net::UdpSocket;

use super::support::{ignored, trial};

/// Set in the environment of a process that runs a lab to be killed.
pub const VICTIM: &str = "LAB_TEST_VICTIM";
const MS: Duration = Duration::from_millis(1);
/// Far longer than any way through a lab without latency.
const NEVER: Duration = Duration::from_millis(400);

pub fn trials(userns: Result<Userns, Unsupported>) -> Vec<Trial> {
    let names = [
        "the_five_nat_types_show_what_they_claim",
        "a_lab_that_is_not_what_it_claims_does_not_start",
        "a_stranger_reaches_a_full_cone_and_no_port_restricted_nat",
        "an_early_packet_does_not_take_a_mappings_port",
        "a_wire_delays_as_long_as_it_was_told",
        "an_uplink_loses_is_cut_and_heals",
        "datagrams_sent_many_at_once_pass_a_wire_one_by_one",
        "a_rate_is_what_was_asked",
        "a_nat_changes_its_type_and_everything_is_undone",
        "two_hosts_with_one_port_behind_one_nat_have_mappings_of_their_own",
        "eight_nodes_behind_all_nats_know_each_other",
        "a_node_in_a_process_is_killed_without_a_word_and_returns_as_itself",
        "a_lab_leaves_nothing_behind",
        "what_a_killed_lab_leaves_is_gone_or_swept",
    ];
    let userns = match userns {
        Ok(userns) => userns,
        Err(why) => return names.map(|name| ignored(name, &why.to_string())).into(),
    };
    let mut names = names.into_iter();
    macro_rules! lab_trials {
        ($($test:ident),+) => {
            vec![$({
                let userns = userns.clone();
                trial(names.next().unwrap(), move || async move { $test(&userns).await })
            }),+]
        };
    }
    let trials = lab_trials!(
        five_types,
        liar,
        strangers,
        early,
        delay,
        loss_and_cut,
        segments,
        rate,
        changes,
        same_port,
        eight_nodes,
        killed,
        cleanup,
        swept
    );
    assert_eq!(names.next(), None);
    trials
}

/// Whether this host can build a network at all: some can enter a namespace
/// and no more.
pub fn works(userns: Userns) -> Result<Userns, Unsupported> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    match runtime.block_on(NatLab::build(&userns, untested("default"))) {
        Err(LabError::Network(NetworkError::Unsupported(why))) => Err(why),
        Ok(_) => Ok(userns),
        Err(other) => panic!("{other}"),
    }
}

pub fn untested(name: &str) -> LabOptions {
    let topology = Topology::built_in(name).unwrap().without_latency();
    LabOptions { skip_self_test: true, seed: 1, ..LabOptions::new(topology) }
}

async fn built(userns: &Userns, name: &str) -> NatLab {
    NatLab::build(userns, untested(name)).await.unwrap()
}

async fn arrives(at: &UdpSocket, within: Duration) -> Option<SocketAddr> {
    let mut buffer = [0; 64];
    tokio::time::timeout(within, at.recv_from(&mut buffer)).await.ok()?.ok().map(|(_, from)| from)
}

/// Where `to` sees `from`.
async fn seen_by(from: &UdpSocket, to: &UdpSocket) -> SocketAddr {
    from.send_to(b"hello", to.local_addr().unwrap()).await.unwrap();
    arrives(to, NEVER).await.expect("an address of its own is reached")
}

async fn five_types(userns: &Userns) {
    let topology = Topology::built_in("default").unwrap().without_latency();
    let lab = NatLab::build(userns, LabOptions::new(topology)).await.unwrap();
    let test = lab.self_test().unwrap();
    assert!(test.passed());
    for (host, claim) in [
        ("none-1", "no translation, endpoint-independent filtering"),
        ("full-1", "endpoint-independent mapping, endpoint-independent filtering, hairpin"),
        ("addr-1", "endpoint-independent mapping, address-dependent filtering"),
        ("port-1", "endpoint-independent mapping, address-and-port-dependent filtering"),
        ("sym-1", "address-and-port-dependent mapping, address-and-port-dependent filtering"),
    ] {
        let row = test.rows.iter().find(|r| r.what.ends_with(host)).unwrap();
        assert_eq!((row.asked.as_str(), row.got.as_str()), (claim, claim), "{host}");
    }
    assert_eq!(test.rows.len(), 8, "five NATs and three wires\n{test}");
    for name in ["cgnat", "double_nat", "same_nat", "firewalled"] {
        let topology = Topology::built_in(name).unwrap().without_latency();
        NatLab::build(userns, LabOptions::new(topology)).await.unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

async fn liar(userns: &Userns) {
    let lab = built(userns, "default").await;
    assert!(lab.test_again().await.unwrap().passed());
    // What the topology says is one thing, what the router does another.
    lab.set_nat("full", NatType::PortRestricted).await.unwrap();
    let test = lab.test_again().await.unwrap();
    assert!(!test.passed());
    let row = test.rows.iter().find(|r| !r.ok).unwrap();
    assert!(row.what.contains("full-1"), "{test}");
    assert!(row.asked.contains("endpoint-independent filtering"), "{test}");
    assert!(row.got.contains("address-and-port-dependent filtering"), "{test}");
    let refusal = LabError::SelfTest(test).to_string();
    assert!(refusal.contains("BAD  nat full-cone of full-1"), "{refusal}");
}

async fn strangers(userns: &Userns) {
    let lab = built(userns, "default").await;
    let (known, stranger) = (lab.socket("pub-1").await.unwrap(), lab.socket("pub-2").await.unwrap());
    let known_other_port = lab.socket("pub-1").await.unwrap();
    for (host, from_known, from_stranger) in [
        ("none-1", true, true),
        ("full-1", true, true),
        ("addr-1", true, false),
        ("port-1", false, false),
        ("sym-1", false, false),
    ] {
        let inside = lab.socket(host).await.unwrap();
        // Another mapping of the same router that knows everybody opens nothing
        // for this one.
        let neighbour = lab.socket(host).await.unwrap();
        seen_by(&neighbour, &stranger).await;
        seen_by(&neighbour, &known_other_port).await;
        let mapped = seen_by(&inside, &known).await;
        known.send_to(b"answer", mapped).await.unwrap();
        assert!(arrives(&inside, NEVER).await.is_some(), "{host} hears whom it asked");
        known_other_port.send_to(b"other port", mapped).await.unwrap();
        assert_eq!(arrives(&inside, NEVER).await.is_some(), from_known, "{host}, other port");
        stranger.send_to(b"stranger", mapped).await.unwrap();
        assert_eq!(arrives(&inside, NEVER).await.is_some(), from_stranger, "{host}, stranger");
    }
}

async fn early(userns: &Userns) {
    let lab = built(userns, "default").await;
    let (known, stranger) = (lab.socket("pub-1").await.unwrap(), lab.socket("pub-2").await.unwrap());
    for (host, router) in [("full-1", "full"), ("addr-1", "addr"), ("port-1", "port")] {
        let inside = lab.socket(host).await.unwrap();
        let port = inside.local_addr().unwrap().port();
        // As in a punch where one side is faster.
        stranger.send_to(b"early", (lab.outside(router).await.unwrap(), port)).await.unwrap();
        tokio::time::sleep(30 * MS).await;
        assert_eq!(seen_by(&inside, &stranger).await.port(), port, "{host}");
        assert_eq!(seen_by(&inside, &known).await.port(), port, "{host}");
    }
}

/// Round trips one after another, as somebody with a stopwatch would.
async fn pings(from: &UdpSocket, to: &UdpSocket, count: usize, patience: Duration) -> Vec<Duration> {
    let addr = to.local_addr().unwrap();
    let mut trips = Vec::new();
    for n in 0..count {
        let begun = Instant::now();
        from.send_to(&n.to_be_bytes(), addr).await.unwrap();
        if let Some(back) = arrives(to, patience).await {
            to.send_to(b"echo", back).await.unwrap();
            if arrives(from, patience).await.is_some() {
                trips.push(begun.elapsed());
            }
        }
    }
    trips.sort_unstable();
    trips
}

async fn delay(userns: &Userns) {
    let lab = built(userns, "default").await;
    let (east, west) = (lab.socket("pub-1").await.unwrap(), lab.socket("pub-2").await.unwrap());
    pings(&east, &west, 3, NEVER).await;
    for trip in [20, 80] {
        let trip = trip * MS;
        let measured = lab.set_link("west", "east", Conditions::round_trip(trip)).await.unwrap();
        let close = |rtt: Duration| rtt.abs_diff(trip) <= (2 * MS).max(trip / 10);
        assert!(measured.rtt.is_some_and(close), "{measured:?}");
        // A machine that is busy elsewhere may spoil a run.
        let mut medians = Vec::new();
        for _ in 0..3 {
            medians.push(pings(&east, &west, 20, NEVER).await[10]);
            if medians.iter().any(|m| close(*m)) {
                break;
            }
        }
        assert!(medians.iter().any(|m| close(*m)), "asked {trip:?}, got {medians:?}");
    }
    // The others are next to each other as before.
    let south = lab.socket("pub-3").await.unwrap();
    assert!(pings(&east, &south, 5, NEVER).await[2] < 15 * MS);
}

async fn loss_and_cut(userns: &Userns) {
    let lab = built(userns, "default").await;
    let (inside, outside) = (lab.socket("port-1").await.unwrap(), lab.socket("pub-1").await.unwrap());
    pings(&inside, &outside, 3, NEVER).await;
    let lossy = Conditions { loss: 0.3, ..Conditions::default() };
    lab.set_uplink("port-1", lossy).await.unwrap();
    // 0.7 * 0.7 come back: 49 of 100, and four standard deviations to each side.
    let came = pings(&inside, &outside, 100, 40 * MS).await.len();
    assert!((29..=69).contains(&came), "{came} of 100");
    lab.set_uplink("port-1", Conditions::default()).await.unwrap();
    assert_eq!(pings(&inside, &outside, 20, NEVER).await.len(), 20);

    lab.cut("port-1").await.unwrap();
    assert_eq!(pings(&inside, &outside, 3, 100 * MS).await.len(), 0, "nothing passes");
    assert_eq!(lab.measure_uplink("port-1").await.unwrap().received, 0);
    let other = lab.socket("full-1").await.unwrap();
    assert_eq!(pings(&other, &outside, 3, NEVER).await.len(), 3, "nobody else is cut");
    lab.heal("port-1").await.unwrap();
    assert_eq!(pings(&inside, &outside, 3, NEVER).await.len(), 3);

    let what: Vec<Happening> = lab.history().into_iter().map(|h| h.what).collect();
    let host = "port-1".to_owned();
    assert_eq!(what[3..], [Happening::Cut { host: host.clone() }, Happening::Healed { host }]);

    lab.cut_link("south", "east", true).await.unwrap();
    assert_eq!(pings(&inside, &outside, 3, 100 * MS).await.len(), 0, "nothing passes between the regions");
    assert_eq!(pings(&other, &outside, 3, NEVER).await.len(), 3, "within one everything does");
    lab.cut_link("east", "south", false).await.unwrap();
    assert_eq!(pings(&inside, &outside, 3, NEVER).await.len(), 3);
}

async fn segments(userns: &Userns) {
    use nix::sys::socket::{setsockopt, sockopt::UdpGsoSegment};
    let lab = built(userns, "default").await;
    let (east, west) = (lab.socket("pub-1").await.unwrap(), lab.socket("pub-2").await.unwrap());
    setsockopt(&east, UdpGsoSegment, &1200).unwrap();
    // Ten datagrams, which the kernel takes apart as late as it can.
    east.send_to(&[7; 12_000], west.local_addr().unwrap()).await.unwrap();
    let mut buffer = [0; 2048];
    for n in 0..10 {
        let received = tokio::time::timeout(NEVER, west.recv_from(&mut buffer)).await;
        let (len, _) = received.unwrap_or_else(|_| panic!("{n} of 10 came")).unwrap();
        assert_eq!(buffer[..len], [7; 1200]);
    }
}

async fn rate(userns: &Userns) {
    let lab = built(userns, "default").await;
    let slow = Conditions { rate: Some(4_000_000), ..Conditions::default() };
    let measured = lab.set_uplink("pub-2", slow).await.unwrap();
    let got = measured.rate.unwrap();
    assert!((3.4e6..4.6e6).contains(&got), "{measured:?}");
}

async fn changes(userns: &Userns) {
    let lab = built(userns, "default").await;
    let (a, b) = (lab.socket("pub-1").await.unwrap(), lab.socket("pub-2").await.unwrap());
    let inside = lab.socket("port-1").await.unwrap();
    assert_eq!(seen_by(&inside, &a).await, seen_by(&inside, &b).await, "one mapping");
    lab.set_nat("port", NatType::Symmetric).await.unwrap();
    let (at_a, at_b) = (seen_by(&inside, &a).await, seen_by(&inside, &b).await);
    assert_ne!(at_a, at_b, "a mapping for each destination");
    assert_eq!(at_a.ip(), lab.outside("port").await.unwrap());
    lab.flush("port").await.unwrap();
    assert_ne!(seen_by(&inside, &a).await, at_a, "a mapping that was flushed does not return");
    let cone = lab.socket("full-1").await.unwrap();
    let before = seen_by(&cone, &a).await;
    lab.flush("full").await.unwrap();
    let after = seen_by(&cone, &b).await;
    assert_ne!(after, before, "nor one of a NAT that keeps ports");
    assert_eq!(seen_by(&cone, &a).await, after, "and the new one is one again");
    lab.cut("full-1").await.unwrap();
    lab.set_link("east", "west", Conditions::round_trip(20 * MS)).await.unwrap();
    assert!(!lab.test_again().await.unwrap().passed());
    // Nodes were never started here; everything but them goes back.
    let feeds = lab.restore().await.unwrap();
    assert_eq!(feeds.len(), 8);
    let test = lab.test_again().await.unwrap();
    assert!(test.passed(), "{test}");
    lab.stop().await;
}

async fn same_port(userns: &Userns) {
    let lab = built(userns, "same_nat").await;
    let (a, b) = (lab.socket("pub-1").await.unwrap(), lab.socket("pub-2").await.unwrap());
    let first = lab.socket("bald-1").await.unwrap();
    let port = first.local_addr().unwrap().port();
    let second = lab.socket_at("bald-2", port).await.unwrap();
    let (first_at_a, second_at_b) = (seen_by(&first, &a).await, seen_by(&second, &b).await);
    assert_eq!(first_at_a.port(), port, "the port is kept where it is free");
    assert_ne!(first_at_a, second_at_b, "and belongs to one of them");
    assert_eq!(seen_by(&first, &b).await, first_at_a);
    assert_eq!(seen_by(&second, &a).await, second_at_b);
    a.send_to(b"for the second", second_at_b).await.unwrap();
    assert!(arrives(&second, NEVER).await.is_some());
    assert!(arrives(&first, 50 * MS).await.is_none());
}

async fn eight_nodes(userns: &Userns) {
    let mut lab = NatLab::start(userns, untested("default")).await.unwrap();
    let feeds = lab.take_feeds();
    let names: Vec<&str> = feeds.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["pub-1", "pub-2", "pub-3", "none-1", "full-1", "addr-1", "port-1", "sym-1"]);
    for (name, feed) in &feeds {
        let mut snapshots = feed.snapshots.clone();
        let all = snapshots.wait_for(|s| s.peers.len() == 7);
        let seen = tokio::time::timeout(Duration::from_secs(30), all).await;
        assert!(seen.is_ok_and(|s| s.is_ok()), "{name} knows them all");
    }
    // Large packets, and several sent at once, pass the wires too.
    let passed = lab.link_state("east", "west").await.unwrap().1;
    assert!(passed.delivered > 100, "{passed:?}");
    assert_eq!((passed.refused, passed.overflowed, passed.lost, passed.cut), (0, 0, 0, 0));
    lab.stop().await;
}

async fn killed(userns: &Userns) {
    let mut options = untested("default");
    options.topology = options.topology.with_hosts(2);
    let lab = NatLab::build(userns, options).await.unwrap();
    let feed = lab.start_node("pub-1").await.unwrap();
    let id = lab.peer_id("pub-2").await.unwrap();
    let linked = async |up: bool| {
        let mut snapshots = feed.snapshots.clone();
        let wait = snapshots.wait_for(|s| s.links.iter().any(|l| l.peer_id == id) == up);
        tokio::time::timeout(Duration::from_secs(45), wait).await.is_ok_and(|s| s.is_ok())
    };
    let program = Path::new(env!("CARGO_BIN_EXE_punchdeck"));
    let pid = lab.start_process("pub-2", program).await.unwrap();
    assert!(linked(true).await, "the process has the identity that the lab gave it");
    assert!(lab.start_node("pub-2").await.unwrap_err().to_string().contains("running already"));
    lab.kill_node("pub-2").await.unwrap();
    assert!(!Path::new(&format!("/proc/{pid}")).exists(), "it is gone and reaped");
    let snapshot = feed.snapshots.borrow().clone();
    assert!(snapshot.links.iter().any(|l| l.peer_id == id), "no close frame told its peer");
    assert!(linked(false).await, "silence did");
    lab.start_node("pub-2").await.unwrap();
    assert!(linked(true).await, "the same node, in this process");
    let mut events = feed.events.resubscribe();
    lab.kill_node("pub-2").await.unwrap();
    assert!(linked(false).await, "silence again");
    let reason = loop {
        let event = events.recv().await.unwrap();
        if let EventKind::LinkDown { reason } = &event.kind {
            break reason.clone();
        }
    };
    assert!(
        matches!(reason, Reason::HeartbeatsMissed { .. }),
        "a node in this process said goodbye: {reason}"
    );
    assert!(!lab.is_cut("pub-2").await.unwrap() && !lab.is_running("pub-2").await.unwrap());
    lab.stop().await;
}

/// The network namespaces that threads of this process are in.
fn namespaces() -> BTreeSet<PathBuf> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    tasks.filter_map(|t| std::fs::read_link(t.path().join("ns/net")).ok()).collect()
}

async fn cleanup(userns: &Userns) {
    let mut options = untested("default");
    options.topology = options.topology.with_hosts(5);
    let lab = NatLab::start(userns, options).await.unwrap();
    lab.stop_node("pub-3").await.unwrap();
    let pid = lab.start_process("pub-3", Path::new(env!("CARGO_BIN_EXE_punchdeck"))).await.unwrap();
    let namespace = std::fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
    assert!(namespaces().contains(&namespace), "the child is in its host's network");
    let dir = lab.dir().to_owned();
    let note = std::fs::read_to_string(dir.join("namespaces")).unwrap();
    let files = dir.with_file_name(format!("patchbay-{note}-hosts"));
    assert!(dir.is_dir() && files.is_dir());
    // Dropped, not stopped: as after a panic.
    drop(lab);
    assert!(!dir.exists() && !files.exists());
    let gone = async {
        while namespaces().contains(&namespace) || Path::new(&format!("/proc/{pid}/exe")).exists() {
            tokio::time::sleep(20 * MS).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), gone).await.expect("threads and the child are gone");
}

/// A lab with a child, in a process of its own that says where and waits.
pub fn victim(userns: &Userns) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut options = untested("default");
        options.topology = options.topology.with_hosts(2);
        let lab = NatLab::build(userns, options).await.unwrap();
        let pid = lab.start_process("pub-1", Path::new(env!("CARGO_BIN_EXE_punchdeck"))).await.unwrap();
        let mut out = std::io::stdout();
        writeln!(out, "{pid} {}", lab.dir().display()).unwrap();
        std::future::pending::<()>().await;
    });
}

async fn swept(userns: &Userns) {
    let mut lab = tokio::process::Command::new(std::env::current_exe().unwrap())
        .env(VICTIM, "1")
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stdout = lab.stdout.take().unwrap();
    tokio::io::AsyncBufReadExt::read_line(&mut tokio::io::BufReader::new(stdout), &mut line).await.unwrap();
    let (pid, dir) = line.trim().split_once(' ').unwrap();
    let dir = Path::new(dir);
    let note = std::fs::read_to_string(dir.join("namespaces")).unwrap();
    let files = dir.with_file_name(format!("patchbay-{note}-hosts"));
    assert!(dir.is_dir() && files.is_dir() && Path::new(&format!("/proc/{pid}/exe")).exists());
    lab.kill().await.unwrap();
    let gone = async {
        while Path::new(&format!("/proc/{pid}/exe")).exists() {
            tokio::time::sleep(20 * MS).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), gone).await.expect("the node dies with its lab");
    let next = built(userns, "default").await;
    assert!(!dir.exists() && !files.exists(), "the next lab sweeps");
    drop(next);
}
