//! Local fleets: real nodes in this process.
//!
//! It measures and asserts nothing of itself; it starts, joins and stops.

pub mod drill;
mod loopback;

pub use loopback::{FleetError, LoopbackFleet};
