//! A fleet on 127.0.0.1: every node has a directory and a port of its own, and
//! knows nobody but the first.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::drill::{Act, Arena, ArenaError, Baseline, Member};
use super::{LabError, files};
use crate::model::{NatType, PeerId};
use crate::node::feed::Feed;
use crate::node::keys;
use crate::node::lock::DataDirLock;
use crate::node::log::LogControl;
use crate::node::options::NodeOptions;
use crate::node::{Node, StartError};

/// The network that lab nodes belong to: they never mix with others.
pub(super) const NETWORK: &str = "lab";

/// ant-quic drains a socket for up to seven seconds after its node stopped.
const PORT_LET_GO: Duration = Duration::from_secs(8);
/// How often the port is tried meanwhile.
const PORT_LOOK: Duration = Duration::from_millis(100);

/// A node of the fleet, running or not.
#[derive(Debug)]
struct Slot {
    id: PeerId,
    options: NodeOptions,
    running: Option<(Node, Feed)>,
    /// Goes with the slot.
    _dir: TempDir,
}

impl Slot {
    async fn start(&mut self) -> Result<(), LabError> {
        let begun = Instant::now();
        let (node, feed) = loop {
            let lock = DataDirLock::acquire(&self.options.data_dir)?;
            match Node::start(self.options.clone(), lock).await {
                Ok(started) => break started,
                // The port of a node that stopped in this process is let go of
                // a little later.
                Err(StartError::Bind(_)) if begun.elapsed() < PORT_LET_GO => {
                    tokio::time::sleep(PORT_LOOK).await;
                }
                Err(source) => {
                    return Err(LabError::Node { name: self.options.name.clone(), source });
                }
            }
        };
        // Whoever starts it again finds it where it was.
        self.options.bind = node.local_addr();
        self.running = Some((node, feed));
        Ok(())
    }
}

/// Nodes in this process. Their directories go when they stop.
#[derive(Debug, Default)]
pub struct LoopbackFleet {
    slots: Vec<Slot>,
    log: Option<Arc<dyn LogControl>>,
}

impl LoopbackFleet {
    /// Of nodes that may change what the log of the process keeps.
    #[must_use]
    pub fn with_log(log: Arc<dyn LogControl>) -> Self {
        Self { log: Some(log), ..Self::default() }
    }

    /// Starts `count` nodes on the current runtime; the first is the bootstrap
    /// of all others.
    ///
    /// # Errors
    /// [`LabError`] if one does not start; those that did stop again.
    pub async fn start(count: usize) -> Result<Self, LabError> {
        let mut fleet = Self::default();
        match fleet.grow_to(count).await {
            Ok(()) => Ok(fleet),
            Err(error) => {
                fleet.stop().await;
                Err(error)
            }
        }
    }

    /// Starts nodes until there are `count`; the first is the bootstrap of all
    /// others. Dropped half-way it leaves whole nodes, to be stopped.
    ///
    /// # Errors
    /// [`LabError`] if one does not start.
    pub async fn grow_to(&mut self, count: usize) -> Result<(), LabError> {
        files::suffice_on_loopback(count.saturating_sub(self.slots.len()))?;
        for n in self.slots.len() + 1..=count {
            self.add(&format!("lab-{n}"), false).await?;
        }
        Ok(())
    }

    /// Starts one more node; it knows the first, and if passive dials nobody
    /// else.
    ///
    /// # Errors
    /// [`LabError`] if it does not start.
    pub async fn add(&mut self, name: &str, passive: bool) -> Result<(), LabError> {
        let dir = tempfile::Builder::new().prefix("punchdeck-lab-").tempdir()?;
        let first: Option<SocketAddr> = self.slots.first().map(|slot| slot.options.bind);
        let keys = keys::generate()?;
        let bind = (Ipv4Addr::LOCALHOST, 0).into();
        let options = NodeOptions {
            bootstrap: first.into_iter().collect(),
            passive,
            log: self.log.as_ref().map(|log| log.another()),
            // It is one host, and whoever tests it sees it from a node of its own.
            ..NodeOptions::new(dir.path().to_owned(), keys, name, NETWORK, bind)
        };
        let id = keys::peer_id(&options.keys.public)?;
        let mut slot = Slot { id, options, running: None, _dir: dir };
        slot.start().await?;
        self.slots.push(slot);
        Ok(())
    }

    /// The nodes that run, in the order of their first start.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.slots.iter().filter_map(|slot| slot.running.as_ref()).map(|(node, _)| node)
    }

    /// The feed of the newest node, with every event from its first on.
    pub fn newest(&mut self) -> Option<Feed> {
        let (node, feed) = self.slots.last_mut()?.running.as_mut()?;
        let later = node.feed();
        Some(std::mem::replace(feed, later))
    }

    /// Stops every node and removes its directory.
    pub async fn stop(self) {
        let stops = self.slots.into_iter().map(|mut slot| async move {
            if let Some((node, _)) = slot.running.take() {
                node.stop().await;
            }
            // Its directory is needed until here: the node saves at its end.
            drop(slot);
        });
        futures_util::future::join_all(stops).await;
    }

    fn slot(&mut self, name: &str) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|slot| slot.options.name == name)
    }
}

impl Arena for LoopbackFleet {
    fn kind(&self) -> String {
        "loopback".into()
    }

    fn members(&self) -> Vec<Member> {
        let member = |slot: &Slot| Member {
            name: slot.options.name.clone(),
            peer_id: slot.id,
            running: slot.running.is_some(),
            feed: slot.running.as_ref().map(|(_, feed)| feed.clone()),
        };
        self.slots.iter().map(member).collect()
    }

    fn nat_of(&self, _: &str) -> Option<NatType> {
        None
    }

    fn round_trip(&self, _: &str, _: &str) -> Option<Duration> {
        None
    }

    async fn act(&mut self, act: Act) -> Result<(), ArenaError> {
        let failed = |e: LabError| ArenaError::Failed(e.to_string());
        match act {
            Act::Start { node, passive } => match self.slot(&node) {
                Some(slot) if slot.running.is_some() => {
                    Err(ArenaError::Failed(format!("{node} runs already")))
                }
                Some(slot) => slot.start().await.map_err(failed),
                None => self.add(&node, passive).await.map_err(failed),
            },
            Act::Stop(name) => {
                let slot = self.slot(&name).ok_or_else(|| ArenaError::Unknown(format!("node {name}")))?;
                if let Some((node, _)) = slot.running.take() {
                    node.stop().await;
                }
                Ok(())
            }
            Act::Kill(_) => Err(unsupported("kill a node: its nodes are in this process")),
            Act::Cut(_) | Act::Heal(_) => Err(unsupported("cut a host off")),
            Act::Lie(_) | Act::Own(_) => Err(unsupported("make a relay lie")),
            Act::SetNat(..) | Act::Flush(_) => Err(unsupported("change a NAT")),
            Act::Fault(_) => Err(unsupported(FAULTS)),
        }
    }

    async fn mapped_port(&self, _: &str) -> Result<Option<u16>, ArenaError> {
        Err(unsupported("change a NAT"))
    }

    async fn pair(&mut self, _: NatType, _: NatType) -> Result<(String, String), ArenaError> {
        Err(unsupported("put nodes behind NATs"))
    }

    async fn end_pair(&mut self, _: (String, String)) {}

    async fn baseline(&mut self, _: &[(NatType, NatType)]) -> Result<Vec<Baseline>, ArenaError> {
        Err(unsupported("put nodes behind NATs"))
    }
}

/// What it takes a network of one's own for.
const FAULTS: &str = "have a wire, a clock, an address or a sleeping machine go wrong";

fn unsupported(what: &str) -> ArenaError {
    ArenaError::Unsupported(format!("{what} (it is on loopback)"))
}
