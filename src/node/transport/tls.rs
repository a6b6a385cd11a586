//! TLS and transport settings: raw public keys both ways (RFC 7250), and what a
//! peer may open and send ahead.
//!
//! The library's NAT frames are off: a peer that sends one loses its connection,
//! so nobody aims us through the library. Address discovery stays on; without it
//! stock nodes do not connect.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use ant_quic::crypto::raw_public_keys::{
    RawPublicKeyConfigBuilder, derive_peer_id_from_public_key, extract_public_key_from_spki,
};
use ant_quic::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use ant_quic::{ClientConfig, HighLevelConnection, ServerConfig, TransportConfig, VarInt};
use rustls_pki_types::CertificateDer;

use crate::core::limits::{
    CONNECTION_IDLE, CONNECTION_STREAMS_MAX, CONNECTION_WINDOW, DATAGRAM_BUFFER, HANDSHAKE_AHEAD_MAX,
    HANDSHAKE_BUFFER_EACH, HANDSHAKE_BUFFER_MAX, HANDSHAKES_WAITING_MAX, LANE_IDLE, STRANGER_STREAMS_MAX,
    STRANGER_WINDOW,
};
use crate::model::PeerId;
use crate::node::keys::{self, KeyBytes, KeyError};

/// A connection that carries no heartbeats of ours, as to a stock node, is kept
/// open by this.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// The settings of one kind of connection, for both ends.
#[derive(Debug, Clone)]
pub(in crate::node) struct Ends {
    pub(in crate::node) server: ServerConfig,
    pub(in crate::node) client: ClientConfig,
}

/// All settings, made once from our key.
#[derive(Debug, Clone)]
pub struct Tls {
    /// Who we are.
    pub(in crate::node) me: PeerId,
    /// For connections over the node's own socket.
    pub(in crate::node) link: Ends,
    /// For connections through a relay.
    pub(in crate::node) lane: Ends,
}

impl Tls {
    /// # Errors
    /// [`KeyError`] if the key pair is none.
    pub fn new(keys: &KeyBytes) -> Result<Self, KeyError> {
        let unusable = |e: &dyn std::fmt::Display| KeyError::Unusable(e.to_string());
        let me = keys::peer_id(&keys.public)?;
        let (public, secret) = keys::to_ant_quic(keys)?;

        // Any key is let in here; whose it is, is compared right after.
        let tls = RawPublicKeyConfigBuilder::new()
            .with_server_key(public.clone(), secret.clone())
            .allow_any_key()
            .build_rfc7250_server_config()
            .map_err(|e| unusable(&e))?;
        let mut tls = tls.inner().as_ref().clone();
        // No session is ever resumed: all peers have the same name here, so a ticket
        // would be shown to whoever is dialled next. Each is some 5 KB kept.
        tls.send_tls13_tickets = 0;
        let tls = QuicServerConfig::try_from(tls).map_err(|e| unusable(&e))?;
        let mut server = ServerConfig::with_crypto(Arc::new(tls));
        server
            .max_incoming(HANDSHAKES_WAITING_MAX)
            .incoming_buffer_size(HANDSHAKE_BUFFER_EACH)
            .incoming_buffer_size_total(HANDSHAKE_BUFFER_MAX);

        let tls = RawPublicKeyConfigBuilder::new()
            .with_client_key(public, secret)
            .allow_any_key()
            .build_rfc7250_client_config()
            .map_err(|e| unusable(&e))?;
        let tls = QuicClientConfig::try_from(tls.inner().as_ref().clone()).map_err(|e| unusable(&e))?;
        let client = ClientConfig::new(Arc::new(tls));

        let with = |transport: TransportConfig| {
            let transport = Arc::new(transport);
            let (mut server, mut client) = (server.clone(), client.clone());
            server.transport_config(transport.clone());
            client.transport_config(transport);
            Ends { server, client }
        };
        let mut link = transport();
        link.keep_alive_interval(Some(KEEP_ALIVE)).max_idle_timeout(CONNECTION_IDLE.try_into().ok());
        let mut lane = transport();
        // A lane lives by the heartbeats of the link that it carries. Without
        // a keep-alive of its own, one that carries nothing ends by itself.
        lane.keep_alive_interval(None).max_idle_timeout(LANE_IDLE.try_into().ok());
        Ok(Self { me, link: with(link), lane: with(lane) })
    }
}

impl Tls {
    /// For somebody who accepts connections as a node does.
    pub fn server_config(&self) -> ServerConfig {
        self.link.server.clone()
    }

    /// For somebody who dials as a node does.
    pub fn client_config(&self) -> ClientConfig {
        self.link.client.clone()
    }

    /// Who is at the other end of a connection, by the key of its TLS session.
    pub fn identity(connection: &HighLevelConnection) -> Option<PeerId> {
        identity(connection)
    }
}

/// Whoever comes may open and send ahead no more than a Hello takes; see [`widen`].
fn transport() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .enable_address_discovery(true)
        .nat_traversal_config(None)
        .max_concurrent_bidi_streams(VarInt::from_u32(STRANGER_STREAMS_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        // Those of path tests; each connection has a reader for them.
        .datagram_receive_buffer_size(Some(DATAGRAM_BUFFER))
        .datagram_send_buffer_size(DATAGRAM_BUFFER)
        .crypto_buffer_size(HANDSHAKE_AHEAD_MAX)
        .stream_receive_window(VarInt::from_u32(CONNECTION_WINDOW))
        .receive_window(VarInt::from_u32(STRANGER_WINDOW))
        .send_window(CONNECTION_WINDOW.into());
    transport
}

/// The other end may open and send ahead what a link takes.
pub(in crate::node) fn widen(connection: &HighLevelConnection) {
    connection.set_max_concurrent_bi_streams(VarInt::from_u32(CONNECTION_STREAMS_MAX));
    connection.set_receive_window(VarInt::from_u32(CONNECTION_WINDOW));
}

/// Who is at the other end, by the key of its TLS session.
pub(in crate::node) fn identity(connection: &HighLevelConnection) -> Option<PeerId> {
    let identity: Box<dyn Any> = connection.peer_identity()?;
    let keys = identity.downcast_ref::<Vec<CertificateDer<'static>>>()?;
    let key = extract_public_key_from_spki(keys.first()?).ok()?;
    Some(PeerId(derive_peer_id_from_public_key(&key).0))
}

#[cfg(test)]
mod tests {
    use ant_quic::high_level::default_runtime;
    use ant_quic::{Endpoint, EndpointConfig, HighLevelSendStream};

    use super::*;

    fn endpoint(tls: &Tls) -> Endpoint {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let server = Some(tls.server_config());
        Endpoint::new(EndpointConfig::default(), server, socket, default_runtime().unwrap()).unwrap()
    }

    /// Both ends of a connection, and their endpoints.
    async fn pair() -> ([HighLevelConnection; 2], [Endpoint; 2]) {
        let [ours, theirs] = [(); 2].map(|()| Tls::new(&keys::generate().unwrap()).unwrap());
        let ends = [endpoint(&ours), endpoint(&theirs)];
        let at = ends[0].local_addr().unwrap();
        let dialling = ends[1].connect_with(theirs.client_config(), at, "peer").unwrap();
        let accepting = async { ends[0].accept().await.unwrap().accept().unwrap().await.unwrap() };
        let (came, dialled) = tokio::join!(accepting, dialling);
        ([came, dialled.unwrap()], ends)
    }

    /// Says as much as the other end lets it, until it takes nothing more.
    async fn say_all(from: &HighLevelConnection, send: &mut HighLevelSendStream) -> u64 {
        let before = from.stats().udp_tx.bytes;
        let (chunk, no_more) = (vec![7; 16 * 1024], Duration::from_millis(300));
        while let Ok(Ok(_)) = tokio::time::timeout(no_more, send.write(&chunk)).await {}
        from.stats().udp_tx.bytes - before
    }

    #[tokio::test]
    async fn until_its_link_is_up_a_peer_sends_ahead_no_more_than_a_hello_and_then_what_a_link_takes() {
        let ([ours, theirs], _ends) = pair().await;
        let (mut send, _recv) = theirs.open_bi().await.unwrap();
        let stranger = say_all(&theirs, &mut send).await;
        assert!((4_000..32_000).contains(&stranger), "{stranger} bytes");
        let [one_way, third] = [theirs.open_uni().comes_soon().await, {
            let _second = theirs.open_bi().await.unwrap();
            theirs.open_bi().comes_soon().await
        }];
        assert!(!one_way && !third, "and opens no more than two streams");

        widen(&ours);
        let member = say_all(&theirs, &mut send).await;
        assert!((400_000..1_000_000).contains(&member), "{member} bytes");
        assert!(theirs.open_bi().comes_soon().await);
        assert!(!theirs.open_uni().comes_soon().await);
    }

    trait Soon: Future + Sized {
        /// Whether it is there before long.
        async fn comes_soon(self) -> bool {
            tokio::time::timeout(Duration::from_millis(200), self).await.is_ok()
        }
    }

    impl<F: Future> Soon for F {}
}
