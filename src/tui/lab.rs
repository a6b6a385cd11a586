//! The lab and its drills as the console shows them, and what it asks of them:
//! plain data and the two ends between. The console knows no lab; whoever runs
//! one holds the other end, and may take as long as it likes.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};

use crate::model::{HostStatus, NatType, RouterStatus, WireStatus};
use crate::node::feed::Feed;

/// Commands that wait for the lab; more are refused.
pub const BACKLOG: usize = 16;

/// The console's end of a lab.
#[derive(Debug)]
pub struct Lab {
    /// The newest state of the lab.
    pub view: watch::Receiver<Arc<LabView>>,
    /// What is asked of it, done one after another.
    pub commands: mpsc::Sender<LabCommand>,
    /// Each is another node, or the same one started again, to be shown from
    /// now on.
    pub feeds: mpsc::Receiver<Feed>,
}

/// What can be asked of a lab. Everything can be undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabCommand {
    /// Cut a node's host off: nothing passes, nobody is told.
    Cut(String),
    /// Undo that.
    Heal(String),
    /// Cut the wire between two regions.
    CutLink([String; 2]),
    /// Undo that.
    HealLink([String; 2]),
    /// Have the next thing go wrong with the uplink of a node's host; in the end nothing.
    Spoil(String),
    /// The same with the wire between two regions.
    SpoilLink([String; 2]),
    /// End a node without a word.
    Kill(String),
    /// Start it again, as who it was.
    Start(String),
    /// Change the NAT before a node's host.
    SetNat(String, NatType),
    /// Have the NAT before a node's host forget its mappings.
    Flush(String),
    /// Show another node on the console.
    Show(String),
    /// Undo every change.
    Undo,
    /// Run a drill on a fleet of its own.
    Drill(String),
    /// Call the running drill off.
    CallOff,
}

/// A lab as it is now.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LabView {
    /// What kind of fleet it is, in a word or two.
    pub kind: String,
    /// Why there is no network that could be changed, if there is none.
    pub no_network: Option<String>,
    /// The node that the console is on.
    pub shown: String,
    /// Its nodes.
    pub nodes: Vec<HostStatus>,
    /// The wires between its regions.
    pub links: Vec<WireStatus>,
    /// What is being done, in words.
    pub doing: Option<String>,
    /// What came of the last command.
    pub said: Option<LabSaid>,
    /// The drills that can be run.
    pub drills: Vec<DrillInfo>,
    /// The one that runs, or ran last.
    pub drill: Option<DrillView>,
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabSaid {
    /// Counts up with each.
    pub n: u64,
    /// Whether it was done.
    pub done: bool,
    /// In words.
    pub text: String,
}

impl LabView {
    /// What differs from the lab as it was built.
    pub fn changes(&self) -> usize {
        let of_node = |node: &HostStatus| {
            usize::from(!node.up) + usize::from(node.cut) + usize::from(node.wrong.is_some())
        };
        let mut routers: Vec<&RouterStatus> = self.nodes.iter().filter_map(|n| n.router.as_ref()).collect();
        // Several hosts may be behind one.
        routers.sort_by(|a, b| a.name.cmp(&b.name));
        routers.dedup_by(|a, b| a.name == b.name);
        self.nodes.iter().map(of_node).sum::<usize>()
            + self.links.iter().filter(|link| link.cut || link.spoilt).count()
            + routers.into_iter().filter(|router| router.nat != router.built).count()
    }
}

/// A drill that can be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillInfo {
    /// Its name.
    pub name: String,
    /// What it shows, in a sentence.
    pub about: String,
    /// Why it cannot be run here, if it cannot.
    pub unsupported: Option<String>,
    /// Whether nodes are killed in it, on a fleet of its own.
    pub kills: bool,
}

/// A drill that runs or ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DrillView {
    /// Which.
    pub name: String,
    /// On which kind of fleet.
    pub fleet: String,
    /// How far it is.
    pub stage: DrillStage,
    /// What must come of it.
    pub checks: Vec<DrillCheck>,
}

/// How far a drill is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum DrillStage {
    /// Its fleet starts.
    Building,
    /// A step runs.
    Running {
        /// Which, from 1.
        step: usize,
        /// Of how many.
        of: usize,
        /// What it is, in words.
        what: String,
        /// How long it takes at most, where that is known.
        limit: Option<Duration>,
    },
    /// It was called off, or has ended, and undoes what it did.
    Ending,
    /// It is over, and everything is undone.
    Ended {
        /// Whether every check held.
        passed: bool,
        /// The verdict as a word.
        verdict: String,
        /// Why it ended early, or could not be run.
        reason: Option<String>,
        /// How long it took, in seconds.
        elapsed_s: f64,
    },
}

/// A check of a drill.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DrillCheck {
    /// In words.
    pub name: String,
    /// Whether it holds; what was not measured does not.
    pub holds: bool,
    /// What was measured, with its unit; `None` until then.
    pub value: Option<String>,
    /// The limit, with its unit.
    pub limit: String,
}

impl DrillView {
    /// Whether it is still under way.
    pub fn is_running(&self) -> bool {
        !matches!(self.stage, DrillStage::Ended { .. })
    }
}
