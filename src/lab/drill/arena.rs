//! The fleet as a drill sees it.

use std::sync::Arc;
use std::time::Duration;

use super::fault::Fault;
use super::step::Step;
use crate::model::{NatType, PeerId};
use crate::node::feed::Feed;
use crate::registry::Overview;

/// Something done to the fleet.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
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
    /// Have a relay take everything and pass nothing on.
    Lie(String),
    /// Have it be honest again.
    Own(String),
    /// Change the NAT in front of a host.
    SetNat(String, NatType),
    /// Forget the mappings in front of a host.
    Flush(String),
    /// Have something go wrong, or right again.
    Fault(Fault),
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArenaError {
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

/// A node of the fleet.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Who it is.
    pub peer_id: PeerId,
    /// Whether it runs.
    pub running: bool,
    /// What it shows and takes; a process of its own shows us nothing.
    pub feed: Option<Feed>,
}

/// What the library's own ladder did for a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Baseline {
    /// Whether it connected.
    pub connected: bool,
    /// How long it took.
    pub elapsed: Duration,
}

/// A fleet that drills run on.
pub trait Arena {
    /// What kind of fleet it is, for the report.
    fn kind(&self) -> String;

    /// Whether a step of a drill can be had here, as far as that is known before
    /// anything is done: nobody's fleet is disturbed by half a drill.
    ///
    /// # Errors
    /// [`ArenaError::Unsupported`] if it cannot, [`ArenaError::Unknown`] if it
    /// names somebody who is not there.
    fn can(&self, _: &Step) -> Result<(), ArenaError> {
        Ok(())
    }

    /// Whether nodes can be held back from dialling by themselves.
    fn holds_back(&self) -> bool {
        true
    }

    /// Whether it goes on when the drill is over.
    fn outlives_the_drill(&self) -> bool {
        false
    }

    /// The nodes, running or not, in the order of their first start.
    fn members(&self) -> Vec<Member>;

    /// The NAT in front of a host, for undoing a change.
    fn nat_of(&self, host: &str) -> Option<NatType>;

    /// What undoes something that is about to go wrong, if anything does.
    fn undoes(&self, _: &Fault) -> impl Future<Output = Result<Option<Fault>, ArenaError>> {
        std::future::ready(Ok(None))
    }

    /// What a node on that host has to find out about the NATs in front of it; `None`
    /// where that is not known.
    fn nat_seen_of(&self, _host: &str) -> Option<NatType> {
        None
    }

    /// What the wires between two hosts cost there and back; `None` where
    /// nothing delays.
    fn round_trip(&self, a: &str, b: &str) -> Option<Duration>;

    /// Does something.
    fn act(&mut self, act: Act) -> impl Future<Output = Result<(), ArenaError>>;

    /// What the fleet's own registry counted of the last while, of attempts that
    /// somebody asked for.
    fn reported(&self, _window: Duration) -> impl Future<Output = Result<Arc<Overview>, ArenaError>> {
        std::future::ready(Err(ArenaError::Unsupported("report to a registry of its own".into())))
    }

    /// The port by which the NAT in front of a host shows its node to the
    /// outside; `None` while there is no mapping, or one for each destination.
    fn mapped_port(&self, host: &str) -> impl Future<Output = Result<Option<u16>, ArenaError>>;

    /// A fresh pair of passive nodes behind fresh routers of these types, both
    /// linked to the public nodes. Returns their names.
    fn pair(
        &mut self,
        from: NatType,
        to: NatType,
    ) -> impl Future<Output = Result<(String, String), ArenaError>>;

    /// Takes a pair away again.
    fn end_pair(&mut self, pair: (String, String)) -> impl Future<Output = ()>;

    /// Lets the library's own ladder connect fresh pairs of stock nodes, behind
    /// the routers that pairs of these types had, all side by side: most of
    /// them only wait.
    fn baseline(
        &mut self,
        pairs: &[(NatType, NatType)],
    ) -> impl Future<Output = Result<Vec<Baseline>, ArenaError>>;
}
