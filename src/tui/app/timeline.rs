//! What happened, in order: events of the node, ends of commands, faults.
//! Bounded; it follows what comes unless somebody scrolled back.

use std::collections::VecDeque;
use std::sync::Arc;

use super::actions::Move;
use crate::model::{Event, EventKind, Outcome, PeerId, Stamp};

/// Entries that are kept: a few minutes of a busy node, under 2 MiB.
const KEPT: usize = 5_000;

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

/// How far back it is looked for what became of something: as much as a busy
/// node tells while a row that left is shown.
const LOOK_BACK: usize = 500;

/// The timeline. Entries are numbered from 0 in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    entries: VecDeque<Entry>,
    first: u64,
    /// The number after the last shown entry; `None` follows what comes.
    held: Option<u64>,
}

impl Timeline {
    pub(super) fn push(&mut self, entry: Entry) {
        if self.entries.len() == KEPT {
            self.entries.pop_front();
            self.first += 1;
        }
        self.entries.push_back(entry);
    }

    /// The number after the newest entry.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// Whether it stands still because somebody scrolled back.
    pub(crate) fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// The last `rows` entries before `limit` (and before where it is held),
    /// oldest first.
    pub(crate) fn window(&self, rows: usize, limit: u64) -> impl Iterator<Item = &Entry> {
        let end = self.bottom(limit);
        let count = usize::try_from(end.saturating_sub(self.first)).unwrap_or(0);
        self.entries.iter().take(count).skip(count.saturating_sub(rows))
    }

    /// What the newest event about a peer says that has something to say.
    pub(crate) fn latest<T>(&self, peer: PeerId, say: impl Fn(&EventKind) -> Option<T>) -> Option<T> {
        let mut about = self.entries.iter().rev().take(LOOK_BACK).filter_map(|entry| match entry {
            Entry::Event(event) if event.peer_id == Some(peer) => Some(&event.kind),
            _ => None,
        });
        about.find_map(say)
    }

    /// The number after the last entry that is shown.
    pub(crate) fn bottom(&self, limit: u64) -> u64 {
        self.held.unwrap_or(u64::MAX).min(limit).min(self.end())
    }

    pub(super) fn go(&mut self, step: Move, page: usize, limit: u64) {
        // Never so far back that the first page would not be full.
        let lowest = (self.first + page as u64).min(limit);
        let room = usize::try_from(limit.saturating_sub(lowest)).unwrap_or(0);
        let at = usize::try_from(self.bottom(limit).saturating_sub(lowest)).unwrap_or(0);
        let at = step.apply(at, room);
        self.held = (at < room).then_some(lowest + at as u64);
    }
}
