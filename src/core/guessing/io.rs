//! What a run wants of sockets, and what comes of it.

use std::net::SocketAddr;
use std::time::Duration;

use super::types::{Datagram, RunId};
use crate::model::Reason;

/// What a run wants of the sockets outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuessAction {
    /// Open sockets and send `bytes` from each; [`GuessInput::Opened`] answers.
    Open {
        /// The run's name.
        run: RunId,
        /// Where to, and where alone anything may come from.
        towards: SocketAddr,
        /// How many more.
        count: u16,
        /// What is sent, and what is to come in.
        bytes: Datagram,
    },
    /// Send `bytes` from the node's own socket.
    Probe {
        /// To which addresses.
        to: Vec<SocketAddr>,
        /// The datagram.
        bytes: Datagram,
    },
    /// Dial from the socket that was met; the others are closed.
    /// [`GuessInput::DialFailed`] answers where nothing comes up.
    Dial {
        /// The run's name.
        run: RunId,
        /// The address to dial.
        to: SocketAddr,
        /// When to give up.
        within: Duration,
    },
    /// Close every socket of that run, but for a connection that stands on one.
    Close(RunId),
}

/// What comes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuessInput {
    /// Sockets were opened.
    Opened {
        /// The run's name.
        run: RunId,
        /// How many are open now.
        open: u16,
        /// What the system said, where they are fewer than were asked for.
        trouble: Option<String>,
    },
    /// The run's datagram came in on a socket.
    Met {
        /// The run's name.
        run: RunId,
        /// The address that the probe came from.
        from: SocketAddr,
    },
    /// The dial came to nothing.
    DialFailed {
        /// The run's name.
        run: RunId,
        /// The reason.
        reason: Reason,
    },
}
