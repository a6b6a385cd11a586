//! Who coordinates a punch.

use std::cmp::Ordering;
use std::net::SocketAddr;

use crate::model::PeerId;

/// A linked peer that says it is connected to the target.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The peer that could be the intermediary.
    pub peer: PeerId,
    /// Where our link to it goes.
    pub addr: SocketAddr,
    /// The target's address as it sees it.
    pub target: SocketAddr,
    /// Whether a dial of ours from a fresh socket reached it.
    pub verified_public: bool,
    /// Our round trip to it.
    pub rtt_ms: Option<f64>,
    /// Successes over attempts with it.
    pub success_rate: Option<f64>,
}

/// The better candidate first: verified public, then the nearer, then the one
/// with the better history; ids make it total.
pub fn better(a: &Candidate, b: &Candidate) -> Ordering {
    let nearness = |c: &Candidate| c.rtt_ms.unwrap_or(f64::MAX);
    let history = |c: &Candidate| c.success_rate.unwrap_or(0.5);
    b.verified_public
        .cmp(&a.verified_public)
        .then(nearness(a).total_cmp(&nearness(b)))
        .then(history(b).total_cmp(&history(a)))
        .then(a.peer.cmp(&b.peer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(id: u8, verified_public: bool, rtt_ms: f64) -> Candidate {
        Candidate {
            peer: PeerId([id; 32]),
            addr: ([198, 18, 0, id], 9000).into(),
            target: ([198, 18, 1, 1], 9000).into(),
            verified_public,
            rtt_ms: Some(rtt_ms),
            success_rate: None,
        }
    }

    fn best(mut all: Vec<Candidate>) -> u8 {
        all.sort_by(better);
        all[0].peer.0[0]
    }

    #[test]
    fn test_intermediary_selection_prefers_public() {
        assert_eq!(best(vec![candidate(1, false, 1.0), candidate(2, true, 200.0)]), 2);
    }

    #[test]
    fn among_public_ones_the_nearer_is_chosen() {
        assert_eq!(best(vec![candidate(1, true, 20.0), candidate(2, true, 10.0)]), 2);
        let unknown = Candidate { rtt_ms: None, ..candidate(1, true, 0.0) };
        assert_eq!(best(vec![unknown, candidate(2, true, 500.0)]), 2, "unknown is not near");
    }

    #[test]
    fn among_equally_near_ones_history_decides() {
        let good = Candidate { success_rate: Some(0.9), ..candidate(2, true, 10.0) };
        let bad = Candidate { success_rate: Some(0.1), ..candidate(1, true, 10.0) };
        assert_eq!(best(vec![bad, good]), 2);
    }
}
