//! What each node says of its link to each: a row is what one node says, a column whom it is
//! about. So a link stands there twice, and where its ends disagree both places are marked.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::FleetPanel;
use super::nodes::{NAME, beneath, row_head, table, title};
use crate::model::{Member, Path, Sight, clean, ellipsize};
use crate::tui::draw::{Drawn, Pen, frame};
use crate::tui::fmt;

/// A column's width.
const CELL: usize = 9;
/// What stands before the first column.
const HEAD: usize = NAME + 5;

/// Draws the matrix.
pub(super) fn draw(panel: &FleetPanel, pen: &Pen<'_>, body: Rect, buf: &mut Buffer) -> Drawn {
    let all = panel.order.len();
    let wanted = u16::try_from(HEAD + all * CELL + 4).unwrap_or(u16::MAX).max(80);
    let (area, inner) = frame::window(pen, &title(panel, pen, body.width), body, wanted, buf);
    let columns = (usize::from(inner.width).saturating_sub(HEAD) / CELL).max(1);
    let column = panel.column();
    let at = panel.place(column.map(|node| &node.name));
    // As little aside as it takes to see the chosen column.
    let first = (at + 1).saturating_sub(columns).min(all.saturating_sub(columns));
    let shown: Vec<&Member> = panel.rows().skip(first).take(columns).collect();
    let mut head = vec![Span::styled(format!("{:<HEAD$}", "    FROM, TO"), pen.theme.dim)];
    for node in &shown {
        let chosen = column.is_some_and(|column| column.name == node.name);
        let style = if chosen { pen.theme.accent } else { pen.theme.dim };
        head.push(Span::styled(format!("{:<CELL$}", ellipsize(&clean(&node.name), CELL - 1, '…')), style));
    }
    let mut below = vec![Line::styled(
        "d direct  p punched  r relayed  - no link  ? not known  ! ends disagree",
        pen.theme.dim,
    )];
    if let (Some(one), Some(other)) =
        (panel.chosen(), column.filter(|node| Some(&node.name) != panel.chosen.as_ref()))
    {
        let text = format!("{}; {}", says(one, other), says(other, one));
        below.extend(frame::wrap(&text, inner.width.into()).into_iter().map(Line::from));
    }
    below.extend(beneath(panel, pen));
    if all > columns {
        let text = format!("columns {}-{} of {all}", first + 1, first + shown.len());
        frame::note_left(pen, &text, area, buf);
    }
    let (rows, top) = table(panel, pen, (&Line::from(head), &below), (area, inner), buf, |node, chosen| {
        let mut spans = row_head(panel, pen, node, chosen);
        for to in &shown {
            let here = chosen && column.is_some_and(|column| column.name == to.name);
            let (text, style) = cell(panel, pen, node, to);
            let style = if here { style.patch(pen.theme.selected) } else { style };
            spans.push(Span::styled(format!("{text:<CELL$}"), style));
        }
        Line::from(spans)
    });
    Drawn { rows, top, below: 0 }
}

fn cell(panel: &FleetPanel, pen: &Pen<'_>, from: &Member, to: &Member) -> (String, Style) {
    let theme = pen.theme;
    let disagree = panel.disagreement(&from.name, &to.name).is_some();
    let (text, style) = match from.sight_of(to) {
        Sight::Itself => ("·".to_owned(), theme.dim),
        Sight::Unknown => ("?".to_owned(), theme.dim),
        Sight::NoLink => ("-".to_owned(), theme.dim),
        Sight::Link { path, rtt_ms } => {
            let style = if path == Path::Relayed { theme.warn } else { Style::new() };
            (format!("{} {}", &path.name()[..1], fmt::rtt(rtt_ms)), style)
        }
    };
    if disagree { (format!("{text}!"), theme.bad) } else { (text, style) }
}

/// What a node says of its link to another one, in words.
fn says(from: &Member, to: &Member) -> String {
    let (one, other) = (clean(&from.name), clean(&to.name));
    match from.sight_of(to) {
        Sight::Itself => format!("{one} is {other}"),
        Sight::Unknown => format!("what {one} says of {other} is not known"),
        Sight::NoLink => format!("{one} shows no link to {other}"),
        Sight::Link { path, rtt_ms: None } => format!("{one} shows a {path} link to {other}"),
        Sight::Link { path, rtt_ms: Some(ms) } => {
            format!("{one} shows a {path} link to {other}, {}", fmt::millis(Some(ms)))
        }
    }
}
