//! What each end, and who stood between them, tells of its part of the story.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::lenient;
use crate::model::{NatType, PeerId};

/// "What did you see of us?"
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyAsk {
    /// Echoed in the answer.
    pub query: u32,
}

/// The answer to [`WhyAsk`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerReply {
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
    /// What happened, in words.
    pub what: String,
}

impl PeerReply {
    /// Sentences of evidence told.
    pub const EVIDENCE_MAX: usize = 6;
    /// Notes told.
    pub const NOTES_MAX: usize = 12;
}

/// "What do you know of that peer, and what became of our requests for it?"
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessAsk {
    /// Echoed in the answer.
    pub query: u32,
    /// Of whom.
    pub about: PeerId,
}

/// How somebody stands with a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "u8", into = "u8")]
pub enum PeerLinkStatus {
    /// No link to it is remembered.
    Never,
    /// A link stands, straight.
    Linked,
    /// A link stands, over a relay.
    Relayed,
    /// It said goodbye.
    Left,
    /// The link fell silent.
    Silent,
    /// The link ended otherwise.
    Ended,
}

impl From<PeerLinkStatus> for u8 {
    fn from(value: PeerLinkStatus) -> Self {
        match value {
            PeerLinkStatus::Never => 0,
            PeerLinkStatus::Linked => 1,
            PeerLinkStatus::Relayed => 2,
            PeerLinkStatus::Left => 3,
            PeerLinkStatus::Silent => 4,
            PeerLinkStatus::Ended => 5,
        }
    }
}

impl From<u8> for PeerLinkStatus {
    fn from(number: u8) -> Self {
        match number {
            1 => Self::Linked,
            2 => Self::Relayed,
            3 => Self::Left,
            4 => Self::Silent,
            5 => Self::Ended,
            _ => Self::Never,
        }
    }
}

/// The answer to [`WitnessAsk`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessReply {
    /// The question's number.
    pub query: u32,
    /// How the answerer stands with the peer.
    pub standing: PeerLinkStatus,
    /// Since how many seconds.
    pub since_s: Option<u32>,
    /// Where it sees the peer, if it does.
    pub seen_at: Option<SocketAddr>,
    /// What became of the asker's requests for that peer, the oldest first.
    #[serde(deserialize_with = "lenient::any_number")]
    pub notes: Vec<WhyNote>,
}
