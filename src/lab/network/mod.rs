//! A topology as real network namespaces: routers that route and translate,
//! hosts, and wires between regions.

mod build;
mod change;
mod place;
mod sixth;
mod tools;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use patchbay::{Device, Lab, Router};

use super::rules::Behaves;
use super::unsupported::Unsupported;
use super::userns::Tools;
use super::wire::{Conditions, Exchange, Wire};
pub(super) use place::Place;
pub(super) use sixth::is_here as has_ipv6;
pub(super) use tools::tested_from;

/// Why a network cannot be built or changed.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The host lacks something.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// Something went wrong in one place of it.
    #[error("the lab's {place}: {detail}")]
    Place {
        /// Where.
        place: String,
        /// What was said.
        detail: String,
    },
    /// There is no such part.
    #[error("the lab has no {kind} {name:?}; there are {known}")]
    Unknown {
        /// Host, router or region.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
}

/// A router of the topology.
#[derive(Clone)]
pub(super) struct RouterPart {
    pub(super) place: Place,
    /// Its interface and address towards the outside.
    pub(super) outside: (&'static str, Ipv4Addr),
    /// What it does now.
    behaves: Behaves,
    /// What it is plugged into, and that one's address there.
    pub(super) gateway: (Router, Ipv4Addr),
    /// The wire to its outside, once there is a reason for one.
    uplink: Option<Wire>,
}

impl RouterPart {
    /// What its uplink does.
    pub(super) fn conditions(&self) -> Conditions {
        self.uplink.as_ref().map(Wire::conditions).unwrap_or_default()
    }
}

/// A host of the topology.
#[derive(Clone)]
pub(super) struct HostPart {
    pub(super) device: Device,
    pub(super) ip: Ipv4Addr,
    pub(super) ip6: Option<Ipv6Addr>,
    /// What it is plugged into, and that one's address here.
    pub(super) gateway: (Router, Ipv4Addr),
    /// The wire in its uplink, once there is a reason for one.
    uplink: Option<Wire>,
}

impl HostPart {
    /// What its uplink does.
    pub(super) fn conditions(&self) -> Conditions {
        self.uplink.as_ref().map(Wire::conditions).unwrap_or_default()
    }
}

/// Something with a wire in its uplink.
#[derive(Clone, Copy)]
pub(super) enum Wired<'a> {
    Host(&'a str, &'a HostPart),
    Router(&'a str, &'a RouterPart),
}

/// Where two regions meet.
#[derive(Clone)]
pub(super) struct LinkPart {
    pub(super) between: [String; 2],
    pub(super) wire: Wire,
    /// The regions, and the address of the second on the wire.
    pub(super) ends: [Place; 2],
    pub(super) far: Ipv4Addr,
}

/// A topology that has been built. It is gone when this is dropped.
pub struct Network {
    // Wires first: a wire whose ends are gone has nothing to say.
    exchange: Exchange,
    pub(super) links: Vec<LinkPart>,
    routers: BTreeMap<String, RouterPart>,
    pub(super) hosts: BTreeMap<String, HostPart>,
    /// Two public hosts that run no node: the self-test's servers.
    pub(super) testers: [(Device, Ipv4Addr); 2],
    /// Their addresses where there is IPv6.
    pub(super) testers6: Option<[Ipv6Addr; 2]>,
    tools: Tools,
    lab: Lab,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network").field("hosts", &self.hosts.len()).finish_non_exhaustive()
    }
}

impl Network {
    /// The name under which the namespaces' files stand in the temporary
    /// directory.
    pub(super) fn prefix(&self) -> String {
        self.lab.prefix()
    }

    /// A host's address.
    ///
    /// # Errors
    /// [`NetworkError::Unknown`].
    pub fn ip(&self, host: &str) -> Result<Ipv4Addr, NetworkError> {
        self.host(host).map(|h| h.ip)
    }

    /// A host's IPv6 address, if it has one.
    ///
    /// # Errors
    /// [`NetworkError::Unknown`].
    pub fn ip6(&self, host: &str) -> Result<Option<Ipv6Addr>, NetworkError> {
        self.host(host).map(|h| h.ip6)
    }

    /// The address that a router shows to the outside.
    ///
    /// # Errors
    /// [`NetworkError::Unknown`].
    pub fn outside(&self, router: &str) -> Result<Ipv4Addr, NetworkError> {
        self.router(router).map(|r| r.outside.1)
    }

    pub(super) fn host(&self, name: &str) -> Result<&HostPart, NetworkError> {
        self.hosts.get(name).ok_or_else(|| unknown("host", name, self.hosts.keys()))
    }

    /// A router, unless a host is called so.
    pub(super) fn router_part(&self, name: &str) -> Option<RouterPart> {
        if self.hosts.contains_key(name) { None } else { self.routers.get(name).cloned() }
    }

    /// The hosts and routers into whose uplink a wire was laid.
    pub(super) fn wired(&self) -> Vec<Wired<'_>> {
        let hosts = self.hosts.iter().filter(|(_, part)| part.uplink.is_some());
        let routers = self.routers.iter().filter(|(_, part)| part.uplink.is_some());
        hosts
            .map(|(name, part)| Wired::Host(name, part))
            .chain(routers.map(|(name, part)| Wired::Router(name, part)))
            .collect()
    }

    fn router(&self, name: &str) -> Result<&RouterPart, NetworkError> {
        self.routers.get(name).ok_or_else(|| unknown("router", name, self.routers.keys()))
    }
}

fn unknown<'a>(kind: &'static str, name: &str, known: impl Iterator<Item = &'a String>) -> NetworkError {
    let known: Vec<&str> = known.map(String::as_str).collect();
    NetworkError::Unknown { kind, name: name.to_owned(), known: known.join(", ") }
}
