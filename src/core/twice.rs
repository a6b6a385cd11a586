//! One identity in two places: a machine that was copied with its data directory, and
//! both copies run. Each takes the peers' links from the other, for a peer has one link
//! to one identity. Peers see it by a pattern that nothing else makes, and tell the
//! copies; a copy believes what it saw happen to its own links.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::link::ConnInfo;
use super::links::Links;
use super::outbox::Outbox;
use super::wire::{Message, UsedTwice as Told};
use super::{Mono, Now};
use crate::model::{DropReason, EventKind, Path, PeerId, UsedTwice, plain_addr};

/// What happened longer ago than this says nothing of now. Copies that wait for each
/// other's turn do so for at most five minutes.
const REMEMBERED: Duration = Duration::from_secs(900);
/// Links that peers closed for another one of our identity, after which it is certain
/// without anybody's word: a single one may be a race of two dials of ours.
const REPLACED_OFTEN: u32 = 3;
/// Peers of which this much is remembered: as many as links. The oldest goes.
const PEERS_MAX: usize = super::limits::LINKS_MAX;

/// A session of which the peer remembered nothing took a link over that stood.
#[derive(Debug, Clone, Copy)]
struct Usurped {
    from: SocketAddr,
    to: SocketAddr,
    at: Mono,
}

/// What is known of one identity.
#[derive(Debug)]
struct Sighting {
    addresses: Vec<SocketAddr>,
    since: Mono,
    last: Mono,
}

/// Whose identity was seen to be used twice.
#[derive(Debug)]
pub(super) struct Twice {
    me: PeerId,
    usurped: BTreeMap<PeerId, Usurped>,
    /// Who closed links of ours so, how often, and when last.
    replaced: BTreeMap<PeerId, (u32, Mono)>,
    seen: BTreeMap<PeerId, Sighting>,
}

/// Makes room for one more.
fn make_room<T>(map: &mut BTreeMap<PeerId, T>, peer: &PeerId, at: impl Fn(&T) -> Mono) {
    if map.len() >= PEERS_MAX && !map.contains_key(peer) {
        let oldest = map.iter().min_by_key(|(_, held)| at(held)).map(|(peer, _)| *peer);
        oldest.map(|peer| map.remove(&peer));
    }
}

impl Twice {
    pub(super) fn new(me: PeerId) -> Self {
        Self { me, usurped: BTreeMap::new(), replaced: BTreeMap::new(), seen: BTreeMap::new() }
    }

    fn forget(&mut self, now: Mono) {
        let fresh = |at: Mono| now.since(at) < REMEMBERED;
        self.usurped.retain(|_, u| fresh(u.at));
        self.replaced.retain(|_, (_, at)| fresh(*at));
        self.seen.retain(|_, s| fresh(s.last));
    }

    /// Where an identity is used, if it is used twice.
    pub(super) fn of(&self, peer: &PeerId, now: Mono) -> Option<&[SocketAddr]> {
        let seen = self.seen.get(peer).filter(|s| now.since(s.last) < REMEMBERED);
        seen.map(|s| s.addresses.as_slice())
    }

    pub(super) fn view(&self, now: Now) -> Vec<UsedTwice> {
        let fresh = self.seen.iter().filter(|(_, s)| now.mono.since(s.last) < REMEMBERED);
        fresh
            .map(|(peer, s)| UsedTwice {
                peer_id: *peer,
                addresses: s.addresses.clone(),
                since: now.stamp_of(s.since),
            })
            .collect()
    }

    /// A peer's link runs over a connection whose other end remembers nothing of it,
    /// though it stood.
    pub(super) fn on_usurped(
        &mut self,
        peer: PeerId,
        old: &ConnInfo,
        links: &Links,
        now: Now,
        out: &mut Outbox,
    ) {
        let Some(new) = links.in_use(&peer).cloned() else { return };
        // What is seen of a lane is its relay; and who starts again where it was is one.
        if [old.path, new.path].contains(&Path::Relayed) || old.remote == new.remote {
            return;
        }
        self.forget(now.mono);
        make_room(&mut self.usurped, &peer, |u| u.at);
        let this = Usurped { from: old.remote, to: new.remote, at: now.mono };
        let before = self.usurped.insert(peer, this);
        // A node that moved and started again is where it was before no more: only two
        // take turns. Later a NAT may show either at another port.
        let back = before.is_some_and(|b| b.from == this.to && b.to == this.from);
        if back || self.of(&peer, now.mono).is_some() {
            self.sighted(peer, &[old.remote, new.remote], now, out);
            out.send(peer, Message::UsedTwice(Told { other: old.remote }));
        }
    }

    /// A peer closed our link for another one of our identity.
    pub(super) fn on_replaced(&mut self, peer: PeerId, now: Now, out: &mut Outbox) {
        self.forget(now.mono);
        make_room(&mut self.replaced, &peer, |(_, at)| *at);
        let (times, at) = self.replaced.entry(peer).or_insert((0, now.mono));
        (*times, *at) = (times.saturating_add(1), now.mono);
        if *times >= REPLACED_OFTEN {
            self.sighted(self.me, &[], now, out);
        }
    }

    /// A peer says where else our identity is used. Only who did to our link what that
    /// would make it do is believed.
    pub(super) fn on_told(&mut self, peer: PeerId, told: Told, links: &Links, now: Now, out: &mut Outbox) {
        self.forget(now.mono);
        if !self.replaced.contains_key(&peer) {
            return out.stopped(DropReason::UsedTwiceHearsay);
        }
        let ours = links.greeting(&peer).map(|g| g.observed);
        let both: Vec<SocketAddr> = ours.into_iter().chain([plain_addr(told.other)]).collect();
        self.sighted(self.me, &both, now, out);
    }

    fn sighted(&mut self, peer: PeerId, addresses: &[SocketAddr], now: Now, out: &mut Outbox) {
        make_room(&mut self.seen, &peer, |s| s.last);
        let anew = !self.seen.contains_key(&peer);
        let first = Sighting { addresses: Vec::new(), since: now.mono, last: now.mono };
        let seen = self.seen.entry(peer).or_insert(first);
        seen.last = now.mono;
        let unknown = seen.addresses.is_empty() && !addresses.is_empty();
        if !addresses.is_empty() {
            seen.addresses = addresses.to_vec();
        }
        if anew || unknown {
            let kind = EventKind::IdentityUsedTwice { addresses: addresses.to_vec() };
            out.event(Some(peer), kind, now);
        }
    }
}
