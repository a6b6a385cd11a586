//! What can happen to a lab's network while its nodes run. Everything is noted
//! and can be undone.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::UdpSocket;

use super::nodes::slot;
use super::{Happening, NatLab};
use crate::lab::LabError;
use crate::lab::network::Place;
use crate::lab::topology::Router;
use crate::lab::{Behaves, Conditions, Measured, Passed, SelfTest};
use crate::model::NatType;
use crate::node::feed::Feed;

impl NatLab {
    /// Cuts a host off without a word.
    ///
    /// # Errors
    /// [`LabError::Network`].
    pub async fn cut(&self, host: &str) -> Result<(), LabError> {
        self.network.lock().await.cut(host)?;
        slot(&mut *self.slots.lock().await, host)?.muted = false;
        self.note(Happening::Cut { host: host.to_owned() });
        Ok(())
    }

    /// Undoes [`NatLab::cut`].
    ///
    /// # Errors
    /// [`LabError::Network`].
    pub async fn heal(&self, host: &str) -> Result<(), LabError> {
        self.network.lock().await.heal(host)?;
        self.note(Happening::Healed { host: host.to_owned() });
        Ok(())
    }

    /// Has a host drop what it should relay, while its own links live; or be
    /// honest again.
    ///
    /// # Errors
    /// [`LabError::Network`].
    pub async fn set_liar(&self, host: &str, lies: bool) -> Result<(), LabError> {
        self.network.lock().await.set_liar(host, lies)?;
        self.note(Happening::Liar { host: host.to_owned(), lies });
        Ok(())
    }

    /// Sets what the uplink of a host or a router does, in both directions. It does so
    /// at once; what comes back later is what was measured then.
    ///
    /// # Errors
    /// [`LabError::Network`].
    pub async fn set_uplink(&self, of: &str, conditions: Conditions) -> Result<Measured, LabError> {
        self.network.lock().await.set_uplink(of, conditions)?;
        self.note(Happening::UplinkSet { host: of.to_owned(), conditions });
        self.measure_uplink(of).await
    }

    /// Measures what the uplink of a host or a router does now.
    ///
    /// # Errors
    /// [`LabError::Network`].
    pub async fn measure_uplink(&self, of: &str) -> Result<Measured, LabError> {
        let network = self.network.lock().await;
        if let Some(router) = network.router_part(of) {
            drop(network);
            return Ok(router.measure().await?);
        }
        let part = network.host(of)?.clone();
        drop(network);
        Ok(part.measure().await?)
    }

    /// Sets what the wire between two regions does, in both directions. It does
    /// so at once; what comes back later is what was measured then.
    ///
    /// # Errors
    /// [`LabError::Network`].
    pub async fn set_link(&self, a: &str, b: &str, conditions: Conditions) -> Result<Measured, LabError> {
        self.network.lock().await.set_link(a, b, conditions)?;
        self.note(Happening::LinkSet { between: [a.to_owned(), b.to_owned()], conditions });
        self.measure_link(a, b).await
    }

    /// Measures what the wire between two regions does now.
    ///
    /// # Errors
    /// [`LabError::Network`].
    pub async fn measure_link(&self, a: &str, b: &str) -> Result<Measured, LabError> {
        let part = self.network.lock().await.link(a, b)?.clone();
        Ok(part.measure().await?)
    }

    /// What the wire between two regions is set to, and what has passed it.
    ///
    /// # Errors
    /// [`LabError::Network`].
    pub async fn link_state(&self, a: &str, b: &str) -> Result<(Conditions, Passed), LabError> {
        Ok(self.network.lock().await.link_state(a, b)?)
    }

    /// A socket of one's own on a host, beside its node.
    ///
    /// # Errors
    /// [`LabError::Network`].
    pub async fn socket(&self, host: &str) -> Result<UdpSocket, LabError> {
        self.socket_at(host, 0).await
    }

    /// The same with a port of one's choice.
    ///
    /// # Errors
    /// [`LabError::Network`].
    pub async fn socket_at(&self, host: &str, port: u16) -> Result<UdpSocket, LabError> {
        let part = self.network.lock().await.host(host)?.clone();
        Ok(Place::Host(part.device).socket_at((part.ip, port).into())?)
    }

    /// The address that a router shows to the outside.
    ///
    /// # Errors
    /// [`LabError::Network`].
    pub async fn outside(&self, router: &str) -> Result<Ipv4Addr, LabError> {
        Ok(self.network.lock().await.outside(router)?)
    }

    /// A host's IPv6 address, if it has one.
    ///
    /// # Errors
    /// [`LabError::Network`].
    pub async fn ip6(&self, host: &str) -> Result<Option<Ipv6Addr>, LabError> {
        Ok(self.network.lock().await.ip6(host)?)
    }

    /// What a router does.
    ///
    /// # Errors
    /// [`LabError::Network`].
    pub async fn nat(&self, router: &str) -> Result<Behaves, LabError> {
        Ok(self.network.lock().await.nat(router)?)
    }

    /// Changes a router's NAT; its mappings go with it.
    ///
    /// # Errors
    /// [`LabError::Network`].
    pub async fn set_nat(&self, router: &str, nat: NatType) -> Result<(), LabError> {
        let from = self.nat(router).await?;
        // Neither outlives a type that cannot have it.
        let cone = matches!(nat, NatType::FullCone | NatType::AddressRestricted | NatType::PortRestricted);
        let sequential = from.sequential && nat == NatType::Symmetric;
        let to = Behaves { nat, sequential, hairpin: from.hairpin && cone, firewall: false, ..from };
        self.set_behaviour(router, from, to).await
    }

    /// The port by which the router in front of a host shows its node to the
    /// outside; `None` while there is no mapping, or one for each destination.
    ///
    /// # Errors
    /// [`LabError::Network`].
    pub async fn mapped_port(&self, host: &str) -> Result<Option<u16>, LabError> {
        let SocketAddr::V4(inside) = self.addr(host).await? else { return Ok(None) };
        let upstream = self.topology.host.iter().find(|h| h.name == host).map(|h| h.upstream.clone());
        Ok(self.network.lock().await.mapped_port(&upstream.unwrap_or_default(), inside)?)
    }

    pub(super) async fn set_behaviour(
        &self,
        router: &str,
        from: Behaves,
        to: Behaves,
    ) -> Result<(), LabError> {
        self.network.lock().await.set_nat(router, to)?;
        self.note(Happening::NatChanged { router: router.to_owned(), from, to });
        Ok(())
    }

    /// Makes a router forget all its mappings: every host behind it gets new
    /// ones.
    ///
    /// # Errors
    /// [`LabError::Network`].
    pub async fn flush(&self, router: &str) -> Result<(), LabError> {
        self.network.lock().await.flush(router)?;
        self.note(Happening::Flushed { router: router.to_owned() });
        Ok(())
    }

    /// Undoes everything: uplinks, wires and NATs as the topology says, and
    /// every node that does not run is started again. Gives the new feeds.
    ///
    /// # Errors
    /// The first [`LabError`]; the rest is undone all the same.
    pub async fn restore(&self) -> Result<Vec<(String, Feed)>, LabError> {
        let mut failed = self.restore_network().await.err();
        let mut feeds = Vec::new();
        for host in &self.topology.host {
            if self.is_running(&host.name).await? {
                continue;
            }
            match self.start_when_free(&host.name).await {
                Ok(started) => feeds.push(started),
                Err(error) => drop(failed.get_or_insert(error)),
            }
        }
        failed.map_or(Ok(feeds), Err)
    }

    /// Makes a router what the topology says; its mappings go with the change.
    ///
    /// # Errors
    /// [`LabError::Network`].
    pub async fn rebuild_router(&self, router: &str) -> Result<(), LabError> {
        let from = self.nat(router).await?;
        let built = self.topology.router.iter().find(|r| r.name == router);
        let to = built.map(Router::behaves);
        match to.filter(|to| *to != from) {
            Some(to) => self.set_behaviour(router, from, to).await,
            None => Ok(()),
        }
    }

    /// Undoes what was done to the network and leaves the nodes alone: uplinks,
    /// wires and NATs as the topology says.
    ///
    /// # Errors
    /// The first [`LabError`]; the rest is undone all the same.
    pub async fn restore_network(&self) -> Result<(), LabError> {
        let mut failed = None;
        let mut keep = |result: Result<(), LabError>| {
            if let Err(error) = result {
                failed.get_or_insert(error);
            }
        };
        for host in &self.topology.host {
            let muted = slot(&mut *self.slots.lock().await, &host.name)?.muted;
            let mut network = self.network.lock().await;
            if muted {
                // It is healed when its node starts.
                network.set_uplink(&host.name, Conditions { cut: true, ..Conditions::default() })?;
                continue;
            }
            let changed = network.uplink(&host.name)? != Conditions::default();
            drop(network);
            if changed {
                keep(self.set_uplink(&host.name, Conditions::default()).await.map(drop));
            }
        }
        let links: Vec<[String; 2]> =
            self.network.lock().await.links.iter().map(|l| l.between.clone()).collect();
        for between in links {
            let asked = self.topology.between(&between);
            let [a, b] = between;
            let now = self.network.lock().await.link_state(&a, &b)?.0;
            if now != asked {
                keep(self.set_link(&a, &b, asked).await.map(drop));
            }
        }
        for router in &self.topology.router {
            let changed = self.network.lock().await.uplink(&router.name)? != router.uplink();
            if changed {
                keep(self.set_uplink(&router.name, router.uplink()).await.map(drop));
            }
            keep(self.rebuild_router(&router.name).await);
        }
        failed.map_or(Ok(()), Err)
    }

    /// Measures the network again, as it is now against what its topology says.
    ///
    /// # Errors
    /// [`LabError::Network`] if it could not be done.
    pub async fn test_again(&self) -> Result<SelfTest, LabError> {
        Ok(self.network.lock().await.self_test(&self.topology).await?)
    }
}
