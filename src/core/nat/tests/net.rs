//! One probe behind a router of the simulated network, and responders outside.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::core::nat::datagram::{Bytes, Datagram};
use crate::core::nat::{Family, NatAction, NatProbe, Reply, Responder, SocketId, VantagePoint};
pub(super) use crate::core::sim::{Kind, kind};
use crate::core::sim::{Ports, Queue, Router};
use crate::core::wire::{DialBackAnswer, Message};
use crate::core::{Mono, Now};
use crate::model::{NatType, NatView, PeerId};

pub(super) const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
pub(super) const OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 18, 0, 101));
const PORTS: [u16; 2] = [9001, 9002];

pub(super) const TYPES: [NatType; 5] = [
    NatType::None,
    NatType::FullCone,
    NatType::AddressRestricted,
    NatType::PortRestricted,
    NatType::Symmetric,
];

/// How a responder lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lie {
    /// Reports another port than it saw.
    Port,
    /// Reports another port each time.
    Ports,
    /// Reports another host.
    Host,
    /// Says that it dials back, and does not.
    NoDialBack,
    /// All of it, and answers from no other port.
    Everything,
}

pub(super) const LIES: [Lie; 5] = [Lie::Port, Lie::Ports, Lie::Host, Lie::NoDialBack, Lie::Everything];

/// Where a host without NAT is.
pub(super) const LOCAL_PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 18, 0, 50));

struct Host {
    responder: Responder,
    lie: Option<Lie>,
    ip: IpAddr,
    token: [u8; 16],
    dialled_back: bool,
    /// Whether datagrams reach it at all.
    reachable: bool,
}

#[derive(Debug)]
enum Packet {
    ToHost { host: usize, port: usize, from: SocketAddr, bytes: Bytes },
    ToUs { port: u16, from: SocketAddr, bytes: Bytes },
    Message { to: Option<usize>, from: usize, message: Message },
}

pub(super) struct Net {
    pub probe: NatProbe,
    /// What it wants and is not carried out yet.
    pub wants: Vec<NatAction>,
    pub now: Now,
    pub results: Vec<(Mono, NatView)>,
    pub answered: Vec<NatView>,
    pub sent: usize,
    /// Requests that a responder's limits stopped.
    pub refused: usize,
    pub loss: f64,
    /// Until then responders are busy with others, but for the first dial-back
    /// of each.
    pub busy_until: Mono,
    /// Responders know nothing of late answers.
    pub old_version: bool,
    /// From then on nothing comes from any responder, and nobody knows.
    pub dead_from: Option<Mono>,
    /// One way, in milliseconds.
    pub delay: std::ops::Range<u64>,
    router: Router,
    hosts: Vec<Host>,
    sockets: BTreeMap<SocketId, u16>,
    /// Local ports of sockets, by turns; for a system that hands them out again.
    pub next_local: u16,
    under_way: Queue<Packet>,
    rng: StdRng,
}

/// A datagram as a responder reads it that does not know of late answers.
fn at_once(bytes: &Bytes) -> Bytes {
    match Datagram::decode(bytes) {
        Some(Datagram::Reflect { nonce, token, other_port, .. }) => {
            Datagram::Reflect { nonce, token, other_port, wait_s: 0 }.encode()
        }
        _ => *bytes,
    }
}

fn peer(host: usize) -> PeerId {
    PeerId([host as u8 + 1; 32])
}

impl Net {
    pub(super) fn new(kind: Kind, hosts: usize, seed: u64) -> Self {
        let mut router = Router::new(kind, Ports::Steps { step: 7, last: 40_000 });
        router.lives = Duration::from_secs(300);
        let mut net = Self {
            probe: NatProbe::new(Family::V4, seed),
            wants: Vec::new(),
            now: Now::START,
            results: Vec::new(),
            answered: Vec::new(),
            sent: 0,
            refused: 0,
            loss: 0.0,
            busy_until: Now::START.mono,
            delay: 8..13,
            router,
            old_version: false,
            dead_from: None,
            hosts: Vec::new(),
            sockets: BTreeMap::new(),
            next_local: 20_000,
            under_way: Queue::default(),
            rng: StdRng::seed_from_u64(seed ^ 0xabcd),
        };
        for _ in 0..hosts {
            net.add_host(true);
        }
        net
    }

    pub(super) fn add_host(&mut self, reachable: bool) {
        let host = self.hosts.len();
        let ip = Ipv4Addr::new(198, 18, 1, host as u8 + 1).into();
        let mut responder = Responder::new(2, 77 + host as u64);
        let outside = self.outside();
        let token = responder.link_up(peer(host), Some(outside), self.now).unwrap().token;
        self.hosts.push(Host { responder, lie: None, ip, token, dialled_back: false, reachable });
        self.set_rtt(host, Duration::from_millis(20));
    }

    /// What a responder's link takes from now on.
    pub(super) fn set_rtt(&mut self, host: usize, rtt: Duration) {
        let Host { ip, token, .. } = self.hosts[host];
        let point = VantagePoint { peer: peer(host), ip, ports: PORTS, token, rtt, rank: 0 };
        self.probe.vantage_up(point, self.now);
    }

    pub(super) fn remove_host(&mut self, host: usize) {
        self.probe.vantage_down(&peer(host), self.now, &mut self.wants);
    }

    pub(super) fn lying(mut self, host: usize, lie: Lie) -> Self {
        self.hosts[host].lie = Some(lie);
        self
    }

    /// A mapping lives that long without a datagram going out.
    pub(super) fn forgetting_after(mut self, lives: Duration) -> Self {
        self.router.lives = lives;
        self
    }

    pub(super) fn lossy(mut self, loss: f64) -> Self {
        self.loss = loss;
        self
    }

    /// The router is replaced by another one; nothing of the old one is left.
    pub(super) fn change(&mut self, kind: Kind) {
        self.router.replace(kind);
        let outside = self.outside();
        for (at, host) in self.hosts.iter_mut().enumerate() {
            host.responder.link_up(peer(at), Some(outside), self.now);
        }
    }

    /// A peer sees us at another port than the NAT that was measured can have given us.
    pub(super) fn contradict(&mut self) {
        let seen = SocketAddr::new(self.outside(), 4242);
        self.probe.contradicted(peer(0), seen, self.now, &mut self.wants);
    }

    /// Where the probe is seen from outside.
    fn outside(&self) -> IpAddr {
        if self.router.kind().mapping.is_none() { LOCAL_PUBLIC } else { OUTSIDE }
    }

    pub(super) fn view(&self) -> &NatView {
        self.probe.view()
    }

    fn schedule(&mut self, packet: Packet) {
        let reliable = matches!(packet, Packet::Message { .. });
        if !reliable && self.rng.random_bool(self.loss) {
            return;
        }
        let after = Duration::from_millis(self.rng.random_range(self.delay.clone()));
        self.under_way.push(self.now.mono + after, packet);
    }

    /// Runs until nothing is left to do before that much time has passed.
    pub(super) fn run(&mut self, span: Duration) {
        let end = self.now.mono + span;
        loop {
            self.carry_out();
            let packet = self.under_way.next_due();
            let timer = self.probe.next_timeout(self.now).map(|at| at.max(self.now.mono));
            let late = self.hosts.iter().filter_map(|h| h.responder.next_timeout()).min();
            let all = packet.into_iter().chain(timer).chain(late);
            let Some(next) = all.min().filter(|at| *at <= end) else { break };
            self.now = self.now.plus(next.since(self.now.mono));
            if late == Some(next) {
                for host in 0..self.hosts.len() {
                    while let Some(reply) = self.hosts[host].responder.poll_late(self.now) {
                        self.reflect(host, reply);
                    }
                }
            } else if packet == Some(next) {
                let packet = self.under_way.pop().unwrap();
                self.deliver(packet);
            } else {
                self.probe.on_timeout(self.now, &mut self.wants);
            }
        }
        self.now = self.now.plus(end.since(self.now.mono));
    }

    fn carry_out(&mut self) {
        while !self.wants.is_empty() {
            let action = self.wants.remove(0);
            match action {
                NatAction::Open { socket, .. } => {
                    self.next_local += 1;
                    self.sockets.insert(socket, self.next_local);
                    let ip = if self.router.kind().mapping.is_none() { LOCAL_PUBLIC } else { LOCAL };
                    self.probe.on_socket(socket, Ok((ip, self.next_local).into()), self.now, &mut self.wants);
                }
                NatAction::Close(socket) => drop(self.sockets.remove(&socket)),
                NatAction::Send { socket, to, bytes } => self.send(socket, to, bytes),
                NatAction::Say { peer: to, message } => {
                    let host = (0..self.hosts.len()).find(|h| peer(*h) == to).unwrap();
                    self.schedule(Packet::Message { to: Some(host), from: 0, message });
                }
                NatAction::Result(view) => self.results.push((self.now.mono, *view)),
                NatAction::Answered(view) => self.answered.push(*view),
                NatAction::Stopped(_) => {}
            }
        }
    }

    fn send(&mut self, socket: SocketId, to: SocketAddr, bytes: Bytes) {
        self.sent += 1;
        let Some(local) = self.sockets.get(&socket).copied() else { return };
        let port = self.router.out(local, to, self.now.mono, &mut self.rng);
        let from = SocketAddr::new(self.outside(), port);
        if to.ip() == self.outside() {
            if self.router.kind().hairpin {
                self.schedule(Packet::ToUs { port: to.port(), from, bytes });
            }
            return;
        }
        let host = self.hosts.iter().position(|h| h.ip == to.ip() && h.reachable);
        let port = PORTS.iter().position(|p| *p == to.port());
        if let (Some(host), Some(port)) = (host, port) {
            self.schedule(Packet::ToHost { host, port, from, bytes });
        }
    }

    fn deliver(&mut self, packet: Packet) {
        match packet {
            Packet::ToHost { host, port, from, bytes } => {
                let at_once = if self.old_version { at_once(&bytes) } else { bytes };
                let answer = self.hosts[host].responder.on_datagram(port, from, &at_once, self.now);
                self.refused += usize::from(answer.is_err());
                if let Ok(Some(reply)) = answer
                    && (self.hosts[host].lie != Some(Lie::Everything) || reply.port == port)
                {
                    self.reflect(host, reply);
                }
            }
            Packet::ToUs { port, from, bytes } => {
                self.router.expire(self.now.mono);
                let Some(local) = self.router.inward(port, from) else { return };
                let socket = self.sockets.iter().find(|(_, p)| **p == local).map(|(s, _)| *s);
                if let Some(socket) = socket {
                    self.probe.on_datagram(socket, from, &bytes, self.now, &mut self.wants);
                }
            }
            Packet::Message { to: Some(host), message: Message::DialBack(request), .. } => {
                if self.now.mono < self.busy_until
                    && std::mem::replace(&mut self.hosts[host].dialled_back, true)
                {
                    let answer = DialBackAnswer { nonce: request.nonce, sent: false };
                    let message = Message::DialBackAnswer(answer);
                    self.schedule(Packet::Message { to: None, from: host, message });
                    return;
                }
                let (answer, reply) = self.hosts[host].responder.on_dial_back(&peer(host), request, self.now);
                self.refused += usize::from(reply.is_err());
                let sulks = matches!(self.hosts[host].lie, Some(Lie::NoDialBack | Lie::Everything));
                if let Ok(reply) = reply
                    && !sulks
                    && reply.to.ip() == self.outside()
                {
                    let from = (self.hosts[host].ip, PORTS[reply.port]).into();
                    self.schedule(Packet::ToUs { port: reply.to.port(), from, bytes: reply.bytes });
                }
                let answer = DialBackAnswer { sent: answer.sent || sulks, ..answer };
                self.schedule(Packet::Message {
                    to: None,
                    from: host,
                    message: Message::DialBackAnswer(answer),
                });
            }
            Packet::Message { to: None, from, message: Message::DialBackAnswer(answer) } => {
                self.probe.on_answer(peer(from), answer, self.now, &mut self.wants);
            }
            Packet::Message { .. } => unreachable!("no other message is sent"),
        }
    }

    fn reflect(&mut self, host: usize, reply: Reply) {
        if self.dead_from.is_some_and(|from| from <= self.now.mono) {
            return;
        }
        let bytes = self.bend(self.hosts[host].lie, reply.bytes);
        let source = (self.hosts[host].ip, PORTS[reply.port]).into();
        self.schedule(Packet::ToUs { port: reply.to.port(), from: source, bytes });
    }

    /// What a liar makes of an answer.
    fn bend(&mut self, lie: Option<Lie>, bytes: Bytes) -> Bytes {
        let Some(Datagram::Reflection { nonce, seen }) = Datagram::decode(&bytes) else { return bytes };
        let seen = match lie {
            Some(Lie::Port) => (seen.ip(), 55_555).into(),
            Some(Lie::Ports | Lie::Everything) => (seen.ip(), self.rng.random_range(1024..40_000)).into(),
            Some(Lie::Host) => (Ipv4Addr::new(198, 18, 9, 9), seen.port()).into(),
            Some(Lie::NoDialBack) | None => seen,
        };
        Datagram::Reflection { nonce, seen }.encode()
    }
}
