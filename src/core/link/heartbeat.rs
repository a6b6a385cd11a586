//! Our own liveness: pings on the active connection, answered or missed.
//!
//! QUIC's own idle timeout notices a killed peer after 44 s; this does so
//! after three intervals.

use std::collections::VecDeque;
use std::time::Duration;

use crate::core::Mono;

/// Between pings on direct and punched links.
pub const INTERVAL: Duration = Duration::from_secs(5);
/// Between pings on lanes, and to relays in use: their end is noticed within
/// two seconds.
pub const BRISK_INTERVAL: Duration = Duration::from_millis(500);
/// Misses in a row after which a link is dead.
pub const DEAD_AFTER: u32 = 3;

/// Pings of a new link come this fast, until it has [`WARM_SAMPLES`].
const WARM_INTERVAL: Duration = Duration::from_secs(1);
/// While a link is young the smallest sample counts: the handshakes around it
/// keep both ends busy, which is no property of the path.
const WARM_SAMPLES: u32 = 3;

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
    interval: Duration,
    next: Mono,
    token: u64,
    /// Pings that are not answered yet, oldest first.
    waiting: VecDeque<(u64, Mono)>,
    missed: u32,
    samples: u32,
    smoothed: Option<f64>,
    /// The round trip of the connection before: how patient to be until this
    /// one's is measured.
    before: Option<f64>,
}

impl Heartbeat {
    /// Begins with a ping at once, for an early round-trip time.
    pub fn new(interval: Duration, now: Mono) -> Self {
        Self {
            interval,
            next: now,
            token: 0,
            waiting: VecDeque::new(),
            missed: 0,
            samples: 0,
            smoothed: None,
            before: None,
        }
    }

    /// Begins anew on another connection: its round trip is not measured yet.
    #[must_use]
    pub fn renewed(&self, interval: Duration, now: Mono) -> Self {
        Self { before: self.smoothed.or(self.before), ..Self::new(interval, now) }
    }

    /// Pings at another interval from now on.
    pub fn set_interval(&mut self, interval: Duration, now: Mono) {
        if self.interval != interval {
            self.interval = interval;
            self.next = self.next.min(now + interval);
        }
    }

    /// When [`Self::on_timeout`] will have something.
    pub fn next_timeout(&self) -> Mono {
        self.next
    }

    /// What is due now.
    pub fn on_timeout(&mut self, now: Mono) -> Option<Beat> {
        if now < self.next {
            return None;
        }
        let overdue = self.is_overdue(now);
        if overdue {
            self.missed += 1;
        }
        if self.missed >= DEAD_AFTER {
            return Some(Beat::Dead(self.missed));
        }
        self.token += 1;
        self.waiting.push_back((self.token, now));
        let warm = self.samples < WARM_SAMPLES && !overdue;
        self.next = now + if warm { self.interval.min(WARM_INTERVAL) } else { self.interval };
        Some(if overdue { Beat::Missed(self.token, self.missed) } else { Beat::Ping(self.token) })
    }

    /// Whether an answer should have come; on a path slower than the interval
    /// the ping before is still under way and not missed.
    fn is_overdue(&self, now: Mono) -> bool {
        let patience = self
            .smoothed
            .or(self.before)
            .map_or(Duration::ZERO, |ms| Duration::from_secs_f64(ms * 1.5 / 1e3));
        let patience = patience.max(self.interval);
        self.waiting.front().is_some_and(|(_, sent)| now.since(*sent) >= patience)
    }

    /// Takes an answer; returns how many were missing before it.
    pub fn on_pong(&mut self, token: u64, now: Mono) -> u32 {
        let Some(at) = self.waiting.iter().position(|(waiting, _)| *waiting == token) else { return 0 };
        let (_, sent) = self.waiting[at];
        // Whoever answers this one was there for those before it.
        self.waiting.drain(..=at);
        let sample = now.since(sent).as_secs_f64() * 1e3;
        self.samples = self.samples.saturating_add(1);
        self.smoothed = Some(match self.smoothed {
            None => sample,
            Some(s) if self.samples <= WARM_SAMPLES => s.min(sample),
            // The smoothing of RFC 6298.
            Some(s) => s + (sample - s) / 8.0,
        });
        if self.is_overdue(now) { 0 } else { std::mem::take(&mut self.missed) }
    }

    /// Misses in a row.
    pub fn missed(&self) -> u32 {
        self.missed
    }

    /// The smoothed round trip in milliseconds; `None` before the first answer.
    pub fn rtt_ms(&self) -> Option<f64> {
        self.smoothed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Mono {
        Mono::from_millis(ms)
    }

    /// A heartbeat that is past its youth.
    fn grown(rtt_ms: f64) -> Heartbeat {
        Heartbeat { samples: WARM_SAMPLES, smoothed: Some(rtt_ms), ..Heartbeat::new(INTERVAL, at(0)) }
    }

    #[test]
    fn three_misses_in_a_row_are_death_and_one_is_suspicion() {
        let mut hb = grown(1.0);
        assert_eq!(hb.on_timeout(at(0)), Some(Beat::Ping(1)));
        assert_eq!(hb.on_timeout(at(4_999)), None);
        assert_eq!(hb.on_timeout(at(5_000)), Some(Beat::Missed(2, 1)));
        assert_eq!(hb.on_timeout(at(10_000)), Some(Beat::Missed(3, 2)));
        assert_eq!(hb.on_timeout(at(15_000)), Some(Beat::Dead(3)));
    }

    #[test]
    fn an_answer_clears_the_suspicion_and_measures_the_round_trip() {
        let mut hb = grown(40.0);
        hb.on_timeout(at(0));
        hb.on_timeout(at(5_000));
        assert_eq!(hb.on_pong(2, at(5_040)), 1);
        assert_eq!(hb.missed(), 0);
        assert_eq!(hb.on_timeout(at(10_000)), Some(Beat::Ping(3)));
        hb.on_pong(3, at(10_120));
        assert_eq!(hb.rtt_ms(), Some(50.0));
    }

    #[test]
    fn the_round_trip_of_another_connection_is_not_shown_as_this_ones() {
        let mut hb = grown(1.0).renewed(BRISK_INTERVAL, at(0));
        assert_eq!(hb.rtt_ms(), None);
        let Some(Beat::Ping(token)) = hb.on_timeout(at(0)) else { panic!("no ping") };
        hb.on_pong(token, at(80));
        assert_eq!(hb.rtt_ms(), Some(80.0), "and is not mixed with it");
        // A slow path is given the time that it needed before.
        let mut slow = grown(2_000.0).renewed(BRISK_INTERVAL, at(0));
        slow.on_timeout(at(0));
        assert!(matches!(slow.on_timeout(at(1_000)), Some(Beat::Ping(_))));
    }

    #[test]
    fn a_young_link_is_measured_three_times_in_quick_succession_and_the_smallest_counts() {
        let mut hb = Heartbeat::new(INTERVAL, at(0));
        for (ms, took) in [(0, 90), (1_000, 12), (2_000, 30)] {
            let Some(Beat::Ping(token)) = hb.on_timeout(at(ms)) else { panic!("at {ms}") };
            hb.on_pong(token, at(ms + took));
        }
        assert_eq!(hb.rtt_ms(), Some(12.0));
        assert_eq!(hb.on_timeout(at(3_000)), Some(Beat::Ping(4)));
        assert_eq!(hb.next_timeout(), at(8_000));
    }

    #[test]
    fn a_young_link_that_falls_silent_is_given_no_less_time() {
        let mut hb = Heartbeat::new(INTERVAL, at(0));
        let mut now = 0;
        let dead = loop {
            if let Some(Beat::Dead(_)) = hb.on_timeout(at(now)) {
                break now;
            }
            now += 100;
        };
        assert!((15_000..=16_000).contains(&dead), "{dead}");
    }

    #[test]
    fn a_path_slower_than_the_interval_is_slow_and_not_dead() {
        let mut hb = Heartbeat::new(Duration::from_millis(500), at(0));
        let mut sent = VecDeque::new();
        for ms in (0..20_000).step_by(100) {
            match hb.on_timeout(at(ms)) {
                Some(Beat::Ping(token) | Beat::Missed(token, _)) => sent.push_back((token, ms)),
                Some(Beat::Dead(_)) => panic!("dead after {ms} ms"),
                None => {}
            }
            while let Some((token, _)) = sent.pop_front_if(|(_, at)| *at + 900 <= ms) {
                hb.on_pong(token, at(ms));
            }
        }
        assert_eq!(hb.missed(), 0);
        assert_eq!(hb.rtt_ms(), Some(900.0));
    }

    #[test]
    fn an_answer_nobody_waits_for_is_ignored() {
        let mut hb = Heartbeat::new(INTERVAL, at(0));
        assert_eq!(hb.on_pong(77, at(1)), 0);
        assert_eq!(hb.rtt_ms(), None);
    }
}
