//! Relays that fail under a link, and what it costs the link.

use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::lab::drill::arena::{Arena, Need};
use crate::lab::drill::run::{self, FailedRelay, Run};
use crate::lab::drill::step::{DrillStep, named};
use crate::lab::ops::{FleetOp, OpError};
use crate::model::PeerId;

/// How often the nodes are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How a relay fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RelayFailure {
    /// SIGKILL: no close frame leaves.
    Kill,
    /// Nothing passes to or from its host.
    Cut,
    /// It takes everything and passes nothing on; its own link lives.
    Lie,
}

/// Has the relay under a link fail, and waits until the link runs over
/// another one: `NAME_ms`. `NAME_closes` counts ends that a close frame told,
/// `NAME_ladders` ladders that were run between both ends until the end of
/// the drill.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailRelay {
    /// One end.
    pub a: String,
    /// The other.
    pub b: String,
    /// How.
    pub how: RelayFailure,
    /// How long the link has.
    #[serde(with = "humantime_serde")]
    pub within: Duration,
    /// What is measured.
    #[serde(rename = "as")]
    pub name: String,
}

impl DrillStep for FailRelay {
    fn words(&self) -> String {
        let how = match self.how {
            RelayFailure::Kill => "killed",
            RelayFailure::Cut => "cut off",
            RelayFailure::Lie => "made to lie",
        };
        format!("the relay under {} and {} is {how}", self.a, self.b)
    }

    fn need(&self) -> Option<Need<'_>> {
        // Which node is the relay that fails only the step itself finds out.
        (self.how == RelayFailure::Lie).then_some(Need::Blackhole)
    }

    fn measures(&self) -> Vec<String> {
        named(&self.name, &["_ms", "_closes", "_ladders"])
    }

    async fn run<A: Arena>(&self, run: &mut Run<'_, A>) -> Result<(), run::Stop> {
        let Self { a, b, how, within, name } = self;
        let (one, other) = (run.member(a)?.peer_id, run.member(b)?.peer_id);
        let via = |run: &Run<'_, A>| -> Result<[Option<PeerId>; 2], OpError> {
            let at = |node: &str, peer: PeerId| -> Result<Option<PeerId>, OpError> {
                Ok(run.feed(node)?.snapshots.borrow().link(&peer).and_then(|link| link.via))
            };
            Ok([at(a, other)?, at(b, one)?])
        };
        let [Some(relay), _] = via(run)? else {
            return Err(OpError::Failed(format!("no relay is under the link of {a} and {b}")).into());
        };
        let host = run.arena.members().into_iter().find(|m| m.peer_id == relay).map(|m| m.name);
        let host = host.ok_or_else(|| OpError::Unknown(format!("node with the id {relay}")))?;
        let events = vec![run.feed(a)?.events.resubscribe(), run.feed(b)?.events.resubscribe()];
        let begun = Instant::now();
        run.act(match how {
            RelayFailure::Kill => FleetOp::Kill(host),
            RelayFailure::Cut => FleetOp::Cut(host),
            RelayFailure::Lie => FleetOp::Blackhole { host, on: true },
        })
        .await?;
        while begun.elapsed() < *within {
            if via(run)?.iter().all(|now| now.is_some_and(|now| now != relay)) {
                run.measure(format!("{name}_ms"), begun.elapsed().as_secs_f64() * 1e3);
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let ends = [(a.to_owned(), other), (b.to_owned(), one)];
        run.failed.push(FailedRelay { name: name.clone(), relay, ends, events });
        Ok(())
    }
}
