//! Nodes in a lab: each in the network of its own host, and everything that can
//! happen to them.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::sync::Mutex as AsyncMutex;

use super::child::{Child, ChildError};
use super::dir::LabDir;
use super::echo::Measured;
use super::loopback::NETWORK;
use super::network::{Network, NetworkError, Place};
use super::rules::Behaves;
use super::selftest::SelfTest;
use super::topology::{self, Flaw, Topology};
use super::userns::Userns;
use super::wire::{Conditions, Passed};
use crate::model::{NatType, PeerId, PunchConsent, RelayEgressPolicy};
use crate::node::feed::Feed;
use crate::node::keys::{self, KeyBytes, KeyError};
use crate::node::lock::{DataDirLock, LockError};
use crate::node::options::NodeOptions;
use crate::node::{Node, StartError};

/// The first host's port; the others follow. No two nodes have the same, so
/// that a NAT which keeps ports can keep all of them.
const FIRST_PORT: u16 = 41_000;
/// Of what happened, that much is kept.
const HISTORY_MAX: usize = 4096;

/// Why a lab did not start, or did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The topology cannot be built.
    #[error("the topology: {0}")]
    Topology(Flaw),
    /// The network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// It is not what its topology claims.
    #[error("the lab is not what its topology says, and does not start:\n{0}")]
    SelfTest(SelfTest),
    /// No temporary directory.
    #[error("no temporary directory for a node: {0}")]
    Directory(#[from] std::io::Error),
    /// No key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// No lock.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A node did not start.
    #[error("node {name} did not start: {source}")]
    Node {
        /// Which.
        name: String,
        /// Why.
        source: StartError,
    },
    /// A node's process did not start.
    #[error(transparent)]
    Child(#[from] ChildError),
    /// The node is in a state that does not allow it.
    #[error("node {name} is {state}")]
    State {
        /// Which.
        name: String,
        /// What it is.
        state: &'static str,
    },
}

/// How a lab is to be started.
#[derive(Debug, Clone)]
pub struct LabOptions {
    /// What to build.
    pub topology: Topology,
    /// What chance decides on the wires repeats with it.
    pub seed: u64,
    /// Whether to believe the network without measuring it.
    pub skip_self_test: bool,
}

impl LabOptions {
    /// That topology, tested, with some seed.
    pub fn new(topology: Topology) -> Self {
        Self { topology, seed: rand::random(), skip_self_test: false }
    }
}

/// Something that was done to a lab.
#[derive(Debug, Clone, PartialEq)]
pub struct Happened {
    /// Since the lab began to start.
    pub at: Duration,
    /// What.
    pub what: Happening,
}

/// What can be done to a lab.
#[derive(Debug, Clone, PartialEq)]
pub enum Happening {
    /// The network stands, measured or not.
    Built,
    /// A node began to run.
    Started {
        /// Its host.
        host: String,
        /// The process, if it has one of its own.
        pid: Option<u32>,
    },
    /// A node ended with a goodbye.
    Stopped {
        /// Its host.
        host: String,
    },
    /// A node ended without a word.
    Killed {
        /// Its host.
        host: String,
    },
    /// A host was cut off.
    Cut {
        /// Which.
        host: String,
    },
    /// A host's cut was undone.
    Healed {
        /// Which.
        host: String,
    },
    /// A router behaves otherwise, and forgot all mappings.
    NatChanged {
        /// Which.
        router: String,
        /// What it was.
        from: Behaves,
        /// What it is.
        to: Behaves,
    },
    /// A router forgot all mappings.
    Flushed {
        /// Which.
        router: String,
    },
    /// A host's uplink was set.
    UplinkSet {
        /// Whose.
        host: String,
        /// To what.
        conditions: Conditions,
    },
    /// A wire between regions was set.
    LinkSet {
        /// Which.
        between: [String; 2],
        /// To what.
        conditions: Conditions,
    },
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Built => f.write_str("the network stands"),
            Self::Started { host, pid: None } => write!(f, "{host} started"),
            Self::Started { host, pid: Some(pid) } => write!(f, "{host} started as process {pid}"),
            Self::Stopped { host } => write!(f, "{host} stopped"),
            Self::Killed { host } => write!(f, "{host} killed"),
            Self::Cut { host } => write!(f, "{host} cut off"),
            Self::Healed { host } => write!(f, "{host} healed"),
            Self::NatChanged { router, from, to } => {
                write!(f, "router {router} is {} instead of {}, its mappings are gone", to.nat, from.nat)
            }
            Self::Flushed { router } => write!(f, "router {router}: its mappings are gone"),
            Self::UplinkSet { host, conditions } => write!(f, "uplink of {host}: {conditions}"),
            Self::LinkSet { between: [a, b], conditions } => write!(f, "wire {a}-{b}: {conditions}"),
        }
    }
}

/// What runs on a host.
#[derive(Debug)]
enum Runs {
    Nothing,
    Here(Box<Node>),
    Apart(Child),
}

impl Runs {
    /// Whether there is room for another.
    fn ended(&mut self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Here(node) => node.has_ended(),
            Self::Apart(child) => child.has_ended(),
        }
    }
}

/// A host's node, whether it runs or not.
#[derive(Debug)]
struct Slot {
    addr: SocketAddr,
    dir: PathBuf,
    keys: KeyBytes,
    id: PeerId,
    runs: Runs,
}

/// A fleet behind real NATs. Everything ends and is removed when it is stopped,
/// or dropped.
#[derive(Debug)]
pub struct NatLab {
    // In the order in which they are to go: nodes, their network, their files.
    slots: AsyncMutex<BTreeMap<String, Slot>>,
    network: AsyncMutex<Network>,
    feeds: Mutex<Vec<(String, Feed)>>,
    history: Mutex<Vec<Happened>>,
    tested: Option<SelfTest>,
    topology: Topology,
    begun: Instant,
    dir: LabDir,
}

impl NatLab {
    /// Builds the network, tests it, and starts a node on every host.
    ///
    /// # Errors
    /// [`LabError`]; nothing is left behind.
    pub async fn start(userns: &Userns, options: LabOptions) -> Result<Self, LabError> {
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
        let LabOptions { topology, seed, skip_self_test } = options;
        topology.check().map_err(LabError::Topology)?;
        let dir = LabDir::make()?;
        let network = Network::build(userns, &topology, seed).await?;
        dir.note_namespaces(&network.prefix())?;
        let built = begun.elapsed();
        let tested = if skip_self_test {
            network.set_links(&topology);
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
                dir: dir.path().join(&host.name),
                id: keys::peer_id(&keys.public)?,
                keys,
                runs: Runs::Nothing,
            };
            slots.insert(host.name.clone(), slot);
        }
        let lab = Self {
            slots: AsyncMutex::new(slots),
            network: AsyncMutex::new(network),
            feeds: Mutex::default(),
            history: Mutex::default(),
            tested,
            topology,
            begun,
            dir,
        };
        if let Some(tested) = &lab.tested {
            let (built, tested) = (built.as_secs_f64(), tested.took.as_secs_f64());
            tracing::info!("lab: built in {built:.2} s, tested in {tested:.2} s");
        }
        lab.note(Happening::Built);
        Ok(lab)
    }

    /// What was built.
    pub fn topology(&self) -> &Topology {
        &self.topology
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

    /// Who a host's node is, whether it runs or not.
    ///
    /// # Errors
    /// [`LabError::Network`] if there is no such host.
    pub async fn peer_id(&self, host: &str) -> Result<PeerId, LabError> {
        Ok(slot(&mut *self.slots.lock().await, host)?.id)
    }

    /// Where a host's node listens, by its own address.
    ///
    /// # Errors
    /// [`LabError::Network`] if there is no such host.
    pub async fn addr(&self, host: &str) -> Result<SocketAddr, LabError> {
        Ok(slot(&mut *self.slots.lock().await, host)?.addr)
    }

    /// One more feed of a node that runs in this process; its events begin now.
    ///
    /// # Errors
    /// [`LabError::State`] if it does not run here.
    pub async fn feed(&self, host: &str) -> Result<Feed, LabError> {
        match &slot(&mut *self.slots.lock().await, host)?.runs {
            Runs::Here(node) => Ok(node.feed()),
            Runs::Apart(_) => Err(state(host, "in a process of its own")),
            Runs::Nothing => Err(state(host, "not running")),
        }
    }

    /// Starts a host's node in this process, with the identity and the cache it
    /// had before.
    ///
    /// # Errors
    /// [`LabError::State`] if it runs already.
    pub async fn start_node(&self, host: &str) -> Result<Feed, LabError> {
        let bootstrap = self.bootstrap_for(host).await?;
        let device = self.network.lock().await.host(host)?.device.clone();
        let mut slots = self.slots.lock().await;
        let slot = slot(&mut slots, host)?;
        idle(host, &mut slot.runs)?;
        let lock = DataDirLock::acquire(&slot.dir)?;
        let options = NodeOptions {
            data_dir: slot.dir.clone(),
            keys: slot.keys.clone(),
            name: host.to_owned(),
            network: NETWORK.to_owned(),
            secret: None,
            // As a node is started that was told nothing.
            bind: (Ipv4Addr::UNSPECIFIED, slot.addr.port()).into(),
            bootstrap: bootstrap.into_iter().collect(),
            direct_window: Duration::from_secs(2),
            relay_after: Duration::from_secs(1),
            punch: PunchConsent::Any,
            relay_egress: RelayEgressPolicy::Warn,
        };
        // On its own host's runtime: its sockets open where that thread is.
        let started = device
            .spawn(async move |_| Node::start(options, lock).await)
            .map_err(|error| place(host, &error))?
            .await
            .map_err(|error| place(host, &error))?;
        let (node, feed) = started.map_err(|source| LabError::Node { name: host.to_owned(), source })?;
        slot.runs = Runs::Here(Box::new(node));
        drop(slots);
        self.note(Happening::Started { host: host.to_owned(), pid: None });
        Ok(feed)
    }

    /// Starts a host's node as a process of its own, `program run --headless`,
    /// which a kill ends without a word.
    ///
    /// # Errors
    /// [`LabError::State`] if it runs already, [`LabError::Child`] if there is
    /// no process.
    pub async fn start_process(&self, host: &str, program: &Path) -> Result<u32, LabError> {
        let bootstrap = self.bootstrap_for(host).await?;
        let device = self.network.lock().await.host(host)?.device.clone();
        let mut slots = self.slots.lock().await;
        let slot = slot(&mut slots, host)?;
        idle(host, &mut slot.runs)?;
        let log = self.dir.path().join(format!("{host}.log"));
        let child = Child::start(&device, program, &slot.dir, &slot.keys, slot.addr.port(), bootstrap, &log)?;
        let pid = child.pid();
        slot.runs = Runs::Apart(child);
        drop(slots);
        self.note(Happening::Started { host: host.to_owned(), pid: Some(pid) });
        Ok(pid)
    }

    /// Ends a node with a goodbye to its peers.
    ///
    /// # Errors
    /// [`LabError::State`] if it does not run.
    pub async fn stop_node(&self, host: &str) -> Result<(), LabError> {
        match self.take(host).await? {
            Runs::Nothing => return Err(state(host, "not running")),
            Runs::Here(node) => node.stop().await,
            Runs::Apart(child) => child.terminate().await?,
        }
        self.note(Happening::Stopped { host: host.to_owned() });
        Ok(())
    }

    /// Ends a node so that its peers hear nothing of it: a process by SIGKILL;
    /// a node in this process behind a cut uplink, which shows the same outside.
    ///
    /// # Errors
    /// [`LabError::State`] if it does not run.
    pub async fn kill_node(&self, host: &str) -> Result<(), LabError> {
        match self.take(host).await? {
            Runs::Nothing => return Err(state(host, "not running")),
            Runs::Apart(child) => {
                child.kill().await?;
                self.note(Happening::Killed { host: host.to_owned() });
            }
            Runs::Here(node) => {
                let was_cut = self.network.lock().await.uplink(host)?.cut;
                self.network.lock().await.cut(host)?;
                // For its peers it is dead from here on.
                self.note(Happening::Killed { host: host.to_owned() });
                node.stop().await;
                if !was_cut {
                    self.network.lock().await.heal(host)?;
                }
            }
        }
        Ok(())
    }

    /// Cuts a host off without a word.
    ///
    /// # Errors
    /// [`LabError::Network`].
    pub async fn cut(&self, host: &str) -> Result<(), LabError> {
        self.network.lock().await.cut(host)?;
        self.note(Happening::Cut { host: host.to_owned() });
        Ok(())
    }

    /// Undoes [`NatLab::cut`].
    ///
    /// # Errors
    /// [`LabError::Network`].
    pub async fn heal(&self, host: &str) -> Result<(), LabError> {
        self.network.lock().await.heal(host)?;
        self.note(Happening::Healed { host: host.to_owned() });
        Ok(())
    }

    /// Sets what a host's uplink does, in both directions. It does so at once;
    /// what comes back later is what was measured then.
    ///
    /// # Errors
    /// [`LabError::Network`].
    pub async fn set_uplink(&self, host: &str, conditions: Conditions) -> Result<Measured, LabError> {
        self.network.lock().await.set_uplink(host, conditions)?;
        self.note(Happening::UplinkSet { host: host.to_owned(), conditions });
        self.measure_uplink(host).await
    }

    /// Measures what a host's uplink does now.
    ///
    /// # Errors
    /// [`LabError::Network`].
    pub async fn measure_uplink(&self, host: &str) -> Result<Measured, LabError> {
        let part = self.network.lock().await.host(host)?.clone();
        Ok(part.measure().await?)
    }

    /// Sets what the wire between two regions does, in both directions. It does
    /// so at once; what comes back later is what was measured then.
    ///
    /// # Errors
    /// [`LabError::Network`].
    pub async fn set_link(&self, a: &str, b: &str, conditions: Conditions) -> Result<Measured, LabError> {
        self.network.lock().await.set_link(a, b, conditions)?;
        self.note(Happening::LinkSet { between: [a.to_owned(), b.to_owned()], conditions });
        self.measure_link(a, b).await
    }

    /// Measures what the wire between two regions does now.
    ///
    /// # Errors
    /// [`LabError::Network`].
    pub async fn measure_link(&self, a: &str, b: &str) -> Result<Measured, LabError> {
        let part = self.network.lock().await.link(a, b)?.clone();
        Ok(part.measure().await?)
    }

    /// What the wire between two regions is set to, and what has passed it.
    ///
    /// # Errors
    /// [`LabError::Network`].
    pub async fn link_state(&self, a: &str, b: &str) -> Result<(Conditions, Passed), LabError> {
        Ok(self.network.lock().await.link_state(a, b)?)
    }

    /// A socket of one's own on a host, beside its node.
    ///
    /// # Errors
    /// [`LabError::Network`].
    pub async fn socket(&self, host: &str) -> Result<UdpSocket, LabError> {
        self.socket_at(host, 0).await
    }

    /// The same with a port of one's choice.
    ///
    /// # Errors
    /// [`LabError::Network`].
    pub async fn socket_at(&self, host: &str, port: u16) -> Result<UdpSocket, LabError> {
        let part = self.network.lock().await.host(host)?.clone();
        Ok(Place::Host(part.device).socket_at((part.ip, port).into())?)
    }

    /// The address that a router shows to the outside.
    ///
    /// # Errors
    /// [`LabError::Network`].
    pub async fn outside(&self, router: &str) -> Result<Ipv4Addr, LabError> {
        Ok(self.network.lock().await.outside(router)?)
    }

    /// What a router does.
    ///
    /// # Errors
    /// [`LabError::Network`].
    pub async fn nat(&self, router: &str) -> Result<Behaves, LabError> {
        Ok(self.network.lock().await.nat(router)?)
    }

    /// Changes a router's NAT; its mappings go with it.
    ///
    /// # Errors
    /// [`LabError::Network`].
    pub async fn set_nat(&self, router: &str, nat: NatType) -> Result<(), LabError> {
        let from = self.nat(router).await?;
        // Neither outlives a type that cannot have it.
        let cone = matches!(nat, NatType::FullCone | NatType::AddressRestricted | NatType::PortRestricted);
        let to = Behaves { nat, hairpin: from.hairpin && cone, firewall: false };
        self.set_behaviour(router, from, to).await
    }

    async fn set_behaviour(&self, router: &str, from: Behaves, to: Behaves) -> Result<(), LabError> {
        self.network.lock().await.set_nat(router, to)?;
        self.note(Happening::NatChanged { router: router.to_owned(), from, to });
        Ok(())
    }

    /// Makes a router forget all its mappings: every host behind it gets new
    /// ones.
    ///
    /// # Errors
    /// [`LabError::Network`].
    pub async fn flush(&self, router: &str) -> Result<(), LabError> {
        self.network.lock().await.flush(router)?;
        self.note(Happening::Flushed { router: router.to_owned() });
        Ok(())
    }

    /// Undoes everything: uplinks, wires and NATs as the topology says, and
    /// every node that does not run is started again. Gives the new feeds.
    ///
    /// # Errors
    /// The first [`LabError`]; the rest is undone all the same.
    pub async fn restore(&self) -> Result<Vec<(String, Feed)>, LabError> {
        let mut failed = None;
        let mut keep = |result: Result<(), LabError>| {
            if let Err(error) = result {
                failed.get_or_insert(error);
            }
        };
        for host in &self.topology.host {
            let changed = self.network.lock().await.uplink(&host.name)? != Conditions::default();
            if changed {
                keep(self.set_uplink(&host.name, Conditions::default()).await.map(drop));
            }
        }
        let links: Vec<[String; 2]> =
            self.network.lock().await.links.iter().map(|l| l.between.clone()).collect();
        for [a, b] in links {
            let is = |l: &&topology::Link| l.between.contains(&a) && l.between.contains(&b);
            let asked = self.topology.link.iter().find(is).map(topology::Link::conditions);
            let asked = asked.unwrap_or_default();
            let now = self.network.lock().await.link_state(&a, &b)?.0;
            if now != asked {
                keep(self.set_link(&a, &b, asked).await.map(drop));
            }
        }
        for router in &self.topology.router {
            let to = Behaves { nat: router.nat, hairpin: router.hairpin, firewall: router.firewall };
            let from = self.nat(&router.name).await?;
            if from != to {
                keep(self.set_behaviour(&router.name, from, to).await);
            }
        }
        let mut feeds = Vec::new();
        for host in &self.topology.host {
            let idle = slot(&mut *self.slots.lock().await, &host.name)?.runs.ended();
            if idle {
                match self.start_node(&host.name).await {
                    Ok(feed) => feeds.push((host.name.clone(), feed)),
                    Err(error) => keep(Err(error)),
                }
            }
        }
        failed.map_or(Ok(feeds), Err)
    }

    /// Measures the network again, as it is now against what its topology says.
    ///
    /// # Errors
    /// [`LabError::Network`] if it could not be done.
    pub async fn test_again(&self) -> Result<SelfTest, LabError> {
        Ok(self.network.lock().await.self_test(&self.topology).await?)
    }

    /// Ends all nodes with a goodbye, then the network; removes all files.
    pub async fn stop(self) {
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

    /// Whom a host's node is told to dial: the bootstrap, unless it is that.
    async fn bootstrap_for(&self, host: &str) -> Result<Option<SocketAddr>, LabError> {
        let Some(first) = self.topology.bootstrap().filter(|b| b.name != host) else { return Ok(None) };
        self.addr(&first.name).await.map(Some)
    }

    async fn take(&self, host: &str) -> Result<Runs, LabError> {
        let mut slots = self.slots.lock().await;
        Ok(std::mem::replace(&mut slot(&mut slots, host)?.runs, Runs::Nothing))
    }

    fn note(&self, what: Happening) {
        let at = self.begun.elapsed();
        tracing::info!("lab: {what}, after {:.3} s", at.as_secs_f64());
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        if history.len() == HISTORY_MAX {
            history.remove(0);
        }
        history.push(Happened { at, what });
    }
}

fn slot<'a>(slots: &'a mut BTreeMap<String, Slot>, host: &str) -> Result<&'a mut Slot, LabError> {
    let known = slots.keys().cloned().collect::<Vec<_>>().join(", ");
    slots
        .get_mut(host)
        .ok_or_else(|| NetworkError::Unknown { kind: "host", name: host.to_owned(), known }.into())
}

fn idle(host: &str, runs: &mut Runs) -> Result<(), LabError> {
    if runs.ended() { Ok(()) } else { Err(state(host, "running already")) }
}

fn state(host: &str, state: &'static str) -> LabError {
    LabError::State { name: host.to_owned(), state }
}

fn place(host: &str, error: &dyn std::fmt::Display) -> LabError {
    NetworkError::Place { place: host.to_owned(), detail: format!("{error:#}") }.into()
}
