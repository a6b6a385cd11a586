//! Which lines are kept: what the configuration says, and beside it what somebody wants
//! kept for a while. All sinks keep the same.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, ParseError, Targets};
use tracing_subscriber::{Registry, reload};

use crate::model::{LogDetail, LogLevel, TargetDetail};

/// The filter of all sinks, to be changed while they work.
#[derive(Debug, Clone)]
pub struct LogFilter(Arc<Mutex<Kept>>);

#[derive(Debug)]
struct Kept {
    directives: String,
    /// What is wanted beside them, by who wants it.
    wanted: BTreeMap<u64, Vec<TargetDetail>>,
    next: u64,
    sinks: Vec<reload::Handle<Targets, Registry>>,
}

impl LogFilter {
    /// One that keeps what the directives say.
    ///
    /// # Errors
    /// As [`filter`].
    pub fn new(directives: &str) -> Result<Self, ParseError> {
        filter(directives)?;
        let kept =
            Kept { directives: directives.to_owned(), wanted: BTreeMap::new(), next: 0, sinks: Vec::new() };
        Ok(Self(Arc::new(Mutex::new(kept))))
    }

    /// Other lines are kept from now on; what somebody wants beside them stays.
    ///
    /// # Errors
    /// As [`filter`]; the old one then still holds.
    pub fn set(&self, directives: &str) -> Result<(), ParseError> {
        filter(directives)?;
        let mut kept = self.kept();
        directives.clone_into(&mut kept.directives);
        kept.apply();
        Ok(())
    }

    /// One more who wants lines kept for a while. What several want adds up.
    pub fn changer(&self) -> LogChanger {
        let mut kept = self.kept();
        kept.next += 1;
        LogChanger { filter: self.clone(), number: kept.next }
    }

    /// The filter of one more sink.
    pub(super) fn changeable(&self) -> reload::Layer<Targets, Registry> {
        let mut kept = self.kept();
        let (changeable, handle) = reload::Layer::new(kept.targets());
        kept.sinks.push(handle);
        changeable
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn targets(&self) -> Targets {
        with_details(&self.directives, self.wanted.values().flatten())
    }

    fn apply(&self) {
        let targets = self.targets();
        for sink in &self.sinks {
            // It fails only where nothing logs any more.
            let _ = sink.reload(targets.clone());
        }
    }
}

/// One of those who want lines kept for a while.
#[derive(Debug)]
pub struct LogChanger {
    filter: LogFilter,
    number: u64,
}

impl LogChanger {
    /// What the configuration says.
    pub fn directives(&self) -> String {
        self.filter.kept().directives.clone()
    }

    /// One more of them.
    #[must_use]
    pub fn changer(&self) -> Self {
        self.filter.changer()
    }

    /// Wants these from now on, and none that it wanted before.
    pub fn want(&self, details: &[TargetDetail]) {
        let mut kept = self.filter.kept();
        kept.wanted.insert(self.number, details.to_vec());
        kept.apply();
    }
}

/// What is kept of a target: of what the directives say and what is wanted beside them
/// the word about the longest part of its path holds.
pub fn captured<'a>(
    directives: &str,
    wanted: impl IntoIterator<Item = &'a TargetDetail>,
    target: &str,
) -> LogDetail {
    let targets = with_details(directives, wanted);
    let keeps = |detail: &LogDetail| detail.finest().is_some_and(|l| targets.would_enable(target, &level(l)));
    LogDetail::ALL.iter().rev().copied().find(keeps).unwrap_or(LogDetail::Off)
}

/// Of the same target the finest wins, whoever wants it.
fn with_details<'a>(directives: &str, wanted: impl IntoIterator<Item = &'a TargetDetail>) -> Targets {
    let mut finest: BTreeMap<&str, LogDetail> = BTreeMap::new();
    for TargetDetail { target, detail } in wanted {
        let held = finest.entry(target).or_insert(*detail);
        *held = (*held).max(*detail);
    }
    let base = filter(directives).unwrap_or_default();
    let filter_of = |detail: LogDetail| detail.finest().map_or(LevelFilter::OFF, |l| level(l).into());
    base.with_targets(finest.into_iter().map(|(target, detail)| (target, filter_of(detail))))
}

fn level(level: LogLevel) -> Level {
    match level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    }
}

/// Reads filter directives (`info`, or `info,punchdeck=debug`) and quiets
/// ant-quic where they do not name it: it warns of silent drops in normal
/// operation, and its errors are seldom ours.
///
/// # Errors
/// What the parser says.
pub fn filter(directives: &str) -> Result<Targets, ParseError> {
    let asked: Targets = directives.parse()?;
    let mut filter = Targets::new()
        .with_default(asked.default_level().unwrap_or(LevelFilter::OFF))
        .with_target("ant_quic", LevelFilter::ERROR)
        .with_target("ant_quic::silent_drop", LevelFilter::OFF);
    if asked.default_level() == Some(LevelFilter::OFF) {
        filter = Targets::new().with_default(LevelFilter::OFF);
    }
    Ok(filter.with_targets(asked.iter()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detail(target: &str, detail: LogDetail) -> TargetDetail {
        TargetDetail { target: target.to_owned(), detail }
    }

    #[test]
    fn what_is_kept_of_a_target_is_what_is_said_of_the_longest_part_of_its_path() {
        let wanted = [detail("punchdeck::core", LogDetail::Debug), detail("noisy", LogDetail::Off)];
        let kept = |target| captured("info,punchdeck::core::link=trace", &wanted, target);
        assert_eq!(kept("punchdeck::node"), LogDetail::Info);
        assert_eq!(kept("punchdeck::core::gossip"), LogDetail::Debug);
        assert_eq!(kept("punchdeck::core::link"), LogDetail::Trace);
        assert_eq!((kept("noisy"), kept("ant_quic::endpoint")), (LogDetail::Off, LogDetail::Error));
    }

    #[test]
    fn what_several_want_adds_up_and_a_new_configuration_takes_none_of_it_away() {
        let filter = LogFilter::new("info").unwrap();
        let (one, other) = (filter.changer(), filter.changer());
        one.want(&[detail("a", LogDetail::Debug)]);
        other.want(&[detail("a", LogDetail::Trace), detail("b", LogDetail::Debug)]);
        let keeps = |target: &str, level| filter.kept().targets().would_enable(target, &level);
        assert!(keeps("a", Level::TRACE) && keeps("b", Level::DEBUG));
        filter.set("warn").unwrap();
        assert!(keeps("a", Level::TRACE) && !keeps("c", Level::INFO));
        other.want(&[]);
        assert!(keeps("a", Level::DEBUG) && !keeps("a", Level::TRACE) && !keeps("b", Level::DEBUG));
        assert_eq!(one.directives(), "warn");
    }
}
