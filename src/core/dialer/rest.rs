//! The rest of a node as the dialer sees it: the book, the links and the attempts.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::{Prospect, View};
use crate::core::Now;
use crate::core::attempts::Attempts;
use crate::core::book::{Book, NetPrefix};
use crate::core::host::Ways;
use crate::core::limits::RECORD_ADDRESSES_MAX;
use crate::core::link::Link;
use crate::core::links::Links;
use crate::model::{Cause, PeerId, SendTrouble};

/// What the dialer is shown of the other parts.
#[derive(Clone, Copy)]
pub(in crate::core) struct Rest<'a> {
    pub(in crate::core) book: &'a Book,
    pub(in crate::core) links: &'a Links,
    pub(in crate::core) attempts: &'a Attempts,
    /// Where the host lets us send.
    pub(in crate::core) ways: &'a Ways,
    pub(in crate::core) now: Now,
}

impl Rest<'_> {
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

impl View for Rest<'_> {
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
        self.links.count_outbound()
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
