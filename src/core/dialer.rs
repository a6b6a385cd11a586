//! The schedule of the dials that nobody asks for.
//!
//! At start: the cached peers, best first, else the bootstrap list. With links:
//! towards eight outbound ones, gently where gossip named the peer. Without
//! links: everything we know, again and again with backoff, for ever.

mod caution;
mod rest;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

pub(super) use self::rest::Rest;
pub use self::view::{Prospect, View};

use self::caution::{Caution, Leave};
use super::backoff::{ISOLATION, PEER, YIELD};
use super::book::Change;
use super::ladder::{Plan, Target};
use super::limits::{
    FEELER_EVERY, GOSSIP_DIAL_JITTER, GOSSIP_DIALS_AT_ONCE, OUTBOUND_WANTED, SCHEDULE_MAX, WORD_FORGOTTEN,
};
use super::outbox::{Outbox, Wanted};
use super::{Mono, Now};
use crate::model::{AttemptOutcome, Cause, CloseCode, EventKind, PeerId, Phase, SendTrouble, millis};

/// After an operator's disconnect no automatic dial for this long.
pub const HOLD_OFF: Duration = Duration::from_secs(60);
/// Who yielded to another holder of our identity and was left alone for this long has
/// the peer for himself.
pub const YIELD_KEPT: Duration = Duration::from_secs(600);
/// First links that come in quick succession make us dial all others only so often.
const RESET_APART: Duration = Duration::from_secs(30);
/// Cached peers dialled at once in a round.
const ROUND_PEERS: usize = 8;
/// How often a peer that is due but may not be dialled yet is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// An attempt to begin.
#[derive(Debug, Clone)]
pub struct Start {
    /// The peer or address to reach.
    pub target: Target,
    /// The reason for the attempt.
    pub cause: Cause,
    /// Which stages.
    pub plan: Plan,
}

#[derive(Debug, Clone, Copy)]
struct Due {
    at: Mono,
    failures: u32,
    cause: Cause,
    /// Nothing that is said of it is worth a dial any more.
    parked: bool,
}

impl Due {
    fn at(at: Mono, cause: Cause) -> Self {
        Self { at, failures: 0, cause, parked: false }
    }
}

#[derive(Debug, Clone, Copy)]
struct HeldOff {
    until: Mono,
    /// Our operator said so, rather than the peer's.
    ours: bool,
}

/// Another holder of our identity has a peer's link.
#[derive(Debug, Clone, Copy)]
struct Yielded {
    until: Mono,
    times: u32,
}

/// What the phase is, without the time that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Joining {
        cached: bool,
    },
    Joined,
    Isolated {
        retry: Mono,
    },
    NothingToDial,
    /// The host lets us send to nobody whom we know.
    NoWay {
        why: SendTrouble,
        since: Mono,
    },
}

/// The schedule of automatic dials.
#[derive(Debug)]
pub struct Dialer {
    bootstrap: BTreeSet<SocketAddr>,
    /// Peers that we were linked to longest before the restart.
    anchors: Vec<PeerId>,
    passive: bool,
    loopback: bool,
    next_feeler: Mono,
    schedule: BTreeMap<PeerId, Due>,
    held_off: BTreeMap<PeerId, HeldOff>,
    yielded: BTreeMap<PeerId, Yielded>,
    reset_at: Option<Mono>,
    was_joined: bool,
    caution: Caution,
    state: State,
    rounds: u32,
    alone_since: Mono,
    /// The node stops: nobody is dialled any more.
    leaving: bool,
    rng: StdRng,
}

impl Dialer {
    /// `loopback`: our own bind is loopback, where the gossip limits do not
    /// count.
    pub fn new(
        bootstrap: impl IntoIterator<Item = SocketAddr>,
        loopback: bool,
        seed: u64,
        now: Mono,
    ) -> Self {
        Self {
            bootstrap: bootstrap.into_iter().collect(),
            anchors: Vec::new(),
            passive: false,
            loopback,
            next_feeler: now + FEELER_EVERY,
            schedule: BTreeMap::new(),
            held_off: BTreeMap::new(),
            yielded: BTreeMap::new(),
            reset_at: None,
            was_joined: false,
            caution: Caution::new(loopback, now),
            state: State::NothingToDial,
            rounds: 0,
            alone_since: now,
            leaving: false,
            rng: StdRng::seed_from_u64(seed),
        }
    }

    /// Peers to dial first: an attacker who fills the cache cannot make us
    /// forget whom we were linked to.
    #[must_use]
    pub fn with_anchors(mut self, anchors: Vec<PeerId>) -> Self {
        self.anchors = anchors;
        self
    }

    /// Dials the bootstrap list and whom an operator names, nobody else.
    #[must_use]
    pub fn passive(mut self, passive: bool) -> Self {
        self.passive = passive;
        self
    }

    /// The first round of dials.
    pub(super) fn begin(&mut self, view: &impl View, now: Now, out: &mut Outbox) {
        for start in self.first_round(view, now) {
            out.want(Wanted::Start(start));
        }
    }

    /// The cached peers, else the bootstrap list.
    fn first_round(&mut self, view: &impl View, now: Now) -> Vec<Start> {
        if let Some(why) = self.no_way(view) {
            self.state = State::NoWay { why, since: now.mono };
            // A link may come in before the first round: the others are due then, too.
            for prospect in self.first(view) {
                self.on_learned(prospect.peer, Cause::Cache, now.mono);
            }
            return Vec::new();
        }
        let cached = self.cached_round(view, now.mono);
        if cached.is_empty() {
            return self.bootstrap_round(view, now);
        }
        self.state = State::Joining { cached: true };
        cached
    }

    /// What the node is doing about being connected.
    pub fn phase(&self, now: Now) -> Phase {
        match self.state {
            _ if self.leaving => Phase::Leaving,
            State::Joining { .. } => Phase::Joining,
            State::Joined => Phase::Joined,
            State::Isolated { retry } => Phase::Isolated { retry: now.stamp_of(retry), rounds: self.rounds },
            State::NothingToDial => Phase::NothingToDial,
            State::NoWay { why, since } => Phase::NoWay { why, since: now.stamp_of(since) },
        }
    }

    /// The node stops.
    pub fn leave(&mut self) {
        self.leaving = true;
    }

    /// Whether the node stops.
    pub fn is_leaving(&self) -> bool {
        self.leaving
    }

    /// Whether the host keeps us from everybody whom we know.
    pub fn is_cut_off(&self) -> bool {
        matches!(self.state, State::NoWay { .. })
    }

    /// When the peer is due, if it is.
    pub fn due(&self, peer: &PeerId) -> Option<Mono> {
        let due = self.schedule.get(peer).map(|d| d.at)?;
        let waits = [self.held_off.get(peer).map(|h| h.until), self.yielded.get(peer).map(|y| y.until)];
        Some(waits.into_iter().flatten().fold(due, Mono::max))
    }

    /// Until when an operator holds automatic dials off, if one does.
    pub fn held_off_until(&self, peer: &PeerId, now: Mono) -> Option<Mono> {
        self.held_off.get(peer).map(|held| held.until).filter(|until| *until > now)
    }

    /// Whether an operator, ours or the peer's, holds automatic dials off.
    pub fn is_held_off(&self, peer: &PeerId, now: Mono) -> bool {
        self.held_off_until(peer, now).is_some()
    }

    /// Whether the peer had another connection of our own identity lately.
    pub fn has_yielded(&self, peer: &PeerId) -> bool {
        self.yielded.contains_key(peer)
    }

    /// Whether no automatic dial goes to the peer now, whatever is due.
    fn waits(&self, peer: &PeerId, now: Mono) -> bool {
        self.is_held_off(peer, now) || self.yielded.get(peer).is_some_and(|y| y.until > now)
    }

    /// Whether a connection from the peer is to be refused: our own operator
    /// disconnected it. What the peer's operator wants, the peer decides.
    pub fn is_refused(&self, peer: &PeerId, now: Mono) -> bool {
        self.held_off.get(peer).is_some_and(|held| held.ours && held.until > now)
    }

    /// What is known of a peer changed. `linked`: a connection to it stands.
    pub fn on_change(&mut self, peer: PeerId, change: &Change, linked: bool, now: Mono) {
        if change.added && !linked {
            self.on_learned(peer, Cause::Gossip, now);
        }
        let gone = change.removed.then_some(&peer).into_iter().chain(&change.evicted);
        for peer in gone {
            self.schedule.remove(peer);
        }
        if change.updated {
            self.on_news(&peer, now);
        }
    }

    /// Gossip or a connection told us of a peer.
    pub fn on_learned(&mut self, peer: PeerId, cause: Cause, now: Mono) {
        let jitter = if self.loopback || cause != Cause::Gossip {
            Duration::ZERO
        } else {
            GOSSIP_DIAL_JITTER.mul_f64(self.rng.random_range(0.0..1.0))
        };
        let full = cause == Cause::Gossip && self.schedule.len() >= SCHEDULE_MAX;
        if !self.passive && !full {
            self.schedule.entry(peer).or_insert(Due::at(now + jitter, cause));
        }
    }

    /// Something new is said of a peer: if it waits only because nothing that was
    /// said before led to it, it is tried again.
    fn on_news(&mut self, peer: &PeerId, now: Mono) {
        if let Some(due) = self.schedule.get_mut(peer).filter(|due| due.parked) {
            (due.at, due.parked) = (now, false);
        }
    }

    /// A link is up. Tells so if we were alone before.
    pub(super) fn on_link_up(&mut self, peer: &PeerId, now: Now, out: &mut Outbox) {
        if let Some((alone, first)) = self.joined(peer, now.mono) {
            let ms = millis(alone);
            let joined = EventKind::NodeJoined { after_ms: ms };
            let kind = if first { joined } else { EventKind::NodeRejoined { alone_ms: ms } };
            out.event(None, kind, now);
        }
    }

    /// A stock node is linked. It carries nothing of ours, but it can coordinate a punch
    /// and is no reason to dial on.
    pub(super) fn on_foreign(&mut self, peer: &PeerId, now: Mono) {
        self.joined(peer, now);
    }

    /// Gives how long we were alone if this link is the first, and whether it is the first
    /// of all.
    fn joined(&mut self, peer: &PeerId, now: Mono) -> Option<(Duration, bool)> {
        self.schedule.remove(peer);
        self.asked_by(peer);
        let was_alone = self.state != State::Joined;
        self.state = State::Joined;
        self.rounds = 0;
        // A node that was cut off from one peer was cut off from all.
        if was_alone && self.reset_at.is_none_or(|at| now.since(at) >= RESET_APART) {
            self.reset_waits(now);
        }
        let first = !std::mem::replace(&mut self.was_joined, true);
        was_alone.then(|| (now.since(self.alone_since), first))
    }

    /// A way opened: what failed before says nothing of now.
    pub fn reset_waits(&mut self, now: Mono) {
        self.reset_at = Some(now);
        // What waits for news waits on: a way is none.
        for due in self.schedule.values_mut().filter(|due| !due.parked) {
            *due = Due { at: due.at.min(now), failures: 0, cause: due.cause, parked: false };
        }
        self.rounds = 0;
        if let State::Isolated { retry } = &mut self.state {
            *retry = now;
        }
    }

    /// The peer closed our link for another connection of our own identity, which is not
    /// ours: whoever holds it does the same as we, so each is to leave the other longer
    /// and longer alone.
    fn yield_to(&mut self, peer: PeerId, now: Mono) {
        let times = self.yielded.get(&peer).map_or(0, |y| y.times).saturating_add(1);
        let until = now + YIELD.after(times, &mut self.rng);
        self.yielded.insert(peer, Yielded { until, times });
    }

    /// A link is down, closed with this code if with one.
    pub(super) fn on_link_down(&mut self, peer: PeerId, links: usize, code: Option<CloseCode>, now: Mono) {
        // A peer that leaves, or has links enough, is not dialled at once.
        let left = matches!(code, Some(CloseCode::Leave | CloseCode::Limit));
        self.link_lost(peer, links, left, now);
        match code {
            Some(CloseCode::HoldOff) => self.hold_off(peer, false, now),
            Some(CloseCode::Replaced) => self.yield_to(peer, now),
            _ => {}
        }
    }

    /// Dial again at once, or a little later if the peer said that it leaves.
    fn link_lost(&mut self, peer: PeerId, links: usize, left: bool, now: Mono) {
        let at = if left { now + PEER.after(1, &mut self.rng) } else { now };
        self.plan(peer, Due::at(at, Cause::Reconnect));
        if links == 0 && self.state == State::Joined {
            self.alone_since = now;
            self.state = State::Joining { cached: false };
        }
    }

    /// Sets when a peer is due. Whoever makes links to lose them again only pushes
    /// out what is due latest; the best of the book and feelers find that again.
    fn plan(&mut self, peer: PeerId, due: Due) {
        self.schedule.insert(peer, due);
        if self.schedule.len() > SCHEDULE_MAX {
            let latest = self.schedule.iter().max_by_key(|(_, due)| due.at).map(|(peer, _)| *peer);
            latest.and_then(|peer| self.schedule.remove(&peer));
        }
    }

    /// An attempt ended.
    pub fn on_attempt_ended(&mut self, peer: PeerId, outcome: AttemptOutcome, now: Mono) {
        if outcome != AttemptOutcome::Unreachable {
            self.caution.ended(&peer, outcome == AttemptOutcome::Connected);
            self.schedule.remove(&peer);
            return;
        }
        if self.state == State::Joined {
            self.caution.failed(&peer, now, &mut self.rng);
        } else {
            // The fault may well be ours.
            self.caution.ended(&peer, false);
        }
        let due = self.schedule.entry(peer).or_insert(Due::at(now, Cause::Cache));
        due.failures = due.failures.saturating_add(1);
        due.at = now + PEER.after(due.failures, &mut self.rng);
    }

    /// An operator disconnected it: ours, or its own. The time runs anew each
    /// time, and what ours said stays ours.
    pub fn hold_off(&mut self, peer: PeerId, ours: bool, now: Mono) {
        let until = now + HOLD_OFF;
        let ours = ours || self.is_refused(&peer, now);
        self.held_off.insert(peer, HeldOff { until, ours });
        self.schedule.insert(peer, Due::at(until, Cause::Reconnect));
    }

    /// The peer asks us for a link, by a punch or an invitation: its operator lifted
    /// what it had asked for. What ours said stays.
    pub fn asked_by(&mut self, peer: &PeerId) {
        self.held_off.retain(|held, off| held != peer || off.ours);
    }

    /// An operator connects it again.
    pub fn lift_hold_off(&mut self, peer: &PeerId) {
        self.held_off.remove(peer);
    }

    /// Another bootstrap list. Who is alone dials it at once: it may be why the
    /// list is another one.
    pub fn set_bootstrap(&mut self, bootstrap: impl IntoIterator<Item = SocketAddr>, now: Mono) {
        let before = std::mem::replace(&mut self.bootstrap, bootstrap.into_iter().collect());
        let is_new = !self.bootstrap.is_subset(&before);
        if is_new && matches!(self.state, State::NothingToDial | State::Isolated { .. }) {
            self.state = State::Isolated { retry: now };
        }
    }

    /// That address of the list is our own.
    pub fn drop_own_address(&mut self, addr: &SocketAddr) {
        self.bootstrap.remove(addr);
    }

    /// Dials whom it is time to dial, and tells when isolation begins.
    pub(super) fn timeout(&mut self, view: &impl View, now: Now, out: &mut Outbox) {
        if self.leaving {
            return;
        }
        let (starts, alone) = self.due_now(view, now);
        if let Some(wait) = alone {
            out.event(None, EventKind::NodeIsolated { retry_ms: millis(wait) }, now);
        }
        for start in starts {
            out.want(Wanted::Start(start));
        }
    }

    /// What is to be dialled now, and the wait when isolation begins.
    fn due_now(&mut self, view: &impl View, now: Now) -> (Vec<Start>, Option<Duration>) {
        self.held_off.retain(|_, held| held.until > now.mono);
        self.yielded.retain(|_, y| now.mono.since(y.until) < YIELD_KEPT);
        self.caution.forget_old(now.mono);
        if self.state != State::Joined {
            match (self.no_way(view), self.state) {
                (Some(why), State::NoWay { why: before, .. }) if why == before => return (Vec::new(), None),
                (Some(why), _) => {
                    self.state = State::NoWay { why, since: now.mono };
                    return (Vec::new(), None);
                }
                (None, State::NoWay { .. }) => self.state = State::Isolated { retry: now.mono },
                (None, _) => {}
            }
        }
        match self.state {
            State::Joined => {
                let mut starts = self.due_peers(view, now);
                starts.extend(self.feeler(view, now));
                (starts, None)
            }
            State::Joining { cached: true } if view.attempts() == 0 => {
                (self.bootstrap_round(view, now), None)
            }
            State::Joining { cached: false } if view.attempts() == 0 => {
                let due = self.due_peers(view, now);
                if due.is_empty() && self.bootstrap.is_empty() && view.best(1).is_empty() {
                    self.state = State::NothingToDial;
                    return (due, None);
                }
                if due.is_empty() { (due, Some(self.isolate(now))) } else { (due, None) }
            }
            State::Isolated { retry } if retry <= now.mono && view.attempts() == 0 => {
                let mut round = self.cached_round(view, now.mono);
                round.extend(self.bootstrap_targets(view, now.mono));
                if round.is_empty() {
                    return (round, Some(self.isolate(now)));
                }
                self.state = State::Joining { cached: false };
                (round, None)
            }
            State::NothingToDial if !view.best(1).is_empty() => {
                self.state = State::Joining { cached: false };
                (self.cached_round(view, now.mono), None)
            }
            _ => (Vec::new(), None),
        }
    }

    /// When [`Self::timeout`] wants to be called.
    pub fn next_timeout(&self, view: &impl View, now: Mono) -> Option<Mono> {
        match self.state {
            State::Joined if view.outbound() >= OUTBOUND_WANTED => Some(self.next_feeler.max(now)),
            State::Joined => {
                let free = self.schedule.keys().filter(|peer| !view.is_busy(peer));
                let first = free.filter_map(|peer| self.due(peer)).min();
                let first = first.map(|at| if at <= now { now + LOOK_AGAIN } else { at });
                Some(first.map_or(self.next_feeler, |at| at.min(self.next_feeler)).max(now))
            }
            State::Joining { .. } => (view.attempts() == 0).then_some(now),
            State::Isolated { retry } => Some(retry),
            State::NothingToDial | State::NoWay { .. } => None,
        }
    }

    /// What keeps us from everybody, where the host does.
    fn no_way(&self, view: &impl View) -> Option<SendTrouble> {
        if view.is_open() {
            return None;
        }
        let listed = self.bootstrap.iter().map(|addr| vec![*addr]);
        let anchors = self.anchors.iter().filter_map(|peer| view.prospect(peer));
        let known = anchors.chain(view.best(ROUND_PEERS)).map(|p| p.addresses);
        let mut found = None;
        for addresses in listed.chain(known).filter(|addresses| !addresses.is_empty()) {
            match view.way(&addresses) {
                Ok(()) => return None,
                Err(why) => found = found.min(Some(why)).or(Some(why)),
            }
        }
        found
    }

    fn isolate(&mut self, now: Now) -> Duration {
        self.rounds = self.rounds.saturating_add(1);
        let wait = ISOLATION.after(self.rounds, &mut self.rng);
        // The peers that are held off until then may be all that there are.
        let held = self.held_off.values().map(|held| held.until);
        let yielded = self.yielded.values().map(|y| y.until).filter(|until| *until > now.mono);
        let freed = held.chain(yielded).map(|until| until.since(now.mono)).min();
        let wait = freed.map_or(wait, |freed| wait.min(freed));
        self.state = State::Isolated { retry: now.mono + wait };
        wait
    }

    fn cached_round(&self, view: &impl View, now: Mono) -> Vec<Start> {
        let first = self.first(view).into_iter();
        let free = first.filter(|p| !self.waits(&p.peer, now) && !view.is_busy(&p.peer));
        let free = free.filter(|p| view.way(&p.addresses).is_ok());
        free.take(ROUND_PEERS).map(|p| start(p, Cause::Cache)).collect()
    }

    /// The peers to dial first: the anchors, then the best known.
    fn first(&self, view: &impl View) -> Vec<Prospect> {
        let anchors = self.anchors.iter().filter_map(|peer| view.prospect(peer));
        let best = view.best(ROUND_PEERS + self.held_off.len() + self.yielded.len());
        anchors.chain(best.into_iter().filter(|p| !self.anchors.contains(&p.peer))).collect()
    }

    fn bootstrap_round(&mut self, view: &impl View, now: Now) -> Vec<Start> {
        let targets = self.bootstrap_targets(view, now.mono);
        self.state = if targets.is_empty() {
            if view.best(1).is_empty() {
                State::NothingToDial
            } else {
                self.isolate(now);
                self.state
            }
        } else {
            State::Joining { cached: false }
        };
        targets
    }

    fn bootstrap_targets(&self, view: &impl View, now: Mono) -> Vec<Start> {
        let waiting = self.yielded.iter().filter(|(_, y)| y.until > now).map(|(peer, _)| peer);
        let left: Vec<&PeerId> = self.held_off.keys().chain(waiting).collect();
        let held_off = |addr: &SocketAddr| left.iter().any(|peer| view.is_at(peer, addr));
        let free = self.bootstrap.iter().filter(|addr| !view.is_busy_addr(addr) && !held_off(addr));
        let free = free.filter(|addr| view.way(&[**addr]).is_ok());
        free.map(|addr| Start {
            target: Target { addresses: vec![*addr], ..Target::default() },
            cause: Cause::Bootstrap,
            plan: Plan::DIRECT,
        })
        .collect()
    }

    /// Peers that are due, as far as the limits allow.
    fn due_peers(&mut self, view: &impl View, now: Now) -> Vec<Start> {
        let mut wanted = OUTBOUND_WANTED.saturating_sub(view.outbound() + view.attempts());
        let mut gossip_room = GOSSIP_DIALS_AT_ONCE.saturating_sub(view.gossip_attempts());
        let due: Vec<(PeerId, Due)> = self
            .schedule
            .iter()
            .filter(|(peer, due)| due.at <= now.mono && !self.waits(peer, now.mono) && !view.is_busy(peer))
            .map(|(peer, due)| (*peer, *due))
            .collect();
        // Networks that we have no link into come first: whoever owns one
        // network must not own all our links.
        let mut reached = view.outbound_prefixes();
        let mut prospects: Vec<(Prospect, Due)> = Vec::new();
        for (peer, due) in due {
            match view.prospect(&peer) {
                // It stays due until there is a way.
                Some(prospect) if view.way(&prospect.addresses).is_err() => {}
                Some(prospect) => prospects.push((prospect, due)),
                None => drop(self.schedule.remove(&peer)),
            }
        }
        let (new, again): (Vec<_>, Vec<_>) =
            prospects.into_iter().partition(|(p, _)| p.prefix().is_none_or(|prefix| reached.insert(prefix)));
        let mut starts = Vec::new();
        for (mut prospect, due) in new.into_iter().chain(again) {
            if wanted == 0 {
                break;
            }
            // What is only said of a peer must not make us a weapon: few dials at
            // once, few a second, one address of a host, and that host not again
            // for a while.
            let paced = self.caution.is_paced(&prospect);
            if paced && gossip_room == 0 {
                continue;
            }
            match self.caution.leave(&prospect, now.mono) {
                Leave::Dial(addresses) => prospect.addresses = addresses,
                // A peer that is linked to it may still bring us together.
                _ if !paced => prospect.addresses.clear(),
                later => {
                    self.put_off(&prospect.peer, &later, now.mono);
                    continue;
                }
            }
            if paced {
                if !self.caution.take(now.mono) {
                    continue;
                }
                gossip_room -= 1;
            }
            self.caution.dialled(&prospect, now.mono);
            wanted -= 1;
            starts.push(start(prospect, due.cause));
        }
        starts
    }

    fn put_off(&mut self, peer: &PeerId, later: &Leave, now: Mono) {
        if let Some(due) = self.schedule.get_mut(peer) {
            (due.at, due.parked) = match later {
                Leave::Wait(until) => (*until, false),
                _ => (now + WORD_FORGOTTEN, true),
            };
        }
    }

    /// Every two minutes one untried peer is dialled whether we need it or not:
    /// so the cache learns who is real, and nobody who only feeds us names can
    /// keep us among them.
    fn feeler(&mut self, view: &impl View, now: Now) -> Option<Start> {
        if now.mono < self.next_feeler {
            return None;
        }
        self.next_feeler = now.mono + FEELER_EVERY;
        let untried = view.untried();
        if untried.is_empty() || self.passive {
            return None;
        }
        let peer = untried[self.rng.random_range(0..untried.len())];
        let mut prospect = view.prospect(&peer).filter(|_| !self.waits(&peer, now.mono))?;
        view.way(&prospect.addresses).ok()?;
        let Leave::Dial(addresses) = self.caution.leave(&prospect, now.mono) else { return None };
        prospect.addresses = addresses;
        self.caution.dialled(&prospect, now.mono);
        (!prospect.addresses.is_empty()).then(|| start(prospect, Cause::Feeler))
    }
}

fn start(prospect: Prospect, cause: Cause) -> Start {
    Start {
        target: Target { peer: Some(prospect.peer), addresses: prospect.addresses, ..Target::default() },
        cause,
        plan: Plan::ALL,
    }
}

#[cfg(test)]
mod tests;
