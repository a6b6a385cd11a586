//! The timeline: when, what, to whom, in words. Columns line up, and what a
//! person should look at bears a mark.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::{Pen, frame};
use crate::model::{EventKind, PeerId};
use crate::tui::app::{App, Entry, Pane};
use crate::tui::bindings::{Action, Scope};
use crate::tui::fmt;

/// From this width on peers are shown with their names.
const ROOMY: u16 = 86;

/// Draws the newest entries, or those scrolled to, and returns the rows.
pub(super) fn draw(app: &App, pen: &Pen<'_>, area: Rect, buf: &mut Buffer) -> usize {
    let follows = app.keys.key_of(Scope::Main, Action::Bottom);
    let right = if app.timeline.is_held() { format!("held ─ {follows} follows") } else { String::new() };
    let inner = frame::pane(app, pen, Pane::Events, &right, area, buf);
    let rows = usize::from(inner.height);
    let limit = app.frozen().map_or(u64::MAX, |f| f.timeline_end);
    let mut y = inner.y;
    for entry in app.timeline.window(rows, limit) {
        frame::put(buf, (inner.x, y), &line(app, pen, entry, inner.width >= ROOMY), inner.width);
        y += 1;
    }
    if y == inner.y {
        frame::hint(pen.theme, "nothing happened since the console came here", inner, buf);
    }
    rows
}

fn line(app: &App, pen: &Pen<'_>, entry: &Entry, roomy: bool) -> Line<'static> {
    let theme = pen.theme;
    let (at, mark, kind, peer, text) = match entry {
        Entry::Event(event) => {
            let mark = mark(pen, &event.kind);
            (event.at, mark, event.kind.name(), event.peer_id, event.kind.to_string())
        }
        Entry::Outcome { at, outcome } => {
            let mark = if outcome.result.is_ok() { ("✓", theme.good) } else { ("✗", theme.bad) };
            (*at, mark, "command.ended", outcome.command.peer(), outcome.to_string())
        }
        Entry::Fault { at, text } => (*at, ("✗", theme.bad), "console.fault", None, text.clone()),
        Entry::Lost { at, events } => {
            let text = format!("{} dropped: the console was behind", fmt::count(*events, "event"));
            (*at, ("!", theme.warn), "console.lost", None, text)
        }
    };
    let (glyph, style) = mark;
    Line::from(vec![
        Span::styled(format!(" {} ", pen.time_of_day(at)), theme.dim),
        Span::styled(format!("{glyph} "), style),
        Span::styled(format!("{kind:<16} "), style),
        Span::raw(if roomy { format!("{:<15} ", whom(app, peer)) } else { format!("{:<6} ", short(peer)) }),
        Span::raw(text),
    ])
}

fn short(peer: Option<PeerId>) -> String {
    peer.map_or_else(|| "-".to_owned(), |id| id.short())
}

fn whom(app: &App, peer: Option<PeerId>) -> String {
    peer.map_or_else(|| "-".to_owned(), |id| crate::model::ellipsize(&app.call(id), 15, '…'))
}

fn mark(pen: &Pen<'_>, kind: &EventKind) -> (&'static str, Style) {
    match kind {
        EventKind::CacheSaveFailed { .. } | EventKind::TaskFaulted { .. } | EventKind::RelayDead { .. } => {
            ("✗", pen.theme.bad)
        }
        EventKind::LinkDown { .. } if kind.is_trouble() => ("✗", pen.theme.bad),
        kind if kind.is_trouble() => ("!", pen.theme.warn),
        EventKind::LinkUp { .. } | EventKind::LinkRestored { .. } | EventKind::NodeRejoined { .. } => {
            ("●", pen.theme.good)
        }
        _ => (" ", Style::new()),
    }
}
