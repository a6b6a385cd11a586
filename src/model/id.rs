//! Peer identity.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A peer's identity: the 32-byte hash of its ML-DSA-65 public key.
///
/// Shown and serialised for people as 64 hex digits, on the wire as 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub [u8; 32]);

/// Why a text is not a peer id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a peer id is 64 hex digits, not {0:?}")]
pub struct ParsePeerIdError(pub String);

impl PeerId {
    /// The first six hex digits: enough to tell peers apart on a screen.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..3])
    }

    /// Whether the hex form starts with `prefix` (case-insensitive).
    pub fn has_prefix(&self, prefix: &str) -> bool {
        let hex = hex::encode(self.0);
        hex.len() >= prefix.len() && hex[..prefix.len()].eq_ignore_ascii_case(prefix)
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerId({})", self.short())
    }
}

impl FromStr for PeerId {
    type Err = ParsePeerIdError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0u8; 32];
        hex::decode_to_slice(s, &mut bytes).map_err(|_| ParsePeerIdError(s.to_owned()))?;
        Ok(Self(bytes))
    }
}

impl Serialize for PeerId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for PeerId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
            text.parse().map_err(serde::de::Error::custom)
        } else {
            <[u8; 32]>::deserialize(deserializer).map(Self)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_id_survives_json_as_64_hex_digits() {
        let id = PeerId([0xab; 32]);
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{}\"", "ab".repeat(32)));
        assert_eq!(serde_json::from_str::<PeerId>(&json).unwrap(), id);
    }

    #[test]
    fn a_prefix_matches_in_either_case_and_never_overruns() {
        let id = PeerId([0xab; 32]);
        assert!(id.has_prefix("ABa"));
        assert!(!id.has_prefix("ac"));
        assert!(!id.has_prefix(&"ab".repeat(40)));
    }

    #[test]
    fn text_that_is_no_peer_id_is_refused() {
        assert!("xyz".parse::<PeerId>().is_err());
        assert!("ab".repeat(31).parse::<PeerId>().is_err());
    }
}
