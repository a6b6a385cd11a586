//! A stock ant-quic node, with all that the library serves by itself.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use ant_quic::{BootstrapCacheConfig, HighLevelConnection, NodeConfig, StrategyConfig};
use punchdeck::model::PeerId;
use tempfile::TempDir;

use super::Target;

pub struct Stock {
    pub node: ant_quic::Node,
    _dir: TempDir,
}

impl Stock {
    pub async fn start() -> Self {
        Self::on(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await
    }

    /// The same, bound there.
    pub async fn on(bind: SocketAddr) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = NodeConfig::builder()
            .bind_addr(bind)
            .port_mapping_enabled(false)
            .mdns_enabled(false)
            .bootstrap_cache(BootstrapCacheConfig::builder().cache_dir(dir.path()).build())
            .build();
        let node = ant_quic::Node::with_config(config).await.unwrap();
        let accepting = node.clone();
        tokio::spawn(async move {
            while accepting.is_running() {
                accepting.accept().await;
            }
        });
        Self { node, _dir: dir }
    }

    pub fn id(&self) -> PeerId {
        PeerId(self.node.peer_id().0)
    }

    /// Dials a node without saying anything.
    pub async fn dial(&self, target: &impl Target) -> HighLevelConnection {
        let (them, connection) = self.dial_addr(target.addr()).await;
        assert_eq!(them, target.id());
        connection
    }

    /// Dials whoever listens there: its handshake proves who it is.
    async fn dial_addr(&self, addr: SocketAddr) -> (PeerId, HighLevelConnection) {
        let stage = StrategyConfig::default()
            .with_ipv4_timeout(Duration::from_secs(5))
            .with_ipv6_timeout(Duration::from_secs(5))
            .with_relay_enabled(false);
        let endpoint = self.node.inner_endpoint();
        let (v4, v6) = if addr.is_ipv4() { (Some(addr), None) } else { (None, Some(addr)) };
        let (reached, _) = endpoint.connect_with_fallback(v4, v6, Some(stage), None).await.unwrap();
        let them = PeerId(reached.peer_id.0);
        (them, self.connection(them).unwrap())
    }

    pub fn connection(&self, peer: PeerId) -> Option<HighLevelConnection> {
        self.node.inner_endpoint().get_quic_connection(&ant_quic::PeerId(peer.0)).unwrap()
    }
}
