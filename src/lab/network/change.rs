//! Changing a network while nodes run in it. Everything can be changed back.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::place::Place;
use super::tools::{apply, batch, keep_mappings, part_missing};
use super::{LinkPart, Network, NetworkError};
use crate::lab::rules::{Behaves, OPENED, closed_and_forgotten};
use crate::lab::topology::Topology;
use crate::lab::unsupported::Unsupported;
use crate::lab::wire::{Conditions, Passed};

/// The last address of a network of 256 that a host can have.
const LAST_HOST: u8 = 250;

impl Network {
    /// Sets what the uplink of a host or a router does, in both directions.
    ///
    /// # Errors
    /// [`NetworkError`] if there is no such host or router, or no wire could be laid.
    pub fn set_uplink(&mut self, of: &str, conditions: Conditions) -> Result<(), NetworkError> {
        self.lay_uplink(of)?.set(conditions);
        Ok(())
    }

    /// What the uplink of a host or a router does.
    ///
    /// # Errors
    /// [`NetworkError::Unknown`].
    pub fn uplink(&self, of: &str) -> Result<Conditions, NetworkError> {
        match (self.hosts.get(of), self.routers.get(of)) {
            (Some(part), _) => Ok(part.conditions()),
            (_, Some(part)) => Ok(part.conditions()),
            _ => Err(self.no_uplink(of)),
        }
    }

    pub(super) fn no_uplink(&self, of: &str) -> NetworkError {
        let known: Vec<&str> = self.hosts.keys().chain(self.routers.keys()).map(String::as_str).collect();
        NetworkError::Unknown { kind: "host or router", name: of.to_owned(), known: known.join(", ") }
    }

    /// Cuts a host off without a word: its interface stays up, nothing passes.
    ///
    /// # Errors
    /// As [`Network::set_uplink`].
    pub fn cut(&mut self, host: &str) -> Result<(), NetworkError> {
        self.lay_uplink(host)?.set_cut(true);
        Ok(())
    }

    /// Undoes [`Network::cut`].
    ///
    /// # Errors
    /// [`NetworkError::Unknown`].
    pub fn heal(&mut self, host: &str) -> Result<(), NetworkError> {
        if let Some(wire) = &self.host(host)?.uplink {
            wire.set_cut(false);
        }
        Ok(())
    }

    /// Drops what comes for the ports at which a host relays for others; its
    /// node has a port of its own below them.
    ///
    /// # Errors
    /// [`NetworkError`] if there is no such host, or the rules were refused.
    pub fn set_liar(&mut self, host: &str, lies: bool) -> Result<(), NetworkError> {
        // Declared before it is deleted: that may not be there yet.
        let mut rules = "table inet liar\ndelete table inet liar\n".to_owned();
        if lies {
            rules.push_str(
                "table inet liar {\n chain in {\n  type filter hook input priority 0\n  \
                 udp dport >= 32768 drop\n }\n}\n",
            );
        }
        let place = Place::Host(self.host(host)?.device.clone());
        place.feed(&self.tools.nft, &["-f", "-"], rules)
    }

    /// Sets what the wire between two regions does, in both directions.
    ///
    /// # Errors
    /// [`NetworkError::Unknown`].
    pub fn set_link(&mut self, a: &str, b: &str, conditions: Conditions) -> Result<(), NetworkError> {
        self.link(a, b)?.wire.set(conditions);
        Ok(())
    }

    /// What the wire between two regions does, and what has passed.
    ///
    /// # Errors
    /// [`NetworkError::Unknown`].
    pub fn link_state(&self, a: &str, b: &str) -> Result<(Conditions, Passed), NetworkError> {
        self.link(a, b).map(|link| (link.wire.conditions(), link.wire.passed()))
    }

    pub(in crate::lab) fn link(&self, a: &str, b: &str) -> Result<&LinkPart, NetworkError> {
        let is = |link: &&LinkPart| {
            let [x, y] = &link.between;
            (x == a && y == b) || (x == b && y == a)
        };
        self.links.iter().find(is).ok_or_else(|| {
            let known: Vec<String> = self.links.iter().map(|l| l.between.join("-")).collect();
            NetworkError::Unknown { kind: "link", name: format!("{a}-{b}"), known: known.join(", ") }
        })
    }

    /// Sets all wires between regions as a topology says.
    pub(in crate::lab) fn set_links(&self, topology: &Topology) {
        for link in &self.links {
            link.wire.set(topology.between(&link.between));
        }
    }

    /// Sets the uplinks of all routers as a topology says.
    pub(in crate::lab) fn set_uplinks(&mut self, topology: &Topology) -> Result<(), NetworkError> {
        for router in &topology.router {
            if router.uplink() != self.uplink(&router.name)? {
                self.set_uplink(&router.name, router.uplink())?;
            }
        }
        Ok(())
    }

    /// Makes a router behave otherwise, as if it had been replaced: no mapping
    /// survives.
    ///
    /// # Errors
    /// [`NetworkError`] if there is no such router, the rules were refused, or
    /// its state could not be flushed.
    pub fn set_nat(&mut self, router: &str, behaves: Behaves) -> Result<(), NetworkError> {
        self.router(router)?;
        if let Some(part) = self.routers.get_mut(router) {
            part.behaves = behaves;
        }
        let part = self.router(router)?;
        apply(&self.tools, part)?;
        keep_mappings(&part.place, behaves.remembers_s)?;
        self.flush(router)
    }

    /// What a router does.
    ///
    /// # Errors
    /// [`NetworkError::Unknown`].
    pub fn nat(&self, router: &str) -> Result<Behaves, NetworkError> {
        self.router(router).map(|r| r.behaves)
    }

    /// Loses every mapping of a router, as if it had been switched off and on:
    /// every host behind it gets another one.
    ///
    /// # Errors
    /// [`NetworkError`] if there is no such router, or `conntrack` is missing
    /// or failed.
    pub fn flush(&mut self, router: &str) -> Result<(), NetworkError> {
        let part = self.router(router)?;
        let Some(conntrack) = &self.tools.conntrack else {
            return Err(Unsupported {
                what: "no program conntrack".to_owned(),
                why: "a NAT's state cannot be flushed without it".to_owned(),
                help: "try: apt-get install conntrack".to_owned(),
            }
            .into());
        };
        part.place.feed(&self.tools.nft, &["-f", "-"], closed_and_forgotten(part.behaves))?;
        let families = ["ipv4", "ipv6"].map(|f| part.place.ask(conntrack, &["-F", "-f", f]).map(|_| ()));
        part.place.feed(&self.tools.nft, &["-f", "-"], OPENED.to_owned())?;
        families.into_iter().collect()
    }

    /// Gives a host another IPv4 address in its network, as when a lease ran out: its
    /// interface and its routes stay.
    ///
    /// # Errors
    /// [`NetworkError`] if there is no such host, or the system refused.
    pub fn readdress(&mut self, host: &str) -> Result<Ipv4Addr, NetworkError> {
        let part = self.host(host)?;
        let taken = |ip: &Ipv4Addr| {
            self.hosts.values().any(|h| h.ip == *ip) || self.testers.iter().any(|(_, at)| at == ip)
        };
        let [a, b, c, _] = part.ip.octets();
        let free = (2..=LAST_HOST).rev().map(|last| Ipv4Addr::new(a, b, c, last)).find(|ip| !taken(ip));
        let ip = free.ok_or_else(|| NetworkError::Place {
            place: host.to_owned(),
            detail: "no address of its network is free".to_owned(),
        })?;
        let (old, gateway) = (part.ip, part.gateway.1);
        let place = Place::Host(part.device.clone());
        let shown = place.ask(&self.tools.ip, &["-o", "-4", "addr", "show", "dev", "eth0"])?;
        let own = shown.split_whitespace().find(|word| word.starts_with(&format!("{old}/")));
        let own = own.ok_or_else(|| part_missing(host))?.to_owned();
        let prefix = own.rsplit('/').next().unwrap_or_default();
        let lines = [
            format!("addr del {own} dev eth0"),
            format!("addr add {ip}/{prefix} dev eth0"),
            format!("route replace default via {gateway} dev eth0"),
        ];
        batch(&self.tools, &place, &lines)?;
        if let Some(part) = self.hosts.get_mut(host) {
            part.ip = ip;
        }
        Ok(ip)
    }

    /// Gives a host an interface that leads nowhere, with an address.
    ///
    /// # Errors
    /// [`NetworkError`] if there is no such host, or the system refused.
    pub fn plug(&self, host: &str, interface: &str, address: &str) -> Result<(), NetworkError> {
        let place = Place::Host(self.host(host)?.device.clone());
        let lines = [
            format!("link add {interface} type bridge"),
            format!("addr add {address} dev {interface}"),
            format!("link set {interface} up"),
        ];
        batch(&self.tools, &place, &lines)
    }

    /// Takes it away again.
    ///
    /// # Errors
    /// [`NetworkError`] if there is no such host or interface.
    pub fn unplug(&self, host: &str, interface: &str) -> Result<(), NetworkError> {
        let place = Place::Host(self.host(host)?.device.clone());
        batch(&self.tools, &place, &[format!("link del {interface}")])
    }

    /// The external port of a mapping of a cone NAT; `None` where there is none,
    /// or one for each destination.
    ///
    /// # Errors
    /// [`NetworkError::Unknown`].
    pub fn mapped_port(&self, router: &str, inside: SocketAddrV4) -> Result<Option<u16>, NetworkError> {
        let part = self.router(router)?;
        let element = format!("{{ {} . {} }}", inside.ip(), inside.port());
        let shown = part.place.ask(&self.tools.nft, &["get", "element", "ip", "nat_lab", "outer", &element]);
        // `10.0.2.2 . 41006 timeout 5m expires 4m59s : 41006 }`, or an error if
        // there is none.
        let shown = shown.unwrap_or_default();
        let port = shown.rsplit_once(" : ").and_then(|(_, port)| port.split_whitespace().next());
        Ok(port.and_then(|port| port.parse().ok()))
    }
}
