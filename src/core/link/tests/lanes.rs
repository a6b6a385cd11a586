//! Links over relays: noticed soon, moved, and fallen back on.

use super::*;

#[test]
fn a_link_falls_back_on_the_lane_it_left_and_loses_nothing() {
    for dialler in [0, 1] {
        let mut pair = Pair::new();
        pair.connect(1, dialler, Path::Relayed);
        pair.run();
        pair.connect(2, dialler, Path::Punched);
        pair.run();
        assert_eq!(pair.ends[1].status().unwrap().info.path, Path::Punched);
        pair.wait(5_000);
        pair.send(0, 1);
        pair.send(1, 2);
        pair.breaks(2);
        pair.send(0, 3);
        pair.run();
        assert_eq!(pair.ends[0].status().unwrap().info.path, Path::Relayed);
        assert_eq!(pair.ends[1].status().unwrap().info.path, Path::Relayed);
        assert_eq!((pair.got(1), pair.got(0)), (vec![1, 3], vec![2]));
        for end in 0..2 {
            let back =
                |o: &LinkOut| matches!(o, LinkOut::Moved { from: Path::Punched, to: Path::Relayed, .. });
            assert!(pair.told[end].iter().any(back));
            assert!(!pair.told[end].iter().any(|o| matches!(o, LinkOut::Down(_))), "it was never down");
        }
        // In use again, it is a spare no more.
        pair.wait(60_000);
        assert!(pair.ends.iter().all(Link::is_up));
    }
}

/// Both ends of a link with a peer that speaks the version before.
fn old_pair() -> Pair {
    let mut pair = Pair::new();
    pair.old = true;
    pair
}

fn connect_over(pair: &mut Pair, id: u64, relay: PeerId) {
    pair.open.push(ConnId(id));
    for end in [1, 0] {
        let info = ConnInfo { via: Some(relay), ..info(id, end == 0, Path::Relayed) };
        let mut out = Vec::new();
        pair.ends[end].on_conn(info, pair.now, &mut out);
        pair.carry_out(end, out);
    }
    pair.run();
}

#[test]
fn with_a_peer_of_the_version_before_a_link_moves_to_the_newer_lane_and_says_which_it_left() {
    let mut pair = old_pair();
    let relays = [PeerId([7; 32]), PeerId([8; 32])];
    connect_over(&mut pair, 1, relays[0]);
    connect_over(&mut pair, 2, relays[1]);
    for end in 0..2 {
        assert!(!pair.ends[end].keeps_standbys());
        assert_eq!(pair.ends[end].in_use().unwrap().via, Some(relays[1]));
        assert!(
            pair.told[end].iter().any(
                |o| matches!(o, LinkOut::Moved { to: Path::Relayed, via, .. } if *via == Some(relays[0]))
            )
        );
    }
    assert!(!pair.open.contains(&ConnId(1)), "of two lanes one is enough");
    pair.send(0, 1);
    pair.run();
    assert_eq!(pair.got(1), [1]);
}

#[test]
fn with_a_peer_of_the_version_before_a_link_falls_back_on_the_lane_it_left() {
    let mut pair = old_pair();
    pair.connect(1, 0, Path::Relayed);
    pair.run();
    pair.connect(2, 0, Path::Punched);
    pair.run();
    pair.wait(5_000);
    pair.send(0, 1);
    pair.breaks(2);
    pair.send(0, 2);
    pair.run();
    assert_eq!(pair.ends[1].status().unwrap().info.path, Path::Relayed);
    assert_eq!(pair.got(1), [1, 2]);
    assert!(pair.told[0].iter().any(|o| matches!(o, LinkOut::Up { fresh: false, lost: 0, .. })));
}

#[test]
fn a_silent_lane_is_suspect_within_a_second_and_dead_within_two() {
    for (path, fast_heartbeat) in [(Path::Relayed, false), (Path::Direct, true)] {
        let mut pair = Pair::new();
        pair.connect(1, 0, path);
        pair.run();
        let now = pair.now.mono;
        pair.ends[0].set_pace(fast_heartbeat, 1, now);
        pair.wait(10_000);
        assert!(pair.ends[0].is_up(), "answered, it lives");
        pair.mute = true;
        pair.wait(1_100);
        assert!(pair.told[0].iter().any(|o| matches!(o, LinkOut::Suspect(1))), "{path}");
        pair.wait(1_000);
        assert!(!pair.ends[0].is_up(), "{path}");
    }
}

#[test]
fn a_link_that_leaves_its_relay_is_pinged_calmly_again() {
    let mut pair = Pair::new();
    pair.connect(1, 0, Path::Relayed);
    pair.run();
    pair.connect(2, 0, Path::Direct);
    pair.run();
    pair.wait(20_000);
    pair.mute = true;
    pair.wait(1_500);
    assert!(!pair.told[0].iter().any(|o| matches!(o, LinkOut::Suspect(_))));
}
