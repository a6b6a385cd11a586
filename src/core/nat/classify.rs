//! From what the vantage points saw to a mapping behaviour (RFC 4787, 4.1),
//! believing nobody alone.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::model::{Behaviour, Reason};

/// What one responder saw of one socket from its two ports; `None` where no
/// answer came. Responders have different IPs.
pub(super) type Seen = [Option<SocketAddr>; 2];

/// What follows from it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mapping {
    /// The behaviour, if enough responders agree.
    pub(super) behaviour: Result<Behaviour, Reason>,
    /// The one mapped address of an endpoint-independent mapping.
    pub(super) external: Option<SocketAddr>,
    /// For each responder whether it bears the result out.
    pub(super) agrees: Vec<bool>,
    /// Responders that answered.
    pub(super) answered: usize,
}

impl Mapping {
    pub(super) fn agreeing(&self) -> usize {
        self.agrees.iter().filter(|a| **a).count()
    }
}

/// What one responder's two answers say by themselves.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Story {
    Silent,
    /// The same from wherever it looked; `true` if from both ports.
    Steady(SocketAddr, bool),
    /// Another mapping for each of its ports.
    Varies,
}

fn story(seen: &Seen) -> Story {
    match *seen {
        [None, None] => Story::Silent,
        [Some(a), Some(b)] if a == b => Story::Steady(a, true),
        [Some(_), Some(_)] => Story::Varies,
        [Some(a), None] | [None, Some(a)] => Story::Steady(a, false),
    }
}

/// Decides. At least two responders and more than half of those that answered
/// must bear a behaviour out, so of three one may lie. A mapping that depends
/// on the address alone is settled by three that each saw another one: of two
/// that differ, one may lie.
pub(super) fn mapping(seen: &[Seen]) -> Mapping {
    let stories: Vec<Story> = seen.iter().map(story).collect();
    let answered = stories.iter().filter(|s| **s != Story::Silent).count();
    let varying = stories.iter().filter(|s| **s == Story::Varies).count();
    let mut counts: BTreeMap<SocketAddr, usize> = BTreeMap::new();
    for story in &stories {
        if let Story::Steady(addr, _) = story {
            *counts.entry(*addr).or_default() += 1;
        }
    }
    let common = counts.iter().max_by_key(|(_, n)| **n).map(|(addr, n)| (*addr, *n));
    let enough = |n: usize| n >= 2 && n * 2 > answered;
    let both_ports = stories.iter().filter(|s| matches!(s, Story::Steady(_, true))).count();
    let all_differ = common.is_some_and(|(_, n)| n == 1);

    let mut external = None;
    let behaviour = match common {
        Some((addr, n)) if enough(n) => {
            external = Some(addr);
            Ok(Behaviour::EndpointIndependent)
        }
        _ if enough(varying) => Ok(Behaviour::AddressAndPortDependent),
        _ if answered >= 3 && all_differ && varying <= 1 && both_ports >= 2 => {
            Ok(Behaviour::AddressDependent)
        }
        _ if answered < 2 => Err(Reason::NoVantagePoints),
        _ => Err(Reason::VantagePointsDisagree),
    };
    let agrees = stories.iter().map(|story| match (&behaviour, story) {
        (Ok(Behaviour::EndpointIndependent), Story::Steady(addr, _)) => Some(*addr) == external,
        (Ok(Behaviour::AddressDependent), Story::Steady(..)) => true,
        (Ok(Behaviour::AddressAndPortDependent), story) => *story == Story::Varies,
        _ => false,
    });
    Mapping { agrees: agrees.collect(), behaviour, external, answered }
}

/// Whether what was seen is what a mapping of that kind would show. For a
/// glance, where most were asked at one port only.
pub(super) fn is_still(behaviour: Behaviour, seen: &[Seen]) -> bool {
    let now = mapping(seen);
    match (behaviour, now.behaviour) {
        (Behaviour::EndpointIndependent, found) => found == Ok(Behaviour::EndpointIndependent),
        (_, Ok(found)) => found == behaviour,
        // From one port each, both dependent behaviours look the same.
        (_, Err(_)) => now.answered >= 2,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use Behaviour::{AddressAndPortDependent, AddressDependent, EndpointIndependent};

    fn addr(port: u16) -> SocketAddr {
        ([198, 18, 0, 1], port).into()
    }

    /// The mapped ports that a responder saw from its two ports.
    fn ports<T: Into<Option<u16>>>(ports: [T; 2]) -> Seen {
        ports.map(|p| p.into().map(addr))
    }

    fn same(port: u16) -> Seen {
        ports([port, port])
    }

    #[test]
    fn two_that_agree_settle_a_mapping() {
        assert_eq!(mapping(&[same(5), same(5)]).behaviour, Ok(EndpointIndependent));
        let varies = [ports([5, 6]), ports([7, 8])];
        assert_eq!(mapping(&varies).behaviour, Ok(AddressAndPortDependent));
        assert_eq!(mapping(&[same(5), same(6), same(7)]).behaviour, Ok(AddressDependent));
    }

    #[test]
    fn one_alone_and_two_that_differ_settle_nothing() {
        assert_eq!(mapping(&[]).behaviour, Err(Reason::NoVantagePoints));
        assert_eq!(mapping(&[same(5), [None, None]]).behaviour, Err(Reason::NoVantagePoints));
        assert_eq!(mapping(&[same(5), same(6)]).behaviour, Err(Reason::VantagePointsDisagree));
        assert_eq!(mapping(&[same(5), ports([6, 7])]).behaviour, Err(Reason::VantagePointsDisagree));
        let two_lines = [same(5), same(5), same(6), same(6)];
        assert_eq!(mapping(&two_lines).behaviour, Err(Reason::VantagePointsDisagree));
    }

    #[test]
    fn a_dissenter_is_noted() {
        let found = mapping(&[same(5), same(6), same(5)]);
        assert_eq!(found.behaviour, Ok(EndpointIndependent));
        assert_eq!(found.agrees, [true, false, true]);
        assert_eq!((found.external, found.agreeing()), (Some(addr(5)), 2));
    }

    #[test]
    fn a_lost_answer_changes_nothing() {
        assert_eq!(mapping(&[ports([Some(5), None]), same(5)]).behaviour, Ok(EndpointIndependent));
        let varies = [ports([5, 6]), ports([7, 8]), ports([Some(9), None])];
        assert_eq!(mapping(&varies).behaviour, Ok(AddressAndPortDependent));
    }

    /// What honest responders see of a mapping of each kind.
    fn honest(behaviour: Behaviour, responder: u16) -> Seen {
        match behaviour {
            EndpointIndependent => same(1000),
            AddressDependent => same(1000 + responder),
            AddressAndPortDependent => ports([1000 + 2 * responder, 1001 + 2 * responder]),
        }
    }

    proptest! {
        /// A liar does not know what the others saw: its ports are elsewhere.
        #[test]
        fn one_liar_among_three_or_more_never_changes_the_answer(
            behaviour in prop_oneof![
                Just(EndpointIndependent), Just(AddressDependent), Just(AddressAndPortDependent)
            ],
            honest_ones in 2u16..6,
            lie in [proptest::option::of(2000u16..2003), proptest::option::of(2000u16..2003)],
            place in 0usize..6,
        ) {
            let mut seen: Vec<Seen> = (0..honest_ones).map(|r| honest(behaviour, r)).collect();
            let place = place % (seen.len() + 1);
            seen.insert(place, ports(lie));
            let found = mapping(&seen);
            if behaviour == AddressDependent && honest_ones == 2 {
                // One liar in three: two honest ones show the dependence, and a
                // liar that says nothing is only missing.
                let silent = lie == [None, None];
                prop_assert!(found.behaviour == Ok(behaviour) || silent);
            } else {
                prop_assert_eq!(found.behaviour, Ok(behaviour));
            }
        }

        #[test]
        fn the_order_of_the_responders_does_not_matter(
            a in [proptest::option::of(1u16..4), proptest::option::of(1u16..4)],
            b in [proptest::option::of(1u16..4), proptest::option::of(1u16..4)],
            c in [proptest::option::of(1u16..4), proptest::option::of(1u16..4)],
        ) {
            let one = mapping(&[ports(a), ports(b), ports(c)]);
            let other = mapping(&[ports(c), ports(a), ports(b)]);
            prop_assert_eq!(one.behaviour, other.behaviour);
            prop_assert_eq!(one.external, other.external);
        }
    }
}
