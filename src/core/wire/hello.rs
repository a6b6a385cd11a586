//! The first frame each end says on a connection.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{PROTOCOL_HIGH, PROTOCOL_LOW, lenient};
use crate::model::{NatType, Path};

/// Who speaks here, and what he sees of the other end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The lowest protocol version the sender speaks.
    pub low: u16,
    /// The highest one.
    pub high: u16,
    /// The network's name; another one closes the link.
    pub network: String,
    /// The name the sender gives itself.
    pub name: String,
    /// The sender's program and version.
    pub agent: String,
    /// The sender's NAT type as it measured it.
    #[serde(with = "lenient::nat")]
    pub nat: NatType,
    /// The receiver's address as the sender sees it.
    pub observed: SocketAddr,
    /// Ports at which the sender answers NAT probes: at most
    /// [`super::super::limits::PROBE_PORTS_MAX`] are kept.
    #[serde(deserialize_with = "lenient::any_number")]
    pub probe_ports: Vec<u16>,
    /// The sender's wall clock in milliseconds since the Unix epoch: shown,
    /// never computed with.
    pub wall_ms: i64,
    /// Names the QUIC connection; the same at both ends.
    pub channel: [u8; 16],
    /// The connection's path, stated by the end that dialled.
    #[serde(with = "lenient::path")]
    pub path: Option<Path>,
    /// Whether the sender dialled this connection.
    pub outbound: bool,
    /// What stood for a proof of membership before [`super::Frame::Proof`] did: nobody
    /// gives it any more.
    pub proof: Option<[u8; 32]>,
}

impl Hello {
    /// The version both ends speak, if there is one.
    pub fn version_with_us(&self) -> Option<u16> {
        common_version(PROTOCOL_LOW, PROTOCOL_HIGH, self.low, self.high)
    }
}

/// The highest version in both ranges.
pub fn common_version(a_low: u16, a_high: u16, b_low: u16, b_high: u16) -> Option<u16> {
    let high = a_high.min(b_high);
    (a_low <= high && b_low <= high).then_some(high)
}
