//! Why a link is what it is.

use serde::Serialize;

use crate::model::{
    Confidence, NextAction, Path, PeerId, Provenance, Stamp, Why, WhyCause, WhyFact, WhyLine, WhyNats,
};

/// The whole answer.
#[derive(Debug, Clone, Serialize)]
pub struct WhyReport {
    /// About whom.
    pub peer_id: PeerId,
    /// The path now.
    pub path: Option<Path>,
    /// The verdict as a word that stays.
    pub cause: WhyCause,
    /// In a sentence or two.
    pub verdict: String,
    /// The NATs of both ends.
    pub nats: WhyNats,
    /// How sure that is, and why.
    pub confidence: Confidence,
    /// What happened at both ends, in order.
    pub timeline: Vec<WhyItem>,
    /// What was measured, a sentence each.
    pub evidence: Vec<String>,
    /// What would make the path better.
    pub would_help: Vec<String>,
    /// What one can do now.
    pub next: Vec<NextItem>,
    /// What is known of the peer, each with where it is from.
    pub facts: Vec<FactItem>,
}

/// One thing that is known of a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FactItem {
    /// What.
    pub name: String,
    /// Its value; null is not known.
    pub value: Option<String>,
    /// Where it is from.
    pub provenance: Provenance,
    /// Who says so, where it is claimed and known by whom.
    pub by: Option<PeerId>,
    /// How old it is.
    pub age_s: Option<u64>,
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
    pub fn new(why: &Why, now: Stamp, key: impl Fn(NextAction) -> Option<String>) -> Self {
        let fact = |fact: &WhyFact| FactItem {
            name: fact.name.clone(),
            value: fact.value.clone(),
            provenance: fact.provenance,
            by: fact.by,
            age_s: fact.at.map(|at| at.age_at(now).as_secs()),
        };
        let item = |line: &WhyLine| WhyItem { at_ms: line.at_ms, who: line.who, what: line.what.clone() };
        Self {
            peer_id: why.peer_id,
            path: why.path,
            cause: why.cause,
            nats: why.nats,
            verdict: why.verdict.clone(),
            confidence: why.confidence.clone(),
            timeline: why.timeline.iter().map(item).collect(),
            evidence: why.evidence.clone(),
            would_help: why.would_help.clone(),
            facts: why.facts.iter().map(fact).collect(),
            next: why.next.iter().map(|a| NextItem { action: a.verb(), key: key(*a) }).collect(),
        }
    }
}
