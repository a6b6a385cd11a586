//! Time as it is stored and shown.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Clocks that are kept right are set back by no more.
const CLOCK_STEP: Duration = Duration::from_secs(5);

/// A point in time in milliseconds since the Unix epoch, for storing and
/// showing only.
///
/// A node makes its stamps from the wall clock at its start plus its monotonic
/// clock, so they never jump while it runs. Timers never use them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Stamp(pub i64);

impl Stamp {
    /// Before everything: of something that was at no time that we could tell.
    pub const UNKNOWN: Self = Self(i64::MIN);

    /// How long before `now` this was. Nothing if it lies in the future: then a clock
    /// was ahead when it was made, and nobody knows how long ago that is. A small step
    /// of a clock that is kept right is no such thing.
    pub fn age_if_past(self, now: Stamp) -> Option<Duration> {
        let known = self != Self::UNKNOWN && self <= now.after(CLOCK_STEP);
        known.then(|| self.age_at(now))
    }

    /// How long before `now` this was; zero if it lies in the future.
    pub fn age_at(self, now: Stamp) -> Duration {
        Duration::from_millis(u64::try_from(now.0.saturating_sub(self.0)).unwrap_or(0))
    }

    /// The stamp `ago` earlier.
    #[must_use]
    pub fn before(self, ago: Duration) -> Stamp {
        Stamp(self.0.saturating_sub(i64::try_from(ago.as_millis()).unwrap_or(i64::MAX)))
    }

    /// The stamp `later` later.
    #[must_use]
    pub fn after(self, later: Duration) -> Stamp {
        Stamp(self.0.saturating_add(i64::try_from(later.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// A measured time as it is said: milliseconds below a second, else seconds.
pub fn took(ms: u64) -> String {
    if ms < 1_000 { format!("{ms} ms") } else { format!("{:.2} s", ms as f64 / 1e3) }
}

/// A time in whole milliseconds, as it stands in events and reports.
pub fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
