//! Peers that are marked, and what is done to all of them at once; and leaving, which is
//! asked about where it ends links.

use super::App;
use super::ask::capital;
use crate::model::{Command, PeerId};
use crate::tui::bindings::{Action, Binding, NodeCommand};
use crate::tui::commands::Tone;
use crate::tui::draw::Possible as _;
use crate::tui::fmt;
use crate::tui::message::Effect;
use crate::tui::pane::Pane;

/// Commands that are sent together: a node takes no more at a time.
const TOGETHER_MAX: usize = 60;

impl App {
    pub(super) fn mark(&mut self) {
        self.panes.peers.mark();
    }

    /// Whether an action is about all marked peers: it can be, and nobody else is meant.
    pub(super) fn acts_on_marked(&self, action: Action) -> bool {
        let can = matches!(
            action,
            Action::Node(NodeCommand::Sync | NodeCommand::Connect | NodeCommand::Disconnect)
        );
        can && self.overlays.is_empty()
            && self.panes.acting() == Pane::Peers
            && self.panes.peers.marked().next().is_some()
    }

    /// Asks whether to do it to all of them; says how many it can be done to.
    pub(super) fn ask_of_marked(&mut self, binding: &Binding, by: &str) {
        let Action::Node(asked) = binding.action else { return };
        let marked: Vec<PeerId> = self.panes.peers.marked().collect();
        let possible = |peer: &PeerId| self.here().available_to(binding.action, Some(*peer));
        let refused = marked.iter().find_map(|peer| possible(peer).err());
        let can: Vec<PeerId> = marked.iter().copied().filter(|peer| possible(peer).is_ok()).collect();
        let commands: Vec<Command> =
            can.iter().filter_map(|peer| self.command_of(asked, Some(*peer))).collect();
        let cannot = marked.len() - can.len();
        let refused = refused.unwrap_or_default();
        if commands.is_empty() {
            self.say(Tone::Warn, format!("{by}: with none of the {} marked: {refused}", marked.len()));
            return;
        }
        if commands.len() > TOGETHER_MAX {
            let text = format!("{by}: {} are marked, and at most {TOGETHER_MAX} go together", commands.len());
            self.say(Tone::Warn, text);
            return;
        }
        let what = binding.label;
        let peers = fmt::count(commands.len() as u64, "marked peer");
        let without = if cannot > 0 { format!(" {cannot} more cannot: {refused}.") } else { String::new() };
        let held = if asked == NodeCommand::Disconnect {
            " Automatic dials to and from them wait for 60 s."
        } else {
            ""
        };
        let text = format!("{}: {peers}?{without}{held}", capital(what));
        self.put_question(text, None, Effect::SendAll(commands));
    }

    /// Leaves; where a node with links would end, after a question.
    pub(super) fn leave(&mut self) -> Vec<Effect> {
        let links = self.live().links.iter().filter(|link| !link.foreign).count();
        if !self.settings.quit_asks || links == 0 || self.gone().is_some() {
            return vec![Effect::Quit];
        }
        let text = format!(
            "Leave? The node ends with this console, and {} with it. A node that is to go on runs as \
             punchdeck run --headless, with punchdeck attach on it.",
            fmt::count(links as u64, "link")
        );
        self.put_question(text, None, Effect::Quit);
        Vec::new()
    }
}
