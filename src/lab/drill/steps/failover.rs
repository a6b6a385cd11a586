//! Relayed links that are handed over, as an operator would.

use std::time::Instant;

use serde::Deserialize;

use crate::lab::drill::arena::Arena;
use crate::lab::drill::run::{self, Run};
use crate::lab::drill::step::{DrillStep, named};
use crate::model::{Command, Done};

/// Hands a node's relayed links over: `NAME_ms`, `NAME_gap_ms`, `NAME_lost`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failover {
    /// Which.
    pub node: String,
    /// What is measured.
    #[serde(rename = "as")]
    pub name: String,
}

impl DrillStep for Failover {
    fn words(&self) -> String {
        format!("{} hands its relayed links over", self.node)
    }

    fn measures(&self) -> Vec<String> {
        named(&self.name, &["_ms", "_gap_ms", "_lost"])
    }

    async fn run<A: Arena>(&self, run: &mut Run<'_, A>) -> Result<(), run::Stop> {
        let (begun, name) = (Instant::now(), &self.name);
        let outcome = run.command(&self.node, Command::Failover { peer: None }).await?;
        if let Ok(Done::FailedOver(over)) = &outcome.result {
            run.measure(format!("{name}_ms"), begun.elapsed().as_secs_f64() * 1e3);
            for (what, value) in [("_gap_ms", over.gap_ms), ("_lost", over.lost)] {
                if let Some(value) = value {
                    run.measure(format!("{name}{what}"), value as f64);
                }
            }
        }
        Ok(())
    }
}
