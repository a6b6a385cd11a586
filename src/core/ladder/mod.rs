//! The ladder: one attempt towards one peer, stage by stage, each with its
//! reason.
//!
//! A stage ends by its result, not by its clock. Where measurement says that a
//! stage cannot succeed the next one begins at once with that reason. The relay
//! is warmed while the punch runs, and carries the link if the punch takes too
//! long; the punch goes on behind it. So an attempt is *connected* with its
//! first usable link, and *over* when its last stage has ended.

mod direct;
mod intermediary;
mod nat_pair;
mod punch;
mod relay;
mod report;
mod types;

use std::net::SocketAddr;
use std::time::Duration;

pub use intermediary::{Candidate, better};
pub use nat_pair::{NAT_FRESH, NatPair};
pub use punch::Consent;
pub use report::decisive_reason;
pub use types::{DialId, LadderOut, PUNCH_WINDOW, Plan, Settings, Target};

use self::direct::Direct;
use self::punch::Punch;
use self::relay::Relay;
use super::{Mono, Now};
use crate::model::{
    AttemptId, AttemptOutcome, Cause, Path, PeerId, Reason, StageKind, StageOutcome, StageReport, Stamp,
};

/// One run of the ladder.
#[derive(Debug)]
pub struct Ladder {
    id: AttemptId,
    target: Target,
    cause: Cause,
    plan: Plan,
    settings: Settings,
    started: Mono,
    started_stamp: Stamp,
    direct: Option<Direct>,
    /// Whether the direct stage was skipped and its dials only go on behind.
    direct_behind: bool,
    punch: Option<Punch>,
    punch_until: Mono,
    /// Until when linked peers may say that they are connected to the target.
    asked_until: Mono,
    /// From when on the relay is warmed.
    warm_from: Mono,
    /// From when on the relay may carry the link.
    relay_from: Mono,
    relay: Option<Relay>,
    relay_begun: bool,
    punch_begun: bool,
    /// Whether the punch began with the target's homes, and nobody was asked.
    from_homes: bool,
    /// Who said that it is connected to the target.
    intermediaries: Vec<PeerId>,
    /// Those of them with whom an invitation came to nothing just now.
    busy: Vec<PeerId>,
    /// Who refused to coordinate by rate, and when the last of them did.
    turned_away: Vec<Candidate>,
    turned_away_at: Mono,
    stages: Vec<(StageReport, Mono)>,
    next_dial: u32,
    /// Whether anybody was dialled or asked.
    tried: bool,
    outcome: Option<(AttemptOutcome, Option<Path>, Duration)>,
    over: bool,
}

impl Ladder {
    /// Begins an attempt.
    pub fn start(
        id: AttemptId,
        target: Target,
        cause: Cause,
        plan: Plan,
        settings: Settings,
        now: Now,
        out: &mut Vec<LadderOut>,
    ) -> Self {
        let mut ladder = Self {
            id,
            target,
            cause,
            plan,
            settings,
            started: now.mono,
            started_stamp: now.stamp,
            direct: None,
            direct_behind: false,
            punch: None,
            punch_until: now.mono,
            asked_until: now.mono,
            warm_from: now.mono,
            relay_from: now.mono,
            relay: None,
            relay_begun: false,
            punch_begun: false,
            from_homes: false,
            intermediaries: Vec::new(),
            busy: Vec::new(),
            turned_away: Vec::new(),
            turned_away_at: now.mono,
            stages: Vec::new(),
            next_dial: 0,
            tried: false,
            outcome: None,
            over: false,
        };
        ladder.begin_direct(now, out);
        ladder.advance(now, out);
        ladder
    }

    /// Its name.
    pub fn id(&self) -> AttemptId {
        self.id
    }

    /// The peer that it is towards, once that is known.
    pub fn peer(&self) -> Option<PeerId> {
        self.target.peer
    }

    /// The first address, which names an attempt towards nobody in particular.
    pub fn address(&self) -> Option<SocketAddr> {
        self.target.addresses.first().copied()
    }

    /// What made us try.
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// Which stages it may run.
    pub fn plan(&self) -> Plan {
        self.plan
    }

    /// How it ended, if it did.
    pub fn outcome(&self) -> Option<AttemptOutcome> {
        self.outcome.map(|(outcome, ..)| outcome)
    }

    /// Whether it dialled or asked anybody; else it says nothing of the peer.
    pub fn has_tried(&self) -> bool {
        self.tried
    }

    /// The path that a native connection gets which comes up now.
    pub fn path_now(&self) -> Path {
        if matches!(self.punch, Some(Punch::Punching { .. })) { Path::Punched } else { Path::Direct }
    }

    /// Whether addresses of the target are being dialled.
    pub fn is_dialling(&self) -> bool {
        self.direct.is_some()
    }

    /// A dial reached somebody: a connection to `peer` stands. Whether it makes
    /// a link is not known yet. A lane waits until it is wanted.
    pub fn on_dialled(&mut self, dial: DialId, peer: PeerId, now: Now, out: &mut Vec<LadderOut>) {
        if self.target.peer.is_some_and(|wanted| wanted != peer) {
            return self.on_dial_failed(dial, &Reason::WrongIdentity { got: peer }, now, out);
        }
        self.target.peer = Some(peer);
        if let Some(Relay::Dialling { dials, .. }) = &self.relay
            && dials.iter().any(|(d, _)| *d == dial)
        {
            out.extend(dials.iter().filter(|(d, _)| *d != dial).map(|(d, _)| LadderOut::Cancel(*d)));
            let via = dials.iter().find(|(d, _)| *d == dial).map(|(_, relay)| relay.relay);
            self.set_via(StageKind::Relay, via);
            self.relay = Some(Relay::Warm { dial });
        }
        self.advance(now, out);
    }

    /// A dial or a punch failed.
    pub fn on_dial_failed(&mut self, dial: DialId, reason: &Reason, now: Now, out: &mut Vec<LadderOut>) {
        if self.direct.as_mut().is_some_and(|d| d.on_failed(dial, reason, now.mono)) {
            return self.advance(now, out);
        }
        if reason.is_final() && self.punch.as_ref().and_then(Punch::dial) == Some(dial) {
            self.end_punch_round(reason, now, out);
        } else if !self.punch.as_mut().is_some_and(|p| p.on_failed(dial, reason, now.mono)) {
            self.on_lane_failed(dial, reason, now, out);
        }
        self.advance(now, out);
    }

    /// The target was heard to be at further addresses: they are dialled behind
    /// whatever runs.
    pub fn on_addresses(&mut self, addresses: &[SocketAddr], now: Now, out: &mut Vec<LadderOut>) {
        let new: Vec<SocketAddr> =
            addresses.iter().filter(|a| !self.target.addresses.contains(a)).copied().collect();
        if new.is_empty() || !self.plan.direct || self.over {
            return;
        }
        self.target.addresses.extend(&new);
        let dials = new.into_iter().map(|addr| (self.dial_id(), addr)).collect();
        let further = Direct::start(dials, self.settings.window, now.mono, out);
        match &mut self.direct {
            Some(direct) => direct.join(further),
            None => {
                self.direct_behind = true;
                self.direct = Some(further);
            }
        }
        self.advance(now, out);
    }

    /// A link to the target is usable, or moved. `ours`: it runs over a
    /// connection that we dialled.
    pub fn on_link(&mut self, path: Path, ours: bool, now: Now, out: &mut Vec<LadderOut>) {
        // Who looks for a way off the relay has not found it with a relay.
        if path == Path::Relayed && !self.plan.relay {
            return;
        }
        let invited = matches!(self.relay, Some(Relay::Invited { .. }));
        let ours = ours || path == Path::Punched || path == Path::Relayed && invited;
        let stage = StageKind::of(path);
        // A direct dial that went on behind its skipped stage got through.
        if ours {
            self.end_stage(stage, StageOutcome::Ok, None, now, out);
        }
        if self.outcome.is_none() {
            let outcome = if ours { AttemptOutcome::Connected } else { AttemptOutcome::Abandoned };
            self.decide(outcome, Some(path), now, out);
        }
        if path == Path::Relayed && ours {
            // What is in use stays; what was only warmed does not.
            match self.relay.take() {
                used @ Some(Relay::Using { .. }) => drop(used),
                other => {
                    self.relay = other;
                    self.stop_relay(out);
                }
            }
        } else {
            let reason = if ours { Reason::NotNeeded } else { Reason::InboundWon };
            self.stop_all(&reason, now, out);
        }
        self.advance(now, out);
    }

    /// The connection we made did not become a link. One that only lost against
    /// another to the same peer is made again while the window lasts: mostly
    /// the other one is the link before that.
    pub fn on_refused(&mut self, reason: &Reason, now: Now, out: &mut Vec<LadderOut>) {
        if self.outcome.is_some() {
            return;
        }
        if reason.is_lost_choice() && (self.direct.is_some() || self.punch.is_some()) {
            if let Some(direct) = &mut self.direct {
                direct.on_lost(reason, now.mono);
            }
            if let Some(punch) = &mut self.punch {
                punch.on_lost(reason, now.mono);
            }
            return self.advance(now, out);
        }
        if let Some(running) = self.running_stage() {
            self.end_stage(running, StageOutcome::Failed, Some(reason.clone()), now, out);
        }
        // Whoever refuses us does so on every path.
        self.punch_begun = true;
        self.relay_begun = true;
        self.stop_all(reason, now, out);
        for stage in [StageKind::Punch, StageKind::Relay] {
            if self.plan.has(stage) && !self.stages.iter().any(|(s, _)| s.stage == stage) {
                self.skip(stage, reason.clone(), now, out);
            }
        }
        self.advance(now, out);
    }

    /// Calls the attempt off.
    pub fn abandon(&mut self, reason: &Reason, now: Now, out: &mut Vec<LadderOut>) {
        self.punch_begun = true;
        self.relay_begun = true;
        self.stop_all(reason, now, out);
        if self.outcome.is_none() {
            self.decide(AttemptOutcome::Abandoned, None, now, out);
        }
        self.advance(now, out);
    }

    /// Time has passed.
    pub fn on_timeout(&mut self, now: Now, out: &mut Vec<LadderOut>) {
        if let Some(direct) = &mut self.direct {
            direct.on_timeout(now.mono, out);
        }
        if let Some(Relay::Dialling { second: second @ Some(_), .. }) = &mut self.relay
            && let Some((at, relay)) = *second
            && at <= now.mono
        {
            *second = None;
            self.dial_lane(relay, out);
        }
        self.advance(now, out);
    }

    /// When [`Self::on_timeout`] wants to be called.
    pub fn next_timeout(&self) -> Option<Mono> {
        let direct = self.direct.as_ref().map(Direct::next_timeout);
        let punch = self.punch.as_ref().map(Punch::next_timeout);
        let relay = self.relay.as_ref().and_then(Relay::next_timeout);
        let wanted = match self.relay {
            Some(Relay::Warm { .. }) => Some(self.relay_from),
            Some(Relay::Uninvited { .. }) => Some(self.relay_from.max(self.asked_until)),
            None if self.relay_is_due() => Some(self.warm_from),
            None => self.asks_again(),
            _ => None,
        };
        [direct, punch, relay, wanted].into_iter().flatten().min()
    }

    // ---- stages ------------------------------------------------------------

    fn begin_direct(&mut self, now: Now, out: &mut Vec<LadderOut>) {
        if !self.plan.direct {
            return self.skip(StageKind::Direct, Reason::NotRequested, now, out);
        }
        if self.target.addresses.is_empty() {
            return self.skip(StageKind::Direct, Reason::NoAddress, now, out);
        }
        if self.target.nat_pair.apart {
            return self.skip(StageKind::Direct, Reason::NoCommonFamily, now, out);
        }
        // An address without an identity has no other stage.
        let known = self.target.peer.is_some();
        self.direct_behind = known && self.target.nat_pair.can_dial() == Some(false);
        if self.direct_behind {
            let reason = Reason::TargetFilters { nat: self.target.nat_pair.theirs };
            self.skip(StageKind::Direct, reason, now, out);
        } else {
            self.begin_stage(StageKind::Direct, None, now, out);
        }
        let addresses = self.target.addresses.clone();
        let dials = addresses.into_iter().map(|addr| (self.dial_id(), addr)).collect();
        // What goes on behind another stage has nobody to wait for it.
        let first = self.target.first.filter(|_| !self.direct_behind);
        self.direct = Some(Direct::start_with(first, dials, self.settings.window, now.mono, out));
    }

    /// Brings every stage as far as it goes now, and decides what is left.
    fn advance(&mut self, now: Now, out: &mut Vec<LadderOut>) {
        if self.over {
            return;
        }
        self.advance_direct(now, out);
        if (self.direct.is_none() || self.direct_behind) && self.outcome.is_none() {
            self.begin_punch(now, out);
        }
        self.advance_punch(now, out);
        if self.relay_is_due() && (self.warm_from <= now.mono || !self.plan.relay) {
            self.begin_relay(now, out);
        }
        self.advance_relay(now, out);
        self.advance_turned_away(now, out);
        let busy = self.relay_is_due()
            || self.asks_again().is_some()
            || self.direct.as_ref().is_some_and(|_| !self.direct_behind || self.outcome.is_none())
            || self.punch.is_some()
            || self.relay.is_some();
        if busy {
            return;
        }
        if let Some(direct) = self.direct.take() {
            direct.cancel(out);
        }
        if self.outcome.is_none() {
            let better = self.cause == Cause::Upgrade;
            let failed = if better { AttemptOutcome::NoBetterPath } else { AttemptOutcome::Unreachable };
            self.decide(failed, None, now, out);
        }
        self.over = true;
        out.push(LadderOut::Over);
    }

    fn advance_direct(&mut self, now: Now, out: &mut Vec<LadderOut>) {
        let Some(direct) = &self.direct else { return };
        let Some(reason) = direct.over(now.mono) else { return };
        direct.cancel(out);
        self.direct = None;
        if !self.direct_behind {
            self.end_stage(StageKind::Direct, StageOutcome::Failed, Some(reason), now, out);
        }
    }

    /// Ends everything that runs.
    fn stop_all(&mut self, reason: &Reason, now: Now, out: &mut Vec<LadderOut>) {
        if let Some(direct) = self.direct.take() {
            direct.cancel(out);
        }
        self.stop_punch(out);
        self.turned_away.clear();
        self.stop_relay(out);
        while let Some(stage) = self.running_stage() {
            self.end_stage(stage, StageOutcome::Skipped, Some(reason.clone()), now, out);
        }
    }

    fn dial_id(&mut self) -> DialId {
        self.next_dial += 1;
        self.tried = true;
        DialId { attempt: self.id, n: self.next_dial }
    }
}

#[cfg(test)]
mod tests;
