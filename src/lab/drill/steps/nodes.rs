//! Nodes that come and go.

use serde::Deserialize;

use crate::lab::drill::arena::{Arena, Need};
use crate::lab::drill::run::{self, Run};
use crate::lab::drill::step::DrillStep;
use crate::lab::ops::FleetOp;
use crate::model::Command;

/// Starts a node that is stopped, or one more.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// Which.
    pub node: String,
    /// Whether it dials its bootstrap only.
    #[serde(default)]
    pub passive: bool,
}

impl DrillStep for Start {
    fn words(&self) -> String {
        format!("start {}", self.node)
    }

    fn need(&self) -> Option<Need<'_>> {
        Some(if self.passive { Need::StartPassive } else { Need::Start(&self.node) })
    }

    async fn run<A: Arena>(&self, run: &mut Run<'_, A>) -> Result<(), run::Stop> {
        let op = FleetOp::Start { node: self.node.clone(), passive: self.passive };
        Ok(run.act(op).await?)
    }
}

/// Stops a node politely.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// Which.
    pub node: String,
}

impl DrillStep for Stop {
    fn words(&self) -> String {
        format!("stop {}", self.node)
    }

    fn need(&self) -> Option<Need<'_>> {
        Some(Need::Start(&self.node))
    }

    async fn run<A: Arena>(&self, run: &mut Run<'_, A>) -> Result<(), run::Stop> {
        Ok(run.act(FleetOp::Stop(self.node.clone())).await?)
    }
}

/// Kills a node: SIGKILL, no close frame leaves.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kill {
    /// Which.
    pub node: String,
}

impl DrillStep for Kill {
    fn words(&self) -> String {
        format!("kill {}", self.node)
    }

    fn need(&self) -> Option<Need<'_>> {
        Some(Need::Kill(&self.node))
    }

    async fn run<A: Arena>(&self, run: &mut Run<'_, A>) -> Result<(), run::Stop> {
        Ok(run.act(FleetOp::Kill(self.node.clone())).await?)
    }
}

/// Lets a node lose its next delta before it is sent, so that only the digest can
/// repair it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoseDelta {
    /// Which.
    pub node: String,
}

impl DrillStep for LoseDelta {
    fn words(&self) -> String {
        format!("{} loses its next delta", self.node)
    }

    fn need(&self) -> Option<Need<'_>> {
        Some(Need::DrillCommands)
    }

    async fn run<A: Arena>(&self, run: &mut Run<'_, A>) -> Result<(), run::Stop> {
        run.command(&self.node, Command::LoseNextDelta).await.map(drop)
    }
}
