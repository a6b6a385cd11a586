//! What a topology may say.

use std::collections::BTreeSet;

use super::{Flaw, Host, Router, Topology};
use crate::lab::conditions::WireSpec;
use crate::model::NatType;

/// How long a router may remember a mapping; less would lose one between two
/// heartbeats.
pub(crate) const REMEMBERS_S: std::ops::RangeInclusive<u32> = 10..=3600;

/// Each pair of regions gets a wire.
const REGIONS_MAX: usize = 6;
/// Each is a network namespace with two threads.
const HOSTS_MAX: usize = 128;
const ROUTERS_MAX: usize = 64;
/// A region has 15 networks of public addresses, one for its own hosts.
const ROUTED_MAX: usize = 14;
/// Provider, home, and a router of one's own is as deep as it gets.
const DEPTH_MAX: usize = 4;
const NAME_MAX: usize = 24;

fn flaw(at: String, what: impl Into<String>, allowed: impl Into<String>) -> Flaw {
    Flaw { at, what: what.into(), allowed: allowed.into() }
}

pub(super) fn check(topology: &Topology) -> Result<(), Flaw> {
    count("region", topology.region.len(), 1, REGIONS_MAX)?;
    count("router", topology.router.len(), 0, ROUTERS_MAX)?;
    count("host", topology.host.len(), 2, HOSTS_MAX)?;
    let places = topology.region.iter().map(|r| ("region", &r.name));
    names(places.chain(topology.router.iter().map(|r| ("router", &r.name))))?;
    names(topology.host.iter().map(|h| ("host", &h.name)))?;
    topology.router.iter().try_for_each(|r| router(topology, r))?;
    topology.region.iter().try_for_each(|r| routed_networks(topology, &r.name))?;
    topology.host.iter().try_for_each(|h| host(topology, h))?;
    if topology.bootstrap().is_none() {
        return Err(flaw(
            "host".into(),
            "none stands in a region, so nobody can be joined",
            "at least one host has a region as its upstream",
        ));
    }
    links(topology)
}

fn count(kind: &str, got: usize, least: usize, most: usize) -> Result<(), Flaw> {
    if (least..=most).contains(&got) {
        return Ok(());
    }
    Err(flaw(kind.into(), format!("there are {got}"), format!("{least} to {most} are possible")))
}

fn names<'a>(all: impl Iterator<Item = (&'static str, &'a String)>) -> Result<(), Flaw> {
    let mut seen = BTreeSet::new();
    for (kind, name) in all {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let at = || format!("{kind} {name:?}");
        if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(plain) {
            let allowed = format!("1 to {NAME_MAX} of a-z, 0-9 and -");
            return Err(flaw(at(), "this is no name", allowed));
        }
        if !seen.insert(name) {
            return Err(flaw(at(), "the name is there twice", "names are unique"));
        }
    }
    Ok(())
}

fn known(topology: &Topology, at: &str, upstream: &str) -> Result<(), Flaw> {
    let regions = topology.region.iter().map(|r| r.name.as_str());
    let mut places = regions.chain(topology.router.iter().map(|r| r.name.as_str()));
    if places.any(|p| p == upstream) {
        return Ok(());
    }
    let regions: Vec<&str> = topology.region.iter().map(|r| r.name.as_str()).collect();
    let routers: Vec<&str> = topology.router.iter().map(|r| r.name.as_str()).collect();
    let or_routers =
        if routers.is_empty() { String::new() } else { format!(" or a router ({})", routers.join(", ")) };
    Err(flaw(
        at.to_owned(),
        format!("upstream {upstream:?} is nowhere"),
        format!("a region ({}){or_routers}", regions.join(", ")),
    ))
}

fn router(topology: &Topology, router: &Router) -> Result<(), Flaw> {
    let at = format!("router {:?}", router.name);
    known(topology, &at, &router.upstream)?;
    let chain = topology.chain(&router.name);
    if !topology.region.iter().any(|r| Some(&r.name) == chain.last().map(|r| &r.upstream)) {
        return Err(flaw(at, "it is behind itself", "upstreams end in a region"));
    }
    if chain.len() > DEPTH_MAX {
        return Err(flaw(
            at,
            format!("it is the {}th in a row", chain.len()),
            format!("at most {DEPTH_MAX}"),
        ));
    }
    let cone = matches!(router.nat, NatType::FullCone | NatType::AddressRestricted | NatType::PortRestricted);
    match router.nat {
        NatType::Unknown => Err(flaw(
            at,
            "nat \"unknown\" cannot be built",
            "none, full-cone, address-restricted, port-restricted or symmetric",
        )),
        NatType::None if chain.len() > 1 => {
            Err(flaw(at, "without a NAT it cannot be behind a router", "its upstream is a region"))
        }
        _ if router.hairpin && !cone => Err(flaw(
            at,
            format!("a NAT of type {} has no hairpin", router.nat),
            "full-cone, address-restricted and port-restricted can have one",
        )),
        _ if router.sequential && router.nat != NatType::Symmetric => Err(flaw(
            at,
            format!("a NAT of type {} hands out no port for each destination", router.nat),
            "sequential stands with nat \"symmetric\"",
        )),
        _ if router.firewall && router.nat != NatType::None => Err(flaw(
            at,
            format!("a NAT of type {} filters by itself", router.nat),
            "firewall stands with nat \"none\"",
        )),
        _ if !REMEMBERS_S.contains(&router.remembers_s()) || router.udp_timeout.subsec_nanos() > 0 => {
            Err(flaw(
                at,
                format!("udp_timeout is {:?}", router.udp_timeout),
                format!("whole seconds, {} to {}", REMEMBERS_S.start(), REMEMBERS_S.end()),
            ))
        }
        _ if router.firewall6.is_some() && !topology.is_ipv6(topology.region_of(&router.name)) => {
            Err(flaw(at, "firewall6, but its region has no IPv6", "the region has ipv6 = true"))
        }
        _ => wire(&router.spec(), &at),
    }
}

fn routed_networks(topology: &Topology, region: &str) -> Result<(), Flaw> {
    let routed = topology.router.iter().filter(|r| r.upstream == region && r.nat == NatType::None).count();
    if routed <= ROUTED_MAX {
        return Ok(());
    }
    Err(flaw(
        format!("region {region:?}"),
        format!("{routed} routers without NAT need public networks"),
        format!("at most {ROUTED_MAX} in a region"),
    ))
}

fn host(topology: &Topology, host: &Host) -> Result<(), Flaw> {
    let at = format!("host {:?}", host.name);
    known(topology, &at, &host.upstream)?;
    if host.ipv6 == Some(true) && !topology.has_ipv6(host) {
        return Err(flaw(at, "ipv6, but its region has none", "the region has ipv6 = true"));
    }
    if !host.ipv4 && !topology.has_ipv6(host) {
        return Err(flaw(at, "neither IPv4 nor IPv6", "without IPv4 its region has ipv6 = true"));
    }
    Ok(())
}

fn links(topology: &Topology) -> Result<(), Flaw> {
    let mut seen = BTreeSet::new();
    for link in &topology.link {
        let [a, b] = &link.between;
        let at = format!("link between {a:?} and {b:?}");
        for end in [a, b] {
            if !topology.region.iter().any(|r| r.name == *end) {
                let regions: Vec<&str> = topology.region.iter().map(|r| r.name.as_str()).collect();
                return Err(flaw(at, format!("{end:?} is no region"), regions.join(", ")));
            }
        }
        if a == b {
            return Err(flaw(at, "it leads nowhere", "two different regions"));
        }
        if !seen.insert((a.min(b), a.max(b))) {
            return Err(flaw(at, "it is there twice", "one link for two regions"));
        }
        wire(&link.spec(), &at)?;
    }
    Ok(())
}

fn wire(spec: &WireSpec, at: &str) -> Result<(), Flaw> {
    spec.check().map_err(|(what, allowed)| flaw(at.to_owned(), what, allowed))
}
