//! What is kept in the order in which it came: what happened (events of the node, ends
//! of commands, faults), and the log.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::filter::{EventFilter, EventText};
use super::fmt;
use super::lists::{FilteredLog, Stamped};
use crate::model::{Event, EventKind, LogLine, Outcome, PeerId, Snapshot, Stamp};

/// Entries that are kept: a few minutes of a busy node, under 2 MiB.
pub(crate) const ENTRIES_KEPT: usize = 5_000;
/// Log lines that are kept, about 2 MiB.
pub(crate) const LINES_KEPT: usize = 10_000;

/// How far back it is looked for what became of something: as much as a busy
/// node tells while a row that left is shown.
const LOOK_BACK: usize = 500;

/// One line of the timeline.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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

impl Stamped for Entry {
    fn at(&self) -> Stamp {
        match self {
            Self::Event(event) => event.at,
            Self::Outcome { at, .. } | Self::Fault { at, .. } | Self::Lost { at, .. } => *at,
        }
    }
}

impl Entry {
    /// What happened, as `area.what`.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Event(event) => event.kind.name(),
            Self::Outcome { .. } => "command.ended",
            Self::Fault { .. } => "console.fault",
            Self::Lost { .. } => "console.lost",
        }
    }

    /// To whom.
    pub(crate) fn peer(&self) -> Option<PeerId> {
        match self {
            Self::Event(event) => event.peer_id,
            Self::Outcome { outcome, .. } => outcome.command.peer(),
            Self::Fault { .. } | Self::Lost { .. } => None,
        }
    }

    /// The rest in words.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Event(event) => event.kind.to_string(),
            Self::Outcome { outcome, .. } => outcome.to_string(),
            Self::Fault { text, .. } => text.clone(),
            Self::Lost { events, .. } => {
                format!("{} dropped: the console was behind", fmt::count(*events, "event"))
            }
        }
    }

    /// Whether a filter lets it through; peers are known by their names in
    /// `snapshot`.
    pub(crate) fn passes(&self, filter: &EventFilter, snapshot: &Snapshot) -> bool {
        if filter.is_empty() {
            return true;
        }
        let peer = self.peer();
        let row = peer.and_then(|id| snapshot.peer(&id));
        let name = row.and_then(|row| row.name.as_deref());
        filter.matches(&EventText { kind: self.kind(), peer, name, text: &self.text() })
    }
}

/// Events, outcomes and faults in order.
pub(crate) type Timeline = FilteredLog<Entry>;

impl Default for Timeline {
    fn default() -> Self {
        Self::new(ENTRIES_KEPT)
    }
}

impl Timeline {
    /// What the newest event about a peer says that has something to say.
    pub(crate) fn latest<T>(&self, peer: PeerId, say: impl Fn(&EventKind) -> Option<T>) -> Option<T> {
        let mut about = self.all().rev().take(LOOK_BACK).filter_map(|entry| match entry {
            Entry::Event(event) if event.peer_id == Some(peer) => Some(&event.kind),
            _ => None,
        });
        about.find_map(say)
    }

    /// What the newest events that are shown say of which there is something to say,
    /// newest first.
    pub(crate) fn told<'a, T>(&'a self, say: impl Fn(&'a Event) -> Option<T>) -> impl Iterator<Item = T> {
        self.newest().take(LOOK_BACK).filter_map(move |entry| match entry {
            Entry::Event(event) => say(event),
            _ => None,
        })
    }
}

/// The log.
pub(crate) type LogLines = FilteredLog<LogLine>;

impl Stamped for LogLine {
    fn at(&self) -> Stamp {
        self.at
    }
}

impl Default for LogLines {
    fn default() -> Self {
        Self::new(LINES_KEPT)
    }
}
