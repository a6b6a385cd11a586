//! What is concluded, by what, and what would help.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::WhyCause;
use crate::model::{CloseCode, NatType, PeerId, Reason, SendTrouble, StageKind, Stamp};

/// What is concluded of a link, or of there being none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The link runs over a relay; the rest says why it is no better one.
    Relayed {
        /// Over whom.
        via: Option<PeerId>,
        /// Why.
        because: Box<Verdict>,
    },
    /// No relay carried it either.
    NoRelayEither {
        /// Why the punch did not bring a link.
        punch: Box<Verdict>,
        /// Why no relay did.
        relay: Reason,
    },
    /// A plain dial got through.
    Direct {
        /// The peer's NAT, where that is why.
        theirs: Option<NatType>,
    },
    /// A punch did.
    Punched {
        /// Our NAT.
        ours: NatType,
        /// The peer's.
        theirs: NatType,
    },
    /// Its identity is used twice.
    UsedTwice {
        /// From where.
        addresses: Vec<SocketAddr>,
    },
    /// Ours is.
    UsedTwiceHere {
        /// Ours.
        identity: PeerId,
        /// From where.
        addresses: Vec<SocketAddr>,
    },
    /// This host keeps us from it.
    NoWay {
        /// What does.
        why: SendTrouble,
    },
    /// An attempt runs.
    Running {
        /// The stage that runs.
        stage: Option<StageKind>,
    },
    /// There is no link, and nothing against one.
    Idle {
        /// When and why the last link ended, if one did.
        ended: Option<(Stamp, Reason)>,
        /// Whether an attempt of ours is remembered, which then got through.
        attempted: bool,
        /// Until when automatic dials are held off.
        held_off: Option<Stamp>,
    },
    /// An intermediary takes no more requests just now.
    RateLimited {
        /// Who.
        by: Vec<PeerId>,
        /// Whether the attempt still runs, and asks again.
        runs: bool,
    },
    /// Nobody linked to us is linked to it straight.
    NoIntermediary,
    /// It takes no punches.
    NoConsent,
    /// The two NATs cannot be punched.
    Unpunchable {
        /// Our NAT.
        ours: NatType,
        /// The peer's.
        theirs: NatType,
    },
    /// No plain punch opens them, a guessed port may.
    GuessablePort {
        /// Our NAT.
        ours: NatType,
        /// The peer's.
        theirs: NatType,
    },
    /// The punch failed for a reason of its own.
    PunchFailed {
        /// Which.
        reason: Reason,
    },
    /// No punch was tried yet.
    PunchUntried {
        /// Whether one is under way.
        runs: bool,
    },
    /// Nobody agreed to the punch in time.
    PunchUnanswered {
        /// Its end, as the stage tells it.
        reason: Option<Reason>,
    },
    /// Both ends dialled, and nothing came through.
    NothingThrough {
        /// Its end, as the stage tells it.
        reason: Option<Reason>,
        /// Our NAT.
        ours: NatType,
        /// The peer's.
        theirs: NatType,
    },
    /// One end has IPv4 alone, the other IPv6 alone.
    NoCommonFamily {
        /// Whether it has IPv4 alone, and this host IPv6 alone; else it is the other way round.
        they_have_ipv4: bool,
    },
    /// The path takes short datagrams and none as long as QUIC needs.
    PathTooNarrow {
        /// The path to where.
        to: SocketAddr,
        /// Whether a relay carries the link.
        relayed: bool,
    },
    /// It ended the connection.
    EndedByIt {
        /// With which code.
        code: CloseCode,
        /// The name of our network.
        network: String,
    },
    /// Somebody else answers where it was.
    OtherIdentity {
        /// Who.
        who: PeerId,
        /// Where.
        at: SocketAddr,
    },
    /// It is somewhere else.
    Moved {
        /// Where we dialled it.
        from: Vec<SocketAddr>,
        /// Where it is.
        to: SocketAddr,
    },
    /// Our own host lets no UDP out.
    UdpForbidden,
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
    LinkedToOthers {
        /// Who.
        who: Vec<PeerId>,
    },
    /// It said goodbye.
    Left {
        /// To whom; to nobody else: to us.
        to: Vec<PeerId>,
    },
    /// It fell silent.
    FellSilent {
        /// Whether we lost it.
        us: bool,
        /// Who else did.
        others: Vec<PeerId>,
    },
    /// Nobody that we can ask ever saw it.
    Unseen {
        /// Whether a dial could have got in by itself.
        dialable: Option<bool>,
        /// Whom its record names, and we are not linked to.
        homes: Vec<PeerId>,
    },
    /// No stage got through, and nothing else is known.
    Failed {
        /// What the stages say.
        reason: Option<Reason>,
    },
}

impl Verdict {
    /// As a program reads it.
    pub fn cause(&self) -> WhyCause {
        match self {
            Self::Relayed { because: of, .. } | Self::NoRelayEither { punch: of, .. } => of.cause(),
            Self::Direct { .. } => WhyCause::Direct,
            Self::Punched { .. } => WhyCause::Punched,
            Self::UsedTwice { .. } => WhyCause::UsedTwice,
            Self::UsedTwiceHere { .. } => WhyCause::UsedTwiceHere,
            Self::NoWay { why: SendTrouble::NoRoute } => WhyCause::NoRoute,
            Self::NoWay { .. } => WhyCause::SendingForbidden,
            Self::Running { .. } => WhyCause::Running,
            Self::Idle { ended: Some((_, Reason::HeldOff { .. })), held_off: Some(_), .. } => {
                WhyCause::DisconnectedHere
            }
            Self::Idle { .. } => WhyCause::Idle,
            Self::RateLimited { .. } => WhyCause::RateLimited,
            Self::NoIntermediary => WhyCause::NoIntermediary,
            Self::NoConsent => WhyCause::NoConsent,
            Self::Unpunchable { .. } => WhyCause::Unpunchable,
            Self::GuessablePort { .. } => WhyCause::GuessablePort,
            Self::PunchFailed { .. } => WhyCause::PunchFailed,
            Self::PunchUntried { .. } => WhyCause::PunchUntried,
            Self::PunchUnanswered { .. } => WhyCause::PunchUnanswered,
            Self::NothingThrough { .. } => WhyCause::NothingThrough,
            Self::NoCommonFamily { .. } => WhyCause::NoCommonFamily,
            Self::PathTooNarrow { .. } => WhyCause::PathTooNarrow,
            Self::EndedByIt { code, .. } => match code {
                CloseCode::Network => WhyCause::OtherNetwork,
                CloseCode::Version => WhyCause::OtherVersion,
                CloseCode::HoldOff => WhyCause::HeldOff,
                CloseCode::Limit => WhyCause::Full,
                CloseCode::Leave => WhyCause::Left,
                _ => WhyCause::EndedByIt,
            },
            Self::OtherIdentity { .. } => WhyCause::OtherIdentity,
            Self::Moved { .. } => WhyCause::Moved,
            Self::UdpForbidden | Self::UdpBlockedHere => WhyCause::UdpBlockedHere,
            Self::UdpBlockedBetween => WhyCause::UdpBlockedBetween,
            Self::UdpBlockedThere => WhyCause::UdpBlockedThere,
            Self::Offline => WhyCause::Offline,
            Self::NobodyAnswers => WhyCause::NobodyAnswers,
            Self::AnswersNow => WhyCause::AnswersNow,
            Self::NotRunning => WhyCause::NotRunning,
            Self::LinkedToOthers { .. } => WhyCause::LinkedToOthers,
            Self::Left { .. } => WhyCause::Left,
            Self::FellSilent { .. } => WhyCause::FellSilent,
            Self::Unseen { .. } => WhyCause::Unseen,
            Self::Failed { .. } => WhyCause::Unknown,
        }
    }
}

/// By what a verdict is as sure as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Because {
    /// The link stands, and its heartbeats are answered.
    LinkStands,
    /// Links were taken over in turn by two.
    TakenInTurn,
    /// The system knows no route.
    NoRoute,
    /// The system refused to send.
    SendRefused,
    /// The attempt has not ended.
    NotEnded,
    /// Our operator asked for it.
    AskedForHere,
    /// We saw the link end.
    SeenToEnd,
    /// Nothing was tried.
    NothingTried,
    /// The peer said so to the intermediary.
    SaidToIntermediary,
    /// The intermediary said so.
    IntermediarySaid,
    /// A short datagram was answered, the handshake was not.
    ShortAnswered,
    /// Its record names addresses of one family alone, and we send by the other alone.
    OtherFamilyOnly {
        /// Whether it has IPv4 alone.
        they_have_ipv4: bool,
    },
    /// Nobody was there to be asked.
    NobodyToAsk,
    /// All that were asked said so.
    AllSaidSo {
        /// Who.
        who: Vec<PeerId>,
    },
    /// No answer to our request came back.
    NoAnswer,
    /// The handshake proved another key.
    OtherKey,
    /// The other end closed the connection with that code.
    Closed {
        /// When the attempt began that ended so.
        at: Option<Stamp>,
    },
    /// One host was heard over TCP and not over UDP.
    OneByTcp,
    /// So many hosts were.
    ManyByTcp {
        /// How many.
        hosts: usize,
    },
    /// It was heard just now.
    HeardNow,
    /// We never had a link to compare with.
    NeverLinked,
    /// Links of ours fell silent.
    LinksFellSilent {
        /// How many.
        links: usize,
    },
    /// Its host said so.
    HostSaid {
        /// When it was last seen.
        seen: Option<Stamp>,
    },
    /// It is seen there, or its record names the place.
    SeenThere {
        /// Who is connected to it there.
        by: Option<PeerId>,
        /// Whether its record says so, and then whether that is its own word.
        record: Option<bool>,
    },
    /// Others say so, and our attempt is older.
    OthersSay,
    /// The peer said so.
    PeerSaid {
        /// When it was last seen.
        seen: Option<Stamp>,
    },
    /// Its host was heard over TCP while we have links.
    HeardByTcp {
        /// How many.
        links: usize,
    },
    /// So many saw its link fall silent.
    SawSilence {
        /// How many.
        witnesses: usize,
        /// How many never knew it.
        never: usize,
        /// When it was last seen.
        seen: Option<Stamp>,
    },
    /// So many are not connected to it.
    NotConnected {
        /// How many were asked.
        asked: usize,
        /// When it was last seen.
        seen: Option<Stamp>,
    },
    /// Nothing but that attempt is known.
    OnlyThatAttempt,
    /// What is known of both NATs.
    Nats {
        /// Of ours; `None` where it is not measured.
        ours: Option<OurNat>,
        /// Of the peer's.
        theirs: TheirNat,
    },
}

/// How our NAT was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OurNat {
    /// How many observers agree.
    pub observers: usize,
    /// On what.
    pub nat: NatType,
    /// When it was measured.
    pub measured: Stamp,
}

/// How the peer's NAT is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TheirNat {
    /// It is not.
    Unknown,
    /// The peer says what it is, and when it measured it.
    Measured(Stamp),
    /// The peer says what it is.
    Said,
    /// Others say so.
    Hearsay,
}

/// One of the two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// Ours.
    Ours,
    /// The peer's.
    Theirs,
}

/// What would make the path better.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Help {
    /// One of two nodes with one key is stopped.
    StopOneOfTwo,
    /// A network for this host.
    Network,
    /// A network for this host, or a route there.
    NetworkOrRoute,
    /// UDP let out by this host.
    UdpLetOut,
    /// UDP let out and in by this host and its network.
    UdpOpenHere,
    /// UDP let in at the peer's port.
    UdpOpenThere,
    /// Another setting at the peer.
    PunchSetting,
    /// A larger MTU on every link between.
    Mtu,
    /// IPv6 at the end that has IPv4 alone.
    SecondFamily,
    /// IPv6 at both ends.
    Ipv6,
    /// A port forwarded on a router, or another router.
    PortForwarded(End),
    /// Waiting for the rate of requests.
    WaitForRate,
    /// Another public peer that is linked to both.
    OtherIntermediary,
    /// A public peer that both ends are linked to.
    CommonPublicPeer,
    /// Any peer that both ends are linked to.
    CommonPeer,
    /// A link to one of these.
    LinkTo(Vec<PeerId>),
    /// More public peers to measure with.
    MorePublicPeers,
    /// A peer that is linked to it, whose record has the new address.
    PeerWithNewAddress,
    /// The same network at both ends.
    SameNetwork(String),
    /// The newer program at the older end.
    NewerProgram,
    /// Waiting for the end of a hold-off.
    WaitForHoldOff,
    /// Waiting for a free place.
    WaitForRoom,
    /// The peer's log.
    ItsLog,
    /// A second peer to compare with.
    SecondPeer,
    /// A peer that is known to run.
    RunningPeer,
    /// Starting its node.
    StartIt,
    /// Starting its node again.
    StartItAgain,
    /// Starting its node, or letting its UDP out and in.
    StartItOrUdp,
}
