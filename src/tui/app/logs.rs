//! The log: what came of it, in order.

use super::App;
use super::filtered_log::FilteredLog;
use crate::model::{LogLine, Stamp};

/// Lines that are kept, about 1 MiB.
pub(crate) const KEPT: usize = 5_000;

/// The lines that are kept.
pub(crate) type Lines = FilteredLog<LogLine>;

impl Default for Lines {
    fn default() -> Self {
        Self::new(KEPT)
    }
}

impl Lines {
    /// The number after the last line that is not later than a time.
    pub(super) fn end_at(&self, at: Stamp) -> u64 {
        let later = self.all().rev().take_while(|line| line.at > at).count();
        self.end() - later as u64
    }
}

impl App {
    /// Takes in what was logged.
    pub(super) fn take_lines(&mut self, lines: Vec<LogLine>) {
        for line in lines {
            let passes = self.stream_filters.lines.matches(&line);
            self.lines.push(line, passes);
        }
    }

    /// The number after the last log line that is shown.
    pub(crate) fn lines_end(&self) -> u64 {
        self.moment.as_ref().map_or(u64::MAX, |moment| moment.lines_end)
    }
}
