//! A reservation on a relay as its holder sees it, byte by byte.

use std::net::{Ipv4Addr, SocketAddr};

use ant_quic::masque::{ConnectUdpRequest, ConnectUdpResponse, UncompressedDatagram};
use ant_quic::{HighLevelConnection, HighLevelRecvStream, HighLevelSendStream, VarInt};
use bytes::{Bytes, BytesMut};
use tokio::time::timeout;

use super::PATIENCE;

fn framed(bytes: &[u8]) -> Vec<u8> {
    let mut framed = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    framed.extend_from_slice(bytes);
    framed
}

/// A stream on which a relay was asked for.
pub struct Asked {
    pub status: u16,
    pub public: Option<SocketAddr>,
    send: HighLevelSendStream,
    recv: HighLevelRecvStream,
}

impl Asked {
    /// Asks for it over that connection.
    pub async fn on(connection: &HighLevelConnection, request: ConnectUdpRequest) -> Self {
        let (mut send, mut recv) = connection.open_bi().await.unwrap();
        send.write_all(&framed(&request.encode())).await.unwrap();
        let Some(answer) = timeout(PATIENCE, frame(&mut recv)).await.expect("no answer") else {
            panic!("the stream ended without an answer, the connection: {:?}", connection.close_reason());
        };
        let answer = ConnectUdpResponse::decode(&mut Bytes::from(answer)).unwrap();
        let port = answer.proxy_public_address.map(|addr| addr.port());
        let public = port.map(|port| (Ipv4Addr::LOCALHOST, port).into());
        Self { status: answer.status, public, send, recv }
    }

    /// A reservation, granted.
    pub async fn reservation(connection: &HighLevelConnection) -> Self {
        let asked = Self::on(connection, ConnectUdpRequest::bind_any()).await;
        assert_eq!(asked.status, 200);
        asked
    }

    pub fn at(&self) -> SocketAddr {
        self.public.unwrap()
    }

    pub async fn send_to(&mut self, to: SocketAddr, payload: &[u8]) {
        let datagram = UncompressedDatagram::new(VarInt::from_u32(0), to, Bytes::copy_from_slice(payload));
        self.send.write_all(&framed(&datagram.encode())).await.unwrap();
    }

    /// Whatever bytes as a frame, to who may not read them.
    pub async fn raw(&mut self, bytes: &[u8]) {
        let _ = self.send.write_all(&framed(bytes)).await;
    }

    /// The next datagram that comes in.
    pub async fn heard(&mut self) -> (SocketAddr, Vec<u8>) {
        let bytes = timeout(PATIENCE, frame(&mut self.recv)).await.expect("nothing came").unwrap();
        let datagram = UncompressedDatagram::decode(&mut Bytes::from(bytes)).unwrap();
        (datagram.target, datagram.payload.to_vec())
    }

    /// Waits until the relay ended it.
    pub async fn ended(&mut self) {
        let end = async { while frame(&mut self.recv).await.is_some() {} };
        timeout(PATIENCE, end).await.expect("it stands");
    }
}

/// The next frame of a relay's stream, unless it ended.
async fn frame(recv: &mut HighLevelRecvStream) -> Option<Vec<u8>> {
    let mut len = [0; 4];
    recv.read_exact(&mut len).await.ok()?;
    let mut bytes = BytesMut::zeroed(u32::from_be_bytes(len) as usize);
    recv.read_exact(&mut bytes).await.ok()?;
    Some(bytes.to_vec())
}
