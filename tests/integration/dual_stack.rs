//! IPv6 in the lab: what its networks have, and what nodes make of it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use punchdeck::lab::{Conditions, LabOptions, NatLab, Topology, Unsupported, Userns};
use punchdeck::model::{Behaviour, Command, Done, NatType, Path, PeerId, Snapshot};
use punchdeck::node::feed::Feed;
use tokio::net::UdpSocket;

use super::support::{PATIENCE, ignored, trial};

/// Longer than a measurement that was disturbed once.
const MEASURED_WITHIN: Duration = Duration::from_secs(150);

pub fn trials(userns: Result<Userns, Unsupported>) -> Vec<Trial> {
    let names = [
        "the_self_test_finds_the_ipv6_and_the_firewalls_that_were_asked_for",
        "a_wire_in_an_uplink_delays_and_cuts_ipv6_too",
        "two_symmetric_nats_are_punched_by_ipv6_and_each_family_is_measured",
        "a_node_on_both_families_has_links_in_both_and_says_where_it_is",
    ];
    // Also a host whose namespaces have no IPv6 builds the lab, without it.
    let lacks = !std::path::Path::new("/proc/sys/net/ipv6").exists();
    let userns = match userns {
        Ok(_) if lacks => return names.map(|name| ignored(name, "no IPv6 here")).into(),
        Ok(userns) => userns,
        Err(why) => return names.map(|name| ignored(name, &why.to_string())).into(),
    };
    let (a, b, c, d) = (userns.clone(), userns.clone(), userns.clone(), userns);
    vec![
        trial(names[0], move || async move { self_test(&a).await }),
        trial(names[1], move || async move { uplink(&b).await }),
        trial(names[2], move || async move { punched(&c).await }),
        trial(names[3], move || async move { both_families(&d).await }),
    ]
}

async fn built(userns: &Userns) -> NatLab {
    let topology = Topology::built_in("dual_stack").unwrap().without_latency();
    let options = LabOptions { skip_self_test: true, seed: 1, ..LabOptions::new(topology) };
    NatLab::build(userns, options).await.unwrap()
}

async fn self_test(userns: &Userns) {
    let topology = Topology::built_in("dual_stack").unwrap();
    let lab = NatLab::build(userns, LabOptions::new(topology)).await.unwrap();
    assert!(!lab.lacks_ipv6());
    let test = lab.self_test().unwrap();
    let open = "no translation, endpoint-independent filtering";
    let shut = "no translation, address-and-port-dependent filtering";
    for (host, claim) in
        [("six-1", open), ("six-2", open), ("six-3", open), ("nas", shut), ("dev", shut), ("pad", open)]
    {
        let row = test.rows.iter().find(|r| r.what == format!("ipv6 of {host}")).unwrap();
        assert_eq!((row.asked.as_str(), row.got.as_str()), (claim, claim), "{host}");
    }
    assert_eq!(test.rows.len(), 4 + 6 + 1, "NATs, IPv6 and a wire; none for who has no IPv6\n{test}");
    lab.stop().await;
}

/// The answer time of an echo that stands on another host.
async fn ping(lab: &NatLab, from: &str, to: SocketAddr) -> Option<Duration> {
    let trip = move || async move {
        let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).await.unwrap();
        let begun = Instant::now();
        socket.send_to(b"hello", to).await.unwrap();
        let answered = tokio::time::timeout(Duration::from_millis(800), socket.recv_from(&mut [0; 64])).await;
        answered.ok().map(|_| begun.elapsed())
    };
    lab.on_host(from, trip).await.unwrap()
}

async fn uplink(userns: &Userns) {
    let lab = built(userns).await;
    let port = lab.addr("six-2").await.unwrap().port();
    let echo = lab.on_host("six-2", move || async move {
        let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port)).await.unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 64];
            while let Ok((len, from)) = socket.recv_from(&mut buffer).await {
                let _ = socket.send_to(&buffer[..len], from).await;
            }
        });
    });
    echo.await.unwrap();
    let at = lab.ip6("six-2").await.unwrap().unwrap();
    let at = SocketAddr::new(at.into(), port);
    assert!(ping(&lab, "six-1", at).await.unwrap() < Duration::from_millis(100), "no wire yet");
    lab.set_uplink("six-1", Conditions::round_trip(Duration::from_millis(200))).await.unwrap();
    // The first asks for the neighbours too.
    ping(&lab, "six-1", at).await;
    let trip = ping(&lab, "six-1", at).await.expect("neighbours are found through a wire");
    assert!(trip >= Duration::from_millis(195), "{trip:?}");
    lab.cut("six-1").await.unwrap();
    assert_eq!(ping(&lab, "six-1", at).await, None);
    lab.heal("six-1").await.unwrap();
    assert!(ping(&lab, "six-1", at).await.is_some());
    lab.stop().await;
}

async fn shown(feed: &Feed, within: Duration, holds: impl Fn(&Snapshot) -> bool) {
    let mut snapshots = feed.snapshots.clone();
    let came = tokio::time::timeout(within, snapshots.wait_for(|s| holds(s))).await.is_ok();
    let last = feed.snapshots.borrow().clone();
    assert!(came, "{:#?}\n{:#?}", last.nat, last.links);
}

/// Whether a node is said to be at that address of a host.
fn is_at(snapshot: &Snapshot, peer: &PeerId, ip: Ipv6Addr) -> bool {
    snapshot.peer(peer).is_some_and(|row| row.addresses.iter().any(|at| at.ip() == IpAddr::V6(ip)))
}

async fn punched(userns: &Userns) {
    let lab = built(userns).await;
    for host in ["pub-1", "pub-2", "pub-3", "six-1", "six-2", "six-3"] {
        lab.start_node(host).await.unwrap();
    }
    let nas = lab.start_passive("nas").await.unwrap();
    let dev = lab.start_passive("dev").await.unwrap();
    let (there, peer) = (lab.ip6("dev").await.unwrap().unwrap(), lab.peer_id("dev").await.unwrap());
    for feed in [&nas, &dev] {
        shown(feed, MEASURED_WITHIN, |s| s.nat.nat_type == NatType::Symmetric).await;
        let sixth = |s: &Snapshot| s.nat.nat6.as_ref().is_some_and(|n| n.measured.is_some());
        shown(feed, MEASURED_WITHIN, sixth).await;
        let snapshot = feed.snapshots.borrow().clone();
        let sixth = snapshot.nat.nat6.as_ref().unwrap();
        assert_eq!(sixth.summary(), "none, behind a firewall");
        assert_eq!(sixth.filtering, Some(Behaviour::AddressAndPortDependent));
    }
    shown(&nas, PATIENCE, |s| is_at(s, &peer, there)).await;
    let mut outcomes = nas.outcomes.resubscribe();
    let id = nas.commands.try_send(Command::Connect { peer }).unwrap();
    let outcome = loop {
        let outcome = outcomes.recv().await.unwrap();
        if outcome.id == id {
            break outcome;
        }
    };
    let Ok(Done::Connected(report)) = &outcome.result else { panic!("{outcome:?}") };
    assert_eq!(report.path, Some(Path::Punched), "{report:?}");
    shown(&nas, PATIENCE, |s| s.link(&peer).is_some()).await;
    let link = nas.snapshots.borrow().link(&peer).unwrap().clone();
    assert_eq!(link.remote_addr, SocketAddr::new(there.into(), lab.addr("dev").await.unwrap().port()));
    let me = lab.peer_id("nas").await.unwrap();
    shown(&dev, PATIENCE, |s| s.link(&me).is_some_and(|l| l.path == Path::Punched)).await;
    lab.stop().await;
}

async fn both_families(userns: &Userns) {
    let lab = built(userns).await;
    for host in ["pub-1", "pub-2", "pub-3"] {
        lab.start_node(host).await.unwrap();
    }
    // Whom nobody has seen by IPv6 says all the same where it is.
    let me = lab.peer_id("dev").await.unwrap();
    let at = lab.ip6("dev").await.unwrap().unwrap();
    let first = lab.feed("pub-1").await.unwrap();
    lab.start_node("dev").await.unwrap();
    shown(&first, PATIENCE, |s| is_at(s, &me, at)).await;
    for host in ["six-1", "six-2", "six-3"] {
        lab.start_node(host).await.unwrap();
    }
    // It knows one address of IPv4 and learns the rest.
    let nas = lab.start_node("nas").await.unwrap();
    let by = |s: &Snapshot, sixth: bool| s.links.iter().filter(|l| l.remote_addr.is_ipv6() == sixth).count();
    shown(&nas, PATIENCE, |s| by(s, false) >= 3 && by(s, true) >= 2).await;
    shown(&nas, MEASURED_WITHIN, |s| s.nat.nat_type == NatType::Symmetric).await;
    lab.stop().await;
}
