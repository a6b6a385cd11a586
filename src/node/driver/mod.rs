//! The node's one task: feeds the engine and carries its actions out.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ant_quic::BootstrapCache;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::core::engine::{Action, Engine, GuessAction, Input, Settings};
use crate::core::host::Ways;
use crate::core::ladder::DialId;
use crate::model::{CloseCode, Event, Outcome, Reason, Snapshot};
use crate::node::cache::CacheFiles;
use crate::node::clock::Clock;
use crate::node::connections::{Connections, Report, Reports};
use crate::node::feed::Request;
use crate::node::guessing::Guesses;
use crate::node::knock;
use crate::node::lanes::Lane;
use crate::node::log::NodeLog;
use crate::node::pathtest::Tests;
use crate::node::probe::{self, Probes};
use crate::node::relaying::ReservationTable;
use crate::node::reporting::Reporter;
use crate::node::serving::Serving;
use crate::node::transport::{self, Transport};

/// At most ten snapshots a second.
const PUBLISH_EVERY: Duration = Duration::from_millis(100);
/// At least one a second, so that a console can tell a quiet node from a stuck
/// one.
const PUBLISH_AT_LEAST: Duration = Duration::from_secs(1);
/// Reports taken up before the rest gets its turn.
const BATCH: usize = 256;
/// Looks at the host's addresses. They change when a cable or a network does.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The same while it keeps us from everybody.
const LOOK_SOON: Duration = Duration::from_millis(500);
/// What the system refused to send is told at most this often.
const REFUSED_EVERY: Duration = Duration::from_secs(60);
/// How long the last messages get to leave before connections close.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// The target under which events are logged: a console has them in a pane of
/// their own.
pub const EVENT_TARGET: &str = "punchdeck::event";

/// The writing ends of the feed.
pub(super) struct Outlets {
    pub(super) snapshots: watch::Sender<Arc<Snapshot>>,
    pub(super) events: broadcast::Sender<Arc<Event>>,
    pub(super) outcomes: broadcast::Sender<Arc<Outcome>>,
}

/// The running node.
pub(super) struct Driver {
    /// For the log.
    pub(super) name: String,
    pub(super) engine: Engine,
    pub(super) clock: Clock,
    /// Where we listen.
    pub(super) local_addr: SocketAddr,
    /// From which addresses the host would send to others.
    pub(super) own: Vec<IpAddr>,
    /// Where the host lets us send.
    pub(super) ways: Ways,
    /// When it is looked at next.
    pub(super) look: Instant,
    /// When it was last told what the system refused to send.
    pub(super) refused_told: Option<Instant>,
    pub(super) transport: Transport,
    pub(super) connections: Connections,
    pub(super) relaying: ReservationTable,
    pub(super) serving: Serving,
    pub(super) probes: Probes,
    pub(super) guesses: Guesses,
    pub(super) tests: Tests,
    pub(super) reports: Reports,
    pub(super) files: CacheFiles,
    pub(super) library: Arc<BootstrapCache>,
    pub(super) outlets: Outlets,
    pub(super) log: NodeLog,
    /// Settings that changed.
    pub(super) settings: watch::Receiver<Settings>,
    /// Knocks that are being made.
    pub(super) knocking: Option<AbortOnDropHandle<()>>,
    /// Who tells a registry; nobody where there is none.
    pub(super) reporter: Option<Reporter>,
    pub(super) dials: BTreeMap<DialId, AbortOnDropHandle<()>>,
    pub(super) changed: bool,
    pub(super) stopping: bool,
}

impl Driver {
    /// Runs until told to stop, then closes everything.
    pub(super) async fn run(
        mut self,
        mut commands: mpsc::Receiver<Request>,
        mut inbox: mpsc::Receiver<Report>,
        stop: CancellationToken,
    ) {
        let mut published = Instant::now();
        self.engine.begin(self.clock.now());
        self.carry_out();
        while !self.stopping {
            let publish = published + if self.changed { PUBLISH_EVERY } else { PUBLISH_AT_LEAST };
            let timer = self.engine.next_timeout(self.clock.now()).map(|at| self.clock.instant(at));
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(request) = commands.recv() => self.asked(request),
                Ok(()) = self.settings.changed() => {
                    let mut settings = self.settings.borrow_and_update().clone();
                    settings.bootstrap = probe::without_own(settings.bootstrap, self.local_addr);
                    self.log.reread();
                    self.feed(Input::Settings(settings));
                }
                () = sleep_until(publish) => {
                    published = Instant::now();
                    self.publish();
                }
                () = sleep_until(timer.unwrap_or(publish)), if timer.is_some() => {
                    self.engine.on_timeout(self.clock.now());
                    self.changed = true;
                }
                () = sleep_until(self.look) => self.look_at_host(),
                Some(report) = inbox.recv() => {
                    self.take(report);
                    for _ in 0..BATCH {
                        match inbox.try_recv() {
                            Ok(report) => self.take(report),
                            Err(_) => break,
                        }
                    }
                }
            }
            self.carry_out();
        }
        // As large as all that it gives up; on the heap it costs no more than a pointer.
        Box::pin(self.shut_down()).await;
    }

    /// A command: all but those about the log are the engine's.
    fn asked(&mut self, Request { id, command }: Request) {
        match self.log.asked(&command, self.clock.now()) {
            Some(result) => self.act(Action::Outcome(Outcome { id, command, result })),
            None => self.feed(Input::Command { id, command }),
        }
    }

    fn feed(&mut self, input: Input) {
        self.engine.handle(input, self.clock.now());
        self.changed = true;
    }

    fn feed_if(&mut self, input: Option<Input>) {
        if let Some(input) = input {
            self.feed(input);
        }
    }

    fn take(&mut self, report: Report) {
        match report {
            Report::Input(Input::ConnClosed { peer, conn, reason }) => {
                self.connections.remove(conn);
                self.feed(Input::ConnClosed { peer, conn, reason });
            }
            Report::Dialled { dial, peer, connection } => {
                self.dials.remove(&dial);
                // The engine must know the connection before what came of the
                // dial.
                let up = self.connections.take_up(peer, connection);
                self.feed_if(up);
                self.feed(Input::Dialled { dial, peer });
            }
            Report::Input(Input::RelayEnded { id, why, traffic }) => {
                self.serving.ended(id);
                self.feed(Input::RelayEnded { id, why, traffic });
            }
            Report::RelayAsked { peer, conn, send, recv, bind } => {
                let local = self.connections.local_ip(conn);
                let streams = (Box::new(send) as _, Box::new(recv) as _);
                let input = self.serving.asked((peer, conn), bind, local, streams);
                self.feed(input);
            }
            Report::Input(input) => {
                if let Input::DialFailed { dial, .. } = &input {
                    self.dials.remove(dial);
                }
                self.feed(input);
            }
            Report::Connected { peer, connection } => {
                let up = self.connections.take_up(peer, connection);
                self.feed_if(up);
            }
            Report::Lane(lane) => self.take_up_lane(lane),
            Report::LaneWarm { dial, lane } => {
                self.dials.remove(&dial);
                let peer = lane.peer;
                self.relaying.keep_warm(dial, lane);
                self.feed(Input::Dialled { dial, peer });
            }
            Report::LaneUsed { dial, lane } => {
                self.dials.remove(&dial);
                self.take_up_lane(lane);
            }
            Report::Reserved { relay, result } => {
                let input = self.relaying.reserved(relay, result);
                self.feed_if(input);
            }
            Report::ReservationEnded { number, end } => {
                let input = self.relaying.ended(number, end);
                self.feed_if(input);
            }
            Report::ReservationMute { number } => {
                let input = self.relaying.mute(number);
                self.feed_if(input);
            }
            Report::GuessMet { run, from, socket } => {
                let input = self.guesses.met(run, from, socket);
                self.feed_if(input);
            }
            Report::TestStream { conn, run, stream } => {
                let input = self.tests.take(conn, run, stream);
                self.feed_if(input);
            }
            Report::Opened { peer, conn, send, recv } => {
                if let Some(input) = self.connections.opened(peer, conn, send, recv) {
                    self.feed(input);
                }
            }
            Report::Accepted { peer, conn, send, stream, first: (frame, len) } => {
                if self.connections.start(peer, conn, send, *stream) {
                    self.feed(Input::ControlUp { peer, conn });
                    self.feed(Input::Frame { peer, conn, frame, len });
                }
            }
        }
        self.carry_out();
    }

    /// Whether the host's addresses are others now, where its routes lead, and what its
    /// system did not send.
    fn look_at_host(&mut self) {
        self.engine.handle(Input::Beat { asleep: self.clock.asleep() }, self.clock.now());
        let barred = self.transport.barred();
        let out = probe::leads_out(self.local_addr);
        let near = if out { BTreeSet::new() } else { probe::led_to(self.engine.wanted(self.clock.now())) };
        let ways = Ways { out, near, barred };
        if ways != self.ways {
            self.ways = ways.clone();
            self.feed(Input::Ways(ways));
        }
        self.look = Instant::now() + if self.engine.is_cut_off() { LOOK_SOON } else { LOOK_EVERY };
        let own = probe::own_addresses(self.local_addr);
        if own != self.own {
            self.own.clone_from(&own);
            self.transport.addresses_changed();
            self.feed(Input::HostAddresses { own });
        }
        for (what, count) in self.transport.take_turned_away() {
            self.engine.handle(Input::ProbeDropped { what, count }, self.clock.now());
        }
        if self.refused_told.is_none_or(|at| at.elapsed() >= REFUSED_EVERY) {
            for (why, count) in self.transport.take_refused() {
                self.refused_told = Some(Instant::now());
                self.feed(Input::SendsRefused { why, count });
            }
        }
    }

    fn take_up_lane(&mut self, lane: Lane) {
        let input = self.connections.take_up_lane(lane);
        self.feed_if(input);
    }

    fn carry_out(&mut self) {
        while let Some(action) = self.engine.poll_action() {
            self.act(action);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::OpenControl { peer, conn } => self.connections.open_control(peer, conn),
            Action::Write { conn, bytes } => {
                let full = self.connections.write(conn, bytes);
                self.feed_if(full);
            }
            Action::Close { conn, code } => self.connections.close(conn, code),
            Action::Widen { conn } => self.connections.widen(conn),
            Action::Dial { dial, addr, within } => self.dial(dial, addr, within),
            Action::DialLane { dial, peer, relay, addr, within } => {
                let task = tokio::spawn(self.relaying.dial(dial, peer, relay, addr, within));
                self.dials.insert(dial, AbortOnDropHandle::new(task));
            }
            Action::Reserve { relay } => {
                let connection = self.connections.native(relay);
                // A relay that is no node of ours never gets that far by itself.
                if let Some(connection) = connection {
                    transport::widen(connection);
                }
                let input = self.relaying.reserve(relay, connection);
                self.feed_if(input);
            }
            Action::TryReservation { relay } => self.relaying.try_again(relay),
            Action::Release { relay } => self.relaying.release(relay),
            Action::ServeRelay { id } => {
                let input = self.serving.serve(id);
                self.feed_if(input);
            }
            Action::RefuseRelay { id, why } => self.serving.refuse(id, why),
            Action::EndRelay { id, why } => {
                let input = self.serving.end(id, why);
                self.feed(input);
            }
            Action::UseLane { dial } => match self.relaying.take_into_use(dial) {
                Some(call) => {
                    self.dials.insert(dial, AbortOnDropHandle::new(tokio::spawn(call)));
                }
                None => self.feed(Input::DialFailed { dial, reason: Reason::RelayLost }),
            },
            Action::Cancel { dial } => {
                self.dials.remove(&dial);
                self.relaying.forget(dial);
            }
            Action::ProbeOpen { socket, family, towards } => {
                let input = self.probes.open(socket, family, towards);
                self.feed(input);
            }
            Action::ProbeClose { socket } => self.probes.close(socket),
            Action::ProbeSend { from, to, bytes } => self.probes.send(from, to, &bytes),
            Action::Reach { peer, addr, name } => self.probes.reach(peer, addr, name),
            Action::Knock { query, addrs } => self.knock(query, addrs),
            Action::Guess(action) => self.guess(action),
            Action::Test(action) => self.tests.act(action, |conn| self.connections.to_test(conn)),
            Action::Save => self.save(),
            Action::Event(event) => self.tell(event),
            Action::Outcome(outcome) => {
                // Whoever hears that it is done must not look and see it undone.
                self.publish();
                // Nobody listening is no error.
                drop(self.outlets.outcomes.send(Arc::new(outcome)));
            }
            Action::Report(fact) => {
                if let Some(reporter) = &self.reporter {
                    reporter.tell(fact);
                }
            }
            Action::Stop => self.stopping = true,
        }
    }

    /// An event goes to whoever listens and to the log.
    fn tell(&self, event: Event) {
        // Fields of their own are for programs that read the log.
        let (kind, peer_id) = (event.kind.name(), event.peer_id.map(|p| p.to_string()));
        if event.kind.is_trouble() {
            tracing::warn!(target: EVENT_TARGET, node = %self.name, peer_id, kind, "{kind}: {}", event.kind);
        } else {
            tracing::info!(target: EVENT_TARGET, node = %self.name, peer_id, kind, "{kind}: {}", event.kind);
        }
        // Nobody listening is no error.
        drop(self.outlets.events.send(Arc::new(event)));
    }

    fn dial(&mut self, dial: DialId, addr: SocketAddr, within: Duration) {
        let connecting = match self.transport.dial(addr) {
            Ok(connecting) => connecting,
            Err(reason) => return self.feed(Input::DialFailed { dial, reason }),
        };
        self.feed(Input::DialSent { dial });
        let (reports, transport) = (self.reports.clone(), self.transport.clone());
        let task = tokio::spawn(async move {
            let mut answered = std::pin::pin!(transport::answered(connecting, within));
            let answer = tokio::select! {
                biased;
                answer = &mut answered => answer,
                () = transport.sound(addr) => {
                    let _ = reports.send(Report::Input(Input::Sounded { addr })).await;
                    answered.await
                }
            };
            let report = match answer {
                Ok((peer, connection)) => Report::Dialled { dial, peer, connection },
                Err(reason) => Report::Input(Input::DialFailed { dial, reason }),
            };
            let _ = reports.send(report).await;
        });
        self.dials.insert(dial, AbortOnDropHandle::new(task));
    }

    fn guess(&mut self, action: GuessAction) {
        match action {
            GuessAction::Open { run, towards, count, bytes } => {
                let input = self.guesses.open(run, towards, count, bytes);
                self.feed(input);
            }
            GuessAction::Probe { to, bytes } => {
                for to in to {
                    self.transport.send_beside(to, &bytes);
                }
            }
            GuessAction::Dial { run, to, within } => self.guesses.dial(run, to, within),
            GuessAction::Close(run) => self.guesses.close(run),
        }
    }

    fn knock(&mut self, query: u32, addrs: Vec<SocketAddr>) {
        let reports = self.reports.clone();
        let task = tokio::spawn(async move {
            let results = knock::all(addrs).await;
            let _ = reports.send(Report::Input(Input::Knocked { query, results })).await;
        });
        // The next one ends it, should it hang; it is asked for every few seconds.
        self.knocking = Some(AbortOnDropHandle::new(task));
    }

    fn save(&mut self) {
        let unsaved = self.engine.take_unsaved();
        let (files, library, reports) = (self.files.clone(), self.library.clone(), self.reports.clone());
        tokio::spawn(async move {
            let result = files.save(library, unsaved).await.map_err(|e| e.to_string());
            let _ = reports.send(Report::Input(Input::Saved { result })).await;
        });
    }

    fn publish(&mut self) {
        self.changed = false;
        if self.ways.barred.is_empty() && self.transport.is_barred() {
            // Before anybody concludes anything from the silence.
            self.look_at_host();
        }
        for moved in self.connections.moved() {
            self.feed(moved);
        }
        let now = self.clock.now();
        let (reservations, lanes) = (self.relaying.bytes(), self.connections.lane_bytes());
        if !reservations.is_empty() || !lanes.is_empty() {
            // Counting is no change: it is shown with the next one.
            self.engine.handle(Input::LaneBytes { reservations, lanes }, now);
        }
        let served = self.serving.traffic();
        if !served.is_empty() {
            self.engine.handle(Input::RelayTraffic(served), now);
        }
        let mut snapshot = self.engine.snapshot(now);
        snapshot.log = self.log.view(now);
        if let Some(reporter) = &self.reporter {
            reporter.status(&snapshot);
            snapshot.reporting = reporter.view();
        }
        self.outlets.snapshots.send_replace(Arc::new(snapshot));
    }

    /// Says goodbye, saves once more, closes, and gives up the socket.
    async fn shut_down(mut self) {
        self.engine.stop(self.clock.now());
        self.carry_out();
        self.publish();
        tokio::time::sleep(LAST_WORDS).await;
        self.dials.clear();
        self.knocking = None;
        self.guesses.shut_down();
        self.tests.shut_down();
        // Lanes first: their goodbyes travel over the other connections.
        self.connections.close_lanes(CloseCode::Leave);
        self.relaying.shut_down().await;
        self.connections.clear(CloseCode::Leave);
        let unsaved = self.engine.take_unsaved();
        let last_reports = async {
            if let Some(reporter) = self.reporter.take() {
                reporter.stop().await;
            }
        };
        let save = self.files.save(self.library.clone(), unsaved);
        let ((), saved) = tokio::join!(last_reports, save);
        if let Err(error) = saved {
            tracing::error!(%error, "the cache was not saved at the end");
        }
        self.transport.shut_down(CloseCode::Leave).await;
    }
}
