//! The numbered, acknowledged stream of messages between two peers, which
//! outlives the connection that carries it.
//!
//! A message gets a sequence number once and is kept until the peer has it.
//! When the link moves to another connection, both ends say what they expect
//! next and the rest is sent again: nothing is lost, repeated or reordered.

use std::collections::VecDeque;
use std::time::Duration;

use crate::core::Mono;
use crate::core::limits::UNACKED_MAX;
use crate::core::wire::{Frame, Message, WireError};

/// Acknowledge after this many messages...
const ACK_EVERY: u32 = 16;
/// ...or this long after the first that is not acknowledged yet. Short against
/// the heartbeat, long against a burst of pages.
pub(super) const ACK_DELAY: Duration = Duration::from_millis(25);

/// Why a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// The link keeps no more.
    #[error("the peer has {kept} bytes to acknowledge; {UNACKED_MAX} is the limit")]
    NoRoom {
        /// Bytes waiting for acknowledgement.
        kept: usize,
    },
    /// No session was ever joined: there is nobody to say it to.
    #[error("there is no session")]
    NoSession,
    /// The message does not fit in a frame.
    #[error(transparent)]
    Frame(#[from] WireError),
}

/// What an end says at the start of a connection: what it remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resume {
    /// The session; zero for none.
    pub session: u64,
    /// The sequence number it expects next.
    pub next: u64,
}

/// How a handshake joined the two ends' memories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joined {
    /// Both remembered the same session: it goes on.
    Resumed,
    /// At least one end remembered nothing or something else: a new one began.
    Fresh,
}

/// The peer acknowledges what we never sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the peer expects message {next}, which is outside {low}..={high}")]
pub struct BadNext {
    /// What it says it expects next.
    pub next: u64,
    /// The least it can expect.
    pub low: u64,
    /// The most it can expect.
    pub high: u64,
}

/// A message that the peer has not acknowledged.
#[derive(Debug)]
struct Kept {
    frame: Vec<u8>,
    since: Mono,
}

/// One direction's memory and the other's.
#[derive(Debug, Default)]
pub struct Session {
    /// Zero until a handshake made one.
    id: u64,
    tx_next: u64,
    /// The peer has everything below.
    acked: u64,
    kept: VecDeque<Kept>,
    kept_bytes: usize,
    rx_next: u64,
    unacknowledged: u32,
    ack_due: Option<Mono>,
}

impl Session {
    /// What we say at the start of a connection.
    pub fn resume(&self) -> Resume {
        Resume { session: self.id, next: self.rx_next }
    }

    /// Joins what we said with what the peer said on the same stream.
    ///
    /// Both ends compute the same answer: the session goes on if both named
    /// the same one, else a new one begins whose id both derive from the
    /// connection.
    ///
    /// # Errors
    /// [`BadNext`] if the peer expects a message that does not exist.
    pub fn join(&mut self, said: Resume, heard: Resume, channel: &[u8; 16]) -> Result<Joined, BadNext> {
        if said.session != 0 && said.session == heard.session && said.session == self.id {
            // It was said before what another connection acknowledged meanwhile.
            self.on_ack(self.id, heard.next)?;
            return Ok(Joined::Resumed);
        }
        let mut first = [0u8; 8];
        first.copy_from_slice(&channel[..8]);
        *self = Self { id: u64::from_be_bytes(first) | 1, ..Self::default() };
        Ok(Joined::Fresh)
    }

    /// Whether a handshake has made a session.
    pub fn is_joined(&self) -> bool {
        self.id != 0
    }

    /// Messages that the peer has not acknowledged.
    pub fn unacknowledged(&self) -> u64 {
        self.kept.len() as u64
    }

    /// Since when the oldest of them is kept.
    pub fn oldest(&self) -> Option<Mono> {
        self.kept.front().map(|kept| kept.since)
    }

    /// Their bytes.
    pub fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }

    /// The number that the next message gets.
    pub fn next(&self) -> u64 {
        self.tx_next
    }

    /// Frames of what is not acknowledged, from a number on.
    pub fn from(&self, number: u64) -> impl Iterator<Item = &Vec<u8>> {
        let skip = usize::try_from(number.saturating_sub(self.acked)).unwrap_or(usize::MAX);
        self.kept.iter().skip(skip).map(|kept| &kept.frame)
    }

    /// Bytes that may be pushed now.
    pub fn room(&self) -> usize {
        UNACKED_MAX.saturating_sub(self.kept_bytes)
    }

    /// Numbers and keeps a message.
    ///
    /// # Errors
    /// [`NotSent`] if the peer is too far behind, there is no session, or the
    /// message is too long; the message is not taken then.
    pub fn push(&mut self, message: &Message, now: Mono) -> Result<(), NotSent> {
        if !self.is_joined() {
            return Err(NotSent::NoSession);
        }
        let frame = message.encode(self.id, self.tx_next)?;
        if self.kept_bytes + frame.len() > UNACKED_MAX {
            return Err(NotSent::NoRoom { kept: self.kept_bytes });
        }
        self.tx_next += 1;
        self.kept_bytes += frame.len();
        self.kept.push_back(Kept { frame, since: now });
        Ok(())
    }

    /// Takes the peer's acknowledgement; whether it says anything new.
    ///
    /// # Errors
    /// [`BadNext`] if it acknowledges what was never sent.
    pub fn on_ack(&mut self, session: u64, next: u64) -> Result<bool, BadNext> {
        // A late acknowledgement of the session before this one; or one that came
        // over another connection than what was acknowledged since.
        if session != self.id || next <= self.acked {
            return Ok(false);
        }
        if next > self.tx_next {
            return Err(BadNext { next, low: self.acked, high: self.tx_next });
        }
        for _ in self.acked..next {
            if let Some(kept) = self.kept.pop_front() {
                self.kept_bytes -= kept.frame.len();
            }
        }
        self.acked = next;
        Ok(true)
    }

    /// Whether a received number is the next one; what is not is a repetition
    /// from a path change or a hedge, and only acknowledged: the other end learns
    /// so that this way leads here.
    pub fn on_number(&mut self, session: u64, seq: u64, now: Mono) -> bool {
        if session != self.id {
            return false;
        }
        self.ack_due.get_or_insert(now + ACK_DELAY);
        let new = seq == self.rx_next;
        if new {
            self.rx_next += 1;
            self.unacknowledged += 1;
        }
        new
    }

    /// Has the acknowledgement sent now that is due later.
    pub fn hurry_ack(&mut self, now: Mono) {
        self.ack_due = self.ack_due.map(|_| now);
    }

    /// The acknowledgement to send now, if one is due.
    pub fn take_ack(&mut self, now: Mono) -> Option<Frame> {
        let due = self.unacknowledged >= ACK_EVERY || self.ack_due.is_some_and(|at| at <= now);
        due.then(|| {
            self.unacknowledged = 0;
            self.ack_due = None;
            Frame::Ack { session: self.id, next: self.rx_next }
        })
    }

    /// When [`Self::take_ack`] will have something.
    pub fn next_timeout(&self) -> Option<Mono> {
        self.ack_due
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::core::wire::{Echo, FrameReader};

    const CHANNEL: [u8; 16] = [7; 16];

    fn echo(id: u64) -> Message {
        Message::Echo(Echo { id, payload: Vec::new() })
    }

    /// Two sessions and what is on its way from left to right.
    struct Pair {
        left: Session,
        right: Session,
        wire: VecDeque<Vec<u8>>,
        got: Vec<u64>,
        now: Mono,
    }

    impl Pair {
        fn joined() -> Self {
            let mut pair = Self {
                left: Session::default(),
                right: Session::default(),
                wire: VecDeque::new(),
                got: Vec::new(),
                now: Mono::default(),
            };
            pair.rejoin(CHANNEL);
            pair
        }

        /// The connection breaks with everything on it, and a new one is made.
        fn rejoin(&mut self, channel: [u8; 16]) -> Joined {
            self.wire.clear();
            let (l, r) = (self.left.resume(), self.right.resume());
            let joined = self.left.join(l, r, &channel).unwrap();
            assert_eq!(joined, self.right.join(r, l, &channel).unwrap());
            self.wire.extend(self.left.from(0).cloned());
            joined
        }

        fn send(&mut self, id: u64) {
            let number = self.left.next();
            self.left.push(&echo(id), self.now).unwrap();
            self.wire.extend(self.left.from(number).cloned());
        }

        fn deliver(&mut self) {
            let Some(bytes) = self.wire.pop_front() else { return };
            let mut reader = FrameReader::default();
            reader.push(&bytes);
            let frame = Frame::decode(&reader.next().unwrap().unwrap()).unwrap();
            let Frame::Message { session, seq, message: Message::Echo(Echo { id, .. }) } = frame else {
                panic!("an echo was sent")
            };
            if self.right.on_number(session, seq, self.now) {
                self.got.push(id);
            }
        }

        fn acknowledge(&mut self) {
            self.now = self.now + ACK_DELAY;
            if self.right.take_ack(self.now).is_some() {
                let Resume { session, next } = self.right.resume();
                self.left.on_ack(session, next).unwrap();
            }
        }
    }

    #[test]
    fn both_ends_give_a_fresh_session_the_same_id() {
        let pair = Pair::joined();
        assert!(pair.left.is_joined());
        assert_eq!(pair.left.resume(), pair.right.resume());
    }

    #[test]
    fn an_end_that_lost_its_memory_starts_a_fresh_session_on_both_ends() {
        let mut pair = Pair::joined();
        pair.send(1);
        pair.deliver();
        pair.right = Session::default();
        assert_eq!(pair.rejoin([9; 16]), Joined::Fresh);
        pair.send(2);
        pair.deliver();
        assert_eq!(pair.got, [1, 2]);
    }

    #[test]
    fn a_peer_that_never_acknowledges_costs_no_more_than_the_limit() {
        let mut pair = Pair::joined();
        let big = Message::Echo(Echo { id: 0, payload: vec![0; 4000] });
        let mut taken = 0;
        while pair.left.push(&big, Mono::default()).is_ok() {
            taken += 4000;
            assert!(taken <= UNACKED_MAX);
        }
        assert!(pair.left.kept_bytes <= UNACKED_MAX);
        assert!(pair.left.room() < 4100);
    }

    #[test]
    fn an_acknowledgement_of_what_was_never_sent_is_an_error() {
        let mut pair = Pair::joined();
        pair.send(1);
        let session = pair.left.resume().session;
        assert!(pair.left.on_ack(session, 2).is_err());
        assert!(pair.left.on_ack(session, 1).is_ok());
        assert!(pair.left.on_ack(session, 0).is_ok(), "a late one is no error");
        assert!(pair.left.on_ack(session + 1, 99).is_ok(), "nor is one of another session");
    }

    #[test]
    fn acknowledgements_are_batched_and_never_forgotten() {
        let mut pair = Pair::joined();
        pair.send(1);
        pair.deliver();
        assert!(pair.right.take_ack(pair.now).is_none());
        assert_eq!(pair.right.next_timeout(), Some(pair.now + ACK_DELAY));
        assert!(pair.right.take_ack(pair.now + ACK_DELAY).is_some());
        assert_eq!(pair.right.next_timeout(), None);
    }

    proptest! {
        /// Whatever breaks whenever, every message arrives once and in order.
        #[test]
        fn a_path_change_loses_repeats_and_reorders_nothing(steps in prop::collection::vec(0u8..5, 1..300)) {
            let mut pair = Pair::joined();
            let mut sent = 0;
            for (i, step) in steps.into_iter().enumerate() {
                match step {
                    0 | 1 => {
                        sent += 1;
                        pair.send(sent);
                    }
                    2 => pair.deliver(),
                    3 => pair.acknowledge(),
                    _ => {
                        let channel = [u8::try_from(i % 250).unwrap(); 16];
                        prop_assert_eq!(pair.rejoin(channel), Joined::Resumed);
                    }
                }
            }
            pair.rejoin([255; 16]);
            while !pair.wire.is_empty() {
                pair.deliver();
            }
            prop_assert_eq!(pair.got, (1..=sent).collect::<Vec<_>>());
        }
    }
}
