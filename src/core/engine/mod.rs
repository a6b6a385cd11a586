//! The whole node as one pure state machine.
//!
//! Inputs and the present moment go in, actions come out. The engine owns
//! every piece of a node's state: the book of peers, the links, the attempts,
//! the gossip, the schedule of dials. Its parts are state machines of their own
//! ([`link`](super::link), [`ladder`],
//! [`gossip`](super::gossip), [`dialer`](super::dialer)); here they are wired.

mod commands;
mod gossip;
mod host;
mod link_events;
mod pathtest;
mod peers;
mod report;
mod settings;
#[cfg(test)]
mod sim;
#[cfg(test)]
mod tests;
mod view;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;

pub use super::guessing::{GuessAction, GuessInput};
pub use super::io::{Action, ConnBytes, Input, ProbeEnd, ReservationBytes, TestAction};
pub use settings::Settings;

use self::pathtest::TestsShown;
use self::view::ViewCache;
use super::attempts::{self, Attempts, Decided};
use super::book::{Book, CacheEntry, NameUse};
use super::coordination::{self, Coordinator};
use super::dialer::{Dialer, Start};
use super::echo::Echoes;
use super::gossip::Gossip;
use super::guessing::{self, Guesses};
use super::host::Ways;
use super::kpi::{History, Kpi};
use super::ladder;
use super::link::{Link, LinkConfig, NetworkSecret};
use super::links::{self, Links};
use super::nat::{self, Nat};
use super::outbox::{Outbox, Wanted, is_free};
use super::pathtest::{self as path_test, PathTests};
use super::peers::Peers;
use super::proof::RecordSeed;
use super::pulse::Pulse;
use super::relaying::{self, RelayState};
use super::saving::Saving;
use super::serving::{self as relay_service, RelayService};
use super::targets::Targets;
pub use super::timers::{Timer, Timers};
use super::twice::Twice;
use super::upgrades::Upgrades;
use super::why::{self, WhyQueries};
use super::{Mono, Now};
use crate::model::{
    Cause, EventKind, HardNat, NoProbePorts, PeerId, PunchConsent, Reason, RelayMode, TestConsent, millis,
};

/// What an engine is told before it begins.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Who we are.
    pub me: PeerId,
    /// The name we give ourselves.
    pub name: String,
    /// The network's name.
    pub network: String,
    /// Our program version.
    pub agent: String,
    /// The fleet's secret, if it is a closed one.
    pub secret: Option<NetworkSecret>,
    /// Where we listen.
    pub local_addr: SocketAddr,
    /// From which addresses this host would send to others, one per family that
    /// leads somewhere; empty unless we listen on a wildcard.
    pub own: Vec<IpAddr>,
    /// Where the host lets us send.
    pub ways: Ways,
    /// Whether we would listen by IPv6 too, and this host has none.
    pub no_ipv6: bool,
    /// Whom to dial when nobody is known.
    pub bootstrap: Vec<SocketAddr>,
    /// Dial nobody but those, unless somebody asks.
    pub passive: bool,
    /// How long a direct dial is waited for.
    pub direct_window: Duration,
    /// How long after a punch began the relay carries the link.
    pub relay_after: Duration,
    /// Whose punches we take.
    pub punch: PunchConsent,
    /// Whom we serve as a relay.
    pub relay: RelayMode,
    /// Whether ports are guessed.
    pub hard_nat: HardNat,
    /// Whose tests of a path we answer.
    pub path_test: TestConsent,
    /// Where we answer the NAT probes of others: two ports, or none.
    pub probe_ports: Vec<u16>,
    /// Why there are none, if there are none.
    pub no_probe_ports: Option<NoProbePorts>,
    /// The version of our record when it was last saved.
    pub own_version: u64,
    /// What the key is made from that signs our record; without one it is as that
    /// of an earlier version.
    pub record_seed: Option<RecordSeed>,
    /// Whom to dial first.
    pub anchors: Vec<PeerId>,
    /// Who was linked here under which name before.
    pub names: Vec<NameUse>,
    /// The attempts that were counted before.
    pub history: Option<History>,
    /// Seeds everything random.
    pub seed: u64,
}

impl EngineConfig {
    /// Whether we listen on loopback: then the limits that protect third
    /// parties do not count there.
    pub fn loopback(&self) -> bool {
        self.local_addr.ip().is_loopback()
    }
}

/// What is to be written to disk.
#[derive(Debug)]
pub struct Unsaved {
    /// The version of our own record.
    pub own_version: u64,
    /// Whom to dial first after a restart.
    pub anchors: Vec<PeerId>,
    /// Who was linked here under which name.
    pub names: Vec<NameUse>,
    /// Every peer.
    pub all: Vec<CacheEntry>,
    /// Those that changed since the last time; `None` for one that is gone.
    pub changed: Vec<(PeerId, Option<CacheEntry>)>,
    /// The attempts that count, if others do than the last time.
    pub history: Option<History>,
}

/// The node's state machine.
#[derive(Debug)]
pub struct Engine {
    config: EngineConfig,
    book: Book,
    gossip: Gossip,
    dialer: Dialer,
    links: Links,
    attempts: Attempts,
    kpi: Kpi,
    nat: Nat,
    coordination: Coordinator,
    relaying: RelayState,
    serving: RelayService,
    upgrades: Upgrades,
    guesses: Guesses,
    why: WhyQueries,
    pulse: Pulse,
    path_tests: PathTests,
    tests_shown: TestsShown,
    twice: Twice,
    echoes: Echoes,
    saving: Saving,
    view: ViewCache,
    outbox: Outbox,
    leaving: bool,
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
        let link_config =
            LinkConfig { me: config.me, network: config.network.clone(), secret: config.secret.clone() };
        let links = Links::new(link_config, config.loopback());
        let mut book = Book::new(config.me);
        book.load_names(std::mem::take(&mut config.names), now);
        book.set_anchors(config.anchors.iter().copied());
        book.load(cached, now);
        let dialer =
            Dialer::new(config.bootstrap.iter().copied(), config.loopback(), seed(&mut rng), now.mono)
                .with_anchors(config.anchors.clone())
                .passive(config.passive);
        let gossip = Self::new_gossip(&config, seed(&mut rng), now);
        let coordination = Coordinator::new(config.punch, now.mono);
        let serving = RelayService::new(config.relay, config.local_addr.ip());
        let guesses = Guesses::new(config.me, config.hard_nat, seed(&mut rng));
        let path_tests = PathTests::new(config.path_test, seed(&mut rng));
        let own = std::mem::take(&mut config.own);
        let twice = Twice::new(config.me);
        let settings = ladder::Settings { window: config.direct_window, relay_after: config.relay_after };
        let attempts = Attempts::new(config.me, settings, seed(&mut rng));
        let setup = nat::Setup { local: config.local_addr, own, ports: config.probe_ports.len() };
        let nat = Nat::new(setup, || seed(&mut rng), now.mono);
        let kpi = Kpi::new(config.history.take().unwrap_or_else(|| History::new(now.stamp)));
        let mut outbox = Outbox::default();
        book.iter().for_each(|(peer, _)| outbox.touch_row(peer));
        Self {
            config,
            book,
            gossip,
            dialer,
            links,
            attempts,
            kpi,
            nat,
            coordination,
            relaying: RelayState::default(),
            serving,
            upgrades: Upgrades::default(),
            guesses,
            why: WhyQueries::default(),
            pulse: Pulse::default(),
            path_tests,
            tests_shown: TestsShown::default(),
            twice,
            echoes: Echoes::default(),
            saving: Saving::new(set_aside, seed(&mut rng)),
            view: ViewCache::new(now.stamp),
            outbox,
            leaving: false,
        }
    }

    /// The first dials.
    pub fn begin(&mut self, now: Now) {
        let cached = u32::try_from(self.book.len()).unwrap_or(u32::MAX);
        let (local_addr, probe_ports) = (self.config.local_addr, self.config.probe_ports.clone());
        self.outbox.event(
            None,
            EventKind::NodeStarted { local_addr, no_ipv6: self.config.no_ipv6, probe_ports, cached },
            now,
        );
        for (file, detail) in self.saving.set_aside().to_vec() {
            self.outbox.event(None, EventKind::CacheSetAside { file, detail }, now);
        }
        if let Some(reason) = self.config.no_probe_ports.clone() {
            self.outbox.event(None, EventKind::NatNoResponder { reason }, now);
        }
        self.republish(now);
        let starts = self.with_dialer(now, |dialer, view| dialer.begin(view, now));
        for start in starts {
            self.start_attempt(start, now);
        }
    }

    /// Takes an input.
    pub fn handle(&mut self, input: Input, now: Now) {
        match input {
            Input::ConnUp { peer, info } => self.on_conn_up(peer, info, now),
            Input::ConnRemote { peer, conn, remote } => self.on_conn_remote(peer, conn, remote, now),
            Input::ConnClosed { peer, conn, reason } => {
                self.on_conn(peer, conn, links::Input::Closed(reason), now);
            }
            Input::ControlUp { peer, conn } => self.on_conn(peer, conn, links::Input::Control, now),
            Input::ControlLost { peer, conn, malformed } => {
                self.on_conn(peer, conn, links::Input::ControlLost { malformed }, now);
            }
            Input::Frame { peer, conn, frame, len } => {
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
            Input::RelayAsked(ask) => self.tell_serving(relay_service::Input::Asked(ask), now),
            Input::RelayStarted { id, public_addr } => {
                self.tell_serving(relay_service::Input::Started { id, public_addr }, now);
            }
            Input::RelayEnded { id, why, traffic } => {
                self.tell_serving(relay_service::Input::Ended { id, why, traffic }, now);
            }
            Input::RelayTraffic(all) => self.tell_serving(relay_service::Input::Traffic(all), now),
            Input::Settings(settings) => self.on_settings(settings, now),
            Input::Saved { result } => self.on_saved(result, now),
            Input::ProbeSocket { socket, result } => self.tell_nat(nat::Input::Socket(socket, result), now),
            Input::ProbeDatagram { at, from, bytes } => {
                self.tell_nat(nat::Input::Datagram(at, from, bytes), now);
            }
            Input::ProbeDropped { what, count } => self.outbox.stopped_often(what, count),
            Input::Reached { peer, addr, reached } => {
                self.tell_nat(nat::Input::Reached(peer, addr, reached), now);
            }
            Input::Sounded { addr } => self.attempts.note_short_passed(addr, now),
            Input::Knocked { query, results } => {
                self.with_why(now, |why, view, out| why.on_knocked(query, &results, view, out));
            }
            Input::HostAddresses { own } => self.on_host_addresses(own, now),
            Input::Beat { asleep } => self.pulse.beat(asleep, now),
            Input::Ways(ways) => self.on_ways(ways, now),
            Input::SendsRefused { why, count } => self.on_sends_refused(why, count, now),
            Input::Guess(input) => self.tell_guesses(guessing::Input::Sockets(input), now),
            Input::TestDatagram { conn, bytes, mtu } => {
                self.on_test_input(path_test::Input::Datagram { conn, bytes, mtu }, now);
            }
            Input::TestRead { run, total } => self.on_test_input(path_test::Input::Read { run, total }, now),
            Input::Stopped(what) => self.outbox.stopped(what),
            Input::TaskFaulted { task, detail } => {
                self.outbox.event(None, EventKind::TaskFaulted { task, detail }, now);
            }
        }
        self.after(now);
    }

    /// Time has passed.
    pub fn on_timeout(&mut self, now: Now) {
        self.links_timeout(now);
        self.with_attempts(now, Attempts::timeout);
        self.gossip_timeout(now);
        self.with_coordination(now, Coordinator::timeout);
        self.with_relaying(now, RelayState::timeout);
        self.with_why(now, WhyQueries::timeout);
        self.echoes.timeout(now.mono, &mut self.outbox);
        self.route(now);
        if !self.leaving {
            let Self { nat, outbox, config, book, links, .. } = self;
            nat.timeout(&Peers { me: config.me, book, links, now }, outbox);
            self.route(now);
            let Self { upgrades, attempts, outbox, config, book, links, nat, .. } = self;
            let targets = Targets { peers: Peers { me: config.me, book, links, now }, nat };
            upgrades.timeout(&targets, attempts, outbox);
            self.route(now);
            self.with_guesses(now, Guesses::timeout);
            self.tests_timeout(now);
        }
        self.after(now);
    }

    /// What follows of anything.
    fn after(&mut self, now: Now) {
        self.nat.advance(now, &mut self.outbox);
        self.route(now);
        self.with_relaying(now, RelayState::advance);
        self.with_serving(now, RelayService::timeout);
        self.carry_gossip(now);
        if !self.leaving {
            let (starts, alone) = self.with_dialer(now, |dialer, view| dialer.on_timeout(view, now));
            if let Some(wait) = alone {
                let retry_ms = millis(wait);
                self.outbox.event(None, EventKind::NodeIsolated { retry_ms }, now);
            }
            for start in starts {
                self.start_attempt(start, now);
            }
        }
        self.saving.timeout(now.mono, &mut self.outbox);
    }

    /// Carries on what parts want of each other: what follows of one comes before the
    /// next.
    fn route(&mut self, now: Now) {
        for wanted in self.outbox.take_wanted() {
            match wanted {
                Wanted::Link(peer, told) => self.on_link(peer, told, now),
                Wanted::Send(peer, message) => {
                    self.links.send(&peer, &message, now, &mut self.outbox);
                }
                Wanted::Attempts(input) => self.tell_attempts(input, now),
                Wanted::Guesses(input) => self.tell_guesses(input, now),
                Wanted::Start(start) => self.start_attempt(start, now),
                Wanted::Decided(decided) => self.on_decided(&decided, now),
                Wanted::Relaying(input) => self.tell_relaying(input, now),
                Wanted::CarryOver(peer, via) => self.links.carry_over(peer, via, now, &mut self.outbox),
                Wanted::LaneSent(peer, addr) => self.coordination.on_lane_sent(peer, addr, now.mono),
                Wanted::Pace => self.pace_links(now),
                Wanted::PunchOver(peer) => self.coordination.end_dials(&peer, &mut self.outbox),
                Wanted::AskedBy(peer) => self.dialer.asked_by(&peer),
                Wanted::OwnAddress(addr) => self.dialer.drop_own_address(&addr),
                Wanted::NatLook => self.nat.look(now),
                Wanted::Guessed(report) => self.attempts.guessed(*report),
                Wanted::Republish => self.republish(now),
                Wanted::NatChanged => self.on_nat_changed(now),
                Wanted::ProvenPublic(peer, addr) => self.on_proven_public(peer, addr, now),
            }
            self.route(now);
        }
    }

    /// Something happened that concerns NATs.
    fn tell_nat(&mut self, input: nat::Input, now: Now) {
        let Self { nat, outbox, config, book, links, .. } = self;
        nat.handle(input, &Peers { me: config.me, book, links, now }, outbox);
        self.route(now);
    }

    /// Something happened that concerns attempts.
    fn tell_attempts(&mut self, input: attempts::Input, now: Now) {
        self.with_attempts(now, |attempts, view, out| attempts.handle(input, view, out));
    }

    fn start_attempt(&mut self, start: Start, now: Now) {
        self.with_attempts(now, |attempts, view, out| {
            let id = out.fresh_attempt();
            attempts.start(id, start, view, out);
        });
    }

    fn with_attempts(&mut self, now: Now, f: impl FnOnce(&mut Attempts, attempts::View<'_>, &mut Outbox)) {
        let Self { attempts, outbox, config, book, links, nat, dialer, guesses, upgrades, .. } = self;
        let targets = Targets { peers: Peers { me: config.me, book, links, now }, nat };
        f(attempts, attempts::View { targets, dialer, guesses, upgrades }, outbox);
        self.route(now);
    }

    /// An attempt has its outcome: what it counts for, and who is told.
    fn on_decided(&mut self, decided: &Decided, now: Now) {
        let Decided { report, outcome, failure, tried, owed } = decided;
        let peer = report.peer_id;
        // A link that stays where it is has not failed, and one that two attempts
        // were after is one link.
        if report.cause != Cause::Upgrade && *owed {
            if let Some(peer) = peer {
                if *tried || report.cause != Cause::Operator {
                    self.record_attempt(peer, *outcome, failure.clone(), now);
                }
                self.dialer.on_attempt_ended(peer, *outcome, now.mono);
            }
            // Whoever shares our identity and we take the link from each other.
            let yields = peer.is_some_and(|peer| self.dialer.has_yielded(&peer));
            if *tried && !yields {
                let counted = self.kpi.record(report, now);
                if counted.is_some() {
                    self.saving.touch(now.mono);
                }
                self.report_attempt(report, failure.as_ref(), counted.is_some_and(|c| c.again), now);
            }
        }
        self.with_attempts(now, |attempts, view, out| attempts.tell(decided, view, out));
    }

    fn with_upgrades(&mut self, now: Now, f: impl FnOnce(&mut Upgrades, &Peers<'_>, &mut Outbox)) {
        let Self { upgrades, outbox, config, book, links, .. } = self;
        f(upgrades, &Peers { me: config.me, book, links, now }, outbox);
        self.route(now);
    }

    fn upgrades_sooner(&mut self, now: Now) {
        self.upgrades.all_sooner(now.mono, &mut self.outbox);
        self.route(now);
    }

    /// Something happened that concerns guessed punches.
    fn tell_guesses(&mut self, input: guessing::Input, now: Now) {
        self.with_guesses(now, |guesses, view, out| guesses.handle(input, view, out));
    }

    fn with_guesses<T>(
        &mut self,
        now: Now,
        f: impl FnOnce(&mut Guesses, &guessing::View<'_>, &mut Outbox) -> T,
    ) -> T {
        let Self { guesses, outbox, config, book, links, nat, coordination, dialer, attempts, .. } = self;
        let targets = Targets { peers: Peers { me: config.me, book, links, now }, nat };
        let by_hand = |peer: &PeerId| attempts.is_by_hand(peer);
        let consent = coordination.consent();
        let done = f(guesses, &guessing::View { targets, consent, dialer, by_hand: &by_hand }, outbox);
        self.route(now);
        done
    }

    fn with_coordination(
        &mut self,
        now: Now,
        f: impl FnOnce(&mut Coordinator, coordination::View<'_>, &mut Outbox),
    ) {
        let Self { coordination, outbox, config, book, links, nat, dialer, .. } = self;
        let targets = Targets { peers: Peers { me: config.me, book, links, now }, nat };
        f(coordination, coordination::View { targets, dialer }, outbox);
        self.route(now);
    }

    /// Something happened that concerns our relays.
    fn tell_relaying(&mut self, input: relaying::Input, now: Now) {
        self.with_relaying(now, |relaying, view, out| relaying.handle(input, view, out));
    }

    fn with_relaying<T>(
        &mut self,
        now: Now,
        f: impl FnOnce(&mut RelayState, relaying::View<'_>, &mut Outbox) -> T,
    ) -> T {
        let Self { relaying, outbox, config, book, links, nat, attempts, dialer, leaving, .. } = self;
        let targets = Targets { peers: Peers { me: config.me, book, links, now }, nat };
        let (ways, loopback, leaving) = (&config.ways, config.loopback(), *leaving);
        let view = relaying::View { targets, attempts, dialer, ways, loopback, leaving };
        let done = f(relaying, view, outbox);
        self.route(now);
        done
    }

    /// Something happened that concerns those whom we serve as a relay.
    fn tell_serving(&mut self, input: relay_service::Input, now: Now) {
        self.with_serving(now, |serving, targets, out| serving.handle(input, targets, out));
    }

    fn with_serving<T>(
        &mut self,
        now: Now,
        f: impl FnOnce(&mut RelayService, &Targets<'_>, &mut Outbox) -> T,
    ) -> T {
        let Self { serving, outbox, config, book, links, nat, .. } = self;
        let targets = Targets { peers: Peers { me: config.me, book, links, now }, nat };
        let done = f(serving, &targets, outbox);
        self.route(now);
        done
    }

    fn with_why<T>(
        &mut self,
        now: Now,
        f: impl FnOnce(&mut WhyQueries, why::View<'_>, &mut Outbox) -> T,
    ) -> T {
        let Self {
            why,
            outbox,
            config,
            book,
            links,
            nat,
            attempts,
            dialer,
            twice,
            coordination,
            guesses,
            tests_shown,
            pulse,
            ..
        } = self;
        let tested = |peer: &PeerId| tests_shown.latest(peer);
        let targets = Targets { peers: Peers { me: config.me, book, links, now }, nat };
        let by_hand = |peer: &PeerId| attempts.is_by_hand(peer);
        let consent = coordination.consent();
        let guess = guessing::View { targets, consent, dialer, by_hand: &by_hand };
        let guessable = |peer: &PeerId| guesses.could(peer, &guess);
        let network = &config.network;
        let view = why::View {
            targets,
            attempts,
            dialer,
            ways: &config.ways,
            twice,
            coordination,
            network,
            guessable: &guessable,
            tested: &tested,
            pulse,
        };
        let done = f(why, view, outbox);
        self.route(now);
        done
    }

    /// Whether a guessed punch with this peer is of any use.
    fn is_guessable(&self, peer: &PeerId, now: Now) -> bool {
        let by_hand = |peer: &PeerId| self.attempts.is_by_hand(peer);
        let (targets, consent) = (self.targets(now), self.coordination.consent());
        let view = guessing::View { targets, consent, dialer: &self.dialer, by_hand: &by_hand };
        self.guesses.could(peer, &view)
    }

    fn on_nat_changed(&mut self, now: Now) {
        self.tell_relaying(relaying::Input::Nat(self.nat.view().nat_type), now);
        self.upgrades_sooner(now);
        self.tell_attempts(attempts::Input::NatChanged, now);
    }

    /// A peer's claim to be public was borne out.
    fn on_proven_public(&mut self, peer: PeerId, addr: SocketAddr, now: Now) {
        let known = self.peers(now).is_public(&peer);
        let change = self.book.verified_public(peer, now);
        self.on_change(peer, &change, now);
        if !known {
            self.outbox.event(Some(peer), EventKind::PeerVerifiedPublic { addr }, now);
            self.republish(now);
        }
        let Self { nat, config, book, links, .. } = self;
        nat.vantage(peer, &Peers { me: config.me, book, links, now });
    }

    /// Says something over a link, whatever there is to say.
    #[cfg(test)]
    fn send(&mut self, peer: &PeerId, message: &super::wire::Message, now: Now) {
        self.links.send(peer, message, now, &mut self.outbox);
    }

    /// What a measurement would have brought.
    #[cfg(test)]
    fn set_nat_for_test(&mut self, view: crate::model::NatView, now: Now) {
        let changed = self.nat.set_for_test(view);
        self.tell_relaying(relaying::Input::Nat(self.nat.view().nat_type), now);
        self.republish(now);
        if changed {
            self.upgrades_sooner(now);
        }
        self.after(now);
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
        let dialer = self.dialer.next_timeout(&self.dialer_view(now), now.mono);
        let unless_leaving = |at: Option<Mono>| at.filter(|_| !self.leaving);
        Timers([
            (Timer::Links, self.links.next_timeout()),
            (Timer::Dialer, dialer),
            (Timer::Attempts, self.attempts.next_timeout()),
            (Timer::Gossip, self.gossip.next_timeout()),
            (Timer::Coordination, self.coordination.next_timeout()),
            (Timer::Relaying, self.relaying.next_timeout(now)),
            (Timer::Serving, self.serving.next_timeout()),
            (Timer::Nat, unless_leaving(self.nat.next_timeout(now))),
            (Timer::Upgrades, unless_leaving(self.upgrades.next_timeout())),
            (Timer::Guesses, unless_leaving(self.guesses.next_timeout())),
            (Timer::PathTests, unless_leaving(self.path_tests.next_timeout())),
            (Timer::Why, self.why.next_timeout()),
            (Timer::Echoes, self.echoes.next_timeout()),
            (Timer::Saving, self.saving.next_timeout()),
        ])
    }

    /// Calls everything off; connections are closed by whoever calls this.
    pub fn stop(&mut self, now: Now) {
        self.leaving = true;
        for peer in self.links.peers() {
            self.keep_rtt(peer, now);
        }
        self.nat.stop(&mut self.outbox);
        self.with_guesses(now, Guesses::stop);
        self.tell_serving(relay_service::Input::Stop, now);
        self.stop_tests(now);
        self.tell_attempts(attempts::Input::AbandonAll(Reason::ShuttingDown), now);
    }

    fn on_saved(&mut self, result: Result<(), String>, now: Now) {
        if !self.saving.on_saved(result, now, &mut self.outbox) {
            self.kpi.not_saved();
        }
    }

    /// What is to be written.
    pub fn take_unsaved(&mut self) -> Unsaved {
        let all: Vec<CacheEntry> = self.book.cache_entries().collect();
        let changed = self.saving.take_changed();
        let entry = |peer: &PeerId| {
            all.binary_search_by_key(peer, |e| e.peer).ok().and_then(|at| all.get(at)).cloned()
        };
        let changed = changed.into_iter().map(|peer| (peer, entry(&peer))).collect();
        let (own_version, anchors) = (self.own_version(), self.anchors());
        if !anchors.is_empty() {
            self.book.set_anchors(anchors.iter().copied());
        }
        let names = self.book.names().cloned().collect();
        Unsaved { own_version, anchors, names, all, changed, history: self.kpi.take_unsaved() }
    }
}

fn seed(rng: &mut StdRng) -> u64 {
    use rand::RngExt;
    rng.random()
}
