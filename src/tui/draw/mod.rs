//! Drawing: what every component is drawn with and may see of the others, and how the
//! picture lies on the screen, which is all that drawing gives back.

pub(crate) mod frame;
pub(crate) mod lines;
pub(crate) mod provenance;

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;

use super::bindings::{Action, Binding, Danger, Keymap};
use super::commands::Commands;
use super::entry::Timeline;
use super::fmt::{self, Ageing};
use super::message::Gone;
use super::pane::Pane;
use super::theme::Theme;
use crate::model::{PeerId, PeerRow, Snapshot, Stamp, clean};

/// What can be done here and now.
pub(crate) trait Possible {
    /// Whether an action works; if not, why.
    fn available(&self, action: Action) -> Result<(), String>;
    /// The same where it is about that peer, whichever is selected.
    fn available_to(&self, action: Action, target: Option<PeerId>) -> Result<(), String>;
}

/// What a component is drawn with: the moment that is shown, the keys in force, how
/// things look, and what it may see of the rest of the console.
pub(crate) struct Pen<'a> {
    pub(crate) theme: &'a Theme,
    pub(crate) zone: &'a TimeZone,
    pub(crate) keys: &'a Keymap,
    /// The snapshot that is shown.
    pub(crate) shown: &'a Arc<Snapshot>,
    /// What happened.
    pub(crate) events: &'a Timeline,
    pub(crate) commands: &'a Commands,
    /// What can be done.
    pub(crate) possible: &'a dyn Possible,
    /// How the node is gone, if it is.
    pub(crate) gone: Option<&'a Gone>,
    /// The pane that has the keys; none where something lies over all of them.
    pub(crate) focus: Option<Pane>,
    /// The pane whose selected peer the keys are about.
    pub(crate) acting: Pane,
    /// The console's time.
    pub(crate) at: Duration,
    /// The node's time at the moment that is shown.
    pub(crate) now: Stamp,
    /// Whether `now` goes on.
    pub(crate) running: bool,
    pub(crate) changes_in: Cell<Option<Duration>>,
    /// What was drawn where, for the mouse.
    pub(crate) regions: &'a RefCell<Vec<Region>>,
}

impl<'a> Pen<'a> {
    /// The same for what goes on while the panes stand still, where it is now that late.
    pub(crate) fn of(&self, now: Stamp) -> Pen<'a> {
        Pen { now, running: true, changes_in: Cell::new(None), ..*self }
    }

    /// How long ago something was.
    pub(crate) fn age(&self, stamp: Stamp) -> String {
        self.ageing(fmt::age(stamp, self.now))
    }

    /// How long until something is due. The picture's moment is the beginning of
    /// a second, on average half a second ago: a started second is not counted,
    /// or what lasts 30 s would begin at 31.
    pub(crate) fn countdown(&self, stamp: Stamp) -> String {
        self.ageing(fmt::countdown(stamp.before(Duration::from_millis(999)), self.now))
    }

    fn ageing(&self, ageing: Ageing) -> String {
        if self.running {
            self.changes_within(ageing.changes_in);
        }
        ageing.text
    }

    /// Notes that the picture changes by itself that soon.
    pub(crate) fn changes_within(&self, left: Duration) {
        self.changes_in.set(Some(self.changes_in.get().map_or(left, |old| old.min(left))));
    }

    /// Notes what lies somewhere; what is noted later lies on top.
    pub(crate) fn mark(&self, area: Rect, spot: Spot) {
        self.regions.borrow_mut().push(Region { area, spot });
    }

    /// How the mark of what an action costs looks.
    pub(crate) fn danger(&self, danger: Danger) -> Style {
        match danger {
            Danger::None | Danger::Traffic => self.theme.dim,
            Danger::Disruptive => self.theme.warn,
            Danger::Destructive => self.theme.bad,
        }
    }

    pub(crate) fn time_of_day(&self, stamp: Stamp) -> String {
        fmt::time_of_day(stamp, self.zone)
    }

    /// A peer of the moment that is shown.
    pub(crate) fn peer(&self, id: PeerId) -> Option<&Arc<PeerRow>> {
        self.shown.peer(&id)
    }

    /// A peer as a person calls it.
    pub(crate) fn call(&self, id: PeerId) -> String {
        call(self.shown, id)
    }
}

/// A peer as a person calls it: its id's beginning, and its name.
pub(crate) fn call(snapshot: &Snapshot, id: PeerId) -> String {
    match snapshot.peer(&id).and_then(|p| p.name.as_deref()) {
        Some(name) => format!("{} {}", id.short(), clean(name)),
        None => id.short(),
    }
}

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

/// How a component came to be drawn: what its next step depends on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Drawn {
    /// The rows that there are: a page.
    pub(crate) rows: usize,
    /// The first line or row on the screen.
    pub(crate) top: usize,
    /// How far `top` lies below where the selected row alone would have it.
    pub(crate) below: usize,
}

/// How the last frame lay on the screen.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// What lies where; the last lies on top.
    pub(crate) regions: Vec<Region>,
    /// The panes that were drawn.
    pub(crate) panes: Vec<(Pane, Drawn)>,
    /// What lay over them, the last on top.
    pub(crate) overlays: Vec<Drawn>,
}

impl Default for Layout {
    /// Before there was a frame.
    fn default() -> Self {
        let drawn = Drawn { rows: 10, ..Drawn::default() };
        Self {
            regions: Vec::new(),
            panes: vec![(Pane::Peers, drawn), (Pane::Escalation, drawn)],
            overlays: Vec::new(),
        }
    }
}

impl Layout {
    /// What lies at a place; what was drawn last lies on top.
    pub(crate) fn spot(&self, at: Position) -> Option<Spot> {
        self.regions.iter().rev().find(|region| region.area.contains(at)).map(|region| region.spot)
    }

    /// How a pane was drawn, if it was.
    pub(crate) fn pane(&self, pane: Pane) -> Option<Drawn> {
        self.panes.iter().find(|(drawn, _)| *drawn == pane).map(|(_, drawn)| *drawn)
    }

    /// The rows of what lies on top, else of the pane that has the keys: a page.
    pub(crate) fn page(&self, focus: Pane) -> usize {
        let drawn = self.overlays.last().copied().or_else(|| self.pane(focus));
        drawn.map_or(10, |drawn| drawn.rows).max(1)
    }
}
