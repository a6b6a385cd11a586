//! Help: every key of the table, by scope; what does nothing now says why.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{Pen, frame};
use crate::tui::app::{App, Overlay};
use crate::tui::bindings::{self, Danger, Scope};

/// Draws the help and returns its page.
pub(super) fn draw(app: &App, pen: &Pen<'_>, scroll: &mut u16, body: Rect, buf: &mut Buffer) -> usize {
    let theme = pen.theme;
    let keys = bindings::BINDINGS.iter().map(|b| bindings::key_names(b).len()).max().unwrap_or(0);
    let mut lines = vec![
        Line::styled("Glyphs", theme.strong),
        Line::from("  ● linked   ○ foreign (speaks no punchdeck)   ! suspect   ◐ connecting"),
        Line::from("  ✗ unreachable   ─ held off   · known   ~ before a NAT type: hearsay"),
        Line::default(),
    ];
    for scope in Scope::ALL {
        lines.push(Line::styled(scope.title(), theme.strong));
        for binding in bindings::of_scope(scope) {
            let mut spans = vec![
                Span::styled(format!("  {:keys$}  ", bindings::key_names(binding)), theme.accent),
                Span::raw(binding.help),
            ];
            if binding.danger == Danger::Disruptive {
                spans.push(Span::styled(" (asks first)", theme.warn));
            }
            lines.push(Line::from(spans));
            if scope == Scope::Main
                && let Err(reason) = available_below(app, binding.action)
            {
                lines.push(Line::styled(format!("  {:keys$}  not now: {reason}", ""), theme.dim));
            }
        }
        lines.push(Line::default());
    }
    lines.pop();
    frame::popup(pen, "Help ─ esc closes", &lines, scroll, (112, body), buf)
}

fn available_below(app: &App, action: bindings::Action) -> Result<(), String> {
    debug_assert!(!matches!(app.overlays.last(), Some(Overlay::Confirm { .. })));
    app.available(action)
}
