//! Rates and times of attempts. The one place where they are defined.
//!
//! An attempt counts once, for its dialler, when it ended connected or
//! unreachable; one that was called off counts nowhere.

use std::collections::VecDeque;

use crate::model::{Attempt, AttemptOutcome, Interval, KpiView, Path};

/// Connect times kept for the percentiles.
const TIMES_KEPT: usize = 4096;
/// The normal quantile of a 95 % interval.
const Z: f64 = 1.959_963_984_540_054;

/// The Wilson score interval of a rate at 95 %; `None` without observations.
pub fn wilson(successes: u64, n: u64) -> Option<Interval> {
    if n == 0 {
        return None;
    }
    let (n, p) = (n as f64, successes as f64 / n as f64);
    let z2 = Z * Z;
    let centre = p + z2 / (2.0 * n);
    let spread = Z * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    let norm = 1.0 + z2 / n;
    Some(Interval {
        lo: ((centre - spread) / norm).clamp(0.0, 1.0),
        hi: ((centre + spread) / norm).clamp(0.0, 1.0),
    })
}

/// Counts attempts as they end.
#[derive(Debug, Default)]
pub struct Kpi {
    direct: u64,
    punched: u64,
    relayed: u64,
    unreachable: u64,
    total_ms: f64,
    times: VecDeque<u64>,
}

impl Kpi {
    /// Takes an ended attempt.
    pub fn record(&mut self, attempt: &Attempt) {
        match (attempt.outcome, attempt.path) {
            (Some(AttemptOutcome::Connected), Some(path)) => {
                match path {
                    Path::Direct => self.direct += 1,
                    Path::Punched => self.punched += 1,
                    Path::Relayed => self.relayed += 1,
                }
                let ms = attempt.elapsed_ms.unwrap_or(0);
                self.total_ms += ms as f64;
                if self.times.len() == TIMES_KEPT {
                    self.times.pop_front();
                }
                self.times.push_back(ms);
            }
            (Some(AttemptOutcome::Unreachable), _) => self.unreachable += 1,
            _ => {}
        }
    }

    /// As it is shown.
    pub fn view(&self) -> KpiView {
        let connected = self.direct + self.punched + self.relayed;
        let attempts = connected + self.unreachable;
        let mut sorted: Vec<u64> = self.times.iter().copied().collect();
        sorted.sort_unstable();
        KpiView {
            attempts,
            connected,
            rate: (attempts > 0).then(|| connected as f64 / attempts as f64),
            interval: wilson(connected, attempts),
            direct: self.direct,
            punched: self.punched,
            relayed: self.relayed,
            unreachable: self.unreachable,
            mean_connect_ms: (connected > 0).then(|| self.total_ms / connected as f64),
            p50_ms: percentile(&sorted, 0.50),
            p95_ms: percentile(&sorted, 0.95),
        }
    }
}

/// The nearest-rank percentile of sorted values.
fn percentile(sorted: &[u64], p: f64) -> Option<f64> {
    let rank = (p * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).map(|ms| *ms as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AttemptId, Cause, Stamp};

    fn attempt(outcome: AttemptOutcome, path: Option<Path>, ms: u64) -> Attempt {
        Attempt {
            id: AttemptId(1),
            peer_id: None,
            target: None,
            cause: Cause::Operator,
            started: Stamp(0),
            outcome: Some(outcome),
            path,
            elapsed_ms: Some(ms),
            stages: Vec::new(),
            next: None,
        }
    }

    #[test]
    fn before_the_first_attempt_nothing_is_known() {
        let view = Kpi::default().view();
        assert_eq!((view.attempts, view.rate, view.interval, view.p50_ms), (0, None, None, None));
    }

    #[test]
    fn attempts_that_were_called_off_count_nowhere() {
        let mut kpi = Kpi::default();
        kpi.record(&attempt(AttemptOutcome::Abandoned, Some(Path::Direct), 5));
        assert_eq!(kpi.view().attempts, 0);
    }

    #[test]
    fn rates_paths_and_times_add_up() {
        let mut kpi = Kpi::default();
        for ms in 1..=40 {
            kpi.record(&attempt(AttemptOutcome::Connected, Some(Path::Direct), ms));
        }
        kpi.record(&attempt(AttemptOutcome::Connected, Some(Path::Punched), 1000));
        kpi.record(&attempt(AttemptOutcome::Unreachable, None, 30_000));
        let view = kpi.view();
        assert_eq!((view.attempts, view.connected, view.direct, view.punched), (42, 41, 40, 1));
        assert_eq!((view.p50_ms, view.p95_ms), (Some(21.0), Some(39.0)));
        assert_eq!(view.mean_connect_ms, Some((820.0 + 1000.0) / 41.0));
        // The figures of the screen sketch.
        let interval = view.interval.unwrap();
        assert!((interval.lo - 0.877).abs() < 5e-4 && (interval.hi - 0.996).abs() < 5e-4, "{interval:?}");
    }

    #[test]
    fn an_interval_stays_between_nothing_and_everything() {
        let all = wilson(5, 5).unwrap();
        assert!(all.lo > 0.5 && all.lo < 0.6 && all.hi <= 1.0);
        let none = wilson(0, 5).unwrap();
        assert!(none.lo >= 0.0 && none.hi < 0.5);
    }
}
