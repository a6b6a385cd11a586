//! A snapshot as lines of bounded length, and back. After the first one only
//! what changed travels; nothing counts before the last line of it is there.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::lines::line;
use super::protocol::{SERVER_LINE_MAX, Tell};
use crate::model::{PeerId, PeerRow, Sections, Snapshot};

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
    lines.push(line(&Tell::State(Box::new(Sections::between(before, now, false))))?);
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
        let snapshot = sections.upon(old, peers)?;
        self.last = Some(snapshot.clone());
        Some(snapshot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::demo;

    /// As a client puts it together.
    fn arrive(assembly: &mut Assembly, lines: &[Vec<u8>]) -> Snapshot {
        let mut whole = None;
        for line in lines {
            match serde_json::from_slice(line).unwrap() {
                Tell::Peers { changed, gone } => assembly.peers(changed, &gone),
                Tell::State(sections) => whole = assembly.state(*sections),
                other => panic!("{other:?}"),
            }
        }
        whole.unwrap()
    }

    fn json(snapshot: &Snapshot) -> serde_json::Value {
        serde_json::to_value(snapshot).unwrap()
    }

    #[test]
    fn a_state_arrives_as_it_was_sent_and_only_what_changed_travels_after_it() {
        let (first, mut assembly) = (demo::large(2_500, 1), Assembly::default());
        let lines = lines_between(None, &first).unwrap();
        assert_eq!(lines.len(), 4, "three pages of peers and the rest");
        assert_eq!(json(&arrive(&mut assembly, &lines)), json(&first));

        let second = demo::next_round(&first, 2);
        let lines = lines_between(Some(&first), &second).unwrap();
        let sent: usize = lines.iter().map(Vec::len).sum();
        assert_eq!(json(&arrive(&mut assembly, &lines)), json(&second));
        let whole: usize = lines_between(None, &second).unwrap().iter().map(Vec::len).sum();
        assert!(sent * 5 < whole, "{sent} of {whole} bytes");

        // Others go, one comes.
        let mut third = (*second).clone();
        let mut peers = third.peers.to_vec();
        let back = peers.remove(7);
        peers.drain(100..1_300);
        third.peers = Arc::new(peers);
        let lines = lines_between(Some(&second), &third).unwrap();
        assert_eq!(json(&arrive(&mut assembly, &lines)), json(&third));
        let mut fourth = third.clone();
        fourth.peers = Arc::new([&third.peers[..7], &[back], &third.peers[7..]].concat());
        let lines = lines_between(Some(&third), &fourth).unwrap();
        assert_eq!(json(&arrive(&mut assembly, &lines)), json(&fourth));
    }

    #[test]
    fn no_line_is_longer_than_allowed_however_long_the_rows_are() {
        let mut snapshot = (*demo::large(1_500, 1)).clone();
        let long = |row: &Arc<PeerRow>| {
            let mut row = (**row).clone();
            row.name = Some("\\\"".repeat(32));
            row.addresses = (0..8)
                .map(|i| format!("[2001:2:ffff:ffff:ffff:ffff:ffff:fff{i}]:65535").parse().unwrap())
                .collect();
            row.last_failure = Some(crate::model::Reason::Other { detail: "\u{7f}".repeat(512) });
            Arc::new(row)
        };
        snapshot.peers = Arc::new(snapshot.peers.iter().map(long).collect());
        let lines = lines_between(None, &snapshot).unwrap();
        assert!(lines.iter().all(|l| l.len() <= SERVER_LINE_MAX), "{:?}", lines.iter().map(Vec::len).max());
        assert!(lines.len() > 3, "a page of a thousand would be too long: {}", lines.len());
        assert_eq!(json(&arrive(&mut Assembly::default(), &lines)), json(&snapshot));
    }

    #[test]
    fn a_state_with_holes_is_none() {
        let first = demo::large(3, 1);
        let lines = lines_between(Some(&first), &demo::next_round(&first, 2)).unwrap();
        let mut assembly = Assembly::default();
        for line in &lines {
            if let Tell::State(sections) = serde_json::from_slice(line).unwrap() {
                assert!(assembly.state(*sections).is_none());
            }
        }
    }
}
