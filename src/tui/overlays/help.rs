//! Help: every key of the table, those of the place where help was asked for
//! first; what does nothing now says why. A search leaves the lines with some
//! words in them.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
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
        Self { from, search: TextLine::default(), typing: false, top: 0 }
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

    /// Begins or ends typing what is looked for.
    pub(crate) fn search(&mut self, on: bool) {
        self.typing = on;
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
            format!("Help ─ {} searches, {} closes", key(Action::Search), key(Action::Close))
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
        || matches!(scope, Scope::Main | Scope::Why | Scope::Test | Scope::Lab | Scope::Drills);
    if let Err(reason) = pen.possible.available(bound.action)
        && judged
    {
        for part in frame::wrap(&format!("not now: {reason}"), room) {
            lines.push(Line::styled(format!("  {:keys$}    {part}", ""), theme.dim));
        }
    }
    lines
}
