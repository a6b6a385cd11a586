//! The timeline: when, what, to whom, in words. Columns line up, and what a
//! person should look at bears a mark.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::component::{Component, Filterable, PaneAction};
use crate::model::{EventKind, PeerId, Snapshot, Stamp, clean};
use crate::tui::bindings::{Action, Scope};
use crate::tui::draw::{Drawn, Pen, frame};
use crate::tui::entry::{Entry, Timeline};
use crate::tui::filter::{EventFilter, Wrong};
use crate::tui::lists::Stamped as _;
use crate::tui::pane::Pane;

/// From this width on peers are shown with their names.
const ROOMY: u16 = 86;

/// The pane.
#[derive(Debug)]
pub(crate) struct Events {
    log: Timeline,
    filter: EventFilter,
    /// When the console came to this node, by the node's clock.
    came: Stamp,
    page: usize,
}

impl Events {
    /// Of a node to which the console came at that time.
    pub(crate) fn since(came: Stamp) -> Self {
        Self { log: Timeline::default(), filter: EventFilter::default(), came, page: 1 }
    }

    /// What happened.
    pub(crate) fn log(&self) -> &Timeline {
        &self.log
    }

    /// The same, to be held at a moment and let go.
    pub(crate) fn log_mut(&mut self) -> &mut Timeline {
        &mut self.log
    }

    /// Takes an entry to its place: what the node tells and what the console notes
    /// come by two ways. `newest`: by what names peers are known.
    pub(crate) fn note(&mut self, entry: Entry, newest: &Snapshot) {
        let passes = entry.passes(&self.filter, newest);
        self.log.push_in_order(entry, passes);
    }

    /// Forgets all of it, but not the filter.
    pub(crate) fn clear(&mut self) {
        self.log = Timeline::default();
    }

    /// The same for another node, to which the console comes at that time.
    pub(crate) fn begin_anew(&mut self, came: Stamp) {
        self.clear();
        self.came = came;
    }
}

impl Filterable for Events {
    fn filter(&self) -> &str {
        self.filter.text()
    }

    fn set_filter(&mut self, text: &str, newest: &Snapshot) {
        self.filter = EventFilter::new(text);
        let filter = &self.filter;
        let passes = |entry: &Entry| entry.passes(filter, newest);
        self.log.set_filter((!filter.is_empty()).then_some(passes));
    }

    fn wrong(&self) -> Option<&Wrong> {
        self.filter.wrong()
    }

    fn passing(&self) -> (usize, usize) {
        (self.log.passing(), self.log.count())
    }

    fn complete(&self, text: &str) -> Option<(String, Vec<String>)> {
        Some(EventFilter::complete(text, self.log.all().map(Entry::kind)))
    }
}

impl Component for Events {
    fn on_action(&mut self, action: PaneAction) {
        if let Some(step) = action.step() {
            self.log.go(step, self.page);
        }
    }

    fn draw(&self, pen: &Pen<'_>, area: Rect, buf: &mut Buffer) -> Drawn {
        let right = frame::log_title(pen, &self.log, (self.filter.text(), self.filter.wrong()));
        let inner = frame::pane(pen, Pane::Events, &right, area, buf);
        let empty = if self.log.count() > 0 {
            let key = pen.keys.key_of(Scope::Main, Action::Back);
            format!("nothing that happened matches the filter ({key} clears it)")
        } else {
            let time = pen.time_of_day(self.came);
            let name = clean(&pen.shown.node.name);
            format!(
                "nothing was told of {name} since the console came to it at {}",
                &time[..time.len().min(8)]
            )
        };
        let line = |entry: &Entry| line(pen, entry, inner.width >= ROOMY);
        frame::log(pen, &self.log, &empty, line, (area, inner), buf)
    }

    fn on_drawn(&mut self, drawn: Drawn) {
        self.page = drawn.rows;
    }
}

fn line(pen: &Pen<'_>, entry: &Entry, roomy: bool) -> Line<'static> {
    let theme = pen.theme;
    let (glyph, style) = match entry {
        Entry::Event(event) => mark(pen, &event.kind),
        Entry::Outcome { outcome, .. } => match &outcome.result {
            Ok(done) if done.is_nothing() => ("─", theme.dim),
            Ok(_) => ("✓", theme.good),
            Err(_) => ("✗", theme.bad),
        },
        Entry::Fault { .. } => ("✗", theme.bad),
        Entry::Lost { .. } => ("!", theme.warn),
    };
    let peer = entry.peer();
    Line::from(vec![
        Span::styled(format!(" {} ", pen.time_of_day(entry.at())), theme.dim),
        Span::styled(format!("{glyph} "), style),
        Span::styled(format!("{:<16} ", entry.kind()), style),
        Span::raw(if roomy { format!("{:<15} ", whom(pen, peer)) } else { format!("{:<6} ", short(peer)) }),
        Span::raw(entry.text()),
    ])
}

fn short(peer: Option<PeerId>) -> String {
    peer.map_or_else(|| "-".to_owned(), |id| id.short())
}

fn whom(pen: &Pen<'_>, peer: Option<PeerId>) -> String {
    peer.map_or_else(|| "-".to_owned(), |id| crate::model::ellipsize(&pen.call(id), 15, '…'))
}

fn mark(pen: &Pen<'_>, kind: &EventKind) -> (&'static str, Style) {
    match kind {
        EventKind::CacheSaveFailed { .. } | EventKind::TaskFaulted { .. } | EventKind::RelayDead { .. } => {
            ("✗", pen.theme.bad)
        }
        EventKind::LinkDown { .. } if kind.is_trouble() => ("✗", pen.theme.bad),
        kind if kind.is_trouble() => ("!", pen.theme.warn),
        EventKind::LinkUp { .. }
        | EventKind::LinkRestored { .. }
        | EventKind::NodeJoined { .. }
        | EventKind::NodeRejoined { .. } => ("●", pen.theme.good),
        _ => (" ", Style::new()),
    }
}
