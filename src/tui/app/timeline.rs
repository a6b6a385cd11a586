//! What happened, in order: events of the node, ends of commands, faults.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::filtered_log::FilteredLog;
use crate::model::{Event, EventKind, Outcome, PeerId, Snapshot, Stamp};
use crate::tui::filter::{EventFilter, EventText};
use crate::tui::fmt;

/// Entries that are kept: a few minutes of a busy node, under 2 MiB.
pub(crate) const KEPT: usize = 5_000;

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

impl Entry {
    /// When it happened, or reached us.
    pub(crate) fn at(&self) -> Stamp {
        match self {
            Self::Event(event) => event.at,
            Self::Outcome { at, .. } | Self::Fault { at, .. } | Self::Lost { at, .. } => *at,
        }
    }

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
    pub(super) fn passes(&self, filter: &EventFilter, snapshot: &Snapshot) -> bool {
        if filter.is_empty() {
            return true;
        }
        let peer = self.peer();
        let row = peer.and_then(|id| snapshot.peer(&id));
        let name = row.and_then(|row| row.name.as_deref());
        filter.matches(&EventText { kind: self.kind(), peer, name, text: &self.text() })
    }
}

/// The timeline.
pub(crate) type Timeline = FilteredLog<Entry>;

impl Default for Timeline {
    fn default() -> Self {
        Self::new(KEPT)
    }
}

impl Timeline {
    /// Takes an entry to its place: what the node tells and what the console notes
    /// come by two ways.
    pub(super) fn push_in_order(&mut self, entry: Entry, passes: bool) {
        self.push_by(entry, passes, Entry::at);
    }

    /// What the newest event about a peer says that has something to say.
    pub(crate) fn latest<T>(&self, peer: PeerId, say: impl Fn(&EventKind) -> Option<T>) -> Option<T> {
        let mut about = self.all().rev().take(LOOK_BACK).filter_map(|entry| match entry {
            Entry::Event(event) if event.peer_id == Some(peer) => Some(&event.kind),
            _ => None,
        });
        about.find_map(say)
    }

    /// What the newest events before `limit` say of which there is something to
    /// say, newest first, at most so many.
    pub(crate) fn newest<'a, T>(
        &'a self,
        (limit, most): (u64, usize),
        say: impl Fn(&'a Event) -> Option<T>,
    ) -> Vec<T> {
        let after = self.end().saturating_sub(limit);
        let events = self.all().rev().skip(usize::try_from(after).unwrap_or(usize::MAX)).take(LOOK_BACK);
        let said = events.filter_map(|entry| match entry {
            Entry::Event(event) => say(event),
            _ => None,
        });
        said.take(most).collect()
    }

    /// The number after the last entry that is not later than a time. Entries
    /// come nearly in order.
    pub(super) fn end_at(&self, at: Stamp) -> u64 {
        let later = self.all().rev().take_while(|entry| entry.at() > at).count();
        self.end() - later as u64
    }
}
