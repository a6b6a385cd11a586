//! The panes in the order of their numbers.

use strum::{IntoStaticStr, VariantArray};

/// A pane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, IntoStaticStr, VariantArray)]
pub(crate) enum Pane {
    /// The peer cache.
    #[default]
    Peers,
    /// Attempts as ladders.
    Escalation,
    /// Relays in use and served.
    Relays,
    /// Syncs, deltas, repairs, and how far records have spread.
    Gossip,
    /// What our NAT does, and who saw it.
    #[strum(serialize = "NAT")]
    Nat,
    /// Rates and times of our attempts, against the criteria.
    #[strum(serialize = "KPI")]
    Kpi,
    /// The timeline.
    Events,
    /// The log.
    Logs,
}

impl Pane {
    /// Every pane; pane `n` is the one at `n - 1`.
    pub(crate) const ALL: &'static [Self] = Self::VARIANTS;

    /// Its name.
    pub(crate) fn title(self) -> &'static str {
        self.into()
    }

    /// Its number, from 1.
    pub(crate) fn number(self) -> usize {
        self as usize + 1
    }

    pub(crate) fn step(self, by: usize) -> Self {
        Self::ALL[(self as usize + by) % Self::ALL.len()]
    }
}
