//! How attempts fared, as it is shown and told.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Stamp;

/// A Wilson score interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub lo: f64,
    /// Upper end.
    pub hi: f64,
}

/// Rates and times of attempts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct KpiView {
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
    /// Median.
    pub p50_ms: Option<f64>,
    /// 95th percentile.
    pub p95_ms: Option<f64>,
    /// Since when they count, over restarts; `None` where somebody else says so.
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

/// The specification's criteria, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Criterion {
    /// Attempts that connected.
    Connectivity,
    /// Connections that were direct.
    Direct,
    /// Connections that were punched.
    Punched,
    /// Connections that were relayed.
    Relayed,
    /// Time to a usable link.
    ConnectTime,
    /// Records that have spread.
    Propagation,
}

/// What a criterion is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A part of a whole, 0 to 1.
    Ratio,
    /// Milliseconds.
    Ms,
}

/// A criterion of the specification, with what was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CriterionView {
    /// Which.
    pub name: Criterion,
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
    /// What the value is measured in.
    pub unit: Unit,
    /// The 95 % Wilson interval of a ratio; `None` for a time.
    pub interval: Option<[f64; 2]>,
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
    /// Attempts that ended, the abandoned ones left out.
    pub attempts: u64,
    /// How many connected.
    pub connected: u64,
    /// Connected over attempts.
    pub rate: Option<f64>,
    /// Its 95 % Wilson interval.
    pub interval: Option<[f64; 2]>,
    /// Connected directly.
    pub direct: u64,
    /// Connected by a punch.
    pub punched: u64,
    /// Connected through a relay.
    pub relayed: u64,
    /// Not connected.
    pub unreachable: u64,
    /// Spans in which a peer was not reached, however often it was tried in each.
    pub unreached: u64,
    /// Of the relayed ones, how many moved off the relay later.
    pub moved: Moved,
    /// Mean time to a usable link.
    pub mean_connect_ms: Option<f64>,
    /// Median.
    pub p50_ms: Option<f64>,
    /// 95th percentile.
    pub p95_ms: Option<f64>,
    /// How far records have spread; `None` where nobody compared yet.
    pub propagation: Option<Propagation>,
    /// The specification's criteria, in its order.
    pub criteria: Vec<CriterionView>,
}
