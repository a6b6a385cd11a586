//! What goes into the machine and what comes out.

use super::datagram::Bytes;
use crate::core::engine::TestAction;
use crate::core::link::ConnId;
use crate::core::nat::Nonce;
use crate::core::wire::{Message, TestAnswer, TestOffer};
use crate::model::{DropReason, Path, PathTest, PeerId};

/// Names a run at both ends; only they know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub Nonce);

/// A connection that stands to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// Its name here.
    pub conn: ConnId,
    /// Its name at both ends.
    pub channel: [u8; 16],
    /// The path it takes.
    pub path: Path,
    /// The relay that carries it.
    pub via: Option<PeerId>,
    /// Whether it carries the link.
    pub in_use: bool,
}

/// What is known of a peer that offers a run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ground<'a> {
    /// The connections that stand to it.
    pub ways: &'a [Way],
    /// Whether it is one that we dialled, or that kept a link.
    pub known: bool,
}

/// Something that happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// A peer offers a run.
    Offer {
        /// Who.
        peer: PeerId,
        /// What.
        offer: &'a TestOffer,
        /// What is known of it.
        ground: Ground<'a>,
    },
    /// A peer answers an offer of ours.
    Answer {
        /// Who.
        peer: PeerId,
        /// What it says.
        answer: &'a TestAnswer,
    },
    /// A run is over for the other end.
    Over {
        /// Who says so.
        peer: PeerId,
        /// Which.
        run: Nonce,
    },
    /// A datagram came on a connection of which [`TestAction::Begin`] was said.
    Datagram {
        /// On which.
        conn: ConnId,
        /// What.
        bytes: Bytes,
        /// The largest datagram that the connection has found to pass from here, in
        /// bytes of UDP payload.
        mtu: u16,
    },
    /// Load was read from a run's stream.
    Read {
        /// Which run.
        run: RunId,
        /// Bytes since it began.
        total: u64,
    },
    /// A connection is gone.
    Closed {
        /// Which.
        conn: ConnId,
    },
    /// A link is down.
    Unlinked {
        /// To whom.
        peer: PeerId,
    },
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
    /// Do something on a run's connection.
    Act(TestAction),
    /// A peer's run began here.
    Serving {
        /// Whose.
        peer: PeerId,
        /// How long it lasts, in milliseconds.
        for_ms: u32,
    },
    /// The test is over.
    Ended(Ended),
    /// Something was stopped; count it under this name.
    Stopped(DropReason),
}

/// A test that is over.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// With what it came to.
    pub test: PathTest,
}
