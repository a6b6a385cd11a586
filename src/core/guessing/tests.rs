//! One end alone, against another end that lies or is silent.

use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::core::limits::{GUESS_PER_SECOND, GUESS_PROBES_MAX, GUESS_RUNS_PER_IP, GUESS_SOCKETS_MAX};
use crate::core::wire::{GuessAnswer, GuessOffer, GuessOpened, GuessOver, GuessYes, Message, NoGuess};
use crate::model::NatType;

const ME: PeerId = PeerId([1; 32]);
const PEER: PeerId = PeerId([2; 32]);
const THEIRS: &str = "198.19.0.7:9000";

fn ground(ours: NatType, theirs: NatType) -> Ground {
    let at = Some("198.18.0.5:9000".parse().unwrap());
    Ground { ours, theirs, at, near: None, fresh: true, relayed: true, consents: true }
}

fn prober() -> Ground {
    ground(NatType::PortRestricted, NatType::Symmetric)
}

fn opener() -> Ground {
    ground(NatType::Symmetric, NatType::PortRestricted)
}

fn witness(n: u8, sees: &str) -> Witness {
    Witness { peer: PeerId([n; 32]), ip: [198, 18, 0, n].into(), proven: true, sees: sees.parse().unwrap() }
}

fn at(ms: u64) -> Mono {
    Mono::from_millis(ms)
}

/// The state machine, and what it wants.
struct Bench {
    machine: Guessing,
    out: Vec<Out>,
}

fn all(bench: &mut Bench) -> Vec<Out> {
    std::mem::take(&mut bench.out)
}

fn answers(out: &[Out]) -> Vec<GuessAnswer> {
    let said = out.iter().filter_map(|o| match o {
        Out::Say { message: Message::GuessAnswer(answer), .. } => Some(*answer),
        _ => None,
    });
    said.collect()
}

fn ended(out: &[Out]) -> Option<Result<(), Reason>> {
    out.iter().find_map(|o| match o {
        Out::Ended(ended) => Some(ended.result.clone()),
        _ => None,
    })
}

fn bench(me: PeerId, seed: u64) -> Bench {
    Bench { machine: Guessing::new(me, HardNat::Auto, seed), out: Vec::new() }
}

fn auto() -> Bench {
    bench(ME, 7)
}

fn offer(run: u8, opens: bool) -> GuessOffer {
    GuessOffer { run: [run; 16], opens, at: THEIRS.parse().unwrap(), near: None }
}

/// A run that a peer offered, agreed and borne out.
fn agreed(guessing: &mut Bench, peer: PeerId, run: u8, ground: &Ground, now: Mono) -> Vec<Out> {
    let opens = ground.ours != NatType::Symmetric;
    guessing.machine.on_offer(peer, &offer(run, opens), ground, now, &mut guessing.out);
    if let Some((query, about)) = guessing.machine.open_query() {
        assert_eq!(about, peer);
        guessing.machine.on_witness(query, witness(200, THEIRS), ground, now, &mut guessing.out);
    }
    all(guessing)
}

/// Lets time pass in steps of a millisecond; what came out, and when.
fn run_on(guessing: &mut Bench, from: u64, ms: u64) -> Vec<(u64, Out)> {
    let mut seen = Vec::new();
    for now in from..from + ms {
        guessing.machine.on_timeout(at(now), &mut guessing.out);
        seen.extend(all(guessing).into_iter().map(|out| (now, out)));
    }
    seen
}

fn probes(seen: &[(u64, Out)]) -> Vec<(u64, u16)> {
    let of = |(at, out): &(u64, Out)| match out {
        Out::Probe { ports, .. } => ports.iter().map(|port| (*at, *port)).collect(),
        _ => Vec::new(),
    };
    seen.iter().flat_map(of).collect()
}

#[test]
fn an_offer_that_nobody_answers_ends_with_its_reason_and_is_not_made_again_for_ten_minutes() {
    let mut guessing = auto();
    guessing.machine.relayed(PEER, true, at(0));
    assert_eq!(guessing.machine.due(at(0)), Some(PEER));
    guessing.machine.start_due(PEER, &prober(), at(0), &mut guessing.out);
    let out = all(&mut guessing);
    assert!(out.iter().any(|o| matches!(o, Out::Say { message: Message::GuessOffer(_), .. })));
    let seen = run_on(&mut guessing, 1, 6_000);
    let out: Vec<Out> = seen.into_iter().map(|(_, out)| out).collect();
    assert_eq!(ended(&out), Some(Err(Reason::OfferUnanswered)));
    assert!(!out.iter().any(|o| matches!(o, Out::Probe { .. } | Out::Open { .. })), "nothing was sent");
    assert_eq!(guessing.machine.due(at(500_000)), None);
    assert_eq!(guessing.machine.due(at(700_000)), Some(PEER));
}

#[test]
fn without_witnesses_the_answer_is_no() {
    let mut guessing = auto();
    guessing.machine.on_offer(PEER, &offer(1, true), &prober(), at(0), &mut guessing.out);
    let seen = run_on(&mut guessing, 1, 3_000);
    let out: Vec<Out> = seen.into_iter().map(|(_, out)| out).collect();
    assert_eq!(answers(&out)[0].result, Err(NoGuess::Unwitnessed));
    assert_eq!(ended(&out), Some(Err(Reason::Unwitnessed)));
}

#[test]
fn a_witness_of_another_host_bears_nothing_out() {
    let mut guessing = auto();
    guessing.machine.on_offer(PEER, &offer(1, true), &prober(), at(0), &mut guessing.out);
    let (query, _) = guessing.machine.open_query().unwrap();
    guessing.machine.on_witness(query, witness(200, "198.20.0.9:9000"), &prober(), at(0), &mut guessing.out);
    guessing.machine.on_witness(query ^ 1, witness(201, THEIRS), &prober(), at(0), &mut guessing.out);
    assert!(answers(&all(&mut guessing)).is_empty(), "neither elsewhere nor for another question");
}

#[test]
fn a_lie_about_open_sockets_changes_nothing_of_what_is_sent() {
    let sent = |said: &[u16]| {
        let mut guessing = auto();
        agreed(&mut guessing, PEER, 1, &prober(), at(0));
        let mut seen = Vec::new();
        for (n, sockets) in said.iter().enumerate() {
            let opened = GuessOpened { run: [1; 16], sockets: *sockets };
            let now = 1 + n as u64 * 100;
            guessing.machine.on_opened(PEER, &opened, at(now), &mut guessing.out);
            seen.extend(run_on(&mut guessing, now, 100));
        }
        seen.extend(run_on(&mut guessing, 1_000, 9_000));
        assert!(guessing.machine.shown().is_none(), "over");
        probes(&seen)
    };
    for said in [&[0][..], &[1], &[u16::MAX], &[256, u16::MAX, 0, 7]] {
        let probes = sent(said);
        assert_eq!(probes.len(), usize::from(GUESS_PROBES_MAX), "{said:?}");
        assert!(probes.iter().all(|(_, port)| *port >= 1024));
        for (n, (from, _)) in probes.iter().enumerate() {
            let second = probes[n..].iter().take_while(|(at, _)| at - from < 1_000).count();
            assert!(second <= usize::from(GUESS_PER_SECOND), "{second} a second");
        }
    }
}

#[test]
fn sockets_are_counted_by_us_and_have_a_deadline_of_ours() {
    let mut guessing = auto();
    let out = agreed(&mut guessing, PEER, 1, &opener(), at(0));
    let mut open = 0;
    let mut seen: Vec<(u64, Out)> = out.into_iter().map(|o| (0, o)).collect();
    let mut closed = None;
    for now in 1..20_000 {
        for (_, out) in std::mem::take(&mut seen) {
            match out {
                Out::Open { run, count, .. } => {
                    open += count;
                    guessing.machine.on_sockets(run, open, None, at(now), &mut guessing.out);
                }
                Out::Close(_) => closed = Some(now),
                _ => {}
            }
        }
        guessing.machine.on_timeout(at(now), &mut guessing.out);
        seen.extend(all(&mut guessing).into_iter().map(|out| (now, out)));
    }
    assert_eq!(open, GUESS_SOCKETS_MAX);
    assert!(closed.is_some_and(|at| at < 8_000), "the other end said nothing at all: {closed:?}");
}

#[test]
fn one_run_at_a_time_and_the_next_asker_is_told_so() {
    let mut guessing = auto();
    agreed(&mut guessing, PEER, 1, &prober(), at(0));
    let other = PeerId([3; 32]);
    guessing.machine.on_offer(other, &offer(2, true), &prober(), at(10), &mut guessing.out);
    assert_eq!(answers(&all(&mut guessing))[0].result, Err(NoGuess::Busy));
    assert_eq!(guessing.machine.ask(other, &prober(), at(10), &mut guessing.out), Err(Reason::GuessBusy));
}

#[test]
fn a_pair_runs_twice_in_ten_minutes_whatever_the_other_end_offers() {
    let mut guessing = auto();
    let mut runs = 0;
    let mut now = 0;
    for n in 0..10 {
        let said = agreed(&mut guessing, PEER, n, &prober(), at(now));
        runs += usize::from(answers(&said).iter().any(|a| a.result.is_ok()));
        guessing.machine.on_over(
            PEER,
            &GuessOver { run: [n; 16], met: false, probes: 0 },
            at(now + 1),
            &mut guessing.out,
        );
        all(&mut guessing);
        now += 20_000;
    }
    assert_eq!(runs, 2);
}

#[test]
fn many_identities_do_not_aim_us_at_one_host_more_often_than_a_few_do() {
    let mut guessing = auto();
    let mut runs = 0;
    for n in 10..40 {
        let peer = PeerId([n; 32]);
        let now = at(u64::from(n) * 10_000);
        let said = agreed(&mut guessing, peer, n, &prober(), now);
        runs += usize::from(answers(&said).iter().any(|a| a.result.is_ok()));
        guessing.machine.on_over(
            peer,
            &GuessOver { run: [n; 16], met: false, probes: 0 },
            now,
            &mut guessing.out,
        );
        all(&mut guessing);
    }
    assert_eq!(runs, GUESS_RUNS_PER_IP);
}

#[test]
fn offers_without_end_are_dropped_unanswered() {
    let mut guessing = auto();
    guessing.machine.set_mode(HardNat::Off, at(0), &mut guessing.out);
    let mut answered = 0;
    for n in 0..200 {
        guessing.machine.on_offer(PEER, &offer(n, true), &prober(), at(u64::from(n)), &mut guessing.out);
        answered += answers(&all(&mut guessing)).len();
    }
    assert_eq!(answered, crate::core::limits::GUESS_OFFERS_PER_PEER);
}

#[test]
fn of_two_offers_that_cross_the_one_of_the_smaller_id_counts() {
    let ids = [ME, PEER];
    let grounds = [prober(), opener()];
    let mut ends = [0, 1].map(|n| bench(ids[n], n as u64));
    for n in [0, 1] {
        let end = &mut ends[n];
        end.machine.relayed(ids[1 - n], true, at(0));
        end.machine.start_due(ids[1 - n], &grounds[n], at(0), &mut end.out);
    }
    let said = ends.each_mut().map(all);
    for n in [0, 1] {
        for out in &said[1 - n] {
            if let Out::Say { message: Message::GuessOffer(offer), .. } = out {
                let end = &mut ends[n];
                end.machine.on_offer(ids[1 - n], offer, &grounds[n], at(40), &mut end.out);
            }
        }
    }
    assert!(ends.iter().all(|end| end.machine.shown().is_some()));
    let runs = ends.each_ref().map(|end| end.machine.run.as_ref().unwrap().id);
    assert_eq!(runs[0], runs[1], "both are in the same run");
    let phases = ends.each_ref().map(|end| end.machine.run.as_ref().unwrap().theirs.is_some());
    assert_eq!(phases, [false, true], "the smaller one waits for the answer");
}

#[test]
fn what_comes_in_from_elsewhere_or_for_another_run_meets_nobody() {
    let mut guessing = auto();
    agreed(&mut guessing, PEER, 1, &opener(), at(0));
    let from: SocketAddr = THEIRS.parse().unwrap();
    guessing.machine.on_met(RunId([2; 16]), from, at(5), &mut guessing.out);
    guessing.machine.on_met(RunId([1; 16]), "198.20.0.9:9000".parse().unwrap(), at(5), &mut guessing.out);
    assert!(!all(&mut guessing).iter().any(|o| matches!(o, Out::Dial { .. })));
    guessing.machine.on_met(RunId([1; 16]), from, at(5), &mut guessing.out);
    let out = all(&mut guessing);
    assert!(out.iter().any(|o| matches!(o, Out::Dial { to, .. } if *to == from)));
    guessing.machine.on_met(RunId([1; 16]), from, at(6), &mut guessing.out);
    assert!(!all(&mut guessing).iter().any(|o| matches!(o, Out::Dial { .. })), "dialled once");
}

#[test]
fn an_answer_that_comes_late_or_from_somebody_else_begins_nothing() {
    let mut guessing = auto();
    guessing.machine.relayed(PEER, true, at(0));
    guessing.machine.start_due(PEER, &prober(), at(0), &mut guessing.out);
    let run = guessing.machine.run.as_ref().unwrap().id;
    let yes = Ok(GuessYes { at: THEIRS.parse().unwrap(), near: None });
    guessing.machine.on_answer(
        PeerId([9; 32]),
        &GuessAnswer { run: run.0, result: yes },
        &prober(),
        at(1),
        &mut guessing.out,
    );
    guessing.machine.on_answer(
        PEER,
        &GuessAnswer { run: [0; 16], result: yes },
        &prober(),
        at(1),
        &mut guessing.out,
    );
    assert!(guessing.machine.run.as_ref().unwrap().theirs.is_none());
}

#[test]
fn a_backoff_follows_each_failure() {
    let mut guessing = auto();
    guessing.machine.relayed(PEER, true, at(0));
    guessing.machine.start_due(PEER, &prober(), at(0), &mut guessing.out);
    let run = guessing.machine.run.as_ref().unwrap().id.0;
    guessing.machine.on_answer(
        PEER,
        &GuessAnswer { run, result: Err(NoGuess::Busy) },
        &prober(),
        at(100),
        &mut guessing.out,
    );
    assert_eq!(guessing.machine.due(at(900)), None);
    assert_eq!(guessing.machine.due_with(&PEER), Some(at(100) + Duration::from_secs(1)));
}

#[test]
fn a_datagram_is_no_quic_and_as_short_as_was_promised() {
    let bytes = datagram(RunId([0xff; 16]));
    assert!(bytes.len() <= crate::core::limits::GUESS_DATAGRAM_MAX);
    assert_eq!(bytes[0] & 0b1100_0000, 0, "a QUIC packet has one of these bits set");
    assert!(is_ours(&bytes) && !is_ours(&bytes[1..]) && !is_ours(&[0; DATAGRAM_LEN]));
}
