//! A network of engines in virtual time: dials through NATs, connections,
//! streams and closes with latency and loss, all from one seed.

mod agreement;
mod guess;
mod nat;
mod nodes;
mod pathtest;
mod relays;
mod wires;

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::SocketAddr;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

pub(super) use self::nodes::{Node, addr, id};
use super::{Action, Input};
use crate::core::ladder::DialId;
use crate::core::link::{ConnId, ConnInfo};
use crate::core::wire::{Frame, FrameReader, Message};
use crate::core::{Mono, Now};
use crate::model::{CloseCode, Command, CommandId, HardNat, NatType, Path, Reason};

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
struct Due {
    at: Mono,
    order: u64,
    what: Delivery,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    /// The earliest first, in a heap that yields the greatest.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

#[derive(Debug)]
struct Conn {
    /// Who dialled, and whom.
    ends: [usize; 2],
    /// The relay that carries it.
    via: Option<usize>,
    readers: [FrameReader; 2],
    wires: [wires::Wire; 2],
}

/// The network.
pub(super) struct Net {
    pub(super) nodes: Vec<Node>,
    pub(super) now: Now,
    pub(super) latency: Duration,
    /// Pairs between which nothing passes.
    cut: BTreeSet<(usize, usize)>,
    /// Of a hundred dials so many come to nothing.
    pub(super) loss: u32,
    /// What is sent over links takes up to so much longer, at random ...
    pub(super) jitter: Duration,
    /// ... and so many of a hundred packets have to be sent again.
    pub(super) rough: u32,
    /// Whether no packet of a stranger gets through any router.
    pub(super) punches_fail: bool,
    /// Whether nodes that are added from now on guess ports.
    pub(super) hard_nat: HardNat,
    pub(super) guessed: guess::Guessed,
    relayed: relays::Relayed,
    tests: pathtest::Runs,
    heap: BinaryHeap<Due>,
    conns: BTreeMap<u64, Conn>,
    /// Ports of symmetric NATs, by destination.
    mappings: BTreeMap<(usize, SocketAddr), u16>,
    /// Whom each mapping of a node has sent to.
    contacted: BTreeSet<(usize, u16, SocketAddr)>,
    cancelled: BTreeSet<(usize, DialId)>,
    /// Every dial: whose, and where to.
    dials: Vec<(usize, SocketAddr)>,
    order: u64,
    next_conn: u64,
    rng: StdRng,
}

impl Net {
    pub(super) fn new(seed: u64, latency: Duration) -> Self {
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
            guessed: guess::Guessed::default(),
            relayed: relays::Relayed::default(),
            tests: pathtest::Runs::default(),
            heap: BinaryHeap::new(),
            conns: BTreeMap::new(),
            mappings: BTreeMap::new(),
            contacted: BTreeSet::new(),
            cancelled: BTreeSet::new(),
            dials: Vec::new(),
            order: 0,
            next_conn: 1,
            rng: StdRng::seed_from_u64(seed),
        }
    }

    /// Makes a node forget what it heard of another's homes.
    pub(super) fn forget_homes(&mut self, n: usize, of: usize) {
        let book = &mut self.nodes[n].engine.book;
        let mut record = book.get(id(of)).and_then(|e| e.record()).unwrap().clone();
        record.homes.clear();
        record.version += 1;
        book.first_hand(record, self.now);
    }

    /// Dials of a node that are under way.
    pub(super) fn dialling(&self, n: usize) -> usize {
        let of = |due: &&Due| matches!(&due.what, Delivery::Dial { from, dial, .. } if *from == n && !self.cancelled.contains(&(n, *dial)));
        self.heap.iter().filter(of).count()
    }

    /// Who dialled an address, dial by dial.
    pub(super) fn dials_to(&self, addr: SocketAddr) -> Vec<usize> {
        self.dials.iter().filter(|(_, to)| *to == addr).map(|(from, _)| *from).collect()
    }

    /// Connections that were ever made.
    pub(super) fn conns_made(&self) -> u64 {
        self.next_conn - 1
    }

    pub(super) fn command(&mut self, n: usize, command: Command) -> CommandId {
        self.order += 1;
        let id = CommandId(self.order);
        self.nodes[n].engine.handle(Input::Command { id, command }, self.now);
        self.carry_out(n);
        id
    }

    /// What a node is told comes from outside.
    pub(super) fn tell(&mut self, n: usize, input: Input) {
        self.nodes[n].engine.handle(input, self.now);
        self.carry_out(n);
    }

    /// Sends a message over the link between two nodes.
    pub(super) fn send(&mut self, from: usize, to: usize, message: &Message) {
        let now = self.now;
        self.nodes[from].engine.send(&id(to), message, now);
        self.carry_out(from);
    }

    /// Every connection between two nodes that is no lane breaks.
    pub(super) fn break_native(&mut self, a: usize, b: usize) {
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
    pub(super) fn cut(&mut self, a: usize, b: usize) {
        self.cut.insert((a.min(b), a.max(b)));
    }

    pub(super) fn heal(&mut self) {
        self.cut.clear();
        self.send_again();
    }

    fn passes(&self, a: usize, b: usize) -> bool {
        self.nodes[a].up && self.nodes[b].up && !self.cut.contains(&(a.min(b), a.max(b)))
    }

    /// Runs until that much time has passed.
    pub(super) fn run(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    /// Runs until something holds; how long it took, or `None` if it never did.
    pub(super) fn run_until(&mut self, time: Duration, holds: impl Fn(&Self) -> bool) -> Option<Duration> {
        let begun = self.now.mono;
        let end = begun + time;
        loop {
            self.note_alive();
            if holds(self) {
                return Some(self.now.mono.since(begun));
            }
            let waiting = self.nodes.iter().enumerate().filter(|(_, node)| node.up);
            let timers = waiting.filter_map(|(n, node)| node.timer.map(|at| (at, n))).min();
            let delivery = self.heap.peek().map(|d| d.at);
            let next = [timers.map(|(at, _)| at), delivery].into_iter().flatten().min();
            let Some(next) = next.filter(|at| *at <= end) else {
                self.now = self.now.plus(end.since(self.now.mono));
                return holds(self).then(|| self.now.mono.since(begun));
            };
            self.now = self.now.plus(next.since(self.now.mono));
            // A node that was down has overslept: it wakes with the others.
            if delivery.is_some_and(|at| at <= self.now.mono) {
                if let Some(due) = self.heap.pop() {
                    self.deliver(due.what);
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
        self.order += 1;
        self.heap.push(Due { at: self.now.mono + after, order: self.order, what });
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
                    let seen = self.seen_from(n, addr);
                    self.contacted.insert((n, seen.port(), addr));
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
                Action::Reach { peer, addr, .. } => {
                    let there = self.nodes.iter().position(|node| node.id == peer && node.addr == addr);
                    // A fresh socket is a stranger to every router.
                    let reached = there.is_some_and(|there| {
                        self.passes(n, there)
                            && matches!(self.nodes[there].nat, NatType::None | NatType::FullCone)
                    });
                    let input = Input::Reached { peer, addr, reached };
                    self.post(self.latency * 2, Delivery::Input { to: n, input });
                }
                Action::TryReservation { relay } => self.try_reservation(n, relay),
                // NATs are measured in another simulation, and wires have no windows here.
                Action::ProbeOpen { .. }
                | Action::ProbeClose { .. }
                | Action::ProbeSend { .. }
                | Action::Widen { .. } => {}
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
        let seen = self.seen_from(from, to);
        let target = self.nodes.iter().position(|n| n.addr.ip() == to.ip());
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
    pub(super) fn connect(&mut self, ends: [usize; 2], sees: [SocketAddr; 2], via: Option<usize>) {
        let conn = self.next_conn;
        self.next_conn += 1;
        self.conns.insert(conn, Conn { ends, via, readers: Default::default(), wires: Default::default() });
        for (at, outbound) in [(1, false), (0, true)] {
            let (end, other) = (ends[at], ends[1 - at]);
            let mut channel = [0; 16];
            channel[..8].copy_from_slice(&conn.to_be_bytes());
            let info = ConnInfo {
                id: ConnId(conn),
                remote: sees[at],
                outbound,
                path: if via.is_some() { Path::Relayed } else { Path::Direct },
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

    pub(super) fn links(&mut self, n: usize) -> usize {
        let now = self.now;
        self.nodes[n].engine.snapshot(now).links.len()
    }

    pub(super) fn known(&self, n: usize) -> usize {
        self.nodes[n].engine.book.len()
    }

    pub(super) fn up_links(&self, n: usize) -> usize {
        self.nodes[n].engine.links.count_up()
    }
}
