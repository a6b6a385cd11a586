//! What limits, rules and decoders stopped: each reason once, by its name and in words.

use std::fmt;

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr};

/// One table for names and words: a reason without words cannot be written.
macro_rules! drop_reasons {
    ($($name:ident: $words:literal,)*) => {
        /// Why something was stopped, dropped or not taken: what it is counted under.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(EnumString, IntoStaticStr, Serialize, Deserialize)]
        #[serde(from = "String", rename_all = "snake_case")]
        #[strum(serialize_all = "snake_case")]
        pub enum DropReason {
            $(#[doc = concat!("Counts: ", $words, ".")] $name,)*
        }

        impl DropReason {
            /// In words.
            pub fn words(self) -> &'static str {
                match self {
                    $(Self::$name => $words,)*
                }
            }
        }
    };
}

drop_reasons! {
    // The door: who may begin a handshake.
    HandshakesToProve: "handshakes asked to prove an address",
    HandshakesGaveWay: "handshakes that gave way",
    HandshakesIgnored: "handshakes ignored",
    VersionQuestions: "short questions for versions",
    Soundings: "soundings",
    // Handshakes of links.
    OtherNetwork: "another network",
    NoCommonVersion: "no common version",
    OlderHandshake: "a handshake of an older version",
    NoProof: "no proof of membership",
    SecondNonce: "second nonce",
    SecondProof: "second proof",
    HelloOfOther: "hello of another connection",
    SecondHello: "second hello",
    MalformedHello: "malformed hello",
    NoHelloInTime: "no hello in time",
    FrameBeforeHello: "frame before hello",
    ResumeBeforeHello: "resume before hello",
    BadResume: "bad resume",
    // Frames and streams.
    BadAcknowledgement: "bad acknowledgement",
    MalformedFrame: "malformed frame",
    UnknownFrame: "unknown frame",
    UnknownMessage: "unknown message",
    OwnFrameTooLong: "frame of ours too long",
    NoRoomForMessage: "message without room",
    UnknownStream: "unknown stream",
    UnknownLaneStream: "unknown stream on a lane",
    AnswersUnread: "answers that nobody reads",
    DatagramsWithoutEnd: "datagrams without end",
    FramesThatAim: "frames that aim a node",
    ObservedWithoutEnd: "observed addresses without end",
    NotSentBySystem: "datagrams that the system did not send",
    // Places for links.
    Links: "links",
    LinksPerAddress: "links per address",
    LinksMadeWay: "links that made way",
    MuteLinks: "mute links",
    MuteLinksMadeWay: "mute links that made way",
    OutboundLinks: "outbound links",
    ConnectionsOfPeer: "connections of one peer",
    MovesOfPeer: "moves of a peer",
    StrangersSessions: "sessions of strangers not kept",
    SessionsMadeWay: "sessions that made way",
    UsedTwiceHearsay: "used twice, by hearsay",
    // The cache and records.
    CacheEvicted: "peers let go because the cache is full",
    CachePrefixShare: "peers not taken: their network has its share of the cache",
    CacheSourceShare: "peers not taken: who told of them has his share of the cache",
    RecordAboutLinked: "records of a peer that is linked and speaks for itself",
    RecordAboutUs: "records about ourselves",
    RecordAddresses: "addresses that nobody can have",
    RecordForged: "records whose proof is false",
    RecordGone: "records of peers that are gone, with nothing new",
    RecordUnproven: "records that contradict others, and that nothing bears out",
    RecordVersionJump: "records whose version is too far above the known one",
    // Gossip.
    GossipDeltaDropped: "changes not taken: too many from one link",
    GossipDigest: "digests not compared: too many from one link",
    GossipDigestNoRoom: "digests not sent: the link had no room",
    GossipDigestTooLong: "digests longer than any can be",
    GossipDigestUnasked: "parts of a digest that nobody asked for",
    GossipDrillLost: "changes lost on purpose, for a drill",
    GossipIntake: "records not taken: too many from one link",
    GossipServe: "questions for records not answered: too many from one link",
    GossipServeQueue: "questions for records not answered: too many at once",
    GossipServeRecords: "records not sent: too many for one link",
    GossipStalled: "answers that stopped before their end",
    // Questions about peers.
    WhoHasRate: "who-has rate",
    WhyRate: "why rate",
    AnswerToNoQuestion: "answer to no question",
    // The NAT probe.
    ObservedRate: "observed rate",
    NatDoubtedTooOften: "NAT doubted too often",
    PublicNotBorneOut: "claim to be public not borne out",
    ProbeOfNoKind: "probe datagram of no kind",
    ProbeOfOtherLength: "probe datagram of another length",
    ProbeFlood: "probe flood",
    ProbeOfStranger: "probe of nobody linked",
    ProbeFromNowhere: "probe from nowhere",
    ProbeReflections: "probe reflections",
    ProbeLateAnswers: "probe answers that are to be late",
    ProbeAnswerUnasked: "probe answer nobody asked for",
    DialBackForStranger: "dial-back for nobody linked",
    DialBackElsewhere: "dial-back to another address",
    DialBackLowPort: "dial-back to a low port",
    DialBackToContact: "dial-back to a contact",
    DialBacks: "dial-backs",
    DialBacksInFlight: "dial-backs in flight",
    // Punches and invitations.
    PunchRate: "punch rate",
    PunchRateOfPair: "punch rate of a pair",
    PunchRateOfRequester: "punch rate of a requester",
    PunchRateOfTarget: "punch rate of a target",
    PunchesInFlight: "punches in flight",
    PunchReplayed: "punch nonce replayed",
    PunchUnknownTarget: "punch to an unknown target",
    PunchAtThirdParty: "punch aimed at a third party",
    PunchNoticeRate: "punch notice rate",
    PunchNoticeNowhere: "punch notice without an address",
    PunchWithoutConsent: "punch without consent",
    AnswerToNoNotice: "answer to no notice",
    InvitationToUnknownRelay: "invitation to an unknown relay",
    // Relays.
    RelayUnknown: "relay that nobody knows",
    RelayByHearsay: "relay known by hearsay",
    ImpostorOnLane: "impostor on a lane",
    HandoversOfPeer: "handovers of a peer",
    StandbysOfPeer: "standbys of a peer",
    RelayAskedToAim: "relay asked to send to a named address",
    RelayAskedWhileOff: "relay asked while off",
    RelayAskedByStranger: "relay asked by a stranger",
    RelayAskedOverRelay: "relay asked over a relay",
    RelayAskedWhileKeptOff: "relay asked by a peer kept off",
    RelayAskedTooOften: "relay asked too often",
    ReservationsServed: "reservations served",
    ReservationsPerAddress: "reservations served per address",
    NoReservationSocket: "no socket for a reservation",
    RelayedUnheard: "relayed datagram to whom nothing came from",
    RelayedUnproven: "relayed datagram to whom does not answer",
    RelayedToThisHost: "relayed datagram to this host",
    RelayedTooLong: "relayed datagram too long",
    RelayedTooFastOut: "relayed datagram above the rate out",
    RelayedTooFastIn: "relayed datagram above the rate in",
    RelayedToSlowReader: "relayed datagram to a slow reader",
    RelayedNotSent: "relayed datagram not sent",
    // Guessed punches.
    GuessOffersOfPeer: "guess offers of a peer",
    GuessAnswerUnasked: "guess answer nobody asked for",
    GuessesAtOneHost: "guesses towards one host",
    GuessOutOfPlace: "guess message out of place",
    GuessMetByNobody: "guess met by nobody",
    // Tests of paths.
    TestOffers: "test offers",
    TestsWithoutConsent: "tests without consent",
    TestsRefused: "tests refused",
    TestTooFast: "datagrams of a test beyond its rate",
    TestLoadTooHigh: "load beyond what was agreed",
    DatagramsOfNoTest: "datagrams of no test",
    StreamsOfNoTest: "streams of no test",
    // What another version counted.
    Other: "something that has another name in this version",
}

impl DropReason {
    /// Its code, as it stands in JSON.
    pub fn code(self) -> &'static str {
        self.into()
    }

    /// Whether a rate of punches or invitations was reached.
    pub fn is_punch_rate(self) -> bool {
        matches!(
            self,
            Self::PunchRate
                | Self::PunchRateOfPair
                | Self::PunchRateOfRequester
                | Self::PunchRateOfTarget
                | Self::PunchesInFlight
        )
    }
}

impl From<String> for DropReason {
    /// Of a code; files and nodes of other versions may have one that is not known here.
    fn from(code: String) -> Self {
        code.parse().unwrap_or(Self::Other)
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_comes_back_and_one_of_another_version_is_no_error() {
        let json = serde_json::to_string(&DropReason::GossipIntake).unwrap();
        assert_eq!(json, r#""gossip_intake""#);
        assert_eq!(serde_json::from_str::<DropReason>(&json).unwrap(), DropReason::GossipIntake);
        assert_eq!(DropReason::GossipIntake.code(), "gossip_intake");
        assert_eq!(serde_json::from_str::<DropReason>(r#""who-has rate""#).unwrap(), DropReason::Other);
    }
}
