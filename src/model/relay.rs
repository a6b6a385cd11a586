//! Relays as they are shown: what we reserved, what we serve, the last failover.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{PeerId, RelayMode, Stamp};

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
    /// When it was over, as its outcome is told; until then when it began.
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

/// A reservation that a peer holds on us. What is sent and received is so from
/// its holder's side: sent is what left here for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedRow {
    /// Whose.
    pub peer_id: PeerId,
    /// Where others reach it through us.
    pub public_addr: SocketAddr,
    /// Since when.
    pub since: Stamp,
    /// Bytes of datagrams sent for it.
    pub bytes_tx: u64,
    /// Bytes of datagrams that came for it.
    pub bytes_rx: u64,
    /// Bytes a second sent for it over the last seconds; `None` at the beginning.
    pub tx_per_s: Option<u64>,
    /// Bytes a second that came for it, in the same way.
    pub rx_per_s: Option<u64>,
    /// Datagrams dropped both ways, for whatever reason.
    pub dropped: u64,
}

/// Why we serve a peer no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServedEnd {
    /// The peer gave the reservation back.
    ClosedByPeer,
    /// The peer asked for a newer one.
    Replaced,
    /// The connection over which it was asked for closed.
    ConnectionClosed,
    /// The link to the peer is down.
    LinkDown,
    /// Nothing was heard of the peer, on the link or through the reservation.
    Idle,
    /// The operator of this node ended it.
    ByOperator,
    /// The operator of this node turned the relay off.
    SwitchedOff,
    /// This node stops.
    Stopping,
    /// The peer sent what cannot be read.
    Garbled,
    /// The system closed its socket, or gave none.
    SocketFailed,
}

/// Relays in use and served.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RelaysView {
    /// Our reservations, the active one first.
    pub reservations: Vec<ReservationRow>,
    /// Whom this node serves at all.
    #[serde(default)]
    pub mode: RelayMode,
    /// Whom it serves now, the longest first.
    #[serde(default)]
    pub served: Vec<ServedRow>,
    /// Bytes relayed for others since the start, both ways.
    #[serde(default)]
    pub served_bytes: u64,
    /// The last change of the active relay.
    pub last_failover: Option<Failover>,
}

impl fmt::Display for RelayRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for ServedEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ClosedByPeer => "the peer gave it back",
            Self::Replaced => "the peer asked for a newer one",
            Self::ConnectionClosed => "the connection to the peer closed",
            Self::LinkDown => "the link to the peer went down",
            Self::Idle => "nothing was heard of the peer",
            Self::ByOperator => "the operator here ended it",
            Self::SwitchedOff => "the operator here turned the relay off",
            Self::Stopping => "this node stops",
            Self::Garbled => "the peer sent what cannot be read",
            Self::SocketFailed => "the system gave no socket for it",
        })
    }
}

impl fmt::Display for ReservationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
