//! NATs of the simulated network.

use std::net::SocketAddr;

use rand::RngExt;

use super::{Net, id};
use crate::core::engine::Input;
use crate::core::link::ConnId;
use crate::model::{NatType, NatView, PortOrder, Reason};

impl Net {
    /// Nobody probes here: what a node is to believe of its NAT.
    pub(in crate::core::engine) fn believes(&mut self, n: usize, nat_type: NatType) {
        let view = match nat_type {
            NatType::Unknown => NatView::unknown(Reason::NoVantagePoints),
            nat_type => NatView { nat_type, measured: Some(self.now.stamp), ..NatView::default() },
        };
        self.nodes[n].engine.set_nat_for_test(view, self.now);
        self.carry_out(n);
    }

    /// A node's router is another one, with no memory of what was sent; the node
    /// measures that, and others see its packets come from elsewhere.
    pub(in crate::core::engine) fn set_nat(&mut self, n: usize, nat: NatType) {
        self.nodes[n].nat = nat;
        self.mappings.retain(|(node, _), _| *node != n);
        self.contacted.retain(|(node, ..)| *node != n);
        let own = |(conn, c): (&u64, &super::Conn)| {
            let at = c.ends.iter().position(|end| *end == n).filter(|_| c.via.is_none())?;
            Some((*conn, c.ends[1 - at]))
        };
        let conns: Vec<(u64, usize)> = self.conns.iter().filter_map(own).collect();
        for (conn, other) in conns {
            let there = self.nodes[other].addr;
            let remote = self.seen_from(n, there);
            self.contacted.insert((n, remote.port(), there));
            self.input(other, Input::ConnRemote { peer: id(n), conn: ConnId(conn), remote });
        }
        self.believes(n, nat);
    }

    /// The address that a destination sees a node at.
    pub(super) fn seen_from(&mut self, n: usize, to: SocketAddr) -> SocketAddr {
        let mut at = self.nodes[n].addr;
        if self.nodes[n].nat == NatType::Symmetric {
            let known = self.mappings.get(&(n, to)).copied();
            let port = known.unwrap_or_else(|| self.fresh_port(n));
            self.mappings.insert((n, to), port);
            at.set_port(port);
        }
        at
    }

    /// A port for a new mapping of a symmetric NAT: really random, or the next one
    /// where the router hands them out in steps.
    pub(super) fn fresh_port(&mut self, n: usize) -> u16 {
        if let Some((step, last)) = self.guessed.steps.get_mut(&n) {
            *last = last.wrapping_add_signed(*step).max(1024);
            return *last;
        }
        loop {
            let port = self.rng.random_range(1024..=u16::MAX);
            let own = self.nodes[n].addr.port() == port;
            let guessed = self.guessed.is_taken(n, port);
            if !own && !guessed && !self.mappings.iter().any(|((m, _), p)| (*m, *p) == (n, port)) {
                return port;
            }
        }
    }

    /// A symmetric router hands out its ports in such steps, beginning there; the
    /// node measures that.
    pub(in crate::core::engine) fn port_steps(&mut self, n: usize, step: i16, first: u16) {
        self.guessed.steps.insert(n, (step, first));
        self.measure_ports(n);
    }

    /// The node looks where its router's ports are now.
    pub(in crate::core::engine) fn measure_ports(&mut self, n: usize) {
        let Some((step, last)) = self.guessed.steps.get(&n).copied() else { return };
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

    /// Whether a node's router lets a packet in that comes for one of its ports.
    pub(super) fn lets_in(&self, n: usize, port: u16, from: SocketAddr) -> bool {
        let mut sent_to = self.contacted.iter().filter(|(m, p, _)| (*m, *p) == (n, port)).map(|(.., to)| to);
        if self.punches_fail && !matches!(self.nodes[n].nat, NatType::None | NatType::FullCone) {
            return false;
        }
        match self.nodes[n].nat {
            NatType::None | NatType::FullCone | NatType::Unknown => port == self.nodes[n].addr.port(),
            NatType::AddressRestricted => sent_to.any(|to| to.ip() == from.ip()),
            NatType::PortRestricted | NatType::Symmetric => sent_to.any(|to| *to == from),
        }
    }
}
