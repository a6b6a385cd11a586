//! Draws the two tables: what we hold and for how long it holds, and whom we serve;
//! between and below them the last failover, and the links that run through a relay.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::{Relays, held, served};
use crate::model::{Failover, Path};
use crate::tui::draw::{Drawn, Pen, Spot, frame};
use crate::tui::fmt;
use crate::tui::pane::Pane;

/// The pane as lines, and where the tables stand among them.
struct Text {
    lines: Vec<Line<'static>>,
    /// How many rows are in the first table, and in both.
    rows: (usize, usize),
    /// The lines of the headings, where there is such a table.
    headings: [Option<usize>; 2],
}

impl Text {
    /// The line of a row of both tables, one below the other.
    fn line_of(&self, row: usize) -> Option<usize> {
        let (first, both) = self.rows;
        match row.checked_sub(first) {
            None => self.headings[0].map(|line| line + 1 + row),
            Some(served) if row < both => self.headings[1].map(|line| line + 1 + served),
            Some(_) => None,
        }
    }

    /// From which line on a row can be seen with what belongs to it: with the first
    /// one of a table go its heading and its title.
    fn with_title(&self, row: usize) -> Option<usize> {
        let line = self.line_of(row)?;
        Some(if row == 0 || row == self.rows.0 { line.saturating_sub(2) } else { line })
    }
}

/// Draws the pane.
pub(super) fn draw(relays: &Relays, pen: &Pen<'_>, area: Rect, buf: &mut Buffer) -> Drawn {
    let text = lines(relays, pen, usize::from(area.width.saturating_sub(4)));
    let cursor = relays.cursor();
    let right = if cursor.is_some() { frame::sorted(relays.sort()) } else { String::new() };
    let base = base(relays, &text, usize::from(area.height.saturating_sub(2)));
    let wanted = base.saturating_add(relays.below);
    let drawn = frame::scrolled(pen, (Pane::Relays, &right), &text.lines, wanted, area, buf);
    let Drawn { rows, top, .. } = drawn;
    let drawn = Drawn { below: top.saturating_sub(base), ..drawn };
    clickable(pen, &text, top, area);
    let Some(cursor) = cursor else { return drawn };
    // Below the border.
    let line = text.line_of(cursor).and_then(|line| line.checked_sub(top)).filter(|line| *line < rows);
    if let Some(line) = line.and_then(|line| u16::try_from(line).ok()) {
        let line =
            Rect { x: area.x + 1, y: area.y + 1 + line, width: area.width.saturating_sub(2), height: 1 };
        frame::mark_selected(pen, pen.acting == Pane::Relays, line, buf);
    }
    let place =
        [Some(format!("{} of {}", cursor + 1, text.rows.1)), frame::lines_shown(top, rows, text.lines.len())];
    frame::note(pen, &place.into_iter().flatten().collect::<Vec<_>>().join(", "), area, buf);
    drawn
}

/// From which line on the cursor alone would have it shown: its row is in sight, and what
/// belongs to it.
fn base(relays: &Relays, text: &Text, rows: usize) -> usize {
    let mut base = relays.top.saturating_sub(relays.below);
    if let Some(cursor) = relays.cursor() {
        if let Some(line) = text.line_of(cursor) {
            base = base.max((line + 1).saturating_sub(rows));
        }
        if let Some(line) = text.with_title(cursor) {
            base = base.min(line);
        }
    }
    base
}

/// Notes where the rows and the headings stand.
fn clickable(pen: &Pen<'_>, text: &Text, top: usize, area: Rect) {
    let inner = Rect { x: area.x + 2, width: area.width.saturating_sub(3), y: area.y + 1, height: 1 };
    let rows = usize::from(area.height.saturating_sub(2));
    let place = |line: usize| {
        let shown = line.checked_sub(top).filter(|y| *y < rows)?;
        Some(inner.y + u16::try_from(shown).unwrap_or(0))
    };
    for row in 0..text.rows.1 {
        if let Some(y) = text.line_of(row).and_then(place) {
            pen.mark(Rect { y, ..inner }, Spot::Row(Pane::Relays, row));
        }
    }
    let titles = [held::COLUMNS.map(|c| c.title), served::COLUMNS.map(|c| c.title)];
    let mut first = 0;
    for (heading, titles) in text.headings.iter().zip(titles) {
        if let Some((line, y)) = heading.and_then(|line| Some((text.lines.get(line)?, place(line)?))) {
            mark_columns(pen, &line.to_string(), (&titles, first), Rect { y, ..inner });
        }
        first += titles.len();
    }
}

/// Notes where the titles of columns stand in a heading, counted from `first` on.
fn mark_columns(pen: &Pen<'_>, heading: &str, (titles, first): (&[&str], usize), at: Rect) {
    let mut from = 0;
    for (number, title) in titles.iter().enumerate() {
        let Some(start) = find_word(&heading[from..], title) else { continue };
        let end = from + start + title.len();
        let (x, width) = (u16::try_from(from).unwrap_or(0), u16::try_from(end - from).unwrap_or(0));
        pen.mark(Rect { x: at.x + x, width, ..at }, Spot::Column(Pane::Relays, first + number));
        from = end;
    }
}

/// Where a title begins that is not only the beginning of another one.
fn find_word(heading: &str, title: &str) -> Option<usize> {
    let ends = |at: usize| heading[at + title.len()..].chars().next().is_none_or(|c| c == ' ');
    heading.match_indices(title).map(|(at, _)| at).find(|at| ends(*at))
}

/// What matters most first: the pane may show only some of it.
fn lines(relays: &Relays, pen: &Pen<'_>, room: usize) -> Text {
    let title = |text: String| Line::styled(text, pen.theme.strong);
    let (held, served) = (held::lines(&relays.held, pen, room), served::lines(&relays.served, pen, room));
    let mut lines = vec![title(held::title(&relays.held))];
    let first = (!held.is_empty()).then_some(lines.len());
    lines.extend(held);
    lines.extend(pen.shown.relays.last_failover.as_ref().map(|over| failover(pen, over)));
    lines.push(title(served::title(pen)));
    let second = (!served.is_empty()).then_some(lines.len());
    lines.extend(served);
    lines.extend(relayed(pen));
    let rows = (relays.held.len(), relays.len());
    Text { lines, rows, headings: [first, second] }
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

/// The links of ours that run through a relay.
fn relayed(pen: &Pen<'_>) -> Vec<Line<'static>> {
    let through = pen.shown.links.iter().filter(|l| l.path == Path::Relayed);
    let mut lines: Vec<Line<'static>> = through
        .map(|link| {
            let via = link.via.map_or_else(|| "-".to_owned(), |id| pen.call(id));
            let text = format!("{} via {via}  rtt {}", pen.call(link.peer_id), fmt::rtt(link.rtt_ms));
            frame::labelled(pen, "relayed", text)
        })
        .collect();
    if lines.is_empty() {
        lines.push(frame::labelled(pen, "relayed", "none: no link of ours runs through a relay".to_owned()));
    }
    lines
}
