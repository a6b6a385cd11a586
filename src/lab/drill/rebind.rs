//! A NAT that forgets its mappings, and how soon data passes again.

use std::time::{Duration, Instant};

use super::arena::{Act, Arena, ArenaError};
use super::runner::{Runner, Stop};
use crate::model::{Command, Done};

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(50);

pub(super) async fn run<A: Arena>(
    runner: &mut Runner<'_, A>,
    host: &str,
    with: &str,
    within: Duration,
    name: &str,
) -> Result<(), Stop> {
    let Some(before) = runner.arena.mapped_port(host).await? else {
        return Err(ArenaError::Failed(format!("{host} has no mapping of its own that could change")).into());
    };
    runner.arena.act(Act::Flush(host.to_owned())).await?;
    let begun = Instant::now();
    // From outside first: that passes only once the node behind the NAT has
    // opened a new mapping by itself.
    let passed = exchange(runner, with, host, begun, within).await?
        && exchange(runner, host, with, begun, within).await?;
    if passed {
        runner.measured.insert(format!("{name}_ms"), begun.elapsed().as_secs_f64() * 1e3);
        let after = runner.arena.mapped_port(host).await?;
        let other = after.is_some_and(|after| after != before);
        runner.measured.insert(format!("{name}_mapping"), f64::from(u8::from(other)));
    }
    Ok(())
}

/// Whether records were exchanged before the time is over.
async fn exchange<A: Arena>(
    runner: &Runner<'_, A>,
    from: &str,
    to: &str,
    begun: Instant,
    within: Duration,
) -> Result<bool, Stop> {
    let peer = Some(runner.member(to)?.peer_id);
    while begun.elapsed() < within {
        let outcome = runner.command(from, Command::Sync { peer }).await?;
        if matches!(&outcome.result, Ok(Done::Synced(report)) if report.peers_synced == 1) {
            return Ok(begun.elapsed() < within);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(false)
}
