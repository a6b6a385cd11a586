//! A fleet as the console shows it, and what it asks of it: plain data and the two ends
//! between. The console asks no node but the one that it is on; whoever asks the others
//! holds the other end.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::model::{Comparison, Member, Stamp};
use crate::node::feed::Feed;

/// Commands that wait; more are refused.
pub const BACKLOG: usize = 4;

/// The console's end of a fleet.
#[derive(Debug)]
pub struct Fleet {
    /// The newest state of the fleet.
    pub view: watch::Receiver<Arc<FleetView>>,
    /// What is asked of it, done one after another.
    pub commands: mpsc::Sender<FleetCommand>,
    /// Each is another node of it, to be shown from now on.
    pub feeds: mpsc::Receiver<Feed>,
}

/// What can be asked of a fleet. It changes nothing in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FleetCommand {
    /// Show the console of another node.
    Show(String),
    /// Hold two nodes beside each other.
    Compare([String; 2]),
}

/// A fleet as it is now, as far as its nodes say.
#[derive(Debug, Clone, PartialEq)]
pub struct FleetView {
    /// When that was.
    pub at: Stamp,
    /// The node that the console is on.
    pub shown: String,
    /// Its nodes, as their file or their lab has them.
    pub nodes: Vec<Member>,
    /// What is being done, in words.
    pub doing: Option<String>,
    /// What came of the last command.
    pub said: Option<FleetSaid>,
    /// The last two nodes that were held beside each other.
    pub compared: Option<Arc<Comparison>>,
}

impl FleetView {
    /// Of nodes of which nothing is known yet.
    pub fn new(at: Stamp, shown: String) -> Self {
        Self { at, shown, nodes: Vec::new(), doing: None, said: None, compared: None }
    }

    /// Puts what came of a command on the console's line for messages.
    pub fn say(&mut self, done: bool, text: String) {
        let n = self.said.as_ref().map_or(0, |said| said.n) + 1;
        self.said = Some(FleetSaid { n, done, text });
    }
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetSaid {
    /// Counts up with each.
    pub n: u64,
    /// Whether it was done.
    pub done: bool,
    /// In words.
    pub text: String,
}
