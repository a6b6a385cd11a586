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
    let passed =
        echo(runner, with, host, begun, within).await? && echo(runner, host, with, begun, within).await?;
    if passed {
        runner.measured.insert(format!("{name}_ms"), begun.elapsed().as_secs_f64() * 1e3);
        let after = runner.arena.mapped_port(host).await?;
        let other = after.is_some_and(|after| after != before);
        runner.measured.insert(format!("{name}_mapping"), f64::from(u8::from(other)));
    }
    Ok(())
}

/// Whether a message came back before the time is over. No sync: a peer serves
/// only so many of them, and would be taken for one that cannot be reached.
async fn echo<A: Arena>(
    runner: &Runner<'_, A>,
    from: &str,
    to: &str,
    begun: Instant,
    within: Duration,
) -> Result<bool, Stop> {
    let peer = runner.member(to)?.peer_id;
    while begun.elapsed() < within {
        let outcome = runner.command(from, Command::Echo { peer, count: 1, every_ms: 1 }).await?;
        if matches!(&outcome.result, Ok(Done::Echoed(report)) if report.answered == 1) {
            return Ok(begun.elapsed() < within);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(false)
}
