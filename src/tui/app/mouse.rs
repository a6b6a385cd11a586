//! The mouse: what a click or a turn of the wheel does to what the last frame drew there.
//! It reaches nothing that no key reaches.

use ratatui::crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Position;

use super::App;
use crate::tui::draw::Spot;
use crate::tui::lists::Move;
use crate::tui::message::Effect;
use crate::tui::overlays::Overlay;
use crate::tui::panes::PaneAction;
use crate::tui::panes::component::WHEEL;

impl App {
    pub(super) fn mouse(&mut self, event: &MouseEvent) -> Vec<Effect> {
        let Some(spot) = self.layout.spot(Position { x: event.column, y: event.row }) else {
            return Vec::new();
        };
        match event.kind {
            MouseEventKind::Down(MouseButton::Left) => return self.click(spot),
            MouseEventKind::ScrollUp => self.wheel(spot, Move::Up),
            MouseEventKind::ScrollDown => self.wheel(spot, Move::Down),
            _ => {}
        }
        Vec::new()
    }

    fn click(&mut self, spot: Spot) -> Vec<Effect> {
        let (pane, action) = match spot {
            Spot::Key(binding) => return self.perform(binding, binding.name),
            Spot::Choice(row) => return self.choose_row(row),
            Spot::Overlay => return Vec::new(),
            Spot::Pane(pane) => (pane, None),
            Spot::Row(pane, row) => (pane, Some(PaneAction::Select(row))),
            Spot::Column(pane, column) => (pane, Some(PaneAction::SortBy(column))),
        };
        // Who goes elsewhere has typed enough.
        self.filter_line.keep();
        self.panes.set_focus(pane);
        if let Some(action) = action {
            self.panes.on_action(pane, action);
        }
        if matches!(action, Some(PaneAction::SortBy(_))) {
            self.refresh();
        }
        Vec::new()
    }

    /// A click chooses; one on what is chosen in the palette does it.
    fn choose_row(&mut self, row: usize) -> Vec<Effect> {
        match (self.overlays.top_mut(), &mut self.panels.lab) {
            (Some(Overlay::Palette(palette)), _) if palette.row() == row => return self.do_chosen(),
            (Some(Overlay::Palette(palette)), _) => palette.choose(row),
            (Some(Overlay::Lab), Some(lab)) => lab.choose(row),
            (Some(Overlay::Drills), Some(lab)) => lab.choose_drill(row),
            (Some(Overlay::Fleet), _) => {
                if let Some(fleet) = &mut self.panels.fleet {
                    fleet.choose(row);
                }
            }
            _ => {}
        }
        Vec::new()
    }

    /// Moves what is under the pointer; the focus stays where it is.
    fn wheel(&mut self, spot: Spot, way: fn(usize) -> Move) {
        match spot {
            Spot::Key(_) => {}
            Spot::Overlay | Spot::Choice(_) => match self.overlays.top() {
                Some(Overlay::Help(_) | Overlay::Why(_)) => self.go(way(WHEEL)),
                _ => self.go(way(1)),
            },
            Spot::Pane(pane) | Spot::Row(pane, _) | Spot::Column(pane, _) => {
                self.panes.on_action(pane, PaneAction::Wheel(way));
            }
        }
    }
}
