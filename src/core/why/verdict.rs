//! The verdict on a link that stands, and the way to the one on a peer that is
//! not reached.

use std::net::SocketAddr;

use super::remarks::{ended_by_sleep, with_remark};
use super::{Facts, Finding, LinkFact, Theirs, TraceEvent, unreached};
use crate::core::ladder::NatPair;
use crate::model::{
    AttemptOutcome, CloseCode, NatType, NextAction, Path, PeerId, Reason, SendTrouble, StageKind,
    StageOutcome, Stamp, Sureness, WhyCause, twice_at,
};

/// A measurement older than this says little: routers change.
const FRESH_S: u64 = 15 * 60;

/// What a NAT does, in words that say why it matters.
fn what_it_does(nat: NatType) -> &'static str {
    match nat {
        NatType::None => "has no NAT",
        NatType::FullCone => "lets anybody in at its mapped port (full-cone)",
        NatType::AddressRestricted => "lets in only hosts that it has sent to (address-restricted)",
        NatType::PortRestricted => {
            "lets in only the exact address and port that it has sent to (port-restricted)"
        }
        NatType::Symmetric => "maps per destination, so its port is another one for everybody (symmetric)",
        NatType::Unknown => "is not measured",
    }
}

/// Concludes what there is to conclude.
pub(super) fn find(facts: &Facts<'_>) -> Finding {
    if let Some(addresses) = facts.twice {
        return used_twice(WhyCause::UsedTwice, "Its identity", facts.peer, addresses);
    }
    let replaced = matches!(facts.gone, Some((_, Reason::Closed { close: Some(CloseCode::Replaced) })));
    if let Some(addresses) = facts.we_twice.filter(|_| facts.link.is_none() && replaced) {
        return used_twice(WhyCause::UsedTwiceHere, "Our identity", facts.me, addresses);
    }
    if let Some(why) = facts.no_way.filter(|_| facts.link.is_none()) {
        return no_way(why);
    }
    if facts.link.is_none()
        && !has_failed_since(facts)
        && let Some(found) = ended_by_sleep(facts)
    {
        return found;
    }
    match facts.link {
        Some(LinkFact { path: Path::Relayed, via, .. }) => {
            let over = via.map(|via| format!(" over {}", via.short())).unwrap_or_default();
            let found = punch(facts);
            Finding { verdict: format!("It is relayed{over}. {}", found.verdict), ..found }
        }
        Some(LinkFact { path, .. }) => with_remark(facts, standing(facts, path)),
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
fn used_twice(cause: WhyCause, whose: &str, identity: PeerId, addresses: &[SocketAddr]) -> Finding {
    Finding {
        cause,
        verdict: format!(
            "{whose} ({}) is used twice, {}: a link goes to one of the two, and each takes it from the other.",
            identity.short(),
            twice_at(addresses)
        ),
        level: Sureness::High,
        because: "links were taken over in turn by two that know nothing of each other".to_owned(),
        would_help: vec![
            "stopping one of the two, removing the key from its data directory and starting it again"
                .to_owned(),
        ],
        next: Vec::new(),
    }
}

/// This host keeps us from it.
fn no_way(why: SendTrouble) -> Finding {
    let (cause, because, help) = match why {
        SendTrouble::NoRoute => {
            (WhyCause::NoRoute, "the system knows no route", "a network for this host, or a route there")
        }
        SendTrouble::Forbidden | SendTrouble::Other => (
            WhyCause::SendingForbidden,
            "the system refused to send the datagram",
            "UDP let out by this host: its firewall, its routes (blackhole, prohibit), its service's unit",
        ),
    };
    Finding {
        cause,
        verdict: format!("It is us: {}. Nothing is tried until that ends, and then at once.", why.there()),
        level: Sureness::High,
        because: because.to_owned(),
        would_help: vec![help.to_owned()],
        next: Vec::new(),
    }
}

/// Whether an attempt of ours failed after our last link to it had ended: then that says more
/// of why there is none.
fn has_failed_since(facts: &Facts<'_>) -> bool {
    let ended = facts.gone.as_ref().map(|(at, _)| *at);
    facts.attempt.is_some_and(|attempt| attempt.outcome.is_some() && Some(attempt.started) > ended)
}

fn standing(facts: &Facts<'_>, path: Path) -> Finding {
    let NatPair { ours, theirs, .. } = facts.nat_pair;
    let verdict = match path {
        Path::Direct if facts.nat_pair.can_dial() == Some(true) => {
            format!("It is reached directly: it {}.", what_it_does(theirs))
        }
        Path::Punched => format!("A coordinated punch opened both NATs. {}", both(ours, theirs)),
        _ => "Its address, or ours, answers a plain dial; no help was needed.".to_owned(),
    };
    let because = "the link stands, and its heartbeats are answered".to_owned();
    let cause = if path == Path::Punched { WhyCause::Punched } else { WhyCause::Direct };
    Finding { cause, verdict, level: Sureness::High, because, would_help: Vec::new(), next: Vec::new() }
}

fn running(facts: &Facts<'_>) -> Finding {
    let attempt = facts.attempt.map(|a| a.stages.as_slice()).unwrap_or_default();
    let stage = attempt.iter().rev().find(|s| s.outcome == StageOutcome::Running);
    let stage = stage.map_or_else(String::new, |s| format!(": its {} stage", s.stage));
    if facts.failed(StageKind::Punch) == Some(&Reason::RateLimited) {
        let found = limited(facts);
        let verdict = format!("{} It is asked again by itself for half a minute.", found.verdict);
        return Finding { verdict, ..found };
    }
    Finding {
        cause: WhyCause::Running,
        verdict: format!("An attempt is running{stage}."),
        level: Sureness::Medium,
        because: "it has not ended".to_owned(),
        would_help: Vec::new(),
        next: Vec::new(),
    }
}

/// Whether our own operator ended the last link.
fn is_disconnected_here(facts: &Facts<'_>) -> bool {
    facts.held_off.is_some() && matches!(facts.gone, Some((_, Reason::HeldOff { .. })))
}

/// No link, and nothing against it.
fn idle(facts: &Facts<'_>) -> Finding {
    let verdict = match (&facts.gone, facts.attempt) {
        (Some((at, Reason::HeldOff { .. })), _) => {
            format!("There is no link: the operator here disconnected it {}.", facts.ago(*at))
        }
        (Some((at, reason)), _) => {
            format!("There is no link now: the last one ended {}, {reason}.", facts.ago(*at))
        }
        (None, Some(_)) => "There is no link now; the last attempt of ours got through.".to_owned(),
        (None, None) => "There is no link, and no attempt of ours is remembered.".to_owned(),
    };
    let held = facts.held_off.map_or_else(String::new, |until| {
        let left = facts.now.age_at(until).as_secs();
        format!(" Automatic dials to and from it are held off for another {left} s; connecting lifts that.")
    });
    let verdict = format!("{verdict}{held}");
    let level = if facts.gone.is_some() { Sureness::High } else { Sureness::Low };
    let because = match facts.gone {
        Some(_) if is_disconnected_here(facts) => "it was asked for here",
        Some(_) => "we saw it end",
        None => "nothing was tried",
    };
    let cause = if is_disconnected_here(facts) { WhyCause::DisconnectedHere } else { WhyCause::Idle };
    Finding {
        cause,
        verdict,
        level,
        because: because.to_owned(),
        would_help: Vec::new(),
        next: vec![NextAction::Connect],
    }
}

/// Why there is no straight path: what is known of the punch.
pub(super) fn punch(facts: &Facts<'_>) -> Finding {
    let nat_pair = facts.nat_pair;
    let reason = facts.failed(StageKind::Punch);
    if nat_pair.apart {
        return apart(facts);
    }
    if let Some(at) = facts.trace.short_passed() {
        return narrow(facts, at);
    }
    if !nat_pair.can_punch() {
        return unpunchable(facts);
    }
    match reason {
        Some(Reason::RateLimited) => limited(facts),
        Some(Reason::NoIntermediary | Reason::UnknownTarget) => nobody_between(facts),
        Some(Reason::NoConsent) => Finding {
            cause: WhyCause::NoConsent,
            verdict: "It takes no punches: its configuration says whose it follows.".to_owned(),
            level: Sureness::High,
            because: "it said so itself, to the intermediary".to_owned(),
            would_help: vec!["punch = \"any\" or \"known\" in its configuration".to_owned()],
            next: ways(facts),
        },
        Some(Reason::Unpunchable { .. }) => unpunchable(facts),
        Some(Reason::TimedOut { .. }) => nothing_through(facts),
        Some(Reason::NotNeeded | Reason::InboundWon | Reason::NotRequested | Reason::AskedAnew) | None => {
            untried(facts)
        }
        Some(other) => {
            let (level, because) = nat_sureness(facts);
            Finding {
                cause: WhyCause::PunchFailed,
                verdict: format!("The punch has not succeeded: {other}."),
                level: level.min(Sureness::Medium),
                because,
                would_help: Vec::new(),
                next: with(NextAction::Punch, ways(facts)),
            }
        }
    }
}

/// What a handshake's datagrams measure as packets: UDP and IP before 1 200 bytes.
const NEEDED: &str = "1 228 bytes by IPv4, 1 248 by IPv6";

/// Short datagrams are answered, and a handshake is not.
pub(super) fn narrow(facts: &Facts<'_>, at: SocketAddr) -> Finding {
    let now = if facts.link.is_some() {
        " The relay's path has room."
    } else {
        " A relay whose path has room could carry the link."
    };
    Finding {
        cause: WhyCause::PathTooNarrow,
        verdict: format!(
            "The path to {at} is too narrow: short datagrams pass, and those of a handshake get lost. QUIC \
             needs paths that take packets of {NEEDED}.{now}"
        ),
        level: Sureness::High,
        because: "a datagram of 64 bytes was answered there while the handshake's 1 200 were not".to_owned(),
        would_help: vec![format!(
            "an MTU of at least {NEEDED} on every link between: tunnels and PPPoE take some of it"
        )],
        next: with(NextAction::Relay, ways(facts)),
    }
}

/// One end has IPv4 alone, the other IPv6 alone.
fn apart(facts: &Facts<'_>) -> Finding {
    let theirs_is_ipv4 = facts.addresses.iter().any(SocketAddr::is_ipv4);
    let (ours, theirs) = if theirs_is_ipv4 { ("IPv6", "IPv4") } else { ("IPv4", "IPv6") };
    let first = if facts.link.is_some() { NextAction::Failover } else { NextAction::Relay };
    Finding {
        cause: WhyCause::NoCommonFamily,
        verdict: format!(
            "The two have no address family in common: it has {theirs} alone, and this host sends by {ours} \
             alone. Only a relay that has both leads from one to the other."
        ),
        level: Sureness::High,
        because: format!("its record names no other address, and no route of ours leads out by {theirs}"),
        would_help: vec!["IPv6 at the end that has IPv4 alone".to_owned()],
        next: with(first, ways(facts)).into_iter().filter(|next| *next != NextAction::Punch).collect(),
    }
}

fn untried(facts: &Facts<'_>) -> Finding {
    let runs = facts.attempt.is_some_and(|a| {
        a.stages.iter().any(|s| s.stage == StageKind::Punch && s.outcome == StageOutcome::Running)
    });
    let verdict = if runs {
        "A punch is under way behind it."
    } else {
        "No punch of ours has been tried yet; by what is measured one can succeed."
    };
    let (level, because) = nat_sureness(facts);
    Finding {
        cause: WhyCause::PunchUntried,
        verdict: verdict.to_owned(),
        level,
        because,
        would_help: Vec::new(),
        next: with(NextAction::Punch, ways(facts)),
    }
}

fn unpunchable(facts: &Facts<'_>) -> Finding {
    let NatPair { ours, theirs, .. } = facts.nat_pair;
    let (level, because) = nat_sureness(facts);
    let mut would_help = vec!["IPv6 at both ends".to_owned()];
    for (nat, whose) in [(ours, "our"), (theirs, "their")] {
        if nat == NatType::Symmetric {
            would_help
                .push(format!("a port forwarded on {whose} router, or one that maps the same for everybody"));
        }
    }
    if facts.guessable {
        return Finding {
            cause: WhyCause::GuessablePort,
            verdict: format!(
                "Both NATs are known and no plain punch opens them; a port can be guessed. {}",
                both(ours, theirs)
            ),
            level,
            because,
            would_help,
            next: with(NextAction::Punch, with(NextAction::NatProbe, ways(facts))),
        };
    }
    let first = if facts.link.is_some() { NextAction::NatProbe } else { NextAction::Relay };
    Finding {
        cause: WhyCause::Unpunchable,
        verdict: format!("Both NATs are known and cannot be punched. {}", both(ours, theirs)),
        level,
        because,
        would_help,
        // A punch would be skipped with this reason as long as that is measured.
        next: with(first, with(NextAction::NatProbe, ways(facts)))
            .into_iter()
            .filter(|next| *next != NextAction::Punch)
            .collect(),
    }
}

/// An intermediary takes no more requests of ours just now.
fn limited(facts: &Facts<'_>) -> Finding {
    let refused = |d: &TraceEvent| match d {
        TraceEvent::TurnedDown(via, Reason::RateLimited) => Some(*via),
        _ => None,
    };
    let mut who: Vec<_> = facts.trace.steps().iter().filter_map(|s| refused(&s.what)).collect();
    who.dedup();
    let via = facts.attempt.and_then(|a| a.stages.iter().rev().find_map(|s| s.via));
    if who.is_empty() {
        who.extend(via);
    }
    Finding {
        cause: WhyCause::RateLimited,
        verdict: format!(
            "{} coordinates no further punch for us just now: a rate limit was reached. The NATs do \
             not stand in the way.",
            super::names(&who)
        ),
        level: Sureness::High,
        because: "the intermediary said so in its answer".to_owned(),
        would_help: vec![
            "waiting: requests are taken again after 4 s for the same peer, after 10 s for any".to_owned(),
            "another public peer that is linked to both".to_owned(),
        ],
        next: with(NextAction::Punch, ways(facts)),
    }
}

/// It is reached over a relay, and nobody linked to us sees it straight.
fn nobody_between(facts: &Facts<'_>) -> Finding {
    let (_, not) = facts.trace.answers();
    let (level, because) = match not.len() {
        0 => (Sureness::Medium, "nobody was there to be asked".to_owned()),
        n => (Sureness::High, format!("{n} of {n} asked said so: {}", super::names(&not))),
    };
    Finding {
        cause: WhyCause::NoIntermediary,
        verdict: "No intermediary is connected to it straight: nobody can tell it to punch with us. The \
                  NATs do not stand in the way."
            .to_owned(),
        level,
        because,
        would_help: vec!["a public peer that both ends are linked to".to_owned()],
        next: with(NextAction::SyncAll, with(NextAction::Punch, ways(facts))),
    }
}

/// Both dialled, and nothing came through.
fn nothing_through(facts: &Facts<'_>) -> Finding {
    let NatPair { ours, theirs, .. } = facts.nat_pair;
    let unknown = |nat| nat == NatType::Unknown;
    let agreed = facts.trace.steps().iter().any(|s| matches!(s.what, TraceEvent::Agreed(..)));
    let (level, because) = nat_sureness(facts);
    let reason = facts.failed(StageKind::Punch).map(|r| format!(" ({r})")).unwrap_or_default();
    if !agreed {
        return Finding {
            cause: WhyCause::PunchUnanswered,
            verdict: format!(
                "The punch was not agreed to in time{reason}: the intermediary or it is silent."
            ),
            level: Sureness::Medium,
            because: "no answer to our request came back".to_owned(),
            would_help: vec!["another public peer that is linked to both".to_owned()],
            next: with(NextAction::Punch, ways(facts)),
        };
    }
    let causes = if unknown(ours) || unknown(theirs) {
        let whose = match (unknown(ours), unknown(theirs)) {
            (true, true) => "neither NAT is measured",
            (true, false) => "our NAT is not measured",
            _ => "its NAT is not measured",
        };
        format!(
            "{whose}, so either that pair cannot be punched, or a firewall drops UDP between us. \
             Measuring the NAT tells them apart"
        )
    } else {
        "by what is measured it should have: a NAT has changed since, or a firewall drops UDP between us. \
         Measuring again tells them apart"
            .to_owned()
    };
    Finding {
        cause: WhyCause::NothingThrough,
        verdict: format!("Both ends dialled and nothing came through{reason}: {causes}."),
        level: level.min(Sureness::Medium),
        because,
        would_help: vec!["more public peers to measure the NATs with".to_owned()],
        next: with(NextAction::NatProbe, with(NextAction::Punch, ways(facts))),
    }
}

fn both(ours: NatType, theirs: NatType) -> String {
    if ours == theirs {
        return format!("Each {}.", what_it_does(ours));
    }
    format!("Theirs {}; ours {}.", what_it_does(theirs), what_it_does(ours))
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
fn nat_sureness(facts: &Facts<'_>) -> (Sureness, String) {
    let fresh = |at: Stamp| at.age_at(facts.now).as_secs() <= FRESH_S;
    let agree = facts.nat.vantage_points.iter().filter(|v| v.agrees).count();
    let known = |nat| nat != NatType::Unknown;
    let (ours, our_words) = match facts.nat.measured {
        Some(at) if known(facts.nat_pair.ours) => (
            fresh(at) && agree >= 2,
            format!(
                "ours: {agree} observers, same verdict: {}, measured {}",
                facts.nat_pair.ours,
                facts.ago(at)
            ),
        ),
        _ => (false, "ours is not measured".to_owned()),
    };
    let (theirs, their_words) = match (&facts.theirs, facts.first_hand) {
        _ if !known(facts.nat_pair.theirs) => (false, "theirs is not known".to_owned()),
        (Theirs::Told { measured: Some(at), .. }, _) => {
            (fresh(*at), format!("theirs: as the peer says, measured {}", facts.ago(*at)))
        }
        (_, true) => (true, "theirs: as the peer says".to_owned()),
        _ => (false, "theirs: hearsay".to_owned()),
    };
    let level = match (ours, theirs) {
        (true, true) => Sureness::High,
        (false, false) => Sureness::Low,
        _ => Sureness::Medium,
    };
    (level, format!("{our_words}; {their_words}"))
}
