//! A throw-away client: nobody's peer, with a key and a socket of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ant_quic::transport_parameters::NatTraversalConfig;
use ant_quic::{ClientConfig, Endpoint, HighLevelConnection, TransportConfig, VarInt};
use tokio::time::timeout;

use crate::model::{CloseCode, PeerId, Reason, clean};
use crate::node::keys::{self, KeyError};
use crate::node::lanes::{LaneTls, SERVER_NAME, identity};
use crate::node::transport;

/// How long a handshake on this host may take, on a busy one, too.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_millis(100);
/// Streams that the node may open to a stranger.
const STREAMS: u32 = 16;

/// Somebody the node knows nothing of.
pub(super) struct Stranger {
    pub(super) id: PeerId,
    client: ClientConfig,
}

/// A stranger that is connected.
pub(super) struct Visit {
    endpoint: Endpoint,
    pub(super) connection: HighLevelConnection,
}

impl Stranger {
    pub(super) fn new() -> Result<Self, KeyError> {
        let keys = keys::generate()?;
        let mut client = LaneTls::new(&keys)?.client_config();
        let mut transport = TransportConfig::default();
        transport
            // Without these two a stock node closes with a protocol violation.
            .enable_address_discovery(true)
            .nat_traversal_config(Some(NatTraversalConfig::ServerSupport {
                concurrency_limit: VarInt::from_u32(1),
            }))
            .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS))
            .max_concurrent_uni_streams(VarInt::from_u32(STREAMS));
        client.transport_config(Arc::new(transport));
        Ok(Self { id: keys::peer_id(&keys.public)?, client })
    }

    /// Connects to the node `me` at an address of this host.
    pub(super) async fn visit(&self, me: PeerId, at: SocketAddr) -> Result<Visit, Reason> {
        let local = |e: &dyn std::fmt::Display| Reason::Other { detail: clean(&e.to_string()) };
        let endpoint = Endpoint::client(SocketAddr::new(at.ip(), 0)).map_err(|e| local(&e))?;
        let connecting =
            endpoint.connect_with(self.client.clone(), at, SERVER_NAME).map_err(|e| local(&e))?;
        let connection = match timeout(CONNECT_WITHIN, connecting).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(transport::close_reason(&error)),
            Err(_) => return Err(Reason::NoAnswer { addresses: 1 }),
        };
        match identity(&connection) {
            Some(got) if got == me => Ok(Visit { endpoint, connection }),
            Some(got) => Err(Reason::WrongIdentity { got }),
            None => Err(Reason::NoAnswer { addresses: 1 }),
        }
    }
}

impl Visit {
    pub(super) async fn leave(self) {
        self.endpoint.close(VarInt::from_u32(CloseCode::Leave.code()), b"");
        let _ = timeout(GOODBYE, self.endpoint.wait_idle()).await;
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.endpoint.close(VarInt::from_u32(CloseCode::Leave.code()), b"");
    }
}
