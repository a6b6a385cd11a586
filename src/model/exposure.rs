//! What strangers can do through services of the library that a node cannot
//! switch off, as its self-test found it.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{Reason, Stamp};

/// Whether strangers can use a service for what it should not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExposureState {
    /// They cannot: tried, and it did not work.
    Closed,
    /// They can: tried, and it worked.
    Open,
    /// Not measured.
    Unknown,
}

impl ExposureState {
    /// The name as it stands in JSON and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::Unknown => "unknown",
        }
    }
}

/// What a self-test saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Evidence {
    /// Nothing: there was no test yet.
    NotTested,
    /// A stranger's datagram came through our relay to these addresses of the
    /// host.
    Arrived {
        /// Where.
        at: Vec<IpAddr>,
    },
    /// A stranger's session on our relay stood and carried something in, and
    /// nothing came out of it at these addresses of the host.
    NotForwarded {
        /// Where it should have come.
        to: Vec<IpAddr>,
    },
    /// Nothing that this process sends arrives at these addresses of the host;
    /// the relay is a part of this process.
    NotSent {
        /// Where it should have come.
        to: Vec<IpAddr>,
    },
    /// A stranger had our coordinator send an address of its choice to another
    /// peer, who had not agreed to it.
    PassedOn,
    /// The coordinator refused a stranger for being one.
    Refused,
    /// The test could not be made.
    NotMeasured {
        /// Why.
        reason: Reason,
    },
}

impl Evidence {
    /// What follows from it.
    pub fn state(&self) -> ExposureState {
        match self {
            Self::Arrived { .. } | Self::PassedOn => ExposureState::Open,
            Self::NotForwarded { .. } | Self::NotSent { .. } | Self::Refused => ExposureState::Closed,
            Self::NotTested | Self::NotMeasured { .. } => ExposureState::Unknown,
        }
    }
}

/// The result of the last self-test of one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exposure {
    /// The result.
    pub state: ExposureState,
    /// What it rests on (measured).
    pub evidence: Evidence,
    /// When it was measured.
    pub tested: Option<Stamp>,
}

impl Exposure {
    /// Before the first test.
    pub const UNTESTED: Self =
        Self { state: ExposureState::Unknown, evidence: Evidence::NotTested, tested: None };

    /// What a test at that moment saw.
    pub fn tested(evidence: Evidence, at: Stamp) -> Self {
        Self { state: evidence.state(), evidence, tested: Some(at) }
    }
}

impl fmt::Display for ExposureState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |ips: &[IpAddr]| ips.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match self {
            Self::NotTested => f.write_str("not tested yet"),
            Self::Arrived { at } => write!(f, "strangers reach {} here", list(at)),
            Self::NotForwarded { to } => write!(f, "strangers do not reach {} here", list(to)),
            Self::NotSent { to } => write!(f, "the host lets this process send nothing to {}", list(to)),
            Self::PassedOn => f.write_str("strangers aim other peers at any address"),
            Self::Refused => f.write_str("strangers are refused"),
            Self::NotMeasured { reason } => write!(f, "not measured: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_tried_is_open_or_closed() {
        let to = vec![IpAddr::from([127, 0, 0, 1])];
        assert_eq!(Evidence::Arrived { at: to.clone() }.state(), ExposureState::Open);
        assert_eq!(Evidence::NotForwarded { to: to.clone() }.state(), ExposureState::Closed);
        assert_eq!(Evidence::NotSent { to }.state(), ExposureState::Closed);
        assert_eq!(Evidence::NotMeasured { reason: Reason::NoAddress }.state(), ExposureState::Unknown);
        assert_eq!(Exposure::UNTESTED.evidence.state(), Exposure::UNTESTED.state);
    }
}
