//! Ladders to their end behind NATs; relays that die, are changed, and are left.

use std::time::Duration;

use proptest::prelude::*;

use super::super::sim::{Net, addr, id};
use super::super::{Input, Settings};
use super::{LATENCY, NATS, secs};
use crate::core::wire::{Delta, Echo, Message, Record, RelayAddr};
use crate::model::{
    Command, CommandId, Done, DropReason, EventKind, Evidence, HardNat, NatType, NextStep, Path,
    PunchConsent, Reason, RelayMode, RelayRole, StageKind, StageOutcome,
};

/// Three public nodes, then one behind each of these NATs; everybody knows
/// everybody, and nobody behind a NAT is linked to another one.
fn fleet(nats: &[NatType], seed: u64) -> Net {
    fleet_at(nats, seed, LATENCY)
}

fn fleet_at(nats: &[NatType], seed: u64, latency: Duration) -> Net {
    let mut net = Net::new(seed, latency);
    let public = [addr(0), addr(1), addr(2)];
    for n in 0..3 {
        net.add_behind(NatType::None, true, &public[..n]);
        net.believes(n, NatType::None);
    }
    for nat in nats {
        let n = net.add_behind(*nat, true, &public);
        net.believes(n, *nat);
    }
    net.run(secs(20));
    net
}

fn path(net: &mut Net, from: usize, to: usize) -> Option<Path> {
    let now = net.now;
    let shown = net.nodes[from].engine.snapshot(now);
    shown.links.iter().find(|l| l.peer_id == id(to)).map(|l| l.path)
}

pub(super) fn outcome(
    net: &Net,
    node: usize,
    command: CommandId,
) -> Option<&Result<Done, crate::model::Failure>> {
    net.nodes[node].outcomes.iter().find(|o| o.id == command).map(|o| &o.result)
}

/// Connects two nodes and says how it went.
fn connect(net: &mut Net, from: usize, to: usize) -> Option<Path> {
    let command = net.command(from, Command::Connect { peer: id(to) });
    net.run_until(secs(60), |net| outcome(net, from, command).is_some());
    match outcome(net, from, command) {
        Some(Ok(Done::Connected(report))) => report.path,
        _ => None,
    }
}

/// Two nodes behind symmetric NATs, linked over a relay: who relays, which end
/// dialled.
pub(super) fn relayed(seed: u64) -> Net {
    relayed_at(seed, LATENCY)
}

pub(super) fn relayed_at(seed: u64, latency: Duration) -> Net {
    let mut net = fleet_at(&[NatType::Symmetric, NatType::Symmetric], seed, latency);
    assert_eq!(connect(&mut net, 3, 4), Some(Path::Relayed));
    net.run(secs(1));
    net
}

pub(super) fn relay_of(net: &mut Net, node: usize, peer: usize) -> Option<usize> {
    let now = net.now;
    let shown = net.nodes[node].engine.snapshot(now);
    let via = shown.links.iter().find(|l| l.peer_id == id(peer))?.via?;
    (0..net.nodes.len()).find(|n| id(*n) == via)
}

#[test]
fn who_is_behind_a_symmetric_nat_tells_everybody_of_an_active_and_a_standby_relay() {
    let mut net = fleet(&[NatType::Symmetric, NatType::PortRestricted], 1);
    let now = net.now;
    let shown = net.nodes[3].engine.snapshot(now);
    let roles: Vec<RelayRole> = shown.relays.reservations.iter().map(|r| r.role).collect();
    assert_eq!(roles, [RelayRole::Active, RelayRole::Standby]);
    let told = net.nodes[4].engine.book.get(id(3)).and_then(|e| e.record()).unwrap();
    assert_eq!(told.relays.len(), 2);
    assert!(net.nodes[4].engine.snapshot(now).relays.reservations.is_empty(), "others need none");
}

/// Sends numbered echoes from one node to another while something happens, and
/// returns the numbers in the order in which they arrived.
struct Echoes {
    sent: u64,
}

impl Echoes {
    fn send(&mut self, net: &mut Net, from: usize, to: usize) {
        self.sent += 1;
        let echo = Message::Echo(Echo { id: self.sent, payload: Vec::new() });
        net.send(from, to, &echo);
    }

    fn all_arrived_in_order(&self, net: &Net, at: usize) -> bool {
        net.nodes[at].engine.echoes.came == (1..=self.sent).collect::<Vec<_>>()
    }
}

#[test]
fn a_relay_that_dies_under_a_link_costs_no_message_and_less_than_three_seconds() {
    for seed in 0..20 {
        let mut net = relayed(seed);
        let relay = relay_of(&mut net, 3, 4).unwrap();
        let mut echoes = Echoes { sent: 0 };
        for _ in 0..20 {
            echoes.send(&mut net, 3, 4);
            net.run(Duration::from_millis(50));
        }
        net.nodes[relay].up = false;
        let ladders = |net: &Net| net.nodes[3].attempts_towards(id(4)) + net.nodes[4].attempts_towards(id(3));
        let before = ladders(&net);
        for _ in 0..20 {
            echoes.send(&mut net, 3, 4);
        }
        let took = net.run_until(secs(10), |net| echoes.all_arrived_in_order(net, 4));
        assert!(took.is_some_and(|t| t < secs(3)), "seed {seed}: {took:?}");
        assert_eq!(ladders(&net), before, "seed {seed}: no ladder was run");
        net.run(secs(30));
        assert_ne!(relay_of(&mut net, 3, 4).unwrap(), relay, "seed {seed}");
        let now = net.now;
        let shown = net.nodes[4].engine.snapshot(now);
        assert!(shown.relays.reservations.iter().all(|r| r.relay != id(relay)));
        assert_eq!(shown.relays.reservations.len(), 2, "seed {seed}: a new standby was reserved");
        let failover = shown.relays.last_failover.clone().unwrap();
        assert_eq!((failover.from, failover.lost), (id(relay), Some(0)), "seed {seed}");
        assert!(failover.gap_ms.is_some_and(|ms| ms < 3_000), "seed {seed}: {failover:?}");
    }
}

#[test]
fn a_failover_that_is_asked_for_hands_over_first_and_then_lets_go() {
    // Asked for at the end that dialled, and at the end that holds the
    // reservation.
    for node in [3, 4] {
        let mut net = relayed(11);
        let before = relay_of(&mut net, 3, 4).unwrap();
        let mut echoes = Echoes { sent: 0 };
        let command = net.command(node, Command::Failover { peer: None });
        let mut took = None;
        for ms in 0..100 {
            echoes.send(&mut net, 3, 4);
            net.run(Duration::from_millis(10));
            if outcome(&net, node, command).is_some() {
                took.get_or_insert(ms * 10);
            }
        }
        let Some(Ok(Done::FailedOver(failover))) = outcome(&net, node, command) else {
            panic!("node {node}: {:?}", outcome(&net, node, command))
        };
        assert_eq!((failover.from, failover.lost), (id(before), Some(0)));
        assert!(failover.gap_ms.is_some_and(|ms| ms <= 300), "{failover:?}");
        assert!(took.is_some_and(|ms| ms <= 600), "node {node}: {took:?} ms at 20 ms a way");
        assert_ne!(relay_of(&mut net, 3, 4).unwrap(), before);
        net.run(secs(1));
        assert!(echoes.all_arrived_in_order(&net, 4));
        for end in [3, 4] {
            let down = |e: &crate::model::Event| {
                matches!(e.kind, EventKind::LinkDown { .. }) && e.peer_id == Some(id(7 - end))
            };
            assert!(!net.nodes[end].events.iter().any(down), "the link was never down");
        }
    }
}

#[test]
fn a_link_leaves_its_relay_when_a_nat_allows_it_and_loses_nothing() {
    let mut net = relayed(5);
    let mut echoes = Echoes { sent: 0 };
    net.run(secs(20));
    net.set_nat(3, NatType::PortRestricted);
    net.set_nat(4, NatType::PortRestricted);
    let mut took = None;
    for ms in 0..1_000 {
        echoes.send(&mut net, 3, 4);
        net.run(Duration::from_millis(10));
        if path(&mut net, 3, 4) == Some(Path::Punched) && path(&mut net, 4, 3) == Some(Path::Punched) {
            took = Some(ms * 10);
            break;
        }
    }
    assert!(took.is_some_and(|ms| ms < 10_000), "{took:?}");
    net.run(secs(1));
    assert!(echoes.all_arrived_in_order(&net, 4));
}

#[test]
fn a_link_that_falls_back_to_its_relay_does_not_leave_it_again_for_a_minute() {
    let mut net = relayed(5);
    net.set_nat(3, NatType::PortRestricted);
    net.set_nat(4, NatType::PortRestricted);
    net.run(secs(10));
    assert_eq!(path(&mut net, 3, 4), Some(Path::Punched));
    net.punches_fail = true;
    net.break_native(3, 4);
    net.run(secs(5));
    assert_eq!(path(&mut net, 3, 4), Some(Path::Relayed), "over the lane that was kept");
    net.punches_fail = false;
    net.run(secs(30));
    assert_eq!(path(&mut net, 3, 4), Some(Path::Relayed));
    net.run(secs(60));
    assert_eq!(path(&mut net, 3, 4), Some(Path::Punched));
}

#[test]
fn test_relay_fallback_after_punch_timeout() {
    let mut net = fleet(&[NatType::PortRestricted, NatType::Symmetric], 1);
    // Nobody knows that the punch cannot succeed, and it does not.
    net.believes(4, NatType::Unknown);
    net.punches_fail = true;
    let command = net.command(3, Command::Connect { peer: id(4) });
    net.run_until(secs(60), |net| outcome(net, 3, command).is_some());
    let Some(Ok(Done::Connected(report))) = outcome(&net, 3, command) else { panic!("not connected") };
    assert_eq!(report.path, Some(Path::Relayed));
    assert!(report.elapsed_ms < 5_000, "nobody waits for the punch to time out: {report:?}");
    net.run(secs(40));
    let now = net.now;
    let shown = net.nodes[3].engine.snapshot(now);
    let attempt = shown.attempts.recent.iter().find(|a| a.peer_id == Some(id(4))).unwrap();
    let punch = attempt.stages.iter().find(|s| s.stage == StageKind::Punch).unwrap();
    assert!(punch.reason.is_some() && punch.elapsed_ms >= Some(29_000), "it went on behind: {punch:?}");
}

#[test]
fn test_punch_timeout_fallback_to_relay() {
    // The ladder of the specification, one stage after the other. Both NATs let
    // a punch through, so nobody knows that this one cannot succeed.
    let mut net = fleet(&[NatType::PortRestricted, NatType::PortRestricted], 1);
    net.punches_fail = true;
    let serial = Settings {
        bootstrap: vec![addr(0), addr(1), addr(2)],
        direct_window: secs(2),
        relay_after: secs(30),
        punch: PunchConsent::Any,
        relay: RelayMode::Network,
        hard_nat: HardNat::Off,
        path_test: crate::model::TestConsent::Network,
    };
    net.tell(3, Input::Settings(serial));
    let command = net.command(3, Command::Connect { peer: id(4) });
    net.run_until(secs(60), |net| outcome(net, 3, command).is_some());
    let Some(Ok(Done::Connected(report))) = outcome(&net, 3, command).cloned() else {
        panic!("not connected")
    };
    assert_eq!(report.path, Some(Path::Relayed));
    let ends: Vec<_> = report.stages.iter().map(|s| (s.stage, s.outcome)).collect();
    assert_eq!(
        ends,
        [
            (StageKind::Direct, StageOutcome::Skipped),
            (StageKind::Punch, StageOutcome::Failed),
            (StageKind::Relay, StageOutcome::Ok),
        ],
        "{report:#?}"
    );
    let [_, punch, relay] = &report.stages[..] else { panic!("{report:#?}") };
    assert_eq!(punch.reason, Some(Reason::TimedOut { after_ms: 30_000 }));
    assert_eq!(punch.elapsed_ms, Some(30_000), "all of its time");
    assert!(relay.via.is_some() && relay.reason.is_none(), "{relay:?}");
    // After the punch nothing but the way through the relay is waited for.
    assert!((30_000..32_000).contains(&report.elapsed_ms), "{report:#?}");
    net.run(secs(1));
    for (from, to) in [(3, 4), (4, 3)] {
        assert_eq!(path(&mut net, from, to), Some(Path::Relayed), "both ends say so");
    }
}

#[test]
fn a_punch_that_is_asked_for_behind_a_relayed_link_is_tried_and_told() {
    let mut net = relayed(5);
    let before = net.nodes[3].engine.snapshot(net.now).kpi.attempts;
    let command = net.command(3, Command::Punch { peer: id(4) });
    net.run(secs(5));
    let Some(Err(failure)) = outcome(&net, 3, command) else { panic!("no outcome") };
    let report = failure.report.as_ref().unwrap();
    assert_eq!(report.path, Some(Path::Relayed), "the link is what it was");
    let punch = report.stages.iter().find(|s| s.stage == StageKind::Punch).unwrap();
    assert!(matches!(punch.reason, Some(crate::model::Reason::Unpunchable { .. })), "{punch:?}");
    let now = net.now;
    assert_eq!(net.nodes[3].engine.snapshot(now).kpi.attempts, before, "a link that stays has not failed");
}

#[test]
fn what_is_next_is_as_things_stand_now_and_not_as_the_attempt_ended() {
    let mut net = fleet(&[NatType::PortRestricted, NatType::Symmetric], 1);
    net.believes(4, NatType::Unknown);
    net.punches_fail = true;
    assert_eq!(connect(&mut net, 3, 4), Some(Path::Relayed));
    let next = |net: &mut Net| {
        let now = net.now;
        let shown = net.nodes[3].engine.snapshot(now);
        let attempts = shown.attempts.recent.iter().filter(|a| a.peer_id == Some(id(4)));
        attempts.map(|a| a.next.clone()).collect::<Vec<_>>()
    };
    let took = net.run_until(secs(60), |net| net.nodes[3].engine.attempts.towards(&id(4)).is_none());
    assert!(took.is_some());
    let told = next(&mut net);
    assert!(matches!(told[..], [Some(NextStep::Upgrade { at: Some(_) }), ..]), "{told:?}");
    net.believes(4, NatType::Symmetric);
    net.run(secs(10));
    let told = next(&mut net);
    assert_eq!(told[0], Some(NextStep::Upgrade { at: None }), "both NATs are known now");
    assert!(told[1..].iter().all(Option::is_none), "nothing follows what another attempt followed");
    net.punches_fail = false;
    net.set_nat(3, NatType::FullCone);
    net.run(secs(120));
    assert_ne!(path(&mut net, 3, 4), Some(Path::Relayed));
    assert!(next(&mut net).iter().all(Option::is_none), "nothing is left to be done");
}

#[test]
fn why_tells_the_story_of_both_ends_and_is_not_answered_without_end() {
    let mut net = relayed(5);
    let command = net.command(3, Command::Why { peer: id(4) });
    net.run(secs(1));
    let Some(Ok(Done::Explained(why))) = outcome(&net, 3, command) else { panic!("not explained") };
    assert_eq!(why.path, Some(Path::Relayed));
    assert!(why.verdict_words().contains("cannot be punched"), "{}", why.verdict_words());
    let who: Vec<_> = why.timeline.iter().map(|line| line.who).collect();
    assert!(who.contains(&id(3)) && who.contains(&id(4)), "{:?}", why.timeline);
    for _ in 0..10 {
        net.command(3, Command::Why { peer: id(4) });
    }
    net.run(secs(5));
    let silent = net.nodes[3].outcomes.iter().filter(|o| {
        matches!(&o.result, Ok(Done::Explained(w)) if w.evidence.iter().any(|e| matches!(e, Evidence::NoAccount(_))))
    });
    assert_eq!(silent.count(), 5, "six a minute are answered");
    let now = net.now;
    assert_eq!(net.nodes[4].engine.snapshot(now).counters.0[&DropReason::WhyRate], 5);
}

/// Two nodes linked over a relay: the end that dialled the lane, the other one,
/// and what the first knows of the other.
fn dialler(net: &mut Net) -> (usize, usize, Record) {
    let now = net.now;
    let shown = net.nodes[3].engine.snapshot(now);
    let (near, far) = if shown.link(&id(4)).is_some_and(|l| l.outbound) { (3, 4) } else { (4, 3) };
    let record = net.nodes[near].engine.book.get(id(far)).and_then(|e| e.record()).unwrap().clone();
    (near, far, record)
}

fn counted(net: &mut Net, node: usize, name: DropReason) -> u64 {
    let now = net.now;
    net.nodes[node].engine.snapshot(now).counters.0.get(&name).copied().unwrap_or(0)
}

#[test]
fn a_peer_that_changes_its_relay_all_the_time_is_followed_six_times_and_once_more_later() {
    let mut net = relayed(5);
    let (near, far, mut record) = dialler(&mut net);
    assert_eq!(record.relays.len(), 2);
    let moves = |net: &Net| {
        let moved = |e: &&crate::model::Event| matches!(e.kind, EventKind::LinkMoved { .. });
        net.nodes[near].events.iter().filter(moved).filter(|e| e.peer_id == Some(id(far))).count()
    };
    let before = (moves(&net), net.nodes[near].engine.outbox.free_dials());
    for _ in 0..17 {
        record.version += 1;
        record.relays.swap(0, 1);
        let delta = Delta { added: vec![record.clone()], removed: Vec::new() };
        net.send(far, near, &Message::Delta(delta));
        net.run(Duration::from_millis(500));
    }
    assert_eq!(moves(&net) - before.0, 6);
    assert_eq!(
        net.nodes[near].engine.outbox.free_dials(),
        before.1,
        "over the lane that stands by: nothing is dialled"
    );
    // Each second time it moves to where the link still is.
    assert!(counted(&mut net, near, DropReason::HandoversOfPeer) >= 3);
    let first = record.relays[0].relay;
    assert_ne!(relay_of(&mut net, near, far).map(id), Some(first));
    // Its engine, which knows nothing of all this, says otherwise in between.
    for _ in 0..30 {
        if moves(&net) - before.0 == 7 {
            break;
        }
        record.version += 1;
        net.send(far, near, &Message::Delta(Delta { added: vec![record.clone()], removed: Vec::new() }));
        net.run(Duration::from_millis(500));
    }
    assert_eq!(moves(&net) - before.0, 7, "it is followed once more");
    assert_eq!(relay_of(&mut net, near, far).map(id), Some(first), "to where it is now");
}

#[test]
fn a_peer_that_moves_to_a_relay_nobody_knows_is_not_followed() {
    let mut net = relayed(5);
    let (near, far, mut record) = dialler(&mut net);
    record.version += 1;
    record.relays = vec![RelayAddr { relay: id(99), addr: addr(99) }];
    let before = net.nodes[near].engine.outbox.free_dials();
    net.send(far, near, &Message::Delta(Delta { added: vec![record], removed: Vec::new() }));
    net.run(secs(1));
    assert_eq!(net.nodes[near].engine.outbox.free_dials(), before, "nothing was dialled");
    assert_eq!(counted(&mut net, near, DropReason::RelayUnknown), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is lost and whoever dials whom at the same moment.
    #[test]
    fn no_seed_leaves_an_attempt_without_an_end_or_two_ends_that_disagree(
        seed in 0u64..1 << 32,
        nats in prop::collection::vec(0usize..5, 2..6),
        loss in 0u32..40,
    ) {
        let nats: Vec<NatType> = nats.into_iter().map(|n| NATS[n]).collect();
        let mut net = fleet(&nats, seed);
        net.loss = loss;
        let count = net.nodes.len();
        let mut commands = Vec::new();
        for from in 3..count {
            for to in (3..count).filter(|to| *to != from) {
                commands.push((from, net.command(from, Command::Connect { peer: id(to) })));
            }
        }
        net.run(secs(90));
        for (node, command) in commands {
            prop_assert!(outcome(&net, node, command).is_some(), "no end");
        }
        net.run(secs(90));
        let now = net.now;
        for from in 3..count {
            let live = net.nodes[from].engine.snapshot(now).attempts.live.len();
            prop_assert!(live <= count, "attempts pile up: {live}");
            for to in from + 1..count {
                prop_assert_eq!(path(&mut net, from, to), path(&mut net, to, from), "{} and {}", from, to);
            }
        }
    }
}
