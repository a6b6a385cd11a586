//! What travels on a relay's CONNECT-UDP stream: the request, its answer, and
//! datagrams, each behind its length as a big-endian u32.

use std::net::{IpAddr, SocketAddr};

use ant_quic::masque::{ConnectUdpRequest, ConnectUdpResponse, UncompressedDatagram};
use ant_quic::{HighLevelRecvStream, HighLevelSendStream};
use bytes::{Buf, Bytes, BytesMut};

use super::error::ReserveError;

/// The longest frame that a relay takes or sends, without its length.
const FRAME_MAX: usize = 65_536;
/// The longest answer: a status, an address and a reason.
const ANSWER_MAX: usize = 1_024;
/// Context 0 carries the address in each datagram; its varint is one byte.
const CONTEXT: u8 = 0;

/// Appends a datagram for `to` with its length to `out`.
pub(in crate::node) fn push_datagram(out: &mut Vec<u8>, to: SocketAddr, payload: &[u8]) {
    let address = if to.is_ipv4() { 4 } else { 16 };
    let len = 1 + 1 + address + 2 + payload.len();
    out.reserve(4 + len);
    out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
    out.push(CONTEXT);
    match to.ip() {
        IpAddr::V4(ip) => {
            out.push(4);
            out.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            out.push(6);
            out.extend_from_slice(&ip.octets());
        }
    }
    out.extend_from_slice(&to.port().to_be_bytes());
    out.extend_from_slice(payload);
}

/// A frame that announces more than a relay may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::node) struct TooLong;

/// Cuts the stream into datagrams.
#[derive(Debug)]
pub(in crate::node) struct Deframer {
    pub(in crate::node) buffer: BytesMut,
    max: usize,
}

impl Default for Deframer {
    fn default() -> Self {
        Self::up_to(FRAME_MAX)
    }
}

impl Deframer {
    /// Takes frames of at most so many bytes.
    pub(in crate::node) fn up_to(max: usize) -> Self {
        Self { buffer: BytesMut::new(), max }
    }

    /// The next whole datagram: whence and what. What is no datagram is
    /// skipped, as the relay itself does.
    pub(in crate::node) fn next(&mut self) -> Result<Option<(SocketAddr, Bytes)>, TooLong> {
        while let Some((&[a, b, c, d], rest)) = self.buffer.split_first_chunk::<4>() {
            let len = u32::from_be_bytes([a, b, c, d]) as usize;
            if len > self.max {
                return Err(TooLong);
            }
            if rest.len() < len {
                return Ok(None);
            }
            self.buffer.advance(4);
            let mut frame = self.buffer.split_to(len).freeze();
            if let Ok(datagram) = UncompressedDatagram::decode(&mut frame) {
                return Ok(Some((datagram.target, datagram.payload)));
            }
        }
        Ok(None)
    }
}

/// Asks for an address of our own and waits for the answer. The stream stays
/// open: it carries the datagrams from now on.
pub(in crate::node) async fn ask(
    send: &mut HighLevelSendStream,
    recv: &mut HighLevelRecvStream,
) -> Result<SocketAddr, ReserveError> {
    let request = ConnectUdpRequest::bind_any().encode();
    let mut bytes = Vec::with_capacity(4 + request.len());
    bytes.extend_from_slice(&u32::try_from(request.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(&request);
    send.write_all(&bytes).await.map_err(|_| ReserveError::Lost)?;

    let mut len = [0; 4];
    recv.read_exact(&mut len).await.map_err(|_| ReserveError::Lost)?;
    let len = u32::from_be_bytes(len) as usize;
    if len > ANSWER_MAX {
        return Err(ReserveError::Garbled);
    }
    let mut answer = vec![0; len];
    recv.read_exact(&mut answer).await.map_err(|_| ReserveError::Lost)?;
    read_answer(answer)
}

fn read_answer(answer: Vec<u8>) -> Result<SocketAddr, ReserveError> {
    let answer = ConnectUdpResponse::decode(&mut Bytes::from(answer)).map_err(|_| ReserveError::Garbled)?;
    match answer.status {
        200..=299 => answer.proxy_public_address.ok_or(ReserveError::Garbled),
        409 => Err(ReserveError::Taken),
        status => Err(ReserveError::Refused { status }),
    }
}

#[cfg(test)]
mod tests {
    use ant_quic::VarInt;

    use super::*;

    #[test]
    fn datagrams_are_written_as_the_library_writes_them() {
        for to in ["192.0.2.1:4000", "[2001:db8::1]:5000"] {
            let to: SocketAddr = to.parse().unwrap();
            let theirs = UncompressedDatagram::new(VarInt::from_u32(0), to, Bytes::from_static(b"what"));
            let mut ours = Vec::new();
            push_datagram(&mut ours, to, b"what");
            assert_eq!(ours[..4], u32::try_from(theirs.encoded_size()).unwrap().to_be_bytes());
            assert_eq!(ours[4..], theirs.encode()[..]);
        }
    }

    #[test]
    fn datagrams_come_out_whole_however_the_stream_was_cut() {
        let (one, two): (SocketAddr, SocketAddr) =
            ("192.0.2.1:1".parse().unwrap(), "[::1]:2".parse().unwrap());
        let mut stream = Vec::new();
        push_datagram(&mut stream, one, b"one");
        push_datagram(&mut stream, two, b"");
        let mut deframer = Deframer::default();
        let mut found = Vec::new();
        for byte in stream {
            deframer.buffer.extend_from_slice(&[byte]);
            found.extend(deframer.next().unwrap());
        }
        assert_eq!(found, [(one, Bytes::from_static(b"one")), (two, Bytes::new())]);
    }

    #[test]
    fn what_is_no_datagram_is_skipped_and_what_is_too_long_ends_it() {
        let mut deframer = Deframer::default();
        deframer.buffer.extend_from_slice(&[0, 0, 0, 2, 0, 9]);
        let mut good = Vec::new();
        push_datagram(&mut good, "192.0.2.1:1".parse().unwrap(), b"good");
        deframer.buffer.extend_from_slice(&good);
        assert_eq!(deframer.next().unwrap().unwrap().1, "good");
        deframer.buffer.extend_from_slice(&65_537u32.to_be_bytes());
        assert_eq!(deframer.next(), Err(TooLong));
    }

    #[test]
    fn answers_say_why_not() {
        let read = |answer: ConnectUdpResponse| read_answer(answer.encode().to_vec());
        let addr: SocketAddr = "192.0.2.1:1".parse().unwrap();
        assert_eq!(read(ConnectUdpResponse::success(Some(addr))), Ok(addr));
        assert_eq!(read(ConnectUdpResponse::success(None)), Err(ReserveError::Garbled));
        assert_eq!(read(ConnectUdpResponse::error(409, "taken")), Err(ReserveError::Taken));
        assert_eq!(read(ConnectUdpResponse::error(503, "full")), Err(ReserveError::Refused { status: 503 }));
        assert_eq!(read_answer(vec![0]), Err(ReserveError::Garbled));
        assert_eq!(read_answer(vec![0, 200, 1, 4, 127]), Err(ReserveError::Garbled));
    }
}
