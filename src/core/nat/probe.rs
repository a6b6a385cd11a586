//! When to measure, and what to hold of it: runs, one after the other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::budget::Budgets;
use super::datagram::{Bytes, Datagram};
use super::lifetime::Lifetime;
use super::run::{DIAL_TRIES, Plan, Run};
use super::tools::Tools;
use super::{Family, NatAction, SocketId, VantagePoint, verdict};
use crate::core::wire::DialBackAnswer;
use crate::core::{Mono, Now};
use crate::model::{Behaviour, DropReason, NatEvidence, NatType, NatView, PeerId, PortOrder, Reason};

/// From one run to the next: with the run itself, a change is noticed within a
/// minute.
pub const INTERVAL: Duration = Duration::from_secs(57);
/// The same while a link is relayed: a change is noticed within five seconds,
/// because it may end the relaying.
pub const RELAYED_INTERVAL: Duration = Duration::from_secs(4);
/// A result that could not be confirmed for this long is no result any more.
pub const VALID: Duration = Duration::from_secs(15 * 60);
/// Vantage points that come together are used together.
const GATHER: Duration = Duration::from_millis(300);
/// Between runs whatever happens: responders serve few a minute.
const REST: Duration = Duration::from_secs(2);
/// Responders asked in one run.
const ASKED_MAX: usize = 6;
/// Vantage points that make a result robust: one of them may lie.
const WANTED: usize = 3;
/// A responder that did not answer is asked again after this long, unless there
/// are too few others.
const SILENT_FOR: Duration = Duration::from_secs(5 * 60);
/// Dial-backs that stayed out count for this long.
const SILENCE_KEPT: Duration = Duration::from_secs(120);
/// How sure a result is that fewer dial-backs bear out than found it.
const BORNE_OUT: f64 = 0.8;
/// A known result outlives so many runs without one: datagrams get lost.
const FAILURES_MAX: u32 = 3;

/// The measurement of one address family's NAT.
#[derive(Debug)]
pub struct NatProbe {
    tools: Tools,
    points: BTreeMap<PeerId, VantagePoint>,
    /// Who did not answer, and until when it is passed over.
    silent: BTreeMap<PeerId, Mono>,
    run: Option<Run>,
    due: Option<Mono>,
    ended: Option<Mono>,
    last_full: Option<Mono>,
    turn: usize,
    /// Dial-backs that stayed out: (contacted, dialler), when.
    stayed_out: VecDeque<((PeerId, PeerId), Mono)>,
    view: NatView,
    /// What was known before somebody saw us at another port.
    before: Option<NatView>,
    /// When the view was last borne out.
    confirmed: Option<Mono>,
    failures: u32,
    /// Our address is another one than that of the view.
    moved: bool,
    relayed: bool,
    asked: bool,
    lifetime: Lifetime,
}

impl NatProbe {
    /// A probe that knows nothing yet.
    pub fn new(family: Family, seed: u64) -> Self {
        Self {
            tools: Tools {
                family,
                rng: StdRng::seed_from_u64(seed),
                budgets: Budgets::default(),
                next_socket: if family == Family::V4 { 2 } else { 3 },
                used_ports: VecDeque::new(),
                out: VecDeque::new(),
            },
            points: BTreeMap::new(),
            silent: BTreeMap::new(),
            run: None,
            due: None,
            ended: None,
            last_full: None,
            turn: 0,
            stayed_out: VecDeque::new(),
            view: NatView::unknown(Reason::NoVantagePoints),
            before: None,
            confirmed: None,
            failures: 0,
            moved: false,
            relayed: false,
            asked: false,
            lifetime: Lifetime::default(),
        }
    }

    /// What is known.
    pub fn view(&self) -> &NatView {
        &self.view
    }

    /// Peers that could be asked.
    pub fn vantage_points(&self) -> usize {
        self.points.len()
    }

    /// A responder is linked, or what is known of it changed.
    pub fn vantage_up(&mut self, point: VantagePoint, now: Now) {
        let peer = point.peer;
        let known = self.points.insert(peer, point.clone());
        if known.is_some_and(|k| k.ip == point.ip && k.ports == point.ports) {
            return;
        }
        self.silent.remove(&peer);
        let agreeing = self.view.vantage_points.iter().filter(|v| v.agrees).count();
        if self.choose().len() >= 2 && (self.view.measured.is_none() || agreeing < WANTED) {
            self.run_by(now.mono + GATHER);
        }
    }

    /// A responder's link is gone.
    pub fn vantage_down(&mut self, peer: &PeerId, now: Now) {
        self.points.remove(peer);
        self.silent.remove(peer);
        self.lifetime.vantage_down(peer, &mut self.tools, now);
    }

    /// Our address changed: what was measured was another NAT.
    pub fn address_changed(&mut self, now: Now) {
        self.forget_the_past(now);
        self.before = None;
        if self.view.measured.is_some() {
            self.again(NatEvidence::AddressChanged, now);
        }
        self.run_by(now.mono + GATHER);
    }

    fn forget_the_past(&mut self, now: Now) {
        self.stayed_out.clear();
        self.moved = true;
        self.lifetime.forget(&mut self.tools, now);
    }

    /// What was known is contradicted: nothing is, until it was measured again.
    fn again(&mut self, evidence: NatEvidence, now: Now) {
        self.confirmed = None;
        self.view = NatView {
            lifetime: self.lifetime.known(),
            evidence: vec![evidence],
            again_since: Some(now.stamp),
            ..NatView::unknown(Reason::NatChanging)
        };
        self.tools.out.push_back(NatAction::Result(Box::new(self.view.clone())));
    }

    /// Whether what is known says that everybody sees us at one port.
    pub fn has_one_mapping(&self) -> bool {
        self.view.measured.is_some()
            && (self.view.mapping == Some(Behaviour::EndpointIndependent)
                || self.view.nat_type == NatType::None)
    }

    /// Somebody sees us where the NAT that was measured cannot have put us: nothing is
    /// known until it was measured again, which is done at once.
    pub fn contradicted(&mut self, by: PeerId, seen: SocketAddr, now: Now) {
        self.forget_the_past(now);
        // Bearing it out takes less than finding it.
        self.before = Some(self.view.clone());
        // What it has found so far may be of the NAT before.
        if let Some(run) = self.run.take() {
            run.close(&mut self.tools);
            self.ended = Some(now.mono);
        }
        self.again(NatEvidence::Contradicted { by, seen }, now);
        self.run_by(now.mono);
    }

    /// Whether a link is relayed now: then a better NAT is looked for often.
    pub fn set_relayed(&mut self, relayed: bool, now: Now) {
        if relayed && !self.relayed {
            self.run_by(now.mono + RELAYED_INTERVAL);
        }
        self.relayed = relayed;
    }

    /// A look is wanted as soon as may be; nobody waits for its end.
    pub fn look(&mut self, now: Now) {
        if self.run.is_none() {
            self.run_by(now.mono);
        }
    }

    /// Somebody wants to know now; [`NatAction::Answered`] tells.
    pub fn ask(&mut self, now: Now) {
        self.asked = true;
        if self.run.is_none() {
            self.begin(false, now);
        }
    }

    /// A socket is there (bound to that local address), or cannot be had.
    pub fn on_socket(&mut self, socket: SocketId, local: Result<SocketAddr, String>, now: Now) {
        self.lifetime.on_socket(socket, &local, &mut self.tools, now);
        if let Some(run) = &mut self.run {
            run.on_socket(socket, local, &mut self.tools, now);
            self.end_if_over(now);
        }
    }

    /// A datagram came in on one of our sockets.
    pub fn on_datagram(&mut self, socket: SocketId, from: SocketAddr, bytes: &Bytes, now: Now) {
        let Some(datagram) = Datagram::decode(bytes) else {
            self.tools.out.push_back(NatAction::Stopped(DropReason::ProbeOfNoKind));
            return;
        };
        if self.lifetime.on_datagram(socket, from, datagram, &mut self.tools, now) {
            self.show_lifetime();
        } else if let Some(run) = &mut self.run {
            run.on_datagram(socket, from, datagram, &mut self.tools, now);
            self.end_if_over(now);
        }
    }

    /// The lifetime is part of the view, and measured apart from the rest.
    fn show_lifetime(&mut self) {
        let lifetime = self.lifetime.known();
        if self.view.lifetime != lifetime {
            self.view.lifetime = lifetime;
            self.tools.out.push_back(NatAction::Result(Box::new(self.view.clone())));
        }
    }

    /// Once it is known that something keeps strangers out, how long it
    /// remembers whom we spoke to is of interest.
    fn measure_lifetime(&mut self, now: Now) {
        let filters = self.view.mapping.is_some_and(|m| m != Behaviour::EndpointIndependent)
            || self.view.filtering.is_some_and(|f| f != Behaviour::EndpointIndependent)
            || self.view.nat_type == NatType::FullCone;
        if self.run.is_none() && self.view.measured.is_some() && filters && self.lifetime.wants(now) {
            self.lifetime.begin(&self.choose(), &mut self.tools, now);
        }
    }

    /// A responder answered a dial-back request over its link.
    pub fn on_answer(&mut self, peer: PeerId, answer: DialBackAnswer, now: Now) {
        if let Some(run) = &mut self.run {
            run.on_answer(peer, answer, &mut self.tools, now);
            self.end_if_over(now);
        }
    }

    /// Does what is due.
    pub fn on_timeout(&mut self, now: Now) {
        self.lifetime.on_timeout(&mut self.tools, now);
        self.show_lifetime();
        if let Some(run) = &mut self.run {
            if run.next_timeout(now) <= now.mono {
                run.on_timeout(&mut self.tools, now);
            }
            self.end_if_over(now);
        } else if self.due.is_some_and(|due| due <= now.mono) {
            let fresh = self.last_full.is_some_and(|at| now.mono.since(at) < INTERVAL);
            self.begin(self.relayed && fresh && self.view.measured.is_some(), now);
        }
    }

    /// When [`Self::on_timeout`] wants to be called.
    pub fn next_timeout(&self, now: Now) -> Option<Mono> {
        let run = self.run.as_ref().map(|run| run.next_timeout(now)).or(self.due);
        run.into_iter().chain(self.lifetime.next_timeout()).min()
    }

    /// The next thing to do; call until it is `None`.
    pub fn poll(&mut self) -> Option<NatAction> {
        self.tools.out.pop_front()
    }

    fn run_by(&mut self, at: Mono) {
        let rested = self.ended.map_or(at, |ended| at.max(ended + REST));
        self.due = Some(self.due.map_or(rested, |due| due.min(rested)));
    }

    /// The responders to ask: of different IPs, the likeliest first.
    fn choose(&self) -> Vec<VantagePoint> {
        let mut all: Vec<&VantagePoint> = self.points.values().collect();
        // Who did not answer comes last, but comes: there may be nobody else.
        all.sort_by_key(|p| (self.silent.contains_key(&p.peer), p.rank, p.rtt, p.peer));
        let mut ips = BTreeSet::new();
        all.retain(|p| ips.insert(p.ip));
        all.truncate(ASKED_MAX);
        all.into_iter().cloned().collect()
    }

    fn begin(&mut self, mut glance: bool, now: Now) {
        self.silent.retain(|_, until| *until > now.mono);
        self.stayed_out.retain(|(_, at)| now.mono.since(*at) < SILENCE_KEPT);
        let mut points = self.choose();
        if points.len() < 2 {
            self.due = (!self.points.is_empty() || self.view.measured.is_some()).then(|| now.mono + INTERVAL);
            self.could_not(NatView::unknown(Reason::NoVantagePoints), now);
            return;
        }
        let agreed =
            |p: &VantagePoint| self.view.vantage_points.iter().any(|v| v.peer_id == p.peer && v.agrees);
        glance &= points.iter().filter(|p| agreed(p)).count() >= 2;
        if glance {
            // Two that agreed are enough to see whether anything changed.
            points.retain(agreed);
            let first = self.turn % points.len();
            points.rotate_left(first);
            points.truncate(2);
        } else {
            self.last_full = Some(now.mono);
        }
        let mut silent: BTreeMap<_, u8> = BTreeMap::new();
        for (pair, _) in &self.stayed_out {
            let count = silent.entry(*pair).or_default();
            *count = (*count + 1).min(DIAL_TRIES);
        }
        self.turn += 1;
        let filter = self.view.mapping == Some(Behaviour::EndpointIndependent);
        let open = self.view.filtering == Some(Behaviour::EndpointIndependent);
        let shut = self.view.filtering == Some(Behaviour::AddressAndPortDependent);
        let plan = Plan { points, glance, turn: self.turn, silent, filter, open, shut };
        self.due = None;
        self.run = Some(Run::start(plan, &mut self.tools, now));
    }

    fn end_if_over(&mut self, now: Now) {
        let Some(run) = self.run.take_if(|run| run.is_over(now)) else { return };
        run.close(&mut self.tools);
        self.ended = Some(now.mono);
        self.remember_silence(&run, now);
        let interval = if self.relayed { RELAYED_INTERVAL } else { INTERVAL };
        self.due = Some((run.started + interval).max(now.mono + Duration::from_millis(1)));
        if run.plan.glance {
            if verdict::is_still(&run, &self.view) {
                self.view.measured = Some(now.stamp);
                self.follow_ports(&run);
                self.confirmed = Some(now.mono);
                self.tools.out.push_back(NatAction::Result(Box::new(self.view.clone())));
                if self.asked {
                    self.begin(false, now);
                }
            } else {
                // Something is not as it was: measure at once.
                self.begin(false, now);
            }
            return;
        }
        let points = &run.plan.points;
        let stayed_out = &self.stayed_out;
        let view = verdict::view(
            &run,
            |contact, dialler| stayed_out.iter().filter(|((c, d), _)| (*c, *d) == (contact, dialler)).count(),
            now,
        );
        let seen = run.seen();
        let quiet = points.iter().zip(&seen).filter(|(_, s)| **s == [None, None]).map(|(p, _)| p.peer);
        self.silent.extend(quiet.map(|peer| (peer, now.mono + SILENT_FOR)));
        if view.measured.is_some() {
            self.failures = 0;
            self.confirmed = Some(now.mono);
            if self.view.measured.is_some() && self.view.nat_type != view.nat_type {
                self.lifetime.forget(&mut self.tools, now);
            }
            self.publish(view);
            self.measure_lifetime(now);
            // Others may answer where these did not: three are better than two.
            let agreeing = self.view.vantage_points.iter().filter(|v| v.agrees).count();
            let untried = self.points.keys().any(|p| !points.iter().any(|asked| asked.peer == *p));
            if agreeing < WANTED && untried && points.len() == ASKED_MAX {
                self.run_by(now.mono + REST);
            }
        } else if let Some(before) = self.before.as_ref().filter(|b| verdict::is_borne_out(&run, b)) {
            // It forgot its mappings, and is what it was: the mapping was measured
            // anew, and all dial-backs that could be had went as before.
            let confidence = before.confidence.map(|c| c * BORNE_OUT);
            let NatView { nat_type, filtering, .. } = *before;
            let found =
                NatView { nat_type, filtering, confidence, measured: Some(now.stamp), reason: None, ..view };
            self.failures = 0;
            self.confirmed = Some(now.mono);
            self.publish(found);
            self.measure_lifetime(now);
        } else if run.was_refused() && verdict::is_still(&run, &self.view) {
            // We asked so often that our peers send no more dial-backs for now.
            // Nothing speaks against what is known.
            self.answer();
        } else {
            self.could_not(view, now);
            self.run_by(now.mono + REST * self.failures.min(8));
        }
    }

    /// A run without a result. A known one stands for a while: links come and
    /// go, and datagrams get lost.
    fn could_not(&mut self, found: NatView, now: Now) {
        self.failures = self.failures.saturating_add(1);
        let old = self.confirmed.is_none_or(|at| now.mono.since(at) >= VALID);
        let few = found.reason == Some(Reason::NoVantagePoints);
        let often = self.failures > FAILURES_MAX;
        if self.view.measured.is_none() || self.moved || old || (often && !few) {
            self.confirmed = None;
            self.publish(found);
        } else {
            self.answer();
        }
    }

    fn publish(&mut self, view: NatView) {
        let again_since = self.view.again_since.filter(|_| view.measured.is_none());
        if view.measured.is_some() {
            self.before = None;
        }
        self.view = NatView { lifetime: self.lifetime.known(), again_since, ..view };
        self.moved = false;
        self.tools.out.push_back(NatAction::Result(Box::new(self.view.clone())));
        self.answer();
    }

    /// A glance sees how far the ports have come; too few of them to say that
    /// their order is another one.
    fn follow_ports(&mut self, run: &Run) {
        if let Some(PortOrder::Steps { step, last }) = &mut self.view.ports
            && let Some(newest) = run.newest_port(*step)
        {
            *last = newest;
        }
    }

    fn answer(&mut self) {
        if std::mem::take(&mut self.asked) {
            self.tools.out.push_back(NatAction::Answered(Box::new(self.view.clone())));
        }
    }

    /// Keeps what a run's dial-backs showed for the next ones.
    fn remember_silence(&mut self, run: &Run, now: Now) {
        if run.is_open() {
            self.stayed_out.clear();
            return;
        }
        let points = &run.plan.points;
        for pair in &run.pairs {
            let names = (points[pair.contact].peer, points[pair.dialler].peer);
            for _ in 0..pair.sent {
                self.stayed_out.push_back((names, now.mono));
            }
        }
    }
}
