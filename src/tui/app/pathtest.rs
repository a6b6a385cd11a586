//! Tests of the paths to a peer: asking for one, and calling it off.

use super::App;
use crate::model::{Command, PeerId};
use crate::tui::bindings::Action;
use crate::tui::message::Effect;
use crate::tui::overlays::{FOR_MS, Overlay, TestView};

impl App {
    /// Opens the view of a test, and asks for one unless one runs.
    pub(super) fn open_test(&mut self, peer: PeerId) -> Vec<Effect> {
        let view = TestView::of(peer, &self.node.live);
        let runs = view.is_told();
        match self.overlays.test_mut() {
            Some(before) => *before = view,
            None => self.overlays.push(Overlay::Test(view)),
        }
        if runs { Vec::new() } else { self.send(Command::Test { peer, for_ms: FOR_MS }) }
    }

    /// Whether closing what lies on top calls a test off first: there is one, and a node
    /// to tell.
    pub(super) fn calls_off(&self) -> bool {
        self.overlays.test().is_some() && self.available(Action::EndTest).is_ok()
    }

    /// Calls the test on top off.
    pub(super) fn end_test(&mut self) -> Vec<Effect> {
        let Some(view) = self.overlays.test_mut() else { return Vec::new() };
        view.call_off();
        let peer = view.peer();
        self.send(Command::EndTest { peer })
    }
}
