//! Our own liveness: pings on a connection, answered or missed.
//!
//! QUIC's own idle timeout notices a killed peer after 44 s; this does so within
//! three. What is heard of the other end is as good as an answer; a round trip is
//! measured by answers alone.

use std::collections::VecDeque;
use std::time::Duration;

use crate::core::Mono;

/// Between pings on the lane that carries a link, and to relays in use: their end
/// is noticed within two seconds, and how late is late is known at any time.
pub const FAST_HEARTBEAT: Duration = Duration::from_millis(500);
/// A direct or punched link of a node with few links is pinged when nothing was
/// heard for this long. A ping with its answer and their acknowledgements, some 250
/// bytes with all headers, serves both ends.
const CALM_INTERVAL: Duration = Duration::from_millis(1500);
/// One end waits so much longer, or both would ping at the same moment for ever.
/// With [`URGENT_INTERVAL`] thrice a peer that was killed is noticed within 3 s.
const SECOND_LATER: Duration = Duration::from_millis(300);
/// A link on which the other end pings is pinged this often all the same: what it
/// takes there and back is shown.
const MEASURE_EVERY: Duration = Duration::from_secs(30);
/// The same of a node with as many links as it may have.
const CROWDED_INTERVAL: Duration = Duration::from_secs(5);
/// So many links are few.
pub const FEW_LINKS: usize = 64;
/// On what only stands by: soon enough to put another in its place, rare enough
/// to cost nothing.
pub const STANDBY_INTERVAL: Duration = Duration::from_secs(5);
/// Between pings when one was not answered, where they are rare otherwise.
const URGENT_INTERVAL: Duration = Duration::from_millis(350);
/// Misses in a row after which a link is dead.
pub const DEAD_AFTER: u32 = 3;

/// Pings of a new connection come this fast, until it has [`WARM_SAMPLES`].
const WARM_INTERVAL: Duration = Duration::from_secs(1);
/// While a connection is young the smallest sample counts: the handshakes around
/// it keep both ends busy, which is no property of the path.
const WARM_SAMPLES: u32 = 3;
/// How long an answer is waited for where no round trip was measured yet.
const FIRST_PATIENCE: Duration = Duration::from_secs(3);
/// Pings of which the answer is still waited for; older ones say nothing more.
const WAITING_MAX: usize = 32;

/// How a connection is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Pinged every [`FAST_HEARTBEAT`], whatever is heard.
    Fast,
    /// Pinged when nothing was heard, by a node with so many links.
    Calm {
        /// How many.
        links: usize,
        /// Whether the other end pings first.
        second: bool,
    },
    /// The same, of a connection that only stands by.
    Standby,
}

impl Pace {
    /// How long nothing may be heard before a ping. With many links it grows, so
    /// that all together cost no more than half as much again.
    pub fn interval(self) -> Duration {
        match self {
            Self::Fast => FAST_HEARTBEAT,
            Self::Standby => STANDBY_INTERVAL,
            Self::Calm { links, second } => {
                let max = crate::core::limits::LINKS_MAX;
                let beyond = links.min(max).saturating_sub(FEW_LINKS);
                let share = beyond as f64 / (max - FEW_LINKS) as f64;
                let first = CALM_INTERVAL + CROWDED_INTERVAL.saturating_sub(CALM_INTERVAL).mul_f64(share);
                if second { first + SECOND_LATER } else { first }
            }
        }
    }

    /// Between pings when one was not answered.
    fn urgent(self) -> Duration {
        if self == Self::Fast { FAST_HEARTBEAT } else { URGENT_INTERVAL }
    }
}

/// What the passing of time brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// Send a ping with this token.
    Ping(u64),
    /// The same, and the one before was not answered: so many are missing.
    Missed(u64, u32),
    /// Too many are missing.
    Dead(u32),
}

/// The pings of one connection.
#[derive(Debug)]
pub struct Heartbeat {
    pace: Pace,
    next: Mono,
    token: u64,
    /// Pings that are not answered yet, oldest first.
    waiting: VecDeque<(u64, Mono)>,
    /// When anything was last heard.
    heard: Mono,
    /// When the round trip was last measured.
    measured: Mono,
    missed: u32,
    samples: u32,
    smoothed: Option<f64>,
    /// How far samples lie from it, smoothed.
    varies: f64,
    /// The round trip of the connection before: how patient to be until this
    /// one's is measured.
    before: Option<f64>,
}

impl Heartbeat {
    /// Begins with a ping at once, for an early round-trip time. `before`: the
    /// round trip of the connection before this one, if there was one.
    pub fn new(pace: Pace, before: Option<f64>, now: Mono) -> Self {
        Self {
            pace,
            next: now,
            token: 0,
            waiting: VecDeque::new(),
            heard: now,
            measured: now,
            missed: 0,
            samples: 0,
            smoothed: None,
            varies: 0.0,
            before,
        }
    }

    /// Watches at another pace from now on.
    pub fn set_pace(&mut self, pace: Pace, now: Mono) {
        if self.pace != pace {
            self.pace = pace;
            self.next = self.next.min(now + pace.interval());
        }
    }

    /// When [`Self::on_timeout`] will have something.
    pub fn next_timeout(&self) -> Mono {
        self.next
    }

    /// When anything was last heard.
    pub fn heard_at(&self) -> Mono {
        self.heard
    }

    /// What is due now.
    pub fn on_timeout(&mut self, now: Mono) -> Option<Beat> {
        if now < self.next {
            return None;
        }
        let overdue = self.is_overdue(now);
        let heard = now.since(self.heard) < self.pace.interval();
        let measured = now.since(self.measured) < MEASURE_EVERY && !self.is_young();
        if overdue {
            self.missed += 1;
        } else if self.pace != Pace::Fast && heard && (measured || !self.waiting.is_empty()) {
            // What was heard says as much as an answer would.
            self.next = self.heard + self.pace.interval();
            return None;
        }
        if self.missed >= DEAD_AFTER {
            return Some(Beat::Dead(self.missed));
        }
        let token = self.ping(now);
        self.next = now
            + match self.pace {
                _ if overdue => self.pace.urgent(),
                Pace::Fast => FAST_HEARTBEAT,
                // While it is young the answer is looked for no later, and the
                // next sample is taken then.
                pace if self.is_young() => pace.interval().min(WARM_INTERVAL),
                _ => self.patience(),
            };
        Some(if overdue { Beat::Missed(token, self.missed) } else { Beat::Ping(token) })
    }

    /// A ping beside the rhythm.
    pub fn ping(&mut self, now: Mono) -> u64 {
        self.token += 1;
        if self.waiting.len() >= WAITING_MAX {
            self.waiting.pop_front();
        }
        self.waiting.push_back((self.token, now));
        self.token
    }

    fn is_young(&self) -> bool {
        self.samples < WARM_SAMPLES
    }

    /// How long an answer may take; on a path slower than the interval the ping
    /// before is still under way and not missed.
    fn patience(&self) -> Duration {
        let known = self.smoothed.or(self.before);
        let measured = known.map_or(FIRST_PATIENCE, |ms| ms_of(ms * 1.5 + 4.0 * self.varies));
        measured.max(self.pace.urgent())
    }

    /// Whether an answer should have come, and nothing else did.
    fn is_overdue(&self, now: Mono) -> bool {
        let due = |(_, sent): &(u64, Mono)| now.since((*sent).max(self.heard)) >= self.patience();
        self.waiting.front().is_some_and(due)
    }

    /// Since when an answer is waited for, if one is.
    pub fn waiting_since(&self) -> Option<Mono> {
        self.waiting.front().map(|(_, sent)| *sent)
    }

    /// Anything was heard; returns how many answers were missing before it.
    pub fn on_heard(&mut self, now: Mono) -> u32 {
        self.heard = now;
        std::mem::take(&mut self.missed)
    }

    /// Takes an answer; whether it was waited for.
    pub fn on_pong(&mut self, token: u64, now: Mono) -> bool {
        let Some(at) = self.waiting.iter().position(|(waiting, _)| *waiting == token) else { return false };
        let (_, sent) = self.waiting[at];
        // Whoever answers this one was there for those before it.
        self.waiting.drain(..=at);
        let sample = now.since(sent).as_secs_f64() * 1e3;
        self.samples = self.samples.saturating_add(1);
        self.measured = now;
        self.smoothed = Some(match self.smoothed {
            None => sample,
            Some(s) if self.samples <= WARM_SAMPLES => s.min(sample),
            // The smoothing of RFC 6298.
            Some(s) => {
                self.varies += ((sample - s).abs() - self.varies) / 4.0;
                s + (sample - s) / 8.0
            }
        });
        true
    }

    /// Misses in a row.
    pub fn missed(&self) -> u32 {
        self.missed
    }

    /// The smoothed round trip in milliseconds; `None` before the first answer.
    pub fn rtt_ms(&self) -> Option<f64> {
        self.smoothed
    }

    /// The same, and when it was last measured.
    pub fn rtt(&self) -> Option<(f64, Mono)> {
        self.smoothed.map(|ms| (ms, self.measured))
    }

    /// The same, or that of the connection before.
    pub fn rtt_guess_ms(&self) -> Option<f64> {
        self.smoothed.or(self.before)
    }

    /// The round trip, and how much more it takes now and then: what varies
    /// counts four times, as in RFC 6298.
    pub fn round_trip(&self) -> Option<(Duration, Duration)> {
        self.rtt_guess_ms().map(|ms| (ms_of(ms), ms_of(4.0 * self.varies)))
    }
}

fn ms_of(ms: f64) -> Duration {
    Duration::from_secs_f64(ms / 1e3)
}

#[cfg(test)]
mod tests;
