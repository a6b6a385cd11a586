//! Both ends of a link over lanes that delay, jitter, fall silent and break, in
//! virtual time.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

pub(super) const RELAYS: [PeerId; 3] = [PeerId([7; 32]), PeerId([8; 32]), PeerId([9; 32])];

/// One connection, and what it does to what is sent over it.
pub(super) struct Lane {
    /// How long it takes one way.
    pub(super) takes: Duration,
    pub(super) jitter: Duration,
    /// Of a hundred packets so many are sent again.
    pub(super) rough: u32,
    /// Whether nothing arrives any more at either end.
    pub(super) dead: [bool; 2],
    /// When the last of what is under way arrives at either end.
    pub(super) last: [Mono; 2],
    /// What waits until the lane lives again.
    stuck: [Vec<Vec<u8>>; 2],
}

/// Both ends, the lanes between them, and what is under way.
pub(super) struct Two {
    pub(super) ends: [Link; 2],
    pub(super) lanes: BTreeMap<u64, Lane>,
    /// When, in which order, over which connection, to which end.
    pub(super) wire: BTreeMap<(Mono, u64), (u64, usize, Vec<u8>)>,
    order: u64,
    pub(super) told: [Vec<(Mono, LinkOut)>; 2],
    pub(super) sent: [u64; 2],
    pub(super) now: Now,
    pub(super) rng: StdRng,
}

impl Two {
    /// A link over a lane with a second one that stands by; `dialler` dialled both.
    pub(super) fn warm(one_way_ms: u64, dialler: usize) -> Self {
        let mut two = Self::cold(one_way_ms, dialler);
        two.lane(2, dialler, Path::Relayed, Some(RELAYS[1]), one_way_ms);
        two.run(5_000);
        for end in 0..2 {
            assert_eq!(two.via(end), Some(RELAYS[0]), "the second one only stands by");
            assert_eq!(two.ends[end].standby().and_then(|info| info.via), Some(RELAYS[1]));
            assert!(two.moves(end).is_empty());
        }
        two
    }

    /// The same without the second lane.
    pub(super) fn cold(one_way_ms: u64, dialler: usize) -> Self {
        let make = |me, peer| Link::new(peer, Arc::new(config(me)), Now::START.mono);
        let mut two = Self {
            ends: [make(SMALL, LARGE), make(LARGE, SMALL)],
            lanes: BTreeMap::new(),
            wire: BTreeMap::new(),
            order: 0,
            told: [Vec::new(), Vec::new()],
            sent: [0; 2],
            now: Now::START,
            rng: StdRng::seed_from_u64(7),
        };
        two.lane(1, dialler, Path::Relayed, Some(RELAYS[0]), one_way_ms);
        two.run(5_000);
        assert!(two.ends.iter().all(Link::is_up));
        two
    }

    pub(super) fn lane(&mut self, id: u64, dialler: usize, path: Path, via: Option<PeerId>, one_way_ms: u64) {
        let end = |end: usize| ConnInfo { via, ..info(id, end == dialler, path) };
        let lane = Lane {
            takes: Duration::from_millis(one_way_ms),
            jitter: Duration::ZERO,
            rough: 0,
            dead: [false; 2],
            last: [self.now.mono; 2],
            stuck: Default::default(),
        };
        self.lanes.insert(id, lane);
        for at in [1, 0] {
            self.drive(at, |link, now, _, out| link.on_conn(end(at), now, out));
        }
    }

    pub(super) fn drive(
        &mut self,
        end: usize,
        f: impl FnOnce(&mut Link, Now, &dyn Fn() -> Hello, &mut Vec<LinkOut>),
    ) {
        let said = hello(&self.ends[end].config, self.now);
        let mut out = Vec::new();
        f(&mut self.ends[end], self.now, &|| said.clone(), &mut out);
        self.carry_out(end, out);
    }

    fn carry_out(&mut self, end: usize, out: Vec<LinkOut>) {
        for action in out {
            match action {
                LinkOut::OpenControl(id) => {
                    // An empty write stands for the stream that arrives there.
                    self.write(id.0, end, Vec::new());
                    self.drive(end, |link, now, hello, out| link.on_control(id, now, hello, out));
                }
                LinkOut::Write(id, bytes) => self.write(id.0, end, bytes),
                LinkOut::Close(id, code) => {
                    self.told[end].push((self.now.mono, LinkOut::Close(id, code)));
                    self.close(id.0, Some((end, code)));
                }
                other => self.told[end].push((self.now.mono, other)),
            }
        }
    }

    fn write(&mut self, id: u64, from: usize, bytes: Vec<u8>) {
        let (to, now) = (1 - from, self.now.mono);
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        if lane.dead[to] {
            return lane.stuck[to].push(bytes);
        }
        let mut takes = lane.takes;
        if !lane.jitter.is_zero() {
            takes += lane.jitter.mul_f64(self.rng.random_range(0.0..1.0));
        }
        // As QUIC does: after a round trip and a half, then twice as long each time,
        // by two packets each time.
        let mut again = lane.takes * 3 + Duration::from_millis(25);
        let mut lost = self.rng.random_range(0..100) < lane.rough;
        while lost {
            takes += again;
            again *= 2;
            lost = (0..2).all(|_| self.rng.random_range(0..100) < lane.rough);
        }
        let at = (now + takes).max(lane.last[to]);
        lane.last[to] = at;
        self.order += 1;
        self.wire.insert((at, self.order), (id, to, bytes));
    }

    /// A connection ends; who closed it, if somebody did, sees no code.
    pub(super) fn close(&mut self, id: u64, by: Option<(usize, CloseCode)>) {
        let Some(lane) = self.lanes.remove(&id) else { return };
        self.wire.retain(|_, (conn, ..)| *conn != id);
        for end in 0..2 {
            let close = by.filter(|(who, _)| *who != end).map(|(_, code)| code);
            // Nobody is told over a dead lane.
            if by.is_some_and(|(who, _)| who != end) && lane.dead[end] {
                continue;
            }
            let reason = Reason::Closed { close };
            self.drive(end, |link, now, _, out| link.on_conn_closed(ConnId(id), reason, now, out));
        }
    }

    pub(super) fn kill(&mut self, id: u64) {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.dead = [true; 2];
        }
        // What is on the way is lost with it, and would be sent again.
        let lost: Vec<_> = self.wire.iter().filter(|(_, (conn, ..))| *conn == id).map(|(k, _)| *k).collect();
        for key in lost {
            let Some((_, to, bytes)) = self.wire.remove(&key) else { continue };
            if let Some(lane) = self.lanes.get_mut(&id) {
                lane.stuck[to].push(bytes);
            }
        }
    }

    pub(super) fn revive(&mut self, id: u64) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        lane.dead = [false; 2];
        let stuck = std::mem::take(&mut lane.stuck);
        for (to, all) in stuck.into_iter().enumerate() {
            for bytes in all {
                self.write(id, 1 - to, bytes);
            }
        }
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, ms: u64) {
        let until = self.now.mono + Duration::from_millis(ms);
        let mut steps = 0;
        loop {
            steps += 1;
            assert!(steps < 200_000, "time stands still");
            let timer = self.ends.iter().filter_map(Link::next_timeout).min();
            let delivery = self.wire.keys().next().map(|(at, _)| *at);
            let next = [timer, delivery].into_iter().flatten().min();
            let Some(next) = next.filter(|at| *at <= until) else { break };
            self.now = self.now.plus(next.since(self.now.mono));
            if delivery.is_some_and(|at| at <= self.now.mono) {
                if let Some((_, (id, to, bytes))) = self.wire.pop_first() {
                    self.deliver(id, to, &bytes);
                }
            } else {
                for end in 0..2 {
                    self.drive(end, |link, now, _, out| link.on_timeout(now, out));
                }
            }
        }
        self.now = self.now.plus(until.since(self.now.mono));
    }

    fn deliver(&mut self, id: u64, to: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return self.drive(to, |link, now, hello, out| link.on_control(ConnId(id), now, hello, out));
        }
        let mut reader = FrameReader::new();
        reader.push(bytes);
        while let Some(raw) = reader.next().unwrap() {
            let frame = Frame::decode(&raw).unwrap();
            self.drive(to, |link, now, hello, out| {
                link.on_frame(ConnId(id), frame, bytes.len(), now, hello, out);
            });
        }
    }

    pub(super) fn send(&mut self, from: usize) {
        self.sent[from] += 1;
        let message = Message::Echo(Echo { id: self.sent[from], payload: Vec::new() });
        self.drive(from, |link, now, _, out| link.send(&message, now.mono, out).unwrap());
    }

    /// Both ends send every 10 ms for so long.
    pub(super) fn talk(&mut self, ms: u64) {
        for _ in 0..ms / 10 {
            self.send(0);
            self.send(1);
            self.run(10);
        }
    }

    pub(super) fn via(&self, end: usize) -> Option<PeerId> {
        self.ends[end].in_use()?.via
    }

    /// What an end was told to have come, and when.
    pub(super) fn came(&self, end: usize) -> Vec<(Mono, u64)> {
        let echo = |(at, out): &(Mono, LinkOut)| match out {
            LinkOut::Message(m) => match **m {
                Message::Echo(Echo { id, .. }) => Some((*at, id)),
                _ => None,
            },
            _ => None,
        };
        self.told[end].iter().filter_map(echo).collect()
    }

    /// Everything that was sent came once, in order.
    pub(super) fn all_came(&self) {
        for end in 0..2 {
            let ids: Vec<u64> = self.came(end).into_iter().map(|(_, id)| id).collect();
            assert_eq!(ids, (1..=self.sent[1 - end]).collect::<Vec<_>>(), "at end {end}");
        }
    }

    /// The longest time in which nothing came while both ends talked.
    pub(super) fn longest_gap(&self, end: usize) -> u128 {
        let came = self.came(end);
        came.windows(2).map(|two| two[1].0.since(two[0].0).as_millis()).max().unwrap()
    }

    /// The moves that an end told of: where it went from, the gap.
    pub(super) fn moves(&self, end: usize) -> Vec<(Option<PeerId>, Duration)> {
        let moved = |(_, out): &(Mono, LinkOut)| match out {
            LinkOut::Moved { via, gap, .. } => Some((*via, *gap)),
            _ => None,
        };
        self.told[end].iter().filter_map(moved).collect()
    }

    pub(super) fn was_down(&self) -> bool {
        self.told.iter().flatten().any(|(_, out)| matches!(out, LinkOut::Down(_)))
    }
}
