//! Order, filter and selection of the peers table. The selection is a peer,
//! never a row: it stays with its peer however the rows move.

use std::sync::Arc;

use super::actions::Move;
use crate::model::{PeerId, PeerRow, Stamp};
use crate::tui::filter::Filter;
use crate::tui::sort::Sort;

type Rows = Arc<Vec<Arc<PeerRow>>>;

/// Which rows are shown, in which order, and which is selected.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    filter: Filter,
    sort: Sort,
    order: Vec<u32>,
    computed_for: Option<(Rows, Filter, Sort)>,
    wanted: Option<PeerId>,
    /// The peer that was selected before a filter hid it.
    home: Option<PeerId>,
    cursor: Option<usize>,
    /// Where the cursor last was; where a new selection starts from.
    resting: usize,
    /// The first row on the screen.
    pub(crate) top: usize,
}

impl Peers {
    /// The filter.
    pub(crate) fn filter(&self) -> &Filter {
        &self.filter
    }

    /// The order.
    pub(crate) fn sort(&self) -> Sort {
        self.sort
    }

    /// The numbers of the rows that are shown, in order.
    pub(crate) fn order(&self) -> &[u32] {
        &self.order
    }

    /// The place of the selected peer in [`Self::order`]; `None` if it is
    /// filtered out or gone.
    pub(crate) fn cursor(&self) -> Option<usize> {
        self.cursor
    }

    /// The selected peer, as long as it is shown.
    pub(crate) fn selected(&self) -> Option<PeerId> {
        self.cursor.and(self.wanted)
    }

    /// The peer that was selected and is not shown now.
    pub(crate) fn hidden_selection(&self) -> Option<PeerId> {
        if self.cursor.is_none() { self.wanted } else { None }
    }

    pub(super) fn set_filter(&mut self, text: &str) {
        self.filter = Filter::new(text);
    }

    pub(super) fn sort_next(&mut self) {
        self.sort = self.sort.next();
    }

    pub(super) fn sort_inverse(&mut self) {
        self.sort.inverse = !self.sort.inverse;
    }

    /// Computes the order again if the rows, the filter or the order changed.
    /// `now`: the moment of those rows.
    pub(super) fn refresh(&mut self, rows: &Rows, now: Stamp) {
        if let Some((old, filter, sort)) = &self.computed_for
            && Arc::ptr_eq(old, rows)
            && *filter == self.filter
            && *sort == self.sort
        {
            return;
        }
        let filtered = self.computed_for.as_ref().is_some_and(|(_, filter, _)| *filter != self.filter);
        let mut scratch = String::new();
        self.order.clear();
        self.order.extend(
            rows.iter()
                .zip(0u32..)
                .filter(|(row, _)| self.filter.matches(row, now, &mut scratch))
                .map(|(_, i)| i),
        );
        self.sort.apply(rows, &mut self.order);
        self.computed_for = Some((rows.clone(), self.filter.clone(), self.sort));
        if self.wanted.is_none() {
            self.wanted = self.id_at(0);
        }
        let place = |id| self.order.iter().position(|&i| rows[i as usize].peer_id == id);
        let (mut wanted, mut home) = (self.wanted, self.home);
        if filtered {
            // Who types a filter wants the first that it finds, and his own
            // back when it is gone. A peer that leaves by itself is not
            // replaced: the next key would be meant for another one.
            if home.is_some_and(|id| place(id).is_some()) {
                wanted = home.take();
            } else if wanted.is_some_and(|id| place(id).is_none())
                && let Some(first) = self.id_at(0)
            {
                home = home.or(wanted);
                wanted = Some(first);
            }
        }
        self.cursor = wanted.and_then(place);
        (self.wanted, self.home) = (wanted, home);
        if let Some(cursor) = self.cursor {
            self.resting = cursor;
        }
    }

    /// Selects a peer; `false` if it is not shown.
    pub(super) fn select(&mut self, peer: PeerId) -> bool {
        let Some((rows, ..)) = &self.computed_for else { return false };
        let Some(at) = self.order.iter().position(|&i| rows[i as usize].peer_id == peer) else {
            return false;
        };
        self.go_to(at);
        true
    }

    /// Selects the peer at a place of [`Self::order`], if there is one.
    pub(super) fn go_to(&mut self, at: usize) {
        if at < self.order.len() {
            self.cursor = Some(at);
            self.resting = at;
            self.wanted = self.id_at(at);
            self.home = None;
        }
    }

    pub(super) fn go(&mut self, step: Move) {
        let Some(last) = self.order.len().checked_sub(1) else { return };
        let at = match self.cursor {
            Some(cursor) => step.apply(cursor, last),
            // Nothing is selected: the first step only brings the cursor back.
            None => match step {
                Move::Top | Move::Bottom => step.apply(0, last),
                Move::Up(_) | Move::Down(_) => self.resting.min(last),
            },
        };
        self.go_to(at);
    }

    fn id_at(&self, at: usize) -> Option<PeerId> {
        let (rows, ..) = self.computed_for.as_ref()?;
        Some(rows[*self.order.get(at)? as usize].peer_id)
    }
}
