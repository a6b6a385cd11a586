//! The clocks, read in one place.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::core::{Mono, Now};
use crate::model::Stamp;

/// Turns the system's clocks into the core's [`Now`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    started: Instant,
    started_wall: Stamp,
}

impl Clock {
    /// Begins now.
    pub(super) fn start() -> Self {
        Self { started: Instant::now(), started_wall: wall() }
    }

    /// The present moment.
    pub(super) fn now(&self) -> Now {
        let mono = self.started.elapsed();
        Now { mono: Mono(mono), wall: wall(), stamp: self.started_wall.after(mono) }
    }

    /// A moment of the core's as one of the runtime's.
    pub(super) fn instant(&self, at: Mono) -> Instant {
        self.started + at.0
    }
}

fn wall() -> Stamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Stamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
