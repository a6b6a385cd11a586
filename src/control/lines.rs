//! JSON lines over a stream, bounded both ways.

use std::io;
use std::time::Duration;

use futures_util::StreamExt as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_util::codec::{FramedRead, LinesCodec, LinesCodecError};

/// Reads lines.
#[derive(Debug)]
pub(super) struct Reader<R> {
    lines: FramedRead<R, LinesCodec>,
    max: usize,
    /// Bytes that came in whole lines.
    taken: u64,
}

/// Why there is no next line.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// Longer than allowed.
    #[error("a line of more than {max} bytes")]
    TooLong {
        /// How long it may be.
        max: usize,
    },
    /// Not what was expected.
    #[error("{0}")]
    Malformed(String),
    /// The stream.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub(super) fn new(stream: R, max: usize) -> Self {
        Self { lines: FramedRead::new(stream, LinesCodec::new_with_max_length(max)), max, taken: 0 }
    }

    /// Bytes that came so far.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// The next line; `None` at the end. May be given up while it waits.
    pub(super) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ReadError> {
        match self.lines.next().await {
            None => Ok(None),
            Some(Ok(line)) => {
                self.taken += line.len() as u64 + 1;
                serde_json::from_str(&line).map(Some).map_err(|e| ReadError::Malformed(e.to_string()))
            }
            Some(Err(LinesCodecError::MaxLineLengthExceeded)) => Err(ReadError::TooLong { max: self.max }),
            // What is no UTF-8 is no JSON either.
            Some(Err(LinesCodecError::Io(e))) if e.kind() == io::ErrorKind::InvalidData => {
                Err(ReadError::Malformed(e.to_string()))
            }
            Some(Err(LinesCodecError::Io(e))) => Err(e.into()),
        }
    }
}

/// A value as a line.
pub(super) fn line(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}

/// Writes a line, or fails once that takes longer than allowed: half a line is
/// then out, and the stream is of no more use.
pub(super) async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    line: &[u8],
    within: Duration,
) -> io::Result<()> {
    match tokio::time::timeout(within, stream.write_all(line)).await {
        Ok(written) => written,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}
