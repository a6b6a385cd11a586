//! Proof that a record is its subject's: a classical signature, made with a key
//! that is derived from the identity and stated beside every record.
//!
//! It says that this version, with this content, comes from whoever has the key.
//! Whose key it is, only a link that is authenticated as the peer tells; so the
//! book remembers it from there, and goes by it in all that others say. A record
//! is signed as it may go to anybody: addresses that mean something to neighbours
//! alone are in no signature, since they do not go everywhere.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use zeroize::Zeroizing;

use super::gossip::rules;
use super::wire::{Proof, Record};

/// What is signed begins so, that no other signature of the key stands for one.
const CONTEXT: &[u8] = b"punchdeck record 1\0";

/// What the key of our records is made from. Never shown, wiped when dropped.
#[derive(Clone)]
pub struct RecordSeed(Zeroizing<[u8; 32]>);

impl RecordSeed {
    /// From the secret half of the identity, one for each network: so it is the
    /// same after every restart, and a record of one network says nothing in
    /// another.
    pub fn derive(secret: &[u8], network: &str) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let tag = hmac::sign(&key, &[CONTEXT, network.as_bytes()].concat());
        let mut seed = Zeroizing::new([0; 32]);
        seed.copy_from_slice(tag.as_ref());
        Self(seed)
    }

    /// The key itself; `None` if the library refuses, which it has no reason to.
    pub fn signer(&self) -> Option<Signer> {
        Ed25519KeyPair::from_seed_unchecked(self.0.as_slice()).ok().map(Signer)
    }
}

impl fmt::Debug for RecordSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordSeed")
    }
}

/// Signs our own record.
pub struct Signer(Ed25519KeyPair);

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

impl Signer {
    /// The proof that a record is ours as it stands.
    pub fn prove(&self, record: &Record) -> Option<Proof> {
        let key = self.0.public_key().as_ref().try_into().ok()?;
        let signature = self.0.sign(&statement(record));
        Proof::new(key, signature.as_ref())
    }
}

/// Whether the record's proof, if it has one, is for this very record.
pub fn holds(record: &Record) -> bool {
    let Some(proof) = &record.proof else { return false };
    UnparsedPublicKey::new(&ED25519, proof.key).verify(&statement(record), &proof.signature()).is_ok()
}

/// Stands for what a record says to everybody, its version included.
pub fn fingerprint(record: &Record) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, &statement(record)).as_ref());
    hash
}

/// Whether two records say the same to everybody: what one of them says to
/// neighbours alone aside.
pub fn same_in_public(a: &Record, b: &Record) -> bool {
    public_form(a).says_the_same(&public_form(b))
}

fn public_form(record: &Record) -> Record {
    let mut public = Record { age_s: 0, proof: None, ..record.clone() };
    rules::apply(&mut public, &rules::LinkContext::PUBLIC);
    public
}

fn statement(record: &Record) -> Vec<u8> {
    // Encoding plain data into a vector cannot fail.
    postcard::to_extend(&public_form(record), CONTEXT.to_vec()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PeerId;

    fn signed(record: Record, secret: &str) -> Record {
        let proof = RecordSeed::derive(secret.as_bytes(), "net").signer().unwrap().prove(&record);
        Record { proof, ..record }
    }

    fn record() -> Record {
        let addresses = vec![([8, 8, 8, 8], 2000).into(), ([10, 0, 0, 1], 2000).into()];
        Record { name: "one".into(), addresses, ..Record::new(PeerId([1; 32]), 7) }
    }

    #[test]
    fn a_proof_holds_for_its_record_and_for_no_other() {
        let ours = signed(record(), "secret");
        assert!(holds(&ours));
        assert!(holds(&Record { age_s: 99, ..ours.clone() }), "an age is everybody's own");
        assert!(!holds(&Record { version: 8, ..ours.clone() }));
        assert!(!holds(&Record { name: "two".into(), ..ours.clone() }));
        assert!(!holds(&Record { peer: PeerId([2; 32]), ..ours.clone() }));
        assert!(!holds(&Record { addresses: vec![([8, 8, 8, 9], 2000).into()], ..ours.clone() }));
        assert!(!holds(&Record { proof: None, ..ours }));
    }

    #[test]
    fn what_is_said_to_neighbours_alone_may_be_left_out_on_the_way() {
        let ours = signed(record(), "secret");
        let away = Record { addresses: vec![([8, 8, 8, 8], 2000).into()], ..ours.clone() };
        assert!(holds(&away) && same_in_public(&ours, &away));
    }

    #[test]
    fn a_key_belongs_to_one_identity_in_one_network() {
        let key = |secret: &str, network| {
            let signer = RecordSeed::derive(secret.as_bytes(), network).signer().unwrap();
            signer.prove(&record()).unwrap().key
        };
        assert_eq!(key("a", "net"), key("a", "net"));
        assert_ne!(key("a", "net"), key("b", "net"));
        assert_ne!(key("a", "net"), key("a", "other"));
        assert_eq!(format!("{:?}", RecordSeed::derive(b"a", "net")), "RecordSeed");
    }
}
