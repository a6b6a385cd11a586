//! What each end, and who stood between them, tells of its part of the story.
//!
//! It travels as types, each in a form of its own, so that one of the future that is not
//! known here costs no more than itself. Nodes before [`TYPED_WHY_SINCE`] tell sentences,
//! and are told sentences.

use std::net::SocketAddr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::lenient;
use crate::model::{Evidence, NatEvidence, NatType, PeerId, PeerLinkStatus, TraceEvent, clean_sentence};

/// The first version whose nodes tell types.
pub const TYPED_WHY_SINCE: u16 = 3;

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
    /// What it saw of its own NAT.
    #[serde(with = "seen")]
    pub evidence: Vec<Evidence>,
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
    #[serde(with = "event")]
    pub what: TraceEvent,
}

impl PeerReply {
    /// Pieces of evidence told.
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

/// The answer to [`WitnessAsk`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessReply {
    /// The question's number.
    pub query: u32,
    /// How the answerer stands with the peer.
    #[serde(with = "lenient::link_status")]
    pub standing: PeerLinkStatus,
    /// Since how many seconds.
    pub since_s: Option<u32>,
    /// Where it sees the peer, if it does.
    pub seen_at: Option<SocketAddr>,
    /// What became of the asker's requests for that peer, the oldest first.
    #[serde(deserialize_with = "lenient::any_number")]
    pub notes: Vec<WhyNote>,
}

/// Something typed, as bytes: as on the control socket, by names.
fn bytes(of: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(of).unwrap_or_default()
}

/// Bytes that one of them takes, at most: a longer one is not read.
const PIECE_MAX: usize = 1_024;

mod event {
    use super::{Deserializer, PIECE_MAX, Serialize, Serializer, TraceEvent, bytes, lenient};

    pub(super) fn serialize<S: Serializer>(event: &TraceEvent, s: S) -> Result<S::Ok, S::Error> {
        bytes(event).serialize(s)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<TraceEvent, D::Error> {
        let bytes: Vec<u8> = lenient::any_number(d)?;
        let read = Some(bytes).filter(|bytes| bytes.len() <= PIECE_MAX);
        let read = read.and_then(|bytes| serde_json::from_slice::<TraceEvent>(&bytes).ok());
        Ok(read.map_or(TraceEvent::Unread, TraceEvent::cleaned))
    }
}

/// What was seen of the NAT: what is not known here is left out.
mod seen {
    use super::{Deserializer, Evidence, NatEvidence, PIECE_MAX, Serialize, Serializer, bytes, lenient};

    pub(super) fn serialize<S: Serializer>(evidence: &[Evidence], s: S) -> Result<S::Ok, S::Error> {
        let seen = evidence.iter().filter_map(|evidence| match evidence {
            Evidence::Theirs(seen) => Some(bytes(seen)),
            _ => None,
        });
        seen.collect::<Vec<_>>().serialize(s)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Evidence>, D::Error> {
        let all: Vec<Vec<u8>> = lenient::any_number(d)?;
        let read = all.iter().filter(|bytes| bytes.len() <= PIECE_MAX);
        let read = read.filter_map(|bytes| serde_json::from_slice::<NatEvidence>(bytes).ok());
        Ok(read.map(Evidence::Theirs).collect())
    }
}

/// A [`PeerReply`] in the sentences of older nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerWords {
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
    /// What it did about the asker: how long ago in milliseconds, and what.
    #[serde(deserialize_with = "lenient::any_number")]
    pub notes: Vec<(u32, String)>,
}

/// A [`WitnessReply`] in the sentences of older nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessWords {
    /// The question's number.
    pub query: u32,
    /// How the answerer stands with the peer.
    #[serde(with = "lenient::link_status")]
    pub standing: PeerLinkStatus,
    /// Since how many seconds.
    pub since_s: Option<u32>,
    /// Where it sees the peer, if it does.
    pub seen_at: Option<SocketAddr>,
    /// What became of the asker's requests: how long ago in milliseconds, and what.
    #[serde(deserialize_with = "lenient::any_number")]
    pub notes: Vec<(u32, String)>,
}

fn said(notes: Vec<WhyNote>) -> Vec<(u32, String)> {
    notes.into_iter().map(|note| (note.age_ms, clean_sentence(&note.what.to_string()))).collect()
}

fn heard(notes: Vec<(u32, String)>) -> Vec<WhyNote> {
    let told = |words: String| TraceEvent::Told { words: clean_sentence(&words) };
    notes.into_iter().map(|(age_ms, words)| WhyNote { age_ms, what: told(words) }).collect()
}

impl From<PeerReply> for PeerWords {
    fn from(reply: PeerReply) -> Self {
        let PeerReply { query, nat, measured_s, evidence, notes } = reply;
        let seen = evidence.iter().filter_map(|evidence| match evidence {
            Evidence::Theirs(seen) => Some(clean_sentence(&seen.to_string())),
            _ => None,
        });
        Self { query, nat, measured_s, evidence: seen.collect(), notes: said(notes) }
    }
}

impl From<PeerWords> for PeerReply {
    fn from(words: PeerWords) -> Self {
        let PeerWords { query, nat, measured_s, evidence, notes } = words;
        let evidence = evidence.iter().map(|words| Evidence::TheirWords(clean_sentence(words))).collect();
        Self { query, nat, measured_s, evidence, notes: heard(notes) }
    }
}

impl From<WitnessReply> for WitnessWords {
    fn from(reply: WitnessReply) -> Self {
        let WitnessReply { query, standing, since_s, seen_at, notes } = reply;
        Self { query, standing, since_s, seen_at, notes: said(notes) }
    }
}

impl From<WitnessWords> for WitnessReply {
    fn from(words: WitnessWords) -> Self {
        let WitnessWords { query, standing, since_s, seen_at, notes } = words;
        Self { query, standing, since_s, seen_at, notes: heard(notes) }
    }
}

/// Bytes that notes take on the wire.
pub(super) fn notes_size(notes: &[WhyNote]) -> usize {
    notes.iter().map(|note| bytes(&note.what).len() + 16).sum()
}

/// Bytes that evidence takes on the wire.
pub(super) fn evidence_size(evidence: &[Evidence]) -> usize {
    evidence.iter().map(|evidence| bytes(evidence).len() + 16).sum()
}
