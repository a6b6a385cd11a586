//! When a node tests itself, and what it tells of it.

use std::time::Duration;

use super::super::sim::Net;
use super::super::{Action, Engine, EngineConfig, Input, SelfTest, SelfTested};
use super::LATENCY;
use crate::core::Now;
use crate::model::{EventKind, Evidence, Exposure, ExposureState, Reason};

const HOUR: Duration = Duration::from_secs(3600);

struct Alone {
    engine: Engine,
    now: Now,
    begun: Now,
    /// When a test was asked for, since the start.
    asked: Vec<Duration>,
    /// States that were told: of the relay, and of the coordinator.
    told: Vec<(&'static str, ExposureState)>,
}

impl Alone {
    fn new(self_test: SelfTest) -> Self {
        let mut net = Net::new(1, LATENCY);
        net.add(&[]);
        let config = EngineConfig { self_test, ..net.nodes[0].engine.config.clone() };
        let mut engine = Engine::new(config, Vec::new(), Vec::new(), net.now);
        engine.begin(net.now);
        let mut alone = Self { engine, now: net.now, begun: net.now, asked: Vec::new(), told: Vec::new() };
        alone.look();
        alone
    }

    fn look(&mut self) {
        while let Some(action) = self.engine.poll_action() {
            match action {
                Action::TestEgress => self.asked.push(self.now.mono.since(self.begun.mono)),
                Action::Event(event) => match event.kind {
                    EventKind::RelayEgress { state, .. } => self.told.push(("relay", state)),
                    EventKind::Coordinator { state, .. } => self.told.push(("coordinator", state)),
                    _ => {}
                },
                _ => {}
            }
        }
    }

    fn run(&mut self, span: Duration) {
        let end = self.now.mono + span;
        while let Some(next) = self.engine.next_timeout(self.now).filter(|at| *at <= end) {
            self.now = self.now.plus(next.since(self.now.mono).max(Duration::from_millis(1)));
            self.engine.on_timeout(self.now);
            self.look();
        }
        self.now = self.now.plus(end.since(self.now.mono));
    }

    fn saw(&mut self, relay: Evidence, coordinator: Evidence) {
        self.engine.handle(Input::EgressTested(SelfTested { relay, coordinator }), self.now);
        self.look();
    }

    fn shown(&mut self) -> (Exposure, Exposure) {
        let node = self.engine.snapshot(self.now).node;
        (node.relay_egress.clone(), node.coordinator.clone())
    }
}

fn arrived() -> Evidence {
    Evidence::Arrived { at: vec![[127, 0, 0, 1].into()] }
}

fn not_sent() -> Evidence {
    Evidence::NotSent { to: vec![[127, 0, 0, 1].into()] }
}

#[test]
fn a_node_tests_itself_at_the_start_and_every_hour_whether_an_answer_came_or_not() {
    let mut alone = Alone::new(SelfTest::AtStart);
    alone.run(HOUR / 2);
    alone.saw(arrived(), Evidence::PassedOn);
    alone.run(2 * HOUR);
    assert_eq!(alone.asked, [Duration::ZERO, HOUR, 2 * HOUR]);
}

#[test]
fn a_test_that_was_made_before_the_start_is_not_made_twice() {
    let mut alone =
        Alone::new(SelfTest::Made(SelfTested { relay: not_sent(), coordinator: Evidence::Refused }));
    assert_eq!(alone.shown().0.state, ExposureState::Closed);
    alone.run(HOUR + HOUR / 2);
    assert_eq!(alone.asked, [HOUR]);
}

#[test]
fn a_node_that_stops_or_is_told_not_to_makes_no_test() {
    let mut alone = Alone::new(SelfTest::AtStart);
    alone.engine.stop(alone.now);
    alone.run(2 * HOUR);
    assert_eq!(alone.asked, [Duration::ZERO]);

    let mut alone = Alone::new(SelfTest::Off);
    alone.run(2 * HOUR);
    assert!(alone.asked.is_empty());
    let not_asked = Evidence::NotMeasured { reason: Reason::NotAsked };
    assert_eq!(alone.shown().0.evidence, not_asked);
}

#[test]
fn a_hole_is_told_of_when_it_opens_and_when_it_closes_and_not_every_hour() {
    let mut alone = Alone::new(SelfTest::AtStart);
    assert_eq!(alone.shown(), (Exposure::UNTESTED, Exposure::UNTESTED));
    for _ in 0..3 {
        alone.saw(arrived(), Evidence::PassedOn);
        alone.run(HOUR);
    }
    assert_eq!(alone.told, [("relay", ExposureState::Open), ("coordinator", ExposureState::Open)]);
    alone.saw(not_sent(), Evidence::PassedOn);
    assert_eq!(alone.told[2..], [("relay", ExposureState::Closed)]);
    let (relay, coordinator) = alone.shown();
    assert_eq!((relay.state, coordinator.state), (ExposureState::Closed, ExposureState::Open));
    assert_eq!(relay.tested, Some(alone.now.stamp));
}
