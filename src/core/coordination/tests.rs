use crate::model::DropReason;
use std::collections::BTreeSet;

use super::*;

#[derive(Default)]
struct World {
    linked: BTreeMap<PeerId, SocketAddr>,
    known: BTreeSet<PeerId>,
    /// Whom our operator disconnected.
    refused: BTreeSet<PeerId>,
}

impl Links for World {
    fn observed(&self, peer: &PeerId) -> Option<SocketAddr> {
        self.linked.get(peer).copied()
    }
    fn is_linked_relay(&self, relay: &PeerId, addr: &SocketAddr) -> bool {
        self.linked.get(relay).is_some_and(|a| a.ip() == addr.ip())
    }
    fn is_known(&self, peer: &PeerId) -> bool {
        self.known.contains(peer)
    }
    fn is_refused(&self, peer: &PeerId) -> bool {
        self.refused.contains(peer)
    }
    fn may_dial(&self, _: &PeerId, addr: SocketAddr) -> bool {
        !addr.ip().is_loopback()
    }
}

fn peer(n: u16) -> PeerId {
    let mut id = [0; 32];
    id[..2].copy_from_slice(&n.to_be_bytes());
    PeerId(id)
}

fn addr(host: u8, port: u16) -> SocketAddr {
    ([198, 18, 1, host], port).into()
}

fn world(count: u16) -> World {
    let linked = (0..count).map(|n| (peer(n), addr((n % 250) as u8, 9000))).collect();
    World { linked, ..World::default() }
}

fn at(ms: u64) -> Mono {
    Mono::from_millis(ms)
}

fn request(n: u32, target: PeerId, addresses: Vec<SocketAddr>) -> PunchRequest {
    let mut nonce = [0; 16];
    nonce[..4].copy_from_slice(&n.to_be_bytes());
    PunchRequest { request: n, target, nonce, addresses }
}

struct Bench {
    machine: Coordination,
    world: World,
}

impl Bench {
    fn new(count: u16) -> Self {
        Self { machine: Coordination::new(PunchConsent::Any, at(0)), world: world(count) }
    }

    fn ask(&mut self, from: u16, ask: &PunchRequest, now: Mono) -> Vec<CoordinationOut> {
        let mut out = Vec::new();
        self.machine.on_request(peer(from), ask, &self.world, now, &mut out);
        out
    }
}

fn refusal(out: &[CoordinationOut]) -> Option<Refusal> {
    out.iter().find_map(|o| match o {
        CoordinationOut::Send { message: Message::CoordinationAnswer(a), .. } => a.result.err(),
        _ => None,
    })
}

fn stopped(out: &[CoordinationOut], why: DropReason) -> bool {
    out.contains(&CoordinationOut::Stopped(why))
}

#[test]
fn the_target_is_told_who_and_where_and_its_answer_brings_its_address() {
    let mut b = Bench::new(3);
    let ask = request(7, peer(1), vec![addr(0, 9000), addr(0, 9001)]);
    let out = b.ask(0, &ask, at(0));
    let notice = PunchNotice { nonce: ask.nonce, requester: peer(0), addresses: ask.addresses.clone() };
    assert_eq!(out, [CoordinationOut::Send { peer: peer(1), message: Message::PunchNotice(notice) }]);
    let mut out = Vec::new();
    let said = NoticeAnswer { nonce: ask.nonce, accepted: true, busy: false, held_off: false };
    b.machine.on_notice_answer(peer(1), said, &b.world, at(1), &mut out);
    assert_eq!(out, [answer(peer(0), 7, Ok(addr(1, 9000)))]);
}

#[test]
fn a_requester_that_names_no_address_can_be_hit_where_the_intermediary_sees_it() {
    let mut b = Bench::new(3);
    let out = b.ask(0, &request(7, peer(1), vec![]), at(0));
    let told = out.iter().find_map(|o| match o {
        CoordinationOut::Send { message: Message::PunchNotice(notice), .. } => Some(&notice.addresses),
        _ => None,
    });
    assert_eq!(told, Some(&vec![addr(0, 9000)]));
}

/// What a target does on a notice with these addresses, the `n`th.
fn noticed(b: &mut Bench, n: u8, addresses: Vec<SocketAddr>, ms: u64) -> Vec<CoordinationOut> {
    let mut out = Vec::new();
    let notice = PunchNotice { nonce: [n; 16], requester: peer(0), addresses };
    b.machine.on_punch_notice(peer(2), &notice, &b.world, at(ms), &mut out);
    out
}

#[test]
fn a_target_dials_first_and_then_says_yes_so_that_its_nat_knows_the_requester() {
    let mut b = Bench::new(3);
    let out = noticed(&mut b, 1, vec![addr(0, 9000)], 0);
    let yes =
        Message::NoticeAnswer(NoticeAnswer { nonce: [1; 16], accepted: true, busy: false, held_off: false });
    assert_eq!(
        out,
        [
            CoordinationOut::PunchComing { requester: peer(0), addresses: vec![addr(0, 9000)] },
            CoordinationOut::Send { peer: peer(2), message: yes },
        ]
    );
}

#[test]
fn a_target_dials_two_addresses_at_most_and_none_that_no_link_allows() {
    let mut b = Bench::new(3);
    let loopback: SocketAddr = ([127, 0, 0, 1], 9000).into();
    let many = [loopback].into_iter().chain((1..9).map(|n| addr(n, 9000))).collect();
    let out = noticed(&mut b, 1, many, 0);
    let addresses = vec![addr(1, 9000), addr(2, 9000)];
    assert_eq!(out[0], CoordinationOut::PunchComing { requester: peer(0), addresses });
    let out = noticed(&mut b, 2, vec![loopback], 0);
    assert!(out.contains(&CoordinationOut::Stopped(DropReason::PunchNoticeNowhere)));
    assert!(!out.iter().any(|o| matches!(o, CoordinationOut::PunchComing { .. })));
}

#[test]
fn a_target_follows_twelve_notices_a_minute_whoever_sends_them() {
    let mut b = Bench::new(3);
    let mut followed = |from: u8, count: u8, ms: u64| {
        (from..from + count)
            .filter(|n| {
                let out = noticed(&mut b, *n, vec![addr(0, 9000)], ms);
                out.iter().any(|o| matches!(o, CoordinationOut::PunchComing { .. }))
            })
            .count()
    };
    assert_eq!(followed(0, 40, 0), 12);
    assert_eq!(followed(40, 40, 30_000), 6);
}

#[test]
fn invitations_count_with_the_punches_that_a_target_follows() {
    let mut b = Bench::new(3);
    let invited = |b: &mut Bench, n: u8, ms: u64| {
        let mut out = Vec::new();
        let relay = RelayAddr { relay: peer(1), addr: addr(1, 40_000) };
        // Each time somebody else invites: names cost nothing.
        let notice = InviteNotice { nonce: [n; 16], requester: peer(u16::from(n) + 9), relay };
        b.machine.on_invite_notice(peer(2), &notice, &b.world, at(ms), &mut out);
        out.iter().any(|o| matches!(o, CoordinationOut::Invited { .. }))
    };
    assert!(matches!(noticed(&mut b, 100, vec![addr(0, 9000)], 0)[0], CoordinationOut::PunchComing { .. }));
    assert_eq!((0..40).filter(|n| invited(&mut b, *n, 0)).count(), 11);
    assert!(!invited(&mut b, 50, 4_000));
    assert!(invited(&mut b, 51, 5_000));
}

#[test]
fn nobody_can_aim_us_at_a_third_party() {
    let mut b = Bench::new(3);
    for bad in [addr(2, 9000), ([127, 0, 0, 1], 9000).into(), addr(0, 53)] {
        let out = b.ask(0, &request(1, peer(1), vec![addr(0, 9000), bad]), at(0));
        assert_eq!(refusal(&out), Some(Refusal::BadAddress), "{bad}");
        assert!(stopped(&out, DropReason::PunchAtThirdParty));
    }
    let many = (0..9).map(|n| addr(0, 9000 + n)).collect();
    assert_eq!(refusal(&b.ask(0, &request(2, peer(1), many), at(0))), Some(Refusal::BadAddress));
}

#[test]
fn an_invitation_to_a_relay_that_nobody_knows_is_refused() {
    let mut b = Bench::new(3);
    let invite = |relay, addr| Invite {
        request: 1,
        target: peer(1),
        nonce: [9; 16],
        relay: RelayAddr { relay, addr },
    };
    let mut out = Vec::new();
    b.machine.on_invite(peer(0), &invite(peer(77), addr(9, 9000)), &b.world, at(0), &mut out);
    assert_eq!(refusal(&out), Some(Refusal::BadAddress));
    assert!(stopped(&out, DropReason::InvitationToUnknownRelay));
    let mut out = Vec::new();
    b.machine.on_invite(peer(0), &invite(peer(2), addr(9, 9000)), &b.world, at(0), &mut out);
    assert!(refusal(&out).is_some(), "nor to another host under a known relay's name");
    let mut out = Vec::new();
    b.machine.on_invite(peer(0), &invite(peer(2), addr(2, 40_000)), &b.world, at(0), &mut out);
    assert!(matches!(out[0], CoordinationOut::Send { message: Message::InviteNotice(_), .. }));
}

#[test]
fn a_replayed_nonce_is_refused_by_intermediary_and_target() {
    let mut b = Bench::new(3);
    let ask = request(1, peer(1), vec![]);
    assert_eq!(refusal(&b.ask(0, &ask, at(0))), None);
    let out = b.ask(2, &ask, at(100));
    assert_eq!(refusal(&out), Some(Refusal::Replayed));
    assert!(stopped(&out, DropReason::PunchReplayed));
    let notice = PunchNotice { nonce: [5; 16], requester: peer(0), addresses: vec![addr(0, 9000)] };
    for (round, coming) in [(0, true), (1, false)] {
        let mut out = Vec::new();
        b.machine.on_punch_notice(peer(2), &notice, &b.world, at(round), &mut out);
        assert_eq!(out.iter().any(|o| matches!(o, CoordinationOut::PunchComing { .. })), coming);
    }
}

#[test]
fn an_unknown_target_is_said_so() {
    let mut b = Bench::new(2);
    let out = b.ask(0, &request(1, peer(99), vec![]), at(0));
    assert_eq!(refusal(&out), Some(Refusal::UnknownTarget));
}

#[test]
fn one_requester_gets_three_at_once_and_six_a_minute() {
    let mut b = Bench::new(100);
    let granted = |b: &mut Bench, from: u32, count: u32, ms: u64| {
        (from..from + count)
            .filter(|n| {
                let granted = refusal(&b.ask(0, &request(*n, peer(*n as u16 + 1), vec![]), at(ms))).is_none();
                b.machine.in_flight.clear();
                granted
            })
            .count()
    };
    assert_eq!(granted(&mut b, 0, 20, 0), 3);
    assert_eq!(granted(&mut b, 20, 20, 60_000), 3, "the burst is full again");
    assert_eq!((0..30).map(|s| granted(&mut b, 40 + s, 1, 60_000 + u64::from(s) * 2_000)).sum::<usize>(), 5);
}

#[test]
fn one_pair_gets_one_in_four_seconds_and_one_target_twelve_a_minute() {
    let mut b = Bench::new(100);
    assert!(refusal(&b.ask(0, &request(1, peer(1), vec![]), at(0))).is_none());
    assert_eq!(refusal(&b.ask(0, &request(2, peer(1), vec![]), at(3_999))), Some(Refusal::RateLimited));
    assert!(refusal(&b.ask(0, &request(3, peer(1), vec![]), at(4_000))).is_none());
    let mut b = Bench::new(100);
    let granted = (1..60u16)
        .filter(|n| {
            let granted = refusal(&b.ask(*n, &request(u32::from(*n), peer(0), vec![]), at(0))).is_none();
            b.machine.in_flight.clear();
            granted
        })
        .count();
    assert_eq!(granted, 12);
}

#[test]
fn an_intermediary_takes_sixty_a_minute_and_sixteen_in_flight() {
    let mut b = Bench::new(250);
    let ask = |b: &mut Bench, n: u16| {
        refusal(&b.ask(n, &request(u32::from(n), peer(n + 100), vec![]), at(0))).is_none()
    };
    assert_eq!((0..40).filter(|n| ask(&mut b, *n)).count(), PUNCH_IN_FLIGHT);
    let mut b = Bench::new(250);
    let granted = (0..100)
        .filter(|n| {
            let granted = ask(&mut b, *n);
            b.machine.in_flight.clear();
            granted
        })
        .count();
    assert_eq!(granted, 60);
}

#[test]
fn a_target_that_does_not_answer_is_given_up_after_two_seconds() {
    let mut b = Bench::new(3);
    b.ask(0, &request(7, peer(1), vec![]), at(0));
    assert_eq!(b.machine.next_timeout(), Some(at(2_000)));
    let mut out = Vec::new();
    b.machine.on_timeout(at(2_000), &mut out);
    assert_eq!(out, [answer(peer(0), 7, Err(Refusal::NoAnswer))]);
    assert_eq!(b.machine.next_timeout(), None);
}

#[test]
fn nobody_answers_for_somebody_else() {
    let mut b = Bench::new(3);
    let ask = request(7, peer(1), vec![]);
    b.ask(0, &ask, at(0));
    let mut out = Vec::new();
    b.machine.on_notice_answer(
        peer(2),
        NoticeAnswer { nonce: ask.nonce, accepted: true, busy: false, held_off: false },
        &b.world,
        at(1),
        &mut out,
    );
    assert_eq!(out, [CoordinationOut::Stopped(DropReason::AnswerToNoNotice)]);
}

#[test]
fn a_target_takes_punches_of_whom_it_wants() {
    for (consent, known, stranger) in [
        (PunchConsent::Any, true, true),
        (PunchConsent::Known, true, false),
        (PunchConsent::Never, false, false),
    ] {
        let mut machine = Coordination::new(consent, at(0));
        let mut world = world(3);
        world.known.insert(peer(0));
        for (n, requester, takes) in [(0, peer(0), known), (1, peer(1), stranger)] {
            let mut out = Vec::new();
            let addresses = vec![addr(7, 9000)];
            let notice = PunchNotice { nonce: [n; 16], requester, addresses: addresses.clone() };
            machine.on_punch_notice(peer(2), &notice, &world, at(0), &mut out);
            let coming = out.contains(&CoordinationOut::PunchComing { requester, addresses });
            assert_eq!(coming, takes, "{consent:?} {n}");
            assert_eq!(stopped(&out, DropReason::PunchWithoutConsent), !takes);
        }
    }
}

#[test]
fn the_invitation_after_a_punch_does_not_wait_for_the_pairs_four_seconds() {
    let mut b = Bench::new(4);
    assert!(refusal(&b.ask(0, &request(1, peer(1), vec![]), at(0))).is_none());
    let invited = |b: &mut Bench, n: u8, ms: u64| {
        let relay = RelayAddr { relay: peer(2), addr: addr(2, 40_000) };
        let ask = Invite { request: u32::from(n), target: peer(1), nonce: [n; 16], relay };
        let mut out = Vec::new();
        b.machine.on_invite(peer(0), &ask, &b.world, at(ms), &mut out);
        refusal(&out)
    };
    assert_eq!(invited(&mut b, 10, 1_000), None);
    assert_eq!(invited(&mut b, 11, 2_000), Some(Refusal::RateLimited), "invitations have four of their own");
}

#[test]
fn who_is_refused_has_used_up_nothing_of_its_own() {
    let mut b = Bench::new(250);
    // The intermediary's own rate is used up by others.
    for n in 0..60u16 {
        assert!(refusal(&b.ask(n, &request(u32::from(n), peer(n + 100), vec![]), at(0))).is_none(), "{n}");
        b.machine.in_flight.clear();
    }
    for n in 0..9u32 {
        assert!(refusal(&b.ask(99, &request(100 + n, peer(200), vec![]), at(0))).is_some());
    }
    // One a second comes back, and the refused one has its whole burst.
    for n in 0..3u16 {
        let now = at(4_000 * u64::from(n + 1));
        assert!(
            refusal(&b.ask(99, &request(200 + u32::from(n), peer(200 + n), vec![]), now)).is_none(),
            "{n}"
        );
        b.machine.in_flight.clear();
    }
}

#[test]
fn a_target_that_follows_enough_already_is_asked_again_later_and_does_not_refuse_for_good() {
    let mut b = Bench::new(3);
    let said = |out: &[CoordinationOut]| {
        out.iter().find_map(|o| match o {
            CoordinationOut::Send { message: Message::NoticeAnswer(said), .. } => {
                Some((said.accepted, said.busy))
            }
            _ => None,
        })
    };
    for n in 0..12 {
        assert_eq!(said(&noticed(&mut b, n, vec![addr(0, 9000)], 0)), Some((true, false)));
    }
    assert_eq!(said(&noticed(&mut b, 12, vec![addr(0, 9000)], 0)), Some((false, true)));
    assert_eq!(said(&noticed(&mut b, 13, vec![], 0)), Some((false, false)), "that is not for lack of time");
    let ask = request(7, peer(1), vec![]);
    b.ask(0, &ask, at(0));
    let mut out = Vec::new();
    let busy = NoticeAnswer { nonce: ask.nonce, accepted: false, busy: true, held_off: false };
    b.machine.on_notice_answer(peer(1), busy, &b.world, at(1), &mut out);
    assert_eq!(out, [answer(peer(0), 7, Err(Refusal::RateLimited))]);
}
