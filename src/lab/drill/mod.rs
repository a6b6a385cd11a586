//! Drills: scenarios as data, run on a fleet, judged by what was measured.
//!
//! A drill changes only the fleet it was given, and undoes every change at its
//! end, also when it is called off. A step that the fleet cannot take makes it
//! `unsupported`; nothing is skipped silently.

mod agreement;
mod arena;
mod campaign;
mod fault;
mod journal;
mod matrix;
mod pathtest;
mod rebind;
mod relay;
mod report;
mod runner;
mod scenario;
mod size;
mod soak;
mod step;
mod storm;
mod tried;
mod wait;

pub(super) use campaign::was_interrupted;

pub use arena::{Act, Arena, ArenaError, Baseline, Member};
pub(in crate::lab) use fault::fault_step;
pub use fault::{Change, Fault, Net};
pub use journal::{Entry, Journal};
pub use pathtest::AskedOfPath;
pub use report::{Checked, Comparison, Figure, Pair, Report, Verdict};
pub use runner::{Progress, Runner};
pub use scenario::{BUILT_IN, Check, Fleet, Scenario, ScenarioError, Unit};
pub use step::{Condition, RelayFailure, Step, matrix_pairs};
