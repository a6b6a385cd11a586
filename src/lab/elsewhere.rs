//! The NAT lab where there are no network namespaces, or where the program is built
//! without it: nobody can enter one, so nothing that needs one ever exists. What is here
//! makes the rest of the program build; it can be asked, and says no.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::drill::{Arena, Member, Scenario};
use super::error::LabError;
use super::ops::{Anew, Fleet, FleetOp, InteractiveFleet, OpError};
use super::topology::Topology;
use super::unsupported::Unsupported;
use crate::model::{HostStatus, NatType, WireStatus};
use crate::node::feed::Feed;

/// Nobody has it.
#[derive(Debug, Clone)]
pub enum Userns {}

/// Says that this system cannot.
///
/// # Errors
/// Always.
pub fn enter() -> Result<Userns, Unsupported> {
    Err(if cfg!(target_os = "linux") {
        Unsupported {
            what: "no NAT lab".to_owned(),
            why: "this program was built without it".to_owned(),
            help: "try: a build with the feature nat-lab".to_owned(),
        }
    } else {
        Unsupported {
            what: "no network namespaces".to_owned(),
            why: "the NAT lab needs Linux".to_owned(),
            help: "try: a Linux machine, real or virtual".to_owned(),
        }
    })
}

/// For the lab's own nodes, of which there are none here.
///
/// # Errors
/// Always.
pub fn die_with_parent() -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "only Linux tells a process that its parent ended"))
}

/// Why a network cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The host lacks something.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
}

/// Nothing is measured here.
#[derive(Debug, Clone, PartialEq)]
pub enum SelfTest {}

impl fmt::Display for SelfTest {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

/// How a lab would be started.
#[derive(Debug, Clone)]
pub struct LabOptions {
    /// What to build.
    pub topology: Topology,
}

impl LabOptions {
    /// That topology.
    pub fn new(topology: Topology) -> Self {
        Self { topology }
    }

    /// The same with nodes that guess ports, or do not.
    #[must_use]
    pub fn with_hard_nat(self, _: crate::model::HardNat) -> Self {
        self
    }
}

/// There is none.
#[derive(Debug)]
pub enum NatLab {}

impl NatLab {
    /// Cannot be called.
    ///
    /// # Errors
    /// None.
    pub async fn start(userns: &Userns, _: LabOptions) -> Result<Self, LabError> {
        match *userns {}
    }

    /// Cannot be called.
    ///
    /// # Errors
    /// None.
    pub async fn build(userns: &Userns, _: LabOptions) -> Result<Self, LabError> {
        match *userns {}
    }

    /// Cannot be called.
    pub fn self_test(&self) -> Option<&SelfTest> {
        match *self {}
    }

    /// Cannot be called.
    pub fn take_feeds(&mut self) -> Vec<(String, Feed)> {
        match *self {}
    }

    /// Cannot be called.
    pub async fn stop(self) {
        match self {}
    }
}

/// There is none.
#[derive(Debug)]
pub enum LabArena {}

impl LabArena {
    /// Cannot be called.
    ///
    /// # Errors
    /// None.
    pub async fn start(userns: &Userns, _: Topology, _: &Scenario, _: PathBuf) -> Result<Self, LabError> {
        match *userns {}
    }

    /// Cannot be called.
    pub async fn stop(self) {
        match self {}
    }
}

impl Fleet for LabArena {
    fn kind(&self) -> String {
        match *self {}
    }

    fn nat_of(&self, _: &str) -> Option<NatType> {
        match *self {}
    }

    async fn act(&mut self, _: FleetOp) -> Result<Anew, OpError> {
        match *self {}
    }
}

impl Arena for LabArena {
    fn members(&self) -> Vec<Member> {
        match *self {}
    }
}

impl Fleet for NatLab {
    fn kind(&self) -> String {
        match *self {}
    }

    fn nat_of(&self, _: &str) -> Option<NatType> {
        match *self {}
    }

    async fn act(&mut self, _: FleetOp) -> Result<Anew, OpError> {
        match *self {}
    }
}

impl InteractiveFleet for NatLab {
    fn has_network(&self) -> bool {
        match *self {}
    }

    async fn hosts(&self) -> Result<Vec<HostStatus>, OpError> {
        match *self {}
    }

    async fn wires(&self) -> Vec<WireStatus> {
        match *self {}
    }

    async fn feed(&self, _: &str) -> Result<Feed, OpError> {
        match *self {}
    }

    async fn restore(&mut self) -> Result<Anew, OpError> {
        match *self {}
    }

    async fn stop(self) {
        match self {}
    }
}
