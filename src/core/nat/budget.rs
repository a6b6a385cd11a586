//! What we may still ask of each responder. We keep its limits ourselves, so
//! that a request it would not serve is never counted as one that was filtered.

use std::collections::BTreeMap;

use crate::core::Mono;
use crate::core::bucket::Bucket;
use crate::core::limits::{DIAL_BACKS_PER_MINUTE, METERS_MAX, PROBE_REFLECTIONS_PER_MINUTE};
use crate::model::PeerId;

/// The meters of one peer, the same at both ends.
#[derive(Debug, Clone)]
pub(super) struct Meters {
    pub(super) reflections: Bucket,
    pub(super) dial_backs: Bucket,
}

/// We spend a little less than we are granted: what leaves us evenly does not
/// arrive evenly.
const THRIFT: f64 = 0.95;

impl Meters {
    pub(super) fn new(now: Mono) -> Self {
        Self::at(1.0, now)
    }

    fn at(rate: f64, now: Mono) -> Self {
        let a_minute = |n: f64| Bucket::new(n, rate * n / 60.0, now);
        Self {
            reflections: a_minute(PROBE_REFLECTIONS_PER_MINUTE),
            dial_backs: a_minute(DIAL_BACKS_PER_MINUTE),
        }
    }
}

/// What we used of each responder's meters.
#[derive(Debug, Default)]
pub(super) struct Budgets(BTreeMap<PeerId, Meters>);

impl Budgets {
    fn of(&mut self, peer: PeerId, now: Mono) -> &mut Meters {
        if self.0.len() >= METERS_MAX && !self.0.contains_key(&peer) {
            self.0.clear();
        }
        self.0.entry(peer).or_insert_with(|| Meters::at(THRIFT, now))
    }

    pub(super) fn take_reflection(&mut self, peer: PeerId, now: Mono) -> bool {
        self.of(peer, now).reflections.take(now)
    }

    pub(super) fn take_dial_back(&mut self, peer: PeerId, now: Mono) -> bool {
        self.of(peer, now).dial_backs.take(now)
    }

    /// What was taken was not used.
    pub(super) fn give_dial_back(&mut self, peer: PeerId, now: Mono) {
        self.of(peer, now).dial_backs.grant(1.0, DIAL_BACKS_PER_MINUTE, now);
    }

    /// Whether that many dial-backs are left.
    pub(super) fn has_dial_backs(&mut self, peer: PeerId, count: f64, now: Mono) -> bool {
        self.of(peer, now).dial_backs.clone().take_many(count, now)
    }

    /// Whether that many reflections are left.
    pub(super) fn has_reflections(&mut self, peer: PeerId, count: f64, now: Mono) -> bool {
        self.of(peer, now).reflections.clone().take_many(count, now)
    }
}
