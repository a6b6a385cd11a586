//! NAT probes of the simulated network: their sockets and datagrams, and dials from fresh
//! sockets.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::{Delivery, Net};
use crate::core::engine::{Input, ProbeEnd};
use crate::core::nat::SocketId;
use crate::core::nat::datagram::Bytes;
use crate::model::{NatType, PeerId};

/// Where nodes answer the probes of others.
pub(super) const PORTS: [u16; 2] = [9001, 9002];
/// The sockets of probes are bound from here on.
const FIRST_SOCKET: u16 = 30_000;
/// Where a host behind a router is, as it sees itself.
const INSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

impl Net {
    pub(super) fn probe_open(&mut self, n: usize, socket: SocketId) {
        self.probe_sockets = self.probe_sockets.wrapping_add(1) % 20_000;
        let (port, node) = (FIRST_SOCKET + self.probe_sockets, &mut self.nodes[n]);
        node.sockets.insert(socket, port);
        let ip = if node.router.kind().mapping.is_none() { node.addr.ip() } else { INSIDE };
        self.input(n, Input::ProbeSocket { socket, result: Ok((ip, port).into()) });
    }

    pub(super) fn probe_close(&mut self, n: usize, socket: SocketId) {
        self.nodes[n].sockets.remove(&socket);
    }

    pub(super) fn probe_send(&mut self, n: usize, from: ProbeEnd, to: SocketAddr, bytes: Bytes) {
        let node = &mut self.nodes[n];
        node.probed.push(to);
        let local = match from {
            ProbeEnd::Port(at) => Some(PORTS[at]),
            ProbeEnd::Socket(socket) => node.sockets.get(&socket).copied(),
        };
        let Some(local) = local else { return };
        let from = self.sends_from(n, local, to);
        if !self.is_lost() {
            let bytes = Box::new(bytes);
            self.post(self.latency, Delivery::Probe { from, to, bytes });
        }
    }

    pub(super) fn probe_arrives(&mut self, from: SocketAddr, to: SocketAddr, bytes: Box<Bytes>) {
        let (Some(sender), Some(n)) = (self.at_ip(from), self.at_ip(to)) else { return };
        let comes_back = sender != n || self.nodes[n].router.kind().hairpin;
        let Some(local) = self.gets_to(n, to.port(), from) else { return };
        let node = &self.nodes[n];
        let socket = || node.sockets.iter().find(|(_, port)| **port == local).map(|(socket, _)| *socket);
        let at = match PORTS.iter().position(|port| *port == local) {
            Some(at) => Some(ProbeEnd::Port(at)),
            None => socket().map(ProbeEnd::Socket),
        };
        if let Some(at) = at.filter(|_| comes_back && self.passes(sender, n)) {
            self.input(n, Input::ProbeDatagram { at, from, bytes });
        }
    }

    /// A node dials another one from a fresh socket, which is a stranger to every router.
    pub(super) fn reach(&mut self, n: usize, peer: PeerId, addr: SocketAddr) {
        self.nodes[n].reached.push((self.now.mono, peer));
        let there = self.nodes.iter().position(|node| node.id == peer && node.addr == addr);
        let reached = there.is_some_and(|there| {
            self.passes(n, there) && matches!(self.nodes[there].nat, NatType::None | NatType::FullCone)
        });
        if self.answers_reach {
            let input = Input::Reached { peer, addr, reached };
            self.post(self.latency * 2, Delivery::Input { to: n, input });
        }
    }
}
