//! The console's loop: waits for keys, snapshots, events, outcomes, signals
//! and time, and draws when something changed. It never waits for the node or
//! for the terminal.

mod left;
mod sources;

use std::collections::VecDeque;
use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::Event as TerminalEvent;
use jiff::tz::TimeZone;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use self::left::Left;
use self::sources::{
    News, NodeLines, Open, Signalled, Signals, lines_of, news_of, news_of_fleet, presence_of,
};
use super::app::App;
use super::bindings::Keymap;
use super::faults;
use super::fleet::{Fleet, FleetCommand};
use super::history::Bundle;
use super::input::Keyboard;
use super::lab::{Lab, LabCommand};
use super::logs::{self, LogSource};
use super::message::{Effect, Gone, Input, Snapped};
use super::terminal::{self, Features, Terminal};
use super::theme::{GlyphChoice, Theme};
use super::view;
use crate::model::{Command, ESCAPE_WAIT, Event, Snapshot, ThemeChoice};
use crate::node::feed::{CommandSender, Feed, Presence};

/// Between two frames: at most 20 a second. What answers a key may come one frame
/// early, so that nobody waits for the frame that a snapshot has just had.
const FRAME: Duration = Duration::from_millis(50);
/// A snapshot that nothing else came with waits so long at most: what it brings
/// are measurements, and they can be drawn together with the ages, which step
/// once a second.
const QUIET: Duration = Duration::from_secs(1);
/// A suspend that comes back sooner was refused: no shell would resume us.
const REFUSED: Duration = Duration::from_millis(30);
/// The signal that resumed us from ctrl-z arrives that soon after it did.
const JUST_NOW: Duration = Duration::from_millis(500);
/// While nothing on the screen changes by itself.
const LONG: Duration = Duration::from_secs(3600);

/// How the console looks, and what else it is given.
#[derive(Debug)]
pub struct Options {
    /// Which characters are drawn.
    pub glyphs: GlyphChoice,
    /// Which colours.
    pub theme: ThemeChoice,
    /// The keys in force.
    pub keys: Keymap,
    /// Whether clicks and the wheel are for the console.
    pub mouse: bool,
    /// Whether the terminal's title is.
    pub title: bool,
    /// How long a lone escape may be the beginning of a sequence.
    pub escape_wait: Duration,
    /// The lab that the node is in.
    pub lab: Option<Lab>,
    /// The fleet that the node is one of.
    pub fleet: Option<Fleet>,
    /// Whether the fleet is what is shown first.
    pub fleet_first: bool,
    /// Whether the console may only look.
    pub read_only: bool,
    /// Whether pseudonyms stand for peers, addresses and names.
    pub mask: bool,
    /// Where snaps are written; the current directory if nowhere.
    pub snaps: PathBuf,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            glyphs: GlyphChoice::default(),
            theme: ThemeChoice::default(),
            keys: Keymap::default(),
            mouse: false,
            title: false,
            escape_wait: ESCAPE_WAIT,
            lab: None,
            fleet: None,
            fleet_first: false,
            read_only: false,
            mask: false,
            snaps: PathBuf::new(),
        }
    }
}

/// Why there is no console.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// Standard input or output is not a terminal.
    #[error("standard input and output are not both a terminal")]
    NotATerminal,
    /// The terminal or the system refused something.
    #[error("the terminal cannot be used: {0}")]
    Io(#[from] io::Error),
    /// There is no moment in a file.
    #[error("there is no moment in it")]
    Nothing,
}

/// Shows the console until the operator or a signal ends it. Blocks the calling
/// thread, on a runtime of its own.
///
/// The terminal is given back in every case. The end of the node does not end
/// the console: it shows that, and its last state.
///
/// # Errors
/// [`ConsoleError::NotATerminal`] without a terminal, [`ConsoleError::Io`] if
/// the terminal cannot be set up or drawn to.
pub fn run(feed: Feed, options: Options) -> Result<(), ConsoleError> {
    show(
        |options, theme| {
            let mut feed = feed;
            let first = feed.snapshots.borrow_and_update().clone();
            let logs = match (&feed.logs, &feed.presence) {
                (Some(_), _) => LogSource::Here,
                (None, Some(_)) => LogSource::Elsewhere,
                (None, None) => LogSource::of_process(),
            };
            let mut app = App::new(first, theme, TimeZone::system(), logs);
            if let Some(lab) = &mut options.lab {
                app.update(Input::Lab(lab.view.borrow_and_update().clone()), Duration::ZERO);
            }
            if let Some(fleet) = &mut options.fleet {
                app.update(Input::Fleet(fleet.view.borrow_and_update().clone()), Duration::ZERO);
                if options.fleet_first {
                    app.open_fleet();
                }
            }
            Ok((app, feed))
        },
        options,
    )
}

/// Shows the console on a file that one wrote, as [`run`] does on a node.
///
/// # Errors
/// As [`run`].
pub fn replay(bundle: Bundle, options: Options) -> Result<(), ConsoleError> {
    // There is no node: nothing comes from it, and nobody takes what is sent.
    let (nobody, mut held) = (tokio::sync::broadcast::channel(1), None);
    let (outcomes, told) = tokio::sync::broadcast::channel(1);
    let (commands, _) = CommandSender::channel();
    let ended = show(
        |_, theme| {
            let app = App::replay(bundle, theme, TimeZone::system()).ok_or(ConsoleError::Nothing)?;
            let (snapshots, latest) = watch::channel(app.live().clone());
            held = Some(snapshots);
            Ok((
                app,
                Feed {
                    snapshots: latest,
                    events: nobody.1,
                    outcomes: told,
                    commands,
                    presence: None,
                    logs: None,
                },
            ))
        },
        options,
    );
    drop((nobody.0, outcomes, held));
    ended
}

/// Sets everything up, has the console made, and runs it.
fn show(
    make: impl FnOnce(&mut Options, Theme) -> Result<(App, Feed), ConsoleError>,
    mut options: Options,
) -> Result<(), ConsoleError> {
    if !terminal::is_there() {
        return Err(ConsoleError::NotATerminal);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let theme = Theme::named(options.theme, options.glyphs, |name| std::env::var(name).ok());
    let (app, feed) = make(&mut options, theme)?;
    let exit = runtime.block_on(console(app, feed, options));
    // Nothing of ours is worth waiting for.
    runtime.shutdown_background();
    exit
}

async fn console(mut app: App, feed: Feed, options: Options) -> Result<(), ConsoleError> {
    let signals = Signals::listen()?;
    app.settings.read_only = options.read_only;
    app.settings.keys = options.keys;
    app.set_masked(options.mask);
    let (lab, fleet) = (options.lab, options.fleet);
    let (snapped, snaps) = mpsc::channel(1);
    let watch = faults::Watch::start();
    let terminal = Terminal::take(Features { mouse: options.mouse, title: options.title })?;
    let keyboard = Keyboard::start(options.escape_wait)?;
    let (recent, node_lines) = feed.logs.as_ref().map(NodeLines::of).unzip();
    let mut console = Console {
        app,
        effects: VecDeque::new(),
        feed,
        left: Left::default(),
        lab,
        fleet,
        terminal,
        keyboard,
        escape_wait: options.escape_wait,
        signals,
        start: Instant::now(),
        dirty: true,
        answers: false,
        stirred: Instant::now(),
        quiet_until: None,
        frames_until: Instant::now(),
        ages_change: None,
        logs_came: false,
        node_lines,
        resumed: None,
        last_event: None,
        known_until: None,
        open: Open::default(),
        snap_dir: options.snaps,
        snapped,
        snaps,
    };
    if let Some(recent) = recent {
        console.take(Input::Lines(recent, 0));
    }
    let exit = console.run().await;
    console.keyboard.stop();
    // The terminal is given back before panics are the process's own again.
    drop(console);
    drop(watch);
    exit
}

struct Console {
    app: App,
    /// What it wants done.
    effects: VecDeque<Effect>,
    feed: Feed,
    /// Nodes that the console was on before.
    left: Left,
    lab: Option<Lab>,
    fleet: Option<Fleet>,
    terminal: Terminal,
    keyboard: Keyboard,
    escape_wait: Duration,
    signals: Signals,
    start: Instant,
    /// Whether the picture may have changed since the last frame.
    dirty: bool,
    /// Whether it may have changed because of a key.
    answers: bool,
    /// When something last came that was no snapshot.
    stirred: Instant,
    /// When a snapshot is drawn that nothing else came with.
    quiet_until: Option<Instant>,
    /// Until when the frames so far are paid for, each with [`FRAME`].
    frames_until: Instant,
    /// When a text on the screen changes by itself.
    ages_change: Option<Instant>,
    /// Whether log lines came since the last frame.
    logs_came: bool,
    /// The log of the node, where it is another process's.
    node_lines: Option<NodeLines>,
    /// The number of the last event.
    last_event: Option<u64>,
    /// The number of the last event that was known when the console came back to this node:
    /// what it remembers may be told once more.
    known_until: Option<u64>,
    /// When we last took the terminal again.
    resumed: Option<Instant>,
    open: Open,
    /// Where snaps are written, and both ends of what comes of that.
    snap_dir: PathBuf,
    snapped: mpsc::Sender<Snapped>,
    snaps: mpsc::Receiver<Snapped>,
}

impl Console {
    async fn run(&mut self) -> Result<(), ConsoleError> {
        loop {
            self.draw_if_due()?;
            // A frame takes the time in, and that may ask for something.
            if self.carry_out()?.is_break() {
                return Ok(());
            }
            let wake = self.next_wake();
            let wait_for_logs = !self.logs_came;
            let written = self.terminal.changes();
            tokio::select! {
                biased;
                signalled = self.signals.next() => match signalled {
                    Signalled::Exit => return Ok(()),
                    // Somebody else may have had the terminal meanwhile.
                    Signalled::Resumed => if self.resumed.is_none_or(|at| at.elapsed() > JUST_NOW) {
                        self.resume()?;
                    },
                    Signalled::Resized => self.dirty = true,
                },
                event = self.keyboard.next() => match event {
                    // The terminal is gone.
                    None => return Ok(()),
                    Some(event) => self.terminal_event(event),
                },
                () = written => if self.terminal.is_gone() {
                    return Ok(());
                },
                outcome = self.feed.outcomes.recv(), if self.open.outcomes => match outcome {
                    Ok(outcome) => self.take(Input::Outcome(outcome)),
                    Err(RecvError::Lagged(n)) => self.take(Input::OutcomesLost(n)),
                    Err(RecvError::Closed) => self.open.outcomes = false,
                },
                changed = self.feed.snapshots.changed(), if self.open.snapshots => if changed.is_ok() {
                    let snapshot = self.feed.snapshots.borrow_and_update().clone();
                    self.take_snapshot(snapshot);
                } else {
                    self.open.snapshots = false;
                    self.take(Input::NodeGone(Gone::Stopped));
                },
                presence = presence_of(&mut self.feed.presence), if self.open.presence => match presence {
                    Some(Presence::Lost { detail }) => self.take(Input::NodeGone(Gone::Lost { detail })),
                    Some(Presence::Here) => {
                        // It may run anew, and count from the beginning.
                        self.known_until = None;
                        let snapshot = self.feed.snapshots.borrow_and_update().clone();
                        self.take(Input::NodeBack(snapshot));
                    }
                    None => self.open.presence = false,
                },
                () = faults::news() => for fault in faults::take() {
                    self.take(Input::Fault(fault));
                },
                () = logs::news(), if wait_for_logs => {
                    self.logs_came = true;
                    self.dirty = true;
                },
                (lines, missed) = lines_of(&mut self.node_lines) => self.take(Input::Lines(lines, missed)),
                event = self.feed.events.recv(), if self.open.events => match event {
                    Ok(event) => self.take_event(event),
                    // The gap in the numbers says so.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => self.open.events = false,
                },
                news = news_of(&mut self.lab) => match news {
                    News::View(view) => self.take(Input::Lab(view)),
                    News::Feed(feed) => self.switch(feed),
                    // It has ended; what it last showed stays.
                    News::End => self.lab = None,
                },
                news = news_of_fleet(&mut self.fleet) => match news {
                    // It is nothing that happened: it is drawn with the ages.
                    News::View(view) => self.take_quietly(Input::Fleet(view)),
                    News::Feed(feed) => self.switch(feed),
                    News::End => self.fleet = None,
                },
                Some(snapped) = self.snaps.recv() => self.take(Input::Snapped(snapped)),
                // What is due is drawn; that takes the time in.
                () = sleep_until(wake) => {}
            }
            if self.carry_out()?.is_break() {
                return Ok(());
            }
        }
    }

    fn take(&mut self, input: Input) {
        (self.dirty, self.stirred) = (true, Instant::now());
        self.update(input);
    }

    fn take_snapshot(&mut self, snapshot: Arc<Snapshot>) {
        self.take_quietly(Input::Snapshot(snapshot));
    }

    /// Takes in what changes by itself all the time.
    fn take_quietly(&mut self, input: Input) {
        self.update(input);
        let now = Instant::now();
        if now.duration_since(self.stirred) < QUIET {
            self.dirty = true;
        } else if self.quiet_until.is_none() {
            let latest = now + QUIET;
            self.quiet_until = Some(self.ages_change.map_or(latest, |at| at.min(latest)));
        }
    }

    fn update(&mut self, input: Input) {
        let effects = self.app.update(input, self.start.elapsed());
        self.effects.extend(effects);
    }

    /// Carries out what the console wants done; breaks where it wants to end.
    fn carry_out(&mut self) -> Result<ControlFlow<()>, ConsoleError> {
        while let Some(effect) = self.effects.pop_front() {
            match effect {
                Effect::Quit => return Ok(ControlFlow::Break(())),
                Effect::Suspend => self.suspend()?,
                Effect::Copy(text) => self.terminal.copy(&text)?,
                Effect::Send(command) => self.send(command),
                Effect::Lab(command) => self.ask_lab(command),
                Effect::Fleet(command) => self.ask_fleet(command),
                Effect::Snap => self.snap(),
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// An event, and how many are missing before it, wherever they were dropped.
    fn take_event(&mut self, event: Arc<Event>) {
        if self.known_until.is_some_and(|known| event.seq <= known) {
            return;
        }
        self.known_until = None;
        // A lower number is of another run of the node.
        let missed = self.last_event.map_or(0, |last| event.seq.saturating_sub(last + 1));
        self.last_event = Some(event.seq);
        if missed > 0 {
            self.take(Input::EventsLost(missed));
        }
        self.take(Input::Event(event));
    }

    /// Shows another node from now on.
    fn switch(&mut self, mut feed: Feed) {
        let (recent, lines) = feed.logs.as_ref().map(NodeLines::of).unzip();
        let known = self.left.return_to(&mut feed);
        self.left.leave(std::mem::replace(&mut self.feed, feed), self.last_event);
        (self.last_event, self.known_until) = (known, known);
        self.open = Open::default();
        let first = self.feed.snapshots.borrow_and_update().clone();
        self.take(Input::Switched(first));
        // A lab has one log, another process one of its own.
        if let Some(recent) = recent {
            self.node_lines = lines;
            self.take(Input::LogAnew(recent));
        }
    }

    fn ask_fleet(&mut self, command: FleetCommand) {
        let taken = self.fleet.as_ref().is_some_and(|fleet| fleet.commands.try_send(command).is_ok());
        if !taken {
            self.take(Input::FleetBusy);
        }
    }

    fn ask_lab(&mut self, command: LabCommand) {
        let taken = self.lab.as_ref().is_some_and(|lab| lab.commands.try_send(command).is_ok());
        if !taken {
            self.take(Input::LabBusy);
        }
    }

    /// Writes what is remembered to a file, on a thread of its own: a disk may
    /// take its time, and the console does not wait for it.
    fn snap(&mut self) {
        let (bundle, dir, zone) = (self.app.bundle(), self.snap_dir.clone(), self.app.settings.zone.clone());
        let (done, failed) = (self.snapped.clone(), self.snapped.clone());
        let write = move || {
            let written = bundle.save(&dir, &zone).map_err(|error| format!("{}: {error}", dir.display()));
            // A console that has gone wants to hear nothing.
            let _ = done.blocking_send(written);
        };
        if let Err(error) = std::thread::Builder::new().name("snap".to_owned()).spawn(write) {
            let _ = failed.try_send(Err(error.to_string()));
        }
    }

    fn send(&mut self, command: Command) {
        let sent = self.feed.commands.try_send(command.clone());
        self.take(Input::Sent(command, sent));
    }

    /// When to look again although nothing happened.
    fn next_wake(&self) -> Instant {
        let now = Instant::now();
        if self.dirty {
            // A terminal that is still busy says itself when it is not.
            return if self.terminal.is_idle() { self.frame_due() } else { now + LONG };
        }
        self.due().unwrap_or(now + LONG)
    }

    /// When something is drawn although nothing more happens.
    fn due(&self) -> Option<Instant> {
        [self.ages_change, self.quiet_until].into_iter().flatten().min()
    }

    fn frame_due(&self) -> Instant {
        if self.answers {
            self.frames_until.checked_sub(FRAME).unwrap_or(self.frames_until)
        } else {
            self.frames_until
        }
    }

    fn draw_if_due(&mut self) -> Result<(), ConsoleError> {
        let now = Instant::now();
        self.dirty |= self.due().is_some_and(|at| at <= now);
        if !self.dirty || !self.terminal.is_idle() || now < self.frame_due() {
            return Ok(());
        }
        let (lines, dropped) = logs::take();
        // Beside the log of a node elsewhere, what this process says is not shown as
        // the node's.
        if self.node_lines.is_none() && (dropped > 0 || !lines.is_empty()) {
            self.take(Input::Lines(lines, dropped));
        }
        self.update(Input::Tick);
        let app = &self.app;
        let title = app.settings.theme.title(app.title());
        let picture = self.terminal.draw(&title, |area, buf| view::draw(app, area, buf))?;
        self.app.on_drawn(picture.layout);
        self.ages_change = picture.changes_in.map(|left| now + left.clamp(FRAME, LONG));
        self.frames_until = now.max(self.frames_until) + FRAME;
        (self.dirty, self.answers, self.quiet_until) = (false, false, None);
        self.logs_came = false;
        Ok(())
    }

    fn terminal_event(&mut self, event: TerminalEvent) {
        let input = match event {
            TerminalEvent::Key(key) => Input::Key(key),
            TerminalEvent::Paste(text) => Input::Paste(text),
            TerminalEvent::Mouse(event) => Input::Mouse(event),
            _ => {
                self.dirty = true;
                return;
            }
        };
        self.take(input);
        self.answers = true;
    }

    /// Gives the terminal back and stops, as a shell expects it of ctrl-z.
    fn suspend(&mut self) -> Result<(), ConsoleError> {
        self.keyboard.stop();
        self.terminal.leave();
        let stopped = Instant::now();
        // To the whole group, as the terminal would: a parent like `cargo run`
        // has to stop too, or the shell never comes back.
        let _ = rustix::process::kill_current_process_group(rustix::process::Signal::TSTP);
        let refused = stopped.elapsed() < REFUSED;
        self.resume()?;
        if refused {
            self.take(Input::SuspendRefused);
        }
        Ok(())
    }

    fn resume(&mut self) -> Result<(), ConsoleError> {
        self.keyboard.stop();
        self.terminal.enter()?;
        self.keyboard = Keyboard::start(self.escape_wait)?;
        self.resumed = Some(Instant::now());
        self.dirty = true;
        Ok(())
    }
}
