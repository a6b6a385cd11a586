//! Stock ant-quic nodes on the lab's hosts: the library alone, with its own
//! ladder, as the yardstick for ours.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use ant_quic::{BootstrapCacheConfig, Node, NodeConfig, PeerId};
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::nodes::slot;
use super::{FIRST_PORT, NatLab};
use crate::lab::LabError;
use crate::model::plain_addr;

/// Beside the ports of our own nodes on the same hosts: a NAT has no mapping
/// for it and no memory of it.
const PORTS_FROM: u16 = FIRST_PORT + 2000;
/// A node of the fleet is connected to the public ones well before this.
const CONNECTED_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Between the beginnings of two pairs: a handshake takes a few milliseconds,
/// and none is to wait for another's.
const SPACING: Duration = Duration::from_millis(300);
/// The library gives up by itself well before this.
const GIVES_UP: Duration = Duration::from_secs(120);
/// It drains for up to seven seconds, which nobody waits for here.
const SHUTDOWN_WAIT: Duration = Duration::from_secs(1);

/// What the library's own ladder did for a pair of hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StockResult {
    /// Whether it connected.
    pub connected: bool,
    /// How long the call took.
    pub elapsed: Duration,
}

/// A running stock node. Dropping it stops its tasks.
struct Stock {
    host: String,
    node: Node,
    _accepts: AbortOnDropHandle<()>,
}

impl NatLab {
    /// Starts a stock node on every public host and on those of the pairs,
    /// lets all connect to the public ones, and then each pair's first to its
    /// second by the address that the public nodes see of it. The pairs begin
    /// one shortly after the other and run side by side.
    ///
    /// # Errors
    /// [`LabError::Stock`] if a node does not start or reaches no public one.
    pub async fn stock_ladder(&self, pairs: &[(String, String)]) -> Result<Vec<StockResult>, LabError> {
        let public = self.topology.host.iter().filter(|h| self.topology.is_public(h));
        let mut public_nodes = Vec::new();
        let mut known = Vec::new();
        for host in public {
            let stock = self.start_stock(&host.name, &known).await?;
            known.push(self.stock_addr(&host.name).await?);
            public_nodes.push(stock);
        }
        let mut ends = Vec::new();
        for (a, b) in pairs {
            ends.push((self.start_stock(a, &known).await?, self.start_stock(b, &known).await?));
        }
        for stock in ends.iter().flat_map(|(a, b)| [a, b]) {
            self.join(stock, &public_nodes).await?;
        }
        let calls = ends.iter().enumerate().map(async |(n, (a, b))| {
            sleep(SPACING * n as u32).await;
            self.connect(a, b, &public_nodes).await
        });
        let results = futures_util::future::try_join_all(calls).await;
        let all = ends.into_iter().flat_map(|(a, b)| [a, b]).chain(public_nodes);
        futures_util::future::join_all(all.map(|stock| self.stop_stock(stock))).await;
        results
    }

    async fn stock_addr(&self, host: &str) -> Result<SocketAddr, LabError> {
        let addr = slot(&mut *self.slots.lock().await, host)?.addr;
        Ok((addr.ip(), addr.port() - FIRST_PORT + PORTS_FROM).into())
    }

    async fn start_stock(&self, host: &str, known: &[SocketAddr]) -> Result<Stock, LabError> {
        let port = self.stock_addr(host).await?.port();
        let config = NodeConfig::builder()
            .bind_addr(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))
            .known_peers(known.iter().copied())
            .port_mapping_enabled(false)
            .mdns_enabled(false)
            .bootstrap_cache(BootstrapCacheConfig::builder().persist(false).build())
            .build();
        let started = self.on_host(host, async move || {
            let node = Node::with_config(config).await?;
            let accepting = node.clone();
            let accepts = tokio::spawn(async move { while accepting.accept().await.is_some() {} });
            Ok::<_, ant_quic::NodeError>((node, AbortOnDropHandle::new(accepts)))
        });
        let (node, accepts) = started.await?.map_err(|e| stock(host, &e))?;
        Ok(Stock { host: host.to_owned(), node, _accepts: accepts })
    }

    /// Connects a node to all public ones.
    async fn join(&self, stock_node: &Stock, public: &[Stock]) -> Result<(), LabError> {
        let ids: Vec<PeerId> = public.iter().map(|p| p.node.peer_id()).collect();
        let node = stock_node.node.clone();
        let joined = self.on_host(&stock_node.host, async move || {
            let begun = Instant::now();
            // It goes on by itself; what comes of it shows in the connections.
            let _ = node.connect_known_peers().await;
            for id in ids {
                while !node.is_connected(&id).await {
                    if begun.elapsed() > CONNECTED_WITHIN {
                        return false;
                    }
                    sleep(LOOK_EVERY).await;
                }
            }
            true
        });
        if joined.await? { Ok(()) } else { Err(stock(&stock_node.host, &"it reaches no public node")) }
    }

    async fn connect(&self, from: &Stock, to: &Stock, public: &[Stock]) -> Result<StockResult, LabError> {
        let target = to.node.peer_id();
        let mut reflexive = None;
        for node in public {
            let seen = node.node.connected_peers().await.into_iter().find(|c| c.peer_id == target);
            reflexive = reflexive.or(seen.and_then(|c| c.remote_addr.as_socket_addr()));
        }
        let reflexive = reflexive.ok_or_else(|| stock(&to.host, &"no public node sees it any more"))?;
        let node = from.node.clone();
        self.on_host(&from.host, async move || {
            let begun = Instant::now();
            let call = node.connect_peer_with_addrs(target, vec![plain_addr(reflexive)]);
            let connected = matches!(timeout(GIVES_UP, call).await, Ok(Ok(c)) if c.peer_id == target);
            StockResult { connected, elapsed: begun.elapsed() }
        })
        .await
    }

    async fn stop_stock(&self, stock: Stock) {
        let Stock { host, node, .. } = stock;
        let stop = self.on_host(&host, async move || {
            let _ = timeout(SHUTDOWN_WAIT, node.try_shutdown()).await;
        });
        let _ = stop.await;
    }
}

fn stock(host: &str, error: &dyn std::fmt::Display) -> LabError {
    LabError::Stock { host: host.to_owned(), detail: error.to_string() }
}
