//! A drill that runs: its fleet, what was measured so far, and what is to be undone.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::task::JoinHandle;

use super::agreement::Away;
use super::arena::{Arena, Member};
use super::check::Check;
use super::journal::Journal;
use super::report::{Checked, Pair, judge};
use super::tried::{Tried, moment};
use crate::lab::ops::{FleetOp, OpError};
use crate::model::{Command, EchoReport, Event, EventKind, Outcome, PeerId, Reason};
use crate::node::feed::Feed;

/// A command that has no outcome by then never will.
pub(super) const OUTCOME_WITHIN: Duration = Duration::from_secs(90);

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
    Fleet(OpError),
    NoOutcome(String),
}

impl From<OpError> for Stop {
    fn from(error: OpError) -> Self {
        Self::Fleet(error)
    }
}

/// A relay that failed, and what is counted until the drill ends.
pub(super) struct FailedRelay {
    pub(super) name: String,
    pub(super) relay: PeerId,
    pub(super) ends: [(String, PeerId); 2],
    pub(super) events: Vec<broadcast::Receiver<Arc<Event>>>,
}

impl FailedRelay {
    /// Counts, at the drill's end: how many ends were told by a close frame that
    /// the relay is gone, and how many ladders were run between the ends.
    pub(super) fn count(mut self) -> [(String, f64); 2] {
        let (mut closes, mut ladders) = (0, 0);
        for (events, (_, other)) in self.events.iter_mut().zip(&self.ends) {
            loop {
                match events.try_recv() {
                    Ok(event) => {
                        let told = matches!(
                            event.kind,
                            EventKind::LinkDown { reason: Reason::Closed { close: Some(_) } }
                        );
                        closes += u32::from(told && event.peer_id == Some(self.relay));
                        let began = matches!(event.kind, EventKind::AttemptStarted { .. });
                        ladders += u32::from(began && event.peer_id == Some(*other));
                    }
                    // What was missed could have been one.
                    Err(broadcast::error::TryRecvError::Lagged(_)) => closes += 1,
                    Err(_) => break,
                }
            }
        }
        let name = &self.name;
        [(format!("{name}_closes"), f64::from(closes)), (format!("{name}_ladders"), f64::from(ladders))]
    }
}

/// A run of one drill, as its steps see it.
pub(super) struct Run<'a, A> {
    pub(super) arena: &'a mut A,
    pub(super) checks: &'a [Check],
    /// How many steps the drill has.
    pub(super) of: usize,
    /// The step that runs, from 1.
    pub(super) at: usize,
    /// Where reports are kept over an interruption.
    pub(super) keep: Option<&'a Path>,
    pub(super) say: Box<dyn Fn(Progress) + Send + 'a>,
    /// Whether the library's own ladder is run beside ours.
    pub(super) baseline: bool,
    pub(super) measured: BTreeMap<String, f64>,
    pub(super) pairs: Vec<Pair>,
    pub(super) undo: Vec<FleetOp>,
    pub(super) tried: Tried,
    /// Relays that failed, to be counted at the end.
    pub(super) failed: Vec<FailedRelay>,
    /// Echoes under way, by the name of what they measure.
    pub(super) echoes: Vec<(String, JoinHandle<Option<EchoReport>>)>,
    pub(super) told: Vec<String>,
    pub(super) journal: Option<Journal>,
    pub(super) away: Away,
}

impl<A: Arena> Run<'_, A> {
    /// A step begins, or one within another.
    pub(super) fn begin(&mut self, what: String) {
        self.follow();
        if let Some(journal) = &self.journal {
            journal.step(moment(), what);
        }
    }

    /// Reads the events of nodes that are new.
    fn follow(&mut self) {
        if let Some(journal) = &mut self.journal {
            journal.follow(self.arena.members());
        }
    }

    /// Does something to the fleet that is undone at the end.
    pub(super) async fn act(&mut self, op: FleetOp) -> Result<(), OpError> {
        let undo = self.arena.undo_of(&op).await?;
        self.change(op).await?;
        self.undo.extend(undo);
        Ok(())
    }

    /// Does something to the fleet, and notes who is away by it.
    pub(super) async fn change(&mut self, op: FleetOp) -> Result<(), OpError> {
        self.tried.before(&op, &self.arena.members());
        self.away.note(&op);
        self.arena.act(op.clone()).await?;
        self.tried.after(&op, &self.arena.members());
        self.follow();
        Ok(())
    }

    /// Undoes what was done, the last first.
    pub(super) async fn undo_all(&mut self) {
        let members = self.arena.members().into_iter();
        let running: Vec<String> = members.filter(|m| m.running).map(|m| m.name).collect();
        while let Some(op) = self.undo.pop() {
            // A later step may have started it again already.
            if matches!(&op, FleetOp::Start { node, .. } if running.contains(node)) {
                continue;
            }
            if let Err(error) = self.arena.act(op).await {
                tracing::warn!(%error, "a drill's change could not be undone");
            }
        }
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
                    Err(broadcast::error::RecvError::Closed) => return None,
                    _ => {}
                }
            }
        };
        let found = tokio::time::timeout(OUTCOME_WITHIN, search).await.ok().flatten();
        found.ok_or(Stop::NoOutcome(what))
    }

    /// A node by its name; `first` is the first that was started.
    pub(super) fn member(&self, name: &str) -> Result<Member, OpError> {
        let mut members = self.arena.members().into_iter();
        if name == "first" { members.next() } else { members.find(|m| m.name == name) }
            .ok_or_else(|| OpError::Unknown(format!("node {name}")))
    }

    /// What a running node shows.
    pub(super) fn feed(&self, name: &str) -> Result<Feed, OpError> {
        let member = self.member(name)?;
        member.feed.filter(|_| member.running).ok_or_else(|| OpError::Unknown(format!("running node {name}")))
    }

    /// Whether a step had this relay fail.
    pub(super) fn has_failed(&self, relay: &PeerId) -> bool {
        self.failed.iter().any(|failed| failed.relay == *relay)
    }

    /// Notes what was measured.
    pub(super) fn measure(&mut self, name: impl Into<String>, value: f64) {
        self.measured.insert(name.into(), value);
    }

    /// Notes whether something is so.
    pub(super) fn measure_if(&mut self, name: impl Into<String>, so: bool) {
        self.measure(name, f64::from(u8::from(so)));
    }

    pub(super) fn tell(&self, what: String, limit: Option<Duration>) {
        let checks = judge(self.checks, &self.measured);
        (self.say)(Progress { step: self.at, of: self.of, what, limit, checks });
    }
}
