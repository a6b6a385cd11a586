//! What attempts do and hear, noted as it passes, for whoever asks why.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::Attempts;
use crate::core::Now;
use crate::core::ladder::{Consent, DialId, LadderOut};
use crate::core::why::{Dial, Trace};
use crate::core::wire::IHave;
use crate::model::{Attempt, AttemptId, AttemptOutcome, PeerId, Reason, StageOutcome, TraceEvent};

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

    /// Notes what an attempt wants done.
    pub(super) fn wanted(&mut self, id: AttemptId, wanted: &LadderOut, now: Now) {
        let (at, trace) = (now.stamp, self.traces.entry(id).or_default());
        match wanted {
            LadderOut::Dial { dial, addr, .. } => trace.wanted(*dial, Dial::To(*addr, false)),
            LadderOut::Punch { dial, addr, .. } => trace.wanted(*dial, Dial::To(*addr, true)),
            LadderOut::RequestPunch(via) => {
                trace.add(TraceEvent::Asked { via: via.peer, invitation: false }, at);
            }
            LadderOut::Invite { via, .. } => trace.add(TraceEvent::Asked { via: *via, invitation: true }, at),
            LadderOut::DialLane { dial, relay, .. } => {
                trace.wanted(*dial, Dial::Lane(relay.relay, relay.addr));
            }
            _ => {}
        }
    }

    /// A dial came to nothing.
    pub(super) fn dial_failed(&mut self, dial: DialId, reason: &Reason, now: Now) {
        self.traces.entry(dial.attempt).or_default().dial_failed(dial, reason, now.stamp);
    }

    pub(super) fn asked(&mut self, id: AttemptId, count: usize, now: Now) {
        self.add(id, TraceEvent::AskedWhoHas { linked: count }, now);
    }

    pub(super) fn has(&mut self, id: AttemptId, from: PeerId, said: &IHave, now: Now) {
        let deed = match said.observed {
            Some(at) => TraceEvent::Has { who: from, at: crate::model::plain_addr(at) },
            None => TraceEvent::HasNot { who: from },
        };
        self.add(id, deed, now);
    }

    pub(super) fn answered(&mut self, id: AttemptId, from: PeerId, said: &Consent, now: Now) {
        let deed = match said {
            Consent::Agreed(at) => TraceEvent::Agreed { via: from, at: *at },
            Consent::Elsewhere(reason) | Consent::Refused(reason) => {
                TraceEvent::TurnedDown { via: from, reason: reason.clone() }
            }
        };
        self.add(id, deed, now);
    }

    fn add(&mut self, id: AttemptId, deed: TraceEvent, now: Now) {
        self.traces.entry(id).or_default().add(deed, now.stamp);
    }
}

impl Attempts {
    /// The attempt that tells most of a peer, and what it did: the newest one,
    /// but the one before while nothing came of that yet.
    pub(in crate::core) fn telling(&self, peer: &PeerId) -> Option<(Arc<Attempt>, Option<&Trace>)> {
        let newest = self.latest_report(peer)?;
        let open =
            newest.outcome.is_none() && newest.stages.iter().all(|s| s.outcome != StageOutcome::Failed);
        let before = self.traces.before.get(peer).filter(|_| open).and_then(|id| self.report(*id));
        let told = before.filter(|a| a.outcome == Some(AttemptOutcome::Unreachable)).unwrap_or(newest);
        let trace = self.traces.of(told.id);
        Some((told, trace))
    }

    /// What that did.
    pub(in crate::core) fn trace(&self, peer: &PeerId) -> Option<&Trace> {
        self.telling(peer)?.1
    }

    /// A dial of an attempt is under way.
    pub(super) fn note_sent(&mut self, dial: DialId, now: Now) {
        if self.is_live(dial.attempt) {
            self.traces.traces.entry(dial.attempt).or_default().dialled(dial, now.stamp);
        }
    }

    /// A short datagram was answered where attempts dialled and heard nothing.
    pub(in crate::core) fn note_short_passed(&mut self, addr: SocketAddr, now: Now) {
        for trace in self.traces.traces.values_mut() {
            trace.short_passed_at(addr, now.stamp);
        }
    }
}
