//! From a topology to namespaces, interfaces, routes and rules.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;

use patchbay::{
    Firewall, IfaceConfig, IpSupport, Lab, NatConfig, NatV6Mode, NodeId, Region, Router, RouterPreset,
};

use super::tools::{apply, batch, keep_mappings, pairs, part_missing, tested_from};
use super::{HostPart, LinkPart, Network, NetworkError, Place, RouterPart, sixth};
use crate::lab::topology::{self, Topology};
use crate::lab::unsupported::Unsupported;
use crate::lab::userns::{Tools, Userns, network_help};
use crate::lab::wire::{Conditions, Exchange, Tap, Wire};
use crate::model::NatType;

/// A hardware address that nobody sends to: of an interface that only a wire
/// listens on.
const NOBODY: &str = "02:00:00:00:00:01";
/// Wires between regions have addresses that no node ever sees.
const WIRE_NET: Ipv4Addr = Ipv4Addr::new(10, 255, 0, 0);
/// Each region has that many addresses of 198.18.0.0/15, from 198.18.16.0 on.
const REGION_PREFIX: u8 = 20;

impl Network {
    /// Builds it. No wire does anything yet but carry.
    ///
    /// # Errors
    /// [`NetworkError::Unsupported`] if this host cannot, with what would help;
    /// another if one part of it went wrong. Nothing is left behind.
    pub async fn build(userns: &Userns, topology: &Topology, seed: u64) -> Result<Self, NetworkError> {
        let tools = userns.tools.clone();
        let exchange = Exchange::start(seed).map_err(unsupported("no thread for the wires"))?;
        let lab = Lab::builder().build().await.map_err(refused)?;
        let mut regions = BTreeMap::new();
        for region in &topology.region {
            let made = lab.add_region(&region.name).await.map_err(refused)?;
            regions.insert(region.name.clone(), made);
        }
        let mut network = Self {
            exchange,
            links: Vec::new(),
            routers: BTreeMap::new(),
            hosts: BTreeMap::new(),
            testers: testers(&lab, topology, &regions).await?,
            testers6: None,
            tools,
            lab,
        };
        network.join_regions(topology, &regions)?;
        network.add_routers(topology, &regions).await?;
        for host in &topology.host {
            network.add_host(host, &regions).await?;
        }
        network.add_ipv6(topology, &regions)?;
        Ok(network)
    }

    /// Lays a wire between each pair of regions. Without one they would meet
    /// in the middle of the lab, where nothing can be changed.
    fn join_regions(
        &mut self,
        topology: &Topology,
        regions: &BTreeMap<String, Region>,
    ) -> Result<(), NetworkError> {
        for (n, [a, b]) in pairs(topology).enumerate() {
            let net = u32::from(WIRE_NET) + 4 * n as u32;
            let (near, far) = (Ipv4Addr::from(net + 1), Ipv4Addr::from(net + 2));
            let place = |name: &str| -> Result<Place, NetworkError> {
                let router = regions.get(name).and_then(|r| self.lab.router(r.router_id()));
                router.map(Place::Router).ok_or_else(|| part_missing(name))
            };
            let ends = [place(a)?, place(b)?];
            let taps = [
                region_end(&self.tools, &ends[0], n, near, far, region_net(&ends[1])?)?,
                region_end(&self.tools, &ends[1], n, far, near, region_net(&ends[0])?)?,
            ];
            let [from, to] = taps;
            let wire = self.exchange.join(from, to, Conditions::default());
            self.links.push(LinkPart { between: [a.to_owned(), b.to_owned()], wire, ends, far });
        }
        Ok(())
    }

    async fn add_routers(
        &mut self,
        topology: &Topology,
        regions: &BTreeMap<String, Region>,
    ) -> Result<(), NetworkError> {
        // Those in front come first.
        let mut order: Vec<&topology::Router> = topology.router.iter().collect();
        order.sort_by_key(|r| topology.chain(&r.name).len());
        for router in order {
            let builder = self.lab.add_router(&router.name);
            let (builder, upstream) =
                match (regions.get(&router.upstream), self.routers.get(&router.upstream)) {
                    (Some(region), _) => (builder.region(region), region.router_id()),
                    (_, Some(RouterPart { place: Place::Router(upstream), .. })) => {
                        (builder.upstream(upstream.id()), upstream.id())
                    }
                    _ => return Err(part_missing(&router.upstream)),
                };
            // The preset decides which addresses are behind it; what it does to
            // packets is our own.
            let preset =
                if router.nat == NatType::None { RouterPreset::PublicV4 } else { RouterPreset::Home };
            let built = builder
                .preset(preset)
                .ip_support(IpSupport::V4Only)
                .nat(None::<NatConfig>)
                .nat_v6(NatV6Mode::None)
                .firewall(Firewall::None)
                .build()
                .await
                .map_err(at(&router.name))?;
            let ip = built.uplink_ip().ok_or_else(|| part_missing(&router.name))?;
            let part = RouterPart {
                place: Place::Router(built),
                outside: ("wan", ip),
                behaves: router.behaves(),
                gateway: self.gateway(upstream, &router.upstream)?,
                uplink: None,
            };
            plain_bridge(&part.place)?;
            apply(&self.tools, &part)?;
            if router.nat != NatType::None || router.firewall {
                keep_mappings(&part.place, part.behaves.remembers_s)?;
            }
            self.routers.insert(router.name.clone(), part);
        }
        Ok(())
    }

    async fn add_host(
        &mut self,
        host: &topology::Host,
        regions: &BTreeMap<String, Region>,
    ) -> Result<(), NetworkError> {
        let gateway = match (regions.get(&host.upstream), self.routers.get(&host.upstream)) {
            (Some(region), _) => region.router_id(),
            (_, Some(RouterPart { place: Place::Router(router), .. })) => router.id(),
            _ => return Err(part_missing(&host.upstream)),
        };
        let builder = self.lab.add_device(&host.name).iface("eth0", IfaceConfig::routed(gateway));
        let device = builder.build().await.map_err(at(&host.name))?;
        let ip = device.ip().ok_or_else(|| part_missing(&host.name))?;
        let gateway = self.gateway(gateway, &host.upstream)?;
        let place = Place::Host(device.clone());
        unbatch(&self.tools, &place, "eth0")?;
        let part = HostPart { device, ip, ip6: None, gateway, uplink: None };
        self.hosts.insert(host.name.clone(), part);
        Ok(())
    }

    /// What others are plugged into, and its address there.
    fn gateway(&self, router: NodeId, name: &str) -> Result<(Router, Ipv4Addr), NetworkError> {
        let router = self.lab.router(router).ok_or_else(|| part_missing(name))?;
        let inside = router.downstream_gw().ok_or_else(|| part_missing(name))?;
        Ok((router, inside))
    }

    /// Lays a wire into the uplink of a host or a router, in the namespace of what it
    /// is plugged into.
    pub(super) fn lay_uplink(&mut self, of: &str) -> Result<Wire, NetworkError> {
        let (inside, interface, gateway, laid) = match (self.hosts.get(of), self.routers.get(of)) {
            (Some(part), _) => (Place::Host(part.device.clone()), "eth0", &part.gateway.0, &part.uplink),
            (_, Some(part)) => (part.place.clone(), part.outside.0, &part.gateway.0, &part.uplink),
            _ => return Err(self.no_uplink(of)),
        };
        if let Some(wire) = laid {
            return Ok(wire.clone());
        }
        let place = Place::Router(gateway.clone());
        let port = port_of(&self.tools, &inside, interface, &place)?;
        let (near, far) = (format!("{port}a"), format!("{port}b"));
        let bridge = bridge_of(&self.tools, &place, &port)?;
        let known = hardware_address(&self.tools, &place, &bridge)?;
        batch(
            &self.tools,
            &place,
            &[
                format!("link add {near} type veth peer name {far}"),
                quiet(&near),
                quiet(&far),
                // A bridge has the address of one of its ports. If it is this
                // one, what the host sends would be taken by the router itself
                // here, past the wire and past a cut: the bridge keeps it.
                format!("link set {bridge} address {known}"),
                format!("link set {port} nomaster"),
                format!("link set {port} address {NOBODY} arp off"),
                format!("link set {near} master {bridge} up"),
                format!("link set {far} arp off up"),
            ],
        )?;
        // It has nothing to say either, and what passes it is not for it.
        sixth::switch_off(&place, &port)?;
        let taps = open_taps(&place, port, far)?;
        let wire = self.exchange.join(taps.0, taps.1, Conditions::default());
        if let Some(part) = self.hosts.get_mut(of) {
            part.uplink = Some(wire.clone());
        } else if let Some(part) = self.routers.get_mut(of) {
            part.uplink = Some(wire.clone());
        }
        Ok(wire)
    }
}

/// The self-test's servers, which run no node.
async fn testers(
    lab: &Lab,
    topology: &Topology,
    regions: &BTreeMap<String, Region>,
) -> Result<[(patchbay::Device, Ipv4Addr); 2], NetworkError> {
    let first = tested_from(topology).and_then(|name| regions.get(name));
    let region = first.ok_or_else(|| part_missing("region"))?;
    let make = async |name: &str| {
        let iface = IfaceConfig::routed(region.router_id());
        let device = lab.add_device(name).iface("eth0", iface).build().await.map_err(at(name))?;
        let ip = device.ip().ok_or_else(|| part_missing(name))?;
        Ok::<_, NetworkError>((device, ip))
    };
    // Names of hosts begin with no underscore.
    Ok([make("_tester-1").await?, make("_tester-2").await?])
}

/// The hardware address of an interface.
fn hardware_address(tools: &Tools, place: &Place, interface: &str) -> Result<String, NetworkError> {
    let shown = place.ask(&tools.ip, &["-o", "link", "show", "dev", interface])?;
    let mut words = shown.split_whitespace().skip_while(|w| *w != "link/ether");
    words.nth(1).map(str::to_owned).ok_or_else(|| part_missing(place.name()))
}

/// One region's end of a wire: an interface with an address and the way to the
/// other region, and beside it the interface that the wire takes from.
fn region_end(
    tools: &Tools,
    place: &Place,
    n: usize,
    own: Ipv4Addr,
    other: Ipv4Addr,
    there: String,
) -> Result<Tap, NetworkError> {
    let (near, far) = (format!("wire{n}"), format!("wire{n}t"));
    batch(
        tools,
        place,
        &[
            format!("link add {near} type veth peer name {far}"),
            quiet(&near),
            quiet(&far),
            format!("addr add {own}/30 dev {near}"),
            format!("link set {near} up"),
            format!("link set {far} arp off up"),
            format!("route add {there} via {other}"),
        ],
    )?;
    place.run(move || Tap::open(&far))
}

/// The ends of a wire do not speak by themselves.
fn quiet(interface: &str) -> String {
    format!("link set {interface} addrgenmode none")
}

/// What a host sends at once would reach a wire as one frame larger than any
/// interface takes.
fn unbatch(tools: &Tools, place: &Place, interface: &str) -> Result<(), NetworkError> {
    batch(tools, place, &[format!("link set {interface} gso_max_segs 1")])
}

fn open_taps(place: &Place, a: String, b: String) -> Result<(Tap, Tap), NetworkError> {
    place.run(move || Ok((Tap::open(&a)?, Tap::open(&b)?)))
}

/// The interface of `place` at the other end of that one inside.
fn port_of(tools: &Tools, inside: &Place, interface: &str, place: &Place) -> Result<String, NetworkError> {
    let shown = inside.ask(&tools.ip, &["-o", "link", "show", "dev", interface])?;
    // `2: eth0@if7: <...`: 7 is the other end's number in its own namespace.
    let number = shown.split_once("@if").and_then(|(_, rest)| rest.split(':').next()).map(str::to_owned);
    let number = number.ok_or_else(|| part_missing(inside.name()))?;
    let all = place.ask(&tools.ip, &["-o", "link", "show"])?;
    let line = all.lines().find(|l| l.split(':').next() == Some(number.as_str()));
    let name = line.and_then(|l| l.split(':').nth(1)).map(|n| n.trim().split('@').next().unwrap_or_default());
    name.map(str::to_owned).ok_or_else(|| part_missing(place.name()))
}

fn bridge_of(tools: &Tools, place: &Place, port: &str) -> Result<String, NetworkError> {
    let shown = place.ask(&tools.ip, &["-o", "link", "show", "dev", port])?;
    let mut words = shown.split_whitespace().skip_while(|w| *w != "master");
    words.nth(1).map(str::to_owned).ok_or_else(|| part_missing(place.name()))
}

/// Where the host's kernel filters bridges too, what turns around at a router
/// would be taken for traffic between two ports of its bridge, and get lost.
fn plain_bridge(place: &Place) -> Result<(), NetworkError> {
    place.run(|| {
        let setting = Path::new("/proc/sys/net/bridge/bridge-nf-call-iptables");
        if setting.exists() { std::fs::write(setting, "0") } else { Ok(()) }
    })
}

/// The addresses of a region: its own hosts' network is the first of them.
fn region_net(place: &Place) -> Result<String, NetworkError> {
    let net = match place {
        Place::Router(router) => router.downstream_cidr(),
        Place::Host(_) => None,
    };
    net.map(|net| format!("{}/{REGION_PREFIX}", net.addr())).ok_or_else(|| part_missing(place.name()))
}

fn at<E: std::fmt::Display>(name: &str) -> impl FnOnce(E) -> NetworkError {
    let place = name.to_owned();
    move |error| NetworkError::Place { place, detail: format!("{error:#}") }
}

/// The first namespaces could not be made: then none can.
fn refused<E: std::fmt::Display>(error: E) -> NetworkError {
    Unsupported { what: "no network namespace".to_owned(), why: format!("{error:#}"), help: network_help() }
        .into()
}

fn unsupported(what: &'static str) -> impl FnOnce(std::io::Error) -> NetworkError {
    move |error| {
        Unsupported {
            what: what.to_owned(),
            why: error.to_string(),
            help: "try: ulimit -u unlimited".to_owned(),
        }
        .into()
    }
}
