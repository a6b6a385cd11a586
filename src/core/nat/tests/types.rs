//! Each type is named right, whatever one responder says and the net loses.

use std::time::Duration;

use proptest::prelude::*;

use super::net::{Kind, LIES, Net, TYPES, kind};
use crate::model::{Behaviour, NatEvidence, NatType, Reason};

/// Long enough for one run and the retries of one that lost too much.
const SOON: Duration = Duration::from_secs(4);

fn named(net: &mut Net) -> NatType {
    net.run(SOON);
    net.view().nat_type
}

#[test]
fn every_type_is_named_right_twenty_times_of_twenty() {
    for nat in TYPES {
        for seed in 0..20 {
            for hosts in [2, 3, 5] {
                let mut net = Net::new(kind(nat), hosts, seed);
                assert_eq!(named(&mut net), nat, "{hosts} responders, seed {seed}: {:#?}", net.view());
                let (at, view) = &net.results[0];
                assert_eq!(view.nat_type, nat, "the first run says it");
                assert!(at.0 <= Duration::from_millis(2300), "{nat} took {at:?}");
                assert_eq!(view.reason, None);
                assert!(view.confidence.unwrap() > 0.7, "{view:#?}");
                assert!(view.vantage_points.len() == hosts && view.vantage_points.iter().all(|v| v.agrees));
            }
        }
    }
}

#[test]
fn the_behaviour_in_rfc_4787_terms_and_the_evidence_go_with_it() {
    use Behaviour::{AddressAndPortDependent, AddressDependent, EndpointIndependent};
    let expected = [
        (NatType::None, EndpointIndependent, EndpointIndependent),
        (NatType::FullCone, EndpointIndependent, EndpointIndependent),
        (NatType::AddressRestricted, EndpointIndependent, AddressDependent),
        (NatType::PortRestricted, EndpointIndependent, AddressAndPortDependent),
        (NatType::Symmetric, AddressAndPortDependent, AddressAndPortDependent),
    ];
    for (nat, mapping, filtering) in expected {
        let mut net = Net::new(kind(nat), 3, 1);
        net.run(SOON);
        let view = net.view();
        assert_eq!((view.mapping, view.filtering), (Some(mapping), Some(filtering)), "{nat}");
        assert!(view.evidence.len() >= 2, "{:?}", view.evidence);
    }
}

#[test]
fn a_mapping_that_depends_on_the_address_alone_is_symmetric_too() {
    let depends = Kind { mapping: Some(Behaviour::AddressDependent), ..kind(NatType::PortRestricted) };
    let mut net = Net::new(depends, 3, 1);
    assert_eq!(named(&mut net), NatType::Symmetric);
    assert_eq!(net.view().mapping, Some(Behaviour::AddressDependent));
    // Two that differ could be one that lies.
    let mut net = Net::new(depends, 2, 1);
    assert_eq!(named(&mut net), NatType::Unknown);
    assert_eq!(net.view().reason, Some(Reason::VantagePointsDisagree));
}

#[test]
fn a_firewall_without_nat_is_none_and_said_so() {
    for filtering in [Behaviour::AddressDependent, Behaviour::AddressAndPortDependent] {
        let mut net = Net::new(Kind { filtering, ..kind(NatType::None) }, 3, 1);
        assert_eq!(named(&mut net), NatType::None);
        let view = net.view();
        assert_eq!(view.filtering, Some(filtering));
        assert!(view.is_firewalled() && view.evidence.contains(&NatEvidence::Firewall), "{view:#?}");
    }
}

#[test]
fn port_preservation_and_hairpinning_are_measured() {
    for (preserve, hairpin) in [(false, false), (false, true), (true, false), (true, true)] {
        for nat in [NatType::FullCone, NatType::PortRestricted] {
            let mut net = Net::new(Kind { preserve, hairpin, ..kind(nat) }, 3, 1);
            assert_eq!(named(&mut net), nat);
            let view = net.view();
            assert_eq!(view.port_preservation, Some(preserve), "{nat}");
            assert_eq!(view.hairpinning, Some(hairpin), "{nat}");
        }
    }
    let mut open = Net::new(kind(NatType::None), 3, 1);
    named(&mut open);
    assert_eq!(open.view().hairpinning, None, "there is nothing to come back from");
}

#[test]
fn one_liar_among_three_never_changes_the_answer() {
    for nat in TYPES {
        for lie in LIES {
            for liar in 0..3 {
                for seed in 0..20 {
                    let mut net = Net::new(kind(nat), 3, seed).lying(liar, lie);
                    net.run(Duration::from_secs(70));
                    for (_, view) in &net.results {
                        assert_eq!(view.nat_type, nat, "{lie:?} by {liar}, seed {seed}: {view:#?}");
                    }
                    assert!(!net.results.is_empty());
                }
            }
        }
    }
}

#[test]
fn a_dissenter_is_noted_and_costs_confidence() {
    let mut honest = Net::new(kind(NatType::FullCone), 3, 1);
    let mut lied_to = Net::new(kind(NatType::FullCone), 3, 1).lying(1, super::net::Lie::Port);
    named(&mut honest);
    named(&mut lied_to);
    let view = lied_to.view();
    assert!(view.confidence.unwrap() < honest.view().confidence.unwrap());
    assert_eq!(view.vantage_points.iter().filter(|v| !v.agrees).count(), 1);
    assert!(view.evidence.iter().any(|e| matches!(e, NatEvidence::Dissent { .. })), "{:?}", view.evidence);
}

#[test]
fn a_lossy_net_does_not_change_the_answer() {
    for nat in TYPES {
        for seed in 0..20 {
            let mut net = Net::new(kind(nat), 3, seed).lossy(0.2);
            net.run(Duration::from_secs(30));
            assert_eq!(net.view().nat_type, nat, "seed {seed}: {:#?}", net.view());
        }
    }
}

#[test]
fn a_slow_net_does_not_change_the_answer() {
    // The links' round trips are not known yet: 20 ms are taken for them.
    for delay in [40..45, 95..105, 150..200] {
        for nat in TYPES {
            for seed in 0..5 {
                let mut net = Net::new(kind(nat), 3, seed);
                net.delay = delay.clone();
                net.run(Duration::from_secs(5));
                assert_eq!(net.results[0].1.nat_type, nat, "{delay:?}, seed {seed}: {:#?}", net.view());
            }
        }
    }
}

#[test]
fn responders_that_cannot_be_reached_are_passed_over() {
    let mut net = Net::new(kind(NatType::PortRestricted), 0, 1);
    // As many as are asked at once, and nobody among them answers.
    for _ in 0..6 {
        net.add_host(false);
    }
    for _ in 0..3 {
        net.add_host(true);
    }
    net.run(Duration::from_secs(10));
    assert_eq!(net.view().nat_type, NatType::PortRestricted, "{:#?}", net.view());
}

#[test]
fn one_alone_measures_nothing() {
    for hosts in [0, 1] {
        let mut net = Net::new(kind(NatType::FullCone), hosts, 1);
        net.run(SOON);
        assert_eq!(net.view().nat_type, NatType::Unknown);
        assert_eq!(net.view().reason, Some(Reason::NoVantagePoints));
        assert_eq!(net.view().confidence, None);
        assert_eq!(net.sent, 0, "and asks nobody");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_nat_is_named_right_or_not_at_all(
        which in 0usize..5,
        seed: u64,
        hosts in 3usize..7,
        loss in 0.0f64..0.15,
        liar in proptest::option::of((0usize..3, 0usize..5)),
        preserve: bool,
        hairpin: bool,
    ) {
        let nat = TYPES[which];
        // Of three who dial back one may lie; the two others must not both be lost.
        let loss = if liar.is_some() { loss / 5.0 } else { loss };
        let mut net = Net::new(Kind { preserve, hairpin, ..kind(nat) }, hosts, seed).lossy(loss);
        if let Some((host, lie)) = liar {
            net = net.lying(host, LIES[lie]);
        }
        net.run(Duration::from_secs(60));
        for (_, view) in &net.results {
            prop_assert!(view.nat_type == nat || view.nat_type == NatType::Unknown, "{view:#?}");
        }
        prop_assert_eq!(net.view().nat_type, nat);
    }
}
