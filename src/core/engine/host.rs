//! What the host does to us: its addresses change under us, its routes come and go,
//! its system does not send.

use std::net::{IpAddr, SocketAddr};

use super::Engine;
use crate::core::Now;
use crate::core::dialer::Start;
use crate::core::host::Ways;
use crate::core::ladder::Plan;
use crate::core::{attempts, nat};
use crate::model::{AttemptId, Cause, DropReason, EventKind, PeerId, Reason, SendTrouble};

/// Addresses of which we want to know whether a route leads there, where none leads to
/// the world.
const ASKED_MAX: usize = 32;

impl Engine {
    /// Whom we would dial next: where no route leads to the world, one may lead there.
    pub fn wanted(&self, now: Now) -> Vec<SocketAddr> {
        let best = self.book.best_first(now.stamp).into_iter().take(ASKED_MAX);
        let known = best.filter_map(|peer| self.book.get(peer)).flat_map(crate::core::book::Entry::addresses);
        self.config.bootstrap.iter().copied().chain(known).take(ASKED_MAX).collect()
    }

    /// Whether the host keeps us from everybody whom we know.
    pub fn is_cut_off(&self) -> bool {
        self.dialer.is_cut_off()
    }

    /// Where the host lets us send is another than before.
    pub(super) fn on_ways(&mut self, ways: Ways, now: Now) {
        let before = std::mem::replace(&mut self.config.ways, ways);
        for (id, why) in self.cut_off(now) {
            let peer =
                self.attempts.live().find(|l| l.id() == id).and_then(crate::core::ladder::Ladder::peer);
            self.tell_attempts(attempts::Input::Abandon(id, Reason::NoWay { why }), now);
            if let Some(peer) = peer {
                self.dialer.on_learned(peer, Cause::Reconnect, now.mono);
            }
        }
        if self.config.ways.opens(&before) {
            self.dialer.reset_waits(now.mono);
            self.upgrades_sooner(now);
        }
    }

    /// Attempts that lead nowhere now, and nobody helps either: what becomes of them
    /// says nothing of whom they are towards.
    fn cut_off(&self, now: Now) -> Vec<(AttemptId, SendTrouble)> {
        let addresses = |ladder: &crate::core::ladder::Ladder| match ladder.peer() {
            Some(peer) => self.peers(now).addresses_of(&peer).unwrap_or_default(),
            None => ladder.address().into_iter().collect(),
        };
        let open = |ladder: &&crate::core::ladder::Ladder| ladder.outcome().is_none();
        let live = self.attempts.live().filter(open);
        live.filter_map(|ladder| Some((ladder.id(), self.config.ways.to(&addresses(ladder)).err()?)))
            .collect()
    }

    /// The host sends from other addresses: it changed networks, or a tunnel
    /// came or went. Connections that we dialled follow by themselves. Those that
    /// came in do not, for their other end sends to where we were: we dial.
    pub(super) fn on_host_addresses(&mut self, own: Vec<IpAddr>, now: Now) {
        if own == self.nat.host_addresses() {
            return;
        }
        self.tell_nat(nat::Input::HostAddresses(own.clone()), now);
        let leads = !own.is_empty();
        self.outbox.event(None, EventKind::AddressesChanged { addresses: own }, now);
        self.republish(now);
        if leads {
            self.dialer.reset_waits(now.mono);
            self.upgrades_sooner(now);
            for peer in self.came_in() {
                self.dial_again(peer, now);
            }
        }
    }

    /// Linked peers that dialled us, over no relay.
    fn came_in(&self) -> Vec<PeerId> {
        let came = self
            .links
            .iter()
            .filter(|(_, link)| link.in_use().is_some_and(|info| !info.outbound && info.path.is_straight()));
        came.map(|(peer, _)| *peer).collect()
    }

    fn dial_again(&mut self, peer: PeerId, now: Now) {
        if self.attempts.towards(&peer).is_none()
            && let Some(target) = self.targets(now).of(peer)
        {
            self.start_attempt(Start { target, cause: Cause::Upgrade, plan: Plan::UPGRADE }, now);
        }
    }

    pub(super) fn on_sends_refused(&mut self, why: SendTrouble, count: u64, now: Now) {
        self.outbox.stopped_often(DropReason::NotSentBySystem, count);
        self.outbox.event(None, EventKind::SendsRefused { why, count }, now);
    }
}
