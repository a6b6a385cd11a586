//! The order of the peers table. Stable: equal rows stay in the order of
//! their ids. What is unknown comes last, whichever way the order runs.

use std::cmp::Reverse;
use std::sync::Arc;

use strum::{IntoStaticStr, VariantArray};

use crate::model::{PeerRow, PeerState};

/// A column by which the table can be sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase")]
pub(super) enum SortBy {
    /// How it stands with us: links first.
    #[default]
    State,
    /// Peer id.
    Peer,
    /// Name.
    Name,
    /// NAT type.
    Nat,
    /// Path of the link.
    Path,
    /// Round-trip time.
    Rtt,
    /// Loss of its path, as last tested.
    Loss,
    /// What that carries towards it.
    Up,
    /// What that carries from it.
    Down,
    /// Success rate.
    Ok,
    /// Last contact, newest first.
    Seen,
    /// How we learned of it.
    From,
}

impl SortBy {
    /// Every column in the order in which a key goes through them.
    pub(super) const ALL: &'static [Self] = Self::VARIANTS;

    /// The name as it stands in the pane's title.
    pub(super) fn name(self) -> &'static str {
        self.into()
    }
}

/// A column and a direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sort {
    /// The column.
    pub(super) by: SortBy,
    /// Whether the order is turned around.
    pub(super) inverse: bool,
}

impl Sort {
    /// The next column, in its natural direction.
    pub(super) fn next(self) -> Self {
        let at = SortBy::ALL.iter().position(|by| *by == self.by).unwrap_or(0);
        Self { by: SortBy::ALL[(at + 1) % SortBy::ALL.len()], inverse: false }
    }

    /// Puts row numbers in order; what is equal by its `tie`.
    pub(super) fn apply<'a, T: Ord>(
        self,
        row: impl Fn(u32) -> Option<&'a Arc<PeerRow>>,
        tie: impl Fn(u32) -> T,
        order: &mut [u32],
    ) {
        if self.by == SortBy::Name {
            self.by_key(order, tie, |i| row(i)?.name.as_deref().map(str::to_lowercase));
        } else {
            self.by_key(order, tie, |i| self.number(row(i)?));
        }
    }

    fn by_key<K: Ord, T: Ord>(
        self,
        order: &mut [u32],
        tie: impl Fn(u32) -> T,
        key: impl Fn(u32) -> Option<K>,
    ) {
        if self.inverse {
            order.sort_by_cached_key(|&i| {
                (key(i).map(Reverse).map_or((true, None), |k| (false, Some(k))), tie(i))
            });
        } else {
            order.sort_by_cached_key(|&i| (key(i).map_or((true, None), |k| (false, Some(k))), tie(i)));
        }
    }

    /// A number that sorts as the column reads; `None` if unknown.
    fn number(self, row: &PeerRow) -> Option<u64> {
        match self.by {
            SortBy::State => Some(rank(row.state)),
            SortBy::Peer | SortBy::Name => Some(u64::from_be_bytes([
                row.peer_id.0[0],
                row.peer_id.0[1],
                row.peer_id.0[2],
                row.peer_id.0[3],
                row.peer_id.0[4],
                row.peer_id.0[5],
                row.peer_id.0[6],
                row.peer_id.0[7],
            ])),
            SortBy::Nat => {
                (row.nat_type != crate::model::NatType::Unknown).then_some(u64::from(row.nat_type as u8))
            }
            SortBy::Path => row.path.map(|p| u64::from(p as u8)),
            SortBy::Rtt => row.rtt_ms.map(|ms| (ms * 1e3) as u64),
            SortBy::Loss => row.tested.as_ref()?.loss.map(|loss| (loss * 1e6) as u64),
            // The fastest first.
            SortBy::Up => row.tested.as_ref()?.up.map(|rate| u64::MAX - (rate.mbit * 1e3) as u64),
            SortBy::Down => row.tested.as_ref()?.down.map(|rate| u64::MAX - (rate.mbit * 1e3) as u64),
            // The best first.
            SortBy::Ok => row.success_rate().map(|r| 1_000_000 - (r * 1e6) as u64),
            // The newest first.
            SortBy::Seen => row.last_seen.map(|s| u64::MAX - s.0.unsigned_abs()),
            SortBy::From => Some(u64::from(row.source as u8)),
        }
    }
}

/// Links first, then what is under way, then what is wrong, then the rest.
fn rank(state: PeerState) -> u64 {
    match state {
        PeerState::Suspect => 0,
        PeerState::Linked => 1,
        PeerState::Foreign => 2,
        PeerState::Connecting => 3,
        PeerState::Unreachable => 4,
        PeerState::HeldOff => 5,
        PeerState::Known => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::demo;

    fn order(sort: Sort, rows: &[Arc<PeerRow>]) -> Vec<u32> {
        let mut order: Vec<u32> = (0..u32::try_from(rows.len()).unwrap()).collect();
        sort.apply(|i| rows.get(i as usize), |i| i, &mut order);
        order
    }

    #[test]
    fn unknown_values_come_last_in_both_directions() {
        let rows = demo::busy().peers.clone();
        for inverse in [false, true] {
            let order = order(Sort { by: SortBy::Rtt, inverse }, &rows);
            let known = rows.iter().filter(|r| r.rtt_ms.is_some()).count();
            assert!(order[..known].iter().all(|&i| rows[i as usize].rtt_ms.is_some()));
            assert!(order[known..].iter().all(|&i| rows[i as usize].rtt_ms.is_none()));
        }
    }

    #[test]
    fn equal_rows_keep_the_order_of_their_ids_in_both_directions() {
        let rows = demo::busy().peers.clone();
        for by in SortBy::ALL.iter().copied() {
            for inverse in [false, true] {
                let sort = Sort { by, inverse };
                let order = order(sort, &rows);
                for pair in order.windows(2) {
                    let (a, b) = (&rows[pair[0] as usize], &rows[pair[1] as usize]);
                    if by != SortBy::Name && sort.number(a) == sort.number(b) {
                        assert!(a.peer_id < b.peer_id, "{by:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn round_trip_times_sort_as_numbers() {
        let rows = demo::busy().peers.clone();
        let order = order(Sort { by: SortBy::Rtt, inverse: false }, &rows);
        let times: Vec<f64> = order.iter().filter_map(|&i| rows[i as usize].rtt_ms).collect();
        assert!(times.windows(2).all(|w| w[0] <= w[1]));
    }

    #[test]
    fn going_through_the_columns_visits_each_and_comes_back() {
        let mut sort = Sort::default();
        for by in SortBy::ALL {
            assert_eq!(sort.by, *by);
            sort = sort.next();
        }
        assert_eq!(sort, Sort::default());
    }
}
