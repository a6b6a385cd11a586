//! Addresses of a node that others know.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::lab::drill::arena::Arena;
use crate::lab::drill::run::{self, Run};
use crate::lab::drill::step::DrillStep;
use crate::lab::fault::Net;

/// Counts the addresses of a node that others know and that are in a network:
/// `NAME`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Advertised {
    /// Whose.
    pub node: String,
    /// In which.
    pub within: Net,
    /// What is measured.
    #[serde(rename = "as")]
    pub name: String,
}

impl DrillStep for Advertised {
    fn words(&self) -> String {
        format!("count the addresses of {} in {} that others know", self.node, self.within)
    }

    fn measures(&self) -> Vec<String> {
        vec![self.name.clone()]
    }

    async fn run<A: Arena>(&self, run: &mut Run<'_, A>) -> Result<(), run::Stop> {
        let (node, peer) = (&self.node, run.member(&self.node)?.peer_id);
        let mut known = BTreeSet::new();
        for member in run.arena.members().iter().filter(|m| m.running && m.peer_id != peer) {
            let Some(feed) = &member.feed else { continue };
            let snapshot = feed.snapshots.borrow();
            let addresses = snapshot.peer(&peer).map(|p| p.addresses.clone()).unwrap_or_default();
            known.extend(addresses.into_iter().filter(|at| self.within.contains(at.ip())));
        }
        run.told.extend(known.iter().map(|at| format!("others know {node} at {at}")));
        run.measure(&self.name, known.len() as f64);
        Ok(())
    }
}
