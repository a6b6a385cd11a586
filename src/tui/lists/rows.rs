//! A table with few rows: their order, which is selected, and what left.

use std::cmp::Ordering;
use std::time::Duration;

use super::{Left, Move, Selection, Shown};
use crate::model::{PeerId, Snapshot};

/// What a column sorts by.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    /// By size.
    Number(u64),
    /// By letters, whatever their case.
    Text(String),
}

/// A row of such a table.
pub(crate) trait Row: Clone {
    /// What it is recognised by.
    type Key: Copy + PartialEq;
    /// The columns by which it can be sorted. The first is the order in which the
    /// node tells them.
    const COLUMNS: &'static [&'static str];

    /// What it is recognised by.
    fn key(&self) -> Self::Key;
    /// The peer that it is about.
    fn peer(&self) -> Option<PeerId>;
    /// What it has in a column other than the first; `None` if unknown.
    fn value(&self, column: usize, snapshot: &Snapshot) -> Option<Value>;
}

/// A peer's name as a value.
pub(crate) fn name_of(peer: PeerId, snapshot: &Snapshot) -> Option<Value> {
    snapshot.peer(&peer)?.name.as_ref().map(|name| Value::Text(name.to_lowercase()))
}

/// A peer's id as a value.
pub(crate) fn id_of(peer: PeerId) -> Value {
    Value::Text(peer.to_string())
}

/// Milliseconds as a value.
pub(crate) fn micros(ms: f64) -> Value {
    Value::Number((ms * 1e3) as u64)
}

/// Rows in an order, and which is selected.
#[derive(Debug)]
pub(crate) struct Rows<R: Row> {
    /// As the node tells them.
    told: Vec<R>,
    /// With the place that each had among them.
    left: Left<(R, usize)>,
    /// Places in `told`; behind the last one those in `left`.
    order: Vec<usize>,
    column: usize,
    inverse: bool,
    live: bool,
    selection: Selection<R::Key>,
    /// Whether somebody chose the selected row, rather than it being the first.
    chosen: bool,
}

impl<R: Row> Default for Rows<R> {
    fn default() -> Self {
        Self {
            told: Vec::new(),
            left: Left::default(),
            order: Vec::new(),
            column: 0,
            inverse: false,
            live: true,
            selection: Selection::default(),
            chosen: false,
        }
    }
}

impl<R: Row> Rows<R> {
    /// The rows in order, and whether each left.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&R, bool)> {
        self.order.iter().filter_map(|&at| self.at(at))
    }

    fn at(&self, number: usize) -> Option<(&R, bool)> {
        match self.told.get(number) {
            Some(row) => Some((row, false)),
            None => self.left.get(number - self.told.len()).map(|(row, _)| (row, true)),
        }
    }

    fn row(&self, place: usize) -> Option<&R> {
        self.at(*self.order.get(place)?).map(|(row, _)| row)
    }

    /// How many are shown.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// The place of the selected row.
    pub(crate) fn cursor(&self) -> Option<usize> {
        self.selection.cursor()
    }

    /// The peer that the selected row is about.
    pub(crate) fn selected_peer(&self) -> Option<PeerId> {
        self.row(self.cursor()?)?.peer()
    }

    /// The selected row, and whether it left.
    pub(crate) fn selected(&self) -> Option<(&R, bool)> {
        self.at(*self.order.get(self.cursor()?)?)
    }

    /// Nobody chose its row any more: the first one is as good.
    pub(crate) fn rest(&mut self) {
        self.chosen = false;
    }

    /// The column that sorts, and whether the order is turned around.
    pub(crate) fn sort(&self) -> (&'static str, bool) {
        (R::COLUMNS[self.column], self.inverse)
    }

    /// How long until a row that left goes from the screen.
    pub(crate) fn changes_in(&self, at: Duration) -> Option<Duration> {
        self.left.next_in(at)
    }

    pub(crate) fn sort_next(&mut self) {
        self.column = (self.column + 1) % R::COLUMNS.len();
        self.inverse = false;
    }

    /// Sorts by a column, and by the same one again the other way.
    pub(crate) fn sort_by(&mut self, column: usize) {
        if column == self.column {
            self.sort_inverse();
        } else if column < R::COLUMNS.len() {
            (self.column, self.inverse) = (column, false);
        }
    }

    /// Selects the row at a place, if there is one.
    pub(crate) fn select_at(&mut self, place: usize) {
        if let Some(key) = self.row(place).map(R::key) {
            self.selection.set(Some(key), Some(place));
            self.chosen = true;
        }
    }

    pub(crate) fn sort_inverse(&mut self) {
        self.inverse = !self.inverse;
    }

    /// The rows are of another node from now on.
    pub(crate) fn forget_rows(&mut self) {
        self.told.clear();
        self.left = Left::default();
    }

    /// Takes in the rows of a moment. `looked_at`: whether keys are about this table.
    /// As long as they are not and nobody chose a row, the first one is selected.
    pub(crate) fn refresh(&mut self, rows: Vec<R>, shown: &Shown<'_>, looked_at: bool) {
        let Shown { snapshot, at, live } = *shown;
        self.left.expire(at);
        let is_in = |list: &[R], key: R::Key| list.iter().any(|row| row.key() == key);
        if live {
            self.left.retain(|(row, _)| !is_in(&rows, row.key()));
            let wanted = self.selection.wanted();
            for (place, row) in self.told.iter().enumerate() {
                if !is_in(&rows, row.key()) && (self.live || wanted == Some(row.key())) {
                    self.left.push((row.clone(), place), at);
                }
            }
        } else {
            self.left = Left::default();
        }
        (self.told, self.live) = (rows, live);
        self.put_in_order(snapshot);
        let mut selection = std::mem::take(&mut self.selection);
        let key_at = |place| self.row(place).map(R::key);
        if !self.chosen && !looked_at {
            selection.set(None, None);
            selection.rest_at_top();
        }
        selection.find(self.len(), key_at, |_| live);
        self.selection = selection;
    }

    fn put_in_order(&mut self, snapshot: &Snapshot) {
        let count = self.told.len() + self.left.len();
        let value = |number: usize| match self.column {
            // What left stays before what came into its place.
            0 => Some(Value::Number(match number.checked_sub(self.told.len()) {
                None => 2 * number as u64 + 1,
                Some(left) => self.left.get(left).map_or(0, |(_, place)| 2 * *place as u64),
            })),
            column => self.at(number).and_then(|(row, _)| row.value(column, snapshot)),
        };
        let mut keyed: Vec<_> = (0..count).map(|number| (value(number), number)).collect();
        let inverse = self.inverse;
        keyed.sort_by(|(a, i), (b, j)| {
            let by_value = match (a, b) {
                (Some(a), Some(b)) if inverse => b.cmp(a),
                (Some(a), Some(b)) => a.cmp(b),
                // What is unknown comes last, whichever way the order runs.
                (a, b) => b.is_some().cmp(&a.is_some()),
            };
            if by_value == Ordering::Equal { i.cmp(j) } else { by_value }
        });
        self.order = keyed.into_iter().map(|(_, number)| number).collect();
    }

    pub(crate) fn go(&mut self, step: Move) {
        let mut selection = std::mem::take(&mut self.selection);
        selection.go(step, self.len(), |place| self.row(place).map(R::key));
        self.selection = selection;
        self.chosen = step != Move::Top;
    }
}
