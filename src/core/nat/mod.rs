//! What our NAT does, measured by our own peers: the mesh is its own STUN
//! service (RFC 4787 for the words, RFC 5780 for the method).
//!
//! [`Responder`] serves others: it tells what source address it saw, and sends
//! a single datagram to whoever asks for one over a link. [`NatProbe`] measures
//! ourselves with the responders of our peers, one address family per probe.
//! [`reach`] tests whether a peer that claims to be public is. Nothing here
//! concludes anything from how connections fare.
//!
//! A run takes sockets of its own and throws them away, because a NAT remembers
//! whom a mapping has contacted, and everybody counts as contacted after one
//! use:
//! - one socket asks all responders, at both their ports, what they see:
//!   the **mapping**;
//! - up to three more ask one responder each, and no other. Then another one
//!   sends a datagram there, asked over its link (is a **stranger** let in?),
//!   and the contacted one answers from its other port (is **another port** let
//!   in?). What arrives is proof, whoever sent it; what does not arrive counts
//!   only if two pairs of responders, three times each, sent it in vain.
//!
//! Behind it, every few hours, it is measured how long a silent mapping lives.
//!
//! Whom to ask in a lab: a node on a public address of each of three hosts,
//! and the node under test behind the NAT; link it to all three, then
//! [`Command::NatProbe`](crate::model::Command::NatProbe) answers
//! [`Done::Probed`](crate::model::Done::Probed) within some two seconds, and
//! [`Snapshot::nat`](crate::model::Snapshot::nat) holds the same. Addresses of
//! private networks and of loopback are no vantage points.

mod budget;
mod claims;
mod classify;
pub mod datagram;
mod lifetime;
mod order;
mod part;
mod probe;
pub mod reach;
mod responder;
mod run;
mod sights;
mod spells;
#[cfg(test)]
mod tests;
mod tools;
mod verdict;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

pub(in crate::core) use part::{Input, Nat, Setup};
pub use probe::{INTERVAL, NatProbe, RELAYED_INTERVAL, VALID};
pub use responder::{Reply, Responder};

use super::wire::Message;
use crate::model::{NatView, PeerId};

/// A random value that names a request.
pub type Nonce = [u8; 16];

/// An address family; each has a NAT of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of a (plain) address.
    pub fn of(ip: IpAddr) -> Self {
        if ip.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

/// Names a socket of a probe; unique over both families of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u64);

/// A linked peer that answers probes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VantagePoint {
    /// Who.
    pub peer: PeerId,
    /// Its address on our link, plain.
    pub ip: IpAddr,
    /// Its two probe ports.
    pub ports: [u16; 2],
    /// What it wants in our datagrams.
    pub token: Nonce,
    /// The link's round trip.
    pub rtt: Duration,
    /// The lower, the likelier it can be reached unasked.
    pub rank: u8,
}

/// What a probe wants done, or tells.
#[derive(Debug)]
pub enum NatAction {
    /// Bind a fresh UDP socket; [`NatProbe::on_socket`] answers.
    Open {
        /// Its name from now on.
        socket: SocketId,
        /// Of which family.
        family: Family,
        /// Whom it will talk to: tells which local address it uses.
        towards: SocketAddr,
    },
    /// Drop it.
    Close(SocketId),
    /// Send a datagram.
    Send {
        /// From which socket.
        socket: SocketId,
        /// Where to.
        to: SocketAddr,
        /// What.
        bytes: datagram::Bytes,
    },
    /// Say something over a link.
    Say {
        /// To whom.
        peer: PeerId,
        /// What.
        message: Message,
    },
    /// The view changed or was confirmed.
    Result(Box<NatView>),
    /// A measurement that was asked for ended.
    Answered(Box<NatView>),
    /// Something was stopped; count it under this name.
    Stopped(&'static str),
}
