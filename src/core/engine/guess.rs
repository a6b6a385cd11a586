//! Guessed punches, wired: when one is wanted, who can say where the other end is,
//! and what is shown of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::{Action, Engine, Link};
use crate::core::guessing::{Ended, Ground, Out, RunId, Witness, datagram};
use crate::core::limits::GUESS_WITNESSES_MAX;
use crate::core::wire::{IHave, Message, Near, WhoHas};
use crate::core::{Mono, Now};
use crate::model::{
    Attempt, AttemptId, AttemptOutcome, Cause, CommandId, Done, EventKind, Failure, GuessReport, LinkReport,
    Path, PeerId, PortOrder, PunchConsent, Reason, StageKind, StageOutcome, StageReport, Stamp, millis,
};

/// What a run wants of the sockets outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuessAction {
    /// Open sockets and send `bytes` from each; [`GuessInput::Opened`] answers.
    Open {
        /// Of which run.
        run: RunId,
        /// Where to, and where alone anything may come from.
        towards: SocketAddr,
        /// How many more.
        count: u16,
        /// What is sent, and what is to come in.
        bytes: crate::core::guessing::Datagram,
    },
    /// Send `bytes` from the node's own socket.
    Probe {
        /// To which addresses.
        to: Vec<SocketAddr>,
        /// What.
        bytes: crate::core::guessing::Datagram,
    },
    /// Dial from the socket that was met; the others are closed.
    /// [`GuessInput::DialFailed`] answers where nothing comes up.
    Dial {
        /// Of which run.
        run: RunId,
        /// Where to.
        to: SocketAddr,
        /// When to give up.
        within: Duration,
    },
    /// Close every socket of that run, but for a connection that stands on one.
    Close(RunId),
}

/// What comes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuessInput {
    /// Sockets were opened.
    Opened {
        /// Of which run.
        run: RunId,
        /// How many are open now.
        open: u16,
        /// What the system said, where they are fewer than were asked for.
        trouble: Option<String>,
    },
    /// The run's datagram came in on a socket.
    Met {
        /// Of which run.
        run: RunId,
        /// From where.
        from: SocketAddr,
    },
    /// The dial came to nothing.
    DialFailed {
        /// Of which run.
        run: RunId,
        /// Why.
        reason: Reason,
    },
}

/// A look at where our NAT's ports have come to is good for so long.
const FRESH: Duration = Duration::from_secs(6);

/// What the engine holds of the run that is shown.
#[derive(Debug)]
pub(super) struct GuessShown {
    attempt: AttemptId,
    peer: PeerId,
    begun: Mono,
    started: Stamp,
    waiting: Vec<(CommandId, Mono)>,
}

impl Engine {
    /// The path of a link is another one, or it is gone.
    pub(super) fn guess_path(&mut self, peer: PeerId, now: Now) {
        match self.links.in_use(&peer).map(|i| i.path) {
            Some(Path::Relayed) if self.guess_ground(&peer, now).relayed => {
                let asked = self.attempts.latest_report(&peer).is_some_and(|a| a.cause == Cause::Operator);
                self.guessing.relayed(peer, asked, now.mono);
            }
            Some(Path::Relayed) => {}
            path => self.guessing.not_relayed(peer, path.is_some(), now.mono),
        }
        self.carry_guesses(now);
    }

    /// A NAT is another one: what is relayed may be guessable now, or is not any more.
    pub(super) fn guess_all(&mut self, now: Now) {
        let relayed = |l: &Link| l.in_use().is_some_and(|i| i.path == Path::Relayed);
        let peers: Vec<PeerId> = self.links.iter().filter(|(_, l)| relayed(l)).map(|(p, _)| *p).collect();
        for peer in peers {
            self.guess_path(peer, now);
        }
        self.guessing.sooner(now.mono);
    }

    /// What is known of both ends.
    pub(super) fn guess_ground(&self, peer: &PeerId, now: Now) -> Ground {
        let relayed = self.links.lane(peer).is_some();
        let near = match self.nat.view().ports {
            Some(PortOrder::Steps { step, last }) => Some(Near { port: last, step }),
            _ => None,
        };
        // Our own sockets move the ports on.
        let fresh =
            |at: &Stamp| at.age_at(now.stamp) <= FRESH && self.guess_moved.is_none_or(|since| *at > since);
        let consents = match self.coordination.consent() {
            PunchConsent::Any => true,
            PunchConsent::Known => self.book.get(*peer).is_some(),
            PunchConsent::Never => false,
        };
        Ground {
            ours: self.nat.claim(),
            theirs: self.peers(now).claimed_nat(peer),
            at: self.nat.seen_at().into_iter().find(SocketAddr::is_ipv4),
            near,
            fresh: self.nat.view().measured.as_ref().is_some_and(fresh),
            relayed: relayed && self.targets(now).is_hopeless(peer),
            consents: consents && !self.dialer.is_held_off(peer, now.mono),
        }
    }

    /// Whether a run with this peer is of any use.
    pub(super) fn is_guessable(&self, peer: &PeerId, now: Now) -> bool {
        self.guessing.could(*peer, &self.guess_ground(peer, now))
    }

    pub(super) fn on_guess_message(&mut self, peer: PeerId, message: &Message, now: Now) {
        let ground = self.guess_ground(&peer, now);
        if ground.is_stale() {
            self.nat.look(now);
        }
        match message {
            Message::GuessOffer(offer) => self.guessing.on_offer(peer, offer, &ground, now.mono),
            Message::GuessAnswer(answer) => self.guessing.on_answer(peer, answer, &ground, now.mono),
            Message::GuessOpened(opened) => self.guessing.on_opened(peer, opened, now.mono),
            Message::GuessOver(over) => self.guessing.on_over(peer, over, now.mono),
            _ => {}
        }
        self.carry_guesses(now);
    }

    pub(super) fn on_guess(&mut self, input: GuessInput, now: Now) {
        match input {
            GuessInput::Opened { run, open, trouble } => {
                self.guessing.on_sockets(run, open, trouble, now.mono);
            }
            GuessInput::Met { run, from } => self.guessing.on_met(run, from, now.mono),
            GuessInput::DialFailed { run, reason } => self.guessing.on_dial_failed(run, &reason, now.mono),
        }
        self.carry_guesses(now);
    }

    /// Somebody says where it sees a peer. Whether that was asked for a run.
    pub(super) fn guess_witness(&mut self, from: PeerId, answer: &IHave, now: Now) -> bool {
        let Some((query, about)) = self.guessing.open_query().filter(|(query, _)| *query == answer.query)
        else {
            return false;
        };
        let sees = answer.observed.map(crate::model::plain_addr).filter(|_| answer.peer == about);
        let info = self.links.in_use(&from).filter(|i| i.path.is_straight());
        if let (Some(sees), Some(info)) = (sees, info) {
            let proven = self.peers(now).is_public(&from);
            let witness = Witness { peer: from, ip: info.remote.ip(), proven, sees };
            let ground = self.guess_ground(&about, now);
            self.guessing.on_witness(query, witness, &ground, now.mono);
            self.carry_guesses(now);
        }
        true
    }

    /// Asks those who can be believed most where they see a peer.
    fn ask_witnesses(&mut self, about: PeerId, query: u32, now: Now) {
        let rank = |(peer, link): (&PeerId, &Link)| {
            let status = link.status().filter(|s| link.is_up() && s.info.path.is_straight())?;
            let rtt = status.rtt_ms.unwrap_or(f64::MAX).to_bits();
            (*peer != about).then_some((!self.peers(now).is_public(peer), rtt, *peer))
        };
        let mut witnesses: Vec<_> = self.links.iter().filter_map(rank).collect();
        witnesses.sort_unstable();
        for (.., to) in witnesses.into_iter().take(GUESS_WITNESSES_MAX) {
            self.links.send(&to, &Message::WhoHas(WhoHas { query, peer: about }), now, &mut self.outbox);
        }
    }

    pub(super) fn guesses_timeout(&mut self, now: Now) {
        self.guessing.on_timeout(now.mono);
        while let Some(peer) = self.guessing.due(now.mono) {
            let ground = self.guess_ground(&peer, now);
            if ground.is_stale() {
                self.nat.look(now);
            }
            self.guessing.start_due(peer, &ground, now.mono);
        }
        self.carry_guesses(now);
    }

    pub(super) fn stop_guesses(&mut self, now: Now) {
        self.guessing.stop(now.mono);
        self.carry_guesses(now);
    }

    pub(super) fn carry_guesses(&mut self, now: Now) {
        while let Some(wanted) = self.guessing.poll() {
            match wanted {
                Out::Say { peer, message } => {
                    self.links.send(&peer, &message, now, &mut self.outbox);
                }
                Out::Ask { about, query } => self.ask_witnesses(about, query, now),
                Out::Begun { peer } => self.guess_begun(peer, now),
                Out::Open { run, towards, count } => {
                    self.guess_moved = Some(now.stamp);
                    let bytes = datagram(run);
                    self.outbox.push(Action::Guess(GuessAction::Open { run, towards, count, bytes }));
                }
                Out::Probe { run, to, ports } => {
                    self.guess_moved = Some(now.stamp);
                    let to = ports.into_iter().map(|port| SocketAddr::new(to, port)).collect();
                    self.outbox.push(Action::Guess(GuessAction::Probe { to, bytes: datagram(run) }));
                }
                Out::Dial { run, to, within } => {
                    self.outbox.push(Action::Guess(GuessAction::Dial { run, to, within }));
                }
                Out::Close(run) => self.outbox.push(Action::Guess(GuessAction::Close(run))),
                Out::Ended(ended) => self.guess_ended(ended, now),
                Out::Stopped(what) => self.outbox.stopped(what),
            }
        }
    }

    fn guess_begun(&mut self, peer: PeerId, now: Now) {
        let attempt = self.attempts.fresh_id();
        let cause = Cause::Upgrade;
        self.guess_shown =
            Some(GuessShown { attempt, peer, begun: now.mono, started: now.stamp, waiting: Vec::new() });
        self.outbox.event(Some(peer), EventKind::AttemptStarted { attempt, cause }, now);
        self.outbox.event(
            Some(peer),
            EventKind::StageStarted { attempt, stage: StageKind::Guess, via: None },
            now,
        );
    }

    fn guess_ended(&mut self, ended: Ended, now: Now) {
        let Some(shown) = self.guess_shown.take_if(|shown| shown.peer == ended.peer) else { return };
        let (outcome, reason, path) = match ended.result {
            Ok(()) => (StageOutcome::Ok, None, Some(Path::Punched)),
            Err(reason) => (StageOutcome::Failed, Some(reason), None),
        };
        let took = millis(now.mono.since(shown.begun));
        let stage = StageReport {
            stage: StageKind::Guess,
            outcome,
            reason: reason.clone(),
            started: shown.started,
            elapsed_ms: Some(took),
            via: None,
            guess: Some(GuessReport::from(ended.shown)),
        };
        let (attempt, kind) = (shown.attempt, StageKind::Guess);
        let told =
            EventKind::StageEnded { attempt, stage: kind, outcome, reason: reason.clone(), elapsed_ms: took };
        self.outbox.event(Some(shown.peer), told, now);
        let of_attempt = match &reason {
            None => AttemptOutcome::Connected,
            Some(Reason::NotNeeded | Reason::NotLinked | Reason::ShuttingDown) => AttemptOutcome::Abandoned,
            Some(_) => AttemptOutcome::Unreachable,
        };
        let told = EventKind::AttemptEnded { attempt, outcome: of_attempt, path, elapsed_ms: took };
        self.outbox.event(Some(shown.peer), told, now);
        let report = shown.report(stage, Some(of_attempt), path);
        for (command, since) in &shown.waiting {
            let link = LinkReport {
                peer_id: shown.peer,
                before: Some(Path::Relayed),
                path: self.links.path(&shown.peer),
                elapsed_ms: millis(now.mono.since(*since)),
                stages: report.stages.clone(),
                note: None,
            };
            let result = match &reason {
                None => Ok(Done::Staged(link)),
                Some(reason) => Err(Failure { reason: reason.clone(), report: Some(Box::new(link)) }),
            };
            self.outbox.answer(*command, result);
        }
        self.attempts.guessed(report);
        self.outbox.touch_row(shown.peer);
    }

    /// The run under way, as an attempt of one stage.
    pub(super) fn guess_attempt(&self) -> Option<Arc<Attempt>> {
        let shown = self.guess_shown.as_ref()?;
        let (_, run) = self.guessing.shown()?;
        let stage = StageReport {
            stage: StageKind::Guess,
            outcome: StageOutcome::Running,
            reason: None,
            started: shown.started,
            elapsed_ms: None,
            via: None,
            guess: Some(GuessReport::from(run)),
        };
        Some(Arc::new(shown.report(stage, None, None)))
    }

    /// A command to punch where only a guess can: joins what runs, or begins it.
    pub(super) fn guess_by_hand(&mut self, id: CommandId, peer: PeerId, now: Now) -> Result<(), Failure> {
        let ground = self.guess_ground(&peer, now);
        self.guessing.ask(peer, &ground, now.mono)?;
        self.carry_guesses(now);
        if let Some(shown) = self.guess_shown.as_mut().filter(|shown| shown.peer == peer) {
            shown.waiting.push((id, now.mono));
        }
        Ok(())
    }
}

impl GuessShown {
    fn report(&self, stage: StageReport, outcome: Option<AttemptOutcome>, path: Option<Path>) -> Attempt {
        Attempt {
            id: self.attempt,
            peer_id: Some(self.peer),
            target: None,
            cause: Cause::Upgrade,
            started: self.started,
            outcome,
            path,
            elapsed_ms: stage.elapsed_ms,
            stages: vec![stage],
            next: None,
        }
    }
}
