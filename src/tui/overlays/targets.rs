//! The targets of the log, grouped: what of each is shown, and what the node's log keeps.
//! tui-logger's own list of targets is not used: it grows over all nodes that a process
//! has shown, and what is chosen in it cannot be asked for.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::model::LogDetail;
use crate::tui::bindings::{Action, Scope, Way};
use crate::tui::draw::{Drawn, Pen, frame};
use crate::tui::fmt;
use crate::tui::lists::{Move, keep_in_view};
use crate::tui::panes::TargetRow;

/// Columns beside the name of a target: mark, gap, shown, kept, until, lines.
const BESIDE: usize = 2 + 2 + 7 + 7 + 10 + 6;
/// The widest that is of use.
const WIDTH: u16 = 100;
/// Lines that do not scroll: the heading, and what the keys do.
const FIXED: usize = 3;

/// The list.
#[derive(Debug, Clone)]
pub(crate) struct Targets {
    rows: Vec<TargetRow>,
    /// The chosen one by its name: it stays chosen wherever it goes.
    chosen: String,
    top: usize,
}

impl Targets {
    /// Of these, the first one chosen.
    pub(crate) fn of(rows: Vec<TargetRow>) -> Self {
        let chosen = rows.first().map(|row| row.target.clone()).unwrap_or_default();
        Self { rows, chosen, top: 0 }
    }

    /// It is about these now.
    pub(crate) fn on_rows(&mut self, rows: Vec<TargetRow>) {
        self.rows = rows;
        if self.chosen().is_none() {
            self.choose(0);
        }
    }

    /// The chosen one.
    pub(crate) fn chosen(&self) -> Option<&TargetRow> {
        self.rows.get(self.cursor()?)
    }

    /// Chooses the one at a place.
    pub(crate) fn choose(&mut self, at: usize) {
        if let Some(row) = self.rows.get(at) {
            self.chosen.clone_from(&row.target);
        }
    }

    pub(super) fn go(&mut self, step: Move) {
        let Some(last) = self.rows.len().checked_sub(1) else { return };
        self.choose(step.apply(self.cursor().unwrap_or(0), last));
    }

    pub(super) fn on_drawn(&mut self, drawn: Drawn) {
        self.top = drawn.top;
    }

    pub(super) fn draw(&self, pen: &Pen<'_>, body: Rect, buf: &mut Buffer) -> Drawn {
        let width = WIDTH.min(body.width);
        let name = usize::from(width).saturating_sub(BESIDE + 4);
        let rows = usize::from(body.height).saturating_sub(2 + FIXED).max(1);
        let top = keep_in_view(self.top, self.cursor(), rows, self.rows.len());
        let heading =
            format!("  {:name$}  {:<6} {:<6} {:<9} {:>6}", "TARGET", "SHOWN", "KEPT", "ENDS", "LINES");
        let mut lines = vec![Line::styled(heading, pen.theme.dim)];
        let mut places = Vec::new();
        for (place, row) in self.rows.iter().enumerate().skip(top).take(rows) {
            places.push((lines.len(), 1, place));
            lines.push(self.line(pen, row, name));
        }
        if self.rows.is_empty() {
            lines.push(Line::styled("  nothing was logged yet", pen.theme.dim));
        }
        lines.push(Line::default());
        lines.push(Line::styled(format!("  {}", self.says(pen)), pen.theme.dim));
        let close = pen.keys.key_of(Scope::Targets, Action::Close);
        let title = format!("Log targets ─ {} ─ {close} closes", fmt::count(self.rows.len() as u64, "row"));
        frame::popup(pen, &title, &lines, 0, (width, body), buf);
        frame::choices(pen, &places, (lines.len(), 0), (width, body));
        Drawn { rows, top, below: 0 }
    }

    fn cursor(&self) -> Option<usize> {
        self.rows.iter().position(|row| row.target == self.chosen)
    }

    fn line(&self, pen: &Pen<'_>, row: &TargetRow, room: usize) -> Line<'static> {
        let is_chosen = row.target == self.chosen;
        let indent = if row.is_below { "  " } else { "" };
        // The end of a path says more than its beginning.
        let name = format!("{indent}{}", tail(&row.target, room.saturating_sub(indent.len())));
        let look = |detail: LogDetail| match detail {
            LogDetail::Off => pen.theme.dim,
            LogDetail::Debug | LogDetail::Trace => pen.theme.accent,
            _ => Style::new(),
        };
        let kept = row.kept.map_or("-", LogDetail::name);
        let left = row.until.map(|until| pen.countdown(until)).unwrap_or_default();
        let style = if is_chosen { pen.theme.strong } else { Style::new() };
        Line::from(vec![
            Span::styled(if is_chosen { "▶ " } else { "  " }, pen.theme.accent),
            Span::styled(format!("{name:room$}  "), style),
            Span::styled(format!("{:<6} ", row.shown.name()), look(row.shown)),
            Span::styled(format!("{kept:<6} "), row.kept.map_or(pen.theme.dim, look)),
            Span::styled(format!("{left:<9} "), pen.theme.warn),
            Span::raw(format!("{:>6}", row.lines)),
        ])
    }

    /// What the keys do, or why they do not.
    fn says(&self, pen: &Pen<'_>) -> String {
        let key = |action| pen.keys.key_of(Scope::Targets, action);
        let (less, more) = (key(Action::Show(Way::Less)), key(Action::Show(Way::More)));
        let shows = format!("{less} {more} change what is shown");
        let keep = Action::Keep(Way::More);
        match self.chosen().filter(|row| row.kept != Some(LogDetail::Trace)) {
            Some(_) => match pen.possible.available(keep) {
                Ok(()) => format!(
                    "{shows}, {} {} for 10 min what the node keeps",
                    key(keep),
                    key(Action::Keep(Way::Less))
                ),
                Err(why) => format!("{shows}; what is kept stays: {why}"),
            },
            None => shows,
        }
    }
}

/// The end of a text that is too long.
fn tail(text: &str, room: usize) -> String {
    let count = text.chars().count();
    if count <= room {
        return text.to_owned();
    }
    let kept: String = text.chars().skip(count + 1 - room.max(1)).collect();
    format!("…{kept}")
}
