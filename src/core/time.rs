//! Time as the core is told it.

use std::time::Duration;

use crate::model::Stamp;

/// Monotonic time since the node started. All timers run on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mono(pub Duration);

impl Mono {
    /// From milliseconds since the node started.
    pub const fn from_millis(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }

    /// The time since `earlier`; zero if that lies in the future.
    pub fn since(self, earlier: Mono) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl std::ops::Add<Duration> for Mono {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(rhs))
    }
}

/// The present moment, handed in with every input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// For timers.
    pub mono: Mono,
    /// The system's wall clock, for the one place that tells a peer our time.
    pub wall: Stamp,
    /// The wall clock at the node's start plus `mono`: what is stored and
    /// shown, because it never jumps.
    pub stamp: Stamp,
}

impl Now {
    /// The stamp of an earlier monotonic time.
    pub fn stamp_of(self, mono: Mono) -> Stamp {
        if mono <= self.mono {
            self.stamp.before(self.mono.since(mono))
        } else {
            self.stamp.after(mono.since(self.mono))
        }
    }

    /// Both clocks advanced, for simulations.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self { mono: self.mono + by, wall: self.wall.after(by), stamp: self.stamp.after(by) }
    }

    /// The first moment of a simulation.
    pub const START: Self =
        Self { mono: Mono(Duration::ZERO), wall: Stamp(1_800_000_000_000), stamp: Stamp(1_800_000_000_000) };
}
