//! Aligned columns for people.

use std::io::IsTerminal as _;

use clap::builder::styling::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr as _;

use crate::model::printable;

/// Between two columns.
const GAP: &str = "  ";

/// A cell: a text, and how it is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cell {
    text: String,
    tone: Tone,
    right: bool,
}

/// How a text is meant. Never said by colour alone: the text says it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Strong,
    Dim,
    Good,
    Warn,
    Bad,
}

impl Tone {
    fn style(self) -> Style {
        let colour = |c: AnsiColor| Style::new().fg_color(Some(c.into()));
        match self {
            Self::Plain => Style::new(),
            Self::Strong => Style::new().bold(),
            Self::Dim => Style::new().dimmed(),
            Self::Good => colour(AnsiColor::Green),
            Self::Warn => colour(AnsiColor::Yellow),
            Self::Bad => colour(AnsiColor::Red),
        }
    }
}

/// A text to the left. What others named is made harmless.
pub(super) fn left(text: impl ToString) -> Cell {
    Cell { text: printable(&text.to_string()), tone: Tone::Plain, right: false }
}

/// A number to the right; `-` where nothing is known.
pub(super) fn right(text: Option<impl ToString>) -> Cell {
    let text = text.map_or_else(|| "-".to_owned(), |t| t.to_string());
    Cell { right: true, ..left(text) }
}

impl Cell {
    /// Meant so.
    pub(super) fn tone(self, tone: Tone) -> Self {
        Self { tone, ..self }
    }

    fn write(&self, width: usize, last: bool, colours: bool) -> String {
        let pad = " ".repeat(width.saturating_sub(self.text.width()));
        let text = if colours && self.tone != Tone::Plain {
            let style = self.tone.style();
            format!("{style}{}{style:#}", self.text)
        } else {
            self.text.clone()
        };
        match (self.right, last) {
            (true, _) => pad + &text,
            (false, true) => text,
            (false, false) => text + &pad,
        }
    }
}

/// Whether standard output takes colours.
pub(super) fn colours() -> bool {
    std::io::stdout().is_terminal() && crate::telemetry::takes_colours(|name| std::env::var_os(name))
}

/// Rows under their heads.
pub(super) fn table(heads: &[&str], rows: &[Vec<Cell>]) -> String {
    let heads: Vec<Cell> = heads
        .iter()
        .enumerate()
        .map(|(i, head)| {
            let right = rows.first().and_then(|row| row.get(i)).is_some_and(|cell| cell.right);
            Cell { right, ..left(head) }.tone(Tone::Dim)
        })
        .collect();
    let all: Vec<&[Cell]> = std::iter::once(heads.as_slice()).chain(rows.iter().map(Vec::as_slice)).collect();
    write(&all, colours())
}

/// Names and values.
pub(super) fn pairs(rows: Vec<(&str, Cell)>) -> String {
    let rows: Vec<Vec<Cell>> =
        rows.into_iter().map(|(name, value)| vec![left(name).tone(Tone::Dim), value]).collect();
    let all: Vec<&[Cell]> = rows.iter().map(Vec::as_slice).collect();
    write(&all, colours())
}

fn write(rows: &[&[Cell]], colours: bool) -> String {
    let columns = rows.iter().map(|row| row.len()).max().unwrap_or(0);
    let width =
        |i: usize| rows.iter().filter_map(|row| row.get(i)).map(|c| c.text.width()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let last = row.len().saturating_sub(1);
        let cells = row.iter().zip(&widths).enumerate();
        let line: Vec<String> =
            cells.map(|(i, (cell, width))| cell.write(*width, i == last, colours)).collect();
        out.push_str(line.join(GAP).trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_numbers_stand_to_the_right() {
        let rows = [
            vec![left("ab"), right(Some(7)), left("x")],
            vec![left("名前名前"), right(None::<u8>), left("a long last one")],
        ];
        let all: Vec<&[Cell]> = rows.iter().map(Vec::as_slice).collect();
        assert_eq!(write(&all, false), "ab        7  x\n名前名前  -  a long last one\n");
    }

    #[test]
    fn what_others_named_cannot_command_the_terminal() {
        assert!(!write(&[&[left("a\u{1b}[2Jb")]], false).contains('\u{1b}'));
        assert!(write(&[&[left("a").tone(Tone::Bad)]], true).contains('\u{1b}'));
    }
}
