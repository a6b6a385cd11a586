//! What was asked of us and what we decided, for a while: so that who asks why a
//! punch came to nothing can be told our part of it. Each requester is told of
//! its own requests only.

use std::collections::VecDeque;

use crate::core::Mono;
use crate::core::limits::{COORDINATION_LOG_MAX, COORDINATION_LOG_PER_REQUESTER};
use crate::model::{CoordinationStep, PeerId, TraceEvent};

/// Something noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    /// When.
    pub at: Mono,
    /// Who asked.
    pub requester: PeerId,
    /// For whom; `None`: for us.
    pub target: Option<PeerId>,
    /// Whether it was an invitation to a relay, not a punch.
    pub invitation: bool,
    /// What happened.
    pub step: CoordinationStep,
}

impl Noted {
    /// As it is told.
    pub fn event(&self) -> TraceEvent {
        TraceEvent::Coordinated { invitation: self.invitation, step: self.step }
    }
}

/// The newest of what was noted.
#[derive(Debug, Default)]
pub struct Log(VecDeque<Noted>);

impl Log {
    pub(super) fn note(&mut self, noted: Noted) {
        // One that asks all the time only pushes out what it asked itself.
        let own = self.0.iter().filter(|n| n.requester == noted.requester).count();
        if own >= COORDINATION_LOG_PER_REQUESTER {
            let oldest = self.0.iter().position(|n| n.requester == noted.requester);
            oldest.map(|at| self.0.remove(at));
        }
        if self.0.len() >= COORDINATION_LOG_MAX {
            self.0.pop_front();
        }
        self.0.push_back(noted);
    }

    /// What became of a requester's requests for that target, `None` for us, the
    /// oldest first.
    pub fn of(&self, requester: PeerId, target: Option<PeerId>) -> impl Iterator<Item = &Noted> {
        self.0.iter().filter(move |n| n.requester == requester && n.target == target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(requester: u8, target: u8, ms: u64) -> Noted {
        let (requester, target) = (PeerId([requester; 32]), Some(PeerId([target; 32])));
        Noted {
            at: Mono::from_millis(ms),
            requester,
            target,
            invitation: false,
            step: CoordinationStep::PassedOn,
        }
    }

    #[test]
    fn a_requester_hears_of_its_own_requests_only() {
        let mut log = Log::default();
        log.note(noted(1, 9, 0));
        log.note(noted(2, 9, 1));
        assert_eq!(log.of(PeerId([1; 32]), Some(PeerId([9; 32]))).count(), 1);
        assert_eq!(log.of(PeerId([1; 32]), None).count(), 0);
    }

    #[test]
    fn who_asks_all_the_time_pushes_out_only_what_it_asked_itself() {
        let mut log = Log::default();
        log.note(noted(1, 9, 0));
        for n in 0..1_000 {
            log.note(noted(2, 9, n));
        }
        assert_eq!(log.of(PeerId([1; 32]), Some(PeerId([9; 32]))).count(), 1);
        assert_eq!(log.0.len(), 1 + COORDINATION_LOG_PER_REQUESTER);
        for n in 0..=u8::MAX {
            (0..4).for_each(|ms| log.note(noted(n, 9, ms)));
        }
        assert_eq!(log.0.len(), COORDINATION_LOG_MAX);
    }
}
