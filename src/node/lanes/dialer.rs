//! Dials addresses on relays, from sockets of its own: what we send to a relay's
//! host must not open our NAT's mapping for it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Mutex;
use std::time::Duration;

use ant_quic::{Connecting, ConnectionError, Endpoint, HighLevelConnection, VarInt};
use tokio::time::{Instant, timeout};

use super::error::LaneError;
use super::{Lane, tags};
use crate::model::{CloseCode, PeerId};
use crate::node::locks::lock;
use crate::node::transport::{self, SERVER_NAME, Tls, identity};

/// One per node; a socket per family, bound when it is first needed.
pub struct LaneDialer {
    bind: IpAddr,
    tls: Tls,
    v4: Mutex<Option<Endpoint>>,
    v6: Mutex<Option<Endpoint>>,
}

impl std::fmt::Debug for LaneDialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LaneDialer").field("bind", &self.bind).finish_non_exhaustive()
    }
}

impl LaneDialer {
    /// A dialer for a node that listens on `bind`.
    pub fn new(bind: IpAddr, tls: Tls) -> Self {
        Self { bind, tls, v4: Mutex::new(None), v6: Mutex::new(None) }
    }

    /// Dials an address on a relay: from here on it is a socket's.
    ///
    /// # Errors
    /// [`LaneError`]; nothing was sent then.
    pub fn dial(&self, addr: SocketAddr) -> Result<Connecting, LaneError> {
        self.endpoint(addr)?
            .connect_with(self.tls.lane.client.clone(), addr, SERVER_NAME)
            .map_err(|e| LaneError::Local(e.to_string()))
    }

    /// What comes of dialling a peer there. Whoever else answers is closed. The
    /// other end keeps quiet about the connection until it is used.
    ///
    /// # Errors
    /// [`LaneError`]; no connection is left then.
    pub async fn answered(
        &self,
        connecting: Connecting,
        peer: PeerId,
        via: Option<PeerId>,
        within: Duration,
    ) -> Result<WarmLane, LaneError> {
        let connection = match timeout(within, connecting).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(ConnectionError::TimedOut)) | Err(_) => return Err(LaneError::NoAnswer),
            Ok(Err(e)) => return Err(LaneError::Handshake(transport::close_reason(&e))),
        };
        let lane = WarmLane { peer, via, connection };
        match identity(&lane.connection) {
            Some(got) if got == peer => Ok(lane),
            // Dropped, it is closed.
            Some(got) => Err(LaneError::WrongIdentity { got }),
            None => Err(LaneError::Local("no identity".into())),
        }
    }

    /// Dials a peer's address on a relay and uses what stands then.
    ///
    /// # Errors
    /// [`LaneError`]; no connection is left then.
    pub async fn lane(
        &self,
        peer: PeerId,
        via: Option<PeerId>,
        addr: SocketAddr,
        within: Duration,
    ) -> Result<Lane, LaneError> {
        let until = Instant::now() + within;
        let warm = self.answered(self.dial(addr)?, peer, via, within).await?;
        warm.take_into_use(until.duration_since(Instant::now())).await
    }

    /// Finds out whether a reservation of ours carries anything, by dialling
    /// ourselves through it.
    ///
    /// # Errors
    /// [`LaneError`]: the relay took the reservation, and drops what comes.
    pub async fn check(&self, reservation: SocketAddr, within: Duration) -> Result<(), LaneError> {
        let lane = self.lane(self.tls.me, None, reservation, within).await?;
        lane.connection.close(VarInt::from_u32(CloseCode::Replaced.code()), b"");
        Ok(())
    }

    fn endpoint(&self, to: SocketAddr) -> Result<Endpoint, LaneError> {
        let slot = if to.is_ipv4() { &self.v4 } else { &self.v6 };
        let mut slot = lock(slot);
        if let Some(endpoint) = &*slot {
            return Ok(endpoint.clone());
        }
        let endpoint = Endpoint::client(self.from(to)?).map_err(|e| LaneError::Local(e.to_string()))?;
        Ok(slot.insert(endpoint).clone())
    }

    fn from(&self, to: SocketAddr) -> Result<SocketAddr, LaneError> {
        let ip = match (self.bind, to) {
            (ip, SocketAddr::V4(_)) if ip.is_unspecified() => Ipv4Addr::UNSPECIFIED.into(),
            (ip, SocketAddr::V6(_)) if ip.is_unspecified() => Ipv6Addr::UNSPECIFIED.into(),
            (ip, to) if ip.is_ipv4() == to.is_ipv4() => ip,
            _ => return Err(LaneError::Local("we do not listen in that family".into())),
        };
        Ok(SocketAddr::new(ip, 0))
    }

    /// Closes everything that was dialled and gives up the sockets.
    pub fn close(&self, code: CloseCode) {
        for slot in [&self.v4, &self.v6] {
            if let Some(endpoint) = lock(slot).take() {
                endpoint.close(VarInt::from_u32(code.code()), b"");
            }
        }
    }
}

/// A connection through a relay that stands and is not used yet. Dropped, it
/// is closed.
pub struct WarmLane {
    /// Who is at the other end, by the key of its TLS session.
    pub peer: PeerId,
    via: Option<PeerId>,
    connection: HighLevelConnection,
}

impl WarmLane {
    /// Sends the nonce: when it is back, the lane is good at both ends.
    ///
    /// # Errors
    /// [`LaneError`]; no connection is left then.
    pub async fn take_into_use(self, within: Duration) -> Result<Lane, LaneError> {
        tags::send_nonce(&self.connection, within).await?;
        Ok(Lane { peer: self.peer, via: self.via, connection: self.connection.clone(), relay_end: None })
    }
}

impl Drop for LaneDialer {
    fn drop(&mut self) {
        self.close(CloseCode::Leave);
    }
}
