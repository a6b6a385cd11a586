//! Why a link to a peer is what it is, with the evidence of both ends: as types with
//! their data. `model/words` says them.

mod evidence;
mod knock;
mod known;
mod trace;
mod verdict;

use serde::{Deserialize, Serialize};

pub use evidence::{Evidence, PeerLinkStatus};
pub use knock::{Heard, Knock, Knocked};
pub use known::{AddressOrigin, Known, WhyFact};
pub use trace::{CoordinationStep, Declined, TraceEvent};
pub use verdict::{Because, End, Help, OurNat, TheirNat, Verdict};

use super::{NatType, Path, PeerId, Stamp};

/// The whole answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Why {
    /// About whom.
    pub peer_id: PeerId,
    /// When it was answered: ages in it are told from then on.
    pub at: Stamp,
    /// The path of the link now, if one stands.
    pub path: Option<Path>,
    /// What is concluded.
    pub verdict: Verdict,
    /// The NATs of both ends, as far as they are known.
    pub nats: WhyNats,
    /// How sure that is, and why.
    pub confidence: Confidence,
    /// What happened, in order, at both ends.
    pub timeline: Vec<WhyLine>,
    /// What was measured, and how.
    pub evidence: Vec<Evidence>,
    /// What would make the path better.
    pub would_help: Vec<Help>,
    /// What one can do now.
    pub next: Vec<NextAction>,
    /// Every number and address that is known of the peer, and where it is from.
    pub facts: Vec<WhyFact>,
}

impl Why {
    /// The verdict as a program reads it.
    pub fn cause(&self) -> WhyCause {
        self.verdict.cause()
    }
}

/// The NATs that a verdict goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WhyNats {
    /// Ours, as measured.
    pub ours: NatType,
    /// The peer's, as it says or as others say.
    pub theirs: NatType,
}

/// Why a link is what it is, or there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhyCause {
    /// No stage got through, and nothing says why.
    #[default]
    Unknown,
    /// A plain dial got through.
    Direct,
    /// A punch did.
    Punched,
    /// Its identity is used twice.
    UsedTwice,
    /// Ours is.
    UsedTwiceHere,
    /// Our own host knows no way there.
    NoRoute,
    /// Our own host lets nothing out there.
    SendingForbidden,
    /// An attempt runs.
    Running,
    /// There is no link, and nothing against one.
    Idle,
    /// Our operator ended it.
    DisconnectedHere,
    /// An intermediary takes no more requests just now.
    RateLimited,
    /// Nobody linked to us is linked to it.
    NoIntermediary,
    /// It takes no punches.
    NoConsent,
    /// The two NATs cannot be punched.
    Unpunchable,
    /// No plain punch opens them, a guessed port may.
    GuessablePort,
    /// The punch failed for a reason of its own.
    PunchFailed,
    /// No punch was tried yet.
    PunchUntried,
    /// One end has IPv4 alone, the other IPv6 alone.
    NoCommonFamily,
    /// Nobody agreed to the punch in time.
    PunchUnanswered,
    /// Both ends dialled, and nothing came through.
    NothingThrough,
    /// The path takes short datagrams and none as long as QUIC needs.
    PathTooNarrow,
    /// It is of another network.
    OtherNetwork,
    /// It speaks no version that we do.
    OtherVersion,
    /// Its operator disconnected us.
    HeldOff,
    /// It takes no more links.
    Full,
    /// It said goodbye.
    Left,
    /// It ended the connection for another reason.
    EndedByIt,
    /// Somebody else answers where it was.
    OtherIdentity,
    /// It is somewhere else.
    Moved,
    /// UDP is blocked on our side.
    UdpBlockedHere,
    /// UDP is blocked between us, on whose side is not known.
    UdpBlockedBetween,
    /// UDP is blocked on its side.
    UdpBlockedThere,
    /// We have no network.
    Offline,
    /// Nobody at all answers us.
    NobodyAnswers,
    /// It was silent, and answers now.
    AnswersNow,
    /// Its host is up, its node is not.
    NotRunning,
    /// Others are linked to it now.
    LinkedToOthers,
    /// It fell silent.
    FellSilent,
    /// Nobody that we can ask ever saw it.
    Unseen,
}

/// How sure a verdict is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sureness {
    /// Little is known, or it is old.
    #[default]
    Low,
    /// It fits what is known; something else fits too.
    Medium,
    /// It was measured, or said by whom it is about.
    High,
}

impl Sureness {
    /// Of a share from 0 to 1, as measurements say how sure they are.
    pub fn of(share: f64) -> Self {
        match share {
            0.85.. => Self::High,
            0.5.. => Self::Medium,
            _ => Self::Low,
        }
    }

    /// The name as it stands in JSON and texts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// How sure a verdict is, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confidence {
    /// How sure.
    pub level: Sureness,
    /// By what: how many measurements or accounts, and how old they are.
    pub because: Because,
}

/// Where a fact is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provenance {
    /// We measured it.
    Measured,
    /// Somebody says so.
    Claimed,
    /// It follows from others.
    Derived,
}

impl Provenance {
    /// The name as it stands in JSON and texts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Claimed => "claimed",
            Self::Derived => "derived",
        }
    }
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyLine {
    /// Milliseconds since the attempt began, by the clock of `who`.
    pub at_ms: u64,
    /// Who did or saw it; what others say is claimed.
    pub who: PeerId,
    /// What.
    pub what: TraceEvent,
}

/// Something one can do about it. Its key is the console's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NextAction {
    /// Run the ladder.
    Connect,
    /// Punch.
    Punch,
    /// Connect through a relay.
    Relay,
    /// Use another relay.
    Failover,
    /// Measure the NAT again.
    NatProbe,
    /// Ask every linked peer for what it knows.
    SyncAll,
    /// Test the path.
    Test,
}

impl NextAction {
    /// The verb, as a command is called.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Punch => "punch",
            Self::Relay => "relay",
            Self::Failover => "failover",
            Self::NatProbe => "nat-probe",
            Self::SyncAll => "sync",
            Self::Test => "test",
        }
    }
}
