//! When the cache is written, and what of it: within a second of a significant change,
//! one save at a time, and again and again after a failure.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::core::backoff::Backoff;
use crate::core::io::Action;
use crate::core::outbox::Outbox;
use crate::core::{Mono, Now};
use crate::model::{EventKind, PeerId, SaveState, Stamp, millis};

/// Changes that come together are saved together, well within the second.
const GATHER: Duration = Duration::from_millis(400);
/// Between tries after a failure.
const RETRY: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(60) };

/// The schedule.
#[derive(Debug)]
pub(super) struct Saving {
    due: Option<Mono>,
    running: bool,
    failures: u32,
    saved: Option<Stamp>,
    failed: Option<(String, Stamp)>,
    /// Peers that changed since the last save.
    changed: BTreeSet<PeerId>,
    /// Files that were damaged, and what is wrong with them.
    set_aside: Vec<(String, String)>,
    rng: StdRng,
}

impl Saving {
    /// `set_aside`: files that were damaged, and what is wrong with them.
    pub(super) fn new(set_aside: Vec<(String, String)>, seed: u64) -> Self {
        Self {
            due: None,
            running: false,
            failures: 0,
            saved: None,
            failed: None,
            changed: BTreeSet::new(),
            set_aside,
            rng: StdRng::seed_from_u64(seed),
        }
    }

    /// Files that were damaged, and what is wrong with them.
    pub(super) fn set_aside(&self) -> &[(String, String)] {
        &self.set_aside
    }

    /// Something significant changed.
    pub(super) fn touch(&mut self, now: Mono) {
        self.due.get_or_insert(now + GATHER);
    }

    /// What is kept of this peer changed; that alone is no reason to save.
    pub(super) fn note(&mut self, peer: PeerId) {
        self.changed.insert(peer);
    }

    /// The peers that changed since this was last asked.
    pub(super) fn take_changed(&mut self) -> BTreeSet<PeerId> {
        std::mem::take(&mut self.changed)
    }

    /// Saves if that is due.
    pub(super) fn timeout(&mut self, now: Mono, out: &mut Outbox) {
        if !self.running && self.due.is_some_and(|at| at <= now) {
            self.due = None;
            self.running = true;
            out.push(Action::Save);
        }
    }

    /// When [`Self::timeout`] wants to be called.
    pub(super) fn next_timeout(&self) -> Option<Mono> {
        self.due.filter(|_| !self.running)
    }

    /// A save ended. Whether it did as it should.
    pub(super) fn on_saved(&mut self, result: Result<(), String>, now: Now, out: &mut Outbox) -> bool {
        self.running = false;
        let Err(detail) = result else {
            self.saved = Some(now.stamp);
            self.failures = 0;
            if self.failed.take().is_some() {
                out.event(None, EventKind::CacheSavedAgain, now);
            }
            return true;
        };
        self.failures += 1;
        let wait = RETRY.after(self.failures, &mut self.rng);
        self.due = Some(now.mono + wait);
        let since = self.failed.take().map_or(now.stamp, |(_, since)| since);
        self.failed = Some((detail.clone(), since));
        out.event(None, EventKind::CacheSaveFailed { detail, retry_ms: millis(wait) }, now);
        false
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
    use super::*;

    fn at(ms: u64) -> Now {
        Now::START.plus(Duration::from_millis(ms))
    }

    /// Whether it saves at this moment.
    fn saves(saving: &mut Saving, now: Now) -> bool {
        let mut out = Outbox::default();
        saving.timeout(now.mono, &mut out);
        matches!(out.poll(), Some(Action::Save))
    }

    #[test]
    fn a_change_is_saved_within_a_second_and_further_ones_do_not_put_it_off() {
        let mut saving = Saving::new(Vec::new(), 1);
        saving.touch(at(0).mono);
        saving.touch(at(300).mono);
        assert!(saving.next_timeout().unwrap() <= at(1000).mono);
        assert!(!saves(&mut saving, at(100)));
        assert!(saves(&mut saving, at(400)));
    }

    #[test]
    fn one_save_runs_at_a_time_and_a_change_meanwhile_is_not_forgotten() {
        let mut saving = Saving::new(Vec::new(), 1);
        saving.touch(at(0).mono);
        assert!(saves(&mut saving, at(400)));
        saving.touch(at(500).mono);
        assert!(!saves(&mut saving, at(2000)));
        saving.on_saved(Ok(()), at(2000), &mut Outbox::default());
        assert!(saves(&mut saving, at(2000)));
    }

    #[test]
    fn a_failed_save_is_shown_and_retried_after_one_to_sixty_seconds_until_it_succeeds() {
        let mut saving = Saving::new(Vec::new(), 1);
        saving.touch(at(0).mono);
        let mut now = at(400);
        for round in 1..12u32 {
            assert!(saves(&mut saving, now), "round {round}");
            let mut out = Outbox::default();
            assert!(!saving.on_saved(Err("disk full".into()), now, &mut out));
            let Some(Action::Event(told)) = out.poll() else { panic!() };
            let EventKind::CacheSaveFailed { retry_ms, .. } = told.kind else { panic!() };
            let wait = Duration::from_millis(retry_ms);
            assert!((0.8..=72.0).contains(&wait.as_secs_f64()), "{wait:?}");
            assert!(matches!(saving.view(), SaveState::Failed { since, .. } if since == at(400).stamp));
            now = now.plus(wait + Duration::from_millis(1));
        }
        assert!(saves(&mut saving, now));
        let mut out = Outbox::default();
        assert!(saving.on_saved(Ok(()), now, &mut out));
        let told = out.poll();
        assert!(matches!(told, Some(Action::Event(e)) if e.kind == EventKind::CacheSavedAgain));
        assert_eq!(saving.view(), SaveState::Saved { at: now.stamp });
    }
}
