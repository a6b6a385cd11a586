//! What was asked of us and what we decided, for a while: so that who asks why a
//! punch came to nothing can be told our part of it. Each requester is told of
//! its own requests only.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::core::Mono;
use crate::core::limits::{COORDINATION_LOG_MAX, COORDINATION_LOG_PER_REQUESTER};
use crate::core::wire::Refusal;
use crate::model::PeerId;

/// One thing that happened to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// As intermediary we passed it on to the target.
    PassedOn,
    /// As intermediary we refused it, by that rule or rate.
    Refused(Refusal, &'static str),
    /// The target agreed; this is where we see it.
    TargetAgreed(SocketAddr),
    /// The target did not.
    TargetRefused,
    /// The target follows too many just now.
    TargetBusy,
    /// The target's operator disconnected the requester a moment ago.
    TargetHoldsOff,
    /// The target did not answer us.
    TargetSilent,
    /// As target we agreed to it.
    Taken,
    /// As target we do not follow it.
    Declined(Declined),
    /// As target we dialled that address for it.
    Dialled(SocketAddr),
    /// What we dialled for it: nothing came back.
    HeardNothing(SocketAddr),
}

/// Why we do not follow a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Declined {
    /// Our operator disconnected the requester a moment ago.
    HeldOff,
    /// We follow too many just now.
    Busy,
    /// We take none of its, or we had this one before.
    Unwanted,
    /// Where it is to lead we do not dial.
    Nowhere,
}

/// Something noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    /// When it happened.
    pub at: Mono,
    /// The peer that asked.
    pub requester: PeerId,
    /// For whom; `None`: for us.
    pub target: Option<PeerId>,
    /// Whether it was an invitation to a relay, not a punch.
    pub invitation: bool,
    /// What happened.
    pub step: Step,
}

impl Noted {
    /// As it is told, short enough to be shown whole.
    pub fn text(&self) -> String {
        let what = if self.invitation { "invitation" } else { "punch" };
        match &self.step {
            Step::PassedOn => format!("{what} passed on to the target"),
            Step::Refused(Refusal::UnknownTarget, _) => {
                format!("{what} refused: not connected to the target")
            }
            Step::Refused(Refusal::RateLimited, rate) => format!("{what} refused: too many, {rate}"),
            Step::Refused(_, rule) => format!("{what} refused: {rule}"),
            Step::TargetAgreed(at) => format!("the target agreed; it is seen at {at}"),
            Step::TargetRefused => "the target does not want to".to_owned(),
            Step::TargetBusy => "the target follows too many just now".to_owned(),
            Step::TargetHoldsOff => "the target's operator holds links with the asker off".to_owned(),
            Step::TargetSilent => "the target did not answer".to_owned(),
            Step::Taken => format!("{what} taken"),
            Step::Declined(why) => format!("{what} not taken: {}", why.text()),
            Step::Dialled(at) if self.invitation => format!("dialled {at}, the reservation"),
            Step::Dialled(at) => format!("dialled {at} for the punch"),
            Step::HeardNothing(at) => format!("heard nothing from {at}"),
        }
    }
}

impl Declined {
    fn text(self) -> &'static str {
        match self {
            Self::HeldOff => "the operator here disconnected it",
            Self::Busy => "too many just now",
            Self::Unwanted => "without consent",
            Self::Nowhere => "not to be dialled",
        }
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
        Noted { at: Mono::from_millis(ms), requester, target, invitation: false, step: Step::PassedOn }
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
