//! In which order a NAT hands out the ports of its mappings.
//!
//! A probe asks several vantage points, each at two ports, from one socket: where
//! every destination gets a mapping of its own, their ports in the order of time
//! show whether they come in small steps. Three of them settle it: two that are
//! near each other by chance are one pair in a thousand, two such pairs in the
//! same direction are one in millions.

use crate::core::limits::GUESS_STEP_MAX;
use crate::model::PortOrder;

/// Mappings that must have been seen.
const ENOUGH: usize = 3;

/// The steps between consecutive ports, the way around the end included.
fn steps(ports: &[u16]) -> impl Iterator<Item = i16> + '_ {
    ports.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]).cast_signed())
}

fn is_small(step: i16) -> bool {
    step != 0 && step.unsigned_abs() <= GUESS_STEP_MAX
}

/// The order of these ports. Others behind the NAT take ports in between, so the
/// smallest step is the NAT's own. `later`: mappings that were made after them, in
/// no order that is known.
pub(super) fn of(ports: &[u16], later: &[u16]) -> Option<PortOrder> {
    if ports.len() < ENOUGH {
        return None;
    }
    let all: Vec<i16> = steps(ports).collect();
    let onward = all.iter().all(|step| *step > 0) || all.iter().all(|step| *step < 0);
    if !onward || !all.iter().all(|step| is_small(*step)) {
        return Some(PortOrder::Random);
    }
    let step = all.into_iter().min_by_key(|step| step.unsigned_abs())?;
    let last = newest(step, ports, later)?;
    Some(PortOrder::Steps { step, last })
}

/// The port that is furthest along; `None` if these do not go on in such steps.
pub(super) fn newest(step: i16, ports: &[u16], later: &[u16]) -> Option<u16> {
    let first = *ports.first()?;
    let ahead = |port: u16| i32::from(port.wrapping_sub(first).cast_signed()) * i32::from(step.signum());
    // A pair far ahead has nothing to do with it.
    let count = i32::try_from(ports.len() + later.len()).unwrap_or(i32::MAX);
    let most = i32::from(GUESS_STEP_MAX).saturating_mul(count);
    let near = |port: &u16| (0..=most).contains(&ahead(*port));
    if !ports.iter().all(near) {
        return None;
    }
    ports.iter().chain(later).copied().filter(near).max_by_key(|port| ahead(*port))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn step_of(ports: &[u16]) -> Option<i16> {
        match of(ports, &[])? {
            PortOrder::Steps { step, .. } => Some(step),
            PortOrder::Random => None,
        }
    }

    #[test]
    fn ports_that_follow_each_other_show_the_step_and_the_last_one() {
        assert_eq!(of(&[5000, 5001, 5002], &[]), Some(PortOrder::Steps { step: 1, last: 5002 }));
        assert_eq!(of(&[5000, 5002, 5004], &[5006]), Some(PortOrder::Steps { step: 2, last: 5006 }));
        assert_eq!(of(&[5004, 5003, 5002], &[]), Some(PortOrder::Steps { step: -1, last: 5002 }));
    }

    #[test]
    fn others_behind_the_nat_take_ports_in_between() {
        assert_eq!(step_of(&[5000, 5003, 5004, 5009]), Some(1));
    }

    #[test]
    fn two_ports_show_nothing_and_scattered_ones_no_order() {
        assert_eq!(of(&[5000, 5001], &[]), None);
        assert_eq!(of(&[5000, 5001, 40_000], &[]), Some(PortOrder::Random));
        assert_eq!(of(&[5000, 5002, 5001], &[]), Some(PortOrder::Random), "back and forth");
        assert_eq!(of(&[5000, 5000, 5000], &[]), Some(PortOrder::Random), "no step at all");
    }

    #[test]
    fn a_glance_finds_how_far_an_order_has_come() {
        assert_eq!(newest(1, &[5010, 5012], &[5015]), Some(5015));
        assert_eq!(newest(1, &[5010, 900], &[]), None, "that is another order");
        assert_eq!(newest(1, &[5010, 5012], &[60_000]), Some(5012), "a stray is left out");
    }

    proptest! {
        /// By chance alone an order shows hardly ever.
        #[test]
        fn random_ports_are_called_random(ports in proptest::collection::vec(1024u16.., 6)) {
            prop_assert_eq!(of(&ports, &[]), Some(PortOrder::Random));
        }
    }
}
