//! A fleet as a drill sees it.

use std::sync::Arc;
use std::time::Duration;

use crate::lab::ops::{Fleet, OpError};
use crate::model::{NatType, PeerId};
use crate::node::feed::Feed;
use crate::registry::Overview;

/// What a step wants of its fleet that not every fleet has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need<'a> {
    /// That a node can be started, also after it was stopped.
    Start(&'a str),
    /// That a node can be started that dials its bootstrap only.
    StartPassive,
    /// That a node can be killed and started again.
    Kill(&'a str),
    /// That hosts can be cut off and healed.
    Cut(&'a [String]),
    /// That a relay can be had to pass nothing on.
    Blackhole,
    /// That a NAT can be changed, or looked into.
    Nat,
    /// That wires, clocks, addresses and machines can go wrong.
    Faults,
    /// Fresh nodes behind NATs.
    FreshPairs,
    /// What only a drill's own nodes do.
    DrillCommands,
    /// A registry of the drill's own.
    Registry,
    /// What the nodes' process has in memory.
    ProcessFigures,
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
pub trait Arena: Fleet {
    /// Whether any drill can run here.
    ///
    /// # Errors
    /// [`OpError::Unsupported`] if none can.
    fn can_at_all(&self) -> Result<(), OpError> {
        Ok(())
    }

    /// Whether what a step needs can be had here, as far as that is known before
    /// anything is done: nobody's fleet is disturbed by half a drill.
    ///
    /// # Errors
    /// [`OpError::Unsupported`] if it cannot, [`OpError::Unknown`] if it
    /// names somebody who is not there.
    fn can(&self, _: Need<'_>) -> Result<(), OpError> {
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

    /// What a node on that host has to find out about the NATs in front of it; `None`
    /// where that is not known.
    fn nat_seen_of(&self, _host: &str) -> Option<NatType> {
        None
    }

    /// What the wires between two hosts cost there and back; `None` where
    /// nothing delays.
    fn round_trip(&self, _a: &str, _b: &str) -> Option<Duration> {
        None
    }

    /// What the fleet's own registry counted of the last while, of attempts that
    /// somebody asked for.
    fn reported(&self, _window: Duration) -> impl Future<Output = Result<Arc<Overview>, OpError>> {
        std::future::ready(Err(OpError::Unsupported("report to a registry of its own".into())))
    }

    /// The port by which the NAT in front of a host shows its node to the
    /// outside; `None` while there is no mapping, or one for each destination.
    fn mapped_port(&self, _host: &str) -> impl Future<Output = Result<Option<u16>, OpError>> {
        std::future::ready(Err(OpError::Unsupported("look into a NAT".into())))
    }

    /// A fresh pair of passive nodes behind fresh routers of these types, both
    /// linked to the public nodes. Returns their names.
    fn pair(
        &mut self,
        _from: NatType,
        _to: NatType,
    ) -> impl Future<Output = Result<(String, String), OpError>> {
        std::future::ready(Err(OpError::Unsupported("put fresh nodes behind NATs".into())))
    }

    /// Takes a pair away again.
    fn end_pair(&mut self, _pair: (String, String)) -> impl Future<Output = ()> {
        std::future::ready(())
    }

    /// Lets the library's own ladder connect fresh pairs of stock nodes, behind
    /// the routers that pairs of these types had, all side by side: most of
    /// them only wait.
    fn baseline(
        &mut self,
        _pairs: &[(NatType, NatType)],
    ) -> impl Future<Output = Result<Vec<Baseline>, OpError>> {
        std::future::ready(Err(OpError::Unsupported("put fresh nodes behind NATs".into())))
    }
}
