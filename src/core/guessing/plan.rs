//! Who opens and who probes.

use crate::model::{NatType, PeerId};

/// What one end does in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Opens sockets towards the other end's mapping, and is to be met.
    Open,
    /// Sends probes to ports of the other end's NAT.
    Probe,
}

impl Role {
    /// What the other end does.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Open => Self::Probe,
            Self::Probe => Self::Open,
        }
    }
}

/// What an end does by what is measured of both NATs; `None` where nothing is to be
/// guessed. The symmetric end opens, for the other one's mapping is known. Where both
/// are symmetric, ports that move in steps can be told in advance: the end with the
/// smaller id opens then. `steps`: whether our own ports do.
pub fn role(me: PeerId, peer: PeerId, ours: NatType, theirs: NatType, steps: bool) -> Option<Role> {
    let minds_the_port = |nat| matches!(nat, NatType::PortRestricted | NatType::AddressRestricted);
    match (ours, theirs) {
        (NatType::Symmetric, NatType::Symmetric) if steps => {
            Some(if me < peer { Role::Open } else { Role::Probe })
        }
        (NatType::Symmetric, other) if minds_the_port(other) => Some(Role::Open),
        (other, NatType::Symmetric) if minds_the_port(other) => Some(Role::Probe),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: PeerId = PeerId([1; 32]);
    const B: PeerId = PeerId([2; 32]);

    #[test]
    fn the_symmetric_end_opens_and_the_other_probes() {
        let (sym, port) = (NatType::Symmetric, NatType::PortRestricted);
        assert_eq!(role(A, B, sym, port, false), Some(Role::Open));
        assert_eq!(role(B, A, port, sym, false), Some(Role::Probe));
    }

    #[test]
    fn two_symmetric_ends_need_ports_that_move_in_steps() {
        let sym = NatType::Symmetric;
        assert_eq!(role(A, B, sym, sym, false), None);
        assert_eq!(role(A, B, sym, sym, true), Some(Role::Open));
        assert_eq!(role(B, A, sym, sym, true), Some(Role::Probe), "the same choice at both ends");
    }

    #[test]
    fn what_is_not_measured_is_not_guessed() {
        for nat in [NatType::Unknown, NatType::None, NatType::FullCone, NatType::PortRestricted] {
            assert_eq!(role(A, B, nat, NatType::PortRestricted, true), None);
        }
    }
}
