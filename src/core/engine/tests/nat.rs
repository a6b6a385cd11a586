//! Whole engines on one simulated network without NATs: what the probe's wiring
//! makes of links, claims and addresses.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::core::engine::{Action, Engine, EngineConfig, Input, ProbeEnd};
use crate::core::limits::{REACH_TEST_EVERY, REACH_TESTS_AT_ONCE};
use crate::core::link::{ConnId, ConnInfo};
use crate::core::nat::SocketId;
use crate::core::wire::{DialBack, Frame, FrameReader, Message, Observed};
use crate::core::{Mono, Now};
use crate::model::{
    Command, CommandId, Done, Event, EventKind, NatType, NoProbePorts, Outcome, Path, PeerId, PunchConsent,
    Reason, Snapshot,
};

struct Node {
    engine: Engine,
    addr: SocketAddr,
    sockets: BTreeMap<SocketId, u16>,
    events: Vec<Event>,
    outcomes: Vec<Outcome>,
    sent: Vec<SocketAddr>,
    /// Reach tests that were never answered, with their moment.
    reaches: Vec<(Mono, PeerId)>,
}

struct Fleet {
    nodes: Vec<Node>,
    now: Now,
    /// Both ends of each connection: node and name there.
    conns: BTreeMap<(usize, ConnId), (usize, ConnId)>,
    readers: BTreeMap<(usize, ConnId), FrameReader>,
    inputs: VecDeque<(usize, Input)>,
    next: u64,
    /// The path that connections take.
    path: Path,
    /// Whether tests of claims are answered.
    answer_reach: bool,
    /// Sees the first node at another address than it has.
    liar: Option<(usize, SocketAddr)>,
    /// A symmetric NAT before the first node, if there is one: where its probes come
    /// from, by the port that they left and where they go.
    symmetric: Option<BTreeMap<(u16, SocketAddr), u16>>,
}

fn host(n: usize) -> Ipv4Addr {
    Ipv4Addr::new(198, 18, (n / 200) as u8, (n % 200) as u8 + 1)
}

fn id(n: usize) -> PeerId {
    PeerId([n as u8 + 1; 32])
}

impl Fleet {
    /// Nodes of which each knows all before it.
    fn new(count: usize) -> Self {
        let mut fleet = Self {
            nodes: Vec::new(),
            now: Now::START,
            conns: BTreeMap::new(),
            readers: BTreeMap::new(),
            inputs: VecDeque::new(),
            next: 1,
            path: Path::Direct,
            answer_reach: true,
            liar: None,
            symmetric: None,
        };
        for n in 0..count {
            let known: Vec<SocketAddr> = (0..n).map(|n| (host(n), 9000).into()).collect();
            fleet.add((host(n), 9000).into(), &known);
        }
        fleet
    }

    fn add(&mut self, addr: SocketAddr, bootstrap: &[SocketAddr]) {
        let n = self.nodes.len();
        let config = EngineConfig {
            me: id(n),
            name: format!("n{n}"),
            network: "test".into(),
            agent: "test".into(),
            secret: None,
            local_addr: addr,
            own: Vec::new(),
            bootstrap: bootstrap.to_vec(),
            passive: false,
            direct_window: Duration::from_secs(2),
            relay_after: Duration::from_secs(1),
            punch: PunchConsent::Any,
            relay: crate::model::RelayMode::Network,
            hard_nat: crate::model::HardNat::Off,
            path_test: crate::model::TestConsent::Network,
            probe_ports: vec![9001, 9002],
            ways: crate::core::host::Ways::open(),
            no_ipv6: false,
            no_probe_ports: None,
            own_version: 0,
            record_seed: None,
            anchors: Vec::new(),
            names: Vec::new(),
            history: None,
            seed: n as u64,
        };
        let mut engine = Engine::new(config, Vec::new(), Vec::new(), self.now);
        engine.begin(self.now);
        self.nodes.push(Node {
            engine,
            addr,
            sockets: BTreeMap::new(),
            events: Vec::new(),
            outcomes: Vec::new(),
            sent: Vec::new(),
            reaches: Vec::new(),
        });
    }

    fn run(&mut self, span: Duration) {
        let end = self.now.mono + span;
        loop {
            self.settle();
            let now = self.now;
            let next = self.nodes.iter_mut().filter_map(|n| n.engine.next_timeout(now)).min();
            let Some(next) = next.map(|at| at.max(now.mono)).filter(|at| *at <= end) else { break };
            // Links take a moment; so no timer can hold the clock still.
            self.now = now.plus(next.since(now.mono).max(Duration::from_millis(1)));
            for node in &mut self.nodes {
                if node.engine.next_timeout(self.now).is_some_and(|at| at <= self.now.mono) {
                    node.engine.on_timeout(self.now);
                }
            }
        }
        self.now = self.now.plus(end.since(self.now.mono));
    }

    fn settle(&mut self) {
        loop {
            for n in 0..self.nodes.len() {
                while let Some(action) = self.nodes[n].engine.poll_action() {
                    self.carry_out(n, action);
                }
            }
            let Some((n, input)) = self.inputs.pop_front() else { break };
            self.nodes[n].engine.handle(input, self.now);
        }
    }

    fn connect(&mut self, from: usize, to: usize) {
        let ends = [(from, ConnId(self.next)), (to, ConnId(self.next + 1))];
        self.next += 2;
        for (at, outbound) in [(0, true), (1, false)] {
            let ((node, conn), (other, other_conn)) = (ends[at], ends[1 - at]);
            self.conns.insert((node, conn), (other, other_conn));
            let info = ConnInfo {
                id: conn,
                remote: match self.liar {
                    Some((liar, addr)) if liar == node && other == 0 => addr,
                    _ => self.nodes[other].addr,
                },
                outbound,
                path: self.path,
                via: None,
                channel: [self.next as u8; 16],
                binding: [0; 32],
                nonce: [0; 32],
            };
            self.inputs.push_back((node, Input::ConnUp { peer: id(other), info }));
        }
    }

    fn carry_out(&mut self, n: usize, action: Action) {
        match action {
            Action::Dial { dial, addr, .. } => {
                let input = match self.nodes.iter().position(|node| node.addr == addr) {
                    Some(to) => {
                        self.connect(n, to);
                        Input::Dialled { dial, peer: id(to) }
                    }
                    None => Input::DialFailed { dial, reason: Reason::NoAnswer { addresses: 1 } },
                };
                self.inputs.push_back((n, input));
            }
            Action::OpenControl { peer, conn } => {
                let (other, mate) = self.conns[&(n, conn)];
                self.inputs.push_back((n, Input::ControlUp { peer, conn }));
                self.inputs.push_back((other, Input::ControlUp { peer: id(n), conn: mate }));
            }
            Action::Write { conn, bytes } => {
                let Some((other, mate)) = self.conns.get(&(n, conn)).copied() else { return };
                let reader = self.readers.entry((n, conn)).or_default();
                reader.push(&bytes);
                while let Ok(Some(raw)) = reader.next() {
                    let frame = Box::new(Frame::decode(&raw).unwrap());
                    let len = raw.body.len() + 6;
                    self.inputs.push_back((other, Input::Frame { peer: id(n), conn: mate, frame, len }));
                }
            }
            Action::Close { conn, .. } => {
                let Some((other, mate)) = self.conns.remove(&(n, conn)) else { return };
                self.conns.remove(&(other, mate));
                let reason = Reason::Closed { close: None };
                let closed = |peer, conn| Input::ConnClosed { peer, conn, reason: reason.clone() };
                self.inputs.push_back((n, closed(id(other), conn)));
                self.inputs.push_back((other, closed(id(n), mate)));
            }
            Action::ProbeOpen { socket, .. } => {
                self.next += 1;
                let port = 20_000 + self.next as u16;
                self.nodes[n].sockets.insert(socket, port);
                let result = Ok((self.nodes[n].addr.ip(), port).into());
                self.inputs.push_back((n, Input::ProbeSocket { socket, result }));
            }
            Action::ProbeClose { socket } => drop(self.nodes[n].sockets.remove(&socket)),
            Action::ProbeSend { from, to, bytes } => {
                self.nodes[n].sent.push(to);
                let port = match from {
                    ProbeEnd::Port(at) => 9001 + at as u16,
                    ProbeEnd::Socket(socket) => self.nodes[n].sockets[&socket],
                };
                let port = self.mapped(n, port, to);
                let from = SocketAddr::new(self.nodes[n].addr.ip(), port);
                let Some(other) = self.nodes.iter().position(|o| o.addr.ip() == to.ip()) else { return };
                let Some(port) = self.let_in(other, to.port(), from) else { return };
                let at = match port {
                    port @ (9001 | 9002) => Some(ProbeEnd::Port(usize::from(port - 9001))),
                    port => self.nodes[other]
                        .sockets
                        .iter()
                        .find(|(_, p)| **p == port)
                        .map(|(s, _)| ProbeEnd::Socket(*s)),
                };
                if let Some(at) = at {
                    let bytes = Box::new(bytes);
                    self.inputs.push_back((other, Input::ProbeDatagram { at, from, bytes }));
                }
            }
            Action::Reach { peer, addr, .. } => {
                self.nodes[n].reaches.push((self.now.mono, peer));
                if self.answer_reach {
                    self.inputs.push_back((n, Input::Reached { peer, addr, reached: true }));
                }
            }
            Action::Event(event) => self.nodes[n].events.push(event),
            Action::Outcome(outcome) => self.nodes[n].outcomes.push(outcome),
            Action::Save => self.inputs.push_back((n, Input::Saved { result: Ok(()) })),
            Action::Report(_)
            | Action::Cancel { .. }
            | Action::Reserve { .. }
            | Action::Release { .. }
            | Action::ServeRelay { .. }
            | Action::RefuseRelay { .. }
            | Action::EndRelay { .. }
            | Action::TryReservation { .. }
            | Action::DialLane { .. }
            | Action::UseLane { .. }
            | Action::Knock { .. }
            | Action::Widen { .. }
            | Action::Guess(_)
            | Action::Test(_)
            | Action::Stop => {}
        }
    }

    /// The port from which what left at `port` comes.
    fn mapped(&mut self, n: usize, port: u16, to: SocketAddr) -> u16 {
        match &mut self.symmetric {
            Some(mappings) if n == 0 => {
                let next = 40_000 + mappings.len() as u16;
                *mappings.entry((port, to)).or_insert(next)
            }
            _ => port,
        }
    }

    /// The port inside to which what comes to `port` goes, if anywhere.
    fn let_in(&self, n: usize, port: u16, from: SocketAddr) -> Option<u16> {
        match &self.symmetric {
            Some(mappings) if n == 0 => {
                let here = |(key, outer): &(&(u16, SocketAddr), &u16)| **outer == port && key.1 == from;
                mappings.iter().find(here).map(|((inner, _), _)| *inner)
            }
            _ => Some(port),
        }
    }

    fn shows(&mut self, n: usize) -> Snapshot {
        self.nodes[n].engine.snapshot(self.now)
    }

    fn counted(&mut self, n: usize, name: &str) -> u64 {
        self.shows(n).counters.0.get(name).copied().unwrap_or(0)
    }
}

#[test]
fn a_fleet_without_nats_measures_none_tells_it_and_proves_it() {
    let mut fleet = Fleet::new(4);
    fleet.run(Duration::from_secs(10));
    for n in 0..4 {
        let shown = fleet.shows(n);
        assert_eq!(shown.nat.nat_type, NatType::None, "{:#?}", shown.nat);
        assert_eq!(shown.nat.nat6, None, "there is no IPv6 here");
        assert!(shown.peers.iter().all(|p| p.nat_type == NatType::None), "and so say the peers");
        let named = |name: &str| fleet.nodes[n].events.iter().filter(|e| e.kind.name() == name).count();
        assert_eq!(named("nat.changed"), 1);
        assert_eq!(named("peer.public"), 3);
        for other in (0..4).filter(|o| *o != n) {
            assert!(fleet.nodes[n].engine.peers(fleet.now).is_public(&id(other)));
        }
    }
}

/// A peer tells the first node that it sees it at that port.
fn sees(fleet: &mut Fleet, by: usize, port: u16) {
    let (seen, now) = (SocketAddr::new(host(0).into(), port), fleet.now);
    fleet.nodes[by].engine.send(&id(0), &Message::Observed(Observed { addr: seen }), now);
    fleet.settle();
}

#[test]
fn a_port_where_nobody_else_sees_us_has_the_nat_measured_anew_and_nothing_known_until_then() {
    let mut fleet = Fleet::new(5);
    fleet.run(Duration::from_secs(30));
    assert_eq!(fleet.shows(0).nat.nat_type, NatType::None);
    sees(&mut fleet, 1, 4242);
    let nat = fleet.shows(0).nat.clone();
    assert_eq!((nat.nat_type, &nat.reason), (NatType::Unknown, &Some(Reason::NatChanging)), "{nat:#?}");
    assert_eq!((nat.mapping, nat.confidence, nat.measured), (None, None, None), "nothing of before");
    assert_eq!(fleet.nodes[0].engine.nat.view().summary(), "unknown: changed, measuring");
    let told = fleet.nodes[0].engine.gossip.own().nat;
    assert_eq!(told, NatType::Unknown, "others decide nothing by what was, either");
    let since = fleet.now.mono;
    while fleet.shows(0).nat.nat_type == NatType::Unknown {
        fleet.run(Duration::from_millis(100));
        assert!(fleet.now.mono.since(since) < Duration::from_secs(5), "it is measured at once");
    }
    assert_eq!(fleet.shows(0).nat.nat_type, NatType::None);
}

#[test]
fn a_port_that_others_see_too_contradicts_nothing() {
    let mut fleet = Fleet::new(5);
    fleet.run(Duration::from_secs(30));
    sees(&mut fleet, 1, 9000);
    assert_eq!(fleet.shows(0).nat.nat_type, NatType::None);
}

/// Five nodes, the first behind a symmetric NAT that is known.
fn behind_a_symmetric_nat() -> Fleet {
    let mut fleet = Fleet::new(5);
    fleet.symmetric = Some(BTreeMap::new());
    fleet.run(Duration::from_secs(30));
    assert_eq!(fleet.shows(0).nat.nat_type, NatType::Symmetric, "{:#?}", fleet.shows(0).nat);
    fleet
}

fn doubted(fleet: &mut Fleet) -> usize {
    fleet.run(Duration::from_millis(1));
    let doubt = |e: &&Event| {
        let EventKind::NatChanged { to, .. } = &e.kind else { return false };
        *to == NatType::Unknown
    };
    fleet.nodes[0].events.iter().filter(doubt).count()
}

#[test]
fn another_port_for_each_peer_and_for_each_connection_is_what_a_symmetric_nat_does() {
    let mut fleet = behind_a_symmetric_nat();
    // A link that comes back over a connection of its own.
    for ((node, conn), _) in fleet.conns.clone() {
        if node == 1 {
            fleet.carry_out(1, Action::Close { conn, code: crate::model::CloseCode::Silent });
        }
    }
    fleet.liar = Some((1, (host(0), 4242).into()));
    fleet.run(Duration::from_secs(20));
    assert!(fleet.nodes[0].engine.nat.seen_by(&id(1)).is_some_and(|at| at.port() == 4242));
    assert_eq!(doubted(&mut fleet), 0);
}

#[test]
fn another_public_address_has_a_symmetric_nat_measured_anew() {
    let mut fleet = behind_a_symmetric_nat();
    for by in 1..4 {
        let (seen, now) = (SocketAddr::new(host(77).into(), 4240 + by as u16), fleet.now);
        fleet.nodes[by].engine.send(&id(0), &Message::Observed(Observed { addr: seen }), now);
        fleet.settle();
    }
    assert_eq!(fleet.shows(0).nat.reason, Some(Reason::NatChanging));
}

#[test]
fn a_liar_has_the_nat_measured_once_a_minute_and_no_oftener() {
    let mut fleet = Fleet::new(5);
    fleet.run(Duration::from_secs(30));
    let unknown = |fleet: &mut Fleet| fleet.shows(0).nat.nat_type == NatType::Unknown;
    sees(&mut fleet, 1, 4242);
    assert!(unknown(&mut fleet));
    fleet.run(Duration::from_secs(10));
    for port in 5000..5005 {
        sees(&mut fleet, 1, port);
        assert!(!unknown(&mut fleet), "its word was taken a moment ago");
    }
    assert!(fleet.counted(0, "NAT doubted too often") > 0);
}

#[test]
fn a_command_is_answered_once_with_what_was_measured() {
    let mut fleet = Fleet::new(3);
    fleet.run(Duration::from_secs(10));
    for command in 1..=2 {
        fleet.inputs.push_back((0, Input::Command { id: CommandId(command), command: Command::NatProbe }));
    }
    fleet.run(Duration::from_secs(3));
    let outcomes = &fleet.nodes[0].outcomes;
    assert_eq!(outcomes.len(), 2);
    for outcome in outcomes {
        let Ok(Done::Probed(view)) = &outcome.result else { panic!("{outcome:?}") };
        assert_eq!(view.nat_type, NatType::None);
    }
}

#[test]
fn a_command_without_vantage_points_says_so_at_once() {
    let mut fleet = Fleet::new(1);
    fleet.inputs.push_back((0, Input::Command { id: CommandId(1), command: Command::NatProbe }));
    fleet.run(Duration::from_millis(1));
    let Ok(Done::Probed(view)) = &fleet.nodes[0].outcomes[0].result else { panic!("no view") };
    assert_eq!((view.nat_type, &view.reason), (NatType::Unknown, &Some(Reason::NoVantagePoints)));
}

#[test]
fn by_public_peers_whose_links_a_punch_made_the_nat_is_measured_as_well() {
    let mut fleet = Fleet::new(0);
    fleet.path = Path::Punched;
    for n in 0..4 {
        let known: Vec<SocketAddr> = (0..n).map(|n| (host(n), 9000).into()).collect();
        fleet.add((host(n), 9000).into(), &known);
    }
    fleet.run(Duration::from_secs(10));
    assert_eq!(fleet.shows(0).links.len(), 3);
    assert!(fleet.nodes[0].engine.peers(fleet.now).is_public(&id(1)), "a fresh socket reached it");
    assert_eq!(fleet.shows(0).nat.nat_type, NatType::None);
}

#[test]
fn over_a_relayed_link_nothing_is_measured_and_nobody_dialled_back() {
    let mut fleet = Fleet::new(0);
    fleet.path = Path::Relayed;
    for n in 0..3 {
        let known: Vec<SocketAddr> = (0..n).map(|n| (host(n), 9000).into()).collect();
        fleet.add((host(n), 9000).into(), &known);
    }
    fleet.run(Duration::from_secs(10));
    assert_eq!(fleet.shows(0).links.len(), 2);
    assert_eq!(fleet.shows(0).nat.reason, Some(Reason::NoVantagePoints));
    let request = DialBack { nonce: [1; 16], target: (host(1), 30_000).into() };
    let now = fleet.now;
    fleet.nodes[1].engine.send(&id(0), &Message::DialBack(request), now);
    fleet.run(Duration::from_secs(1));
    assert_eq!(fleet.counted(0, "dial-back to another address"), 1);
    assert!(fleet.nodes[0].sent.is_empty());
}

#[test]
fn claims_are_tested_few_at_a_time_and_not_often() {
    let mut fleet = Fleet::new(6);
    // Whoever is asked never says anything: the tests stay under way.
    fleet.answer_reach = false;
    fleet.run(Duration::from_secs(30));
    assert_eq!(fleet.nodes[0].reaches.len(), REACH_TESTS_AT_ONCE);
    assert!(!fleet.nodes[0].engine.peers(fleet.now).is_public(&id(1)), "a claim alone is nothing");
    // They fail: each is tried again, but not soon.
    let mut last: BTreeMap<PeerId, Mono> = BTreeMap::new();
    for _ in 0..300 {
        for (at, peer) in std::mem::take(&mut fleet.nodes[0].reaches) {
            if let Some(before) = last.insert(peer, at) {
                assert!(at.since(before) >= REACH_TEST_EVERY, "{:?} after the last", at.since(before));
            }
            let addr = (host(1), 9000).into();
            fleet.inputs.push_back((0, Input::Reached { peer, addr, reached: false }));
        }
        fleet.run(Duration::from_secs(1));
    }
    assert_eq!(last.len(), 5, "everybody had his turn");
    assert!(fleet.counted(0, "claim to be public not borne out") > 5);
    assert!(!fleet.nodes[0].engine.peers(fleet.now).is_public(&id(1)));
}

#[test]
fn a_proof_is_renewed_before_it_expires() {
    let mut fleet = Fleet::new(3);
    fleet.run(Duration::from_secs(10));
    let first = fleet.nodes[0].reaches.len();
    fleet.run(Duration::from_secs(13 * 3600));
    assert!(fleet.nodes[0].reaches.len() > first);
    assert!(fleet.nodes[0].engine.peers(fleet.now).is_public(&id(1)));
    let news = |e: &&Event| matches!(e.kind, EventKind::PeerVerifiedPublic { .. });
    assert_eq!(fleet.nodes[0].events.iter().filter(news).count(), 2, "and that is no news");
}

#[test]
fn nobody_rules_a_vantage_point_out_by_saying_that_its_address_is_ours() {
    let mut fleet = Fleet::new(1);
    fleet.liar = Some((1, (host(2), 9000).into()));
    for n in 1..5 {
        let known: Vec<SocketAddr> = (0..n).map(|n| (host(n), 9000).into()).collect();
        fleet.add((host(n), 9000).into(), &known);
    }
    fleet.run(Duration::from_secs(70));
    let nat = fleet.shows(0).nat;
    assert_eq!(nat.nat_type, NatType::None);
    assert!(nat.vantage_points.iter().any(|v| v.peer_id == id(2)), "{:#?}", nat.vantage_points);
}

#[test]
fn another_address_is_measured_at_once() {
    let mut fleet = Fleet::new(4);
    fleet.run(Duration::from_secs(20));
    // The host moves to another network: its connections break, and it dials
    // again from there.
    fleet.nodes[3].addr = (host(77), 9000).into();
    for ((node, conn), _) in fleet.conns.clone() {
        if node == 3 {
            fleet.carry_out(3, Action::Close { conn, code: crate::model::CloseCode::Silent });
        }
    }
    fleet.settle();
    fleet.nodes[3].sent.clear();
    fleet.run(Duration::from_secs(10));
    assert_eq!(fleet.shows(3).links.len(), 3);
    assert!(!fleet.nodes[3].sent.is_empty(), "it does not wait for its minute");
}

#[test]
fn ports_that_cannot_be_had_are_a_shown_reason_and_no_failed_start() {
    let mut fleet = Fleet::new(3);
    fleet.run(Duration::from_secs(10));
    let addr = (host(3), 9000).into();
    fleet.add(addr, &[(host(0), 9000).into()]);
    let config = EngineConfig {
        probe_ports: Vec::new(),
        no_probe_ports: Some(NoProbePorts::Unbound { detail: "address in use".into() }),
        ..fleet.nodes[3].engine.config.clone()
    };
    fleet.nodes[3].engine = Engine::new(config, Vec::new(), Vec::new(), fleet.now);
    let now = fleet.now;
    fleet.nodes[3].engine.begin(now);
    fleet.run(Duration::from_secs(10));
    let shown = fleet.shows(3);
    assert_eq!(shown.nat.nat_type, NatType::None, "it measures all the same");
    let why = shown.node.no_probe_ports.as_ref().map(ToString::to_string);
    assert_eq!(why.as_deref(), Some("no ports could be had: address in use"));
    assert!(fleet.nodes[3].events.iter().any(|e| e.kind.name() == "nat.no_responder"));
    assert!(fleet.shows(0).nat.vantage_points.iter().all(|v| v.peer_id != id(3)));
}

#[test]
fn a_node_on_loopback_has_nothing_to_measure() {
    let mut fleet = Fleet::new(0);
    fleet.add((Ipv4Addr::LOCALHOST, 9000).into(), &[]);
    fleet.inputs.push_back((0, Input::Command { id: CommandId(1), command: Command::NatProbe }));
    fleet.run(Duration::from_secs(5));
    assert_eq!(fleet.shows(0).nat.reason, Some(Reason::LoopbackHasNoNat));
    let Ok(Done::Probed(view)) = &fleet.nodes[0].outcomes[0].result else { panic!("no view") };
    assert_eq!(view.nat_type, NatType::Unknown);
}
