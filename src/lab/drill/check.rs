//! What a drill's measurements must be.

use serde::{Deserialize, Serialize};

/// What a measurement must be.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Check {
    /// In words.
    pub name: String,
    /// Which measurement.
    pub value: String,
    /// At most.
    pub max: Option<f64>,
    /// At least.
    pub min: Option<f64>,
    /// Of what.
    pub unit: Unit,
}

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Milliseconds.
    Ms,
    /// Seconds.
    S,
    /// A plain count.
    Count,
    /// 0 to 1.
    Ratio,
    /// Mebibytes.
    Mib,
    /// Times that a packet could have gone there and back.
    RoundTrips,
}

impl Unit {
    /// As it stands behind a number.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ms => "ms",
            Self::S => "s",
            Self::Count => "count",
            Self::Ratio => "ratio",
            Self::Mib => "MiB",
            Self::RoundTrips => "round trips",
        }
    }
}
