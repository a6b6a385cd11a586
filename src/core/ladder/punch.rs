//! The punch stage: ask who is connected to the target, have the best of them
//! agree, and punch through it.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Candidate, DialId, better};
use crate::core::Mono;

/// How long linked peers have to say who is connected to the target.
pub(super) const WHO_HAS_WAIT: Duration = Duration::from_secs(1);
/// A verified public intermediary that answered is not kept waiting for better
/// ones longer than this.
const BETTER_WAIT: Duration = Duration::from_millis(10);
/// How long an intermediary has to agree.
pub(super) const CONSENT_WAIT: Duration = Duration::from_secs(3);

/// Where the stage stands.
#[derive(Debug)]
pub(super) enum Punch {
    /// Questions are out.
    Asking { until: Mono, open: usize, found: Vec<Candidate> },
    /// The intermediary asks the target.
    Consenting { until: Mono, via: Candidate, rest: Vec<Candidate> },
    /// The punch itself.
    Punching { until: Mono, dial: DialId, rest: Vec<Candidate> },
}

impl Punch {
    pub(super) fn asking(now: Mono) -> Self {
        Self::Asking { until: now + WHO_HAS_WAIT, open: usize::MAX, found: Vec::new() }
    }

    /// Takes an answer; whether there is nothing left to wait for.
    pub(super) fn on_answer(&mut self, candidate: Option<Candidate>, now: Mono) -> bool {
        let Self::Asking { until, open, found } = self else { return false };
        *open = open.saturating_sub(1);
        if candidate.as_ref().is_some_and(|c| c.verified_public) {
            *until = (*until).min(now + BETTER_WAIT);
        }
        found.extend(candidate);
        *open == 0
    }

    /// The answers so far, the best first.
    pub(super) fn take_found(&mut self) -> Vec<Candidate> {
        let Self::Asking { found, .. } = self else { return Vec::new() };
        let mut found = std::mem::take(found);
        found.sort_by(better);
        found
    }

    pub(super) fn next_timeout(&self) -> Mono {
        match self {
            Self::Asking { until, .. } | Self::Consenting { until, .. } | Self::Punching { until, .. } => {
                *until
            }
        }
    }

    /// The dial that runs.
    pub(super) fn dial(&self) -> Option<DialId> {
        match self {
            Self::Punching { dial, .. } => Some(*dial),
            _ => None,
        }
    }
}

/// What an intermediary answered to a punch request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Consent {
    /// The target was told; this is its address as the intermediary sees it.
    Agreed(SocketAddr),
    /// Another intermediary may do it.
    Elsewhere(crate::model::Reason),
    /// The target does not want to.
    Refused(crate::model::Reason),
}
