use super::*;
use crate::core::nat::Family;
use crate::core::wire::RelayAddr;
use crate::model::{CloseCode, NatType};

const PEER: PeerId = PeerId([7; 32]);
const RELAY_ONE: PeerId = PeerId([21; 32]);
const RELAY_TWO: PeerId = PeerId([22; 32]);
const SETTINGS: Settings = Settings { window: Duration::from_secs(2), relay_after: Duration::from_secs(1) };
const NO_ANSWER: Reason = Reason::NoAnswer { addresses: 1 };

fn addr(port: u16) -> SocketAddr {
    ([198, 18, 0, 1], port).into()
}

fn at(ms: u64) -> Now {
    Now::START.plus(Duration::from_millis(ms))
}

fn relay(id: PeerId) -> RelayAddr {
    RelayAddr { relay: id, addr: addr(40_000) }
}

fn target(addresses: &[SocketAddr]) -> Target {
    Target { peer: Some(PEER), addresses: addresses.to_vec(), ..Target::default() }
}

fn behind(ours: NatType, theirs: NatType) -> Target {
    Target { nat_pair: NatPair { ours, theirs, ..NatPair::default() }, ..target(&[addr(1)]) }
}

/// A ladder and everything it wanted so far.
struct Run {
    ladder: Ladder,
    out: Vec<LadderOut>,
}

impl Run {
    fn start(target: Target, plan: Plan) -> Self {
        let mut out = Vec::new();
        let ladder = Ladder::start(AttemptId(1), target, Cause::Operator, plan, SETTINGS, at(0), &mut out);
        Self { ladder, out }
    }

    fn dials(&self) -> Vec<DialId> {
        self.out
            .iter()
            .filter_map(|o| match o {
                LadderOut::Dial { dial, .. }
                | LadderOut::Punch { dial, .. }
                | LadderOut::DialLane { dial, .. } => Some(*dial),
                _ => None,
            })
            .collect()
    }

    fn lane(&self) -> DialId {
        let lanes = self.out.iter().rev().find_map(|o| match o {
            LadderOut::DialLane { dial, .. } => Some(*dial),
            _ => None,
        });
        lanes.expect("a lane was dialled")
    }

    fn punches(&self) -> Vec<DialId> {
        let punches = self.out.iter().filter_map(|o| match o {
            LadderOut::Punch { dial, .. } => Some(*dial),
            _ => None,
        });
        punches.collect()
    }

    fn requested(&self) -> Option<u8> {
        self.out.iter().rev().find_map(|o| match o {
            LadderOut::RequestPunch(via) => Some(via.peer.0[0]),
            _ => None,
        })
    }

    fn fail(&mut self, dial: DialId, reason: &Reason, ms: u64) {
        self.ladder.on_dial_failed(dial, reason, at(ms), &mut self.out);
    }

    fn pass(&mut self, ms: u64) {
        self.ladder.on_timeout(at(ms), &mut self.out);
    }

    fn asked(&mut self, count: usize) {
        self.ladder.on_asked(count, at(0), &mut self.out);
    }

    fn answer(&mut self, candidate: Option<Candidate>, ms: u64) {
        let (from, sees) = (candidate.as_ref().map_or(PeerId([99; 32]), |c| c.peer), candidate.is_some());
        self.ladder.on_answer(from, (sees, candidate), at(ms), &mut self.out);
    }

    fn agree(&mut self, from: u8, ms: u64) {
        let consent = Consent::Agreed(addr(5000));
        self.ladder.on_consent(PeerId([from; 32]), consent, at(ms), &mut self.out);
    }

    fn link(&mut self, path: Path, ms: u64) {
        self.ladder.on_link(path, true, at(ms), &mut self.out);
    }

    /// The stages with outcome and reason.
    fn stages(&self) -> Vec<(StageKind, StageOutcome, Option<Reason>)> {
        self.ladder.report().stages.into_iter().map(|s| (s.stage, s.outcome, s.reason)).collect()
    }

    fn stage(&self, stage: StageKind) -> (StageOutcome, Option<Reason>) {
        let found = self.stages().into_iter().rfind(|(s, ..)| *s == stage);
        found.map(|(_, outcome, reason)| (outcome, reason)).expect("the stage is reported")
    }

    fn over(&self) -> bool {
        self.out.contains(&LadderOut::Over)
    }
}

fn candidate(id: u8) -> Candidate {
    Candidate {
        peer: PeerId([id; 32]),
        addr: addr(9000),
        target: addr(5000),
        verified_public: false,
        rtt_ms: Some(f64::from(id)),
        success_rate: None,
    }
}

#[test]
fn every_known_address_is_dialled_at_once() {
    let run = Run::start(target(&[addr(1), addr(2), addr(3)]), Plan::ALL);
    assert_eq!(run.dials().len(), 3);
}

#[test]
fn a_dial_that_fails_fast_is_dialled_again_while_the_window_lasts() {
    let mut run = Run::start(target(&[addr(1)]), Plan::DIRECT);
    let dial = run.dials()[0];
    run.fail(dial, &NO_ANSWER, 10);
    assert_eq!(run.ladder.next_timeout(), Some(at(510).mono));
    run.pass(510);
    assert_eq!(run.dials(), [dial, dial]);
    assert_eq!(run.ladder.outcome(), None);
}

#[test]
fn what_a_dial_said_before_its_last_repetition_is_not_lost() {
    let mut run = Run::start(target(&[addr(1)]), Plan::DIRECT);
    let said = Reason::Handshake { detail: "no".into() };
    run.fail(run.dials()[0], &said, 10);
    run.pass(510);
    run.pass(2000);
    assert_eq!(run.stage(StageKind::Direct).1, Some(said));
}

#[test]
fn a_dial_that_found_somebody_else_is_not_repeated() {
    let mut run = Run::start(target(&[addr(1)]), Plan::DIRECT);
    let got = PeerId([9; 32]);
    run.ladder.on_dialled(run.dials()[0], got, at(10), &mut run.out);
    assert_eq!(run.ladder.outcome(), Some(AttemptOutcome::Unreachable));
    assert_eq!(run.stage(StageKind::Direct).1, Some(Reason::WrongIdentity { got }));
    assert!(run.over());
}

#[test]
fn a_silent_target_is_waited_for_no_longer_than_the_window() {
    let mut run = Run::start(target(&[addr(1), addr(2)]), Plan::ALL);
    run.pass(1999);
    assert!(!run.out.contains(&LadderOut::AskWhoHas));
    run.pass(2000);
    assert!(run.out.contains(&LadderOut::AskWhoHas));
    assert_eq!(run.stage(StageKind::Direct).1, Some(Reason::NoAnswer { addresses: 2 }));
    assert_eq!(run.out.iter().filter(|o| matches!(o, LadderOut::Cancel(_))).count(), 2);
}

#[test]
fn a_target_that_filters_is_not_waited_for_and_its_dial_goes_on_behind() {
    let mut run = Run::start(behind(NatType::PortRestricted, NatType::PortRestricted), Plan::ALL);
    assert_eq!(
        run.stage(StageKind::Direct),
        (StageOutcome::Skipped, Some(Reason::TargetFilters { nat: NatType::PortRestricted }))
    );
    assert!(run.out.contains(&LadderOut::AskWhoHas), "the next stage begins at once");
    assert_eq!(run.out.iter().filter(|o| matches!(o, LadderOut::Dial { .. })).count(), 1);
    // The dial behind gets through after all.
    run.link(Path::Direct, 30);
    assert_eq!(run.ladder.report().path, Some(Path::Direct));
    assert!(run.over());
}

#[test]
fn a_nat_that_is_unknown_gets_the_full_window() {
    let run = Run::start(behind(NatType::Symmetric, NatType::Unknown), Plan::ALL);
    assert_eq!(run.stage(StageKind::Direct).0, StageOutcome::Running);
}

#[test]
fn a_pair_that_cannot_be_punched_skips_the_punch_with_that_reason_and_relays_at_once() {
    let there = Target { relays: vec![relay(RELAY_ONE)], ..behind(NatType::Symmetric, NatType::Symmetric) };
    let mut run = Run::start(there, Plan::ALL);
    let reason = Reason::Unpunchable { ours: NatType::Symmetric, theirs: NatType::Symmetric };
    assert_eq!(run.stage(StageKind::Punch), (StageOutcome::Skipped, Some(reason)));
    let lane = run.lane();
    run.ladder.on_dialled(lane, PEER, at(20), &mut run.out);
    assert!(run.out.contains(&LadderOut::UseLane(lane)), "nothing to wait for");
    run.link(Path::Relayed, 30);
    assert_eq!(run.ladder.report().path, Some(Path::Relayed));
    assert_eq!(run.ladder.report().elapsed_ms, Some(30));
    assert_eq!(run.ladder.report().stages[2].via, Some(RELAY_ONE));
    assert!(run.over());
}

#[test]
fn a_punch_that_set_out_before_the_nats_were_known_is_called_off_with_the_reason() {
    let there = Target { relays: vec![relay(RELAY_ONE)], ..behind(NatType::Symmetric, NatType::Unknown) };
    let mut run = Run::start(there, Plan::ALL);
    run.pass(2000);
    run.asked(1);
    run.answer(Some(candidate(3)), 2005);
    run.agree(3, 2010);
    run.pass(3000);
    let lane = run.lane();
    run.ladder.on_dialled(lane, PEER, at(3010), &mut run.out);
    run.pass(3200);
    run.link(Path::Relayed, 3250);
    assert_eq!(run.stage(StageKind::Punch).0, StageOutcome::Running);
    let sees = |theirs| NatPair { ours: NatType::Symmetric, theirs, ..NatPair::default() };
    run.ladder.on_unpunchable(sees(NatType::AddressRestricted), at(5000), &mut run.out);
    assert_eq!(run.stage(StageKind::Punch).0, StageOutcome::Running, "that one can be punched");
    run.ladder.on_unpunchable(sees(NatType::PortRestricted), at(6000), &mut run.out);
    let reason = Reason::Unpunchable { ours: NatType::Symmetric, theirs: NatType::PortRestricted };
    assert_eq!(run.stage(StageKind::Punch), (StageOutcome::Failed, Some(reason)));
    assert!(run.over() && run.ladder.outcome() == Some(AttemptOutcome::Connected));
}

#[test]
fn the_relay_is_warmed_beside_the_punch_and_carries_the_link_after_relay_after() {
    let there =
        Target { relays: vec![relay(RELAY_ONE)], ..behind(NatType::PortRestricted, NatType::PortRestricted) };
    let mut run = Run::start(there, Plan::ALL);
    run.asked(1);
    run.answer(Some(candidate(3)), 5);
    run.agree(3, 10);
    assert_eq!(run.ladder.next_timeout(), Some(at(250).mono), "most punches are through by then");
    run.pass(250);
    let lane = run.lane();
    run.ladder.on_dialled(lane, PEER, at(270), &mut run.out);
    assert!(!run.out.contains(&LadderOut::UseLane(lane)), "warm, and waiting");
    run.pass(999);
    assert!(!run.out.contains(&LadderOut::UseLane(lane)));
    assert_eq!(run.ladder.next_timeout(), Some(at(1000).mono));
    run.pass(1000);
    assert!(run.out.contains(&LadderOut::UseLane(lane)));
    run.link(Path::Relayed, 1040);
    assert_eq!(run.ladder.outcome(), Some(AttemptOutcome::Connected));
    assert!(!run.over(), "the punch goes on behind it");
    assert_eq!(run.stage(StageKind::Punch).0, StageOutcome::Running);
    run.link(Path::Punched, 4000);
    assert_eq!(run.stage(StageKind::Punch).0, StageOutcome::Ok);
    assert_eq!(run.ladder.report().path, Some(Path::Relayed), "the first usable link counts");
    assert!(run.over());
}

#[test]
fn a_punch_that_succeeds_leaves_the_relay_unused() {
    let there =
        Target { relays: vec![relay(RELAY_ONE)], ..behind(NatType::PortRestricted, NatType::PortRestricted) };
    let mut run = Run::start(there, Plan::ALL);
    run.asked(1);
    run.answer(Some(candidate(3)), 5);
    run.agree(3, 8);
    assert_eq!(run.ladder.path_now(), Path::Punched);
    run.pass(250);
    let lane = run.lane();
    run.ladder.on_dialled(lane, PEER, at(260), &mut run.out);
    run.link(Path::Punched, 300);
    assert!(run.out.contains(&LadderOut::Cancel(lane)));
    assert_eq!(run.stage(StageKind::Relay), (StageOutcome::Skipped, Some(Reason::NotNeeded)));
    assert!(run.over());
}

#[test]
fn a_quick_punch_costs_no_relay_anything() {
    let there =
        Target { relays: vec![relay(RELAY_ONE)], ..behind(NatType::PortRestricted, NatType::PortRestricted) };
    let mut run = Run::start(there, Plan::ALL);
    run.asked(1);
    run.answer(Some(candidate(3)), 5);
    run.agree(3, 8);
    run.link(Path::Punched, 20);
    assert!(run.over());
    assert!(!run.out.iter().any(|o| matches!(o, LadderOut::DialLane { .. } | LadderOut::Reserve)));
}

#[test]
fn an_address_that_is_heard_of_later_is_dialled_at_once() {
    let mut run = Run::start(behind(NatType::PortRestricted, NatType::PortRestricted), Plan::ALL);
    run.asked(1);
    run.answer(Some(candidate(3)), 5);
    run.agree(3, 8);
    run.link(Path::Relayed, 1_000);
    run.pass(2_500);
    let private: SocketAddr = ([10, 0, 0, 2], 9000).into();
    run.ladder.on_addresses(&[private], at(3_000), &mut run.out);
    let dialled = |o: &LadderOut| matches!(o, LadderOut::Dial { addr, .. } if *addr == private);
    assert_eq!(run.out.iter().filter(|o| dialled(o)).count(), 1);
    run.ladder.on_addresses(&[private], at(3_100), &mut run.out);
    assert_eq!(run.out.iter().filter(|o| dialled(o)).count(), 1, "once");
    run.link(Path::Direct, 3_200);
    assert!(run.over());
}

#[test]
fn who_looks_for_a_way_off_the_relay_has_not_found_it_with_a_relay() {
    let mut run = Run::start(behind(NatType::PortRestricted, NatType::PortRestricted), Plan::UPGRADE);
    run.asked(1);
    run.answer(Some(candidate(3)), 5);
    run.agree(3, 8);
    run.link(Path::Relayed, 20);
    assert_eq!(run.ladder.outcome(), None, "the link may move from relay to relay meanwhile");
    run.link(Path::Punched, 30);
    assert_eq!(run.ladder.outcome(), Some(AttemptOutcome::Connected));
}

#[test]
fn an_invitation_that_is_not_passed_on_goes_by_another_way() {
    let mut run = Run::start(behind(NatType::Symmetric, NatType::Symmetric), Plan::ALL);
    run.ladder.on_reserved(Ok(relay(RELAY_ONE)), at(5), &mut run.out);
    run.asked(2);
    run.answer(Some(candidate(3)), 10);
    run.answer(Some(candidate(4)), 10);
    let unknown = || Consent::Elsewhere(Reason::UnknownTarget);
    run.ladder.on_invite_answer(PeerId([3; 32]), unknown(), at(20), &mut run.out);
    assert!(run.out.contains(&LadderOut::Invite { via: PeerId([4; 32]), relay: relay(RELAY_ONE) }));
    run.ladder.on_invite_answer(PeerId([4; 32]), unknown(), at(30), &mut run.out);
    assert_eq!(run.stage(StageKind::Relay), (StageOutcome::Failed, Some(Reason::UnknownTarget)));
    run.pass(2_000);
    assert!(run.over(), "with the dials behind it");
}

/// A ladder that needs an invitation, and two who could pass it on.
fn inviting() -> Run {
    let mut run = Run::start(behind(NatType::Symmetric, NatType::Symmetric), Plan::ALL);
    run.ladder.on_reserved(Ok(relay(RELAY_ONE)), at(5), &mut run.out);
    run.asked(2);
    run.answer(Some(candidate(3)), 10);
    run.answer(Some(candidate(4)), 10);
    run
}

impl Run {
    fn refuse_invitation(&mut self, from: u8, ms: u64) {
        let busy = Consent::Elsewhere(Reason::RateLimited);
        self.ladder.on_invite_answer(PeerId([from; 32]), busy, at(ms), &mut self.out);
    }

    /// Who was asked to pass our invitation on, in order.
    fn invited_via(&self) -> Vec<u8> {
        let via = self.out.iter().filter_map(|o| match o {
            LadderOut::Invite { via, .. } => Some(via.0[0]),
            _ => None,
        });
        via.collect()
    }
}

#[test]
fn an_invitation_that_all_refuse_by_rate_is_tried_again_and_the_target_comes() {
    let mut run = inviting();
    run.refuse_invitation(3, 20);
    run.refuse_invitation(4, 30);
    assert_eq!(run.stage(StageKind::Relay).0, StageOutcome::Running, "it does not fail at once");
    run.pass(1_029);
    assert_eq!(run.invited_via(), [3, 4], "not before somebody has made room");
    assert_eq!(run.ladder.next_timeout(), Some(at(1_030).mono));
    run.pass(1_030);
    assert_eq!(run.invited_via(), [3, 4, 3]);
    run.ladder.on_link(Path::Relayed, false, at(1_100), &mut run.out);
    assert_eq!(run.ladder.outcome(), Some(AttemptOutcome::Connected));
    assert!(run.over());
}

#[test]
fn an_invitation_is_tried_again_by_those_alone_who_refused_by_rate() {
    let mut run = inviting();
    run.refuse_invitation(3, 20);
    let gone = Consent::Elsewhere(Reason::UnknownTarget);
    run.ladder.on_invite_answer(PeerId([4; 32]), gone, at(30), &mut run.out);
    run.pass(1_030);
    run.refuse_invitation(3, 1_040);
    run.pass(2_040);
    assert_eq!(run.invited_via(), [3, 4, 3, 3]);
}

#[test]
fn an_invitation_that_is_refused_by_rate_all_the_time_ends_with_the_attempt() {
    let mut run = inviting();
    let mut ms = 20;
    while !run.over() && ms < 60_000 {
        let via = run.invited_via();
        run.refuse_invitation(via[via.len() - 1], ms);
        ms += 500;
        run.pass(ms);
    }
    assert_eq!(run.stage(StageKind::Relay), (StageOutcome::Failed, Some(Reason::RateLimited)));
    assert!((28_000..=31_000).contains(&ms), "after {ms} ms");
}

#[test]
fn a_target_that_agreed_is_waited_for_from_then_on() {
    let mut run = inviting();
    let agreed = Consent::Agreed(addr(5000));
    run.ladder.on_invite_answer(PeerId([3; 32]), agreed, at(2_010), &mut run.out);
    run.pass(10_009);
    assert_eq!(run.invited_via(), [3], "it is on its way");
    run.pass(10_010);
    assert_eq!(run.invited_via(), [3, 4], "its dial may have been lost: it is invited again");
}

#[test]
fn an_invitation_that_nobody_answers_goes_by_another_way_and_then_the_same_again() {
    let mut run = inviting();
    run.pass(5_010);
    assert_eq!(run.invited_via(), [3, 4]);
    let silent = Consent::Elsewhere(Reason::timed_out(Duration::from_secs(2)));
    run.ladder.on_invite_answer(PeerId([4; 32]), silent, at(7_000), &mut run.out);
    run.pass(8_000);
    assert_eq!(run.invited_via(), [3, 4, 3], "it was the target that did not answer");
}

#[test]
fn a_target_that_agrees_and_never_comes_is_given_up_with_the_attempt() {
    let mut run = inviting();
    let (mut ms, mut agreed) = (20, 0);
    while !run.over() && ms < 90_000 {
        if run.invited_via().len() > agreed {
            agreed += 1;
            let via = PeerId([run.invited_via()[agreed - 1]; 32]);
            run.ladder.on_invite_answer(via, Consent::Agreed(addr(5000)), at(ms), &mut run.out);
        }
        ms += 500;
        run.pass(ms);
    }
    // All that the stage took, whatever was waited for in it: one stage, one time.
    let (outcome, reason) = run.stage(StageKind::Relay);
    let took =
        run.ladder.report().stages.iter().rev().find(|s| s.stage == StageKind::Relay).unwrap().elapsed_ms;
    assert_eq!((outcome, reason), (StageOutcome::Failed, took.map(|after_ms| Reason::TimedOut { after_ms })));
    assert!((29_000..=38_000).contains(&ms), "after {ms} ms");
}

#[test]
fn a_target_whose_reservations_lead_nowhere_is_invited_to_ours() {
    let there = Target { relays: vec![relay(RELAY_ONE)], ..behind(NatType::Symmetric, NatType::Symmetric) };
    let mut run = Run::start(there, Plan::ALL);
    run.fail(run.lane(), &NO_ANSWER, 300);
    assert!(run.out.contains(&LadderOut::AskWhoHas) && run.out.contains(&LadderOut::Reserve));
    let relays: Vec<_> = run.stages().into_iter().filter(|(s, ..)| *s == StageKind::Relay).collect();
    assert_eq!(relays[0].1, StageOutcome::Failed, "what was tried stays told");
    run.ladder.on_reserved(Ok(relay(RELAY_TWO)), at(310), &mut run.out);
    run.answer(Some(candidate(3)), 320);
    assert_eq!(run.invited_via(), [3]);
    run.ladder.on_link(Path::Relayed, false, at(400), &mut run.out);
    assert_eq!(run.stage(StageKind::Relay).0, StageOutcome::Ok);
}

#[test]
fn a_punch_that_all_refuse_by_rate_is_tried_again_where_there_is_no_relay() {
    let mut run = Run::start(behind(NatType::PortRestricted, NatType::PortRestricted), Plan::ALL);
    run.asked(1);
    run.answer(Some(candidate(3)), 10);
    let busy = || Consent::Elsewhere(Reason::RateLimited);
    run.ladder.on_consent(PeerId([3; 32]), busy(), at(20), &mut run.out);
    run.ladder.on_reserved(Err(Reason::NoRelay), at(30), &mut run.out);
    run.pass(4_019);
    assert_eq!(run.ladder.outcome(), None);
    let requests = |run: &Run| run.out.iter().filter(|o| matches!(o, LadderOut::RequestPunch(_))).count();
    assert_eq!(requests(&run), 1);
    run.pass(4_020);
    assert_eq!(requests(&run), 2, "when the pair may ask again");
    let mut ms = 4_020;
    while !run.over() && ms < 60_000 {
        run.ladder.on_consent(PeerId([3; 32]), busy(), at(ms + 10), &mut run.out);
        ms += 1_000;
        run.pass(ms);
    }
    assert!((24_000..=31_000).contains(&ms), "not for ever: {ms}");
    assert_eq!(run.stage(StageKind::Punch), (StageOutcome::Failed, Some(Reason::RateLimited)));
}

#[test]
fn a_reservation_that_is_long_in_coming_is_asked_for_again() {
    let mut run = Run::start(behind(NatType::Symmetric, NatType::Symmetric), Plan::ALL);
    let asked = |run: &Run| run.out.iter().filter(|o| **o == LadderOut::Reserve).count();
    assert_eq!(asked(&run), 1);
    run.asked(1);
    run.answer(Some(candidate(3)), 10);
    run.pass(5_000);
    assert_eq!((asked(&run), run.stage(StageKind::Relay).0), (2, StageOutcome::Running));
    run.ladder.on_reserved(Ok(relay(RELAY_ONE)), at(5_500), &mut run.out);
    assert_eq!(run.invited_via(), [3]);
}

#[test]
fn without_a_family_in_common_nothing_is_dialled_and_whoever_sees_the_target_passes_an_invitation_on() {
    let witness = PeerId([7; 32]);
    let apart = NatPair { apart: true, ..NatPair::default() };
    let mut run = Run::start(Target { nat_pair: apart, ..target(&[addr(1)]) }, Plan::ALL);
    assert!(run.dials().is_empty());
    for stage in [StageKind::Direct, StageKind::Punch] {
        assert_eq!(run.stage(stage), (StageOutcome::Skipped, Some(Reason::NoCommonFamily)));
    }
    assert!(run.out.contains(&LadderOut::AskWhoHas) && run.out.contains(&LadderOut::Reserve));
    run.asked(1);
    // It sees the target in a family in which no punch can be aimed.
    run.ladder.on_answer(witness, (true, None), at(5), &mut run.out);
    run.ladder.on_reserved(Ok(relay(witness)), at(6), &mut run.out);
    assert!(run.out.contains(&LadderOut::Invite { via: witness, relay: relay(witness) }));
    run.ladder.on_link(Path::Relayed, false, at(20), &mut run.out);
    assert_eq!(run.ladder.outcome(), Some(AttemptOutcome::Connected));
}

#[test]
fn a_target_without_reservation_is_invited_to_ours() {
    let mut run = Run::start(behind(NatType::Symmetric, NatType::Symmetric), Plan::ALL);
    assert!(run.out.contains(&LadderOut::Reserve) && run.out.contains(&LadderOut::AskWhoHas));
    run.ladder.on_reserved(Ok(relay(RELAY_ONE)), at(5), &mut run.out);
    assert!(!run.out.iter().any(|o| matches!(o, LadderOut::Invite { .. })), "nobody to pass it on yet");
    run.asked(1);
    run.answer(Some(candidate(3)), 10);
    assert!(run.out.contains(&LadderOut::Invite { via: PeerId([3; 32]), relay: relay(RELAY_ONE) }));
    // The target dials us, so the connection is not ours; it counts all the same.
    run.ladder.on_link(Path::Relayed, false, at(40), &mut run.out);
    assert_eq!(run.ladder.outcome(), Some(AttemptOutcome::Connected));
    assert!(run.over());
}

#[test]
fn a_second_reservation_is_dialled_when_the_first_fails_or_is_slow() {
    for fails in [true, false] {
        let relays = vec![relay(RELAY_ONE), relay(RELAY_TWO)];
        let there = Target { relays, ..behind(NatType::Symmetric, NatType::Symmetric) };
        let mut run = Run::start(there, Plan::ALL);
        let first = run.lane();
        if fails {
            run.fail(first, &NO_ANSWER, 50);
        } else {
            run.pass(300);
        }
        let second = run.lane();
        assert_ne!(first, second);
        run.ladder.on_dialled(second, PEER, at(350), &mut run.out);
        assert!(run.out.contains(&LadderOut::UseLane(second)));
        assert_eq!(run.out.contains(&LadderOut::Cancel(first)), !fails);
    }
}

#[test]
fn on_loopback_the_punch_is_skipped_with_the_reason() {
    let nat_pair = NatPair { loopback: true, ..NatPair::default() };
    let run = Run::start(Target { nat_pair, ..target(&[([127, 0, 0, 1], 9).into()]) }, Plan::PUNCH);
    assert_eq!(run.stage(StageKind::Punch), (StageOutcome::Skipped, Some(Reason::LoopbackCannotBePunched)));
    assert_eq!(run.ladder.outcome(), Some(AttemptOutcome::Unreachable));
    assert_eq!(run.ladder.decisive_reason(), Some(Reason::LoopbackCannotBePunched));
}

#[test]
fn without_anybody_to_ask_every_stage_has_its_reason_and_the_attempt_ends() {
    let mut run = Run::start(target(&[]), Plan::ALL);
    run.asked(0);
    run.ladder.on_reserved(Err(Reason::NoRelay), at(1), &mut run.out);
    assert_eq!(run.ladder.outcome(), Some(AttemptOutcome::Unreachable));
    let reasons: Vec<_> = run.stages().into_iter().filter_map(|(.., reason)| reason).collect();
    assert_eq!(reasons, [Reason::NoAddress, Reason::NoIntermediary, Reason::NoRelay]);
    assert!(run.over());
}

#[test]
fn the_punch_goes_through_the_best_and_a_rate_limit_sends_it_to_the_next() {
    let mut run = Run::start(target(&[addr(1)]), Plan::PUNCH);
    run.asked(2);
    run.answer(Some(candidate(4)), 1);
    run.answer(Some(candidate(3)), 2);
    assert_eq!(run.requested(), Some(3));
    let busy = Consent::Elsewhere(Reason::RateLimited);
    run.ladder.on_consent(PeerId([3; 32]), busy, at(10), &mut run.out);
    assert_eq!(run.requested(), Some(4));
    let gone = Consent::Elsewhere(Reason::UnknownTarget);
    run.ladder.on_consent(PeerId([4; 32]), gone, at(20), &mut run.out);
    run.pass(4_010);
    assert_eq!(run.requested(), Some(3), "and back to it when it may be asked again");
    let no = Consent::Refused(Reason::NoConsent);
    run.ladder.on_consent(PeerId([3; 32]), no, at(4_020), &mut run.out);
    assert_eq!(run.ladder.outcome(), Some(AttemptOutcome::Unreachable));
    let rounds = run.stages().into_iter().filter(|(s, ..)| *s == StageKind::Punch).count();
    assert_eq!(rounds, 3, "each round with its reason");
}

#[test]
fn a_verified_public_intermediary_is_not_kept_waiting_for_the_slow_ones() {
    let mut run = Run::start(target(&[addr(1)]), Plan::PUNCH);
    run.asked(5);
    run.answer(Some(Candidate { verified_public: true, ..candidate(9) }), 2);
    assert_eq!(run.requested(), None);
    run.pass(12);
    assert_eq!(run.requested(), Some(9));
}

#[test]
fn a_home_of_the_target_is_asked_at_once_and_everybody_where_it_is_none() {
    let there = Target { homes: vec![candidate(6), candidate(5)], ..target(&[addr(1)]) };
    let mut run = Run::start(there, Plan::PUNCH);
    assert_eq!(run.requested(), Some(5));
    assert!(!run.out.contains(&LadderOut::AskWhoHas));
    let gone = || Consent::Elsewhere(Reason::UnknownTarget);
    run.ladder.on_consent(PeerId([5; 32]), gone(), at(10), &mut run.out);
    assert_eq!(run.requested(), Some(6));
    run.ladder.on_consent(PeerId([6; 32]), gone(), at(20), &mut run.out);
    assert!(run.out.contains(&LadderOut::AskWhoHas), "what it said is out of date");
    run.asked(1);
    run.answer(Some(candidate(7)), 30);
    assert_eq!(run.requested(), Some(7));
    run.ladder.on_consent(PeerId([7; 32]), gone(), at(40), &mut run.out);
    assert!(run.over(), "once");
}

#[test]
fn any_other_intermediary_waits_for_better_ones_as_long_again_as_it_took() {
    let mut run = Run::start(target(&[addr(1)]), Plan::PUNCH);
    run.asked(5);
    run.answer(Some(candidate(9)), 80);
    run.pass(159);
    assert_eq!(run.requested(), None);
    run.pass(160);
    assert_eq!(run.requested(), Some(9));
}

#[test]
fn a_target_that_takes_no_punches_ends_the_stage() {
    let mut run = Run::start(target(&[addr(1)]), Plan::PUNCH);
    run.asked(1);
    run.answer(Some(candidate(3)), 1);
    let refused = Consent::Refused(Reason::NoConsent);
    run.ladder.on_consent(PeerId([3; 32]), refused, at(5), &mut run.out);
    assert_eq!(run.stage(StageKind::Punch), (StageOutcome::Failed, Some(Reason::NoConsent)));
    assert!(run.over());
}

#[test]
fn an_answer_of_somebody_who_was_not_asked_is_ignored() {
    let mut run = Run::start(target(&[addr(1)]), Plan::PUNCH);
    run.asked(1);
    run.answer(Some(candidate(3)), 1);
    run.agree(8, 5);
    assert_eq!(run.ladder.path_now(), Path::Direct);
}

/// A punch that a target with that NAT has just agreed to.
fn punching(ours: NatType) -> Run {
    let mut run = Run::start(behind(ours, NatType::AddressRestricted), Plan::PUNCH);
    run.asked(1);
    run.answer(Some(candidate(3)), 2);
    run.agree(3, 50);
    run
}

#[test]
fn our_nat_is_opened_towards_the_target_before_it_hears_of_us() {
    let mut run = Run::start(target(&[addr(1)]), Plan::PUNCH);
    run.asked(1);
    run.answer(Some(candidate(3)), 2);
    let punch =
        run.out.iter().position(|o| matches!(o, LadderOut::Punch { addr: to, .. } if *to == addr(5000)));
    let asked = run.out.iter().position(|o| matches!(o, LadderOut::RequestPunch(_)));
    assert!(punch.is_some() && punch < asked, "{:?}", run.out);
}

#[test]
fn a_dial_that_goes_on_behind_the_direct_stage_opens_our_nat_as_well() {
    let there = Target { addresses: vec![addr(5000)], ..behind(NatType::FullCone, NatType::PortRestricted) };
    let mut run = Run::start(there, Plan::ALL);
    run.asked(1);
    run.answer(Some(candidate(3)), 2);
    assert_eq!(run.requested(), Some(3));
    assert_eq!(run.dials().len(), 1, "no second dial to the same address");
}

#[test]
fn a_target_whose_dial_comes_in_is_not_dialled_across_it() {
    let mut run = punching(NatType::PortRestricted);
    assert_eq!(run.punches().len(), 1);
    run.pass(549);
    assert_eq!(run.punches().len(), 1);
    run.pass(550);
    assert_eq!(run.punches().len(), 2, "it did not come: we dial afresh");
    assert!(run.out.contains(&LadderOut::Cancel(run.punches()[0])));
}

#[test]
fn behind_a_nat_that_keeps_the_target_out_we_dial_as_soon_as_it_agrees() {
    for ours in [NatType::Symmetric, NatType::Unknown] {
        let run = punching(ours);
        assert_eq!(run.punches().len(), 2, "{ours}");
        assert!(run.out.contains(&LadderOut::Cancel(run.punches()[0])), "its first packet was lost");
    }
}

#[test]
fn a_punching_dial_that_fails_is_repeated_and_one_that_finds_somebody_else_is_not() {
    let mut run = punching(NatType::Symmetric);
    run.fail(run.punches()[1], &NO_ANSWER, 100);
    assert_eq!(run.ladder.outcome(), None);
    run.pass(600);
    assert_eq!(run.punches().len(), 3);
    run.ladder.on_refused(&Reason::Closed { close: Some(CloseCode::Replaced) }, at(700), &mut run.out);
    assert_eq!(run.ladder.outcome(), None, "it lost against the connection that becomes the link");
    run.pass(1200);
    let somebody = Reason::WrongIdentity { got: PeerId([9; 32]) };
    run.fail(run.punches()[3], &somebody, 1300);
    assert_eq!(run.stage(StageKind::Punch), (StageOutcome::Failed, Some(somebody)));
    assert!(run.over());
}

#[test]
fn a_punching_dial_that_nobody_answered_is_told_by_the_window_it_filled() {
    let mut run = punching(NatType::Symmetric);
    run.fail(run.punches()[1], &NO_ANSWER, 29_990);
    run.pass(30_100);
    assert!(matches!(run.stage(StageKind::Punch).1, Some(Reason::TimedOut { after_ms: 30_000.. })));
}

#[test]
fn a_punch_gives_up_after_thirty_seconds() {
    let mut run = Run::start(target(&[addr(1)]), Plan::PUNCH);
    run.asked(1);
    run.answer(Some(candidate(3)), 0);
    run.agree(3, 0);
    run.pass(29_999);
    assert_eq!(run.ladder.outcome(), None);
    run.pass(30_000);
    assert_eq!(run.ladder.outcome(), Some(AttemptOutcome::Unreachable));
    assert!(matches!(run.stage(StageKind::Punch).1, Some(Reason::TimedOut { after_ms: 30_000.. })));
}

#[test]
fn a_link_ends_the_attempt_connected_and_calls_off_the_other_dials() {
    let mut run = Run::start(target(&[addr(1), addr(2)]), Plan::ALL);
    run.ladder.on_dialled(run.dials()[0], PEER, at(5), &mut run.out);
    run.link(Path::Direct, 7);
    assert_eq!(run.ladder.outcome(), Some(AttemptOutcome::Connected));
    assert_eq!(run.ladder.report().elapsed_ms, Some(7));
    assert_eq!(run.out.iter().filter(|o| matches!(o, LadderOut::Cancel(_))).count(), 2);
    assert!(run.over());
}

#[test]
fn when_the_peer_came_to_us_first_the_attempt_is_not_counted() {
    let mut run = Run::start(target(&[addr(1)]), Plan::ALL);
    run.ladder.on_link(Path::Direct, false, at(7), &mut run.out);
    assert_eq!(run.ladder.outcome(), Some(AttemptOutcome::Abandoned));
    assert_eq!(run.stage(StageKind::Direct), (StageOutcome::Skipped, Some(Reason::InboundWon)));
}

#[test]
fn a_connection_of_another_network_makes_the_peer_unreachable_with_that_reason() {
    let mut run = Run::start(target(&[addr(1)]), Plan::ALL);
    let reason = Reason::Closed { close: Some(CloseCode::Network) };
    run.ladder.on_refused(&reason, at(9), &mut run.out);
    assert_eq!(run.ladder.outcome(), Some(AttemptOutcome::Unreachable));
    assert_eq!(run.ladder.decisive_reason(), Some(reason));
    assert!(run.over());
}

#[test]
fn a_connection_that_lost_against_another_to_the_same_peer_is_no_failure() {
    let mut run = Run::start(target(&[addr(1)]), Plan::ALL);
    run.ladder.on_dialled(run.dials()[0], PEER, at(5), &mut run.out);
    run.ladder.on_refused(&Reason::Closed { close: None }, at(9), &mut run.out);
    assert_eq!(run.ladder.outcome(), None);
    run.ladder.on_link(Path::Direct, false, at(12), &mut run.out);
    assert_eq!(run.ladder.outcome(), Some(AttemptOutcome::Abandoned), "the other one is the link");

    let mut run = Run::start(target(&[addr(1)]), Plan::DIRECT);
    run.ladder.on_refused(&Reason::Closed { close: Some(CloseCode::Replaced) }, at(9), &mut run.out);
    run.pass(509);
    assert_eq!(run.dials().len(), 2, "where there is no other one it is dialled again");
    run.ladder.on_refused(&Reason::Closed { close: None }, at(1900), &mut run.out);
    assert_eq!(run.stage(StageKind::Direct).1, Some(Reason::Closed { close: None }), "until the window ends");
}

proptest::proptest! {
    /// Whatever happens in whatever order, an attempt is decided once, is over
    /// once, and leaves no stage running.
    #[test]
    fn every_attempt_ends_exactly_once(
        steps in proptest::collection::vec((0u8..15, 0u64..3000), 0..60),
        nats in (0usize..6, 0usize..6),
        relays in 0usize..3,
        all in proptest::bool::ANY,
    ) {
        const NATS: [NatType; 6] = [
            NatType::None, NatType::FullCone, NatType::AddressRestricted,
            NatType::PortRestricted, NatType::Symmetric, NatType::Unknown,
        ];
        let there = Target {
            relays: [relay(RELAY_ONE), relay(RELAY_TWO)][..relays].to_vec(),
            homes: [candidate(1), candidate(2)][..relays].to_vec(),
            ..behind(NATS[nats.0], NATS[nats.1])
        };
        let mut run = Run::start(there, if all { Plan::ALL } else { Plan::UPGRADE });
        let mut ms = 0;
        for (step, wait) in steps.into_iter().chain(std::iter::repeat_n((0, 40_000), 6)) {
            ms += wait;
            let known = run.dials();
            let dial = known.get(ms as usize % known.len().max(1)).copied();
            let now = at(ms);
            let id = (wait % 7) as u8 + 1;
            match (step, dial) {
                (1, Some(dial)) => run.fail(dial, &NO_ANSWER, ms),
                (2, Some(dial)) => run.fail(dial, &Reason::RateLimited, ms),
                (3, _) => run.answer(Some(candidate(id)), ms),
                (4, _) => run.answer(None, ms),
                (5, _) => run.ladder.on_asked(2, now, &mut run.out),
                (6, Some(dial)) => run.ladder.on_dialled(dial, PEER, now, &mut run.out),
                (7, _) if wait < 100 => run.ladder.on_link(Path::Direct, wait < 50, now, &mut run.out),
                (8, _) if wait < 500 => run.link(Path::Relayed, ms),
                (9, _) if wait < 100 => run.link(Path::Punched, ms),
                (10, _) => run.agree(id, ms),
                (11, _) => run.ladder.on_reserved(Ok(relay(RELAY_ONE)), now, &mut run.out),
                (12, _) => {
                    let no = Consent::Elsewhere(Reason::UnknownTarget);
                    run.ladder.on_consent(PeerId([id; 32]), no, now, &mut run.out);
                }
                (14, _) if wait < 1500 => run.refuse_invitation(id, ms),
                (14, _) => {
                    let agreed = Consent::Agreed(addr(5000));
                    run.ladder.on_invite_answer(PeerId([id; 32]), agreed, now, &mut run.out);
                }
                (13, _) => run.ladder.on_refused(&Reason::Closed { close: None }, now, &mut run.out),
                _ => run.pass(ms),
            }
        }
        let count = |f: fn(&LadderOut) -> bool| run.out.iter().filter(|o| f(o)).count();
        proptest::prop_assert_eq!(count(|o| matches!(o, LadderOut::Decided(_))), 1);
        proptest::prop_assert_eq!(count(|o| matches!(o, LadderOut::Over)), 1);
        proptest::prop_assert!(run.stages().iter().all(|(_, o, _)| *o != StageOutcome::Running), "{:?}", run.stages());
        proptest::prop_assert_eq!(run.ladder.next_timeout(), None);
    }
}

#[test]
fn the_wanted_family_is_dialled_a_moment_before_the_other() {
    let six: SocketAddr = "[2001:2::1]:9000".parse().unwrap();
    let dialled = |run: &Run| -> Vec<SocketAddr> {
        let addr = |o: &LadderOut| if let LadderOut::Dial { addr, .. } = o { Some(*addr) } else { None };
        run.out.iter().filter_map(addr).collect()
    };
    let both = |first| Target { first, ..target(&[addr(1), six]) };
    let mut run = Run::start(both(Some(Family::V6)), Plan::ALL);
    assert_eq!(dialled(&run), [six]);
    assert_eq!(run.ladder.next_timeout(), Some(at(250).mono));
    run.ladder.on_timeout(at(250), &mut run.out);
    assert_eq!(dialled(&run), [six, addr(1)]);
    let mut failed = Run::start(both(Some(Family::V6)), Plan::ALL);
    let dial = failed.dials()[0];
    failed.ladder.on_dial_failed(dial, &NO_ANSWER, at(10), &mut failed.out);
    failed.ladder.on_timeout(at(10), &mut failed.out);
    assert_eq!(dialled(&failed), [six, addr(1)], "at once where nobody is waited for");
    assert_eq!(dialled(&Run::start(both(None), Plan::ALL)), [addr(1), six], "at once");
    let four = Target { first: Some(Family::V6), ..target(&[addr(1)]) };
    assert_eq!(dialled(&Run::start(four, Plan::ALL)), [addr(1)], "nothing to wait for");
    let behind = Target {
        addresses: vec![addr(1), six],
        first: Some(Family::V6),
        ..behind(NatType::Symmetric, NatType::Symmetric)
    };
    assert_eq!(dialled(&Run::start(behind, Plan::ALL)).len(), 2, "nobody waits for these");
}

#[test]
fn two_symmetric_nats_are_punched_by_ipv6_through_who_sees_us_there() {
    let six: SocketAddr = "[2001:2::1]:9000".parse().unwrap();
    let nats =
        NatPair { ipv6: true, ours: NatType::Symmetric, theirs: NatType::Symmetric, ..NatPair::default() };
    let home = |id, target| Candidate { target, ..candidate(id) };
    let there = |homes| Target { homes, nat_pair: nats, ..target(&[addr(1), six]) };
    let run = Run::start(there(vec![home(5, addr(1)), home(6, six)]), Plan::ALL);
    let asked = |run: &Run| -> Vec<u8> {
        let via = |o: &LadderOut| if let LadderOut::RequestPunch(c) = o { Some(c.peer.0[0]) } else { None };
        run.out.iter().filter_map(via).collect()
    };
    assert_eq!(asked(&run), [6]);
    let mut run = run;
    // It sees the target by IPv4, which leads nowhere: we still aim by IPv6.
    run.ladder.on_consent(PeerId([6; 32]), Consent::Agreed(addr(77)), at(10), &mut run.out);
    run.ladder.on_timeout(at(10 + 500), &mut run.out);
    let punches =
        run.out.iter().filter_map(|o| if let LadderOut::Punch { addr, .. } = o { Some(*addr) } else { None });
    assert!(punches.clone().all(|at| at == six), "{:?}", punches.collect::<Vec<_>>());
    let none = Run::start(there(vec![home(5, addr(1))]), Plan::ALL);
    assert_eq!(asked(&none), [0u8; 0], "who sees us by IPv4 alone is of no use");
}
