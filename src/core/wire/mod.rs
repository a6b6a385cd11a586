//! What travels between two punchdeck nodes: frames, link frames, messages.
//!
//! A frame is a big-endian `u32` length (of type and body), a big-endian `u16`
//! type and a postcard body. Frames of unknown type are handed out as such, to
//! be skipped and counted, and bytes after a body that parsed are ignored: so a
//! fleet can be upgraded node by node. This module never judges what a message
//! says; it only refuses what is too long or has no shape.

mod codec;
mod coordination;
mod frame;
mod guess;
mod hello;
mod lenient;
mod message;
mod probe;
mod proof;
mod proofs;
mod record;
#[cfg(test)]
pub(crate) mod strategies;
mod test;
#[cfg(test)]
mod tests;
mod why;

pub use codec::Frame;
pub use coordination::{
    CoordinationAnswer, Invite, InviteNotice, NoticeAnswer, PunchNotice, PunchRequest, Refusal,
};
pub use frame::{FrameReader, HEADER_LEN, RawFrame, frame_limit, is_first};
pub use guess::{GuessAnswer, GuessOffer, GuessOpened, GuessOver, GuessYes, Near, NoGuess};
pub use hello::{Hello, common_version};
pub use message::{
    Delta, Digest, DigestEntry, DigestPage, Echo, FullSync, IHave, Message, Observed, Request, SyncRefused,
    UsedTwice, Want, WhoHas,
};
pub use probe::{DialBack, DialBackAnswer, Nonce, ProbeToken};
pub use proof::Proof;
pub use record::{Capabilities, PeerPrefix, Record, RelayAddr};
pub use test::{NoTest, TestAnswer, TestOffer, TestOver, TestTerms};
pub use why::{
    PeerReply, PeerWords, TYPED_WHY_SINCE, WhyAsk, WhyNote, WitnessAsk, WitnessReply, WitnessWords,
};

/// The lowest protocol version this program speaks.
pub const PROTOCOL_LOW: u16 = 1;
/// The highest protocol version this program speaks.
pub const PROTOCOL_HIGH: u16 = 3;
/// The first version whose nodes keep a second lane warm under a link, and know
/// [`Frame::Carry`].
pub const WARM_LANES_SINCE: u16 = 2;

/// Frame types. Those below [`kind::NUMBERED`] belong to one connection; the
/// others are messages of the link, numbered and acknowledged.
/// `0x0130..=0x015f` are kept for punch coordination and relay invitations.
pub mod kind {
    /// [`super::Hello`].
    pub const HELLO: u16 = 0x0001;
    /// [`super::Frame::Resume`].
    pub const RESUME: u16 = 0x0002;
    /// [`super::Frame::Ping`].
    pub const PING: u16 = 0x0003;
    /// [`super::Frame::Pong`].
    pub const PONG: u16 = 0x0004;
    /// [`super::Frame::Ack`].
    pub const ACK: u16 = 0x0005;
    /// [`super::Frame::Carry`].
    pub const CARRY: u16 = 0x0006;
    /// [`super::Frame::Nonce`].
    pub const NONCE: u16 = 0x0007;
    /// [`super::Frame::Proof`].
    pub const PROOF: u16 = 0x0008;
    /// The first numbered type.
    pub const NUMBERED: u16 = 0x0100;
    /// [`super::Message::Leave`].
    pub const LEAVE: u16 = 0x0100;
    /// [`super::FullSync`].
    pub const FULL_SYNC: u16 = 0x0110;
    /// [`super::Delta`].
    pub const DELTA: u16 = 0x0111;
    /// [`super::Request`].
    pub const REQUEST: u16 = 0x0112;
    /// [`super::Digest`].
    pub const DIGEST: u16 = 0x0113;
    /// [`super::DigestPage`].
    pub const DIGEST_PAGE: u16 = 0x0114;
    /// [`super::SyncRefused`].
    pub const SYNC_REFUSED: u16 = 0x0115;
    /// [`super::WhoHas`].
    pub const WHO_HAS: u16 = 0x0120;
    /// [`super::IHave`].
    pub const I_HAVE: u16 = 0x0121;
    /// [`super::Observed`].
    pub const OBSERVED: u16 = 0x0122;
    /// [`super::UsedTwice`].
    pub const USED_TWICE: u16 = 0x0123;
    /// [`super::PunchRequest`].
    pub const PUNCH_REQUEST: u16 = 0x0130;
    /// [`super::CoordinationAnswer`].
    pub const COORDINATION_ANSWER: u16 = 0x0131;
    /// [`super::PunchNotice`].
    pub const PUNCH_NOTICE: u16 = 0x0132;
    /// [`super::NoticeAnswer`].
    pub const NOTICE_ANSWER: u16 = 0x0133;
    /// [`super::Invite`].
    pub const INVITE: u16 = 0x0140;
    /// [`super::InviteNotice`].
    pub const INVITE_NOTICE: u16 = 0x0141;
    /// [`super::ProbeToken`].
    pub const PROBE_TOKEN: u16 = 0x0160;
    /// [`super::DialBack`].
    pub const DIAL_BACK: u16 = 0x0161;
    /// [`super::DialBackAnswer`].
    pub const DIAL_BACK_ANSWER: u16 = 0x0162;
    /// [`super::WhyAsk`].
    pub const WHY_ASK: u16 = 0x0170;
    /// [`super::PeerWords`].
    pub const PEER_WORDS: u16 = 0x0171;
    /// [`super::WitnessAsk`].
    pub const WITNESS_ASK: u16 = 0x0172;
    /// [`super::WitnessWords`].
    pub const WITNESS_WORDS: u16 = 0x0173;
    /// [`super::PeerReply`].
    pub const PEER_REPLY: u16 = 0x0174;
    /// [`super::WitnessReply`].
    pub const WITNESS_REPLY: u16 = 0x0175;
    /// [`super::GuessOffer`].
    pub const GUESS_OFFER: u16 = 0x01a0;
    /// [`super::GuessAnswer`].
    pub const GUESS_ANSWER: u16 = 0x01a1;
    /// [`super::GuessOpened`].
    pub const GUESS_OPENED: u16 = 0x01a2;
    /// [`super::GuessOver`].
    pub const GUESS_OVER: u16 = 0x01a3;
    /// [`super::TestOffer`].
    pub const TEST_OFFER: u16 = 0x01b0;
    /// [`super::TestAnswer`].
    pub const TEST_ANSWER: u16 = 0x01b1;
    /// [`super::TestOver`].
    pub const TEST_OVER: u16 = 0x01b2;
    /// [`super::Message::Echo`].
    pub const ECHO: u16 = 0x01f0;
    /// [`super::Message::EchoReply`].
    pub const ECHO_REPLY: u16 = 0x01f1;
}

/// Why a frame was refused or could not be made. The link it came over is
/// closed: after it the stream has no frame borders any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The header announces more than frames of this type may have.
    #[error("a frame of type {kind:#06x} with {len} bytes, at most {max} are taken")]
    TooLong {
        /// The frame's type.
        kind: u16,
        /// Its length with header, in bytes.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// The frame has no sense: a length below two, or a body that does not
    /// parse.
    #[error("a frame of type {kind:#06x} that cannot be read")]
    Malformed {
        /// The frame's type; zero if it has none.
        kind: u16,
    },
}
