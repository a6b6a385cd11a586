//! What keys do: the action of a key in its scope, and what each action does to the parts.

use std::time::Duration;

use ratatui::crossterm::event::{KeyEvent, KeyEventKind};

use super::App;
use crate::model::{Command, Path, PeerId};
use crate::tui::bindings::{Action, Binding, Danger, Key, NodeCommand};
use crate::tui::commands::{Tone, describe};
use crate::tui::lists::Move;
use crate::tui::message::Effect;
use crate::tui::overlays::lab::{LabPanel, LabRow};
use crate::tui::overlays::{Help, Overlay, Palette, What};
use crate::tui::pane::Pane;
use crate::tui::panes::{Filtered, PaneAction};

/// A key that closed something is not meant to quit so soon after.
const TWICE_BY_MISTAKE: Duration = Duration::from_millis(700);

impl App {
    pub(super) fn key(&mut self, event: &KeyEvent) -> Vec<Effect> {
        if event.kind == KeyEventKind::Release {
            return Vec::new();
        }
        let Some(key) = Key::of(event) else { return Vec::new() };
        let scopes = self.scopes();
        if let Some(binding) = self.settings.keys.lookup(&scopes, key) {
            if self.means_close(binding.action, key) {
                let text = format!("{key} closed what was open; {key} once more leaves");
                self.say(Tone::Info, text);
                return Vec::new();
            }
            let before = self.overlays.len();
            let effects = self.perform(binding, &key.to_string());
            if self.overlays.len() < before {
                self.closed_by = Some((key, self.node.at));
            }
            return effects;
        }
        if let Some(c) = key.typed().filter(|_| scopes.iter().any(|scope| scope.is_typing())) {
            self.type_char(c);
        }
        Vec::new()
    }

    /// Whether a key that would quit was pressed once too often to close something: it
    /// has done so a moment ago. It counts once.
    fn means_close(&mut self, action: Action, key: Key) -> bool {
        let lately = self.closed_by.take();
        action == Action::Quit
            && lately.is_some_and(|(by, at)| by == key && self.node.at.saturating_sub(at) < TWICE_BY_MISTAKE)
    }

    /// Does what a binding says, or says why not. `by`: what asked for it, as a
    /// person would call it.
    pub(super) fn perform(&mut self, binding: &Binding, by: &str) -> Vec<Effect> {
        let action = binding.action;
        if let Err(reason) = self.available(action) {
            self.say(Tone::Warn, format!("{by}: {reason}"));
            return Vec::new();
        }
        self.act(binding, self.target())
    }

    /// Does what a binding says, where it is about a peer to that one.
    fn act(&mut self, binding: &Binding, target: Option<PeerId>) -> Vec<Effect> {
        let action = binding.action;
        match action {
            Action::Node(asked) => {
                let command = self.command_of(asked, target);
                return command.map_or_else(Vec::new, |command| self.ask_or_send(command, binding.danger));
            }
            Action::EndServed => {
                if let Ok(peer) = self.served() {
                    return self.ask_or_send(Command::EndServed { peer }, binding.danger);
                }
            }
            Action::GoToEvent => self.go_to_event(),
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
            Action::OpenLab => {
                if let Some(lab) = &mut self.panels.lab {
                    lab.open();
                }
                self.overlays.push(Overlay::Lab);
            }
            Action::OpenFleet => self.open_fleet(),
            Action::Fleet(key) => return self.ask_fleet(key),
            Action::OpenDrills => self.overlays.push(Overlay::Drills),
            Action::ChooseNat => {
                if let Some(LabRow::Node(node)) = self.panels.lab.as_ref().and_then(LabPanel::chosen) {
                    self.overlays.push(Overlay::Nat(node.name.clone()));
                }
            }
            Action::Lab(key) => return self.ask_lab(key),
            Action::Help => self.overlays.push(Overlay::Help(Help::new(self.scopes()))),
            Action::Palette => {
                let palette = Palette::open(self.scopes(), &self.settings.keys, &self.shown().peers);
                self.overlays.push(Overlay::Palette(palette));
            }
            Action::Search => self.with_help(|help| help.search(true)),
            Action::Close | Action::No => drop(self.overlays.pop()),
            Action::Filter => self.open_prompt(),
            Action::FilterKeep => self.filter_line.keep(),
            Action::FilterCancel => self.cancel_prompt(),
            Action::FilterComplete => self.complete(),
            Action::SearchKeep => self.with_help(|help| help.search(false)),
            Action::SearchCancel => self.with_help(Help::cancel_search),
            Action::PaletteDo => return self.do_chosen(),
            Action::PaletteComplete => self.complete_chosen(),
            Action::Older => self.recall(1),
            Action::Newer => self.recall(-1),
            Action::Edit(request) => self.edit(request),
            Action::Back if self.leaves_moment() => self.back_to_now(),
            Action::Back => {
                if let Some(of) = self.filter_to_clear() {
                    self.set_filter(of, "");
                }
            }
            Action::Sort => {
                self.panes.on_action(self.sorted(), PaneAction::Sort);
                self.refresh();
            }
            Action::NextSpan => self.panes.kpi.turn(),
            Action::SortInverse => {
                self.panes.on_action(self.sorted(), PaneAction::SortInverse);
                self.refresh();
            }
            Action::Freeze => self.toggle_freeze(),
            Action::Play => self.toggle_play(),
            Action::Step(step) => self.step(step),
            Action::Snap => return self.snap(),
            Action::Mask => self.set_masked(!self.history.boundary().is_masked()),
            Action::Zoom => self.panes.zoom = !self.panes.zoom,
            Action::NextPane => self.panes.set_focus(self.panes.focus().step(1)),
            Action::PrevPane => self.panes.set_focus(self.panes.focus().step(Pane::ALL.len() - 1)),
            Action::Pane(n) => {
                if let Some(pane) = Pane::ALL.get(usize::from(n).wrapping_sub(1)) {
                    self.panes.set_focus(*pane);
                }
            }
            Action::Up => self.go(Move::Up(1)),
            Action::Down => self.go(Move::Down(1)),
            Action::PageUp => self.go(Move::Up(self.page())),
            Action::PageDown => self.go(Move::Down(self.page())),
            Action::Top => self.go(Move::Top),
            Action::Bottom => self.go(Move::Bottom),
        }
        Vec::new()
    }

    /// The pane that keys sort: the focused one, if its rows have an order, else the peers.
    fn sorted(&self) -> Pane {
        match self.panes.focus() {
            pane @ (Pane::Escalation | Pane::Relays) => pane,
            _ => Pane::Peers,
        }
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
        if self.commands.is_running(&command) {
            let text = format!("{} is running already, nothing was queued", describe(&command));
            self.say(Tone::Warn, text);
            return Vec::new();
        }
        vec![Effect::Send(command)]
    }

    fn with_help(&mut self, change: impl FnOnce(&mut Help)) {
        if let Some(Overlay::Help(help)) = self.overlays.top_mut() {
            change(help);
        }
    }

    fn page(&self) -> usize {
        self.layout.page(self.panes.focus())
    }

    /// Moves what lies on top, else in the focused pane.
    pub(super) fn go(&mut self, step: Move) {
        if !self.overlays.go(step, &mut self.panels) {
            self.panes.on_action(self.panes.focus(), PaneAction::Go(step));
        }
    }

    /// Does what is chosen in the palette. What cannot be done leaves the palette open.
    pub(super) fn do_chosen(&mut self) -> Vec<Effect> {
        let Some(Overlay::Palette(palette)) = self.overlays.top() else { return Vec::new() };
        let Some(hit) = palette.chosen().cloned() else { return Vec::new() };
        if let Err(reason) = hit.possible(&self.here()) {
            self.say(Tone::Warn, format!("{}: {reason}", hit.title));
            return Vec::new();
        }
        self.overlays.pop();
        match hit.what {
            What::Do(line) => self.perform(line, line.name),
            What::Select(peer) => {
                self.show_peer(peer);
                Vec::new()
            }
            What::DoTo(line, peer) => {
                self.show_peer(peer);
                self.act(line, Some(peer))
            }
        }
    }

    fn complete_chosen(&mut self) {
        if let Some(Overlay::Palette(palette)) = self.overlays.top_mut() {
            palette.complete();
        }
        self.on_edit();
    }

    /// Selects a peer where it can be seen.
    fn show_peer(&mut self, peer: PeerId) {
        self.overlays.clear();
        self.panes.set_focus(Pane::Peers);
        if !self.panes.peers.select(peer) {
            // The filter hides it, and it was asked for by name.
            self.set_filter(Filtered::Peers, "");
            self.panes.peers.select(peer);
        }
    }
}
