//! What a node does about relays: its reservations, the lanes dialled beside attempts,
//! those that stand by, whose word about relays it takes, what a change of relay means
//! for the links that ran over it, and what it serves as a relay itself.

mod failover;
mod handovers;
mod standbys;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use self::failover::Over;
use self::handovers::Handovers;
use self::standbys::Standbys;
use super::attempts::{self, Attempts};
use super::dialer::{Dialer, Start};
use super::host::Ways;
use super::io::{Action, ReservationBytes};
use super::ladder::{DialId, Plan};
use super::link::{FAST_HEARTBEAT, Link};
use super::outbox::{Outbox, Wanted};
use super::peers::{Peers, came_over};
use super::relays::{Relays, RelaysOut};
use super::serving::{self, RelayService};
use super::targets::Targets;
use super::wire::{Capabilities, RelayAddr};
use super::{Mono, Now};
use crate::model::{
    AttemptId, Cause, Done, EventKind, Failover, Failure, NatType, Path, PeerId, Reason, RelayMode,
    RelayRole, RelaysView, ReservationRow, ReservationState, millis, plain_addr,
};

/// A reservation lives this long from the relay's last answer.
const RESERVATION_TTL: Duration = Duration::from_secs(30);
/// Between two looks for somebody who could be a relay.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What happened.
#[derive(Debug)]
pub(super) enum Input {
    /// This relay gave us an address.
    Reserved(PeerId, SocketAddr),
    /// This one did not.
    ReserveFailed(PeerId, Reason),
    /// A reservation is gone, or the link to its relay is.
    Lost(PeerId, Reason),
    /// What went through our reservations.
    Bytes(Vec<ReservationBytes>),
    /// Our NAT is of this type.
    Nat(NatType),
    /// This attempt wants a reservation of ours.
    Reserve(AttemptId),
    /// This peer has to dial a relay of ours because of what we say.
    Followed(PeerId),
    /// This peer invites us to its reservation.
    Invited(PeerId, RelayAddr),
    /// What this peer says of itself is another thing.
    News(PeerId),
    /// A connection to this peer came up; whether it is a lane that we dialled.
    Connected(PeerId, bool),
    /// A link runs again, over whatever.
    Path {
        /// The peer at its other end.
        peer: PeerId,
        /// The relay that it left.
        via: Option<PeerId>,
        /// How long nothing was heard.
        gap: Option<Duration>,
        /// Messages that were lost.
        lost: u64,
    },
    /// A heartbeat of the link to this peer is overdue.
    Suspect(PeerId),
    /// Heartbeats came again.
    Restored(PeerId),
    /// A lane stands by for the link to this peer.
    StandsBy(PeerId),
    /// It is gone.
    StandbyLost(PeerId),
    /// The dial of a lane was handed to a socket.
    DialSent(DialId),
    /// It could be used: this peer answered.
    Dialled(DialId, PeerId),
    /// It came to nothing.
    DialFailed(DialId, Reason),
    /// Something happened to what we serve as a relay.
    Served(serving::Input),
}

/// What must be known of the rest of the node.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) targets: Targets<'a>,
    pub(super) attempts: &'a Attempts,
    pub(super) dialer: &'a Dialer,
    pub(super) ways: &'a Ways,
    /// We listen on loopback.
    pub(super) loopback: bool,
}

impl<'a> View<'a> {
    fn peers(&self) -> Peers<'a> {
        self.targets.peers
    }

    fn now(&self) -> Now {
        self.targets.peers.now
    }

    fn mono(&self) -> Mono {
        self.now().mono
    }
}

/// All of it.
#[derive(Debug)]
pub(super) struct RelayState {
    /// What we serve as a relay.
    service: RelayService,
    relays: Relays,
    /// Attempts that wait for a reservation.
    waiting: Vec<AttemptId>,
    refusal: Option<Reason>,
    /// When somebody was last looked for who could be a relay.
    looked: Option<Mono>,
    over: Option<Over>,
    last: Option<Failover>,
    bytes: BTreeMap<PeerId, ReservationBytes>,
    handovers: Handovers,
    standbys: Standbys,
}

impl RelayState {
    /// No reservation yet. `mode`: whom we serve; `bind`: the IP at which we listen.
    pub(super) fn new(mode: RelayMode, bind: IpAddr) -> Self {
        Self {
            service: RelayService::new(mode, bind),
            relays: Relays::default(),
            waiting: Vec::new(),
            refusal: None,
            looked: None,
            over: None,
            last: None,
            bytes: BTreeMap::new(),
            handovers: Handovers::default(),
            standbys: Standbys::default(),
        }
    }

    /// What we serve as a relay.
    pub(super) fn service(&self) -> &RelayService {
        &self.service
    }

    /// Whether a peer is a relay of ours.
    pub(super) fn is_relay(&self, peer: &PeerId) -> bool {
        self.relays.is_relay(peer)
    }

    /// Where others reach us, the active one first.
    pub(super) fn addresses(&self) -> Vec<RelayAddr> {
        self.relays.addresses()
    }

    pub(super) fn next_timeout(&self, now: Now) -> Option<Mono> {
        let over = self.over.as_ref().map(Over::until);
        let look = self.looked.map(|at| at + LOOK_EVERY).filter(|at| *at > now.mono);
        let lanes = self.handovers.next_timeout().into_iter().chain(self.standbys.next_timeout());
        self.relays.next_timeout(now.mono).into_iter().chain(over).chain(look).chain(lanes).min()
    }

    /// Takes what happened.
    pub(super) fn handle(&mut self, input: Input, view: View<'_>, out: &mut Outbox) {
        let mut told = Vec::new();
        match input {
            Input::Reserved(relay, addr) => self.on_reserved(relay, addr, view, out),
            Input::ReserveFailed(relay, reason) => {
                self.relays.on_refused(relay, reason, view.mono(), &mut told);
            }
            Input::Lost(relay, reason) => self.relays.on_lost(relay, reason, view.mono(), &mut told),
            Input::Bytes(all) => self.bytes = all.into_iter().map(|b| (b.relay, b)).collect(),
            // Half the world reaches a symmetric NAT over relays only.
            Input::Nat(NatType::Unknown) => {}
            Input::Nat(known) => self.relays.set_always(known == NatType::Symmetric, view.mono()),
            Input::Reserve(attempt) => self.reserve_for(attempt, view, out),
            Input::Followed(peer) => self.note_followed(peer, view),
            Input::Invited(peer, relay) => self.on_invited(peer, relay, view, out),
            Input::News(peer) => {
                self.follow_relay(peer, view, out);
                self.want_standby(peer, view, out);
            }
            Input::Connected(peer, lane) => self.handover_arrived(&peer, lane),
            Input::Path { peer, via, gap, lost } => {
                self.path_changed(peer, via, gap, lost, view, out);
                self.want_standby(peer, view, out);
            }
            Input::Suspect(peer) => self.suspect_path(peer, view, out),
            Input::Restored(peer) => self.restored_relay(&peer, view, out),
            Input::StandsBy(peer) => self.on_stands_by(peer, view, out),
            Input::StandbyLost(peer) => self.want_standby(peer, view, out),
            Input::DialSent(dial) => self.on_handover_sent(dial, out),
            Input::Dialled(dial, peer) => self.on_handover_dialled(dial, peer, out),
            Input::DialFailed(dial, reason) => self.on_handover_failed(dial, &reason, view, out),
            Input::Served(input) => self.service.handle(input, &view.targets, out),
        }
        self.carry_relays(told, view, out);
    }

    /// A command to serve a peer no longer.
    pub(super) fn end_served(
        &mut self,
        peer: PeerId,
        view: View<'_>,
        out: &mut Outbox,
    ) -> Result<Option<Done>, Failure> {
        self.service.end_for(peer, &view.targets, out)
    }

    /// What follows of anything: the links may look different.
    pub(super) fn follow_up(&mut self, view: View<'_>, out: &mut Outbox) {
        self.advance(view, out);
        self.service.timeout(&view.targets, out);
    }

    /// What is due by now.
    pub(super) fn timeout(&mut self, view: View<'_>, out: &mut Outbox) {
        self.forget_handovers(view);
        self.relays_timeout(view, out);
        self.handovers_timeout(view, out);
        self.standbys_timeout(view, out);
    }

    /// Who could be a relay for us, the best first: who was proven to be
    /// public, then who was dialled directly and claims no NAT; ours before stock
    /// nodes, IPv4 before IPv6, the near before the far.
    fn candidates(view: View<'_>) -> Vec<PeerId> {
        let rank = |(peer, link): (&PeerId, &Link)| {
            let status = link.status()?;
            let proven = view.peers().is_public(peer) || view.loopback;
            let claim = view.peers().claimed_nat(peer);
            let unasked = status.info.outbound && status.info.path == Path::Direct;
            let reached = unasked && matches!(claim, NatType::None | NatType::Unknown);
            let fits = status.info.path.is_straight() && (proven || reached);
            let rtt = status.rtt_ms.unwrap_or(f64::MAX).to_bits();
            // A reservation is of the family of the link, and not everybody has
            // IPv6.
            let few = status.info.remote.is_ipv6();
            // A peer that says that it relays for nobody is not asked.
            let record = view.peers().book.get(*peer).and_then(|e| e.record());
            let serves = record.is_none_or(|r| r.capabilities.has(Capabilities::RELAY));
            (fits && serves).then_some((status.foreign, !proven, few, rtt, *peer))
        };
        let mut ranked: Vec<_> = view.peers().links.iter().filter_map(rank).collect();
        ranked.sort_unstable();
        ranked.into_iter().map(|(.., peer)| peer).collect()
    }

    /// Brings our reservations to what is wanted.
    fn advance(&mut self, view: View<'_>, out: &mut Outbox) {
        let handing_over = self.over.as_ref().is_some_and(Over::is_forced);
        if view.dialer.is_leaving() || handing_over || self.relays.is_idle() {
            return;
        }
        // A lane that is kept beside a better path needs its reservation too.
        let used: BTreeSet<PeerId> =
            view.peers().links.values().flat_map(Link::conns).filter_map(came_over).collect();
        let mut told = Vec::new();
        self.relays.advance(|| Self::candidates(view), |relay| used.contains(relay), view.mono(), &mut told);
        let lacks = self.relays.lacks(|relay| used.contains(relay), view.mono());
        self.carry_relays(told, view, out);
        if lacks {
            self.look_for_relay(view, out);
        }
        // Nobody is left to ask.
        if self.relays.asking().is_none() && self.relays.active().is_none() {
            let reason = self.refusal.take().unwrap_or(Reason::NoRelay);
            self.tell_reserved(&Err(reason), out);
        }
    }

    /// Nobody we are linked to can be a relay: somebody who says that he is
    /// public is dialled.
    fn look_for_relay(&mut self, view: View<'_>, out: &mut Outbox) {
        let again = self.looked.is_none_or(|at| view.mono().since(at) >= LOOK_EVERY);
        if !again || view.attempts.live().any(|l| l.cause() == Cause::Relay) {
            return;
        }
        self.looked = Some(view.mono());
        let free = |peer: &PeerId| {
            let record = view.peers().book.get(*peer).and_then(|e| e.record());
            record.is_some_and(|r| r.nat == NatType::None && r.capabilities.has(Capabilities::RELAY))
                && !view.peers().links.is_connected(peer)
                && !self.relays.is_refused(peer)
                && !view.dialer.is_held_off(peer, view.mono())
        };
        let reachable =
            |peer: &PeerId| view.ways.to(&view.peers().addresses_of(peer).unwrap_or_default()).is_ok();
        let found = view
            .peers()
            .book
            .best_first(view.now().stamp)
            .into_iter()
            .find(|peer| free(peer) && reachable(peer));
        if let Some(target) = found.and_then(|peer| view.targets.of(peer)) {
            out.want(Wanted::Start(Start { target, cause: Cause::Relay, plan: Plan::DIRECT }));
        }
    }

    /// An attempt wants a reservation of ours.
    fn reserve_for(&mut self, attempt: AttemptId, view: View<'_>, out: &mut Outbox) {
        self.relays.want(view.mono());
        if !self.waiting.contains(&attempt) {
            self.waiting.push(attempt);
        }
        match self.relays.active() {
            Some(active) => self.tell_reserved(&Ok(active), out),
            None => self.advance(view, out),
        }
    }

    fn tell_reserved(&mut self, result: &Result<RelayAddr, Reason>, out: &mut Outbox) {
        for id in std::mem::take(&mut self.waiting) {
            out.want(Wanted::Attempts(attempts::Input::Reserved(id, result.clone())));
        }
    }

    fn on_reserved(&mut self, relay: PeerId, addr: SocketAddr, view: View<'_>, out: &mut Outbox) {
        let mut told = Vec::new();
        self.relays.on_reserved(relay, plain_addr(addr), view.now(), &mut told);
        self.carry_relays(told, view, out);
        if let Some(active) = self.relays.active() {
            self.tell_reserved(&Ok(active), out);
        }
    }

    fn carry_relays(&mut self, told: Vec<RelaysOut>, view: View<'_>, out: &mut Outbox) {
        for wanted in told {
            match wanted {
                RelaysOut::Reserve(relay) => out.push(Action::Reserve { relay }),
                RelaysOut::Release(relay) => {
                    out.push(Action::Release { relay });
                    out.event(Some(relay), EventKind::RelayReleased, view.now());
                }
                RelaysOut::Changed => {
                    // The ends of relays are noticed soon, and our record tells of them.
                    out.want(Wanted::Pace);
                    out.want(Wanted::Republish);
                }
                RelaysOut::Reserved { relay, addr, role } => {
                    out.event(Some(relay), EventKind::RelayReserved { public_addr: addr, role }, view.now());
                }
                RelaysOut::Refused { relay, reason } => {
                    self.refusal = Some(reason.clone());
                    // A relay that did not answer has refused nothing.
                    let said = matches!(reason, Reason::RelayRefused { .. } | Reason::ReservationTaken);
                    let kind = if said {
                        EventKind::RelayRefused { reason }
                    } else {
                        EventKind::RelayFailed { reason }
                    };
                    out.event(Some(relay), kind, view.now());
                }
                RelaysOut::Lost { relay, reason, successor, active } => {
                    // The link may be gone and the reservation not yet.
                    out.push(Action::Release { relay });
                    out.event(Some(relay), EventKind::RelayDead { reason, successor }, view.now());
                    if active {
                        self.relay_died(relay, successor, view, out);
                    }
                }
            }
        }
    }

    /// As it is shown.
    pub(super) fn view(&self, peers: &Peers<'_>) -> RelaysView {
        let relays = &self.relays;
        let (mode, (served, served_bytes)) = (self.service.mode(), self.service.served());
        let role = |at: usize| if at == 0 { RelayRole::Active } else { RelayRole::Standby };
        let mut reservations: Vec<ReservationRow> = relays
            .held()
            .iter()
            .enumerate()
            .map(|(at, held)| {
                let link = peers.links.get(&held.at.relay);
                let status = link.and_then(Link::status);
                let missed = status.as_ref().is_some_and(|s| s.missed > 0);
                let bytes = self.bytes.get(&held.at.relay);
                // A stock node answers no heartbeats.
                let heard = link.filter(|l| l.is_up()).map(Link::last_heard);
                ReservationRow {
                    relay: held.at.relay,
                    public_addr: Some(held.at.addr),
                    role: role(at),
                    state: if missed { ReservationState::Suspect } else { ReservationState::Ready },
                    rtt_ms: status.and_then(|s| s.rtt_ms),
                    // To the second of a heartbeat: it is renewed with each.
                    expires: heard.map(|at| peers.now.stamp_of(coarse(at) + RESERVATION_TTL)),
                    bytes_tx: bytes.map_or(0, |b| b.bytes_tx),
                    bytes_rx: bytes.map_or(0, |b| b.bytes_rx),
                }
            })
            .collect();
        reservations.extend(relays.asking().map(|relay| ReservationRow {
            relay,
            public_addr: None,
            role: role(relays.held().len()),
            state: ReservationState::Reserving,
            rtt_ms: peers.links.rtt(&relay).map(|(ms, _)| ms),
            expires: None,
            bytes_tx: 0,
            bytes_rx: 0,
        }));
        RelaysView { reservations, mode, served, served_bytes, last_failover: self.last.clone() }
    }
}

/// In steps of a heartbeat, so that the section changes no oftener.
fn coarse(at: Mono) -> Mono {
    let step = millis(FAST_HEARTBEAT);
    Mono::from_millis(millis(at.0) / step * step)
}
