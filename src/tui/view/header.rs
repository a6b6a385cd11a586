//! The lines around the panes: status, banners, tabs, messages, keys.

use std::fmt::Write as _;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::model::{Path, Phase, SaveState, SendTrouble, Snapshot, clean};
use crate::tui::app::{App, Prompt};
use crate::tui::bindings::{Action, Scope, Step};
use crate::tui::commands::Tone;
use crate::tui::draw::{Pen, Spot, frame};
use crate::tui::fmt;
use crate::tui::history::{About, Moment};
use crate::tui::pane::Pane;
use crate::tui::panes::Filtered;

/// The links by path, in words where there is room. Foreign connections carry
/// no link of ours, so they are counted apart.
fn links(app: &App, in_words: bool) -> String {
    let links = &of_status(app).links;
    let of = |path| links.iter().filter(|l| !l.foreign && l.path == path).count();
    let (direct, punched, relayed) = (of(Path::Direct), of(Path::Punched), of(Path::Relayed));
    let all = direct + punched + relayed;
    let foreign = links.len() - all;
    let mut text = if in_words {
        format!("links {all}: {direct} direct {punched} punched {relayed} relayed")
    } else {
        format!("links {all}: {direct}d {punched}p {relayed}r")
    };
    if foreign > 0 {
        let _ = if in_words { write!(text, " {foreign} foreign") } else { write!(text, " {foreign}f") };
    }
    text
}

/// What the status line is about: now also where the screen is held, and where one
/// looks at the past the moment that is looked at.
fn of_status(app: &App) -> &Snapshot {
    if app.moment().is_some_and(|moment| moment.past) { app.shown() } else { app.live() }
}

/// The status line. Its fields have fixed places, and it is never frozen.
pub(super) fn draw(app: &App, pen: &Pen<'_>, area: Rect, buf: &mut Buffer) {
    let snapshot = of_status(app);
    let node = &snapshot.node;
    let theme = pen.theme;
    let wide = area.width >= 120;
    let narrow = area.width < 60;

    let dropped_style = if app.events_dropped() > 0 { theme.warn } else { theme.dim };
    let mut right = Vec::new();
    if !narrow {
        right.extend([Span::styled("up ", theme.dim), Span::raw(format!("{:>6}", pen.age(node.started)))]);
    }
    if wide {
        right.push(Span::styled(format!("  events {} dropped", app.events_dropped()), dropped_style));
    } else if app.events_dropped() > 0 {
        right.insert(0, Span::styled(format!(" {} dropped  ", app.events_dropped()), dropped_style));
    }
    right.push(Span::raw(" "));
    let right = Line::from(right);
    let right_width = u16::try_from(right.width()).unwrap_or(u16::MAX).min(area.width);

    let gap = || Span::raw("  ");
    let (phase, phase_style) = phase(app, pen);
    let mut left = vec![Span::raw(" ")];
    if wide {
        left.extend([Span::styled("punchdeck", theme.accent), gap()]);
    }
    let name = crate::model::ellipsize(&clean(&node.name), if wide { 20 } else { 12 }, '…');
    let mut id = node.peer_id.to_string();
    id.truncate(if wide { 8 } else { 6 });
    left.extend([Span::styled(name, theme.strong), Span::raw(" "), Span::styled(id, theme.dim), gap()]);
    if wide {
        let network = crate::model::ellipsize(&clean(&node.network), 16, '…');
        left.extend([Span::styled("net ", theme.dim), Span::raw(network), gap()]);
    }
    if !narrow {
        left.extend([
            Span::styled("NAT ", theme.dim),
            Span::raw(format!("{:<4}", snapshot.nat.nat_type.short())),
            gap(),
        ]);
    }
    left.extend([Span::styled(format!("{phase:<8}"), phase_style), gap()]);
    if app.history().is_masked() {
        left.extend([Span::styled("masked", theme.warn), gap()]);
    }
    if app.settings.read_only {
        left.extend([Span::styled("read-only", theme.warn), gap()]);
    }
    if let Some(change) = snapshot.log.changes.first() {
        let more = snapshot.log.changes.len() - 1;
        let more = if more > 0 { format!(" +{more}") } else { String::new() };
        let what = if wide {
            format!("{} {}{more}, ", change.what.target, change.what.detail)
        } else {
            String::new()
        };
        let until = snapshot.log.changes.iter().map(|c| c.until).max().unwrap_or(change.until);
        left.push(Span::styled("log ", theme.dim));
        left.extend([Span::styled(format!("{what}ends {}", pen.countdown(until)), theme.warn), gap()]);
    }
    if !narrow {
        // In words only where they fit beside the longest of everything else.
        left.push(Span::raw(links(app, area.width >= 140)));
    }
    frame::put(buf, (area.x, area.y), &Line::from(left), area.width - right_width);
    buf.set_line(area.right() - right_width, area.y, &right, right_width);
}

/// What the node does about being connected, as a word.
fn phase(app: &App, pen: &Pen<'_>) -> (&'static str, Style) {
    if let Some(gone) = app.gone().filter(|_| !app.moment().is_some_and(|moment| moment.past)) {
        return (gone.word(), pen.theme.bad);
    }
    match of_status(app).node.phase {
        Phase::Starting => ("starting", pen.theme.warn),
        Phase::NothingToDial => ("alone", pen.theme.warn),
        Phase::Joining => ("joining", pen.theme.warn),
        Phase::Joined => ("joined", pen.theme.good),
        Phase::Isolated { .. } => ("isolated", pen.theme.bad),
        Phase::NoWay { why: SendTrouble::NoRoute, .. } => ("no network", pen.theme.bad),
        Phase::NoWay { .. } => ("barred", pen.theme.bad),
        Phase::Leaving => ("leaving", pen.theme.warn),
    }
}

/// What must not be missed: at most two lines, the worst first.
pub(super) fn banners(app: &App, pen: &Pen<'_>) -> Vec<Line<'static>> {
    let moment = app.moment().map(|moment| moment_banner(app, pen, moment));
    let banner = |text: String| Line::styled(text, pen.theme.banner);
    let told = moment.into_iter().chain(trouble(app, pen));
    let lab = app.lab().into_iter();
    let lab = lab.flat_map(|lab| [lab.drill_reminder(pen.keys), lab.reminder(pen.keys)]).flatten();
    told.chain(lab).map(banner).take(2).collect()
}

/// Which moment is looked at, and what is missed by that.
fn moment_banner(app: &App, pen: &Pen<'_>, moment: &Moment) -> String {
    let time = pen.time_of_day(moment.now);
    if let Some(about) = app.history().replayed() {
        return replay_banner(app, pen, about, moment);
    }
    let events = fmt::count(app.panes().events.log().unseen(), "event");
    if !moment.past {
        let updates = fmt::count(moment.missed, "update");
        let age = pen.age(moment.now);
        let key = pen.keys.key_of(Scope::Main, Action::Freeze);
        return format!(" FROZEN at {time}, {age} ago: missed {events} and {updates} ({key} goes on)");
    }
    pen.changes_within(std::time::Duration::from_secs(1));
    let ago = fmt::exactly(moment.now.age_at(pen.now));
    let key = |action| pen.keys.key_of(Scope::Main, action);
    let (forth, now) = (key(Action::Step(Step::Forth)), key(Action::Back));
    format!(" THEN {}, {ago} ago: {events} since ({forth} forward, {now} now)", &time[..time.len().min(8)])
}

/// Whose past is looked at, and how much of it is left.
fn replay_banner(app: &App, pen: &Pen<'_>, about: &About, moment: &Moment) -> String {
    let last = app.history().reach().1.unwrap_or(app.live().at);
    let left = fmt::exactly(moment.now.age_at(last));
    let key = |action| pen.keys.key_of(Scope::Main, action);
    let play = pen.keys.key_of(Scope::Replay, Action::Play);
    let where_in_it = match (app.history().is_playing(), last <= moment.now) {
        (true, _) => format!("{left} before the end, playing ({play} stops)"),
        (false, true) => format!("the end ({} back, {play} plays)", key(Action::Step(Step::Back))),
        (false, false) => format!("{left} before the end ({play} plays)"),
    };
    format!(
        " REPLAY {} of {} {}: {where_in_it}; written {} by punchdeck {}",
        &pen.time_of_day(moment.now)[..8.min(pen.time_of_day(moment.now).len())],
        clean(&about.name),
        about.peer_id.short(),
        fmt::date(about.made, pen.zone),
        clean(&about.program),
    )
}

fn trouble(app: &App, pen: &Pen<'_>) -> Option<String> {
    let node = &app.live().node;
    if let Some(gone) = app.gone() {
        return Some(gone.banner(&pen.keys.key_of(Scope::Main, Action::Leave)));
    }
    if let Some(age) = app.stale() {
        pen.changes_within(std::time::Duration::from_secs(1));
        return Some(format!(" STALE: the node has sent nothing for {}s", age.as_secs()));
    }
    if let Some(left) = app.stale_in() {
        pen.changes_within(left);
    }
    if let Some(first) = app.faults().first() {
        let more = app.faults().len() - 1;
        let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
        return Some(format!(" A TASK FAULTED: {}{more}", clean_line(first)));
    }
    match &node.cache.save {
        SaveState::Failed { detail, since } => {
            return Some(format!(" CACHE NOT SAVED for {}: {}", pen.age(*since), clean_line(detail)));
        }
        SaveState::Empty | SaveState::Saved { .. } | SaveState::Due => {}
    }
    if let Some(twice) = node.used_twice.first() {
        let whose = if twice.peer_id == node.peer_id {
            "our own".to_owned()
        } else {
            app.live().peer(&twice.peer_id).and_then(|row| row.name.as_deref()).map_or_else(
                || twice.peer_id.short(),
                |name| format!("{} {}", twice.peer_id.short(), clean(name)),
            )
        };
        let at = crate::model::twice_at(&twice.addresses);
        return Some(format!(" IDENTITY USED TWICE: {whose}, {at}: one of the two needs a key of its own"));
    }
    match &node.phase {
        Phase::Isolated { retry, rounds } => Some(format!(
            " ISOLATED: no links after {}, next try {}",
            fmt::count(u64::from(*rounds), "round"),
            pen.countdown(*retry)
        )),
        Phase::NoWay { why, since } => {
            let (state, age) = (why.state().to_uppercase(), pen.age(*since));
            Some(format!(" {state} for {age}: {}; nothing is tried until that ends", no_way(*why)))
        }
        Phase::NothingToDial => {
            Some(" NOTHING TO DIAL: no peer cached, no bootstrap address; waiting to be dialled".to_owned())
        }
        _ => {
            node.cache.set_aside.as_ref().map(|why| format!(" CACHE SET ASIDE at start: {}", clean_line(why)))
        }
    }
}

/// What keeps us from everybody.
fn no_way(why: SendTrouble) -> &'static str {
    match why {
        SendTrouble::NoRoute => "no route of this host leads to anybody we know",
        SendTrouble::Forbidden => "a firewall of this host, or its service's unit, lets no UDP out",
        SendTrouble::Other => "this host's system refuses to send",
    }
}

fn clean_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The panes by number, where not all are shown.
pub(super) fn tabs(focus: Pane, pen: &Pen<'_>, area: Rect, buf: &mut Buffer) {
    // Each has its number, a space, and one on either side.
    let room = usize::from(area.width).saturating_sub(4 * Pane::ALL.len());
    let fits = |most: usize| Pane::ALL.iter().map(|p| p.title().len().min(most)).sum::<usize>() <= room;
    let most = [usize::MAX, 4].into_iter().find(|most| fits(*most));
    let (mut spans, mut x) = (Vec::new(), area.x);
    for &pane in Pane::ALL {
        let focused = pane == focus;
        // Where there is room for no names, there is for the one that matters.
        let most = most.unwrap_or(if focused { usize::MAX } else { 0 });
        let name: String = pane.title().chars().take(most).collect();
        let label = format!("{} {name}", pane.number());
        let label = label.trim_end();
        let width = u16::try_from(label.len() + 2).unwrap_or(0);
        pen.mark(Rect { x, width, ..area }.intersection(area), Spot::Pane(pane));
        x += width;
        spans.push(if focused {
            Span::styled(format!("[{label}]"), pen.theme.accent)
        } else {
            Span::styled(format!(" {label} "), pen.theme.dim)
        });
    }
    buf.set_line(area.x, area.y, &Line::from(spans), area.width);
}

/// What is typed, what runs, what came of it.
pub(super) fn message(app: &App, pen: &Pen<'_>, area: Rect, buf: &mut Buffer) {
    let theme = pen.theme;
    let mut spans = Vec::new();
    if let Some(prompt) = app.prompt() {
        prompt_line(app, pen, prompt, area, buf);
        return;
    }
    let running: Vec<_> = app.commands().running().iter().filter(|r| !r.is_question()).collect();
    if let Some(first) = running.first() {
        let more = if running.len() > 1 { format!(" and {} more", running.len() - 1) } else { String::new() };
        let text = format!(" ◐ {} runs, {}{more}  ", first.describe(), pen.age(first.since));
        spans.push(Span::styled(text, theme.accent));
    }
    if let Some(message) = app.commands().message() {
        let (mark, style) = match message.tone {
            Tone::Good => ("✓", theme.good),
            Tone::Nothing => ("─", theme.dim),
            Tone::Warn => ("!", theme.warn),
            Tone::Bad => ("✗", theme.bad),
            Tone::Info => (" ", Style::new()),
        };
        let time = pen.time_of_day(message.at);
        spans.push(Span::styled(format!(" {} ", &time[..time.len().min(8)]), theme.dim));
        spans.push(Span::styled(format!("{mark} {}", clean_line(&message.text)), style));
    }
    frame::put(buf, (area.x, area.y), &Line::from(spans), area.width);
}

/// The filter while it is typed: what cannot be read is marked, with the reason
/// behind it.
fn prompt_line(app: &App, pen: &Pen<'_>, prompt: &Prompt, area: Rect, buf: &mut Buffer) {
    let theme = pen.theme;
    let filtered = app.panes().filtered(prompt.of());
    let (passing, all) = filtered.passing();
    let count = format!("  {passing} of {all}");
    let head = match prompt.of() {
        Filtered::Peers => " filter / ",
        Filtered::Events => " events / ",
        Filtered::Lines => " log / ",
    };
    let room = usize::from(area.width).saturating_sub(count.len() + 12);
    let wrong = filtered.wrong();
    let mut spans = vec![Span::styled(head, theme.accent)];
    spans.extend(frame::typed_text(pen, prompt.line(), room, wrong.map(|wrong| wrong.at.clone()), true));
    spans.push(Span::styled(count, theme.dim));
    if !prompt.candidates().is_empty() {
        spans.push(Span::styled(format!("  {}", prompt.candidates().join("  ")), theme.dim));
    } else if let Some(wrong) = wrong {
        spans.push(Span::styled(format!("  ✗ {}", wrong.why), theme.bad));
    }
    frame::put(buf, (area.x, area.y), &Line::from(spans), area.width);
}
