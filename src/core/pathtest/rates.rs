//! How many offers and runs there were lately, by peer and in all.

use std::collections::{BTreeMap, VecDeque};

use crate::core::Mono;
use crate::core::limits::{TEST_OFFERS_PER_PEER, TEST_RUNS_PER_NODE, TEST_RUNS_PER_PEER, TEST_WINDOW};
use crate::model::PeerId;

/// What one peer asked for within the window, oldest first.
#[derive(Debug, Default)]
struct Lately {
    offers: VecDeque<Mono>,
    runs: VecDeque<Mono>,
}

/// Those of all of them. A peer is forgotten when nothing of it is in the window any
/// more; who is linked is limited elsewhere.
#[derive(Debug, Default)]
pub(super) struct Rates {
    peers: BTreeMap<PeerId, Lately>,
    node: VecDeque<Mono>,
}

fn prune(times: &mut VecDeque<Mono>, now: Mono) {
    while times.front().is_some_and(|at| now.since(*at) >= TEST_WINDOW) {
        times.pop_front();
    }
}

impl Rates {
    /// Whether one more offer of this peer is answered.
    pub(super) fn takes_offer(&mut self, peer: PeerId, now: Mono) -> bool {
        prune(&mut self.node, now);
        self.peers.retain(|_, lately| {
            prune(&mut lately.offers, now);
            prune(&mut lately.runs, now);
            !lately.offers.is_empty()
        });
        let offers = &mut self.peers.entry(peer).or_default().offers;
        let takes = offers.len() < TEST_OFFERS_PER_PEER;
        if takes {
            offers.push_back(now);
        }
        takes
    }

    /// Whether one more run with this peer may begin. Its offer was taken before.
    pub(super) fn takes_run(&mut self, peer: &PeerId, now: Mono) -> bool {
        let Some(lately) = self.peers.get_mut(peer) else { return false };
        let takes = lately.runs.len() < TEST_RUNS_PER_PEER && self.node.len() < TEST_RUNS_PER_NODE;
        if takes {
            lately.runs.push_back(now);
            self.node.push_back(now);
        }
        takes
    }
}
