use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;

use super::super::{Dropped, Gate, Ground};
use super::{ms, secs};
use crate::core::limits::{
    SERVED_ADDRESSES_MAX, SERVED_BURST, SERVED_BYTES_PER_SECOND, SERVED_DATAGRAM_MAX, SERVED_HEARD,
    SERVED_UNPROVEN_BYTES,
};
use crate::core::{Mono, serving::Traffic};

const OWN: &str = "198.18.0.1";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Of a host with an address of its own, as it listens on all of them.
fn gate() -> Gate {
    Gate::new(Ground::new([ip(OWN), ip("10.0.0.1")], ip("::")), Mono::default())
}

#[test]
fn a_datagram_leaves_only_towards_an_address_and_port_that_sent_something_in() {
    let mut gate = gate();
    let heard = at("198.18.9.9:4000");
    assert_eq!(gate.may_go(heard, 1, ms(0)), Err(Dropped::Unheard));
    gate.came(heard, 1, ms(1)).unwrap();
    assert_eq!(gate.may_go(heard, 1, ms(2)), Ok(()));
    assert_eq!(gate.may_go(at("198.18.9.9:4001"), 1, ms(2)), Err(Dropped::Unheard), "another port");
    assert_eq!(gate.may_go(at("198.18.9.8:4000"), 1, ms(2)), Err(Dropped::Unheard), "another host");
    assert_eq!(gate.may_go(at("[::ffff:198.18.9.9]:4000"), 1, ms(2)), Ok(()), "the same, mapped");
    assert_eq!(gate.traffic().drops.of(Dropped::Unheard), 3);
}

#[test]
fn who_was_silent_for_a_minute_gets_nothing_more() {
    let mut gate = gate();
    let peer = at("198.18.9.9:4000");
    gate.came(peer, 1, ms(0)).unwrap();
    let minute = Mono(SERVED_HEARD);
    assert_eq!(gate.may_go(peer, 1, minute), Ok(()));
    assert_eq!(gate.may_go(peer, 1, minute + std::time::Duration::from_millis(1)), Err(Dropped::Unheard));
    gate.came(peer, 1, secs(70)).unwrap();
    assert_eq!(gate.may_go(peer, 1, secs(71)), Ok(()));
}

#[test]
fn who_has_not_answered_gets_eight_kilobytes_and_no_more() {
    let mut gate = gate();
    let forged = at("198.18.9.9:4000");
    // However often the forger sends before anything went there.
    for n in 0..5 {
        gate.came(forged, 1_200, ms(n)).unwrap();
    }
    let sent: u64 = (0..100).filter(|_| gate.may_go(forged, 1_024, ms(10)).is_ok()).count() as u64 * 1_024;
    assert_eq!(sent, SERVED_UNPROVEN_BYTES);
    assert_eq!(gate.may_go(forged, 1, ms(11)), Err(Dropped::Unproven));
    // Whoever it is answers: so it is there.
    gate.came(forged, 40, ms(12)).unwrap();
    assert!((0..100).all(|_| gate.may_go(forged, 1_024, ms(13)).is_ok()));
}

#[test]
fn who_answered_long_ago_has_to_answer_again() {
    let mut gate = gate();
    let peer = at("198.18.9.9:4000");
    gate.came(peer, 1, ms(0)).unwrap();
    gate.may_go(peer, 1, ms(1)).unwrap();
    gate.came(peer, 1, ms(2)).unwrap();
    gate.came(peer, 1, secs(100)).unwrap();
    let passed = (0..100).filter(|_| gate.may_go(peer, 1_024, secs(101)).is_ok()).count();
    assert_eq!(passed, 8, "somebody else may have the address by now");
}

#[test]
fn nothing_goes_to_this_host_or_to_no_host_whoever_sent_from_there() {
    let nowhere = [
        "127.0.0.1:9",
        "127.3.4.5:9",
        "[::1]:9",
        "[::ffff:127.0.0.1]:9",
        "0.0.0.0:9",
        "[::]:9",
        "224.0.0.251:5353",
        "[ff02::fb]:5353",
        "255.255.255.255:9",
        "198.18.0.1:22",
        "[::ffff:198.18.0.1]:22",
        "10.0.0.1:22",
    ];
    for to in nowhere {
        let mut gate = gate();
        gate.came(at(to), 100, ms(0)).unwrap();
        assert_eq!(gate.may_go(at(to), 1, ms(1)), Err(Dropped::Forbidden), "{to}");
    }
}

#[test]
fn a_node_on_loopback_serves_loopback_and_still_nobody_at_all() {
    let mut gate = Gate::new(Ground::new([ip("127.0.0.1")], ip("127.0.0.1")), ms(0));
    for (to, goes) in [("127.0.0.1:9", true), ("0.0.0.0:9", false), ("224.0.0.1:9", false)] {
        gate.came(at(to), 1, ms(0)).unwrap();
        assert_eq!(gate.may_go(at(to), 1, ms(1)).is_ok(), goes, "{to}");
    }
}

#[test]
fn a_private_address_gets_something_only_if_it_sent_something_in() {
    for private in ["10.1.2.3:4000", "192.168.1.1:4000", "169.254.1.1:4000", "[fd00::1]:4000"] {
        let mut gate = gate();
        assert_eq!(gate.may_go(at(private), 1, ms(0)), Err(Dropped::Unheard), "{private}");
        gate.came(at(private), 1, ms(0)).unwrap();
        assert_eq!(gate.may_go(at(private), 1, ms(1)), Ok(()), "{private}");
    }
}

#[test]
fn the_addresses_of_this_host_are_those_of_now() {
    let mut gate = gate();
    let new = at("198.18.7.7:22");
    gate.came(new, 1, ms(0)).unwrap();
    assert_eq!(gate.may_go(new, 1, ms(1)), Ok(()));
    gate.set_own([new.ip()]);
    assert_eq!(gate.may_go(new, 1, ms(2)), Err(Dropped::Forbidden));
}

#[test]
fn each_way_carries_its_burst_and_then_its_rate() {
    let mut gate = gate();
    let peer = at("198.18.9.9:4000");
    gate.came(peer, 1_000, ms(0)).unwrap();
    gate.may_go(peer, 1_000, ms(0)).unwrap();
    gate.came(peer, 1_000, ms(0)).unwrap();
    let count = |gate: &mut Gate, out: bool, now: Mono| {
        let pass =
            |gate: &mut Gate| if out { gate.may_go(peer, 1_000, now) } else { gate.came(peer, 1_000, now) };
        (0..10_000).take_while(|_| pass(gate).is_ok()).count() as f64 * 1_000.0
    };
    for (out, before) in [(true, 1_000.0), (false, 2_000.0)] {
        let burst = count(&mut gate, out, ms(0)) + before;
        assert!((SERVED_BURST - 1_000.0..=SERVED_BURST).contains(&burst), "{out}: {burst}");
        let a_second = count(&mut gate, out, ms(1_000));
        assert!((a_second - SERVED_BYTES_PER_SECOND).abs() <= 1_000.0, "{out}: {a_second}");
    }
    let drops = gate.traffic().drops;
    assert!(drops.of(Dropped::FastOut) > 0 && drops.of(Dropped::FastIn) > 0);
    assert_eq!(drops.total(), drops.of(Dropped::FastOut) + drops.of(Dropped::FastIn));
}

#[test]
fn a_datagram_that_is_longer_than_we_carry_is_dropped_both_ways() {
    let mut gate = gate();
    let peer = at("198.18.9.9:4000");
    assert_eq!(gate.came(peer, SERVED_DATAGRAM_MAX + 1, ms(0)), Err(Dropped::TooLong));
    assert_eq!(gate.may_go(peer, 1, ms(0)), Err(Dropped::Unheard), "what is dropped was not heard");
    gate.came(peer, SERVED_DATAGRAM_MAX, ms(1)).unwrap();
    assert_eq!(gate.may_go(peer, SERVED_DATAGRAM_MAX + 1, ms(1)), Err(Dropped::TooLong));
    assert_eq!(gate.may_go(peer, SERVED_DATAGRAM_MAX, ms(1)), Ok(()));
    let Traffic { bytes_tx, bytes_rx, .. } = gate.traffic();
    assert_eq!((bytes_tx, bytes_rx), (SERVED_DATAGRAM_MAX as u64, SERVED_DATAGRAM_MAX as u64));
}

#[test]
fn addresses_are_few_and_made_up_ones_drive_out_nobody_who_answered() {
    let mut gate = gate();
    let peer = at("198.18.9.9:4000");
    gate.came(peer, 1, ms(0)).unwrap();
    gate.may_go(peer, 1, ms(1)).unwrap();
    gate.came(peer, 1, ms(2)).unwrap();
    for n in 0..10_000_u32 {
        let [_, a, b, c] = n.to_be_bytes();
        gate.came((IpAddr::from([203, a, b, c]), 4_000).into(), 1, ms(10)).unwrap();
    }
    assert_eq!(gate.remembered(), SERVED_ADDRESSES_MAX);
    assert_eq!(gate.may_go(peer, 1, ms(11)), Ok(()));
    let last = (IpAddr::from([203, 0, 39, 15]), 4_000).into();
    assert_eq!(gate.may_go(last, 1, ms(11)), Ok(()), "the newest of them is known");
    let first = (IpAddr::from([203, 0, 0, 0]), 4_000).into();
    assert_eq!(gate.may_go(first, 1, ms(11)), Err(Dropped::Unheard));
}

/// What somebody does with a reservation.
#[derive(Debug, Clone)]
enum Step {
    Came { from: usize, len: usize },
    Goes { to: usize, len: usize },
    Waits { ms: u64 },
}

const PLACES: [&str; 6] = [
    "198.18.9.9:4000",
    "198.18.9.9:4001",
    "10.3.3.3:4000",
    "127.0.0.1:4000",
    "198.18.0.1:4000",
    "[2001:db8::9]:4000",
];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..PLACES.len(), 0_usize..2_000).prop_map(|(from, len)| Step::Came { from, len }),
        (0..PLACES.len(), 0_usize..2_000).prop_map(|(to, len)| Step::Goes { to, len }),
        (0_u64..40_000).prop_map(|ms| Step::Waits { ms }),
    ]
}

proptest! {
    #[test]
    fn whatever_is_tried_no_rule_is_broken(steps in proptest::collection::vec(step(), 1..400)) {
        let mut gate = gate();
        let (mut now, mut out, mut came_in) = (0_u64, 0_u64, 0_u64);
        // By place: when it was heard last, and what went there since it last was.
        let mut heard: BTreeMap<usize, (u64, u64, bool)> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Waits { ms } => now += ms,
                Step::Came { from, len } => {
                    if gate.came(at(PLACES[from]), len, ms(now)).is_ok() {
                        prop_assert!(len <= SERVED_DATAGRAM_MAX);
                        came_in += len as u64;
                        let fresh = (now, 0, false);
                        let known = heard.entry(from).or_insert(fresh);
                        if now - known.0 > 60_000 {
                            *known = fresh;
                        }
                        *known = (now, known.1, known.2 || known.1 > 0);
                    }
                }
                Step::Goes { to, len } => {
                    if gate.may_go(at(PLACES[to]), len, ms(now)).is_ok() {
                        prop_assert!(len <= SERVED_DATAGRAM_MAX);
                        prop_assert!(!matches!(to, 3 | 4), "to this host");
                        let known = heard.get_mut(&to);
                        prop_assert!(known.is_some(), "never heard");
                        let (last, sent, proven) = known.unwrap();
                        prop_assert!(now - *last <= 60_000, "heard too long ago");
                        *sent += len as u64;
                        prop_assert!(*proven || *sent <= SERVED_UNPROVEN_BYTES, "unproven");
                        out += len as u64;
                    }
                }
            }
            let most = SERVED_BURST + SERVED_BYTES_PER_SECOND * now as f64 / 1e3 + 1.0;
            prop_assert!(out as f64 <= most && came_in as f64 <= most);
        }
        let traffic = gate.traffic();
        prop_assert_eq!((traffic.bytes_tx, traffic.bytes_rx), (out, came_in));
    }
}
