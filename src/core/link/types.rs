//! What goes into a link and what comes out.

use std::net::SocketAddr;
use std::time::Duration;

use super::NetworkSecret;
use crate::core::Mono;
use crate::core::wire::Message;
use crate::model::{CloseCode, DropReason, NatType, Path, PeerId, Reason};

/// Names one connection to one peer; the runtime hands them out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// A connection as the runtime reports it.
#[derive(Debug, Clone)]
pub struct ConnInfo {
    /// Its name.
    pub id: ConnId,
    /// The remote address in use, plain.
    pub remote: SocketAddr,
    /// Whether we dialled it.
    pub outbound: bool,
    /// The path it takes as far as we know; the peer's Hello may add to it.
    pub path: Path,
    /// The relay that carries it.
    pub via: Option<PeerId>,
    /// Names the connection on both ends: exported from its TLS session.
    pub channel: [u8; 16],
    /// Key material of the same session, for the proof of membership.
    pub binding: [u8; 32],
    /// Random bytes that the other end's proof has to cover.
    pub nonce: [u8; 32],
}

/// What is the same for every link.
#[derive(Debug, Clone)]
pub struct LinkConfig {
    /// Who we are.
    pub me: PeerId,
    /// The network's name.
    pub network: String,
    /// The fleet's secret, if it is a closed one.
    pub secret: Option<NetworkSecret>,
}

/// What the peer said in its Hello.
#[derive(Debug, Clone)]
pub struct Greeting {
    /// Its name, cleaned.
    pub name: Option<String>,
    /// The protocol version that it and we speak.
    pub version: u16,
    /// Its program version, cleaned.
    pub agent: String,
    /// Its NAT type.
    pub nat: NatType,
    /// Ports at which it answers NAT probes.
    pub probe_ports: Vec<u16>,
    /// Our address as it sees it, plain.
    pub observed: SocketAddr,
    /// Its wall clock minus ours, in milliseconds.
    pub clock_skew_ms: i64,
}

/// What a link wants done, or tells.
#[derive(Debug)]
pub enum LinkOut {
    /// Open a control stream on that connection.
    OpenControl(ConnId),
    /// Write bytes to its control stream.
    Write(ConnId, Vec<u8>),
    /// Close it.
    Close(ConnId, CloseCode),
    /// Its handshake is done: the peer may send ahead on it what a link takes.
    Widen(ConnId),
    /// The link is usable.
    Up {
        /// Whether a new session began: the peer remembers nothing of us.
        fresh: bool,
        /// How long nothing was heard, if it was usable before.
        gap: Option<Duration>,
        /// Messages that the peer never acknowledged and that are gone with the
        /// session before.
        lost: u64,
    },
    /// It moved to another connection while it was usable.
    Moved {
        /// The old path.
        from: Path,
        /// The new one.
        to: Path,
        /// The relay of the old path.
        via: Option<PeerId>,
        /// How long nothing came though something was due, on any connection.
        gap: Duration,
    },
    /// A session that is not the one before took the link over from this connection,
    /// which stood.
    Usurped(ConnInfo),
    /// A lane stands by for the connection in use.
    StandsBy,
    /// It is gone.
    StandbyLost,
    /// Heartbeats are missing.
    Suspect(u32),
    /// They came again.
    Restored {
        /// How long nothing came.
        gap: Duration,
    },
    /// It is not usable any more.
    Down(Reason),
    /// The peer does not speak our protocol.
    Foreign,
    /// A connection ended before its handshake did.
    Refused(Reason),
    /// A message, in order, once.
    Message(Box<Message>),
    /// Something was stopped; count it under this name.
    Stopped(DropReason),
}

/// What is shown of a link.
#[derive(Debug, Clone)]
pub struct LinkStatus {
    /// The connection in use.
    pub info: ConnInfo,
    /// Since when the link stands.
    pub since: Mono,
    /// Smoothed round trip.
    pub rtt_ms: Option<f64>,
    /// Heartbeats missed in a row.
    pub missed: u32,
    /// Bytes of the control stream, over all connections of this link.
    pub bytes_tx: u64,
    /// The same, received.
    pub bytes_rx: u64,
    /// Whether the peer speaks our protocol.
    pub foreign: bool,
}
