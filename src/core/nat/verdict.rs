//! What a run means: the classic name, and what was seen that says why.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::classify::{self, Mapping};
use super::run::{DIAL_TRIES, Run};
use crate::core::Now;
use crate::model::{Behaviour, NatEvidence, NatType, NatView, PeerId, Reason, Vantage};

/// Tries of another port that must stay out before it counts as filtered.
const OTHER_PORT_OUT: u8 = 3;
/// Pairs of responders, of different contacts, that must agree that something
/// stays out: of two, one may be a liar or have lost its datagrams.
const PAIRS_OUT: usize = 2;
/// What one dissenter takes off our confidence.
const DOUBT: f64 = 0.1;

/// What a run shows of the filter (RFC 4787, 5). `silent`: how many dial-backs
/// of a pair stayed out lately, this run's included.
fn filtering(
    run: &Run,
    external: Option<SocketAddr>,
    silent: impl Fn(PeerId, PeerId) -> usize,
) -> Result<Behaviour, Reason> {
    if run.is_open() {
        return Ok(Behaviour::EndpointIndependent);
    }
    let points = &run.plan.points;
    // A contact that saw us at another host than the rest is not believed, so
    // where it sent the dial-backs means nothing.
    let believed = |seen: SocketAddr| external.is_none_or(|e| e.ip() == seen.ip());
    let tested = || run.pairs.iter().filter(|p| p.seen.is_some_and(believed));
    let out = tested()
        .filter(|p| silent(points[p.contact].peer, points[p.dialler].peer) >= usize::from(DIAL_TRIES))
        .count();
    if out < PAIRS_OUT || tested().any(|p| p.sent == 0) {
        return Err(Reason::TooFewDialBacks);
    }
    if tested().any(|p| p.other_port) {
        return Ok(Behaviour::AddressDependent);
    }
    if tested().filter(|p| p.other_tries >= OTHER_PORT_OUT).count() >= PAIRS_OUT {
        return Ok(Behaviour::AddressAndPortDependent);
    }
    Err(Reason::TooFewDialBacks)
}

/// The classic name. `translated`: the mapped address is not our own.
fn classic(
    mapping: Behaviour,
    translated: bool,
    filtering: Result<Behaviour, Reason>,
) -> Result<NatType, Reason> {
    Ok(match (mapping, filtering) {
        (Behaviour::AddressDependent | Behaviour::AddressAndPortDependent, _) => NatType::Symmetric,
        (Behaviour::EndpointIndependent, Err(reason)) => return Err(reason),
        (Behaviour::EndpointIndependent, Ok(_)) if !translated => NatType::None,
        (_, Ok(Behaviour::EndpointIndependent)) => NatType::FullCone,
        (_, Ok(Behaviour::AddressDependent)) => NatType::AddressRestricted,
        (_, Ok(Behaviour::AddressAndPortDependent)) => NatType::PortRestricted,
    })
}

/// The whole view of a run that is over.
pub(super) fn view(run: &Run, silent: impl Fn(PeerId, PeerId) -> usize, now: Now) -> NatView {
    if let Some(reason) = &run.fault {
        return NatView::unknown(reason.clone());
    }
    let seen = run.seen();
    let mapping = classify::mapping(&seen);
    let filtering = filtering(run, mapping.external, silent);
    let local = run.local;
    let translated = mapping.external.is_some() && mapping.external != local;
    let named = match &mapping.behaviour {
        Ok(behaviour) => classic(*behaviour, translated, filtering.clone()),
        Err(reason) => Err(reason.clone()),
    };
    let preserved: Vec<bool> = seen
        .iter()
        .zip(&mapping.agrees)
        .filter(|(_, agrees)| **agrees)
        .flat_map(|(seen, _)| seen.iter().flatten())
        .map(|addr| Some(addr.port()) == local.map(|l| l.port()))
        .collect();
    let vantage = |(at, seen): (usize, &classify::Seen)| {
        let seen = seen[0].or(seen[1])?;
        Some(Vantage { peer_id: run.plan.points[at].peer, seen, agrees: mapping.agrees[at] })
    };
    let vantage_points: Vec<Vantage> = seen.iter().enumerate().filter_map(vantage).collect();
    let known = named.is_ok();
    NatView {
        again_since: None,
        history: Vec::new(),
        nat_type: named.clone().unwrap_or_default(),
        mapping: mapping.behaviour.clone().ok(),
        filtering: filtering.clone().ok(),
        port_preservation: mapping.behaviour.is_ok().then(|| preserved.iter().all(|p| *p)),
        ports: run.port_order().filter(|_| mapping.behaviour.is_ok() && mapping.external.is_none()),
        hairpinning: run.hairpinning().filter(|_| translated),
        confidence: known.then(|| confidence(&mapping)),
        evidence: evidence(run, &mapping, filtering.as_ref().ok().copied(), translated),
        vantage_points,
        measured: known.then_some(now.stamp),
        reason: named.err(),
        lifetime: None,
        nat6: None,
    }
}

/// Each vantage point that agrees halves the doubt; one that does not brings
/// some back.
fn confidence(mapping: &Mapping) -> f64 {
    let agreeing = mapping.agreeing();
    let doubt = 0.5_f64.powi(i32::try_from(agreeing).unwrap_or(i32::MAX));
    let dissent = (mapping.answered - agreeing) as f64 * DOUBT;
    (1.0 - doubt - dissent).clamp(0.0, 1.0)
}

fn evidence(
    run: &Run,
    mapping: &Mapping,
    filtering: Option<Behaviour>,
    translated: bool,
) -> Vec<NatEvidence> {
    let mut seen_so = Vec::new();
    let points = &run.plan.points;
    let seen = run.seen();
    let (agreeing, answered, local) = (mapping.agreeing(), mapping.answered, run.local);
    let ports = |agree: bool| -> Vec<u16> {
        let chosen = seen.iter().zip(&mapping.agrees).filter(|(_, a)| **a == agree);
        let ports: BTreeSet<u16> =
            chosen.flat_map(|(s, _)| s.iter().flatten().map(SocketAddr::port)).collect();
        ports.into_iter().collect()
    };
    match (mapping.behaviour.as_ref(), mapping.external) {
        (Ok(_), Some(external)) => {
            seen_so.push(NatEvidence::OneAddress { agreeing, answered, local, external });
        }
        (Ok(behaviour), None) => {
            let mapping = Some(*behaviour);
            seen_so.push(NatEvidence::ManyPorts { agreeing, answered, local, ports: ports(true), mapping });
        }
        (Err(_), _) if answered >= 2 => {
            let ports = ports(false);
            seen_so.push(NatEvidence::ManyPorts { agreeing, answered, local, ports, mapping: None });
        }
        (Err(_), _) => {}
    }
    for (at, story) in seen.iter().enumerate() {
        if let Some(odd) = story[0].or(story[1]).filter(|_| mapping.behaviour.is_ok() && !mapping.agrees[at])
        {
            seen_so.push(NatEvidence::Dissent { by: points[at].peer, seen: odd });
        }
    }
    if answered < points.len() {
        seen_so.push(NatEvidence::Unanswered { silent: points.len() - answered, asked: points.len() });
    }
    if mapping.external.is_some() && !translated {
        seen_so.push(NatEvidence::NothingTranslated);
    }
    seen_so.extend(filter_evidence(run, filtering));
    match (filtering, translated) {
        (Some(Behaviour::AddressDependent | Behaviour::AddressAndPortDependent), false)
            if mapping.external.is_some() =>
        {
            seen_so.push(NatEvidence::Firewall);
        }
        _ => {}
    }
    seen_so.extend(run.hairpinning().filter(|_| translated).map(NatEvidence::Hairpinning));
    seen_so
}

fn filter_evidence(run: &Run, filtering: Option<Behaviour>) -> Vec<NatEvidence> {
    let points = &run.plan.points;
    let tested = || run.pairs.iter().filter(|p| p.seen.is_some());
    if let Some(pair) = tested().find(|p| p.stranger.is_some()) {
        return vec![NatEvidence::StrangerCameIn { from: points[pair.dialler].peer }];
    }
    let mut seen_so = Vec::new();
    let sent: usize = tested().map(|p| usize::from(p.sent)).sum();
    if sent > 0 {
        let addresses = tested().filter(|p| p.sent > 0).count();
        seen_so.push(NatEvidence::StrangersStayedOut { sent, addresses });
    }
    if run.was_refused() {
        seen_so.push(NatEvidence::DialBacksNotSent);
    }
    match filtering {
        Some(Behaviour::AddressDependent) => {
            let came = tested().find(|p| p.other_port);
            seen_so.extend(came.map(|p| NatEvidence::OtherPortCameIn { from: points[p.contact].peer }));
        }
        Some(Behaviour::AddressAndPortDependent) => {
            let contacts = tested().filter(|p| p.other_tries > 0).count();
            seen_so.push(NatEvidence::OtherPortsStayedOut { contacts });
        }
        _ => {}
    }
    seen_so
}

/// Whether what a whole run found bears out what was known before, where it alone does
/// not suffice to say it: the mapping is as it was, and so is what became of the
/// dial-backs that were sent.
pub(super) fn is_borne_out(run: &Run, before: &NatView) -> bool {
    let open = before.filtering == Some(Behaviour::EndpointIndependent);
    let tried = if open { run.is_open() } else { run.pairs.iter().any(|p| p.sent > 0) };
    run.was_refused() && tried && is_still(run, before)
}

/// Whether a glance found everything as it was.
pub(super) fn is_still(run: &Run, view: &NatView) -> bool {
    let Some(behaviour) = view.mapping.filter(|_| run.fault.is_none()) else { return false };
    let seen = run.seen();
    if !classify::is_still(behaviour, &seen) {
        return false;
    }
    let external = classify::mapping(&seen).external;
    let before = view.vantage_points.iter().find(|v| v.agrees).map(|v| v.seen.ip());
    let moved = external.is_some() && external.map(|e| e.ip()) != before;
    let translated = external.is_some() && external != run.local;
    if moved || (external.is_some() && translated == (view.nat_type == NatType::None)) {
        return false;
    }
    let shut = run.pairs.iter().any(|p| !p.other_port && p.other_tries >= 2);
    match view.filtering {
        Some(Behaviour::EndpointIndependent) => {
            run.is_open() || (!shut && run.pairs.iter().all(|p| p.sent == 0))
        }
        _ if run.is_open() => false,
        Some(Behaviour::AddressDependent) => !shut,
        _ => !run.pairs.iter().any(|p| p.other_port),
    }
}
