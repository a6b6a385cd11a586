//! What `run` and `lab` share: a runtime for nodes, logging, and either the
//! console or a wait for a signal.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};

use super::failure::say;
use super::{Failure, open_files};
use crate::config::{Ascii, Config, LogFormat};
use crate::model::{Phase, ThemeChoice};
use crate::node::EVENT_TARGET;
use crate::node::feed::{Feed, LogLines};
use crate::telemetry::{self, BoxedLayer, DropWatch, LogFilter, Sinks, Tap, Telemetry};
use crate::tui::fleet::Fleet;
use crate::tui::lab::Lab;
use crate::tui::{self, GlyphChoice, Keymap};

/// Threads for nodes: their work is short, and the console has a thread of its
/// own.
const WORKERS: usize = 2;
/// What is left of a runtime's tasks after its nodes have stopped is not worth
/// more.
const RUNTIME_END: Duration = Duration::from_millis(100);

/// Where in the data directory consoles write what they remember.
const SNAPS: &str = "snaps";

/// How soon a lost log line is noticed.
const LOOK_FOR_DROPS: Duration = Duration::from_secs(1);

/// Whether there is a console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Screen {
    /// On this terminal.
    Console,
    /// None; somebody asked for that.
    Headless,
    /// None, because there is no terminal that could show one; why not.
    NoTerminal(&'static str),
}

impl Screen {
    pub(super) fn choose(headless: bool) -> Self {
        if headless { Self::Headless } else { no_terminal().map_or(Self::Console, Self::NoTerminal) }
    }
}

/// Why no console can be shown here, if none can.
pub(super) fn no_terminal() -> Option<&'static str> {
    if !(std::io::stdin().is_terminal() && std::io::stdout().is_terminal()) {
        return Some("no terminal here");
    }
    // It prints lines, and what moves a cursor is shown as rubbish.
    std::env::var_os("TERM")
        .is_some_and(|term| term == "dumb")
        .then_some("this terminal is a dumb one (TERM)")
}

/// What SIGHUP means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hangup {
    /// The terminal is gone, and so is its session.
    Ends,
    /// Somebody wants the configuration read again.
    Reloads,
}

/// Which log lines are kept, and where.
#[derive(Debug, Clone, Copy)]
pub(super) struct Log<'a> {
    /// Which.
    pub(super) filter: &'a str,
    /// How they are written, but in the console.
    pub(super) format: LogFormat,
    /// The directory of the log file, if there is to be one.
    pub(super) data_dir: Option<&'a Path>,
    /// Who else is handed them: consoles that attach.
    pub(super) lines: Option<&'a LogLines>,
}

impl<'a> Log<'a> {
    /// In no file, for people.
    pub(super) fn only(filter: &'a str) -> Self {
        Self { filter, format: LogFormat::Text, data_dir: None, lines: None }
    }
}

/// How a console looks and listens.
#[derive(Debug, Clone, Default)]
pub(super) struct Look {
    glyphs: GlyphChoice,
    theme: ThemeChoice,
    keys: Keymap,
    mouse: bool,
    mask: bool,
    title: bool,
    escape_wait: Duration,
}

impl Look {
    /// As the settings say.
    pub(super) fn of(config: &Config) -> Self {
        let glyphs = match config.ascii {
            Ascii::Auto => GlyphChoice::Auto,
            Ascii::Always => GlyphChoice::Ascii,
            Ascii::Never => GlyphChoice::Unicode,
        };
        Self {
            glyphs,
            theme: config.theme,
            keys: config.keys.clone(),
            mouse: config.mouse,
            mask: config.mask,
            title: config.title,
            escape_wait: config.escape_wait,
        }
    }
}

/// What is around the node that a console is on.
#[derive(Debug, Default)]
pub(super) struct Around {
    /// The lab that it is in.
    pub(super) lab: Option<Lab>,
    /// The fleet that it is one of.
    pub(super) fleet: Option<Fleet>,
    /// Whether the fleet is what is shown first.
    pub(super) fleet_first: bool,
    /// Whether the console may only look.
    pub(super) read_only: bool,
}

/// A process that runs nodes.
pub(super) struct Session {
    screen: Screen,
    look: Look,
    /// Where consoles write what they remember.
    snaps: PathBuf,
    runtime: Runtime,
    /// A signal asked for the end.
    stop: CancellationToken,
    /// Asks for a reload, where it does not ask for the end.
    hangups: Option<Signal>,
    sinks: Sinks,
}

impl Session {
    /// Sets up logging and a runtime.
    pub(super) fn begin(screen: Screen, look: Look, log: &Log<'_>, hangup: Hangup) -> Result<Self, Failure> {
        let Log { filter, format, data_dir, lines } = *log;
        let console = screen == Screen::Console;
        // Events have a pane of their own.
        // What else is kept may change, and is said to all sinks.
        let targets =
            Targets::new().with_default(LevelFilter::TRACE).with_target(EVENT_TARGET, LevelFilter::OFF);
        let mut panes: Vec<BoxedLayer> = Vec::new();
        if console {
            panes.extend(tui::log_layer(targets.clone()).map(|layer| -> BoxedLayer { layer.boxed() }));
        }
        if let Some(lines) = lines.cloned() {
            panes.push(Tap(move |line| lines.push(line)).with_filter(targets).boxed());
        }
        let json = format == LogFormat::Json;
        let sinks = telemetry::init(&Telemetry { filter, json, stderr: !console, data_dir }, panes)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("node")
            .enable_all()
            .build()
            .map_err(Failure::failed)?;
        // From here on a signal ends what was begun in order, and does not
        // kill it half done.
        let stop = CancellationToken::new();
        let (signals, hangups) = {
            let _runtime = runtime.enter();
            StopSignals::listen(hangup).map_err(Failure::failed)?
        };
        runtime.spawn(signals.cancel(stop.clone()));
        runtime.spawn(tell_of_drops(sinks.counter()));
        if let Err(error) = open_files::raise() {
            tracing::warn!(%error, "the limit of open files (ulimit -Sn) was not raised");
        }
        if let Screen::NoTerminal(why) = screen {
            let what = format!("{why}, running headless; SIGTERM or ctrl-c stops it");
            // Whoever reads objects gets nothing else.
            if json { tracing::info!("{what}") } else { say(&what) }
        }
        let snaps = data_dir.map_or_else(|| PathBuf::from("."), |dir| dir.join(SNAPS));
        Ok(Self { screen, look, snaps, runtime, stop, hangups, sinks })
    }

    /// To change which log lines are kept.
    pub(super) fn log_filter(&self) -> LogFilter {
        self.sinks.filter()
    }

    /// The signal that asks for a reload, if one does.
    pub(super) fn take_hangups(&mut self) -> Option<Signal> {
        self.hangups.take()
    }

    /// The nodes' runtime.
    pub(super) fn runtime(&self) -> &Handle {
        self.runtime.handle()
    }

    /// Whether a console is shown.
    pub(super) fn has_console(&self) -> bool {
        self.screen == Screen::Console
    }

    /// Runs something on the nodes' runtime.
    pub(super) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Cancelled when a signal asks for the end.
    pub(super) fn stopped(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// The same until a signal asks for the end: `None` then.
    pub(super) fn unless_stopped<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        self.block_on(self.stop.run_until_cancelled(future))
    }

    /// Shows the console, with what is around its node, or waits for a signal or the
    /// node's own end; meanwhile `beside` runs, and ends it if it fails.
    pub(super) fn attend(
        &self,
        feed: Feed,
        around: Around,
        beside: impl Future<Output = Result<(), Failure>> + Send + 'static,
    ) -> Result<(), Failure> {
        if self.stop.is_cancelled() {
            return Ok(());
        }
        if self.screen == Screen::Console {
            return self.watch(feed, around);
        }
        let beside = self.runtime.spawn(beside);
        let failed = async {
            match beside.await {
                Ok(Err(failure)) => failure,
                _ => std::future::pending().await,
            }
        };
        let ended = self.unless_stopped(async {
            tokio::select! {
                phase = node_end(feed) => Ok(phase),
                failure = failed => Err(failure),
            }
        });
        match ended.transpose()? {
            // Whoever started us must hear of it and may start us again.
            Some(Phase::Leaving) | None => Ok(()),
            Some(_) => Err(Failure::failed(anyhow::anyhow!("the node has stopped by itself"))),
        }
    }

    /// Shows the console on a node.
    pub(super) fn watch(&self, feed: Feed, around: Around) -> Result<(), Failure> {
        let Around { lab, fleet, fleet_first, read_only } = around;
        let options = tui::Options { lab, fleet, fleet_first, read_only, ..self.options() };
        tui::run(feed, options).map_err(Failure::failed)
    }

    /// Shows the console on a file.
    pub(super) fn replay(&self, bundle: tui::Bundle) -> Result<(), Failure> {
        tui::replay(bundle, self.options()).map_err(Failure::failed)
    }

    /// How every console of this session looks and listens, and where it writes.
    fn options(&self) -> tui::Options {
        let Look { glyphs, theme, keys, mouse, mask, title, escape_wait } = self.look.clone();
        tui::Options {
            glyphs,
            theme,
            keys,
            mouse,
            mask,
            title,
            escape_wait,
            snaps: self.snaps.clone(),
            ..tui::Options::default()
        }
    }

    /// Lets go of the runtime.
    pub(super) fn end(self) {
        self.runtime.shutdown_timeout(RUNTIME_END);
    }
}

/// Says in the log that lines of it are missing.
async fn tell_of_drops(dropped: impl Fn() -> u64) {
    let mut watch = DropWatch::default();
    loop {
        tokio::time::sleep(LOOK_FOR_DROPS).await;
        if let Some(lines) = watch.look(dropped(), Instant::now()) {
            tracing::warn!(lines, "log lines were dropped: a sink is slow, full or gone");
        }
    }
}

/// Waits until the node has ended, and gives what it was doing last.
async fn node_end(feed: Feed) -> Phase {
    // Only the newest snapshot is kept, the events are not.
    let Feed { mut snapshots, .. } = feed;
    while snapshots.changed().await.is_ok() {}
    snapshots.borrow().node.phase.clone()
}

/// The signals that end a session. The console listens to them, too.
struct StopSignals {
    others: [Signal; 3],
    hangup: Option<Signal>,
}

impl StopSignals {
    /// Gives SIGHUP back where it does not ask for the end.
    fn listen(hangup: Hangup) -> std::io::Result<(Self, Option<Signal>)> {
        let others =
            [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::quit())?];
        let hangups = Some(signal(SignalKind::hangup())?);
        Ok(match hangup {
            Hangup::Ends => (Self { others, hangup: hangups }, None),
            Hangup::Reloads => (Self { others, hangup: None }, hangups),
        })
    }

    async fn cancel(self, stop: CancellationToken) {
        let Self { others: [mut terminate, mut interrupt, mut quit], hangup } = self;
        let hung_up = async {
            match hangup {
                Some(mut hangup) => drop(hangup.recv().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = quit.recv() => {}
            () = hung_up => {}
        }
        stop.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::feed::CommandSender;
    use crate::tui::demo;

    #[tokio::test]
    async fn a_node_that_ends_by_itself_is_noticed_without_a_console() {
        let (commands, _queue) = CommandSender::channel();
        let (node, snapshots) = tokio::sync::watch::channel(demo::busy());
        let (_, events) = tokio::sync::broadcast::channel(1);
        let (_, outcomes) = tokio::sync::broadcast::channel(1);
        let end = tokio::spawn(node_end(Feed {
            snapshots,
            events,
            outcomes,
            commands,
            presence: None,
            logs: None,
        }));
        node.send(demo::busy()).unwrap();
        drop(node);
        assert_ne!(end.await.unwrap(), Phase::Leaving);
    }
}
