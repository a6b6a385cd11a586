//! What a running node gives to a console, and what it takes from it.
//!
//! A node in this process and a node behind a control socket give the same
//! feed; a console cannot tell them apart and never waits for either.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{broadcast, mpsc, watch};

use crate::model::{Command, CommandId, Event, LogLine, Outcome, Snapshot};

/// Events kept for a reader that is behind; older ones are dropped and counted.
pub const EVENT_BACKLOG: usize = 1024;
/// Outcomes kept for a reader that is behind.
pub const OUTCOME_BACKLOG: usize = 256;
/// Commands waiting to be taken up; more are refused.
pub const COMMAND_BACKLOG: usize = 64;

/// Log lines that are remembered, for readers that come after them.
pub const LINES_REMEMBERED: usize = 500;
/// Log lines kept for a reader that is behind.
pub const LINE_BACKLOG: usize = 1024;

/// A command on its way to the node.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its outcome bears this id.
    pub id: CommandId,
    /// What is asked.
    pub command: Command,
}

/// The command queue is full, or the node is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Too many commands are waiting; nothing was done.
    #[error("the command queue is full, nothing was done")]
    Busy,
    /// The node is gone.
    #[error("the node has stopped")]
    Gone,
}

/// Sends commands without waiting.
#[derive(Debug, Clone)]
pub struct CommandSender {
    queue: mpsc::Sender<Request>,
    next_id: Arc<AtomicU64>,
}

impl CommandSender {
    /// A sender and the queue's other end.
    pub fn channel() -> (Self, mpsc::Receiver<Request>) {
        let (queue, receiver) = mpsc::channel(COMMAND_BACKLOG);
        (Self { queue, next_id: Arc::new(AtomicU64::new(1)) }, receiver)
    }

    /// Whether both send to the same run of a node.
    pub fn is_same(&self, other: &Self) -> bool {
        self.queue.same_channel(&other.queue)
    }

    /// Queues a command and returns the id that its outcome will bear.
    ///
    /// # Errors
    /// [`SendError::Busy`] if the queue is full, [`SendError::Gone`] if the
    /// node has stopped.
    pub fn try_send(&self, command: Command) -> Result<CommandId, SendError> {
        let id = CommandId(self.next_id.fetch_add(1, Ordering::Relaxed));
        match self.queue.try_send(Request { id, command }) {
            Ok(()) => Ok(id),
            Err(mpsc::error::TrySendError::Full(_)) => Err(SendError::Busy),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(SendError::Gone),
        }
    }
}

/// Whether the node behind a feed answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// It does.
    Here,
    /// It does not, and is tried again: its last snapshot stands.
    Lost {
        /// Why, in words.
        detail: String,
    },
}

/// The reading and the writing end of a node.
#[derive(Debug)]
pub struct Feed {
    /// The newest snapshot; older ones are skipped.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    /// Events from now on. `Lagged(n)` means that `n` were dropped.
    pub events: broadcast::Receiver<Arc<Event>>,
    /// Ends of commands, of everybody's.
    pub outcomes: broadcast::Receiver<Arc<Outcome>>,
    /// For commands.
    pub commands: CommandSender,
    /// Whether a node in another process answers; one in this process is there
    /// until its snapshots end.
    pub presence: Option<watch::Receiver<Presence>>,
    /// The log of the node's process, where it is to be read elsewhere or is of
    /// another process.
    pub logs: Option<LogLines>,
}

/// The log lines of a process: the latest, and those that come.
#[derive(Debug, Clone)]
pub struct LogLines {
    lines: broadcast::Sender<NumberedLine>,
    recent: Arc<Mutex<Recent>>,
}

/// Lines are numbered from 1 in the order in which they came.
pub type NumberedLine = (u64, Arc<LogLine>);

#[derive(Debug, Default)]
struct Recent {
    last: u64,
    lines: VecDeque<NumberedLine>,
}

impl Default for LogLines {
    fn default() -> Self {
        Self { lines: broadcast::Sender::new(LINE_BACKLOG), recent: Arc::default() }
    }
}

impl LogLines {
    /// Takes a line.
    pub fn push(&self, line: LogLine) {
        // Under the lock, so that whoever begins to read misses none.
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.last += 1;
        let numbered = (recent.last, Arc::new(line));
        if recent.lines.len() == LINES_REMEMBERED {
            recent.lines.pop_front();
        }
        recent.lines.push_back(numbered.clone());
        // Nobody reading is no error.
        let _ = self.lines.send(numbered);
    }

    /// Counts lines that are missing before the next one.
    pub fn skip(&self, missing: u64) {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).last += missing;
    }

    /// Those that are remembered, oldest first, and those that come after exactly
    /// them.
    pub fn follow(&self) -> (Vec<NumberedLine>, broadcast::Receiver<NumberedLine>) {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        (recent.lines.iter().cloned().collect(), self.lines.subscribe())
    }
}

impl Clone for Feed {
    fn clone(&self) -> Self {
        Self {
            snapshots: self.snapshots.clone(),
            events: self.events.resubscribe(),
            outcomes: self.outcomes.resubscribe(),
            commands: self.commands.clone(),
            presence: self.presence.clone(),
            logs: self.logs.clone(),
        }
    }
}
