//! Records that are exchanged.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::lab::drill::arena::Arena;
use crate::lab::drill::run::{self, Run};
use crate::lab::drill::step::DrillStep;
use crate::model::{Command, Done, Reason, Snapshot};

/// Snapshots come ten times a second.
const SHOWN_WITHIN: Duration = Duration::from_secs(1);

/// Exchanges records with every linked peer.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sync {
    /// Which node.
    pub node: String,
    /// Measured under this name: `NAME` is the share of peers that answered.
    #[serde(rename = "as")]
    pub name: String,
}

impl DrillStep for Sync {
    fn words(&self) -> String {
        format!("{} exchanges records with all it is linked to", self.node)
    }

    fn measures(&self) -> Vec<String> {
        vec![self.name.clone()]
    }

    async fn run<A: Arena>(&self, run: &mut Run<'_, A>) -> Result<(), run::Stop> {
        let mut snapshots = run.feed(&self.node)?.snapshots.clone();
        let before = Arc::clone(&*snapshots.borrow());
        let outcome = run.command(&self.node, Command::Sync { peer: None }).await?;
        let share = match &outcome.result {
            // Who says that it serves no more syncs just now has answered.
            Ok(Done::Synced(r)) if r.peers_asked > 0 => {
                let silent = r.peers_asked - (r.peers_synced + r.peers_refused).min(r.peers_asked);
                // Who was cut off before, and whose link ends meanwhile, cannot answer.
                let gone =
                    |s: &Snapshot| before.links.iter().filter(|l| s.link(&l.peer_id).is_none()).count();
                let excused = snapshots.wait_for(|s| gone(s) >= silent as usize);
                let excused = matches!(tokio::time::timeout(SHOWN_WITHIN, excused).await, Ok(Ok(_)));
                if excused { 1.0 } else { f64::from(r.peers_asked - silent) / f64::from(r.peers_asked) }
            }
            Err(failure) if matches!(failure.reason, Reason::TooSoon { .. }) => 1.0,
            _ => 0.0,
        };
        run.measure(&self.name, share);
        Ok(())
    }
}
