//! What a link costs that carries nothing, and how soon its end is noticed.

use super::*;
use crate::core::limits::LINKS_MAX;

/// Of a packet with IPv6, UDP and QUIC headers, that is not ours.
const PACKET: u64 = 75;
/// A ping, its answer with the acknowledgement of the ping, and that of the
/// answer.
const PACKETS: u64 = 3;

/// What an idle link of a node with so many costs in a minute, both ways.
fn bytes_a_minute(links: usize, path: Path) -> u64 {
    let mut pair = Pair::new();
    pair.connect(1, 0, path);
    pair.run();
    for end in 0..2 {
        let now = pair.now.mono;
        pair.ends[end].set_pace(false, links, now);
    }
    pair.wait(10_000);
    let frames = |pair: &Pair| pair.ends.iter().map(|e| e.status().unwrap().bytes_tx).sum::<u64>();
    let before = frames(&pair);
    pair.wait(60_000);
    let spent = frames(&pair) - before;
    let ping = Frame::Ping { token: 1_000 }.encode().unwrap().len() as u64;
    spent + spent.div_ceil(2 * ping) * PACKETS * PACKET
}

#[test]
fn an_idle_link_of_a_node_with_few_links_costs_at_most_200_bytes_a_second() {
    for links in [1, 64] {
        for path in [Path::Direct, Path::Punched] {
            let bytes = bytes_a_minute(links, path);
            assert!(bytes > 60, "it is watched");
            assert!(bytes <= 200 * 60, "{links} links, {path}: {bytes} bytes a minute");
        }
    }
}

#[test]
fn all_the_links_that_a_node_may_have_cost_no_more_than_twice_as_much_as_64() {
    let many = bytes_a_minute(LINKS_MAX, Path::Direct) * LINKS_MAX as u64;
    let few = bytes_a_minute(64, Path::Direct) * 64;
    assert!(many <= few * 2, "{many} and {few}");
}

#[test]
fn a_killed_peer_is_noticed_within_three_seconds_whenever_it_is_killed() {
    for path in [Path::Direct, Path::Punched] {
        for after in (0..2_000).step_by(100) {
            let mut pair = Pair::new();
            pair.connect(1, 0, path);
            pair.run();
            pair.wait(20_000 + after);
            pair.mute = true;
            pair.wait(3_000);
            assert!(!pair.ends[0].is_up(), "killed {after} ms later");
        }
    }
}
