//! How long a mapping lives, against NATs that forget sooner and later.

use std::time::Duration;

use super::net::{Net, kind};
use crate::model::{MappingLifetime, NatType};

/// The type, and then the longest wait.
const ALL: Duration = Duration::from_secs(310);

fn measured(nat: NatType, lives: u64, seed: u64) -> (Net, Option<MappingLifetime>) {
    let mut net = Net::new(kind(nat), 3, seed).forgetting_after(Duration::from_secs(lives));
    net.run(ALL);
    let lifetime = net.view().lifetime;
    (net, lifetime)
}

#[test]
fn every_nats_lifetime_is_bracketed_whatever_its_type() {
    let types = [NatType::FullCone, NatType::AddressRestricted, NatType::PortRestricted, NatType::Symmetric];
    for nat in types {
        for (lives, least, less) in [
            (20, 0, Some(25)),
            (30, 25, Some(55)),
            (120, 115, Some(175)),
            (180, 175, Some(295)),
            (600, 295, None),
        ] {
            let (_, found) = measured(nat, lives, lives);
            let found = found.unwrap_or_else(|| panic!("{nat} {lives} s: nothing was found"));
            assert_eq!((found.at_least_s, found.less_than_s), (least, less), "{nat}, {lives} s");
            assert!(!found.under_way);
        }
    }
}

#[test]
fn what_is_certain_is_said_before_the_end() {
    let mut net = Net::new(kind(NatType::PortRestricted), 3, 1).forgetting_after(Duration::from_secs(600));
    net.run(Duration::from_secs(20));
    assert_eq!((net.view().nat_type, net.view().lifetime), (NatType::PortRestricted, None));
    net.run(Duration::from_secs(50));
    let found = net.view().lifetime.unwrap();
    assert_eq!((found.at_least_s, found.less_than_s, found.under_way), (55, None, true));
}

#[test]
fn a_lossy_net_never_makes_it_longer_and_hardly_shorter() {
    let mut right = 0;
    for seed in 0..40 {
        let mut net = Net::new(kind(NatType::PortRestricted), 3, seed)
            .forgetting_after(Duration::from_secs(120))
            .lossy(0.05);
        net.run(ALL);
        let Some(found) = net.view().lifetime else { continue };
        assert!(found.at_least_s <= 115, "{found}");
        right += usize::from((found.at_least_s, found.less_than_s) == (115, Some(175)));
    }
    assert!(right >= 34, "{right} of 40");
}

#[test]
fn responders_of_an_older_version_leave_it_unknown_and_cost_little() {
    let mut net = Net::new(kind(NatType::PortRestricted), 3, 1);
    net.old_version = true;
    net.run(Duration::from_secs(900));
    assert_eq!((net.view().nat_type, net.view().lifetime), (NatType::PortRestricted, None));
    assert_eq!(net.refused, 0);
}

#[test]
fn a_responder_that_leaves_is_no_dead_mapping() {
    let mut net = Net::new(kind(NatType::PortRestricted), 3, 1);
    net.run(Duration::from_secs(10));
    for host in 0..3 {
        net.remove_host(host);
    }
    net.run(ALL);
    assert_eq!(net.view().lifetime, None);
}

#[test]
fn a_responder_that_died_without_a_word_is_no_dead_mapping_either() {
    for dies_at in [10, 40, 100] {
        let mut net =
            Net::new(kind(NatType::PortRestricted), 3, 1).forgetting_after(Duration::from_secs(600));
        net.dead_from = Some(net.now.plus(Duration::from_secs(dies_at)).mono);
        net.run(ALL);
        let shorter = net.view().lifetime.and_then(|found| found.less_than_s);
        assert_eq!(shorter, None, "it died after {dies_at} s");
    }
}

#[test]
fn another_nat_is_measured_anew() {
    let (mut net, found) = measured(NatType::PortRestricted, 30, 1);
    assert_eq!(found.unwrap().at_least_s, 25);
    net = net.forgetting_after(Duration::from_secs(600));
    net.change(kind(NatType::Symmetric));
    net.run(Duration::from_secs(400));
    assert_eq!((net.view().nat_type, net.view().lifetime.unwrap().at_least_s), (NatType::Symmetric, 295));
}

#[test]
fn where_nothing_is_remembered_nothing_is_measured() {
    let (_, found) = measured(NatType::None, 600, 1);
    assert_eq!(found, None);
}
