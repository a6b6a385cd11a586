//! How often what happened since the node started: what a chart of rates is made of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AttemptOutcome, EventKind, Path, StageKind, StageOutcome};

/// Upper bounds of the histograms' buckets, in milliseconds: from a link on one host to
/// a ladder that went to its end.
pub const TIME_BOUNDS_MS: [u64; 12] = [1, 2, 5, 10, 25, 50, 100, 250, 1_000, 2_500, 10_000, 30_000];

/// How long something took, how often.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// How many took no longer than the bound of the same place in [`TIME_BOUNDS_MS`],
    /// and longer than the one before; the last place is for all that took longer.
    pub counts: Vec<u64>,
    /// All of it together, in milliseconds.
    pub sum_ms: u64,
}

impl Times {
    fn take(&mut self, ms: u64) {
        self.counts.resize(TIME_BOUNDS_MS.len() + 1, 0);
        self.counts[TIME_BOUNDS_MS.partition_point(|bound| *bound < ms)] += 1;
        self.sum_ms = self.sum_ms.saturating_add(ms);
    }

    /// How often in all.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// How often what happened since the node started. Each event is counted when it is
/// told, so these figures and the events say the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Attempts that connected, by the path of their first usable link.
    pub connected: BTreeMap<Path, u64>,
    /// Attempts that ended otherwise, by how.
    pub not_connected: BTreeMap<AttemptOutcome, u64>,
    /// Stages of attempts that ended, by how.
    pub stages: BTreeMap<StageKind, BTreeMap<StageOutcome, u64>>,
    /// From the beginning of an attempt to a usable link.
    pub connect: Times,
    /// Links that came up, by path, whoever dialled.
    pub links_up: BTreeMap<Path, u64>,
    /// Links that went down, by the code of the reason.
    pub links_down: BTreeMap<String, u64>,
    /// Links that moved from one relay to another: the time without a frame.
    pub relay_moves: Times,
    /// Links that left their relay for a path of their own.
    pub off_relay: u64,
    /// Relays of ours that died.
    pub relays_dead: u64,
    /// Changes of our NAT's type.
    pub nat_changes: u64,
    /// Times that no link was left.
    pub isolated: u64,
    /// Saves of the cache that failed.
    pub saves_failed: u64,
    /// Datagrams that this host did not let us send.
    pub sends_refused: u64,
    /// Background tasks that died.
    pub tasks_faulted: u64,
}

impl Totals {
    /// Counts what happened.
    pub fn take(&mut self, event: &EventKind) {
        match event {
            EventKind::AttemptEnded {
                outcome: AttemptOutcome::Connected,
                path: Some(path),
                elapsed_ms,
                ..
            } => {
                *self.connected.entry(*path).or_default() += 1;
                self.connect.take(*elapsed_ms);
            }
            EventKind::AttemptEnded { outcome, .. } => {
                *self.not_connected.entry(*outcome).or_default() += 1;
            }
            EventKind::StageEnded { stage, outcome, .. } => {
                *self.stages.entry(*stage).or_default().entry(*outcome).or_default() += 1;
            }
            EventKind::LinkUp { path, .. } => *self.links_up.entry(*path).or_default() += 1,
            EventKind::LinkDown { reason } => {
                *self.links_down.entry(reason.code().to_owned()).or_default() += 1;
            }
            EventKind::LinkMoved { from: Path::Relayed, to: Path::Relayed, gap_ms, .. } => {
                self.relay_moves.take(*gap_ms);
            }
            EventKind::LinkMoved { from: Path::Relayed, .. } => self.off_relay += 1,
            EventKind::RelayDead { .. } => self.relays_dead += 1,
            EventKind::NatChanged { .. } => self.nat_changes += 1,
            EventKind::NodeIsolated { .. } => self.isolated += 1,
            EventKind::CacheSaveFailed { .. } => self.saves_failed += 1,
            EventKind::SendsRefused { count, .. } => self.sends_refused += count,
            EventKind::TaskFaulted { .. } => self.tasks_faulted += 1,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AttemptId, Reason};

    #[test]
    fn what_connected_is_counted_by_its_path_and_by_how_long_it_took() {
        let mut totals = Totals::default();
        for elapsed_ms in [0, 1, 2, 3, 30_000, 30_001] {
            let (attempt, path) = (AttemptId(1), Some(Path::Punched));
            totals.take(&EventKind::AttemptEnded {
                attempt,
                outcome: AttemptOutcome::Connected,
                path,
                elapsed_ms,
            });
        }
        assert_eq!(totals.connected, [(Path::Punched, 6)].into());
        let mut counts = vec![0; TIME_BOUNDS_MS.len() + 1];
        (counts[0], counts[1], counts[2], counts[11], counts[12]) = (2, 1, 1, 1, 1);
        assert_eq!(totals.connect, Times { counts, sum_ms: 60_007 });
        assert_eq!(totals.connect.count(), 6);
    }

    #[test]
    fn a_link_that_changes_its_relay_is_told_from_one_that_leaves_it() {
        let moved = |from, to| EventKind::LinkMoved { from, to, via: None, gap_ms: 7 };
        let mut totals = Totals::default();
        totals.take(&moved(Path::Relayed, Path::Relayed));
        totals.take(&moved(Path::Relayed, Path::Punched));
        totals.take(&moved(Path::Punched, Path::Relayed));
        assert_eq!((totals.relay_moves.count(), totals.off_relay), (1, 1));
        totals.take(&EventKind::LinkDown { reason: Reason::ConnectionTimedOut });
        assert_eq!(totals.links_down.keys().next().map(String::as_str), Some("connection_timed_out"));
    }
}
