//! What a person or a program asks of the node, and what came of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Failover, NatView, Path, PathTest, PeerId, Reason, StageKind, StageReport, Why};

/// Names a command; its outcome bears the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CommandId(pub u64);

/// What can be asked of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Command {
    /// Run the ladder towards a peer now; lifts a hold-off.
    Connect {
        /// Whom.
        peer: PeerId,
    },
    /// Run the punch stage only.
    Punch {
        /// Whom.
        peer: PeerId,
    },
    /// Run the relay stage only.
    Relay {
        /// Whom.
        peer: PeerId,
    },
    /// Close the link to a peer and hold off automatic dials for a minute.
    Disconnect {
        /// Whom.
        peer: PeerId,
    },
    /// Exchange records with one linked peer, or with all.
    Sync {
        /// With whom; `None` is everybody linked.
        peer: Option<PeerId>,
    },
    /// Hand relayed links over to the standby relay.
    Failover {
        /// For which peer; `None` is all.
        peer: Option<PeerId>,
    },
    /// End the reservation that a peer holds on this node, and give it none for ten
    /// minutes.
    EndServed {
        /// Whose.
        peer: PeerId,
    },
    /// Test every path that stands to a peer.
    Test {
        /// To whom.
        peer: PeerId,
        /// How long each path is tested, in milliseconds.
        for_ms: u32,
    },
    /// Call that off.
    EndTest {
        /// To whom.
        peer: PeerId,
    },
    /// Measure the NAT again.
    NatProbe,
    /// Say why the link to a peer is what it is; its half is asked for.
    Why {
        /// About whom.
        peer: PeerId,
    },
    /// Say goodbye to every peer and stop.
    Leave,
    /// Send numbered echoes over a link: only drills ask for this, to show what
    /// is lost while paths change.
    Echo {
        /// Over whose.
        peer: PeerId,
        /// How many.
        count: u32,
        /// Milliseconds between two.
        every_ms: u32,
    },
    /// Lose the next delta before it is sent: only drills ask for this, to show
    /// that the digest repairs it.
    LoseNextDelta,
}

impl Command {
    /// The verb.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Connect { .. } => "connect",
            Self::Punch { .. } => "punch",
            Self::Relay { .. } => "relay",
            Self::Disconnect { .. } => "disconnect",
            Self::Sync { .. } => "sync",
            Self::Failover { .. } => "failover",
            Self::EndServed { .. } => "relays end",
            Self::Test { .. } => "test",
            Self::EndTest { .. } => "end the test",
            Self::NatProbe => "nat-probe",
            Self::Why { .. } => "why",
            Self::Leave => "leave",
            Self::Echo { .. } => "echo",
            Self::LoseNextDelta => "lose-next-delta",
        }
    }

    /// The stage that it wants run, if it wants a single one.
    pub fn stage(&self) -> Option<StageKind> {
        match self {
            Self::Punch { .. } => Some(StageKind::Punch),
            Self::Relay { .. } => Some(StageKind::Relay),
            _ => None,
        }
    }

    /// Whether it only asks: nothing changes by it.
    pub fn is_question(&self) -> bool {
        matches!(self, Self::Why { .. })
    }

    /// Whether only drills ask for it: it shows or does harm that no operator
    /// wants.
    pub fn is_for_drills(&self) -> bool {
        matches!(self, Self::Echo { .. } | Self::LoseNextDelta)
    }

    /// Is about another peer from now on, if it is about one.
    pub fn rename(&mut self, to: impl Fn(PeerId) -> PeerId) {
        match self {
            Self::Connect { peer }
            | Self::Punch { peer }
            | Self::Relay { peer }
            | Self::Why { peer }
            | Self::EndServed { peer }
            | Self::Echo { peer, .. }
            | Self::Test { peer, .. }
            | Self::EndTest { peer }
            | Self::Disconnect { peer } => *peer = to(*peer),
            Self::Sync { peer } | Self::Failover { peer } => *peer = peer.map(to),
            Self::NatProbe | Self::Leave | Self::LoseNextDelta => {}
        }
    }

    /// The peer it is about, if it is about one.
    pub fn peer(&self) -> Option<PeerId> {
        match self {
            Self::Connect { peer }
            | Self::Punch { peer }
            | Self::Relay { peer }
            | Self::Why { peer }
            | Self::EndServed { peer }
            | Self::Echo { peer, .. }
            | Self::Test { peer, .. }
            | Self::EndTest { peer }
            | Self::Disconnect { peer } => Some(*peer),
            Self::Sync { peer } | Self::Failover { peer } => *peer,
            Self::NatProbe | Self::Leave | Self::LoseNextDelta => None,
        }
    }
}

/// What came of connecting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinkReport {
    /// To whom.
    pub peer_id: PeerId,
    /// The path of the link when it was asked for; `None` without one.
    #[serde(default)]
    pub before: Option<Path>,
    /// The path of the link at the end; `None` when unreachable.
    pub path: Option<Path>,
    /// From the command to its end, in milliseconds.
    pub elapsed_ms: u64,
    /// The stages that were run for it; none if the link stood already.
    pub stages: Vec<StageReport>,
    /// Why what was asked for makes no sense here, if it does not.
    pub note: Option<Reason>,
}

/// What came of a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SyncReport {
    /// Peers that answered with their records.
    pub peers_synced: u32,
    /// Peers that were asked.
    pub peers_asked: u32,
    /// Peers that said that they serve no full sync now, as there were several.
    #[serde(default)]
    pub peers_refused: u32,
    /// When the last of them serves one again, in milliseconds.
    #[serde(default)]
    pub retry_ms: Option<u64>,
    /// Records we sent.
    pub records_sent: u64,
    /// Records we received.
    pub records_received: u64,
    /// How many of them were new to us or newer than ours.
    pub records_new: u64,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
}

/// What came of numbered echoes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EchoReport {
    /// Sent.
    pub sent: u64,
    /// Answered, each counted once.
    pub answered: u64,
    /// Never answered.
    pub lost: u64,
    /// Answers that came again.
    pub repeated: u64,
    /// Answers that came after a later one.
    pub reordered: u64,
    /// The longest time without an answer, in milliseconds.
    pub gap_ms: u64,
    /// What nine of ten answers took at most, in milliseconds, rounded up: a round
    /// trip over the slower of the ways that were used.
    #[serde(default)]
    pub rtt_ms: Option<u64>,
}

/// A command that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "done", rename_all = "kebab-case")]
pub enum Done {
    /// A link stands.
    Connected(LinkReport),
    /// The stage that was asked for made the link.
    Staged(LinkReport),
    /// The link is no worse than what that stage makes: nothing was done.
    NothingToDo(LinkReport),
    /// The link is closed.
    Disconnected {
        /// Whose.
        peer_id: PeerId,
    },
    /// The peer is served no more.
    EndedServed {
        /// Whose reservation it was.
        peer_id: PeerId,
        /// For how long it gets no other one, in milliseconds.
        kept_off_ms: u64,
    },
    /// Records were exchanged.
    Synced(SyncReport),
    /// The NAT was measured; the result may be that it cannot be known here.
    Probed(Box<NatView>),
    /// The active relay was changed; nothing was lost unless it says so.
    FailedOver(Failover),
    /// The paths were tested; some of them perhaps not to their end.
    Tested(Box<PathTest>),
    /// The test was called off.
    EndedTest {
        /// Of whose paths.
        peer_id: PeerId,
    },
    /// Why it is what it is.
    Explained(Box<Why>),
    /// Goodbye was said; the node stops.
    Left,
    /// The echoes ended.
    Echoed(EchoReport),
    /// It will be lost.
    WillLose,
}

/// A command that did not happen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// Why.
    pub reason: Reason,
    /// What was tried, for connecting commands.
    pub report: Option<Box<LinkReport>>,
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Self {
        Self { reason, report: None }
    }
}

impl Done {
    /// Whether there was nothing to do, and nothing was done.
    pub fn is_nothing(&self) -> bool {
        match self {
            Self::NothingToDo(_) => true,
            Self::Connected(report) => report.stages.is_empty(),
            _ => false,
        }
    }
}

/// The end of a command. Each command has exactly one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Which command.
    pub id: CommandId,
    /// What was asked.
    pub command: Command,
    /// What came of it.
    pub result: Result<Done, Failure>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = self.command.verb();
        let whom = self.command.peer().map(|p| format!(" {}", p.short())).unwrap_or_default();
        match &self.result {
            Ok(Done::Connected(report)) => {
                let path = report.path.map_or("-", Path::name);
                if report.stages.is_empty() {
                    write!(f, "{verb}{whom}: nothing to do, already linked, {path}")
                } else {
                    write!(f, "{verb}{whom}: {path} after {} ms", report.elapsed_ms)
                }
            }
            Ok(Done::Staged(report)) => {
                let path = report.path.map_or("-", Path::name);
                write!(f, "{verb}{whom}: {path} after {} ms", report.elapsed_ms)?;
                report.before.map_or(Ok(()), |before| write!(f, ", was {before}"))
            }
            Ok(Done::NothingToDo(report)) => {
                write!(
                    f,
                    "{verb}{whom}: nothing to do, the link is {}",
                    report.path.map_or("-", Path::name)
                )?;
                report.note.as_ref().map_or(Ok(()), |note| write!(f, "; {note}"))
            }
            Ok(Done::Disconnected { .. }) => {
                write!(f, "{verb}{whom}: done, no automatic dial for 60 s")
            }
            Ok(Done::EndedServed { kept_off_ms, .. }) => {
                write!(f, "{verb}{whom}: done, it gets no reservation here for {} min", kept_off_ms / 60_000)
            }
            Ok(Done::Synced(r)) => {
                let SyncReport { peers_synced, peers_asked, records_sent, records_received, .. } = r;
                write!(f, "{verb}{whom}: {peers_synced} of {peers_asked} peers, ")?;
                write!(f, "{records_sent} records sent, {records_received} received, ")?;
                write!(f, "{} new, {} ms", r.records_new, r.elapsed_ms)?;
                match r.retry_ms {
                    Some(ms) => {
                        let (refused, seconds) = (r.peers_refused, ms.div_ceil(1_000));
                        write!(f, "; {refused} had enough of our syncs, the next in {seconds} s")
                    }
                    None => Ok(()),
                }
            }
            Ok(Done::Echoed(r)) => write!(
                f,
                "{verb}{whom}: {} sent, {} lost, {} repeated, {} reordered, longest gap {} ms",
                r.sent, r.lost, r.repeated, r.reordered, r.gap_ms
            ),
            Ok(Done::WillLose) => write!(f, "{verb}: the next delta will be lost"),
            Ok(Done::Probed(view)) => write!(f, "{verb}: NAT {}", view.summary()),
            Ok(Done::FailedOver(over)) => {
                write!(f, "{verb}: {} → ", over.from.short())?;
                match over.to {
                    Some(to) => write!(f, "{}", to.short())?,
                    None => f.write_str("no relay")?,
                }
                over.gap_ms.map_or(Ok(()), |ms| write!(f, ", gap {ms} ms"))?;
                over.lost.map_or(Ok(()), |n| write!(f, ", {n} messages lost"))
            }
            Ok(Done::Tested(test)) => {
                let paths: Vec<String> = test.paths.iter().map(super::TestedPath::summary).collect();
                write!(f, "{verb}{whom}: {}", paths.join("; "))
            }
            Ok(Done::EndedTest { .. }) => write!(f, "{verb}{whom}: done"),
            Ok(Done::Explained(why)) => write!(f, "{verb}{whom}: {}", why.verdict_words()),
            Ok(Done::Left) => write!(f, "{verb}: goodbye was said"),
            Err(failure) => {
                let stands = self.command.stage().and_then(|_| failure.report.as_ref()?.path);
                write!(f, "{verb}{whom}: {}", failure.reason)?;
                stands.map_or(Ok(()), |path| write!(f, "; the link is {path}"))
            }
        }
    }
}
