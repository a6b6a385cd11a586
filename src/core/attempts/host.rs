//! What the host does to attempts: its routes come and go, its addresses change.

use super::{Attempts, View};
use crate::core::dialer::Start;
use crate::core::ladder::{Ladder, Plan};
use crate::core::outbox::{Outbox, Wanted};
use crate::model::{Cause, PeerId, Reason};

impl Attempts {
    /// The host lets us send elsewhere than before: what leads nowhere now is called off.
    /// What becomes of it says nothing of the peer, which is dialled when there is a way.
    pub(super) fn on_ways(&mut self, view: View<'_>, out: &mut Outbox) {
        let addresses = |ladder: &Ladder| match ladder.peer() {
            Some(peer) => view.targets.peers.addresses_of(&peer).unwrap_or_default(),
            None => ladder.address().into_iter().collect(),
        };
        let open = self.live().filter(|ladder| ladder.outcome().is_none());
        let cut_off: Vec<_> = open
            .filter_map(|ladder| Some((ladder.id(), ladder.peer(), view.ways.to(&addresses(ladder)).err()?)))
            .collect();
        for (id, peer, why) in cut_off {
            self.abandon(id, &Reason::NoWay { why }, view, out);
            if let Some(peer) = peer {
                out.want(Wanted::Learned(peer, Cause::Reconnect));
            }
        }
    }

    /// The host sends from other addresses: it changed networks, or a tunnel came or
    /// went. Connections that we dialled follow by themselves. Those that came in do not,
    /// for their other end sends to where we were: we dial.
    pub(super) fn on_host_moved(&mut self, view: View<'_>, out: &mut Outbox) {
        let links = view.targets.peers.links;
        let came_in: Vec<PeerId> = links
            .iter()
            .filter(|(_, link)| link.in_use().is_some_and(|info| !info.outbound && info.path.is_straight()))
            .map(|(peer, _)| *peer)
            .collect();
        for peer in came_in {
            if self.towards(&peer).is_none()
                && let Some(target) = view.targets.of(peer)
            {
                let start = Start { target, cause: Cause::Upgrade, plan: Plan::UPGRADE };
                self.start(out.fresh_attempt(), start, view, out);
            }
        }
    }
}
