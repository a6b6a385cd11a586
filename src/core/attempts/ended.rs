//! Attempts that have their outcome: what it counts for, who is told, and what is
//! next.

use std::sync::Arc;

use super::{Attempts, Decided, RECENT_MAX, View, Waiting};
use crate::core::Now;
use crate::core::ladder::decisive_reason;
use crate::core::outbox::{Outbox, Wanted};
use crate::model::{
    Attempt, AttemptId, AttemptOutcome, Done, EventKind, Failure, LinkReport, NextStep, Path, PeerId, Reason,
    StageKind, StageReport, millis,
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

/// The outcome that the command which waited for this attempt gets.
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

impl Attempts {
    /// An attempt has its outcome; stages may go on behind it.
    pub(super) fn decide(&self, id: AttemptId, outcome: AttemptOutcome, out: &mut Outbox) {
        let Some(ladder) = self.live.get(&id) else { return };
        let made = |peer| self.made.get(&peer) == Some(&id);
        out.want(Wanted::Decided(Box::new(Decided {
            report: ladder.report(),
            outcome,
            failure: ladder.decisive_reason(),
            tried: ladder.has_tried(),
            owed: outcome != AttemptOutcome::Connected || ladder.peer().is_none_or(made),
        })));
    }

    /// Tells of an outcome, and who waited for it has it.
    pub(in crate::core) fn tell(&mut self, decided: &Decided, view: View<'_>, out: &mut Outbox) {
        let Decided { report, outcome, failure, .. } = decided;
        let (id, outcome, peer, now) = (report.id, *outcome, report.peer_id, view.now());
        let elapsed_ms = report.elapsed_ms.unwrap_or(0);
        let path = report.path;
        out.event(peer, EventKind::AttemptEnded { attempt: id, outcome, path, elapsed_ms }, now);
        let Some(peer) = peer else { return };
        for waited in self.take_waiting(|w| w.attempt == id && w.stage.is_none()) {
            let path = view.targets.peers.links.path(&peer);
            let told = told(&waited, peer, report.stages.clone(), path, now);
            let result = if path.is_some() {
                Ok(Done::Connected(told))
            } else {
                let reason = failure.clone().unwrap_or(Reason::ShuttingDown);
                Err(Failure { reason, report: Some(Box::new(told)) })
            };
            out.answer(waited.command, result);
        }
    }

    /// A stage made the link: whoever asked for that stage has it.
    pub(super) fn stage_made(&mut self, id: AttemptId, stage: StageKind, view: View<'_>, out: &mut Outbox) {
        let Some((report, peer)) = self.live.get(&id).and_then(|l| Some((l.report(), l.peer()?))) else {
            return;
        };
        for waited in self.take_waiting(|w| w.attempt == id && w.stage == Some(stage)) {
            let stages = of_kind(&report, stage);
            let told = told(&waited, peer, stages, view.targets.peers.links.path(&peer), view.now());
            out.answer(waited.command, Ok(Done::Staged(told)));
        }
    }

    /// An attempt is over: the stages that commands wait for made no link.
    fn stages_failed(&mut self, id: AttemptId, report: &Attempt, view: View<'_>, out: &mut Outbox) {
        for waited in self.take_waiting(|w| w.attempt == id) {
            let (Some(peer), Some(stage)) = (report.peer_id, waited.stage) else { continue };
            let stages = of_kind(report, stage);
            let reason = stages.iter().rev().find_map(|s| s.reason.clone());
            let reason = reason.or(decisive_reason(&report.stages).cloned()).unwrap_or(Reason::ShuttingDown);
            let told = told(&waited, peer, stages, view.targets.peers.links.path(&peer), view.now());
            out.answer(waited.command, Err(Failure { reason, report: Some(Box::new(told)) }));
        }
    }

    /// What comes after an attempt towards a peer, as things stand now; nothing
    /// does of one that another has followed.
    fn next_step(&self, peer: &PeerId, report: &Attempt, view: View<'_>) -> Option<NextStep> {
        if self.latest.get(peer).is_some_and(|latest| *latest != report.id) {
            return None;
        }
        match view.targets.peers.links.in_use(peer).map(|info| info.path) {
            Some(Path::Relayed) => {
                let due = self.upgrades.due(peer).filter(|_| !view.targets.is_hopeless(peer));
                let due = due.or(view.guesses.due_with(peer));
                return Some(NextStep::Upgrade { at: due.map(|at| view.now().stamp_of(at)) });
            }
            Some(_) => return None,
            None if report.outcome != Some(AttemptOutcome::Unreachable) => return None,
            None => {}
        }
        Some(match view.dialer.due(peer) {
            Some(at) => NextStep::Retry { at: view.now().stamp_of(at) },
            None => NextStep::Wait,
        })
    }

    /// Ended attempts go on saying what is next, and that changes after their end:
    /// a time passes, a NAT becomes known, the peer comes by itself.
    pub(in crate::core) fn refresh_next_steps(&mut self, view: View<'_>) {
        let stale = |attempt: &Attempt| {
            let told = attempt.next.as_ref()?;
            let next = self.next_step(attempt.peer_id.as_ref()?, attempt, view);
            (!next.as_ref().is_some_and(|next| next.is_about(told))).then_some(next)
        };
        let changed: Vec<_> = self
            .recent
            .iter()
            .enumerate()
            .filter_map(|(place, attempt)| Some((place, stale(attempt)?)))
            .collect();
        for (place, next) in changed {
            if let Some(attempt) = self.recent.get_mut(place) {
                Arc::make_mut(attempt).next = next;
            }
        }
    }

    /// Every stage of an attempt has ended.
    pub(super) fn end(&mut self, id: AttemptId, view: View<'_>, out: &mut Outbox) {
        let Some(ladder) = self.live.remove(&id) else { return };
        self.queries.retain(|_, (attempt, _)| *attempt != id);
        let mut report = ladder.report();
        self.stages_failed(id, &report, view, out);
        report.next = ladder.peer().and_then(|peer| self.next_step(&peer, &report, view));
        let latest = report.peer_id.is_some_and(|peer| self.latest.get(&peer) == Some(&id));
        if !latest && !self.made_a_link(id) {
            self.traces.forget(id);
        }
        self.ended += 1;
        self.recent.push_front(Arc::new(report));
        for old in self.recent.drain(RECENT_MAX.min(self.recent.len())..) {
            let named = old.peer_id.filter(|peer| self.latest.get(peer) == Some(&old.id));
            named.map(|peer| self.latest.remove(&peer));
            self.traces.forget(old.id);
        }
    }
}
