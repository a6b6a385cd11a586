//! Why a link to a peer is what it is, with the evidence of both ends.

use serde::{Deserialize, Serialize};

use super::{Path, PeerId, Stamp};

/// The whole answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Why {
    /// About whom.
    pub peer_id: PeerId,
    /// The path of the link now, if one stands.
    pub path: Option<Path>,
    /// In a sentence or two.
    pub verdict: String,
    /// How sure that is, and why.
    #[serde(default)]
    pub confidence: Confidence,
    /// What happened, in order, at both ends.
    pub timeline: Vec<WhyLine>,
    /// What was measured, and how, a sentence each.
    pub evidence: Vec<String>,
    /// What would make the path better, a phrase each.
    pub would_help: Vec<String>,
    /// What one can do now.
    pub next: Vec<NextAction>,
    /// Every number and address that is known of the peer, and where it is from.
    #[serde(default)]
    pub facts: Vec<WhyFact>,
}

/// How sure a verdict is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sureness {
    /// Little is known, or it is old.
    #[default]
    Low,
    /// It fits what is known; something else fits too.
    Medium,
    /// It was measured, or said by whom it is about.
    High,
}

impl Sureness {
    /// Of a share from 0 to 1, as measurements say how sure they are.
    pub fn of(share: f64) -> Self {
        match share {
            0.85.. => Self::High,
            0.5.. => Self::Medium,
            _ => Self::Low,
        }
    }

    /// The name as it stands in JSON and texts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// How sure a verdict is, and why.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Confidence {
    /// How sure.
    pub level: Sureness,
    /// By what: how many measurements or accounts, and how old they are.
    pub because: String,
}

/// Where a fact is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provenance {
    /// We measured it.
    Measured,
    /// Somebody says so.
    Claimed,
    /// It follows from others.
    Derived,
}

impl Provenance {
    /// The name as it stands in JSON and texts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Claimed => "claimed",
            Self::Derived => "derived",
        }
    }
}

/// One thing that is known of a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyFact {
    /// What.
    pub name: String,
    /// Its value; `None` is not known.
    pub value: Option<String>,
    /// Where it is from.
    pub provenance: Provenance,
    /// Who says so, where it is claimed and known by whom.
    pub by: Option<PeerId>,
    /// When it was measured or heard, where that is known.
    pub at: Option<Stamp>,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyLine {
    /// Milliseconds since the attempt began, by the clock of `who`.
    pub at_ms: u64,
    /// Who did or saw it; what others say is claimed.
    pub who: PeerId,
    /// What.
    pub what: String,
}

/// Something one can do about it. Its key is the console's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NextAction {
    /// Run the ladder.
    Connect,
    /// Punch.
    Punch,
    /// Connect through a relay.
    Relay,
    /// Use another relay.
    Failover,
    /// Measure the NAT again.
    NatProbe,
    /// Ask every linked peer for what it knows.
    SyncAll,
}

impl NextAction {
    /// The verb, as a command is called.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Punch => "punch",
            Self::Relay => "relay",
            Self::Failover => "failover",
            Self::NatProbe => "nat-probe",
            Self::SyncAll => "sync",
        }
    }
}
