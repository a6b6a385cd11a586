//! The fleet: what is told of it, and what keys do in it.

use std::sync::Arc;

use super::App;
use crate::tui::bindings::FleetKey;
use crate::tui::commands::Tone;
use crate::tui::fleet::FleetView;
use crate::tui::message::Effect;
use crate::tui::overlays::Overlay;
use crate::tui::overlays::fleet::{FleetDone, FleetPanel};

impl App {
    /// Takes in the fleet's newest state.
    pub(super) fn take_fleet(&mut self, view: Arc<FleetView>) {
        let at = self.node.at;
        let Some(panel) = &mut self.panels.fleet else {
            self.panels.fleet = Some(FleetPanel::new(view, at));
            return;
        };
        let before = panel.compared().cloned();
        let said = panel.on_view(view, at);
        let is_new = panel.compared().is_some_and(|new| before.is_none_or(|old| !Arc::ptr_eq(&old, new)));
        // Who has gone elsewhere meanwhile is not called back.
        if is_new && matches!(self.overlays.top(), Some(Overlay::Fleet)) {
            self.overlays.push(Overlay::Compared);
        }
        if let Some(said) = said {
            self.say(if said.done { Tone::Good } else { Tone::Bad }, said.text);
        }
    }

    /// Shows the fleet, if there is one.
    pub(crate) fn open_fleet(&mut self) {
        if let Some(fleet) = &mut self.panels.fleet {
            fleet.open();
            self.overlays.push(Overlay::Fleet);
        }
    }

    /// Does what a key asks in the fleet.
    pub(super) fn ask_fleet(&mut self, key: FleetKey) -> Vec<Effect> {
        let Some(fleet) = &mut self.panels.fleet else { return Vec::new() };
        match fleet.on_key(key) {
            FleetDone::Nothing => Vec::new(),
            FleetDone::Marked(name) => {
                self.say(Tone::Info, format!("{name} is compared with the node that is taken next"));
                Vec::new()
            }
            FleetDone::Ask(command) => {
                // Who goes to another node wants to see it.
                if matches!(key, FleetKey::Show | FleetKey::Back) {
                    self.overlays.clear();
                }
                vec![Effect::Fleet(command)]
            }
        }
    }
}
