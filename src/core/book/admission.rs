//! Whom the book takes in on hearsay, so that no one source and no one network
//! fills it.

use std::net::{IpAddr, SocketAddr};

use crate::core::limits::{
    CACHE_NEW_MAX, PREFIX_SHARE_FROM, PREFIX_SHARE_PERCENT, SOURCE_SHARE_FROM, SOURCE_SHARE_PERCENT,
};
use crate::model::{DropReason, PeerId};

/// The network part of an address: /16 for IPv4, /32 for IPv6. Loopback has
/// none: it only gets in where our own bind is loopback, a fleet on one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NetPrefix {
    /// IPv4, 16 bits.
    V4([u8; 2]),
    /// IPv6, 32 bits.
    V6([u8; 4]),
}

impl NetPrefix {
    /// The prefix of an address.
    pub fn of(addr: SocketAddr) -> Option<Self> {
        match addr.ip().to_canonical() {
            ip if ip.is_loopback() => None,
            IpAddr::V4(ip) => {
                let [a, b, ..] = ip.octets();
                Some(Self::V4([a, b]))
            }
            IpAddr::V6(ip) => {
                let [a, b, c, d, ..] = ip.octets();
                Some(Self::V6([a, b, c, d]))
            }
        }
    }
}

/// From where somebody speaks: who owns one network can have many identities in
/// it, and each of them says what he likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quarter {
    /// From this network.
    Net(NetPrefix),
    /// From this host itself: nobody else gets in there, so everybody counts.
    Here,
    /// Through a relay: where he is, only he says.
    Relay,
}

impl Quarter {
    /// Where the peer of a direct link speaks from.
    pub fn of(remote: IpAddr) -> Self {
        NetPrefix::of(SocketAddr::new(remote, 0)).map_or(Self::Here, Self::Net)
    }
}

/// Who says something, and from where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Teller {
    /// Who.
    pub peer: PeerId,
    /// From where.
    pub from: Quarter,
}

impl Teller {
    /// Whether the two have nothing in common that one liar could own.
    pub fn is_unrelated(&self, other: &Self) -> bool {
        self.peer != other.peer && (self.from != other.from || self.from == Quarter::Here)
    }
}

impl From<PeerId> for Teller {
    /// Of whom nothing else is known.
    fn from(peer: PeerId) -> Self {
        Self { peer, from: Quarter::Relay }
    }
}

/// How the untried peers are shared out, seen by a candidate that is not
/// counted yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    /// Untried peers in the book.
    pub untried: usize,
    /// How many of them the candidate's source told us of.
    pub of_source: usize,
    /// How many of them share the candidate's network prefix.
    pub of_prefix: usize,
}

/// Why hearsay was not taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Its source told us of too large a share already.
    SourceShare,
    /// Its network prefix has too large a share already.
    PrefixShare,
    /// Its version is too far above the known one.
    VersionJump,
    /// We are linked to its subject, who tells us itself.
    Linked,
    /// Its subject left, or failed for us, and this says nothing newer.
    Gone,
    /// It is about ourselves.
    Ourselves,
    /// Its proof is false.
    Forged,
    /// It contradicts what its subject or somebody else said, and nothing bears
    /// it out.
    Unproven,
}

impl Refusal {
    /// What it is counted under.
    pub fn counted_as(self) -> DropReason {
        match self {
            Self::SourceShare => DropReason::CacheSourceShare,
            Self::PrefixShare => DropReason::CachePrefixShare,
            Self::VersionJump => DropReason::RecordVersionJump,
            Self::Linked => DropReason::RecordAboutLinked,
            Self::Gone => DropReason::RecordGone,
            Self::Ourselves => DropReason::RecordAboutUs,
            Self::Forged => DropReason::RecordForged,
            Self::Unproven => DropReason::RecordUnproven,
        }
    }
}

/// What happens to a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It gets in.
    Admit,
    /// It gets in after the worst of the others had to go.
    AdmitAfterEviction,
    /// It does not.
    Refuse(Refusal),
}

/// Whether an untried peer gets in.
pub fn admit(shares: Shares) -> Admission {
    let total = shares.untried + 1;
    if total >= SOURCE_SHARE_FROM && (shares.of_source + 1) * 100 > total * SOURCE_SHARE_PERCENT {
        return Admission::Refuse(Refusal::SourceShare);
    }
    if prefix_is_full(shares) {
        return Admission::Refuse(Refusal::PrefixShare);
    }
    if total > CACHE_NEW_MAX { Admission::AdmitAfterEviction } else { Admission::Admit }
}

/// Whether one more peer of that prefix would be too many.
pub fn prefix_is_full(shares: Shares) -> bool {
    let total = shares.untried + 1;
    total >= PREFIX_SHARE_FROM && (shares.of_prefix + 1) * 100 > total * PREFIX_SHARE_PERCENT
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(untried: usize, of_source: usize, of_prefix: usize) -> Shares {
        Shares { untried, of_source, of_prefix }
    }

    #[test]
    fn one_source_fills_a_small_book_but_not_a_large_one() {
        assert_eq!(admit(shares(511, 511, 0)), Admission::Admit, "the 512th");
        assert_eq!(admit(shares(512, 512, 0)), Admission::Refuse(Refusal::SourceShare), "the 513th");
        assert_eq!(admit(shares(999, 99, 0)), Admission::Admit, "100 of 1000");
        assert_eq!(admit(shares(999, 100, 0)), Admission::Refuse(Refusal::SourceShare));
    }

    #[test]
    fn one_prefix_holds_a_small_fleet_but_not_a_share_of_a_large_one() {
        assert_eq!(admit(shares(63, 0, 63)), Admission::Admit, "the 64th");
        assert_eq!(admit(shares(64, 0, 64)), Admission::Refuse(Refusal::PrefixShare), "the 65th");
        assert_eq!(admit(shares(99, 0, 4)), Admission::Admit, "5 of 100");
        assert_eq!(admit(shares(99, 0, 5)), Admission::Refuse(Refusal::PrefixShare));
    }

    #[test]
    fn a_full_book_makes_room() {
        assert_eq!(admit(shares(CACHE_NEW_MAX - 1, 0, 0)), Admission::Admit);
        assert_eq!(admit(shares(CACHE_NEW_MAX, 0, 0)), Admission::AdmitAfterEviction);
    }

    #[test]
    fn prefixes_are_16_and_32_bits_wide() {
        let of = |a: &str| NetPrefix::of(a.parse().unwrap());
        assert_eq!(of("198.18.1.1:2000"), of("198.18.99.1:3000"));
        assert_ne!(of("198.18.1.1:2000"), of("198.19.1.1:2000"));
        assert_eq!(of("[2001:2::1]:2000"), of("[2001:2:ffff::1]:2000"));
        assert_ne!(of("[2001:2::1]:2000"), of("[2001:3::1]:2000"));
        assert_eq!(of("[::ffff:198.18.1.1]:2000"), of("198.18.1.1:2000"));
        assert_eq!(of("127.0.0.1:2000"), None);
    }
}
