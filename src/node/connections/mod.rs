//! The connections that stand, by our own name for each, and the tasks that
//! watch and read them.
//!
//! Two kinds share the table: those over the node's own socket, and lanes
//! through a relay. Tasks only report: everything they find goes through one
//! channel to the driver, which alone owns the table.

mod tasks;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ant_quic::{HighLevelConnection, HighLevelRecvStream, HighLevelSendStream};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use self::tasks::{accept_streams, read, read_datagrams, watch};
use super::lanes::{self, Lane, LaneEnd, RelayEnd, Reservation, WarmLane};
use super::streams::{FrameStream, FrameWriter};
use super::transport;
use crate::core::engine::{ConnBytes, Input};
use crate::core::guessing::RunId;
use crate::core::ladder::DialId;
use crate::core::link::{ConnId, ConnInfo};
use crate::core::nat::Nonce;
use crate::core::wire::Frame;
use crate::model::{CloseCode, DropReason, Path, PeerId, Reason, plain_addr};

/// The label under which both ends name a connection.
const CHANNEL_LABEL: &str = "EXPORTER punchdeck channel";
/// The label of the key material that a proof of membership covers.
const BINDING_LABEL: &str = "EXPORTER punchdeck membership";

/// What tasks report to the driver.
pub(super) enum Report {
    /// For the engine as it is.
    Input(Input),
    /// That peer connected to us.
    Connected { peer: PeerId, connection: HighLevelConnection },
    /// A dial reached that peer.
    Dialled { dial: DialId, peer: PeerId, connection: HighLevelConnection },
    /// Somebody came to us through a relay.
    Lane(Lane),
    /// A dial through a relay reached its peer.
    LaneWarm { dial: DialId, lane: WarmLane },
    /// What it made is good, at both ends.
    LaneUsed { dial: DialId, lane: Lane },
    /// A relay, the host of that address, answered.
    Reserved { relay: PeerId, result: Result<(Reservation, IpAddr), Reason> },
    /// The reservation of that number ended, and not because we let go.
    ReservationEnded { number: u64, end: LaneEnd },
    /// A peer asks for a reservation on us, over that connection: the stream behind
    /// its request. `bind`: whether it wants an address of ours.
    RelayAsked {
        peer: PeerId,
        conn: ConnId,
        send: HighLevelSendStream,
        recv: HighLevelRecvStream,
        bind: bool,
    },
    /// A socket of a guessed punch was met, from there.
    GuessMet { run: RunId, from: SocketAddr, socket: UdpSocket },
    /// The peer opened the stream of a path test.
    TestStream { conn: ConnId, run: Nonce, stream: lanes::Stream },
    /// Nothing comes through the reservation of that number.
    ReservationMute { number: u64 },
    /// We opened a control stream.
    Opened { peer: PeerId, conn: ConnId, send: HighLevelSendStream, recv: HighLevelRecvStream },
    /// The peer opened one and said what it begins with.
    Accepted {
        peer: PeerId,
        conn: ConnId,
        send: HighLevelSendStream,
        stream: Box<FrameStream>,
        first: (Box<Frame>, usize),
    },
}

/// Where tasks report.
pub(super) type Reports = mpsc::Sender<Report>;

/// What carries a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carrier {
    /// The node's own socket.
    Native,
    /// A relay.
    Lane { via: Option<PeerId> },
}

struct Entry {
    peer: PeerId,
    /// Where the other end was seen last, plain.
    remote: SocketAddr,
    connection: HighLevelConnection,
    carrier: Carrier,
    writer: Option<FrameWriter>,
    /// Whether datagrams are handed on: only those of a path test are.
    tested: Arc<AtomicBool>,
    /// End with the entry.
    _watcher: AbortOnDropHandle<()>,
    _acceptor: AbortOnDropHandle<()>,
    _datagrams: AbortOnDropHandle<()>,
    reader: Option<AbortOnDropHandle<()>>,
}

/// The table.
pub(super) struct Connections {
    reports: Reports,
    entries: BTreeMap<ConnId, Entry>,
    next: u64,
}

impl Connections {
    pub(super) fn new(reports: Reports) -> Self {
        Self { reports, entries: BTreeMap::new(), next: 1 }
    }

    /// Takes up a connection over our own socket. One that is closed already is
    /// told of all the same, and its end right after it.
    pub(super) fn take_up(&mut self, peer: PeerId, connection: HighLevelConnection) -> Option<Input> {
        self.add(peer, connection, Carrier::Native, None)
    }

    /// Takes up a connection through a relay, in the same way.
    pub(super) fn take_up_lane(&mut self, lane: Lane) -> Option<Input> {
        self.add(lane.peer, lane.connection, Carrier::Lane { via: lane.via }, lane.relay_end)
    }

    fn add(
        &mut self,
        peer: PeerId,
        connection: HighLevelConnection,
        carrier: Carrier,
        relay_end: Option<RelayEnd>,
    ) -> Option<Input> {
        let channel = transport::export(&connection, CHANNEL_LABEL)?;
        let binding = transport::export(&connection, BINDING_LABEL)?;
        let id = ConnId(self.next);
        self.next += 1;
        let (path, via) = match carrier {
            Carrier::Native => (Path::Direct, None),
            Carrier::Lane { via } => (Path::Relayed, via),
        };
        let info = ConnInfo {
            id,
            remote: plain_addr(connection.remote_address()),
            outbound: transport::is_outbound(&connection),
            path,
            via,
            channel,
            binding,
            nonce: rand::random(),
        };
        let reports = || self.reports.clone();
        let tested = Arc::new(AtomicBool::new(false));
        let entry = Entry {
            peer,
            remote: info.remote,
            carrier,
            writer: None,
            _watcher: spawn(watch(peer, id, connection.clone(), relay_end, reports())),
            _acceptor: spawn(accept_streams(peer, id, connection.clone(), carrier, reports())),
            _datagrams: spawn(read_datagrams(id, connection.clone(), Arc::clone(&tested), reports())),
            tested,
            reader: None,
            connection,
        };
        self.entries.insert(id, entry);
        Some(Input::ConnUp { peer, info })
    }

    /// The connection is gone.
    pub(super) fn remove(&mut self, id: ConnId) {
        self.entries.remove(&id);
    }

    /// Opens a control stream on a connection.
    pub(super) fn open_control(&self, peer: PeerId, conn: ConnId) {
        let Some(entry) = self.entries.get(&conn) else { return };
        let (carrier, connection) = (entry.carrier, entry.connection.clone());
        let reports = self.reports.clone();
        tokio::spawn(async move {
            let opened = match carrier {
                Carrier::Native => connection.open_bi().await.ok(),
                Carrier::Lane { .. } => lanes::open_control(&connection).await,
            };
            drop(connection);
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

    /// Reads and writes begin on a control stream. Says whether its connection still
    /// stands.
    pub(super) fn start(
        &mut self,
        peer: PeerId,
        conn: ConnId,
        send: HighLevelSendStream,
        stream: FrameStream,
    ) -> bool {
        let Some(entry) = self.entries.get_mut(&conn) else { return false };
        entry.writer = Some(FrameWriter::spawn(send));
        entry.reader = Some(spawn(read(peer, conn, stream, self.reports.clone())));
        true
    }

    /// Queues bytes for a control stream. A queue that is full belongs to a
    /// peer that takes nothing: its connection is given up, and that is told.
    pub(super) fn write(&mut self, conn: ConnId, bytes: Vec<u8>) -> Option<Input> {
        let entry = self.entries.get(&conn)?;
        entry.writer.as_ref()?.write(bytes).err()?;
        transport::close(&entry.connection, CloseCode::Limit);
        Some(Input::Stopped(DropReason::AnswersUnread))
    }

    /// The other end of a connection may open and send ahead what a link takes.
    pub(super) fn widen(&self, conn: ConnId) {
        if let Some(entry) = self.entries.get(&conn) {
            transport::widen(&entry.connection);
        }
    }

    /// Closes a connection; its watcher tells the engine.
    pub(super) fn close(&self, conn: ConnId, code: CloseCode) {
        if let Some(entry) = self.entries.get(&conn) {
            transport::close(&entry.connection, code);
        }
    }

    /// Closes every lane.
    pub(super) fn close_lanes(&self, code: CloseCode) {
        for entry in self.entries.values().filter(|e| matches!(e.carrier, Carrier::Lane { .. })) {
            transport::close(&entry.connection, code);
        }
    }

    /// Closes everything and lets go of it.
    pub(super) fn clear(&mut self, code: CloseCode) {
        for entry in std::mem::take(&mut self.entries).into_values() {
            transport::close(&entry.connection, code);
        }
    }

    /// A connection to a peer over our own socket, to reserve on: the one that
    /// carries its link if there is one, else the newest.
    pub(super) fn native(&self, peer: PeerId) -> Option<&HighLevelConnection> {
        let open = |e: &&Entry| {
            e.peer == peer && e.carrier == Carrier::Native && e.connection.close_reason().is_none()
        };
        let found = self.entries.iter().filter(|(_, e)| open(e));
        found.max_by_key(|(id, e)| (e.writer.is_some(), **id)).map(|(_, e)| &e.connection)
    }

    /// A connection, and whether its datagrams are handed on: for a path test.
    pub(super) fn to_test(&self, conn: ConnId) -> Option<(HighLevelConnection, Arc<AtomicBool>)> {
        self.entries.get(&conn).map(|entry| (entry.connection.clone(), Arc::clone(&entry.tested)))
    }

    /// The address of ours at which a connection arrives, if the system tells.
    pub(super) fn local_ip(&self, conn: ConnId) -> Option<IpAddr> {
        self.entries.get(&conn)?.connection.local_ip()
    }

    /// Connections whose other end is seen elsewhere than before.
    pub(super) fn moved(&mut self) -> Vec<Input> {
        let moved = self.entries.iter_mut().filter_map(|(id, e)| {
            let remote = plain_addr(e.connection.remote_address());
            let before = std::mem::replace(&mut e.remote, remote);
            (before != remote).then_some(Input::ConnRemote { peer: e.peer, conn: *id, remote })
        });
        moved.collect()
    }

    /// Bytes of each lane, as its endpoint counts them: whole packets, all
    /// streams.
    pub(super) fn lane_bytes(&self) -> Vec<ConnBytes> {
        let lanes = self.entries.iter().filter(|(_, e)| matches!(e.carrier, Carrier::Lane { .. }));
        let bytes = lanes.map(|(id, e)| {
            let stats = e.connection.stats();
            ConnBytes { conn: *id, bytes_tx: stats.udp_tx.bytes, bytes_rx: stats.udp_rx.bytes }
        });
        bytes.collect()
    }
}

fn spawn(task: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(task))
}
