//! Peers and links.

use std::net::SocketAddr;

use serde::Serialize;

use super::age_s;
use crate::model::{NatType, Path, PeerId, PeerState, Snapshot, Source};

/// The peer cache.
#[derive(Debug, Clone, Serialize)]
pub struct Peers {
    /// By id.
    pub peers: Vec<PeerItem>,
}

/// A peer.
#[derive(Debug, Clone, Serialize)]
pub struct PeerItem {
    /// Who.
    pub peer_id: PeerId,
    /// The name it gives itself.
    pub name: Option<String>,
    /// Who else was linked under that name within thirty days.
    pub also: Option<AlsoItem>,
    /// Where it says that it can be reached.
    pub addresses: Vec<SocketAddr>,
    /// The NAT that it says it has.
    pub nat_type: NatType,
    /// Where it stands with us.
    pub state: PeerState,
    /// The path of its link.
    pub path: Option<Path>,
    /// Measured round trip.
    pub rtt_ms: Option<f64>,
    /// Successes over attempts of ours.
    pub success_rate: Option<f64>,
    /// Attempts of ours.
    pub attempts: u32,
    /// Since the last contact.
    pub last_seen_s: Option<f64>,
    /// How we learned of it.
    pub source: Source,
}

/// Another peer with the same name.
#[derive(Debug, Clone, Serialize)]
pub struct AlsoItem {
    /// Who.
    pub peer_id: PeerId,
    /// Since it was last linked under it, to the minute.
    pub last_used_s: f64,
}

impl Peers {
    /// Of a snapshot.
    pub fn new(snapshot: &Snapshot) -> Self {
        let item = |row: &std::sync::Arc<crate::model::PeerRow>| PeerItem {
            peer_id: row.peer_id,
            name: row.name.clone(),
            also: row
                .also
                .as_deref()
                .map(|also| AlsoItem { peer_id: also.peer_id, last_used_s: age_s(also.until, snapshot.at) }),
            addresses: row.addresses.clone(),
            nat_type: row.nat_type,
            state: row.state,
            path: row.path,
            rtt_ms: row.rtt_ms,
            success_rate: row.success_rate(),
            attempts: row.attempts,
            last_seen_s: row.last_seen.map(|at| age_s(at, snapshot.at)),
            source: row.source,
        };
        Self { peers: snapshot.peers.iter().map(item).collect() }
    }
}

/// The links.
#[derive(Debug, Clone, Serialize)]
pub struct Links {
    /// By their peers' ids.
    pub links: Vec<LinkItem>,
}

/// A link.
#[derive(Debug, Clone, Serialize)]
pub struct LinkItem {
    /// To whom.
    pub peer_id: PeerId,
    /// How its bytes travel.
    pub path: Path,
    /// The remote address in use.
    pub remote_addr: SocketAddr,
    /// The relay, for a relayed link.
    pub via: Option<PeerId>,
    /// The relay under the lane that stands by, if one does.
    pub standby: Option<PeerId>,
    /// Measured round trip.
    pub rtt_ms: Option<f64>,
    /// Since it stands.
    pub age_s: f64,
    /// Sent.
    pub bytes_tx: u64,
    /// Received.
    pub bytes_rx: u64,
    /// Whether the other end speaks no punchdeck.
    pub foreign: bool,
}

impl Links {
    /// Of a snapshot.
    pub fn new(snapshot: &Snapshot) -> Self {
        let item = |row: &crate::model::LinkRow| LinkItem {
            peer_id: row.peer_id,
            path: row.path,
            remote_addr: row.remote_addr,
            via: row.via,
            standby: row.standby,
            rtt_ms: row.rtt_ms,
            age_s: age_s(row.since, snapshot.at),
            bytes_tx: row.bytes_tx,
            bytes_rx: row.bytes_rx,
            foreign: row.foreign,
        };
        Self { links: snapshot.links.iter().map(item).collect() }
    }
}
