//! Control streams: bytes to frames and frames to bytes, one task each way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ant_quic::{HighLevelRecvStream, HighLevelSendStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::core::limits::{HELLO_TIMEOUT, WRITE_WAITING_MAX};
use crate::core::wire::{Frame, FrameReader, HEADER_LEN, WireError};

/// Frames waiting to be written: what counts is their bytes, and this only has to
/// be large enough not to be the tighter limit.
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

    /// What a control stream begins with: a Hello, or a nonce in a closed fleet. It
    /// must come soon.
    pub(super) async fn first(&mut self) -> Result<(Frame, usize), StreamEnd> {
        match tokio::time::timeout(HELLO_TIMEOUT, self.next()).await {
            Ok(Ok((frame @ (Frame::Hello(_) | Frame::Nonce { .. }), len))) => Ok((frame, len)),
            Ok(Ok(_)) => Err(StreamEnd::Malformed),
            Ok(Err(end)) => Err(end),
            Err(_) => Err(StreamEnd::Closed),
        }
    }
}

/// The peer takes too little of what it has us say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

/// Writes frames to a stream, in a task of its own.
pub(super) struct FrameWriter {
    frames: mpsc::Sender<Vec<u8>>,
    /// Bytes of those that are not written.
    waiting: Arc<AtomicUsize>,
}

impl FrameWriter {
    /// Starts the task.
    pub(super) fn spawn(mut send: HighLevelSendStream) -> Self {
        let (frames, mut rx) = mpsc::channel::<Vec<u8>>(WRITE_BACKLOG);
        let waiting = Arc::new(AtomicUsize::new(0));
        let left = Arc::clone(&waiting);
        tokio::spawn(async move {
            while let Some(bytes) = rx.recv().await {
                let write = tokio::time::timeout(WRITE_STUCK, AsyncWriteExt::write_all(&mut send, &bytes));
                if !matches!(write.await, Ok(Ok(()))) {
                    break;
                }
                left.fetch_sub(bytes.len(), Ordering::Relaxed);
            }
            // The reader tells of the end; finishing an already dead stream is
            // no news.
            let _ = send.finish();
        });
        Self { frames, waiting }
    }

    /// Queues bytes. Whether the stream still stands shows when it is read.
    pub(super) fn write(&self, bytes: Vec<u8>) -> Result<(), Full> {
        let len = bytes.len();
        if self.waiting.fetch_add(len, Ordering::Relaxed) + len > WRITE_WAITING_MAX {
            return Err(Full);
        }
        match self.frames.try_send(bytes) {
            Err(mpsc::error::TrySendError::Full(_)) => Err(Full),
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
        }
    }
}
