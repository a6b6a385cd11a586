//! Peers that misuse coordination: as requester, as target, as intermediary.
//! What they ask for is refused by name, and nobody's host is aimed at.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use punchdeck::core::limits::{
    PUNCH_ADDRESSES_MAX, PUNCH_IN_FLIGHT, PUNCH_PER_MINUTE, PUNCH_PER_REQUESTER_BURST,
    PUNCH_PER_TARGET_MINUTE,
};
use punchdeck::core::wire::{
    CoordinationAnswer, Delta, Echo, IHave, Message, NoticeAnswer, PunchNotice, PunchRequest, Record, Refusal,
};
use punchdeck::model::{Command, DropReason, PeerId, PunchConsent, Reason};

use super::peer::{A_WHILE, Scripted, bystander, is_hit};
use crate::support::{PATIENCE, TestNode, trial};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("a_punch_cannot_be_aimed_at_a_third_party", third_party),
        trial("a_target_dials_nothing_that_no_record_could_name", bad_notice),
        trial("an_intermediary_that_lies_of_the_target_aims_us_at_no_service", lying_intermediary),
        trial("a_replayed_punch_is_refused_by_intermediary_and_target", replay),
        trial("nobody_says_yes_for_the_target_of_a_punch", forged_consent),
        trial("who_takes_no_punches_is_not_made_to_dial", no_consent),
        trial("a_flood_of_punch_requests_is_cut_per_pair_and_per_requester", requester_flood),
        trial("many_requesters_together_cannot_flood_one_target", target_flood),
        trial("an_intermediary_works_for_sixty_a_minute_and_sixteen_at_once", intermediary_flood),
        trial("a_flood_of_punch_notices_makes_a_target_dial_twelve_times", notice_flood),
    ]
}

fn nonce(n: u32) -> [u8; 16] {
    let mut nonce = [0; 16];
    nonce[..4].copy_from_slice(&n.to_be_bytes());
    nonce
}

/// Asks for a punch, and does not wait for the answer.
async fn ask(from: &mut Scripted, target: PeerId, n: u32, addresses: Vec<SocketAddr>) {
    let ask = PunchRequest { request: n, target, nonce: nonce(n), addresses };
    from.say(Message::PunchRequest(ask)).await;
}

/// What the intermediary answers to a request.
async fn answer(from: &mut Scripted, n: u32) -> Result<SocketAddr, Refusal> {
    let answer = |m: &Message| match m {
        Message::CoordinationAnswer(said) if said.request == n => Some(said.result),
        _ => None,
    };
    from.hear(answer).await
}

/// The next notice of a punch.
async fn notice(at: &mut Scripted) -> PunchNotice {
    at.hear(|m| if let Message::PunchNotice(notice) = m { Some(notice.clone()) } else { None }).await
}

async fn agree(target: &mut Scripted, nonce: [u8; 16]) {
    target
        .say(Message::NoticeAnswer(NoticeAnswer { nonce, accepted: true, busy: false, held_off: false }))
        .await;
}

/// What the peer at the other end answers to a notice from this one.
pub async fn accepted(at: &mut Scripted, nonce: [u8; 16]) -> bool {
    let answer = |m: &Message| match m {
        Message::NoticeAnswer(said) if said.nonce == nonce => Some(said.accepted),
        _ => None,
    };
    at.hear(answer).await
}

/// Waits until everything said before was worked on.
async fn caught_up(peer: &mut Scripted) {
    peer.say(Message::Echo(Echo { id: 99, payload: vec![] })).await;
    peer.hear(|m| matches!(m, Message::EchoReply(e) if e.id == 99).then_some(())).await;
}

async fn third_party() {
    let node = TestNode::start("node", &[]).await;
    let (mut peer, mut target) = (Scripted::linked(&node).await, Scripted::linked(&node).await);
    let own = peer.stranger.addr();
    let at = |ip: [u8; 4], port: u16| SocketAddr::from((ip, port));
    let bad = [
        vec![at([127, 0, 0, 2], own.port())],
        vec![own, at([198, 18, 0, 1], 3000)],
        vec![at([127, 0, 0, 1], 53)],
        vec![own; PUNCH_ADDRESSES_MAX + 1],
    ];
    for (n, addresses) in (0..).zip(bad.clone()) {
        ask(&mut peer, target.id, n, addresses).await;
        assert_eq!(answer(&mut peer, n).await, Err(Refusal::BadAddress));
    }
    // None of it reached the target: the first it hears of is as it should be,
    // and the requester is who asked.
    ask(&mut peer, target.id, 77, vec![own]).await;
    let heard = notice(&mut target).await;
    assert_eq!((heard.nonce, heard.requester, heard.addresses), (nonce(77), peer.id, vec![own]));
    node.until("counters", |s| s.counters.0.contains_key(&DropReason::PunchAtThirdParty)).await;
    assert_eq!(node.counted(DropReason::PunchAtThirdParty), bad.len() as u64);
}

async fn bad_notice() {
    let node = TestNode::start("node", &[]).await;
    let mut peer = Scripted::linked(&node).await;
    // Who sends a notice need not have checked anything.
    let addresses =
        ["0.0.0.0:3000", "224.0.0.1:3000", "255.255.255.255:3000", "127.0.0.1:53", "10.0.0.1:3000"];
    let addresses = addresses.iter().map(|a| a.parse().unwrap()).collect();
    let bad = PunchNotice { nonce: nonce(1), requester: PeerId([9; 32]), addresses };
    peer.say(Message::PunchNotice(bad)).await;
    assert!(!accepted(&mut peer, nonce(1)).await);
    node.until_counted(DropReason::PunchNoticeNowhere).await;

    let (third, addr) = bystander([127, 0, 0, 1]).await;
    let good = PunchNotice { nonce: nonce(2), requester: PeerId([9; 32]), addresses: vec![addr] };
    peer.say(Message::PunchNotice(good)).await;
    assert!(accepted(&mut peer, nonce(2)).await);
    assert!(is_hit(&third, PATIENCE).await, "a dial would have been seen");
}

async fn lying_intermediary() {
    let node = TestNode::with("node", &[], |o| o.passive = true).await;
    let mut liar = Scripted::linked(&node).await;
    let subject = PeerId([9; 32]);
    let record = Record { addresses: vec![([198, 18, 0, 1], 3000).into()], ..Record::new(subject, 1) };
    liar.say(Message::Delta(Delta { added: vec![record], removed: vec![] })).await;
    node.until("subject", |s| s.peers.iter().any(|p| p.peer_id == subject)).await;
    let (_third, plausible) = bystander([127, 0, 0, 1]).await;
    let service = SocketAddr::from(([127, 0, 0, 1], 53));
    // It lies at once, or only when it answers our request.
    for (seen, said, reason) in
        [(service, service, Reason::NoIntermediary), (plausible, service, Reason::UnknownTarget)]
    {
        let lying = async {
            let query = liar.hear(|m| if let Message::WhoHas(q) = m { Some(q.query) } else { None }).await;
            liar.say(Message::IHave(IHave { query, peer: subject, observed: Some(seen) })).await;
            if seen == plausible {
                let asked =
                    |m: &Message| if let Message::PunchRequest(p) = m { Some(p.request) } else { None };
                let request = liar.hear(asked).await;
                let answer = CoordinationAnswer { request, result: Ok(said) };
                liar.say(Message::CoordinationAnswer(answer)).await;
            }
        };
        let (outcome, ()) = tokio::join!(node.command(Command::Punch { peer: subject }), lying);
        assert_eq!(outcome.result.as_ref().unwrap_err().reason, reason, "{outcome:?}");
    }
    node.until("counted", |s| s.counters.0.get(&DropReason::PunchAtThirdParty) == Some(&2)).await;
}

async fn replay() {
    let node = TestNode::start("node", &[]).await;
    let (mut peer, mut target) = (Scripted::linked(&node).await, Scripted::linked(&node).await);
    let mut other = Scripted::linked(&node).await;
    ask(&mut peer, target.id, 5, vec![]).await;
    notice(&mut target).await;
    agree(&mut target, nonce(5)).await;
    assert!(answer(&mut peer, 5).await.is_ok());
    // Towards somebody else, and by somebody who saw it: it was used.
    ask(&mut peer, other.id, 5, vec![]).await;
    assert_eq!(answer(&mut peer, 5).await, Err(Refusal::Replayed));
    ask(&mut other, target.id, 5, vec![]).await;
    assert_eq!(answer(&mut other, 5).await, Err(Refusal::Replayed));
    node.until("counted", |s| s.counters.0.get(&DropReason::PunchReplayed) == Some(&2)).await;

    let (_third, addr) = bystander([127, 0, 0, 1]).await;
    let again = PunchNotice { nonce: nonce(6), requester: PeerId([9; 32]), addresses: vec![addr] };
    for taken in [true, false] {
        other.say(Message::PunchNotice(again.clone())).await;
        assert_eq!(accepted(&mut other, nonce(6)).await, taken);
    }
    node.until("counted", |s| s.counters.0.get(&DropReason::PunchReplayed) == Some(&3)).await;
}

async fn forged_consent() {
    let node = TestNode::start("node", &[]).await;
    let (mut peer, mut target) = (Scripted::linked(&node).await, Scripted::linked(&node).await);
    ask(&mut peer, target.id, 5, vec![]).await;
    notice(&mut target).await;
    agree(&mut peer, nonce(5)).await;
    node.until_counted(DropReason::AnswerToNoNotice).await;
    // The target is still asked, and nobody else was.
    target
        .say(Message::NoticeAnswer(NoticeAnswer {
            nonce: nonce(5),
            accepted: false,
            busy: false,
            held_off: false,
        }))
        .await;
    assert_eq!(answer(&mut peer, 5).await, Err(Refusal::NoConsent));
}

async fn no_consent() {
    for (consent, known, taken) in [
        (PunchConsent::Never, true, false),
        (PunchConsent::Known, false, false),
        (PunchConsent::Known, true, true),
    ] {
        let node = TestNode::with("node", &[], |o| o.punch = consent).await;
        let mut peer = Scripted::linked(&node).await;
        let (third, addr) = bystander([127, 0, 0, 1]).await;
        // Who is linked is known; that it dials itself does not matter here.
        let requester = if known { peer.id } else { PeerId([9; 32]) };
        let wish = PunchNotice { nonce: nonce(1), requester, addresses: vec![addr] };
        peer.say(Message::PunchNotice(wish)).await;
        assert_eq!(accepted(&mut peer, nonce(1)).await, taken, "{consent:?}");
        if !taken {
            node.until_counted(DropReason::PunchWithoutConsent).await;
            assert!(!is_hit(&third, A_WHILE).await);
        }
    }
}

async fn requester_flood() {
    let node = TestNode::start("node", &[]).await;
    let mut peer = Scripted::linked(&node).await;
    let mut targets = Vec::new();
    for _ in 0..6 {
        targets.push(Scripted::linked(&node).await);
    }
    // The same target again and again: one in four seconds.
    for n in 0..10 {
        ask(&mut peer, targets[0].id, n, vec![]).await;
    }
    for n in 1..10 {
        assert_eq!(answer(&mut peer, n).await, Err(Refusal::RateLimited));
    }
    // Others too: three at once are all there are.
    let mut refused = 0;
    for (n, target) in (10..).zip(&targets[1..]) {
        ask(&mut peer, target.id, n, vec![]).await;
    }
    for n in 12..15 {
        refused += u32::from(answer(&mut peer, n).await == Err(Refusal::RateLimited));
    }
    assert_eq!(refused, 5 + 1 - PUNCH_PER_REQUESTER_BURST as u32);
    caught_up(&mut peer).await;
    node.until("counted", |s| s.counters.0.get(&DropReason::PunchRateOfRequester) == Some(&3)).await;
    assert_eq!(node.counted(DropReason::PunchRateOfPair), 9);
}

async fn target_flood() {
    let node = TestNode::start("node", &[]).await;
    let mut target = Scripted::linked(&node).await;
    let begun = Instant::now();
    let (mut taken, mut refused) = (0, 0);
    for n in 0..16 {
        let mut peer = Scripted::linked(&node).await;
        ask(&mut peer, target.id, n, vec![]).await;
        caught_up_or_refused(&mut peer, n, &mut refused).await;
        if refused == 0 {
            notice(&mut target).await;
            agree(&mut target, nonce(n)).await;
            assert!(answer(&mut peer, n).await.is_ok());
            taken += 1;
        }
    }
    let most = PUNCH_PER_TARGET_MINUTE * (1.0 + begun.elapsed().as_secs_f64() / 60.0);
    assert!((PUNCH_PER_TARGET_MINUTE as u32..=most as u32).contains(&taken), "{taken} reached the target");
    assert!(refused > 0);
    node.until_counted(DropReason::PunchRateOfTarget).await;
}

/// Counts the refusal if there is one; a request that was passed on is not
/// answered before its target is.
async fn caught_up_or_refused(peer: &mut Scripted, n: u32, refused: &mut u32) {
    peer.say(Message::Echo(Echo { id: 99, payload: vec![] })).await;
    let mut limited = false;
    peer.hear(|m| match m {
        Message::CoordinationAnswer(said) if said.request == n => {
            assert_eq!(said.result, Err(Refusal::RateLimited));
            limited = true;
            None
        }
        Message::EchoReply(e) if e.id == 99 => Some(()),
        _ => None,
    })
    .await;
    *refused += u32::from(limited);
}

async fn intermediary_flood() {
    let node = TestNode::start("node", &[]).await;
    let mut peers = Vec::new();
    for _ in 0..27 {
        peers.push(Scripted::linked(&node).await);
    }
    let ids: Vec<PeerId> = peers.iter().map(|p| p.id).collect();
    let target_of = |from: usize, step: usize| (from + step + 1) % ids.len();
    let begun = Instant::now();
    // Nobody answers: so many wait, and no more.
    let (mut n, mut refused) = (0, 0);
    for from in 0..6 {
        for step in 0..3 {
            ask(&mut peers[from], ids[target_of(from, step)], n, vec![]).await;
            caught_up_or_refused(&mut peers[from], n, &mut refused).await;
            n += 1;
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "the first ones were given up meanwhile");
    assert_eq!((n - refused) as usize, PUNCH_IN_FLIGHT);
    node.until("counted", |s| s.counters.0.get(&DropReason::PunchesInFlight) == Some(&2)).await;
    assert_eq!(answer(&mut peers[5], 15).await, Err(Refusal::NoAnswer));

    // Everybody answers: so many a minute, from all together.
    let mut taken = PUNCH_IN_FLIGHT;
    refused = 0;
    'flood: for from in 6..peers.len() {
        for step in 0..3 {
            let target = target_of(from, step);
            ask(&mut peers[from], ids[target], n, vec![]).await;
            caught_up_or_refused(&mut peers[from], n, &mut refused).await;
            if refused > 0 {
                break 'flood;
            }
            agree(&mut peers[target], nonce(n)).await;
            assert!(answer(&mut peers[from], n).await.is_ok());
            n += 1;
            taken += 1;
        }
    }
    let most = PUNCH_PER_MINUTE * (1.0 + begun.elapsed().as_secs_f64() / 60.0);
    assert!((PUNCH_PER_MINUTE as usize..=most as usize).contains(&taken), "{taken} were passed on");
    node.until("counted", |s| s.counters.0.get(&DropReason::PunchRate) == Some(&1)).await;
    assert_eq!(
        node.counted(DropReason::PunchRateOfRequester) + node.counted(DropReason::PunchRateOfTarget),
        0
    );
}

async fn notice_flood() {
    let node = TestNode::with("node", &[], |o| o.passive = true).await;
    let mut peer = Scripted::linked(&node).await;
    let (third, addr) = bystander([127, 0, 0, 1]).await;
    let begun = Instant::now();
    let mut taken = 0;
    for n in 0..40u8 {
        let requester = PeerId([n; 32]);
        let wish = PunchNotice { nonce: nonce(n.into()), requester, addresses: vec![addr] };
        peer.say(Message::PunchNotice(wish)).await;
        taken += u32::from(accepted(&mut peer, nonce(n.into())).await);
    }
    let most = PUNCH_PER_TARGET_MINUTE * (1.0 + begun.elapsed().as_secs_f64() / 60.0);
    assert!((PUNCH_PER_TARGET_MINUTE as u32..=most as u32).contains(&taken), "{taken} were followed");
    assert!(is_hit(&third, PATIENCE).await, "those were");
    node.until("counted", |s| s.counters.0.get(&DropReason::PunchNoticeRate) == Some(&u64::from(40 - taken)))
        .await;
}
