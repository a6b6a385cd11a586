//! The timeline: when, what, to whom, in words. Columns line up, and what a
//! person should look at bears a mark.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::{Pen, frame};
use crate::model::{EventKind, PeerId, clean};
use crate::tui::app::{App, Entry, Pane};
use crate::tui::bindings::{Action, Scope};

/// From this width on peers are shown with their names.
const ROOMY: u16 = 86;

/// Draws the newest entries, or those gone back to, and returns the rows.
pub(super) fn draw(app: &App, pen: &Pen<'_>, area: Rect, buf: &mut Buffer) -> usize {
    let limit = app.timeline_end();
    let right = frame::log_title(
        app,
        &app.timeline,
        limit,
        (app.stream_filters.events.text(), app.stream_filters.events.wrong()),
    );
    let inner = frame::pane(app, pen, Pane::Events, &right, area, buf);
    let empty = if app.timeline.count(limit) > 0 {
        format!(
            "nothing that happened matches the filter ({} clears it)",
            app.keys.key_of(Scope::Main, Action::Back)
        )
    } else {
        let time = pen.time_of_day(app.came);
        let name = clean(&app.shown().node.name);
        format!("nothing was told of {name} since the console came to it at {}", &time[..time.len().min(8)])
    };
    let line = |entry: &Entry| line(app, pen, entry, inner.width >= ROOMY);
    frame::log(pen, &app.timeline, limit, &empty, line, (area, inner), buf)
}

fn line(app: &App, pen: &Pen<'_>, entry: &Entry, roomy: bool) -> Line<'static> {
    let theme = pen.theme;
    let (glyph, style) = match entry {
        Entry::Event(event) => mark(pen, &event.kind),
        Entry::Outcome { outcome, .. } => match &outcome.result {
            Ok(done) if done.is_nothing() => ("─", theme.dim),
            Ok(_) => ("✓", theme.good),
            Err(_) => ("✗", theme.bad),
        },
        Entry::Fault { .. } => ("✗", theme.bad),
        Entry::Lost { .. } => ("!", theme.warn),
    };
    let peer = entry.peer();
    Line::from(vec![
        Span::styled(format!(" {} ", pen.time_of_day(entry.at())), theme.dim),
        Span::styled(format!("{glyph} "), style),
        Span::styled(format!("{:<16} ", entry.kind()), style),
        Span::raw(if roomy { format!("{:<15} ", whom(app, peer)) } else { format!("{:<6} ", short(peer)) }),
        Span::raw(entry.text()),
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
        EventKind::LinkUp { .. }
        | EventKind::LinkRestored { .. }
        | EventKind::NodeJoined { .. }
        | EventKind::NodeRejoined { .. } => ("●", pen.theme.good),
        _ => (" ", Style::new()),
    }
}
