//! Time that passes.

use std::time::Duration;

use serde::Deserialize;

use crate::lab::drill::arena::Arena;
use crate::lab::drill::run::{self, Run};
use crate::lab::drill::step::{DrillStep, too_long};

/// Lets time pass.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sleep {
    /// How much.
    #[serde(rename = "for", with = "humantime_serde")]
    pub time: Duration,
}

impl DrillStep for Sleep {
    fn words(&self) -> String {
        format!("let {} s pass", self.time.as_secs())
    }

    fn flaw(&self) -> Option<String> {
        too_long(self.time)
    }

    fn limit(&self) -> Option<Duration> {
        Some(self.time)
    }

    async fn run<A: Arena>(&self, _: &mut Run<'_, A>) -> Result<(), run::Stop> {
        tokio::time::sleep(self.time).await;
        Ok(())
    }
}
