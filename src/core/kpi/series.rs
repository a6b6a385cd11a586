//! Attempts over time: a span in equal parts, each counted like everything else.

use std::collections::VecDeque;
use std::time::Duration;

use super::{EndedAttempt, Tally};
use crate::model::{KpiPoint, KpiSeries, Stamp};

/// Parts of a span that a node shows: as many as a narrow terminal has columns
/// for.
pub const PARTS: u32 = 60;
/// The parts of the spans that a node shows: ten minutes, an hour and a day.
const LENGTHS: [Duration; 3] =
    [Duration::from_secs(10), Duration::from_secs(60), Duration::from_secs(24 * 60)];

/// A span of time in equal parts, oldest first.
#[derive(Debug)]
pub struct Series {
    from: Stamp,
    part: Duration,
    parts: Vec<Tally>,
}

impl Series {
    /// A span of that length that ends at a moment.
    pub fn ending(end: Stamp, span: Duration, parts: u32) -> Self {
        let part = (span / parts.max(1)).max(Duration::from_millis(1));
        let parts = vec![Tally::default(); parts as usize];
        Self { from: end.before(span), part, parts }
    }

    /// The part in which a moment lies; `None` if that is before the span. What
    /// is after it counts as its last.
    pub fn part_at(&mut self, at: Stamp) -> Option<&mut Tally> {
        let into = u64::try_from(at.0.checked_sub(self.from.0)?).ok()?;
        let place = usize::try_from(into / crate::model::millis(self.part)).unwrap_or(usize::MAX);
        let last = self.parts.len().checked_sub(1)?;
        self.parts.get_mut(place.min(last))
    }

    /// What was counted in each part.
    pub fn points(&self) -> impl Iterator<Item = KpiPoint> {
        self.parts.iter().zip(0u32..).map(|(tally, n)| {
            let view = tally.view();
            KpiPoint {
                from: self.from.after(self.part * n),
                attempts: view.attempts,
                connected: view.connected,
                direct: view.direct,
                punched: view.punched,
                relayed: view.relayed,
                unreachable: view.unreachable,
                mean_connect_ms: view.mean_connect_ms,
            }
        })
    }
}

/// A node's own attempts over each span. Parts begin at whole multiples of their
/// length, so they stand still while time goes on; those in which nothing ended
/// are left out.
pub(super) fn of_history(attempts: &VecDeque<EndedAttempt>, now: Stamp) -> Vec<KpiSeries> {
    LENGTHS
        .iter()
        .map(|part| {
            let length = i64::try_from(part.as_millis()).unwrap_or(i64::MAX);
            let end = Stamp((now.0.div_euclid(length) + 1) * length);
            let mut series = Series::ending(end, *part * PARTS, PARTS);
            for ended in attempts {
                if let Some(tally) = series.part_at(ended.at) {
                    tally.count(ended);
                }
            }
            let points = series.points().filter(|point| point.attempts > 0).collect();
            KpiSeries { part_ms: crate::model::millis(*part), parts: PARTS, points }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AttemptOutcome, Path};

    fn ended(at_s: i64, path: Option<Path>) -> EndedAttempt {
        let outcome = if path.is_some() { AttemptOutcome::Connected } else { AttemptOutcome::Unreachable };
        EndedAttempt { at: Stamp(at_s * 1000), outcome, path, elapsed_ms: 40, moved: None, again: false }
    }

    #[test]
    fn parts_begin_at_whole_multiples_and_what_has_no_attempt_is_no_point() {
        let attempts = [(0, None), (995, Some(Path::Direct)), (1_001, Some(Path::Relayed)), (1_009, None)]
            .map(|(at, path)| ended(at, path));
        let series = of_history(&attempts.into(), Stamp(1_012_345));
        assert_eq!(series.iter().map(|s| s.part_ms).collect::<Vec<_>>(), [10_000, 60_000, 1_440_000]);
        let short: Vec<_> = series[0].points.iter().map(|p| (p.from.0, p.attempts, p.relayed)).collect();
        assert_eq!(short, [(990_000, 1, 0), (1_000_000, 2, 1)], "the first was before the span");
        assert_eq!(series[0].points[0].mean_connect_ms, Some(40.0));
        assert_eq!(series[2].points.iter().map(|p| p.attempts).sum::<u64>(), 4);
    }

    #[test]
    fn a_part_has_its_beginning_and_not_its_end() {
        let mut series = Series::ending(Stamp(60_000), Duration::from_secs(60), 60);
        for (at, place) in [(0, 0), (999, 0), (1_000, 1), (59_999, 59), (60_000, 59), (99_000, 59)] {
            series.part_at(Stamp(at)).unwrap().unreachable(1, false);
            let points: Vec<_> = series.points().collect();
            assert!(points[place].unreachable > 0 && points[place].from.0 <= at, "{at}");
        }
        assert!(series.part_at(Stamp(-1)).is_none());
    }
}
