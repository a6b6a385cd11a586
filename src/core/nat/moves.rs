//! Connections under which our port moved, as their other ends tell. One change of a NAT
//! moves all of them, and each peer tells of it when it hears from us next: that is one
//! reason to measure anew, and not as many as there are peers.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::core::Mono;
use crate::model::PeerId;

/// By then every peer has heard from us behind the changed NAT: heartbeats go out every
/// five seconds, and may get lost.
const TOLD_WITHIN: Duration = Duration::from_secs(15);

/// The latest change, and who told of it.
#[derive(Debug, Default)]
pub(super) struct Moves {
    latest: Option<(Mono, BTreeSet<PeerId>)>,
}

impl Moves {
    /// Whether what this peer tells is of another change than the latest.
    pub(super) fn is_news(&mut self, peer: PeerId, now: Mono) -> bool {
        match &mut self.latest {
            Some((at, told)) if now.since(*at) < TOLD_WITHIN => !told.insert(peer),
            _ => true,
        }
    }

    /// What was measured is doubted because of what this peer tells.
    pub(super) fn doubted(&mut self, peer: PeerId, now: Mono) {
        self.latest = Some((now, [peer].into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: PeerId = PeerId([1; 32]);
    const B: PeerId = PeerId([2; 32]);

    fn at(s: u64) -> Mono {
        Mono::from_millis(s * 1_000)
    }

    #[test]
    fn a_change_is_told_by_each_peer_and_is_news_once() {
        let mut moves = Moves::default();
        assert!(moves.is_news(A, at(0)));
        moves.doubted(A, at(0));
        assert!(!moves.is_news(B, at(4)), "it is the same change");
        assert!(moves.is_news(B, at(8)), "B was told of that one: this is another");
        assert!(moves.is_news(B, at(60)));
    }
}
