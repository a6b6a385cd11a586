//! Each attack against a whole fleet, open and closed, from outside and from within:
//! the honest go on as if nobody were there. Their links stand, their names are
//! theirs, and a newcomer finds them all.
//!
//! Six nodes in the gate; twenty-four with
//! `cargo test --test integration a_fleet_of_twenty_four -- --ignored`.
//!
//! On 127.0.0.1 a node does not hold back its dials to one address, and takes as many
//! connections from one as it likes: a whole fleet shares it. Where this host has the
//! addresses of 198.18.0.0/15 (`ip route add local 198.18.0.0/15 dev lo` in a network
//! namespace of one's own), each of the honest and each of the gang has one, and every
//! limit holds.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use ant_quic::masque::ConnectUdpRequest;
use libtest_mimic::Trial;
use punchdeck::core::link::NetworkSecret;
use punchdeck::core::wire::{
    Delta, Digest, Echo, Message, Observed, PunchNotice, Record, Request, Want, WhoHas, WhyAsk,
};
use punchdeck::model::{LinkRow, PeerId, Stamp};
use tokio::sync::Mutex;

use super::peer::{self, Asked, Bad, Flood, Forger, Scripted, frames, garbage};
use crate::support::{PATIENCE, TestNode, trial};

pub fn trials() -> Vec<Trial> {
    let large = |name, attackers| trial(name, move || siege(24, attackers)).with_ignored_flag(true);
    vec![
        trial("a_fleet_of_six_that_is_open_stands", || siege(6, Attackers::InOpen)),
        trial("a_fleet_of_six_that_is_closed_stands_strangers", || siege(6, Attackers::Strangers)),
        trial("a_fleet_of_six_that_is_closed_stands_members_gone_bad", || siege(6, Attackers::Members)),
        large("a_fleet_of_twenty_four_that_is_open_stands", Attackers::InOpen),
        large("a_fleet_of_twenty_four_that_is_closed_stands_strangers", Attackers::Strangers),
        large("a_fleet_of_twenty_four_that_is_closed_stands_members_gone_bad", Attackers::Members),
    ]
}

/// Who attacks what.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Attackers {
    /// A fleet without a secret: who knows its name is a member.
    InOpen,
    /// A fleet with one, which they do not have ...
    Strangers,
    /// ... or have.
    Members,
}

/// How many peers gone bad there are for each attack.
const GANG: usize = 4;
/// A newcomer is at home by then.
const WELCOME: Duration = Duration::from_secs(15);

/// Whether this host has addresses that are not loopback's, as many as it likes.
static SPACIOUS: LazyLock<bool> =
    LazyLock::new(|| UdpSocket::bind((Ipv4Addr::new(198, 18, 1, 1), 0)).is_ok());
/// The honest live in 198.18.0.0/16, those gone bad in 198.19.0.0/16: no attacker uses up
/// the share of a prefix in which the honest are.
const HONEST: u8 = 18;
const GONE_BAD: u8 = 19;

/// An address that nobody else has, if this host has several.
fn place(side: u8) -> Ipv4Addr {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    if !*SPACIOUS {
        return Ipv4Addr::LOCALHOST;
    }
    let [high, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    Ipv4Addr::new(198, side, high + 1, low.max(1))
}

/// An address at which nobody listens.
fn nowhere(port: u16) -> SocketAddr {
    let ip = if *SPACIOUS { Ipv4Addr::new(198, GONE_BAD, 250, 9) } else { Ipv4Addr::new(127, 7, 0, 9) };
    (ip, port).into()
}

/// One at a time: what is looked for is harm by attackers, not by other tests.
static SIEGE: Mutex<()> = Mutex::const_new(());

async fn siege(size: usize, attackers: Attackers) {
    let _alone = SIEGE.lock().await;
    let mut fleet = Fleet::start(size, attackers).await;
    for (name, attack) in ATTACKS {
        let begun = Instant::now();
        // What it holds is kept while the fleet is looked at.
        let held = attack.run(&fleet).await;
        fleet.unharmed(name).await;
        drop(held);
        let tried: Vec<u64> = fleet.nodes.iter().map(|node| node.snapshot().attempts.ended).collect();
        let took = begun.elapsed().as_secs_f64();
        eprintln!("{size} nodes, {name}: unharmed after {took:.1} s, {tried:?} attempts so far");
    }
}

/// The honest.
struct Fleet {
    nodes: Vec<TestNode>,
    secret: Option<NetworkSecret>,
    attackers: Attackers,
    /// Their links, and since when each stands.
    links: BTreeMap<(usize, PeerId), Stamp>,
    newcomers: usize,
}

impl Fleet {
    async fn start(size: usize, attackers: Attackers) -> Self {
        let secret = (attackers != Attackers::InOpen).then(|| NetworkSecret::new([3; 32]));
        let mut fleet = Self { nodes: Vec::new(), secret, attackers, links: BTreeMap::new(), newcomers: 0 };
        for n in 0..size {
            let known: Vec<SocketAddr> = fleet.nodes.first().map(TestNode::addr).into_iter().collect();
            let node = fleet.honest(&format!("honest-{n}"), &known).await;
            fleet.nodes.push(node);
        }
        for node in &fleet.nodes {
            fleet.knows_all(node, PATIENCE).await.expect("the fleet never met");
        }
        // What is dialled twice at the beginning has settled by then.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let links = fleet.nodes.iter().enumerate().flat_map(|(n, node)| {
            node.snapshot().links.iter().map(|l| ((n, l.peer_id), l.since)).collect::<Vec<_>>()
        });
        fleet.links = links.collect();
        fleet
    }

    async fn honest(&self, name: &str, known: &[SocketAddr]) -> TestNode {
        TestNode::with(name, known, |o| {
            o.bind = (place(HONEST), 0).into();
            o.secret.clone_from(&self.secret);
        })
        .await
    }

    /// Waits until a node knows every one of the fleet by its own name.
    async fn knows_all(&self, node: &TestNode, within: Duration) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            let shown = node.snapshot();
            let name = |of: &TestNode| shown.peer(&of.id()).and_then(|row| row.name.clone());
            let others = self.nodes.iter().filter(|other| other.id() != node.id());
            let mut strange =
                others.filter(|other| name(other).as_deref() != Some(other.options.name.as_str()));
            let Some(first) = strange.next() else { return Ok(()) };
            if begun.elapsed() > within {
                let (who, whom) = (&node.options.name, &first.options.name);
                return Err(format!("{who} knows {whom} as {:?}", name(first)));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Links stand as before, names are as before, and a newcomer is welcome.
    async fn unharmed(&mut self, what: &str) {
        self.newcomers += 1;
        let name = format!("newcomer-{}", self.newcomers);
        let host = &self.nodes[self.newcomers % self.nodes.len()];
        let newcomer = self.honest(&name, &[host.addr()]).await;
        if let Err(lost) = self.knows_all(&newcomer, WELCOME).await {
            panic!("{what}: a newcomer is lost: {lost}; {:#?}", newcomer.snapshot().counters);
        }
        for node in &self.nodes {
            if let Err(strange) = self.knows_all(node, Duration::from_secs(5)).await {
                panic!("{what}: {strange}");
            }
        }
        for ((n, peer), since) in &self.links {
            let node = &mut self.nodes[*n];
            let link = node.link(*peer);
            // Shown times are made from the monotonic clock, and differ by a little.
            let as_before = |l: &LinkRow| l.since.0.abs_diff(since.0) < 500 && !l.foreign;
            let stands = link.as_ref().is_some_and(as_before);
            if !stands {
                let told = node.told_of(*peer);
                panic!("{what}: a link of {} is gone: {link:?}; {told:#?}", node.options.name);
            }
        }
        drop(newcomer);
    }

    /// Who attacks: as good a member as they can be.
    fn bad(&self) -> Bad {
        let secret = if self.attackers == Attackers::Members { self.secret.clone() } else { None };
        Bad::peer().on((place(GONE_BAD), 0).into()).called("honest-1").with_secret(secret)
    }

    /// So many linked to that node, or half-open where they are not let in.
    async fn gang(&self, target: &TestNode) -> Gang {
        let mut gang = Gang::default();
        for _ in 0..GANG {
            if self.attackers == Attackers::Strangers {
                gang.outside.push(self.bad().stranger().control(target).await);
            } else {
                gang.linked.push(self.bad().linked_at(target.addr()).await);
            }
        }
        gang
    }
}

#[derive(Default)]
struct Gang {
    linked: Vec<Scripted>,
    outside: Vec<Scripted>,
}

type Held = Vec<Box<dyn Send>>;

/// What is done to the fleet.
enum Attack {
    /// Needs nothing but a socket.
    Outside(fn(&Fleet) -> std::pin::Pin<Box<dyn Future<Output = Held> + '_>>),
    /// Something said by each of a gang, to every node: by members over their links, by
    /// strangers as if they had one.
    Said(fn(u32, &Scripted, &Fleet) -> Vec<Message>),
    /// The same by who takes nothing that comes back.
    Unread(fn(u32, &Scripted, &Fleet) -> Vec<Message>),
}

impl Attack {
    async fn run(&self, fleet: &Fleet) -> Held {
        match self {
            Self::Outside(attack) => attack(fleet).await,
            Self::Said(messages) | Self::Unread(messages) => {
                let mut held: Held = Vec::new();
                for node in &fleet.nodes {
                    let gang = fleet.gang(node).await;
                    for (n, mut peer) in (0..).zip(gang.linked.into_iter().chain(gang.outside)) {
                        if matches!(self, Self::Unread(_)) {
                            peer.takes_nothing();
                        }
                        let all = messages(n, &peer, fleet);
                        let say = async {
                            for message in all {
                                peer.say(message).await;
                            }
                        };
                        // Who is not listened to goes on alone.
                        let _ = tokio::time::timeout(Duration::from_secs(2), say).await;
                        match self {
                            Self::Unread(_) => held.push(Box::new(peer)),
                            _ => held.push(Box::new(peer.stays())),
                        }
                    }
                }
                held
            }
        }
    }
}

const ATTACKS: &[(&str, Attack)] = &[
    ("garbage and first packets from forged addresses", Attack::Outside(|f| Box::pin(flood(f)))),
    ("mute connections", Attack::Outside(|f| Box::pin(mute(f)))),
    ("streams that nobody asked for", Attack::Outside(|f| Box::pin(streams(f)))),
    ("forged frames of the library", Attack::Outside(|f| Box::pin(forged(f)))),
    ("reservations for everybody", Attack::Outside(|f| Box::pin(reservations(f)))),
    ("malformed frames", Attack::Outside(|f| Box::pin(malformed(f)))),
    ("identities that come and go", Attack::Outside(|f| Box::pin(identities(f)))),
    ("questions without end", Attack::Said(|_, _, _| questions())),
    ("echoes that nobody takes", Attack::Unread(|_, _, _| echoes())),
    ("invented records", Attack::Said(|n, p, _| invented(n, p))),
    ("false records of the honest", Attack::Said(|n, _, f| slander(n, f))),
    ("the honest are said to be gone", Attack::Said(|_, _, f| said_gone(f))),
    ("false views of our address", Attack::Said(|n, _, _| observed(n))),
    ("notices of punches", Attack::Said(|n, _, _| notices(n))),
];

async fn flood(fleet: &Fleet) -> Held {
    let initials = tokio::task::spawn_blocking(|| peer::record_initials(200)).await.unwrap();
    for node in &fleet.nodes {
        let flood = Flood::begin(node.addr(), vec![(5_000, garbage()), (500, initials.clone())]);
        tokio::time::sleep(Duration::from_millis(300)).await;
        tokio::task::spawn_blocking(move || drop(flood)).await.unwrap();
    }
    Vec::new()
}

async fn mute(fleet: &Fleet) -> Held {
    let mut held: Held = Vec::new();
    for node in &fleet.nodes {
        for _ in 0..GANG {
            let stranger = fleet.bad().stranger();
            let connections = stranger.crowds(node.addr(), 1).await;
            held.push(Box::new((stranger, connections)));
        }
    }
    held
}

async fn streams(fleet: &Fleet) -> Held {
    let mut held: Held = Vec::new();
    for node in &fleet.nodes {
        let stranger = fleet.bad().stranger();
        let connection = stranger.dial(node).await;
        let sent = peer::oversend(&connection).await;
        held.push(Box::new((stranger, connection, sent)));
    }
    held
}

async fn forged(fleet: &Fleet) -> Held {
    let mut held: Held = Vec::new();
    for node in &fleet.nodes {
        let victim = fleet.nodes[0].addr();
        for frame in [frames::add_address, frames::punch_me_now] {
            let forger = Forger::default();
            let stranger = fleet.bad().forging(&forger).stranger();
            let connection = stranger.dial(node).await;
            forger.send(&connection, &frame(victim)).await;
            held.push(Box::new((stranger, connection)));
        }
    }
    held
}

async fn reservations(fleet: &Fleet) -> Held {
    let mut held: Held = Vec::new();
    for node in &fleet.nodes {
        let gang = fleet.gang(node).await;
        for peer in gang.linked.into_iter().chain(gang.outside) {
            let asked = Asked::on(&peer.connection, ConnectUdpRequest::bind_any()).await;
            held.push(Box::new((peer.stays(), asked)));
        }
    }
    held
}

async fn malformed(fleet: &Fleet) -> Held {
    let mut held: Held = Vec::new();
    for node in &fleet.nodes {
        let gang = fleet.gang(node).await;
        for mut peer in gang.linked.into_iter().chain(gang.outside) {
            peer.raw(&[0, 0, 0, 5, 0x01, 0x10, 0xff, 0xff, 0xff]).await;
            held.push(Box::new(peer));
        }
    }
    held
}

async fn identities(fleet: &Fleet) -> Held {
    for node in &fleet.nodes {
        for _ in 0..4 {
            for mut peer in fleet.gang(node).await.linked {
                peer.say(Message::Echo(Echo { id: 1, payload: vec![0; Echo::payload_max()] })).await;
                peer.connection.close(0u32.into(), b"");
            }
        }
    }
    Vec::new()
}

fn questions() -> Vec<Message> {
    let who = (0..100).map(|query| Message::WhoHas(WhoHas { query, peer: PeerId([1; 32]) }));
    let why = (0..100).map(|query| Message::WhyAsk(WhyAsk { query }));
    let all = (0..20).map(|sync| Message::Request(Request { sync, want: Want::All }));
    let digest = (0..20).map(|round| Message::Digest(Digest { round, count: 3, hash: [1; 16] }));
    who.chain(why).chain(all).chain(digest).collect()
}

fn echoes() -> Vec<Message> {
    let echo = |id| Message::Echo(Echo { id, payload: vec![0; Echo::payload_max()] });
    (0..50).map(echo).collect()
}

fn invented(gang: u32, peer: &Scripted) -> Vec<Message> {
    let record = |n: u32| {
        let mut id = peer.id.0;
        id[28..].copy_from_slice(&(gang << 16 | n).to_be_bytes());
        // Of another prefix than the honest: one prefix has a share, whoever is in it.
        Record { addresses: vec![nowhere(3000)], ..Record::new(PeerId(id), 1) }
    };
    let page = |n: u32| (n * 20..(n + 1) * 20).map(record).collect();
    (0..5).map(|n| Message::Delta(Delta { added: page(n), removed: vec![] })).collect()
}

/// Each of the honest is said to be somewhere else, under another name.
fn slander(gang: u32, fleet: &Fleet) -> Vec<Message> {
    let lie = |node: &TestNode| {
        let known = fleet.nodes[0].peer(node.id()).map_or(1, |row| row.version);
        let addresses = vec![nowhere(3001)];
        let version = known + 1 + u64::from(gang);
        Record { name: "stolen".into(), addresses, ..Record::new(node.id(), version) }
    };
    let added = fleet.nodes.iter().map(lie).collect();
    vec![Message::Delta(Delta { added, removed: vec![] })]
}

fn said_gone(fleet: &Fleet) -> Vec<Message> {
    let removed = fleet.nodes.iter().map(TestNode::id).collect();
    vec![Message::Delta(Delta { added: vec![], removed })]
}

fn observed(gang: u32) -> Vec<Message> {
    let at = |port| SocketAddr::from(([198, 18, 7, gang as u8], port));
    (3000..3030).map(|port| Message::Observed(Observed { addr: at(port) })).collect()
}

fn notices(gang: u32) -> Vec<Message> {
    let notice = |n: u8| PunchNotice {
        nonce: [gang as u8 ^ n; 16],
        requester: PeerId([n; 32]),
        addresses: vec![nowhere(3002)],
    };
    (0..40).map(|n| Message::PunchNotice(notice(n))).collect()
}
