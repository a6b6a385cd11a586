//! The steps of a run: what is said, what comes in, and what time brings.

use std::net::SocketAddr;
use std::time::Duration;

use super::evidence::Witness;
use super::plan::Role;
use super::ports::{Ports, sensible};
use super::run::{ANSWER_WITHIN, Phase, Run, WITNESS_WITHIN};
use super::types::{Ground, Out, RunId};
use super::{Guessing, is_free_port};
use crate::core::Mono;
use crate::core::limits::{GUESS_PER_SECOND, GUESS_PROBES_MAX, GUESS_SOCKETS_MAX};
use crate::core::wire::{GuessAnswer, GuessOffer, GuessOpened, GuessOver, GuessYes, Message, NoGuess};
use crate::model::{DropReason, HardNat, NatType, PeerId, Reason, plain_addr};

/// Datagrams go out in small groups, so often.
const TICK: Duration = Duration::from_millis(10);
/// So many in each: no more than the rate, whenever the clock ticks.
const GROUP: u16 = GUESS_PER_SECOND / 100;
/// The other end opens its sockets in half a second; its message has its time too.
const OPENED_WITHIN: Duration = Duration::from_secs(5);
/// After the last probe: it travels, and so does the word that it met.
const LISTEN: Duration = Duration::from_millis(1500);
/// How long sockets stay open: until the last probe can have come.
const OPEN_FOR: Duration = Duration::from_secs(5);
/// How long a connection may take from the moment it is dialled.
const DIAL_WITHIN: Duration = Duration::from_secs(5);
/// How long either end waits for the link to move to it.
const MEET_WITHIN: Duration = Duration::from_secs(8);

impl Guessing {
    /// A linked peer offers a run.
    pub fn on_offer(&mut self, peer: PeerId, offer: &GuessOffer, ground: &Ground, now: Mono) {
        if !self.rates.takes_offer(peer, now) {
            return self.out.push_back(Out::Stopped(DropReason::GuessOffersOfPeer));
        }
        match self.judge(peer, offer, ground, now) {
            Ok(run) => {
                if self.run.as_ref().is_some_and(|ours| ours.peer == peer) {
                    // Both offered: this one counts.
                    self.run = None;
                } else {
                    self.out.push_back(Out::Begun { peer });
                }
                self.out.push_back(Out::Ask { about: peer, query: run.query });
                self.run = Some(run);
            }
            Err(None) => {}
            Err(Some(no)) => self.say_no(peer, RunId(offer.run), no),
        }
    }

    /// Whether an offer is one that we may take; `None` where ours counts instead.
    fn judge(
        &mut self,
        peer: PeerId,
        offer: &GuessOffer,
        ground: &Ground,
        now: Mono,
    ) -> Result<Run, Option<NoGuess>> {
        let asked = self.mode == HardNat::Ask && self.schedule.is_by_hand(&peer);
        if !(self.mode == HardNat::Auto || asked) || !ground.consents {
            return Err(Some(NoGuess::NoConsent));
        }
        if let Some(ours) = &self.run {
            let crossed = ours.peer == peer && matches!(ours.phase, Phase::Offered { .. });
            match crossed {
                true if self.me < peer => return Err(None),
                true => {}
                false => return Err(Some(NoGuess::Busy)),
            }
        }
        let busy = self.rates.pair_wait(&peer, now).or(self.rates.node_wait(now)).is_some();
        let busy = busy || ground.is_stale();
        if busy {
            return Err(Some(NoGuess::Busy));
        }
        let at = plain_addr(offer.at);
        let role = ground.role(self.me, peer).filter(|role| (*role == Role::Probe) == offer.opens);
        let both = is_both(ground);
        let fits =
            ground.at().is_some() && is_free_port(at.port()) && (!both || sensible(offer.near).is_some());
        let Some(role) = role.filter(|_| fits) else { return Err(Some(NoGuess::Hopeless)) };
        let mut run = Run::new(RunId(offer.run), peer, role, self.query(), now);
        run.theirs = Some(GuessYes { at, near: offer.near });
        run.both = both;
        run.phase = Phase::Judging { until: now + WITNESS_WITHIN };
        Ok(run)
    }

    fn say_no(&mut self, peer: PeerId, run: RunId, no: NoGuess) {
        let message = Message::GuessAnswer(GuessAnswer { run: run.0, result: Err(no) });
        self.out.push_back(Out::Say { peer, message });
    }

    /// The answer to our offer.
    pub fn on_answer(&mut self, peer: PeerId, answer: &GuessAnswer, ground: &Ground, now: Mono) {
        let Some(run) = self.run_of(peer, answer.run, |p| matches!(p, Phase::Offered { .. })) else {
            return self.out.push_back(Out::Stopped(DropReason::GuessAnswerUnasked));
        };
        match answer.result {
            Ok(yes) => {
                run.theirs = Some(GuessYes { at: plain_addr(yes.at), near: yes.near });
                run.both = is_both(ground);
                run.phase = Phase::Agreed { until: now + WITNESS_WITHIN };
                if run.both && sensible(yes.near).is_none() {
                    return self.give_up(None, Reason::Unguessable, now);
                }
                self.go_on(ground, now);
            }
            Err(no) => {
                let reason = match no {
                    NoGuess::Busy => Reason::GuessBusy,
                    NoGuess::Hopeless => Reason::Unguessable,
                    NoGuess::Unwitnessed => Reason::Unwitnessed,
                    NoGuess::NoConsent | NoGuess::Other => Reason::NoGuessing,
                };
                self.end(Err(reason), false, now);
            }
        }
    }

    fn run_of(&mut self, peer: PeerId, id: [u8; 16], fits: impl Fn(Phase) -> bool) -> Option<&mut Run> {
        self.run.as_mut().filter(|run| run.peer == peer && run.id.0 == id && fits(run.phase))
    }

    /// Somebody sees the other end.
    pub fn on_witness(&mut self, query: u32, witness: Witness, ground: &Ground, now: Mono) {
        if let Some(run) = self.run.as_mut().filter(|run| run.query == query) {
            run.evidence.add(witness);
            self.go_on(ground, now);
        }
    }

    /// Goes on as soon as both ends agreed and the evidence is there.
    fn go_on(&mut self, ground: &Ground, now: Mono) {
        let Some(run) = &mut self.run else { return };
        let answers = match run.phase {
            Phase::Judging { .. } => true,
            Phase::Agreed { .. } => false,
            _ => return,
        };
        let Some(aim) = run.borne_out().filter(|at| is_free_port(at.port())) else { return };
        if self.rates.host_wait(aim.ip(), now).is_some() {
            self.out.push_back(Out::Stopped(DropReason::GuessesAtOneHost));
            return self.give_up(answers.then_some(NoGuess::Busy), Reason::GuessBusy, now);
        }
        if answers {
            let Some(at) = ground.at() else {
                return self.give_up(Some(NoGuess::Hopeless), Reason::Unguessable, now);
            };
            let yes = GuessYes { at, near: sensible(ground.near) };
            let message = Message::GuessAnswer(GuessAnswer { run: run.id.0, result: Ok(yes) });
            self.out.push_back(Out::Say { peer: run.peer, message });
        }
        run.aim = Some(aim);
        self.rates.ran(run.peer, aim.ip(), now);
        match run.role {
            Role::Open => {
                run.sockets = Some(0);
                run.phase = Phase::Opening { next: now };
                self.on_timeout(now);
            }
            Role::Probe => {
                let near = run.theirs.and_then(|t| sensible(t.near));
                run.ports = Some(Ports::new(near, !run.both));
                match run.sockets {
                    // It was faster than our witnesses.
                    Some(_) => {
                        run.phase = Phase::Probing { next: now };
                        self.on_timeout(now);
                    }
                    None => run.phase = Phase::Awaiting { until: now + OPENED_WITHIN },
                }
            }
        }
    }

    /// Ends a run before a datagram was sent; `no`: what the other end, which waits
    /// for our answer, is told.
    fn give_up(&mut self, no: Option<NoGuess>, reason: Reason, now: Mono) {
        match (no, &self.run) {
            (Some(no), Some(run)) => {
                let (peer, id) = (run.peer, run.id);
                self.say_no(peer, id, no);
                self.end(Err(reason), false, now);
            }
            _ => self.end(Err(reason), true, now),
        }
    }

    /// So many sockets are open, or that is all that the host gives.
    pub fn on_sockets(&mut self, id: RunId, open: u16, trouble: Option<String>, now: Mono) {
        let Some(run) = self.run.as_mut().filter(|run| run.id == id && run.role == Role::Open) else {
            return self.out.push_back(Out::Close(id));
        };
        run.sockets = Some(open);
        if open == 0
            && let Some(detail) = trouble
        {
            return self.end(Err(Reason::NoProbeSocket { detail }), true, now);
        }
        let all = run.asked >= run.sockets_max() || trouble.is_some();
        if all && matches!(run.phase, Phase::Opening { .. }) {
            let message = Message::GuessOpened(GuessOpened { run: id.0, sockets: open });
            run.phase = Phase::Opened { until: now + OPEN_FOR };
            self.out.push_back(Out::Say { peer: run.peer, message });
        }
    }

    /// The other end's sockets are open, as it says. What it says changes the odds
    /// that are shown, and nothing of what we send.
    pub fn on_opened(&mut self, peer: PeerId, opened: &GuessOpened, now: Mono) {
        let waits = |p| matches!(p, Phase::Awaiting { .. } | Phase::Agreed { .. });
        let run = self.run_of(peer, opened.run, waits).filter(|run| run.role == Role::Probe);
        let Some(run) = run.filter(|run| run.sockets.is_none()) else {
            return self.out.push_back(Out::Stopped(DropReason::GuessOutOfPlace));
        };
        run.sockets = Some(opened.sockets.min(GUESS_SOCKETS_MAX));
        if matches!(run.phase, Phase::Awaiting { .. }) {
            run.phase = Phase::Probing { next: now };
            self.on_timeout(now);
        }
    }

    /// The other end says that it is over, or that a probe met.
    pub fn on_over(&mut self, peer: PeerId, over: &GuessOver, now: Mono) {
        let Some(run) = self.run_of(peer, over.run, |_| true) else { return };
        let probes = run.probes.get_or_insert(0);
        if run.role == Role::Open {
            *probes = over.probes.min(GUESS_PROBES_MAX);
        }
        let meets = over.met && run.role == Role::Probe && run.phase.may_meet();
        if meets && !run.met {
            run.met = true;
            run.phase = Phase::Meeting { until: now + MEET_WITHIN };
            let said = run.over(true);
            return self.out.push_back(said);
        }
        if !over.met {
            let reason = run.unmet();
            self.end(Err(reason), false, now);
        }
    }

    /// A probe came in on a socket of ours, from where we aim.
    pub fn on_met(&mut self, id: RunId, from: SocketAddr, now: Mono) {
        let run = self.run.as_mut().filter(|run| run.id == id && run.role == Role::Open && !run.met);
        // Probes may come while the last sockets are being opened.
        let open = |p| matches!(p, Phase::Opening { .. } | Phase::Opened { .. });
        let Some(run) = run.filter(|run| open(run.phase) && run.aim == Some(plain_addr(from))) else {
            return self.out.push_back(Out::Stopped(DropReason::GuessMetByNobody));
        };
        run.met = true;
        run.phase = Phase::Meeting { until: now + MEET_WITHIN };
        let said = run.over(true);
        self.out.push_back(said);
        self.out.push_back(Out::Dial { run: id, to: plain_addr(from), within: DIAL_WITHIN });
    }

    /// The dial from the socket that was met came to nothing.
    pub fn on_dial_failed(&mut self, id: RunId, reason: &Reason, now: Mono) {
        if self.run.as_ref().is_some_and(|run| run.id == id) {
            self.end(Err(reason.clone()), true, now);
        }
    }

    /// Time has passed. Groups that are late are not caught up on: the rate is never
    /// exceeded.
    pub fn on_timeout(&mut self, now: Mono) {
        let Some(run) = self.run.as_mut().filter(|run| run.next_timeout() <= now) else { return };
        match run.phase {
            Phase::Offered { .. } => self.end(Err(Reason::OfferUnanswered), false, now),
            Phase::Judging { .. } => self.give_up(Some(NoGuess::Unwitnessed), Reason::Unwitnessed, now),
            Phase::Agreed { .. } => self.give_up(None, Reason::Unwitnessed, now),
            Phase::Opening { .. } => {
                let count = GROUP.min(run.sockets_max().saturating_sub(run.asked));
                run.phase = Phase::Opening { next: now + if count == 0 { ANSWER_WITHIN } else { TICK } };
                run.asked += count;
                let (id, aim) = (run.id, run.aim);
                match aim {
                    Some(towards) if count > 0 => {
                        self.out.push_back(Out::Open { run: id, towards, count });
                    }
                    _ => self.end(Err(Reason::timed_out(ANSWER_WITHIN)), true, now),
                }
            }
            Phase::Probing { .. } => self.probe(now),
            Phase::Opened { .. } | Phase::Listening { .. } => {
                let reason = run.unmet();
                self.end(Err(reason), true, now);
            }
            Phase::Awaiting { .. } => self.end(Err(Reason::timed_out(OPENED_WITHIN)), true, now),
            Phase::Meeting { .. } => self.end(Err(Reason::timed_out(MEET_WITHIN)), true, now),
        }
    }

    fn probe(&mut self, now: Mono) {
        let Some(run) = &mut self.run else { return };
        let (Some(aim), Some(ports)) = (run.aim, &mut run.ports) else { return };
        let sent = run.probes.unwrap_or_default();
        let most = if run.both { crate::core::limits::GUESS_NEIGHBOURS } else { GUESS_PROBES_MAX };
        let count = GROUP.min(most.saturating_sub(sent));
        let rng = &mut self.rng;
        let ports: Vec<u16> = (0..count).map_while(|_| ports.next(rng)).collect();
        if ports.is_empty() {
            run.phase = Phase::Listening { until: now + LISTEN };
            return;
        }
        run.probes = Some(sent + ports.len() as u16);
        run.phase = Phase::Probing { next: now + TICK };
        self.out.push_back(Out::Probe { run: run.id, to: aim.ip(), ports });
    }
}

fn is_both(ground: &Ground) -> bool {
    ground.ours == NatType::Symmetric && ground.theirs == NatType::Symmetric
}

impl Run {
    fn unmet(&self) -> Reason {
        Reason::Unmet {
            sockets: u32::from(self.sockets.unwrap_or_default()),
            probes: u32::from(self.probes.unwrap_or_default()),
        }
    }
}
