//! Relays, wired: our reservations, whose word about relays we take, and what a
//! change of relay means for the links that ran over it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use super::failover::Over;
use super::{Action, Engine, Link, ReservationBytes};
use crate::core::attempts;
use crate::core::dialer::Start;
use crate::core::ladder::Plan;
use crate::core::link::BRISK_INTERVAL;
use crate::core::peers::came_over;
use crate::core::relays::{Relays, RelaysOut};
use crate::core::wire::{Capabilities, RelayAddr};
use crate::core::{Mono, Now};
use crate::model::{
    AttemptId, Cause, EventKind, Failover, NatType, Path, PeerId, Reason, RelayRole, RelaysView,
    ReservationRow, ReservationState, millis,
};

/// A reservation lives this long from the relay's last answer.
const RESERVATION_TTL: Duration = Duration::from_secs(30);
/// Between two looks for somebody who could be a relay.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What the engine holds of relays.
#[derive(Debug, Default)]
pub(super) struct Relaying {
    pub(super) relays: Relays,
    /// Attempts that wait for a reservation.
    waiting: Vec<AttemptId>,
    refusal: Option<Reason>,
    /// When somebody was last looked for who could be a relay.
    looked: Option<Mono>,
    pub(super) over: Option<Over>,
    pub(super) last: Option<Failover>,
    bytes: BTreeMap<PeerId, ReservationBytes>,
}

impl Relaying {
    pub(super) fn next_timeout(&self, now: Now) -> Option<Mono> {
        let over = self.over.as_ref().map(Over::until);
        let look = self.looked.map(|at| at + LOOK_EVERY).filter(|at| *at > now.mono);
        self.relays.next_timeout(now.mono).into_iter().chain(over).chain(look).min()
    }
}

impl Engine {
    /// Who could be a relay for us, the best first: who was proven to be
    /// public, then who was dialled directly and claims no NAT; ours before stock
    /// nodes, IPv4 before IPv6, the near before the far.
    pub(super) fn relay_candidates(&self, now: Now) -> Vec<PeerId> {
        let rank = |(peer, link): (&PeerId, &Link)| {
            let status = link.status()?;
            let proven = self.peers(now).is_public(peer) || self.config.loopback();
            let claim = self.peers(now).claimed_nat(peer);
            let unasked = status.info.outbound && status.info.path == Path::Direct;
            let reached = unasked && matches!(claim, NatType::None | NatType::Unknown);
            let fits = status.info.path.is_straight() && (proven || reached);
            let rtt = status.rtt_ms.unwrap_or(f64::MAX).to_bits();
            // A reservation is of the family of the link, and not everybody has
            // IPv6.
            let few = status.info.remote.is_ipv6();
            // Who says that it relays for nobody is not asked.
            let record = self.book.get(*peer).and_then(|e| e.record());
            let serves = record.is_none_or(|r| r.capabilities.has(Capabilities::RELAY));
            (fits && serves).then_some((status.foreign, !proven, few, rtt, *peer))
        };
        let mut ranked: Vec<_> = self.links.iter().filter_map(rank).collect();
        ranked.sort_unstable();
        ranked.into_iter().map(|(.., peer)| peer).collect()
    }

    /// Brings our reservations to what is wanted.
    pub(super) fn settle_relays(&mut self, now: Now) {
        let handing_over = self.relaying.over.as_ref().is_some_and(Over::is_forced);
        if self.leaving || handing_over || self.relaying.relays.is_idle() {
            return;
        }
        // A lane that is kept beside a better path needs its reservation too.
        let used: BTreeSet<PeerId> =
            self.links.values().flat_map(Link::conns).filter_map(came_over).collect();
        let mut relays = std::mem::take(&mut self.relaying.relays);
        let mut out = Vec::new();
        relays.settle(|| self.relay_candidates(now), |relay| used.contains(relay), now.mono, &mut out);
        let lacks = relays.lacks(|relay| used.contains(relay), now.mono);
        self.relaying.relays = relays;
        self.carry_relays(out, now);
        if lacks {
            self.look_for_relay(now);
        }
        // Nobody is left to ask.
        if self.relaying.relays.asking().is_none() && self.relaying.relays.active().is_none() {
            let reason = self.relaying.refusal.take().unwrap_or(Reason::NoRelay);
            self.tell_reserved(&Err(reason), now);
        }
    }

    /// Nobody we are linked to can be a relay: somebody who says that he is
    /// public is dialled.
    fn look_for_relay(&mut self, now: Now) {
        let again = self.relaying.looked.is_none_or(|at| now.mono.since(at) >= LOOK_EVERY);
        if !again || self.attempts.live().any(|l| l.cause() == Cause::Relay) {
            return;
        }
        self.relaying.looked = Some(now.mono);
        let free = |peer: &PeerId| {
            let record = self.book.get(*peer).and_then(|e| e.record());
            record.is_some_and(|r| r.nat == NatType::None && r.capabilities.has(Capabilities::RELAY))
                && !self.links.is_connected(peer)
                && !self.relaying.relays.is_refused(peer)
                && !self.dialer.is_held_off(peer, now.mono)
        };
        let reachable =
            |peer: &PeerId| self.ways.to(&self.peers(now).addresses_of(peer).unwrap_or_default()).is_ok();
        let found = self.book.best_first(now.stamp).into_iter().find(|peer| free(peer) && reachable(peer));
        if let Some(target) = found.and_then(|peer| self.targets(now).of(peer)) {
            self.start_attempt(Start { target, cause: Cause::Relay, plan: Plan::DIRECT }, now);
        }
    }

    /// Our NAT was measured: who maps anew for everybody is reached over relays
    /// only by half the world.
    pub(super) fn relays_for_nat(&mut self, now: Now) {
        match self.nat.view().nat_type {
            NatType::Unknown => {}
            known => self.relaying.relays.set_always(known == NatType::Symmetric, now.mono),
        }
    }

    /// An attempt wants a reservation of ours.
    pub(super) fn reserve_for(&mut self, attempt: AttemptId, now: Now) {
        self.relaying.relays.want(now.mono);
        if !self.relaying.waiting.contains(&attempt) {
            self.relaying.waiting.push(attempt);
        }
        match self.relaying.relays.active() {
            Some(active) => self.tell_reserved(&Ok(active), now),
            None => self.settle_relays(now),
        }
    }

    fn tell_reserved(&mut self, result: &Result<RelayAddr, Reason>, now: Now) {
        for id in std::mem::take(&mut self.relaying.waiting) {
            self.tell_attempts(attempts::Input::Reserved(id, result.clone()), now);
        }
    }

    pub(super) fn on_reserved(&mut self, relay: PeerId, addr: SocketAddr, now: Now) {
        let mut out = Vec::new();
        self.relaying.relays.on_reserved(relay, crate::model::plain_addr(addr), now, &mut out);
        self.carry_relays(out, now);
        if let Some(active) = self.relaying.relays.active() {
            self.tell_reserved(&Ok(active), now);
        }
    }

    pub(super) fn on_reserve_failed(&mut self, relay: PeerId, reason: Reason, now: Now) {
        let mut out = Vec::new();
        self.relaying.relays.on_refused(relay, reason, now.mono, &mut out);
        self.carry_relays(out, now);
    }

    /// A reservation is gone, or the relay's link is.
    pub(super) fn on_relay_lost(&mut self, relay: PeerId, reason: Reason, now: Now) {
        let mut out = Vec::new();
        self.relaying.relays.on_lost(relay, reason, now.mono, &mut out);
        self.carry_relays(out, now);
    }

    pub(super) fn on_lane_bytes(&mut self, reservations: Vec<ReservationBytes>) {
        self.relaying.bytes = reservations.into_iter().map(|b| (b.relay, b)).collect();
    }

    pub(super) fn carry_relays(&mut self, out: Vec<RelaysOut>, now: Now) {
        for wanted in out {
            match wanted {
                RelaysOut::Reserve(relay) => self.outbox.push(Action::Reserve { relay }),
                RelaysOut::Release(relay) => {
                    self.outbox.push(Action::Release { relay });
                    self.outbox.event(Some(relay), EventKind::RelayReleased, now);
                }
                RelaysOut::Changed => self.relays_changed(now),
                RelaysOut::Reserved { relay, addr, role } => {
                    self.outbox.event(Some(relay), EventKind::RelayReserved { public_addr: addr, role }, now);
                }
                RelaysOut::Refused { relay, reason } => {
                    self.relaying.refusal = Some(reason.clone());
                    // Who did not answer has refused nothing.
                    let said = matches!(reason, Reason::RelayRefused { .. } | Reason::ReservationTaken);
                    let kind = if said {
                        EventKind::RelayRefused { reason }
                    } else {
                        EventKind::RelayFailed { reason }
                    };
                    self.outbox.event(Some(relay), kind, now);
                }
                RelaysOut::Lost { relay, reason, successor, active } => {
                    // The link may be gone and the reservation not yet.
                    self.outbox.push(Action::Release { relay });
                    self.outbox.event(Some(relay), EventKind::RelayDead { reason, successor }, now);
                    if active {
                        self.relay_died(relay, successor, now);
                    }
                }
            }
        }
    }

    /// Our record tells of it, and the ends of relays are noticed soon.
    fn relays_changed(&mut self, now: Now) {
        self.pace_links(now);
        self.republish(now);
    }

    // ---- view --------------------------------------------------------------

    pub(super) fn relays_view(&self, now: Now) -> RelaysView {
        let relays = &self.relaying.relays;
        let role = |at: usize| if at == 0 { RelayRole::Active } else { RelayRole::Standby };
        let mut reservations: Vec<ReservationRow> = relays
            .held()
            .iter()
            .enumerate()
            .map(|(at, held)| {
                let link = self.links.get(&held.at.relay);
                let status = link.and_then(Link::status);
                let missed = status.as_ref().is_some_and(|s| s.missed > 0);
                let bytes = self.relaying.bytes.get(&held.at.relay);
                // A stock node answers no heartbeats.
                let heard = link.filter(|l| l.is_up()).map(Link::last_heard);
                ReservationRow {
                    relay: held.at.relay,
                    public_addr: Some(held.at.addr),
                    role: role(at),
                    state: if missed { ReservationState::Suspect } else { ReservationState::Ready },
                    rtt_ms: status.and_then(|s| s.rtt_ms),
                    // To the second of a heartbeat: it is renewed with each.
                    expires: heard.map(|at| now.stamp_of(coarse(at) + RESERVATION_TTL)),
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
            rtt_ms: self.links.rtt(&relay).map(|(ms, _)| ms),
            expires: None,
            bytes_tx: 0,
            bytes_rx: 0,
        }));
        let (served, served_bytes) = self.serving.served();
        RelaysView {
            reservations,
            mode: self.serving.mode(),
            served,
            served_bytes,
            last_failover: self.relaying.last.clone(),
        }
    }
}

/// In steps of a heartbeat, so that the section changes no oftener.
fn coarse(at: Mono) -> Mono {
    let step = millis(BRISK_INTERVAL);
    Mono::from_millis(millis(at.0) / step * step)
}
