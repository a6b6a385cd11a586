//! What the log keeps.

use serde::Serialize;

use super::left_s;
use crate::model::{LogDetail, LogView, Stamp};

/// The log of a node's process.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Log {
    /// What its configuration says; null where the log is not this node's to change.
    pub filter: Option<String>,
    /// What is kept beside that for a while.
    pub changes: Vec<LogItem>,
}

/// A target of which other lines are kept for a while.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LogItem {
    /// The beginning of a module's path.
    pub target: String,
    /// What is kept of it.
    pub level: LogDetail,
    /// How much longer.
    pub left_s: f64,
}

impl Log {
    /// As it is shown at a moment.
    pub fn new(view: &LogView, now: Stamp) -> Self {
        let item = |change: &crate::model::LogChange| LogItem {
            target: change.what.target.clone(),
            level: change.what.detail,
            left_s: left_s(change.until, now),
        };
        Self { filter: view.filter.clone(), changes: view.changes.iter().map(item).collect() }
    }
}
