//! When the cache is written: within a second of a significant change, one
//! save at a time, and again and again after a failure.

use std::time::Duration;

use crate::core::backoff::Backoff;
use crate::core::{Mono, Now};
use crate::model::{SaveState, Stamp};
use rand::Rng;

/// Changes that come together are saved together, well within the second.
const GATHER: Duration = Duration::from_millis(400);
/// Between tries after a failure.
const RETRY: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(60) };

/// The schedule.
#[derive(Debug, Default)]
pub(super) struct Saving {
    due: Option<Mono>,
    running: bool,
    failures: u32,
    saved: Option<Stamp>,
    failed: Option<(String, Stamp)>,
}

/// What an ended save means.
#[derive(Debug, PartialEq)]
pub(super) enum Ended {
    /// As it should be.
    Saved,
    /// After failures.
    SavedAgain,
    /// It failed; the next try is due after this.
    Failed(Duration),
}

impl Saving {
    /// Something significant changed.
    pub(super) fn touch(&mut self, now: Mono) {
        self.due.get_or_insert(now + GATHER);
    }

    /// Whether to save now; the caller does.
    pub(super) fn take_due(&mut self, now: Mono) -> bool {
        let due = !self.running && self.due.is_some_and(|at| at <= now);
        if due {
            self.due = None;
            self.running = true;
        }
        due
    }

    /// When [`Self::take_due`] wants to be called.
    pub(super) fn next_timeout(&self) -> Option<Mono> {
        self.due.filter(|_| !self.running)
    }

    /// A save ended.
    pub(super) fn on_saved(&mut self, result: Result<(), String>, now: Now, rng: &mut impl Rng) -> Ended {
        self.running = false;
        match result {
            Ok(()) => {
                self.saved = Some(now.stamp);
                self.failures = 0;
                if self.failed.take().is_some() { Ended::SavedAgain } else { Ended::Saved }
            }
            Err(detail) => {
                self.failures += 1;
                let wait = RETRY.after(self.failures, rng);
                self.due = Some(now.mono + wait);
                let since = self.failed.take().map_or(now.stamp, |(_, since)| since);
                self.failed = Some((detail, since));
                Ended::Failed(wait)
            }
        }
    }

    /// As it is shown.
    pub(super) fn view(&self) -> SaveState {
        match (&self.failed, self.due.is_some() || self.running, self.saved) {
            (Some((detail, since)), ..) => SaveState::Failed { detail: detail.clone(), since: *since },
            (None, true, _) => SaveState::Due,
            (None, false, Some(at)) => SaveState::Saved { at },
            (None, false, None) => SaveState::Empty,
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn at(ms: u64) -> Now {
        Now::START.plus(Duration::from_millis(ms))
    }

    #[test]
    fn a_change_is_saved_within_a_second_and_further_ones_do_not_put_it_off() {
        let mut saving = Saving::default();
        saving.touch(at(0).mono);
        saving.touch(at(300).mono);
        assert!(saving.next_timeout().unwrap() <= at(1000).mono);
        assert!(!saving.take_due(at(100).mono));
        assert!(saving.take_due(at(400).mono));
    }

    #[test]
    fn one_save_runs_at_a_time_and_a_change_meanwhile_is_not_forgotten() {
        let mut saving = Saving::default();
        saving.touch(at(0).mono);
        assert!(saving.take_due(at(400).mono));
        saving.touch(at(500).mono);
        assert!(!saving.take_due(at(2000).mono));
        saving.on_saved(Ok(()), at(2000), &mut StdRng::seed_from_u64(1));
        assert!(saving.take_due(at(2000).mono));
    }

    #[test]
    fn a_failed_save_is_shown_and_retried_after_one_to_sixty_seconds_until_it_succeeds() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut saving = Saving::default();
        saving.touch(at(0).mono);
        let mut now = at(400);
        for round in 1..12u32 {
            assert!(saving.take_due(now.mono), "round {round}");
            let Ended::Failed(wait) = saving.on_saved(Err("disk full".into()), now, &mut rng) else {
                panic!()
            };
            assert!((0.8..=72.0).contains(&wait.as_secs_f64()), "{wait:?}");
            assert!(matches!(saving.view(), SaveState::Failed { since, .. } if since == at(400).stamp));
            now = now.plus(wait);
        }
        assert!(saving.take_due(now.mono));
        assert_eq!(saving.on_saved(Ok(()), now, &mut rng), Ended::SavedAgain);
        assert_eq!(saving.view(), SaveState::Saved { at: now.stamp });
    }
}
