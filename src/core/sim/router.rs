//! A router in the terms of RFC 4787: how it maps, whom it lets in, which ports it hands
//! out, and how long it remembers.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;

use crate::core::Mono;
use crate::model::{Behaviour, NatType};

/// What stands between a node and the world.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::core) struct Kind {
    /// `None`: nothing is translated.
    pub(in crate::core) mapping: Option<Behaviour>,
    pub(in crate::core) filtering: Behaviour,
    /// Whether a port stays what it is inside, where it is free.
    pub(in crate::core) preserve: bool,
    /// Whether what is sent to an address outside of its own comes back in.
    pub(in crate::core) hairpin: bool,
}

/// The router of each type that hands out ports of its own.
pub(in crate::core) fn kind(nat: NatType) -> Kind {
    use Behaviour::{AddressAndPortDependent, AddressDependent, EndpointIndependent};
    let (mapping, filtering) = match nat {
        NatType::None | NatType::Unknown => (None, EndpointIndependent),
        NatType::FullCone => (Some(EndpointIndependent), EndpointIndependent),
        NatType::AddressRestricted => (Some(EndpointIndependent), AddressDependent),
        NatType::PortRestricted => (Some(EndpointIndependent), AddressAndPortDependent),
        NatType::Symmetric => (Some(AddressAndPortDependent), AddressAndPortDependent),
    };
    Kind { mapping, filtering, preserve: false, hairpin: true }
}

/// Which port a new mapping has outside.
#[derive(Debug, Clone, Copy)]
pub(in crate::core) enum Ports {
    /// Really any.
    Random,
    /// The next one after the last.
    Steps { step: i16, last: u16 },
}

#[derive(Debug)]
struct Mapping {
    local: u16,
    towards: Option<SocketAddr>,
    outside: u16,
    contacted: BTreeSet<SocketAddr>,
    used: Mono,
}

/// A router with one host behind it.
#[derive(Debug)]
pub(in crate::core) struct Router {
    kind: Kind,
    pub(in crate::core) ports: Ports,
    /// How long a mapping lives without a datagram going out.
    pub(in crate::core) lives: Duration,
    mappings: Vec<Mapping>,
}

impl Router {
    /// One that never forgets.
    pub(in crate::core) fn new(kind: Kind, ports: Ports) -> Self {
        Self { kind, ports, lives: Duration::MAX, mappings: Vec::new() }
    }

    pub(in crate::core) fn kind(&self) -> Kind {
        self.kind
    }

    /// It is replaced by another one; nothing of the old one is left.
    pub(in crate::core) fn replace(&mut self, kind: Kind) {
        self.kind = kind;
        self.mappings.clear();
    }

    /// Forwards a port to the host, whoever sends to it.
    pub(in crate::core) fn forward(&mut self, port: u16) {
        let (contacted, used) = (BTreeSet::new(), Mono(Duration::MAX));
        self.mappings.push(Mapping { local: port, towards: None, outside: port, contacted, used });
    }

    /// A datagram goes out: the port outside that it leaves from.
    pub(in crate::core) fn out(&mut self, local: u16, to: SocketAddr, now: Mono, rng: &mut StdRng) -> u16 {
        self.expire(now);
        let towards = match self.kind.mapping {
            None | Some(Behaviour::EndpointIndependent) => None,
            Some(Behaviour::AddressDependent) => Some((to.ip(), 0).into()),
            Some(Behaviour::AddressAndPortDependent) => Some(to),
        };
        let found = self.mappings.iter().position(|m| m.local == local && m.towards == towards);
        let at = found.unwrap_or_else(|| {
            let outside = self.outside_of(local, rng);
            self.mappings.push(Mapping { local, towards, outside, contacted: BTreeSet::new(), used: now });
            self.mappings.len() - 1
        });
        let mapping = &mut self.mappings[at];
        mapping.contacted.insert(to);
        mapping.used = mapping.used.max(now);
        mapping.outside
    }

    fn outside_of(&mut self, local: u16, rng: &mut StdRng) -> u16 {
        let taken = |mappings: &[Mapping], port: u16| mappings.iter().any(|m| m.outside == port);
        if self.kind.mapping.is_none() || (self.kind.preserve && !taken(&self.mappings, local)) {
            return local;
        }
        match &mut self.ports {
            Ports::Steps { step, last } => {
                *last = last.wrapping_add_signed(*step).max(1024);
                *last
            }
            Ports::Random => loop {
                let port = rng.random_range(1024..=u16::MAX);
                if port != local && !taken(&self.mappings, port) {
                    return port;
                }
            },
        }
    }

    /// Forgets what was not used for too long.
    pub(in crate::core) fn expire(&mut self, now: Mono) {
        self.mappings.retain(|m| now.since(m.used) < self.lives);
    }

    /// The port inside that a datagram gets through to.
    pub(in crate::core) fn inward(&self, port: u16, from: SocketAddr) -> Option<u16> {
        if self.kind.mapping.is_none() && self.kind.filtering == Behaviour::EndpointIndependent {
            return Some(port);
        }
        let mapping = self.mappings.iter().find(|m| m.outside == port)?;
        let lets_in = match self.kind.filtering {
            Behaviour::EndpointIndependent => true,
            Behaviour::AddressDependent => mapping.contacted.iter().any(|c| c.ip() == from.ip()),
            Behaviour::AddressAndPortDependent => mapping.contacted.contains(&from),
        };
        lets_in.then_some(mapping.local)
    }
}
