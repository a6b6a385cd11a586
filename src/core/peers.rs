//! What the book and the links together say of peers: for all parts that own neither.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::Now;
use super::book::{Book, Entry};
use super::ladder::Candidate;
use super::link::{ConnInfo, Greeting};
use super::links::Links;
use super::wire::{Record, RelayAddr};
use crate::model::{NatType, Path, PeerId};

/// A look at them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peers<'a> {
    /// Our own identity.
    pub(super) me: PeerId,
    pub(super) book: &'a Book,
    pub(super) links: &'a Links,
    pub(super) now: Now,
}

impl Peers<'_> {
    pub(super) fn record(&self, peer: &PeerId) -> Option<&Record> {
        self.book.get(*peer)?.record()
    }

    /// What a peer says of its NAT; its own newer record counts before its Hello.
    pub(super) fn claimed_nat(&self, peer: &PeerId) -> NatType {
        let greeting = self.links.greeting(peer).map(|g: &Greeting| g.nat);
        let entry = self.book.get(*peer);
        let first_hand = entry.filter(|e| e.known.is_first_hand() || greeting.is_none());
        first_hand.and_then(Entry::record).map(|r| r.nat).or(greeting).unwrap_or_default()
    }

    /// Whether a peer counts as public to us: it says so, and a dial of ours from a
    /// fresh socket reached it.
    pub(super) fn is_public(&self, peer: &PeerId) -> bool {
        self.claimed_nat(peer) == NatType::None
            && self.book.get(*peer).is_some_and(|e| e.measured.is_public(self.now.stamp))
    }

    /// Where a peer can be dialled; `None` if nobody knows it.
    pub(super) fn addresses_of(&self, peer: &PeerId) -> Option<Vec<SocketAddr>> {
        let linked = || self.links.status(peer).map(|s| vec![s.info.remote]);
        self.book.get(*peer).map(Entry::addresses).or_else(linked)
    }

    /// What a peer says of its NAT and of where it is.
    pub(super) fn place_of(&self, peer: &PeerId) -> (NatType, Vec<SocketAddr>) {
        (self.claimed_nat(peer), self.addresses_of(peer).unwrap_or_default())
    }

    /// Where a punch is to aim: an intermediary shows the target our address in the
    /// family of our link to it, so it is the target's address in that one.
    pub(super) fn target_in_family(
        &self,
        via: PeerId,
        target: SocketAddr,
        addresses: &[SocketAddr],
    ) -> Option<SocketAddr> {
        let seen = self.links.status(&via)?.info.remote;
        let fits = |at: &&SocketAddr| at.is_ipv4() == seen.is_ipv4();
        Some(target).filter(|at| fits(&at)).or_else(|| addresses.iter().find(fits).copied())
    }

    /// A linked peer as an intermediary of a punch towards this address.
    pub(super) fn candidate(&self, from: PeerId, target: SocketAddr) -> Option<Candidate> {
        let status = self.links.status(&from)?;
        let known = self.book.get(from)?;
        Some(Candidate {
            peer: from,
            addr: status.info.remote,
            target,
            verified_public: self.is_public(&from),
            rtt_ms: status.rtt_ms,
            success_rate: known.measured.success_rate(),
        })
    }

    /// A peer's homes that are linked to us, as intermediaries towards it.
    pub(super) fn homes_of(&self, peer: &PeerId, addresses: &[SocketAddr]) -> Vec<Candidate> {
        let (Some(at), Some(record)) = (addresses.first(), self.record(peer)) else { return Vec::new() };
        let homes = record.homes.iter().filter(|home| self.links.is_up(home));
        homes
            .filter_map(|home| self.candidate(*home, self.target_in_family(*home, *at, addresses)?))
            .collect()
    }

    /// A peer's reservations at which we could dial it, but for one.
    pub(super) fn other_relays(&self, peer: &PeerId, but: Option<PeerId>) -> Vec<RelayAddr> {
        let relays = self.record(peer).map(|r| r.relays.clone()).unwrap_or_default();
        relays.into_iter().filter(|at| Some(at.relay) != but && self.is_known_relay(at)).collect()
    }

    /// How many relays a peer's record names that nobody knows: none of them is dialled.
    pub(super) fn unknown_relays(&self, peer: &PeerId) -> u64 {
        let unknown = |r: &Record| r.relays.iter().filter(|at| !self.is_known_relay(at)).count();
        self.record(peer).map_or(0, |record| unknown(record) as u64)
    }

    /// The hosts at which a peer is: where its link leads, where we reached it, and what its
    /// record says.
    pub(super) fn hosts_of(&self, peer: &PeerId) -> Vec<IpAddr> {
        let linked = self.links.in_use(peer).filter(|i| i.path.is_straight()).map(|i| i.remote);
        let entry = self.book.get(*peer);
        let reached = entry.and_then(|e| e.measured.reached_at);
        let said = entry.map(Entry::addresses).unwrap_or_default();
        linked.into_iter().chain(reached).chain(said).map(|at| at.ip()).collect()
    }

    /// Whether a relay is one that we know, at an address of its own: nobody aims our
    /// dials at whatever host he likes.
    pub(super) fn is_known_relay(&self, at: &RelayAddr) -> bool {
        let same_host = |addr: &SocketAddr| addr.ip() == at.addr.ip();
        let known = self.book.get(at.relay).is_some_and(|e| e.addresses().iter().any(same_host));
        at.relay != self.me && (known || self.is_met_relay(at))
    }

    /// Whether a relay is one that we are linked to, or have dialled, at the host of
    /// that address: nobody's word is needed.
    pub(super) fn is_met_relay(&self, at: &RelayAddr) -> bool {
        let same_host = |addr: &SocketAddr| addr.ip() == at.addr.ip();
        let linked = self.links.in_use(&at.relay);
        let reached = self.book.get(at.relay).and_then(|e| e.measured.reached_at);
        at.relay != self.me
            && (reached.is_some_and(|addr| same_host(&addr))
                || linked.is_some_and(|i| i.path.is_straight() && same_host(&i.remote)))
    }

    /// The peers that came to us over that relay.
    pub(super) fn linked_over(&self, relay: PeerId) -> BTreeSet<PeerId> {
        let over = |peer: &PeerId| self.links.in_use(peer).and_then(came_over) == Some(relay);
        self.links.iter().map(|(peer, _)| *peer).filter(over).collect()
    }
}

/// The relay of ours over which a connection came in.
pub(super) fn came_over(info: &ConnInfo) -> Option<PeerId> {
    info.via.filter(|_| info.path == Path::Relayed && !info.outbound)
}
