//! Looking at another moment than now. What is shown stands still; the node goes on.

use std::sync::Arc;

use super::App;
use crate::model::{Snapshot, Stamp};
use crate::tui::bindings::Step;
use crate::tui::history::Place;
use crate::tui::lists::Stamped;
use crate::tui::pane::Pane;

impl App {
    /// Holds the screen still, or goes on.
    pub(super) fn toggle_freeze(&mut self) {
        if self.moment().is_some() {
            self.back_to_now();
        } else {
            self.history.hold(Arc::clone(&self.node.live), self.node_now());
            self.panes.events.log_mut().hold();
            self.panes.logs.log_mut().hold();
            self.refresh();
        }
    }

    /// Plays a file, or stops.
    pub(super) fn toggle_play(&mut self) {
        if self.history.stop() {
            return;
        }
        // From the end there is only the beginning to go to.
        if self.history.is_at_the_end()
            && let (Some(first), _) = self.history.reach()
        {
            self.look_at(first);
        }
        self.history.play(self.node.at);
    }

    /// Goes on to where time is in a file that is played.
    pub(super) fn play_on(&mut self) {
        let Some((now, another)) = self.history.played_to(self.node.at) else { return };
        if let Some(snapshot) = self.history.play_on(now, another) {
            self.shows(snapshot);
        }
        self.hold_logs_at(now);
    }

    /// Shows what is, again; of a file, its end.
    pub(super) fn back_to_now(&mut self) {
        match self.history.reach() {
            (_, Some(last)) if self.history.replayed().is_some() => self.look_at(last),
            _ => {
                self.history.release();
                self.panes.events.log_mut().release();
                self.panes.logs.log_mut().release();
                self.refresh();
            }
        }
    }

    /// Goes through the moments.
    pub(super) fn step(&mut self, step: Step) {
        if let Ok(place) = self.history.where_to(step, self.live().at, &self.settings.zone) {
            self.go_to(place);
        }
    }

    fn go_to(&mut self, place: Place) {
        match place {
            Place::Then(at) => self.look_at(at),
            Place::Now => self.back_to_now(),
        }
    }

    /// Shows the moment of a kept time.
    pub(super) fn look_at(&mut self, at: Stamp) {
        let Some(snapshot) = self.history.look_at(at) else { return };
        self.hold_logs_at(at);
        self.shows(snapshot);
    }

    /// The past is looked at, where all was like that.
    fn shows(&mut self, snapshot: Arc<Snapshot>) {
        if self.history.replayed().is_some() {
            self.node.live = snapshot;
        }
        self.panes.logs.log_mut().follow();
        if self.panes.focus() != Pane::Events {
            self.panes.events.log_mut().follow();
        }
        self.refresh();
    }

    fn hold_logs_at(&mut self, at: Stamp) {
        self.panes.events.log_mut().hold_at(at);
        self.panes.logs.log_mut().hold_at(at);
    }

    /// Goes to the first moment that shows the chosen event.
    pub(super) fn go_to_event(&mut self) {
        let Some(at) = self.panes.events.log().chosen().map(Stamped::at) else { return };
        let place = self.history.moment_of(at);
        self.go_to(place);
    }
}
