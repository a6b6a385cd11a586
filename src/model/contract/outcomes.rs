//! What came of commands.

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
            stages: report.stages.iter().map(Stage::from).collect(),
            note: failed.or(report.note.as_ref()).map(Reason::to_string),
        }
    }
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
