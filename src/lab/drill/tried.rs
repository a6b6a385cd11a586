//! What became of the attempts of all nodes while a drill takes some of them
//! away: towards or from those nothing else could come of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use super::arena::Member;
use super::check::Unit;
use super::report::Figure;
use crate::core::ladder::decisive_reason;
use crate::lab::fault::Fault;
use crate::lab::ops::FleetOp;
use crate::model::{Attempt, AttemptId, AttemptOutcome, Cause, Path, PeerId, Stamp, millis};

/// When a node could not be reached.
#[derive(Debug)]
struct Away {
    peer: PeerId,
    from: Stamp,
    until: Option<Stamp>,
}

/// Counts attempts as they are over.
#[derive(Debug, Default)]
pub(super) struct Tried {
    away: Vec<Away>,
    /// Those of each node's recent attempts that were counted.
    counted: BTreeMap<String, BTreeSet<AttemptId>>,
    paths: [u64; 3],
    total_ms: u64,
    /// Unreachable because the drill took one end away.
    taken: u64,
    /// Unreachable without that.
    lost: u64,
    /// The latter in words.
    told: Vec<String>,
}

/// This moment, as the nodes' clocks have it.
pub(super) fn moment() -> Stamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Stamp(i64::try_from(millis(since)).unwrap_or(i64::MAX))
}

impl Tried {
    /// Something is about to be done to the fleet: who is taken away by it.
    pub(super) fn before(&mut self, op: &FleetOp, members: &[Member]) {
        let (FleetOp::Stop(name)
        | FleetOp::Kill(name)
        | FleetOp::Cut(name)
        | FleetOp::Fault(Fault::Suspend { node: name } | Fault::Readdress { host: name })) = op
        else {
            return;
        };
        // What it tried so far is forgotten with it.
        self.collect(members);
        let Some(peer) = members.iter().find(|m| m.name == *name).map(|m| m.peer_id) else { return };
        if !self.away.iter().any(|a| a.peer == peer && a.until.is_none()) {
            self.away.push(Away { peer, from: moment(), until: None });
        }
    }

    /// Something was done: who is back.
    pub(super) fn after(&mut self, op: &FleetOp, members: &[Member]) {
        let (FleetOp::Start { node: name, .. }
        | FleetOp::Heal(name)
        | FleetOp::Fault(Fault::Wake { node: name } | Fault::Readdress { host: name })) = op
        else {
            return;
        };
        if matches!(op, FleetOp::Start { .. }) {
            // It counts its attempts from one again.
            self.counted.remove(name);
        }
        let peer = members.iter().find(|m| m.name == *name).map(|m| m.peer_id);
        for away in self.away.iter_mut().filter(|a| Some(a.peer) == peer && a.until.is_none()) {
            away.until = Some(moment());
        }
    }

    /// Counts what was over since the last time. A node remembers its last 200
    /// attempts; so this is to be called more often than it makes as many.
    pub(super) fn collect(&mut self, members: &[Member]) {
        for member in members {
            let Some(feed) = member.feed.as_ref() else { continue };
            let recent = feed.snapshots.borrow().attempts.recent.clone();
            let seen = self.counted.remove(&member.name).unwrap_or_default();
            for attempt in recent.iter().filter(|a| !seen.contains(&a.id)) {
                self.count(member, attempt, members);
            }
            self.counted.insert(member.name.clone(), recent.iter().map(|a| a.id).collect());
        }
    }

    fn count(&mut self, member: &Member, attempt: &Attempt, members: &[Member]) {
        // A link that stays where it is has not failed.
        if attempt.cause == Cause::Upgrade {
            return;
        }
        match (attempt.outcome, attempt.path) {
            (Some(AttemptOutcome::Connected), Some(path)) => {
                self.paths[path as usize] += 1;
                self.total_ms += attempt.elapsed_ms.unwrap_or(0);
            }
            (Some(AttemptOutcome::Unreachable), _) if self.was_taken(member.peer_id, attempt) => {
                self.taken += 1;
            }
            (Some(AttemptOutcome::Unreachable), _) => {
                self.lost += 1;
                let name = members.iter().find(|m| Some(m.peer_id) == attempt.peer_id).map(|m| &m.name);
                let to = name.cloned().unwrap_or_else(|| "a bootstrap address".into());
                let why = decisive_reason(&attempt.stages).map_or("no reason".into(), ToString::to_string);
                self.told.push(format!("{} to {to}: unreachable: {why}", member.name));
            }
            _ => {}
        }
    }

    /// Whether an end of an attempt was away while it ran.
    fn was_taken(&self, from: PeerId, attempt: &Attempt) -> bool {
        let (begun, took) = (attempt.started, i64::try_from(attempt.elapsed_ms.unwrap_or(0)).unwrap_or(0));
        let ended = Stamp(begun.0.saturating_add(took));
        // An address alone may be anybody's.
        let concerns = |peer: PeerId| peer == from || attempt.peer_id.is_none_or(|to| to == peer);
        let meets = |a: &Away| a.from <= ended && a.until.is_none_or(|until| begun <= until);
        self.away.iter().any(|a| concerns(a.peer) && meets(a))
    }

    /// How many came to nothing though both ends were there.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// As a report shows it.
    pub(super) fn figures(&self) -> Vec<Figure> {
        let connected: u64 = self.paths.iter().sum();
        let could = connected + self.lost;
        let count = |name, value: u64| Figure::new(name, Some(value as f64), Unit::Count);
        let share = (could > 0).then(|| connected as f64 / could as f64);
        let mean = (connected > 0).then(|| self.total_ms as f64 / connected as f64);
        vec![
            count("attempts", could + self.taken),
            count("in vain, an end was taken away", self.taken),
            count("in vain, both ends were there", self.lost),
            Figure::new("connected, where both ends were there", share, Unit::Ratio),
            count("direct", self.paths[Path::Direct as usize]),
            count("punched", self.paths[Path::Punched as usize]),
            count("relayed", self.paths[Path::Relayed as usize]),
            Figure::new("mean time to a link", mean, Unit::Ms),
        ]
    }

    /// Those that came to nothing though both ends were there, in words.
    pub(super) fn take_told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: PeerId = PeerId([1; 32]);
    const B: PeerId = PeerId([2; 32]);

    fn member(name: &str, peer_id: PeerId) -> Member {
        Member { name: name.into(), peer_id, running: true, feed: None }
    }

    fn attempt(outcome: AttemptOutcome, started: Stamp, ms: u64) -> Attempt {
        Attempt {
            id: AttemptId(1),
            peer_id: Some(B),
            target: None,
            cause: Cause::Gossip,
            started,
            outcome: Some(outcome),
            path: (outcome == AttemptOutcome::Connected).then_some(Path::Direct),
            elapsed_ms: Some(ms),
            stages: Vec::new(),
            next: None,
        }
    }

    #[test]
    fn an_attempt_in_vain_counts_against_us_only_if_both_ends_were_there() {
        let members = [member("a", A), member("b", B)];
        let mut tried = Tried::default();
        let unreachable = |at: Stamp, ms| attempt(AttemptOutcome::Unreachable, at, ms);
        let long_ago = moment().before(std::time::Duration::from_secs(60));
        tried.count(&members[0], &unreachable(long_ago, 1_000), &members);
        assert_eq!((tried.lost, tried.taken), (1, 0), "over before anybody was taken away");
        tried.before(&FleetOp::Cut("b".into()), &members);
        tried.count(&members[0], &unreachable(long_ago, 70_000), &members);
        tried.count(&members[0], &unreachable(moment(), 10), &members);
        assert_eq!((tried.lost, tried.taken), (1, 2));
        tried.after(&FleetOp::Heal("b".into()), &members);
        let later = moment().after(std::time::Duration::from_secs(1));
        tried.count(&members[0], &unreachable(later, 10), &members);
        assert_eq!((tried.lost, tried.taken), (2, 2), "it is back");
        assert_eq!(tried.take_told(), ["a to b: unreachable: no reason"; 2]);
        let named =
            |tried: &Tried, name: &str| tried.figures().into_iter().find(|f| f.name == name).unwrap().value;
        tried.count(&members[0], &attempt(AttemptOutcome::Connected, later, 8), &members);
        tried.count(&members[0], &attempt(AttemptOutcome::Abandoned, later, 8), &members);
        assert_eq!(named(&tried, "attempts"), Some(5.0));
        let share = named(&tried, "connected, where both ends were there").unwrap();
        assert!((share - 1.0 / 3.0).abs() < 1e-9, "{share}");
    }
}
