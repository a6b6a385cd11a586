//! Two nodes side by side: whom one knows and the other does not, and what they hold to be
//! so of those whom both know.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{NatType, Path, PeerId, PeerRow, Snapshot, clean};

/// Peers that are listed of each kind; of more only the count is told.
const LISTED: usize = 100;

/// Two nodes side by side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The two.
    pub sides: [Side; 2],
    /// Peers that both know and hold the same of.
    pub alike: usize,
    /// Peers that both know and hold different things of.
    pub differ: Vec<Both>,
    /// How many of those there are.
    pub differing: usize,
}

/// One of two nodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// What the fleet's operator calls it.
    pub name: String,
    /// Who it is.
    pub peer_id: PeerId,
    /// Its program's version.
    pub version: String,
    /// Its network.
    pub network: String,
    /// Its NAT.
    pub nat: NatType,
    /// Peers that it knows.
    pub known: usize,
    /// Its link to the other one, if it has one.
    pub link: Option<Seen>,
    /// Peers that only it knows.
    pub alone: Vec<Named>,
    /// How many of those there are.
    pub only: usize,
}

/// A link as one end sees it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// How its bytes travel.
    pub path: Path,
    /// Round trip in milliseconds.
    pub rtt_ms: Option<f64>,
}

/// A peer with its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Who.
    pub peer_id: PeerId,
    /// How it calls itself, as far as that is known.
    pub name: Option<String>,
}

/// What two nodes hold of a peer that both know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Both {
    /// Whom.
    pub peer: Named,
    /// What each holds.
    pub held: [Held; 2],
}

/// What a node holds of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// The version of the peer's record.
    pub version: u64,
    /// The peer's NAT.
    pub nat: NatType,
    /// The path to it, while there is a link.
    pub path: Option<Path>,
    /// Round trip in milliseconds, as last measured.
    pub rtt_ms: Option<f64>,
}

impl Held {
    fn of(row: &PeerRow) -> Self {
        Self { version: row.version, nat: row.nat_type, path: row.path, rtt_ms: row.rtt_ms }
    }

    /// Whether the two hold the same; a round trip is each one's own.
    fn is_as(&self, other: &Self) -> bool {
        (self.version, self.nat, self.path) == (other.version, other.nat, other.path)
    }
}

impl Named {
    fn of(row: &PeerRow) -> Self {
        Self { peer_id: row.peer_id, name: row.name.as_deref().map(clean) }
    }
}

impl Comparison {
    /// Of two nodes that the fleet calls so.
    pub fn new(names: [&str; 2], nodes: [&Snapshot; 2]) -> Self {
        let ends: [PeerId; 2] = nodes.map(|node| node.node.peer_id);
        let [one, other] = nodes;
        let sides = [side(names[0], one, other, ends), side(names[1], other, one, ends)];
        let (mut alike, mut differ) = (0, Vec::new());
        for row in one.peers.iter().filter(|row| !ends.contains(&row.peer_id)) {
            let Some(there) = other.peer(&row.peer_id) else { continue };
            let held = [Held::of(row), Held::of(there)];
            if held[0].is_as(&held[1]) {
                alike += 1;
            } else {
                let name = if row.name.is_some() { row } else { there };
                differ.push(Both { peer: Named::of(name), held });
            }
        }
        let differing = differ.len();
        differ.truncate(LISTED);
        Self { sides, alike, differ, differing }
    }
}

fn side(name: &str, node: &Snapshot, other: &Snapshot, ends: [PeerId; 2]) -> Side {
    let theirs: BTreeSet<PeerId> = other.peers.iter().map(|row| row.peer_id).collect();
    let missing =
        |row: &&std::sync::Arc<PeerRow>| !ends.contains(&row.peer_id) && !theirs.contains(&row.peer_id);
    let alone = || node.peers.iter().filter(missing);
    let link = node.link(&other.node.peer_id).filter(|link| !link.foreign);
    Side {
        name: name.to_owned(),
        peer_id: node.node.peer_id,
        version: node.node.version.clone(),
        network: clean(&node.node.network),
        nat: node.nat.nat_type,
        known: node.peers.len(),
        link: link.map(|link| Seen { path: link.path, rtt_ms: link.rtt_ms }),
        only: alone().count(),
        alone: alone().take(LISTED).map(|row| Named::of(row)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::tui::demo;

    /// The busy node and another one that knows the same peers but for one, one of which
    /// has moved behind another NAT.
    fn two() -> [Arc<Snapshot>; 2] {
        let busy = demo::busy();
        let mut other = Snapshot::clone(&busy);
        let mut node = (*other.node).clone();
        node.peer_id = PeerId([9; 32]);
        other.node = Arc::new(node);
        let mut peers: Vec<Arc<PeerRow>> = other.peers[1..].to_vec();
        let mut moved = PeerRow::clone(&peers[0]);
        moved.nat_type =
            if moved.nat_type == NatType::Symmetric { NatType::None } else { NatType::Symmetric };
        peers[0] = Arc::new(moved);
        other.peers = Arc::new(peers);
        [busy, Arc::new(other)]
    }

    #[test]
    fn two_nodes_are_told_apart_by_whom_they_know_and_what_they_hold_of_them() {
        let [a, b] = two();
        let compared = Comparison::new(["a", "b"], [&a, &b]);
        let [left, right] = &compared.sides;
        assert_eq!((left.only, right.only), (1, 0), "whom only one knows");
        assert_eq!(left.alone[0].peer_id, a.peers[0].peer_id);
        assert_eq!(compared.differing, 1);
        assert_eq!(compared.differ[0].peer.peer_id, a.peers[1].peer_id);
        assert_ne!(compared.differ[0].held[0].nat, compared.differ[0].held[1].nat);
        assert_eq!(compared.alike, a.peers.len() - 2);
        assert_eq!(left.link, None, "they are not linked");
    }

    #[test]
    fn a_node_that_knows_the_other_one_is_no_difference() {
        let [a, _] = two();
        let mut other = Snapshot::clone(&a);
        let mut node = (*other.node).clone();
        node.peer_id = a.peers[0].peer_id;
        other.node = Arc::new(node);
        other.peers = Arc::new(a.peers[1..].to_vec());
        let compared = Comparison::new(["a", "b"], [&a, &other]);
        assert_eq!((compared.sides[0].only, compared.differing), (0, 0));
    }
}
