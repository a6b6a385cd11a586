//! What goes into the relay service and what comes out.

use std::net::{IpAddr, SocketAddr};

use super::Traffic;
use crate::core::Mono;
use crate::core::link::ConnId;
use crate::model::{DropReason, PeerId, RelayMode, ServedEnd};

/// Names a request for a reservation, and what came of it; the runtime hands them
/// out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServeId(pub u64);

/// Somebody asks for a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// For the answer.
    pub id: ServeId,
    /// Who: authenticated by the connection's TLS session.
    pub peer: PeerId,
    /// Over which connection.
    pub conn: ConnId,
    /// Whether an address of ours is wanted; else we should send to somebody whom
    /// the request names, which we do for nobody.
    pub bind: bool,
}

/// What of a peer the service must know: the links own it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sight {
    /// How we are linked to it.
    pub standing: Standing,
    /// The connection in question, as long as it stands.
    pub way: Option<Way>,
    /// When its link last said anything.
    pub heard: Mono,
}

/// How we are linked to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// A link is up: it is a member of our network, and proved it where that takes
    /// a proof.
    Linked,
    /// A connection stands on which it may still say so.
    Coming,
    /// Neither.
    Stranger,
}

/// A connection, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// Where the other end is seen.
    pub ip: IpAddr,
    /// Whether a relay carries it.
    pub lane: bool,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Somebody asks.
    Asked(Ask),
    /// What was granted stands.
    Started {
        /// Which.
        id: ServeId,
        /// Where it is reached.
        public_addr: SocketAddr,
    },
    /// What was granted is gone, by itself or because it was to end.
    Ended {
        /// Which.
        id: ServeId,
        /// Why, as far as it ended by itself.
        why: ServedEnd,
        /// What went through it.
        traffic: Traffic,
    },
    /// What went through each since it began.
    Traffic(Vec<(ServeId, Traffic)>),
    /// The operator has changed his mind.
    Mode(RelayMode),
    /// The node stops.
    Stop,
}

/// Something to be done or told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Give that request an address; [`Input::Started`] or [`Input::Ended`]
    /// answers.
    Grant(ServeId),
    /// Refuse it.
    Refuse {
        /// Which.
        id: ServeId,
        /// Whose.
        peer: PeerId,
        /// Why.
        why: Refusal,
    },
    /// End a reservation; [`Input::Ended`] answers.
    End {
        /// Which.
        id: ServeId,
        /// Why.
        why: ServedEnd,
    },
    /// We began to serve somebody.
    Serving {
        /// Whom.
        peer: PeerId,
        /// Where it is reached.
        public_addr: SocketAddr,
    },
    /// We serve somebody no more.
    Served {
        /// Whom.
        peer: PeerId,
        /// Why.
        why: ServedEnd,
        /// What went through it altogether.
        traffic: Traffic,
    },
}

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// It wants us to send to somebody whom it names.
    NotABind,
    /// The operator of this node lets nobody use it as a relay.
    Off,
    /// No link of our network is up to whoever asks.
    NotLinked,
    /// It asks through a relay: who cannot be reached directly is no use to be
    /// reached through.
    OverLane,
    /// The operator ended its last one, a moment ago.
    KeptOff,
    /// It asks too often.
    TooOften,
    /// As many are served as we serve.
    Full,
    /// As many are served at its address as we serve there.
    PerAddress,
    /// The system gave us no socket.
    NoSocket,
}

impl Refusal {
    /// The answer's status, as in HTTP: what the client did wrong (400), does not
    /// get because of who it is (403), should try later (429, 503), or gets from
    /// nobody here (501).
    pub fn status(self) -> u16 {
        match self {
            Self::NotABind => 400,
            Self::NotLinked | Self::OverLane => 403,
            Self::KeptOff | Self::TooOften => 429,
            Self::Off => 501,
            Self::Full | Self::PerAddress | Self::NoSocket => 503,
        }
    }

    /// What it is counted under.
    pub fn counted_as(self) -> DropReason {
        match self {
            Self::NotABind => DropReason::RelayAskedToAim,
            Self::Off => DropReason::RelayAskedWhileOff,
            Self::NotLinked => DropReason::RelayAskedByStranger,
            Self::OverLane => DropReason::RelayAskedOverRelay,
            Self::KeptOff => DropReason::RelayAskedWhileKeptOff,
            Self::TooOften => DropReason::RelayAskedTooOften,
            Self::Full => DropReason::ReservationsServed,
            Self::PerAddress => DropReason::ReservationsPerAddress,
            Self::NoSocket => DropReason::NoReservationSocket,
        }
    }
}
