//! The moments that can be gone back to, bounded in time and in memory.
//!
//! A moment is a snapshot without its peers, whose sections it shares with the
//! moments beside it, and the rows that changed since the moment before. So ten
//! thousand peers of which a hundred change cost a hundred rows. The last minute
//! is kept as it came, ten moments a second at most; before that the last moment
//! of each second is left, with what the others changed. A moment at which only
//! figures changed (round trips, bytes, ages) is kept once a second. Where
//! [`BYTES_MAX`] does not suffice the oldest go first, and the console says how
//! far back it reaches.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::model::{
    Attempt, KpiSeries, KpiView, LinkRow, PeerId, PeerRow, RelaysView, ReservationRow, ServedRow, Snapshot,
    StageReport, Stamp,
};

/// How far back one can go.
const REACH: Duration = Duration::from_secs(600);
/// How long moments are kept as they came.
const WHOLE: Duration = Duration::from_secs(60);
/// Between two moments at which only figures changed.
const FIGURES: Duration = Duration::from_secs(1);
/// What all moments together may take, by our own reckoning. A hundred changed
/// rows a second for ten minutes are reckoned at 22 MiB, among 1 000 peers as among
/// 10 000, and the process grows by 31 and 34 (its fleet among them).
const BYTES_MAX: usize = 24 * 1024 * 1024;
/// More moments than come of ten a second for [`WHOLE`] and one a second before.
const MOMENTS_MAX: usize = 5_000;
/// What an allocation costs besides its content.
const ALLOCATION: usize = 32;

/// A row that changed; `None` has left.
pub(super) type Change = (PeerId, Option<Arc<PeerRow>>);

/// The moments, oldest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Record {
    /// The peers at the oldest moment.
    base: BTreeMap<PeerId, Arc<PeerRow>>,
    kept: VecDeque<Arc<Kept>>,
    /// The newest moment whole.
    newest: Option<Arc<Snapshot>>,
    /// How many of the first moments are one a second already.
    thinned: usize,
    bytes: usize,
}

/// A moment.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    /// Everything but the peers.
    pub(super) rest: Snapshot,
    /// What changed of the peers since the moment before; `None` has left.
    pub(super) changes: Vec<(PeerId, Option<Arc<PeerRow>>)>,
    /// Whether more than figures changed.
    pub(super) telling: bool,
    bytes: usize,
}

impl Kept {
    fn at(&self) -> Stamp {
        self.rest.at
    }
}

impl Record {
    /// Takes in the state of now; most states differ from the last in little.
    pub(crate) fn take(&mut self, snapshot: &Arc<Snapshot>) {
        self.keep(snapshot, false);
    }

    /// The same, and keeps it whatever changed.
    pub(crate) fn take_anyway(&mut self, snapshot: &Arc<Snapshot>) {
        self.keep(snapshot, true);
    }

    fn keep(&mut self, snapshot: &Arc<Snapshot>, anyway: bool) {
        // Another run of the node, or a clock that was set back: what was is no
        // past of this.
        if self
            .newest
            .as_ref()
            .is_some_and(|newest| snapshot.at < newest.at || snapshot.node.peer_id != newest.node.peer_id)
        {
            *self = Self::default();
        }
        let Some(newest) = self.newest.clone() else {
            self.begin(snapshot);
            return;
        };
        let changes = rows_between(&newest.peers, &snapshot.peers);
        let telling = changes.iter().any(|c| is_telling(&newest, c)) || tells_more(&newest, snapshot);
        if !telling && !anyway {
            let same = changes.is_empty() && same_sections(&newest, snapshot);
            if same || newest.at.age_at(snapshot.at) < FIGURES {
                return;
            }
        }
        let bytes = bytes_of(Some(&newest), snapshot, &changes);
        let kept = Kept { rest: without_peers(snapshot), changes, telling, bytes };
        self.push(kept);
        // One moment has one state.
        if newest.at == snapshot.at {
            self.merge(self.kept.len() - 2);
        }
        self.newest = Some(Arc::clone(snapshot));
        self.thin(snapshot.at);
    }

    fn begin(&mut self, snapshot: &Arc<Snapshot>) {
        self.base = snapshot.peers.iter().map(|row| (row.peer_id, Arc::clone(row))).collect();
        // Rows of the base are those of the node itself, as long as they stand.
        let bytes = bytes_of(None, snapshot, &[]);
        self.push(Kept { rest: without_peers(snapshot), changes: Vec::new(), telling: true, bytes });
        self.newest = Some(Arc::clone(snapshot));
    }

    fn push(&mut self, kept: Kept) {
        self.bytes += kept.bytes;
        self.kept.push_back(Arc::new(kept));
    }

    fn thin(&mut self, now: Stamp) {
        while self.kept.len() > 1 && (self.bytes > BYTES_MAX || self.kept[0].at().age_at(now) > REACH) {
            self.merge(0);
        }
        // Of the moments that have become old, the last of each second is left.
        while self.thinned + 1 < self.kept.len() && self.kept[self.thinned + 1].at().age_at(now) > WHOLE {
            let (one, next) = (self.kept[self.thinned].at(), self.kept[self.thinned + 1].at());
            if one.0.div_euclid(1000) == next.0.div_euclid(1000) {
                self.merge(self.thinned);
            } else {
                self.thinned += 1;
            }
        }
    }

    /// Takes a moment out; what it changed counts for the next.
    fn merge(&mut self, at: usize) {
        let Some(old) = self.kept.remove(at) else { return };
        self.thinned -= usize::from(at < self.thinned);
        let before = at.checked_sub(1).and_then(|at| self.kept.get(at)).cloned();
        let Some(next) = self.kept.get_mut(at) else { return };
        self.bytes -= old.bytes + next.bytes;
        let next = Arc::make_mut(next);
        if before.is_none() {
            apply(&mut self.base, &std::mem::take(&mut next.changes));
        } else {
            let mut all: BTreeMap<PeerId, Option<Arc<PeerRow>>> = old.changes.iter().cloned().collect();
            all.extend(std::mem::take(&mut next.changes));
            next.changes = all.into_iter().collect();
            next.telling |= old.telling;
        }
        next.bytes = bytes_of(before.as_ref().map(|kept| &kept.rest), &next.rest, &next.changes);
        self.bytes += next.bytes;
    }

    /// Every moment: everything but the peers, what changed of those, and whether
    /// that was more than figures. The first one changes nothing into all.
    pub(super) fn moments(&self) -> impl Iterator<Item = (&Snapshot, Vec<Change>, bool)> {
        self.kept.iter().enumerate().map(|(n, kept)| {
            let changes = match n {
                0 => self.base.iter().map(|(id, row)| (*id, Some(Arc::clone(row)))).collect(),
                _ => kept.changes.clone(),
            };
            (&kept.rest, changes, kept.telling)
        })
    }

    /// Appends a moment as [`Self::moments`] gives it. Nothing goes by that.
    pub(super) fn restore(
        &mut self,
        rest: Snapshot,
        changes: Vec<(PeerId, Option<Arc<PeerRow>>)>,
        telling: bool,
    ) {
        let bytes = bytes_of(self.kept.back().map(|kept| &kept.rest), &rest, &changes);
        if self.kept.is_empty() {
            apply(&mut self.base, &changes);
            self.push(Kept { rest, changes: Vec::new(), telling, bytes });
        } else {
            self.push(Kept { rest, changes, telling, bytes });
        }
    }

    /// Whether this is more than any console would have kept: the reckoning of a
    /// file is not ours.
    pub(super) fn is_beyond_any(&self) -> bool {
        self.bytes > 4 * BYTES_MAX || self.kept.len() > MOMENTS_MAX
    }

    /// What all of them take, by our own reckoning.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many moments are kept.
    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    /// When the oldest moment was.
    pub(crate) fn first(&self) -> Option<Stamp> {
        self.kept.front().map(|kept| kept.at())
    }

    /// When the newest was.
    pub(crate) fn last(&self) -> Option<Stamp> {
        self.kept.back().map(|kept| kept.at())
    }

    /// When, before a time, more than figures last changed.
    pub(crate) fn change_before(&self, at: Stamp) -> Option<Stamp> {
        self.kept
            .iter()
            .rev()
            .map(|k| (k.at(), k.telling))
            .find(|(t, telling)| *telling && *t < at)
            .map(|k| k.0)
    }

    /// When, after a time, more than figures next changed.
    pub(crate) fn change_after(&self, at: Stamp) -> Option<Stamp> {
        self.kept.iter().map(|k| (k.at(), k.telling)).find(|(t, telling)| *telling && *t > at).map(|k| k.0)
    }

    /// The moment that a time belongs to: the last one that is not later.
    pub(crate) fn moment_at(&self, at: Stamp) -> Option<Stamp> {
        self.place_of(at).map(|place| self.kept[place].at())
    }

    /// The first moment at a time or after it: what happened then shows in it.
    pub(crate) fn moment_from(&self, at: Stamp) -> Option<Stamp> {
        let place = self.kept.partition_point(|kept| kept.at() < at);
        self.kept.get(place).map(|kept| kept.at())
    }

    fn place_of(&self, at: Stamp) -> Option<usize> {
        self.kept.partition_point(|kept| kept.at() <= at).checked_sub(1)
    }

    /// What was at a time.
    pub(crate) fn at(&self, at: Stamp) -> Option<Arc<Snapshot>> {
        let place = self.place_of(at)?;
        let mut peers = self.base.clone();
        for kept in self.kept.iter().take(place + 1) {
            apply(&mut peers, &kept.changes);
        }
        let rows = peers.into_values().collect();
        Some(Arc::new(Snapshot { peers: Arc::new(rows), ..self.kept[place].rest.clone() }))
    }
}

fn apply(peers: &mut BTreeMap<PeerId, Arc<PeerRow>>, changes: &[(PeerId, Option<Arc<PeerRow>>)]) {
    for (id, row) in changes {
        match row {
            Some(row) => drop(peers.insert(*id, Arc::clone(row))),
            None => drop(peers.remove(id)),
        }
    }
}

fn without_peers(snapshot: &Snapshot) -> Snapshot {
    Snapshot { peers: Arc::default(), ..snapshot.clone() }
}

/// The rows that are other ones now. Both lists are in the order of the ids.
fn rows_between(
    before: &Arc<Vec<Arc<PeerRow>>>,
    now: &Arc<Vec<Arc<PeerRow>>>,
) -> Vec<(PeerId, Option<Arc<PeerRow>>)> {
    if Arc::ptr_eq(before, now) {
        return Vec::new();
    }
    let mut changes = Vec::new();
    let mut old = before.iter().peekable();
    for row in now.iter() {
        while let Some(left) = old.next_if(|o| o.peer_id < row.peer_id) {
            changes.push((left.peer_id, None));
        }
        match old.next_if(|o| o.peer_id == row.peer_id) {
            Some(same) if Arc::ptr_eq(same, row) || same == row => {}
            _ => changes.push((row.peer_id, Some(Arc::clone(row)))),
        }
    }
    changes.extend(old.map(|left| (left.peer_id, None)));
    changes
}

/// Whether more than figures changed of a row.
fn is_telling(before: &Snapshot, (id, row): &(PeerId, Option<Arc<PeerRow>>)) -> bool {
    let (Some(row), Some(old)) = (row, before.peer(id)) else { return true };
    let figures = |row: &PeerRow| PeerRow { rtt_ms: None, last_seen: None, ..row.clone() };
    figures(row) != figures(old)
}

fn same<T: PartialEq>(a: &Arc<T>, b: &Arc<T>) -> bool {
    Arc::ptr_eq(a, b) || a == b
}

fn same_sections(a: &Snapshot, b: &Snapshot) -> bool {
    same(&a.links, &b.links)
        && same(&a.relays, &b.relays)
        && same(&a.gossip, &b.gossip)
        && same(&a.reporting, &b.reporting)
        && same(&a.node, &b.node)
        && !tells_more(a, b)
}

/// Whether more than figures changed outside of the peers.
fn tells_more(a: &Snapshot, b: &Snapshot) -> bool {
    let link = |row: &LinkRow| (row.peer_id, row.path, row.via, row.remote_addr, row.missed, row.foreign);
    let links = Arc::ptr_eq(&a.links, &b.links) || a.links.iter().map(link).eq(b.links.iter().map(link));
    let relay = |row: &ReservationRow| (row.relay, row.role, row.state, row.public_addr);
    let relays = |view: &RelaysView| {
        let served = view.served.iter().map(|row| (row.peer_id, row.public_addr, row.since));
        (
            view.reservations.iter().map(relay).collect::<Vec<_>>(),
            served.collect::<Vec<_>>(),
            view.mode,
            view.last_failover.clone(),
        )
    };
    let relays = Arc::ptr_eq(&a.relays, &b.relays) || relays(&a.relays) == relays(&b.relays);
    let node = Arc::ptr_eq(&a.node, &b.node)
        || (a.node.phase == b.node.phase && a.node.observed_addrs == b.node.observed_addrs);
    !(links
        && relays
        && node
        && same(&a.attempts, &b.attempts)
        && same(&a.nat, &b.nat)
        && same(&a.kpi, &b.kpi)
        && same(&a.counters, &b.counters))
}

/// What a moment takes besides what it shares with the one before.
fn bytes_of(before: Option<&Snapshot>, now: &Snapshot, changes: &[(PeerId, Option<Arc<PeerRow>>)]) -> usize {
    bytes_of_sections(before, now)
        + changes.iter().map(|(_, row)| bytes_of_row(row.as_deref())).sum::<usize>()
}

fn bytes_of_row(row: Option<&PeerRow>) -> usize {
    let change = size_of::<(PeerId, Option<Arc<PeerRow>>)>();
    let heap = |row: &PeerRow| {
        let name = row.name.as_ref().map_or(0, |name| name.capacity() + ALLOCATION);
        let addresses = row.addresses.capacity() * size_of::<std::net::SocketAddr>() + ALLOCATION;
        size_of::<PeerRow>() + name + addresses + ALLOCATION
    };
    change + row.map_or(0, heap)
}

fn bytes_of_sections(before: Option<&Snapshot>, now: &Snapshot) -> usize {
    fn own<T>(
        before: Option<&Snapshot>,
        now: &Snapshot,
        of: impl Fn(&Snapshot) -> &Arc<T>,
        bytes: impl Fn(&T) -> usize,
    ) -> usize {
        if before.is_some_and(|before| Arc::ptr_eq(of(before), of(now))) {
            return 0;
        }
        size_of::<T>() + ALLOCATION + bytes(of(now))
    }
    let attempts = |attempts: &[Arc<Attempt>]| {
        let was = before
            .map(|b| b.attempts.live.iter().chain(&b.attempts.recent).map(Arc::as_ptr).collect::<Vec<_>>());
        let new = |a: &&Arc<Attempt>| was.as_ref().is_none_or(|was| !was.contains(&Arc::as_ptr(a)));
        let of = |a: &Arc<Attempt>| {
            size_of::<Attempt>() + ALLOCATION * 2 + a.stages.capacity() * size_of::<StageReport>()
        };
        size_of_val(attempts) + attempts.iter().filter(new).map(of).sum::<usize>()
    };
    let texts = |texts: &[String]| texts.iter().map(|t| t.capacity() + ALLOCATION).sum::<usize>();
    let points = |kpi: &KpiView| {
        let of =
            |series: &KpiSeries| size_of::<KpiSeries>() + ALLOCATION + size_of_val(series.points.as_slice());
        kpi.series.iter().map(of).sum::<usize>()
    };
    size_of::<Kept>()
        + ALLOCATION
        + own(before, now, |s| &s.node, |n| n.name.len() + n.observed_addrs.len() * 32 + 4 * ALLOCATION)
        + own(before, now, |s| &s.links, |l| l.capacity() * size_of::<LinkRow>())
        + own(before, now, |s| &s.attempts, |a| attempts(&a.live) + attempts(&a.recent))
        + own(
            before,
            now,
            |s| &s.relays,
            |r| {
                r.reservations.capacity() * size_of::<ReservationRow>()
                    + r.served.capacity() * size_of::<ServedRow>()
            },
        )
        + own(before, now, |s| &s.gossip, |_| 0)
        + own(before, now, |s| &s.nat, |n| texts(&n.evidence) + n.vantage_points.capacity() * 80)
        + own(before, now, |s| &s.kpi, points)
        + own(before, now, |s| &s.reporting, |_| 0)
        + own(before, now, |s| &s.counters, |c| c.0.len() * 96)
        + own(before, now, |s| &s.totals, |_| 2_048)
}

#[cfg(test)]
mod tests;
