//! What a registry is told of: facts, as they happen. Whether there is one to
//! tell, the engine does not know.

use super::Engine;
use crate::core::Now;
use crate::model::{Attempt, AttemptFact, AttemptOutcome, Fact, NatType, Reason};

impl Engine {
    /// An attempt ended; one that was called off says nothing of anybody.
    pub(super) fn report_attempt(
        &mut self,
        attempt: &Attempt,
        failure: Option<&Reason>,
        again: bool,
        now: Now,
    ) {
        let Some(outcome) = attempt.outcome.filter(|o| *o != AttemptOutcome::Abandoned) else { return };
        let failed = outcome == AttemptOutcome::Unreachable;
        let peer_nat = attempt.peer_id.map_or(NatType::Unknown, |peer| self.peers(now).claimed_nat(&peer));
        self.outbox.report(Fact::Attempt(AttemptFact {
            attempt: attempt.id,
            peer: attempt.peer_id,
            cause: attempt.cause,
            outcome,
            path: attempt.path,
            elapsed_ms: attempt.elapsed_ms.unwrap_or(0),
            own_nat: self.nat.claim(),
            peer_nat,
            reason: failure.filter(|_| failed).map(|reason| reason.code().to_owned()),
            again,
        }));
    }
}
