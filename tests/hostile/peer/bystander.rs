//! A host that has nothing to do with any of it.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;

/// Longer than anything here takes to send its first packet.
pub const A_WHILE: Duration = Duration::from_millis(500);

/// Its socket, and where it is.
pub async fn bystander(ip: [u8; 4]) -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind((Ipv4Addr::from(ip), 0)).await.unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

/// Whether a datagram comes within that time.
pub async fn is_hit(socket: &UdpSocket, within: Duration) -> bool {
    tokio::time::timeout(within, socket.recv_from(&mut [0; 2048])).await.is_ok()
}

/// The bytes that come, until none came for that long.
pub async fn got(socket: &UdpSocket, within: Duration) -> u64 {
    let (mut got, mut buffer) = (0, [0; 2048]);
    while let Ok(Ok((len, _))) = tokio::time::timeout(within, socket.recv_from(&mut buffer)).await {
        got += len as u64;
    }
    got
}
