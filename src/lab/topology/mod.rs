//! A lab's network as data: regions and the links between them, routers with
//! their NATs, hosts. Read from TOML and checked whole before anything is built.

mod check;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) use self::check::REMEMBERS_S;
use serde::Deserialize;

use super::conditions::{Conditions, Udp, WireSpec};
use super::rules::{Behaves, MAPPING_SECONDS};
use crate::files::{self, read};
use crate::model::NatType;

/// The topologies that come with the program, by name.
const BUILT_IN: [(&str, &str); 12] = [
    ("default", include_str!("../../../assets/topologies/default.toml")),
    ("cgnat", include_str!("../../../assets/topologies/cgnat.toml")),
    ("double_nat", include_str!("../../../assets/topologies/double_nat.toml")),
    ("same_nat", include_str!("../../../assets/topologies/same_nat.toml")),
    ("firewalled", include_str!("../../../assets/topologies/firewalled.toml")),
    ("kpi_mix", include_str!("../../../assets/topologies/kpi_mix.toml")),
    ("dual_stack", include_str!("../../../assets/topologies/dual_stack.toml")),
    ("ipv6_only", include_str!("../../../assets/topologies/ipv6_only.toml")),
    ("punch_storm", include_str!("../../../assets/topologies/punch_storm.toml")),
    ("path_test", include_str!("../../../assets/topologies/path_test.toml")),
    ("narrow", include_str!("../../../assets/topologies/narrow.toml")),
    ("hard_nat", include_str!("../../../assets/topologies/hard_nat.toml")),
];

/// A network to be built. Every name is unique in its own kind; regions and
/// routers share one kind, as both are something to stand behind.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topology {
    /// Where routers and public hosts are.
    pub region: Vec<Region>,
    /// What lies between two regions; without one they are next to each other.
    #[serde(default)]
    pub link: Vec<Link>,
    /// What private hosts are behind.
    #[serde(default)]
    pub router: Vec<Router>,
    /// What nodes run on. The first public one is the bootstrap of all others.
    pub host: Vec<Host>,
    /// Further hosts that are all alike; none is left here once they are read.
    #[serde(default)]
    crowd: Vec<Crowd>,
}

/// A part of the network with public addresses.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// Its name.
    pub name: String,
    /// Whether there is IPv6 beside IPv4, in it and behind its routers.
    #[serde(default)]
    pub ipv6: bool,
}

/// The wire between two regions. Both directions are alike.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The two regions.
    pub between: [String; 2],
    /// There and back, in milliseconds.
    #[serde(default)]
    pub rtt_ms: f64,
    /// Up to this much longer each way, in milliseconds.
    #[serde(default)]
    pub jitter_ms: f64,
    /// Packets lost each way, in percent.
    #[serde(default, alias = "loss_percent")]
    pub loss: f64,
    /// Packets that later ones overtake each way, in percent.
    #[serde(default)]
    pub reorder: f64,
    /// Kilobits a second each way; unlimited without it.
    pub rate_kbit: Option<u64>,
    /// The longest packet that passes, in bytes of IP; nobody is told of a longer one.
    pub mtu: Option<u16>,
    /// Whether UDP passes.
    #[serde(default)]
    pub udp: Udp,
}

impl Link {
    /// What its wire is set to.
    pub fn conditions(&self) -> Conditions {
        self.spec().on(Conditions::default())
    }

    fn spec(&self) -> WireSpec {
        let Self { rtt_ms, jitter_ms, loss, reorder, rate_kbit, mtu, udp, .. } = *self;
        let (rtt_ms, jitter_ms) = (Some(rtt_ms), Some(jitter_ms));
        WireSpec {
            rtt_ms,
            jitter_ms,
            loss: Some(loss),
            reorder: Some(reorder),
            rate_kbit,
            mtu,
            udp: Some(udp),
        }
    }
}

/// A router, and what its NAT does.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Router {
    /// Its name.
    pub name: String,
    /// A region, or the router that it is behind itself.
    pub upstream: String,
    /// What it translates, and how.
    pub nat: NatType,
    /// With nat "symmetric": whether its ports come one after the other
    /// (symmetric-sequential), and not at random.
    #[serde(default)]
    pub sequential: bool,
    /// Whether hosts behind it reach each other by its public address.
    #[serde(default)]
    pub hairpin: bool,
    /// Without a NAT: whether only answers come in.
    #[serde(default)]
    pub firewall: bool,
    /// Whether only answers come in by IPv6, which no router translates; yes
    /// if left out.
    pub firewall6: Option<bool>,
    /// How long it remembers a mapping without traffic.
    #[serde(default = "udp_timeout", with = "humantime_serde")]
    pub udp_timeout: Duration,
    /// Packets lost each way between it and what it is behind, in percent.
    #[serde(default)]
    pub loss: f64,
    /// Packets that later ones overtake there each way, in percent.
    #[serde(default)]
    pub reorder: f64,
    /// The longest packet that passes there, in bytes of IP.
    pub mtu: Option<u16>,
    /// Whether UDP passes there.
    #[serde(default)]
    pub udp: Udp,
}

impl Router {
    /// One with nothing out of the ordinary.
    pub fn new(name: String, upstream: String, nat: NatType) -> Self {
        Self {
            name,
            upstream,
            nat,
            sequential: false,
            hairpin: false,
            firewall: false,
            firewall6: None,
            udp_timeout: udp_timeout(),
            loss: 0.0,
            reorder: 0.0,
            mtu: None,
            udp: Udp::Passes,
        }
    }

    /// What it is called.
    pub fn kind(&self) -> &'static str {
        if self.sequential { "symmetric-sequential" } else { self.nat.name() }
    }

    /// What it does to packets.
    pub fn behaves(&self) -> Behaves {
        let Self { nat, sequential, hairpin, firewall, .. } = *self;
        Behaves { nat, sequential, hairpin, firewall, remembers_s: self.remembers_s() }
    }

    /// The same in seconds, as rules have it.
    pub fn remembers_s(&self) -> u32 {
        u32::try_from(self.udp_timeout.as_secs()).unwrap_or(u32::MAX)
    }

    /// What the wire to its outside is set to.
    pub fn uplink(&self) -> Conditions {
        self.spec().on(Conditions::default())
    }

    fn spec(&self) -> WireSpec {
        let Self { loss, reorder, mtu, udp, .. } = *self;
        WireSpec { loss: Some(loss), reorder: Some(reorder), mtu, udp: Some(udp), ..WireSpec::default() }
    }
}

fn udp_timeout() -> Duration {
    Duration::from_secs(MAPPING_SECONDS.into())
}

/// A machine that a node runs on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// Its name, and its node's.
    pub name: String,
    /// A region makes it public; else a router.
    pub upstream: String,
    /// Whether it has an IPv6 address; what its region has if left out.
    pub ipv6: Option<bool>,
    /// Whether it has an IPv4 address; yes if left out.
    #[serde(default = "yes")]
    pub ipv4: bool,
}

fn yes() -> bool {
    true
}

impl Host {
    /// One with nothing out of the ordinary.
    pub fn new(name: String, upstream: String) -> Self {
        Self { name, upstream, ipv6: None, ipv4: true }
    }
}

/// Hosts behind one router, called NAME-1, NAME-2 and so on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Crowd {
    name: String,
    upstream: String,
    count: u8,
}

impl Crowd {
    fn hosts(&self) -> impl Iterator<Item = Host> {
        let host = |n| Host::new(format!("{}-{n}", self.name), self.upstream.clone());
        (1..=self.count).map(host)
    }
}

/// Why a topology cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TopologyError {
    /// The file cannot be read.
    #[error("the topology {} cannot be read: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is no TOML, or not of this shape.
    #[error("{origin}: {detail}")]
    Syntax {
        /// The file or the built-in name.
        origin: String,
        /// What is wrong, and where.
        detail: String,
    },
    /// It says something that cannot be.
    #[error("{origin}: {flaw}")]
    Flawed {
        /// The file or the built-in name.
        origin: String,
        /// What, where, and what is allowed.
        flaw: Flaw,
    },
}

/// One thing that is wrong with a topology.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// For example `router "home"`.
    pub at: String,
    /// What is there.
    pub what: String,
    /// What could be there.
    pub allowed: String,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.at, self.what, self.allowed)
    }
}

impl Topology {
    /// The names of those that come with the program.
    pub fn built_in_names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, _)| *name)
    }

    /// One that comes with the program.
    ///
    /// # Errors
    /// [`TopologyError::Flawed`] if there is none of that name.
    pub fn built_in(name: &str) -> Result<Self, TopologyError> {
        match BUILT_IN.iter().find(|(n, _)| *n == name) {
            Some((_, text)) => Self::parse(text, name),
            None => {
                let names: Vec<&str> = Self::built_in_names().collect();
                let flaw = Flaw {
                    at: "topology".to_owned(),
                    what: format!("there is none called {name:?}"),
                    allowed: format!("there are {}", names.join(", ")),
                };
                Err(TopologyError::Flawed { origin: name.to_owned(), flaw })
            }
        }
    }

    /// One that comes with the program if it is named so, else a file's.
    ///
    /// # Errors
    /// [`TopologyError`], which names the file.
    pub fn find(name: &Path) -> Result<Self, TopologyError> {
        match name.to_str().filter(|name| Self::built_in_names().any(|n| n == *name)) {
            Some(name) => Self::built_in(name),
            None => Self::read(name),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`TopologyError`], which names the file.
    pub fn read(path: &Path) -> Result<Self, TopologyError> {
        let text = read::text(path, files::TEXT_MAX)
            .map_err(|source| TopologyError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Reads a text; `origin` stands in the errors.
    ///
    /// # Errors
    /// [`TopologyError`].
    pub fn parse(text: &str, origin: &str) -> Result<Self, TopologyError> {
        let mut topology: Self = toml::from_str(text).map_err(|error| TopologyError::Syntax {
            origin: origin.to_owned(),
            detail: error.to_string().trim_end().to_owned(),
        })?;
        let crowd = std::mem::take(&mut topology.crowd);
        topology.host.extend(crowd.iter().flat_map(Crowd::hosts));
        topology.check().map_err(|flaw| TopologyError::Flawed { origin: origin.to_owned(), flaw })?;
        Ok(topology)
    }

    /// Whether it can be built. [`Topology::parse`] has done it; one made in
    /// code has not.
    ///
    /// # Errors
    /// The first [`Flaw`].
    pub fn check(&self) -> Result<(), Flaw> {
        check::check(self)
    }

    /// The same network with all regions next to each other; whatever else its links
    /// do stays.
    #[must_use]
    pub fn without_latency(mut self) -> Self {
        for link in &mut self.link {
            (link.rtt_ms, link.jitter_ms) = (0.0, 0.0);
        }
        self.link.retain(|link| link.conditions() != Conditions::default());
        self
    }

    /// The same pattern with that many hosts: the first ones, or the whole
    /// again and again, each time with routers of its own.
    #[must_use]
    pub fn with_hosts(mut self, count: usize) -> Self {
        let pattern = self.clone();
        for copy in 2.. {
            if self.host.len() >= count || pattern.host.is_empty() {
                break;
            }
            let renamed: BTreeMap<&str, String> =
                pattern.router.iter().map(|r| (r.name.as_str(), format!("{}-{copy}", r.name))).collect();
            let upstream = |name: &String| renamed.get(name.as_str()).unwrap_or(name).clone();
            self.router.extend(pattern.router.iter().map(|r| Router {
                name: upstream(&r.name),
                upstream: upstream(&r.upstream),
                ..r.clone()
            }));
            self.host.extend(pattern.host.iter().map(|h| Host {
                name: format!("{}-{copy}", h.name),
                upstream: upstream(&h.upstream),
                ..h.clone()
            }));
        }
        self.host.truncate(count);
        // Routers that nobody is behind any more would only cost time.
        let mut used: Vec<String> =
            self.host.iter().flat_map(|h| self.chain(&h.upstream)).map(|r| r.name.clone()).collect();
        used.sort();
        self.router.retain(|r| used.binary_search(&r.name).is_ok());
        self
    }

    /// The routers from `upstream` outwards.
    pub fn chain<'a>(&'a self, upstream: &str) -> Vec<&'a Router> {
        let mut chain = Vec::new();
        let mut at = upstream;
        // A cycle, which the check refuses, must not hang the check itself.
        while let Some(router) = self.router.iter().find(|r| r.name == at)
            && chain.len() < self.router.len()
        {
            chain.push(router);
            at = &router.upstream;
        }
        chain
    }

    /// The region that something with this upstream is in.
    pub fn region_of<'a>(&'a self, upstream: &'a str) -> &'a str {
        self.chain(upstream).last().map_or(upstream, |outermost| &outermost.upstream)
    }

    /// What the wire between the regions of two hosts costs there and back;
    /// `None` if nothing delays.
    pub fn round_trip(&self, a: &str, b: &str) -> Option<Duration> {
        let region = |name: &str| {
            let host = self.host.iter().find(|h| h.name == name)?;
            Some(self.region_of(&host.upstream))
        };
        let (a, b) = (region(a)?, region(b)?);
        let joins = |l: &&Link| l.between == [a, b] || l.between == [b, a];
        let trip = 2 * self.link.iter().find(joins)?.conditions().delay;
        (!trip.is_zero()).then_some(trip)
    }

    /// What the wire between two regions does.
    pub fn between(&self, [a, b]: &[String; 2]) -> Conditions {
        let is = |l: &&Link| l.between.contains(a) && l.between.contains(b);
        self.link.iter().find(is).map(Link::conditions).unwrap_or_default()
    }

    /// Whether that host has an IPv6 address.
    pub fn has_ipv6(&self, host: &Host) -> bool {
        host.ipv6 != Some(false) && self.is_ipv6(self.region_of(&host.upstream))
    }

    /// Whether a region has IPv6.
    pub fn is_ipv6(&self, region: &str) -> bool {
        self.region.iter().any(|r| r.name == region && r.ipv6)
    }

    /// The same network without IPv6.
    #[must_use]
    pub fn without_ipv6(mut self) -> Self {
        for region in &mut self.region {
            region.ipv6 = false;
        }
        for host in &mut self.host {
            (host.ipv6, host.ipv4) = (None, true);
        }
        for router in &mut self.router {
            router.firewall6 = None;
        }
        self
    }

    /// Whether strangers reach that host by its own address.
    pub fn is_public(&self, host: &Host) -> bool {
        self.region.iter().any(|r| r.name == host.upstream)
    }

    /// The host that all others know from the start.
    pub fn bootstrap(&self) -> Option<&Host> {
        self.host.iter().find(|h| self.is_public(h))
    }
}
