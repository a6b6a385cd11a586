//! The furniture: boxes with titles, popups, lists, lines that are typed.

use std::ops::Range;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::symbols::border::ROUNDED;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Widget};
use unicode_width::UnicodeWidthStr;

use super::{Drawn, Pen, Spot};
use crate::tui::bindings::{Action, Scope};
use crate::tui::filter::Wrong;
use crate::tui::line::TextLine;
use crate::tui::lists::{FilteredLog, Stamped};
use crate::tui::pane::Pane;
use crate::tui::theme::Theme;

/// Draws a pane's box and returns the room inside.
pub(crate) fn pane(pen: &Pen<'_>, pane: Pane, right: &str, area: Rect, buf: &mut Buffer) -> Rect {
    let focused = pen.focus == Some(pane);
    let style = if focused { pen.theme.accent } else { pen.theme.quiet };
    let mark = if focused { "▶" } else { " " };
    let title = Line::from(vec![
        Span::styled(mark, pen.theme.accent),
        Span::styled(
            format!("{} {} ", pane.number(), pane.title()),
            if focused { pen.theme.strong } else { pen.theme.dim },
        ),
    ]);
    let inner = boxed(title, style, area, buf);
    let room = usize::from(area.width).saturating_sub(pane.title().len() + 8);
    if !right.is_empty() && room > 0 {
        let text = format!(" {} ", crate::model::ellipsize(right, room, '…'));
        let x = area.right().saturating_sub(1 + u16::try_from(text.width()).unwrap_or(0));
        buf.set_string(x, area.y, text, pen.theme.dim);
    }
    inner
}

/// Draws a pane of lines from `top` on, or as far on as there are lines.
pub(crate) fn scrolled(
    pen: &Pen<'_>,
    (which, right): (Pane, &str),
    lines: &[Line<'_>],
    top: usize,
    area: Rect,
    buf: &mut Buffer,
) -> Drawn {
    let inner = pane(pen, which, right, area, buf);
    let rows = usize::from(inner.height);
    let top = top.min(lines.len().saturating_sub(rows));
    for (line, y) in lines.iter().skip(top).zip(inner.y..inner.bottom()) {
        put(buf, (inner.x + 1, y), line, inner.width.saturating_sub(1));
    }
    if let Some(text) = lines_shown(top, rows, lines.len()) {
        note(pen, &text, area, buf);
    }
    Drawn { rows, top, below: 0 }
}

/// Which lines are in sight, where not all are.
pub(crate) fn lines_shown(top: usize, rows: usize, of: usize) -> Option<String> {
    (of > rows).then(|| format!("lines {}-{} of {of}", top + 1, top + rows))
}

/// Draws a box with a title and returns the room inside.
pub(crate) fn boxed(title: Line<'_>, border: Style, area: Rect, buf: &mut Buffer) -> Rect {
    let block = Block::bordered().border_set(ROUNDED).border_style(border).title(title);
    let inner = block.inner(area);
    block.render(area, buf);
    inner
}

/// What stands in a pane that has nothing to show.
pub(crate) fn hint(theme: &Theme, text: &str, inner: Rect, buf: &mut Buffer) {
    let line = Line::styled(text.to_owned(), theme.dim);
    put(buf, (inner.x + 1, inner.y), &line, inner.width.saturating_sub(1));
}

/// Marks the selected row of a table: a bar where peer actions are about it, else
/// only a mark.
pub(crate) fn mark_selected(pen: &Pen<'_>, acting: bool, line: Rect, buf: &mut Buffer) {
    let style = if acting { pen.theme.accent } else { pen.theme.dim };
    buf.set_string(line.x, line.y, "▶", style);
    if acting {
        buf.set_style(line, pen.theme.selected);
    }
}

/// The order of a table as it stands in its title.
pub(crate) fn sorted((by, inverse): (&str, bool)) -> String {
    format!("sort {by} {}", if inverse { "↓" } else { "↑" })
}

/// Writes on the lower border of a box, at its left end, if there is room.
pub(crate) fn note_left(pen: &Pen<'_>, text: &str, area: Rect, buf: &mut Buffer) -> bool {
    let room = usize::from(area.width.saturating_sub(30));
    let fits = text.width() + 2 <= room && area.height > 1;
    if fits {
        buf.set_string(area.x + 2, area.bottom() - 1, format!(" {text} "), pen.theme.dim);
    }
    fits
}

/// Writes on the lower border of a box, at its right end.
pub(crate) fn note(pen: &Pen<'_>, text: &str, area: Rect, buf: &mut Buffer) {
    let text = format!(" {text} ");
    let width = u16::try_from(text.chars().count()).unwrap_or(u16::MAX);
    if width + 4 <= area.width && area.height > 1 {
        buf.set_string(area.right() - 2 - width, area.bottom() - 1, text, pen.theme.dim);
    }
}

/// A line that says what it is about.
pub(crate) fn labelled(pen: &Pen<'_>, label: &str, text: String) -> Line<'static> {
    Line::from(vec![Span::styled(format!("{label:<10}"), pen.theme.dim), Span::raw(text)])
}

/// Writes a line; where it is cut, an ellipsis says so.
pub(crate) fn put(buf: &mut Buffer, (x, y): (u16, u16), line: &Line<'_>, width: u16) {
    buf.set_line(x, y, line, width);
    if line.width() > usize::from(width)
        && let Some(cell) = buf.cell_mut((x + width.saturating_sub(1), y))
    {
        cell.set_symbol("…");
    }
}

/// Draws a popup of lines from `top` on, or as far on as there are lines.
pub(crate) fn popup(
    pen: &Pen<'_>,
    title: &str,
    lines: &[Line<'_>],
    top: usize,
    (width, body): (u16, Rect),
    buf: &mut Buffer,
) -> Drawn {
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let area = centred(body, width, height);
    Clear.render(area, buf);
    let title = Line::styled(format!(" {title} "), pen.theme.strong);
    let inner = boxed(title, pen.theme.accent, area, buf);
    let rows = usize::from(inner.height);
    let top = top.min(lines.len().saturating_sub(rows));
    for (line, y) in lines.iter().skip(top).zip(inner.y..inner.bottom()) {
        put(buf, (inner.x + 1, y), line, inner.width.saturating_sub(2));
    }
    if let Some(text) = lines_shown(top, rows, lines.len()) {
        note(pen, &text, area, buf);
    }
    Drawn { rows, top, below: 0 }
}

/// Notes which lines of a [`popup`] are rows that can be chosen: the first line
/// of each, how many, and its number.
pub(crate) fn choices(
    pen: &Pen<'_>,
    rows: &[(usize, usize, usize)],
    (lines, top): (usize, usize),
    (width, body): (u16, Rect),
) {
    let height = u16::try_from(lines).unwrap_or(u16::MAX).saturating_add(2);
    let area = centred(body, width, height);
    let seen = usize::from(area.height.saturating_sub(2));
    for (first, count, row) in rows {
        for line in (*first..first + count).filter(|line| (top..top + seen).contains(line)) {
            let y = area.y + 1 + u16::try_from(line - top).unwrap_or(0);
            let line = Rect { x: area.x + 1, width: area.width.saturating_sub(2), y, height: 1 };
            pen.mark(line, Spot::Choice(*row));
        }
    }
}

/// Draws a window over the panes, and returns its area and the room inside.
pub(crate) fn window(pen: &Pen<'_>, title: &str, body: Rect, width: u16, buf: &mut Buffer) -> (Rect, Rect) {
    let area = centred(body, width, body.height);
    Clear.render(area, buf);
    let inner = boxed(Line::styled(format!(" {title} "), pen.theme.strong), pen.theme.accent, area, buf);
    (area, Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner })
}

/// A line that is typed, behind a label; without a cursor where nobody types it.
pub(crate) fn typed(
    pen: &Pen<'_>,
    label: &str,
    line: &TextLine,
    width: usize,
    cursor: bool,
) -> Line<'static> {
    let room = width.saturating_sub(label.width() + 3);
    let mut spans = vec![Span::styled(format!("{label} "), pen.theme.accent)];
    spans.extend(typed_text(pen, line, room, None, cursor));
    Line::from(spans)
}

/// What stands in a line that is typed, as far as there is room, with its cursor; bytes
/// that are `wrong` are marked.
pub(crate) fn typed_text(
    pen: &Pen<'_>,
    line: &TextLine,
    room: usize,
    wrong: Option<Range<usize>>,
    cursor: bool,
) -> Vec<Span<'static>> {
    let (window, at) = (line.window(room), line.cursor());
    let mut spans: Vec<Span<'static>> = Vec::new();
    for (byte, c) in line.text()[window.clone()].char_indices() {
        let byte = window.start + byte;
        let is_wrong = wrong.as_ref().is_some_and(|wrong| wrong.contains(&byte));
        let style = if is_wrong { pen.theme.bad.underlined() } else { Style::new() };
        let style = if cursor && at.contains(&byte) { style.reversed() } else { style };
        match spans.last_mut() {
            Some(last) if last.style == style => last.content.to_mut().push(c),
            _ => spans.push(Span::styled(c.to_string(), style)),
        }
    }
    if cursor && at.is_empty() {
        spans.push(Span::styled("█", pen.theme.accent));
    }
    spans
}

/// What stands above a list that follows what comes.
pub(crate) fn log_title<T: Stamped>(
    pen: &Pen<'_>,
    log: &FilteredLog<T>,
    (filter, wrong): (&str, Option<&Wrong>),
) -> String {
    let follows = pen.keys.key_of(Scope::Main, Action::Bottom);
    let held = if log.is_held() { format!("held ─ {follows} follows") } else { String::new() };
    if filter.is_empty() {
        return held;
    }
    let dash = if held.is_empty() { "" } else { " ─ " };
    let unread = unread(wrong);
    format!("{held}{dash}filter \"{filter}\"{unread} {} of {}", log.passing(), log.count())
}

/// Marks a filter of which a part could not be read, and so does not hold.
pub(crate) fn unread(wrong: Option<&Wrong>) -> &'static str {
    if wrong.is_some() { " ✗ partly unreadable," } else { "" }
}

/// Draws a list that follows what comes.
pub(crate) fn log<T: Stamped>(
    pen: &Pen<'_>,
    log: &FilteredLog<T>,
    empty: &str,
    line: impl Fn(&T) -> Line<'static>,
    (area, inner): (Rect, Rect),
    buf: &mut Buffer,
) -> Drawn {
    let rows = usize::from(inner.height);
    let (top, entries) = log.view(rows);
    let cursor = log.cursor().filter(|_| log.is_held());
    let mut y = inner.y;
    for (entry, place) in entries.zip(top..) {
        let at = Rect { y, height: 1, ..inner };
        put(buf, (at.x, y), &line(entry), inner.width);
        if cursor == Some(place) {
            buf.set_string(at.x, y, "▶", pen.theme.accent);
            buf.set_style(at, pen.theme.selected);
        }
        y += 1;
    }
    if y == inner.y {
        hint(pen.theme, empty, inner, buf);
    }
    if let Some(cursor) = cursor {
        note(pen, &format!("{} of {}", cursor + 1, log.passing()), area, buf);
    }
    Drawn { rows, top, below: 0 }
}

/// A box of a size in the middle of the body.
pub(crate) fn centred(body: Rect, width: u16, height: u16) -> Rect {
    let width = width.min(body.width);
    let height = height.min(body.height);
    Rect { x: body.x + (body.width - width) / 2, y: body.y + (body.height - height) / 2, width, height }
}

/// Writes texts behind a head, broken at spaces; further lines are indented.
pub(crate) fn flow(
    head: Vec<Span<'static>>,
    texts: &[(&str, Style)],
    width: usize,
    indent: usize,
) -> Vec<Line<'static>> {
    let mut line = Line::from(head);
    let texts = texts.iter().filter(|(text, _)| !text.is_empty());
    let needed: usize = texts.clone().map(|(text, _)| text.width() + 1).sum();
    if line.width() + needed <= width + 1 {
        // Nearly always.
        for (n, (text, style)) in texts.enumerate() {
            let space = if n > 0 { " " } else { "" };
            line.push_span(Span::styled(format!("{space}{text}"), *style));
        }
        return vec![line];
    }
    let mut lines = Vec::new();
    // No space is wanted after a head.
    let mut begun = false;
    for (text, style) in texts {
        for word in text.split_whitespace() {
            if begun && line.width() + 1 + word.width() > width {
                let next = Line::from(Span::raw(" ".repeat(indent)));
                lines.push(std::mem::replace(&mut line, next));
                begun = false;
            }
            let space = if begun { " " } else { "" };
            line.push_span(Span::styled(format!("{space}{word}"), *style));
            begun = true;
        }
    }
    lines.push(line);
    lines
}

/// Breaks a sentence at spaces.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last().map_or(0, |l| l.chars().count());
        if line > 0 && line + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else if let Some(last) = lines.last_mut() {
            if line > 0 {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}
