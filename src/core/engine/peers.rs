//! Peers: what becomes of the book, and the dialer's view of it.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::{Engine, Link, Links};
use crate::core::Now;
use crate::core::attempts::Attempts;
use crate::core::book::{Change, NetPrefix};
use crate::core::dialer::{Dialer, Prospect, View};
use crate::core::host::Ways;
use crate::core::limits::{ANCHORS, KEPT_LINK, OUTBOUND_WANTED, RECORD_ADDRESSES_MAX, RECORD_HOMES_MAX};
use crate::core::link::ConnInfo;
use crate::core::peers::Peers;
use crate::core::targets::Targets;
use crate::core::{nat, relaying};
use crate::model::{
    AttemptOutcome, Cause, CloseCode, DropReason, EventKind, PeerId, Reason, SendTrouble, Source,
};

impl Engine {
    /// What the book and the links say of peers.
    pub(super) fn peers(&self, now: Now) -> Peers<'_> {
        Peers { me: self.config.me, book: &self.book, links: &self.links, now }
    }

    /// What is known for a dial at somebody.
    pub(super) fn targets(&self, now: Now) -> Targets<'_> {
        Targets { peers: self.peers(now), nat: &self.nat }
    }

    /// Keeps up with a change of the book.
    pub(super) fn on_change(&mut self, peer: PeerId, change: &Change, now: Now) {
        if change.added && !self.links.is_connected(&peer) {
            self.dialer.on_learned(peer, Cause::Gossip, now.mono);
        }
        if change.removed {
            self.dialer.forget(&peer);
        }
        if change.touched || change.added || change.removed {
            self.outbox.touch_row(peer);
            self.saving.note(peer);
        }
        for evicted in &change.evicted {
            self.dialer.forget(evicted);
            self.outbox.touch_row(*evicted);
            self.saving.note(*evicted);
            self.outbox.stopped(DropReason::CacheEvicted);
        }
        if change.status && self.links.get(&peer).is_some() {
            self.tell_nat(nat::Input::Claimed(peer), now);
            self.tell_relaying(relaying::Input::News(peer), now);
            // It may have become a home of ours, or is none any more.
            self.republish(now);
        }
        if change.updated {
            self.dialer.on_news(&peer, now.mono);
            self.with_upgrades(now, |upgrades, peers, out| upgrades.on_news(peer, peers, out));
        }
        if change.significant() {
            self.saving.touch(now.mono);
        }
    }

    /// Keeps up with a change that we made ourselves, and tells others of it.
    fn on_own_change(&mut self, peer: PeerId, change: &Change, now: Now) {
        self.gossip.spread(peer, change, now);
        if change.added {
            self.outbox.event(Some(peer), EventKind::PeerAdded { from: None }, now);
        }
        self.on_change(peer, change, now);
    }

    /// A handshake with a peer was completed.
    pub(super) fn met(&mut self, peer: PeerId, info: &ConnInfo, now: Now) {
        let bootstrap = self.attempts.towards(&peer).is_some_and(|l| l.cause() == Cause::Bootstrap);
        let source = if bootstrap { Source::Bootstrap } else { Source::Inbound };
        // A relay's address is not the peer's.
        let dialled = (info.outbound && info.path.is_straight()).then_some(info.remote);
        let change = self.book.contact(peer, source, dialled, now);
        self.on_own_change(peer, &change, now);
        let change = self.book.set_linked(peer, true);
        self.on_own_change(peer, &change, now);
        if info.outbound {
            let change = self.book.kept(peer, now);
            self.on_own_change(peer, &change, now);
        }
    }

    /// Notes under which name a linked peer goes. Others who go by it are marked.
    pub(super) fn note_name(&mut self, peer: PeerId, now: Now) {
        let greeting = self.links.get(&peer).filter(|link| link.is_up()).and_then(Link::greeting);
        let Some(name) = greeting.and_then(|greeting| greeting.name.clone()) else { return };
        if self.book.linked_as(peer, &name, now) {
            self.saving.touch(now.mono);
            for used in self.book.users_of(&name, now.stamp).map(|used| used.peer).collect::<Vec<_>>() {
                self.outbox.touch_row(used);
            }
        }
    }

    /// Whose link stands for a while is worth knowing, whoever dialled.
    pub(super) fn keep_linked(&mut self, now: Now) {
        if !self.links.take_look(now.mono) {
            return;
        }
        for peer in self.links.peers() {
            self.note_name(peer, now);
        }
        let kept = |(peer, link): (&PeerId, &Link)| {
            let known = self.book.get(*peer).is_some_and(|entry| !entry.measured.tried);
            let stood = || link.status().is_some_and(|s| now.mono.since(s.since) >= KEPT_LINK);
            (known && stood()).then_some(*peer)
        };
        for peer in self.links.iter().filter_map(kept).collect::<Vec<_>>() {
            let change = self.book.kept(peer, now);
            self.on_own_change(peer, &change, now);
        }
    }

    /// An attempt towards a peer ended.
    pub(super) fn record_attempt(
        &mut self,
        peer: PeerId,
        outcome: AttemptOutcome,
        reason: Option<Reason>,
        now: Now,
    ) {
        let alone = self.links.count_up() == 0;
        let change = match outcome {
            AttemptOutcome::Connected => self.book.attempt_succeeded(peer, now),
            AttemptOutcome::Unreachable => {
                let reason = reason.unwrap_or(Reason::NoAddress);
                self.book.attempt_failed(peer, reason.clone(), alone, now)
            }
            AttemptOutcome::NoBetterPath | AttemptOutcome::Abandoned => return,
        };
        if change.removed {
            let reason = Reason::NoAnswer { addresses: 0 };
            self.outbox.event(Some(peer), EventKind::PeerRemoved { reason }, now);
        }
        self.on_own_change(peer, &change, now);
    }

    /// The peers that we have dialled and been linked to longest.
    pub(super) fn anchors(&self) -> Vec<PeerId> {
        let mut outbound: Vec<_> = self
            .links
            .iter()
            .filter(|(_, link)| link.is_up())
            .filter_map(|(peer, link)| link.status().map(|s| (s, *peer)))
            .filter(|(status, _)| status.info.outbound)
            .map(|(status, peer)| (status.since, peer))
            .collect();
        outbound.sort_unstable();
        outbound.into_iter().take(ANCHORS).map(|(_, peer)| peer).collect()
    }

    /// A link came up: if it was only a feeler and we have enough others, it
    /// has done its work.
    pub(super) fn end_feeler(&mut self, peer: PeerId, was_feeler: bool, now: Now) {
        let outbound = self.dialer_view(now).outbound();
        if was_feeler && outbound > OUTBOUND_WANTED {
            let enough = Reason::Limit { limit: DropReason::OutboundLinks };
            self.links.close(peer, CloseCode::Limit, enough, now, &mut self.outbox);
            self.route(now);
        }
    }

    /// Says of ourselves what is true now; gossip spreads it if it changed.
    pub(super) fn republish(&mut self, now: Now) {
        let mut addresses = self.nat.own_addresses();
        addresses.truncate(RECORD_ADDRESSES_MAX);
        self.publish_own(addresses, self.serving.capabilities(), now);
    }

    /// Verified public peers that we keep links to: who wants a punch with us
    /// asks one of them at once. Those named before stay, so that records do
    /// not change with every round trip.
    pub(super) fn homes(&self, now: Now) -> Vec<PeerId> {
        let named = &self.gossip.own().homes;
        let mut homes: Vec<_> = self
            .links
            .iter()
            .filter(|(peer, link)| link.is_up() && self.peers(now).is_public(peer))
            .filter_map(|(peer, link)| link.status().map(|s| (peer, s)))
            .filter(|(_, status)| status.info.path.is_straight())
            .map(|(peer, status)| (!named.contains(peer), status.since, *peer))
            .collect();
        homes.sort_unstable();
        homes.into_iter().take(RECORD_HOMES_MAX).map(|(.., peer)| peer).collect()
    }

    /// Runs the dialer on the rest of the node.
    pub(super) fn with_dialer<T>(
        &mut self,
        now: Now,
        f: impl FnOnce(&mut Dialer, &DialerView<'_>) -> T,
    ) -> T {
        let Self { dialer, book, links, attempts, config, .. } = self;
        f(dialer, &DialerView { book, links, attempts, ways: &config.ways, now })
    }

    pub(super) fn dialer_view(&self, now: Now) -> DialerView<'_> {
        DialerView {
            book: &self.book,
            links: &self.links,
            attempts: &self.attempts,
            ways: &self.config.ways,
            now,
        }
    }
}

/// The rest of the node, as the dialer sees it.
pub(super) struct DialerView<'a> {
    book: &'a crate::core::book::Book,
    links: &'a Links,
    attempts: &'a Attempts,
    ways: &'a Ways,
    now: Now,
}

impl DialerView<'_> {
    fn prospect_of(&self, peer: PeerId) -> Option<Prospect> {
        let entry = self.book.get(peer)?;
        let mut addresses = entry.addresses();
        // Where others say that it is, it can be asked whether that is so.
        for claimed in self.book.claimed_addresses(peer) {
            if addresses.len() < RECORD_ADDRESSES_MAX && !addresses.contains(&claimed) {
                addresses.push(claimed);
            }
        }
        let (tried, reached) = (entry.measured.tried, entry.measured.reached_at);
        let word = entry.record().map_or(0, |record| record.version);
        Some(Prospect { peer, addresses, tried, reached, word, teller: entry.told_by })
    }
}

impl View for DialerView<'_> {
    fn best(&self, count: usize) -> Vec<Prospect> {
        let ranked = self.book.best_first(self.now.stamp);
        ranked.into_iter().take(count).filter_map(|peer| self.prospect_of(peer)).collect()
    }

    fn prospect(&self, peer: &PeerId) -> Option<Prospect> {
        self.prospect_of(*peer)
    }

    fn is_busy(&self, peer: &PeerId) -> bool {
        self.links.is_connected(peer) || self.attempts.towards(peer).is_some()
    }

    fn is_at(&self, peer: &PeerId, addr: &SocketAddr) -> bool {
        // Only what we proved: by a claim a peer could have us leave out whom it likes.
        self.book.get(*peer).is_some_and(|entry| entry.measured.reached_at == Some(*addr))
    }

    fn is_busy_addr(&self, addr: &SocketAddr) -> bool {
        self.attempts.live().any(|l| l.address() == Some(*addr))
            || self.links.values().any(|l| l.status().is_some_and(|s| s.info.remote == *addr))
    }

    fn way(&self, addrs: &[SocketAddr]) -> Result<(), SendTrouble> {
        self.ways.to(addrs)
    }

    fn is_open(&self) -> bool {
        self.ways.is_open()
    }

    fn links(&self) -> usize {
        self.links.count_up()
    }

    fn outbound(&self) -> usize {
        self.links.values().filter(|l| l.status().is_some_and(|s| s.info.outbound)).count()
    }

    fn outbound_prefixes(&self) -> BTreeSet<NetPrefix> {
        let statuses = self.links.values().filter_map(Link::status);
        statuses.filter(|s| s.info.outbound).filter_map(|s| NetPrefix::of(s.info.remote)).collect()
    }

    fn untried(&self) -> Vec<PeerId> {
        let untried = self.book.iter().filter(|(_, entry)| !entry.measured.tried);
        untried.map(|(peer, _)| peer).filter(|peer| !self.is_busy(peer)).collect()
    }

    fn attempts(&self) -> usize {
        self.attempts.live().count()
    }

    fn gossip_attempts(&self) -> usize {
        self.attempts.live().filter(|l| l.cause() == Cause::Gossip).count()
    }
}
