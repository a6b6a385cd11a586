//! What the runs of one family share: sockets, ports, budgets and chance.

use std::collections::VecDeque;
use std::net::SocketAddr;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::budget::Budgets;
use super::datagram::Bytes;
use super::{Family, NatAction, Nonce, SocketId};

/// Recently used local ports that are not used again: a NAT may still remember
/// whom they contacted.
const PORTS_REMEMBERED: usize = 512;

/// What runs share, and keep from one to the next.
#[derive(Debug)]
pub(super) struct Kit {
    family: Family,
    rng: StdRng,
    budgets: Budgets,
    next_socket: u64,
    used_ports: VecDeque<u16>,
}

impl Kit {
    pub(super) fn new(family: Family, seed: u64) -> Self {
        Self {
            family,
            rng: StdRng::seed_from_u64(seed),
            budgets: Budgets::default(),
            next_socket: if family == Family::V4 { 2 } else { 3 },
            used_ports: VecDeque::new(),
        }
    }

    /// With the list for what is wanted.
    pub(super) fn with<'a>(&'a mut self, out: &'a mut Vec<NatAction>) -> Tools<'a> {
        Tools { kit: self, out }
    }
}

/// What a run works with.
#[derive(Debug)]
pub(super) struct Tools<'a> {
    kit: &'a mut Kit,
    pub(super) out: &'a mut Vec<NatAction>,
}

impl Tools<'_> {
    pub(super) fn nonce(&mut self) -> Nonce {
        self.kit.rng.random()
    }

    /// From 0 to 1.
    pub(super) fn chance(&mut self) -> f64 {
        self.kit.rng.random()
    }

    pub(super) fn budgets(&mut self) -> &mut Budgets {
        &mut self.kit.budgets
    }

    pub(super) fn open(&mut self, towards: SocketAddr) -> SocketId {
        let socket = SocketId(self.kit.next_socket);
        // Both families draw from one row of numbers, each every other one.
        self.kit.next_socket += 2;
        self.out.push(NatAction::Open { socket, family: self.kit.family, towards });
        socket
    }

    pub(super) fn close(&mut self, socket: SocketId) {
        self.out.push(NatAction::Close(socket));
    }

    /// Whether a port was used lately; it is from now on.
    pub(super) fn is_used(&mut self, port: u16) -> bool {
        let ports = &mut self.kit.used_ports;
        let used = ports.contains(&port);
        ports.push_back(port);
        if ports.len() > PORTS_REMEMBERED {
            ports.pop_front();
        }
        used
    }

    pub(super) fn send(&mut self, socket: SocketId, to: SocketAddr, bytes: Bytes) {
        self.out.push(NatAction::Send { socket, to, bytes });
    }
}
