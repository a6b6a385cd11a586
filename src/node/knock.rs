//! Knocks at hosts that stay silent to our dials: one QUIC packet of a version
//! that does not exist, one sounding, and one TCP connect, at the same port. Nothing is
//! said over any of them.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::core::nat::reach;
use crate::core::sounding;
use crate::model::{Heard, Knocked};

/// How long something may take to come back: whoever asks waits for a second.
const WITHIN: Duration = Duration::from_millis(800);

/// All at once.
pub(super) async fn all(addrs: Vec<SocketAddr>) -> Vec<(SocketAddr, Heard)> {
    let knocks = addrs.into_iter().map(async |addr| {
        let (udp, short, tcp) = tokio::join!(
            timeout(WITHIN, udp(addr)),
            timeout(WITHIN, short(addr)),
            timeout(WITHIN, tcp(addr))
        );
        let of = |result: Result<io::Result<()>, _>| result.map_or(Knocked::Silent, |r| verdict(&r));
        (addr, Heard { udp: of(udp), short: of(short), tcp: of(tcp) })
    });
    futures_util::future::join_all(knocks).await
}

/// A connected socket hears what the host's own system answers.
async fn udp(addr: SocketAddr) -> io::Result<()> {
    let socket = connected(addr).await?;
    socket.send(&reach::packet(&rand::random())).await?;
    socket.recv(&mut [0; 1]).await.map(drop)
}

/// The same with a short datagram, which only a node answers.
async fn short(addr: SocketAddr) -> io::Result<()> {
    let socket = connected(addr).await?;
    let token = rand::random();
    socket.send(&sounding::question(token)).await?;
    let mut answer = [0; sounding::LEN + 1];
    loop {
        let len = socket.recv(&mut answer).await?;
        if sounding::answers(&answer[..len], token) {
            return Ok(());
        }
    }
}

async fn connected(addr: SocketAddr) -> io::Result<UdpSocket> {
    let any = match addr {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(addr).await?;
    Ok(socket)
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
            [(Knocked::Silent, silent), (Knocked::Refused, nobody)]
                .map(|(heard, at)| (at, Heard { udp: heard, short: heard, tcp: Knocked::Refused }))
        );
    }
}
