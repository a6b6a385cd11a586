//! What speaks for the verdict: what was measured, and who said what.

use super::{Facts, Theirs, Told};
use crate::model::{AttemptOutcome, Evidence, Reason};

/// The evidence, what decides first.
pub(super) fn all(facts: &Facts<'_>) -> Vec<Evidence> {
    let mut all = attempted(facts);
    // Where a link stands, it is the NATs that say why it is not a better one.
    if facts.link.is_some() {
        all.extend(nats(facts));
    }
    all.extend(asked(facts));
    all.extend(facts.accounts.iter().map(account));
    all.extend(facts.knocks.iter().copied().map(Evidence::Knocked));
    if facts.link.is_some() {
        return all;
    }
    if facts.links == 0 {
        let last = facts.fell_silent.iter().max().copied();
        all.push(Evidence::NoLinks { silent: facts.fell_silent.len(), last });
    }
    if let Some((at, reason)) = &facts.gone {
        all.push(Evidence::LinkEnded { at: *at, reason: reason.clone() });
    }
    all.extend(facts.seen.map(Evidence::LastHeard));
    all.extend(nats(facts));
    all
}

/// What our last attempt dialled, and what came of it.
fn attempted(facts: &Facts<'_>) -> Vec<Evidence> {
    let mut all = Vec::new();
    let Some(attempt) = facts.attempt.filter(|_| facts.link.is_none()) else { return all };
    let dialled = facts.trace.addresses();
    let failed = attempt.outcome == Some(AttemptOutcome::Unreachable);
    let closed =
        |reason: &Reason| matches!(reason, Reason::Closed { close: Some(_) } | Reason::OtherVersion { .. });
    if let Some(reason) = attempt.stages.iter().filter_map(|s| s.reason.clone()).find(closed) {
        all.push(Evidence::Answered { at: dialled.first().copied(), when: attempt.started, reason });
    } else if let Some((at, who)) = facts.trace.impostor() {
        all.push(Evidence::OtherAnswered { who, at });
    } else if failed && !dialled.is_empty() && facts.trace.is_silent() {
        all.push(Evidence::NothingBack { from: dialled.clone(), dialled: attempt.started });
    }
    let new: Vec<_> = facts.addresses.iter().filter(|at| !dialled.contains(at)).copied().collect();
    if failed && !dialled.is_empty() && !new.is_empty() {
        all.push(Evidence::NewAddresses(new));
    }
    all
}

/// Who was asked for it in the attempt.
fn asked(facts: &Facts<'_>) -> Option<Evidence> {
    let (yes, no) = facts.trace.answers();
    (facts.link.is_none() && !no.is_empty()).then_some(Evidence::AskedWhoHas { yes, no })
}

fn account(told: &Told) -> Evidence {
    match &told.account {
        None => Evidence::NoAccount(told.who),
        Some(seen) => {
            Evidence::Account { who: told.who, status: seen.standing, at: seen.at, since: seen.since }
        }
    }
}

fn nats(facts: &Facts<'_>) -> Vec<Evidence> {
    let nat = facts.nat;
    let mut all = vec![Evidence::OurNat {
        nat: nat.nat_type,
        firewalled: nat.is_firewalled(),
        reason: nat.reason.clone(),
        measured: nat.measured,
    }];
    all.extend(nat.evidence.iter().cloned().map(Evidence::Ours));
    all.push(Evidence::TheirNat { nat: facts.nat_pair.theirs, first_hand: facts.first_hand });
    match &facts.theirs {
        Theirs::NotRequested => all.push(Evidence::NoLinkToAsk),
        Theirs::Silent => all.push(Evidence::NoAccount(facts.peer)),
        Theirs::Told { measured, evidence, .. } => {
            all.extend(measured.map(Evidence::TheirsMeasured));
            all.extend(evidence.iter().cloned());
        }
    }
    all
}
