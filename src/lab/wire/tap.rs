//! One end of a wire: a packet socket that takes what arrives on an interface
//! and sends what it is given.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind, recvfrom, send, setsockopt,
    socket, sockopt,
};

/// The kernel's word for frames that the interface itself sends
/// (`PACKET_OUTGOING`); a wire takes those that come.
const OUTGOING: u8 = 4;
/// Frames that wait for the wire's thread: a second of it being held up.
const BUFFER: usize = 4 << 20;

#[derive(Debug)]
pub(in crate::lab) struct Tap {
    socket: OwnedFd,
    interface: usize,
}

impl Tap {
    /// Opens the interface of that name in the network namespace of this
    /// thread. The socket stays there, whoever uses it.
    pub(in crate::lab) fn open(interface: &str) -> io::Result<Self> {
        let found = getifaddrs()?
            .filter(|i| i.interface_name == interface)
            .find_map(|i| i.address.and_then(|a| a.as_link_addr().copied()));
        let Some(addr) = found else {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("no interface {interface}")));
        };
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Packet, SockType::Raw, flags, SockProtocol::EthAll)?;
        // The kernel's own bound on it is low where nobody raised it; then
        // there is less room, no failure.
        let _ = setsockopt(&socket, sockopt::RcvBuf, &BUFFER);
        bind(socket.as_raw_fd(), &addr)?;
        let tap = Self { socket, interface: addr.ifindex() };
        // Until it was bound it heard every interface.
        let mut scratch = [0; 64];
        while tap.receive(&mut scratch)?.is_some() {}
        Ok(tap)
    }

    /// The next frame that came; `None` if none waits. A length of 0 is a frame
    /// that is not for the wire.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match recvfrom::<LinkAddr>(self.socket.as_raw_fd(), buffer) {
            Ok((_, Some(from))) if from.pkttype() == OUTGOING || from.ifindex() != self.interface => {
                Ok(Some(0))
            }
            Ok((len, _)) => Ok(Some(len)),
            // From an interface that went down or is gone nothing comes either.
            Err(Errno::EAGAIN | Errno::ENETDOWN | Errno::ENXIO | Errno::ENODEV) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn send(&self, frame: &[u8]) -> io::Result<()> {
        send(self.socket.as_raw_fd(), frame, MsgFlags::MSG_DONTWAIT)?;
        Ok(())
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
