//! Every node connects to every other, over and over, and reports it to a
//! registry, which is then asked whether the specification's criteria are met.
//!
//! The population is stated: the nodes by their NATs, and every ordered pair of
//! them equally often. Before each attempt the pair is disconnected and every
//! router forgets its mappings, so that no attempt profits from an earlier one.

use std::fmt::Write as _;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};

use super::arena::{Act, Arena, ArenaError, Member};
use super::runner::{Runner, Stop};
use crate::model::{Command, CriterionView, NatType, Stamp, millis};
use crate::registry::{MatrixCell, Overview};

/// What a campaign measures, after the step's name.
pub(super) const MEASURED: [&str; 10] = [
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

/// After their routers forgot everything nodes need so long to be reached again
/// by those that they are linked to: they say something every 5 s.
const SETTLE: Duration = Duration::from_secs(6);
/// A link that is disconnected is down at both ends by then.
const DOWN_WITHIN: Duration = Duration::from_secs(5);
/// The last reports are at the registry by then.
const REPORTED_WITHIN: Duration = Duration::from_secs(20);
/// Digests are compared once a minute.
const SPREAD_WITHIN: Duration = Duration::from_secs(100);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How far a campaign is, on disk where it may be interrupted.
#[derive(Debug, Serialize, Deserialize)]
struct Progress {
    asked_s: u64,
    done_s: u64,
    sweeps: u64,
    /// Connections asked for.
    asked: u64,
    begun: Stamp,
    #[serde(skip)]
    file: Option<PathBuf>,
}

/// Where the progress of a campaign stands whose reports are in `db`.
pub(super) fn progress_file(db: &FilePath) -> PathBuf {
    db.with_extension("progress.json")
}

/// Whether a campaign of that length was interrupted, whose reports are in `db`.
pub(in crate::lab) fn was_interrupted(db: &FilePath, time: Duration) -> bool {
    let left =
        std::fs::read(progress_file(db)).ok().and_then(|b| serde_json::from_slice::<Progress>(&b).ok());
    db.exists() && left.is_some_and(|left| left.asked_s == time.as_secs() && left.done_s < left.asked_s)
}

impl Progress {
    fn begin(db: Option<&FilePath>, time: Duration) -> Self {
        let file = db.map(progress_file);
        let left = file.as_ref().filter(|_| db.is_some_and(|db| was_interrupted(db, time)));
        let left = left.and_then(|file| serde_json::from_slice(&std::fs::read(file).ok()?).ok());
        let fresh =
            Self { asked_s: time.as_secs(), done_s: 0, sweeps: 0, asked: 0, begun: moment(), file: None };
        Self { file, ..left.unwrap_or(fresh) }
    }

    /// What is lost if this fails is a resumption.
    fn save(&self) {
        let Some(file) = &self.file else { return };
        let written = serde_json::to_vec(self).map_err(std::io::Error::other);
        let written = written
            .and_then(|bytes| crate::node::disk::write_atomic(file, &bytes, crate::node::disk::FILE_MODE));
        if let Err(error) = written {
            tracing::warn!(%error, "the campaign cannot be resumed from here");
        }
    }
}

fn moment() -> Stamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Stamp(i64::try_from(millis(since)).unwrap_or(i64::MAX))
}

pub(super) async fn run<A: Arena>(
    runner: &mut Runner<'_, A>,
    time: Duration,
    keep: Option<&FilePath>,
    name: &str,
) -> Result<(), Stop> {
    let members: Vec<Member> =
        runner.arena.members().into_iter().filter(|m| m.running && m.feed.is_some()).collect();
    let mut progress = Progress::begin(keep, time);
    if progress.done_s > 0 {
        let note = format!("resumed after {} of {} s", progress.done_s, progress.asked_s);
        runner.tell(note.clone(), None);
        runner.told.push(note);
    }
    // What was tried to get here is no part of it.
    settle_reports(runner, 0).await?;
    if progress.done_s == 0 {
        progress.begun = moment();
    }
    let stored = overview(runner, progress.begun).await?.kpi.kpi.attempts;
    let counted = attempts(&members);
    while progress.done_s < progress.asked_s {
        for pairs in rounds(members.len()) {
            let begun = Instant::now();
            let note = format!(
                "sweep {}, {} of {} s, {} connections asked for",
                progress.sweeps + 1,
                progress.done_s,
                progress.asked_s,
                progress.asked
            );
            runner.tell(note, None);
            round(runner, &members, &pairs).await?;
            progress.asked += pairs.len() as u64;
            progress.done_s += begun.elapsed().as_secs();
            progress.save();
        }
        progress.sweeps += 1;
        progress.save();
    }
    let made = attempts(&members) - counted;
    runner.tell("the last reports arrive, and records spread".into(), Some(SPREAD_WITHIN));
    let seen =
        wait_for(runner, progress.begun, REPORTED_WITHIN, |o| o.kpi.kpi.attempts >= stored + made).await?;
    let arrived = seen.kpi.kpi.attempts - stored;
    let spread = |o: &Overview| o.kpi.kpi.propagation.is_some_and(|p| p.known == p.expected);
    let seen = wait_for(runner, progress.begun, SPREAD_WITHIN, spread).await?;
    note(runner, &members, &progress, &seen, name, made.saturating_sub(arrived));
    if let Some(file) = &progress.file {
        // It is over; the reports stay for whoever wants to look.
        let _ = std::fs::remove_file(file);
    }
    Ok(())
}

/// Every ordered pair once: in each round each node asks once and is asked once.
fn rounds(n: usize) -> Vec<Vec<(usize, usize)>> {
    let round = |shift: usize| (0..n).map(move |from| (from, (from + shift) % n));
    let mut all = Vec::new();
    for shift in 1..n {
        if shift * 2 == n {
            // Opposite ones would dial each other at once: one attempt of two.
            all.push(round(shift).take(n / 2).collect());
            all.push(round(shift).skip(n / 2).collect());
        } else {
            all.push(round(shift).collect());
        }
    }
    all
}

async fn round<A: Arena>(
    runner: &mut Runner<'_, A>,
    members: &[Member],
    pairs: &[(usize, usize)],
) -> Result<(), Stop> {
    let pairs = || pairs.iter().map(|(from, to)| (&members[*from], &members[*to]));
    let linked = |a: &Member, b: &Member| {
        a.feed.as_ref().is_some_and(|f| f.snapshots.borrow().link(&b.peer_id).is_some())
    };
    let downs = pairs().filter(|(a, b)| linked(a, b)).map(|(a, b)| {
        let command = Command::Disconnect { peer: b.peer_id };
        runner.command(&a.name, command)
    });
    try_join_all(downs).await?;
    let begun = Instant::now();
    while begun.elapsed() < DOWN_WITHIN && pairs().any(|(a, b)| linked(a, b) || linked(b, a)) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    for member in members {
        if runner.arena.nat_of(&member.name).is_some_and(|nat| nat != NatType::None) {
            runner.arena.act(Act::Flush(member.name.clone())).await?;
        }
    }
    tokio::time::sleep(SETTLE).await;
    let connects = pairs().map(|(a, b)| runner.command(&a.name, Command::Connect { peer: b.peer_id }));
    try_join_all(connects).await?;
    Ok(())
}

/// Attempts that the nodes themselves counted.
fn attempts(members: &[Member]) -> u64 {
    members.iter().filter_map(|m| m.feed.as_ref()).map(|f| f.snapshots.borrow().kpi.attempts).sum()
}

async fn overview<A: Arena>(runner: &Runner<'_, A>, since: Stamp) -> Result<Arc<Overview>, ArenaError> {
    runner.arena.reported(since.age_at(moment())).await
}

async fn wait_for<A: Arena>(
    runner: &Runner<'_, A>,
    since: Stamp,
    within: Duration,
    holds: impl Fn(&Overview) -> bool,
) -> Result<Arc<Overview>, ArenaError> {
    let begun = Instant::now();
    loop {
        let seen = overview(runner, since).await?;
        if holds(&seen) || begun.elapsed() >= within {
            return Ok(seen);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Waits until every node's reports have been taken.
async fn settle_reports<A: Arena>(runner: &Runner<'_, A>, most: u64) -> Result<(), Stop> {
    let begun = Instant::now();
    let queued = || {
        let members = runner.arena.members();
        let feeds = members.iter().filter_map(|m| m.feed.as_ref());
        feeds.map(|f| f.snapshots.borrow().reporting.queued).sum::<u64>()
    };
    while queued() > most && begun.elapsed() < REPORTED_WITHIN {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// The verdict's figures, and in words what they are about.
fn note<A: Arena>(
    runner: &mut Runner<'_, A>,
    members: &[Member],
    progress: &Progress,
    seen: &Overview,
    name: &str,
    missing: u64,
) {
    let kpi = &seen.kpi.kpi;
    let mut figures = vec![
        ("_sweeps", Some(progress.sweeps as f64)),
        ("_asked", Some(progress.asked as f64)),
        ("_attempts", Some(kpi.attempts as f64)),
        ("_missing", Some(missing as f64)),
    ];
    for criterion in &kpi.criteria {
        let what = match criterion.name {
            "connectivity" => "_connectivity",
            "direct" => "_direct",
            "punched" => "_punched",
            "relayed" => "_relayed",
            "connect_time" => "_mean_ms",
            _ => "_propagation",
        };
        figures.push((what, criterion.value));
    }
    let figures = figures.into_iter().filter_map(|(what, value)| Some((format!("{name}{what}"), value?)));
    runner.measured.extend(figures);

    let nat = |m: &Member| runner.arena.nat_of(&m.name).unwrap_or(NatType::None);
    let mut mix = String::new();
    for kind in NatType::ALL {
        let count = members.iter().filter(|m| nat(m) == kind).count();
        if count > 0 {
            let _ = write!(mix, "{}{count} {kind}", if mix.is_empty() { "" } else { ", " });
        }
    }
    let (n, sweeps) = (members.len(), progress.sweeps);
    let mut told = vec![format!(
        "population: {n} nodes by their NAT: {mix}; every ordered pair {sweeps} times, {} connections asked \
         for in {} s, {} attempts reported",
        progress.asked, progress.done_s, kpi.attempts
    )];
    told.extend(kpi.criteria.iter().map(in_words));
    told.extend(seen.matrix.cells.iter().map(pair_in_words));
    runner.told.extend(told);
}

fn in_words(c: &CriterionView) -> String {
    let value = match (c.value, c.unit) {
        (None, _) => "nothing measured".to_owned(),
        (Some(ms), "ms") => format!("{ms:.1} ms over {}", c.denominator),
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
    fn a_sweep_has_every_ordered_pair_once_and_nobody_dials_whom_he_is_dialled_by() {
        for n in [2, 3, 8, 13] {
            let rounds = rounds(n);
            let all: Vec<_> = rounds.iter().flatten().copied().collect();
            assert_eq!(all.len(), n * (n - 1));
            assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
            assert!(all.iter().all(|(a, b)| a != b));
            for round in rounds {
                assert!(!round.iter().any(|(a, b)| round.contains(&(*b, *a))), "{round:?}");
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
        (first.done_s, first.asked, first.sweeps, first.begun) = (3_600, 1_000, 3, Stamp(5));
        first.save();
        assert!(!was_interrupted(&db, day), "without its reports it is nothing");
        std::fs::write(&db, "").unwrap();
        assert!(was_interrupted(&db, day) && !was_interrupted(&db, day / 2));
        let again = Progress::begin(Some(&db), day);
        assert_eq!((again.done_s, again.asked, again.sweeps, again.begun), (3_600, 1_000, 3, Stamp(5)));
        assert_eq!(Progress::begin(Some(&db), day / 2).done_s, 0);
        assert_eq!(Progress::begin(None, day).done_s, 0);
    }
}
