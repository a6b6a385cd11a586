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
mod known;
mod measured;
mod resolve;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

pub use admission::{Admission, NetPrefix, Refusal, Shares, admit, prefix_is_full};
pub use cache::CacheEntry;
pub use known::{Held, Known};
pub use measured::{Measured, PUBLIC_VALID};
pub use resolve::ResolveError;

use super::limits::{CACHE_NEW_MAX, CACHE_TRIED_MAX, GONE_MAX, VERSION_JUMP_MAX};
use super::wire::{PeerPrefix, Record};
use super::{Mono, Now};
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
/// How much is evicted at once, as a fraction of the table: so that a full
/// table is not searched for its worst at every newcomer.
const EVICT_PART: usize = 100;

/// What the book holds of one peer.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What is said of it.
    pub known: Known,
    /// What we measured.
    pub measured: Measured,
    /// How we first learned of it.
    pub source: Source,
    /// Who told us, if it was gossip.
    pub told_by: Option<PeerId>,
    /// When we first learned of it.
    pub first_seen: Stamp,
    /// When we were told that it is gone. It is tried last then, and no longer
    /// passed on, until it is seen again.
    pub demoted: Option<Stamp>,
    /// When the effective record last changed.
    pub learned: Mono,
    /// Whether an authenticated connection to it stands.
    pub linked: bool,
}

impl Entry {
    fn new(source: Source, now: Now) -> Self {
        Self {
            known: Known::default(),
            measured: Measured::default(),
            source,
            told_by: None,
            first_seen: now.stamp,
            demoted: None,
            learned: now.mono,
            linked: false,
        }
    }

    /// The record to go by.
    pub fn record(&self) -> Option<&Record> {
        self.known.effective().map(|held| &held.record)
    }

    /// The last contact by us or by anybody's word.
    pub fn last_seen(&self) -> Option<Stamp> {
        self.known.seen().max(self.measured.last_contact)
    }

    /// How good it would be to dial this peer, from 0 to 1.
    pub fn quality(&self, now: Stamp) -> f64 {
        self.measured.quality(self.known.seen(), self.demoted.is_some(), now)
    }

    /// Where to dial it: where it answered last, then where its record says.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let mut out: Vec<SocketAddr> = self.measured.reached_at.into_iter().collect();
        for addr in self.record().into_iter().flat_map(|r| &r.addresses) {
            if !out.contains(addr) {
                out.push(*addr);
            }
        }
        out
    }

    fn prefix(&self) -> Option<NetPrefix> {
        self.record().and_then(|r| r.addresses.first()).and_then(|addr| NetPrefix::of(*addr))
    }
}

/// What a mutation changed of one peer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// The peer is new to the book.
    pub added: bool,
    /// Its effective record is another one now.
    pub updated: bool,
    /// Its reachability, NAT type, relay addresses or demotion changed.
    pub status: bool,
    /// It was deleted.
    pub removed: bool,
    /// Something that is shown changed, if only a time.
    pub touched: bool,
    /// Who had to make room.
    pub evicted: Vec<PeerId>,
}

impl Change {
    /// Whether it has to be on disk within a second.
    pub fn significant(&self) -> bool {
        self.added || self.removed || self.status || !self.evicted.is_empty()
    }

    /// Whether others should hear of it.
    pub fn spreads(&self) -> bool {
        self.updated
    }

    fn touched() -> Self {
        Self { touched: true, ..Self::default() }
    }
}

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
                self.put_in(peer, cached.into_entry());
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
    pub fn set_linked(&mut self, peer: PeerId, linked: bool, now: Now) -> Change {
        let Some(entry) = self.entries.get_mut(&peer).filter(|entry| entry.linked != linked) else {
            return Change::default();
        };
        entry.linked = linked;
        if entry.measured.tried {
            entry.measured.last_contact = Some(now.stamp);
        }
        Change { status: true, touched: true, ..Change::default() }
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

    /// A heartbeat or handshake took this long.
    pub fn rtt(&mut self, peer: PeerId, sample: Duration, now: Now) -> Change {
        self.measure(peer, now, |m| m.rtt_sample(sample))
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

    fn shares(&self, source: Option<PeerId>, prefix: Option<NetPrefix>) -> Shares {
        Shares {
            untried: self.untried,
            of_source: source.and_then(|s| self.by_source.get(&s)).copied().unwrap_or(0),
            // A record without an address is held by the source's share alone.
            of_prefix: prefix.map_or(0, |p| self.by_prefix.get(&p).copied().unwrap_or(0)),
        }
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

    /// Makes sure that `more` peers fit in the tried or the untried part, and
    /// says who had to go: the worst, a hundredth of the table at once.
    fn make_room(&mut self, tried: bool, more: usize, now: Stamp) -> Vec<PeerId> {
        let (count, max) =
            if tried { (self.tried(), CACHE_TRIED_MAX) } else { (self.untried, CACHE_NEW_MAX) };
        if count + more <= max {
            return Vec::new();
        }
        let mut ranked: Vec<(f64, PeerId)> = self
            .iter()
            .filter(|(_, entry)| entry.measured.tried == tried && !entry.linked)
            .map(|(id, entry)| (entry.quality(now), id))
            .collect();
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let evicted: Vec<PeerId> =
            ranked.into_iter().take((count + more - max).max(max / EVICT_PART)).map(|(_, id)| id).collect();
        for peer in &evicted {
            self.take_out(*peer);
        }
        evicted
    }

    fn put_in(&mut self, peer: PeerId, entry: Entry) {
        if !entry.measured.tried {
            self.untried += 1;
            if let Some(source) = entry.told_by {
                *self.by_source.entry(source).or_default() += 1;
            }
            if let Some(prefix) = entry.prefix() {
                *self.by_prefix.entry(prefix).or_default() += 1;
            }
        }
        self.revision += 1;
        self.entries.insert(peer, entry);
    }

    fn take_out(&mut self, peer: PeerId) -> Option<Entry> {
        let entry = self.entries.remove(&peer)?;
        if !entry.measured.tried {
            self.untried -= 1;
            if let Some(source) = entry.told_by {
                count_down(&mut self.by_source, source);
            }
            if let Some(prefix) = entry.prefix() {
                count_down(&mut self.by_prefix, prefix);
            }
        }
        self.revision += 1;
        Some(entry)
    }
}

fn count_down<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

/// What became of an entry.
fn compare(old: &Entry, new: &Entry) -> Change {
    let (before, after) = (old.record(), new.record());
    let reach =
        |r: Option<&Record>| r.map(|r| (r.nat, r.relays.clone(), r.addresses.is_empty(), r.capabilities));
    Change {
        updated: before != after,
        status: reach(before) != reach(after)
            || old.demoted.is_some() != new.demoted.is_some()
            || old.measured.tried != new.measured.tried,
        touched: before != after
            || old.last_seen() != new.last_seen()
            || old.demoted != new.demoted
            || old.measured != new.measured
            || old.known.is_first_hand() != new.known.is_first_hand(),
        ..Change::default()
    }
}
