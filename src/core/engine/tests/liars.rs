//! Whole fleets with a peer gone bad among them, which says what is not so of a
//! third one. Each test fails when its rule is removed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::{fleet, secs};
use crate::core::limits::{VERSION_JUMP_MAX, WORD_FAILURES};
use crate::core::sim::{Net, addr, id};
use crate::core::wire::{Delta, Message, Observed, Record};
use crate::model::NatType;

fn say(net: &mut Net, liar: usize, to: usize, added: Vec<Record>, removed: Vec<usize>) {
    let removed = removed.into_iter().map(id).collect();
    net.send(liar, to, &Message::Delta(Delta { added, removed }));
}

/// What a node holds of another: name and version.
fn held(net: &Net, n: usize, of: usize) -> (String, u64) {
    let record = net.nodes[n].engine.book.read().get(id(of)).and_then(|e| e.record()).unwrap();
    (record.name.clone(), record.version)
}

/// Fifteen nodes, a liar, and one that they were all linked to and that has been
/// away for more than three minutes.
fn with_one_away(older: bool) -> (Net, usize, usize) {
    let mut net = fleet(16, 4);
    let subject = if older { net.add_older(&[addr(0)]) } else { net.add(&[addr(0)]) };
    net.run(secs(30));
    net.nodes[subject].up = false;
    net.run(secs(190));
    (net, 15, subject)
}

#[test]
fn five_forged_versions_of_one_that_is_away_freeze_nobodys_record_of_it() {
    for older in [false, true] {
        let (mut net, liar, subject) = with_one_away(older);
        let before: Vec<_> = (0..15).map(|n| held(&net, n, subject)).collect();
        let version = before[0].1;
        for n in 0..5 {
            let version = version + VERSION_JUMP_MAX;
            let forged = Record {
                name: "forged".into(),
                addresses: vec![addr(liar)],
                ..Record::new(id(subject), version)
            };
            say(&mut net, liar, n, vec![forged], vec![]);
        }
        net.run(secs(62));
        let after: Vec<_> = (0..15).map(|n| held(&net, n, subject)).collect();
        assert_eq!(after, before, "an older one: {older}");
        // Nothing that was forged stands in the way of its own next word.
        net.nodes[subject].up = true;
        let back = net.run_until(secs(400), |net| net.up_links(subject) > 3);
        assert!(back.is_some());
        net.run(secs(62));
        let own = net.nodes[subject].engine.gossip.own().version;
        assert!((0..15).all(|n| held(&net, n, subject) == (format!("sim-{subject}"), own)));
    }
}

#[test]
fn word_that_peers_are_gone_hides_them_from_no_newcomer() {
    let mut net = fleet(20, 6);
    net.run(secs(60));
    let away: Vec<usize> = (8..20).collect();
    for n in &away {
        net.nodes[*n].up = false;
    }
    net.run(secs(200));
    for n in 0..7 {
        say(&mut net, 7, n, vec![], away.clone());
    }
    net.run(secs(5));
    let mut hidden = 0;
    for bootstrap in [0, 2, 4] {
        let newcomer = net.add(&[addr(bootstrap)]);
        net.run(secs(2));
        hidden +=
            away.iter().filter(|n| net.nodes[newcomer].engine.book.read().get(id(**n)).is_none()).count();
    }
    assert_eq!(hidden, 0, "of 36");
}

/// An address at which nobody of the fleet is.
const BYSTANDER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(9, 9, 9, 9)), 9000);

#[test]
fn what_three_liars_see_of_a_peer_does_not_go_into_its_record() {
    let mut net = fleet(15, 8);
    net.run(secs(60));
    let victim = 0;
    let named = |net: &Net| net.nodes[victim].engine.gossip.own().addresses.contains(&BYSTANDER);
    for liar in [5, 6, 7] {
        net.send(liar, victim, &Message::Observed(Observed { addr: BYSTANDER }));
    }
    net.run(secs(1));
    assert!(!named(&net));
    assert!(net.dials_to(BYSTANDER).is_empty());
}

#[test]
fn a_bystander_whom_a_dead_peer_named_is_dialled_three_times_by_each() {
    let mut net = fleet(15, 8);
    net.run(secs(60));
    let victim = 0;
    // It says so itself, and signs it.
    let engine = &mut net.nodes[victim].engine;
    let addresses = vec![addr(victim), BYSTANDER];
    let own = engine.gossip.own().clone();
    engine.gossip.lie(Record { addresses, ..own }, net.now);
    net.run(secs(5));
    net.nodes[victim].up = false;
    net.run(secs(400));
    for n in 1..15 {
        let dials = net.dials_to(BYSTANDER).iter().filter(|from| **from == n).count();
        assert!(dials <= 2 * WORD_FAILURES as usize, "node {n} dialled it {dials} times");
    }
}

#[test]
fn who_dials_us_is_a_peer_that_we_know_after_a_minute() {
    let mut net = Net::new(1, super::LATENCY);
    net.add_behind(NatType::None, true, &[]);
    net.add_behind(NatType::None, true, &[addr(0)]);
    let tried = |net: &Net, n: usize, of| net.nodes[n].engine.book.read().get(id(of)).unwrap().measured.tried;
    net.run(secs(30));
    assert!(!tried(&net, 0, 1) && tried(&net, 1, 0));
    net.run(secs(40));
    assert!(tried(&net, 0, 1));
}

#[test]
fn a_name_that_somebody_else_was_linked_under_is_marked_at_both() {
    let (mut net, liar, subject) = with_one_away(false);
    let row = |net: &mut Net, of: usize| {
        let now = net.now;
        let snapshot = net.nodes[0].engine.snapshot(now);
        snapshot.peers.iter().find(|row| row.peer_id == id(of)).unwrap().as_ref().clone()
    };
    let name = row(&mut net, subject).name.unwrap();
    assert!(row(&mut net, subject).linked_as && row(&mut net, liar).also.is_none());
    // Somebody is said to be called so, whom nobody ever met.
    let invented = Record { name: name.clone(), ..Record::new(id(99), 1) };
    say(&mut net, liar, 0, vec![invented], vec![]);
    net.run(secs(1));
    let said = row(&mut net, 99);
    assert!(!said.linked_as && said.also.as_ref().is_some_and(|also| also.peer_id == id(subject)));
    // Somebody comes who calls himself so.
    let taker = net.add_called(&name, &[addr(0)]);
    net.run(secs(10));
    let (old, new) = (row(&mut net, subject), row(&mut net, taker));
    assert!(old.linked_as && new.linked_as);
    assert!(old.also.as_ref().is_some_and(|also| also.peer_id == id(taker)), "{old:?}");
    assert!(new.also.as_ref().is_some_and(|also| also.peer_id == id(subject)), "{new:?}");
}
