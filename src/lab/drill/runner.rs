//! Runs a scenario's steps on a fleet.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::agreement::{self, Away};
use super::arena::{Act, Arena, ArenaError, Member};
use super::fault::{Net, fault_step};
use super::journal::Journal;
use super::report::{Checked, Pair, Report, judge};
use super::scenario::Scenario;
use super::step::{Step, describe, limit, matrix_pairs};
use super::tried::{Tried, moment};
use super::{campaign, matrix, pathtest, rebind, relay, soak, storm};
use crate::model::{
    Command, Done, EchoReport, Outcome, Path, PeerId, Reason, Snapshot, StageOutcome, WhyCause,
};
use crate::node::feed::Feed;

/// A command that has no outcome by then never will.
const OUTCOME_WITHIN: Duration = Duration::from_secs(90);
/// Each question has others asked too.
const WHY_EVERY: Duration = Duration::from_secs(2);
/// Snapshots come ten times a second.
const SHOWN_WITHIN: Duration = Duration::from_secs(1);

/// What a drill is doing.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Which step, from 1.
    pub step: usize,
    /// Of how many.
    pub of: usize,
    /// What it is, in words.
    pub what: String,
    /// How long it takes at most, where that is known.
    pub limit: Option<Duration>,
    /// The checks, as far as they are measured.
    pub checks: Vec<Checked>,
}

/// Why a drill ended before its last step.
pub(super) enum Stop {
    Aborted,
    Arena(ArenaError),
    NoOutcome(String),
}

impl From<ArenaError> for Stop {
    fn from(error: ArenaError) -> Self {
        Self::Arena(error)
    }
}

/// What was measured of echoes is called so, after the step's name.
pub(super) const ECHOED: [&str; 8] =
    ["_sent", "_lost", "_repeated", "_reordered", "_gap_ms", "_rtt_ms", "_past_one_ms", "_past_two_ms"];

/// A run of one drill.
pub struct Runner<'a, A> {
    pub(super) arena: &'a mut A,
    scenario: &'a Scenario,
    abort: CancellationToken,
    tell: Box<dyn Fn(Progress) + Send + 'a>,
    /// Whether the library's own ladder is run beside ours.
    pub(super) baseline: bool,
    pub(super) measured: BTreeMap<String, f64>,
    pub(super) pairs: Vec<Pair>,
    undo: Vec<Act>,
    /// The step that runs, from 1.
    at: usize,
    pub(super) tried: Tried,
    /// Relays that failed, to be counted at the end.
    pub(super) failed: Vec<relay::Failed>,
    /// Echoes under way, by the name of what they measure.
    echoes: Vec<(String, JoinHandle<Option<EchoReport>>)>,
    pub(super) told: Vec<String>,
    pub(super) journal: Option<Journal>,
    away: Away,
}

impl<'a, A: Arena> Runner<'a, A> {
    /// Prepares a run. `tell` hears of each step as it begins.
    pub fn new(
        arena: &'a mut A,
        scenario: &'a Scenario,
        abort: CancellationToken,
        tell: impl Fn(Progress) + Send + 'a,
    ) -> Self {
        Self {
            arena,
            scenario,
            abort,
            tell: Box::new(tell),
            baseline: false,
            measured: BTreeMap::new(),
            pairs: Vec::new(),
            undo: Vec::new(),
            at: 1,
            tried: Tried::default(),
            failed: Vec::new(),
            echoes: Vec::new(),
            told: Vec::new(),
            journal: None,
            away: Away::default(),
        }
    }

    /// Tells what happens meanwhile.
    #[must_use]
    pub fn with_journal(mut self, journal: Option<Journal>) -> Self {
        self.journal = journal;
        self
    }

    /// Runs the library's own ladder on the same pairs in the same run.
    #[must_use]
    pub fn with_baseline(mut self, baseline: bool) -> Self {
        self.baseline = baseline;
        self
    }

    /// Runs it to its end, and undoes everything.
    pub async fn run(mut self) -> Report {
        let begun = Instant::now();
        let mut stopped = None;
        if let Err(error) = self.can() {
            return Report::unsupported(&self.scenario.name, &self.arena.kind(), error.to_string());
        }
        let steps = &self.scenario.steps;
        for (n, step) in steps.iter().enumerate() {
            self.at = n + 1;
            self.tell(describe(step), limit(step));
            let abort = self.abort.clone();
            let ended = tokio::select! {
                () = abort.cancelled() => Err(Stop::Aborted),
                ended = self.step(step) => ended,
            };
            if let Err(stop) = ended {
                stopped = Some((n + 1, stop));
                break;
            }
        }
        let (name, kind) = (&self.scenario.name, self.arena.kind());
        if let Some((n, Stop::Aborted)) = stopped {
            for (_, task) in std::mem::take(&mut self.echoes) {
                task.abort();
            }
            // A fleet that was built for this goes as it is.
            if self.arena.outlives_the_drill() {
                self.undo_all().await;
            }
            return Report::called_off(name, &kind, format!("called off in step {n}"), begun.elapsed());
        }
        self.end_echoes().await;
        self.sum_up();
        let agreed = match stopped {
            Some(_) => None,
            None => Some(agreement::check(self.arena, &self.away).await),
        };
        self.undo_all().await;
        let reason = match stopped {
            None | Some((_, Stop::Aborted)) => None,
            Some((n, Stop::Arena(error @ ArenaError::Unsupported(_)))) => {
                return Report::unsupported(name, &kind, format!("step {n}: {error}"));
            }
            Some((n, Stop::Arena(error))) => Some(format!("step {n}: {error}")),
            Some((n, Stop::NoOutcome(what))) => Some(format!("step {n}: {what} had no outcome")),
        };
        let mut checks = judge(&self.scenario.checks, &self.measured);
        if let Some((checked, told)) = agreed {
            checks.push(checked);
            self.told.extend(told);
        }
        let figures = if self.scenario.soaks() { self.tried.figures() } else { Vec::new() };
        Report::new(name, &kind, checks, reason, begun.elapsed())
            .with_pairs(self.pairs)
            .told(self.told)
            .with_figures(figures)
    }

    /// Whether the fleet can do all of it.
    fn can(&self) -> Result<(), ArenaError> {
        if self.scenario.fleet.passive && !self.arena.holds_back() {
            return Err(ArenaError::Unsupported("hold its nodes back from dialling".to_owned()));
        }
        self.scenario.all_steps().try_for_each(|step| self.arena.can(step))
    }

    /// Reads the events of nodes that are new.
    fn follow(&mut self) {
        if let Some(journal) = &mut self.journal {
            journal.follow(self.arena.members());
        }
    }

    pub(super) async fn step(&mut self, step: &Step) -> Result<(), Stop> {
        self.follow();
        if let Some(journal) = &self.journal {
            journal.step(moment(), describe(step));
        }
        match step {
            Step::Start { node, passive } => {
                self.change(Act::Start { node: node.clone(), passive: *passive }).await?;
            }
            Step::Stop { node } => self.act(Act::Stop(node.clone()), Some(again(node))).await?,
            Step::Kill { node } => self.act(Act::Kill(node.clone()), Some(again(node))).await?,
            Step::Cut { hosts } => {
                for host in hosts {
                    self.act(Act::Cut(host.clone()), Some(Act::Heal(host.clone()))).await?;
                }
            }
            Step::Heal { hosts } => self.heal(hosts).await?,
            Step::SetNat { host, nat } => {
                let before =
                    self.arena.nat_of(host).ok_or(ArenaError::Unknown(format!("NAT before {host}")))?;
                self.act(Act::SetNat(host.clone(), *nat), Some(Act::SetNat(host.clone(), before))).await?;
            }
            Step::Flush { host } => self.arena.act(Act::Flush(host.clone())).await?,
            Step::Rebind { host, with, within, name } => {
                rebind::run(self, host, with, *within, name).await?;
            }
            Step::FailRelay { a, b, how, within, name } => {
                relay::run(self, (a, b), *how, *within, name).await?;
            }
            Step::Failover { node, name } => relay::fail_over(self, node, name).await?,
            Step::Echo { from, to, time, every, name } => self.echo(from, to, *time, *every, name)?,
            Step::Sync { node, name } => self.sync(node, name).await?,
            Step::Soak { time, steps } => soak::run(self, *time, steps).await?,
            Step::PathTest { from, to, time, asked, name } => {
                pathtest::run(self, (from, to), *time, asked, name).await?;
            }
            Step::Connect { from, to, name } => self.connect(from, to, name).await?,
            Step::Storm { from, to, each, within, name } => {
                storm::run(self, (from, to, *each), *within, name).await?;
            }
            Step::Campaign { time, name } => {
                let keep = self.scenario.keep.as_deref();
                campaign::run(self, *time, keep, name).await?;
            }
            Step::Disconnect { from, to } => {
                let peer = self.member(to)?.peer_id;
                self.command(from, Command::Disconnect { peer }).await?;
            }
            Step::LoseDelta { node } => {
                self.command(node, Command::LoseNextDelta).await?;
            }
            Step::Why { node, about, cause, tried, within, name } => {
                let about = self.member(about)?.peer_id;
                if *tried {
                    self.command(node, Command::Connect { peer: about }).await?;
                }
                self.why(node, about, *cause, *within, name).await?;
            }
            Step::Advertised { node, within, name } => self.advertised(node, within, name)?,
            fault_step!() => {
                if let Some(fault) = step.fault() {
                    let undo = self.arena.undoes(&fault).await?.map(Act::Fault);
                    self.act(Act::Fault(fault), undo).await?;
                }
            }
            Step::Wait { until, within, name } => self.wait(until, *within, name.as_deref()).await?,
            Step::Sleep { time } => tokio::time::sleep(*time).await,
            Step::Matrix { nats, pairs, repeat, off_relay_within, .. } => {
                matrix::run(self, &matrix_pairs(nats, pairs, *repeat), *off_relay_within).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn act(&mut self, act: Act, undo: Option<Act>) -> Result<(), ArenaError> {
        self.change(act).await?;
        self.undo.extend(undo);
        Ok(())
    }

    /// Does something to the fleet, and notes who is away by it.
    pub(super) async fn change(&mut self, act: Act) -> Result<(), ArenaError> {
        self.tried.before(&act, &self.arena.members());
        self.away.note(&act);
        self.arena.act(act.clone()).await?;
        self.tried.after(&act, &self.arena.members());
        self.follow();
        Ok(())
    }

    /// Begins to send numbered echoes; what came of them is known at the end.
    fn echo(
        &mut self,
        from: &str,
        to: &str,
        time: Duration,
        every: Duration,
        name: &str,
    ) -> Result<(), Stop> {
        let peer = self.member(to)?.peer_id;
        let every_ms = u32::try_from(every.as_millis()).unwrap_or(u32::MAX).max(1);
        let count = u32::try_from(time.as_millis()).unwrap_or(u32::MAX) / every_ms;
        let feed = self.feed(from)?;
        let mut outcomes = feed.outcomes.resubscribe();
        let none = || Stop::NoOutcome(format!("echo on {from}"));
        let id = feed.commands.try_send(Command::Echo { peer, count, every_ms }).map_err(|_| none())?;
        let task = tokio::spawn(async move {
            loop {
                match outcomes.recv().await {
                    Ok(outcome) if outcome.id == id => match outcome.result {
                        Ok(Done::Echoed(report)) => return Some(report),
                        _ => return None,
                    },
                    Err(tokio::sync::broadcast::error::RecvError::Closed) => return None,
                    _ => {}
                }
            }
        });
        self.echoes.push((name.to_owned(), task));
        Ok(())
    }

    async fn end_echoes(&mut self) {
        for (name, task) in std::mem::take(&mut self.echoes) {
            let Ok(Ok(Some(report))) = tokio::time::timeout(OUTCOME_WITHIN, task).await else { continue };
            let (gap, trip) = (report.gap_ms as f64, report.rtt_ms.map(|ms| ms as f64));
            let figures = [
                Some(report.sent as f64),
                Some(report.lost as f64),
                Some(report.repeated as f64),
                Some(report.reordered as f64),
                Some(gap),
                trip,
                // Of a gap that is shorter nothing lies beyond.
                trip.map(|trip| (gap - trip).max(0.0)),
                trip.map(|trip| (gap - 2.0 * trip).max(0.0)),
            ];
            for (what, value) in ECHOED.into_iter().zip(figures) {
                self.measured.extend(value.map(|value| (format!("{name}{what}"), value)));
            }
        }
    }

    /// Heals the named hosts, or all that are cut.
    async fn heal(&mut self, hosts: &[String]) -> Result<(), ArenaError> {
        let (heal, keep): (Vec<Act>, Vec<Act>) = std::mem::take(&mut self.undo)
            .into_iter()
            .partition(|act| matches!(act, Act::Heal(host) if hosts.is_empty() || hosts.contains(host)));
        self.undo = keep;
        for act in heal {
            self.change(act).await?;
        }
        Ok(())
    }

    async fn undo_all(&mut self) {
        let members = self.arena.members().into_iter();
        let running: Vec<String> = members.filter(|m| m.running).map(|m| m.name).collect();
        while let Some(act) = self.undo.pop() {
            // A later step may have started it again already.
            if matches!(&act, Act::Start { node, .. } if running.contains(node)) {
                continue;
            }
            if let Err(error) = self.arena.act(act).await {
                tracing::warn!(%error, "a drill's change could not be undone");
            }
        }
    }

    async fn connect(&mut self, from: &str, to: &str, name: &str) -> Result<(), Stop> {
        let peer = self.member(to)?.peer_id;
        let outcome = self.command(from, Command::Connect { peer }).await?;
        let connected = matches!(outcome.result, Ok(Done::Connected(_)));
        self.measured.insert(name.to_owned(), f64::from(u8::from(connected)));
        let sixth = connected && self.is_sixth(from, to).await?;
        self.measured.insert(format!("{name}_ipv6"), f64::from(u8::from(sixth)));
        let by = if sixth { " (by IPv6)" } else { "" };
        self.told.push(format!("{from} to {to}: {}{by}", ladder(&outcome)));
        let report = match &outcome.result {
            Ok(Done::Connected(report)) => Some(report),
            _ => None,
        };
        if let Some(report) = report {
            self.measured.insert(format!("{name}_ms"), report.elapsed_ms as f64);
        }
        for path in [Path::Direct, Path::Punched, Path::Relayed] {
            let so = report.is_some_and(|r| r.path == Some(path));
            self.measured.insert(format!("{name}_{}", path.name()), f64::from(u8::from(so)));
        }
        Ok(())
    }

    /// Whether a link that was just reported runs over IPv6; of a relayed one, to
    /// its relay.
    async fn is_sixth(&self, from: &str, to: &str) -> Result<bool, Stop> {
        let peer = self.member(to)?.peer_id;
        let mut snapshots = self.feed(from)?.snapshots.clone();
        // The outcome may come before the snapshot that shows the link.
        let shown = tokio::time::timeout(SHOWN_WITHIN, snapshots.wait_for(|s| s.link(&peer).is_some())).await;
        let Ok(Ok(snapshot)) = shown else { return Ok(false) };
        Ok(snapshot.link(&peer).is_some_and(|link| link.remote_addr.is_ipv6()))
    }

    async fn sync(&mut self, node: &str, name: &str) -> Result<(), Stop> {
        let mut snapshots = self.feed(node)?.snapshots.clone();
        let before = Arc::clone(&*snapshots.borrow());
        let outcome = self.command(node, Command::Sync { peer: None }).await?;
        let share = match &outcome.result {
            // Who says that it serves no more syncs just now has answered.
            Ok(Done::Synced(r)) if r.peers_asked > 0 => {
                let silent = r.peers_asked - (r.peers_synced + r.peers_refused).min(r.peers_asked);
                // Who was cut off before, and whose link ends meanwhile, cannot answer.
                let gone =
                    |s: &Snapshot| before.links.iter().filter(|l| s.link(&l.peer_id).is_none()).count();
                let excused = snapshots.wait_for(|s| gone(s) >= silent as usize);
                let excused = matches!(tokio::time::timeout(SHOWN_WITHIN, excused).await, Ok(Ok(_)));
                if excused { 1.0 } else { f64::from(r.peers_asked - silent) / f64::from(r.peers_asked) }
            }
            Err(failure) if matches!(failure.reason, Reason::TooSoon { .. }) => 1.0,
            _ => 0.0,
        };
        self.measured.insert(name.to_owned(), share);
        Ok(())
    }

    /// Asks why until that is the cause, or the time is over.
    async fn why(
        &mut self,
        node: &str,
        peer: PeerId,
        cause: WhyCause,
        within: Duration,
        name: &str,
    ) -> Result<(), Stop> {
        let begun = Instant::now();
        loop {
            let outcome = self.command(node, Command::Why { peer }).await?;
            let why = if let Ok(Done::Explained(why)) = &outcome.result { Some(why) } else { None };
            let so = why.is_some_and(|why| why.cause == cause);
            self.measured.insert(name.to_owned(), f64::from(u8::from(so)));
            if so || begun.elapsed() >= within {
                let said = why.map_or_else(|| "no answer".to_owned(), |why| why.verdict.clone());
                self.told.push(format!("{node}, asked why: {said}"));
                return Ok(());
            }
            tokio::time::sleep(WHY_EVERY).await;
        }
    }

    /// Counts what others know of a node's addresses in a network.
    fn advertised(&mut self, node: &str, within: &Net, name: &str) -> Result<(), ArenaError> {
        let peer = self.member(node)?.peer_id;
        let mut known = BTreeSet::new();
        for member in self.arena.members().iter().filter(|m| m.running && m.peer_id != peer) {
            let Some(feed) = &member.feed else { continue };
            let snapshot = feed.snapshots.borrow();
            let addresses = snapshot.peer(&peer).map(|p| p.addresses.clone()).unwrap_or_default();
            known.extend(addresses.into_iter().filter(|at| within.contains(at.ip())));
        }
        self.told.extend(known.iter().map(|at| format!("others know {node} at {at}")));
        self.measured.insert(name.to_owned(), known.len() as f64);
        Ok(())
    }

    pub(super) async fn command(&self, node: &str, command: Command) -> Result<Outcome, Stop> {
        let feed = self.feed(node)?;
        let what = format!("{} on {node}", command.verb());
        let mut outcomes = feed.outcomes.resubscribe();
        let id = feed.commands.try_send(command).map_err(|_| Stop::NoOutcome(what.clone()))?;
        let search = async {
            loop {
                match outcomes.recv().await {
                    Ok(outcome) if outcome.id == id => return Some((*outcome).clone()),
                    Err(tokio::sync::broadcast::error::RecvError::Closed) => return None,
                    _ => {}
                }
            }
        };
        let found = tokio::time::timeout(OUTCOME_WITHIN, search).await.ok().flatten();
        found.ok_or(Stop::NoOutcome(what))
    }

    /// A node by its name; `first` is the first that was started.
    pub(super) fn member(&self, name: &str) -> Result<Member, ArenaError> {
        let mut members = self.arena.members().into_iter();
        if name == "first" { members.next() } else { members.find(|m| m.name == name) }
            .ok_or_else(|| ArenaError::Unknown(format!("node {name}")))
    }

    /// What a running node shows.
    pub(super) fn feed(&self, name: &str) -> Result<Feed, ArenaError> {
        let member = self.member(name)?;
        member
            .feed
            .filter(|_| member.running)
            .ok_or_else(|| ArenaError::Unknown(format!("running node {name}")))
    }

    pub(super) fn tell(&self, what: String, limit: Option<Duration>) {
        let checks = judge(&self.scenario.checks, &self.measured);
        (self.tell)(Progress { step: self.at, of: self.scenario.steps.len(), what, limit, checks });
    }

    /// What every drill measures.
    fn sum_up(&mut self) {
        for failed in std::mem::take(&mut self.failed) {
            self.measured.extend(failed.count());
        }
        let members = self.arena.members();
        let feeds = || members.iter().filter_map(|m| m.feed.as_ref());
        let sum =
            |f: fn(&Snapshot) -> u64| feeds().map(|feed| f(&feed.snapshots.borrow())).sum::<u64>() as f64;
        self.measured.insert("gossip_repairs".into(), sum(|s| s.gossip.repairs));
        self.measured.insert("unreachable".into(), sum(|s| s.kpi.figures.unreachable));
        self.tried.collect(&members);
        self.measured.insert("lost_attempts".into(), self.tried.lost() as f64);
        if self.scenario.soaks() {
            self.told.extend(self.tried.take_told());
        }
    }
}

/// What came of connecting, rung by rung.
pub(super) fn ladder(outcome: &Outcome) -> String {
    let (report, failed) = match &outcome.result {
        Ok(Done::Connected(report)) => (Some(report), None),
        Ok(_) => (None, None),
        Err(failure) => (failure.report.as_deref(), Some(&failure.reason)),
    };
    let path = report.and_then(|r| r.path).map_or("unreachable", Path::name);
    let mut said = format!("{path} after {} ms", report.map_or(0, |r| r.elapsed_ms));
    for stage in report.map(|r| r.stages.as_slice()).unwrap_or_default() {
        let outcome = match stage.outcome {
            StageOutcome::Ok => "ok",
            StageOutcome::Failed => "failed",
            StageOutcome::Skipped => "skipped",
            StageOutcome::Running => "not over",
        };
        let _ = write!(said, "; {} {outcome}", stage.stage);
        if let Some(reason) = &stage.reason {
            let _ = write!(said, ": {reason}");
        }
    }
    match failed {
        Some(reason) if report.is_none() => format!("{said}; {reason}"),
        _ => said,
    }
}

fn again(node: &str) -> Act {
    Act::Start { node: node.to_owned(), passive: false }
}
