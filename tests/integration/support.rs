//! Nodes for tests, and waiting for what they show. Nothing sleeps where an
//! event can be awaited.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use punchdeck::lab::NatLab;
use punchdeck::model::{Command, DropReason, Event, EventKind, LinkRow, Outcome, PeerId, PeerRow, Snapshot};
use punchdeck::node::feed::Feed;
use punchdeck::node::lock::DataDirLock;
use punchdeck::node::options::NodeOptions;
use punchdeck::node::{Node, StartError, keys};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::broadcast;

/// Nothing here takes this long unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A test on a runtime of its own.
pub fn trial<F>(name: &str, test: impl FnOnce() -> F + Send + 'static) -> Trial
where
    F: Future<Output = ()> + 'static,
{
    Trial::test(name, move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|e| Failed::from(e.to_string()))?;
        runtime.block_on(test());
        runtime.shutdown_timeout(Duration::from_secs(1));
        Ok(())
    })
}

/// A test that this host cannot run.
pub fn ignored(name: &str, why: &str) -> Trial {
    let why = why.to_owned();
    Trial::test(format!("{name} ({why})"), || Ok(())).with_ignored_flag(true)
}

/// A node with a directory of its own.
pub struct TestNode {
    node: Option<Node>,
    pub options: NodeOptions,
    dir: Arc<TempDir>,
    events: broadcast::Receiver<Arc<Event>>,
    feed: Feed,
}

/// Options for a node on loopback in `dir`.
pub fn options(name: &str, dir: &TempDir, bootstrap: &[SocketAddr]) -> NodeOptions {
    let (keys, bind) = (keys::generate().unwrap(), (Ipv4Addr::LOCALHOST, 0).into());
    NodeOptions {
        bootstrap: bootstrap.to_vec(),
        ..NodeOptions::new(dir.path().to_owned(), keys, name, "test", bind)
    }
}

impl TestNode {
    /// Starts a node that dials `bootstrap`.
    pub async fn start(name: &str, bootstrap: &[SocketAddr]) -> Self {
        Self::with(name, bootstrap, |_| {}).await
    }

    /// The same, with other options.
    pub async fn with(name: &str, bootstrap: &[SocketAddr], change: impl FnOnce(&mut NodeOptions)) -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        let mut options = options(name, &dir, bootstrap);
        change(&mut options);
        Self::launch(options, dir).await.unwrap()
    }

    async fn launch(options: NodeOptions, dir: Arc<TempDir>) -> Result<Self, StartError> {
        let lock = DataDirLock::acquire(&options.data_dir).unwrap();
        let (node, all) = Node::start(options.clone(), lock).await?;
        Ok(Self { feed: all.clone(), events: all.events, node: Some(node), options, dir })
    }

    /// Stops the node and starts it again with the same directory and key.
    pub async fn restart(mut self, change: impl FnOnce(&mut NodeOptions)) -> Self {
        self.stop().await;
        let mut options = self.options.clone();
        change(&mut options);
        Self::launch(options, Arc::clone(&self.dir)).await.unwrap()
    }

    /// Stops the node; its directory stays.
    pub async fn stop(&mut self) {
        if let Some(node) = self.node.take() {
            node.stop().await;
        }
    }

    fn node(&self) -> &Node {
        self.node.as_ref().unwrap()
    }

    pub fn id(&self) -> PeerId {
        self.node().peer_id()
    }

    pub fn addr(&self) -> SocketAddr {
        self.node().local_addr()
    }

    /// One more feed; the first has every event.
    pub fn feed(&mut self) -> Feed {
        self.node.as_mut().unwrap().first_feed()
    }

    pub fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.feed.snapshots.borrow().clone()
    }

    pub fn peer(&self, id: PeerId) -> Option<Arc<PeerRow>> {
        self.snapshot().peer(&id).cloned()
    }

    pub fn link(&self, id: PeerId) -> Option<LinkRow> {
        self.snapshot().link(&id).cloned()
    }

    /// What it told of a peer that nobody here waited for, the oldest first.
    pub fn told_of(&mut self, peer: PeerId) -> Vec<Event> {
        let mut told = Vec::new();
        loop {
            match self.events.try_recv() {
                Ok(event) if event.peer_id == Some(peer) => told.push((*event).clone()),
                Ok(_) | Err(broadcast::error::TryRecvError::Lagged(_)) => {}
                Err(_) => return told,
            }
        }
    }

    /// Waits until the node shows something.
    pub async fn until(&self, what: &str, mut holds: impl FnMut(&Snapshot) -> bool) -> Arc<Snapshot> {
        let mut snapshots = self.feed.snapshots.clone();
        let wait = snapshots.wait_for(|s| holds(s));
        let Ok(seen) = tokio::time::timeout(PATIENCE, wait).await else {
            panic!("{}: no {what}; it shows {:#?}", self.options.name, self.snapshot())
        };
        let Ok(snapshot) = seen else { panic!("{}: the node ended before {what}", self.options.name) };
        snapshot.clone()
    }

    /// Waits for a link to that peer.
    pub async fn until_linked(&self, id: PeerId) {
        self.until("link", |s| s.links.iter().any(|l| l.peer_id == id && !l.foreign)).await;
    }

    /// The next event for which `wanted` gives something.
    pub async fn event<T>(&mut self, what: &str, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
        let search = async {
            loop {
                let event = self.events.recv().await.expect("events were lost");
                if let Some(found) = wanted(&event) {
                    return found;
                }
            }
        };
        let found = tokio::time::timeout(PATIENCE, search).await;
        found.unwrap_or_else(|_| panic!("{}: no event {what}", self.options.name))
    }

    /// The next event of that name about that peer.
    pub async fn event_named(&mut self, name: &str, about: PeerId) -> EventKind {
        self.event(name, |e| (e.kind.name() == name && e.peer_id == Some(about)).then(|| e.kind.clone()))
            .await
    }

    /// Gives a command and waits for its outcome.
    pub async fn command(&self, command: Command) -> Arc<Outcome> {
        let mut outcomes = self.feed.outcomes.resubscribe();
        let id = self.feed.commands.try_send(command).unwrap();
        let search = async {
            loop {
                let outcome = outcomes.recv().await.expect("outcomes were lost");
                if outcome.id == id {
                    return outcome;
                }
            }
        };
        tokio::time::timeout(PATIENCE, search).await.expect("no outcome")
    }

    /// How often a limit of that name stopped something.
    pub fn counted(&self, name: DropReason) -> u64 {
        self.snapshot().counters.0.get(&name).copied().unwrap_or(0)
    }

    /// Waits until that limit stopped something.
    pub async fn until_counted(&self, name: DropReason) {
        self.until(name.words(), |s| s.counters.0.get(&name).is_some_and(|n| *n > 0)).await;
    }
}

/// Gives rules to the packet filter of a host in a lab.
pub async fn nft(lab: &NatLab, host: &str, rules: String) {
    lab.on_host(host, move || async move {
        let mut nft = tokio::process::Command::new("nft")
            .args(["-f", "-"])
            .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        nft.stdin.take().unwrap().write_all(rules.as_bytes()).await.unwrap();
        assert!(nft.wait().await.unwrap().success());
    })
    .await
    .unwrap();
}

/// Gives an order and waits for what comes of it.
pub async fn order(feed: &Feed, order: Command) -> Arc<Outcome> {
    let mut outcomes = feed.outcomes.resubscribe();
    let id = feed.commands.try_send(order).unwrap();
    let answered = async {
        loop {
            let outcome = outcomes.recv().await.unwrap();
            if outcome.id == id {
                return outcome;
            }
        }
    };
    // Longer than any stage of a ladder, on a busy machine.
    tokio::time::timeout(Duration::from_secs(45), answered).await.expect("an outcome")
}
