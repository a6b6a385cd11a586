//! The log: time, level as a word, where it comes from, what it says.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::component::{Component, Filterable, PaneAction};
use crate::model::{LogLevel, LogLine, Snapshot};
use crate::tui::draw::{Drawn, Pen, frame};
use crate::tui::entry::LogLines;
use crate::tui::filter::LineFilter;
use crate::tui::logs::LogSource;
use crate::tui::pane::Pane;

/// The pane.
#[derive(Debug)]
pub(crate) struct Logs {
    log: LogLines,
    filter: LineFilter,
    source: LogSource,
    page: usize,
}

impl Logs {
    /// Of lines that come from there.
    pub(crate) fn of(source: LogSource) -> Self {
        Self { log: LogLines::default(), filter: LineFilter::default(), source, page: 1 }
    }

    /// The log, to be held at a moment and let go.
    pub(crate) fn log_mut(&mut self) -> &mut LogLines {
        &mut self.log
    }

    /// Takes in what was logged.
    pub(crate) fn take(&mut self, lines: Vec<LogLine>) {
        for line in lines {
            let passes = self.filter.matches(&line);
            self.log.push(line, passes);
        }
    }

    /// Forgets all of it, but not the filter.
    pub(crate) fn clear(&mut self) {
        self.log = LogLines::default();
    }
}

impl Filterable for Logs {
    fn filter(&self) -> &str {
        self.filter.text()
    }

    fn set_filter(&mut self, text: &str, _: &Snapshot) {
        self.filter = LineFilter::new(text);
        let filter = &self.filter;
        self.log.set_filter((!filter.is_empty()).then_some(|line: &_| filter.matches(line)));
    }

    fn passing(&self) -> (usize, usize) {
        (self.log.passing(), self.log.count())
    }
}

impl Component for Logs {
    fn on_action(&mut self, action: PaneAction) {
        if let Some(step) = action.step() {
            self.log.go(step, self.page);
        }
    }

    fn draw(&self, pen: &Pen<'_>, area: Rect, buf: &mut Buffer) -> Drawn {
        let right = frame::log_title(pen, &self.log, (self.filter.text(), None));
        let inner = frame::pane(pen, Pane::Logs, &right, area, buf);
        let hint = match self.source {
            LogSource::Off => "no log is caught",
            LogSource::Elsewhere => {
                "the node keeps its log: punchdeck.log in its data directory, or its service's"
            }
            LogSource::Here if self.log.count() == 0 => "nothing logged yet",
            LogSource::Here => "no line matches the filter",
        };
        frame::log(pen, &self.log, hint, |line| of_line(pen, line), (area, inner), buf)
    }

    fn on_drawn(&mut self, drawn: Drawn) {
        self.page = drawn.rows;
    }
}

fn of_line(pen: &Pen<'_>, line: &LogLine) -> Line<'static> {
    let style = match line.level {
        LogLevel::Error => pen.theme.bad,
        LogLevel::Warn => pen.theme.warn,
        LogLevel::Info => Style::new(),
        LogLevel::Debug | LogLevel::Trace => pen.theme.dim,
    };
    let time = pen.time_of_day(line.at);
    Line::from(vec![
        Span::styled(format!(" {} ", &time[..time.len().min(8)]), pen.theme.dim),
        Span::styled(format!("{:<5} ", line.level.name()), style),
        Span::raw(format!("{}: {}", line.target, line.text)),
    ])
}
