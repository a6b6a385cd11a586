//! With whom a run is due, and when.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::core::Mono;
use crate::model::{PeerId, Reason};

/// A link that nobody here asked for runs over its relay for so long first.
const AFTER: Duration = Duration::from_secs(5);
/// The end with the larger id leaves the other one the first word.
const POLITE: Duration = Duration::from_secs(2);
/// While another run is under way.
const BUSY: Duration = Duration::from_millis(500);
/// After runs that failed.
const BACKOFF: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(60), Duration::from_secs(300)];
/// A peer that does not want to, or knows nothing of it, is not asked again before.
const REFUSED: Duration = Duration::from_secs(600);
/// After a NAT changed.
const SOON: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Wanted {
    at: Mono,
    by_hand: bool,
    polite: bool,
    failures: usize,
}

/// The peers with which a run is wanted.
#[derive(Debug, Default)]
pub(super) struct Schedule(BTreeMap<PeerId, Wanted>);

impl Schedule {
    pub(super) fn want(&mut self, peer: PeerId, by_hand: bool, polite: bool, now: Mono) {
        let at = match (by_hand, polite) {
            (true, _) => now,
            (false, false) => now + AFTER,
            (false, true) => now + AFTER + POLITE,
        };
        let wanted = self.0.entry(peer).or_insert(Wanted { at, by_hand, polite, failures: 0 });
        if by_hand && !wanted.by_hand {
            (wanted.at, wanted.by_hand) = (wanted.at.min(at), true);
        }
    }

    pub(super) fn forget(&mut self, peer: &PeerId) {
        self.0.remove(peer);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn is_by_hand(&self, peer: &PeerId) -> bool {
        self.0.get(peer).is_some_and(|w| w.by_hand)
    }

    pub(super) fn due(&self, now: Mono) -> Option<PeerId> {
        let due = self.0.iter().filter(|(_, w)| w.at <= now);
        due.min_by_key(|(_, w)| w.at).map(|(peer, _)| *peer)
    }

    pub(super) fn due_with(&self, peer: &PeerId) -> Option<Mono> {
        self.0.get(peer).map(|w| w.at)
    }

    pub(super) fn next_timeout(&self) -> Option<Mono> {
        self.0.values().map(|w| w.at).min()
    }

    pub(super) fn busy(&mut self, peer: PeerId, now: Mono) {
        self.later(peer, BUSY, now);
    }

    pub(super) fn later(&mut self, peer: PeerId, wait: Duration, now: Mono) {
        if let Some(wanted) = self.0.get_mut(&peer) {
            wanted.at = now + wait.max(BUSY);
        }
    }

    /// A run came to nothing; `least`: how long the pair has to wait anyhow.
    pub(super) fn failed(&mut self, peer: PeerId, why: &Reason, least: Option<Duration>, now: Mono) {
        let Some(wanted) = self.0.get_mut(&peer) else { return };
        let wait = match why {
            Reason::NoGuessing | Reason::OfferUnanswered | Reason::Unguessable => REFUSED,
            _ => BACKOFF[wanted.failures.min(BACKOFF.len() - 1)],
        };
        wanted.failures += 1;
        let polite = if wanted.polite { POLITE } else { Duration::ZERO };
        wanted.at = now + (wait + polite).max(least.unwrap_or_default());
    }

    pub(super) fn sooner(&mut self, now: Mono) {
        for wanted in self.0.values_mut() {
            wanted.failures = 0;
            wanted.at = wanted.at.min(now + SOON);
        }
    }
}
