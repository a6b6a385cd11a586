//! What measured NATs allow: decided before anything is sent.

use std::net::SocketAddr;
use std::time::Duration;

use crate::model::{NatType, Reason};

/// A NAT type older than this is treated as unknown: routers change.
pub const NAT_FRESH: Duration = Duration::from_secs(15 * 60);

/// What is measured of both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NatPair {
    /// Our own NAT, if it is known now.
    pub ours: NatType,
    /// The target's, if it is known and fresh.
    pub theirs: NatType,
    /// Whether the target is on loopback, where there is nothing to punch.
    pub loopback: bool,
    /// Whether both ends have a public IPv6 address: no NAT stands between
    /// those, at most firewalls, which a punch opens.
    pub ipv6: bool,
    /// Whether the target has no address in a family in which we send: one end has IPv6
    /// alone and the other IPv4, and only a relay that has both leads there.
    pub apart: bool,
}

impl NatPair {
    /// Whether a dial out of the blue can reach the target by IPv4; `None` if
    /// nobody knows.
    pub fn can_dial(self) -> Option<bool> {
        if self.apart {
            return Some(false);
        }
        match self.theirs {
            NatType::None | NatType::FullCone => Some(true),
            NatType::AddressRestricted | NatType::PortRestricted | NatType::Symmetric => Some(false),
            NatType::Unknown => None,
        }
    }

    /// Whether the target's dial comes in at the address that an intermediary
    /// sees of us, once we have sent something to the target.
    pub fn lets_target_in(self, target: SocketAddr) -> bool {
        target.is_ipv6() && self.ipv6 || !matches!(self.ours, NatType::Symmetric | NatType::Unknown)
    }

    /// Whether a punch can succeed.
    pub fn can_punch(self) -> bool {
        !self.apart && (self.ipv6 || self.can_punch_nats())
    }

    /// Why not, where it cannot.
    pub fn obstacle(self) -> Reason {
        match self {
            Self { apart: true, .. } => Reason::NoCommonFamily,
            Self { ours, theirs, .. } => Reason::Unpunchable { ours, theirs },
        }
    }

    /// The same towards this address of the target.
    pub fn can_punch_at(self, target: SocketAddr) -> bool {
        !self.apart && (target.is_ipv6() && self.ipv6 || self.can_punch_nats())
    }

    /// Whether measurement says that nothing but a relay leads there.
    pub fn is_hopeless(self) -> bool {
        self.can_dial() == Some(false) && !self.can_punch()
    }

    /// Whether the measured NATs let a punch through. A symmetric NAT sends from another port
    /// than the other end aims at: the other end must not mind the port.
    fn can_punch_nats(self) -> bool {
        let minds_the_port = |nat| matches!(nat, NatType::Symmetric | NatType::PortRestricted);
        let symmetric = |nat| nat == NatType::Symmetric;
        !(symmetric(self.ours) && minds_the_port(self.theirs)
            || symmetric(self.theirs) && minds_the_port(self.ours))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [NatType; 5] = [
        NatType::None,
        NatType::FullCone,
        NatType::AddressRestricted,
        NatType::PortRestricted,
        NatType::Symmetric,
    ];

    fn pairs() -> impl Iterator<Item = NatPair> {
        ALL.into_iter().flat_map(|ours| {
            ALL.into_iter().map(move |theirs| NatPair { ours, theirs, ..NatPair::default() })
        })
    }

    #[test]
    fn of_the_25_pairs_ten_can_be_dialled_twelve_punched_and_three_neither() {
        let direct = pairs().filter(|t| t.can_dial() == Some(true)).count();
        let punched = pairs().filter(|t| t.can_dial() == Some(false) && t.can_punch()).count();
        let neither: Vec<_> = pairs()
            .filter(|t| t.can_dial() == Some(false) && !t.can_punch())
            .map(|t| (t.ours, t.theirs))
            .collect();
        assert_eq!((direct, punched), (10, 12));
        assert_eq!(
            neither,
            [
                (NatType::PortRestricted, NatType::Symmetric),
                (NatType::Symmetric, NatType::PortRestricted),
                (NatType::Symmetric, NatType::Symmetric)
            ]
        );
    }

    #[test]
    fn by_ipv6_two_symmetric_nats_can_be_punched() {
        let (four, six) = (([198, 18, 0, 1], 9000).into(), "[2001:2::1]:9000".parse().unwrap());
        let alone = NatPair { ours: NatType::Symmetric, theirs: NatType::Symmetric, ..NatPair::default() };
        assert!(!alone.can_punch() && !alone.can_punch_at(six));
        let both = NatPair { ipv6: true, ..alone };
        assert!(both.can_punch() && both.can_punch_at(six) && both.lets_target_in(six));
        assert!(!both.can_punch_at(four) && !both.lets_target_in(four), "only there");
    }

    #[test]
    fn without_a_family_in_common_nothing_but_a_relay_leads_there() {
        for pair in pairs().map(|pair| NatPair { apart: true, ..pair }) {
            assert!(pair.is_hopeless() && !pair.can_punch_at(([198, 18, 0, 1], 9000).into()), "{pair:?}");
            assert_eq!(pair.obstacle(), Reason::NoCommonFamily);
        }
    }

    #[test]
    fn what_is_not_known_is_tried() {
        let unknown = NatPair::default();
        assert_eq!(unknown.can_dial(), None);
        assert!(unknown.can_punch());
        assert!(NatPair { ours: NatType::Symmetric, ..unknown }.can_punch());
    }
}
