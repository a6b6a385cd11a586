//! Nonces that were seen.

use std::collections::{BTreeSet, VecDeque};

use crate::core::Mono;
use crate::core::limits::{NONCE_VALID, NONCES_KEPT};

/// The nonces of the last seconds, at most so many.
#[derive(Debug, Default)]
pub(super) struct Nonces {
    seen: BTreeSet<[u8; 16]>,
    order: VecDeque<(Mono, [u8; 16])>,
}

impl Nonces {
    /// Whether a nonce was not seen lately; it is now.
    pub(super) fn is_new(&mut self, nonce: [u8; 16], now: Mono) -> bool {
        while let Some((at, old)) = self.order.front().copied() {
            if now.since(at) < NONCE_VALID && self.order.len() < NONCES_KEPT {
                break;
            }
            self.order.pop_front();
            self.seen.remove(&old);
        }
        let new = self.seen.insert(nonce);
        if new {
            self.order.push_back((now, nonce));
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nonce(n: u32) -> [u8; 16] {
        let mut nonce = [0; 16];
        nonce[..4].copy_from_slice(&n.to_be_bytes());
        nonce
    }

    #[test]
    fn a_nonce_counts_once_within_ten_seconds() {
        let mut nonces = Nonces::default();
        assert!(nonces.is_new(nonce(1), Mono::from_millis(0)));
        assert!(!nonces.is_new(nonce(1), Mono::from_millis(9_999)));
        assert!(nonces.is_new(nonce(1), Mono::from_millis(10_000)));
    }

    #[test]
    fn a_flood_of_nonces_costs_no_more_than_the_limit() {
        let mut nonces = Nonces::default();
        for n in 0..20_000 {
            assert!(nonces.is_new(nonce(n), Mono::from_millis(0)));
            assert!(nonces.seen.len() <= NONCES_KEPT && nonces.order.len() <= NONCES_KEPT);
        }
    }
}
