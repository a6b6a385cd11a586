//! Checksums of TCP and UDP that a network card would have filled in.
//!
//! The kernel leaves them open on its way to an interface that claims to do
//! them, as virtual ones do. A frame that goes through user space must carry
//! them, or the receiver drops it.

const ETHERNET: usize = 14;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// Fills in the checksum of an unfragmented TCP or UDP packet; leaves all else
/// as it is.
pub(super) fn fill_in(frame: &mut [u8]) {
    let Some((head, packet)) = frame.split_at_mut_checked(ETHERNET) else { return };
    match u16::from_be_bytes([head[12], head[13]]) {
        IPV4 => ipv4(packet),
        IPV6 => ipv6(packet),
        _ => {}
    }
}

fn ipv4(packet: &mut [u8]) {
    let Some(first) = packet.first() else { return };
    let header = usize::from(first & 0x0f) * 4;
    if header < 20 || packet.len() < header {
        return;
    }
    let total = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
    let fragmented = u16::from_be_bytes([packet[6], packet[7]]) & 0x3fff != 0;
    if fragmented || total < header || packet.len() < total {
        return;
    }
    let (head, rest) = packet.split_at_mut(header);
    transport(&head[12..20], head[9], &mut rest[..total - header]);
}

fn ipv6(packet: &mut [u8]) {
    const HEADER: usize = 40;
    if packet.len() < HEADER {
        return;
    }
    let length = usize::from(u16::from_be_bytes([packet[4], packet[5]]));
    let (head, rest) = packet.split_at_mut(HEADER);
    if let Some(segment) = rest.get_mut(..length) {
        transport(&head[8..40], head[6], segment);
    }
}

fn transport(addresses: &[u8], protocol: u8, segment: &mut [u8]) {
    let at = match protocol {
        TCP if segment.len() >= 20 => 16,
        UDP if segment.len() >= 8 => 6,
        _ => return,
    };
    segment[at..at + 2].fill(0);
    let pseudo = sum(addresses) + u64::from(protocol) + segment.len() as u64;
    let mut folded = pseudo + sum(segment);
    while folded > 0xffff {
        folded = (folded & 0xffff) + (folded >> 16);
    }
    let checksum = match !(folded as u16) {
        // In UDP zero means that there is none.
        0 if protocol == UDP => 0xffff,
        other => other,
    };
    segment[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
}

fn sum(bytes: &[u8]) -> u64 {
    let (pairs, odd) = bytes.as_chunks::<2>();
    let pairs: u64 = pairs.iter().map(|pair| u64::from(u16::from_be_bytes(*pair))).sum();
    pairs + odd.first().map_or(0, |last| u64::from(*last) << 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A UDP datagram from 10.0.0.1:1000 to 10.0.0.2:2000, "hello".
    fn datagram() -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend([0x08, 0x00, 0x45, 0, 0, 33, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        frame.extend([0x03, 0xe8, 0x07, 0xd0, 0, 13, 0, 0]);
        frame.extend(b"hello");
        frame
    }

    /// One's complement sum over pseudo header and datagram; 0xffff if right.
    fn verify(frame: &[u8]) -> u64 {
        let mut all = sum(&frame[26..34]) + 17 + 13 + sum(&frame[34..]);
        while all > 0xffff {
            all = (all & 0xffff) + (all >> 16);
        }
        all
    }

    #[test]
    fn an_open_checksum_is_filled_in() {
        let mut frame = datagram();
        assert_ne!(verify(&frame), 0xffff);
        fill_in(&mut frame);
        assert_eq!(verify(&frame), 0xffff);
        let once = frame.clone();
        fill_in(&mut frame);
        assert_eq!(frame, once, "a right one stays");
    }

    #[test]
    fn what_cannot_be_read_is_left_alone() {
        for len in 0..datagram().len() {
            let mut cut = datagram()[..len].to_vec();
            let before = cut.clone();
            fill_in(&mut cut);
            assert_eq!(cut, before, "{len} bytes");
        }
        let mut fragment = datagram();
        fragment[20] = 0x20;
        let before = fragment.clone();
        fill_in(&mut fragment);
        assert_eq!(fragment, before);
    }
}
