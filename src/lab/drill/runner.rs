//! Runs a scenario's steps on a fleet, from the first to the verdict.

use std::collections::BTreeMap;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::agreement::{self, Away};
use super::arena::Arena;
use super::journal::Journal;
use super::report::{Report, judge};
use super::run::{Progress, Run, Stop};
use super::scenario::Scenario;
use super::step::DrillStep;
use super::steps::end_echoes;
use super::tried::Tried;
use crate::lab::ops::OpError;
use crate::model::Snapshot;

/// A run of one drill.
pub struct Runner<'a, A> {
    scenario: &'a Scenario,
    abort: CancellationToken,
    run: Run<'a, A>,
}

impl<'a, A: Arena> Runner<'a, A> {
    /// Prepares a run. `tell` hears of each step as it begins.
    pub fn new(
        arena: &'a mut A,
        scenario: &'a Scenario,
        abort: CancellationToken,
        tell: impl Fn(Progress) + Send + 'a,
    ) -> Self {
        let run = Run {
            arena,
            checks: &scenario.checks,
            of: scenario.steps.len(),
            at: 1,
            keep: scenario.keep.as_deref(),
            say: Box::new(tell),
            baseline: false,
            measured: BTreeMap::new(),
            pairs: Vec::new(),
            undo: Vec::new(),
            tried: Tried::default(),
            failed: Vec::new(),
            echoes: Vec::new(),
            told: Vec::new(),
            journal: None,
            away: Away::default(),
        };
        Self { scenario, abort, run }
    }

    /// Tells what happens meanwhile.
    #[must_use]
    pub fn with_journal(mut self, journal: Option<Journal>) -> Self {
        self.run.journal = journal;
        self
    }

    /// Runs the library's own ladder on the same pairs in the same run.
    #[must_use]
    pub fn with_baseline(mut self, baseline: bool) -> Self {
        self.run.baseline = baseline;
        self
    }

    /// Runs it to its end, and undoes everything.
    pub async fn run(self) -> Report {
        let Self { scenario, abort, mut run } = self;
        let begun = Instant::now();
        let (name, kind) = (&scenario.name, run.arena.kind());
        if let Err(error) = can(&*run.arena, scenario) {
            return Report::unsupported(name, &kind, error.to_string());
        }
        let mut stopped = None;
        for (n, step) in scenario.steps.iter().enumerate() {
            run.at = n + 1;
            run.tell(step.words(), step.limit());
            run.begin(step.words());
            let ended = tokio::select! {
                () = abort.cancelled() => Err(Stop::Aborted),
                ended = step.run(&mut run) => ended,
            };
            if let Err(stop) = ended {
                stopped = Some((n + 1, stop));
                break;
            }
        }
        if let Some((n, Stop::Aborted)) = stopped {
            for (_, task) in std::mem::take(&mut run.echoes) {
                task.abort();
            }
            // A fleet that was built for this goes as it is.
            if run.arena.outlives_the_drill() {
                run.undo_all().await;
            }
            return Report::called_off(name, &kind, format!("called off in step {n}"), begun.elapsed());
        }
        end_echoes(&mut run).await;
        sum_up(&mut run, scenario);
        let agreed = match stopped {
            Some(_) => None,
            None => Some(agreement::check(&*run.arena, &run.away).await),
        };
        run.undo_all().await;
        let reason = match stopped {
            None | Some((_, Stop::Aborted)) => None,
            Some((n, Stop::Fleet(error @ OpError::Unsupported(_)))) => {
                return Report::unsupported(name, &kind, format!("step {n}: {error}"));
            }
            Some((n, Stop::Fleet(error))) => Some(format!("step {n}: {error}")),
            Some((n, Stop::NoOutcome(what))) => Some(format!("step {n}: {what} had no outcome")),
        };
        let mut checks = judge(&scenario.checks, &run.measured);
        if let Some((checked, told)) = agreed {
            checks.push(checked);
            run.told.extend(told);
        }
        let figures = if scenario.soaks() { run.tried.figures() } else { Vec::new() };
        Report::new(name, &kind, checks, reason, begun.elapsed())
            .with_pairs(run.pairs)
            .told(run.told)
            .with_figures(figures)
    }
}

/// Whether the fleet can do all of it.
fn can(arena: &impl Arena, scenario: &Scenario) -> Result<(), OpError> {
    arena.can_at_all()?;
    if scenario.fleet.passive && !arena.holds_back() {
        return Err(OpError::Unsupported("hold its nodes back from dialling".to_owned()));
    }
    scenario.all_steps().filter_map(DrillStep::need).try_for_each(|need| arena.can(need))
}

/// What every drill measures.
fn sum_up<A: Arena>(run: &mut Run<'_, A>, scenario: &Scenario) {
    for failed in std::mem::take(&mut run.failed) {
        run.measured.extend(failed.count());
    }
    let members = run.arena.members();
    let feeds = || members.iter().filter_map(|m| m.feed.as_ref());
    let sum = |f: fn(&Snapshot) -> u64| feeds().map(|feed| f(&feed.snapshots.borrow())).sum::<u64>() as f64;
    run.measure("gossip_repairs", sum(|s| s.gossip.repairs));
    run.measure("unreachable", sum(|s| s.kpi.unreachable));
    run.tried.collect(&members);
    run.measure("lost_attempts", run.tried.lost() as f64);
    if scenario.soaks() {
        run.told.extend(run.tried.take_told());
    }
}
