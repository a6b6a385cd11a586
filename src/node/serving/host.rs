//! The addresses of this host: nothing goes there for others.

use std::net::IpAddr;

/// The addresses of this host's interfaces.
#[cfg(target_os = "linux")]
pub(super) fn addresses() -> Vec<IpAddr> {
    let Ok(all) = nix::ifaddrs::getifaddrs() else { return Vec::new() };
    let ip = |addr: nix::sys::socket::SockaddrStorage| -> Option<IpAddr> {
        let v4 = addr.as_sockaddr_in().map(|a| a.ip().into());
        v4.or_else(|| addr.as_sockaddr_in6().map(|a| a.ip().into()))
    };
    all.filter_map(|interface| ip(interface.address?)).collect()
}

/// Elsewhere the one from which each family would send to the world: a host with
/// one address has no other.
#[cfg(not(target_os = "linux"))]
pub(super) fn addresses() -> Vec<IpAddr> {
    crate::node::probe::own_addresses((std::net::Ipv6Addr::UNSPECIFIED, 0).into())
}
