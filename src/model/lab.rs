//! A fleet of a lab as it is now: its hosts, and the wires between its regions.

use serde::{Deserialize, Serialize};

use super::{NatType, PeerId};

/// A node and the host it is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostStatus {
    /// Its name, and its host's.
    pub name: String,
    /// Who it is.
    pub peer_id: PeerId,
    /// Where its host is.
    pub region: String,
    /// The router before its host, unless that is public.
    pub router: Option<RouterStatus>,
    /// Whether it runs.
    pub up: bool,
    /// Whether its host is cut off.
    pub cut: bool,
    /// What else is wrong with its uplink, in words.
    #[serde(default)]
    pub wrong: Option<String>,
}

/// A router.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterStatus {
    /// Its name.
    pub name: String,
    /// Its NAT now.
    pub nat: NatType,
    /// Its NAT as it was built.
    pub built: NatType,
}

/// A wire between two regions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WireStatus {
    /// The regions.
    pub between: [String; 2],
    /// What it is set to, there and back, in milliseconds.
    pub rtt_ms: f64,
    /// Whether it is cut.
    pub cut: bool,
    /// What else is wrong with it, in words.
    #[serde(default)]
    pub wrong: Option<String>,
    /// Whether that differs from how it was built.
    #[serde(default)]
    pub spoilt: bool,
}
