//! The test of the paths to a peer: asked for when the view opens, watched while it runs,
//! and kept as long as the view is open, whatever the node goes on to do.

mod draw;

use std::sync::Arc;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::model::{Done, Outcome, PathTest, PeerId, Snapshot, Stamp};
use crate::tui::draw::{Drawn, Pen};
use crate::tui::lists::Move;

/// How long each path is tested.
pub(crate) const FOR_MS: u32 = 5_000;

/// The view of a test.
#[derive(Debug, Clone)]
pub(crate) struct TestView {
    peer: PeerId,
    /// When the test began that was the latest before this one.
    before: Option<Stamp>,
    /// The test, once the node tells of it.
    test: Option<Arc<PathTest>>,
    /// Why nothing more of it comes.
    failure: Option<String>,
    /// Whether it was called off here.
    called_off: bool,
    /// The first line on the screen.
    top: usize,
}

impl TestView {
    /// Of a peer's test that runs, else of one that is to be asked for.
    pub(crate) fn of(peer: PeerId, newest: &Snapshot) -> Self {
        let latest = newest.test(&peer);
        let running = latest.filter(|test| test.ended.is_none());
        Self {
            peer,
            before: latest.filter(|_| running.is_none()).map(|test| test.started),
            test: running.cloned(),
            failure: None,
            called_off: false,
            top: 0,
        }
    }

    /// Whose paths it is about.
    pub(crate) fn peer(&self) -> PeerId {
        self.peer
    }

    /// Whether it was asked for, or runs.
    pub(crate) fn is_running(&self) -> bool {
        self.failure.is_none() && self.test.as_ref().is_none_or(|test| test.ended.is_none())
    }

    /// Whether the node tells of it already.
    pub(crate) fn is_told(&self) -> bool {
        self.test.is_some()
    }

    /// Whether there is something to call off, and nobody did.
    pub(crate) fn may_call_off(&self) -> bool {
        self.is_running() && !self.called_off
    }

    /// It is called off.
    pub(crate) fn call_off(&mut self) {
        self.called_off = true;
    }

    /// Takes in the node's newest state.
    pub(super) fn on_snapshot(&mut self, newest: &Snapshot) {
        match newest.test(&self.peer) {
            Some(test) if self.is_this(test) => self.take(Arc::clone(test)),
            _ if self.test.is_some() && self.is_running() => {
                self.failure = Some("the node tells no more of it".to_owned());
            }
            _ => {}
        }
    }

    /// Takes in what came of a test of that peer; whoever asked.
    pub(super) fn on_outcome(&mut self, outcome: &Outcome) {
        match &outcome.result {
            Ok(Done::Tested(test)) if self.is_this(test) => self.take(Arc::new((**test).clone())),
            Ok(_) => {}
            Err(failure) => self.on_failure(failure.reason.to_string()),
        }
    }

    /// It was not begun.
    pub(super) fn on_failure(&mut self, why: String) {
        if self.test.is_none() {
            self.failure = Some(why);
        }
    }

    fn take(&mut self, test: Arc<PathTest>) {
        self.test = Some(test);
        self.failure = None;
    }

    /// Whether that is the one that was asked for, and not one before or after it.
    fn is_this(&self, test: &PathTest) -> bool {
        match &self.test {
            Some(known) => known.started == test.started,
            None => self.before != Some(test.started),
        }
    }

    /// Scrolls; drawing cuts it to what there is.
    pub(super) fn go(&mut self, step: Move) {
        self.top = step.apply(self.top, usize::MAX);
    }

    /// Takes in how it was drawn.
    pub(super) fn on_drawn(&mut self, drawn: Drawn) {
        self.top = drawn.top;
    }

    /// Draws it.
    pub(super) fn draw(&self, pen: &Pen<'_>, body: Rect, buf: &mut Buffer) -> Drawn {
        draw::draw(self, pen, body, buf)
    }
}
