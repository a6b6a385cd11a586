//! The relays pane: two tables, what we hold and whom we serve, and one cursor that
//! goes through both, and then through the lines below them.

use super::actions::Move;
use super::rows::Row as _;
use super::{App, Pane};
use crate::model::{Command, PeerId, ReservationRow};
use crate::tui::bindings::{Action, NodeCommand};

/// Where one is in the relays pane.
#[derive(Debug, Default)]
pub(crate) struct RelaysPlace {
    /// Whether the cursor is wanted in the table of those whom we serve.
    served: bool,
    /// Lines that one has gone below what the cursor needs.
    pub(crate) below: usize,
}

impl App {
    /// Whether the cursor is in the table of those whom we serve.
    pub(crate) fn is_in_served(&self) -> bool {
        let (held, served) = (self.reservations.len(), self.served.len());
        served > 0 && (self.relays.served || held == 0)
    }

    /// The row of both tables, one below the other, at which the cursor is.
    pub(crate) fn relays_cursor(&self) -> Option<usize> {
        if self.is_in_served() {
            return Some(self.reservations.len() + self.served.cursor()?);
        }
        self.reservations.cursor()
    }

    /// The peer of that row.
    pub(super) fn relays_peer(&self) -> Option<PeerId> {
        if self.is_in_served() { self.served.selected_peer() } else { self.reservations.selected_peer() }
    }

    /// How the table is sorted in which the cursor is.
    pub(crate) fn relays_sort(&self) -> (&'static str, bool) {
        if self.is_in_served() { self.served.sort() } else { self.reservations.sort() }
    }

    pub(super) fn sort_relays_next(&mut self) {
        if self.is_in_served() { self.served.sort_next() } else { self.reservations.sort_next() }
    }

    pub(super) fn sort_relays_inverse(&mut self) {
        if self.is_in_served() { self.served.sort_inverse() } else { self.reservations.sort_inverse() }
    }

    /// Sorts by a column; those of the second table are counted on from the first.
    pub(super) fn sort_relays_by(&mut self, column: usize) {
        match column.checked_sub(ReservationRow::COLUMNS.len()) {
            Some(column) => self.served.sort_by(column),
            None => self.reservations.sort_by(column),
        }
    }

    /// Selects a row of both tables, one below the other.
    pub(super) fn select_relays_at(&mut self, row: usize) {
        let served = row.checked_sub(self.reservations.len());
        self.relays.served = served.is_some();
        match served {
            Some(row) => self.served.select_at(row),
            None => self.reservations.select_at(row),
        }
    }

    /// The rows first, and behind the last one the lines below them.
    pub(super) fn go_relays(&mut self, step: Move) {
        let count = self.reservations.len() + self.served.len();
        let last = count.saturating_sub(1);
        let at = self.relays_cursor();
        match step {
            Move::Up(n) if self.relays.below > 0 => self.relays.below = self.relays.below.saturating_sub(n),
            // The view cuts it to what there is.
            Move::Down(n) if at.unwrap_or(0) >= last => {
                self.relays.below = self.relays.below.saturating_add(n);
            }
            step => {
                self.relays.below = if step == Move::Bottom { usize::MAX } else { 0 };
                match at {
                    Some(at) if count > 0 => self.select_relays_at(step.apply(at, last)),
                    // Nothing is selected: the first step only brings the cursor back.
                    _ => self.reservations.go(step),
                }
            }
        }
        if step == Move::Top {
            self.reservations.rest();
            self.served.rest();
        }
    }

    /// Whether keys are about somebody whom we serve.
    pub(crate) fn is_on_served(&self) -> bool {
        self.overlays.is_empty() && self.focus == Pane::Relays && self.is_in_served()
    }

    /// What an action means where the cursor is on somebody whom we serve: the key
    /// that disconnects ends what that peer holds here, and never its link; or why it
    /// cannot.
    pub(super) fn end_of_served(&self, action: Action) -> Option<Result<Command, String>> {
        if action != Action::Node(NodeCommand::Disconnect) || !self.is_on_served() {
            return None;
        }
        let (row, left) = self.served.selected()?;
        let command = Command::EndServed { peer: row.peer_id };
        Some(if left { Err(format!("{} is not served any more", row.peer_id.short())) } else { Ok(command) })
    }
}
