//! Numbered messages: what two nodes say to each other over a link, whatever
//! connection carries it.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

use super::proofs::{Proofs, ProofsOf};
use super::{
    CoordinationAnswer, Invite, InviteNotice, NoticeAnswer, PunchNotice, PunchRequest, WitnessAsk,
    WitnessReply, WitnessWords,
};
use super::{DialBack, DialBackAnswer, PeerPrefix, PeerReply, PeerWords, ProbeToken, Record, WhyAsk};
use super::{GuessAnswer, GuessOffer, GuessOpened, GuessOver};
use super::{TestAnswer, TestOffer, TestOver};
use super::{frame_limit, kind, lenient, why};
use crate::core::limits::PAGE_RECORDS_MAX;
use crate::model::PeerId;

/// Bytes of a frame that are not records or entries, at most: header, session,
/// sequence, and the message's own numbers.
const OVERHEAD: usize = 64;

/// One page of everything the sender knows.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "FullSyncRead")]
pub struct FullSync {
    /// Names the sync: the asker's number where it was asked for, else the
    /// sender's.
    pub sync: u32,
    /// Counts from 0.
    pub page: u32,
    /// Whether no more follows.
    pub last: bool,
    /// The records.
    pub records: Vec<Record>,
}

/// A page as it is read: the proofs come last.
#[derive(Deserialize)]
struct FullSyncRead {
    sync: u32,
    page: u32,
    last: bool,
    #[serde(deserialize_with = "lenient::at_most::<_, _, PAGE_RECORDS_MAX>")]
    records: Vec<Record>,
    #[serde(deserialize_with = "Proofs::read")]
    proofs: Proofs,
}

impl From<FullSyncRead> for FullSync {
    fn from(read: FullSyncRead) -> Self {
        let FullSyncRead { sync, page, last, records, proofs } = read;
        Self { sync, page, last, records: proofs.onto(records) }
    }
}

impl Serialize for FullSync {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.sync, self.page, self.last, &self.records, ProofsOf(&self.records)).serialize(serializer)
    }
}

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(from = "DeltaRead")]
pub struct Delta {
    /// New and changed records.
    pub added: Vec<Record>,
    /// Peers that are gone for the sender.
    pub removed: Vec<PeerId>,
}

/// A delta as it is read: the proofs come last.
#[derive(Deserialize)]
struct DeltaRead {
    #[serde(deserialize_with = "lenient::at_most::<_, _, PAGE_RECORDS_MAX>")]
    added: Vec<Record>,
    #[serde(deserialize_with = "lenient::at_most::<_, _, PAGE_RECORDS_MAX>")]
    removed: Vec<PeerId>,
    #[serde(deserialize_with = "Proofs::read")]
    proofs: Proofs,
}

impl From<DeltaRead> for Delta {
    fn from(DeltaRead { added, removed, proofs }: DeltaRead) -> Self {
        Self { added: proofs.onto(added), removed }
    }
}

impl Serialize for Delta {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.added, &self.removed, ProofsOf(&self.added)).serialize(serializer)
    }
}

/// Which records a request asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Want {
    /// Everything.
    All,
    /// Those of these peers. A digest names peers by prefix, so this does too.
    Prefixes(#[serde(deserialize_with = "lenient::any_number")] Vec<PeerPrefix>),
}

/// Asks for records; a [`FullSync`] with the same number answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Echoed in the answer.
    pub sync: u32,
    /// Which ones.
    pub want: Want,
}

/// "I serve you no full sync now": the answer to a [`Request`] for everything that
/// came too soon after others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncRefused {
    /// The request's number.
    pub sync: u32,
    /// When the next one is served, in seconds from now.
    pub retry_s: u16,
}

/// A summary of (peer, version) over all records, for the other end to compare
/// with its own. Different: it answers with [`DigestPage`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// Echoed in the answer.
    pub round: u32,
    /// How many records.
    pub count: u32,
    /// Hash over them.
    pub hash: [u8; 16],
}

/// A record in a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DigestEntry {
    /// Whose.
    pub peer: PeerPrefix,
    /// Its version.
    pub version: u64,
}

/// One page of (peer, version), in ascending order of peers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigestPage {
    /// The digest that it answers.
    pub round: u32,
    /// Counts from 0.
    pub page: u32,
    /// Whether no more follows.
    pub last: bool,
    /// The entries.
    #[serde(deserialize_with = "lenient::any_number")]
    pub entries: Vec<DigestEntry>,
}

/// "Are you connected to this peer?"
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhoHas {
    /// Echoed in the answer.
    pub query: u32,
    /// Whom we look for.
    pub peer: PeerId,
}

/// The answer to [`WhoHas`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IHave {
    /// The question's number.
    pub query: u32,
    /// Who was looked for.
    pub peer: PeerId,
    /// The peer's address as the answerer sees it; `None`: not connected.
    pub observed: Option<SocketAddr>,
}

/// "I see you at another address now."
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// Where.
    pub addr: SocketAddr,
}

/// "I hear your identity from there, too."
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedTwice {
    /// Where.
    pub other: SocketAddr,
}

/// A numbered payload that comes back, for drills.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Echo {
    /// Its number.
    pub id: u64,
    /// Its payload.
    #[serde(deserialize_with = "lenient::any_number")]
    pub payload: Vec<u8>,
}

/// What one node says to another over a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// "I leave the network": delete me.
    Leave,
    /// A page of records.
    FullSync(FullSync),
    /// What changed.
    Delta(Delta),
    /// Asks for records.
    Request(Request),
    /// Answers such a request that came too soon.
    SyncRefused(SyncRefused),
    /// A summary of what the sender knows.
    Digest(Digest),
    /// The detail of it.
    DigestPage(DigestPage),
    /// Asks who is connected to a peer.
    WhoHas(WhoHas),
    /// Answers that.
    IHave(IHave),
    /// Asks an intermediary to coordinate a punch.
    PunchRequest(PunchRequest),
    /// The intermediary's answer.
    CoordinationAnswer(CoordinationAnswer),
    /// The intermediary tells the target of a punch.
    PunchNotice(PunchNotice),
    /// The target's answer to a notice.
    NoticeAnswer(NoticeAnswer),
    /// Asks an intermediary to invite the target to a relay.
    Invite(Invite),
    /// The intermediary tells the target of an invitation.
    InviteNotice(InviteNotice),
    /// Lets the receiver use our probe ports.
    ProbeToken(ProbeToken),
    /// Asks for a datagram.
    DialBack(DialBack),
    /// Answers that.
    DialBackAnswer(DialBackAnswer),
    /// Tells where the receiver is seen now.
    Observed(Observed),
    /// Tells that the receiver's identity has another holder.
    UsedTwice(UsedTwice),
    /// Asks for the receiver's half of the story.
    WhyAsk(WhyAsk),
    /// Answers that.
    PeerReply(PeerReply),
    /// The same in sentences, between nodes of which one knows no other way.
    PeerWords(PeerWords),
    /// Asks what the receiver saw of somebody else.
    WitnessAsk(WitnessAsk),
    /// Answers that.
    WitnessReply(WitnessReply),
    /// The same in sentences.
    WitnessWords(WitnessWords),
    /// Offers to guess a port.
    GuessOffer(GuessOffer),
    /// Answers that.
    GuessAnswer(GuessAnswer),
    /// Tells that the sockets are open.
    GuessOpened(GuessOpened),
    /// Ends it.
    GuessOver(GuessOver),
    /// Offers to test a connection.
    TestOffer(TestOffer),
    /// Answers that.
    TestAnswer(TestAnswer),
    /// Ends it.
    TestOver(TestOver),
    /// Asks for an [`Message::EchoReply`] with the same content.
    Echo(Echo),
    /// Answers an echo.
    EchoReply(Echo),
}

impl Message {
    /// What it says of sightings is older by so much: it was kept on the way.
    pub fn grow_older(&mut self, by: Duration) {
        let records = match self {
            Self::FullSync(page) => &mut page.records,
            Self::Delta(delta) => &mut delta.added,
            _ => return,
        };
        // Rounded up, so that no way makes a sighting younger.
        let by = u32::try_from(by.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
        for record in records {
            record.age_s = record.age_s.saturating_add(by);
        }
    }

    /// The frame type.
    pub fn kind(&self) -> u16 {
        match self {
            Self::Leave => kind::LEAVE,
            Self::FullSync(_) => kind::FULL_SYNC,
            Self::Delta(_) => kind::DELTA,
            Self::Request(_) => kind::REQUEST,
            Self::SyncRefused(_) => kind::SYNC_REFUSED,
            Self::Digest(_) => kind::DIGEST,
            Self::DigestPage(_) => kind::DIGEST_PAGE,
            Self::WhoHas(_) => kind::WHO_HAS,
            Self::IHave(_) => kind::I_HAVE,
            Self::PunchRequest(_) => kind::PUNCH_REQUEST,
            Self::CoordinationAnswer(_) => kind::COORDINATION_ANSWER,
            Self::PunchNotice(_) => kind::PUNCH_NOTICE,
            Self::NoticeAnswer(_) => kind::NOTICE_ANSWER,
            Self::Invite(_) => kind::INVITE,
            Self::InviteNotice(_) => kind::INVITE_NOTICE,
            Self::ProbeToken(_) => kind::PROBE_TOKEN,
            Self::DialBack(_) => kind::DIAL_BACK,
            Self::DialBackAnswer(_) => kind::DIAL_BACK_ANSWER,
            Self::Observed(_) => kind::OBSERVED,
            Self::UsedTwice(_) => kind::USED_TWICE,
            Self::WhyAsk(_) => kind::WHY_ASK,
            Self::PeerReply(_) => kind::PEER_REPLY,
            Self::PeerWords(_) => kind::PEER_WORDS,
            Self::WitnessAsk(_) => kind::WITNESS_ASK,
            Self::WitnessReply(_) => kind::WITNESS_REPLY,
            Self::WitnessWords(_) => kind::WITNESS_WORDS,
            Self::GuessOffer(_) => kind::GUESS_OFFER,
            Self::GuessAnswer(_) => kind::GUESS_ANSWER,
            Self::GuessOpened(_) => kind::GUESS_OPENED,
            Self::GuessOver(_) => kind::GUESS_OVER,
            Self::TestOffer(_) => kind::TEST_OFFER,
            Self::TestAnswer(_) => kind::TEST_ANSWER,
            Self::TestOver(_) => kind::TEST_OVER,
            Self::Echo(_) => kind::ECHO,
            Self::EchoReply(_) => kind::ECHO_REPLY,
        }
    }

    /// Bytes of its frame, at most: what it takes of a link's room.
    pub fn encoded_size_max(&self) -> usize {
        OVERHEAD
            + match self {
                Self::FullSync(page) => page.records.iter().map(Record::encoded_size_max).sum(),
                Self::Delta(delta) => {
                    delta.added.iter().map(Record::encoded_size_max).sum::<usize>() + delta.removed.len() * 32
                }
                Self::Request(Request { want: Want::Prefixes(prefixes), .. }) => prefixes.len() * 8,
                Self::DigestPage(page) => page.entries.len() * DigestPage::ENTRY_SIZE_MAX,
                Self::Echo(echo) | Self::EchoReply(echo) => echo.payload.len(),
                Self::PunchRequest(p) => 64 + p.addresses.len() * 20,
                Self::PunchNotice(p) => 64 + p.addresses.len() * 20,
                Self::PeerReply(reply) => why::evidence_size(&reply.evidence) + why::notes_size(&reply.notes),
                Self::WitnessReply(reply) => 48 + why::notes_size(&reply.notes),
                Self::PeerWords(words) => {
                    let texts = words.evidence.iter().chain(words.notes.iter().map(|(_, what)| what));
                    texts.map(|text| text.len() + 16).sum()
                }
                Self::WitnessWords(words) => {
                    48 + words.notes.iter().map(|(_, what)| what.len() + 16).sum::<usize>()
                }
                Self::Invite(_) | Self::InviteNotice(_) => 160,
                Self::GuessOffer(_)
                | Self::GuessAnswer(_)
                | Self::GuessOpened(_)
                | Self::GuessOver(_)
                | Self::TestOffer(_)
                | Self::TestAnswer(_)
                | Self::TestOver(_)
                | Self::CoordinationAnswer(_)
                | Self::NoticeAnswer(_)
                | Self::ProbeToken(_)
                | Self::DialBack(_)
                | Self::DialBackAnswer(_)
                | Self::WhyAsk(_)
                | Self::WitnessAsk(_)
                | Self::Observed(_)
                | Self::UsedTwice(_)
                | Self::Leave
                | Self::Request(_)
                | Self::SyncRefused(_)
                | Self::Digest(_)
                | Self::WhoHas(_)
                | Self::IHave(_) => 48,
            }
    }
}

impl FullSync {
    /// Bytes of records that fit in a page.
    pub const ROOM: usize = crate::core::limits::PAGE_FRAME_MAX - OVERHEAD;
}

impl Delta {
    /// Bytes of records and removed ids (32 each) that fit in a delta.
    pub const ROOM: usize = crate::core::limits::FRAME_MAX - OVERHEAD;
}

impl Request {
    /// Prefixes that fit in a request.
    pub const PREFIXES_MAX: usize = (crate::core::limits::FRAME_MAX - OVERHEAD) / 8;
}

impl DigestPage {
    /// Bytes of an entry, at most.
    pub const ENTRY_SIZE_MAX: usize = 8 + 10;
    /// Entries that fit in a page.
    pub const ENTRIES_MAX: usize = (crate::core::limits::PAGE_FRAME_MAX - OVERHEAD) / Self::ENTRY_SIZE_MAX;
}

impl Echo {
    /// Bytes of payload that fit in a frame.
    pub fn payload_max() -> usize {
        frame_limit(kind::ECHO) - OVERHEAD
    }
}
