//! What is known of a peer, each with where it is from: for the why view. What
//! is not known has no value.

use std::net::SocketAddr;

use super::part::View;
use super::{Told, Trace, TraceEvent};
use crate::core::link::Link;
use crate::model::{NatType, Path, PeerId, Provenance, Stamp, WhyFact, clean};

fn fact(name: &str, value: Option<String>, (provenance, by): (Provenance, Option<PeerId>)) -> WhyFact {
    WhyFact { name: name.to_owned(), value, provenance, by, at: None }
}

/// What the latest guessed punch opened and sent, and what came of it.
fn guessed_fact(peer: &PeerId, view: View<'_>) -> Option<(String, Stamp)> {
    let stage = view.attempts.last_guess(peer)?.stages.first()?;
    let cost = stage.guess.map(|guess| guess.to_string()).unwrap_or_default();
    let end = match &stage.reason {
        Some(reason) => format!("{cost}; {reason}"),
        None => cost,
    };
    Some((end, stage.started))
}

/// Every fact that is shown of a peer.
pub(super) fn provenance(peer: PeerId, accounts: &[Told], view: View<'_>) -> Vec<WhyFact> {
    let peers = view.peers();
    let now = peers.now;
    let measured = (Provenance::Measured, None);
    let entry = peers.book.get(peer);
    let link = peers.links.get(&peer);
    let status = link.and_then(Link::status);
    let greeting = link.and_then(Link::greeting).filter(|_| status.is_some());
    let held = entry.and_then(|e| e.known.effective());
    let record = held.map(|h| &h.record);
    let heard = held.map(|h| h.seen);
    let own = entry.is_some_and(|e| e.known.is_first_hand());
    let teller = entry.and_then(|e| e.told_by).filter(|_| !own);
    let said = (Provenance::Claimed, if own { Some(peer) } else { teller });
    let at = |fact: WhyFact, at: Option<Stamp>| WhyFact { at, ..fact };
    let up_since = status.as_ref().map(|s| now.stamp_of(s.since));

    let mut facts = Vec::new();
    let name = greeting.and_then(|g| g.name.clone());
    facts.push(match name {
        Some(name) => at(fact("name", Some(name), (Provenance::Claimed, Some(peer))), up_since),
        None => {
            let name = record.map(|r| clean(&r.name)).filter(|n| !n.is_empty());
            at(fact("name", name, said), heard)
        }
    });
    let called = greeting.and_then(|g| g.name.clone()).or_else(|| record.map(|r| clean(&r.name)));
    for used in called.iter().flat_map(|name| peers.book.users_of(name, now.stamp)) {
        if used.peer != peer {
            let value = Some(format!("{} was linked under it too", used.peer.short()));
            facts.push(at(fact("name", value, measured), Some(used.until)));
        }
    }
    let nat = peers.claimed_nat(&peer);
    let nat_value = (nat != NatType::Unknown).then(|| nat.name().to_owned());
    let by_greeting = greeting.is_some() && !own;
    facts.push(if by_greeting {
        at(fact("NAT type", nat_value, (Provenance::Claimed, Some(peer))), up_since)
    } else {
        at(fact("NAT type", nat_value, said), heard)
    });
    if let Some(entry) = entry
        && let Some(proven) = entry.measured.verified_public
    {
        let value = Some("a dial from a fresh socket came in".to_owned());
        facts.push(at(fact("public", value, measured), Some(proven)));
    }
    facts.extend(
        guessed_fact(&peer, view)
            .map(|(value, when)| at(fact("guessed punch", Some(value), measured), Some(when))),
    );
    if let Some(test) = view.tests.latest(&peer) {
        let when = test.ended.unwrap_or(test.started);
        facts.extend(
            test.paths.iter().map(|p| at(fact("path test", Some(p.summary()), measured), Some(when))),
        );
    }
    facts.extend(addresses_from(peer, accounts, said, heard, view));
    for relay in record.into_iter().flat_map(|r| &r.relays) {
        let value = format!("{} on {}", relay.addr, relay.relay.short());
        facts.push(at(fact("relay address", Some(value), said), heard));
    }
    if record.is_none_or(|r| r.relays.is_empty()) {
        facts.push(at(fact("relay address", None, said), heard));
    }
    if let Some(link) = link.filter(|l| l.in_use().is_some_and(|i| i.path == Path::Relayed)) {
        let over = link.standby().and_then(|lane| lane.via);
        let value = over.map(|relay| format!("over {}, warm at both ends", relay.short()));
        facts.push(at(fact("standby lane", value, measured), Some(now.stamp)));
    }
    let ms = |ms: f64| format!("{ms:.1} ms");
    let old = entry.map(|e| &e.measured);
    let (rtt, when) = match link.filter(|_| status.is_some()).and_then(Link::rtt) {
        Some((rtt, when)) => (Some(rtt), Some(now.stamp_of(when))),
        None => (old.and_then(|m| m.rtt_ms), old.and_then(|m| m.rtt_at)),
    };
    facts.push(at(fact("round trip", rtt.map(ms), measured), when));
    let tries = entry.map(|e| (e.measured.attempts, e.measured.successes));
    let tries = tries.filter(|(attempts, _)| *attempts > 0);
    let connected = tries.map(|(attempts, ok)| format!("{ok} of {attempts} connected"));
    facts.push(fact("attempts", connected, measured));
    let rate = tries.map(|(attempts, ok)| format!("{:.0} %", f64::from(ok) / f64::from(attempts) * 100.0));
    facts.push(fact("success rate", rate, (Provenance::Derived, None)));
    facts.push(seen_fact(peer, view));
    facts
}

/// Every address that somebody names, with who and why.
fn addresses_from(
    peer: PeerId,
    accounts: &[Told],
    said: (Provenance, Option<PeerId>),
    heard: Option<Stamp>,
    view: View<'_>,
) -> Vec<WhyFact> {
    let peers = view.peers();
    let now = peers.now;
    let measured = (Provenance::Measured, None);
    let mut found: Vec<(SocketAddr, WhyFact)> = Vec::new();
    let mut add = |addr: SocketAddr, note: &str, from, at: Option<Stamp>| {
        if !found.iter().any(|(a, _)| *a == addr) {
            let value = format!("{addr}{note}");
            found.push((addr, WhyFact { at, ..fact("address", Some(value), from) }));
        }
    };
    if let Some(info) = peers.links.in_use(&peer)
        && info.path.is_straight()
    {
        add(info.remote, ", of its link", measured, Some(now.stamp));
    }
    let entry = peers.book.get(peer);
    if let Some(entry) = entry
        && let Some(addr) = entry.measured.reached_at
    {
        add(addr, ", where we reached it", measured, entry.measured.last_contact);
    }
    for told in accounts {
        if let Some(addr) = told.account.as_ref().and_then(|seen| seen.at) {
            add(addr, ", where it is seen", (Provenance::Claimed, Some(told.who)), Some(now.stamp));
        }
    }
    for step in view.attempts.trace(&peer).map(Trace::steps).unwrap_or_default() {
        if let TraceEvent::Has(who, addr) = step.what {
            add(addr, ", where it was seen", (Provenance::Claimed, Some(who)), Some(step.at));
        }
    }
    for addr in entry.and_then(|e| e.record()).into_iter().flat_map(|r| &r.addresses) {
        add(*addr, ", of its record", said, heard);
    }
    if found.is_empty() {
        return vec![WhyFact { at: heard, ..fact("address", None, said) }];
    }
    found.into_iter().map(|(_, fact)| fact).collect()
}

fn seen_fact(peer: PeerId, view: View<'_>) -> WhyFact {
    let peers = view.peers();
    let entry = peers.book.get(peer);
    let ours = entry.and_then(|e| e.measured.last_contact);
    let theirs = entry.and_then(|e| e.known.seen());
    let (at, from) = match (ours, theirs) {
        (Some(ours), theirs) if theirs.is_none_or(|t| t <= ours) => {
            (Some(ours), (Provenance::Measured, None))
        }
        (_, theirs) => (theirs, (Provenance::Claimed, entry.and_then(|e| e.told_by))),
    };
    let value = at.map(|at| super::ago(at, peers.now.stamp));
    WhyFact { at, ..fact("last seen", value, from) }
}
