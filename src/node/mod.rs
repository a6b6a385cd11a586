//! The embedded runtime: the only code that talks to ant-quic, disk, clock and
//! tasks. It carries out what [`crate::core`] decides.
//!
//! A node is one task and its helpers on whatever runtime it was started in.
//! Nothing is global: a process runs as many as it likes.

mod cache;
mod clock;
mod connections;
pub mod disk;
mod driver;
pub mod feed;
mod guessing;
mod holder;
pub mod keys;
mod knock;
pub mod lanes;
pub mod lock;
mod locks;
pub mod options;
mod pathtest;
mod probe;
mod relaying;
mod reporting;
mod serving;
mod streams;
mod transport;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use self::cache::CacheFiles;
use self::clock::Clock;
use self::connections::{Connections, Report};
pub use self::driver::EVENT_TARGET;
use self::driver::{Driver, Outlets};
use self::feed::{CommandSender, EVENT_BACKLOG, Feed, OUTCOME_BACKLOG};
use self::guessing::Guesses;
use self::lock::DataDirLock;
use self::options::{NodeOptions, Settings};
use self::pathtest::Tests;
pub use self::probe::ProbePortError;
use self::probe::Probes;
use self::relaying::ReservationTable;
use self::reporting::Reporter;
pub use self::reporting::{RegistryOptions, RegistryUrl};
use self::serving::Serving;
use self::transport::Transport;
pub use self::transport::{BindError, Tls};
use crate::core::door::Door;
use crate::core::engine::{Engine, EngineConfig};
use crate::core::host::Ways;
use crate::core::proof::RecordSeed;
use crate::model::PeerId;

/// Reports of tasks waiting for the driver; tasks wait when it is full.
const REPORT_BACKLOG: usize = 1024;

/// Why a node did not start. Nothing is left half done.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The socket.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A port for the NAT probes of others.
    #[error(transparent)]
    ProbePort(#[from] ProbePortError),
    /// The key.
    #[error(transparent)]
    Key(#[from] keys::KeyError),
    /// The cache directory.
    #[error("the peer cache {} cannot be opened: {source}", dir.display())]
    Cache {
        /// Which.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A running node. It stops when it is told to, or when this is dropped.
#[derive(Debug)]
pub struct Node {
    peer_id: PeerId,
    local_addr: SocketAddr,
    feed: Feed,
    /// A feed with every event from the first on, until it is taken.
    first: Option<Feed>,
    settings: watch::Sender<Settings>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Node {
    /// Starts a node on the current runtime. `lock` is held until it ends. The
    /// feed that comes with it has every event from the first on.
    ///
    /// # Errors
    /// [`StartError`] if the socket, the key or the cache cannot be had.
    pub async fn start(options: NodeOptions, lock: DataDirLock) -> Result<(Self, Feed), StartError> {
        let Assembled { me, local_addr, driver, requests, inbox, helpers, feed, settings } =
            assemble(options).await?;
        // Before the first event happens.
        let first = Some(feed.clone());
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(driver, requests, inbox, stop.clone(), helpers, lock));
        Ok((Self { peer_id: me, local_addr, feed: feed.clone(), first, settings, stop, task }, feed))
    }

    /// Who it is.
    pub fn peer_id(&self) -> PeerId {
        self.peer_id
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// One more feed; its events and outcomes begin now.
    pub fn feed(&self) -> Feed {
        self.feed.clone()
    }

    /// One more feed with every event from the first on, like the one that came
    /// with the node; once, and soon, for what nobody reads is dropped.
    pub fn first_feed(&mut self) -> Feed {
        self.first.take().unwrap_or_else(|| self.feed())
    }

    /// Whoever gives it other settings while it runs.
    pub fn reloader(&self) -> Reloader {
        Reloader(self.settings.clone())
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// Says goodbye and stops; at most two seconds.
    pub async fn stop(mut self) {
        self.stop.cancel();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Changes the settings of a running node.
#[derive(Debug, Clone)]
pub struct Reloader(watch::Sender<Settings>);

impl Reloader {
    /// These hold from now on; the latest wins. A node that has ended minds
    /// nothing.
    pub fn reload(&self, settings: Settings) {
        self.0.send_replace(settings);
    }
}

/// A node before its task begins.
struct Assembled {
    me: PeerId,
    local_addr: SocketAddr,
    driver: Driver,
    requests: mpsc::Receiver<feed::Request>,
    inbox: mpsc::Receiver<Report>,
    helpers: [AbortOnDropHandle<()>; 1],
    feed: Feed,
    settings: watch::Sender<Settings>,
}

async fn assemble(options: NodeOptions) -> Result<Assembled, StartError> {
    let me = keys::peer_id(&options.keys.public)?;
    let tls = Tls::new(&options.keys)?;
    let files = CacheFiles::new(&options.data_dir);
    let found =
        files.prepare().map_err(|source| StartError::Cache { dir: files.dir().to_owned(), source })?;
    let transport = Transport::bind(tls.clone(), options.bind, options.bind_asked)?;
    let local_addr = transport.local_addr();
    let ports = probe::bind_ports(options.probe_ports, local_addr, options.bind.port() != 0)?;
    let library = cache::open_library(&files)
        .await
        .map_err(|source| StartError::Cache { dir: files.dir().to_owned(), source })?;
    let cached = cache::merge(&library, &found.own).await;

    let clock = Clock::start_off(Arc::clone(&options.clock_off));
    let told = options.settings();
    let (settings, new_settings) = watch::channel(told.clone());
    let network = options.network.clone();
    let own = probe::own_addresses(local_addr);
    let ways = Ways { out: probe::leads_out(local_addr), ..Ways::open() };
    let record_seed = RecordSeed::derive(&options.keys.secret, &options.network);
    let config = EngineConfig {
        me,
        name: options.name.clone(),
        network: options.network,
        agent: env!("CARGO_PKG_VERSION").to_owned(),
        secret: options.secret,
        local_addr,
        own: own.clone(),
        ways: ways.clone(),
        no_ipv6: options.bind.is_ipv6() && local_addr.is_ipv4(),
        passive: options.passive,
        settings: Settings { bootstrap: probe::without_own(told.bootstrap.clone(), local_addr), ..told },
        probe_ports: ports.numbers(),
        no_probe_ports: ports.none.clone(),
        own_version: found.own.own_version,
        record_seed: Some(record_seed),
        anchors: found.own.anchors.clone(),
        names: found.own.names.clone(),
        history: found.history.map(|history| history.without_the_future(clock.now().stamp)),
        seed: rand::random(),
    };
    let mut engine = Engine::new(config, cached, found.set_aside, clock.now());

    let (reports, inbox) = mpsc::channel(REPORT_BACKLOG);
    let (commands, requests) = CommandSender::channel();
    let (snapshots, snapshots_rx) = watch::channel(Arc::new(engine.snapshot(clock.now())));
    let (events, events_rx) = broadcast::channel(EVENT_BACKLOG);
    let (outcomes, outcomes_rx) = broadcast::channel(OUTCOME_BACKLOG);
    let feed = Feed {
        snapshots: snapshots_rx,
        events: events_rx,
        outcomes: outcomes_rx,
        commands,
        presence: None,
        logs: None,
    };

    let door = Door::new(local_addr.ip().is_loopback(), clock.now().mono);
    let helpers = [spawn(transport::accept(transport.clone(), door, clock.clone(), reports.clone()))];
    let who = crate::model::Reporter {
        peer_id: me,
        name: options.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        network,
    };
    let reporter =
        options.registry.map(|registry| Reporter::start(registry, who, &options.data_dir, clock.clone()));
    let driver = Driver {
        name: options.name,
        engine,
        clock: clock.clone(),
        local_addr,
        own,
        ways,
        look: Instant::now(),
        refused_told: None,
        connections: Connections::new(reports.clone()),
        relaying: ReservationTable::new(tls.clone(), local_addr.ip(), reports.clone()),
        serving: Serving::new(local_addr.ip(), clock.clone(), reports.clone()),
        probes: Probes::new(local_addr, ports.sockets, clock.clone(), reports.clone()),
        guesses: Guesses::new(local_addr.ip(), tls, reports.clone()),
        tests: Tests::new(reports.clone()),
        knocking: None,
        transport,
        reports,
        files,
        library,
        outlets: Outlets { snapshots, events, outcomes },
        settings: new_settings,
        reporter,
        dials: BTreeMap::new(),
        changed: false,
        stopping: false,
    };
    Ok(Assembled { me, local_addr, driver, requests, inbox, helpers, feed, settings })
}

fn spawn(task: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(task))
}

async fn run(
    driver: Driver,
    requests: mpsc::Receiver<feed::Request>,
    inbox: mpsc::Receiver<Report>,
    stop: CancellationToken,
    helpers: [AbortOnDropHandle<()>; 1],
    lock: DataDirLock,
) {
    // A node is large; on the heap it costs a task no more than a pointer.
    Box::pin(driver.run(requests, inbox, stop)).await;
    drop(helpers);
    drop(lock);
}
