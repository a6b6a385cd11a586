//! Why a peer is not reached at all. What was said plainly comes first, then
//! what was measured, and silence last: it fits most causes.

use std::net::SocketAddr;

use super::punch::{narrow, punch, with};
use super::{Facts, Finding, Seen};
use crate::core::coordination::TARGET_WAIT;
use crate::core::ladder::decisive_reason;
use crate::model::{
    Because, CloseCode, Help, Knock, Knocked, NatType, NextAction, PeerId, PeerLinkStatus, Reason, StageKind,
    Sureness, Verdict,
};

pub(super) fn find(facts: &Facts<'_>) -> Finding {
    if let Some(code) = closed(facts) {
        return ended_by_it(facts, code);
    }
    if let Some((at, who)) = facts.trace.impostor() {
        return Finding::new(Verdict::OtherIdentity { who, at }, Sureness::High, Because::OtherKey)
            .helped_by([Help::PeerWithNewAddress])
            .then([NextAction::SyncAll, NextAction::Connect]);
    }
    if let Some(at) = facts.trace.short_passed() {
        return narrow(facts, at);
    }
    if facts.links == 0 {
        return alone(facts);
    }
    if let Some(moved) = moved(facts) {
        return moved;
    }
    let target_silent = Reason::timed_out(TARGET_WAIT);
    match facts.failed(StageKind::Punch) {
        Some(Reason::NoIntermediary | Reason::UnknownTarget) => nobody(facts),
        Some(reason) if *reason == target_silent => nobody(facts),
        Some(Reason::NotRequested | Reason::NotNeeded | Reason::LoopbackCannotBePunched) | None => {
            if facts.trace.is_silent() && !facts.trace.addresses().is_empty() {
                nobody(facts)
            } else {
                by_its_reason(facts)
            }
        }
        Some(_) => no_relay_either(facts, punch(facts)),
    }
}

/// What keeps a punch from it, and what a relay.
fn no_relay_either(facts: &Facts<'_>, mut found: Finding) -> Finding {
    let Some(relay) = facts.failed(StageKind::Relay).filter(|r| **r != Reason::NotRequested) else {
        return found;
    };
    if matches!(relay, Reason::NoRelay | Reason::NobodyToInvite) {
        found.would_help.push(Help::CommonPublicPeer);
    }
    let verdict = Verdict::NoRelayEither { punch: Box::new(found.verdict), relay: relay.clone() };
    Finding { verdict, ..found }
}

/// The code with which the other end ended our last connection to it.
fn closed(facts: &Facts<'_>) -> Option<CloseCode> {
    let code = |r: &Reason| match r {
        Reason::Closed { close: Some(code) } if !r.is_lost_choice() => Some(*code),
        Reason::OtherVersion { .. } => Some(CloseCode::Version),
        // The same, told to an intermediary.
        Reason::HeldOffThere => Some(CloseCode::HoldOff),
        _ => None,
    };
    facts.attempt?.stages.iter().rev().filter_map(|s| s.reason.as_ref()).find_map(code)
}

fn ended_by_it(facts: &Facts<'_>, code: CloseCode) -> Finding {
    let network = facts.network.to_owned();
    let help = match code {
        CloseCode::Network => Help::SameNetwork(network.clone()),
        CloseCode::Version => Help::NewerProgram,
        CloseCode::HoldOff => Help::WaitForHoldOff,
        CloseCode::Limit => Help::WaitForRoom,
        CloseCode::Leave => Help::StartItAgain,
        _ => Help::ItsLog,
    };
    let at = facts.attempt.map(|attempt| attempt.started);
    Finding::new(Verdict::EndedByIt { code, network }, Sureness::High, Because::Closed { at })
        .helped_by([help])
        .then([NextAction::Connect])
}

/// We are linked to nobody: it may well be us.
fn alone(facts: &Facts<'_>) -> Finding {
    what_knocks_say(facts).unwrap_or_else(|| {
        let because = match facts.fell_silent.len() {
            0 => Because::NeverLinked,
            links => Because::LinksFellSilent { links },
        };
        Finding::new(Verdict::NobodyAnswers, Sureness::Low, because)
            .helped_by([Help::Network, Help::RunningPeer])
            .then([NextAction::Connect])
    })
}

fn what_knocks_say(facts: &Facts<'_>) -> Option<Finding> {
    let knocks = &facts.knocks;
    let next = [NextAction::Connect];
    let any = |f: &dyn Fn(&Knock) -> bool| knocks.iter().any(f);
    // What holds of one destination holds of us only if it holds of all.
    let all = |f: &dyn Fn(&Knock) -> bool| !knocks.is_empty() && knocks.iter().all(f);
    if all(&|k: &Knock| k.heard.udp == Knocked::Forbidden) {
        let found = Finding::new(Verdict::UdpForbidden, Sureness::High, Because::SendRefused);
        return Some(found.helped_by([Help::UdpOpenHere]).then(next));
    }
    if all(&|k: &Knock| k.heard.udp == Knocked::NoRoute && k.heard.tcp == Knocked::NoRoute) {
        let found = Finding::new(Verdict::Offline, Sureness::High, Because::NoRoute);
        return Some(found.helped_by([Help::Network]).then(next));
    }
    if let Some(knock) = knocks.iter().find(|k| k.is_narrow()) {
        return Some(narrow(facts, knock.addr));
    }
    // One that was heard by UDP speaks against all of it.
    let heard = any(&|k: &Knock| k.heard.udp.is_heard());
    match hosts(knocks.iter().filter(|k| k.is_udp_alone())) {
        _ if heard => {}
        0 => {}
        1 => {
            let found = Finding::new(Verdict::UdpBlockedBetween, Sureness::Medium, Because::OneByTcp);
            return Some(found.helped_by([Help::UdpOpenHere, Help::SecondPeer]).then(next));
        }
        hosts => {
            let found = Finding::new(Verdict::UdpBlockedHere, Sureness::High, Because::ManyByTcp { hosts });
            return Some(found.helped_by([Help::UdpOpenHere]).then(next));
        }
    }
    if any(&|k: &Knock| k.heard.udp == Knocked::Answered) {
        return Some(Finding::new(Verdict::AnswersNow, Sureness::High, Because::HeardNow).then(next));
    }
    let stopped = any(&|k: &Knock| k.of == facts.peer && k.is_not_running());
    stopped.then(|| not_running(facts).then(next))
}

/// How many hosts there are among those.
fn hosts<'a>(knocks: impl Iterator<Item = &'a Knock>) -> usize {
    let mut ips: Vec<_> = knocks.map(|k| k.addr.ip()).collect();
    ips.sort_unstable();
    ips.dedup();
    ips.len()
}

/// Nothing listens where it was.
fn not_running(facts: &Facts<'_>) -> Finding {
    Finding::new(Verdict::NotRunning, Sureness::High, Because::HostSaid { seen: facts.seen })
        .helped_by([Help::StartIt])
}

/// It is somewhere that our attempt did not dial.
fn moved(facts: &Facts<'_>) -> Option<Finding> {
    let dialled = facts.trace.addresses();
    if dialled.is_empty() || !facts.trace.is_silent() {
        return None;
    }
    // A symmetric NAT shows another port to everybody, and that is no move.
    let symmetric = facts.nat_pair.theirs == NatType::Symmetric;
    let same = |a: &SocketAddr, b: &SocketAddr| if symmetric { a.ip() == b.ip() } else { a == b };
    let new = |at: &SocketAddr| !dialled.iter().any(|d| same(d, at));
    let linked = facts.told().filter(|(_, seen)| seen.standing == PeerLinkStatus::Linked);
    let sees = linked.filter_map(|(who, seen)| Some((who, seen.at?))).find(|(_, at)| new(at));
    let listed = facts.addresses.iter().find(|at| new(at)).copied();
    let to = sees.map(|(_, at)| at).or(listed)?;
    let because =
        Because::SeenThere { by: sees.map(|(who, _)| who), record: listed.map(|_| facts.first_hand) };
    let level = if sees.is_some() && listed.is_some() { Sureness::High } else { Sureness::Medium };
    Some(Finding::new(Verdict::Moved { from: dialled, to }, level, because).then([NextAction::Connect]))
}

/// Whether one knew it and lost it without a word.
fn lost(seen: &Seen) -> bool {
    matches!(seen.standing, PeerLinkStatus::Silent | PeerLinkStatus::Ended)
}

/// Nobody we are linked to is connected to it.
fn nobody(facts: &Facts<'_>) -> Finding {
    let by = |f: &dyn Fn(&Seen) -> bool| -> Vec<PeerId> {
        facts.told().filter(|(_, seen)| f(seen)).map(|(who, _)| who).collect()
    };
    let left = by(&|seen| seen.standing == PeerLinkStatus::Left);
    let linked = by(&|seen| matches!(seen.standing, PeerLinkStatus::Linked | PeerLinkStatus::Relayed));
    let silent = by(&lost);
    let never = by(&|seen| seen.standing == PeerLinkStatus::Never);
    let seen = facts.seen;
    if !linked.is_empty() {
        return Finding::new(Verdict::LinkedToOthers { who: linked }, Sureness::Medium, Because::OthersSay)
            .then([NextAction::Connect, NextAction::Punch]);
    }
    let we_heard_it_leave = matches!(facts.gone, Some((_, Reason::Closed { close: Some(CloseCode::Leave) })));
    if !left.is_empty() || we_heard_it_leave {
        let level = if we_heard_it_leave { Sureness::High } else { Sureness::Medium };
        let to = if we_heard_it_leave { Vec::new() } else { left };
        return Finding::new(Verdict::Left { to }, level, Because::PeerSaid { seen })
            .helped_by([Help::StartItAgain])
            .then([NextAction::Connect]);
    }
    let knock = facts.knocks.iter().find(|k| k.of == facts.peer);
    if let Some(knock) = knock.filter(|knock| knock.is_narrow()) {
        return narrow(facts, knock.addr);
    }
    if knock.is_some_and(Knock::is_not_running) {
        return not_running(facts).then([NextAction::Connect, NextAction::SyncAll]);
    }
    if knock.is_some_and(Knock::is_udp_alone) {
        let because = Because::HeardByTcp { links: facts.links };
        return Finding::new(Verdict::UdpBlockedThere, Sureness::High, because)
            .helped_by([Help::UdpOpenThere])
            .then([NextAction::Connect]);
    }
    let us = matches!(
        facts.gone,
        Some((
            _,
            Reason::HeartbeatsMissed { .. }
                | Reason::ConnectionTimedOut
                | Reason::Closed { close: Some(CloseCode::Silent) }
        ))
    );
    if !silent.is_empty() || us {
        let witnesses = silent.len() + usize::from(us);
        let level = if witnesses >= 2 { Sureness::Medium } else { Sureness::Low };
        let because = Because::SawSilence { witnesses, never: never.len(), seen };
        return Finding::new(Verdict::FellSilent { us, others: silent }, level, because)
            .helped_by([Help::StartItOrUdp])
            .then([NextAction::Connect, NextAction::SyncAll]);
    }
    unseen(facts, &never)
}

/// Nobody we can ask ever saw it.
fn unseen(facts: &Facts<'_>, never: &[PeerId]) -> Finding {
    let homes = facts.homes.clone();
    let (_, not) = facts.trace.answers();
    let (level, because) = match not.len().max(never.len()) {
        0 => (Sureness::Low, Because::NobodyToAsk),
        asked => (Sureness::Medium, Because::NotConnected { asked, seen: facts.seen }),
    };
    let named = (!homes.is_empty()).then(|| Help::LinkTo(homes.clone()));
    let would_help: Vec<Help> = named.into_iter().chain([Help::CommonPeer]).collect();
    Finding::new(Verdict::Unseen { dialable: facts.nat_pair.can_dial(), homes }, level, because)
        .helped_by(would_help)
        .then([NextAction::SyncAll, NextAction::Connect])
}

/// What the last attempt says by itself.
fn by_its_reason(facts: &Facts<'_>) -> Finding {
    let stages = facts.attempt.map(|a| a.stages.as_slice()).unwrap_or_default();
    let reason = decisive_reason(stages).cloned();
    Finding::new(Verdict::Failed { reason }, Sureness::Low, Because::OnlyThatAttempt)
        .then(with(NextAction::Connect, vec![NextAction::Relay]))
}
