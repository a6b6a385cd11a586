//! Ways off the relay: behind a relayed link a punch is tried again, ever more
//! rarely, and at once when a NAT changed. No path is changed without need more
//! than once a minute.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::{Attempts, Input};
use crate::core::Mono;
use crate::core::dialer::Start;
use crate::core::guessing;
use crate::core::ladder::Plan;
use crate::core::outbox::{Outbox, Wanted};
use crate::core::peers::Peers;
use crate::core::targets::Targets;
use crate::model::{Cause, NatType, Path, PeerId, Reason};

/// Between tries; the last one repeats.
const BACKOFF: [Duration; 4] =
    [Duration::from_secs(5), Duration::from_secs(15), Duration::from_secs(60), Duration::from_secs(300)];
/// A link that left its relay does not do so again before.
const CALM: Duration = Duration::from_secs(60);
/// The other end saw its own change first, and is already trying.
const AFTER_THEIRS: Duration = Duration::from_secs(1);
/// While an attempt runs towards the peer.
const BUSY: Duration = Duration::from_secs(1);

/// What is planned for one peer.
#[derive(Debug)]
struct Upgrade {
    /// When the next try is due, while the link is relayed.
    next: Option<Mono>,
    tries: usize,
    /// When the link last left a relay.
    left: Option<Mono>,
    /// What the peer said last of its NAT and where it is.
    theirs: (NatType, Vec<SocketAddr>),
}

/// What is planned for all peers.
#[derive(Debug, Default)]
pub(super) struct Upgrades(BTreeMap<PeerId, Upgrade>);

impl Upgrades {
    pub(super) fn next_timeout(&self) -> Option<Mono> {
        self.0.values().filter_map(|u| u.next).min()
    }

    /// When the next try towards a peer is due.
    pub(super) fn due(&self, peer: &PeerId) -> Option<Mono> {
        self.0.get(peer)?.next
    }

    /// The path of a link is another one, or it is gone.
    pub(super) fn on_path(&mut self, peer: PeerId, peers: &Peers<'_>, out: &mut Outbox) {
        out.want(Wanted::Guesses(guessing::Input::Path(peer)));
        let path = peers.links.in_use(&peer).map(|i| i.path);
        let (theirs, now) = (peers.place_of(&peer), peers.now.mono);
        match (path, self.0.get_mut(&peer)) {
            (Some(Path::Relayed), Some(upgrade)) => {
                let calm = upgrade.left.map_or(now, |at| at + CALM);
                upgrade.next.get_or_insert((now + BACKOFF[0]).max(calm));
            }
            (Some(Path::Relayed), None) => {
                let upgrade = Upgrade { next: Some(now + BACKOFF[0]), tries: 0, left: None, theirs };
                self.0.insert(peer, upgrade);
            }
            (Some(_), Some(upgrade)) if upgrade.next.is_some() => {
                *upgrade = Upgrade { next: None, tries: 0, left: Some(now), theirs };
            }
            (None, Some(upgrade)) => upgrade.next = None,
            _ => {}
        }
    }

    /// Our NAT, our address or the host's routes are others.
    pub(super) fn all_sooner(&mut self, now: Mono, out: &mut Outbox) {
        for upgrade in self.0.values_mut() {
            upgrade.sooner(now);
        }
        out.want(Wanted::Guesses(guessing::Input::NatChanged));
    }

    /// A peer says something new of itself: perhaps its NAT, or where it is, is
    /// another one.
    pub(super) fn on_news(&mut self, peer: PeerId, peers: &Peers<'_>, out: &mut Outbox) {
        let theirs = peers.place_of(&peer);
        let Some(upgrade) = self.0.get_mut(&peer).filter(|upgrade| upgrade.theirs != theirs) else { return };
        upgrade.sooner(peers.now.mono + AFTER_THEIRS);
        out.want(Wanted::Guesses(guessing::Input::Path(peer)));
        // What runs already need not end first.
        out.want(Wanted::Attempts(Input::Addresses(peer, theirs.1.clone())));
        upgrade.theirs = theirs;
    }

    /// What is due by now.
    pub(super) fn timeout(&mut self, targets: &Targets<'_>, attempts: &Attempts, out: &mut Outbox) {
        let now = targets.peers.now.mono;
        for (peer, upgrade) in &mut self.0 {
            if upgrade.next.is_some_and(|at| at <= now) {
                let wait = upgrade.start(*peer, targets, attempts, out);
                let again = || BACKOFF[upgrade.tries.min(BACKOFF.len() - 1)];
                upgrade.next = Some(now + wait.unwrap_or_else(again));
            }
        }
        // What says nothing any more.
        let calm = |u: &Upgrade| u.next.is_none() && u.left.is_none_or(|at| now.since(at) >= CALM);
        self.0.retain(|_, u| !calm(u));
    }
}

impl Upgrade {
    /// Starts a try; how long to wait instead, if this is not the moment.
    fn start(
        &mut self,
        peer: PeerId,
        targets: &Targets<'_>,
        attempts: &Attempts,
        out: &mut Outbox,
    ) -> Option<Duration> {
        let nat_pair = targets.nat_pair(&peer);
        match attempts.towards(&peer).map(|l| (l.id(), l.cause())) {
            // It set out with what was known of the NATs before.
            Some((id, Cause::Upgrade)) if self.tries == 0 => {
                out.want(Wanted::Attempts(Input::Abandon(id, Reason::NatChanged)));
            }
            Some((id, _)) => {
                if nat_pair.is_hopeless() {
                    out.want(Wanted::Attempts(Input::Unpunchable(id, nat_pair)));
                }
                return Some(BUSY);
            }
            None => {}
        }
        self.tries += 1;
        if let Some(target) = targets.of(peer).filter(|_| !nat_pair.is_hopeless()) {
            out.want(Wanted::Start(Start { target, cause: Cause::Upgrade, plan: Plan::UPGRADE }));
        }
        None
    }

    fn sooner(&mut self, at: Mono) {
        let at = self.left.map_or(at, |left| at.max(left + CALM));
        self.tries = 0;
        self.next = self.next.map(|next| next.min(at));
    }
}
