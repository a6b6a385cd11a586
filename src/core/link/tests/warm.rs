//! Two lanes under one link, in virtual time: lanes that delay, jitter, fall silent
//! and break, one way or both.

use crate::model::DropReason;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::two::{RELAYS, Two};
use super::*;

#[test]
fn a_lane_that_falls_silent_costs_less_than_two_round_trips_and_150_ms_and_no_message() {
    for one_way in [0, 10, 40, 100] {
        for dialler in 0..2 {
            let mut two = Two::warm(one_way, dialler);
            two.talk(1_000);
            two.kill(1);
            two.talk(3_000);
            two.run(3_000);
            two.all_came();
            for end in 0..2 {
                let gap = two.longest_gap(end);
                assert!(gap <= 4 * u128::from(one_way) + 150, "{one_way} ms a way, end {end}: {gap} ms");
                assert_eq!(two.via(end), Some(RELAYS[1]), "both ends agree");
                let moves = two.moves(end);
                assert_eq!(moves.len(), 1);
                assert_eq!(moves[0].0, Some(RELAYS[0]));
                // What is told is what was: the pace of the echoes apart.
                let told = moves[0].1.as_millis();
                assert!(told.abs_diff(gap) <= 25, "{one_way} ms a way, end {end}: told {told}, was {gap}");
            }
            assert!(!two.was_down());
            two.run(10_000);
            assert!(!two.lanes.contains_key(&1), "the dead one is closed");
        }
    }
}

#[test]
fn a_lane_that_falls_silent_one_way_only_is_left_too() {
    for deaf in 0..2 {
        let mut two = Two::warm(20, 0);
        two.talk(500);
        two.lanes.get_mut(&1).unwrap().dead[deaf] = true;
        two.talk(3_000);
        two.run(5_000);
        two.all_came();
        for end in 0..2 {
            assert!(two.longest_gap(end) <= 230, "end {end}: {}", two.longest_gap(end));
            assert_eq!(two.via(end), Some(RELAYS[1]), "end {end} where {deaf} is deaf");
        }
        assert!(!two.was_down());
    }
}

#[test]
fn an_idle_link_leaves_a_silent_lane_within_two_seconds() {
    for dialler in 0..2 {
        let mut two = Two::warm(20, dialler);
        two.run(10_000);
        two.kill(1);
        two.run(2_000);
        assert_eq!([two.via(0), two.via(1)], [Some(RELAYS[1]); 2]);
        assert!(!two.was_down());
        two.talk(100);
        two.run(500);
        two.all_came();
    }
}

#[test]
fn a_message_on_an_idle_link_is_hedged_once_it_is_late_and_no_sooner() {
    let mut two = Two::warm(20, 0);
    two.run(10_000);
    two.kill(1);
    two.run(10);
    let sent = two.now.mono;
    two.send(1);
    two.run(300);
    let (came, _) = two.came(0)[0];
    let took = came.since(sent).as_millis();
    // A round trip, the delay of acknowledgements, and the hedge's own; one way.
    assert!((130..=160).contains(&took), "{took} ms");
}

#[test]
fn a_lane_that_was_only_late_goes_on_carrying() {
    let mut two = Two::warm(20, 0);
    two.talk(500);
    two.kill(1);
    two.talk(250);
    two.revive(1);
    two.talk(2_000);
    two.run(2_000);
    two.all_came();
    for end in 0..2 {
        assert_eq!(two.via(end), Some(RELAYS[0]));
        assert!(two.moves(end).is_empty(), "nothing is told of it");
        assert!(two.ends[end].doubt.is_none(), "and nothing is sent twice any more");
        assert!(two.longest_gap(end) <= 230, "though it cost little");
    }
}

#[test]
fn a_lane_that_answers_again_stands_by() {
    let mut two = Two::warm(20, 0);
    two.talk(500);
    two.kill(1);
    two.talk(1_000);
    assert_eq!(two.via(0), Some(RELAYS[1]));
    two.revive(1);
    two.talk(2_000);
    two.run(20_000);
    two.all_came();
    for end in 0..2 {
        assert_eq!(two.via(end), Some(RELAYS[1]), "it is not gone back to");
        assert_eq!(two.ends[end].standby().and_then(|info| info.via), Some(RELAYS[0]));
    }
    // And is what the link falls back on.
    two.kill(2);
    two.talk(2_000);
    two.run(3_000);
    two.all_came();
    assert_eq!([two.via(0), two.via(1)], [Some(RELAYS[0]); 2]);
}

#[test]
fn jitter_and_loss_on_both_lanes_make_no_repetition_and_no_move_for_ever() {
    for seed in 0..8 {
        let mut two = Two::warm(20, usize::from(seed % 2 == 0));
        two.rng = StdRng::seed_from_u64(seed);
        for lane in two.lanes.values_mut() {
            (lane.jitter, lane.rough) = (Duration::from_millis(60), 5);
        }
        two.talk(60_000);
        let moves = two.moves(0).len().max(two.moves(1).len());
        assert!(moves <= 3, "seed {seed}: {moves} moves in a minute");
        assert!(!two.was_down(), "seed {seed}: a slow path is no dead one");
        for lane in two.lanes.values_mut() {
            (lane.jitter, lane.rough) = (Duration::ZERO, 0);
        }
        two.run(5_000);
        two.all_came();
        assert_eq!(two.via(0), two.via(1), "seed {seed}");
        let before = two.moves(0).len();
        two.talk(5_000);
        assert_eq!(two.moves(0).len(), before, "seed {seed}: it rests");
        assert!(two.ends.iter().all(|end| end.doubt.is_none()), "seed {seed}");
    }
}

#[test]
fn two_ends_do_not_keep_each_other_in_doubt() {
    // The standby is so much faster that everything comes over it first.
    let mut two = Two::warm(60, 0);
    two.lanes.get_mut(&2).unwrap().takes = Duration::from_millis(1);
    two.talk(1_000);
    two.kill(1);
    two.run(150);
    two.revive(1);
    two.talk(5_000);
    two.run(3_000);
    two.all_came();
    assert!(two.ends.iter().all(|end| end.doubt.is_none()));
}

#[test]
fn a_move_that_is_asked_for_takes_a_round_trip_from_either_end_and_holds_nothing_up() {
    for end in 0..2 {
        for one_way in [1, 40] {
            let mut two = Two::warm(one_way, 0);
            two.talk(500);
            let asked = two.now.mono;
            two.drive(end, |link, now, _, out| assert!(link.carry_over(RELAYS[1], now.mono, out)));
            two.talk(1_000);
            two.run(1_000);
            two.all_came();
            let moved = |(at, out): &(Mono, LinkOut)| matches!(out, LinkOut::Moved { .. }).then_some(*at);
            let took = two.told[end].iter().find_map(moved).unwrap().since(asked).as_millis();
            assert!(took <= 2 * u128::from(one_way) + 1, "{took} ms for a round trip of {}", 2 * one_way);
            for at in 0..2 {
                assert_eq!(two.via(at), Some(RELAYS[1]));
                assert!(two.longest_gap(at) <= 20, "end {at}: {} ms", two.longest_gap(at));
                assert!(two.moves(at)[0].1.as_millis() <= 2 * u128::from(one_way) + 20);
                assert_eq!(two.ends[at].standby().and_then(|i| i.via), Some(RELAYS[0]), "the old one stays");
            }
        }
    }
}

#[test]
fn a_move_over_a_lane_that_leads_nowhere_does_not_happen_and_costs_nothing() {
    for end in 0..2 {
        let mut two = Two::warm(20, 0);
        two.talk(500);
        two.kill(2);
        two.drive(end, |link, now, _, out| assert!(link.carry_over(RELAYS[1], now.mono, out)));
        two.talk(5_000);
        two.run(2_000);
        two.all_came();
        for at in 0..2 {
            assert_eq!(two.via(at), Some(RELAYS[0]));
            assert!(two.longest_gap(at) <= 20, "end {at}");
            assert!(two.moves(at).is_empty());
        }
    }
}

#[test]
fn both_ends_may_ask_at_once() {
    let mut two = Two::warm(20, 0);
    two.talk(200);
    for end in 0..2 {
        two.drive(end, |link, now, _, out| assert!(link.carry_over(RELAYS[1], now.mono, out)));
    }
    two.talk(1_000);
    two.run(1_000);
    two.all_came();
    for end in 0..2 {
        assert_eq!(two.via(end), Some(RELAYS[1]));
        assert_eq!(two.moves(end).len(), 1);
    }
}

#[test]
fn a_peer_that_has_the_link_moved_all_the_time_is_followed_so_often_only() {
    let mut two = Two::warm(1, 0);
    for n in 0..60 {
        let via = RELAYS[(n + 1) % 2];
        two.drive(1, |link, now, _, out| {
            link.carry_over(via, now.mono, out);
        });
        two.run(20);
    }
    assert!((20..=30).contains(&two.moves(0).len()), "{}", two.moves(0).len());
    assert!(two.told[0].iter().any(|(_, o)| matches!(o, LinkOut::Stopped(DropReason::MovesOfPeer))));
    assert!(two.ends.iter().all(Link::is_up));
}

#[test]
fn a_standby_that_dies_first_is_noticed_and_costs_nothing() {
    let mut two = Two::warm(20, 0);
    two.kill(2);
    two.talk(10_000);
    two.run(1_000);
    two.all_came();
    for end in 0..2 {
        assert_eq!(two.via(end), Some(RELAYS[0]));
        assert!(two.ends[end].standby().is_none());
        assert!(two.told[end].iter().any(|(_, o)| matches!(o, LinkOut::StandbyLost)), "end {end}");
    }
    assert!(!two.lanes.contains_key(&2));
}

#[test]
fn a_further_lane_takes_the_standbys_place() {
    let mut two = Two::warm(20, 0);
    two.lane(3, 0, Path::Relayed, Some(RELAYS[2]), 20);
    two.run(1_000);
    for end in 0..2 {
        assert_eq!(two.via(end), Some(RELAYS[0]));
        assert_eq!(two.ends[end].standby().and_then(|info| info.via), Some(RELAYS[2]));
    }
    assert!(!two.lanes.contains_key(&2), "one is enough");
    // But not one over the same relay as the link.
    two.lane(4, 1, Path::Relayed, Some(RELAYS[0]), 20);
    two.run(1_000);
    assert_eq!(two.ends[0].standby().and_then(|info| info.via), Some(RELAYS[2]));
    assert_eq!(two.lanes.keys().copied().collect::<Vec<_>>(), [1, 3]);
}

#[test]
fn a_lane_that_comes_when_the_link_is_silent_already_is_used_at_once() {
    for dialler in 0..2 {
        let mut two = Two::cold(20, dialler);
        two.talk(500);
        two.kill(1);
        two.talk(600);
        assert!(two.told[0].iter().any(|(_, o)| matches!(o, LinkOut::Suspect(_))));
        two.lane(2, dialler, Path::Relayed, Some(RELAYS[1]), 20);
        two.talk(200);
        assert!(two.came(0).len() >= 110 && two.came(1).len() >= 110, "what was under way is there");
        two.talk(1_000);
        two.run(2_000);
        two.all_came();
        assert_eq!([two.via(0), two.via(1)], [Some(RELAYS[1]); 2]);
        assert!(!two.was_down());
    }
}

#[test]
fn a_direct_link_whose_peer_falls_silent_goes_on_over_a_lane_that_is_there_by_then() {
    let mut two = Two::warm(20, 0);
    two.lane(3, 0, Path::Direct, None, 5);
    two.run(1_000);
    assert_eq!(two.ends[0].in_use().unwrap().path, Path::Direct);
    assert!(two.ends[1].standby().is_some(), "a lane is kept for a while");
    two.kill(3);
    two.talk(4_000);
    two.run(2_000);
    two.all_came();
    for end in 0..2 {
        assert_eq!(two.ends[end].in_use().unwrap().path, Path::Relayed);
        assert!(two.longest_gap(end) <= 300, "end {end}: {} ms", two.longest_gap(end));
    }
    assert!(!two.was_down());
}

#[test]
fn a_burst_that_fills_the_path_is_not_taken_for_silence() {
    let mut two = Two::warm(20, 0);
    let before = two.ends[0].status().unwrap().bytes_tx;
    for _ in 0..200 {
        two.sent[0] += 1;
        let message = Message::Echo(Echo { id: two.sent[0], payload: vec![0; 3_000] });
        two.drive(0, |link, now, _, out| link.send(&message, now.mono, out).unwrap());
    }
    // It takes two seconds, one after the other.
    let keys: Vec<_> = two.wire.keys().copied().collect();
    for (n, key) in (0u64..).zip(keys) {
        let (id, to, bytes) = two.wire.remove(&key).unwrap();
        let at = two.now.mono + Duration::from_millis(20 + n * 10);
        two.lanes.get_mut(&id).unwrap().last[to] = at;
        two.wire.insert((at, key.1), (id, to, bytes));
    }
    two.run(5_000);
    two.all_came();
    let spent = two.ends[0].status().unwrap().bytes_tx - before;
    assert!(spent < 650_000, "nothing of it was sent twice: {spent}");
}

#[test]
fn an_idle_standby_is_pinged_every_five_seconds() {
    let mut two = Two::warm(20, 0);
    two.run(10_000);
    let bytes = |two: &Two| {
        let conns = two.ends.iter().flat_map(|end| &end.conns);
        conns.filter(|c| c.info.id == ConnId(2)).map(|c| c.bytes_tx).sum::<u64>()
    };
    let before = bytes(&two);
    two.run(60_000);
    let spent = bytes(&two) - before;
    // A ping and its answer are eight bytes each.
    assert!((12 * 14..=13 * 2 * 8).contains(&spent), "{spent} bytes in a minute");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever breaks whenever, falls silent, comes back, is asked for: every
    /// message arrives once and in order, and both ends use the same lane.
    #[test]
    fn whatever_becomes_of_two_lanes_every_message_arrives_once_and_in_order(
        seed in any::<u64>(),
        one_way in 0u64..60,
        steps in prop::collection::vec((0u8..10, 0u64..3, any::<bool>()), 1..60),
    ) {
        let mut two = Two::warm(one_way, usize::from(seed % 2 == 0));
        two.rng = StdRng::seed_from_u64(seed);
        let mut next = 10;
        for (step, which, side) in steps {
            let end = usize::from(side);
            let lane = two.lanes.keys().copied().nth(usize::try_from(which).unwrap() % 2);
            match (step, lane) {
                (0, Some(lane)) => two.kill(lane),
                (1, Some(lane)) => two.revive(lane),
                (2, Some(lane)) => two.lanes.get_mut(&lane).unwrap().dead[end] = true,
                (3, Some(lane)) => two.close(lane, None),
                (4, _) => {
                    let via = RELAYS[usize::try_from(which).unwrap()];
                    two.drive(end, |link, now, _, out| {
                        link.carry_over(via, now.mono, out);
                    });
                }
                (5, _) if two.lanes.len() < 4 => {
                    let via = RELAYS[usize::try_from(which).unwrap()];
                    two.lane(next, end, Path::Relayed, Some(via), one_way);
                    next += 1;
                }
                (6, Some(lane)) => two.lanes.get_mut(&lane).unwrap().jitter = Duration::from_millis(40),
                (7, _) => two.run(700),
                _ => {
                    for _ in 0..=which {
                        two.send(end);
                        two.run(15);
                    }
                }
            }
        }
        for lane in two.lanes.keys().copied().collect::<Vec<_>>() {
            two.close(lane, None);
        }
        two.lane(next, 0, Path::Relayed, Some(RELAYS[0]), one_way);
        two.lane(next + 1, 0, Path::Relayed, Some(RELAYS[1]), one_way);
        two.run(20_000);
        two.talk(100);
        two.run(2_000);
        prop_assert!(two.ends.iter().all(Link::is_up));
        prop_assert_eq!(two.via(0), two.via(1));
        two.all_came();
    }

    /// A false death is worse than a late one.
    #[test]
    fn no_path_is_declared_dead_for_its_jitter(
        seed in any::<u64>(),
        one_way in 0u64..150,
        jitter in 0u64..200,
        lane in any::<bool>(),
    ) {
        let two = a_rough_two_minutes(seed, (one_way, jitter), 0, lane);
        prop_assert!(!two.was_down());
        prop_assert!(two.moves(0).len() <= usize::from(!lane));
        prop_assert_eq!(two.ends[0].in_use().unwrap().path == Path::Relayed, lane);
    }
}

/// Two ends that say nothing for two minutes, over a path that jitters and loses so
/// many packets of a hundred.
fn a_rough_two_minutes(seed: u64, (one_way, jitter): (u64, u64), loss: u32, lane: bool) -> Two {
    let mut two = Two::cold(one_way, 0);
    two.rng = StdRng::seed_from_u64(seed);
    if !lane {
        two.lane(2, 0, Path::Direct, None, one_way);
        two.run(2_000);
    }
    for lane in two.lanes.values_mut() {
        (lane.jitter, lane.rough) = (Duration::from_millis(jitter), loss);
    }
    two.run(120_000);
    two
}

/// Whoever is to notice a death within three seconds takes a row of lost packets for
/// one now and then: at 5 % loss less than once in an hour.
#[test]
fn a_path_that_loses_one_packet_in_twenty_is_hardly_ever_declared_dead() {
    let rough = |n: u64| a_rough_two_minutes(n, (n * 7 % 150, n * 11 % 200), 5, n.is_multiple_of(2));
    let falsely = (0..120).filter(|n| rough(*n).was_down()).count();
    assert!(falsely <= 4, "{falsely} times in four hours");
}
