//! Links: dialling, both ends dialling at once, foreign peers, commands.

use std::net::SocketAddr;
use std::time::Duration;

use libtest_mimic::Trial;
use punchdeck::model::{
    CloseCode, Command, Done, EventKind, Path, PeerState, Phase, Reason, StageKind, StageOutcome,
};

use super::hostile::peer::Stock;
use super::support::{TestNode, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("both_ends_show_the_same_path_and_each_others_name", same_path_and_name),
        trial("both_ends_dialling_at_once_end_in_one_link", both_dial_at_once),
        trial("a_dial_to_nobody_says_that_nobody_answered", nobody_answers),
        trial("our_own_address_in_the_list_is_ignored", own_address),
        trial("a_stock_node_is_kept_as_foreign", stock_node_is_foreign),
        trial("disconnect_holds_automatic_dials_off_both_ways_and_connect_lifts_it", disconnect_and_connect),
        trial("a_punch_on_loopback_says_why_it_cannot", punch_on_loopback),
        trial("a_failover_without_relay_says_so", failover_without_relay),
        trial("a_node_that_vanishes_is_dialled_again_when_it_returns", reconnect),
        trial("a_leaving_node_says_goodbye_and_is_forgotten", leave),
    ]
}

async fn pair() -> (TestNode, TestNode) {
    let a = TestNode::start("a", &[]).await;
    let b = TestNode::start("b", &[a.addr()]).await;
    a.until_linked(b.id()).await;
    b.until_linked(a.id()).await;
    (a, b)
}

async fn same_path_and_name() {
    let (a, b) = pair().await;
    let (ab, ba) = (a.link(b.id()).unwrap(), b.link(a.id()).unwrap());
    assert_eq!((ab.path, ba.path), (Path::Direct, Path::Direct));
    assert_eq!((ab.outbound, ba.outbound), (false, true));
    assert_eq!(ab.observed, Some(a.addr()));
    a.until("name and round trip", |s| {
        s.peers.iter().any(|p| p.name.as_deref() == Some("b") && p.rtt_ms.is_some())
    })
    .await;
    let row = b.peer(a.id()).unwrap();
    assert_eq!((row.attempts, row.successes, row.state), (1, 1, PeerState::Linked));
    assert_eq!(a.peer(b.id()).unwrap().attempts, 0, "an attempt is counted once, by the dialler");
}

async fn both_dial_at_once() {
    for _ in 0..5 {
        let (here, there) = ([free_port()], [free_port()]);
        let (a, b) = tokio::join!(
            TestNode::with("a", &there, |o| o.bind = here[0]),
            TestNode::with("b", &here, |o| o.bind = there[0]),
        );
        a.until_linked(b.id()).await;
        b.until_linked(a.id()).await;
        // They settle on one connection, and talk over it.
        let outcome = a.command(Command::Sync { peer: Some(b.id()) }).await;
        assert!(matches!(&outcome.result, Ok(Done::Synced(r)) if r.peers_synced == 1), "{outcome:?}");
        assert_eq!(a.snapshot().links.len(), 1);
        assert_eq!(b.snapshot().links.len(), 1);
        assert_ne!(a.link(b.id()).unwrap().outbound, b.link(a.id()).unwrap().outbound, "one of them dialled");
    }
}

/// A port that was free a moment ago.
fn free_port() -> SocketAddr {
    std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

async fn nobody_answers() {
    let gone = free_port();
    let mut node = TestNode::start("node", &[gone]).await;
    let reason = node
        .event("stage.ended", |e| match &e.kind {
            EventKind::StageEnded {
                stage: StageKind::Direct, outcome: StageOutcome::Failed, reason, ..
            } => reason.clone(),
            _ => None,
        })
        .await;
    assert_eq!(reason, Reason::NoAnswer { addresses: 1 });
    node.event("node.isolated", |e| matches!(e.kind, EventKind::NodeIsolated { .. }).then_some(())).await;
    let kpi = node.until("kpi", |s| s.kpi.figures.attempts == 1).await.kpi.figures.clone();
    assert_eq!((kpi.connected, kpi.unreachable, kpi.rate), (0, 1, Some(0.0)));
}

async fn own_address() {
    let port = free_port();
    let node = TestNode::with("node", &[port], |o| o.bind = port).await;
    let snapshot = node.until("nothing to dial", |s| s.node.phase == Phase::NothingToDial).await;
    assert!(snapshot.peers.is_empty() && snapshot.links.is_empty());
    assert_eq!((snapshot.attempts.ended, snapshot.attempts.live.len()), (0, 0), "it was not even dialled");
}

async fn stock_node_is_foreign() {
    let mut node = TestNode::start("node", &[]).await;
    let stranger = Stock::start().await;
    let connection = stranger.dial(&node).await;
    node.event_named("peer.foreign", stranger.id()).await;
    let row = node.until("foreign row", |s| s.peers.iter().any(|p| p.state == PeerState::Foreign)).await;
    assert!(row.links[0].foreign);
    assert!(connection.close_reason().is_none(), "it is kept");
    let outcome = node.command(Command::Sync { peer: Some(stranger.id()) }).await;
    assert_eq!(outcome.result.as_ref().unwrap_err().reason, Reason::NotLinked);
}

async fn disconnect_and_connect() {
    let (a, mut b) = pair().await;
    let outcome = a.command(Command::Disconnect { peer: b.id() }).await;
    assert!(outcome.result.is_ok(), "{outcome:?}");
    let down = b.event_named("link.down", a.id()).await;
    assert_eq!(down, EventKind::LinkDown { reason: Reason::Closed { close: Some(CloseCode::HoldOff) } });
    for (node, peer) in [(&a, b.id()), (&b, a.id())] {
        node.until("held off", |s| {
            s.peers.iter().any(|p| p.peer_id == peer && p.state == PeerState::HeldOff)
        })
        .await;
        let row = node.peer(peer).unwrap();
        let wait = row.next_attempt.unwrap().0 - node.snapshot().at.0;
        assert!((50_000..=60_000).contains(&wait), "{wait} ms");
    }
    // The other end respects it too, but an operator on this end may lift it.
    let outcome = a.command(Command::Connect { peer: b.id() }).await;
    let Ok(Done::Connected(report)) = &outcome.result else { panic!("{outcome:?}") };
    assert_eq!((report.path, report.stages.len()), (Some(Path::Direct), 1));
    let again = a.command(Command::Connect { peer: b.id() }).await;
    let Ok(Done::Connected(report)) = &again.result else { panic!("{again:?}") };
    assert!(report.stages.is_empty(), "an existing link answers at once");
}

async fn punch_on_loopback() {
    let (a, b) = pair().await;
    let linked = a.command(Command::Punch { peer: b.id() }).await;
    let Ok(Done::NothingToDo(report)) = &linked.result else { panic!("{linked:?}") };
    assert_eq!((report.before, report.path), (Some(Path::Direct), Some(Path::Direct)));
    assert!(linked.to_string().contains("on loopback there is no NAT to punch"), "{linked}");
    a.command(Command::Disconnect { peer: b.id() }).await;
    a.until("no link", |s| s.links.is_empty()).await;
    let alone = a.command(Command::Punch { peer: b.id() }).await;
    let failure = alone.result.as_ref().unwrap_err();
    assert_eq!(failure.reason, Reason::LoopbackCannotBePunched);
    let stages = &failure.report.as_ref().unwrap().stages;
    assert!(stages.iter().all(|s| s.outcome == StageOutcome::Skipped), "{stages:?}");
}

async fn failover_without_relay() {
    let (a, b) = pair().await;
    let outcome = a.command(Command::Failover { peer: Some(b.id()) }).await;
    assert_eq!(outcome.result.as_ref().unwrap_err().reason, Reason::NoRelayInUse);
}

async fn reconnect() {
    let a = TestNode::start("a", &[]).await;
    let mut b = TestNode::start("b", &[a.addr()]).await;
    b.until_linked(a.id()).await;
    let (a_id, a_addr) = (a.id(), a.addr());
    let a = a.restart(|o| o.bind = a_addr).await;
    assert_eq!(a.id(), a_id, "the identity is stable");
    b.event_named("link.down", a_id).await;
    b.event_named("link.up", a_id).await;
    a.until_linked(b.id()).await;
}

async fn leave() {
    let (a, mut b) = pair().await;
    let a_id = a.id();
    let outcome = a.command(Command::Leave).await;
    assert!(matches!(outcome.result, Ok(Done::Left)), "{outcome:?}");
    b.event_named("peer.left", a_id).await;
    b.until("forgotten", |s| s.peers.iter().all(|p| p.peer_id != a_id)).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
}
