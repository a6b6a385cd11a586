//! Why a peer is what it is: the node's own explanation once it is there, and
//! until then what the console knows itself; every number with where it comes
//! from, and what one can do about it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{Pen, escalation, explained, frame};
use crate::model::{Attempt, LinkRow, PeerId, PeerRow, PeerState, clean};
use crate::tui::app::App;
use crate::tui::bindings::{Action, Scope};
use crate::tui::fmt;

/// Draws the view and returns its page.
pub(super) fn draw(
    app: &App,
    pen: &Pen<'_>,
    id: PeerId,
    scroll: &mut u16,
    body: Rect,
    buf: &mut Buffer,
) -> usize {
    let Some(peer) = app.peer(id) else {
        let lines = [Line::from(format!("{} is not in the cache any more.", id.short()))];
        let title = format!("Why ─ {} closes", app.keys.key_of(Scope::Why, Action::Close));
        return frame::popup(pen, &title, &lines, scroll, (60, body), buf);
    };
    let link = app.shown().link(&id);
    let title = match (peer.state, peer.path) {
        (PeerState::Linked, Some(path)) => format!("Why is {} {path}?", app.call(id)),
        (state, Some(path)) => format!("Why is {} {}, {path}?", app.call(id), state.name()),
        (state, None) => format!("Why is {} {}?", app.call(id), state.name()),
    };
    let width = 96.min(body.width);
    let text_width = usize::from(width.saturating_sub(4));
    let mut lines = Vec::new();
    if let Some(why) = app.asked(id).and_then(|asked| asked.answer.as_deref()) {
        lines.extend(explained::lines(app, pen, why, text_width));
    } else {
        let verdict = frame::wrap(&verdict(pen, peer, link), text_width);
        lines.extend(verdict.into_iter().map(Line::from));
        lines.push(Line::default());
        lines.extend(attempt_lines(app, pen, peer, text_width));
    }
    lines.extend(explained::awaited(app, pen, peer, text_width));
    lines.push(Line::default());
    lines.extend(next_lines(app, pen, id));
    lines.push(Line::default());
    lines.push(Line::styled("What we know, and how", pen.theme.strong));
    let room = usize::from(width).saturating_sub(4 + 16 + 27).clamp(24, 41);
    lines.extend(facts(pen, peer, link).into_iter().map(|f| f.line(pen, room)));
    frame::popup(pen, &title, &lines, scroll, (width, body), buf)
}

/// What it is now, in a sentence.
fn verdict(pen: &Pen<'_>, peer: &PeerRow, link: Option<&LinkRow>) -> String {
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

fn attempt_lines(app: &App, pen: &Pen<'_>, peer: &PeerRow, width: usize) -> Vec<Line<'static>> {
    let attempts = &app.shown().attempts;
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
    lines.extend(escalation::ladder(app, pen, attempt, width));
    lines
}

/// A value and where it comes from.
struct Fact {
    name: &'static str,
    value: String,
    provenance: &'static str,
}

impl Fact {
    fn line(self, pen: &Pen<'_>, room: usize) -> Line<'static> {
        Line::from(vec![
            Span::styled(format!("  {:<14}", self.name), pen.theme.dim),
            Span::raw(format!("{:<room$} ", self.value)),
            Span::styled(self.provenance, pen.theme.dim),
        ])
    }
}

fn facts(pen: &Pen<'_>, peer: &PeerRow, link: Option<&LinkRow>) -> Vec<Fact> {
    let dash = || "-".to_owned();
    let claimed = if peer.first_hand { "claimed by the peer itself" } else { "hearsay" };
    let fact = |name, value, provenance| Fact { name, value, provenance };
    let mut facts = vec![
        fact("name", peer.name.as_deref().map_or_else(dash, clean), claimed),
        fact("NAT", peer.nat_type.name().to_owned(), claimed),
    ];
    if peer.addresses.is_empty() {
        facts.push(fact("addresses", dash(), claimed));
    }
    for (i, addr) in peer.addresses.iter().enumerate() {
        facts.push(fact(if i == 0 { "addresses" } else { "" }, addr.to_string(), claimed));
    }
    facts.push(fact("record", format!("version {}", peer.version), "claimed, in its record"));
    facts.push(fact("learned from", peer.source.name().to_owned(), "our own note"));
    let tries = if peer.attempts == 0 {
        "- no attempt of ours ended".to_owned()
    } else {
        format!("{} of {} connected", peer.successes, peer.attempts)
    };
    facts.push(fact("attempts", tries, "measured, over restarts"));
    let seen = peer.last_seen.map_or_else(dash, |at| format!("{} ago", pen.age(at)));
    facts.push(fact(
        "last seen",
        seen,
        if peer.state.is_up() { "measured" } else { "ours, or hearsay if newer" },
    ));
    let rtt = if peer.state.is_up() { "measured by heartbeat" } else { "as last measured" };
    facts.push(fact("round trip", fmt::millis(peer.rtt_ms), rtt));
    if let Some(link) = link {
        facts.push(fact("remote", link.remote_addr.to_string(), "measured"));
        let bytes = format!("{} sent, {} received", fmt::bytes(link.bytes_tx), fmt::bytes(link.bytes_rx));
        facts.push(fact("control bytes", bytes, "measured"));
        facts.push(fact("missed", fmt::count(u64::from(link.missed), "heartbeat"), "measured, in a row"));
        facts.push(fact(
            "sees us at",
            link.observed.map_or_else(dash, |a| a.to_string()),
            "claimed by the peer",
        ));
        let skew = link.clock_skew_ms.map_or_else(dash, |ms| format!("{ms:+} ms"));
        facts.push(fact("its clock", skew, "claimed by the peer, against ours"));
    }
    facts.push(fact(
        "peer id",
        format!("{}…", &peer.peer_id.to_string()[..32]),
        "verified by handshake if linked",
    ));
    facts
}

/// What one can do, with the keys for it: what the node proposes, else what
/// works here and now.
fn next_lines(app: &App, pen: &Pen<'_>, id: PeerId) -> Vec<Line<'static>> {
    let proposed = app.asked(id).and_then(|asked| asked.answer.as_ref()).map(|why| &why.next);
    if let Some(next) = proposed.filter(|next| !next.is_empty()) {
        return explained::next_lines(app, pen, next);
    }
    let mut spans = vec![Span::styled("Next  ", pen.theme.strong)];
    for binding in app.keys.of_scope(Scope::Why) {
        let acts = matches!(binding.action, Action::Order(_) | Action::CopyId);
        if acts && !binding.keys.is_empty() && app.available(binding.action).is_ok() {
            spans.push(Span::styled(binding.key(), pen.theme.accent));
            spans.push(Span::raw(format!(" {}   ", binding.label)));
        }
    }
    vec![Line::from(spans)]
}
