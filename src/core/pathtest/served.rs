//! The tested end: what it agrees to, and what it answers and sends.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::TICK;
use super::datagram::{Bytes, Datagram, Kind, Stage};
use super::flow::Flow;
use super::rates::Rates;
use super::types::{Ground, Out, RunId};
use crate::core::Mono;
use crate::core::bucket::Bucket;
use crate::core::engine::TestAction;
use crate::core::limits::{
    TEST_BYTES_MAX, TEST_ECHOES_PER_SECOND, TEST_FOR_MAX, TEST_FOR_MIN, TEST_GRACE, TEST_RATE_MAX,
    TEST_RELAY_RATE_MAX, TEST_SILENT, TESTS_SERVED_MAX,
};
use crate::core::link::ConnId;
use crate::core::wire::{Message, NoTest, TestAnswer, TestOffer, TestOver, TestTerms};
use crate::model::{DropReason, Path, PeerId, TestConsent, millis};

/// Load is sent no longer than this after the asker's last datagram.
const ASKED_WITHIN: Duration = Duration::from_millis(500);

/// A run that was agreed to.
#[derive(Debug)]
struct Run {
    peer: PeerId,
    conn: ConnId,
    terms: TestTerms,
    until: Mono,
    /// When the asker was last heard.
    heard: Mono,
    echoes: Bucket,
    /// Numbered probes of the quiet stage that came, the highest, and those below it.
    came: u32,
    highest: Option<u32>,
    reordered: u32,
    /// Load that was read.
    read: u64,
    /// What is sent, while the asker wants it.
    flow: Option<Flow>,
    sent_all: bool,
    due: Mono,
}

/// Runs of others.
#[derive(Debug)]
pub(super) struct Served {
    consent: TestConsent,
    runs: BTreeMap<RunId, Run>,
    rates: Rates,
}

impl Served {
    pub(super) fn new(consent: TestConsent) -> Self {
        Self { consent, runs: BTreeMap::new(), rates: Rates::default() }
    }

    pub(super) fn set_consent(&mut self, consent: TestConsent, out: &mut VecDeque<Out>) {
        self.consent = consent;
        if consent == TestConsent::Off {
            self.stop(out);
        }
    }

    pub(super) fn on_offer(
        &mut self,
        peer: PeerId,
        offer: &TestOffer,
        ground: Ground<'_>,
        now: Mono,
        out: &mut VecDeque<Out>,
    ) {
        if !self.rates.takes_offer(peer, now) {
            return out.push_back(Out::Stopped(DropReason::TestOffers));
        }
        let result = self.judge(peer, offer, ground, now);
        let answer = TestAnswer { run: offer.run, result: result.map(|(terms, _)| terms) };
        match result {
            Ok((terms, conn)) => {
                let run = RunId(offer.run);
                let lasts = Duration::from_millis(terms.for_ms.into());
                let echoes = Bucket::new(TEST_ECHOES_PER_SECOND / 2.0, TEST_ECHOES_PER_SECOND, now);
                self.runs.insert(
                    run,
                    Run {
                        peer,
                        conn,
                        terms,
                        until: now + lasts + TEST_GRACE,
                        heard: now,
                        echoes,
                        came: 0,
                        highest: None,
                        reordered: 0,
                        read: 0,
                        flow: None,
                        sent_all: false,
                        due: now + TEST_SILENT,
                    },
                );
                out.push_back(Out::Act(TestAction::Begin { run, conn, opens: false }));
                out.push_back(Out::Serving { peer, for_ms: terms.for_ms });
            }
            Err(NoTest::NoConsent) => out.push_back(Out::Stopped(DropReason::TestsWithoutConsent)),
            Err(_) => out.push_back(Out::Stopped(DropReason::TestsRefused)),
        }
        out.push_back(Out::Say { peer, message: Message::TestAnswer(answer) });
    }

    /// What is agreed to, and the connection that it is about.
    fn judge(
        &mut self,
        peer: PeerId,
        offer: &TestOffer,
        ground: Ground<'_>,
        now: Mono,
    ) -> Result<(TestTerms, ConnId), NoTest> {
        let consents = match self.consent {
            TestConsent::Network => true,
            TestConsent::Known => ground.known,
            TestConsent::Off => false,
        };
        if !consents {
            return Err(NoTest::NoConsent);
        }
        let way = ground.ways.iter().find(|way| way.channel == offer.channel).ok_or(NoTest::NoPath)?;
        let of_peer = self.runs.values().any(|run| run.peer == peer);
        if of_peer || self.runs.len() >= TESTS_SERVED_MAX || self.runs.contains_key(&RunId(offer.run)) {
            return Err(NoTest::Busy);
        }
        if !self.rates.takes_run(&peer, now) {
            return Err(NoTest::TooOften);
        }
        let ms = |time| u32::try_from(millis(time)).unwrap_or(u32::MAX);
        let rate = if way.path == Path::Relayed { TEST_RELAY_RATE_MAX } else { TEST_RATE_MAX };
        let terms = TestTerms {
            for_ms: offer.terms.for_ms.clamp(ms(TEST_FOR_MIN), ms(TEST_FOR_MAX)),
            rate: offer.terms.rate.min(rate),
            bytes: offer.terms.bytes.min(TEST_BYTES_MAX),
        };
        Ok((terms, way.conn))
    }

    /// The asker says that it is over.
    pub(super) fn on_over(&mut self, peer: PeerId, run: RunId, out: &mut VecDeque<Out>) {
        if self.runs.get(&run).is_some_and(|r| r.peer == peer) {
            self.end(run, false, out);
        }
    }

    /// Whether it is of a run.
    pub(super) fn on_datagram(
        &mut self,
        conn: ConnId,
        bytes: &Bytes,
        mtu: u16,
        now: Mono,
        out: &mut VecDeque<Out>,
    ) -> bool {
        let mut of_conn = self.runs.iter_mut().filter(|(_, run)| run.conn == conn);
        let Some((id, run)) = of_conn.next() else { return false };
        let Some(probe) = Datagram::decode(bytes, *id) else { return false };
        if run.echoes.take(now) {
            run.on_probe(*id, &probe, mtu, now, out);
        } else {
            out.push_back(Out::Stopped(DropReason::TestTooFast));
        }
        true
    }

    pub(super) fn on_read(&mut self, run: RunId, total: u64, out: &mut VecDeque<Out>) {
        let Some(of) = self.runs.get_mut(&run) else { return };
        of.read = total;
        if total > u64::from(of.terms.bytes) {
            out.push_back(Out::Stopped(DropReason::TestLoadTooHigh));
            self.end(run, true, out);
        }
    }

    pub(super) fn on_closed(&mut self, conn: ConnId, out: &mut VecDeque<Out>) {
        self.end_all(|run| run.conn == conn, out);
    }

    pub(super) fn on_unlinked(&mut self, peer: &PeerId, out: &mut VecDeque<Out>) {
        self.end_all(|run| run.peer == *peer, out);
    }

    pub(super) fn stop(&mut self, out: &mut VecDeque<Out>) {
        self.end_all(|_| true, out);
    }

    pub(super) fn on_timeout(&mut self, now: Mono, out: &mut VecDeque<Out>) {
        self.end_all(|run| now >= run.until || now.since(run.heard) >= TEST_SILENT, out);
        for (id, run) in &mut self.runs {
            run.on_tick(*id, now, out);
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Mono> {
        self.runs.values().map(|run| run.due.min(run.until)).min()
    }

    fn end_all(&mut self, which: impl Fn(&Run) -> bool, out: &mut VecDeque<Out>) {
        let over: Vec<RunId> = self.runs.iter().filter(|(_, run)| which(run)).map(|(id, _)| *id).collect();
        for run in over {
            self.end(run, true, out);
        }
    }

    fn end(&mut self, run: RunId, tell: bool, out: &mut VecDeque<Out>) {
        let Some(ended) = self.runs.remove(&run) else { return };
        out.push_back(Out::Act(TestAction::End { run }));
        if tell {
            let message = Message::TestOver(TestOver { run: run.0 });
            out.push_back(Out::Say { peer: ended.peer, message });
        }
    }
}

impl Run {
    fn on_probe(&mut self, id: RunId, probe: &Datagram, mtu: u16, now: Mono, out: &mut VecDeque<Out>) {
        let Kind::Probe { base, queue } = probe.kind else { return };
        self.heard = now;
        if probe.stage == Stage::Quiet {
            self.came += 1;
            self.reordered += u32::from(self.highest.is_some_and(|highest| probe.number < highest));
            self.highest = self.highest.max(Some(probe.number));
        }
        let kind = Kind::Echo { mtu, came: self.came, reordered: self.reordered, at: now };
        let echo = Datagram { kind, load: self.read, ..*probe };
        out.push_back(Out::Act(TestAction::Datagram { run: id, bytes: echo.encode(id) }));
        match probe.stage {
            Stage::Down if !self.sent_all => {
                let terms = &self.terms;
                let flow = self.flow.get_or_insert_with(|| Flow::new(terms, base, now));
                flow.on_arrived(probe.load, base, queue, now);
                self.on_tick(id, now, out);
            }
            Stage::Last if self.flow.take().is_some() => {
                self.sent_all = true;
                out.push_back(Out::Act(TestAction::Quieten { run: id }));
            }
            _ => {}
        }
    }

    /// Sends what may be sent now.
    fn on_tick(&mut self, id: RunId, now: Mono, out: &mut VecDeque<Out>) {
        let asked = now.since(self.heard) < ASKED_WITHIN;
        let Some(flow) = self.flow.as_mut().filter(|_| asked) else {
            self.due = (self.heard + TEST_SILENT).min(self.until);
            return;
        };
        let bytes = flow.give(now);
        if bytes > 0 {
            out.push_back(Out::Act(TestAction::Load { run: id, bytes }));
        }
        self.due = now + TICK;
    }
}
