//! NATs of the simulated network.

use std::net::SocketAddr;

use super::{Kind, Net, Ports, Router, id, kind};
use crate::core::engine::Input;
use crate::core::link::ConnId;
use crate::model::{NatType, NatView, PortOrder, Reason};

/// The router of a node whose NAT is of that type: a symmetric one hands out any ports,
/// the others leave a port what it is.
fn kind_of(nat: NatType) -> Kind {
    Kind { preserve: nat != NatType::Symmetric, ..kind(nat) }
}

/// What lies in front of a node that listens at that port.
pub(super) fn router(nat: NatType, port: u16) -> Router {
    let mut router = Router::new(kind_of(nat), Ports::Random);
    forward(&mut router, nat, port);
    router
}

/// A full cone lets everybody in before anything went out.
fn forward(router: &mut Router, nat: NatType, port: u16) {
    if nat == NatType::FullCone {
        router.forward(port);
    }
}

impl Net {
    /// Nobody probes here: what a node is to believe of its NAT.
    pub(in crate::core) fn believes(&mut self, n: usize, nat_type: NatType) {
        let view = match nat_type {
            NatType::Unknown => NatView::unknown(Reason::NoVantagePoints),
            nat_type => NatView { nat_type, measured: Some(self.now.stamp), ..NatView::default() },
        };
        self.nodes[n].engine.set_nat_for_test(view, self.now);
        self.carry_out(n);
    }

    /// A node's router is another one, with no memory of what was sent; the node
    /// measures that, and others see its packets come from elsewhere.
    pub(in crate::core) fn set_nat(&mut self, n: usize, nat: NatType) {
        self.reroute(n, nat);
        let own = |(conn, c): (&u64, &super::Conn)| {
            let at = c.ends.iter().position(|end| *end == n).filter(|_| c.via.is_none())?;
            Some((*conn, c.ends[1 - at]))
        };
        let conns: Vec<(u64, usize)> = self.conns.iter().filter_map(own).collect();
        for (conn, other) in conns {
            let there = self.nodes[other].addr;
            let remote = self.sends_to(n, there);
            self.input(other, Input::ConnRemote { peer: id(n), conn: ConnId(conn), remote });
        }
        self.believes(n, nat);
    }

    /// From now on a node's datagrams go through such a router; nobody is told, and
    /// connections that stand go on.
    pub(in crate::core) fn reroute(&mut self, n: usize, nat: NatType) {
        let node = &mut self.nodes[n];
        node.nat = nat;
        node.router.replace(kind_of(nat));
        forward(&mut node.router, nat, node.addr.port());
    }

    /// A node sends to a destination from its own port: where that sees it.
    pub(super) fn sends_to(&mut self, n: usize, to: SocketAddr) -> SocketAddr {
        let port = self.nodes[n].addr.port();
        self.sends_from(n, port, to)
    }

    /// The same from any port.
    pub(super) fn sends_from(&mut self, n: usize, local: u16, to: SocketAddr) -> SocketAddr {
        let node = &mut self.nodes[n];
        let port = node.router.out(local, to, self.now.mono, &mut self.rng);
        SocketAddr::new(node.addr.ip(), port)
    }

    /// A symmetric router hands out its ports in such steps, beginning there; the
    /// node measures that.
    pub(in crate::core) fn port_steps(&mut self, n: usize, step: i16, first: u16) {
        self.nodes[n].router.ports = Ports::Steps { step, last: first };
        self.measure_ports(n);
    }

    /// The node looks where its router's ports are now.
    pub(in crate::core) fn measure_ports(&mut self, n: usize) {
        let Ports::Steps { step, last } = self.nodes[n].router.ports else { return };
        let ports = Some(PortOrder::Steps { step, last });
        let view = NatView {
            nat_type: NatType::Symmetric,
            ports,
            measured: Some(self.now.stamp),
            ..NatView::default()
        };
        self.nodes[n].engine.set_nat_for_test(view, self.now);
        self.carry_out(n);
    }

    /// The port inside to which a packet gets through that comes for one of a router's
    /// ports.
    pub(super) fn gets_to(&self, n: usize, port: u16, from: SocketAddr) -> Option<u16> {
        let node = &self.nodes[n];
        if self.punches_fail && !matches!(node.nat, NatType::None | NatType::FullCone) {
            return None;
        }
        node.router.inward(port, from)
    }

    /// Whether a packet gets through to the port at which a node listens.
    pub(super) fn lets_in(&self, n: usize, port: u16, from: SocketAddr) -> bool {
        self.gets_to(n, port, from) == Some(self.nodes[n].addr.port())
    }
}
