//! A made-up fleet: the busy node, two that answer, one of which calls a path otherwise than
//! its other end, one that is silent, one that is older, and one that has not answered yet.

use std::sync::Arc;
use std::time::Duration;

use super::{NOW, busy, id};
use crate::model::{
    Brief, BriefLink, Comparison, Member, NatType, Path, PeerId, PeerRow, Silence, SilenceKind, Snapshot,
    Standing, Trouble,
};
use crate::tui::fleet::FleetView;

const FRA: [u8; 3] = [0x9f, 0x3a, 0x21];
const NYC: [u8; 3] = [0x1b, 0x88, 0xf0];
const SGP: [u8; 3] = [0x5e, 0x01, 0xc9];
const BER: [u8; 3] = [0x77, 0xc2, 0xab];

/// The fleet, the console on the busy node.
pub fn fleet() -> FleetView {
    let link = |to, path, rtt_ms| BriefLink { peer: id(to).into(), path, rtt_ms: Some(rtt_ms) };
    let brief = |head, name: &str, nat, links: Vec<BriefLink>| Brief {
        peer_id: id(head),
        name: name.to_owned(),
        nat,
        links,
        holds: Vec::new(),
        serves: 0,
        wrong: Vec::new(),
        ..Brief::new(&busy())
    };
    let fra = Brief::new(&busy());
    let rtt = |to| fra.link(id(to)).and_then(|link| link.rtt_ms).unwrap_or(1.0);
    let nyc = brief(
        NYC,
        "vps-nyc",
        NatType::None,
        vec![
            link(FRA, Path::Direct, rtt(NYC)),
            link(SGP, Path::Direct, 75.0),
            link(BER, Path::Relayed, 31.0),
        ],
    );
    let mut sgp = brief(
        SGP,
        "vps-sgp",
        NatType::FullCone,
        vec![link(FRA, Path::Punched, rtt(SGP)), link(NYC, Path::Direct, 75.2)],
    );
    sgp.up_s = 95;
    sgp.wrong = vec![Trouble::Isolated { rounds: 3 }, Trouble::CacheSetAside];
    let ber = brief(BER, "home-ber", NatType::Symmetric, vec![link(NYC, Path::Relayed, 31.0)]);
    let here = |brief| Standing::Here { brief: Arc::new(brief), at: NOW };
    let member = |name: &str, standing| Member { name: name.to_owned(), standing };
    let silent = Standing::Silent {
        why: Silence {
            kind: SilenceKind::HungUp,
            detail: Some("ssh: connect to host ber: timed out".to_owned()),
        },
        since: NOW.before(Duration::from_secs(190)),
        again: NOW.after(Duration::from_secs(16)),
        last: Some(Arc::new(ber)),
    };
    FleetView {
        nodes: vec![
            member("fra", here(fra)),
            member("nyc", here(nyc)),
            member("sgp", here(sgp)),
            member("ber", silent),
            member("attic", Standing::Older { program: "0.2.0".to_owned() }),
            member("spare", Standing::Asked),
        ],
        ..FleetView::new(NOW, "fra".to_owned())
    }
}

/// Another node of it than the busy one, with its own idea of some peers.
pub fn neighbour() -> Arc<Snapshot> {
    let mut snapshot = Snapshot::clone(&busy());
    let mut node = (*snapshot.node).clone();
    (node.peer_id, node.name) = (id(NYC), "vps-nyc".to_owned());
    snapshot.node = Arc::new(node);
    let ours: Vec<Arc<PeerRow>> =
        snapshot.peers.iter().filter(|row| row.peer_id != id(NYC)).cloned().collect();
    let mut peers = ours[1..].to_vec();
    if let Some(row) = peers.first_mut() {
        let row = Arc::make_mut(row);
        (row.nat_type, row.version) = (NatType::FullCone, row.version + 3);
    }
    snapshot.peers = Arc::new(peers);
    let links = snapshot.links.iter().filter(|link| link.peer_id != id(NYC)).cloned().collect();
    snapshot.links = Arc::new(links);
    Arc::new(snapshot)
}

/// The two of them compared.
pub fn compared() -> Comparison {
    Comparison::new(["fra", "nyc"], [&busy(), &neighbour()])
}

/// A fleet of so many nodes, each linked to each.
pub fn large_fleet(nodes: u8) -> FleetView {
    let name = |n: u8| format!("node-{n:02}");
    let who = |n: u8| PeerId([n; 32]);
    let links = |of: u8| {
        let others = (0..nodes).filter(move |n| *n != of);
        others.map(move |n| BriefLink {
            peer: who(n).into(),
            path: Path::Direct,
            rtt_ms: Some(f64::from(n ^ of)),
        })
    };
    let member = |n: u8| Member {
        name: name(n),
        standing: Standing::Here {
            brief: Arc::new(Brief {
                peer_id: who(n),
                name: name(n),
                links: links(n).collect(),
                wrong: Vec::new(),
                ..Brief::new(&busy())
            }),
            at: NOW,
        },
    };
    FleetView { nodes: (0..nodes).map(member).collect(), ..FleetView::new(NOW, name(0)) }
}
