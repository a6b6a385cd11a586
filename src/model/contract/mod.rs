//! The objects that `--json` prints: the contract with programs.
//!
//! Each is made from a snapshot or an outcome and names its fields as programs
//! know them. Ids are 64 hex digits, durations end in `_ms` or `_s`, unknown
//! values are null. A field is added here when somebody needs it, and never
//! renamed. Texts for people are made from the same objects, so that both say
//! the same.

mod attempts;
mod nat;
mod node;
mod outcomes;
mod peers;
mod relays;
mod tested;
mod told;
mod why;

use serde::Serialize;

pub use attempts::{AttemptItem, Attempts, Stage};
pub use nat::NatWithVantages;
pub use node::{Cache, Gossip, InOut, Kpi, LinkCounts, RelayState, Save, Status};
pub use outcomes::{Connected, Disconnected, EndedServed, FailedOver, Left, StageResult, Staged};
pub use peers::{Links, Peers};
pub use relays::{Relays, Serving};
pub use tested::TestReport;
pub use told::Told;
pub use why::{NextItem, WhyItem, WhyReport};

use super::{Event, EventKind, Stamp, nat_summary};

/// The version of all these objects.
pub const SCHEMA: u32 = 1;

/// An object as it is printed: with the schema's version in front.
#[derive(Debug, Clone, Serialize)]
pub struct Printed<T> {
    schema: u32,
    #[serde(flatten)]
    what: T,
}

impl<T> Printed<T> {
    /// With the version of today.
    pub fn new(what: T) -> Self {
        Self { schema: SCHEMA, what }
    }
}

/// What a program is told when it did not happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorReport {
    /// What went wrong.
    pub error: ErrorItem,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorItem {
    /// In a word that does not change.
    pub code: String,
    /// In a sentence.
    pub message: String,
    /// Whom a name or prefix may mean, where it is not clear.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Candidate>,
}

/// One of several that may be meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// Who.
    pub peer_id: super::PeerId,
    /// Its name, if it has one.
    pub name: Option<String>,
}

/// An event as it is printed: a line of its own.
#[derive(Debug, Clone, Serialize)]
pub struct EventLine {
    /// Counts from 1 in each run of a node; a gap means that events are missing.
    pub seq: u64,
    /// When, as RFC 3339 in UTC.
    pub at: String,
    /// To whom, if to anybody.
    pub peer_id: Option<super::PeerId>,
    /// What; its name is `kind`.
    #[serde(flatten)]
    pub kind: serde_json::Value,
}

impl EventLine {
    /// Of an event.
    pub fn new(event: &Event) -> Self {
        let mut kind = serde_json::to_value(&event.kind).unwrap_or_default();
        if let Some(fields) = kind.as_object_mut() {
            spell_out(fields);
            if let EventKind::NatChanged { to, firewalled, reason, .. } = &event.kind {
                let summary = nat_summary(*to, *firewalled, reason.as_ref());
                fields.insert("summary".to_owned(), summary.into());
            }
        }
        Self { seq: event.seq, at: rfc3339(event.at), peer_id: event.peer_id, kind }
    }
}

/// A reason is a text with a code beside it, here as elsewhere.
fn spell_out(fields: &mut serde_json::Map<String, serde_json::Value>) {
    let Some(value) = fields.get("reason").cloned() else { return };
    let (code, text) = if value.is_object() {
        let Ok(reason) = serde_json::from_value::<super::Reason>(value) else { return };
        (reason.code().into(), reason.to_string())
    } else {
        let Ok(end) = serde_json::from_value::<super::ServedEnd>(value.clone()) else { return };
        (value, end.to_string())
    };
    fields.insert("reason_code".to_owned(), code);
    fields.insert("reason".to_owned(), text.into());
}

/// A point in time as programs read it; the epoch if it lies outside of what
/// can be written.
pub fn rfc3339(at: Stamp) -> String {
    let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
    format!("{at:.3}")
}

/// How long ago something was, in seconds with milliseconds.
fn age_s(at: Stamp, now: Stamp) -> f64 {
    at.age_at(now).as_millis() as f64 / 1000.0
}

/// How far ahead something is, in the same way.
fn left_s(at: Stamp, now: Stamp) -> f64 {
    age_s(now, at)
}
