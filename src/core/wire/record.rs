//! What gossip says of one peer.

use std::cmp::Ordering;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{Proof, lenient};
use crate::model::{NatType, PeerId};

/// The first eight bytes of a peer id: enough to tell records apart in a
/// digest, and nobody can afford to make two that collide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PeerPrefix(pub [u8; 8]);

impl PeerPrefix {
    /// The range of peer ids that begin with this prefix.
    pub fn range(self) -> std::ops::RangeInclusive<PeerId> {
        let (mut low, mut high) = ([0x00; 32], [0xff; 32]);
        low[..8].copy_from_slice(&self.0);
        high[..8].copy_from_slice(&self.0);
        PeerId(low)..=PeerId(high)
    }
}

impl From<PeerId> for PeerPrefix {
    fn from(id: PeerId) -> Self {
        let mut prefix = [0; 8];
        prefix.copy_from_slice(&id.0[..8]);
        Self(prefix)
    }
}

/// What a peer says it does for others, as bits; unknown bits are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Capabilities(pub u32);

impl Capabilities {
    /// Relays for others.
    pub const RELAY: Self = Self(1);
    /// Coordinates punches.
    pub const COORDINATE: Self = Self(1 << 1);

    /// Whether all bits of `other` are set.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These and those of `other`.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A peer's public address on a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RelayAddr {
    /// The relay.
    pub relay: PeerId,
    /// The peer's address there.
    pub addr: SocketAddr,
}

/// What gossip says of one peer: first-hand only if it came over a link
/// authenticated as `peer`, else hearsay, which its proof may bear out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Record {
    /// The subject.
    pub peer: PeerId,
    /// Chosen by the subject; the higher one is the newer one.
    pub version: u64,
    /// The name it gives itself.
    pub name: String,
    /// Its NAT type as it measured it.
    #[serde(with = "lenient::nat")]
    pub nat: NatType,
    /// What it does for others.
    pub capabilities: Capabilities,
    /// Where it may be reached.
    #[serde(deserialize_with = "lenient::any_number")]
    pub addresses: Vec<SocketAddr>,
    /// Where it may be reached through relays.
    #[serde(deserialize_with = "lenient::any_number")]
    pub relays: Vec<RelayAddr>,
    /// Verified public peers that it keeps links to.
    #[serde(deserialize_with = "lenient::any_number")]
    pub homes: Vec<PeerId>,
    /// Seconds since somebody was last in contact with it. Only ages travel:
    /// no clock is trusted. No part of the record's identity.
    pub age_s: u32,
    /// Bears out that the subject says so. It travels at the end of the message
    /// and is no part of the record's identity either.
    #[serde(skip)]
    pub proof: Option<Proof>,
}

/// Bytes of a postcard varint, at most.
const VARINT: usize = 10;
/// Bytes of a socket address, at most: variant, IPv6, port.
const ADDR: usize = 1 + 16 + 3;
/// Bytes of a peer id.
const ID: usize = 32;

impl Record {
    /// A record that says nothing yet.
    pub fn new(peer: PeerId, version: u64) -> Self {
        Self {
            peer,
            version,
            name: String::new(),
            nat: NatType::Unknown,
            capabilities: Capabilities::default(),
            addresses: Vec::new(),
            relays: Vec::new(),
            homes: Vec::new(),
            age_s: 0,
            proof: None,
        }
    }

    /// Whether both say the same, version, age and proof aside.
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.peer == other.peer
            && self.name == other.name
            && self.nat == other.nat
            && self.capabilities == other.capabilities
            && self.addresses == other.addresses
            && self.relays == other.relays
            && self.homes == other.homes
    }

    /// A total order over records of one subject, age aside: by version, then
    /// by encoding. The second part has no meaning; it makes every node choose
    /// the same one of two records that claim one version.
    pub fn order(&self, other: &Self) -> Ordering {
        self.version.cmp(&other.version).then_with(|| {
            if self.says_the_same(other) {
                Ordering::Equal
            } else {
                self.canonical_bytes().cmp(&other.canonical_bytes())
            }
        })
    }

    /// The encoding without age.
    fn canonical_bytes(&self) -> Vec<u8> {
        let ageless = Self { age_s: 0, ..self.clone() };
        // Encoding plain data into a vector cannot fail.
        postcard::to_stdvec(&ageless).unwrap_or_default()
    }

    /// Bytes this record takes in a page, at most.
    pub fn encoded_size_max(&self) -> usize {
        ID + VARINT
            + VARINT
            + self.name.len()
            + 1
            + VARINT
            + VARINT
            + self.addresses.len() * ADDR
            + VARINT
            + self.relays.len() * (ID + ADDR)
            + VARINT
            + self.homes.len() * ID
            + VARINT
            + if self.proof.is_some() { Proof::SIZE_MAX } else { 0 }
    }
}
