//! Knocks at hosts that stay silent to our dials: one QUIC packet of a version
//! that does not exist, and one TCP connect, at the same port. Nothing is said
//! over either.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::core::nat::reach;
use crate::core::why::Knocked;

/// How long something may take to come back: whoever asks waits for a second.
const WITHIN: Duration = Duration::from_millis(800);

/// All at once.
pub(super) async fn all(addrs: Vec<SocketAddr>) -> Vec<(SocketAddr, Knocked, Knocked)> {
    let knocks = addrs.into_iter().map(async |addr| {
        let (udp, tcp) = tokio::join!(timeout(WITHIN, udp(addr)), timeout(WITHIN, tcp(addr)));
        let of = |result: Result<io::Result<()>, _>| result.map_or(Knocked::Silent, |r| verdict(&r));
        (addr, of(udp), of(tcp))
    });
    futures_util::future::join_all(knocks).await
}

/// A connected socket hears what the host's own system answers.
async fn udp(addr: SocketAddr) -> io::Result<()> {
    let any = match addr {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(addr).await?;
    socket.send(&reach::packet(&rand::random())).await?;
    socket.recv(&mut [0; 1]).await.map(drop)
}

async fn tcp(addr: SocketAddr) -> io::Result<()> {
    TcpStream::connect(addr).await.map(drop)
}

fn verdict(result: &io::Result<()>) -> Knocked {
    match result.as_ref().map_err(io::Error::kind) {
        Ok(()) => Knocked::Answered,
        Err(ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset) => Knocked::Refused,
        Err(ErrorKind::PermissionDenied) => Knocked::Forbidden,
        Err(ErrorKind::NetworkUnreachable | ErrorKind::AddrNotAvailable) => Knocked::NoRoute,
        Err(_) => Knocked::Silent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_where_nothing_listens_is_told_from_one_that_stays_silent() {
        let mute = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let silent = mute.local_addr().unwrap();
        let nobody = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
        let knocks = all(vec![silent, nobody]).await;
        assert_eq!(
            knocks,
            [(silent, Knocked::Silent, Knocked::Refused), (nobody, Knocked::Refused, Knocked::Refused)]
        );
    }
}
