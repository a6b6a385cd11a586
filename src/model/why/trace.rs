//! What happened around an attempt: what the ends and who stood between did and heard.
//! It travels as it is, so every end can say it in its own words.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::model::{DropReason, Path, PeerId, Reason, StageKind, StageOutcome, clean_sentence};

/// One thing that was done or heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TraceEvent {
    /// A stage was not begun.
    StageSkipped {
        /// Which.
        stage: StageKind,
        /// Why.
        reason: Option<Reason>,
    },
    /// A stage began.
    StageBegan {
        /// Which.
        stage: StageKind,
        /// Through whom.
        via: Option<PeerId>,
    },
    /// A stage ended.
    StageEnded {
        /// Which.
        stage: StageKind,
        /// How.
        outcome: StageOutcome,
        /// Why.
        reason: Option<Reason>,
        /// Through whom.
        via: Option<PeerId>,
    },
    /// A link came up.
    LinkUp {
        /// Its path, where that is told.
        path: Option<Path>,
        /// Whether we dialled, who read this.
        ours: bool,
    },
    /// An address was dialled.
    Dialled {
        /// Where.
        addr: SocketAddr,
        /// As our half of a punch.
        punch: bool,
        /// How often.
        times: u32,
    },
    /// A dial came to nothing.
    DialFailed {
        /// Where.
        addr: SocketAddr,
        /// Why.
        reason: Reason,
    },
    /// Linked peers were asked who is connected to it.
    AskedWhoHas {
        /// How many.
        linked: usize,
    },
    /// One of them is.
    Has {
        /// Who.
        who: PeerId,
        /// Where it sees it.
        at: SocketAddr,
    },
    /// One of them is not, or sees it only through a relay.
    HasNot {
        /// Who.
        who: PeerId,
    },
    /// An intermediary was asked for a punch or an invitation.
    Asked {
        /// Who.
        via: PeerId,
        /// Whether for an invitation.
        invitation: bool,
    },
    /// It had the target agree.
    Agreed {
        /// Who.
        via: PeerId,
        /// Where it sees the target.
        at: SocketAddr,
    },
    /// It did not.
    TurnedDown {
        /// Who.
        via: PeerId,
        /// Why.
        reason: Reason,
    },
    /// A short datagram was answered, the long ones of the handshake were not.
    ShortPassed {
        /// Where.
        at: SocketAddr,
    },
    /// Its reservation was dialled.
    LaneDialled {
        /// On whom.
        relay: PeerId,
        /// Where.
        at: SocketAddr,
    },
    /// What became of a request, at an intermediary or at its target.
    Coordinated {
        /// Whether it was an invitation to a relay, not a punch.
        invitation: bool,
        /// What did.
        step: CoordinationStep,
    },
    /// What a peer said in a sentence: it speaks an older version.
    Told {
        /// Its words, cleaned.
        words: String,
    },
    /// What a peer said that this version cannot read.
    Unread,
}

/// What became of a request for a punch or an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CoordinationStep {
    /// As intermediary we passed it on to the target.
    PassedOn,
    /// As intermediary we refused it, by that rule or rate.
    Refused(DropReason),
    /// The target agreed; this is where we see it.
    TargetAgreed(SocketAddr),
    /// The target did not.
    TargetRefused,
    /// The target follows too many just now.
    TargetBusy,
    /// The target's operator disconnected the requester a moment ago.
    TargetHoldsOff,
    /// The target did not answer us.
    TargetSilent,
    /// As target we agreed to it.
    Taken,
    /// As target we do not follow it.
    Declined(Declined),
    /// As target we dialled that address for it.
    Dialled(SocketAddr),
    /// What we dialled for it: nothing came back.
    HeardNothing(SocketAddr),
}

/// Why we do not follow a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Declined {
    /// Our operator disconnected the requester a moment ago.
    HeldOff,
    /// We follow too many just now.
    Busy,
    /// We take none of its, or we had this one before.
    Unwanted,
    /// Where it is to lead we do not dial.
    Nowhere,
}

impl TraceEvent {
    /// Whether a stage begins with it: then it comes before what else happened at that moment.
    pub fn is_beginning(&self) -> bool {
        matches!(self, Self::StageSkipped { .. } | Self::StageBegan { .. })
    }

    /// Whether a stage ends with it: then it comes after that.
    pub fn is_end(&self) -> bool {
        matches!(self, Self::StageEnded { .. })
    }

    /// The same, where a peer may have put words into it.
    #[must_use]
    pub fn cleaned(mut self) -> Self {
        match &mut self {
            Self::StageSkipped { reason, .. } | Self::StageEnded { reason, .. } => {
                *reason = reason.take().map(Reason::cleaned);
            }
            Self::DialFailed { reason, .. } | Self::TurnedDown { reason, .. } => {
                *reason = reason.clone().cleaned();
            }
            Self::Told { words } => *words = clean_sentence(words),
            _ => {}
        }
        self
    }
}
