//! The punch stage: ask who is connected to the target, have the best of them
//! coordinate, and meet the target's dial.
//!
//! A punch is two dials that cross. Ours goes out with the request, so that our
//! NAT lets the target's in; the target dials as soon as it hears of us. Where
//! its dial cannot come in (our NAT gives us another port for it) or does not,
//! we dial once more when it has agreed: by then its NAT knows us.

use std::net::SocketAddr;
use std::time::Duration;

use super::types::WARM_PART;
use super::{Candidate, DialId, Ladder, LadderOut, NatPair, PUNCH_WINDOW, better};
use crate::core::limits::PUNCH_PER_PAIR;
use crate::core::{Mono, Now};
use crate::model::{PeerId, Reason, StageKind, StageOutcome, StageReport};

/// How long linked peers have to say who is connected to the target.
pub(super) const WHO_HAS_WAIT: Duration = Duration::from_secs(1);
/// A verified public intermediary that answered is not kept waiting for better
/// ones longer than this; any other one that long, or as long again as its
/// answer took.
const BETTER_WAIT: Duration = Duration::from_millis(10);
/// How long an intermediary has to agree.
pub(super) const CONSENT_WAIT: Duration = Duration::from_secs(3);
/// How long the target's dial is waited for where it should come in, and how
/// long after a failure we dial again: longer than a round trip, and shorter
/// than QUIC waits before it repeats its first packet.
pub(super) const PUNCH_AGAIN: Duration = Duration::from_millis(500);

/// What is left of the stage's time for another round at least: in less nothing can
/// come of it.
const ROUND_LEAST: Duration = PUNCH_AGAIN;
/// After this long an intermediary takes another request for the same pair.
const ASK_AGAIN: Duration = PUNCH_PER_PAIR;

/// Where the stage stands.
#[derive(Debug)]
pub(super) enum Punch {
    /// Questions are out.
    Asking { since: Mono, until: Mono, open: usize, found: Vec<Candidate> },
    /// The intermediary asks the target. Our dial towards it opens our NAT.
    Consenting { until: Mono, via: Candidate, rest: Vec<Candidate>, dial: Option<DialId> },
    /// The target dials us, and we dial it, `again` if that is set.
    Punching {
        until: Mono,
        via: Candidate,
        rest: Vec<Candidate>,
        dial: Option<DialId>,
        again: Option<Mono>,
        /// Why our last dial failed.
        last: Option<Reason>,
    },
}

impl Punch {
    pub(super) fn asking(now: Mono) -> Self {
        Self::Asking { since: now, until: now + WHO_HAS_WAIT, open: usize::MAX, found: Vec::new() }
    }

    /// Takes an answer; whether there is nothing left to wait for.
    pub(super) fn on_answer(&mut self, candidate: Option<Candidate>, now: Mono) -> bool {
        let (since, until, open, found) = match self {
            Self::Asking { since, until, open, found } => (since, until, open, found),
            Self::Consenting { via, rest, .. } | Self::Punching { via, rest, .. } => {
                let new = |c: &Candidate| c.peer != via.peer && rest.iter().all(|r| r.peer != c.peer);
                let new = candidate.filter(new);
                rest.extend(new);
                return false;
            }
        };
        *open = open.saturating_sub(1);
        if let Some(candidate) = &candidate {
            let took = now.since(*since);
            let wait = if candidate.verified_public { BETTER_WAIT } else { took.max(BETTER_WAIT) };
            *until = (*until).min(now + wait);
        }
        found.extend(candidate);
        *open == 0
    }

    /// The answers so far, the best first.
    pub(super) fn take_found(&mut self) -> Vec<Candidate> {
        let Self::Asking { found, .. } = self else { return Vec::new() };
        let mut found = std::mem::take(found);
        found.sort_by(better);
        found
    }

    pub(super) fn next_timeout(&self) -> Mono {
        match self {
            Self::Asking { until, .. } | Self::Consenting { until, .. } => *until,
            Self::Punching { until, again, .. } => again.unwrap_or(*until).min(*until),
        }
    }

    /// The dial that runs.
    pub(super) fn dial(&self) -> Option<DialId> {
        match self {
            Self::Consenting { dial, .. } | Self::Punching { dial, .. } => *dial,
            Self::Asking { .. } => None,
        }
    }

    /// Who is left to coordinate the next round.
    pub(super) fn into_rest(self) -> Vec<Candidate> {
        match self {
            Self::Consenting { rest, .. } | Self::Punching { rest, .. } => rest,
            Self::Asking { .. } => Vec::new(),
        }
    }

    /// Our dial failed, and not for good: the target's may still come, and ours
    /// is repeated. Whether it was ours.
    pub(super) fn on_failed(&mut self, failed: DialId, reason: &Reason, now: Mono) -> bool {
        if self.dial() != Some(failed) {
            return false;
        }
        match self {
            Self::Consenting { dial, .. } => *dial = None,
            Self::Punching { .. } => self.on_lost(reason, now),
            Self::Asking { .. } => {}
        }
        true
    }

    /// What we dialled lost against another connection, which mostly is the
    /// link before we dial again.
    pub(super) fn on_lost(&mut self, reason: &Reason, now: Mono) {
        if let Self::Punching { dial, again, last, .. } = self {
            *dial = None;
            *again = Some(now + PUNCH_AGAIN);
            // Silence is told by the window that it filled.
            if !matches!(reason, Reason::NoAnswer { .. } | Reason::TimedOut { .. }) {
                *last = Some(reason.clone());
            }
        }
    }
}

/// What an intermediary answered to a punch request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Consent {
    /// The target dials us; this is its address as the intermediary sees it.
    Agreed(SocketAddr),
    /// Another intermediary may do it.
    Elsewhere(Reason),
    /// The target does not want to.
    Refused(Reason),
}

impl Ladder {
    /// How many peers were asked who is connected to the target.
    pub fn on_asked(&mut self, count: usize, now: Now, out: &mut Vec<LadderOut>) {
        self.tried |= count > 0;
        if let Some(Punch::Asking { open, until, .. }) = &mut self.punch {
            *open = count;
            if count == 0 {
                *until = now.mono;
            }
        }
        self.advance(now, out);
    }

    /// A linked peer answered: whether it sees the target, and how it could coordinate a
    /// punch. Who sees it in a family that we do not have can still pass an invitation on.
    pub fn on_answer(
        &mut self,
        from: PeerId,
        (sees, candidate): (bool, Option<Candidate>),
        now: Now,
        out: &mut Vec<LadderOut>,
    ) {
        if sees && !self.intermediaries.contains(&from) && !self.busy.contains(&from) {
            self.intermediaries.push(from);
        }
        if let Some(punch) = &mut self.punch
            && punch.on_answer(candidate, now.mono)
            && let Punch::Asking { until, .. } = punch
        {
            *until = now.mono;
        }
        self.advance(now, out);
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
                // One that sees the target in the other family says nothing of
                // where we aim.
                let target = if target.is_ipv4() == via.target.is_ipv4() { target } else { via.target };
                let comes = self.target.nat_pair.lets_target_in(target) && via.target == target;
                let via = Candidate { target, ..via.clone() };
                let again = Some(if comes { now.mono + PUNCH_AGAIN } else { now.mono });
                let until = self.punch_until;
                self.punch = Some(Punch::Punching { until, via, rest, dial, again, last: None });
            }
            Consent::Elsewhere(reason) => self.end_punch_round(&reason, now, out),
            Consent::Refused(reason) => {
                self.stop_punch(out);
                self.turned_away.clear();
                self.end_stage(StageKind::Punch, StageOutcome::Failed, Some(reason), now, out);
            }
        }
        self.advance(now, out);
    }

    pub(super) fn begin_punch(&mut self, now: Now, out: &mut Vec<LadderOut>) {
        if std::mem::replace(&mut self.punch_begun, true) {
            return;
        }
        let nat_pair = self.target.nat_pair;
        let skip = if !self.plan.punch {
            Some(Reason::NotRequested)
        } else if nat_pair.loopback {
            Some(Reason::LoopbackCannotBePunched)
        } else if !nat_pair.can_punch() {
            Some(nat_pair.obstacle())
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
                homes.retain(|home| nat_pair.can_punch_at(home.target));
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

    pub(super) fn advance_punch(&mut self, now: Now, out: &mut Vec<LadderOut>) {
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

    /// Goes on with the next best intermediary.
    pub(super) fn next_round(&mut self, mut found: Vec<Candidate>, now: Now, out: &mut Vec<LadderOut>) {
        self.punch = None;
        let nat_pair = self.target.nat_pair;
        let any = !found.is_empty();
        // Where only IPv6 leads there, who sees us by IPv4 is of no use.
        found.retain(|via| nat_pair.can_punch_at(via.target));
        if found.is_empty() {
            if !self.stages.iter().any(|(s, _)| s.stage == StageKind::Punch) {
                let reason = if any { nat_pair.obstacle() } else { Reason::NoIntermediary };
                self.skip(StageKind::Punch, reason, now, out);
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
        self.tried = true;
        out.push(LadderOut::RequestPunch(via.clone()));
        let until = (now.mono + CONSENT_WAIT).min(self.punch_until);
        self.punch = Some(Punch::Consenting { until, via, rest: found, dial });
    }

    /// When those who refused by rate are asked again: only where no other stage
    /// runs or is to come, and while the attempt lasts. Who is relayed needs no
    /// second try here.
    pub(super) fn asks_again(&self) -> Option<Mono> {
        let last = self.punch.is_none() && self.relay.is_none() && !self.relay_is_due();
        let at = self.turned_away_at + ASK_AGAIN;
        let wanted = last && self.outcome.is_none() && !self.turned_away.is_empty();
        (wanted && at + ROUND_LEAST < self.punch_until).then_some(at)
    }

    pub(super) fn advance_turned_away(&mut self, now: Now, out: &mut Vec<LadderOut>) {
        if self.asks_again().is_some_and(|at| at <= now.mono) {
            let found = std::mem::take(&mut self.turned_away);
            self.next_round(found, now, out);
        }
    }

    /// Dials the target afresh: what was sent before its NAT knew us is lost,
    /// and QUIC would be long in repeating it.
    pub(super) fn punch_again(&mut self, now: Now, out: &mut Vec<LadderOut>) {
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
    pub(super) fn stop_punch(&mut self, out: &mut Vec<LadderOut>) -> Vec<Candidate> {
        let Some(punch) = self.punch.take() else { return Vec::new() };
        out.extend(punch.dial().map(LadderOut::Cancel));
        punch.into_rest()
    }

    /// Both NATs are measured by now, and no punch leads through them: what set
    /// out before anybody knew is called off.
    pub fn on_unpunchable(&mut self, nat_pair: NatPair, now: Now, out: &mut Vec<LadderOut>) {
        if self.punch.is_none() || nat_pair.can_punch() {
            return;
        }
        self.target.nat_pair = nat_pair;
        self.stop_punch(out);
        self.turned_away.clear();
        let reason = nat_pair.obstacle();
        let running = |s: &StageReport| s.stage == StageKind::Punch && s.outcome == StageOutcome::Running;
        if self.stages.iter().any(|(s, _)| running(s)) {
            self.end_stage(StageKind::Punch, StageOutcome::Failed, Some(reason), now, out);
        } else {
            self.skip(StageKind::Punch, reason, now, out);
        }
        self.advance(now, out);
    }

    /// A round failed. "Not me" and "not now" are answers about the
    /// intermediary, not about the punch.
    pub(super) fn end_punch_round(&mut self, reason: &Reason, now: Now, out: &mut Vec<LadderOut>) {
        if self.punch.is_none() {
            return;
        }
        if let (Some(Punch::Consenting { via, .. }), Reason::RateLimited) = (&self.punch, reason) {
            self.turned_away.push(via.clone());
            self.turned_away_at = now.mono;
        }
        let rest = self.stop_punch(out);
        let elsewhere =
            matches!(reason, Reason::RateLimited | Reason::UnknownTarget | Reason::TimedOut { .. });
        self.end_stage(StageKind::Punch, StageOutcome::Failed, Some(reason.clone()), now, out);
        if !elsewhere || now.mono + ROUND_LEAST >= self.punch_until {
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
}
