//! What can go wrong with a lab's wires, hosts and clocks while its nodes run.

use std::sync::atomic::Ordering;

use super::nodes::{Runs, slot, state};
use super::{Happening, NatLab};
use crate::lab::{Behaves, Change, Conditions, Fault, LabError, Where};

impl NatLab {
    /// Has something go wrong, or right again. A wire does at once what it is set to,
    /// and is not measured.
    ///
    /// # Errors
    /// [`LabError`] if there is no such thing, or it cannot.
    pub async fn fault(&self, fault: &Fault) -> Result<(), LabError> {
        match fault {
            Fault::Link { between: [a, b], to } => {
                let mut network = self.network.lock().await;
                let conditions = to.on(network.link_state(a, b)?.0);
                network.set_link(a, b, conditions)?;
                drop(network);
                self.note(Happening::LinkSet { between: [a.clone(), b.clone()], conditions });
            }
            Fault::Uplink { of, to } => {
                let mut network = self.network.lock().await;
                let conditions = to.on(network.uplink(of)?);
                network.set_uplink(of, conditions)?;
                drop(network);
                self.note(Happening::UplinkSet { host: of.clone(), conditions });
            }
            Fault::UdpTimeout { host, seconds } => {
                let router = self.router_before(host)?;
                let from = self.nat(&router).await?;
                let to = Behaves { remembers_s: *seconds, ..from };
                self.set_behaviour(&router, from, to).await?;
            }
            Fault::Suspend { node } => self.suspend(node, true).await?,
            Fault::Wake { node } => self.suspend(node, false).await?,
            Fault::Readdress { host } => {
                let ip = self.network.lock().await.readdress(host)?;
                slot(&mut *self.slots.lock().await, host)?.addr.set_ip(ip.into());
                self.note(Happening::Readdressed { host: host.clone(), ip });
            }
            Fault::Plug { host, interface, address } => {
                self.network.lock().await.plug(host, interface, &address.to_string())?;
                self.note(Happening::Plugged {
                    host: host.clone(),
                    interface: interface.clone(),
                    there: true,
                });
            }
            Fault::Unplug { host, interface } => {
                self.network.lock().await.unplug(host, interface)?;
                self.note(Happening::Plugged {
                    host: host.clone(),
                    interface: interface.clone(),
                    there: false,
                });
            }
            Fault::Clock { node, by_s } => {
                let mut slots = self.slots.lock().await;
                let slot = slot(&mut slots, node)?;
                if let Runs::Apart(_) = slot.runs {
                    return Err(state(node, "in a process of its own, with its own clock"));
                }
                slot.clock.fetch_add(by_s.saturating_mul(1000), Ordering::Relaxed);
                drop(slots);
                self.note(Happening::ClockJumped { host: node.clone(), by_s: *by_s });
            }
            Fault::Twin { node, of } => self.take_identity(node, of).await?,
        }
        Ok(())
    }

    /// What undoes something that is about to go wrong.
    ///
    /// # Errors
    /// [`LabError::Network`] if there is no such thing.
    pub async fn undoes(&self, fault: &Fault) -> Result<Option<Fault>, LabError> {
        Ok(match fault.clone() {
            Fault::Link { between, .. } => {
                let now = self.network.lock().await.link_state(&between[0], &between[1])?.0;
                Some(Fault::Link { between, to: Change::Back(now) })
            }
            Fault::Uplink { of, .. } => {
                let now = self.network.lock().await.uplink(&of)?;
                Some(Fault::Uplink { of, to: Change::Back(now) })
            }
            Fault::UdpTimeout { host, .. } => {
                let seconds = self.nat(&self.router_before(&host)?).await?.remembers_s;
                Some(Fault::UdpTimeout { host, seconds })
            }
            Fault::Suspend { node } => Some(Fault::Wake { node }),
            Fault::Plug { host, interface, .. } => Some(Fault::Unplug { host, interface }),
            Fault::Clock { node, by_s } => Some(Fault::Clock { node, by_s: -by_s }),
            // Where its address was, another could be by then.
            Fault::Wake { .. } | Fault::Readdress { .. } | Fault::Unplug { .. } | Fault::Twin { .. } => None,
        })
    }

    /// What the uplink of a host or a router does.
    ///
    /// # Errors
    /// [`LabError::Network`] if there is no such thing.
    pub async fn uplink(&self, of: &str) -> Result<Conditions, LabError> {
        Ok(self.network.lock().await.uplink(of)?)
    }

    /// Has the next thing go wrong there, and says what is wrong then.
    ///
    /// # Errors
    /// [`LabError::Network`] if there is no such thing.
    pub async fn next_fault(&self, at: &Where) -> Result<Vec<String>, LabError> {
        let network = self.network.lock().await;
        let (fault, next) = match at.clone() {
            Where::Uplink(of) => {
                let next = network.uplink(&of)?.next_fault();
                (Fault::Uplink { of, to: Change::Back(next) }, next)
            }
            Where::Link(between) => {
                let next = network.link_state(&between[0], &between[1])?.0.next_fault();
                (Fault::Link { between, to: Change::Back(next) }, next)
            }
        };
        drop(network);
        self.fault(&fault).await?;
        Ok(next.faults())
    }

    async fn suspend(&self, node: &str, asleep: bool) -> Result<(), LabError> {
        match &slot(&mut *self.slots.lock().await, node)?.runs {
            Runs::Apart(child) => child.suspend(asleep)?,
            Runs::Here(_) => return Err(state(node, "no process of its own")),
            Runs::Nothing => return Err(state(node, "not running")),
        }
        self.note(Happening::Slept { host: node.to_owned(), asleep });
        Ok(())
    }

    /// The router that a host is behind.
    fn router_before(&self, host: &str) -> Result<String, LabError> {
        let found = self.topology.host.iter().find(|h| h.name == host && !self.topology.is_public(h));
        found.map(|h| h.upstream.clone()).ok_or_else(|| state(host, "behind no router"))
    }
}
