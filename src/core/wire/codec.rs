//! Frames to bytes and back.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::frame::{begin, finish};
use super::{Hello, Message, RawFrame, WireError, kind};
use crate::core::limits::PROBE_PORTS_MAX;

/// Everything that can come over a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Opens the conversation.
    Hello(Box<Hello>),
    /// Takes a link up where another connection left it.
    Resume {
        /// The session the sender remembers; 0 = none.
        session: u64,
        /// The sequence number it expects next.
        next: u64,
    },
    /// A heartbeat.
    Ping {
        /// Echoed in the answer.
        token: u64,
    },
    /// Answers a heartbeat.
    Pong {
        /// The heartbeat's.
        token: u64,
    },
    /// Everything before `next` has arrived.
    Ack {
        /// In which session.
        session: u64,
        /// The sequence number expected next.
        next: u64,
    },
    /// Which connection carries the link is the opener's to say. From the
    /// opener: from now on this one does. From the other end: the same back, as
    /// its answer; or with the turn that comes next, a wish.
    Carry {
        /// Counts the opener's decisions, so that two that overtake each other on
        /// two connections are told apart.
        turn: u64,
    },
    /// Opens the conversation in a closed fleet, where nothing else is said before
    /// both ends have proved that they are members.
    Nonce {
        /// Random bytes that the proofs have to cover.
        nonce: [u8; 32],
    },
    /// The sender is a member.
    Proof {
        /// Made over both nonces and the connection.
        proof: [u8; 32],
    },
    /// A numbered message.
    Message {
        /// The link's session.
        session: u64,
        /// Its number in it.
        seq: u64,
        /// What it says.
        message: Message,
    },
    /// A numbered message of a type that is not known here: it is acknowledged,
    /// counted and skipped.
    UnknownMessage {
        /// Its type.
        kind: u16,
        /// The link's session.
        session: u64,
        /// Its number in it.
        seq: u64,
    },
    /// A frame of a type that is not known here: counted and skipped.
    Unknown {
        /// Its type.
        kind: u16,
    },
}

impl Frame {
    /// Reads a frame's body.
    ///
    /// # Errors
    /// [`WireError::Malformed`] if the type is known and the body does not
    /// parse.
    pub fn decode(raw: &RawFrame) -> Result<Self, WireError> {
        let RawFrame { kind, body } = raw;
        let kind = *kind;
        if kind >= kind::NUMBERED {
            let ((session, seq), rest) = take::<(u64, u64)>(kind, body)?;
            return Ok(match decode_message(kind, rest)? {
                Some(message) => Self::Message { session, seq, message },
                None => Self::UnknownMessage { kind, session, seq },
            });
        }
        Ok(match kind {
            kind::HELLO => {
                let mut hello = read::<Box<Hello>>(kind, body)?;
                hello.probe_ports.truncate(PROBE_PORTS_MAX);
                Self::Hello(hello)
            }
            kind::RESUME => {
                let (session, next) = read(kind, body)?;
                Self::Resume { session, next }
            }
            kind::PING => Self::Ping { token: read(kind, body)? },
            kind::PONG => Self::Pong { token: read(kind, body)? },
            kind::ACK => {
                let (session, next) = read(kind, body)?;
                Self::Ack { session, next }
            }
            kind::CARRY => Self::Carry { turn: read(kind, body)? },
            kind::NONCE => Self::Nonce { nonce: read(kind, body)? },
            kind::PROOF => Self::Proof { proof: read(kind, body)? },
            kind => Self::Unknown { kind },
        })
    }

    /// The whole frame with its header.
    ///
    /// # Errors
    /// [`WireError::TooLong`] if it exceeds its type's limit. Unknown frames
    /// cannot be made: [`WireError::Malformed`].
    pub fn encode(&self) -> Result<Vec<u8>, WireError> {
        match self {
            Self::Hello(hello) => write(kind::HELLO, hello),
            Self::Resume { session, next } => write(kind::RESUME, &(session, next)),
            Self::Ping { token } => write(kind::PING, token),
            Self::Pong { token } => write(kind::PONG, token),
            Self::Ack { session, next } => write(kind::ACK, &(session, next)),
            Self::Carry { turn } => write(kind::CARRY, turn),
            Self::Nonce { nonce } => write(kind::NONCE, nonce),
            Self::Proof { proof } => write(kind::PROOF, proof),
            Self::Message { session, seq, message } => message.encode(*session, *seq),
            Self::UnknownMessage { kind, .. } | Self::Unknown { kind } => {
                Err(WireError::Malformed { kind: *kind })
            }
        }
    }
}

impl Message {
    /// The message's whole frame with its header, numbered.
    ///
    /// # Errors
    /// [`WireError::TooLong`] if it exceeds its type's limit.
    pub fn encode(&self, session: u64, seq: u64) -> Result<Vec<u8>, WireError> {
        let kind = self.kind();
        let number = &(session, seq);
        match self {
            Self::Leave => write(kind, number),
            Self::FullSync(body) => write(kind, &(number, body)),
            Self::Delta(body) => write(kind, &(number, body)),
            Self::Request(body) => write(kind, &(number, body)),
            Self::SyncRefused(body) => write(kind, &(number, body)),
            Self::Digest(body) => write(kind, &(number, body)),
            Self::DigestPage(body) => write(kind, &(number, body)),
            Self::WhoHas(body) => write(kind, &(number, body)),
            Self::IHave(body) => write(kind, &(number, body)),
            Self::PunchRequest(body) => write(kind, &(number, body)),
            Self::CoordinationAnswer(body) => write(kind, &(number, body)),
            Self::PunchNotice(body) => write(kind, &(number, body)),
            Self::NoticeAnswer(body) => write(kind, &(number, body)),
            Self::Invite(body) => write(kind, &(number, body)),
            Self::InviteNotice(body) => write(kind, &(number, body)),
            Self::ProbeToken(body) => write(kind, &(number, body)),
            Self::DialBack(body) => write(kind, &(number, body)),
            Self::DialBackAnswer(body) => write(kind, &(number, body)),
            Self::Observed(body) => write(kind, &(number, body)),
            Self::UsedTwice(body) => write(kind, &(number, body)),
            Self::WhyAsk(body) => write(kind, &(number, body)),
            Self::PeerReply(body) => write(kind, &(number, body)),
            Self::PeerWords(body) => write(kind, &(number, body)),
            Self::WitnessAsk(body) => write(kind, &(number, body)),
            Self::WitnessReply(body) => write(kind, &(number, body)),
            Self::WitnessWords(body) => write(kind, &(number, body)),
            Self::GuessOffer(body) => write(kind, &(number, body)),
            Self::GuessAnswer(body) => write(kind, &(number, body)),
            Self::GuessOpened(body) => write(kind, &(number, body)),
            Self::GuessOver(body) => write(kind, &(number, body)),
            Self::TestOffer(body) => write(kind, &(number, body)),
            Self::TestAnswer(body) => write(kind, &(number, body)),
            Self::TestOver(body) => write(kind, &(number, body)),
            Self::Echo(body) | Self::EchoReply(body) => write(kind, &(number, body)),
        }
    }
}

/// The message of a numbered frame; `None` if its type is not known here.
fn decode_message(kind: u16, body: &[u8]) -> Result<Option<Message>, WireError> {
    Ok(Some(match kind {
        kind::LEAVE => Message::Leave,
        kind::FULL_SYNC => Message::FullSync(read(kind, body)?),
        kind::DELTA => Message::Delta(read(kind, body)?),
        kind::REQUEST => Message::Request(read(kind, body)?),
        kind::SYNC_REFUSED => Message::SyncRefused(read(kind, body)?),
        kind::DIGEST => Message::Digest(read(kind, body)?),
        kind::DIGEST_PAGE => Message::DigestPage(read(kind, body)?),
        kind::WHO_HAS => Message::WhoHas(read(kind, body)?),
        kind::I_HAVE => Message::IHave(read(kind, body)?),
        kind::PUNCH_REQUEST => Message::PunchRequest(read(kind, body)?),
        kind::COORDINATION_ANSWER => Message::CoordinationAnswer(read(kind, body)?),
        kind::PUNCH_NOTICE => Message::PunchNotice(read(kind, body)?),
        kind::NOTICE_ANSWER => Message::NoticeAnswer(read(kind, body)?),
        kind::INVITE => Message::Invite(read(kind, body)?),
        kind::INVITE_NOTICE => Message::InviteNotice(read(kind, body)?),
        kind::PROBE_TOKEN => Message::ProbeToken(read(kind, body)?),
        kind::DIAL_BACK => Message::DialBack(read(kind, body)?),
        kind::DIAL_BACK_ANSWER => Message::DialBackAnswer(read(kind, body)?),
        kind::OBSERVED => Message::Observed(read(kind, body)?),
        kind::USED_TWICE => Message::UsedTwice(read(kind, body)?),
        kind::WHY_ASK => Message::WhyAsk(read(kind, body)?),
        kind::PEER_REPLY => Message::PeerReply(read(kind, body)?),
        kind::PEER_WORDS => Message::PeerWords(read(kind, body)?),
        kind::WITNESS_ASK => Message::WitnessAsk(read(kind, body)?),
        kind::WITNESS_REPLY => Message::WitnessReply(read(kind, body)?),
        kind::WITNESS_WORDS => Message::WitnessWords(read(kind, body)?),
        kind::GUESS_OFFER => Message::GuessOffer(read(kind, body)?),
        kind::GUESS_ANSWER => Message::GuessAnswer(read(kind, body)?),
        kind::GUESS_OPENED => Message::GuessOpened(read(kind, body)?),
        kind::GUESS_OVER => Message::GuessOver(read(kind, body)?),
        kind::TEST_OFFER => Message::TestOffer(read(kind, body)?),
        kind::TEST_ANSWER => Message::TestAnswer(read(kind, body)?),
        kind::TEST_OVER => Message::TestOver(read(kind, body)?),
        kind::ECHO => Message::Echo(read(kind, body)?),
        kind::ECHO_REPLY => Message::EchoReply(read(kind, body)?),
        _ => return Ok(None),
    }))
}

fn write<T: Serialize + ?Sized>(kind: u16, body: &T) -> Result<Vec<u8>, WireError> {
    let frame = postcard::to_extend(body, begin(kind)).map_err(|_| WireError::Malformed { kind })?;
    finish(kind, frame)
}

fn take<T: DeserializeOwned>(kind: u16, body: &[u8]) -> Result<(T, &[u8]), WireError> {
    postcard::take_from_bytes(body).map_err(|_| WireError::Malformed { kind })
}

fn read<T: DeserializeOwned>(kind: u16, body: &[u8]) -> Result<T, WireError> {
    take(kind, body).map(|(value, _trailing)| value)
}
