//! Proof that the other end belongs to a closed fleet.
//!
//! The proof covers key material exported from the TLS session of that very
//! connection and both identities in order, so it can be replayed neither on
//! another connection nor in the other direction.

use std::fmt;

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::model::PeerId;

/// The 32 bytes that a closed fleet shares. Never shown, never logged, wiped
/// when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct NetworkSecret(Zeroizing<[u8; 32]>);

impl NetworkSecret {
    /// Takes the shared bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The proof that `from` sends to `to` over the connection whose exported
    /// key material is `binding`.
    pub fn prove(&self, binding: &[u8; 32], from: &PeerId, to: &PeerId) -> [u8; 32] {
        let tag = hmac::sign(&self.key(), &Self::statement(binding, from, to));
        let mut proof = [0; 32];
        proof.copy_from_slice(tag.as_ref());
        proof
    }

    /// Checks a proof in constant time.
    pub fn holds(&self, proof: &[u8; 32], binding: &[u8; 32], from: &PeerId, to: &PeerId) -> bool {
        hmac::verify(&self.key(), &Self::statement(binding, from, to), proof).is_ok()
    }

    fn key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.0.as_slice())
    }

    fn statement(binding: &[u8; 32], from: &PeerId, to: &PeerId) -> Vec<u8> {
        [b"punchdeck membership 1".as_slice(), binding, &from.0, &to.0].concat()
    }
}

impl fmt::Debug for NetworkSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NetworkSecret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: PeerId = PeerId([1; 32]);
    const B: PeerId = PeerId([2; 32]);

    #[test]
    fn a_proof_holds_for_its_connection_direction_and_secret_only() {
        let secret = NetworkSecret::new([5; 32]);
        let proof = secret.prove(&[9; 32], &A, &B);
        assert!(secret.holds(&proof, &[9; 32], &A, &B));
        assert!(!secret.holds(&proof, &[8; 32], &A, &B), "another connection");
        assert!(!secret.holds(&proof, &[9; 32], &B, &A), "the other direction: a reflection");
        assert!(!NetworkSecret::new([6; 32]).holds(&proof, &[9; 32], &A, &B), "another secret");
    }

    #[test]
    fn the_secret_is_not_printed() {
        assert_eq!(format!("{:?}", NetworkSecret::new([5; 32])), "NetworkSecret(..)");
    }
}
