//! The attempts of a node: which run, what they asked of linked peers, who waits for
//! what comes of them, and those that ended.

mod ended;
mod traces;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use self::traces::Traces;
use super::coordination::TARGET_WAIT;
use super::dialer::{Dialer, Start};
use super::guessing::Guesses;
use super::io::Action;
use super::ladder::{Candidate, Consent, DialId, Ladder, LadderOut, NatPair, Plan, Settings, Target};
use super::outbox::{Outbox, Wanted};
use super::relaying;
use super::targets::Targets;
use super::upgrades::Upgrades;
use super::why::Trace;
use super::wire::{CoordinationAnswer, IHave, Invite, Message, PunchRequest, Refusal, RelayAddr, WhoHas};
use super::{Mono, Now};
use crate::model::{
    Attempt, AttemptId, AttemptOutcome, AttemptsView, Cause, CommandId, DropReason, EventKind, Path, PeerId,
    Reason, StageKind, StageOutcome, plain_addr,
};

/// Ended attempts kept for the screen.
const RECENT_MAX: usize = 200;

/// What happened.
#[derive(Debug)]
pub(super) enum Input {
    /// A dial was handed to a socket: from now on it may be said that it was made.
    DialSent(DialId),
    /// It made a connection to this peer.
    Dialled(DialId, PeerId),
    /// It did not.
    DialFailed(DialId, Reason),
    /// This peer is linked: every attempt towards it ends.
    Linked(PeerId),
    /// The link to this peer is gone.
    LinkGone(PeerId),
    /// A connection to this peer did not become a link.
    Refused(PeerId, Reason),
    /// This peer answers one of our who-has questions.
    IHave(PeerId, IHave),
    /// This intermediary answers a request of ours.
    Answer(PeerId, CoordinationAnswer),
    /// A reservation that this attempt waits for.
    Reserved(AttemptId, Result<RelayAddr, Reason>),
    /// This peer is at other addresses.
    Addresses(PeerId, Vec<SocketAddr>),
    /// Our NAT is another one: what cannot succeed any more ends.
    NatChanged,
    /// An attempt cannot succeed by a punch.
    Unpunchable(AttemptId, NatPair),
    /// An attempt is called off.
    Abandon(AttemptId, Reason),
    /// Every attempt is.
    AbandonAll(Reason),
    /// Every stage of an attempt has ended.
    Over(AttemptId),
}

/// What must be known of the rest of the node.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) targets: Targets<'a>,
    pub(super) dialer: &'a Dialer,
    pub(super) guesses: &'a Guesses,
    pub(super) upgrades: &'a Upgrades,
}

impl View<'_> {
    fn now(&self) -> Now {
        self.targets.peers.now
    }
}

/// An attempt that has its outcome; stages may go on behind it.
#[derive(Debug)]
pub(super) struct Decided {
    pub(super) report: Attempt,
    pub(super) outcome: AttemptOutcome,
    /// The reason that says most of why it failed.
    pub(super) failure: Option<Reason>,
    /// Whether it dialled anybody.
    pub(super) tried: bool,
    /// Whether what came of it is owed to it, and not to another attempt.
    pub(super) owed: bool,
}

/// Live ladders and ended attempts.
#[derive(Debug)]
pub(super) struct Attempts {
    me: PeerId,
    settings: Settings,
    rng: StdRng,
    live: BTreeMap<AttemptId, Ladder>,
    recent: VecDeque<Arc<Attempt>>,
    ended: u64,
    /// What attempts asked of linked peers and is not answered yet.
    queries: BTreeMap<u32, (AttemptId, Asked)>,
    next_query: u32,
    /// The newest attempt towards each peer.
    latest: BTreeMap<PeerId, AttemptId>,
    /// The attempt to which each link is owed.
    made: BTreeMap<PeerId, AttemptId>,
    /// Commands that wait for what comes of an attempt.
    waiting: Vec<Waiting>,
    traces: Traces,
}

/// A command that waits.
#[derive(Debug)]
struct Waiting {
    command: CommandId,
    attempt: AttemptId,
    since: Mono,
    /// The stage that it wants; a link by whatever stage if it does not say.
    stage: Option<StageKind>,
    /// The path of the link before.
    before: Option<Path>,
}

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// Who is connected to the target.
    WhoHas,
    /// To coordinate a punch.
    Punch,
    /// To pass an invitation on.
    Invite,
}

impl Attempts {
    /// None yet. `settings`: what holds for those that are started.
    pub(super) fn new(me: PeerId, settings: Settings, seed: u64) -> Self {
        Self {
            me,
            settings,
            rng: StdRng::seed_from_u64(seed),
            live: BTreeMap::new(),
            recent: VecDeque::new(),
            ended: 0,
            queries: BTreeMap::new(),
            next_query: 0,
            latest: BTreeMap::new(),
            made: BTreeMap::new(),
            waiting: Vec::new(),
            traces: Traces::default(),
        }
    }

    /// What holds for those that are started from now on.
    pub(super) fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
    }

    pub(super) fn live(&self) -> impl Iterator<Item = &Ladder> {
        self.live.values()
    }

    pub(super) fn towards(&self, peer: &PeerId) -> Option<&Ladder> {
        self.live.values().find(|l| l.peer() == Some(*peer))
    }

    /// Whether a command waits for that stage of an attempt.
    fn waits_for(&self, id: AttemptId, stage: Option<StageKind>) -> bool {
        self.waiting.iter().any(|w| w.attempt == id && w.stage == stage)
    }

    pub(super) fn is_live(&self, id: AttemptId) -> bool {
        self.live.contains_key(&id)
    }

    pub(super) fn latest(&self, peer: &PeerId) -> Option<AttemptId> {
        self.latest.get(peer).copied()
    }

    fn set_latest(&mut self, peer: PeerId, id: AttemptId) {
        let before = self.latest.insert(peer, id).filter(|old| *old != id && !self.is_live(*old));
        if let Some(before) = before {
            let kept = self.made.get(&peer).copied();
            self.traces.keep_before(peer, before, kept);
        }
    }

    /// The attempt to which the link to a peer is owed, and what it did.
    pub(super) fn made_by(&self, peer: &PeerId) -> Option<(Arc<Attempt>, Option<&Trace>)> {
        let id = *self.made.get(peer)?;
        Some((self.report(id)?, self.traces.of(id)))
    }

    /// Whether an attempt tells how a link came up.
    pub(super) fn made_a_link(&self, id: AttemptId) -> bool {
        self.made.values().any(|made| *made == id)
    }

    /// The newest attempt towards a peer, as far as it is remembered.
    pub(super) fn latest_report(&self, peer: &PeerId) -> Option<Arc<Attempt>> {
        self.report(*self.latest.get(peer)?)
    }

    /// Whether somebody here asked for the newest attempt towards a peer.
    pub(super) fn is_by_hand(&self, peer: &PeerId) -> bool {
        self.latest_report(peer).is_some_and(|attempt| attempt.cause == Cause::Operator)
    }

    pub(super) fn report(&self, id: AttemptId) -> Option<Arc<Attempt>> {
        match self.live.get(&id) {
            Some(ladder) => Some(Arc::new(ladder.report())),
            None => self.recent.iter().find(|a| a.id == id).cloned(),
        }
    }

    /// The latest guessed punch towards a peer that ended.
    pub(super) fn last_guess(&self, peer: &PeerId) -> Option<&Attempt> {
        let guessed = |a: &&Arc<Attempt>| {
            a.peer_id == Some(*peer) && a.stages.iter().any(|s| s.stage == StageKind::Guess)
        };
        self.recent.iter().find(guessed).map(|a| &**a)
    }

    /// A guessed punch ended.
    pub(super) fn guessed(&mut self, report: Attempt) {
        self.ended += 1;
        self.recent.push_front(Arc::new(report));
        self.recent.truncate(RECENT_MAX);
    }

    pub(super) fn next_timeout(&self) -> Option<Mono> {
        self.live.values().filter_map(Ladder::next_timeout).min()
    }

    pub(super) fn view(&self) -> AttemptsView {
        AttemptsView {
            live: self.live.values().map(|l| Arc::new(l.report())).collect(),
            recent: self.recent.iter().cloned().collect(),
            ended: self.ended,
        }
    }

    /// Whether an attempt has no link to wait for any more: another one made it.
    fn is_late(&self, id: AttemptId, peer: &PeerId) -> bool {
        let waits = self.live.get(&id).is_some_and(|l| l.outcome().is_none() && l.cause() != Cause::Upgrade);
        waits && self.made.get(peer).is_some_and(|made| *made != id)
    }

    fn ids_towards(&self, peer: &PeerId) -> Vec<AttemptId> {
        self.live.iter().filter(|(_, l)| l.peer() == Some(*peer)).map(|(id, _)| *id).collect()
    }

    /// The link to a peer is gone.
    fn link_ended(&mut self, peer: &PeerId) {
        let Some(made) = self.made.remove(peer) else { return };
        if self.latest.get(peer) != Some(&made) && self.traces.before(peer) != Some(made) {
            self.traces.forget(made);
        }
    }
}

impl Attempts {
    /// Runs the ladder towards somebody.
    pub(super) fn start(&mut self, id: AttemptId, start: Start, view: View<'_>, out: &mut Outbox) {
        let Start { target, cause, plan } = start;
        let peers = view.targets.peers;
        let mut target = match target.peer {
            Some(peer) => {
                out.stopped_often(DropReason::RelayUnknown, peers.unknown_relays(&peer));
                view.targets.at(peer, target.addresses)
            }
            None => target,
        };
        if cause == Cause::Gossip {
            // What gossip has us dial is limited per host, by the addresses in a record;
            // a relay that is made up at somebody's host would be a way round.
            let before = target.relays.len();
            target.relays.retain(|at| peers.is_met_relay(&view.targets.dialled(at)));
            out.stopped_often(DropReason::RelayByHearsay, (before - target.relays.len()) as u64);
        }
        let peer = target.peer;
        out.event(peer, EventKind::AttemptStarted { attempt: id, cause }, view.now());
        if let Some(peer) = peer {
            self.set_latest(peer, id);
        }
        let mut told = Vec::new();
        let ladder = Ladder::start(id, target, cause, plan, self.settings, view.now(), &mut told);
        self.live.insert(id, ladder);
        self.carry(id, told, view, out);
    }

    /// A command to connect, or for one stage: joins what runs, or starts it.
    pub(super) fn connect(
        &mut self,
        command: CommandId,
        (peer, target): (PeerId, Target),
        plan: Plan,
        cause: Cause,
        view: View<'_>,
        out: &mut Outbox,
    ) {
        let stage = plan.only();
        let joins = |l: &&Ladder| match stage {
            // One that has its outcome answers nobody any more.
            None => l.plan().direct && l.outcome().is_none(),
            Some(_) => self.waits_for(l.id(), stage),
        };
        let running = self.live().filter(|l| l.peer() == Some(peer)).find(joins).map(Ladder::id);
        if running.is_none() && stage.is_some() {
            self.make_way(peer, view, out);
        }
        // It may be over as soon as it begins.
        let attempt = running.unwrap_or_else(|| out.fresh_attempt());
        let before = view.targets.peers.links.path(&peer);
        self.waiting.push(Waiting { command, attempt, since: view.now().mono, stage, before });
        if running.is_none() {
            self.start(attempt, Start { target, cause, plan }, view, out);
        }
    }

    /// What goes on by itself behind a relayed link is called off where a person asks
    /// for it: it may have sent its packets in vain, and the rates are shared.
    fn make_way(&mut self, peer: PeerId, view: View<'_>, out: &mut Outbox) {
        for id in self.ids_towards(&peer) {
            let behind = |l: &Ladder| l.cause() == Cause::Upgrade || l.outcome().is_some();
            if self.live.get(&id).is_some_and(behind) {
                self.abandon(id, &Reason::AskedAnew, view, out);
            }
        }
    }

    /// Takes what happened.
    pub(super) fn handle(&mut self, input: Input, view: View<'_>, out: &mut Outbox) {
        let now = view.now();
        match input {
            Input::DialSent(dial) => self.note_sent(dial, now),
            Input::Dialled(dial, peer) => self.on_dialled(dial, peer, view, out),
            Input::DialFailed(dial, reason) => self.on_dial_failed(dial, &reason, view, out),
            Input::Linked(peer) => self.on_linked(peer, view, out),
            Input::LinkGone(peer) => self.link_ended(&peer),
            Input::Refused(peer, reason) => self.on_refused(peer, &reason, view, out),
            Input::IHave(from, answer) => self.on_i_have(from, &answer, view, out),
            Input::Answer(from, said) => self.on_coordination_answer(from, &said, view, out),
            Input::Reserved(id, result) => {
                self.with(id, view, out, |ladder, told| ladder.on_reserved(result, now, told));
            }
            Input::Addresses(peer, addresses) => {
                for id in self.ids_towards(&peer) {
                    self.with(id, view, out, |ladder, told| ladder.on_addresses(&addresses, now, told));
                }
            }
            Input::NatChanged => self.drop_hopeless(view, out),
            Input::Unpunchable(id, nat_pair) => self.unpunchable(id, nat_pair, view, out),
            Input::Abandon(id, reason) => self.abandon(id, &reason, view, out),
            Input::AbandonAll(reason) => {
                for id in self.live.keys().copied().collect::<Vec<_>>() {
                    self.abandon(id, &reason, view, out);
                }
            }
            Input::Over(id) => self.end(id, view, out),
        }
    }

    /// What is due by now.
    pub(super) fn timeout(&mut self, view: View<'_>, out: &mut Outbox) {
        let now = view.now();
        let due = |ladder: &Ladder| ladder.next_timeout().is_some_and(|at| at <= now.mono);
        let ids: Vec<AttemptId> = self.live.iter().filter(|(_, l)| due(l)).map(|(id, _)| *id).collect();
        for id in ids {
            self.with(id, view, out, |ladder, told| ladder.on_timeout(now, told));
        }
    }

    fn on_dialled(&mut self, dial: DialId, peer: PeerId, view: View<'_>, out: &mut Outbox) {
        let now = view.now();
        let Some(ladder) = self.live.get_mut(&dial.attempt) else {
            return out.push(Action::Cancel { dial });
        };
        let mut told = Vec::new();
        if ladder.is_lane(dial) {
            ladder.on_dialled(dial, peer, now, &mut told);
            return self.carry(dial.attempt, told, view, out);
        }
        if peer == self.me {
            match ladder.address().filter(|_| ladder.peer().is_none()) {
                // That is no peer whom we could not reach.
                Some(addr) => {
                    out.want(Wanted::OwnAddress(addr));
                    ladder.abandon(&Reason::OwnAddress, now, &mut told);
                }
                None => ladder.on_dial_failed(dial, &Reason::OwnAddress, now, &mut told),
            }
        } else {
            if ladder.peer().is_some_and(|wanted| wanted != peer) {
                self.traces.dial_failed(dial, &Reason::WrongIdentity { got: peer }, now);
            }
            ladder.on_dialled(dial, peer, now, &mut told);
            if ladder.peer() == Some(peer) {
                self.set_latest(peer, dial.attempt);
            }
        }
        self.carry(dial.attempt, told, view, out);
        let links = view.targets.peers.links;
        // Its connection may be gone before we hear of the dial.
        if !links.is_connected(&peer) {
            let known = links.refusal(&peer, now.mono).cloned();
            self.on_refused(peer, &known.unwrap_or(Reason::Closed { close: None }), view, out);
        }
        // The link may have been there all along.
        if links.get(&peer).is_some_and(|l| l.is_up() || l.is_foreign()) {
            self.on_linked(peer, view, out);
        }
    }

    fn on_dial_failed(&mut self, dial: DialId, reason: &Reason, view: View<'_>, out: &mut Outbox) {
        let Some(ladder) = self.live.get(&dial.attempt) else { return };
        if ladder.is_lane(dial) && matches!(reason, Reason::WrongIdentity { .. }) {
            out.stopped(DropReason::ImpostorOnLane);
        }
        self.traces.dial_failed(dial, reason, view.now());
        let now = view.now();
        self.with(dial.attempt, view, out, |ladder, told| ladder.on_dial_failed(dial, reason, now, told));
    }

    fn on_linked(&mut self, peer: PeerId, view: View<'_>, out: &mut Outbox) {
        let Some(status) = view.targets.peers.links.status(&peer) else { return };
        if status.info.path.is_straight() {
            out.want(Wanted::PunchOver(peer));
        }
        for id in self.ids_towards(&peer) {
            let late = self.is_late(id, &peer);
            // One stage that was asked for goes on until it has its own result.
            let asked = self.waiting.iter().find(|w| w.attempt == id).and_then(|w| w.stage);
            let own = asked.is_some_and(|stage| stage.path() <= status.info.path);
            let Some(ladder) = self.live.get_mut(&id) else { continue };
            let mut told = Vec::new();
            if late && !own {
                // One reconnection is one success, however many dialled for it.
                ladder.abandon(&Reason::NotNeeded, view.now(), &mut told);
            } else {
                ladder.on_relay(status.info.via);
                ladder.on_link(status.info.path, status.info.outbound, view.now(), &mut told);
                if ladder.outcome() == Some(AttemptOutcome::Connected) {
                    self.made.entry(peer).or_insert(id);
                }
            }
            self.carry(id, told, view, out);
        }
    }

    fn on_refused(&mut self, peer: PeerId, reason: &Reason, view: View<'_>, out: &mut Outbox) {
        let now = view.now();
        for id in self.ids_towards(&peer) {
            self.with(id, view, out, |ladder, told| ladder.on_refused(reason, now, told));
        }
    }

    fn on_i_have(&mut self, from: PeerId, answer: &IHave, view: View<'_>, out: &mut Outbox) {
        let Some((id, Asked::WhoHas)) = self.queries.get(&answer.query).copied() else { return };
        self.traces.has(id, from, answer, view.now());
        let peers = view.targets.peers;
        let seen = answer.observed.map(plain_addr).filter(|at| may_aim_at(from, *at, view, out));
        let known = peers.addresses_of(&answer.peer).unwrap_or_default();
        let target = seen.and_then(|target| peers.target_in_family(from, target, &known));
        let candidate = target.and_then(|target| peers.candidate(from, target));
        if self.live.get(&id).is_some_and(|l| l.peer() == Some(answer.peer)) {
            let now = view.now();
            let told_of = (seen.is_some(), candidate);
            self.with(id, view, out, |ladder, told| ladder.on_answer(from, told_of, now, told));
        }
    }

    fn on_coordination_answer(
        &mut self,
        from: PeerId,
        said: &CoordinationAnswer,
        view: View<'_>,
        out: &mut Outbox,
    ) {
        let Some((id, asked)) = self.queries.get(&said.request).copied() else { return };
        let consent = match said.result.map(plain_addr) {
            Ok(target) if asked == Asked::Punch && !may_aim_at(from, target, view, out) => {
                Consent::Elsewhere(Reason::UnknownTarget)
            }
            Ok(target) => Consent::Agreed(target),
            Err(Refusal::HeldOff) => Consent::Refused(Reason::HeldOffThere),
            Err(Refusal::NoConsent) => Consent::Refused(Reason::NoConsent),
            Err(Refusal::RateLimited | Refusal::Replayed) => Consent::Elsewhere(Reason::RateLimited),
            Err(Refusal::NoAnswer) => Consent::Elsewhere(Reason::timed_out(TARGET_WAIT)),
            Err(Refusal::BadAddress) => Consent::Elsewhere(Reason::UnknownRelay),
            Err(_) => Consent::Elsewhere(Reason::UnknownTarget),
        };
        let now = view.now();
        self.traces.answered(id, from, &consent, now);
        self.with(id, view, out, |ladder, told| match asked {
            Asked::Punch => ladder.on_consent(from, consent, now, told),
            Asked::Invite => ladder.on_invite_answer(from, consent, now, told),
            Asked::WhoHas => {}
        });
    }

    /// What set out before the NATs were known, or were others, ends where measurement
    /// says now that it cannot succeed.
    fn drop_hopeless(&mut self, view: View<'_>, out: &mut Outbox) {
        let live: Vec<_> = self.live().filter_map(|l| Some((l.id(), l.peer()?))).collect();
        for (id, peer) in live {
            let nat_pair = view.targets.nat_pair(&peer);
            if nat_pair.is_hopeless() {
                self.unpunchable(id, nat_pair, view, out);
            }
        }
    }

    fn unpunchable(&mut self, id: AttemptId, nat_pair: NatPair, view: View<'_>, out: &mut Outbox) {
        let now = view.now();
        self.with(id, view, out, |ladder, told| ladder.on_unpunchable(nat_pair, now, told));
    }

    fn abandon(&mut self, id: AttemptId, reason: &Reason, view: View<'_>, out: &mut Outbox) {
        let now = view.now();
        self.with(id, view, out, |ladder, told| ladder.abandon(reason, now, told));
    }

    /// Lets a ladder take something, and carries out what it wants then.
    fn with(
        &mut self,
        id: AttemptId,
        view: View<'_>,
        out: &mut Outbox,
        f: impl FnOnce(&mut Ladder, &mut Vec<LadderOut>),
    ) {
        let Some(ladder) = self.live.get_mut(&id) else { return };
        let mut told = Vec::new();
        f(ladder, &mut told);
        self.carry(id, told, view, out);
    }

    fn carry(&mut self, id: AttemptId, told: Vec<LadderOut>, view: View<'_>, out: &mut Outbox) {
        let peer = self.live.get(&id).and_then(Ladder::peer);
        if let Some(peer) = peer {
            out.touch_row(peer);
        }
        for wanted in told {
            self.traces.wanted(id, &wanted, view.now());
            match wanted {
                LadderOut::Dial { dial, addr, within } | LadderOut::Punch { dial, addr, within } => {
                    out.push(Action::Dial { dial, addr, within });
                }
                LadderOut::Cancel(dial) => out.push(Action::Cancel { dial }),
                LadderOut::AskWhoHas => self.ask_who_has(id, view, out),
                LadderOut::RequestPunch(via) => self.request_punch(id, &via, view, out),
                LadderOut::DialLane { dial, relay: at, within } => {
                    let Some(peer) = peer else { continue };
                    let (relay, addr) = (Some(at.relay), view.targets.dialled(&at).addr);
                    out.push(Action::DialLane { dial, peer, relay, addr, within });
                }
                LadderOut::UseLane(dial) => out.push(Action::UseLane { dial }),
                LadderOut::Reserve => out.want(Wanted::Relaying(relaying::Input::Reserve(id))),
                LadderOut::Invite { via, relay } => self.request_invite(id, via, relay, out),
                LadderOut::StageStarted { stage, via } => {
                    out.event(peer, EventKind::StageStarted { attempt: id, stage, via }, view.now());
                }
                LadderOut::StageEnded(report) => {
                    let (stage, outcome, reason) = (report.stage, report.outcome, report.reason);
                    let elapsed_ms = report.elapsed_ms.unwrap_or(0);
                    let kind = EventKind::StageEnded { attempt: id, stage, outcome, reason, elapsed_ms };
                    out.event(peer, kind, view.now());
                    if outcome == StageOutcome::Ok {
                        self.stage_made(id, stage, view, out);
                    }
                }
                LadderOut::Decided(outcome) => self.decide(id, outcome, out),
                LadderOut::Over => out.want(Wanted::Attempts(Input::Over(id))),
            }
        }
    }

    fn next_query(&mut self, attempt: AttemptId, asked: Asked) -> u32 {
        self.next_query = self.next_query.wrapping_add(1);
        self.queries.insert(self.next_query, (attempt, asked));
        self.next_query
    }

    fn ask_who_has(&mut self, id: AttemptId, view: View<'_>, out: &mut Outbox) {
        let Some(peer) = self.live.get(&id).and_then(Ladder::peer) else { return };
        let query = self.next_query(id, Asked::WhoHas);
        let mut ask = view.targets.peers.links.up();
        ask.retain(|to| *to != peer);
        for to in &ask {
            out.send(*to, Message::WhoHas(WhoHas { query, peer }));
        }
        let now = view.now();
        self.traces.asked(id, ask.len(), now);
        self.with(id, view, out, |ladder, told| ladder.on_asked(ask.len(), now, told));
    }

    /// Asks an intermediary to have the target punch with us.
    fn request_punch(&mut self, id: AttemptId, via: &Candidate, view: View<'_>, out: &mut Outbox) {
        let Some(target) = self.live.get(&id).and_then(Ladder::peer) else { return };
        let request = self.next_query(id, Asked::Punch);
        let nonce = self.rng.random();
        // Where the intermediary sees us is where the target is to aim.
        let seen = view.targets.peers.links.greeting(&via.peer).map(|g| g.observed);
        let addresses = seen.into_iter().collect();
        out.send(via.peer, Message::PunchRequest(PunchRequest { request, target, nonce, addresses }));
    }

    /// Asks an intermediary to invite the target to a reservation of ours.
    fn request_invite(&mut self, id: AttemptId, via: PeerId, relay: RelayAddr, out: &mut Outbox) {
        let Some(target) = self.live.get(&id).and_then(Ladder::peer) else { return };
        let request = self.next_query(id, Asked::Invite);
        let nonce = self.rng.random();
        out.want(Wanted::Relaying(relaying::Input::Followed(target)));
        out.send(via, Message::Invite(Invite { request, target, nonce, relay }));
    }
}

/// Whether a punch may go where a linked peer says that its target is. It sees what it
/// says it sees, or it does not: nothing is dialled that no record of its could name.
fn may_aim_at(on_word_of: PeerId, addr: SocketAddr, view: View<'_>, out: &mut Outbox) -> bool {
    let allowed = view.targets.link_context(&on_word_of).is_some_and(|context| context.allows(addr));
    if !allowed {
        out.stopped(DropReason::PunchAtThirdParty);
    }
    allowed
}
