//! Our NAT: what it does, how sure that is, and who saw it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::component::{Component, PaneAction};
use crate::model::{Behaviour, NatSpell, NatType, NatView, Sureness, Vantage, printable};
use crate::tui::draw::{Drawn, Pen, frame};
use crate::tui::pane::Pane;

/// The pane.
#[derive(Debug, Default)]
pub(crate) struct Nat {
    top: usize,
}

impl Component for Nat {
    fn on_action(&mut self, action: PaneAction) {
        self.top = action.scroll(self.top);
    }

    fn draw(&self, pen: &Pen<'_>, area: Rect, buf: &mut Buffer) -> Drawn {
        let nat = &pen.shown.nat;
        let right = match nat.measured {
            None if nat.again_since.is_some() => {
                format!("measuring again since {}", nat.again_since.map(|at| pen.age(at)).unwrap_or_default())
            }
            Some(at) => format!("measured {} ago", pen.age(at)),
            None => "not measured".to_owned(),
        };
        let width = usize::from(area.width.saturating_sub(4));
        let mut lines = lines(pen, nat, width);
        lines.extend(answering(pen, width));
        lines.extend(spells(pen, nat));
        if let Some(nat6) = &nat.nat6 {
            lines.push(Line::default());
            lines.push(Line::styled("IPv6, measured apart", pen.theme.strong));
            lines.extend(self::lines(pen, nat6, width));
        }
        frame::scrolled(pen, (Pane::Nat, &right), &lines, self.top, area, buf)
    }

    fn on_drawn(&mut self, drawn: Drawn) {
        self.top = drawn.top;
    }
}

fn lines(pen: &Pen<'_>, nat: &NatView, width: usize) -> Vec<Line<'static>> {
    let word = |b: Option<Behaviour>| b.map_or_else(|| "-".to_owned(), |b| b.to_string());
    let yes = |b: Option<bool>| b.map_or("-", |b| if b { "yes" } else { "no" }).to_owned();
    let sure = nat.confidence.map(|c| format!(", confidence {}", Sureness::of(c).name())).unwrap_or_default();
    let mut lines = vec![
        frame::labelled(pen, "type", format!("{}{sure}", nat.summary())),
        frame::labelled(pen, "mapping", word(nat.mapping)),
        frame::labelled(pen, "filtering", word(nat.filtering)),
        frame::labelled(pen, "ports", format!("kept: {}", yes(nat.port_preservation))),
        frame::labelled(pen, "hairpin", yes(nat.hairpinning)),
    ];
    let mut flow = |label: &str, text: &str| {
        let head = vec![Span::styled(format!("{label:<10}"), pen.theme.dim)];
        lines.extend(frame::flow(head, &[(text, Style::new())], width, 10));
    };
    flow("lifetime", &lifetime(pen, nat));
    if let Some(text) = nat.guessing() {
        flow("guessing", &text);
    }
    for (i, text) in nat.evidence.iter().enumerate() {
        flow(if i == 0 { "evidence" } else { "" }, &text.to_string());
    }
    let seen = nat.vantage_points.iter().enumerate();
    lines.extend(seen.map(|(i, seen)| vantage(pen, i == 0, seen, nat.nat_type)));
    lines
}

/// What our NAT was before, the newest first; nothing while it was one all the time.
fn spells(pen: &Pen<'_>, nat: &NatView) -> Vec<Line<'static>> {
    let before = nat.history.iter().rev().filter(|spell| spell.until.is_some());
    let line = |(n, spell): (usize, &NatSpell)| {
        let at = spell.at.map(|ip| format!(" at {ip}")).unwrap_or_default();
        let ended = spell.until.map(|until| pen.age(until)).unwrap_or_default();
        Line::from(vec![
            Span::styled(format!("{:<10}", if n == 0 { "before" } else { "" }), pen.theme.dim),
            Span::raw(format!("{}{at}, from {} to {ended} ago", spell.summary(), pen.age(spell.from))),
        ])
    };
    before.enumerate().map(line).collect()
}

/// At which ports others measure with us, or why they cannot.
fn answering(pen: &Pen<'_>, width: usize) -> Vec<Line<'static>> {
    let node = &pen.shown.node;
    let text = match (&node.probe_ports[..], &node.no_probe_ports) {
        ([], None) => return Vec::new(),
        ([], Some(why)) => format!("others cannot measure with us: {}", printable(&why.to_string())),
        (ports, _) => {
            let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
            format!("others measure with us at ports {}", ports.join(" and "))
        }
    };
    let head = vec![Span::styled(format!("{:<10}", "answers"), pen.theme.dim)];
    frame::flow(head, &[(&text, Style::new())], width, 10)
}

/// How long a mapping lives without traffic.
fn lifetime(pen: &Pen<'_>, nat: &NatView) -> String {
    match &nat.lifetime {
        Some(found) => {
            let further = if found.under_way { ", looked at further" } else { "" };
            let (by, age) = (pen.call(found.by), pen.age(found.measured));
            format!("a silent mapping lives {found}{further}; by {by}, {age} ago")
        }
        // Without a NAT and a firewall nothing is remembered.
        None if nat.nat_type == NatType::None && !nat.is_firewalled() => "no mapping to forget".to_owned(),
        None => "-".to_owned(),
    }
}

/// Who saw us where, and whether that speaks for what was found. Of a symmetric NAT each
/// sees another port, and just that is what they agree on.
fn vantage(pen: &Pen<'_>, first: bool, seen: &Vantage, found: NatType) -> Line<'static> {
    let (word, style) = match (seen.agrees, found) {
        (true, NatType::Symmetric) => ("same verdict: symmetric", pen.theme.good),
        (true, _) => ("agrees", pen.theme.good),
        (false, _) => ("disagrees", pen.theme.warn),
    };
    Line::from(vec![
        Span::styled(format!("{:<10}", if first { "seen by" } else { "" }), pen.theme.dim),
        Span::raw(format!("{} at {}  ", pen.call(seen.peer_id), seen.seen)),
        Span::styled(word, style),
    ])
}
