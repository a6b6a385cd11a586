//! NAT behaviour in the terms of RFC 4787 and by its classic names.

mod evidence;

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

pub use evidence::NatEvidence;

use super::{PeerId, Reason, Stamp};

/// The classic name of a NAT's behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NatType {
    /// No translation, reachable from anywhere.
    None,
    /// Endpoint-independent mapping and filtering.
    FullCone,
    /// Endpoint-independent mapping, address-dependent filtering.
    AddressRestricted,
    /// Endpoint-independent mapping, address- and port-dependent filtering.
    PortRestricted,
    /// Mapping depends on the destination.
    Symmetric,
    /// Not measured, or not enough vantage points.
    #[default]
    Unknown,
}

impl NatType {
    /// Every type.
    pub const ALL: [Self; 6] = [
        Self::None,
        Self::FullCone,
        Self::AddressRestricted,
        Self::PortRestricted,
        Self::Symmetric,
        Self::Unknown,
    ];

    /// The name as it stands in JSON and in long texts.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::FullCone => "full-cone",
            Self::AddressRestricted => "address-restricted",
            Self::PortRestricted => "port-restricted",
            Self::Symmetric => "symmetric",
            Self::Unknown => "unknown",
        }
    }

    /// The name in at most four columns, for tables.
    pub fn short(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::FullCone => "full",
            Self::AddressRestricted => "addr",
            Self::PortRestricted => "port",
            Self::Symmetric => "sym",
            Self::Unknown => "?",
        }
    }
}

impl fmt::Display for NatType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a NAT's mapping or filtering depends on (RFC 4787, 4.1 and 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Behaviour {
    /// The same for every destination.
    EndpointIndependent,
    /// Depends on the destination's address.
    AddressDependent,
    /// Depends on the destination's address and port.
    AddressAndPortDependent,
}

impl fmt::Display for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EndpointIndependent => "endpoint-independent",
            Self::AddressDependent => "address-dependent",
            Self::AddressAndPortDependent => "address-and-port-dependent",
        })
    }
}

/// What one peer saw of our probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vantage {
    /// Who (claimed by it).
    pub peer_id: PeerId,
    /// Our address as it saw it; the first one, if it saw several.
    pub seen: SocketAddr,
    /// Whether it bears out the result. One that does not is noted, not
    /// believed.
    pub agrees: bool,
}

/// How long a mapping lives without traffic, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingLifetime {
    /// One lived for so many seconds; 0: not even as long as it was first
    /// looked at.
    pub at_least_s: u32,
    /// One did not live for so many; `None`: none died as long as it was looked
    /// at.
    pub less_than_s: Option<u32>,
    /// Who answered late.
    pub by: PeerId,
    /// When it was seen.
    pub measured: Stamp,
    /// Whether the measurement goes on.
    pub under_way: bool,
}

impl fmt::Display for MappingLifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.at_least_s, self.less_than_s) {
            (0, Some(less)) => write!(f, "less than {less} s"),
            (least, Some(less)) => write!(f, "{least} to {less} s"),
            (least, None) => write!(f, "{least} s or more"),
        }
    }
}

/// For how long our NAT was found to be of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NatSpell {
    /// Which.
    #[serde(rename = "type")]
    pub nat_type: NatType,
    /// Whether nothing was translated, and a firewall kept strangers out.
    pub firewalled: bool,
    /// Our address outside, where it was known.
    pub at: Option<IpAddr>,
    /// When it was measured first.
    pub from: Stamp,
    /// When something contradicted it; `None` while it holds.
    pub until: Option<Stamp>,
}

impl NatSpell {
    /// In one line: the type, and a firewall if there was one.
    pub fn summary(&self) -> String {
        if self.firewalled { "none, behind a firewall".to_owned() } else { self.nat_type.to_string() }
    }
}

/// In which order a symmetric NAT hands out the ports of its mappings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case")]
pub enum PortOrder {
    /// In small steps: the next one can be told from the last.
    Steps {
        /// From one mapping to the next.
        step: i16,
        /// The last one that was seen.
        last: u16,
    },
    /// In no order that shows.
    Random,
}

impl fmt::Display for PortOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Steps { step, last } => write!(f, "in steps of {step}, the last one was {last}"),
            Self::Random => f.write_str("at random"),
        }
    }
}

/// What a node knows of its own NAT, and how it knows it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct NatView {
    /// The classic name; unknown until measured.
    #[serde(rename = "type")]
    pub nat_type: NatType,
    /// Measured mapping behaviour (RFC 4787, 4.1).
    pub mapping: Option<Behaviour>,
    /// Measured filtering behaviour (RFC 4787, 5). With type `none` it is a
    /// firewall's.
    pub filtering: Option<Behaviour>,
    /// Whether the mapped port is the local one (RFC 4787, 4.2.1).
    pub port_preservation: Option<bool>,
    /// In which order the ports of new mappings come, where each destination
    /// gets one of its own; `None` where that was not seen.
    #[serde(default)]
    pub ports: Option<PortOrder>,
    /// Whether a host behind the NAT reaches another by its outside address
    /// (RFC 4787, 6).
    pub hairpinning: Option<bool>,
    /// How sure the measurement is, 0 to 1; `None` when nothing was measured.
    pub confidence: Option<f64>,
    /// What was seen.
    pub evidence: Vec<NatEvidence>,
    /// Who saw what.
    pub vantage_points: Vec<Vantage>,
    /// When it was measured.
    pub measured: Option<Stamp>,
    /// Why the type is unknown, if it is.
    pub reason: Option<Reason>,
    /// How long a mapping lives without traffic; `None` until it was measured.
    #[serde(default)]
    pub lifetime: Option<MappingLifetime>,
    /// Since when it is measured again, because something contradicts what was known;
    /// `None` while nothing does.
    #[serde(default)]
    pub again_since: Option<Stamp>,
    /// What it was before, the oldest first, and what it is now.
    #[serde(default)]
    pub history: Vec<NatSpell>,
    /// The same for IPv6, measured apart; `None` where the node has none.
    pub nat6: Option<Box<NatView>>,
}

impl NatView {
    /// Nothing is known, and why.
    pub fn unknown(reason: Reason) -> Self {
        Self { reason: Some(reason), ..Self::default() }
    }

    /// Whether nothing is translated but a firewall keeps strangers out.
    pub fn is_firewalled(&self) -> bool {
        self.nat_type == NatType::None && self.filtering != Some(Behaviour::EndpointIndependent)
    }

    /// The type as others are told it. They want to know whether an unasked
    /// dial can succeed, so `none` behind a firewall is told by its filtering:
    /// to everybody outside it is the NAT type that filters alike.
    pub fn claim(&self) -> NatType {
        match (self.nat_type, self.filtering) {
            (NatType::None, Some(Behaviour::AddressDependent)) => NatType::AddressRestricted,
            (NatType::None, Some(Behaviour::AddressAndPortDependent)) => NatType::PortRestricted,
            (measured, _) => measured,
        }
    }

    /// Whether the ports of a symmetric NAT can be guessed, and how; `None` where one
    /// mapping is for all.
    pub fn guessing(&self) -> Option<String> {
        if self.nat_type != NatType::Symmetric {
            return None;
        }
        Some(match self.ports {
            Some(PortOrder::Steps { step, last }) => format!(
                "new ports come in steps of {step} (the last one was {last}): the next ones are tried first, \
                 and two such NATs can meet"
            ),
            Some(PortOrder::Random) => {
                "new ports come at random: they are met 98 times in 100 by an end whose \
                                        mapping is one for all"
                    .to_owned()
            }
            None => "in which order new ports come was not seen yet".to_owned(),
        })
    }

    /// In one line: the type, and a firewall if there is one.
    pub fn summary(&self) -> String {
        nat_summary(self.nat_type, self.is_firewalled(), self.reason.as_ref())
    }
}

/// In one line: the type of a NAT, why it is not known, and a firewall if there is one.
pub(super) fn nat_summary(nat: NatType, firewalled: bool, reason: Option<&Reason>) -> String {
    match reason {
        Some(reason) if nat == NatType::Unknown => format!("unknown: {reason}"),
        _ if firewalled => "none, behind a firewall".to_owned(),
        _ => nat.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_of_a_symmetric_nat_it_is_said_how_its_ports_are_guessed() {
        let symmetric = |ports| NatView { nat_type: NatType::Symmetric, ports, ..NatView::default() };
        let said = |ports| symmetric(ports).guessing().unwrap();
        assert!(said(Some(PortOrder::Steps { step: 1, last: 5002 })).contains("in steps of 1"));
        assert!(said(Some(PortOrder::Random)).contains("at random"));
        assert!(said(None).contains("not seen"));
        assert_eq!(NatView { nat_type: NatType::PortRestricted, ..symmetric(None) }.guessing(), None);
    }

    #[test]
    fn a_firewall_is_said_so_and_claimed_by_what_it_filters() {
        let open = NatView {
            nat_type: NatType::None,
            filtering: Some(Behaviour::EndpointIndependent),
            ..NatView::default()
        };
        assert_eq!((open.claim(), open.is_firewalled()), (NatType::None, false));
        let closed = NatView { filtering: Some(Behaviour::AddressAndPortDependent), ..open.clone() };
        assert_eq!((closed.claim(), closed.is_firewalled()), (NatType::PortRestricted, true));
        assert_eq!(closed.summary(), "none, behind a firewall");
        let cone = NatView { nat_type: NatType::FullCone, ..open };
        assert_eq!(cone.claim(), NatType::FullCone);
    }
}
