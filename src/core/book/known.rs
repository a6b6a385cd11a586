//! What is said of one peer, first-hand and by others, and how two such
//! states merge.

use std::cmp::Ordering;

use crate::core::wire::Record;
use crate::model::Stamp;

/// A record and when its subject was last seen, by whoever told.
///
/// On the wire the age travels; here it is anchored, so that it does not grow
/// stale: `record.age_s` is always 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// What is said.
    pub record: Record,
    /// When the subject was last seen.
    pub seen: Stamp,
    /// Whether the record's proof was looked at and holds.
    pub proven: bool,
}

impl Held {
    /// A record that came in at `now`.
    pub fn received(mut record: Record, now: Stamp) -> Self {
        let age = std::time::Duration::from_secs(u64::from(record.age_s));
        record.age_s = 0;
        Self { record, seen: now.before(age), proven: false }
    }

    /// The greater record of the two, the later sighting of the two. The two
    /// parts are independent maxima, so this is commutative, associative and
    /// idempotent.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        let seen = self.seen.max(other.seen);
        let order = self.record.order(&other.record);
        match order.then_with(|| self.record.proof.cmp(&other.record.proof)) {
            Ordering::Less => Self { seen, ..other },
            Ordering::Greater => Self { seen, ..self },
            Ordering::Equal => Self { seen, proven: self.proven || other.proven, ..self },
        }
    }
}

/// Everything that is said of one peer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// What it said itself over a link authenticated as it.
    pub first_hand: Option<Held>,
    /// What others said.
    pub hearsay: Option<Held>,
}

impl Known {
    /// Both states in one: each slot merged by itself.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self {
            first_hand: merge_slot(self.first_hand, other.first_hand),
            hearsay: merge_slot(self.hearsay, other.hearsay),
        }
    }

    /// The one to go by: what the peer said itself, unless others have a
    /// higher version of it.
    pub fn effective(&self) -> Option<&Held> {
        match (&self.first_hand, &self.hearsay) {
            (Some(own), Some(told)) if told.record.version > own.record.version => Some(told),
            (Some(own), _) => Some(own),
            (None, told) => told.as_ref(),
        }
    }

    pub(super) fn effective_mut(&mut self) -> Option<&mut Held> {
        if self.is_first_hand() { self.first_hand.as_mut() } else { self.hearsay.as_mut() }
    }

    /// Somebody says when the peer was last seen.
    pub(super) fn sighted(&mut self, seen: Stamp) {
        if let Some(held) = self.effective_mut() {
            held.seen = held.seen.max(seen);
        }
    }

    /// Whether the effective record is first-hand.
    pub fn is_first_hand(&self) -> bool {
        self.first_hand.is_some() && self.effective() == self.first_hand.as_ref()
    }

    /// Whether the effective record is the peer's own word: first-hand, or signed
    /// with the key that came first-hand.
    pub fn is_own_word(&self) -> bool {
        let key = |held: Option<&Held>| held.and_then(|held| held.record.proof).map(|proof| proof.key);
        let own = key(self.first_hand.as_ref());
        self.is_first_hand() || (own.is_some() && own == key(self.effective()))
    }

    /// When the peer was last seen, by anybody's word.
    pub fn seen(&self) -> Option<Stamp> {
        let seen = self.first_hand.iter().chain(&self.hearsay).map(|held| held.seen);
        seen.max().filter(|at| *at != Stamp::UNKNOWN)
    }

    /// The peer's own word replaces everything said before, whatever the
    /// versions: it alone knows, and it may have lost its counter.
    pub fn set_first_hand(&mut self, held: Held) {
        self.first_hand = Some(held);
        self.hearsay = None;
    }
}

fn merge_slot(a: Option<Held>, b: Option<Held>) -> Option<Held> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.merge(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use proptest::option;
    use proptest::prelude::*;

    use super::*;
    use crate::core::wire::{Proof, strategies};
    use crate::model::PeerId;

    /// Records of one subject with few versions, names, ports and proofs, so that
    /// equal versions with different contents are common.
    fn held() -> impl Strategy<Value = Held> {
        let says = (0u64..3, "[ab]", 0u16..2, strategies::nat());
        (says, 0i64..4, 0u8..3, any::<bool>()).prop_map(|((version, name, port, nat), seen, key, proven)| {
            let addresses = (0..port).map(|p| ([198, 18, 0, 1], 2000 + p).into()).collect();
            let proof = if key == 0 { None } else { Proof::new([key; 32], &[key; 64]) };
            let record = Record { name, nat, addresses, proof, ..Record::new(PeerId([1; 32]), version) };
            Held { record, seen: Stamp(seen), proven }
        })
    }

    fn known() -> impl Strategy<Value = Known> {
        (option::of(held()), option::of(held()))
            .prop_map(|(first_hand, hearsay)| Known { first_hand, hearsay })
    }

    proptest! {
        #[test]
        fn merge_is_commutative(a in known(), b in known()) {
            prop_assert_eq!(a.clone().merge(b.clone()), b.merge(a));
        }

        #[test]
        fn merge_is_associative(a in known(), b in known(), c in known()) {
            let left = a.clone().merge(b.clone()).merge(c.clone());
            prop_assert_eq!(left, a.merge(b.merge(c)));
        }

        #[test]
        fn merge_is_idempotent(a in known(), b in known()) {
            prop_assert_eq!(a.clone().merge(a.clone()), a.clone());
            let both = a.merge(b.clone());
            prop_assert_eq!(both.clone().merge(b), both);
        }

        #[test]
        fn a_merge_never_goes_back(a in known(), b in known()) {
            let version = |k: &Known| k.effective().map(|h| h.record.version);
            let both = a.clone().merge(b.clone());
            prop_assert_eq!(version(&both), version(&a).max(version(&b)));
            prop_assert_eq!(both.seen(), a.seen().max(b.seen()));
        }
    }

    #[test]
    fn the_peers_own_word_counts_unless_others_know_a_newer_one() {
        let record = |version| Record::new(PeerId([1; 32]), version);
        let held = |version| Held { record: record(version), seen: Stamp(0), proven: false };
        let mut known = Known { first_hand: Some(held(5)), hearsay: Some(held(5)) };
        assert!(known.is_first_hand());
        known.hearsay = Some(held(6));
        assert_eq!(known.effective().unwrap().record.version, 6);
        assert!(!known.is_first_hand());
        known.set_first_hand(held(2));
        assert_eq!(known.effective().unwrap().record.version, 2, "first-hand replaces any hearsay");
    }
}
