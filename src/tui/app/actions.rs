//! What each action does to the state, and when it can be done.

use super::{App, Effect, LabRow, LabSide, Overlay, Pane, Tone};
use crate::model::{Command, Path, PeerId, PeerRow, PeerState, Reason, clean};
use crate::tui::bindings::{Action, Binding, Danger, Order};

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
    /// Does what a binding says, or says why not.
    pub(super) fn perform(&mut self, binding: &Binding) -> Vec<Effect> {
        let action = binding.action;
        if let Err(reason) = self.available(action) {
            let now = self.node_now();
            self.commands.say(Tone::Warn, format!("{}: {reason}", binding.keys[0]), now);
            return Vec::new();
        }
        match action {
            Action::Order(order) => {
                let command = self.command_of(order);
                return command.map_or_else(Vec::new, |command| self.ask_or_send(command, binding.danger));
            }
            Action::Quit => return vec![Effect::Quit],
            Action::Suspend => return vec![Effect::Suspend],
            Action::Copy => return self.copy(),
            Action::Yes => return self.confirmed(),
            Action::Why if self.overlays.is_empty() && self.focus == Pane::Events => self.go_to_event(),
            Action::Why => {
                if let Some(peer) = self.target() {
                    return self.open_why(peer);
                }
            }
            Action::OpenLab => self.overlays.push(Overlay::Lab { scroll: 0 }),
            Action::OpenDrills => self.overlays.push(Overlay::Drills),
            Action::ChooseNat => {
                if let Some(LabRow::Node(node)) = self.lab.as_ref().and_then(LabSide::chosen) {
                    let host = node.name.clone();
                    self.overlays.push(Overlay::Nat { host });
                }
            }
            Action::Lab(key) => return self.ask_lab(key),
            Action::Help => self.overlays.push(Overlay::Help { scroll: 0 }),
            Action::Close | Action::No => {
                self.overlays.pop();
            }
            Action::Filter => self.open_prompt(),
            Action::Apply => self.keep_filter(),
            Action::Cancel => self.cancel_prompt(),
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
                self.peers.sort_next();
                self.refresh();
            }
            Action::SortInverse => {
                self.peers.sort_inverse();
                self.refresh();
            }
            Action::Freeze => self.toggle_freeze(),
            Action::Step(step) => self.step(step),
            Action::Snap => return self.snap(),
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

    /// The command of an order, if there is a peer for it.
    fn command_of(&self, order: Order) -> Option<Command> {
        let peer = self.target();
        Some(match order {
            Order::Sync => Command::Sync { peer: Some(peer?) },
            Order::SyncAll => Command::Sync { peer: None },
            Order::Connect => Command::Connect { peer: peer? },
            Order::Punch => Command::Punch { peer: peer? },
            Order::Relay => Command::Relay { peer: peer? },
            Order::Disconnect => Command::Disconnect { peer: peer? },
            Order::Failover => {
                let relayed = |id: &PeerId| self.peer(*id).is_some_and(|p| p.path == Some(Path::Relayed));
                Command::Failover { peer: peer.filter(relayed) }
            }
            Order::NatProbe => Command::NatProbe,
        })
    }

    fn ask_or_send(&mut self, command: Command, danger: Danger) -> Vec<Effect> {
        if danger == Danger::Disruptive {
            let whom = command.peer().map_or_else(String::new, |id| self.call(id));
            let question = format!(
                "{} {whom}? Automatic dials to and from it wait for 60 s; c connects it again at once.",
                capital(command.verb())
            );
            self.overlays.push(Overlay::Confirm { command, question });
            return Vec::new();
        }
        self.send(command)
    }

    fn send(&mut self, command: Command) -> Vec<Effect> {
        let now = self.node_now();
        if self.commands.is_running(&command) {
            let what = super::commands::describe(&command);
            self.commands.say(Tone::Warn, format!("{what} is running already, nothing was queued"), now);
            return Vec::new();
        }
        vec![Effect::Send(command)]
    }

    fn confirmed(&mut self) -> Vec<Effect> {
        match self.overlays.pop() {
            Some(Overlay::Confirm { command, .. }) => self.send(command),
            _ => Vec::new(),
        }
    }

    fn copy(&mut self) -> Vec<Effect> {
        let Some(id) = self.target() else { return Vec::new() };
        let now = self.node_now();
        let text =
            format!("the id of {} went to the terminal's clipboard, if it takes OSC 52", self.call(id));
        self.commands.say(Tone::Info, text, now);
        vec![Effect::Copy(id.to_string())]
    }

    /// A peer as a person calls it.
    pub(crate) fn call(&self, id: PeerId) -> String {
        match self.peer(id).and_then(|p| p.name.as_deref()) {
            Some(name) => format!("{} {}", id.short(), clean(name)),
            None => id.short(),
        }
    }

    fn go(&mut self, step: Move) {
        let page = self.drawn.page;
        match self.overlays.last_mut() {
            Some(Overlay::Help { scroll } | Overlay::Why { scroll, .. }) => {
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
            Some(Overlay::Confirm { .. } | Overlay::Nat { .. }) => return,
            None => {}
        }
        match self.focus {
            Pane::Peers => self.peers.go(step),
            pane @ (Pane::Escalation | Pane::Relays | Pane::Gossip | Pane::Nat | Pane::Kpi) => {
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
        if matches!(action, Action::Order(_)) {
            if let Some(gone) = &self.gone {
                return Err(gone.reason().to_owned());
            }
            if self.read_only {
                return Err("this console may only look".to_owned());
            }
            self.of_this_moment()?;
        }
        match action {
            Action::Why if self.overlays.is_empty() && self.focus == Pane::Events => {
                self.event_in_reach().map(|_| ())
            }
            Action::Step(step) => self.where_to(step).map(|_| ()),
            Action::Snap if self.snapping => Err("a file is being written already".to_owned()),
            Action::Lab(_) | Action::ChooseNat if self.replay.is_some() => {
                Err("this is a replay, there is no lab to change".to_owned())
            }
            Action::Why | Action::Copy | Action::Order(Order::Connect | Order::Punch | Order::Relay) => {
                self.peer_in_reach().map(|_| ())
            }
            Action::Order(Order::Sync) => {
                let peer = self.peer_in_reach()?;
                if peer.state == PeerState::Foreign {
                    return Err(Reason::Foreign.to_string());
                }
                if peer.state.is_up() { Ok(()) } else { Err(Reason::NotLinked.to_string()) }
            }
            Action::Order(Order::Disconnect) => {
                let peer = self.peer_in_reach()?;
                if peer.state.is_up() { Ok(()) } else { Err(Reason::NotLinked.to_string()) }
            }
            Action::Order(Order::SyncAll) => {
                if self.shown().links.iter().any(|l| !l.foreign) {
                    Ok(())
                } else {
                    Err(Reason::NoLinks.to_string())
                }
            }
            Action::Order(Order::Failover) => {
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

    /// The peer that an action would be about.
    fn peer_in_reach(&self) -> Result<&PeerRow, String> {
        if self.overlays.is_empty() && !self.drawn.peers {
            return Err("the peers are not on the screen (1 shows them)".to_owned());
        }
        let id = self.target().ok_or("no peer is selected")?;
        self.peer(id).map(|p| &**p).ok_or_else(|| format!("{} is not in the cache any more", id.short()))
    }
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}
