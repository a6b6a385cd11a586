//! Why a peer is what it is: the node's own explanation once it is there, and
//! until then what the console knows itself; every number with where it comes
//! from, and what one can do about it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{Asked, explained};
use crate::model::{Attempt, LinkRow, PeerId, PeerRow, PeerState, Why};
use crate::tui::bindings::{Action, Scope};
use crate::tui::draw::{Drawn, Pen, frame, provenance};
use crate::tui::fmt;
use crate::tui::panes::ladder;

/// Draws the view of a peer from the line `top` on.
pub(super) fn draw(
    (id, top): (PeerId, usize),
    pen: &Pen<'_>,
    asked: Option<&Asked>,
    body: Rect,
    buf: &mut Buffer,
) -> Drawn {
    let Some(peer) = pen.peer(id) else {
        let lines = [Line::from(format!("{} is not in the cache any more.", id.short()))];
        let title = format!("Why ─ {} closes", pen.keys.key_of(Scope::Why, Action::Close));
        return frame::popup(pen, &title, &lines, top, (60, body), buf);
    };
    let link = pen.shown.link(&id);
    let title = match (peer.state, peer.path) {
        (PeerState::Linked, Some(path)) => format!("Why is {} {path}?", pen.call(id)),
        (state, Some(path)) => format!("Why is {} {}, {path}?", pen.call(id), state.name()),
        (state, None) => format!("Why is {} {}?", pen.call(id), state.name()),
    };
    let width = 96.min(body.width);
    let text_width = usize::from(width.saturating_sub(4));
    let mut lines = Vec::new();
    if let Some(gone) = pen.gone {
        let text = format!("{}: this is what it last said.", gone.reason());
        lines.push(Line::styled(text, pen.theme.warn));
    }
    let answer = asked.and_then(|asked| asked.answer.as_deref());
    if let Some(why) = answer {
        lines.extend(explained::lines(pen, why, text_width));
    } else {
        let verdict = frame::wrap(&verdict(pen, peer, link, pen.gone.is_some()), text_width);
        lines.extend(verdict.into_iter().map(Line::from));
        lines.push(Line::default());
        lines.extend(attempt_lines(pen, peer, text_width));
    }
    lines.extend(explained::awaited(pen, asked, peer, text_width));
    lines.push(Line::default());
    lines.extend(next_lines(pen, answer));
    lines.push(Line::default());
    lines.push(Line::styled("What is known, and by whom", pen.theme.strong));
    let room = usize::from(width).saturating_sub(4 + 16 + 27).clamp(24, 41);
    let mut facts = match answer.filter(|why| !why.facts.is_empty()) {
        Some(why) => provenance::told(pen, peer, why),
        None => provenance::shown(pen, peer),
    };
    facts.extend(provenance::of_link(peer, link));
    lines.extend(facts.into_iter().map(|f| f.line(pen, room)));
    frame::popup(pen, &title, &lines, top, (width, body), buf)
}

/// What it is now, in a sentence.
fn verdict(pen: &Pen<'_>, peer: &PeerRow, link: Option<&LinkRow>, gone: bool) -> String {
    let failure = peer.last_failure.as_ref().map_or_else(String::new, |r| format!(": {r}"));
    let next = peer.next_attempt.map_or_else(
        || "No automatic try is due.".to_owned(),
        |at| format!("Next try {}.", pen.countdown(at)),
    );
    match (peer.state, link) {
        (PeerState::Linked | PeerState::Suspect, Some(link)) => {
            let who = if link.outbound { "we dialled it" } else { "it dialled us" };
            let via = link.via.map_or_else(String::new, |id| format!(" via {}", id.short()));
            let health = match link.missed {
                _ if gone => "what it is now is not known".to_owned(),
                0 => "heartbeats are answered".to_owned(),
                n => format!("{} missed in a row", fmt::count(u64::from(n), "heartbeat")),
            };
            format!(
                "A {} link{via} to {} stands for {}; {who}; {health}.",
                link.path,
                link.remote_addr,
                pen.age(link.since)
            )
        }
        (PeerState::Linked | PeerState::Suspect, None) => "A link stands, but its row is missing.".to_owned(),
        (PeerState::Foreign, _) => {
            "Connected, but it speaks no punchdeck: no gossip and no sync with it; it can \
                                    still coordinate and relay."
                .to_owned()
        }
        (PeerState::Connecting, _) => "An attempt is running.".to_owned(),
        (PeerState::Known, _) if peer.tried => format!("Known and once connected; no link now. {next}"),
        (PeerState::Known, _) => format!("Known only by {}; never connected. {next}", peer.source.name()),
        (PeerState::Unreachable, _) => format!("The last attempt failed on every stage{failure}. {next}"),
        (PeerState::HeldOff, _) => {
            format!("Disconnected by an operator; automatic dials wait{failure}. {next}")
        }
    }
}

fn attempt_lines(pen: &Pen<'_>, peer: &PeerRow, width: usize) -> Vec<Line<'static>> {
    let attempts = &pen.shown.attempts;
    let found: Option<&Attempt> = attempts
        .live
        .iter()
        .chain(&attempts.recent)
        .find(|a| Some(a.id) == peer.attempt)
        .or_else(|| attempts.live.iter().chain(&attempts.recent).find(|a| a.peer_id == Some(peer.peer_id)))
        .map(|a| &**a);
    let Some(attempt) = found else {
        return vec![
            Line::styled("Last attempt of ours", pen.theme.strong),
            Line::styled("     none is remembered", pen.theme.dim),
        ];
    };
    let word = if attempt.outcome.is_none() { "Attempt under way" } else { "Last attempt of ours" };
    let took = attempt.elapsed_ms.map_or_else(String::new, |ms| format!(", took {}", fmt::elapsed(ms)));
    let head = format!("  {}, began {} ago{took}", attempt.cause.name(), pen.age(attempt.started));
    let mut lines =
        vec![Line::from(vec![Span::styled(word, pen.theme.strong), Span::styled(head, pen.theme.dim)])];
    lines.extend(ladder(pen, attempt, width));
    lines
}

/// What one can do, with the keys for it: what the node proposes, else what
/// works here and now.
fn next_lines(pen: &Pen<'_>, answer: Option<&Why>) -> Vec<Line<'static>> {
    if let Some(next) = answer.map(|why| &why.next).filter(|next| !next.is_empty()) {
        return explained::next_lines(pen, next);
    }
    let mut spans = vec![Span::styled("Next  ", pen.theme.strong)];
    for binding in pen.keys.of_scope(Scope::Why) {
        let acts = matches!(binding.action, Action::Node(_) | Action::CopyId);
        if acts && !binding.keys.is_empty() && pen.possible.available(binding.action).is_ok() {
            spans.push(Span::styled(binding.key(), pen.theme.accent));
            spans.push(Span::raw(format!(" {}   ", binding.label)));
        }
    }
    vec![Line::from(spans)]
}
