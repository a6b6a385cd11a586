//! Hosts whose own addresses change while a node runs, hosts with several, and
//! hosts that forbid sending.

use std::net::Ipv4Addr;
use std::process::Command as Program;
use std::time::Duration;

use libtest_mimic::Trial;
use punchdeck::lab::{LabOptions, NatLab, Topology, Unsupported, Userns};
use punchdeck::model::{Event, EventKind, PeerId, SendTrouble, Snapshot};
use punchdeck::node::feed::Feed;

use super::hostile::peer::Stranger;
use super::support::{PATIENCE, TestNode, ignored, trial};

pub fn trials(userns: Result<Userns, Unsupported>) -> Vec<Trial> {
    let several = trial("a_node_on_all_addresses_answers_from_the_one_that_was_asked", several);
    let names = [
        "links_that_a_host_dialled_survive_when_its_address_goes_and_another_comes",
        "peers_that_dialled_a_host_are_dialled_by_it_when_its_address_changes",
        "what_a_host_forbids_to_send_is_told_and_the_node_runs_on",
    ];
    let userns = match userns {
        Ok(userns) => userns,
        Err(why) => {
            return names.iter().map(|name| ignored(name, &why.to_string())).chain([several]).collect();
        }
    };
    let (a, b, c) = (userns.clone(), userns.clone(), userns);
    vec![
        several,
        trial(names[0], move || async move { dialled(&a).await }),
        trial(names[1], move || async move { came_in(&b).await }),
        trial(names[2], move || async move { forbidden(&c).await }),
    ]
}

async fn several() {
    let node = TestNode::with("node", &[], |o| o.bind = (Ipv4Addr::UNSPECIFIED, 0).into()).await;
    // The system itself would answer from 127.0.0.1, which was not asked.
    let asked = (Ipv4Addr::new(127, 0, 0, 77), node.addr().port()).into();
    let stranger = Stranger::start().await;
    let connection = stranger.dial_at(asked, node.id()).await;
    assert_eq!(connection.remote_address(), asked);
}

struct Scene {
    lab: NatLab,
    feeds: Vec<(String, Feed)>,
}

impl Scene {
    async fn start(userns: &Userns) -> Self {
        let topology = Topology::built_in("default").unwrap().without_latency();
        let options = LabOptions { skip_self_test: true, seed: 1, ..LabOptions::new(topology) };
        let mut lab = NatLab::start(userns, options).await.unwrap();
        let feeds = lab.take_feeds();
        Self { lab, feeds }
    }

    fn feed(&self, host: &str) -> Feed {
        self.feeds.iter().find(|(name, _)| name == host).unwrap().1.clone()
    }

    async fn id(&self, host: &str) -> PeerId {
        self.lab.peer_id(host).await.unwrap()
    }

    /// Runs programs in a host's network; each must succeed.
    async fn run(&self, host: &str, lines: &[String]) {
        let lines = lines.to_vec();
        let work = move || async move {
            for line in lines {
                let mut words = line.split(' ');
                let path = "/usr/sbin:/sbin:/usr/bin:/bin";
                let mut program = Program::new(words.next().unwrap());
                let done = program.args(words).env("PATH", path).output().unwrap();
                assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
            }
        };
        self.lab.on_host(host, work).await.unwrap();
    }

    /// Gives a host another address in its network and takes the one it had.
    async fn readdress(&self, host: &str) -> Ipv4Addr {
        let shown = self.shown(host, "ip -4 -o addr show scope global").await;
        let words: Vec<&str> = shown.lines().next().unwrap().split_whitespace().collect();
        let (interface, old) = (words[1].to_owned(), words[3].to_owned());
        let (ip, prefix) = old.split_once('/').unwrap();
        let routes = self.shown(host, "ip -4 route show default").await;
        let gateway = routes.split_whitespace().nth(2).unwrap().to_owned();
        let octets = ip.parse::<Ipv4Addr>().unwrap().octets();
        let new = Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3] ^ 0x40);
        let lines = [
            // The first address of a network takes those after it along.
            format!("ip addr del {old} dev {interface}"),
            format!("ip addr add {new}/{prefix} dev {interface}"),
            format!("ip route replace default via {gateway} dev {interface}"),
        ];
        self.run(host, &lines).await;
        new
    }

    async fn shown(&self, host: &str, line: &str) -> String {
        let line = line.to_owned();
        let work = move || async move {
            let mut words = line.split(' ');
            let output = Program::new(words.next().unwrap()).args(words).output().unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        self.lab.on_host(host, work).await.unwrap()
    }
}

async fn until(feed: &Feed, what: &str, holds: impl Fn(&Snapshot) -> bool) {
    let mut snapshots = feed.snapshots.clone();
    let found = tokio::time::timeout(PATIENCE, snapshots.wait_for(|s| holds(s))).await;
    assert!(found.is_ok(), "no {what}: {:#?}", feed.snapshots.borrow().links);
}

async fn event(feed: &mut Feed, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
    let hear = async {
        loop {
            let event = feed.events.recv().await.unwrap();
            if wanted(&event) {
                return Event::clone(&event);
            }
        }
    };
    tokio::time::timeout(PATIENCE, hear).await.unwrap_or_else(|_| panic!("no {what}"))
}

fn linked(snapshot: &Snapshot, peers: &[PeerId]) -> bool {
    peers.iter().all(|peer| snapshot.links.iter().any(|l| l.peer_id == *peer && !l.foreign))
}

async fn dialled(userns: &Userns) {
    let scene = Scene::start(userns).await;
    let (mut feed, public) = (scene.feed("port-1"), ["pub-1", "pub-2", "pub-3"]);
    let mut peers = Vec::new();
    for host in public {
        peers.push(scene.id(host).await);
    }
    until(&feed, "links to the public nodes", |s| linked(s, &peers)).await;
    let me = scene.id("port-1").await;
    let mut far = scene.feed("pub-2");
    let new = scene.readdress("port-1").await;
    let changed =
        event(&mut feed, "news of the address", |e| e.kind.name() == "node.addresses_changed").await;
    assert_eq!(changed.kind, EventKind::AddressesChanged { addresses: vec![new.into()] });
    // Long enough for heartbeats to be missed.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(linked(&feed.snapshots.borrow(), &peers), "{:#?}", feed.snapshots.borrow().links);
    while let Ok(event) = far.events.try_recv() {
        let lost = event.peer_id == Some(me) && matches!(event.kind, EventKind::LinkDown { .. });
        assert!(!lost, "the other end lost it: {event:?}");
    }
    scene.lab.stop().await;
}

async fn came_in(userns: &Userns) {
    let scene = Scene::start(userns).await;
    let (feed, other) = (scene.feed("pub-1"), scene.feed("pub-3"));
    let (me, them) = (scene.id("pub-1").await, scene.id("pub-3").await);
    // The bootstrap was dialled by everybody.
    until(&feed, "link", |s| s.links.iter().any(|l| l.peer_id == them && !l.outbound)).await;
    let new = scene.readdress("pub-1").await;
    until(&feed, "link that we dialled", |s| s.links.iter().any(|l| l.peer_id == them && l.outbound)).await;
    until(&other, "link from the new address", |s| {
        s.links.iter().any(|l| l.peer_id == me && l.remote_addr.ip() == new)
    })
    .await;
    scene.lab.stop().await;
}

async fn forbidden(userns: &Userns) {
    let scene = Scene::start(userns).await;
    let (mut feed, peer) = (scene.feed("pub-2"), scene.id("pub-1").await);
    until(&feed, "link", |s| linked(s, &[peer])).await;
    let rules = ["add table inet stop", "add chain inet stop out { type filter hook output priority 0 ; }"];
    let mut lines: Vec<String> = rules.iter().map(|rule| format!("nft {rule}")).collect();
    lines.push("nft add rule inet stop out meta l4proto udp drop".to_owned());
    scene.run("pub-2", &lines).await;
    let told = event(&mut feed, "trouble", |e| e.kind.name() == "node.sends_refused").await;
    let EventKind::SendsRefused { why: SendTrouble::Forbidden, count } = told.kind else {
        panic!("{told:?}")
    };
    assert!(count > 0);
    scene.run("pub-2", &["nft delete table inet stop".to_owned()]).await;
    until(&feed, "link again", |s| linked(s, &[peer])).await;
    scene.lab.stop().await;
}
