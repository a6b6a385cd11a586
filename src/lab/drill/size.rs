//! How long a drill takes at most, as far as its steps say so: told before it begins.

use std::time::Duration;

use super::scenario::Scenario;
use super::step::Step;

impl Scenario {
    /// The times of all its steps together. Building its fleet, and steps that say no
    /// time, come on top.
    pub fn at_most(&self) -> Duration {
        self.steps.iter().filter_map(at_most).sum()
    }

    /// How much of that runs for a while that can be chosen.
    pub fn runs_for(&self) -> Option<Duration> {
        self.steps.iter().rev().find_map(|step| match step {
            Step::Soak { time, .. } | Step::Campaign { time, .. } => Some(*time),
            _ => None,
        })
    }
}

fn at_most(step: &Step) -> Option<Duration> {
    match step {
        Step::Wait { within, .. }
        | Step::Rebind { within, .. }
        | Step::Storm { within, .. }
        | Step::Why { within, .. } => Some(*within),
        Step::Soak { time, .. }
        | Step::Campaign { time, .. }
        | Step::Sleep { time }
        | Step::PathTest { time, .. } => Some(*time),
        _ => None,
    }
}
