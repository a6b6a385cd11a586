//! Draws the console: the panes, what lies over them, and the lines around. It changes
//! nothing: how all of it came to lie on the screen, and when the picture will change by
//! itself because an age in it steps, is what it returns.

mod footer;
mod header;
mod layout;

use std::cell::{Cell, RefCell};
use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::app::App;
use super::bindings::{Action, Scope};
use super::draw::{Layout, Pen, Spot, frame};
use super::pane::Pane;
use crate::model::Stamp;

/// The smallest terminal that the panes fit in.
pub(crate) const MIN_WIDTH: u16 = 40;
/// See [`MIN_WIDTH`].
pub(crate) const MIN_HEIGHT: u16 = 10;

/// What drawing comes to.
#[derive(Debug)]
pub(crate) struct Picture {
    /// How all of it lies on the screen.
    pub(crate) layout: Layout,
    /// How long until a text in it changes by itself, if one does.
    pub(crate) changes_in: Option<Duration>,
}

/// Draws everything.
pub(crate) fn draw(app: &App, area: Rect, buf: &mut Buffer) -> Picture {
    // Ages step together, on whole seconds of the node's clock: one draw a
    // second is enough for all of them, whatever fraction each began with.
    let (now, into) = whole_second(app.node_now());
    let regions = RefCell::new(Vec::with_capacity(app.layout().regions.len()));
    let panes = app.panes();
    let fits = area.width >= MIN_WIDTH && area.height >= MIN_HEIGHT;
    let on_screen = if fits {
        let parts = layout::split(area, 0, panes.focus(), panes.zoom, panes.places());
        parts.panes.into_iter().map(|(pane, _)| pane).collect()
    } else {
        Vec::new()
    };
    let pen = Pen {
        theme: &app.settings.theme,
        zone: &app.settings.zone,
        keys: &app.settings.keys,
        shown: app.shown(),
        events: panes.events.log(),
        commands: app.commands(),
        possible: &app.possible(on_screen),
        gone: app.gone(),
        focus: app.overlays().is_empty().then_some(panes.focus()),
        acting: panes.acting(),
        at: app.at(),
        now: app.moment().map_or(now, |moment| moment.now),
        running: app.moment().is_none(),
        changes_in: Cell::new(None),
        regions: &regions,
    };
    let mut layout = if fits {
        draw_console(app, &pen, area, buf)
    } else {
        too_small(&pen, area, buf);
        app.layout().clone()
    };
    app.settings.theme.finish(buf);
    let changes_in = pen.changes_in.get();
    layout.regions = regions.into_inner();
    let changes_in = app.history().plays_on_in().or_else(|| {
        let left = changes_in?;
        let seconds = left.as_secs().saturating_add(u64::from(left.subsec_nanos() > 0));
        Some(Duration::from_secs(seconds).saturating_sub(into))
    });
    Picture { layout, changes_in }
}

/// The second a moment lies in, and how far into it.
fn whole_second(now: Stamp) -> (Stamp, Duration) {
    let into = Duration::from_millis(now.0.rem_euclid(1000).unsigned_abs());
    (now.before(into), into)
}

/// The page for a terminal on which nothing fits.
fn too_small(pen: &Pen<'_>, area: Rect, buf: &mut Buffer) {
    let lines = [
        "The terminal is too small".to_owned(),
        format!("needs {MIN_WIDTH}x{MIN_HEIGHT}, has {}x{}", area.width, area.height),
        format!("{} quits", pen.keys.key_of(Scope::Confirm, Action::Quit)),
    ];
    for (text, y) in lines.iter().zip(area.y..area.bottom()) {
        buf.set_stringn(area.x, y, text, area.width.into(), pen.theme.strong);
    }
}

fn draw_console(app: &App, pen: &Pen<'_>, area: Rect, buf: &mut Buffer) -> Layout {
    // What is about the console itself goes on while the panes stand still.
    let live = pen.of(whole_second(app.node_now()).0);
    let banners = header::banners(app, &live);
    let panes = app.panes();
    let parts = layout::split(area, banners.len(), panes.focus(), panes.zoom, panes.places());
    header::draw(app, &live, parts.header, buf);
    for (line, y) in banners.iter().zip(parts.header.y + 1..) {
        buf.set_style(Rect { y, ..parts.header }, line.style);
        frame::put(buf, (area.x, y), line, area.width);
    }
    if let Some(tabs) = parts.tabs {
        header::tabs(panes.focus(), pen, tabs, buf);
    }
    let mut drawn = Vec::with_capacity(parts.panes.len());
    for (pane, area) in &parts.panes {
        pen.mark(*area, Spot::Pane(*pane));
        drawn.push((*pane, panes.get(*pane).draw(pen, *area, buf)));
    }
    if let (None, Some((_, last))) = (parts.tabs, parts.panes.last()) {
        name_hidden(pen, &drawn.iter().map(|(pane, _)| *pane).collect::<Vec<_>>(), *last, buf);
    }
    if let Some(left) = app.rows_change_in() {
        live.changes_within(left);
    }
    header::message(app, &live, parts.message, buf);
    let layout = Layout { regions: Vec::new(), panes: drawn, overlays: Vec::new() };
    footer::draw(app, pen, parts.footer, buf);
    let body = Rect { y: area.y + 1, height: area.height - 3, ..area };
    let overlays = app.overlays().draw(pen, app.panels(), body, buf);
    if let Some(left) = live.changes_in.get() {
        pen.changes_within(left);
    }
    Layout { overlays, ..layout }
}

/// Names the panes that are not on the screen, on the lower border of the last one.
fn name_hidden(pen: &Pen<'_>, shown: &[Pane], last: Rect, buf: &mut Buffer) {
    let hidden = Pane::ALL.iter().copied().filter(|pane| !shown.contains(pane));
    let hidden: Vec<_> = hidden.map(|pane| (pane, format!("{} {}", pane.number(), pane.title()))).collect();
    let names: Vec<&str> = hidden.iter().map(|(_, name)| name.as_str()).collect();
    if frame::note_left(pen, &names.join("  "), last, buf) {
        let mut x = last.x + 3;
        for (pane, name) in &hidden {
            let width = u16::try_from(name.len()).unwrap_or(0);
            pen.mark(Rect { x, y: last.bottom() - 1, width, height: 1 }, Spot::Pane(*pane));
            x += width + 2;
        }
    }
}

#[cfg(test)]
mod tests;
