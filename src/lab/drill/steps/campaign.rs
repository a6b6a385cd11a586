//! Nodes come up, link to the public ones, are asked to connect to one another,
//! and report it to a registry, over and over; it is then asked whether the
//! specification's criteria are met.
//!
//! The population is stated: the attempts that somebody asked for, which are, in
//! each sweep, every ordered pair of the nodes that are not on public hosts, once.
//! Before either direction of a pair all of them come up anew, knowing nobody,
//! behind routers that forgot whom they let in while nobody ran. So no attempt
//! profits from an earlier one, and none of those that nodes make by themselves,
//! as towards peers that are down for that, is counted.

use std::fmt::Write as _;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};

use crate::files::read;
use crate::files::sealed::{self, Found};
use crate::lab::drill::arena::{Arena, Member, Need};
use crate::lab::drill::report::ladder;
use crate::lab::drill::run::{self, Run};
use crate::lab::drill::step::{DrillStep, named, too_long};
use crate::lab::drill::tried::moment;
use crate::lab::ops::{FleetOp, OpError};
use crate::model::{Command, Criterion, CriterionView, Done, NatType, Outcome, Path, PeerId, Stamp, Unit};
use crate::node::disk;
use crate::registry::{MatrixCell, Overview};

/// What a campaign measures, after the step's name.
const MEASURED: [&str; 10] = [
    "_sweeps",
    "_asked",
    "_attempts",
    "_missing",
    "_connectivity",
    "_direct",
    "_punched",
    "_relayed",
    "_mean_ms",
    "_propagation",
];

/// The library lets go of a stopped node's port by then.
const PORTS_FREE: Duration = Duration::from_secs(8);
/// Nodes that come up are linked to every public one, have measured their NATs,
/// and have heard of one another's, by then.
const UP_WITHIN: Duration = Duration::from_secs(45);
/// Connections that nodes were asked for at once have ended, and what goes on
/// behind them does not disturb the next ones.
const APART: Duration = Duration::from_millis(1_500);
/// What was reported is at the registry by then: two batches' time.
const REPORTED_WITHIN: Duration = Duration::from_secs(10);
/// Digests are compared once a minute.
const SPREAD_WITHIN: Duration = Duration::from_secs(100);
/// A campaign may be long, and its report is read by a person.
const EXPLAINED_MAX: usize = 40;
/// A longer one was not written by us.
const PROGRESS_MAX: u64 = 4 * 1024;
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How far a campaign is, on disk where it may be interrupted.
#[derive(Debug, Serialize, Deserialize)]
struct Progress {
    asked_s: u64,
    done_s: u64,
    /// Halves of sweeps that are over.
    halves: u64,
    /// Connections asked for.
    asked: u64,
    begun: Stamp,
    #[serde(skip)]
    file: Option<PathBuf>,
}

/// Where the progress of a campaign stands whose reports are in `db`.
fn progress_file(db: &FilePath) -> PathBuf {
    db.with_extension("progress.json")
}

/// Whether a campaign of that length was interrupted, whose reports are in `db`.
pub(in crate::lab) fn was_interrupted(db: &FilePath, time: Duration) -> bool {
    let left = read_progress(&progress_file(db));
    db.exists() && left.is_some_and(|left| left.asked_s == time.as_secs() && left.done_s < left.asked_s)
}

impl Progress {
    fn begin(db: Option<&FilePath>, time: Duration) -> Self {
        let file = db.map(progress_file);
        let left = file.as_ref().filter(|_| db.is_some_and(|db| was_interrupted(db, time)));
        let left = left.and_then(|file| read_progress(file));
        let fresh =
            Self { asked_s: time.as_secs(), done_s: 0, halves: 0, asked: 0, begun: moment(), file: None };
        Self { file, ..left.unwrap_or(fresh) }
    }

    /// What is lost if this fails is a resumption.
    fn save(&self) {
        let Some(file) = &self.file else { return };
        let written = serde_json::to_vec(self).map_err(std::io::Error::other);
        let written =
            written.and_then(|bytes| disk::write_atomic(file, &sealed::seal(&bytes), disk::FILE_MODE));
        if let Err(error) = written {
            tracing::warn!(%error, "the campaign cannot be resumed from here");
        }
    }
}

/// What is damaged is not resumed.
fn read_progress(file: &FilePath) -> Option<Progress> {
    let bytes = read::bytes(file, PROGRESS_MAX).ok()?;
    match sealed::open(&bytes) {
        Found::Whole(content) | Found::Bare(content) => serde_json::from_slice(content).ok(),
        Found::Damaged => None,
    }
}

/// Nodes come up and connect to one another, again and again, and report it
/// to a registry in the lab. Its figures: `NAME_attempts` and what the
/// specification's criteria are about, `NAME_connectivity`, `NAME_direct`,
/// `NAME_punched`, `NAME_relayed`, `NAME_mean_ms` and `NAME_propagation`;
/// `NAME_asked` connections in `NAME_sweeps` over all ordered pairs; and
/// reports that were dropped or refused, `NAME_missing`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Campaign {
    /// How long; the sweep under way is ended.
    #[serde(rename = "for", with = "humantime_serde")]
    pub time: Duration,
    /// What is measured.
    #[serde(rename = "as")]
    pub name: String,
}

impl DrillStep for Campaign {
    fn words(&self) -> String {
        let time = self.time.as_secs();
        format!("nodes come up, connect to one another and report it, for {time} s")
    }

    fn flaw(&self) -> Option<String> {
        too_long(self.time)
    }

    fn need(&self) -> Option<Need<'_>> {
        Some(Need::Registry)
    }

    fn measures(&self) -> Vec<String> {
        named(&self.name, &MEASURED)
    }

    async fn run<A: Arena>(&self, run: &mut Run<'_, A>) -> Result<(), run::Stop> {
        let Self { time, name } = self;
        let time = *time;
        let members: Vec<Member> =
            run.arena.members().into_iter().filter(|m| m.running && m.feed.is_some()).collect();
        let mut progress = Progress::begin(run.keep, time);
        if progress.done_s > 0 {
            let note = format!("resumed after {} of {} s", progress.done_s, progress.asked_s);
            run.tell(note.clone(), None);
            run.told.push(note);
        }
        // What was tried to get here is no part of it.
        tokio::time::sleep(REPORTED_WITHIN).await;
        if progress.done_s == 0 {
            progress.begun = moment();
        }
        let nodes: Vec<String> = members.iter().map(|m| m.name.clone()).collect();
        let (public, others) = apart(run, nodes);
        let mut lost = 0;
        while progress.done_s < progress.asked_s {
            // Where it was interrupted between two halves, the second one comes next.
            let next = usize::try_from(progress.halves % 2).unwrap_or(0);
            for pairs in halves(others.len()).into_iter().skip(next) {
                let begun = Instant::now();
                let note = format!(
                    "sweep {}, {} of {} s, {} connections asked for",
                    progress.halves / 2 + 1,
                    progress.done_s,
                    progress.asked_s,
                    progress.asked
                );
                run.tell(note, None);
                lost += half(run, &public, &others, &pairs).await?;
                progress.asked += pairs.iter().map(Vec::len).sum::<usize>() as u64;
                progress.done_s += begun.elapsed().as_secs();
                progress.halves += 1;
                progress.save();
            }
        }
        run.tell("the last reports arrive, and records spread".into(), Some(SPREAD_WITHIN));
        tokio::time::sleep(REPORTED_WITHIN).await;
        let all = run.arena.members();
        lost += never_heard(&all);
        let spread = |o: &Overview| o.kpi.kpi.propagation.is_some_and(|p| p.known == p.expected);
        let seen = wait_for(run, progress.begun, SPREAD_WITHIN, spread).await?;
        note(run, &all, &progress, &seen, name, lost);
        if let Some(file) = &progress.file {
            // It is over; the reports stay for whoever wants to look.
            let _ = std::fs::remove_file(file);
        }
        Ok(())
    }
}

/// Those on public hosts, and the others.
fn apart<A: Arena>(run: &Run<'_, A>, nodes: Vec<String>) -> (Vec<String>, Vec<String>) {
    nodes.into_iter().partition(|name| run.arena.nat_of(name).is_none())
}

/// Every ordered pair once, its two directions in different halves; in each
/// round each node asks once and is asked once.
fn halves(n: usize) -> [Vec<Vec<(usize, usize)>>; 2] {
    let round = |shift: usize| -> Vec<_> { (0..n).map(|from| (from, (from + shift) % n)).collect() };
    let (low, high) = (1..n.div_ceil(2), n / 2 + 1..n);
    let mut halves = [low.map(round).collect::<Vec<_>>(), high.map(round).collect()];
    if n.is_multiple_of(2) {
        // Opposite ones, each direction in its own half.
        for (half, from) in halves.iter_mut().zip([0, n / 2]) {
            half.push(round(n / 2).into_iter().skip(from).take(n / 2).collect());
        }
    }
    halves
}

/// Everybody but the public ones comes up anew, and half of the pairs connect.
/// Gives how many reports nodes gave up.
async fn half<A: Arena>(
    run: &mut Run<'_, A>,
    public: &[String],
    others: &[String],
    rounds: &[Vec<(usize, usize)>],
) -> Result<u64, run::Stop> {
    let lost = never_heard(&members(run, others));
    for name in others {
        run.arena.act(FleetOp::Stop(name.clone())).await?;
    }
    tokio::time::sleep(PORTS_FREE).await;
    for name in others {
        // The others let everybody in, whatever they remember.
        let filters = |nat| !matches!(nat, NatType::None | NatType::FullCone);
        if run.arena.nat_of(name).is_some_and(filters) {
            run.arena.act(FleetOp::Flush(name.clone())).await?;
        }
    }
    for name in others {
        run.arena.act(FleetOp::Start { node: name.clone(), passive: true }).await?;
    }
    let up = members(run, others);
    let hubs: Vec<PeerId> = members(run, public).iter().map(|m| m.peer_id).collect();
    let ready = |m: &Member| {
        m.feed.as_ref().is_some_and(|f| {
            let seen = f.snapshots.borrow();
            let told =
                |other: &Member| seen.peer(&other.peer_id).is_some_and(|r| r.nat_type != NatType::Unknown);
            seen.nat.measured.is_some()
                && hubs.iter().all(|hub| seen.link(hub).is_some())
                && up.iter().all(|other| other.peer_id == m.peer_id || told(other))
        })
    };
    let begun = Instant::now();
    while begun.elapsed() < UP_WITHIN && !up.iter().all(ready) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    for pairs in rounds {
        let connects = pairs
            .iter()
            .map(|(from, to)| run.command(&up[*from].name, Command::Connect { peer: up[*to].peer_id }));
        let outcomes = try_join_all(connects).await?;
        for ((from, to), outcome) in pairs.iter().zip(&outcomes) {
            explain(run, (&others[*from], &others[*to]), outcome);
        }
        tokio::time::sleep(APART).await;
    }
    Ok(lost)
}

/// Why somebody who lets everybody in was not reached directly, rung by rung.
fn explain<A: Arena>(run: &mut Run<'_, A>, (from, to): (&str, &str), outcome: &Outcome) {
    let open = matches!(run.arena.nat_of(to), Some(NatType::None | NatType::FullCone));
    let direct = matches!(&outcome.result, Ok(Done::Connected(r)) if r.path == Some(Path::Direct));
    if open && !direct && run.told.len() < EXPLAINED_MAX {
        run.told.push(format!("{from} to {to}: {}", ladder(outcome)));
    }
}

fn members<A: Arena>(run: &Run<'_, A>, names: &[String]) -> Vec<Member> {
    let all = run.arena.members();
    names.iter().filter_map(|name| all.iter().find(|m| m.name == *name).cloned()).collect()
}

/// Reports that nodes dropped or a registry would not have.
fn never_heard(members: &[Member]) -> u64 {
    let feeds = members.iter().filter_map(|m| m.feed.as_ref());
    feeds.map(|f| f.snapshots.borrow().reporting.clone()).map(|r| r.dropped + r.refused).sum()
}

async fn overview<A: Arena>(run: &Run<'_, A>, since: Stamp) -> Result<Arc<Overview>, OpError> {
    run.arena.reported(since.age_at(moment())).await
}

async fn wait_for<A: Arena>(
    run: &Run<'_, A>,
    since: Stamp,
    within: Duration,
    holds: impl Fn(&Overview) -> bool,
) -> Result<Arc<Overview>, OpError> {
    let begun = Instant::now();
    loop {
        let seen = overview(run, since).await?;
        if holds(&seen) || begun.elapsed() >= within {
            return Ok(seen);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// The verdict's figures, and in words what they are about.
fn note<A: Arena>(
    run: &mut Run<'_, A>,
    members: &[Member],
    progress: &Progress,
    seen: &Overview,
    name: &str,
    missing: u64,
) {
    let kpi = &seen.kpi.kpi;
    let mut figures = vec![
        ("_sweeps", Some((progress.halves / 2) as f64)),
        ("_asked", Some(progress.asked as f64)),
        ("_attempts", Some(kpi.attempts as f64)),
        ("_missing", Some(missing as f64)),
    ];
    for criterion in &kpi.criteria {
        let what = match criterion.name {
            Criterion::Connectivity => "_connectivity",
            Criterion::Direct => "_direct",
            Criterion::Punched => "_punched",
            Criterion::Relayed => "_relayed",
            Criterion::ConnectTime => "_mean_ms",
            Criterion::Propagation => "_propagation",
        };
        figures.push((what, criterion.value));
    }
    let figures = figures.into_iter().filter_map(|(what, value)| Some((format!("{name}{what}"), value?)));
    run.measured.extend(figures);

    let nat = |m: &Member| run.arena.nat_of(&m.name).unwrap_or(NatType::None);
    let mut mix = String::new();
    for kind in NatType::ALL {
        let count = members.iter().filter(|m| nat(m) == kind).count();
        if count > 0 {
            let _ = write!(mix, "{}{count} {kind}", if mix.is_empty() { "" } else { ", " });
        }
    }
    let (n, sweeps) = (members.len(), progress.halves / 2);
    let mut told = vec![format!(
        "population: {n} nodes by their NAT: {mix}; every ordered pair of those that are not on a public host \
         {sweeps} times, each time after a fresh start: {} connections asked for in {} s, {} attempts reported",
        progress.asked, progress.done_s, kpi.attempts
    )];
    told.extend(kpi.criteria.iter().map(in_words));
    told.extend(seen.matrix.cells.iter().map(pair_in_words));
    run.told.extend(told);
}

fn in_words(c: &CriterionView) -> String {
    let value = match (c.value, c.unit) {
        (None, _) => "nothing measured".to_owned(),
        (Some(ms), Unit::Ms) => format!("{ms:.1} ms over {}", c.denominator),
        (Some(rate), _) => format!("{:.2} %, {} of {}", rate * 100.0, c.numerator, c.denominator),
    };
    let interval = c.interval.map(|[lo, hi]| format!(" [{:.1}, {:.1}]", lo * 100.0, hi * 100.0));
    let verdict = match c.met {
        None => "",
        Some(true) => ": met",
        Some(false) => ": missed",
    };
    let few = if c.n_too_small { ", n too small" } else { "" };
    format!("{}: {value}{}, target {}{verdict}{few}", c.title, interval.unwrap_or_default(), c.target)
}

fn pair_in_words(cell: &MatrixCell) -> String {
    let kpi = &cell.kpi;
    let mean = kpi.mean_connect_ms.map(|ms| format!(", mean {ms:.0} ms")).unwrap_or_default();
    format!(
        "{} to {}: {} of {}; direct {}, punched {}, relayed {} ({} left the relay), unreachable {}{mean}",
        cell.from,
        cell.to,
        kpi.connected,
        kpi.attempts,
        kpi.direct,
        kpi.punched,
        kpi.relayed,
        kpi.moved,
        kpi.unreachable
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_sweep_has_every_ordered_pair_once_and_the_two_directions_in_different_halves() {
        for n in [2, 3, 8, 9] {
            let halves = halves(n);
            let pairs =
                |half: &Vec<Vec<(usize, usize)>>| half.iter().flatten().copied().collect::<BTreeSet<_>>();
            let [there, back] = [pairs(&halves[0]), pairs(&halves[1])];
            assert_eq!(halves.iter().flatten().flatten().count(), n * (n - 1));
            assert_eq!(there.union(&back).count(), n * (n - 1), "{n}");
            assert!(there.iter().all(|(a, b)| a != b && back.contains(&(*b, *a))), "{n}: {there:?}");
            for round in halves.iter().flatten() {
                let askers: BTreeSet<_> = round.iter().map(|(a, _)| a).collect();
                assert_eq!(askers.len(), round.len());
            }
        }
    }

    #[test]
    fn a_campaign_goes_on_where_it_was_interrupted_and_another_one_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let db = dir.path().join("kpi.db");
        let day = Duration::from_secs(86_400);
        let mut first = Progress::begin(Some(&db), day);
        assert_eq!((first.done_s, was_interrupted(&db, day)), (0, false));
        (first.done_s, first.asked, first.halves, first.begun) = (3_600, 1_000, 3, Stamp(5));
        first.save();
        assert!(!was_interrupted(&db, day), "without its reports it is nothing");
        std::fs::write(&db, "").unwrap();
        assert!(was_interrupted(&db, day) && !was_interrupted(&db, day / 2));
        let again = Progress::begin(Some(&db), day);
        assert_eq!((again.done_s, again.asked, again.halves, again.begun), (3_600, 1_000, 3, Stamp(5)));
        assert_eq!(Progress::begin(Some(&db), day / 2).done_s, 0);
        assert_eq!(Progress::begin(None, day).done_s, 0);
    }
}
