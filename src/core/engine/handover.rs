//! Lanes dialled beside any attempt: because the relay under a link falls
//! silent, because the peer moved to another relay, or because it invited us.
//! No ladder is run for them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Action, Engine, Link};
use crate::core::bucket::Bucket;
use crate::core::ladder::DialId;
use crate::core::limits::{HANDOVERS_BURST, HANDOVERS_PER_MINUTE};
use crate::core::link::ConnInfo;
use crate::core::wire::RelayAddr;
use crate::core::{Mono, Now};
use crate::model::{AttemptId, Path, PeerId};

/// Attempts count from one: behind a dial with this number there is none.
const NO_ATTEMPT: AttemptId = AttemptId(0);
/// How long a lane has to come up.
const LANE_WITHIN: Duration = Duration::from_secs(5);

/// A lane that is being dialled to a peer.
#[derive(Debug)]
struct Dialling {
    dial: DialId,
    /// What to dial if this one comes to nothing.
    rest: Vec<RelayAddr>,
}

/// What the engine holds of them.
#[derive(Debug, Default)]
pub(super) struct Handovers {
    dialling: BTreeMap<PeerId, Dialling>,
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

fn meter(now: Now) -> Bucket {
    Bucket::new(HANDOVERS_BURST, HANDOVERS_PER_MINUTE / 60.0, now.mono)
}

impl Engine {
    /// Names a dial that belongs to no attempt.
    pub(super) fn free_dial(&mut self) -> DialId {
        self.free_dials = self.free_dials.wrapping_add(1);
        DialId { attempt: NO_ATTEMPT, n: self.free_dials }
    }

    /// Whether a dial belongs to no attempt.
    pub(super) fn is_free(dial: DialId) -> bool {
        dial.attempt == NO_ATTEMPT
    }

    /// A peer's reservations at which we could dial it, but for one.
    pub(super) fn other_relays(&self, peer: &PeerId, but: Option<PeerId>) -> Vec<RelayAddr> {
        let record = self.book.get(*peer).and_then(|e| e.record());
        let relays = record.map(|r| r.relays.clone()).unwrap_or_default();
        relays.into_iter().filter(|at| Some(at.relay) != but && self.is_known_relay(at)).collect()
    }

    /// Counts the relays that a peer's record names and nobody knows: none of
    /// them is dialled.
    pub(super) fn count_unknown_relays(&mut self, peer: &PeerId) {
        let record = self.book.get(*peer).and_then(|e| e.record());
        let unknown = record.map_or(0, |r| r.relays.iter().filter(|at| !self.is_known_relay(at)).count());
        for _ in 0..unknown {
            self.stopped("relay that nobody knows");
        }
    }

    /// Leaves those relays where we were ourselves. What gossip has us dial is
    /// limited per host, by the addresses in a record; a relay that is made up
    /// at somebody's host would be a way round.
    pub(super) fn drop_hearsay_relays(&mut self, relays: &mut Vec<RelayAddr>) {
        let before = relays.len();
        relays.retain(|at| self.is_met_relay(at));
        for _ in relays.len()..before {
            self.stopped("relay known by hearsay");
        }
    }

    /// Dials the first of these, because of what the peer says or is; the others
    /// if it comes to nothing. Says how long that has to wait, if the peer has us
    /// do it too often.
    fn hand_over(&mut self, peer: PeerId, relays: Vec<RelayAddr>, now: Now) -> Option<Duration> {
        if relays.is_empty() || self.handovers.dialling.contains_key(&peer) || self.leaving {
            return None;
        }
        let meter = self.handovers.meters.entry(peer).or_insert_with(|| meter(now));
        if !meter.take(now.mono) {
            let wait = meter.wait(now.mono);
            self.stopped("handovers of a peer");
            return Some(wait);
        }
        self.hand_over_as_told(peer, relays);
        None
    }

    /// The same because our own operator says so.
    pub(super) fn hand_over_as_told(&mut self, peer: PeerId, mut relays: Vec<RelayAddr>) {
        if relays.is_empty() || self.handovers.dialling.contains_key(&peer) || self.leaving {
            return;
        }
        let at = relays.remove(0);
        self.dial_handover(peer, at, relays);
    }

    /// How long until a peer would follow us to another relay.
    pub(super) fn follows_in(&mut self, peer: PeerId, now: Now) -> Duration {
        self.handovers.followed.get_mut(&peer).map_or(Duration::ZERO, |meter| meter.wait(now.mono))
    }

    /// A peer has to dial a relay of ours because of what we say.
    pub(super) fn note_followed(&mut self, peer: PeerId, now: Now) {
        self.handovers.followed.entry(peer).or_insert_with(|| meter(now)).take(now.mono);
    }

    fn dial_handover(&mut self, peer: PeerId, at: RelayAddr, rest: Vec<RelayAddr>) {
        let dial = self.free_dial();
        self.handovers.dialling.insert(peer, Dialling { dial, rest });
        let (relay, addr, within) = (Some(at.relay), at.addr, LANE_WITHIN);
        self.out.push_back(Action::DialLane { dial, peer, relay, addr, within });
    }

    /// The lane stands: it is used at once. A dial for a punch needs nothing more.
    pub(super) fn on_handover_dialled(&mut self, dial: DialId, peer: PeerId) {
        if self.handovers.dialling.get(&peer).is_some_and(|d| d.dial == dial) {
            self.out.push_back(Action::UseLane { dial });
        } else {
            self.out.push_back(Action::Cancel { dial });
        }
    }

    /// Whether a dial is one of these, and not one for a punch.
    pub(super) fn is_handover(&self, dial: DialId) -> bool {
        self.handovers.dialling.values().any(|d| d.dial == dial)
    }

    pub(super) fn on_handover_failed(&mut self, dial: DialId) {
        let found = self.handovers.dialling.iter().find(|(_, d)| d.dial == dial).map(|(peer, _)| *peer);
        let Some(peer) = found else { return };
        let Some(Dialling { mut rest, .. }) = self.handovers.dialling.remove(&peer) else { return };
        if !rest.is_empty() {
            let at = rest.remove(0);
            self.dial_handover(peer, at, rest);
        }
    }

    /// A connection to the peer came up; if it is the lane, there is nothing
    /// left to dial.
    pub(super) fn handover_arrived(&mut self, peer: &PeerId, info: &ConnInfo) {
        if info.path == Path::Relayed && info.outbound {
            self.handovers.dialling.remove(peer);
        }
    }

    /// A link's heartbeat is overdue: if it runs over a lane that we dialled,
    /// the peer's other relay is dialled before this one is dead.
    pub(super) fn suspect_relay(&mut self, peer: PeerId, now: Now) {
        let lane = self.links.get(&peer).and_then(Link::in_use).filter(|i| i.path == Path::Relayed);
        let Some(via) = lane.filter(|i| i.outbound).map(|i| i.via) else { return };
        let relays = self.other_relays(&peer, via);
        self.hand_over(peer, relays, now);
    }

    /// Heartbeats came again before the other lane did.
    pub(super) fn restored_relay(&mut self, peer: &PeerId) {
        if let Some(dialling) = self.handovers.dialling.remove(peer) {
            self.out.push_back(Action::Cancel { dial: dialling.dial });
        }
    }

    /// What a peer says of itself changed: if its first relay is another one
    /// now, the lane to it follows.
    pub(super) fn follow_relay(&mut self, peer: PeerId, now: Now) {
        let lane = self.links.get(&peer).and_then(Link::in_use).filter(|i| i.path == Path::Relayed);
        let Some(via) = lane.filter(|i| i.outbound).map(|i| i.via) else { return };
        let own_word = self.book.get(peer).filter(|e| e.known.is_first_hand());
        let Some(first) = own_word.and_then(|e| e.record()).and_then(|r| r.relays.first().copied()) else {
            return;
        };
        if Some(first.relay) != via {
            if !self.is_known_relay(&first) {
                return self.stopped("relay that nobody knows");
            }
            let mut relays = self.other_relays(&peer, via);
            // Only where it is now: no other one is any better than the old.
            relays.retain(|at| *at == first);
            if let Some(wait) = self.hand_over(peer, relays, now) {
                self.handovers.later.insert(peer, now.mono + wait);
            }
        }
    }

    /// Follows whoever moved too often before.
    pub(super) fn handovers_timeout(&mut self, now: Now) {
        let due = |(peer, at): (&PeerId, &Mono)| (*at <= now.mono).then_some(*peer);
        let due: Vec<PeerId> = self.handovers.later.iter().filter_map(due).collect();
        for peer in due {
            self.handovers.later.remove(&peer);
            self.follow_relay(peer, now);
        }
    }

    /// A peer invites us to its reservation.
    pub(super) fn on_invited(&mut self, requester: PeerId, relay: RelayAddr, now: Now) {
        if !self.is_known_relay(&relay) {
            return self.stopped("invitation to an unknown relay");
        }
        // Who has to invite us could not reach us: the next one shall.
        self.relaying.relays.want(now.mono);
        if !self.links.get(&requester).is_some_and(Link::is_up) {
            self.hand_over(requester, vec![relay], now);
        }
    }

    /// Forgets rates that say nothing any more.
    pub(super) fn forget_handovers(&mut self, now: Now) {
        self.handovers.meters.retain(|_, bucket| !bucket.is_full(now.mono));
        self.handovers.followed.retain(|_, bucket| !bucket.is_full(now.mono));
    }
}
