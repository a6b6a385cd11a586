//! Tests of the paths to the relayed peer of the busy fleet.

use std::sync::Arc;

use super::{NOW, ago, busy, id};
use crate::model::{
    Interval, Path, PathTest, PeerId, PeerRow, Reason, Snapshot, TestCount, TestPhase, TestRate, TestRtt,
    Tested, TestedPath,
};

/// To whom.
fn peer() -> PeerId {
    id([0x77, 0xc2, 0xab])
}

fn relay() -> PeerId {
    id([0x1b, 0x88, 0xf0])
}

/// One that ended: over the relay, and over a direct path beside it.
pub fn path_test() -> PathTest {
    let rtt = |min, p50, p95| Some(TestRtt { min, p50, p95 });
    let count = |lost| TestCount { sent: 150, lost, reordered: 0 };
    let over = |path| TestedPath {
        phase: TestPhase::Over,
        progress: 1.0,
        up: count(2),
        down: count(1),
        loss_interval: Some(Interval { lo: 0.003, hi: 0.029 }),
        ..path
    };
    let relayed = TestedPath {
        rtt: rtt(94.2, 96.0, 101.4),
        jitter_ms: Some(1.3),
        rate_up: Some(TestRate { mbit: 1.53, at_least: true }),
        rate_down: Some(TestRate { mbit: 1.5, at_least: true }),
        mtu: Some(1408),
        ..over(TestedPath::waiting(Path::Relayed, Some(relay()), true))
    };
    let direct = TestedPath {
        rtt: rtt(12.1, 12.4, 14.0),
        jitter_ms: Some(0.6),
        rate_up: Some(TestRate { mbit: 19.2, at_least: false }),
        rate_down: Some(TestRate { mbit: 18.6, at_least: false }),
        mtu: Some(1452),
        ..over(TestedPath::waiting(Path::Direct, None, false))
    };
    PathTest {
        peer_id: peer(),
        started: ago(24),
        for_ms: 5_000,
        ended: Some(ago(12)),
        paths: vec![relayed, direct],
    }
}

/// One that is in the middle of its first path.
pub fn path_test_running() -> PathTest {
    let mut test = path_test();
    let [relayed, direct] = &mut test.paths[..] else { return test };
    (relayed.phase, relayed.progress, relayed.rate_down) = (TestPhase::Up, 0.46, None);
    *direct = TestedPath::waiting(Path::Direct, None, false);
    PathTest { ended: None, started: ago(3), ..test }
}

/// One that the other end's operator does not let be.
pub fn path_test_refused() -> PathTest {
    let mut test = path_test();
    for path in &mut test.paths {
        let refused = TestedPath::waiting(path.path, path.via, path.in_use);
        *path = TestedPath { phase: TestPhase::Over, reason: Some(Reason::NoTesting), ..refused };
    }
    PathTest { started: ago(1), ended: Some(NOW), ..test }
}

/// The busy fleet with a test.
pub fn with_test(test: PathTest) -> Arc<Snapshot> {
    let mut snapshot = Snapshot::clone(&busy());
    let in_use = test.in_use().cloned();
    if let (Some(at), Some(path)) = (test.ended, in_use) {
        let tested = |row: &PeerRow| Tested {
            at,
            path: row.path.unwrap_or(path.path),
            loss: path.loss(),
            up: path.rate_up,
            down: path.rate_down,
        };
        let rows = snapshot.peers.iter().map(|row| {
            if row.peer_id == test.peer_id {
                Arc::new(PeerRow { tested: Some(Box::new(tested(row))), ..PeerRow::clone(row) })
            } else {
                Arc::clone(row)
            }
        });
        snapshot.peers = Arc::new(rows.collect());
    }
    snapshot.tests = Arc::new(vec![Arc::new(test)]);
    Arc::new(snapshot)
}
