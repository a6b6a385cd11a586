//! What is known of a peer, each with where it is from: for the why view. What
//! is not known has no value.

use std::net::SocketAddr;

use super::view::View;
use super::{Told, Trace};
use crate::core::link::Link;
use crate::model::{
    AddressOrigin, Known, NatType, Path, PeerId, Provenance, Stamp, TraceEvent, WhyFact, clean,
};

fn fact(known: Known, (provenance, by): (Provenance, Option<PeerId>)) -> WhyFact {
    WhyFact { known, provenance, by, at: None }
}

/// What the latest guessed punch opened and sent, and what came of it.
fn guessed(peer: &PeerId, view: View<'_>) -> Option<(Known, Stamp)> {
    let attempt = view.attempts.last_guess(peer)?;
    let stage = attempt.stages.first()?;
    Some((Known::Guess { cost: stage.guess, reason: stage.reason.clone() }, stage.started))
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
        Some(name) => at(fact(Known::Name(Some(name)), (Provenance::Claimed, Some(peer))), up_since),
        None => {
            let name = record.map(|r| clean(&r.name)).filter(|n| !n.is_empty());
            at(fact(Known::Name(name), said), heard)
        }
    });
    let called = greeting.and_then(|g| g.name.clone()).or_else(|| record.map(|r| clean(&r.name)));
    for used in called.iter().flat_map(|name| peers.book.users_of(name, now.stamp)) {
        if used.peer != peer {
            facts.push(at(fact(Known::SameName(used.peer), measured), Some(used.until)));
        }
    }
    let nat = peers.claimed_nat(&peer);
    let nat = Known::Nat(Some(nat).filter(|nat| *nat != NatType::Unknown));
    let by_greeting = greeting.is_some() && !own;
    facts.push(if by_greeting {
        at(fact(nat, (Provenance::Claimed, Some(peer))), up_since)
    } else {
        at(fact(nat, said), heard)
    });
    if let Some(entry) = entry
        && let Some(proven) = entry.measured.verified_public
    {
        facts.push(at(fact(Known::Public, measured), Some(proven)));
    }
    facts.extend(guessed(&peer, view).map(|(known, when)| at(fact(known, measured), Some(when))));
    if let Some(test) = (view.tested)(&peer) {
        let when = test.ended.unwrap_or(test.started);
        let tested = test.paths.iter().cloned().map(Known::Test);
        facts.extend(tested.map(|known| at(fact(known, measured), Some(when))));
    }
    facts.extend(addresses_from(peer, accounts, said, heard, view));
    for relay in record.into_iter().flat_map(|r| &r.relays) {
        facts.push(at(fact(Known::RelayAddress(Some((relay.addr, relay.relay))), said), heard));
    }
    if record.is_none_or(|r| r.relays.is_empty()) {
        facts.push(at(fact(Known::RelayAddress(None), said), heard));
    }
    if let Some(link) = link.filter(|l| l.in_use().is_some_and(|i| i.path == Path::Relayed)) {
        let over = link.standby().and_then(|lane| lane.via);
        facts.push(at(fact(Known::Standby(over), measured), Some(now.stamp)));
    }
    let old = entry.map(|e| &e.measured);
    let (rtt, when) = match link.filter(|_| status.is_some()).and_then(Link::rtt) {
        Some((rtt, when)) => (Some(rtt), Some(now.stamp_of(when))),
        None => (old.and_then(|m| m.rtt_ms), old.and_then(|m| m.rtt_at)),
    };
    facts.push(at(fact(Known::RoundTrip(rtt), measured), when));
    let tries = entry.map(|e| (e.measured.attempts, e.measured.successes));
    let tries = tries.filter(|(attempts, _)| *attempts > 0);
    facts.push(fact(Known::Attempts(tries), measured));
    facts.push(fact(Known::SuccessRate(tries), (Provenance::Derived, None)));
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
    let mut add = |addr: SocketAddr, origin: AddressOrigin, from, at: Option<Stamp>| {
        if !found.iter().any(|(a, _)| *a == addr) {
            let known = Known::Address { addr: Some(addr), origin };
            found.push((addr, WhyFact { at, ..fact(known, from) }));
        }
    };
    if let Some(info) = peers.links.in_use(&peer)
        && info.path.is_straight()
    {
        add(info.remote, AddressOrigin::Link, measured, Some(now.stamp));
    }
    let entry = peers.book.get(peer);
    if let Some(entry) = entry
        && let Some(addr) = entry.measured.reached_at
    {
        add(addr, AddressOrigin::Reached, measured, entry.measured.last_contact);
    }
    for told in accounts {
        if let Some(addr) = told.account.as_ref().and_then(|seen| seen.at) {
            add(addr, AddressOrigin::Seen, (Provenance::Claimed, Some(told.who)), Some(now.stamp));
        }
    }
    for step in view.attempts.trace(&peer).map(Trace::steps).unwrap_or_default() {
        if let TraceEvent::Has { who, at } = step.what {
            add(at, AddressOrigin::WasSeen, (Provenance::Claimed, Some(who)), Some(step.at));
        }
    }
    for addr in entry.and_then(|e| e.record()).into_iter().flat_map(|r| &r.addresses) {
        add(*addr, AddressOrigin::Record, said, heard);
    }
    if found.is_empty() {
        let none = Known::Address { addr: None, origin: AddressOrigin::Record };
        return vec![WhyFact { at: heard, ..fact(none, said) }];
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
    WhyFact { at, ..fact(Known::LastSeen(at), from) }
}
