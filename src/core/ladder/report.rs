//! An attempt as it is told: its stages in the order of the ladder.

use super::{Ladder, LadderOut};
use crate::core::{Mono, Now};
use crate::model::{
    Attempt, AttemptOutcome, Path, PeerId, Reason, StageKind, StageOutcome, StageReport, millis,
};

impl Ladder {
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

    /// Why it did not connect, in one reason.
    pub fn decisive_reason(&self) -> Option<Reason> {
        let stages: Vec<StageReport> = self.stages.iter().map(|(s, _)| s.clone()).collect();
        decisive_reason(&stages).cloned()
    }

    pub(super) fn running_stage(&self) -> Option<StageKind> {
        self.stages.iter().map(|(s, _)| s).find(|s| s.outcome == StageOutcome::Running).map(|s| s.stage)
    }

    pub(super) fn set_via(&mut self, stage: StageKind, via: Option<PeerId>) {
        let running =
            |(s, _): &&mut (StageReport, Mono)| s.stage == stage && s.outcome == StageOutcome::Running;
        if let Some((report, _)) = self.stages.iter_mut().find(running) {
            report.via = via;
        }
    }

    /// The link runs over that relay, whichever the stage set out with.
    pub fn on_relay(&mut self, via: Option<PeerId>) {
        if via.is_some() {
            self.set_via(StageKind::Relay, via);
        }
    }

    pub(super) fn begin_stage(
        &mut self,
        stage: StageKind,
        via: Option<PeerId>,
        now: Now,
        out: &mut Vec<LadderOut>,
    ) {
        let report = StageReport {
            stage,
            outcome: StageOutcome::Running,
            reason: None,
            started: now.stamp,
            elapsed_ms: None,
            via,
            guess: None,
        };
        self.insert(report, now);
        out.push(LadderOut::StageStarted { stage, via });
    }

    pub(super) fn end_stage(
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
        let took = now.mono.since(*begun);
        report.outcome = outcome;
        // One stage, one time: what it was given may have been more, or less.
        report.reason = reason.map(|reason| reason.after(took));
        report.elapsed_ms = Some(millis(took));
        out.push(LadderOut::StageEnded(report.clone()));
    }

    pub(super) fn skip(&mut self, stage: StageKind, reason: Reason, now: Now, out: &mut Vec<LadderOut>) {
        let report = StageReport {
            stage,
            outcome: StageOutcome::Skipped,
            reason: Some(reason),
            started: now.stamp,
            elapsed_ms: Some(0),
            via: None,
            guess: None,
        };
        self.insert(report.clone(), now);
        out.push(LadderOut::StageEnded(report));
    }

    /// Stages stand in the order of the ladder, rounds in the order they ran.
    pub(super) fn insert(&mut self, report: StageReport, now: Now) {
        let at = self.stages.partition_point(|(s, _)| s.stage <= report.stage);
        self.stages.insert(at, (report, now.mono));
    }

    pub(super) fn decide(
        &mut self,
        outcome: AttemptOutcome,
        path: Option<Path>,
        now: Now,
        out: &mut Vec<LadderOut>,
    ) {
        self.outcome = Some((outcome, path, now.mono.since(self.started)));
        out.push(LadderOut::Decided(outcome));
    }
}

/// The reason that says most: of the last stage that was tried, else of the
/// last that was asked for.
pub fn decisive_reason(stages: &[StageReport]) -> Option<&Reason> {
    let tried = stages.iter().rev().find(|s| s.outcome == StageOutcome::Failed);
    let asked =
        || stages.iter().rev().find(|s| s.reason.as_ref().is_some_and(|r| *r != Reason::NotRequested));
    tried.or_else(asked).and_then(|s| s.reason.as_ref())
}
