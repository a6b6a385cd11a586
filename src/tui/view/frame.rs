//! The furniture: boxes with titles, popups, the page for a terminal that is
//! too small.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::symbols::border::ROUNDED;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Widget, Wrap};

use unicode_width::UnicodeWidthStr;

use super::{MIN_HEIGHT, MIN_WIDTH, Pen};
use crate::tui::app::{App, FilteredLog, Pane, Question, Spot};
use crate::tui::bindings::{Action, Scope};
use crate::tui::filter::Wrong;
use crate::tui::theme::Theme;

/// Draws a pane's box and returns the room inside.
pub(super) fn pane(app: &App, pen: &Pen<'_>, pane: Pane, right: &str, area: Rect, buf: &mut Buffer) -> Rect {
    let focused = app.focus == pane && app.overlays.is_empty();
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

/// Draws a pane of lines that can be scrolled, and returns the rows there are.
pub(super) fn scrolled(
    app: &mut App,
    pen: &Pen<'_>,
    which: Pane,
    right: &str,
    lines: &[Line<'_>],
    area: Rect,
    buf: &mut Buffer,
) -> usize {
    let inner = pane(app, pen, which, right, area, buf);
    let rows = usize::from(inner.height);
    let scroll = &mut app.scrolls[which as usize];
    *scroll = (*scroll).min(lines.len().saturating_sub(rows));
    let top = *scroll;
    for (line, y) in lines.iter().skip(top).zip(inner.y..inner.bottom()) {
        put(buf, (inner.x + 1, y), line, inner.width.saturating_sub(1));
    }
    if let Some(text) = lines_shown(top, rows, lines.len()) {
        note(pen, &text, area, buf);
    }
    rows
}

/// Which lines are in sight, where not all are.
pub(super) fn lines_shown(top: usize, rows: usize, of: usize) -> Option<String> {
    (of > rows).then(|| format!("lines {}-{} of {of}", top + 1, top + rows))
}

/// Draws a box with a title and returns the room inside.
pub(super) fn boxed(title: Line<'_>, border: Style, area: Rect, buf: &mut Buffer) -> Rect {
    let block = Block::bordered().border_set(ROUNDED).border_style(border).title(title);
    let inner = block.inner(area);
    block.render(area, buf);
    inner
}

/// What stands in a pane that has nothing to show.
pub(super) fn hint(theme: &Theme, text: &str, inner: Rect, buf: &mut Buffer) {
    let line = Line::styled(text.to_owned(), theme.dim);
    put(buf, (inner.x + 1, inner.y), &line, inner.width.saturating_sub(1));
}

/// Marks the selected row of a table: a bar where peer actions are about it, else
/// only a mark.
pub(super) fn mark_selected(pen: &Pen<'_>, acting: bool, line: Rect, buf: &mut Buffer) {
    let style = if acting { pen.theme.accent } else { pen.theme.dim };
    buf.set_string(line.x, line.y, "▶", style);
    if acting {
        buf.set_style(line, pen.theme.selected);
    }
}

/// The order of a table as it stands in its title.
pub(super) fn sorted((by, inverse): (&str, bool)) -> String {
    format!("sort {by} {}", if inverse { "↓" } else { "↑" })
}

/// Writes on the lower border of a box, at its left end, if there is room.
pub(super) fn note_left(pen: &Pen<'_>, text: &str, area: Rect, buf: &mut Buffer) -> bool {
    let room = usize::from(area.width.saturating_sub(30));
    let fits = text.width() + 2 <= room && area.height > 1;
    if fits {
        buf.set_string(area.x + 2, area.bottom() - 1, format!(" {text} "), pen.theme.dim);
    }
    fits
}

/// Writes on the lower border of a box, at its right end.
pub(super) fn note(pen: &Pen<'_>, text: &str, area: Rect, buf: &mut Buffer) {
    let text = format!(" {text} ");
    let width = u16::try_from(text.chars().count()).unwrap_or(u16::MAX);
    if width + 4 <= area.width && area.height > 1 {
        buf.set_string(area.right() - 2 - width, area.bottom() - 1, text, pen.theme.dim);
    }
}

/// A line that says what it is about.
pub(super) fn labelled(pen: &Pen<'_>, label: &str, text: String) -> Line<'static> {
    Line::from(vec![Span::styled(format!("{label:<10}"), pen.theme.dim), Span::raw(text)])
}

/// Writes a line; where it is cut, an ellipsis says so.
pub(super) fn put(buf: &mut Buffer, (x, y): (u16, u16), line: &Line<'_>, width: u16) {
    buf.set_line(x, y, line, width);
    if line.width() > usize::from(width)
        && let Some(cell) = buf.cell_mut((x + width.saturating_sub(1), y))
    {
        cell.set_symbol("…");
    }
}

/// Draws a popup with lines, scrolled, and returns its page. The scroll is cut
/// to what there is.
pub(super) fn popup(
    pen: &Pen<'_>,
    title: &str,
    lines: &[Line<'_>],
    scroll: &mut u16,
    (width, body): (u16, Rect),
    buf: &mut Buffer,
) -> usize {
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let area = centred(body, width, height);
    Clear.render(area, buf);
    let title = Line::styled(format!(" {title} "), pen.theme.strong);
    let inner = boxed(title, pen.theme.accent, area, buf);
    let rows = usize::from(inner.height);
    let most = u16::try_from(lines.len().saturating_sub(rows)).unwrap_or(u16::MAX);
    *scroll = (*scroll).min(most);
    for (line, y) in lines.iter().skip(usize::from(*scroll)).zip(inner.y..inner.bottom()) {
        put(buf, (inner.x + 1, y), line, inner.width.saturating_sub(2));
    }
    if most > 0 {
        let last = usize::from(*scroll) + rows;
        note(pen, &format!("lines {}-{last} of {}", *scroll + 1, lines.len()), area, buf);
    }
    rows
}

/// Notes which lines of a [`popup`] are rows that can be chosen: the first line
/// of each, how many, and its number.
pub(super) fn choices(
    pen: &Pen<'_>,
    rows: &[(usize, usize, usize)],
    (lines, scroll): (usize, u16),
    (width, body): (u16, Rect),
) {
    let height = u16::try_from(lines).unwrap_or(u16::MAX).saturating_add(2);
    let area = centred(body, width, height);
    let (top, seen) = (usize::from(scroll), usize::from(area.height.saturating_sub(2)));
    for (first, count, row) in rows {
        for line in (*first..first + count).filter(|line| (top..top + seen).contains(line)) {
            let y = area.y + 1 + u16::try_from(line - top).unwrap_or(0);
            let line = Rect { x: area.x + 1, width: area.width.saturating_sub(2), y, height: 1 };
            pen.mark(line, Spot::Choice(*row));
        }
    }
}

/// Draws a window over the panes, and returns its area and the room inside.
pub(super) fn window(pen: &Pen<'_>, title: &str, body: Rect, width: u16, buf: &mut Buffer) -> (Rect, Rect) {
    let area = centred(body, width, body.height);
    Clear.render(area, buf);
    let inner = boxed(Line::styled(format!(" {title} "), pen.theme.strong), pen.theme.accent, area, buf);
    (area, Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner })
}

/// A question in a box; its keys stand in the footer and below it.
pub(super) fn question(app: &App, pen: &Pen<'_>, question: &Question, body: Rect, buf: &mut Buffer) {
    let width = 60.min(body.width);
    let area = centred(body, width, if question.name.is_some() { 8 } else { 6 });
    Clear.render(area, buf);
    let inner = boxed(Line::styled(" Sure? ", pen.theme.strong), pen.theme.warn, area, buf);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    Paragraph::new(question.text.as_str())
        .wrap(Wrap { trim: true })
        .render(Rect { height: inner.height.saturating_sub(1), ..inner }, buf);
    let (scope, yes, no) = match question.name {
        Some(_) => (Scope::Name, Action::Apply, Action::Cancel),
        None => (Scope::Confirm, Action::Yes, Action::No),
    };
    if let Some(name) = &question.name {
        let label = format!("type {name} to do it:");
        typed(pen, &label, &question.typed, (inner.x, inner.bottom() - 3), inner.width, buf);
    }
    let mut spans = Vec::new();
    for action in [yes, no] {
        if let Some(bound) = app.keys.find(scope, action) {
            spans.push(Span::styled(bound.key(), pen.theme.accent));
            spans.push(Span::raw(format!(" {}   ", bound.label)));
        }
    }
    buf.set_line(inner.x, inner.bottom() - 1, &Line::from(spans), inner.width);
}

/// A line that is being typed, behind a label; its end is always seen.
pub(super) fn typed(pen: &Pen<'_>, label: &str, text: &str, at: (u16, u16), width: u16, buf: &mut Buffer) {
    put(buf, at, &typed_line(pen, label, text, width.into(), true), width);
}

/// The same as a line; without a cursor where it is not being typed.
pub(super) fn typed_line(
    pen: &Pen<'_>,
    label: &str,
    text: &str,
    width: usize,
    cursor: bool,
) -> Line<'static> {
    let room = width.saturating_sub(label.width() + 3);
    let mut spans = vec![Span::styled(format!("{label} "), pen.theme.accent), Span::raw(tail(text, room))];
    if cursor {
        spans.push(Span::styled("█", pen.theme.accent));
    }
    Line::from(spans)
}

/// The end of a text that is longer than its room: one types at the end.
pub(super) fn tail(text: &str, room: usize) -> String {
    let mut from = 0;
    while text[from..].width() > room {
        from += text[from..].chars().next().map_or(1, char::len_utf8);
    }
    text[from..].to_owned()
}

/// The page for a terminal on which nothing fits.
pub(super) fn too_small(app: &App, pen: &Pen<'_>, area: Rect, buf: &mut Buffer) {
    let lines = [
        "The terminal is too small".to_owned(),
        format!("needs {MIN_WIDTH}x{MIN_HEIGHT}, has {}x{}", area.width, area.height),
        format!("{} quits", app.keys.key_of(Scope::Confirm, Action::Quit)),
    ];
    for (text, y) in lines.iter().zip(area.y..area.bottom()) {
        buf.set_stringn(area.x, y, text, area.width.into(), pen.theme.strong);
    }
}

/// What stands above a list that follows what comes.
pub(super) fn log_title<T>(
    app: &App,
    log: &FilteredLog<T>,
    limit: u64,
    (filter, wrong): (&str, Option<&Wrong>),
) -> String {
    let follows = app.keys.key_of(Scope::Main, Action::Bottom);
    let held = if log.is_held() { format!("held ─ {follows} follows") } else { String::new() };
    if filter.is_empty() {
        return held;
    }
    let dash = if held.is_empty() { "" } else { " ─ " };
    let unread = unread(wrong);
    format!("{held}{dash}filter \"{filter}\"{unread} {} of {}", log.passing(limit), log.count(limit))
}

/// Marks a filter of which a part could not be read, and so does not hold.
pub(super) fn unread(wrong: Option<&Wrong>) -> &'static str {
    if wrong.is_some() { " ✗ partly unreadable," } else { "" }
}

/// Draws a list that follows what comes, and returns the rows there are.
pub(super) fn log<T>(
    pen: &Pen<'_>,
    log: &FilteredLog<T>,
    limit: u64,
    empty: &str,
    line: impl Fn(&T) -> Line<'static>,
    (area, inner): (Rect, Rect),
    buf: &mut Buffer,
) -> usize {
    let rows = usize::from(inner.height);
    let (top, entries) = log.view(rows, limit);
    let cursor = log.cursor(limit).filter(|_| log.is_held());
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
        note(pen, &format!("{} of {}", cursor + 1, log.passing(limit)), area, buf);
    }
    rows
}

fn centred(body: Rect, width: u16, height: u16) -> Rect {
    let width = width.min(body.width);
    let height = height.min(body.height);
    Rect { x: body.x + (body.width - width) / 2, y: body.y + (body.height - height) / 2, width, height }
}

/// Writes texts behind a head, broken at spaces; further lines are indented.
pub(super) fn flow(
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
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
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
