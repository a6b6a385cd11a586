//! The lab and its drills as the console shows them, and what it asks of them:
//! plain data and the two ends between. The console knows no lab; whoever runs
//! one holds the other end, and may take as long as it likes.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};

use crate::model::{NatType, PeerId};
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
    Drill(DrillAsk),
    /// Call the running drill off.
    CallOff,
}

/// A drill, and how it differs from what it says itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrillAsk {
    /// Its name.
    pub name: String,
    /// How long it runs, where it runs for a while.
    pub time: Option<Duration>,
    /// On how many nodes.
    pub nodes: Option<usize>,
    /// In which network.
    pub topology: Option<String>,
    /// How often.
    pub repeat: usize,
}

impl DrillAsk {
    /// As it says itself.
    pub fn plain(name: &str) -> Self {
        Self { name: name.to_owned(), time: None, nodes: None, topology: None, repeat: 1 }
    }
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
    pub nodes: Vec<LabNode>,
    /// The wires between its regions.
    pub links: Vec<LabLink>,
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

/// A node and the host it is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabNode {
    /// Its name, and its host's.
    pub name: String,
    /// Who it is.
    pub peer_id: PeerId,
    /// Where its host is.
    pub region: String,
    /// The router before its host, unless that is public.
    pub router: Option<LabRouter>,
    /// Whether it runs.
    pub up: bool,
    /// Whether its host is cut off.
    pub cut: bool,
    /// What else is wrong with its uplink, in words.
    #[serde(default)]
    pub wrong: Option<String>,
}

/// A router.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabRouter {
    /// Its name.
    pub name: String,
    /// Its NAT now.
    pub nat: NatType,
    /// Its NAT as it was built.
    pub built: NatType,
}

/// A wire between two regions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabLink {
    /// The regions.
    pub between: [String; 2],
    /// What it is set to, there and back, in milliseconds.
    pub rtt_ms: f64,
    /// Whether it is cut.
    pub cut: bool,
    /// What else is wrong with it, in words.
    #[serde(default)]
    pub wrong: Option<String>,
    /// Whether that differs from how it was built.
    #[serde(default)]
    pub spoilt: bool,
}

impl LabView {
    /// What differs from the lab as it was built.
    pub fn changes(&self) -> usize {
        let of_node = |node: &LabNode| {
            usize::from(!node.up) + usize::from(node.cut) + usize::from(node.wrong.is_some())
        };
        let mut routers: Vec<&LabRouter> = self.nodes.iter().filter_map(|n| n.router.as_ref()).collect();
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
    /// On how many nodes it runs; `None` where its network says that.
    #[serde(default)]
    pub nodes: Option<usize>,
    /// How long its steps take at most, as far as they say so.
    #[serde(default)]
    pub at_most: Duration,
    /// How much of that is a time that may be asked for.
    #[serde(default)]
    pub runs_for: Option<Duration>,
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
