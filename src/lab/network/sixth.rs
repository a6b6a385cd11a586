//! IPv6 beside the lab's IPv4: addresses of our own in `2001:2::/48` (RFC 5180,
//! for such networks), routes, and firewalls at the routers. Nothing is
//! translated.
//!
//! A region has a /56 and each router in it a /64, whatever stands between
//! them; so a route says by itself whom it leads to.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;

use patchbay::Region;

use super::tools::{batch, keep_mappings, pairs, part_missing, tested_from};
use super::{Network, NetworkError, Place, RouterPart};
use crate::lab::rules::rules6;
use crate::lab::topology::{self, Topology};
use crate::lab::userns::Tools;

/// The first two groups of all addresses, and the fourth of those on wires.
const NET: [u16; 3] = [0x2001, 2, 0];
const WIRES: u16 = 0xff00;
/// The last group: of a gateway, the self-test's servers, routers, hosts.
const GATEWAY: u16 = 1;
const TESTERS: [u16; 2] = [2, 3];
const ROUTERS: u16 = 0x100;
const HOSTS: u16 = 0x1000;

/// Whether this kernel has IPv6 for namespaces of ours.
pub(in crate::lab) fn is_here() -> bool {
    Path::new("/proc/sys/net/ipv6/conf/all").exists()
}

/// An interface has and takes no IPv6.
pub(super) fn switch_off(place: &Place, interface: &str) -> Result<(), NetworkError> {
    set(place, &format!("conf/{interface}/disable_ipv6"), "1")
}

/// Sets something where there is IPv6 at all.
fn set(place: &Place, name: &str, value: &'static str) -> Result<(), NetworkError> {
    let setting = format!("/proc/sys/net/ipv6/{name}");
    place.run(move || if Path::new(&setting).exists() { std::fs::write(setting, value) } else { Ok(()) })
}

fn address(net: u16, last: u16) -> Ipv6Addr {
    let [a, b, c] = NET;
    Ipv6Addr::new(a, b, c, net, 0, 0, 0, last)
}

/// Who has which network.
struct Plan<'a>(&'a Topology);

impl Plan<'_> {
    /// A region's own network, the first of its 256.
    fn region(&self, name: &str) -> Option<u16> {
        let at = self.0.region.iter().position(|r| r.name == name && r.ipv6)?;
        u16::try_from(at).ok().map(|at| at << 8)
    }

    fn router_number(&self, name: &str) -> Option<u16> {
        let at = self.0.router.iter().position(|r| r.name == name)?;
        u16::try_from(at + 1).ok()
    }

    /// The network at which things with this upstream are.
    fn behind(&self, upstream: &str) -> Option<u16> {
        let region = self.region(self.0.region_of(upstream))?;
        Some(region + self.router_number(upstream).unwrap_or(0))
    }

    /// A router's address towards its upstream.
    fn outside(&self, router: &topology::Router) -> Option<Ipv6Addr> {
        Some(address(self.behind(&router.upstream)?, ROUTERS + self.router_number(&router.name)?))
    }
}

/// What each place is told: addresses and routes, as lines for `ip`.
type Tables = BTreeMap<String, (Place, Vec<String>)>;

impl Network {
    /// Gives everybody who is to have one an address, and lays the routes. Who is
    /// to have none speaks none at all.
    pub(super) fn add_ipv6(
        &mut self,
        topology: &Topology,
        regions: &BTreeMap<String, Region>,
    ) -> Result<(), NetworkError> {
        let plan = Plan(topology);
        let mut tables = Tables::new();
        for region in topology.region.iter().filter(|r| r.ipv6) {
            let router = regions.get(&region.name).and_then(|r| self.lab.router(r.router_id()));
            let router = router.ok_or_else(|| part_missing(&region.name))?;
            let inside = router.downstream_gw().ok_or_else(|| part_missing(&region.name))?;
            let place = Place::Router(router);
            forwards(&place)?;
            let bridge = interface_with(&self.tools, &place, inside.into())?;
            let net = plan.region(&region.name).ok_or_else(|| part_missing(&region.name))?;
            let lines = vec![format!("addr add {}/64 dev {bridge} nodad", address(net, GATEWAY))];
            tables.insert(region.name.clone(), (place, lines));
        }
        between_regions(&plan, &mut tables);
        for router in topology.router.iter().filter(|r| topology.is_ipv6(topology.region_of(&r.name))) {
            self.ipv6_of_router(&plan, router, &mut tables)?;
        }
        for (place, mut lines) in tables.into_values() {
            // Addresses first: a gateway must be on a network that is there.
            lines.sort();
            batch(&self.tools, &place, &lines)?;
        }
        for (n, host) in topology.host.iter().enumerate() {
            let part = self.hosts.get_mut(&host.name).ok_or_else(|| part_missing(&host.name))?;
            let place = Place::Host(part.device.clone());
            let net = plan.behind(&host.upstream).filter(|_| topology.has_ipv6(host));
            part.ip6 = net.map(|net| address(net, HOSTS + n as u16));
            ipv6_of_host(&self.tools, &place, part.ip6)?;
            if !host.ipv4 {
                place.ask(&self.tools.ip, &["-4", "addr", "flush", "dev", "eth0"])?;
            }
        }
        let net = tested_from(topology).and_then(|region| plan.region(region));
        self.testers6 = net.map(|net| TESTERS.map(|last| address(net, last)));
        for (n, (device, _)) in self.testers.iter().enumerate() {
            let own = self.testers6.map(|all| all[n]);
            ipv6_of_host(&self.tools, &Place::Host(device.clone()), own)?;
        }
        Ok(())
    }

    fn ipv6_of_router(
        &self,
        plan: &Plan<'_>,
        router: &topology::Router,
        tables: &mut Tables,
    ) -> Result<(), NetworkError> {
        let missing = || part_missing(&router.name);
        let RouterPart { place, outside: (wan, _), .. } = self.router(&router.name)?;
        let Place::Router(built) = place else { return Err(missing()) };
        forwards(place)?;
        let inside = built.downstream_gw().ok_or_else(missing)?;
        let bridge = interface_with(&self.tools, place, inside.into())?;
        let net = plan.behind(&router.name).ok_or_else(missing)?;
        let upstream = plan.behind(&router.upstream).ok_or_else(missing)?;
        let own = plan.outside(router).ok_or_else(missing)?;
        let entry = tables.entry(router.name.clone()).or_insert_with(|| (place.clone(), Vec::new()));
        entry.1.extend([
            format!("addr add {own}/64 dev {wan} nodad"),
            format!("addr add {}/64 dev {bridge} nodad", address(net, GATEWAY)),
            format!("route add default via {}", address(upstream, GATEWAY)),
        ]);
        // Everybody further out must know by whom it is reached.
        for next in plan.0.chain(&router.name) {
            let via = plan.outside(next).ok_or_else(missing)?;
            let at = match self.router(&next.upstream) {
                Ok(part) => {
                    tables.entry(next.upstream.clone()).or_insert_with(|| (part.place.clone(), Vec::new()))
                }
                Err(_) => tables.get_mut(&next.upstream).ok_or_else(missing)?,
            };
            at.1.push(format!("route add {}/64 via {via}", address(net, 0)));
        }
        let firewall = router.firewall6 != Some(false);
        place.feed(&self.tools.nft, &["-f", "-"], rules6(firewall, wan))?;
        if firewall {
            keep_mappings(place, router.remembers_s())?;
        }
        Ok(())
    }
}

/// Wires carry frames of any kind; their ends need addresses, and the regions the
/// ways to each other.
fn between_regions(plan: &Plan<'_>, tables: &mut Tables) {
    for (n, [a, b]) in pairs(plan.0).enumerate() {
        let ends = [address(WIRES + n as u16, 1), address(WIRES + n as u16, 2)];
        for (own, other, from, to) in [(ends[0], ends[1], a, b), (ends[1], ends[0], b, a)] {
            let (Some(there), Some((_, lines))) = (plan.region(to), tables.get_mut(from)) else {
                continue;
            };
            lines.push(format!("addr add {own}/64 dev wire{n} nodad"));
            // Whoever forwards asks for neighbours from an address of the link.
            let [.., last] = own.segments();
            lines.push(format!("addr add fe80::{last}/64 dev wire{n} nodad"));
            lines.push(format!("route add {}/56 via {other}", address(there, 0)));
        }
    }
}

fn ipv6_of_host(tools: &Tools, place: &Place, own: Option<Ipv6Addr>) -> Result<(), NetworkError> {
    // Whatever it had is gone by this, and without one of ours it has not even an
    // address of its link.
    switch_off(place, "all")?;
    let Some(own) = own else { return Ok(()) };
    set(place, "conf/all/disable_ipv6", "0")?;
    set(place, "conf/eth0/accept_ra", "0")?;
    let [a, b, c, net, ..] = own.segments();
    let gateway = Ipv6Addr::new(a, b, c, net, 0, 0, 0, GATEWAY);
    let lines =
        [format!("addr add {own}/64 dev eth0 nodad"), format!("route add default via {gateway} src {own}")];
    batch(tools, place, &lines)
}

fn forwards(place: &Place) -> Result<(), NetworkError> {
    set(place, "conf/all/disable_ipv6", "0")?;
    set(place, "conf/all/forwarding", "1")
}

/// The interface of a place that has this address.
fn interface_with(tools: &Tools, place: &Place, ip: IpAddr) -> Result<String, NetworkError> {
    let shown = place.ask(&tools.ip, &["-o", "addr", "show", "to", &ip.to_string()])?;
    let name = shown.split_whitespace().nth(1).map(str::to_owned);
    name.ok_or_else(|| part_missing(place.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_router_has_a_network_of_its_own_within_its_regions() {
        let text = "[[region]]\nname = \"old\"\n[[region]]\nname = \"new\"\nipv6 = true\n\
            [[router]]\nname = \"line\"\nupstream = \"new\"\nnat = \"full-cone\"\n\
            [[router]]\nname = \"own\"\nupstream = \"line\"\nnat = \"symmetric\"\n\
            [[router]]\nname = \"four\"\nupstream = \"old\"\nnat = \"symmetric\"\n\
            [[host]]\nname = \"pub-1\"\nupstream = \"old\"\n[[host]]\nname = \"in\"\nupstream = \"own\"\n";
        let topology = Topology::parse(text, "test").unwrap();
        let plan = Plan(&topology);
        let net = |upstream| plan.behind(upstream).map(|net| address(net, 0).to_string());
        assert_eq!(net("new").unwrap(), "2001:2:0:100::");
        assert_eq!(net("line").unwrap(), "2001:2:0:101::");
        assert_eq!(net("own").unwrap(), "2001:2:0:102::");
        assert_eq!((net("old"), net("four")), (None, None));
        let outside = |at: usize| plan.outside(&topology.router[at]).map(|ip| ip.to_string());
        assert_eq!(outside(1).unwrap(), "2001:2:0:101::102", "of its upstream's network");
        assert_eq!(outside(2), None);
    }
}
