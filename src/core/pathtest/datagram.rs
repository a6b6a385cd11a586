//! The datagrams of a run: always 48 bytes, so that an echo is never longer than what
//! asked for it.
//!
//! ```text
//!  0..4   magic        8..16  run, its first half
//!  4      kind        16..20  number
//!  5      stage       20..28  load that came to the sender
//!  6..8   mtu         28..48  of a probe: fastest round trip, queue, in µs
//!                             of an echo: probes that came, of those reordered, clock in µs
//! ```

use std::time::Duration;

use super::RunId;
use crate::core::Mono;

/// Bytes of a datagram.
pub const LEN: usize = 48;
/// A whole datagram.
pub type Bytes = [u8; LEN];

const MAGIC: [u8; 4] = *b"PDT1";
const ECHO: u8 = 1;

/// What a datagram is, and what that kind alone says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// From the asker.
    Probe {
        /// The fastest round trip.
        base: Duration,
        /// How much longer the last one took.
        queue: Duration,
    },
    /// The answer.
    Echo {
        /// The largest datagram that passes from the sender, as it knows.
        mtu: u16,
        /// Probes of the quiet stage that came.
        came: u32,
        /// Of those: how many after a later one.
        reordered: u32,
        /// The sender's clock.
        at: Mono,
    },
}

/// What the asker does, as its datagrams say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Datagrams only; these are counted.
    Quiet,
    /// The asker sends load.
    Up,
    /// The other end is to send load.
    Down,
    /// Nobody sends load any more; the last figures are fetched.
    Last,
}

/// What a datagram says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Datagram {
    pub(super) kind: Kind,
    pub(super) stage: Stage,
    /// Its number; an echo's is that of what it answers.
    pub(super) number: u32,
    /// Load that came to the sender, in bytes.
    pub(super) load: u64,
}

impl Datagram {
    pub(super) fn encode(&self, run: RunId) -> Bytes {
        let mut out = [0; LEN];
        let micros = |time: Duration| u32::try_from(time.as_micros()).unwrap_or(u32::MAX).to_be_bytes();
        out[..4].copy_from_slice(&MAGIC);
        out[5] = self.stage as u8;
        out[8..16].copy_from_slice(&run.0[..8]);
        out[16..20].copy_from_slice(&self.number.to_be_bytes());
        out[20..28].copy_from_slice(&self.load.to_be_bytes());
        match self.kind {
            Kind::Probe { base, queue } => {
                out[28..32].copy_from_slice(&micros(base));
                out[32..36].copy_from_slice(&micros(queue));
            }
            Kind::Echo { mtu, came, reordered, at } => {
                let at = u64::try_from(at.0.as_micros()).unwrap_or(u64::MAX);
                out[4] = ECHO;
                out[6..8].copy_from_slice(&mtu.to_be_bytes());
                out[28..32].copy_from_slice(&came.to_be_bytes());
                out[32..36].copy_from_slice(&reordered.to_be_bytes());
                out[36..44].copy_from_slice(&at.to_be_bytes());
            }
        }
        out
    }

    /// What bytes say, if they are a datagram of that run.
    pub(super) fn decode(bytes: &Bytes, run: RunId) -> Option<Self> {
        let field = |range: std::ops::Range<usize>| {
            bytes[range].iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte))
        };
        let micros = |range| Duration::from_micros(field(range));
        let small = |range| u32::try_from(field(range)).unwrap_or(u32::MAX);
        if bytes[..4] != MAGIC || bytes[8..16] != run.0[..8] {
            return None;
        }
        Some(Self {
            kind: match bytes[4] {
                0 => Kind::Probe { base: micros(28..32), queue: micros(32..36) },
                ECHO => Kind::Echo {
                    mtu: u16::try_from(field(6..8)).unwrap_or(u16::MAX),
                    came: small(28..32),
                    reordered: small(32..36),
                    at: Mono(micros(36..44)),
                },
                _ => return None,
            },
            stage: match bytes[5] {
                0 => Stage::Quiet,
                1 => Stage::Up,
                2 => Stage::Down,
                3 => Stage::Last,
                _ => return None,
            },
            number: small(16..20),
            load: field(20..28),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_comes_back_as_it_was_and_only_for_its_run() {
        let run = RunId([7; 16]);
        let echo =
            Kind::Echo { mtu: 1_452, came: 76, reordered: 3, at: Mono(Duration::from_micros(123_456_789)) };
        let probe = Kind::Probe { base: Duration::from_micros(987), queue: Duration::from_micros(4_321) };
        let mut bytes = [0; LEN];
        for kind in [probe, echo] {
            let datagram = Datagram { kind, stage: Stage::Down, number: 77, load: 1 << 40 };
            bytes = datagram.encode(run);
            assert_eq!(Datagram::decode(&bytes, run), Some(datagram));
        }
        assert_eq!(Datagram::decode(&bytes, RunId([8; 16])), None, "of another run");
        for (at, value) in [(0, 0), (4, 2), (5, 4)] {
            let mut broken = bytes;
            broken[at] = value;
            assert_eq!(Datagram::decode(&broken, run), None, "byte {at}");
        }
    }
}
