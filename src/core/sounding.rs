//! Soundings: whether short datagrams pass where the long ones of a handshake get
//! lost. QUIC needs paths that take 1 200 bytes of it; one that takes less stays silent
//! to every dial, as a firewall does, and only a short question tells them apart.
//!
//! Whoever dials and hears nothing asks by one datagram of 64 bytes, from the socket
//! that it dials from; who gets it sends as many back, to where it came from. So
//! nobody gets more than was sent in his name, and few a second. An answer counts only
//! with the token that was asked with.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::Mono;
use super::bucket::Bucket;
use super::limits::SOUNDINGS_ANSWERED_PER_S;

/// What a sounding is long.
pub const LEN: usize = 64;
/// No QUIC begins so: a node that knows no soundings drops it.
const MAGIC: [u8; 8] = [0x01, b'p', b'd', b's', b'o', b'u', b'n', b'd'];
const ASK: u8 = 1;
const ANSWER: u8 = 2;
/// An answer that comes later is of no use.
const TOKEN_LIVES: Duration = Duration::from_secs(10);
/// Addresses that are asked at one time, the oldest make way.
const ASKED_MAX: usize = 64;

/// Names a question.
pub type Token = [u8; 8];
/// A sounding as it travels.
pub type Bytes = [u8; LEN];

/// What is to become of a datagram that came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// It is no sounding.
    Other,
    /// It is to be answered with this, to where it came from.
    Answer(Bytes),
    /// It answers ours.
    Heard,
    /// Nothing, and it counts as that.
    Stopped,
}

/// What of one socket.
#[derive(Debug)]
pub struct Soundings {
    asked: BTreeMap<SocketAddr, (Token, Mono)>,
    heard: BTreeMap<SocketAddr, Mono>,
    answers: Bucket,
}

impl Soundings {
    /// Nothing was asked yet.
    pub fn new(now: Mono) -> Self {
        let rate = SOUNDINGS_ANSWERED_PER_S;
        Self { asked: BTreeMap::new(), heard: BTreeMap::new(), answers: Bucket::new(rate, rate, now) }
    }

    /// The question for an address, to be sent there.
    pub fn ask(&mut self, to: SocketAddr, token: Token, now: Mono) -> Bytes {
        self.heard.remove(&to);
        self.asked.retain(|_, (_, at)| now.since(*at) < TOKEN_LIVES);
        if self.asked.len() >= ASKED_MAX {
            let oldest = self.asked.iter().min_by_key(|(_, (_, at))| *at).map(|(addr, _)| *addr);
            oldest.map(|addr| self.asked.remove(&addr));
        }
        self.asked.insert(to, (token, now));
        bytes(ASK, token)
    }

    /// Takes a datagram in.
    pub fn came(&mut self, from: SocketAddr, datagram: &[u8], now: Mono) -> Came {
        let Some((kind, token)) = parse(datagram) else { return Came::Other };
        match (kind, self.asked.get(&from)) {
            (ASK, _) if self.answers.take(now) => Came::Answer(bytes(ANSWER, token)),
            (ANSWER, Some((ours, _))) if *ours == token => {
                self.asked.remove(&from);
                self.heard.retain(|_, at| now.since(*at) < TOKEN_LIVES);
                self.heard.insert(from, now);
                Came::Heard
            }
            _ => Came::Stopped,
        }
    }

    /// Whether an answer came from there since the last question; it is told once.
    pub fn take_heard(&mut self, from: SocketAddr) -> bool {
        self.heard.remove(&from).is_some()
    }
}

/// The question of somebody who has no socket of ours.
pub fn question(token: Token) -> Bytes {
    bytes(ASK, token)
}

/// Whether a datagram answers that question.
pub fn answers(datagram: &[u8], token: Token) -> bool {
    parse(datagram) == Some((ANSWER, token))
}

fn bytes(kind: u8, token: Token) -> Bytes {
    let mut bytes = [0; LEN];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8] = kind;
    bytes[9..17].copy_from_slice(&token);
    bytes
}

fn parse(datagram: &[u8]) -> Option<(u8, Token)> {
    let datagram: &Bytes = datagram.try_into().ok()?;
    let token = datagram[9..17].try_into().ok()?;
    datagram.starts_with(&MAGIC).then_some((datagram[8], token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Mono {
        Mono(Duration::from_millis(ms))
    }

    fn addr(n: u16) -> SocketAddr {
        ([198, 18, 0, 1], n).into()
    }

    #[test]
    fn a_question_is_answered_with_as_many_bytes_and_the_answer_is_heard_once() {
        let (mut here, mut there) = (Soundings::new(at(0)), Soundings::new(at(0)));
        let question = here.ask(addr(2), [7; 8], at(0));
        let Came::Answer(answer) = there.came(addr(1), &question, at(1)) else { panic!() };
        assert_eq!(answer.len(), question.len());
        assert_eq!(here.came(addr(2), &answer, at(2)), Came::Heard);
        assert!(here.take_heard(addr(2)) && !here.take_heard(addr(2)));
        assert_eq!(here.came(addr(2), &answer, at(3)), Came::Stopped, "it was asked once");
    }

    #[test]
    fn an_answer_counts_only_from_where_and_with_what_was_asked() {
        let mut here = Soundings::new(at(0));
        here.ask(addr(2), [7; 8], at(0));
        assert_eq!(here.came(addr(2), &bytes(ANSWER, [8; 8]), at(1)), Came::Stopped);
        assert_eq!(here.came(addr(3), &bytes(ANSWER, [7; 8]), at(1)), Came::Stopped);
        assert!(!here.take_heard(addr(2)) && !here.take_heard(addr(3)));
        assert_eq!(here.came(addr(2), b"no sounding", at(1)), Came::Other);
        assert_eq!(here.came(addr(2), &[0x40; LEN], at(1)), Came::Other);
    }

    #[test]
    fn whoever_asks_much_is_answered_little() {
        let mut here = Soundings::new(at(0));
        let answered = |here: &mut Soundings, ms| {
            let asks = (0..1000).map(|n| here.came(addr(n), &bytes(ASK, [1; 8]), at(ms)));
            asks.filter(|came| matches!(came, Came::Answer(_))).count() as f64
        };
        assert!((answered(&mut here, 0) - SOUNDINGS_ANSWERED_PER_S).abs() < 1.5);
        assert!((answered(&mut here, 1000) - SOUNDINGS_ANSWERED_PER_S).abs() < 1.5);
    }

    #[test]
    fn no_more_addresses_are_remembered_than_that() {
        let mut here = Soundings::new(at(0));
        for n in 0..1000 {
            here.ask(addr(n), [1; 8], at(n.into()));
        }
        assert_eq!(here.asked.len(), ASKED_MAX);
    }
}
