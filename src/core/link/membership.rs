//! Proof that the other end belongs to a closed fleet.
//!
//! Each end says a nonce, and nothing else, before it has seen a proof. A proof covers
//! both nonces, key material exported from the TLS session of that very connection and
//! both identities in order, so it can be replayed neither on another connection, nor
//! later, nor in the other direction. The end that did not open the stream proves
//! itself first; names and all the rest come after both did.

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

    /// The proof of a claim.
    pub fn prove(&self, claim: &Claim<'_>) -> [u8; 32] {
        let tag = hmac::sign(&self.key(), &claim.bytes());
        let mut proof = [0; 32];
        proof.copy_from_slice(tag.as_ref());
        proof
    }

    /// Checks a proof in constant time.
    pub fn holds(&self, proof: &[u8; 32], claim: &Claim<'_>) -> bool {
        hmac::verify(&self.key(), &claim.bytes(), proof).is_ok()
    }

    fn key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.0.as_slice())
    }
}

/// That one end of a connection is a member.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// Key material that both ends exported from the connection.
    pub binding: &'a [u8; 32],
    /// The nonce of the end that claims.
    pub nonce: &'a [u8; 32],
    /// The nonce of the end that is told.
    pub asked: &'a [u8; 32],
    /// Who claims.
    pub from: &'a PeerId,
    /// Who is told.
    pub to: &'a PeerId,
}

impl Claim<'_> {
    fn bytes(&self) -> Vec<u8> {
        let Self { binding, nonce, asked, from, to } = self;
        [b"punchdeck membership 2".as_slice(), *binding, *nonce, *asked, &from.0, &to.0].concat()
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
    fn a_proof_holds_for_its_connection_nonces_direction_and_secret_only() {
        let secret = NetworkSecret::new([5; 32]);
        let claim = Claim { binding: &[9; 32], nonce: &[1; 32], asked: &[2; 32], from: &A, to: &B };
        let proof = secret.prove(&claim);
        assert!(secret.holds(&proof, &claim));
        assert!(!NetworkSecret::new([6; 32]).holds(&proof, &claim), "another secret");
        let others = [
            ("another connection", Claim { binding: &[8; 32], ..claim }),
            ("an older nonce of its own", Claim { nonce: &[3; 32], ..claim }),
            ("what somebody else was asked", Claim { asked: &[3; 32], ..claim }),
            ("the other direction: a reflection", Claim { from: &B, to: &A, ..claim }),
            ("the nonces the other way round", Claim { nonce: &[2; 32], asked: &[1; 32], ..claim }),
        ];
        for (what, other) in others {
            assert!(!secret.holds(&proof, &other), "{what}");
        }
    }

    #[test]
    fn the_secret_is_not_printed() {
        assert_eq!(format!("{:?}", NetworkSecret::new([5; 32])), "NetworkSecret(..)");
    }
}
