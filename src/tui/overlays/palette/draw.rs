//! The palette: what is typed, and what it finds. A row says how it is called,
//! what it does or why it cannot be done now, what it costs, and its key.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::{Hit, Order, Palette, What};
use crate::model::ellipsize;
use crate::tui::bindings::{Action, Bound, Danger, Scope};
use crate::tui::draw::{Drawn, Pen, Spot, frame};
use crate::tui::fmt;

/// The widest that the palette is.
const WIDTH: u16 = 100;
/// Its height, with its borders and the line that is typed.
const HEIGHT: u16 = 20;
/// The widest that the names get.
const TITLE: usize = 34;

/// Draws the palette.
pub(super) fn draw(palette: &Palette, pen: &Pen<'_>, body: Rect, buf: &mut Buffer) -> Drawn {
    let width = WIDTH.min(body.width);
    let close = pen.keys.key_of(Scope::Palette, Action::Close);
    let title = format!("Palette ─ {close} closes");
    let height = HEIGHT.min(body.height);
    let (area, inner) = frame::window(pen, &title, Rect { height, ..body }, width, buf);
    let room = usize::from(inner.width);
    let line = frame::typed(pen, ":", &palette.line, room, true);
    frame::put(buf, (inner.x, inner.y), &line, inner.width);
    // The last line is for what does not fit into a row.
    let rows = usize::from(inner.height.saturating_sub(2));
    let found = palette.hits.len();
    if found == 0 {
        let line = Line::styled("  no action or peer matches", pen.theme.dim);
        frame::put(buf, (inner.x, inner.y + 1), &line, inner.width);
        return Drawn { rows, top: palette.top, below: 0 };
    }
    let top = palette.top.min(palette.row).max((palette.row + 1).saturating_sub(rows));
    let top = top.min(found.saturating_sub(rows));
    let shown = palette.hits.iter().enumerate().skip(top).take(rows);
    let longest = palette.hits.iter().map(|hit| hit.title.width()).max().unwrap_or(0).clamp(18, TITLE);
    for ((n, hit), y) in shown.zip(inner.y + 1..) {
        pen.mark(Rect { y, height: 1, ..inner }, Spot::Choice(n));
        let line = row(pen, hit, n == palette.row, &palette.from, (longest, room));
        frame::put(buf, (inner.x, y), &line, inner.width);
    }
    if let Some(hit) = palette.chosen() {
        let possible = hit.possible(pen.possible);
        let text = possible.map_or_else(|reason| format!("not now: {reason}"), |()| about(pen, hit));
        frame::put(buf, (inner.x, inner.bottom() - 1), &Line::styled(text, pen.theme.dim), inner.width);
    }
    frame::note(pen, &format!("{} of {found}", palette.row + 1), area, buf);
    Drawn { rows, top, below: 0 }
}

fn row(
    pen: &Pen<'_>,
    hit: &Hit,
    chosen: bool,
    from: &[Scope],
    (longest, width): (usize, usize),
) -> Line<'static> {
    let theme = pen.theme;
    let refused = hit.possible(pen.possible).err();
    let (key, danger) = match &hit.what {
        What::Do(line) | What::DoTo(line, _) => {
            (pen.keys.of_scopes(from).find(|b| b.action == line.action).map(Bound::key), line.danger)
        }
        What::Select(_) => (None, Danger::None),
        What::Order(word, _) => (None, word.danger()),
    };
    let key = key.unwrap_or_default();
    let mut spans = vec![Span::styled(if chosen { "▶ " } else { "  " }, theme.accent)];
    let base = if refused.is_some() { theme.dim } else { Style::new() };
    let title = ellipsize(&hit.title, longest, '…');
    spans.extend(marked(&title, &hit.marks, base, theme.accent.underlined()));
    spans.push(Span::raw(" ".repeat(longest.saturating_sub(title.width()) + 2)));
    // The mark of what it costs and the key stand at the right.
    let right = 3 + key.width().max(9) + 1;
    let room = width.saturating_sub(2 + longest + 2 + right);
    let (about, style) = match &refused {
        Some(reason) => (format!("not now: {reason}"), theme.dim),
        None => (about(pen, hit), theme.dim),
    };
    let about = ellipsize(&about, room, '…');
    spans.push(Span::styled(about.clone(), if refused.is_none() { Style::new() } else { style }));
    spans.push(Span::raw(" ".repeat(room.saturating_sub(about.width()))));
    spans.push(Span::styled(format!(" {:<2}", danger.glyph()), pen.danger(danger)));
    spans.push(Span::styled(format!("{key:>9}"), theme.accent));
    let line = Line::from(spans);
    if chosen { line.patch_style(theme.selected) } else { line }
}

/// What a row does, in a sentence.
fn about(pen: &Pen<'_>, hit: &Hit) -> String {
    match &hit.what {
        What::Do(line) | What::DoTo(line, _) => line.help.to_owned(),
        What::Order(_, order) => order.as_ref().as_ref().map_or_else(String::clone, Order::about),
        What::Select(id) => match pen.peer(*id) {
            Some(peer) => {
                let path = peer.path.map_or_else(String::new, |path| format!(", {path}"));
                let rtt = peer.rtt_ms.map_or_else(String::new, |_| format!(", {}", fmt::rtt(peer.rtt_ms)));
                format!("select it: {}{path}{rtt}", peer.state.name())
            }
            None => "it is not in the cache any more".to_owned(),
        },
    }
}

/// A text with some of its characters marked.
fn marked(text: &str, marks: &[usize], base: Style, mark: Style) -> Vec<Span<'static>> {
    let mut spans: Vec<Span<'static>> = Vec::new();
    for (n, c) in text.chars().enumerate() {
        let style = if marks.contains(&n) { base.patch(mark) } else { base };
        match spans.last_mut() {
            Some(last) if last.style == style => last.content.to_mut().push(c),
            _ => spans.push(Span::styled(c.to_string(), style)),
        }
    }
    spans
}
