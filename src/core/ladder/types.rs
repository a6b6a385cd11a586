//! What goes into a ladder and what comes out.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Candidate, NatPair};
use crate::core::nat::Family;
use crate::core::wire::RelayAddr;
use crate::model::{AttemptId, AttemptOutcome, PeerId, StageKind, StageReport};

/// The punch stage's time over all rounds.
pub const PUNCH_WINDOW: Duration = Duration::from_secs(30);
/// The relay is warmed after this part of the time after which it may carry the
/// link: most punches are through by then, and cost no relay anything.
pub(super) const WARM_PART: u32 = 4;

/// Names one dial; its result finds its attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialId {
    /// Of which attempt.
    pub attempt: AttemptId,
    /// Counts within the attempt.
    pub n: u32,
}

/// Which stages an attempt may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Dial addresses.
    pub direct: bool,
    /// Punch.
    pub punch: bool,
    /// Relay.
    pub relay: bool,
}

impl Plan {
    /// The whole ladder.
    pub const ALL: Self = Self { direct: true, punch: true, relay: true };
    /// For an address without an identity: there is nobody to punch to.
    pub const DIRECT: Self = Self { direct: true, punch: false, relay: false };
    /// The punch alone.
    pub const PUNCH: Self = Self { direct: false, punch: true, relay: false };
    /// The relay alone.
    pub const RELAY: Self = Self { direct: false, punch: false, relay: true };
    /// Away from a relay.
    pub const UPGRADE: Self = Self { direct: true, punch: true, relay: false };

    /// Its one stage, if it has only one.
    pub fn only(self) -> Option<StageKind> {
        match self {
            Self::DIRECT => Some(StageKind::Direct),
            Self::PUNCH => Some(StageKind::Punch),
            Self::RELAY => Some(StageKind::Relay),
            _ => None,
        }
    }

    pub(super) fn has(self, stage: StageKind) -> bool {
        match stage {
            StageKind::Direct => self.direct,
            StageKind::Punch => self.punch,
            StageKind::Relay => self.relay,
            // Not of the ladder: it runs behind a link that stands.
            StageKind::Guess => false,
        }
    }
}

/// What an attempt is about.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// Whom; unknown for a bootstrap address.
    pub peer: Option<PeerId>,
    /// The addresses at which it can be dialled.
    pub addresses: Vec<SocketAddr>,
    /// Its reservations.
    pub relays: Vec<RelayAddr>,
    /// What is measured of both ends.
    pub nat_pair: NatPair,
    /// The family to dial first, where it can be dialled in both.
    pub first: Option<Family>,
    /// Linked peers of which the target says that it is linked to them.
    pub homes: Vec<Candidate>,
}

/// How long things take at most.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How long a direct dial that may succeed is waited for.
    pub window: Duration,
    /// How long after the punch began the relay carries the link.
    pub relay_after: Duration,
}

/// What a ladder wants done, or tells.
#[derive(Debug, Clone, PartialEq)]
pub enum LadderOut {
    /// Dial an address.
    Dial {
        /// Its name.
        dial: DialId,
        /// The address to dial.
        addr: SocketAddr,
        /// When to give up.
        within: Duration,
    },
    /// Forget that dial; its result is not wanted, and what it made goes.
    Cancel(DialId),
    /// Ask every linked peer whether it is connected to the target.
    AskWhoHas,
    /// Ask an intermediary to have the target punch with us.
    RequestPunch(Candidate),
    /// Dial the target where its intermediary sees it: our half of a punch.
    Punch {
        /// Its name.
        dial: DialId,
        /// The address to dial.
        addr: SocketAddr,
        /// When to give up.
        within: Duration,
    },
    /// Dial a lane to the target's reservation, without using it yet.
    DialLane {
        /// Its name.
        dial: DialId,
        /// Which reservation.
        relay: RelayAddr,
        /// When to give up.
        within: Duration,
    },
    /// Use the lane that stands.
    UseLane(DialId),
    /// Make a reservation of our own.
    Reserve,
    /// Have that peer invite the target to our reservation.
    Invite {
        /// Through whom.
        via: PeerId,
        /// To which.
        relay: RelayAddr,
    },
    /// A stage began.
    StageStarted {
        /// The stage.
        stage: StageKind,
        /// Through whom.
        via: Option<PeerId>,
    },
    /// A stage ended.
    StageEnded(StageReport),
    /// The attempt has its outcome; stages may go on behind it.
    Decided(AttemptOutcome),
    /// Every stage has ended.
    Over,
}
