//! What a node tells of itself: its figures, the facts for a registry, and the snapshot
//! for whoever looks. Whether there is a registry to tell, the engine does not know.

mod snapshot;

use std::time::Duration;

pub(super) use self::snapshot::View;

use self::snapshot::Sections;
use super::Now;
use super::attempts::Decided;
use super::kpi::{History, Kpi};
use super::outbox::{Outbox, Wanted};
use super::targets::Targets;
use crate::model::{
    AttemptFact, AttemptOutcome, EventKind, Fact, MovedFact, NatType, Path, PeerId, Reason, Snapshot, millis,
};

/// The figures, and the snapshot before.
#[derive(Debug)]
pub(super) struct Reports {
    kpi: Kpi,
    sections: Sections,
}

impl Reports {
    /// Goes on with what was counted before.
    pub(super) fn new(history: Option<History>, now: Now) -> Self {
        let kpi = Kpi::new(history.unwrap_or_else(|| History::new(now.stamp)));
        Self { kpi, sections: Sections::new(now.stamp) }
    }

    /// An attempt that counts has its outcome; one that was called off says nothing of
    /// anybody.
    pub(super) fn attempt_ended(&mut self, decided: &Decided, targets: &Targets<'_>, out: &mut Outbox) {
        let attempt = &decided.report;
        let counted = self.kpi.record(attempt, targets.peers.now);
        if counted.is_some() {
            out.want(Wanted::Save);
        }
        let Some(outcome) = attempt.outcome.filter(|o| *o != AttemptOutcome::Abandoned) else { return };
        let failed = outcome == AttemptOutcome::Unreachable;
        let peer_nat = attempt.peer_id.map_or(NatType::Unknown, |peer| targets.peers.claimed_nat(&peer));
        out.report(Fact::Attempt(AttemptFact {
            attempt: attempt.id,
            peer: attempt.peer_id,
            cause: attempt.cause,
            outcome,
            path: attempt.path,
            elapsed_ms: attempt.elapsed_ms.unwrap_or(0),
            own_nat: targets.nat.claim(),
            peer_nat,
            reason: decided.failure.as_ref().filter(|_| failed).map(Reason::code),
            again: counted.is_some_and(|counted| counted.again),
        }));
    }

    /// A link stands: if it is lost, that is another span.
    pub(super) fn link_up(&mut self, peer: &PeerId) {
        self.kpi.reached(peer);
    }

    /// A link moved to another path, over the relay `via` if that is one.
    pub(super) fn link_moved(
        &mut self,
        peer: PeerId,
        (from, to, via): (Path, Path, Option<PeerId>),
        gap: Duration,
        now: Now,
        out: &mut Outbox,
    ) {
        let gap_ms = millis(gap);
        out.event(Some(peer), EventKind::LinkMoved { from, to, via, gap_ms }, now);
        let attempt = self.kpi.moved(&peer, to);
        if attempt.is_some() {
            out.want(Wanted::Save);
        }
        out.report(Fact::Moved(MovedFact { peer, attempt, from, to, gap_ms }));
    }

    /// A link is gone: what comes next is another one.
    pub(super) fn link_down(&mut self, peer: &PeerId) {
        self.kpi.gone(peer);
    }

    /// What of the figures is to be written, if they are others than were taken last.
    pub(super) fn take_unsaved(&mut self) -> Option<History> {
        self.kpi.take_unsaved()
    }

    /// What was taken last did not get to the disk.
    pub(super) fn not_saved(&mut self) {
        self.kpi.not_saved();
    }

    /// Everything that is shown.
    pub(super) fn snapshot(&mut self, view: &View<'_>, out: &mut Outbox) -> Snapshot {
        self.sections.snapshot(self.kpi.view(), view, out)
    }
}
