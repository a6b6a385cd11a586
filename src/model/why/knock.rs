//! Knocking: whether a host that stays silent to our dials is there at all, and
//! whether it is UDP alone that does not pass, or only its long datagrams. A long and a
//! short datagram and one TCP connect to where we dialled before, and only when a
//! person asks why.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::model::PeerId;

/// What came of one knock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Knocked {
    /// Something answered.
    Answered,
    /// The host says that nothing listens there: it is up.
    Refused,
    /// Nothing came back in time.
    Silent,
    /// Our own host does not let it out.
    Forbidden,
    /// Our own host knows no way there.
    NoRoute,
}

impl Knocked {
    /// Whether the host at the other end was heard.
    pub fn is_heard(self) -> bool {
        matches!(self, Self::Answered | Self::Refused)
    }
}

/// What was heard of one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// By UDP, with the beginning of a QUIC handshake.
    pub udp: Knocked,
    /// By UDP, with a short datagram.
    pub short: Knocked,
    /// By TCP, at the same port.
    pub tcp: Knocked,
}

/// A host that was knocked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Knock {
    /// Where.
    pub addr: SocketAddr,
    /// Whose address it is.
    pub of: PeerId,
    /// Whether that peer has no NAT, so that it is its own host that answers, and
    /// not the router in front.
    pub own: bool,
    /// What was heard.
    pub heard: Heard,
}

impl Knock {
    /// Whether short datagrams are answered there and long ones are not.
    pub fn is_narrow(&self) -> bool {
        self.heard.short == Knocked::Answered && self.heard.udp == Knocked::Silent
    }

    /// Whether its host says that nothing listens at that port.
    pub fn is_not_running(&self) -> bool {
        self.own && self.heard.udp == Knocked::Refused
    }

    /// Whether its host is heard by TCP and not by UDP.
    pub fn is_udp_alone(&self) -> bool {
        self.own && self.heard.tcp.is_heard() && !self.heard.udp.is_heard() && !self.heard.short.is_heard()
    }
}
