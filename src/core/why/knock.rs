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
            Self::Refused => "is refused",
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
    /// Whether that peer has no NAT, so that it is its own host that answers, and
    /// not the router in front.
    pub own: bool,
    /// By UDP, with the beginning of a QUIC handshake.
    pub udp: Knocked,
    /// By TCP, at the same port.
    pub tcp: Knocked,
}

impl Knock {
    /// Whether its host says that nothing listens at that port.
    pub fn is_not_running(&self) -> bool {
        self.own && self.udp == Knocked::Refused
    }

    /// Whether its host is heard by TCP and not by UDP.
    pub fn is_udp_alone(&self) -> bool {
        self.own && self.tcp.is_heard() && !self.udp.is_heard()
    }

    /// As evidence.
    pub fn text(&self) -> String {
        let heard = self.udp.is_heard() || self.tcp.is_heard();
        let so = match (heard, self.own) {
            (true, true) => ", so its host is up",
            (true, false) => ", by its host or the router in front",
            _ => "",
        };
        format!("knocked at {}: UDP {}, TCP {}{so}", self.addr, self.udp.text(), self.tcp.text())
    }
}
