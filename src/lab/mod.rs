//! Fleets: real nodes in this process, on 127.0.0.1 or behind real NATs; and
//! nodes that run elsewhere, reached through their control sockets.
//!
//! The NAT lab makes network namespaces, routers and wires as a topology says,
//! without root, and believes none of it before it has measured it. It knows
//! nothing of scenarios; it does what it is told and can undo it. It needs
//! Linux; elsewhere there is loopback, and whoever asks for NATs is told so.

mod conditions;
pub mod drill;
mod error;
mod fault;
mod files;
pub mod incident;
mod loopback;
mod ops;
mod real;
mod topology;
mod unsupported;

#[cfg(all(target_os = "linux", feature = "nat-lab"))]
mod arena;
#[cfg(all(target_os = "linux", feature = "nat-lab"))]
mod child;
#[cfg(all(target_os = "linux", feature = "nat-lab"))]
mod dir;
#[cfg(all(target_os = "linux", feature = "nat-lab"))]
mod echo;
#[cfg(not(all(target_os = "linux", feature = "nat-lab")))]
mod elsewhere;
#[cfg(all(target_os = "linux", feature = "nat-lab"))]
mod fleet;
#[cfg(all(target_os = "linux", feature = "nat-lab"))]
mod network;
#[cfg(all(target_os = "linux", feature = "nat-lab"))]
mod rules;
#[cfg(all(target_os = "linux", feature = "nat-lab"))]
mod selftest;
#[cfg(all(target_os = "linux", feature = "nat-lab"))]
mod userns;
#[cfg(all(target_os = "linux", feature = "nat-lab"))]
mod wire;

pub use conditions::Conditions;
pub use error::LabError;
pub use fault::{Change, Fault, Net};
pub use loopback::LoopbackFleet;
pub use ops::{Anew, Fleet, FleetOp, InteractiveFleet, OpError, Where};
pub use real::{FleetError, FleetFile, RealFleet};
pub use topology::{Flaw, Host, Link, Region, Router, Topology, TopologyError};
pub use unsupported::Unsupported;

#[cfg(not(all(target_os = "linux", feature = "nat-lab")))]
pub use self::elsewhere::{
    LabArena, LabOptions, NatLab, NetworkError, SelfTest, Userns, die_with_parent, enter,
};
#[cfg(all(target_os = "linux", feature = "nat-lab"))]
pub use self::{
    arena::LabArena,
    child::{ChildError, die_with_parent},
    echo::Measured,
    fleet::{Happened, Happening, LabOptions, NatLab, StockResult},
    network::{Network, NetworkError},
    rules::Behaves,
    selftest::{Row, SelfTest, Shown, expected},
    userns::{Tools, Userns, enter},
    wire::{Passed, Wire},
};

/// The network that lab nodes belong to: they never mix with others.
const NETWORK: &str = "lab";
