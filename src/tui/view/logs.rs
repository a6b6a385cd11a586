//! The log: time, level as a word, where it comes from, what it says.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::{Pen, frame};
use crate::model::{LogLevel, LogLine};
use crate::tui::app::{App, Pane};
use crate::tui::logs::Logs;

/// Draws the newest lines, or those gone back to, and returns the rows.
pub(super) fn draw(app: &App, pen: &Pen<'_>, area: Rect, buf: &mut Buffer) -> usize {
    let limit = app.lines_end();
    let right = frame::log_title(app, &app.lines, limit, (app.stream_filters.lines.text(), None));
    let inner = frame::pane(app, pen, Pane::Logs, &right, area, buf);
    let hint = match app.logs {
        Logs::Off => "no log is caught",
        Logs::Elsewhere => "the node keeps its log: punchdeck.log in its data directory, or its service's",
        Logs::Here if app.lines.count(limit) == 0 => "nothing logged yet",
        Logs::Here => "no line matches the filter",
    };
    frame::log(pen, &app.lines, limit, hint, |line| of_line(pen, line), (area, inner), buf)
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
