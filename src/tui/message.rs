//! What happens to the console, and what it wants done: the only ways in and out of its
//! state.

use std::path::PathBuf;
use std::sync::Arc;

use ratatui::crossterm::event::{KeyEvent, MouseEvent};

use super::fleet::{FleetCommand, FleetView};
use super::lab::{LabCommand, LabView};
use crate::model::{Command, CommandId, Event, LogLine, Outcome, Snapshot, printable};
use crate::node::feed::SendError;

/// Something that happened to the console.
#[derive(Debug)]
pub(crate) enum Input {
    /// A key was pressed.
    Key(KeyEvent),
    /// The mouse was clicked or its wheel turned.
    Mouse(MouseEvent),
    /// Text was pasted.
    Paste(String),
    /// The node's newest state.
    Snapshot(Arc<Snapshot>),
    /// Something happened on the node.
    Event(Arc<Event>),
    /// So many events were dropped because we were behind.
    EventsLost(u64),
    /// A command ended, ours or another's.
    Outcome(Arc<Outcome>),
    /// So many outcomes were dropped because we were behind.
    OutcomesLost(u64),
    /// What came of sending a command.
    Sent(Command, Result<CommandId, SendError>),
    /// The node is gone; no snapshot comes.
    NodeGone(Gone),
    /// It is back, with this state.
    NodeBack(Arc<Snapshot>),
    /// What came of writing what is remembered to a file.
    Snapped(Snapped),
    /// What was logged, and how many lines were not caught.
    Lines(Vec<LogLine>, u64),
    /// The lab's newest state.
    Lab(Arc<LabView>),
    /// The lab takes no command just now.
    LabBusy,
    /// The fleet's newest state.
    Fleet(Arc<FleetView>),
    /// The fleet is asked something already.
    FleetBusy,
    /// The log of the node that is shown from now on, as far as it is remembered.
    LogAnew(Vec<LogLine>),
    /// Another node is shown from now on.
    Switched(Arc<Snapshot>),
    /// A thread other than ours panicked.
    Fault(String),
    /// The system refused to stop us.
    SuspendRefused,
    /// Time passed.
    Tick,
}

/// What the console wants done.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    /// Send a command; its [`Input::Sent`] comes back at once.
    Send(Command),
    /// Ask something of the lab.
    Lab(LabCommand),
    /// Ask something of the fleet.
    Fleet(FleetCommand),
    /// Put a text on the terminal's clipboard.
    Copy(String),
    /// Give the terminal back until the shell resumes us.
    Suspend,
    /// Write what is remembered to a file; its [`Input::Snapped`] comes back.
    Snap,
    /// Leave.
    Quit,
}

/// What came of writing a file: where it is and how long, or why there is none.
pub(crate) type Snapped = Result<(PathBuf, u64), String>;

/// How the node is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Gone {
    /// It ran in this process and has ended.
    Stopped,
    /// It runs elsewhere and does not answer; it is tried again.
    Lost {
        /// Why, in words.
        detail: String,
    },
}

impl Gone {
    /// In a word, for the header.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Lost { .. } => "lost",
        }
    }

    /// Why nothing can be asked.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Stopped => "the node has stopped",
            Self::Lost { .. } => "the node does not answer",
        }
    }

    /// For the banner, with the key that quits.
    pub(crate) fn banner(&self, quit: &str) -> String {
        match self {
            Self::Stopped => {
                format!(" THE NODE HAS STOPPED: what stands below is its last state ({quit} quits)")
            }
            Self::Lost { detail } => format!(
                " THE NODE DOES NOT ANSWER, trying again; below is its last state: {}",
                printable(detail)
            ),
        }
    }
}
