//! What a record may say, by the link it came over or goes over.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::core::book::Quarter;
use crate::core::limits::{
    NAME_BYTES_MAX, RECORD_ADDRESSES_MAX, RECORD_HOMES_MAX, RECORD_PORT_MIN, RECORD_RELAYS_MAX,
};
use crate::core::wire::Record;
use crate::model::{clean, plain_addr};

/// What of a link decides which addresses make sense over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkContext {
    /// Loopback addresses are kept: our own bind is loopback.
    pub loopback: bool,
    /// Private and link-local addresses are kept: both ends sit behind one
    /// public address, or the link itself runs over private addresses.
    pub private: bool,
    /// We dialled the link.
    pub outbound: bool,
    /// From where its peer speaks.
    pub from: Quarter,
}

impl LinkContext {
    /// A link to anybody.
    pub const PUBLIC: Self = Self { loopback: false, private: false, outbound: false, from: Quarter::Relay };

    /// The context of a link from our `bind` address to `remote`. `ours` and
    /// `theirs` are the public addresses at which either end is observed.
    pub fn new(bind: IpAddr, remote: IpAddr, ours: &[IpAddr], theirs: &[IpAddr], outbound: bool) -> Self {
        let public = |ip: &IpAddr| classify(ip.to_canonical()) == Class::Public;
        let shared = ours
            .iter()
            .filter(|ip| public(ip))
            .any(|ours| theirs.iter().any(|theirs| theirs.to_canonical() == ours.to_canonical()));
        Self {
            loopback: bind.is_loopback(),
            private: shared || classify(remote.to_canonical()) == Class::Private,
            outbound,
            from: Quarter::of(remote),
        }
    }

    /// Whether an address (made plain before) may be dialled on the word of
    /// this link's peer, or told to it.
    pub fn allows(&self, addr: SocketAddr) -> bool {
        addr.port() >= RECORD_PORT_MIN
            && match classify(addr.ip()) {
                Class::Public => true,
                Class::Private => self.private,
                Class::Loopback => self.loopback,
                Class::Never => false,
            }
    }
}

/// What kind of place an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Public,
    /// Private or link-local: means another host in every network.
    Private,
    Loopback,
    /// Unspecified, multicast, broadcast, reserved or for documentation.
    Never,
}

/// Whether an address means the same host everywhere.
pub fn is_public(ip: IpAddr) -> bool {
    classify(ip.to_canonical()) == Class::Public
}

fn classify(ip: IpAddr) -> Class {
    match ip {
        IpAddr::V4(ip) => classify_v4(ip),
        IpAddr::V6(ip) => classify_v6(ip),
    }
}

/// 100.64/10 (carrier NAT) and 198.18/15 count as public, as in ant-quic.
fn classify_v4(ip: Ipv4Addr) -> Class {
    let [first, ..] = ip.octets();
    if ip.is_loopback() {
        Class::Loopback
    } else if ip.is_private() || ip.is_link_local() {
        Class::Private
    } else if first == 0 || first >= 224 || ip.is_documentation() {
        Class::Never
    } else {
        Class::Public
    }
}

fn classify_v6(ip: Ipv6Addr) -> Class {
    let documentation = ip.segments()[..2] == [0x2001, 0x0db8];
    if ip.is_loopback() {
        Class::Loopback
    } else if ip.is_unique_local() || ip.is_unicast_link_local() {
        Class::Private
    } else if ip.is_unspecified() || ip.is_multicast() || documentation {
        Class::Never
    } else {
        Class::Public
    }
}

/// Holds a record to the rules; what breaks them is taken out. For intake and
/// for sending alike. Returns how many addresses, relays and homes went.
pub fn apply(record: &mut Record, link: &LinkContext) -> u64 {
    let before = parts(record);
    record.name = clean_name(&record.name);

    let mut addresses = Vec::with_capacity(record.addresses.len().min(RECORD_ADDRESSES_MAX));
    for addr in record.addresses.drain(..).map(plain_addr) {
        if addresses.len() < RECORD_ADDRESSES_MAX && link.allows(addr) && !addresses.contains(&addr) {
            addresses.push(addr);
        }
    }
    record.addresses = addresses;

    let mut relays = Vec::with_capacity(record.relays.len().min(RECORD_RELAYS_MAX));
    for mut relay in record.relays.drain(..) {
        relay.addr = plain_addr(relay.addr);
        let fits = relay.relay != record.peer && link.allows(relay.addr) && !relays.contains(&relay);
        if relays.len() < RECORD_RELAYS_MAX && fits {
            relays.push(relay);
        }
    }
    record.relays = relays;

    let mut homes = Vec::with_capacity(record.homes.len().min(RECORD_HOMES_MAX));
    for home in record.homes.drain(..) {
        if homes.len() < RECORD_HOMES_MAX && home != record.peer && !homes.contains(&home) {
            homes.push(home);
        }
    }
    record.homes = homes;
    before - parts(record)
}

fn parts(record: &Record) -> u64 {
    (record.addresses.len() + record.relays.len() + record.homes.len()) as u64
}

/// A peer's name as it may be kept and shown: cleaned, and short in bytes too.
pub fn clean_name(name: &str) -> String {
    let mut name = clean(name);
    if name.len() > NAME_BYTES_MAX {
        let cut = (0..=NAME_BYTES_MAX).rev().find(|at| name.is_char_boundary(*at)).unwrap_or(0);
        name.truncate(name[..cut].trim_end_matches(' ').len());
    }
    name
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::core::wire::{RelayAddr, strategies};
    use crate::model::PeerId;

    const OUTSIDE: LinkContext = LinkContext { outbound: true, ..LinkContext::PUBLIC };

    fn kept(addresses: &[&str], link: LinkContext) -> Vec<String> {
        let addresses = addresses.iter().map(|a| a.parse().unwrap()).collect();
        let mut record = Record { addresses, ..Record::new(PeerId([1; 32]), 1) };
        apply(&mut record, &link);
        record.addresses.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn addresses_that_nobody_outside_can_mean_are_dropped() {
        let never = [
            "0.0.0.0:2000",
            "[::]:2000",
            "224.0.0.1:2000",
            "[ff02::1]:2000",
            "255.255.255.255:2000",
            "240.0.0.1:2000",
            "203.0.113.1:2000",
            "[2001:db8::1]:2000",
        ];
        let anything = LinkContext { loopback: true, private: true, ..OUTSIDE };
        assert!(kept(&never, anything).is_empty());
        assert_eq!(kept(&["100.64.0.1:2000", "198.18.0.1:2000", "8.8.8.8:2000"], OUTSIDE).len(), 3);
    }

    #[test]
    fn well_known_ports_are_never_aimed_at() {
        assert_eq!(kept(&["8.8.8.8:1023", "8.8.8.8:53", "8.8.8.8:1024"], OUTSIDE), ["8.8.8.8:1024"]);
    }

    #[test]
    fn loopback_is_kept_only_where_our_own_bind_is_loopback() {
        let addrs = ["127.0.0.1:2000", "[::1]:2000", "[::ffff:127.0.0.1]:2001"];
        assert!(kept(&addrs, OUTSIDE).is_empty());
        assert_eq!(kept(&addrs, LinkContext { loopback: true, ..OUTSIDE }).len(), 3);
    }

    #[test]
    fn private_addresses_are_kept_only_between_ends_that_share_a_network() {
        let addrs =
            ["10.0.0.1:2000", "192.168.1.1:2000", "169.254.0.1:2000", "[fe80::1]:2000", "[fd00::1]:2000"];
        assert!(kept(&addrs, OUTSIDE).is_empty());
        assert_eq!(kept(&addrs, LinkContext { private: true, ..OUTSIDE }).len(), 5);

        let ip = |s: &str| s.parse::<IpAddr>().unwrap();
        let context = |remote, ours: &str, theirs: &str| {
            LinkContext::new(ip("0.0.0.0"), ip(remote), &[ip(ours)], &[ip(theirs)], true)
        };
        assert!(!context("198.18.0.9", "198.18.0.1", "198.18.0.2").private);
        assert!(context("198.18.0.9", "198.18.0.1", "::ffff:198.18.0.1").private, "one public address");
        assert!(context("192.168.1.7", "198.18.0.1", "198.18.0.2").private, "a private link");
        assert!(
            !context("198.18.0.9", "10.0.0.1", "10.0.0.1").private,
            "a shared private address says nothing"
        );
    }

    #[test]
    fn mapped_addresses_are_made_plain_and_duplicates_dropped() {
        assert_eq!(kept(&["[::ffff:8.8.8.8]:2000", "8.8.8.8:2000"], OUTSIDE), ["8.8.8.8:2000"]);
    }

    #[test]
    fn no_list_is_longer_than_its_limit_and_none_names_its_subject() {
        let me = PeerId([1; 32]);
        let relay = |n: u8| RelayAddr { relay: PeerId([n; 32]), addr: ([8, 8, 8, n], 2000).into() };
        let mut record = Record {
            addresses: (0..30).map(|n| ([8, 8, 4, n], 2000).into()).collect(),
            relays: (0..30).map(relay).collect(),
            homes: (0..30).map(|n| PeerId([n; 32])).collect(),
            name: "界".repeat(64),
            ..Record::new(me, 1)
        };
        let dropped = apply(&mut record, &OUTSIDE);
        assert_eq!(record.addresses.len(), RECORD_ADDRESSES_MAX);
        assert_eq!(record.relays.len(), RECORD_RELAYS_MAX);
        assert_eq!(record.homes.len(), RECORD_HOMES_MAX);
        assert!(!record.homes.contains(&me) && record.relays.iter().all(|r| r.relay != me));
        assert!(record.name.len() <= NAME_BYTES_MAX);
        assert_eq!(dropped, 90 - 8 - 4 - 3);
    }

    #[test]
    fn what_would_move_the_cursor_is_an_escape_in_a_name() {
        assert_eq!(clean_name("a\x1b[2Jb"), r"a\u{1b}[2Jb");
    }

    proptest! {
        #[test]
        fn the_rules_leave_nothing_to_apply_twice(record in strategies::record(), l: bool, p: bool) {
            let link = LinkContext { loopback: l, private: p, ..OUTSIDE };
            let mut once = record;
            apply(&mut once, &link);
            let mut twice = once.clone();
            prop_assert_eq!(apply(&mut twice, &link), 0);
            prop_assert_eq!(twice, once);
        }
    }
}
