//! What travels: one JSON object a line, both ways.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::{Brief, Command, CommandId, Event, LogLine, Outcome, PeerId, PeerRow, Sections};

/// The version of all this. A client and a node of different versions tell each
/// other so, and nothing else.
pub const VERSION: u32 = 3;
/// Longest line of a client, in bytes: a command needs a few hundred.
pub const CLIENT_LINE_MAX: usize = 64 * 1024;
/// Longest line of a node, in bytes: peers are paged so that it holds.
pub const SERVER_LINE_MAX: usize = 1024 * 1024;

/// What a client says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// First of all.
    Hello {
        /// The version it speaks.
        version: u32,
        /// Whether it gives up the right to command. The node holds it to that.
        #[serde(default)]
        read_only: bool,
    },
    /// The state now, once.
    Snapshot {},
    /// The same in brief, once. A node that is older refuses it as a line that cannot be
    /// read.
    Brief {},
    /// The state now and whatever changes of it, until the client hangs up.
    Follow {},
    /// The events that are remembered, and then those that come.
    Events {
        /// Whether it waits for more.
        follow: bool,
    },
    /// The log lines that are remembered, and then those that come.
    Logs {},
    /// A command. Its outcome bears the same id.
    Do {
        /// The client's own number for it.
        id: CommandId,
        /// What is asked.
        command: Command,
    },
}

/// What a node says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tell {
    /// First of all, unasked.
    Hello(Greeting),
    /// Peers that changed. The rest of a state follows: only then it counts.
    Peers {
        /// Their new rows, at most a thousand.
        changed: Vec<Arc<PeerRow>>,
        /// Those that are no longer known.
        gone: Vec<PeerId>,
    },
    /// The rest of a state.
    State(Box<Sections>),
    /// The state in brief.
    Brief(Box<Brief>),
    /// Something happened. A gap in the numbers of events means that the client
    /// was too slow.
    Event(Arc<Event>),
    /// A line of the log of the node's process. A gap in the numbers means that
    /// the client was too slow, or came later.
    Log {
        /// Its number in this run of the process.
        n: u64,
        /// What it says.
        line: Arc<LogLine>,
    },
    /// All events that are remembered have been told.
    EventsEnd {},
    /// The end of a command of this client.
    Outcome(Arc<Outcome>),
    /// The node ends the conversation, and why.
    Refused(Refusal),
    /// The node stops.
    Bye {},
}

/// Who answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greeting {
    /// The version of the protocol.
    pub version: u32,
    /// Who the node is.
    pub peer_id: PeerId,
    /// Its process.
    pub pid: u32,
    /// The program's version.
    pub program: String,
}

/// Why a node does not talk to a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// Another version.
    #[error("{}", other_version(*speaks, program))]
    Version {
        /// The node's.
        speaks: u32,
        /// Its program's version; empty of one that does not say.
        #[serde(default)]
        program: String,
    },
    /// Too many clients.
    #[error("the node has {max} clients already; one of them has to go first")]
    TooManyClients {
        /// How many are allowed.
        max: u32,
    },
    /// Another user.
    #[error("the node's socket is for user {owner} and root")]
    NotAllowed {
        /// Whose it is.
        owner: u32,
    },
    /// A line that is too long.
    #[error("a line of more than {max} bytes")]
    LineTooLong {
        /// How long it may be.
        max: u64,
    },
    /// A line that cannot be read.
    #[error("a line that cannot be read: {detail}")]
    Malformed {
        /// What is wrong with it.
        detail: String,
    },
    /// Nothing was said in time.
    #[error("nothing was said for {after_ms} ms")]
    Silent {
        /// How long was waited.
        after_ms: u64,
    },
}

/// A node of another version, as its client says it.
fn other_version(speaks: u32, program: &str) -> String {
    let ours = env!("CARGO_PKG_VERSION");
    let theirs = if program.is_empty() { "another version" } else { program };
    let which = if speaks > VERSION { "this program" } else { "the node, and start it again" };
    format!(
        "the node is punchdeck {theirs} (control protocol {speaks}), this program {ours} (control protocol \
         {VERSION}): upgrade {which}"
    )
}
