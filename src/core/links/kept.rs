//! How much is kept of the sessions of those who are gone.

use crate::core::Mono;
use crate::core::limits::{KEPT_SESSION_EACH, KEPT_SESSIONS_MAX};
use crate::model::PeerId;

/// Of the sessions that are kept (since when, of which peer, how many bytes), the peers
/// whose sessions make way.
pub(super) fn make_way(mut kept: Vec<(Mono, PeerId, usize)>) -> Vec<PeerId> {
    let bytes = |(_, _, bytes): &(Mono, PeerId, usize)| bytes + KEPT_SESSION_EACH;
    let mut total: usize = kept.iter().map(bytes).sum();
    if total <= KEPT_SESSIONS_MAX {
        return Vec::new();
    }
    kept.sort_unstable();
    let over = kept.iter().take_while(|each| {
        let over = total > KEPT_SESSIONS_MAX;
        total = total.saturating_sub(bytes(each));
        over
    });
    over.map(|(_, peer, _)| *peer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::limits::UNACKED_MAX;

    #[test]
    fn of_too_many_kept_sessions_those_go_whose_peers_went_first() {
        let kept = |count: usize, bytes: usize| -> Vec<(Mono, PeerId, usize)> {
            let at = |n: usize| Mono::from_millis((7_919 * n as u64) % 10_007);
            (0..count).map(|n| (at(n), PeerId([n as u8; 32]), bytes)).collect()
        };
        assert!(make_way(kept(63, UNACKED_MAX)).is_empty());
        let all = kept(200, UNACKED_MAX);
        let gone = make_way(all.clone());
        let left = all.iter().filter(|(_, peer, _)| !gone.contains(peer));
        let total: usize = left.clone().map(|(_, _, bytes)| bytes + KEPT_SESSION_EACH).sum();
        assert!(total <= KEPT_SESSIONS_MAX && total + UNACKED_MAX > KEPT_SESSIONS_MAX - UNACKED_MAX);
        let last_gone = all.iter().filter(|(_, p, _)| gone.contains(p)).map(|(at, ..)| *at).max();
        assert!(last_gone < left.map(|(at, ..)| *at).min());
        // Empty ones count too.
        assert_eq!(
            make_way((0..20_000).map(|n| (Mono::from_millis(n), PeerId([0; 32]), 0)).collect()).len(),
            3_616
        );
    }
}
