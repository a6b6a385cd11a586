//! Peers and links as they are shown.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{AttemptId, NatType, PeerId, Reason, Stamp, Tested};

/// How a link's bytes travel. Always read off the remote address in use and
/// agreed with the peer, never off the method that opened it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Path {
    /// Straight to an address of the peer that needed no help.
    Direct,
    /// Straight, through a NAT mapping that a coordinated punch opened.
    Punched,
    /// Through a relay.
    Relayed,
}

impl Path {
    /// The name as it stands in JSON and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Punched => "punched",
            Self::Relayed => "relayed",
        }
    }

    /// Whether the remote address of such a path is the peer's own: no relay stands
    /// between.
    pub fn is_straight(self) -> bool {
        self != Self::Relayed
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a peer stands with us now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerState {
    /// A link is up and its heartbeats are answered.
    Linked,
    /// A link is up and a heartbeat is overdue.
    Suspect,
    /// Connected on the QUIC level, but it does not speak our protocol.
    Foreign,
    /// An attempt is running.
    Connecting,
    /// In the cache, no link, nothing against it.
    Known,
    /// The last attempt failed on every stage.
    Unreachable,
    /// Disconnected by an operator; automatic dials wait.
    HeldOff,
}

impl PeerState {
    /// The name as it stands in JSON and texts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linked => "linked",
            Self::Suspect => "suspect",
            Self::Foreign => "foreign",
            Self::Connecting => "connecting",
            Self::Known => "known",
            Self::Unreachable => "unreachable",
            Self::HeldOff => "held off",
        }
    }

    /// Whether a connection to the peer stands.
    pub fn is_up(self) -> bool {
        matches!(self, Self::Linked | Self::Suspect | Self::Foreign)
    }
}

/// How we first learned of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// From the configured bootstrap list.
    Bootstrap,
    /// From the cache on disk, written by an earlier version or by ant-quic.
    Cache,
    /// From another peer's gossip.
    Gossip,
    /// It connected to us.
    Inbound,
}

impl Source {
    /// The name as it stands in JSON; its first four letters stand in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bootstrap => "bootstrap",
            Self::Cache => "cache",
            Self::Gossip => "gossip",
            Self::Inbound => "inbound",
        }
    }
}

/// Somebody else was linked here under a peer's name lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlsoCalled {
    /// Who.
    pub peer_id: PeerId,
    /// Until when, to the minute.
    pub until: Stamp,
}

/// One row of the peer cache.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PeerRow {
    /// Who.
    pub peer_id: PeerId,
    /// The name it gives itself (claimed), cleaned for display.
    pub name: Option<String>,
    /// Whether it is linked under that name, or was within thirty days: else the
    /// name is only what others call it.
    #[serde(default)]
    pub linked_as: bool,
    /// Who else was linked under that name within thirty days, most recently.
    #[serde(default)]
    pub also: Option<Box<AlsoCalled>>,
    /// Whether `name` and `nat_type` came from the peer itself over a link
    /// authenticated as that peer; otherwise they are hearsay.
    pub first_hand: bool,
    /// Addresses it may be reached at (claimed), at most eight.
    pub addresses: Vec<SocketAddr>,
    /// Its NAT type (claimed).
    pub nat_type: NatType,
    /// Where it stands with us.
    pub state: PeerState,
    /// The path of its link, while there is one.
    pub path: Option<Path>,
    /// Smoothed round-trip time in milliseconds: measured now if linked, else
    /// as last measured.
    pub rtt_ms: Option<f64>,
    /// Attempts we ran towards it (measured, kept over restarts).
    pub attempts: u32,
    /// How many of them ended connected.
    pub successes: u32,
    /// Our last contact with it, or the most recent one somebody told us of.
    pub last_seen: Option<Stamp>,
    /// Whether we ever dialled it with success, or it kept a link to us for a minute.
    pub tried: bool,
    /// How we learned of it.
    pub source: Source,
    /// Its record's version, chosen by itself.
    pub version: u64,
    /// Why the last attempt failed, if it did.
    pub last_failure: Option<Reason>,
    /// When an automatic attempt is due.
    pub next_attempt: Option<Stamp>,
    /// The running or most recent attempt towards it.
    pub attempt: Option<AttemptId>,
    /// What the latest test says of a path like that of its link.
    #[serde(default)]
    pub tested: Option<Box<Tested>>,
}

impl PeerRow {
    /// Successes over attempts; `None` before the first attempt.
    pub fn success_rate(&self) -> Option<f64> {
        (self.attempts > 0).then(|| f64::from(self.successes) / f64::from(self.attempts))
    }
}

/// One link.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinkRow {
    /// To whom.
    pub peer_id: PeerId,
    /// How its bytes travel.
    pub path: Path,
    /// The remote address in use.
    pub remote_addr: SocketAddr,
    /// The relay's identity, for a relayed link.
    pub via: Option<PeerId>,
    /// The relay under the lane that stands by for a relayed link, if one does
    /// and answers.
    #[serde(default)]
    pub standby: Option<PeerId>,
    /// Smoothed heartbeat round trip in milliseconds.
    pub rtt_ms: Option<f64>,
    /// Since when the link stands.
    pub since: Stamp,
    /// Whether we dialled it.
    pub outbound: bool,
    /// Bytes of our control stream sent.
    pub bytes_tx: u64,
    /// Bytes of our control stream received.
    pub bytes_rx: u64,
    /// Heartbeats missed in a row.
    pub missed: u32,
    /// Our address as this peer sees it (claimed).
    pub observed: Option<SocketAddr>,
    /// The peer's wall clock minus ours when the link came up, in milliseconds
    /// (claimed; shown, never computed with).
    pub clock_skew_ms: Option<i64>,
    /// Whether the peer speaks our protocol.
    pub foreign: bool,
}
