//! The node's test of itself, on a host that confines nothing: what it finds is
//! what the library does today.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use libtest_mimic::Trial;
use punchdeck::model::{EventKind, Evidence, ExposureState, Reason, Snapshot};

use super::support::{TestNode, ignored, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("a_plain_node_finds_its_relay_and_its_coordinator_open", plain),
        if UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
            trial("a_node_on_all_addresses_finds_its_relay_open_in_both_families", wildcard)
        } else {
            ignored("a_node_on_all_addresses_finds_its_relay_open_in_both_families", "no IPv6 here")
        },
        trial("who_tests_a_node_is_no_peer_of_it", no_peer),
        trial("a_node_that_is_told_not_to_test_itself_says_so", off),
    ]
}

fn is_tested(snapshot: &Snapshot) -> bool {
    snapshot.node.relay_egress.tested.is_some()
}

fn arrived(snapshot: &Snapshot) -> &[IpAddr] {
    match &snapshot.node.relay_egress.evidence {
        Evidence::Arrived { at } => at,
        other => panic!("{other}"),
    }
}

async fn plain() {
    let mut node = TestNode::start("node", &[]).await;
    let shown = node.until("self-test", is_tested).await;
    assert_eq!(shown.node.relay_egress.state, ExposureState::Open);
    assert!(arrived(&shown).contains(&Ipv4Addr::LOCALHOST.into()));
    assert_eq!(shown.node.coordinator.state, ExposureState::Open);
    assert_eq!(shown.node.coordinator.evidence, Evidence::PassedOn);

    let told =
        node.event("relay.egress", |e| (e.kind.name() == "relay.egress").then(|| e.kind.clone())).await;
    assert!(told.is_trouble() && told.to_string().starts_with("open: "), "{told}");
    let told = node
        .event("coordinator", |e| matches!(e.kind, EventKind::Coordinator { .. }).then(|| e.kind.clone()));
    assert!(told.await.is_trouble());
}

async fn wildcard() {
    let bind = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    let node = TestNode::with("node", &[], |o| o.bind = bind).await;
    let shown = node.until("self-test", is_tested).await;
    let at = arrived(&shown);
    assert!(at.contains(&Ipv4Addr::LOCALHOST.into()) && at.contains(&Ipv6Addr::LOCALHOST.into()), "{at:?}");
}

async fn no_peer() {
    let node = TestNode::start("node", &[]).await;
    node.until("self-test", is_tested).await;
    // Connections are counted again, with what the relay serves, every 5 s.
    let shown = node.until("count", |s| s.relays.serving_sessions.is_some()).await;
    assert!(shown.peers.is_empty() && shown.links.is_empty(), "{shown:#?}");
    assert_eq!(shown.node.cache.known, 0);
    assert_eq!(shown.relays.serving_sessions, Some(0), "its session is given back");
    let again = node.restart(|_| {}).await;
    assert_eq!(again.snapshot().node.cache.known, 0, "nor is it on disk");
}

async fn off() {
    let node = TestNode::with("node", &[], |o| o.self_test = false).await;
    let not_asked = Evidence::NotMeasured { reason: Reason::NotAsked };
    let shown = node.until("no test", |s| s.node.relay_egress.evidence == not_asked).await;
    assert_eq!(shown.node.relay_egress.state, ExposureState::Unknown);
}
