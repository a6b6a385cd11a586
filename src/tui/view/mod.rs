//! Draws the console's state into a buffer. It changes nothing but what the
//! next key needs to know of the screen, and it reports when the picture will
//! change by itself because an age in it steps.

mod chart;
mod drills;
mod escalation;
mod events;
mod explained;
mod footer;
mod frame;
mod gossip;
mod header;
mod help;
mod kpi;
mod lab;
mod layout;
mod logs;
mod nat;
mod palette;
mod peers;
mod provenance;
mod relays;
mod why;

use std::cell::{Cell, RefCell};
use std::time::Duration;

use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::app::{App, Drawn, Overlay, Pane, Region, Spot};
use super::bindings::Danger;
use super::fmt::{self, Ageing};
use super::theme::Theme;
use crate::model::Stamp;
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
    /// What was drawn where, for the mouse.
    regions: &'a RefCell<Vec<Region>>,
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

    /// Notes what lies somewhere; what is noted later lies on top.
    fn mark(&self, area: Rect, spot: Spot) {
        self.regions.borrow_mut().push(Region { area, spot });
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
    let regions = RefCell::new(Vec::with_capacity(app.drawn.regions.len()));
    let pen = Pen {
        theme: &theme,
        zone: &zone,
        now: app.moment().map_or(now, |moment| moment.now),
        running: app.moment().is_none(),
        changes_in: Cell::new(None),
        regions: &regions,
    };
    if area.width < MIN_WIDTH || area.height < MIN_HEIGHT {
        frame::too_small(app, &pen, area, buf);
    } else {
        draw_console(app, &pen, area, buf);
    }
    theme.finish(buf);
    let changes_in = pen.changes_in.get();
    app.drawn.regions = regions.into_inner();
    if let Some(next) = app.plays_on_in() {
        return Some(next);
    }
    let left = changes_in?;
    let seconds = left.as_secs().saturating_add(u64::from(left.subsec_nanos() > 0));
    Some(Duration::from_secs(seconds).saturating_sub(into))
}

/// The second a moment lies in, and how far into it.
fn whole_second(now: Stamp) -> (Stamp, Duration) {
    let into = Duration::from_millis(now.0.rem_euclid(1000).unsigned_abs());
    (now.before(into), into)
}

fn draw_console(app: &mut App, pen: &Pen<'_>, area: Rect, buf: &mut Buffer) {
    // What is about the console itself goes on while the panes stand still.
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
        pen.mark(*area, Spot::Pane(*pane));
        let rows = match pane {
            Pane::Peers => peers::draw(app, pen, *area, buf),
            Pane::Escalation => escalation::draw(app, pen, *area, buf),
            Pane::Relays => relays::draw(app, pen, *area, buf),
            Pane::Gossip => gossip::draw(app, pen, *area, buf),
            Pane::Nat => nat::draw(app, pen, *area, buf),
            Pane::Kpi => kpi::draw(app, pen, *area, buf),
            Pane::Events => events::draw(app, pen, *area, buf),
            Pane::Logs => logs::draw(app, pen, *area, buf),
        };
        if *pane == app.focus {
            page = rows;
        }
    }
    if let (None, Some((_, last))) = (parts.tabs, parts.panes.last()) {
        let hidden = Pane::ALL.iter().filter(|pane| !parts.panes.iter().any(|(p, _)| p == *pane));
        let hidden: Vec<_> =
            hidden.map(|pane| (*pane, format!("{} {}", pane.number(), pane.title()))).collect();
        let names: Vec<&str> = hidden.iter().map(|(_, name)| name.as_str()).collect();
        if frame::note_left(pen, &names.join("  "), *last, buf) {
            let mut x = last.x + 3;
            for (pane, name) in &hidden {
                let width = u16::try_from(name.len()).unwrap_or(0);
                pen.mark(Rect { x, y: last.bottom() - 1, width, height: 1 }, Spot::Pane(*pane));
                x += width + 2;
            }
        }
    }
    app.drawn = Drawn {
        peers: parts.panes.iter().any(|(p, _)| *p == Pane::Peers),
        several: parts.panes.len() > 1,
        page,
        regions: Vec::new(),
    };
    if let Some(left) = app.rows_change_in() {
        live.changes_within(left);
    }
    header::message(app, &live, parts.message, buf);
    footer::draw(app, pen, parts.footer, buf);
    let body = Rect { y: area.y + 1, height: area.height - 3, ..area };
    for n in 0..app.overlays.len() {
        // What can be done depends on all that lies there, so all stays there.
        let mut overlay = app.overlays[n].clone();
        // Nothing below it is clicked through it.
        pen.mark(body, Spot::Overlay);
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
