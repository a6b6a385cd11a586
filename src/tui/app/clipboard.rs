//! What can be put on the terminal's clipboard.

use std::fmt::Write as _;

use super::App;
use crate::model::{PeerId, Why, printable};
use crate::tui::bindings::{Action, Scope};
use crate::tui::commands::Tone;
use crate::tui::fmt;
use crate::tui::message::Effect;

impl App {
    /// The text of a copying action, and what it is; or why there is none.
    pub(super) fn text_of(&self, action: Action, target: Option<PeerId>) -> Result<(String, &str), String> {
        let peer = self.known(target)?;
        let id = peer.peer_id;
        match action {
            Action::CopyAddress => {
                let linked = self.shown().link(&id).map(|link| link.remote_addr.to_string());
                let claimed = || peer.addresses.first().map(ToString::to_string);
                let text = linked.or_else(claimed).ok_or("it has no address")?;
                Ok((text, "address"))
            }
            Action::CopyWhy => {
                let answer = self.overlays.asked(id).and_then(|asked| asked.answer.as_deref());
                let key = self.settings.keys.key_of(Scope::Main, Action::Why);
                let why =
                    answer.ok_or_else(|| format!("the node gave no explanation yet ({key} asks for it)"))?;
                Ok((self.why_text(why), "explanation"))
            }
            _ => Ok((id.to_string(), "id")),
        }
    }

    pub(super) fn copy(&mut self, action: Action, peer: PeerId) -> Vec<Effect> {
        let Ok((text, what)) = self.text_of(action, Some(peer)) else { return Vec::new() };
        let said =
            format!("the {what} of {} went to the terminal's clipboard, if it takes OSC 52", self.call(peer));
        self.say(Tone::Info, said);
        vec![Effect::Copy(text)]
    }

    /// An explanation as plain text, for a report or a chat.
    fn why_text(&self, why: &Why) -> String {
        let mut out = format!("{}: {}\n", self.call(why.peer_id), printable(&why.verdict_words()));
        for line in &why.timeline {
            let ours = line.who == self.shown().node.peer_id;
            let who = if ours { "us".to_owned() } else { line.who.short() };
            let _ =
                writeln!(out, "+{} {who}: {}", fmt::elapsed(line.at_ms), printable(&line.what.to_string()));
        }
        for evidence in &why.evidence_words() {
            let _ = writeln!(out, "evidence: {}", printable(evidence));
        }
        if !why.would_help.is_empty() {
            let _ = writeln!(out, "would help: {}", printable(&why.help_words().join("; ")));
        }
        out
    }
}
