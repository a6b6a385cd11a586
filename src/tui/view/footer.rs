//! The line of keys: those that do something here and now, the focused pane's
//! own first.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use crate::tui::app::App;
use crate::tui::bindings::{Action, Bound, LabKey, NodeCommand, Scope};
use crate::tui::draw::{Pen, Spot};
use crate::tui::lab::LabCommand;
use crate::tui::pane::Pane;

/// The keys that do something here and now.
pub(super) fn draw(app: &App, pen: &Pen<'_>, area: Rect, buf: &mut Buffer) {
    let (scopes, scope) = (app.scopes(), app.scope());
    let (focus, zoom) = (app.panes().focus(), app.panes().zoom);
    let works = |b: &&Bound| {
        !b.label.is_empty() && pen.keys.is_reached(b, &scopes) && pen.possible.available(b.action).is_ok()
    };
    // How to get help and out is never cut off.
    let last = |b: &Bound| {
        (zoom && b.action == Action::Zoom)
            || matches!(
                b.action,
                Action::Help
                    | Action::Palette
                    | Action::Leave
                    | Action::Quit
                    | Action::Close
                    | Action::No
                    | Action::FilterCancel
                    | Action::SearchCancel
            )
    };
    let (tail, mut head): (Vec<_>, Vec<_>) = pen.keys.of_scopes(&scopes).filter(works).partition(|b| last(b));
    if scope == Scope::Main {
        // In a narrow terminal the first ones are all that is seen.
        head.sort_by_key(|b| !belongs(b.action, focus));
    }
    let label = |b: &Bound| match (b.action, scope) {
        (Action::Play, _) if app.history().is_playing() => "stop",
        (Action::Freeze, Scope::Main) if app.moment().is_some() => "go on",
        (Action::Test, Scope::Test) => "again",
        (Action::Back, _) if app.history().replayed().is_some() => "to its end",
        (Action::Back, _) if app.moment().is_some() => "now",
        (Action::Zoom, Scope::Main) if zoom => "unzoom",
        (Action::Lab(key), _) => lab_label(app, key).unwrap_or(b.label),
        _ => b.label,
    };
    let width = |b: &Bound| b.key().width() + label(b).width() + 3;
    let mut room = usize::from(area.width).saturating_sub(1 + tail.iter().map(|b| width(b)).sum::<usize>());
    let mut shown = Vec::new();
    for binding in head {
        if width(binding) > room {
            continue;
        }
        room -= width(binding);
        shown.push(binding);
    }
    shown.extend(tail);
    let (mut spans, mut x) = (vec![Span::raw(" ")], area.x + 1);
    for binding in shown {
        let label = label(binding);
        let key = binding.key();
        let width = u16::try_from(key.width() + 1 + label.width()).unwrap_or(0);
        pen.mark(Rect { x, width, ..area }.intersection(area), Spot::Key(binding.line()));
        x += width + 2;
        spans.push(Span::styled(key, pen.theme.accent));
        spans.push(Span::styled(format!(" {label}  "), pen.theme.dim));
    }
    buf.set_line(area.x, area.y, &Line::from(spans), area.width);
}

/// What a key does to the chosen row of the lab, where it undoes.
fn lab_label(app: &App, key: LabKey) -> Option<&'static str> {
    match app.lab()?.command(key).ok()? {
        LabCommand::Heal(_) | LabCommand::HealLink(_) => Some("heal"),
        LabCommand::Start(_) => Some("start"),
        _ => None,
    }
}

/// Whether an action is what a pane is looked at for.
fn belongs(action: Action, pane: Pane) -> bool {
    let peer = matches!(
        action,
        Action::Why | Action::Node(NodeCommand::Connect | NodeCommand::Punch | NodeCommand::Relay)
    );
    match pane {
        Pane::Peers => true,
        Pane::Escalation => peer || action == Action::Sort,
        Pane::Relays => {
            matches!(
                action,
                Action::Why
                    | Action::Node(NodeCommand::Failover | NodeCommand::Disconnect)
                    | Action::EndServed
                    | Action::Sort
            )
        }
        Pane::Gossip => matches!(action, Action::Node(NodeCommand::Sync | NodeCommand::SyncAll)),
        Pane::Nat => action == Action::Node(NodeCommand::NatProbe),
        Pane::Kpi => action == Action::NextSpan,
        Pane::Events => matches!(action, Action::GoToEvent | Action::Filter),
        Pane::Logs => matches!(action, Action::Filter | Action::Targets),
    }
}
