//! Whom a person means.

use super::error::CtlError;
use crate::model::contract::Candidate;
use crate::model::{PeerId, PeerRow, Snapshot};

/// The one peer whose id begins so, or that was linked under that name.
///
/// A name is no key: whoever likes it can have it. So it stands for nobody who was
/// never linked under it, however often others call him so, and for nobody at all
/// once two were.
pub(super) fn find(wanted: &str, snapshot: &Snapshot) -> Result<PeerId, CtlError> {
    let me = &snapshot.node;
    if wanted.is_empty() {
        return Err(CtlError::unknown_peer(wanted));
    }
    let by_id = |id: &PeerId| id.has_prefix(wanted);
    let by_name = |row: &PeerRow| row.name.as_deref() == Some(wanted);
    let candidate = |row: &PeerRow| Candidate { peer_id: row.peer_id, name: row.name.clone() };
    let peers = || snapshot.peers.iter().map(|row| -> &PeerRow { row });
    let mut found: Vec<Candidate> =
        peers().filter(|row| by_id(&row.peer_id) || (by_name(row) && row.linked_as)).map(candidate).collect();
    // A whole id leaves no doubt, whatever others call themselves.
    if let Some(exact) = found.iter().find(|c| c.peer_id.to_string().eq_ignore_ascii_case(wanted)) {
        return Ok(exact.peer_id);
    }
    // Who used the name lately may be gone from the list and meant all the same.
    let others = peers().filter(|row| by_name(row) && row.linked_as).filter_map(|row| row.also.as_deref());
    for also in others.collect::<Vec<_>>() {
        if found.iter().all(|c| c.peer_id != also.peer_id) && found.iter().any(|c| !by_id(&c.peer_id)) {
            found.push(Candidate { peer_id: also.peer_id, name: Some(wanted.to_owned()) });
        }
    }
    match found.as_slice() {
        [one] => Ok(one.peer_id),
        [] if by_id(&me.peer_id) || me.name == wanted => {
            Err(CtlError::usage(&format!("{wanted:?} is this node itself")))
        }
        [] => {
            let said: Vec<Candidate> = peers().filter(|row| by_name(row)).map(candidate).collect();
            if said.is_empty() {
                Err(CtlError::unknown_peer(wanted))
            } else {
                Err(CtlError::only_said(wanted, said))
            }
        }
        _ => Err(CtlError::ambiguous_peer(wanted, std::mem::take(&mut found))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{AlsoCalled, Stamp};
    use crate::tui::demo;

    fn id(n: u8) -> PeerId {
        PeerId([n; 32])
    }

    /// Who is called so: whether he was linked under it, and who else was.
    fn called(peers: &[(u8, &str, bool, Option<u8>)]) -> Snapshot {
        let mut snapshot = Snapshot::clone(&demo::busy());
        let row = PeerRow::clone(&snapshot.peers[0]);
        let row = |(n, name, linked_as, also): &(u8, &str, bool, Option<u8>)| {
            let also = also.map(|n| Box::new(AlsoCalled { peer_id: id(n), until: Stamp(0) }));
            let name = Some((*name).to_owned());
            Arc::new(PeerRow { peer_id: id(*n), name, linked_as: *linked_as, also, ..row.clone() })
        };
        snapshot.peers = Arc::new(peers.iter().map(row).collect());
        snapshot
    }

    #[test]
    fn a_name_stands_for_who_was_linked_under_it_and_an_id_for_anybody() {
        let snapshot =
            called(&[(0x11, "db", true, None), (0x22, "db", false, None), (0x33, "web", false, None)]);
        assert_eq!(find("db", &snapshot).unwrap(), id(0x11), "others only call themselves so");
        assert_eq!(find("22", &snapshot).unwrap(), id(0x22));
        assert_eq!(find("web", &snapshot).unwrap_err().exit(), 2);
        assert_eq!(find("33", &snapshot).unwrap(), id(0x33));
    }

    #[test]
    fn a_name_that_two_were_linked_under_stands_for_neither() {
        let both = called(&[(0x11, "db", true, Some(0x22)), (0x22, "db", true, Some(0x11))]);
        assert_eq!(find("db", &both).unwrap_err().exit(), 2);
        // Nor when the one that was meant is not in the list any more.
        let taken = called(&[(0x22, "db", true, Some(0x11))]);
        assert_eq!(find("db", &taken).unwrap_err().exit(), 2);
        assert_eq!(find("22", &taken).unwrap(), id(0x22));
    }
}
