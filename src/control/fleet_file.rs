//! A fleet of running nodes as its file describes it: each behind its control socket, on
//! this host or behind a command such as `ssh host`. A console looks at it, drills run on it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::target::Target;
use crate::files::{self, read};

/// Nodes of a fleet.
pub const FLEET_NODES: std::ops::RangeInclusive<usize> = 2..=64;
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
    /// In the order in which they stand there: the first one is the first of drills.
    pub node: Vec<FleetNode>,
}

/// A node of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FleetNode {
    /// What the operator calls it.
    pub name: String,
    /// Its control socket, on its own host.
    pub socket: PathBuf,
    /// What goes before every command for its host, such as `["ssh", "vps-1"]`.
    #[serde(default)]
    pub through: Vec<String>,
    /// What this program is called there.
    pub program: Option<String>,
    /// Starts it.
    pub start: Option<Vec<String>>,
    /// Stops it politely; without one it is asked to leave.
    pub stop: Option<Vec<String>>,
    /// Ends it without a word.
    pub kill: Option<Vec<String>>,
    /// Cuts its host off.
    pub cut: Option<Vec<String>>,
    /// Heals that.
    pub heal: Option<Vec<String>>,
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
        if !FLEET_NODES.contains(&self.node.len()) {
            let (low, high) = (FLEET_NODES.start(), FLEET_NODES.end());
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

impl FleetNode {
    /// Where its control socket is, from here.
    pub fn target(&self) -> Target {
        if self.through.is_empty() {
            return Target::Socket(self.socket.clone());
        }
        let program = self.program.as_deref().unwrap_or(PROGRAM);
        let socket = self.socket.to_string_lossy();
        let bridge = [program, "ctl", "--socket", &*socket, "bridge"].map(str::to_owned);
        Target::Bridge(self.through.iter().cloned().chain(bridge).collect())
    }
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
