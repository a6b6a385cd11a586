//! How many runs there were lately: of a pair, towards a host, of the node; and how
//! many offers of one peer.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use crate::core::Mono;
use crate::core::limits::{
    GUESS_OFFERS_PER_PEER, GUESS_RUNS_PER_IP, GUESS_RUNS_PER_NODE, GUESS_RUNS_PER_PAIR, GUESS_WINDOW,
};
use crate::model::PeerId;

/// What happened within the window, oldest first.
#[derive(Debug, Default)]
struct Lately(VecDeque<Mono>);

impl Lately {
    fn prune(&mut self, now: Mono) {
        while self.0.front().is_some_and(|at| now.since(*at) >= GUESS_WINDOW) {
            self.0.pop_front();
        }
    }

    /// How long until one more fits into so many.
    fn wait(&mut self, most: usize, now: Mono) -> Option<Duration> {
        self.prune(now);
        let full = self.0.len().checked_sub(most)?;
        let frees = *self.0.get(full)?;
        Some(GUESS_WINDOW.saturating_sub(now.since(frees)))
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Rates {
    pairs: BTreeMap<PeerId, Lately>,
    hosts: BTreeMap<IpAddr, Lately>,
    node: Lately,
    offers: BTreeMap<PeerId, Lately>,
}

impl Rates {
    /// How long until this pair may run again, if it may not now.
    pub(super) fn pair_wait(&mut self, peer: &PeerId, now: Mono) -> Option<Duration> {
        self.pairs.get_mut(peer)?.wait(GUESS_RUNS_PER_PAIR, now)
    }

    /// The same for this node with anybody.
    pub(super) fn node_wait(&mut self, now: Mono) -> Option<Duration> {
        self.node.wait(GUESS_RUNS_PER_NODE, now)
    }

    /// The same towards a host.
    pub(super) fn host_wait(&mut self, ip: IpAddr, now: Mono) -> Option<Duration> {
        self.hosts.get_mut(&ip)?.wait(GUESS_RUNS_PER_IP, now)
    }

    /// Datagrams are about to be sent. What is remembered is bounded by the node's
    /// own rate.
    pub(super) fn ran(&mut self, peer: PeerId, ip: IpAddr, now: Mono) {
        self.prune(now);
        self.pairs.entry(peer).or_default().0.push_back(now);
        self.hosts.entry(ip).or_default().0.push_back(now);
        self.node.0.push_back(now);
    }

    /// Whether one more offer of this peer is looked at.
    pub(super) fn takes_offer(&mut self, peer: PeerId, now: Mono) -> bool {
        self.prune(now);
        let offers = self.offers.entry(peer).or_default();
        let takes = offers.wait(GUESS_OFFERS_PER_PEER, now).is_none();
        if takes {
            offers.0.push_back(now);
        }
        takes
    }

    fn prune(&mut self, now: Mono) {
        fn keep<K>(_: &K, lately: &mut Lately, now: Mono) -> bool {
            lately.prune(now);
            !lately.0.is_empty()
        }
        self.pairs.retain(|k, l| keep(k, l, now));
        self.hosts.retain(|k, l| keep(k, l, now));
        self.offers.retain(|k, l| keep(k, l, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: PeerId = PeerId([1; 32]);

    fn ip(n: u8) -> IpAddr {
        [198, 18, 0, n].into()
    }

    #[test]
    fn a_pair_runs_twice_in_any_ten_minutes() {
        let mut rates = Rates::default();
        rates.ran(PEER, ip(1), Mono::from_millis(0));
        assert_eq!(rates.pair_wait(&PEER, Mono::from_millis(1)), None);
        rates.ran(PEER, ip(2), Mono::from_millis(300_000));
        let wait = rates.pair_wait(&PEER, Mono::from_millis(300_000));
        assert_eq!(wait, Some(Duration::from_secs(300)), "no bucket that fills by halves");
        assert_eq!(rates.pair_wait(&PEER, Mono::from_millis(600_000)), None);
    }

    #[test]
    fn many_identities_at_one_host_are_one_host() {
        let mut rates = Rates::default();
        for n in 0..u8::try_from(GUESS_RUNS_PER_IP).unwrap() {
            assert_eq!(rates.host_wait(ip(1), Mono::default()), None);
            rates.ran(PeerId([n; 32]), ip(1), Mono::default());
        }
        assert!(rates.host_wait(ip(1), Mono::default()).is_some());
        assert_eq!(rates.host_wait(ip(2), Mono::default()), None);
    }

    #[test]
    fn a_node_runs_only_so_often_with_all_of_them() {
        let mut rates = Rates::default();
        for n in 0..u8::try_from(GUESS_RUNS_PER_NODE).unwrap() {
            assert_eq!(rates.node_wait(Mono::default()), None);
            rates.ran(PeerId([n; 32]), ip(n), Mono::default());
        }
        assert!(rates.node_wait(Mono::default()).is_some());
    }

    #[test]
    fn offers_of_one_peer_are_looked_at_only_so_often() {
        let mut rates = Rates::default();
        let taken = (0..100).filter(|_| rates.takes_offer(PEER, Mono::default())).count();
        assert_eq!(taken, GUESS_OFFERS_PER_PEER);
        assert!(rates.takes_offer(PeerId([2; 32]), Mono::default()), "others are not kept off by it");
    }
}
