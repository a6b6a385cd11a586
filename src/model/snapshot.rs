//! The whole visible state of a node at one moment.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Attempt, DropReason, KpiView, LinkRow, NatView, NoProbePorts, PathTest, PeerId, PeerRow, Propagation,
    RelaysView, ReportingView, SendTrouble, Stamp, Totals,
};

/// Everything a console shows. Sections that did not change share their `Arc`
/// with the snapshot before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Snapshot {
    /// Counts up with each snapshot.
    pub seq: u64,
    /// When it was taken, by the node's clock.
    pub at: Stamp,
    /// The node itself.
    pub node: Arc<NodeInfo>,
    /// The peer cache, by peer id.
    pub peers: Arc<Vec<Arc<PeerRow>>>,
    /// The links, by peer id.
    pub links: Arc<Vec<LinkRow>>,
    /// Live and recent attempts.
    pub attempts: Arc<AttemptsView>,
    /// Relays in use and served.
    pub relays: Arc<RelaysView>,
    /// Gossip counters.
    pub gossip: Arc<GossipView>,
    /// Our own NAT.
    pub nat: Arc<NatView>,
    /// Rates and times of our attempts.
    pub kpi: Arc<KpiView>,
    /// Reports to a registry.
    #[serde(default)]
    pub reporting: Arc<ReportingView>,
    /// What limits and decoders stopped.
    pub counters: Arc<Counters>,
    /// How often what happened since the start.
    #[serde(default)]
    pub totals: Arc<Totals>,
    /// The latest test of the paths to each peer; one that runs comes first.
    #[serde(default)]
    pub tests: Arc<Vec<Arc<PathTest>>>,
}

impl Snapshot {
    /// The row of a peer; rows are in the order of their ids.
    pub fn peer(&self, id: &PeerId) -> Option<&Arc<PeerRow>> {
        let at = self.peers.binary_search_by_key(id, |row| row.peer_id).ok()?;
        self.peers.get(at)
    }

    /// The latest test of the paths to a peer.
    pub fn test(&self, id: &PeerId) -> Option<&Arc<PathTest>> {
        self.tests.iter().find(|test| test.peer_id == *id)
    }

    /// The link to a peer; links are in the order of their peers' ids.
    pub fn link(&self, id: &PeerId) -> Option<&LinkRow> {
        let at = self.links.binary_search_by_key(id, |row| row.peer_id).ok()?;
        self.links.get(at)
    }
}

/// What the node is doing about being connected at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    /// Binding, loading the cache.
    Starting,
    /// The cache is empty and there is no bootstrap address: nothing to dial.
    NothingToDial,
    /// Dialling for the first link.
    Joining,
    /// At least one link is up.
    Joined,
    /// No links; waiting for the next try.
    Isolated {
        /// When.
        retry: Stamp,
        /// How many rounds have failed.
        rounds: u32,
    },
    /// This host lets us send to nobody whom we know: nothing is attempted until it
    /// does.
    NoWay {
        /// What keeps us.
        why: SendTrouble,
        /// Since when.
        since: Stamp,
    },
    /// Saying goodbye.
    Leaving,
}

/// The node itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeInfo {
    /// Who we are.
    pub peer_id: PeerId,
    /// The name we give ourselves.
    pub name: String,
    /// The program's version.
    pub version: String,
    /// The network's name.
    pub network: String,
    /// Where we listen.
    pub local_addr: SocketAddr,
    /// Whether by IPv4 alone because this host has no IPv6.
    #[serde(default)]
    pub no_ipv6: bool,
    /// Our addresses as peers see them (claimed by them).
    pub observed_addrs: Vec<SocketAddr>,
    /// When the node started.
    pub started: Stamp,
    /// What it is doing.
    pub phase: Phase,
    /// The cache on disk.
    pub cache: CacheView,
    /// At which ports we answer the NAT probes of others.
    #[serde(default)]
    pub probe_ports: Vec<u16>,
    /// Why at none.
    #[serde(default)]
    pub no_probe_ports: Option<NoProbePorts>,
    /// Identities, ours or a peer's, that are used in two places.
    #[serde(default)]
    pub used_twice: Vec<UsedTwice>,
}

/// An identity that is used in two places: somebody copied a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedTwice {
    /// Which.
    pub peer_id: PeerId,
    /// Where, as far as that is known.
    pub addresses: Vec<SocketAddr>,
    /// Since when that is known.
    pub since: Stamp,
}

/// The peer cache on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheView {
    /// Peers known.
    pub known: u32,
    /// Peers we ever shook hands with.
    pub tried: u32,
    /// Whether it is on disk.
    pub save: SaveState,
    /// What was set aside at start, and why.
    pub set_aside: Option<String>,
}

/// Whether what we know is on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum SaveState {
    /// Nothing to save yet.
    Empty,
    /// Saved; nothing significant changed since.
    Saved {
        /// When.
        at: Stamp,
    },
    /// Something changed; a save is due within a second.
    Due,
    /// The last save failed and is being retried.
    Failed {
        /// What the system said.
        detail: String,
        /// Since when.
        since: Stamp,
    },
}

/// Live and recent attempts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AttemptsView {
    /// Still running, oldest first.
    pub live: Vec<Arc<Attempt>>,
    /// Ended, newest first; bounded.
    pub recent: Vec<Arc<Attempt>>,
    /// How many ended since the node started.
    pub ended: u64,
}

/// Gossip counters since the node started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GossipView {
    /// Full syncs received to their end.
    pub syncs_in: u64,
    /// Full syncs sent to their end.
    pub syncs_out: u64,
    /// Deltas received.
    pub deltas_in: u64,
    /// Deltas sent.
    pub deltas_out: u64,
    /// Records sent or asked for because a digest differed.
    pub repairs: u64,
    /// Digests exchanged.
    pub digests: u64,
    /// Records dropped by a rule or limit.
    pub dropped: u64,
    /// Of the records older than 10 s, how many stood in the linked peers'
    /// last digests.
    pub known: u64,
    /// How many could have.
    pub expected: u64,
}

impl GossipView {
    /// How far what we know has spread.
    pub fn propagation(&self) -> Propagation {
        Propagation { known: self.known, expected: self.expected }
    }
}

/// What limits and decoders stopped; only what is above zero.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters(pub BTreeMap<DropReason, u64>);

/// Where an identity is used twice, in words.
pub fn twice_at(addresses: &[SocketAddr]) -> String {
    let from: Vec<String> = addresses.iter().map(|addr| format!("from {addr}")).collect();
    if from.is_empty() { "from here and from elsewhere".to_owned() } else { from.join(" and ") }
}
