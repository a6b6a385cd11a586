//! Every ordered pair of NAT types, a fresh pair of hosts each.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::core::ladder::decisive_reason;
use crate::lab::drill::arena::{Arena, Need};
use crate::lab::drill::report::Pair;
use crate::lab::drill::run::{self, Run};
use crate::lab::drill::step::DrillStep;
use crate::lab::ops::OpError;
use crate::model::{Command, Done, NatType, Path, PeerId, Snapshot, StageOutcome, millis};

/// A fresh pair knows each other by gossip well before this.
const ACQUAINTED_WITHIN: Duration = Duration::from_secs(30);
/// How often that is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a matrix measures.
const MEASURED: [&str; 12] = [
    "connected",
    "direct",
    "punched",
    "relayed",
    "mean_ms",
    "mean_round_trips",
    "p50_ms",
    "p95_ms",
    "without_relay",
    "off_relay_p50_ms",
    "off_relay_worst_ms",
    "echoes_harmed",
];
/// Echoes of a link that is watched: so many, so often, and again until it has left
/// its relay.
const ECHOES: (u32, u32) = (100, 20);

/// A link that is still on its relay then stays there.
const OFF_RELAY_MAX: Duration = Duration::from_secs(600);
/// Each pair has two hosts and two routers of its own from the start.
const PAIRS_MAX: usize = 250;

/// Pairs of NAT types, a fresh pair of hosts each: every ordered pair of
/// `nats`, then `pairs`, and all of it `repeat` times.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Matrix {
    /// Which types, each with each.
    #[serde(default)]
    pub nats: Vec<NatType>,
    /// Further pairs: the dialler's type, and the target's.
    #[serde(default)]
    pub pairs: Vec<(NatType, NatType)>,
    /// How often.
    #[serde(default = "once")]
    pub repeat: usize,
    /// The regions of dialler and target; both in the topology's first if
    /// left out.
    pub regions: Option<(String, String)>,
    /// A pair over a relay is watched for so long whether it leaves it, while
    /// echoes run.
    #[serde(default, with = "humantime_serde")]
    pub off_relay_within: Option<Duration>,
}

fn once() -> usize {
    1
}

impl Matrix {
    /// All pairs in their order.
    pub fn all(&self) -> Vec<(NatType, NatType)> {
        let each = self.nats.iter().flat_map(|from| self.nats.iter().map(move |to| (*from, *to)));
        let all: Vec<_> = each.chain(self.pairs.iter().copied()).collect();
        all.repeat(self.repeat)
    }
}

impl DrillStep for Matrix {
    fn words(&self) -> String {
        format!("connect {} pairs", self.all().len())
    }

    fn flaw(&self) -> Option<String> {
        if self.off_relay_within.is_some_and(|within| within > OFF_RELAY_MAX) {
            return Some(format!("off_relay_within is at most {} s", OFF_RELAY_MAX.as_secs()));
        }
        let all = self.all();
        if all.iter().any(|(a, b)| [*a, *b].contains(&NatType::Unknown)) {
            return Some("nats and pairs must name known types".to_owned());
        }
        let possible = (1..=PAIRS_MAX).contains(&all.len());
        (!possible).then(|| format!("it has {} pairs; 1 to {PAIRS_MAX} are allowed", all.len()))
    }

    fn need(&self) -> Option<Need<'_>> {
        Some(Need::FreshPairs)
    }

    fn measures(&self) -> Vec<String> {
        MEASURED.map(str::to_owned).to_vec()
    }

    fn can_be_soaked(&self) -> bool {
        false
    }

    async fn run<A: Arena>(&self, run: &mut Run<'_, A>) -> Result<(), run::Stop> {
        let (pairs, off_relay) = (self.all(), self.off_relay_within);
        let first = run.pairs.len();
        for (n, (from, to)) in pairs.iter().enumerate() {
            run.tell(format!("pair {} of {}: {from} to {to}", n + 1, pairs.len()), None);
            let pair = one(run, *from, *to, off_relay).await?;
            run.pairs.push(pair);
        }
        sum_up(run);
        if run.baseline {
            run.tell(
                format!("the library's own ladder on the same {} pairs, side by side", pairs.len()),
                None,
            );
            let theirs = run.arena.baseline(&pairs).await?;
            for (pair, theirs) in run.pairs[first..].iter_mut().zip(theirs) {
                pair.compare(theirs);
            }
        }
        Ok(())
    }
}

/// Watches a link that runs over a relay until it has left it, while echoes run over
/// it: when that was, and how many echoes were harmed.
async fn watch<A: Arena>(
    run: &Run<'_, A>,
    node: &str,
    peer: PeerId,
    begun: Instant,
    within: Duration,
) -> Result<(Option<u64>, u64), run::Stop> {
    let mut snapshots = run.feed(node)?.snapshots;
    let left = tokio::spawn(async move {
        let off = |s: &Arc<Snapshot>| s.link(&peer).is_some_and(|l| l.path.is_straight());
        snapshots.wait_for(off).await.ok().map(|_| millis(begun.elapsed()))
    });
    let mut harmed = 0;
    loop {
        let (count, every_ms) = ECHOES;
        let echo = Command::Echo { peer, count, every_ms };
        match run.command(node, echo).await?.result {
            Ok(Done::Echoed(said)) => harmed += said.lost + said.repeated + said.reordered,
            _ => harmed += u64::from(count),
        }
        if left.is_finished() || begun.elapsed() >= within {
            break;
        }
    }
    let at = if left.is_finished() { left.await.ok().flatten() } else { None };
    Ok((at.filter(|ms| *ms <= millis(within)), harmed))
}

async fn one<A: Arena>(
    run: &mut Run<'_, A>,
    from: NatType,
    to: NatType,
    off_relay: Option<Duration>,
) -> Result<Pair, run::Stop> {
    let names = run.arena.pair(from, to).await?;
    acquainted(run, &names.0, &names.1).await?;
    let peer = run.member(&names.1)?.peer_id;
    let begun = Instant::now();
    let outcome = run.command(&names.0, Command::Connect { peer }).await?;
    let relayed = matches!(&outcome.result, Ok(Done::Connected(r)) if r.path == Some(Path::Relayed));
    let watched = match off_relay.filter(|_| relayed) {
        Some(within) => Some(watch(run, &names.0, peer, begun, within).await?),
        None => None,
    };
    let trip = run.arena.round_trip(&names.0, &names.1);
    run.arena.end_pair(names).await;
    let (report, failed) = match &outcome.result {
        Ok(Done::Connected(report)) => (Some(report), None),
        Ok(_) => (None, None),
        Err(failure) => (failure.report.as_deref(), Some(failure.reason.to_string())),
    };
    // Connected, but not directly: what stood in the way.
    let obstacle = report.and_then(|r| {
        let tried = r.stages.iter().filter(|s| s.outcome != StageOutcome::Ok).cloned().collect::<Vec<_>>();
        decisive_reason(&tried).map(ToString::to_string)
    });
    let path = report.and_then(|r| r.path);
    let elapsed_ms = report.map_or(0, |r| r.elapsed_ms);
    let round_trips = |trip: Duration| elapsed_ms as f64 / (trip.as_secs_f64() * 1e3);
    Ok(Pair {
        from: from.name().into(),
        to: to.name().into(),
        path: path.map(|p| p.name().to_owned()),
        elapsed_ms,
        round_trips: trip.filter(|_| path.is_some()).map(round_trips),
        reason: failed.or(obstacle),
        off_relay_ms: watched.and_then(|(at, _)| at),
        echoes_harmed: watched.map(|(_, harmed)| harmed),
        baseline_ms: None,
        baseline_ok: None,
        ratio: None,
    })
}

/// Waits until the dialler knows the target and both know their own NAT.
async fn acquainted<A: Arena>(run: &Run<'_, A>, from: &str, to: &str) -> Result<(), run::Stop> {
    let target = run.member(to)?.peer_id;
    let begun = Instant::now();
    while begun.elapsed() < ACQUAINTED_WITHIN {
        let dialler = run.feed(from)?;
        let known = {
            let s = dialler.snapshots.borrow();
            let row = s.peer(&target);
            s.nat.nat_type != NatType::Unknown && row.is_some_and(|p| p.nat_type != NatType::Unknown)
        };
        if known {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    // It may still be dialled; a NAT that nobody measured costs the full window.
    if run.feed(from)?.snapshots.borrow().peer(&target).is_some() {
        return Ok(());
    }
    Err(OpError::Failed(format!("{from} never heard of {to}")).into())
}

fn sum_up<A: Arena>(run: &mut Run<'_, A>) {
    let count =
        |path: Path| run.pairs.iter().filter(|p| p.path.as_deref() == Some(path.name())).count() as f64;
    let counts = [
        ("direct", count(Path::Direct)),
        ("punched", count(Path::Punched)),
        ("relayed", count(Path::Relayed)),
    ];
    let off = |p: &&Pair| {
        let straight = p.path.as_deref().is_some_and(|path| path != Path::Relayed.name());
        straight || p.off_relay_ms.is_some()
    };
    let without_relay = run.pairs.iter().filter(off).count() as f64;
    let mut left: Vec<u64> = run.pairs.iter().filter_map(|p| p.off_relay_ms).collect();
    left.sort_unstable();
    let harmed: u64 = run.pairs.iter().filter_map(|p| p.echoes_harmed).sum();
    run.measure("without_relay", without_relay);
    run.measure("echoes_harmed", harmed as f64);
    if let (Some(median), Some(worst)) = (left.get(left.len() / 2), left.last()) {
        run.measure("off_relay_p50_ms", *median as f64);
        run.measure("off_relay_worst_ms", *worst as f64);
    }
    let mut times: Vec<u64> = run.pairs.iter().filter(|p| p.path.is_some()).map(|p| p.elapsed_ms).collect();
    times.sort_unstable();
    let connected = times.len();
    let trips: Vec<f64> = run.pairs.iter().filter_map(|p| p.round_trips).collect();
    if !trips.is_empty() {
        let mean = trips.iter().sum::<f64>() / trips.len() as f64;
        run.measure("mean_round_trips", mean);
    }
    run.measured.extend(counts.map(|(name, value)| (name.to_owned(), value)));
    run.measure("connected", connected as f64);
    if connected > 0 {
        let rank = |p: f64| times[((p * connected as f64).ceil() as usize).max(1) - 1] as f64;
        run.measure("mean_ms", times.iter().sum::<u64>() as f64 / connected as f64);
        run.measure("p50_ms", rank(0.5));
        run.measure("p95_ms", rank(0.95));
    }
}
