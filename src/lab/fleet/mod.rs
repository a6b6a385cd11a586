//! Nodes in a lab: each in the network of its own host, and everything that can
//! happen to them.

mod changes;
mod faults;
mod history;
mod links;
mod nodes;
mod operate;
mod reporting;
mod stock;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Mutex as AsyncMutex;

use self::nodes::{Runs, Slot};
use super::dir::LabDir;
use super::error::LabError;
use super::files;
use super::network::{Network, has_ipv6};
use super::selftest::SelfTest;
use super::topology::Topology;
use super::userns::Userns;
use crate::model::HardNat;
use crate::node::RegistryOptions;
use crate::node::feed::Feed;
use crate::node::keys;
pub use history::{Happened, Happening};
pub use stock::StockResult;

/// The first host's port; the others follow. No two nodes have the same, so
/// that a NAT which keeps ports can keep all of them.
const FIRST_PORT: u16 = 41_000;
/// Of what happened, that much is kept.
const HISTORY_MAX: usize = 4096;

/// How a lab is to be started.
#[derive(Debug, Clone)]
pub struct LabOptions {
    /// What its log lines begin with.
    pub name: String,
    /// What to build.
    pub topology: Topology,
    /// What chance decides on the wires repeats with it.
    pub seed: u64,
    /// Whether to believe the network without measuring it.
    pub skip_self_test: bool,
    /// Whether its nodes guess ports: off where drills and tests want links that
    /// stay on their relays.
    pub hard_nat: HardNat,
}

impl LabOptions {
    /// That topology, tested, with some seed.
    pub fn new(topology: Topology) -> Self {
        let (name, seed) = ("lab".to_owned(), rand::random());
        Self { name, topology, seed, skip_self_test: false, hard_nat: HardNat::Off }
    }

    /// The same with nodes that guess ports, or do not.
    #[must_use]
    pub fn with_hard_nat(self, hard_nat: HardNat) -> Self {
        Self { hard_nat, ..self }
    }
}

/// A fleet behind real NATs. Everything ends and is removed when it is stopped,
/// or dropped.
#[derive(Debug)]
pub struct NatLab {
    name: String,
    // In the order in which they are to go: nodes, their network, their files.
    slots: AsyncMutex<BTreeMap<String, Slot>>,
    network: AsyncMutex<Network>,
    feeds: Mutex<Vec<(String, Feed)>>,
    history: Mutex<Vec<Happened>>,
    tested: Option<SelfTest>,
    topology: Topology,
    /// Whom its nodes tell what happened.
    registry: Option<RegistryOptions>,
    /// Whether its nodes guess ports.
    hard_nat: HardNat,
    without_ipv6: bool,
    begun: Instant,
    dir: LabDir,
}

impl NatLab {
    /// Builds the network, tests it, and starts a node on every host.
    ///
    /// # Errors
    /// [`LabError`]; nothing is left behind.
    pub async fn start(userns: &Userns, options: LabOptions) -> Result<Self, LabError> {
        files::suffice_for(&options.topology, options.topology.host.len())?;
        let lab = Self::build(userns, options).await?;
        let hosts: Vec<String> = lab.topology.host.iter().map(|h| h.name.clone()).collect();
        for host in hosts {
            let feed = lab.start_node(&host).await?;
            lab.feeds.lock().unwrap_or_else(PoisonError::into_inner).push((host, feed));
        }
        Ok(lab)
    }

    /// Builds the network and tests it; starts no node.
    ///
    /// # Errors
    /// [`LabError`]; nothing is left behind.
    pub async fn build(userns: &Userns, options: LabOptions) -> Result<Self, LabError> {
        let begun = Instant::now();
        let LabOptions { name, topology, seed, skip_self_test, hard_nat } = options;
        topology.check().map_err(LabError::Topology)?;
        files::suffice_for(&topology, 0)?;
        let without_ipv6 = topology.region.iter().any(|r| r.ipv6) && !has_ipv6();
        let topology = if without_ipv6 { topology.without_ipv6() } else { topology };
        if without_ipv6 {
            tracing::warn!("{name}: the topology has IPv6, this host's namespaces have none: IPv4 only");
        }
        let dir = LabDir::make()?;
        let mut network = Network::build(userns, &topology, seed).await?;
        dir.note_namespaces(&network.prefix())?;
        let built = begun.elapsed();
        let tested = if skip_self_test {
            network.set_links(&topology);
            network.set_uplinks(&topology)?;
            None
        } else {
            Some(network.first_test(&topology).await?)
        };
        if let Some(bad) = tested.as_ref().filter(|t| !t.passed()) {
            return Err(LabError::SelfTest(bad.clone()));
        }
        let mut slots = BTreeMap::new();
        for (n, host) in topology.host.iter().enumerate() {
            let keys = keys::generate()?;
            let slot = Slot {
                addr: (network.ip(&host.name)?, FIRST_PORT + n as u16).into(),
                ip6: network.ip6(&host.name)?,
                dir: dir.path().join(&host.name),
                id: keys::peer_id(&keys.public)?,
                keys,
                runs: Runs::Nothing,
                muted: false,
                clock: Arc::default(),
            };
            slots.insert(host.name.clone(), slot);
        }
        let lab = Self {
            name,
            slots: AsyncMutex::new(slots),
            network: AsyncMutex::new(network),
            feeds: Mutex::default(),
            history: Mutex::default(),
            tested,
            topology,
            registry: None,
            hard_nat,
            without_ipv6,
            begun,
            dir,
        };
        if let Some(tested) = &lab.tested {
            let name = &lab.name;
            let (built, tested) = (built.as_secs_f64(), tested.took.as_secs_f64());
            tracing::info!("{name}: built in {built:.2} s, tested in {tested:.2} s");
        }
        lab.note(Happening::Built);
        Ok(lab)
    }

    /// What was built.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Whether the topology has IPv6 that this host could not give it.
    pub fn lacks_ipv6(&self) -> bool {
        self.without_ipv6
    }

    /// Where its nodes' directories and the logs of their processes are; gone
    /// when the lab is.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What the self-test measured, unless it was skipped.
    pub fn self_test(&self) -> Option<&SelfTest> {
        self.tested.as_ref()
    }

    /// Since the lab began to start.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// What was done to it so far, the newest last.
    pub fn history(&self) -> Vec<Happened> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first nodes' feeds with every event from the first on, in the order
    /// of their hosts in the topology; once.
    pub fn take_feeds(&mut self) -> Vec<(String, Feed)> {
        std::mem::take(self.feeds.get_mut().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends all nodes with a goodbye, then the network; removes all files.
    pub async fn stop(self) {
        self.stop_nodes().await;
    }

    /// Ends all nodes with a goodbye; none can be started again.
    pub(in crate::lab) async fn stop_nodes(&self) {
        let slots = std::mem::take(&mut *self.slots.lock().await);
        let stops = slots.into_values().map(async |slot| match slot.runs {
            Runs::Nothing => {}
            Runs::Here(node) => node.stop().await,
            Runs::Apart(child) => {
                let _ = child.terminate().await;
            }
        });
        futures_util::future::join_all(stops).await;
    }

    fn note(&self, what: Happening) {
        let at = self.begun.elapsed();
        tracing::info!("{}: {what}, after {:.3} s", self.name, at.as_secs_f64());
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        if history.len() == HISTORY_MAX {
            history.remove(0);
        }
        history.push(Happened { at, what });
    }
}
