//! What can be done to a fleet, whatever it runs on: by a person in the console's lab
//! overlay, by a drill, on nodes of ours or on running ones.

use super::error::LabError;
use super::fault::Fault;
use crate::model::{HostStatus, NatType, WireStatus};
use crate::node::feed::Feed;

/// Something done to a fleet.
#[derive(Debug, Clone, PartialEq)]
pub enum FleetOp {
    /// Start a node that does not run, or one more; a passive one dials its
    /// bootstrap only.
    Start {
        /// Which.
        node: String,
        /// Whether it is passive.
        passive: bool,
    },
    /// Stop a node politely.
    Stop(String),
    /// Kill a node without a word.
    Kill(String),
    /// Cut a host off.
    Cut(String),
    /// Heal it.
    Heal(String),
    /// Have a relay take everything and pass nothing on, or be honest again.
    Blackhole {
        /// Whose host.
        host: String,
        /// Whether it passes nothing on.
        on: bool,
    },
    /// Change the NAT in front of a host.
    SetNat(String, NatType),
    /// Forget the mappings in front of a host.
    Flush(String),
    /// Cut the wire between two regions, or join it again.
    CutWire {
        /// Which regions.
        between: [String; 2],
        /// Whether it is cut then.
        cut: bool,
    },
    /// Have the next thing go wrong there; in the end nothing is.
    Spoil(Where),
    /// Have something go wrong, or right again.
    Fault(Fault),
}

/// Where something can go wrong by a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Where {
    /// The uplink of a host.
    Uplink(String),
    /// The wire between two regions.
    Link([String; 2]),
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpError {
    /// This kind of fleet cannot do it.
    #[error("this fleet cannot {0}")]
    Unsupported(String),
    /// There is no such node, host or router.
    #[error("there is no {0} in this fleet")]
    Unknown(String),
    /// It was tried.
    #[error("{0}")]
    Failed(String),
}

impl From<LabError> for OpError {
    fn from(error: LabError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// What something that was done came to: nodes that run anew, with their feeds.
pub type Anew = Vec<(String, Feed)>;

/// A fleet to which something can be done.
pub trait Fleet {
    /// What kind of fleet it is, for people.
    fn kind(&self) -> String;

    /// Does something.
    fn act(&mut self, op: FleetOp) -> impl Future<Output = Result<Anew, OpError>>;

    /// The NAT in front of a host, as it was built.
    fn nat_of(&self, host: &str) -> Option<NatType>;

    /// What undoes something that is about to go wrong, if anything does.
    fn undoes(&self, _: &Fault) -> impl Future<Output = Result<Option<Fault>, OpError>> {
        std::future::ready(Ok(None))
    }

    /// What undoes something that is about to be done, if anything does.
    fn undo_of(&self, op: &FleetOp) -> impl Future<Output = Result<Option<FleetOp>, OpError>> {
        async move {
            Ok(match op {
                FleetOp::Stop(node) | FleetOp::Kill(node) => {
                    Some(FleetOp::Start { node: node.clone(), passive: false })
                }
                FleetOp::Cut(host) => Some(FleetOp::Heal(host.clone())),
                FleetOp::Blackhole { host, on } => Some(FleetOp::Blackhole { host: host.clone(), on: !on }),
                FleetOp::SetNat(host, _) => {
                    let before = self.nat_of(host);
                    let before = before.ok_or_else(|| OpError::Unknown(format!("NAT before {host}")))?;
                    Some(FleetOp::SetNat(host.clone(), before))
                }
                FleetOp::CutWire { between, cut } => {
                    Some(FleetOp::CutWire { between: between.clone(), cut: !cut })
                }
                FleetOp::Fault(fault) => self.undoes(fault).await?.map(FleetOp::Fault),
                FleetOp::Start { .. } | FleetOp::Heal(_) | FleetOp::Flush(_) | FleetOp::Spoil(_) => None,
            })
        }
    }
}

/// A fleet that a person changes by hand: what is changed shows in what it is now
/// beside what it was built as, and can be undone.
pub trait InteractiveFleet: Fleet {
    /// Whether there are wires and NATs that could be changed.
    fn has_network(&self) -> bool;

    /// Its nodes as they are now.
    fn hosts(&self) -> impl Future<Output = Result<Vec<HostStatus>, OpError>>;

    /// The wires between its regions as they are now.
    fn wires(&self) -> impl Future<Output = Vec<WireStatus>>;

    /// One more feed of a node that runs; its events begin now.
    fn feed(&self, node: &str) -> impl Future<Output = Result<Feed, OpError>>;

    /// Undoes everything that was changed; where something cannot be undone, the rest is.
    fn restore(&mut self) -> impl Future<Output = Result<Anew, OpError>>;

    /// Ends everything.
    fn stop(self) -> impl Future<Output = ()>;

    /// What is wrong there now, in words.
    fn wrong_at(&self, at: &Where) -> impl Future<Output = Result<Option<String>, OpError>> {
        async move {
            Ok(match at {
                Where::Uplink(host) => {
                    let found = self.hosts().await?.into_iter().find(|status| status.name == *host);
                    found.and_then(|status| status.wrong)
                }
                Where::Link(between) => {
                    let found = self.wires().await.into_iter().find(|wire| wire.between == *between);
                    found.and_then(|wire| wire.wrong)
                }
            })
        }
    }
}
