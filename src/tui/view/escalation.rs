//! Attempts as ladders: the reason stands where the failure stands, and what
//! happens next below it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::{Pen, frame};
use crate::model::{Attempt, AttemptOutcome, NatType, NextStep, StageOutcome, StageReport};
use crate::tui::app::{App, Pane};
use crate::tui::fmt;

/// Draws the ladders, live ones first, and returns the rows there are.
pub(super) fn draw(app: &mut App, pen: &Pen<'_>, area: Rect, buf: &mut Buffer) -> usize {
    let attempts = app.shown().attempts.clone();
    let right = format!("{} live ─ {} ended", attempts.live.len(), attempts.ended);
    let inner = frame::pane(app, pen, Pane::Escalation, &right, area, buf);
    let rows = usize::from(inner.height);
    let all: Vec<_> = attempts.live.iter().chain(&attempts.recent).collect();
    if all.is_empty() {
        buf.set_stringn(inner.x + 1, inner.y, "nobody was dialled yet", inner.width.into(), pen.theme.dim);
        return rows;
    }
    let lines: usize = all.iter().map(|a| height(a)).sum();
    let top = app.ladder_scroll.min(lines.saturating_sub(rows));
    app.ladder_scroll = top;
    let mut at = 0;
    for attempt in all {
        let height = height(attempt);
        if at + height > top && at < top + rows {
            for (line, n) in ladder(app, pen, attempt, true).into_iter().zip(at..) {
                if n >= top && n < top + rows {
                    let y = inner.y + u16::try_from(n - top).unwrap_or(0);
                    frame::put(buf, (inner.x, y), &line, inner.width);
                }
            }
        }
        at += height;
    }
    if lines > rows {
        frame::note(pen, &format!("lines {}-{} of {lines}", top + 1, (top + rows).min(lines)), area, buf);
    }
    rows
}

/// How many lines a ladder takes.
fn height(attempt: &Attempt) -> usize {
    1 + attempt.stages.len() + usize::from(attempt.next.is_some())
}

/// An attempt, line by line: the head, if wanted, the stages, what is next.
pub(super) fn ladder(app: &App, pen: &Pen<'_>, attempt: &Attempt, head: bool) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    if head {
        lines.push(head_line(app, pen, attempt));
    }
    lines.extend(attempt.stages.iter().map(|stage| stage_line(app, pen, stage)));
    if let Some(next) = &attempt.next {
        let text = match next {
            NextStep::Retry { at } => format!("next try {}", pen.countdown(*at)),
            NextStep::Upgrade { at: Some(at) } => {
                format!("punch again {}, or when a NAT changes", pen.countdown(*at))
            }
            NextStep::Upgrade { at: None } => "punch again when a NAT changes".to_owned(),
            NextStep::Wait => "no further try unless somebody asks".to_owned(),
        };
        lines.push(Line::from(vec![
            Span::styled("   next   ", pen.theme.dim),
            Span::styled("→ ", pen.theme.dim),
            Span::raw(text),
        ]));
    }
    lines
}

fn head_line(app: &App, pen: &Pen<'_>, attempt: &Attempt) -> Line<'static> {
    let theme = pen.theme;
    let (glyph, style, word) = match (attempt.outcome, attempt.path) {
        (None, _) => ("◐", theme.accent, "running".to_owned()),
        (Some(AttemptOutcome::Connected), Some(path)) => ("●", theme.good, path.name().to_owned()),
        (Some(AttemptOutcome::Connected), None) => ("●", theme.good, "connected".to_owned()),
        (Some(AttemptOutcome::Unreachable), _) => ("✗", theme.bad, "unreachable".to_owned()),
        (Some(AttemptOutcome::Abandoned), _) => ("─", theme.dim, "called off".to_owned()),
    };
    let whom = match (attempt.peer_id, attempt.target) {
        (Some(id), _) => app.call(id),
        (None, Some(addr)) => addr.to_string(),
        (None, None) => "-".to_owned(),
    };
    let ours = app.shown().nat.nat_type;
    let theirs = attempt.peer_id.and_then(|id| app.peer(id)).map_or(NatType::Unknown, |p| p.nat_type);
    let took = match attempt.elapsed_ms {
        Some(ms) => fmt::elapsed(ms),
        None => pen.age(attempt.started),
    };
    let when =
        if attempt.outcome.is_some() { format!(" {} ago", pen.age(attempt.started)) } else { String::new() };
    Line::from(vec![
        Span::raw(" "),
        Span::styled(glyph, style),
        Span::styled(format!(" {:<16}", crate::model::ellipsize(&whom, 24, '…')), theme.strong),
        Span::styled(format!(" {:>4}→{:<4} ", ours.short(), theirs.short()), theme.dim),
        Span::styled(format!("{word:<11}"), style),
        Span::raw(format!(" {took:>6}")),
        Span::styled(format!("  {}{when}", attempt.cause.name()), theme.dim),
    ])
}

fn stage_line(app: &App, pen: &Pen<'_>, stage: &StageReport) -> Line<'static> {
    let theme = pen.theme;
    let (glyph, style, word) = match stage.outcome {
        StageOutcome::Running => ("◐", theme.accent, "running"),
        StageOutcome::Ok => ("✓", theme.good, "ok"),
        StageOutcome::Failed => ("✗", theme.bad, "failed"),
        StageOutcome::Skipped => ("─", theme.dim, "skipped"),
    };
    // What was not begun took no time; its reason gets the room.
    let took = match (stage.outcome, stage.elapsed_ms) {
        (StageOutcome::Skipped, _) => String::new(),
        (_, Some(ms)) => format!("{:>6}  ", fmt::elapsed(ms)),
        (_, None) => format!("{:>6}  ", pen.age(stage.started)),
    };
    let mut spans = vec![
        Span::styled(format!("   {:<6} ", stage.stage.name()), theme.dim),
        Span::styled(format!("{glyph} {word:<7} "), style),
        Span::styled(took, Style::new()),
    ];
    if let Some(reason) = &stage.reason {
        spans.push(Span::raw(format!("{reason}  ")));
    }
    if let Some(via) = stage.via {
        spans.push(Span::styled(format!("via {}", app.call(via)), theme.dim));
    }
    Line::from(spans)
}
