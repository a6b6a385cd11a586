//! Relays of the simulated network.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use super::{Delivery, Net, id};
use crate::core::Mono;
use crate::core::engine::Input;
use crate::core::ladder::DialId;
use crate::core::link::ConnId;
use crate::core::serving::{Ask, Refusal, ServeId, Traffic};
use crate::model::{PeerId, Reason, ServedEnd};

/// Ports that relays give away begin here.
const RELAY_PORTS: u16 = 40_000;

/// What stands and what is promised.
#[derive(Debug, Default)]
pub(super) struct Relayed {
    /// By relay and owner.
    reservations: BTreeSet<(usize, usize)>,
    /// What relays were asked for and have not ended: by which node.
    asked: BTreeMap<(usize, ServeId), usize>,
    next_ask: u64,
    /// Lanes that were dialled and are not used: to whom, over which relay.
    warm: BTreeMap<(usize, DialId), (usize, usize)>,
    /// Relays that take everything and pass nothing on.
    liars: BTreeSet<usize>,
}

impl Net {
    pub(super) fn at_ip(&self, addr: SocketAddr) -> Option<usize> {
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
        let Some(at) = at.filter(|at| self.linked(n, *at) && self.passes(n, *at)) else {
            let input = Input::ReserveFailed { relay, reason: Reason::NotLinked };
            return self.post(self.latency * 2, Delivery::Input { to: n, input });
        };
        let conn = self.native(n, at).unwrap();
        self.ask_relay(n, at, conn);
    }

    /// The connection without a relay in between that carries the link of two
    /// nodes, or else any.
    fn native(&self, n: usize, at: usize) -> Option<ConnId> {
        let between = |c: &super::Conn| c.via.is_none() && (c.ends == [n, at] || c.ends == [at, n]);
        let all = self.conns.iter().filter(|(_, c)| between(c)).map(|(conn, _)| ConnId(*conn));
        let used = self.nodes[at].engine.links().get(&id(n)).and_then(|link| link.in_use()).map(|i| i.id);
        all.max_by_key(|conn| (Some(*conn) == used, conn.0))
    }

    /// A node asks another one for a reservation, over that connection.
    pub(in crate::core) fn ask_relay(&mut self, n: usize, at: usize, conn: ConnId) -> ServeId {
        self.relayed.next_ask += 1;
        let ask = ServeId(self.relayed.next_ask);
        self.relayed.asked.insert((at, ask), n);
        let input = Input::RelayAsked(Ask { id: ask, peer: id(n), conn, bind: true });
        self.post(self.latency, Delivery::Input { to: at, input });
        ask
    }

    /// A relay grants what it was asked for.
    pub(super) fn serve(&mut self, at: usize, ask: ServeId) {
        let Some(n) = self.relayed.asked.get(&(at, ask)).copied() else { return };
        self.relayed.reservations.insert((at, n));
        let port = RELAY_PORTS + u16::try_from(n).unwrap();
        let public_addr = SocketAddr::new(self.nodes[at].addr.ip(), port);
        self.input(at, Input::RelayStarted { id: ask, public_addr });
        let input = Input::Reserved { relay: id(at), public_addr };
        self.post(self.latency, Delivery::Input { to: n, input });
    }

    pub(super) fn refuse_relay(&mut self, at: usize, ask: ServeId, why: Refusal) {
        let Some(n) = self.relayed.asked.remove(&(at, ask)) else { return };
        let reason = Reason::RelayRefused { status: why.status() };
        self.post(
            self.latency,
            Delivery::Input { to: n, input: Input::ReserveFailed { relay: id(at), reason } },
        );
    }

    /// A relay ends what it served.
    pub(super) fn end_relay(&mut self, at: usize, ask: ServeId, why: ServedEnd) {
        let Some(n) = self.relayed.asked.remove(&(at, ask)) else { return };
        self.input(at, Input::RelayEnded { id: ask, why, traffic: Traffic::default() });
        // A newer one of the same owner stands in its place.
        if !self.relayed.asked.iter().any(|((relay, _), owner)| (*relay, *owner) == (at, n)) {
            self.relayed.reservations.remove(&(at, n));
            if self.passes(at, n) {
                let input = Input::ReservationLost { relay: id(at), reason: Reason::RelayLost };
                self.post(self.latency, Delivery::Input { to: n, input });
            }
        }
    }

    /// From now on a relay takes everything and passes nothing on.
    pub(in crate::core) fn lies(&mut self, relay: usize) {
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
        let given_back = |((relay, ask), owner): (&(usize, ServeId), &usize)| {
            ((*relay, *owner) == (at, n)).then_some(*ask)
        };
        let asks: Vec<ServeId> = self.relayed.asked.iter().filter_map(given_back).collect();
        for ask in asks {
            self.relayed.asked.remove(&(at, ask));
            let (why, traffic) = (ServedEnd::ClosedByPeer, Traffic::default());
            let input = Input::RelayEnded { id: ask, why, traffic };
            self.post(self.latency, Delivery::Input { to: at, input });
        }
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
