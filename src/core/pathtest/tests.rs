//! Two machines and a wire between them, in virtual time.

mod bounds;
mod wires;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::core::Mono;
use crate::core::engine::TestAction;
use crate::core::link::ConnId;
use crate::core::wire::Message;
use crate::model::{DropReason, Path, TestedPath};

/// What a packet takes beside what it carries.
const HEADERS: u64 = 60;
const PACKET: u64 = 1_200;

/// One direction of the wire.
#[derive(Debug, Clone, Copy)]
struct Wire {
    delay: Duration,
    jitter: Duration,
    /// Of a thousand datagrams so many are lost.
    loss: u32,
    /// Bytes per second.
    rate: f64,
}

impl Wire {
    fn new(delay_ms: u64, loss: u32, mbit: f64) -> Self {
        Self { delay: Duration::from_millis(delay_ms), jitter: Duration::ZERO, loss, rate: mbit * 1e6 / 8.0 }
    }
}

#[derive(Debug)]
enum Event {
    Say(Message),
    Datagram(ConnId, Bytes),
    Load(RunId, u64),
}

struct End {
    tests: PathTests,
    conns: BTreeMap<RunId, ConnId>,
    read: BTreeMap<RunId, u64>,
    /// Load that this end was told to send.
    sent: u64,
    wire: Wire,
    /// When the wire away from here is free again.
    free: Mono,
    known: bool,
    stopped: BTreeMap<DropReason, u32>,
    said: Vec<Message>,
    datagrams: u32,
    ended: Option<PathTest>,
}

/// The two ends; 0 asks.
struct World {
    ends: [End; 2],
    now: Now,
    events: BinaryHeap<Reverse<(Mono, u64)>>,
    what: BTreeMap<u64, (usize, Event)>,
    next: u64,
    rng: StdRng,
    /// The longest time that anything waited for the wire.
    queue: Duration,
    ways: Vec<Way>,
    /// Whether the tested end knows nothing of tests.
    older: bool,
}

fn id(n: usize) -> PeerId {
    PeerId([n as u8 + 1; 32])
}

fn way(n: u8, path: Path) -> Way {
    Way { conn: ConnId(n.into()), channel: [n; 16], path, via: None, in_use: n == 1 }
}

impl World {
    fn new(wires: [Wire; 2]) -> Self {
        let end = |(n, wire): (usize, Wire)| End {
            tests: PathTests::new(TestConsent::Network, 7 + n as u64),
            conns: BTreeMap::new(),
            read: BTreeMap::new(),
            sent: 0,
            wire,
            free: Mono::default(),
            known: false,
            stopped: BTreeMap::new(),
            said: Vec::new(),
            datagrams: 0,
            ended: None,
        };
        Self {
            ends: [end((0, wires[0])), end((1, wires[1]))],
            now: Now::START,
            events: BinaryHeap::new(),
            what: BTreeMap::new(),
            next: 0,
            rng: StdRng::seed_from_u64(11),
            queue: Duration::ZERO,
            ways: vec![way(1, Path::Direct)],
            older: false,
        }
    }

    fn both(wire: Wire) -> Self {
        Self::new([wire; 2])
    }

    fn start(&mut self, lasts: Duration) -> Result<(), Reason> {
        let ways = self.ways.clone();
        let started = self.ends[0].tests.start(id(1), &ways, lasts, self.now);
        self.carry(0);
        started
    }

    fn post(&mut self, to: usize, at: Mono, event: Event) {
        self.next += 1;
        self.events.push(Reverse((at, self.next)));
        self.what.insert(self.next, (to, event));
    }

    /// When a packet of so many bytes that leaves now arrives.
    fn send(&mut self, from: usize, bytes: u64) -> Mono {
        let end = &mut self.ends[from];
        let begins = end.free.max(self.now.mono);
        self.queue = self.queue.max(begins.since(self.now.mono));
        end.free = begins + Duration::from_secs_f64((bytes + HEADERS) as f64 / end.wire.rate);
        let jitter = end.wire.jitter.mul_f64(self.rng.random());
        end.free + end.wire.delay + jitter
    }

    fn carry(&mut self, n: usize) {
        while let Some(out) = self.ends[n].tests.poll() {
            match out {
                Out::Say { peer, message } => {
                    assert_eq!(peer, id(1 - n));
                    self.ends[n].said.push(message.clone());
                    let at = self.now.mono + self.ends[n].wire.delay;
                    self.post(1 - n, at, Event::Say(message));
                }
                Out::Act(TestAction::Begin { run, conn, opens }) => {
                    assert_eq!(opens, n == 0);
                    self.ends[n].conns.insert(run, conn);
                }
                Out::Act(TestAction::Datagram { run, bytes }) => {
                    self.ends[n].datagrams += 1;
                    let conn = self.ends[n].conns[&run];
                    let at = self.send(n, LEN as u64);
                    if self.rng.random_range(0..1_000) >= self.ends[n].wire.loss {
                        self.post(1 - n, at, Event::Datagram(conn, bytes));
                    }
                }
                Out::Act(TestAction::Load { run, mut bytes }) => {
                    self.ends[n].sent += bytes;
                    while bytes > 0 {
                        let packet = bytes.min(PACKET);
                        bytes -= packet;
                        let at = self.send(n, packet);
                        self.post(1 - n, at, Event::Load(run, packet));
                    }
                }
                Out::Act(TestAction::End { run }) => {
                    self.ends[n].conns.remove(&run);
                }
                Out::Ended(ended) => self.ends[n].ended = Some(ended.test),
                Out::Stopped(what) => *self.ends[n].stopped.entry(what).or_default() += 1,
                Out::Act(TestAction::Quieten { .. }) | Out::Serving { .. } => {}
            }
        }
    }

    fn deliver(&mut self, to: usize, event: Event) {
        let (now, peer) = (self.now, id(1 - to));
        let ways = self.ways.clone();
        let end = &mut self.ends[to];
        match event {
            Event::Say(_) if to == 1 && self.older => {}
            Event::Say(Message::TestOffer(offer)) => {
                let ground = Ground { ways: &ways, known: end.known };
                end.tests.handle(Input::Offer { peer, offer: &offer, ground }, now);
            }
            Event::Say(Message::TestAnswer(answer)) => {
                end.tests.handle(Input::Answer { peer, answer: &answer }, now);
            }
            Event::Say(Message::TestOver(over)) => {
                end.tests.handle(Input::Over { peer, run: over.run }, now);
            }
            Event::Say(other) => panic!("{other:?}"),
            Event::Datagram(conn, bytes) => {
                if end.conns.values().any(|of| *of == conn) {
                    end.tests.handle(Input::Datagram { conn, bytes, mtu: 1_400 - 100 * to as u16 }, now);
                }
            }
            Event::Load(run, bytes) => {
                if end.conns.contains_key(&run) {
                    let total = end.read.entry(run).or_default();
                    *total += bytes;
                    let total = *total;
                    end.tests.handle(Input::Read { run, total }, now);
                }
            }
        }
        self.carry(to);
    }

    fn run(&mut self, time: Duration) {
        let end = self.now.mono + time;
        loop {
            let timer = |n: usize| self.ends[n].tests.next_timeout().map(|at| (at, n));
            let timer = timer(0).into_iter().chain(timer(1)).min();
            let event = self.events.peek().map(|Reverse((at, _))| *at);
            let next = timer.map(|(at, _)| at).into_iter().chain(event).min();
            let Some(next) = next.filter(|at| *at <= end) else {
                self.now = self.now.plus(end.since(self.now.mono));
                return;
            };
            self.now = self.now.plus(next.since(self.now.mono));
            if event.is_some_and(|at| at <= self.now.mono) {
                let Some(Reverse((_, number))) = self.events.pop() else { return };
                if let Some((to, event)) = self.what.remove(&number) {
                    self.deliver(to, event);
                }
            } else if let Some((_, n)) = timer {
                self.ends[n].tests.on_timeout(self.now);
                self.carry(n);
            }
        }
    }

    /// Runs a test of five seconds a path to its end.
    fn tested(&mut self) -> Vec<TestedPath> {
        self.start(Duration::from_secs(5)).unwrap();
        let paths = self.ways.len() as u32;
        self.run(Duration::from_secs(8) * paths);
        self.ends[0].ended.clone().expect("it ended").paths
    }

    fn one(&mut self) -> TestedPath {
        self.tested().swap_remove(0)
    }
}
