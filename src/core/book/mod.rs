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
mod claims;
mod entry;
mod hearsay;
mod known;
mod measured;
mod names;
mod part;
mod said;
mod saving;
mod table;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::Bound;
use std::time::Duration;

pub use admission::{Admission, NetPrefix, Quarter, Refusal, Shares, Teller, admit, prefix_is_full};
pub use cache::CacheEntry;
pub use entry::{Change, Entry};
pub use known::{Held, Known};
pub use measured::{Measured, PUBLIC_VALID};
pub use names::NameUse;
pub use part::Unsaved;
pub(super) use part::{PeerBook, View};

use self::claims::Claims;
use self::entry::compare;
use self::names::Names;
use super::Now;
use super::limits::GONE_MAX;
use super::wire::PeerPrefix;
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
    /// The key that it signed with, by its own word.
    key: Option<[u8; 32]>,
}

/// The peer table.
#[derive(Debug)]
pub struct Book {
    me: PeerId,
    entries: BTreeMap<PeerId, Entry>,
    gone: BTreeMap<PeerId, Gone>,
    claims: Claims,
    names: Names,
    /// The peers that we were linked to longest.
    anchors: BTreeSet<PeerId>,
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
            claims: Claims::default(),
            names: Names::default(),
            anchors: BTreeSet::new(),
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

    /// The peers behind one in the order of ids; all of them behind none.
    pub fn behind(&self, after: Option<PeerId>) -> impl Iterator<Item = (PeerId, &Entry)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.entries.range((from, Bound::Unbounded)).map(|(peer, entry)| (*peer, entry))
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

    /// How many we dialled with success, or kept a link to us.
    pub fn tried(&self) -> usize {
        self.entries.len() - self.untried
    }

    /// Changes with every change of what a digest covers.
    pub fn revision(&self) -> u64 {
        self.revision
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
            // A peer that dials us may be thrown away a moment later.
            entry.measured.tried |= dialled.is_some();
            entry.measured.last_contact = Some(now.stamp);
            if dialled.is_some() {
                entry.measured.reached_at = dialled;
            }
            entry.demoted = None;
        })
    }

    /// A peer is worth knowing: we dialled it with success, over whatever path, or
    /// its link stood for [`KEPT_LINK`](crate::core::limits::KEPT_LINK).
    pub fn kept(&mut self, peer: PeerId, now: Now) -> Change {
        match self.entries.get(&peer) {
            Some(entry) if !entry.measured.tried => {
                self.change(peer, Source::Inbound, now, |entry| entry.measured.tried = true)
            }
            _ => Change::default(),
        }
    }

    /// A peer is linked under a name now. Whether that is worth storing.
    pub fn linked_as(&mut self, peer: PeerId, name: &str, now: Now) -> bool {
        self.names.used(peer, name, now.stamp)
    }

    /// The peers that were linked under a name, as long as that is remembered.
    pub fn users_of(&self, name: &str, now: Stamp) -> impl Iterator<Item = &NameUse> {
        self.names.users(name, now)
    }

    /// Every name under which somebody was linked, to be stored ...
    pub fn names(&self) -> impl Iterator<Item = &NameUse> {
        self.names.all()
    }

    /// ... and as it was.
    pub fn load_names(&mut self, stored: impl IntoIterator<Item = NameUse>, now: Now) {
        self.names.load(stored, now.stamp);
    }

    /// Sets the peers that we were linked to longest: they are evicted last.
    pub fn set_anchors(&mut self, anchors: impl IntoIterator<Item = PeerId>) {
        self.anchors = anchors.into_iter().collect();
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
        // Now we tried ourselves: what others said of it has done its work.
        if let Some(entry) = self.entries.get_mut(&peer).filter(|_| !alone) {
            entry.demoted = None;
        }
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
        self.claims.settle(peer);
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
        let own = entry.known.first_hand.as_ref();
        let key = own.and_then(|held| held.record.proof).map(|proof| proof.key);
        self.gone.insert(peer, Gone { version, at: now.stamp, left, key });
        Change { removed: true, touched: true, ..Change::default() }
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
