//! A line a node: whether it answers, since when it runs, its NAT, its links by path, relays
//! held and served, and what is wrong with it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::FleetPanel;
use crate::model::{Brief, Member, Path, PhaseKind, Rank, Stamp, Standing, clean, ellipsize};
use crate::tui::bindings::{Action, FleetKey, Scope};
use crate::tui::draw::{Drawn, Pen, Spot, frame};
use crate::tui::fmt;
use crate::tui::lists::keep_in_view;

/// From this width on all columns are shown.
const ROOMY: u16 = 104;
/// Wider it is not read.
const WIDTH: u16 = 150;
/// Room for a name.
pub(super) const NAME: usize = 13;
/// Findings that are listed; of more only the count is.
const FINDINGS: usize = 3;

/// Draws the list.
pub(super) fn draw(panel: &FleetPanel, pen: &Pen<'_>, body: Rect, buf: &mut Buffer) -> Drawn {
    let (area, inner) = frame::window(pen, &title(panel, pen, body.width), body, WIDTH, buf);
    let roomy = inner.width >= ROOMY;
    let head = format!("    {:<NAME$} {:<7} {:<4} {:<13} ", "NODE", "UP", "NAT", "LINKS");
    let more =
        if roomy { format!("{:<5} {:<6} {:<8} ", "HOLDS", "SERVES", "VERSION") } else { String::new() };
    let head = Line::styled(format!("{head}{more}WHAT IS WRONG"), pen.theme.dim);
    let mut below: Vec<Line<'_>> = panel.chosen().map_or_else(Vec::new, |node| {
        let text = format!("{}: {}", clean(&node.name), in_full(panel, node));
        frame::wrap(&text, inner.width.into()).into_iter().take(3).map(Line::from).collect()
    });
    below.extend(beneath(panel, pen));
    let rows = table(panel, pen, (&head, &below), (area, inner), buf, |node, chosen| {
        node_line(panel, pen, node, (roomy, chosen))
    });
    Drawn { rows: rows.0, top: rows.1, below: 0 }
}

/// Draws rows between a head and what stands below them; gives how many there is room for,
/// and the first one.
pub(super) fn table<'a>(
    panel: &'a FleetPanel,
    pen: &Pen<'_>,
    (head, below): (&Line<'_>, &[Line<'_>]),
    (area, inner): (Rect, Rect),
    buf: &mut Buffer,
    line: impl Fn(&'a Member, bool) -> Line<'static>,
) -> (usize, usize) {
    frame::put(buf, (inner.x, inner.y), head, inner.width);
    let room = usize::from(inner.height.saturating_sub(2));
    let below = &below[..below.len().min(room / 2)];
    let (all, rows) = (panel.order.len(), room - below.len());
    let at = panel.place(panel.chosen.as_ref());
    let top = keep_in_view(panel.top, Some(at), rows, all);
    let shown = panel.rows().enumerate().skip(top).take(rows);
    for ((place, node), y) in shown.zip(inner.y + 1..) {
        let row = Rect { y, height: 1, ..inner };
        frame::put(buf, (row.x, y), &line(node, place == at), row.width);
        pen.mark(row, Spot::Choice(place));
    }
    if let Some(text) = frame::lines_shown(top, rows, all) {
        frame::note(pen, &text.replace("lines", "nodes"), area, buf);
    }
    let last = inner.bottom() - u16::try_from(below.len()).unwrap_or(0);
    for (line, y) in below.iter().zip(last..inner.bottom()) {
        frame::put(buf, (inner.x, y), line, inner.width);
    }
    (rows, top)
}

/// What stands above both pages.
pub(super) fn title(panel: &FleetPanel, pen: &Pen<'_>, width: u16) -> String {
    let view = &panel.view;
    let answer = view.nodes.iter().filter(|node| node.brief().is_some()).count();
    let order = if panel.by_name { "by name" } else { "worst first" };
    let title = format!(
        "Fleet ─ {}, {answer} answer, console on {} ─ {order} ─ {} closes",
        fmt::count(view.nodes.len() as u64, "node"),
        clean(&view.shown),
        pen.keys.key_of(Scope::Fleet, Action::Close)
    );
    ellipsize(&title, width.saturating_sub(6).into(), '…')
}

/// What stands below both pages: what ends disagree about, and what is going on.
pub(super) fn beneath(panel: &FleetPanel, pen: &Pen<'_>) -> Vec<Line<'static>> {
    let theme = pen.theme;
    let findings: Vec<_> = panel.findings(pen.at).collect();
    let mut lines: Vec<Line<'static>> = findings
        .iter()
        .take(FINDINGS)
        .map(|found| Line::styled(format!("! {}", clean_words(&found.to_string())), theme.warn))
        .collect();
    if findings.len() > FINDINGS {
        let more = fmt::count((findings.len() - FINDINGS) as u64, "disagreement");
        lines.push(Line::styled(format!("! {more} more"), theme.warn));
    }
    if let Some(marked) = &panel.marked {
        let key = pen.keys.key_of(Scope::Fleet, Action::Fleet(FleetKey::Compare));
        let text = format!("{key} on another node compares it with {}", clean(marked));
        lines.push(Line::styled(text, theme.accent));
    }
    if let Some(doing) = &panel.view.doing {
        lines.push(Line::styled(format!("◐ {}", clean_words(doing)), theme.accent));
    }
    lines
}

/// A sentence of ours with names of others in it.
fn clean_words(text: &str) -> String {
    crate::model::printable(text)
}

/// How a node is marked.
pub(super) fn look(pen: &Pen<'_>, node: &Member) -> (&'static str, Style) {
    let theme = pen.theme;
    match node.rank() {
        Rank::Silent => ("✗", theme.bad),
        Rank::Troubled => ("!", theme.bad),
        Rank::Others | Rank::Slight => ("!", theme.warn),
        Rank::Older => ("?", theme.warn),
        Rank::Asked => ("◐", theme.dim),
        Rank::Well => ("●", theme.good),
    }
}

/// The beginning of a row: which is chosen, how it is, and its name.
pub(super) fn row_head(panel: &FleetPanel, pen: &Pen<'_>, node: &Member, chosen: bool) -> Vec<Span<'static>> {
    let (glyph, style) = look(pen, node);
    let name = ellipsize(&clean(&node.name), NAME, '…');
    let name_style = if node.name == panel.view.shown { pen.theme.accent } else { pen.theme.strong };
    vec![
        Span::styled(if chosen { "▶ " } else { "  " }, pen.theme.accent),
        Span::styled(format!("{glyph} "), style),
        Span::styled(format!("{name:<NAME$} "), name_style),
    ]
}

fn node_line(
    panel: &FleetPanel,
    pen: &Pen<'_>,
    node: &Member,
    (roomy, chosen): (bool, bool),
) -> Line<'static> {
    let mut spans = row_head(panel, pen, node, chosen);
    // What a node said last is shown as that.
    let style = if node.brief().is_some() { Style::new() } else { pen.theme.dim };
    let brief = node.last_brief();
    let of = |say: fn(&Brief) -> String| brief.map_or_else(|| "-".to_owned(), |brief| say(brief));
    let up = match &node.standing {
        Standing::Here { brief, at } => up(panel, brief, *at),
        _ => "-".to_owned(),
    };
    let nat = of(|brief| brief.nat.short().to_owned());
    spans.push(Span::styled(format!("{up:<7} {nat:<4} {:<13} ", of(links)), style));
    if roomy {
        let (holds, serves) = (of(|b| b.holds.len().to_string()), of(|b| b.serves.to_string()));
        let version = match &node.standing {
            Standing::Older { program } => clean(program),
            _ => of(|brief| clean(&brief.version)),
        };
        let version = ellipsize(&version, 8, '…');
        spans.push(Span::styled(format!("{holds:<5} {serves:<6} {version:<8} "), style));
    }
    let (_, how) = look(pen, node);
    let how = if node.rank() == Rank::Well { pen.theme.dim } else { how };
    spans.push(Span::styled(in_short(panel, pen, node), how));
    let line = Line::from(spans);
    if chosen { line.patch_style(pen.theme.selected) } else { line }
}

/// For how long it runs, if it still does.
fn up(panel: &FleetPanel, brief: &Brief, at: Stamp) -> String {
    let seconds = brief.up_s + at.age_at(panel.view.at).as_secs();
    fmt::age(Stamp(0), Stamp(i64::try_from(seconds.saturating_mul(1000)).unwrap_or(i64::MAX))).text
}

/// `5d 1p 1r`.
fn links(brief: &Brief) -> String {
    let by = [Path::Direct, Path::Punched, Path::Relayed];
    let of = |path: Path| match brief.links_by(path) {
        0 => None,
        n => Some(format!("{n}{}", &path.name()[..1])),
    };
    let all: Vec<String> = by.into_iter().filter_map(of).collect();
    if all.is_empty() { "none".to_owned() } else { all.join(" ") }
}

/// What is wrong with a node, the worst of it.
fn in_short(panel: &FleetPanel, pen: &Pen<'_>, node: &Member) -> String {
    let ends = panel.findings(pen.at).filter(|found| found.ends.contains(&node.name));
    let ends = ends.map(|found| clean_words(&found.to_string()));
    let all: Vec<String> = wrong(panel, node).into_iter().chain(ends).collect();
    match all.as_slice() {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
    }
}

/// All that is wrong with a node; what it disagrees about stands below.
fn in_full(panel: &FleetPanel, node: &Member) -> String {
    let all = wrong(panel, node);
    if all.is_empty() { "nothing is wrong".to_owned() } else { all.join("; ") }
}

fn wrong(panel: &FleetPanel, node: &Member) -> Vec<String> {
    let now = panel.view.at;
    match &node.standing {
        Standing::Asked => vec!["it has not answered yet".to_owned()],
        Standing::Older { program } => {
            vec![format!("punchdeck {} is older and tells nothing in brief: upgrade it", clean(program))]
        }
        Standing::Silent { why, since, again, .. } => {
            let (since, again) = (fmt::age(*since, now).text, fmt::countdown(*again, now).text);
            vec![format!("no answer for {since}: {why}; tried again {again}")]
        }
        Standing::Here { brief, .. } => {
            let phase = match brief.phase {
                PhaseKind::Starting | PhaseKind::Joining | PhaseKind::Leaving | PhaseKind::Other => {
                    Some(brief.phase.word().to_owned())
                }
                // The rest is well, or is among what is wrong.
                PhaseKind::Joined | PhaseKind::Alone | PhaseKind::Isolated | PhaseKind::NoWay => None,
            };
            phase.into_iter().chain(brief.wrong.iter().map(ToString::to_string)).collect()
        }
    }
}
