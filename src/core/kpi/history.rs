//! The attempts that a node's own figures are made from: the last
//! [`HISTORY_MAX`], over restarts.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Tally;
use crate::model::{AttemptOutcome, Path, Stamp};

/// Attempts that are remembered: many days of a node, and a file of some
/// 320 KiB.
pub const HISTORY_MAX: usize = 4096;

/// An attempt that ended connected or unreachable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedAttempt {
    /// When it ended.
    pub at: Stamp,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// The path of the first usable link, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Path>,
    /// The time until then, or until it was given up.
    pub elapsed_ms: u64,
    /// Where the link moved when it left its relay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved: Option<Path>,
    /// Whether it only tried again, in vain, whom the one before had not reached.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
}

/// The latest attempts, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// When counting began.
    pub since: Stamp,
    /// The attempts.
    pub attempts: VecDeque<EndedAttempt>,
}

impl History {
    /// Of a node that counts from now on.
    pub fn new(since: Stamp) -> Self {
        Self { since, attempts: VecDeque::new() }
    }

    /// Without the attempts of a clock that was ahead: they would stand in a time to come,
    /// and push aside those that end now.
    #[must_use]
    pub fn without_the_future(mut self, now: Stamp) -> Self {
        self.attempts.retain(|ended| ended.at.age_if_past(now).is_some());
        self.since = self.since.min(now);
        self
    }

    /// Adds one; gives the one that it displaces. From then on counting begins
    /// where the oldest one ended.
    pub(super) fn push(&mut self, ended: EndedAttempt) -> Option<EndedAttempt> {
        self.attempts.push_back(ended);
        let displaced = (self.attempts.len() > HISTORY_MAX).then(|| self.attempts.pop_front()).flatten();
        if displaced.is_some() {
            self.since = self.attempts.front().map_or(self.since, |oldest| oldest.at);
        }
        displaced
    }

    /// As a file may hold it: no more than we keep, and nothing that counts
    /// nowhere.
    pub(super) fn bounded(mut self) -> Self {
        self.attempts.retain(|ended| match ended.outcome {
            AttemptOutcome::Connected => ended.path.is_some(),
            AttemptOutcome::Unreachable => ended.path.is_none(),
            AttemptOutcome::NoBetterPath | AttemptOutcome::Abandoned => false,
        });
        let surplus = self.attempts.len().saturating_sub(HISTORY_MAX);
        self.attempts.drain(..surplus);
        if surplus > 0 {
            self.since = self.attempts.front().map_or(self.since, |oldest| oldest.at);
        }
        self
    }
}

impl Tally {
    /// An attempt counts.
    pub(super) fn count(&mut self, ended: &EndedAttempt) {
        match ended.path {
            Some(path) => self.connected(path, ended.elapsed_ms, 1),
            None => self.unreachable(1, ended.again),
        }
        if let Some(to) = ended.moved {
            self.moved(to, 1);
        }
    }

    /// It counts no more.
    pub(super) fn discount(&mut self, ended: &EndedAttempt) {
        match ended.path {
            Some(Path::Direct) => self.direct -= 1,
            Some(Path::Punched) => self.punched -= 1,
            Some(Path::Relayed) => self.relayed -= 1,
            None => {
                self.unreachable -= 1;
                self.again -= u64::from(ended.again);
            }
        }
        match ended.moved {
            Some(Path::Direct) => self.moved.direct -= 1,
            Some(Path::Punched) => self.moved.punched -= 1,
            Some(Path::Relayed) | None => {}
        }
        if ended.path.is_some() {
            self.total_ms = self.total_ms.saturating_sub(ended.elapsed_ms);
            if let Some(count) = self.times.get_mut(&ended.elapsed_ms) {
                *count -= 1;
                if *count == 0 {
                    self.times.remove(&ended.elapsed_ms);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_of_a_clock_that_was_ahead_are_not_gone_on_from() {
        let now = Stamp(1_800_000_000_000);
        let ended = |at| EndedAttempt {
            at,
            outcome: AttemptOutcome::Unreachable,
            path: None,
            elapsed_ms: 1,
            moved: None,
            again: false,
        };
        let years = std::time::Duration::from_secs(10 * 365 * 86_400);
        let mut history = History::new(now.after(years));
        history.attempts.extend([ended(now), ended(now.after(years))]);
        let history = history.without_the_future(now);
        assert_eq!((history.since, history.attempts.len()), (now, 1));
    }
}
