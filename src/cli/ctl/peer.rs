//! Whom a person means.

use super::error::CtlError;
use crate::model::contract::Candidate;
use crate::model::{PeerId, Snapshot};

/// The one peer with that name, or whose id begins so.
pub(super) fn find(wanted: &str, snapshot: &Snapshot) -> Result<PeerId, CtlError> {
    let me = &snapshot.node;
    let meant = |id: &PeerId, name: Option<&str>| {
        !wanted.is_empty() && (id.has_prefix(wanted) || name == Some(wanted))
    };
    let mut found: Vec<Candidate> = snapshot
        .peers
        .iter()
        .filter(|row| meant(&row.peer_id, row.name.as_deref()))
        .map(|row| Candidate { peer_id: row.peer_id, name: row.name.clone() })
        .collect();
    // A whole id leaves no doubt, whatever others call themselves.
    if let Some(exact) = found.iter().find(|c| c.peer_id.to_string().eq_ignore_ascii_case(wanted)) {
        return Ok(exact.peer_id);
    }
    match found.as_slice() {
        [one] => Ok(one.peer_id),
        [] if meant(&me.peer_id, Some(&me.name)) => {
            Err(CtlError::usage(&format!("{wanted:?} is this node itself")))
        }
        [] => Err(CtlError::unknown_peer(wanted)),
        _ => Err(CtlError::ambiguous_peer(wanted, std::mem::take(&mut found))),
    }
}
