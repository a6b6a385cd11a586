//! A NAT that forgets its mappings, and how soon data passes again.

use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::lab::drill::arena::{Arena, Need};
use crate::lab::drill::run::{self, Run};
use crate::lab::drill::step::{DrillStep, named, no_time};
use crate::lab::ops::{FleetOp, OpError};
use crate::model::{Command, Done};

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// Makes a router forget its mappings, and waits until data passes both ways
/// again between the node behind it and another, through another mapping.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rebind {
    /// The host behind the router.
    pub host: String,
    /// Who exchanges records with it; the first exchange begins there.
    pub with: String,
    /// How long at most.
    #[serde(with = "humantime_serde")]
    pub within: Duration,
    /// Measured under this name: `NAME_ms` from the flush to both exchanges,
    /// and `NAME_mapping` 1 if the mapping is another one.
    #[serde(rename = "as")]
    pub name: String,
}

impl DrillStep for Rebind {
    fn words(&self) -> String {
        let Self { host, with, .. } = self;
        format!("forget the mappings before {host}, until it and {with} exchange records again")
    }

    fn flaw(&self) -> Option<String> {
        no_time(self.within)
    }

    fn need(&self) -> Option<Need<'_>> {
        Some(Need::Nat)
    }

    fn measures(&self) -> Vec<String> {
        named(&self.name, &["_ms", "_mapping"])
    }

    async fn run<A: Arena>(&self, run: &mut Run<'_, A>) -> Result<(), run::Stop> {
        let Self { host, with, within, name } = self;
        let within = *within;
        let Some(before) = run.arena.mapped_port(host).await? else {
            return Err(OpError::Failed(format!("{host} has no mapping of its own that could change")).into());
        };
        run.arena.act(FleetOp::Flush(host.clone())).await?;
        let begun = Instant::now();
        // From outside first: that passes only once the node behind the NAT has
        // opened a new mapping by itself.
        let passed =
            echo(run, with, host, begun, within).await? && echo(run, host, with, begun, within).await?;
        if passed {
            run.measure(format!("{name}_ms"), begun.elapsed().as_secs_f64() * 1e3);
            let after = run.arena.mapped_port(host).await?;
            let other = after.is_some_and(|after| after != before);
            run.measure_if(format!("{name}_mapping"), other);
        }
        Ok(())
    }
}

/// Whether a message came back before the time is over. No sync: a peer serves
/// only so many of them, and would be taken for one that cannot be reached.
async fn echo<A: Arena>(
    run: &Run<'_, A>,
    from: &str,
    to: &str,
    begun: Instant,
    within: Duration,
) -> Result<bool, run::Stop> {
    let peer = run.member(to)?.peer_id;
    while begun.elapsed() < within {
        let outcome = run.command(from, Command::Echo { peer, count: 1, every_ms: 1 }).await?;
        if matches!(&outcome.result, Ok(Done::Echoed(report)) if report.answered == 1) {
            return Ok(begun.elapsed() < within);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(false)
}
