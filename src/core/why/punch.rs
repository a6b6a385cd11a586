//! Why there is no straight path.

use std::net::SocketAddr;

use super::{Facts, Finding, LinkFact, Theirs};
use crate::core::ladder::NatPair;
use crate::model::{
    Because, End, Help, NatType, NextAction, OurNat, Path, Reason, StageKind, StageOutcome, Stamp, Sureness,
    TheirNat, TraceEvent, Verdict,
};

/// A measurement older than this says little: routers change.
const FRESH_S: u64 = 15 * 60;

/// Why there is no straight path: what is known of the punch.
pub(super) fn punch(facts: &Facts<'_>) -> Finding {
    if let Some(at) = facts.trace.short_passed() {
        return narrow(facts, at);
    }
    if !facts.nat_pair.can_punch() {
        return unpunchable(facts);
    }
    match facts.failed(StageKind::Punch) {
        Some(Reason::RateLimited) => limited(facts, false),
        Some(Reason::NoIntermediary | Reason::UnknownTarget) => nobody_between(facts),
        Some(Reason::NoConsent) => {
            Finding::new(Verdict::NoConsent, Sureness::High, Because::SaidToIntermediary)
                .helped_by([Help::PunchSetting])
                .then(ways(facts))
        }
        Some(Reason::Unpunchable { .. }) => unpunchable(facts),
        Some(Reason::TimedOut { .. }) => nothing_through(facts),
        Some(Reason::NotNeeded | Reason::InboundWon | Reason::NotRequested | Reason::AskedAnew) | None => {
            untried(facts)
        }
        Some(other) => {
            let (level, because) = nat_sureness(facts);
            let verdict = Verdict::PunchFailed { reason: other.clone() };
            Finding::new(verdict, level.min(Sureness::Medium), because)
                .then(with(NextAction::Punch, ways(facts)))
        }
    }
}

/// Short datagrams are answered, and a handshake is not.
pub(super) fn narrow(facts: &Facts<'_>, to: SocketAddr) -> Finding {
    let verdict = Verdict::PathTooNarrow { to, relayed: facts.link.is_some() };
    Finding::new(verdict, Sureness::High, Because::ShortAnswered)
        .helped_by([Help::Mtu])
        .then(with(NextAction::Relay, ways(facts)))
}

/// One end has IPv4 alone, the other IPv6 alone.
fn apart(facts: &Facts<'_>) -> Finding {
    let they_have_ipv4 = facts.addresses.iter().any(SocketAddr::is_ipv4);
    let first = if facts.link.is_some() { NextAction::Failover } else { NextAction::Relay };
    let next: Vec<NextAction> =
        with(first, ways(facts)).into_iter().filter(|next| *next != NextAction::Punch).collect();
    Finding::new(
        Verdict::NoCommonFamily { they_have_ipv4 },
        Sureness::High,
        Because::OtherFamilyOnly { they_have_ipv4 },
    )
    .helped_by([Help::SecondFamily])
    .then(next)
}

fn untried(facts: &Facts<'_>) -> Finding {
    let runs = facts.attempt.is_some_and(|a| {
        a.stages.iter().any(|s| s.stage == StageKind::Punch && s.outcome == StageOutcome::Running)
    });
    let (level, because) = nat_sureness(facts);
    Finding::new(Verdict::PunchUntried { runs }, level, because).then(with(NextAction::Punch, ways(facts)))
}

fn unpunchable(facts: &Facts<'_>) -> Finding {
    let NatPair { ours, theirs, .. } = facts.nat_pair;
    let (level, because) = nat_sureness(facts);
    let symmetric = [(ours, End::Ours), (theirs, End::Theirs)].into_iter();
    let forwarded =
        symmetric.filter(|(nat, _)| *nat == NatType::Symmetric).map(|(_, end)| Help::PortForwarded(end));
    let would_help: Vec<Help> = std::iter::once(Help::Ipv6).chain(forwarded).collect();
    if facts.guessable {
        return Finding::new(Verdict::GuessablePort { ours, theirs }, level, because)
            .helped_by(would_help)
            .then(with(NextAction::Punch, with(NextAction::NatProbe, ways(facts))));
    }
    let first = if facts.link.is_some() { NextAction::NatProbe } else { NextAction::Relay };
    // A punch would be skipped with this reason as long as that is measured.
    let next = with(first, with(NextAction::NatProbe, ways(facts)));
    let next: Vec<NextAction> = next.into_iter().filter(|next| *next != NextAction::Punch).collect();
    Finding::new(Verdict::Unpunchable { ours, theirs }, level, because).helped_by(would_help).then(next)
}

/// An intermediary takes no more requests of ours just now. `runs`: the attempt goes on.
pub(super) fn limited(facts: &Facts<'_>, runs: bool) -> Finding {
    let refused = |event: &TraceEvent| match event {
        TraceEvent::TurnedDown { via, reason: Reason::RateLimited } => Some(*via),
        _ => None,
    };
    let mut by: Vec<_> = facts.trace.steps().iter().filter_map(|s| refused(&s.what)).collect();
    by.dedup();
    if by.is_empty() {
        by.extend(facts.attempt.and_then(|a| a.stages.iter().rev().find_map(|s| s.via)));
    }
    Finding::new(Verdict::RateLimited { by, runs }, Sureness::High, Because::IntermediarySaid)
        .helped_by([Help::WaitForRate, Help::OtherIntermediary])
        .then(with(NextAction::Punch, ways(facts)))
}

/// It is reached over a relay, and nobody linked to us sees it straight.
fn nobody_between(facts: &Facts<'_>) -> Finding {
    let (_, not) = facts.trace.answers();
    let (level, because) = if not.is_empty() {
        (Sureness::Medium, Because::NobodyToAsk)
    } else {
        (Sureness::High, Because::AllSaidSo { who: not })
    };
    Finding::new(Verdict::NoIntermediary, level, because)
        .helped_by([Help::CommonPublicPeer])
        .then(with(NextAction::SyncAll, with(NextAction::Punch, ways(facts))))
}

/// Both dialled, and nothing came through.
fn nothing_through(facts: &Facts<'_>) -> Finding {
    let NatPair { ours, theirs, .. } = facts.nat_pair;
    let agreed = facts.trace.steps().iter().any(|s| matches!(s.what, TraceEvent::Agreed { .. }));
    let reason = facts.failed(StageKind::Punch).cloned();
    if !agreed {
        return Finding::new(Verdict::PunchUnanswered { reason }, Sureness::Medium, Because::NoAnswer)
            .helped_by([Help::OtherIntermediary])
            .then(with(NextAction::Punch, ways(facts)));
    }
    let (level, because) = nat_sureness(facts);
    let verdict = Verdict::NothingThrough { reason, ours, theirs };
    Finding::new(verdict, level.min(Sureness::Medium), because)
        .helped_by([Help::MorePublicPeers])
        .then(with(NextAction::NatProbe, with(NextAction::Punch, ways(facts))))
}

/// What can be done beside the first thing.
fn ways(facts: &Facts<'_>) -> Vec<NextAction> {
    match facts.link {
        Some(LinkFact { path: Path::Relayed, .. }) => {
            vec![NextAction::Punch, NextAction::Failover, NextAction::NatProbe]
        }
        Some(_) => Vec::new(),
        None => vec![NextAction::Connect, NextAction::Relay],
    }
}

/// The first thing to do, and the rest without it.
pub(super) fn with(first: NextAction, rest: Vec<NextAction>) -> Vec<NextAction> {
    let rest = rest.into_iter().filter(|next| *next != first);
    std::iter::once(first).chain(rest).collect()
}

/// How sure the types of both NATs are.
fn nat_sureness(facts: &Facts<'_>) -> (Sureness, Because) {
    let fresh = |at: Stamp| at.age_at(facts.now).as_secs() <= FRESH_S;
    let NatPair { ours: nat, theirs, .. } = facts.nat_pair;
    let observers = facts.nat.vantage_points.iter().filter(|v| v.agrees).count();
    let measured = facts.nat.measured.filter(|_| nat != NatType::Unknown);
    let ours = measured.map(|measured| OurNat { observers, nat, measured });
    let ours_is_sure = ours.is_some_and(|of| fresh(of.measured) && of.observers >= 2);
    let (theirs, theirs_is_sure) = match (&facts.theirs, facts.first_hand) {
        _ if theirs == NatType::Unknown => (TheirNat::Unknown, false),
        (Theirs::Told { measured: Some(at), .. }, _) => (TheirNat::Measured(*at), fresh(*at)),
        (_, true) => (TheirNat::Said, true),
        _ => (TheirNat::Hearsay, false),
    };
    let level = match (ours_is_sure, theirs_is_sure) {
        (true, true) => Sureness::High,
        (false, false) => Sureness::Low,
        _ => Sureness::Medium,
    };
    (level, Because::Nats { ours, theirs })
}
