//! Why a fleet, or a lab, is not to be had.

use super::topology::Flaw;
use super::{NetworkError, SelfTest};
use crate::control::ClientError;
use crate::node::StartError;
use crate::node::keys::KeyError;
use crate::node::lock::LockError;

/// Why a fleet did not start, or did not do what was asked; on loopback it can
/// only be a directory, a key, a lock or a node.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// Its registry.
    #[error("the lab's registry: {0}")]
    Registry(String),
    /// The topology cannot be built.
    #[error("the topology: {0}")]
    Topology(Flaw),
    /// The network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// It is not what its topology claims.
    #[error("the lab is not what its topology says, and does not start:\n{0}")]
    SelfTest(SelfTest),
    /// The host lets this process open too few files.
    #[error(
        "this lab needs up to {needs} open files, {open} are open already, and this process may have \
         {limit} (ulimit -Hn): raise that limit, or take a smaller lab"
    )]
    OpenFiles {
        /// How many the lab needs.
        needs: u64,
        /// How many are open before it.
        open: u64,
        /// How many the host allows at most.
        limit: u64,
    },
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
    #[cfg(all(target_os = "linux", feature = "nat-lab"))]
    #[error(transparent)]
    Child(#[from] super::ChildError),
    /// A node of the library alone.
    #[error("stock node on {host}: {detail}")]
    Stock {
        /// Where.
        host: String,
        /// What is wrong.
        detail: String,
    },
    /// A node's process runs and does not answer.
    #[error("node {name} does not answer: {error}")]
    Silent {
        /// Which.
        name: String,
        /// What was tried last.
        error: ClientError,
    },
    /// The node is in a state that does not allow it.
    #[error("node {name} is {state}")]
    State {
        /// Which.
        name: String,
        /// What it is.
        state: &'static str,
    },
}
