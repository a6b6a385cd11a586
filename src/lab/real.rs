//! Running nodes as a fleet that drills run on: each behind its control socket,
//! on this host or through a command such as `ssh host`.
//!
//! What no control socket can do (start, kill, cut off) is done by commands that
//! the fleet's file gives; what it does not give is unsupported, never skipped.

use std::process::Stdio;
use std::time::Duration;

use super::drill::{Act, Arena, ArenaError, Baseline, Member, RelayFailure, Step, fault_step};
use crate::control::{self, ClientError, FleetFile, FleetNode};
use crate::model::{Command, NatType, PeerId};
use crate::node::feed::{Feed, Presence};

/// How long a node may take to come or go after the command that does it.
const COMES_WITHIN: Duration = Duration::from_secs(30);
/// How long a command of the fleet's file may take.
const COMMAND_TIME: Duration = Duration::from_secs(60);

/// A node that we are attached to.
#[derive(Debug)]
struct Node {
    entry: FleetNode,
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
    /// [`ArenaError::Failed`] if one does not answer, or two are the same.
    pub async fn attach(file: FleetFile) -> Result<Self, ArenaError> {
        let mut nodes: Vec<Node> = Vec::new();
        for entry in file.node {
            let failed = |e: ClientError| ArenaError::Failed(format!("node {}: {e}", entry.name));
            let feed = control::attach(entry.target(), false).await.map_err(failed)?;
            let id = feed.snapshots.borrow().node.peer_id;
            if let Some(same) = nodes.iter().find(|node| node.id == id) {
                let (one, other) = (&same.entry.name, &entry.name);
                return Err(ArenaError::Failed(format!("{one} and {other} are the same node, {id}")));
            }
            nodes.push(Node { entry, id, feed });
        }
        Ok(Self { nodes })
    }

    fn node(&self, name: &str) -> Result<&Node, ArenaError> {
        let mut nodes = self.nodes.iter();
        let found = if name == "first" { nodes.next() } else { nodes.find(|node| node.entry.name == name) };
        found.ok_or_else(|| ArenaError::Unknown(format!("node {name}")))
    }

    /// Starts a node by its command.
    async fn start(&self, name: &str, passive: bool) -> Result<(), ArenaError> {
        let node = self.node(name).map_err(|_| unsupported("start a node that is not in its file"))?;
        if passive {
            return Err(unsupported("hold a node back from dialling"));
        }
        node.run("start", node.entry.start.as_deref()).await?;
        node.until(true).await
    }

    async fn stop(&self, name: &str) -> Result<(), ArenaError> {
        let node = self.node(name)?;
        node.can_return()?;
        match &node.entry.stop {
            Some(command) => node.run("stop", Some(command)).await?,
            None => {
                let sent = node.feed.commands.try_send(Command::Leave);
                sent.map_err(|e| ArenaError::Failed(format!("node {name}: {e}")))?;
            }
        }
        node.until(false).await
    }

    async fn kill(&self, name: &str) -> Result<(), ArenaError> {
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
    fn can_return(&self) -> Result<(), ArenaError> {
        if self.entry.start.is_some() {
            return Ok(());
        }
        Err(not_given("start", &self.entry.name))
    }

    /// Waits until it runs, or does not.
    async fn until(&self, runs: bool) -> Result<(), ArenaError> {
        let Some(mut presence) = self.feed.presence.clone() else { return Ok(()) };
        let wait = presence.wait_for(|p| (*p == Presence::Here) == runs);
        match tokio::time::timeout(COMES_WITHIN, wait).await {
            Ok(Ok(_)) => Ok(()),
            _ => {
                let what = if runs { "does not answer" } else { "still answers" };
                let after = COMES_WITHIN.as_secs();
                Err(ArenaError::Failed(format!("node {} {what} after {after} s", self.entry.name)))
            }
        }
    }

    /// Runs a command of the fleet's file for its host.
    async fn run(&self, what: &str, command: Option<&[String]>) -> Result<(), ArenaError> {
        let name = &self.entry.name;
        let Some(command) = command else {
            return Err(not_given(what, name));
        };
        let words: Vec<&String> = self.entry.through.iter().chain(command).collect();
        let failed = |detail: String| ArenaError::Failed(format!("node {name}, {what}: {detail}"));
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

impl Arena for RealFleet {
    fn kind(&self) -> String {
        format!("{} running nodes", self.nodes.len())
    }

    fn outlives_the_drill(&self) -> bool {
        true
    }

    fn can(&self, step: &Step) -> Result<(), ArenaError> {
        let given = |node: &str, what: &str, command: fn(&FleetNode) -> Option<&Vec<String>>| {
            let node = self.node(node)?;
            match command(&node.entry) {
                Some(_) => Ok(()),
                None => Err(not_given(what, &node.entry.name)),
            }
        };
        match step {
            Step::Start { passive: true, .. } => Err(unsupported("hold a node back from dialling")),
            Step::Start { node, .. } | Step::Stop { node } => given(node, "start", |n| n.start.as_ref()),
            Step::Kill { node } => {
                given(node, "start", |n| n.start.as_ref())?;
                given(node, "kill", |n| n.kill.as_ref())
            }
            Step::Cut { hosts } | Step::Heal { hosts } => {
                hosts.iter().try_for_each(|host| given(host, "cut", |n| n.cut.as_ref()))
            }
            Step::FailRelay { how: RelayFailure::Lie, .. } => Err(unsupported("make a relay lie")),
            Step::SetNat { .. } | Step::Flush { .. } | Step::Rebind { .. } => {
                Err(unsupported("change a NAT"))
            }
            fault_step!() => Err(unsupported(FAULTS)),
            Step::Matrix { .. } => Err(unsupported("put fresh nodes behind NATs")),
            Step::Echo { .. } | Step::LoseDelta { .. } => {
                Err(unsupported("do what only a drill's own nodes do: echoes, and losing a delta"))
            }
            Step::Campaign { .. } => Err(unsupported("report to a registry of the drill's own")),
            Step::Soak { .. } => Err(unsupported("tell what a node's process has grown by")),
            // Which node is the relay that fails only the step itself finds out.
            Step::FailRelay { .. }
            | Step::Storm { .. }
            | Step::Failover { .. }
            | Step::Sync { .. }
            | Step::Advertised { .. }
            | Step::PathTest { .. }
            | Step::Why { .. }
            | Step::Connect { .. }
            | Step::Disconnect { .. }
            | Step::Wait { .. }
            | Step::Sleep { .. } => Ok(()),
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

    fn nat_of(&self, _: &str) -> Option<NatType> {
        None
    }

    fn round_trip(&self, _: &str, _: &str) -> Option<Duration> {
        None
    }

    async fn act(&mut self, act: Act) -> Result<(), ArenaError> {
        match act {
            Act::Start { node, passive } => self.start(&node, passive).await,
            Act::Stop(name) => self.stop(&name).await,
            Act::Kill(name) => self.kill(&name).await,
            Act::Cut(host) => {
                let node = self.node(&host)?;
                node.run("cut", node.entry.cut.as_deref()).await
            }
            Act::Heal(host) => {
                let node = self.node(&host)?;
                node.run("heal", node.entry.heal.as_deref()).await
            }
            Act::Lie(_) | Act::Own(_) => Err(unsupported("make a relay lie")),
            Act::SetNat(..) | Act::Flush(_) => Err(unsupported("change a NAT")),
            Act::Fault(_) => Err(unsupported(FAULTS)),
        }
    }

    async fn mapped_port(&self, _: &str) -> Result<Option<u16>, ArenaError> {
        Err(unsupported("look into a NAT"))
    }

    async fn pair(&mut self, _: NatType, _: NatType) -> Result<(String, String), ArenaError> {
        Err(unsupported("put fresh nodes behind NATs"))
    }

    async fn end_pair(&mut self, _: (String, String)) {}

    async fn baseline(&mut self, _: &[(NatType, NatType)]) -> Result<Vec<Baseline>, ArenaError> {
        Err(unsupported("put fresh nodes behind NATs"))
    }
}

const FAULTS: &str = "have a wire, a clock, an address or a sleeping machine go wrong";

fn not_given(what: &str, node: &str) -> ArenaError {
    unsupported(&format!("{what} {node}: its file gives no command for that"))
}

fn unsupported(what: &str) -> ArenaError {
    ArenaError::Unsupported(format!("{what} (it is one of running nodes)"))
}
