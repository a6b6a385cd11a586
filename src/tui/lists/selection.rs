//! What all tables have in common. A selection is a thing and never a place: it
//! stays with its thing however the rows move. What left the snapshot stays for
//! a moment, so that nobody misses it and no key meets its neighbour instead.

use std::time::Duration;

use super::Move;

/// How long a row that left is still shown.
pub(crate) const LINGER: Duration = Duration::from_secs(6);
/// Rows that left and are shown: more nobody reads in that time.
const LEFT_MAX: usize = 256;

/// Which row is selected.
#[derive(Debug)]
pub(crate) struct Selection<K> {
    wanted: Option<K>,
    cursor: Option<usize>,
    /// Where the cursor last was; where a new selection starts from.
    resting: usize,
}

impl<K> Default for Selection<K> {
    fn default() -> Self {
        Self { wanted: None, cursor: None, resting: 0 }
    }
}

impl<K: Copy + PartialEq> Selection<K> {
    /// The selected thing, as long as it is shown.
    pub(crate) fn selected(&self) -> Option<K> {
        self.cursor.and(self.wanted)
    }

    /// The selected thing, shown or not.
    pub(crate) fn wanted(&self) -> Option<K> {
        self.wanted
    }

    /// Its place in the order.
    pub(crate) fn cursor(&self) -> Option<usize> {
        self.cursor
    }

    /// Selects a thing at a place; without one it is not shown just now.
    pub(crate) fn set(&mut self, wanted: Option<K>, cursor: Option<usize>) {
        (self.wanted, self.cursor) = (wanted, cursor);
        if let Some(cursor) = cursor {
            self.resting = cursor;
        }
    }

    /// Where nothing is selected, the first row is next.
    pub(crate) fn rest_at_top(&mut self) {
        self.resting = 0;
    }

    /// Finds the selected thing in a new order. Where it `is_gone` for good its
    /// neighbour is selected.
    pub(crate) fn find(
        &mut self,
        len: usize,
        id_at: impl Fn(usize) -> Option<K>,
        is_gone: impl Fn(K) -> bool,
    ) {
        let found = self.wanted.and_then(|id| (0..len).find(|&at| id_at(at) == Some(id)));
        match self.wanted {
            Some(id) if found.is_some() || !is_gone(id) => self.set(Some(id), found),
            _ => match len.checked_sub(1).map(|last| self.resting.min(last)) {
                Some(at) => self.set(id_at(at), Some(at)),
                None => self.set(self.wanted, None),
            },
        }
    }

    pub(crate) fn go(&mut self, step: Move, len: usize, id_at: impl Fn(usize) -> Option<K>) {
        let Some(last) = len.checked_sub(1) else { return };
        let at = match self.cursor {
            Some(cursor) => step.apply(cursor, last),
            // Nothing is selected: the first step only brings the cursor back.
            None => match step {
                Move::Top | Move::Bottom => step.apply(0, last),
                Move::Up(_) | Move::Down(_) => self.resting.min(last),
            },
        };
        self.set(id_at(at), Some(at));
    }
}

/// Rows that left, as they last were, and until when they are shown.
#[derive(Debug)]
pub(crate) struct Left<R> {
    rows: Vec<(R, Duration)>,
}

impl<R> Default for Left<R> {
    fn default() -> Self {
        Self { rows: Vec::new() }
    }
}

impl<R> Left<R> {
    /// A row left now.
    pub(crate) fn push(&mut self, row: R, at: Duration) {
        if self.rows.len() < LEFT_MAX {
            self.rows.push((row, at + LINGER));
        }
    }

    /// Keeps only what is for keeping, such as what has not come back.
    pub(crate) fn retain(&mut self, keep: impl Fn(&R) -> bool) {
        self.rows.retain(|(row, _)| keep(row));
    }

    /// Lets go of what was shown long enough. Says whether there was any.
    pub(crate) fn expire(&mut self, at: Duration) -> bool {
        let before = self.rows.len();
        self.rows.retain(|(_, until)| at < *until);
        self.rows.len() < before
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The rows in the order in which they left.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &R> {
        self.rows.iter().map(|(row, _)| row)
    }

    /// One of them.
    pub(crate) fn get(&self, at: usize) -> Option<&R> {
        self.rows.get(at).map(|(row, _)| row)
    }

    /// How long until the next one is let go of.
    pub(crate) fn next_in(&self, at: Duration) -> Option<Duration> {
        self.rows.iter().map(|(_, until)| until.saturating_sub(at)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ids: &[u8]) -> impl Fn(usize) -> Option<u8> {
        move |at| ids.get(at).copied()
    }

    #[test]
    fn a_selection_follows_its_thing_and_goes_to_the_neighbour_only_when_it_is_gone_for_good() {
        let mut s = Selection::default();
        s.find(3, of(&[1, 2, 3]), |_| true);
        assert_eq!(s.selected(), Some(1), "the first at the beginning");
        s.go(Move::Down(1), 3, of(&[1, 2, 3]));
        s.find(3, of(&[9, 3, 2]), |_| true);
        assert_eq!((s.selected(), s.cursor()), (Some(2), Some(2)));
        s.find(2, of(&[9, 3]), |_| false);
        assert_eq!((s.selected(), s.wanted()), (None, Some(2)), "hidden, and not forgotten");
        s.find(2, of(&[9, 3]), |_| true);
        assert_eq!(s.selected(), Some(3));
        s.find(0, of(&[]), |_| true);
        assert_eq!(s.selected(), None);
    }

    #[test]
    fn what_left_is_shown_for_six_seconds() {
        let mut left = Left::default();
        left.push('a', Duration::from_secs(1));
        left.push('b', Duration::from_secs(3));
        assert_eq!(left.next_in(Duration::from_secs(3)), Some(Duration::from_secs(4)));
        assert!(!left.expire(Duration::from_millis(6_999)));
        assert!(left.expire(Duration::from_secs(7)));
        assert_eq!(left.rows().collect::<String>(), "b");
    }
}
