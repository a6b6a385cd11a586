//! What the host does to us: its addresses change under us, its system does not
//! send.

use std::net::IpAddr;

use super::Engine;
use crate::core::Now;
use crate::core::dialer::Start;
use crate::core::gossip::rules::is_public;
use crate::core::ladder::Plan;
use crate::model::{Cause, EventKind, Path, PeerId, SendTrouble};

impl Engine {
    /// The host sends from other addresses: it changed networks, or a tunnel
    /// came or went. Connections that we dialled follow by themselves. Those that
    /// came in do not, for their other end sends to where we were: we dial.
    pub(super) fn on_host_addresses(&mut self, own: Vec<IpAddr>, now: Now) {
        if own == self.config.own {
            return;
        }
        let before = std::mem::replace(&mut self.config.own, own.clone());
        self.inside.retain(|ip| !before.contains(ip) || own.contains(ip));
        self.inside.extend(own.iter().filter(|ip| ip.is_ipv6() && is_public(**ip)));
        let leads = !own.is_empty();
        self.event(None, EventKind::AddressesChanged { addresses: own }, now);
        self.republish(now);
        if leads {
            self.nat_moved(now);
            self.upgrade_all(now);
            for peer in self.came_in() {
                self.dial_again(peer, now);
            }
        }
    }

    /// Linked peers that dialled us, over no relay.
    fn came_in(&self) -> Vec<PeerId> {
        let came = self.links.iter().filter(|(_, link)| {
            link.in_use().is_some_and(|info| !info.outbound && info.path != Path::Relayed)
        });
        came.map(|(peer, _)| *peer).collect()
    }

    fn dial_again(&mut self, peer: PeerId, now: Now) {
        if self.attempts.towards(&peer).is_none()
            && let Some(target) = self.target_of(peer, now)
        {
            self.start_attempt(Start { target, cause: Cause::Upgrade, plan: Plan::UPGRADE }, now);
        }
    }

    pub(super) fn on_sends_refused(&mut self, why: SendTrouble, count: u64, now: Now) {
        *self.stopped.entry("datagrams that the system did not send").or_default() += count;
        self.event(None, EventKind::SendsRefused { why, count }, now);
    }
}
