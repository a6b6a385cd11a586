//! Made-up snapshots with a fixed clock, for tests and benchmarks, and a
//! console without a terminal to draw them with. No part of the interface.

mod fleet;
mod load;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::lab::{DrillCheck, DrillInfo, DrillStage, DrillView, LabLink, LabNode, LabRouter, LabView};
pub use fleet::{compared, fleet, large_fleet, neighbour};
pub use load::{Screen, changed, large, next_round, panic_on_screen};

use crate::model::{
    Attempt, AttemptId, AttemptOutcome, AttemptsView, Behaviour, CacheView, Cause, Confidence, Counters,
    Event, EventKind, Failover, GossipView, Interval, KpiPoint, KpiSeries, KpiView, LinkRow, Moved, NatType,
    NatView, NextAction, NextStep, NodeInfo, Path, PeerId, PeerRow, PeerState, Phase, Provenance, Reason,
    RelayMode, RelayRole, RelaysView, ReservationRow, ReservationState, SaveState, ServedRow, Snapshot,
    Source, StageKind, StageOutcome, StageReport, Stamp, Sureness, Vantage, Why, WhyCause, WhyFact, WhyLine,
    WhyNats,
};

/// The moment of every made-up snapshot: 14:02:11 UTC.
pub const NOW: Stamp = Stamp(1_767_276_131_000);

/// A peer id that begins with the given bytes.
pub fn id(head: [u8; 3]) -> PeerId {
    let mut bytes = [0x42; 32];
    bytes[..3].copy_from_slice(&head);
    PeerId(bytes)
}

fn addr(host: u8, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 18, 0, host)), port)
}

fn ago(seconds: u64) -> Stamp {
    NOW.before(Duration::from_secs(seconds))
}

/// A node that has just started and knows nobody.
pub fn empty() -> Arc<Snapshot> {
    Arc::new(Snapshot {
        seq: 1,
        at: NOW,
        node: Arc::new(NodeInfo {
            peer_id: id([0x9f, 0x3a, 0x21]),
            name: "vps-fra-1".to_owned(),
            version: "0.1.0".to_owned(),
            network: "fleet".to_owned(),
            local_addr: addr(1, 9000),
            no_ipv6: false,
            observed_addrs: Vec::new(),
            started: ago(2),
            phase: Phase::NothingToDial,
            cache: CacheView { known: 0, tried: 0, save: SaveState::Empty, set_aside: None },
            probe_ports: vec![9001, 9002],
            no_probe_ports: None,
            used_twice: Vec::new(),
        }),
        peers: Arc::default(),
        links: Arc::default(),
        attempts: Arc::default(),
        relays: Arc::default(),
        gossip: Arc::default(),
        nat: Arc::default(),
        kpi: Arc::default(),
        reporting: Arc::default(),
        counters: Arc::default(),
        totals: Arc::default(),
        tests: Arc::default(),
    })
}

/// No NAT, as two peers saw it.
fn nat() -> NatView {
    let seen = |head| Vantage { peer_id: id(head), seen: ([198, 18, 0, 1], 9002).into(), agrees: true };
    NatView {
        nat_type: NatType::None,
        mapping: Some(Behaviour::EndpointIndependent),
        filtering: Some(Behaviour::EndpointIndependent),
        port_preservation: Some(true),
        confidence: Some(0.95),
        evidence: vec![
            "2 observers saw our own address and port".to_owned(),
            "a dial-back from a peer that this probe had not contacted came in".to_owned(),
        ],
        vantage_points: vec![seen([0x1b, 0x88, 0xf0]), seen([0x5e, 0x01, 0xc9])],
        measured: Some(ago(120)),
        ..NatView::default()
    }
}

fn peer(head: [u8; 3], name: &str, state: PeerState) -> PeerRow {
    PeerRow {
        peer_id: id(head),
        name: Some(name.to_owned()),
        linked_as: state.is_up(),
        also: None,
        first_hand: state.is_up(),
        addresses: vec![addr(head[0], 9000)],
        nat_type: NatType::None,
        state,
        path: state.is_up().then_some(Path::Direct),
        rtt_ms: None,
        attempts: 0,
        successes: 0,
        last_seen: None,
        tried: state.is_up(),
        source: Source::Gossip,
        version: 3,
        last_failure: None,
        next_attempt: None,
        attempt: None,
        tested: None,
    }
}

fn link(row: &PeerRow, since: u64, outbound: bool) -> LinkRow {
    LinkRow {
        peer_id: row.peer_id,
        path: row.path.unwrap_or(Path::Direct),
        remote_addr: row.addresses.first().copied().unwrap_or_else(|| addr(9, 9)),
        via: (row.path == Some(Path::Relayed)).then(|| id([0x1b, 0x88, 0xf0])),
        standby: None,
        rtt_ms: row.rtt_ms,
        since: ago(since),
        outbound,
        bytes_tx: 18_432,
        bytes_rx: 1_204_000,
        missed: u32::from(row.state == PeerState::Suspect),
        observed: Some(addr(1, 9000)),
        clock_skew_ms: Some(-12),
        foreign: row.state == PeerState::Foreign,
    }
}

fn stage(
    stage: StageKind,
    outcome: StageOutcome,
    elapsed_ms: u64,
    reason: Option<Reason>,
    via: Option<PeerId>,
) -> StageReport {
    let elapsed_ms = (outcome != StageOutcome::Running).then_some(elapsed_ms);
    StageReport { stage, outcome, reason, started: ago(2), elapsed_ms, via, guess: None }
}

/// Stages one after the other, from then on.
fn in_turn(begun: u64, mut stages: Vec<StageReport>) -> Vec<StageReport> {
    let mut at = ago(begun);
    for stage in &mut stages {
        stage.started = at;
        at = at.after(Duration::from_millis(stage.elapsed_ms.unwrap_or(0)));
    }
    stages
}

/// A node in the middle of a small fleet, with something of everything.
pub fn busy() -> Arc<Snapshot> {
    let peers = busy_peers();
    let links =
        peers.iter().filter(|p| p.state.is_up()).map(|p| link(p, 194, p.peer_id.0[0] > 0x50)).collect();
    let snapshot = Snapshot::clone(&empty());
    Arc::new(Snapshot {
        seq: 812,
        node: Arc::new(NodeInfo {
            started: ago(3 * 3600 + 12 * 60 + 5),
            phase: Phase::Joined,
            observed_addrs: vec![addr(1, 9000)],
            cache: CacheView { known: 10, tried: 6, save: SaveState::Saved { at: ago(31) }, set_aside: None },
            ..NodeInfo::clone(&snapshot.node)
        }),
        peers: Arc::new(peers.into_iter().map(Arc::new).collect()),
        links: Arc::new(links),
        attempts: Arc::new(busy_attempts()),
        relays: Arc::new(busy_relays()),
        gossip: Arc::new(GossipView {
            syncs_in: 9,
            syncs_out: 8,
            deltas_in: 31,
            deltas_out: 44,
            repairs: 2,
            digests: 60,
            dropped: 0,
            known: 58,
            expected: 60,
        }),
        nat: Arc::new(nat()),
        kpi: Arc::new(KpiView {
            attempts: 42,
            connected: 41,
            rate: Some(41.0 / 42.0),
            interval: Some(Interval { lo: 0.877, hi: 0.996 }),
            direct: 27,
            punched: 9,
            relayed: 5,
            unreachable: 1,
            unreached: 1,
            moved: Moved { direct: 0, punched: 2 },
            mean_connect_ms: Some(212.0),
            p50_ms: Some(9.4),
            p95_ms: Some(1020.0),
            since: None,
            series: Arc::new(kpi_series()),
        }),
        counters: Arc::new(Counters([("gossip.page_rate".to_owned(), 3)].into())),
        totals: Arc::default(),
        ..snapshot
    })
}

fn busy_peers() -> Vec<PeerRow> {
    vec![
        PeerRow {
            nat_type: NatType::FullCone,
            first_hand: false,
            last_seen: Some(ago(4100)),
            ..peer([0x0a, 0x11, 0x5e], "lab-7", PeerState::Known)
        },
        PeerRow {
            rtt_ms: Some(81.2),
            attempts: 212,
            successes: 212,
            last_seen: Some(ago(1)),
            source: Source::Bootstrap,
            ..peer([0x1b, 0x88, 0xf0], "vps-nyc", PeerState::Linked)
        },
        PeerRow {
            name: None,
            nat_type: NatType::Unknown,
            rtt_ms: Some(140.0),
            attempts: 3,
            successes: 3,
            last_seen: Some(ago(14)),
            source: Source::Bootstrap,
            ..peer([0x3d, 0x07, 0x77], "", PeerState::Foreign)
        },
        PeerRow {
            rtt_ms: Some(162.4),
            attempts: 201,
            successes: 198,
            last_seen: Some(ago(1)),
            ..peer([0x5e, 0x01, 0xc9], "vps-sgp", PeerState::Linked)
        },
        PeerRow {
            nat_type: NatType::Symmetric,
            addresses: vec![addr(103, 46440), addr(103, 54498)],
            path: Some(Path::Relayed),
            rtt_ms: Some(96.0),
            attempts: 14,
            successes: 12,
            last_seen: Some(ago(0)),
            attempt: Some(AttemptId(41)),
            ..peer([0x77, 0xc2, 0xab], "home-ber", PeerState::Linked)
        },
        PeerRow {
            nat_type: NatType::PortRestricted,
            last_seen: Some(ago(400)),
            attempt: Some(AttemptId(43)),
            attempts: 1,
            successes: 1,
            ..peer([0x8c, 0x40, 0x02], "lab-4", PeerState::Connecting)
        },
        PeerRow {
            nat_type: NatType::PortRestricted,
            path: Some(Path::Punched),
            rtt_ms: Some(34.0),
            attempts: 9,
            successes: 9,
            last_seen: Some(ago(6)),
            ..peer([0xa9, 0x93, 0x0d], "lab-3", PeerState::Suspect)
        },
        PeerRow {
            nat_type: NatType::Unknown,
            attempts: 6,
            addresses: vec![addr(140, 9000), addr(141, 9000), addr(142, 9000)],
            last_seen: Some(ago(2 * 86_400 + 4 * 3600)),
            last_failure: Some(Reason::NoAnswer { addresses: 3 }),
            next_attempt: Some(NOW.after(Duration::from_secs(48))),
            attempt: Some(AttemptId(42)),
            ..peer([0xc0, 0xff, 0xee], "old-box", PeerState::Unreachable)
        },
        PeerRow {
            attempts: 2,
            successes: 2,
            rtt_ms: Some(12.0),
            last_seen: Some(ago(75)),
            source: Source::Inbound,
            last_failure: Some(Reason::HeldOff { hold_ms: 60_000 }),
            ..peer([0xd4, 0x1d, 0x8c], "vps-lon", PeerState::HeldOff)
        },
    ]
}

fn busy_relays() -> RelaysView {
    let (nyc, sgp, lon) = (id([0x1b, 0x88, 0xf0]), id([0x5e, 0x01, 0xc9]), id([0xd4, 0x1d, 0x8c]));
    let active = ReservationRow {
        relay: nyc,
        public_addr: Some(addr(2, 33322)),
        role: RelayRole::Active,
        state: ReservationState::Suspect,
        rtt_ms: Some(81.2),
        expires: Some(NOW.after(Duration::from_millis(28_400))),
        bytes_tx: 1_229,
        bytes_rx: 3_481,
    };
    let standby = ReservationRow {
        relay: sgp,
        public_addr: Some(addr(3, 52946)),
        role: RelayRole::Standby,
        state: ReservationState::Ready,
        rtt_ms: None,
        expires: None,
        bytes_tx: 0,
        bytes_rx: 0,
    };
    RelaysView {
        reservations: vec![active, standby],
        mode: RelayMode::Network,
        served: vec![
            ServedRow {
                peer_id: id([0x77, 0xc2, 0xab]),
                public_addr: addr(1, 41_207),
                since: ago(754),
                bytes_tx: 31_400_000,
                bytes_rx: 16_700_000,
                tx_per_s: Some(18_400),
                rx_per_s: Some(912),
                dropped: 3,
            },
            ServedRow {
                peer_id: id([0xa9, 0x93, 0x0d]),
                public_addr: addr(1, 58_811),
                since: ago(1),
                bytes_tx: 0,
                bytes_rx: 1_250,
                tx_per_s: None,
                rx_per_s: None,
                dropped: 0,
            },
        ],
        served_bytes: 48_190_000,
        last_failover: Some(Failover {
            at: ago(3),
            from: lon,
            to: Some(nyc),
            gap_ms: Some(3_117),
            lost: Some(0),
        }),
    }
}

fn busy_attempts() -> AttemptsView {
    let (direct, punch, relay) = (StageKind::Direct, StageKind::Punch, StageKind::Relay);
    let nyc = Some(id([0x1b, 0x88, 0xf0]));
    let base = Attempt {
        id: AttemptId(43),
        peer_id: Some(id([0x8c, 0x40, 0x02])),
        target: Some(addr(140, 9000)),
        cause: Cause::Gossip,
        started: ago(4),
        outcome: None,
        path: None,
        elapsed_ms: None,
        stages: in_turn(
            4,
            vec![
                stage(direct, StageOutcome::Failed, 2000, Some(Reason::NoAnswer { addresses: 1 }), None),
                stage(punch, StageOutcome::Running, 0, None, nyc),
            ],
        ),
        next: None,
    };
    AttemptsView {
        live: vec![Arc::new(base.clone())],
        recent: vec![
            Arc::new(Attempt {
                id: AttemptId(42),
                peer_id: Some(id([0xc0, 0xff, 0xee])),
                cause: Cause::Cache,
                started: ago(12),
                outcome: Some(AttemptOutcome::Unreachable),
                elapsed_ms: Some(2003),
                stages: in_turn(
                    12,
                    vec![
                        stage(
                            direct,
                            StageOutcome::Failed,
                            2000,
                            Some(Reason::NoAnswer { addresses: 3 }),
                            None,
                        ),
                        stage(punch, StageOutcome::Skipped, 0, Some(Reason::NoIntermediary), None),
                        stage(relay, StageOutcome::Skipped, 0, Some(Reason::NoRelay), None),
                    ],
                ),
                next: Some(NextStep::Retry { at: NOW.after(Duration::from_secs(48)) }),
                ..base.clone()
            }),
            Arc::new(Attempt {
                id: AttemptId(41),
                peer_id: Some(id([0x77, 0xc2, 0xab])),
                cause: Cause::Operator,
                started: ago(194),
                outcome: Some(AttemptOutcome::Connected),
                path: Some(Path::Relayed),
                elapsed_ms: Some(1040),
                stages: in_turn(
                    194,
                    vec![
                        stage(direct, StageOutcome::Failed, 70, Some(Reason::Refused { addresses: 2 }), None),
                        stage(
                            punch,
                            StageOutcome::Failed,
                            910,
                            Some(Reason::Other {
                                detail: "nothing came through: symmetric with port-restricted".to_owned(),
                            }),
                            nyc,
                        ),
                        stage(relay, StageOutcome::Ok, 60, None, nyc),
                    ],
                ),
                ..base.clone()
            }),
            Arc::new(Attempt {
                id: AttemptId(40),
                peer_id: None,
                target: Some(addr(27, 9000)),
                cause: Cause::Bootstrap,
                started: ago(11_520),
                outcome: Some(AttemptOutcome::Abandoned),
                elapsed_ms: Some(31),
                stages: vec![stage(direct, StageOutcome::Skipped, 0, Some(Reason::NotNeeded), None)],
                ..base
            }),
        ],
        ended: 41,
    }
}

/// What a node says about the relayed link of [`busy`].
pub fn why() -> Why {
    let (us, nyc, ber) = (id([0x9f, 0x3a, 0x21]), id([0x1b, 0x88, 0xf0]), id([0x77, 0xc2, 0xab]));
    let line = |at_ms, who, what: &str| WhyLine { at_ms, who, what: what.to_owned() };
    Why {
        peer_id: ber,
        path: Some(Path::Relayed),
        cause: WhyCause::Unpunchable,
        nats: WhyNats { ours: NatType::PortRestricted, theirs: NatType::Symmetric },
        verdict: "Both NATs are known and cannot be punched: theirs maps per destination (symmetric), ours \
                  accepts only the exact address and port it sent to (port-restricted)."
            .to_owned(),
        confidence: Confidence {
            level: Sureness::High,
            because:
                "ours: 3 observers, same verdict: port-restricted, measured 2 min ago; theirs: as the peer says, measured 40 s ago"
                    .to_owned(),
        },
        timeline: vec![
            line(0, us, "direct skipped: their NAT filters; no mapping towards us"),
            line(0, us, "who has 77c2ab? → 7 links; 1b88f0 and 5e01c9 have it"),
            line(84, us, "punch via 1b88f0 (verified public, 81 ms)"),
            line(126, nyc, "accepted; target seen at 198.18.0.103:46440"),
            line(168, ber, "sent 5 probes to 198.18.0.101:9000, heard nothing"),
            line(912, us, "heard nothing on 46440"),
            line(1_040, us, "relay at 1b88f0, nonce back in 41 ms"),
        ],
        evidence: vec![
            "their mapping: 2 observers, 2 ports (46440, 54498), measured 40 s ago".to_owned(),
            "our filtering: dial-back from 5e01c9 dropped, measured 2 min ago".to_owned(),
        ],
        would_help: vec![
            "IPv6 on both sides".to_owned(),
            "UPnP on theirs".to_owned(),
            "a full-cone router on either".to_owned(),
        ],
        next: vec![NextAction::NatProbe, NextAction::Failover],
        facts: facts(ber, nyc),
    }
}

fn facts(ber: PeerId, nyc: PeerId) -> Vec<WhyFact> {
    let fact = |name: &str, value: Option<&str>, provenance, by, at| WhyFact {
        name: name.to_owned(),
        value: value.map(str::to_owned),
        provenance,
        by,
        at,
    };
    let (measured, claimed) = (Provenance::Measured, Provenance::Claimed);
    vec![
        fact("name", Some("home-ber"), claimed, Some(ber), Some(ago(372))),
        fact("NAT type", Some("symmetric"), claimed, Some(ber), Some(ago(40))),
        fact("address", Some("198.18.0.103:46440, where it is seen"), claimed, Some(nyc), Some(ago(0))),
        fact("address", Some("198.18.0.103:54498, of its record"), claimed, Some(ber), Some(ago(40))),
        fact("relay address", Some("198.18.0.2:33322 on 1b88f0"), claimed, Some(ber), Some(ago(40))),
        fact("round trip", Some("96.0 ms"), measured, None, Some(ago(0))),
        fact("attempts", Some("12 of 14 connected"), measured, None, None),
        fact("success rate", Some("86 %"), Provenance::Derived, None, None),
        fact("clock", None, claimed, Some(ber), None),
    ]
}

/// A lab with a cut host, a dead node, a changed NAT and a cut wire.
pub fn lab() -> LabView {
    let node = |n: u8, name: &str, region: &str, nat: Option<(&str, NatType)>| LabNode {
        name: name.to_owned(),
        peer_id: id([n, 0, 0]),
        region: region.to_owned(),
        router: nat.map(|(name, nat)| LabRouter { name: name.to_owned(), nat, built: nat }),
        up: true,
        cut: false,
        wrong: None,
    };
    let mut nodes = vec![
        node(1, "pub-1", "east", None),
        node(2, "pub-2", "west", None),
        node(3, "full-1", "east", Some(("full", NatType::FullCone))),
        node(4, "port-1", "south", Some(("port", NatType::PortRestricted))),
        node(5, "sym-1", "west", Some(("sym", NatType::Symmetric))),
    ];
    nodes[1].cut = true;
    nodes[2].up = false;
    if let Some(router) = &mut nodes[3].router {
        router.nat = NatType::Symmetric;
    }
    let link = |a: &str, b: &str, rtt_ms, cut| LabLink {
        between: [a.to_owned(), b.to_owned()],
        rtt_ms,
        cut,
        wrong: None,
        spoilt: false,
    };
    let drill = |name: &str, about: &str| DrillInfo {
        name: name.to_owned(),
        about: about.to_owned(),
        unsupported: None,
        kills: false,
    };
    LabView {
        kind: "nat lab".to_owned(),
        shown: "sym-1".to_owned(),
        nodes,
        links: vec![link("east", "west", 20.0, false), link("east", "south", 200.0, true)],
        drills: vec![
            drill(
                "gossip_discovery",
                "Sixteen nodes behind mixed NATs, one bootstrap: every node knows every node",
            ),
            drill(
                "chaos_partition",
                "A region is cut off and healed: both sides go on, and find each other again",
            ),
        ],
        ..LabView::default()
    }
}

/// A drill in its third step of six, one check measured.
pub fn drill() -> DrillView {
    let check = |name: &str, value: Option<&str>, limit: &str| DrillCheck {
        name: name.to_owned(),
        holds: value.is_some(),
        value: value.map(str::to_owned),
        limit: limit.to_owned(),
    };
    DrillView {
        name: "chaos_partition".to_owned(),
        fleet: "nat lab".to_owned(),
        stage: DrillStage::Running {
            step: 3,
            of: 6,
            what: "wait for pub-1 and pub-2 to lose their link, at most 60 s".to_owned(),
            limit: Some(Duration::from_secs(60)),
        },
        checks: vec![
            check("time until the cut is noticed", Some("15234 ms"), "at most 21000 ms"),
            check("time from the healing until both sides are linked", None, "at most 90000 ms"),
        ],
    }
}

/// The attempts of [`busy`] over the last hour and day.
fn kpi_series() -> Vec<KpiSeries> {
    // Minutes ago, by path, in vain, and the mean time.
    let told: [(u64, [u64; 4], f64); 9] = [
        (57, [2, 0, 0, 0], 6.0),
        (55, [6, 1, 0, 0], 9.0),
        (54, [3, 2, 1, 0], 280.0),
        (40, [1, 0, 0, 0], 8.0),
        (31, [8, 2, 0, 0], 11.0),
        (30, [2, 1, 1, 1], 510.0),
        (12, [4, 2, 2, 0], 640.0),
        (3, [1, 0, 1, 0], 1040.0),
        (1, [0, 1, 0, 0], 40.0),
    ];
    let points = |part_ms: i64| {
        let mut points: Vec<KpiPoint> = Vec::new();
        for (minutes, [direct, punched, relayed, unreachable], mean) in told {
            let from = Stamp(ago(minutes * 60).0.div_euclid(part_ms) * part_ms);
            let connected = direct + punched + relayed;
            let attempts = connected + unreachable;
            let mean_connect_ms = Some(mean);
            let point = KpiPoint {
                from,
                attempts,
                connected,
                direct,
                punched,
                relayed,
                unreachable,
                mean_connect_ms,
            };
            // Times of longer parts do not matter here.
            match points.last_mut().filter(|last| last.from == from) {
                Some(last) => {
                    last.attempts += attempts;
                    last.connected += connected;
                    last.direct += direct;
                    last.punched += punched;
                    last.relayed += relayed;
                    last.unreachable += unreachable;
                }
                None => points.push(point),
            }
        }
        points
    };
    let lengths = [10_000, 60_000, 1_440_000];
    lengths.map(|part_ms| KpiSeries { part_ms: part_ms as u64, parts: 60, points: points(part_ms) }).into()
}

/// What happened before the moment of [`busy`].
pub fn events() -> Vec<Arc<Event>> {
    let (nyc, lab3, lab4) = (id([0x1b, 0x88, 0xf0]), id([0xa9, 0x93, 0x0d]), id([0x8c, 0x40, 0x02]));
    let list = [
        (90_000, None, EventKind::GossipSync { sent: 9, received: 10, new: 1 }),
        (60_000, Some(nyc), EventKind::PeerAdded { from: Some(lab3) }),
        (3_117, Some(lab4), EventKind::AttemptStarted { attempt: AttemptId(43), cause: Cause::Gossip }),
        (
            3_110,
            Some(lab4),
            EventKind::StageStarted { attempt: AttemptId(43), stage: StageKind::Direct, via: None },
        ),
        (
            1_110,
            Some(lab4),
            EventKind::StageEnded {
                attempt: AttemptId(43),
                stage: StageKind::Direct,
                outcome: StageOutcome::Failed,
                reason: Some(Reason::NoAnswer { addresses: 1 }),
                elapsed_ms: 2000,
            },
        ),
        (900, Some(lab3), EventKind::LinkSuspect { missed: 1 }),
        (
            700,
            Some(id([0xd4, 0x1d, 0x8c])),
            EventKind::LinkDown { reason: Reason::HeartbeatsMissed { missed: 3 } },
        ),
        (
            120,
            Some(nyc),
            EventKind::LinkUp { path: Path::Direct, remote_addr: addr(27, 9000), outbound: true },
        ),
    ];
    list.into_iter()
        .zip(1..)
        .map(|((ms, peer_id, kind), seq)| {
            Arc::new(Event { seq, at: NOW.before(Duration::from_millis(ms)), peer_id, kind })
        })
        .collect()
}
