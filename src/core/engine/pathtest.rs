//! Tests of paths, wired: the connections that stand to a peer, and what is told and
//! kept of a test.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Action, Engine, Link};
use crate::core::Now;
use crate::core::limits::TESTS_KEPT;
use crate::core::link::ConnId;
use crate::core::pathtest::{Ended, Ground, Input, Out, Way};
use crate::core::wire::Message;
use crate::model::{CommandId, Done, EventKind, Failure, PathTest, PeerId, Reason, TestPhase, Tested};

/// What the engine holds of tests, beside the one that runs.
#[derive(Debug, Default)]
pub(super) struct TestsShown {
    /// The latest of each peer.
    latest: BTreeMap<PeerId, Arc<PathTest>>,
    /// Who waits for the one that runs.
    waiting: Option<CommandId>,
    /// How far it was last told to be: which path, and which phase of it.
    told: Option<(usize, TestPhase)>,
}

impl TestsShown {
    /// The latest test of the paths to a peer that ended.
    pub(super) fn latest(&self, peer: &PeerId) -> Option<Arc<PathTest>> {
        self.latest.get(peer).cloned()
    }
}

impl Engine {
    fn ways(&self, peer: &PeerId) -> Vec<Way> {
        let usable = self.links.get(peer).into_iter().flat_map(Link::usable).enumerate();
        usable
            .map(|(at, info)| Way {
                conn: info.id,
                channel: info.channel,
                path: info.path,
                via: info.via,
                in_use: at == 0,
            })
            .collect()
    }

    pub(super) fn on_test(
        &mut self,
        id: CommandId,
        peer: PeerId,
        for_ms: u32,
        now: Now,
    ) -> Result<Option<Done>, Failure> {
        if !self.links.is_up(&peer) {
            return Err(Reason::NotLinked.into());
        }
        let ways = self.ways(&peer);
        self.path_tests.start(peer, &ways, Duration::from_millis(for_ms.into()), now)?;
        self.tests_shown.waiting = Some(id);
        self.tests_shown.told = None;
        let paths = u32::try_from(ways.len()).unwrap_or(u32::MAX);
        self.outbox.event(Some(peer), EventKind::TestStarted { paths, for_ms }, now);
        self.carry_tests(now);
        Ok(None)
    }

    pub(super) fn on_end_test(&mut self, peer: PeerId, now: Now) -> Result<Option<Done>, Failure> {
        self.path_tests.call_off(&peer, &Reason::CalledOff, now)?;
        self.carry_tests(now);
        Ok(Some(Done::EndedTest { peer_id: peer }))
    }

    pub(super) fn on_test_message(&mut self, peer: PeerId, message: &Message, now: Now) {
        match message {
            Message::TestOffer(offer) => {
                let ways = self.ways(&peer);
                let known = self.book.get(peer).is_some_and(|entry| entry.measured.tried);
                let ground = Ground { ways: &ways, known };
                self.path_tests.handle(Input::Offer { peer, offer, ground }, now);
            }
            Message::TestAnswer(answer) => self.path_tests.handle(Input::Answer { peer, answer }, now),
            Message::TestOver(over) => self.path_tests.handle(Input::Over { peer, run: over.run }, now),
            _ => {}
        }
        self.carry_tests(now);
    }

    pub(super) fn on_test_input(&mut self, input: Input<'_>, now: Now) {
        self.path_tests.handle(input, now);
        self.carry_tests(now);
    }

    pub(super) fn test_conn_closed(&mut self, conn: ConnId, now: Now) {
        self.on_test_input(Input::Closed { conn }, now);
    }

    pub(super) fn tests_timeout(&mut self, now: Now) {
        self.path_tests.on_timeout(now);
        self.carry_tests(now);
    }

    pub(super) fn stop_tests(&mut self, now: Now) {
        self.path_tests.stop(now);
        self.carry_tests(now);
    }

    fn carry_tests(&mut self, now: Now) {
        while let Some(wanted) = self.path_tests.poll() {
            match wanted {
                Out::Say { peer, message } => self.outbox.send(peer, message),
                Out::Act(action) => self.outbox.push(Action::Test(action)),
                Out::Serving { peer, for_ms } => {
                    self.outbox.event(Some(peer), EventKind::TestServed { for_ms }, now);
                }
                Out::Ended(ended) => self.test_ended(ended, now),
                Out::Stopped(what) => self.outbox.stopped(what),
            }
        }
        self.tell_test_stage(now);
        self.route(now);
    }

    /// Tells that a test came to another stage, or another path.
    fn tell_test_stage(&mut self, now: Now) {
        let Some((peer, at, phase)) = self.path_tests.stage() else { return };
        if self.tests_shown.told == Some((at, phase)) {
            return;
        }
        self.tests_shown.told = Some((at, phase));
        let Some(test) = self.path_tests.shown(now) else { return };
        if let Some(path) = test.paths.get(at) {
            let kind = EventKind::TestStage { path: path.path, via: path.via, phase };
            self.outbox.event(Some(peer), kind, now);
        }
    }

    fn test_ended(&mut self, Ended { test }: Ended, now: Now) {
        let peer = test.peer_id;
        self.outbox.event(Some(peer), EventKind::TestEnded { measured: test.has_result() }, now);
        let failed = test.paths.iter().find_map(|path| path.reason.clone());
        let result = match failed {
            Some(reason) if !test.has_result() => Err(reason.into()),
            _ => Ok(Done::Tested(Box::new(test.clone()))),
        };
        if let Some(id) = self.tests_shown.waiting.take() {
            self.outbox.answer(id, result);
        }
        let shown = &mut self.tests_shown;
        shown.told = None;
        shown.latest.insert(peer, Arc::new(test));
        if shown.latest.len() > TESTS_KEPT {
            let oldest = shown.latest.iter().min_by_key(|(_, test)| test.ended).map(|(peer, _)| *peer);
            oldest.map(|peer| shown.latest.remove(&peer));
        }
        self.outbox.touch_row(peer);
    }

    /// The latest test of each peer, and the one that runs.
    pub(super) fn tests_view(&self, now: Now) -> Vec<Arc<PathTest>> {
        let running = self.path_tests.shown(now);
        let of_running = running.as_ref().map(|test| test.peer_id);
        let ended = self.tests_shown.latest.iter().filter(|(peer, _)| Some(**peer) != of_running);
        running.map(Arc::new).into_iter().chain(ended.map(|(_, test)| Arc::clone(test))).collect()
    }

    /// What the latest test says of a path like the one of the link.
    pub(super) fn tested(&self, peer: &PeerId) -> Option<Tested> {
        let (info, test) = (self.links.status(peer)?.info, self.tests_shown.latest.get(peer)?);
        let path = test.paths.iter().find(|p| p.path == info.path && p.via == info.via && p.rtt.is_some())?;
        Some(Tested {
            at: test.ended?,
            path: path.path,
            loss: path.loss(),
            up: path.rate_up,
            down: path.rate_down,
        })
    }
}
