//! A lab believes only what it measured: each NAT in the manner of RFC 5780,
//! from a host behind it, with two servers of two ports; each wire with echoes.

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use tokio::net::UdpSocket;
use tokio_util::task::AbortOnDropHandle;

use super::echo::{Echo, Measured, measure};
use super::network::{HostPart, LinkPart, Network, NetworkError, Place, RouterPart, Wired, tested_from};
use super::topology::{Host, Topology};
use super::wire::Conditions;
use crate::model::{Behaviour, NatType};

/// How long an answer may take within one machine, beyond the wires' delays.
const PATIENCE: Duration = Duration::from_millis(250);
/// How often a question is sent while its answer is waited for.
const TRIES: u32 = 3;
const PINGS: u32 = 20;
const MANY_PINGS: u32 = 200;
/// Ports that come one after the other are no further apart.
const STEP_MAX: u16 = 64;
/// How often a wire may be measured wrong before it is wrong.
const MEASURE_TRIES: usize = 3;
/// How far a round trip may be off: this, or the share, whichever is more.
const RTT_OFF: Duration = Duration::from_millis(2);
const RTT_OFF_SHARE: f64 = 0.1;
const RATE_OFF_SHARE: f64 = 0.15;

/// What a NAT does with UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// What the mapping depends on; `None` if nothing is translated.
    pub mapping: Option<Behaviour>,
    /// What is let in.
    pub filtering: Behaviour,
    /// Whether a host behind it reaches its own public address.
    pub hairpin: bool,
    /// Whether the ports of its mappings come one after the other.
    pub sequential: bool,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mapping = self.mapping.map_or_else(|| "no translation".to_owned(), |m| format!("{m} mapping"));
        let hairpin = if self.hairpin { ", hairpin" } else { "" };
        let order = if self.sequential { ", ports in steps" } else { "" };
        write!(f, "{mapping}, {} filtering{hairpin}{order}", self.filtering)
    }
}

/// A row of the self-test's table.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// For example `nat behind full-1` or `wire east-west`.
    pub what: String,
    /// What the topology says.
    pub asked: String,
    /// What was measured.
    pub got: String,
    /// Whether they agree.
    pub ok: bool,
}

/// What was asked for and what was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct SelfTest {
    /// One for each host with a NAT, and for each wire.
    pub rows: Vec<Row>,
    /// How long it took.
    pub took: Duration,
}

impl SelfTest {
    /// Whether the lab is what it says it is.
    pub fn passed(&self) -> bool {
        self.rows.iter().all(|row| row.ok)
    }
}

impl fmt::Display for SelfTest {
    /// A table, with what is wrong marked.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |of: fn(&Row) -> &String| self.rows.iter().map(|r| of(r).len()).max().unwrap_or(0);
        let (what, asked) = (width(|r| &r.what).max(4), width(|r| &r.asked).max(5));
        writeln!(f, "{:4} {:what$}  {:asked$}  got", "", "what", "asked")?;
        for row in &self.rows {
            let mark = if row.ok { "ok" } else { "BAD" };
            writeln!(f, "{mark:4} {:what$}  {:asked$}  {}", row.what, row.asked, row.got)?;
        }
        let verdict = match self.passed() {
            _ if self.rows.is_empty() => "nothing to measure",
            true => "pass",
            false => "fail",
        };
        write!(f, "{verdict}: {} checks in {:.2} s", self.rows.len(), self.took.as_secs_f64())
    }
}

/// What a host behind these routers must see, from the inside out. The
/// strictest of them decides.
pub fn expected(topology: &Topology, upstream: &str) -> Shown {
    let chain = topology.chain(upstream);
    let translated = chain.iter().filter(|r| r.nat != NatType::None);
    let mapping = translated
        .map(|r| match r.nat {
            NatType::Symmetric => Behaviour::AddressAndPortDependent,
            _ => Behaviour::EndpointIndependent,
        })
        .max_by_key(|b| strictness(*b));
    let filtering = chain
        .iter()
        .map(|r| match r.nat {
            NatType::None | NatType::Unknown if r.firewall => Behaviour::AddressAndPortDependent,
            NatType::None | NatType::Unknown | NatType::FullCone => Behaviour::EndpointIndependent,
            NatType::AddressRestricted => Behaviour::AddressDependent,
            NatType::PortRestricted | NatType::Symmetric => Behaviour::AddressAndPortDependent,
        })
        .max_by_key(|b| strictness(*b))
        .unwrap_or(Behaviour::EndpointIndependent);
    // The outermost NAT turns it around; those further in let it pass only if
    // they let strangers in.
    let hairpin = chain.split_last().is_some_and(|(outermost, inner)| {
        outermost.hairpin && inner.iter().all(|r| r.nat == NatType::FullCone)
    });
    // Whoever translates last chooses the port.
    let sequential = chain.iter().rev().find(|r| r.nat != NatType::None).is_some_and(|r| r.sequential);
    Shown { mapping, filtering, hairpin, sequential }
}

/// What a host behind these routers must see by IPv6, which nobody translates.
pub fn expected6(topology: &Topology, upstream: &str) -> Shown {
    let firewall = topology.chain(upstream).iter().any(|r| r.firewall6 != Some(false));
    let filtering =
        if firewall { Behaviour::AddressAndPortDependent } else { Behaviour::EndpointIndependent };
    Shown { mapping: None, filtering, hairpin: false, sequential: false }
}

fn strictness(behaviour: Behaviour) -> u8 {
    match behaviour {
        Behaviour::EndpointIndependent => 0,
        Behaviour::AddressDependent => 1,
        Behaviour::AddressAndPortDependent => 2,
    }
}

impl Network {
    /// Measures every NAT from every host behind it, and every wire between
    /// regions.
    ///
    /// # Errors
    /// [`NetworkError`] if it could not be done at all.
    pub async fn self_test(&self, topology: &Topology) -> Result<SelfTest, NetworkError> {
        let begun = Instant::now();
        let mut rows = self.test_nats(topology).await?;
        rows.extend(self.test_links().await?);
        rows.extend(self.test_uplinks().await?);
        Ok(SelfTest { rows, took: begun.elapsed() })
    }

    /// The same for a network that nobody uses yet. It has been built without
    /// conditions, so that the NATs are tested before the wires make everything
    /// slow, and gets those of the topology here.
    pub(super) async fn first_test(&mut self, topology: &Topology) -> Result<SelfTest, NetworkError> {
        let begun = Instant::now();
        let mut rows = self.test_nats(topology).await?;
        self.set_links(topology);
        self.set_uplinks(topology)?;
        rows.extend(self.test_links().await?);
        rows.extend(self.test_uplinks().await?);
        Ok(SelfTest { rows, took: begun.elapsed() })
    }

    async fn test_nats(&self, topology: &Topology) -> Result<Vec<Row>, NetworkError> {
        let at = self.testers.iter().map(|(device, ip)| (device, IpAddr::V4(*ip)));
        let servers = Servers::start(at)?;
        let at = self.testers.iter().zip(self.testers6.into_iter().flatten());
        let at = at.map(|((device, _), ip)| (device, IpAddr::V6(ip)));
        let sixth = self.testers6.is_some().then(|| Servers::start(at)).transpose()?;
        let slowest = self.links.iter().map(|l| {
            let conditions = l.wire.conditions();
            2 * (conditions.delay + conditions.jitter)
        });
        let patience = PATIENCE + slowest.max().unwrap_or_default();
        let behind = topology.host.iter().filter(|h| !topology.is_public(h) && h.ipv4);
        let nats = behind.map(async |host| {
            let asked = (!self.blocks_udp(topology, host)).then(|| expected(topology, &host.upstream));
            let own = self.host(&host.name)?.ip.into();
            let got = self.nat_of(&host.name, own, &servers, patience).await?;
            let nats: Vec<&str> = topology.chain(&host.upstream).iter().map(|r| r.kind()).collect();
            Ok::<_, NetworkError>(Row {
                what: format!("nat {} of {}", nats.join(" behind "), host.name),
                asked: shown(asked),
                got: shown(got),
                ok: got == asked,
            })
        });
        let mut rows = try_join_all(nats).await?;
        if let Some(servers) = &sixth {
            let with = topology.host.iter().filter(|h| topology.has_ipv6(h));
            let sixths = with.map(async |host| {
                let asked = (!self.blocks_udp(topology, host)).then(|| expected6(topology, &host.upstream));
                let own = self.host(&host.name)?.ip6;
                let own = own.ok_or_else(|| NetworkError::Place {
                    place: host.name.clone(),
                    detail: "it has no IPv6 address".to_owned(),
                })?;
                let got = self.nat_of(&host.name, own.into(), servers, patience).await?;
                let what = format!("ipv6 of {}", host.name);
                Ok::<_, NetworkError>(Row { what, asked: shown(asked), got: shown(got), ok: got == asked })
            });
            rows.extend(try_join_all(sixths).await?);
        }
        Ok(rows)
    }

    async fn test_links(&self) -> Result<Vec<Row>, NetworkError> {
        let links = self.links.iter().map(async |link| {
            let asked = link.wire.conditions();
            let got = link.measure().await?;
            Ok::<_, NetworkError>(Row {
                what: format!("wire {}", link.between.join("-")),
                asked: asked.to_string(),
                got: got.to_string(),
                ok: agrees(&asked, &got),
            })
        });
        try_join_all(links).await
    }

    async fn test_uplinks(&self) -> Result<Vec<Row>, NetworkError> {
        let uplinks = self.wired().into_iter().map(async |wired| {
            let (name, asked, got) = match wired {
                Wired::Host(name, part) => (name, part.conditions(), part.measure().await?),
                Wired::Router(name, part) => (name, part.conditions(), part.measure().await?),
            };
            Ok::<_, NetworkError>(Row {
                what: format!("uplink of {name}"),
                asked: asked.to_string(),
                got: got.to_string(),
                ok: agrees(&asked, &got),
            })
        });
        try_join_all(uplinks).await
    }

    /// Whether UDP gets lost between a host and the self-test's servers.
    fn blocks_udp(&self, topology: &Topology, host: &Host) -> bool {
        let uplink = |name: &str| self.uplink(name).is_ok_and(|now| now.no_udp);
        let (own, servers) = (topology.region_of(&host.upstream), tested_from(topology));
        let joins = |link: &LinkPart| {
            let between = |region: &str| link.between.iter().any(|b| b == region);
            between(own) && servers.is_some_and(between)
        };
        uplink(&host.name)
            || topology.chain(&host.upstream).iter().any(|router| uplink(&router.name))
            || servers != Some(own) && self.links.iter().any(|l| joins(l) && l.wire.conditions().no_udp)
    }

    /// What the NAT in front of a host shows; `None` if the servers cannot be
    /// reached at all.
    async fn nat_of(
        &self,
        host: &str,
        own_ip: IpAddr,
        servers: &Servers,
        patience: Duration,
    ) -> Result<Option<Shown>, NetworkError> {
        let part = self.host(host)?;
        let place = Place::Host(part.device.clone());
        let [[a1, a2], [b1, _]] = servers.addrs;
        let mapped = async |socket: &UdpSocket, to: SocketAddr| {
            servers.ask(socket, to, Answer::SamePort, patience).await
        };
        // One socket, three destinations.
        let socket = place.socket(own_ip)?;
        let own = socket
            .local_addr()
            .map_err(|e| NetworkError::Place { place: host.to_owned(), detail: e.to_string() })?;
        let (Some(first), Some(second), Some(third)) =
            (mapped(&socket, a1).await, mapped(&socket, a2).await, mapped(&socket, b1).await)
        else {
            return Ok(None);
        };
        let mapping = if first == own {
            None
        } else if first == second && second == third {
            Some(Behaviour::EndpointIndependent)
        } else if first == second {
            Some(Behaviour::AddressDependent)
        } else {
            Some(Behaviour::AddressAndPortDependent)
        };
        // A fresh one that has spoken to nobody but the first server's first
        // port; while `socket` has spoken to all of them.
        let fresh = place.socket(own_ip)?;
        if mapped(&fresh, a1).await.is_none() {
            return Ok(None);
        }
        let filtering = if servers.ask(&fresh, a1, Answer::OtherServer, patience).await.is_some() {
            Behaviour::EndpointIndependent
        } else if servers.ask(&fresh, a1, Answer::OtherPort, patience).await.is_some() {
            Behaviour::AddressDependent
        } else {
            Behaviour::AddressAndPortDependent
        };
        let hairpin = mapping.is_some() && reaches(&place.socket(own_ip)?, &socket, first, patience).await;
        let all = [first, second, third].map(|at| at.port());
        let dependent = mapping.is_some_and(|m| m != Behaviour::EndpointIndependent);
        let sequential = dependent && all.windows(2).all(|pair| is_step(pair[0], pair[1]));
        Ok(Some(Shown { mapping, filtering, hairpin, sequential }))
    }
}

impl LinkPart {
    /// What it does, seen from one of its ends.
    pub(super) async fn measure(&self) -> Result<Measured, NetworkError> {
        let echo = Echo::start(&self.ends[1], self.far)?;
        until_it_agrees(&self.ends[0], Ipv4Addr::UNSPECIFIED, &echo, &self.wire.conditions()).await
    }
}

impl HostPart {
    /// What its uplink does, seen from what it is plugged into.
    pub(super) async fn measure(&self) -> Result<Measured, NetworkError> {
        let (router, inside) = &self.gateway;
        let echo = Echo::start(&Place::Host(self.device.clone()), self.ip)?;
        until_it_agrees(&Place::Router(router.clone()), *inside, &echo, &self.conditions()).await
    }
}

impl RouterPart {
    /// What its uplink does, seen from the router: what comes from outside unasked
    /// it takes for strays.
    pub(super) async fn measure(&self) -> Result<Measured, NetworkError> {
        let (upstream, address) = &self.gateway;
        let echo = Echo::start(&Place::Router(upstream.clone()), *address)?;
        until_it_agrees(&self.place, self.outside.1, &echo, &self.conditions()).await
    }
}

/// A machine that is busy with something else for a moment is no wire's fault:
/// what is wrong is measured again.
async fn until_it_agrees(
    place: &Place,
    own: Ipv4Addr,
    echo: &Echo,
    asked: &Conditions,
) -> Result<Measured, NetworkError> {
    // What only some packets meet takes many of them to be seen.
    let pings = if asked.loss > 0.0 || asked.reorder > 0.0 { MANY_PINGS } else { PINGS };
    let mut got = measure(place, own, echo.addr, asked, pings).await?;
    for _ in 1..MEASURE_TRIES {
        if agrees(asked, &got) {
            break;
        }
        got = measure(place, own, echo.addr, asked, pings).await?;
    }
    Ok(got)
}

/// Whether a datagram to an address arrives at a socket behind it.
async fn reaches(from: &UdpSocket, to: &UdpSocket, by: SocketAddr, patience: Duration) -> bool {
    let mark = rand::random::<[u8; 16]>();
    let arrives = async {
        let mut buffer = [0; 64];
        while let Ok((len, _)) = to.recv_from(&mut buffer).await {
            if buffer[..len] == mark {
                return true;
            }
        }
        false
    };
    let _ = from.send_to(&mark, by).await;
    tokio::time::timeout(patience, arrives).await.unwrap_or(false)
}

/// Whether a port comes soon after another one; hosts behind the same router are
/// tested at the same time.
fn is_step(from: u16, to: u16) -> bool {
    (1..=STEP_MAX).contains(&to.wrapping_sub(from))
}

fn shown(got: Option<Shown>) -> String {
    got.map_or_else(|| "no answer from the servers".to_owned(), |got| got.to_string())
}

/// From where a server is to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    SamePort,
    OtherPort,
    OtherServer,
}

/// Two servers with two ports each, which answer from where they are asked to.
struct Servers {
    addrs: [[SocketAddr; 2]; 2],
    _tasks: Vec<AbortOnDropHandle<()>>,
}

impl Servers {
    fn start<'a>(at: impl Iterator<Item = (&'a patchbay::Device, IpAddr)>) -> Result<Self, NetworkError> {
        let open = |(device, ip): (&patchbay::Device, IpAddr)| {
            let place = Place::Host(device.clone());
            let socket = place.socket(ip)?;
            let addr = socket
                .local_addr()
                .map_err(|e| NetworkError::Place { place: place.name().to_owned(), detail: e.to_string() })?;
            Ok::<_, NetworkError>((std::sync::Arc::new(socket), addr))
        };
        let opened = at.map(|at| Ok([open(at)?, open(at)?])).collect::<Result<Vec<_>, NetworkError>>()?;
        let Ok(sockets) = <[_; 2]>::try_from(opened) else {
            return Err(NetworkError::Place {
                place: "self-test".to_owned(),
                detail: "it has two servers".to_owned(),
            });
        };
        let addrs = [[sockets[0][0].1, sockets[0][1].1], [sockets[1][0].1, sockets[1][1].1]];
        let mut tasks = Vec::new();
        for (s, p) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let all = [[0, 1], [2, 3]].map(|ports| ports.map(|n: usize| sockets[n / 2][n % 2].0.clone()));
            tasks.push(AbortOnDropHandle::new(tokio::spawn(async move {
                let mut buffer = [0; 128];
                while let Ok((len, from)) = all[s][p].recv_from(&mut buffer).await {
                    let (server, port) = match buffer.first() {
                        Some(1) => (s, 1 - p),
                        Some(2) => (1 - s, p),
                        _ => (s, p),
                    };
                    let answer = [&buffer[..len], from.to_string().as_bytes()].concat();
                    let _ = all[server][port].send_to(&answer, from).await;
                }
            })));
        }
        Ok(Self { addrs, _tasks: tasks })
    }

    /// Asks, and gives the address that the server saw. The question is repeated
    /// within the time: a full queue is no filter. What does not come under the
    /// address of a server is no answer: a router may change only ours.
    async fn ask(
        &self,
        socket: &UdpSocket,
        server: SocketAddr,
        answer: Answer,
        patience: Duration,
    ) -> Option<SocketAddr> {
        let mut question = vec![answer as u8];
        question.extend(rand::random::<[u8; 15]>());
        let mut buffer = [0; 128];
        for _ in 0..TRIES {
            socket.send_to(&question, server).await.ok()?;
            let answered = async {
                loop {
                    let (len, from) = socket.recv_from(&mut buffer).await.ok()?;
                    // Late answers to other questions pass by.
                    if self.addrs.iter().flatten().any(|addr| *addr == from)
                        && let Some(text) = buffer[..len].strip_prefix(question.as_slice())
                    {
                        return std::str::from_utf8(text).ok()?.parse().ok();
                    }
                }
            };
            if let Ok(found) = tokio::time::timeout(patience / TRIES, answered).await {
                return found;
            }
        }
        None
    }
}

/// Whether a wire does what it was set to.
pub(super) fn agrees(asked: &Conditions, got: &Measured) -> bool {
    if asked.cut {
        return got.received == 0;
    }
    if asked.no_udp {
        return got.received == 0 && got.tcp == Some(true);
    }
    let trip = 2 * asked.delay;
    // Jitter only adds, half of it on average, and the median wanders in it.
    let off = RTT_OFF.max(trip.mul_f64(RTT_OFF_SHARE)) + 2 * asked.jitter;
    let told = if asked.jitter.is_zero() { got.quickest } else { got.rtt };
    let trips = told.is_some_and(|rtt| rtt.abs_diff(trip) <= off) || asked.loss >= 1.0;
    // There and back, and four standard deviations of luck.
    let both_ways = |share: f64| 1.0 - (1.0 - share).powi(2);
    let luck = |share: f64, of: u32| 4.0 * (share * (1.0 - share) / f64::from(of.max(1))).sqrt();
    let lost = both_ways(asked.loss);
    let losses = (got.lost() - lost).abs() <= luck(lost, got.sent) + f64::EPSILON;
    // What is held back on both ways may pass as if it was on none.
    let late = both_ways(asked.reorder);
    let overtaken = f64::from(got.overtaken) / f64::from(got.received.max(1));
    let least = late - asked.reorder.powi(2) - luck(late, got.received);
    let orders = (least..=late + luck(late, got.received) + f64::EPSILON).contains(&overtaken);
    let sizes = got.mtu == asked.mtu;
    let rates = match (asked.rate, got.rate) {
        (Some(asked), Some(got)) => (got / asked as f64 - 1.0).abs() <= RATE_OFF_SHARE,
        (Some(_), None) => false,
        (None, _) => true,
    };
    trips && losses && rates && orders && sizes
}
