//! What happened to people in the field: a host without a network, a host that forbids
//! sending, a machine that was copied with its key, a host with several addresses.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use punchdeck::lab::{LabOptions, NatLab, Topology, Unsupported, Userns};
use punchdeck::model::{Command, Done, EventKind, PeerId, Phase, Reason, SendTrouble, Snapshot, Why};
use punchdeck::node::feed::Feed;
use punchdeck::node::keys::{self, KeyBytes};

use super::hostile::peer::Bad;
use super::scene::{Scene, linked, until};
use super::support::{TestNode, ignored, order, trial};

/// From the moment that a way opens until all links are back.
const BACK_WITHIN: Duration = Duration::from_secs(3);
/// The same where it is a firewall, which nobody is told of.
const OPEN_WITHIN: Duration = Duration::from_secs(5);

pub fn trials(userns: Result<Userns, Unsupported>) -> Vec<Trial> {
    let copied = trial("a_copied_identity_is_named_by_all_and_costs_nobody_anything", copied);
    let names = [
        "a_host_without_a_network_attempts_nothing_and_is_linked_to_all_soon_after_it_is_back",
        "a_node_that_started_before_its_network_is_linked_soon_after_that_is_there",
        "a_firewall_that_lets_nothing_out_costs_nothing_and_is_said_so",
        "whichever_address_of_a_host_is_asked_answers",
    ];
    let userns = match userns {
        Ok(userns) => userns,
        Err(why) => {
            return names.iter().map(|name| ignored(name, &why.to_string())).chain([copied]).collect();
        }
    };
    let [a, b, c, d] = std::array::from_fn(|_| userns.clone());
    vec![
        copied,
        trial(names[0], move || async move {
            for host in ["pub-2", "port-1", "sym-1"] {
                offline(&a, host).await;
            }
        }),
        trial(names[1], move || async move { early(&b).await }),
        trial(names[2], move || async move { forbidden(&c).await }),
        trial(names[3], move || async move { asked(&d).await }),
    ]
}

/// How much a node has done that ought not to be done. A stage that goes on behind a
/// link, from before, ends when it ends.
fn done(feed: &Feed) -> u64 {
    feed.snapshots.borrow().kpi.attempts
}

fn phase(snapshot: &Snapshot) -> Option<SendTrouble> {
    match snapshot.node.phase {
        Phase::NoWay { why, .. } => Some(why),
        _ => None,
    }
}

async fn why(feed: &Feed, peer: PeerId) -> Why {
    match &order(feed, Command::Why { peer }).await.result {
        Ok(Done::Explained(why)) => Why::clone(why),
        other => panic!("{other:?}"),
    }
}

/// Waits for links to all, which have to be there in time; what stood in the way, if not.
async fn linked_to_all(feed: &Feed, all: &[PeerId], begun: Instant, within: Duration, after: &str) {
    until(feed, "links to all", |s| linked(s, all)).await;
    let took = begun.elapsed();
    println!("linked to all {took:?} after {after}");
    let snapshot = feed.snapshots.borrow().clone();
    assert!(took < within, "{took:?} after {after}: {:#?}", snapshot.attempts.recent);
}

/// The identities of all hosts but one.
async fn others(scene: &Scene, host: &str) -> Vec<PeerId> {
    let mut all = Vec::new();
    for (name, _) in scene.feeds.iter().filter(|(name, _)| name != host) {
        all.push(scene.id(name).await);
    }
    all
}

async fn offline(userns: &Userns, host: &str) {
    let scene = Scene::start(userns).await;
    let (mut feed, all) = (scene.feed(host), others(&scene, host).await);
    until(&feed, "links to all", |s| linked(s, &all)).await;
    let way = scene.way_out(host).await;
    scene.unplug(host, &way).await;
    until(&feed, "end of every link", |s| s.links.is_empty()).await;
    until(&feed, "state without a network", |s| phase(s) == Some(SendTrouble::NoRoute)).await;
    // What began before anybody could know is called off and counts for nothing.
    let before = done(&feed);
    while feed.events.try_recv().is_ok() {}
    let used = scene.cpu(host).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    let used = scene.cpu(host).await.saturating_sub(used);
    let attempts = feed.snapshots.borrow().attempts.recent.clone();
    assert_eq!(done(&feed), before, "{host}: attempts without a network: {attempts:#?}");
    let told: Vec<String> =
        std::iter::from_fn(|| feed.events.try_recv().ok()).map(|e| e.kind.to_string()).collect();
    assert!(told.len() <= 4, "{host}: {told:#?}");
    assert!(used < Duration::from_millis(600), "{host}: {used:?} of 30 s");
    let verdict = why(&feed, all[0]).await.verdict_words();
    assert!(verdict.contains("this host has no route there"), "{verdict}");
    let asked = order(&feed, Command::Connect { peer: all[0] }).await;
    let failed = asked.result.as_ref().unwrap_err();
    assert_eq!(failed.reason, Reason::NoWay { why: SendTrouble::NoRoute });
    let begun = Instant::now();
    scene.plug_in(host, &way).await;
    linked_to_all(&feed, &all, begun, BACK_WITHIN, &format!("the network of {host} came back")).await;
    scene.lab.stop().await;
}

async fn early(userns: &Userns) {
    let scene = Scene::start(userns).await;
    let (host, all) = ("pub-2", others(&scene, "pub-2").await);
    until(&scene.feed(host), "links to all", |s| linked(s, &all)).await;
    let way = scene.way_out(host).await;
    scene.lab.stop_node(host).await.unwrap();
    scene.unplug(host, &way).await;
    let feed = scene.lab.start_node(host).await.unwrap();
    until(&feed, "state without a network", |s| phase(s) == Some(SendTrouble::NoRoute)).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(feed.snapshots.borrow().attempts.ended, 0);
    let begun = Instant::now();
    scene.plug_in(host, &way).await;
    linked_to_all(&feed, &all, begun, BACK_WITHIN, "the network came").await;
    scene.lab.stop().await;
}

async fn forbidden(userns: &Userns) {
    let host = "pub-2";
    let scene = Scene::start(userns).await;
    let (mut feed, all) = (scene.feed(host), others(&scene, host).await);
    until(&feed, "links to all", |s| linked(s, &all)).await;
    scene.shut(host).await;
    until(&feed, "end of every link", |s| s.links.is_empty()).await;
    until(&feed, "state of a host that forbids", |s| phase(s) == Some(SendTrouble::Forbidden)).await;
    let before = done(&feed);
    while feed.events.try_recv().is_ok() {}
    let used = scene.cpu(host).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let used = scene.cpu(host).await.saturating_sub(used);
    assert_eq!(done(&feed), before, "attempts that cannot leave the host");
    let told: Vec<String> =
        std::iter::from_fn(|| feed.events.try_recv().ok()).map(|e| e.kind.to_string()).collect();
    assert!(told.len() <= 3, "{told:#?}");
    assert!(used < Duration::from_millis(600), "{used:?} of 20 s");
    let verdict = why(&feed, all[0]).await.verdict_words();
    assert!(verdict.contains("this host forbids sending there"), "{verdict}");
    let begun = Instant::now();
    scene.open(host).await;
    linked_to_all(&feed, &all, begun, OPEN_WITHIN, "the firewall was opened").await;
    // Routes that say no, in the three ways that there are.
    let way = scene.way_out(host).await;
    for kind in ["blackhole", "prohibit", "unreachable"] {
        // Also what is on the wire itself has a route.
        let lines = ["ip route flush table main".to_owned(), format!("ip route add {kind} default")];
        scene.run(host, &lines).await;
        until(&feed, "end of every link", |s| s.links.is_empty()).await;
        until(&feed, "state of no way", |s| phase(s).is_some()).await;
        let before = done(&feed);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(done(&feed), before, "{kind}: attempts that cannot leave the host");
        let begun = Instant::now();
        scene.run(host, &[format!("ip route del {kind} default")]).await;
        // The interface brings its own route along.
        scene.unplug(host, &way).await;
        scene.plug_in(host, &way).await;
        linked_to_all(&feed, &all, begun, OPEN_WITHIN, &format!("the route came back ({kind})")).await;
    }
    scene.lab.stop().await;
}

/// Dials an address of a node from another host; whence it is answered.
async fn dial_from(lab: &NatLab, from: &str, to: SocketAddr, id: PeerId) -> SocketAddr {
    let any: SocketAddr = if to.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" }.parse().unwrap();
    let dial = move || async move { Bad::peer().on(any).stranger().dial_at(to, id).await.remote_address() };
    lab.on_host(from, dial).await.unwrap()
}

async fn asked(userns: &Userns) {
    let topology = Topology::built_in("dual_stack").unwrap().without_latency();
    let options = LabOptions { skip_self_test: true, seed: 1, ..LabOptions::new(topology) };
    let mut lab = NatLab::build(userns, options).await.unwrap();
    let feed = lab.start_node("six-1").await.unwrap();
    let id = feed.snapshots.borrow().node.peer_id;
    let port = lab.addr("six-1").await.unwrap().port();
    let sixth = lab.ip6("six-1").await.unwrap();
    let feeds = lab.take_feeds();
    let scene = Scene { lab, feeds };
    let (interface, _) = scene.way_out("six-1").await;
    let shown = scene.shown("six-1", "ip -4 -o addr show scope global").await;
    let first: Vec<&str> = shown.lines().next().unwrap().split_whitespace().collect();
    let (first, prefix) = first[3].split_once('/').unwrap();
    let octets = first.parse::<Ipv4Addr>().unwrap().octets();
    let second = Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3] ^ 0x40);
    scene.run("six-1", &[format!("ip addr add {second}/{prefix} dev {interface}")]).await;
    let mut addrs: Vec<std::net::IpAddr> = vec![first.parse().unwrap(), second.into()];
    if let Some(sixth) = sixth {
        let mut words = sixth.segments();
        words[7] ^= 0x40;
        let other = std::net::Ipv6Addr::from(words);
        scene.run("six-1", &[format!("ip -6 addr add {other}/64 dev {interface} nodad")]).await;
        addrs.extend([std::net::IpAddr::V6(sixth), std::net::IpAddr::V6(other)]);
    }
    for ip in addrs {
        let at = SocketAddr::new(ip, port);
        assert_eq!(dial_from(&scene.lab, "six-2", at, id).await.ip().to_canonical(), ip);
    }
    scene.lab.stop().await;
}

/// Keys whose identity stands before or behind another one.
fn keys_beside(me: &KeyBytes, before: bool) -> KeyBytes {
    let id = |keys: &KeyBytes| keys::peer_id(&keys.public).unwrap();
    loop {
        let keys = keys::generate().unwrap();
        if (id(&keys) < id(me)) == before {
            return keys;
        }
    }
}

async fn copied() {
    let key = keys::generate().unwrap();
    // One peer opens the streams of its link to the copied node, of the other it opens
    // them itself.
    let (one, other) = (keys_beside(&key, true), keys_beside(&key, false));
    let mut one = TestNode::with("one", &[], |o| o.keys = one).await;
    let mut other = TestNode::with("other", &[], |o| o.keys = other).await;
    let list = [one.addr(), other.addr()];
    let mut original = TestNode::with("vm", &list, |o| o.keys = key.clone()).await;
    let me = original.id();
    for peer in [&one, &other] {
        original.until_linked(peer.id()).await;
    }
    let mut copy = TestNode::with("vm", &list, |o| o.keys = key.clone()).await;
    assert_eq!(copy.id(), me);
    let both: Vec<SocketAddr> = vec![original.addr(), copy.addr()];
    for (node, name) in
        [(&mut one, "one"), (&mut other, "other"), (&mut original, "original"), (&mut copy, "copy")]
    {
        let what = format!("word of it at {name}");
        let told = node.event(&what, |e| match &e.kind {
            EventKind::IdentityUsedTwice { addresses } if addresses.len() == 2 => {
                Some((e.peer_id, addresses.clone()))
            }
            _ => None,
        });
        let (whose, mut addresses) = told.await;
        assert_eq!(whose, Some(me), "{name}");
        addresses.sort_unstable();
        let mut wanted = both.clone();
        wanted.sort_unstable();
        assert_eq!(addresses, wanted, "{name}");
        let shown = node.snapshot().node.used_twice.iter().any(|t| t.peer_id == me);
        assert!(
            shown || {
                node.until("it in the status", |s| !s.node.used_twice.is_empty()).await;
                true
            }
        );
    }
    let ups = |node: &mut TestNode| {
        let feed = node.feed();
        (feed, node.snapshot().kpi.attempts)
    };
    let mut watched: Vec<(Feed, u64)> =
        [&mut one, &mut other, &mut original, &mut copy].into_iter().map(ups).collect();
    tokio::time::sleep(Duration::from_secs(15)).await;
    for (n, (feed, attempts)) in watched.iter_mut().enumerate() {
        let kinds: Vec<&'static str> =
            std::iter::from_fn(|| feed.events.try_recv().ok()).map(|e| e.kind.name()).collect();
        let ups = kinds.iter().filter(|kind| **kind == "link.up").count();
        assert!(ups <= 16, "{n}: {ups} links in 15 s: {kinds:?}");
        assert_eq!(feed.snapshots.borrow().kpi.attempts, *attempts, "{n}: it counts for nothing");
    }
    let about = |outcome: &Arc<punchdeck::model::Outcome>| match &outcome.result {
        Ok(Done::Explained(why)) => why.verdict_words(),
        other => panic!("{other:?}"),
    };
    let verdict = about(&one.command(Command::Why { peer: me }).await);
    assert!(verdict.contains("is used twice") && verdict.contains(&both[0].to_string()), "{verdict}");
}
