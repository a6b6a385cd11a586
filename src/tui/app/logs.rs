//! The log: what came of it, in order.

use super::App;
use super::roll::Roll;
use crate::model::{LogLevel, LogLine, Stamp};

/// Lines that are kept, about 1 MiB.
pub(crate) const KEPT: usize = 5_000;

/// The lines that are kept.
pub(crate) type Lines = Roll<LogLine>;

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
    /// Takes in what was logged, and how many lines were not caught.
    pub(super) fn take_lines(&mut self, lines: Vec<LogLine>, dropped: u64) {
        for line in lines {
            self.take_line(line);
        }
        if dropped > 0 {
            let at = self.node_now();
            let text = format!("{dropped} log lines were dropped: the console was behind");
            self.take_line(LogLine { at, level: LogLevel::Warn, target: "console".to_owned(), text });
        }
    }

    fn take_line(&mut self, line: LogLine) {
        let passes = self.sieves.lines.matches(&line);
        self.lines.push(line, passes);
    }

    /// The number after the last log line that is shown.
    pub(crate) fn lines_end(&self) -> u64 {
        self.moment.as_ref().map_or(u64::MAX, |moment| moment.lines_end)
    }
}
