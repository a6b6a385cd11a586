//! Numbered echoes over a link, which show whether anything is lost, repeated
//! or reordered while paths change under it. Only drills ask for them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::core::Mono;
use crate::core::outbox::Outbox;
use crate::core::wire::{Echo, Message};
use crate::model::{CommandId, Done, EchoReport, PeerId, millis};

/// How long the last answers have to come.
const LAST_WITHIN: Duration = Duration::from_secs(10);
/// Round trips that are kept.
const TRIPS_MAX: usize = 1 << 16;
/// Of 64 bits of a number, those that name the echo within its run.
const WITHIN_RUN: u64 = (1 << 32) - 1;

/// A run of echoes.
#[derive(Debug)]
struct Run {
    peer: PeerId,
    count: u64,
    every: Duration,
    /// When the next one is sent, or the last answer has had its time.
    due: Mono,
    sent: u64,
    /// The number that should come next.
    next: u64,
    missing: BTreeSet<u64>,
    repeated: u64,
    reordered: u64,
    answered: u64,
    last: Mono,
    gap: Duration,
    /// When those were sent that are not answered yet.
    under_way: BTreeMap<u64, Mono>,
    /// How long answers took.
    trips: Vec<Duration>,
}

/// The runs under way.
#[derive(Debug, Default)]
pub(super) struct Echoes {
    runs: BTreeMap<CommandId, Run>,
    /// Numbers of the echoes that came, in their order.
    #[cfg(test)]
    pub(super) came: Vec<u64>,
}

impl Run {
    fn new(peer: PeerId, count: u64, every: Duration, now: Mono) -> Self {
        Self {
            peer,
            count,
            every,
            due: now,
            sent: 0,
            next: 0,
            missing: BTreeSet::new(),
            repeated: 0,
            reordered: 0,
            answered: 0,
            last: now,
            gap: Duration::ZERO,
            under_way: BTreeMap::new(),
            trips: Vec::new(),
        }
    }

    fn on_reply(&mut self, n: u64, now: Mono) {
        self.gap = self.gap.max(now.since(self.last));
        self.last = now;
        if let Some(sent) = self.under_way.remove(&n)
            && self.trips.len() < TRIPS_MAX
        {
            self.trips.push(now.since(sent));
        }
        if n >= self.next {
            self.missing.extend(self.next..n);
            self.next = n + 1;
        } else if self.missing.remove(&n) {
            self.reordered += 1;
        } else {
            self.repeated += 1;
            return;
        }
        self.answered += 1;
    }

    fn report(&self) -> EchoReport {
        EchoReport {
            sent: self.sent,
            answered: self.answered,
            lost: self.sent - self.answered,
            repeated: self.repeated,
            reordered: self.reordered,
            gap_ms: millis(self.gap),
            rtt_ms: self.round_trip().map(|trip| trip.as_micros().div_ceil(1_000) as u64),
        }
    }

    /// What nine of ten answers took at most: the slower one's of two lanes that
    /// carried, and not what came late once.
    fn round_trip(&self) -> Option<Duration> {
        let mut trips = self.trips.clone();
        trips.sort_unstable();
        trips.get((trips.len() * 9).div_ceil(10).saturating_sub(1)).copied()
    }
}

impl Echoes {
    pub(super) fn next_timeout(&self) -> Option<Mono> {
        self.runs.values().map(|run| run.due).min()
    }

    /// A command to send echoes to a linked peer.
    pub(super) fn run(
        &mut self,
        id: CommandId,
        peer: PeerId,
        (count, every_ms): (u32, u32),
        now: Mono,
        out: &mut Outbox,
    ) {
        let every = Duration::from_millis(every_ms.max(1).into());
        self.runs.insert(id, Run::new(peer, count.into(), every, now));
        self.timeout(now, out);
    }

    /// A message came.
    pub(super) fn handle(&mut self, from: PeerId, message: Message, now: Mono, out: &mut Outbox) {
        match message {
            Message::Echo(echo) => {
                #[cfg(test)]
                self.came.push(echo.id);
                out.send(from, Message::EchoReply(echo));
            }
            Message::EchoReply(echo) => self.on_reply(from, &echo, now, out),
            _ => {}
        }
    }

    fn on_reply(&mut self, from: PeerId, echo: &Echo, now: Mono, out: &mut Outbox) {
        let run = self
            .runs
            .iter_mut()
            .find(|(id, run)| (id.0 & WITHIN_RUN) << 32 == echo.id & !WITHIN_RUN && run.peer == from);
        let Some((id, run)) = run else { return };
        run.on_reply(echo.id & WITHIN_RUN, now);
        if run.sent == run.count && run.answered == run.sent {
            let id = *id;
            self.end(id, out);
        }
    }

    pub(super) fn timeout(&mut self, now: Mono, out: &mut Outbox) {
        let due = |(id, run): (&CommandId, &Run)| (run.due <= now).then_some(*id);
        for id in self.runs.iter().filter_map(due).collect::<Vec<_>>() {
            let Some(run) = self.runs.get_mut(&id) else { continue };
            if run.sent == run.count {
                self.end(id, out);
                continue;
            }
            let (peer, number) = (run.peer, (id.0 & WITHIN_RUN) << 32 | run.sent);
            run.under_way.insert(run.sent, now);
            run.sent += 1;
            run.due = run.due + run.every;
            if run.sent == run.count {
                run.due = now + LAST_WITHIN;
            }
            out.send(peer, Message::Echo(Echo { id: number, payload: Vec::new() }));
        }
    }

    fn end(&mut self, id: CommandId, out: &mut Outbox) {
        if let Some(run) = self.runs.remove(&id) {
            out.answer(id, Ok(Done::Echoed(run.report())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_repeated_or_reordered_is_counted_apart() {
        let at = Mono::from_millis;
        let mut run = Run {
            sent: 7,
            under_way: (0..7).map(|n| (n, at(0))).collect(),
            ..Run::new(PeerId([1; 32]), 7, Duration::from_millis(1), at(0))
        };
        for (n, ms) in [(0, 1), (1, 2), (3, 3), (2, 4), (3, 5), (6, 500)] {
            run.on_reply(n, at(ms));
        }
        let report = EchoReport {
            sent: 7,
            answered: 5,
            lost: 2,
            repeated: 1,
            reordered: 1,
            gap_ms: 495,
            rtt_ms: Some(500),
        };
        assert_eq!(run.report(), report);
    }
}
