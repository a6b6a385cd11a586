//! A line of a log, as it is shown and sent.

use serde::{Deserialize, Serialize};

use super::Stamp;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Something is broken.
    Error,
    /// Something wants watching.
    Warn,
    /// Just so you know.
    Info,
    /// For whoever looks for a fault.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When, by the wall clock.
    pub at: Stamp,
    /// How much it matters.
    pub level: LogLevel,
    /// The last part of the module it comes from.
    pub target: String,
    /// What it says, in one line without control characters.
    pub text: String,
}
