//! What every pane is: a component with state of its own, which what is told and what a
//! person does change, and a picture that it is drawn as without being changed.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::model::{PeerId, Snapshot};
use crate::tui::draw::{Drawn, Pen};
use crate::tui::filter::Wrong;
use crate::tui::lists::{Move, Shown};

/// What a key or the mouse has a pane do.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PaneAction {
    /// Moves the selection, or scrolls.
    Go(Move),
    /// The wheel turned over it, one notch.
    Wheel(fn(usize) -> Move),
    /// Selects the row at a place.
    Select(usize),
    /// Sorts by the next column.
    Sort,
    /// Turns the order around.
    SortInverse,
    /// Sorts by that column, and by the same one again the other way.
    SortBy(usize),
}

/// Lines that one turn of the wheel moves a text.
pub(crate) const WHEEL: usize = 3;

impl PaneAction {
    /// The step that a list of lines takes.
    pub(crate) fn step(self) -> Option<Move> {
        match self {
            Self::Go(step) => Some(step),
            Self::Wheel(way) => Some(way(WHEEL)),
            _ => None,
        }
    }

    /// The first line of a text after it; drawing cuts it to what there is.
    pub(crate) fn scroll(self, top: usize) -> usize {
        self.step().map_or(top, |step| step.apply(top, usize::MAX))
    }
}

/// A pane, whichever it is.
pub(crate) trait Component {
    /// Takes in a moment. `focused`: whether keys are about this pane.
    fn on_snapshot(&mut self, _: &Shown<'_>, _focused: bool) {}
    /// Does what a key or the mouse asks.
    fn on_action(&mut self, action: PaneAction);
    /// Draws it.
    fn draw(&self, pen: &Pen<'_>, area: Rect, buf: &mut Buffer) -> Drawn;
    /// Takes in how it was drawn.
    fn on_drawn(&mut self, drawn: Drawn);
    /// Its rows are of another node from now on, or of the same under another name.
    fn forget_rows(&mut self) {}
    /// The peer that its selected row is about.
    fn target(&self) -> Option<PeerId> {
        None
    }
    /// How long until it looks different though nothing happens.
    fn changes_in(&self, _at: Duration) -> Option<Duration> {
        None
    }
}

/// A pane whose rows pass a filter.
pub(crate) trait Filterable {
    /// The filter as it was typed; empty where there is none.
    fn filter(&self) -> &str;
    /// Puts another one in front. `newest`: by what names peers are known.
    fn set_filter(&mut self, text: &str, newest: &Snapshot);
    /// Why the filter cannot be read as it stands.
    fn wrong(&self) -> Option<&Wrong> {
        None
    }
    /// How many of how many rows it lets through.
    fn passing(&self) -> (usize, usize);
    /// A typed filter with its last word completed, and what that word may become.
    fn complete(&self, _text: &str) -> Option<(String, Vec<String>)> {
        None
    }
}
