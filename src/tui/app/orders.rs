//! Orders that are typed out: addresses, files, drills with their parameters.

use super::App;
use crate::model::Command;
use crate::tui::bindings::{Action, NodeCommand, Word};
use crate::tui::commands::Tone;
use crate::tui::lab::{DrillAsk, LabCommand};
use crate::tui::message::Effect;
use crate::tui::overlays::{Listing, Order, Overlay, Palette};

/// Fleets of more nodes are asked about: they take a while and much of the host.
const NODES_UNASKED: usize = 16;

impl App {
    /// The palette with a text that somebody goes on typing.
    pub(super) fn open_palette(&mut self, text: &str) {
        let palette =
            Palette::open_with(self.scopes(), &self.settings.keys, &self.shown().peers, text.to_owned());
        self.overlays.push(Overlay::Palette(palette));
    }

    /// Where nobody is selected an address is what can be connected to.
    pub(super) fn connects_by_address(&self, action: Action) -> bool {
        action == Action::Node(NodeCommand::Connect)
            && self.target().is_none()
            && self.available(Action::Order(Word::Connect)).is_ok()
    }

    /// A text that is pasted where nothing is typed may be an address to dial.
    pub(super) fn paste_address(&mut self, text: &str) {
        let text = text.trim();
        if self.overlays.is_empty() && self.filter_line.prompt().is_none() && Command::dial(text).is_ok() {
            self.open_palette(&format!("{} {text}", Word::Connect.text()));
        }
    }

    /// Does what was typed out.
    pub(super) fn obey(&mut self, order: Order) -> Vec<Effect> {
        match order {
            Order::Send(command) => return self.send(command),
            Order::ShowBootstrap => {
                self.overlays.push(Overlay::Listing(Listing::bootstrap(&self.shown().node.bootstrap)));
            }
            Order::Export(what, file) => match self.exported(what, &file) {
                Ok(export) => return vec![Effect::Export(export)],
                Err(why) => self.say(Tone::Warn, format!("export: {why}")),
            },
            Order::Drill(ask) => return self.begin_drill(ask),
        }
        Vec::new()
    }

    /// Begins a drill; says first how large it is, and asks where it is large or kills.
    pub(super) fn begin_drill(&mut self, ask: DrillAsk) -> Vec<Effect> {
        let Some(lab) = &self.lab else { return Vec::new() };
        let size = match lab.size_of(&ask) {
            Ok(size) => size,
            Err(why) => {
                self.say(Tone::Warn, format!("drill: {why}"));
                return Vec::new();
            }
        };
        let text = format!("{}: {size}", ask.name);
        let command = LabCommand::Drill(ask);
        if let Some((question, name)) = lab.destroys(&command, &self.settings.keys) {
            self.put_question(question, Some(name), Effect::Lab(command));
            return Vec::new();
        }
        if size.nodes.is_none_or(|nodes| nodes > NODES_UNASKED) {
            self.put_question(format!("Run {text}?"), None, Effect::Lab(command));
            return Vec::new();
        }
        self.say(Tone::Info, text);
        vec![Effect::Lab(command)]
    }
}
