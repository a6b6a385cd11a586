//! Why a link is what it is.

use serde::Serialize;

use crate::model::{NextAction, Path, PeerId, Why, WhyLine};

/// The whole answer.
#[derive(Debug, Clone, Serialize)]
pub struct WhyReport {
    /// About whom.
    pub peer_id: PeerId,
    /// The path now.
    pub path: Option<Path>,
    /// In a sentence or two.
    pub verdict: String,
    /// What happened at both ends, in order.
    pub timeline: Vec<WhyItem>,
    /// What was measured, a sentence each.
    pub evidence: Vec<String>,
    /// What would make the path better.
    pub would_help: Vec<String>,
    /// What one can do now.
    pub next: Vec<NextItem>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WhyItem {
    /// Since the attempt began, by the clock of `who`.
    pub at_ms: u64,
    /// Who did or saw it.
    pub who: PeerId,
    /// What.
    pub what: String,
}

/// Something one can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NextItem {
    /// The verb.
    pub action: &'static str,
    /// The console's key for it.
    pub key: Option<String>,
}

impl WhyReport {
    /// Of an answer; `key` knows the console's keys.
    pub fn new(why: &Why, key: impl Fn(NextAction) -> Option<String>) -> Self {
        let item = |line: &WhyLine| WhyItem { at_ms: line.at_ms, who: line.who, what: line.what.clone() };
        Self {
            peer_id: why.peer_id,
            path: why.path,
            verdict: why.verdict.clone(),
            timeline: why.timeline.iter().map(item).collect(),
            evidence: why.evidence.clone(),
            would_help: why.would_help.clone(),
            next: why.next.iter().map(|a| NextItem { action: a.verb(), key: key(*a) }).collect(),
        }
    }
}
