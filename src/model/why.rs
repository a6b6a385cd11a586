//! Why a link to a peer is what it is, with the evidence of both ends.

use serde::{Deserialize, Serialize};

use super::{Path, PeerId};

/// The whole answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Why {
    /// About whom.
    pub peer_id: PeerId,
    /// The path of the link now, if one stands.
    pub path: Option<Path>,
    /// In a sentence or two.
    pub verdict: String,
    /// What happened, in order, at both ends.
    pub timeline: Vec<WhyLine>,
    /// What was measured, and how, a sentence each.
    pub evidence: Vec<String>,
    /// What would make the path better, a phrase each.
    pub would_help: Vec<String>,
    /// What one can do now.
    pub next: Vec<NextAction>,
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
        }
    }
}
