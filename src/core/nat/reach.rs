//! Whether a peer that claims to be public can be reached unasked: a dial from
//! a socket that has never contacted anybody.
//!
//! The dial is a QUIC packet of a version that does not exist. Whoever listens
//! there for QUIC has to answer it with Version Negotiation (RFC 9000, 6.1) and
//! to repeat its connection ids, which nobody else can know. So it proves that
//! the node's own port is open to strangers, not only some other port of its
//! host, and costs neither a handshake nor a key. Who listens there it does not
//! prove; that did the link, over which the peer is authenticated at this very
//! address.

/// Bytes of the packet: a shorter one need not be answered.
pub const PACKET_LEN: usize = 1200;
/// Bytes of each connection id.
const CID: usize = 16;
/// A version of the pattern that is kept for this (RFC 9000, 15).
const NO_VERSION: [u8; 4] = [0x1a, 0x2a, 0x3a, 0x4a];
/// Long header with the fixed bit.
const FIRST: u8 = 0xc0;
/// The highest bit alone says that it is a long header (RFC 8999).
const LONG: u8 = 0x80;

/// What names a dial: the connection ids, destination and source.
pub type Name = [u8; 2 * CID];

/// The packet to send.
pub fn packet(name: &Name) -> Vec<u8> {
    let mut out = vec![FIRST];
    out.extend_from_slice(&NO_VERSION);
    for cid in name.chunks(CID) {
        out.push(CID as u8);
        out.extend_from_slice(cid);
    }
    out.resize(PACKET_LEN, 0);
    out
}

/// Whether this is the answer to that packet.
pub fn is_answer(bytes: &[u8], name: &Name) -> bool {
    // Theirs come back the other way round.
    let (destination, source) = name.split_at(CID);
    let mut expected = vec![0, 0, 0, 0];
    for cid in [source, destination] {
        expected.push(CID as u8);
        expected.extend_from_slice(cid);
    }
    bytes.first().is_some_and(|first| first & LONG != 0) && bytes[1..].starts_with(&expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> Name {
        std::array::from_fn(|n| n as u8)
    }

    fn answer(name: &Name) -> Vec<u8> {
        let mut out = vec![0x80, 0, 0, 0, 0, 16];
        out.extend_from_slice(&name[16..]);
        out.push(16);
        out.extend_from_slice(&name[..16]);
        out.extend_from_slice(&[0, 0, 0, 1]);
        out
    }

    #[test]
    fn the_packet_is_long_enough_to_have_to_be_answered() {
        let packet = packet(&name());
        assert_eq!(packet.len(), PACKET_LEN);
        assert_eq!(packet[5], 16);
        assert_eq!(packet[6..22], name()[..16]);
    }

    #[test]
    fn only_the_answer_to_this_very_packet_counts() {
        assert!(is_answer(&answer(&name()), &name()));
        let mut other = name();
        other[31] ^= 1;
        assert!(!is_answer(&answer(&other), &name()));
        assert!(!is_answer(&packet(&name()), &name()), "not our own packet coming back");
        for cut in 0..39 {
            assert!(!is_answer(&answer(&name())[..cut], &name()));
        }
    }
}
