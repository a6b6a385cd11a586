//! What the panes' lists are made of: rows in an order with a selection that stays with
//! its thing, logs that follow what comes, texts that scroll. They know no pane and
//! draw nothing.

mod filtered_log;
mod rows;
mod selection;

use std::sync::Arc;
use std::time::Duration;

use crate::model::Snapshot;

pub(crate) use filtered_log::{FilteredLog, Stamped};
pub(crate) use rows::{Row, Rows, Value, id_of, micros, name_of};
pub(crate) use selection::{Left, Selection};

/// The moment that rows are taken from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown<'a> {
    /// How everything was then.
    pub(crate) snapshot: &'a Arc<Snapshot>,
    /// The console's time.
    pub(crate) at: Duration,
    /// Whether it is the newest moment, so that what is missing has left.
    pub(crate) live: bool,
}

/// Which way and how far to move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Move {
    /// Towards the first row.
    Up(usize),
    /// Towards the last row.
    Down(usize),
    /// To the first row.
    Top,
    /// To the last row.
    Bottom,
}

impl Move {
    /// A position in `0..=last` after the move.
    pub(crate) fn apply(self, at: usize, last: usize) -> usize {
        match self {
            Self::Up(n) => at.min(last).saturating_sub(n),
            Self::Down(n) => at.saturating_add(n).min(last),
            Self::Top => 0,
            Self::Bottom => last,
        }
    }
}

/// The first row to show: as it was, unless the cursor would be outside.
pub(crate) fn keep_in_view(top: usize, cursor: Option<usize>, rows: usize, shown: usize) -> usize {
    let top = top.min(shown.saturating_sub(rows));
    match cursor {
        Some(at) if at < top => at,
        Some(at) if at >= top + rows => at + 1 - rows,
        _ => top,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_is_always_in_view_and_the_rows_move_only_if_they_must() {
        assert_eq!(keep_in_view(0, Some(3), 10, 100), 0);
        assert_eq!(keep_in_view(0, Some(10), 10, 100), 1);
        assert_eq!(keep_in_view(50, Some(10), 10, 100), 10);
        assert_eq!(keep_in_view(50, None, 10, 100), 50);
        assert_eq!(keep_in_view(95, Some(99), 10, 20), 90);
    }
}
