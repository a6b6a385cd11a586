//! Two nodes side by side: what they are, whom only one of them knows, and what they hold
//! different of those whom both know.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::model::{Both, Comparison, Held, Named, Path, Side, clean, ellipsize};
use crate::tui::bindings::{Action, Scope};
use crate::tui::draw::{Drawn, Pen, frame};
use crate::tui::fmt;

/// Wider it is not read.
const WIDTH: u16 = 104;
/// Room for what a line is about.
const LABEL: usize = 20;
/// Room for what a node says.
const SIDE: usize = 26;

/// Draws them from the line `top` on.
pub(super) fn draw(
    compared: &Comparison,
    pen: &Pen<'_>,
    (top, body): (usize, Rect),
    buf: &mut Buffer,
) -> Drawn {
    let [a, b] = &compared.sides;
    let (left, right) = (clean(&a.name), clean(&b.name));
    let width = WIDTH.min(body.width);
    let mut lines = vec![row(pen, "", [left.clone(), right.clone()], pen.theme.strong, false)];
    for (label, say) in ABOUT {
        let said = [say(a), say(b)];
        let differ = said[0] != said[1];
        lines.push(row(pen, label, said, Style::new(), differ));
    }
    for (side, name) in [(a, &left), (b, &right)] {
        lines.push(Line::default());
        lines.extend(alone(pen, side, name, width.saturating_sub(4).into()));
    }
    lines.push(Line::default());
    let both = fmt::count(compared.alike as u64, "peer");
    let text =
        format!("Of {both} both hold the same; of {} they hold something different.", compared.differing);
    lines.push(Line::styled(text, pen.theme.strong));
    for both in &compared.differ {
        lines.extend(differing(pen, both));
    }
    let unlisted = compared.differing.saturating_sub(compared.differ.len());
    if unlisted > 0 {
        lines.push(Line::styled(format!("and {unlisted} more"), pen.theme.dim));
    }
    let title = format!("{left} and {right} ─ {} closes", pen.keys.key_of(Scope::Compared, Action::Close));
    let title = ellipsize(&title, width.saturating_sub(6).into(), '…');
    frame::popup(pen, &title, &lines, top, (width, body), buf)
}

type Say = fn(&Side) -> String;

/// What is said of each of the two.
const ABOUT: [(&str, Say); 6] = [
    ("id", |side| side.peer_id.short()),
    ("version", |side| clean(&side.version)),
    ("network", |side| side.network.clone()),
    ("NAT", |side| side.nat.name().to_owned()),
    ("knows", |side| fmt::count(side.known as u64, "peer")),
    ("link to the other", |side| match side.link {
        Some(link) => format!("{}, {}", link.path, fmt::rtt(link.rtt_ms)),
        None => "none".to_owned(),
    }),
];

/// A line with what both say; marked where that differs, and should not.
fn row(pen: &Pen<'_>, label: &str, said: [String; 2], style: Style, differ: bool) -> Line<'static> {
    let [left, right] = said.map(|text| format!("{:<SIDE$} ", ellipsize(&text, SIDE, '…')));
    // Two nodes have two ids, and each its own NAT.
    let marked = differ && matches!(label, "version" | "network" | "knows" | "link to the other");
    let style = if marked { pen.theme.warn } else { style };
    Line::from(vec![
        Span::styled(format!("{:<LABEL$} ", ellipsize(label, LABEL, '…')), pen.theme.dim),
        Span::styled(left, style),
        Span::styled(right, style),
        Span::styled(if marked { "!" } else { "" }, pen.theme.warn),
    ])
}

/// Whom only one of them knows.
fn alone(pen: &Pen<'_>, side: &Side, name: &str, width: usize) -> Vec<Line<'static>> {
    if side.only == 0 {
        return vec![Line::styled(format!("{name} knows nobody whom the other does not."), pen.theme.dim)];
    }
    let text = format!("Only {name} knows {}:", fmt::count(side.only as u64, "peer"));
    let mut listed: Vec<String> = side.alone.iter().map(called).collect();
    if side.only > listed.len() {
        listed.push(format!("and {} more", side.only - listed.len()));
    }
    let mut lines = vec![Line::styled(text, pen.theme.warn)];
    lines.extend(
        frame::wrap(&listed.join(", "), width.saturating_sub(2))
            .into_iter()
            .map(|l| Line::from(format!("  {l}"))),
    );
    lines
}

fn called(peer: &Named) -> String {
    match &peer.name {
        Some(name) => format!("{} {}", peer.peer_id.short(), clean(name)),
        None => peer.peer_id.short(),
    }
}

/// What the two hold of a peer, each thing in which they differ marked.
fn differing(pen: &Pen<'_>, both: &Both) -> Vec<Line<'static>> {
    let [a, b] = &both.held;
    let say = |held: &Held| {
        let path = held.path.map_or("no link", Path::name);
        format!("{path}, {}", fmt::rtt(held.rtt_ms))
    };
    let mut lines = vec![row(pen, &called(&both.peer), [say(a), say(b)], Style::new(), false)];
    if a.nat != b.nat {
        let said = [a, b].map(|held| format!("NAT {}", held.nat));
        lines.push(row(pen, "", said, pen.theme.warn, false));
    }
    if a.version != b.version {
        let said = [a, b].map(|held| format!("record {}", held.version));
        lines.push(row(pen, "", said, pen.theme.warn, false));
    }
    lines
}
