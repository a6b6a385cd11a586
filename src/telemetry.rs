//! Where log lines go: to the console's log pane, to standard error, and to a
//! file of bounded size in the data directory.
//!
//! It never blocks who logs: sinks that can hang are written by a thread of
//! their own, and what does not fit is dropped and counted. It never panics and
//! never stops the program over a log line.

mod drops;
mod file;
mod filter;
mod format;
mod queue;
mod tap;

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::atomic::Ordering;

use tracing_subscriber::filter::ParseError;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

pub use drops::DropWatch;
pub use file::{FILE_BYTES_MAX, LogFile};
pub use filter::{LogChanger, LogFilter, captured, filter};
pub use queue::{LogQueue, QUEUE_LINES};
pub use tap::Tap;

/// The log's file name in the data directory.
pub const LOG_FILE: &str = "punchdeck.log";

/// A sink of somebody else's: a console's log pane.
pub type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// What logging is to do.
#[derive(Debug, Clone)]
pub struct Telemetry<'a> {
    /// Which lines are kept, as [`filter()`] reads it.
    pub filter: &'a str,
    /// Whether lines are objects for programs, on standard error and in the
    /// file alike.
    pub json: bool,
    /// Whether lines go to standard error: for a node without a console.
    pub stderr: bool,
    /// The data directory, if there is to be a file in it.
    pub data_dir: Option<&'a Path>,
}

/// Why there is no logging.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter cannot be read.
    #[error("the log filter cannot be read: {0}")]
    Filter(#[from] ParseError),
    /// The log file cannot be opened.
    #[error("the log file {} cannot be opened: {source}", path.display())]
    File {
        /// The log file.
        path: std::path::PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The thread that writes could not be started.
    #[error("no thread for log lines: {0}")]
    Thread(io::Error),
    /// The process logs already.
    #[error("logging was set up before")]
    Twice,
}

/// Keeps the sinks going. Dropping it writes out what is queued, for half a
/// second at most; a sink that hangs does not keep the program from ending.
#[derive(Debug)]
pub struct Sinks {
    queues: Vec<LogQueue>,
    filter: LogFilter,
}

impl Sinks {
    /// Lines that were dropped because a sink was slow, full or gone.
    pub fn dropped(&self) -> u64 {
        self.counter()()
    }

    /// The same, for whoever goes on asking.
    pub fn counter(&self) -> impl Fn() -> u64 + Send + 'static + use<> {
        let counts: Vec<_> = self.queues.iter().map(LogQueue::counter).collect();
        move || counts.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// To change which lines are kept.
    pub fn filter(&self) -> LogFilter {
        self.filter.clone()
    }
}

/// Sets up logging for the whole process; once.
///
/// `panes` get only what passes the filter: a layer that formats before it
/// filters would cost us what it throws away.
///
/// # Errors
/// See [`TelemetryError`]. Logging is then not set up.
pub fn init(how: &Telemetry<'_>, panes: Vec<BoxedLayer>) -> Result<Sinks, TelemetryError> {
    let (layers, sinks) = layers(how, panes)?;
    tracing_subscriber::registry().with(layers).try_init().map_err(|_| TelemetryError::Twice)?;
    Ok(sinks)
}

fn layers(how: &Telemetry<'_>, panes: Vec<BoxedLayer>) -> Result<(Vec<BoxedLayer>, Sinks), TelemetryError> {
    let mut sinks = Sinks { queues: Vec::new(), filter: LogFilter::new(how.filter)? };
    let mut layers: Vec<BoxedLayer> = Vec::new();
    for pane in panes {
        let filter = sinks.filter.changeable();
        layers.push(pane.with_filter(filter).boxed());
    }
    if how.stderr {
        let queue = LogQueue::start(io::stderr()).map_err(TelemetryError::Thread)?;
        let colours = io::stderr().is_terminal() && takes_colours(|name| std::env::var_os(name));
        let filter = sinks.filter.changeable();
        layers.push(lines(&queue, how.json, colours).with_filter(filter).boxed());
        sinks.queues.push(queue);
    }
    if let Some(dir) = how.data_dir {
        let path = dir.join(LOG_FILE);
        let file = LogFile::open(&path, FILE_BYTES_MAX)
            .map_err(|source| TelemetryError::File { path: path.clone(), source })?;
        let queue = LogQueue::start(file).map_err(TelemetryError::Thread)?;
        let filter = sinks.filter.changeable();
        layers.push(lines(&queue, how.json, false).with_filter(filter).boxed());
        sinks.queues.push(queue);
    }
    Ok((layers, sinks))
}

/// Whether a terminal is to have colours, by `NO_COLOR` (empty is not set) and `TERM`.
pub fn takes_colours(env: impl Fn(&str) -> Option<OsString>) -> bool {
    env("NO_COLOR").is_none_or(|set| set.is_empty()) && env("TERM").is_none_or(|term| term != "dumb")
}

fn lines(queue: &LogQueue, json: bool, colours: bool) -> BoxedLayer {
    if json { format::json(queue).boxed() } else { format::text(queue, colours).boxed() }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn ant_quic_is_quiet_unless_it_is_named() {
        let f = filter("debug").unwrap();
        assert!(f.would_enable("punchdeck::node", &Level::DEBUG));
        assert!(f.would_enable("ant_quic::endpoint", &Level::ERROR));
        assert!(!f.would_enable("ant_quic::endpoint", &Level::WARN));
        assert!(!f.would_enable("ant_quic::silent_drop", &Level::ERROR));
        let named = filter("info,ant_quic=trace").unwrap();
        assert!(named.would_enable("ant_quic::endpoint", &Level::TRACE));
        assert!(!named.would_enable("ant_quic::silent_drop", &Level::ERROR));
        assert!(
            filter("info,ant_quic::silent_drop=warn")
                .unwrap()
                .would_enable("ant_quic::silent_drop", &Level::WARN)
        );
    }

    /// Counts what reaches it.
    struct Counting(std::sync::Arc<std::sync::atomic::AtomicU64>);

    impl Layer<Registry> for Counting {
        fn on_event(&self, _: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, Registry>) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }

    #[test]
    fn the_file_and_the_console_get_what_passes_the_filter_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let seen = std::sync::Arc::default();
        let how = Telemetry { filter: "info", json: false, stderr: false, data_dir: Some(dir.path()) };
        let console: BoxedLayer = Box::new(Counting(std::sync::Arc::clone(&seen)));
        let (layers, sinks) = layers(&how, vec![console]).unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layers), || {
            tracing::info!(target: "punchdeck::test", "kept");
            tracing::debug!(target: "punchdeck::test", "too detailed");
            tracing::warn!(target: "ant_quic::silent_drop", "in normal operation");
        });
        assert_eq!(sinks.dropped(), 0);
        drop(sinks);
        let text = std::fs::read_to_string(dir.path().join(LOG_FILE)).unwrap();
        assert!(text.lines().count() == 1 && text.contains("kept"), "{text}");
        assert!(!text.contains('\u{1b}'), "a file has no colours");
        assert_eq!(seen.load(std::sync::atomic::Ordering::Relaxed), 1);
    }

    fn written(json: bool, say: impl FnOnce()) -> String {
        let dir = tempfile::tempdir().unwrap();
        let how = Telemetry { filter: "info", json, stderr: false, data_dir: Some(dir.path()) };
        let (layers, sinks) = layers(&how, Vec::new()).unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layers), say);
        drop(sinks);
        std::fs::read_to_string(dir.path().join(LOG_FILE)).unwrap()
    }

    #[test]
    fn a_person_is_not_told_twice_what_a_program_finds_in_fields_of_its_own() {
        let say = || tracing::info!(target: "t", peer_id = "0123456789abcdef", kind = "link.up", n = 7, "link.up: \u{1b}[2Jx");
        let text = written(false, say);
        assert!(text.contains("INFO t: link.up: ") && text.ends_with("peer_id=\"012345\" n=7\n"), "{text}");
        assert!(!text.contains('\u{1b}'));
        let object: serde_json::Value = serde_json::from_str(&written(true, say)).unwrap();
        assert_eq!((&object["peer_id"], &object["kind"]), (&"0123456789abcdef".into(), &"link.up".into()));
        assert_eq!((&object["level"], &object["target"]), (&"INFO".into(), &"t".into()));
        assert_eq!((&object["message"], &object["n"]), (&"link.up: \u{1b}[2Jx".into(), &7.into()));
        assert!(object["timestamp"].is_string() && object.get("fields").is_none(), "flat: {object}");
    }

    #[test]
    fn another_filter_holds_from_then_on_in_every_sink_and_a_bad_one_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let how = Telemetry { filter: "warn", json: false, stderr: false, data_dir: Some(dir.path()) };
        let (layers, sinks) = layers(&how, Vec::new()).unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layers), || {
            tracing::debug!(target: "t", "before");
            assert!(sinks.filter().set("t=loud").is_err());
            tracing::debug!(target: "t", "still before");
            sinks.filter().set("t=debug").unwrap();
            tracing::debug!(target: "t", "after");
        });
        drop(sinks);
        let text = std::fs::read_to_string(dir.path().join(LOG_FILE)).unwrap();
        assert!(text.lines().count() == 1 && text.ends_with("after\n"), "{text}");
    }

    #[test]
    fn neither_a_dumb_terminal_nor_one_without_colours_gets_escape_sequences() {
        let takes = |set: &[(&str, &str)]| {
            takes_colours(|name| set.iter().find(|(n, _)| *n == name).map(|(_, v)| OsString::from(v)))
        };
        assert!(takes(&[]) && takes(&[("NO_COLOR", ""), ("TERM", "xterm")]));
        assert!(!takes(&[("NO_COLOR", "1")]) && !takes(&[("TERM", "dumb")]));
    }

    #[test]
    fn a_log_file_that_cannot_be_opened_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(LOG_FILE)).unwrap();
        let how = Telemetry { filter: "info", json: false, stderr: false, data_dir: Some(dir.path()) };
        let error = layers(&how, Vec::new()).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(dir.path().to_str().unwrap()), "{error}");
    }

    #[test]
    fn off_is_off() {
        let f = filter("off").unwrap();
        assert!(!f.would_enable("ant_quic", &Level::ERROR) && !f.would_enable("punchdeck", &Level::ERROR));
    }

    #[test]
    fn only_the_targets_that_are_named_are_kept_without_a_level_for_all() {
        let f = filter("punchdeck=info").unwrap();
        assert!(f.would_enable("punchdeck", &Level::INFO));
        assert!(!f.would_enable("somebody_else", &Level::ERROR));
    }
}
