//! The log pane's source: a layer for the process-wide subscriber that catches
//! lines. It starts no thread and waits for nobody: what is not taken in time is
//! dropped and counted.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use tokio::sync::Notify;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

use crate::model::LogLine;
use crate::telemetry::Tap;

/// Lines caught between two frames; more are counted and dropped.
const CAUGHT: usize = 2_000;

static LINES: Mutex<VecDeque<LogLine>> = Mutex::new(VecDeque::new());
static DROPPED: AtomicU64 = AtomicU64::new(0);
static INSTALLED: OnceLock<()> = OnceLock::new();
static NEWS: Notify = Notify::const_new();

/// A layer that catches log lines for the console, with `targets` in front of
/// it: what they refuse is not even formatted.
///
/// The lines are process-wide, so there is one such layer: a second call
/// returns `None`.
pub fn log_layer<S>(targets: Targets) -> Option<impl Layer<S> + Send + Sync + 'static>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a> + 'static,
{
    INSTALLED.set(()).ok()?;
    Some(Layer::<S>::with_filter(Tap(catch), targets))
}

fn catch(line: LogLine) {
    let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    if lines.len() < CAUGHT {
        lines.push_back(line);
    } else {
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
    drop(lines);
    NEWS.notify_one();
}

/// Waits until a line was caught.
pub(super) async fn news() {
    NEWS.notified().await;
}

/// The lines since the last call, and how many more there were.
pub(super) fn take() -> (Vec<LogLine>, u64) {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect();
    (lines, DROPPED.swap(0, Ordering::Relaxed))
}

/// Where log lines come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum LogSource {
    /// From nowhere: none are caught in this process, or a test wants none.
    #[default]
    Off,
    /// The node runs elsewhere, and keeps its log.
    Elsewhere,
    /// From the layer of this process.
    Here,
}

impl LogSource {
    /// Here if a layer is installed in this process.
    pub(crate) fn of_process() -> Self {
        if INSTALLED.get().is_some() { Self::Here } else { Self::Off }
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::prelude::*;

    use super::*;
    use crate::model::LogLevel;

    #[test]
    fn there_is_one_layer_in_a_process_and_it_catches_what_its_targets_let_through() {
        let targets = Targets::new().with_target("shown::here", tracing::Level::INFO);
        let layer = log_layer::<tracing_subscriber::Registry>(targets.clone()).expect("the first");
        assert!(log_layer::<tracing_subscriber::Registry>(targets).is_none());
        assert_eq!(LogSource::of_process(), LogSource::Here);

        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "shown::here", peers = 7, who = "x\ny", "synced \u{1b}[31mall");
            tracing::debug!(target: "shown::here", "too fine");
            tracing::error!(target: "another", "not asked for");
            for _ in 0..CAUGHT + 7 {
                tracing::warn!(target: "shown::here", "again");
            }
        });
        let (lines, dropped) = take();
        assert_eq!(
            (lines[0].level, lines[0].target.as_str(), lines[0].text.as_str()),
            (LogLevel::Info, "shown::here", r"synced \u{1b}[31mall peers: 7 who: x\ny")
        );
        assert_eq!((lines.len(), dropped), (CAUGHT, 8), "what does not fit is counted");
        assert_eq!(take(), (Vec::new(), 0));
    }
}
