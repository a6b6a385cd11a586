//! Lanes dialled beside any attempt: because the relay under a link falls
//! silent, because the peer moved to another relay, or because it invited us.
//! No ladder is run for them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::standbys::lacks_standby;
use super::{RelayState, View};
use crate::core::Mono;
use crate::core::bucket::Bucket;
use crate::core::io::Action;
use crate::core::ladder::DialId;
use crate::core::limits::{HANDOVERS_BURST, HANDOVERS_PER_MINUTE};
use crate::core::outbox::{Outbox, Wanted};
use crate::core::wire::RelayAddr;
use crate::model::{DropReason, Path, PeerId, Reason};

/// How long a lane has to come up.
const LANE_WITHIN: Duration = Duration::from_secs(5);
/// A lane that is to be had comes up within this time.
const LANE_USUALLY: Duration = Duration::from_secs(1);
/// How long a link is to run over another relay: until the lane to it had its
/// time, and its handshake.
const WANTED_FOR: Duration = Duration::from_secs(8);

/// A lane that is being dialled to a peer.
#[derive(Debug)]
struct Dialling {
    dial: DialId,
    at: RelayAddr,
    since: Mono,
    /// Whether the peer invited us to it.
    invited: bool,
    /// What to dial if this one comes to nothing.
    rest: Vec<RelayAddr>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Handovers {
    dialling: BTreeMap<PeerId, Dialling>,
    /// Relays over one of which a link is to run as soon as a lane over it stands
    /// by, and until when that is wanted.
    wanted: BTreeMap<PeerId, (Vec<RelayAddr>, Mono)>,
    meters: BTreeMap<PeerId, Bucket>,
    /// Peers that moved to another relay oftener than we follow, and when we do.
    later: BTreeMap<PeerId, Mono>,
    /// How often each peer had to follow us, counted as it counts itself.
    followed: BTreeMap<PeerId, Bucket>,
}

impl Handovers {
    pub(super) fn next_timeout(&self) -> Option<Mono> {
        self.later.values().copied().min()
    }
}

fn meter(now: Mono) -> Bucket {
    Bucket::new(HANDOVERS_BURST, HANDOVERS_PER_MINUTE / 60.0, now)
}

impl RelayState {
    /// Dials the first of these, because of what the peer says or is; the others
    /// if it comes to nothing. Says how long that has to wait, if the peer has us
    /// do it too often.
    fn hand_over(
        &mut self,
        peer: PeerId,
        relays: Vec<RelayAddr>,
        view: View<'_>,
        out: &mut Outbox,
    ) -> Option<Duration> {
        if relays.is_empty() || self.handovers.dialling.contains_key(&peer) || view.leaving {
            return None;
        }
        let wait = self.meter_handover(peer, view, out);
        if wait.is_none() {
            self.hand_over_as_told(peer, relays, view, out);
        }
        wait
    }

    /// Counts a change of relay that a peer causes; how long it has to wait, if it
    /// caused too many.
    fn meter_handover(&mut self, peer: PeerId, view: View<'_>, out: &mut Outbox) -> Option<Duration> {
        let meter = self.handovers.meters.entry(peer).or_insert_with(|| meter(view.mono()));
        if meter.take(view.mono()) {
            return None;
        }
        let wait = meter.wait(view.mono());
        out.stopped(DropReason::HandoversOfPeer);
        Some(wait)
    }

    /// Has a link run over one of these relays: at once where a lane over it stands
    /// by, else when one was dialled.
    pub(super) fn move_link(
        &mut self,
        peer: PeerId,
        relays: Vec<RelayAddr>,
        view: View<'_>,
        out: &mut Outbox,
    ) {
        let warm = view.peers().links.standby(&peer).and_then(|info| info.via);
        if let Some(via) = warm.filter(|via| relays.iter().any(|at| at.relay == *via))
            && view.peers().links.can_carry_over(&peer, via)
        {
            return out.want(Wanted::CarryOver(peer, via));
        }
        self.handovers.wanted.insert(peer, (relays.clone(), view.mono() + WANTED_FOR));
        self.drop_late_handover(&peer, view, out);
        self.hand_over_as_told(peer, relays, view, out);
    }

    /// Whether a link is to run over that relay as soon as it can.
    pub(super) fn is_wanted_over(&mut self, peer: &PeerId, via: PeerId) -> bool {
        let over = |(relays, _): &(Vec<RelayAddr>, Mono)| relays.iter().any(|at| at.relay == via);
        let wanted = self.handovers.wanted.get(peer).is_some_and(over);
        if wanted {
            self.handovers.wanted.remove(peer);
        }
        wanted
    }

    /// Whether a lane is being dialled to a peer.
    pub(super) fn is_handing_over(&self, peer: &PeerId) -> bool {
        self.handovers.dialling.contains_key(peer)
    }

    /// Calls the dial of a lane off that has not come, where another one is wanted
    /// now: what was in its way may be gone.
    fn drop_late_handover(&mut self, peer: &PeerId, view: View<'_>, out: &mut Outbox) {
        let late = |d: &Dialling| view.mono().since(d.since) >= LANE_USUALLY;
        if self.handovers.dialling.get(peer).is_some_and(late) {
            self.drop_handover_but(peer, &[], out);
        }
    }

    /// Calls the dial of a lane off that leads to none of these relays.
    pub(super) fn drop_handover_but(&mut self, peer: &PeerId, relays: &[RelayAddr], out: &mut Outbox) {
        let elsewhere = self.handovers.dialling.get(peer).is_some_and(|d| !relays.contains(&d.at));
        if elsewhere && let Some(dialling) = self.handovers.dialling.remove(peer) {
            out.push(Action::Cancel { dial: dialling.dial });
        }
    }

    /// The same because our own operator says so.
    pub(super) fn hand_over_as_told(
        &mut self,
        peer: PeerId,
        mut relays: Vec<RelayAddr>,
        view: View<'_>,
        out: &mut Outbox,
    ) {
        if relays.is_empty() || self.handovers.dialling.contains_key(&peer) || view.leaving {
            return;
        }
        let at = relays.remove(0);
        self.dial_handover(peer, at, relays, view, out);
    }

    /// How long until a peer would follow us to another relay.
    pub(super) fn follows_in(&mut self, peer: PeerId, view: View<'_>) -> Duration {
        self.handovers.followed.get_mut(&peer).map_or(Duration::ZERO, |meter| meter.wait(view.mono()))
    }

    /// A peer has to dial a relay of ours because of what we say.
    pub(super) fn note_followed(&mut self, peer: PeerId, view: View<'_>) {
        self.handovers.followed.entry(peer).or_insert_with(|| meter(view.mono())).take(view.mono());
    }

    fn dial_handover(
        &mut self,
        peer: PeerId,
        at: RelayAddr,
        rest: Vec<RelayAddr>,
        view: View<'_>,
        out: &mut Outbox,
    ) {
        let dial = out.free_dial();
        self.handovers.dialling.insert(peer, Dialling { dial, at, since: view.mono(), invited: false, rest });
        let (relay, addr, within) = (Some(at.relay), view.targets.dialled(&at).addr, LANE_WITHIN);
        out.push(Action::DialLane { dial, peer, relay, addr, within });
    }

    pub(super) fn on_handover_sent(&mut self, dial: DialId, out: &mut Outbox) {
        let found = self.handovers.dialling.iter().find(|(_, d)| d.dial == dial && d.invited);
        if let Some((requester, addr)) = found.map(|(peer, d)| (*peer, d.at.addr)) {
            out.want(Wanted::LaneSent(requester, addr));
        }
    }

    /// The lane stands: it is used at once. A dial for a punch needs nothing more.
    pub(super) fn on_handover_dialled(&mut self, dial: DialId, peer: PeerId, out: &mut Outbox) {
        if self.handovers.dialling.get(&peer).is_some_and(|d| d.dial == dial) {
            out.push(Action::UseLane { dial });
        } else {
            out.push(Action::Cancel { dial });
        }
    }

    pub(super) fn on_handover_failed(
        &mut self,
        dial: DialId,
        reason: &Reason,
        view: View<'_>,
        out: &mut Outbox,
    ) {
        let found = self.handovers.dialling.iter().find(|(_, d)| d.dial == dial).map(|(peer, _)| *peer);
        let Some(peer) = found else { return };
        if matches!(reason, Reason::WrongIdentity { .. }) {
            out.stopped(DropReason::ImpostorOnLane);
        }
        let Some(Dialling { mut rest, .. }) = self.handovers.dialling.remove(&peer) else { return };
        if !rest.is_empty() {
            let at = rest.remove(0);
            self.dial_handover(peer, at, rest, view, out);
        }
    }

    /// A connection to the peer came up; if it is the lane, there is nothing
    /// left to dial.
    pub(super) fn handover_arrived(&mut self, peer: &PeerId, lane: bool) {
        if lane {
            self.handovers.dialling.remove(peer);
        }
    }

    /// A link's heartbeat is overdue: if nothing stands by for it, a reservation of
    /// the peer is dialled before the link is dead.
    pub(super) fn suspect_path(&mut self, peer: PeerId, view: View<'_>, out: &mut Outbox) {
        let Some(info) = view.peers().links.in_use(&peer) else { return };
        let relayed = info.path == Path::Relayed;
        // The end that dialled a lane dials the next one.
        let ours = !relayed || info.outbound;
        let warm = view.peers().links.standby(&peer).is_some() && !lacks_standby(&peer, view);
        if ours && !warm {
            let relays = view.peers().other_relays(&peer, info.via.filter(|_| relayed));
            self.hand_over(peer, relays, view, out);
        }
    }

    /// Heartbeats came again before the other lane did. It is wanted all the same
    /// where it is to stand by.
    pub(super) fn restored_relay(&mut self, peer: &PeerId, view: View<'_>, out: &mut Outbox) {
        if lacks_standby(peer, view) {
            return;
        }
        if let Some(dialling) = self.handovers.dialling.remove(peer) {
            out.push(Action::Cancel { dial: dialling.dial });
        }
    }

    /// What a peer says of itself changed: if its first relay is another one
    /// now, the lane to it follows.
    pub(super) fn follow_relay(&mut self, peer: PeerId, view: View<'_>, out: &mut Outbox) {
        let lane = view.peers().links.lane(&peer);
        let Some(via) = lane.filter(|i| i.outbound).map(|i| i.via) else { return };
        let own_word = view.peers().book.get(peer).filter(|e| e.known.is_first_hand());
        let Some(first) = own_word.and_then(|e| e.record()).and_then(|r| r.relays.first().copied()) else {
            return;
        };
        if Some(first.relay) != via {
            if !view.peers().is_known_relay(&first) {
                return out.stopped(DropReason::RelayUnknown);
            }
            // Only where it is now: no other one is any better than the old.
            self.drop_late_handover(&peer, view, out);
            let warm = view.peers().links.standby(&peer).is_some_and(|info| info.via == Some(first.relay));
            if !warm && self.is_handing_over(&peer) {
                self.handovers.wanted.insert(peer, (vec![first], view.mono() + WANTED_FOR));
            } else if let Some(wait) = self.meter_handover(peer, view, out) {
                self.handovers.later.insert(peer, view.mono() + wait);
            } else {
                self.move_link(peer, vec![first], view, out);
            }
        }
    }

    /// Follows whoever moved too often before.
    pub(super) fn handovers_timeout(&mut self, view: View<'_>, out: &mut Outbox) {
        let due = |(peer, at): (&PeerId, &Mono)| (*at <= view.mono()).then_some(*peer);
        let due: Vec<PeerId> = self.handovers.later.iter().filter_map(due).collect();
        for peer in due {
            self.handovers.later.remove(&peer);
            self.follow_relay(peer, view, out);
        }
    }

    /// A peer invites us to its reservation.
    pub(super) fn on_invited(
        &mut self,
        requester: PeerId,
        relay: RelayAddr,
        view: View<'_>,
        out: &mut Outbox,
    ) {
        if !view.peers().is_known_relay(&relay) {
            return out.stopped(DropReason::InvitationToUnknownRelay);
        }
        // Whose operator disconnected us wants us again.
        out.want(Wanted::AskedBy(requester));
        // Who has to invite us could not reach us: the next one shall.
        self.relays.want(view.mono());
        if !view.peers().links.is_up(&requester) {
            self.hand_over(requester, vec![relay], view, out);
            if let Some(dialling) = self.handovers.dialling.get_mut(&requester).filter(|d| d.at == relay) {
                dialling.invited = true;
            }
        }
    }

    /// Forgets rates that say nothing any more.
    pub(super) fn forget_handovers(&mut self, view: View<'_>) {
        self.handovers.wanted.retain(|_, (_, until)| *until > view.mono());
        self.handovers.meters.retain(|_, bucket| !bucket.is_full(view.mono()));
        self.handovers.followed.retain(|_, bucket| !bucket.is_full(view.mono()));
    }
}
