//! What a member can make the tested end send, hold and answer, and how a test ends.

use super::*;
use crate::core::limits::{
    TEST_BYTES_MAX, TEST_FOR_MAX, TEST_OFFERS_PER_PEER, TEST_RATE_MAX, TEST_RUNS_PER_NODE,
    TEST_RUNS_PER_PEER, TEST_WINDOW, TESTS_SERVED_MAX,
};
use crate::core::pathtest::datagram::{Datagram, Kind, Stage};
use crate::core::wire::{NoTest, TestAnswer, TestOffer, TestTerms};
use crate::model::{DropReason, TestPhase};

const LAN: (u64, u32, f64) = (1, 0, 1_000.0);
const MUCH: TestTerms = TestTerms { for_ms: u32::MAX, rate: u32::MAX, bytes: u32::MAX };

fn lan() -> World {
    World::both(Wire::new(LAN.0, LAN.1, LAN.2))
}

/// A tested end, and what it says and does.
struct Tested {
    tests: PathTests,
    now: Now,
    ways: Vec<Way>,
    outs: Vec<Out>,
}

impl Tested {
    fn new(consent: TestConsent) -> Self {
        Self {
            tests: PathTests::new(consent, 3),
            now: Now::START,
            ways: vec![way(1, Path::Direct)],
            outs: Vec::new(),
        }
    }

    fn offer(&mut self, peer: usize, run: u8, terms: TestTerms) -> Option<Result<TestTerms, NoTest>> {
        self.offer_as(peer, run, terms, false)
    }

    fn offer_as(
        &mut self,
        peer: usize,
        run: u8,
        terms: TestTerms,
        known: bool,
    ) -> Option<Result<TestTerms, NoTest>> {
        let offer = TestOffer { run: [run; 16], channel: [1; 16], terms };
        let ground = Ground { ways: &self.ways, known };
        self.tests.handle(Input::Offer { peer: id(peer), offer: &offer, ground }, self.now);
        self.take().into_iter().find_map(|out| match out {
            Out::Say { message: Message::TestAnswer(TestAnswer { result, .. }), .. } => Some(result),
            _ => None,
        })
    }

    fn take(&mut self) -> Vec<Out> {
        let new: Vec<Out> = std::iter::from_fn(|| self.tests.poll()).collect();
        self.outs.extend(new.iter().cloned());
        new
    }

    fn probe(&mut self, run: u8, number: u32, stage: Stage, load: u64) {
        let kind = Kind::Probe { base: Duration::from_millis(1), queue: Duration::ZERO };
        let bytes = Datagram { kind, stage, number, load }.encode(RunId([run; 16]));
        self.tests.handle(Input::Datagram { conn: ConnId(1), bytes, mtu: 1_400 }, self.now);
        self.take();
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now.mono + time;
        while let Some(at) = self.tests.next_timeout().filter(|at| *at <= end) {
            self.now = self.now.plus(at.since(self.now.mono));
            self.tests.on_timeout(self.now);
            self.take();
        }
        self.now = self.now.plus(end.since(self.now.mono));
    }

    fn over(&mut self, peer: usize, run: u8) {
        self.tests.handle(Input::Over { peer: id(peer), run: [run; 16] }, self.now);
        self.take();
    }

    fn load(&self) -> u64 {
        self.outs
            .iter()
            .map(|out| if let Out::Act(TestAction::Load { bytes, .. }) = out { *bytes } else { 0 })
            .sum()
    }

    fn has_ended(&self, run: u8) -> bool {
        self.outs.contains(&Out::Act(TestAction::End { run: RunId([run; 16]) }))
    }
}

#[test]
fn nothing_is_agreed_to_beyond_our_own_limits_whatever_is_asked_for() {
    let mut tested = Tested::new(TestConsent::Network);
    let agreed = tested.offer(0, 1, MUCH).unwrap().unwrap();
    let most =
        TestTerms { for_ms: TEST_FOR_MAX.as_millis() as u32, rate: TEST_RATE_MAX, bytes: TEST_BYTES_MAX };
    assert_eq!(agreed, most);
    let little = TestTerms { for_ms: 2_000, rate: 1_000, bytes: 500 };
    let mut tested = Tested::new(TestConsent::Network);
    assert_eq!(tested.offer(0, 1, little), Some(Ok(little)), "nor beyond what is asked for");
}

#[test]
fn the_tested_end_sends_no_more_than_was_agreed_whatever_the_asker_says_came() {
    let mut tested = Tested::new(TestConsent::Network);
    let terms = TestTerms { for_ms: 60_000, rate: 1_000_000, bytes: 3_000_000 };
    tested.offer(0, 1, terms);
    let mut after_a_second = 0;
    for number in 0..1_000 {
        // All that was ever sent came, and more, at once.
        tested.probe(1, number, Stage::Down, u64::MAX);
        tested.pass(Duration::from_millis(10));
        if number == 100 {
            after_a_second = tested.load();
        }
    }
    assert!((800_000..=1_100_000).contains(&after_a_second), "{after_a_second} at the rate that was agreed");
    assert_eq!(tested.load(), 3_000_000, "and in all");
}

#[test]
fn load_is_sent_only_while_the_asker_asks_for_it_and_no_more_under_way_than_a_window() {
    let mut tested = Tested::new(TestConsent::Network);
    tested.offer(0, 1, MUCH);
    for number in 0..20 {
        // Nothing of it arrives.
        tested.probe(1, number, Stage::Down, 0);
        tested.pass(Duration::from_millis(10));
    }
    let sent = tested.load();
    assert!(sent > 0 && sent <= crate::core::limits::TEST_WINDOW_MAX, "{sent}");
    let mut tested = Tested::new(TestConsent::Network);
    tested.offer(0, 1, MUCH);
    tested.probe(1, 0, Stage::Down, 0);
    tested.pass(Duration::from_secs(2));
    let sent = tested.load();
    tested.pass(Duration::from_millis(900));
    assert_eq!(tested.load(), sent, "silence asks for nothing");
    let mut tested = Tested::new(TestConsent::Network);
    tested.offer(0, 1, MUCH);
    for number in 0..200 {
        tested.probe(1, number, Stage::Up, u64::MAX);
        tested.pass(Duration::from_millis(10));
    }
    assert_eq!(tested.load(), 0, "load upwards is the asker's own");
}

#[test]
fn no_more_datagrams_are_answered_than_a_test_sends() {
    let mut tested = Tested::new(TestConsent::Network);
    tested.offer(0, 1, MUCH);
    for number in 0..5_000 {
        tested.probe(1, number, Stage::Quiet, 0);
    }
    let echoes =
        tested.outs.iter().filter(|out| matches!(out, Out::Act(TestAction::Datagram { .. }))).count();
    assert!(echoes <= 100, "{echoes}");
    assert!(tested.outs.contains(&Out::Stopped(DropReason::TestTooFast)));
    tested.tests.handle(Input::Datagram { conn: ConnId(1), bytes: [9; LEN], mtu: 1 }, tested.now);
    tested.tests.handle(Input::Datagram { conn: ConnId(2), bytes: [9; LEN], mtu: 1 }, tested.now);
    let strays = tested.take();
    assert_eq!(strays, vec![Out::Stopped(DropReason::DatagramsOfNoTest); 2]);
}

#[test]
fn load_beyond_what_was_agreed_ends_the_run() {
    let mut tested = Tested::new(TestConsent::Network);
    tested.offer(0, 1, TestTerms { for_ms: 5_000, rate: 1_000, bytes: 1_000 });
    tested.tests.handle(Input::Read { run: RunId([1; 16]), total: 1_000 }, tested.now);
    tested.take();
    assert!(!tested.has_ended(1));
    tested.tests.handle(Input::Read { run: RunId([1; 16]), total: 1_001 }, tested.now);
    tested.take();
    assert!(tested.has_ended(1));
}

#[test]
fn one_run_a_peer_and_few_in_all() {
    let mut tested = Tested::new(TestConsent::Network);
    assert!(tested.offer(0, 1, MUCH).unwrap().is_ok());
    assert_eq!(tested.offer(0, 2, MUCH), Some(Err(NoTest::Busy)));
    for peer in 1..TESTS_SERVED_MAX {
        assert!(tested.offer(peer, 10 + peer as u8, MUCH).unwrap().is_ok());
    }
    assert_eq!(tested.offer(77, 77, MUCH), Some(Err(NoTest::Busy)));
    tested.over(0, 1);
    assert!(tested.offer(77, 78, MUCH).unwrap().is_ok(), "what is over holds no place");
}

#[test]
fn runs_of_a_peer_and_of_all_are_counted_over_ten_minutes() {
    let mut tested = Tested::new(TestConsent::Network);
    let runs = |tested: &mut Tested, peer: usize| {
        (0..=TEST_RUNS_PER_PEER)
            .filter(|_| {
                let agreed = tested.offer(peer, 1, MUCH).unwrap().is_ok();
                tested.over(peer, 1);
                agreed
            })
            .count()
    };
    assert_eq!(runs(&mut tested, 0), TEST_RUNS_PER_PEER);
    assert_eq!(tested.offer(0, 1, MUCH), Some(Err(NoTest::TooOften)));
    let of_all: usize = (1..10).map(|peer| runs(&mut tested, peer)).sum();
    assert_eq!(of_all + TEST_RUNS_PER_PEER, TEST_RUNS_PER_NODE);
    tested.pass(TEST_WINDOW);
    assert!(tested.offer(0, 1, MUCH).unwrap().is_ok());
}

#[test]
fn offers_that_come_without_end_are_not_answered() {
    let mut tested = Tested::new(TestConsent::Off);
    let answers = (0..500).filter(|_| tested.offer(0, 1, MUCH).is_some()).count();
    assert_eq!(answers, TEST_OFFERS_PER_PEER);
}

#[test]
fn a_run_ends_when_nothing_is_heard_of_it_and_when_its_time_is_over() {
    let mut tested = Tested::new(TestConsent::Network);
    tested.offer(0, 1, MUCH);
    tested.pass(Duration::from_secs(4));
    assert!(tested.has_ended(1), "nobody used it");
    tested.offer(0, 2, TestTerms { for_ms: 1_000, ..MUCH });
    for number in 0..100 {
        tested.probe(2, number, Stage::Quiet, 0);
        tested.pass(Duration::from_millis(100));
    }
    assert!(tested.has_ended(2), "whatever the asker goes on with");
    for (run, input) in [(3, Input::Closed { conn: ConnId(1) }), (4, Input::Unlinked { peer: id(0) })] {
        tested.offer(0, run, MUCH);
        tested.tests.handle(input, tested.now);
        tested.take();
        assert!(tested.has_ended(run));
    }
}

#[test]
fn whose_tests_are_taken_is_the_operators_to_say() {
    for (consent, known, agrees) in [
        (TestConsent::Network, false, true),
        (TestConsent::Known, false, false),
        (TestConsent::Known, true, true),
        (TestConsent::Off, true, false),
    ] {
        let mut tested = Tested::new(consent);
        let answer = tested.offer_as(0, 1, MUCH, known).unwrap();
        assert_eq!(answer.is_ok(), agrees, "{consent}, known: {known}");
        if !agrees {
            assert_eq!(answer, Err(NoTest::NoConsent));
            assert!(!tested.outs.iter().any(|out| matches!(out, Out::Act(TestAction::Begin { .. }))));
        }
    }
    let mut tested = Tested::new(TestConsent::Network);
    tested.offer(0, 1, MUCH);
    tested.tests.set_consent(TestConsent::Off);
    tested.take();
    assert!(tested.has_ended(1), "off ends what runs");
}

#[test]
fn a_connection_that_the_peer_does_not_have_is_not_tested() {
    let mut tested = Tested::new(TestConsent::Network);
    tested.ways = vec![way(2, Path::Direct)];
    assert_eq!(tested.offer(0, 1, MUCH), Some(Err(NoTest::NoPath)));
}

fn reason(world: &World) -> Option<Reason> {
    world.ends[0].ended.as_ref().expect("it ended").paths[0].reason.clone()
}

#[test]
fn who_asks_is_told_why_nothing_was_measured() {
    let mut world = lan();
    world.ends[1].tests.set_consent(TestConsent::Off);
    assert!(world.one().rtt.is_none());
    assert_eq!(reason(&world), Some(Reason::NoTesting));
    let mut world = lan();
    world.older = true;
    world.ways.push(way(2, Path::Relayed));
    world.tested();
    assert_eq!(reason(&world), Some(Reason::CannotBeTested));
    let offers = world.ends[0].said.iter().filter(|m| matches!(m, Message::TestOffer(_))).count();
    assert_eq!(offers, 1, "its other paths cannot, either");
    let mut world = World::both(Wire::new(1, 1_000, 100.0));
    world.one();
    assert_eq!(reason(&world), Some(Reason::NothingEchoed));
}

#[test]
fn who_asks_holds_itself_to_what_it_asked_for_whatever_is_agreed_to() {
    let mut world = lan();
    world.start(Duration::from_secs(1)).unwrap();
    let Message::TestOffer(offer) = world.ends[0].said[0].clone() else { panic!() };
    world.events.clear();
    let answer = TestAnswer { run: offer.run, result: Ok(MUCH) };
    world.deliver(0, Event::Say(Message::TestAnswer(answer)));
    let run = RunId(offer.run);
    for number in 0..200_u32 {
        let at = world.now.mono;
        let kind = Kind::Echo { mtu: 1_400, came: 1, reordered: 0, at };
        let echo = Datagram { kind, stage: Stage::Up, number, load: u64::MAX };
        world.deliver(0, Event::Datagram(ConnId(1), echo.encode(run)));
        world.run(Duration::from_millis(10));
    }
    let sent = world.ends[0].sent;
    assert!(sent > 0 && sent <= u64::from(TEST_BYTES_MAX), "{sent}");
    assert!(world.ends[0].ended.is_some(), "a second is over");
}

#[test]
fn a_test_that_is_called_off_ends_at_both_ends_with_what_was_measured() {
    let mut world = lan();
    world.ways.push(way(2, Path::Relayed));
    world.start(Duration::from_secs(60)).unwrap();
    world.run(Duration::from_secs(2));
    assert_eq!(world.start(Duration::from_secs(5)), Err(Reason::TestRuns), "one at a time");
    assert_eq!(world.ends[0].tests.call_off(&id(5), &Reason::CalledOff, world.now), Err(Reason::NoTestRuns));
    world.ends[0].tests.call_off(&id(1), &Reason::CalledOff, world.now).unwrap();
    world.carry(0);
    let ended = world.ends[0].ended.clone().unwrap();
    assert!(ended.has_result() && ended.paths[0].reason == Some(Reason::CalledOff));
    assert_eq!((ended.paths[1].phase, &ended.paths[1].reason), (TestPhase::Over, &Some(Reason::CalledOff)));
    world.run(Duration::from_millis(100));
    assert!(world.ends[1].conns.is_empty(), "the other end was told");
    let before = world.ends[0].datagrams + world.ends[1].datagrams;
    world.run(Duration::from_secs(10));
    assert_eq!(world.ends[0].datagrams + world.ends[1].datagrams, before, "silence");
}

#[test]
fn a_path_that_goes_away_ends_its_own_test_and_the_next_one_is_tested() {
    let mut world = lan();
    world.ways.push(way(2, Path::Direct));
    world.start(Duration::from_secs(5)).unwrap();
    world.run(Duration::from_secs(1));
    for n in 0..2 {
        world.ends[n].tests.handle(Input::Closed { conn: ConnId(1) }, world.now);
        world.carry(n);
    }
    world.run(Duration::from_secs(8));
    let ended = world.ends[0].ended.clone().unwrap();
    assert_eq!(ended.paths[0].reason, Some(Reason::PathGone));
    assert!(ended.paths[1].rate_down.is_some() && ended.paths[1].reason.is_none());
    let mut world = lan();
    world.start(Duration::from_secs(5)).unwrap();
    world.run(Duration::from_secs(1));
    world.ends[0].tests.handle(Input::Unlinked { peer: id(1) }, world.now);
    world.carry(0);
    assert_eq!(reason(&world), Some(Reason::NotLinked));
}
