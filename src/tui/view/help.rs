//! Help: every key of the table, by scope; what does nothing now says why.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{Pen, frame};
use crate::tui::app::{App, Overlay};
use crate::tui::bindings::{Action, Scope};

/// Draws the help and returns its page.
pub(super) fn draw(app: &App, pen: &Pen<'_>, scroll: &mut u16, body: Rect, buf: &mut Buffer) -> usize {
    let theme = pen.theme;
    let keys = app.keys.lines().map(|b| b.key_names().chars().count()).max().unwrap_or(0);
    let width = 112.min(body.width);
    let room = usize::from(width).saturating_sub(keys + 8);
    let mut lines = vec![
        Line::styled("Glyphs", theme.strong),
        Line::from("  ● linked   ○ foreign (speaks no punchdeck)   ! suspect   ◐ connecting"),
        Line::from("  ✗ unreachable   ─ held off   · known   ~ before a NAT type: hearsay"),
        Line::default(),
    ];
    for scope in Scope::ALL {
        lines.push(Line::styled(scope.title(), theme.strong));
        for binding in app.keys.of_scope(scope) {
            let asks = binding.danger.mark();
            let text = frame::wrap(&format!("{}{asks}", binding.help), room);
            for (i, part) in text.into_iter().enumerate() {
                let key = if i == 0 { binding.key_names() } else { String::new() };
                lines.push(Line::from(vec![
                    Span::styled(format!("  {key:keys$}  "), theme.accent),
                    Span::raw(part),
                ]));
            }
            if scope == Scope::Main
                && let Err(reason) = available_below(app, binding.action)
            {
                lines.push(Line::styled(format!("  {:keys$}  not now: {reason}", ""), theme.dim));
            }
        }
        lines.push(Line::default());
    }
    lines.pop();
    let title = format!("Help ─ {} closes", app.keys.key_of(Scope::Help, Action::Close));
    frame::popup(pen, &title, &lines, scroll, (width, body), buf)
}

fn available_below(app: &App, action: Action) -> Result<(), String> {
    debug_assert!(!matches!(app.overlays.last(), Some(Overlay::Confirm { .. })));
    app.available(action)
}
