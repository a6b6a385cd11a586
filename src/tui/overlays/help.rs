//! Help: first the keys of the place where it was asked for, on one page; behind that every
//! key of the table, with what it does and why some do nothing now. A search leaves the
//! lines with some words in them.

use std::fmt::Write as _;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::tui::bindings::{Action, Bound, Danger, Scope};
use crate::tui::draw::{Drawn, Pen, frame};
use crate::tui::fmt;
use crate::tui::line::TextLine;
use crate::tui::lists::Move;

/// The help.
#[derive(Debug, Clone)]
pub(crate) struct Help {
    /// Where help was asked for: its keys come first.
    from: Vec<Scope>,
    /// Whether every key is shown.
    all: bool,
    /// What is looked for; empty for everything.
    search: TextLine,
    /// Whether that is being typed.
    typing: bool,
    /// The first line on the screen.
    top: usize,
}

impl Help {
    /// As it is asked for there.
    pub(crate) fn new(from: Vec<Scope>) -> Self {
        Self { from, all: false, search: TextLine::default(), typing: false, top: 0 }
    }

    /// The first line on the screen.
    #[cfg(test)]
    pub(crate) fn top(&self) -> usize {
        self.top
    }

    /// What is looked for.
    #[cfg(test)]
    pub(crate) fn sought(&self) -> &str {
        self.search.text()
    }

    /// What the keys mean.
    pub(super) fn scope(&self) -> Scope {
        if self.typing { Scope::Search } else { Scope::Help }
    }

    /// Shows every key, or those of the place again.
    pub(crate) fn turn(&mut self) {
        (self.all, self.top, self.search) = (!self.all, 0, TextLine::default());
    }

    /// Begins or ends typing what is looked for: among every key.
    pub(crate) fn search(&mut self, on: bool) {
        (self.typing, self.all) = (on, true);
    }

    /// Ends typing it, and shows everything again.
    pub(crate) fn cancel_search(&mut self) {
        (self.search, self.typing, self.top) = (TextLine::default(), false, 0);
    }

    /// What is typed, to be changed.
    pub(super) fn line_mut(&mut self) -> Option<&mut TextLine> {
        self.typing.then_some(&mut self.search)
    }

    /// Something else is looked for.
    pub(crate) fn on_edit(&mut self) {
        self.top = 0;
    }

    /// Scrolls; drawing cuts it to what there is.
    pub(super) fn go(&mut self, step: Move) {
        self.top = step.apply(self.top, usize::MAX);
    }

    /// Takes in how it was drawn.
    pub(super) fn on_drawn(&mut self, drawn: Drawn) {
        self.top = drawn.top;
    }

    /// Draws it.
    pub(super) fn draw(&self, pen: &Pen<'_>, body: Rect, buf: &mut Buffer) -> Drawn {
        if self.all { self.draw_all(pen, body, buf) } else { self.draw_first(pen, body, buf) }
    }

    /// The keys of the place, and what a glyph means: one page.
    fn draw_first(&self, pen: &Pen<'_>, body: Rect, buf: &mut Buffer) -> Drawn {
        let width = 112.min(body.width);
        let room = usize::from(width).saturating_sub(4);
        let is_tall = body.height >= TALL;
        let mut lines = Vec::new();
        for scope in &self.from {
            let cells: Vec<Line<'static>> = pen
                .keys
                .of_scope(*scope)
                .filter(|bound| !bound.keys.is_empty() && !moves(bound.action))
                .map(|bound| cell(pen, bound))
                .collect();
            if cells.is_empty() {
                continue;
            }
            lines.push(Line::styled(scope.title(), pen.theme.strong));
            lines.extend(columns(cells, room));
            if is_tall {
                lines.push(Line::default());
            }
        }
        lines.extend(movement(pen, &self.from));
        if is_tall {
            lines.push(Line::default());
        }
        lines.extend(legend(pen));
        lines.pop();
        let key = |action| pen.keys.key_of(Scope::Help, action);
        let title = format!(
            "Help ─ {} shows every key and what it does, {} searches, {} closes",
            key(Action::EveryKey),
            key(Action::Search),
            key(Action::Close)
        );
        frame::popup(pen, &title, &lines, self.top, (width, body), buf)
    }

    fn draw_all(&self, pen: &Pen<'_>, body: Rect, buf: &mut Buffer) -> Drawn {
        let keys = pen.keys.lines().map(|b| b.key_names().chars().count()).max().unwrap_or(0);
        let width = 112.min(body.width);
        let room = usize::from(width).saturating_sub(keys + 11);
        let words: Vec<String> = self.search.text().split_whitespace().map(str::to_lowercase).collect();
        let mut lines = Vec::new();
        if self.typing || !words.is_empty() {
            lines.push(frame::typed(pen, "/", &self.search, width.saturating_sub(4).into(), self.typing));
            lines.push(Line::default());
        } else {
            lines.extend(legend(pen));
        }
        let (head, mut found) = (lines.len(), 0);
        // Where one came from goes first.
        let others = Scope::ALL.iter().filter(|scope| !self.from.contains(scope));
        let scopes = self.from.iter().chain(others).copied();
        for scope in scopes {
            let fits: Vec<&Bound> = pen.keys.of_scope(scope).filter(|b| has(b, &words)).collect();
            if fits.is_empty() {
                continue;
            }
            found += fits.len();
            lines.push(Line::styled(scope.title(), pen.theme.strong));
            for bound in fits {
                lines.extend(entry(pen, scope, bound, (keys, room)));
            }
            lines.push(Line::default());
        }
        lines.pop();
        if found == 0 {
            lines.truncate(head);
            lines.push(Line::styled("  no key does that", pen.theme.dim));
        }
        let key = |action| pen.keys.key_of(Scope::Help, action);
        let title = if words.is_empty() {
            format!(
                "Help ─ {} goes back to one page, {} searches, {} closes",
                key(Action::EveryKey),
                key(Action::Search),
                key(Action::Close)
            )
        } else {
            format!(
                "Help ─ {} with that in them ─ {} closes",
                fmt::count(found as u64, "key"),
                key(Action::Close)
            )
        };
        frame::popup(pen, &title, &lines, self.top, (width, body), buf)
    }
}

/// Bodies of fewer rows have none to spare for empty lines.
const TALL: u16 = 28;
/// Columns of keys side by side need so much room each.
const COLUMN: usize = 24;
/// Columns at most: more are read across, not down.
const COLUMNS_MAX: usize = 4;
/// The room for a key in front of its word.
const KEY: usize = 7;

/// Whether an action only moves about: those are told in a sentence.
fn moves(action: Action) -> bool {
    matches!(
        action,
        Action::Up
            | Action::Down
            | Action::PageUp
            | Action::PageDown
            | Action::Top
            | Action::Bottom
            | Action::NextPane
            | Action::PrevPane
            | Action::Pane(_)
    )
}

/// A key and a word or two for it; dim where it does nothing now.
fn cell(pen: &Pen<'_>, bound: &Bound) -> Line<'static> {
    let word = if bound.label.is_empty() { bound.name.replace('-', " ") } else { bound.label.to_owned() };
    let works = pen.possible.available(bound.action).is_ok();
    let style = if works { Style::new() } else { pen.theme.dim };
    let key = crate::model::ellipsize(&bound.key(), KEY, '…');
    Line::from(vec![
        Span::styled(format!("{key:>KEY$} "), if works { pen.theme.accent } else { pen.theme.dim }),
        Span::styled(word, style),
        Span::styled(format!(" {}", bound.danger.glyph()), pen.danger(bound.danger)),
    ])
}

/// Cells side by side, read down each column.
fn columns(cells: Vec<Line<'static>>, room: usize) -> Vec<Line<'static>> {
    let count = (room / COLUMN).clamp(1, COLUMNS_MAX);
    let (rows, width) = (cells.len().div_ceil(count), room / count);
    (0..rows)
        .map(|row| {
            let mut line = Line::default();
            for (n, cell) in cells.iter().skip(row).step_by(rows).enumerate() {
                let gap = (n * width).saturating_sub(line.width());
                line.push_span(Span::raw(" ".repeat(gap)));
                line.spans.extend(cell.spans.iter().cloned());
            }
            line
        })
        .collect()
}

/// How one moves about, in a line.
fn movement(pen: &Pen<'_>, from: &[Scope]) -> Option<Line<'static>> {
    let scope = *from.iter().find(|scope| pen.keys.find(**scope, Action::Up).is_some())?;
    let key = |action| pen.keys.key_of(scope, action);
    let mut text = format!(
        "{} {} move, {} {} page, {} {} ends",
        key(Action::Up),
        key(Action::Down),
        key(Action::PageUp),
        key(Action::PageDown),
        key(Action::Top),
        key(Action::Bottom)
    );
    if scope == Scope::Main {
        let (first, last, next) = (key(Action::Pane(1)), key(Action::Pane(8)), key(Action::NextPane));
        let _ = write!(text, "; {first} to {last}, {next} choose a pane");
    }
    Some(Line::styled(format!("  {text}"), pen.theme.dim))
}

fn legend(pen: &Pen<'_>) -> [Line<'static>; 5] {
    [
        Line::styled("Glyphs", pen.theme.strong),
        Line::from("  ● linked   ○ foreign (speaks no punchdeck)   ! suspect   ◐ connecting"),
        Line::from("  ✗ unreachable   ─ held off   · known   ~ NAT: hearsay   ~ RTT: not now"),
        Line::from("  beside a key: ~ traffic   ! disrupts, asks first   !! kills, wants a name"),
        Line::default(),
    ]
}

/// Whether every word stands in a line: in its keys, its name or its sentence.
fn has(bound: &Bound, words: &[String]) -> bool {
    let text = format!("{} {} {} {}", bound.key_names(), bound.name, bound.help, bound.danger.word());
    let text = text.to_lowercase();
    words.iter().all(|word| text.contains(word))
}

fn entry(pen: &Pen<'_>, scope: Scope, bound: &Bound, (keys, room): (usize, usize)) -> Vec<Line<'static>> {
    let theme = pen.theme;
    let mut lines = Vec::new();
    let names = if bound.keys.is_empty() { "(palette)".to_owned() } else { bound.key_names() };
    for (i, part) in frame::wrap(bound.help, room).into_iter().enumerate() {
        let (names, danger) = if i == 0 { (names.as_str(), bound.danger) } else { ("", Danger::None) };
        lines.push(Line::from(vec![
            Span::styled(format!("  {names:keys$} "), theme.accent),
            Span::styled(format!("{:<2} ", danger.glyph()), pen.danger(danger)),
            Span::raw(part),
        ]));
    }
    // What an open question or a line that is typed allows is seen there.
    let judged = scope.is_within_main()
        || matches!(
            scope,
            Scope::Main
                | Scope::Why
                | Scope::Test
                | Scope::Lab
                | Scope::Drills
                | Scope::Targets
                | Scope::Listing
        );
    if let Err(reason) = pen.possible.available(bound.action)
        && judged
    {
        for part in frame::wrap(&format!("not now: {reason}"), room) {
            lines.push(Line::styled(format!("  {:keys$}    {part}", ""), theme.dim));
        }
    }
    lines
}
