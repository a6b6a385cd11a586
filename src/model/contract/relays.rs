//! Relays in use and served.

use std::net::SocketAddr;

use serde::Serialize;

use super::{age_s, left_s, rfc3339};
use crate::model::{Failover, PeerId, RelayRole, ReservationState, ServedRow, Snapshot};

/// Relays in use and served.
#[derive(Debug, Clone, Serialize)]
pub struct Relays {
    /// Ours, the active one first.
    pub reservations: Vec<Reservation>,
    /// What we relay for others.
    pub serving: Serving,
    /// The last change of the active relay.
    pub last_failover: Option<FailoverItem>,
}

/// A reservation of ours.
#[derive(Debug, Clone, Serialize)]
pub struct Reservation {
    /// On whom.
    pub relay: PeerId,
    /// Our address there.
    pub public_addr: Option<SocketAddr>,
    /// What it is for.
    pub role: RelayRole,
    /// Where it stands.
    pub state: ReservationState,
    /// Measured round trip.
    pub rtt_ms: Option<f64>,
    /// Until it ends, unless the relay answers again.
    pub expires_s: Option<f64>,
    /// Sent through it.
    pub bytes_tx: u64,
    /// Received through it.
    pub bytes_rx: u64,
}

/// What we relay for others.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Serving {
    /// Reservations that peers hold on us.
    pub sessions: usize,
    /// Bytes relayed since the start, both ways.
    pub bytes: u64,
    /// Who holds them.
    pub clients: Vec<ServedClient>,
}

/// A peer that we relay for. Sent and received are so from its side.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ServedClient {
    /// Who.
    pub peer_id: PeerId,
    /// Where others reach it through us.
    pub public_addr: SocketAddr,
    /// Since when.
    pub since_s: f64,
    /// Sent for it.
    pub bytes_tx: u64,
    /// What came for it.
    pub bytes_rx: u64,
    /// Datagrams dropped, both ways.
    pub dropped: u64,
}

/// A change of the active relay.
#[derive(Debug, Clone, Serialize)]
pub struct FailoverItem {
    /// When, as RFC 3339 in UTC.
    pub at: String,
    /// The relay before.
    pub from: PeerId,
    /// The relay after.
    pub to: Option<PeerId>,
    /// Longest time without a path.
    pub gap_ms: Option<u64>,
    /// Messages lost with it.
    pub lost: Option<u64>,
}

impl From<&Failover> for FailoverItem {
    fn from(over: &Failover) -> Self {
        Self { at: rfc3339(over.at), from: over.from, to: over.to, gap_ms: over.gap_ms, lost: over.lost }
    }
}

impl Relays {
    /// Of a snapshot.
    pub fn new(snapshot: &Snapshot) -> Self {
        let view = &snapshot.relays;
        let item = |row: &crate::model::ReservationRow| Reservation {
            relay: row.relay,
            public_addr: row.public_addr,
            role: row.role,
            state: row.state,
            rtt_ms: row.rtt_ms,
            expires_s: row.expires.map(|at| left_s(at, snapshot.at)),
            bytes_tx: row.bytes_tx,
            bytes_rx: row.bytes_rx,
        };
        let client = |row: &ServedRow| ServedClient {
            peer_id: row.peer_id,
            public_addr: row.public_addr,
            since_s: age_s(row.since, snapshot.at),
            bytes_tx: row.bytes_tx,
            bytes_rx: row.bytes_rx,
            dropped: row.dropped,
        };
        Self {
            reservations: view.reservations.iter().map(item).collect(),
            serving: Serving {
                sessions: view.served.len(),
                bytes: view.served_bytes,
                clients: view.served.iter().map(client).collect(),
            },
            last_failover: view.last_failover.as_ref().map(FailoverItem::from),
        }
    }
}
