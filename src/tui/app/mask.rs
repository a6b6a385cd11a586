//! Pseudonyms on and off: what the console shows is told anew.

use super::prompt::FilterHistory;
use super::{App, Filtered, Gone, Lines, Overlay, Timeline};

impl App {
    /// Whether pseudonyms stand for peers, addresses and names.
    pub(crate) fn is_masked(&self) -> bool {
        self.boundary.is_masked() || self.replay.as_ref().is_some_and(|about| about.masked)
    }

    /// Shows pseudonyms, or who is really meant. The selected peer stays.
    pub(crate) fn set_masked(&mut self, on: bool) {
        if on == self.boundary.is_masked() {
            return;
        }
        let renamed = self.boundary.set_mask(on);
        let selected = self.peers.selected().or(self.peers.hidden_selection()).map(&renamed);
        let past = self.moment.take().filter(|moment| moment.past).map(|moment| moment.now);
        self.live = self.boundary.live();
        if let (Some(panel), Some(view)) = (&mut self.lab, self.boundary.lab()) {
            panel.view = view;
        }
        if on {
            // What was typed may name somebody; so may what went wrong.
            for of in [Filtered::Peers, Filtered::Events, Filtered::Lines] {
                self.set_filter(of, "");
            }
            self.filter_history = <[FilterHistory; 3]>::default();
            self.faults =
                std::mem::take(&mut self.faults).into_iter().map(|text| self.boundary.text(text)).collect();
            if let Some(Gone::Lost { detail }) = &mut self.gone {
                *detail = self.boundary.text(std::mem::take(detail));
            }
        }
        self.prompt = None;
        self.asked = None;
        self.overlays.retain(|o| matches!(o, Overlay::Lab { .. } | Overlay::Drills));
        self.commands.rename(&renamed);
        self.recall_all();
        // Rows of before would be taken for peers that have left.
        self.peers.forget_rows();
        self.attempts.forget_rows();
        self.reservations.forget_rows();
        self.served.forget_rows();
        self.refresh();
        if let Some(peer) = selected {
            self.peers.select(peer);
        }
        if let Some(at) = past {
            self.look_at(at);
        }
    }

    /// Shows everything that happened and was logged anew.
    pub(super) fn recall_all(&mut self) {
        self.replay = self.boundary.about();
        (self.timeline, self.lines) = (Timeline::default(), Lines::default());
        self.filter_anew();
        for entry in self.boundary.entries() {
            self.note(entry);
        }
        let lines = self.boundary.lines();
        self.take_lines(lines);
    }
}
