//! The virtual network: engines in virtual time, with dials through routers, connections,
//! streams, relays, datagrams, latency, loss and cuts, all from one seed.
//!
//! [`Net`] is whole nodes. Where a test is about one machine of a node, it stands on the
//! same [`Router`] and [`Queue`].

mod agreement;
mod guess;
mod nat;
mod nodes;
mod pathtest;
mod probes;
mod queue;
mod relays;
mod router;
mod wires;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

pub(in crate::core) use self::nodes::{Node, addr, id};
pub(in crate::core) use self::queue::Queue;
pub(in crate::core) use self::router::{Kind, Ports, Router, kind};
use crate::core::engine::{Action, Input};
use crate::core::ladder::DialId;
use crate::core::link::{ConnId, ConnInfo};
use crate::core::nat::datagram::Bytes;
use crate::core::wire::{Frame, FrameReader, Message};
use crate::core::{Mono, Now};
use crate::model::{CloseCode, Command, CommandId, HardNat, Path, Reason};

/// Something under way.
#[derive(Debug)]
enum Delivery {
    /// A first packet arrives; `tries` of them were lost.
    Dial {
        from: usize,
        dial: DialId,
        to: SocketAddr,
        until: Mono,
        tries: u32,
    },
    Input {
        to: usize,
        input: Input,
    },
    Stream {
        conn: u64,
        to: usize,
    },
    Bytes {
        conn: u64,
        to: usize,
        bytes: Vec<u8>,
    },
    Close {
        conn: u64,
        by: usize,
        code: CloseCode,
    },
    /// A datagram of a NAT probe arrives.
    Probe {
        from: SocketAddr,
        to: SocketAddr,
        bytes: Box<Bytes>,
    },
    /// A datagram of a guessed punch arrives.
    Guess {
        from: SocketAddr,
        to: SocketAddr,
    },
    /// A lane is used.
    Lane {
        from: usize,
        to: usize,
        relay: usize,
    },
}

#[derive(Debug)]
struct Conn {
    /// The node that dialled, and the one that was dialled.
    ends: [usize; 2],
    /// The relay that carries it.
    via: Option<usize>,
    readers: [FrameReader; 2],
    wires: [wires::Wire; 2],
}

/// The network.
pub(in crate::core) struct Net {
    pub(in crate::core) nodes: Vec<Node>,
    pub(in crate::core) now: Now,
    pub(in crate::core) latency: Duration,
    /// Pairs between which nothing passes.
    cut: BTreeSet<(usize, usize)>,
    /// Of a hundred dials so many come to nothing.
    pub(in crate::core) loss: u32,
    /// What is sent over links takes up to so much longer, at random ...
    pub(in crate::core) jitter: Duration,
    /// ... and so many of a hundred packets have to be sent again.
    pub(in crate::core) rough: u32,
    /// Whether no packet of a stranger gets through any router.
    pub(in crate::core) punches_fail: bool,
    /// Whether nodes that are added from now on guess ports.
    pub(in crate::core) hard_nat: HardNat,
    /// Whether nodes that are added from now on measure their NATs by each other.
    pub(in crate::core) probing: bool,
    /// The path that connections without a relay are said to take.
    pub(in crate::core) path: Path,
    /// Whether a dial from a fresh socket ever ends.
    pub(in crate::core) answers_reach: bool,
    /// Where the first node of a pair sees the second, if not where that is.
    pub(in crate::core) sees_at: BTreeMap<(usize, usize), SocketAddr>,
    pub(in crate::core) guessed: guess::Guessed,
    relayed: relays::Relayed,
    tests: pathtest::Runs,
    under_way: Queue<Delivery>,
    conns: BTreeMap<u64, Conn>,
    cancelled: BTreeSet<(usize, DialId)>,
    /// Every dial: whose, and where to.
    dials: Vec<(usize, SocketAddr)>,
    probe_sockets: u16,
    commands: u64,
    next_conn: u64,
    rng: StdRng,
}

impl Net {
    pub(in crate::core) fn new(seed: u64, latency: Duration) -> Self {
        Self {
            nodes: Vec::new(),
            now: Now::START,
            latency,
            cut: BTreeSet::new(),
            loss: 0,
            jitter: Duration::ZERO,
            rough: 0,
            punches_fail: false,
            hard_nat: HardNat::Off,
            probing: false,
            path: Path::Direct,
            answers_reach: true,
            sees_at: BTreeMap::new(),
            guessed: guess::Guessed::default(),
            relayed: relays::Relayed::default(),
            tests: pathtest::Runs::default(),
            under_way: Queue::default(),
            conns: BTreeMap::new(),
            cancelled: BTreeSet::new(),
            dials: Vec::new(),
            probe_sockets: 0,
            commands: 0,
            next_conn: 1,
            rng: StdRng::seed_from_u64(seed),
        }
    }

    /// Makes a node forget what it heard of another's homes.
    pub(in crate::core) fn forget_homes(&mut self, n: usize, of: usize) {
        let book = self.nodes[n].engine.book_mut();
        let mut record = book.get(id(of)).and_then(|e| e.record()).unwrap().clone();
        record.homes.clear();
        record.version += 1;
        book.first_hand(record, self.now);
    }

    /// Dials of a node that are under way.
    pub(in crate::core) fn dialling(&self, n: usize) -> usize {
        let of = |due: &&Delivery| matches!(due, Delivery::Dial { from, dial, .. } if *from == n && !self.cancelled.contains(&(n, *dial)));
        self.under_way.values().filter(of).count()
    }

    /// The nodes that dialled an address, dial by dial.
    pub(in crate::core) fn dials_to(&self, addr: SocketAddr) -> Vec<usize> {
        self.dials.iter().filter(|(_, to)| *to == addr).map(|(from, _)| *from).collect()
    }

    /// Connections that were ever made.
    pub(in crate::core) fn conns_made(&self) -> u64 {
        self.next_conn - 1
    }

    pub(in crate::core) fn command(&mut self, n: usize, command: Command) -> CommandId {
        self.commands += 1;
        let id = CommandId(self.commands);
        self.nodes[n].engine.handle(Input::Command { id, command }, self.now);
        self.carry_out(n);
        id
    }

    /// What a node is told comes from outside.
    pub(in crate::core) fn tell(&mut self, n: usize, input: Input) {
        self.nodes[n].engine.handle(input, self.now);
        self.carry_out(n);
    }

    /// Sends a message over the link between two nodes.
    pub(in crate::core) fn send(&mut self, from: usize, to: usize, message: &Message) {
        let now = self.now;
        self.nodes[from].engine.send(&id(to), message, now);
        self.carry_out(from);
    }

    /// Every connection between two nodes that is no lane breaks.
    pub(in crate::core) fn break_native(&mut self, a: usize, b: usize) {
        let between = |c: &Conn| c.via.is_none() && (c.ends == [a, b] || c.ends == [b, a]);
        let broken: Vec<u64> = self.conns.iter().filter(|(_, c)| between(c)).map(|(id, _)| *id).collect();
        for conn in broken {
            self.conns.remove(&conn);
            for (end, other) in [(a, b), (b, a)] {
                let reason = Reason::ConnectionTimedOut;
                self.input(end, Input::ConnClosed { peer: id(other), conn: ConnId(conn), reason });
            }
        }
    }

    /// From now on nothing passes between two nodes; nobody is told.
    pub(in crate::core) fn cut(&mut self, a: usize, b: usize) {
        self.cut.insert((a.min(b), a.max(b)));
    }

    pub(in crate::core) fn heal(&mut self) {
        self.cut.clear();
        self.send_again();
    }

    fn passes(&self, a: usize, b: usize) -> bool {
        self.nodes[a].up && self.nodes[b].up && !self.cut.contains(&(a.min(b), a.max(b)))
    }

    /// Runs until that much time has passed.
    pub(in crate::core) fn run(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    /// Runs until something holds; how long it took, or `None` if it never did.
    pub(in crate::core) fn run_until(
        &mut self,
        time: Duration,
        holds: impl Fn(&Self) -> bool,
    ) -> Option<Duration> {
        let begun = self.now.mono;
        let end = begun + time;
        loop {
            self.note_alive();
            if holds(self) {
                return Some(self.now.mono.since(begun));
            }
            let waiting = self.nodes.iter().enumerate().filter(|(_, node)| node.up);
            let timers = waiting.filter_map(|(n, node)| node.timer.map(|at| (at, n))).min();
            let delivery = self.under_way.next_due();
            let next = [timers.map(|(at, _)| at), delivery].into_iter().flatten().min();
            let Some(next) = next.filter(|at| *at <= end) else {
                self.now = self.now.plus(end.since(self.now.mono));
                return holds(self).then(|| self.now.mono.since(begun));
            };
            self.now = self.now.plus(next.since(self.now.mono));
            // A node that was down has overslept: it wakes with the others.
            if delivery.is_some_and(|at| at <= self.now.mono) {
                if let Some(what) = self.under_way.pop() {
                    self.deliver(what);
                }
            } else if let Some((_, n)) = timers {
                self.nodes[n].engine.on_timeout(self.now);
                self.carry_out(n);
            }
        }
    }

    /// Notes who runs now: what comes of a node later is a lie.
    fn note_alive(&mut self) {
        let now = self.now.stamp;
        self.nodes.iter_mut().filter(|node| node.up).for_each(|node| node.alive_at = now);
    }

    fn post(&mut self, after: Duration, what: Delivery) {
        self.under_way.push(self.now.mono + after, what);
    }

    fn input(&mut self, n: usize, input: Input) {
        if self.nodes[n].up {
            self.nodes[n].engine.handle(input, self.now);
            self.carry_out(n);
        }
    }

    fn carry_out(&mut self, n: usize) {
        while let Some(action) = self.nodes[n].engine.poll_action() {
            match action {
                Action::Dial { dial, addr, within } => {
                    let until = self.now.mono + within;
                    self.dials.push((n, addr));
                    self.sends_to(n, addr);
                    self.post(self.latency, Delivery::Dial { from: n, dial, to: addr, until, tries: 0 });
                    self.input(n, Input::DialSent { dial });
                }
                Action::Cancel { dial } => {
                    self.cancel_lane(n, dial);
                    self.cancelled.insert((n, dial));
                }
                Action::Reserve { relay } => self.reserve(n, relay),
                Action::Release { relay } => self.release(n, relay),
                Action::ServeRelay { id } => self.serve(n, id),
                Action::RefuseRelay { id, why } => self.refuse_relay(n, id, why),
                Action::EndRelay { id, why } => self.end_relay(n, id, why),
                Action::DialLane { dial, addr, within, .. } => {
                    self.dial_lane(n, dial, addr, self.now.mono + within);
                    self.input(n, Input::DialSent { dial });
                }
                Action::UseLane { dial } => self.use_lane(n, dial),
                Action::OpenControl { peer, conn } => {
                    // The stream reaches the peer before what is said on it.
                    if let Some(c) = self.conns.get(&conn.0) {
                        let to = c.ends[usize::from(c.ends[0] == n)];
                        self.post(self.latency, Delivery::Stream { conn: conn.0, to });
                    }
                    self.input(n, Input::ControlUp { peer, conn });
                }
                Action::Write { conn, bytes } => {
                    self.write(n, conn, bytes);
                }
                Action::Close { conn, code } => {
                    self.post(Duration::ZERO, Delivery::Close { conn: conn.0, by: n, code });
                }
                Action::Save => self.post(
                    Duration::from_millis(5),
                    Delivery::Input { to: n, input: Input::Saved { result: Ok(()) } },
                ),
                Action::Reach { peer, addr, .. } => self.reach(n, peer, addr),
                Action::TryReservation { relay } => self.try_reservation(n, relay),
                Action::ProbeOpen { socket, .. } => self.probe_open(n, socket),
                Action::ProbeClose { socket } => self.probe_close(n, socket),
                Action::ProbeSend { from, to, bytes } => self.probe_send(n, from, to, bytes),
                // Wires have no windows here.
                Action::Widen { .. } => {}
                Action::Guess(action) => self.guess(n, action),
                Action::Test(action) => self.test(n, action),
                Action::Knock { addrs, .. } => self.nodes[n].knocked.push(addrs),
                Action::Event(event) => self.nodes[n].events.push(event),
                Action::Report(fact) => self.nodes[n].reports.push(fact),
                Action::Outcome(outcome) => self.nodes[n].outcomes.push(outcome),
                Action::Stop => self.nodes[n].up = false,
            }
        }
        self.nodes[n].timer = self.nodes[n].engine.next_timeout(self.now);
    }

    fn deliver(&mut self, what: Delivery) {
        match what {
            Delivery::Input { to, input } => self.input(to, input),
            Delivery::Dial { from, dial, to, until, tries } => self.dial(from, dial, to, until, tries),
            Delivery::Stream { conn, to } => {
                let Some(c) = self.conns.get(&conn) else { return };
                let peer = self.nodes[c.ends[usize::from(c.ends[0] == to)]].id;
                self.input(to, Input::ControlUp { peer, conn: ConnId(conn) });
            }
            Delivery::Bytes { conn, to, bytes } => self.bytes(conn, to, &bytes),
            Delivery::Probe { from, to, bytes } => self.probe_arrives(from, to, bytes),
            Delivery::Guess { from, to } => self.guess_arrives(from, to),
            Delivery::Lane { from, to, relay } => {
                let remote = self.nodes[relay].addr;
                self.connect([from, to], [remote, remote], Some(relay));
            }
            Delivery::Close { conn, by, code } => {
                let Some(c) = self.conns.remove(&conn) else { return };
                let other = c.ends[usize::from(c.ends[0] == by)];
                let gone = |peer, close| Input::ConnClosed {
                    peer,
                    conn: ConnId(conn),
                    reason: Reason::Closed { close },
                };
                let (here, there) = (self.nodes[other].id, self.nodes[by].id);
                self.input(by, gone(here, None));
                if self.passes(by, other) && c.via.is_none_or(|relay| self.nodes[relay].up) {
                    let input = gone(there, Some(code));
                    self.post(self.latency, Delivery::Input { to: other, input });
                }
            }
        }
    }

    fn dial(&mut self, from: usize, dial: DialId, to: SocketAddr, until: Mono, tries: u32) {
        if self.cancelled.contains(&(from, dial)) {
            return;
        }
        let seen = self.sends_to(from, to);
        let target = self.at_ip(to);
        // What a router drops is sent again as QUIC does: after 1, 3 and 7 s.
        let dropped = target.is_some_and(|t| !self.lets_in(t, to.port(), seen));
        let again = Duration::from_secs(1 << tries);
        if dropped && self.now.mono + again < until {
            return self.post(again, Delivery::Dial { from, dial, to, until, tries: tries + 1 });
        }
        let target = target.filter(|_| !dropped && !self.is_lost());
        let Some(target) = target.filter(|t| self.passes(from, *t)) else {
            let wait = until.since(self.now.mono);
            let input = Input::DialFailed { dial, reason: Reason::NoAnswer { addresses: 1 } };
            return self.post(wait, Delivery::Input { to: from, input });
        };
        if target == from {
            let peer = self.nodes[from].id;
            return self.input(from, Input::Dialled { dial, peer });
        }
        self.connect([from, target], [to, seen], None);
        let peer = self.nodes[target].id;
        self.input(from, Input::Dialled { dial, peer });
    }

    fn is_lost(&mut self) -> bool {
        self.rng.random_range(0..100) < self.loss
    }

    /// A connection comes up at both ends; each sees the other where it says.
    pub(in crate::core) fn connect(&mut self, ends: [usize; 2], sees: [SocketAddr; 2], via: Option<usize>) {
        let conn = self.next_conn;
        self.next_conn += 1;
        self.conns.insert(conn, Conn { ends, via, readers: Default::default(), wires: Default::default() });
        for (at, outbound) in [(1, false), (0, true)] {
            let (end, other) = (ends[at], ends[1 - at]);
            let mut channel = [0; 16];
            channel[..8].copy_from_slice(&conn.to_be_bytes());
            let info = ConnInfo {
                id: ConnId(conn),
                remote: self.sees_at.get(&(end, other)).copied().unwrap_or(sees[at]),
                outbound,
                path: if via.is_some() { Path::Relayed } else { self.path },
                via: via.map(id),
                channel,
                binding: [0; 32],
                nonce: [at as u8; 32],
            };
            let peer = self.nodes[other].id;
            self.input(end, Input::ConnUp { peer, info });
        }
    }

    fn bytes(&mut self, conn: u64, to: usize, bytes: &[u8]) {
        let Some(c) = self.conns.get_mut(&conn) else { return };
        let (end, from) = if c.ends[0] == to { (0, c.ends[1]) } else { (1, c.ends[0]) };
        c.readers[end].push(bytes);
        while let Some(raw) = self.conns.get_mut(&conn).and_then(|c| c.readers[end].next().ok().flatten()) {
            let frame = Box::new(Frame::decode(&raw).unwrap());
            let peer = self.nodes[from].id;
            self.input(to, Input::Frame { peer, conn: ConnId(conn), frame, len: raw.body.len() + 6 });
        }
    }

    pub(in crate::core) fn links(&mut self, n: usize) -> usize {
        let now = self.now;
        self.nodes[n].engine.snapshot(now).links.len()
    }

    pub(in crate::core) fn known(&self, n: usize) -> usize {
        self.nodes[n].engine.book().len()
    }

    pub(in crate::core) fn up_links(&self, n: usize) -> usize {
        self.nodes[n].engine.links().count_up()
    }
}
