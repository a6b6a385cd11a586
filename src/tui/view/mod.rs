//! Draws the console's state into a buffer. It changes nothing but what the
//! next key needs to know of the screen, and it reports when the picture will
//! change by itself because an age in it steps.

mod chart;
mod drills;
mod escalation;
mod events;
mod explained;
mod frame;
mod gossip;
mod header;
mod help;
mod kpi;
mod lab;
mod layout;
mod nat;
mod palette;
mod peers;
mod provenance;
mod relays;
mod why;

use std::cell::Cell;
use std::time::Duration;

use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::app::{App, Drawn, Overlay, Pane};
use super::bindings::Danger;
use super::fmt::{self, Ageing};
use super::theme::Theme;
use crate::model::Stamp;
pub(crate) use frame::hint;
pub(crate) use layout::Places;

/// The smallest terminal that the panes fit in.
pub(crate) const MIN_WIDTH: u16 = 40;
/// See [`MIN_WIDTH`].
pub(crate) const MIN_HEIGHT: u16 = 10;

/// What every part of the picture needs.
pub(crate) struct Pen<'a> {
    theme: &'a Theme,
    zone: &'a TimeZone,
    now: Stamp,
    /// Whether `now` goes on.
    running: bool,
    changes_in: Cell<Option<Duration>>,
}

impl Pen<'_> {
    /// How long ago something was.
    fn age(&self, stamp: Stamp) -> String {
        self.ageing(fmt::age(stamp, self.now))
    }

    /// How long until something is due. The picture's moment is the beginning of
    /// a second, on average half a second ago: a started second is not counted,
    /// or what lasts 30 s would begin at 31.
    fn countdown(&self, stamp: Stamp) -> String {
        self.ageing(fmt::countdown(stamp.before(Duration::from_millis(999)), self.now))
    }

    fn ageing(&self, ageing: Ageing) -> String {
        if self.running {
            self.changes_within(ageing.changes_in);
        }
        ageing.text
    }

    /// Notes that the picture changes by itself that soon.
    fn changes_within(&self, left: Duration) {
        self.changes_in.set(Some(self.changes_in.get().map_or(left, |old| old.min(left))));
    }

    /// How the mark of what an action costs looks.
    fn danger(&self, danger: Danger) -> Style {
        match danger {
            Danger::None | Danger::Traffic => self.theme.dim,
            Danger::Disruptive => self.theme.warn,
            Danger::Destructive => self.theme.bad,
        }
    }

    fn time_of_day(&self, stamp: Stamp) -> String {
        fmt::time_of_day(stamp, self.zone)
    }
}

/// Draws everything, and returns how long until a text in it changes by
/// itself, if one does.
pub(crate) fn draw(app: &mut App, area: Rect, buf: &mut Buffer) -> Option<Duration> {
    let theme = app.theme.clone();
    let zone = app.zone.clone();
    // Ages step together, on whole seconds of the node's clock: one draw a
    // second is enough for all of them, whatever fraction each began with.
    let (now, into) = whole_second(app.node_now());
    let pen = Pen {
        theme: &theme,
        zone: &zone,
        now: app.frozen().map_or(now, |f| f.now),
        running: app.frozen().is_none(),
        changes_in: Cell::new(None),
    };
    if area.width < MIN_WIDTH || area.height < MIN_HEIGHT {
        frame::too_small(app, &pen, area, buf);
    } else {
        draw_console(app, &pen, area, buf);
    }
    theme.finish(buf);
    let left = pen.changes_in.get()?;
    let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
    Some(Duration::from_secs(seconds).saturating_sub(into))
}

/// The second a moment lies in, and how far into it.
fn whole_second(now: Stamp) -> (Stamp, Duration) {
    let into = Duration::from_millis(now.0.rem_euclid(1000).unsigned_abs());
    (now.before(into), into)
}

fn draw_console(app: &mut App, pen: &Pen<'_>, area: Rect, buf: &mut Buffer) {
    // What is about the console itself goes on while the panes are frozen.
    let live =
        Pen { now: whole_second(app.node_now()).0, running: true, changes_in: Cell::new(None), ..*pen };
    let banners = header::banners(app, &live);
    app.places.look_at(app.focus);
    let parts = layout::split(area, banners.len(), app.focus, app.zoom, app.places);
    header::draw(app, &live, parts.header, buf);
    for (line, y) in banners.iter().zip(parts.header.y + 1..) {
        buf.set_style(Rect { y, ..parts.header }, line.style);
        frame::put(buf, (area.x, y), line, area.width);
    }
    if let Some(tabs) = parts.tabs {
        header::tabs(app, pen, tabs, buf);
    }
    let mut page = 10;
    for (pane, area) in &parts.panes {
        let rows = match pane {
            Pane::Peers => peers::draw(app, pen, *area, buf),
            Pane::Escalation => escalation::draw(app, pen, *area, buf),
            Pane::Relays => relays::draw(app, pen, *area, buf),
            Pane::Gossip => gossip::draw(app, pen, *area, buf),
            Pane::Nat => nat::draw(app, pen, *area, buf),
            Pane::Kpi => kpi::draw(app, pen, *area, buf),
            Pane::Events => events::draw(app, pen, *area, buf),
            Pane::Logs => frame::logs(app, pen, *area, buf),
        };
        if *pane == app.focus {
            page = rows;
        }
    }
    if let (None, Some((_, last))) = (parts.tabs, parts.panes.last()) {
        let hidden = Pane::ALL.iter().filter(|pane| !parts.panes.iter().any(|(p, _)| p == *pane));
        let names: Vec<_> = hidden.map(|pane| format!("{} {}", pane.number(), pane.title())).collect();
        frame::note_left(pen, &names.join("  "), *last, buf);
    }
    app.drawn = Drawn {
        peers: parts.panes.iter().any(|(p, _)| *p == Pane::Peers),
        several: parts.panes.len() > 1,
        page,
    };
    if let Some(left) = app.rows_change_in() {
        live.changes_within(left);
    }
    header::message(app, &live, parts.message, buf);
    header::footer(app, pen, parts.footer, buf);
    let body = Rect { y: area.y + 1, height: area.height - 3, ..area };
    for n in 0..app.overlays.len() {
        // What can be done depends on all that lies there, so all stays there.
        let mut overlay = app.overlays[n].clone();
        match &mut overlay {
            Overlay::Help { from, search, typing, scroll } => {
                let search = help::Search { text: search, typing: *typing };
                app.drawn.page = help::draw(app, pen, *from, search, scroll, (body, buf));
            }
            Overlay::Palette(palette) => app.drawn.page = palette::draw(app, pen, palette, body, buf),
            Overlay::Why { peer, scroll } => app.drawn.page = why::draw(app, pen, *peer, scroll, body, buf),
            Overlay::Lab { scroll } => app.drawn.page = lab::draw(app, pen, scroll, body, buf),
            Overlay::Nat { host } => lab::choose_nat(app, pen, host, body, buf),
            Overlay::Drills => app.drawn.page = drills::draw(app, &live, body, buf),
            Overlay::Confirm(question) => frame::question(app, pen, question, body, buf),
        }
        app.overlays[n] = overlay;
    }
    if let Some(left) = live.changes_in.get() {
        pen.changes_within(left);
    }
}

#[cfg(test)]
mod tests;
