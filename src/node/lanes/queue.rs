//! A queue that never grows beyond its limit: the oldest goes first.

use std::collections::VecDeque;

/// The queue.
#[derive(Debug)]
pub(in crate::node) struct DropQueue<T> {
    items: VecDeque<T>,
    max: usize,
    dropped: u64,
}

impl<T> DropQueue<T> {
    /// An empty queue of at most `max` items.
    pub(in crate::node) fn new(max: usize) -> Self {
        Self { items: VecDeque::new(), max, dropped: 0 }
    }

    /// Appends an item, at the cost of the oldest if there is no room: whether that
    /// was so.
    pub(in crate::node) fn push(&mut self, item: T) -> bool {
        let full = self.items.len() >= self.max;
        if full {
            self.items.pop_front();
            self.dropped += 1;
        }
        self.items.push_back(item);
        full
    }

    /// Takes the oldest.
    pub(in crate::node) fn pop(&mut self) -> Option<T> {
        self.items.pop_front()
    }

    /// How many had to go.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_drops_the_oldest_and_counts_it() {
        let mut queue = DropQueue::new(3);
        for n in 0..5 {
            queue.push(n);
        }
        assert_eq!(queue.dropped(), 2);
        assert_eq!(std::iter::from_fn(|| queue.pop()).collect::<Vec<_>>(), [2, 3, 4]);
    }
}
