//! The verdict on a link that stands, and the way to the one on a peer that is
//! not reached.

use super::punch::{limited, punch};
use super::{Facts, Finding, LinkFact, unreached};
use crate::core::ladder::NatPair;
use crate::model::{
    AttemptOutcome, Because, CloseCode, Help, NextAction, Path, Reason, SendTrouble, StageKind, StageOutcome,
    Sureness, Verdict,
};

/// Concludes what there is to conclude.
pub(super) fn find(facts: &Facts<'_>) -> Finding {
    if let Some(addresses) = facts.twice {
        return used_twice(Verdict::UsedTwice { addresses: addresses.to_vec() });
    }
    let replaced = matches!(facts.gone, Some((_, Reason::Closed { close: Some(CloseCode::Replaced) })));
    if let Some(addresses) = facts.we_twice.filter(|_| facts.link.is_none() && replaced) {
        return used_twice(Verdict::UsedTwiceHere { identity: facts.me, addresses: addresses.to_vec() });
    }
    if let Some(why) = facts.no_way.filter(|_| facts.link.is_none()) {
        return no_way(why);
    }
    match facts.link {
        Some(LinkFact { path: Path::Relayed, via, .. }) => {
            let found = punch(facts);
            Finding { verdict: Verdict::Relayed { via, because: Box::new(found.verdict) }, ..found }
        }
        Some(LinkFact { path, .. }) => standing(facts, path),
        None => match facts.attempt {
            Some(attempt) if attempt.outcome.is_none() => running(facts),
            // Whatever was tried before, this is why nothing is now.
            _ if is_disconnected_here(facts) => idle(facts),
            Some(attempt) if attempt.outcome == Some(AttemptOutcome::Unreachable) => unreached::find(facts),
            _ => idle(facts),
        },
    }
}

/// Two nodes have one key.
fn used_twice(verdict: Verdict) -> Finding {
    Finding::new(verdict, Sureness::High, Because::TakenInTurn).helped_by([Help::StopOneOfTwo])
}

/// This host keeps us from it.
fn no_way(why: SendTrouble) -> Finding {
    let (because, help) = match why {
        SendTrouble::NoRoute => (Because::NoRoute, Help::NetworkOrRoute),
        SendTrouble::Forbidden | SendTrouble::Other => (Because::SendRefused, Help::UdpLetOut),
    };
    Finding::new(Verdict::NoWay { why }, Sureness::High, because).helped_by([help])
}

fn standing(facts: &Facts<'_>, path: Path) -> Finding {
    let NatPair { ours, theirs, .. } = facts.nat_pair;
    let verdict = match path {
        Path::Punched => Verdict::Punched { ours, theirs },
        _ => Verdict::Direct { theirs: (facts.nat_pair.can_dial() == Some(true)).then_some(theirs) },
    };
    Finding::new(verdict, Sureness::High, Because::LinkStands)
}

fn running(facts: &Facts<'_>) -> Finding {
    if facts.failed(StageKind::Punch) == Some(&Reason::RateLimited) {
        return limited(facts, true);
    }
    let stages = facts.attempt.map(|a| a.stages.as_slice()).unwrap_or_default();
    let stage = stages.iter().rev().find(|s| s.outcome == StageOutcome::Running).map(|s| s.stage);
    Finding::new(Verdict::Running { stage }, Sureness::Medium, Because::NotEnded)
}

/// Whether our own operator ended the last link.
fn is_disconnected_here(facts: &Facts<'_>) -> bool {
    facts.held_off.is_some() && matches!(facts.gone, Some((_, Reason::HeldOff { .. })))
}

/// No link, and nothing against it.
fn idle(facts: &Facts<'_>) -> Finding {
    let (level, because) = match facts.gone {
        Some(_) if is_disconnected_here(facts) => (Sureness::High, Because::AskedForHere),
        Some(_) => (Sureness::High, Because::SeenToEnd),
        None => (Sureness::Low, Because::NothingTried),
    };
    let verdict = Verdict::Idle {
        ended: facts.gone.clone(),
        attempted: facts.attempt.is_some(),
        held_off: facts.held_off,
    };
    Finding::new(verdict, level, because).then([NextAction::Connect])
}
