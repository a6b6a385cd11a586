//! What the runs of one family share: sockets, ports, budgets and chance.

use std::collections::VecDeque;
use std::net::SocketAddr;

use rand::RngExt;
use rand::rngs::StdRng;

use super::budget::Budgets;
use super::datagram::Bytes;
use super::{Family, NatAction, Nonce, SocketId};

/// Recently used local ports that are not used again: a NAT may still remember
/// whom they contacted.
const PORTS_REMEMBERED: usize = 512;

/// What runs share.
#[derive(Debug)]
pub(super) struct Tools {
    pub(super) family: Family,
    pub(super) rng: StdRng,
    pub(super) budgets: Budgets,
    pub(super) next_socket: u64,
    pub(super) used_ports: VecDeque<u16>,
    pub(super) out: VecDeque<NatAction>,
}

impl Tools {
    pub(super) fn nonce(&mut self) -> Nonce {
        self.rng.random()
    }

    /// From 0 to 1.
    pub(super) fn chance(&mut self) -> f64 {
        self.rng.random()
    }

    pub(super) fn open(&mut self, towards: SocketAddr) -> SocketId {
        let socket = SocketId(self.next_socket);
        // Both families draw from one row of numbers, each every other one.
        self.next_socket += 2;
        self.out.push_back(NatAction::Open { socket, family: self.family, towards });
        socket
    }

    pub(super) fn close(&mut self, socket: SocketId) {
        self.out.push_back(NatAction::Close(socket));
    }

    /// Whether a port was used lately; it is from now on.
    pub(super) fn is_used(&mut self, port: u16) -> bool {
        let used = self.used_ports.contains(&port);
        self.used_ports.push_back(port);
        if self.used_ports.len() > PORTS_REMEMBERED {
            self.used_ports.pop_front();
        }
        used
    }

    pub(super) fn send(&mut self, socket: SocketId, to: SocketAddr, bytes: Bytes) {
        self.out.push_back(NatAction::Send { socket, to, bytes });
    }
}
