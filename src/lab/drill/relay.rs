//! Relays that fail under a link, and what it costs the link.

use std::time::{Duration, Instant};

use tokio::sync::broadcast;

use super::arena::{Act, Arena, ArenaError};
use super::runner::{Runner, Stop};
use super::step::RelayFailure;
use crate::model::{Command, Done, Event, EventKind, PeerId, Reason};

/// How often the nodes are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What was measured is called so, after the step's name.
pub(super) const MEASURED: [&str; 3] = ["_ms", "_closes", "_ladders"];

/// A relay that failed, and what is counted until the drill ends.
pub(super) struct Failed {
    name: String,
    relay: PeerId,
    ends: [(String, PeerId); 2],
    events: Vec<broadcast::Receiver<std::sync::Arc<Event>>>,
}

/// Has the relay under a link fail, and waits until the link runs over another
/// one at both ends.
pub(super) async fn run<A: Arena>(
    runner: &mut Runner<'_, A>,
    (a, b): (&str, &str),
    how: RelayFailure,
    within: Duration,
    name: &str,
) -> Result<(), Stop> {
    let (one, other) = (runner.member(a)?.peer_id, runner.member(b)?.peer_id);
    let via = |runner: &Runner<'_, A>| -> Result<[Option<PeerId>; 2], ArenaError> {
        let at = |node: &str, peer: PeerId| -> Result<Option<PeerId>, ArenaError> {
            Ok(runner.feed(node)?.snapshots.borrow().link(&peer).and_then(|link| link.via))
        };
        Ok([at(a, other)?, at(b, one)?])
    };
    let [Some(relay), _] = via(runner)? else {
        return Err(ArenaError::Failed(format!("no relay is under the link of {a} and {b}")).into());
    };
    let host = runner.arena.members().into_iter().find(|m| m.peer_id == relay).map(|m| m.name);
    let host = host.ok_or_else(|| ArenaError::Unknown(format!("node with the id {relay}")))?;
    let events = vec![runner.feed(a)?.events.resubscribe(), runner.feed(b)?.events.resubscribe()];
    let begun = Instant::now();
    match how {
        RelayFailure::Kill => {
            let again = Act::Start { node: host.clone(), passive: false };
            runner.act(Act::Kill(host), Some(again)).await?;
        }
        RelayFailure::Cut => runner.act(Act::Cut(host.clone()), Some(Act::Heal(host))).await?,
        RelayFailure::Lie => runner.act(Act::Lie(host.clone()), Some(Act::Own(host))).await?,
    }
    while begun.elapsed() < within {
        if via(runner)?.iter().all(|now| now.is_some_and(|now| now != relay)) {
            runner.measured.insert(format!("{name}_ms"), begun.elapsed().as_secs_f64() * 1e3);
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let ends = [(a.to_owned(), other), (b.to_owned(), one)];
    runner.failed.push(Failed { name: name.to_owned(), relay, ends, events });
    Ok(())
}

impl<A: Arena> Runner<'_, A> {
    /// Whether a step had this relay fail.
    pub(super) fn has_failed(&self, relay: &PeerId) -> bool {
        self.failed.iter().any(|failed| failed.relay == *relay)
    }
}

impl Failed {
    /// Counts, at the drill's end: how many ends were told by a close frame that
    /// the relay is gone, and how many ladders were run between the ends.
    pub(super) fn count(mut self) -> [(String, f64); 2] {
        let (mut closes, mut ladders) = (0, 0);
        for (events, (_, other)) in self.events.iter_mut().zip(&self.ends) {
            loop {
                match events.try_recv() {
                    Ok(event) => {
                        let told = matches!(
                            event.kind,
                            EventKind::LinkDown { reason: Reason::Closed { close: Some(_) } }
                        );
                        closes += u32::from(told && event.peer_id == Some(self.relay));
                        let began = matches!(event.kind, EventKind::AttemptStarted { .. });
                        ladders += u32::from(began && event.peer_id == Some(*other));
                    }
                    // What was missed could have been one.
                    Err(broadcast::error::TryRecvError::Lagged(_)) => closes += 1,
                    Err(_) => break,
                }
            }
        }
        let name = &self.name;
        [(format!("{name}_closes"), f64::from(closes)), (format!("{name}_ladders"), f64::from(ladders))]
    }
}

/// Hands the relayed links of a node over, as an operator would.
pub(super) async fn fail_over<A: Arena>(
    runner: &mut Runner<'_, A>,
    node: &str,
    name: &str,
) -> Result<(), Stop> {
    let begun = Instant::now();
    let outcome = runner.command(node, Command::Failover { peer: None }).await?;
    if let Ok(Done::FailedOver(over)) = &outcome.result {
        runner.measured.insert(format!("{name}_ms"), begun.elapsed().as_secs_f64() * 1e3);
        let figures = [("_gap_ms", over.gap_ms), ("_lost", over.lost)];
        for (what, value) in figures {
            if let Some(value) = value {
                runner.measured.insert(format!("{name}{what}"), value as f64);
            }
        }
    }
    Ok(())
}
