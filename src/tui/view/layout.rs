//! Which panes stand where, by the size of the terminal. Pure arithmetic.

use ratatui::layout::Rect;

use crate::tui::app::Pane;

/// From this width on panes stand side by side.
const WIDE: u16 = 120;
/// From this height on panes stand one above the other.
const TALL: u16 = 32;

/// Where everything stands.
#[derive(Debug)]
pub(super) struct Parts {
    /// The status line; the banners follow it.
    pub(super) header: Rect,
    /// The line of tabs, where not all panes are shown.
    pub(super) tabs: Option<Rect>,
    /// The panes that are shown.
    pub(super) panes: Vec<(Pane, Rect)>,
    /// The line for messages and for typing.
    pub(super) message: Rect,
    /// The keys.
    pub(super) footer: Rect,
}

/// Splits the screen.
pub(super) fn split(area: Rect, banners: usize, focus: Pane, zoom: bool) -> Parts {
    let line = |y| Rect { y, height: 1, ..area };
    let above = 1 + u16::try_from(banners).unwrap_or(1).min(2);
    let header = line(area.y);
    let message = line(area.bottom() - 2);
    let footer = line(area.bottom() - 1);
    let body = Rect { y: area.y + above, height: area.height - above - 2, ..area };
    let tabs = line(body.y);
    let below_tabs = Rect { y: body.y + 1, height: body.height - 1, ..body };

    let wide = area.width >= WIDE;
    let tall = area.height >= TALL;
    let (tabs, panes) = match (zoom, wide, tall) {
        (false, true, true) => (None, all(body, focus)),
        (false, true, false) => (Some(tabs), side_by_side(below_tabs, focus)),
        (false, false, true) => (Some(tabs), stacked(below_tabs, focus)),
        _ => (Some(tabs), vec![(focus, below_tabs)]),
    };
    Parts { header, tabs, panes, message, footer }
}

/// Six panes: what is asked for often has its place, and the last one is
/// whichever of the others was last looked at.
fn all(body: Rect, focus: Pane) -> Vec<(Pane, Rect)> {
    let height = 8;
    let upper = (body.height - height) * 3 / 5;
    let lower = body.height - height - upper;
    // The table wants its columns, the ladders their reasons.
    let left = body.width * 13 / 25;
    let (peers, ladders) = columns(Rect { height: upper, ..body }, left);
    let middle = Rect { y: body.y + upper, height, ..body };
    let (relays, kpi) = columns(middle, body.width * 55 / 100);
    let last = if matches!(focus, Pane::Gossip | Pane::Nat) { focus } else { Pane::Logs };
    let (events, other) = columns(Rect { y: middle.bottom(), height: lower, ..body }, body.width * 16 / 25);
    vec![
        (Pane::Peers, peers),
        (Pane::Escalation, ladders),
        (Pane::Relays, relays),
        (Pane::Kpi, kpi),
        (Pane::Events, events),
        (last, other),
    ]
}

fn side_by_side(body: Rect, focus: Pane) -> Vec<(Pane, Rect)> {
    let (left, right) = columns(body, body.width * 13 / 25);
    let other = if focus == Pane::Peers { Pane::Escalation } else { focus };
    vec![(Pane::Peers, left), (other, right)]
}

fn stacked(body: Rect, focus: Pane) -> Vec<(Pane, Rect)> {
    let upper = body.height * 3 / 5;
    let (top, bottom) = match focus {
        Pane::Events => (Pane::Peers, Pane::Events),
        pane => (pane, Pane::Events),
    };
    let above = Rect { height: upper, ..body };
    let below = Rect { y: body.y + upper, height: body.height - upper, ..body };
    vec![(top, above), (bottom, below)]
}

fn columns(area: Rect, left: u16) -> (Rect, Rect) {
    let right = Rect { x: area.x + left, width: area.width - left, ..area };
    (Rect { width: left, ..area }, right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_every_size_the_parts_lie_inside_the_screen_and_beside_each_other() {
        for width in (40..=220).step_by(3) {
            for height in 10..=70 {
                for focus in Pane::ALL {
                    for zoom in [false, true] {
                        let area = Rect::new(0, 0, width, height);
                        let parts = split(area, usize::from(height % 3), focus, zoom);
                        assert!(parts.panes.iter().any(|(p, _)| *p == focus), "{width}x{height} {focus:?}");
                        let mut cells = 0;
                        for (i, (_, a)) in parts.panes.iter().enumerate() {
                            assert!(a.width > 0 && a.height > 2, "{width}x{height} {a:?}");
                            assert_eq!(a.intersection(area), *a);
                            cells += a.area();
                            assert!(
                                parts.panes[i + 1..].iter().all(|(_, b)| !a.intersects(*b)),
                                "{width}x{height}"
                            );
                        }
                        let lines = u32::from(height) - cells / u32::from(width);
                        assert!((3..=6).contains(&lines), "{width}x{height}: {lines} lines of furniture");
                    }
                }
            }
        }
    }
}
