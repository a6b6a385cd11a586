//! The beginning of a reservation's stream: a request, and its answer, each behind
//! its length as a big-endian u32.

use std::net::SocketAddr;
use std::time::Duration;

use ant_quic::masque::{ConnectUdpRequest, ConnectUdpResponse};
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use super::Down;
use crate::core::limits::{HELLO_TIMEOUT, SERVED_REQUEST_MAX};
use crate::core::serving::Refusal;

/// An answer fits into what any stream takes at once; who does not take it is not
/// waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Reads a request behind its length, which was read already. Whether it is for an
/// address of ours; `None` if it is no request, too long, or not there in time.
pub(in crate::node) async fn read_request(len: [u8; 4], recv: &mut (impl AsyncRead + Unpin)) -> Option<bool> {
    let len = usize::try_from(u32::from_be_bytes(len)).ok().filter(|len| *len <= SERVED_REQUEST_MAX)?;
    let mut request = vec![0; len];
    timeout(HELLO_TIMEOUT, recv.read_exact(&mut request)).await.ok()?.ok()?;
    let request = ConnectUdpRequest::decode(&mut Bytes::from(request)).ok()?;
    // A port of the client's choice is none that we give away.
    Some(request.is_bind_any())
}

/// Says where the holder is reached. Whether it took that.
pub(super) async fn grant(down: &mut (impl AsyncWrite + Unpin), public_addr: SocketAddr) -> bool {
    say(down, &ConnectUdpResponse::success(Some(public_addr))).await
}

/// Says why there is nothing, and ends the stream.
pub(super) async fn refuse(mut down: Down, why: Refusal) {
    let answer = ConnectUdpResponse::error(why.status(), why.counted_as().words());
    if say(&mut down, &answer).await {
        let _ = timeout(ANSWER_WITHIN, down.shutdown()).await;
    }
}

async fn say(down: &mut (impl AsyncWrite + Unpin), answer: &ConnectUdpResponse) -> bool {
    let answer = answer.encode();
    let mut bytes = Vec::with_capacity(4 + answer.len());
    bytes.extend_from_slice(&u32::try_from(answer.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(&answer);
    matches!(timeout(ANSWER_WITHIN, down.write_all(&bytes)).await, Ok(Ok(())))
}
