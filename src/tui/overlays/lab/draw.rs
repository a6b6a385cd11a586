//! The lab: its nodes and the wires between its regions, what is changed shown
//! as changed; and the choice of a NAT.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::LabPanel;
use crate::model::{HostStatus, NatType, WireStatus, ellipsize};
use crate::tui::bindings::{Action, Keymap, LabKey, Scope};
use crate::tui::draw::{Drawn, Pen, frame};
use crate::tui::fmt;
use crate::tui::lab::LabView;

impl LabPanel {
    /// Draws the nodes and wires.
    pub(in crate::tui::overlays) fn draw(&self, pen: &Pen<'_>, body: Rect, buf: &mut Buffer) -> Drawn {
        let view = &self.view;
        let width = 92.min(body.width);
        let mut lines = vec![Line::styled(
            "    NODE       REGION  ROUTER  NAT                UPLINK  NODE IS",
            pen.theme.dim,
        )];
        let (mut at, mut rows) = (lines.len(), Vec::new());
        for (row, node) in view.nodes.iter().enumerate() {
            rows.push((lines.len(), 1, row));
            if row == self.row {
                at = lines.len();
            }
            lines.push(node_line(pen, view, node, row == self.row));
        }
        if !view.links.is_empty() {
            lines.push(Line::styled("    WIRE BETWEEN       ROUND TRIP", pen.theme.dim));
        }
        for (row, link) in (view.nodes.len()..).zip(&view.links) {
            rows.push((lines.len(), 1, row));
            if row == self.row {
                at = lines.len();
            }
            lines.push(link_line(pen, link, row == self.row));
        }
        lines.extend(below(pen, view, usize::from(width.saturating_sub(4))));
        let title = format!(
            "Lab ─ {}, {}, console on {} ─ {} closes",
            view.kind,
            fmt::count(view.nodes.len() as u64, "node"),
            view.shown,
            pen.keys.key_of(Scope::Lab, Action::Close)
        );
        let top = keep_in_view(self.top, at, lines.len(), usize::from(body.height.saturating_sub(2)));
        let title = ellipsize(&title, width.saturating_sub(6).into(), '…');
        let drawn = frame::popup(pen, &title, &lines, top, (width, body), buf);
        frame::choices(pen, &rows, (lines.len(), drawn.top), (width, body));
        drawn
    }

    /// The choice of the NAT before a node.
    pub(in crate::tui::overlays) fn draw_nats(
        &self,
        pen: &Pen<'_>,
        host: &str,
        body: Rect,
        buf: &mut Buffer,
    ) -> Drawn {
        let node = self.view.nodes.iter().find(|n| n.name == host);
        let Some(router) = node.and_then(|n| n.router.as_ref()) else { return Drawn::default() };
        let mut lines = vec![
            Line::raw(format!("Router {} becomes, and forgets its mappings:", router.name)),
            Line::default(),
        ];
        for binding in pen.keys.of_scope(Scope::Nat) {
            let Action::Lab(LabKey::Nat(nat)) = binding.action else { continue };
            let note = match (nat == router.nat, nat == router.built) {
                (true, _) => "  (now)",
                (_, true) => "  (as built)",
                _ => "",
            };
            lines.push(Line::from(vec![
                Span::styled(format!("  {}  ", binding.key()), pen.theme.accent),
                Span::raw(words(nat)),
                Span::styled(note, pen.theme.dim),
            ]));
        }
        frame::popup(pen, &format!("NAT before {host}"), &lines, 0, (76.min(body.width), body), buf)
    }

    /// What must not be forgotten while the overlay is closed.
    pub(crate) fn reminder(&self, keys: &Keymap) -> Option<String> {
        let changes = self.view.changes();
        (changes > 0).then(|| {
            format!(
                " LAB CHANGED: {} ({} shows and undoes)",
                fmt::count(changes as u64, "change"),
                keys.key_of(Scope::Main, Action::OpenLab)
            )
        })
    }
}

/// Scrolls no more than it takes to see a line.
fn keep_in_view(top: usize, at: usize, lines: usize, rows: usize) -> usize {
    let most = lines.saturating_sub(rows);
    top.min(most).min(at.saturating_sub(1)).max((at + 1).saturating_sub(rows))
}

fn mark(pen: &Pen<'_>, chosen: bool) -> Span<'static> {
    Span::styled(if chosen { "▶ " } else { "  " }, pen.theme.accent)
}

fn node_line(pen: &Pen<'_>, view: &LabView, node: &HostStatus, chosen: bool) -> Line<'static> {
    let theme = pen.theme;
    let (glyph, style) = match (node.up, node.cut) {
        (false, _) => ("✗", theme.bad),
        (true, true) => ("!", theme.warn),
        (true, false) => ("●", theme.good),
    };
    let (router, nat, nat_style) = match &node.router {
        Some(r) if r.nat != r.built => {
            (r.name.as_str(), format!("{}, was {}", r.nat.short(), r.built.short()), theme.warn)
        }
        Some(r) => (r.name.as_str(), r.nat.name().to_owned(), Style::new()),
        None => ("-", "-".to_owned(), theme.dim),
    };
    let uplink = match (&view.no_network, node.cut) {
        (Some(_), _) => Span::styled("-       ", theme.dim),
        (None, true) => Span::styled("cut     ", theme.warn),
        (None, false) => Span::raw("up      "),
    };
    let state = if node.up { Span::raw("running") } else { Span::styled("down   ", theme.bad) };
    let shown = if node.name == view.shown { "  ← console" } else { "" };
    let line = Line::from(vec![
        mark(pen, chosen),
        Span::styled(format!("{glyph} "), style),
        Span::styled(format!("{:<10} ", ellipsize(&node.name, 10, '…')), theme.strong),
        Span::raw(format!("{:<7} ", ellipsize(&node.region, 7, '…'))),
        Span::raw(format!("{:<7} ", ellipsize(router, 7, '…'))),
        Span::styled(format!("{nat:<18} "), nat_style),
        uplink,
        state,
        Span::styled(node.wrong.as_ref().map(|w| format!("  {w}")).unwrap_or_default(), theme.warn),
        Span::styled(shown, theme.accent),
    ]);
    if chosen { line.patch_style(theme.selected) } else { line }
}

fn link_line(pen: &Pen<'_>, link: &WireStatus, chosen: bool) -> Line<'static> {
    let [a, b] = &link.between;
    let (glyph, style) =
        if link.cut || link.wrong.is_some() { ("!", pen.theme.warn) } else { ("●", pen.theme.good) };
    let line = Line::from(vec![
        mark(pen, chosen),
        Span::styled(format!("{glyph} "), style),
        Span::styled(format!("{:<18} ", format!("{a} ─ {b}")), pen.theme.strong),
        Span::raw(format!("{:<10} ", format!("{} ms", link.rtt_ms))),
        Span::styled(if link.cut { "cut".to_owned() } else { link.wrong.clone().unwrap_or_default() }, style),
    ]);
    if chosen { line.patch_style(pen.theme.selected) } else { line }
}

/// What is being done, what is changed, and what cannot be.
fn below(pen: &Pen<'_>, view: &LabView, width: usize) -> Vec<Line<'static>> {
    // Its line is there while nothing is done, too, or the box would jump.
    let doing = view.doing.as_ref().map_or_else(String::new, |doing| format!("◐ {doing}…"));
    let mut lines = vec![Line::styled(doing, pen.theme.accent)];
    let changes = view.changes();
    if changes > 0 {
        let key = pen.keys.key_of(Scope::Lab, Action::Lab(LabKey::Undo));
        let text = format!(
            "{} from the lab as it was built; {key} undoes all",
            fmt::count(changes as u64, "change")
        );
        lines.push(Line::styled(text, pen.theme.warn));
    } else {
        lines.push(Line::styled(
            "as it was built; whatever is changed goes when the console ends",
            pen.theme.dim,
        ));
    }
    if let Some(why) = &view.no_network {
        lines.extend(frame::flow(Vec::new(), &[(why, pen.theme.dim)], width, 0));
    }
    lines
}

fn words(nat: NatType) -> String {
    let what = match nat {
        NatType::None => "routes only",
        NatType::FullCone => "anybody reaches a mapping",
        NatType::AddressRestricted => "addresses contacted before",
        NatType::PortRestricted => "address and port contacted before",
        NatType::Symmetric => "a mapping for each destination",
        NatType::Unknown => "",
    };
    format!("{:<18}  {what}", nat.name())
}
