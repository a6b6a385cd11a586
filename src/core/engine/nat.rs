//! The NAT probe, wired: which links are vantage points, what is served to the
//! probes of others, whose claim to be public we test, and what becomes of a
//! result.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;

use super::{Action, Engine, EngineConfig, Link, ProbeEnd};
use crate::core::bucket::Bucket;
use crate::core::gossip::rules::is_public;
use crate::core::limits::{
    DIAL_BACK_PORT_MIN, NAT_DOUBTS_PER_MINUTE, NAT_DOUBTS_PER_PEER_MINUTE, REACH_TEST_EVERY,
    REACH_TESTS_AT_ONCE,
};
use crate::core::link::LinkStatus;
use crate::core::nat::datagram::Bytes;
use crate::core::nat::{Family, NatAction, NatProbe, Nonce, Responder, VantagePoint};
use crate::core::wire::{DialBack, Message, ProbeToken};
use crate::core::{Mono, Now};
use crate::model::{CommandId, Done, EventKind, NatType, NatView, Path, PeerId, Reason};

/// A peer's claim to be public is tested again after this long, well within
/// the day that a proof is worth something.
const REVERIFY_AFTER: Duration = Duration::from_secs(12 * 3600);
/// How often somebody to test is looked for.
const REACH_LOOK_EVERY: Duration = Duration::from_secs(5);
/// The same after somebody claimed something new.
const REACH_LOOK_SOON: Duration = Duration::from_millis(200);
/// Assumed of a link whose round trip was not measured yet.
const RTT_UNKNOWN: Duration = Duration::from_millis(100);

/// What the engine holds of NATs.
#[derive(Debug)]
pub(super) struct Nat {
    /// One per address family we have; none on loopback.
    probes: Vec<(Family, NatProbe)>,
    responder: Responder,
    /// What linked responders want in our datagrams.
    tokens: BTreeMap<PeerId, Nonce>,
    /// Our address, by most linked peers' word.
    outside: BTreeMap<Family, IpAddr>,
    /// Who waits for a measurement, and for which families.
    waiting: Vec<CommandId>,
    pending: BTreeSet<Family>,
    /// When we last tested whether a peer is public; `true` while it runs.
    reach: BTreeMap<PeerId, (Mono, bool)>,
    reach_look: Mono,
    /// How often what peers see of us may still have us doubt what was measured.
    doubts: Bucket,
    doubts_of: BTreeMap<PeerId, Bucket>,
    /// What a simulation has measured.
    #[cfg(test)]
    believed: Option<NatView>,
}

impl Nat {
    pub(super) fn new(config: &EngineConfig, mut seed: impl FnMut() -> u64, now: Now) -> Self {
        let probes = families(config.local_addr.ip())
            .into_iter()
            .map(|family| (family, NatProbe::new(family, seed())))
            .collect();
        Self {
            probes,
            responder: Responder::new(config.probe_ports.len(), seed()),
            tokens: BTreeMap::new(),
            outside: BTreeMap::new(),
            waiting: Vec::new(),
            pending: BTreeSet::new(),
            reach: BTreeMap::new(),
            reach_look: now.mono,
            doubts: Bucket::new(NAT_DOUBTS_PER_MINUTE, NAT_DOUBTS_PER_MINUTE / 60.0, now.mono),
            doubts_of: BTreeMap::new(),
            #[cfg(test)]
            believed: None,
        }
    }

    /// What is known before anything was measured, or on loopback ever.
    pub(super) fn view(&self) -> NatView {
        #[cfg(test)]
        if let Some(view) = &self.believed {
            return view.clone();
        }
        // Where there is IPv6 only, it is what the node is about.
        let mut view = match self.probes.first() {
            Some((_, first)) => first.view().clone(),
            None => NatView::unknown(Reason::LoopbackHasNoNat),
        };
        let sixth = self.probes.iter().find(|(family, _)| *family == Family::V6);
        view.nat6 = sixth.map(|(_, probe)| Box::new(probe.view().clone()));
        view
    }

    pub(super) fn next_timeout(&self, now: Now) -> Option<Mono> {
        let probes = self.probes.iter().filter_map(|(_, p)| p.next_timeout(now)).min();
        let look = (!self.probes.is_empty()).then_some(self.reach_look);
        probes.into_iter().chain(look).chain(self.responder.next_timeout()).min()
    }
}

/// The families that a socket bound to this address talks.
fn families(bind: IpAddr) -> Vec<Family> {
    match bind {
        _ if bind.is_loopback() => Vec::new(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => vec![Family::V4, Family::V6],
        _ => vec![Family::of(bind)],
    }
}

impl Engine {
    /// A link is up or moved: it is served, and may serve us.
    pub(super) fn nat_link(&mut self, peer: PeerId, fresh: bool, now: Now) {
        let Some(status) = self.links.get(&peer).and_then(Link::status) else { return };
        // What is seen of a relayed peer is its relay: no dial-back may go there.
        let ip = (status.info.path.is_straight()).then(|| status.info.remote.ip());
        let token = self.nat_state.responder.link_up(peer, ip, now);
        if let Some(token) = token.filter(|_| fresh) {
            self.send(&peer, &Message::ProbeToken(token), now);
        }
        self.vantage(peer, now);
        self.nat_relayed(now);
    }

    pub(super) fn nat_link_down(&mut self, peer: PeerId, now: Now) {
        self.nat_state.responder.link_down(&peer, now);
        self.nat_state.tokens.remove(&peer);
        self.vantage(peer, now);
        self.nat_relayed(now);
    }

    fn nat_relayed(&mut self, now: Now) {
        let relayed =
            self.links.values().filter_map(Link::status).any(|s| !s.foreign && s.info.path == Path::Relayed);
        for (_, probe) in &mut self.nat_state.probes {
            probe.set_relayed(relayed, now);
        }
    }

    /// What a linked peer says of its NAT; its own newer record counts before
    /// its Hello.
    pub(super) fn claimed_nat(&self, peer: &PeerId) -> NatType {
        let greeting = self.links.get(peer).and_then(Link::greeting).map(|g| g.nat);
        let entry = self.book.get(*peer);
        let first_hand = entry.filter(|e| e.known.is_first_hand() || greeting.is_none());
        first_hand.and_then(|e| e.record()).map(|r| r.nat).or(greeting).unwrap_or_default()
    }

    /// Whether a peer counts as public to us: it says so, and a dial of ours
    /// from a fresh socket reached it.
    pub(super) fn is_public_peer(&self, peer: &PeerId, now: Now) -> bool {
        self.claimed_nat(peer) == NatType::None
            && self.book.get(*peer).is_some_and(|e| e.measured.is_public(now.stamp))
    }

    /// What a linked peer says of itself changed: what it claims now is soon
    /// tested.
    pub(super) fn nat_claim(&mut self, peer: PeerId, now: Now) {
        self.vantage(peer, now);
        self.nat_state.reach_look = self.nat_state.reach_look.min(now.mono + REACH_LOOK_SOON);
    }

    /// Keeps the probes up to date about one peer.
    pub(super) fn vantage(&mut self, peer: PeerId, now: Now) {
        if self.nat_state.probes.is_empty() {
            return;
        }
        let point = self.vantage_point(peer, now);
        let family = point.as_ref().map(|p| Family::of(p.ip));
        for (of, probe) in &mut self.nat_state.probes {
            match &point {
                Some(point) if family == Some(*of) => probe.vantage_up(point.clone(), now),
                _ => probe.vantage_down(&peer, now),
            }
        }
    }

    /// A peer by which we can measure: on a link of its own, at a public
    /// address other than ours, with ports, and with no NAT as far as it knows.
    /// Whether it can be reached at those ports, its answer proves.
    fn vantage_point(&self, peer: PeerId, now: Now) -> Option<VantagePoint> {
        let link = self.links.get(&peer).filter(|l| l.is_up())?;
        let status: LinkStatus = link.status()?;
        let ip = status.info.remote.ip();
        let ports: [u16; 2] = link.greeting()?.probe_ports.as_slice().try_into().ok()?;
        let claim = self.claimed_nat(&peer);
        let fits = status.info.path.is_straight()
            && is_public(ip)
            // By most peers' word: one alone could rule another out by it.
            && self.nat_state.outside.get(&Family::of(ip)) != Some(&ip)
            && ports[0] != ports[1]
            && ports.iter().all(|p| *p >= DIAL_BACK_PORT_MIN)
            && matches!(claim, NatType::None | NatType::Unknown);
        let rank = match (self.is_public_peer(&peer, now), claim, status.info.outbound) {
            (true, ..) => 0,
            (_, NatType::None, _) => 1,
            (.., true) => 2,
            _ => 3,
        };
        let rtt = status.rtt_ms.map_or(RTT_UNKNOWN, |ms| Duration::from_secs_f64(ms.max(0.0) / 1e3));
        let token = *self.nat_state.tokens.get(&peer)?;
        fits.then_some(VantagePoint { peer, ip, ports, token, rtt, rank })
    }

    pub(super) fn on_probe_token(&mut self, peer: PeerId, token: ProbeToken, now: Now) {
        self.nat_state.tokens.insert(peer, token.token);
        self.vantage(peer, now);
    }

    pub(super) fn on_dial_back(&mut self, peer: PeerId, request: DialBack, now: Now) {
        let (answer, reply) = self.nat_state.responder.on_dial_back(&peer, request, now);
        match reply {
            Ok(reply) => self.out.push_back(Action::reflect(reply)),
            Err(limit) => self.stopped(limit),
        }
        self.send(&peer, &Message::DialBackAnswer(answer), now);
    }

    pub(super) fn on_dial_back_answer(
        &mut self,
        peer: PeerId,
        answer: crate::core::wire::DialBackAnswer,
        now: Now,
    ) {
        for (_, probe) in &mut self.nat_state.probes {
            probe.on_answer(peer, answer, now);
        }
    }

    pub(super) fn on_probe_datagram(&mut self, at: ProbeEnd, from: SocketAddr, bytes: &Bytes, now: Now) {
        match at {
            ProbeEnd::Port(port) => match self.nat_state.responder.on_datagram(port, from, bytes, now) {
                Ok(reply) => self.out.extend(reply.map(Action::reflect)),
                Err(limit) => self.stopped(limit),
            },
            ProbeEnd::Socket(socket) => {
                for (family, probe) in &mut self.nat_state.probes {
                    if *family == Family::of(from.ip()) {
                        probe.on_datagram(socket, from, bytes, now);
                    }
                }
            }
        }
    }

    pub(super) fn on_probe_socket(
        &mut self,
        socket: crate::core::nat::SocketId,
        result: Result<SocketAddr, String>,
        now: Now,
    ) {
        if let Ok(addr) = &result {
            let ip = addr.ip().to_canonical();
            self.inside.retain(|known| known.is_ipv4() != ip.is_ipv4());
            self.inside.insert(ip);
            self.republish(now);
        }
        for (_, probe) in &mut self.nat_state.probes {
            probe.on_socket(socket, result.clone(), now);
        }
    }

    /// Our addresses as others see them may have changed.
    pub(super) fn nat_observed(&mut self, now: Now) {
        let seen: Vec<IpAddr> =
            self.observed.believed().iter().map(SocketAddr::ip).filter(|ip| is_public(*ip)).collect();
        let state = &mut self.nat_state;
        let mut other = false;
        for (family, probe) in &mut state.probes {
            let Some(ip) = seen.iter().find(|ip| Family::of(**ip) == *family) else { continue };
            let old = state.outside.insert(*family, *ip);
            other |= old != Some(*ip);
            if old.is_some_and(|old| old != *ip) {
                probe.address_changed(now);
            }
        }
        if other {
            // Whoever has our own address outside is no vantage point.
            for peer in self.links.keys().copied().collect::<Vec<_>>() {
                self.vantage(peer, now);
            }
        }
    }

    /// A peer sees us at a port where nobody else does, though our NAT was measured to
    /// give us one for all: it is another one, or maps us anew.
    pub(super) fn doubt_nat(&mut self, peer: PeerId, seen: SocketAddr, before: Option<SocketAddr>, now: Now) {
        let family = Family::of(seen.ip());
        let ours = self.nat_state.outside.get(&family) == Some(&seen.ip());
        let probe =
            self.nat_state.probes.iter().position(|(of, probe)| *of == family && probe.has_one_mapping());
        let Some(probe) = probe.filter(|_| ours) else { return };
        let others = self.observed.iter().filter(|(who, at)| **who != peer && at.ip() == seen.ip());
        let mut ports = others.map(|(_, at)| at.port()).peekable();
        let other = match ports.peek() {
            Some(_) => ports.all(|port| port != seen.port()),
            None => before.is_some_and(|before| before.ip() == seen.ip() && before.port() != seen.port()),
        };
        drop(ports);
        if !other {
            return;
        }
        let state = &mut self.nat_state;
        state.doubts_of.retain(|_, meter| !meter.is_full(now.mono));
        let full = || Bucket::new(NAT_DOUBTS_PER_PEER_MINUTE, NAT_DOUBTS_PER_PEER_MINUTE / 60.0, now.mono);
        let may =
            state.doubts_of.entry(peer).or_insert_with(full).take(now.mono) && state.doubts.take(now.mono);
        if !may {
            return self.stopped("NAT doubted too often");
        }
        state.probes[probe].1.contradicted(peer, seen, now);
    }

    /// The host is elsewhere: what was measured there says nothing here.
    pub(super) fn nat_moved(&mut self, now: Now) {
        for (_, probe) in &mut self.nat_state.probes {
            probe.address_changed(now);
        }
    }

    /// Somebody needs to know how things are now: a look is taken as soon as may be.
    pub(super) fn nat_look(&mut self, now: Now) {
        for (_, probe) in &mut self.nat_state.probes {
            probe.look(now);
        }
    }

    /// A command to measure: answered when every family was.
    pub(super) fn on_nat_probe(&mut self, id: CommandId, now: Now) -> Option<Done> {
        if self.nat_state.probes.is_empty() {
            return Some(Done::Probed(Box::new((*self.nat).clone())));
        }
        self.nat_state.waiting.push(id);
        for (family, probe) in &mut self.nat_state.probes {
            self.nat_state.pending.insert(*family);
            probe.ask(now);
        }
        None
    }

    pub(super) fn nat_timeout(&mut self, now: Now) {
        for (_, probe) in &mut self.nat_state.probes {
            if probe.next_timeout(now).is_some_and(|at| at <= now.mono) {
                probe.on_timeout(now);
            }
        }
        while let Some(reply) = self.nat_state.responder.poll_late(now) {
            self.out.push_back(Action::reflect(reply));
        }
        if self.nat_state.reach_look <= now.mono {
            self.nat_state.reach_look = now.mono + REACH_LOOK_EVERY;
            self.test_claims(now);
        }
    }

    /// Carries out what the probes want.
    pub(super) fn carry_nat(&mut self, now: Now) {
        let mut at = 0;
        while let Some((family, probe)) = self.nat_state.probes.get_mut(at) {
            let family = *family;
            let Some(action) = probe.poll() else {
                at += 1;
                continue;
            };
            match action {
                NatAction::Open { socket, family, towards } => {
                    self.out.push_back(Action::ProbeOpen { socket, family, towards });
                }
                NatAction::Close(socket) => self.out.push_back(Action::ProbeClose { socket }),
                NatAction::Send { socket, to, bytes } => {
                    self.out.push_back(Action::ProbeSend { from: ProbeEnd::Socket(socket), to, bytes });
                }
                NatAction::Say { peer, message } => {
                    self.send(&peer, &message, now);
                }
                NatAction::Result(_) => self.on_nat_result(now),
                NatAction::Answered(_) => {
                    self.nat_state.pending.remove(&family);
                    if self.nat_state.pending.is_empty() {
                        for id in std::mem::take(&mut self.nat_state.waiting) {
                            self.answer(id, Ok(Done::Probed(Box::new(self.nat_state.view()))));
                        }
                    }
                }
                NatAction::Stopped(what) => self.stopped(what),
            }
        }
    }

    /// A probe has something new: whoever looks at us must see it.
    fn on_nat_result(&mut self, now: Now) {
        let old = std::mem::replace(&mut self.nat, Arc::new(self.nat_state.view()));
        let new = Arc::clone(&self.nat);
        let of = |view: &NatView| view.nat6.as_ref().map(|v| v.nat_type).unwrap_or_default();
        let changed = |a: &NatView, b: &NatView| {
            a.nat_type != b.nat_type || (a.is_firewalled() != b.is_firewalled() && b.measured.is_some())
        };
        if changed(&old, &new) {
            let kind = EventKind::NatChanged {
                from: old.nat_type,
                to: new.nat_type,
                summary: new.summary(),
                ipv6: false,
            };
            self.event(None, kind, now);
            self.relays_for_nat(now);
            self.upgrade_all(now);
            self.drop_hopeless_punches(now);
        }
        if let Some(sixth) = new.nat6.as_ref().filter(|_| self.nat_state.probes.len() > 1)
            && of(&old) != of(&new)
        {
            let (from, to, summary) = (of(&old), of(&new), sixth.summary());
            self.event(None, EventKind::NatChanged { from, to, summary, ipv6: true }, now);
        }
        if old.claim() != new.claim() {
            self.republish(now);
        }
    }

    /// Dials peers that claim to be public, from fresh sockets.
    fn test_claims(&mut self, now: Now) {
        self.nat_state.reach.retain(|_, (at, runs)| *runs || now.mono.since(*at) < REACH_TEST_EVERY);
        let running = self.nat_state.reach.values().filter(|(_, runs)| *runs).count();
        let due = |(peer, link): (&PeerId, &Link)| {
            let status = link.status().filter(|s| !s.foreign && s.info.path.is_straight())?;
            let fresh = self.book.get(*peer)?.measured.verified_public;
            let proven = fresh.is_some_and(|at| at.age_at(now.stamp) < REVERIFY_AFTER);
            let wanted = self.claimed_nat(peer) == NatType::None
                && !proven
                && !self.nat_state.reach.contains_key(peer)
                && !status.info.remote.ip().is_loopback();
            wanted.then_some((*peer, status.info.remote))
        };
        let room = REACH_TESTS_AT_ONCE.saturating_sub(running);
        let chosen: Vec<_> = self.links.iter().filter_map(due).take(room).collect();
        for (peer, addr) in chosen {
            self.nat_state.reach.insert(peer, (now.mono, true));
            let name = self.rng.random();
            self.out.push_back(Action::Reach { peer, addr, name });
        }
    }

    pub(super) fn on_reached(&mut self, peer: PeerId, addr: SocketAddr, reached: bool, now: Now) {
        if let Some((_, runs)) = self.nat_state.reach.get_mut(&peer) {
            *runs = false;
        }
        if !reached {
            self.stopped("claim to be public not borne out");
            return;
        }
        let known = self.is_public_peer(&peer, now);
        let change = self.book.verified_public(peer, now);
        self.on_change(peer, &change, now);
        if !known {
            self.event(Some(peer), EventKind::PeerVerifiedPublic { addr }, now);
            self.republish(now);
        }
        self.vantage(peer, now);
    }

    /// What a measurement would have brought.
    #[cfg(test)]
    pub(super) fn set_nat_for_test(&mut self, view: NatView, now: Now) {
        let changed = view.nat_type != self.nat.nat_type;
        self.nat_state.believed = Some(view.clone());
        self.nat = Arc::new(view);
        self.relays_for_nat(now);
        self.republish(now);
        if changed {
            self.upgrade_all(now);
        }
        self.after(now);
    }

    /// Nobody waits for a node that stops.
    pub(super) fn stop_nat(&mut self) {
        for id in std::mem::take(&mut self.nat_state.waiting) {
            self.answer(id, Err(Reason::ShuttingDown.into()));
        }
    }
}

#[cfg(test)]
mod tests;
