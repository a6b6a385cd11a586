//! Relays in use and served, and beside them, where there is room, a summary
//! of our attempts and of gossip. Every rate shows what it is out of.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::symbols::border;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Widget};

use super::{Pen, frame};
use crate::model::{Path, SaveState};
use crate::tui::app::{App, Pane};
use crate::tui::fmt;

/// Below that many attempts a rate says little.
const FEW: u64 = 30;

/// Draws both, and returns the rows there are.
pub(super) fn draw(app: &mut App, pen: &Pen<'_>, area: Rect, buf: &mut Buffer) -> usize {
    let relays = relay_lines(app, pen);
    let summary = summary_lines(app, pen);
    let (left, right) = if area.width >= 100 {
        let half = area.width * 45 / 100;
        (Rect { width: half, ..area }, Rect { x: area.x + half, width: area.width - half, ..area })
    } else {
        let above = (u16::try_from(relays.len()).unwrap_or(4) + 2).min(area.height);
        (Rect { height: above, ..area }, Rect { y: area.y + above, height: area.height - above, ..area })
    };
    let inner = frame::pane(app, pen, Pane::Relays, "", left, buf);
    let rows = usize::from(inner.height);
    app.relay_scroll = app.relay_scroll.min(relays.len().saturating_sub(rows));
    for (line, y) in relays.iter().skip(app.relay_scroll).zip(inner.y..inner.bottom()) {
        frame::put(buf, (inner.x + 1, y), line, inner.width.saturating_sub(1));
    }
    if right.height > 2 {
        let block = Block::bordered()
            .border_set(border::ROUNDED)
            .border_style(pen.theme.quiet)
            .title(Line::from(Span::styled(" Summary since the start ", pen.theme.dim)));
        let inner = block.inner(right);
        block.render(right, buf);
        for (line, y) in summary.iter().zip(inner.y..inner.bottom()) {
            frame::put(buf, (inner.x + 1, y), line, inner.width.saturating_sub(1));
        }
    }
    rows
}

fn labelled(pen: &Pen<'_>, label: &str, text: String) -> Line<'static> {
    Line::from(vec![Span::styled(format!("{label:<10}"), pen.theme.dim), Span::raw(text)])
}

fn relay_lines(app: &App, pen: &Pen<'_>) -> Vec<Line<'static>> {
    let snapshot = app.shown();
    let mut lines: Vec<Line<'static>> = snapshot
        .links
        .iter()
        .filter(|l| l.path == Path::Relayed)
        .map(|l| {
            let via = l.via.map_or_else(|| "-".to_owned(), |id| app.call(id));
            let text = format!("{} via {via}  rtt {}", app.call(l.peer_id), fmt::rtt(l.rtt_ms));
            labelled(pen, "relayed", text)
        })
        .collect();
    if lines.is_empty() {
        lines.push(labelled(pen, "in use", "none: no link of ours runs through a relay".to_owned()));
    }
    lines.push(labelled(pen, "reserved", "none: this node holds no reservation".to_owned()));
    let relays = &snapshot.relays;
    let serving = match (relays.serving_sessions, relays.serving_bytes) {
        (Some(sessions), Some(bytes)) => {
            format!("{} for others, {} so far", fmt::count(sessions, "session"), fmt::bytes(bytes))
        }
        (Some(sessions), None) => format!("{} for others", fmt::count(sessions, "session")),
        (None, _) => "- not known".to_owned(),
    };
    lines.push(labelled(pen, "serving", serving));
    lines
}

fn summary_lines(app: &App, pen: &Pen<'_>) -> Vec<Line<'static>> {
    let snapshot = app.shown();
    let kpi = &snapshot.kpi;
    let gossip = &snapshot.gossip;
    let rate = match (kpi.rate, kpi.interval) {
        (Some(rate), Some(interval)) => format!(
            "{} of {}  {:.1} % [{:.1}, {:.1}]{}",
            kpi.connected,
            kpi.attempts,
            rate * 100.0,
            interval.lo * 100.0,
            interval.hi * 100.0,
            if kpi.attempts < FEW { "  under 30 attempts" } else { "" },
        ),
        _ => "- no attempt has ended".to_owned(),
    };
    let paths = format!(
        "direct {}  punched {}  relayed {}  unreachable {}",
        kpi.direct, kpi.punched, kpi.relayed, kpi.unreachable
    );
    let times = format!(
        "mean {}  p50 {}  p95 {}",
        fmt::millis(kpi.mean_connect_ms),
        fmt::millis(kpi.p50_ms),
        fmt::millis(kpi.p95_ms)
    );
    let known = if gossip.expected > 0 {
        format!("{} of {} records known by our links", gossip.known, gossip.expected)
    } else {
        "- no digest to compare with yet".to_owned()
    };
    let cache = &snapshot.node.cache;
    let save = match &cache.save {
        SaveState::Empty => "nothing to save yet".to_owned(),
        SaveState::Saved { at } => format!("on disk since {}", pen.age(*at)),
        SaveState::Due => "save due".to_owned(),
        SaveState::Failed { .. } => "NOT SAVED".to_owned(),
    };
    let stopped: u64 = snapshot.counters.0.values().sum();
    vec![
        labelled(pen, "connected", rate),
        labelled(pen, "by path", paths),
        labelled(pen, "to a link", times),
        labelled(
            pen,
            "gossip",
            format!(
                "syncs {} in {} out  deltas {} in {} out  repairs {}  dropped {}",
                gossip.syncs_in,
                gossip.syncs_out,
                gossip.deltas_in,
                gossip.deltas_out,
                gossip.repairs,
                gossip.dropped
            ),
        ),
        labelled(pen, "spread", known),
        labelled(
            pen,
            "cache",
            format!("{} known, {} tried, {save}; limits stopped {stopped}", cache.known, cache.tried),
        ),
    ]
}
