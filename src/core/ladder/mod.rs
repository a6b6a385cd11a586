//! The ladder: one attempt towards one peer, stage by stage, each with its
//! reason.
//!
//! A stage ends by its result, not by its clock. Direct dials go to every known
//! address at once; one that fails fast is dialled again while the window
//! lasts. The punch asks linked peers who is connected to the target, and goes
//! through the best of them. The relay stage has no lanes to run on yet and
//! says so.

mod intermediary;

use std::net::SocketAddr;
use std::time::Duration;

pub use intermediary::{Candidate, better};

use super::{Mono, Now};
use crate::model::{
    Attempt, AttemptId, AttemptOutcome, Cause, CommandId, Path, PeerId, Reason, StageKind, StageOutcome,
    StageReport, Stamp,
};

/// A dial that failed fast is repeated after this long: the other end may just
/// be starting, or its own dial opens the way.
const REDIAL_AFTER: Duration = Duration::from_millis(500);
/// How long linked peers have to say who is connected to the target.
const WHO_HAS_WAIT: Duration = Duration::from_millis(1000);
/// The punch stage's time over all rounds.
pub const PUNCH_WINDOW: Duration = Duration::from_secs(30);

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

    fn has(self, stage: StageKind) -> bool {
        match stage {
            StageKind::Direct => self.direct,
            StageKind::Punch => self.punch,
            StageKind::Relay => self.relay,
        }
    }
}

/// What an attempt is about.
#[derive(Debug, Clone)]
pub struct Target {
    /// Whom; unknown for a bootstrap address.
    pub peer: Option<PeerId>,
    /// Where.
    pub addresses: Vec<SocketAddr>,
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
    /// Forget that dial; its result is not wanted.
    Cancel(DialId),
    /// Ask every linked peer whether it is connected to the target.
    AskWhoHas,
    /// Punch through that intermediary.
    Punch {
        /// Its name.
        dial: DialId,
        /// Through whom.
        via: Candidate,
        /// When to give up.
        within: Duration,
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
    /// The attempt ended.
    Ended(AttemptOutcome),
}

#[derive(Debug)]
enum DialState {
    Running,
    Again { at: Mono },
    Failed,
}

#[derive(Debug)]
struct Dial {
    id: DialId,
    addr: SocketAddr,
    state: DialState,
    /// Why it failed the last time.
    last: Option<Reason>,
}

#[derive(Debug)]
enum Step {
    Direct { until: Mono, dials: Vec<Dial> },
    Asking { until: Mono, open: usize, found: Vec<Candidate> },
    Punching { until: Mono, dial: DialId, rest: Vec<Candidate> },
    Done,
}

/// One run of the ladder.
#[derive(Debug)]
pub struct Ladder {
    id: AttemptId,
    target: Target,
    cause: Cause,
    plan: Plan,
    window: Duration,
    started: Mono,
    started_stamp: Stamp,
    step: Step,
    stages: Vec<StageReport>,
    stage_started: Mono,
    next_dial: u32,
    outcome: Option<(AttemptOutcome, Option<Path>, Duration)>,
    /// Commands that wait for its end, with the time they came.
    pub waiting: Vec<(CommandId, Mono)>,
}

impl Ladder {
    /// Begins an attempt. `window` is the direct window.
    pub fn start(
        id: AttemptId,
        target: Target,
        cause: Cause,
        plan: Plan,
        window: Duration,
        now: Now,
        out: &mut Vec<LadderOut>,
    ) -> Self {
        let mut ladder = Self {
            id,
            target,
            cause,
            plan,
            window,
            started: now.mono,
            started_stamp: now.stamp,
            step: Step::Done,
            stages: Vec::new(),
            stage_started: now.mono,
            next_dial: 0,
            outcome: None,
            waiting: Vec::new(),
        };
        ladder.enter(StageKind::Direct, now, out);
        ladder
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

    /// How it ended, if it did.
    pub fn outcome(&self) -> Option<AttemptOutcome> {
        self.outcome.map(|(outcome, ..)| outcome)
    }

    /// Why it did not connect, in one reason.
    pub fn telling_reason(&self) -> Option<&Reason> {
        telling_reason(&self.stages)
    }

    /// The path that a link gets which comes up now.
    pub fn path_now(&self) -> Path {
        if matches!(self.step, Step::Punching { .. }) { Path::Punched } else { Path::Direct }
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
            stages: self.stages.clone(),
            next: None,
        }
    }

    /// A dial reached somebody: a connection to `peer` stands. Whether it makes
    /// a link is not known yet.
    pub fn on_dialled(&mut self, dial: DialId, peer: PeerId, now: Now, out: &mut Vec<LadderOut>) {
        match self.target.peer {
            Some(wanted) if wanted != peer => {
                self.on_dial_failed(dial, &Reason::WrongIdentity { got: peer }, now, out);
            }
            _ => self.target.peer = Some(peer),
        }
    }

    /// A dial or a punch failed.
    pub fn on_dial_failed(&mut self, dial: DialId, reason: &Reason, now: Now, out: &mut Vec<LadderOut>) {
        match &mut self.step {
            Step::Direct { until, dials } => {
                let Some(entry) = dials.iter_mut().find(|d| d.id == dial) else { return };
                let at = now.mono + REDIAL_AFTER;
                entry.last = Some(reason.clone());
                entry.state = if reason.is_final() || at >= *until {
                    DialState::Failed
                } else {
                    DialState::Again { at }
                };
                self.settle_direct(now, out);
            }
            Step::Punching { until, dial: running, rest } if *running == dial => {
                // "Not me" and "not now" are answers about the intermediary,
                // not about the punch.
                let elsewhere =
                    matches!(reason, Reason::RateLimited | Reason::UnknownTarget | Reason::RequestExpired);
                let (until, rest) = (*until, std::mem::take(rest));
                if elsewhere && !rest.is_empty() && now.mono < until {
                    self.end_stage(StageOutcome::Failed, Some(reason.clone()), now, out);
                    self.punch(until, rest, now, out);
                } else {
                    self.end_stage(StageOutcome::Failed, Some(reason.clone()), now, out);
                    self.enter(StageKind::Relay, now, out);
                }
            }
            _ => {}
        }
    }

    /// A linked peer answered who has the target.
    pub fn on_answer(&mut self, candidate: Option<Candidate>, now: Now, out: &mut Vec<LadderOut>) {
        let Step::Asking { open, found, .. } = &mut self.step else { return };
        *open = open.saturating_sub(1);
        found.extend(candidate);
        if *open == 0 {
            self.choose(now, out);
        }
    }

    /// How many peers were asked.
    pub fn on_asked(&mut self, count: usize, now: Now, out: &mut Vec<LadderOut>) {
        let Step::Asking { open, .. } = &mut self.step else { return };
        *open = count;
        if count == 0 {
            self.choose(now, out);
        }
    }

    /// A link to the target is usable. `ours`: it runs over a connection that
    /// we dialled.
    pub fn on_link_up(&mut self, path: Path, ours: bool, now: Now, out: &mut Vec<LadderOut>) {
        if self.outcome.is_some() {
            return;
        }
        let via = self.stages.last().and_then(|s| s.via);
        self.cancel_dials(out);
        if ours {
            if let Some(stage) = self.stages.last_mut() {
                stage.via = via;
            }
            self.end_stage(StageOutcome::Ok, None, now, out);
            self.end(AttemptOutcome::Connected, Some(path), now, out);
        } else {
            self.end_stage(StageOutcome::Skipped, Some(Reason::CameToUs), now, out);
            self.end(AttemptOutcome::Abandoned, Some(path), now, out);
        }
    }

    /// The connection we made did not become a link. One that only lost against
    /// another to the same peer is made again while the window lasts: mostly
    /// the other one is the link before that.
    pub fn on_refused(&mut self, reason: &Reason, now: Now, out: &mut Vec<LadderOut>) {
        if self.outcome.is_some() {
            return;
        }
        if reason.is_lost_choice()
            && let Step::Direct { until, dials } = &mut self.step
        {
            let at = now.mono + REDIAL_AFTER;
            for dial in dials.iter_mut().filter(|d| matches!(d.state, DialState::Running)) {
                dial.last = Some(reason.clone());
                dial.state = if at < *until { DialState::Again { at } } else { DialState::Failed };
            }
            return self.settle_direct(now, out);
        }
        self.cancel_dials(out);
        self.end_stage(StageOutcome::Failed, Some(reason.clone()), now, out);
        self.skip_from(StageKind::Punch, Reason::NotNeeded, now, out);
        self.end(AttemptOutcome::Unreachable, None, now, out);
    }

    /// Calls the attempt off.
    pub fn abandon(&mut self, reason: &Reason, now: Now, out: &mut Vec<LadderOut>) {
        if self.outcome.is_some() {
            return;
        }
        self.cancel_dials(out);
        self.end_stage(StageOutcome::Skipped, Some(reason.clone()), now, out);
        self.end(AttemptOutcome::Abandoned, None, now, out);
    }

    /// Time has passed.
    pub fn on_timeout(&mut self, now: Now, out: &mut Vec<LadderOut>) {
        match &mut self.step {
            Step::Direct { until, dials } => {
                let left = until.since(now.mono);
                for dial in dials.iter_mut() {
                    if matches!(dial.state, DialState::Again { at } if at <= now.mono) && !left.is_zero() {
                        dial.state = DialState::Running;
                        out.push(LadderOut::Dial { dial: dial.id, addr: dial.addr, within: left });
                    }
                }
                self.settle_direct(now, out);
            }
            Step::Asking { until, .. } if *until <= now.mono => self.choose(now, out),
            Step::Punching { until, dial, .. } if *until <= now.mono => {
                out.push(LadderOut::Cancel(*dial));
                let reason = Reason::timed_out(now.mono.since(self.stage_started));
                self.end_stage(StageOutcome::Failed, Some(reason), now, out);
                self.enter(StageKind::Relay, now, out);
            }
            _ => {}
        }
    }

    /// When [`Self::on_timeout`] wants to be called.
    pub fn next_timeout(&self) -> Option<Mono> {
        match &self.step {
            Step::Direct { until, dials } => {
                let again = dials.iter().filter_map(|d| match d.state {
                    DialState::Again { at } => Some(at),
                    _ => None,
                });
                again.chain([*until]).min()
            }
            Step::Asking { until, .. } | Step::Punching { until, .. } => Some(*until),
            Step::Done => None,
        }
    }

    fn enter(&mut self, stage: StageKind, now: Now, out: &mut Vec<LadderOut>) {
        if !self.plan.has(stage) {
            // The stages that nobody asked for are named only if there is a
            // choice: an address without an identity has no other stage.
            if self.target.peer.is_some() {
                self.skip(stage, Reason::NotAsked, now, out);
            }
            return self.after(stage, now, out);
        }
        match stage {
            StageKind::Direct => self.enter_direct(now, out),
            StageKind::Punch => self.enter_punch(now, out),
            StageKind::Relay => {
                self.skip(stage, Reason::NoRelay, now, out);
                self.after(stage, now, out);
            }
        }
    }

    fn after(&mut self, stage: StageKind, now: Now, out: &mut Vec<LadderOut>) {
        match stage {
            StageKind::Direct => self.enter(StageKind::Punch, now, out),
            StageKind::Punch => self.enter(StageKind::Relay, now, out),
            StageKind::Relay => self.end(AttemptOutcome::Unreachable, None, now, out),
        }
    }

    fn enter_direct(&mut self, now: Now, out: &mut Vec<LadderOut>) {
        if self.target.addresses.is_empty() {
            self.skip(StageKind::Direct, Reason::NoAddress, now, out);
            return self.after(StageKind::Direct, now, out);
        }
        self.begin_stage(StageKind::Direct, None, now, out);
        let mut dials = Vec::new();
        for addr in self.target.addresses.clone() {
            let id = self.dial_id();
            out.push(LadderOut::Dial { dial: id, addr, within: self.window });
            dials.push(Dial { id, addr, state: DialState::Running, last: None });
        }
        self.step = Step::Direct { until: now.mono + self.window, dials };
    }

    /// Ends the direct stage when nothing is left to wait for.
    fn settle_direct(&mut self, now: Now, out: &mut Vec<LadderOut>) {
        let Step::Direct { until, dials } = &self.step else { return };
        let open = dials.iter().any(|d| !matches!(d.state, DialState::Failed));
        if open && now.mono < *until {
            return;
        }
        let reason = direct_reason(dials);
        self.cancel_dials(out);
        self.end_stage(StageOutcome::Failed, Some(reason), now, out);
        self.after(StageKind::Direct, now, out);
    }

    fn enter_punch(&mut self, now: Now, out: &mut Vec<LadderOut>) {
        if !self.target.addresses.is_empty() && self.target.addresses.iter().all(|a| a.ip().is_loopback()) {
            self.skip(StageKind::Punch, Reason::LoopbackCannotBePunched, now, out);
            return self.after(StageKind::Punch, now, out);
        }
        self.stage_started = now.mono;
        self.step = Step::Asking { until: now.mono + WHO_HAS_WAIT, open: usize::MAX, found: Vec::new() };
        out.push(LadderOut::AskWhoHas);
    }

    /// Chooses among those who answered.
    fn choose(&mut self, now: Now, out: &mut Vec<LadderOut>) {
        let Step::Asking { found, .. } = &mut self.step else { return };
        let mut found = std::mem::take(found);
        found.sort_by(better);
        if found.is_empty() {
            self.skip(StageKind::Punch, Reason::NoIntermediary, now, out);
            return self.after(StageKind::Punch, now, out);
        }
        self.punch(now.mono + PUNCH_WINDOW, found, now, out);
    }

    fn punch(&mut self, until: Mono, mut rest: Vec<Candidate>, now: Now, out: &mut Vec<LadderOut>) {
        let via = rest.remove(0);
        self.begin_stage(StageKind::Punch, Some(via.peer), now, out);
        let dial = self.dial_id();
        out.push(LadderOut::Punch { dial, via, within: until.since(now.mono) });
        self.step = Step::Punching { until, dial, rest };
    }

    fn dial_id(&mut self) -> DialId {
        self.next_dial += 1;
        DialId { attempt: self.id, n: self.next_dial }
    }

    fn cancel_dials(&mut self, out: &mut Vec<LadderOut>) {
        match &self.step {
            Step::Direct { dials, .. } => {
                let running = dials.iter().filter(|d| matches!(d.state, DialState::Running));
                out.extend(running.map(|d| LadderOut::Cancel(d.id)));
            }
            Step::Punching { dial, .. } => out.push(LadderOut::Cancel(*dial)),
            Step::Asking { .. } | Step::Done => {}
        }
    }

    fn begin_stage(&mut self, stage: StageKind, via: Option<PeerId>, now: Now, out: &mut Vec<LadderOut>) {
        self.stage_started = now.mono;
        self.stages.push(StageReport {
            stage,
            outcome: StageOutcome::Running,
            reason: None,
            started: now.stamp,
            elapsed_ms: None,
            via,
        });
        out.push(LadderOut::StageStarted { stage, via });
    }

    fn end_stage(
        &mut self,
        outcome: StageOutcome,
        reason: Option<Reason>,
        now: Now,
        out: &mut Vec<LadderOut>,
    ) {
        let took = now.mono.since(self.stage_started);
        let Some(stage) = self.stages.last_mut().filter(|s| s.outcome == StageOutcome::Running) else {
            return;
        };
        stage.outcome = outcome;
        stage.reason = reason;
        stage.elapsed_ms = Some(millis(took));
        out.push(LadderOut::StageEnded(stage.clone()));
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
        self.stages.push(report.clone());
        out.push(LadderOut::StageEnded(report));
    }

    fn skip_from(&mut self, stage: StageKind, reason: Reason, now: Now, out: &mut Vec<LadderOut>) {
        for rest in [StageKind::Punch, StageKind::Relay] {
            if rest >= stage && self.plan.has(rest) && !self.stages.iter().any(|s| s.stage == rest) {
                self.skip(rest, reason.clone(), now, out);
            }
        }
    }

    fn end(&mut self, outcome: AttemptOutcome, path: Option<Path>, now: Now, out: &mut Vec<LadderOut>) {
        self.step = Step::Done;
        self.outcome = Some((outcome, path, now.mono.since(self.started)));
        out.push(LadderOut::Ended(outcome));
    }
}

/// The reason that says most: of the last stage that was tried, else of the
/// last that was asked for.
pub fn telling_reason(stages: &[StageReport]) -> Option<&Reason> {
    let tried = stages.iter().rev().find(|s| s.outcome == StageOutcome::Failed);
    let asked = || stages.iter().rev().find(|s| s.reason.as_ref().is_some_and(|r| *r != Reason::NotAsked));
    tried.or_else(asked).and_then(|s| s.reason.as_ref())
}

/// One reason for the whole direct stage: the most telling of its dials'.
fn direct_reason(dials: &[Dial]) -> Reason {
    let silent = |r: &&Reason| matches!(r, Reason::NoAnswer { .. } | Reason::TimedOut { .. });
    match dials.iter().filter_map(|d| d.last.as_ref()).find(|r| !silent(r)) {
        Some(telling) => telling.clone(),
        None => Reason::NoAnswer { addresses: u32::try_from(dials.len()).unwrap_or(u32::MAX) },
    }
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
