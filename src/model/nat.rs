//! NAT behaviour in the terms of RFC 4787 and by its classic names.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Stamp;

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

/// What a node knows of its own NAT, and how it knows it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct NatView {
    /// The classic name; unknown until measured.
    #[serde(rename = "type")]
    pub nat_type: NatType,
    /// Measured mapping behaviour.
    pub mapping: Option<Behaviour>,
    /// Measured filtering behaviour.
    pub filtering: Option<Behaviour>,
    /// How sure the measurement is, 0 to 1; `None` when nothing was measured.
    pub confidence: Option<f64>,
    /// What was seen, in sentences.
    pub evidence: Vec<String>,
    /// When it was measured.
    pub measured: Option<Stamp>,
}
