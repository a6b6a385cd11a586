//! What measured NATs allow: decided before anything is sent.

use std::time::Duration;

use crate::model::NatType;

/// A NAT type older than this is treated as unknown: routers change.
pub const NAT_FRESH: Duration = Duration::from_secs(15 * 60);

/// What is measured of both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Terrain {
    /// Our own NAT, if it is known now.
    pub ours: NatType,
    /// The target's, if it is known and fresh.
    pub theirs: NatType,
    /// Whether the target is on loopback, where there is nothing to punch.
    pub loopback: bool,
}

impl Terrain {
    /// Whether a dial out of the blue can reach the target; `None` if nobody
    /// knows.
    pub fn can_dial(self) -> Option<bool> {
        match self.theirs {
            NatType::None | NatType::FullCone => Some(true),
            NatType::AddressRestricted | NatType::PortRestricted | NatType::Symmetric => Some(false),
            NatType::Unknown => None,
        }
    }

    /// Whether the target's dial comes in at the address that an intermediary
    /// sees of us, once we have sent something to the target.
    pub fn lets_target_in(self) -> bool {
        !matches!(self.ours, NatType::Symmetric | NatType::Unknown)
    }

    /// Whether a punch can succeed. A symmetric NAT sends from another port
    /// than the other end aims at: the other end must not mind the port.
    pub fn can_punch(self) -> bool {
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

    fn pairs() -> impl Iterator<Item = Terrain> {
        ALL.into_iter()
            .flat_map(|ours| ALL.into_iter().map(move |theirs| Terrain { ours, theirs, loopback: false }))
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
    fn what_is_not_known_is_tried() {
        let unknown = Terrain::default();
        assert_eq!(unknown.can_dial(), None);
        assert!(unknown.can_punch());
        assert!(Terrain { ours: NatType::Symmetric, ..unknown }.can_punch());
    }
}
