//! The punch stage: ask who is connected to the target, have the best of them
//! coordinate, and meet the target's dial.
//!
//! A punch is two dials that cross. Ours goes out with the request, so that our
//! NAT lets the target's in; the target dials as soon as it hears of us. Where
//! its dial cannot come in (our NAT gives us another port for it) or does not,
//! we dial once more when it has agreed: by then its NAT knows us.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Candidate, DialId, better};
use crate::core::Mono;
use crate::model::Reason;

/// How long linked peers have to say who is connected to the target.
pub(super) const WHO_HAS_WAIT: Duration = Duration::from_secs(1);
/// A verified public intermediary that answered is not kept waiting for better
/// ones longer than this; any other one that long, or as long again as its
/// answer took.
const BETTER_WAIT: Duration = Duration::from_millis(10);
/// How long an intermediary has to agree.
pub(super) const CONSENT_WAIT: Duration = Duration::from_secs(3);
/// How long the target's dial is waited for where it should come in, and how
/// long after a failure we dial again: longer than a round trip, and shorter
/// than QUIC waits before it repeats its first packet.
pub(super) const PUNCH_AGAIN: Duration = Duration::from_millis(500);

/// Where the stage stands.
#[derive(Debug)]
pub(super) enum Punch {
    /// Questions are out.
    Asking { since: Mono, until: Mono, open: usize, found: Vec<Candidate> },
    /// The intermediary asks the target. Our dial towards it opens our NAT.
    Consenting { until: Mono, via: Candidate, rest: Vec<Candidate>, dial: Option<DialId> },
    /// The target dials us, and we dial it, `again` if that is set.
    Punching {
        until: Mono,
        via: Candidate,
        rest: Vec<Candidate>,
        dial: Option<DialId>,
        again: Option<Mono>,
        /// Why our last dial failed.
        last: Option<Reason>,
    },
}

impl Punch {
    pub(super) fn asking(now: Mono) -> Self {
        Self::Asking { since: now, until: now + WHO_HAS_WAIT, open: usize::MAX, found: Vec::new() }
    }

    /// Takes an answer; whether there is nothing left to wait for.
    pub(super) fn on_answer(&mut self, candidate: Option<Candidate>, now: Mono) -> bool {
        let (since, until, open, found) = match self {
            Self::Asking { since, until, open, found } => (since, until, open, found),
            Self::Consenting { via, rest, .. } | Self::Punching { via, rest, .. } => {
                let new = |c: &Candidate| c.peer != via.peer && rest.iter().all(|r| r.peer != c.peer);
                let new = candidate.filter(new);
                rest.extend(new);
                return false;
            }
        };
        *open = open.saturating_sub(1);
        if let Some(candidate) = &candidate {
            let took = now.since(*since);
            let wait = if candidate.verified_public { BETTER_WAIT } else { took.max(BETTER_WAIT) };
            *until = (*until).min(now + wait);
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
            Self::Asking { until, .. } | Self::Consenting { until, .. } => *until,
            Self::Punching { until, again, .. } => again.unwrap_or(*until).min(*until),
        }
    }

    /// The dial that runs.
    pub(super) fn dial(&self) -> Option<DialId> {
        match self {
            Self::Consenting { dial, .. } | Self::Punching { dial, .. } => *dial,
            Self::Asking { .. } => None,
        }
    }

    /// Who is left to coordinate the next round.
    pub(super) fn into_rest(self) -> Vec<Candidate> {
        match self {
            Self::Consenting { rest, .. } | Self::Punching { rest, .. } => rest,
            Self::Asking { .. } => Vec::new(),
        }
    }

    /// Our dial failed, and not for good: the target's may still come, and ours
    /// is repeated. Whether it was ours.
    pub(super) fn on_failed(&mut self, failed: DialId, reason: &Reason, now: Mono) -> bool {
        if self.dial() != Some(failed) {
            return false;
        }
        match self {
            Self::Consenting { dial, .. } => *dial = None,
            Self::Punching { .. } => self.on_lost(reason, now),
            Self::Asking { .. } => {}
        }
        true
    }

    /// What we dialled lost against another connection, which mostly is the
    /// link before we dial again.
    pub(super) fn on_lost(&mut self, reason: &Reason, now: Mono) {
        if let Self::Punching { dial, again, last, .. } = self {
            *dial = None;
            *again = Some(now + PUNCH_AGAIN);
            // Silence is told by the window that it filled.
            if !matches!(reason, Reason::NoAnswer { .. } | Reason::TimedOut { .. }) {
                *last = Some(reason.clone());
            }
        }
    }
}

/// What an intermediary answered to a punch request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Consent {
    /// The target dials us; this is its address as the intermediary sees it.
    Agreed(SocketAddr),
    /// Another intermediary may do it.
    Elsewhere(Reason),
    /// The target does not want to.
    Refused(Reason),
}
