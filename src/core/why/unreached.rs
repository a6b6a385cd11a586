//! Why a peer is not reached at all. What was said plainly comes first, then
//! what was measured, and silence last: it fits most causes.

use std::net::SocketAddr;

use super::verdict::{narrow, punch, with};
use super::{Facts, Finding, Knock, Knocked, Seen, names};
use crate::core::coordination::TARGET_WAIT;
use crate::core::ladder::decisive_reason;
use crate::core::wire::PeerLinkStatus;
use crate::model::{CloseCode, NatType, NextAction, PeerId, Reason, StageKind, Sureness, WhyCause};

pub(super) fn find(facts: &Facts<'_>) -> Finding {
    if let Some(code) = closed(facts) {
        return ended_by_it(facts, code);
    }
    if let Some((at, who)) = facts.trace.impostor() {
        return Finding {
            cause: WhyCause::OtherIdentity,
            verdict: format!(
                "The address that we have of it is out of date: {} answers at {at} now, not it.",
                who.short()
            ),
            level: Sureness::High,
            because: "the handshake there proved another key".to_owned(),
            would_help: vec!["a peer that is linked to it: its record has the new address".to_owned()],
            next: vec![NextAction::SyncAll, NextAction::Connect],
        };
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
        Some(_) => {
            let found = punch(facts);
            let relay = facts.failed(StageKind::Relay).filter(|r| **r != Reason::NotRequested);
            let relay = relay.map(|r| format!(" No relay carried it either: {r}.")).unwrap_or_default();
            let mut would_help = found.would_help.clone();
            if facts
                .failed(StageKind::Relay)
                .is_some_and(|r| matches!(r, Reason::NoRelay | Reason::NobodyToInvite))
            {
                would_help.push("a public peer that both ends are linked to".to_owned());
            }
            Finding { verdict: found.verdict + &relay, would_help, ..found }
        }
    }
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
    let network = facts.network;
    let (verdict, help) = match code {
        CloseCode::Network => (
            format!(
                "It is there, and belongs to another network: its network id, or its network secret, is \
                 not ours. We are in {network:?}."
            ),
            format!("the same network and network_secret in both configurations; here it is {network:?}"),
        ),
        CloseCode::Version => (
            "It is there, and speaks no protocol version that we do.".to_owned(),
            "the newer program at the older end".to_owned(),
        ),
        CloseCode::HoldOff => (
            "It is there; its operator disconnected us, and it takes no dial for a minute.".to_owned(),
            "waiting a minute, or a connect from its end".to_owned(),
        ),
        CloseCode::Limit => (
            "It is there, and takes no more links: a limit of its own was reached.".to_owned(),
            "waiting until links of its end are free".to_owned(),
        ),
        CloseCode::Leave => {
            ("It was about to end: it said goodbye.".to_owned(), "starting its node again".to_owned())
        }
        other => (format!("It is there, and ended the connection: {other}."), "its log".to_owned()),
    };
    let at = facts.attempt.map(|a| format!(" {}", facts.ago(a.started))).unwrap_or_default();
    let cause = match code {
        CloseCode::Network => WhyCause::OtherNetwork,
        CloseCode::Version => WhyCause::OtherVersion,
        CloseCode::HoldOff => WhyCause::HeldOff,
        CloseCode::Limit => WhyCause::Full,
        CloseCode::Leave => WhyCause::Left,
        _ => WhyCause::EndedByIt,
    };
    Finding {
        cause,
        verdict,
        level: Sureness::High,
        because: format!("it proved its key and the connection was closed with that code{at}"),
        would_help: vec![help],
        next: vec![NextAction::Connect],
    }
}

/// We are linked to nobody: it may well be us.
fn alone(facts: &Facts<'_>) -> Finding {
    let knocks = &facts.knocks;
    let udp_alone: Vec<&Knock> = knocks.iter().filter(|k| k.is_udp_alone()).collect();
    let hosts = |knocks: &[&Knock]| {
        let mut ips: Vec<_> = knocks.iter().map(|k| k.addr.ip()).collect();
        ips.sort_unstable();
        ips.dedup();
        ips.len()
    };
    let any = |f: &dyn Fn(&Knock) -> bool| knocks.iter().any(f);
    // What holds of one destination holds of us only if it holds of all.
    let all = |f: &dyn Fn(&Knock) -> bool| !knocks.is_empty() && knocks.iter().all(f);
    let next = vec![NextAction::Connect];
    let udp_open = "UDP let out and its answers let in, by the firewall of this host and its network";
    if all(&|k: &Knock| k.heard.udp == Knocked::Forbidden) {
        return Finding {
            cause: WhyCause::UdpBlockedHere,
            verdict: "UDP is blocked on our side: this host's own firewall lets none out.".to_owned(),
            level: Sureness::High,
            because: "the system refused to send the datagram".to_owned(),
            would_help: vec![udp_open.to_owned()],
            next,
        };
    }
    if all(&|k: &Knock| k.heard.udp == Knocked::NoRoute && k.heard.tcp == Knocked::NoRoute) {
        return Finding {
            cause: WhyCause::Offline,
            verdict: "This host has no way to any network: it is offline itself.".to_owned(),
            level: Sureness::High,
            because: "the system knows no route".to_owned(),
            would_help: vec!["a network for this host".to_owned()],
            next,
        };
    }
    if let Some(knock) = knocks.iter().find(|k| k.is_narrow()) {
        return narrow(facts, knock.addr);
    }
    // One that was heard by UDP speaks against all of it.
    let heard = any(&|k: &Knock| k.heard.udp.is_heard());
    match hosts(&udp_alone) {
        _ if heard => {}
        0 => {}
        1 => {
            return Finding {
                cause: WhyCause::UdpBlockedBetween,
                verdict: "UDP is blocked between us and its host, which answers over TCP. On whose side \
                          cannot be said by one host: if another one that is known to run stays silent \
                          too, it is ours."
                    .to_owned(),
                level: Sureness::Medium,
                because: "one host was heard over TCP and not over UDP".to_owned(),
                would_help: vec![udp_open.to_owned(), "a second peer to compare with".to_owned()],
                next,
            };
        }
        n => {
            return Finding {
                cause: WhyCause::UdpBlockedHere,
                verdict: "UDP is blocked on our side: hosts that have nothing to do with each other answer \
                          over TCP, and none of them over UDP."
                    .to_owned(),
                level: Sureness::High,
                because: format!("{n} of {n} hosts were heard over TCP and not over UDP, just now"),
                would_help: vec![udp_open.to_owned()],
                next,
            };
        }
    }
    if any(&|k: &Knock| k.heard.udp == Knocked::Answered) {
        return Finding {
            cause: WhyCause::AnswersNow,
            verdict: "It was silent at our last attempt, and answers now.".to_owned(),
            level: Sureness::High,
            because: "it was heard just now".to_owned(),
            would_help: Vec::new(),
            next,
        };
    }
    if any(&|k: &Knock| k.of == facts.peer && k.is_not_running()) {
        return not_running(facts, next);
    }
    Finding {
        cause: WhyCause::NobodyAnswers,
        verdict: "Nobody answers us, over UDP or TCP. Either this host is cut off from the network, or \
                  everybody we know is offline. Whether another program here reaches the network tells \
                  them apart."
            .to_owned(),
        level: Sureness::Low,
        because: match facts.fell_silent.len() {
            0 => "we never had a link to compare with".to_owned(),
            n => format!("{n} links of ours fell silent"),
        },
        would_help: vec!["a network for this host".to_owned(), "a peer that is known to run".to_owned()],
        next,
    }
}

/// Nothing listens where it was.
fn not_running(facts: &Facts<'_>, next: Vec<NextAction>) -> Finding {
    Finding {
        cause: WhyCause::NotRunning,
        verdict: "Its host is up, and nothing listens at its port: its node is offline, or has another \
                  port now. A newer record of it would tell them apart."
            .to_owned(),
        level: Sureness::High,
        because: format!("its host said so, just now{}", last(facts)),
        would_help: vec!["starting its node".to_owned()],
        next,
    }
}

fn last(facts: &Facts<'_>) -> String {
    facts.seen.map(|at| format!("; it was last seen {}", facts.ago(at))).unwrap_or_default()
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
    let record = facts.addresses.iter().find(|at| new(at));
    let old: Vec<String> = dialled.iter().map(ToString::to_string).collect();
    let (at, level, because) = match (sees, record) {
        (Some((who, at)), Some(_)) => {
            (at, Sureness::High, format!("{} is connected to it there, and its record says so", who.short()))
        }
        (Some((who, at)), None) => {
            (at, Sureness::Medium, format!("{} is connected to it there, by its account", who.short()))
        }
        (None, Some(at)) => (
            *at,
            Sureness::Medium,
            format!("its record says so{}", if facts.first_hand { "" } else { ", by hearsay" }),
        ),
        (None, None) => return None,
    };
    Some(Finding {
        cause: WhyCause::Moved,
        verdict: format!(
            "It has moved: we dialled {}, which is out of date; it is at {at} now.",
            old.join(" and ")
        ),
        level,
        because,
        would_help: Vec::new(),
        next: vec![NextAction::Connect],
    })
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
    if !linked.is_empty() {
        return Finding {
            cause: WhyCause::LinkedToOthers,
            verdict: format!(
                "{} is connected to it now; at our last attempt it did not answer, or nobody was.",
                names(&linked)
            ),
            level: Sureness::Medium,
            because: "by its account; our attempt is older".to_owned(),
            would_help: Vec::new(),
            next: vec![NextAction::Connect, NextAction::Punch],
        };
    }
    let we_heard_it_leave = matches!(facts.gone, Some((_, Reason::Closed { close: Some(CloseCode::Leave) })));
    if !left.is_empty() || we_heard_it_leave {
        let who = if we_heard_it_leave { "us".to_owned() } else { names(&left) };
        return Finding {
            cause: WhyCause::Left,
            verdict: format!("It is offline: it said goodbye to {who}."),
            level: if we_heard_it_leave { Sureness::High } else { Sureness::Medium },
            because: format!("the peer said so itself{}", last(facts)),
            would_help: vec!["starting its node again".to_owned()],
            next: vec![NextAction::Connect],
        };
    }
    let knock = facts.knocks.iter().find(|k| k.of == facts.peer);
    if let Some(knock) = knock.filter(|knock| knock.is_narrow()) {
        return narrow(facts, knock.addr);
    }
    if knock.is_some_and(Knock::is_not_running) {
        return not_running(facts, vec![NextAction::Connect, NextAction::SyncAll]);
    }
    if knock.is_some_and(Knock::is_udp_alone) {
        return Finding {
            cause: WhyCause::UdpBlockedThere,
            verdict: "UDP is blocked on its side: its host answers over TCP and not over UDP, while others \
                      answer us over UDP."
                .to_owned(),
            level: Sureness::High,
            because: format!("its host was heard over TCP just now; we have {} links", facts.links),
            would_help: vec!["UDP let in at its port, by the firewall of its host or network".to_owned()],
            next: vec![NextAction::Connect],
        };
    }
    let we_lost_it = matches!(
        facts.gone,
        Some((
            _,
            Reason::HeartbeatsMissed { .. }
                | Reason::ConnectionTimedOut
                | Reason::Closed { close: Some(CloseCode::Silent) }
        ))
    );
    if !silent.is_empty() || we_lost_it {
        let witnesses = silent.len() + usize::from(we_lost_it);
        let mut who: Vec<String> = we_lost_it.then(|| "we".to_owned()).into_iter().collect();
        if !silent.is_empty() {
            who.push(names(&silent));
        }
        return Finding {
            cause: WhyCause::FellSilent,
            verdict: format!(
                "It is offline, most likely: {} lost it without a goodbye, and nobody we are linked to is \
                 connected to it. Cut off from the network, or with its UDP blocked, it would look the \
                 same from here; a look at its host tells them apart.",
                who.join(" and ")
            ),
            level: if witnesses >= 2 { Sureness::Medium } else { Sureness::Low },
            because: match never.len() {
                0 => format!("{witnesses} saw its link fall silent{}", last(facts)),
                n => format!("{witnesses} saw its link fall silent{}; {n} never knew it", last(facts)),
            },
            would_help: vec!["starting its node, or letting its UDP out and in".to_owned()],
            next: vec![NextAction::Connect, NextAction::SyncAll],
        };
    }
    unseen(facts, &never)
}

/// Nobody we can ask ever saw it.
fn unseen(facts: &Facts<'_>, never: &[PeerId]) -> Finding {
    let direct = match facts.nat_pair.can_dial() {
        Some(true) => "a dial of ours to its address stayed without an answer",
        Some(false) => "its NAT lets nobody in whom it has not sent to",
        None => "a dial of ours to its address stayed without an answer, and its NAT is not known",
    };
    let homes = if facts.homes.is_empty() {
        "who else is linked to it is not known".to_owned()
    } else {
        format!("its record names {}, to whom we are not linked", names(&facts.homes))
    };
    let (_, not) = facts.trace.answers();
    let count = not.len().max(never.len());
    let mut would_help = vec!["a peer that both ends are linked to".to_owned()];
    if !facts.homes.is_empty() {
        would_help.insert(0, format!("a link to {}", names(&facts.homes)));
    }
    Finding {
        cause: WhyCause::Unseen,
        verdict: format!(
            "No intermediary: nobody we are linked to is connected to it, so nobody can coordinate a punch \
             or pass an invitation on; and {direct}. It is offline, or linked to others only: {homes}. \
             A link to one of those tells them apart."
        ),
        level: if count > 0 { Sureness::Medium } else { Sureness::Low },
        because: match count {
            0 => "nobody was there to be asked".to_owned(),
            n => format!("{n} of {n} asked are not connected to it{}", last(facts)),
        },
        would_help,
        next: vec![NextAction::SyncAll, NextAction::Connect],
    }
}

/// What the last attempt says by itself.
fn by_its_reason(facts: &Facts<'_>) -> Finding {
    let stages = facts.attempt.map(|a| a.stages.as_slice()).unwrap_or_default();
    let why = decisive_reason(stages).map_or_else(String::new, |reason| format!(": {reason}"));
    Finding {
        cause: WhyCause::Unknown,
        verdict: format!("No stage of the last attempt got through{why}."),
        level: Sureness::Low,
        because: "nothing but that attempt is known".to_owned(),
        would_help: Vec::new(),
        next: with(NextAction::Connect, vec![NextAction::Relay]),
    }
}
