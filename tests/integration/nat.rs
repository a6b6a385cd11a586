//! The NAT probe's responders on loopback: whom they serve, how often, and
//! whither. What a NAT does is measured in simulation (`core::nat`) and behind
//! real ones in the lab; addresses that count as public are all it takes here,
//! so one test measures where the host has some (198.18.0.1 to .3 on `lo` in a
//! network namespace of one's own will do).

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use libtest_mimic::Trial;
use punchdeck::core::nat::datagram::{Datagram, LEN};
use punchdeck::core::wire::{DialBack, Message};
use punchdeck::model::{Command, Done, DropReason, Event, NatType, Reason};
use tokio::net::UdpSocket;

use super::hostile::peer::Scripted;
use super::support::{TestNode, ignored, trial};

pub fn trials() -> Vec<Trial> {
    let mut all = vec![
        trial("a_probe_port_tells_a_linked_peer_what_it_sees", reflection),
        trial("a_probe_port_answers_nobody_else", only_linked),
        trial("a_token_is_worth_nothing_when_its_link_is_gone", token_ends),
        trial("reflections_are_cut_at_their_limit", reflection_flood),
        trial("datagrams_of_another_length_or_kind_are_ignored", other_datagrams),
        trial("a_dial_back_comes_once_and_from_a_port_never_contacted", dial_back),
        trial("a_dial_back_to_another_host_is_refused_and_counted", dial_back_elsewhere),
        trial("dial_backs_are_cut_at_their_limit", dial_back_flood),
        trial("on_loopback_the_nat_is_unknown_and_says_why", loopback_is_unknown),
    ];
    let name = "nodes_on_public_addresses_measure_none_and_verify_each_other";
    let hosts = [1, 2, 3].map(|n| SocketAddr::from((Ipv4Addr::new(198, 18, 0, n), 0)));
    all.push(if hosts.iter().all(|h| std::net::UdpSocket::bind(h).is_ok()) {
        trial(name, move || public_nodes(hosts))
    } else {
        ignored(name, "this host has no addresses 198.18.0.1 to 198.18.0.3")
    });
    all
}

/// A linked peer with its token and the node's probe addresses.
struct Asker {
    peer: Scripted,
    token: [u8; 16],
    ports: [SocketAddr; 2],
    socket: UdpSocket,
}

impl Asker {
    async fn linked(node: &TestNode) -> Self {
        let mut peer = Scripted::linked(node).await;
        let token = peer.hear(|m| if let Message::ProbeToken(t) = m { Some(t.token) } else { None }).await;
        let ports = peer.their_hello.as_ref().unwrap().probe_ports.clone();
        assert_eq!(ports.len(), 2, "the ports stand in the Hello");
        let ports = [ports[0], ports[1]].map(|p| (Ipv4Addr::LOCALHOST, p).into());
        Self { peer, token, ports, socket: socket().await }
    }

    async fn ask(&self, port: usize, other_port: bool) {
        let datagram = Datagram::Reflect { nonce: [7; 16], token: self.token, other_port, wait_s: 0 };
        self.socket.send_to(&datagram.encode(), self.ports[port]).await.unwrap();
    }

    /// Asks for a dial-back; whether one is promised.
    async fn dial_back(&mut self, target: SocketAddr, nonce: [u8; 16]) -> bool {
        self.peer.say(Message::DialBack(DialBack { nonce, target })).await;
        let answer = |m: &Message| match m {
            Message::DialBackAnswer(a) if a.nonce == nonce => Some(a.sent),
            _ => None,
        };
        self.peer.hear(answer).await
    }
}

async fn socket() -> UdpSocket {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap()
}

/// The next datagram; `None` if none comes soon.
async fn next(socket: &UdpSocket) -> Option<(Datagram, SocketAddr)> {
    let mut buffer = [0; 2048];
    let receive = socket.recv_from(&mut buffer);
    let (len, from) = tokio::time::timeout(Duration::from_millis(500), receive).await.ok()?.unwrap();
    assert_eq!(len, LEN, "no answer is longer than its question");
    Some((Datagram::decode(&buffer[..LEN].try_into().unwrap()).unwrap(), from))
}

async fn reflection() {
    let node = TestNode::start("node", &[]).await;
    let asker = Asker::linked(&node).await;
    let seen = asker.socket.local_addr().unwrap();
    let expected = Datagram::Reflection { nonce: [7; 16], seen };
    for port in [0, 1] {
        asker.ask(port, false).await;
        assert_eq!(next(&asker.socket).await, Some((expected, asker.ports[port])));
        asker.ask(port, true).await;
        assert_eq!(next(&asker.socket).await, Some((expected, asker.ports[1 - port])), "from the other");
    }
}

async fn only_linked() {
    let node = TestNode::start("node", &[]).await;
    let asker = Asker::linked(&node).await;
    let forged = Datagram::Reflect { nonce: [7; 16], token: [9; 16], other_port: false, wait_s: 0 };
    asker.socket.send_to(&forged.encode(), asker.ports[0]).await.unwrap();
    assert_eq!(next(&asker.socket).await, None);
    node.until_counted(DropReason::ProbeOfStranger).await;
}

async fn token_ends() {
    let node = TestNode::start("node", &[]).await;
    let mut asker = Asker::linked(&node).await;
    asker.ask(0, false).await;
    assert!(next(&asker.socket).await.is_some());
    asker.peer.say(Message::Leave).await;
    node.until("no link", |s| s.links.is_empty()).await;
    asker.ask(0, false).await;
    assert_eq!(next(&asker.socket).await, None);
    node.until_counted(DropReason::ProbeOfStranger).await;
}

async fn reflection_flood() {
    let node = TestNode::start("node", &[]).await;
    let asker = Asker::linked(&node).await;
    for n in 0..80 {
        asker.ask(n % 2, false).await;
    }
    let mut answers = 0;
    while next(&asker.socket).await.is_some() {
        answers += 1;
    }
    assert!((30..=31).contains(&answers), "{answers} answers");
    node.until("cut", |s| s.counters.0.get(&DropReason::ProbeReflections).is_some_and(|n| *n >= 49)).await;
}

async fn other_datagrams() {
    let node = TestNode::start("node", &[]).await;
    let asker = Asker::linked(&node).await;
    let good =
        Datagram::Reflect { nonce: [7; 16], token: asker.token, other_port: false, wait_s: 0 }.encode();
    let mut long = good.to_vec();
    long.push(0);
    let lengths = [&good[..LEN - 1], &long[..], &[][..], &[0; 1200][..]];
    for bytes in lengths {
        asker.socket.send_to(bytes, asker.ports[0]).await.unwrap();
    }
    let mut foreign = good;
    foreign[0] ^= 1;
    let answer = Datagram::Reflection { nonce: [7; 16], seen: asker.ports[0] }.encode();
    for bytes in [foreign, answer] {
        asker.socket.send_to(&bytes, asker.ports[0]).await.unwrap();
    }
    assert_eq!(next(&asker.socket).await, None);
    let count = |name: DropReason, n| {
        node.until(name.words(), move |s| s.counters.0.get(&name).is_some_and(|counted| *counted == n))
    };
    count(DropReason::ProbeOfOtherLength, lengths.len() as u64).await;
    count(DropReason::ProbeOfNoKind, 2).await;
    asker.ask(0, false).await;
    assert!(next(&asker.socket).await.is_some(), "and what is as it should be is answered");
}

async fn dial_back() {
    let node = TestNode::start("node", &[]).await;
    let mut asker = Asker::linked(&node).await;
    let target = asker.socket.local_addr().unwrap();
    asker.ask(1, false).await;
    next(&asker.socket).await.unwrap();
    assert!(asker.dial_back(target, [3; 16]).await);
    let expected = (Datagram::DialBack { nonce: [3; 16] }, asker.ports[0]);
    assert_eq!(next(&asker.socket).await, Some(expected));
    assert_eq!(next(&asker.socket).await, None, "one datagram a request");
    asker.ask(0, false).await;
    next(&asker.socket).await.unwrap();
    assert!(!asker.dial_back(target, [4; 16]).await, "no port is left that it never contacted");
    node.until_counted(DropReason::DialBackToContact).await;
}

async fn dial_back_elsewhere() {
    let node = TestNode::start("node", &[]).await;
    let mut asker = Asker::linked(&node).await;
    // All of 127/8 is this host, but the link comes from 127.0.0.1.
    let victim = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 2), 0)).await.unwrap();
    assert!(!asker.dial_back(victim.local_addr().unwrap(), [3; 16]).await);
    assert!(!asker.dial_back((Ipv4Addr::LOCALHOST, 53).into(), [4; 16]).await);
    assert_eq!(next(&victim).await, None);
    node.until_counted(DropReason::DialBackElsewhere).await;
    node.until_counted(DropReason::DialBackLowPort).await;
}

async fn dial_back_flood() {
    let node = TestNode::start("node", &[]).await;
    let mut asker = Asker::linked(&node).await;
    let target = asker.socket.local_addr().unwrap();
    let mut sent = 0;
    for n in 0..12 {
        sent += u32::from(asker.dial_back(target, [n; 16]).await);
    }
    assert!((4..=5).contains(&sent), "{sent} were promised");
    let mut came = 0;
    while next(&asker.socket).await.is_some() {
        came += 1;
    }
    assert_eq!(came, sent);
    node.until("cut", |s| s.counters.0.get(&DropReason::DialBacks).is_some_and(|n| *n >= 7)).await;
}

async fn loopback_is_unknown() {
    let a = TestNode::start("a", &[]).await;
    let b = TestNode::start("b", &[a.addr()]).await;
    let c = TestNode::start("c", &[a.addr()]).await;
    b.until_linked(a.id()).await;
    c.until_linked(a.id()).await;
    let outcome = a.command(Command::NatProbe).await;
    let Ok(Done::Probed(view)) = &outcome.result else { panic!("{outcome:?}") };
    assert_eq!((view.nat_type, &view.reason), (NatType::Unknown, &Some(Reason::LoopbackHasNoNat)));
    assert_eq!(outcome.to_string(), "nat-probe: NAT unknown: on loopback there is no NAT to measure");
    assert_eq!(**view, *a.snapshot().nat);
}

async fn public_nodes(hosts: [SocketAddr; 3]) {
    let a = TestNode::with("a", &[], |o| o.bind = hosts[0]).await;
    let b = TestNode::with("b", &[a.addr()], |o| o.bind = hosts[1]).await;
    let c = TestNode::with("c", &[a.addr(), b.addr()], |o| o.bind = hosts[2]).await;
    for node in [&a, &b, &c] {
        let measured = node.until("NAT none", |s| s.nat.nat_type == NatType::None).await;
        assert!(!measured.nat.is_firewalled());
        assert_eq!(measured.nat.vantage_points.len(), 2);
        node.until("claims", |s| s.peers.len() == 2 && s.peers.iter().all(|p| p.nat_type == NatType::None))
            .await;
    }
    let mut a = a;
    let mut proven = [b.id(), c.id()].to_vec();
    while !proven.is_empty() {
        let named = |e: &Event| (e.kind.name() == "peer.public").then_some(e.peer_id);
        let peer = a.event("peer.public", named).await;
        proven.retain(|p| Some(*p) != peer);
    }
    let outcome = b.command(Command::NatProbe).await;
    assert_eq!(outcome.to_string(), "nat-probe: NAT none");
}
