//! A fleet behind real NATs, changed by hand.

use std::time::{Duration, Instant};

use super::{Anew, Spot};
use crate::lab::LabError;
use crate::lab::drill::Act;
use crate::lab::fleet::NatLab;

/// ant-quic lets go of a stopped node's port up to seven seconds later.
const PORT_LET_GO: Duration = Duration::from_secs(8);
/// How often the port is tried meanwhile.
const PORT_LOOK: Duration = Duration::from_millis(100);

/// Its nodes as they are now, beside what they were built as.
pub(super) async fn spots(lab: &NatLab) -> Result<Vec<Spot>, LabError> {
    let topology = lab.topology();
    let mut spots = Vec::new();
    for host in &topology.host {
        let router = topology.router.iter().find(|router| router.name == host.upstream);
        let router = match router {
            Some(router) => Some((router.name.clone(), lab.nat(&router.name).await?.nat, router.nat)),
            None => None,
        };
        spots.push(Spot {
            name: host.name.clone(),
            peer_id: lab.peer_id(&host.name).await?,
            region: topology.region_of(&host.upstream).to_owned(),
            router,
            running: lab.is_running(&host.name).await?,
            cut: lab.is_cut(&host.name).await?,
            faults: lab.uplink(&host.name).await?.faults(),
        });
    }
    Ok(spots)
}

/// Does something to a host, a router or a node.
pub(super) async fn act(lab: &NatLab, act: Act) -> Result<Anew, LabError> {
    let before = |host: &str| {
        let host = lab.topology().host.iter().find(|h| h.name == host);
        host.map_or_else(String::new, |h| h.upstream.clone())
    };
    match act {
        Act::Start { node, .. } => return start(lab, &node).await,
        Act::Stop(node) => lab.stop_node(&node).await?,
        Act::Kill(node) => lab.kill_node(&node).await?,
        Act::Cut(host) => lab.cut(&host).await?,
        Act::Heal(host) => lab.heal(&host).await?,
        Act::Lie(host) => lab.set_liar(&host, true).await?,
        Act::Own(host) => lab.set_liar(&host, false).await?,
        Act::SetNat(host, nat) => {
            let router = before(&host);
            // As it was built is more than the type: hairpinning, a firewall.
            match lab.topology().router.iter().find(|r| r.name == router && r.nat == nat) {
                Some(_) => lab.rebuild_router(&router).await?,
                None => lab.set_nat(&router, nat).await?,
            }
        }
        Act::Flush(host) => lab.flush(&before(&host)).await?,
        Act::Fault(fault) => lab.fault(&fault).await?,
    }
    Ok(Vec::new())
}

/// Starts a node as soon as its port is free.
pub(super) async fn start(lab: &NatLab, host: &str) -> Result<Anew, LabError> {
    let begun = Instant::now();
    while !lab.is_port_free(host).await? && begun.elapsed() < PORT_LET_GO {
        tokio::time::sleep(PORT_LOOK).await;
    }
    Ok(vec![(host.to_owned(), lab.start_node(host).await?)])
}
