//! The relay stage: a lane to the target's reservation, or an invitation to
//! ours.

use std::time::Duration;

use super::punch::WHO_HAS_WAIT;
use super::{Consent, DialId, Ladder, LadderOut};
use crate::core::wire::RelayAddr;
use crate::core::{Mono, Now};
use crate::model::{PeerId, Reason, StageKind, StageOutcome};

/// How long a lane has to come up.
pub(super) const LANE_WAIT: Duration = Duration::from_secs(5);
/// A second relay is dialled this long after the first.
const SECOND_AFTER: Duration = Duration::from_millis(300);
/// How long an intermediary has to answer our invitation.
pub(super) const INVITE_WAIT: Duration = Duration::from_secs(5);
/// How long a target that agreed has to come: its dial alone may take
/// [`LANE_WAIT`], and the link is up some round trips after that.
pub(super) const COME_WAIT: Duration = Duration::from_secs(8);
/// How long an invitation is held back that came to nothing with every
/// intermediary: what stands in flight there makes room within two seconds.
pub(super) const INVITE_AGAIN: Duration = Duration::from_secs(1);

/// Where the stage stands.
#[derive(Debug)]
pub(super) enum Relay {
    /// Lanes to the target's reservations are being dialled.
    Dialling { until: Mono, second: Option<(Mono, RelayAddr)>, dials: Vec<(DialId, RelayAddr)> },
    /// A lane stands and waits until it is wanted.
    Warm { dial: DialId },
    /// A lane is in use: the link is about to come up over it.
    Using { dial: DialId, until: Mono },
    /// A reservation of ours is being made.
    Reserving { until: Mono },
    /// We know nobody yet who could pass our invitation on.
    Uninvited { relay: RelayAddr },
    /// Nobody passes our invitation on just now: it is tried again then.
    Postponed { until: Mono, relay: RelayAddr },
    /// The target was invited to our reservation, and is to come by then, so
    /// long after what was heard of it last.
    Invited { until: Mono, wait: Duration, via: PeerId, relay: RelayAddr },
}

impl Relay {
    /// Dials the first reservation, and the second a little later.
    pub(super) fn dialling(first: (DialId, RelayAddr), second: Option<RelayAddr>, now: Mono) -> Self {
        let second = second.map(|relay| (now + SECOND_AFTER, relay));
        Self::Dialling { until: now + LANE_WAIT, second, dials: vec![first] }
    }

    pub(super) fn next_timeout(&self) -> Option<Mono> {
        match self {
            Self::Dialling { until, second, .. } => {
                second.map(|(at, _)| at).into_iter().chain([*until]).min()
            }
            Self::Using { until, .. }
            | Self::Reserving { until }
            | Self::Postponed { until, .. }
            | Self::Invited { until, .. } => Some(*until),
            Self::Warm { .. } | Self::Uninvited { .. } => None,
        }
    }

    /// The dials that run or stand.
    pub(super) fn dials(&self) -> Vec<DialId> {
        match self {
            Self::Dialling { dials, .. } => dials.iter().map(|(dial, _)| *dial).collect(),
            Self::Warm { dial } | Self::Using { dial, .. } => vec![*dial],
            _ => Vec::new(),
        }
    }
}

impl Ladder {
    /// Whether a dial is one through a relay: what it made is no connection
    /// until it is used.
    pub fn is_lane(&self, dial: DialId) -> bool {
        self.relay.as_ref().is_some_and(|relay| relay.dials().contains(&dial))
    }

    /// A reservation of ours stands, or could not be made.
    pub fn on_reserved(&mut self, relay: Result<RelayAddr, Reason>, now: Now, out: &mut Vec<LadderOut>) {
        if !matches!(self.relay, Some(Relay::Reserving { .. })) {
            return;
        }
        match relay {
            Ok(relay) => self.relay = Some(Relay::Uninvited { relay }),
            Err(reason) => {
                self.relay = None;
                self.end_stage(StageKind::Relay, StageOutcome::Failed, Some(reason), now, out);
            }
        }
        self.advance(now, out);
    }

    /// The intermediary answered our invitation.
    pub fn on_invite_answer(&mut self, from: PeerId, answer: Consent, now: Now, out: &mut Vec<LadderOut>) {
        let Some(Relay::Invited { via, relay, until, wait }) = &mut self.relay else { return };
        if *via != from {
            return;
        }
        match answer {
            // Now the target dials.
            Consent::Agreed(_) => (*until, *wait) = (now.mono + COME_WAIT, COME_WAIT),
            Consent::Elsewhere(reason) => {
                let relay = *relay;
                self.invite_elsewhere(from, relay, reason, now, out);
            }
            Consent::Refused(reason) => {
                self.relay = None;
                self.end_stage(StageKind::Relay, StageOutcome::Failed, Some(reason), now, out);
            }
        }
        self.advance(now, out);
    }

    /// An invitation came to nothing: the next intermediary is asked. Who refused
    /// by rate, and who got no answer or had the target agree in vain, is asked
    /// again when nobody else is left, while the attempt lasts.
    fn invite_elsewhere(
        &mut self,
        from: PeerId,
        relay: RelayAddr,
        reason: Reason,
        now: Now,
        out: &mut Vec<LadderOut>,
    ) {
        self.intermediaries.retain(|peer| *peer != from);
        if matches!(reason, Reason::RateLimited | Reason::TimedOut { .. }) {
            self.busy.push(from);
        }
        let until = now.mono + INVITE_AGAIN;
        let nobody = self.intermediaries.is_empty() && self.busy.is_empty();
        if nobody || until >= self.punch_until {
            self.relay = None;
            self.end_stage(StageKind::Relay, StageOutcome::Failed, Some(reason), now, out);
        } else if !self.intermediaries.is_empty() {
            self.relay = Some(Relay::Uninvited { relay });
        } else {
            self.intermediaries = std::mem::take(&mut self.busy);
            self.relay = Some(Relay::Postponed { until, relay });
        }
    }

    /// Whether the relay stage is still to begin.
    pub(super) fn relay_is_due(&self) -> bool {
        self.punch_begun && !self.relay_begun && self.outcome.is_none()
    }

    pub(super) fn begin_relay(&mut self, now: Now, out: &mut Vec<LadderOut>) {
        self.relay_begun = true;
        if !self.plan.relay {
            if self.target.peer.is_some() {
                self.skip(StageKind::Relay, Reason::NotRequested, now, out);
            }
            return;
        }
        self.begin_stage(StageKind::Relay, None, now, out);
        let relays = self.target.relays.clone();
        if let Some((first, rest)) = relays.split_first() {
            self.set_via(StageKind::Relay, Some(first.relay));
            let dial = self.dial_id();
            self.relay = Some(Relay::dialling((dial, *first), rest.first().copied(), now.mono));
            out.push(LadderOut::DialLane { dial, relay: *first, within: LANE_WAIT });
        } else {
            self.relay = Some(Relay::Reserving { until: now.mono + LANE_WAIT });
            self.tried = true;
            out.push(LadderOut::Reserve);
        }
    }

    pub(super) fn dial_lane(&mut self, relay: RelayAddr, out: &mut Vec<LadderOut>) {
        let dial = self.dial_id();
        if let Some(Relay::Dialling { dials, .. }) = &mut self.relay {
            dials.push((dial, relay));
            out.push(LadderOut::DialLane { dial, relay, within: LANE_WAIT });
        }
    }

    pub(super) fn on_lane_failed(
        &mut self,
        dial: DialId,
        reason: &Reason,
        now: Now,
        out: &mut Vec<LadderOut>,
    ) {
        match &mut self.relay {
            Some(Relay::Dialling { dials, second, .. }) => {
                dials.retain(|(d, _)| *d != dial);
                if let Some((_, relay)) = second.take() {
                    self.dial_lane(relay, out);
                } else if dials.is_empty() {
                    self.lanes_failed(reason.clone(), now, out);
                }
            }
            Some(Relay::Warm { dial: d } | Relay::Using { dial: d, .. }) if *d == dial => {
                self.relay = None;
                self.lanes_failed(reason.clone(), now, out);
            }
            _ => {}
        }
    }

    /// Nothing leads through the target's reservations: perhaps it holds them no
    /// more. It is invited to one of ours, while the attempt lasts.
    fn lanes_failed(&mut self, reason: Reason, now: Now, out: &mut Vec<LadderOut>) {
        self.stop_relay(out);
        self.end_stage(StageKind::Relay, StageOutcome::Failed, Some(reason), now, out);
        if self.outcome.is_some() || now.mono >= self.punch_until || self.target.relays.is_empty() {
            return;
        }
        self.target.relays.clear();
        self.asked_until = now.mono + WHO_HAS_WAIT;
        out.push(LadderOut::AskWhoHas);
        self.begin_relay(now, out);
    }

    pub(super) fn advance_relay(&mut self, now: Now, out: &mut Vec<LadderOut>) {
        if let Some(Relay::Postponed { until, relay }) = self.relay
            && until <= now.mono
        {
            self.relay = Some(Relay::Uninvited { relay });
        }
        if let Some(Relay::Uninvited { relay }) = self.relay
            && self.relay_from <= now.mono
        {
            // The relay itself need not know its address as others do.
            let via = self.intermediaries.iter().copied().find(|peer| *peer != relay.relay);
            if let Some(via) = via.or(self.intermediaries.first().copied()) {
                out.push(LadderOut::Invite { via, relay });
                self.set_via(StageKind::Relay, Some(relay.relay));
                let until = now.mono + INVITE_WAIT;
                self.relay = Some(Relay::Invited { until, wait: INVITE_WAIT, via, relay });
            } else if self.asked_until <= now.mono {
                self.relay = None;
                let reason = Some(Reason::NobodyToInvite);
                self.end_stage(StageKind::Relay, StageOutcome::Failed, reason, now, out);
            }
        }
        match &self.relay {
            Some(Relay::Warm { dial }) if self.relay_from <= now.mono => {
                let dial = *dial;
                out.push(LadderOut::UseLane(dial));
                self.relay = Some(Relay::Using { dial, until: now.mono + LANE_WAIT });
            }
            // Who has none yet is told when nobody gives us one.
            Some(Relay::Reserving { until }) if *until <= now.mono && now.mono < self.punch_until => {
                let until = (now.mono + LANE_WAIT).min(self.punch_until);
                self.relay = Some(Relay::Reserving { until });
                out.push(LadderOut::Reserve);
            }
            Some(Relay::Invited { until, wait, via, relay }) if *until <= now.mono => {
                let (via, relay, reason) = (*via, *relay, Reason::timed_out(*wait));
                self.invite_elsewhere(via, relay, reason, now, out);
                self.advance_relay(now, out);
            }
            Some(Relay::Dialling { until, .. } | Relay::Using { until, .. }) if *until <= now.mono => {
                self.lanes_failed(Reason::timed_out(LANE_WAIT), now, out);
            }
            Some(Relay::Reserving { until }) if *until <= now.mono => {
                self.relay = None;
                let reason = Some(Reason::timed_out(LANE_WAIT));
                self.end_stage(StageKind::Relay, StageOutcome::Failed, reason, now, out);
            }
            _ => {}
        }
    }

    pub(super) fn stop_relay(&mut self, out: &mut Vec<LadderOut>) {
        if let Some(relay) = self.relay.take() {
            out.extend(relay.dials().into_iter().map(LadderOut::Cancel));
        }
    }
}
