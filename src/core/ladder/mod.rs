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
mod punch;
mod relay;
mod terrain;

use std::net::SocketAddr;
use std::time::Duration;

pub use intermediary::{Candidate, better};
pub use punch::Consent;
pub use terrain::{NAT_FRESH, Terrain};

use self::direct::Direct;
use self::punch::{CONSENT_WAIT, PUNCH_AGAIN, Punch, WHO_HAS_WAIT};
use self::relay::{COME_WAIT, INVITE_AGAIN, INVITE_WAIT, LANE_WAIT, Relay};
use super::wire::RelayAddr;
use super::{Mono, Now};
use crate::model::{
    Attempt, AttemptId, AttemptOutcome, Cause, CommandId, Path, PeerId, Reason, StageKind, StageOutcome,
    StageReport, Stamp,
};

/// The punch stage's time over all rounds.
pub const PUNCH_WINDOW: Duration = Duration::from_secs(30);
/// The relay is warmed after this part of the time after which it may carry the
/// link: most punches are through by then, and cost no relay anything.
const WARM_PART: u32 = 4;

/// Names one dial; its result finds its attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialId {
    /// Of which attempt.
    pub attempt: AttemptId,
    /// Counts within the attempt.
    pub n: u32,
}

/// Which stages an attempt may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Dial addresses.
    pub direct: bool,
    /// Punch.
    pub punch: bool,
    /// Relay.
    pub relay: bool,
}

impl Plan {
    /// The whole ladder.
    pub const ALL: Self = Self { direct: true, punch: true, relay: true };
    /// For an address without an identity: there is nobody to punch to.
    pub const DIRECT: Self = Self { direct: true, punch: false, relay: false };
    /// The punch alone.
    pub const PUNCH: Self = Self { direct: false, punch: true, relay: false };
    /// The relay alone.
    pub const RELAY: Self = Self { direct: false, punch: false, relay: true };
    /// Away from a relay.
    pub const UPGRADE: Self = Self { direct: true, punch: true, relay: false };

    fn has(self, stage: StageKind) -> bool {
        match stage {
            StageKind::Direct => self.direct,
            StageKind::Punch => self.punch,
            StageKind::Relay => self.relay,
        }
    }
}

/// What an attempt is about.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// Whom; unknown for a bootstrap address.
    pub peer: Option<PeerId>,
    /// Where.
    pub addresses: Vec<SocketAddr>,
    /// Its reservations.
    pub relays: Vec<RelayAddr>,
    /// What is measured of both ends.
    pub terrain: Terrain,
    /// Linked peers of which the target says that it is linked to them.
    pub homes: Vec<Candidate>,
}

/// How long things take at most.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How long a direct dial that may succeed is waited for.
    pub window: Duration,
    /// How long after the punch began the relay carries the link.
    pub relay_after: Duration,
}

/// What a ladder wants done, or tells.
#[derive(Debug, Clone, PartialEq)]
pub enum LadderOut {
    /// Dial an address.
    Dial {
        /// Its name.
        dial: DialId,
        /// Where.
        addr: SocketAddr,
        /// When to give up.
        within: Duration,
    },
    /// Forget that dial; its result is not wanted, and what it made goes.
    Cancel(DialId),
    /// Ask every linked peer whether it is connected to the target.
    AskWhoHas,
    /// Ask an intermediary to have the target punch with us.
    RequestPunch(Candidate),
    /// Dial the target where its intermediary sees it: our half of a punch.
    Punch {
        /// Its name.
        dial: DialId,
        /// Where.
        addr: SocketAddr,
        /// When to give up.
        within: Duration,
    },
    /// Dial a lane to the target's reservation, without using it yet.
    DialLane {
        /// Its name.
        dial: DialId,
        /// Which reservation.
        relay: RelayAddr,
        /// When to give up.
        within: Duration,
    },
    /// Use the lane that stands.
    UseLane(DialId),
    /// Make a reservation of our own.
    Reserve,
    /// Have that peer invite the target to our reservation.
    Invite {
        /// Through whom.
        via: PeerId,
        /// To which.
        relay: RelayAddr,
    },
    /// A stage began.
    StageStarted {
        /// Which.
        stage: StageKind,
        /// Through whom.
        via: Option<PeerId>,
    },
    /// A stage ended.
    StageEnded(StageReport),
    /// The attempt has its outcome; stages may go on behind it.
    Decided(AttemptOutcome),
    /// Every stage has ended.
    Over,
}

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
    /// Those of them that refused our invitation by rate.
    busy: Vec<PeerId>,
    stages: Vec<(StageReport, Mono)>,
    next_dial: u32,
    outcome: Option<(AttemptOutcome, Option<Path>, Duration)>,
    over: bool,
    /// Commands that wait for its outcome, with the time they came.
    pub waiting: Vec<(CommandId, Mono)>,
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
            stages: Vec::new(),
            next_dial: 0,
            outcome: None,
            over: false,
            waiting: Vec::new(),
        };
        ladder.begin_direct(now, out);
        ladder.settle(now, out);
        ladder
    }

    /// Its name.
    pub fn id(&self) -> AttemptId {
        self.id
    }

    /// Towards whom.
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

    /// Whether every stage has ended.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Why it did not connect, in one reason.
    pub fn telling_reason(&self) -> Option<Reason> {
        let stages: Vec<StageReport> = self.stages.iter().map(|(s, _)| s.clone()).collect();
        telling_reason(&stages).cloned()
    }

    /// The path that a native connection gets which comes up now.
    pub fn path_now(&self) -> Path {
        if matches!(self.punch, Some(Punch::Punching { .. })) { Path::Punched } else { Path::Direct }
    }

    /// Whether addresses of the target are being dialled.
    pub fn is_dialling(&self) -> bool {
        self.direct.is_some()
    }

    /// As it is shown and stored.
    pub fn report(&self) -> Attempt {
        Attempt {
            id: self.id,
            peer_id: self.target.peer,
            target: self.address(),
            cause: self.cause,
            started: self.started_stamp,
            outcome: self.outcome(),
            path: self.outcome.and_then(|(_, path, _)| path),
            elapsed_ms: self.outcome.map(|(_, _, took)| millis(took)),
            stages: self.stages.iter().map(|(s, _)| s.clone()).collect(),
            next: None,
        }
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
        self.settle(now, out);
    }

    /// Whether a dial is one through a relay: what it made is no connection
    /// until it is used.
    pub fn is_lane(&self, dial: DialId) -> bool {
        self.relay.as_ref().is_some_and(|relay| relay.dials().contains(&dial))
    }

    /// A dial or a punch failed.
    pub fn on_dial_failed(&mut self, dial: DialId, reason: &Reason, now: Now, out: &mut Vec<LadderOut>) {
        if self.direct.as_mut().is_some_and(|d| d.on_failed(dial, reason, now.mono)) {
            return self.settle(now, out);
        }
        if reason.is_final() && self.punch.as_ref().and_then(Punch::dial) == Some(dial) {
            self.end_punch_round(reason, now, out);
        } else if !self.punch.as_mut().is_some_and(|p| p.on_failed(dial, reason, now.mono)) {
            self.on_lane_failed(dial, reason, now, out);
        }
        self.settle(now, out);
    }

    /// How many peers were asked who is connected to the target.
    pub fn on_asked(&mut self, count: usize, now: Now, out: &mut Vec<LadderOut>) {
        if let Some(Punch::Asking { open, until, .. }) = &mut self.punch {
            *open = count;
            if count == 0 {
                *until = now.mono;
            }
        }
        self.settle(now, out);
    }

    /// A linked peer answered.
    pub fn on_answer(&mut self, candidate: Option<Candidate>, now: Now, out: &mut Vec<LadderOut>) {
        self.intermediaries.extend(candidate.as_ref().map(|c| c.peer));
        if let Some(punch) = &mut self.punch
            && punch.on_answer(candidate, now.mono)
            && let Punch::Asking { until, .. } = punch
        {
            *until = now.mono;
        }
        self.settle(now, out);
    }

    /// The intermediary answered our punch request.
    pub fn on_consent(&mut self, from: PeerId, consent: Consent, now: Now, out: &mut Vec<LadderOut>) {
        let Some(Punch::Consenting { via, rest, dial, .. }) = &mut self.punch else { return };
        if via.peer != from {
            return;
        }
        match consent {
            Consent::Agreed(target) => {
                let (rest, dial) = (std::mem::take(rest), *dial);
                // Our NAT was opened for where the target was then.
                let comes = self.target.terrain.lets_target_in() && via.target == target;
                let via = Candidate { target, ..via.clone() };
                let again = Some(if comes { now.mono + PUNCH_AGAIN } else { now.mono });
                let until = self.punch_until;
                self.punch = Some(Punch::Punching { until, via, rest, dial, again, last: None });
            }
            Consent::Elsewhere(reason) => self.end_punch_round(&reason, now, out),
            Consent::Refused(reason) => {
                self.stop_punch(out);
                self.end_stage(StageKind::Punch, StageOutcome::Failed, Some(reason), now, out);
            }
        }
        self.settle(now, out);
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
        self.settle(now, out);
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
        self.settle(now, out);
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
        self.settle(now, out);
    }

    /// Somebody did not pass our invitation on: the next one is asked. Where all
    /// refused by rate they are asked again, while the attempt lasts.
    fn invite_elsewhere(
        &mut self,
        from: PeerId,
        relay: RelayAddr,
        reason: Reason,
        now: Now,
        out: &mut Vec<LadderOut>,
    ) {
        self.intermediaries.retain(|peer| *peer != from);
        if reason == Reason::RateLimited {
            self.busy.push(from);
        }
        let again = now.mono + INVITE_AGAIN;
        if !self.intermediaries.is_empty() {
            self.relay = Some(Relay::Uninvited { relay });
        } else if !self.busy.is_empty() && again < self.punch_until {
            self.intermediaries = std::mem::take(&mut self.busy);
            self.relay = Some(Relay::Postponed { until: again, relay });
        } else {
            self.relay = None;
            self.end_stage(StageKind::Relay, StageOutcome::Failed, Some(reason), now, out);
        }
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
        let stage = match path {
            Path::Direct => StageKind::Direct,
            Path::Punched => StageKind::Punch,
            Path::Relayed => StageKind::Relay,
        };
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
            let reason = if ours { Reason::NotNeeded } else { Reason::CameToUs };
            self.stop_all(&reason, now, out);
        }
        self.settle(now, out);
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
            return self.settle(now, out);
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
                self.skip(stage, Reason::NotNeeded, now, out);
            }
        }
        self.settle(now, out);
    }

    /// Calls the attempt off.
    pub fn abandon(&mut self, reason: &Reason, now: Now, out: &mut Vec<LadderOut>) {
        self.punch_begun = true;
        self.relay_begun = true;
        self.stop_all(reason, now, out);
        if self.outcome.is_none() {
            self.decide(AttemptOutcome::Abandoned, None, now, out);
        }
        self.settle(now, out);
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
        self.settle(now, out);
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
            _ => None,
        };
        [direct, punch, relay, wanted].into_iter().flatten().min()
    }

    // ---- stages ------------------------------------------------------------

    fn begin_direct(&mut self, now: Now, out: &mut Vec<LadderOut>) {
        if !self.plan.direct {
            return self.skip(StageKind::Direct, Reason::NotAsked, now, out);
        }
        if self.target.addresses.is_empty() {
            return self.skip(StageKind::Direct, Reason::NoAddress, now, out);
        }
        // An address without an identity has no other stage.
        let known = self.target.peer.is_some();
        self.direct_behind = known && self.target.terrain.can_dial() == Some(false);
        if self.direct_behind {
            let reason = Reason::TargetFilters { nat: self.target.terrain.theirs };
            self.skip(StageKind::Direct, reason, now, out);
        } else {
            self.begin_stage(StageKind::Direct, None, now, out);
        }
        let addresses = self.target.addresses.clone();
        let dials = addresses.into_iter().map(|addr| (self.dial_id(), addr)).collect();
        self.direct = Some(Direct::start(dials, self.settings.window, now.mono, out));
    }

    /// Brings every stage as far as it goes now, and decides what is left.
    fn settle(&mut self, now: Now, out: &mut Vec<LadderOut>) {
        if self.over {
            return;
        }
        self.settle_direct(now, out);
        if (self.direct.is_none() || self.direct_behind) && self.outcome.is_none() {
            self.begin_punch(now, out);
        }
        self.settle_punch(now, out);
        if self.relay_is_due() && (self.warm_from <= now.mono || !self.plan.relay) {
            self.begin_relay(now, out);
        }
        self.settle_relay(now, out);
        let busy = self.relay_is_due()
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
            self.decide(AttemptOutcome::Unreachable, None, now, out);
        }
        self.over = true;
        out.push(LadderOut::Over);
    }

    fn settle_direct(&mut self, now: Now, out: &mut Vec<LadderOut>) {
        let Some(direct) = &self.direct else { return };
        let Some(reason) = direct.over(now.mono) else { return };
        direct.cancel(out);
        self.direct = None;
        if !self.direct_behind {
            self.end_stage(StageKind::Direct, StageOutcome::Failed, Some(reason), now, out);
        }
    }

    fn begin_punch(&mut self, now: Now, out: &mut Vec<LadderOut>) {
        if std::mem::replace(&mut self.punch_begun, true) {
            return;
        }
        let terrain = self.target.terrain;
        let skip = if !self.plan.punch {
            Some(Reason::NotAsked)
        } else if terrain.loopback {
            Some(Reason::LoopbackCannotBePunched)
        } else if !terrain.can_punch() {
            Some(Reason::Unpunchable { ours: terrain.ours, theirs: terrain.theirs })
        } else {
            None
        };
        self.punch_until = now.mono + PUNCH_WINDOW;
        match skip {
            Some(reason) => {
                if self.target.peer.is_some() {
                    self.skip(StageKind::Punch, reason, now, out);
                }
                self.warm_from = now.mono;
                self.relay_from = now.mono;
            }
            None => {
                self.warm_from = now.mono + self.settings.relay_after / WARM_PART;
                self.relay_from = now.mono + self.settings.relay_after;
                let mut homes = std::mem::take(&mut self.target.homes);
                homes.sort_by(better);
                self.from_homes = !homes.is_empty();
                if self.from_homes {
                    self.next_round(homes, now, out);
                } else {
                    self.punch = Some(Punch::asking(now.mono));
                }
            }
        }
        self.asked_until = now.mono + WHO_HAS_WAIT;
        // The relay stage may need to know who could pass an invitation on.
        let invites = self.plan.relay && self.target.relays.is_empty();
        let asking = matches!(self.punch, Some(Punch::Asking { .. }));
        if self.target.peer.is_some() && (asking || invites) {
            out.push(LadderOut::AskWhoHas);
        }
    }

    fn settle_punch(&mut self, now: Now, out: &mut Vec<LadderOut>) {
        match &mut self.punch {
            Some(asking @ Punch::Asking { .. }) if asking.next_timeout() <= now.mono => {
                let found = asking.take_found();
                self.next_round(found, now, out);
            }
            Some(Punch::Consenting { until, .. }) if *until <= now.mono => {
                self.end_punch_round(&Reason::timed_out(CONSENT_WAIT), now, out);
            }
            Some(Punch::Punching { until, last, .. }) if *until <= now.mono => {
                let reason = last.take().unwrap_or(Reason::timed_out(PUNCH_WINDOW));
                self.stop_punch(out);
                self.end_stage(StageKind::Punch, StageOutcome::Failed, Some(reason), now, out);
            }
            Some(Punch::Punching { again: Some(at), .. }) if *at <= now.mono => self.punch_again(now, out),
            _ => {}
        }
        if self.punch.is_none() && self.punch_begun {
            self.relay_from = self.relay_from.min(now.mono);
            self.warm_from = self.warm_from.min(now.mono);
        }
    }

    /// Whether the relay stage is still to begin.
    fn relay_is_due(&self) -> bool {
        self.punch_begun && !self.relay_begun && self.outcome.is_none()
    }

    /// Goes on with the next best intermediary.
    fn next_round(&mut self, mut found: Vec<Candidate>, now: Now, out: &mut Vec<LadderOut>) {
        self.punch = None;
        if found.is_empty() {
            if !self.stages.iter().any(|(s, _)| s.stage == StageKind::Punch) {
                self.skip(StageKind::Punch, Reason::NoIntermediary, now, out);
            }
            return;
        }
        let via = found.remove(0);
        self.begin_stage(StageKind::Punch, Some(via.peer), now, out);
        // A dial that goes on behind the direct stage opens our NAT as well.
        let open = self.direct.as_ref().is_some_and(|d| d.is_dialling(via.target));
        let dial = (!open).then(|| self.dial_id());
        if let Some(dial) = dial {
            let within = self.punch_until.since(now.mono);
            out.push(LadderOut::Punch { dial, addr: via.target, within });
        }
        out.push(LadderOut::RequestPunch(via.clone()));
        let until = (now.mono + CONSENT_WAIT).min(self.punch_until);
        self.punch = Some(Punch::Consenting { until, via, rest: found, dial });
    }

    /// Dials the target afresh: what was sent before its NAT knew us is lost,
    /// and QUIC would be long in repeating it.
    fn punch_again(&mut self, now: Now, out: &mut Vec<LadderOut>) {
        let fresh = self.dial_id();
        let Some(Punch::Punching { until, via, dial, again, .. }) = &mut self.punch else { return };
        let (addr, within) = (via.target, until.since(now.mono));
        *again = None;
        out.extend(dial.replace(fresh).map(LadderOut::Cancel));
        if let Some(direct) = self.direct.as_mut().filter(|_| self.direct_behind) {
            direct.give_way(addr, out);
        }
        out.push(LadderOut::Punch { dial: fresh, addr, within });
    }

    /// Calls the punch off; who else could coordinate it.
    fn stop_punch(&mut self, out: &mut Vec<LadderOut>) -> Vec<Candidate> {
        let Some(punch) = self.punch.take() else { return Vec::new() };
        out.extend(punch.dial().map(LadderOut::Cancel));
        punch.into_rest()
    }

    /// A round failed. "Not me" and "not now" are answers about the
    /// intermediary, not about the punch.
    fn end_punch_round(&mut self, reason: &Reason, now: Now, out: &mut Vec<LadderOut>) {
        if self.punch.is_none() {
            return;
        }
        let rest = self.stop_punch(out);
        let elsewhere = matches!(
            reason,
            Reason::RateLimited | Reason::UnknownTarget | Reason::RequestExpired | Reason::TimedOut { .. }
        );
        self.end_stage(StageKind::Punch, StageOutcome::Failed, Some(reason.clone()), now, out);
        if !elsewhere || now.mono >= self.punch_until {
            return;
        }
        if !rest.is_empty() {
            self.next_round(rest, now, out);
        } else if std::mem::take(&mut self.from_homes) {
            // What the target said of its homes is out of date.
            self.punch = Some(Punch::asking(now.mono));
            out.push(LadderOut::AskWhoHas);
        }
    }

    fn begin_relay(&mut self, now: Now, out: &mut Vec<LadderOut>) {
        self.relay_begun = true;
        if !self.plan.relay {
            if self.target.peer.is_some() {
                self.skip(StageKind::Relay, Reason::NotAsked, now, out);
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
            out.push(LadderOut::Reserve);
        }
    }

    fn dial_lane(&mut self, relay: RelayAddr, out: &mut Vec<LadderOut>) {
        let dial = self.dial_id();
        if let Some(Relay::Dialling { dials, .. }) = &mut self.relay {
            dials.push((dial, relay));
            out.push(LadderOut::DialLane { dial, relay, within: LANE_WAIT });
        }
    }

    fn on_lane_failed(&mut self, dial: DialId, reason: &Reason, now: Now, out: &mut Vec<LadderOut>) {
        match &mut self.relay {
            Some(Relay::Dialling { dials, second, .. }) => {
                dials.retain(|(d, _)| *d != dial);
                if let Some((_, relay)) = second.take() {
                    self.dial_lane(relay, out);
                } else if dials.is_empty() {
                    self.relay = None;
                    self.end_stage(StageKind::Relay, StageOutcome::Failed, Some(reason.clone()), now, out);
                }
            }
            Some(Relay::Warm { dial: d } | Relay::Using { dial: d, .. }) if *d == dial => {
                self.relay = None;
                self.end_stage(StageKind::Relay, StageOutcome::Failed, Some(reason.clone()), now, out);
            }
            _ => {}
        }
    }

    fn settle_relay(&mut self, now: Now, out: &mut Vec<LadderOut>) {
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
            Some(
                Relay::Dialling { until, .. }
                | Relay::Using { until, .. }
                | Relay::Reserving { until }
                | Relay::Invited { until, .. },
            ) if *until <= now.mono => {
                let invited =
                    if let Some(Relay::Invited { wait, .. }) = self.relay { Some(wait) } else { None };
                let reason = Reason::timed_out(invited.unwrap_or(LANE_WAIT));
                self.stop_relay(out);
                self.end_stage(StageKind::Relay, StageOutcome::Failed, Some(reason), now, out);
            }
            _ => {}
        }
    }

    fn stop_relay(&mut self, out: &mut Vec<LadderOut>) {
        if let Some(relay) = self.relay.take() {
            out.extend(relay.dials().into_iter().map(LadderOut::Cancel));
        }
    }

    /// Ends everything that runs.
    fn stop_all(&mut self, reason: &Reason, now: Now, out: &mut Vec<LadderOut>) {
        if let Some(direct) = self.direct.take() {
            direct.cancel(out);
        }
        self.stop_punch(out);
        self.stop_relay(out);
        while let Some(stage) = self.running_stage() {
            self.end_stage(stage, StageOutcome::Skipped, Some(reason.clone()), now, out);
        }
    }

    // ---- reports -----------------------------------------------------------

    fn running_stage(&self) -> Option<StageKind> {
        self.stages.iter().map(|(s, _)| s).find(|s| s.outcome == StageOutcome::Running).map(|s| s.stage)
    }

    fn dial_id(&mut self) -> DialId {
        self.next_dial += 1;
        DialId { attempt: self.id, n: self.next_dial }
    }

    fn set_via(&mut self, stage: StageKind, via: Option<PeerId>) {
        let running =
            |(s, _): &&mut (StageReport, Mono)| s.stage == stage && s.outcome == StageOutcome::Running;
        if let Some((report, _)) = self.stages.iter_mut().find(running) {
            report.via = via;
        }
    }

    fn begin_stage(&mut self, stage: StageKind, via: Option<PeerId>, now: Now, out: &mut Vec<LadderOut>) {
        let report = StageReport {
            stage,
            outcome: StageOutcome::Running,
            reason: None,
            started: now.stamp,
            elapsed_ms: None,
            via,
        };
        self.insert(report, now);
        out.push(LadderOut::StageStarted { stage, via });
    }

    fn end_stage(
        &mut self,
        stage: StageKind,
        outcome: StageOutcome,
        reason: Option<Reason>,
        now: Now,
        out: &mut Vec<LadderOut>,
    ) {
        let running =
            |(s, _): &&mut (StageReport, Mono)| s.stage == stage && s.outcome == StageOutcome::Running;
        let Some((report, begun)) = self.stages.iter_mut().find(running) else { return };
        report.outcome = outcome;
        report.reason = reason;
        report.elapsed_ms = Some(millis(now.mono.since(*begun)));
        out.push(LadderOut::StageEnded(report.clone()));
    }

    fn skip(&mut self, stage: StageKind, reason: Reason, now: Now, out: &mut Vec<LadderOut>) {
        let report = StageReport {
            stage,
            outcome: StageOutcome::Skipped,
            reason: Some(reason),
            started: now.stamp,
            elapsed_ms: Some(0),
            via: None,
        };
        self.insert(report.clone(), now);
        out.push(LadderOut::StageEnded(report));
    }

    /// Stages stand in the order of the ladder, rounds in the order they ran.
    fn insert(&mut self, report: StageReport, now: Now) {
        let at = self.stages.partition_point(|(s, _)| s.stage <= report.stage);
        self.stages.insert(at, (report, now.mono));
    }

    fn decide(&mut self, outcome: AttemptOutcome, path: Option<Path>, now: Now, out: &mut Vec<LadderOut>) {
        self.outcome = Some((outcome, path, now.mono.since(self.started)));
        out.push(LadderOut::Decided(outcome));
    }
}

/// The reason that says most: of the last stage that was tried, else of the
/// last that was asked for.
pub fn telling_reason(stages: &[StageReport]) -> Option<&Reason> {
    let tried = stages.iter().rev().find(|s| s.outcome == StageOutcome::Failed);
    let asked = || stages.iter().rev().find(|s| s.reason.as_ref().is_some_and(|r| *r != Reason::NotAsked));
    tried.or_else(asked).and_then(|s| s.reason.as_ref())
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
