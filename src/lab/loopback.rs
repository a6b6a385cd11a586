//! A fleet on 127.0.0.1: every node has a directory and a port of its own, and
//! knows nobody but the first.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::drill::{Arena, Member};
use super::ops::{Anew, Fleet, FleetOp, InteractiveFleet, OpError};
use super::{LabError, NETWORK, files};
use crate::model::{HostStatus, NatType, PeerId, WireStatus};
use crate::node::feed::Feed;
use crate::node::keys;
use crate::node::lock::DataDirLock;
use crate::node::options::NodeOptions;
use crate::node::{Node, StartError};

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
}

impl LoopbackFleet {
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

impl Fleet for LoopbackFleet {
    fn kind(&self) -> String {
        "loopback".into()
    }

    fn nat_of(&self, _: &str) -> Option<NatType> {
        None
    }

    async fn act(&mut self, op: FleetOp) -> Result<Anew, OpError> {
        match op {
            FleetOp::Start { node, passive } => {
                match self.slot(&node) {
                    Some(slot) if slot.running.is_some() => {
                        return Err(OpError::Failed(format!("{node} runs already")));
                    }
                    Some(slot) => slot.start().await?,
                    None => self.add(&node, passive).await?,
                }
                let feed = self.feed(&node).await?;
                Ok(vec![(node, feed)])
            }
            FleetOp::Stop(name) => {
                let slot = self.slot(&name).ok_or_else(|| OpError::Unknown(format!("node {name}")))?;
                if let Some((node, _)) = slot.running.take() {
                    node.stop().await;
                }
                Ok(Vec::new())
            }
            FleetOp::Kill(_) => Err(unsupported("kill a node: its nodes are in this process")),
            FleetOp::Cut(_) | FleetOp::Heal(_) => Err(unsupported("cut a host off")),
            FleetOp::Blackhole { .. } => Err(unsupported("make a relay lie")),
            FleetOp::SetNat(..) | FleetOp::Flush(_) => Err(unsupported("change a NAT")),
            FleetOp::CutWire { .. } | FleetOp::Spoil(_) | FleetOp::Fault(_) => Err(unsupported(FAULTS)),
        }
    }
}

impl InteractiveFleet for LoopbackFleet {
    fn has_network(&self) -> bool {
        false
    }

    async fn hosts(&self) -> Result<Vec<HostStatus>, OpError> {
        let status = |slot: &Slot| HostStatus {
            name: slot.options.name.clone(),
            peer_id: slot.id,
            region: "host".to_owned(),
            router: None,
            up: slot.running.is_some(),
            cut: false,
            wrong: None,
        };
        Ok(self.slots.iter().map(status).collect())
    }

    async fn wires(&self) -> Vec<WireStatus> {
        Vec::new()
    }

    async fn feed(&self, node: &str) -> Result<Feed, OpError> {
        let slot = self.slots.iter().find(|slot| slot.options.name == node);
        let feed = slot.and_then(|slot| slot.running.as_ref()).map(|(_, feed)| feed.clone());
        feed.ok_or_else(|| OpError::Failed(format!("{node} does not run")))
    }

    async fn restore(&mut self) -> Result<Anew, OpError> {
        let down = self.slots.iter().filter(|slot| slot.running.is_none());
        let down: Vec<String> = down.map(|slot| slot.options.name.clone()).collect();
        let mut anew = Vec::new();
        for node in down {
            anew.extend(self.act(FleetOp::Start { node, passive: false }).await?);
        }
        Ok(anew)
    }

    async fn stop(self) {
        LoopbackFleet::stop(self).await;
    }
}

impl Arena for LoopbackFleet {
    fn members(&self) -> Vec<Member> {
        let member = |slot: &Slot| Member {
            name: slot.options.name.clone(),
            peer_id: slot.id,
            running: slot.running.is_some(),
            feed: slot.running.as_ref().map(|(_, feed)| feed.clone()),
        };
        self.slots.iter().map(member).collect()
    }
}

/// What it takes a network of one's own for.
const FAULTS: &str = "have a wire, a clock, an address or a sleeping machine go wrong";

fn unsupported(what: &str) -> OpError {
    OpError::Unsupported(format!("{what} (it is on loopback)"))
}
