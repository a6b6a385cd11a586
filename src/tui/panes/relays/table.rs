//! The tables of this pane: as wide as their cells need to be, and without the
//! columns that matter least where there is too little room.

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use crate::model::{PeerId, clean, ellipsize};
use crate::tui::draw::Pen;
use crate::tui::theme::Theme;

/// The widest that a peer's name is shown.
const NAME_MAX: usize = 12;

/// A column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) title: &'static str,
    /// Numbers stand at the right of their column.
    right: bool,
    /// Higher goes first when there is too little room.
    drop: u8,
}

pub(super) const fn column(title: &'static str, right: bool, drop: u8) -> Column {
    Column { title, right, drop }
}

/// A row: what stands in front of it, its cells, and how each looks.
pub(super) struct Cells<const N: usize> {
    pub(super) glyph: (&'static str, Style),
    pub(super) texts: [String; N],
    pub(super) styles: [Style; N],
}

/// A heading, and a line for each row.
pub(super) fn table<const N: usize>(
    theme: &Theme,
    columns: &[Column; N],
    rows: &[Cells<N>],
    room: usize,
) -> Vec<Line<'static>> {
    let width = |i: usize| {
        rows.iter().map(|r| r.texts[i].width()).chain([columns[i].title.width()]).max().unwrap_or(0)
    };
    let mut shown: Vec<(usize, usize)> = (0..N).map(|i| (i, width(i))).collect();
    while 1 + shown.iter().map(|(_, w)| w + 1).sum::<usize>() > room {
        let Some(worst) = shown.iter().map(|(i, _)| columns[*i].drop).max().filter(|d| *d > 0) else { break };
        shown.retain(|(i, _)| columns[*i].drop != worst);
    }
    let pad = |i: usize, w: usize, text: &str| {
        let gap = " ".repeat(w.saturating_sub(text.width()));
        if columns[i].right { format!(" {gap}{text}") } else { format!(" {text}{gap}") }
    };
    let heading: String = shown.iter().map(|(i, w)| pad(*i, *w, columns[*i].title)).collect();
    let mut lines = vec![Line::styled(format!(" {heading}"), theme.dim)];
    for row in rows {
        let mut spans = vec![Span::styled(row.glyph.0, row.glyph.1)];
        spans.extend(shown.iter().map(|(i, w)| Span::styled(pad(*i, *w, &row.texts[*i]), row.styles[*i])));
        lines.push(Line::from(spans));
    }
    lines
}

/// A peer's name as it stands in a table.
pub(super) fn name(pen: &Pen<'_>, peer: PeerId) -> String {
    let name = pen.peer(peer).and_then(|p| p.name.as_deref());
    name.map_or_else(|| "-".to_owned(), |name| ellipsize(&clean(name), NAME_MAX, '…'))
}
