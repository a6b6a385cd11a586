//! Failovers that are asked for: what is told of them is what links did.

use std::time::Duration;

use super::relays::{outcome, relay_of, relayed};
use super::secs;
use crate::core::sim::{Net, addr, id};
use crate::model::{Command, CommandId, Done, Failover, Path, Reason};

/// Asks for a failover and says what came of it.
fn fail_over(net: &mut Net, node: usize) -> Result<Failover, Reason> {
    let command = net.command(node, Command::Failover { peer: None });
    net.run_until(secs(10), |net| outcome(net, node, command).is_some());
    ended(net, node, command)
}

fn ended(net: &Net, node: usize, command: CommandId) -> Result<Failover, Reason> {
    match outcome(net, node, command) {
        Some(Ok(Done::FailedOver(failover))) => Ok(failover.clone()),
        Some(Err(failure)) => Err(failure.reason.clone()),
        other => panic!("{other:?}"),
    }
}

/// The end that dialled the lane, and the one that holds the reservation.
fn ends(net: &mut Net) -> (usize, usize) {
    let now = net.now;
    let outbound = net.nodes[3].engine.snapshot(now).link(&id(4)).is_some_and(|l| l.outbound);
    if outbound { (3, 4) } else { (4, 3) }
}

#[test]
fn failovers_in_quick_succession_all_happen_or_say_at_once_when_they_can() {
    for holder in [false, true] {
        let mut net = relayed(11);
        let (near, far) = ends(&mut net);
        let node = if holder { far } else { near };
        let mut refused = None;
        for n in 0..12 {
            // The first has a third relay take the place of the one that it left.
            net.run(if n == 1 { secs(1) } else { Duration::ZERO });
            let before = relay_of(&mut net, node, 7 - node).unwrap();
            let begun = net.now.mono;
            match fail_over(&mut net, node) {
                Ok(failover) => {
                    let after = relay_of(&mut net, node, 7 - node).unwrap();
                    assert_eq!((failover.from, failover.to), (id(before), Some(id(after))), "{n}");
                    assert_ne!(before, after, "{n}: the link runs over the relay that is named");
                }
                Err(Reason::TooSoon { retry_ms }) => {
                    assert!(n >= 5, "an operator may repeat it a few times: {n}");
                    assert_eq!(net.now.mono, begun, "it is said at once");
                    assert_eq!(relay_of(&mut net, node, 7 - node), Some(before), "nothing was done");
                    refused = Some(retry_ms);
                    break;
                }
                other => panic!("holder {holder}, failover {n}: {other:?}"),
            }
        }
        assert_eq!(refused.is_some(), holder, "our own operator's dials are not limited");
        if let Some(retry_ms) = refused {
            net.run(Duration::from_millis(retry_ms));
            assert!(fail_over(&mut net, node).is_ok(), "it can be done when it was said to be");
        }
    }
}

#[test]
fn a_link_that_left_its_relay_meanwhile_was_not_handed_over() {
    for holder in [false, true] {
        let mut net = relayed(11);
        let (near, far) = ends(&mut net);
        let node = if holder { far } else { near };
        let now = net.now;
        let before = net.nodes[node].engine.snapshot(now).relays.clone();
        // The lane that stands by is the quicker one, if it leads anywhere.
        let held = net.nodes[far].engine.snapshot(now).relays.reservations.clone();
        let standby = (0..3).find(|n| id(*n) == held[1].relay).unwrap();
        net.cut(near, standby);
        let command = net.command(node, Command::Failover { peer: None });
        net.connect([near, far], [addr(far), addr(near)], None);
        net.run(secs(2));
        assert_eq!(ended(&net, node, command), Err(Reason::LeftRelay { path: Path::Direct }));
        let now = net.now;
        let after = net.nodes[node].engine.snapshot(now).relays.clone();
        assert_eq!(after.last_failover, before.last_failover, "nothing is told of it");
        assert_eq!(after.reservations[0].relay, before.reservations[0].relay);
    }
}

#[test]
fn a_failover_while_one_is_under_way_is_refused_and_does_not_end_it() {
    let mut net = relayed(11);
    let (_, far) = ends(&mut net);
    let first = net.command(far, Command::Failover { peer: None });
    let second = net.command(far, Command::Failover { peer: None });
    assert!(matches!(ended(&net, far, second), Err(Reason::TooSoon { retry_ms: 1..=5_000 })));
    net.run(secs(1));
    assert!(ended(&net, far, first).is_ok());
}

#[test]
fn a_failover_that_nobody_followed_leaves_everything_as_it_was() {
    let mut net = relayed(11);
    let (near, far) = ends(&mut net);
    let before = relay_of(&mut net, 3, 4).unwrap();
    let now = net.now;
    let held = net.nodes[far].engine.snapshot(now).relays.clone();
    let standby = (0..3).find(|n| id(*n) == held.reservations[1].relay).unwrap();
    net.cut(near, standby);
    assert_eq!(fail_over(&mut net, far), Err(Reason::timed_out(secs(5))));
    let now = net.now;
    let after = net.nodes[far].engine.snapshot(now).relays.clone();
    assert_eq!(after.reservations[0].relay, id(before), "our record says where the link is");
    assert_eq!(after.last_failover, held.last_failover);
    net.heal();
    net.run(secs(1));
    assert_eq!(fail_over(&mut net, far).map(|f| f.to), Ok(Some(id(standby))));
}

#[test]
fn who_holds_the_reservation_cannot_hand_over_what_the_other_end_chose() {
    let mut net = relayed(11);
    let (near, far) = ends(&mut net);
    assert!(fail_over(&mut net, near).is_ok());
    net.run(Duration::from_millis(100));
    assert_eq!(fail_over(&mut net, far), Err(Reason::ChosenByPeer));
}

#[test]
fn what_was_lost_is_unknown_where_no_link_came_back() {
    let mut net = relayed(11);
    for n in 0..3 {
        net.nodes[n].up = false;
    }
    net.run(secs(60));
    for n in [3, 4] {
        let now = net.now;
        let Some(last) = net.nodes[n].engine.snapshot(now).relays.last_failover.clone() else { continue };
        assert_eq!((last.to, last.gap_ms, last.lost), (None, None, None), "node {n}");
    }
    let told = |n: usize| net.nodes[n].events.iter().any(|e| e.kind.name() == "relay.dead");
    assert!(told(3) || told(4));
}
