//! Whom a node dials by itself, and what of that counts.

use super::{fleet, secs};
use crate::core::dialer::View as _;
use crate::core::sim::{Net, addr, id};
use crate::core::wire::{Delta, Message, Record};
use crate::model::{AttemptOutcome, Cause, CloseCode, Command, EventKind, PeerState, Phase, Reason};

/// Attempts that a node began and that were not called off.
fn counted(net: &mut Net, node: usize) -> u64 {
    let now = net.now;
    net.nodes[node].engine.snapshot(now).kpi.figures.attempts
}

fn began(net: &Net, node: usize) -> usize {
    let began = |e: &&crate::model::Event| matches!(e.kind, EventKind::AttemptStarted { .. });
    net.nodes[node].events.iter().filter(began).count()
}

#[test]
fn a_bootstrap_address_is_not_dialled_while_its_peer_is_held_off() {
    for by in [0, 1] {
        let mut net = fleet(2, 2);
        net.run(secs(5));
        let before = began(&net, 1);
        net.command(by, Command::Disconnect { peer: id(1 - by) });
        net.run(secs(59));
        assert_eq!(began(&net, 1), before, "disconnected by node {by}");
        let back = net.run_until(secs(10), |net| net.up_links(1) == 1);
        assert!(back.is_some(), "and soon after that it is");
        assert_eq!(counted(&mut net, 1), 2);
    }
}

#[test]
fn a_second_disconnect_holds_off_for_a_whole_minute_at_both_ends() {
    let mut net = fleet(2, 2);
    net.run(secs(5));
    net.command(0, Command::Disconnect { peer: id(1) });
    net.run(secs(30));
    net.command(0, Command::Connect { peer: id(1) });
    net.run(secs(2));
    assert_eq!(net.up_links(1), 1);
    net.command(0, Command::Disconnect { peer: id(1) });
    net.run(secs(5));
    let before = began(&net, 1);
    net.run(secs(53));
    assert_eq!(began(&net, 1), before);
    let now = net.now;
    assert_eq!(net.nodes[1].engine.snapshot(now).peers[0].state, PeerState::HeldOff);
}

#[test]
fn a_peer_whose_operator_connects_again_is_dialled_again_when_that_link_breaks() {
    let mut net = fleet(2, 2);
    net.run(secs(5));
    net.command(0, Command::Disconnect { peer: id(1) });
    net.run(secs(10));
    net.command(0, Command::Connect { peer: id(1) });
    net.run(secs(2));
    net.break_native(0, 1);
    let back = net.run_until(secs(5), |net| net.up_links(1) == 1);
    assert!(back.is_some());
}

#[test]
fn no_peer_has_an_address_left_out_by_claiming_it() {
    let mut net = fleet(3, 2);
    net.run(secs(5));
    let claim = Record { addresses: vec![addr(0)], ..Record::new(id(1), 1_000) };
    net.send(1, 2, &Message::Delta(Delta { added: vec![claim], removed: vec![] }));
    // The honest node behind that id soon says otherwise.
    let claimed = |net: &Net| {
        let entry = net.nodes[2].engine.book.read().get(id(1));
        entry.is_some_and(|entry| entry.addresses().contains(&addr(0)))
    };
    assert!(net.run_until(secs(1), claimed).is_some());
    let view = net.nodes[2].engine.rest(net.now);
    assert!(view.is_at(&id(0), &addr(0)) && !view.is_at(&id(1), &addr(0)));
}

/// Outcomes of a node's attempts with this cause.
fn outcomes(net: &mut Net, node: usize, cause: Cause) -> Vec<AttemptOutcome> {
    let now = net.now;
    let recent = net.nodes[node].engine.snapshot(now).attempts.recent.clone();
    recent.iter().filter(|a| a.cause == cause).filter_map(|a| a.outcome).collect()
}

#[test]
fn a_peer_dialled_twice_at_once_is_one_success() {
    let mut net = fleet(2, 2);
    net.run(secs(5));
    let before = counted(&mut net, 1);
    net.cut(0, 1);
    net.run(secs(40));
    net.heal();
    let missed = counted(&mut net, 1);
    assert!(missed > before);
    assert!(net.run_until(secs(120), |net| net.up_links(1) == 1).is_some());
    net.run(secs(10));
    let connected =
        |all: Vec<AttemptOutcome>| all.iter().filter(|o| **o == AttemptOutcome::Connected).count();
    let by_cache = connected(outcomes(&mut net, 1, Cause::Cache));
    let by_list = connected(outcomes(&mut net, 1, Cause::Bootstrap));
    assert!(by_cache + by_list <= 2, "the first link, and one more: {by_cache} and {by_list}");
}

#[test]
fn our_own_address_that_is_dialled_nevertheless_counts_for_nothing() {
    let mut net = Net::new(3, super::LATENCY);
    net.add(&[addr(0)]);
    net.run(secs(10));
    assert_eq!(counted(&mut net, 0), 0);
    assert_eq!(outcomes(&mut net, 0, Cause::Bootstrap), [AttemptOutcome::Abandoned]);
    let now = net.now;
    assert_eq!(net.nodes[0].engine.snapshot(now).node.phase, Phase::NothingToDial);
}

#[test]
fn a_punch_that_was_not_even_tried_is_told_and_not_counted() {
    let mut net = fleet(2, 2);
    net.run(secs(5));
    net.command(0, Command::Disconnect { peer: id(1) });
    net.run(secs(1));
    let before = counted(&mut net, 0);
    let command = net.command(0, Command::Punch { peer: id(1) });
    let Some(Err(failure)) = super::relays::outcome(&net, 0, command) else { panic!("it cannot succeed") };
    assert_eq!(failure.reason, Reason::NoIntermediary);
    assert_eq!(counted(&mut net, 0), before);
    let now = net.now;
    let row = net.nodes[0].engine.snapshot(now).peers[0].clone();
    assert_eq!(row.attempts, row.successes, "nor against the peer");
}

#[test]
fn a_ladder_that_the_peer_ends_says_so_of_the_stages_that_were_left() {
    let mut net = fleet(3, 2);
    net.run(secs(5));
    net.command(0, Command::Disconnect { peer: id(1) });
    net.run(secs(1));
    let command = net.command(1, Command::Connect { peer: id(0) });
    net.run(secs(5));
    let Some(Err(failure)) = super::relays::outcome(&net, 1, command) else { panic!("it is held off") };
    let held_off = Reason::Closed { close: Some(CloseCode::HoldOff) };
    let stages = &failure.report.as_ref().unwrap().stages;
    assert_eq!(stages.len(), 3);
    assert!(stages.iter().all(|s| s.reason == Some(held_off.clone())), "{stages:?}");
}

#[test]
fn a_sync_that_nobody_answered_is_no_success() {
    for peer in [Some(id(1)), None] {
        let mut net = fleet(2, 2);
        net.run(secs(5));
        net.cut(0, 1);
        let command = net.command(0, Command::Sync { peer });
        net.run(secs(4));
        let Some(Err(failure)) = super::relays::outcome(&net, 0, command) else { panic!("nobody answered") };
        // Meanwhile the link may have been found to be dead.
        let reasons = [Reason::timed_out(secs(3)), Reason::NotLinked, Reason::NoLinks];
        assert!(reasons.contains(&failure.reason), "{failure:?}");
    }
}
