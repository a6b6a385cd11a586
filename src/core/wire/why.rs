//! What each end tells the other of its half of the story.

use serde::{Deserialize, Serialize};

use super::lenient;
use crate::model::NatType;

/// "What did you see of us?"
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyAsk {
    /// Echoed in the answer.
    pub query: u32,
}

/// The answer to [`WhyAsk`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyHalf {
    /// The question's number.
    pub query: u32,
    /// The NAT that the answerer measured for itself.
    #[serde(with = "lenient::nat")]
    pub nat: NatType,
    /// How long ago, in seconds.
    pub measured_s: Option<u32>,
    /// What it saw of its own NAT, a sentence each.
    #[serde(deserialize_with = "lenient::any_number")]
    pub evidence: Vec<String>,
    /// What it did about the asker, the oldest first.
    #[serde(deserialize_with = "lenient::any_number")]
    pub notes: Vec<WhyNote>,
}

/// One thing that an end did or saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyNote {
    /// How long ago, in milliseconds.
    pub age_ms: u32,
    /// What.
    pub what: String,
}

impl WhyHalf {
    /// Sentences of evidence told.
    pub const EVIDENCE_MAX: usize = 6;
    /// Notes told.
    pub const NOTES_MAX: usize = 12;
}
