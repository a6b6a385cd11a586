//! Somebody with a key and an endpoint: connected, but mute until told to speak.

use std::net::SocketAddr;

use ant_quic::high_level::default_runtime;
use ant_quic::{ClientConfig, Endpoint, EndpointConfig, HighLevelConnection};
use punchdeck::model::PeerId;
use punchdeck::node::keys::KeyBytes;
use punchdeck::node::{Tls, keys};

use super::{Bad, PATIENCE, Scripted, Target};

pub struct Stranger {
    pub endpoint: Endpoint,
    pub(super) manner: Bad,
    client: ClientConfig,
    id: PeerId,
}

impl Stranger {
    /// One on loopback; of a runtime, since its endpoint needs one.
    #[allow(clippy::unused_async)]
    pub async fn start() -> Self {
        Bad::peer().stranger()
    }

    pub(super) fn new(manner: Bad, keys: &KeyBytes) -> Self {
        let tls = Tls::new(keys).unwrap();
        let socket = std::net::UdpSocket::bind(manner.bind).unwrap();
        let (config, server) = (EndpointConfig::default(), Some(tls.server_config()));
        let endpoint = Endpoint::new(config, server, socket, default_runtime().unwrap()).unwrap();
        let client = match &manner.forger {
            Some(forger) => forger.client_config(keys),
            None => tls.client_config(),
        };
        Self { endpoint, manner, client, id: keys::peer_id(&keys.public).unwrap() }
    }

    pub fn id(&self) -> PeerId {
        self.id
    }

    pub fn addr(&self) -> SocketAddr {
        self.endpoint.local_addr().unwrap()
    }

    /// Dials a node without saying anything.
    pub async fn dial(&self, target: &impl Target) -> HighLevelConnection {
        self.dial_at(target.addr(), target.id()).await
    }

    /// The same, whoever it is.
    pub async fn dial_at(&self, addr: SocketAddr, id: PeerId) -> HighLevelConnection {
        let (them, connection) = self.mute(addr).await.unwrap();
        assert_eq!(them, id);
        connection
    }

    /// Half-open: a connection to whoever listens there, on which nothing is said;
    /// its handshake proves who that is. `None` where it is not let in.
    pub async fn mute(&self, addr: SocketAddr) -> Option<(PeerId, HighLevelConnection)> {
        let connection = self.endpoint.connect_with(self.client.clone(), addr, "peer").unwrap();
        let connection = tokio::time::timeout(PATIENCE, connection).await.ok()?.ok()?;
        Some((Tls::identity(&connection)?, connection))
    }

    /// So many of them at once, all of the same identity; who is let in.
    pub async fn crowds(&self, addr: SocketAddr, count: usize) -> Vec<HighLevelConnection> {
        let mut held = Vec::new();
        for _ in 0..count {
            held.extend(self.mute(addr).await.map(|(_, connection)| connection));
        }
        held
    }

    /// Half-open: dials a node and opens or accepts the control stream, without a
    /// Hello.
    pub async fn control(self, target: &impl Target) -> Scripted {
        self.control_at(target.addr()).await
    }

    /// The same towards whoever listens there.
    pub async fn control_at(self, addr: SocketAddr) -> Scripted {
        let (them, connection) = self.mute(addr).await.expect("it is not let in");
        let stream = if self.id() < them { connection.open_bi().await } else { connection.accept_bi().await };
        let (send, recv) = stream.unwrap();
        Scripted::new(self, them, connection, send, recv)
    }
}
