//! ant-quic, as far as we use it: one endpoint on one socket for both families,
//! which accepts and dials. Both halves of a punch are plain dials from it.
//!
//! Nothing of the library's upper layers: it serves nothing by itself, keeps no
//! table of peers, and dials nobody.

mod accept;
mod bind;
mod socket;
mod tls;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ant_quic::high_level::default_runtime;
use ant_quic::{Connecting, ConnectionError, Endpoint, EndpointConfig, HighLevelConnection, Side, VarInt};
use tokio::time::timeout;

pub(super) use self::accept::accept;
pub use self::bind::BindError;
use self::socket::NodeSocket;
pub(super) use self::socket::is_stray;
pub use self::tls::Tls;
pub(super) use self::tls::{identity, widen};
use crate::core::limits::{DATAGRAMS_PER_LOOK, FRAMES_LOOKED_AT_EVERY, LINKS_MAX, OBSERVED_FRAMES_MAX};
use crate::model::{CloseCode, DropReason, PeerId, Reason, SendTrouble, clean, plain_addr};

/// The library wants a name; identities are keys here.
pub(super) const SERVER_NAME: &str = "peer";
/// Connections that the library lets in before the engine is asked: ours, and
/// as many again that come while others go.
const CONNECTIONS_MAX: usize = 2 * LINKS_MAX;
/// How long a dial is silent before its path is sounded, and again: the first question
/// of two that dial each other may only open a NAT. By then QUIC has repeated itself,
/// or whoever dials has.
const SOUNDED_AFTER: [Duration; 3] =
    [Duration::from_millis(300), Duration::from_millis(300), Duration::from_millis(600)];
/// How often its answer is looked for.
const SOUNDING_LOOK: Duration = Duration::from_millis(100);
/// Time for goodbyes to leave before the port is given up.
const GOODBYE: Duration = Duration::from_millis(100);

/// The node's endpoint and its socket.
#[derive(Debug, Clone)]
pub(super) struct Transport {
    endpoint: Endpoint,
    socket: NodeSocket,
    tls: Tls,
    turned: Arc<Turned>,
}

/// Handshakes from outside that did not just begin.
#[derive(Debug, Default)]
struct Turned {
    asked_again: AtomicU64,
    gave_way: AtomicU64,
    ignored: AtomicU64,
}

/// The largest datagram that a connection has found to pass from here, in bytes of UDP
/// payload.
pub(super) fn mtu(connection: &HighLevelConnection) -> u16 {
    connection.stats().path.current_mtu
}

/// Who answered, and over which connection.
pub(super) type Dialled = Result<(PeerId, HighLevelConnection), Reason>;

impl Transport {
    /// Binds, on the current runtime. `asked`: whether by somebody, else a host without
    /// IPv6 will do.
    pub(super) fn bind(tls: Tls, addr: SocketAddr, asked: bool) -> Result<Self, BindError> {
        let socket =
            NodeSocket::new(bind::bind(addr, asked)?).map_err(|error| BindError::of(addr, &error))?;
        let runtime = default_runtime().ok_or_else(|| BindError::of(addr, &ErrorKind::Unsupported.into()))?;
        let endpoint = Endpoint::new_with_abstract_socket(
            EndpointConfig::default(),
            Some(tls.link.server.clone()),
            Arc::new(socket.clone()),
            runtime,
        )
        .map_err(|error| BindError::of(addr, &error))?;
        endpoint.set_max_connections(CONNECTIONS_MAX);
        Ok(Self { endpoint, socket, tls, turned: Arc::default() })
    }

    /// Where it listens, plain.
    pub(super) fn local_addr(&self) -> SocketAddr {
        plain_addr(self.socket.bound())
    }

    /// Dials one address: from here on it is the socket's.
    pub(super) fn dial(&self, addr: SocketAddr) -> Result<Connecting, Reason> {
        self.endpoint
            .connect_with(self.tls.link.client.clone(), addr, SERVER_NAME)
            .map_err(|error| Reason::Other { detail: clean(&error.to_string()) })
    }

    /// Asks an address that stays silent to a dial by short datagrams; ends only once it
    /// is answered.
    pub(super) async fn sound(&self, addr: SocketAddr) {
        for wait in SOUNDED_AFTER {
            tokio::time::sleep(wait).await;
            if self.socket.take_heard(addr) {
                return;
            }
            self.socket.sound(addr);
        }
        while !self.socket.take_heard(addr) {
            tokio::time::sleep(SOUNDING_LOOK).await;
        }
    }

    /// Sends a datagram that is no QUIC from the node's own socket; what does not go
    /// is as lost as on the way.
    pub(super) fn send_beside(&self, to: SocketAddr, bytes: &[u8]) {
        self.socket.send_beside(to, bytes);
    }

    /// The host's own addresses are others now: each connection that we dialled
    /// shows itself to the other end at once, which follows it.
    pub(super) fn addresses_changed(&self) {
        if let Err(error) = self.endpoint.rebind_abstract(Arc::new(self.socket.clone())) {
            tracing::warn!(%error, "connections were not moved to the host's new address");
        }
    }

    /// How many datagrams the system refused to send since this was last asked.
    pub(super) fn take_refused(&self) -> BTreeMap<SendTrouble, u64> {
        let mut refused = BTreeMap::new();
        for (kind, count) in self.socket.take_refused() {
            *refused.entry(trouble(kind)).or_default() += count;
        }
        refused
    }

    /// Whether the system refused to send to anybody.
    pub(super) fn is_barred(&self) -> bool {
        self.socket.is_barred()
    }

    /// Whom the system will not send to, each tried once more: by a datagram of one
    /// byte, which means nothing to anybody.
    pub(super) fn barred(&self) -> BTreeMap<IpAddr, SendTrouble> {
        self.socket.try_barred().into_iter().map(|(ip, kind)| (ip, trouble(kind))).collect()
    }

    /// What was turned away at the door since this was last asked, by its name.
    pub(super) fn take_turned_away(&self) -> impl Iterator<Item = (DropReason, u64)> {
        let taken = |counter: &AtomicU64| counter.swap(0, Ordering::Relaxed);
        let all = [
            (DropReason::HandshakesToProve, taken(&self.turned.asked_again)),
            (DropReason::HandshakesGaveWay, taken(&self.turned.gave_way)),
            (DropReason::HandshakesIgnored, taken(&self.turned.ignored)),
            (DropReason::VersionQuestions, self.socket.take_strays()),
            (DropReason::Soundings, self.socket.take_soundings_stopped()),
        ];
        all.into_iter().filter(|(_, count)| *count > 0)
    }

    /// Closes every connection and gives up the socket.
    pub(super) async fn shut_down(self, code: CloseCode) {
        self.endpoint.close(VarInt::from_u32(code.code()), b"");
        let _ = timeout(GOODBYE, self.endpoint.wait_idle()).await;
        // Connections linger for a while after they were closed, in case the
        // other end did not hear of it. The port need not wait for them.
        self.socket.release();
    }
}

/// What an error of sending means.
fn trouble(kind: ErrorKind) -> SendTrouble {
    match kind {
        // The second is what a blackhole route says.
        ErrorKind::PermissionDenied | ErrorKind::InvalidInput => SendTrouble::Forbidden,
        ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable | ErrorKind::AddrNotAvailable => {
            SendTrouble::NoRoute
        }
        _ => SendTrouble::Other,
    }
}

/// Dials from a socket of its own, which lives as long as the connection.
pub(super) async fn dial_from(
    socket: std::net::UdpSocket,
    tls: Tls,
    to: SocketAddr,
    within: Duration,
) -> Dialled {
    let unusable = |detail: String| Reason::Other { detail: clean(&detail) };
    let socket = NodeSocket::new(socket).map_err(|error| unusable(error.to_string()))?;
    let runtime = default_runtime().ok_or_else(|| unusable("no runtime".to_owned()))?;
    let config = EndpointConfig::default();
    let endpoint = Endpoint::new_with_abstract_socket(config, None, Arc::new(socket), runtime)
        .map_err(|error| unusable(error.to_string()))?;
    let connecting = endpoint
        .connect_with(tls.link.client, to, SERVER_NAME)
        .map_err(|error| unusable(error.to_string()))?;
    answered(connecting, within).await
}

/// What comes of a dial.
pub(super) async fn answered(connecting: Connecting, within: Duration) -> Dialled {
    match timeout(within, connecting).await {
        Ok(Ok(connection)) => {
            let peer = identity(&connection)
                .ok_or_else(|| Reason::Handshake { detail: "it has no identity".into() })?;
            Ok((peer, connection))
        }
        Ok(Err(ConnectionError::TimedOut)) | Err(_) => Err(Reason::NoAnswer { addresses: 1 }),
        Ok(Err(error)) => Err(close_reason(&error)),
    }
}

/// Key material that names a connection on both ends.
pub(super) fn export<const N: usize>(conn: &HighLevelConnection, label: &str) -> Option<[u8; N]> {
    let mut out = [0; N];
    conn.export_keying_material(&mut out, label.as_bytes(), b"").ok()?;
    Some(out)
}

/// Whether we dialled the connection.
pub(super) fn is_outbound(conn: &HighLevelConnection) -> bool {
    conn.side() == Side::Client
}

/// Closes with an application code and no text. Of a connection that the other
/// end closed already, its reason is what stays: closing it once more would put
/// ours in its place before anybody has read it.
pub(super) fn close(conn: &HighLevelConnection, code: CloseCode) {
    if conn.close_reason().is_none() {
        conn.close(VarInt::from_u32(code.code()), b"");
    }
}

/// Why a connection ended.
pub(super) fn close_reason(error: &ConnectionError) -> Reason {
    match error {
        ConnectionError::ApplicationClosed(frame) => {
            Reason::Closed { close: CloseCode::from_code(frame.error_code.into_inner()) }
        }
        ConnectionError::LocallyClosed | ConnectionError::ConnectionClosed(_) => {
            Reason::Closed { close: None }
        }
        ConnectionError::TimedOut => Reason::ConnectionTimedOut,
        other => Reason::Other { detail: clean(&other.to_string()) },
    }
}

/// Waits until the other end sends frames of which the library keeps something each time,
/// for as long as the connection stands: what to count it as.
pub(super) async fn misused(connection: &HighLevelConnection) -> DropReason {
    let mut look = tokio::time::interval(FRAMES_LOOKED_AT_EVERY);
    let mut datagrams = 0;
    loop {
        look.tick().await;
        let came = connection.stats().frame_rx;
        if came.datagram.saturating_sub(datagrams) > DATAGRAMS_PER_LOOK {
            return DropReason::DatagramsWithoutEnd;
        }
        datagrams = came.datagram;
        if came.try_connect_to + came.try_connect_to_response > 0 {
            return DropReason::FramesThatAim;
        }
        if came.observed_address > OBSERVED_FRAMES_MAX {
            return DropReason::ObservedWithoutEnd;
        }
    }
}
