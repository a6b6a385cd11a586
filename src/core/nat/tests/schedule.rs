//! When it measures, how soon it notices, and what it costs the responders.

use std::time::Duration;

use super::net::{Net, TYPES, kind};
use crate::core::nat::{INTERVAL, RELAYED_INTERVAL, VALID};
use crate::model::{NatType, Reason};

#[test]
fn it_runs_as_soon_as_two_vantage_points_are_linked() {
    let mut net = Net::new(kind(NatType::Symmetric), 1, 1);
    net.run(Duration::from_secs(20));
    assert_eq!(net.sent, 0);
    net.add_host(true);
    let from = net.now.mono;
    net.run(Duration::from_secs(5));
    assert_eq!(net.view().nat_type, NatType::Symmetric);
    assert!(net.results[0].0.since(from) < Duration::from_millis(2500));
}

#[test]
fn a_third_vantage_point_makes_a_result_surer() {
    let mut net = Net::new(kind(NatType::PortRestricted), 2, 1);
    net.run(Duration::from_secs(5));
    let before = net.view().confidence.unwrap();
    net.add_host(true);
    net.run(Duration::from_secs(5));
    assert!(net.view().confidence.unwrap() > before);
    assert_eq!(net.view().vantage_points.len(), 3);
}

#[test]
fn a_run_goes_on_where_busy_responders_cut_the_one_before_whatever_their_round_trips() {
    for nat in [NatType::AddressRestricted, NatType::PortRestricted] {
        let mut net = Net::new(kind(nat), 3, 1);
        net.busy_until = net.now.plus(Duration::from_secs(2)).mono;
        net.run(Duration::from_secs(2));
        assert_eq!(net.view().reason, Some(Reason::TooFewDialBacks));
        for (host, ms) in [(0, 30), (1, 20), (2, 10)] {
            net.set_rtt(host, Duration::from_millis(ms));
        }
        net.run(Duration::from_secs(6));
        assert_eq!(net.view().nat_type, nat, "{:#?}", net.view());
    }
}

#[test]
fn responders_that_are_busy_for_a_moment_are_asked_again_in_the_same_run() {
    for nat in TYPES {
        for seed in 0..20 {
            let mut net = Net::new(kind(nat), 3, seed);
            net.busy_until = net.now.plus(Duration::from_millis(1_000)).mono;
            net.run(Duration::from_secs(4));
            let (at, view) = &net.results[0];
            assert_eq!(view.nat_type, nat, "the first run says it, at {at:?}: {view:#?}");
        }
    }
}

#[test]
fn a_nat_that_changes_its_type_is_noticed_within_a_minute() {
    for before in TYPES {
        for after in TYPES {
            for (seed, moment) in [(1, 10), (2, 29), (3, 47)] {
                let mut net = Net::new(kind(before), 3, seed);
                net.run(Duration::from_secs(moment));
                net.change(kind(after));
                net.run(Duration::from_secs(60));
                assert_eq!(net.view().nat_type, after, "{before} to {after}: {:#?}", net.view());
            }
        }
    }
}

#[test]
fn while_a_link_is_relayed_it_is_noticed_within_five_seconds() {
    for before in TYPES {
        for after in TYPES {
            // Such that the change comes at any moment between two looks.
            for seed in 0..8 {
                let mut net = Net::new(kind(before), 3, seed);
                net.probe.set_relayed(true, net.now);
                net.run(Duration::from_millis(130_000 + 517 * seed));
                assert_eq!(net.view().nat_type, before);
                net.change(kind(after));
                // Only dial-backs tell these two apart, and there are few.
                let alike = [NatType::FullCone, NatType::AddressRestricted];
                let slow = alike.contains(&before) && alike.contains(&after);
                net.run(Duration::from_secs(if slow { 20 } else { 5 }));
                assert_eq!(net.view().nat_type, after, "{before} to {after}, seed {seed}: {:#?}", net.view());
            }
        }
    }
}

#[test]
fn looking_often_stays_within_what_responders_serve() {
    for nat in TYPES {
        for hosts in [2, 3] {
            let mut net = Net::new(kind(nat), hosts, 3);
            net.probe.set_relayed(true, net.now);
            net.run(Duration::from_secs(600));
            let odd = net.results.iter().find(|(_, v)| v.nat_type != nat);
            assert!(odd.is_none(), "{nat} with {hosts}: {odd:#?}");
            let gaps = net.results.windows(2).map(|w| w[1].0.since(w[0].0));
            assert!(gaps.max().unwrap() <= RELAYED_INTERVAL * 2, "a look every few seconds");
            assert_eq!(net.refused, 0, "{nat} with {hosts}");
        }
    }
}

#[test]
fn in_peace_it_costs_little() {
    let mut net = Net::new(kind(NatType::PortRestricted), 3, 1);
    net.run(Duration::from_secs(3600));
    assert!(net.sent < 60 * 40, "{} datagrams in an hour", net.sent);
    assert!(net.results.iter().all(|(_, v)| v.nat_type == NatType::PortRestricted));
    let gaps = net.results.windows(2).map(|w| w[1].0.since(w[0].0));
    assert!(gaps.max().unwrap() < INTERVAL + Duration::from_secs(3));
}

#[test]
fn whoever_asks_gets_one_answer() {
    let mut net = Net::new(kind(NatType::FullCone), 3, 1);
    net.run(Duration::from_secs(5));
    net.probe.ask(net.now, &mut net.wants);
    net.run(Duration::from_millis(2300));
    assert_eq!(net.answered.len(), 1);
    assert_eq!(net.answered[0].nat_type, NatType::FullCone);
    // Asked again and again: the responders' limits hold, the answer stays.
    for _ in 0..10 {
        net.probe.ask(net.now, &mut net.wants);
        net.run(Duration::from_millis(3300));
    }
    assert_eq!(net.answered.len(), 11);
    assert!(net.answered.iter().all(|v| v.nat_type == NatType::FullCone));
    // Alone it is answered at once.
    let mut alone = Net::new(kind(NatType::FullCone), 0, 1);
    alone.probe.ask(alone.now, &mut alone.wants);
    alone.run(Duration::from_millis(1));
    assert_eq!(alone.answered[0].reason, Some(Reason::NoVantagePoints));
}

#[test]
fn a_result_outlives_its_vantage_points_for_a_while() {
    let mut net = Net::new(kind(NatType::FullCone), 2, 1);
    net.run(Duration::from_secs(5));
    let measured = net.view().measured;
    net.remove_host(0);
    net.run(VALID.saturating_sub(Duration::from_secs(120)));
    assert_eq!((net.view().nat_type, net.view().measured), (NatType::FullCone, measured));
    net.run(Duration::from_secs(240));
    assert_eq!(net.view().reason, Some(Reason::NoVantagePoints));
    assert_eq!(net.view().nat_type, NatType::Unknown);
}

#[test]
fn another_address_is_measured_at_once_and_the_old_result_is_dropped() {
    let mut net = Net::new(kind(NatType::FullCone), 3, 1);
    net.run(Duration::from_secs(5));
    net.change(kind(NatType::Symmetric));
    net.probe.address_changed(net.now, &mut net.wants);
    net.run(Duration::from_secs(4));
    assert_eq!(net.view().nat_type, NatType::Symmetric);
    net.remove_host(0);
    net.remove_host(1);
    net.probe.address_changed(net.now, &mut net.wants);
    net.run(Duration::from_secs(4));
    assert_eq!(net.view().nat_type, NatType::Unknown);
}

#[test]
fn a_port_that_was_used_lately_is_not_used_again() {
    let mut net = Net::new(kind(NatType::PortRestricted), 3, 1);
    net.run(Duration::from_secs(5));
    // The system hands out the same ports again; their mappings remember
    // everybody, so a dial-back would come in.
    net.next_local = 20_000;
    net.probe.ask(net.now, &mut net.wants);
    net.run(Duration::from_secs(3));
    assert_eq!(net.answered[0].nat_type, NatType::PortRestricted, "{:#?}", net.view());
}

#[test]
fn a_nat_that_forgot_its_mappings_is_known_again_within_seconds_though_few_dial_backs_are_left() {
    for nat in TYPES {
        let mut net = Net::new(kind(nat), 3, 1);
        net.run(Duration::from_secs(10));
        assert_eq!(net.view().nat_type, nat);
        net.change(kind(nat));
        net.contradict();
        assert_eq!((net.view().nat_type, net.view().measured), (NatType::Unknown, None));
        let since = net.view().again_since;
        assert!(since.is_some());
        net.run(Duration::from_secs(5));
        assert_eq!((net.view().nat_type, net.view().again_since), (nat, None), "{:#?}", net.view());
    }
}

#[test]
fn a_nat_that_became_another_one_is_never_taken_for_what_it_was() {
    for (before, after) in TYPES.iter().flat_map(|a| TYPES.iter().map(move |b| (*a, *b))) {
        let mut net = Net::new(kind(before), 3, 1);
        net.run(Duration::from_secs(10));
        let results = net.results.len();
        net.change(kind(after));
        net.contradict();
        net.run(Duration::from_secs(60));
        let told = net.results[results..].iter().map(|(_, view)| view.nat_type);
        let others: Vec<_> = told.filter(|nat| ![after, NatType::Unknown].contains(nat)).collect();
        assert_eq!(others, [], "{before} became {after}");
    }
}
