//! Many nodes connect at the same moment: what intermediaries that take only so
//! many make of it, and whether anybody is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;

use serde::Deserialize;

use crate::lab::drill::arena::{Arena, Member};
use crate::lab::drill::report::ladder;
use crate::lab::drill::run::{self, Run};
use crate::lab::drill::step::{DrillStep, named, too_long};
use crate::lab::ops::OpError;
use crate::model::{
    Command, Done, LinkReport, Outcome, Path, Reason, Snapshot, StageKind, StageOutcome, StageReport,
};

/// What a storm measures, after the step's name.
const MEASURED: [&str; 15] = [
    "_pairs",
    "_connected",
    "_lost",
    "_direct",
    "_punched",
    "_relayed",
    "_mean_ms",
    "_max_ms",
    "_refused",
    "_refused_lost",
    "_turned_away",
    "_turned_away_unrelayed",
    "_moved",
    "_stuck",
    "_refusals",
];

/// How long each has to hear of those that it is to connect to.
const ACQUAINTED_WITHIN: Duration = Duration::from_secs(60);
/// How often the nodes are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// One who connects, and to whom.
struct Pair {
    from: Member,
    to: Member,
}

/// What came of it.
struct Came {
    link: Option<(Path, u64)>,
    /// Whether an intermediary refused a punch by rate.
    refused: bool,
    /// Whether all that were asked did.
    turned_away: bool,
}

/// Every node of one crowd connects to so many of another at the same moment,
/// all to as many different ones, and those that are relayed get time to leave the relay.
/// Measured: `NAME_pairs`; `NAME_connected` and `NAME_lost`, by the first
/// usable link `NAME_direct`, `NAME_punched`, `NAME_relayed`, `NAME_mean_ms`
/// and `NAME_max_ms`; pairs of which an intermediary refused a punch by rate,
/// `NAME_refused`, and how many of them were lost, `NAME_refused_lost`; pairs
/// that every intermediary refused, `NAME_turned_away`, how many of them were
/// not relayed at first, `NAME_turned_away_unrelayed`, and of the relayed how
/// many left the relay, `NAME_moved`, and did not, `NAME_stuck`; and what the
/// intermediaries counted as refused, punches and invitations,
/// `NAME_refusals`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storm {
    /// The nodes whose names begin so and go on with a dash.
    pub from: String,
    /// The same, to whom they connect.
    pub to: String,
    /// To how many each.
    #[serde(default = "once")]
    pub each: usize,
    /// How long relayed links have to leave the relay.
    #[serde(with = "humantime_serde")]
    pub within: Duration,
    /// What is measured.
    #[serde(rename = "as")]
    pub name: String,
}

fn once() -> usize {
    1
}

impl DrillStep for Storm {
    fn words(&self) -> String {
        format!("every {} connects to {} {} at once", self.from, self.each, self.to)
    }

    fn flaw(&self) -> Option<String> {
        if self.each == 0 {
            return Some("it connects nobody".to_owned());
        }
        too_long(self.within)
    }

    fn measures(&self) -> Vec<String> {
        named(&self.name, &MEASURED)
    }

    async fn run<A: Arena>(&self, run: &mut Run<'_, A>) -> Result<(), run::Stop> {
        let Self { from, to, each, within, name } = self;
        let (each, within) = (*each, *within);
        let pairs = acquainted(run, from, to, each).await?;
        run.tell(format!("{} links are made at once", pairs.len()), None);
        let before = refusals(run);
        let dials = pairs.iter().map(|p| run.command(&p.from.name, Command::Connect { peer: p.to.peer_id }));
        let outcomes = try_join_all(dials).await?;
        run.tell("the relayed ones leave their relays".into(), Some(within));
        leave_relays(&pairs, within).await;
        let came: Vec<Came> = outcomes.iter().map(what_came).collect();
        // Of whom every intermediary refused and of whom was lost, rung by rung.
        for ((pair, outcome), came) in pairs.iter().zip(&outcomes).zip(&came) {
            if came.turned_away || came.link.is_none() {
                run.told.push(format!("{} to {}: {}", pair.from.name, pair.to.name, ladder(outcome)));
            }
        }
        let relayed_now = pairs.iter().map(is_relayed);
        let stuck = came.iter().zip(relayed_now).filter(|(c, now)| c.is(Path::Relayed) && *now).count();
        let count = |f: &dyn Fn(&Came) -> bool| came.iter().filter(|c| f(c)).count() as f64;
        let times: Vec<u64> = came.iter().filter_map(|c| c.link.map(|(_, ms)| ms)).collect();
        let relayed = count(&|c| c.is(Path::Relayed));
        let figures = [
            ("_pairs", pairs.len() as f64),
            ("_connected", times.len() as f64),
            ("_lost", count(&|c| c.link.is_none())),
            ("_direct", count(&|c| c.is(Path::Direct))),
            ("_punched", count(&|c| c.is(Path::Punched))),
            ("_relayed", relayed),
            ("_refused", count(&|c| c.refused)),
            ("_refused_lost", count(&|c| c.refused && c.link.is_none())),
            ("_turned_away", count(&|c| c.turned_away)),
            ("_turned_away_unrelayed", count(&|c| c.turned_away && !c.is(Path::Relayed))),
            ("_moved", relayed - stuck as f64),
            ("_stuck", stuck as f64),
            ("_refusals", (refusals(run) - before) as f64),
        ];
        run.measured.extend(figures.map(|(what, value)| (format!("{name}{what}"), value)));
        if let Some(max) = times.iter().max() {
            let mean = times.iter().sum::<u64>() as f64 / times.len() as f64;
            run.measure(format!("{name}_mean_ms"), mean);
            run.measure(format!("{name}_max_ms"), *max as f64);
        }
        Ok(())
    }
}

impl Came {
    fn is(&self, path: Path) -> bool {
        self.link.is_some_and(|(p, _)| p == path)
    }
}

/// Waits until each can be given as many others as it is to connect to, of whom
/// it knows. Their NATs need not be known: three responders send few dial-backs,
/// and a crowd is long in measuring its own.
async fn acquainted<A: Arena>(
    run: &Run<'_, A>,
    from: &str,
    to: &str,
    each: usize,
) -> Result<Vec<Pair>, run::Stop> {
    let crowd = |name: &str| -> Vec<Member> {
        let of = |m: &Member| m.running && m.feed.is_some() && m.name.starts_with(&format!("{name}-"));
        run.arena.members().into_iter().filter(of).collect()
    };
    let (askers, goals) = (crowd(from), crowd(to));
    let begun = Instant::now();
    loop {
        let known: Vec<Vec<usize>> = askers.iter().map(|m| known_to(m, &goals)).collect();
        let given = give_each(known, each);
        if given.len() == askers.len() * each && !given.is_empty() {
            let pair = |(n, at): (usize, usize)| Pair { from: askers[n].clone(), to: goals[at].clone() };
            return Ok(given.into_iter().map(pair).collect());
        }
        if begun.elapsed() >= ACQUAINTED_WITHIN {
            let (given, of) = (given.len(), askers.len() * each);
            let what = format!("only {given} of {of} pairs of {from}-* and {to}-* know of each other");
            return Err(OpError::Failed(what).into());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Those of `goals` that a node knows, and is not linked to.
fn known_to(node: &Member, goals: &[Member]) -> Vec<usize> {
    let Some(feed) = &node.feed else { return Vec::new() };
    let s = feed.snapshots.borrow();
    let known = |goal: &Member| {
        let row = s.peer(&goal.peer_id);
        row.is_some_and(|row| !row.addresses.is_empty()) && s.link(&goal.peer_id).is_none()
    };
    (0..goals.len()).filter(|n| known(&goals[*n])).collect()
}

/// Gives each so many of those that it knows, round by round.
fn give_each(mut known: Vec<Vec<usize>>, each: usize) -> Vec<(usize, usize)> {
    let mut all = Vec::new();
    for _ in 0..each {
        for (n, goal) in give_each_one(&known) {
            known[n].retain(|other| *other != goal);
            all.push((n, goal));
        }
    }
    all
}

/// Gives each one of those that it knows, to nobody the same, and as many as
/// can be: who finds his taken looks whether its owner can take another one.
fn give_each_one(known: &[Vec<usize>]) -> BTreeMap<usize, usize> {
    fn find(
        n: usize,
        known: &[Vec<usize>],
        seen: &mut BTreeSet<usize>,
        owner: &mut BTreeMap<usize, usize>,
    ) -> bool {
        for goal in &known[n] {
            let free = seen.insert(*goal)
                && owner.get(goal).copied().is_none_or(|other| find(other, known, seen, owner));
            if free {
                owner.insert(*goal, n);
                return true;
            }
        }
        false
    }
    let mut owner = BTreeMap::new();
    for n in 0..known.len() {
        find(n, known, &mut BTreeSet::new(), &mut owner);
    }
    owner.into_iter().map(|(goal, n)| (n, goal)).collect()
}

/// What all nodes counted of requests that a rate stopped.
fn refusals<A: Arena>(run: &Run<'_, A>) -> u64 {
    let of = |s: &Snapshot| -> u64 {
        s.counters.0.iter().filter(|(why, _)| why.is_punch_rate()).map(|(_, count)| count).sum()
    };
    let members = run.arena.members();
    members.iter().filter_map(|m| m.feed.as_ref()).map(|feed| of(&feed.snapshots.borrow())).sum()
}

fn is_relayed(pair: &Pair) -> bool {
    let feed = pair.from.feed.as_ref();
    feed.is_some_and(|f| f.snapshots.borrow().link(&pair.to.peer_id).is_some_and(|l| l.path == Path::Relayed))
}

async fn leave_relays(pairs: &[Pair], within: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < within && pairs.iter().any(is_relayed) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn what_came(outcome: &Outcome) -> Came {
    let report = match &outcome.result {
        Ok(Done::Connected(report)) => Some(report),
        _ => None,
    };
    let link = report.and_then(|r: &LinkReport| Some((r.path?, r.elapsed_ms)));
    // The ladder as it was when the link came up: what runs behind it later says
    // nothing of why it was relayed.
    let failed = match &outcome.result {
        Err(failure) => failure.report.as_deref(),
        Ok(_) => None,
    };
    let stages = report.or(failed).map(|r| r.stages.clone()).unwrap_or_default();
    let punches: Vec<&StageReport> = stages.iter().filter(|s| s.stage == StageKind::Punch).collect();
    let by_rate =
        |s: &StageReport| s.outcome == StageOutcome::Failed && s.reason == Some(Reason::RateLimited);
    Came {
        link,
        refused: punches.iter().any(|s| by_rate(s)),
        turned_away: !punches.is_empty() && punches.iter().all(|s| by_rate(s)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_gets_one_of_its_own_though_all_know_the_first() {
        let given = give_each_one(&[vec![0, 1], vec![0], vec![0, 1, 2]]);
        assert_eq!(given, BTreeMap::from([(0, 1), (1, 0), (2, 2)]));
    }

    #[test]
    fn in_each_round_one_is_given_to_nobody_twice_and_never_the_same_again() {
        let mut given = give_each(vec![vec![0, 1]; 2], 2);
        given.sort_unstable();
        assert_eq!(given, [(0, 0), (0, 1), (1, 0), (1, 1)]);
    }

    #[test]
    fn who_knows_nobody_of_its_own_gets_none() {
        assert_eq!(give_each_one(&[vec![0], vec![0], vec![]]).len(), 1);
    }
}
