//! Why something failed, was skipped, or was closed. Typed, so that texts,
//! counters and tests agree.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};

use super::{DropReason, NatType, Path, PeerId, SendTrouble, clean, millis, took};

/// Application codes with which a link is closed; no text travels with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseCode {
    /// Another network id, or no proof of membership.
    Network,
    /// No protocol version in common.
    Version,
    /// A frame that cannot be read.
    Malformed,
    /// A limit was reached.
    Limit,
    /// Another connection carries the link now.
    Replaced,
    /// The node is leaving.
    Leave,
    /// An operator disconnected the link; do not dial back for a minute.
    HoldOff,
    /// Heartbeats were not answered.
    Silent,
}

impl CloseCode {
    /// Every code.
    pub const ALL: [Self; 8] = [
        Self::Network,
        Self::Version,
        Self::Malformed,
        Self::Limit,
        Self::Replaced,
        Self::Leave,
        Self::HoldOff,
        Self::Silent,
    ];

    /// The QUIC application error code.
    pub fn code(self) -> u32 {
        match self {
            Self::Network => 1,
            Self::Version => 2,
            Self::Malformed => 3,
            Self::Limit => 4,
            Self::Replaced => 5,
            Self::Leave => 6,
            Self::HoldOff => 7,
            Self::Silent => 8,
        }
    }

    /// The close code for a QUIC application error code, if it is one of ours.
    pub fn from_code(code: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|c| u64::from(c.code()) == code)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Network => "another network",
            Self::Version => "no protocol version in common",
            Self::Malformed => "a frame that cannot be read",
            Self::Limit => "a limit was reached",
            Self::Replaced => "replaced by another connection",
            Self::Leave => "the peer left",
            Self::HoldOff => "disconnected by its operator",
            Self::Silent => "heartbeats were not answered",
        })
    }
}

/// Why a stage failed or was skipped, or why a command did not happen.
#[derive(Debug, Clone, PartialEq, Eq, IntoStaticStr, VariantNames, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Reason {
    /// Nobody answered at any of the addresses within the window.
    NoAnswer {
        /// How many addresses were dialled.
        addresses: u32,
    },
    /// The host answered that nothing listens there.
    Refused {
        /// How many addresses refused.
        addresses: u32,
    },
    /// There is no address to dial.
    NoAddress,
    /// Somebody else answered at the peer's address.
    WrongIdentity {
        /// Who answered.
        got: PeerId,
    },
    /// The address is our own.
    OwnAddress,
    /// This host does not let us send there.
    NoWay {
        /// What keeps us.
        why: SendTrouble,
    },
    /// The handshake failed.
    Handshake {
        /// What the library said, cleaned.
        detail: String,
    },
    /// The other end closed the connection.
    Closed {
        /// Its application code, if it is one of ours.
        close: Option<CloseCode>,
    },
    /// There is no protocol version that both ends speak.
    OtherVersion {
        /// Its program version, cleaned; empty where it is too old to say.
        theirs: String,
        /// Ours.
        ours: String,
        /// Whether the other end is the older one.
        theirs_is_older: bool,
    },
    /// The connection's own idle timeout ran out.
    ConnectionTimedOut,
    /// The peer speaks no punchdeck; the QUIC connection stands.
    Foreign,
    /// Heartbeats were not answered.
    HeartbeatsMissed {
        /// How many in a row.
        missed: u32,
    },
    /// A limit of ours was reached.
    Limit {
        /// Which one.
        limit: DropReason,
    },
    /// The operator of this node disconnected the peer.
    HeldOff {
        /// For how long automatic dials wait from then on, in milliseconds.
        hold_ms: u64,
    },
    /// The operator of the other end disconnected this node a moment ago.
    HeldOffThere,
    /// The node is shutting down.
    ShuttingDown,
    /// Punching needs a NAT in between; on loopback there is nothing to punch.
    LoopbackCannotBePunched,
    /// One end has IPv4 alone, the other IPv6.
    NoCommonFamily,
    /// Nobody we are linked to is connected to the peer.
    NoIntermediary,
    /// The target's NAT lets nobody in whom it has not sent to, and it has not
    /// sent to us.
    TargetFilters {
        /// Its NAT.
        nat: NatType,
    },
    /// Neither end can aim at the port that the other one sends from.
    Unpunchable {
        /// Our NAT.
        ours: NatType,
        /// The target's.
        theirs: NatType,
    },
    /// The target does not take punches.
    NoConsent,
    /// Nobody is connected to the target who could pass an invitation on.
    NobodyToInvite,
    /// The intermediary takes no request from us just now.
    RateLimited,
    /// The intermediary is not connected to the target.
    UnknownTarget,
    /// The stage's time was over.
    TimedOut {
        /// How long it was given, in milliseconds.
        after_ms: u64,
    },
    /// Another stage connected first.
    NotNeeded,
    /// The peer connected to us first.
    #[serde(rename = "came_to_us")]
    #[strum(serialize = "came_to_us")]
    InboundWon,
    /// A NAT was measured to be another one meanwhile.
    NatChanged,
    /// A peer saw us where that NAT cannot have put us: it is another one, or mapped
    /// us anew, and is being measured.
    NatChanging,
    /// The operator asked for it, and it was begun anew.
    AskedAnew,
    /// The operator asked for another stage only.
    #[serde(rename = "not_asked")]
    #[strum(serialize = "not_asked")]
    NotRequested,
    /// The peer has no reservation on a relay, and none can be made.
    NoRelay,
    /// No relay is in use.
    NoRelayInUse,
    /// There is no second relay to hand over to.
    NoStandby,
    /// The other end chose the relay under the link; only it can hand over.
    ChosenByPeer,
    /// The link left its relay meanwhile, and not for another one.
    LeftRelay {
        /// The path that it has instead.
        path: Path,
    },
    /// The same was done a moment ago, or is under way.
    TooSoon {
        /// When it can be tried again, in milliseconds.
        retry_ms: u64,
    },
    /// The peer, or the address, of a relay is not one that we know.
    UnknownRelay,
    /// The relay holds a reservation for our address already.
    ReservationTaken,
    /// The relay gives no reservation.
    RelayRefused {
        /// Its status, as in HTTP.
        status: u16,
    },
    /// The relay took the reservation and carries nothing, or the lane through
    /// it stands and our nonce did not come back.
    NothingCameBack,
    /// The relay ended the reservation, or the connection to it was lost.
    RelayLost,
    /// The peer holds no reservation on this node.
    NotServed,
    /// No peer of that id or name is known.
    UnknownPeer,
    /// There is no link to the peer.
    NotLinked,
    /// There are no links at all.
    NoLinks,
    /// The command queue is full; nothing was done.
    Busy,
    /// Whoever asked may only look.
    ReadOnly,
    /// Only drills may ask for it.
    OnlyInDrills,
    /// The connection to the node was lost; what came of it is not known.
    NodeLost,
    /// This node has too few public peers to measure with.
    NoVantagePoints,
    /// On loopback there is no NAT, and nothing to measure.
    LoopbackHasNoNat,
    /// The vantage points see different things, and too few agree.
    VantagePointsDisagree,
    /// Too few dial-backs were sent to say what is filtered.
    TooFewDialBacks,
    /// There is no socket to measure with.
    NoProbeSocket {
        /// What the system said, cleaned.
        detail: String,
    },
    /// Ports were guessed, and no probe met a socket.
    Unmet {
        /// Sockets that were open.
        sockets: u32,
        /// Probes that were sent.
        probes: u32,
    },
    /// Nobody but the peer itself says where it is: nothing is aimed there.
    Unwitnessed,
    /// The peer lets no ports be guessed, by its configuration.
    NoGuessing,
    /// The peer guesses with somebody else just now, or did so too often.
    GuessBusy,
    /// No answer to the offer to guess ports: an older version knows none.
    OfferUnanswered,
    /// Neither NAT lets its ports be guessed.
    Unguessable,
    /// The peer lets no paths to it be tested, or not by us.
    NoTesting,
    /// The peer tests with somebody else just now.
    TestBusy,
    /// The peer was tested too often of late.
    TestedTooOften,
    /// The connection that was tested is gone, here or at the other end.
    PathGone,
    /// No answer to the offer to test a path: an older version knows none.
    CannotBeTested,
    /// The test was called off.
    CalledOff,
    /// The other end ended the test before its time.
    EndedThere,
    /// Another test runs on this node.
    TestRuns,
    /// No test of that peer runs.
    NoTestRuns,
    /// Of a test's datagrams none came back.
    NothingEchoed,
    /// Something went wrong that has no name of its own.
    Other {
        /// What, cleaned.
        detail: String,
    },
}

impl Reason {
    /// A timed-out reason from the time that was given.
    pub fn timed_out(after: Duration) -> Self {
        Self::TimedOut { after_ms: millis(after) }
    }

    /// The same, where it took that long.
    #[must_use]
    pub fn after(self, took: Duration) -> Self {
        match self {
            Self::TimedOut { .. } => Self::timed_out(took),
            other => other,
        }
    }

    /// A reason to try again later, and when.
    pub fn too_soon(wait: Duration) -> Self {
        Self::TooSoon { retry_ms: millis(wait) }
    }

    /// In words, where a stage ran through somebody who is called so.
    pub fn text_via(&self, via: Option<&str>) -> String {
        match (self, via) {
            (Self::RateLimited, Some(via)) => format!("{via} is rate-limiting us"),
            _ => self.to_string(),
        }
    }

    /// Its code, as it stands in JSON.
    pub fn code(&self) -> &'static str {
        self.into()
    }

    /// The same, where somebody else may have put words into it.
    #[must_use]
    pub fn cleaned(self) -> Self {
        match self {
            Self::Handshake { detail } => Self::Handshake { detail: clean(&detail) },
            Self::OtherVersion { theirs, ours, theirs_is_older } => {
                Self::OtherVersion { theirs: clean(&theirs), ours: clean(&ours), theirs_is_older }
            }
            Self::NoProbeSocket { detail } => Self::NoProbeSocket { detail: clean(&detail) },
            Self::Other { detail } => Self::Other { detail: clean(&detail) },
            other => other,
        }
    }

    /// Whether a connection was closed in favour of another one to the same
    /// peer, as when both ends dial at once: that says nothing against either.
    pub fn is_lost_choice(&self) -> bool {
        matches!(self, Self::Closed { close: None | Some(CloseCode::Replaced) })
    }

    /// Whether the failure means that trying the same thing again at once is
    /// pointless (as opposed to a host that may be slow or just starting).
    pub fn is_final(&self) -> bool {
        !self.is_lost_choice()
            && matches!(
                self,
                Self::NoAddress
                    | Self::WrongIdentity { .. }
                    | Self::OwnAddress
                    | Self::OtherVersion { .. }
                    | Self::NoWay { .. }
                    | Self::Closed { close: Some(_) }
                    | Self::ShuttingDown
                    | Self::Limit { .. }
            )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer { addresses: 1 } => f.write_str("no answer"),
            Self::NoAnswer { addresses } => write!(f, "no answer from {addresses} of {addresses} addresses"),
            Self::Refused { .. } => f.write_str("nothing listens there"),
            Self::NoAddress => f.write_str("no address known"),
            Self::WrongIdentity { got } => write!(f, "{} answered at its address", got.short()),
            Self::OwnAddress => f.write_str("the address is our own"),
            Self::NoWay { why } => f.write_str(why.there()),
            Self::Handshake { detail } => write!(f, "handshake failed: {detail}"),
            Self::Closed { close: Some(code) } => write!(f, "closed: {code}"),
            Self::Closed { close: None } => f.write_str("closed by the other end"),
            Self::OtherVersion { theirs, ours, theirs_is_older } => {
                let theirs = if theirs.is_empty() { "an older version" } else { theirs };
                let older = if *theirs_is_older { "its end" } else { "this end" };
                write!(f, "no protocol version in common: it runs {theirs}, we run {ours}; upgrade {older}")
            }
            Self::ConnectionTimedOut => f.write_str("the connection timed out"),
            Self::Foreign => f.write_str("speaks no punchdeck"),
            Self::HeartbeatsMissed { missed } => write!(f, "{missed} heartbeats missed"),
            Self::Limit { limit } => write!(f, "limit reached: {limit}"),
            Self::HeldOff { hold_ms } => {
                write!(f, "disconnected by the operator here, no automatic dial for {} s", hold_ms / 1000)
            }
            Self::HeldOffThere => {
                f.write_str("its operator disconnected us, and holds links off for a minute")
            }
            Self::ShuttingDown => f.write_str("shutting down"),
            Self::LoopbackCannotBePunched => f.write_str("on loopback there is no NAT to punch"),
            Self::NoCommonFamily => f.write_str("one end has IPv4 alone, the other IPv6 alone"),
            Self::NoIntermediary => f.write_str("nobody we know is connected to it"),
            Self::TargetFilters { nat } => write!(f, "target filters ({nat}), no mapping to us"),
            Self::Unpunchable { ours, theirs } => write!(f, "{ours} × {theirs} cannot be punched"),
            Self::NoConsent => f.write_str("it takes no punches"),
            Self::NobodyToInvite => f.write_str("nobody to pass an invitation on"),
            Self::RateLimited => f.write_str("the intermediary is rate-limiting us"),
            Self::UnknownTarget => f.write_str("the intermediary is not connected to it"),
            Self::TimedOut { after_ms } => write!(f, "no result after {}", took(*after_ms)),
            Self::NotNeeded => f.write_str("another stage was faster"),
            Self::InboundWon => f.write_str("it connected to us first"),
            Self::NatChanging => f.write_str("changed, measuring"),
            Self::NatChanged => f.write_str("a NAT changed meanwhile"),
            Self::AskedAnew => f.write_str("the operator asked for it, and it was begun anew"),
            Self::NotRequested => f.write_str("not part of this attempt"),
            Self::NoRelay => f.write_str("it has no reservation, nobody to invite"),
            Self::NoStandby => f.write_str("there is no second relay to hand over to"),
            Self::ChosenByPeer => f.write_str("the other end chose the relay, and only it can hand over"),
            Self::LeftRelay { path } => write!(f, "it left its relay meanwhile: the link is {path} now"),
            Self::TooSoon { retry_ms } => {
                // Rounded up: tried then, it is not too soon once more.
                let tenths = retry_ms.div_ceil(100);
                write!(f, "too soon after the last one: try again in {}.{} s", tenths / 10, tenths % 10)
            }
            Self::UnknownRelay => f.write_str("no record of ours says that anybody relays at that address"),
            Self::NoRelayInUse => f.write_str("no relay is in use"),
            Self::ReservationTaken => f.write_str("the relay holds a reservation for our address already"),
            Self::RelayRefused { status } => write!(f, "the relay refused with status {status}"),
            Self::NothingCameBack => f.write_str("nothing came back through the relay"),
            Self::RelayLost => f.write_str("the relay was lost"),
            Self::NotServed => f.write_str("it holds no reservation here"),
            Self::UnknownPeer => f.write_str("no such peer is known"),
            Self::NotLinked => f.write_str("no link to it"),
            Self::NoLinks => f.write_str("no links"),
            Self::Busy => f.write_str("the command queue is full, nothing was done"),
            Self::ReadOnly => f.write_str("read-only: nothing was done"),
            Self::OnlyInDrills => f.write_str("only drills may ask for it"),
            Self::NodeLost => {
                f.write_str("the connection to the node was lost; what came of it is not known")
            }
            Self::NoVantagePoints => f.write_str("too few public peers to measure with"),
            Self::LoopbackHasNoNat => f.write_str("on loopback there is no NAT to measure"),
            Self::VantagePointsDisagree => f.write_str("the observers disagree, and too few agree"),
            Self::TooFewDialBacks => f.write_str("too few dial-backs to say what is filtered"),
            Self::NoProbeSocket { detail } => write!(f, "no socket to measure with: {detail}"),
            Self::Unmet { sockets, probes } => {
                write!(f, "none of {probes} probes met one of {sockets} sockets")
            }
            Self::Unwitnessed => {
                f.write_str("too few others see where it is, and its own word is not enough")
            }
            Self::NoGuessing => f.write_str("it lets no ports be guessed"),
            Self::GuessBusy => f.write_str("it guesses with somebody else, or did so too often"),
            Self::OfferUnanswered => {
                f.write_str("it did not answer the offer: an older version knows nothing of it")
            }
            Self::Unguessable => f.write_str("neither NAT lets its ports be guessed"),
            Self::NoTesting => f.write_str("it lets us test no path to it (its path_test setting)"),
            Self::TestBusy => f.write_str("it tests with somebody else just now"),
            Self::TestedTooOften => f.write_str("it was tested too often within ten minutes"),
            Self::PathGone => f.write_str("the connection is gone"),
            Self::CannotBeTested => f.write_str("it did not answer the offer: its version cannot be tested"),
            Self::CalledOff => f.write_str("called off"),
            Self::EndedThere => f.write_str("the other end ended it"),
            Self::TestRuns => f.write_str("this node runs a test already"),
            Self::NoTestRuns => f.write_str("no test of it runs"),
            Self::NothingEchoed => f.write_str("no datagram came back"),
            Self::Other { detail } => f.write_str(detail),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_the_one_that_stands_in_json() {
        for code in Reason::VARIANTS {
            let read = serde_json::from_value::<Reason>(serde_json::json!({ "code": code }));
            let unknown = read.err().is_some_and(|error| error.to_string().contains("unknown variant"));
            assert!(!unknown, "{code}");
        }
        assert_eq!(Reason::NotRequested.code(), "not_asked");
        assert_eq!(Reason::NoAnswer { addresses: 1 }.code(), "no_answer");
    }

    #[test]
    fn every_close_code_comes_back_from_its_number() {
        for code in CloseCode::ALL {
            assert_eq!(CloseCode::from_code(u64::from(code.code())), Some(code));
        }
        assert_eq!(CloseCode::from_code(0), None);
        assert_eq!(CloseCode::from_code(99), None);
    }
}
