//! What crosses parts crosses here: each part is lent out for change beside a view of the
//! others, and what it wants of them is carried to them before anything else happens.

use super::{Action, Engine, Settings};
use crate::core::attempts::{self, Attempts, Decided};
#[cfg(test)]
use crate::core::book::Book;
use crate::core::book::{self, Change, PeerBook};
use crate::core::coordination::{self, Coordinator};
use crate::core::dialer::{Dialer, Rest};
use crate::core::guessing::{self, Guesses};
use crate::core::host::Ways;
use crate::core::ladder::{Ladder, Plan};
use crate::core::link::{ConnId, ConnInfo, LinkOut};
use crate::core::links::{self, Links};
use crate::core::nat::{self, Nat};
use crate::core::outbox::{Outbox, Wanted};
use crate::core::pathtest::{Input as TestInput, Tests};
use crate::core::peers::Peers;
use crate::core::relaying::{self, RelayState};
use crate::core::targets::Targets;
use crate::core::why::{self, WhyQueries};
use crate::core::wire::Message;
use crate::core::{Now, gossip, serving};
use crate::model::{
    Cause, CloseCode, Command, CommandId, Done, EventKind, PeerId, Reason, Source, millis, plain_addr,
};

/// What the book and the links say of peers.
macro_rules! peers {
    ($engine:ident, $now:expr) => {
        Peers { me: $engine.config.me, book: $engine.book.read(), links: &$engine.links, now: $now }
    };
}

/// What is known for a dial at somebody.
macro_rules! targets {
    ($engine:ident, $now:expr) => {
        Targets { peers: peers!($engine, $now), nat: &$engine.nat }
    };
}

// ---- the parts, each with its view of the others ----------------------------

/// Lends a part out for change, beside a view of the others; what it wants of them is
/// carried to them before anything else.
macro_rules! lend {
    ($($with:ident($engine:ident, $now:ident) $part:ident: $Part:ty, $View:ty = $view:expr;)*) => {
        impl Engine {$(
            pub(super) fn $with<T>(
                &mut $engine,
                $now: Now,
                f: impl FnOnce(&mut $Part, $View, &mut Outbox) -> T,
            ) -> T {
                let view = $view;
                let done = f(&mut $engine.$part, view, &mut $engine.outbox);
                $engine.route($now);
                done
            }
        )*}
    };
}

lend! {
    with_book(self, now) book: PeerBook, book::View<'_> = book::View { links: &self.links, now };
    with_links(self, now) links: Links, links::View<'_> = links::View {
        config: &self.config,
        book: self.book.read(),
        nat: &self.nat,
        attempts: &self.attempts,
        dialer: &self.dialer,
        coordination: &self.coordination,
        guesses: &self.guesses,
        relaying: &self.relaying,
        now,
    };
    with_attempts(self, now) attempts: Attempts, attempts::View<'_> = attempts::View {
        targets: targets!(self, now),
        dialer: &self.dialer,
        guesses: &self.guesses,
        ways: &self.config.ways,
        consent: self.coordination.consent(),
    };
    with_dialer(self, now) dialer: Dialer, &Rest<'_> = &Rest {
        book: self.book.read(),
        links: &self.links,
        attempts: &self.attempts,
        ways: &self.config.ways,
        now,
    };
    with_coordination(self, now) coordination: Coordinator, coordination::View<'_> = coordination::View {
        targets: targets!(self, now),
        dialer: &self.dialer,
    };
    with_guesses(self, now) guesses: Guesses, &guessing::View<'_> = &guessing::View {
        targets: targets!(self, now),
        consent: self.coordination.consent(),
        dialer: &self.dialer,
        attempts: &self.attempts,
    };
    with_relaying(self, now) relaying: RelayState, relaying::View<'_> = relaying::View {
        targets: targets!(self, now),
        attempts: &self.attempts,
        dialer: &self.dialer,
        ways: &self.config.ways,
        loopback: self.config.loopback(),
    };
    with_nat(self, now) nat: Nat, &Peers<'_> = &peers!(self, now);
    with_why(self, now) why: WhyQueries, why::View<'_> = why::View {
        targets: targets!(self, now),
        attempts: &self.attempts,
        dialer: &self.dialer,
        ways: &self.config.ways,
        coordination: &self.coordination,
        guesses: &self.guesses,
        tests: &self.tests,
        network: &self.config.network,
    };
    with_tests(self, now) tests: Tests, &Peers<'_> = &peers!(self, now);
}

impl Engine {
    /// The rest of the node, as the dialer sees it.
    pub(super) fn rest(&self, now: Now) -> Rest<'_> {
        let Self { links, attempts, config, .. } = self;
        Rest { book: self.book.read(), links, attempts, ways: &config.ways, now }
    }

    pub(super) fn tell_attempts(&mut self, input: attempts::Input, now: Now) {
        self.with_attempts(now, |attempts, view, out| attempts.handle(input, view, out));
    }

    pub(super) fn tell_guesses(&mut self, input: guessing::Input, now: Now) {
        self.with_guesses(now, |guesses, view, out| guesses.handle(input, view, out));
    }

    pub(super) fn tell_relaying(&mut self, input: relaying::Input, now: Now) {
        self.with_relaying(now, |relaying, view, out| relaying.handle(input, view, out));
    }

    pub(super) fn tell_serving(&mut self, input: serving::Input, now: Now) {
        self.tell_relaying(relaying::Input::Served(input), now);
    }

    pub(super) fn tell_nat(&mut self, input: nat::Input, now: Now) {
        self.with_nat(now, |nat, peers, out| nat.handle(input, peers, out));
    }

    fn tell_gossip(&mut self, input: gossip::Input, now: Now) {
        self.gossip.handle(input, &mut self.book, now);
    }

    fn tell_tests(&mut self, input: TestInput<'_>, now: Now) {
        self.with_tests(now, |tests, peers, out| tests.handle(input, peers, out));
    }

    /// Says of ourselves what is true now.
    pub(super) fn republish(&mut self, now: Now) {
        self.gossip.publish(&targets!(self, now), &self.relaying);
    }
}

// ---- what one part wants of another -----------------------------------------

impl Engine {
    /// Carries on what parts want of each other: what follows of one comes before the
    /// next.
    pub(super) fn route(&mut self, now: Now) {
        for wanted in self.outbox.take_wanted() {
            match wanted {
                Wanted::Link(peer, told) => self.on_link(peer, told, now),
                Wanted::Send(peer, message) => {
                    self.links.send(&peer, &message, now, &mut self.outbox);
                }
                Wanted::Attempts(input) => self.tell_attempts(input, now),
                Wanted::Guesses(input) => self.tell_guesses(input, now),
                Wanted::Start(start) => {
                    self.with_attempts(now, |attempts, view, out| attempts.begin(start, view, out));
                }
                Wanted::Decided(decided) => self.on_decided(&decided, now),
                Wanted::Relaying(input) => self.tell_relaying(input, now),
                Wanted::CarryOver(peer, via) => self.links.carry_over(peer, via, now, &mut self.outbox),
                Wanted::LaneSent(peer, addr) => self.coordination.on_lane_sent(peer, addr, now.mono),
                Wanted::Pace => self.with_links(now, |links, view, _| links.pace(view)),
                Wanted::PunchOver(peer) => self.coordination.end_dials(&peer, &mut self.outbox),
                Wanted::AskedBy(peer) => self.dialer.asked_by(&peer),
                Wanted::OwnAddress(addr) => self.dialer.drop_own_address(&addr),
                Wanted::Learned(peer, cause) => self.dialer.on_learned(peer, cause, now.mono),
                Wanted::HoldOff(peer) => self.dialer.hold_off(peer, true, now.mono),
                Wanted::Nat(input) => self.tell_nat(input, now),
                Wanted::Republish => self.republish(now),
                Wanted::NatChanged => {
                    self.tell_relaying(relaying::Input::Nat(self.nat.view().nat_type), now);
                    self.tell_attempts(attempts::Input::NatChanged, now);
                }
                Wanted::HostMoved => {
                    self.dialer.reset_waits(now.mono);
                    self.tell_attempts(attempts::Input::HostMoved, now);
                }
                Wanted::ProvenPublic(peer, addr) => {
                    self.with_book(now, |book, view, out| book.proven_public(peer, addr, view, out));
                    self.tell_nat(nat::Input::ProvenPublic(peer), now);
                }
                Wanted::Changed { peer, change, ours } => self.on_change(peer, &change, ours, now),
                Wanted::LookWhoStayed => self.with_book(now, PeerBook::keep_linked),
                Wanted::Save => self.book.touch(now.mono),
            }
            self.route(now);
        }
    }

    /// The book changed.
    fn on_change(&mut self, peer: PeerId, change: &Change, ours: bool, now: Now) {
        if ours {
            self.gossip.spread(peer, change, now);
        }
        self.dialer.on_change(peer, change, self.links.is_connected(&peer), now.mono);
        if change.status && self.links.get(&peer).is_some() {
            self.tell_nat(nat::Input::Claimed(peer), now);
            self.tell_relaying(relaying::Input::News(peer), now);
            // It may have become a home of ours, or is none any more.
            self.republish(now);
        }
        if change.updated {
            self.tell_attempts(attempts::Input::News(peer), now);
        }
    }

    /// An attempt has its outcome: what it counts for, and who is told.
    fn on_decided(&mut self, decided: &Decided, now: Now) {
        let Decided { report, outcome, failure, tried, owed } = decided;
        // A link that stays where it is has not failed, and one that two attempts
        // were after is one link.
        if report.cause != Cause::Upgrade && *owed {
            if let Some(peer) = report.peer_id {
                if *tried || report.cause != Cause::Operator {
                    let reason = failure.clone();
                    self.with_book(now, |book, view, out| {
                        book.attempt_ended(peer, *outcome, reason, view, out);
                    });
                }
                self.dialer.on_attempt_ended(peer, *outcome, now.mono);
            }
            // Another holder of our identity and we take the link from each other.
            let yields = report.peer_id.is_some_and(|peer| self.dialer.has_yielded(&peer));
            if *tried && !yields {
                self.reports.attempt_ended(decided, &targets!(self, now), &mut self.outbox);
                self.route(now);
            }
        }
        self.with_attempts(now, |attempts, view, out| attempts.tell(decided, view, out));
    }
}

// ---- what a link tells the others -------------------------------------------

impl Engine {
    /// Something happened to a connection of a peer.
    pub(super) fn on_conn(&mut self, peer: PeerId, conn: ConnId, input: links::Input, now: Now) {
        self.with_links(now, |links, view, out| links.handle(peer, conn, input, view, out));
    }

    fn on_link(&mut self, peer: PeerId, told: LinkOut, now: Now) {
        match told {
            LinkOut::Up { gap, lost, .. } => {
                self.on_link_up(peer, now);
                self.tell_attempts(attempts::Input::Path(peer), now);
                self.tell_relaying(relaying::Input::Path { peer, via: None, gap, lost }, now);
            }
            LinkOut::Moved { from, to, via, gap } => {
                let over = self.links.in_use(&peer).and_then(|info| info.via);
                self.reports.link_moved(peer, (from, to, over), gap, now, &mut self.outbox);
                self.on_link_moved(peer, now);
                self.tell_attempts(attempts::Input::Path(peer), now);
                self.tell_relaying(relaying::Input::Path { peer, via, gap: Some(gap), lost: 0 }, now);
            }
            LinkOut::Suspect(missed) => {
                self.outbox.event(Some(peer), EventKind::LinkSuspect { missed }, now);
                if self.relaying.is_relay(&peer) {
                    self.outbox.event(Some(peer), EventKind::RelaySuspect { missed }, now);
                }
                self.tell_relaying(relaying::Input::Suspect(peer), now);
            }
            LinkOut::StandsBy => self.tell_relaying(relaying::Input::StandsBy(peer), now),
            LinkOut::StandbyLost => self.tell_relaying(relaying::Input::StandbyLost(peer), now),
            LinkOut::Usurped(old) => self.links.on_usurped(peer, &old, now, &mut self.outbox),
            LinkOut::Restored { gap } => {
                self.tell_relaying(relaying::Input::Restored(peer), now);
                if let Some(path) = self.links.path(&peer) {
                    let kind = EventKind::LinkRestored { path, gap_ms: millis(gap) };
                    self.outbox.event(Some(peer), kind, now);
                }
            }
            LinkOut::Down(reason) => self.on_link_down(peer, reason, now),
            LinkOut::Foreign => self.on_foreign(peer, now),
            LinkOut::Refused(reason) => self.tell_attempts(attempts::Input::Refused(peer, reason), now),
            LinkOut::Message(message) => self.on_message(peer, *message, now),
            // What is wanted of connections, the links have done.
            _ => {}
        }
    }

    fn on_link_up(&mut self, peer: PeerId, now: Now) {
        self.with_links(now, |links, view, _| links.pace(view));
        let Some(info) = self.links.status(&peer).map(|status| status.info) else { return };
        self.dialer.on_link_up(&peer, now, &mut self.outbox);
        let kind = EventKind::LinkUp { path: info.path, remote_addr: info.remote, outbound: info.outbound };
        self.outbox.event(Some(peer), kind, now);
        let cause = self.met(peer, &info, now);
        self.reports.link_up(&peer);
        self.with_book(now, |book, view, out| book.note_name(peer, view, out));
        self.tell_attempts(attempts::Input::Linked(peer), now);
        if let Some(seen) = self.links.seen_by(&peer) {
            self.tell_nat(seen, now);
        }
        if let Some(context) = targets!(self, now).link_context(&peer) {
            self.tell_gossip(gossip::Input::LinkUp(peer, context), now);
        }
        self.tell_nat(nat::Input::LinkUp(peer), now);
        if cause == Some(Cause::Feeler) {
            self.with_links(now, |links, _, out| links.end_feeler(peer, now, out));
        }
    }

    /// A handshake with a peer was completed. Gives the cause of the attempt at it, if one
    /// runs.
    fn met(&mut self, peer: PeerId, info: &ConnInfo, now: Now) -> Option<Cause> {
        let cause = self.attempts.towards(&peer).map(Ladder::cause);
        let source = if cause == Some(Cause::Bootstrap) { Source::Bootstrap } else { Source::Inbound };
        self.with_book(now, |book, _, out| book.met(peer, info, source, now, out));
        cause
    }

    /// A link runs over another connection now.
    fn on_link_moved(&mut self, peer: PeerId, now: Now) {
        if self.links.in_use(&peer).is_none() {
            return;
        }
        self.tell_nat(nat::Input::LinkMoved(peer), now);
        self.tell_nat(self.links.seen_by(&peer).unwrap_or(nat::Input::Unseen(peer)), now);
        if let Some(context) = targets!(self, now).link_context(&peer) {
            self.tell_gossip(gossip::Input::LinkMoved(peer, context), now);
        }
        self.tell_attempts(attempts::Input::Linked(peer), now);
    }

    fn on_foreign(&mut self, peer: PeerId, now: Now) {
        let Some(info) = self.links.status(&peer).map(|status| status.info) else { return };
        self.links.mute(&peer);
        self.outbox.event(Some(peer), EventKind::PeerForeign, now);
        self.met(peer, &info, now);
        self.tell_attempts(attempts::Input::Linked(peer), now);
        self.dialer.on_foreign(&peer, now.mono);
    }

    fn on_link_down(&mut self, peer: PeerId, reason: Reason, now: Now) {
        let code = if let Reason::Closed { close } = reason { close } else { None };
        if self.relaying.is_relay(&peer) {
            self.tell_relaying(relaying::Input::Lost(peer, reason.clone()), now);
        }
        self.why.link_ended(peer, reason.clone(), now.mono);
        self.outbox.event(Some(peer), EventKind::LinkDown { reason }, now);
        self.tell_tests(TestInput::Unlinked { peer }, now);
        self.reports.link_down(&peer);
        self.tell_attempts(attempts::Input::LinkGone(peer), now);
        self.with_book(now, |book, view, out| book.keep_rtt(peer, view, out));
        self.tell_gossip(gossip::Input::LinkDown(peer), now);
        self.tell_nat(nat::Input::LinkDown(peer), now);
        self.with_links(now, |links, view, _| links.pace(view));
        self.dialer.on_link_down(peer, self.links.count_up(), code, now.mono);
        if code == Some(CloseCode::Replaced) {
            self.links.on_replaced(peer, now, &mut self.outbox);
        }
        self.republish(now);
        self.outbox.answer_disconnected(peer);
    }

    fn on_message(&mut self, peer: PeerId, message: Message, now: Now) {
        match message {
            Message::Leave => {
                self.tell_gossip(gossip::Input::Message(peer, Message::Leave), now);
                self.with_links(now, |links, _, out| links.on_leave(peer, now, out));
            }
            Message::IHave(answer) if self.guesses.awaits(answer.query) => {
                self.tell_guesses(guessing::Input::Witness(peer, answer), now);
            }
            Message::IHave(answer) => self.tell_attempts(attempts::Input::IHave(peer, answer), now),
            Message::CoordinationAnswer(said) => {
                self.tell_attempts(attempts::Input::Answer(peer, said), now);
            }
            Message::WhoHas(_)
            | Message::PunchRequest(_)
            | Message::PunchNotice(_)
            | Message::NoticeAnswer(_)
            | Message::Invite(_)
            | Message::InviteNotice(_) => {
                self.with_coordination(now, |part, view, out| part.handle(peer, message, view, out));
            }
            Message::ProbeToken(_) | Message::DialBack(_) | Message::DialBackAnswer(_) => {
                self.tell_nat(nat::Input::Message(peer, message), now);
            }
            Message::Observed(seen) => {
                if self.nat.may_see_anew(peer, now.mono, &mut self.outbox) {
                    self.links.on_observed(peer, plain_addr(seen.addr), &mut self.outbox);
                }
            }
            Message::UsedTwice(told) => self.links.on_used_twice(peer, told, now, &mut self.outbox),
            Message::WhyAsk(_)
            | Message::PeerReply(_)
            | Message::WitnessAsk(_)
            | Message::WitnessReply(_) => {
                self.with_why(now, |why, view, out| why.handle(peer, message, view, out));
            }
            Message::GuessOffer(_)
            | Message::GuessAnswer(_)
            | Message::GuessOpened(_)
            | Message::GuessOver(_) => self.tell_guesses(guessing::Input::Message(peer, message), now),
            Message::TestOffer(_) | Message::TestAnswer(_) | Message::TestOver(_) => {
                self.with_tests(now, |tests, peers, out| tests.on_message(peer, &message, peers, out));
            }
            mut gossip => {
                // Ages travel, and one that was kept on the way has grown.
                gossip.grow_older(self.links.late(&peer, now.mono));
                self.tell_gossip(gossip::Input::Message(peer, gossip), now);
            }
        }
    }
}

// ---- what the operator and the host want ------------------------------------

impl Engine {
    /// A command, and its one outcome: now, or when the part that took it has one.
    pub(super) fn on_command(&mut self, id: CommandId, command: Command, now: Now) {
        self.outbox.asked(id, command.clone());
        if let Command::Connect { peer } | Command::Punch { peer } | Command::Relay { peer } = command {
            self.dialer.lift_hold_off(&peer);
        }
        let attempt = |engine: &mut Self, peer, plan| {
            engine.with_attempts(now, |attempts, view, out| attempts.command(id, peer, plan, view, out))
        };
        let done = match command {
            Command::Connect { peer } => attempt(self, peer, Plan::ALL),
            Command::Punch { peer } => attempt(self, peer, Plan::PUNCH),
            Command::Relay { peer } => attempt(self, peer, Plan::RELAY),
            Command::Disconnect { peer } => {
                self.with_links(now, |part, _, out| part.disconnect(peer, now, out))
            }
            Command::Sync { peer } => self.gossip.sync(id, peer, &self.book, now),
            Command::Failover { peer } => {
                self.with_relaying(now, |part, view, out| part.fail_over(id, peer, view, out)).map(|()| None)
            }
            Command::EndServed { peer } => {
                self.with_relaying(now, |part, view, out| part.end_served(peer, view, out))
            }
            Command::Why { peer } => self.with_why(now, |why, view, out| why.ask(id, peer, view, out)),
            Command::Test { peer, for_ms } => {
                self.with_tests(now, |tests, peers, out| tests.ask(id, peer, for_ms, peers, out))
            }
            Command::EndTest { peer } => {
                self.with_tests(now, |tests, peers, out| tests.call_off(peer, peers, out))
            }
            Command::NatProbe => Ok(self.nat.measure(id, now)),
            Command::Echo { peer, count, every_ms } => {
                self.with_links(now, |part, _, out| part.echo(id, peer, (count, every_ms), now.mono, out))
            }
            Command::LoseNextDelta => Ok(Some(self.gossip.lose_next_delta())),
            Command::Leave => {
                self.with_links(now, |links, _, out| links.say_goodbye(now, out));
                self.stop(now);
                self.outbox.push(Action::Stop);
                Ok(Some(Done::Left))
            }
        };
        if let Some(result) = done.transpose() {
            self.outbox.answer(id, result);
        }
    }

    /// Settings hold from now on. What runs already ends as it began.
    pub(super) fn on_settings(&mut self, settings: Settings, now: Now) {
        self.attempts.set_settings(settings.for_attempts());
        self.coordination.set_consent(settings.punch);
        if settings.relay != self.relaying.service().mode() {
            self.tell_serving(serving::Input::Mode(settings.relay), now);
        }
        self.with_guesses(now, |guesses, view, out| guesses.set_mode(settings.hard_nat, view, out));
        self.with_tests(now, |tests, peers, out| tests.set_consent(settings.path_test, peers, out));
        self.dialer.set_bootstrap(settings.bootstrap.iter().copied().map(plain_addr), now.mono);
        self.config.settings = settings;
    }

    /// Where the host lets us send is another than before.
    pub(super) fn on_ways(&mut self, ways: Ways, now: Now) {
        let before = std::mem::replace(&mut self.config.ways, ways);
        self.tell_attempts(attempts::Input::Ways, now);
        if self.config.ways.opens(&before) {
            self.dialer.reset_waits(now.mono);
            self.tell_attempts(attempts::Input::Sooner, now);
        }
    }
}

// ---- for tests --------------------------------------------------------------

#[cfg(test)]
impl Engine {
    /// What the book and the links say of peers.
    pub(super) fn peers(&self, now: Now) -> Peers<'_> {
        peers!(self, now)
    }

    pub(in crate::core) fn book(&self) -> &Book {
        self.book.read()
    }

    pub(in crate::core) fn book_mut(&mut self) -> &mut Book {
        self.book.write()
    }

    pub(in crate::core) fn links(&self) -> &Links {
        &self.links
    }

    /// Says something over a link, whatever there is to say.
    pub(in crate::core) fn send(&mut self, peer: &PeerId, message: &Message, now: Now) {
        self.links.send(peer, message, now, &mut self.outbox);
    }

    /// What a measurement would have brought.
    pub(in crate::core) fn set_nat_for_test(&mut self, view: crate::model::NatView, now: Now) {
        let changed = self.nat.set_for_test(view);
        self.tell_relaying(relaying::Input::Nat(self.nat.view().nat_type), now);
        self.republish(now);
        if changed {
            self.tell_attempts(attempts::Input::Sooner, now);
        }
        self.after(now);
    }
}
