//! The other end of the console's fleet: asks every node of it how it is, and carries out
//! what the console asks of two of them, without anybody waiting for a node.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::control::{self, Client, FLEET_NODES, FleetFile, FleetNode};
use crate::model::{Comparison, Member, Snapshot, Stamp, Standing};
use crate::node::feed::Feed;
use crate::tui::fleet::{BACKLOG, Fleet, FleetCommand, FleetView};

/// How often the console is told: nobody reads faster.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// How long the console of a node, or all that it knows, may take to come over a slow line.
const COMES_WITHIN: Duration = Duration::from_secs(60);

/// Attaches to the first node of a fleet that answers, in the order of its file.
///
/// # Errors
/// Why the first one does not, if none does.
pub(super) async fn first_of(file: &FleetFile, read_only: bool) -> anyhow::Result<(String, Feed)> {
    // All at once: a host that is gone may take its time to say so.
    let greeted = stream::iter(&file.node).map(|node| async move {
        // Only greeted: what follows a node costs its line more.
        Client::connect(node.target(), read_only).await.map(|_| node)
    });
    let mut greeted = greeted.buffered(*FLEET_NODES.end());
    let mut first_error = None;
    while let Some(answer) = greeted.next().await {
        let attached = match answer {
            Ok(node) => control::attach(node.target(), read_only).await.map(|feed| (node.name.clone(), feed)),
            Err(error) => Err(error),
        };
        match attached {
            Ok(found) => return Ok(found),
            Err(error) => drop(first_error.get_or_insert(error)),
        }
    }
    Err(first_error.map_or_else(|| anyhow::anyhow!("the fleet has no nodes"), anyhow::Error::from))
}

/// Begins to ask the nodes of a fleet, whose node `shown` the console is on. It ends with
/// the console's end.
pub(super) fn open(file: FleetFile, shown: String, read_only: bool, runtime: &Handle) -> Fleet {
    let (view_in, view) = watch::channel(Arc::new(FleetView::new(now(), shown)));
    let (commands, asked) = mpsc::channel(BACKLOG);
    let (feeds_in, feeds) = mpsc::channel(BACKLOG);
    let count = file.node.len();
    let nodes = file.node.into_iter().enumerate().map(|(place, node)| {
        let (told, standing) = watch::channel(Standing::Asked);
        runtime.spawn(control::watch_in_brief(node.target(), (place, count), told));
        Watched { node, standing }
    });
    let worker = Worker { nodes: nodes.collect(), view: view_in, feeds: feeds_in, read_only };
    worker.tell();
    runtime.spawn(worker.work(asked));
    Fleet { view, commands, feeds }
}

/// A node that is asked how it is.
struct Watched {
    node: FleetNode,
    standing: watch::Receiver<Standing>,
}

struct Worker {
    nodes: Vec<Watched>,
    view: watch::Sender<Arc<FleetView>>,
    feeds: mpsc::Sender<Feed>,
    read_only: bool,
}

/// What a command came to.
enum Done {
    At(String, Box<Feed>),
    Compared(Arc<Comparison>),
}

impl Worker {
    async fn work(self, mut asked: mpsc::Receiver<FleetCommand>) {
        let mut ticks = interval(TELL_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.tell(),
                command = asked.recv() => {
                    let Some(command) = command else { return };
                    self.change(|view| view.doing = Some(doing(&command)));
                    let mut work = Box::pin(timeout(COMES_WITHIN, self.carry_out(&command)));
                    let done = loop {
                        tokio::select! {
                            done = &mut work => break done,
                            _ = ticks.tick() => self.tell(),
                        }
                    };
                    let seconds = COMES_WITHIN.as_secs();
                    self.end(done.unwrap_or_else(|_| Err(format!("it has not come within {seconds} s")))).await;
                }
            }
        }
    }

    /// Tells how every node is.
    fn tell(&self) {
        let member = |watched: &Watched| Member {
            name: watched.node.name.clone(),
            standing: watched.standing.borrow().clone(),
        };
        let nodes = self.nodes.iter().map(member).collect();
        self.change(|view| (view.at, view.nodes) = (now(), nodes));
    }

    fn change(&self, how: impl FnOnce(&mut FleetView)) {
        self.view.send_modify(|view| how(Arc::make_mut(view)));
    }

    async fn carry_out(&self, command: &FleetCommand) -> Result<Done, String> {
        match command {
            FleetCommand::Show(name) => {
                let target = self.node(name)?.target();
                let feed = control::attach(target, self.read_only).await.map_err(|e| e.to_string())?;
                Ok(Done::At(name.clone(), Box::new(feed)))
            }
            FleetCommand::Compare([a, b]) => {
                let (one, other) = tokio::try_join!(self.state_of(a), self.state_of(b))?;
                Ok(Done::Compared(Arc::new(Comparison::new([a, b], [&one, &other]))))
            }
        }
    }

    /// Everything that a node knows.
    async fn state_of(&self, name: &str) -> Result<Snapshot, String> {
        let target = self.node(name)?.target();
        let asked = async { Client::connect(target, true).await?.snapshot().await };
        asked.await.map_err(|e| e.to_string())
    }

    fn node(&self, name: &str) -> Result<&FleetNode, String> {
        let found = self.nodes.iter().find(|watched| watched.node.name == name);
        found.map(|watched| &watched.node).ok_or_else(|| format!("the fleet has no node {name}"))
    }

    async fn end(&self, done: Result<Done, String>) {
        self.change(|view| view.doing = None);
        match done {
            Ok(Done::At(name, feed)) => {
                self.change(|view| {
                    view.shown.clone_from(&name);
                    view.say(true, format!("the console is on {name}"));
                });
                // A console that has gone wants to see nothing.
                let _ = self.feeds.send(*feed).await;
            }
            Ok(Done::Compared(compared)) => self.change(|view| view.compared = Some(compared)),
            Err(why) => self.change(|view| view.say(false, why)),
        }
    }
}

/// What a command is doing, in words.
pub(super) fn doing(command: &FleetCommand) -> String {
    match command {
        FleetCommand::Show(name) => format!("going to {name}"),
        FleetCommand::Compare([a, b]) => format!("asking {a} and {b} for all that they know"),
    }
}

/// The time on this host.
pub(super) fn now() -> Stamp {
    Stamp(jiff::Timestamp::now().as_millisecond())
}
