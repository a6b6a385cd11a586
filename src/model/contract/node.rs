//! The node itself: status, gossip, rates.

use std::net::SocketAddr;

use serde::Serialize;

use super::told::{Told, all};
use super::{age_s, rfc3339};
use crate::model::{
    KpiAnswer, NatView, Path, PeerId, Phase, Propagation, RelayMode, SaveState, SendTrouble, Snapshot, Stamp,
    UsedTwice,
};

/// The node at a glance.
#[derive(Debug, Clone, Serialize)]
pub struct Status<'a> {
    /// Who.
    pub peer_id: PeerId,
    /// The name it gives itself.
    pub name: &'a str,
    /// The program's version.
    pub version: &'a str,
    /// The network.
    pub network: &'a str,
    /// What it is doing about being connected.
    pub phase: &'static str,
    /// Where it listens.
    pub local_addr: SocketAddr,
    /// Whether by IPv4 alone because the host has no IPv6.
    pub no_ipv6: bool,
    /// Where peers see it.
    pub observed_addrs: &'a [SocketAddr],
    /// Its NAT.
    pub nat: Told<'a, NatView>,
    /// For IPv6, measured apart.
    pub nat6: Option<Told<'a, NatView>>,
    /// Since it started.
    pub uptime_s: f64,
    /// Links, by path.
    pub links: LinkCounts,
    /// The peer cache.
    pub cache: Cache<'a>,
    /// What it relays for others.
    pub relay: RelayState,
    /// Identities, its own or a peer's, that are used in two places.
    pub used_twice: Vec<Told<'a, UsedTwice>>,
}

/// Links, by path; those to nodes of another kind apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LinkCounts {
    /// Straight.
    pub direct: usize,
    /// Straight, after a punch.
    pub punched: usize,
    /// Through a relay.
    pub relayed: usize,
    /// To nodes that speak no punchdeck.
    pub foreign: usize,
}

/// The peer cache.
#[derive(Debug, Clone, Serialize)]
pub struct Cache<'a> {
    /// Peers known.
    pub known: u32,
    /// Peers we ever shook hands with.
    pub tried: u32,
    /// Whether it is on disk.
    pub save: Save<'a>,
    /// A damaged file that was set aside at the start, and why.
    pub set_aside: Option<&'a str>,
}

/// How the last save went.
#[derive(Debug, Clone, Serialize)]
pub struct Save<'a> {
    /// `empty` (nothing to save yet), `saved`, `due` or `failed`.
    pub state: &'static str,
    /// Of one that failed: what the system said.
    pub detail: Option<&'a str>,
    /// Since when it is so; nothing where that means nothing.
    pub since_s: Option<f64>,
}

impl<'a> Save<'a> {
    fn new(save: &'a SaveState, now: Stamp) -> Self {
        let (state, detail, since) = match save {
            SaveState::Empty => ("empty", None, None),
            SaveState::Saved { at } => ("saved", None, Some(*at)),
            SaveState::Due => ("due", None, None),
            SaveState::Failed { detail, since } => ("failed", Some(detail.as_str()), Some(*since)),
        };
        Self { state, detail, since_s: since.map(|at| age_s(at, now)) }
    }
}

/// The relay at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RelayState {
    /// Reservations that peers hold on us.
    pub serving: usize,
    /// Whom we serve at all.
    pub mode: RelayMode,
}

impl LinkCounts {
    /// Of a snapshot.
    pub fn new(snapshot: &Snapshot) -> Self {
        let mut counts = Self::default();
        for link in snapshot.links.iter() {
            *match link.path {
                _ if link.foreign => &mut counts.foreign,
                Path::Direct => &mut counts.direct,
                Path::Punched => &mut counts.punched,
                Path::Relayed => &mut counts.relayed,
            } += 1;
        }
        counts
    }
}

impl<'a> Status<'a> {
    /// Of a snapshot.
    pub fn new(snapshot: &'a Snapshot) -> Self {
        let (node, now) = (&snapshot.node, snapshot.at);
        Self {
            peer_id: node.peer_id,
            name: &node.name,
            version: &node.version,
            network: &node.network,
            phase: phase(&node.phase),
            local_addr: node.local_addr,
            no_ipv6: node.no_ipv6,
            observed_addrs: &node.observed_addrs,
            nat: Told::new(&*snapshot.nat, now),
            nat6: snapshot.nat.nat6.as_deref().map(|view| Told::new(view, now)),
            uptime_s: age_s(node.started, now),
            links: LinkCounts::new(snapshot),
            cache: Cache {
                known: node.cache.known,
                tried: node.cache.tried,
                save: Save::new(&node.cache.save, now),
                set_aside: node.cache.set_aside.as_deref(),
            },
            relay: RelayState { serving: snapshot.relays.served.len(), mode: snapshot.relays.mode },
            used_twice: all(&node.used_twice, now),
        }
    }
}

fn phase(phase: &Phase) -> &'static str {
    match phase {
        Phase::Starting => "starting",
        Phase::NothingToDial => "alone",
        Phase::Joining => "joining",
        Phase::Joined => "joined",
        Phase::Isolated { .. } => "isolated",
        Phase::NoWay { why, .. } => match why {
            SendTrouble::NoRoute => "no-network",
            SendTrouble::Forbidden | SendTrouble::Other => "sending-forbidden",
        },
        Phase::Leaving => "leaving",
    }
}

/// A count in both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct InOut {
    /// Received.
    #[serde(rename = "in")]
    pub received: u64,
    /// Sent.
    #[serde(rename = "out")]
    pub sent: u64,
}

/// Gossip counters since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Gossip {
    /// Full syncs.
    pub syncs: InOut,
    /// Deltas.
    pub deltas: InOut,
    /// Records sent or asked for because a digest differed.
    pub repairs: u64,
    /// Records dropped by a rule or limit.
    pub dropped: u64,
    /// How far records have come.
    pub propagation: Propagation,
}

impl Gossip {
    /// Of a snapshot.
    pub fn new(snapshot: &Snapshot) -> Self {
        let g = &snapshot.gossip;
        Self {
            syncs: InOut { received: g.syncs_in, sent: g.syncs_out },
            deltas: InOut { received: g.deltas_in, sent: g.deltas_out },
            repairs: g.repairs,
            dropped: g.dropped,
            propagation: g.propagation(),
        }
    }
}

/// Rates and times of our attempts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Kpi {
    /// The figures, as a registry has them too.
    #[serde(flatten)]
    pub figures: KpiAnswer,
    /// Since when they count, over restarts.
    pub since: Option<String>,
}

impl Kpi {
    /// Of a node's figures. Its own count of what has spread is never unknown.
    pub fn new(figures: KpiAnswer, snapshot: &Snapshot) -> Self {
        let propagation = Some(snapshot.gossip.propagation());
        Self { figures: KpiAnswer { propagation, ..figures }, since: snapshot.kpi.since.map(rfc3339) }
    }
}
