//! Many connect at the same moment, and intermediaries take only so many.

use std::time::Duration;

use super::secs;
use crate::core::sim::{Net, addr, id};
use crate::model::{Command, CommandId, Done, NatType, Path, Reason, StageKind, StageReport};

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

/// So many requesters, and as many targets, behind port-restricted NATs, linked
/// to the public nodes alone, and known to each other by gossip.
struct Crowd {
    net: Net,
    public: usize,
    pairs: usize,
}

impl Crowd {
    fn new(public: usize, pairs: usize, seed: u64) -> Self {
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
        net.run(secs(10));
        for n in public..net.nodes.len() {
            assert_eq!(net.up_links(n), public, "node {n} is linked to the public ones alone");
            assert_eq!(net.known(n), net.nodes.len() - 1, "node {n} knows everybody");
            if n >= public + pairs {
                net.nodes[n].away = AWAY;
            }
        }
        Self { net, public, pairs }
    }

    /// Every requester connects to so many targets at one moment. How each went,
    /// and nobody was lost.
    fn storm(&mut self, each: usize) -> Vec<Came> {
        let Self { net, public, pairs } = self;
        let mut asked: Vec<(usize, usize, CommandId)> = Vec::new();
        for (n, k) in (0..*pairs).flat_map(|n| (0..each).map(move |k| (n, k))) {
            let (from, to) = (*public + n, *public + *pairs + (n + k) % *pairs);
            asked.push((from, to, net.command(from, Command::Connect { peer: id(to) })));
        }
        let ended =
            |net: &Net| asked.iter().all(|(from, _, command)| outcome(net, *from, *command).is_some());
        net.run_until(secs(60), ended).expect("every attempt ends");
        let came: Vec<Came> =
            asked.iter().map(|(from, to, command)| came(net, *from, *to, *command)).collect();
        for c in &came {
            assert!(c.path.is_some(), "{} to {} after {:?}: {:?}", c.from, c.to, c.took, c.stages);
        }
        came
    }

    /// Nobody stays on a relay when the storm is over.
    fn leaves_its_relays(&mut self, came: &[Came]) {
        self.net.run(secs(40));
        for c in came {
            let now = self.net.now;
            let shown = self.net.nodes[c.from].engine.snapshot(now);
            let path = shown.links.iter().find(|l| l.peer_id == id(c.to)).map(|l| l.path);
            assert!(path.is_some_and(Path::is_straight), "{} to {} is {path:?}", c.from, c.to);
        }
    }
}

fn outcome(net: &Net, from: usize, command: CommandId) -> Option<&Result<Done, crate::model::Failure>> {
    net.nodes[from].outcomes.iter().find(|o| o.id == command).map(|o| &o.result)
}

fn came(net: &Net, from: usize, to: usize, command: CommandId) -> Came {
    let report = match outcome(net, from, command) {
        Some(Ok(Done::Connected(report))) => Some(report),
        Some(Err(failure)) => failure.report.as_deref(),
        _ => None,
    };
    let report = report.expect("it says how it went");
    let took = Duration::from_millis(report.elapsed_ms);
    Came { from, to, path: report.path, took, stages: report.stages.clone() }
}

#[test]
fn nobody_is_lost_in_a_storm_of_punches() {
    let mut crowd = Crowd::new(3, 50, 1);
    let came = crowd.storm(1);
    let turned_away: Vec<&Came> = came.iter().filter(|c| c.turned_away()).collect();
    assert_eq!((came.len(), turned_away.len()), (50, 2), "three intermediaries take 48 at once");
    assert!(turned_away.iter().all(|c| c.path == Some(Path::Relayed)), "a relay carries those first");
    assert!(came.iter().all(|c| c.took < secs(5)), "nobody waits long");
    crowd.leaves_its_relays(&came);
}

#[test]
fn nobody_is_lost_where_all_have_one_intermediary() {
    let mut crowd = Crowd::new(1, 50, 2);
    let came = crowd.storm(1);
    let turned_away: Vec<&Came> = came.iter().filter(|c| c.turned_away()).collect();
    assert_eq!(turned_away.len(), 34, "it takes 16 at once");
    assert!(turned_away.iter().all(|c| c.path == Some(Path::Relayed)));
    crowd.leaves_its_relays(&came);
}

#[test]
fn nobody_is_lost_when_each_connects_to_four_and_dials_are_lost() {
    for seed in 0..2 {
        let mut crowd = Crowd::new(3, 16, seed);
        crowd.net.loss = 20;
        let came = crowd.storm(4);
        assert!(came.iter().any(Came::turned_away));
        crowd.leaves_its_relays(&came);
    }
}
