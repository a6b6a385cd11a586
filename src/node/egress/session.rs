//! A stranger's session on our relay.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ant_quic::{HighLevelConnection, HighLevelRecvStream, HighLevelSendStream};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use super::host::{Host, NONCE_LEN};
use crate::model::{Reason, plain_addr};
use crate::node::lanes::ReserveError;
use crate::node::lanes::framing::{self, Deframer};

/// How long a relay on this host may take to answer, or a datagram to come in
/// through it.
const WITHIN: Duration = Duration::from_secs(1);
/// One that does not come in is sent once more.
const TRIES: usize = 2;

/// An address on the relay, and the stream behind it.
pub(super) struct Session {
    /// The relay's socket, as this host reaches it.
    at: SocketAddr,
    send: HighLevelSendStream,
    recv: HighLevelRecvStream,
    deframer: Deframer,
}

impl Session {
    pub(super) async fn open(connection: &HighLevelConnection) -> Result<Self, Reason> {
        let asking = async {
            let (mut send, mut recv) = connection.open_bi().await.map_err(|_| ReserveError::Lost)?;
            let advertised = framing::ask(&mut send, &mut recv).await?;
            Ok::<_, ReserveError>((send, recv, advertised))
        };
        let answer = timeout(WITHIN, asking).await.map_err(|_| Reason::timed_out(WITHIN))?;
        let (send, recv, advertised) = answer?;
        let at = SocketAddr::new(plain_addr(connection.remote_address()).ip(), advertised.port());
        Ok(Self { at, send, recv, deframer: Deframer::default() })
    }

    /// Hands the relay a datagram; whether it took it.
    pub(super) async fn send(&mut self, to: SocketAddr, payload: &[u8]) -> bool {
        let mut frames = Vec::new();
        framing::push_datagram(&mut frames, to, payload);
        // A dual-stack socket sends to IPv4 in the mapped form only, any other
        // in the plain one only; which it is, a stranger need not know.
        if let IpAddr::V4(ip) = to.ip() {
            let mapped = SocketAddr::new(IpAddr::V6(ip.to_ipv6_mapped()), to.port());
            framing::push_datagram(&mut frames, mapped, payload);
        }
        matches!(timeout(WITHIN, self.send.write_all(&frames)).await, Ok(Ok(())))
    }

    /// Whether the session carries what comes to it from outside.
    pub(super) async fn carries_in(&mut self, host: &Host) -> bool {
        let nonce: [u8; NONCE_LEN] = rand::random();
        for _ in 0..TRIES {
            let sent = host.send(self.at, &nonce).await;
            if sent && timeout(WITHIN, self.hear(&nonce)).await == Ok(true) {
                return true;
            }
        }
        false
    }

    async fn hear(&mut self, nonce: &[u8]) -> bool {
        loop {
            match self.deframer.next() {
                Ok(Some((_, payload))) if payload == nonce => return true,
                Ok(Some(_)) => continue,
                Ok(None) => {}
                Err(_) => return false,
            }
            if !matches!(self.recv.read_buf(&mut self.deframer.buffer).await, Ok(n) if n > 0) {
                return false;
            }
        }
    }
}
