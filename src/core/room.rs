//! Room for links: who gets a place, and who gives one up for him.
//!
//! A place is a peer's, however many connections it has. Peers that have not said who
//! they are, and those that never will, sit in a small pool apart, where the oldest
//! goes first. Of the places for links half are kept for those whom we dialled or knew
//! before; strangers have the rest. Where no place is free, the prefix that has most of
//! them gives one up to a prefix that has clearly fewer. So whoever wants to keep others
//! out needs as many prefixes as there are places, and not as many identities.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Mono;
use super::limits::{LINKS_MAX, LINKS_MUTE_MAX, LINKS_PER_IP_MAX, LINKS_STRANGERS_MAX};
use crate::model::{DropReason, PeerId};

/// On which footing a peer is here, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Footing {
    /// It came by itself, and we never had to do with it.
    Stranger,
    /// It came by itself; we were linked to it before, or it is a member of our closed
    /// fleet.
    Known,
    /// We dialled it because we wanted to.
    Ours,
}

/// From where a peer came, as far as others could come from there too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A host.
    Host(IpAddr),
    /// Through a relay: what is beyond it only the relay says.
    Relay(Option<PeerId>),
    /// A host that everybody shares, as loopback where we listen on nothing else.
    Shared,
}

/// What one administration holds: a /24 of IPv4, which is the least that is routed, or a
/// /48 of IPv6, which is what one site is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Prefix {
    V4([u8; 3]),
    V6([u16; 3]),
    Relay(Option<PeerId>),
}

impl Origin {
    fn prefix(self) -> Option<Prefix> {
        match self {
            Self::Host(ip) => Some(match ip.to_canonical() {
                IpAddr::V4(ip) => {
                    let [a, b, c, _] = ip.octets();
                    Prefix::V4([a, b, c])
                }
                IpAddr::V6(ip) => {
                    let [a, b, c, ..] = ip.segments();
                    Prefix::V6([a, b, c])
                }
            }),
            Self::Relay(via) => Some(Prefix::Relay(via)),
            Self::Shared => None,
        }
    }
}

/// A place that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat {
    /// On which footing.
    pub footing: Footing,
    /// From where.
    pub origin: Origin,
    /// Since when it is linked, or connected if it is not linked.
    pub since: Mono,
    /// Whether its handshake is done.
    pub linked: bool,
}

/// Why there is no place: the name under which it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full(pub DropReason);

/// All places that are taken.
#[derive(Debug, Default)]
pub struct Room {
    seats: BTreeMap<PeerId, Seat>,
}

impl Room {
    /// A peer is connected and has said nothing yet. `Ok` names whoever has to go for it.
    /// `needed`: who is of use to us without a word, as a relay that is no node of ours.
    ///
    /// # Errors
    /// [`Full`] if there is no place for it.
    pub fn enter(
        &mut self,
        peer: PeerId,
        footing: Footing,
        origin: Origin,
        needed: impl Fn(&PeerId) -> bool,
        now: Mono,
    ) -> Result<Option<PeerId>, Full> {
        if self.seats.contains_key(&peer) {
            return Ok(None);
        }
        let seat = Seat { footing, origin, since: now, linked: false };
        let mute = || self.seats.iter().filter(|(peer, s)| !s.linked && !needed(peer));
        let gives_way = if self.is_host_full(&seat) {
            let theirs = mute().filter(|(_, s)| s.origin == origin && s.footing <= footing);
            let oldest = theirs.min_by_key(|(_, s)| s.since).map(|(peer, _)| *peer);
            Some(oldest.ok_or(Full(DropReason::LinksPerAddress))?)
        } else if self.seats.values().filter(|s| !s.linked).count() >= LINKS_MUTE_MAX {
            let crowds = crowds(self.seats.values().filter(|s| !s.linked));
            let crowd = |s: &Seat| size(&crowds, s.origin);
            let worth = |s: &Seat| (s.footing, usize::MAX - crowd(s), s.since);
            let yields =
                |s: &Seat| s.footing <= footing || s.footing < Footing::Ours && crowd(s) > crowd(&seat) + 1;
            let least = mute().min_by_key(|(_, s)| worth(s)).filter(|(_, s)| yields(s));
            Some(least.map(|(peer, _)| *peer).ok_or(Full(DropReason::MuteLinks))?)
        } else {
            None
        };
        self.replace(gives_way, peer, seat);
        Ok(gives_way)
    }

    /// A peer has said who it is. `Ok` names whoever has to go for it. In a closed fleet
    /// (`proved`) it is a member, so no stranger.
    ///
    /// # Errors
    /// [`Full`] if there is no place for it; it has none at all then.
    pub fn link(&mut self, peer: PeerId, proved: bool, now: Mono) -> Result<Option<PeerId>, Full> {
        let Some(mut seat) = self.seats.get(&peer).copied() else { return Err(Full(DropReason::Links)) };
        if seat.linked {
            return Ok(None);
        }
        if proved {
            seat.footing = seat.footing.max(Footing::Known);
        }
        (seat.linked, seat.since) = (true, now);
        let is_stranger = |s: &Seat| s.footing == Footing::Stranger && s.origin != Origin::Shared;
        let linked = || self.seats.iter().filter(|(_, s)| s.linked);
        let strangers = linked().filter(|(_, s)| is_stranger(s)).count();
        let crowded = is_stranger(&seat) && strangers >= LINKS_STRANGERS_MAX;
        let gives_way = if crowded || linked().count() >= LINKS_MAX {
            let crowds = crowds(linked().map(|(_, s)| s));
            let crowd = |s: &Seat| size(&crowds, s.origin);
            let worth = |s: &Seat| (usize::MAX - crowd(s), s.footing, std::cmp::Reverse(s.since));
            let least = linked()
                .filter(|(_, s)| s.footing < Footing::Ours && (!crowded || is_stranger(s)))
                .min_by_key(|(_, s)| worth(s))
                .filter(|(_, s)| seat.footing == Footing::Ours || crowd(s) > crowd(&seat) + 1)
                .map(|(peer, _)| *peer);
            let Some(least) = least else {
                self.seats.remove(&peer);
                return Err(Full(DropReason::Links));
            };
            Some(least)
        } else {
            None
        };
        self.replace(gives_way, peer, seat);
        Ok(gives_way)
    }

    /// A peer turned out to speak another protocol.
    pub fn mute(&mut self, peer: &PeerId) {
        if let Some(seat) = self.seats.get_mut(peer) {
            seat.linked = false;
        }
    }

    /// A peer is gone. What it had.
    pub fn leave(&mut self, peer: &PeerId) -> Option<Seat> {
        self.seats.remove(peer)
    }

    fn replace(&mut self, gives_way: Option<PeerId>, peer: PeerId, seat: Seat) {
        if let Some(old) = gives_way {
            self.seats.remove(&old);
        }
        self.seats.insert(peer, seat);
    }

    /// Whether whoever is at that host has as many places as one host may.
    fn is_host_full(&self, seat: &Seat) -> bool {
        let came = |s: &&Seat| s.footing < Footing::Ours && s.origin == seat.origin;
        matches!(seat.origin, Origin::Host(_))
            && seat.footing < Footing::Ours
            && self.seats.values().filter(came).count() >= LINKS_PER_IP_MAX
    }
}

/// How many places each prefix has, apart from those that we gave it by ourselves.
fn crowds<'a>(seats: impl Iterator<Item = &'a Seat>) -> BTreeMap<Prefix, usize> {
    let mut crowds = BTreeMap::new();
    for prefix in seats.filter(|s| s.footing < Footing::Ours).filter_map(|s| s.origin.prefix()) {
        *crowds.entry(prefix).or_default() += 1;
    }
    crowds
}

fn size(crowds: &BTreeMap<Prefix, usize>, origin: Origin) -> usize {
    origin.prefix().and_then(|prefix| crowds.get(&prefix)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests;
