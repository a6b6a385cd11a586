//! What attempts do and hear, noted as it passes, for whoever asks why.

use std::collections::BTreeMap;

use super::attempts::Attempts;
use crate::core::Now;
use crate::core::ladder::{Consent, DialId, LadderOut};
use crate::core::why::{Deed, Trace};
use crate::core::wire::IHave;
use crate::model::{AttemptId, PeerId, Reason};

/// Of attempts that run, and of the newest one towards each peer.
#[derive(Debug, Default)]
pub(super) struct Traces(BTreeMap<AttemptId, Trace>);

impl Traces {
    pub(super) fn of(&self, attempt: AttemptId) -> Option<&Trace> {
        self.0.get(&attempt)
    }

    pub(super) fn forget(&mut self, attempt: AttemptId) {
        self.0.remove(&attempt);
    }

    fn trace(&mut self, attempt: AttemptId) -> &mut Trace {
        self.0.entry(attempt).or_default()
    }
}

impl Attempts {
    /// What the newest attempt towards a peer did.
    pub(super) fn trace(&self, peer: &PeerId) -> Option<&Trace> {
        self.traces.of(self.latest(peer)?)
    }

    /// Notes what an attempt wants done.
    pub(super) fn note_wanted(&mut self, id: AttemptId, wanted: &LadderOut, now: Now) {
        let at = now.stamp;
        match wanted {
            LadderOut::Dial { dial, addr, .. } => self.traces.trace(id).dialled(*dial, *addr, false, at),
            LadderOut::Punch { dial, addr, .. } => self.traces.trace(id).dialled(*dial, *addr, true, at),
            LadderOut::RequestPunch(via) => self.traces.trace(id).add(Deed::Asked(via.peer, false), at),
            LadderOut::Invite { via, .. } => self.traces.trace(id).add(Deed::Asked(*via, true), at),
            LadderOut::DialLane { relay, .. } => {
                self.traces.trace(id).add(Deed::LaneDialled(relay.relay, relay.addr), at);
            }
            _ => {}
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
