use super::*;
use crate::core::limits::LINKS_MAX;

fn at(ms: u64) -> Mono {
    Mono::from_millis(ms)
}

const FEW: Pace = Pace::Calm { links: 8, second: false };

fn calm(links: usize) -> Pace {
    Pace::Calm { links, second: false }
}

/// A heartbeat that is past its youth.
fn grown(pace: Pace, rtt_ms: f64) -> Heartbeat {
    Heartbeat { samples: WARM_SAMPLES, smoothed: Some(rtt_ms), ..Heartbeat::new(pace, None, at(0)) }
}

/// When a heartbeat that hears nothing more says that the peer is dead.
fn dead_at(hb: &mut Heartbeat) -> u64 {
    (0..60_000).find(|ms| matches!(hb.on_timeout(at(*ms)), Some(Beat::Dead(_)))).unwrap()
}

#[test]
fn a_peer_that_is_killed_is_noticed_within_three_seconds_of_the_last_word_of_it() {
    for (links, second) in [(1, false), (1, true), (FEW_LINKS, true)] {
        for rtt_ms in [0.5, 20.0, 80.0, 200.0] {
            let mut hb = grown(Pace::Calm { links, second }, rtt_ms);
            hb.on_heard(at(0));
            let dead = dead_at(&mut hb);
            assert!((2_000..=3_000).contains(&dead), "{dead} ms at {links} links, {rtt_ms} ms");
        }
    }
}

#[test]
fn the_interval_grows_with_the_links_so_that_all_together_cost_no_more_than_twice_as_much() {
    let rate = |links: usize| links as f64 / calm(links).interval().as_secs_f64();
    let mut before = Duration::ZERO;
    for links in 0..=LINKS_MAX {
        let interval = calm(links).interval();
        assert!(interval >= before, "{links}");
        assert!(rate(links) <= rate(FEW_LINKS) * 2.0, "{links}: {}", rate(links));
        before = interval;
    }
    assert_eq!(calm(FEW_LINKS).interval(), calm(0).interval());
    assert_eq!(before, Duration::from_secs(5));
}

#[test]
fn three_misses_in_a_row_are_death_and_one_is_suspicion() {
    let mut hb = grown(FEW, 1.0);
    hb.on_heard(at(0));
    assert_eq!(hb.on_timeout(at(0)), None, "it was heard just now");
    assert_eq!(hb.on_timeout(at(1_499)), None);
    assert_eq!(hb.on_timeout(at(1_500)), Some(Beat::Ping(1)));
    assert_eq!(hb.on_timeout(at(1_849)), None);
    assert_eq!(hb.on_timeout(at(1_850)), Some(Beat::Missed(2, 1)));
    assert_eq!(hb.on_timeout(at(2_200)), Some(Beat::Missed(3, 2)));
    assert_eq!(hb.on_timeout(at(2_550)), Some(Beat::Dead(3)));
}

#[test]
fn whatever_is_heard_is_as_good_as_an_answer() {
    let mut hb = grown(FEW, 40.0);
    for ms in (0..25_000).step_by(100) {
        if ms % 1_000 == 0 {
            assert_eq!(hb.on_heard(at(ms)), 0);
        }
        assert_eq!(hb.on_timeout(at(ms)), None, "a peer that pings us is not pinged");
    }
    // It falls silent, is suspect, and says something at last.
    let mut missed = 0;
    for ms in 25_000..26_300 {
        if let Some(Beat::Missed(_, so_far)) = hb.on_timeout(at(ms)) {
            missed = so_far;
        }
    }
    assert!(missed > 0);
    assert_eq!(hb.on_heard(at(26_300)), missed);
    assert_eq!(hb.missed(), 0);
}

#[test]
fn a_lane_in_use_is_measured_whatever_is_heard() {
    let mut hb = grown(Pace::Fast, 40.0);
    let mut pings = 0;
    for ms in (0..10_000).step_by(20) {
        hb.on_heard(at(ms));
        if let Some(Beat::Ping(token)) = hb.on_timeout(at(ms)) {
            pings += 1;
            hb.on_pong(token, at(ms + 40));
        }
    }
    assert_eq!(pings, 20);
}

#[test]
fn an_answer_measures_the_round_trip_and_how_it_varies() {
    let mut hb = grown(Pace::Fast, 40.0);
    let token = hb.ping(at(5_000));
    assert!(hb.on_pong(token, at(5_120)));
    assert_eq!(hb.rtt_ms(), Some(50.0));
    let (round_trip, varies) = hb.round_trip().unwrap();
    assert_eq!((round_trip.as_millis(), varies.as_millis()), (50, 80));
    assert!(!hb.on_pong(token, at(5_130)), "it is taken once");
}

#[test]
fn the_round_trip_of_another_connection_is_not_shown_as_this_ones() {
    let mut hb = Heartbeat::new(Pace::Fast, Some(1.0), at(0));
    assert_eq!(hb.rtt_ms(), None);
    let Some(Beat::Ping(token)) = hb.on_timeout(at(0)) else { panic!("no ping") };
    hb.on_pong(token, at(80));
    assert_eq!(hb.rtt_ms(), Some(80.0), "and is not mixed with it");
    // A slow path is given the time that it needed before.
    let mut slow = Heartbeat::new(Pace::Fast, Some(2_000.0), at(0));
    slow.on_timeout(at(0));
    assert!(matches!(slow.on_timeout(at(1_000)), Some(Beat::Ping(_))));
}

#[test]
fn a_young_connection_is_measured_three_times_in_quick_succession_and_the_smallest_counts() {
    let mut hb = Heartbeat::new(FEW, None, at(0));
    for (ms, took) in [(0, 90), (1_000, 12), (2_000, 30)] {
        let Some(Beat::Ping(token)) = hb.on_timeout(at(ms)) else { panic!("at {ms}") };
        hb.on_pong(token, at(ms + took));
        hb.on_heard(at(ms + took));
    }
    assert_eq!(hb.rtt_ms(), Some(12.0));
    assert_eq!(hb.on_timeout(at(3_000)), None, "now it is heard often enough");
    assert_eq!(hb.next_timeout(), at(2_030 + 1_500));
}

#[test]
fn nobody_is_dead_before_it_could_answer_the_first_time() {
    for pace in [Pace::Fast, FEW, Pace::Standby] {
        let dead = dead_at(&mut Heartbeat::new(pace, None, at(0)));
        assert!((3_000..=10_000).contains(&dead), "{dead} ms, {pace:?}");
    }
}

#[test]
fn a_path_slower_than_the_interval_is_slow_and_not_dead() {
    for (pace, takes) in [(Pace::Fast, 900), (FEW, 900), (FEW, 1_900)] {
        let mut hb = Heartbeat::new(pace, None, at(0));
        let mut sent = VecDeque::new();
        for ms in (0..40_000).step_by(100) {
            match hb.on_timeout(at(ms)) {
                Some(Beat::Ping(token) | Beat::Missed(token, _)) => sent.push_back((token, ms)),
                Some(Beat::Dead(_)) => panic!("dead after {ms} ms"),
                None => {}
            }
            while let Some((token, _)) = sent.pop_front_if(|(_, at)| *at + takes <= ms) {
                hb.on_pong(token, at(ms));
                hb.on_heard(at(ms));
            }
        }
        assert_eq!(hb.missed(), 0);
        assert_eq!(hb.rtt_ms(), Some(takes as f64));
    }
}

#[test]
fn an_answer_nobody_waits_for_is_ignored() {
    let mut hb = Heartbeat::new(FEW, None, at(0));
    assert!(!hb.on_pong(77, at(1)));
    assert_eq!(hb.rtt_ms(), None);
}

#[test]
fn pings_without_an_answer_do_not_pile_up() {
    let mut hb = Heartbeat::new(FEW, None, at(0));
    for ms in 0..1_000 {
        hb.ping(at(ms));
    }
    assert_eq!(hb.waiting.len(), WAITING_MAX);
}
