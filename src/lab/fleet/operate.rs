//! A lab as a fleet: what is done to it, and how it is now beside what it was built as.

use std::time::{Duration, Instant};

use super::NatLab;
use crate::lab::fault::Fault;
use crate::lab::ops::{Anew, Fleet, FleetOp, InteractiveFleet, OpError};
use crate::lab::{Conditions, LabError};
use crate::model::{HostStatus, NatType, RouterStatus, WireStatus};
use crate::node::feed::Feed;

/// ant-quic lets go of a stopped node's port up to seven seconds later.
const PORT_LET_GO: Duration = Duration::from_secs(8);
/// How often the port is tried meanwhile.
const PORT_LOOK: Duration = Duration::from_millis(100);

impl NatLab {
    /// The router right in front of a host.
    fn router_in_front(&self, host: &str) -> Result<String, OpError> {
        let host = self.topology.host.iter().find(|h| h.name == host);
        let router = host.and_then(|h| self.topology.router.iter().find(|r| r.name == h.upstream));
        router.map(|r| r.name.clone()).ok_or_else(|| OpError::Unknown("router before that host".to_owned()))
    }

    /// Starts a node as soon as its port is free.
    pub(super) async fn start_when_free(&self, host: &str) -> Result<(String, Feed), LabError> {
        let begun = Instant::now();
        while !self.is_port_free(host).await? && begun.elapsed() < PORT_LET_GO {
            tokio::time::sleep(PORT_LOOK).await;
        }
        Ok((host.to_owned(), self.start_node(host).await?))
    }
}

/// What is wrong with a wire.
fn in_words(wire: &Conditions) -> Option<String> {
    Some(wire.faults().join(", ")).filter(|wrong| !wrong.is_empty())
}

impl Fleet for NatLab {
    fn kind(&self) -> String {
        "nat lab".to_owned()
    }

    fn nat_of(&self, host: &str) -> Option<NatType> {
        let router = self.router_in_front(host).ok()?;
        self.topology.router.iter().find(|r| r.name == router).map(|r| r.nat)
    }

    async fn undoes(&self, fault: &Fault) -> Result<Option<Fault>, OpError> {
        Ok(NatLab::undoes(self, fault).await?)
    }

    async fn act(&mut self, op: FleetOp) -> Result<Anew, OpError> {
        match op {
            FleetOp::Start { node, .. } => return Ok(vec![self.start_when_free(&node).await?]),
            FleetOp::Stop(node) => self.stop_node(&node).await?,
            FleetOp::Kill(node) => self.kill_node(&node).await?,
            FleetOp::Cut(host) => self.cut(&host).await?,
            FleetOp::Heal(host) => self.heal(&host).await?,
            FleetOp::Blackhole { host, on } => self.set_liar(&host, on).await?,
            FleetOp::SetNat(host, nat) => {
                let router = self.router_in_front(&host)?;
                // As it was built is more than the type: hairpinning, a firewall.
                match self.topology.router.iter().find(|r| r.name == router && r.nat == nat) {
                    Some(_) => self.rebuild_router(&router).await?,
                    None => self.set_nat(&router, nat).await?,
                }
            }
            FleetOp::Flush(host) => self.flush(&self.router_in_front(&host)?).await?,
            FleetOp::CutWire { between: [a, b], cut } => self.cut_link(&a, &b, cut).await?,
            FleetOp::Spoil(at) => drop(self.next_fault(&at).await?),
            FleetOp::Fault(fault) => self.fault(&fault).await?,
        }
        Ok(Vec::new())
    }
}

impl InteractiveFleet for NatLab {
    fn has_network(&self) -> bool {
        true
    }

    async fn hosts(&self) -> Result<Vec<HostStatus>, OpError> {
        let mut all = Vec::new();
        for host in &self.topology.host {
            let router = match self.topology.router.iter().find(|router| router.name == host.upstream) {
                Some(router) => Some(RouterStatus {
                    name: router.name.clone(),
                    nat: self.nat(&router.name).await?.nat,
                    built: router.nat,
                }),
                None => None,
            };
            all.push(HostStatus {
                name: host.name.clone(),
                peer_id: self.peer_id(&host.name).await?,
                region: self.topology.region_of(&host.upstream).to_owned(),
                router,
                up: self.is_running(&host.name).await?,
                cut: self.is_cut(&host.name).await?,
                wrong: in_words(&self.uplink(&host.name).await?),
            });
        }
        Ok(all)
    }

    async fn wires(&self) -> Vec<WireStatus> {
        let status = |(between, now): ([String; 2], Conditions)| WireStatus {
            rtt_ms: (now.delay * 2).as_secs_f64() * 1e3,
            cut: now.cut,
            wrong: in_words(&now),
            spoilt: now.faults() != self.topology.between(&between).faults(),
            between,
        };
        self.links().await.into_iter().map(status).collect()
    }

    async fn feed(&self, node: &str) -> Result<Feed, OpError> {
        Ok(NatLab::feed(self, node).await?)
    }

    async fn restore(&mut self) -> Result<Anew, OpError> {
        Ok(NatLab::restore(self).await?)
    }

    async fn stop(self) {
        NatLab::stop(self).await;
    }
}
