//! The relay service: what strangers and members have a node send for them, and
//! what not.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use ant_quic::VarInt;
use ant_quic::masque::ConnectUdpRequest;
use libtest_mimic::Trial;
use punchdeck::core::limits::{SERVED_MAX, SERVED_UNPROVEN_BYTES};
use tokio::net::UdpSocket;

use super::peer::{A_WHILE, Asked, Scripted, Stranger, bystander, got, is_hit};
use super::{closed, closed_beside_stock};
use crate::support::{TestNode, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("a_stranger_gets_no_reservation", stranger),
        trial("a_stock_node_gets_no_reservation", stock),
        trial("nobody_has_a_node_send_to_an_address_of_his_choice", targeted),
        trial("a_reservation_sends_to_nobody_who_did_not_send_first", unasked),
        trial("a_reservation_never_reaches_the_host_of_its_relay", own_host),
        trial("a_single_packet_perhaps_forged_opens_eight_kibibytes_and_no_more", forged),
        trial("a_reservation_does_not_outlive_its_link", outlived),
        trial("a_newer_reservation_of_the_same_peer_replaces_the_older_at_once", replaced),
        trial("sixty_four_reservations_are_all", crowd),
    ]
}

async fn stranger() {
    for node in [closed("closed", &[]).await, TestNode::start("open", &[]).await] {
        let stranger = Stranger::start().await;
        let connection = stranger.dial(&node).await;
        let asked = Asked::on(&connection, ConnectUdpRequest::bind_any()).await;
        assert_eq!((asked.status, asked.public), (403, None));
    }
}

async fn stock() {
    let (node, stock) = closed_beside_stock("node").await;
    let connection = stock.dial(&node).await;
    let asked = Asked::on(&connection, ConnectUdpRequest::bind_any()).await;
    assert_eq!((asked.status, asked.public), (403, None));
}

async fn targeted() {
    let node = TestNode::start("node", &[]).await;
    let member = Scripted::linked(&node).await;
    let (victim, at) = bystander([127, 0, 0, 2]).await;
    let mut asked = Asked::on(&member.connection, ConnectUdpRequest::target(at)).await;
    assert!(asked.status >= 400, "{}", asked.status);
    asked.raw(b"\0whatever").await;
    assert!(!is_hit(&victim, A_WHILE).await);
}

async fn unasked() {
    let node = TestNode::start("node", &[]).await;
    let member = Scripted::linked(&node).await;
    let mut held = Asked::reservation(&member.connection).await;
    let (victim, at) = bystander([127, 0, 0, 2]).await;
    let beside = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    for to in [at, beside.local_addr().unwrap(), node.addr()] {
        held.send_to(to, b"whatever").await;
    }
    assert!(
        !is_hit(&victim, A_WHILE).await && !is_hit(&beside, A_WHILE).await,
        "neither another host nor a port of its own"
    );
    // One that sends is answered, at the very port from which it sent.
    beside.send_to(b"hello", held.at()).await.unwrap();
    let (from, hello) = held.heard().await;
    assert_eq!((from.port(), &hello[..]), (beside.local_addr().unwrap().port(), &b"hello"[..]));
    held.send_to(from, b"answer").await;
    assert!(is_hit(&beside, A_WHILE).await);
    let other = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    held.send_to(other.local_addr().unwrap(), b"whatever").await;
    assert!(!is_hit(&other, A_WHILE).await, "another port of the same host did not send");
    let served = node.until("dropped datagrams", |s| s.relays.served.iter().any(|r| r.dropped >= 3)).await;
    assert_eq!(served.relays.served[0].peer_id, member.id);
}

async fn own_host() {
    let node = TestNode::with("node", &[], |o| o.bind = (Ipv4Addr::UNSPECIFIED, 0).into()).await;
    let at = (Ipv4Addr::LOCALHOST, node.addr().port()).into();
    let member = Scripted::linked_at(at).await;
    node.until_linked(member.id).await;
    let mut held = Asked::reservation(&member.connection).await;
    // Even a service of that host that spoke first.
    for ip in [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 9)] {
        let service = UdpSocket::bind((ip, 0)).await.unwrap();
        service.send_to(b"hello", held.at()).await.unwrap();
        held.send_to(service.local_addr().unwrap(), b"whatever").await;
        assert!(!is_hit(&service, A_WHILE).await, "{ip}");
    }
}

async fn forged() {
    let node = TestNode::start("node", &[]).await;
    let member = Scripted::linked(&node).await;
    let mut held = Asked::reservation(&member.connection).await;
    // A packet in its name is all that it ever sends.
    let (victim, at) = bystander([127, 0, 0, 2]).await;
    victim.send_to(b"forged", held.at()).await.unwrap();
    held.heard().await;
    let payload = [0; 1000];
    for _ in 0..50 {
        held.send_to(at, &payload).await;
    }
    let got = got(&victim, A_WHILE).await;
    assert!((1..=SERVED_UNPROVEN_BYTES).contains(&got), "{got} bytes");
    // Who answers is no forgery.
    victim.send_to(b"I want this", held.at()).await.unwrap();
    held.heard().await;
    held.send_to(at, &payload).await;
    assert!(is_hit(&victim, A_WHILE).await);
}

async fn outlived() {
    let node = TestNode::start("node", &[]).await;
    let member = Scripted::linked(&node).await;
    let held = Asked::reservation(&member.connection).await;
    let at = held.at();
    let begun = Instant::now();
    member.connection.close(VarInt::from_u32(0), b"");
    while UdpSocket::bind(at).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(3), "it stands");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    node.until("nobody served", |s| s.relays.served.is_empty()).await;
}

async fn replaced() {
    let node = TestNode::start("node", &[]).await;
    let member = Scripted::linked(&node).await;
    let mut old = Asked::reservation(&member.connection).await;
    let begun = Instant::now();
    let new = Asked::reservation(&member.connection).await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_ne!(old.at(), new.at());
    old.ended().await;
    let served = node.until("one row", |s| s.relays.served.len() == 1).await;
    assert_eq!(served.relays.served[0].public_addr.port(), new.at().port());
}

async fn crowd() {
    let node = TestNode::start("node", &[]).await;
    let (mut members, mut granted) = (Vec::new(), 0);
    for n in 0..=SERVED_MAX {
        let member = Scripted::linked(&node).await.stays();
        let asked = Asked::on(&member, ConnectUdpRequest::bind_any()).await;
        match asked.status {
            200 => granted += 1,
            503 => assert_eq!(n, SERVED_MAX),
            other => panic!("{other}"),
        }
        members.push((member, asked));
    }
    assert_eq!(granted, SERVED_MAX);
}
