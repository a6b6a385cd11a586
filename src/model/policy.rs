//! What the operator allows: choices that the configuration sets and the node
//! obeys.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long the console waits for what may follow a lone escape, where nobody says
/// otherwise: longer than the gaps of a bad line, shorter than anybody notices.
pub const ESCAPE_WAIT: Duration = Duration::from_millis(50);

/// Whose coordinated punch requests this node answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PunchConsent {
    /// Anybody's.
    #[default]
    Any,
    /// Those of peers that are in the cache.
    Known,
    /// Nobody's.
    Never,
}

impl PunchConsent {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Any, Self::Known, Self::Never];

    /// The name as it stands in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Known => "known",
            Self::Never => "never",
        }
    }
}

impl fmt::Display for PunchConsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whose tests of a path this node answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TestConsent {
    /// Those of linked peers of its network.
    #[default]
    Network,
    /// Those of linked peers that it dialled, or that kept a link for a minute.
    Known,
    /// Nobody's.
    Off,
}

impl TestConsent {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Network, Self::Known, Self::Off];

    /// The name as it stands in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Known => "known",
            Self::Off => "off",
        }
    }
}

impl fmt::Display for TestConsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// At which ports a node answers the NAT probes of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbePorts {
    /// At two that are free: the next two after a port that the operator chose
    /// to listen on, else any.
    #[default]
    Auto,
    /// At none: nobody measures with this node.
    Off,
    /// At exactly these.
    Exactly([u16; 2]),
}

/// As it stands in the configuration.
impl fmt::Display for ProbePorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Off => f.write_str("off"),
            Self::Exactly([one, other]) => write!(f, "[{one}, {other}]"),
        }
    }
}

/// Why a node answers no NAT probes of others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum NoProbePorts {
    /// The operator wants none.
    Off,
    /// No ports could be had.
    Unbound {
        /// What the system said, cleaned.
        detail: String,
    },
}

impl fmt::Display for NoProbePorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("probe_ports is \"off\""),
            Self::Unbound { detail } => write!(f, "no ports could be had: {detail}"),
        }
    }
}

/// Whom this node serves as a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RelayMode {
    /// Linked peers of its network.
    #[default]
    Network,
    /// Nobody.
    Off,
}

impl RelayMode {
    /// Every choice.
    pub const ALL: [Self; 2] = [Self::Network, Self::Off];

    /// The name as it stands in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Off => "off",
        }
    }
}

impl fmt::Display for RelayMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether a link that runs over a relay, because of a symmetric NAT, tries to
/// leave it by guessing ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HardNat {
    /// By itself, and when a peer offers it.
    #[default]
    Auto,
    /// Only when it is asked for here.
    Ask,
    /// Never.
    Off,
}

impl HardNat {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Ask, Self::Off];

    /// The name as it stands in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Ask => "ask",
            Self::Off => "off",
        }
    }
}

impl fmt::Display for HardNat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which colours a console has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ThemeChoice {
    /// The terminal's own sixteen: what is behind its text cannot be asked
    /// everywhere.
    #[default]
    Auto,
    /// Bright on dark.
    Dark,
    /// Dark on bright.
    Light,
    /// With as much contrast as there is.
    HighContrast,
    /// For eyes that do not tell red from green.
    ColourBlind,
    /// None.
    Mono,
}

impl ThemeChoice {
    /// Every choice.
    pub const ALL: [Self; 6] =
        [Self::Auto, Self::Dark, Self::Light, Self::HighContrast, Self::ColourBlind, Self::Mono];

    /// The name as it stands in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Dark => "dark",
            Self::Light => "light",
            Self::HighContrast => "high-contrast",
            Self::ColourBlind => "colour-blind",
            Self::Mono => "mono",
        }
    }
}

impl fmt::Display for ThemeChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
