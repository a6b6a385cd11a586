//! What the parts of a node leave behind: what is to be done outside, what is told,
//! what is counted, and the answers to commands. Every part writes here, in the order
//! in which things happened; nothing is read back but by the engine, which also carries
//! from part to part what one wants of another.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

use super::Now;
use super::attempts::{self, Decided};
use super::dialer::Start;
use super::guessing;
use super::io::Action;
use super::ladder::DialId;
use super::link::LinkOut;
use super::relaying;
use super::wire::Message;
use crate::model::{
    Attempt, AttemptId, Command, CommandId, Done, DropReason, Event, EventKind, Fact, Failure, Outcome,
    PeerId, Totals,
};

/// Attempts count from one: behind a dial with this number there is none.
const NO_ATTEMPT: AttemptId = AttemptId(0);

/// Whether a dial belongs to no attempt.
pub(super) fn is_free(dial: DialId) -> bool {
    dial.attempt == NO_ATTEMPT
}

/// What one part wants of others, or has to tell them.
#[derive(Debug)]
pub(super) enum Wanted {
    /// A link to this peer tells something.
    Link(PeerId, LinkOut),
    /// This peer is to be told something over its link.
    Send(PeerId, Message),
    /// This is for the attempts to hear.
    Attempts(attempts::Input),
    /// This is for guessed punches to hear.
    Guesses(guessing::Input),
    /// An attempt is to be started.
    Start(Start),
    /// An attempt has its outcome.
    Decided(Box<Decided>),
    /// This is for what is done about relays to hear.
    Relaying(relaying::Input),
    /// This link is to go on over the lane that stands by over this relay.
    CarryOver(PeerId, PeerId),
    /// The lane to which this peer invited us is being dialled there.
    LaneSent(PeerId, SocketAddr),
    /// How often links are pinged may be out of date.
    Pace,
    /// What was dialled to meet a punch of this peer is not needed any more.
    PunchOver(PeerId),
    /// This peer wants a link with us again, whatever its operator did before.
    AskedBy(PeerId),
    /// Nobody but we is at this address.
    OwnAddress(SocketAddr),
    /// What our record says may be out of date.
    Republish,
    /// What our NAT does is to be looked at as soon as may be.
    NatLook,
    /// A guessed punch ended so.
    Guessed(Box<Attempt>),
    /// Our NAT is of another type, or filters where it did not.
    NatChanged,
    /// A dial from a fresh socket reached this peer at this address.
    ProvenPublic(PeerId, SocketAddr),
}

/// One for all parts.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    actions: VecDeque<Action>,
    wanted: Vec<Wanted>,
    /// Events so far.
    events: u64,
    /// Dials so far that belong to no attempt.
    free_dials: u32,
    /// Attempts so far.
    attempts: u64,
    /// Why something was stopped, and how often.
    stopped: BTreeMap<DropReason, u64>,
    /// How often what was told.
    totals: Totals,
    /// Commands without an outcome yet.
    commands: BTreeMap<CommandId, Command>,
    /// Peers of whom something is shown that changed.
    changed: BTreeSet<PeerId>,
}

impl Outbox {
    /// Something is to be done outside.
    pub(super) fn push(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    /// The next thing to be done outside.
    pub(super) fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Something is wanted of another part.
    pub(super) fn want(&mut self, wanted: Wanted) {
        self.wanted.push(wanted);
    }

    /// A peer is to be told something over its link.
    pub(super) fn send(&mut self, peer: PeerId, message: Message) {
        self.want(Wanted::Send(peer, message));
    }

    /// What is to be carried from part to part.
    pub(super) fn take_wanted(&mut self) -> Vec<Wanted> {
        std::mem::take(&mut self.wanted)
    }

    /// Everybody is told of something, about this peer if about any.
    pub(super) fn event(&mut self, peer_id: Option<PeerId>, kind: EventKind, now: Now) {
        self.events += 1;
        self.totals.take(&kind);
        let event = Event { seq: self.events, at: now.stamp, peer_id, kind };
        self.push(Action::Event(event));
    }

    /// The number of one more attempt.
    pub(super) fn fresh_attempt(&mut self) -> AttemptId {
        self.attempts += 1;
        AttemptId(self.attempts)
    }

    /// Names a dial that belongs to no attempt.
    pub(super) fn free_dial(&mut self) -> DialId {
        self.free_dials = self.free_dials.wrapping_add(1);
        DialId { attempt: NO_ATTEMPT, n: self.free_dials }
    }

    /// How many dials so far belong to no attempt.
    #[cfg(test)]
    pub(super) fn free_dials(&self) -> u32 {
        self.free_dials
    }

    /// A registry is told of something. Whether there is one, nobody here knows.
    pub(super) fn report(&mut self, fact: Fact) {
        self.push(Action::Report(fact));
    }

    /// Something was stopped by the limit or rule of this name.
    pub(super) fn stopped(&mut self, what: DropReason) {
        self.stopped_often(what, 1);
    }

    /// The same, so many times.
    pub(super) fn stopped_often(&mut self, what: DropReason, count: u64) {
        if count > 0 {
            *self.stopped.entry(what).or_default() += count;
        }
    }

    /// What was stopped since the start.
    pub(super) fn counters(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        self.stopped.iter().map(|(what, count)| (*what, *count))
    }

    /// How often what happened since the start.
    pub(super) fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Somebody asks for something; [`Self::answer`] is to follow.
    pub(super) fn asked(&mut self, id: CommandId, command: Command) {
        self.commands.insert(id, command);
    }

    /// Whom a command is about that has no outcome yet.
    pub(super) fn asked_about(&self, id: CommandId) -> Option<PeerId> {
        self.commands.get(&id).and_then(Command::peer)
    }

    /// Gives a command its outcome, if it has none yet.
    pub(super) fn answer(&mut self, id: CommandId, result: Result<Done, Failure>) {
        if let Some(command) = self.commands.remove(&id) {
            self.push(Action::Outcome(Outcome { id, command, result }));
        }
    }

    /// A link is down: whoever asked for that has it.
    pub(super) fn answer_disconnected(&mut self, peer: PeerId) {
        let asked = |(id, c): (&CommandId, &Command)| (*c == Command::Disconnect { peer }).then_some(*id);
        let ids: Vec<CommandId> = self.commands.iter().filter_map(asked).collect();
        for id in ids {
            self.answer(id, Ok(Done::Disconnected { peer_id: peer }));
        }
    }

    /// What is shown of a peer changed.
    pub(super) fn touch_row(&mut self, peer: PeerId) {
        self.changed.insert(peer);
    }

    /// Of whom something else is shown than the last time this was asked.
    pub(super) fn take_changed(&mut self) -> BTreeSet<PeerId> {
        std::mem::take(&mut self.changed)
    }
}
