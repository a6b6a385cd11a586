//! The mouse: what lies where the last frame drew it, and what a click or a
//! turn of the wheel does there. It reaches nothing that no key reaches.

use ratatui::crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

use super::{App, Effect, Move, Overlay, Pane};
use crate::tui::bindings::Binding;

/// Lines that one turn of the wheel moves a text.
const WHEEL: usize = 3;

/// What lies somewhere on the screen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Spot {
    /// A pane, or its tab.
    Pane(Pane),
    /// A row of a pane's table, by its place.
    Row(Pane, usize),
    /// A column's heading of a pane's table.
    Column(Pane, usize),
    /// A key in the footer.
    Key(&'static Binding),
    /// A row of the list that lies on top.
    Choice(usize),
    /// What lies over the panes, where it has nothing to click.
    Overlay,
}

/// A place on the screen and what lies there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Region {
    /// Where.
    pub(crate) area: Rect,
    /// What.
    pub(crate) spot: Spot,
}

impl App {
    /// What lies at a place; what was drawn last lies on top.
    fn spot(&self, at: Position) -> Option<Spot> {
        self.drawn.regions.iter().rev().find(|region| region.area.contains(at)).map(|region| region.spot)
    }

    pub(super) fn mouse(&mut self, event: &MouseEvent) -> Vec<Effect> {
        let at = Position { x: event.column, y: event.row };
        let Some(spot) = self.spot(at) else { return Vec::new() };
        match event.kind {
            MouseEventKind::Down(MouseButton::Left) => return self.click(spot),
            MouseEventKind::ScrollUp => self.wheel(spot, at, Move::Up),
            MouseEventKind::ScrollDown => self.wheel(spot, at, Move::Down),
            _ => {}
        }
        Vec::new()
    }

    fn click(&mut self, spot: Spot) -> Vec<Effect> {
        match spot {
            Spot::Key(binding) => return self.perform(binding, binding.name),
            Spot::Choice(row) => return self.choose_row(row),
            Spot::Overlay => return Vec::new(),
            Spot::Pane(pane) | Spot::Row(pane, _) | Spot::Column(pane, _) => {
                // Who goes elsewhere has typed enough.
                self.keep_filter();
                self.focus = pane;
            }
        }
        match spot {
            Spot::Row(Pane::Escalation, row) => self.attempts.select_at(row),
            Spot::Row(Pane::Relays, row) => self.select_relays_at(row),
            Spot::Row(_, row) => drop(self.peers.select_at(row)),
            Spot::Column(Pane::Relays, column) => {
                self.sort_relays_by(column);
                self.refresh();
            }
            Spot::Column(_, column) => {
                self.peers.sort_by(column);
                self.refresh();
            }
            _ => {}
        }
        Vec::new()
    }

    /// A click chooses; one on what is chosen in the palette does it.
    fn choose_row(&mut self, row: usize) -> Vec<Effect> {
        match self.overlays.last_mut() {
            Some(Overlay::Palette(palette)) if palette.row == row => return self.do_chosen(),
            Some(Overlay::Palette(palette)) => palette.row = row,
            Some(Overlay::Lab { .. }) => {
                if let Some(lab) = &mut self.lab {
                    lab.row = row.min(lab.last_row());
                }
            }
            Some(Overlay::Drills) => {
                if let Some(lab) = &mut self.lab {
                    lab.drill = row.min(lab.view.drills.len().saturating_sub(1));
                }
            }
            _ => {}
        }
        Vec::new()
    }

    /// Moves what is under the pointer; the focus stays where it is.
    fn wheel(&mut self, spot: Spot, at: Position, way: fn(usize) -> Move) {
        match spot {
            Spot::Key(_) => {}
            Spot::Overlay | Spot::Choice(_) => match self.overlays.last() {
                Some(Overlay::Help { .. } | Overlay::Why { .. }) => self.go(way(WHEEL)),
                _ => self.go(way(1)),
            },
            Spot::Pane(pane) | Spot::Row(pane, _) | Spot::Column(pane, _) => {
                let rows = self.rows_of(pane, at);
                match pane {
                    Pane::Peers => self.peers.wheel(way(WHEEL), rows.saturating_sub(1)),
                    // A ladder is as high as a turn of the wheel.
                    Pane::Escalation | Pane::Relays => self.go_in(pane, way(1), rows),
                    _ => self.go_in(pane, way(WHEEL), rows),
                }
            }
        }
    }

    /// The rows inside a pane's borders, as it was drawn.
    fn rows_of(&self, pane: Pane, at: Position) -> usize {
        let drawn = self.drawn.regions.iter().find(|r| r.spot == Spot::Pane(pane) && r.area.contains(at));
        drawn.map_or(1, |region| usize::from(region.area.height.saturating_sub(2)))
    }
}
