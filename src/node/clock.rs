//! The clocks, read in one place.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::core::{Mono, Now};
use crate::model::Stamp;

/// Turns the system's clocks into the core's [`Now`].
#[derive(Debug, Clone)]
pub(super) struct Clock {
    started: Instant,
    started_wall: Stamp,
    /// The host's uptime then.
    started_up: Duration,
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
        Self { started: Instant::now(), started_wall: wall(&off), started_up: uptime(), off }
    }

    /// The present moment.
    pub(super) fn now(&self) -> Now {
        let mono = self.started.elapsed();
        Now { mono: Mono(mono), wall: wall(&self.off), stamp: self.started_wall.after(mono) }
    }

    /// How long this host was suspended since then, to a second: its uptime counts that, and
    /// our own clock does not.
    pub(super) fn asleep(&self) -> Duration {
        uptime().saturating_sub(self.started_up).saturating_sub(self.started.elapsed())
    }

    /// A moment of the core's as one of the runtime's.
    pub(super) fn instant(&self, at: Mono) -> Instant {
        self.started + at.0
    }
}

/// How long ago this host started, the times when it was suspended included, in whole seconds.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn uptime() -> Duration {
    Duration::from_secs(u64::try_from(rustix::system::sysinfo().uptime).unwrap_or(0))
}

/// Elsewhere nobody can tell.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn uptime() -> Duration {
    Duration::ZERO
}

fn wall(off: &AtomicI64) -> Stamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let system = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    Stamp(system.saturating_add(off.load(Ordering::Relaxed)))
}
