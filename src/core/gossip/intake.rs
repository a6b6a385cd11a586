//! What comes in: through the limits and rules into the book.

use std::time::Duration;

use super::{Gossip, Output, rules};
use crate::core::book::{Book, Refusal, Teller};
use crate::core::limits::VERSION_JUMP_MAX;
use crate::core::wire::{Delta, FullSync, Message, Record};
use crate::core::{Now, proof};
use crate::model::{DropReason, EventKind, PeerId};

/// A link that floods is told of once in this time.
const TELL_EVERY: Duration = Duration::from_secs(60);

impl Gossip {
    /// A message came over the link authenticated as `from`. Messages that are
    /// no gossip are left alone.
    pub fn on_message(&mut self, from: PeerId, message: Message, book: &mut Book, now: Now) {
        if self.links.get(&from).is_none_or(|link| link.left) {
            return;
        }
        match message {
            Message::Leave => self.on_leave(from, book, now),
            Message::FullSync(page) => self.on_full_sync(from, page, book, now),
            Message::Delta(delta) => self.on_delta(from, delta, book, now),
            Message::Request(request) => self.on_request(from, &request, book, now),
            Message::SyncRefused(said) => self.on_refused(from, said, now),
            Message::Digest(digest) => self.on_digest(from, digest, book, now),
            Message::DigestPage(page) => self.on_digest_page(from, &page, book, now),
            _ => return,
        }
        self.pump(book, now);
    }

    /// A leave counts first-hand only: it deletes its sender, nobody else.
    fn on_leave(&mut self, from: PeerId, book: &mut Book, now: Now) {
        if let Some(link) = self.links.get_mut(&from) {
            link.left = true;
        }
        let change = book.leave(from, now);
        self.pass_on(from, &change, Some(from), now);
        self.changed(from, change);
        self.event(Some(from), EventKind::PeerLeft);
    }

    fn on_full_sync(&mut self, from: PeerId, page: FullSync, book: &mut Book, now: Now) {
        let count = page.records.len() as u64;
        let mut new = 0;
        let mut cut = false;
        for record in page.records {
            if self.within_intake(from, now) {
                new += u64::from(self.take_record(from, record, book, now));
            } else {
                cut = true;
            }
        }
        if page.last {
            self.stats.syncs_in += 1;
        }
        self.note_page(from, page.sync, page.last, count, new, now);
        self.ask_again_if_cut(from, cut, page.sync, page.last, now);
    }

    fn on_delta(&mut self, from: PeerId, delta: Delta, book: &mut Book, now: Now) {
        self.stats.deltas_in += 1;
        for record in delta.added {
            if self.within_intake(from, now) {
                self.take_record(from, record, book, now);
            }
        }
        for peer in delta.removed {
            if !self.within_intake(from, now) {
                continue;
            }
            if peer == self.own.peer {
                self.heard_us_gone(now);
                continue;
            }
            if book.get(peer).is_some_and(|entry| entry.linked) {
                // We know better. The subject is told, and its next version
                // undoes the word wherever it went.
                if peer != from {
                    self.send_delta(peer, Vec::new(), vec![peer]);
                }
                continue;
            }
            // That is his word: we pass it on to nobody and ask the peer itself.
            let change = book.demote(peer, now);
            if change.status {
                self.out.push_back(Output::Ask { peer });
            }
            self.changed(peer, change);
        }
    }

    /// Takes one record off the link's allowance.
    fn within_intake(&mut self, from: PeerId, now: Now) -> bool {
        let Some(link) = self.links.get_mut(&from) else {
            return false;
        };
        if link.meters.intake.take(now.mono) {
            return true;
        }
        let tell = link.meters.told.is_none_or(|told| now.mono.since(told) >= TELL_EVERY);
        if tell {
            link.meters.told = Some(now.mono);
            self.event(Some(from), EventKind::LimitHit { limit: DropReason::GossipIntake });
        }
        self.drop_record(DropReason::GossipIntake);
        false
    }

    /// One record through the rules into the book. Returns whether it was news.
    fn take_record(&mut self, from: PeerId, mut record: Record, book: &mut Book, now: Now) -> bool {
        let Some(context) = self.links.get(&from).map(|link| link.context) else {
            return false;
        };
        if record.peer == self.own.peer {
            self.heard_of_us(&record, now);
            return false;
        }
        let dropped = rules::apply(&mut record, &context);
        self.count(DropReason::RecordAddresses, dropped);
        let peer = record.peer;
        let change = if peer == from {
            book.first_hand(record, now)
        } else {
            match book.hearsay(record.clone(), Teller { peer: from, from: context.from }, now) {
                Ok(change) => change,
                Err(Refusal::Unproven) => {
                    self.drop_record(Refusal::Unproven.counted_as());
                    self.out.push_back(Output::Ask { peer });
                    return false;
                }
                Err(Refusal::Linked) => {
                    self.tell_subject(from, record, book);
                    return false;
                }
                Err(refusal) => {
                    self.drop_record(refusal.counted_as());
                    return false;
                }
            }
        };
        let news = change.updated;
        self.pass_on(peer, &change, Some(from), now);
        if change.added {
            let teller = (peer != from).then_some(from);
            self.event(Some(peer), EventKind::PeerAdded { from: teller });
        }
        self.changed(peer, change);
        news
    }

    /// Others have a newer record of a peer that we are linked to than the peer
    /// itself gave us: forged, or from before it lost its counter. The peer is
    /// told, and issues one above it.
    fn tell_subject(&mut self, from: PeerId, record: Record, book: &Book) {
        let peer = record.peer;
        let known = book.get(peer).and_then(|entry| entry.record());
        // Without a word of its own yet there is nothing to compare with.
        let Some(known) = known.filter(|known| record.version > known.version) else {
            return;
        };
        let signed = match (known.proof, record.proof) {
            (None, _) => false,
            (Some(own), Some(said)) if own.key == said.key && proof::holds(&record) => true,
            // It signs what it says, and this it did not say.
            _ => return self.drop_record(Refusal::Forged.counted_as()),
        };
        if !signed && record.version - known.version > VERSION_JUMP_MAX {
            self.drop_record(Refusal::VersionJump.counted_as());
            return;
        }
        self.count(Refusal::Linked.counted_as(), 1);
        if peer != from {
            self.send_delta(peer, vec![record], Vec::new());
        }
    }
}
