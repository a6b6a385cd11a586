//! Load that backs off: how much of it may be under way.
//!
//! What arrives at the other end comes back with every datagram. From that follows what
//! the path carries, and no more is kept under way than it carries in its fastest round
//! trip and [`TARGET`] more. At the start that doubles with each round trip, until round
//! trips grow. So the narrowest wire of the path is busy, and its queue short.

use std::collections::VecDeque;
use std::time::Duration;

use crate::core::Mono;
use crate::core::limits::TEST_WINDOW_MAX;
use crate::core::wire::TestTerms;

/// How much longer than the fastest round trip is aimed for: enough to keep a queue
/// from running empty, and little beside what a heartbeat is waited for.
pub const TARGET: Duration = Duration::from_millis(25);
/// Round trips that took this much longer mean that it is too much.
const HIGH: Duration = Duration::from_millis(40);
/// Under way at least: as much as QUIC begins with.
const WINDOW_MIN: u64 = 12_000;
/// Under way at the start: what a path of 1.3 Mbit/s carries in its round trip, but ...
const FIRST_PER_SECOND: f64 = 160_000.0;
/// ... no more than this.
const WINDOW_FIRST_MAX: u64 = 32_000;
/// What arrives is averaged over a round trip, and no less than this.
const AVERAGED: Duration = Duration::from_millis(60);
/// What arrives is told, and more given, only so often: that much longer than a round
/// trip the word of it takes.
const TOLD: Duration = Duration::from_millis(20);
/// How much faster than a window a round trip is sent, so that it is used up.
const SPREAD: f64 = 1.25;
/// The same while it doubles.
const SPREAD_STARTING: f64 = 2.0;
/// Given at once to catch up with a tick that came late.
const LATE: Duration = Duration::from_millis(50);

/// One direction's load.
#[derive(Debug)]
pub struct Flow {
    /// In bytes per second.
    rate: f64,
    /// Bytes that may still be sent.
    left: u64,
    sent: u64,
    arrived: u64,
    window: f64,
    /// The fastest round trip, with what the word of it takes.
    trip: Duration,
    starting: bool,
    /// What had arrived when, over the time that is averaged.
    lately: VecDeque<(Mono, u64)>,
    /// When was last backed off.
    backed_off: Option<Mono>,
    given: Mono,
}

impl Flow {
    /// Load within those terms from now on. `base`: the fastest round trip.
    pub fn new(terms: &TestTerms, base: Duration, now: Mono) -> Self {
        Self {
            rate: terms.rate.into(),
            left: terms.bytes.into(),
            sent: 0,
            arrived: 0,
            window: (base.as_secs_f64() * FIRST_PER_SECOND).clamp(WINDOW_MIN as f64, WINDOW_FIRST_MAX as f64),
            trip: base + TOLD,
            starting: true,
            lately: VecDeque::from([(now, 0)]),
            backed_off: None,
            given: now,
        }
    }

    /// How much more may be sent now; it counts as sent.
    pub fn give(&mut self, now: Mono) -> u64 {
        let time = now.since(self.given).min(LATE);
        self.given = now;
        // A window is spread over its round trip, or it would come in bursts that fill
        // queues and leave them empty.
        let gain = if self.starting { SPREAD_STARTING } else { SPREAD };
        let spread = gain * self.window / self.trip.as_secs_f64();
        let by_rate = (self.rate.min(spread) * time.as_secs_f64()) as u64;
        let room = (self.window as u64).saturating_sub(self.sent - self.arrived);
        let bytes = by_rate.min(room).min(self.left);
        self.left -= bytes;
        self.sent += bytes;
        bytes
    }

    /// The other end says what arrived. `base`: the fastest round trip; `queue`: how
    /// much longer the last one took.
    pub fn on_arrived(&mut self, total: u64, base: Duration, queue: Duration, now: Mono) {
        // More than was sent is nobody's to say.
        let total = total.min(self.sent);
        let new = total.saturating_sub(self.arrived);
        self.trip = base + TOLD;
        self.arrived = self.arrived.max(total);
        self.lately.push_back((now, self.arrived));
        let over = base.max(AVERAGED);
        while self.lately.len() > 2 && self.lately.get(1).is_some_and(|(at, _)| now.since(*at) >= over) {
            self.lately.pop_front();
        }
        if queue > HIGH {
            let pause = base + queue;
            if self.backed_off.is_none_or(|at| now.since(at) >= pause) {
                self.backed_off = Some(now);
                self.starting = false;
                self.window = self.carried(now) * (self.trip + TARGET).as_secs_f64();
            }
        } else {
            // The less the closer to too much.
            let room = 1.0 - queue.as_secs_f64() / HIGH.as_secs_f64();
            let growth = if self.starting { room } else { room / 6.0 };
            self.window += new as f64 * growth;
        }
        self.window = self.window.clamp(WINDOW_MIN as f64, TEST_WINDOW_MAX as f64);
    }

    /// Bytes a second that arrived lately.
    fn carried(&self, now: Mono) -> f64 {
        let (since, before) = self.lately.front().copied().unwrap_or((now, 0));
        (self.arrived - before) as f64 / now.since(since).as_secs_f64().max(0.001)
    }
}
