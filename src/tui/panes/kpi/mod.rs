//! Rates and times of our attempts, and what the specification wants of them.
//! Every rate shows what it is out of.

mod chart;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::component::{Component, PaneAction};
use crate::core::kpi::FEW;
use crate::model::{Criterion, ReportingState, ReportingView, SaveState, Stamp, Unit};
use crate::tui::draw::{Drawn, Pen, frame};
use crate::tui::fmt;
use crate::tui::pane::Pane;

/// The pane.
#[derive(Debug, Default)]
pub(crate) struct Kpi {
    top: usize,
    /// How often it was turned to another span of time.
    span: usize,
}

impl Kpi {
    /// Turns to the next span of time.
    pub(crate) fn turn(&mut self) {
        self.span = self.span.wrapping_add(1);
    }

    /// The first line on the screen.
    #[cfg(test)]
    pub(crate) fn top(&self) -> usize {
        self.top
    }

    /// The chart of the span that was chosen.
    fn chart(&self, pen: &Pen<'_>, area: Rect) -> Vec<Line<'static>> {
        let kpi = &pen.shown.kpi;
        let since = kpi.since.unwrap_or(pen.shown.node.started);
        let series = chart::choose(&kpi.series, since, pen.now, self.span);
        let width = usize::from(area.width.saturating_sub(4));
        series.map_or_else(Vec::new, |series| chart::lines(pen, series, width, area.height >= TALL))
    }
}

impl Component for Kpi {
    fn on_action(&mut self, action: PaneAction) {
        self.top = action.scroll(self.top);
    }

    fn draw(&self, pen: &Pen<'_>, area: Rect, buf: &mut Buffer) -> Drawn {
        let right = match pen.shown.kpi.since.filter(|since| *since < pen.shown.node.started) {
            // Attempts count over restarts; the rest begins with the node.
            Some(since) => format!("attempts of the last {}", pen.age(since)),
            None => "since the start".to_owned(),
        };
        let lines = lines(pen, self.chart(pen, area));
        frame::scrolled(pen, (Pane::Kpi, &right), &lines, self.top, area, buf)
    }

    fn on_drawn(&mut self, drawn: Drawn) {
        self.top = drawn.top;
    }
}

/// From this height on the chart has a row for each path.
const TALL: u16 = 14;

fn lines(pen: &Pen<'_>, chart: Vec<Line<'static>>) -> Vec<Line<'static>> {
    let snapshot = pen.shown;
    let kpi = &snapshot.kpi;
    let gossip = &snapshot.gossip;
    let rate = match (kpi.rate, kpi.interval) {
        (Some(rate), Some(interval)) => format!(
            "{} of {} attempts  {:.1} % [{:.1}, {:.1}]{}",
            kpi.connected,
            kpi.attempts,
            rate * 100.0,
            interval.lo * 100.0,
            interval.hi * 100.0,
            if kpi.attempts < FEW { format!("  under {FEW}") } else { String::new() },
        ),
        _ => "- no attempt has ended".to_owned(),
    };
    let paths = format!(
        "direct {}  punched {}  relayed {}  unreached {}",
        kpi.direct, kpi.punched, kpi.relayed, kpi.unreached
    );
    let times = format!(
        "mean {}  p50 {}  p95 {}",
        fmt::millis(kpi.mean_connect_ms),
        fmt::millis(kpi.p50_ms),
        fmt::millis(kpi.p95_ms)
    );
    let known = if gossip.expected > 0 {
        format!("{} of {} records known by our links", gossip.known, gossip.expected)
    } else {
        "- no digest to compare with yet".to_owned()
    };
    let cache = &snapshot.node.cache;
    let save = match &cache.save {
        SaveState::Empty => "nothing to save yet".to_owned(),
        SaveState::Saved { at } => format!("saved {} ago", pen.age(*at)),
        SaveState::Due => "save due".to_owned(),
        SaveState::Failed { .. } => "NOT SAVED".to_owned(),
    };
    let stopped: u64 = snapshot.counters.0.values().sum();
    let mut lines = vec![
        frame::labelled(pen, "connected", rate),
        frame::labelled(pen, "1st link", paths),
        frame::labelled(pen, "to a link", times),
    ];
    lines.extend(chart);
    lines.push(frame::labelled(pen, "spread", known));
    // Which, stands in the gossip pane.
    let refused = format!("{stopped} refused, see {}", Pane::Gossip.number());
    let text = format!("{} known, {} tried, {save}; {refused}", cache.known, cache.tried);
    lines.push(frame::labelled(pen, "cache", text));
    lines.push(Line::default());
    lines.extend(criteria(pen));
    lines.extend(
        registry(&snapshot.reporting, |at| pen.countdown(at))
            .map(|text| frame::labelled(pen, "registry", text)),
    );
    lines
}

/// Least widths of what grows with the count: up to a hundred nothing moves, and
/// at 80 columns the last word finds its place.
const VALUE: usize = 6;
const OF: usize = 8;
const INTERVAL: usize = 12;

/// The criteria of the specification, and whether they are met here.
fn criteria(pen: &Pen<'_>) -> Vec<Line<'static>> {
    let snapshot = pen.shown;
    let spread = snapshot.gossip.propagation();
    let cells = Criterion::ALL.map(|criterion| {
        let judged = criterion.judge(&snapshot.kpi, Some(spread));
        let value = match judged.value {
            None => "-".to_owned(),
            Some(value) if judged.unit == Unit::Ms => fmt::millis(Some(value)),
            Some(value) => format!("{:.1} %", value * 100.0),
        };
        let interval = judged
            .interval
            .map(|[lo, hi]| format!("[{:.1}, {:.1}]", lo * 100.0, hi * 100.0))
            .unwrap_or_default();
        let (word, style) = match (judged.met, judged.n_too_small) {
            (None, _) => ("nothing yet", pen.theme.dim),
            (_, true) => ("n too small", pen.theme.dim),
            (Some(true), _) => ("✓ met", pen.theme.good),
            (Some(false), _) => ("✗ not met", pen.theme.warn),
        };
        let of = match judged.unit {
            Unit::Ms => format!("of {}", judged.denominator),
            Unit::Ratio => format!("{} of {}", judged.numerator, judged.denominator),
        };
        ([judged.title.to_owned(), value, of, interval, judged.target.to_owned()], word, style)
    });
    let width = |(i, least): (usize, usize)| {
        cells.iter().map(|(texts, ..)| texts[i].chars().count()).chain([least]).max().unwrap_or(least)
    };
    let [title_w, value_w, of_w, interval_w, target_w] =
        [(0, 0), (1, VALUE), (2, OF), (3, INTERVAL), (4, 0)].map(width);
    let line = |(texts, word, style): &([String; 5], &'static str, Style)| {
        let [title, value, of, interval, target] = texts;
        Line::from(vec![
            Span::styled(format!("{title:<title_w$} "), pen.theme.dim),
            Span::raw(format!("{value:>value_w$} {of:<of_w$} {interval:<interval_w$} ")),
            Span::styled(format!("{target:<target_w$} "), pen.theme.dim),
            Span::styled(*word, *style),
        ])
    };
    cells.iter().map(line).collect()
}

/// Reports to a registry; nothing where none is configured.
fn registry(reporting: &ReportingView, countdown: impl Fn(Stamp) -> String) -> Option<String> {
    let ReportingView { state, queued, taken, refused, dropped, trouble, .. } = reporting;
    let doing = match state {
        ReportingState::Off => return None,
        ReportingState::Waiting => String::new(),
        ReportingState::Sending => ", sending".to_owned(),
        ReportingState::Away { retry } => format!(", AWAY, again in {}", countdown(*retry)),
    };
    let why = trouble.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    let lost =
        if refused + dropped > 0 { format!(" refused {refused} dropped {dropped}") } else { String::new() };
    Some(format!("taken {taken} queued {queued}{lost}{doing}{why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reporting_shows_its_counts_and_why_the_registry_does_not_take_them() {
        let until = |at: Stamp| format!("{}s", (at.0 - 100_000) / 1000);
        assert_eq!(registry(&ReportingView::default(), until), None, "nobody configured one");
        let fine =
            ReportingView { state: ReportingState::Waiting, taken: 12, queued: 1, ..Default::default() };
        assert_eq!(registry(&fine, until).unwrap(), "taken 12 queued 1");
        let away = ReportingView {
            state: ReportingState::Away { retry: Stamp(108_000) },
            queued: 8192,
            dropped: 7,
            trouble: Some("Connection refused".into()),
            ..fine
        };
        assert_eq!(
            registry(&away, until).unwrap(),
            "taken 12 queued 8192 refused 0 dropped 7, AWAY, again in 8s: Connection refused"
        );
    }
}
