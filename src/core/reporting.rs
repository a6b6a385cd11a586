//! What is told to a registry, and when: a bounded queue of reports that leaves
//! in batches, waits out a registry that is away, and is kept on disk meanwhile.
//!
//! Best effort, and only ever outward: an answer says how many reports were
//! taken, and nothing else of it is looked at. When there is no more room the
//! oldest reports go, and are counted.

use std::collections::VecDeque;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};

use super::backoff::Backoff;
use super::limits::REGISTRY_BATCH_MAX;
use super::{Mono, Now};
use crate::model::{
    Batch, Fact, NodeFact, REPORT_SCHEMA, Report, ReportId, Reporter, ReportingState, ReportingView, Stamp,
};

/// A batch leaves at the latest so long after its first report.
pub const BATCH_AFTER: Duration = Duration::from_secs(4);
/// Reports kept, waiting and on their way; some 3 MB at most. A node that tells
/// of itself once a minute and of an attempt every second fills it in two hours.
pub const KEPT_MAX: usize = 8192;
/// At least so long between two batches, however much waits: 60 a minute is what
/// a registry takes from one reporter.
const BETWEEN: Duration = Duration::from_millis(1_100);
/// While the registry is away. Not longer: somebody looks at its page.
const AWAY: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(60) };
/// The longest pause that a registry may ask for.
const PAUSE_MAX: Duration = Duration::from_secs(300);
/// While the registry is away the queue is written to disk so often, if it grew.
const SPILL_EVERY: Duration = Duration::from_secs(30);
/// How a node is, at the latest so long after the last time.
const STATUS_EVERY: Duration = Duration::from_secs(60);
/// How a node is, when something of it changed.
const STATUS_ON_CHANGE: Duration = Duration::from_secs(5);

/// A report that waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// Its name.
    pub id: ReportId,
    /// When it happened.
    pub at: Stamp,
    /// What happened.
    #[serde(flatten)]
    pub fact: Fact,
}

/// How a batch fared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The registry has it on disk.
    Taken,
    /// It will never take this batch.
    Refused(String),
    /// It does not take it now; perhaps it said for how long.
    Away(String, Option<Duration>),
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub enum Todo {
    /// Send a batch; [`Reporting::answered`] is told how it fared.
    Send(Batch),
    /// Put the whole queue on disk, in place of what is there.
    Spill,
    /// Nothing waits: what is on disk is of no use any more.
    Clear,
}

/// The queue and its clockwork.
#[derive(Debug)]
pub struct Reporting {
    reporter: Reporter,
    run: u64,
    next_seq: u64,
    queue: VecDeque<Waiting>,
    /// How many at the front of the queue are on their way.
    under_way: usize,
    /// When the first of those that wait came.
    waiting_since: Option<Mono>,
    not_before: Mono,
    failures: u32,
    last_status: Option<(Mono, NodeFact)>,
    spilled: Option<Mono>,
    /// Whether the queue on disk is the queue.
    spill_is_old: bool,
    view: ReportingView,
    rng: StdRng,
}

impl Reporting {
    /// With what an earlier run left on disk. `run` names this one.
    pub fn new(reporter: Reporter, left: Vec<Waiting>, run: u64, now: Now) -> Self {
        let mut reporting = Self {
            reporter,
            run,
            next_seq: 1,
            queue: VecDeque::new(),
            under_way: 0,
            waiting_since: None,
            not_before: now.mono,
            failures: 0,
            last_status: None,
            spilled: (!left.is_empty()).then_some(now.mono),
            spill_is_old: false,
            view: ReportingView { state: ReportingState::Waiting, ..ReportingView::default() },
            rng: StdRng::seed_from_u64(run),
        };
        for report in left {
            reporting.keep(report, now);
        }
        reporting.spill_is_old = false;
        reporting
    }

    /// Something happened.
    pub fn tell(&mut self, fact: Fact, now: Now) {
        let id = ReportId { run: self.run, seq: self.next_seq };
        self.next_seq += 1;
        self.keep(Waiting { id, at: now.stamp, fact }, now);
    }

    /// How the node is now: told where it differs, and once a minute.
    pub fn status(&mut self, status: NodeFact, now: Now) {
        let due = match &self.last_status {
            None => true,
            Some((at, last)) => {
                let age = now.mono.since(*at);
                let nat = last.nat != status.nat;
                nat || age >= STATUS_EVERY || (last.differs(&status) && age >= STATUS_ON_CHANGE)
            }
        };
        if due {
            self.last_status = Some((now.mono, status.clone()));
            self.tell(Fact::Node(status), now);
        }
    }

    /// Reports that did not even get here.
    pub fn lost(&mut self, count: u64) {
        self.view.dropped += count;
    }

    fn keep(&mut self, report: Waiting, now: Now) {
        if self.queue.len() == KEPT_MAX {
            // Not one that is on its way: it may have been taken already.
            drop(self.queue.remove(self.under_way.min(KEPT_MAX - 1)));
            self.view.dropped += 1;
        }
        self.queue.push_back(report);
        self.waiting_since.get_or_insert(now.mono);
        self.spill_is_old = true;
    }

    /// When [`Reporting::poll`] has something to do.
    pub fn next_timeout(&self) -> Option<Mono> {
        let send = self.send_at();
        let spill = self.spill_at();
        send.into_iter().chain(spill).min()
    }

    fn send_at(&self) -> Option<Mono> {
        let since = self.waiting_since.filter(|_| self.under_way == 0)?;
        let full = self.queue.len() >= REGISTRY_BATCH_MAX;
        Some(if full { self.not_before } else { (since + BATCH_AFTER).max(self.not_before) })
    }

    fn spill_at(&self) -> Option<Mono> {
        let due = self.failures > 0 && self.spill_is_old && !self.queue.is_empty();
        due.then(|| self.spilled.map_or(Mono::default(), |at| at + SPILL_EVERY))
    }

    /// What is to be done now, one thing at a time.
    pub fn poll(&mut self, now: Now) -> Option<Todo> {
        if self.queue.is_empty() && self.spilled.take().is_some() {
            return Some(Todo::Clear);
        }
        if self.spill_at().is_some_and(|at| at <= now.mono) {
            self.spilled = Some(now.mono);
            self.spill_is_old = false;
            return Some(Todo::Spill);
        }
        if self.send_at().is_some_and(|at| at <= now.mono) {
            return Some(Todo::Send(self.batch(now)));
        }
        None
    }

    /// What waits, whether it is due or not: for the end of a run.
    pub fn last_batch(&mut self, now: Now) -> Option<Batch> {
        (self.under_way == 0 && self.failures == 0 && !self.queue.is_empty()).then(|| self.batch(now))
    }

    fn batch(&mut self, now: Now) -> Batch {
        self.under_way = self.queue.len().min(REGISTRY_BATCH_MAX);
        self.not_before = now.mono + BETWEEN;
        let report = |w: &Waiting| Report {
            id: w.id,
            age_ms: crate::model::millis(w.at.age_at(now.stamp)),
            fact: w.fact.clone(),
        };
        Batch {
            schema: REPORT_SCHEMA,
            reporter: self.reporter.clone(),
            reports: self.queue.iter().take(self.under_way).map(report).collect(),
        }
    }

    /// How the batch under way fared.
    pub fn answered(&mut self, answer: Answer, now: Now) {
        let sent = std::mem::take(&mut self.under_way);
        match answer {
            Answer::Taken => {
                self.let_go(sent, now);
                self.view.taken += sent as u64;
                self.view.last_taken = Some(now.stamp);
                (self.view.state, self.view.trouble) = (ReportingState::Waiting, None);
            }
            Answer::Refused(why) => {
                self.let_go(sent, now);
                self.view.refused += sent as u64;
                (self.view.state, self.view.trouble) = (ReportingState::Waiting, Some(why));
            }
            Answer::Away(why, pause) => {
                self.failures = self.failures.saturating_add(1);
                let wait =
                    AWAY.after(self.failures, &mut self.rng).max(pause.unwrap_or_default().min(PAUSE_MAX));
                self.not_before = now.mono + wait;
                self.waiting_since = Some(now.mono);
                self.view.state = ReportingState::Away { retry: now.stamp.after(wait) };
                self.view.trouble = Some(why);
            }
        }
    }

    fn let_go(&mut self, count: usize, now: Now) {
        self.queue.drain(..count.min(self.queue.len()));
        self.failures = 0;
        self.waiting_since = (!self.queue.is_empty()).then_some(now.mono);
        self.spill_is_old = true;
    }

    /// Everything that is not taken yet, for the disk.
    pub fn kept(&self) -> impl Iterator<Item = &Waiting> {
        self.queue.iter()
    }

    /// As it is shown.
    pub fn view(&self) -> ReportingView {
        let state = if self.under_way > 0 { ReportingState::Sending } else { self.view.state.clone() };
        ReportingView { state, queued: self.queue.len() as u64, ..self.view.clone() }
    }
}

#[cfg(test)]
mod tests;
