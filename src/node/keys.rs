//! The ML-DSA-65 key pair as ant-quic wants it, and as bytes for everybody
//! else.
//!
//! It never reads or writes a file: that is [`crate::identity`]'s.

use std::fmt;

use ant_quic::crypto::raw_public_keys::pqc;
use ant_quic::{MlDsaPublicKey, MlDsaSecretKey};
use zeroize::Zeroizing;

use crate::model::PeerId;

/// A key pair as bytes. The secret half is wiped when dropped and never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyBytes {
    /// The public key.
    pub public: Vec<u8>,
    /// The secret key.
    pub secret: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for KeyBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyBytes").field("public_len", &self.public.len()).finish_non_exhaustive()
    }
}

/// Why bytes are no usable key pair.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// One half cannot be read as a key.
    #[error("no ML-DSA-65 key pair: {0}")]
    Unusable(String),
    /// The halves do not belong together.
    #[error("the secret key does not belong to the public key")]
    Mismatch,
}

fn unusable(error: impl fmt::Display) -> KeyError {
    KeyError::Unusable(error.to_string())
}

/// Makes a new key pair from the system's randomness.
///
/// # Errors
/// [`KeyError::Unusable`] with what the library says.
pub fn generate() -> Result<KeyBytes, KeyError> {
    let (public, secret) = pqc::generate_ml_dsa_keypair().map_err(unusable)?;
    Ok(KeyBytes { public: public.as_bytes().to_vec(), secret: Zeroizing::new(secret.as_bytes().to_vec()) })
}

/// Signs and verifies once, so that a damaged key is found at start and not by
/// a peer that refuses us. Takes well under a millisecond in a release build.
///
/// # Errors
/// [`KeyError::Unusable`] if a half is no key, [`KeyError::Mismatch`] if they
/// do not belong together.
pub fn check(keys: &KeyBytes) -> Result<(), KeyError> {
    const MESSAGE: &[u8] = b"punchdeck: do these halves belong together?";
    let (public, secret) = to_ant_quic(keys)?;
    let signature = pqc::sign_with_ml_dsa(&secret, MESSAGE).map_err(unusable)?;
    pqc::verify_with_ml_dsa(&public, MESSAGE, &signature).map_err(|_| KeyError::Mismatch)
}

/// The pair in ant-quic's types.
///
/// # Errors
/// [`KeyError::Unusable`] if a half has the wrong length.
pub fn to_ant_quic(keys: &KeyBytes) -> Result<(MlDsaPublicKey, MlDsaSecretKey), KeyError> {
    Ok((
        MlDsaPublicKey::from_bytes(&keys.public).map_err(unusable)?,
        MlDsaSecretKey::from_bytes(&keys.secret).map_err(unusable)?,
    ))
}

/// The identity that a public key stands for.
///
/// # Errors
/// [`KeyError::Unusable`] if the bytes are no public key.
pub fn peer_id(public: &[u8]) -> Result<PeerId, KeyError> {
    pqc::derive_peer_id_from_key_bytes(public).map(|id| PeerId(id.0)).map_err(unusable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_pair_belongs_together_and_names_a_peer() {
        let (a, b) = (generate().unwrap(), generate().unwrap());
        check(&a).unwrap();
        assert_ne!(peer_id(&a.public).unwrap(), peer_id(&b.public).unwrap());
    }

    #[test]
    fn halves_of_two_pairs_are_refused() {
        let (a, b) = (generate().unwrap(), generate().unwrap());
        let mixed = KeyBytes { public: a.public, secret: b.secret };
        assert!(matches!(check(&mixed), Err(KeyError::Mismatch)));
    }

    #[test]
    fn a_short_half_is_refused() {
        let mut keys = generate().unwrap();
        keys.secret.pop();
        assert!(matches!(check(&keys), Err(KeyError::Unusable(_))));
        assert!(peer_id(&keys.public[1..]).is_err());
    }

    #[test]
    fn a_secret_key_never_shows_in_debug_output() {
        let keys = KeyBytes { public: vec![1, 2], secret: Zeroizing::new(vec![0xab; 4]) };
        assert_eq!(format!("{keys:?}"), "KeyBytes { public_len: 2, .. }");
    }
}
