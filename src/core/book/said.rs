//! What is said, by a peer of itself and by others of it, on its way into the book.

use std::net::SocketAddr;

use super::entry::Entry;
use super::hearsay::{self, Verdict};
use super::{
    Admission, Book, Change, GONE_FOR, GONE_SLACK, Held, Known, NetPrefix, Refusal, Teller, admit,
    prefix_is_full,
};
use crate::core::limits::VERSION_JUMP_MAX;
use crate::core::wire::Record;
use crate::core::{Now, proof};
use crate::model::{PeerId, Source, Stamp};

impl Book {
    /// A peer said something of itself over a link authenticated as it. That
    /// always wins, whatever others said and with whatever version.
    pub fn first_hand(&mut self, record: Record, now: Now) -> Change {
        let peer = record.peer;
        if peer == self.me {
            return Change::default();
        }
        self.gone.remove(&peer);
        self.claims.settle(peer);
        let record = Record { age_s: 0, ..record };
        let before = self.get(peer).and_then(|entry| entry.known.first_hand.as_ref());
        let proven = before.is_some_and(|held| held.proven && held.record == record) || proof::holds(&record);
        // A key that it cannot sign with is none.
        let record = Record { proof: record.proof.filter(|_| proven), ..record };
        let held = Held { record, seen: now.stamp, proven };
        self.change(peer, Source::Inbound, now, |entry| {
            entry.known.set_first_hand(held);
            entry.heard_from = None;
            entry.demoted = None;
        })
    }

    /// Somebody said something of another peer. Measurements stay as they are.
    ///
    /// # Errors
    /// [`Refusal`] says which rule kept it out.
    pub fn hearsay(&mut self, record: Record, by: impl Into<Teller>, now: Now) -> Result<Change, Refusal> {
        let (peer, by) = (record.peer, by.into());
        if peer == self.me {
            return Err(Refusal::Ourselves);
        }
        let mut new = Held::received(record, now.stamp);
        self.check_gone(peer, &new, now.stamp)?;
        let Some(entry) = self.entries.get_mut(&peer) else {
            return self.admit_hearsay(new, by.peer, now);
        };
        if entry.linked {
            return Err(Refusal::Linked);
        }
        let verdict = hearsay::judge(entry, &mut new, by, &mut self.claims, now);
        let entry = &*entry;
        // A sighting later than the demotion lifts it, so does a new version.
        let newer = entry.record().is_none_or(|known| new.record.version > known.version);
        let seen_since = entry.demoted.is_some_and(|at| new.seen > at.after(GONE_SLACK));
        let mut merged = entry.known.clone();
        match verdict {
            Verdict::Refuse(refusal) => return Err(refusal),
            Verdict::Sighting => merged.sighted(new.seen),
            Verdict::Merge => merged = merged.merge(Known { first_hand: None, hearsay: Some(new) }),
            Verdict::Replace => merged.hearsay = Some(new),
        }
        if merged == entry.known {
            return Ok(Change::default());
        }
        let moved_to = merged
            .effective()
            .and_then(|h| h.record.addresses.first())
            .and_then(|addr| NetPrefix::of(*addr))
            .filter(|new| entry.prefix() != Some(*new));
        if !entry.measured.tried
            && moved_to.is_some_and(|prefix| prefix_is_full(self.shares(None, Some(prefix))))
        {
            return Err(Refusal::PrefixShare);
        }
        let counts = verdict != Verdict::Sighting;
        if counts {
            self.claims.settle(peer);
        }
        Ok(self.change(peer, Source::Gossip, now, |entry| {
            entry.known = merged;
            if counts {
                entry.heard_from = Some(by.peer);
            }
            if (counts && newer) || seen_since {
                entry.demoted = None;
            }
        }))
    }

    /// Where a peer is said to be by those whom nothing bears out: it can be asked
    /// there.
    pub fn claimed_addresses(&self, peer: PeerId) -> impl Iterator<Item = SocketAddr> + '_ {
        self.claims.addresses(peer)
    }

    /// Somebody said that a peer is gone. It is only tried later for that: by
    /// his word nobody is deleted, hidden from others or told to be gone.
    pub fn demote(&mut self, peer: PeerId, now: Now) -> Change {
        match self.entries.get(&peer) {
            Some(entry) if !entry.linked && entry.demoted.is_none() => {
                self.change(peer, Source::Gossip, now, |entry| entry.demoted = Some(now.stamp))
            }
            _ => Change::default(),
        }
    }

    /// Hearsay of a deleted peer must say something newer. Of one that left:
    /// a higher version, which only a return makes. Of one that failed for us:
    /// a later sighting will do.
    fn check_gone(&self, peer: PeerId, held: &Held, now: Stamp) -> Result<(), Refusal> {
        let Some(gone) = self.gone.get(&peer).filter(|gone| gone.at.age_at(now) < GONE_FOR) else {
            return Ok(());
        };
        if held.record.version.saturating_sub(gone.version) > VERSION_JUMP_MAX && gone.version > 0 {
            return Err(Refusal::VersionJump);
        }
        let signed = |key| held.record.proof.is_some_and(|p| p.key == key) && proof::holds(&held.record);
        let newer = held.record.version > gone.version && gone.key.is_none_or(signed);
        let seen_since = !gone.left && held.seen > gone.at.after(GONE_SLACK);
        if newer || seen_since { Ok(()) } else { Err(Refusal::Gone) }
    }

    fn admit_hearsay(&mut self, held: Held, from: PeerId, now: Now) -> Result<Change, Refusal> {
        let peer = held.record.peer;
        let prefix = held.record.addresses.first().and_then(|addr| NetPrefix::of(*addr));
        let evicted = match admit(self.shares(Some(from), prefix)) {
            Admission::Admit => Vec::new(),
            Admission::AdmitAfterEviction => self.make_room(false, 1, now.stamp),
            Admission::Refuse(refusal) => return Err(refusal),
        };
        self.gone.remove(&peer);
        let mut entry = Entry::new(Source::Gossip, now);
        (entry.told_by, entry.heard_from) = (Some(from), Some(from));
        entry.known.hearsay = Some(held);
        self.put_in(peer, entry);
        Ok(Change { added: true, updated: true, status: true, touched: true, removed: false, evicted })
    }
}
