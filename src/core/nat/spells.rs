//! What our NAT was found to be, one after the other: a spell ends when something
//! contradicts it, and another one begins with the next measurement.

use std::collections::VecDeque;
use std::net::IpAddr;

use crate::core::limits::NAT_SPELLS_MAX;
use crate::model::{NatSpell, NatView, Stamp};

/// All that are remembered.
#[derive(Debug, Default)]
pub(super) struct Spells(VecDeque<NatSpell>);

impl Spells {
    /// What is known now, and where we are seen.
    pub(super) fn note(&mut self, view: &NatView, at: Option<IpAddr>, now: Stamp) {
        let known = view.measured.is_some().then(|| (view.nat_type, view.is_firewalled(), at));
        let last = self.0.back_mut().filter(|spell| spell.until.is_none());
        if let Some(last) = last {
            let same = known.is_some_and(|(nat_type, firewalled, at)| {
                // The address may be known a moment after the rest.
                let same_place = last.at.is_none() || at.is_none() || at == last.at;
                (nat_type, firewalled) == (last.nat_type, last.firewalled) && same_place
            });
            if same {
                last.at = last.at.or(at);
                return;
            }
            last.until = Some(now);
        }
        let Some((nat_type, firewalled, at)) = known else { return };
        if self.0.len() >= NAT_SPELLS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(NatSpell { nat_type, firewalled, at, from: now, until: None });
    }

    /// The oldest first.
    pub(super) fn all(&self) -> Vec<NatSpell> {
        self.0.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Behaviour, NatType, Reason};

    fn found(nat_type: NatType) -> NatView {
        let filtering = Some(Behaviour::EndpointIndependent);
        NatView { nat_type, filtering, measured: Some(Stamp(1)), ..NatView::default() }
    }

    fn here(n: u8) -> IpAddr {
        [198, 18, 0, n].into()
    }

    #[test]
    fn a_spell_ends_when_something_contradicts_it_and_not_when_it_is_borne_out() {
        let mut spells = Spells::default();
        spells.note(&NatView::unknown(Reason::NoVantagePoints), None, Stamp(1));
        assert!(spells.all().is_empty(), "nothing was found yet");
        spells.note(&found(NatType::FullCone), None, Stamp(10));
        spells.note(&found(NatType::FullCone), Some(here(1)), Stamp(20));
        spells.note(&NatView::unknown(Reason::NatChanging), Some(here(1)), Stamp(30));
        spells.note(&NatView::unknown(Reason::NatChanging), Some(here(1)), Stamp(35));
        spells.note(&found(NatType::Symmetric), Some(here(1)), Stamp(40));
        spells.note(&found(NatType::Symmetric), Some(here(2)), Stamp(50));
        let told: Vec<_> = spells.all().iter().map(|s| (s.nat_type, s.at, s.from.0, s.until)).collect();
        assert_eq!(
            told,
            [
                (NatType::FullCone, Some(here(1)), 10, Some(Stamp(30))),
                (NatType::Symmetric, Some(here(1)), 40, Some(Stamp(50))),
                (NatType::Symmetric, Some(here(2)), 50, None),
            ]
        );
    }

    #[test]
    fn no_more_are_remembered_than_that() {
        let mut spells = Spells::default();
        for n in 0..100 {
            let nat = if n % 2 == 0 { NatType::FullCone } else { NatType::Symmetric };
            spells.note(&found(nat), None, Stamp(n));
        }
        assert_eq!(spells.all().len(), NAT_SPELLS_MAX);
        assert_eq!(spells.all().last().map(|s| s.from), Some(Stamp(99)), "the newest are");
    }
}
