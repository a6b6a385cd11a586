//! What a node does about NATs: which links are vantage points, what is served to the
//! probes of others, whose claim to be public is tested, where others see us, and what
//! becomes of a result.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::claims::Claims;
use super::datagram::Bytes;
use super::sights::Sights;
use super::spells::Spells;
use super::{Family, NatAction, NatProbe, Nonce, Responder, SocketId, VantagePoint};
use crate::core::bucket::Bucket;
use crate::core::gossip::rules::is_public;
use crate::core::io::{Action, ProbeEnd};
use crate::core::limits::{
    DIAL_BACK_PORT_MIN, NAT_DOUBTS_PER_MINUTE, NAT_DOUBTS_PER_PEER_MINUTE, OBSERVED_PER_MINUTE,
};
use crate::core::link::{Link, LinkStatus};
use crate::core::outbox::{Outbox, Wanted};
use crate::core::peers::Peers;
use crate::core::wire::{DialBack, Message};
use crate::core::{Mono, Now};
use crate::model::{CommandId, Done, EventKind, NatType, NatView, Path, PeerId, Reason, plain_addr};

/// Assumed of a link whose round trip was not measured yet.
const RTT_UNKNOWN: Duration = Duration::from_millis(100);

/// What happened.
#[derive(Debug)]
pub(in crate::core) enum Input {
    /// A link to this peer stands.
    LinkUp(PeerId),
    /// It runs over another connection, or the peer's NAT maps that anew.
    LinkMoved(PeerId),
    /// It is gone.
    LinkDown(PeerId),
    /// What this peer says of itself changed: what it claims now is soon tested.
    Claimed(PeerId),
    /// A message of the probe came from this peer.
    Message(PeerId, Message),
    /// The answer to [`Action::ProbeOpen`].
    Socket(SocketId, Result<SocketAddr, String>),
    /// A datagram came in.
    Datagram(ProbeEnd, SocketAddr, Box<Bytes>),
    /// The answer to [`Action::Reach`]: whom we dialled where, and whether it answered.
    Reached(PeerId, SocketAddr, bool),
    /// A peer sees us at `addr`.
    Seen {
        /// Who.
        peer: PeerId,
        /// Where it sees us.
        addr: SocketAddr,
        /// Where it is itself.
        by: IpAddr,
        /// Whether we dialled it.
        chosen: bool,
    },
    /// This peer sees us no more.
    Unseen(PeerId),
    /// The host sends from these addresses now, one per family that leads somewhere.
    HostAddresses(Vec<IpAddr>),
}

/// What is known when a node begins.
#[derive(Debug)]
pub(in crate::core) struct Setup {
    /// Where we listen.
    pub(in crate::core) local: SocketAddr,
    /// From which addresses this host sends to others.
    pub(in crate::core) own: Vec<IpAddr>,
    /// At how many ports we answer the probes of others.
    pub(in crate::core) ports: usize,
}

/// All of it.
#[derive(Debug)]
pub(in crate::core) struct Nat {
    /// What is shown, and said in our record.
    view: Arc<NatView>,
    local: SocketAddr,
    own: Vec<IpAddr>,
    /// The addresses of our own interfaces towards others, one per family: a
    /// socket on the wildcard has no address of its own.
    inside: BTreeSet<IpAddr>,
    /// Our address as each linked peer sees it.
    sights: Sights,
    /// How often peers told us that they see us elsewhere.
    seen_anew: BTreeMap<PeerId, Bucket>,
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
    claims: Claims,
    spells: Spells,
    /// How often what peers see of us may still have us doubt what was measured.
    doubts: Bucket,
    doubts_of: BTreeMap<PeerId, Bucket>,
    /// What a simulation has measured.
    #[cfg(test)]
    believed: Option<NatView>,
}

impl Nat {
    /// `seed`: gives another number each time.
    pub(in crate::core) fn new(setup: Setup, mut seed: impl FnMut() -> u64, now: Mono) -> Self {
        let Setup { local, own, ports } = setup;
        let probes = families(local.ip())
            .into_iter()
            .map(|family| (family, NatProbe::new(family, seed())))
            .collect::<Vec<_>>();
        // Nobody translates it: it is ours before anybody has seen it.
        let inside = own.iter().copied().filter(|ip| ip.is_ipv6() && is_public(*ip)).collect();
        let mut nat = Self {
            view: Arc::new(NatView::unknown(Reason::LoopbackHasNoNat)),
            local,
            own,
            inside,
            sights: Sights::new(local.ip().is_loopback()),
            seen_anew: BTreeMap::new(),
            probes,
            responder: Responder::new(ports, seed()),
            tokens: BTreeMap::new(),
            outside: BTreeMap::new(),
            waiting: Vec::new(),
            pending: BTreeSet::new(),
            claims: Claims::new(seed(), now),
            spells: Spells::default(),
            doubts: Bucket::new(NAT_DOUBTS_PER_MINUTE, NAT_DOUBTS_PER_MINUTE / 60.0, now),
            doubts_of: BTreeMap::new(),
            #[cfg(test)]
            believed: None,
        };
        nat.view = Arc::new(nat.measured());
        nat
    }

    /// What is shown of our NAT.
    pub(in crate::core) fn view(&self) -> &Arc<NatView> {
        &self.view
    }

    /// What we say of our NAT.
    pub(in crate::core) fn claim(&self) -> NatType {
        self.view.claim()
    }

    /// The IP at which we listen.
    pub(in crate::core) fn bound_to(&self) -> IpAddr {
        self.local.ip()
    }

    /// From which addresses this host sends to others.
    pub(in crate::core) fn host_addresses(&self) -> &[IpAddr] {
        &self.own
    }

    /// Whether this host sends in that family; `None` while nobody knows.
    pub(in crate::core) fn sends_in(&self, family: Family) -> Option<bool> {
        let bound = [self.local.ip()];
        let own = if self.local.ip().is_unspecified() { &self.own[..] } else { &bound[..] };
        let sends = |ip: &IpAddr| Family::of(ip.to_canonical()) == family;
        (!own.is_empty()).then(|| own.iter().any(sends))
    }

    /// The addresses at which others see us, as far as we believe it.
    pub(in crate::core) fn seen_at(&self) -> Vec<SocketAddr> {
        self.sights.believed()
    }

    /// Where one peer sees us.
    pub(in crate::core) fn seen_by(&self, peer: &PeerId) -> Option<SocketAddr> {
        self.sights.of(peer)
    }

    /// Where we are, as we see it and as others do.
    pub(in crate::core) fn own_addresses(&self) -> Vec<SocketAddr> {
        let local = self.local;
        let mut addresses: Vec<SocketAddr> = if local.ip().is_unspecified() {
            self.inside.iter().map(|ip| SocketAddr::new(*ip, local.port())).collect()
        } else {
            vec![local]
        };
        let seen = self.sights.believed();
        addresses.extend(seen.into_iter().filter(|seen| !addresses.contains(seen)).collect::<Vec<_>>());
        addresses
    }

    /// What is known before anything was measured, or on loopback ever.
    fn measured(&self) -> NatView {
        #[cfg(test)]
        if let Some(view) = &self.believed {
            return view.clone();
        }
        // Where there is IPv6 only, it is what the node is about.
        let mut view = match self.probes.first() {
            Some((_, first)) => first.view().clone(),
            None => NatView::unknown(Reason::LoopbackHasNoNat),
        };
        let ipv6 = self.probes.iter().find(|(family, _)| *family == Family::V6);
        view.nat6 = ipv6.map(|(_, probe)| Box::new(probe.view().clone()));
        view.history = self.spells.all();
        view
    }

    pub(in crate::core) fn next_timeout(&self, now: Now) -> Option<Mono> {
        let probes = self.probes.iter().filter_map(|(_, p)| p.next_timeout(now)).min();
        let look = (!self.probes.is_empty()).then(|| self.claims.next_timeout());
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

impl Nat {
    /// Takes what happened.
    pub(in crate::core) fn handle(&mut self, input: Input, peers: &Peers<'_>, out: &mut Outbox) {
        let now = peers.now;
        match input {
            Input::LinkUp(peer) => self.on_link(peer, true, peers, out),
            Input::LinkMoved(peer) => self.on_link(peer, false, peers, out),
            Input::LinkDown(peer) => {
                self.sights.forget(&peer);
                self.responder.link_down(&peer, now);
                self.tokens.remove(&peer);
                self.vantage(peer, peers);
                self.note_relayed(peers);
            }
            Input::Claimed(peer) => {
                self.vantage(peer, peers);
                self.claims.sooner(now.mono);
            }
            Input::Message(peer, Message::ProbeToken(token)) => {
                self.tokens.insert(peer, token.token);
                self.vantage(peer, peers);
            }
            Input::Message(peer, Message::DialBack(request)) => self.on_dial_back(peer, request, now, out),
            Input::Message(peer, Message::DialBackAnswer(answer)) => {
                for (_, probe) in &mut self.probes {
                    probe.on_answer(peer, answer, now);
                }
            }
            Input::Message(..) => {}
            Input::Socket(socket, result) => self.on_socket(socket, &result, now, out),
            Input::Datagram(at, from, bytes) => self.on_datagram(at, from, &bytes, now, out),
            Input::Reached(peer, addr, reached) => self.claims.on_reached(peer, addr, reached, out),
            Input::Seen { peer, addr, by, chosen } => {
                let before = self.sights.note(peer, addr, by, chosen);
                self.compare_outside(peers);
                self.doubt((peer, plain_addr(addr)), before, now, out);
                out.want(Wanted::Republish);
            }
            Input::Unseen(peer) => self.sights.forget(&peer),
            Input::HostAddresses(own) => self.on_host_addresses(own, now),
        }
    }

    fn on_link(&mut self, peer: PeerId, fresh: bool, peers: &Peers<'_>, out: &mut Outbox) {
        let Some(status) = peers.links.status(&peer) else { return };
        // What is seen of a relayed peer is its relay: no dial-back may go there.
        let ip = (status.info.path.is_straight()).then(|| status.info.remote.ip());
        let token = self.responder.link_up(peer, ip, peers.now);
        if let Some(token) = token.filter(|_| fresh) {
            out.send(peer, Message::ProbeToken(token));
        }
        self.vantage(peer, peers);
        self.note_relayed(peers);
    }

    fn note_relayed(&mut self, peers: &Peers<'_>) {
        let relayed = |s: LinkStatus| !s.foreign && s.info.path == Path::Relayed;
        let any = peers.links.values().filter_map(Link::status).any(relayed);
        for (_, probe) in &mut self.probes {
            probe.set_relayed(any, peers.now);
        }
    }

    /// Whether a peer may tell once more that it sees us elsewhere.
    pub(in crate::core) fn may_see_anew(&mut self, peer: PeerId, now: Mono, out: &mut Outbox) -> bool {
        let full = || Bucket::new(OBSERVED_PER_MINUTE, OBSERVED_PER_MINUTE / 60.0, now);
        let may = self.seen_anew.entry(peer).or_insert_with(full).take(now);
        if !may {
            out.stopped("observed rate");
        }
        may
    }

    /// The host is elsewhere: what was measured there says nothing here.
    fn on_host_addresses(&mut self, own: Vec<IpAddr>, now: Now) {
        let before = std::mem::replace(&mut self.own, own);
        self.inside.retain(|ip| !before.contains(ip) || self.own.contains(ip));
        self.inside.extend(self.own.iter().filter(|ip| ip.is_ipv6() && is_public(**ip)));
        if !self.own.is_empty() {
            for (_, probe) in &mut self.probes {
                probe.address_changed(now);
            }
        }
    }

    /// Keeps the probes up to date about one peer.
    pub(in crate::core) fn vantage(&mut self, peer: PeerId, peers: &Peers<'_>) {
        let now = peers.now;
        if self.probes.is_empty() {
            return;
        }
        let point = self.vantage_point(peer, peers);
        let family = point.as_ref().map(|p| Family::of(p.ip));
        for (of, probe) in &mut self.probes {
            match &point {
                Some(point) if family == Some(*of) => probe.vantage_up(point.clone(), now),
                _ => probe.vantage_down(&peer, now),
            }
        }
    }

    /// A peer by which we can measure: on a link of its own, at a public
    /// address other than ours, with ports, and with no NAT as far as it knows.
    /// Whether it can be reached at those ports, its answer proves.
    fn vantage_point(&self, peer: PeerId, peers: &Peers<'_>) -> Option<VantagePoint> {
        let link = peers.links.get(&peer).filter(|l| l.is_up())?;
        let status: LinkStatus = link.status()?;
        let ip = status.info.remote.ip();
        let ports: [u16; 2] = link.greeting()?.probe_ports.as_slice().try_into().ok()?;
        let claim = peers.claimed_nat(&peer);
        let fits = status.info.path.is_straight()
            && is_public(ip)
            // By most peers' word: one alone could rule another out by it.
            && self.outside.get(&Family::of(ip)) != Some(&ip)
            && ports[0] != ports[1]
            && ports.iter().all(|p| *p >= DIAL_BACK_PORT_MIN)
            && matches!(claim, NatType::None | NatType::Unknown);
        let rank = match (peers.is_public(&peer), claim, status.info.outbound) {
            (true, ..) => 0,
            (_, NatType::None, _) => 1,
            (.., true) => 2,
            _ => 3,
        };
        let rtt = status.rtt_ms.map_or(RTT_UNKNOWN, |ms| Duration::from_secs_f64(ms.max(0.0) / 1e3));
        let token = *self.tokens.get(&peer)?;
        fits.then_some(VantagePoint { peer, ip, ports, token, rtt, rank })
    }

    fn on_dial_back(&mut self, peer: PeerId, request: DialBack, now: Now, out: &mut Outbox) {
        let (answer, reply) = self.responder.on_dial_back(&peer, request, now);
        match reply {
            Ok(reply) => out.push(Action::reflect(reply)),
            Err(limit) => out.stopped(limit),
        }
        out.send(peer, Message::DialBackAnswer(answer));
    }

    fn on_datagram(&mut self, at: ProbeEnd, from: SocketAddr, bytes: &Bytes, now: Now, out: &mut Outbox) {
        match at {
            ProbeEnd::Port(port) => match self.responder.on_datagram(port, from, bytes, now) {
                Ok(Some(reply)) => out.push(Action::reflect(reply)),
                Ok(None) => {}
                Err(limit) => out.stopped(limit),
            },
            ProbeEnd::Socket(socket) => {
                for (family, probe) in &mut self.probes {
                    if *family == Family::of(from.ip()) {
                        probe.on_datagram(socket, from, bytes, now);
                    }
                }
            }
        }
    }

    fn on_socket(
        &mut self,
        socket: SocketId,
        result: &Result<SocketAddr, String>,
        now: Now,
        out: &mut Outbox,
    ) {
        if let Ok(addr) = result {
            let ip = addr.ip().to_canonical();
            self.inside.retain(|known| known.is_ipv4() != ip.is_ipv4());
            self.inside.insert(ip);
            out.want(Wanted::Republish);
        }
        for (_, probe) in &mut self.probes {
            probe.on_socket(socket, result.clone(), now);
        }
    }

    /// Our addresses as others see them may have changed.
    fn compare_outside(&mut self, peers: &Peers<'_>) {
        let seen: Vec<IpAddr> =
            self.sights.believed().iter().map(SocketAddr::ip).filter(|ip| is_public(*ip)).collect();
        let mut other = false;
        for (family, probe) in &mut self.probes {
            let Some(ip) = seen.iter().find(|ip| Family::of(**ip) == *family) else { continue };
            let old = self.outside.insert(*family, *ip);
            other |= old != Some(*ip);
            if old.is_some_and(|old| old != *ip) {
                probe.address_changed(peers.now);
            }
        }
        if other {
            // Whoever has our own address outside is no vantage point.
            for peer in peers.links.peers() {
                self.vantage(peer, peers);
            }
        }
    }

    /// A peer sees us at a port where nobody else does, though our NAT was measured to
    /// give us one for all: it is another one, or maps us anew.
    fn doubt(
        &mut self,
        (peer, seen): (PeerId, SocketAddr),
        before: Option<SocketAddr>,
        now: Now,
        out: &mut Outbox,
    ) {
        let family = Family::of(seen.ip());
        let ours = self.outside.get(&family) == Some(&seen.ip());
        let probe = self.probes.iter().position(|(of, probe)| *of == family && probe.has_one_mapping());
        let Some(probe) = probe.filter(|_| ours) else { return };
        let elsewhere = before.is_some_and(|before| before.ip() == seen.ip() && before.port() != seen.port());
        let contradicts = self.is_seen_by_nobody_else(peer, seen).unwrap_or(elsewhere);
        if contradicts && self.may_doubt(peer, now, out) {
            self.probes[probe].1.contradicted(peer, seen, now);
        }
    }

    /// Whether no other peer sees us at that port; `None` where no other sees us there at
    /// all.
    fn is_seen_by_nobody_else(&self, peer: PeerId, seen: SocketAddr) -> Option<bool> {
        let others = self.sights.iter().filter(|(who, at)| **who != peer && at.ip() == seen.ip());
        let mut ports = others.map(|(_, at)| at.port()).peekable();
        ports.peek()?;
        Some(ports.all(|port| port != seen.port()))
    }

    /// Whether a peer may have us doubt what was measured once more.
    fn may_doubt(&mut self, peer: PeerId, now: Now, out: &mut Outbox) -> bool {
        self.doubts_of.retain(|_, meter| !meter.is_full(now.mono));
        let full = || Bucket::new(NAT_DOUBTS_PER_PEER_MINUTE, NAT_DOUBTS_PER_PEER_MINUTE / 60.0, now.mono);
        let may =
            self.doubts_of.entry(peer).or_insert_with(full).take(now.mono) && self.doubts.take(now.mono);
        if !may {
            out.stopped("NAT doubted too often");
        }
        may
    }

    /// Somebody needs to know how things are now: a look is taken as soon as may be.
    pub(in crate::core) fn look(&mut self, now: Now) {
        for (_, probe) in &mut self.probes {
            probe.look(now);
        }
    }

    /// A command to measure: answered when every family was.
    pub(in crate::core) fn measure(&mut self, id: CommandId, now: Now) -> Option<Done> {
        if self.probes.is_empty() {
            return Some(Done::Probed(Box::new((*self.view).clone())));
        }
        self.waiting.push(id);
        for (family, probe) in &mut self.probes {
            self.pending.insert(*family);
            probe.ask(now);
        }
        None
    }

    /// What is due by now.
    pub(in crate::core) fn timeout(&mut self, peers: &Peers<'_>, out: &mut Outbox) {
        let now = peers.now;
        for (_, probe) in &mut self.probes {
            if probe.next_timeout(now).is_some_and(|at| at <= now.mono) {
                probe.on_timeout(now);
            }
        }
        while let Some(reply) = self.responder.poll_late(now) {
            out.push(Action::reflect(reply));
        }
        self.claims.timeout(peers, out);
        self.seen_anew.retain(|_, meter| !meter.is_full(now.mono));
    }

    /// Carries out what the probes want.
    pub(in crate::core) fn advance(&mut self, now: Now, out: &mut Outbox) {
        let mut at = 0;
        while let Some((family, probe)) = self.probes.get_mut(at) {
            let family = *family;
            let Some(action) = probe.poll() else {
                at += 1;
                continue;
            };
            match action {
                NatAction::Open { socket, family, towards } => {
                    out.push(Action::ProbeOpen { socket, family, towards });
                }
                NatAction::Close(socket) => out.push(Action::ProbeClose { socket }),
                NatAction::Send { socket, to, bytes } => {
                    out.push(Action::ProbeSend { from: ProbeEnd::Socket(socket), to, bytes });
                }
                NatAction::Say { peer, message } => out.send(peer, message),
                NatAction::Result(_) => self.on_result(now, out),
                NatAction::Answered(_) => {
                    self.pending.remove(&family);
                    if self.pending.is_empty() {
                        for id in std::mem::take(&mut self.waiting) {
                            out.answer(id, Ok(Done::Probed(Box::new(self.measured()))));
                        }
                    }
                }
                NatAction::Stopped(what) => out.stopped(what),
            }
        }
    }

    /// A probe has something new: whoever looks at us must see it.
    fn on_result(&mut self, now: Now, out: &mut Outbox) {
        let found = self.measured();
        let at = self.probes.first().and_then(|(family, _)| self.outside.get(family)).copied();
        self.spells.note(&found, at, now.stamp);
        let new = Arc::new(NatView { history: self.spells.all(), ..found });
        let old = std::mem::replace(&mut self.view, Arc::clone(&new));
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
            out.event(None, kind, now);
            out.want(Wanted::NatChanged);
        }
        if let Some(ipv6) = new.nat6.as_ref().filter(|_| self.probes.len() > 1)
            && of(&old) != of(&new)
        {
            let (from, to, summary) = (of(&old), of(&new), ipv6.summary());
            out.event(None, EventKind::NatChanged { from, to, summary, ipv6: true }, now);
        }
        if old.claim() != new.claim() {
            out.want(Wanted::Republish);
        }
    }

    /// What a measurement would have brought. Whether it is of another type.
    #[cfg(test)]
    pub(in crate::core) fn set_for_test(&mut self, view: NatView) -> bool {
        let changed = view.nat_type != self.view.nat_type;
        self.believed = Some(view.clone());
        self.view = Arc::new(view);
        changed
    }

    /// Nobody waits for a node that stops.
    pub(in crate::core) fn stop(&mut self, out: &mut Outbox) {
        for id in std::mem::take(&mut self.waiting) {
            out.answer(id, Err(Reason::ShuttingDown.into()));
        }
    }
}
