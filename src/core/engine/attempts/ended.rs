//! Attempts that have their outcome: what it counts for, who is told, and what is
//! next.

use std::sync::Arc;

use super::{Engine, RECENT_MAX};
use crate::core::Now;
use crate::core::link::Link;
use crate::model::{
    Attempt, AttemptId, AttemptOutcome, Cause, Done, EventKind, Failure, LinkReport, NextStep, Path, PeerId,
    Reason, millis,
};

impl Engine {
    /// An attempt has its outcome; stages may go on behind it.
    pub(super) fn decide_attempt(&mut self, id: AttemptId, outcome: AttemptOutcome, now: Now) {
        let Some(ladder) = self.attempts.live.get_mut(&id) else { return };
        let report = ladder.report();
        let tried = ladder.has_tried();
        let failure = ladder.telling_reason();
        let waiting = std::mem::take(&mut ladder.waiting);
        let peer = ladder.peer();
        // A link that stays where it is has not failed.
        if report.cause != Cause::Upgrade {
            if let Some(peer) = peer {
                if tried || report.cause != Cause::Operator {
                    self.record_attempt(peer, outcome, failure.clone(), now);
                }
                self.dialer.on_attempt_ended(peer, outcome, now.mono);
            }
            // Whoever shares our identity and we take the link from each other.
            let yields = peer.is_some_and(|peer| self.dialer.has_yielded(&peer));
            if tried && !yields {
                if self.kpi.record(&report, now) {
                    self.saving.touch(now.mono);
                }
                self.report_attempt(&report, failure.as_ref());
            }
        }
        let elapsed_ms = report.elapsed_ms.unwrap_or(0);
        let path = report.path;
        self.event(peer, EventKind::AttemptEnded { attempt: id, outcome, path, elapsed_ms }, now);
        for (command, since) in &waiting {
            let Some(peer_id) = peer else { continue };
            let waited = millis(now.mono.since(*since));
            let status = self.links.get(&peer_id).and_then(Link::status);
            let linked = status.is_some();
            let path = report.path.or(status.map(|s| s.info.path));
            let report =
                LinkReport { elapsed_ms: waited, path, ..LinkReport::from_attempt(peer_id, &report) };
            let result = if linked {
                Ok(Done::Connected(report))
            } else {
                let reason = failure.clone().unwrap_or(Reason::ShuttingDown);
                Err(Failure { reason, report: Some(Box::new(report)) })
            };
            self.answer(*command, result);
        }
    }

    /// What comes after an attempt towards a peer, as things stand now; nothing
    /// does of one that another has followed.
    fn next_step(&self, peer: &PeerId, report: &Attempt, now: Now) -> Option<NextStep> {
        if self.attempts.latest.get(peer).is_some_and(|latest| *latest != report.id) {
            return None;
        }
        match self.links.get(peer).and_then(Link::in_use).map(|info| info.path) {
            Some(Path::Relayed) => {
                let due = self.upgrades.due(peer).filter(|_| !self.is_hopeless(peer, now));
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
        report.next = ladder.peer().and_then(|peer| self.next_step(&peer, &report, now));
        if report.peer_id.is_none_or(|peer| self.attempts.latest.get(&peer) != Some(&id)) {
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
