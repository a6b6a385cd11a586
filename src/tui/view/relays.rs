//! Relays: what we reserved and for how long it holds, the last failover, what
//! we relay for others, and the links that run through one.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::{Pen, frame};
use crate::model::{
    EventKind, Failover, Path, PeerId, RelayRole, RelaysView, ReservationRow, ReservationState, clean,
    ellipsize,
};
use crate::tui::app::{App, Pane, Spot};
use crate::tui::fmt;
use crate::tui::theme::Theme;

/// The widest that a relay's name is shown.
const NAME_MAX: usize = 12;

/// Draws the relays, and returns the rows there are.
pub(super) fn draw(app: &mut App, pen: &Pen<'_>, area: Rect, buf: &mut Buffer) -> usize {
    let lines = lines(app, pen, usize::from(area.width.saturating_sub(4)));
    let count = app.reservations.len();
    let right = if count > 0 { frame::sorted(app.reservations.sort()) } else { String::new() };
    let rows = frame::scrolled(app, pen, Pane::Relays, &right, &lines, area, buf);
    let top = app.scrolls[Pane::Relays as usize];
    clickable(pen, &lines, (top, count), area);
    let Some(cursor) = app.reservations.cursor() else { return rows };
    // Below the heading and the border.
    let line = (cursor + 1).checked_sub(top);
    if let Some(line) = line.filter(|line| *line < rows).and_then(|line| u16::try_from(line).ok()) {
        let line =
            Rect { x: area.x + 1, y: area.y + 1 + line, width: area.width.saturating_sub(2), height: 1 };
        frame::mark_selected(pen, app.acting() == Pane::Relays, line, buf);
    }
    let place = [Some(format!("{} of {count}", cursor + 1)), frame::lines_shown(top, rows, lines.len())];
    frame::note(pen, &place.into_iter().flatten().collect::<Vec<_>>().join(", "), area, buf);
    rows
}

/// Notes where the reservations and their headings stand.
fn clickable(pen: &Pen<'_>, lines: &[Line<'_>], (scroll, count): (usize, usize), area: Rect) {
    let inner = Rect { x: area.x + 2, width: area.width.saturating_sub(3), y: area.y + 1, height: 1 };
    let rows = usize::from(area.height.saturating_sub(2));
    for row in 0..count {
        // Below the heading.
        if let Some(y) = (row + 1).checked_sub(scroll).filter(|y| *y < rows) {
            let y = inner.y + u16::try_from(y).unwrap_or(0);
            pen.mark(Rect { y, ..inner }, Spot::Row(Pane::Relays, row));
        }
    }
    let Some(heading) = lines.first().filter(|_| scroll == 0 && count > 0).map(ToString::to_string) else {
        return;
    };
    let mut from = 0;
    for (at, column) in COLUMNS.iter().enumerate() {
        let Some(start) = heading[from..].find(column.title) else { continue };
        let end = from + start + column.title.len();
        let (x, width) = (u16::try_from(from).unwrap_or(0), u16::try_from(end - from).unwrap_or(0));
        pen.mark(Rect { x: inner.x + x, width, ..inner }, Spot::Column(Pane::Relays, at));
        from = end;
    }
}

/// What matters most first: the pane may show only some of it.
fn lines(app: &App, pen: &Pen<'_>, room: usize) -> Vec<Line<'static>> {
    let relays = &app.shown().relays;
    let rows: Vec<_> = app.reservations.iter().collect();
    let mut lines = reservations(app, pen, &rows, room);
    if lines.is_empty() {
        lines.push(frame::labelled(pen, "reserved", "none: this node holds no reservation".to_owned()));
    }
    lines.extend(relays.last_failover.as_ref().map(|over| failover(pen, over)));
    lines.push(frame::labelled(pen, "serving", serving(relays)));
    lines.extend(relayed(app, pen));
    lines
}

/// A column of the reservations.
#[derive(Debug, Clone, Copy)]
struct Column {
    title: &'static str,
    /// Numbers stand at the right of their column.
    right: bool,
    /// Higher goes first when there is too little room.
    drop: u8,
}

const fn column(title: &'static str, right: bool, drop: u8) -> Column {
    Column { title, right, drop }
}

const COLUMNS: [Column; 9] = [
    column("ROLE", false, 0),
    column("RELAY", false, 0),
    column("NAME", false, 4),
    column("OUR ADDRESS", false, 1),
    column("STATE", false, 0),
    column("RTT", true, 2),
    column("ENDS", false, 3),
    column("UP", true, 5),
    column("DOWN", true, 5),
];
/// The place of the state in them; its glyph stands in front of the line.
const STATE: usize = 4;

/// A line for each reservation under a heading, as wide as they need to be.
fn reservations(
    app: &App,
    pen: &Pen<'_>,
    rows: &[(&ReservationRow, bool)],
    room: usize,
) -> Vec<Line<'static>> {
    if rows.is_empty() {
        return Vec::new();
    }
    let cells: Vec<[String; 9]> = rows.iter().map(|(row, left)| cells(app, pen, row, *left)).collect();
    let width =
        |i: usize| cells.iter().map(|c| c[i].width()).chain([COLUMNS[i].title.width()]).max().unwrap_or(0);
    let mut shown: Vec<(usize, usize)> = (0..COLUMNS.len()).map(|i| (i, width(i))).collect();
    while 1 + shown.iter().map(|(_, w)| w + 1).sum::<usize>() > room {
        let Some(worst) = shown.iter().map(|(i, _)| COLUMNS[*i].drop).max().filter(|d| *d > 0) else { break };
        shown.retain(|(i, _)| COLUMNS[*i].drop != worst);
    }
    let pad = |i: usize, w: usize, text: &str| {
        let gap = " ".repeat(w.saturating_sub(text.width()));
        if COLUMNS[i].right { format!(" {gap}{text}") } else { format!(" {text}{gap}") }
    };
    let heading: String = shown.iter().map(|(i, w)| pad(*i, *w, COLUMNS[*i].title)).collect();
    let mut lines = vec![Line::styled(format!(" {heading}"), pen.theme.dim)];
    for ((row, left), cells) in rows.iter().zip(&cells) {
        let (glyph, style) = if *left { ("×", pen.theme.warn) } else { look(row.state, pen.theme) };
        let mut spans = vec![Span::styled(glyph, style)];
        for (i, w) in &shown {
            let style = match (*i, row.role) {
                (STATE, _) => style,
                _ if *left => pen.theme.dim,
                (0, RelayRole::Active) => pen.theme.strong,
                _ => Style::new(),
            };
            spans.push(Span::styled(pad(*i, *w, &cells[*i]), style));
        }
        lines.push(Line::from(spans));
    }
    lines
}

/// What became of a reservation that we hold no more.
fn what_happened(app: &App, relay: PeerId) -> &'static str {
    let word = app.timeline.latest(relay, |kind| match kind {
        EventKind::RelayDead { .. } => Some("dead"),
        EventKind::RelayReleased => Some("released"),
        EventKind::RelayRefused { .. } => Some("refused"),
        _ => None,
    });
    word.unwrap_or("gone")
}

fn cells(app: &App, pen: &Pen<'_>, row: &ReservationRow, left: bool) -> [String; 9] {
    let dash = || "-".to_owned();
    let name = app.peer(row.relay).and_then(|p| p.name.as_deref());
    [
        row.role.name().to_owned(),
        row.relay.short(),
        name.map_or_else(dash, |name| ellipsize(&clean(name), NAME_MAX, '…')),
        row.public_addr.map_or_else(dash, |addr| addr.to_string()),
        if left { what_happened(app, row.relay) } else { row.state.name() }.to_owned(),
        fmt::rtt(row.rtt_ms),
        row.expires.filter(|_| !left).map_or_else(dash, |at| pen.countdown(at)),
        fmt::short_bytes(row.bytes_tx),
        fmt::short_bytes(row.bytes_rx),
    ]
}

/// A reservation's state as a glyph and a style; the word stands in its column.
fn look(state: ReservationState, theme: &Theme) -> (&'static str, Style) {
    match state {
        ReservationState::Reserving => ("◐", theme.accent),
        ReservationState::Ready => ("●", theme.good),
        ReservationState::Suspect => ("!", theme.warn),
    }
}

fn failover(pen: &Pen<'_>, over: &Failover) -> Line<'static> {
    let time = pen.time_of_day(over.at);
    let to = over.to.map_or_else(|| "no relay".to_owned(), |id| id.short());
    let gap = over.gap_ms.map_or_else(|| "-".to_owned(), fmt::elapsed);
    let lost = over.lost.map_or_else(|| "- messages".to_owned(), |n| fmt::count(n, "message"));
    let bad = over.to.is_none() || over.lost.is_some_and(|n| n > 0);
    Line::from(vec![
        Span::styled(format!("{:<10}", "failover"), pen.theme.dim),
        Span::raw(format!("{} → {to} {}, gap {gap}, ", over.from.short(), &time[..time.len().min(8)])),
        Span::styled(format!("{lost} lost"), if bad { pen.theme.bad } else { Style::new() }),
    ])
}

fn serving(relays: &RelaysView) -> String {
    match (relays.serving_sessions, relays.serving_bytes) {
        (Some(sessions), Some(bytes)) => {
            format!("{} for others, {} so far", fmt::count(sessions, "session"), fmt::bytes(bytes))
        }
        (Some(sessions), None) => format!("{} for others", fmt::count(sessions, "session")),
        (None, _) => "- not known".to_owned(),
    }
}

/// The links of ours that run through a relay.
fn relayed(app: &App, pen: &Pen<'_>) -> Vec<Line<'static>> {
    let through = app.shown().links.iter().filter(|l| l.path == Path::Relayed);
    let mut lines: Vec<Line<'static>> = through
        .map(|link| {
            let via = link.via.map_or_else(|| "-".to_owned(), |id| app.call(id));
            let text = format!("{} via {via}  rtt {}", app.call(link.peer_id), fmt::rtt(link.rtt_ms));
            frame::labelled(pen, "relayed", text)
        })
        .collect();
    if lines.is_empty() {
        lines.push(frame::labelled(pen, "relayed", "none: no link of ours runs through a relay".to_owned()));
    }
    lines
}
