use super::*;
use crate::model::CloseCode;

const PEER: PeerId = PeerId([7; 32]);
const WINDOW: Duration = Duration::from_secs(2);

fn addr(port: u16) -> SocketAddr {
    ([198, 18, 0, 1], port).into()
}

fn at(ms: u64) -> Now {
    Now::START.plus(Duration::from_millis(ms))
}

fn start(addresses: &[SocketAddr], plan: Plan) -> (Ladder, Vec<LadderOut>) {
    let mut out = Vec::new();
    let target = Target { peer: Some(PEER), addresses: addresses.to_vec() };
    let ladder = Ladder::start(AttemptId(1), target, Cause::Operator, plan, WINDOW, at(0), &mut out);
    (ladder, out)
}

fn dials(out: &[LadderOut]) -> Vec<DialId> {
    out.iter()
        .filter_map(|o| match o {
            LadderOut::Dial { dial, .. } | LadderOut::Punch { dial, .. } => Some(*dial),
            _ => None,
        })
        .collect()
}

fn stages(ladder: &Ladder) -> Vec<(StageKind, StageOutcome, Option<Reason>)> {
    ladder.report().stages.into_iter().map(|s| (s.stage, s.outcome, s.reason)).collect()
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

const NO_ANSWER: Reason = Reason::NoAnswer { addresses: 1 };

#[test]
fn every_known_address_is_dialled_at_once() {
    let (_, out) = start(&[addr(1), addr(2), addr(3)], Plan::ALL);
    assert_eq!(dials(&out).len(), 3);
}

#[test]
fn a_dial_that_fails_fast_is_dialled_again_while_the_window_lasts() {
    let (mut ladder, out) = start(&[addr(1)], Plan::DIRECT);
    let dial = dials(&out)[0];
    let mut out = Vec::new();
    ladder.on_dial_failed(dial, &NO_ANSWER, at(10), &mut out);
    assert_eq!(ladder.next_timeout(), Some(at(510).mono));
    ladder.on_timeout(at(510), &mut out);
    assert_eq!(dials(&out), [dial]);
    assert_eq!(ladder.outcome(), None);
}

#[test]
fn a_dial_that_found_somebody_else_is_not_repeated() {
    let (mut ladder, out) = start(&[addr(1)], Plan::DIRECT);
    let got = PeerId([9; 32]);
    let mut more = Vec::new();
    ladder.on_dialled(dials(&out)[0], got, at(10), &mut more);
    assert_eq!(ladder.outcome(), Some(AttemptOutcome::Unreachable));
    assert_eq!(stages(&ladder)[0].2, Some(Reason::WrongIdentity { got }));
}

#[test]
fn a_silent_target_is_waited_for_no_longer_than_the_window() {
    let (mut ladder, _) = start(&[addr(1), addr(2)], Plan::ALL);
    let mut out = Vec::new();
    ladder.on_timeout(at(1999), &mut out);
    assert_eq!(ladder.outcome(), None);
    ladder.on_timeout(at(2000), &mut out);
    assert!(out.contains(&LadderOut::AskWhoHas));
    assert_eq!(stages(&ladder)[0].2, Some(Reason::NoAnswer { addresses: 2 }));
    assert_eq!(out.iter().filter(|o| matches!(o, LadderOut::Cancel(_))).count(), 2);
}

#[test]
fn what_a_dial_said_before_its_last_repetition_is_not_lost() {
    let (mut ladder, out) = start(&[addr(1)], Plan::DIRECT);
    let said = Reason::Handshake { detail: "no".into() };
    let mut more = Vec::new();
    ladder.on_dial_failed(dials(&out)[0], &said, at(10), &mut more);
    ladder.on_timeout(at(510), &mut more);
    ladder.on_timeout(at(2000), &mut more);
    assert_eq!(stages(&ladder)[0].2, Some(said));
}

#[test]
fn a_peer_without_address_goes_straight_to_the_punch() {
    let (ladder, out) = start(&[], Plan::ALL);
    assert!(out.contains(&LadderOut::AskWhoHas));
    assert_eq!(stages(&ladder)[0], (StageKind::Direct, StageOutcome::Skipped, Some(Reason::NoAddress)));
}

#[test]
fn on_loopback_the_punch_is_skipped_with_the_reason() {
    let (ladder, _) = start(&[([127, 0, 0, 1], 9).into()], Plan::PUNCH);
    assert_eq!(
        stages(&ladder)[1],
        (StageKind::Punch, StageOutcome::Skipped, Some(Reason::LoopbackCannotBePunched))
    );
    assert_eq!(ladder.outcome(), Some(AttemptOutcome::Unreachable));
}

#[test]
fn without_an_intermediary_every_stage_has_its_reason_and_the_attempt_ends() {
    let (mut ladder, _) = start(&[], Plan::ALL);
    let mut out = Vec::new();
    ladder.on_asked(0, at(1), &mut out);
    assert_eq!(ladder.outcome(), Some(AttemptOutcome::Unreachable));
    assert_eq!(stages(&ladder)[1].2, Some(Reason::NoIntermediary));
    assert_eq!(stages(&ladder)[2].2, Some(Reason::NoRelay));
}

#[test]
fn the_punch_goes_through_the_best_and_a_rate_limit_sends_it_to_the_next() {
    let (mut ladder, _) = start(&[addr(1)], Plan::PUNCH);
    let mut out = Vec::new();
    ladder.on_asked(2, at(0), &mut out);
    ladder.on_answer(Some(candidate(4)), at(1), &mut out);
    ladder.on_answer(Some(candidate(3)), at(2), &mut out);
    let via = |out: &[LadderOut]| {
        out.iter().rev().find_map(|o| match o {
            LadderOut::Punch { via, dial, .. } => Some((via.peer.0[0], *dial)),
            _ => None,
        })
    };
    let (first, dial) = via(&out).unwrap();
    assert_eq!(first, 3);
    ladder.on_dial_failed(dial, &Reason::RateLimited, at(10), &mut out);
    let (second, dial) = via(&out).unwrap();
    assert_eq!(second, 4);
    ladder.on_dial_failed(dial, &Reason::UnknownTarget, at(20), &mut out);
    assert_eq!(ladder.outcome(), Some(AttemptOutcome::Unreachable));
}

#[test]
fn a_punch_gives_up_after_thirty_seconds() {
    let (mut ladder, _) = start(&[addr(1)], Plan::PUNCH);
    let mut out = Vec::new();
    ladder.on_asked(1, at(0), &mut out);
    ladder.on_answer(Some(candidate(3)), at(0), &mut out);
    assert_eq!(ladder.path_now(), Path::Punched);
    ladder.on_timeout(at(29_999), &mut out);
    assert_eq!(ladder.outcome(), None);
    ladder.on_timeout(at(30_000), &mut out);
    assert_eq!(ladder.outcome(), Some(AttemptOutcome::Unreachable));
    assert_eq!(stages(&ladder)[1].2, Some(Reason::TimedOut { after_ms: 30_000 }));
}

#[test]
fn a_link_ends_the_attempt_connected_and_calls_off_the_other_dials() {
    let (mut ladder, out) = start(&[addr(1), addr(2)], Plan::ALL);
    let mut more = Vec::new();
    ladder.on_dialled(dials(&out)[0], PEER, at(5), &mut more);
    ladder.on_link_up(Path::Direct, true, at(7), &mut more);
    assert_eq!(ladder.outcome(), Some(AttemptOutcome::Connected));
    assert_eq!(ladder.report().elapsed_ms, Some(7));
    assert_eq!(more.iter().filter(|o| matches!(o, LadderOut::Cancel(_))).count(), 2);
}

#[test]
fn when_the_peer_came_to_us_first_the_attempt_is_not_counted() {
    let (mut ladder, _) = start(&[addr(1)], Plan::ALL);
    ladder.on_link_up(Path::Direct, false, at(7), &mut Vec::new());
    assert_eq!(ladder.outcome(), Some(AttemptOutcome::Abandoned));
}

#[test]
fn a_connection_of_another_network_makes_the_peer_unreachable_with_that_reason() {
    let (mut ladder, _) = start(&[addr(1)], Plan::ALL);
    let reason = Reason::Closed { close: Some(CloseCode::Network) };
    ladder.on_refused(&reason, at(9), &mut Vec::new());
    assert_eq!(ladder.outcome(), Some(AttemptOutcome::Unreachable));
    assert_eq!(ladder.telling_reason(), Some(&reason));
}

#[test]
fn a_connection_that_lost_against_another_to_the_same_peer_is_no_failure() {
    let (mut ladder, first) = start(&[addr(1)], Plan::ALL);
    ladder.on_dialled(dials(&first)[0], PEER, at(5), &mut Vec::new());
    ladder.on_refused(&Reason::Closed { close: None }, at(9), &mut Vec::new());
    assert_eq!(ladder.outcome(), None);
    ladder.on_link_up(Path::Direct, false, at(12), &mut Vec::new());
    assert_eq!(ladder.outcome(), Some(AttemptOutcome::Abandoned), "the other one is the link");

    let (mut ladder, _) = start(&[addr(1)], Plan::ALL);
    let mut out = Vec::new();
    ladder.on_refused(&Reason::Closed { close: Some(CloseCode::Replaced) }, at(9), &mut out);
    ladder.on_timeout(at(509), &mut out);
    assert_eq!(dials(&out).len(), 1, "where there is no other one it is dialled again");
    ladder.on_refused(&Reason::Closed { close: None }, at(1900), &mut out);
    assert_eq!(stages(&ladder)[0].2, Some(Reason::Closed { close: None }), "until the window ends");
}

proptest::proptest! {
    /// Whatever happens in whatever order, an attempt ends, and ends once.
    #[test]
    fn every_attempt_ends_exactly_once(steps in proptest::collection::vec((0u8..9, 0u64..3000), 0..40)) {
        let (mut ladder, first) = start(&[addr(1), addr(2)], Plan::ALL);
        let mut known = dials(&first);
        let mut ends = 0;
        let mut ms = 0;
        for (step, wait) in steps.into_iter().chain(std::iter::repeat_n((0, 40_000), 4)) {
            ms += wait;
            let mut out = Vec::new();
            let dial = known[ms as usize % known.len()];
            match step {
                1 => ladder.on_dial_failed(dial, &NO_ANSWER, at(ms), &mut out),
                2 => ladder.on_dial_failed(dial, &Reason::RateLimited, at(ms), &mut out),
                3 => ladder.on_answer(Some(candidate(wait as u8)), at(ms), &mut out),
                4 => ladder.on_answer(None, at(ms), &mut out),
                5 => ladder.on_asked(2, at(ms), &mut out),
                6 => ladder.on_dialled(dial, PeerId([wait as u8; 32]), at(ms), &mut out),
                8 => ladder.on_refused(&Reason::Closed { close: None }, at(ms), &mut out),
                7 if wait < 100 => ladder.on_link_up(Path::Direct, wait < 50, at(ms), &mut out),
                _ => ladder.on_timeout(at(ms), &mut out),
            }
            known.extend(dials(&out));
            ends += out.iter().filter(|o| matches!(o, LadderOut::Ended(_))).count();
        }
        proptest::prop_assert_eq!(ends, 1);
        proptest::prop_assert!(ladder.report().stages.iter().all(|s| s.outcome != StageOutcome::Running));
        proptest::prop_assert_eq!(ladder.next_timeout(), None);
    }
}
