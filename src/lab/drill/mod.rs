//! Drills: scenarios as data, run on a fleet, judged by what was measured.
//!
//! A drill changes only the fleet it was given, and undoes every change at its
//! end, also when it is called off. A step that the fleet cannot take makes it
//! `unsupported`; nothing is skipped silently.

mod agreement;
mod arena;
mod check;
mod journal;
mod report;
mod run;
mod runner;
mod scenario;
mod step;
mod steps;
mod tried;

#[cfg(all(target_os = "linux", feature = "nat-lab"))]
pub(super) use steps::was_interrupted;

pub use arena::{Arena, Baseline, Member, Need};
pub use check::{Check, Unit};
pub use journal::{Entry, Journal};
pub use report::{Checked, Comparison, Figure, Pair, Report, Verdict};
pub use run::Progress;
pub use runner::Runner;
pub use scenario::{BUILT_IN, FleetSpec, Scenario, ScenarioError};
pub use steps::{AskedOfPath, Condition, FailRelay, Kill, Matrix, RelayFailure, Start, Step, Suspend, Why};
