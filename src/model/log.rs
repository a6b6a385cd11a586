//! A line of a log, as it is shown and sent, and which lines are kept.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::VariantArray;

use super::Stamp;

/// How long a change of what a log keeps holds, unless somebody says otherwise.
pub const LOG_FOR: Duration = Duration::from_secs(10 * 60);
/// And how long at most: a log that is left loud fills disks.
pub const LOG_FOR_MAX: Duration = Duration::from_secs(24 * 3600);
/// Targets whose level is changed at a time; nobody looks at more.
pub const LOG_CHANGES_MAX: usize = 32;
/// The longest name of a target, in bytes.
const TARGET_MAX: usize = 128;

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

/// How fine the lines are that are kept; each keeps what those before it keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, VariantArray)]
#[serde(rename_all = "snake_case")]
pub enum LogDetail {
    /// None.
    Off,
    /// Errors.
    Error,
    /// Warnings, too.
    Warn,
    /// What is good to know, too.
    Info,
    /// What helps to find a fault, too.
    Debug,
    /// All of them.
    Trace,
}

impl LogDetail {
    /// All, the coarsest first.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// The word.
    pub fn name(self) -> &'static str {
        self.finest().map_or("off", LogLevel::name)
    }

    /// What is meant by a word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|detail| detail.name() == word)
    }

    /// The finest lines that are kept, if any are.
    pub fn finest(self) -> Option<LogLevel> {
        match self {
            Self::Off => None,
            Self::Error => Some(LogLevel::Error),
            Self::Warn => Some(LogLevel::Warn),
            Self::Info => Some(LogLevel::Info),
            Self::Debug => Some(LogLevel::Debug),
            Self::Trace => Some(LogLevel::Trace),
        }
    }

    /// Whether lines of a level are kept.
    pub fn keeps(self, level: LogLevel) -> bool {
        self.finest().is_some_and(|finest| level <= finest)
    }

    /// The next finer one.
    pub fn finer(self) -> Option<Self> {
        Self::ALL.get(self as usize + 1).copied()
    }

    /// The next coarser one.
    pub fn coarser(self) -> Option<Self> {
        (self as usize).checked_sub(1).and_then(|at| Self::ALL.get(at)).copied()
    }
}

impl fmt::Display for LogDetail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is to be kept of a target and of all below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetDetail {
    /// The path of a module, or its beginning.
    pub target: String,
    /// What is kept.
    pub detail: LogDetail,
}

impl TargetDetail {
    /// Reads `TARGET=LEVEL`.
    pub fn parse(text: &str) -> Option<Self> {
        let (target, level) = text.split_once('=')?;
        let read = Self { target: target.trim().to_owned(), detail: LogDetail::of(level.trim())? };
        read.is_sound().then_some(read)
    }

    /// Whether a target can be called so.
    pub fn is_sound(&self) -> bool {
        let fits = (1..=TARGET_MAX).contains(&self.target.len());
        fits && self.target.chars().all(|c| c.is_ascii_alphanumeric() || "_:-.".contains(c))
    }
}

impl fmt::Display for TargetDetail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.target, self.detail)
    }
}

/// What is kept of a target for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogChange {
    /// Of which, and what.
    #[serde(flatten)]
    pub what: TargetDetail,
    /// Until when.
    pub until: Stamp,
}

/// What a node's log keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogView {
    /// The filter of its configuration; none where the log is not this node's to change.
    pub filter: Option<String>,
    /// What is kept beside that for a while, in the order of the targets.
    pub changes: Vec<LogChange>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When, by the wall clock.
    pub at: Stamp,
    /// How much it matters.
    pub level: LogLevel,
    /// The module it comes from, with its whole path.
    pub target: String,
    /// What it says, in one line without control characters.
    pub text: String,
}

impl LogLine {
    /// The last part of its target: the crate is known, the room is small.
    pub fn short_target(&self) -> &str {
        self.target.rsplit("::").next().unwrap_or(&self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_and_its_level_are_read_from_one_word() {
        let read = TargetDetail::parse("punchdeck::core=debug").unwrap();
        assert_eq!(read.to_string(), "punchdeck::core at debug");
        for wrong in ["punchdeck", "punchdeck=loud", "=debug", "a b=debug", "a,b=debug"] {
            assert_eq!(TargetDetail::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn each_detail_keeps_what_the_coarser_ones_keep_and_off_keeps_nothing() {
        assert!(LogDetail::Info.keeps(LogLevel::Warn) && !LogDetail::Info.keeps(LogLevel::Debug));
        assert!(!LogDetail::Off.keeps(LogLevel::Error));
        assert_eq!(LogDetail::Info.finer(), Some(LogDetail::Debug));
        assert_eq!((LogDetail::Trace.finer(), LogDetail::Off.coarser()), (None, None));
    }
}
