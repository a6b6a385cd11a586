//! Control streams: bytes to frames and frames to bytes, one task each way.

use std::time::Duration;

use ant_quic::{HighLevelRecvStream, HighLevelSendStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::core::limits::HELLO_TIMEOUT;
use crate::core::wire::{Frame, FrameReader, HEADER_LEN, Hello, WireError};

/// Frames waiting to be written. What a link keeps is bounded in bytes by its
/// session; this only has to be large enough not to be the tighter limit.
const WRITE_BACKLOG: usize = 4096;
/// Read at once.
const CHUNK: usize = 16 * 1024;
/// A stream that takes nothing for this long is stuck; heartbeats would have
/// declared the link dead by then.
const WRITE_STUCK: Duration = Duration::from_secs(30);

/// Why a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamEnd {
    /// A frame cannot be read, or is longer than it may be.
    Malformed,
    /// It was closed, or its connection was.
    Closed,
}

impl From<WireError> for StreamEnd {
    fn from(_: WireError) -> Self {
        Self::Malformed
    }
}

/// Reads frames.
pub(super) struct FrameStream {
    recv: HighLevelRecvStream,
    reader: FrameReader,
    chunk: Box<[u8]>,
}

impl FrameStream {
    pub(super) fn new(recv: HighLevelRecvStream) -> Self {
        Self { recv, reader: FrameReader::new(), chunk: vec![0; CHUNK].into() }
    }

    /// A stream whose first bytes were read already, to see what it is for.
    pub(super) fn after(head: &[u8], recv: HighLevelRecvStream) -> Self {
        let mut stream = Self::new(recv);
        stream.reader.push(head);
        stream
    }

    /// The next frame and its length on the wire.
    pub(super) async fn next(&mut self) -> Result<(Frame, usize), StreamEnd> {
        loop {
            if let Some(raw) = self.reader.next()? {
                let len = HEADER_LEN + raw.body.len();
                return Ok((Frame::decode(&raw)?, len));
            }
            match AsyncReadExt::read(&mut self.recv, &mut self.chunk).await {
                Ok(0) | Err(_) => return Err(StreamEnd::Closed),
                Ok(n) => self.reader.push(&self.chunk[..n]),
            }
        }
    }

    /// The peer's Hello, which must be the first frame and come soon.
    pub(super) async fn hello(&mut self) -> Result<(Box<Hello>, usize), StreamEnd> {
        match tokio::time::timeout(HELLO_TIMEOUT, self.next()).await {
            Ok(Ok((Frame::Hello(hello), len))) => Ok((hello, len)),
            Ok(Ok(_)) => Err(StreamEnd::Malformed),
            Ok(Err(end)) => Err(end),
            Err(_) => Err(StreamEnd::Closed),
        }
    }
}

/// Starts the writing task of a stream.
pub(super) fn spawn_writer(mut send: HighLevelSendStream) -> mpsc::Sender<Vec<u8>> {
    let (tx, mut rx) = mpsc::channel::<Vec<u8>>(WRITE_BACKLOG);
    tokio::spawn(async move {
        while let Some(bytes) = rx.recv().await {
            let write = tokio::time::timeout(WRITE_STUCK, AsyncWriteExt::write_all(&mut send, &bytes));
            if !matches!(write.await, Ok(Ok(()))) {
                break;
            }
        }
        // The reader tells of the end; finishing an already dead stream is
        // no news.
        let _ = send.finish();
    });
    tx
}
