//! Attempts: starting ladders, carrying out what they want, and ending them.

mod ended;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::traces::Traces;
use super::{Action, Engine};
use crate::core::coordination::TARGET_WAIT;
use crate::core::dialer::Start;
use crate::core::guessing;
use crate::core::ladder::{Candidate, Consent, DialId, Ladder, LadderOut, Plan, Settings};
use crate::core::why::Trace;
use crate::core::wire::{
    CoordinationAnswer, IHave, Invite, Message, PunchRequest, Refusal, RelayAddr, WhoHas,
};
use crate::core::{Mono, Now};
use crate::model::{
    Attempt, AttemptId, AttemptOutcome, AttemptsView, Cause, CommandId, EventKind, Failure, Path, PeerId,
    Reason, StageKind, StageOutcome,
};

/// Ended attempts kept for the screen.
const RECENT_MAX: usize = 200;

/// Live ladders and ended attempts.
#[derive(Debug, Default)]
pub(super) struct Attempts {
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
    pub(super) traces: Traces,
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

    /// The link to a peer is gone.
    pub(super) fn link_ended(&mut self, peer: &PeerId) {
        let Some(made) = self.made.remove(peer) else { return };
        if self.latest.get(peer) != Some(&made) && self.traces.before(peer) != Some(made) {
            self.traces.forget(made);
        }
    }

    /// Whether an attempt has no link to wait for any more: another one made it.
    fn is_late(&self, id: AttemptId, peer: &PeerId) -> bool {
        let waits = self.live.get(&id).is_some_and(|l| l.outcome().is_none() && l.cause() != Cause::Upgrade);
        waits && self.made.get(peer).is_some_and(|made| *made != id)
    }

    pub(super) fn ids_towards(&self, peer: &PeerId) -> Vec<AttemptId> {
        self.live.iter().filter(|(_, l)| l.peer() == Some(*peer)).map(|(id, _)| *id).collect()
    }
}

impl Engine {
    /// Runs the ladder towards somebody.
    pub(super) fn start_attempt(&mut self, start: Start, now: Now) {
        let id = self.outbox.fresh_attempt();
        self.start_numbered(id, start, now);
    }

    fn start_numbered(&mut self, id: AttemptId, start: Start, now: Now) {
        let Start { target, cause, plan } = start;
        let mut target = match target.peer {
            Some(peer) => {
                self.outbox.stopped_often("relay that nobody knows", self.peers(now).unknown_relays(&peer));
                self.targets(now).at(peer, target.addresses)
            }
            None => target,
        };
        if cause == Cause::Gossip {
            self.drop_hearsay_relays(&mut target.relays, now);
        }
        let peer = target.peer;
        self.outbox.event(peer, EventKind::AttemptStarted { attempt: id, cause }, now);
        if let Some(peer) = peer {
            self.attempts.set_latest(peer, id);
        }
        let mut out = Vec::new();
        let settings = Settings { window: self.config.direct_window, relay_after: self.config.relay_after };
        let ladder = Ladder::start(id, target, cause, plan, settings, now, &mut out);
        self.attempts.live.insert(id, ladder);
        self.carry_ladder(id, out, now);
    }

    /// A command to connect, or for one stage: joins what runs, or starts it.
    pub(super) fn connect(
        &mut self,
        id: CommandId,
        peer: PeerId,
        plan: Plan,
        cause: Cause,
        now: Now,
    ) -> Result<(), Failure> {
        let target = self.targets(now).of(peer).ok_or(Reason::UnknownPeer)?;
        // It would say nothing of the peer, and be no news to anybody.
        self.ways.to(&target.addresses).map_err(|why| Reason::NoWay { why })?;
        let stage = plan.only();
        let joins = |l: &&Ladder| match stage {
            // One that has its outcome answers nobody any more.
            None => l.plan().direct && l.outcome().is_none(),
            Some(_) => self.attempts.waits_for(l.id(), stage),
        };
        let running = self.attempts.live().filter(|l| l.peer() == Some(peer)).find(joins).map(Ladder::id);
        if running.is_none() && stage.is_some() {
            self.make_way(peer, now);
        }
        // It may be over as soon as it begins.
        let attempt = running.unwrap_or_else(|| self.outbox.fresh_attempt());
        let before = self.links.path(&peer);
        let waiting = Waiting { command: id, attempt, since: now.mono, stage, before };
        self.attempts.waiting.push(waiting);
        if running.is_none() {
            self.start_numbered(attempt, Start { target, cause, plan }, now);
        }
        Ok(())
    }

    /// What goes on by itself behind a relayed link is called off where a person asks
    /// for it: it may have sent its packets in vain, and the rates are shared.
    fn make_way(&mut self, peer: PeerId, now: Now) {
        for id in self.attempts.ids_towards(&peer) {
            let behind = |l: &Ladder| l.cause() == Cause::Upgrade || l.outcome().is_some();
            if self.attempts.live.get(&id).is_some_and(behind) {
                self.with_ladder(id, now, |ladder, out| ladder.abandon(&Reason::AskedAnew, now, out));
            }
        }
    }

    /// A dial was handed to a socket: from now on it may be said that it was made.
    pub(super) fn on_dial_sent(&mut self, dial: DialId, now: Now) {
        if Self::is_free(dial) {
            self.on_punch_dial_sent(dial, now);
            return self.on_handover_sent(dial, now);
        }
        self.attempts.note_sent(dial, now);
    }

    pub(super) fn on_dialled(&mut self, dial: DialId, peer: PeerId, now: Now) {
        if Self::is_free(dial) {
            return self.on_handover_dialled(dial, peer);
        }
        let Some(ladder) = self.attempts.live.get_mut(&dial.attempt) else {
            return self.outbox.push(Action::Cancel { dial });
        };
        let mut out = Vec::new();
        if ladder.is_lane(dial) {
            ladder.on_dialled(dial, peer, now, &mut out);
            return self.carry_ladder(dial.attempt, out, now);
        }
        if peer == self.config.me {
            match ladder.address().filter(|_| ladder.peer().is_none()) {
                // That is no peer whom we could not reach.
                Some(addr) => {
                    self.dialer.drop_own_address(&addr);
                    ladder.abandon(&Reason::OwnAddress, now, &mut out);
                }
                None => ladder.on_dial_failed(dial, &Reason::OwnAddress, now, &mut out),
            }
        } else {
            if ladder.peer().is_some_and(|wanted| wanted != peer) {
                self.attempts.note_failed(dial, &Reason::WrongIdentity { got: peer }, now);
            }
            let Some(ladder) = self.attempts.live.get_mut(&dial.attempt) else { return };
            ladder.on_dialled(dial, peer, now, &mut out);
            if ladder.peer() == Some(peer) {
                self.attempts.set_latest(peer, dial.attempt);
            }
        }
        self.carry_ladder(dial.attempt, out, now);
        // Its connection may be gone before we hear of the dial.
        if !self.links.is_connected(&peer) {
            let known = self.links.refusal(&peer, now.mono).cloned();
            let reason = known.unwrap_or(Reason::Closed { close: None });
            self.attempts_refused(&peer, &reason, now);
        }
        // The link may have been there all along.
        if self.links.get(&peer).is_some_and(|l| l.is_up() || l.is_foreign()) {
            self.attempts_reached(&peer, now);
        }
    }

    pub(super) fn on_dial_failed(&mut self, dial: DialId, reason: &Reason, now: Now) {
        let lane = Self::is_free(dial) && self.is_handover(dial)
            || self.attempts.live.get(&dial.attempt).is_some_and(|l| l.is_lane(dial));
        if lane && matches!(reason, Reason::WrongIdentity { .. }) {
            self.outbox.stopped("impostor on a lane");
        }
        if Self::is_free(dial) {
            self.on_punch_dial_failed(dial, now);
            return self.on_handover_failed(dial, now);
        }
        self.attempts.note_failed(dial, reason, now);
        self.with_ladder(dial.attempt, now, |ladder, out| ladder.on_dial_failed(dial, reason, now, out));
    }

    /// The peer is linked: every attempt towards it ends.
    pub(super) fn attempts_reached(&mut self, peer: &PeerId, now: Now) {
        let Some(status) = self.links.status(peer) else { return };
        if status.info.path.is_straight() {
            self.end_punch_dials(peer);
        }
        for id in self.attempts.ids_towards(peer) {
            let late = self.attempts.is_late(id, peer);
            // One stage that was asked for goes on until it has its own result.
            let asked = self.attempts.waiting.iter().find(|w| w.attempt == id).and_then(|w| w.stage);
            let own = asked.is_some_and(|stage| stage.path() <= status.info.path);
            let Some(ladder) = self.attempts.live.get_mut(&id) else { continue };
            let mut out = Vec::new();
            if late && !own {
                // One reconnection is one success, however many dialled for it.
                ladder.abandon(&Reason::NotNeeded, now, &mut out);
            } else {
                ladder.on_relay(status.info.via);
                ladder.on_link(status.info.path, status.info.outbound, now, &mut out);
                if ladder.outcome() == Some(AttemptOutcome::Connected) {
                    self.attempts.made.entry(*peer).or_insert(id);
                }
            }
            self.carry_ladder(id, out, now);
        }
    }

    /// A connection to the peer did not become a link.
    pub(super) fn attempts_refused(&mut self, peer: &PeerId, reason: &Reason, now: Now) {
        for id in self.attempts.ids_towards(peer) {
            let Some(ladder) = self.attempts.live.get_mut(&id) else { continue };
            let mut out = Vec::new();
            ladder.on_refused(reason, now, &mut out);
            self.carry_ladder(id, out, now);
        }
    }

    pub(super) fn attempts_timeout(&mut self, now: Now) {
        let due: Vec<AttemptId> = self
            .attempts
            .live
            .iter()
            .filter(|(_, l)| l.next_timeout().is_some_and(|at| at <= now.mono))
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            let Some(ladder) = self.attempts.live.get_mut(&id) else { continue };
            let mut out = Vec::new();
            ladder.on_timeout(now, &mut out);
            self.carry_ladder(id, out, now);
        }
    }

    /// Calls one off.
    pub(super) fn abandon_attempt(&mut self, id: AttemptId, reason: &Reason, now: Now) {
        self.with_ladder(id, now, |ladder, out| ladder.abandon(reason, now, out));
    }

    /// Calls every attempt off.
    pub(super) fn abandon_attempts(&mut self, reason: &Reason, now: Now) {
        let ids: Vec<AttemptId> = self.attempts.live.keys().copied().collect();
        for id in ids {
            let Some(ladder) = self.attempts.live.get_mut(&id) else { continue };
            let mut out = Vec::new();
            ladder.abandon(reason, now, &mut out);
            self.carry_ladder(id, out, now);
        }
    }

    /// An answer to one of our who-has questions.
    pub(super) fn on_i_have(&mut self, from: PeerId, answer: IHave, now: Now) {
        if self.guesses.awaits(answer.query) {
            return self.tell_guesses(guessing::Input::Witness(from, answer), now);
        }
        let Some((id, Asked::WhoHas)) = self.attempts.queries.get(&answer.query).copied() else { return };
        self.attempts.note_has(id, from, &answer, now);
        let observed = answer.observed.map(crate::model::plain_addr);
        let observed = observed.filter(|target| self.may_aim_at(from, *target));
        let known = self.peers(now).addresses_of(&answer.peer).unwrap_or_default();
        let target = observed.and_then(|target| self.peers(now).target_in_family(from, target, &known));
        let candidate = target.and_then(|target| self.peers(now).candidate(from, target));
        let Some(ladder) = self.attempts.live.get_mut(&id).filter(|l| l.peer() == Some(answer.peer)) else {
            return;
        };
        let mut out = Vec::new();
        ladder.on_answer(candidate, now, &mut out);
        self.carry_ladder(id, out, now);
    }

    fn carry_ladder(&mut self, id: AttemptId, out: Vec<LadderOut>, now: Now) {
        let peer = self.attempts.live.get(&id).and_then(Ladder::peer);
        if let Some(peer) = peer {
            self.outbox.touch_row(peer);
        }
        for wanted in out {
            self.attempts.note_wanted(id, &wanted, now);
            match wanted {
                LadderOut::Dial { dial, addr, within } | LadderOut::Punch { dial, addr, within } => {
                    self.outbox.push(Action::Dial { dial, addr, within });
                }
                LadderOut::Cancel(dial) => self.outbox.push(Action::Cancel { dial }),
                LadderOut::AskWhoHas => self.ask_who_has(id, now),
                LadderOut::RequestPunch(via) => self.request_punch(id, &via, now),
                LadderOut::DialLane { dial, relay: at, within } => {
                    let Some(peer) = peer else { continue };
                    let (relay, addr) = (Some(at.relay), at.addr);
                    self.outbox.push(Action::DialLane { dial, peer, relay, addr, within });
                }
                LadderOut::UseLane(dial) => self.outbox.push(Action::UseLane { dial }),
                LadderOut::Reserve => self.reserve_for(id, now),
                LadderOut::Invite { via, relay } => self.request_invite(id, via, relay, now),
                LadderOut::StageStarted { stage, via } => {
                    self.outbox.event(peer, EventKind::StageStarted { attempt: id, stage, via }, now);
                }
                LadderOut::StageEnded(report) => {
                    let (stage, outcome, reason) = (report.stage, report.outcome, report.reason);
                    let elapsed_ms = report.elapsed_ms.unwrap_or(0);
                    let kind = EventKind::StageEnded { attempt: id, stage, outcome, reason, elapsed_ms };
                    self.outbox.event(peer, kind, now);
                    if outcome == StageOutcome::Ok {
                        self.stage_made(id, stage, now);
                    }
                }
                LadderOut::Decided(outcome) => self.decide_attempt(id, outcome, now),
                LadderOut::Over => self.end_attempt(id, now),
            }
        }
    }

    fn next_query(&mut self, attempt: AttemptId, asked: Asked) -> u32 {
        self.attempts.next_query = self.attempts.next_query.wrapping_add(1);
        self.attempts.queries.insert(self.attempts.next_query, (attempt, asked));
        self.attempts.next_query
    }

    /// Asks an intermediary to have the target punch with us.
    fn request_punch(&mut self, id: AttemptId, via: &Candidate, now: Now) {
        let Some(target) = self.attempts.live.get(&id).and_then(Ladder::peer) else { return };
        let request = self.next_query(id, Asked::Punch);
        let nonce = self.nonce();
        // Where the intermediary sees us is where the target is to aim.
        let seen = self.links.greeting(&via.peer).map(|g| g.observed);
        let addresses = seen.into_iter().collect();
        let ask = PunchRequest { request, target, nonce, addresses };
        self.links.send(&via.peer, &Message::PunchRequest(ask), now, &mut self.outbox);
    }

    /// Asks an intermediary to invite the target to a reservation of ours.
    fn request_invite(&mut self, id: AttemptId, via: PeerId, relay: RelayAddr, now: Now) {
        let Some(target) = self.attempts.live.get(&id).and_then(Ladder::peer) else { return };
        let request = self.next_query(id, Asked::Invite);
        let nonce = self.nonce();
        self.note_followed(target, now);
        self.links.send(
            &via,
            &Message::Invite(Invite { request, target, nonce, relay }),
            now,
            &mut self.outbox,
        );
    }

    /// An intermediary answered a request of ours.
    pub(super) fn on_coordination_answer(&mut self, from: PeerId, said: CoordinationAnswer, now: Now) {
        let Some((id, asked)) = self.attempts.queries.get(&said.request).copied() else { return };
        let consent = match said.result.map(crate::model::plain_addr) {
            Ok(target) if asked == Asked::Punch && !self.may_aim_at(from, target) => {
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
        self.attempts.note_answer(id, from, &consent, now);
        self.with_ladder(id, now, |ladder, out| match asked {
            Asked::Punch => ladder.on_consent(from, consent, now, out),
            Asked::Invite => ladder.on_invite_answer(from, consent, now, out),
            Asked::WhoHas => {}
        });
    }

    /// Lets a ladder take something, and carries out what it wants then.
    pub(super) fn with_ladder(
        &mut self,
        id: AttemptId,
        now: Now,
        f: impl FnOnce(&mut Ladder, &mut Vec<LadderOut>),
    ) {
        let Some(ladder) = self.attempts.live.get_mut(&id) else { return };
        let mut out = Vec::new();
        f(ladder, &mut out);
        self.carry_ladder(id, out, now);
    }

    fn ask_who_has(&mut self, id: AttemptId, now: Now) {
        let Some(peer) = self.attempts.live.get(&id).and_then(Ladder::peer) else { return };
        let query = self.next_query(id, Asked::WhoHas);
        let ask: Vec<PeerId> =
            self.links.iter().filter(|(p, l)| **p != peer && l.is_up()).map(|(p, _)| *p).collect();
        for to in &ask {
            self.links.send(to, &Message::WhoHas(WhoHas { query, peer }), now, &mut self.outbox);
        }
        self.attempts.note_asked(id, ask.len(), now);
        let Some(ladder) = self.attempts.live.get_mut(&id) else { return };
        let mut out = Vec::new();
        ladder.on_asked(ask.len(), now, &mut out);
        self.carry_ladder(id, out, now);
    }
}
