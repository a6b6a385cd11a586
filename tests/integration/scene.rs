//! The lab of eight hosts with a node on each, and what tests do to one of the hosts.

use std::net::Ipv4Addr;
use std::process::Command as Program;

use punchdeck::lab::{LabOptions, NatLab, Topology, Userns};
use punchdeck::model::{Event, PeerId, Snapshot};
use punchdeck::node::feed::Feed;

use super::support::PATIENCE;

pub struct Scene {
    pub lab: NatLab,
    pub feeds: Vec<(String, Feed)>,
}

impl Scene {
    pub async fn start(userns: &Userns) -> Self {
        let topology = Topology::built_in("default").unwrap().without_latency();
        let options = LabOptions { skip_self_test: true, seed: 1, ..LabOptions::new(topology) };
        let mut lab = NatLab::start(userns, options).await.unwrap();
        let feeds = lab.take_feeds();
        Self { lab, feeds }
    }

    pub fn feed(&self, host: &str) -> Feed {
        self.feeds.iter().find(|(name, _)| name == host).unwrap().1.clone()
    }

    pub async fn id(&self, host: &str) -> PeerId {
        self.lab.peer_id(host).await.unwrap()
    }

    /// Runs programs in a host's network; each must succeed.
    pub async fn run(&self, host: &str, lines: &[String]) {
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

    /// The interface of a host, and the router behind it.
    pub async fn way_out(&self, host: &str) -> (String, String) {
        let routes = self.shown(host, "ip -4 route show default").await;
        let words: Vec<&str> = routes.split_whitespace().collect();
        let after = |word: &str| words[words.iter().position(|w| *w == word).unwrap() + 1].to_owned();
        (after("dev"), after("via"))
    }

    /// Takes a host's interface away, or gives it back with its route.
    pub async fn unplug(&self, host: &str, way: &(String, String)) {
        self.run(host, &[format!("ip link set dev {} down", way.0)]).await;
    }

    pub async fn plug_in(&self, host: &str, way: &(String, String)) {
        let lines = [
            format!("ip link set dev {} up", way.0),
            format!("ip route replace default via {} dev {}", way.1, way.0),
        ];
        self.run(host, &lines).await;
    }

    /// A firewall on a host that lets no UDP out, until [`Self::open`].
    pub async fn shut(&self, host: &str) {
        let rules =
            ["add table inet stop", "add chain inet stop out { type filter hook output priority 0 ; }"];
        let mut lines: Vec<String> = rules.iter().map(|rule| format!("nft {rule}")).collect();
        lines.push("nft add rule inet stop out meta l4proto udp drop".to_owned());
        self.run(host, &lines).await;
    }

    pub async fn open(&self, host: &str) {
        self.run(host, &["nft delete table inet stop".to_owned()]).await;
    }

    /// Processor time that a host's own thread has used, in which its node runs.
    pub async fn cpu(&self, host: &str) -> std::time::Duration {
        let ticks = self.lab.on_host(host, || async {
            let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
            fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
        });
        std::time::Duration::from_millis(ticks.await.unwrap() * 10)
    }

    /// Gives a host another address in its network and takes the one it had.
    pub async fn readdress(&self, host: &str) -> Ipv4Addr {
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

    pub async fn shown(&self, host: &str, line: &str) -> String {
        let line = line.to_owned();
        let work = move || async move {
            let mut words = line.split(' ');
            let output = Program::new(words.next().unwrap()).args(words).output().unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        self.lab.on_host(host, work).await.unwrap()
    }
}

pub async fn until(feed: &Feed, what: &str, holds: impl Fn(&Snapshot) -> bool) {
    let mut snapshots = feed.snapshots.clone();
    let found = tokio::time::timeout(PATIENCE, snapshots.wait_for(|s| holds(s))).await;
    assert!(found.is_ok(), "no {what}: {:#?}", feed.snapshots.borrow().links);
}

pub async fn event(feed: &mut Feed, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
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

pub fn linked(snapshot: &Snapshot, peers: &[PeerId]) -> bool {
    peers.iter().all(|peer| snapshot.links.iter().any(|l| l.peer_id == *peer && !l.foreign))
}
