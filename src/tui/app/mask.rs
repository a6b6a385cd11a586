//! Pseudonyms on and off: what the console shows is told anew.

use super::App;
use crate::tui::message::Gone;
use crate::tui::overlays::Overlay;
use crate::tui::panes::Filtered;

impl App {
    /// Shows pseudonyms, or who is really meant. The selected peer stays.
    pub(crate) fn set_masked(&mut self, on: bool) {
        if on == self.history.boundary().is_masked() {
            return;
        }
        let renamed = self.history.boundary_mut().set_mask(on);
        let peers = &self.panes.peers;
        let selected = peers.selected().or(peers.hidden_selection()).map(&renamed);
        let past = self.history.leave_past();
        self.node.live = self.history.boundary_mut().live();
        if let (Some(panel), Some(view)) = (&mut self.panels.lab, self.history.boundary_mut().lab()) {
            panel.tell_anew(view);
        }
        if let (Some(panel), Some(view)) = (&mut self.panels.fleet, self.history.boundary_mut().fleet()) {
            panel.tell_anew(view);
        }
        if on {
            // What was typed may name somebody; so may what went wrong.
            for of in Filtered::ALL {
                self.set_filter(of, "");
            }
            self.filter_line.forget();
            let boundary = self.history.boundary();
            for text in &mut self.faults {
                *text = boundary.text(std::mem::take(text));
            }
            if let Some(Gone::Lost { detail }) = &mut self.node.gone {
                *detail = boundary.text(std::mem::take(detail));
            }
        }
        self.filter_line.close();
        self.overlays.forget_answers();
        self.overlays.retain(|o| matches!(o, Overlay::Lab | Overlay::Drills | Overlay::Fleet));
        self.commands.rename(&renamed);
        self.recall_all();
        // Rows of before would be taken for peers that have left.
        self.panes.forget_rows();
        self.refresh();
        if let Some(peer) = selected {
            self.panes.peers.select(peer);
        }
        if let Some(at) = past {
            self.look_at(at);
        }
    }

    /// Shows everything that happened and was logged anew.
    pub(super) fn recall_all(&mut self) {
        self.history.recall_about();
        self.panes.events.clear();
        self.panes.logs.clear();
        self.filter_anew();
        for entry in self.history.boundary_mut().entries() {
            self.note(entry);
        }
        let lines = self.history.boundary().lines();
        self.panes.logs.take(lines);
    }

    /// Puts the filters over what happened and the log in front again.
    pub(super) fn filter_anew(&mut self) {
        for of in [Filtered::Events, Filtered::Lines] {
            let text = self.panes.filtered(of).filter().to_owned();
            self.set_filter(of, &text);
        }
    }
}
