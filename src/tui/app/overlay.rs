//! What lies over the panes, and questions that want an answer first.

use super::{App, Effect, Palette, Tone};
use crate::core::guessing::{self, DATAGRAM_LEN};
use crate::core::limits::{GUESS_PROBES_MAX, GUESS_SOCKETS_MAX};
use crate::model::{Command, NatType, Path, PeerId};
use crate::tui::bindings::{Action, LabKey, Scope};
use crate::tui::lab::LabCommand;

/// What lies over the panes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Overlay {
    /// Every key.
    Help {
        /// Where help was asked for: its keys come first.
        from: Scope,
        /// What is looked for; empty for everything.
        search: String,
        /// Whether that is being typed.
        typing: bool,
        /// Lines scrolled.
        scroll: u16,
    },
    /// Actions and peers, by a few letters.
    Palette(Palette),
    /// Why a peer is what it is.
    Why {
        /// Whom.
        peer: PeerId,
        /// Lines scrolled.
        scroll: u16,
    },
    /// The lab's nodes and wires.
    Lab {
        /// Lines scrolled.
        scroll: u16,
    },
    /// The choice of the NAT before a node.
    Nat {
        /// Which node.
        host: String,
    },
    /// The drills.
    Drills,
    /// A question before something that cannot simply be taken back.
    Confirm(Question),
}

/// A question, and what a yes does.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Question {
    /// In words.
    pub(crate) text: String,
    /// The name that has to be typed, if a key is not enough.
    pub(crate) name: Option<String>,
    /// What is typed of it.
    pub(crate) typed: String,
    effect: Effect,
}

impl App {
    /// Asks before a disruptive command.
    pub(super) fn ask_first(&mut self, command: Command) {
        let whom = command.peer().map_or_else(String::new, |id| self.call(id));
        if matches!(command, Command::EndServed { .. }) {
            let text = format!(
                "End the reservation of {whom} here? What runs over it breaks, and this node gives it \
                 no other one for 10 min."
            );
            return self.put_question(text, None, Effect::Send(command));
        }
        if let Some(text) = self.guess_of(&command) {
            return self.put_question(text, None, Effect::Send(command));
        }
        let connect = self.keys.key_of(Scope::Main, Action::Node(crate::tui::bindings::NodeCommand::Connect));
        let text = format!(
            "{} {whom}? Automatic dials to and from it wait for 60 s; {connect} connects it again at once.",
            capital(command.verb()),
        );
        self.put_question(text, None, Effect::Send(command));
    }

    /// What a punch would be that no plain one can be: a port is guessed. It says how
    /// likely that is, and what it costs.
    pub(super) fn guess_of(&self, command: &Command) -> Option<String> {
        let Command::Punch { peer } = command else { return None };
        let row = self.peer(*peer).filter(|row| row.path == Some(Path::Relayed))?;
        let (ours, theirs) = (self.shown().nat.claim(), row.nat_type);
        let opens = match (ours, theirs) {
            (NatType::Symmetric, NatType::PortRestricted) => true,
            (NatType::PortRestricted, NatType::Symmetric) => false,
            _ => return None,
        };
        let (sockets, probes) = (GUESS_SOCKETS_MAX, GUESS_PROBES_MAX);
        let (here, there) = if opens { ("here", "there") } else { ("there", "here") };
        Some(format!(
            "Guess a port with {}? {sockets} sockets open {here}, each a mapping of that router, and up to \
             {probes} datagrams of {DATAGRAM_LEN} bytes leave {there} within two seconds. They meet in {:.0} \
             of 100 runs; the link stays on its relay meanwhile.",
            self.call(*peer),
            guessing::odds(sockets, probes) * 100.0,
        ))
    }

    /// Asks for the name of what the lab is to destroy. Nothing else of the lab
    /// is asked about: it is undone with a key.
    pub(super) fn destroys(&self, command: &LabCommand) -> Option<(String, String)> {
        let view = &self.lab.as_ref()?.view;
        match command {
            LabCommand::Kill(name) => {
                let how = if view.no_network.is_some() { "It stops" } else { "It ends without a goodbye" };
                let again = self.keys.key_of(Scope::Lab, Action::Lab(LabKey::Kill));
                Some((format!("Kill {name}? {how}; {again} starts it again as who it was."), name.clone()))
            }
            LabCommand::Drill(name) if view.drills.iter().any(|d| d.name == *name && d.kills) => {
                let text = format!("Run {name}? It kills nodes without a goodbye, on a fleet of its own.");
                Some((text, name.clone()))
            }
            _ => None,
        }
    }

    /// Puts a question before an effect.
    pub(super) fn put_question(&mut self, text: String, name: Option<String>, effect: Effect) {
        self.overlays.push(Overlay::Confirm(Question { text, name, typed: String::new(), effect }));
    }

    /// A yes, or the name typed; a wrong name leaves the question standing.
    pub(super) fn confirmed(&mut self) -> Vec<Effect> {
        let Some(Overlay::Confirm(question)) = self.overlays.last() else { return Vec::new() };
        if let Some(name) = question.name.as_ref().filter(|name| **name != question.typed.trim()) {
            let text = format!("nothing was done: the name to type is {name}");
            let now = self.node_now();
            self.commands.say(Tone::Warn, text, now);
            return Vec::new();
        }
        match self.overlays.pop() {
            Some(Overlay::Confirm(Question { effect: Effect::Send(command), .. })) => self.send(command),
            Some(Overlay::Confirm(question)) => vec![question.effect],
            _ => Vec::new(),
        }
    }
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}
