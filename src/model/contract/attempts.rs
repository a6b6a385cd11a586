//! Attempts and their stages.

use std::net::SocketAddr;

use serde::Serialize;

use super::age_s;
use crate::model::{
    Attempt, AttemptOutcome, Cause, GuessReport, Path, PeerId, Reason, Snapshot, StageKind, StageOutcome,
    StageReport, Stamp,
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
    /// What came of it.
    pub path: Option<Path>,
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
    pub reason: Option<String>,
    /// The same as a code that does not change.
    pub reason_code: Option<String>,
    /// How long it took; null while it runs.
    pub elapsed_ms: Option<u64>,
    /// Through whom.
    pub via: Option<PeerId>,
    /// What was opened and sent, where ports were guessed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guess: Option<GuessReport>,
}

impl From<&StageReport> for Stage {
    fn from(report: &StageReport) -> Self {
        Self {
            stage: report.stage,
            outcome: report.outcome,
            reason: report.reason.as_ref().map(Reason::to_string),
            reason_code: report.reason.as_ref().map(Reason::code),
            elapsed_ms: report.elapsed_ms,
            via: report.via,
            guess: report.guess,
        }
    }
}

impl AttemptItem {
    fn new(attempt: &Attempt, now: Stamp) -> Self {
        Self {
            peer_id: attempt.peer_id,
            target: attempt.target,
            cause: attempt.cause,
            started_s: age_s(attempt.started, now),
            outcome: attempt.outcome,
            path: attempt.path,
            elapsed_ms: attempt.elapsed_ms,
            stages: attempt.stages.iter().map(Stage::from).collect(),
        }
    }
}

impl Attempts {
    /// Of a snapshot; towards one peer, or all.
    pub fn new(snapshot: &Snapshot, peer: Option<PeerId>) -> Self {
        let all = snapshot.attempts.live.iter().chain(&snapshot.attempts.recent);
        let wanted = all.filter(|a| peer.is_none() || a.peer_id == peer);
        Self { attempts: wanted.map(|a| AttemptItem::new(a, snapshot.at)).collect() }
    }
}
