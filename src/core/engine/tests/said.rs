//! What a node says of its links, its peers and its commands, against what
//! happened in the network.

use std::time::Duration;

use super::super::sim::{Net, id};
use super::punch::{self, FROM, TO};
use super::{fleet, secs};
use crate::model::CoordinationStep as Step;
use crate::model::{
    AttemptOutcome, CloseCode, Command, CommandId, Done, EventKind, Failure, LinkReport, NatType, Path,
    PeerRow, Reason, StageKind, StageOutcome, Stamp, Why,
};

fn row(net: &mut Net, node: usize, peer: usize) -> PeerRow {
    let now = net.now;
    let shot = net.nodes[node].engine.snapshot(now);
    shot.peers.iter().find(|row| row.peer_id == id(peer)).map(|row| (**row).clone()).unwrap()
}

fn result(net: &Net, node: usize, command: CommandId) -> Option<&Result<Done, Failure>> {
    net.nodes[node].outcomes.iter().find(|o| o.id == command).map(|o| &o.result)
}

/// Runs a command to its end.
fn asked(net: &mut Net, node: usize, command: Command) -> Result<Done, Failure> {
    let command = net.command(node, command);
    net.run_until(secs(60), |net| result(net, node, command).is_some()).expect("every command ends");
    result(net, node, command).unwrap().clone()
}

fn why(net: &mut Net, node: usize, peer: usize) -> Why {
    match asked(net, node, Command::Why { peer: id(peer) }) {
        Ok(Done::Explained(why)) => *why,
        other => panic!("{other:?}"),
    }
}

fn path(net: &mut Net, node: usize, peer: usize) -> Option<Path> {
    row(net, node, peer).path
}

#[test]
fn who_fell_silent_was_last_seen_when_it_was_heard_and_not_when_that_was_noticed() {
    let mut net = fleet(3, 1);
    net.run(secs(10));
    net.nodes[2].up = false;
    let died = net.now.stamp;
    let down = |net: &Net| {
        let is_down = |e: &&crate::model::Event| e.peer_id == Some(id(2)) && e.kind.name() == "link.down";
        net.nodes[0].events.iter().any(|e| is_down(&e))
    };
    net.run_until(secs(30), down).expect("it is noticed");
    net.run(secs(1));
    let seen = row(&mut net, 0, 2).last_seen.unwrap();
    assert!(seen <= died.after(Duration::from_millis(100)), "seen {} ms after its death", seen.0 - died.0);
    let why = why(&mut net, 0, 2);
    for name in ["last seen", "round trip"] {
        let fact = why.facts.iter().find(|f| f.known.name() == name).unwrap();
        let at: Stamp = fact.at.unwrap();
        assert!(at <= died.after(Duration::from_millis(100)), "{name}: {} ms too late", at.0 - died.0);
    }
}

#[test]
fn a_punch_that_cannot_be_is_said_to_have_failed_though_a_relayed_link_stands() {
    let mut net = punch::pair(NatType::PortRestricted, NatType::Symmetric);
    punch::connect(&mut net);
    assert_eq!(path(&mut net, FROM, TO), Some(Path::Relayed));
    let failed = asked(&mut net, FROM, Command::Punch { peer: id(TO) }).unwrap_err();
    assert!(matches!(failed.reason, Reason::Unpunchable { .. }), "{failed:?}");
    let report = failed.report.unwrap();
    assert_eq!((report.before, report.path), (Some(Path::Relayed), Some(Path::Relayed)));
    let kinds: Vec<StageKind> = report.stages.iter().map(|s| s.stage).collect();
    assert_eq!(kinds, [StageKind::Punch], "of that stage alone");
    let ended = net.nodes[FROM].events.iter().rev().find_map(|e| match e.kind {
        EventKind::AttemptEnded { outcome, .. } => Some(outcome),
        _ => None,
    });
    assert_eq!(ended, Some(AttemptOutcome::NoBetterPath), "a linked peer is not unreachable");
}

#[test]
fn a_stage_that_the_link_needs_no_more_is_nothing_to_do_and_says_what_the_link_is() {
    let mut net = punch::pair(NatType::PortRestricted, NatType::AddressRestricted);
    punch::connect(&mut net);
    for command in [Command::Punch { peer: id(TO) }, Command::Relay { peer: id(TO) }] {
        let Ok(Done::NothingToDo(report)) = asked(&mut net, FROM, command) else { panic!("something done") };
        assert_eq!((report.before, report.path), (Some(Path::Punched), Some(Path::Punched)));
        assert!(report.stages.is_empty());
    }
    let Ok(connected) = asked(&mut net, FROM, Command::Connect { peer: id(TO) }) else { panic!("failed") };
    assert!(connected.is_nothing());
}

#[test]
fn a_punch_that_is_asked_for_is_answered_by_a_punch_and_not_by_the_relay_that_comes_first() {
    let mut net = punch::pair(NatType::PortRestricted, NatType::AddressRestricted);
    net.punches_fail = true;
    punch::connect(&mut net);
    assert_eq!(path(&mut net, FROM, TO), Some(Path::Relayed));
    net.punches_fail = false;
    // The automatic one is under way, and all that it sent was lost.
    let Ok(Done::Staged(report)) = asked(&mut net, FROM, Command::Punch { peer: id(TO) }) else {
        panic!("no punch")
    };
    assert_eq!((report.before, report.path), (Some(Path::Relayed), Some(Path::Punched)));
    let last: &LinkReport = &report;
    assert_eq!(last.stages.last().map(|s| (s.stage, s.outcome)), Some((StageKind::Punch, StageOutcome::Ok)));
}

#[test]
fn a_relay_that_is_asked_for_makes_a_relayed_link_or_says_why_not() {
    let mut net = punch::pair(NatType::Symmetric, NatType::Symmetric);
    let Ok(Done::Staged(report)) = asked(&mut net, FROM, Command::Relay { peer: id(TO) }) else {
        panic!("no relay")
    };
    assert_eq!((report.before, report.path), (None, Some(Path::Relayed)));
    let now = net.now;
    let over = net.nodes[FROM].engine.snapshot(now).link(&id(TO)).and_then(|link| link.via);
    assert_eq!(report.stages.last().and_then(|s| s.via), over, "the relay of the link, and no other");
    let failed = asked(&mut net, 0, Command::Relay { peer: id(FROM) });
    assert!(matches!(failed, Ok(Done::NothingToDo(_))), "linked directly: {failed:?}");
}

#[test]
fn a_link_that_came_in_is_told_as_that_and_not_by_the_attempt_that_failed_before() {
    let mut net = fleet(3, 4);
    net.run(secs(10));
    net.nodes[2].up = false;
    net.run(secs(30));
    assert!(asked(&mut net, 0, Command::Connect { peer: id(2) }).is_err());
    // It comes back, and dials us.
    net.nodes[2].up = true;
    let back = |net: &Net| {
        let up = |e: &&crate::model::Event| {
            e.peer_id == Some(id(2)) && matches!(e.kind, EventKind::LinkUp { outbound: false, .. })
        };
        net.nodes[0].events.iter().rev().take(40).any(|e| up(&e))
    };
    let came_in = net.run_until(secs(600), |net| net.up_links(0) == 2).is_some() && back(&net);
    let why = why(&mut net, 0, 2);
    let ours: Vec<String> =
        why.timeline.iter().filter(|l| l.who == id(0)).map(|l| l.what.to_string()).collect();
    if came_in {
        assert_eq!(ours, ["link up, direct: it dialled us"], "{:#?}", why.timeline);
    } else {
        assert_eq!(ours.last(), Some(&"link up, direct: we dialled".to_owned()), "{:#?}", why.timeline);
    }
}

#[test]
fn a_punch_that_was_asked_for_in_vain_does_not_hide_how_the_relayed_link_came_up() {
    let mut net = punch::pair(NatType::PortRestricted, NatType::Symmetric);
    punch::connect(&mut net);
    assert!(asked(&mut net, FROM, Command::Punch { peer: id(TO) }).is_err());
    let why = why(&mut net, FROM, TO);
    let ours: Vec<String> =
        why.timeline.iter().filter(|l| l.who == id(FROM)).map(|l| l.what.to_string()).collect();
    for part in ["relay ok", "link up, relayed: we dialled", "punch skipped"] {
        assert!(ours.iter().any(|what| what.starts_with(part)), "{part}: {ours:#?}");
    }
}

#[test]
fn a_peer_that_is_tried_again_and_again_while_it_is_down_counts_as_one_span() {
    let mut net = fleet(3, 4);
    net.run(secs(10));
    let before = net.nodes[0].engine.snapshot(net.now).kpi.clone();
    net.nodes[2].up = false;
    net.run(secs(200));
    let now = net.now;
    let kpi = net.nodes[0].engine.snapshot(now).kpi.clone();
    assert!(kpi.unreachable >= before.unreachable + 2, "it was tried again: {kpi:?}");
    assert_eq!(kpi.unreached, before.unreached + 1, "{kpi:?}");
}

/// What a node's own account says of punches that another asked for.
fn account(net: &Net, node: usize, of: usize) -> Vec<Step> {
    net.nodes[node].engine.coordination.told(id(of), None).map(|noted| noted.step).collect()
}

#[test]
fn an_ask_of_the_one_who_disconnected_lifts_the_hold_off_at_the_other_end_too() {
    for nat in [NatType::None, NatType::FullCone, NatType::AddressRestricted] {
        let mut net = punch::pair(nat, NatType::Symmetric);
        punch::connect(&mut net);
        assert_eq!(path(&mut net, FROM, TO), Some(Path::Punched), "{nat}");
        net.command(FROM, Command::Disconnect { peer: id(TO) });
        net.run(secs(5));
        assert_eq!((path(&mut net, FROM, TO), path(&mut net, TO, FROM)), (None, None), "{nat}");
        let dials = account(&net, TO, FROM).iter().filter(|s| matches!(s, Step::Dialled(_))).count();
        let Ok(Done::Connected(report)) = asked(&mut net, FROM, Command::Connect { peer: id(TO) }) else {
            panic!("{nat}: not connected")
        };
        assert_eq!(report.path, Some(Path::Punched), "{nat}: {report:?}");
        assert!(report.elapsed_ms <= 8 * 40, "{nat}: {} ms", report.elapsed_ms);
        let again = account(&net, TO, FROM).iter().filter(|s| matches!(s, Step::Dialled(_))).count();
        assert_eq!(again, dials + 1, "{nat}: what is said to be dialled was");
    }
}

#[test]
fn whom_our_operator_disconnected_is_refused_with_that_reason_and_nothing_is_said_to_be_dialled() {
    let mut net = punch::pair(NatType::AddressRestricted, NatType::Symmetric);
    punch::connect(&mut net);
    net.command(TO, Command::Disconnect { peer: id(FROM) });
    net.run(secs(5));
    let before = account(&net, TO, FROM).len();
    let failed = asked(&mut net, FROM, Command::Connect { peer: id(TO) }).unwrap_err();
    let report = failed.report.as_ref().unwrap();
    let punch = report.stages.iter().find(|s| s.stage == StageKind::Punch).unwrap();
    assert_eq!(punch.reason, Some(Reason::HeldOffThere), "{report:?}");
    // Whom it reached by another way it told the same.
    let held_off = Reason::Closed { close: Some(CloseCode::HoldOff) };
    assert!([Reason::HeldOffThere, held_off].contains(&failed.reason), "{failed:?}");
    let why = why(&mut net, FROM, TO);
    assert!(why.verdict_words().contains("its operator disconnected us"), "{}", why.verdict_words());
    let said = account(&net, TO, FROM).split_off(before);
    assert!(!said.is_empty() && said.iter().all(|s| matches!(s, Step::Declined(_))), "{said:?}");
    // It holds until our operator says otherwise, or a minute is over.
    let Ok(Done::Connected(_)) = asked(&mut net, TO, Command::Connect { peer: id(FROM) }) else {
        panic!("our own operator lifts it")
    };
}
