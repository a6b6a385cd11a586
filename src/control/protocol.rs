//! What travels: one JSON object a line, both ways.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::{
    AttemptsView, Command, CommandId, Counters, Event, GossipView, KpiView, LinkRow, NatView, NodeInfo,
    Outcome, PeerId, PeerRow, RelaysView, ReportingView, Snapshot, Stamp,
};

/// The version of all this. A client and a node of different versions tell each
/// other so, and nothing else.
pub const VERSION: u32 = 1;
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
    /// The state now and whatever changes of it, until the client hangs up.
    Follow {},
    /// The events that are remembered, and then those that come.
    Events {
        /// Whether it waits for more.
        follow: bool,
    },
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
    /// Something happened. A gap in the numbers of events means that the client
    /// was too slow.
    Event(Arc<Event>),
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
    #[error("the node speaks version {speaks} of the control protocol, this program version {VERSION}")]
    Version {
        /// The node's.
        speaks: u32,
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

/// A state without its peers: the sections that changed since the last one.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Sections {
    /// Counts up with each state.
    pub seq: u64,
    /// When it was taken.
    pub at: Option<Stamp>,
    /// The node itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Arc<NodeInfo>>,
    /// The links.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links: Option<Arc<Vec<LinkRow>>>,
    /// Live and recent attempts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<Arc<AttemptsView>>,
    /// Relays in use and served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relays: Option<Arc<RelaysView>>,
    /// Gossip counters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gossip: Option<Arc<GossipView>>,
    /// The NAT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nat: Option<Arc<NatView>>,
    /// Rates and times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kpi: Option<Arc<KpiView>>,
    /// What is told to the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reporting: Option<Arc<ReportingView>>,
    /// What limits stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counters: Option<Arc<Counters>>,
}

impl Sections {
    /// What of a snapshot is another section than in the one before.
    pub(super) fn between(before: Option<&Snapshot>, now: &Snapshot) -> Self {
        fn changed<T>(
            before: Option<&Snapshot>,
            now: &Snapshot,
            of: impl Fn(&Snapshot) -> &Arc<T>,
        ) -> Option<Arc<T>> {
            let new = of(now);
            before.is_none_or(|old| !Arc::ptr_eq(of(old), new)).then(|| Arc::clone(new))
        }
        Self {
            seq: now.seq,
            at: Some(now.at),
            node: changed(before, now, |s| &s.node),
            links: changed(before, now, |s| &s.links),
            attempts: changed(before, now, |s| &s.attempts),
            relays: changed(before, now, |s| &s.relays),
            gossip: changed(before, now, |s| &s.gossip),
            nat: changed(before, now, |s| &s.nat),
            kpi: changed(before, now, |s| &s.kpi),
            reporting: changed(before, now, |s| &s.reporting),
            counters: changed(before, now, |s| &s.counters),
        }
    }
}
