//! Running nodes as a fleet that drills run on: each behind its control socket,
//! on this host or through a command such as `ssh host`.
//!
//! What no control socket can do (start, kill, cut off) is done by commands that
//! the fleet's file gives; what it does not give is unsupported, never skipped.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;

use super::drill::{Arena, Member, Need};
use super::ops::{Anew, Fleet, FleetOp, OpError};
use crate::control::{self, ClientError, Target};
use crate::files::{self, read};
use crate::model::{Command, NatType, PeerId};
use crate::node::feed::{Feed, Presence};

/// Nodes of a fleet.
const NODES: std::ops::RangeInclusive<usize> = 2..=64;
/// How long a node may take to come or go after the command that does it.
const COMES_WITHIN: Duration = Duration::from_secs(30);
/// How long a command of the fleet's file may take.
const COMMAND_TIME: Duration = Duration::from_secs(60);
/// The program where a node is behind a command.
const PROGRAM: &str = "punchdeck";

/// What is wrong with a fleet's file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", file.display())]
pub struct FleetError {
    /// Which file.
    pub file: PathBuf,
    /// What, and where.
    pub detail: String,
}

/// A fleet of running nodes, as its file describes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FleetFile {
    /// In the order in which drills name the first.
    node: Vec<NodeEntry>,
}

/// A node of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeEntry {
    /// As drills name it.
    name: String,
    /// Its control socket, on its own host.
    socket: PathBuf,
    /// What goes before every command for its host, such as `["ssh", "vps-1"]`.
    #[serde(default)]
    through: Vec<String>,
    /// What this program is called there.
    program: Option<String>,
    /// Starts it.
    start: Option<Vec<String>>,
    /// Stops it politely; without one it is asked to leave.
    stop: Option<Vec<String>>,
    /// Ends it without a word.
    kill: Option<Vec<String>>,
    /// Cuts its host off.
    cut: Option<Vec<String>>,
    /// Heals that.
    heal: Option<Vec<String>>,
}

impl FleetFile {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`FleetError`], with what and where.
    pub fn read(file: &Path) -> Result<Self, FleetError> {
        let error = |detail: String| FleetError { file: file.to_owned(), detail };
        let text = read::text(file, files::TEXT_MAX).map_err(|e| error(e.to_string()))?;
        let fleet: Self = toml::from_str(&text).map_err(|e| {
            let line = e.span().map(|s| 1 + text[..s.start].matches('\n').count());
            let place = line.map(|n| format!("line {n}: ")).unwrap_or_default();
            error(format!("{place}{}", e.message().replace('\n', ", ")))
        })?;
        fleet.check().map_err(error)?;
        Ok(fleet)
    }

    fn check(&self) -> Result<(), String> {
        if !NODES.contains(&self.node.len()) {
            let (low, high) = (NODES.start(), NODES.end());
            return Err(format!("{} nodes; a fleet has {low} to {high}", self.node.len()));
        }
        let mut names = BTreeSet::new();
        for node in &self.node {
            if node.name.is_empty() || !names.insert(&node.name) {
                return Err(format!("node {:?}: every node has a name of its own", node.name));
            }
            let commands = [&node.start, &node.stop, &node.kill, &node.cut, &node.heal];
            if commands.into_iter().flatten().any(Vec::is_empty) {
                return Err(format!("node {:?}: a command has at least one word", node.name));
            }
            if node.cut.is_some() != node.heal.is_some() {
                return Err(format!(
                    "node {:?}: what can be cut must be healed: cut and heal go together",
                    node.name
                ));
            }
        }
        Ok(())
    }
}

impl NodeEntry {
    fn target(&self) -> Target {
        if self.through.is_empty() {
            return Target::Socket(self.socket.clone());
        }
        let program = self.program.as_deref().unwrap_or(PROGRAM);
        let socket = self.socket.to_string_lossy();
        let bridge = [program, "ctl", "--socket", &*socket, "bridge"].map(str::to_owned);
        Target::Bridge(self.through.iter().cloned().chain(bridge).collect())
    }
}

/// A node that we are attached to.
#[derive(Debug)]
struct Node {
    entry: NodeEntry,
    id: PeerId,
    feed: Feed,
}

/// A fleet that we are attached to.
#[derive(Debug)]
pub struct RealFleet {
    nodes: Vec<Node>,
}

impl RealFleet {
    /// Attaches to every node.
    ///
    /// # Errors
    /// [`OpError::Failed`] if one does not answer, or two are the same.
    pub async fn attach(file: FleetFile) -> Result<Self, OpError> {
        let mut nodes: Vec<Node> = Vec::new();
        for entry in file.node {
            let failed = |e: ClientError| OpError::Failed(format!("node {}: {e}", entry.name));
            let feed = control::attach(entry.target(), false).await.map_err(failed)?;
            let id = feed.snapshots.borrow().node.peer_id;
            if let Some(same) = nodes.iter().find(|node| node.id == id) {
                let (one, other) = (&same.entry.name, &entry.name);
                return Err(OpError::Failed(format!("{one} and {other} are the same node, {id}")));
            }
            nodes.push(Node { entry, id, feed });
        }
        Ok(Self { nodes })
    }

    fn node(&self, name: &str) -> Result<&Node, OpError> {
        let mut nodes = self.nodes.iter();
        let found = if name == "first" { nodes.next() } else { nodes.find(|node| node.entry.name == name) };
        found.ok_or_else(|| OpError::Unknown(format!("node {name}")))
    }

    /// Starts a node by its command.
    async fn start(&self, name: &str, passive: bool) -> Result<(), OpError> {
        let node = self.node(name).map_err(|_| unsupported("start a node that is not in its file"))?;
        if passive {
            return Err(unsupported("hold a node back from dialling"));
        }
        node.run("start", node.entry.start.as_deref()).await?;
        node.until(true).await
    }

    async fn stop(&self, name: &str) -> Result<(), OpError> {
        let node = self.node(name)?;
        node.can_return()?;
        match &node.entry.stop {
            Some(command) => node.run("stop", Some(command)).await?,
            None => {
                let sent = node.feed.commands.try_send(Command::Leave);
                sent.map_err(|e| OpError::Failed(format!("node {name}: {e}")))?;
            }
        }
        node.until(false).await
    }

    async fn kill(&self, name: &str) -> Result<(), OpError> {
        let node = self.node(name)?;
        node.can_return()?;
        node.run("kill", node.entry.kill.as_deref()).await?;
        node.until(false).await
    }
}

impl Node {
    fn runs(&self) -> bool {
        self.feed.presence.as_ref().is_none_or(|presence| *presence.borrow() == Presence::Here)
    }

    /// Nobody's node is ended that cannot be started again.
    fn can_return(&self) -> Result<(), OpError> {
        if self.entry.start.is_some() {
            return Ok(());
        }
        Err(not_given("start", &self.entry.name))
    }

    /// Waits until it runs, or does not.
    async fn until(&self, runs: bool) -> Result<(), OpError> {
        let Some(mut presence) = self.feed.presence.clone() else { return Ok(()) };
        let wait = presence.wait_for(|p| (*p == Presence::Here) == runs);
        match tokio::time::timeout(COMES_WITHIN, wait).await {
            Ok(Ok(_)) => Ok(()),
            _ => {
                let what = if runs { "does not answer" } else { "still answers" };
                let after = COMES_WITHIN.as_secs();
                Err(OpError::Failed(format!("node {} {what} after {after} s", self.entry.name)))
            }
        }
    }

    /// Runs a command of the fleet's file for its host.
    async fn run(&self, what: &str, command: Option<&[String]>) -> Result<(), OpError> {
        let name = &self.entry.name;
        let Some(command) = command else {
            return Err(not_given(what, name));
        };
        let words: Vec<&String> = self.entry.through.iter().chain(command).collect();
        let failed = |detail: String| OpError::Failed(format!("node {name}, {what}: {detail}"));
        let Some((program, args)) = words.split_first() else { return Err(failed("no command".into())) };
        let mut process = tokio::process::Command::new(program);
        process
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let running = tokio::time::timeout(COMMAND_TIME, process.output());
        let output = match running.await {
            Ok(output) => output.map_err(|e| failed(e.to_string()))?,
            Err(_) => return Err(failed(format!("it has not ended after {} s", COMMAND_TIME.as_secs()))),
        };
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or_default();
        Err(failed(format!("{}: {}", output.status, crate::model::printable(last))))
    }
}

impl Fleet for RealFleet {
    fn kind(&self) -> String {
        format!("{} running nodes", self.nodes.len())
    }

    fn nat_of(&self, _: &str) -> Option<NatType> {
        None
    }

    async fn act(&mut self, op: FleetOp) -> Result<Anew, OpError> {
        match op {
            FleetOp::Start { node, passive } => self.start(&node, passive).await?,
            FleetOp::Stop(name) => self.stop(&name).await?,
            FleetOp::Kill(name) => self.kill(&name).await?,
            FleetOp::Cut(host) => {
                let node = self.node(&host)?;
                node.run("cut", node.entry.cut.as_deref()).await?;
            }
            FleetOp::Heal(host) => {
                let node = self.node(&host)?;
                node.run("heal", node.entry.heal.as_deref()).await?;
            }
            FleetOp::Blackhole { .. } => return Err(unsupported(LIES)),
            FleetOp::SetNat(..) | FleetOp::Flush(_) => return Err(unsupported(NATS)),
            FleetOp::CutWire { .. } | FleetOp::Spoil(_) | FleetOp::Fault(_) => {
                return Err(unsupported(FAULTS));
            }
        }
        // Whoever is attached stays attached over a restart.
        Ok(Vec::new())
    }
}

impl Arena for RealFleet {
    fn outlives_the_drill(&self) -> bool {
        true
    }

    fn can(&self, need: Need<'_>) -> Result<(), OpError> {
        let given = |node: &str, what: &str, command: fn(&NodeEntry) -> Option<&Vec<String>>| {
            let node = self.node(node)?;
            match command(&node.entry) {
                Some(_) => Ok(()),
                None => Err(not_given(what, &node.entry.name)),
            }
        };
        match need {
            Need::StartPassive => Err(unsupported("hold a node back from dialling")),
            Need::Start(node) => given(node, "start", |n| n.start.as_ref()),
            Need::Kill(node) => {
                given(node, "start", |n| n.start.as_ref())?;
                given(node, "kill", |n| n.kill.as_ref())
            }
            Need::Cut(hosts) => hosts.iter().try_for_each(|host| given(host, "cut", |n| n.cut.as_ref())),
            Need::Blackhole => Err(unsupported(LIES)),
            Need::Nat => Err(unsupported(NATS)),
            Need::Faults => Err(unsupported(FAULTS)),
            Need::FreshPairs => Err(unsupported("put fresh nodes behind NATs")),
            Need::DrillCommands => {
                Err(unsupported("do what only a drill's own nodes do: echoes, and losing a delta"))
            }
            Need::Registry => Err(unsupported("report to a registry of the drill's own")),
            Need::ProcessFigures => Err(unsupported("tell what a node's process has grown by")),
        }
    }

    fn holds_back(&self) -> bool {
        false
    }

    fn members(&self) -> Vec<Member> {
        let member = |node: &Node| Member {
            name: node.entry.name.clone(),
            peer_id: node.id,
            running: node.runs(),
            feed: Some(node.feed.clone()),
        };
        self.nodes.iter().map(member).collect()
    }
}

const LIES: &str = "make a relay lie";
const NATS: &str = "change a NAT";
const FAULTS: &str = "have a wire, a clock, an address or a sleeping machine go wrong";

fn not_given(what: &str, node: &str) -> OpError {
    unsupported(&format!("{what} {node}: its file gives no command for that"))
}

fn unsupported(what: &str) -> OpError {
    OpError::Unsupported(format!("{what} (it is one of running nodes)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("fleet.toml");
        std::fs::write(&file, text).unwrap();
        FleetFile::read(&file).unwrap_err().to_string()
    }

    #[test]
    fn a_fleets_file_that_makes_no_sense_is_refused_with_what_and_where() {
        let node = |name: &str, rest: &str| format!("[[node]]\nname = \"{name}\"\nsocket = \"/s\"\n{rest}\n");
        let two = node("a", "") + &node("b", "");
        for (text, says) in [
            (node("a", ""), "1 nodes; a fleet has 2 to 64"),
            (node("a", "") + &node("a", ""), "a name of its own"),
            (node("a", "kill = []") + &node("b", ""), "at least one word"),
            (node("a", "cut = [\"x\"]") + &node("b", ""), "cut and heal go together"),
            (two.clone() + "[[node]]\nname = \"c\"\n", "missing field `socket`"),
            (two + &node("c", "speed = 1"), "unknown field `speed`"),
        ] {
            let error = refused(&text);
            assert!(error.contains("fleet.toml: ") && error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_node_behind_a_command_is_reached_by_a_bridge_at_its_end() {
        let text = "[[node]]\nname = \"a\"\nsocket = \"/run/p.sock\"\nthrough = [\"ssh\", \"vps-1\"]\n";
        let entry = toml::from_str::<FleetFile>(text).unwrap().node.remove(0);
        let words = ["ssh", "vps-1", "punchdeck", "ctl", "--socket", "/run/p.sock", "bridge"];
        assert_eq!(entry.target(), Target::Bridge(words.map(str::to_owned).to_vec()));
    }
}
