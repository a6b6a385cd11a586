//! The lab's own nodes as a fleet: in this process nobody has to be asked how he is.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::cli::fleet_controller::now;
use crate::lab::{Ground, Spot};
use crate::model::{Brief, Comparison, Member, Silence, SilenceKind, Snapshot, Stamp, Standing};
use crate::node::feed::Feed;
use crate::tui::fleet::{BACKLOG, Fleet, FleetCommand, FleetView};

/// What the controller tells a console of its nodes.
pub(super) struct LabFleet {
    view: watch::Sender<Arc<FleetView>>,
    feeds: mpsc::Sender<Feed>,
    /// The states of those that run, as they come.
    states: BTreeMap<String, watch::Receiver<Arc<Snapshot>>>,
    /// Since when those that do not run do not, and what they said last.
    down: BTreeMap<String, (Stamp, Option<Arc<Brief>>)>,
}

impl LabFleet {
    /// Of a lab whose node `shown` the console is on; what a console asks, and its end.
    pub(super) fn open(shown: String) -> (Self, mpsc::Receiver<FleetCommand>, Fleet) {
        let (view, told) = watch::channel(Arc::new(FleetView::new(now(), shown)));
        let (commands, asked) = mpsc::channel(BACKLOG);
        let (feeds, new_feeds) = mpsc::channel(BACKLOG);
        let fleet = Self { view, feeds, states: BTreeMap::new(), down: BTreeMap::new() };
        (fleet, asked, Fleet { view: told, commands, feeds: new_feeds })
    }

    /// Tells how every node is.
    pub(super) async fn look(&mut self, ground: &mut Ground, spots: &[Spot]) {
        let mut nodes = Vec::with_capacity(spots.len());
        for spot in spots {
            let standing = self.standing(ground, spot).await;
            nodes.push(Member { name: spot.name.clone(), standing });
        }
        self.change(|view| (view.at, view.nodes) = (now(), nodes));
    }

    async fn standing(&mut self, ground: &mut Ground, spot: &Spot) -> Standing {
        let state = if spot.running { self.state(ground, &spot.name).await.ok() } else { None };
        if let Some(state) = state {
            self.down.remove(&spot.name);
            return Standing::Here { brief: Arc::new(Brief::new(&state)), at: now() };
        }
        let last = self.states.remove(&spot.name);
        let last = || last.map(|state| Arc::new(Brief::new(&state.borrow())));
        let (since, last) = self.down.entry(spot.name.clone()).or_insert_with(|| (now(), last())).clone();
        let why = Silence { kind: SilenceKind::Ended, detail: None };
        Standing::Silent { why, since, again: now().after(super::LOOK_EVERY), last }
    }

    /// The newest state of a node that runs.
    async fn state(&mut self, ground: &mut Ground, name: &str) -> Result<Arc<Snapshot>, String> {
        // One that was started again tells by another feed.
        let ended = self.states.get(name).is_none_or(|state| state.has_changed().is_err());
        if ended {
            let feed = ground.feed(name).await?;
            self.states.insert(name.to_owned(), feed.snapshots);
        }
        let state = self.states.get(name).ok_or_else(|| format!("{name} does not run"))?;
        Ok(state.borrow().clone())
    }

    /// Does what a console asks.
    pub(super) async fn take(&mut self, ground: &mut Ground, command: FleetCommand) -> Option<String> {
        let done = match &command {
            FleetCommand::Show(name) => match ground.feed(name).await {
                Ok(feed) => {
                    self.shows(name);
                    self.change(|view| view.say(true, format!("the console is on {name}")));
                    let _ = self.feeds.send(feed).await;
                    return Some(name.clone());
                }
                Err(why) => Err(why),
            },
            FleetCommand::Compare([a, b]) => self.compare(ground, [a, b]).await,
        };
        match done {
            Ok(compared) => self.change(|view| view.compared = Some(Arc::new(compared))),
            Err(why) => self.change(|view| view.say(false, why)),
        }
        None
    }

    async fn compare(&mut self, ground: &mut Ground, [a, b]: [&str; 2]) -> Result<Comparison, String> {
        let one = self.state(ground, a).await?;
        let other = self.state(ground, b).await?;
        Ok(Comparison::new([a, b], [&one, &other]))
    }

    /// The console is on another node.
    pub(super) fn shows(&self, name: &str) {
        self.change(|view| name.clone_into(&mut view.shown));
    }

    fn change(&self, how: impl FnOnce(&mut FleetView)) {
        self.view.send_modify(|view| how(Arc::make_mut(view)));
    }
}
