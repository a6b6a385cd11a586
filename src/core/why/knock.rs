//! Knocking: whether a host that stays silent to our dials is there at all, and
//! whether it is UDP alone that does not pass. One datagram and one TCP connect
//! to where we dialled before, and only when a person asks why.

use std::net::SocketAddr;

use crate::model::PeerId;

/// What came of one knock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

    fn text(self) -> &'static str {
        match self {
            Self::Answered => "answers",
            Self::Refused => "is refused: the host is up, and nothing listens",
            Self::Silent => "stays silent",
            Self::Forbidden => "is not let out by our own host",
            Self::NoRoute => "finds no way there",
        }
    }
}

/// A host that was knocked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Knock {
    /// Where.
    pub addr: SocketAddr,
    /// Whose address it is.
    pub of: PeerId,
    /// By UDP, with the beginning of a QUIC handshake.
    pub udp: Knocked,
    /// By TCP, at the same port.
    pub tcp: Knocked,
}

impl Knock {
    /// Whether the host is heard by TCP and not by UDP.
    pub fn is_udp_alone(&self) -> bool {
        self.tcp.is_heard() && !self.udp.is_heard()
    }

    /// As evidence.
    pub fn text(&self) -> String {
        format!("knocked at {}: UDP {}; TCP {}", self.addr, self.udp.text(), self.tcp.text())
    }
}
