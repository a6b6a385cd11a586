//! The tasks behind the table. They find things out and report them.

use ant_quic::{
    ConnectionError, HighLevelConnection, HighLevelRecvStream, HighLevelSendStream, Node, P2pEvent,
};

use super::{Report, Reports};
use crate::core::engine::Input;
use crate::core::link::ConnId;
use crate::core::wire::Frame;
use crate::model::{PeerId, Reason, plain_addr};
use crate::node::lanes::RelayEnd;
use crate::node::streams::{FrameStream, StreamEnd};
use crate::node::{lanes, transport};

/// Waits for the end of a connection. One that came in through a reservation
/// ends with it, and then that is why.
pub(super) async fn watch(
    peer: PeerId,
    conn: ConnId,
    connection: HighLevelConnection,
    relay_end: Option<RelayEnd>,
    reports: Reports,
) {
    let error = connection.closed().await;
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

/// Accepts connections for the library, which does so only when asked.
pub(in crate::node) async fn accept_connections(node: Node) {
    while node.is_running() {
        // What it accepted is told by its lifecycle events.
        if node.accept().await.is_none() && node.is_running() {
            tokio::task::yield_now().await;
        }
    }
}

/// Follows the library's connections.
pub(in crate::node) async fn follow_lifecycle(node: Node, reports: Reports) {
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

/// Tells of the reservation that the library takes for itself when two peers see
/// it at different ports. It cannot be told not to, and a relay gives one client
/// one only.
pub(in crate::node) async fn follow_own_relay(node: Node, reports: Reports) {
    use tokio::sync::broadcast::error::RecvError::{Closed, Lagged};
    let mut events = node.inner_endpoint().subscribe();
    loop {
        match events.recv().await {
            Ok(P2pEvent::RelayEstablished { relay_addr }) => {
                let at = plain_addr(relay_addr).ip();
                // Bound to a wildcard, a relay may not know where it is.
                if at.is_unspecified() {
                    continue;
                }
                if reports.send(Report::Input(Input::LibraryRelay { at })).await.is_err() {
                    return;
                }
            }
            Ok(_) | Err(Lagged(_)) => {}
            Err(Closed) => return,
        }
    }
}

/// Accepts the control streams of the library's connections.
pub(in crate::node) async fn accept_streams(node: Node, reports: Reports) {
    while let Ok((peer, send, recv)) = node.accept_bi().await {
        tokio::spawn(greet(PeerId(peer.0), send, recv, reports.clone()));
    }
}

/// Accepts the control streams of a lane.
pub(super) async fn accept_on_lane(peer: PeerId, connection: HighLevelConnection, reports: Reports) {
    while let Ok((send, mut recv)) = connection.accept_bi().await {
        let reports = reports.clone();
        tokio::spawn(async move {
            if lanes::is_control(&mut recv).await {
                greet(peer, send, recv, reports).await;
            } else {
                let _ = reports.send(Report::Input(Input::Stopped("unknown stream on a lane"))).await;
            }
        });
    }
}

/// Reads the Hello of a stream that the peer opened.
async fn greet(peer: PeerId, send: HighLevelSendStream, recv: HighLevelRecvStream, reports: Reports) {
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
}
