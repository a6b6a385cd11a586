//! What a stream on a lane is for: its first eight bytes say so. And the
//! nonce that must come back before a connection counts as a lane.
//!
//! Whoever dialled sends the nonce, on the first stream of the connection;
//! control streams follow, opened by either end.

use std::time::Duration;

use ant_quic::{HighLevelConnection, HighLevelRecvStream, HighLevelSendStream};
use tokio::time::timeout;

use super::error::LaneError;
use crate::node::transport;

const TAG_LEN: usize = 8;
const NONCE_LEN: usize = 32;
/// The nonce comes back on it.
const NONCE: [u8; TAG_LEN] = *b"pd-nonce";
/// Frames travel on it.
pub(crate) const CONTROL: [u8; TAG_LEN] = *b"pd-ctrl1";
/// An opened stream says within this time what it is for.
const TAG_TIMEOUT: Duration = Duration::from_secs(5);

/// Both halves of a stream.
pub(crate) type Stream = (HighLevelSendStream, HighLevelRecvStream);

/// Sends a nonce and waits until it comes back.
pub(super) async fn send_nonce(connection: &HighLevelConnection, within: Duration) -> Result<(), LaneError> {
    let nonce: [u8; NONCE_LEN] = rand::random();
    let exchange = async {
        let (mut send, mut recv) = connection.open_bi().await.ok()?;
        send.write_all(&[&NONCE[..], &nonce].concat()).await.ok()?;
        send.finish().ok()?;
        let mut echo = [0; NONCE_LEN];
        recv.read_exact(&mut echo).await.ok()?;
        (echo == nonce).then_some(())
    };
    match timeout(within, exchange).await {
        Ok(Some(())) => Ok(()),
        Ok(None) | Err(_) => Err(why(connection)),
    }
}

/// Waits for the nonce of the other end and sends it back.
pub(super) async fn echo_nonce(connection: &HighLevelConnection, within: Duration) -> Result<(), LaneError> {
    let exchange = async {
        let (mut send, mut recv) = connection.accept_bi().await.ok()?;
        let mut bytes = [0; TAG_LEN + NONCE_LEN];
        recv.read_exact(&mut bytes).await.ok()?;
        let nonce = bytes.strip_prefix(&NONCE)?;
        send.write_all(nonce).await.ok()?;
        send.finish().ok()
    };
    match timeout(within, exchange).await {
        Ok(Some(())) => Ok(()),
        Ok(None) | Err(_) => Err(why(connection)),
    }
}

/// A connection that was closed says why; one that stands is mute.
fn why(connection: &HighLevelConnection) -> LaneError {
    match connection.close_reason() {
        Some(error) => LaneError::Handshake(transport::close_reason(&error)),
        None => LaneError::NoEcho,
    }
}

/// Opens a control stream on a lane.
pub(crate) async fn open_control(connection: &HighLevelConnection) -> Option<Stream> {
    let (mut send, recv) = connection.open_bi().await.ok()?;
    send.write_all(&CONTROL).await.ok()?;
    Some((send, recv))
}

/// What a stream that the other end of a lane opened says that it is for.
pub(crate) async fn read_tag(recv: &mut HighLevelRecvStream) -> Option<[u8; TAG_LEN]> {
    let mut tag = [0; TAG_LEN];
    matches!(timeout(TAG_TIMEOUT, recv.read_exact(&mut tag)).await, Ok(Ok(()))).then_some(tag)
}
