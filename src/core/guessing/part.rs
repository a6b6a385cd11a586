//! Guessed punches of a node: when one is wanted, who can say where the other end is,
//! and what is shown of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::io::{GuessAction, GuessInput};
use super::types::{Ended, Ground, Out, datagram};
use super::{Guessing, Witness};
use crate::core::Mono;
use crate::core::attempts::{self, Attempts};
use crate::core::dialer::Dialer;
use crate::core::io::Action;
use crate::core::limits::GUESS_WITNESSES_MAX;
use crate::core::link::Link;
use crate::core::nat;
use crate::core::outbox::{Outbox, Wanted};
use crate::core::targets::Targets;
use crate::core::wire::{IHave, Message, Near, WhoHas};
use crate::model::{
    Attempt, AttemptId, AttemptOutcome, Cause, CommandId, Done, EventKind, Failure, GuessReport, HardNat,
    LinkReport, Path, PeerId, PortOrder, PunchConsent, Reason, StageKind, StageOutcome, StageReport, Stamp,
    millis, plain_addr,
};

/// A look at where our NAT's ports have come to is good for so long.
const FRESH: Duration = Duration::from_secs(6);

/// The run under way, as it is told.
#[derive(Debug)]
struct Told {
    attempt: AttemptId,
    peer: PeerId,
    begun: Mono,
    started: Stamp,
    waiting: Vec<(CommandId, Mono)>,
}

/// What happened.
#[derive(Debug)]
pub(in crate::core) enum Input {
    /// The path of the link to this peer is another one, or it is gone.
    Path(PeerId),
    /// A NAT is another one: what is relayed may be guessable now, or is not any more.
    NatChanged,
    /// A message about a run came from this peer.
    Message(PeerId, Message),
    /// This peer says where it sees another.
    Witness(PeerId, IHave),
    /// What came of the sockets of a run.
    Sockets(GuessInput),
    /// A command to punch where only a guess can.
    Asked(CommandId, PeerId),
}

/// What must be known of the rest of the node.
pub(in crate::core) struct View<'a> {
    pub(in crate::core) targets: Targets<'a>,
    /// The peers whose punches we take.
    pub(in crate::core) consent: PunchConsent,
    pub(in crate::core) dialer: &'a Dialer,
    pub(in crate::core) attempts: &'a Attempts,
}

/// All of it.
#[derive(Debug)]
pub(in crate::core) struct Guesses {
    machine: Guessing,
    told: Option<Told>,
    /// When a guess last took ports of our NAT.
    moved: Option<Stamp>,
}

impl Guesses {
    pub(in crate::core) fn new(me: PeerId, mode: HardNat, seed: u64) -> Self {
        Self { machine: Guessing::new(me, mode, seed), told: None, moved: None }
    }

    /// Whether an answer to "who has?" is one that a run waits for.
    pub(in crate::core) fn awaits(&self, query: u32) -> bool {
        self.machine.open_query().is_some_and(|(open, _)| open == query)
    }

    /// Whether a connection to a peer that comes up now owes it to a run.
    pub(in crate::core) fn is_meeting(&self, peer: &PeerId) -> bool {
        self.machine.is_meeting(peer)
    }

    /// When a run with a peer is due.
    pub(in crate::core) fn due_with(&self, peer: &PeerId) -> Option<Mono> {
        self.machine.due_with(peer)
    }

    pub(in crate::core) fn next_timeout(&self) -> Option<Mono> {
        self.machine.next_timeout()
    }

    /// Whether a run with this peer is of any use.
    pub(in crate::core) fn could(&self, peer: &PeerId, view: &View<'_>) -> bool {
        self.machine.could(*peer, &self.ground(peer, view))
    }

    /// Whether runs begin by themselves from now on.
    pub(in crate::core) fn set_mode(&mut self, mode: HardNat, view: &View<'_>, out: &mut Outbox) {
        let mut told = Vec::new();
        self.machine.set_mode(mode, view.now(), &mut told);
        self.carry(told, view, out);
        self.handle(Input::NatChanged, view, out);
    }

    /// Takes what happened.
    pub(in crate::core) fn handle(&mut self, input: Input, view: &View<'_>, out: &mut Outbox) {
        let (now, mut wanted) = (view.now(), Vec::new());
        let told = &mut wanted;
        match input {
            Input::Path(peer) => self.on_path(peer, view, told),
            Input::NatChanged => {
                for (peer, link) in view.targets.peers.links.iter() {
                    if link.in_use().is_some_and(|info| info.path == Path::Relayed) {
                        self.on_path(*peer, view, told);
                    }
                }
                self.machine.sooner(now);
            }
            Input::Asked(id, peer) => self.ask(id, peer, view, out),
            Input::Message(peer, message) => self.on_message(peer, &message, view, told, out),
            Input::Witness(from, answer) => self.on_witness(from, &answer, view, told),
            Input::Sockets(GuessInput::Opened { run, open, trouble }) => {
                self.machine.on_sockets(run, open, trouble, now, told);
            }
            Input::Sockets(GuessInput::Met { run, from }) => self.machine.on_met(run, from, now, told),
            Input::Sockets(GuessInput::DialFailed { run, reason }) => {
                self.machine.on_dial_failed(run, &reason, now, told);
            }
        }
        self.carry(wanted, view, out);
    }

    fn on_path(&mut self, peer: PeerId, view: &View<'_>, told: &mut Vec<Out>) {
        match view.path(&peer) {
            Some(Path::Relayed) if self.ground(&peer, view).relayed => {
                self.machine.relayed(peer, view.attempts.is_by_hand(&peer), view.now());
            }
            Some(Path::Relayed) => {}
            path => self.machine.not_relayed(peer, path.is_some(), view.now(), told),
        }
    }

    /// What is known of both ends.
    fn ground(&self, peer: &PeerId, view: &View<'_>) -> Ground {
        let Targets { peers, nat } = view.targets;
        let measured = nat.view();
        let near = match measured.ports {
            Some(PortOrder::Steps { step, last }) => Some(Near { port: last, step }),
            _ => None,
        };
        // Our own sockets move the ports on.
        let fresh =
            |at: &Stamp| at.age_at(peers.now.stamp) <= FRESH && self.moved.is_none_or(|since| *at > since);
        let consents = match view.consent {
            PunchConsent::Any => true,
            PunchConsent::Known => peers.book.get(*peer).is_some(),
            PunchConsent::Never => false,
        };
        Ground {
            ours: nat.claim(),
            theirs: peers.claimed_nat(peer),
            at: nat.seen_at().into_iter().find(SocketAddr::is_ipv4),
            near,
            fresh: measured.measured.as_ref().is_some_and(fresh),
            relayed: view.path(peer) == Some(Path::Relayed)
                && view.targets.is_hopeless(peer)
                && !view.targets.nat_pair(peer).apart,
            consents: consents && !view.dialer.is_held_off(peer, view.now()),
        }
    }

    fn on_message(
        &mut self,
        peer: PeerId,
        message: &Message,
        view: &View<'_>,
        told: &mut Vec<Out>,
        out: &mut Outbox,
    ) {
        let (ground, now) = (self.ground(&peer, view), view.now());
        if ground.is_stale() {
            out.want(Wanted::Nat(nat::Input::Look));
        }
        match message {
            Message::GuessOffer(offer) => self.machine.on_offer(peer, offer, &ground, now, told),
            Message::GuessAnswer(answer) => self.machine.on_answer(peer, answer, &ground, now, told),
            Message::GuessOpened(opened) => self.machine.on_opened(peer, opened, now, told),
            Message::GuessOver(over) => self.machine.on_over(peer, over, now, told),
            _ => {}
        }
    }

    fn on_witness(&mut self, from: PeerId, answer: &IHave, view: &View<'_>, told: &mut Vec<Out>) {
        let open = self.machine.open_query();
        let Some((query, about)) = open.filter(|(query, _)| *query == answer.query) else { return };
        let peers = view.targets.peers;
        let sees = answer.observed.map(plain_addr).filter(|_| answer.peer == about);
        let info = peers.links.in_use(&from).filter(|i| i.path.is_straight());
        if let (Some(sees), Some(info)) = (sees, info) {
            let witness = Witness { peer: from, ip: info.remote.ip(), proven: peers.is_public(&from), sees };
            self.machine.on_witness(query, witness, &self.ground(&about, view), view.now(), told);
        }
    }

    /// Asks those who can be believed most where they see a peer.
    fn ask_witnesses(about: PeerId, query: u32, view: &View<'_>, out: &mut Outbox) {
        let peers = view.targets.peers;
        let rank = |(peer, link): (&PeerId, &Link)| {
            let status = link.status().filter(|s| link.is_up() && s.info.path.is_straight())?;
            let rtt = status.rtt_ms.unwrap_or(f64::MAX).to_bits();
            (*peer != about).then_some((!peers.is_public(peer), rtt, *peer))
        };
        let mut witnesses: Vec<_> = peers.links.iter().filter_map(rank).collect();
        witnesses.sort_unstable();
        for (.., to) in witnesses.into_iter().take(GUESS_WITNESSES_MAX) {
            out.send(to, Message::WhoHas(WhoHas { query, peer: about }));
        }
    }

    /// What is due by now.
    pub(in crate::core) fn timeout(&mut self, view: &View<'_>, out: &mut Outbox) {
        let (now, mut told) = (view.now(), Vec::new());
        self.machine.on_timeout(now, &mut told);
        while let Some(peer) = self.machine.due(now) {
            let ground = self.ground(&peer, view);
            if ground.is_stale() {
                out.want(Wanted::Nat(nat::Input::Look));
            }
            self.machine.start_due(peer, &ground, now, &mut told);
        }
        self.carry(told, view, out);
    }

    /// The node stops.
    pub(in crate::core) fn stop(&mut self, view: &View<'_>, out: &mut Outbox) {
        let mut told = Vec::new();
        self.machine.stop(view.now(), &mut told);
        self.carry(told, view, out);
    }

    fn carry(&mut self, told: Vec<Out>, view: &View<'_>, out: &mut Outbox) {
        for wanted in told {
            match wanted {
                Out::Say { peer, message } => out.send(peer, message),
                Out::Ask { about, query } => Self::ask_witnesses(about, query, view, out),
                Out::Begun { peer } => self.begun(peer, view, out),
                Out::Open { run, towards, count } => {
                    self.moved = Some(view.targets.peers.now.stamp);
                    let bytes = datagram(run);
                    out.push(Action::Guess(GuessAction::Open { run, towards, count, bytes }));
                }
                Out::Probe { run, to, ports } => {
                    self.moved = Some(view.targets.peers.now.stamp);
                    let to = ports.into_iter().map(|port| SocketAddr::new(to, port)).collect();
                    out.push(Action::Guess(GuessAction::Probe { to, bytes: datagram(run) }));
                }
                Out::Dial { run, to, within } => {
                    out.push(Action::Guess(GuessAction::Dial { run, to, within }));
                }
                Out::Close(run) => out.push(Action::Guess(GuessAction::Close(run))),
                Out::Ended(ended) => self.ended(ended, view, out),
                Out::Stopped(what) => out.stopped(what),
            }
        }
    }

    fn begun(&mut self, peer: PeerId, view: &View<'_>, out: &mut Outbox) {
        let now = view.targets.peers.now;
        let attempt = out.fresh_attempt();
        self.told = Some(Told { attempt, peer, begun: now.mono, started: now.stamp, waiting: Vec::new() });
        out.event(Some(peer), EventKind::AttemptStarted { attempt, cause: Cause::Upgrade }, now);
        out.event(Some(peer), EventKind::StageStarted { attempt, stage: StageKind::Guess, via: None }, now);
    }

    fn ended(&mut self, ended: Ended, view: &View<'_>, out: &mut Outbox) {
        let now = view.targets.peers.now;
        let Some(shown) = self.told.take_if(|shown| shown.peer == ended.peer) else { return };
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
        out.event(Some(shown.peer), told, now);
        let of_attempt = match &reason {
            None => AttemptOutcome::Connected,
            Some(Reason::NotNeeded | Reason::NotLinked | Reason::ShuttingDown) => AttemptOutcome::Abandoned,
            Some(_) => AttemptOutcome::Unreachable,
        };
        let told = EventKind::AttemptEnded { attempt, outcome: of_attempt, path, elapsed_ms: took };
        out.event(Some(shown.peer), told, now);
        let report = shown.report(stage, Some(of_attempt), path);
        for (command, since) in &shown.waiting {
            let link = LinkReport {
                peer_id: shown.peer,
                before: Some(Path::Relayed),
                path: view.targets.peers.links.path(&shown.peer),
                elapsed_ms: millis(now.mono.since(*since)),
                stages: report.stages.clone(),
                note: None,
            };
            let result = match &reason {
                None => Ok(Done::Staged(link)),
                Some(reason) => Err(Failure { reason: reason.clone(), report: Some(Box::new(link)) }),
            };
            out.answer(*command, result);
        }
        out.want(Wanted::Attempts(attempts::Input::Guessed(Box::new(report))));
        out.touch_row(shown.peer);
    }

    /// The run under way, as an attempt of one stage.
    pub(in crate::core) fn attempt(&self) -> Option<Arc<Attempt>> {
        let shown = self.told.as_ref()?;
        let (_, run) = self.machine.shown()?;
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

    /// Joins the run towards a peer, or begins it.
    fn ask(&mut self, id: CommandId, peer: PeerId, view: &View<'_>, out: &mut Outbox) {
        let (ground, mut told) = (self.ground(&peer, view), Vec::new());
        if let Err(reason) = self.machine.ask(peer, &ground, view.now(), &mut told) {
            return out.answer(id, Err(reason.into()));
        }
        self.carry(told, view, out);
        if let Some(told) = self.told.as_mut().filter(|told| told.peer == peer) {
            told.waiting.push((id, view.now()));
        }
    }
}

impl View<'_> {
    fn now(&self) -> Mono {
        self.targets.peers.now.mono
    }

    /// The path of the connection in use to a peer.
    fn path(&self, peer: &PeerId) -> Option<Path> {
        self.targets.peers.links.in_use(peer).map(|info| info.path)
    }
}

impl Told {
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
