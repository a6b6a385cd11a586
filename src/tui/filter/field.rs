//! What a term can ask about.

use strum::{IntoStaticStr, VariantArray};

use crate::model::{NatType, Path, PeerState, Source};

/// A property of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase")]
pub(crate) enum Field {
    Id,
    Name,
    Addr,
    Nat,
    Path,
    State,
    Source,
    Rtt,
    Loss,
    Up,
    Down,
    Ok,
    Attempts,
    Seen,
}

/// What kind of value it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Compared whole or in part.
    Text,
    /// One of a few names.
    OneOf,
    /// Compared by size; what it is said to be.
    Number(&'static str),
    /// An age.
    Age,
}

impl Field {
    pub(super) const ALL: &'static [Self] = Self::VARIANTS;

    pub(super) fn key(self) -> &'static str {
        self.into()
    }

    pub(super) fn by_key(key: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|field| field.key().eq_ignore_ascii_case(key))
    }

    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Id | Self::Name | Self::Addr => Kind::Text,
            Self::Nat | Self::Path | Self::State | Self::Source => Kind::OneOf,
            Self::Rtt => Kind::Number("milliseconds"),
            Self::Loss | Self::Ok => Kind::Number("percent"),
            Self::Up | Self::Down => Kind::Number("Mbit/s"),
            Self::Attempts => Kind::Number("attempts"),
            Self::Seen => Kind::Age,
        }
    }

    /// The names of its values, where it has few. `-` is no value.
    pub(super) fn values(self) -> Vec<&'static str> {
        const STATES: [PeerState; 7] = [
            PeerState::Linked,
            PeerState::Suspect,
            PeerState::Foreign,
            PeerState::Connecting,
            PeerState::Known,
            PeerState::Unreachable,
            PeerState::HeldOff,
        ];
        const NATS: [NatType; 6] = [
            NatType::None,
            NatType::FullCone,
            NatType::AddressRestricted,
            NatType::PortRestricted,
            NatType::Symmetric,
            NatType::Unknown,
        ];
        match self {
            Self::Nat => NATS.map(NatType::name).to_vec(),
            Self::Path => vec![Path::Direct.name(), Path::Punched.name(), Path::Relayed.name(), "-"],
            Self::State => STATES.map(word_of).to_vec(),
            Self::Source => {
                [Source::Bootstrap, Source::Cache, Source::Gossip, Source::Inbound].map(Source::name).to_vec()
            }
            _ => Vec::new(),
        }
    }
}

/// A state as it is typed: without a space.
pub(super) fn word_of(state: PeerState) -> &'static str {
    match state {
        PeerState::HeldOff => "held-off",
        other => other.name(),
    }
}
