mod dials;
mod failover;
mod guess;
mod lanes;
mod liars;
mod nat;
mod pathtest;
mod punch;
mod relays;
mod reports;
mod said;
mod serving;
mod settings;
mod storm;
mod ways;
mod why;

use std::time::Duration;

use crate::core::limits::OUTBOUND_WANTED;
use crate::core::sim::{Net, Node, addr, id};
use crate::core::timers::Timer;
use crate::model::{AttemptOutcome, Command, Done, EventKind, NatType, PeerState, Phase};

/// Every type there is a name for.
const NATS: [NatType; 5] = [
    NatType::None,
    NatType::FullCone,
    NatType::AddressRestricted,
    NatType::PortRestricted,
    NatType::Symmetric,
];
const LATENCY: Duration = Duration::from_millis(20);

fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

/// So many nodes that know nobody but the first.
fn fleet(count: usize, seed: u64) -> Net {
    let mut net = Net::new(seed, LATENCY);
    net.add(&[]);
    for _ in 1..count {
        net.add(&[addr(0)]);
    }
    net
}

fn all_know_all(net: &Net) -> bool {
    (0..net.nodes.len()).all(|n| net.known(n) == net.nodes.len() - 1)
}

/// Every test of whole nodes ends with a look at both ends' screens.
impl Drop for Net {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let lies = self.not_so();
            assert!(lies.is_empty(), "the screens do not equal the network:\n{}", lies.join("\n"));
        }
    }
}

#[test]
fn sixteen_strangers_with_one_bootstrap_know_each_other_within_a_second() {
    for seed in 0..5 {
        let mut net = fleet(16, seed);
        let took = net.run_until(secs(20), all_know_all);
        assert!(took.is_some_and(|t| t <= secs(1)), "seed {seed}: {took:?}");
    }
}

#[test]
fn a_newcomer_is_known_to_all_of_sixteen_within_a_second() {
    let mut net = fleet(15, 1);
    net.run(secs(60));
    net.add(&[addr(3)]);
    let took = net.run_until(secs(20), all_know_all);
    assert!(took.is_some_and(|t| t <= secs(1)), "{took:?}");
}

#[test]
fn a_fleet_does_the_same_thing_twice_for_the_same_seed() {
    let story = |seed| {
        let mut net = fleet(8, seed);
        net.run(secs(30));
        let lines = |n: &Node| n.events.iter().map(|e| format!("{e:?}")).collect::<Vec<_>>();
        net.nodes.iter().flat_map(lines).collect::<Vec<_>>()
    };
    assert_eq!(story(7), story(7));
    assert_ne!(story(7), story(8));
}

#[test]
fn every_node_gets_its_outbound_links_and_no_more() {
    let mut net = fleet(24, 3);
    // Long enough for feelers to have come and gone.
    net.run(secs(400));
    for n in 0..net.nodes.len() {
        let now = net.now;
        let snapshot = net.nodes[n].engine.snapshot(now);
        let outbound = snapshot.links.iter().filter(|l| l.outbound).count();
        assert!(outbound <= OUTBOUND_WANTED + 1, "node {n}: {outbound} outbound");
        assert!(snapshot.links.len() >= 4, "node {n}: {} links", snapshot.links.len());
    }
}

#[test]
fn a_node_that_vanishes_is_suspected_declared_dead_and_found_again() {
    let mut net = fleet(3, 1);
    net.run(secs(10));
    net.nodes[2].up = false;
    net.run(secs(25));
    let story: Vec<&str> = net.nodes[0]
        .events
        .iter()
        .filter(|e| e.peer_id == Some(id(2)))
        .map(|e| e.kind.name())
        .filter(|name| name.starts_with("link."))
        .collect();
    assert_eq!(story.iter().filter(|s| **s == "link.down").count(), 1, "{story:?}");
    assert!(story.contains(&"link.suspect"));
    net.nodes[2].up = true;
    let back = net.run_until(secs(400), |net| net.up_links(0) == 2);
    assert!(back.is_some());
}

#[test]
fn a_cut_off_node_backs_off_and_is_back_soon_after_the_cut_heals() {
    let mut net = fleet(4, 5);
    net.run(secs(10));
    for other in 0..3 {
        net.cut(other, 3);
    }
    net.run(secs(60));
    assert_eq!(net.up_links(3), 0);
    let now = net.now;
    assert!(
        matches!(net.nodes[3].engine.snapshot(now).node.phase, Phase::Isolated { rounds, .. } if rounds > 2)
    );
    net.heal();
    let back = net.run_until(secs(120), |net| net.up_links(3) > 0);
    assert!(back.is_some_and(|t| t < secs(80)), "{back:?}");
    let rejoined = net.nodes[3].events.iter().any(|e| matches!(e.kind, EventKind::NodeRejoined { .. }));
    assert!(rejoined);
}

#[test]
fn every_attempt_of_every_node_ends_and_every_command_has_one_outcome() {
    for seed in 0..20 {
        let mut net = fleet(6, seed);
        net.run(secs(1));
        net.cut(1, 2);
        net.nodes[5].up = false;
        for n in 0..5 {
            for peer in 0..6 {
                net.command(n, Command::Connect { peer: id(peer) });
                net.command(n, Command::Punch { peer: id(peer) });
            }
            net.command(n, Command::Sync { peer: None });
        }
        net.run(secs(60));
        for n in 0..5 {
            let now = net.now;
            let view = net.nodes[n].engine.snapshot(now).attempts.clone();
            for live in &view.live {
                assert!(live.started.age_at(now.stamp) < secs(40), "{live:?}");
            }
            assert!(view.recent.iter().all(|a| a.outcome.is_some()));
            assert_eq!(net.nodes[n].outcomes.len(), 13, "seed {seed} node {n}");
        }
    }
}

#[test]
fn a_disconnect_is_kept_for_a_minute_and_then_the_link_comes_back() {
    let mut net = fleet(2, 2);
    net.run(secs(5));
    net.command(0, Command::Disconnect { peer: id(1) });
    net.run(secs(55));
    assert_eq!(net.up_links(0), 0);
    let now = net.now;
    let row = net.nodes[0].engine.snapshot(now).peers[0].clone();
    assert_eq!(row.state, PeerState::HeldOff);
    let back = net.run_until(secs(60), |net| net.up_links(0) == 1);
    assert!(back.is_some());
}

#[test]
fn who_leaves_is_forgotten_by_everybody_it_was_linked_to() {
    let mut net = fleet(4, 9);
    net.run(secs(10));
    net.command(3, Command::Leave);
    assert!(matches!(net.nodes[3].outcomes.last().unwrap().result, Ok(Done::Left)));
    net.run(secs(5));
    for n in 0..3 {
        assert_eq!(net.known(n), 2, "node {n}");
    }
}

#[test]
fn an_attempt_at_a_stranger_ends_unreachable_with_every_reason() {
    let mut net = fleet(3, 4);
    net.run(secs(10));
    net.nodes[2].up = false;
    net.run(secs(30));
    net.command(0, Command::Connect { peer: id(2) });
    net.run(secs(40));
    let outcome = net.nodes[0].outcomes.last().unwrap().clone();
    let failure = outcome.result.unwrap_err();
    let report = failure.report.unwrap();
    assert_eq!(report.stages.len(), 3, "{report:?}");
    assert!(report.stages.iter().all(|s| s.reason.is_some()));
    let last = net.nodes[0].events.iter().rev().find_map(|e| match e.kind {
        EventKind::AttemptEnded { outcome, .. } => Some(outcome),
        _ => None,
    });
    assert_eq!(last, Some(AttemptOutcome::Unreachable));
}

#[test]
fn a_large_sync_is_one_event_and_not_a_thousand() {
    let mut net = fleet(50, 11);
    net.run(secs(30));
    net.add(&[addr(0)]);
    net.run(secs(10));
    let late = net.nodes.last().unwrap();
    let added = late.events.iter().filter(|e| e.kind.name() == "peer.added").count();
    let bulk: u64 = late
        .events
        .iter()
        .map(|e| if let EventKind::PeersAdded { count, .. } = e.kind { count } else { 0 })
        .sum();
    assert!(added <= 30 && bulk >= 20, "{added} one by one, {bulk} in bulk");
}

#[test]
fn links_in_a_snapshot_are_the_links_that_are_up() {
    let mut net = fleet(5, 6);
    net.run(secs(10));
    for n in 0..5 {
        assert_eq!(net.links(n), net.up_links(n));
    }
}

#[test]
fn the_table_of_timers_says_what_fires_next_and_why() {
    let mut net = fleet(2, 1);
    assert!(net.run_until(secs(5), |net| net.up_links(0) == 1).is_some());
    net.run(secs(60));
    let (now, engine) = (net.now, &net.nodes[0].engine);
    let timers = engine.timers(now);
    let (at, _) = timers.next().unwrap();
    assert_eq!(engine.next_timeout(now), Some(at));
    let heartbeat = timers.due(Timer::Links).unwrap();
    assert!(at <= heartbeat && heartbeat <= now.mono + secs(5), "a link is pinged every five seconds");
    assert_eq!(timers.due(Timer::Attempts), None, "nobody is dialled");
}
