//! What the operator allows: choices that the configuration sets and the node
//! obeys.

use std::fmt;

use serde::{Deserialize, Serialize};

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

/// What the node does about its relay service, which forwards datagrams to
/// any address that the host lets it reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RelayEgressPolicy {
    /// Run, and say so.
    #[default]
    Warn,
    /// Refuse to start unless the relay's egress is shown to be closed.
    RequireClosed,
}

impl RelayEgressPolicy {
    /// Every choice.
    pub const ALL: [Self; 2] = [Self::Warn, Self::RequireClosed];

    /// The name as it stands in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::RequireClosed => "require-closed",
        }
    }
}

impl fmt::Display for RelayEgressPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
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
