//! The peers: order, filter and selection of their table, and how it is drawn.

mod draw;
mod sort;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use self::sort::{Sort, SortBy};

#[cfg(test)]
pub(crate) use self::draw::state_look;
use super::component::{Component, Filterable, PaneAction, WHEEL};
use crate::model::{PeerId, PeerRow, Snapshot, Stamp};
use crate::tui::draw::{Drawn, Pen};
use crate::tui::filter::{self, Filter, Wrong};
use crate::tui::lists::{Left, Move, Selection, Shown};

type Rows = Arc<Vec<Arc<PeerRow>>>;

/// Which rows are shown, in which order, and which is selected.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    filter: Filter,
    sort: Sort,
    /// Numbers of rows; behind the last one those of peers that left.
    order: Vec<u32>,
    /// How many in it have not left.
    present: usize,
    /// Whether the path to anybody was tested, which makes columns for it worth room.
    any_tested: bool,
    computed_for: Option<Computed>,
    selection: Selection<PeerId>,
    /// The peer that was selected before a filter hid it.
    home: Option<PeerId>,
    left: Left<Arc<PeerRow>>,
    /// Those that actions are about together.
    marked: BTreeSet<PeerId>,
    /// The first row on the screen, and how many there is room for.
    top: usize,
    page: usize,
}

/// What the order was computed for.
#[derive(Debug)]
struct Computed {
    rows: Rows,
    filter: Filter,
    sort: Sort,
    live: bool,
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listed<'a> {
    /// The peer as it is, or as it last was.
    pub(crate) row: &'a Arc<PeerRow>,
    /// Whether it left the snapshot.
    pub(crate) left: bool,
}

impl Peers {
    /// The column that sorts, and whether the order is turned around.
    #[cfg(test)]
    pub(crate) fn sort(&self) -> (&'static str, bool) {
        (self.sort.by.name(), self.sort.inverse)
    }

    /// The first row on the screen.
    #[cfg(test)]
    pub(crate) fn top(&self) -> usize {
        self.top
    }

    /// How many rows are shown.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// The row at a place of the table.
    pub(crate) fn row(&self, at: usize) -> Option<Listed<'_>> {
        let number = *self.order.get(at)? as usize;
        let rows = &self.computed_for.as_ref()?.rows;
        match rows.get(number) {
            Some(row) => Some(Listed { row, left: false }),
            None => self.left.get(number - rows.len()).map(|row| Listed { row, left: true }),
        }
    }

    /// The place of the selected peer; `None` if it is filtered out.
    pub(crate) fn cursor(&self) -> Option<usize> {
        self.selection.cursor()
    }

    /// The selected peer, as long as it is shown.
    pub(crate) fn selected(&self) -> Option<PeerId> {
        self.selection.selected()
    }

    /// The peer that was selected and is not shown now.
    pub(crate) fn hidden_selection(&self) -> Option<PeerId> {
        if self.cursor().is_none() { self.selection.wanted() } else { None }
    }

    /// Marks the selected peer, or takes its mark away, and goes on to the next row.
    pub(crate) fn mark(&mut self) {
        let Some(peer) = self.selected() else { return };
        if !self.marked.remove(&peer) {
            self.marked.insert(peer);
        }
        self.go(Move::Down(1));
    }

    /// Those that are marked, shown or not.
    pub(crate) fn marked(&self) -> impl Iterator<Item = PeerId> {
        self.marked.iter().copied()
    }

    /// Takes all marks away.
    pub(crate) fn unmark(&mut self) {
        self.marked.clear();
    }

    fn sort_by(&mut self, column: usize) {
        match SortBy::ALL.get(column) {
            Some(by) if *by == self.sort.by => self.sort.inverse = !self.sort.inverse,
            Some(by) => self.sort = Sort { by: *by, inverse: false },
            None => {}
        }
    }

    /// Turns the wheel over the table: the rows move, and the selection only as far as
    /// it takes to stay in view.
    fn wheel(&mut self, step: Move) {
        let rows = self.page.max(1);
        self.top = step.apply(self.top, self.len().saturating_sub(rows));
        let Some(cursor) = self.cursor() else { return };
        let kept = cursor.clamp(self.top, self.top + rows - 1);
        if kept != cursor {
            self.select_at(kept);
        }
    }

    /// Computes the order again if the rows, the filter or the order changed.
    fn refresh(&mut self, &Shown { snapshot, at, live }: &Shown<'_>) {
        let rows = &snapshot.peers;
        let mut left = self.left.expire(at);
        let mut filtered = false;
        if let Some(old) = self.computed_for.take() {
            filtered = old.filter != self.filter;
            if !Arc::ptr_eq(&old.rows, rows) || old.live != live {
                self.note_who_left(&old, rows, at, live);
                left = true;
            }
            if !left && !filtered && old.sort == self.sort {
                self.computed_for = Some(old);
                return;
            }
        }
        self.put_in_order(rows, snapshot.at);
        let computed = Computed { rows: rows.clone(), filter: self.filter.clone(), sort: self.sort, live };
        self.computed_for = Some(computed);
        self.find_selection(filtered, live);
    }

    fn note_who_left(&mut self, old: &Computed, rows: &Rows, at: Duration, live: bool) {
        if !live {
            self.left = Left::default();
            return;
        }
        let is_there = |id: &PeerId| rows.binary_search_by_key(id, |row| row.peer_id).is_ok();
        self.left.retain(|row| !is_there(&row.peer_id));
        // From another moment than the newest much may have left long ago; only
        // what somebody had chosen is worth a word then.
        let wanted = self.selection.wanted();
        let mut new = rows.iter().peekable();
        for row in old.rows.iter() {
            while new.next_if(|n| n.peer_id < row.peer_id).is_some() {}
            let stays = new.next_if(|n| n.peer_id == row.peer_id).is_some();
            if !stays && (old.live || wanted == Some(row.peer_id)) {
                self.left.push(row.clone(), at);
            }
        }
    }

    fn put_in_order(&mut self, rows: &Rows, now: Stamp) {
        let mut scratch = String::new();
        let mut matching = |row: &Arc<PeerRow>| self.filter.matches(row, now, &mut scratch);
        self.order.clear();
        self.order.extend(rows.iter().zip(0u32..).filter(|(row, _)| matching(row)).map(|(_, i)| i));
        self.present = self.order.len();
        self.any_tested = rows.iter().any(|row| row.tested.is_some());
        let behind = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        self.order.extend(self.left.rows().zip(behind..).filter(|(row, _)| matching(row)).map(|(_, i)| i));
        let row = |i: u32| match rows.get(i as usize) {
            Some(row) => Some(row),
            None => self.left.get(i as usize - rows.len()),
        };
        // Among equals what left stays where it was.
        let tie = |i: u32| match self.left.get((i as usize).wrapping_sub(rows.len())) {
            Some(gone) => (rows.partition_point(|row| row.peer_id < gone.peer_id), false),
            None => (i as usize, true),
        };
        self.sort.apply(row, tie, &mut self.order);
    }

    fn find_selection(&mut self, filtered: bool, live: bool) {
        let (mut selection, mut home) = (std::mem::take(&mut self.selection), self.home);
        let id_at = |at| self.row(at).map(|listed| listed.row.peer_id);
        let place = |id| (0..self.len()).find(|&at| id_at(at) == Some(id));
        if filtered {
            // Who types a filter wants the first that it finds, and his own
            // back when it is gone.
            let wanted = selection.wanted();
            if let Some(id) = home.filter(|id| place(*id).is_some()) {
                selection.set(Some(id), place(id));
                home = None;
            } else if wanted.is_some_and(|id| place(id).is_none()) && id_at(0).is_some() {
                home = home.or(wanted);
                selection.set(id_at(0), Some(0));
            }
        }
        let known = |id: PeerId| {
            let rows = self.computed_for.as_ref().map(|computed| &computed.rows);
            rows.is_some_and(|rows| rows.binary_search_by_key(&id, |row| row.peer_id).is_ok())
                || self.left.rows().any(|row| row.peer_id == id)
        };
        // In another moment a peer is only not there yet, or not any more.
        selection.find(self.len(), id_at, |id| live && !known(id));
        (self.selection, self.home) = (selection, home);
    }

    /// Selects a peer; `false` if it is not shown.
    pub(crate) fn select(&mut self, peer: PeerId) -> bool {
        let place = (0..self.len()).find(|&at| self.row(at).is_some_and(|l| l.row.peer_id == peer));
        place.is_some_and(|at| self.select_at(at))
    }

    /// Selects the row at a place; `false` if there is none.
    pub(crate) fn select_at(&mut self, at: usize) -> bool {
        let Some(id) = self.row(at).map(|listed| listed.row.peer_id) else { return false };
        self.selection.set(Some(id), Some(at));
        self.home = None;
        true
    }

    fn go(&mut self, step: Move) {
        let mut selection = std::mem::take(&mut self.selection);
        selection.go(step, self.len(), |at| self.row(at).map(|listed| listed.row.peer_id));
        self.selection = selection;
        self.home = None;
    }
}

impl Filterable for Peers {
    fn filter(&self) -> &str {
        self.filter.text()
    }

    fn set_filter(&mut self, text: &str, _: &Snapshot) {
        self.filter = Filter::new(text);
    }

    fn wrong(&self) -> Option<&Wrong> {
        self.filter.wrong()
    }

    /// Those that left are not among them.
    fn passing(&self) -> (usize, usize) {
        (self.present, self.computed_for.as_ref().map_or(0, |computed| computed.rows.len()))
    }

    fn complete(&self, text: &str) -> Option<(String, Vec<String>)> {
        Some(filter::complete(text))
    }
}

impl Component for Peers {
    fn on_snapshot(&mut self, shown: &Shown<'_>, _: bool) {
        self.refresh(shown);
    }

    fn on_action(&mut self, action: PaneAction) {
        match action {
            PaneAction::Go(step) => self.go(step),
            PaneAction::Wheel(way) => self.wheel(way(WHEEL)),
            PaneAction::Select(row) => drop(self.select_at(row)),
            PaneAction::Sort => self.sort = self.sort.next(),
            PaneAction::SortInverse => self.sort.inverse = !self.sort.inverse,
            PaneAction::SortBy(column) => self.sort_by(column),
        }
    }

    fn draw(&self, pen: &Pen<'_>, area: Rect, buf: &mut Buffer) -> Drawn {
        draw::draw(self, pen, area, buf)
    }

    fn on_drawn(&mut self, drawn: Drawn) {
        (self.top, self.page) = (drawn.top, drawn.rows);
    }

    fn forget_rows(&mut self) {
        self.computed_for = None;
        self.left = Left::default();
        self.marked.clear();
    }

    fn target(&self) -> Option<PeerId> {
        self.selected()
    }

    fn changes_in(&self, at: Duration) -> Option<Duration> {
        self.left.next_in(at)
    }
}
