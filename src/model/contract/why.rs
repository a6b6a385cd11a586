//! Why a link is what it is.

use serde::{Serialize, Serializer};

use crate::model::{
    NextAction, Path, PeerId, Provenance, Stamp, Sureness, Why, WhyCause, WhyFact, WhyLine, WhyNats,
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
    pub confidence: ConfidenceItem,
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

/// How sure a verdict is, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfidenceItem {
    /// How sure.
    pub level: Sureness,
    /// By what.
    pub because: String,
}

/// One thing that is known of a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FactItem {
    /// What.
    pub name: &'static str,
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
    #[serde(serialize_with = "verb")]
    pub action: NextAction,
    /// The console's key for it.
    pub key: Option<String>,
}

impl WhyReport {
    /// Of an answer; `key` knows the console's keys.
    pub fn new(why: &Why, now: Stamp, key: impl Fn(NextAction) -> Option<String>) -> Self {
        let fact = |fact: &WhyFact| FactItem {
            name: fact.known.name(),
            value: fact.known.value(why.at),
            provenance: fact.provenance,
            by: fact.by,
            age_s: fact.at.map(|at| at.age_at(now).as_secs()),
        };
        let item = |line: &WhyLine| WhyItem { at_ms: line.at_ms, who: line.who, what: line.what.to_string() };
        Self {
            peer_id: why.peer_id,
            path: why.path,
            cause: why.cause(),
            nats: why.nats,
            verdict: why.verdict_words(),
            confidence: ConfidenceItem { level: why.confidence.level, because: why.because_words() },
            timeline: why.timeline.iter().map(item).collect(),
            evidence: why.evidence_words(),
            would_help: why.help_words(),
            facts: why.facts.iter().map(fact).collect(),
            next: why.next.iter().map(|a| NextItem { action: *a, key: key(*a) }).collect(),
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn verb<S: Serializer>(action: &NextAction, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(action.verb())
}
