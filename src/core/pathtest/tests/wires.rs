//! What is measured is what the wire does.

use super::*;
use crate::model::TestPhase;

fn near(got: f64, asked: f64, share: f64, and: f64) -> bool {
    (got - asked).abs() <= asked * share + and
}

#[test]
fn round_trip_loss_and_both_rates_are_those_of_the_wire() {
    for (up, down) in [
        (Wire::new(5, 0, 20.0), Wire::new(5, 0, 50.0)),
        (Wire::new(20, 20, 8.0), Wire::new(20, 0, 30.0)),
        (Wire::new(60, 0, 2.0), Wire::new(60, 50, 10.0)),
        (Wire::new(100, 50, 10.0), Wire::new(100, 50, 1.0)),
    ] {
        let mut world = World::new([up, down]);
        let test = world.one();
        let rtt = test.rtt.unwrap();
        let asked = (up.delay + down.delay).as_secs_f64() * 1e3;
        assert!(
            near(rtt.p50, asked, 0.1, 2.0) && rtt.min <= rtt.p50 && rtt.p50 <= rtt.p95,
            "{rtt:?} {asked}"
        );
        let of = |count: crate::model::TestCount| {
            crate::core::kpi::wilson(count.lost.into(), count.sent.into()).unwrap()
        };
        for (count, wire) in [(test.up, up), (test.down, down)] {
            let (interval, loss) = (of(count), f64::from(wire.loss) / 1e3);
            assert!(interval.lo <= loss + 1e-9 && loss <= interval.hi, "{count:?} {loss}");
        }
        for (rate, wire) in [(test.rate_up, up), (test.rate_down, down)] {
            let (rate, asked) = (rate.unwrap(), wire.rate * 8.0 / 1e6);
            assert!(
                near(rate.mbit, asked * PACKET as f64 / (PACKET + HEADERS) as f64, 0.2, 0.0),
                "{rate:?} {asked}"
            );
            assert!(!rate.at_least);
        }
        assert_eq!(
            (test.phase, test.reason, test.mtu),
            (TestPhase::Over, None, Some(1_300)),
            "the smaller one"
        );
    }
}

#[test]
fn a_wire_that_is_faster_than_a_test_may_be_is_said_to_carry_at_least_that() {
    let test = World::both(Wire::new(2, 0, 1_000.0)).one();
    let rate = test.rate_up.unwrap();
    assert!(rate.at_least && rate.mbit <= 101.0, "{rate:?}");
}

#[test]
fn load_backs_off_so_that_nothing_waits_long_in_a_queue() {
    for wire in [Wire::new(10, 0, 1.0), Wire::new(20, 0, 8.0), Wire::new(80, 0, 40.0), Wire::new(150, 0, 4.0)]
    {
        let mut world = World::both(wire);
        world.one();
        // A heartbeat is waited for 350 ms, and half as long again as a round trip.
        assert!(world.queue < Duration::from_millis(170), "{:?} of {wire:?}", world.queue);
    }
}

#[test]
fn what_wanders_is_told_as_jitter_and_reordering() {
    let wire = Wire { jitter: Duration::from_millis(30), ..Wire::new(20, 0, 50.0) };
    let test = World::both(wire).one();
    // Two even spreads of 30 ms differ by 30 x sqrt(2) / 3 or so from one to the next.
    assert!(near(test.jitter_ms.unwrap(), 14.0, 0.15, 0.0), "{test:?}");
    assert!(test.up.reordered > 10 && test.down.reordered > 10, "{test:?}");
    assert_eq!(test.loss(), Some(0.0));
    let calm = World::both(Wire::new(20, 0, 50.0)).one();
    assert!(calm.jitter_ms.unwrap() < 1.0 && calm.reordered() == 0);
}

#[test]
fn the_paths_are_tested_one_after_the_other_and_a_relay_only_as_far_as_it_carries() {
    let mut world = World::both(Wire::new(5, 0, 100.0));
    world.ways = vec![way(1, Path::Direct), way(2, Path::Relayed), way(3, Path::Relayed)];
    let paths = world.tested();
    assert!(paths.iter().all(|path| path.rtt.is_some() && path.reason.is_none()), "{paths:?}");
    assert!(paths[0].in_use && !paths[1].in_use);
    for relayed in &paths[1..] {
        let rate = relayed.rate_down.unwrap();
        assert!(rate.at_least && rate.mbit < 2.0, "{rate:?}");
    }
}

#[test]
fn while_it_runs_it_says_how_far_it_is_and_what_it_knows() {
    let mut world = World::both(Wire::new(10, 0, 10.0));
    world.start(Duration::from_secs(5)).unwrap();
    world.run(Duration::from_secs(1));
    let early = world.ends[0].tests.shown(world.now).unwrap();
    let path = &early.paths[0];
    assert_eq!((path.phase, early.ended), (TestPhase::Quiet, None));
    assert!(path.rtt.is_some() && path.rate_up.is_none() && near(path.progress.into(), 0.2, 0.05, 0.0));
    world.run(Duration::from_secs(2));
    let path = world.ends[0].tests.shown(world.now).unwrap().paths.swap_remove(0);
    assert_eq!(path.phase, TestPhase::Up);
    assert!(path.rate_up.is_some() && path.rate_down.is_none());
}
