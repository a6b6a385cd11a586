//! A peer that says what the test wants, written with the wire types.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use ant_quic::high_level::default_runtime;
use ant_quic::{
    BootstrapCacheConfig, ConnectionError, Endpoint, EndpointConfig, HighLevelConnection,
    HighLevelRecvStream, HighLevelSendStream, NodeConfig, StrategyConfig,
};
use punchdeck::core::wire::{Frame, FrameReader, Hello, Message, PROTOCOL_HIGH, PROTOCOL_LOW, Record};
use punchdeck::model::{NatType, PeerId};
use punchdeck::node::{Tls, keys};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::TestNode;

const PATIENCE: Duration = Duration::from_secs(20);

/// Somebody with a key and an endpoint: connected, but mute until the test
/// speaks.
pub struct Stranger {
    pub endpoint: Endpoint,
    tls: Tls,
    id: PeerId,
}

impl Stranger {
    pub async fn start() -> Self {
        Self::on(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await
    }

    /// The same, bound there.
    #[allow(clippy::unused_async)] // it needs the runtime of whoever awaits it
    pub async fn on(bind: SocketAddr) -> Self {
        let keys = keys::generate().unwrap();
        let tls = Tls::new(&keys).unwrap();
        let socket = std::net::UdpSocket::bind(bind).unwrap();
        let (config, server) = (EndpointConfig::default(), Some(tls.server_config()));
        let endpoint = Endpoint::new(config, server, socket, default_runtime().unwrap()).unwrap();
        Self { endpoint, tls, id: keys::peer_id(&keys.public).unwrap() }
    }

    pub fn id(&self) -> PeerId {
        self.id
    }

    pub fn addr(&self) -> SocketAddr {
        self.endpoint.local_addr().unwrap()
    }

    /// Dials a node without saying anything.
    pub async fn dial(&self, target: &TestNode) -> HighLevelConnection {
        self.dial_at(target.addr(), target.id()).await
    }

    /// The same, whoever it is.
    pub async fn dial_at(&self, addr: SocketAddr, id: PeerId) -> HighLevelConnection {
        let (them, connection) = self.dial_addr(addr).await;
        assert_eq!(them, id);
        connection
    }

    /// Dials whoever listens there: its handshake proves who it is.
    async fn dial_addr(&self, addr: SocketAddr) -> (PeerId, HighLevelConnection) {
        let connection = self.endpoint.connect_with(self.tls.client_config(), addr, "peer").unwrap();
        let connection = tokio::time::timeout(PATIENCE, connection).await.unwrap().unwrap();
        (Tls::identity(&connection).unwrap(), connection)
    }

    /// Dials a node and opens or accepts the control stream, without a Hello.
    pub async fn control(self, target: &TestNode) -> Scripted {
        self.control_at(target.addr()).await
    }

    /// The same towards whoever listens there.
    async fn control_at(self, addr: SocketAddr) -> Scripted {
        let (them, connection) = self.dial_addr(addr).await;
        let stream = if self.id() < them { connection.open_bi().await } else { connection.accept_bi().await };
        let (send, recv) = stream.unwrap();
        let mut channel = [0; 16];
        connection.export_keying_material(&mut channel, b"EXPORTER punchdeck channel", b"").unwrap();
        Scripted {
            id: self.id(),
            them,
            stranger: self,
            connection,
            channel,
            their_hello: None,
            send,
            recv,
            reader: FrameReader::new(),
            session: 0,
            next: 0,
        }
    }
}

/// A stock ant-quic node, with all that the library serves by itself.
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
    pub async fn dial(&self, target: &TestNode) -> HighLevelConnection {
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

/// A peer with a control stream.
pub struct Scripted {
    pub id: PeerId,
    /// Who is at the other end.
    pub them: PeerId,
    pub stranger: Stranger,
    pub connection: HighLevelConnection,
    pub channel: [u8; 16],
    /// What the other end said first.
    pub their_hello: Option<Box<Hello>>,
    send: HighLevelSendStream,
    recv: HighLevelRecvStream,
    reader: FrameReader,
    session: u64,
    next: u64,
}

/// The writing half of one.
pub struct Saying {
    send: HighLevelSendStream,
    session: u64,
    next: u64,
    _held: (Stranger, HighLevelConnection),
}

impl Saying {
    /// The next numbered message, to whoever may be gone.
    pub async fn say(&mut self, message: Message) {
        let bytes = message.encode(self.session, self.next).unwrap();
        self.next += 1;
        let _ = AsyncWriteExt::write_all(&mut self.send, &bytes).await;
    }
}

impl Scripted {
    /// A peer that has shaken hands as it should.
    pub async fn linked(target: &TestNode) -> Self {
        let mut peer = Stranger::start().await.control(target).await;
        peer.shake("test").await;
        target.until_linked(peer.id).await;
        peer
    }

    /// The same towards whoever listens there.
    pub async fn linked_at(addr: SocketAddr) -> Self {
        let mut peer = Stranger::start().await.control_at(addr).await;
        peer.shake("test").await;
        peer
    }

    /// A Hello as it should be.
    pub fn hello(&self, network: &str) -> Hello {
        Hello {
            low: PROTOCOL_LOW,
            high: PROTOCOL_HIGH,
            network: network.to_owned(),
            name: "scripted".to_owned(),
            agent: "test".to_owned(),
            nat: NatType::Unknown,
            observed: self.connection.remote_address(),
            probe_ports: Vec::new(),
            wall_ms: 0,
            channel: self.channel,
            path: None,
            outbound: true,
            proof: None,
        }
    }

    /// Hello and Resume both ways.
    pub async fn shake(&mut self, network: &str) {
        let hello = self.hello(network);
        self.frame(&Frame::Hello(Box::new(hello))).await;
        self.frame(&Frame::Resume { session: 0, next: 0 }).await;
        // Whoever opened waits for the other's Hello before it resumes; saying
        // both at once serves either role.
        loop {
            match self.next_frame().await {
                Frame::Hello(hello) => self.their_hello = Some(hello),
                Frame::Resume { .. } => break,
                _ => {}
            }
        }
        let mut first = [0; 8];
        first.copy_from_slice(&self.channel[..8]);
        self.session = u64::from_be_bytes(first) | 1;
    }

    pub async fn frame(&mut self, frame: &Frame) {
        self.raw(&frame.encode().unwrap()).await;
    }

    /// Whatever bytes; a stream that is closed already is what some tests want.
    pub async fn raw(&mut self, bytes: &[u8]) {
        let _ = AsyncWriteExt::write_all(&mut self.send, bytes).await;
    }

    /// Waits until the other end takes nothing more on the control stream.
    pub async fn until_stopped(&mut self) {
        tokio::time::timeout(PATIENCE, self.send.stopped()).await.expect("it is still read").unwrap();
    }

    /// The next numbered message.
    pub async fn say(&mut self, message: Message) {
        let bytes = message.encode(self.session, self.next).unwrap();
        self.next += 1;
        self.raw(&bytes).await;
    }

    /// The next frame that comes.
    pub async fn next_frame(&mut self) -> Frame {
        let mut chunk = [0; 4096];
        loop {
            if let Some(raw) = self.reader.next().unwrap() {
                return Frame::decode(&raw).unwrap();
            }
            let read = tokio::time::timeout(PATIENCE, AsyncReadExt::read(&mut self.recv, &mut chunk));
            match read.await.expect("nothing came") {
                Ok(n) if n > 0 => self.reader.push(&chunk[..n]),
                end => panic!("the stream ended: {end:?}"),
            }
        }
    }

    /// Answers heartbeats for as long as the other end is there, and says nothing
    /// else.
    pub fn stays(mut self) -> HighLevelConnection {
        let connection = self.connection.clone();
        tokio::spawn(async move {
            while self.connection.close_reason().is_none() {
                if let Frame::Ping { token } = self.next_frame().await {
                    self.frame(&Frame::Pong { token }).await;
                }
            }
        });
        connection
    }

    /// Reads and forgets until the other end is gone; what to say goes through
    /// the half that comes back.
    pub fn read_on(self) -> (Saying, impl Future<Output = ()>) {
        let Self { stranger, connection, send, session, next, mut recv, .. } = self;
        let saying = Saying { send, session, next, _held: (stranger, connection) };
        let read = async move {
            let mut chunk = [0; 4096];
            while matches!(AsyncReadExt::read(&mut recv, &mut chunk).await, Ok(n) if n > 0) {}
        };
        (saying, read)
    }

    /// The next message for which `wanted` gives something. Pings are answered
    /// and messages acknowledged meanwhile.
    pub async fn hear<T>(&mut self, mut wanted: impl FnMut(&Message) -> Option<T>) -> T {
        loop {
            match self.next_frame().await {
                Frame::Ping { token } => self.frame(&Frame::Pong { token }).await,
                Frame::Message { session, seq, message } => {
                    self.frame(&Frame::Ack { session, next: seq + 1 }).await;
                    if let Some(found) = wanted(&message) {
                        return found;
                    }
                }
                _ => {}
            }
        }
    }

    /// Our own record.
    pub fn record(&self, version: u64) -> Record {
        let addr = self.stranger.addr();
        Record { name: "scripted".into(), addresses: vec![addr], ..Record::new(self.id, version) }
    }

    /// The application code with which the other end closes the connection.
    pub async fn closed_with(&self) -> u64 {
        match tokio::time::timeout(PATIENCE, self.connection.closed()).await.expect("it stays open") {
            ConnectionError::ApplicationClosed(close) => {
                assert!(close.reason.is_empty(), "no text travels with a close");
                close.error_code.into_inner()
            }
            other => panic!("closed otherwise: {other:?}"),
        }
    }
}
