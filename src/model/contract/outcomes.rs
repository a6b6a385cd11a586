//! What came of commands.

use std::net::SocketAddr;

use serde::Serialize;

use super::Stage;
use crate::model::{AttemptOutcome, Failover, LinkReport, Path, PeerId, Reason};

/// Connecting, whether it worked or not.
#[derive(Debug, Clone, Serialize)]
pub struct Connected {
    /// To whom.
    pub peer_id: PeerId,
    /// Connected or unreachable.
    pub outcome: AttemptOutcome,
    /// The path of the link at that moment.
    pub path: Option<Path>,
    /// How long it took.
    pub elapsed_ms: u64,
    /// What was run for it; nothing if the link stood already.
    pub stages: Vec<Stage>,
    /// What else is to be said, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Connected {
    /// Of a report. Without a path nobody is reached.
    pub fn new(report: &LinkReport, failed: Option<&Reason>) -> Self {
        let outcome = if failed.is_none() { AttemptOutcome::Connected } else { AttemptOutcome::Unreachable };
        Self {
            peer_id: report.peer_id,
            outcome,
            path: report.path,
            elapsed_ms: report.elapsed_ms,
            stages: Stage::all(&report.stages),
            note: failed.or(report.note.as_ref()).map(Reason::to_string),
        }
    }
}

/// What came of a stage that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StageResult {
    /// A punch made the link.
    Punched,
    /// A relay carries the link.
    Relayed,
    /// The stage made no link.
    Failed,
    /// The link is no worse than what the stage makes; nothing was done.
    NothingToDo,
}

/// One stage that was asked for, and it alone.
#[derive(Debug, Clone, Serialize)]
pub struct Staged {
    /// Towards whom.
    pub peer_id: PeerId,
    /// What came of it.
    pub outcome: StageResult,
    /// The path of the link at the end, as after connecting.
    pub path: Option<Path>,
    /// The path of the link when it was asked for.
    pub path_before: Option<Path>,
    /// The path of the link at the end, whatever made it.
    pub path_after: Option<Path>,
    /// How long it took.
    pub elapsed_ms: u64,
    /// That stage, round by round; nothing if there was nothing to do.
    pub stages: Vec<Stage>,
    /// Why not, or what else is to be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Staged {
    /// Of a report. `result`: what came of it, or why it failed.
    pub fn new(report: &LinkReport, result: Result<StageResult, &Reason>) -> Self {
        Self {
            peer_id: report.peer_id,
            outcome: result.unwrap_or(StageResult::Failed),
            path: report.path,
            path_before: report.before,
            path_after: report.path,
            elapsed_ms: report.elapsed_ms,
            stages: Stage::all(&report.stages),
            note: result.err().or(report.note.as_ref()).map(Reason::to_string),
        }
    }
}

/// What is dialled when nobody is known, and when alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bootstrap {
    /// Where.
    pub bootstrap: Vec<SocketAddr>,
}

/// A link that was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Disconnected {
    /// Whose.
    pub peer_id: PeerId,
    /// For how long no automatic dial is made.
    pub held_off_s: u64,
}

/// A reservation on this node that its operator ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct EndedServed {
    /// Whose.
    pub peer_id: PeerId,
    /// For how long that peer gets no other one.
    pub kept_off_s: u64,
}

/// A failover that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct FailedOver {
    /// The relay before.
    pub from: PeerId,
    /// The relay after.
    pub to: Option<PeerId>,
    /// Longest time without a path.
    pub gap_ms: Option<u64>,
    /// Messages lost with it.
    pub lost: Option<u64>,
}

impl From<&Failover> for FailedOver {
    fn from(over: &Failover) -> Self {
        Self { from: over.from, to: over.to, gap_ms: over.gap_ms, lost: over.lost }
    }
}

/// The node said goodbye and stops.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Left {}
