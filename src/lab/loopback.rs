//! A fleet on 127.0.0.1: every node has a directory and a port of its own, and
//! knows nobody but the first.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tempfile::TempDir;

use crate::model::PunchConsent;
use crate::model::RelayEgressPolicy;
use crate::node::feed::Feed;
use crate::node::keys::{self, KeyError};
use crate::node::lock::{DataDirLock, LockError};
use crate::node::options::NodeOptions;
use crate::node::{Node, StartError};

/// The network that lab nodes belong to: they never mix with others.
pub(super) const NETWORK: &str = "lab";

/// Why a fleet did not start.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// No temporary directory.
    #[error("no temporary directory for a node: {0}")]
    Directory(#[from] io::Error),
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
}

/// Nodes in this process. Their directories go when they stop.
#[derive(Debug)]
pub struct LoopbackFleet {
    nodes: Vec<(Node, TempDir)>,
    feeds: Vec<Feed>,
}

impl LoopbackFleet {
    /// Starts `count` nodes on the current runtime; the first is the bootstrap
    /// of all others.
    ///
    /// # Errors
    /// [`FleetError`] if one does not start; those that did stop again.
    pub async fn start(count: usize) -> Result<Self, FleetError> {
        let mut fleet = Self { nodes: Vec::new(), feeds: Vec::new() };
        for n in 1..=count {
            let bootstrap = fleet.nodes.first().map(|(first, _)| first.local_addr());
            fleet.add(&format!("lab-{n}"), bootstrap).await?;
        }
        Ok(fleet)
    }

    /// Starts one more node.
    ///
    /// # Errors
    /// [`FleetError`] if it does not start.
    pub async fn add(&mut self, name: &str, bootstrap: Option<SocketAddr>) -> Result<(), FleetError> {
        let dir = tempfile::Builder::new().prefix("punchdeck-lab-").tempdir()?;
        let lock = DataDirLock::acquire(dir.path())?;
        let options = NodeOptions {
            data_dir: dir.path().to_owned(),
            keys: keys::generate()?,
            name: name.to_owned(),
            network: NETWORK.to_owned(),
            secret: None,
            bind: (Ipv4Addr::LOCALHOST, 0).into(),
            bootstrap: bootstrap.into_iter().collect(),
            direct_window: std::time::Duration::from_secs(2),
            relay_after: std::time::Duration::from_secs(1),
            punch: PunchConsent::Any,
            relay_egress: RelayEgressPolicy::Warn,
        };
        let (node, feed) = Node::start(options, lock)
            .await
            .map_err(|source| FleetError::Node { name: name.to_owned(), source })?;
        self.nodes.push((node, dir));
        self.feeds.push(feed);
        Ok(())
    }

    /// The nodes in the order of their start.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = &Node> {
        self.nodes.iter().map(|(node, _)| node)
    }

    /// The nodes' feeds with every event from the first on, in the order of
    /// their start; once.
    pub fn take_feeds(&mut self) -> Vec<Feed> {
        std::mem::take(&mut self.feeds)
    }

    /// Stops every node and removes its directory.
    pub async fn stop(self) {
        let stops = self.nodes.into_iter().map(|(node, dir)| async move {
            node.stop().await;
            drop(dir);
        });
        futures_util::future::join_all(stops).await;
    }
}
