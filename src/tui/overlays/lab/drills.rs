//! The drills: those there are, how far the running one is, each check with its
//! measured value as it comes, and the verdict.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::LabPanel;
use crate::tui::bindings::{Action, Keymap, LabKey, Scope};
use crate::tui::draw::{Drawn, Pen, frame};
use crate::tui::lab::{DrillAsk, DrillCheck, DrillInfo, DrillStage, DrillView};

/// Where what a drill is about begins.
const ABOUT: usize = 24;

/// The verdict of a drill that was called off, as a word.
const CALLED_OFF: &str = "called-off";

/// Rows that the list has at least, however much there is to say of a drill.
const LIST_MIN: usize = 4;

impl LabPanel {
    /// Draws the drills: what runs or ran stays in view, the
    /// list moves below it.
    pub(in crate::tui::overlays) fn draw_drills(&self, pen: &Pen<'_>, body: Rect, buf: &mut Buffer) -> Drawn {
        let width = 104.min(body.width);
        let text = usize::from(width.saturating_sub(4));
        let rows = usize::from(body.height.saturating_sub(2));
        let mut lines = match &self.view.drill {
            Some(drill) => progress(pen, drill, self.step_took(pen.at), text),
            None => {
                let note =
                    "A drill runs on a fleet of its own, built beside this one and taken down at its end.";
                frame::flow(Vec::new(), &[(note, pen.theme.dim)], text, 0)
            }
        };
        lines.push(Line::default());
        let (mut list, mut at, mut places) = (Vec::new(), 0, Vec::new());
        for (n, info) in self.view.drills.iter().enumerate() {
            let first = list.len();
            let size = self.size_of(&DrillAsk::plain(&info.name)).map(|size| format!("({size})"));
            list.extend(info_lines(pen, (info, &size.unwrap_or_default()), n == self.drill, text));
            places.push((first, list.len() - first, n));
            if n == self.drill {
                at = list.len();
            }
        }
        lines.truncate(rows.saturating_sub(LIST_MIN.min(list.len())));
        let room = rows.saturating_sub(lines.len());
        let skipped = at.saturating_sub(room);
        let above = lines.len();
        lines.extend(list.into_iter().skip(skipped).take(room));
        for (first, ..) in &mut places {
            // What was skipped lies above the first line, and is nowhere.
            *first = (*first + above).wrapping_sub(skipped);
        }
        places.retain(|(first, ..)| *first >= above && *first < lines.len());
        // The list may go on below.
        let (place, count) = (self.drill + 1, self.view.drills.len());
        let title =
            format!("Drills ─ {place} of {count} ─ {} closes", pen.keys.key_of(Scope::Drills, Action::Close));
        frame::popup(pen, &title, &lines, 0, (width, body), buf);
        frame::choices(pen, &places, (lines.len(), 0), (width, body));
        Drawn { rows: room, top: 0, below: 0 }
    }

    /// What runs while the overlay is closed.
    pub(crate) fn drill_reminder(&self, keys: &Keymap) -> Option<String> {
        let drill = self.view.drill.as_ref().filter(|drill| drill.is_running())?;
        let how_far = match &drill.stage {
            DrillStage::Running { step, of, .. } => format!("step {step} of {of}"),
            DrillStage::Building => "its fleet starts".to_owned(),
            _ => "everything is undone".to_owned(),
        };
        let key = keys.key_of(Scope::Main, Action::OpenDrills);
        Some(format!(" DRILL {}: {how_far} ({key} shows it)", drill.name))
    }

    /// How long the drill's step has run.
    fn step_took(&self, at: Duration) -> Duration {
        at.saturating_sub(self.step.1)
    }
}

fn info_lines(
    pen: &Pen<'_>,
    (info, size): (&DrillInfo, &str),
    chosen: bool,
    width: usize,
) -> Vec<Line<'static>> {
    let style = match (&info.unsupported, chosen) {
        (Some(_), _) => pen.theme.dim,
        (None, true) => pen.theme.strong,
        (None, false) => Style::new(),
    };
    let head = vec![
        Span::styled(if chosen { "▶ " } else { "  " }, pen.theme.accent),
        Span::styled(format!("{:<21} ", info.name), style),
    ];
    let kills = if info.kills { "(kills nodes: wants its name typed)" } else { "" };
    let why = info.unsupported.as_ref().map_or_else(String::new, |why| format!("(not here: {why})"));
    // Only the chosen one in full: the list is for choosing.
    if chosen {
        return frame::flow(
            head,
            &[
                (&info.about, Style::new()),
                (size, pen.theme.dim),
                (kills, pen.theme.warn),
                (&why, pen.theme.warn),
            ],
            width,
            ABOUT,
        );
    }
    let mut line = Line::from(head);
    let room = width.saturating_sub(ABOUT);
    line.push_span(Span::styled(crate::model::ellipsize(&info.about, room, '…'), pen.theme.dim));
    vec![line]
}

fn progress(pen: &Pen<'_>, drill: &DrillView, took: Duration, width: usize) -> Vec<Line<'static>> {
    let theme = pen.theme;
    let (glyph, style, text) = match &drill.stage {
        DrillStage::Building => ("◐", theme.accent, "its fleet starts".to_owned()),
        DrillStage::Running { step, of, .. } => ("◐", theme.accent, format!("step {step} of {of}")),
        DrillStage::Ending => ("◐", theme.accent, "everything is undone".to_owned()),
        DrillStage::Ended { passed, verdict, elapsed_s, .. } => {
            let (glyph, style) = match (*passed, verdict.as_str()) {
                (true, _) => ("✓", theme.good),
                (false, CALLED_OFF) => ("·", theme.warn),
                (false, _) => ("✗", theme.bad),
            };
            let undone = if verdict == CALLED_OFF { "" } else { ", all undone" };
            (glyph, style, format!("{} after {elapsed_s:.1} s{undone}", verdict.replace('-', " ")))
        }
    };
    let mut lines = vec![Line::from(vec![
        Span::styled(format!("{glyph} {}", drill.name), style.patch(theme.strong)),
        Span::styled(format!(" on its own {}: ", drill.fleet), theme.dim),
        Span::styled(text, style),
    ])];
    match &drill.stage {
        DrillStage::Running { what, limit, .. } => {
            let clock = clock(pen, took, *limit);
            lines.extend(frame::flow(
                vec![Span::raw("  ")],
                &[(what, Style::new()), (&clock, theme.accent)],
                width,
                4,
            ));
        }
        DrillStage::Ended { reason: Some(reason), .. } => {
            lines.extend(frame::flow(vec![Span::raw("  ")], &[(reason, theme.warn)], width, 4));
        }
        _ => {}
    }
    let running = drill.is_running();
    for check in &drill.checks {
        let figures = figures(check, running);
        let (mark, style) = match (check.holds, &check.value, running) {
            (true, ..) => ("✓ ok  ", theme.good),
            (false, None, true) => ("·     ", theme.dim),
            (false, ..) => ("✗ FAIL", theme.bad),
        };
        let head = vec![Span::styled(format!("  {mark} "), style)];
        let name = format!("{}:", check.name);
        lines.extend(frame::flow(head, &[(&name, theme.dim), (&figures, Style::new())], width, 11));
    }
    if drill.is_running() {
        let key = pen.keys.key_of(Scope::Drills, Action::Lab(LabKey::CallOff));
        lines.push(Line::from(vec![
            Span::styled(format!("  {key} "), theme.accent),
            Span::styled("calls it off and undoes what it did", theme.dim),
        ]));
    }
    lines
}

/// How long a step has run, and how long it may.
fn clock(pen: &Pen<'_>, took: Duration, limit: Option<Duration>) -> String {
    pen.changes_within(Duration::from_secs(1));
    match limit {
        Some(limit) => format!("({} s left)", limit.saturating_sub(took).as_secs_f64().ceil()),
        None => format!("({} s)", took.as_secs()),
    }
}

/// What was measured, and the limit.
fn figures(check: &DrillCheck, running: bool) -> String {
    let value = match (&check.value, running) {
        (Some(value), _) => value.as_str(),
        (None, true) => "not yet",
        (None, false) => "not measured",
    };
    format!("{value} ({})", check.limit)
}
