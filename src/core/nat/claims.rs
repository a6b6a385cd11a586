//! Who claims to be public is dialled from a fresh socket: only that bears it out.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::core::Mono;
use crate::core::io::Action;
use crate::core::limits::{REACH_TEST_EVERY, REACH_TESTS_AT_ONCE};
use crate::core::link::Link;
use crate::core::outbox::{Outbox, Wanted};
use crate::core::peers::Peers;
use crate::model::{DropReason, NatType, PeerId};

/// A peer's claim to be public is tested again after this long, well within
/// the day that a proof is worth something.
const REVERIFY_AFTER: Duration = Duration::from_secs(12 * 3600);
/// How often somebody to test is looked for.
const REACH_LOOK_EVERY: Duration = Duration::from_secs(5);
/// The same after somebody claimed something new.
const REACH_LOOK_SOON: Duration = Duration::from_millis(200);
/// Whose claims are tested.
#[derive(Debug)]
pub(super) struct Claims {
    /// When we last tested whether a peer is public; `true` while it runs.
    tested: BTreeMap<PeerId, (Mono, bool)>,
    /// When somebody to test is looked for.
    look: Mono,
    rng: StdRng,
}

impl Claims {
    pub(super) fn new(seed: u64, now: Mono) -> Self {
        Self { tested: BTreeMap::new(), look: now, rng: StdRng::seed_from_u64(seed) }
    }

    /// Somebody claims something new.
    pub(super) fn sooner(&mut self, now: Mono) {
        self.look = self.look.min(now + REACH_LOOK_SOON);
    }

    pub(super) fn next_timeout(&self) -> Mono {
        self.look
    }

    /// What is due by now.
    pub(super) fn timeout(&mut self, peers: &Peers<'_>, out: &mut Outbox) {
        if self.look <= peers.now.mono {
            self.look = peers.now.mono + REACH_LOOK_EVERY;
            self.test(peers, out);
        }
    }

    /// Dials peers that claim to be public, from fresh sockets.
    fn test(&mut self, peers: &Peers<'_>, out: &mut Outbox) {
        let now = peers.now;
        self.tested.retain(|_, (at, runs)| *runs || now.mono.since(*at) < REACH_TEST_EVERY);
        let running = self.tested.values().filter(|(_, runs)| *runs).count();
        let due = |(peer, link): (&PeerId, &Link)| {
            let status = link.status().filter(|s| !s.foreign && s.info.path.is_straight())?;
            let fresh = peers.book.get(*peer)?.measured.verified_public;
            let proven = fresh.is_some_and(|at| at.age_at(now.stamp) < REVERIFY_AFTER);
            let wanted = peers.claimed_nat(peer) == NatType::None
                && !proven
                && !self.tested.contains_key(peer)
                && !status.info.remote.ip().is_loopback();
            wanted.then_some((*peer, status.info.remote))
        };
        let room = REACH_TESTS_AT_ONCE.saturating_sub(running);
        let chosen: Vec<_> = peers.links.iter().filter_map(due).take(room).collect();
        for (peer, addr) in chosen {
            self.tested.insert(peer, (now.mono, true));
            let name = self.rng.random();
            out.push(Action::Reach { peer, addr, name });
        }
    }

    /// The answer to [`Action::Reach`].
    pub(super) fn on_reached(&mut self, peer: PeerId, addr: SocketAddr, reached: bool, out: &mut Outbox) {
        if let Some((_, runs)) = self.tested.get_mut(&peer) {
            *runs = false;
        }
        if reached {
            out.want(Wanted::ProvenPublic(peer, addr));
        } else {
            out.stopped(DropReason::PublicNotBorneOut);
        }
    }
}
