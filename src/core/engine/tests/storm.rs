//! Many connect at the same moment, and intermediaries take only so many.

use std::time::Duration;

use super::super::sim::{Net, addr, id};
use super::secs;
use crate::model::{Command, CommandId, Done, NatType, Path, Reason, StageKind, StageReport};

const PUBLIC: usize = 3;
const LATENCY: Duration = Duration::from_millis(10);
/// The targets are so far away that a crowd's punches fill what an intermediary
/// has in flight.
const AWAY: Duration = Duration::from_millis(190);

/// What came of one who connected.
struct Came {
    from: usize,
    to: usize,
    path: Option<Path>,
    took: Duration,
    stages: Vec<StageReport>,
}

impl Came {
    /// Whether every intermediary that was asked refused the punch by rate.
    fn turned_away(&self) -> bool {
        let mut punches = self.stages.iter().filter(|s| s.stage == StageKind::Punch).peekable();
        punches.peek().is_some() && punches.all(|s| s.reason == Some(Reason::RateLimited))
    }
}

/// So many requesters and targets behind port-restricted NATs, linked to the
/// public nodes alone, and known to each other by gossip.
fn crowd(public: usize, pairs: usize, seed: u64) -> Net {
    let mut net = Net::new(seed, LATENCY);
    let addresses: Vec<_> = (0..public).map(addr).collect();
    for n in 0..public {
        net.add_behind(NatType::None, true, &addresses[..n]);
        net.believes(n, NatType::None);
    }
    for _ in 0..pairs * 2 {
        let n = net.add_behind(NatType::PortRestricted, true, &addresses);
        net.believes(n, NatType::PortRestricted);
    }
    net.run(secs(30));
    for n in public..net.nodes.len() {
        assert_eq!(net.up_links(n), public, "node {n} is linked to the public ones alone");
        assert_eq!(net.known(n), net.nodes.len() - 1, "node {n} knows everybody");
        if n >= public + pairs {
            net.nodes[n].away = AWAY;
        }
    }
    net
}

/// Every requester connects to so many targets at one moment.
fn storm(net: &mut Net, public: usize, pairs: usize, each: usize) -> Vec<Came> {
    let all = (0..pairs).flat_map(|n| (0..each).map(move |k| (public + n, public + pairs + (n + k) % pairs)));
    let asked: Vec<(usize, usize, CommandId)> =
        all.map(|(from, to)| (from, to, net.command(from, Command::Connect { peer: id(to) }))).collect();
    net.run(secs(62));
    asked.into_iter().map(|(from, to, command)| came(net, from, to, command)).collect()
}

fn came(net: &Net, from: usize, to: usize, command: CommandId) -> Came {
    let outcome = net.nodes[from].outcomes.iter().find(|o| o.id == command).expect("every attempt ends");
    let (path, report) = match &outcome.result {
        Ok(Done::Connected(report)) => (report.path, Some(report)),
        Ok(_) => (None, None),
        Err(failure) => (None, failure.report.as_deref()),
    };
    let report = report.expect("it says how it went");
    Came { from, to, path, took: Duration::from_millis(report.elapsed_ms), stages: report.stages.clone() }
}

fn path_now(net: &mut Net, from: usize, to: usize) -> Option<Path> {
    let now = net.now;
    let shown = net.nodes[from].engine.snapshot(now);
    shown.links.iter().find(|l| l.peer_id == id(to)).map(|l| l.path)
}

fn nobody_is_lost(net: &mut Net, all: &[Came]) {
    for came in all {
        assert!(came.path.is_some(), "{} to {}: {:?}", came.from, came.to, came.stages);
        let now = path_now(net, came.from, came.to);
        assert_ne!(now, Some(Path::Relayed), "{} to {} left its relay", came.from, came.to);
    }
}

#[test]
fn nobody_is_lost_in_a_storm_of_punches() {
    let mut net = crowd(PUBLIC, 50, 1);
    let all = storm(&mut net, PUBLIC, 50, 1);
    for c in &all { eprintln!("{:?} {:?} {}", c.path, c.took, c.turned_away()); }
    assert_eq!(all.len(), 50);
    nobody_is_lost(&mut net, &all);
    let turned_away: Vec<&Came> = all.iter().filter(|c| c.turned_away()).collect();
    assert!(!turned_away.is_empty(), "three intermediaries take 48 at once");
    assert!(turned_away.iter().all(|c| c.path == Some(Path::Relayed)), "a relay carries those first");
}

#[test]
fn nobody_is_lost_when_all_have_one_intermediary() {
    let mut net = crowd(1, 50, 2);
    let all = storm(&mut net, 1, 50, 1);
    for c in &all { eprintln!("{:?} {:?} {}", c.path, c.took, c.turned_away()); }
    nobody_is_lost(&mut net, &all);
}

#[test]
fn nobody_is_lost_when_each_connects_to_four() {
    let mut net = crowd(PUBLIC, 50, 3);
    let all = storm(&mut net, PUBLIC, 50, 4);
    for c in &all { eprintln!("{:?} {:?} {}", c.path, c.took, c.turned_away()); }
    nobody_is_lost(&mut net, &all);
}

#[test]
fn nobody_is_lost_when_dials_are_lost_too() {
    let mut net = crowd(PUBLIC, 50, 4);
    net.loss = 20;
    let all = storm(&mut net, PUBLIC, 50, 1);
    for c in &all { eprintln!("{:?} {:?} {}", c.path, c.took, c.turned_away()); }
    nobody_is_lost(&mut net, &all);
}
