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
mod files;
mod ground;
pub mod incident;
mod loopback;
mod real;
mod topology;

#[cfg(target_os = "linux")]
mod arena;
#[cfg(target_os = "linux")]
mod child;
#[cfg(target_os = "linux")]
mod dir;
#[cfg(target_os = "linux")]
mod echo;
#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod fleet;
#[cfg(target_os = "linux")]
mod network;
#[cfg(target_os = "linux")]
mod rules;
#[cfg(target_os = "linux")]
mod selftest;
#[cfg(target_os = "linux")]
mod userns;
#[cfg(target_os = "linux")]
mod wire;

pub use conditions::Conditions;
pub use error::{LabError, Unsupported};
pub use ground::{Anew, Ground, Span, Spot, Where};
pub use loopback::LoopbackFleet;
pub use real::RealFleet;
pub use topology::{Flaw, Host, Link, Region, Router, Topology, TopologyError};

#[cfg(not(target_os = "linux"))]
pub use self::elsewhere::{
    LabArena, LabOptions, NatLab, NetworkError, SelfTest, Userns, die_with_parent, enter,
};
#[cfg(target_os = "linux")]
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
