//! What attempts do and hear, noted as it passes, for whoever asks why.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::attempts::Attempts;
use crate::core::Now;
use crate::core::ladder::{Consent, DialId, LadderOut};
use crate::core::why::{Deed, Dial, Trace};
use crate::core::wire::IHave;
use crate::model::{Attempt, AttemptId, AttemptOutcome, PeerId, Reason, StageOutcome};

/// Of attempts that run, of the newest one towards each peer, and of the one
/// before that.
#[derive(Debug, Default)]
pub(super) struct Traces {
    traces: BTreeMap<AttemptId, Trace>,
    before: BTreeMap<PeerId, AttemptId>,
}

impl Traces {
    pub(super) fn of(&self, attempt: AttemptId) -> Option<&Trace> {
        self.traces.get(&attempt)
    }

    pub(super) fn forget(&mut self, attempt: AttemptId) {
        self.traces.remove(&attempt);
        self.before.retain(|_, before| *before != attempt);
    }

    /// The attempt before the newest one. `made`: the one that made the link, which is
    /// kept whatever follows.
    pub(super) fn keep_before(&mut self, peer: PeerId, attempt: AttemptId, made: Option<AttemptId>) {
        if let Some(older) = self.before.insert(peer, attempt).filter(|older| Some(*older) != made) {
            self.traces.remove(&older);
        }
    }

    pub(super) fn before(&self, peer: &PeerId) -> Option<AttemptId> {
        self.before.get(peer).copied()
    }

    fn trace(&mut self, attempt: AttemptId) -> &mut Trace {
        self.traces.entry(attempt).or_default()
    }
}

impl Attempts {
    /// The attempt that tells most of a peer, and what it did: the newest one,
    /// but the one before while nothing came of that yet.
    pub(super) fn telling(&self, peer: &PeerId) -> Option<(Arc<Attempt>, Option<&Trace>)> {
        let newest = self.latest_report(peer)?;
        let open =
            newest.outcome.is_none() && newest.stages.iter().all(|s| s.outcome != StageOutcome::Failed);
        let before = self.traces.before.get(peer).filter(|_| open).and_then(|id| self.report(*id));
        let told = before.filter(|a| a.outcome == Some(AttemptOutcome::Unreachable)).unwrap_or(newest);
        let trace = self.traces.of(told.id);
        Some((told, trace))
    }

    /// What that did.
    pub(super) fn trace(&self, peer: &PeerId) -> Option<&Trace> {
        self.telling(peer)?.1
    }

    /// Notes what an attempt wants done.
    pub(super) fn note_wanted(&mut self, id: AttemptId, wanted: &LadderOut, now: Now) {
        let at = now.stamp;
        match wanted {
            LadderOut::Dial { dial, addr, .. } => {
                self.traces.trace(id).wanted(*dial, Dial::To(*addr, false));
            }
            LadderOut::Punch { dial, addr, .. } => {
                self.traces.trace(id).wanted(*dial, Dial::To(*addr, true));
            }
            LadderOut::RequestPunch(via) => self.traces.trace(id).add(Deed::Asked(via.peer, false), at),
            LadderOut::Invite { via, .. } => self.traces.trace(id).add(Deed::Asked(*via, true), at),
            LadderOut::DialLane { dial, relay, .. } => {
                self.traces.trace(id).wanted(*dial, Dial::Lane(relay.relay, relay.addr));
            }
            _ => {}
        }
    }

    /// A dial of an attempt is under way.
    pub(super) fn note_sent(&mut self, dial: DialId, now: Now) {
        if self.is_live(dial.attempt) {
            self.traces.trace(dial.attempt).dialled(dial, now.stamp);
        }
    }

    pub(super) fn note_asked(&mut self, id: AttemptId, count: usize, now: Now) {
        self.traces.trace(id).add(Deed::AskedWhoHas(count), now.stamp);
    }

    pub(super) fn note_failed(&mut self, dial: DialId, reason: &Reason, now: Now) {
        if self.is_live(dial.attempt) {
            self.traces.trace(dial.attempt).dial_failed(dial, reason, now.stamp);
        }
    }

    pub(super) fn note_has(&mut self, id: AttemptId, from: PeerId, said: &IHave, now: Now) {
        let deed = match said.observed {
            Some(at) => Deed::Has(from, crate::model::plain_addr(at)),
            None => Deed::HasNot(from),
        };
        self.traces.trace(id).add(deed, now.stamp);
    }

    pub(super) fn note_answer(&mut self, id: AttemptId, from: PeerId, said: &Consent, now: Now) {
        let deed = match said {
            Consent::Agreed(at) => Deed::Agreed(from, *at),
            Consent::Elsewhere(reason) | Consent::Refused(reason) => Deed::TurnedDown(from, reason.clone()),
        };
        self.traces.trace(id).add(deed, now.stamp);
    }
}
