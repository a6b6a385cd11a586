//! The book as a part of a node: what becomes of it as links come and go and attempts
//! end, whom else a change concerns, and when it is written to disk.

use std::net::SocketAddr;

use super::saving::Saving;
use super::{Book, CacheEntry, Change, NameUse};
use crate::core::config::EngineConfig;
use crate::core::kpi::History;
use crate::core::limits::KEPT_LINK;
use crate::core::link::{ConnInfo, Link};
use crate::core::links::Links;
use crate::core::outbox::{Outbox, Wanted};
use crate::core::peers::Peers;
use crate::core::{Mono, Now};
use crate::model::{AttemptOutcome, CacheView, EventKind, PeerId, Reason, Source};

/// What is to be written to disk.
#[derive(Debug)]
pub struct Unsaved {
    /// The version of our own record.
    pub own_version: u64,
    /// The peers to dial first after a restart.
    pub anchors: Vec<PeerId>,
    /// The names under which peers were linked.
    pub names: Vec<NameUse>,
    /// Every peer.
    pub all: Vec<CacheEntry>,
    /// Those that changed since the last time; `None` for one that is gone.
    pub changed: Vec<(PeerId, Option<CacheEntry>)>,
    /// The attempts that count, if others do than the last time.
    pub history: Option<History>,
}

/// What the book has to know of the rest of the node.
#[derive(Clone, Copy)]
pub(in crate::core) struct View<'a> {
    pub(in crate::core) links: &'a Links,
    pub(in crate::core) now: Now,
}

/// The book, and what of it is not on disk yet.
#[derive(Debug)]
pub(in crate::core) struct PeerBook {
    book: Book,
    saving: Saving,
}

impl PeerBook {
    /// As it was when the node stopped. `set_aside`: files that were damaged, and what is
    /// wrong with them.
    pub(in crate::core) fn new(
        config: &mut EngineConfig,
        cached: Vec<CacheEntry>,
        set_aside: Vec<(String, String)>,
        seed: u64,
        now: Now,
        out: &mut Outbox,
    ) -> Self {
        let mut book = Book::new(config.me);
        book.load_names(std::mem::take(&mut config.names), now);
        book.set_anchors(config.anchors.iter().copied());
        book.load(cached, now);
        book.iter().for_each(|(peer, _)| out.touch_row(peer));
        Self { book, saving: Saving::new(set_aside, seed) }
    }

    /// What it says.
    pub(in crate::core) fn read(&self) -> &Book {
        &self.book
    }

    /// For gossip, which writes what others say, and tells [`Self::changed`] of it.
    pub(in crate::core) fn write(&mut self) -> &mut Book {
        &mut self.book
    }

    /// Tells what the start found damaged.
    pub(in crate::core) fn begin(&self, out: &mut Outbox, now: Now) {
        for (file, detail) in self.saving.set_aside().to_vec() {
            out.event(None, EventKind::CacheSetAside { file, detail }, now);
        }
    }

    /// The book changed, by what others say or by what we measured (`ours`): it is to be
    /// saved and shown, and others have to know.
    pub(in crate::core) fn changed(
        &mut self,
        peer: PeerId,
        change: Change,
        ours: bool,
        now: Now,
        out: &mut Outbox,
    ) {
        if change == Change::default() {
            return;
        }
        if ours && change.added {
            out.event(Some(peer), EventKind::PeerAdded { from: None }, now);
        }
        if change.touched || change.added || change.removed {
            out.touch_row(peer);
            self.saving.note(peer);
        }
        for evicted in &change.evicted {
            out.touch_row(*evicted);
            self.saving.note(*evicted);
            out.stopped("cache.evicted");
        }
        if change.significant() {
            self.saving.touch(now.mono);
        }
        out.want(Wanted::Changed { peer, change, ours });
    }

    /// Something came from a peer over its link.
    pub(in crate::core) fn heard(&mut self, peer: &PeerId, now: Now) {
        self.book.heard(peer, now);
    }

    /// A handshake with a peer was completed.
    pub(in crate::core) fn met(
        &mut self,
        peer: PeerId,
        info: &ConnInfo,
        source: Source,
        now: Now,
        out: &mut Outbox,
    ) {
        // A relay's address is not the peer's.
        let dialled = (info.outbound && info.path.is_straight()).then_some(info.remote);
        let change = self.book.contact(peer, source, dialled, now);
        self.changed(peer, change, true, now, out);
        let change = self.book.set_linked(peer, true);
        self.changed(peer, change, true, now, out);
        if info.outbound {
            self.keep(peer, now, out);
        }
    }

    fn keep(&mut self, peer: PeerId, now: Now, out: &mut Outbox) {
        let change = self.book.kept(peer, now);
        self.changed(peer, change, true, now, out);
    }

    /// Notes under which name a linked peer goes. Others who go by it are marked.
    pub(in crate::core) fn note_name(&mut self, peer: PeerId, view: View<'_>, out: &mut Outbox) {
        let greeting = view.links.get(&peer).filter(|link| link.is_up()).and_then(Link::greeting);
        let Some(name) = greeting.and_then(|greeting| greeting.name.clone()) else { return };
        if self.book.linked_as(peer, &name, view.now) {
            self.saving.touch(view.now.mono);
            for used in self.book.users_of(&name, view.now.stamp) {
                out.touch_row(used.peer);
            }
        }
    }

    /// A peer whose link stands for a while is worth knowing, whichever end dialled.
    pub(in crate::core) fn keep_linked(&mut self, view: View<'_>, out: &mut Outbox) {
        for peer in view.links.peers() {
            self.note_name(peer, view, out);
        }
        let kept = |(peer, link): (&PeerId, &Link)| {
            let known = self.book.get(*peer).is_some_and(|entry| !entry.measured.tried);
            let stood = || link.status().is_some_and(|s| view.now.mono.since(s.since) >= KEPT_LINK);
            (known && stood()).then_some(*peer)
        };
        for peer in view.links.iter().filter_map(kept).collect::<Vec<_>>() {
            self.keep(peer, view.now, out);
        }
    }

    /// An attempt towards a peer ended.
    pub(in crate::core) fn attempt_ended(
        &mut self,
        peer: PeerId,
        outcome: AttemptOutcome,
        reason: Option<Reason>,
        view: View<'_>,
        out: &mut Outbox,
    ) {
        let alone = view.links.count_up() == 0;
        let change = match outcome {
            AttemptOutcome::Connected => self.book.attempt_succeeded(peer, view.now),
            AttemptOutcome::Unreachable => {
                self.book.attempt_failed(peer, reason.unwrap_or(Reason::NoAddress), alone, view.now)
            }
            AttemptOutcome::NoBetterPath | AttemptOutcome::Abandoned => return,
        };
        if change.removed {
            let reason = Reason::NoAnswer { addresses: 0 };
            out.event(Some(peer), EventKind::PeerRemoved { reason }, view.now);
        }
        self.changed(peer, change, true, view.now, out);
    }

    /// Writes a link's round trip down for the time without it.
    pub(in crate::core) fn keep_rtt(&mut self, peer: PeerId, view: View<'_>, out: &mut Outbox) {
        if let Some((ms, at)) = view.links.rtt(&peer) {
            let change = self.book.rtt(peer, ms, view.now.stamp_of(at), view.now);
            self.changed(peer, change, false, view.now, out);
        }
    }

    /// A dial from a fresh socket reached this peer there: its claim to be public holds.
    pub(in crate::core) fn proven_public(
        &mut self,
        peer: PeerId,
        addr: SocketAddr,
        view: View<'_>,
        out: &mut Outbox,
    ) {
        let View { links, now } = view;
        let known = Peers { me: self.book.me, book: &self.book, links, now }.is_public(&peer);
        let change = self.book.verified_public(peer, now);
        self.changed(peer, change, false, now, out);
        if !known {
            out.event(Some(peer), EventKind::PeerVerifiedPublic { addr }, now);
            out.want(Wanted::Republish);
        }
    }

    /// Something else that is kept on disk changed.
    pub(in crate::core) fn touch(&mut self, now: Mono) {
        self.saving.touch(now);
    }

    /// Saves if that is due.
    pub(in crate::core) fn timeout(&mut self, now: Mono, out: &mut Outbox) {
        self.saving.timeout(now, out);
    }

    /// When [`Self::timeout`] wants to be called.
    pub(in crate::core) fn next_timeout(&self) -> Option<Mono> {
        self.saving.next_timeout()
    }

    /// A save ended. Whether everything is on disk now.
    pub(in crate::core) fn on_saved(
        &mut self,
        result: Result<(), String>,
        now: Now,
        out: &mut Outbox,
    ) -> bool {
        self.saving.on_saved(result, now, out)
    }

    /// What is to be written, with what others keep.
    pub(in crate::core) fn take_unsaved(
        &mut self,
        own_version: u64,
        anchors: Vec<PeerId>,
        history: Option<History>,
    ) -> Unsaved {
        let all: Vec<CacheEntry> = self.book.cache_entries().collect();
        let entry = |peer: &PeerId| {
            all.binary_search_by_key(peer, |e| e.peer).ok().and_then(|at| all.get(at)).cloned()
        };
        let changed = self.saving.take_changed().into_iter().map(|peer| (peer, entry(&peer))).collect();
        if !anchors.is_empty() {
            self.book.set_anchors(anchors.iter().copied());
        }
        let names = self.book.names().cloned().collect();
        Unsaved { own_version, anchors, names, all, changed, history }
    }

    /// As it is shown.
    pub(in crate::core) fn view(&self) -> CacheView {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let set_aside = self.saving.set_aside().iter().map(|(file, detail)| format!("{file}: {detail}"));
        CacheView {
            known: count(self.book.len()),
            tried: count(self.book.tried()),
            save: self.saving.view(),
            set_aside: Some(set_aside.collect::<Vec<_>>().join("; ")).filter(|s| !s.is_empty()),
        }
    }
}
