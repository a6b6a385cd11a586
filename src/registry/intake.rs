//! What of a batch is believed: its form. What it says is its sender's claim.

use std::time::Duration;

use crate::core::limits::{NAME_BYTES_MAX, NETWORK_BYTES_MAX, REGISTRY_BATCH_MAX};
use crate::model::{AttemptOutcome, Batch, Fact, REPORT_SCHEMA, clean};

/// A version is shorter.
const VERSION_BYTES_MAX: usize = 64;
/// The code of a reason is shorter.
const REASON_BYTES_MAX: usize = 64;
/// Nothing that is timed takes longer.
const TIME_MAX: Duration = Duration::from_secs(24 * 3600);

/// Why a batch is not taken, now or ever.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("{0} reports; at most {REGISTRY_BATCH_MAX} in a batch")]
    TooMany(usize),
    #[error("{0}")]
    Wrong(String),
}

fn wrong<T>(why: impl Into<String>) -> Result<T, Malformed> {
    Err(Malformed::Wrong(why.into()))
}

/// What of a batch says which version it is of.
#[derive(serde::Deserialize)]
struct Head {
    schema: u32,
    #[serde(default)]
    reporter: Who,
}

#[derive(Default, serde::Deserialize)]
struct Who {
    #[serde(default)]
    version: String,
}

fn other_version(head: &Head) -> String {
    let (ours, theirs) = (env!("CARGO_PKG_VERSION"), clean(&head.reporter.version));
    let theirs = if theirs.is_empty() { "another version".to_owned() } else { theirs };
    let which = if head.schema > REPORT_SCHEMA { "the registry" } else { "the node" };
    format!(
        "the node is punchdeck {theirs} (reports of schema {}), this registry {ours} (schema {REPORT_SCHEMA}): \
         upgrade {which}",
        head.schema
    )
}

/// Reads a batch. Texts come out cleaned of what could move a screen.
pub(super) fn read(body: &[u8]) -> Result<Batch, Malformed> {
    // What follows in another version's batch may be something that we cannot read.
    if let Ok(head) = serde_json::from_slice::<Head>(body)
        && head.schema != REPORT_SCHEMA
    {
        return wrong(other_version(&head));
    }
    let mut batch: Batch =
        serde_json::from_slice(body).map_err(|e| Malformed::Wrong(format!("no batch of reports: {e}")))?;
    if batch.reports.len() > REGISTRY_BATCH_MAX {
        return Err(Malformed::TooMany(batch.reports.len()));
    }
    let reporter = &mut batch.reporter;
    for (what, text, most) in [
        ("name", &mut reporter.name, NAME_BYTES_MAX),
        ("network", &mut reporter.network, NETWORK_BYTES_MAX),
        ("version", &mut reporter.version, VERSION_BYTES_MAX),
    ] {
        if text.len() > most {
            return wrong(format!("the {what} has more than {most} bytes"));
        }
        *text = clean(text);
    }
    for report in &mut batch.reports {
        check(&mut report.fact)?;
    }
    Ok(batch)
}

fn check(fact: &mut Fact) -> Result<(), Malformed> {
    let most = crate::model::millis(TIME_MAX);
    match fact {
        Fact::Attempt(a) => {
            if a.elapsed_ms > most {
                return wrong(format!("an attempt of {} ms", a.elapsed_ms));
            }
            match (a.outcome, a.path) {
                (AttemptOutcome::Connected, Some(_)) => {}
                (AttemptOutcome::Unreachable, _) => a.path = None,
                (AttemptOutcome::Connected, None) => return wrong("an attempt that connected over no path"),
                (AttemptOutcome::NoBetterPath, _) => return wrong("an attempt at a peer that was linked"),
                (AttemptOutcome::Abandoned, _) => return wrong("an attempt that was called off"),
            }
            if a.reason.as_ref().is_some_and(|r| r.len() > REASON_BYTES_MAX) {
                return wrong(format!("a reason of more than {REASON_BYTES_MAX} bytes"));
            }
            a.reason = a.reason.as_deref().map(clean);
        }
        Fact::Moved(m) if m.gap_ms > most => return wrong(format!("a gap of {} ms", m.gap_ms)),
        Fact::Failover(f) if f.gap_ms.is_some_and(|gap| gap > most) => return wrong("a gap of over a day"),
        Fact::Node(n) => {
            if n.propagation.is_some_and(|p| p.known > p.expected || p.expected > u64::from(u32::MAX)) {
                return wrong("a propagation of more than all");
            }
        }
        Fact::Moved(_) | Fact::Failover(_) => {}
    }
    Ok(())
}
