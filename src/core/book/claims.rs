//! What was said against what is held and is not borne out yet: for each peer
//! who said it and from where, so that a second one who has nothing in common
//! with the first can bear it out; and where it says that the peer is, so that
//! the peer itself can be asked.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::admission::Teller;
use crate::core::limits::{CLAIMS_MAX, CLAIMS_PER_PEER};
use crate::core::proof;
use crate::core::wire::Record;
use crate::core::{Mono, Now};
use crate::model::PeerId;

/// What two tellers must agree on to bear each other out: the key that the peer's
/// records are signed with; of one that signs none, what the record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Key([u8; 32]),
    Content([u8; 32]),
}

impl What {
    fn of(record: &Record) -> Self {
        match record.proof {
            Some(proof) => Self::Key(proof.key),
            None => Self::Content(proof::fingerprint(record)),
        }
    }
}

#[derive(Debug)]
struct Claim {
    by: Teller,
    what: What,
    addresses: Vec<SocketAddr>,
    at: Mono,
}

/// Claims that nothing bears out.
#[derive(Debug, Default)]
pub(super) struct Claims {
    of: BTreeMap<PeerId, Vec<Claim>>,
    count: usize,
}

impl Claims {
    /// Takes a claim down. Whether somebody unrelated said the same before.
    pub(super) fn add(&mut self, record: &Record, by: Teller, now: Now) -> bool {
        let what = What::of(record);
        let claims = self.of.entry(record.peer).or_default();
        let borne_out = claims.iter().any(|claim| claim.what == what && claim.by.is_unrelated(&by));
        let before = claims.len();
        // One of each quarter: a crowd in one network is one voice.
        claims.retain(|claim| claim.by.is_unrelated(&by));
        if claims.len() == CLAIMS_PER_PEER {
            claims.remove(0);
        }
        claims.push(Claim { by, what, addresses: record.addresses.clone(), at: now.mono });
        self.count = self.count + claims.len() - before;
        if self.count > CLAIMS_MAX {
            let newest = |claims: &Vec<Claim>| claims.iter().map(|claim| claim.at).max();
            let oldest = self.of.iter().min_by_key(|(_, claims)| newest(claims)).map(|(peer, _)| *peer);
            if let Some(peer) = oldest {
                self.settle(peer);
            }
        }
        borne_out
    }

    /// The matter of a peer is settled.
    pub(super) fn settle(&mut self, peer: PeerId) {
        self.count -= self.of.remove(&peer).map_or(0, |claims| claims.len());
    }

    /// Where a peer is said to be.
    pub(super) fn addresses(&self, peer: PeerId) -> impl Iterator<Item = SocketAddr> + '_ {
        self.of.get(&peer).into_iter().flatten().flat_map(|claim| claim.addresses.iter().copied())
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        assert_eq!(self.count, self.of.values().map(Vec::len).sum::<usize>());
        self.count
    }
}
