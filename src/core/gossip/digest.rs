//! Anti-entropy: both ends of a link compare what they have once a minute, and
//! mend what deltas lost.
//!
//! Each end sends a summary on its own clock. An equal one needs no answer. A
//! different one is answered with the answerer's whole list of (peer, version),
//! and the asker repairs both ways: it sends what the other lacks and requests
//! what it lacks itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};

use super::{Gossip, PROPAGATION_AGE, serve};
use crate::core::book::Book;
use crate::core::limits::{
    CACHE_NEW_MAX, CACHE_TRIED_MAX, INTAKE_BURST_REQUESTED, REPAIR_PULL_MAX, REPAIR_PUSH_MAX,
};
use crate::core::wire::{Digest, DigestEntry, DigestPage, Message, PeerPrefix, Request, Want};
use crate::core::{Mono, Now};
use crate::model::{DropReason, EventKind, PeerId};

/// A digest goes out after this long at the latest, so that a lost delta is
/// mended within a minute, the way there and back included ...
pub const DIGEST_MAX_WAIT: Duration = Duration::from_secs(57);
/// ... and after this long at the earliest: links drift apart in time.
pub const DIGEST_MIN_WAIT: Duration = Duration::from_secs(50);
/// The first one on a link: late enough for the full sync to be through, early
/// enough to mend one that was cut.
const FIRST_MIN_WAIT: Duration = Duration::from_secs(10);
const FIRST_MAX_WAIT: Duration = Duration::from_secs(15);
/// What repair tried is tried again after so many rounds.
const FORGET_TRIED: u32 = 5;
/// Entries taken in one answer: nobody has more.
pub(super) const ENTRIES_MAX: usize = CACHE_NEW_MAX + CACHE_TRIED_MAX + 1;
/// A summary is made again after this long even if nothing changed: records
/// grow too old to be shared without anybody touching them.
const SUMMARY_VALID: Duration = Duration::from_secs(30);

/// All we share, as a digest tells it.
#[derive(Debug, Clone)]
pub(super) struct Summary {
    revision: u64,
    own_version: u64,
    made: Mono,
    hash: [u8; 16],
    items: Arc<[Item]>,
}

#[derive(Debug, Clone, Copy)]
struct Item {
    peer: PeerId,
    version: u64,
    learned: Mono,
}

impl Item {
    fn entry(&self) -> DigestEntry {
        DigestEntry { peer: self.peer.into(), version: self.version }
    }

    /// Whether everybody should have heard of it by now.
    fn counts(&self, now: Now) -> bool {
        now.mono.since(self.learned) > PROPAGATION_AGE
    }
}

/// The answer to our digest as it comes in.
#[derive(Debug)]
pub(super) struct Incoming {
    round: u32,
    page: u32,
    entries: BTreeMap<PeerPrefix, u64>,
}

impl Gossip {
    pub(super) fn first_digest_wait(&mut self) -> Duration {
        self.jitter(FIRST_MIN_WAIT, FIRST_MAX_WAIT)
    }

    /// All we share, made again only when it may have changed.
    fn summary(&mut self, book: &Book, now: Now) -> Summary {
        if let Some(summary) = &self.summary
            && summary.revision == book.revision()
            && summary.own_version == self.own.version
            && now.mono.since(summary.made) < SUMMARY_VALID
        {
            return summary.clone();
        }
        let own = Item { peer: self.own.peer, version: self.own.version, learned: self.own_since };
        let mut items: Vec<Item> = book
            .iter()
            .filter_map(|(peer, entry)| {
                let record = serve::shared(entry, now)?;
                Some(Item { peer, version: record.version, learned: entry.learned })
            })
            .collect();
        let place = items.partition_point(|item| item.peer < own.peer);
        items.insert(place, own);

        let mut context = Context::new(&SHA256);
        for item in &items {
            context.update(&item.peer.0);
            context.update(&item.version.to_be_bytes());
        }
        let mut hash = [0; 16];
        hash.copy_from_slice(&context.finish().as_ref()[..16]);
        let summary = Summary {
            revision: book.revision(),
            own_version: self.own.version,
            made: now.mono,
            hash,
            items: items.into(),
        };
        self.summary = Some(summary.clone());
        summary
    }

    pub(super) fn send_due_digests(&mut self, book: &Book, now: Now) {
        let due = self.links.iter().filter(|(_, link)| link.next_digest <= now.mono).map(|(peer, _)| *peer);
        for peer in due.collect::<Vec<_>>() {
            let wait = self.jitter(DIGEST_MIN_WAIT, DIGEST_MAX_WAIT);
            let round = self.number();
            let Summary { hash, items, .. } = self.summary(book, now);
            if let Some(link) = self.links.get_mut(&peer) {
                link.next_digest = now.mono + wait;
                link.incoming = Some(Incoming { round, page: 0, entries: BTreeMap::new() });
            }
            self.send(peer, Message::Digest(Digest { round, count: items.len() as u32, hash }));
        }
    }

    pub(super) fn on_digest(&mut self, from: PeerId, digest: Digest, book: &Book, now: Now) {
        let Some(link) = self.links.get_mut(&from) else {
            return;
        };
        if !link.meters.digests.take(now.mono) {
            self.count(DropReason::GossipDigest, 1);
            return;
        }
        self.stats.digests += 1;
        let Summary { hash, items, .. } = self.summary(book, now);
        if digest.hash == hash && digest.count as usize == items.len() {
            let count = items.iter().filter(|item| item.counts(now)).count() as u64;
            if let Some(link) = self.links.get_mut(&from) {
                link.standing = Some((count, count));
            }
            return;
        }
        let pages: Vec<Vec<DigestEntry>> =
            items.chunks(DigestPage::ENTRIES_MAX).map(|c| c.iter().map(Item::entry).collect()).collect();
        let bytes = items.len() * DigestPage::ENTRY_SIZE_MAX + pages.len() * 64;
        if self.links.get(&from).is_none_or(|link| link.room < bytes) {
            // A part would look as if we lacked the rest.
            self.count(DropReason::GossipDigestNoRoom, 1);
            return;
        }
        let last = pages.len() - 1;
        for (page, entries) in pages.into_iter().enumerate() {
            let page = DigestPage { round: digest.round, page: page as u32, last: page == last, entries };
            self.send(from, Message::DigestPage(page));
        }
    }

    pub(super) fn on_digest_page(&mut self, from: PeerId, page: &DigestPage, book: &Book, now: Now) {
        let Some(link) = self.links.get_mut(&from) else {
            return;
        };
        let Some(mut incoming) = link.incoming.take() else {
            self.count(DropReason::GossipDigestUnasked, 1);
            return;
        };
        if page.round != incoming.round || page.page != incoming.page {
            // Of an earlier round, or out of order: not ours to compare.
            link.incoming = Some(incoming);
            self.count(DropReason::GossipDigestUnasked, 1);
            return;
        }
        if incoming.entries.len() + page.entries.len() > ENTRIES_MAX {
            self.count(DropReason::GossipDigestTooLong, 1);
            return;
        }
        incoming.entries.extend(page.entries.iter().map(|entry| (entry.peer, entry.version)));
        incoming.page += 1;
        if page.last {
            self.repair(from, &incoming.entries, book, now);
        } else {
            link.incoming = Some(incoming);
        }
    }

    /// Compares the other end's list with ours and mends both.
    fn repair(&mut self, peer: PeerId, theirs: &BTreeMap<PeerPrefix, u64>, book: &Book, now: Now) {
        let items = self.summary(book, now).items;
        let ours: BTreeMap<PeerPrefix, u64> = items.iter().map(|i| (i.peer.into(), i.version)).collect();
        let has = |item: &Item| theirs.get(&item.peer.into()).is_some_and(|v| *v >= item.version);

        let counted: Vec<&Item> = items.iter().filter(|item| item.counts(now)).collect();
        let known = counted.iter().filter(|item| has(item)).count() as u64;
        let Some(link) = self.links.get_mut(&peer) else {
            return;
        };
        link.standing = Some((known, counted.len() as u64));
        link.rounds += 1;
        if link.rounds.is_multiple_of(FORGET_TRIED) {
            link.pulled.clear();
            link.pushed.clear();
        }

        let mut push = Vec::new();
        for item in items.iter().filter(|item| !has(item)) {
            if push.len() < REPAIR_PUSH_MAX && link.pushed.insert(item.entry()) {
                push.push(item.peer);
            }
        }
        let (mut pull, mut gone) = (Vec::new(), Vec::new());
        for (prefix, version) in theirs {
            let entry = DigestEntry { peer: *prefix, version: *version };
            if ours.get(prefix).is_some_and(|v| v >= version) {
                continue;
            }
            if let Some(id) = book.gone_with(*prefix, *version, now.stamp) {
                // It left, or failed for us, and our word of that got lost.
                if gone.len() < REPAIR_PUSH_MAX && link.pushed.insert(entry) {
                    gone.push(id);
                }
            } else if pull.len() < REPAIR_PULL_MAX && link.pulled.insert(entry) {
                pull.push(*prefix);
            }
        }
        let asked = pull.len() as u64;
        link.meters.intake.grant(asked as f64, INTAKE_BURST_REQUESTED, now.mono);
        let context = link.context;
        for prefixes in pull.chunks(Request::PREFIXES_MAX) {
            let sync = self.number();
            let want = Want::Prefixes(prefixes.to_vec());
            self.send(peer, Message::Request(Request { sync, want }));
        }
        let records = push.iter().filter_map(|id| self.outgoing(*id, context, book, now)).collect();
        let sent = self.send_delta(peer, records, gone);
        if sent + asked > 0 {
            self.stats.repairs += sent + asked;
            self.event(Some(peer), EventKind::GossipRepair { sent, asked });
        }
    }
}
