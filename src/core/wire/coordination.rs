//! What three nodes say to each other for a punch or an invitation: requester,
//! intermediary, target.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{RelayAddr, lenient};
use crate::model::PeerId;

/// "Have the target punch with me." The requester is the link's authenticated
/// peer, never a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PunchRequest {
    /// Echoed in the answer.
    pub request: u32,
    /// With whom.
    pub target: PeerId,
    /// Names the punch on all three ends; used once.
    pub nonce: [u8; 16],
    /// Where the requester can be hit.
    #[serde(deserialize_with = "lenient::any_number")]
    pub addresses: Vec<SocketAddr>,
}

/// Why a request was turned down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "u8", into = "u8")]
pub enum Refusal {
    /// The intermediary is not connected to the target.
    UnknownTarget,
    /// Too many requests: another intermediary, or later.
    RateLimited,
    /// The target does not want to.
    NoConsent,
    /// An address is not the requester's.
    BadAddress,
    /// The nonce was seen before.
    Replayed,
    /// The target did not answer the intermediary.
    NoAnswer,
    /// The target's operator disconnected the requester a moment ago.
    HeldOff,
    /// Something that this program does not know.
    Other,
}

impl From<Refusal> for u8 {
    fn from(value: Refusal) -> Self {
        match value {
            Refusal::UnknownTarget => 1,
            Refusal::RateLimited => 2,
            Refusal::NoConsent => 3,
            Refusal::BadAddress => 4,
            Refusal::Replayed => 5,
            Refusal::NoAnswer => 6,
            Refusal::HeldOff => 7,
            Refusal::Other => 255,
        }
    }
}

impl From<u8> for Refusal {
    fn from(number: u8) -> Self {
        match number {
            1 => Self::UnknownTarget,
            2 => Self::RateLimited,
            3 => Self::NoConsent,
            4 => Self::BadAddress,
            5 => Self::Replayed,
            6 => Self::NoAnswer,
            7 => Self::HeldOff,
            _ => Self::Other,
        }
    }
}

/// The answer to a [`PunchRequest`] or an [`Invite`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoordinationAnswer {
    /// The request's number.
    pub request: u32,
    /// The target's address as the intermediary sees it, or why not.
    pub result: Result<SocketAddr, Refusal>,
}

/// To the target: somebody wants to punch with you.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PunchNotice {
    /// Names the punch.
    pub nonce: [u8; 16],
    /// The peer that wants to punch.
    pub requester: PeerId,
    /// Where it can be hit: checked by the intermediary.
    #[serde(deserialize_with = "lenient::any_number")]
    pub addresses: Vec<SocketAddr>,
}

/// "Invite the target to dial me at my reservation."
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invite {
    /// Echoed in the answer.
    pub request: u32,
    /// The peer that is invited.
    pub target: PeerId,
    /// Names the invitation; used once.
    pub nonce: [u8; 16],
    /// To which reservation.
    pub relay: RelayAddr,
}

/// To the target: dial that peer at its reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteNotice {
    /// Names the invitation.
    pub nonce: [u8; 16],
    /// Who invites.
    pub requester: PeerId,
    /// To which reservation.
    pub relay: RelayAddr,
}

/// The target's answer to a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeAnswer {
    /// The notice's.
    pub nonce: [u8; 16],
    /// Whether it takes part.
    pub accepted: bool,
    /// Whether it does not only because it follows too many just now. Older
    /// nodes do not say.
    #[serde(deserialize_with = "lenient::flag")]
    pub busy: bool,
    /// Whether it does not because its operator disconnected the requester. Older
    /// nodes do not say.
    #[serde(deserialize_with = "lenient::flag")]
    pub held_off: bool,
}
