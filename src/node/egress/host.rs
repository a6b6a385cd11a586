//! Addresses of this host at which nothing of a stranger should arrive, and
//! sockets of ours that wait there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::session::Session;

/// How long a datagram may take from this host to itself.
const WITHIN: Duration = Duration::from_secs(1);
/// One that does not arrive is sent once more.
const TRIES: usize = 2;
/// Addresses in private networks that are tried.
const PRIVATE_MAX: usize = 4;
/// Names the datagrams of one test.
pub(super) const NONCE_LEN: usize = 32;

/// How a datagram gets to an address.
pub(super) enum Way<'a> {
    /// Sent by this process, from a socket such as the relay's.
    Host,
    /// Handed to our relay by a stranger.
    Relay(&'a mut Session),
}

/// A socket of ours on an address of this host.
struct Target {
    addr: SocketAddr,
    socket: UdpSocket,
}

impl Target {
    async fn bind(ip: IpAddr) -> Option<Self> {
        let socket = UdpSocket::bind((ip, 0)).await.ok()?;
        Some(Self { addr: socket.local_addr().ok()?, socket })
    }

    /// Waits for a datagram with that nonce.
    async fn hear(&self, nonce: &[u8]) {
        let mut buf = [0; NONCE_LEN + 1];
        loop {
            match self.socket.recv_from(&mut buf).await {
                Ok((len, _)) if buf[..len] == *nonce => return,
                Ok(_) => {}
                // Told of what was sent from here before; nothing is.
                Err(_) => tokio::task::yield_now().await,
            }
        }
    }
}

/// What the test needs of the host.
pub(super) struct Host {
    targets: Vec<Target>,
    /// Sockets as the relay makes them, one for each family.
    senders: Vec<UdpSocket>,
}

impl Host {
    /// Loopback and the private addresses of this host, in the families in
    /// which a node listens there.
    pub(super) async fn new(listens: IpAddr) -> Self {
        let v4 = listens.is_ipv4() || listens.is_unspecified();
        let mut ips: Vec<IpAddr> = Vec::new();
        ips.extend(v4.then_some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        ips.extend(listens.is_ipv6().then_some(IpAddr::V6(Ipv6Addr::LOCALHOST)));
        let private = interfaces().into_iter().filter(is_private);
        ips.extend(private.filter(|ip| if ip.is_ipv4() { v4 } else { listens.is_ipv6() }).take(PRIVATE_MAX));
        let targets = join_all(ips.into_iter().map(Target::bind)).await;

        // The relay of a node on loopback sends from loopback.
        let from: &[IpAddr] = match listens {
            ip if ip.is_loopback() => &[ip],
            IpAddr::V4(_) => &[IpAddr::V4(Ipv4Addr::UNSPECIFIED)],
            IpAddr::V6(_) => &[IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)],
        };
        let senders = join_all(from.iter().map(|ip| UdpSocket::bind((*ip, 0)))).await;
        Self {
            targets: targets.into_iter().flatten().collect(),
            senders: senders.into_iter().flatten().collect(),
        }
    }

    /// The addresses that are tried.
    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        self.targets.iter().map(|t| t.addr.ip()).collect()
    }

    /// Sends from this process; whether the host took it.
    pub(super) async fn send(&self, to: SocketAddr, bytes: &[u8]) -> bool {
        let family = |s: &&UdpSocket| s.local_addr().is_ok_and(|a| a.is_ipv4() == to.is_ipv4());
        match self.senders.iter().find(family) {
            Some(socket) => socket.send_to(bytes, to).await.is_ok(),
            None => false,
        }
    }

    /// At which of the addresses something arrives that way.
    pub(super) async fn reached(&self, way: &mut Way<'_>) -> Vec<IpAddr> {
        let nonce: [u8; NONCE_LEN] = rand::random();
        let mut arrived = vec![false; self.targets.len()];
        for _ in 0..TRIES {
            let mut waiting = Vec::new();
            for (n, target) in self.targets.iter().enumerate().filter(|(n, _)| !arrived[*n]) {
                let sent = match way {
                    Way::Host => self.send(target.addr, &nonce).await,
                    Way::Relay(session) => session.send(target.addr, &nonce).await,
                };
                // What was refused does not come.
                waiting.extend(sent.then_some((n, target)));
            }
            let heard = waiting.iter().map(|(_, target)| timeout(WITHIN, target.hear(&nonce)));
            let heard = join_all(heard).await;
            for ((n, _), heard) in waiting.iter().zip(heard) {
                arrived[*n] = heard.is_ok();
            }
        }
        let found = self.targets.iter().zip(arrived).filter(|(_, arrived)| *arrived);
        found.map(|(target, _)| target.addr.ip()).collect()
    }
}

/// Addresses that belong to somebody's own network.
fn is_private(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || (ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64),
        IpAddr::V6(ip) => ip.is_unique_local(),
    }
}

/// The addresses of this host's interfaces.
#[cfg(target_os = "linux")]
fn interfaces() -> Vec<IpAddr> {
    let Ok(all) = nix::ifaddrs::getifaddrs() else { return Vec::new() };
    let ip = |addr: nix::sys::socket::SockaddrStorage| -> Option<IpAddr> {
        let v4 = addr.as_sockaddr_in().map(|a| a.ip().into());
        v4.or_else(|| addr.as_sockaddr_in6().map(|a| a.ip().into()))
    };
    all.filter_map(|i| ip(i.address?)).collect()
}

/// Elsewhere only loopback is tried.
#[cfg(not(target_os = "linux"))]
fn interfaces() -> Vec<IpAddr> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_is_what_the_readme_confines() {
        let private = |ip: &str| is_private(&ip.parse().unwrap());
        for ip in ["10.0.0.1", "172.16.3.4", "192.168.1.1", "100.64.0.1", "100.127.255.1", "fd00::1"] {
            assert!(private(ip), "{ip}");
        }
        for ip in ["198.18.0.1", "100.128.0.1", "172.32.0.1", "2001:2::1"] {
            assert!(!private(ip), "{ip}");
        }
    }
}
