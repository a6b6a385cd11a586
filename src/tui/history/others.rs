//! What is remembered of nodes that the console was on before, for when it comes back:
//! bounded, those that were left longest ago go first.

use std::collections::VecDeque;

use super::record::Record;
use crate::model::PeerId;
use crate::tui::entry::{ENTRIES_KEPT, Timeline};

/// What all of them together may take, by our own reckoning: as much as two nodes that
/// fill their record, or some hundred that change little.
const BYTES_MAX: usize = 48 * 1024 * 1024;
/// What an entry takes: [`ENTRIES_KEPT`] are under 2 MiB.
const ENTRY: usize = 2 * 1024 * 1024 / ENTRIES_KEPT;

/// A node as it was left.
#[derive(Debug)]
pub(super) struct Other {
    /// Which.
    pub(super) id: PeerId,
    /// Its moments.
    pub(super) record: Record,
    /// What happened.
    pub(super) entries: Timeline,
    /// The peer that was selected.
    pub(super) selected: Option<PeerId>,
}

impl Other {
    fn bytes(&self) -> usize {
        self.record.bytes() + self.entries.count() * ENTRY
    }
}

/// All of them, the one that was left longest ago first.
#[derive(Debug, Default)]
pub(super) struct Others(VecDeque<Other>);

impl Others {
    /// Remembers a node that is left now.
    pub(super) fn leave(&mut self, other: Other) {
        self.0.retain(|known| known.id != other.id);
        self.0.push_back(other);
        while self.0.len() > 1 && self.0.iter().map(Other::bytes).sum::<usize>() > BYTES_MAX {
            self.0.pop_front();
        }
    }

    /// Gives back what is remembered of a node.
    pub(super) fn return_to(&mut self, id: PeerId) -> Option<Other> {
        let at = self.0.iter().position(|other| other.id == id)?;
        self.0.remove(at)
    }
}
