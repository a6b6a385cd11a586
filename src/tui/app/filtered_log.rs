//! What came, in order: bounded, filtered, with a cursor. Without one it follows
//! its end.

use std::collections::VecDeque;
use std::time::Duration;

use super::actions::Move;
use crate::model::Stamp;

/// Entries are put in order when they are out of it by no more than this: what is
/// further apart is of another run of a node, or of a clock that was set.
const NEARLY: Duration = Duration::from_secs(5);
/// Entries that are looked at for that.
const BACK_MAX: usize = 256;

/// A list that grows at its end and loses its beginning. Entries are numbered
/// from 0 in the order in which they came.
#[derive(Debug)]
pub(crate) struct FilteredLog<T> {
    max: usize,
    entries: VecDeque<T>,
    first: u64,
    /// The numbers of those that pass the filter; `None` where there is none.
    passing: Option<VecDeque<u64>>,
    /// The chosen entry; `None` follows what comes.
    cursor: Option<u64>,
    /// The last entry on the screen, where the cursor is not it.
    bottom: Option<u64>,
}

impl<T> FilteredLog<T> {
    /// At most so many.
    pub(super) fn new(max: usize) -> Self {
        Self { max, entries: VecDeque::new(), first: 0, passing: None, cursor: None, bottom: None }
    }

    /// Takes an entry; `passes` says whether the filter lets it through.
    pub(super) fn push(&mut self, entry: T, passes: bool) {
        if self.entries.len() == self.max {
            self.entries.pop_front();
            self.first += 1;
            if let Some(passing) = &mut self.passing {
                while passing.front().is_some_and(|n| *n < self.first) {
                    passing.pop_front();
                }
            }
        }
        if let (Some(passing), true) = (&mut self.passing, passes) {
            passing.push_back(self.first + self.entries.len() as u64);
        }
        self.entries.push_back(entry);
    }

    /// Takes an entry, and puts it before those that are later by `at`, if only by a
    /// little: what comes from two places comes nearly in order.
    pub(super) fn push_by(&mut self, entry: T, passes: bool, at: impl Fn(&T) -> Stamp) {
        let when = at(&entry);
        let is_later = |other: &T| at(other) > when && when.age_at(at(other)) <= NEARLY;
        let later = self.entries.iter().rev().take(BACK_MAX).take_while(|other| is_later(other)).count();
        self.push(entry, passes);
        if later == 0 {
            return;
        }
        let (last, to) = (self.entries.len() - 1, self.entries.len() - 1 - later);
        if let Some(entry) = self.entries.remove(last) {
            self.entries.insert(to, entry);
        }
        let number = self.first + to as u64;
        let moved = |n: u64| if n >= number { n + 1 } else { n };
        if let Some(passing) = &mut self.passing {
            if passes {
                passing.pop_back();
            }
            let place = passing.partition_point(|n| *n < number);
            for n in passing.iter_mut().skip(place) {
                *n += 1;
            }
            if passes {
                passing.insert(place, number);
            }
        }
        (self.cursor, self.bottom) = (self.cursor.map(moved), self.bottom.map(moved));
    }

    /// Puts another filter in front; `None` lets everything through.
    pub(super) fn set_filter(&mut self, filter: Option<impl Fn(&T) -> bool>) {
        self.passing = filter.map(|passes| {
            self.entries.iter().zip(self.first..).filter(|(entry, _)| passes(entry)).map(|(_, n)| n).collect()
        });
        self.follow();
    }

    /// Follows its end from now on.
    pub(super) fn follow(&mut self) {
        (self.cursor, self.bottom) = (None, None);
    }

    /// The number after the newest entry.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// The entries, oldest first.
    pub(super) fn all(&self) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator {
        self.entries.iter()
    }

    /// Whether it stands still because somebody went back.
    pub(crate) fn is_held(&self) -> bool {
        self.cursor.is_some()
    }

    /// How many there are before `limit`.
    pub(crate) fn count(&self, limit: u64) -> usize {
        usize::try_from(limit.min(self.end()).saturating_sub(self.first)).unwrap_or(0)
    }

    /// How many pass the filter, before `limit`.
    pub(crate) fn passing(&self, limit: u64) -> usize {
        self.place(limit)
    }

    /// The place of the chosen entry among those that pass; the last one where
    /// it follows.
    pub(crate) fn cursor(&self, limit: u64) -> Option<usize> {
        let last = self.place(limit).checked_sub(1)?;
        Some(self.cursor.map_or(last, |n| self.place(n).min(last)))
    }

    /// The chosen entry.
    pub(crate) fn chosen(&self, limit: u64) -> Option<&T> {
        self.entry(self.cursor(limit)?)
    }

    /// The entries on the screen, oldest first, and the place of the first among
    /// those that pass: the last ones before `limit`, unless the cursor is held.
    pub(crate) fn view(&self, rows: usize, limit: u64) -> (usize, impl Iterator<Item = &T>) {
        let all = self.place(limit);
        let cursor = self.cursor(limit).unwrap_or(0);
        let bottom = self.bottom.map_or(all, |n| self.place(n) + 1).min(all);
        let bottom = bottom.max(cursor + 1).min(cursor + rows).max(rows.min(all)).min(all);
        let top = bottom.saturating_sub(rows);
        (top, (top..bottom).filter_map(|place| self.entry(place)))
    }

    /// The same without the place.
    #[cfg(test)]
    pub(crate) fn window(&self, rows: usize, limit: u64) -> impl Iterator<Item = &T> {
        self.view(rows, limit).1
    }

    /// Moves the cursor. `page`: the rows there are.
    pub(super) fn go(&mut self, step: Move, page: usize, limit: u64) {
        let Some(cursor) = self.cursor(limit) else { return };
        let last = self.place(limit).saturating_sub(1);
        let top = self.view(page, limit).0;
        let at = step.apply(cursor, last);
        if at == last {
            self.follow();
            return;
        }
        let top = top.clamp((at + 1).saturating_sub(page.max(1)), at);
        self.cursor = Some(self.number(at));
        self.bottom = Some(self.number((top + page.max(1) - 1).min(last)));
    }

    /// How many pass before a number.
    fn place(&self, number: u64) -> usize {
        match &self.passing {
            Some(passing) => passing.partition_point(|n| *n < number),
            None => self.count(number),
        }
    }

    fn number(&self, place: usize) -> u64 {
        match &self.passing {
            Some(passing) => passing.get(place).copied().unwrap_or(self.end()),
            None => self.first + place as u64,
        }
    }

    fn entry(&self, place: usize) -> Option<&T> {
        let at = self.number(place).checked_sub(self.first)?;
        self.entries.get(usize::try_from(at).ok()?)
    }
}
