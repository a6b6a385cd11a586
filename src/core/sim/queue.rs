//! What is under way in virtual time.

use std::collections::BTreeMap;

use crate::core::Mono;

/// The earliest comes first, and of what is due at the same moment what was sent first.
#[derive(Debug)]
pub(in crate::core) struct Queue<T> {
    all: BTreeMap<(Mono, u64), T>,
    sent: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { all: BTreeMap::new(), sent: 0 }
    }
}

impl<T> Queue<T> {
    pub(in crate::core) fn push(&mut self, at: Mono, what: T) {
        self.sent += 1;
        self.all.insert((at, self.sent), what);
    }

    /// When the next one is due.
    pub(in crate::core) fn next_due(&self) -> Option<Mono> {
        self.all.keys().next().map(|(at, _)| *at)
    }

    pub(in crate::core) fn pop(&mut self) -> Option<T> {
        self.all.pop_first().map(|(_, what)| what)
    }

    pub(in crate::core) fn values(&self) -> impl Iterator<Item = &T> {
        self.all.values()
    }

    /// Loses everything else.
    pub(in crate::core) fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        self.all.retain(|_, what| keep(what));
    }
}
