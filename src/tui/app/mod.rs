//! The console's state: the parts that own it, and the way of what comes in through them.
//! Input and the time of it in, effects out. It never touches a terminal, a clock or the
//! node, so all of it is tested as plain values.

mod actions;
mod ask;
mod clipboard;
mod filter_line;
mod fleet;
mod lab;
mod mask;
mod moment;
mod mouse;
mod node;
mod possible;
mod snap;
mod title;
mod typing;

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use self::filter_line::FilterLine;
use self::node::Node;
use super::bindings::{Key, Keymap, Scope};
use super::commands::{Commands, Tone};
use super::draw::{self, Layout};
use super::entry::Entry;
use super::history::{History, Moment};
use super::lists::Shown;
use super::logs::LogSource;
use super::message::{Effect, Gone, Input};
use super::overlays::lab::LabPanel;
use super::overlays::{Overlay, Overlays, Panels, WhyView};
use super::pane::Pane;
use super::panes::Panes;
use super::theme::Theme;
use crate::model::{Command, Done, EventKind, Outcome, PeerId, PeerRow, Snapshot, Stamp};

pub(crate) use self::filter_line::Prompt;

/// Faulted tasks that are kept; the first are the telling ones.
const FAULTS_MAX: usize = 16;

/// The console's whole state.
#[derive(Debug)]
pub(crate) struct App {
    /// The node as it was last told.
    node: Node,
    /// What is remembered of it, and the moment that is looked at.
    history: History,
    /// The panes.
    panes: Panes,
    /// What lies over them.
    overlays: Overlays,
    /// The filter line, while it is typed, and what was typed before.
    filter_line: FilterLine,
    /// Commands under way and what came of the last.
    commands: Commands,
    /// What of them is there whether it is open or not: the lab, the fleet.
    panels: Panels,
    /// Threads that panicked.
    faults: Vec<String>,
    /// Events that never reached us.
    events_dropped: u64,
    /// When a key that may also quit last closed something.
    closed_by: Option<(Key, Duration)>,
    /// How the last frame lay on the screen.
    layout: Layout,
    /// What the operator set.
    pub(crate) settings: Settings,
}

/// What the operator set: nothing that happens changes it.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The keys in force.
    pub(crate) keys: Keymap,
    /// Colours and glyphs.
    pub(crate) theme: Theme,
    /// The zone for times of day.
    pub(crate) zone: TimeZone,
    /// Whether the console may only look.
    pub(crate) read_only: bool,
}

impl App {
    /// A console on a node whose state is `snapshot`.
    pub(crate) fn new(snapshot: Arc<Snapshot>, theme: Theme, zone: TimeZone, logs: LogSource) -> Self {
        let mut app = Self {
            history: History::new(Arc::clone(&snapshot)),
            panes: Panes::new(snapshot.at, logs),
            node: Node::new(snapshot, Duration::ZERO),
            overlays: Overlays::default(),
            filter_line: FilterLine::default(),
            commands: Commands::default(),
            panels: Panels::default(),
            faults: Vec::new(),
            events_dropped: 0,
            closed_by: None,
            layout: Layout::default(),
            settings: Settings { keys: Keymap::default(), theme, zone, read_only: false },
        };
        app.refresh();
        app
    }

    /// Takes in what happened `at` that long after the console started, and
    /// returns what is to be done. The screen may have changed after any input.
    pub(crate) fn update(&mut self, input: Input, at: Duration) -> Vec<Effect> {
        self.node.at = self.node.at.max(at);
        let now = self.node_now();
        if matches!(input, Input::Switched(_)) {
            self.history
                .boundary_mut()
                .note_selected(self.panes.peers.selected().or(self.panes.peers.hidden_selection()));
        }
        let input = self.history.boundary_mut().admit(input, now);
        let effects = self.take_in(input);
        effects.into_iter().map(|effect| self.history.boundary().release(effect)).collect()
    }

    /// Takes in how the last frame lay on the screen.
    pub(crate) fn on_drawn(&mut self, layout: Layout) {
        self.panes.on_drawn(&layout.panes);
        self.overlays.on_drawn(&layout.overlays, &mut self.panels);
        self.layout = layout;
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
            Input::OutcomesLost(n) => self.commands.lost_track(n, self.node_now()),
            Input::Sent(Command::Why { peer }, Err(error)) => self.overlays.on_refused(peer, error),
            Input::Sent(command, result) => {
                self.commands.sent(command, result, self.node.at, self.node_now());
            }
            Input::NodeGone(how) => self.node.on_gone(how),
            Input::NodeBack(snapshot) => {
                self.node.on_back(&snapshot);
                self.take_snapshot(snapshot);
                return self.ask_again();
            }
            Input::Snapped(snapped) => self.snapped(snapped),
            Input::Lines(lines, _) => self.panes.logs.take(lines),
            Input::Lab(view) => self.take_lab(view),
            Input::Fleet(view) => self.take_fleet(view),
            Input::FleetBusy => self.say(Tone::Warn, "the fleet is busy, nothing was asked".to_owned()),
            Input::LogAnew(lines) => {
                self.panes.logs.clear();
                self.panes.logs.take(lines);
            }
            Input::LabBusy => self.say(Tone::Warn, "the lab is busy, nothing was done".to_owned()),
            Input::Switched(snapshot) => self.switch(snapshot),
            Input::Fault(text) => {
                self.note(Entry::Fault { at: self.node_now(), text: text.clone() });
                self.note_fault(text);
            }
            Input::SuspendRefused => {
                self.say(Tone::Warn, "suspend: there is no shell here that would resume us".to_owned());
            }
            Input::Tick => {
                self.commands.expire(self.node.at, self.node_now());
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
        self.panes.events.note(entry, &self.node.live);
    }

    fn note_fault(&mut self, text: String) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(text);
        }
    }

    /// Says something to the operator.
    fn say(&mut self, tone: Tone, text: String) {
        self.commands.say(tone, text, self.node_now());
    }

    fn take_snapshot(&mut self, snapshot: Arc<Snapshot>) {
        self.node.on_snapshot(snapshot);
        if self.history.on_snapshot() {
            self.refresh();
        }
    }

    fn take_outcome(&mut self, outcome: Arc<Outcome>) {
        let now = self.node_now();
        self.commands.ended(&outcome, now);
        // A question changes nothing; its answer stands in the why view.
        if let Command::Why { peer } = outcome.command {
            self.overlays.on_outcome(peer, &outcome);
            return;
        }
        // A failover has one time, wherever it stands.
        let at = match &outcome.result {
            Ok(Done::FailedOver(over)) => over.at.min(now),
            _ => now,
        };
        self.note(Entry::Outcome { at, outcome });
    }

    /// Opens the view on a peer and asks the node about it.
    fn open_why(&mut self, peer: PeerId) -> Vec<Effect> {
        self.overlays.push(Overlay::Why(WhyView::of(peer)));
        self.overlays.forget_answers();
        // What the node would answer is about now.
        if self.of_this_moment().is_err() { Vec::new() } else { self.ask_why(peer) }
    }

    /// Asks again about the peer of the view, if how it stands has changed and the last
    /// question is old enough.
    fn ask_again(&mut self) -> Vec<Effect> {
        let peer = self.overlays.outdated(&self.node.live, self.node.at);
        match peer.filter(|_| self.of_this_moment().is_ok()) {
            Some(peer) => self.ask_why(peer),
            None => Vec::new(),
        }
    }

    fn ask_why(&mut self, peer: PeerId) -> Vec<Effect> {
        let gone = self.node.gone.as_ref().map(|gone| gone.reason().to_owned());
        let is_gone = gone.is_some();
        self.overlays.ask(peer, &self.node.live, self.node.at, gone);
        // Somebody may have opened the view, closed it and opened it again.
        if is_gone || self.commands.is_running(&Command::Why { peer }) {
            return Vec::new();
        }
        vec![Effect::Send(Command::Why { peer })]
    }

    /// What the keys mean now: the scopes that hold, the innermost first.
    pub(crate) fn scopes(&self) -> Vec<Scope> {
        match self.overlays.top() {
            Some(overlay) => return vec![overlay.scope()],
            None if self.filter_line.prompt().is_some() => return vec![Scope::Prompt],
            None => {}
        }
        let pane = match self.panes.focus() {
            Pane::Events => Some(Scope::Events),
            Pane::Kpi => Some(Scope::Kpi),
            Pane::Relays if self.panes.relays.is_in_served() => Some(Scope::Served),
            _ => None,
        };
        let replay = self.history.replayed().map(|_| Scope::Replay);
        pane.into_iter().chain(replay).chain([Scope::Main]).collect()
    }

    /// The place that these keys belong to: what lies on top, or the panes.
    pub(crate) fn scope(&self) -> Scope {
        self.scopes().last().copied().unwrap_or(Scope::Main)
    }

    /// The panes.
    pub(crate) fn panes(&self) -> &Panes {
        &self.panes
    }

    /// What lies over them.
    pub(crate) fn overlays(&self) -> &Overlays {
        &self.overlays
    }

    /// The filter line, while it is typed.
    pub(crate) fn prompt(&self) -> Option<&Prompt> {
        self.filter_line.prompt()
    }

    /// Commands under way and what came of the last.
    pub(crate) fn commands(&self) -> &Commands {
        &self.commands
    }

    /// The lab that the node is in, if it is in one of ours.
    pub(crate) fn lab(&self) -> Option<&LabPanel> {
        self.panels.lab.as_ref()
    }

    /// The lab and the fleet.
    pub(crate) fn panels(&self) -> &Panels {
        &self.panels
    }

    /// Threads that panicked.
    pub(crate) fn faults(&self) -> &[String] {
        &self.faults
    }

    /// Events that never reached us.
    pub(crate) fn events_dropped(&self) -> u64 {
        self.events_dropped
    }

    /// How the last frame lay on the screen.
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What is remembered, and the moment that is looked at.
    pub(crate) fn history(&self) -> &History {
        &self.history
    }

    /// The moment that is looked at, if it is not now.
    pub(crate) fn moment(&self) -> Option<&Moment> {
        self.history.moment()
    }

    /// The snapshot that is shown: the newest, or that of the moment.
    pub(crate) fn shown(&self) -> &Arc<Snapshot> {
        self.history.snapshot().unwrap_or(&self.node.live)
    }

    /// The newest snapshot, shown or not.
    pub(crate) fn live(&self) -> &Arc<Snapshot> {
        &self.node.live
    }

    /// How the node is gone, if it is.
    pub(crate) fn gone(&self) -> Option<&Gone> {
        self.node.gone.as_ref()
    }

    /// The console's time.
    pub(crate) fn at(&self) -> Duration {
        self.node.at
    }

    /// The node's time now.
    pub(crate) fn node_now(&self) -> Stamp {
        match (self.history.replayed(), self.moment()) {
            (Some(_), Some(moment)) => moment.now,
            _ => self.node.now(),
        }
    }

    /// How long no snapshot has come, if that is too long.
    pub(crate) fn stale(&self) -> Option<Duration> {
        self.node.stale().filter(|_| self.history.replayed().is_none())
    }

    /// How long until the snapshot becomes stale; `None` if it is already.
    pub(crate) fn stale_in(&self) -> Option<Duration> {
        self.node.stale_in().filter(|_| self.history.replayed().is_none())
    }

    /// A peer of the shown snapshot.
    pub(crate) fn peer(&self, id: PeerId) -> Option<&Arc<PeerRow>> {
        self.shown().peer(&id)
    }

    /// A peer as a person calls it.
    fn call(&self, id: PeerId) -> String {
        draw::call(self.shown(), id)
    }

    /// The peer that peer actions are about: that of the why view, else the
    /// selected one.
    pub(crate) fn target(&self) -> Option<PeerId> {
        self.overlays.peer().or_else(|| self.panes.target())
    }

    /// Hands the moment that is shown to all that depends on it.
    fn refresh(&mut self) {
        let snapshot = Arc::clone(self.shown());
        let live = self.moment().is_none();
        self.panes.on_snapshot(&Shown { snapshot: &snapshot, at: self.node.at, live });
        if let Some(Overlay::Palette(palette)) = self.overlays.top_mut() {
            palette.on_snapshot(&self.settings.keys, &snapshot.peers);
        }
    }

    /// How long until a row that left goes from one of the tables.
    pub(crate) fn rows_change_in(&self) -> Option<Duration> {
        self.panes.changes_in(self.node.at)
    }
}

#[cfg(test)]
mod tests;
