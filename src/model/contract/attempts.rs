//! Attempts and their stages.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::age_s;
use crate::model::{
    Attempt, AttemptOutcome, Cause, GuessReport, Path, PeerId, Reason, Snapshot, StageKind, StageOutcome,
    StageReport, Stamp, millis, stage_place,
};

/// Live and recent attempts.
#[derive(Debug, Clone, Serialize)]
pub struct Attempts {
    /// The live ones first, then the newest.
    pub attempts: Vec<AttemptItem>,
}

/// An attempt.
#[derive(Debug, Clone, Serialize)]
pub struct AttemptItem {
    /// Towards whom; unknown for an address that has not answered.
    pub peer_id: Option<PeerId>,
    /// The first address dialled.
    pub target: Option<SocketAddr>,
    /// What made us try.
    pub cause: Cause,
    /// Since it began.
    pub started_s: f64,
    /// How it ended; null while it runs.
    pub outcome: Option<AttemptOutcome>,
    /// The path of its first usable link.
    pub path: Option<Path>,
    /// The path of the link to that peer now.
    pub path_now: Option<Path>,
    /// What became of it since, for people.
    #[serde(skip)]
    pub since: Option<String>,
    /// How long it took; null while it runs.
    pub elapsed_ms: Option<u64>,
    /// In order.
    pub stages: Vec<Stage>,
}

/// A stage.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stage {
    /// Which.
    pub stage: StageKind,
    /// Where it stands.
    pub outcome: StageOutcome,
    /// Why it failed or was skipped, in words.
    #[serde(serialize_with = "in_words")]
    pub reason: Option<Reason>,
    /// The same as a code that does not change.
    pub reason_code: Option<&'static str>,
    /// When it began, counted from the first stage.
    pub started_ms: u64,
    /// Whether another stage ran at the same time.
    pub in_parallel: bool,
    /// How long it took; null while it runs.
    pub elapsed_ms: Option<u64>,
    /// Through whom.
    pub via: Option<PeerId>,
    /// What was opened and sent, where ports were guessed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guess: Option<GuessReport>,
}

impl Stage {
    /// All of an attempt, or of what is told of one.
    pub fn all(reports: &[StageReport]) -> Vec<Self> {
        (0..).zip(reports).map(|(at, report)| Self::new(report, stage_place(reports, at))).collect()
    }

    fn new(report: &StageReport, (begun, in_parallel): (Duration, bool)) -> Self {
        Self {
            stage: report.stage,
            outcome: report.outcome,
            reason: report.reason.clone(),
            reason_code: report.reason.as_ref().map(Reason::code),
            started_ms: millis(begun),
            in_parallel,
            elapsed_ms: report.elapsed_ms,
            via: report.via,
            guess: report.guess,
        }
    }
}

impl AttemptItem {
    fn new(attempt: &Attempt, shown: &Snapshot) -> Self {
        let now: Stamp = shown.at;
        Self {
            peer_id: attempt.peer_id,
            target: attempt.target,
            cause: attempt.cause,
            started_s: age_s(attempt.started, now),
            outcome: attempt.outcome,
            path: attempt.path,
            path_now: attempt.peer_id.and_then(|peer| shown.link(&peer)).map(|link| link.path),
            since: attempt.since(shown).map(|since| since.to_string()),
            elapsed_ms: attempt.elapsed_ms,
            stages: Stage::all(&attempt.stages),
        }
    }
}

impl Attempts {
    /// Of a snapshot; towards one peer, or all.
    pub fn new(snapshot: &Snapshot, peer: Option<PeerId>) -> Self {
        let all = snapshot.attempts.live.iter().chain(&snapshot.attempts.recent);
        let wanted = all.filter(|a| peer.is_none() || a.peer_id == peer);
        Self { attempts: wanted.map(|a| AttemptItem::new(a, snapshot)).collect() }
    }
}

#[allow(clippy::ref_option)] // serde's signature
fn in_words<S: Serializer>(reason: &Option<Reason>, s: S) -> Result<S::Ok, S::Error> {
    reason.as_ref().map(Reason::to_string).serialize(s)
}
