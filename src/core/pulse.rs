//! Whether this host stood still, and whether its clock was set: told from beats that come
//! every few seconds, by the clocks alone. Nothing here does anything about it; links end
//! by their own rules, and only ages travel.

use std::time::Duration;

use super::Now;
use crate::model::{Stamp, millis};

/// Between two beats a node that runs is never away for so long, on a busy host either.
const STILL_MIN: Duration = Duration::from_secs(10);
/// By less than that clocks are set all the time, by whoever keeps them right.
const SET_MIN_MS: u64 = 10_000;

/// A host, or its node, that did not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoodStill {
    /// Until when.
    pub until: Stamp,
    /// For how long.
    pub lasted: Duration,
}

/// A clock that was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockSet {
    /// When it was noticed.
    pub at: Stamp,
    /// How much later it is by it than before, in milliseconds.
    pub by_ms: i64,
}

/// What the beats told.
#[derive(Debug, Default)]
pub struct Pulse {
    last: Option<(Now, Duration)>,
    stood_still: Option<StoodStill>,
    clock_set: Option<ClockSet>,
}

impl Pulse {
    /// A beat. `asleep`: how long the host was suspended so far, as its clocks say.
    pub fn beat(&mut self, asleep: Duration, now: Now) {
        let Some((last, slept)) = self.last.replace((now, asleep)) else { return };
        let passed = now.mono.since(last.mono) + asleep.saturating_sub(slept);
        if passed >= STILL_MIN {
            self.stood_still = Some(StoodStill { until: now.stamp, lasted: passed });
        }
        let passed = i64::try_from(millis(passed)).unwrap_or(i64::MAX);
        let by_ms = now.wall.0.saturating_sub(last.wall.0).saturating_sub(passed);
        if by_ms.unsigned_abs() >= SET_MIN_MS {
            self.clock_set = Some(ClockSet { at: now.stamp, by_ms });
        }
    }

    /// When the host last stood still.
    pub fn stood_still(&self) -> Option<StoodStill> {
        self.stood_still
    }

    /// When its clock was last set.
    pub fn clock_set(&self) -> Option<ClockSet> {
        self.clock_set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A moment so many seconds later, by each clock.
    fn after(now: Now, mono: u64, wall: i64) -> Now {
        let later = now.plus(Duration::from_secs(mono));
        Now { wall: Stamp(now.wall.0 + wall * 1_000), ..later }
    }

    #[test]
    fn a_beat_that_comes_in_time_tells_nothing() {
        let (mut pulse, mut now) = (Pulse::default(), Now::START);
        for _ in 0..5 {
            pulse.beat(Duration::ZERO, now);
            now = after(now, 2, 2);
        }
        assert_eq!((pulse.stood_still(), pulse.clock_set()), (None, None));
    }

    #[test]
    fn a_node_that_was_stopped_stood_still_and_its_clock_was_not_set() {
        let mut pulse = Pulse::default();
        pulse.beat(Duration::ZERO, Now::START);
        let woken = after(Now::START, 30, 30);
        pulse.beat(Duration::ZERO, woken);
        let lasted = Duration::from_secs(30);
        assert_eq!(pulse.stood_still(), Some(StoodStill { until: woken.stamp, lasted }));
        assert_eq!(pulse.clock_set(), None);
    }

    #[test]
    fn a_suspended_host_stood_still_though_its_monotonic_clock_did_too() {
        let mut pulse = Pulse::default();
        pulse.beat(Duration::from_secs(5), Now::START);
        pulse.beat(Duration::from_secs(605), after(Now::START, 2, 602));
        assert_eq!(pulse.stood_still().map(|s| s.lasted), Some(Duration::from_secs(602)));
        assert_eq!(pulse.clock_set(), None, "it went on as it should");
    }

    #[test]
    fn a_clock_that_was_set_is_told_with_by_how_much() {
        for by in [3_600, -7_200] {
            let mut pulse = Pulse::default();
            pulse.beat(Duration::ZERO, Now::START);
            pulse.beat(Duration::ZERO, after(Now::START, 2, 2 + by));
            assert_eq!(pulse.clock_set().map(|set| set.by_ms), Some(by * 1_000));
            assert_eq!(pulse.stood_still(), None);
        }
    }
}
