//! The lab overlay and the drills: which row is chosen, what a key asks of the
//! lab, and why it cannot be asked just now.

use std::sync::Arc;
use std::time::Duration;

use super::{App, Effect, Overlay, Tone};
use crate::model::{NatType, Snapshot};
use crate::tui::bindings::LabKey;
use crate::tui::lab::{DrillInfo, DrillStage, LabCommand, LabLink, LabNode, LabView};
use crate::tui::logs::Logs;

/// What the console knows of its lab.
#[derive(Debug)]
pub(crate) struct LabPanel {
    /// The newest state.
    pub(crate) view: Arc<LabView>,
    /// The chosen row: the nodes, and then the links.
    pub(crate) row: usize,
    /// The chosen drill.
    pub(crate) drill: usize,
    /// The drill's step, and when the console first saw it.
    step: (usize, Duration),
}

/// What a row is about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LabRow<'a> {
    Node(&'a LabNode),
    Link(&'a LabLink),
}

impl LabPanel {
    fn new(view: Arc<LabView>, at: Duration) -> Self {
        Self { view, row: 0, drill: 0, step: (0, at) }
    }

    /// The last row there is.
    pub(crate) fn last_row(&self) -> usize {
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

    fn node(&self) -> Result<&LabNode, String> {
        match self.chosen() {
            Some(LabRow::Node(node)) => Ok(node),
            Some(LabRow::Link(_)) => Err("a node is needed, and this is a link".to_owned()),
            None => Err("nothing is chosen".to_owned()),
        }
    }

    /// The chosen node, if a NAT stands before it.
    fn translated(&self) -> Result<&LabNode, String> {
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
    pub(crate) fn chosen_drill(&self) -> Option<&DrillInfo> {
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

impl App {
    /// Takes in the lab's newest state.
    pub(super) fn take_lab(&mut self, view: Arc<LabView>) {
        let (at, now) = (self.at, self.node_now());
        let panel = self.lab.get_or_insert_with(|| LabPanel::new(view.clone(), at));
        let said = view.said.clone().filter(|said| panel.view.said.as_ref() != Some(said));
        let step = match view.drill.as_ref().map(|d| &d.stage) {
            Some(DrillStage::Running { step, .. }) => *step,
            _ => 0,
        };
        if panel.step.0 != step {
            panel.step = (step, at);
        }
        panel.view = view;
        panel.row = panel.row.min(panel.last_row());
        if let Some(said) = said {
            let tone = if said.done { Tone::Good } else { Tone::Bad };
            self.commands.say(tone, said.text, now);
        }
    }

    /// How long the drill's step has run.
    pub(crate) fn step_took(&self) -> Duration {
        self.lab.as_ref().map_or(Duration::ZERO, |lab| self.at.saturating_sub(lab.step.1))
    }

    /// Another node is shown from now on, or the same one after a new start.
    pub(super) fn switch(&mut self, snapshot: Arc<Snapshot>) {
        let fresh = Self::new(snapshot, self.theme.clone(), self.zone.clone(), Logs::Off);
        let old = std::mem::replace(self, fresh);
        (self.at, self.closed_by) = (old.at, old.closed_by);
        self.received = old.at;
        self.anchor.0 = old.at;
        // What is about the console, the lab and its threads stays.
        (self.focus, self.zoom, self.drawn) = (old.focus, old.zoom, old.drawn);
        (self.places, self.kpi_span) = (old.places, old.kpi_span);
        (self.lab, self.faults, self.logs) = (old.lab, old.faults, old.logs);
        (self.peers, self.prompt, self.filter_history) = (old.peers, old.prompt, old.filter_history);
        (self.stream_filters, self.lines) = (old.stream_filters, old.lines);
        self.boundary = old.boundary;
        self.filter_anew();
        (self.attempts, self.reservations, self.served) = (old.attempts, old.reservations, old.served);
        self.peers.forget_rows();
        self.attempts.forget_rows();
        self.reservations.forget_rows();
        self.served.forget_rows();
        self.overlays = old.overlays;
        self.overlays
            .retain(|o| !matches!(o, Overlay::Why { .. } | Overlay::Confirm(_) | Overlay::Palette(_)));
        (self.read_only, self.keys) = (old.read_only, old.keys);
        self.commands = old.commands.forget();
        self.refresh();
    }

    /// The lab takes no command just now.
    pub(crate) fn refuse_lab(&mut self) {
        let now = self.node_now();
        self.commands.say(Tone::Warn, "the lab is busy, nothing was done".to_owned(), now);
    }

    /// Asks something of the lab.
    pub(super) fn ask_lab(&mut self, key: LabKey) -> Vec<Effect> {
        let command = self.lab.as_ref().and_then(|lab| lab.command(key).ok());
        match key {
            LabKey::Nat(_) => drop(self.overlays.pop()),
            // Who goes to another node wants to see it.
            LabKey::Show => self.overlays.clear(),
            _ => {}
        }
        let Some(command) = command else { return Vec::new() };
        if let Some((question, name)) = self.destroys(&command) {
            self.put_question(question, Some(name), Effect::Lab(command));
            return Vec::new();
        }
        vec![Effect::Lab(command)]
    }

    /// The console's lab, or how to get one.
    pub(super) fn lab_here(&self, for_what: &str) -> Result<&LabPanel, String> {
        self.lab
            .as_ref()
            .ok_or_else(|| format!("{for_what} a lab: punchdeck lab starts one, with a console on it"))
    }

    /// Whether the NAT before the chosen node can be chosen.
    pub(super) fn nat_to_choose(&self) -> Result<(), String> {
        self.lab_here("this needs")?.command(LabKey::Nat(NatType::None)).map(|_| ())
    }
}
