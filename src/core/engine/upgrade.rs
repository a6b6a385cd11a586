//! Ways off the relay: behind a relayed link a punch is tried again, ever more
//! rarely, and at once when a NAT changed. No path is changed without need more
//! than once a minute.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::Engine;
use crate::core::dialer::Start;
use crate::core::guessing;
use crate::core::ladder::Plan;
use crate::core::{Mono, Now};
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

/// What the engine holds of them.
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
}

impl Engine {
    /// The path of a link is another one, or it is gone.
    pub(super) fn upgrade_path(&mut self, peer: PeerId, now: Now) {
        self.tell_guesses(guessing::Input::Path(peer), now);
        let path = self.links.in_use(&peer).map(|i| i.path);
        let theirs = self.peers(now).place_of(&peer);
        let planned = self.upgrades.0.get_mut(&peer);
        match (path, planned) {
            (Some(Path::Relayed), Some(upgrade)) => {
                let calm = upgrade.left.map_or(now.mono, |at| at + CALM);
                upgrade.next.get_or_insert((now.mono + BACKOFF[0]).max(calm));
            }
            (Some(Path::Relayed), None) => {
                let upgrade = Upgrade { next: Some(now.mono + BACKOFF[0]), tries: 0, left: None, theirs };
                self.upgrades.0.insert(peer, upgrade);
            }
            (Some(_), Some(upgrade)) if upgrade.next.is_some() => {
                *upgrade = Upgrade { next: None, tries: 0, left: Some(now.mono), theirs };
            }
            (None, Some(upgrade)) => upgrade.next = None,
            _ => {}
        }
    }

    /// Our NAT, or our address, is another one.
    pub(super) fn upgrade_all(&mut self, now: Now) {
        for upgrade in self.upgrades.0.values_mut() {
            upgrade.sooner(now.mono);
        }
        self.tell_guesses(guessing::Input::NatChanged, now);
    }

    /// A peer says something new of itself: perhaps its NAT, or where it is, is
    /// another one.
    pub(super) fn upgrade_soon(&mut self, peer: PeerId, now: Now) {
        let theirs = self.peers(now).place_of(&peer);
        let addresses = theirs.1.clone();
        if let Some(upgrade) = self.upgrades.0.get_mut(&peer)
            && upgrade.theirs != theirs
        {
            upgrade.theirs = theirs;
            upgrade.sooner(now.mono + AFTER_THEIRS);
            self.tell_guesses(guessing::Input::Path(peer), now);
            // What runs already need not end first.
            for id in self.attempts.ids_towards(&peer) {
                self.with_ladder(id, now, |ladder, out| ladder.on_addresses(&addresses, now, out));
            }
        }
    }

    /// What set out before the NATs were known, or were others, ends where measurement
    /// says now that it cannot succeed.
    pub(super) fn drop_hopeless_punches(&mut self, now: Now) {
        let live: Vec<_> = self.attempts.live().filter_map(|l| Some((l.id(), l.peer()?))).collect();
        for (id, peer) in live {
            let terrain = self.targets(now).terrain(&peer);
            if terrain.is_hopeless() {
                self.with_ladder(id, now, |ladder, out| ladder.on_unpunchable(terrain, now, out));
            }
        }
    }

    pub(super) fn upgrades_timeout(&mut self, now: Now) {
        let due = |u: &Upgrade| u.next.is_some_and(|at| at <= now.mono);
        let peers: Vec<PeerId> = self.upgrades.0.iter().filter(|(_, u)| due(u)).map(|(p, _)| *p).collect();
        for peer in peers {
            let wait = self.try_upgrade(peer, now);
            if let Some(upgrade) = self.upgrades.0.get_mut(&peer) {
                upgrade.next = Some(now.mono + wait.unwrap_or(BACKOFF[upgrade.tries.min(BACKOFF.len() - 1)]));
            }
        }
        // What says nothing any more.
        let calm = |u: &Upgrade| u.next.is_none() && u.left.is_none_or(|at| now.mono.since(at) >= CALM);
        self.upgrades.0.retain(|_, u| !calm(u));
    }

    /// Starts a try; how long to wait instead, if this is not the moment.
    fn try_upgrade(&mut self, peer: PeerId, now: Now) -> Option<Duration> {
        let upgrade = self.upgrades.0.get_mut(&peer)?;
        let running = self.attempts.towards(&peer).map(|l| (l.id(), l.cause()));
        match running {
            // It set out with what was known of the NATs before.
            Some((id, Cause::Upgrade)) if upgrade.tries == 0 => {
                self.with_ladder(id, now, |ladder, out| ladder.abandon(&Reason::NatChanged, now, out));
            }
            Some((id, _)) => {
                let terrain = self.targets(now).terrain(&peer);
                if terrain.is_hopeless() {
                    self.with_ladder(id, now, |ladder, out| ladder.on_unpunchable(terrain, now, out));
                }
                return Some(BUSY);
            }
            None => {}
        }
        let upgrade = self.upgrades.0.get_mut(&peer)?;
        upgrade.tries += 1;
        if !self.targets(now).is_hopeless(&peer) {
            let target = self.targets(now).of(peer)?;
            self.start_attempt(Start { target, cause: Cause::Upgrade, plan: Plan::UPGRADE }, now);
        }
        None
    }
}

impl Upgrade {
    fn sooner(&mut self, at: Mono) {
        let at = self.left.map_or(at, |left| at.max(left + CALM));
        self.tries = 0;
        self.next = self.next.map(|next| next.min(at));
    }
}
