//! Streams of the simulated network: what is written arrives in order, later where
//! packets jitter or are lost, and not before there is a way again.

use std::time::Duration;

use rand::RngExt;

use super::{Delivery, Net};
use crate::core::Mono;
use crate::core::link::ConnId;

/// One direction of a connection.
#[derive(Debug, Default)]
pub(super) struct Wire {
    /// When the last of it arrives.
    last: Mono,
    /// What found no way, and is sent again until it does.
    stuck: Vec<Vec<u8>>,
    /// Bytes written to it.
    written: u64,
}

impl Net {
    /// A node writes to the stream of a connection.
    pub(super) fn write(&mut self, from: usize, conn: ConnId, bytes: Vec<u8>) {
        let carries = self.carries(conn);
        let Some(c) = self.conns.get_mut(&conn.0) else { return };
        let end = usize::from(c.ends[1] == from);
        c.wires[end].written += bytes.len() as u64;
        c.wires[end].stuck.push(bytes);
        if carries {
            self.flush(conn, end);
        }
    }

    /// Sends what found no way before, where there is one now.
    pub(super) fn send_again(&mut self) {
        let conns: Vec<ConnId> = self.conns.keys().map(|conn| ConnId(*conn)).collect();
        for conn in conns {
            if self.carries(conn) {
                self.flush(conn, 0);
                self.flush(conn, 1);
            }
        }
    }

    fn flush(&mut self, conn: ConnId, end: usize) {
        let Some(c) = self.conns.get_mut(&conn.0) else { return };
        let (from, to) = (c.ends[end], c.ends[1 - end]);
        let stuck = std::mem::take(&mut c.wires[end].stuck);
        for bytes in stuck {
            let takes = self.latency + self.nodes[from].away + self.nodes[to].away + self.luck();
            let Some(wire) = self.conns.get_mut(&conn.0).map(|c| &mut c.wires[end]) else { return };
            // One stream: what was sent later waits for what is sent again.
            let at = (self.now.mono + takes).max(wire.last);
            wire.last = at;
            self.post(at.since(self.now.mono), Delivery::Bytes { conn: conn.0, to, bytes });
        }
    }

    /// How much longer something takes: jitter, and what QUIC waits before it sends
    /// again what was lost, twice as long each time, by two packets each time.
    fn luck(&mut self) -> Duration {
        let mut more = Duration::ZERO;
        if !self.jitter.is_zero() {
            more += self.jitter.mul_f64(self.rng.random_range(0.0..1.0));
        }
        let mut again = self.latency * 3 + Duration::from_millis(25);
        let rough = self.rough;
        let mut is_lost = || rough > 0 && self.rng.random_range(0..100) < rough;
        let mut lost = is_lost();
        while lost {
            more += again;
            again *= 2;
            lost = is_lost() && is_lost();
        }
        more
    }

    /// Bytes that were written to connections of links between two nodes.
    pub(in crate::core) fn written(&self, a: usize, b: usize) -> u64 {
        let between = |c: &&super::Conn| c.ends == [a, b] || c.ends == [b, a];
        self.conns.values().filter(between).map(|c| c.wires[0].written + c.wires[1].written).sum()
    }
}
