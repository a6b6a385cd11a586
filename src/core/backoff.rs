//! Exponential backoff with jitter.

use std::time::Duration;

use rand::{Rng, RngExt};

/// A rule: `first`, doubled with each failure up to `most`, each time up to a
/// fifth more or less so that a fleet does not retry in step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure.
    pub first: Duration,
    /// Never longer than this, jitter aside.
    pub most: Duration,
}

/// Between tries of a node without any link.
pub const ISOLATION: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(300) };
/// Between attempts towards one peer.
pub const PEER: Backoff = Backoff { first: Duration::from_secs(5), most: Duration::from_secs(300) };
/// Between dials of a host that only hearsay names, and of those that one source
/// names: from the shortest time between two dials of a host to an hour.
pub const HEARSAY: Backoff = Backoff { first: Duration::from_secs(10), most: Duration::from_secs(3600) };

/// Before a peer is dialled again that has another connection of our own identity:
/// each dial of ours ends that one.
pub const YIELD: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(300) };

impl Backoff {
    /// How long to wait after so many failures in a row (at least one).
    pub fn after(self, failures: u32, rng: &mut impl Rng) -> Duration {
        let doubled = self.first.saturating_mul(1 << failures.saturating_sub(1).min(20));
        doubled.min(self.most).mul_f64(rng.random_range(0.8..=1.2))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn isolation_backs_off_from_one_second_to_five_minutes_with_a_fifth_of_jitter() {
        let mut rng = StdRng::seed_from_u64(1);
        for (failures, nominal) in [(1, 1.0), (2, 2.0), (3, 4.0), (9, 256.0), (10, 300.0), (1000, 300.0)] {
            let mut seen = Vec::new();
            for _ in 0..500 {
                let wait = ISOLATION.after(failures, &mut rng).as_secs_f64();
                assert!((nominal * 0.8 - 1e-6..=nominal * 1.2 + 1e-6).contains(&wait), "{failures}: {wait}");
                seen.push(wait);
            }
            let spread = seen.iter().copied().fold(0.0, f64::max) - seen.iter().copied().fold(1e9, f64::min);
            assert!(spread > nominal * 0.3, "the jitter is used");
        }
    }
}
