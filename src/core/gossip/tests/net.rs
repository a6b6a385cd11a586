//! A simulated network of gossip machines in virtual time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::super::*;
use crate::core::proof::RecordSeed;
use crate::core::wire::{Frame, FrameReader, Record};
use crate::model::{DropReason, NatType};

/// A link that both ends may use for anything.
pub(super) const LINK: LinkContext = LinkContext { outbound: true, ..LinkContext::PUBLIC };
/// One way.
pub(super) const LATENCY: Duration = Duration::from_millis(10);

pub(super) fn id(n: u32) -> PeerId {
    let mut bytes = [0; 32];
    // Spread over the id space; the index at the end makes them unique.
    bytes[..4].copy_from_slice(&n.wrapping_mul(2_654_435_761).to_be_bytes());
    bytes[28..].copy_from_slice(&n.to_be_bytes());
    PeerId(bytes)
}

/// A record whose address stands in a /16 of its own.
pub(super) fn record(n: u32, version: u64) -> Record {
    let [_, _, b, a] = n.to_be_bytes();
    Record {
        name: format!("node-{n}"),
        nat: NatType::FullCone,
        addresses: vec![([11 + (b & 0x7f), a, 0, 1], 2000).into()],
        ..Record::new(id(n), version)
    }
}

pub(super) fn signer(n: u32) -> Signer {
    RecordSeed::derive(&n.to_be_bytes(), "net").signer().unwrap()
}

/// A record as its subject says it.
pub(super) fn signed(n: u32, version: u64) -> Record {
    let record = record(n, version);
    Record { proof: signer(n).prove(&record), ..record }
}

pub(super) struct Node {
    pub(super) gossip: Gossip,
    pub(super) book: Book,
    /// Everything it put out but messages.
    pub(super) log: Vec<Output>,
}

impl Node {
    pub(super) fn new(n: u32, now: Now) -> Self {
        let rng = StdRng::seed_from_u64(u64::from(n));
        let gossip = Gossip::new(record(n, 1), rng, now).signed_by(signer(n));
        Self { gossip, book: Book::new(id(n)), log: Vec::new() }
    }

    pub(super) fn drain(&mut self) -> Vec<(PeerId, Message)> {
        let mut sent = Vec::new();
        while let Some(output) = self.gossip.poll() {
            match output {
                Output::Send { peer, message } => sent.push((peer, message)),
                other => self.log.push(other),
            }
        }
        sent
    }

    pub(super) fn knows(&self, n: u32) -> Option<u64> {
        self.book.get(id(n)).and_then(|entry| entry.record()).map(|record| record.version)
    }

    pub(super) fn counter(&self, name: DropReason) -> u64 {
        self.gossip.counters().get(&name).copied().unwrap_or(0)
    }
}

pub(super) struct Net {
    pub(super) now: Now,
    pub(super) nodes: BTreeMap<u32, Node>,
    links: BTreeSet<(u32, u32)>,
    /// Messages on their way, by when and in which order they arrive.
    wire: BTreeMap<(Mono, u64), (u32, u32, Message)>,
    sent: u64,
    /// What the links lose.
    pub(super) loses: fn(&Message) -> bool,
    /// How many percent of the deltas get lost besides.
    pub(super) delta_loss: u64,
    deltas: u64,
}

impl Net {
    pub(super) fn new(nodes: u32) -> Self {
        let now = Now::START;
        Self {
            now,
            nodes: (0..nodes).map(|n| (n, Node::new(n, now))).collect(),
            links: BTreeSet::new(),
            wire: BTreeMap::new(),
            sent: 0,
            loses: |_| false,
            delta_loss: 0,
            deltas: 0,
        }
    }

    pub(super) fn add(&mut self, n: u32) {
        self.nodes.insert(n, Node::new(n, self.now));
    }

    pub(super) fn node(&mut self, n: u32) -> &mut Node {
        self.nodes.get_mut(&n).unwrap()
    }

    pub(super) fn link(&mut self, a: u32, b: u32) {
        self.links.insert((a.min(b), a.max(b)));
        for (from, to) in [(a, b), (b, a)] {
            let now = self.now;
            let node = self.node(from);
            node.gossip.link_up(id(to), LINK, &mut node.book, now);
            self.carry(from);
        }
    }

    pub(super) fn cut(&mut self, a: u32, b: u32) {
        self.links.remove(&(a.min(b), a.max(b)));
        self.wire.retain(|_, (from, to, _)| (*from, *to) != (a, b) && (*from, *to) != (b, a));
        for (from, to) in [(a, b), (b, a)] {
            let now = self.now;
            let node = self.node(from);
            node.gossip.link_down(id(to), &mut node.book, now);
            self.carry(from);
        }
    }

    /// Acts on a node and carries what comes of it.
    pub(super) fn act<R>(&mut self, n: u32, act: impl FnOnce(&mut Gossip, &mut Book, Now) -> R) -> R {
        let now = self.now;
        let node = self.node(n);
        let result = act(&mut node.gossip, &mut node.book, now);
        self.carry(n);
        result
    }

    /// A message as if `from` had sent it.
    pub(super) fn inject(&mut self, from: u32, to: u32, message: Message) {
        self.sent += 1;
        self.wire.insert((self.now.mono + LATENCY, self.sent), (from, to, message));
    }

    fn carry(&mut self, from: u32) {
        for (peer, message) in self.node(from).drain() {
            let to = u32::from_be_bytes(peer.0[28..].try_into().unwrap());
            let linked = self.links.contains(&(from.min(to), from.max(to)));
            self.deltas += 1;
            let lost = matches!(message, Message::Delta(_))
                && (self.deltas.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % 100 < self.delta_loss;
            if !linked || lost || (self.loses)(&message) {
                continue;
            }
            // Over the real wire: everything that is sent has to fit its frame.
            let bytes = message.encode(1, self.sent).unwrap();
            let mut reader = FrameReader::new();
            reader.push(&bytes);
            let raw = reader.next().unwrap().unwrap();
            let Ok(Frame::Message { message, .. }) = Frame::decode(&raw) else {
                panic!("{raw:?} is no message");
            };
            self.inject(from, to, message);
        }
    }

    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now.mono + time;
        loop {
            let timer =
                self.nodes.iter().filter_map(|(n, node)| node.gossip.next_timeout().map(|at| (at, *n))).min();
            let arrival = self.wire.keys().next().map(|(at, _)| *at);
            let next = timer.map(|(at, _)| at).into_iter().chain(arrival).min();
            let Some(next) = next.filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.plus(next.since(self.now.mono));
            if arrival.is_some_and(|at| at <= next) {
                let (_, (from, to, message)) = self.wire.pop_first().unwrap();
                self.act(to, |gossip, book, now| gossip.on_message(id(from), message, book, now));
                if self.nodes.contains_key(&from) {
                    self.act(from, |gossip, book, now| gossip.room(id(to), ROOM_AT_START, book, now));
                }
            } else if let Some((_, n)) = timer {
                self.act(n, |gossip, book, now| gossip.handle_timeout(book, now));
            }
        }
        self.now = self.now.plus(end.since(self.now.mono));
    }

    /// Runs until it is so, and says how long that took; `None` after `limit`.
    pub(super) fn run_until(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> Option<Duration> {
        let start = self.now.mono;
        let step = Duration::from_millis(10);
        while self.now.mono.since(start) <= limit {
            if done(self) {
                return Some(self.now.mono.since(start));
            }
            self.run(step);
        }
        None
    }

    pub(super) fn all_know_all(&self) -> bool {
        self.nodes.keys().all(|n| self.all_know(*n, 1))
    }

    /// Whether everybody else has that version of a node's record or a later.
    pub(super) fn all_know(&self, n: u32, version: u64) -> bool {
        self.nodes.iter().all(|(m, node)| *m == n || node.knows(n).is_some_and(|v| v >= version))
    }
}
