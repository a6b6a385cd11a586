//! What two ends of a relayed link say to each other to guess a port.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::Nonce;

/// The ports of the sender's NAT move in steps: where they are, and how far apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Near {
    /// The last one that was seen.
    pub port: u16,
    /// From one mapping to the next.
    pub step: i16,
}

/// "Let us guess a port."
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuessOffer {
    /// Names the run, and stands in each of its datagrams.
    pub run: Nonce,
    /// Whether the sender opens sockets, and the receiver probes; else it is the
    /// other way round.
    pub opens: bool,
    /// Where others see the sender, as it says. Nothing is sent there on its word
    /// alone.
    pub at: SocketAddr,
    /// What it knows of its own NAT's ports.
    pub near: Option<Near>,
}

/// Why an offer was turned down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "u8", into = "u8")]
pub enum NoGuess {
    /// The operator lets none happen, or not with this peer.
    NoConsent,
    /// Another run is under way, or too many were.
    Busy,
    /// The NATs are not of that kind, or the roles are the wrong way round.
    Hopeless,
    /// Nobody else sees the asker where it says it is.
    Unwitnessed,
    /// Something that this program does not know.
    Other,
}

impl From<NoGuess> for u8 {
    fn from(value: NoGuess) -> Self {
        match value {
            NoGuess::NoConsent => 1,
            NoGuess::Busy => 2,
            NoGuess::Hopeless => 3,
            NoGuess::Unwitnessed => 4,
            NoGuess::Other => 255,
        }
    }
}

impl From<u8> for NoGuess {
    fn from(number: u8) -> Self {
        match number {
            1 => Self::NoConsent,
            2 => Self::Busy,
            3 => Self::Hopeless,
            4 => Self::Unwitnessed,
            _ => Self::Other,
        }
    }
}

/// What the other end says of itself when it agrees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuessYes {
    /// Where others see it, as it says.
    pub at: SocketAddr,
    /// What it knows of its own NAT's ports.
    pub near: Option<Near>,
}

/// The answer to a [`GuessOffer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuessAnswer {
    /// The offer's.
    pub run: Nonce,
    /// Yes, or why not.
    pub result: Result<GuessYes, NoGuess>,
}

/// "My sockets are open: probe."
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuessOpened {
    /// Which run.
    pub run: Nonce,
    /// How many.
    pub sockets: u16,
}

/// "It is over for me."
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuessOver {
    /// Which run.
    pub run: Nonce,
    /// From the opener: a probe came in, and it dials. From the prober: it heard
    /// of that.
    pub met: bool,
    /// From the prober: how many probes it sent.
    pub probes: u16,
}
