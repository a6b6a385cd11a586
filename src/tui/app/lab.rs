//! The lab: what it tells, what is asked of it, and going to another node of it or of a
//! fleet.

use std::sync::Arc;

use super::App;
use super::node::Node;
use crate::model::Snapshot;
use crate::tui::bindings::LabKey;
use crate::tui::commands::Tone;
use crate::tui::lab::LabView;
use crate::tui::message::Effect;
use crate::tui::overlays::Overlay;
use crate::tui::overlays::lab::LabPanel;

impl App {
    /// Takes in the lab's newest state.
    pub(super) fn take_lab(&mut self, view: Arc<LabView>) {
        let at = self.node.at;
        let panel = self.panels.lab.get_or_insert_with(|| LabPanel::new(Arc::clone(&view), at));
        if let Some(said) = panel.on_view(view, at) {
            self.say(if said.done { Tone::Good } else { Tone::Bad }, said.text);
        }
    }

    /// Another node is shown from now on, or the same one after a new start. What is about
    /// the console, the lab and its threads stays.
    pub(super) fn switch(&mut self, snapshot: Arc<Snapshot>) {
        self.events_dropped = 0;
        self.history.release();
        self.panes.switch(snapshot.at);
        self.node = Node::new(snapshot, self.node.at);
        self.overlays.forget_answers();
        self.overlays.retain(|o| !matches!(o, Overlay::Why(_) | Overlay::Confirm(_) | Overlay::Palette(_)));
        self.commands.forget();
        // Of a node that the console comes back to, more is known than this.
        self.recall_all();
        self.refresh();
        if let Some(peer) = self.history.boundary_mut().selected() {
            self.panes.peers.select(peer);
        }
    }

    /// Asks something of the lab.
    pub(super) fn ask_lab(&mut self, key: LabKey) -> Vec<Effect> {
        let command = self.panels.lab.as_ref().and_then(|lab| lab.command(key).ok());
        match key {
            LabKey::Nat(_) => drop(self.overlays.pop()),
            // Who goes to another node wants to see it.
            LabKey::Show => self.overlays.clear(),
            _ => {}
        }
        let (Some(command), Some(lab)) = (command, &self.panels.lab) else { return Vec::new() };
        if let Some((question, name)) = lab.destroys(&command, &self.settings.keys) {
            self.put_question(question, Some(name), Effect::Lab(command));
            return Vec::new();
        }
        vec![Effect::Lab(command)]
    }
}
