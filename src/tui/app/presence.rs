//! What becomes of the console when its node goes away, and when it comes back.

use std::sync::Arc;

use super::App;
use crate::model::{Snapshot, printable};

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

impl App {
    /// The node is back. It may have been started anew: its clock and what it was
    /// asked have nothing to do with before. What the operator set up stays.
    pub(super) fn welcome(&mut self, snapshot: Arc<Snapshot>) {
        (self.gone, self.gone_at) = (None, None);
        self.anchor = (self.at, snapshot.at);
        self.take_snapshot(snapshot);
    }
}
