//! Frame borders: from a stream of bytes to bodies of known type and length.

use super::{WireError, kind};
use crate::core::limits::{FRAME_MAX, PAGE_FRAME_MAX};

/// Bytes of a frame's header: length and type.
pub const HEADER_LEN: usize = 6;
/// Bytes of the length field, which does not count itself.
const LENGTH_LEN: usize = 4;
/// Bytes of the type field, the least a length can announce.
const KIND_LEN: usize = 2;

/// The longest frame of a type, header included, in bytes. Types nobody here
/// knows get the smaller limit.
pub fn frame_limit(kind: u16) -> usize {
    match kind {
        kind::FULL_SYNC | kind::DIGEST_PAGE => PAGE_FRAME_MAX,
        _ => FRAME_MAX,
    }
}

/// Whether a header is that of a first frame: then its stream is a control stream.
pub fn is_first(header: &[u8; HEADER_LEN]) -> bool {
    [kind::HELLO, kind::NONCE].iter().any(|kind| header[LENGTH_LEN..] == kind.to_be_bytes())
}

/// A frame whose body was not looked at yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawFrame {
    /// Its type.
    pub kind: u16,
    /// Its body, without header.
    pub body: Vec<u8>,
}

/// Cuts a stream into frames.
///
/// A frame that announces too much is refused as soon as its header is there,
/// before its body is waited for. After an error the reader yields that error
/// for ever and keeps nothing that is pushed.
#[derive(Debug, Default)]
pub struct FrameReader {
    buffer: Vec<u8>,
    /// Where the next frame begins in `buffer`.
    start: usize,
    failed: Option<WireError>,
}

impl FrameReader {
    /// An empty reader.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes in. Call [`FrameReader::next`] until it yields `None`
    /// before the next push: then no more is held than one frame and one
    /// chunk.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.failed.is_some() {
            return;
        }
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame; `None` if there is none yet.
    ///
    /// # Errors
    /// [`WireError`] if the header announces too much, or less than a type.
    #[allow(clippy::should_implement_trait)] // it is fallible and may yield again after `None`
    pub fn next(&mut self) -> Result<Option<RawFrame>, WireError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let pending = &self.buffer[self.start..];
        let Some((&[l0, l1, l2, l3, k0, k1], rest)) = pending.split_first_chunk::<HEADER_LEN>() else {
            return Ok(None);
        };
        let announced = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
        let kind = u16::from_be_bytes([k0, k1]);
        let len = announced.saturating_add(LENGTH_LEN);
        let max = frame_limit(kind);
        if announced < KIND_LEN {
            return Err(self.fail(WireError::Malformed { kind }));
        }
        if len > max {
            return Err(self.fail(WireError::TooLong { kind, len, max }));
        }
        let Some(body) = rest.get(..announced - KIND_LEN) else {
            return Ok(None);
        };
        let body = body.to_vec();
        self.start += len;
        if self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
        }
        Ok(Some(RawFrame { kind, body }))
    }

    /// Bytes held for frames that are not whole yet.
    pub fn buffered(&self) -> usize {
        self.buffer.len() - self.start
    }

    fn fail(&mut self, error: WireError) -> WireError {
        self.failed = Some(error);
        self.buffer = Vec::new();
        self.start = 0;
        error
    }
}

/// Starts a frame: a header whose length [`finish`] fills in.
pub(super) fn begin(kind: u16) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    out.extend_from_slice(&[0; LENGTH_LEN]);
    out.extend_from_slice(&kind.to_be_bytes());
    out
}

/// Fills in the length and holds the frame to its limit.
pub(super) fn finish(kind: u16, mut frame: Vec<u8>) -> Result<Vec<u8>, WireError> {
    let (len, max) = (frame.len(), frame_limit(kind));
    if len > max {
        return Err(WireError::TooLong { kind, len, max });
    }
    let announced = u32::try_from(len - LENGTH_LEN).map_err(|_| WireError::TooLong { kind, len, max })?;
    frame[..LENGTH_LEN].copy_from_slice(&announced.to_be_bytes());
    Ok(frame)
}
