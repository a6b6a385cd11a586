//! The clocks, read in one place.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::core::{Mono, Now};
use crate::model::Stamp;

/// Turns the system's clocks into the core's [`Now`].
#[derive(Debug, Clone)]
pub(super) struct Clock {
    started: Instant,
    started_wall: Stamp,
    /// Milliseconds by which the wall clock is off, as a lab has it.
    off: Arc<AtomicI64>,
}

impl Clock {
    /// Begins now.
    #[cfg(test)]
    pub(super) fn start() -> Self {
        Self::start_off(Arc::default())
    }

    /// The same with a wall clock that is off, and may jump.
    pub(super) fn start_off(off: Arc<AtomicI64>) -> Self {
        Self { started: Instant::now(), started_wall: wall(&off), off }
    }

    /// The present moment.
    pub(super) fn now(&self) -> Now {
        let mono = self.started.elapsed();
        Now { mono: Mono(mono), wall: wall(&self.off), stamp: self.started_wall.after(mono) }
    }

    /// A moment of the core's as one of the runtime's.
    pub(super) fn instant(&self, at: Mono) -> Instant {
        self.started + at.0
    }
}

fn wall(off: &AtomicI64) -> Stamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let system = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    Stamp(system.saturating_add(off.load(Ordering::Relaxed)))
}
