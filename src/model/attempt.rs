//! Attempts: one run of the ladder towards one peer, stage by stage.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Path, PeerId, Reason, Snapshot, Stamp};

/// Names an attempt within one run of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptId(pub u64);

/// What made us try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The bootstrap list.
    Bootstrap,
    /// The cache, at start or in isolation.
    Cache,
    /// A peer that gossip told us of.
    Gossip,
    /// A link was lost.
    Reconnect,
    /// Only to find out whether an untried peer is real.
    Feeler,
    /// A link runs over a relay, and might do without.
    Upgrade,
    /// A relay is needed, and nobody we are linked to can be one.
    Relay,
    /// A person or a drill asked.
    Operator,
}

impl Cause {
    /// The name as it stands in JSON and texts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bootstrap => "bootstrap",
            Self::Cache => "cache",
            Self::Gossip => "gossip",
            Self::Reconnect => "reconnect",
            Self::Feeler => "feeler",
            Self::Upgrade => "upgrade",
            Self::Relay => "relay",
            Self::Operator => "operator",
        }
    }
}

/// A rung of the ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageKind {
    /// Dial the peer's addresses.
    Direct,
    /// Punch through the NATs, coordinated by an intermediary.
    Punch,
    /// Through a relay.
    Relay,
    /// Guess the port of a symmetric NAT, behind a relay that carries meanwhile.
    Guess,
}

impl StageKind {
    /// The stage that makes links of that path.
    pub fn of(path: Path) -> Self {
        match path {
            Path::Direct => Self::Direct,
            Path::Punched => Self::Punch,
            Path::Relayed => Self::Relay,
        }
    }

    /// What a link is that it makes.
    pub fn path(self) -> Path {
        match self {
            Self::Direct => Path::Direct,
            Self::Punch | Self::Guess => Path::Punched,
            Self::Relay => Path::Relayed,
        }
    }

    /// The name as it stands in JSON and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Punch => "punch",
            Self::Relay => "relay",
            Self::Guess => "guess",
        }
    }
}

impl fmt::Display for StageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a stage stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageOutcome {
    /// Still going.
    Running,
    /// It connected.
    Ok,
    /// It did not.
    Failed,
    /// It was not begun.
    Skipped,
}

impl StageOutcome {
    /// The name as it stands in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// One stage of an attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageReport {
    /// Which rung.
    pub stage: StageKind,
    /// Where it stands.
    pub outcome: StageOutcome,
    /// Why it failed or was skipped.
    pub reason: Option<Reason>,
    /// When it began.
    pub started: Stamp,
    /// How long it took, in milliseconds; `None` while it runs.
    pub elapsed_ms: Option<u64>,
    /// The intermediary or relay it went through.
    pub via: Option<PeerId>,
    /// What was opened and sent, where ports were guessed.
    #[serde(default)]
    pub guess: Option<GuessReport>,
}

/// What a guessed punch opened and sent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GuessReport {
    /// Whether this end opened the sockets; else it sent the probes.
    pub opens: bool,
    /// Sockets open at the symmetric end, each a mapping of its NAT; `None` as
    /// long as they are not told.
    pub sockets: Option<u32>,
    /// Probes sent to ports of that NAT; `None` where the other end sends them
    /// and has not told.
    pub probes: Option<u32>,
    /// As many are sent at most.
    pub probes_of: u32,
    /// How likely it was that so many would meet, 0 to 1.
    pub odds: Option<f64>,
    /// Whether one of them met a socket.
    pub met: bool,
}

impl fmt::Display for GuessReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |n: Option<u32>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
        let (sockets, whose) = (count(self.sockets), if self.opens { "here" } else { "there" });
        write!(f, "{sockets} sockets {whose}, {} of {} probes", count(self.probes), self.probes_of)?;
        if let Some(odds) = self.odds {
            write!(f, ", odds so far {:.0} %", odds * 100.0)?;
        }
        f.write_str(if self.met { ", met" } else { "" })
    }
}

impl StageReport {
    /// When it ended; `None` while it runs.
    fn ended(&self) -> Option<Stamp> {
        self.elapsed_ms.map(|ms| self.started.after(Duration::from_millis(ms)))
    }

    /// Whether it ran at the same time as another one: what was not begun did not.
    fn runs_beside(&self, other: &Self) -> bool {
        let ran = |stage: &Self| stage.ended() != Some(stage.started);
        let before = |a: &Self, b: &Self| a.ended().is_some_and(|end| end <= b.started);
        ran(self) && ran(other) && !before(self, other) && !before(other, self)
    }
}

/// When a stage began, counted from the first of all, and whether another one ran at
/// the same time: without that the times of stages do not make up that of the whole.
pub fn stage_place(stages: &[StageReport], at: usize) -> (Duration, bool) {
    let Some(stage) = stages.get(at) else { return (Duration::ZERO, false) };
    let begun = stages.iter().map(|s| s.started).min().unwrap_or(stage.started);
    let beside = stages.iter().enumerate().any(|(n, other)| n != at && stage.runs_beside(other));
    (begun.age_at(stage.started), beside)
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// A usable link came of it.
    Connected,
    /// Every stage failed or was skipped.
    Unreachable,
    /// A link stands over a relay, and no better path to it was found.
    NoBetterPath,
    /// It was called off: the peer connected to us meanwhile, or we stopped.
    Abandoned,
}

impl AttemptOutcome {
    /// The name as it stands in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Unreachable => "unreachable",
            Self::NoBetterPath => "no_better_path",
            Self::Abandoned => "abandoned",
        }
    }

    /// As it is said, where the path is not.
    pub fn word(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Unreachable => "unreachable",
            Self::NoBetterPath => "no better path",
            Self::Abandoned => "called off",
        }
    }
}

/// What happens next for a peer that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum NextStep {
    /// Another attempt at that time.
    Retry {
        /// When.
        at: Stamp,
    },
    /// The link runs over a relay: a punch at that time, or when a NAT changes.
    Upgrade {
        /// When; `None` where only a change can help.
        at: Option<Stamp>,
    },
    /// Nothing until somebody asks.
    Wait,
}

impl Attempt {
    /// What became of it since, where that is not what it came to: the link is another
    /// one now, it came in, or it is gone. Only the newest attempt is about now.
    pub fn since(&self, shown: &Snapshot) -> Option<Since> {
        let peer = shown.peer(&self.peer_id?)?;
        if peer.attempt != Some(self.id) {
            return None;
        }
        let link = shown.link(&peer.peer_id);
        match (self.outcome?, link) {
            (AttemptOutcome::NoBetterPath, Some(link)) if link.path == Path::Relayed => None,
            (AttemptOutcome::Connected, Some(link)) if self.path == Some(link.path) => None,
            (_, Some(link)) => {
                Some(Since::Linked { path: link.path, ours: link.outbound, since: link.since })
            }
            (AttemptOutcome::Connected | AttemptOutcome::NoBetterPath, None) => Some(Since::NoLink),
            (AttemptOutcome::Unreachable | AttemptOutcome::Abandoned, None) => None,
        }
    }
}

/// What became of a peer since an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// A link stands that is not what the attempt came to.
    Linked {
        /// Its path.
        path: Path,
        /// Whether we dialled it.
        ours: bool,
        /// Since when it stands.
        since: Stamp,
    },
    /// There is no link any more.
    NoLink,
}

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Linked { path, ours: true, .. } => write!(f, "{path}, we dialled it"),
            Self::Linked { path, ours: false, .. } => write!(f, "{path}, it dialled us"),
            Self::NoLink => f.write_str("no link"),
        }
    }
}

impl NextStep {
    /// Whether it says the same, as a person reads it: times that differ by less
    /// than a second are one, for two clocks never agree to the millisecond.
    pub(crate) fn is_about(&self, other: &Self) -> bool {
        let near = |a: Stamp, b: Stamp| a.0.abs_diff(b.0) < 1_000;
        match (self, other) {
            (Self::Retry { at: a }, Self::Retry { at: b })
            | (Self::Upgrade { at: Some(a) }, Self::Upgrade { at: Some(b) }) => near(*a, *b),
            _ => self == other,
        }
    }
}

/// One run of the ladder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Which.
    pub id: AttemptId,
    /// Towards whom; a bootstrap address has no identity until it answers.
    pub peer_id: Option<PeerId>,
    /// The first address dialled.
    pub target: Option<SocketAddr>,
    /// What made us try.
    pub cause: Cause,
    /// When it began.
    pub started: Stamp,
    /// How it ended; `None` while it runs.
    pub outcome: Option<AttemptOutcome>,
    /// The path of the first usable link that came of it. What the link is now is
    /// the link's to say.
    pub path: Option<Path>,
    /// How long it took, in milliseconds; `None` while it runs.
    pub elapsed_ms: Option<u64>,
    /// Its stages in order.
    pub stages: Vec<StageReport>,
    /// What happens next.
    pub next: Option<NextStep>,
}
