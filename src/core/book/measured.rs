//! What we measured of a peer ourselves. No message ever changes it.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Reason, Stamp};

/// A verified public address counts as such for this long.
pub const PUBLIC_VALID: Duration = Duration::from_secs(24 * 3600);

/// Our own measurements of a peer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Attempts we ran towards it.
    pub attempts: u32,
    /// How many ended connected.
    pub successes: u32,
    /// Attempts that failed since the last contact; those while we were alone
    /// are left out, they say nothing of the peer.
    pub consecutive_failures: u32,
    /// Smoothed round-trip time of its last link, in milliseconds.
    pub rtt_ms: Option<f64>,
    /// When that was measured.
    #[serde(default)]
    pub rtt_at: Option<Stamp>,
    /// When we last heard it, as of its last link.
    pub last_contact: Option<Stamp>,
    /// Why the last attempt failed, if it did.
    pub last_failure: Option<Reason>,
    /// Whether we ever dialled it with success, or it kept a link to us.
    pub tried: bool,
    /// When a dial of ours from a fresh socket last reached it.
    pub verified_public: Option<Stamp>,
    /// Where it was when we last dialled it with success.
    pub reached_at: Option<SocketAddr>,
}

impl Measured {
    /// Successes over attempts; `None` before the first.
    pub fn success_rate(&self) -> Option<f64> {
        (self.attempts > 0).then(|| f64::from(self.successes) / f64::from(self.attempts))
    }

    /// Whether it was proven public and the proof has not expired.
    pub fn is_public(&self, now: Stamp) -> bool {
        self.verified_public.is_some_and(|at| at.age_at(now) <= PUBLIC_VALID)
    }

    /// How good it would be to dial this peer, from 0 to 1.
    ///
    /// Success history counts most, with one imagined success and failure so
    /// that a single result decides nothing; then freshness, proof of being
    /// public, and RTT. Each failure since the last contact takes a part off,
    /// and so does the word of others that it is gone.
    pub fn quality(&self, seen: Option<Stamp>, demoted: bool, now: Stamp) -> f64 {
        const DAY_S: f64 = 86_400.0;
        let success = (f64::from(self.successes) + 1.0) / (f64::from(self.attempts) + 2.0);
        let fresh = self.last_contact.max(seen).map_or(0.0, |at| {
            let days = at.age_at(now).as_secs_f64() / DAY_S;
            1.0 / (1.0 + days)
        });
        let near = self.rtt_ms.map_or(0.5, |ms| 1.0 / (1.0 + ms / 100.0));
        let public = f64::from(u8::from(self.is_public(now)));
        let failures = 0.7_f64.powi(i32::try_from(self.consecutive_failures.min(20)).unwrap_or(20));
        let doubt = if demoted { 0.5 } else { 1.0 };
        (0.40 * success + 0.25 * fresh + 0.20 * public + 0.15 * near) * failures * doubt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Stamp = Stamp(1_800_000_000_000);

    fn fresh() -> Measured {
        Measured {
            attempts: 4,
            successes: 4,
            last_contact: Some(NOW),
            rtt_ms: Some(20.0),
            ..Measured::default()
        }
    }

    #[test]
    fn quality_rises_with_what_makes_a_dial_succeed() {
        let base = fresh();
        let q = |m: &Measured| m.quality(None, false, NOW);
        assert!(q(&Measured { successes: 1, ..base.clone() }) < q(&base));
        assert!(q(&Measured { rtt_ms: Some(400.0), ..base.clone() }) < q(&base));
        assert!(q(&Measured { consecutive_failures: 1, ..base.clone() }) < q(&base));
        assert!(q(&Measured { verified_public: Some(NOW), ..base.clone() }) > q(&base));
        let week = Duration::from_secs(7 * 86_400);
        assert!(q(&Measured { last_contact: Some(NOW.before(week)), ..base.clone() }) < q(&base));
        assert!(base.quality(None, true, NOW) < q(&base), "what others say is gone comes later");
        assert!(base.quality(None, true, NOW) > 0.0);
    }

    #[test]
    fn a_proof_of_being_public_expires() {
        let peer = Measured { verified_public: Some(NOW.before(PUBLIC_VALID)), ..Measured::default() };
        assert!(peer.is_public(NOW));
        assert!(!peer.is_public(NOW.after(Duration::from_secs(1))));
    }
}
