//! Messages of the NAT probe. The datagrams that go beside the link are in
//! [`core::nat::datagram`](crate::core::nat::datagram).

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// A random value that names a request.
pub type Nonce = [u8; 16];

/// "Put this into what you send to my probe ports": without it nothing is
/// answered there, so that only linked peers are served. Said once per link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeToken {
    /// Names the link to the responder.
    pub token: [u8; 16],
}

/// "Send me one datagram, from a port that this mapping of mine has never
/// contacted."
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DialBack {
    /// What the datagram carries.
    pub nonce: [u8; 16],
    /// The asker's mapping as a responder saw it. Its IP must be the one that
    /// the asked end observes on the asking link: nobody else can be aimed at.
    pub target: SocketAddr,
}

/// The answer to [`DialBack`], so that a datagram that was never sent does not
/// count as one that was filtered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DialBackAnswer {
    /// The request's.
    pub nonce: [u8; 16],
    /// Whether the datagram went out.
    pub sent: bool,
}
