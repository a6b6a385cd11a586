//! What the console knows and how it changes: input and the time of it in,
//! new state and effects out. It never touches a terminal, a clock or the
//! node, so all of it is tested as plain values.

mod actions;
mod clipboard;
mod commands;
mod filtered_log;
mod lab;
mod line;
mod logs;
mod mask;
mod moment;
mod mouse;
mod overlay;
mod palette;
mod pane;
mod peers;
mod presence;
mod prompt;
mod relays;
mod rows;
mod snap;
mod table;
mod timeline;
mod title;
mod why;

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use ratatui::crossterm::event::{KeyEvent, KeyEventKind, MouseEvent};

use super::bindings::{Action, Key, Keymap, Scope};
use super::history::{About, RecordingBoundary};
use super::lab::{LabCommand, LabView};
use super::logs::Logs;
use super::theme::Theme;
use super::view::Places;
use crate::model::{
    Attempt, Command, CommandId, Done, Event, EventKind, LogLine, Outcome, PeerId, PeerRow, ReservationRow,
    ServedRow, Snapshot, Stamp,
};
use crate::node::feed::SendError;

use actions::Move;
pub(crate) use commands::{Commands, Tone};
pub(crate) use filtered_log::FilteredLog;
pub(crate) use lab::{LabPanel, LabRow};
pub(crate) use logs::KEPT as LINES_KEPT;
use logs::Lines;
pub(crate) use moment::{Moment, Step};
pub(crate) use mouse::{Region, Spot};
pub(crate) use overlay::{Overlay, Question};
pub(crate) use palette::{Hit, Palette, What};
pub(crate) use pane::Pane;
pub(crate) use peers::{Listed, Peers};
pub(crate) use presence::Gone;
use prompt::FilterHistory;
pub(crate) use prompt::{Filtered, Prompt, StreamFilters};
use relays::RelaysPlace;
pub(crate) use rows::Rows;
pub(crate) use snap::Snapped;
pub(crate) use timeline::{Entry, KEPT as ENTRIES_KEPT, Timeline};
pub(crate) use why::Asked;

/// A snapshot older than this is marked as stale. Nodes send one at least
/// every second.
pub(crate) const STALE_AFTER: Duration = Duration::from_secs(3);
/// A key that closed something is not meant to quit so soon after.
const TWICE_BY_MISTAKE: Duration = Duration::from_millis(700);
/// Faulted tasks that are kept; the first are the telling ones.
const FAULTS_MAX: usize = 16;

/// Something that happened to the console.
#[derive(Debug)]
pub(crate) enum Input {
    /// A key was pressed.
    Key(KeyEvent),
    /// The mouse was clicked or its wheel turned.
    Mouse(MouseEvent),
    /// Text was pasted.
    Paste(String),
    /// The node's newest state.
    Snapshot(Arc<Snapshot>),
    /// Something happened on the node.
    Event(Arc<Event>),
    /// So many events were dropped because we were behind.
    EventsLost(u64),
    /// A command ended, ours or another's.
    Outcome(Arc<Outcome>),
    /// So many outcomes were dropped because we were behind.
    OutcomesLost(u64),
    /// What came of sending a command.
    Sent(Command, Result<CommandId, SendError>),
    /// The node is gone; no snapshot comes.
    NodeGone(Gone),
    /// It is back, with this state.
    NodeBack(Arc<Snapshot>),
    /// What came of writing what is remembered to a file.
    Snapped(Snapped),
    /// What was logged, and how many lines were not caught.
    Lines(Vec<LogLine>, u64),
    /// The lab's newest state.
    Lab(Arc<LabView>),
    /// The lab takes no command just now.
    LabBusy,
    /// Another node is shown from now on.
    Switched(Arc<Snapshot>),
    /// A thread other than ours panicked.
    Fault(String),
    /// Time passed.
    Tick,
}

/// What the console wants done.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    /// Send a command; its [`Input::Sent`] comes back at once.
    Send(Command),
    /// Ask something of the lab.
    Lab(LabCommand),
    /// Put a text on the terminal's clipboard.
    Copy(String),
    /// Give the terminal back until the shell resumes us.
    Suspend,
    /// Write what is remembered to a file; its [`Input::Snapped`] comes back.
    Snap,
    /// Leave.
    Quit,
}

/// What the last frame looked like, as far as keys and the mouse depend on it.
#[derive(Debug, Clone)]
pub(crate) struct Drawn {
    /// Whether the peers were on the screen.
    pub(crate) peers: bool,
    /// Whether more than one pane was, so that there is something to zoom.
    pub(crate) several: bool,
    /// The rows of the focused pane or overlay: a page.
    pub(crate) page: usize,
    /// What lies where; the last lies on top.
    pub(crate) regions: Vec<Region>,
}

/// The console's whole state.
#[derive(Debug)]
pub(crate) struct App {
    live: Arc<Snapshot>,
    /// What everything passes that comes in; it remembers it as it was.
    boundary: RecordingBoundary,
    /// The moment that is looked at, if it is not now.
    moment: Option<Moment>,
    /// What is looked at, if it is a file and not a node.
    replay: Option<About>,
    /// Whether a file is being written.
    snapping: bool,
    /// When the newest snapshot came, and the node's time then.
    anchor: (Duration, Stamp),
    received: Duration,
    at: Duration,
    /// The pane that has the keys.
    pub(crate) focus: Pane,
    /// Whether it has the whole screen.
    pub(crate) zoom: bool,
    /// What lies over the panes; the last is on top.
    pub(crate) overlays: Vec<Overlay>,
    /// The filter line, while it is typed.
    pub(crate) prompt: Option<Prompt>,
    /// Filters that were kept.
    filter_history: [FilterHistory; 3],
    /// Filters over what comes in order.
    pub(crate) stream_filters: StreamFilters,
    /// Order, filter and selection of the peers.
    pub(crate) peers: Peers,
    /// Order and selection of the attempts.
    pub(crate) attempts: Rows<Arc<Attempt>>,
    /// Order and selection of the reservations.
    pub(crate) reservations: Rows<ReservationRow>,
    /// Order and selection of those whom we serve.
    pub(crate) served: Rows<ServedRow>,
    /// Where one is in both.
    pub(crate) relays: RelaysPlace,
    /// Events, outcomes and faults in order.
    pub(crate) timeline: Timeline,
    /// Commands under way and what came of the last.
    pub(crate) commands: Commands,
    /// The lab that the node is in, if it is in one of ours.
    pub(crate) lab: Option<LabPanel>,
    /// What was asked about the peer of the why view.
    asked: Option<Asked>,
    /// How often the KPI pane was turned to another span of time.
    pub(crate) kpi_span: usize,
    /// Lines scrolled, by pane; peers, events and log lines have ways of their own.
    pub(crate) scrolls: [usize; Pane::ALL.len()],
    /// The peers that the palette last looked through.
    found_in: Option<Arc<Vec<Arc<PeerRow>>>>,
    /// Where log lines come from.
    pub(crate) logs: Logs,
    /// The log.
    pub(crate) lines: Lines,
    /// Events that never reached us.
    pub(crate) events_dropped: u64,
    /// Threads that panicked.
    pub(crate) faults: Vec<String>,
    /// How the node is gone, if it is.
    pub(crate) gone: Option<Gone>,
    /// Its time when it went: nothing of it grows older than that.
    gone_at: Option<Stamp>,
    /// When the console came to this node, by the node's clock.
    pub(crate) came: Stamp,
    /// When a key that may also quit last closed something.
    closed_by: Option<(Key, Duration)>,
    /// Whether the console may only look.
    pub(crate) read_only: bool,
    /// What the last frame looked like.
    pub(crate) drawn: Drawn,
    /// The keys in force.
    pub(crate) keys: Keymap,
    /// Which of the panes that share a place have it.
    pub(crate) places: Places,
    /// Colours and glyphs.
    pub(crate) theme: Theme,
    /// The zone for times of day.
    pub(crate) zone: TimeZone,
}

impl App {
    /// A console on a node whose state is `snapshot`.
    pub(crate) fn new(snapshot: Arc<Snapshot>, theme: Theme, zone: TimeZone, logs: Logs) -> Self {
        let mut app = Self {
            boundary: RecordingBoundary::new(Arc::clone(&snapshot)),
            anchor: (Duration::ZERO, snapshot.at),
            came: snapshot.at,
            gone_at: None,
            closed_by: None,
            live: snapshot,
            moment: None,
            replay: None,
            snapping: false,
            received: Duration::ZERO,
            at: Duration::ZERO,
            focus: Pane::default(),
            zoom: false,
            overlays: Vec::new(),
            prompt: None,
            filter_history: Default::default(),
            stream_filters: StreamFilters::default(),
            peers: Peers::default(),
            attempts: Rows::default(),
            reservations: Rows::default(),
            served: Rows::default(),
            relays: RelaysPlace::default(),
            timeline: Timeline::default(),
            commands: Commands::default(),
            lab: None,
            asked: None,
            kpi_span: 0,
            scrolls: [0; Pane::ALL.len()],
            found_in: None,
            logs,
            lines: Lines::default(),
            events_dropped: 0,
            faults: Vec::new(),
            gone: None,
            read_only: false,
            drawn: Drawn { peers: true, several: true, page: 10, regions: Vec::new() },
            keys: Keymap::default(),
            places: Places::default(),
            theme,
            zone,
        };
        app.refresh();
        app
    }

    /// Takes in what happened `at` that long after the console started, and
    /// returns what is to be done. The screen may have changed after any input.
    pub(crate) fn update(&mut self, input: Input, at: Duration) -> Vec<Effect> {
        self.at = self.at.max(at);
        let input = self.boundary.admit(input, self.node_now());
        let effects = self.take_in(input);
        effects.into_iter().map(|effect| self.boundary.release(effect)).collect()
    }

    fn take_in(&mut self, input: Input) -> Vec<Effect> {
        match input {
            Input::Key(key) => return self.key(&key),
            Input::Mouse(event) => return self.mouse(&event),
            Input::Paste(text) => self.paste(&text),
            Input::Snapshot(snapshot) => {
                self.take_snapshot(snapshot);
                return self.ask_again();
            }
            Input::Event(event) => {
                if let EventKind::TaskFaulted { task, detail } = &event.kind {
                    self.note_fault(format!("{task}: {detail}"));
                }
                self.note(Entry::Event(event));
            }
            Input::EventsLost(n) => {
                self.events_dropped += n;
                self.note(Entry::Lost { at: self.node_now(), events: n });
            }
            Input::Outcome(outcome) => self.take_outcome(outcome),
            Input::OutcomesLost(n) => {
                let now = self.node_now();
                self.commands.lost_track(n, now);
            }
            Input::Sent(command, result) => {
                if let (Command::Why { peer }, Err(error)) = (&command, &result) {
                    self.not_asked(*peer, *error);
                    return Vec::new();
                }
                let now = self.node_now();
                self.commands.sent(command, result, self.at, now);
            }
            Input::NodeGone(how) => {
                let now = self.node_now();
                self.gone_at.get_or_insert(now);
                self.gone = Some(how);
            }
            Input::NodeBack(snapshot) => {
                self.welcome(snapshot);
                return self.ask_again();
            }
            Input::Snapped(snapped) => self.snapped(snapped),
            Input::Lines(lines, _) => self.take_lines(lines),
            Input::Lab(view) => self.take_lab(view),
            Input::LabBusy => self.refuse_lab(),
            Input::Switched(snapshot) => self.switch(snapshot),
            Input::Fault(text) => {
                let now = self.node_now();
                self.note(Entry::Fault { at: now, text: text.clone() });
                self.note_fault(text);
            }
            Input::Tick => {
                let now = self.node_now();
                self.commands.expire(self.at, now);
                self.play_on();
                if self.rows_change_in() == Some(Duration::ZERO) {
                    self.refresh();
                }
                return self.ask_again();
            }
        }
        Vec::new()
    }

    fn note(&mut self, entry: Entry) {
        let passes = entry.passes(&self.stream_filters.events, &self.live);
        self.timeline.push_in_order(entry, passes);
    }

    fn note_fault(&mut self, text: String) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(text);
        }
    }

    fn take_snapshot(&mut self, snapshot: Arc<Snapshot>) {
        // The node's clock runs evenly; what varies is how long a snapshot took
        // to get here. Ages must not jump back and forth with that.
        let expected = self.node_now();
        let off = expected.0.abs_diff(snapshot.at.0);
        let now = if off < 5_000 { expected.max(snapshot.at) } else { snapshot.at };
        self.anchor = (self.at, now);
        self.received = self.at;
        self.live = snapshot;
        match &mut self.moment {
            Some(moment) => moment.missed += 1,
            None => self.refresh(),
        }
    }

    fn take_outcome(&mut self, outcome: Arc<Outcome>) {
        let now = self.node_now();
        self.commands.ended(&outcome, now);
        // A question changes nothing; its answer stands in the why view.
        if let Command::Why { peer } = outcome.command {
            self.answered(peer, &outcome);
            return;
        }
        // A failover has one time, wherever it stands.
        let at = match &outcome.result {
            Ok(Done::FailedOver(over)) => over.at.min(now),
            _ => now,
        };
        self.note(Entry::Outcome { at, outcome });
    }

    fn key(&mut self, event: &KeyEvent) -> Vec<Effect> {
        if event.kind == KeyEventKind::Release {
            return Vec::new();
        }
        let Some(key) = Key::of(event) else { return Vec::new() };
        let scope = self.scope();
        if let Some(binding) = self.keys.lookup(scope, key) {
            if self.means_close(binding.action, key) {
                let now = self.node_now();
                let text = format!("{key} closed what was open; {key} once more leaves");
                self.commands.say(Tone::Info, text, now);
                return Vec::new();
            }
            let before = self.overlays.len();
            let effects = self.perform(binding, &key.to_string());
            if self.overlays.len() < before {
                self.closed_by = Some((key, self.at));
            }
            return effects;
        }
        if let Some(c) = key.typed().filter(|_| scope.is_typing()) {
            self.type_char(c);
        }
        Vec::new()
    }

    /// Whether a key that would quit was pressed once too often to close something: it
    /// has done so a moment ago. It counts once.
    fn means_close(&mut self, action: Action, key: Key) -> bool {
        let lately = self.closed_by.take();
        action == Action::Quit
            && lately.is_some_and(|(by, at)| by == key && self.at.saturating_sub(at) < TWICE_BY_MISTAKE)
    }

    /// What the keys mean now.
    pub(crate) fn scope(&self) -> Scope {
        match self.overlays.last() {
            Some(Overlay::Help { typing: true, .. }) => Scope::Search,
            Some(Overlay::Help { .. }) => Scope::Help,
            Some(Overlay::Palette(_)) => Scope::Palette,
            Some(Overlay::Why { .. }) => Scope::Why,
            Some(Overlay::Lab { .. }) => Scope::Lab,
            Some(Overlay::Nat { .. }) => Scope::Nat,
            Some(Overlay::Drills) => Scope::Drills,
            Some(Overlay::Confirm(question)) if question.name.is_some() => Scope::Name,
            Some(Overlay::Confirm(_)) => Scope::Confirm,
            None if self.prompt.is_some() => Scope::Prompt,
            None => Scope::Main,
        }
    }

    /// The snapshot that is shown: the newest, or that of the moment.
    pub(crate) fn shown(&self) -> &Arc<Snapshot> {
        self.moment.as_ref().map_or(&self.live, |moment| &moment.snapshot)
    }

    /// The newest snapshot, shown or not.
    pub(crate) fn live(&self) -> &Arc<Snapshot> {
        &self.live
    }

    /// The node's time now.
    pub(crate) fn node_now(&self) -> Stamp {
        if let (Some(_), Some(moment)) = (&self.replay, &self.moment) {
            return moment.now;
        }
        if let Some(gone_at) = self.gone_at {
            return gone_at;
        }
        self.anchor.1.after(self.at.saturating_sub(self.anchor.0))
    }

    /// How long no snapshot has come, if that is too long.
    pub(crate) fn stale(&self) -> Option<Duration> {
        let age = self.at.saturating_sub(self.received);
        (self.replay.is_none() && age > STALE_AFTER).then_some(age)
    }

    /// How long until the snapshot becomes stale; `None` if it is already.
    pub(crate) fn stale_in(&self) -> Option<Duration> {
        (self.received + STALE_AFTER + Duration::from_millis(1))
            .checked_sub(self.at)
            .filter(|left| !left.is_zero() && self.replay.is_none())
    }

    /// A peer of the shown snapshot.
    pub(crate) fn peer(&self, id: PeerId) -> Option<&Arc<PeerRow>> {
        self.shown().peer(&id)
    }

    /// The peer that peer actions are about: that of the why view, else the
    /// selected one.
    pub(crate) fn target(&self) -> Option<PeerId> {
        let why = self.overlays.iter().rev().find_map(|o| match o {
            Overlay::Why { peer, .. } => Some(*peer),
            _ => None,
        });
        why.or_else(|| match self.acting() {
            Pane::Escalation => self.attempts.selected_peer(),
            Pane::Relays => self.relays_peer(),
            _ => self.peers.selected(),
        })
    }

    /// The table whose selection peer actions are about: the focused one, if its
    /// selected row is about a peer, else the peers.
    pub(crate) fn acting(&self) -> Pane {
        match self.focus {
            Pane::Escalation if self.attempts.selected_peer().is_some() => Pane::Escalation,
            Pane::Relays if self.relays_peer().is_some() => Pane::Relays,
            _ => Pane::Peers,
        }
    }

    /// Puts the tables in order again, if anything they depend on changed.
    fn refresh(&mut self) {
        let (shown, live) = (self.shown().clone(), self.moment.is_none());
        self.peers.refresh(&shown.peers, shown.at, self.at, live);
        let attempts = shown.attempts.live.iter().chain(&shown.attempts.recent).cloned().collect();
        let looked_at = |pane| self.focus == pane;
        let on = (live, looked_at(Pane::Escalation));
        self.attempts.refresh(attempts, &shown, self.at, on);
        let on = (live, looked_at(Pane::Relays));
        self.reservations.refresh(shown.relays.reservations.clone(), &shown, self.at, on);
        self.served.refresh(shown.relays.served.clone(), &shown, self.at, on);
        self.find_again();
    }

    /// How long until a row that left goes from one of the tables.
    pub(crate) fn rows_change_in(&self) -> Option<Duration> {
        let tables = [
            self.peers.changes_in(self.at),
            self.attempts.changes_in(self.at),
            self.reservations.changes_in(self.at),
            self.served.changes_in(self.at),
        ];
        tables.into_iter().flatten().min()
    }

    /// The system refused to stop us.
    pub(crate) fn refuse_suspend(&mut self) {
        let now = self.node_now();
        self.commands.say(Tone::Warn, "suspend: there is no shell here that would resume us".to_owned(), now);
    }
}

#[cfg(test)]
mod tests;
