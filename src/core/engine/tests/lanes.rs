//! Relays that die, are cut off or lie under a link that carries data: what the
//! two ends of it notice, with the lane that stands by between them.

use std::time::Duration;

use super::relays::{outcome, relay_of, relayed_at};
use super::secs;
use crate::core::link::Link;
use crate::core::sim::{Net, addr, id};
use crate::model::{Command, CommandId, Done, EchoReport, EventKind, Path};

const LATENCIES_MS: [u64; 4] = [0, 10, 40, 100];

/// How a relay fails.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fails {
    Killed,
    Cut,
    Lies,
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Two nodes behind symmetric NATs, linked over a relay, and the lane that stands
/// by for it has come up.
fn warm(seed: u64, one_way_ms: u64) -> Net {
    let mut net = relayed_at(seed, ms(one_way_ms));
    net.run(secs(5));
    for n in [3, 4] {
        assert!(standby_of(&net, n).is_some(), "seed {seed}: at node {n}");
    }
    net
}

/// The relay of the lane that stands by at a node for the link to the other.
fn standby_of(net: &Net, node: usize) -> Option<usize> {
    let via = net.nodes[node].engine.links.standby(&id(7 - node))?.via?;
    (0..net.nodes.len()).find(|n| id(*n) == via)
}

fn fail(net: &mut Net, relay: usize, how: Fails) {
    match how {
        Fails::Killed => net.nodes[relay].up = false,
        Fails::Cut => (0..net.nodes.len()).filter(|n| *n != relay).for_each(|n| net.cut(relay, n)),
        Fails::Lies => net.lies(relay),
    }
}

/// Numbered echoes from one node to the other, one every 10 ms.
fn talk(net: &mut Net, node: usize, count: u32) -> CommandId {
    net.command(node, Command::Echo { peer: id(7 - node), count, every_ms: 10 })
}

fn talked(net: &mut Net, node: usize, command: CommandId) -> EchoReport {
    net.run_until(secs(60), |net| outcome(net, node, command).is_some());
    match outcome(net, node, command) {
        Some(Ok(Done::Echoed(report))) => *report,
        other => panic!("{other:?}"),
    }
}

fn assert_unhurt(report: &EchoReport, gap_ms: u64, what: &str) {
    assert_eq!(report.sent, report.answered, "{what}: {report:?}");
    assert_eq!((report.lost, report.repeated, report.reordered), (0, 0, 0), "{what}");
    assert!(report.gap_ms <= gap_ms, "{what}: {} ms without an answer, at most {gap_ms}", report.gap_ms);
}

fn went_down(net: &Net) -> bool {
    [3, 4].into_iter().any(|n| {
        let down = |e: &crate::model::Event| {
            matches!(e.kind, EventKind::LinkDown { .. }) && e.peer_id == Some(id(7 - n))
        };
        net.nodes[n].events.iter().any(down)
    })
}

#[test]
fn a_relayed_link_shows_the_relay_under_the_lane_that_stands_by() {
    let mut net = warm(3, 10);
    let shown = |net: &mut Net| {
        let now = net.now;
        let links = net.nodes[3].engine.snapshot(now).links;
        let row = links.iter().find(|row| row.peer_id == id(4)).cloned().unwrap();
        (row.via, row.standby)
    };
    let (via, standby) = shown(&mut net);
    assert_eq!(standby, standby_of(&net, 3).map(id));
    assert_ne!(via, standby, "two relays");

    fail(&mut net, (0..3).find(|n| Some(id(*n)) == standby).unwrap(), Fails::Cut);
    net.run_until(secs(5), |net| standby_of(net, 3).map(id) != standby);
    assert_ne!(shown(&mut net).1, standby, "one that does not answer stands by for nothing");
}

#[test]
fn a_relay_that_fails_costs_two_round_trips_and_150_ms_at_most_and_no_message() {
    for how in [Fails::Killed, Fails::Cut, Fails::Lies] {
        for one_way in LATENCIES_MS {
            for node in [3, 4] {
                let what = format!("{how:?}, {one_way} ms a way, from {node}");
                let mut net = warm(3, one_way);
                let relay = relay_of(&mut net, 3, 4).unwrap();
                let command = talk(&mut net, node, 800);
                net.run(secs(2));
                let ladders =
                    |net: &Net| net.nodes[3].attempts_towards(id(4)) + net.nodes[4].attempts_towards(id(3));
                let before = ladders(&net);
                fail(&mut net, relay, how);
                let report = talked(&mut net, node, command);
                assert_unhurt(&report, 4 * one_way + 150, &what);
                net.run(secs(30));
                assert_eq!(ladders(&net), before, "{what}: no ladder was run");
                assert!(!went_down(&net), "{what}");
                let now = relay_of(&mut net, 3, 4).unwrap();
                assert_ne!(now, relay, "{what}");
                assert_eq!(relay_of(&mut net, 4, 3), Some(now), "{what}: both ends agree");
                for n in [3, 4] {
                    let standby = standby_of(&net, n);
                    assert!(
                        standby.is_some_and(|s| s != relay && s != now),
                        "{what}: node {n} has a new standby, not {standby:?}"
                    );
                    let at = net.now;
                    let shown = net.nodes[n].engine.snapshot(at);
                    let over = shown.relays.last_failover.clone().unwrap();
                    assert_eq!(
                        (over.from, over.to, over.lost),
                        (id(relay), Some(id(now)), Some(0)),
                        "{what}"
                    );
                    let gap = over.gap_ms.unwrap();
                    assert!(gap > 0 && gap <= 4 * one_way + 150, "{what}: node {n} tells of {gap} ms");
                }
            }
        }
    }
}

#[test]
fn a_failover_that_is_asked_for_takes_a_round_trip_and_holds_nothing_up() {
    for one_way in LATENCIES_MS {
        for node in [3, 4] {
            let what = format!("{one_way} ms a way, at {node}");
            let mut net = warm(5, one_way);
            let before = relay_of(&mut net, 3, 4).unwrap();
            let echoes = talk(&mut net, 3, 400);
            net.run(secs(1));
            let command = net.command(node, Command::Failover { peer: None });
            let took = net.run_until(secs(5), |net| outcome(net, node, command).is_some()).unwrap();
            assert!(took <= ms(2 * one_way + 1), "{what}: {took:?}");
            let Some(Ok(Done::FailedOver(over))) = outcome(&net, node, command).cloned() else {
                panic!("{what}: {:?}", outcome(&net, node, command))
            };
            assert_eq!((over.from, over.lost), (id(before), Some(0)));
            assert!(over.gap_ms.unwrap() <= 2 * one_way + 20, "{what}: {over:?}");
            let report = talked(&mut net, 3, echoes);
            assert_unhurt(&report, 2 * one_way + 20, &what);
            net.run(secs(10));
            let after = relay_of(&mut net, 3, 4).unwrap();
            assert_eq!(over.to, Some(id(after)), "{what}");
            assert_eq!(relay_of(&mut net, 4, 3), Some(after), "{what}");
            assert!([3, 4].into_iter().all(|n| standby_of(&net, n).is_some_and(|s| s != after)), "{what}");
            assert!(!went_down(&net), "{what}");
        }
    }
}

#[test]
fn a_relay_that_dies_while_it_only_stands_by_is_replaced_and_costs_nothing() {
    for how in [Fails::Killed, Fails::Cut] {
        let mut net = warm(7, 20);
        let (relay, standby) = (relay_of(&mut net, 3, 4).unwrap(), standby_of(&net, 3).unwrap());
        let echoes = talk(&mut net, 3, 1_000);
        net.run(secs(1));
        fail(&mut net, standby, how);
        let report = talked(&mut net, 3, echoes);
        assert_unhurt(&report, 60, "the standby died");
        net.run(secs(20));
        assert_eq!(relay_of(&mut net, 3, 4), Some(relay));
        let next = standby_of(&net, 3).unwrap();
        assert!(next != standby && next != relay, "{next}");
        // And the new one is as good.
        let echoes = talk(&mut net, 4, 500);
        net.run(secs(1));
        fail(&mut net, relay, how);
        let report = talked(&mut net, 4, echoes);
        assert_unhurt(&report, 230, "then the other one");
        assert_eq!(relay_of(&mut net, 3, 4), Some(next));
    }
}

#[test]
fn both_relays_that_die_at_once_cost_time_and_no_message() {
    let mut net = warm(9, 20);
    let (relay, standby) = (relay_of(&mut net, 3, 4).unwrap(), standby_of(&net, 3).unwrap());
    let third = (0..3).find(|n| *n != relay && *n != standby).unwrap();
    let echoes = talk(&mut net, 3, 500);
    net.run(secs(1));
    fail(&mut net, relay, Fails::Killed);
    fail(&mut net, standby, Fails::Killed);
    net.run_until(secs(60), |net| {
        net.nodes[3]
            .engine
            .links
            .get(&id(4))
            .is_some_and(|l| l.in_use().is_some_and(|info| info.via == Some(id(third))))
    });
    assert_eq!(relay_of(&mut net, 3, 4), Some(third), "over the one that is left");
    let report = talked(&mut net, 3, echoes);
    // What is not answered ten seconds after the last was sent counts as lost.
    assert_eq!((report.repeated, report.reordered), (0, 0));
    net.run(secs(20));
    let echoes = talk(&mut net, 4, 100);
    let report = talked(&mut net, 4, echoes);
    assert_unhurt(&report, 60, "afterwards");
}

#[test]
fn a_rough_path_makes_no_repetition_and_the_link_comes_to_rest() {
    for seed in 0..6 {
        let mut net = warm(seed, 20);
        (net.jitter, net.rough) = (ms(60), 5);
        let echoes = talk(&mut net, 3, 3_000);
        let report = talked(&mut net, 3, echoes);
        assert_unhurt(&report, 2_000, "rough");
        assert!(!went_down(&net), "seed {seed}");
        let moves = |net: &Net, n: usize| {
            let moved = |e: &&crate::model::Event| matches!(e.kind, EventKind::LinkMoved { .. });
            net.nodes[n].events.iter().filter(moved).filter(|e| e.peer_id == Some(id(7 - n))).count()
        };
        assert!(moves(&net, 3) <= 3, "seed {seed}: {} in half a minute", moves(&net, 3));
        (net.jitter, net.rough) = (Duration::ZERO, 0);
        net.run(secs(5));
        let before = [moves(&net, 3), moves(&net, 4)];
        let echoes = talk(&mut net, 4, 500);
        let report = talked(&mut net, 4, echoes);
        assert_unhurt(&report, 60, "smooth again");
        assert_eq!([moves(&net, 3), moves(&net, 4)], before, "seed {seed}");
        assert_eq!(relay_of(&mut net, 3, 4), relay_of(&mut net, 4, 3), "seed {seed}");
    }
}

#[test]
fn a_direct_link_whose_peer_cannot_be_heard_any_more_goes_on_over_its_relay() {
    for node in [3, 4] {
        let mut net = warm(11, 20);
        let (here, there) = (addr(3), addr(4));
        net.connect([3, 4], [there, here], None);
        net.run(secs(60));
        assert!(standby_of(&net, 3).is_none(), "the lane that was left is long gone");
        assert_eq!(path_of(&mut net, 3), Some(Path::Direct));
        let echoes = talk(&mut net, node, 600);
        net.run(secs(1));
        net.cut(3, 4);
        let report = talked(&mut net, node, echoes);
        assert_unhurt(&report, 3_000, "a direct path that is gone");
        assert_eq!([path_of(&mut net, 3), path_of(&mut net, 4)], [Some(Path::Relayed); 2]);
        assert!(!went_down(&net), "node {node}");
        net.run(secs(5));
        assert!(standby_of(&net, 3).is_some(), "and it has a lane that stands by");
    }
}

fn path_of(net: &mut Net, node: usize) -> Option<Path> {
    let now = net.now;
    net.nodes[node].engine.snapshot(now).link(&id(7 - node)).map(|l| l.path)
}

#[test]
fn a_peer_that_is_killed_is_noticed_by_everybody_within_three_seconds() {
    let mut net = Net::new(1, ms(40));
    for n in 0..12 {
        net.add(&(0..n).map(addr).collect::<Vec<_>>());
    }
    net.run(secs(30));
    let linked: Vec<usize> =
        (1..12).filter(|n| net.nodes[*n].engine.links.get(&id(0)).is_some_and(Link::is_up)).collect();
    assert!(linked.len() >= 8, "{linked:?}");
    net.nodes[0].up = false;
    net.run(secs(3));
    for n in linked {
        assert!(!net.nodes[n].engine.links.get(&id(0)).is_some_and(Link::is_up), "node {n}");
    }
}

#[test]
fn an_idle_relayed_link_with_its_standby_costs_little() {
    let mut net = warm(3, 20);
    net.run(secs(10));
    let before = net.written(3, 4);
    net.run(secs(60));
    let spent = net.written(3, 4) - before;
    // Pings and answers of both ends on the one, now and then on the other, and
    // what gossip compares once a minute.
    assert!((60 * 2 * 2 * 14..8_000).contains(&spent), "{spent} bytes a minute");
}
