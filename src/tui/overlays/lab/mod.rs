//! The lab overlay and the drills: which row is chosen, what a key asks of the
//! lab, and why it cannot be asked just now.

mod draw;
mod drills;

use std::sync::Arc;
use std::time::Duration;

use crate::model::{HostStatus, WireStatus};
use crate::tui::bindings::{Action, Keymap, LabKey, Scope};
use crate::tui::draw::Drawn;
use crate::tui::lab::{DrillInfo, DrillStage, LabCommand, LabSaid, LabView};
use crate::tui::lists::Move;

/// What the console knows of its lab.
#[derive(Debug)]
pub(crate) struct LabPanel {
    /// The newest state.
    view: Arc<LabView>,
    /// The chosen row: the nodes, and then the links.
    row: usize,
    /// The chosen drill.
    drill: usize,
    /// The drill's step, and when the console first saw it.
    step: (usize, Duration),
    /// The first line of the nodes and wires on the screen.
    top: usize,
}

/// What a row is about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LabRow<'a> {
    Node(&'a HostStatus),
    Link(&'a WireStatus),
}

impl LabPanel {
    /// On the state that comes first.
    pub(crate) fn new(view: Arc<LabView>, at: Duration) -> Self {
        Self { view, row: 0, drill: 0, step: (0, at), top: 0 }
    }

    /// The chosen node or wire.
    #[cfg(test)]
    pub(crate) fn row(&self) -> usize {
        self.row
    }

    /// The chosen drill.
    #[cfg(test)]
    pub(crate) fn drill(&self) -> usize {
        self.drill
    }

    /// Shows the same state, told otherwise.
    pub(crate) fn tell_anew(&mut self, view: Arc<LabView>) {
        self.view = view;
    }

    /// Takes in the lab's newest state. Returns what came of the last command, if that is
    /// new.
    pub(crate) fn on_view(&mut self, view: Arc<LabView>, at: Duration) -> Option<LabSaid> {
        let said = view.said.clone().filter(|said| self.view.said.as_ref() != Some(said));
        let step = match view.drill.as_ref().map(|d| &d.stage) {
            Some(DrillStage::Running { step, .. }) => *step,
            _ => 0,
        };
        if self.step.0 != step {
            self.step = (step, at);
        }
        self.view = view;
        self.row = self.row.min(self.last_row());
        said
    }

    /// The nodes and wires are looked at from their beginning.
    pub(crate) fn open(&mut self) {
        self.top = 0;
    }

    /// Moves the choice of a node or wire.
    pub(crate) fn go(&mut self, step: Move) {
        self.row = step.apply(self.row, self.last_row());
    }

    /// Moves the choice of a drill.
    pub(crate) fn go_drills(&mut self, step: Move) {
        self.drill = step.apply(self.drill, self.last_drill());
    }

    /// Chooses a node or wire.
    pub(crate) fn choose(&mut self, row: usize) {
        self.row = row.min(self.last_row());
    }

    /// Chooses a drill.
    pub(crate) fn choose_drill(&mut self, row: usize) {
        self.drill = row.min(self.last_drill());
    }

    /// Takes in how the nodes and wires were drawn.
    pub(super) fn on_drawn(&mut self, drawn: Drawn) {
        self.top = drawn.top;
    }

    /// What must be asked before a command, and the name that answers it. Nothing else of
    /// the lab is asked about: it is undone with a key.
    pub(crate) fn destroys(&self, command: &LabCommand, keys: &Keymap) -> Option<(String, String)> {
        match command {
            LabCommand::Kill(name) => {
                let how =
                    if self.view.no_network.is_some() { "It stops" } else { "It ends without a goodbye" };
                let again = keys.key_of(Scope::Lab, Action::Lab(LabKey::Kill));
                Some((format!("Kill {name}? {how}; {again} starts it again as who it was."), name.clone()))
            }
            LabCommand::Drill(name) if self.view.drills.iter().any(|d| d.name == *name && d.kills) => {
                let text = format!("Run {name}? It kills nodes without a goodbye, on a fleet of its own.");
                Some((text, name.clone()))
            }
            _ => None,
        }
    }

    fn last_drill(&self) -> usize {
        self.view.drills.len().saturating_sub(1)
    }

    /// The last row there is.
    fn last_row(&self) -> usize {
        (self.view.nodes.len() + self.view.links.len()).saturating_sub(1)
    }

    /// What the chosen row is about.
    pub(crate) fn chosen(&self) -> Option<LabRow<'_>> {
        let nodes = &self.view.nodes;
        match nodes.get(self.row) {
            Some(node) => Some(LabRow::Node(node)),
            None => self.view.links.get(self.row - nodes.len()).map(LabRow::Link),
        }
    }

    fn node(&self) -> Result<&HostStatus, String> {
        match self.chosen() {
            Some(LabRow::Node(node)) => Ok(node),
            Some(LabRow::Link(_)) => Err("a node is needed, and this is a link".to_owned()),
            None => Err("nothing is chosen".to_owned()),
        }
    }

    /// The chosen node, if a NAT stands before it.
    fn translated(&self) -> Result<&HostStatus, String> {
        self.has_network()?;
        let node = self.node()?;
        if node.router.is_some() {
            Ok(node)
        } else {
            Err(format!("{} is public, there is no NAT before it", node.name))
        }
    }

    fn has_network(&self) -> Result<(), String> {
        self.view.no_network.clone().map_or(Ok(()), Err)
    }

    /// The chosen drill.
    fn chosen_drill(&self) -> Option<&DrillInfo> {
        self.view.drills.get(self.drill)
    }

    /// What a key asks of the lab now, or why it cannot.
    pub(crate) fn command(&self, key: LabKey) -> Result<LabCommand, String> {
        match key {
            LabKey::Cut => {
                self.has_network()?;
                match self.chosen() {
                    Some(LabRow::Node(n)) if n.cut => Ok(LabCommand::Heal(n.name.clone())),
                    Some(LabRow::Node(n)) => Ok(LabCommand::Cut(n.name.clone())),
                    Some(LabRow::Link(l)) if l.cut => Ok(LabCommand::HealLink(l.between.clone())),
                    Some(LabRow::Link(l)) => Ok(LabCommand::CutLink(l.between.clone())),
                    None => Err("nothing is chosen".to_owned()),
                }
            }
            LabKey::Spoil => {
                self.has_network()?;
                match self.chosen() {
                    Some(LabRow::Node(n)) => Ok(LabCommand::Spoil(n.name.clone())),
                    Some(LabRow::Link(l)) => Ok(LabCommand::SpoilLink(l.between.clone())),
                    None => Err("nothing is chosen".to_owned()),
                }
            }
            LabKey::Kill => {
                let node = self.node()?;
                let name = node.name.clone();
                Ok(if node.up { LabCommand::Kill(name) } else { LabCommand::Start(name) })
            }
            LabKey::Nat(nat) => Ok(LabCommand::SetNat(self.translated()?.name.clone(), nat)),
            LabKey::Flush => Ok(LabCommand::Flush(self.translated()?.name.clone())),
            LabKey::Show => {
                let node = self.node()?;
                if node.name == self.view.shown {
                    Err(format!("the console is on {} already", node.name))
                } else if node.up {
                    Ok(LabCommand::Show(node.name.clone()))
                } else {
                    Err(format!("{} does not run", node.name))
                }
            }
            LabKey::Undo if self.view.changes() == 0 => Err("nothing is changed".to_owned()),
            LabKey::Undo => Ok(LabCommand::Undo),
            LabKey::Start => {
                let drill = self.chosen_drill().ok_or("there is no drill")?;
                if let Some(running) = self.running_drill() {
                    return Err(format!("{running} runs; one drill at a time"));
                }
                match &drill.unsupported {
                    Some(why) => Err(why.clone()),
                    None => Ok(LabCommand::Drill(drill.name.clone())),
                }
            }
            LabKey::CallOff if self.running_drill().is_some() => Ok(LabCommand::CallOff),
            LabKey::CallOff => Err("no drill runs".to_owned()),
        }
    }

    fn running_drill(&self) -> Option<&str> {
        self.view.drill.as_ref().filter(|d| d.is_running()).map(|d| d.name.as_str())
    }
}
