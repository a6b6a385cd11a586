//! What a node's log keeps for a while beside what its configuration says: which targets,
//! how fine, until when. Who has the log carries it out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Mono, Now};
use crate::model::{
    LOG_CHANGES_MAX, LOG_FOR_MAX, LogChange, LogDetail, LogView, Reason, Stamp, TargetDetail,
};

/// The changes that hold, by target.
#[derive(Debug, Default)]
pub struct LogChanges {
    held: BTreeMap<String, Held>,
    view: Arc<LogView>,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    detail: LogDetail,
    end: Mono,
    until: Stamp,
}

impl LogChanges {
    /// Takes changes that hold from now on; what was said of the same target before does
    /// not any more.
    ///
    /// # Errors
    /// Why none of them was taken.
    pub fn take(&mut self, details: &[TargetDetail], for_ms: u64, now: Now) -> Result<(), Reason> {
        if details.is_empty() || !details.iter().all(TargetDetail::is_sound) {
            return Err(Reason::NoLogTarget);
        }
        let new = details.iter().filter(|d| !self.held.contains_key(&d.target)).count();
        if self.held.len() + new > LOG_CHANGES_MAX {
            return Err(Reason::Limit { limit: format!("{LOG_CHANGES_MAX} targets of the log at a time") });
        }
        let time = Duration::from_millis(for_ms).min(LOG_FOR_MAX);
        for TargetDetail { target, detail } in details {
            let held = Held { detail: *detail, end: now.mono + time, until: now.stamp.after(time) };
            self.held.insert(target.clone(), held);
        }
        self.show();
        Ok(())
    }

    /// Ends all of them.
    pub fn reset(&mut self) {
        self.held.clear();
        self.show();
    }

    /// Ends those whose time is over. Says whether there were any.
    pub fn timeout(&mut self, now: Mono) -> bool {
        let before = self.held.len();
        self.held.retain(|_, held| held.end > now);
        let ended = self.held.len() < before;
        if ended {
            self.show();
        }
        ended
    }

    /// The configuration says this from now on.
    pub fn set_filter(&mut self, filter: String) {
        if self.view.filter.as_ref() != Some(&filter) {
            Arc::make_mut(&mut self.view).filter = Some(filter);
        }
    }

    /// What is kept beside what the configuration says.
    pub fn details(&self) -> Vec<TargetDetail> {
        self.view.changes.iter().map(|change| change.what.clone()).collect()
    }

    /// As it is shown.
    pub fn view(&self) -> &Arc<LogView> {
        &self.view
    }

    fn show(&mut self) {
        let change = |(target, held): (&String, &Held)| LogChange {
            what: TargetDetail { target: target.clone(), detail: held.detail },
            until: held.until,
        };
        Arc::make_mut(&mut self.view).changes = self.held.iter().map(change).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Now {
        Now::START.plus(Duration::from_secs(s))
    }

    fn debug(target: &str) -> TargetDetail {
        TargetDetail { target: target.to_owned(), detail: LogDetail::Debug }
    }

    #[test]
    fn a_change_ends_by_itself_and_says_until_when_it_holds() {
        let mut changes = LogChanges::default();
        changes.take(&[debug("a")], 600_000, at(0)).unwrap();
        changes.take(&[debug("b")], 60_000, at(10)).unwrap();
        assert_eq!(changes.view().changes[0].until, at(600).stamp);
        assert!(!changes.timeout(at(69).mono));
        assert!(changes.timeout(at(70).mono));
        assert_eq!(changes.details(), [debug("a")]);
        changes.reset();
        assert!(changes.details().is_empty());
    }

    #[test]
    fn nothing_holds_longer_than_a_day_and_only_so_many_targets_are_changed_at_a_time() {
        let mut changes = LogChanges::default();
        changes.take(&[debug("a")], u64::MAX, at(0)).unwrap();
        assert_eq!(changes.view().changes[0].until, at(24 * 3600).stamp);
        let many: Vec<_> = (0..LOG_CHANGES_MAX).map(|n| debug(&format!("t{n}"))).collect();
        assert!(matches!(changes.take(&many, 1, at(0)), Err(Reason::Limit { .. })));
        assert_eq!(changes.details().len(), 1, "none of them was taken");
        assert_eq!(changes.take(&[debug("no such name")], 1, at(0)), Err(Reason::NoLogTarget));
    }
}
