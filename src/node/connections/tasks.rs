//! The tasks of a connection: one waits for its end, one takes the streams that
//! the other end opens, one reads the frames.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ant_quic::{ConnectionError, HighLevelConnection, HighLevelRecvStream, HighLevelSendStream, VarInt};
use tokio::io::AsyncReadExt;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Carrier, Report, Reports};
use crate::core::engine::Input;
use crate::core::limits::HELLO_TIMEOUT;
use crate::core::link::ConnId;
use crate::core::pathtest;
use crate::core::wire::{HEADER_LEN, is_first};
use crate::model::{CloseCode, DropReason, PeerId, Reason};
use crate::node::lanes::RelayEnd;
use crate::node::pathtest::TAG;
use crate::node::streams::{FrameStream, StreamEnd};
use crate::node::{lanes, serving, transport};

/// What we say of a stream that we do not read on.
const NOT_OURS: VarInt = VarInt::from_u32(0);

/// Waits for the end of a connection, and brings it about where the other end misuses
/// what the library takes from everybody. One that came in through a reservation
/// ends with it, and then that is why.
pub(super) async fn watch(
    peer: PeerId,
    conn: ConnId,
    connection: HighLevelConnection,
    relay_end: Option<RelayEnd>,
    reports: Reports,
) {
    let error = tokio::select! {
        error = connection.closed() => error,
        what = transport::misused(&connection) => {
            transport::close(&connection, CloseCode::Malformed);
            let _ = reports.send(Report::Input(Input::Stopped(what))).await;
            connection.closed().await
        }
    };
    let reason = match error {
        ConnectionError::LocallyClosed if relay_end.is_some_and(|e| e.borrow().is_some()) => {
            Reason::RelayLost
        }
        error => transport::close_reason(&error),
    };
    let _ = reports.send(Report::Input(Input::ConnClosed { peer, conn, reason })).await;
}

/// Reads frames until the stream ends.
pub(super) async fn read(peer: PeerId, conn: ConnId, mut stream: FrameStream, reports: Reports) {
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

/// Reads datagrams, and hands those of a path test on. The library keeps a note of each
/// that it dropped, so those are read, too.
pub(super) async fn read_datagrams(
    conn: ConnId,
    connection: HighLevelConnection,
    tested: Arc<AtomicBool>,
    reports: Reports,
) {
    loop {
        let datagram = tokio::select! {
            datagram = connection.read_datagram() => datagram,
            dropped = connection.on_datagram_drop() => match dropped {
                Ok(_) => continue,
                Err(_) => return,
            },
        };
        let Ok(datagram) = datagram else { return };
        let bytes = pathtest::Bytes::try_from(&datagram[..]);
        let Some(bytes) = bytes.ok().filter(|_| tested.load(Ordering::Relaxed)) else { continue };
        let mtu = transport::mtu(&connection);
        if reports.send(Report::Input(Input::TestDatagram { conn, bytes, mtu })).await.is_err() {
            return;
        }
    }
}

/// Takes the streams that the other end opens. The transport lets it have few
/// at once; what is done for each ends with this task.
pub(super) async fn accept_streams(
    peer: PeerId,
    conn: ConnId,
    connection: HighLevelConnection,
    carrier: Carrier,
    reports: Reports,
) {
    let mut greeting = JoinSet::new();
    loop {
        let stream = tokio::select! {
            Some(_) = greeting.join_next(), if !greeting.is_empty() => continue,
            stream = connection.accept_bi() => stream,
        };
        let Ok((send, recv)) = stream else { return };
        let came = Came { peer, conn, send, recv };
        let reports = reports.clone();
        greeting.spawn(async move {
            let report = match carrier {
                Carrier::Native => came.on_link().await,
                Carrier::Lane { .. } => came.on_lane().await,
            };
            let _ = reports.send(report).await;
        });
    }
}

/// A stream that the other end opened.
struct Came {
    peer: PeerId,
    conn: ConnId,
    send: HighLevelSendStream,
    recv: HighLevelRecvStream,
}

impl Came {
    /// Over our own socket it is a control stream or asks for a relay; both
    /// begin with a length, and what follows tells them apart.
    async fn on_link(mut self) -> Report {
        let mut head = [0; HEADER_LEN];
        match timeout(HELLO_TIMEOUT, self.recv.read_exact(&mut head)).await {
            Ok(Ok(())) if is_first(&head) => self.greet(&head).await,
            Ok(Ok(())) if TAG.starts_with(&head) => self.test(&head).await,
            Ok(Ok(())) => self.relay_request(head).await,
            _ => self.stop(DropReason::NoHelloInTime),
        }
    }

    async fn on_lane(mut self) -> Report {
        match lanes::read_tag(&mut self.recv).await {
            Some(lanes::CONTROL) => self.greet(&[]).await,
            Some(TAG) => self.test(&TAG).await,
            _ => self.stop(DropReason::UnknownLaneStream),
        }
    }

    /// Reads what a control stream begins with.
    async fn greet(self, head: &[u8]) -> Report {
        let Self { peer, conn, send, recv } = self;
        let mut stream = Box::new(FrameStream::after(head, recv));
        match stream.first().await {
            Ok((frame, len)) => {
                let first = (Box::new(frame), len);
                Report::Accepted { peer, conn, send, stream, first }
            }
            Err(StreamEnd::Malformed) => Report::Input(Input::Stopped(DropReason::MalformedHello)),
            Err(StreamEnd::Closed) => Report::Input(Input::Stopped(DropReason::NoHelloInTime)),
        }
    }

    /// Reads which test it is of, behind what was read of the tag.
    async fn test(mut self, head: &[u8]) -> Report {
        let (mut rest, mut run) = ([0; TAG.len()], [0; 16]);
        let rest = &mut rest[head.len()..];
        let named = async {
            self.recv.read_exact(rest).await.ok()?;
            self.recv.read_exact(&mut run).await.ok()
        };
        match timeout(HELLO_TIMEOUT, named).await {
            Ok(Some(())) if *rest == TAG[head.len()..] => {
                Report::TestStream { conn: self.conn, run, stream: (self.send, self.recv) }
            }
            _ => self.stop(DropReason::UnknownStream),
        }
    }

    /// Reads the request that begins with `head`.
    async fn relay_request(mut self, head: [u8; HEADER_LEN]) -> Report {
        let [l0, l1, l2, l3, begun @ ..] = head;
        let mut request = (&begun[..]).chain(&mut self.recv);
        match serving::read_request([l0, l1, l2, l3], &mut request).await {
            Some(bind) => {
                let Self { peer, conn, send, recv } = self;
                Report::RelayAsked { peer, conn, send, recv, bind }
            }
            None => self.stop(DropReason::UnknownStream),
        }
    }

    /// Gives it up in both directions.
    fn stop(mut self, what: DropReason) -> Report {
        // A stream that is gone already needs neither.
        let _ = self.send.reset(NOT_OURS);
        let _ = self.recv.stop(NOT_OURS);
        Report::Input(Input::Stopped(what))
    }
}
