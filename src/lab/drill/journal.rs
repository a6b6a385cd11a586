//! What happened while a drill ran, for a person who asks why its verdict is what
//! it is: the events of every node, its steps, and what each round of a soak
//! measured, a JSON object a line, in the order in which they came.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use super::arena::Member;
use crate::model::Stamp;
use crate::model::contract::{EventLine, rfc3339};
use crate::node::feed::CommandSender;

/// Lines that wait to be written. Where the reader is behind, lines are dropped
/// and counted: a drill's figures matter more than its journal.
const WAITING: usize = 4096;

/// One line.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Entry {
    /// A node's event.
    Event {
        /// The node's name.
        node: Arc<str>,
        /// What happened there.
        #[serde(flatten)]
        event: EventLine,
    },
    /// Events of a node that were dropped, as nobody read them in time.
    Missed {
        /// The node's name.
        node: Arc<str>,
        /// How many.
        missed: u64,
    },
    /// A step of the drill, or of a round of it, begins.
    Step {
        /// When, as RFC 3339 in UTC.
        at: String,
        /// What it does.
        step: String,
    },
    /// What a round of a soak measured.
    Round {
        /// When it ended.
        at: String,
        /// Which, from 1.
        round: u32,
        /// By name, in the units of the drill's checks.
        measured: BTreeMap<String, f64>,
        /// What this process has in memory, in MiB, where the system tells.
        rss_mib: Option<f64>,
    },
}

/// Follows the nodes of a fleet over their restarts.
#[derive(Debug)]
pub struct Journal {
    lines: mpsc::Sender<Entry>,
    /// Whose events are read already, and by which run of the node.
    followed: BTreeMap<String, CommandSender>,
}

impl Journal {
    /// A journal, and where its lines come out.
    pub fn channel() -> (Self, mpsc::Receiver<Entry>) {
        let (lines, out) = mpsc::channel(WAITING);
        (Self { lines, followed: BTreeMap::new() }, out)
    }

    /// Reads the events of every node that runs in this process, from now on.
    pub(super) fn follow(&mut self, members: Vec<Member>) {
        for member in members {
            let Some(feed) = member.feed.filter(|_| member.running) else { continue };
            if self.followed.get(&member.name).is_some_and(|known| known.is_same(&feed.commands)) {
                continue;
            }
            let node: Arc<str> = member.name.as_str().into();
            self.followed.insert(member.name, feed.commands);
            let (lines, mut events) = (self.lines.clone(), feed.events);
            tokio::spawn(async move {
                loop {
                    let node = Arc::clone(&node);
                    let entry = match events.recv().await {
                        Ok(event) => Entry::Event { node, event: EventLine::new(&event) },
                        Err(RecvError::Lagged(missed)) => Entry::Missed { node, missed },
                        Err(RecvError::Closed) => return,
                    };
                    if lines.send(entry).await.is_err() {
                        return;
                    }
                }
            });
        }
    }

    pub(super) fn step(&self, now: Stamp, step: String) {
        let _ = self.lines.try_send(Entry::Step { at: rfc3339(now), step });
    }

    pub(super) fn round(
        &self,
        now: Stamp,
        round: u32,
        measured: &BTreeMap<String, f64>,
        rss_mib: Option<f64>,
    ) {
        let (at, measured) = (rfc3339(now), measured.clone());
        let _ = self.lines.try_send(Entry::Round { at, round, measured, rss_mib });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_which_node_and_what() {
        let step = Entry::Step { at: rfc3339(Stamp(0)), step: "flush port-1".to_owned() };
        let missed = Entry::Missed { node: "pub-1".into(), missed: 3 };
        let json = |entry: &Entry| serde_json::to_string(entry).unwrap();
        assert_eq!(json(&step), r#"{"at":"1970-01-01T00:00:00.000Z","step":"flush port-1"}"#);
        assert_eq!(json(&missed), r#"{"node":"pub-1","missed":3}"#);
    }
}
