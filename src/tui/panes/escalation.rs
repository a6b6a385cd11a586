//! Attempts as ladders: the reason stands where the failure stands, and what
//! happens next below it.

use std::sync::Arc;
use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::component::{Component, PaneAction};
use crate::model::{
    Attempt, AttemptId, AttemptOutcome, NatType, NextStep, Path, PeerId, Since, Snapshot, StageKind,
    StageOutcome, StageReport, millis, printable, stage_place,
};
use crate::tui::draw::{Drawn, Pen, Spot, frame};
use crate::tui::fmt;
use crate::tui::lists::{Row, Rows, Shown, Value, id_of, name_of};
use crate::tui::pane::Pane;

/// Where a line goes on that did not fit: under the glyphs.
const INDENT: usize = 12;

/// The pane.
#[derive(Debug, Default)]
pub(crate) struct Escalation {
    attempts: Rows<Arc<Attempt>>,
    /// The first line on the screen.
    top: usize,
}

impl Escalation {
    /// The attempts in their order.
    #[cfg(test)]
    pub(crate) fn attempts(&self) -> &Rows<Arc<Attempt>> {
        &self.attempts
    }
}

impl Row for Arc<Attempt> {
    type Key = (Option<PeerId>, AttemptId);
    const COLUMNS: &'static [&'static str] = &["live", "peer", "name", "outcome", "took", "cause", "age"];

    fn key(&self) -> Self::Key {
        (self.peer_id, self.id)
    }

    fn peer(&self) -> Option<PeerId> {
        self.peer_id
    }

    fn value(&self, column: usize, snapshot: &Snapshot) -> Option<Value> {
        match column {
            1 => self.peer_id.map(id_of),
            2 => name_of(self.peer_id?, snapshot),
            3 => self
                .outcome
                .map(|outcome| Value::Number(outcome as u64 * 8 + self.path.map_or(7, |path| path as u64))),
            4 => self.elapsed_ms.map(Value::Number),
            5 => Some(Value::Text(self.cause.name().to_owned())),
            _ => Some(Value::Number(u64::MAX - self.started.0.unsigned_abs())),
        }
    }
}

impl Component for Escalation {
    fn on_snapshot(&mut self, shown: &Shown<'_>, focused: bool) {
        let attempts = &shown.snapshot.attempts;
        let rows = attempts.live.iter().chain(&attempts.recent).cloned().collect();
        self.attempts.refresh(rows, shown, focused);
    }

    fn on_action(&mut self, action: PaneAction) {
        match action {
            PaneAction::Go(step) => self.attempts.go(step),
            // A ladder is as high as a turn of the wheel.
            PaneAction::Wheel(way) => self.attempts.go(way(1)),
            PaneAction::Select(row) => self.attempts.select_at(row),
            PaneAction::Sort => self.attempts.sort_next(),
            PaneAction::SortInverse => self.attempts.sort_inverse(),
            PaneAction::SortBy(column) => self.attempts.sort_by(column),
        }
    }

    fn draw(&self, pen: &Pen<'_>, area: Rect, buf: &mut Buffer) -> Drawn {
        let attempts = &pen.shown.attempts;
        let sort = frame::sorted(self.attempts.sort());
        let right = format!("{sort} ─ {} live ─ {} ended", attempts.live.len(), attempts.ended);
        let inner = frame::pane(pen, Pane::Escalation, &right, area, buf);
        let rows = usize::from(inner.height);
        let count = self.attempts.len();
        if count == 0 {
            frame::hint(pen.theme, "nobody was dialled yet", inner, buf);
            return Drawn { rows, top: 0, below: 0 };
        }
        // Where each ladder begins.
        let mut starts = Vec::with_capacity(count);
        let mut lines = Vec::new();
        for (attempt, left) in self.attempts.iter() {
            starts.push(lines.len());
            lines.push(head_line(pen, attempt, left));
            if !left {
                lines.extend(ladder(pen, attempt, inner.width.into()));
            }
        }
        let cursor = self.attempts.cursor();
        let chosen =
            cursor.and_then(|at| Some((*starts.get(at)?, *starts.get(at + 1).unwrap_or(&lines.len()))));
        let mut top = self.top.min(lines.len().saturating_sub(rows));
        if let Some((first, end)) = chosen {
            // The whole ladder where it fits, and its head in any case.
            top = top.max(end.saturating_sub(rows)).min(first);
        }
        for (line, y) in lines.iter().skip(top).zip(inner.y..inner.bottom()) {
            frame::put(buf, (inner.x, y), line, inner.width);
        }
        let ends = starts.iter().skip(1).copied().chain([lines.len()]);
        for (at, (first, end)) in starts.iter().copied().zip(ends).enumerate() {
            let (from, to) = (first.max(top), end.min(top + rows));
            if from < to {
                let cut = |n: usize| u16::try_from(n).unwrap_or(0);
                let area = Rect { y: inner.y + cut(from - top), height: cut(to - from), ..inner };
                pen.mark(area, Spot::Row(Pane::Escalation, at));
            }
        }
        if let (Some(at), Some((first, _))) = (cursor, chosen) {
            if (top..top + rows).contains(&first) {
                let y = inner.y + u16::try_from(first - top).unwrap_or(0);
                let line = Rect { y, height: 1, ..inner };
                frame::mark_selected(pen, pen.acting == Pane::Escalation, line, buf);
            }
            frame::note(pen, &format!("{} of {count}", at + 1), area, buf);
        }
        // A page is as many ladders as are to be seen.
        let rows = starts.iter().filter(|start| (top..top + rows).contains(start)).count();
        Drawn { rows, top, below: 0 }
    }

    fn on_drawn(&mut self, drawn: Drawn) {
        self.top = drawn.top;
    }

    fn forget_rows(&mut self) {
        self.attempts.forget_rows();
    }

    fn target(&self) -> Option<PeerId> {
        self.attempts.selected_peer()
    }

    fn changes_in(&self, at: Duration) -> Option<Duration> {
        self.attempts.changes_in(at)
    }
}

/// The stages of an attempt, line by line, and what is next. A reason that does
/// not fit goes on in another line: it is what one came for.
pub(crate) fn ladder(pen: &Pen<'_>, attempt: &Attempt, width: usize) -> Vec<Line<'static>> {
    let stages = (0..attempt.stages.len()).map(|at| (at, &attempt.stages));
    let mut lines: Vec<_> =
        stages.flat_map(|(at, all)| stage_lines(pen, (&all[at], stage_place(all, at)), width)).collect();
    if let Some(since) = attempt.since(pen.shown) {
        let head = vec![Span::styled("   now    ", pen.theme.dim)];
        let age = match since {
            Since::Linked { since, .. } => format!(" {} ago", pen.age(since)),
            Since::NoLink => String::new(),
        };
        lines.extend(frame::flow(head, &[(&format!("{since}{age}"), Style::new())], width, INDENT));
    }
    if let Some(text) = next_step(pen, attempt) {
        let head = vec![Span::styled("   next   → ", pen.theme.dim)];
        lines.extend(frame::flow(head, &[(&text, Style::new())], width, INDENT));
    }
    lines
}

/// What happens next, where it is known.
fn next_step(pen: &Pen<'_>, attempt: &Attempt) -> Option<String> {
    let again = |at| format!("punch again {}, or when a NAT changes", pen.countdown(at));
    let relayed = attempt.path == Some(Path::Relayed);
    let runs = |kind| attempt.stages.iter().any(|s| s.stage == kind && s.outcome == StageOutcome::Running);
    match &attempt.next {
        Some(NextStep::Upgrade { at: Some(at) }) => return Some(again(*at)),
        Some(NextStep::Upgrade { at: None }) => return Some("punch again when a NAT changes".to_owned()),
        Some(NextStep::Retry { at }) => return Some(format!("try again {}", pen.countdown(*at))),
        Some(NextStep::Wait) => return Some("no further try unless somebody asks".to_owned()),
        None => {}
    }
    if relayed && runs(StageKind::Punch) {
        return Some("the direct path, as soon as the punch comes through".to_owned());
    }
    // What was not asked for stands in the list as skipped.
    let alone = attempt.stages.len() == 1 && runs(StageKind::Direct);
    alone.then(|| "punch, if nobody answers".to_owned())
}

/// Who answered at the address that an attempt dialled, where it named nobody.
fn named(pen: &Pen<'_>, attempt: &Attempt) -> Option<String> {
    let target = attempt.target.filter(|_| attempt.peer_id.is_none())?;
    let link = pen.shown.links.iter().find(|link| link.remote_addr == target)?;
    Some(pen.call(link.peer_id))
}

fn head_line(pen: &Pen<'_>, attempt: &Attempt, left: bool) -> Line<'static> {
    let theme = pen.theme;
    let (glyph, style, word) = match (attempt.outcome, attempt.path) {
        // The node remembers only so many.
        _ if left => match named(pen, attempt) {
            Some(name) => ("×", theme.dim, format!("now known as {name}")),
            None => ("×", theme.dim, "no longer kept".to_owned()),
        },
        (None, _) => ("◐", theme.accent, "running".to_owned()),
        (Some(AttemptOutcome::Connected), Some(path)) => ("●", theme.good, path.name().to_owned()),
        (Some(ended @ AttemptOutcome::Connected), None) => ("●", theme.good, ended.word().to_owned()),
        (Some(ended @ AttemptOutcome::Unreachable), _) => ("✗", theme.bad, ended.word().to_owned()),
        (Some(ended), _) => ("─", theme.dim, ended.word().to_owned()),
    };
    let whom = match (attempt.peer_id, attempt.target) {
        (Some(id), _) => pen.call(id),
        (None, Some(addr)) => addr.to_string(),
        (None, None) => "-".to_owned(),
    };
    let ours = pen.shown.nat.nat_type;
    let theirs = attempt.peer_id.and_then(|id| pen.peer(id)).map_or(NatType::Unknown, |p| p.nat_type);
    let took = match attempt.elapsed_ms {
        Some(ms) => fmt::elapsed(ms),
        None => pen.age(attempt.started),
    };
    let when =
        if attempt.outcome.is_some() { format!(" {} ago", pen.age(attempt.started)) } else { String::new() };
    Line::from(vec![
        Span::raw(" "),
        Span::styled(glyph, style),
        Span::styled(
            format!(" {:<16}", crate::model::ellipsize(&whom, 24, '…')),
            if left { theme.dim } else { theme.strong },
        ),
        Span::styled(format!(" {:>4}→{:<4} ", ours.short(), theirs.short()), theme.dim),
        Span::styled(format!("{word:<11}"), style),
        Span::raw(format!(" {took:>6}")),
        Span::styled(format!("  {}{when}", attempt.cause.name()), theme.dim),
    ])
}

fn stage_lines(
    pen: &Pen<'_>,
    (stage, (begun, beside)): (&StageReport, (Duration, bool)),
    width: usize,
) -> Vec<Line<'static>> {
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
    let head = vec![
        Span::styled(format!("   {:<6} ", stage.stage.name()), theme.dim),
        Span::styled(format!("{glyph} {word:<7} "), style),
        Span::styled(took, Style::new()),
    ];
    let via = stage.via.map(|via| pen.call(via));
    let reason = stage.reason.as_ref().map(|reason| printable(&reason.text_via(via.as_deref())));
    let (reason, via) =
        (reason.unwrap_or_default(), via.map_or_else(String::new, |via| format!("via {via}")));
    let guess = stage.guess.map_or_else(String::new, |guess| guess.to_string());
    // What ran beside another stage does not add to the time of the whole.
    let place =
        if beside { format!("from +{} in parallel", fmt::elapsed(millis(begun))) } else { String::new() };
    let parts = [
        (reason.as_str(), Style::new()),
        (guess.as_str(), Style::new()),
        (via.as_str(), theme.dim),
        (place.as_str(), theme.dim),
    ];
    frame::flow(head, &parts, width, INDENT)
}
