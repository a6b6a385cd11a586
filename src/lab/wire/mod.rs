//! A wire in user space: frames go from one interface to another, later, slower
//! or not at all.
//!
//! It needs no `netem` and no root beyond the user namespace: both ends are
//! packet sockets on interfaces of the lab. What it does is set live and alike
//! for both directions. It reorders only where it is asked to: jitter stretches, as
//! a queue does.

mod checksum;
mod exchange;
mod lane;
mod tap;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub use super::conditions::Conditions;
pub(super) use exchange::Exchange;
pub(super) use tap::Tap;

/// What became of the frames of a wire, both directions together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Passed {
    /// Delivered.
    pub delivered: u64,
    /// Lost because [`Conditions::loss`] says so.
    pub lost: u64,
    /// Lost because they were longer than [`Conditions::mtu`].
    pub too_long: u64,
    /// Lost because they were UDP.
    pub no_udp: u64,
    /// Lost because the wire was cut.
    pub cut: u64,
    /// Dropped because too many were waiting.
    pub overflowed: u64,
    /// Refused by the interface, above all frames larger than it takes.
    pub refused: u64,
}

#[derive(Debug, Default)]
struct Counters {
    delivered: AtomicU64,
    lost: AtomicU64,
    too_long: AtomicU64,
    no_udp: AtomicU64,
    cut: AtomicU64,
    overflowed: AtomicU64,
    refused: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    conditions: Mutex<Conditions>,
    counters: Counters,
}

impl State {
    fn conditions(&self) -> Conditions {
        *self.conditions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The handle of a wire. The wire itself lives as long as the lab.
#[derive(Debug, Clone)]
pub struct Wire(Arc<State>);

impl Wire {
    /// What it does now.
    pub fn conditions(&self) -> Conditions {
        self.0.conditions()
    }

    /// Changes what it does from the next frame on.
    pub fn set(&self, conditions: Conditions) {
        *self.0.conditions.lock().unwrap_or_else(PoisonError::into_inner) = conditions;
    }

    /// Cuts it or joins it again; the rest stays as it was.
    pub fn set_cut(&self, cut: bool) {
        self.0.conditions.lock().unwrap_or_else(PoisonError::into_inner).cut = cut;
    }

    /// What became of the frames until now.
    pub fn passed(&self) -> Passed {
        let counters = &self.0.counters;
        let read = |c: &AtomicU64| c.load(Ordering::Relaxed);
        Passed {
            delivered: read(&counters.delivered),
            lost: read(&counters.lost),
            too_long: read(&counters.too_long),
            no_udp: read(&counters.no_udp),
            cut: read(&counters.cut),
            overflowed: read(&counters.overflowed),
            refused: read(&counters.refused),
        }
    }
}
