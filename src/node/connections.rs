//! The connections that stand, and the tasks that watch and read them.
//!
//! Tasks only report: everything they find goes through one channel to the
//! driver, which alone owns the table.

use std::collections::BTreeMap;

use ant_quic::{HighLevelConnection, HighLevelRecvStream, HighLevelSendStream, Node};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::streams::{FrameStream, StreamEnd, spawn_writer};
use super::transport;
use crate::core::engine::Input;
use crate::core::ladder::DialId;
use crate::core::link::{ConnId, ConnInfo};
use crate::core::wire::Frame;
use crate::model::{CloseCode, Path, PeerId, plain_addr};

/// The label under which both ends name a connection.
const CHANNEL_LABEL: &str = "EXPORTER punchdeck channel";
/// The label of the key material that a proof of membership covers.
const BINDING_LABEL: &str = "EXPORTER punchdeck membership";

/// What tasks report to the driver.
pub(super) enum Report {
    /// For the engine as it is.
    Input(Input),
    /// The library has a connection to that peer, perhaps a new one.
    Connected(PeerId),
    /// A dial reached that peer, over that connection unless it is gone again.
    Dialled { dial: DialId, peer: PeerId, connection: Option<HighLevelConnection> },
    /// We opened a control stream.
    Opened { peer: PeerId, conn: ConnId, send: HighLevelSendStream, recv: HighLevelRecvStream },
    /// The peer opened one and said Hello on it.
    Accepted {
        peer: PeerId,
        send: HighLevelSendStream,
        stream: Box<FrameStream>,
        hello: (Box<Frame>, usize),
        channel: [u8; 16],
    },
}

/// Where tasks report.
pub(super) type Reports = mpsc::Sender<Report>;

struct Entry {
    peer: PeerId,
    connection: HighLevelConnection,
    channel: [u8; 16],
    writer: Option<mpsc::Sender<Vec<u8>>>,
    /// End with the entry.
    _watcher: AbortOnDropHandle<()>,
    reader: Option<AbortOnDropHandle<()>>,
}

/// The table.
pub(super) struct Connections {
    node: Node,
    reports: Reports,
    entries: BTreeMap<ConnId, Entry>,
    next: u64,
}

impl Connections {
    pub(super) fn new(node: Node, reports: Reports) -> Self {
        Self { node, reports, entries: BTreeMap::new(), next: 1 }
    }

    /// Takes up the library's current connection to a peer if it is new.
    pub(super) fn take_up_current(&mut self, peer: PeerId) -> Option<Input> {
        let connection = transport::connection(&self.node, &peer)?;
        if connection.close_reason().is_some() { None } else { self.take_up(peer, connection) }
    }

    /// Takes up a connection if it is new. One that is closed already is told
    /// of all the same, and its end right after it.
    pub(super) fn take_up(&mut self, peer: PeerId, connection: HighLevelConnection) -> Option<Input> {
        if self.entries.values().any(|e| e.connection.stable_id() == connection.stable_id()) {
            return None;
        }
        let channel = transport::export(&connection, CHANNEL_LABEL)?;
        let binding = transport::export(&connection, BINDING_LABEL)?;
        let id = ConnId(self.next);
        self.next += 1;
        let info = ConnInfo {
            id,
            remote: plain_addr(connection.remote_address()),
            outbound: transport::is_outbound(&connection),
            path: Path::Direct,
            via: None,
            channel,
            binding,
        };
        let watcher = self.watch(peer, id, connection.clone());
        self.entries
            .insert(id, Entry { peer, connection, channel, writer: None, _watcher: watcher, reader: None });
        Some(Input::ConnUp { peer, info })
    }

    fn watch(&self, peer: PeerId, conn: ConnId, connection: HighLevelConnection) -> AbortOnDropHandle<()> {
        let reports = self.reports.clone();
        AbortOnDropHandle::new(tokio::spawn(async move {
            let reason = transport::close_reason(&connection.closed().await);
            let _ = reports.send(Report::Input(Input::ConnClosed { peer, conn, reason })).await;
        }))
    }

    /// The connection is gone.
    pub(super) fn remove(&mut self, id: ConnId) {
        self.entries.remove(&id);
    }

    /// Opens a control stream on a connection.
    pub(super) fn open_control(&self, peer: PeerId, conn: ConnId) {
        let Some(entry) = self.entries.get(&conn) else { return };
        let (node, reports) = (self.node.clone(), self.reports.clone());
        let stable_id = entry.connection.stable_id();
        tokio::spawn(async move {
            let current =
                |node: &Node| transport::connection(node, &peer).is_some_and(|c| c.stable_id() == stable_id);
            // The library opens on the connection it holds for current; before
            // and after, that must be the one we mean.
            let opened = if current(&node) {
                node.open_bi(&ant_quic::PeerId(peer.0)).await.ok().filter(|_| current(&node))
            } else {
                None
            };
            let report = match opened {
                Some((send, recv)) => Report::Opened { peer, conn, send, recv },
                None => Report::Input(Input::ControlLost { peer, conn, malformed: false }),
            };
            let _ = reports.send(report).await;
        });
    }

    /// The stream we opened is there: reads and writes begin.
    pub(super) fn opened(
        &mut self,
        peer: PeerId,
        conn: ConnId,
        send: HighLevelSendStream,
        recv: HighLevelRecvStream,
    ) -> Option<Input> {
        self.start(peer, conn, send, FrameStream::new(recv)).then_some(Input::ControlUp { peer, conn })
    }

    /// The peer's stream is there; its Hello names the connection it is on.
    pub(super) fn accepted(
        &mut self,
        peer: PeerId,
        send: HighLevelSendStream,
        stream: FrameStream,
        channel: [u8; 16],
    ) -> Option<ConnId> {
        let named = self.entries.iter().find(|(_, e)| e.peer == peer && e.channel == channel);
        let conn = *named?.0;
        self.start(peer, conn, send, stream).then_some(conn)
    }

    fn start(&mut self, peer: PeerId, conn: ConnId, send: HighLevelSendStream, stream: FrameStream) -> bool {
        let Some(entry) = self.entries.get_mut(&conn) else { return false };
        entry.writer = Some(spawn_writer(send));
        entry.reader =
            Some(AbortOnDropHandle::new(tokio::spawn(read(peer, conn, stream, self.reports.clone()))));
        true
    }

    /// Queues bytes for a control stream. A queue that is full belongs to a
    /// peer that takes nothing: its connection is given up.
    pub(super) fn write(&mut self, conn: ConnId, bytes: Vec<u8>) {
        let Some(entry) = self.entries.get(&conn) else { return };
        let Some(writer) = &entry.writer else { return };
        if matches!(writer.try_send(bytes), Err(mpsc::error::TrySendError::Full(_))) {
            transport::close(&entry.connection, CloseCode::Limit);
        }
    }

    /// Closes a connection; its watcher tells the engine.
    pub(super) fn close(&self, conn: ConnId, code: CloseCode) {
        if let Some(entry) = self.entries.get(&conn) {
            transport::close(&entry.connection, code);
        }
    }

    /// Closes everything and lets go of it, so that the socket can be freed.
    pub(super) fn clear(&mut self, code: CloseCode) {
        for entry in std::mem::take(&mut self.entries).into_values() {
            transport::close(&entry.connection, code);
        }
    }
}

async fn read(peer: PeerId, conn: ConnId, mut stream: FrameStream, reports: Reports) {
    loop {
        let input = match stream.next().await {
            Ok((frame, len)) => Input::Frame { peer, conn, frame: Box::new(frame), len },
            Err(end) => Input::ControlLost { peer, conn, malformed: end == StreamEnd::Malformed },
        };
        let over = matches!(input, Input::ControlLost { .. });
        if reports.send(Report::Input(input)).await.is_err() || over {
            return;
        }
    }
}

/// Accepts connections for the library, which does so only when asked.
pub(super) async fn accept_connections(node: Node) {
    while node.is_running() {
        // What it accepted is told by its lifecycle events.
        if node.accept().await.is_none() && node.is_running() {
            tokio::task::yield_now().await;
        }
    }
}

/// Follows the library's connections.
pub(super) async fn follow_lifecycle(node: Node, reports: Reports) {
    use ant_quic::PeerLifecycleEvent::{Established, Replaced};
    use tokio::sync::broadcast::error::RecvError::{Closed, Lagged};
    let mut events = node.inner_endpoint().subscribe_all_peer_events();
    loop {
        let report = match events.recv().await {
            Ok((peer, Established { .. } | Replaced { .. })) => Report::Connected(PeerId(peer.0)),
            // What a full queue dropped, the driver's next count finds.
            Ok(_) | Err(Lagged(_)) => continue,
            Err(Closed) => return,
        };
        if reports.send(report).await.is_err() {
            return;
        }
    }
}

/// Accepts control streams and reads their Hello.
pub(super) async fn accept_streams(node: Node, reports: Reports) {
    while let Ok((peer, send, recv)) = node.accept_bi().await {
        let peer = PeerId(peer.0);
        let reports = reports.clone();
        tokio::spawn(async move {
            let mut stream = Box::new(FrameStream::new(recv));
            let report = match stream.hello().await {
                Ok((hello, len)) => {
                    let channel = hello.channel;
                    let hello = (Box::new(Frame::Hello(hello)), len);
                    Report::Accepted { peer, send, stream, hello, channel }
                }
                Err(StreamEnd::Malformed) => Report::Input(Input::Stopped("malformed hello")),
                Err(StreamEnd::Closed) => Report::Input(Input::Stopped("no hello in time")),
            };
            let _ = reports.send(report).await;
        });
    }
}
