//! One measurement: which datagrams go out, which come in, and when it is over.
//! What they mean is [`verdict`](super::verdict)'s business.

mod ring;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::classify::{self, Seen};
use super::datagram::Datagram;
use super::order;
use super::tools::Tools;
use super::{NatAction, Nonce, SocketId, VantagePoint};
use crate::core::gossip::rules::is_public;
use crate::core::wire::{DialBack, DialBackAnswer, Message};
use crate::core::{Mono, Now};
use crate::model::{DropReason, PeerId, PortOrder, Reason};

/// Between two tries of one request, on top of the link's round trip.
const RETRY: Duration = Duration::from_millis(150);
/// A link slower than this is not waited for.
const RTT_MAX: Duration = Duration::from_millis(500);
/// Tries of a request that ought to be answered.
const TRIES: u8 = 5;
/// Tries of one that a filter may stop.
const OTHER_PORT_TRIES: u8 = 4;
/// Datagrams that must stay out before a pair counts as filtered.
pub(super) const DIAL_TRIES: u8 = 3;
/// Between two dial-backs of a pair: three take 600 ms and more.
const DIAL_SPACING: Duration = Duration::from_millis(200);
/// How long the last one is waited for, on top of the dialler's round trip.
const DIAL_WAIT: Duration = Duration::from_millis(250);
/// A dialler that sends nothing just now is mostly busy with others, a second at
/// a time: it is asked again after this long, and up to half as long again.
const BUSY_WAIT: Duration = Duration::from_millis(500);
/// Refusals of a pair in one run after which it is left at that.
const REFUSALS_MAX: u8 = 3;
/// How long an answer over the link is waited for, on top of the round trip.
const ANSWER_WAIT: Duration = Duration::from_millis(500);
/// After this long those that have answered have to do.
const RING_WAIT: Duration = Duration::from_millis(500);
/// Pairs of responders that test the filter.
const PAIRS_MAX: usize = 3;
/// Both ends of a hairpin send this often: the first opens the filter.
const HAIRPIN_TRIES: u8 = 3;
/// Between two of them.
const HAIRPIN_SPACING: Duration = Duration::from_millis(100);
/// Whatever has not come by then will not come.
const RUN_MAX: Duration = Duration::from_secs(3);
/// Reflections that a glance leaves to a whole run.
const RESERVE: f64 = 8.0;
/// Dial-backs that a glance leaves to a whole run where strangers got in: it
/// has to show that they stay out.
const DIAL_RESERVE_OPEN: f64 = 3.0;
/// The same where they stayed out: one that comes in is proof.
const DIAL_RESERVE: f64 = 1.0;

/// What to do in a run.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Whom to ask, of different IPs; two at least.
    pub(super) points: Vec<VantagePoint>,
    /// A short look whether anything changed.
    pub(super) glance: bool,
    /// Turns the glances around.
    pub(super) turn: usize,
    /// Dial-backs that stayed out lately, by (contacted, dialler).
    pub(super) silent: BTreeMap<(PeerId, PeerId), u8>,
    /// Whether a mapping of that kind has a filter worth a glance.
    pub(super) filter: bool,
    /// Whether strangers got in last time.
    pub(super) open: bool,
    /// Whether not even another port of a contact got in.
    pub(super) shut: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Map { port: usize },
    Contact { pair: usize },
    OtherPort { pair: usize },
}

/// A reflection that is asked for until it comes.
#[derive(Debug)]
struct Request {
    what: What,
    point: usize,
    socket: SocketId,
    to: SocketAddr,
    nonce: Nonce,
    tries: u8,
    tries_max: u8,
    /// `None`: answered or given up.
    due: Option<Mono>,
    seen: Option<SocketAddr>,
}

/// A filter test: one socket that has contacted one responder only, and another
/// responder that sends something there.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) contact: usize,
    pub(super) dialler: usize,
    socket: SocketId,
    open: bool,
    /// The mapping towards the contact.
    pub(super) seen: Option<SocketAddr>,
    nonces: Vec<Nonce>,
    want: u8,
    next: Option<Mono>,
    answers_until: Option<Mono>,
    /// Dial-backs that the dialler says it sent.
    pub(super) sent: u8,
    refusals: u8,
    /// It is not dialled any more in this run.
    refused: bool,
    /// Where a stranger's datagram came from.
    pub(super) stranger: Option<SocketAddr>,
    /// Tries of the contact's other port.
    pub(super) other_tries: u8,
    /// Whether an answer from there came in.
    pub(super) other_port: bool,
}

#[derive(Debug)]
struct Hairpin {
    ends: [(SocketId, SocketAddr); 2],
    nonce: Nonce,
    tries: u8,
    due: Option<Mono>,
    arrived: bool,
}

/// A run under way.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) plan: Plan,
    pub(super) started: Mono,
    main: SocketId,
    /// The local address of the mapping's socket.
    pub(super) local: Option<SocketAddr>,
    requests: Vec<Request>,
    pub(super) pairs: Vec<Pair>,
    rung: bool,
    hairpin: Option<Hairpin>,
    pub(super) fault: Option<Reason>,
}

impl Run {
    pub(super) fn start(plan: Plan, tools: &mut Tools, now: Now) -> Self {
        let mut run = Self {
            plan,
            started: now.mono,
            main: SocketId(0),
            local: None,
            requests: Vec::new(),
            pairs: Vec::new(),
            rung: false,
            hairpin: None,
            fault: None,
        };
        run.main = tools.open(run.address(0));
        run
    }

    /// Where a point is asked first.
    fn address(&self, point: usize) -> SocketAddr {
        (self.plan.points[point].ip, self.plan.points[point].ports[0]).into()
    }

    /// A socket is there, or cannot be had.
    pub(super) fn on_socket(
        &mut self,
        socket: SocketId,
        local: Result<SocketAddr, String>,
        tools: &mut Tools,
        now: Now,
    ) {
        let pair = self.pairs.iter().position(|p| p.socket == socket && !p.open);
        if pair.is_none() && (socket != self.main || self.local.is_some()) {
            return;
        }
        let local = match local {
            Ok(local) => local,
            Err(detail) => {
                self.fault = Some(Reason::NoProbeSocket { detail });
                return;
            }
        };
        if tools.is_used(local.port()) {
            tools.out.push_back(NatAction::Close(socket));
            let point = pair.map_or(0, |at| self.pairs[at].contact);
            let again = tools.open(self.address(point));
            match pair {
                Some(at) => self.pairs[at].socket = again,
                None => self.main = again,
            }
            return;
        }
        match pair {
            Some(at) => {
                self.pairs[at].open = true;
                let contact = self.pairs[at].contact;
                self.request(What::Contact { pair: at }, contact, socket, TRIES, tools, now);
            }
            None => {
                self.local = Some(local);
                for point in 0..self.plan.points.len() {
                    for port in 0..=usize::from(!self.plan.glance) {
                        self.request(What::Map { port }, point, socket, TRIES, tools, now);
                    }
                }
            }
        }
        self.work(tools, now);
    }

    fn request(
        &mut self,
        what: What,
        point: usize,
        socket: SocketId,
        tries_max: u8,
        tools: &mut Tools,
        now: Now,
    ) {
        let at = &self.plan.points[point];
        let port = if let What::Map { port } = what { at.ports[port] } else { at.ports[0] };
        let to = SocketAddr::new(at.ip, port);
        let nonce = tools.nonce();
        let due = Some(now.mono);
        self.requests.push(Request { what, point, socket, to, nonce, tries: 0, tries_max, due, seen: None });
    }

    /// A datagram came in on one of our sockets.
    pub(super) fn on_datagram(
        &mut self,
        socket: SocketId,
        from: SocketAddr,
        datagram: Datagram,
        tools: &mut Tools,
        now: Now,
    ) {
        let known = match datagram {
            Datagram::Reflection { nonce, seen } => self.on_reflection(socket, from, nonce, seen),
            Datagram::DialBack { nonce } => self.on_dial_back(socket, from, nonce),
            Datagram::Reflect { .. } => false,
        };
        if !known {
            tools.out.push_back(NatAction::Stopped(DropReason::ProbeAnswerUnasked));
        }
        self.work(tools, now);
    }

    fn on_reflection(&mut self, socket: SocketId, from: SocketAddr, nonce: Nonce, seen: SocketAddr) -> bool {
        let Some(request) = self.requests.iter_mut().find(|r| r.nonce == nonce && r.socket == socket) else {
            return false;
        };
        let other = matches!(request.what, What::OtherPort { .. });
        let as_asked = from.ip() == request.to.ip() && (from.port() == request.to.port()) != other;
        if !as_asked || seen.is_ipv4() != from.is_ipv4() {
            return false;
        }
        request.due = None;
        request.seen.get_or_insert(seen);
        match request.what {
            What::Contact { pair } => self.pairs[pair].seen = Some(seen),
            What::OtherPort { pair } => self.pairs[pair].other_port = true,
            What::Map { .. } => {}
        }
        true
    }

    fn on_dial_back(&mut self, socket: SocketId, from: SocketAddr, nonce: Nonce) -> bool {
        if let Some(hairpin) = self.hairpin.as_mut().filter(|h| h.nonce == nonce) {
            hairpin.arrived |= hairpin.ends.iter().any(|(end, _)| *end == socket);
            return true;
        }
        let Some(pair) = self.pairs.iter_mut().find(|p| p.socket == socket && p.nonces.contains(&nonce))
        else {
            return false;
        };
        // Only an address outside that this mapping never sent to proves
        // anything.
        let stranger = from.ip() != self.plan.points[pair.contact].ip && is_public(from.ip());
        if stranger {
            pair.stranger = Some(from);
        }
        stranger
    }

    /// A responder says whether it sent the datagram that we asked for.
    pub(super) fn on_answer(&mut self, peer: PeerId, answer: DialBackAnswer, tools: &mut Tools, now: Now) {
        let points = &self.plan.points;
        let asked = |p: &&mut Pair| points[p.dialler].peer == peer && p.nonces.contains(&answer.nonce);
        if let Some(pair) = self.pairs.iter_mut().find(asked) {
            if answer.sent {
                pair.sent = pair.sent.saturating_add(1).min(DIAL_TRIES);
            } else {
                // What was not sent used nothing up.
                tools.budgets.give_dial_back(peer, now.mono);
                pair.nonces.retain(|nonce| *nonce != answer.nonce);
                pair.refusals += 1;
                pair.refused = pair.refusals >= REFUSALS_MAX;
                let wait = BUSY_WAIT + BUSY_WAIT.mul_f64(tools.chance() / 2.0);
                pair.next = (!pair.refused).then(|| now.mono + wait);
            }
        }
        self.work(tools, now);
    }

    pub(super) fn on_timeout(&mut self, tools: &mut Tools, now: Now) {
        self.work(tools, now);
    }

    /// Does what is due.
    fn work(&mut self, tools: &mut Tools, now: Now) {
        self.make_ring(tools, now);
        self.begin_other_ports(tools, now);
        self.send_requests(tools, now);
        self.ask_dial_backs(tools, now);
        self.send_hairpins(tools, now);
    }

    /// What the main socket was seen as, by point.
    pub(super) fn seen(&self) -> Vec<Seen> {
        let mut seen = vec![[None; 2]; self.plan.points.len()];
        for request in &self.requests {
            if let What::Map { port } = request.what {
                seen[request.point][port] = request.seen;
            }
        }
        seen
    }

    /// The ports of its mappings in the order in which they were made: those of
    /// the main socket, each for another destination, then those of the pairs.
    fn mapped_ports(&self) -> (Vec<u16>, Vec<u16>) {
        let of = |contact: bool| {
            let wanted = move |r: &&Request| match r.what {
                What::Map { .. } => !contact,
                What::Contact { .. } => contact,
                What::OtherPort { .. } => false,
            };
            let seen = self.requests.iter().filter(wanted).filter_map(|r| r.seen);
            seen.map(|at| at.port()).collect()
        };
        (of(false), of(true))
    }

    /// In which order the ports come, as far as this run shows it.
    pub(super) fn port_order(&self) -> Option<PortOrder> {
        let (main, pairs) = self.mapped_ports();
        order::of(&main, &pairs)
    }

    /// The newest port of an order that is known; `None` if this run shows none,
    /// or another order.
    pub(super) fn newest_port(&self, step: i16) -> Option<u16> {
        let (main, pairs) = self.mapped_ports();
        order::newest(step, &main, &pairs)
    }

    fn send_requests(&mut self, tools: &mut Tools, now: Now) {
        let (open, let_in) = (self.is_open(), self.pairs.iter().any(|p| p.other_port));
        for request in &mut self.requests {
            let Some(due) = request.due.filter(|due| *due <= now.mono) else { continue };
            let point = &self.plan.points[request.point];
            let other_port = matches!(request.what, What::OtherPort { .. });
            let needless = other_port && (open || let_in);
            if request.tries == request.tries_max
                || needless
                || !tools.budgets.take_reflection(point.peer, now.mono)
            {
                request.due = None;
                continue;
            }
            request.tries += 1;
            request.due = Some(due.max(now.mono) + RETRY + point.rtt.min(RTT_MAX));
            let (nonce, token) = (request.nonce, point.token);
            let datagram = Datagram::Reflect { nonce, token, other_port, wait_s: 0 };
            tools.send(request.socket, request.to, datagram.encode());
            if let What::OtherPort { pair } = request.what {
                self.pairs[pair].other_tries = request.tries;
            }
        }
    }

    fn ask_dial_backs(&mut self, tools: &mut Tools, now: Now) {
        let open = self.is_open();
        for pair in &mut self.pairs {
            if open || pair.refused {
                pair.next = None;
            }
            let (Some(_), Some(target)) = (pair.next.filter(|at| *at <= now.mono), pair.seen) else {
                continue;
            };
            let dialler = &self.plan.points[pair.dialler];
            let rtt = dialler.rtt.min(RTT_MAX);
            if pair.nonces.len() >= usize::from(pair.want) {
                pair.next = None;
                continue;
            }
            if !tools.budgets.take_dial_back(dialler.peer, now.mono) {
                (pair.refused, pair.next) = (true, None);
                continue;
            }
            let nonce = tools.nonce();
            pair.nonces.push(nonce);
            let message = Message::DialBack(DialBack { nonce, target });
            tools.out.push_back(NatAction::Say { peer: dialler.peer, message });
            let last = pair.nonces.len() >= usize::from(pair.want);
            pair.next = Some(now.mono + if last { DIAL_WAIT + rtt } else { DIAL_SPACING });
            pair.answers_until = Some(now.mono + ANSWER_WAIT + rtt);
        }
    }

    /// Once the mapping is known to be one, it is tried from inside.
    fn send_hairpins(&mut self, tools: &mut Tools, now: Now) {
        if self.hairpin.is_none() && !self.plan.glance {
            let external = classify::mapping(&self.seen()).external.filter(|e| Some(*e) != self.local);
            let inside = self.pairs.iter().find_map(|p| p.seen.map(|seen| (p.socket, seen)));
            if let (Some(external), Some(inside)) = (external, inside)
                && inside.1.ip() == external.ip()
            {
                let ends = [(self.main, external), inside];
                let due = Some(now.mono);
                self.hairpin = Some(Hairpin { ends, nonce: tools.nonce(), tries: 0, due, arrived: false });
            }
        }
        let Some(hairpin) = &mut self.hairpin else { return };
        if hairpin.due.is_none_or(|due| due > now.mono) {
            return;
        }
        if hairpin.arrived || hairpin.tries == HAIRPIN_TRIES {
            hairpin.due = None;
            return;
        }
        hairpin.tries += 1;
        hairpin.due = Some(now.mono + HAIRPIN_SPACING);
        let bytes = Datagram::DialBack { nonce: hairpin.nonce }.encode();
        let [(one, one_outside), (other, other_outside)] = hairpin.ends;
        tools.send(one, other_outside, bytes);
        tools.send(other, one_outside, bytes);
    }

    /// Whether a stranger got in: then nothing of the filter is left to ask.
    pub(super) fn is_open(&self) -> bool {
        self.pairs.iter().any(|p| p.stranger.is_some())
    }

    /// Whether a pair could not be dialled as often as it ought to be.
    pub(super) fn was_refused(&self) -> bool {
        self.pairs.iter().any(|p| p.refused || p.refusals > 0)
    }

    pub(super) fn hairpinning(&self) -> Option<bool> {
        self.hairpin.as_ref().map(|h| h.arrived)
    }

    pub(super) fn is_over(&self, now: Now) -> bool {
        self.fault.is_some()
            || now.mono.since(self.started) >= RUN_MAX
            || (self.local.is_some() && self.rung && self.deadlines(now).next().is_none())
    }

    fn deadlines(&self, now: Now) -> impl Iterator<Item = Mono> + '_ {
        let open = self.is_open();
        let requests = self.requests.iter().filter_map(|r| r.due);
        let pairs = self.pairs.iter().filter(move |p| !open && p.open).flat_map(move |p| {
            let unanswered = usize::from(p.sent) < p.nonces.len() && !p.refused;
            let answers = p.answers_until.filter(|at| unanswered && *at > now.mono);
            [p.next, answers]
        });
        // A pair without its socket waits for it; the run's end ends that too.
        let opening = self.pairs.iter().filter(|p| !p.open).map(|_| self.started + RUN_MAX);
        let hairpin = self.hairpin.as_ref().and_then(|h| h.due);
        requests.chain(pairs.flatten()).chain(opening).chain(hairpin)
    }

    pub(super) fn next_timeout(&self, now: Now) -> Mono {
        let ring = (!self.rung && self.local.is_some()).then(|| self.started + self.ring_wait());
        self.deadlines(now)
            .chain(ring)
            .chain([self.started + RUN_MAX])
            .min()
            .unwrap_or(self.started + RUN_MAX)
    }

    /// Gives the sockets back.
    pub(super) fn close(&self, tools: &mut Tools) {
        tools.out.push_back(NatAction::Close(self.main));
        for pair in &self.pairs {
            tools.out.push_back(NatAction::Close(pair.socket));
        }
    }
}
