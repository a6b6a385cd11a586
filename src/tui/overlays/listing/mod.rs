//! Lists over the panes: what is wrong now, who failed most, what is dialled when nobody
//! is known. Each row says what can be done about it, or where to look.

mod failures;
mod warnings;

use std::net::SocketAddr;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

pub(crate) use self::failures::{Failed, SPANS};
pub(crate) use self::warnings::Facts;
use crate::model::PeerId;
use crate::tui::bindings::{Action, Scope};
use crate::tui::draw::{Drawn, Pen, frame};
use crate::tui::fmt;
use crate::tui::lists::Move;
use crate::tui::pane::Pane;

/// The widest that is of use.
const WIDTH: u16 = 104;
/// Where the text of a row begins.
const TEXT: usize = 4;

/// Which list it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// What is wrong now.
    Warnings,
    /// Who failed most, in a span by its number in [`SPANS`].
    Failures(usize),
    /// What is dialled when nobody is known.
    Bootstrap,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grade {
    /// Something does not work.
    Bad,
    /// Something wants watching.
    Warn,
    /// It is as somebody wanted it.
    Plain,
}

/// Where a row leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Go {
    Nowhere,
    /// To why a peer is what it is.
    Why(PeerId),
    Pane(Pane),
}

/// A row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Item {
    /// By what it is known again.
    pub(super) key: String,
    pub(super) grade: Grade,
    /// What there is.
    pub(super) text: String,
    /// What can be done about it.
    pub(super) next: String,
    /// Where it leads.
    pub(crate) go: Go,
}

/// A list.
#[derive(Debug, Clone)]
pub(crate) struct Listing {
    which: Which,
    items: Vec<Item>,
    /// The chosen row, by what it is known: it stays chosen wherever it goes.
    chosen: String,
    /// The first line on the screen.
    top: usize,
    /// What is said of all of it.
    note: String,
}

impl Listing {
    fn new(which: Which, items: Vec<Item>, note: String) -> Self {
        let chosen = items.first().map(|item| item.key.clone()).unwrap_or_default();
        Self { which, items, chosen, top: 0, note }
    }

    /// What is wrong now, the worst first.
    pub(crate) fn warnings(facts: &Facts<'_>) -> Self {
        Self::new(Which::Warnings, warnings::items(facts), String::new())
    }

    /// Who failed most.
    pub(crate) fn failures(failed: &Failed<'_>) -> Self {
        let (items, note) = failures::items(failed);
        Self::new(Which::Failures(failed.span), items, note)
    }

    /// What is dialled when nobody is known.
    pub(crate) fn bootstrap(addresses: &[SocketAddr]) -> Self {
        let item = |addr: &SocketAddr| Item {
            key: addr.to_string(),
            grade: Grade::Plain,
            text: addr.to_string(),
            next: format!(":bootstrap remove {addr} takes it out until the node stops"),
            go: Go::Nowhere,
        };
        Self::new(Which::Bootstrap, addresses.iter().map(item).collect(), String::new())
    }

    /// Which list it is.
    pub(crate) fn which(&self) -> Which {
        self.which
    }

    /// The same list as it is now; what is chosen stays chosen.
    pub(crate) fn renew(&mut self, newer: Self) {
        let (chosen, top) = (std::mem::take(&mut self.chosen), self.top);
        *self = newer;
        if self.items.iter().any(|item| item.key == chosen) {
            (self.chosen, self.top) = (chosen, top);
        }
    }

    /// The chosen row.
    pub(crate) fn chosen(&self) -> Option<&Item> {
        self.items.get(self.cursor()?)
    }

    /// What stands there.
    #[cfg(test)]
    pub(crate) fn texts(&self) -> Vec<&str> {
        self.items.iter().map(|item| item.text.as_str()).collect()
    }

    /// Chooses the row at a place.
    pub(crate) fn choose(&mut self, at: usize) {
        if let Some(item) = self.items.get(at) {
            self.chosen.clone_from(&item.key);
        }
    }

    pub(super) fn go(&mut self, step: Move) {
        let Some(last) = self.items.len().checked_sub(1) else { return };
        self.choose(step.apply(self.cursor().unwrap_or(0), last));
    }

    pub(super) fn on_drawn(&mut self, drawn: Drawn) {
        self.top = drawn.top;
    }

    pub(super) fn draw(&self, pen: &Pen<'_>, body: Rect, buf: &mut Buffer) -> Drawn {
        let width = WIDTH.min(body.width);
        let room = usize::from(width.saturating_sub(4));
        let (mut lines, mut places) = (Vec::new(), Vec::new());
        let (mut from, mut to) = (0, 0);
        for (n, item) in self.items.iter().enumerate() {
            let first = lines.len();
            let is_chosen = item.key == self.chosen;
            lines.extend(item_lines(pen, item, is_chosen, room));
            places.push((first, lines.len() - first, n));
            if is_chosen {
                (from, to) = (first, lines.len());
            }
        }
        if self.items.is_empty() {
            lines.push(Line::styled(format!("  {}", self.nothing()), pen.theme.dim));
        }
        if !self.note.is_empty() {
            lines.push(Line::default());
            lines.extend(frame::flow(vec![Span::raw("  ")], &[(&self.note, pen.theme.dim)], room, 2));
        }
        // All of what is chosen is in sight, and the lines move only if they must.
        let rows = usize::from(body.height.saturating_sub(2)).max(1);
        let top = self.top.min(from).max(to.saturating_sub(rows));
        let drawn = frame::popup(pen, &self.title(pen), &lines, top, (width, body), buf);
        frame::choices(pen, &places, (lines.len(), drawn.top), (width, body));
        drawn
    }

    fn cursor(&self) -> Option<usize> {
        self.items.iter().position(|item| item.key == self.chosen)
    }

    fn title(&self, pen: &Pen<'_>) -> String {
        let close = pen.keys.key_of(Scope::Listing, Action::Close);
        let count = |one| fmt::count(self.items.len() as u64, one);
        match self.which {
            Which::Warnings => format!("Warnings ─ {} ─ {close} closes", count("thing")),
            Which::Failures(span) => {
                let key = pen.keys.key_of(Scope::Listing, Action::NextSpan);
                let (name, _) = SPANS[span % SPANS.len()];
                format!("Failures ─ last {name} ({key} steps) ─ {} ─ {close} closes", count("peer"))
            }
            Which::Bootstrap => format!("Bootstrap ─ {} ─ {close} closes", count("address")),
        }
    }

    fn nothing(&self) -> &'static str {
        match self.which {
            Which::Warnings => "nothing is wrong that the console knows of",
            Which::Failures(_) => "nobody failed in that time, as far as the console knows",
            Which::Bootstrap => "no address; :bootstrap add ADDR puts one in",
        }
    }
}

fn item_lines(pen: &Pen<'_>, item: &Item, is_chosen: bool, room: usize) -> Vec<Line<'static>> {
    let (glyph, style) = match item.grade {
        Grade::Bad => ("✗", pen.theme.bad),
        Grade::Warn => ("!", pen.theme.warn),
        Grade::Plain => ("·", pen.theme.dim),
    };
    let head = vec![
        Span::styled(if is_chosen { "▶ " } else { "  " }, pen.theme.accent),
        Span::styled(format!("{glyph} "), style),
    ];
    let text = if is_chosen { pen.theme.strong } else { Style::new() };
    let mut lines = frame::flow(head, &[(&item.text, text)], room, TEXT);
    let head = vec![Span::raw(" ".repeat(TEXT))];
    lines.extend(frame::flow(head, &[(&item.next, pen.theme.dim)], room, TEXT));
    lines
}
