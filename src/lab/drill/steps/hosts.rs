//! Hosts that are cut off and healed.

use serde::Deserialize;

use crate::lab::drill::arena::{Arena, Need};
use crate::lab::drill::run::{self, Run};
use crate::lab::drill::step::DrillStep;
use crate::lab::ops::FleetOp;

/// Cuts hosts off: nothing passes, nobody is told.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// Which.
    pub hosts: Vec<String>,
}

impl DrillStep for Cut {
    fn words(&self) -> String {
        format!("cut {}", self.hosts.join(", "))
    }

    fn need(&self) -> Option<Need<'_>> {
        Some(Need::Cut(&self.hosts))
    }

    async fn run<A: Arena>(&self, run: &mut Run<'_, A>) -> Result<(), run::Stop> {
        for host in &self.hosts {
            run.act(FleetOp::Cut(host.clone())).await?;
        }
        Ok(())
    }
}

/// Heals them; all that are cut if none is named.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heal {
    /// Which.
    #[serde(default)]
    pub hosts: Vec<String>,
}

impl DrillStep for Heal {
    fn words(&self) -> String {
        if self.hosts.is_empty() {
            return "heal everything".to_owned();
        }
        format!("heal {}", self.hosts.join(", "))
    }

    fn need(&self) -> Option<Need<'_>> {
        Some(Need::Cut(&self.hosts))
    }

    async fn run<A: Arena>(&self, run: &mut Run<'_, A>) -> Result<(), run::Stop> {
        let meant = |host: &String| self.hosts.is_empty() || self.hosts.contains(host);
        let (heal, keep): (Vec<FleetOp>, Vec<FleetOp>) = std::mem::take(&mut run.undo)
            .into_iter()
            .partition(|op| matches!(op, FleetOp::Heal(host) if meant(host)));
        run.undo = keep;
        for op in heal {
            run.change(op).await?;
        }
        Ok(())
    }
}
