//! What the answers to why must know of the rest of the node.

use std::sync::Arc;

use crate::core::Now;
use crate::core::attempts::Attempts;
use crate::core::coordination::Coordinator;
use crate::core::dialer::Dialer;
use crate::core::host::Ways;
use crate::core::peers::Peers;
use crate::core::targets::Targets;
use crate::core::twice::Twice;
use crate::model::{PathTest, PeerId};

/// What must be known of the rest of the node.
#[derive(Clone, Copy)]
pub(in crate::core) struct View<'a> {
    pub(in crate::core) targets: Targets<'a>,
    pub(in crate::core) attempts: &'a Attempts,
    pub(in crate::core) dialer: &'a Dialer,
    pub(in crate::core) ways: &'a Ways,
    pub(in crate::core) twice: &'a Twice,
    pub(in crate::core) coordination: &'a Coordinator,
    /// The name of our network.
    pub(in crate::core) network: &'a str,
    /// Whether a guessed punch with a peer is of any use.
    pub(in crate::core) guessable: &'a dyn Fn(&PeerId) -> bool,
    /// The latest test of the paths to a peer.
    pub(in crate::core) tested: &'a dyn Fn(&PeerId) -> Option<Arc<PathTest>>,
}

impl<'a> View<'a> {
    pub(super) fn peers(&self) -> Peers<'a> {
        self.targets.peers
    }

    pub(super) fn now(&self) -> Now {
        self.targets.peers.now
    }
}
