//! Attempts that have their outcome: what it counts for, who is told, and what is
//! next.

use std::sync::Arc;

use super::{Attempts, Engine, RECENT_MAX, Waiting};
use crate::core::Now;
use crate::core::ladder::telling_reason;
use crate::model::{
    Attempt, AttemptId, AttemptOutcome, Cause, Done, EventKind, Failure, LinkReport, NextStep, Path, PeerId,
    Reason, StageKind, StageReport, millis,
};

impl Attempts {
    fn take_waiting(&mut self, mut of: impl FnMut(&Waiting) -> bool) -> Vec<Waiting> {
        self.waiting.extract_if(.., |waiting| of(waiting)).collect()
    }
}

/// The reports of one stage of an attempt: its rounds.
fn of_kind(attempt: &Attempt, stage: StageKind) -> Vec<StageReport> {
    attempt.stages.iter().filter(|s| s.stage == stage).cloned().collect()
}

/// What is told to who waited.
fn told(
    waited: &Waiting,
    peer_id: PeerId,
    stages: Vec<StageReport>,
    path: Option<Path>,
    now: Now,
) -> LinkReport {
    let elapsed_ms = millis(now.mono.since(waited.since));
    LinkReport { peer_id, before: waited.before, path, elapsed_ms, stages, note: None }
}

impl Engine {
    /// An attempt has its outcome; stages may go on behind it.
    pub(super) fn decide_attempt(&mut self, id: AttemptId, outcome: AttemptOutcome, now: Now) {
        let Some(ladder) = self.attempts.live.get_mut(&id) else { return };
        let report = ladder.report();
        let tried = ladder.has_tried();
        let failure = ladder.telling_reason();
        let peer = ladder.peer();
        let made = |peer| self.attempts.made.get(&peer) == Some(&id);
        let owed = outcome != AttemptOutcome::Connected || peer.is_none_or(made);
        // A link that stays where it is has not failed, and one that two attempts
        // were after is one link.
        if report.cause != Cause::Upgrade && owed {
            if let Some(peer) = peer {
                if tried || report.cause != Cause::Operator {
                    self.record_attempt(peer, outcome, failure.clone(), now);
                }
                self.dialer.on_attempt_ended(peer, outcome, now.mono);
            }
            // Whoever shares our identity and we take the link from each other.
            let yields = peer.is_some_and(|peer| self.dialer.has_yielded(&peer));
            if tried && !yields {
                let counted = self.kpi.record(&report, now);
                if counted.is_some() {
                    self.saving.touch(now.mono);
                }
                self.report_attempt(&report, failure.as_ref(), counted.is_some_and(|c| c.again), now);
            }
        }
        let elapsed_ms = report.elapsed_ms.unwrap_or(0);
        let path = report.path;
        self.outbox.event(peer, EventKind::AttemptEnded { attempt: id, outcome, path, elapsed_ms }, now);
        let Some(peer) = peer else { return };
        for waited in self.attempts.take_waiting(|w| w.attempt == id && w.stage.is_none()) {
            let path = self.links.path(&peer);
            let told = told(&waited, peer, report.stages.clone(), path, now);
            let result = if path.is_some() {
                Ok(Done::Connected(told))
            } else {
                let reason = failure.clone().unwrap_or(Reason::ShuttingDown);
                Err(Failure { reason, report: Some(Box::new(told)) })
            };
            self.outbox.answer(waited.command, result);
        }
    }

    /// A stage made the link: whoever asked for that stage has it.
    pub(super) fn stage_made(&mut self, id: AttemptId, stage: StageKind, now: Now) {
        let Some((report, peer)) = self.attempts.live.get(&id).and_then(|l| Some((l.report(), l.peer()?)))
        else {
            return;
        };
        for waited in self.attempts.take_waiting(|w| w.attempt == id && w.stage == Some(stage)) {
            let stages = of_kind(&report, stage);
            let told = told(&waited, peer, stages, self.links.path(&peer), now);
            self.outbox.answer(waited.command, Ok(Done::Staged(told)));
        }
    }

    /// An attempt is over: the stages that commands wait for made no link.
    fn stages_failed(&mut self, id: AttemptId, report: &Attempt, now: Now) {
        for waited in self.attempts.take_waiting(|w| w.attempt == id) {
            let (Some(peer), Some(stage)) = (report.peer_id, waited.stage) else { continue };
            let stages = of_kind(report, stage);
            let reason = stages.iter().rev().find_map(|s| s.reason.clone());
            let reason = reason.or(telling_reason(&report.stages).cloned()).unwrap_or(Reason::ShuttingDown);
            let told = told(&waited, peer, stages, self.links.path(&peer), now);
            self.outbox.answer(waited.command, Err(Failure { reason, report: Some(Box::new(told)) }));
        }
    }

    /// What comes after an attempt towards a peer, as things stand now; nothing
    /// does of one that another has followed.
    fn next_step(&self, peer: &PeerId, report: &Attempt, now: Now) -> Option<NextStep> {
        if self.attempts.latest.get(peer).is_some_and(|latest| *latest != report.id) {
            return None;
        }
        match self.links.in_use(peer).map(|info| info.path) {
            Some(Path::Relayed) => {
                let due = self.upgrades.due(peer).filter(|_| !self.targets(now).is_hopeless(peer));
                let due = due.or(self.guesses.due_with(peer));
                return Some(NextStep::Upgrade { at: due.map(|at| now.stamp_of(at)) });
            }
            Some(_) => return None,
            None if report.outcome != Some(AttemptOutcome::Unreachable) => return None,
            None => {}
        }
        Some(match self.dialer.due(peer) {
            Some(at) => NextStep::Retry { at: now.stamp_of(at) },
            None => NextStep::Wait,
        })
    }

    /// Ended attempts go on saying what is next, and that changes after their end:
    /// a time passes, a NAT becomes known, the peer comes by itself.
    pub(in crate::core::engine) fn refresh_next_steps(&mut self, now: Now) {
        let stale = |attempt: &Attempt| {
            let told = attempt.next.as_ref()?;
            let next = self.next_step(attempt.peer_id.as_ref()?, attempt, now);
            (!next.as_ref().is_some_and(|next| next.is_about(told))).then_some(next)
        };
        let changed: Vec<_> = self
            .attempts
            .recent
            .iter()
            .enumerate()
            .filter_map(|(place, attempt)| Some((place, stale(attempt)?)))
            .collect();
        for (place, next) in changed {
            if let Some(attempt) = self.attempts.recent.get_mut(place) {
                Arc::make_mut(attempt).next = next;
            }
        }
    }

    /// Every stage of an attempt has ended.
    pub(super) fn end_attempt(&mut self, id: AttemptId, now: Now) {
        let Some(ladder) = self.attempts.live.remove(&id) else { return };
        self.attempts.queries.retain(|_, (attempt, _)| *attempt != id);
        let mut report = ladder.report();
        self.stages_failed(id, &report, now);
        report.next = ladder.peer().and_then(|peer| self.next_step(&peer, &report, now));
        let latest = report.peer_id.is_some_and(|peer| self.attempts.latest.get(&peer) == Some(&id));
        if !latest && !self.attempts.made_a_link(id) {
            self.attempts.traces.forget(id);
        }
        self.attempts.ended += 1;
        self.attempts.recent.push_front(Arc::new(report));
        for old in self.attempts.recent.drain(RECENT_MAX.min(self.attempts.recent.len())..) {
            let named = old.peer_id.filter(|peer| self.attempts.latest.get(peer) == Some(&old.id));
            named.map(|peer| self.attempts.latest.remove(&peer));
            self.attempts.traces.forget(old.id);
        }
    }
}
