//! The proof beside a record.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A signature over a record, and the key it was made with. What it is worth is
/// not judged here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Proof {
    /// The public key (Ed25519).
    pub key: [u8; 32],
    halves: [[u8; 32]; 2],
}

impl Proof {
    /// Bytes of a proof and its place in a message, at most.
    pub const SIZE_MAX: usize = 32 + 64 + 3;

    /// From a key and a signature of 64 bytes.
    pub fn new(key: [u8; 32], signature: &[u8]) -> Option<Self> {
        let (first, second) = signature.split_first_chunk::<32>()?;
        Some(Self { key, halves: [*first, second.try_into().ok()?] })
    }

    /// The signature.
    pub fn signature(&self) -> [u8; 64] {
        let mut whole = [0; 64];
        whole[..32].copy_from_slice(&self.halves[0]);
        whole[32..].copy_from_slice(&self.halves[1]);
        whole
    }

    fn to_hex(self) -> String {
        hex::encode([self.key, self.halves[0], self.halves[1]].concat())
    }

    fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 96];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        let (key, signature) = bytes.split_first_chunk::<32>()?;
        Self::new(*key, signature)
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proof({})", hex::encode(&self.key[..3]))
    }
}

impl Serialize for Proof {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&self.to_hex())
        } else {
            (self.key, self.halves).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Proof {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
            Self::from_hex(&text).ok_or_else(|| D::Error::custom("a proof is 192 hex digits"))
        } else {
            let (key, halves) = <([u8; 32], [[u8; 32]; 2])>::deserialize(deserializer)?;
            Ok(Self { key, halves })
        }
    }
}
