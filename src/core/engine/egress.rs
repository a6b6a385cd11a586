//! When the node tests itself for the holes that the library leaves open, and
//! what the tests found. How it is done is the node's.

use std::time::Duration;

use super::{Action, Engine, SelfTested};
use crate::core::{Mono, Now};
use crate::model::{EventKind, Evidence, Exposure, Reason};

/// Rules of a host change while a node runs, though rarely: this often the
/// test is made again.
const EVERY: Duration = Duration::from_secs(3600);

/// What a node does about the self-test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SelfTest {
    /// Nothing: somebody else answers for this host.
    Off,
    /// Makes it at the start and hourly.
    AtStart,
    /// The same, and the first was made before the start.
    Made(SelfTested),
}

/// What the engine holds of it.
#[derive(Debug)]
pub(super) struct Egress {
    pub(super) relay: Exposure,
    pub(super) coordinator: Exposure,
    next: Option<Mono>,
}

impl Default for Egress {
    fn default() -> Self {
        Self { relay: Exposure::UNTESTED, coordinator: Exposure::UNTESTED, next: None }
    }
}

impl Egress {
    pub(super) fn next_timeout(&self) -> Option<Mono> {
        self.next
    }
}

impl Engine {
    pub(super) fn begin_self_test(&mut self, now: Now) {
        match self.config.self_test.clone() {
            SelfTest::Off => {
                let evidence = Evidence::NotMeasured { reason: Reason::NotAsked };
                let untested = Exposure { evidence, ..Exposure::UNTESTED };
                (self.egress.relay, self.egress.coordinator) = (untested.clone(), untested);
            }
            SelfTest::AtStart => self.start_self_test(now),
            SelfTest::Made(seen) => {
                self.egress.next = Some(now.mono + EVERY);
                self.on_egress_tested(seen, now);
            }
        }
    }

    pub(super) fn self_test_timeout(&mut self, now: Now) {
        if self.egress.next.is_some_and(|at| at <= now.mono) {
            self.start_self_test(now);
        }
    }

    /// The next one is due an hour after this one began, whether this one gives
    /// an answer or not.
    fn start_self_test(&mut self, now: Now) {
        self.egress.next = Some(now.mono + EVERY);
        self.out.push_back(Action::TestEgress);
    }

    /// Told only where it is news: an hourly alarm about the same hole is one
    /// that nobody reads.
    pub(super) fn on_egress_tested(&mut self, SelfTested { relay, coordinator }: SelfTested, now: Now) {
        let relay = Exposure::tested(relay, now.stamp);
        let coordinator = Exposure::tested(coordinator, now.stamp);
        let relay_before = std::mem::replace(&mut self.egress.relay, relay.clone());
        let coordinator_before = std::mem::replace(&mut self.egress.coordinator, coordinator.clone());
        if relay_before.evidence != relay.evidence {
            let kind = EventKind::RelayEgress { state: relay.state, evidence: relay.evidence };
            self.event(None, kind, now);
        }
        if coordinator_before.evidence != coordinator.evidence {
            let kind = EventKind::Coordinator { state: coordinator.state, evidence: coordinator.evidence };
            self.event(None, kind, now);
        }
    }
}
