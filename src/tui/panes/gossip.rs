//! Gossip: what was exchanged, what was repaired and dropped, and how far what
//! we know has spread.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::component::{Component, PaneAction};
use crate::model::{Event, EventKind, ellipsize};
use crate::tui::draw::{Drawn, Pen, frame};
use crate::tui::pane::Pane;

/// Of the latest exchanges, so many.
const EXCHANGES: usize = 20;
/// A peer is shown in that many columns.
const WHOM: usize = 15;

/// The pane.
#[derive(Debug, Default)]
pub(crate) struct Gossip {
    top: usize,
}

impl Component for Gossip {
    fn on_action(&mut self, action: PaneAction) {
        self.top = action.scroll(self.top);
    }

    fn draw(&self, pen: &Pen<'_>, area: Rect, buf: &mut Buffer) -> Drawn {
        frame::scrolled(pen, (Pane::Gossip, "since the start"), &lines(pen), self.top, area, buf)
    }

    fn on_drawn(&mut self, drawn: Drawn) {
        self.top = drawn.top;
    }
}

fn lines(pen: &Pen<'_>) -> Vec<Line<'static>> {
    let snapshot = pen.shown;
    let gossip = &snapshot.gossip;
    let both = |received: u64, sent: u64| format!("{received}↓ {sent}↑");
    let spread = if gossip.expected > 0 {
        let share = gossip.known as f64 / gossip.expected as f64 * 100.0;
        format!(
            "{} of {}, {share:.1} %: records over 10 s old in our links' digests",
            gossip.known, gossip.expected
        )
    } else {
        "- no digest to compare with yet".to_owned()
    };
    let mut lines = vec![
        frame::labelled(pen, "syncs", both(gossip.syncs_in, gossip.syncs_out)),
        frame::labelled(pen, "deltas", both(gossip.deltas_in, gossip.deltas_out)),
        frame::labelled(pen, "digests", gossip.digests.to_string()),
        frame::labelled(pen, "repairs", format!("{} records that a digest found missing", gossip.repairs)),
        frame::labelled(pen, "dropped", format!("{} records, by a rule or a limit", gossip.dropped)),
        frame::labelled(pen, "spread", spread),
    ];
    let stopped = &snapshot.counters.0;
    if !stopped.is_empty() {
        lines.push(Line::default());
        lines.push(Line::styled("what was refused or could not be read", pen.theme.dim));
        lines.extend(stopped.iter().map(|(what, count)| Line::raw(format!("{count:>8}  {}", what.words()))));
    }
    let exchanges: Vec<_> = pen.events.told(|event| exchange(pen, event)).take(EXCHANGES).collect();
    if !exchanges.is_empty() {
        lines.push(Line::default());
        lines.push(Line::styled("the latest exchanges", pen.theme.dim));
        lines.extend(exchanges);
    }
    lines
}

/// A sync or a repair.
fn exchange(pen: &Pen<'_>, event: &Event) -> Option<Line<'static>> {
    let word = match event.kind {
        EventKind::GossipSync { .. } => "sync",
        EventKind::GossipRepair { .. } => "repair",
        _ => return None,
    };
    let whom = event.peer_id.map_or_else(|| "-".to_owned(), |id| ellipsize(&pen.call(id), WHOM, '…'));
    Some(Line::from(vec![
        Span::styled(format!("{}  ", pen.time_of_day(event.at)), pen.theme.dim),
        Span::raw(format!("{word:<7} {whom:<WHOM$}  {}", event.kind)),
    ]))
}
