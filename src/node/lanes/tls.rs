//! TLS and transport settings of lanes: raw public keys both ways, and what a
//! stock peer insists on.

use std::any::Any;
use std::sync::Arc;

use ant_quic::crypto::raw_public_keys::{
    RawPublicKeyConfigBuilder, derive_peer_id_from_public_key, extract_public_key_from_spki,
};
use ant_quic::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use ant_quic::transport_parameters::NatTraversalConfig;
use ant_quic::{ClientConfig, HighLevelConnection, ServerConfig, TransportConfig, VarInt};
use rustls_pki_types::CertificateDer;

use crate::core::limits::{LANE_IDLE, LANE_STREAMS_MAX, UNACKED_MAX};
use crate::model::PeerId;
use crate::node::keys::{self, KeyBytes, KeyError};

/// As the library's own endpoints announce it; on lanes nobody coordinates.
const PUNCHES_AT_ONCE: u32 = 3;
/// Bytes that the other end may send ahead: twice what a link keeps
/// unacknowledged.
const RECEIVE_WINDOW: usize = 2 * UNACKED_MAX;

/// Both settings, made once from our key.
#[derive(Debug, Clone)]
pub struct LaneTls {
    /// Who we are.
    pub(super) me: PeerId,
    pub(super) server: ServerConfig,
    pub(super) client: ClientConfig,
}

impl LaneTls {
    /// # Errors
    /// [`KeyError`] if the key pair is none.
    pub fn new(keys: &KeyBytes) -> Result<Self, KeyError> {
        let unusable = |e: &dyn std::fmt::Display| KeyError::Unusable(e.to_string());
        let me = keys::peer_id(&keys.public)?;
        let (public, secret) = keys::to_ant_quic(keys)?;
        let transport = Arc::new(transport());

        // Any key is let in here; who it is, is compared right after.
        let tls = RawPublicKeyConfigBuilder::new()
            .with_server_key(public.clone(), secret.clone())
            .allow_any_key()
            .build_rfc7250_server_config()
            .map_err(|e| unusable(&e))?;
        let tls = QuicServerConfig::try_from(tls.inner().as_ref().clone()).map_err(|e| unusable(&e))?;
        let mut server = ServerConfig::with_crypto(Arc::new(tls));
        server.transport_config(transport.clone());

        let tls = RawPublicKeyConfigBuilder::new()
            .with_client_key(public, secret)
            .allow_any_key()
            .build_rfc7250_client_config()
            .map_err(|e| unusable(&e))?;
        let tls = QuicClientConfig::try_from(tls.inner().as_ref().clone()).map_err(|e| unusable(&e))?;
        let mut client = ClientConfig::new(Arc::new(tls));
        client.transport_config(transport);
        Ok(Self { me, server, client })
    }

    /// For whoever dials with other transport settings.
    pub(in crate::node) fn client_config(&self) -> ClientConfig {
        self.client.clone()
    }

    #[cfg(test)]
    pub(in crate::node) fn server_config(&self) -> ServerConfig {
        self.server.clone()
    }
}

fn transport() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        // Without these two a stock peer closes with a protocol violation.
        .enable_address_discovery(true)
        .nat_traversal_config(Some(NatTraversalConfig::ServerSupport {
            concurrency_limit: VarInt::from_u32(PUNCHES_AT_ONCE),
        }))
        // A lane lives by the heartbeats of the link that it carries. Without
        // a keep-alive of its own, one that carries nothing ends by itself.
        .keep_alive_interval(None)
        .max_idle_timeout(LANE_IDLE.try_into().ok())
        .max_concurrent_bidi_streams(VarInt::from_u32(LANE_STREAMS_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .receive_window(VarInt::from_u32(RECEIVE_WINDOW as u32));
    transport
}

/// Who is at the other end, by the key of its TLS session.
pub(in crate::node) fn identity(connection: &HighLevelConnection) -> Option<PeerId> {
    let identity: Box<dyn Any> = connection.peer_identity()?;
    let keys = identity.downcast_ref::<Vec<CertificateDer<'static>>>()?;
    let key = extract_public_key_from_spki(keys.first()?).ok()?;
    Some(PeerId(derive_peer_id_from_public_key(&key).0))
}
