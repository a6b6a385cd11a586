//! What an engine is told: all of it before it begins, and the settings that can change
//! while it runs.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::Now;
use super::book::NameUse;
use super::host::Ways;
use super::kpi::History;
use super::ladder;
use super::link::{LinkConfig, NetworkSecret};
use super::nat::Setup;
use super::proof::RecordSeed;
use super::wire::{Hello, PROTOCOL_HIGH, PROTOCOL_LOW};
use crate::model::{HardNat, NatType, NoProbePorts, PeerId, PunchConsent, RelayMode, TestConsent};

/// What an engine is told before it begins.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Our own identity.
    pub me: PeerId,
    /// The name we give ourselves.
    pub name: String,
    /// The network's name.
    pub network: String,
    /// Our program version.
    pub agent: String,
    /// The fleet's secret, if it is a closed one.
    pub secret: Option<NetworkSecret>,
    /// Where we listen.
    pub local_addr: SocketAddr,
    /// From which addresses this host would send to others, one per family that
    /// leads somewhere; empty unless we listen on a wildcard.
    pub own: Vec<IpAddr>,
    /// Where the host lets us send.
    pub ways: Ways,
    /// Whether we would listen by IPv6 too, and this host has none.
    pub no_ipv6: bool,
    /// Dial nobody but the bootstrap list, unless somebody asks.
    pub passive: bool,
    /// What can be changed while the node runs.
    pub settings: Settings,
    /// Where we answer the NAT probes of others: two ports, or none.
    pub probe_ports: Vec<u16>,
    /// Why there are none, if there are none.
    pub no_probe_ports: Option<NoProbePorts>,
    /// The version of our record when it was last saved.
    pub own_version: u64,
    /// What the key is made from that signs our record. Without one, our record is that
    /// of an earlier version: nothing signs it.
    pub record_seed: Option<RecordSeed>,
    /// The peers to dial first.
    pub anchors: Vec<PeerId>,
    /// The names under which peers were linked before.
    pub names: Vec<NameUse>,
    /// The attempts that were counted before.
    pub history: Option<History>,
    /// Seeds everything random.
    pub seed: u64,
}

impl EngineConfig {
    /// Whether we listen on loopback: then the limits that protect third
    /// parties do not count there.
    pub fn loopback(&self) -> bool {
        self.local_addr.ip().is_loopback()
    }

    /// What every link has to know of us.
    pub(super) fn for_links(&self) -> LinkConfig {
        LinkConfig { me: self.me, network: self.network.clone(), secret: self.secret.clone() }
    }

    /// What the NAT probe has to know of this host.
    pub(super) fn for_nat(&self) -> Setup {
        Setup { local: self.local_addr, own: self.own.clone(), ports: self.probe_ports.len() }
    }

    /// What we say of ourselves to whoever connects; the link adds what belongs to it.
    pub(super) fn hello(&self, nat: NatType, now: Now) -> Hello {
        Hello {
            low: PROTOCOL_LOW,
            high: PROTOCOL_HIGH,
            network: self.network.clone(),
            name: self.name.clone(),
            agent: self.agent.clone(),
            nat,
            observed: self.local_addr,
            probe_ports: self.probe_ports.clone(),
            wall_ms: now.wall.0,
            channel: [0; 16],
            path: None,
            outbound: false,
            proof: None,
        }
    }
}

/// What can be changed while a node runs. The values have been validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The addresses to dial when nobody is known, and when alone.
    pub bootstrap: Vec<SocketAddr>,
    /// How long a direct dial is waited for before the next stage begins.
    pub direct_window: Duration,
    /// How long after a punch began the warmed relay takes over the link.
    pub relay_after: Duration,
    /// The peers whose punch requests we answer.
    pub punch: PunchConsent,
    /// The peers that we serve as a relay.
    pub relay: RelayMode,
    /// Whether ports are guessed.
    pub hard_nat: HardNat,
    /// The peers whose tests of a path we answer.
    pub path_test: TestConsent,
}

impl Settings {
    /// How attempts run.
    pub(super) fn for_attempts(&self) -> ladder::Settings {
        ladder::Settings { window: self.direct_window, relay_after: self.relay_after }
    }
}
