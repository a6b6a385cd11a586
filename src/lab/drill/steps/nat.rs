//! NATs that become others, or forget.

use serde::Deserialize;

use crate::lab::drill::arena::{Arena, Need};
use crate::lab::drill::run::{self, Run};
use crate::lab::drill::step::DrillStep;
use crate::lab::ops::FleetOp;
use crate::model::NatType;

/// Changes a router's NAT.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetNat {
    /// The host behind the router.
    pub host: String,
    /// To what.
    pub nat: NatType,
}

impl DrillStep for SetNat {
    fn words(&self) -> String {
        format!("NAT before {} becomes {}", self.host, self.nat)
    }

    fn flaw(&self) -> Option<String> {
        (self.nat == NatType::Unknown).then(|| "a router's NAT cannot be set to unknown".to_owned())
    }

    fn need(&self) -> Option<Need<'_>> {
        Some(Need::Nat)
    }

    async fn run<A: Arena>(&self, run: &mut Run<'_, A>) -> Result<(), run::Stop> {
        Ok(run.act(FleetOp::SetNat(self.host.clone(), self.nat)).await?)
    }
}

/// Forgets a router's mappings: every connection through it is rebound.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flush {
    /// The host behind the router.
    pub host: String,
}

impl DrillStep for Flush {
    fn words(&self) -> String {
        format!("forget the mappings before {}", self.host)
    }

    fn need(&self) -> Option<Need<'_>> {
        Some(Need::Nat)
    }

    async fn run<A: Arena>(&self, run: &mut Run<'_, A>) -> Result<(), run::Stop> {
        Ok(run.act(FleetOp::Flush(self.host.clone())).await?)
    }
}
