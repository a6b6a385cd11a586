//! How a test of paths is drawn: how far it is, and the paths beside each other.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr as _;

use super::{FOR_MS, TestView};
use crate::model::{MEASURES, PathTest, Reason, TestPhase, TestedPath, ellipsize};
use crate::tui::bindings::{Action, Scope};
use crate::tui::draw::{Drawn, Pen, frame};
use crate::tui::fmt;

/// As wide as three paths need.
const WIDTH: u16 = 80;
/// Where the names of the measures stand.
const LABEL: usize = 12;
/// What a path needs, with the gap before it.
const COLUMN: usize = 20;
/// How long the bar is at most.
const BAR: usize = 40;
/// What the words of the table mean.
const LEGEND: &str = "Round trips and loss are those of small datagrams on the quiet path, loss both ways \
                      together with its 95 % interval. Up is towards the peer. mtu: bytes of UDP payload \
                      that pass both ways.";

pub(super) fn draw(view: &TestView, pen: &Pen<'_>, body: Rect, buf: &mut Buffer) -> Drawn {
    let key = |action| pen.keys.key_of(Scope::Test, action);
    let does = if view.may_call_off() {
        format!("{} calls it off", key(Action::EndTest))
    } else {
        format!("{} tests again, {} closes", key(Action::Test), key(Action::Close))
    };
    let title = format!("Path test ─ {} ─ {does}", pen.call(view.peer));
    let width = WIDTH.min(body.width);
    let room = usize::from(width.saturating_sub(4));
    let mut lines = Vec::new();
    if let Some(gone) = pen.gone {
        lines.push(Line::styled(format!("{}: this is what it last said.", gone.reason()), pen.theme.warn));
    }
    let (mark, text, style) = standing(view, pen);
    lines.extend(frame::flow(vec![Span::styled(format!("{mark} "), style)], &[(&text, style)], room, 2));
    if let Some(test) = &view.test {
        lines.extend(bar(test, room).map(|bar| Line::styled(bar, pen.theme.accent)));
        lines.push(Line::default());
        lines.extend(table(pen, test, room));
        lines.extend(
            reasons(test)
                .into_iter()
                .flat_map(|text| frame::flow(Vec::new(), &[(&text, pen.theme.warn)], room, 2)),
        );
        lines.push(Line::default());
        lines.extend(frame::flow(Vec::new(), &[(LEGEND, pen.theme.dim)], room, 0));
    }
    frame::popup(pen, &title, &lines, view.top, (width, body), buf)
}

/// How it stands with the test, in a sentence.
fn standing(view: &TestView, pen: &Pen<'_>) -> (&'static str, String, Style) {
    let (accent, warn) = (pen.theme.accent, pen.theme.warn);
    if let Some(why) = &view.failure {
        return ("✗", format!("not tested: {why}"), warn);
    }
    let Some(test) = &view.test else {
        let each = fmt::span(FOR_MS.into());
        return ("◐", format!("asking for a test of each path that stands, {each} each…"), accent);
    };
    let Some(ended) = test.ended else {
        let text = match test.under_way() {
            _ if view.called_off => "calling it off…".to_owned(),
            Some((at, path)) => {
                let which = format!("path {} of {}, {}", at + 1, test.paths.len(), path.name());
                format!("{which}: {}{}", path.phase.name(), left(test, path))
            }
            None => "between two paths".to_owned(),
        };
        return ("◐", text, accent);
    };
    let age = pen.age(ended);
    let called_off = test.paths.iter().any(|path| path.reason == Some(Reason::CalledOff));
    match (test.has_result(), called_off) {
        (_, true) => ("─", format!("called off {age} ago; this was measured until then"), warn),
        (true, _) => (
            "✓",
            format!("measured {age} ago, each path for {}", fmt::span(test.for_ms.into())),
            pen.theme.good,
        ),
        (false, _) => ("✗", format!("nothing was measured, {age} ago"), pen.theme.bad),
    }
}

/// How long a path takes yet.
fn left(test: &PathTest, path: &TestedPath) -> String {
    if path.phase == TestPhase::Asking {
        return String::new();
    }
    let left = f64::from(test.for_ms) * f64::from(1.0 - path.progress.clamp(0.0, 1.0)) / 1e3;
    format!(", {} s left", left.ceil())
}

/// How much of all of it is over.
fn bar(test: &PathTest, room: usize) -> Option<String> {
    let (at, path) = test.under_way()?;
    let done = (at as f64 + f64::from(path.progress.clamp(0.0, 1.0))) / test.paths.len() as f64;
    let length = BAR.min(room.saturating_sub(6));
    let full = (done * length as f64) as usize;
    Some(format!("{}{} {:.0} %", "█".repeat(full), "·".repeat(length - full), done * 100.0))
}

/// The paths beside each other, as many as there is room for; further ones below.
fn table(pen: &Pen<'_>, test: &PathTest, room: usize) -> Vec<Line<'static>> {
    let beside = (room.saturating_sub(LABEL) / COLUMN).max(1);
    let column = COLUMN.min(room.saturating_sub(LABEL));
    let mut lines = Vec::new();
    for paths in test.paths.chunks(beside) {
        if !lines.is_empty() {
            lines.push(Line::default());
        }
        let mut row = |label: &str, style: Style, value: &dyn Fn(&TestedPath) -> String| {
            let mut line = Line::from(Span::styled(format!("{label:<LABEL$}"), pen.theme.dim));
            for path in paths {
                let text = ellipsize(&value(path), column.saturating_sub(1), '…');
                let pad = " ".repeat(column.saturating_sub(text.width()));
                line.push_span(Span::styled(pad + &text, style));
            }
            lines.push(line);
        };
        row("", pen.theme.strong, &TestedPath::name);
        row("", pen.theme.dim, &|path| if path.in_use { "in use" } else { "" }.to_owned());
        row("state", Style::new(), &|path| state(path).to_owned());
        for (at, name) in MEASURES.iter().enumerate() {
            row(name, Style::new(), &|path| path.measures()[at].take().unwrap_or_else(|| "-".to_owned()));
        }
    }
    lines
}

/// Where the test of a path stands, in a word or two.
fn state(path: &TestedPath) -> &'static str {
    match (path.phase, &path.reason, path.rtt) {
        (TestPhase::Over, Some(_), None) => "not tested",
        (TestPhase::Over, Some(_), Some(_)) => "not to its end",
        (phase, ..) => phase.name(),
    }
}

/// Why paths were not tested, or not to their end: once where it is the same for all.
fn reasons(test: &PathTest) -> Vec<String> {
    let of = |path: &TestedPath| path.reason.as_ref().map(ToString::to_string);
    let first = test.paths.first().and_then(of);
    if test.paths.iter().all(|path| of(path) == first) {
        return first.into_iter().collect();
    }
    let each = test.paths.iter().filter_map(|path| Some(format!("{}: {}", path.name(), of(path)?)));
    each.collect()
}
