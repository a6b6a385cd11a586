//! Relays, as two tables: what we hold and whom we serve, and one cursor that goes
//! through both, and then through the lines below them.

mod draw;
mod held;
mod served;
mod table;

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::component::{Component, PaneAction};
use crate::model::{PeerId, ReservationRow, ServedRow, Snapshot};
use crate::tui::draw::{Drawn, Pen};
use crate::tui::lists::{Move, Row, Rows, Shown, Value, id_of, micros, name_of};

/// The pane.
#[derive(Debug, Default)]
pub(crate) struct Relays {
    /// The reservations that we hold.
    held: Rows<ReservationRow>,
    /// Those whom we serve.
    served: Rows<ServedRow>,
    /// Whether the cursor is wanted in the second table.
    wants_served: bool,
    /// The first line on the screen.
    top: usize,
    /// Lines that one has gone below what the cursor needs.
    below: usize,
}

impl Row for ReservationRow {
    type Key = PeerId;
    const COLUMNS: &'static [&'static str] =
        &["role", "relay", "name", "address", "state", "rtt", "ends", "up", "down"];

    fn key(&self) -> Self::Key {
        self.relay
    }

    fn peer(&self) -> Option<PeerId> {
        Some(self.relay)
    }

    fn value(&self, column: usize, snapshot: &Snapshot) -> Option<Value> {
        match column {
            1 => Some(id_of(self.relay)),
            2 => name_of(self.relay, snapshot),
            3 => self.public_addr.map(|addr| Value::Text(addr.to_string())),
            4 => Some(Value::Number(self.state as u64)),
            5 => self.rtt_ms.map(micros),
            6 => self.expires.map(|at| Value::Number(at.0.unsigned_abs())),
            7 => Some(Value::Number(self.bytes_tx)),
            _ => Some(Value::Number(self.bytes_rx)),
        }
    }
}

impl Row for ServedRow {
    type Key = PeerId;
    const COLUMNS: &'static [&'static str] =
        &["since", "peer", "name", "address", "up", "down", "up now", "down now", "dropped"];

    fn key(&self) -> Self::Key {
        self.peer_id
    }

    fn peer(&self) -> Option<PeerId> {
        Some(self.peer_id)
    }

    fn value(&self, column: usize, snapshot: &Snapshot) -> Option<Value> {
        match column {
            1 => Some(id_of(self.peer_id)),
            2 => name_of(self.peer_id, snapshot),
            3 => Some(Value::Text(self.public_addr.to_string())),
            4 => Some(Value::Number(self.bytes_tx)),
            5 => Some(Value::Number(self.bytes_rx)),
            6 => self.tx_per_s.map(Value::Number),
            7 => self.rx_per_s.map(Value::Number),
            _ => Some(Value::Number(self.dropped)),
        }
    }
}

impl Relays {
    /// Whether the cursor is in the table of those whom we serve.
    pub(crate) fn is_in_served(&self) -> bool {
        self.served.len() > 0 && (self.wants_served || self.held.len() == 0)
    }

    /// The peer at the cursor whom we serve, and whether it has left.
    pub(crate) fn selected_served(&self) -> Option<(PeerId, bool)> {
        let (row, left) = self.served.selected().filter(|_| self.is_in_served())?;
        Some((row.peer_id, left))
    }

    /// The cursor is wanted in the first table.
    pub(super) fn look_at_held(&mut self) {
        self.wants_served = false;
    }

    /// The reservations that we hold.
    #[cfg(test)]
    pub(crate) fn held(&self) -> &Rows<ReservationRow> {
        &self.held
    }

    /// Those whom we serve.
    #[cfg(test)]
    pub(crate) fn served(&self) -> &Rows<ServedRow> {
        &self.served
    }

    /// How many rows both tables have.
    fn len(&self) -> usize {
        self.held.len() + self.served.len()
    }

    /// The row of both tables, one below the other, at which the cursor is.
    pub(crate) fn cursor(&self) -> Option<usize> {
        if self.is_in_served() {
            return Some(self.held.len() + self.served.cursor()?);
        }
        self.held.cursor()
    }

    /// How the table is sorted in which the cursor is.
    fn sort(&self) -> (&'static str, bool) {
        if self.is_in_served() { self.served.sort() } else { self.held.sort() }
    }

    /// Selects a row of both tables, one below the other.
    fn select_at(&mut self, row: usize) {
        let served = row.checked_sub(self.held.len());
        self.wants_served = served.is_some();
        match served {
            Some(row) => self.served.select_at(row),
            None => self.held.select_at(row),
        }
    }

    /// The rows first, and behind the last one the lines below them.
    fn go(&mut self, step: Move) {
        let last = self.len().saturating_sub(1);
        let at = self.cursor();
        match step {
            Move::Up(n) if self.below > 0 => self.below = self.below.saturating_sub(n),
            // Drawing cuts it to what there is.
            Move::Down(n) if at.unwrap_or(0) >= last => self.below = self.below.saturating_add(n),
            step => {
                self.below = if step == Move::Bottom { usize::MAX } else { 0 };
                match at {
                    Some(at) if self.len() > 0 => self.select_at(step.apply(at, last)),
                    // Nothing is selected: the first step only brings the cursor back.
                    _ => self.held.go(step),
                }
            }
        }
        if step == Move::Top {
            self.held.rest();
            self.served.rest();
        }
    }
}

impl Component for Relays {
    fn on_snapshot(&mut self, shown: &Shown<'_>, focused: bool) {
        let relays = &shown.snapshot.relays;
        self.held.refresh(relays.reservations.clone(), shown, focused);
        self.served.refresh(relays.served.clone(), shown, focused);
    }

    fn on_action(&mut self, action: PaneAction) {
        match action {
            PaneAction::Go(step) => self.go(step),
            PaneAction::Wheel(way) => self.go(way(1)),
            PaneAction::Select(row) => self.select_at(row),
            PaneAction::Sort if self.is_in_served() => self.served.sort_next(),
            PaneAction::Sort => self.held.sort_next(),
            PaneAction::SortInverse if self.is_in_served() => self.served.sort_inverse(),
            PaneAction::SortInverse => self.held.sort_inverse(),
            // Those of the second table are counted on from the first.
            PaneAction::SortBy(column) => match column.checked_sub(ReservationRow::COLUMNS.len()) {
                Some(column) => self.served.sort_by(column),
                None => self.held.sort_by(column),
            },
        }
    }

    fn draw(&self, pen: &Pen<'_>, area: Rect, buf: &mut Buffer) -> Drawn {
        draw::draw(self, pen, area, buf)
    }

    fn on_drawn(&mut self, drawn: Drawn) {
        (self.top, self.below) = (drawn.top, drawn.below);
    }

    fn forget_rows(&mut self) {
        self.held.forget_rows();
        self.served.forget_rows();
    }

    fn target(&self) -> Option<PeerId> {
        if self.is_in_served() { self.served.selected_peer() } else { self.held.selected_peer() }
    }

    fn changes_in(&self, at: Duration) -> Option<Duration> {
        [self.held.changes_in(at), self.served.changes_in(at)].into_iter().flatten().min()
    }
}
