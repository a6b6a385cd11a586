//! The datagrams between a probe and a responder: always 64 bytes, so that an
//! answer is never longer than what asked for it.
//!
//! ```text
//!  0..8   magic and version     28..44  token
//!  8      kind                  44..60  address seen, xor nonce
//!  9      flags                 60..62  port seen, xor nonce
//! 10..12  seconds to wait       the rest is zero
//! 12..28  nonce
//! ```
//! The address is hidden as in STUN's XOR-MAPPED-ADDRESS (RFC 8489, 14.2):
//! some NATs rewrite addresses that they find in what they forward.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::Nonce;
use crate::model::plain_addr;

/// Bytes of a datagram.
pub const LEN: usize = 64;
/// A whole datagram.
pub type Bytes = [u8; LEN];

/// How every datagram begins; the last byte is the version.
pub const MAGIC: [u8; 8] = *b"PDPROBE\x01";

const KIND: usize = 8;
const FLAGS: usize = 9;
const WAIT: std::ops::Range<usize> = 10..12;
const NONCE: std::ops::Range<usize> = 12..28;
const TOKEN: std::ops::Range<usize> = 28..44;
const IP: std::ops::Range<usize> = 44..60;
const PORT: std::ops::Range<usize> = 60..62;
const OTHER_PORT: u8 = 1;

/// What a datagram says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datagram {
    /// "What address do you see?"
    Reflect {
        /// Echoed in the answer.
        nonce: Nonce,
        /// The one the responder handed over the link.
        token: Nonce,
        /// Answer from your other port (RFC 5780's CHANGE-REQUEST for ports).
        other_port: bool,
        /// Answer only after so many seconds. Whoever does not know this field
        /// answers at once.
        wait_s: u16,
    },
    /// "This one."
    Reflection {
        /// The request's.
        nonce: Nonce,
        /// The source address of the request, plain.
        seen: SocketAddr,
    },
    /// The datagram that was asked for over a link.
    DialBack {
        /// The one handed over the link.
        nonce: Nonce,
    },
}

impl Datagram {
    /// To bytes.
    pub fn encode(&self) -> Bytes {
        let mut out = [0; LEN];
        out[..MAGIC.len()].copy_from_slice(&MAGIC);
        let nonce = match self {
            Self::Reflect { nonce, token, other_port, wait_s } => {
                out[KIND] = 1;
                out[WAIT].copy_from_slice(&wait_s.to_be_bytes());
                out[FLAGS] = if *other_port { OTHER_PORT } else { 0 };
                out[TOKEN].copy_from_slice(token);
                nonce
            }
            Self::Reflection { nonce, seen } => {
                out[KIND] = 2;
                let ip = match seen.ip() {
                    IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                    IpAddr::V6(ip) => ip,
                };
                out[IP].copy_from_slice(&xor(ip.octets(), nonce));
                let port = seen.port() ^ u16::from_be_bytes([nonce[0], nonce[1]]);
                out[PORT].copy_from_slice(&port.to_be_bytes());
                nonce
            }
            Self::DialBack { nonce } => {
                out[KIND] = 3;
                nonce
            }
        };
        out[NONCE].copy_from_slice(nonce);
        out
    }

    /// From bytes; `None` if it is none of ours.
    pub fn decode(bytes: &Bytes) -> Option<Self> {
        if !is_ours(bytes) {
            return None;
        }
        let nonce: Nonce = bytes[NONCE].try_into().ok()?;
        Some(match bytes[KIND] {
            1 => Self::Reflect {
                nonce,
                token: bytes[TOKEN].try_into().ok()?,
                other_port: bytes[FLAGS] & OTHER_PORT != 0,
                wait_s: u16::from_be_bytes(bytes[WAIT].try_into().ok()?),
            },
            2 => {
                let ip = Ipv6Addr::from(xor(bytes[IP].try_into().ok()?, &nonce));
                let port = u16::from_be_bytes(bytes[PORT].try_into().ok()?);
                let port = port ^ u16::from_be_bytes([nonce[0], nonce[1]]);
                Self::Reflection { nonce, seen: plain_addr((ip, port).into()) }
            }
            3 => Self::DialBack { nonce },
            _ => return None,
        })
    }
}

/// Whether a datagram has the length and the beginning of ours.
pub fn is_ours(bytes: &[u8]) -> bool {
    bytes.len() == LEN && bytes.starts_with(&MAGIC)
}

fn xor(mut bytes: [u8; 16], with: &Nonce) -> [u8; 16] {
    bytes.iter_mut().zip(with).for_each(|(b, w)| *b ^= w);
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::core::wire::strategies;

    proptest! {
        #[test]
        fn every_datagram_comes_back_from_its_bytes(
            nonce: Nonce, token: Nonce, other_port: bool, wait_s: u16, seen in strategies::addr(),
        ) {
            let seen = plain_addr(seen);
            for datagram in [
                Datagram::Reflect { nonce, token, other_port, wait_s },
                Datagram::Reflection { nonce, seen },
                Datagram::DialBack { nonce },
            ] {
                prop_assert_eq!(Datagram::decode(&datagram.encode()), Some(datagram));
            }
        }

        #[test]
        fn whatever_comes_in_is_no_reason_to_panic(bytes: Vec<u8>, tail: [u8; 32]) {
            prop_assert!(!is_ours(&bytes) || bytes.len() == LEN);
            let mut ours = [0; LEN];
            ours[..8].copy_from_slice(&MAGIC);
            ours[32..].copy_from_slice(&tail);
            let _ = Datagram::decode(&ours);
        }
    }

    #[test]
    fn an_address_does_not_stand_in_clear() {
        let nonce = [0x5a; 16];
        let seen = ([198, 18, 0, 7], 40_000).into();
        let bytes = Datagram::Reflection { nonce, seen }.encode();
        assert!(!bytes.windows(4).any(|w| w == [198, 18, 0, 7]));
    }
}
