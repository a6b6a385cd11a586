//! What of a peer survives a restart.

use serde::{Deserialize, Serialize};

use super::{Entry, Held, Known, Measured};
use crate::core::Mono;
use crate::core::wire::{Proof, Record};
use crate::model::{PeerId, Source, Stamp};

/// A peer as it is stored. `node/` spreads it over ant-quic's cache and our
/// own file; losing either loses no identity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CacheEntry {
    /// The peer.
    pub peer: PeerId,
    /// The effective record; its `age_s` is 0, see `seen`.
    pub record: Option<Record>,
    /// The record's proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
    /// Whether the record is the peer's own word.
    pub first_hand: bool,
    /// When anybody last saw the peer, by the record.
    pub seen: Option<Stamp>,
    /// Our own measurements.
    pub measured: Measured,
    /// How we first learned of it.
    pub source: Source,
    /// The peer that told us.
    pub told_by: Option<PeerId>,
    /// When we first learned of it.
    pub first_seen: Stamp,
    /// When somebody told us that it is gone.
    pub demoted: Option<Stamp>,
}

impl CacheEntry {
    /// A peer of which only the identity is known.
    pub fn bare(peer: PeerId, source: Source, first_seen: Stamp) -> Self {
        Self {
            peer,
            record: None,
            proof: None,
            first_hand: false,
            seen: None,
            measured: Measured::default(),
            source,
            told_by: None,
            first_seen,
            demoted: None,
        }
    }

    pub(super) fn from_entry(peer: PeerId, entry: &Entry) -> Self {
        let effective = entry.known.effective();
        Self {
            peer,
            record: effective.map(|held| Record { proof: None, ..held.record.clone() }),
            proof: effective.and_then(|held| held.record.proof),
            first_hand: entry.known.is_own_word(),
            seen: entry.known.seen(),
            measured: entry.measured.clone(),
            source: entry.source,
            told_by: entry.told_by,
            first_seen: entry.first_seen,
            demoted: entry.demoted,
        }
    }

    /// Without what cannot have been: a clock that was ahead when it was written says
    /// nothing of when.
    fn without_the_future(mut self, now: Stamp) -> Self {
        let was = |at: &Stamp| at.age_if_past(now).is_some();
        self.seen = self.seen.filter(was);
        self.measured.last_contact = self.measured.last_contact.filter(was);
        self.measured.verified_public = self.measured.verified_public.filter(was);
        self.demoted = self.demoted.map(|at| at.min(now));
        self.first_seen = self.first_seen.min(now);
        self
    }

    pub(super) fn into_entry(self, now: Stamp) -> Entry {
        let this = self.without_the_future(now);
        let seen = this.seen.unwrap_or(Stamp::UNKNOWN);
        let held = this
            .record
            .filter(|record| record.peer == this.peer)
            .map(|record| Record { age_s: 0, proof: this.proof, ..record })
            .map(|record| Held { record, seen, proven: false });
        let known = if this.first_hand {
            Known { first_hand: held, hearsay: None }
        } else {
            Known { first_hand: None, hearsay: held }
        };
        Entry {
            known,
            measured: this.measured,
            source: this.source,
            told_by: this.told_by,
            heard_from: None,
            stepped: None,
            first_seen: this.first_seen,
            demoted: this.demoted,
            learned: Mono::default(),
            linked: false,
        }
    }
}
