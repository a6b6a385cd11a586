//! Attempts over time as rows of bars. A part in which nobody was dialled is a
//! gap, not a zero; a part with attempts, none of them of that kind, is a dot.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::model::{KpiPoint, KpiSeries, Stamp, millis};
use crate::tui::draw::{Pen, frame};
use crate::tui::fmt;

/// The labels at the left, as those of the other lines.
const LABEL: usize = 10;
/// Room for a total or a time at the right.
const TOTAL: usize = 12;
/// Narrower than that a chart says nothing.
const LEAST: usize = 12;
/// Bars from the lowest to the highest.
const BARS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
/// The same where there is only ASCII.
const ASCII_BARS: [&str; 8] = ["_", "_", "-", "-", "=", "=", "#", "#"];

/// One column: what ended within one or more parts.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Column {
    direct: u64,
    punched: u64,
    relayed: u64,
    unreachable: u64,
    total_ms: f64,
}

impl Column {
    fn add(&mut self, point: &KpiPoint) {
        self.direct = self.direct.saturating_add(point.direct);
        self.punched = self.punched.saturating_add(point.punched);
        self.relayed = self.relayed.saturating_add(point.relayed);
        self.unreachable = self.unreachable.saturating_add(point.unreachable);
        self.total_ms += point.mean_connect_ms.unwrap_or(0.0) * point.connected as f64;
    }

    fn connected(&self) -> u64 {
        self.direct.saturating_add(self.punched).saturating_add(self.relayed)
    }

    fn attempts(&self) -> u64 {
        self.connected().saturating_add(self.unreachable)
    }

    fn mean_ms(&self) -> Option<f64> {
        (self.connected() > 0).then(|| self.total_ms / self.connected() as f64)
    }
}

/// The span as columns, oldest first, up to `now`.
struct Columns {
    all: Vec<Column>,
    /// Cells that each is wide.
    wide: usize,
    /// How long each is.
    length_ms: u64,
    /// When the first begins.
    from: Stamp,
    /// When the last ends.
    end: Stamp,
}

impl Columns {
    /// As many as there is room for.
    fn of(series: &KpiSeries, now: Stamp, room: usize) -> Self {
        let parts = series.parts.max(1) as usize;
        let merged = parts.div_ceil(room.max(1)).max(1);
        let count = parts.div_ceil(merged);
        let length_ms = series.part_ms.max(1).saturating_mul(merged as u64);
        let length = i64::try_from(length_ms).unwrap_or(i64::MAX);
        let end = Stamp(now.0.div_euclid(length).saturating_add(1).saturating_mul(length));
        let from = Stamp(end.0.saturating_sub(length.saturating_mul(i64::try_from(count).unwrap_or(0))));
        let mut columns = vec![Column::default(); count];
        for point in &series.points {
            let into = usize::try_from(point.from.0.saturating_sub(from.0).div_euclid(length)).ok();
            if let Some(column) = into.and_then(|at| columns.get_mut(at)) {
                column.add(point);
            }
        }
        Self { all: columns, wide: (room / count).clamp(1, 2), length_ms, from, end }
    }

    fn sum(&self) -> Column {
        let mut sum = Column::default();
        for c in &self.all {
            sum.direct = sum.direct.saturating_add(c.direct);
            sum.punched = sum.punched.saturating_add(c.punched);
            sum.relayed = sum.relayed.saturating_add(c.relayed);
            sum.unreachable = sum.unreachable.saturating_add(c.unreachable);
            sum.total_ms += c.total_ms;
        }
        sum
    }
}

/// What a row counts.
type Count = fn(&Column) -> u64;

/// A row of bars: `None` is a gap.
fn bars(pen: &Pen<'_>, values: impl Iterator<Item = Option<f64>>, most: f64, wide: usize) -> String {
    let bars = if pen.theme.ascii { ASCII_BARS } else { BARS };
    let cell = |value: Option<f64>| match value {
        None => " ",
        Some(value) if value <= 0.0 => "·",
        Some(value) => {
            let level = (value / most.max(f64::MIN_POSITIVE) * 8.0).ceil() as usize;
            bars[level.clamp(1, 8) - 1]
        }
    };
    values.map(|value| cell(value).repeat(wide)).collect()
}

fn row(pen: &Pen<'_>, label: &str, bars: String, total: &str, style: Style) -> Line<'static> {
    Line::from(vec![
        Span::styled(format!("{label:<LABEL$}"), pen.theme.dim),
        Span::styled(bars, style),
        Span::raw(format!("{total:>TOTAL$}")),
    ])
}

/// The chart of a span, in `width` cells: four rows by path where it may be
/// `tall`, else one of all attempts. Empty where there is no room for it.
pub(crate) fn lines(pen: &Pen<'_>, series: &KpiSeries, width: usize, tall: bool) -> Vec<Line<'static>> {
    let room = width.saturating_sub(LABEL + TOTAL);
    if room < LEAST {
        return Vec::new();
    }
    let columns = Columns::of(series, pen.now, room);
    if !series.points.is_empty() && pen.running {
        pen.changes_within(pen.now.age_at(columns.end));
    }
    let sum = columns.sum();
    let of = |f: Count| move |c: &Column| (c.attempts() > 0).then(|| f(c) as f64);
    let most = |f: Count| columns.all.iter().map(f).max().unwrap_or(0);
    let counted = |label: &str, f: Count, most: u64, style: Style| {
        let bars = bars(pen, columns.all.iter().map(of(f)), most as f64, columns.wide);
        row(pen, label, bars, &f(&sum).to_string(), style)
    };
    let mut lines = Vec::new();
    if tall {
        // One scale for all four, so that they can be compared.
        let kinds: [(&str, Count, Style); 4] = [
            ("direct", |c| c.direct, Style::new()),
            ("punched", |c| c.punched, Style::new()),
            ("relayed", |c| c.relayed, Style::new()),
            ("failed", |c| c.unreachable, pen.theme.bad),
        ];
        let most = kinds.iter().map(|(_, f, _)| most(*f)).max().unwrap_or(0);
        let per = fmt::span(columns.length_ms);
        let all = fmt::span(columns.length_ms.saturating_mul(columns.all.len() as u64));
        let text = format!("last {all}, most in {per}: {most}; a gap is no attempt");
        lines.push(frame::labelled(pen, "over time", text));
        lines.extend(kinds.map(|(label, f, style)| counted(label, f, most, style)));
    } else {
        lines.push(counted("attempts", Column::attempts, most(Column::attempts), Style::new()));
    }
    let slowest = columns.all.iter().filter_map(Column::mean_ms).fold(0.0, f64::max);
    let times = bars(pen, columns.all.iter().map(Column::mean_ms), slowest, columns.wide);
    let slowest =
        if sum.connected() > 0 { format!("max {}", fmt::millis(Some(slowest))) } else { "-".to_owned() };
    lines.push(row(pen, "mean time", times, &slowest, Style::new()));
    lines.push(axis(pen, &columns));
    lines
}

/// When the span begins, its middle and its end.
fn axis(pen: &Pen<'_>, columns: &Columns) -> Line<'static> {
    let width = columns.all.len() * columns.wide;
    let clock = |at: Stamp| {
        let text = pen.time_of_day(at);
        text[..text.len().min(5)].to_owned()
    };
    let middle = Stamp(i64::midpoint(columns.from.0, columns.end.0));
    let mut text = clock(columns.from);
    for (at, place) in [(middle, (width / 2).saturating_sub(2)), (columns.end, width.saturating_sub(5))] {
        if place > text.len() {
            text = format!("{text:<place$}{}", clock(at));
        }
    }
    Line::styled(format!("{:<LABEL$}{text}", ""), pen.theme.dim)
}

/// The span that shows most: the shortest one that goes back to when counting
/// began, at most the second. `chosen` turns through all of them.
pub(crate) fn choose(all: &[KpiSeries], since: Stamp, now: Stamp, chosen: usize) -> Option<&KpiSeries> {
    let counted = millis(since.age_at(now));
    let first = all.iter().take(2).position(|s| s.part_ms.saturating_mul(u64::from(s.parts)) >= counted);
    let first = first.unwrap_or(all.len().saturating_sub(1).min(1));
    all.get(first.wrapping_add(chosen) % all.len().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(from_s: i64, direct: u64, mean: f64) -> KpiPoint {
        KpiPoint {
            from: Stamp(from_s * 1000),
            attempts: direct + 1,
            connected: direct,
            direct,
            punched: 0,
            relayed: 0,
            unreachable: 1,
            mean_connect_ms: Some(mean),
        }
    }

    fn series(points: Vec<KpiPoint>) -> KpiSeries {
        KpiSeries { part_ms: 10_000, parts: 60, points }
    }

    #[test]
    fn a_narrow_chart_merges_parts_and_a_wide_one_draws_each_twice() {
        let series = series(vec![point(980, 3, 10.0), point(990, 1, 50.0), point(1_000, 5, 1.0)]);
        let now = Stamp(1_004_000);
        let wide = Columns::of(&series, now, 130);
        assert_eq!((wide.all.len(), wide.wide, wide.end), (60, 2, Stamp(1_010_000)));
        assert_eq!(wide.all[59].direct, 5);
        assert_eq!(wide.all[56], Column::default());
        let narrow = Columns::of(&series, now, 20);
        assert_eq!((narrow.all.len(), narrow.wide, narrow.length_ms), (20, 1, 30_000));
        assert_eq!(narrow.all[19].direct + narrow.all[18].direct, 9);
        assert_eq!(narrow.sum().attempts(), 12);
        let old = Columns::of(&series, Stamp(2_000_000), 60);
        assert_eq!(old.sum().attempts(), 0, "what is older than the span is not in it");
    }

    #[test]
    fn the_mean_of_merged_parts_weighs_each_by_its_connections() {
        let series = series(vec![point(990, 3, 10.0), point(1_000, 1, 50.0)]);
        let columns = Columns::of(&series, Stamp(1_019_000), 20);
        assert_eq!(columns.all.iter().filter_map(Column::mean_ms).collect::<Vec<_>>(), [20.0]);
    }

    #[test]
    fn the_span_goes_back_to_when_counting_began_and_can_be_turned() {
        let all = [10_000, 60_000, 1_440_000].map(|part_ms| KpiSeries { part_ms, parts: 60, points: vec![] });
        let part = |since_s: i64, chosen| {
            choose(&all, Stamp(0), Stamp(since_s * 1000), chosen).map(|s| s.part_ms / 1000)
        };
        assert_eq!([part(30, 0), part(601, 0), part(90_000, 0)], [Some(10), Some(60), Some(60)]);
        assert_eq!([part(30, 1), part(30, 2), part(30, 3)], [Some(60), Some(1440), Some(10)]);
        assert!(choose(&[], Stamp(0), Stamp(0), 5).is_none());
    }

    #[test]
    fn a_series_that_no_console_would_have_written_does_no_harm() {
        for (part_ms, parts) in [(0, 0), (1, 1), (1 << 63, 2), (u64::MAX, u32::MAX >> 16)] {
            let many = KpiPoint { direct: u64::MAX, punched: u64::MAX, unreachable: 9, ..point(0, 1, 1.0) };
            let series = KpiSeries { part_ms, parts, points: vec![many, many] };
            for room in [LEAST, 40, 200] {
                let columns = Columns::of(&series, Stamp(1_000), room);
                assert!(columns.sum().attempts() >= columns.sum().direct, "{part_ms} {parts}");
            }
            assert!(choose(&[series], Stamp(0), Stamp(5), usize::MAX).is_some());
        }
    }
}
