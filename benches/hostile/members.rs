//! What a member gone bad can make a node pay.

use std::net::SocketAddr;
use std::time::Duration;

use punchdeck::core::limits::SERVED_UNPROVEN_BYTES;
use punchdeck::core::wire::{
    Delta, Digest, Echo, Message, PeerPrefix, PunchNotice, Record, Request, Want, WhoHas, WhyAsk,
};
use punchdeck::model::PeerId;
use punchdeck::node::keys;

use super::cost::{Done, Ground, Held, LEFT_KIB, Surface, Who, member};
use super::peer::{A_WHILE, Asked, Scripted, bystander, got};

/// What a member may make a node hold, in KiB.
const MEMBER_KIB: f64 = 4096.0;

pub fn surfaces() -> Vec<Surface> {
    let row = |what, attack, held| Surface { what, who: Who::Member, attack, held };
    let plain =
        Held { holds: Some(MEMBER_KIB), computes: Some(1.0), left: Some(LEFT_KIB), ..Held::default() };
    vec![
        row(
            "1 000 echoes of 4 KB, answers never taken",
            |ground| Box::pin(async move { unread(&ground).await }),
            Held { by: "UNACKED_MAX", ..plain },
        ),
        row(
            "1 000 questions who has whom",
            |ground| Box::pin(async move { who_has(&ground).await }),
            Held { sends: Some(1.0), by: "WHO_HAS_PER_MINUTE", ..plain },
        ),
        row(
            "1 000 questions why",
            |ground| Box::pin(async move { whys(&ground).await }),
            Held { sends: Some(1.0), by: "WHY_PER_MINUTE", ..plain },
        ),
        row(
            "9 000 invented records",
            |ground| Box::pin(async move { records(&ground).await }),
            Held { by: "INTAKE_BURST, SOURCE_SHARE_PERCENT", ..plain },
        ),
        row(
            "20 requests for everything, 1 000 records known",
            |ground| Box::pin(async move { all(&ground).await }),
            Held { computes: Some(20.0), by: "SYNC_SERVE_BURST", ..plain },
        ),
        row(
            "20 requests for one prefix 500 times, 500 records behind it",
            |ground| Box::pin(async move { prefixes(&ground).await }),
            Held { computes: Some(20.0), by: "RECORDS_SERVE_BURST", ..plain },
        ),
        row(
            "20 digests that differ, 1 000 records known",
            |ground| Box::pin(async move { digests(&ground).await }),
            Held { computes: Some(20.0), by: "DIGEST_BURST", ..plain },
        ),
        row(
            "100 notices of punches towards a bystander",
            |ground| Box::pin(async move { notices(&ground).await }),
            Held { by: "PUNCH_PER_TARGET_MINUTE", ..plain },
        ),
        row(
            "a reservation that answers one forged packet",
            |ground| Box::pin(async move { reservation(&ground).await }),
            Held { by: "SERVED_UNPROVEN_BYTES", ..plain },
        ),
        row(
            "100 connections of one identity",
            |ground| Box::pin(async move { connections(&ground).await }),
            Held { computes: Some(5.0), by: "nothing", ..plain },
        ),
        row(
            "100 identities that leave 1 MB unacknowledged and go",
            |ground| Box::pin(async move { sessions(&ground).await }),
            Held { holds: Some(64.0 * 1024.0 + MEMBER_KIB), computes: Some(500.0), by: "nothing", ..plain },
        ),
    ]
}

/// A member, and what its connection had carried when it was linked.
struct Linked {
    peer: Scripted,
    before: (u64, u64),
}

impl Linked {
    async fn on(ground: &Ground) -> Self {
        let mut peer = member(1).linked_at(ground.at).await;
        caught_up(&mut peer).await;
        let stats = peer.connection.stats();
        Self { before: (stats.udp_tx.bytes, stats.udp_rx.bytes), peer }
    }

    /// What so many messages came to.
    fn done(self, messages: u64) -> Done {
        let mut done = Done::over(&self.peer.connection, messages);
        done.sent -= self.before.0;
        done.got -= self.before.1;
        done.keeps(self.peer)
    }
}

/// Waits until all that was said is worked on, and takes all answers.
async fn caught_up(peer: &mut Scripted) {
    peer.say(Message::Echo(Echo { id: 1 << 40, payload: vec![] })).await;
    peer.hear(|m| matches!(m, Message::EchoReply(e) if e.id == 1 << 40).then_some(())).await;
}

async fn unread(ground: &Ground) -> Done {
    let mut linked = Linked::on(ground).await;
    let echo = |n: u32| Message::Echo(Echo { id: n.into(), payload: vec![0; Echo::payload_max()] });
    linked.peer.takes_nothing();
    let flood = linked.peer.floods(1_000, echo);
    let _ = tokio::time::timeout(Duration::from_secs(5), flood).await;
    linked.done(1_000)
}

async fn who_has(ground: &Ground) -> Done {
    let mut linked = Linked::on(ground).await;
    linked.peer.floods(1_000, |query| Message::WhoHas(WhoHas { query, peer: PeerId([1; 32]) })).await;
    caught_up(&mut linked.peer).await;
    linked.done(1_000)
}

async fn whys(ground: &Ground) -> Done {
    let mut linked = Linked::on(ground).await;
    linked.peer.floods(1_000, |query| Message::WhyAsk(WhyAsk { query })).await;
    caught_up(&mut linked.peer).await;
    linked.done(1_000)
}

/// Invented peers, so many, whose ids begin so.
async fn invent(peer: &mut Scripted, count: u32, begin: &[u8]) {
    let record = |n: u32| {
        let mut id = [0xee; 32];
        id[..begin.len()].copy_from_slice(begin);
        id[begin.len()..][..4].copy_from_slice(&n.to_be_bytes());
        let [_, _, high, low] = n.to_be_bytes();
        let addr = SocketAddr::from(([198, 18 + (high >> 7), high, low], 3000));
        Record { name: format!("invented {n}"), addresses: vec![addr], ..Record::new(PeerId(id), 1) }
    };
    for batch in 0..count.div_ceil(30) {
        let added = (batch * 30..((batch + 1) * 30).min(count)).map(record).collect();
        peer.say(Message::Delta(Delta { added, removed: vec![] })).await;
    }
    caught_up(peer).await;
}

async fn records(ground: &Ground) -> Done {
    let mut linked = Linked::on(ground).await;
    invent(&mut linked.peer, 9_000, &[]).await;
    linked.done(9_000)
}

async fn all(ground: &Ground) -> Done {
    let mut linked = Linked::on(ground).await;
    invent(&mut linked.peer, 1_000, &[]).await;
    ask(ground, |sync| Request { sync, want: Want::All }, linked).await
}

/// Asks twenty times, from another member.
async fn ask(ground: &Ground, request: impl Fn(u32) -> Request, inventor: Linked) -> Done {
    let mut linked = Linked::on(ground).await;
    linked.peer.floods(20, |sync| Message::Request(request(sync))).await;
    caught_up(&mut linked.peer).await;
    // Answers come as they find room.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let _ = tokio::time::timeout(Duration::from_secs(2), linked.peer.hear(|_| None::<()>)).await;
    linked.done(20).keeps(inventor.peer)
}

async fn prefixes(ground: &Ground) -> Done {
    let mut linked = Linked::on(ground).await;
    invent(&mut linked.peer, 500, &[0xcc; 8]).await;
    let want = || Want::Prefixes(vec![PeerPrefix([0xcc; 8]); 500]);
    ask(ground, |sync| Request { sync, want: want() }, linked).await
}

async fn digests(ground: &Ground) -> Done {
    let mut inventor = Linked::on(ground).await;
    invent(&mut inventor.peer, 1_000, &[]).await;
    let mut linked = Linked::on(ground).await;
    linked.peer.floods(20, |round| Message::Digest(Digest { round, count: 3, hash: [1; 16] })).await;
    caught_up(&mut linked.peer).await;
    let _ = tokio::time::timeout(Duration::from_secs(2), linked.peer.hear(|_| None::<()>)).await;
    linked.done(20).keeps(inventor.peer)
}

async fn notices(ground: &Ground) -> Done {
    let mut linked = Linked::on(ground).await;
    let (third, at) = bystander([127, 0, 0, 2]).await;
    let notice = |n: u32| {
        let mut nonce = [0; 16];
        nonce[..4].copy_from_slice(&n.to_be_bytes());
        Message::PunchNotice(PunchNotice { nonce, requester: PeerId([n as u8; 32]), addresses: vec![at] })
    };
    linked.peer.floods(100, notice).await;
    caught_up(&mut linked.peer).await;
    let hit = got(&third, Duration::from_secs(4)).await;
    linked.done(100).note(format!("{hit} bytes to it"))
}

async fn reservation(ground: &Ground) -> Done {
    let mut linked = Linked::on(ground).await;
    let mut held = Asked::reservation(&linked.peer.connection).await;
    // A host that is none of the relay's: here all are, so nothing may reach it.
    let (victim, at) = bystander([127, 0, 0, 2]).await;
    let _ = victim.send_to(b"forged", held.at()).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    for _ in 0..200 {
        held.send_to(at, &[0; 1_000]).await;
    }
    let hit = got(&victim, A_WHILE).await;
    caught_up(&mut linked.peer).await;
    let verdict = if hit <= SERVED_UNPROVEN_BYTES { "in bounds" } else { "too many" };
    linked.done(200).note(format!("{hit} bytes to it, {verdict}")).keeps(held)
}

async fn connections(ground: &Ground) -> Done {
    let keys = keys::generate().unwrap_or_else(|e| panic!("{e}"));
    let peer = member(1).with_keys(keys.clone()).linked_at(ground.at).await;
    let more = member(2).with_keys(keys).stranger();
    let held = more.crowds(ground.at, 100).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let open = held.iter().filter(|c| c.close_reason().is_none()).count();
    let done = Done { messages: 100, ..Done::default() };
    done.note(format!("{open} stay open")).keeps((peer, more, held))
}

async fn sessions(ground: &Ground) -> Done {
    let mut done = Done { messages: 100, ..Done::default() };
    for n in 0..100 {
        let mut peer = member(1 + n / 10).linked_at(ground.at).await;
        let echo = |n: u32| Message::Echo(Echo { id: n.into(), payload: vec![0; Echo::payload_max()] });
        peer.takes_nothing();
        let _ = tokio::time::timeout(Duration::from_secs(3), peer.floods(280, echo)).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        let stats = peer.connection.stats();
        done.sent += stats.udp_tx.bytes;
        done.got += stats.udp_rx.bytes;
        peer.connection.close(0u32.into(), b"");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    done
}
