//! Everything a node is told before it starts. Two nodes in one process differ
//! by this alone: there is no global state and no fixed path.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use super::keys::KeyBytes;
use super::log::LogControl;
use super::reporting::RegistryOptions;
use crate::model::{HardNat, ProbePorts, PunchConsent, RelayMode, TestConsent};

pub use crate::core::engine::Settings;
pub use crate::core::link::NetworkSecret;

/// What a node needs to start. The values have been validated.
#[derive(Debug, Clone)]
pub struct NodeOptions {
    /// Where the key, the cache and the logs live. Whoever starts the node
    /// holds its [`DataDirLock`](super::lock::DataDirLock).
    pub data_dir: PathBuf,
    /// Who we are.
    pub keys: KeyBytes,
    /// The name we give ourselves: at most 64 bytes, no control characters.
    pub name: String,
    /// The network's name, which separates fleets and authenticates nobody.
    pub network: String,
    /// With it, only who proves to hold it too is a member.
    pub secret: Option<NetworkSecret>,
    /// Where to listen. Port 0 is any.
    pub bind: SocketAddr,
    /// Whether somebody asked for that very address. Else a host without IPv6 is
    /// listened on by IPv4 alone.
    pub bind_asked: bool,
    /// At which ports the NAT probes of others are answered, beside the one
    /// where we listen.
    pub probe_ports: ProbePorts,
    /// Whom to dial when the cache is empty, and when alone.
    pub bootstrap: Vec<SocketAddr>,
    /// Dials nobody but the bootstrap list unless somebody asks: for drills that
    /// measure one attempt at a time.
    pub passive: bool,
    /// How long a direct dial is waited for before the next stage begins.
    pub direct_window: Duration,
    /// How long after a punch began the warmed relay takes over the link.
    pub relay_after: Duration,
    /// Whose punch requests we answer.
    pub punch: PunchConsent,
    /// Whom we serve as a relay.
    pub relay: RelayMode,
    /// Whether ports are guessed.
    pub hard_nat: HardNat,
    /// Which peers may test the path to this node.
    pub path_test: TestConsent,
    /// Whom to tell what happened; nobody where there is none.
    pub registry: Option<RegistryOptions>,
    /// Who keeps the log of the process, where this node may change what it keeps.
    pub log: Option<Arc<dyn LogControl>>,
    /// By how many milliseconds the clock is off that it shows and stores: 0 but in a
    /// lab, which has it jump.
    pub clock_off: Arc<AtomicI64>,
}

impl NodeOptions {
    /// What of it can be changed while the node runs.
    pub fn settings(&self) -> Settings {
        Settings {
            bootstrap: self.bootstrap.clone(),
            direct_window: self.direct_window,
            relay_after: self.relay_after,
            punch: self.punch,
            relay: self.relay,
            hard_nat: self.hard_nat,
            path_test: self.path_test,
        }
    }

    /// For a node that was told nothing but this: it knows nobody, and nothing
    /// keeps it from dialling, punching and serving.
    pub fn new(data_dir: PathBuf, keys: KeyBytes, name: &str, network: &str, bind: SocketAddr) -> Self {
        Self {
            data_dir,
            keys,
            name: name.to_owned(),
            network: network.to_owned(),
            secret: None,
            bind,
            bind_asked: true,
            probe_ports: ProbePorts::default(),
            bootstrap: Vec::new(),
            passive: false,
            direct_window: Duration::from_secs(2),
            relay_after: Duration::from_secs(1),
            punch: PunchConsent::default(),
            relay: RelayMode::default(),
            hard_nat: HardNat::default(),
            path_test: TestConsent::default(),
            registry: None,
            log: None,
            clock_off: Arc::default(),
        }
    }
}
