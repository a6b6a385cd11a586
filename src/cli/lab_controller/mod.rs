//! The other end of the console's lab overlay: does what it asks of the fleet,
//! one thing after another, and shows how the fleet is. It has a thread of its
//! own, so that neither the console nor a node waits for it.

mod drill;
mod fleet;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use self::drill::Drills;
use self::fleet::LabFleet;
use crate::lab::drill::Act;
use crate::lab::{Anew, Ground, Span, Spot, Where};
use crate::node::feed::Feed;
use crate::tui::fleet::{Fleet, FleetCommand};
use crate::tui::lab::{BACKLOG, Lab, LabCommand, LabLink, LabNode, LabRouter, LabSaid, LabView};

pub(super) use self::drill::DrillGround;

/// How often the fleet is looked at though nothing was asked: a node may end by
/// itself.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Why a loopback fleet takes no change of its network.
const NO_NETWORK: &str = "on loopback there is no wire to cut and no NAT to change, and a node is stopped with \
                          a goodbye, not killed";

/// A controller at work, to be ended.
pub(super) struct LabController {
    thread: JoinHandle<Ground>,
    quit: CancellationToken,
}

impl LabController {
    /// Begins to work on a fleet whose node `shown` the console is on.
    pub(super) fn open(
        ground: Ground,
        shown: String,
        drills: DrillGround,
        runtime: &Handle,
    ) -> std::io::Result<(Self, Lab, Fleet)> {
        let (fleet, fleet_asked, fleet_end) = LabFleet::open(shown.clone());
        let view = LabView {
            kind: ground.kind().to_owned(),
            no_network: (!ground.has_network()).then(|| NO_NETWORK.to_owned()),
            shown,
            drills: drills.list(),
            ..LabView::default()
        };
        let (shown_in, shown_out) = watch::channel(Arc::new(view));
        let (commands, asked) = mpsc::channel(BACKLOG);
        let (feeds, new_feeds) = mpsc::channel(BACKLOG);
        let quit = CancellationToken::new();
        let drills = Drills::new(drills, runtime.clone(), quit.clone());
        let mut worker = Worker { ground, view: Arc::new(shown_in), feeds, fleet, drills };
        let (runtime, told) = (runtime.clone(), quit.clone());
        let thread = std::thread::Builder::new().name("lab controller".to_owned()).spawn(move || {
            runtime.block_on(worker.work((asked, fleet_asked), &told));
            worker.drills.join();
            worker.ground
        })?;
        Ok((Self { thread, quit }, Lab { view: shown_out, commands, feeds: new_feeds }, fleet_end))
    }

    /// Ends the work, a running drill's too, and gives the fleet back; `None` if
    /// the controller has failed, and its fleet went with it.
    pub(super) fn close(self) -> Option<Ground> {
        self.quit.cancel();
        self.thread.join().ok()
    }
}

/// The view that a controller and its drill both change.
type Shown = Arc<watch::Sender<Arc<LabView>>>;

fn change(view: &Shown, how: impl FnOnce(&mut LabView)) {
    view.send_modify(|view| how(Arc::make_mut(view)));
}

/// Puts what came of something on the console's line for messages.
fn say(view: &mut LabView, done: bool, text: impl std::fmt::Display) {
    let n = view.said.as_ref().map_or(0, |said| said.n) + 1;
    view.said = Some(LabSaid { n, done, text: format!("lab: {text}") });
}

struct Worker {
    ground: Ground,
    view: Shown,
    feeds: mpsc::Sender<Feed>,
    fleet: LabFleet,
    drills: Drills,
}

impl Worker {
    async fn work(
        &mut self,
        (mut asked, mut of_fleet): (mpsc::Receiver<LabCommand>, mpsc::Receiver<FleetCommand>),
        quit: &CancellationToken,
    ) {
        let work = Box::pin(async {
            loop {
                self.look().await;
                tokio::select! {
                    command = asked.recv() => match command {
                        Some(command) => self.take(command).await,
                        None => return,
                    },
                    Some(command) = of_fleet.recv() => {
                        if let Some(shown) = self.fleet.take(&mut self.ground, command).await {
                            change(&self.view, |view| view.shown = shown);
                        }
                    }
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                }
            }
        });
        // What is half done goes with the fleet.
        quit.run_until_cancelled(work).await;
    }

    /// Shows the fleet as it is.
    async fn look(&mut self) {
        let spans = self.ground.spans().await.iter().map(link).collect();
        let spots = self.ground.spots().await;
        if let Ok(spots) = &spots {
            self.fleet.look(&mut self.ground, spots).await;
        }
        self.view.send_if_modified(|view| {
            let mut new = LabView::clone(view);
            new.links = spans;
            if let Ok(spots) = spots {
                new.nodes = spots.into_iter().map(node).collect();
            }
            let changed = new != **view;
            if changed {
                *view = Arc::new(new);
            }
            changed
        });
    }

    async fn take(&mut self, command: LabCommand) {
        let doing = doing(&command);
        change(&self.view, |view| view.doing = Some(doing));
        let result = self.carry_out(&command).await;
        let (done, text) = match result {
            Ok(text) => (true, text),
            Err(text) => (false, text),
        };
        change(&self.view, |view| {
            view.doing = None;
            say(view, done, text);
        });
    }

    /// Does it, and says what was done.
    async fn carry_out(&mut self, command: &LabCommand) -> Result<String, String> {
        let (act, text) = match command {
            LabCommand::Cut(host) => (Act::Cut(host.clone()), format!("{host} is cut off")),
            LabCommand::Heal(host) => (Act::Heal(host.clone()), format!("{host} is healed")),
            LabCommand::Kill(node) if self.ground.has_network() => {
                (Act::Kill(node.clone()), format!("{node} is killed, without a goodbye"))
            }
            LabCommand::Kill(node) => (Act::Stop(node.clone()), format!("{node} is stopped, with a goodbye")),
            LabCommand::Start(node) => {
                (Act::Start { node: node.clone(), passive: false }, format!("{node} runs again"))
            }
            LabCommand::SetNat(host, nat) => {
                (Act::SetNat(host.clone(), *nat), format!("the NAT before {host} is {nat} now"))
            }
            LabCommand::Flush(host) => {
                (Act::Flush(host.clone()), format!("the NAT before {host} forgot its mappings"))
            }
            LabCommand::CutLink(between) => {
                self.ground.cut_link(between, true).await?;
                return Ok(format!("the wire {} is cut", between.join("-")));
            }
            LabCommand::HealLink(between) => {
                self.ground.cut_link(between, false).await?;
                return Ok(format!("the wire {} is healed", between.join("-")));
            }
            LabCommand::Spoil(host) => {
                let wrong = self.ground.next_fault(&Where::Uplink(host.clone())).await?;
                return Ok(format!("the uplink of {host}: {}", words(&wrong)));
            }
            LabCommand::SpoilLink(between) => {
                let wrong = self.ground.next_fault(&Where::Link(between.clone())).await?;
                return Ok(format!("the wire {}: {}", between.join("-"), words(&wrong)));
            }
            LabCommand::Show(node) => {
                let feed = self.ground.feed(node).await?;
                change(&self.view, |view| view.shown.clone_from(node));
                self.fleet.shows(node);
                let _ = self.feeds.send(feed).await;
                return Ok(format!("the console is on {node}"));
            }
            LabCommand::Undo => {
                let anew = self.ground.undo().await?;
                self.follow(anew).await;
                return Ok("everything is as it was built".to_owned());
            }
            LabCommand::Drill(name) => return self.drills.start(name, self.view.clone()),
            LabCommand::CallOff => return self.drills.call_off(&self.view),
        };
        let anew = self.ground.act(act).await?;
        self.follow(anew).await;
        Ok(text)
    }

    /// The node that the console is on may have been started again.
    async fn follow(&mut self, anew: Anew) {
        let shown = self.view.borrow().shown.clone();
        if let Some((_, feed)) = anew.into_iter().find(|(name, _)| *name == shown) {
            let _ = self.feeds.send(feed).await;
        }
    }
}

fn node(spot: Spot) -> LabNode {
    LabNode {
        name: spot.name,
        peer_id: spot.peer_id,
        region: spot.region,
        router: spot.router.map(|(name, nat, built)| LabRouter { name, nat, built }),
        up: spot.running,
        cut: spot.cut,
        wrong: Some(spot.faults.join(", ")).filter(|wrong| !wrong.is_empty()),
    }
}

fn link(span: &Span) -> LabLink {
    LabLink {
        between: span.between.clone(),
        rtt_ms: span.rtt.as_secs_f64() * 1e3,
        cut: span.cut,
        wrong: Some(span.faults.join(", ")).filter(|wrong| !wrong.is_empty()),
        spoilt: !span.as_built,
    }
}

/// The faults of a wire as one sentence.
fn words(wrong: &[String]) -> String {
    if wrong.is_empty() { "nothing is wrong with it now".to_owned() } else { wrong.join(", ") }
}

/// What a command is doing, in words.
fn doing(command: &LabCommand) -> String {
    match command {
        LabCommand::Cut(host) => format!("cutting {host} off"),
        LabCommand::Heal(host) => format!("healing {host}"),
        LabCommand::CutLink(between) => format!("cutting {}", between.join("-")),
        LabCommand::HealLink(between) => format!("healing {}", between.join("-")),
        LabCommand::Spoil(host) => format!("changing the uplink of {host}"),
        LabCommand::SpoilLink(between) => format!("changing {}", between.join("-")),
        LabCommand::Kill(node) => format!("killing {node}"),
        LabCommand::Start(node) => format!("starting {node}"),
        LabCommand::SetNat(host, nat) => format!("making the NAT before {host} {nat}"),
        LabCommand::Flush(host) => format!("flushing the NAT before {host}"),
        LabCommand::Show(node) => format!("going to {node}"),
        LabCommand::Undo => "undoing everything".to_owned(),
        LabCommand::Drill(name) => format!("starting {name}"),
        LabCommand::CallOff => "calling the drill off".to_owned(),
    }
}
