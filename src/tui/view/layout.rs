//! Which panes stand where, by the size of the terminal. Pure arithmetic.

use ratatui::layout::Rect;

use crate::tui::pane::Pane;
use crate::tui::panes::Places;

/// From this size on there are six panes.
const SIX: (u16, u16) = (140, 40);
/// From this size on there are four.
const FOUR: (u16, u16) = (100, 30);

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
pub(super) fn split(area: Rect, banners: usize, focus: Pane, zoom: bool, places: Places) -> Parts {
    let line = |y| Rect { y, height: 1, ..area };
    let above = 1 + u16::try_from(banners).unwrap_or(1).min(2);
    let header = line(area.y);
    let message = line(area.bottom() - 2);
    let footer = line(area.bottom() - 1);
    let body = Rect { y: area.y + above, height: area.height - above - 2, ..area };
    let tabs = line(body.y);
    let below_tabs = Rect { y: body.y + 1, height: body.height - 1, ..body };

    let has = |(width, height)| area.width >= width && area.height >= height;
    let (tabs, panes) = if zoom || !has(FOUR) {
        (Some(tabs), vec![(focus, below_tabs)])
    } else if has(SIX) {
        (None, six(body, places))
    } else {
        (Some(tabs), four(below_tabs, places))
    };
    Parts { header, tabs, panes, message, footer }
}

/// What is asked for often has its place.
fn six(body: Rect, places: Places) -> Vec<(Pane, Rect)> {
    let height = 10;
    let upper = (body.height - height) * 3 / 5;
    let lower = body.height - height - upper;
    // The table wants its columns, the ladders their reasons.
    let left = body.width * 13 / 25;
    let (peers, ladders) = columns(Rect { height: upper, ..body }, left);
    let middle = Rect { y: body.y + upper, height, ..body };
    let (relays, kpi) = columns(middle, left);
    let (events, other) = columns(Rect { y: middle.bottom(), height: lower, ..body }, body.width * 16 / 25);
    vec![
        (Pane::Peers, peers),
        (Pane::Escalation, ladders),
        (Pane::Relays, relays),
        (Pane::Kpi, kpi),
        (Pane::Events, events),
        (places.sixth, other),
    ]
}

/// Peers and ladders above, two of the others below.
fn four(body: Rect, places: Places) -> Vec<(Pane, Rect)> {
    let upper = body.height * 3 / 5;
    let above = Rect { height: upper, ..body };
    let below = Rect { y: body.y + upper, height: body.height - upper, ..body };
    let left = body.width * 13 / 25;
    let (peers, ladders) = columns(above, left);
    let (third, fourth) = columns(below, left);
    vec![(Pane::Peers, peers), (Pane::Escalation, ladders), (places.third, third), (places.fourth, fourth)]
}

fn columns(area: Rect, left: u16) -> (Rect, Rect) {
    let right = Rect { x: area.x + left, width: area.width - left, ..area };
    (Rect { width: left, ..area }, right)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(width: u16, height: u16, focus: Pane) -> Parts {
        let mut places = Places::default();
        places.look_at(focus);
        split(Rect::new(0, 0, width, height), 0, focus, false, places)
    }

    #[test]
    fn at_every_size_the_parts_lie_inside_the_screen_and_beside_each_other() {
        for width in (40..=220).step_by(3) {
            for height in 10..=70 {
                for &focus in Pane::ALL {
                    for zoom in [false, true] {
                        let area = Rect::new(0, 0, width, height);
                        let mut places = Places::default();
                        places.look_at(focus);
                        let parts = split(area, usize::from(height % 3), focus, zoom, places);
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

    #[test]
    fn six_panes_from_140x40_four_from_100x30_and_one_with_tabs_below() {
        let count = |w, h| (at(w, h, Pane::Peers).panes.len(), at(w, h, Pane::Peers).tabs.is_some());
        assert_eq!([count(140, 40), count(300, 90)], [(6, false); 2]);
        assert_eq!([count(139, 40), count(140, 39), count(100, 30)], [(4, true); 3]);
        assert_eq!([count(99, 60), count(200, 29), count(80, 24)], [(1, true); 3]);
    }

    #[test]
    fn a_pane_keeps_its_place_when_somebody_goes_on_to_another() {
        let mut places = Places::default();
        let shown = |size: (u16, u16), focus, places| {
            let area = Rect::new(0, 0, size.0, size.1);
            split(area, 0, focus, false, places).panes.into_iter().map(|(p, _)| p).collect::<Vec<_>>()
        };
        assert_eq!(
            shown(FOUR, Pane::Peers, places),
            [Pane::Peers, Pane::Escalation, Pane::Relays, Pane::Events]
        );
        for pane in [Pane::Nat, Pane::Logs, Pane::Peers] {
            places.look_at(pane);
        }
        assert_eq!(shown(FOUR, Pane::Peers, places), [Pane::Peers, Pane::Escalation, Pane::Nat, Pane::Logs]);
        assert_eq!(shown(SIX, Pane::Peers, places)[5], Pane::Logs);
    }
}
