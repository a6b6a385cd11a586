//! ant-quic, as far as we use it: bind, dial, accept, close.
//!
//! One explicit stage per call: the library's own ladder takes half a minute
//! where a punch takes ten milliseconds, and its labels cannot be trusted.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use ant_quic::{
    BootstrapCacheConfig, ConnectionError, EndpointError, HighLevelConnection, HighLevelRecvStream,
    HighLevelSendStream, Node, NodeConfig, Side, StrategyConfig, VarInt,
};

use crate::model::{CloseCode, PeerId, Reason, clean, plain_addr};

use super::keys::{self, KeyBytes};

/// Longer than any uptime: whatever the library would do by itself at this
/// interval, we do ourselves.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
/// The library's own limit stands above ours, so that it never evicts.
const LIBRARY_CACHE_MAX: usize = 100_000;
/// Time for closing connections politely. With the last words and the last save
/// before it, a stop stays well under its two seconds on a busy host, too.
pub(super) const SHUTDOWN_WAIT: Duration = Duration::from_millis(1000);

/// Why a node cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address cannot be had.
    #[error("cannot listen on {addr}: {detail}")]
    Bind {
        /// Which.
        addr: SocketAddr,
        /// What the system said.
        detail: String,
    },
    /// A wildcard bind got one family only.
    #[error("asked to listen on {asked}, but {got} is all there is; the other family's port is taken")]
    OneFamily {
        /// What was asked for.
        asked: SocketAddr,
        /// What was bound.
        got: SocketAddr,
    },
    /// The key pair is not one.
    #[error(transparent)]
    Key(#[from] keys::KeyError),
}

/// Binds, with everything off that talks to strangers by itself.
pub(super) async fn bind(keys: &KeyBytes, addr: SocketAddr, cache_dir: &Path) -> Result<Node, BindError> {
    check_free(addr)?;
    let cache = BootstrapCacheConfig::builder()
        .cache_dir(cache_dir)
        .min_peers_to_save(1)
        .max_peers(LIBRARY_CACHE_MAX)
        .stale_threshold(NEVER)
        .save_interval(NEVER)
        .cleanup_interval(NEVER)
        .quality_update_interval(NEVER)
        .enable_file_locking(false)
        .build();
    let (public, secret) = keys::to_ant_quic(keys)?;
    let config = NodeConfig::builder()
        .bind_addr(addr)
        .keypair(public, secret)
        .port_mapping_enabled(false)
        .mdns_enabled(false)
        .bootstrap_cache(cache)
        .build();
    let node = Node::with_config(config)
        .await
        .map_err(|e| BindError::Bind { addr, detail: clean(&e.to_string()) })?;
    let got = node.local_addr().map_or(addr, plain_addr);
    if addr.ip().is_unspecified() && addr.is_ipv6() && !got.is_ipv6() {
        return Err(BindError::OneFamily { asked: addr, got });
    }
    Ok(node)
}

/// The library falls back to another port or to one family without a word, so
/// we look first. A port of 0 is always free.
fn check_free(addr: SocketAddr) -> Result<(), BindError> {
    if addr.port() == 0 {
        return Ok(());
    }
    let both = addr.ip().is_unspecified() && addr.is_ipv6();
    let v4 = SocketAddr::from(([0, 0, 0, 0], addr.port()));
    // A dual-stack wildcard socket takes both families at once and would not
    // say which one is taken, so IPv4 is tried by itself and let go first.
    for one in [both.then_some(v4), Some(addr)].into_iter().flatten() {
        std::net::UdpSocket::bind(one)
            .map_err(|e| BindError::Bind { addr: one, detail: clean(&e.to_string()) })?;
    }
    Ok(())
}

/// Who answered, and over which connection unless it is gone again.
pub(super) type Dialled = Result<(PeerId, Option<HighLevelConnection>), Reason>;

/// Dials one address, nothing else. Both halves of a punch are such dials: the
/// library's own coordination tells nobody of the connection that its target
/// makes, and takes one request in two seconds.
pub(super) async fn dial(node: &Node, addr: SocketAddr, peer: Option<PeerId>, within: Duration) -> Dialled {
    let stage = StrategyConfig::default()
        .with_ipv4_timeout(within)
        .with_ipv6_timeout(within)
        .with_relay_enabled(false);
    let (v4, v6) = if addr.is_ipv4() { (Some(addr), None) } else { (None, Some(addr)) };
    let peer = peer.map(|p| ant_quic::PeerId(p.0));
    let call = node.inner_endpoint().connect_with_fallback(v4, v6, Some(stage), peer);
    // The stage keeps its own time; this only guards against a call that does
    // not come back.
    match tokio::time::timeout(within + Duration::from_secs(5), call).await {
        Ok(Ok((conn, _))) => {
            let peer = PeerId(conn.peer_id.0);
            Ok((peer, connection(node, &peer)))
        }
        Ok(Err(e)) => Err(dial_reason(&e)),
        Err(_) => Err(dial_reason(&EndpointError::Timeout)),
    }
}

fn dial_reason(error: &EndpointError) -> Reason {
    let detail = clean(&error.to_string());
    match error {
        EndpointError::Timeout => Reason::NoAnswer { addresses: 1 },
        EndpointError::ShuttingDown => Reason::ShuttingDown,
        EndpointError::NoAddress => Reason::NoAddress,
        _ if detail.to_lowercase().contains("time") => Reason::NoAnswer { addresses: 1 },
        _ => Reason::Handshake { detail },
    }
}

/// The current connection to a peer.
pub(super) fn connection(node: &Node, peer: &PeerId) -> Option<HighLevelConnection> {
    node.inner_endpoint().get_quic_connection(&ant_quic::PeerId(peer.0)).ok().flatten()
}

/// Opens a stream to a peer on that connection of the library's, if it is the
/// one in use: the library opens on the one it holds for current, so before
/// and after, that must be the one we mean.
pub(super) async fn open_control(
    node: &Node,
    peer: PeerId,
    on: &HighLevelConnection,
) -> Option<(HighLevelSendStream, HighLevelRecvStream)> {
    let current = || connection(node, &peer).is_some_and(|c| c.stable_id() == on.stable_id());
    if !current() {
        return None;
    }
    node.open_bi(&ant_quic::PeerId(peer.0)).await.ok().filter(|_| current())
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

/// Closes everything and waits, but not for long: the library drains for up to
/// seven seconds.
pub(super) async fn shut_down(node: Node) {
    // Calling the library off in the middle would leave its socket open; so it
    // goes on by itself, as long as the runtime lives.
    let closing = tokio::spawn(async move {
        if let Err(error) = node.try_shutdown().await {
            tracing::debug!(%error, "ant-quic kept something open");
        }
    });
    let _ = tokio::time::timeout(SHUTDOWN_WAIT, closing).await;
}
