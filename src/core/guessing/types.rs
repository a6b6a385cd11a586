//! What goes in and what comes out, and what travels as a datagram.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::plan::{Role, role};
use super::{is_free_port, ports};
use crate::core::gossip::rules::is_public;
use crate::core::limits::{GUESS_DATAGRAM_MAX, GUESS_PROBES_MAX};
use crate::core::nat::Nonce;
use crate::core::wire::{Message, Near};
use crate::model::{DropReason, GuessReport, NatType, PeerId, Reason};

/// How a datagram begins. The first byte is none of a QUIC packet, which has one of
/// its two highest bits set.
const MAGIC: [u8; 8] = *b"\x1ePDGUES\x01";
/// Bytes of a datagram: the magic, and the name of its run.
pub const DATAGRAM_LEN: usize = MAGIC.len() + 16;
const _: () = assert!(DATAGRAM_LEN <= GUESS_DATAGRAM_MAX);

/// A whole datagram: a socket's first word that opens its mapping, or a probe.
pub type Datagram = [u8; DATAGRAM_LEN];

/// Names a run at both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub Nonce);

/// The datagram of a run.
pub fn datagram(run: RunId) -> Datagram {
    let mut bytes = [0; DATAGRAM_LEN];
    bytes[..MAGIC.len()].copy_from_slice(&MAGIC);
    bytes[MAGIC.len()..].copy_from_slice(&run.0);
    bytes
}

/// Whether bytes that came in are of any run, and so no QUIC.
pub fn is_ours(bytes: &[u8]) -> bool {
    bytes.len() == DATAGRAM_LEN && bytes.starts_with(&MAGIC)
}

/// What is known of both ends when a run is to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ground {
    /// Our NAT, as measured.
    pub ours: NatType,
    /// The other end's, as it says.
    pub theirs: NatType,
    /// Where most see us.
    pub at: Option<SocketAddr>,
    /// How our NAT's ports move, if they do so in steps.
    pub near: Option<Near>,
    /// Whether that was looked at just now, and no socket of ours took ports since.
    pub fresh: bool,
    /// Whether a relay carries the link, and only this leads off it.
    pub relayed: bool,
    /// Whether the operator lets this peer.
    pub consents: bool,
}

impl Ground {
    pub(super) fn role(&self, me: PeerId, peer: PeerId) -> Option<Role> {
        let found = role(me, peer, self.ours, self.theirs, ports::sensible(self.near).is_some());
        found.filter(|_| self.relayed)
    }

    /// Whether it takes another look at where our ports have come to: of two symmetric
    /// NATs only the next few are of any use.
    pub fn is_stale(&self) -> bool {
        let both = self.ours == NatType::Symmetric && self.theirs == NatType::Symmetric;
        both && self.near.is_some() && !self.fresh
    }

    /// Where we say that we are.
    pub(super) fn at(&self) -> Option<SocketAddr> {
        self.at.filter(|at| at.is_ipv4() && is_public(at.ip()) && is_free_port(at.port()))
    }
}

/// What is wanted, or told.
#[derive(Debug, Clone, PartialEq)]
pub enum Out {
    /// Say something over the link.
    Say {
        /// To whom.
        peer: PeerId,
        /// What.
        message: Message,
    },
    /// Ask every linked peer where it sees this one, by "who has?".
    Ask {
        /// Whom it is about.
        about: PeerId,
        /// The question's number.
        query: u32,
    },
    /// A run has begun.
    Begun {
        /// With whom.
        peer: PeerId,
    },
    /// Open sockets, and send the datagram from each.
    Open {
        /// Of which run.
        run: RunId,
        /// Where to.
        towards: SocketAddr,
        /// How many more.
        count: u16,
    },
    /// Send the datagram from the node's own socket to each of these ports.
    Probe {
        /// Of which run.
        run: RunId,
        /// To which host.
        to: IpAddr,
        /// To which ports of it.
        ports: Vec<u16>,
    },
    /// Dial from the socket that was met. The others are closed.
    Dial {
        /// Of which run.
        run: RunId,
        /// Where to.
        to: SocketAddr,
        /// When to give up.
        within: Duration,
    },
    /// Close every socket of that run, but for a connection that stands on one.
    Close(RunId),
    /// A run ended.
    Ended(Ended),
    /// Something was stopped; count it under this name.
    Stopped(DropReason),
}

/// A run that is over.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// With whom.
    pub peer: PeerId,
    /// Whether the link left its relay by it, or why not.
    pub result: Result<(), Reason>,
    /// What it opened and sent.
    pub shown: Shown,
}

/// A run as it is shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shown {
    /// What this end does.
    pub opens: bool,
    /// Sockets open at the other end or here.
    pub sockets: Option<u16>,
    /// Probes sent.
    pub probes: Option<u16>,
    /// As many will be.
    pub probes_of: u16,
    /// Whether one met.
    pub met: bool,
}

impl From<Shown> for GuessReport {
    fn from(shown: Shown) -> Self {
        let odds = shown.sockets.zip(shown.probes).map(|(n, m)| super::odds(n, m));
        Self {
            opens: shown.opens,
            sockets: shown.sockets.map(u32::from),
            probes: shown.probes.map(u32::from),
            probes_of: u32::from(shown.probes_of.min(GUESS_PROBES_MAX)),
            odds,
            met: shown.met,
        }
    }
}
