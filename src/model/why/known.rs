//! What is known of a peer, each with where it is from.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::Provenance;
use crate::model::{GuessReport, NatType, PeerId, Reason, Stamp, TestedPath};

/// One thing that is known of a peer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WhyFact {
    /// What.
    pub known: Known,
    /// Where it is from.
    pub provenance: Provenance,
    /// Who says so, where it is claimed and known by whom.
    pub by: Option<PeerId>,
    /// When it was measured or heard, where that is known.
    pub at: Option<Stamp>,
}

/// What is known; `None` is not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Known {
    /// Its name.
    Name(Option<String>),
    /// Who was linked under its name too.
    SameName(PeerId),
    /// Its NAT.
    Nat(Option<NatType>),
    /// A dial from a fresh socket came in.
    Public,
    /// What came of the latest guessed punch.
    Guess {
        /// What was opened and sent.
        cost: Option<GuessReport>,
        /// Why it came to nothing.
        reason: Option<Reason>,
    },
    /// What a test said of a path.
    Test(TestedPath),
    /// An address of it.
    Address {
        /// Which.
        addr: Option<SocketAddr>,
        /// How it is known.
        origin: AddressOrigin,
    },
    /// A reservation of it: where, on whom.
    RelayAddress(Option<(SocketAddr, PeerId)>),
    /// The relay under the lane that stands by.
    Standby(Option<PeerId>),
    /// The round trip to it, in milliseconds.
    RoundTrip(Option<f64>),
    /// Attempts of ours, and how many of them connected.
    Attempts(Option<(u32, u32)>),
    /// The share of these.
    SuccessRate(Option<(u32, u32)>),
    /// When it was last seen.
    LastSeen(Option<Stamp>),
}

/// How an address is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddressOrigin {
    /// Its link runs there.
    Link,
    /// We reached it there.
    Reached,
    /// Somebody sees it there now.
    Seen,
    /// Somebody saw it there.
    WasSeen,
    /// Its record says so.
    Record,
}
