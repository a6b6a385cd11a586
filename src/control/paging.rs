//! A snapshot as lines of bounded length, and back. After the first one only
//! what changed travels; nothing counts before the last line of it is there.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::lines::line;
use super::protocol::{SERVER_LINE_MAX, Sections, Tell};
use crate::model::{PeerId, PeerRow, Snapshot};

/// Most peers in a line.
pub(super) const PAGE: usize = 1_000;

/// The lines that lead from one snapshot to the next; from nothing to the first.
pub(super) fn lines_between(before: Option<&Snapshot>, now: &Snapshot) -> io::Result<Vec<Vec<u8>>> {
    let mut lines = Vec::new();
    let (changed, gone) = peers_between(before, now);
    let (mut changed, mut gone) = (changed.as_slice(), gone.as_slice());
    while !changed.is_empty() || !gone.is_empty() {
        let (rows, rows_left) = changed.split_at(changed.len().min(PAGE));
        let (ids, ids_left) = gone.split_at(gone.len().min(PAGE));
        push_peers(&mut lines, rows, ids)?;
        (changed, gone) = (rows_left, ids_left);
    }
    lines.push(line(&Tell::State(Box::new(Sections::between(before, now))))?);
    Ok(lines)
}

/// One line, or as many as it takes: rows may be long.
fn push_peers(lines: &mut Vec<Vec<u8>>, changed: &[Arc<PeerRow>], gone: &[PeerId]) -> io::Result<()> {
    let whole = line(&Tell::Peers { changed: changed.to_vec(), gone: gone.to_vec() })?;
    if whole.len() <= SERVER_LINE_MAX || changed.len() <= 1 {
        lines.push(whole);
        return Ok(());
    }
    let (first, second) = changed.split_at(changed.len() / 2);
    push_peers(lines, first, gone)?;
    push_peers(lines, second, &[])
}

/// The rows that are other ones now, and the peers that have none any more. Both
/// lists are in the order of the ids, so one walk suffices.
fn peers_between(before: Option<&Snapshot>, now: &Snapshot) -> (Vec<Arc<PeerRow>>, Vec<PeerId>) {
    let Some(before) = before else { return (now.peers.to_vec(), Vec::new()) };
    if Arc::ptr_eq(&before.peers, &now.peers) {
        return (Vec::new(), Vec::new());
    }
    let (mut changed, mut gone) = (Vec::new(), Vec::new());
    let mut old = before.peers.iter().peekable();
    for row in now.peers.iter() {
        while let Some(left) = old.next_if(|o| o.peer_id < row.peer_id) {
            gone.push(left.peer_id);
        }
        match old.next_if(|o| o.peer_id == row.peer_id) {
            Some(same) if Arc::ptr_eq(same, row) => {}
            _ => changed.push(Arc::clone(row)),
        }
    }
    gone.extend(old.map(|left| left.peer_id));
    (changed, gone)
}

/// Puts lines together again.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    rows: BTreeMap<PeerId, Arc<PeerRow>>,
    touched: bool,
    last: Option<Snapshot>,
}

impl Assembly {
    pub(super) fn peers(&mut self, changed: Vec<Arc<PeerRow>>, gone: &[PeerId]) {
        self.touched = true;
        for peer in gone {
            self.rows.remove(peer);
        }
        self.rows.extend(changed.into_iter().map(|row| (row.peer_id, row)));
    }

    /// The snapshot that is now complete; `None` if a section never came.
    pub(super) fn state(&mut self, sections: Sections) -> Option<Snapshot> {
        let last = self.last.take();
        let old = last.as_ref();
        let peers = match old {
            Some(old) if !self.touched => Arc::clone(&old.peers),
            _ => Arc::new(self.rows.values().cloned().collect()),
        };
        self.touched = false;
        let snapshot = Snapshot {
            seq: sections.seq,
            at: sections.at?,
            peers,
            node: sections.node.or_else(|| old.map(|o| Arc::clone(&o.node)))?,
            links: sections.links.or_else(|| old.map(|o| Arc::clone(&o.links)))?,
            attempts: sections.attempts.or_else(|| old.map(|o| Arc::clone(&o.attempts)))?,
            relays: sections.relays.or_else(|| old.map(|o| Arc::clone(&o.relays)))?,
            gossip: sections.gossip.or_else(|| old.map(|o| Arc::clone(&o.gossip)))?,
            nat: sections.nat.or_else(|| old.map(|o| Arc::clone(&o.nat)))?,
            kpi: sections.kpi.or_else(|| old.map(|o| Arc::clone(&o.kpi)))?,
            counters: sections.counters.or_else(|| old.map(|o| Arc::clone(&o.counters)))?,
        };
        self.last = Some(snapshot.clone());
        Some(snapshot)
    }
}
