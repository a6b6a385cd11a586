//! The log: time, level as a word, where it comes from, what it says. Which levels of
//! which targets are shown is the operator's; which are kept at all is the node's.

use std::collections::BTreeMap;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::component::{Component, Filterable, PaneAction};
use crate::model::{LogDetail, LogLevel, LogLine, LogView, Snapshot, Stamp};
use crate::telemetry::captured;
use crate::tui::draw::{Drawn, Pen, frame, lines};
use crate::tui::entry::LogLines;
use crate::tui::filter::LineFilter;
use crate::tui::logs::LogSource;
use crate::tui::pane::Pane;

/// Columns before the text of a line: time and level.
const HEAD: usize = 16;
/// Where a line goes on, if there is no room to align it.
const INDENT: usize = 2;

/// The pane.
#[derive(Debug)]
pub(crate) struct Logs {
    log: LogLines,
    filter: LineFilter,
    shown: Shown,
    source: LogSource,
    page: usize,
}

/// What is shown of which targets; all of what is not named.
#[derive(Debug, Clone, Default, PartialEq)]
struct Shown(BTreeMap<String, LogDetail>);

impl Shown {
    /// What is said of the longest part of a target's path.
    fn of(&self, target: &str) -> LogDetail {
        let is_part = |part: &str| {
            target.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        let parts = self.0.iter().filter(|(part, _)| is_part(part));
        parts.max_by_key(|(part, _)| part.len()).map_or(LogDetail::Trace, |(_, detail)| *detail)
    }

    fn shows(&self, line: &LogLine) -> bool {
        self.0.is_empty() || self.of(&line.target).keeps(line.level)
    }
}

/// A target, or a group of them, as it stands in a list.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TargetRow {
    /// Its whole name; the first two parts of it for a group.
    pub(crate) target: String,
    /// Whether it stands below a group.
    pub(crate) is_below: bool,
    /// How many lines of it there are.
    pub(crate) lines: usize,
    /// What of them is shown.
    pub(crate) shown: LogDetail,
    /// What is kept of it, where that is known.
    pub(crate) kept: Option<LogDetail>,
    /// Until when, where that is for a while.
    pub(crate) until: Option<Stamp>,
}

impl Logs {
    /// Of lines that come from there.
    pub(crate) fn of(source: LogSource) -> Self {
        Self {
            log: LogLines::default(),
            filter: LineFilter::default(),
            shown: Shown::default(),
            source,
            page: 1,
        }
    }

    /// The log, to be held at a moment and let go.
    pub(crate) fn log_mut(&mut self) -> &mut LogLines {
        &mut self.log
    }

    /// Takes in what was logged.
    pub(crate) fn take(&mut self, lines: Vec<LogLine>) {
        for line in lines {
            let passes = self.filter.matches(&line) && self.shown.shows(&line);
            self.log.push(line, passes);
        }
    }

    /// Forgets all of it, but neither the filter nor what is shown.
    pub(crate) fn clear(&mut self) {
        self.log = LogLines::default();
        self.filter_anew();
    }

    /// Shows that of a target from now on, and of all below it of which nothing was said.
    pub(crate) fn show(&mut self, target: &str, detail: LogDetail) {
        self.shown.0.insert(target.to_owned(), detail);
        if self.shown.0.values().all(|detail| *detail == LogDetail::Trace) {
            self.shown.0.clear();
        }
        self.filter_anew();
    }

    /// The targets of which there are lines or which the node keeps otherwise for a while,
    /// grouped by the first two parts of their names.
    pub(crate) fn targets(&self, view: &LogView) -> Vec<TargetRow> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for line in self.log.all() {
            *counts.entry(&line.target).or_default() += 1;
        }
        for change in &view.changes {
            counts.entry(&change.what.target).or_default();
        }
        let mut groups: BTreeMap<&str, Vec<(&str, usize)>> = BTreeMap::new();
        for (target, lines) in counts {
            groups.entry(group_of(target)).or_default().push((target, lines));
        }
        let mut rows = Vec::new();
        for (group, targets) in groups {
            let lines = targets.iter().map(|(_, lines)| lines).sum();
            rows.push(self.row(group, false, lines, view));
            let below = targets.iter().filter(|(target, _)| *target != group);
            rows.extend(below.map(|(target, lines)| self.row(target, true, *lines, view)));
        }
        rows
    }

    fn row(&self, target: &str, is_below: bool, lines: usize, view: &LogView) -> TargetRow {
        let wanted = view.changes.iter().map(|change| &change.what);
        TargetRow {
            target: target.to_owned(),
            is_below,
            lines,
            shown: self.shown.of(target),
            kept: view.filter.as_ref().map(|filter| captured(filter, wanted, target)),
            until: view.changes.iter().find(|c| c.what.target == target).map(|c| c.until),
        }
    }

    fn filter_anew(&mut self) {
        let (filter, shown) = (&self.filter, &self.shown);
        let passes = |line: &LogLine| filter.matches(line) && shown.shows(line);
        let any = !filter.is_empty() || !shown.0.is_empty();
        self.log.set_filter(any.then_some(passes));
    }
}

/// The first two parts of a target's name.
fn group_of(target: &str) -> &str {
    let mut ends = target.match_indices("::").map(|(at, _)| at);
    ends.nth(1).map_or(target, |end| &target[..end])
}

impl Filterable for Logs {
    fn filter(&self) -> &str {
        self.filter.text()
    }

    fn set_filter(&mut self, text: &str, _: &Snapshot) {
        self.filter = LineFilter::new(text);
        self.filter_anew();
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
        let mut right = frame::log_title(pen, &self.log, (self.filter.text(), None));
        if !self.shown.0.is_empty() {
            let dash = if right.is_empty() { "" } else { " ─ " };
            right = format!("some levels hidden{dash}{right}");
        }
        let inner = frame::pane(pen, Pane::Logs, &right, area, buf);
        let rows = usize::from(inner.height);
        if self.log.passing() == 0 {
            frame::hint(pen.theme, self.hint(), inner, buf);
            return Drawn { rows, top: 0, below: 0 };
        }
        let (top, entries) = self.log.view(rows);
        let mut made: Vec<_> = entries.map(|line| of_line(pen, line, inner.width.into())).collect();
        let held = self.log.cursor().filter(|_| self.log.is_held());
        let chosen = held.and_then(|cursor| cursor.checked_sub(top)).filter(|at| *at < made.len());
        if let Some(at) = chosen {
            // What is chosen stays in sight, however many rows those below it take.
            let height = |made: &[Vec<Line<'_>>]| made[at..].iter().map(Vec::len).sum::<usize>();
            while made.len() > at + 1 && height(&made) > rows {
                made.pop();
            }
        }
        let heights: Vec<usize> = made.iter().map(Vec::len).collect();
        lines::draw(made, inner, buf);
        if let (Some(at), Some(cursor)) = (chosen, held) {
            let over = heights.iter().sum::<usize>().saturating_sub(rows);
            let first = heights[..at].iter().sum::<usize>();
            let (from, to) =
                (first.saturating_sub(over), (first + heights[at]).saturating_sub(over).min(rows));
            let at = |row: usize| u16::try_from(row).unwrap_or(u16::MAX);
            let marked = Rect { y: inner.y + at(from), height: at(to - from), ..inner };
            buf.set_string(marked.x, marked.y, "▶", pen.theme.accent);
            buf.set_style(marked, pen.theme.selected);
            frame::note(pen, &format!("{} of {}", cursor + 1, self.log.passing()), area, buf);
        }
        Drawn { rows, top, below: 0 }
    }

    fn on_drawn(&mut self, drawn: Drawn) {
        self.page = drawn.rows;
    }
}

impl Logs {
    /// What stands where no line does.
    fn hint(&self) -> &'static str {
        match self.source {
            LogSource::Off => "no log is caught",
            LogSource::Elsewhere => {
                "the node keeps its log: punchdeck.log in its data directory, or its service's"
            }
            LogSource::Here if self.log.count() == 0 => "nothing logged yet",
            LogSource::Here => "no line matches the filter",
        }
    }
}

fn of_line(pen: &Pen<'_>, line: &LogLine, width: usize) -> Vec<Line<'static>> {
    let style = match line.level {
        LogLevel::Error => pen.theme.bad,
        LogLevel::Warn => pen.theme.warn,
        LogLevel::Info => Style::new(),
        LogLevel::Debug | LogLevel::Trace => pen.theme.dim,
    };
    let time = pen.time_of_day(line.at);
    let head = vec![
        Span::styled(format!(" {} ", &time[..time.len().min(8)]), pen.theme.dim),
        Span::styled(format!("{:<5} ", line.level.name()), style),
    ];
    let indent = if width > 3 * HEAD { HEAD } else { INDENT };
    lines::wrap(head, &format!("{}: {}", line.short_target(), line.text), width, indent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{LogChange, TargetDetail};

    fn line(target: &str, level: LogLevel) -> LogLine {
        LogLine { at: Stamp(0), level, target: target.to_owned(), text: "said".to_owned() }
    }

    fn logs() -> Logs {
        let mut logs = Logs::of(LogSource::Here);
        logs.take(vec![
            line("punchdeck::core::gossip", LogLevel::Debug),
            line("punchdeck::core::link::session", LogLevel::Info),
            line("punchdeck::core::link::session", LogLevel::Debug),
            line("punchdeck::node", LogLevel::Info),
        ]);
        logs
    }

    #[test]
    fn targets_stand_under_the_first_two_parts_of_their_names_with_what_is_shown_and_kept() {
        let mut logs = logs();
        let change = LogChange {
            what: TargetDetail { target: "punchdeck::core".to_owned(), detail: LogDetail::Debug },
            until: Stamp(9),
        };
        let view = LogView { filter: Some("info".to_owned()), changes: vec![change] };
        logs.show("punchdeck::core", LogDetail::Info);
        let rows: Vec<_> =
            logs.targets(&view).into_iter().map(|row| (row.target, row.lines, row.shown, row.kept)).collect();
        let of = |target: &str, lines, shown, kept| (target.to_owned(), lines, shown, Some(kept));
        assert_eq!(
            rows,
            [
                of("punchdeck::core", 3, LogDetail::Info, LogDetail::Debug),
                of("punchdeck::core::gossip", 1, LogDetail::Info, LogDetail::Debug),
                of("punchdeck::core::link::session", 2, LogDetail::Info, LogDetail::Debug),
                of("punchdeck::node", 1, LogDetail::Trace, LogDetail::Info),
            ]
        );
    }

    #[test]
    fn what_is_not_shown_of_a_target_is_hidden_and_comes_back() {
        let mut logs = logs();
        logs.show("punchdeck::core", LogDetail::Info);
        assert_eq!(logs.passing(), (2, 4));
        logs.take(vec![line("punchdeck::core", LogLevel::Debug)]);
        assert_eq!(logs.passing(), (2, 5));
        logs.show("punchdeck::core::gossip", LogDetail::Trace);
        assert_eq!(logs.passing(), (3, 5), "the longer name holds");
        logs.show("punchdeck::core", LogDetail::Off);
        assert_eq!(logs.passing(), (2, 5));
        logs.show("punchdeck::core", LogDetail::Trace);
        assert_eq!(logs.passing(), (5, 5));
    }
}
