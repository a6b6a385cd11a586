//! The NAT lab where there are no network namespaces: nobody can enter one, so
//! nothing that needs one ever exists. What is here makes the rest of the
//! program build; it can be asked, and says no.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::drill::{Act, Arena, ArenaError, Baseline, Member, Scenario};
use super::error::{LabError, Unsupported};
use super::topology::Topology;
use crate::model::NatType;
use crate::node::feed::Feed;

/// Nobody has it.
#[derive(Debug, Clone)]
pub enum Userns {}

/// Says that this system cannot.
///
/// # Errors
/// Always.
pub fn enter() -> Result<Userns, Unsupported> {
    Err(Unsupported {
        what: "no network namespaces".to_owned(),
        why: "the NAT lab needs Linux".to_owned(),
        help: "try: a Linux machine, real or virtual".to_owned(),
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

    /// The same with nodes that may change what the log of the process keeps.
    #[must_use]
    pub fn with_log(self, _: std::sync::Arc<dyn crate::node::log::LogControl>) -> Self {
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

impl Arena for LabArena {
    fn kind(&self) -> String {
        match *self {}
    }

    fn members(&self) -> Vec<Member> {
        match *self {}
    }

    fn nat_of(&self, _: &str) -> Option<NatType> {
        match *self {}
    }

    fn round_trip(&self, _: &str, _: &str) -> Option<Duration> {
        match *self {}
    }

    async fn act(&mut self, _: Act) -> Result<(), ArenaError> {
        match *self {}
    }

    async fn mapped_port(&self, _: &str) -> Result<Option<u16>, ArenaError> {
        match *self {}
    }

    async fn pair(&mut self, _: NatType, _: NatType) -> Result<(String, String), ArenaError> {
        match *self {}
    }

    async fn end_pair(&mut self, _: (String, String)) {
        match *self {}
    }

    async fn baseline(&mut self, _: &[(NatType, NatType)]) -> Result<Vec<Baseline>, ArenaError> {
        match *self {}
    }
}
