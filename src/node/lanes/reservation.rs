//! An address of ours on a relay, and who comes in through it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ant_quic::high_level::{Incoming, default_runtime};
use ant_quic::{Endpoint, EndpointConfig, HighLevelConnection, VarInt};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::error::{LaneError, ReserveError};
use super::socket::{LaneCounts, LaneEnd, LaneSocket};
use super::{Lane, RelayEnd, framing, tags};
use crate::core::limits::{
    HANDSHAKE_WITHIN, LANE_HANDSHAKES_AT_ONCE, LANE_IDLE, LANES_WAITING_MAX, LINKS_MAX, RECORD_PORT_MIN,
};
use crate::model::{CloseCode, PeerId, plain_addr};
use crate::node::transport::{self, Tls, identity};

/// How long the lanes of a reservation get to say goodbye, and then its stream
/// to be finished.
const GOODBYE: Duration = Duration::from_millis(100);

/// A reservation that stands. Dropped, it ends at once and without a word.
pub struct Reservation {
    relay: PeerId,
    public_addr: SocketAddr,
    endpoint: Endpoint,
    socket: LaneSocket,
    /// End with it.
    _tasks: [AbortOnDropHandle<()>; 4],
}

impl std::fmt::Debug for Reservation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reservation")
            .field("relay", &self.relay)
            .field("public_addr", &self.public_addr)
            .finish_non_exhaustive()
    }
}

impl Reservation {
    /// Reserves an address on `relay`, to which `connection` leads. Who comes
    /// in through it arrives in `lanes`.
    ///
    /// # Errors
    /// [`ReserveError`]; nothing is left on the relay then.
    pub async fn open(
        relay: PeerId,
        connection: &HighLevelConnection,
        tls: &Tls,
        lanes: mpsc::Sender<Lane>,
        within: Duration,
    ) -> Result<Self, ReserveError> {
        let asking = async {
            let (mut send, mut recv) = connection.open_bi().await.map_err(|_| ReserveError::Lost)?;
            let advertised = framing::ask(&mut send, &mut recv).await?;
            Ok((send, recv, advertised))
        };
        let (send, recv, advertised) =
            timeout(within, asking).await.map_err(|_| ReserveError::Stalled(within))??;
        if advertised.port() < RECORD_PORT_MIN {
            return Err(ReserveError::Garbled);
        }
        let public_addr = reachable(advertised, connection.remote_address());
        let socket = LaneSocket::new(public_addr, advertised.is_ipv6());
        let runtime = default_runtime().ok_or_else(|| ReserveError::Local("no runtime".into()))?;
        let endpoint = Endpoint::new_with_abstract_socket(
            EndpointConfig::default(),
            Some(tls.lane.server.clone()),
            Arc::new(socket.clone()),
            runtime,
        )
        .map_err(|e| ReserveError::Local(e.to_string()))?;
        endpoint.set_max_connections(LINKS_MAX);
        let tasks = [
            spawn(socket.clone().read_from(recv)),
            spawn(socket.clone().write_to(send)),
            spawn(accept(endpoint.clone(), relay, tls.me, socket.ended(), lanes)),
            spawn(close_at_end(endpoint.clone(), socket.ended())),
        ];
        Ok(Self { relay, public_addr, endpoint, socket, _tasks: tasks })
    }

    /// Whose.
    pub fn relay(&self) -> PeerId {
        self.relay
    }

    /// Where everybody reaches us through it.
    pub fn public_addr(&self) -> SocketAddr {
        self.public_addr
    }

    /// What went through it.
    pub fn counts(&self) -> LaneCounts {
        self.socket.counts()
    }

    /// Tells of its end: the relay's stream or connection broke, or we let go.
    pub fn ended(&self) -> watch::Receiver<Option<LaneEnd>> {
        self.socket.ended()
    }

    /// Closes its lanes with that code, then gives the address back. Takes at
    /// most 0.2 s.
    pub async fn release(self, code: CloseCode) {
        self.endpoint.close(VarInt::from_u32(code.code()), b"");
        let _ = timeout(GOODBYE, self.endpoint.wait_idle()).await;
        self.socket.finish();
        let mut ended = self.socket.ended();
        let _ = timeout(GOODBYE, ended.wait_for(Option::is_some)).await;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // The endpoint's driver lives until its last connection ends.
        self.endpoint.close(VarInt::from_u32(0), b"");
    }
}

fn spawn(task: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(task))
}

/// Where others reach an address that a relay gave us.
///
/// The relay's data socket is bound on all its addresses in the family in which
/// we are connected to it, so its own address as we see it is always right,
/// unless it lies in a private network; and a relay that names somebody else's
/// address would aim everybody's dials there. Bound to a wildcard it names the
/// unspecified address.
fn reachable(advertised: SocketAddr, relay: SocketAddr) -> SocketAddr {
    let (advertised, relay) = (plain_addr(advertised), plain_addr(relay));
    let is_inside = match relay.ip() {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    };
    let usable = !advertised.ip().is_unspecified() && advertised.is_ipv4() == relay.is_ipv4();
    if is_inside && usable { advertised } else { SocketAddr::new(relay.ip(), advertised.port()) }
}

/// Without its socket the endpoint's connections would wait for half a minute.
async fn close_at_end(endpoint: Endpoint, mut ended: RelayEnd) {
    if ended.wait_for(Option::is_some).await.is_ok() {
        endpoint.close(VarInt::from_u32(0), b"");
    }
}

async fn accept(endpoint: Endpoint, relay: PeerId, me: PeerId, end: RelayEnd, lanes: mpsc::Sender<Lane>) {
    let handshakes = Arc::new(Semaphore::new(LANE_HANDSHAKES_AT_ONCE));
    let mut shaking = JoinSet::new();
    loop {
        let incoming = tokio::select! {
            Some(_) = shaking.join_next(), if !shaking.is_empty() => continue,
            incoming = endpoint.accept() => incoming,
        };
        let Some(incoming) = incoming else { return };
        let slot = handshakes.clone().try_acquire_owned().ok().filter(|_| shaking.len() < LANES_WAITING_MAX);
        let Some(slot) = slot else {
            incoming.refuse();
            continue;
        };
        let (lanes, end) = (lanes.clone(), end.clone());
        shaking.spawn(async move {
            let Ok(Ok(connection)) = timeout(HANDSHAKE_WITHIN, shake(incoming)).await else { return };
            drop(slot);
            // It may be a long time until the other end uses what it warmed.
            let lane = tokio::select! {
                lane = wanted(connection.clone(), relay, end) => lane,
                _ = transport::misused(&connection) => return,
            };
            drop(connection);
            let Ok(lane) = lane else { return };
            if lane.peer == me {
                // Our own dialer, trying whether the relay carries anything.
                lane.connection.closed().await;
            } else {
                let _ = lanes.send(lane).await;
            }
        });
    }
}

async fn shake(incoming: Incoming) -> Result<HighLevelConnection, LaneError> {
    let lost = |e| LaneError::Handshake(transport::close_reason(&e));
    incoming.accept().map_err(lost)?.await.map_err(lost)
}

/// Waits until the other end uses the connection.
async fn wanted(connection: HighLevelConnection, relay: PeerId, end: RelayEnd) -> Result<Lane, LaneError> {
    let peer = identity(&connection).ok_or(LaneError::NoEcho)?;
    tags::echo_nonce(&connection, LANE_IDLE).await?;
    Ok(Lane { peer, via: Some(relay), connection, relay_end: Some(end) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_where_the_relay_really_is() {
        let mended = |advertised: &str, relay: &str| {
            reachable(advertised.parse().unwrap(), relay.parse().unwrap()).to_string()
        };
        assert_eq!(mended("[::]:4000", "[::ffff:198.18.0.1]:9"), "198.18.0.1:4000", "a wildcard bind");
        assert_eq!(mended("0.0.0.0:4000", "198.18.0.1:9"), "198.18.0.1:4000");
        assert_eq!(mended("[::]:4000", "[2001:2::1]:9"), "[2001:2::1]:4000");
        assert_eq!(mended("127.0.0.1:4000", "127.0.0.1:9"), "127.0.0.1:4000");
        assert_eq!(mended("198.18.9.9:4000", "198.18.0.1:9"), "198.18.0.1:4000", "somebody else's");
        assert_eq!(mended("198.18.0.1:4000", "10.0.0.1:9"), "198.18.0.1:4000", "beside it in its network");
        assert_eq!(mended("[2001:2::1]:4000", "10.0.0.1:9"), "10.0.0.1:4000", "of the other family");
    }
}
