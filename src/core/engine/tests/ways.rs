//! What the host lets a node do, in virtual time.

use std::time::Duration;

use super::{LATENCY, Net, addr, fleet, id, secs};
use crate::core::engine::Input;
use crate::core::host::Ways;
use crate::model::{Command, EventKind, Phase, Reason, SendTrouble};

/// Cuts a node off from all others, and has its host say so.
fn unplug(net: &mut Net, n: usize, ways: Ways) {
    for other in (0..net.nodes.len()).filter(|other| *other != n) {
        net.cut(other, n);
    }
    net.tell(n, Input::Ways(ways));
}

fn shut() -> Ways {
    Ways { out: false, ..Ways::open() }
}

fn attempts(net: &mut Net, n: usize) -> (u64, u64) {
    let now = net.now;
    let snapshot = net.nodes[n].engine.snapshot(now);
    (snapshot.attempts.ended, snapshot.kpi.figures.attempts)
}

#[test]
fn without_a_way_nothing_is_attempted_counted_or_told_and_then_all_are_linked_at_once() {
    let mut net = fleet(6, 11);
    net.run(secs(20));
    assert_eq!(net.up_links(5), 5);
    unplug(&mut net, 5, shut());
    net.run(secs(60));
    assert_eq!(net.up_links(5), 0);
    let (before, told) = (attempts(&mut net, 5), net.nodes[5].events.len());
    net.run(secs(600));
    assert_eq!(attempts(&mut net, 5), before);
    assert_eq!(net.nodes[5].events.len(), told, "{:?}", &net.nodes[5].events[told..]);
    let now = net.now;
    let phase = net.nodes[5].engine.snapshot(now).node.phase.clone();
    assert!(matches!(phase, Phase::NoWay { why: SendTrouble::NoRoute, .. }), "{phase:?}");
    net.heal();
    net.tell(5, Input::Ways(Ways::open()));
    let back = net.run_until(secs(30), |net| net.up_links(5) == 5);
    assert!(back.is_some_and(|t| t <= Duration::from_secs(1)), "{back:?}");
}

#[test]
fn whom_the_host_bars_is_not_dialled_and_the_others_are() {
    let mut net = fleet(4, 3);
    net.run(secs(20));
    net.break_native(0, 3);
    net.cut(0, 3);
    let barred = [(addr(0).ip(), SendTrouble::Forbidden)].into();
    net.tell(3, Input::Ways(Ways { barred, ..Ways::open() }));
    let before = net.nodes[3].attempts_towards(id(0));
    net.run(secs(120));
    assert_eq!(net.nodes[3].attempts_towards(id(0)), before);
    assert_eq!(net.up_links(3), 2, "the others");
    let asked = net.command(3, Command::Connect { peer: id(0) });
    net.run(secs(1));
    let outcome = net.nodes[3].outcomes.iter().find(|o| o.id == asked).expect("at once");
    let failed = outcome.result.as_ref().unwrap_err();
    assert_eq!(failed.reason, Reason::NoWay { why: SendTrouble::Forbidden });
}

#[test]
fn an_attempt_that_is_cut_off_counts_for_nothing_and_is_made_again() {
    let mut net = fleet(2, 9);
    net.run(secs(5));
    net.break_native(0, 1);
    net.cut(0, 1);
    // It is being dialled when the host notices.
    net.run(Duration::from_millis(200));
    let before = attempts(&mut net, 1).1;
    net.tell(1, Input::Ways(shut()));
    net.run(secs(30));
    assert_eq!(attempts(&mut net, 1).1, before);
    let called_off = net.nodes[1]
        .events
        .iter()
        .any(|e| matches!(&e.kind, EventKind::StageEnded { reason: Some(Reason::NoWay { .. }), .. }));
    assert!(called_off, "{:#?}", net.nodes[1].events);
    net.heal();
    net.tell(1, Input::Ways(Ways::open()));
    let back = net.run_until(secs(10), |net| net.up_links(1) == 1);
    assert!(back.is_some_and(|t| t <= LATENCY * 20), "{back:?}");
}
