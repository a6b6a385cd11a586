//! Answers as people read them, made from the objects that programs get.

use std::fmt::Write as _;

use super::table::{Cell, Tone, left, pairs, right, table};
use crate::core::kpi::FEW;
use crate::model::contract::{
    Attempts, Cache, Connected, Gossip, InOut, Kpi, Links, NatWithVantages, Peers, Relays, Serving, Stage,
    Staged, Status, Told, WhyReport, rfc3339,
};
use crate::model::{
    AttemptOutcome, CriterionView, Event, MEASURES, MappingLifetime, NatSpell, NatView, NextAction, Outcome,
    Path, PathTest, PeerId, PeerRow, PeerState, Propagation, RelayMode, ReservationState, Snapshot,
    StageOutcome, Sureness, TestedPath, Unit, printable, twice_at,
};
use crate::tui::fmt;

/// An id as it is shown: six digits, and the name if there is one.
fn who(peer: PeerId, now: &Snapshot) -> String {
    let name = now.peer(&peer).and_then(|row| row.name.clone());
    let name = name.or_else(|| (now.node.peer_id == peer).then(|| "this node".to_owned()));
    name.map_or_else(|| peer.short(), |name| format!("{} {}", peer.short(), printable(&name)))
}

fn seconds(s: f64) -> String {
    let whole = s.max(0.0) as u64;
    match whole {
        0..60 => format!("{whole}s"),
        60..3600 => format!("{}m", whole / 60),
        3600..86_400 => format!("{}h{:02}m", whole / 3600, whole % 3600 / 60),
        _ => format!("{}d{:02}h", whole / 86_400, whole % 86_400 / 3600),
    }
}

fn ms(value: Option<f64>) -> Cell {
    right(value.map(|ms| if ms < 10.0 { format!("{ms:.1} ms") } else { format!("{ms:.0} ms") }))
}

fn path(path: Option<Path>) -> Cell {
    let tone = match path {
        Some(Path::Direct | Path::Punched) => Tone::Good,
        Some(Path::Relayed) => Tone::Warn,
        None => Tone::Dim,
    };
    left(path.map_or("-", Path::name)).tone(tone)
}

fn percent(rate: f64) -> String {
    format!("{:.1} %", rate * 100.0)
}

fn propagation(p: Propagation) -> String {
    if p.expected == 0 {
        return "-".to_owned();
    }
    format!("{} of {}, {}", p.known, p.expected, percent(p.known as f64 / p.expected as f64))
}

fn list(addrs: &[impl ToString]) -> String {
    if addrs.is_empty() {
        return "-".to_owned();
    }
    addrs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

pub(super) fn status(status: &Status<'_>) -> String {
    let links = status.links;
    let total = links.direct + links.punched + links.relayed;
    let foreign = if links.foreign > 0 { format!(", and {} foreign", links.foreign) } else { String::new() };
    let alone = if status.no_ipv6 { " (this host has no IPv6)" } else { "" };
    let mut rows = vec![
        ("node", left(status.name).tone(Tone::Strong)),
        ("id", left(status.peer_id)),
        ("version", left(status.version)),
        ("network", left(status.network)),
        ("state", left(format!("{}, up {}", status.phase, seconds(status.uptime_s)))),
        ("listens at", left(format!("{}{alone}", status.local_addr))),
        ("seen at", left(list(status.observed_addrs))),
        ("nat", left(nat_line(&status.nat))),
    ];
    rows.extend(status.nat6.as_ref().map(|nat| ("nat, IPv6", left(nat_line(nat)))));
    rows.extend([
        (
            "links",
            left(format!(
                "{total}: {} direct, {} punched, {} relayed{foreign}",
                links.direct, links.punched, links.relayed
            )),
        ),
        ("cache", cache(&status.cache)),
        ("relay", left(format!("serves {} ({})", status.relay.serving, status.relay.mode))),
    ]);
    rows.extend(status.used_twice.iter().map(|t| {
        let whose = if t.peer_id == status.peer_id { "our own".to_owned() } else { t.peer_id.short() };
        ("used twice", left(format!("{whose}: {}", twice_at(&t.addresses))).tone(Tone::Bad))
    }));
    pairs(rows)
}

/// A save that fails is what a look at the status is for.
fn cache(cache: &Cache<'_>) -> Cell {
    let peers = format!("{} known, {} tried", cache.known, cache.tried);
    // Only a save that failed has something to tell.
    let Some(why) = cache.save.detail else {
        let aside = cache.set_aside.map(|why| format!("; set aside: {}", printable(why)));
        return left(peers + &aside.unwrap_or_default());
    };
    let since = cache.save.since_s.map(|s| format!(" for {}", seconds(s))).unwrap_or_default();
    left(format!("{peers}, NOT SAVED{since}: {}", printable(why))).tone(Tone::Bad)
}

fn nat_line(nat: &Told<'_, NatView>) -> String {
    let sure = nat.confidence.map(|c| format!(", confidence {}", Sureness::of(c).name())).unwrap_or_default();
    let age = nat.measured.map(|at| format!(", measured {} ago", seconds(nat.since_s(at))));
    let age = age.unwrap_or_default();
    let why = nat.reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default();
    format!("{}{why}{sure}{age}", nat.nat_type)
}

pub(super) fn peers(peers: &Peers<'_>) -> String {
    if peers.peers.is_empty() {
        return "no peer is known\n".to_owned();
    }
    let rows: Vec<Vec<Cell>> = peers
        .peers
        .iter()
        .map(|p| {
            let tone = match p.state {
                PeerState::Linked => Tone::Good,
                PeerState::Suspect | PeerState::Connecting | PeerState::HeldOff => Tone::Warn,
                PeerState::Unreachable => Tone::Bad,
                PeerState::Foreign | PeerState::Known => Tone::Plain,
            };
            vec![
                left(p.peer_id.short()),
                name(p),
                left(p.state.name()).tone(tone),
                path(p.path),
                left(p.nat_type),
                ms(p.rtt_ms),
                right(p.success_rate().map(|rate| format!("{:.0} % of {}", rate * 100.0, p.attempts))),
                right(p.last_seen.map(|at| seconds(p.since_s(at)))),
                left(p.source.name()),
                left(p.addresses.first().map_or_else(|| "-".to_owned(), ToString::to_string)),
            ]
        })
        .collect();
    table(&["id", "name", "state", "path", "nat", "rtt", "success", "seen", "source", "address"], &rows)
}

/// A peer's name, and who else was linked under it lately.
fn name(peer: &Told<'_, PeerRow>) -> Cell {
    let name = peer.name.as_deref().unwrap_or("-");
    let Some(also) = &peer.also else { return left(name) };
    let (who, ago) = (also.peer_id.short(), seconds(peer.since_s(also.until)));
    left(format!("{name} (also {who} until {ago} ago)")).tone(Tone::Warn)
}

pub(super) fn links(links: &Links<'_>, now: &Snapshot) -> String {
    if links.links.is_empty() {
        return "no links\n".to_owned();
    }
    let rows: Vec<Vec<Cell>> = links
        .links
        .iter()
        .map(|l| {
            vec![
                left(who(l.peer_id, now)),
                path(Some(l.path)),
                left(l.remote_addr),
                left(l.via.map_or_else(|| "-".to_owned(), |via| who(via, now))),
                left(l.standby.map_or_else(|| "-".to_owned(), |via| who(via, now))),
                ms(l.rtt_ms),
                right(Some(seconds(l.since_s(l.since)))),
                right(Some(fmt::bytes(l.bytes_tx))),
                right(Some(fmt::bytes(l.bytes_rx))),
            ]
        })
        .collect();
    table(&["peer", "path", "address", "via", "standby", "rtt", "age", "sent", "received"], &rows)
}

fn stage_line(stage: &Stage, now: &Snapshot) -> String {
    let sign = match stage.outcome {
        StageOutcome::Running => "…",
        StageOutcome::Ok => "ok",
        StageOutcome::Failed => "failed",
        StageOutcome::Skipped => "skipped",
    };
    let via = stage.via.map(|via| format!(" via {}", who(via, now))).unwrap_or_default();
    let took = stage.elapsed_ms.map(fmt::elapsed).unwrap_or_default();
    let beside = if stage.in_parallel {
        format!(" from +{}, in parallel", fmt::elapsed(stage.started_ms))
    } else {
        String::new()
    };
    let name = stage.via.map(|via| who(via, now));
    let why = stage.reason.as_ref().map(|r| format!("  {}", r.text_via(name.as_deref()))).unwrap_or_default();
    let guess = stage.guess.map(|guess| format!("  {guess}")).unwrap_or_default();
    let line = format!("  {:<7} {sign:<8} {took:>8}{beside}{via}{why}{guess}", stage.stage.name());
    line.trim_end().to_owned() + "\n"
}

fn end(outcome: Option<AttemptOutcome>, path: Option<Path>) -> &'static str {
    match (outcome, path) {
        (None, _) => "running",
        (Some(AttemptOutcome::Connected), Some(path)) => path.name(),
        (Some(other), _) => other.word(),
    }
}

pub(super) fn attempts(attempts: &Attempts, now: &Snapshot) -> String {
    if attempts.attempts.is_empty() {
        return "no attempts are remembered\n".to_owned();
    }
    let mut out = String::new();
    for attempt in &attempts.attempts {
        let target = attempt.target.map_or_else(|| "-".to_owned(), |t| t.to_string());
        let peer = attempt.peer_id.map_or(target, |peer| who(peer, now));
        let took = attempt.elapsed_ms.map(|ms| format!(" after {}", fmt::elapsed(ms))).unwrap_or_default();
        let end = end(attempt.outcome, attempt.path);
        let (ago, cause) = (seconds(attempt.started_s), attempt.cause.name());
        // The first usable link and the one that stands are two facts.
        let since = attempt.since.as_ref().map(|since| format!("; now {since}")).unwrap_or_default();
        let first = if attempt.path.is_some() { "first link " } else { "" };
        let _ = writeln!(out, "{peer}: {first}{end}{took}, {ago} ago, {cause}{since}");
        for stage in &attempt.stages {
            out += &stage_line(stage, now);
        }
    }
    out
}

pub(super) fn connected(report: &Connected, now: &Snapshot) -> String {
    let peer = who(report.peer_id, now);
    let note = report.note.as_ref().map(|n| format!("; {n}")).unwrap_or_default();
    let head = if report.stages.is_empty() && report.outcome == AttemptOutcome::Connected {
        format!("{peer}: nothing to do, already linked, {}{note}\n", end(Some(report.outcome), report.path))
    } else {
        let took = fmt::elapsed(report.elapsed_ms);
        format!("{peer}: {} after {took}{note}\n", end(Some(report.outcome), report.path))
    };
    report.stages.iter().fold(head, |out, stage| out + &stage_line(stage, now))
}

/// One stage that was asked for: what came of it, and its rounds.
pub(super) fn staged(report: &Staged, outcome: &Outcome, now: &Snapshot) -> String {
    report.stages.iter().fold(format!("{outcome}\n"), |out, stage| out + &stage_line(stage, now))
}

/// A test, path by path.
pub(super) fn tested(test: &PathTest, now: &Snapshot) -> String {
    let row = |path: &TestedPath| {
        let via = path.via.map(|via| format!(" via {}", who(via, now))).unwrap_or_default();
        let name = left(format!("{}{via}", path.path));
        std::iter::once(name).chain(path.measures().map(right)).collect()
    };
    let rows: Vec<Vec<Cell>> = test.paths.iter().map(row).collect();
    let heads: Vec<&str> = std::iter::once("path").chain(MEASURES).collect();
    let mut out = table(&heads, &rows);
    for path in &test.paths {
        if let Some(reason) = &path.reason {
            let _ = writeln!(out, "{}: {reason}", path.name());
        }
    }
    out
}

pub(super) fn relays(relays: &Relays<'_>, now: &Snapshot) -> String {
    let rows: Vec<Vec<Cell>> = relays
        .reservations
        .iter()
        .map(|r| {
            let tone = match r.state {
                ReservationState::Ready => Tone::Good,
                ReservationState::Reserving | ReservationState::Suspect => Tone::Warn,
            };
            vec![
                left(who(r.relay, now)),
                left(r.role),
                left(r.state).tone(tone),
                left(r.public_addr.map_or_else(|| "-".to_owned(), |a| a.to_string())),
                ms(r.rtt_ms),
                right(match r.state {
                    ReservationState::Ready => r.expires.map(|_| "renewed".to_owned()),
                    _ => r.expires.map(|at| seconds(r.until_s(at))),
                }),
                right(Some(fmt::bytes(r.bytes_tx))),
                right(Some(fmt::bytes(r.bytes_rx))),
            ]
        })
        .collect();
    let mut out = if rows.is_empty() {
        "no reservation is held; none is needed, or no relay is known\n".to_owned()
    } else {
        table(&["relay", "role", "state", "our address there", "rtt", "ends", "sent", "received"], &rows)
    };
    out += &serving(&relays.serving, now);
    if let Some(over) = &relays.last_failover {
        let to = over.to.map_or_else(|| "no relay".to_owned(), |to| who(to, now));
        let gap = over.gap_ms.map(|ms| format!(", gap {ms} ms")).unwrap_or_default();
        let lost = over.lost.map(|n| format!(", {n} messages lost")).unwrap_or_default();
        let _ =
            writeln!(out, "last failover {}: {} to {to}{gap}{lost}", rfc3339(over.at), who(over.from, now));
    }
    out
}

fn serving(serving: &Serving<'_>, now: &Snapshot) -> String {
    let so_far = fmt::bytes(serving.bytes);
    let rows: Vec<Vec<Cell>> = serving
        .clients
        .iter()
        .map(|client| {
            vec![
                left(who(client.peer_id, now)),
                left(client.public_addr),
                right(Some(seconds(client.since_s(client.since)))),
                right(Some(fmt::bytes(client.bytes_tx))),
                right(Some(fmt::bytes(client.bytes_rx))),
                right(Some(client.dropped)),
            ]
        })
        .collect();
    if rows.is_empty() {
        let off = if now.relays.mode == RelayMode::Off { "; the relay is off" } else { "" };
        return format!("no peer is served as a relay{off}, {so_far} so far\n");
    }
    let count = fmt::count(rows.len() as u64, "peer");
    let heading = ["for", "its address here", "since", "sent", "received", "dropped"];
    format!("serving {count} as a relay, {so_far} so far\n{}", table(&heading, &rows))
}

pub(super) fn gossip(gossip: &Gossip) -> String {
    let both = |n: InOut| left(format!("{} in, {} out", n.received, n.sent));
    pairs(vec![
        ("full syncs", both(gossip.syncs)),
        ("deltas", both(gossip.deltas)),
        ("repairs", left(gossip.repairs)),
        ("dropped", left(gossip.dropped)),
        ("propagation", left(propagation(gossip.propagation))),
    ])
}

pub(super) fn nat(nat: &NatWithVantages<'_>, now: &Snapshot) -> String {
    let mut out = nat_rows(&nat.nat);
    if let Some(nat6) = &nat.nat6 {
        out += "IPv6\n";
        out += &nat_rows(nat6);
    }
    let _ = match (nat.probe_ports, &nat.no_probe_ports) {
        ([], None) => Ok(()),
        ([], Some(why)) => writeln!(out, "\nothers cannot measure with this node: {why}"),
        (ports, _) => writeln!(out, "\nothers measure with this node at ports {}", and(ports)),
    };
    let rows: Vec<Vec<Cell>> = nat
        .vantage_points
        .iter()
        .map(|v| {
            vec![
                left(who(v.peer_id, now)),
                left(v.seen),
                if v.agrees { left("agrees") } else { left("disagrees").tone(Tone::Warn) },
            ]
        })
        .collect();
    if !rows.is_empty() {
        out += "\n";
        out += &table(&["observer", "saw us at", ""], &rows);
    }
    out
}

fn and(ports: &[u16]) -> String {
    ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

fn lifetime(of: &MappingLifetime) -> String {
    let more = if of.under_way { ", and it is looked at further" } else { "" };
    match of.less_than_s {
        Some(less) => format!("{} to {less} s{more}", of.at_least_s),
        None => format!("{} s or more{more}", of.at_least_s),
    }
}

fn nat_rows(nat: &Told<'_, NatView>) -> String {
    let word = |b: Option<crate::model::Behaviour>| left(b.map_or_else(|| "-".to_owned(), |b| b.to_string()));
    let yes = |b: Option<bool>| left(b.map_or("-", |b| if b { "yes" } else { "no" }));
    let mut rows = vec![
        ("type", left(nat_line(nat)).tone(Tone::Strong)),
        ("mapping", word(nat.mapping)),
        ("filtering", word(nat.filtering)),
        ("keeps ports", yes(nat.port_preservation)),
        ("hairpins", yes(nat.hairpinning)),
        ("a silent mapping lives", left(nat.lifetime.as_ref().map_or("-".to_owned(), lifetime))),
    ];
    rows.extend(
        nat.again_since.map(|at| ("measuring again", left(format!("since {}", seconds(nat.since_s(at)))))),
    );
    rows.extend(nat.guessing().map(|text| ("guessing", left(text))));
    rows.extend(
        nat.evidence.iter().enumerate().map(|(i, e)| (if i == 0 { "evidence" } else { "" }, left(e))),
    );
    let before = nat.history.iter().rev().filter(|spell| spell.until.is_some());
    rows.extend(before.enumerate().map(|(i, s)| (if i == 0 { "before" } else { "" }, left(spell(nat, s)))));
    pairs(rows)
}

/// One line: the type our NAT had, its address, and from when until when.
fn spell(nat: &Told<'_, NatView>, spell: &NatSpell) -> String {
    let firewall = if spell.firewalled { ", behind a firewall" } else { "" };
    let at = spell.at.map(|ip| format!(" at {ip}")).unwrap_or_default();
    let until = spell.until.map(|at| seconds(nat.since_s(at))).unwrap_or_default();
    format!("{}{firewall}{at}, from {} to {until} ago", spell.nat_type, seconds(nat.since_s(spell.from)))
}

pub(super) fn kpi(report: &Kpi) -> String {
    let kpi = &report.figures;
    let rate = match (kpi.rate, kpi.interval) {
        (Some(rate), Some([lo, hi])) => {
            let few = if kpi.attempts < FEW { ", too few to say" } else { "" };
            format!(
                "{} ({} of {} attempts, 95 % between {} and {}{few})",
                percent(rate),
                kpi.connected,
                kpi.attempts,
                percent(lo),
                percent(hi)
            )
        }
        _ => "- (no attempt has ended)".to_owned(),
    };
    let time = |t: Option<f64>| t.map_or_else(|| "-".to_owned(), |t| format!("{t:.0} ms"));
    pairs(vec![
        ("since", left(report.since.as_deref().unwrap_or("-"))),
        ("connected", left(rate)),
        ("first link direct", left(kpi.direct)),
        ("first link punched", left(kpi.punched)),
        ("first link relayed", left(kpi.relayed)),
        ("unreachable", left(unreachable(kpi.unreachable, kpi.unreached))),
        (
            "time to a link",
            left(format!(
                "mean {}, p50 {}, p95 {}",
                time(kpi.mean_connect_ms),
                time(kpi.p50_ms),
                time(kpi.p95_ms)
            )),
        ),
        ("propagation", left(kpi.propagation.map_or_else(|| "-".to_owned(), propagation))),
    ]) + "\n"
        + &criteria(&kpi.criteria)
}

/// Attempts in vain, and in how many spans: retries towards a peer that is down are
/// one.
fn unreachable(attempts: u64, spans: u64) -> String {
    if attempts == spans {
        attempts.to_string()
    } else {
        format!("{attempts}, in {}", fmt::count(spans, "span"))
    }
}

/// What the specification wants, and whether it is so here.
fn criteria(criteria: &[CriterionView]) -> String {
    let row = |c: &CriterionView| {
        let is_time = c.unit == Unit::Ms;
        let value = c.value.map(|v| if is_time { format!("{v:.0} ms") } else { percent(v) });
        let of =
            if is_time { c.denominator.to_string() } else { format!("{} of {}", c.numerator, c.denominator) };
        let interval = c.interval.map(|[lo, hi]| format!("{} to {}", percent(lo), percent(hi)));
        let met = match (c.met, c.n_too_small) {
            (None, _) => left("-").tone(Tone::Dim),
            (_, true) => left("n too small").tone(Tone::Dim),
            (Some(true), _) => left("met").tone(Tone::Good),
            (Some(false), _) => left("not met").tone(Tone::Warn),
        };
        vec![left(c.title), right(value), right(Some(of)), right(interval), left(c.target), met]
    };
    let rows: Vec<Vec<Cell>> = criteria.iter().map(row).collect();
    table(&["criterion", "value", "n", "95 % between", "target", ""], &rows)
}

pub(super) fn why(report: &WhyReport, now: &Snapshot) -> String {
    let (peer, path) = (who(report.peer_id, now), report.path.map_or("no link", Path::name));
    let mut out = format!("{peer}: {path}\n{}\n", printable(&report.verdict));
    let (level, because) = (report.confidence.level.name(), printable(&report.confidence.because));
    let _ = writeln!(out, "confidence {level}: {because}");
    if !report.timeline.is_empty() {
        let rows: Vec<Vec<Cell>> = report
            .timeline
            .iter()
            .map(|line| {
                let ours = line.who == now.node.peer_id;
                let account = if ours { String::new() } else { " (it says)".to_owned() };
                let name = if ours { "us".to_owned() } else { line.who.short() };
                vec![
                    right(Some(format!("+{}", fmt::elapsed(line.at_ms)))),
                    left(name),
                    left(line.what.clone() + &account),
                ]
            })
            .collect();
        out += "\n";
        out += &table(&["", "who", "what"], &rows);
    }
    let section = |title: &str, lines: &[String]| -> String {
        if lines.is_empty() {
            return String::new();
        }
        let lines: Vec<String> = lines.iter().map(|l| printable(l)).collect();
        format!("\n{title}\n  {}\n", lines.join("\n  "))
    };
    out += &section("evidence", &report.evidence);
    out += &section("would help", &report.would_help);
    let next: Vec<String> = report
        .next
        .iter()
        .map(|n| format!("punchdeck ctl {}", command_line(n.action, report.peer_id)))
        .collect();
    out += &section("next", &next);
    out += &known(report);
    out
}

/// Every fact with where it is from.
fn known(report: &WhyReport) -> String {
    let rows: Vec<Vec<Cell>> = report
        .facts
        .iter()
        .map(|fact| {
            let by = match fact.by {
                Some(by) if by == report.peer_id => " by itself".to_owned(),
                Some(by) => format!(" by {}", by.short()),
                None => String::new(),
            };
            let age = fact.age_s.map(|s| format!("{s} s ago"));
            let from = format!("{}{by}", fact.provenance.name());
            let from = if fact.value.is_some() { from } else { "not known".to_owned() };
            vec![
                left(fact.name),
                left(fact.value.as_deref().map_or_else(|| "-".to_owned(), printable)),
                left(from),
                right(age),
            ]
        })
        .collect();
    if rows.is_empty() { String::new() } else { format!("\n{}", table(&["known", "", "from", ""], &rows)) }
}

fn command_line(action: NextAction, peer: PeerId) -> String {
    match action {
        NextAction::NatProbe | NextAction::SyncAll => action.verb().to_owned(),
        NextAction::Connect | NextAction::Punch | NextAction::Relay | NextAction::Failover => {
            format!("{} {}", action.verb(), peer.short())
        }
    }
}

pub(super) fn event(event: &Event) -> String {
    let at = rfc3339(event.at);
    let peer = event.peer_id.map_or_else(|| "-".to_owned(), |p| p.short());
    format!("{at:<24}  {peer:<6}  {:<17}  {}\n", event.kind.name(), printable(&event.kind.to_string()))
}
