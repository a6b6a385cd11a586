//! The asking end: a test of each path in turn.

use std::collections::VecDeque;
use std::time::Duration;

use super::TICK;
use super::datagram::{Bytes, Datagram, Kind, Stage};
use super::flow::Flow;
use super::measure::{Meter, Trips};
use super::types::{Out, RunId, Way};
use crate::core::engine::TestAction;
use crate::core::limits::{TEST_BYTES_MAX, TEST_FOR_MAX, TEST_FOR_MIN, TEST_RATE_MAX, TEST_RELAY_RATE_MAX};
use crate::core::link::ConnId;
use crate::core::nat::Nonce;
use crate::core::wire::{Message, NoTest, TestAnswer, TestOffer, TestOver, TestTerms};
use crate::core::{Mono, Now};
use crate::model::{DropReason, Path, PathTest, PeerId, Reason, Stamp, TestPhase, TestedPath, millis};

/// An offer is answered within this time, or the other end knows none.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);
/// Of its time a path is quiet so long ...
const QUIET: f64 = 0.3;
/// ... and is loaded upwards so long; downwards the rest.
const LOADED: f64 = 0.35;
/// After it the last figures are fetched for a round trip and a half, and this long at
/// least.
const LAST: Duration = Duration::from_millis(200);
/// A path on which no echo came for this long is given up.
/// The tested end waits a little longer ([`TEST_SILENT`](crate::core::limits::TEST_SILENT)).
const DEAD: Duration = Duration::from_millis(2_500);
/// Between two datagrams, at most: where round trips are long fewer say as much.
const SLOWEST: Duration = Duration::from_millis(50);

/// A run that is agreed to.
#[derive(Debug)]
struct Run {
    terms: TestTerms,
    began: Mono,
    stage: Stage,
    trips: Trips,
    /// The last round trip.
    last: Duration,
    /// When the last echo came.
    heard: Mono,
    /// What the other end said of the quiet stage.
    came: (u32, u32),
    flow: Flow,
    up: Meter,
    down: Meter,
    /// Load that was read here.
    read: u64,
    mtu: Option<u16>,
    due: Mono,
}

#[derive(Debug)]
enum State {
    /// No path is tested just now.
    Between,
    /// The other end was asked.
    Offered { run: RunId, until: Mono },
    /// It agreed.
    Running { run: RunId, inner: Box<Run> },
}

/// A test that was asked for here.
#[derive(Debug)]
pub(super) struct Asked {
    peer: PeerId,
    lasts: Duration,
    started: Stamp,
    paths: Vec<(Way, TestedPath)>,
    /// Which path is tested, or was last.
    at: Option<usize>,
    state: State,
    /// Why no further path is tested.
    over: Option<Reason>,
}

impl Asked {
    pub(super) fn new(peer: PeerId, ways: &[Way], lasts: Duration, now: Now) -> Self {
        let paths = ways.iter().map(|way| (*way, TestedPath::waiting(way.path, way.via, way.in_use)));
        Self {
            peer,
            lasts: lasts.clamp(TEST_FOR_MIN, TEST_FOR_MAX),
            started: now.stamp,
            paths: paths.collect(),
            at: None,
            state: State::Between,
            over: None,
        }
    }

    pub(super) fn peer(&self) -> PeerId {
        self.peer
    }

    pub(super) fn is_between(&self) -> bool {
        matches!(self.state, State::Between)
    }

    /// Offers the next path; whether there is one.
    pub(super) fn next_path(&mut self, run: Nonce, now: Mono, out: &mut VecDeque<Out>) -> bool {
        let next = self.at.map_or(0, |at| at + 1);
        if let Some(over) = &self.over {
            for (_, shown) in self.paths.iter_mut().skip(next) {
                (shown.phase, shown.reason) = (TestPhase::Over, Some(over.clone()));
            }
            return false;
        }
        let Some((way, shown)) = self.paths.get_mut(next) else { return false };
        let rate = if way.path == Path::Relayed { TEST_RELAY_RATE_MAX } else { TEST_RATE_MAX };
        let for_ms = u32::try_from(millis(self.lasts)).unwrap_or(u32::MAX);
        let terms = TestTerms { for_ms, rate, bytes: TEST_BYTES_MAX };
        let offer = TestOffer { run, channel: way.channel, terms };
        shown.phase = TestPhase::Asking;
        self.at = Some(next);
        self.state = State::Offered { run: RunId(run), until: now + ANSWER_WITHIN };
        out.push_back(Out::Say { peer: self.peer, message: Message::TestOffer(offer) });
        true
    }

    pub(super) fn on_answer(
        &mut self,
        peer: PeerId,
        answer: &TestAnswer,
        now: Mono,
        out: &mut VecDeque<Out>,
    ) {
        let State::Offered { run, .. } = self.state else { return };
        if peer != self.peer || run.0 != answer.run {
            return;
        }
        let Some((way, shown)) = self.at.and_then(|at| self.paths.get_mut(at)) else { return };
        match answer.result {
            Ok(agreed) => {
                // Never more than was asked for, whatever it says.
                let rate = if way.path == Path::Relayed { TEST_RELAY_RATE_MAX } else { TEST_RATE_MAX };
                let for_ms = u32::try_from(millis(self.lasts)).unwrap_or(u32::MAX);
                let terms = TestTerms {
                    for_ms: agreed.for_ms.min(for_ms),
                    rate: agreed.rate.min(rate),
                    bytes: agreed.bytes.min(TEST_BYTES_MAX),
                };
                shown.phase = TestPhase::Quiet;
                out.push_back(Out::Act(TestAction::Begin { run, conn: way.conn, opens: true }));
                let inner = Box::new(Run::new(terms, now));
                self.state = State::Running { run, inner };
                self.on_timeout(now, out);
            }
            Err(why) => {
                let reason = match why {
                    NoTest::NoConsent | NoTest::Other => Reason::NoTesting,
                    NoTest::Busy => Reason::TestBusy,
                    NoTest::TooOften => Reason::TestedTooOften,
                    NoTest::NoPath => Reason::PathGone,
                };
                if matches!(why, NoTest::NoConsent | NoTest::TooOften) {
                    self.over = Some(reason.clone());
                }
                self.end(Some(reason), false, out);
            }
        }
    }

    /// The other end says that a run is over, before we do.
    pub(super) fn on_over(&mut self, peer: PeerId, run: RunId, out: &mut VecDeque<Out>) {
        let ours = matches!(self.state, State::Running { run: of, .. } if of == run);
        if ours && peer == self.peer {
            self.end(Some(Reason::EndedThere), false, out);
        }
    }

    /// Whether it is of this test.
    pub(super) fn on_datagram(&mut self, conn: ConnId, bytes: &Bytes, mtu: u16, now: Mono) -> bool {
        let is_its = self.at.and_then(|at| self.paths.get(at)).is_some_and(|(way, _)| way.conn == conn);
        let State::Running { run, inner } = &mut self.state else { return false };
        let Some(echo) = Datagram::decode(bytes, *run).filter(|_| is_its) else { return false };
        inner.on_echo(&echo, mtu, now);
        true
    }

    pub(super) fn on_read(&mut self, run: RunId, total: u64, now: Mono, out: &mut VecDeque<Out>) {
        let State::Running { run: of, inner } = &mut self.state else { return };
        if *of != run {
            return;
        }
        inner.read = total;
        inner.down.at(now, total);
        if total > u64::from(inner.terms.bytes) {
            out.push_back(Out::Stopped(DropReason::TestLoadTooHigh));
            self.end(Some(Reason::CalledOff), true, out);
        }
    }

    pub(super) fn on_closed(&mut self, conn: ConnId, out: &mut VecDeque<Out>) {
        let is_its = self.at.and_then(|at| self.paths.get(at)).is_some_and(|(way, _)| way.conn == conn);
        if is_its && !self.is_between() {
            self.end(Some(Reason::PathGone), true, out);
        }
    }

    /// Ends it, with all paths that are left.
    pub(super) fn call_off(&mut self, why: &Reason, out: &mut VecDeque<Out>) {
        self.over = Some(why.clone());
        self.end(Some(why.clone()), true, out);
    }

    pub(super) fn on_timeout(&mut self, now: Mono, out: &mut VecDeque<Out>) {
        let (run, inner) = match &mut self.state {
            State::Offered { until, .. } if *until <= now => {
                self.over = Some(Reason::CannotBeTested);
                return self.end(Some(Reason::CannotBeTested), true, out);
            }
            State::Between | State::Offered { .. } => return,
            State::Running { run, inner } => (*run, inner),
        };
        if now < inner.due {
            return;
        }
        match inner.on_tick(run, now, out) {
            Tick::GoOn => {}
            Tick::Done => self.end(None, true, out),
            Tick::Dead => {
                let reason = if inner.trips.fastest().is_none() {
                    Reason::NothingEchoed
                } else {
                    Reason::ConnectionTimedOut
                };
                self.end(Some(reason), true, out);
            }
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Mono> {
        match &self.state {
            State::Between => None,
            State::Offered { until, .. } => Some(*until),
            State::Running { inner, .. } => Some(inner.due),
        }
    }

    /// The path that is tested is done.
    fn end(&mut self, reason: Option<Reason>, tell: bool, out: &mut VecDeque<Out>) {
        if let (Some((_, shown)), State::Running { inner, .. }) =
            (self.at.and_then(|at| self.paths.get_mut(at)), &self.state)
        {
            inner.show(shown);
        }
        let run = match std::mem::replace(&mut self.state, State::Between) {
            State::Between => return,
            State::Offered { run, .. } => run,
            State::Running { run, .. } => {
                out.push_back(Out::Act(TestAction::End { run }));
                run
            }
        };
        if tell {
            let message = Message::TestOver(TestOver { run: run.0 });
            out.push_back(Out::Say { peer: self.peer, message });
        }
        if let Some((_, shown)) = self.at.and_then(|at| self.paths.get_mut(at)) {
            (shown.phase, shown.reason) = (TestPhase::Over, reason);
        }
    }

    /// Which path is tested, and how far.
    pub(super) fn stage(&self) -> Option<(PeerId, usize, TestPhase)> {
        let phase = match &self.state {
            State::Between => return None,
            State::Offered { .. } => TestPhase::Asking,
            State::Running { inner, .. } => inner.phase(),
        };
        Some((self.peer, self.at?, phase))
    }

    /// As it is shown now.
    pub(super) fn shown(&self, now: Now) -> PathTest {
        let mut paths: Vec<TestedPath> = self.paths.iter().map(|(_, shown)| shown.clone()).collect();
        if let (Some(path), State::Running { inner, .. }) =
            (self.at.and_then(|at| paths.get_mut(at)), &self.state)
        {
            inner.show(path);
            path.progress = inner.progress(now.mono);
        }
        for path in paths.iter_mut().filter(|path| path.phase == TestPhase::Over) {
            path.progress = 1.0;
        }
        let for_ms = u32::try_from(millis(self.lasts)).unwrap_or(u32::MAX);
        PathTest { peer_id: self.peer, started: self.started, for_ms, ended: None, paths }
    }
}

enum Tick {
    GoOn,
    Done,
    Dead,
}

impl Run {
    fn new(terms: TestTerms, now: Mono) -> Self {
        Self {
            terms,
            began: now,
            stage: Stage::Quiet,
            trips: Trips::default(),
            last: Duration::ZERO,
            heard: now,
            came: (0, 0),
            flow: Flow::new(&terms, Duration::ZERO, now),
            up: Meter::default(),
            down: Meter::default(),
            read: 0,
            mtu: None,
            due: now,
        }
    }

    fn lasts(&self) -> Duration {
        Duration::from_millis(self.terms.for_ms.into())
    }

    fn base(&self) -> Duration {
        self.trips.fastest().unwrap_or_default()
    }

    fn queue(&self) -> Duration {
        self.last.saturating_sub(self.base())
    }

    fn progress(&self, now: Mono) -> f32 {
        let all = self.lasts().as_secs_f32().max(0.001);
        (now.since(self.began).as_secs_f32() / all).min(1.0)
    }

    fn on_echo(&mut self, echo: &Datagram, mtu: u16, now: Mono) {
        let Kind::Echo { mtu: theirs, came, reordered, at } = echo.kind else { return };
        let Some(took) = self.trips.echoed(echo.number, now) else { return };
        (self.last, self.heard) = (took, now);
        self.came = (self.came.0.max(came), self.came.1.max(reordered));
        self.mtu = Some(mtu.min(theirs)).filter(|mtu| *mtu > 0);
        if self.stage >= Stage::Up {
            self.up.at(at, echo.load);
        }
        if self.stage == Stage::Up {
            self.flow.on_arrived(echo.load, self.base(), self.queue(), now);
        }
    }

    fn on_tick(&mut self, run: RunId, now: Mono, out: &mut VecDeque<Out>) -> Tick {
        let since = now.since(self.began);
        let (quiet, loaded) = (self.lasts().mul_f64(QUIET), self.lasts().mul_f64(LOADED));
        let last = LAST.max(self.base() + self.base() / 2);
        let stage = match since {
            since if since < quiet => Stage::Quiet,
            since if since < quiet + loaded => Stage::Up,
            since if since < self.lasts() => Stage::Down,
            since if since < self.lasts() + last => Stage::Last,
            _ => return Tick::Done,
        };
        if now.since(self.heard) >= DEAD {
            return Tick::Dead;
        }
        if self.stage != stage {
            match stage {
                // Nothing is under way yet: it begins now.
                Stage::Up => self.flow = Flow::new(&self.terms, self.base(), now),
                Stage::Down => out.push_back(Out::Act(TestAction::Quieten { run })),
                Stage::Quiet | Stage::Last => {}
            }
            self.stage = stage;
        }
        let number = self.trips.sent(stage == Stage::Quiet, now);
        let kind = Kind::Probe { base: self.base(), queue: self.queue() };
        let datagram = Datagram { kind, stage, number, load: self.read };
        out.push_back(Out::Act(TestAction::Datagram { run, bytes: datagram.encode(run) }));
        if stage == Stage::Up {
            let bytes = self.flow.give(now);
            if bytes > 0 {
                out.push_back(Out::Act(TestAction::Load { run, bytes }));
            }
        }
        // What is due late is not caught up with: then it would come in bursts.
        let every = (self.base() / 10).clamp(TICK, SLOWEST);
        self.due = now + if stage == Stage::Up { TICK } else { every };
        Tick::GoOn
    }

    fn phase(&self) -> TestPhase {
        match self.stage {
            Stage::Quiet => TestPhase::Quiet,
            Stage::Up => TestPhase::Up,
            Stage::Down | Stage::Last => TestPhase::Down,
        }
    }

    fn show(&self, shown: &mut TestedPath) {
        shown.phase = self.phase();
        self.trips.show(self.came.0, self.came.1, shown);
        shown.rate_up = self.up.rate(self.terms.rate);
        shown.rate_down = self.down.rate(self.terms.rate);
        shown.mtu = self.mtu;
    }
}
