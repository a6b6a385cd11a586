//! Questions before something that cannot simply be taken back.

use super::App;
use crate::core::guessing::{self, DATAGRAM_LEN};
use crate::core::limits::{GUESS_PROBES_MAX, GUESS_SOCKETS_MAX};
use crate::model::{Command, NatType, Path};
use crate::tui::bindings::{Action, NodeCommand, Scope};
use crate::tui::commands::Tone;
use crate::tui::message::Effect;
use crate::tui::overlays::{Overlay, Question};

impl App {
    /// Asks before a disruptive command.
    pub(super) fn ask_first(&mut self, command: Command) {
        let whom = command.peer().map_or_else(String::new, |id| self.call(id));
        let text = if matches!(command, Command::EndServed { .. }) {
            format!(
                "End the reservation of {whom} here? What runs over it breaks, and this node gives it \
                 no other one for 10 min."
            )
        } else if let Some(text) = self.guess_of(&command) {
            text
        } else {
            let connect = self.settings.keys.key_of(Scope::Main, Action::Node(NodeCommand::Connect));
            format!(
                "{} {whom}? Automatic dials to and from it wait for 60 s; {connect} connects it again at \
                 once.",
                capital(command.verb()),
            )
        };
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

    /// Puts a question before an effect.
    pub(super) fn put_question(&mut self, text: String, name: Option<String>, effect: Effect) {
        self.overlays.push(Overlay::Confirm(Question::new(text, name, effect)));
    }

    /// A yes, or the name typed; a wrong name leaves the question standing.
    pub(super) fn confirmed(&mut self) -> Vec<Effect> {
        let Some(Overlay::Confirm(question)) = self.overlays.top() else { return Vec::new() };
        if let Some(name) = question.missing() {
            let text = format!("nothing was done: the name to type is {name}");
            self.say(Tone::Warn, text);
            return Vec::new();
        }
        let Some(Overlay::Confirm(question)) = self.overlays.pop() else { return Vec::new() };
        match question.into_effect() {
            Effect::Send(command) => self.send(command),
            Effect::SendAll(all) => all.into_iter().flat_map(|command| self.send(command)).collect(),
            effect => vec![effect],
        }
    }
}

pub(super) fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}
