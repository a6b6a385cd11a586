//! Changing a network while nodes run in it. Everything can be changed back.

use std::net::SocketAddrV4;

use super::build::apply;
use super::place::Place;
use super::{LinkPart, Network, NetworkError};
use crate::lab::error::Unsupported;
use crate::lab::rules::{Behaves, OPENED, closed_and_forgotten};
use crate::lab::topology::{self, Topology};
use crate::lab::wire::{Conditions, Passed};

impl Network {
    /// Sets what a host's uplink does, in both directions.
    ///
    /// # Errors
    /// [`NetworkError`] if there is no such host, or no wire could be laid.
    pub fn set_uplink(&mut self, host: &str, conditions: Conditions) -> Result<(), NetworkError> {
        self.lay_uplink(host)?.set(conditions);
        Ok(())
    }

    /// What a host's uplink does.
    ///
    /// # Errors
    /// [`NetworkError::Unknown`].
    pub fn uplink(&self, host: &str) -> Result<Conditions, NetworkError> {
        Ok(self.host(host)?.conditions())
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
            let [a, b] = &link.between;
            let is = |l: &&topology::Link| l.between.contains(a) && l.between.contains(b);
            let asked = topology.link.iter().find(is).map(topology::Link::conditions);
            link.wire.set(asked.unwrap_or_default());
        }
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
        apply(&self.tools, self.router(router)?)?;
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
