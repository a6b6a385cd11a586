//! What came, in order: bounded, filtered, with a cursor. Without one it follows its end.
//! It can be held at a moment: what came later is kept, and not shown.

use std::collections::VecDeque;
use std::time::Duration;

use super::Move;
use crate::model::Stamp;

/// Entries are put in order when they are out of it by no more than this: what is
/// further apart is of another run of a node, or of a clock that was set.
const NEARLY: Duration = Duration::from_secs(5);
/// Entries that are looked at for that.
const BACK_MAX: usize = 256;

/// What happened at some time.
pub(crate) trait Stamped {
    /// When.
    fn at(&self) -> Stamp;
}

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
    /// The number after the last entry that is shown; `None` where all are.
    until: Option<u64>,
}

impl<T: Stamped> FilteredLog<T> {
    /// At most so many.
    pub(crate) fn new(max: usize) -> Self {
        Self {
            max,
            entries: VecDeque::new(),
            first: 0,
            passing: None,
            cursor: None,
            bottom: None,
            until: None,
        }
    }

    /// With these entries, as they stand.
    pub(crate) fn with(mut self, entries: Vec<T>) -> Self {
        for entry in entries {
            self.push(entry, true);
        }
        self
    }

    /// Takes an entry; `passes` says whether the filter lets it through.
    pub(crate) fn push(&mut self, entry: T, passes: bool) {
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

    /// Takes an entry, and puts it before those that are later, if only by a little:
    /// what comes from two places comes nearly in order.
    pub(crate) fn push_in_order(&mut self, entry: T, passes: bool) {
        let when = entry.at();
        let is_later = |other: &T| other.at() > when && when.age_at(other.at()) <= NEARLY;
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
    pub(crate) fn set_filter(&mut self, filter: Option<impl Fn(&T) -> bool>) {
        self.passing = filter.map(|passes| {
            self.entries.iter().zip(self.first..).filter(|(entry, _)| passes(entry)).map(|(_, n)| n).collect()
        });
        self.follow();
    }

    /// Follows its end from now on.
    pub(crate) fn follow(&mut self) {
        (self.cursor, self.bottom) = (None, None);
    }

    /// Shows nothing that comes after now.
    pub(crate) fn hold(&mut self) {
        self.until = Some(self.end());
    }

    /// Shows what had come at a time. Entries come nearly in order.
    pub(crate) fn hold_at(&mut self, at: Stamp) {
        let later = self.entries.iter().rev().take_while(|entry| entry.at() > at).count();
        self.until = Some(self.end() - later as u64);
    }

    /// Shows all that comes, and follows it.
    pub(crate) fn release(&mut self) {
        self.until = None;
        self.follow();
    }

    /// How many came after what is shown.
    pub(crate) fn unseen(&self) -> u64 {
        self.end() - self.limit()
    }

    /// The number after the last entry that is shown.
    fn limit(&self) -> u64 {
        self.until.unwrap_or(u64::MAX).min(self.end())
    }

    /// The number after the newest entry.
    fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// The entries, oldest first, shown or not.
    pub(crate) fn all(&self) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator {
        self.entries.iter()
    }

    /// Whether it stands still because somebody went back.
    pub(crate) fn is_held(&self) -> bool {
        self.cursor.is_some()
    }

    /// How many are shown where there is no filter.
    pub(crate) fn count(&self) -> usize {
        self.count_before(self.limit())
    }

    /// How many of them pass the filter.
    pub(crate) fn passing(&self) -> usize {
        self.place(self.limit())
    }

    fn count_before(&self, number: u64) -> usize {
        usize::try_from(number.min(self.end()).saturating_sub(self.first)).unwrap_or(0)
    }

    /// The newest entries that are shown, newest first, passing or not.
    pub(crate) fn newest(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().take(self.count()).rev()
    }

    /// The place of the chosen entry among those that pass; the last one where
    /// it follows.
    pub(crate) fn cursor(&self) -> Option<usize> {
        let last = self.passing().checked_sub(1)?;
        Some(self.cursor.map_or(last, |n| self.place(n).min(last)))
    }

    /// The chosen entry.
    pub(crate) fn chosen(&self) -> Option<&T> {
        self.entry(self.cursor()?)
    }

    /// The entries on the screen, oldest first, and the place of the first among
    /// those that pass: the last ones, unless the cursor is held.
    pub(crate) fn view(&self, rows: usize) -> (usize, impl Iterator<Item = &T>) {
        let all = self.passing();
        let cursor = self.cursor().unwrap_or(0);
        let bottom = self.bottom.map_or(all, |n| self.place(n) + 1).min(all);
        let bottom = bottom.max(cursor + 1).min(cursor + rows).max(rows.min(all)).min(all);
        let top = bottom.saturating_sub(rows);
        (top, (top..bottom).filter_map(|place| self.entry(place)))
    }

    /// The same without the place.
    #[cfg(test)]
    pub(crate) fn window(&self, rows: usize) -> impl Iterator<Item = &T> {
        self.view(rows).1
    }

    /// Moves the cursor. `page`: the rows there are.
    pub(crate) fn go(&mut self, step: Move, page: usize) {
        let Some(cursor) = self.cursor() else { return };
        let last = self.passing().saturating_sub(1);
        let top = self.view(page).0;
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
            None => self.count_before(number),
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
