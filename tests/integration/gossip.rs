//! Gossip between real nodes: full sync, deltas, the digest.

use libtest_mimic::Trial;
use punchdeck::core::wire::{Delta, FullSync, Message, Record};
use punchdeck::model::{Command, Done, DropReason, NatType, PeerId, Source};

use super::hostile::peer::Scripted;
use super::support::{TestNode, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("test_full_sync_on_connect", full_sync_on_connect),
        trial("test_delta_broadcast_on_new_peer", delta_broadcast_on_new_peer),
        trial("test_delta_broadcast_on_status_change", delta_broadcast_on_status_change),
        trial("test_cache_merge_deduplication", cache_merge_deduplication),
        trial("a_sync_command_says_what_came", a_sync_command_says_what_came),
        trial("syncs_pressed_in_a_row_share_one_exchange", syncs_pressed_in_a_row_share_one_exchange),
        trial("a_sync_with_nobody_linked_says_so", a_sync_with_nobody_linked_says_so),
        trial("what_a_peer_says_of_others_never_replaces_what_they_say_themselves", hearsay_never_wins),
    ]
}

async fn full_sync_on_connect() {
    let hub = TestNode::start("hub", &[]).await;
    let first = TestNode::start("first", &[hub.addr()]).await;
    hub.until_linked(first.id()).await;
    // Whoever connects gets everything, the hub's own record included.
    let mut late = Scripted::linked(&hub).await;
    let mut heard = Vec::new();
    while heard.len() < 2 {
        let records = late
            .hear(|m| match m {
                Message::FullSync(FullSync { records, .. }) => Some(records.clone()),
                _ => None,
            })
            .await;
        heard.extend(records.into_iter().map(|r| (r.peer, r.name)));
    }
    assert!(heard.contains(&(hub.id(), "hub".to_owned())), "{heard:?}");
    assert!(heard.contains(&(first.id(), "first".to_owned())), "{heard:?}");
}

async fn delta_broadcast_on_new_peer() {
    let hub = TestNode::start("hub", &[]).await;
    let mut witness = Scripted::linked(&hub).await;
    let newcomer = TestNode::start("newcomer", &[hub.addr()]).await;
    let id = newcomer.id();
    let record = witness
        .hear(|m| match m {
            Message::Delta(Delta { added, .. }) => added.iter().find(|r| r.peer == id).cloned(),
            _ => None,
        })
        .await;
    assert_eq!(record.name, "newcomer");
    assert_eq!(record.addresses, [newcomer.addr()]);
}

async fn delta_broadcast_on_status_change() {
    let hub = TestNode::start("hub", &[]).await;
    let far = TestNode::start("far", &[hub.addr()]).await;
    far.until_linked(hub.id()).await;
    let mut changing = Scripted::linked(&hub).await;
    let id = changing.id;
    let nat = |nat| {
        move |s: &punchdeck::model::Snapshot| s.peers.iter().any(|p| p.peer_id == id && p.nat_type == nat)
    };
    changing.say(Message::Delta(Delta { added: vec![changing.record(1)], removed: vec![] })).await;
    far.until("peer", |s| s.peers.iter().any(|p| p.peer_id == id)).await;
    let changed = Record { nat: NatType::Symmetric, ..changing.record(2) };
    changing.say(Message::Delta(Delta { added: vec![changed], removed: vec![] })).await;
    far.until("NAT type by delta", nat(NatType::Symmetric)).await;
    assert!(!far.peer(id).unwrap().first_hand, "it is hearsay for who is not linked to it");
    let hub_counts = *hub.snapshot().gossip;
    assert!(hub_counts.deltas_out >= 2, "{hub_counts:?}");
}

async fn cache_merge_deduplication() {
    let hub = TestNode::start("hub", &[]).await;
    let (mut one, mut two) = (Scripted::linked(&hub).await, Scripted::linked(&hub).await);
    let subject = PeerId([0xee; 32]);
    let record = |version, port: u16| Record {
        addresses: vec![([127, 0, 0, 1], port).into()],
        ..Record::new(subject, version)
    };
    let delta = |record| Message::Delta(Delta { added: vec![record], removed: vec![] });
    one.say(delta(record(5, 2005))).await;
    two.say(delta(record(5, 2005))).await;
    two.say(delta(record(4, 2004))).await;
    one.say(delta(record(6, 2006))).await;
    hub.until("newest version", |s| s.peers.iter().any(|p| p.peer_id == subject && p.version == 6)).await;
    let snapshot = hub.snapshot();
    let rows: Vec<_> = snapshot.peers.iter().filter(|p| p.peer_id == subject).collect();
    assert_eq!(rows.len(), 1, "one peer is one row, whoever tells of it");
    assert_eq!(rows[0].addresses, [([127, 0, 0, 1], 2006).into()]);
    assert_eq!(rows[0].source, Source::Gossip);
}

async fn a_sync_command_says_what_came() {
    let hub = TestNode::start("hub", &[]).await;
    let other = TestNode::start("other", &[hub.addr()]).await;
    other.until_linked(hub.id()).await;
    let outcome = other.command(Command::Sync { peer: Some(hub.id()) }).await;
    let Ok(Done::Synced(report)) = &outcome.result else { panic!("{outcome:?}") };
    assert_eq!((report.peers_synced, report.peers_asked), (1, 1));
    assert!(report.records_received >= 1 && report.records_sent >= 1, "{report:?}");
    assert!(report.elapsed_ms < 3_000);
    let all = other.command(Command::Sync { peer: None }).await;
    assert!(matches!(&all.result, Ok(Done::Synced(r)) if r.peers_synced == 1), "{all:?}");
}

async fn syncs_pressed_in_a_row_share_one_exchange() {
    let hub = TestNode::start("hub", &[]).await;
    let other = TestNode::start("other", &[hub.addr()]).await;
    other.until_linked(hub.id()).await;
    let before = hub.snapshot().gossip.syncs_out;
    let many = (0..20).map(|_| other.command(Command::Sync { peer: Some(hub.id()) }));
    let outcomes = futures_util::future::join_all(many).await;
    assert!(outcomes.iter().all(|o| o.result.is_ok()));
    let served = hub.until("sync count", |s| s.gossip.syncs_out > before).await.gossip.syncs_out - before;
    assert!(served <= 3, "{served} exchanges for twenty presses");
}

async fn a_sync_with_nobody_linked_says_so() {
    let alone = TestNode::start("alone", &[]).await;
    let outcome = alone.command(Command::Sync { peer: None }).await;
    assert_eq!(outcome.to_string(), "sync: no links");
}

async fn hearsay_never_wins() {
    let hub = TestNode::start("hub", &[]).await;
    let subject = TestNode::start("subject", &[hub.addr()]).await;
    hub.until_linked(subject.id()).await;
    let id = subject.id();
    hub.until("its own record", |s| s.peers.iter().any(|p| p.peer_id == id && p.version > 0)).await;
    let mut liar = Scripted::linked(&hub).await;
    let forged = Record { name: "forged".into(), ..Record::new(id, 1 << 20) };
    liar.say(Message::Delta(Delta { added: vec![forged.clone()], removed: vec![] })).await;
    hub.until_counted(DropReason::RecordForged).await;
    assert_eq!(hub.peer(id).unwrap().name.as_deref(), Some("subject"));
    // Nor once it has left, when nobody else can say better.
    let _ = subject.command(Command::Leave).await;
    hub.until("forgotten", |s| s.peers.iter().all(|p| p.peer_id != id)).await;
    liar.say(Message::Delta(Delta { added: vec![forged], removed: vec![] })).await;
    hub.until_counted(DropReason::RecordGone).await;
    assert!(hub.peer(id).is_none());
}
