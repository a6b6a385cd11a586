//! Gossip: how a node keeps its book of peers equal to everybody else's.
//!
//! One state machine per node. A new link gets everything at once
//! ([`FullSync`](crate::core::wire::FullSync)); a change goes to every link as
//! a [`Delta`](crate::core::wire::Delta), and whoever learned something new by
//! it passes it on once; what gets lost on the way is found by the
//! [`Digest`](crate::core::wire::Digest) that each end of each link sends every
//! minute. What comes in goes through [`rules`], the intake limits and the
//! [`Book`]; nothing that comes in touches a measurement. The machine is handed
//! the book with each input, and what it decided is drained with
//! [`Gossip::poll`].

mod digest;
mod intake;
mod link;
pub mod rules;
mod serve;
mod sync;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;

pub use self::rules::LinkContext;

use self::digest::Summary;
use self::link::{Link, Meters};
use self::sync::Job;
use super::book::{Book, Change};
use super::limits::{METERS_KEPT, METERS_MAX, REISSUE_EVERY, VERSION_JUMP_MAX};
use super::proof::{self, Signer};
use super::wire::{Message, Record};
use super::{Mono, Now};
use crate::model::{CommandId, DropReason, EventKind, GossipView, PeerId, Source, SyncReport};

pub use self::digest::{DIGEST_MAX_WAIT, DIGEST_MIN_WAIT};
pub use self::serve::SHARED_AGE;

/// Changes are gathered this long before they are sent: a burst of changes
/// becomes one message, and nobody notices the wait.
pub const DELTA_BATCH: Duration = Duration::from_millis(20);
/// A sync command ends after this long with what came.
pub const SYNC_WITHIN: Duration = Duration::from_secs(3);
/// A record counts for propagation when it is older than this.
pub const PROPAGATION_AGE: Duration = Duration::from_secs(10);
/// Room a new link has until the caller says otherwise, in bytes.
pub const ROOM_AT_START: usize = 256 * 1024;

/// What the machine wants done, or tells.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Send this over the link.
    Send {
        /// To whom.
        peer: PeerId,
        /// What.
        message: Message,
    },
    /// The book changed (already applied): save, redraw.
    Changed {
        /// Whose entry.
        peer: PeerId,
        /// How.
        change: Change,
    },
    /// Our own record has this version now: store it, the next start must
    /// begin above it.
    Published {
        /// The version.
        version: u64,
    },
    /// A sync command ended.
    Synced {
        /// Which.
        command: CommandId,
        /// What came of it.
        report: SyncReport,
    },
    /// Something was said of this peer that it has to say itself before it counts:
    /// dial it, if there is room.
    Ask {
        /// Whom.
        peer: PeerId,
    },
    /// Something to tell people.
    Event {
        /// About whom.
        peer: Option<PeerId>,
        /// What.
        kind: EventKind,
    },
}

/// Peers whose news is to be told, each with the link it came from.
#[derive(Debug, Default)]
struct Pending {
    added: BTreeMap<PeerId, Option<PeerId>>,
    removed: BTreeMap<PeerId, Option<PeerId>>,
    due: Option<Mono>,
}

/// The gossip of one node.
#[derive(Debug)]
pub struct Gossip {
    own: Record,
    /// Signs it.
    signer: Option<Signer>,
    /// When our own record last changed.
    own_since: Mono,
    /// A version of our record that somebody told us of; ours has to be above.
    heard_own: Option<u64>,
    /// When hearsay may next make us issue our record again.
    reissue_from: Mono,
    rng: StdRng,
    links: BTreeMap<PeerId, Link>,
    /// What peers without a link used up lately, and since when they have none.
    meters: BTreeMap<PeerId, (Meters, Mono)>,
    pending: Pending,
    /// Links that are being served pages, and links that wait for it.
    serving: BTreeSet<PeerId>,
    waiting: VecDeque<PeerId>,
    jobs: Vec<Job>,
    next_number: u32,
    summary: Option<Summary>,
    deltas_to_lose: u32,
    stats: GossipView,
    counters: BTreeMap<DropReason, u64>,
    out: VecDeque<Output>,
}

impl Gossip {
    /// A machine for the node whose record this is. The record's version has
    /// to be above every one that the node ever published.
    pub fn new(own: Record, rng: StdRng, now: Now) -> Self {
        Self {
            own: Record { age_s: 0, proof: None, ..own },
            signer: None,
            own_since: now.mono,
            heard_own: None,
            reissue_from: now.mono,
            rng,
            links: BTreeMap::new(),
            meters: BTreeMap::new(),
            pending: Pending::default(),
            serving: BTreeSet::new(),
            waiting: VecDeque::new(),
            jobs: Vec::new(),
            next_number: 0,
            summary: None,
            deltas_to_lose: 0,
            stats: GossipView::default(),
            counters: BTreeMap::new(),
            out: VecDeque::new(),
        }
    }

    /// Signs our own record from now on: without that we are as a node of an
    /// earlier version.
    #[must_use]
    pub fn signed_by(mut self, signer: Signer) -> Self {
        self.own.proof = signer.prove(&self.own);
        self.signer = Some(signer);
        self
    }

    /// Our own record as we publish it.
    pub fn own(&self) -> &Record {
        &self.own
    }

    /// Sets what our own record says. Its version rises, and others hear of
    /// it, only if something changed.
    pub fn set_own(&mut self, says: Record, now: Now) {
        let says = Record { peer: self.own.peer, version: self.own.version, age_s: 0, ..says };
        if !says.says_the_same(&self.own) {
            self.own = says;
            self.publish(self.own.version.saturating_add(1), now);
        }
    }

    /// A link is up: both ends tell each other everything. Once per link, not
    /// per connection: a link that moves to another path stays up. The caller has
    /// told the book of the contact before, if it knows more of how it came.
    pub fn link_up(&mut self, peer: PeerId, context: LinkContext, book: &mut Book, now: Now) {
        self.drop_link(peer, now);
        // Only a peer that the book holds can be marked as linked.
        let change = book.contact(peer, Source::Inbound, None, now);
        self.changed(peer, change);
        let change = book.set_linked(peer, true);
        self.changed(peer, change);
        let meters = self.meters.remove(&peer).map_or_else(|| Meters::new(now.mono), |(m, _)| m);
        let first_digest = now.mono + self.first_digest_wait();
        self.links.insert(peer, Link::new(context, meters, first_digest));
        self.start_initial_exchange(peer, now);
        self.pump(book, now);
    }

    /// A link's context changed: it moved, or its ends learned their public
    /// addresses. If private addresses mean something over it now, ours are
    /// told at once: the version is the same, so no digest would bring them.
    pub fn set_context(&mut self, peer: PeerId, context: LinkContext, book: &Book, now: Now) {
        let Some(link) = self.links.get_mut(&peer) else {
            return;
        };
        let before = std::mem::replace(&mut link.context, context);
        let opened = (context.private && !before.private) || (context.loopback && !before.loopback);
        if opened {
            let own = self.outgoing(self.own.peer, context, book, now);
            self.send_delta(peer, own.into_iter().collect(), Vec::new());
        }
    }

    /// A link is gone.
    pub fn link_down(&mut self, peer: PeerId, book: &mut Book, now: Now) {
        let change = book.set_linked(peer, false);
        self.changed(peer, change);
        self.drop_link(peer, now);
        self.pump(book, now);
    }

    /// How many bytes may be queued on a link now.
    pub fn room(&mut self, peer: PeerId, bytes: usize, book: &Book, now: Now) {
        if let Some(link) = self.links.get_mut(&peer) {
            link.room = bytes;
            self.pump(book, now);
        }
    }

    /// Tells every link of a change that the caller made to the book.
    pub fn spread(&mut self, peer: PeerId, change: &Change, now: Now) {
        self.pass_on(peer, change, None, now);
    }

    /// Loses the next batch of deltas before it is sent: a drill shows with it
    /// that the digest repairs.
    pub fn drop_next_delta(&mut self) {
        self.deltas_to_lose = self.deltas_to_lose.saturating_add(1);
    }

    /// The next decision; call until it is `None`.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Gossip::handle_timeout`] wants to be called.
    pub fn next_timeout(&self) -> Option<Mono> {
        let reissue = self.heard_own.map(|_| self.reissue_from);
        let jobs = self.jobs.iter().map(Job::deadline);
        let links = self.links.values().flat_map(Link::deadlines);
        self.pending.due.into_iter().chain(reissue).chain(jobs).chain(links).min()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, book: &Book, now: Now) {
        self.reissue_if_due(now);
        if self.pending.due.is_some_and(|due| due <= now.mono) {
            self.flush(book, now);
        }
        self.send_due_digests(book, now);
        self.end_overdue(now);
        self.drop_stalled(now);
        self.pump(book, now);
    }

    /// Counters and propagation for the console.
    pub fn view(&self) -> GossipView {
        let mut view = self.stats;
        for (known, expected) in self.links.values().filter_map(|link| link.standing) {
            view.known += known;
            view.expected += expected;
        }
        view
    }

    /// What limits and rules stopped, by name.
    pub fn counters(&self) -> &BTreeMap<DropReason, u64> {
        &self.counters
    }

    /// Somebody told of our own record. Whatever version he says, ours is to be the
    /// newest again; but nobody can drive our counter to its end. What bears our
    /// signature we said ourselves, and forgot: no jump is too far for that.
    fn heard_of_us(&mut self, said: &Record, now: Now) {
        let jump = said.version.saturating_sub(self.own.version);
        if jump == 0 {
            return;
        }
        let key = |record: &Record| record.proof.map(|proof| proof.key);
        let ours = key(said).is_some() && key(said) == key(&self.own) && proof::holds(said);
        if jump > VERSION_JUMP_MAX && !ours {
            self.drop_record(DropReason::RecordVersionJump);
            return;
        }
        self.heard_own = self.heard_own.max(Some(said.version));
        self.reissue_if_due(now);
    }

    /// Somebody said that we are gone: a new version shows that we are not.
    fn heard_us_gone(&mut self, now: Now) {
        self.heard_own = self.heard_own.max(Some(self.own.version));
        self.reissue_if_due(now);
    }

    fn reissue_if_due(&mut self, now: Now) {
        if self.reissue_from <= now.mono
            && let Some(heard) = self.heard_own.take()
        {
            self.reissue_from = now.mono + REISSUE_EVERY;
            if heard >= self.own.version {
                self.publish(heard.saturating_add(1), now);
            }
        }
    }

    fn publish(&mut self, version: u64, now: Now) {
        self.own.version = version;
        self.own.proof = self.signer.as_ref().and_then(|signer| signer.prove(&self.own));
        self.own_since = now.mono;
        self.pending.added.insert(self.own.peer, None);
        self.flush_soon(now);
        self.out.push_back(Output::Published { version });
    }

    /// Queues a change for every link but the one it came from.
    fn pass_on(&mut self, peer: PeerId, change: &Change, from: Option<PeerId>, now: Now) {
        if change.removed {
            self.pending.added.remove(&peer);
            self.pending.removed.insert(peer, from);
        } else if change.spreads() {
            self.pending.removed.remove(&peer);
            self.pending.added.insert(peer, from);
        } else {
            return;
        }
        self.flush_soon(now);
    }

    fn flush_soon(&mut self, now: Now) {
        self.pending.due.get_or_insert(now.mono + DELTA_BATCH);
    }

    fn drop_link(&mut self, peer: PeerId, now: Now) {
        self.end_exchange(peer, now);
        self.serving.remove(&peer);
        self.waiting.retain(|waiting| *waiting != peer);
        if let Some(link) = self.links.remove(&peer) {
            self.meters.retain(|_, (_, since)| now.mono.since(*since) < METERS_KEPT);
            if self.meters.len() >= METERS_MAX {
                let oldest = self.meters.iter().min_by_key(|(_, (_, since))| *since).map(|(id, _)| *id);
                oldest.and_then(|id| self.meters.remove(&id));
            }
            self.meters.insert(peer, (link.meters, now.mono));
        }
    }

    fn number(&mut self) -> u32 {
        // 0 marks what nobody asked for.
        self.next_number = self.next_number.wrapping_add(1).max(1);
        self.next_number
    }

    fn jitter(&mut self, from: Duration, to: Duration) -> Duration {
        self.rng.random_range(from..=to)
    }

    fn send(&mut self, peer: PeerId, message: Message) {
        if let Some(link) = self.links.get_mut(&peer) {
            link.room = link.room.saturating_sub(message.encoded_size_max());
            self.out.push_back(Output::Send { peer, message });
        }
    }

    fn changed(&mut self, peer: PeerId, change: Change) {
        if change.touched {
            self.out.push_back(Output::Changed { peer, change });
        }
    }

    fn event(&mut self, peer: Option<PeerId>, kind: EventKind) {
        self.out.push_back(Output::Event { peer, kind });
    }

    fn count(&mut self, name: DropReason, by: u64) {
        if by > 0 {
            *self.counters.entry(name).or_default() += by;
        }
    }

    /// Counts a record that a rule or limit stopped.
    fn drop_record(&mut self, name: DropReason) {
        self.stats.dropped += 1;
        self.count(name, 1);
    }
}
