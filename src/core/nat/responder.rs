//! Serves the probes of linked peers: says what address it sees, and sends a
//! datagram to whoever asks for one. Never to anybody else, never more than was
//! received, and not often.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::Nonce;
use super::budget::Meters;
use super::datagram::{Bytes, Datagram};
use crate::core::limits::{
    DIAL_BACK_FLIGHT, DIAL_BACK_PORT_MIN, DIAL_BACKS_IN_FLIGHT, LATE_ANSWER_MAX, LATE_ANSWERS,
    LATE_ANSWERS_PER_PEER, METERS_KEPT, METERS_MAX,
};
use crate::core::wire::{DialBack, DialBackAnswer, ProbeToken};
use crate::core::{Mono, Now};
use crate::model::{DropReason, PeerId, plain_addr};

/// Mappings of one peer of which we remember where they have contacted us.
const MAPPINGS_KEPT: usize = 32;

/// A datagram to send from one of our ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// Which port, 0 or 1.
    pub port: usize,
    /// Where to.
    pub to: SocketAddr,
    /// What.
    pub bytes: Bytes,
}

#[derive(Debug)]
struct Served {
    token: Nonce,
    /// Its address on the link; `None` where the link does not show its own.
    ip: Option<IpAddr>,
    meters: Meters,
    /// Mappings that contacted us, with the port they did it at.
    contacts: VecDeque<(SocketAddr, usize)>,
}

/// Our side of the probes of others.
#[derive(Debug)]
pub struct Responder {
    /// How many ports we have: two, or none.
    ports: usize,
    rng: StdRng,
    served: BTreeMap<PeerId, Served>,
    tokens: BTreeMap<Nonce, PeerId>,
    /// What peers without a link used up lately: linking again brings no new
    /// burst.
    meters: BTreeMap<PeerId, (Meters, Mono)>,
    in_flight: VecDeque<Mono>,
    /// Answers that are to be late, with the peer that asked for each.
    late: BTreeMap<(Mono, u64), (PeerId, Reply)>,
    late_count: u64,
}

impl Responder {
    /// A responder with so many ports.
    pub fn new(ports: usize, seed: u64) -> Self {
        Self {
            ports,
            rng: StdRng::seed_from_u64(seed),
            served: BTreeMap::new(),
            tokens: BTreeMap::new(),
            meters: BTreeMap::new(),
            in_flight: VecDeque::new(),
            late: BTreeMap::new(),
            late_count: 0,
        }
    }

    /// A link is up, or moved. `ip`: where the peer is on it, `None` if that is
    /// a relay's address. Returns what to tell the peer.
    pub fn link_up(&mut self, peer: PeerId, ip: Option<IpAddr>, now: Now) -> Option<ProbeToken> {
        if self.ports == 0 {
            return None;
        }
        let ip = ip.map(|ip| ip.to_canonical());
        if let Some(served) = self.served.get_mut(&peer) {
            served.ip = ip;
            return Some(ProbeToken { token: served.token });
        }
        let token = self.rng.random();
        let meters = self.meters.remove(&peer).map_or_else(|| Meters::new(now.mono), |(m, _)| m);
        self.tokens.insert(token, peer);
        self.served.insert(peer, Served { token, ip, meters, contacts: VecDeque::new() });
        Some(ProbeToken { token })
    }

    /// A link is gone: its token is worth nothing any more.
    pub fn link_down(&mut self, peer: &PeerId, now: Now) {
        let Some(served) = self.served.remove(peer) else { return };
        self.tokens.remove(&served.token);
        self.late.retain(|_, (of, _)| of != peer);
        self.meters.retain(|_, (_, since)| now.mono.since(*since) < METERS_KEPT);
        if self.meters.len() >= METERS_MAX {
            let oldest = self.meters.iter().min_by_key(|(_, (_, since))| *since).map(|(id, _)| *id);
            oldest.and_then(|id| self.meters.remove(&id));
        }
        self.meters.insert(*peer, (served.meters, now.mono));
    }

    /// A datagram came in at one of our ports. It is answered to where it came
    /// from and nowhere else; `None`: not yet.
    ///
    /// # Errors
    /// Why it is not, for the counter.
    pub fn on_datagram(
        &mut self,
        port: usize,
        from: SocketAddr,
        bytes: &Bytes,
        now: Now,
    ) -> Result<Option<Reply>, DropReason> {
        let from = plain_addr(from);
        let Some(Datagram::Reflect { nonce, token, other_port, wait_s }) = Datagram::decode(bytes) else {
            return Err(DropReason::ProbeOfNoKind);
        };
        let peer = *self.tokens.get(&token).ok_or(DropReason::ProbeOfStranger)?;
        let served = self.served.get_mut(&peer).ok_or(DropReason::ProbeOfStranger)?;
        if from.port() == 0 || from.ip().is_unspecified() || from.ip().is_multicast() {
            return Err(DropReason::ProbeFromNowhere);
        }
        if !served.meters.reflections.take(now.mono) {
            return Err(DropReason::ProbeReflections);
        }
        if !served.contacts.contains(&(from, port)) {
            served.contacts.push_back((from, port));
            if served.contacts.len() > MAPPINGS_KEPT {
                served.contacts.pop_front();
            }
        }
        let port = if other_port { (port + 1) % self.ports } else { port };
        let reply = Reply { port, to: from, bytes: Datagram::Reflection { nonce, seen: from }.encode() };
        if wait_s == 0 {
            return Ok(Some(reply));
        }
        let wait = Duration::from_secs(wait_s.into());
        let waiting = self.late.values().filter(|(of, _)| *of == peer).count();
        if wait > LATE_ANSWER_MAX || waiting >= LATE_ANSWERS_PER_PEER || self.late.len() >= LATE_ANSWERS {
            return Err(DropReason::ProbeLateAnswers);
        }
        self.late_count += 1;
        self.late.insert((now.mono + wait, self.late_count), (peer, reply));
        Ok(None)
    }

    /// When the next late answer is due.
    pub fn next_timeout(&self) -> Option<Mono> {
        self.late.keys().next().map(|(at, _)| *at)
    }

    /// A late answer that is due; call until it is `None`.
    pub fn poll_late(&mut self, now: Now) -> Option<Reply> {
        let first = self.late.first_entry().filter(|entry| entry.key().0 <= now.mono)?;
        Some(first.remove().1)
    }

    /// A peer asks for a datagram over its link. Only its own address there is
    /// ever sent to, from a port that the named mapping never contacted.
    ///
    /// # Errors
    /// Why none is sent, for the counter; the answer says that much too.
    pub fn on_dial_back(
        &mut self,
        peer: &PeerId,
        request: DialBack,
        now: Now,
    ) -> (DialBackAnswer, Result<Reply, DropReason>) {
        let reply = self.dial_back(peer, request, now);
        (DialBackAnswer { nonce: request.nonce, sent: reply.is_ok() }, reply)
    }

    fn dial_back(&mut self, peer: &PeerId, request: DialBack, now: Now) -> Result<Reply, DropReason> {
        let served = self.served.get_mut(peer).ok_or(DropReason::DialBackForStranger)?;
        let target = plain_addr(request.target);
        if served.ip != Some(target.ip()) {
            return Err(DropReason::DialBackElsewhere);
        }
        if target.port() < DIAL_BACK_PORT_MIN {
            return Err(DropReason::DialBackLowPort);
        }
        let untouched = |port: &usize| !served.contacts.contains(&(target, *port));
        let port = (0..self.ports).rev().find(untouched).ok_or(DropReason::DialBackToContact)?;
        while self.in_flight.front().is_some_and(|at| now.mono.since(*at) >= DIAL_BACK_FLIGHT) {
            self.in_flight.pop_front();
        }
        if self.in_flight.len() >= DIAL_BACKS_IN_FLIGHT {
            return Err(DropReason::DialBacksInFlight);
        }
        if !served.meters.dial_backs.take(now.mono) {
            return Err(DropReason::DialBacks);
        }
        self.in_flight.push_back(now.mono);
        Ok(Reply { port, to: target, bytes: Datagram::DialBack { nonce: request.nonce }.encode() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::nat::datagram::LEN;

    const PEER: PeerId = PeerId([1; 32]);
    const IP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 18, 0, 7));

    fn linked(now: Now) -> (Responder, Nonce) {
        let mut responder = Responder::new(2, 1);
        let token = responder.link_up(PEER, Some(IP), now).unwrap().token;
        (responder, token)
    }

    fn ask(token: Nonce, other_port: bool) -> Bytes {
        Datagram::Reflect { nonce: [9; 16], token, other_port, wait_s: 0 }.encode()
    }

    fn back(ip: IpAddr, port: u16) -> DialBack {
        DialBack { nonce: [3; 16], target: (ip, port).into() }
    }

    fn later(seconds: u64) -> Now {
        Now::START.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn an_answer_goes_to_where_the_question_came_from_and_is_as_long() {
        let (mut responder, token) = linked(Now::START);
        let from = (IP, 4000).into();
        let reply = responder.on_datagram(0, from, &ask(token, false), Now::START).unwrap().unwrap();
        assert_eq!((reply.port, reply.to, reply.bytes.len()), (0, from, LEN));
        assert_eq!(Datagram::decode(&reply.bytes), Some(Datagram::Reflection { nonce: [9; 16], seen: from }));
        let other = responder.on_datagram(0, from, &ask(token, true), Now::START).unwrap().unwrap();
        assert_eq!((other.port, other.to), (1, from));
    }

    #[test]
    fn only_linked_peers_are_served() {
        let (mut responder, token) = linked(Now::START);
        let from = (IP, 4000).into();
        let stranger = responder.on_datagram(0, from, &ask([7; 16], false), Now::START);
        assert_eq!(stranger, Err(DropReason::ProbeOfStranger));
        responder.link_down(&PEER, Now::START);
        let gone = responder.on_datagram(0, from, &ask(token, false), Now::START);
        assert_eq!(gone, Err(DropReason::ProbeOfStranger));
        let (answer, reply) = responder.on_dial_back(&PEER, back(IP, 4000), Now::START);
        assert_eq!((answer.sent, reply), (false, Err(DropReason::DialBackForStranger)));
        assert_eq!(Responder::new(0, 1).link_up(PEER, Some(IP), Now::START), None, "nothing to offer");
    }

    #[test]
    fn a_late_answer_comes_when_it_was_asked_for_and_to_linked_peers_only() {
        let (mut responder, token) = linked(Now::START);
        let late = |wait_s| Datagram::Reflect { nonce: [9; 16], token, other_port: false, wait_s }.encode();
        let from = (IP, 4000).into();
        assert_eq!(responder.on_datagram(0, from, &late(60), Now::START), Ok(None));
        assert_eq!(responder.on_datagram(0, from, &late(20), Now::START), Ok(None));
        assert_eq!(responder.next_timeout(), Some(later(20).mono));
        assert_eq!(responder.poll_late(later(19)), None);
        let reply = responder.poll_late(later(20)).unwrap();
        assert_eq!((reply.port, reply.to, reply.bytes.len()), (0, from, LEN), "one for one, and as long");
        assert_eq!(responder.poll_late(later(20)), None);
        responder.link_down(&PEER, later(30));
        assert_eq!((responder.poll_late(later(60)), responder.next_timeout()), (None, None));
    }

    #[test]
    fn late_answers_are_limited_in_time_and_number() {
        let (mut responder, token) = linked(Now::START);
        let late = |wait_s| Datagram::Reflect { nonce: [9; 16], token, other_port: false, wait_s }.encode();
        let from = (IP, 4000).into();
        let refused = Err(DropReason::ProbeLateAnswers);
        assert_eq!(responder.on_datagram(0, from, &late(301), Now::START), refused);
        for _ in 0..LATE_ANSWERS_PER_PEER {
            assert_eq!(responder.on_datagram(0, from, &late(300), Now::START), Ok(None));
        }
        assert_eq!(responder.on_datagram(0, from, &late(300), Now::START), refused);
        let mut taken = LATE_ANSWERS_PER_PEER;
        for n in 0..100 {
            let peer = PeerId([100 + n; 32]);
            let token = responder.link_up(peer, Some(IP), Now::START).unwrap().token;
            let late = Datagram::Reflect { nonce: [9; 16], token, other_port: false, wait_s: 300 }.encode();
            let asks = (0..4).filter(|_| responder.on_datagram(0, from, &late, Now::START).is_ok());
            taken += asks.count();
        }
        assert_eq!(taken, LATE_ANSWERS);
    }

    #[test]
    fn an_answer_is_never_answered() {
        let (mut responder, _) = linked(Now::START);
        for datagram in [
            Datagram::Reflection { nonce: [0; 16], seen: (IP, 1).into() },
            Datagram::DialBack { nonce: [0; 16] },
        ] {
            let answer = responder.on_datagram(0, (IP, 4000).into(), &datagram.encode(), Now::START);
            assert_eq!(answer, Err(DropReason::ProbeOfNoKind));
        }
    }

    #[test]
    fn reflections_are_limited_per_link_and_minute() {
        let (mut responder, token) = linked(Now::START);
        let mut served = |now: Now| {
            (0..100)
                .filter(|n| responder.on_datagram(n % 2, (IP, 4000).into(), &ask(token, false), now).is_ok())
                .count()
        };
        assert_eq!(served(Now::START), 30);
        assert_eq!(served(later(2)), 1);
        assert_eq!(served(later(3600)), 30);
    }

    #[test]
    fn a_dial_back_goes_to_the_links_own_address_only() {
        let (mut responder, _) = linked(Now::START);
        let victim = "198.18.0.99".parse().unwrap();
        let (answer, reply) = responder.on_dial_back(&PEER, back(victim, 4000), Now::START);
        assert_eq!((answer.sent, reply), (false, Err(DropReason::DialBackElsewhere)));
        let (_, reply) = responder.on_dial_back(&PEER, back(IP, 53), Now::START);
        assert_eq!(reply, Err(DropReason::DialBackLowPort));
        let (answer, reply) = responder.on_dial_back(&PEER, back(IP, 4000), Now::START);
        let reply = reply.unwrap();
        assert!(answer.sent);
        assert_eq!((reply.to, reply.bytes.len()), ((IP, 4000).into(), LEN));
        assert_eq!(Datagram::decode(&reply.bytes), Some(Datagram::DialBack { nonce: [3; 16] }));
    }

    #[test]
    fn over_a_relay_nobody_can_be_dialled_back() {
        let mut responder = Responder::new(2, 1);
        responder.link_up(PEER, None, Now::START);
        let (_, reply) = responder.on_dial_back(&PEER, back(IP, 4000), Now::START);
        assert_eq!(reply, Err(DropReason::DialBackElsewhere));
        // The link moves to a path of its own: now it has an address.
        responder.link_up(PEER, Some(IP), Now::START);
        assert!(responder.on_dial_back(&PEER, back(IP, 4000), Now::START).0.sent);
    }

    #[test]
    fn a_dial_back_comes_from_a_port_that_the_mapping_never_contacted() {
        let (mut responder, token) = linked(Now::START);
        let mapping = (IP, 4000).into();
        responder.on_datagram(1, mapping, &ask(token, false), Now::START).unwrap();
        let (_, reply) = responder.on_dial_back(&PEER, back(IP, 4000), Now::START);
        assert_eq!(reply.unwrap().port, 0);
        responder.on_datagram(0, mapping, &ask(token, false), Now::START).unwrap();
        let (_, reply) = responder.on_dial_back(&PEER, back(IP, 4000), Now::START);
        assert_eq!(reply, Err(DropReason::DialBackToContact));
        assert_eq!(responder.on_dial_back(&PEER, back(IP, 4001), Now::START).1.unwrap().port, 1);
    }

    #[test]
    fn dial_backs_are_limited_per_peer_and_minute() {
        let (mut responder, _) = linked(Now::START);
        let sent = |r: &mut Responder, now| {
            (0..20).filter(|n| r.on_dial_back(&PEER, back(IP, 4000 + n), now).0.sent).count()
        };
        assert_eq!(sent(&mut responder, Now::START), 4);
        assert_eq!(sent(&mut responder, later(15)), 1);
        // Linking again brings no new burst.
        responder.link_down(&PEER, later(15));
        responder.link_up(PEER, Some(IP), later(16));
        assert_eq!(sent(&mut responder, later(16)), 0);
        assert_eq!(sent(&mut responder, later(600)), 4);
    }

    #[test]
    fn dial_backs_in_flight_are_limited_over_all_peers() {
        let mut responder = Responder::new(2, 1);
        let mut sent = 0;
        for n in 0..20 {
            let peer = PeerId([n; 32]);
            responder.link_up(peer, Some(IP), Now::START);
            sent += usize::from(responder.on_dial_back(&peer, back(IP, 4000), Now::START).0.sent);
        }
        assert_eq!(sent, 8);
        assert!(responder.on_dial_back(&PeerId([19; 32]), back(IP, 4000), later(1)).0.sent);
    }
}
