//! The sockets of the NAT probe: two ports at which others are answered, fresh
//! ones for each measurement, and the dials that test a claim to be public.
//! What they carry is decided by [`crate::core::nat`].

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::clock::Clock;
use super::connections::{Report, Reports};
use super::holder;
use crate::core::bucket::Bucket;
use crate::core::engine::{Input, ProbeEnd};
use crate::core::limits::{PROBE_DATAGRAMS_PER_SECOND, PROBE_PORTS_MAX};
use crate::core::nat::datagram::{self, Bytes, LEN};
use crate::core::nat::{Family, SocketId, reach};
use crate::model::{DropReason, NoProbePorts, PeerId, ProbePorts, clean, plain_addr};

/// Room for more than a datagram of ours, so that a longer one shows.
const BUFFER: usize = 2048;
/// What was dropped is told this long after it began, in one number.
const TELL_AFTER: Duration = Duration::from_millis(200);
/// A socket that only fails is tried again after this long.
const PAUSE: Duration = Duration::from_millis(50);
/// How often a dial that tests a claim is tried, and the wait after each.
const REACH_TRIES: [Duration; 3] =
    [Duration::from_millis(400), Duration::from_millis(600), Duration::from_millis(1000)];

/// A port that the operator named for the probes of others cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {addr} for the NAT probes of others (probe_ports): {detail}")]
pub struct ProbePortError {
    /// Where.
    addr: SocketAddr,
    /// Why, and who has it where the system tells.
    detail: String,
}

/// The sockets at which we answer others: two, or none for a reason.
pub(super) struct Ports {
    pub(super) sockets: Vec<UdpSocket>,
    pub(super) none: Option<NoProbePorts>,
}

impl Ports {
    /// Their ports.
    pub(super) fn numbers(&self) -> Vec<u16> {
        self.sockets.iter().filter_map(|socket| socket.local_addr().ok()).map(|at| at.port()).collect()
    }
}

/// Binds the ports at which we answer, at the address where the node listens.
/// Ports that are left to us are, beside a port that the operator `chose` for the
/// node, the next two, so that a firewall can be opened for all three; else, and
/// where those are taken, any; where there are none at all the node does without.
///
/// # Errors
/// Only ports that were named have to be had.
pub(super) fn bind_ports(
    wanted: ProbePorts,
    local: SocketAddr,
    chosen: bool,
) -> Result<Ports, ProbePortError> {
    let at = |port: u16| SocketAddr::new(local.ip(), port);
    match wanted {
        ProbePorts::Off => Ok(Ports { sockets: Vec::new(), none: Some(NoProbePorts::Off) }),
        ProbePorts::Exactly(ports) => {
            let bind = |port: u16| {
                let addr = at(port);
                open(addr).map_err(|e| ProbePortError { addr, detail: holder::why_not(addr, &e) })
            };
            Ok(Ports { sockets: ports.into_iter().map(bind).collect::<Result<_, _>>()?, none: None })
        }
        ProbePorts::Auto => {
            let any = || open(at(0));
            let sockets = (1..=PROBE_PORTS_MAX as u16).map(|n| match local.port().checked_add(n) {
                Some(port) if chosen => open(at(port)).or_else(|_| any()),
                _ => any(),
            });
            Ok(match sockets.collect::<io::Result<Vec<_>>>() {
                Ok(sockets) => Ports { sockets, none: None },
                Err(error) => {
                    let detail = holder::why_not(at(0), &error);
                    Ports { sockets: Vec::new(), none: Some(NoProbePorts::Unbound { detail }) }
                }
            })
        }
    }
}

/// Addresses for documentation: nothing is ever sent there.
const WORLD: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))];

/// From which addresses this host would send to the world, one per family that
/// leads somewhere, where we listen on a wildcard.
pub(super) fn own_addresses(local: SocketAddr) -> Vec<IpAddr> {
    if !local.ip().is_unspecified() {
        return Vec::new();
    }
    let ours = WORLD.into_iter().filter(|to| local.is_ipv6() || to.is_ipv4());
    ours.filter_map(|to| source((to, 9).into()).ok()).collect()
}

/// Whether a route leads to the world, from where we listen.
pub(super) fn leads_out(local: SocketAddr) -> bool {
    if local.ip().is_loopback() {
        return true;
    }
    if local.ip().is_unspecified() {
        return !own_addresses(local).is_empty();
    }
    WORLD.into_iter().any(|to| to.is_ipv4() == local.is_ipv4() && source((to, 9).into()).is_ok())
}

/// Those of some addresses to which a route leads.
pub(super) fn led_to(addrs: Vec<SocketAddr>) -> BTreeSet<IpAddr> {
    addrs.into_iter().filter(|addr| source(*addr).is_ok()).map(|addr| addr.ip()).collect()
}

/// Leaves the addresses of a list that are not our own.
pub(super) fn without_own(list: Vec<SocketAddr>, local: SocketAddr) -> Vec<SocketAddr> {
    list.into_iter().map(plain_addr).filter(|addr| !is_own(*addr, local)).collect()
}

/// Whether an address is where we listen: the very one, or on a wildcard any of
/// this host's.
fn is_own(addr: SocketAddr, local: SocketAddr) -> bool {
    let heard = match local.ip() {
        IpAddr::V4(ip) => ip.is_unspecified() && addr.is_ipv4(),
        // It hears IPv4 too.
        IpAddr::V6(ip) => ip.is_unspecified(),
    };
    // Who sends to itself does so from where it sends to.
    let ours = |ip: IpAddr| ip.is_loopback() || source((ip, 9).into()).is_ok_and(|from| from == ip);
    addr == local || heard && addr.port() == local.port() && ours(addr.ip())
}

/// A connected UDP socket sends nothing by itself, but knows by which of our
/// addresses it would.
fn source(towards: SocketAddr) -> io::Result<IpAddr> {
    let any: IpAddr = match towards {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let guess = UdpSocket::bind(SocketAddr::new(any, 0))?;
    guess.connect(towards)?;
    Ok(guess.local_addr()?.ip())
}

fn open(addr: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(addr)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A socket that is being read.
struct Open {
    socket: UdpSocket,
    _reader: AbortOnDropHandle<()>,
}

/// All of them.
pub(super) struct Probes {
    bind: IpAddr,
    clock: Clock,
    reports: Reports,
    open: BTreeMap<ProbeEnd, Open>,
    reaching: BTreeMap<PeerId, AbortOnDropHandle<()>>,
}

impl Probes {
    /// Begins to read the ports.
    pub(super) fn new(local: SocketAddr, ports: Vec<UdpSocket>, clock: Clock, reports: Reports) -> Self {
        let mut probes =
            Self { bind: local.ip(), clock, reports, open: BTreeMap::new(), reaching: BTreeMap::new() };
        for (at, socket) in ports.into_iter().enumerate() {
            if let Err(error) = probes.read(ProbeEnd::Port(at), socket) {
                tracing::warn!(%error, "a probe port cannot be read");
            }
        }
        probes
    }

    /// Opens a socket for a measurement. It talks to `towards` and others of its
    /// family.
    pub(super) fn open(&mut self, socket: SocketId, family: Family, towards: SocketAddr) -> Input {
        let result = self.try_open(socket, family, towards).map_err(|e| clean(&e.to_string()));
        Input::ProbeSocket { socket, result }
    }

    fn try_open(&mut self, id: SocketId, family: Family, towards: SocketAddr) -> io::Result<SocketAddr> {
        let any: IpAddr = match family {
            Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
            Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
        };
        let bind = if self.bind.is_unspecified() { any } else { self.bind };
        let socket = open((bind, 0).into())?;
        let mut local = plain_addr(socket.local_addr()?);
        if local.ip().is_unspecified() {
            local.set_ip(source(towards)?);
        }
        self.read(ProbeEnd::Socket(id), socket)?;
        Ok(local)
    }

    fn read(&mut self, at: ProbeEnd, socket: UdpSocket) -> io::Result<()> {
        let reading = tokio::net::UdpSocket::from_std(socket.try_clone()?)?;
        let reader = tokio::spawn(receive(reading, at, self.clock.clone(), self.reports.clone()));
        self.open.insert(at, Open { socket, _reader: AbortOnDropHandle::new(reader) });
        Ok(())
    }

    pub(super) fn close(&mut self, socket: SocketId) {
        self.open.remove(&ProbeEnd::Socket(socket));
    }

    /// Sends a datagram; what does not go is as lost as on the way.
    pub(super) fn send(&self, from: ProbeEnd, to: SocketAddr, bytes: &Bytes) {
        let Some(open) = self.open.get(&from) else { return };
        let sixth = open.socket.local_addr().is_ok_and(|l| l.is_ipv6());
        let to = match to.ip() {
            IpAddr::V4(ip) if sixth => (ip.to_ipv6_mapped(), to.port()).into(),
            _ => to,
        };
        if let Err(error) = open.socket.send_to(bytes, to) {
            tracing::debug!(%to, %error, "a probe datagram did not go");
        }
    }

    /// Dials an address from a fresh socket.
    pub(super) fn reach(&mut self, peer: PeerId, addr: SocketAddr, name: reach::Name) {
        let (reports, bind) = (self.reports.clone(), self.bind);
        let task = tokio::spawn(async move {
            let reached = is_reached(bind, addr, &name).await.unwrap_or(false);
            let _ = reports.send(Report::Input(Input::Reached { peer, addr, reached })).await;
        });
        self.reaching.retain(|_, task| !task.is_finished());
        self.reaching.insert(peer, AbortOnDropHandle::new(task));
    }
}

async fn is_reached(bind: IpAddr, addr: SocketAddr, name: &reach::Name) -> io::Result<bool> {
    let bind = match addr {
        _ if !bind.is_unspecified() => bind,
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = tokio::net::UdpSocket::bind(SocketAddr::new(bind, 0)).await?;
    let packet = reach::packet(name);
    let mut buffer = [0; BUFFER];
    for wait in REACH_TRIES {
        socket.send_to(&packet, addr).await?;
        let until = Instant::now() + wait;
        while let Ok(Ok((len, from))) =
            timeout(until.saturating_duration_since(Instant::now()), socket.recv_from(&mut buffer)).await
        {
            if plain_addr(from) == addr && reach::is_answer(&buffer[..len], name) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// What a reader drops, told in numbers.
struct Dropped {
    counts: BTreeMap<DropReason, u64>,
    tell: Option<Instant>,
}

impl Dropped {
    fn count(&mut self, what: DropReason) {
        *self.counts.entry(what).or_default() += 1;
        self.tell.get_or_insert_with(|| Instant::now() + TELL_AFTER);
    }

    /// Tells, if it is time and there is room.
    fn tell(&mut self, reports: &Reports) {
        if self.tell.is_none_or(|at| at > Instant::now()) {
            return;
        }
        self.tell = None;
        for (what, count) in std::mem::take(&mut self.counts) {
            let report = Report::Input(Input::ProbeDropped { what, count });
            if let Err(TrySendError::Full(_)) = reports.try_send(report) {
                *self.counts.entry(what).or_default() += count;
                self.tell = Some(Instant::now() + TELL_AFTER);
            }
        }
    }
}

/// Reads a socket. Only what looks like a probe is handed on, and no more than
/// so much a second; the queue to the node is never waited for.
async fn receive(socket: tokio::net::UdpSocket, at: ProbeEnd, clock: Clock, reports: Reports) {
    let rate = PROBE_DATAGRAMS_PER_SECOND;
    let mut bucket = Bucket::new(rate, rate, clock.now().mono);
    let mut dropped = Dropped { counts: BTreeMap::new(), tell: None };
    let mut buffer = [0; BUFFER];
    loop {
        let received = match dropped.tell {
            Some(until) => tokio::select! {
                received = socket.recv_from(&mut buffer) => Some(received),
                () = tokio::time::sleep_until(until) => None,
            },
            None => Some(socket.recv_from(&mut buffer).await),
        };
        match received {
            Some(Ok((len, from))) => {
                let bytes = &buffer[..len];
                let ours: Option<Box<Bytes>> =
                    bytes.try_into().ok().filter(|_| datagram::is_ours(bytes)).map(|b: Bytes| Box::new(b));
                match ours {
                    None if len == LEN => dropped.count(DropReason::ProbeOfNoKind),
                    None => dropped.count(DropReason::ProbeOfOtherLength),
                    Some(_) if !bucket.take(clock.now().mono) => dropped.count(DropReason::ProbeFlood),
                    Some(bytes) => {
                        let from = plain_addr(from);
                        let report = Report::Input(Input::ProbeDatagram { at, from, bytes });
                        match reports.try_send(report) {
                            Ok(()) => {}
                            Err(TrySendError::Full(_)) => dropped.count(DropReason::ProbeFlood),
                            Err(TrySendError::Closed(_)) => return,
                        }
                    }
                }
            }
            Some(Err(_)) => tokio::time::sleep(PAUSE).await,
            None => {}
        }
        dropped.tell(&reports);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback() -> SocketAddr {
        (Ipv4Addr::LOCALHOST, 0).into()
    }

    #[tokio::test]
    async fn the_ports_beside_a_chosen_one_are_the_next_two() {
        // Some port with two free ones after it; a busy host may need more tries.
        let found = (0..50).any(|_| {
            let node = UdpSocket::bind(loopback()).unwrap().local_addr().unwrap();
            let ports = bind_ports(ProbePorts::Auto, node, true).unwrap();
            ports.numbers() == [node.port().wrapping_add(1), node.port().wrapping_add(2)]
        });
        assert!(found);
        let taken = UdpSocket::bind(loopback()).unwrap().local_addr().unwrap();
        assert_eq!(bind_ports(ProbePorts::Auto, taken, false).unwrap().sockets.len(), 2);
    }

    #[tokio::test]
    async fn an_address_that_is_not_ours_is_a_reason_and_no_panic() {
        let elsewhere = "198.18.255.254:9000".parse().unwrap();
        let ports = bind_ports(ProbePorts::Auto, elsewhere, true).unwrap();
        let detail = "this host has no such address".to_owned();
        assert_eq!(ports.none, Some(NoProbePorts::Unbound { detail }));
        assert!(ports.sockets.is_empty());
    }

    #[test]
    fn ports_that_are_taken_are_not_missed_where_we_may_choose() {
        let node = UdpSocket::bind(loopback()).unwrap().local_addr().unwrap();
        let next = SocketAddr::new(node.ip(), node.port().wrapping_add(1));
        // Taken by us, or by somebody else already.
        let _taken = UdpSocket::bind(next);
        let ports = bind_ports(ProbePorts::Auto, node, true).unwrap().numbers();
        assert!(ports.len() == 2 && !ports.contains(&next.port()), "{ports:?}");
    }

    #[test]
    fn with_off_no_port_is_bound_and_the_reason_is_the_setting() {
        let ports = bind_ports(ProbePorts::Off, loopback(), false).unwrap();
        assert_eq!((ports.sockets.len(), ports.none), (0, Some(NoProbePorts::Off)));
    }

    #[test]
    fn ports_that_are_named_are_these_or_an_error_with_address_and_port() {
        let free = || UdpSocket::bind(loopback()).unwrap().local_addr().unwrap().port();
        // Somebody else may take one of them in between.
        let found = (0..50).any(|_| {
            let ports = [free(), free()];
            let bound = bind_ports(ProbePorts::Exactly(ports), loopback(), true);
            bound.is_ok_and(|bound| bound.numbers() == ports)
        });
        assert!(found);
        let taken = UdpSocket::bind(loopback()).unwrap();
        let addr = taken.local_addr().unwrap();
        let error = bind_ports(ProbePorts::Exactly([addr.port(), 1]), loopback(), true).err().unwrap();
        let said = format!(
            "cannot listen on {addr} for the NAT probes of others (probe_ports): address already in use"
        );
        assert!(error.to_string().starts_with(&said), "{error}");
    }

    #[tokio::test]
    async fn a_socket_on_the_wildcard_knows_its_address_towards_others() {
        let (reports, _inbox) = tokio::sync::mpsc::channel(8);
        let any = (Ipv4Addr::UNSPECIFIED, 9000).into();
        let mut probes = Probes::new(any, Vec::new(), Clock::start(), reports);
        let towards = (Ipv4Addr::LOCALHOST, 9).into();
        let Input::ProbeSocket { result, .. } = probes.open(SocketId(2), Family::V4, towards) else {
            panic!("another input");
        };
        let local = result.unwrap();
        assert_eq!(local.ip(), Ipv4Addr::LOCALHOST);
        assert_ne!(local.port(), 9000, "its own port, not the node's");
    }

    #[test]
    fn our_own_address_is_left_out_of_a_list_however_we_listen() {
        let at = |s: &str| s.parse::<SocketAddr>().unwrap();
        let left = |local: &str, list: &[&str]| {
            let list = list.iter().map(|s| at(s)).collect();
            without_own(list, at(local)).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let other = "198.18.0.1:9000";
        assert_eq!(left("127.0.0.1:9000", &["127.0.0.1:9000", other]), [other]);
        assert_eq!(left("127.0.0.1:9000", &["127.0.0.1:9001"]), ["127.0.0.1:9001"], "a neighbour's");
        assert_eq!(left("0.0.0.0:9000", &["127.0.0.1:9000", "[::1]:9000", other]), ["[::1]:9000", other]);
        assert_eq!(
            left("[::]:9000", &["127.0.0.1:9000", "[::1]:9000", "[::ffff:127.0.0.1]:9000", other]),
            [other]
        );
        assert_eq!(left("[::]:9000", &["127.0.0.1:9001"]), ["127.0.0.1:9001"]);
        // An address of an interface, where this host has one.
        if let Ok(ip) = source(at("192.0.2.1:9")) {
            let own = SocketAddr::new(ip, 9000).to_string();
            assert_eq!(left("0.0.0.0:9000", &[&own, other]), [other]);
        }
    }

    #[tokio::test]
    async fn a_flood_is_cut_where_it_comes_in() {
        let (reports, mut inbox) = tokio::sync::mpsc::channel(4096);
        let ports = bind_ports(ProbePorts::Auto, loopback(), false).unwrap().sockets;
        let target = ports[0].local_addr().unwrap();
        let _probes = Probes::new(loopback(), ports, Clock::start(), reports);
        let sender = UdpSocket::bind(loopback()).unwrap();
        let bytes = datagram::Datagram::DialBack { nonce: [1; 16] }.encode();
        for n in 0..2000 {
            sender.send_to(&bytes, target).unwrap();
            if n % 50 == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        let (mut through, mut cut) = (0, 0);
        while let Ok(Some(report)) = timeout(Duration::from_millis(500), inbox.recv()).await {
            match report {
                Report::Input(Input::ProbeDatagram { .. }) => through += 1,
                Report::Input(Input::ProbeDropped { what: DropReason::ProbeFlood, count }) => cut += count,
                _ => panic!("another report"),
            }
        }
        // The burst, and what a second or less of the test refills.
        assert!((256..800).contains(&through), "{through} got through");
        assert!(cut > 1000, "{cut} were cut");
    }
}
