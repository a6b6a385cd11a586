//! The table beneath the book: who is in it, the counts by source and prefix,
//! and who has to go when it is full.

use std::collections::BTreeMap;

use super::{Book, Entry, NetPrefix, Shares};
use crate::core::limits::{CACHE_NEW_MAX, CACHE_TRIED_MAX, KNOWN_LONG};
use crate::model::{PeerId, Stamp};

/// How much is evicted at once, as a fraction of the table: so that a full
/// table is not searched for its worst at every newcomer.
const EVICT_PART: usize = 100;

impl Book {
    pub(super) fn shares(&self, source: Option<PeerId>, prefix: Option<NetPrefix>) -> Shares {
        Shares {
            untried: self.untried,
            of_source: source.and_then(|s| self.by_source.get(&s)).copied().unwrap_or(0),
            // A record without an address is held by the source's share alone.
            of_prefix: prefix.map_or(0, |p| self.by_prefix.get(&p).copied().unwrap_or(0)),
        }
    }

    /// Makes sure that `more` peers fit in the tried or the untried part, and
    /// says who had to go: the worst, a hundredth of the table at once.
    pub(super) fn make_room(&mut self, tried: bool, more: usize, now: Stamp) -> Vec<PeerId> {
        let (count, max) =
            if tried { (self.tried(), CACHE_TRIED_MAX) } else { (self.untried, CACHE_NEW_MAX) };
        if count + more <= max {
            return Vec::new();
        }
        // Who is off for a day looks worse than any newcomer: so those that are known
        // for longer, and the anchors, have a rank of their own.
        let stays = |id: &PeerId, entry: &Entry| {
            self.anchors.contains(id) || entry.first_seen.age_at(now) > KNOWN_LONG
        };
        let mut ranked: Vec<(bool, f64, PeerId)> = self
            .iter()
            .filter(|(_, entry)| entry.measured.tried == tried && !entry.linked)
            .map(|(id, entry)| (stays(&id, entry), entry.quality(now), id))
            .collect();
        ranked.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)));
        let evicted: Vec<PeerId> =
            ranked.into_iter().take((count + more - max).max(max / EVICT_PART)).map(|(.., id)| id).collect();
        for peer in &evicted {
            self.take_out(*peer);
            self.claims.settle(*peer);
        }
        evicted
    }

    pub(super) fn put_in(&mut self, peer: PeerId, entry: Entry) {
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

    pub(super) fn take_out(&mut self, peer: PeerId) -> Option<Entry> {
        let entry = self.entries.remove(&peer)?;
        if !entry.measured.tried {
            self.untried -= 1;
            if let Some(source) = entry.told_by {
                count_down(&mut self.by_source, &source);
            }
            if let Some(prefix) = entry.prefix() {
                count_down(&mut self.by_prefix, &prefix);
            }
        }
        self.revision += 1;
        Some(entry)
    }
}

fn count_down<K: Ord>(counts: &mut BTreeMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}
