//! Why, asked of engines: who is asked, and where is knocked.

use super::*;
use crate::core::limits::{ACCOUNTS_ASKED_MAX, KNOCK_EVERY, KNOCKS_MAX};
use crate::model::{EventKind, Evidence, Outcome, Reason, Why};

/// A fleet in which the last node was killed, as the first one found out by a dial.
fn one_down(count: usize) -> (Net, usize) {
    let mut net = fleet(count, 3);
    net.run(secs(30));
    let last = count - 1;
    net.nodes[last].up = false;
    net.run(secs(60));
    net.command(0, Command::Connect { peer: id(last) });
    net.run(secs(40));
    (net, last)
}

fn told(net: &Net, node: usize) -> Vec<&Why> {
    let explained = |o: &'_ Outcome| matches!(o.result, Ok(Done::Explained(_)));
    let all = net.nodes[node].outcomes.iter().filter(|o| explained(o));
    all.filter_map(|o| if let Ok(Done::Explained(why)) = &o.result { Some(&**why) } else { None }).collect()
}

#[test]
fn those_who_knew_a_dead_peer_are_asked_and_their_accounts_are_evidence() {
    let (mut net, last) = one_down(8);
    net.command(0, Command::Why { peer: id(last) });
    net.run(secs(2));
    let told = told(&net, 0);
    let [why] = told.as_slice() else { panic!("{told:?}") };
    assert!(why.verdict_words().contains("offline, most likely"), "{why:#?}");
    let accounts = why.evidence.iter().filter(|e| matches!(e, Evidence::Account { .. })).count();
    assert_eq!(accounts, ACCOUNTS_ASKED_MAX, "{:#?}", why.evidence);
    assert!(why.evidence_words().iter().any(|e| e.contains("fell silent")), "{:#?}", why.evidence);
}

#[test]
fn nobody_is_knocked_at_but_where_an_attempt_heard_nothing_and_seldom() {
    let (mut net, last) = one_down(8);
    assert!(net.nodes.iter().all(|n| n.knocked.is_empty()), "nobody asked");
    // Who is linked is not knocked at.
    net.command(0, Command::Why { peer: id(1) });
    net.run(secs(2));
    assert!(net.nodes[0].knocked.is_empty());
    for _ in 0..5 {
        net.command(0, Command::Why { peer: id(last) });
    }
    net.run(secs(2));
    let knocked = net.nodes[0].knocked.clone();
    assert_eq!(knocked, [vec![addr(last)]], "five questions, one knock, where it was dialled");
    assert!(knocked[0].len() <= KNOCKS_MAX);
    net.run(KNOCK_EVERY);
    net.command(0, Command::Why { peer: id(last) });
    net.run(secs(2));
    assert_eq!(net.nodes[0].knocked.len(), 2);
}

#[test]
fn who_was_disconnected_by_our_operator_is_not_said_to_have_ended_it() {
    let mut net = fleet(2, 2);
    net.run(secs(5));
    net.command(0, Command::Disconnect { peer: id(1) });
    net.run(secs(10));
    let down = net.nodes[0].events.iter().find_map(|e| match &e.kind {
        EventKind::LinkDown { reason } => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(down, Some(Reason::HeldOff { hold_ms: 60_000 }));
    for node in [0, 1] {
        net.command(node, Command::Why { peer: id(1 - node) });
    }
    net.run(secs(2));
    let [ours, theirs] = [0, 1].map(|node| told(&net, node)[0].verdict_words());
    assert!(ours.contains("the operator here disconnected it 10 s ago"), "{ours}");
    assert!(ours.contains("held off for another 50 s"), "{ours}");
    assert!(theirs.contains("disconnected by its operator"), "{theirs}");
    assert!(theirs.contains("held off for another 50 s"), "{theirs}");
}
