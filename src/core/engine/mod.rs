//! The whole node as one pure state machine.
//!
//! Inputs and the present moment go in, actions come out. Every piece of a node's state
//! belongs to one of the parts; here it is said which part hears of an input, and when
//! each has its turn. `route.rs` carries between parts what one wants of another.

mod route;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

pub use super::book::Unsaved;
pub use super::config::{EngineConfig, Settings};
pub use super::guessing::{GuessAction, GuessInput};
pub use super::io::{Action, ConnBytes, Input, ProbeEnd, ReservationBytes, TestAction};
pub use super::timers::{Timer, Timers};

use super::attempts::{self, Attempts};
use super::book::{CacheEntry, Entry, PeerBook};
use super::coordination::Coordinator;
use super::dialer::Dialer;
use super::gossip::Gossiper;
use super::guessing::{self, Guesses};
use super::links::{self, Links};
use super::nat::{self, Nat};
use super::outbox::{Outbox, is_free};
use super::pathtest::{Input as TestInput, Tests};
use super::relaying::{self, RelayState};
use super::reports::{self, Reports};
use super::serving;
use super::why::WhyQueries;
use super::{Mono, Now};
use crate::model::{EventKind, Reason, Snapshot};

/// Addresses of which we want to know whether a route leads there, where none leads to
/// the world.
const ASKED_MAX: usize = 32;

/// The node's state machine.
#[derive(Debug)]
pub struct Engine {
    config: EngineConfig,
    book: PeerBook,
    links: Links,
    attempts: Attempts,
    gossip: Gossiper,
    dialer: Dialer,
    coordination: Coordinator,
    guesses: Guesses,
    relaying: RelayState,
    nat: Nat,
    why: WhyQueries,
    tests: Tests,
    reports: Reports,
    outbox: Outbox,
}

impl Engine {
    /// A node that has bound its socket and read its cache. `set_aside`:
    /// damaged files, and what is wrong with them.
    pub fn new(
        mut config: EngineConfig,
        cached: Vec<CacheEntry>,
        set_aside: Vec<(String, String)>,
        now: Now,
    ) -> Self {
        let mut rng = StdRng::seed_from_u64(config.seed);
        let mut seed = || rng.random();
        let (me, loopback) = (config.me, config.loopback());
        let mut outbox = Outbox::default();
        Self {
            dialer: Dialer::new(config.settings.bootstrap.iter().copied(), loopback, seed(), now.mono)
                .with_anchors(config.anchors.clone())
                .passive(config.passive),
            gossip: Gossiper::new(&config, seed(), now),
            guesses: Guesses::new(me, config.settings.hard_nat, seed()),
            tests: Tests::new(config.settings.path_test, seed()),
            attempts: Attempts::new(me, config.settings.for_attempts(), seed()),
            nat: Nat::new(config.for_nat(), &mut seed, now.mono),
            links: Links::new(config.for_links(), loopback),
            coordination: Coordinator::new(config.settings.punch, now.mono),
            relaying: RelayState::new(config.settings.relay, config.local_addr.ip()),
            why: WhyQueries::default(),
            reports: Reports::new(config.history.take(), now),
            book: PeerBook::new(&mut config, cached, set_aside, seed(), now, &mut outbox),
            outbox,
            config,
        }
    }

    /// The first dials.
    pub fn begin(&mut self, now: Now) {
        let EngineConfig { local_addr, no_ipv6, .. } = self.config;
        let cached = u32::try_from(self.book.read().len()).unwrap_or(u32::MAX);
        let probe_ports = self.config.probe_ports.clone();
        let started = EventKind::NodeStarted { local_addr, no_ipv6, probe_ports, cached };
        self.outbox.event(None, started, now);
        self.book.begin(&mut self.outbox, now);
        if let Some(reason) = self.config.no_probe_ports.clone() {
            self.outbox.event(None, EventKind::NatNoResponder { reason }, now);
        }
        self.republish(now);
        self.with_dialer(now, |dialer, rest, out| dialer.begin(rest, now, out));
    }

    /// Takes an input.
    pub fn handle(&mut self, input: Input, now: Now) {
        match input {
            Input::ConnUp { peer, info } => {
                self.with_links(now, |links, view, out| links.on_conn_up(peer, info, view, out));
            }
            Input::ConnRemote { peer, conn, remote } => {
                self.with_links(now, |links, _, out| links.on_remote(peer, conn, remote, now, out));
            }
            Input::ConnClosed { peer, conn, reason } => {
                self.on_conn(peer, conn, links::Input::Closed(reason), now);
                self.with_tests(now, |tests, view, out| tests.handle(TestInput::Closed { conn }, view, out));
                self.links.leave_room(peer, now.mono, &mut self.outbox);
            }
            Input::ControlUp { peer, conn } => self.on_conn(peer, conn, links::Input::Control, now),
            Input::ControlLost { peer, conn, malformed } => {
                self.on_conn(peer, conn, links::Input::ControlLost { malformed }, now);
            }
            Input::Frame { peer, .. } if self.links.is_turned_away(&peer) => {}
            Input::Frame { peer, conn, frame, len } => {
                self.book.heard(&peer, now);
                self.on_conn(peer, conn, links::Input::Frame { frame, len }, now);
            }
            Input::DialSent { dial } if is_free(dial) => {
                self.coordination.on_dial_sent(dial, now.mono);
                self.tell_relaying(relaying::Input::DialSent(dial), now);
            }
            Input::DialSent { dial } => self.tell_attempts(attempts::Input::DialSent(dial), now),
            Input::Dialled { dial, peer } if is_free(dial) => {
                self.tell_relaying(relaying::Input::Dialled(dial, peer), now);
            }
            Input::Dialled { dial, peer } => self.tell_attempts(attempts::Input::Dialled(dial, peer), now),
            Input::DialFailed { dial, reason } if is_free(dial) => {
                self.coordination.on_dial_failed(dial, now.mono);
                self.tell_relaying(relaying::Input::DialFailed(dial, reason), now);
            }
            Input::DialFailed { dial, reason } => {
                self.tell_attempts(attempts::Input::DialFailed(dial, reason), now);
            }
            Input::Command { id, command } => self.on_command(id, command, now),
            Input::Reserved { relay, public_addr } => {
                self.tell_relaying(relaying::Input::Reserved(relay, public_addr), now);
            }
            Input::ReserveFailed { relay, reason } => {
                self.tell_relaying(relaying::Input::ReserveFailed(relay, reason), now);
            }
            Input::ReservationLost { relay, reason } => {
                self.tell_relaying(relaying::Input::Lost(relay, reason), now);
            }
            Input::LaneBytes { reservations, .. } => {
                self.tell_relaying(relaying::Input::Bytes(reservations), now);
            }
            Input::RelayAsked(ask) => self.tell_serving(serving::Input::Asked(ask), now),
            Input::RelayStarted { id, public_addr } => {
                self.tell_serving(serving::Input::Started { id, public_addr }, now);
            }
            Input::RelayEnded { id, why, traffic } => {
                self.tell_serving(serving::Input::Ended { id, why, traffic }, now);
            }
            Input::RelayTraffic(all) => self.tell_serving(serving::Input::Traffic(all), now),
            Input::Settings(settings) => self.on_settings(settings, now),
            Input::Saved { result } => {
                if !self.book.on_saved(result, now, &mut self.outbox) {
                    self.reports.not_saved();
                }
            }
            Input::ProbeSocket { socket, result } => self.tell_nat(nat::Input::Socket(socket, result), now),
            Input::ProbeDatagram { at, from, bytes } => {
                self.tell_nat(nat::Input::Datagram(at, from, bytes), now);
            }
            Input::ProbeDropped { what, count } => self.outbox.stopped_often(what, count),
            Input::Reached { peer, addr, reached } => {
                self.tell_nat(nat::Input::Reached(peer, addr, reached), now);
            }
            Input::Sounded { addr } => self.tell_attempts(attempts::Input::ShortPassed(addr), now),
            Input::Knocked { query, results } => {
                self.with_why(now, |why, view, out| why.on_knocked(query, &results, view, out));
            }
            Input::HostAddresses { own } => self.tell_nat(nat::Input::HostAddresses(own), now),
            Input::Beat { asleep } => self.why.beat(asleep, now),
            Input::Ways(ways) => self.on_ways(ways, now),
            Input::SendsRefused { why, count } => {
                self.outbox.stopped_often("datagrams that the system did not send", count);
                self.outbox.event(None, EventKind::SendsRefused { why, count }, now);
            }
            Input::Guess(input) => self.tell_guesses(guessing::Input::Sockets(input), now),
            Input::TestDatagram { conn, bytes, mtu } => {
                let input = TestInput::Datagram { conn, bytes, mtu };
                self.with_tests(now, |tests, view, out| tests.handle(input, view, out));
            }
            Input::TestRead { run, total } => {
                let input = TestInput::Read { run, total };
                self.with_tests(now, |tests, view, out| tests.handle(input, view, out));
            }
            Input::Stopped(what) => self.outbox.stopped(what),
            Input::TaskFaulted { task, detail } => {
                self.outbox.event(None, EventKind::TaskFaulted { task, detail }, now);
            }
        }
        self.after(now);
    }

    /// Time has passed.
    pub fn on_timeout(&mut self, now: Now) {
        self.with_links(now, |links, _, out| links.timeout(now, out));
        self.with_attempts(now, Attempts::timeout);
        self.gossip.timeout(&self.book, now);
        self.with_coordination(now, Coordinator::timeout);
        self.with_relaying(now, RelayState::timeout);
        self.with_why(now, WhyQueries::timeout);
        self.with_links(now, |links, _, out| links.echo_timeout(now.mono, out));
        if !self.dialer.is_leaving() {
            self.with_nat(now, Nat::timeout);
            self.with_attempts(now, Attempts::upgrade_timeout);
            self.with_guesses(now, Guesses::timeout);
            self.with_tests(now, Tests::timeout);
        }
        self.after(now);
    }

    /// What follows of anything.
    fn after(&mut self, now: Now) {
        self.with_nat(now, |nat, _, out| nat.advance(now, out));
        self.with_relaying(now, RelayState::follow_up);
        self.gossip.advance(&mut self.book, &self.links, now, &mut self.outbox);
        self.route(now);
        self.with_dialer(now, |dialer, rest, out| dialer.timeout(rest, now, out));
        self.book.timeout(now.mono, &mut self.outbox);
    }

    /// The next thing to be done outside.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.outbox.poll()
    }

    /// When [`Self::on_timeout`] wants to be called.
    pub fn next_timeout(&self, now: Now) -> Option<Mono> {
        self.timers(now).next().map(|(at, _)| at)
    }

    /// What fires when.
    pub fn timers(&self, now: Now) -> Timers {
        let unless_leaving = |at: Option<Mono>| at.filter(|_| !self.dialer.is_leaving());
        Timers([
            (Timer::Links, self.links.next_timeout()),
            (Timer::Dialer, self.dialer.next_timeout(&self.rest(now), now.mono)),
            (Timer::Attempts, self.attempts.next_timeout()),
            (Timer::Gossip, self.gossip.next_timeout()),
            (Timer::Coordination, self.coordination.next_timeout()),
            (Timer::Relaying, self.relaying.next_timeout(now)),
            (Timer::Serving, self.relaying.service().next_timeout()),
            (Timer::Nat, unless_leaving(self.nat.next_timeout(now))),
            (Timer::Upgrades, unless_leaving(self.attempts.upgrade_due())),
            (Timer::Guesses, unless_leaving(self.guesses.next_timeout())),
            (Timer::PathTests, unless_leaving(self.tests.next_timeout())),
            (Timer::Why, self.why.next_timeout()),
            (Timer::Echoes, self.links.echo_due()),
            (Timer::Saving, self.book.next_timeout()),
        ])
    }

    /// Calls everything off; connections are closed by whoever calls this.
    pub fn stop(&mut self, now: Now) {
        self.dialer.leave();
        for peer in self.links.peers() {
            self.with_book(now, |book, view, out| book.keep_rtt(peer, view, out));
        }
        self.nat.stop(&mut self.outbox);
        self.with_guesses(now, Guesses::stop);
        self.tell_serving(serving::Input::Stop, now);
        self.with_tests(now, Tests::stop);
        self.tell_attempts(attempts::Input::AbandonAll(Reason::ShuttingDown), now);
    }

    /// Everything that is shown.
    pub fn snapshot(&mut self, now: Now) -> Snapshot {
        self.with_attempts(now, |attempts, view, _| attempts.refresh_next_steps(view));
        let Self { config, book, links, attempts, gossip, dialer, guesses, relaying, nat, tests, .. } = self;
        let view = reports::View {
            config,
            book,
            links,
            attempts,
            gossip,
            dialer,
            guesses,
            relaying,
            nat,
            tests,
            now,
        };
        self.reports.snapshot(&view, &mut self.outbox)
    }

    /// What is to be written.
    pub fn take_unsaved(&mut self) -> Unsaved {
        let (own_version, anchors) = (self.gossip.own().version, self.links.anchors());
        self.book.take_unsaved(own_version, anchors, self.reports.take_unsaved())
    }

    /// The addresses that we would dial next: where no route leads to the world, one may
    /// lead to some of them.
    pub fn wanted(&self, now: Now) -> Vec<SocketAddr> {
        let book = self.book.read();
        let best = book.best_first(now.stamp).into_iter().take(ASKED_MAX);
        let known = best.filter_map(|peer| book.get(peer)).flat_map(Entry::addresses);
        self.config.settings.bootstrap.iter().copied().chain(known).take(ASKED_MAX).collect()
    }

    /// Whether the host keeps us from everybody whom we know.
    pub fn is_cut_off(&self) -> bool {
        self.dialer.is_cut_off()
    }
}
