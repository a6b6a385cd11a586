//! Two nodes that connect, or are disconnected.

use std::time::Duration;

use serde::Deserialize;

use crate::lab::drill::arena::Arena;
use crate::lab::drill::report::ladder;
use crate::lab::drill::run::{self, Run};
use crate::lab::drill::step::{DrillStep, named};
use crate::model::{Command, Done, Path};

/// Snapshots come ten times a second.
const SHOWN_WITHIN: Duration = Duration::from_secs(1);

/// Runs the ladder from one node to another.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connect {
    /// From which.
    pub from: String,
    /// To which.
    pub to: String,
    /// Measured under this name: `NAME_ms`, `NAME` 1 or 0, and the same for
    /// each path as `NAME_direct`, `NAME_punched` and `NAME_relayed`, and
    /// whether it runs over IPv6 as `NAME_ipv6`.
    #[serde(rename = "as")]
    pub name: String,
}

impl DrillStep for Connect {
    fn words(&self) -> String {
        format!("connect {} to {}", self.from, self.to)
    }

    fn measures(&self) -> Vec<String> {
        named(&self.name, &["", "_ms", "_direct", "_punched", "_relayed", "_ipv6"])
    }

    async fn run<A: Arena>(&self, run: &mut Run<'_, A>) -> Result<(), run::Stop> {
        let Self { from, to, name } = self;
        let peer = run.member(to)?.peer_id;
        let outcome = run.command(from, Command::Connect { peer }).await?;
        let connected = matches!(outcome.result, Ok(Done::Connected(_)));
        run.measure_if(name, connected);
        let by_ipv6 = connected && runs_by_ipv6(run, from, to).await?;
        run.measure_if(format!("{name}_ipv6"), by_ipv6);
        let by = if by_ipv6 { " (by IPv6)" } else { "" };
        run.told.push(format!("{from} to {to}: {}{by}", ladder(&outcome)));
        let report = match &outcome.result {
            Ok(Done::Connected(report)) => Some(report),
            _ => None,
        };
        if let Some(report) = report {
            run.measure(format!("{name}_ms"), report.elapsed_ms as f64);
        }
        for path in [Path::Direct, Path::Punched, Path::Relayed] {
            let so = report.is_some_and(|r| r.path == Some(path));
            run.measure_if(format!("{name}_{}", path.name()), so);
        }
        Ok(())
    }
}

/// Whether a link that was just reported runs over IPv6; of a relayed one, to
/// its relay.
async fn runs_by_ipv6<A: Arena>(run: &Run<'_, A>, from: &str, to: &str) -> Result<bool, run::Stop> {
    let peer = run.member(to)?.peer_id;
    let mut snapshots = run.feed(from)?.snapshots.clone();
    // The outcome may come before the snapshot that shows the link.
    let shown = tokio::time::timeout(SHOWN_WITHIN, snapshots.wait_for(|s| s.link(&peer).is_some())).await;
    let Ok(Ok(snapshot)) = shown else { return Ok(false) };
    Ok(snapshot.link(&peer).is_some_and(|link| link.remote_addr.is_ipv6()))
}

/// Disconnects two nodes and holds off automatic dials.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disconnect {
    /// From which.
    pub from: String,
    /// To which.
    pub to: String,
}

impl DrillStep for Disconnect {
    fn words(&self) -> String {
        format!("disconnect {} from {}", self.from, self.to)
    }

    async fn run<A: Arena>(&self, run: &mut Run<'_, A>) -> Result<(), run::Stop> {
        let peer = run.member(&self.to)?.peer_id;
        run.command(&self.from, Command::Disconnect { peer }).await.map(drop)
    }
}
