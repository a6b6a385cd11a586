//! What every step of a drill can say of itself, and do. A step is one module of
//! `steps`: what it is told in a file, whether that makes sense, what it needs, what it
//! does, and the names of what it measures.

use std::time::Duration;

use super::arena::{Arena, Need};
use super::run::{Run, Stop};

/// Longer than any drill that a person waits for.
pub(super) const WITHIN_MAX: Duration = Duration::from_secs(24 * 3600);

/// A step of a drill.
pub(super) trait DrillStep {
    /// What it does, in words.
    fn words(&self) -> String;

    /// Why it makes no sense, if it does not.
    fn flaw(&self) -> Option<String> {
        None
    }

    /// What it needs of its fleet beyond what every fleet has.
    fn need(&self) -> Option<Need<'_>> {
        None
    }

    /// How long it takes at most, where it says so.
    fn limit(&self) -> Option<Duration> {
        None
    }

    /// The names of what it measures.
    fn measures(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether it can be done over and over within a soak.
    fn can_be_soaked(&self) -> bool {
        true
    }

    /// Does it.
    async fn run<A: Arena>(&self, run: &mut Run<'_, A>) -> Result<(), Stop>;
}

/// What is wrong with a time that is waited for.
pub(super) fn too_long(time: Duration) -> Option<String> {
    (time > WITHIN_MAX).then(|| "it takes more than 24 hours".to_owned())
}

/// The same where it must be some time.
pub(super) fn no_time(time: Duration) -> Option<String> {
    too_long(time).or_else(|| time.is_zero().then(|| "it waits no time; more than 0 is needed".to_owned()))
}

/// The names of what a step measures: its own, with what it is about behind it.
pub(super) fn named(name: &str, about: &[&str]) -> Vec<String> {
    about.iter().map(|about| format!("{name}{about}")).collect()
}
