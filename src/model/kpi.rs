//! How attempts fared, as it is shown and told.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Stamp;

/// Below that many observations a rate says little: with 29 of 29 the interval
/// still reaches down to 88 %.
pub const FEW: u64 = 30;

/// A Wilson score interval; in JSON `[lo, hi]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "[f64; 2]", into = "[f64; 2]")]
pub struct Interval {
    /// Lower end.
    pub lo: f64,
    /// Upper end.
    pub hi: f64,
}

impl From<[f64; 2]> for Interval {
    fn from([lo, hi]: [f64; 2]) -> Self {
        Self { lo, hi }
    }
}

impl From<Interval> for [f64; 2] {
    fn from(interval: Interval) -> Self {
        [interval.lo, interval.hi]
    }
}

/// Rates and times of attempts: the one form of them, wherever they are shown or told.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Attempts that ended, the abandoned ones left out.
    pub attempts: u64,
    /// How many connected.
    pub connected: u64,
    /// Connected over attempts; `None` before the first.
    pub rate: Option<f64>,
    /// Its 95 % Wilson interval.
    pub interval: Option<Interval>,
    /// Connected directly.
    pub direct: u64,
    /// Connected by a punch.
    pub punched: u64,
    /// Connected through a relay.
    pub relayed: u64,
    /// Not connected.
    pub unreachable: u64,
    /// Spans in which a peer was not reached, however often it was tried in each.
    #[serde(default)]
    pub unreached: u64,
    /// Of those connected through a relay, how many moved off it later.
    #[serde(default)]
    pub moved: Moved,
    /// Mean time to a usable link, in milliseconds.
    pub mean_connect_ms: Option<f64>,
    /// Median of the times, in milliseconds.
    pub p50_ms: Option<f64>,
    /// 95th percentile of the times, in milliseconds.
    pub p95_ms: Option<f64>,
}

impl Figures {
    /// Whether there are too few attempts for the rate to say much.
    pub fn are_few(&self) -> bool {
        self.attempts < FEW
    }
}

/// A node's own figures, as they are shown.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct KpiView {
    /// Of the attempts that are remembered.
    #[serde(flatten)]
    pub figures: Figures,
    /// Since when they count, over restarts.
    #[serde(default)]
    pub since: Option<Stamp>,
    /// The same over time, the shortest span first.
    #[serde(default)]
    pub series: Arc<Vec<KpiSeries>>,
}

/// Attempts over a span of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KpiSeries {
    /// How long a part is.
    pub part_ms: u64,
    /// How many parts the span has.
    pub parts: u32,
    /// The parts in which attempts ended, oldest first.
    pub points: Vec<KpiPoint>,
}

/// One part of a span.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct KpiPoint {
    /// When it begins.
    pub from: Stamp,
    /// Attempts that ended in it.
    pub attempts: u64,
    /// How many connected.
    pub connected: u64,
    /// Directly.
    pub direct: u64,
    /// By a punch.
    pub punched: u64,
    /// Through a relay.
    pub relayed: u64,
    /// Not connected.
    pub unreachable: u64,
    /// Mean time to a usable link.
    pub mean_connect_ms: Option<f64>,
}

/// Attempts that ended relayed and whose link left the relay later: they count
/// as relayed, and here too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// To a direct path.
    pub direct: u64,
    /// To a punched one.
    pub punched: u64,
}

/// How far what nodes know has spread: of the records older than 10 s, how many
/// stood in each linked peer's last digest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Propagation {
    /// How many stood there.
    pub known: u64,
    /// How many could have.
    pub expected: u64,
}

/// A criterion of the specification, with what was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CriterionView {
    /// Its name: `connectivity`, `direct`, `punched`, `relayed`, `connect_time`
    /// or `propagation`.
    pub name: &'static str,
    /// The same for people.
    pub title: &'static str,
    /// What is divided by what.
    pub definition: &'static str,
    /// What is divided; milliseconds for a time.
    pub numerator: u64,
    /// By what.
    pub denominator: u64,
    /// The quotient; `None` without a denominator.
    pub value: Option<f64>,
    /// `ratio`, or `ms`.
    pub unit: &'static str,
    /// The 95 % Wilson interval of a ratio; `None` for a time.
    pub interval: Option<Interval>,
    /// The target in words.
    pub target: &'static str,
    /// The target as a number, in the same unit.
    pub target_value: f64,
    /// Whether the value is on the right side of the target; `None` without one.
    pub met: Option<bool>,
    /// Whether the denominator is too small for the value to say much.
    pub n_too_small: bool,
}

/// The fields of `ctl kpi`, which `/api/v1/kpi` has too.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KpiAnswer {
    /// Rates and times.
    #[serde(flatten)]
    pub figures: Figures,
    /// How far records have spread; `None` where nobody compared yet.
    pub propagation: Option<Propagation>,
    /// The specification's criteria, in its order.
    pub criteria: Vec<CriterionView>,
}
