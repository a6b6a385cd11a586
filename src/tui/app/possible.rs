//! What can be done here and now, and if not, why.

use super::App;
use crate::model::{NatType, Path, PeerId, PeerRow, PeerState, Reason};
use crate::tui::bindings::{Action, LabKey, NodeCommand, Scope};
use crate::tui::draw::Possible;
use crate::tui::fmt;
use crate::tui::lists::Stamped as _;
use crate::tui::overlays::Overlay;
use crate::tui::overlays::fleet::FleetPanel;
use crate::tui::overlays::lab::LabPanel;
use crate::tui::pane::Pane;
use crate::tui::panes::Filtered;

/// What can be done where those panes are on the screen.
pub(crate) struct Here<'a> {
    app: &'a App,
    on_screen: Vec<Pane>,
}

impl Possible for Here<'_> {
    fn available(&self, action: Action) -> Result<(), String> {
        let app = self.app;
        if action.is_about_a_peer() {
            app.may_change(action)?;
            self.peers_in_sight()?;
        }
        self.available_to(action, app.target())
    }

    fn available_to(&self, action: Action, target: Option<PeerId>) -> Result<(), String> {
        let app = self.app;
        app.may_change(action)?;
        let relayed = || app.shown().links.iter().any(|l| l.path == Path::Relayed);
        match action {
            Action::Step(step) => app.history.where_to(step, app.live().at, &app.settings.zone).map(|_| ()),
            Action::GoToEvent => app.event_in_reach(),
            Action::EndServed => app.served().map(|_| ()),
            Action::Freeze if app.history.replayed().is_some() => {
                Err("a replay stands still unless it is played".to_owned())
            }
            Action::Play if app.history.replayed().is_none() => Err("this is no replay".to_owned()),
            Action::Snap if app.history.writing => Err("a file is being written already".to_owned()),
            Action::Why
            | Action::CopyId
            | Action::Node(NodeCommand::Connect | NodeCommand::Punch | NodeCommand::Relay) => {
                app.known(target).map(|_| ())
            }
            Action::CopyAddress | Action::CopyWhy => app.text_of(action, target).map(|_| ()),
            Action::Node(NodeCommand::Sync) if app.known(target)?.state == PeerState::Foreign => {
                Err(Reason::Foreign.to_string())
            }
            Action::Node(NodeCommand::Sync | NodeCommand::Disconnect) => {
                or(app.known(target)?.state.is_up(), &Reason::NotLinked)
            }
            Action::Node(NodeCommand::SyncAll) => {
                or(app.shown().links.iter().any(|l| !l.foreign), &Reason::NoLinks)
            }
            Action::Node(NodeCommand::Failover) => or(relayed(), &Reason::NoRelayInUse),
            Action::OpenLab => app.lab_here("this needs").map(|_| ()),
            Action::OpenFleet => app.fleet_here().map(|_| ()),
            Action::Fleet(key) => app.fleet_here()?.possible(key),
            Action::OpenDrills => app.lab_here("drills need").map(|_| ()),
            Action::Lab(key) => app.lab_here("this needs")?.command(key).map(|_| ()),
            Action::ChooseNat => app.lab_here("this needs")?.command(LabKey::Nat(NatType::None)).map(|_| ()),
            Action::Back if !app.leaves_moment() && app.filter_to_clear().is_none() => {
                Err("there is no filter".to_owned())
            }
            Action::Zoom if !app.panes.zoom && self.on_screen.len() < 2 => {
                Err("one pane has the screen already".to_owned())
            }
            _ => Ok(()),
        }
    }
}

fn or(possible: bool, reason: &Reason) -> Result<(), String> {
    if possible { Ok(()) } else { Err(reason.to_string()) }
}

impl Here<'_> {
    /// Where the panes are all there is, nobody acts on a peer that is not seen.
    fn peers_in_sight(&self) -> Result<(), String> {
        let over = |o: &Overlay| !matches!(o, Overlay::Help(_) | Overlay::Palette(_));
        if self.on_screen.contains(&Pane::Peers)
            || self.app.panes.acting() != Pane::Peers
            || self.app.overlays.iter().any(over)
        {
            return Ok(());
        }
        let key = self.app.settings.keys.key_of(Scope::Main, Action::Pane(1));
        Err(format!("the peers are not on the screen ({key} shows them)"))
    }
}

impl App {
    /// What can be done here and now, where those panes are on the screen.
    pub(crate) fn possible(&self, on_screen: Vec<Pane>) -> Here<'_> {
        Here { app: self, on_screen }
    }

    /// Whether an action works here and now; if not, why.
    pub(crate) fn available(&self, action: Action) -> Result<(), String> {
        self.here().available(action)
    }

    /// What can be done on the screen as it was last drawn.
    pub(super) fn here(&self) -> Here<'_> {
        self.possible(self.layout.panes.iter().map(|(pane, _)| *pane).collect())
    }

    /// Whether anything may be changed, and there is somebody to ask for it.
    fn may_change(&self, action: Action) -> Result<(), String> {
        match self.gone() {
            Some(gone) if action.is_for_the_node() => Err(gone.reason().to_owned()),
            _ if action.is_for_the_node() && self.of_this_moment().is_err() => self.of_this_moment(),
            _ if self.history.replayed().is_some() && action.changes_something() => {
                Err("this is a replay, there is no lab to change".to_owned())
            }
            _ if self.settings.read_only && action.changes_something() => {
                Err("this console may only look".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Why nothing can be asked of the node here, if it is for the moment.
    pub(super) fn of_this_moment(&self) -> Result<(), String> {
        match self.moment() {
            _ if self.history.replayed().is_some() => {
                Err("this is a replay, there is no node to ask".to_owned())
            }
            Some(moment) if moment.past => {
                let time = fmt::time_of_day(moment.now, &self.settings.zone);
                let back = self.settings.keys.key_of(Scope::Main, Action::Back);
                Err(format!("you are looking at {}; {back} comes back", &time[..time.len().min(8)]))
            }
            _ => Ok(()),
        }
    }

    /// Whether going back leaves the moment that is looked at, and not a filter.
    pub(super) fn leaves_moment(&self) -> bool {
        self.moment().is_some() && !self.history.is_at_the_end()
    }

    /// The filter that escape takes away: that of the focused pane, else of the
    /// peers.
    pub(super) fn filter_to_clear(&self) -> Option<Filtered> {
        let mut of = [Filtered::by(self.panes.focus()), Filtered::Peers].into_iter();
        of.find(|of| !self.panes.filtered(*of).filter().is_empty())
    }

    /// The peer that an action would be about.
    pub(super) fn known(&self, target: Option<PeerId>) -> Result<&PeerRow, String> {
        let id = target.ok_or("no peer is selected")?;
        self.peer(id).map(|p| &**p).ok_or_else(|| format!("{} is not in the cache any more", id.short()))
    }

    /// The console's lab, or how to get one.
    fn lab_here(&self, for_what: &str) -> Result<&LabPanel, String> {
        self.panels
            .lab
            .as_ref()
            .ok_or_else(|| format!("{for_what} a lab: punchdeck lab starts one, with a console on it"))
    }

    /// The fleet that the console looks at, or how to get one.
    fn fleet_here(&self) -> Result<&FleetPanel, String> {
        self.panels.fleet.as_ref().ok_or_else(|| {
            "this needs a fleet: punchdeck attach --fleet FILE looks at one, and punchdeck lab is one"
                .to_owned()
        })
    }

    /// Whether the moment of the chosen event can be gone to.
    fn event_in_reach(&self) -> Result<(), String> {
        let chosen = self.panes.events.log().chosen().ok_or("there is no event to go to")?;
        self.history.in_reach(chosen.at(), &self.settings.zone)
    }

    /// The chosen peer among those whom we serve.
    pub(super) fn served(&self) -> Result<PeerId, String> {
        match self.panes.relays.selected_served() {
            Some((peer, false)) => Ok(peer),
            Some((peer, true)) => Err(format!("{} is not served any more", peer.short())),
            None => Err("no peer that we serve is chosen".to_owned()),
        }
    }
}
