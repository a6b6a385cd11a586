//! What speaks for the verdict: what was measured, and who said what.

use super::{Facts, Theirs, Told, names};
use crate::core::wire::PeerLinkStatus;
use crate::model::{AttemptOutcome, Reason};

/// The evidence, what decides first.
pub(super) fn lines(facts: &Facts<'_>) -> Vec<String> {
    let mut lines = attempted(facts);
    // Where a link stands, it is the NATs that say why it is not a better one.
    if facts.link.is_some() {
        lines.extend(nats(facts));
    }
    lines.extend(asked(facts));
    lines.extend(facts.accounts.iter().map(|told| account(facts, told)));
    lines.extend(facts.knocks.iter().map(super::Knock::text));
    if facts.link.is_none() && facts.links == 0 {
        let silent = match facts.fell_silent.as_slice() {
            [] => String::new(),
            all => format!(
                "; {} fell silent, the last {}",
                all.len(),
                facts.ago(all.iter().max().copied().unwrap_or(facts.now))
            ),
        };
        lines.push(format!("we have no link to anybody{silent}"));
    }
    if let (None, Some((at, reason))) = (facts.link, &facts.gone) {
        lines.push(format!("our last link to it ended {}: {reason}", facts.ago(*at)));
    }
    if let (None, Some(at)) = (facts.link, facts.seen) {
        lines.push(format!("last heard by us or others {}", facts.ago(at)));
    }
    if facts.link.is_none() {
        lines.extend(nats(facts));
    }
    lines
}

/// What our last attempt dialled, and what came of it.
fn attempted(facts: &Facts<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    let Some(attempt) = facts.attempt.filter(|_| facts.link.is_none()) else { return lines };
    let dialled = facts.trace.addresses();
    let failed = attempt.outcome == Some(AttemptOutcome::Unreachable);
    let closed =
        |reason: &Reason| matches!(reason, Reason::Closed { close: Some(_) } | Reason::OtherVersion { .. });
    if let Some(reason) = attempt.stages.iter().filter_map(|s| s.reason.as_ref()).find(|r| closed(r)) {
        let at = dialled.first().map(|at| format!(" at {at}")).unwrap_or_default();
        lines.push(format!("it answered{at} {}, and ended it: {reason}", facts.ago(attempt.started)));
    } else if let Some((at, who)) = facts.trace.impostor() {
        lines.push(format!("{} answered at {at}: its key is another one", who.short()));
    } else if failed && !dialled.is_empty() && facts.trace.is_silent() {
        let at: Vec<String> = dialled.iter().map(ToString::to_string).collect();
        let at = at.join(", ");
        lines.push(format!("nothing came back from {at}, dialled {}", facts.ago(attempt.started)));
    }
    let new: Vec<String> =
        facts.addresses.iter().filter(|at| !dialled.contains(at)).map(ToString::to_string).collect();
    if failed && !dialled.is_empty() && !new.is_empty() {
        lines.push(format!("its record says {} since, which that attempt did not dial", new.join(", ")));
    }
    lines
}

/// Who was asked for it in the attempt.
fn asked(facts: &Facts<'_>) -> Option<String> {
    let (has, not) = facts.trace.answers();
    if facts.link.is_some() || not.is_empty() {
        return None;
    }
    let yes = if has.is_empty() { String::new() } else { format!("{} said yes and ", names(&has)) };
    Some(format!("asked who is connected to it, {yes}{} said no", names(&not)))
}

fn account(facts: &Facts<'_>, told: &Told) -> String {
    let who = told.who.short();
    let Some(seen) = &told.account else {
        return format!("no account from {who}: it did not answer");
    };
    let since = seen.since.map(|at| format!(", {}", facts.ago(at))).unwrap_or_default();
    let at = seen.at.map(|at| format!(", at {at}")).unwrap_or_default();
    let what = match seen.standing {
        PeerLinkStatus::Never => "not connected to it, and remembers no link".to_owned(),
        PeerLinkStatus::Linked => format!("connected to it{at}, for {}", for_how_long(facts, seen)),
        PeerLinkStatus::Relayed => format!("connected to it over a relay, for {}", for_how_long(facts, seen)),
        PeerLinkStatus::Left => format!("it said goodbye{since}"),
        PeerLinkStatus::Silent => format!("its link to it fell silent{since}"),
        PeerLinkStatus::Ended => format!("its link to it ended{since}"),
    };
    format!("{who}, by its account: {what}")
}

fn for_how_long(facts: &Facts<'_>, seen: &super::Seen) -> String {
    seen.since.map_or_else(|| "-".to_owned(), |at| facts.ago(at).trim_end_matches(" ago").to_owned())
}

fn nats(facts: &Facts<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    let measured = facts.nat.measured.map(|at| format!(", measured {}", facts.ago(at))).unwrap_or_default();
    lines.push(format!("our NAT: {}{measured}", facts.nat.summary()));
    lines.extend(facts.nat.evidence.iter().map(|e| format!("ours: {e}")));
    let word = if facts.first_hand { "as the peer says" } else { "hearsay" };
    lines.push(format!("their NAT: {}, {word}", facts.nat_pair.theirs));
    match &facts.theirs {
        Theirs::NotRequested => {
            lines.push(format!("no account from {}: there is no link to ask over", facts.peer.short()));
        }
        Theirs::Silent => lines.push(format!("no account from {}: it did not answer", facts.peer.short())),
        Theirs::Told { measured, evidence, .. } => {
            let at = measured.map(|at| facts.ago(at));
            lines.extend(at.map(|at| format!("theirs was measured {at}, it says")));
            lines.extend(evidence.iter().map(|e| format!("theirs: {e}")));
        }
    }
    lines
}
