//! What happened, in order: events of the node, ends of commands, faults.

use std::sync::Arc;

use super::roll::Roll;
use crate::model::{Event, Outcome, Stamp};

/// Entries that are kept: a few minutes of a busy node, under 2 MiB.
pub(crate) const KEPT: usize = 5_000;

/// One line of the timeline.
#[derive(Debug, Clone)]
pub(crate) enum Entry {
    /// Of the node.
    Event(Arc<Event>),
    /// The end of a command, ours or another's.
    Outcome {
        /// When it reached us.
        at: Stamp,
        /// What came of it.
        outcome: Arc<Outcome>,
    },
    /// A thread panicked.
    Fault {
        /// When we learned of it.
        at: Stamp,
        /// Which, and what it said.
        text: String,
    },
    /// Events are missing here.
    Lost {
        /// When we learned of it.
        at: Stamp,
        /// How many.
        events: u64,
    },
}

impl Entry {
    /// When it happened, or reached us.
    pub(crate) fn at(&self) -> Stamp {
        match self {
            Self::Event(event) => event.at,
            Self::Outcome { at, .. } | Self::Fault { at, .. } | Self::Lost { at, .. } => *at,
        }
    }
}

/// The timeline.
pub(crate) type Timeline = Roll<Entry>;

impl Default for Timeline {
    fn default() -> Self {
        Self::new(KEPT)
    }
}

impl Timeline {
    /// The number after the last entry that is not later than a time. Entries
    /// come nearly in order.
    pub(super) fn end_at(&self, at: Stamp) -> u64 {
        let later = self.all().rev().take_while(|entry| entry.at() > at).count();
        self.end() - later as u64
    }
}
