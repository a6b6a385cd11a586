//! Tests of paths: datagrams and load on a connection, which is wide enough for both.

use std::collections::BTreeMap;

use super::{Delivery, Input, Net};
use crate::core::engine::TestAction;
use crate::core::link::ConnId;
use crate::core::pathtest::RunId;

/// The runs of all nodes.
#[derive(Debug, Default)]
pub(super) struct Runs {
    conns: BTreeMap<(usize, RunId), ConnId>,
    read: BTreeMap<(usize, RunId), u64>,
}

impl Net {
    pub(super) fn test(&mut self, n: usize, action: TestAction) {
        let (run, bytes, load) = match action {
            TestAction::Begin { run, conn, .. } => {
                self.tests.conns.insert((n, run), conn);
                return;
            }
            TestAction::End { run } => {
                self.tests.conns.remove(&(n, run));
                return;
            }
            TestAction::Quieten { .. } => return,
            TestAction::Datagram { run, bytes } => (run, Some(bytes), 0),
            TestAction::Load { run, bytes } => (run, None, bytes),
        };
        let Some(conn) = self.tests.conns.get(&(n, run)).copied() else { return };
        let Some(ends) = self.conns.get(&conn.0).map(|c| c.ends) else { return };
        let to = ends[usize::from(ends[0] == n)];
        let input = match bytes {
            Some(bytes) => Input::TestDatagram { conn, bytes, mtu: 1_400 },
            None => {
                let total = self.tests.read.entry((to, run)).or_default();
                *total += load;
                Input::TestRead { run, total: *total }
            }
        };
        if self.passes(n, to) {
            self.post(self.latency, Delivery::Input { to, input });
        }
    }
}
