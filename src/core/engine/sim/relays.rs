//! Relays of the simulated network.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use super::{Delivery, Net, id};
use crate::core::Mono;
use crate::core::engine::Input;
use crate::core::ladder::DialId;
use crate::core::link::ConnId;
use crate::model::{PeerId, Reason};

/// Ports that relays give away begin here.
const RELAY_PORTS: u16 = 40_000;

/// What stands and what is promised.
#[derive(Debug, Default)]
pub(super) struct Relayed {
    /// By relay and owner.
    reservations: BTreeSet<(usize, usize)>,
    /// Lanes that were dialled and are not used: to whom, over which relay.
    warm: BTreeMap<(usize, DialId), (usize, usize)>,
    /// Relays that take everything and pass nothing on.
    liars: BTreeSet<usize>,
}

impl Net {
    fn at_ip(&self, addr: SocketAddr) -> Option<usize> {
        self.nodes.iter().position(|n| n.addr.ip() == addr.ip())
    }

    fn dial_fails(&mut self, from: usize, dial: DialId, until: Mono) {
        let wait = until.since(self.now.mono);
        let input = Input::DialFailed { dial, reason: Reason::NoAnswer { addresses: 1 } };
        self.post(wait, Delivery::Input { to: from, input });
    }

    /// Whether a connection that is no lane stands between two nodes.
    fn linked(&self, a: usize, b: usize) -> bool {
        self.conns.values().any(|c| c.via.is_none() && (c.ends == [a, b] || c.ends == [b, a]))
    }

    pub(super) fn reserve(&mut self, n: usize, relay: PeerId) {
        let at = self.nodes.iter().position(|node| node.id == relay);
        let input = match at.filter(|at| self.linked(n, *at) && self.passes(n, *at)) {
            Some(at) => {
                self.relayed.reservations.insert((at, n));
                let port = RELAY_PORTS + u16::try_from(n).unwrap();
                let public_addr = SocketAddr::new(self.nodes[at].addr.ip(), port);
                Input::Reserved { relay, public_addr }
            }
            None => Input::ReserveFailed { relay, reason: Reason::NotLinked },
        };
        self.post(self.latency * 2, Delivery::Input { to: n, input });
    }

    /// From now on a relay takes everything and passes nothing on.
    pub(in crate::core::engine) fn lies(&mut self, relay: usize) {
        self.relayed.liars.insert(relay);
    }

    /// A node dials itself through its reservation.
    pub(super) fn try_reservation(&mut self, n: usize, relay: PeerId) {
        let Some(at) = self.nodes.iter().position(|node| node.id == relay) else { return };
        if !self.relays(at, n, n) {
            let input = Input::ReservationLost { relay, reason: Reason::RelayLost };
            self.post(Duration::from_secs(5), Delivery::Input { to: n, input });
        }
    }

    /// Whether a relay passes on what one node sends to another.
    fn relays(&self, relay: usize, a: usize, b: usize) -> bool {
        !self.relayed.liars.contains(&relay) && self.passes(a, relay) && self.passes(relay, b)
    }

    pub(super) fn release(&mut self, n: usize, relay: PeerId) {
        let nodes = &self.nodes;
        self.relayed.reservations.retain(|(at, owner)| *owner != n || nodes[*at].id != relay);
        let Some(at) = self.nodes.iter().position(|node| node.id == relay) else { return };
        let over = |c: &super::Conn| c.via == Some(at) && c.ends[1] == n;
        let lanes: Vec<u64> = self.conns.iter().filter(|(_, c)| over(c)).map(|(id, _)| *id).collect();
        for conn in lanes {
            let code = crate::model::CloseCode::Replaced;
            self.post(Duration::ZERO, Delivery::Close { conn, by: n, code });
        }
    }

    pub(super) fn dial_lane(&mut self, from: usize, dial: DialId, addr: SocketAddr, until: Mono) {
        let owner = addr.port().checked_sub(RELAY_PORTS).map(usize::from);
        let path = self.at_ip(addr).zip(owner).filter(|path| self.relayed.reservations.contains(path));
        let Some((relay, owner)) = path else { return self.dial_fails(from, dial, until) };
        if !self.relays(relay, from, owner) || self.is_lost() {
            return self.dial_fails(from, dial, until);
        }
        self.relayed.warm.insert((from, dial), (owner, relay));
        let input = Input::Dialled { dial, peer: id(owner) };
        self.post(self.latency * 4, Delivery::Input { to: from, input });
    }

    pub(super) fn use_lane(&mut self, from: usize, dial: DialId) {
        let (now, gone) = (self.now.mono, Duration::from_secs(5));
        let Some((owner, relay)) = self.relayed.warm.remove(&(from, dial)) else {
            return self.dial_fails(from, dial, now);
        };
        if !self.relays(relay, from, owner) {
            return self.dial_fails(from, dial, now + gone);
        }
        self.post(self.latency * 4, Delivery::Lane { from, to: owner, relay });
    }

    pub(super) fn cancel_lane(&mut self, from: usize, dial: DialId) {
        self.relayed.warm.remove(&(from, dial));
    }

    /// Whether something passes between the ends of a connection.
    pub(super) fn carries(&self, conn: ConnId) -> bool {
        self.conns.get(&conn.0).is_some_and(|c| match c.via {
            Some(relay) => self.relays(relay, c.ends[0], c.ends[1]),
            None => self.passes(c.ends[0], c.ends[1]),
        })
    }
}
