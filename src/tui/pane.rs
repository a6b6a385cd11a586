//! The panes in the order of their numbers.

/// A pane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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
    Nat,
    /// Rates and times of our attempts, against the criteria.
    Kpi,
    /// The timeline.
    Events,
    /// The log.
    Logs,
}

impl Pane {
    /// Every pane; pane `n` is the one at `n - 1`.
    pub(crate) const ALL: [Self; 8] = [
        Self::Peers,
        Self::Escalation,
        Self::Relays,
        Self::Gossip,
        Self::Nat,
        Self::Kpi,
        Self::Events,
        Self::Logs,
    ];

    /// Its name.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Peers => "Peers",
            Self::Escalation => "Escalation",
            Self::Relays => "Relays",
            Self::Gossip => "Gossip",
            Self::Nat => "NAT",
            Self::Kpi => "KPI",
            Self::Events => "Events",
            Self::Logs => "Logs",
        }
    }

    /// Its number, from 1.
    pub(crate) fn number(self) -> usize {
        self as usize + 1
    }

    pub(crate) fn step(self, by: usize) -> Self {
        Self::ALL[(self as usize + by) % Self::ALL.len()]
    }
}
