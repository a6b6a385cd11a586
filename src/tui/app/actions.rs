//! What each action does to the state, and when it can be done.

use super::{App, Effect, LabPanel, LabRow, Overlay, Pane, Tone};
use crate::model::{Command, Path, PeerId, PeerRow, PeerState, Reason, clean};
use crate::tui::bindings::{Action, Binding, Danger, NodeCommand, Scope};

/// Which way and how far to move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Move {
    /// Towards the first row.
    Up(usize),
    /// Towards the last row.
    Down(usize),
    /// To the first row.
    Top,
    /// To the last row.
    Bottom,
}

impl Move {
    /// A position in `0..=last` after the move.
    pub(crate) fn apply(self, at: usize, last: usize) -> usize {
        match self {
            Self::Up(n) => at.min(last).saturating_sub(n),
            Self::Down(n) => at.saturating_add(n).min(last),
            Self::Top => 0,
            Self::Bottom => last,
        }
    }
}

impl App {
    /// Does what a binding says, or says why not. `by`: what asked for it, as a
    /// person would call it.
    pub(super) fn perform(&mut self, binding: &Binding, by: &str) -> Vec<Effect> {
        let action = binding.action;
        if let Err(reason) = self.available(action) {
            let now = self.node_now();
            self.commands.say(Tone::Warn, format!("{by}: {reason}"), now);
            return Vec::new();
        }
        if self.goes_to_event(action) {
            self.go_to_event();
            return Vec::new();
        }
        if let Some(Ok(command)) = self.end_of_served(action) {
            return self.ask_or_send(command, binding.danger);
        }
        self.act(binding, self.target())
    }

    /// Whether the key that asks why goes to a moment here.
    fn goes_to_event(&self, action: Action) -> bool {
        action == Action::Why && self.overlays.is_empty() && self.focus == Pane::Events
    }

    /// Does what a binding says, where it is about a peer to that one.
    pub(super) fn act(&mut self, binding: &Binding, target: Option<PeerId>) -> Vec<Effect> {
        let action = binding.action;
        match action {
            Action::Node(asked) => {
                let command = self.command_of(asked, target);
                return command.map_or_else(Vec::new, |command| self.ask_or_send(command, binding.danger));
            }
            Action::Quit => return vec![Effect::Quit],
            Action::Suspend => return vec![Effect::Suspend],
            Action::CopyId | Action::CopyAddress | Action::CopyWhy => {
                return target.map_or_else(Vec::new, |peer| self.copy(action, peer));
            }
            Action::Yes => return self.confirmed(),
            Action::Why => {
                if let Some(peer) = target {
                    return self.open_why(peer);
                }
            }
            Action::OpenLab => self.overlays.push(Overlay::Lab { scroll: 0 }),
            Action::OpenDrills => self.overlays.push(Overlay::Drills),
            Action::ChooseNat => {
                if let Some(LabRow::Node(node)) = self.lab.as_ref().and_then(LabPanel::chosen) {
                    let host = node.name.clone();
                    self.overlays.push(Overlay::Nat { host });
                }
            }
            Action::Lab(key) => return self.ask_lab(key),
            Action::Help => {
                let help =
                    Overlay::Help { from: self.scope(), search: String::new(), typing: false, scroll: 0 };
                self.overlays.push(help);
            }
            Action::Palette => self.open_palette(),
            Action::Search => self.search(true),
            Action::Close | Action::No => {
                self.overlays.pop();
            }
            Action::Filter => self.open_prompt(),
            Action::Apply => match self.scope() {
                Scope::Palette => return self.do_chosen(),
                Scope::Name => return self.confirmed(),
                Scope::Search => self.search(false),
                _ => self.keep_filter(),
            },
            Action::Cancel => match self.scope() {
                Scope::Palette | Scope::Name => drop(self.overlays.pop()),
                Scope::Search => {
                    self.edit(String::clear);
                    self.search(false);
                }
                _ => self.cancel_prompt(),
            },
            Action::Complete if self.scope() == Scope::Palette => self.complete_chosen(),
            Action::Complete => self.complete(),
            Action::Older => self.recall(1),
            Action::Newer => self.recall(-1),
            Action::Erase => self.edit(|text| {
                text.pop();
            }),
            Action::EraseAll => self.edit(String::clear),
            Action::Back if self.moment.is_some() && !self.is_at_the_end() => self.back_to_now(),
            Action::Back => {
                if let Some(of) = self.filter_to_clear() {
                    self.set_filter(of, "");
                }
            }
            Action::Sort => {
                match self.focus {
                    Pane::Escalation => self.attempts.sort_next(),
                    Pane::Relays => self.sort_relays_next(),
                    Pane::Kpi => self.kpi_span = self.kpi_span.wrapping_add(1),
                    _ => self.peers.sort_next(),
                }
                self.refresh();
            }
            Action::SortInverse => {
                match self.focus {
                    Pane::Escalation => self.attempts.sort_inverse(),
                    Pane::Relays => self.sort_relays_inverse(),
                    _ => self.peers.sort_inverse(),
                }
                self.refresh();
            }
            Action::Freeze => self.toggle_freeze(),
            Action::Step(step) => self.step(step),
            Action::Snap => return self.snap(),
            Action::Mask => self.set_masked(!self.boundary.is_masked()),
            Action::Zoom => self.zoom = !self.zoom,
            Action::NextPane => self.focus = self.focus.step(1),
            Action::PrevPane => self.focus = self.focus.step(Pane::ALL.len() - 1),
            Action::Pane(n) => {
                if let Some(pane) = Pane::ALL.get(usize::from(n).wrapping_sub(1)) {
                    self.focus = *pane;
                }
            }
            Action::Up => self.go(Move::Up(1)),
            Action::Down => self.go(Move::Down(1)),
            Action::PageUp => self.go(Move::Up(self.drawn.page.max(1))),
            Action::PageDown => self.go(Move::Down(self.drawn.page.max(1))),
            Action::Top => self.go(Move::Top),
            Action::Bottom => self.go(Move::Bottom),
        }
        Vec::new()
    }

    /// What is asked as a command, if there is a peer for it.
    fn command_of(&self, asked: NodeCommand, peer: Option<PeerId>) -> Option<Command> {
        Some(match asked {
            NodeCommand::Sync => Command::Sync { peer: Some(peer?) },
            NodeCommand::SyncAll => Command::Sync { peer: None },
            NodeCommand::Connect => Command::Connect { peer: peer? },
            NodeCommand::Punch => Command::Punch { peer: peer? },
            NodeCommand::Relay => Command::Relay { peer: peer? },
            NodeCommand::Disconnect => Command::Disconnect { peer: peer? },
            NodeCommand::Failover => {
                let relayed = |id: &PeerId| self.peer(*id).is_some_and(|p| p.path == Some(Path::Relayed));
                Command::Failover { peer: peer.filter(relayed) }
            }
            NodeCommand::NatProbe => Command::NatProbe,
        })
    }

    fn ask_or_send(&mut self, command: Command, danger: Danger) -> Vec<Effect> {
        if danger >= Danger::Disruptive || self.guess_of(&command).is_some() {
            self.ask_first(command);
            return Vec::new();
        }
        self.send(command)
    }

    pub(super) fn send(&mut self, command: Command) -> Vec<Effect> {
        let now = self.node_now();
        if self.commands.is_running(&command) {
            let what = super::commands::describe(&command);
            self.commands.say(Tone::Warn, format!("{what} is running already, nothing was queued"), now);
            return Vec::new();
        }
        vec![Effect::Send(command)]
    }

    /// Begins or ends typing what is looked for in the help.
    fn search(&mut self, on: bool) {
        if let Some(Overlay::Help { typing, .. }) = self.overlays.last_mut() {
            *typing = on;
        }
    }

    /// A peer as a person calls it.
    pub(crate) fn call(&self, id: PeerId) -> String {
        match self.peer(id).and_then(|p| p.name.as_deref()) {
            Some(name) => format!("{} {}", id.short(), clean(name)),
            None => id.short(),
        }
    }

    pub(super) fn go(&mut self, step: Move) {
        match self.overlays.last_mut() {
            Some(Overlay::Help { scroll, .. } | Overlay::Why { scroll, .. }) => {
                // The view cuts it to what there is.
                *scroll = u16::try_from(step.apply(usize::from(*scroll), usize::from(u16::MAX)))
                    .unwrap_or(u16::MAX);
                return;
            }
            Some(Overlay::Lab { .. }) => {
                if let Some(lab) = &mut self.lab {
                    lab.row = step.apply(lab.row, lab.last_row());
                }
                return;
            }
            Some(Overlay::Drills) => {
                if let Some(lab) = &mut self.lab {
                    lab.drill = step.apply(lab.drill, lab.view.drills.len().saturating_sub(1));
                }
                return;
            }
            Some(Overlay::Palette(_)) => return self.choose(step),
            Some(Overlay::Confirm(_) | Overlay::Nat { .. }) => return,
            None => {}
        }
        self.go_in(self.focus, step, self.drawn.page);
    }

    /// Moves in a pane, which shows so many rows.
    pub(super) fn go_in(&mut self, pane: Pane, step: Move, page: usize) {
        match pane {
            Pane::Peers => self.peers.go(step),
            Pane::Escalation => self.attempts.go(step),
            Pane::Relays => self.go_relays(step),
            Pane::Gossip | Pane::Nat | Pane::Kpi => {
                let scroll = &mut self.scrolls[pane as usize];
                *scroll = step.apply(*scroll, usize::MAX);
            }
            Pane::Events => {
                let end = self.timeline_end();
                self.timeline.go(step, page, end);
            }
            Pane::Logs => {
                let end = self.lines_end();
                self.lines.go(step, page, end);
            }
        }
    }

    /// Whether an action works here and now; if not, why.
    pub(crate) fn available(&self, action: Action) -> Result<(), String> {
        if self.goes_to_event(action) {
            return self.event_in_reach().map(|_| ());
        }
        if let Some(ends) = self.end_of_served(action) {
            self.may_change(action)?;
            return ends.map(|_| ());
        }
        if action.is_about_a_peer() {
            self.may_change(action)?;
            self.peers_in_sight()?;
        }
        self.available_to(action, self.target())
    }

    /// The same where it is about that peer, whichever is selected.
    pub(super) fn available_to(&self, action: Action, target: Option<PeerId>) -> Result<(), String> {
        self.may_change(action)?;
        match action {
            Action::Step(step) => self.where_to(step).map(|_| ()),
            Action::Snap if self.snapping => Err("a file is being written already".to_owned()),
            Action::Why
            | Action::CopyId
            | Action::Node(NodeCommand::Connect | NodeCommand::Punch | NodeCommand::Relay) => {
                self.known(target).map(|_| ())
            }
            Action::CopyAddress | Action::CopyWhy => self.text_of(action, target).map(|_| ()),
            Action::Node(NodeCommand::Sync) => {
                let peer = self.known(target)?;
                if peer.state == PeerState::Foreign {
                    return Err(Reason::Foreign.to_string());
                }
                if peer.state.is_up() { Ok(()) } else { Err(Reason::NotLinked.to_string()) }
            }
            Action::Node(NodeCommand::Disconnect) => {
                let peer = self.known(target)?;
                if peer.state.is_up() { Ok(()) } else { Err(Reason::NotLinked.to_string()) }
            }
            Action::Node(NodeCommand::SyncAll) => {
                if self.shown().links.iter().any(|l| !l.foreign) {
                    Ok(())
                } else {
                    Err(Reason::NoLinks.to_string())
                }
            }
            Action::Node(NodeCommand::Failover) => {
                if self.shown().links.iter().any(|l| l.path == Path::Relayed) {
                    Ok(())
                } else {
                    Err(Reason::NoRelayInUse.to_string())
                }
            }
            Action::OpenLab => self.lab_here("this needs").map(|_| ()),
            Action::OpenDrills => self.lab_here("drills need").map(|_| ()),
            Action::Lab(key) => self.lab_here("this needs")?.command(key).map(|_| ()),
            Action::ChooseNat => self.nat_to_choose(),
            Action::Back
                if (self.moment.is_none() || self.is_at_the_end()) && self.filter_to_clear().is_none() =>
            {
                Err("there is no filter".to_owned())
            }
            Action::Zoom if !self.zoom && !self.drawn.several => {
                Err("one pane has the screen already".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Whether anything may be changed, and there is somebody to ask for it.
    fn may_change(&self, action: Action) -> Result<(), String> {
        match &self.gone {
            Some(gone) if matches!(action, Action::Node(_)) => Err(gone.reason().to_owned()),
            _ if matches!(action, Action::Node(_)) && self.of_this_moment().is_err() => self.of_this_moment(),
            _ if self.replay.is_some() && action.changes_something() => {
                Err("this is a replay, there is no lab to change".to_owned())
            }
            _ if self.read_only && action.changes_something() => Err("this console may only look".to_owned()),
            _ => Ok(()),
        }
    }

    /// Where the panes are all there is, nobody acts on a peer that is not seen.
    fn peers_in_sight(&self) -> Result<(), String> {
        let over = |o: &Overlay| !matches!(o, Overlay::Help { .. } | Overlay::Palette(_));
        if self.drawn.peers || self.acting() != Pane::Peers || self.overlays.iter().any(over) {
            return Ok(());
        }
        let key = self.keys.key_of(Scope::Main, Action::Pane(1));
        Err(format!("the peers are not on the screen ({key} shows them)"))
    }

    /// The peer that an action would be about.
    pub(super) fn known(&self, target: Option<PeerId>) -> Result<&PeerRow, String> {
        let id = target.ok_or("no peer is selected")?;
        self.peer(id).map(|p| &**p).ok_or_else(|| format!("{} is not in the cache any more", id.short()))
    }
}
