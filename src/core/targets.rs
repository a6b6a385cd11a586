//! What is known for a dial at a peer: where it is, who could help, and what the NATs
//! of both ends allow.

use std::net::{IpAddr, SocketAddr};

use super::book::{Entry, Quarter};
use super::gossip::LinkContext;
use super::gossip::rules::is_public;
use super::ladder::{NAT_FRESH, NatPair, Target};
use super::link::Link;
use super::nat::{Family, Nat};
use super::peers::Peers;
use super::wire::RelayAddr;
use crate::model::{NatType, PeerId};

/// Direct links by IPv4 before IPv6 has its turn: as many vantage points settle
/// what a NAT does even if one of them lies.
const MIN_IPV4_LINKS: usize = 3;

/// A look at it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Targets<'a> {
    pub(super) peers: Peers<'a>,
    pub(super) nat: &'a Nat,
}

impl Targets<'_> {
    /// What an attempt at a peer is about; `None` if nobody knows it.
    pub(super) fn of(&self, peer: PeerId) -> Option<Target> {
        Some(self.at(peer, self.peers.addresses_of(&peer)?))
    }

    /// The same, at these addresses.
    pub(super) fn at(&self, peer: PeerId, addresses: Vec<SocketAddr>) -> Target {
        Target {
            peer: Some(peer),
            relays: self.peers.other_relays(&peer, None),
            nat_pair: self.nat_pair_at(&peer, &addresses),
            first: self.first_family(),
            homes: self.peers.homes_of(&peer, &addresses),
            addresses,
        }
    }

    /// What addresses mean that a linked peer names. Of a relayed peer we see the relay;
    /// where it is, it says itself.
    pub(super) fn link_context(&self, peer: &PeerId) -> Option<LinkContext> {
        let info = self.peers.links.in_use(peer)?;
        let ours: Vec<IpAddr> = self.nat.seen_at().iter().map(SocketAddr::ip).collect();
        let (remote, relayed) = (info.remote.ip(), !info.path.is_straight());
        let theirs: Vec<IpAddr> = if relayed {
            let said = self.peers.book.get(*peer).map(Entry::addresses).unwrap_or_default();
            said.iter().map(SocketAddr::ip).collect()
        } else {
            vec![remote]
        };
        let context = LinkContext::new(self.nat.bound_to(), remote, &ours, &theirs, info.outbound);
        Some(if relayed { LinkContext { from: Quarter::Relay, ..context } } else { context })
    }

    /// Where a reservation is dialled. Where this host sends nothing in the family of its
    /// address, at the same port of the relay in the other one: the socket behind it takes
    /// both, if its relay has both.
    pub(super) fn dialled(&self, at: &RelayAddr) -> RelayAddr {
        let sends = |ip: IpAddr| self.nat.sends_in(Family::of(ip)) != Some(false);
        if sends(at.addr.ip()) {
            return *at;
        }
        let hosts = self.peers.hosts_of(&at.relay);
        let host = hosts.into_iter().find(|ip| sends(*ip));
        host.map_or(*at, |ip| RelayAddr { addr: SocketAddr::new(ip, at.addr.port()), ..*at })
    }

    /// What is measured of both ends.
    pub(super) fn nat_pair(&self, peer: &PeerId) -> NatPair {
        self.nat_pair_at(peer, &self.peers.addresses_of(peer).unwrap_or_default())
    }

    /// Whether measurement says that nothing but a relay leads there: then nothing is
    /// tried until a NAT changes.
    pub(super) fn is_hopeless(&self, peer: &PeerId) -> bool {
        self.nat_pair(peer).is_hopeless()
    }

    fn nat_pair_at(&self, peer: &PeerId, addresses: &[SocketAddr]) -> NatPair {
        let entry = self.peers.book.get(*peer);
        let stamp = self.peers.now.stamp;
        let fresh = |e: &&Entry| e.last_seen().is_some_and(|at| at.age_at(stamp) <= NAT_FRESH);
        NatPair {
            // A firewall filters like a NAT.
            ours: self.nat.claim(),
            theirs: entry.filter(fresh).and_then(Entry::record).map_or(NatType::Unknown, |r| r.nat),
            ipv6: has_public_ipv6(&self.nat.own_addresses()) && has_public_ipv6(addresses),
            loopback: !addresses.is_empty() && addresses.iter().all(|a| a.ip().is_loopback()),
            apart: !addresses.is_empty()
                && addresses.iter().all(|a| self.nat.sends_in(Family::of(a.ip())) == Some(false)),
        }
    }

    /// In which family somebody who has both is dialled first. Only links by IPv4
    /// measure what its NAT does; further ones go by IPv6, so that somebody sees
    /// us there too and can have others punch towards us.
    fn first_family(&self) -> Option<Family> {
        let has_ipv4 = self.nat.host_addresses().iter().any(|ip| Family::of(*ip) == Family::V4);
        if !has_ipv4 || !has_public_ipv6(&self.nat.own_addresses()) {
            return None;
        }
        let measures = |(peer, link): &(&PeerId, &Link)| {
            link.in_use().is_some_and(|i| i.path.is_straight() && i.remote.is_ipv4())
                && matches!(self.peers.claimed_nat(peer), NatType::None | NatType::Unknown)
        };
        let by_ipv4 = self.peers.links.iter().filter(measures).count();
        Some(if by_ipv4 < MIN_IPV4_LINKS { Family::V4 } else { Family::V6 })
    }
}

/// Whether there is a public IPv6 address among these.
fn has_public_ipv6(addresses: &[SocketAddr]) -> bool {
    addresses.iter().any(|at| at.is_ipv6() && is_public(at.ip()))
}
