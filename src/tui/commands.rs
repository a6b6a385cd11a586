//! Commands under way, and the line that says what came of the last one.

use std::time::Duration;

use crate::model::{Command, CommandId, Outcome, PeerId, Stamp};
use crate::node::feed::SendError;

/// A command without an outcome for so long is given up: the longest stage
/// takes 30 s, so its outcome must have been lost.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(120);

/// How a message is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// It happened.
    Good,
    /// There was nothing to do.
    Nothing,
    /// It did not happen, for a reason one can act on.
    Warn,
    /// It failed.
    Bad,
    /// Just so you know.
    Info,
}

/// One line for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// How it is meant.
    pub(crate) tone: Tone,
    /// In words.
    pub(crate) text: String,
    /// When it was said.
    pub(crate) at: Stamp,
}

/// A command that was sent and has not ended.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    id: CommandId,
    command: Command,
    sent: Duration,
    /// When it was sent, by the node's clock.
    pub(crate) since: Stamp,
}

impl Running {
    /// Whether it only asks: the view that asked shows what comes of it.
    pub(crate) fn is_question(&self) -> bool {
        self.command.is_question()
    }

    /// What was asked.
    pub(crate) fn describe(&self) -> String {
        describe(&self.command)
    }
}

/// Our commands.
#[derive(Debug, Default)]
pub(crate) struct Commands {
    running: Vec<Running>,
    message: Option<Message>,
}

impl Commands {
    /// Those that have not ended, oldest first.
    pub(crate) fn running(&self) -> &[Running] {
        &self.running
    }

    /// What was last said.
    pub(crate) fn message(&self) -> Option<&Message> {
        self.message.as_ref()
    }

    /// Whether the same thing was asked and has not ended.
    pub(crate) fn is_running(&self, command: &Command) -> bool {
        self.running.iter().any(|r| r.command == *command)
    }

    pub(crate) fn say(&mut self, tone: Tone, text: String, at: Stamp) {
        self.message = Some(Message { tone, text, at });
    }

    pub(crate) fn sent(
        &mut self,
        command: Command,
        result: Result<CommandId, SendError>,
        at: Duration,
        since: Stamp,
    ) {
        match result {
            Ok(id) => {
                if !command.is_question() {
                    self.message = None;
                }
                self.running.push(Running { id, command, sent: at, since });
            }
            Err(error) => self.say(Tone::Bad, format!("{}: {error}", describe(&command)), since),
        }
    }

    pub(crate) fn ended(&mut self, outcome: &Outcome, now: Stamp) {
        let before = self.running.len();
        self.running.retain(|r| r.id != outcome.id || r.command != outcome.command);
        if self.running.len() < before && !outcome.command.is_question() {
            let tone = match &outcome.result {
                Ok(done) if done.is_nothing() => Tone::Nothing,
                Ok(_) => Tone::Good,
                Err(_) => Tone::Bad,
            };
            self.say(tone, outcome.to_string(), now);
        }
    }

    /// Calls peers otherwise from now on; what was last said calls them as before,
    /// and goes.
    pub(crate) fn rename(&mut self, renamed: impl Fn(PeerId) -> PeerId) {
        self.message = None;
        for running in &mut self.running {
            running.command.rename(&renamed);
        }
    }

    /// Forgets what was under way: another node is asked from now on.
    pub(crate) fn forget(&mut self) {
        self.running.clear();
    }

    pub(crate) fn lost_track(&mut self, outcomes: u64, now: Stamp) {
        let lost = std::mem::take(&mut self.running);
        if lost.iter().any(|r| !r.is_question()) {
            let text = format!("{outcomes} outcomes were dropped; what came of the commands is not known");
            self.say(Tone::Warn, text, now);
        }
    }

    pub(crate) fn expire(&mut self, at: Duration, now: Stamp) {
        let (old, rest): (Vec<_>, Vec<_>) =
            self.running.drain(..).partition(|r| at.saturating_sub(r.sent) >= GIVEN_UP_AFTER);
        self.running = rest;
        if let Some(first) = old.iter().find(|r| !r.is_question()) {
            self.say(Tone::Bad, format!("{}: no outcome after 120 s", first.describe()), now);
        }
    }
}

/// A command in words: `sync 1b88f0`, `sync all`.
pub(crate) fn describe(command: &Command) -> String {
    match (command.peer(), command) {
        (Some(peer), _) => format!("{} {}", command.verb(), peer.short()),
        (None, Command::Sync { .. } | Command::Failover { .. }) => format!("{} all", command.verb()),
        (None, _) => command.verb().to_owned(),
    }
}
