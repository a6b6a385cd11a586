//! Links over relays between real nodes: made, handed over, survived, left.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use punchdeck::model::{
    Command, Done, EventKind, LinkReport, Outcome, Path, PeerId, PeerState, RelayRole, ReservationState,
    Snapshot, StageKind, StageOutcome,
};
use tempfile::TempDir;

use super::binary::Process;
use super::support::{TestNode, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("a_link_over_a_relay_is_shown_as_such_at_both_ends", relayed_link),
        trial("test_relay_auto_failover_on_relay_death", relay_death),
        trial("a_failover_that_is_asked_for_loses_nothing_and_is_quick", forced_failover),
        trial("test_relay_upgrade_to_direct_in_background", upgrade),
    ]
}

/// Relays as processes, so that one can be killed, and two nodes that dial
/// nobody else.
struct Bench {
    relays: Vec<(Process, std::net::SocketAddr, TempDir)>,
    near: TestNode,
    far: TestNode,
}

impl Bench {
    async fn start() -> Self {
        let mut relays = Vec::new();
        for _ in 0..3 {
            let dir = tempfile::tempdir().unwrap();
            let mut process = Process::node(&dir.path().join("data"));
            let (addr, _) = process.started().await;
            relays.push((process, addr, dir));
        }
        let all: Vec<_> = relays.iter().map(|(_, addr, _)| *addr).collect();
        let passive = |name| TestNode::with(name, &all, |options| options.passive = true);
        let (near, far) = (passive("near").await, passive("far").await);
        for (node, other) in [(&near, far.id()), (&far, near.id())] {
            // A connection is not a link yet: it is one after both have said hello.
            let linked = |s: &Snapshot| s.peers.iter().filter(|p| p.state == PeerState::Linked).count();
            let ready = |s: &Snapshot| linked(s) >= 3 && s.peers.iter().any(|p| p.peer_id == other);
            node.until("relays and the other node", ready).await;
        }
        Self { relays, near, far }
    }

    /// Links both over a relay.
    async fn link(&self) -> LinkReport {
        let outcome = self.near.command(Command::Relay { peer: self.far.id() }).await;
        let Ok(Done::Staged(report)) = &outcome.result else { panic!("{outcome:?}") };
        for (node, other) in [(&self.near, self.far.id()), (&self.far, self.near.id())] {
            let relayed = |s: &Snapshot| {
                s.links.iter().any(|l| l.peer_id == other && l.path == Path::Relayed && l.via.is_some())
            };
            node.until("relayed link", relayed).await;
        }
        report.clone()
    }

    /// Waits until the near end holds two reservations that answer.
    async fn standby(&self) {
        let ready = |s: &Snapshot| {
            s.relays.reservations.len() == 2
                && s.relays.reservations.iter().all(|r| r.state == ReservationState::Ready)
        };
        self.near.until("standby", ready).await;
        let near = self.near.id();
        let told = |s: &Snapshot| s.peers.iter().any(|p| p.peer_id == near);
        self.far.until("word of it", told).await;
    }

    fn via(&self) -> Option<PeerId> {
        self.near.link(self.far.id())?.via
    }

    async fn kill(&mut self, relay: PeerId) {
        let at = self.near.link(relay).unwrap().remote_addr;
        let at = self.relays.iter().position(|(_, addr, _)| *addr == at).unwrap();
        self.relays.remove(at).0.kill().await;
    }
}

fn stage(report: &LinkReport, stage: StageKind) -> StageOutcome {
    report.stages.iter().find(|s| s.stage == stage).unwrap().outcome
}

async fn relayed_link() {
    let bench = Bench::start().await;
    let report = bench.link().await;
    assert_eq!(report.path, Some(Path::Relayed));
    assert!(report.stages.iter().all(|s| s.stage == StageKind::Relay), "of that stage alone: {report:?}");
    assert_eq!(stage(&report, StageKind::Relay), StageOutcome::Ok);
    let (near, far) = (bench.near.link(bench.far.id()).unwrap(), bench.far.link(bench.near.id()).unwrap());
    assert_eq!((near.via, near.via.is_some()), (far.via, true), "both name the relay");
    assert!(!near.outbound && far.outbound, "who was invited dials");
    let held = bench.near.snapshot().relays.reservations.clone();
    assert_eq!((held[0].role, Some(held[0].relay)), (RelayRole::Active, near.via));
    let counted = |s: &Snapshot| {
        let held = &s.relays.reservations;
        held.first().is_some_and(|r| r.bytes_tx > 0 && r.bytes_rx > 0 && r.rtt_ms.is_some())
    };
    bench.near.until("bytes over the reservation", counted).await;
    let direct = bench.near.link(near.via.unwrap()).unwrap();
    assert_eq!(direct.path, Path::Direct, "the relay itself is linked directly");
}

async fn relay_death() {
    let mut bench = Bench::start().await;
    bench.link().await;
    bench.standby().await;
    let (near, far, dead) = (bench.near.id(), bench.far.id(), bench.via().unwrap());
    let killed = Instant::now();
    bench.kill(dead).await;
    let elsewhere = move |peer: PeerId| {
        move |s: &Snapshot| {
            s.links.iter().any(|l| l.peer_id == peer && l.path == Path::Relayed && l.via != Some(dead))
        }
    };
    bench.far.until("another relay", elsewhere(near)).await;
    bench.near.until("another relay", elsewhere(far)).await;
    let outcome = bench.near.command(Command::Sync { peer: Some(far) }).await;
    assert!(matches!(&outcome.result, Ok(Done::Synced(r)) if r.peers_synced == 1), "{outcome:?}");
    // Three seconds are the target, which a drill measures.
    assert!(killed.elapsed() < Duration::from_secs(6), "{:?}", killed.elapsed());
    let over = |s: &Snapshot| {
        let failover = s.relays.last_failover.as_ref();
        failover.is_some_and(|f| f.from == dead && f.gap_ms.is_some() && f.lost == Some(0))
    };
    bench.near.until("a failover that is over", over).await;
    // A link may notice before the reservation does.
    let gone = |s: &Snapshot| s.relays.reservations.iter().all(|r| r.relay != dead);
    bench.near.until("the end of the reservation", gone).await;
    bench.standby().await;
    assert!(gone(&bench.near.snapshot()), "a new standby");
    let dialled = |s: &Snapshot, peer| {
        let all = s.attempts.live.iter().chain(&s.attempts.recent);
        all.filter(|a| a.peer_id == Some(peer)).count()
    };
    assert_eq!(dialled(&bench.far.snapshot(), near), 0, "no ladder was run for it");
    assert_eq!(dialled(&bench.near.snapshot(), far), 1, "but for the first");
}

async fn forced_failover() {
    let mut bench = Bench::start().await;
    bench.link().await;
    bench.standby().await;
    let (near, far, before) = (bench.near.id(), bench.far.id(), bench.via());
    let outcome: std::sync::Arc<Outcome> = bench.near.command(Command::Failover { peer: None }).await;
    let Ok(Done::FailedOver(over)) = &outcome.result else { panic!("{outcome:?}") };
    assert_eq!((Some(over.from), over.lost), (before, Some(0)));
    assert!(over.to.is_some() && over.to != before);
    bench
        .near
        .until("the other relay", |s| s.links.iter().any(|l| l.peer_id == far && l.via == over.to))
        .await;
    let moved = bench.far.event_named("link.moved", near).await;
    let EventKind::LinkMoved { from: Path::Relayed, to: Path::Relayed, via, .. } = moved else {
        panic!("{moved:?}")
    };
    assert_eq!(via, over.to, "the relay that it runs over now");
    let outcome = bench.near.command(Command::Sync { peer: Some(far) }).await;
    assert!(outcome.result.is_ok(), "{outcome:?}");
}

async fn upgrade() {
    let mut bench = Bench::start().await;
    bench.link().await;
    let (near, far) = (bench.near.id(), bench.far.id());
    // Nothing forbids the direct path here; five seconds later it is tried.
    let moved = bench.far.event_named("link.moved", near).await;
    assert!(matches!(moved, EventKind::LinkMoved { from: Path::Relayed, to: Path::Direct, .. }), "{moved:?}");
    let direct =
        |peer| move |s: &Snapshot| s.links.iter().any(|l| l.peer_id == peer && l.path == Path::Direct);
    bench.far.until("direct path", direct(near)).await;
    bench.near.until("direct path", direct(far)).await;
    let outcome = bench.near.command(Command::Sync { peer: Some(far) }).await;
    assert!(outcome.result.is_ok(), "{outcome:?}");
}
