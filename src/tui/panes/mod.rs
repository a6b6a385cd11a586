//! The panes, each a component of its own, and which of them has the keys and the screen.

pub(crate) mod component;
mod escalation;
mod events;
mod gossip;
mod kpi;
mod logs;
mod nat;
mod peers;
mod relays;

use std::time::Duration;

use self::component::{Component, Filterable};
use self::escalation::Escalation;
use self::events::Events;
use self::gossip::Gossip;
use self::kpi::Kpi;
use self::logs::Logs;
use self::nat::Nat;
use self::peers::Peers;
use self::relays::Relays;
use super::draw::Drawn;
use super::lists::Shown;
use super::logs::LogSource;
use super::pane::Pane;
use crate::model::{PeerId, Stamp};

pub(crate) use self::component::PaneAction;
pub(crate) use self::escalation::ladder;
pub(crate) use self::logs::TargetRow;
#[cfg(test)]
pub(crate) use self::peers::state_look;

/// Panes that share a place: the one that was last looked at has it, so that it stays when
/// somebody goes on to another pane.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Places {
    /// The last of six.
    pub(crate) sixth: Pane,
    /// The third of four.
    pub(crate) third: Pane,
    /// The last of four.
    pub(crate) fourth: Pane,
}

impl Default for Places {
    fn default() -> Self {
        Self { sixth: Pane::Logs, third: Pane::Relays, fourth: Pane::Events }
    }
}

impl Places {
    /// Somebody looks at that pane.
    pub(crate) fn look_at(&mut self, pane: Pane) {
        match pane {
            Pane::Peers | Pane::Escalation => {}
            Pane::Relays | Pane::Kpi => self.third = pane,
            Pane::Gossip | Pane::Nat => (self.third, self.sixth) = (pane, pane),
            Pane::Logs => (self.fourth, self.sixth) = (pane, pane),
            Pane::Events => self.fourth = pane,
        }
    }
}

/// What a filter can be put in front of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filtered {
    /// The peers.
    Peers,
    /// What happened.
    Events,
    /// The log.
    Lines,
}

impl Filtered {
    pub(crate) const ALL: [Self; 3] = [Self::Peers, Self::Events, Self::Lines];

    /// What is filtered from a pane.
    pub(crate) fn by(pane: Pane) -> Self {
        match pane {
            Pane::Events => Self::Events,
            Pane::Logs => Self::Lines,
            _ => Self::Peers,
        }
    }
}

/// All panes.
#[derive(Debug)]
pub(crate) struct Panes {
    pub(crate) peers: Peers,
    pub(crate) escalation: Escalation,
    pub(crate) relays: Relays,
    gossip: Gossip,
    nat: Nat,
    pub(crate) kpi: Kpi,
    pub(crate) events: Events,
    pub(crate) logs: Logs,
    /// The one that has the keys.
    focus: Pane,
    /// Whether it has the whole screen.
    pub(crate) zoom: bool,
    places: Places,
}

impl Panes {
    /// Of a node to which the console came at that time, and whose log comes from there.
    pub(crate) fn new(came: Stamp, logs: LogSource) -> Self {
        Self {
            peers: Peers::default(),
            escalation: Escalation::default(),
            relays: Relays::default(),
            gossip: Gossip::default(),
            nat: Nat::default(),
            kpi: Kpi::default(),
            events: Events::since(came),
            logs: Logs::of(logs),
            focus: Pane::default(),
            zoom: false,
            places: Places::default(),
        }
    }

    /// The one that has the keys.
    pub(crate) fn focus(&self) -> Pane {
        self.focus
    }

    /// Gives a pane the keys.
    pub(crate) fn set_focus(&mut self, pane: Pane) {
        self.focus = pane;
        self.places.look_at(pane);
    }

    /// Which panes have the places that several share.
    pub(crate) fn places(&self) -> Places {
        self.places
    }

    /// A pane.
    pub(crate) fn get(&self, pane: Pane) -> &dyn Component {
        match pane {
            Pane::Peers => &self.peers,
            Pane::Escalation => &self.escalation,
            Pane::Relays => &self.relays,
            Pane::Gossip => &self.gossip,
            Pane::Nat => &self.nat,
            Pane::Kpi => &self.kpi,
            Pane::Events => &self.events,
            Pane::Logs => &self.logs,
        }
    }

    fn get_mut(&mut self, pane: Pane) -> &mut dyn Component {
        match pane {
            Pane::Peers => &mut self.peers,
            Pane::Escalation => &mut self.escalation,
            Pane::Relays => &mut self.relays,
            Pane::Gossip => &mut self.gossip,
            Pane::Nat => &mut self.nat,
            Pane::Kpi => &mut self.kpi,
            Pane::Events => &mut self.events,
            Pane::Logs => &mut self.logs,
        }
    }

    /// What a filter is put in front of.
    pub(crate) fn filtered(&self, of: Filtered) -> &dyn Filterable {
        match of {
            Filtered::Peers => &self.peers,
            Filtered::Events => &self.events,
            Filtered::Lines => &self.logs,
        }
    }

    /// The same, for another filter.
    pub(crate) fn filtered_mut(&mut self, of: Filtered) -> &mut dyn Filterable {
        match of {
            Filtered::Peers => &mut self.peers,
            Filtered::Events => &mut self.events,
            Filtered::Lines => &mut self.logs,
        }
    }

    /// Takes in a moment.
    pub(crate) fn on_snapshot(&mut self, shown: &Shown<'_>) {
        for &pane in Pane::ALL {
            let focused = self.focus == pane;
            self.get_mut(pane).on_snapshot(shown, focused);
        }
    }

    /// Has a pane do what a key or the mouse asks.
    pub(crate) fn on_action(&mut self, pane: Pane, action: PaneAction) {
        self.get_mut(pane).on_action(action);
    }

    /// Takes in how panes were drawn.
    pub(crate) fn on_drawn(&mut self, drawn: &[(Pane, Drawn)]) {
        for (pane, drawn) in drawn {
            self.get_mut(*pane).on_drawn(*drawn);
        }
    }

    /// Rows are of another node from now on, or of the same under other names.
    pub(crate) fn forget_rows(&mut self) {
        for &pane in Pane::ALL {
            self.get_mut(pane).forget_rows();
        }
    }

    /// Another node is shown from now on, to which the console comes at that time: what is
    /// about the console, such as orders and filters, stays.
    pub(crate) fn switch(&mut self, came: Stamp) {
        self.forget_rows();
        for pane in [Pane::Relays, Pane::Gossip, Pane::Nat, Pane::Kpi] {
            self.get_mut(pane).on_drawn(Drawn::default());
        }
        self.relays.look_at_held();
        self.events.begin_anew(came);
        self.logs.log_mut().release();
    }

    /// The pane whose selection peer actions are about: the focused one, if its selected
    /// row is about a peer, else the peers.
    pub(crate) fn acting(&self) -> Pane {
        match self.get(self.focus).target() {
            Some(_) => self.focus,
            None => Pane::Peers,
        }
    }

    /// The peer that actions are about.
    pub(crate) fn target(&self) -> Option<PeerId> {
        self.get(self.acting()).target()
    }

    /// How long until a pane looks different though nothing happens.
    pub(crate) fn changes_in(&self, at: Duration) -> Option<Duration> {
        Pane::ALL.iter().filter_map(|pane| self.get(*pane).changes_in(at)).min()
    }
}
