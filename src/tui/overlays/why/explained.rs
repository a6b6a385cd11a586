//! The node's own explanation of a link: its verdict, what happened at both
//! ends, the evidence, and what would help. What another node says is marked as
//! its account.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::Asked;
use crate::model::{Command, NextAction, PeerRow, Why, WhyLine, ellipsize, printable};
use crate::tui::bindings::{Scope, action_of};
use crate::tui::draw::{Pen, frame};
use crate::tui::fmt;

/// Where it is said who did or saw it, in the timeline.
const WHO: usize = 13;
/// Names are shown from that width on.
const WITH_NAMES: usize = 80;
/// The room for a peer with its name.
const NAME: usize = 15;
/// Where the texts behind a label begin.
const TEXT: usize = 12;

/// The explanation, line by line.
pub(super) fn lines(pen: &Pen<'_>, why: &Why, width: usize) -> Vec<Line<'static>> {
    let mut lines = frame::flow(Vec::new(), &[(&printable(&why.verdict_words()), Style::new())], width, 0);
    let sure = format!("{}: {}", why.confidence.level.name(), why.because_words());
    lines.extend(behind(pen, "Confidence", &sure, width));
    if !why.timeline.is_empty() {
        lines.push(Line::default());
        lines.extend(why.timeline.iter().flat_map(|line| timeline_lines(pen, line, width)));
    }
    if !why.evidence.is_empty() || !why.would_help.is_empty() {
        lines.push(Line::default());
    }
    for (i, evidence) in why.evidence_words().iter().enumerate() {
        lines.extend(behind(pen, if i == 0 { "Evidence" } else { "" }, evidence, width));
    }
    if !why.would_help.is_empty() {
        lines.extend(behind(pen, "Would help", &why.help_words().join("; "), width));
    }
    lines
}

fn behind(pen: &Pen<'_>, label: &str, text: &str, width: usize) -> Vec<Line<'static>> {
    let head = vec![Span::styled(format!("{label:<TEXT$}"), pen.theme.strong)];
    frame::flow(head, &[(&printable(text), Style::new())], width, TEXT)
}

fn timeline_lines(pen: &Pen<'_>, line: &WhyLine, width: usize) -> Vec<Line<'static>> {
    let ours = line.who == pen.shown.node.peer_id;
    let (name, room) = match (ours, width >= WITH_NAMES) {
        (true, wide) => ("us".to_owned(), if wide { NAME } else { 6 }),
        (false, true) => (ellipsize(&pen.call(line.who), NAME, '…'), NAME),
        (false, false) => (line.who.short(), 6),
    };
    let at = format!("  +{:<9} ", fmt::elapsed(line.at_ms));
    let head = vec![Span::styled(at, pen.theme.dim), Span::raw(format!("{name:<room$} "))];
    let account = if ours { "" } else { "(it says)" };
    let what = [(printable(&line.what.to_string()), Style::new()), (account.to_owned(), pen.theme.dim)];
    frame::flow(head, &what.each_ref().map(|(text, style)| (text.as_str(), *style)), width, WHO + room + 1)
}

/// Whether an answer is still to come, and why there is none if it failed.
pub(super) fn awaited(
    pen: &Pen<'_>,
    asked: Option<&Asked>,
    peer: &PeerRow,
    width: usize,
) -> Vec<Line<'static>> {
    let id = peer.peer_id;
    let Some(asked) = asked else { return Vec::new() };
    let (text, style) = if pen.commands.is_running(&Command::Why { peer: id }) {
        (format!("◐ asking the node, and {} for its account…", id.short()), pen.theme.accent)
    } else if let Some(failure) = &asked.failure {
        (format!("✗ no explanation: {}; this is what the console knows", printable(failure)), pen.theme.warn)
    } else if asked.answer.as_ref().is_some_and(|why| why.path != peer.path) {
        ("! the path has changed since; it is asked again after 10 s".to_owned(), pen.theme.warn)
    } else if asked.answer.is_none() {
        ("✗ no explanation came; this is what the console knows".to_owned(), pen.theme.warn)
    } else {
        return Vec::new();
    };
    let mut lines = vec![Line::default()];
    lines.extend(frame::flow(Vec::new(), &[(&text, style)], width, 2));
    lines
}

/// What the node proposes, each with the key of the table that does it.
pub(super) fn next_lines(pen: &Pen<'_>, next: &[NextAction]) -> Vec<Line<'static>> {
    let line = |(i, step): (usize, &NextAction)| {
        let (action, words) = action_of(*step);
        let label = if i == 0 { "Next" } else { "" };
        let key = pen.keys.key_of(Scope::Why, action);
        let mut line = Line::from(vec![
            Span::styled(format!("{label:<TEXT$}"), pen.theme.strong),
            Span::styled(format!("{key} "), pen.theme.accent),
            Span::raw(format!(" {words}")),
        ]);
        if let Err(reason) = pen.possible.available(action) {
            line.push_span(Span::styled(format!("   not now: {reason}"), pen.theme.dim));
        }
        line
    };
    next.iter().enumerate().map(line).collect()
}
