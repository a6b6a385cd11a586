//! Tests of paths as a part of a node: the connections that stand to a peer, and what is
//! told and kept of a test.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Ended, Ground, Input, Out, PathTests, Way};
use crate::core::Mono;
use crate::core::io::Action;
use crate::core::limits::TESTS_KEPT;
use crate::core::link::Link;
use crate::core::links::Links;
use crate::core::outbox::Outbox;
use crate::core::peers::Peers;
use crate::core::wire::Message;
use crate::model::{
    CommandId, Done, EventKind, Failure, PathTest, PeerId, Reason, TestConsent, TestPhase, Tested,
};

/// The test that runs, and those that ended.
#[derive(Debug)]
pub(in crate::core) struct Tests {
    machine: PathTests,
    /// The latest of each peer.
    latest: BTreeMap<PeerId, Arc<PathTest>>,
    /// The command that waits for the one that runs.
    waiting: Option<CommandId>,
    /// How far it was last told to be: which path, and which phase of it.
    told: Option<(usize, TestPhase)>,
}

/// The connections that stand to a peer.
fn ways(peer: &PeerId, links: &Links) -> Vec<Way> {
    let usable = links.get(peer).into_iter().flat_map(Link::usable).enumerate();
    let way = |(at, info): (usize, &crate::core::link::ConnInfo)| Way {
        conn: info.id,
        channel: info.channel,
        path: info.path,
        via: info.via,
        in_use: at == 0,
    };
    usable.map(way).collect()
}

impl Tests {
    /// Nothing runs. `consent`: whose tests are taken.
    pub(in crate::core) fn new(consent: TestConsent, seed: u64) -> Self {
        let machine = PathTests::new(consent, seed);
        Self { machine, latest: BTreeMap::new(), waiting: None, told: None }
    }

    /// Sets whose tests are taken from now on.
    pub(in crate::core) fn set_consent(&mut self, consent: TestConsent, peers: &Peers<'_>, out: &mut Outbox) {
        self.with(peers, out, |machine, told| machine.set_consent(consent, told));
    }

    /// A command to test the paths to a peer.
    pub(in crate::core) fn ask(
        &mut self,
        id: CommandId,
        peer: PeerId,
        for_ms: u32,
        peers: &Peers<'_>,
        out: &mut Outbox,
    ) -> Result<Option<Done>, Failure> {
        if !peers.links.is_up(&peer) {
            return Err(Reason::NotLinked.into());
        }
        let ways = ways(&peer, peers.links);
        let (lasts, mut told) = (Duration::from_millis(for_ms.into()), Vec::new());
        self.machine.start(peer, &ways, lasts, peers.now, &mut told)?;
        (self.waiting, self.told) = (Some(id), None);
        let paths = u32::try_from(ways.len()).unwrap_or(u32::MAX);
        out.event(Some(peer), EventKind::TestStarted { paths, for_ms }, peers.now);
        self.carry(told, peers, out);
        Ok(None)
    }

    /// A command to end the test of a peer.
    pub(in crate::core) fn call_off(
        &mut self,
        peer: PeerId,
        peers: &Peers<'_>,
        out: &mut Outbox,
    ) -> Result<Option<Done>, Failure> {
        let mut told = Vec::new();
        self.machine.call_off(&peer, &Reason::CalledOff, peers.now, &mut told)?;
        self.carry(told, peers, out);
        Ok(Some(Done::EndedTest { peer_id: peer }))
    }

    /// A message about a test came from this peer.
    pub(in crate::core) fn on_message(
        &mut self,
        peer: PeerId,
        message: &Message,
        peers: &Peers<'_>,
        out: &mut Outbox,
    ) {
        match message {
            Message::TestOffer(offer) => {
                let known = peers.book.get(peer).is_some_and(|entry| entry.measured.tried);
                let ground = Ground { ways: &ways(&peer, peers.links), known };
                self.handle(Input::Offer { peer, offer, ground }, peers, out);
            }
            Message::TestAnswer(answer) => self.handle(Input::Answer { peer, answer }, peers, out),
            Message::TestOver(over) => self.handle(Input::Over { peer, run: over.run }, peers, out),
            _ => {}
        }
    }

    /// Takes what happened.
    pub(in crate::core) fn handle(&mut self, input: Input<'_>, peers: &Peers<'_>, out: &mut Outbox) {
        self.with(peers, out, |machine, told| machine.handle(input, peers.now, told));
    }

    /// Does what is due.
    pub(in crate::core) fn timeout(&mut self, peers: &Peers<'_>, out: &mut Outbox) {
        self.with(peers, out, |machine, told| machine.on_timeout(peers.now, told));
    }

    /// When [`Self::timeout`] wants to be called.
    pub(in crate::core) fn next_timeout(&self) -> Option<Mono> {
        self.machine.next_timeout()
    }

    /// The node stops.
    pub(in crate::core) fn stop(&mut self, peers: &Peers<'_>, out: &mut Outbox) {
        self.with(peers, out, |machine, told| machine.stop(peers.now, told));
    }

    fn with(&mut self, peers: &Peers<'_>, out: &mut Outbox, f: impl FnOnce(&mut PathTests, &mut Vec<Out>)) {
        let mut told = Vec::new();
        f(&mut self.machine, &mut told);
        self.carry(told, peers, out);
    }

    fn carry(&mut self, told: Vec<Out>, peers: &Peers<'_>, out: &mut Outbox) {
        for wanted in told {
            match wanted {
                Out::Say { peer, message } => out.send(peer, message),
                Out::Act(action) => out.push(Action::Test(action)),
                Out::Serving { peer, for_ms } => {
                    out.event(Some(peer), EventKind::TestServed { for_ms }, peers.now);
                }
                Out::Ended(ended) => self.ended(ended, peers, out),
                Out::Stopped(what) => out.stopped(what),
            }
        }
        self.tell_stage(peers, out);
    }

    /// Tells that a test came to another stage, or another path.
    fn tell_stage(&mut self, peers: &Peers<'_>, out: &mut Outbox) {
        let Some((peer, at, phase)) = self.machine.stage() else { return };
        if self.told == Some((at, phase)) {
            return;
        }
        self.told = Some((at, phase));
        let Some(test) = self.machine.shown(peers.now) else { return };
        if let Some(path) = test.paths.get(at) {
            let kind = EventKind::TestStage { path: path.path, via: path.via, phase };
            out.event(Some(peer), kind, peers.now);
        }
    }

    fn ended(&mut self, Ended { test }: Ended, peers: &Peers<'_>, out: &mut Outbox) {
        let peer = test.peer_id;
        out.event(Some(peer), EventKind::TestEnded { measured: test.has_result() }, peers.now);
        let failed = test.paths.iter().find_map(|path| path.reason.clone());
        let result = match failed {
            Some(reason) if !test.has_result() => Err(reason.into()),
            _ => Ok(Done::Tested(Box::new(test.clone()))),
        };
        if let Some(id) = self.waiting.take() {
            out.answer(id, result);
        }
        self.told = None;
        self.latest.insert(peer, Arc::new(test));
        if self.latest.len() > TESTS_KEPT {
            let oldest = self.latest.iter().min_by_key(|(_, test)| test.ended).map(|(peer, _)| *peer);
            oldest.map(|peer| self.latest.remove(&peer));
        }
        out.touch_row(peer);
    }

    /// The latest test of the paths to a peer that ended.
    pub(in crate::core) fn latest(&self, peer: &PeerId) -> Option<Arc<PathTest>> {
        self.latest.get(peer).cloned()
    }

    /// The latest test of each peer, and the one that runs.
    pub(in crate::core) fn view(&self, peers: &Peers<'_>) -> Vec<Arc<PathTest>> {
        let running = self.machine.shown(peers.now);
        let of_running = running.as_ref().map(|test| test.peer_id);
        let ended = self.latest.iter().filter(|(peer, _)| Some(**peer) != of_running);
        running.map(Arc::new).into_iter().chain(ended.map(|(_, test)| Arc::clone(test))).collect()
    }

    /// What the latest test says of a path like the one of the link.
    pub(in crate::core) fn tested(&self, peer: &PeerId, links: &Links) -> Option<Tested> {
        let (info, test) = (links.status(peer)?.info, self.latest.get(peer)?);
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
