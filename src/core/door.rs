//! The door: who may begin a handshake, before any cryptography is done for
//! him.
//!
//! A first packet costs its sender nothing and may bear a forged address. So
//! while few handshakes are under way everybody is let in; while many are, an
//! address has to prove itself by a round trip (Retry); and those under way are
//! shared out among addresses, so that no host keeps the others out.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use super::Mono;
use super::bucket::Bucket;
use super::limits::{
    FIRST_PACKET_MIN, HANDSHAKES_AT_ONCE, HANDSHAKES_FREE, HANDSHAKES_PER_SOURCE, HANDSHAKES_PER_SOURCE_FREE,
    INITIALS_PER_SECOND,
};

/// Names a handshake that was let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HandshakeId(u64);

/// What to do with somebody who knocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Begin the handshake; say when it is over.
    Accept(HandshakeId),
    /// The same, and give up an older one that makes way.
    AcceptInstead(HandshakeId, HandshakeId),
    /// Have the address prove itself first.
    Retry,
    /// Do nothing: an answer would cost us more than the question.
    Ignore,
}

/// Whoever cannot be told apart: an IPv4 address, or a /64 of IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    V4([u8; 4]),
    V6([u8; 8]),
}

impl Source {
    fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::V4(ip.octets()),
            IpAddr::V6(ip) => {
                ip.to_ipv4_mapped().map_or_else(|| Self::prefix(ip), |v4| Self::V4(v4.octets()))
            }
        }
    }

    fn prefix(ip: Ipv6Addr) -> Self {
        let mut prefix = [0; 8];
        prefix.copy_from_slice(&ip.octets()[..8]);
        Self::V6(prefix)
    }
}

/// The handshakes that are under way.
#[derive(Debug)]
pub struct Door {
    /// Hosts of a fleet on loopback all come from one address.
    loopback_exempt: bool,
    initials: Bucket,
    shaking: BTreeMap<HandshakeId, Source>,
    next: u64,
}

impl Door {
    /// Nobody is under way yet. `loopback_exempt`: whether our own bind is
    /// loopback.
    pub fn new(loopback_exempt: bool, now: Mono) -> Self {
        let initials = Bucket::new(INITIALS_PER_SECOND, INITIALS_PER_SECOND, now);
        Self { loopback_exempt, initials, shaking: BTreeMap::new(), next: 0 }
    }

    /// Somebody knocks. `proved`: whether he receives what is sent to that
    /// address.
    pub fn knock(&mut self, ip: IpAddr, proved: bool, now: Mono) -> Verdict {
        let busy = !self.initials.take(now);
        let source = Source::of(ip);
        let exempt = self.loopback_exempt && ip.to_canonical().is_loopback();
        let from_there = if exempt { 0 } else { self.count(source) };
        let crowded = self.shaking.len() >= HANDSHAKES_FREE || from_there >= HANDSHAKES_PER_SOURCE_FREE;
        if !proved && (busy || crowded) {
            return Verdict::Retry;
        }
        if from_there >= HANDSHAKES_PER_SOURCE {
            return Verdict::Ignore;
        }
        if self.shaking.len() < HANDSHAKES_AT_ONCE {
            return Verdict::Accept(self.let_in(source));
        }
        match self.crowd(from_there + 1) {
            Some(old) => {
                self.shaking.remove(&old);
                Verdict::AcceptInstead(self.let_in(source), old)
            }
            None => Verdict::Ignore,
        }
    }

    /// A handshake succeeded, failed, or took too long.
    pub fn done(&mut self, id: HandshakeId) {
        self.shaking.remove(&id);
    }

    fn let_in(&mut self, source: Source) -> HandshakeId {
        let id = HandshakeId(self.next);
        self.next += 1;
        self.shaking.insert(id, source);
        id
    }

    fn count(&self, source: Source) -> usize {
        self.shaking.values().filter(|s| **s == source).count()
    }

    /// The oldest handshake of whoever has most of them, if those are more than
    /// `than`.
    fn crowd(&self, than: usize) -> Option<HandshakeId> {
        let mut counts: BTreeMap<Source, (usize, HandshakeId)> = BTreeMap::new();
        for (id, source) in &self.shaking {
            counts.entry(*source).or_insert((0, *id)).0 += 1;
        }
        counts
            .into_values()
            .max_by_key(|(count, _)| *count)
            .filter(|(count, _)| *count > than)
            .map(|(_, id)| id)
    }
}

/// Whether a datagram asks for our versions and is too short to be answered. What
/// belongs to a connection of version 1, the only one that is spoken here, is not.
pub fn asks_in_short(datagram: &[u8]) -> bool {
    const LONG_HEADER: u8 = 0x80;
    let [first, version @ ..] = datagram else { return false };
    let Some(version) = version.first_chunk() else { return false };
    let spoken = matches!(u32::from_be_bytes(*version), 0 | 1);
    first & LONG_HEADER != 0 && !spoken && datagram.len() < FIRST_PACKET_MIN
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(n: usize) -> IpAddr {
        [198, 18, (n >> 8) as u8, n as u8].into()
    }

    fn at(ms: u64) -> Mono {
        Mono::from_millis(ms)
    }

    fn door() -> Door {
        Door::new(false, at(0))
    }

    fn is_in(verdict: Verdict) -> bool {
        matches!(verdict, Verdict::Accept(_) | Verdict::AcceptInstead(..))
    }

    #[test]
    fn while_few_are_under_way_nobody_has_to_prove_anything() {
        let mut door = door();
        assert!((0..HANDSHAKES_FREE).all(|n| matches!(door.knock(ip(n), false, at(0)), Verdict::Accept(_))));
    }

    #[test]
    fn while_many_are_under_way_an_address_proves_itself_first() {
        let mut door = door();
        for n in 0..HANDSHAKES_FREE {
            door.knock(ip(n), false, at(0));
        }
        assert_eq!(door.knock(ip(900), false, at(0)), Verdict::Retry);
        assert!(matches!(door.knock(ip(900), true, at(0)), Verdict::Accept(_)));
    }

    #[test]
    fn a_second_of_too_many_first_packets_has_everybody_prove_himself() {
        let mut door = door();
        let mut retried = 0;
        for n in 0..500 {
            match door.knock(ip(n), false, at(n as u64 * 2)) {
                Verdict::Accept(id) => door.done(id),
                Verdict::Retry => retried += 1,
                other => panic!("{other:?}"),
            }
        }
        assert!(retried > 250, "500 a second, {retried} had to prove themselves");
        assert!(is_in(door.knock(ip(1), false, at(3_000))), "and nobody when it is over");
    }

    #[test]
    fn forged_packets_of_one_address_do_not_keep_its_owner_out() {
        let mut door = door();
        for _ in 0..100 {
            door.knock(ip(7), false, at(0));
        }
        assert!(is_in(door.knock(ip(7), true, at(0))));
    }

    #[test]
    fn one_address_has_so_many_and_no_more() {
        let mut door = door();
        let let_in = (0..100).filter(|_| is_in(door.knock(ip(7), true, at(0)))).count();
        assert_eq!(let_in, HANDSHAKES_PER_SOURCE);
        assert_eq!(door.knock(ip(7), true, at(0)), Verdict::Ignore);
        let six = |n: u16| IpAddr::V6(Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, n));
        let let_in = (0..100).filter(|n| is_in(door.knock(six(*n), true, at(0)))).count();
        assert_eq!(let_in, HANDSHAKES_PER_SOURCE, "a /64 is one host");
    }

    #[test]
    fn a_few_hosts_with_many_mute_handshakes_make_way_for_another_host() {
        let mut door = door();
        for n in 0..HANDSHAKES_AT_ONCE {
            assert!(is_in(door.knock(ip(n % 4), true, at(0))));
        }
        let mut newcomers = 0;
        for n in 100..100 + HANDSHAKES_AT_ONCE {
            newcomers += usize::from(matches!(door.knock(ip(n), true, at(0)), Verdict::AcceptInstead(..)));
            assert!(door.shaking.len() <= HANDSHAKES_AT_ONCE);
        }
        assert!(newcomers >= HANDSHAKES_AT_ONCE - 8, "{newcomers}");
    }

    #[test]
    fn a_fleet_on_loopback_is_no_crowd_unless_we_listen_to_the_world() {
        let here: IpAddr = [127, 0, 0, 1].into();
        let let_in = |exempt| {
            let mut door = Door::new(exempt, at(0));
            (0..HANDSHAKES_AT_ONCE).filter(|_| is_in(door.knock(here, true, at(0)))).count()
        };
        assert_eq!(let_in(true), HANDSHAKES_AT_ONCE);
        assert_eq!(let_in(false), HANDSHAKES_PER_SOURCE);
    }

    #[test]
    fn what_is_over_takes_no_place() {
        let mut door = door();
        for n in 0..10_000 {
            match door.knock(ip(n), true, at(n as u64 * 10)) {
                Verdict::Accept(id) => door.done(id),
                other => panic!("{other:?} at {n}"),
            }
        }
    }

    #[test]
    fn a_short_question_for_our_versions_is_told_apart() {
        let datagram = |version: u32, len: usize| {
            let mut datagram = vec![0xc0];
            datagram.extend(version.to_be_bytes());
            datagram.resize(len, 0);
            datagram
        };
        assert!(asks_in_short(&datagram(0x1a2a_3a4a, FIRST_PACKET_MIN - 1)));
        assert!(!asks_in_short(&datagram(0x1a2a_3a4a, FIRST_PACKET_MIN)));
        assert!(!asks_in_short(&datagram(1, 60)), "the end of a handshake");
        assert!(!asks_in_short(&[0x40; 60]), "of a connection");
        assert!(!asks_in_short(&[0xc0, 1]) && !asks_in_short(&[]));
    }
}
