//! The peer table: everything known of everybody else, who said it, and what
//! we measured ourselves.
//!
//! Two kinds of knowledge never mix. What is *said* (first-hand or hearsay)
//! lives in [`Known`] and merges; what we *measured* lives in [`Measured`] and
//! no message touches it. Every mutation returns a [`Change`], so that the
//! caller can save, gossip and redraw exactly what changed. The book keeps no
//! timers and sends nothing.

mod admission;
mod cache;
mod entry;
mod known;
mod measured;
mod resolve;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

pub use admission::{Admission, NetPrefix, Refusal, Shares, admit, prefix_is_full};
pub use cache::CacheEntry;
pub use entry::{Change, Entry};
pub use known::{Held, Known};
pub use measured::{Measured, PUBLIC_VALID};
pub use resolve::ResolveError;

use self::entry::compare;
use super::Now;
use super::limits::{GONE_MAX, VERSION_JUMP_MAX};
use super::wire::{PeerPrefix, Record};
use crate::model::{PeerId, Reason, Source, Stamp};

/// A peer is deleted after this many failures in a row ...
pub const FORGET_FAILURES: u32 = 8;
/// ... if nobody's word and no contact of ours saw it for this long.
pub const FORGET_AFTER: Duration = Duration::from_secs(24 * 3600);
/// Hearsay of a deleted peer is measured against its deletion for this long.
pub const GONE_FOR: Duration = Duration::from_secs(3600);
/// A sighting counts as later than a deletion only by this much: ages travel
/// in whole seconds and arrive late.
pub const GONE_SLACK: Duration = Duration::from_secs(10);
/// A peer that was deleted.
#[derive(Debug, Clone, Copy)]
struct Gone {
    /// The last version known of it.
    version: u64,
    at: Stamp,
    /// It said goodbye itself, rather than failed for us.
    left: bool,
}

/// The peer table.
#[derive(Debug)]
pub struct Book {
    me: PeerId,
    entries: BTreeMap<PeerId, Entry>,
    gone: BTreeMap<PeerId, Gone>,
    /// Untried peers by who told us of them, and by network prefix.
    by_source: BTreeMap<PeerId, usize>,
    by_prefix: BTreeMap<NetPrefix, usize>,
    untried: usize,
    /// Counts changes of what a digest covers.
    revision: u64,
}

impl Book {
    /// An empty book. It never holds ourselves.
    pub fn new(me: PeerId) -> Self {
        Self {
            me,
            entries: BTreeMap::new(),
            gone: BTreeMap::new(),
            by_source: BTreeMap::new(),
            by_prefix: BTreeMap::new(),
            untried: 0,
            revision: 0,
        }
    }

    /// Takes stored peers in. Our own store is believed: only the size of the
    /// table is held, not the shares.
    pub fn load(&mut self, stored: impl IntoIterator<Item = CacheEntry>, now: Now) {
        for cached in stored {
            if cached.peer != self.me {
                let peer = cached.peer;
                self.take_out(peer);
                self.put_in(peer, cached.into_entry(now.stamp));
            }
        }
        self.make_room(false, 0, now.stamp);
        self.make_room(true, 0, now.stamp);
    }

    /// Everything to store.
    pub fn cache_entries(&self) -> impl Iterator<Item = CacheEntry> + '_ {
        self.entries.iter().map(|(peer, entry)| CacheEntry::from_entry(*peer, entry))
    }

    /// What is known of a peer.
    pub fn get(&self, peer: PeerId) -> Option<&Entry> {
        self.entries.get(&peer)
    }

    /// All peers, by id.
    pub fn iter(&self) -> impl Iterator<Item = (PeerId, &Entry)> {
        self.entries.iter().map(|(peer, entry)| (*peer, entry))
    }

    /// The peers whose ids lie in a range.
    pub fn range(&self, ids: std::ops::RangeInclusive<PeerId>) -> impl Iterator<Item = (PeerId, &Entry)> {
        self.entries.range(ids).map(|(peer, entry)| (*peer, entry))
    }

    /// All peers, the one best to dial first; equal ones by id.
    pub fn best_first(&self, now: Stamp) -> Vec<PeerId> {
        let mut ranked: Vec<(f64, PeerId)> = self.iter().map(|(id, e)| (e.quality(now), id)).collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        ranked.into_iter().map(|(_, id)| id).collect()
    }

    /// How many peers are known.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nobody is known.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many we ever shook hands with.
    pub fn tried(&self) -> usize {
        self.entries.len() - self.untried
    }

    /// Changes with every change of what a digest covers.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// A peer said something of itself over a link authenticated as it.
    pub fn first_hand(&mut self, record: Record, now: Now) -> Change {
        let peer = record.peer;
        if peer == self.me {
            return Change::default();
        }
        self.gone.remove(&peer);
        let held = Held { record: Record { age_s: 0, ..record }, seen: now.stamp };
        self.change(peer, Source::Inbound, now, |entry| {
            entry.known.set_first_hand(held);
            entry.demoted = None;
        })
    }

    /// Somebody said something of another peer. Measurements stay as they are.
    ///
    /// # Errors
    /// [`Refusal`] says which rule kept it out.
    pub fn hearsay(&mut self, record: Record, from: PeerId, now: Now) -> Result<Change, Refusal> {
        let peer = record.peer;
        if peer == self.me {
            return Err(Refusal::Ourselves);
        }
        let held = Held::received(record, now.stamp);
        self.check_gone(peer, &held, now.stamp)?;
        let Some(entry) = self.entries.get(&peer) else {
            return self.admit_hearsay(held, from, now);
        };
        if entry.linked {
            return Err(Refusal::Linked);
        }
        if entry
            .record()
            .is_some_and(|known| held.record.version.saturating_sub(known.version) > VERSION_JUMP_MAX)
        {
            return Err(Refusal::VersionJump);
        }
        // A sighting later than the demotion lifts it, so does a new version.
        let newer = entry.record().is_none_or(|known| held.record.version > known.version);
        let seen_since = entry.demoted.is_some_and(|at| held.seen > at.after(GONE_SLACK));
        let merged = entry.known.clone().merge(Known { first_hand: None, hearsay: Some(held) });
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
        Ok(self.change(peer, Source::Gossip, now, |entry| {
            entry.known = merged;
            if newer || seen_since {
                entry.demoted = None;
            }
        }))
    }

    /// Somebody said that a peer is gone. It is only tried later for that: by
    /// his word alone nobody is deleted.
    pub fn demote(&mut self, peer: PeerId, now: Now) -> Change {
        match self.entries.get(&peer) {
            Some(entry) if !entry.linked && entry.demoted.is_none() => {
                self.change(peer, Source::Gossip, now, |entry| entry.demoted = Some(now.stamp))
            }
            _ => Change::default(),
        }
    }

    /// A handshake with the peer was completed, or it is heard from over its
    /// link. `source` and `dialled` matter only for a new contact: `dialled`
    /// is the address at which a dial of ours reached it.
    pub fn contact(&mut self, peer: PeerId, source: Source, dialled: Option<SocketAddr>, now: Now) -> Change {
        if peer == self.me {
            return Change::default();
        }
        self.gone.remove(&peer);
        self.change(peer, source, now, |entry| {
            entry.measured.tried = true;
            entry.measured.last_contact = Some(now.stamp);
            if dialled.is_some() {
                entry.measured.reached_at = dialled;
            }
            entry.demoted = None;
        })
    }

    /// Whether an authenticated connection to the peer stands: while it does,
    /// hearsay of it is not taken up, and it is not evicted.
    pub fn set_linked(&mut self, peer: PeerId, linked: bool) -> Change {
        let Some(entry) = self.entries.get_mut(&peer).filter(|entry| entry.linked != linked) else {
            return Change::default();
        };
        entry.linked = linked;
        Change { status: true, touched: true, ..Change::default() }
    }

    /// Something came from a peer over its link. What we find out ourselves, such as
    /// that it fell silent, is no contact.
    pub fn heard(&mut self, peer: &PeerId, now: Now) {
        if let Some(entry) = self.entries.get_mut(peer) {
            entry.measured.last_contact = Some(now.stamp);
        }
    }

    /// An attempt of ours ended connected.
    pub fn attempt_succeeded(&mut self, peer: PeerId, now: Now) -> Change {
        self.measure(peer, now, |m| {
            m.attempts += 1;
            m.successes += 1;
            m.consecutive_failures = 0;
            m.last_failure = None;
        })
    }

    /// An attempt of ours failed on every stage. `alone`: no link stands, so
    /// the fault may well be ours: then it does not count towards deletion, and
    /// a node that lost its network never loses its cache.
    pub fn attempt_failed(&mut self, peer: PeerId, reason: Reason, alone: bool, now: Now) -> Change {
        let change = self.measure(peer, now, |m| {
            m.attempts += 1;
            m.consecutive_failures += u32::from(!alone);
            m.last_failure = Some(reason);
        });
        let hopeless = self.entries.get(&peer).is_some_and(|entry| {
            !entry.linked
                && entry.measured.consecutive_failures >= FORGET_FAILURES
                && entry.last_seen().unwrap_or(entry.first_seen).age_at(now.stamp) >= FORGET_AFTER
        });
        if hopeless && !alone { self.remove(peer, false, now) } else { change }
    }

    /// The round trip of its link, and when it was last measured.
    pub fn rtt(&mut self, peer: PeerId, ms: f64, at: Stamp, now: Now) -> Change {
        self.measure(peer, now, |m| (m.rtt_ms, m.rtt_at) = (Some(ms), Some(at)))
    }

    /// A dial from a fresh socket reached it: it is public.
    pub fn verified_public(&mut self, peer: PeerId, now: Now) -> Change {
        let before = self.entries.get(&peer).is_some_and(|e| e.measured.is_public(now.stamp));
        let mut change = self.measure(peer, now, |m| m.verified_public = Some(now.stamp));
        change.status |= !before && change.touched;
        change
    }

    /// The peer itself said that it leaves: it is deleted.
    pub fn leave(&mut self, peer: PeerId, now: Now) -> Change {
        self.remove(peer, true, now)
    }

    /// The peer with that prefix that was deleted lately, if nothing newer is
    /// said of it than `version`.
    pub fn gone_with(&self, prefix: PeerPrefix, version: u64, now: Stamp) -> Option<PeerId> {
        let (peer, gone) = self.gone.range(prefix.range()).next()?;
        (gone.at.age_at(now) < GONE_FOR && version <= gone.version).then_some(*peer)
    }

    fn remove(&mut self, peer: PeerId, left: bool, now: Now) -> Change {
        let Some(entry) = self.take_out(peer) else {
            return Change::default();
        };
        if self.gone.len() >= GONE_MAX {
            self.gone.retain(|_, gone| gone.at.age_at(now.stamp) < GONE_FOR);
            let oldest = self.gone.iter().min_by_key(|(_, gone)| gone.at).map(|(id, _)| *id);
            if let Some(oldest) = oldest.filter(|_| self.gone.len() >= GONE_MAX) {
                self.gone.remove(&oldest);
            }
        }
        let version = entry.record().map_or(0, |record| record.version);
        self.gone.insert(peer, Gone { version, at: now.stamp, left });
        Change { removed: true, touched: true, ..Change::default() }
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
        let newer = held.record.version > gone.version;
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
        entry.told_by = Some(from);
        entry.known.hearsay = Some(held);
        self.put_in(peer, entry);
        Ok(Change { added: true, updated: true, status: true, touched: true, removed: false, evicted })
    }

    /// Changes measurements of a known peer; nothing else can follow of that.
    fn measure(&mut self, peer: PeerId, now: Now, act: impl FnOnce(&mut Measured)) -> Change {
        let Some(entry) = self.entries.get_mut(&peer) else {
            return Change::default();
        };
        let before = entry.measured.clone();
        act(&mut entry.measured);
        let reachable = |m: &Measured| (m.consecutive_failures == 0, m.is_public(now.stamp));
        Change {
            status: reachable(&before) != reachable(&entry.measured),
            touched: before != entry.measured,
            ..Change::default()
        }
    }

    /// Changes an entry, makes it first if need be, keeps the counts, and says
    /// what became of it.
    fn change(&mut self, peer: PeerId, source: Source, now: Now, act: impl FnOnce(&mut Entry)) -> Change {
        let revision = self.revision;
        let old = self.take_out(peer);
        let mut entry = old.clone().unwrap_or_else(|| Entry::new(source, now));
        act(&mut entry);
        let mut change = match &old {
            None => {
                Change { added: true, updated: entry.record().is_some(), status: true, ..Change::touched() }
            }
            Some(old) => compare(old, &entry),
        };
        if change.updated {
            entry.learned = now.mono;
        }
        let demotion = old.as_ref().and_then(|old| old.demoted) != entry.demoted;
        let newly_tried = entry.measured.tried && old.is_none_or(|old| !old.measured.tried);
        if newly_tried {
            change.evicted = self.make_room(true, 1, now.stamp);
        }
        self.put_in(peer, entry);
        if !change.updated && !demotion && change.evicted.is_empty() {
            // A heartbeat is nothing that a digest covers.
            self.revision = revision;
        }
        change
    }
}
