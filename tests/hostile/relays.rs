//! Peers that misuse relays: invitations, records and lanes that lead to hosts
//! that are no relay, to other peers, or anew every moment.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use punchdeck::core::limits::{
    HANDOVERS_BURST, PUNCH_PER_REQUESTER_BURST, PUNCH_PER_TARGET_MINUTE, RECORD_RELAYS_MAX,
};
use punchdeck::core::wire::{Delta, Invite, InviteNotice, Message, Record, Refusal, RelayAddr};
use punchdeck::model::{Command, DropReason, PeerId, Reason, StageKind};
use punchdeck::node::lanes::Reservation;

use super::peer::{A_WHILE, Scripted, bystander, is_hit};
use super::punches::accepted;
use crate::lanes::End;
use crate::support::{PATIENCE, TestNode, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("an_invitation_to_a_relay_nobody_knows_is_not_passed_on", unknown_relay_at_intermediary),
        trial("an_invitation_to_a_relay_nobody_knows_is_not_followed", unknown_relay_at_target),
        trial("a_flood_of_invitations_is_cut_like_one_of_punches", invite_flood),
        trial("a_flood_of_invitation_notices_makes_a_target_dial_twelve_times", invite_notice_flood),
        trial("a_record_that_claims_a_relay_nobody_knows_aims_nobody_there", unknown_relay_in_record),
        trial("a_relay_known_by_hearsay_alone_is_not_dialled_because_of_gossip", hearsay_relay),
        trial("a_record_claims_four_relays_at_most_and_none_at_a_service", padded_record),
        trial("an_impostor_on_a_lane_becomes_no_link_and_is_counted", impostor),
        trial("invited_to_one_peer_again_and_again_a_node_dials_three_times", handovers),
    ]
}

/// Who is nowhere.
const NOBODY: PeerId = PeerId([9; 32]);

fn nonce(n: u8) -> [u8; 16] {
    [n; 16]
}

/// A node with a relay that it knows, and a peer gone bad; the node dials
/// nobody by itself.
struct Scene {
    relay: TestNode,
    node: TestNode,
    peer: Scripted,
}

impl Scene {
    async fn start() -> Self {
        let relay = TestNode::start("relay", &[]).await;
        let node = TestNode::with("node", &[relay.addr()], |o| o.passive = true).await;
        node.until_linked(relay.id()).await;
        let peer = Scripted::linked(&node).await;
        Self { relay, node, peer }
    }

    fn at(&self, addr: SocketAddr) -> RelayAddr {
        RelayAddr { relay: self.relay.id(), addr }
    }

    /// Tells the node that somebody invites it, as if we were asked to.
    async fn invite(&mut self, n: u8, requester: PeerId, relay: RelayAddr) -> bool {
        let notice = InviteNotice { nonce: nonce(n), requester, relay };
        self.peer.say(Message::InviteNotice(notice)).await;
        accepted(&mut self.peer, nonce(n)).await
    }

    /// Spreads a record of somebody.
    async fn claim(&mut self, version: u64, relays: Vec<RelayAddr>) {
        let addresses = vec![([198, 18, 0, 1], 3000).into()];
        let record = Record { addresses, relays, ..Record::new(NOBODY, version) };
        self.peer.say(Message::Delta(Delta { added: vec![record], removed: vec![] })).await;
        let heard = move |s: &punchdeck::model::Snapshot| {
            s.peers.iter().any(|p| p.peer_id == NOBODY && p.version == version)
        };
        self.node.until("record", heard).await;
    }

    /// The node tries the relays that it heard of; why nothing came of it.
    async fn try_relays(&self) -> Reason {
        let outcome = self.node.command(Command::Relay { peer: NOBODY }).await;
        let failure = outcome.result.as_ref().unwrap_err();
        let stages = &failure.report.as_ref().unwrap().stages;
        stages.iter().find(|s| s.stage == StageKind::Relay).unwrap().reason.clone().unwrap()
    }

    async fn until_counted(&self, name: DropReason, count: u64) {
        self.node.until(name.words(), |s| s.counters.0.get(&name) == Some(&count)).await;
    }
}

async fn unknown_relay_at_intermediary() {
    let mut scene = Scene::start().await;
    let mut target = Scripted::linked(&scene.node).await;
    let known = scene.at(([127, 0, 0, 1], 40_000).into());
    let bad = [
        RelayAddr { relay: NOBODY, ..known },
        // Nor another host, or a service, under the name of one that is known.
        scene.at(([127, 0, 0, 2], 40_000).into()),
        scene.at(([127, 0, 0, 1], 53).into()),
    ];
    for (n, relay) in (1..).zip(bad) {
        assert_eq!(invitation(&mut scene.peer, target.id, n, relay).await, Err(Refusal::BadAddress));
    }
    scene.until_counted(DropReason::InvitationToUnknownRelay, 3).await;
    // None of it reached the target.
    let invite = Invite { request: 9, target: target.id, nonce: nonce(9), relay: known };
    scene.peer.say(Message::Invite(invite)).await;
    let heard =
        target.hear(|m| if let Message::InviteNotice(notice) = m { Some(*notice) } else { None }).await;
    assert_eq!(heard, InviteNotice { nonce: nonce(9), requester: scene.peer.id, relay: known });
}

/// Asks for an invitation that is to be refused.
async fn invitation(
    peer: &mut Scripted,
    target: PeerId,
    n: u8,
    relay: RelayAddr,
) -> Result<SocketAddr, Refusal> {
    let invite = Invite { request: n.into(), target, nonce: nonce(n), relay };
    peer.say(Message::Invite(invite)).await;
    let answer = |m: &Message| match m {
        Message::CoordinationAnswer(said) if said.request == u32::from(n) => Some(said.result),
        _ => None,
    };
    peer.hear(answer).await
}

async fn unknown_relay_at_target() {
    let mut scene = Scene::start().await;
    let (third, addr) = bystander([127, 0, 0, 1]).await;
    let (elsewhere, far) = bystander([127, 0, 0, 2]).await;
    scene.invite(1, NOBODY, RelayAddr { relay: PeerId([8; 32]), addr }).await;
    let far = scene.at(far);
    scene.invite(2, NOBODY, far).await;
    let ourselves = RelayAddr { relay: scene.node.id(), addr };
    scene.invite(3, NOBODY, ourselves).await;
    scene.until_counted(DropReason::InvitationToUnknownRelay, 3).await;
    assert!(!is_hit(&third, A_WHILE).await && !is_hit(&elsewhere, A_WHILE).await);
    // A port of a relay that it knows is dialled.
    let known = scene.at(addr);
    assert!(scene.invite(4, NOBODY, known).await);
    assert!(is_hit(&third, PATIENCE).await, "a dial would have been seen");
}

async fn invite_flood() {
    let mut scene = Scene::start().await;
    let known = scene.at(([127, 0, 0, 1], 40_000).into());
    let mut targets = Vec::new();
    for _ in 0..6 {
        targets.push(Scripted::linked(&scene.node).await);
    }
    for (n, target) in (0..).zip(&targets) {
        let invite = Invite { request: n, target: target.id, nonce: nonce(n as u8), relay: known };
        scene.peer.say(Message::Invite(invite)).await;
    }
    let refused = targets.len() as u64 - PUNCH_PER_REQUESTER_BURST as u64;
    scene.until_counted(DropReason::PunchRateOfRequester, refused).await;
}

async fn invite_notice_flood() {
    let mut scene = Scene::start().await;
    let (third, addr) = bystander([127, 0, 0, 1]).await;
    let known = scene.at(addr);
    let begun = Instant::now();
    let mut taken = 0;
    for n in 0..40 {
        // Each time somebody else invites, whom nobody can ask.
        taken += u32::from(scene.invite(n, PeerId([n; 32]), known).await);
    }
    let most = PUNCH_PER_TARGET_MINUTE * (1.0 + begun.elapsed().as_secs_f64() / 60.0);
    assert!((PUNCH_PER_TARGET_MINUTE as u32..=most as u32).contains(&taken), "{taken} were followed");
    assert!(is_hit(&third, PATIENCE).await, "those were");
    scene.until_counted(DropReason::PunchNoticeRate, u64::from(40 - taken)).await;
}

async fn unknown_relay_in_record() {
    let mut scene = Scene::start().await;
    let (third, addr) = bystander([127, 0, 0, 1]).await;
    let (elsewhere, far) = bystander([127, 0, 0, 2]).await;
    let far = scene.at(far);
    scene.claim(1, vec![RelayAddr { relay: PeerId([8; 32]), addr }, far]).await;
    scene.try_relays().await;
    assert!(!is_hit(&third, A_WHILE).await && !is_hit(&elsewhere, A_WHILE).await);
    scene.until_counted(DropReason::RelayUnknown, 2).await;
    let known = scene.at(addr);
    scene.claim(2, vec![known]).await;
    let (_, hit) = tokio::join!(scene.try_relays(), is_hit(&third, PATIENCE));
    assert!(hit, "a dial would have been seen");
}

async fn hearsay_relay() {
    let node = TestNode::start("node", &[]).await;
    let mut peer = Scripted::linked(&node).await;
    let (_nowhere, somewhere) = bystander([127, 0, 0, 3]).await;
    let (_known, claimed) = bystander([127, 0, 0, 2]).await;
    let (third, aimed) = bystander([127, 0, 0, 2]).await;
    // A relay is made up at a third party's, and peers that are said to be there.
    let relay = Record { addresses: vec![claimed], ..Record::new(PeerId([8; 32]), 1) };
    let at = RelayAddr { relay: relay.peer, addr: aimed };
    let there = Record { addresses: vec![somewhere], relays: vec![at], ..Record::new(NOBODY, 1) };
    peer.say(Message::Delta(Delta { added: vec![relay, there], removed: vec![] })).await;
    let tried =
        |s: &punchdeck::model::Snapshot| s.peers.iter().any(|p| p.peer_id == NOBODY && p.attempts > 0);
    node.until("an attempt by itself", tried).await;
    assert!(!is_hit(&third, A_WHILE).await, "the limit of dials to one host is gone round");
    node.until_counted(DropReason::RelayByHearsay).await;
    // An operator may try what is only said.
    let command = node.command(Command::Relay { peer: NOBODY });
    let (_, hit) = tokio::join!(command, is_hit(&third, PATIENCE));
    assert!(hit, "a dial would have been seen");
}

async fn padded_record() {
    let mut scene = Scene::start().await;
    let relay = |n: u8| RelayAddr { relay: PeerId([n; 32]), addr: ([198, 18, 0, 1], 3000).into() };
    let service = RelayAddr { addr: ([198, 18, 0, 1], 53).into(), ..relay(1) };
    let itself = RelayAddr { relay: NOBODY, ..relay(2) };
    scene.claim(1, vec![service, itself, relay(3)]).await;
    scene.until_counted(DropReason::RecordAddresses, 2).await;
    scene.claim(2, (20..30).map(relay).collect()).await;
    scene.until_counted(DropReason::RecordAddresses, 2 + 10 - RECORD_RELAYS_MAX as u64).await;
}

/// Somebody with a key of his own who reserves on that relay.
struct OnRelay {
    end: End,
    reservation: Reservation,
    _client: Scripted,
}

impl OnRelay {
    async fn start(relay: &TestNode) -> Self {
        let (end, client) = (End::new(), Scripted::linked(relay).await);
        let reservation = end.reserve(relay.id(), &client.connection).await.unwrap();
        Self { end, reservation, _client: client }
    }
}

async fn impostor() {
    let mut scene = Scene::start().await;
    let liar = OnRelay::start(&scene.relay).await;
    let at = scene.at(liar.reservation.public_addr());
    // An invitation, and a record, that lead to him under another's name.
    assert!(scene.invite(1, NOBODY, at).await);
    scene.until_counted(DropReason::ImpostorOnLane, 1).await;
    scene.claim(1, vec![at]).await;
    assert_eq!(scene.try_relays().await, Reason::WrongIdentity { got: liar.end.id });
    scene.until_counted(DropReason::ImpostorOnLane, 2).await;
    let shown = scene.node.snapshot();
    assert!(shown.link(&NOBODY).is_none() && shown.link(&liar.end.id).is_none());
}

async fn handovers() {
    let mut scene = Scene::start().await;
    let liar = OnRelay::start(&scene.relay).await;
    let at = scene.at(liar.reservation.public_addr());
    let burst = HANDOVERS_BURST as u8;
    for n in 1..=burst {
        scene.invite(n, NOBODY, at).await;
        // Each dial comes to nothing at once, and would make room for the next.
        scene.until_counted(DropReason::ImpostorOnLane, n.into()).await;
    }
    for n in 1..=3 {
        scene.invite(burst + n, NOBODY, at).await;
        scene.until_counted(DropReason::HandoversOfPeer, n.into()).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(scene.node.counted(DropReason::ImpostorOnLane), u64::from(burst), "no more were dialled");
}
