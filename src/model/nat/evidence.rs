//! What a measurement of a NAT saw.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::Behaviour;
use crate::model::PeerId;

/// One thing that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NatEvidence {
    /// Observers see one socket at one address.
    OneAddress {
        /// How many agree.
        agreeing: usize,
        /// How many answered.
        answered: usize,
        /// Our socket, where it is known.
        local: Option<SocketAddr>,
        /// Where they see it.
        external: SocketAddr,
    },
    /// Observers see one socket at different ports.
    ManyPorts {
        /// How many agree.
        agreeing: usize,
        /// How many answered.
        answered: usize,
        /// Our socket, where it is known.
        local: Option<SocketAddr>,
        /// At which.
        ports: Vec<u16>,
        /// What that is; `None`: it does not say enough.
        mapping: Option<Behaviour>,
    },
    /// One observer says otherwise, and is not believed.
    Dissent {
        /// Who.
        by: PeerId,
        /// Where it sees us.
        seen: SocketAddr,
    },
    /// Observers did not answer.
    Unanswered {
        /// How many.
        silent: usize,
        /// Of how many.
        asked: usize,
    },
    /// The address outside is our own.
    NothingTranslated,
    /// A dial-back from somebody whom the probe had not contacted came in.
    StrangerCameIn {
        /// From whom.
        from: PeerId,
    },
    /// Dial-backs from those stayed out.
    StrangersStayedOut {
        /// How many were sent.
        sent: usize,
        /// From how many addresses.
        addresses: usize,
    },
    /// Our peers did not send some dial-backs.
    DialBacksNotSent,
    /// An answer from another port of a contacted peer came in.
    OtherPortCameIn {
        /// From whom.
        from: PeerId,
    },
    /// Answers from other ports of contacted peers stayed out.
    OtherPortsStayedOut {
        /// Of how many peers.
        contacts: usize,
    },
    /// There is no NAT, but a firewall.
    Firewall,
    /// Whether hosts behind it reach each other by their outside addresses.
    Hairpinning(bool),
    /// Our own address is another one than when it was measured.
    AddressChanged,
    /// Somebody sees us where that NAT cannot have put us.
    Contradicted {
        /// Who.
        by: PeerId,
        /// Where.
        seen: SocketAddr,
    },
}
