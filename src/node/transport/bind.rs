//! Binding the node's one socket, and why it could not be had.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

use crate::node::{holder, keys};

/// Bytes that the system keeps for us each way: a burst of a whole fleet's
/// handshakes fits, and a node on an idle host pays nothing for it.
const SYSTEM_BUFFER: usize = 1024 * 1024;

/// Why a node cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address cannot be had.
    #[error("cannot listen on {addr}: {detail}")]
    Bind {
        /// Which.
        addr: SocketAddr,
        /// Why, and who has it where the system tells.
        detail: String,
    },
    /// The key pair is not one.
    #[error(transparent)]
    Key(#[from] keys::KeyError),
}

impl BindError {
    /// What the system said of an address.
    pub(in crate::node) fn of(addr: SocketAddr, error: &io::Error) -> Self {
        Self::Bind { addr, detail: holder::why_not(addr, error) }
    }
}

/// Binds a socket; on the wildcard of IPv6 it takes both families.
/// Where the system has no IPv6 and nobody `asked` for it, IPv4 will do.
pub(super) fn bind(addr: SocketAddr, asked: bool) -> Result<UdpSocket, BindError> {
    bind_by(addr, asked, open)
}

/// A system that opens sockets: an address, and whether for both families.
type Open = fn(SocketAddr, bool) -> io::Result<UdpSocket>;

fn bind_by(addr: SocketAddr, asked: bool, open: Open) -> Result<UdpSocket, BindError> {
    let both = addr.ip().is_unspecified() && addr.is_ipv6();
    let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, addr.port()));
    if both && addr.port() != 0 {
        // A socket for both families does not say which of them is taken.
        UdpSocket::bind(v4).map_err(|error| BindError::of(v4, &error))?;
    }
    match open(addr, both) {
        Err(error) if both && !asked && holder::is_family_unknown(&error) => {
            open(v4, false).map_err(|error| BindError::of(v4, &error))
        }
        other => other.map_err(|error| BindError::of(addr, &error)),
    }
}

fn open(addr: SocketAddr, both: bool) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    if both {
        socket.set_only_v6(false)?;
    }
    // Less than asked for is what the system allows.
    for set in [socket.set_recv_buffer_size(SYSTEM_BUFFER), socket.set_send_buffer_size(SYSTEM_BUFFER)] {
        if let Err(error) = set {
            tracing::debug!(%error, "the system keeps its own buffer size");
        }
    }
    socket.bind(&addr.into())?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_takes_both_families_and_names_the_one_that_is_taken() {
        let bind = |addr| bind(addr, true);
        let both = bind("[::]:0".parse().unwrap()).unwrap();
        let port = both.local_addr().unwrap().port();
        let error = bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot listen on 0.0.0.0:{port}: ")), "{error}");
        drop(both);
        let four = bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))).unwrap();
        let error = bind(format!("[::]:{port}").parse().unwrap()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot listen on 0.0.0.0:{port}: ")), "{error}");
        drop(four);
    }

    /// A kernel without IPv6.
    fn old(addr: SocketAddr, both: bool) -> io::Result<UdpSocket> {
        match addr {
            SocketAddr::V4(_) => open(addr, both),
            SocketAddr::V6(_) => Err(rustix::io::Errno::AFNOSUPPORT.into()),
        }
    }

    #[test]
    fn without_ipv6_the_default_is_ipv4_and_what_was_asked_for_is_refused_with_the_way_out() {
        let any = "[::]:0".parse().unwrap();
        assert!(bind_by(any, false, old).unwrap().local_addr().unwrap().is_ipv4());
        let error = bind_by(any, true, old).unwrap_err().to_string();
        assert_eq!(error, "cannot listen on [::]:0: this host has no IPv6; 0.0.0.0 takes IPv4 alone");
        let one = "[2001:2::1]:9000".parse().unwrap();
        let error = bind_by(one, false, old).unwrap_err().to_string();
        assert!(error.starts_with("cannot listen on [2001:2::1]:9000: this host has no IPv6"), "{error}");
    }

    #[test]
    fn an_address_of_another_host_is_named() {
        let error = bind("198.18.255.254:9000".parse().unwrap(), true).unwrap_err().to_string();
        assert_eq!(error, "cannot listen on 198.18.255.254:9000: this host has no such address");
    }
}
