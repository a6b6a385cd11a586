//! Help: every key of the table, those of the place where help was asked for
//! first; what does nothing now says why. A search leaves the lines with some
//! words in them.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{Pen, frame};
use crate::tui::app::App;
use crate::tui::bindings::{Action, Bound, Danger, Scope};
use crate::tui::fmt;

/// What is looked for in the help, and whether it is being typed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Search<'a> {
    pub(super) text: &'a str,
    pub(super) typing: bool,
}

/// Draws the help and returns its page.
pub(super) fn draw(
    app: &App,
    pen: &Pen<'_>,
    from: Scope,
    search: Search<'_>,
    scroll: &mut u16,
    (body, buf): (Rect, &mut Buffer),
) -> usize {
    let keys = app.keys.lines().map(|b| b.key_names().chars().count()).max().unwrap_or(0);
    let width = 112.min(body.width);
    let room = usize::from(width).saturating_sub(keys + 11);
    let words: Vec<String> = search.text.split_whitespace().map(str::to_lowercase).collect();
    let mut lines = Vec::new();
    if search.typing || !words.is_empty() {
        lines.push(frame::typed_line(pen, "/", search.text, width.saturating_sub(4).into(), search.typing));
        lines.push(Line::default());
    } else {
        lines.extend(legend(pen));
    }
    let (head, mut found) = (lines.len(), 0);
    // Where one came from goes first.
    let scopes = std::iter::once(from).chain(Scope::ALL.into_iter().filter(|scope| *scope != from));
    for scope in scopes {
        let fits: Vec<&Bound> = app.keys.of_scope(scope).filter(|b| has(b, &words)).collect();
        if fits.is_empty() {
            continue;
        }
        found += fits.len();
        lines.push(Line::styled(scope.title(), pen.theme.strong));
        for bound in fits {
            lines.extend(entry(app, pen, scope, bound, (keys, room)));
        }
        lines.push(Line::default());
    }
    lines.pop();
    if found == 0 {
        lines.truncate(head);
        lines.push(Line::styled("  no key does that", pen.theme.dim));
    }
    let key = |action| app.keys.key_of(Scope::Help, action);
    let title = if words.is_empty() {
        format!("Help ─ {} searches, {} closes", key(Action::Search), key(Action::Close))
    } else {
        format!(
            "Help ─ {} with that in them ─ {} closes",
            fmt::count(found as u64, "key"),
            key(Action::Close)
        )
    };
    frame::popup(pen, &title, &lines, scroll, (width, body), buf)
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

fn entry(
    app: &App,
    pen: &Pen<'_>,
    scope: Scope,
    bound: &Bound,
    (keys, room): (usize, usize),
) -> Vec<Line<'static>> {
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
    let judged = matches!(scope, Scope::Main | Scope::Why | Scope::Lab | Scope::Drills);
    if let Err(reason) = app.available(bound.action)
        && judged
    {
        for part in frame::wrap(&format!("not now: {reason}"), room) {
            lines.push(Line::styled(format!("  {:keys$}    {part}", ""), theme.dim));
        }
    }
    lines
}
