//! Numbered echoes that run while further steps do.

use std::time::Duration;

use serde::Deserialize;
use tokio::sync::broadcast::error::RecvError;

use crate::lab::drill::arena::{Arena, Need};
use crate::lab::drill::run::{self, OUTCOME_WITHIN, Run};
use crate::lab::drill::step::{DrillStep, named};
use crate::model::{Command, Done};

/// What was measured is called so, after the step's name.
const MEASURED: [&str; 8] =
    ["_sent", "_lost", "_repeated", "_reordered", "_gap_ms", "_rtt_ms", "_past_one_ms", "_past_two_ms"];

/// Sends numbered echoes while the further steps run: `NAME_sent`,
/// `NAME_lost`, `NAME_repeated`, `NAME_reordered`, `NAME_gap_ms`, the longest
/// time without an answer, `NAME_rtt_ms`, the round trip, and what of the gap
/// lies beyond one of them and two: `NAME_past_one_ms`, `NAME_past_two_ms`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Echo {
    /// From which.
    pub from: String,
    /// To which.
    pub to: String,
    /// For how long.
    #[serde(rename = "for", with = "humantime_serde")]
    pub time: Duration,
    /// One so often.
    #[serde(with = "humantime_serde")]
    pub every: Duration,
    /// What is measured.
    #[serde(rename = "as")]
    pub name: String,
}

impl DrillStep for Echo {
    fn words(&self) -> String {
        format!("{} sends echoes to {} for {} s", self.from, self.to, self.time.as_secs())
    }

    fn need(&self) -> Option<Need<'_>> {
        Some(Need::DrillCommands)
    }

    fn measures(&self) -> Vec<String> {
        named(&self.name, &MEASURED)
    }

    /// Begins; what came of them is known at the end.
    async fn run<A: Arena>(&self, run: &mut Run<'_, A>) -> Result<(), run::Stop> {
        let peer = run.member(&self.to)?.peer_id;
        let every_ms = u32::try_from(self.every.as_millis()).unwrap_or(u32::MAX).max(1);
        let count = u32::try_from(self.time.as_millis()).unwrap_or(u32::MAX) / every_ms;
        let feed = run.feed(&self.from)?;
        let mut outcomes = feed.outcomes.resubscribe();
        let none = || run::Stop::NoOutcome(format!("echo on {}", self.from));
        let id = feed.commands.try_send(Command::Echo { peer, count, every_ms }).map_err(|_| none())?;
        let task = tokio::spawn(async move {
            loop {
                match outcomes.recv().await {
                    Ok(outcome) if outcome.id == id => match outcome.result {
                        Ok(Done::Echoed(report)) => return Some(report),
                        _ => return None,
                    },
                    Err(RecvError::Closed) => return None,
                    _ => {}
                }
            }
        });
        run.echoes.push((self.name.clone(), task));
        Ok(())
    }
}

/// Waits for the end of all echoes, and notes what came of them.
pub(in crate::lab::drill) async fn end_all<A: Arena>(run: &mut Run<'_, A>) {
    for (name, task) in std::mem::take(&mut run.echoes) {
        let Ok(Ok(Some(report))) = tokio::time::timeout(OUTCOME_WITHIN, task).await else { continue };
        let (gap, trip) = (report.gap_ms as f64, report.rtt_ms.map(|ms| ms as f64));
        let figures = [
            Some(report.sent as f64),
            Some(report.lost as f64),
            Some(report.repeated as f64),
            Some(report.reordered as f64),
            Some(gap),
            trip,
            // Of a gap that is shorter nothing lies beyond.
            trip.map(|trip| (gap - trip).max(0.0)),
            trip.map(|trip| (gap - 2.0 * trip).max(0.0)),
        ];
        for (what, value) in MEASURED.into_iter().zip(figures) {
            run.measured.extend(value.map(|value| (format!("{name}{what}"), value)));
        }
    }
}
