//! Peers and links.

use serde::Serialize;

use super::told::{Told, all};
use crate::model::{LinkRow, PeerRow, Snapshot};

/// The peer cache.
#[derive(Debug, Clone, Serialize)]
pub struct Peers<'a> {
    /// By id.
    pub peers: Vec<Told<'a, PeerRow>>,
}

impl<'a> Peers<'a> {
    /// Of a snapshot.
    pub fn new(snapshot: &'a Snapshot) -> Self {
        Self { peers: all(snapshot.peers.iter().map(|row| &**row), snapshot.at) }
    }
}

/// The links.
#[derive(Debug, Clone, Serialize)]
pub struct Links<'a> {
    /// By their peers' ids.
    pub links: Vec<Told<'a, LinkRow>>,
}

impl<'a> Links<'a> {
    /// Of a snapshot.
    pub fn new(snapshot: &'a Snapshot) -> Self {
        Self { links: all(snapshot.links.iter(), snapshot.at) }
    }
}
