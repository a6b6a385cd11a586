//! The log of the process, where it is this node's to change: what somebody wants kept of
//! it for a while. Which lines are kept is the process's, and who has it is told.

use std::fmt::Debug;
use std::sync::Arc;

use crate::core::Now;
use crate::core::logging::LogChanges;
use crate::model::{Command, Done, Failure, LogView, Reason, TargetDetail};

/// Who keeps the log of the process.
pub trait LogControl: Debug + Send + Sync {
    /// The filter of its configuration.
    fn filter(&self) -> String;
    /// Keeps these beside it from now on, and none that were said before.
    fn keep(&self, details: &[TargetDetail]);
    /// The same for another node of the process: what several want adds up.
    fn another(&self) -> Arc<dyn LogControl>;
}

/// What a node has of that.
#[derive(Debug, Default)]
pub(super) struct NodeLog {
    control: Option<Arc<dyn LogControl>>,
    changes: LogChanges,
}

impl NodeLog {
    pub(super) fn new(control: Option<Arc<dyn LogControl>>) -> Self {
        let mut log = Self { control, changes: LogChanges::default() };
        log.reread();
        log
    }

    /// The configuration may say something else now.
    pub(super) fn reread(&mut self) {
        if let Some(control) = &self.control {
            self.changes.set_filter(control.filter());
        }
    }

    /// Does what a command asks, if it is about the log.
    pub(super) fn asked(&mut self, command: &Command, now: Now) -> Option<Result<Done, Failure>> {
        let done = match (command, &self.control) {
            (Command::Log { .. } | Command::LogReset, None) => Err(Reason::NoLog),
            (Command::Log { details, for_ms }, Some(_)) => self.changes.take(details, *for_ms, now),
            (Command::LogReset, Some(_)) => {
                self.changes.reset();
                Ok(())
            }
            _ => return None,
        };
        self.carry_out();
        Some(match done {
            Ok(()) => Ok(Done::Logged(LogView::clone(self.changes.view()))),
            Err(reason) => Err(reason.into()),
        })
    }

    /// Ends what was wanted until now, and gives what is shown.
    pub(super) fn view(&mut self, now: Now) -> Arc<LogView> {
        if self.changes.timeout(now.mono) {
            self.carry_out();
        }
        Arc::clone(self.changes.view())
    }

    fn carry_out(&self) {
        if let Some(control) = &self.control {
            control.keep(&self.changes.details());
        }
    }
}

impl Drop for NodeLog {
    /// What the node wanted ends with it; the process may go on.
    fn drop(&mut self) {
        if let Some(control) = &self.control {
            control.keep(&[]);
        }
    }
}
