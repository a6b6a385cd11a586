//! Relays as they are shown: what we reserved, what we serve, the last failover.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{PeerId, Stamp};

/// What a reservation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RelayRole {
    /// Its address stands first in our record; links run over it.
    Active,
    /// Ready to take over.
    Standby,
}

impl RelayRole {
    /// The name as it stands in JSON and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Standby => "standby",
        }
    }
}

/// Where a reservation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReservationState {
    /// Asked for, not answered yet.
    Reserving,
    /// The relay answers.
    Ready,
    /// An answer is overdue.
    Suspect,
}

impl ReservationState {
    /// The name as it stands in JSON and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reserving => "reserving",
            Self::Ready => "ready",
            Self::Suspect => "suspect",
        }
    }
}

/// One reservation of ours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReservationRow {
    /// On whom.
    pub relay: PeerId,
    /// Our address there, once it is given.
    pub public_addr: Option<SocketAddr>,
    /// What it is for.
    pub role: RelayRole,
    /// Where it stands.
    pub state: ReservationState,
    /// Round trip to the relay in milliseconds (measured).
    pub rtt_ms: Option<f64>,
    /// When it ends unless the relay answers again.
    pub expires: Option<Stamp>,
    /// Bytes sent through it, all lanes together.
    pub bytes_tx: u64,
    /// Bytes received through it, all lanes together.
    pub bytes_rx: u64,
}

/// A change of the active relay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failover {
    /// When it began: the relay was found dead, or somebody asked.
    pub at: Stamp,
    /// The relay before.
    pub from: PeerId,
    /// The relay after; `None` while there is none.
    pub to: Option<PeerId>,
    /// The longest time that a link had no path, in milliseconds; `None` while
    /// links are still coming back, or where no link ran over the relay.
    pub gap_ms: Option<u64>,
    /// Messages lost with it; `None` while links are still coming back.
    pub lost: Option<u64>,
}

/// Relays in use and served.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RelaysView {
    /// Our reservations, the active one first.
    pub reservations: Vec<ReservationRow>,
    /// Sessions we relay for others (total; ant-quic tells no more).
    pub serving_sessions: Option<u64>,
    /// Bytes we relayed for others.
    pub serving_bytes: Option<u64>,
    /// The last change of the active relay.
    pub last_failover: Option<Failover>,
}

impl fmt::Display for RelayRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for ReservationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
