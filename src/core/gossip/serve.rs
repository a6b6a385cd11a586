//! What goes out: pages of full syncs as there is room, deltas at once.

use std::collections::BTreeSet;
use std::time::Duration;

use super::link::{Place, Serving, Whose};
use super::{Gossip, LinkContext, rules};
use crate::core::book::{Book, Entry};
use crate::core::limits::{
    DELTA_RECORDS_MAX, PAGE_RECORDS_MAX, PREFIX_RECORDS_MAX, SYNC_QUEUE_MAX, SYNC_SERVE_IN_FLIGHT, SYNC_STALL,
};
use crate::core::wire::{Delta, FullSync, Message, PeerPrefix, Record, Request, SyncRefused, Want};
use crate::core::{Mono, Now};
use crate::model::{DropReason, EventKind, PeerId};

/// Records not seen by anybody for this long are not passed on any more and
/// stand in no digest: nobody would dial them, and else the dead would be
/// repaired from node to node for ever.
pub const SHARED_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
/// A page is not begun with less room than this, in bytes.
const PAGE_ROOM_MIN: usize = 4 * 1024;
/// A page's bytes that are not records, at most.
const PAGE_OVERHEAD: usize = 64;

/// The record of an entry as we share it: there is one, and its subject was seen
/// within [`SHARED_AGE`]. That somebody says it is gone hides it from nobody.
pub(super) fn shared(entry: &Entry, now: Now) -> Option<&Record> {
    let fresh = entry.linked || entry.last_seen().is_some_and(|at| at.age_at(now.stamp) <= SHARED_AGE);
    entry.record().filter(|_| fresh)
}

/// Whether we had to do with a peer ourselves. Those come first in a train: who hears
/// us takes only so much from one source, and invented peers must not push the others
/// out of that.
fn is_vouched_for(entry: &Entry) -> bool {
    entry.linked || entry.measured.tried || entry.known.is_first_hand()
}

impl Gossip {
    /// Who comes next in a train, and the place behind him. Nothing is gathered
    /// before: the train walks through the book as it is when there is room.
    fn next_of(&self, whose: &Whose, place: Place, book: &Book, now: Now) -> Option<(PeerId, Place)> {
        match whose {
            // Our own record comes first.
            Whose::All if place == Place::default() => {
                Some((self.own.peer, Place { begun: true, ..Place::default() }))
            }
            Whose::All => {
                let next = |place: Place| {
                    let mut behind = book.behind(place.after);
                    let of_this_pass = |entry| is_vouched_for(entry) != place.hearsay;
                    behind.find(|(_, entry)| shared(entry, now).is_some() && of_this_pass(entry))
                };
                let hearsay = Place { hearsay: true, after: None, ..place };
                let (place, (peer, _)) = match next(place) {
                    Some(found) => (place, found),
                    None if place.hearsay => return None,
                    None => (hearsay, next(hearsay)?),
                };
                Some((peer, Place { after: Some(peer), ..place }))
            }
            Whose::Prefixes(prefixes) => {
                let mut place = place;
                while let Some(prefix) = prefixes.get(place.done) {
                    if let Some(peer) = self.with_prefix(*prefix, book).nth(place.within) {
                        return Some((peer, Place { within: place.within + 1, ..place }));
                    }
                    place = Place { done: place.done + 1, within: 0, ..place };
                }
                None
            }
        }
    }

    /// Those whose ids begin so, as many as one prefix may yield.
    fn with_prefix<'a>(&self, prefix: PeerPrefix, book: &'a Book) -> impl Iterator<Item = PeerId> + 'a {
        let own = Some(self.own.peer).filter(|own| prefix.range().contains(own));
        own.into_iter().chain(book.range(prefix.range()).map(|(peer, _)| peer)).take(PREFIX_RECORDS_MAX)
    }

    /// A record as it goes over a link: held to the link's rules, with the age
    /// of the last contact.
    pub(super) fn outgoing(&self, peer: PeerId, link: LinkContext, book: &Book, now: Now) -> Option<Record> {
        let mut record = if peer == self.own.peer {
            self.own.clone()
        } else {
            let entry = book.get(peer)?;
            let mut record = entry.record()?.clone();
            // That a link stands is no sighting: the peer may be gone already.
            let age = entry.last_seen().map_or(SHARED_AGE, |at| at.age_at(now.stamp));
            // Rounded up, so that no hop makes a sighting younger.
            record.age_s = u32::try_from(age.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
            record
        };
        rules::apply(&mut record, &link);
        Some(record)
    }

    pub(super) fn on_request(&mut self, from: PeerId, request: &Request, book: &Book, now: Now) {
        let Some(link) = self.links.get_mut(&from) else {
            return;
        };
        let whose = match &request.want {
            Want::All => {
                if !link.meters.syncs.take(now.mono) {
                    let retry = link.meters.syncs.wait(now.mono);
                    self.count(DropReason::GossipServe, 1);
                    return self.refuse_sync(from, request.sync, retry);
                }
                Whose::All
            }
            Want::Prefixes(prefixes) => {
                // Each once: ids in hearsay are free to invent, so a prefix may
                // stand for many records and be named many times.
                let prefixes: BTreeSet<PeerPrefix> = prefixes.iter().copied().collect();
                // Every record that will go out is paid for before one is made;
                // what yields none is not free either.
                let records = |prefix: &PeerPrefix| self.with_prefix(*prefix, book).count().max(1);
                let cost = prefixes.iter().map(records).sum::<usize>().max(1);
                let Some(link) = self.links.get_mut(&from) else { return };
                if !link.meters.records.take_many(cost as f64, now.mono) {
                    self.count(DropReason::GossipServeRecords, cost as u64);
                    return;
                }
                Whose::Prefixes(prefixes.into_iter().collect())
            }
        };
        self.enqueue(from, request.sync, whose, false);
    }

    /// Says that a full sync is not served now: who asked for it must not take our
    /// silence for a link that is dead.
    fn refuse_sync(&mut self, peer: PeerId, sync: u32, retry: Duration) {
        let retry_s = u16::try_from(retry.as_millis().div_ceil(1_000)).unwrap_or(u16::MAX);
        self.send(peer, Message::SyncRefused(SyncRefused { sync, retry_s }));
    }

    /// Queues pages for a link.
    pub(super) fn enqueue(&mut self, peer: PeerId, sync: u32, whose: Whose, push: bool) {
        let Some(link) = self.links.get_mut(&peer) else {
            return;
        };
        if link.queue.len() >= SYNC_QUEUE_MAX {
            self.count(DropReason::GossipServeQueue, 1);
            return;
        }
        link.queue.push_back(Serving { sync, whose, place: Place::default(), page: 0, push, stalled: None });
        if !self.serving.contains(&peer) && !self.waiting.contains(&peer) {
            self.waiting.push_back(peer);
        }
    }

    /// Sends pages wherever there is room, to a few links at a time.
    pub(super) fn pump(&mut self, book: &Book, now: Now) {
        loop {
            while self.serving.len() < SYNC_SERVE_IN_FLIGHT {
                let Some(next) = self.waiting.pop_front() else {
                    break;
                };
                self.serving.insert(next);
            }
            let mut freed = false;
            for peer in self.serving.clone() {
                if self.serve(peer, book, now) {
                    self.serving.remove(&peer);
                    if self.links.get(&peer).is_some_and(|link| !link.queue.is_empty()) {
                        self.waiting.push_back(peer);
                    }
                    freed = true;
                }
            }
            if !freed {
                return;
            }
        }
    }

    /// Sends the pages of a link's first train; whether that train is through.
    fn serve(&mut self, peer: PeerId, book: &Book, now: Now) -> bool {
        loop {
            let Some(link) = self.links.get_mut(&peer) else {
                return true;
            };
            let (context, room) = (link.context, link.room);
            let Some(mut serving) = link.queue.pop_front() else {
                return true;
            };
            if room < PAGE_ROOM_MIN {
                serving.stalled.get_or_insert(now.mono);
                link.queue.push_front(serving);
                return false;
            }
            serving.stalled = None;
            let page = self.next_page(&mut serving, context, room, book, now);
            let (last, sent) = (page.last, page.records.len() as u64);
            self.send(peer, Message::FullSync(page));
            if last {
                self.stats.syncs_out += 1;
            } else if let Some(link) = self.links.get_mut(&peer) {
                let push = serving.push;
                link.queue.push_front(serving);
                if push {
                    self.note_pushed(peer, sent, false, now);
                }
                continue;
            }
            if serving.push {
                self.note_pushed(peer, sent, true, now);
            }
            return true;
        }
    }

    fn next_page(
        &self,
        serving: &mut Serving,
        context: LinkContext,
        room: usize,
        book: &Book,
        now: Now,
    ) -> FullSync {
        let budget = FullSync::ROOM.min(room.saturating_sub(PAGE_OVERHEAD));
        let mut records = Vec::new();
        let mut bytes = 0;
        let mut next = self.next_of(&serving.whose, serving.place, book, now);
        while let Some((id, behind)) = next {
            // A peer is told about itself too: if it lost its counter, it
            // learns so which version it has to pass.
            if let Some(record) = self.outgoing(id, context, book, now) {
                bytes += record.encoded_size_max();
                if bytes > budget || records.len() == PAGE_RECORDS_MAX {
                    break;
                }
                records.push(record);
            }
            serving.place = behind;
            next = self.next_of(&serving.whose, serving.place, book, now);
        }
        let page = serving.page;
        serving.page += 1;
        FullSync { sync: serving.sync, page, last: next.is_none(), records }
    }

    /// Gives up trains that found no room for too long.
    pub(super) fn drop_stalled(&mut self, now: Now) {
        let overdue = |since: Mono| since + SYNC_STALL <= now.mono;
        let mut dropped = 0;
        for (peer, link) in &mut self.links {
            if link.queue.front().and_then(|serving| serving.stalled).is_some_and(overdue) {
                dropped += link.queue.len() as u64;
                link.queue.clear();
                self.serving.remove(peer);
            }
        }
        self.count(DropReason::GossipStalled, dropped);
    }

    /// Tells every link what changed since the last batch.
    pub(super) fn flush(&mut self, book: &Book, now: Now) {
        let pending = std::mem::take(&mut self.pending);
        // Once a batch: nobody ever sees the versions in between.
        if pending.added.contains_key(&self.own.peer) {
            self.event(None, EventKind::RecordPublished { version: self.own.version });
        }
        if let Some(left) = self.deltas_to_lose.checked_sub(1) {
            self.deltas_to_lose = left;
            self.count(DropReason::GossipDrillLost, 1);
            return;
        }
        let links: Vec<(PeerId, LinkContext)> = self.links.iter().map(|(id, l)| (*id, l.context)).collect();
        for (peer, context) in links {
            let concerns = |(id, from): &(&PeerId, &Option<PeerId>)| **id != peer && **from != Some(peer);
            let ids = pending.added.iter().filter(concerns).map(|(id, _)| *id);
            let mut added = Vec::new();
            let mut left_out = 0;
            for id in ids {
                if added.len() == DELTA_RECORDS_MAX {
                    left_out += 1;
                } else if let Some(record) = self.outgoing(id, context, book, now) {
                    added.push(record);
                }
            }
            let removed = pending.removed.iter().filter(concerns).map(|(id, _)| *id).collect();
            self.count(DropReason::GossipDeltaDropped, left_out);
            self.send_delta(peer, added, removed);
        }
    }

    /// Sends records as deltas as far as there is room; what finds none is left
    /// to the digest. The records are held to the link's rules already.
    pub(super) fn send_delta(&mut self, peer: PeerId, added: Vec<Record>, removed: Vec<PeerId>) -> u64 {
        const ID: usize = 32;
        let mut sent = 0;
        let mut added = added.into_iter().peekable();
        let mut removed = removed.into_iter().peekable();
        while added.peek().is_some() || removed.peek().is_some() {
            let mut left = Delta::ROOM;
            let mut delta = Delta::default();
            while delta.removed.len() < PAGE_RECORDS_MAX
                && let Some(id) = removed.next_if(|_| left >= ID)
            {
                left -= ID;
                delta.removed.push(id);
            }
            while delta.added.len() < PAGE_RECORDS_MAX
                && let Some(record) = added.next_if(|record| record.encoded_size_max() <= left)
            {
                left -= record.encoded_size_max();
                delta.added.push(record);
            }
            let (records, ids) = (delta.added.len(), delta.removed.len());
            let message = Message::Delta(delta);
            let room = self.links.get(&peer).map_or(0, |link| link.room);
            if message.encoded_size_max() > room || records + ids == 0 {
                let lost = records + ids + added.count() + removed.count();
                self.count(DropReason::GossipDeltaDropped, lost as u64);
                break;
            }
            self.stats.deltas_out += 1;
            sent += records as u64;
            self.send(peer, message);
        }
        sent
    }
}
