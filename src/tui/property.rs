//! Whatever is pressed, pasted, told and resized, in whatever order: the console
//! never panics and never loses what was selected. Runs the real state and the
//! real drawing over all bindings of the table, so that a new one is covered by
//! being there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use proptest::prelude::*;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Rect;

use super::app::App;
use super::bindings::{Key, Keymap};
use super::demo;
use super::fleet::FleetView;
use super::lab::LabView;
use super::logs::LogSource;
use super::message::{Effect, Gone, Input};
use super::pane::Pane;
use super::panes::component::{Component as _, Filterable as _};
use super::theme::{GlyphChoice, Theme};
use super::view;
use crate::model::{
    Command, CommandId, Done, Outcome, Path, PeerId, PeerState, Reason, Snapshot, SyncReport,
};
use crate::node::feed::SendError;

/// One thing that happens to a console.
#[derive(Debug, Clone)]
enum Step {
    /// A key of the table, by its number among all.
    Bound(prop::sample::Index),
    /// Any key at all.
    Key(KeyCode, bool),
    Paste(String),
    /// A click, or the wheel up or down, at a place.
    Mouse(u8, u16, u16),
    Snapshot(Variant),
    NodeBack(Variant),
    Switched(Variant),
    Event(prop::sample::Index),
    EventsLost(u64),
    Outcome(bool),
    OutcomesLost,
    Gone(bool),
    Lab(bool),
    LabBusy,
    /// Of so many nodes; the made-up one of few where there are none.
    Fleet(u8),
    FleetBusy,
    LogAnew,
    Fault(String),
    Wait(u64),
    Resize(u16, u16),
}

/// A snapshot that is made up from one of the demo's.
#[derive(Debug, Clone)]
struct Variant {
    base: u8,
    /// Peers that are not in it, by their place.
    without: BTreeSet<usize>,
    /// How the others are, in turn.
    states: Vec<u8>,
    attempts: usize,
    reservations: usize,
}

fn any_variant() -> impl Strategy<Value = Variant> {
    let without = prop::collection::btree_set(0..12_usize, 0..6);
    (0..4_u8, without, prop::collection::vec(0..7_u8, 0..4), 0..5_usize, 0..3_usize).prop_map(
        |(base, without, states, attempts, reservations)| Variant {
            base,
            without,
            states,
            attempts,
            reservations,
        },
    )
}

impl Variant {
    fn snapshot(&self) -> Arc<Snapshot> {
        let base = match self.base {
            0 => demo::empty(),
            1 => demo::large(40, 0),
            _ => demo::busy(),
        };
        let mut snapshot = Snapshot::clone(&base);
        let kept = snapshot.peers.iter().enumerate().filter(|(at, _)| !self.without.contains(at));
        let mut peers: Vec<_> = kept.map(|(_, row)| row.clone()).collect();
        let all = [
            PeerState::Linked,
            PeerState::Suspect,
            PeerState::Foreign,
            PeerState::Connecting,
            PeerState::Known,
            PeerState::Unreachable,
            PeerState::HeldOff,
        ];
        for (row, state) in peers.iter_mut().zip(self.states.iter().cycle()) {
            let row = Arc::make_mut(row);
            row.state = all[usize::from(*state)];
            row.path = row.state.is_up().then_some(Path::Relayed);
        }
        snapshot.peers = Arc::new(peers);
        Arc::make_mut(&mut snapshot.attempts).recent.truncate(self.attempts);
        Arc::make_mut(&mut snapshot.relays).reservations.truncate(self.reservations);
        Arc::new(snapshot)
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    let code = prop_oneof![
        any::<char>().prop_map(KeyCode::Char),
        (0..=12_u8).prop_map(KeyCode::F),
        Just(KeyCode::Delete),
        Just(KeyCode::Left),
        Just(KeyCode::Right),
        Just(KeyCode::Insert),
    ];
    let size = prop_oneof![
        4 => (38..150_u16, 8..60_u16),
        1 => (1..=500_u16, 1..=200_u16),
        1 => Just((1, 1)),
    ];
    prop_oneof![
        30 => any::<prop::sample::Index>().prop_map(Step::Bound),
        3 => (code, any::<bool>()).prop_map(|(code, ctrl)| Step::Key(code, ctrl)),
        3 => "\\PC{0,20}|[\\x00-\\x1f\\x7f]{1,4}|[a-z]{1,6}[=<>~!]{1,2}[a-z0-9]{0,6}".prop_map(Step::Paste),
        8 => (0..3_u8, 0..150_u16, 0..60_u16).prop_map(|(kind, x, y)| Step::Mouse(kind, x, y)),
        12 => any_variant().prop_map(Step::Snapshot),
        1 => any_variant().prop_map(Step::NodeBack),
        1 => any_variant().prop_map(Step::Switched),
        4 => any::<prop::sample::Index>().prop_map(Step::Event),
        1 => any::<u64>().prop_map(|n| Step::EventsLost(n >> 8)),
        2 => any::<bool>().prop_map(Step::Outcome),
        1 => Just(Step::OutcomesLost),
        1 => any::<bool>().prop_map(Step::Gone),
        2 => any::<bool>().prop_map(Step::Lab),
        1 => Just(Step::LabBusy),
        3 => (0..70_u8).prop_map(Step::Fleet),
        1 => Just(Step::FleetBusy),
        1 => Just(Step::LogAnew),
        1 => "\\PC{0,60}".prop_map(Step::Fault),
        4 => (0..20_000_u64).prop_map(Step::Wait),
        5 => size.prop_map(|(w, h)| Step::Resize(w, h)),
    ]
}

struct Console {
    app: App,
    at: Duration,
    buffer: Buffer,
    /// The last command that was sent.
    sent: Option<Command>,
}

impl Console {
    fn new() -> Self {
        let theme = Theme::resolve(Some(true), GlyphChoice::Unicode, |_| None);
        let app = App::new(demo::busy(), theme, TimeZone::UTC, LogSource::Off);
        let buffer = Buffer::empty(Rect::new(0, 0, 140, 40));
        Self { app, at: Duration::ZERO, buffer, sent: None }
    }

    fn input(&mut self, input: Input) {
        for effect in self.app.update(input, self.at) {
            if let Effect::Send(command) = effect {
                let sent = if self.at.as_millis().is_multiple_of(5) {
                    Err(SendError::Busy)
                } else {
                    Ok(CommandId(7))
                };
                self.sent = Some(command.clone());
                self.app.update(Input::Sent(command, sent), self.at);
            }
        }
    }

    fn press(&mut self, code: KeyCode, ctrl: bool) {
        let modifiers = if ctrl { KeyModifiers::CONTROL } else { KeyModifiers::NONE };
        self.input(Input::Key(KeyEvent::new(code, modifiers)));
    }

    fn step(&mut self, step: &Step) {
        self.at += Duration::from_millis(7);
        match step {
            Step::Bound(at) => {
                let keys: Vec<Key> = Keymap::default().lines().flat_map(|b| b.keys.clone()).collect();
                let event = at.get(&keys).event();
                self.input(Input::Key(event));
            }
            Step::Key(code, ctrl) => self.press(*code, *ctrl),
            Step::Paste(text) => self.input(Input::Paste(text.clone())),
            Step::Mouse(kind, column, row) => {
                let kind = match kind {
                    0 => MouseEventKind::Down(MouseButton::Left),
                    1 => MouseEventKind::ScrollUp,
                    _ => MouseEventKind::ScrollDown,
                };
                let (column, row, modifiers) = (*column, *row, KeyModifiers::NONE);
                self.input(Input::Mouse(MouseEvent { kind, column, row, modifiers }));
            }
            Step::Snapshot(variant) => self.input(Input::Snapshot(variant.snapshot())),
            Step::NodeBack(variant) => self.input(Input::NodeBack(variant.snapshot())),
            Step::Switched(variant) => self.input(Input::Switched(variant.snapshot())),
            Step::Event(at) => self.input(Input::Event(at.get(&demo::events()).clone())),
            Step::EventsLost(n) => self.input(Input::EventsLost(*n)),
            Step::Outcome(well) => {
                let Some(command) = self.sent.take() else { return };
                let result = match &command {
                    Command::Why { .. } if *well => Ok(Done::Explained(Box::new(demo::why()))),
                    _ if *well => Ok(Done::Synced(SyncReport::default())),
                    _ => Err(Reason::UnknownPeer.into()),
                };
                let outcome = Outcome { id: CommandId(7), command, result };
                self.input(Input::Outcome(Arc::new(outcome)));
            }
            Step::OutcomesLost => self.input(Input::OutcomesLost(3)),
            Step::Gone(true) => self.input(Input::NodeGone(Gone::Stopped)),
            Step::Gone(false) => {
                self.input(Input::NodeGone(Gone::Lost { detail: "nobody\u{1b} answers".to_owned() }));
            }
            Step::Lab(drill) => {
                let drill = drill.then(demo::drill);
                self.input(Input::Lab(Arc::new(LabView { drill, ..demo::lab() })));
            }
            Step::LabBusy => self.input(Input::LabBusy),
            Step::Fleet(nodes) => {
                let compared = nodes.is_multiple_of(3).then(|| Arc::new(demo::compared()));
                let view = if nodes % 2 == 0 { demo::fleet() } else { demo::large_fleet(*nodes) };
                self.input(Input::Fleet(Arc::new(FleetView { compared, ..view })));
            }
            Step::FleetBusy => self.input(Input::FleetBusy),
            Step::LogAnew => self.input(Input::LogAnew(Vec::new())),
            Step::Fault(text) => self.input(Input::Fault(text.clone())),
            Step::Wait(ms) => {
                self.at += Duration::from_millis(*ms);
                self.input(Input::Tick);
            }
            Step::Resize(w, h) => self.buffer.resize(Rect::new(0, 0, *w, *h)),
        }
    }

    fn draw(&mut self) {
        // As the loop does before a frame.
        self.input(Input::Tick);
        self.buffer.reset();
        let area = self.buffer.area;
        let picture = view::draw(&self.app, area, &mut self.buffer);
        self.app.on_drawn(picture.layout);
    }

    fn is_marked(&self, peer: PeerId) -> bool {
        let area = self.buffer.area;
        let symbols = |x: u16, y: u16| -> String {
            let cells = (x + 4..x + 10).filter_map(|x| self.buffer.cell((x, y)));
            cells.map(ratatui::buffer::Cell::symbol).collect()
        };
        (0..area.height).any(|y| {
            (0..area.width).any(|x| {
                self.buffer.cell((x, y)).is_some_and(|c| c.symbol() == "▶") && symbols(x, y) == peer.short()
            })
        })
    }

    /// What has to hold after every step. `before`: who was selected, if the step
    /// was none of the operator's.
    fn check(&self, before: Option<PeerId>) -> Result<(), TestCaseError> {
        let peers = &self.app.panes().peers;
        let chosen = peers.selected().or(peers.hidden_selection());
        if let Some(before) = before.filter(|id| self.app.peer(*id).is_some()) {
            prop_assert_eq!(chosen, Some(before), "it is still there");
        }
        match peers.cursor() {
            Some(at) => prop_assert_eq!(peers.row(at).map(|r| r.row.peer_id), peers.selected()),
            // Only what is filtered out (also in the seconds after it left), or not
            // there at another moment.
            None => prop_assert!(
                peers.len() == 0
                    || self.app.moment().is_some()
                    || !peers.filter().is_empty()
                        && chosen.is_some_and(|id| {
                            self.app.peer(id).is_some() || peers.changes_in(self.at).is_some()
                        }),
                "{:?} of {}",
                chosen,
                peers.len()
            ),
        }
        let drawn = self.buffer.area.width >= view::MIN_WIDTH && self.buffer.area.height >= view::MIN_HEIGHT;
        if let Some(id) = peers.selected()
            && drawn
            && self.app.layout().pane(Pane::Peers).is_some()
            && self.app.overlays().is_empty()
        {
            prop_assert!(self.is_marked(id), "{} is not in view", id.short());
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_console_does_not_panic_and_does_not_lose_the_selection(
        steps in prop::collection::vec(any_step(), 1..80),
    ) {
        let mut console = Console::new();
        console.draw();
        for step in &steps {
            let peers = &console.app.panes().peers;
            let before = peers.selected().or(peers.hidden_selection());
            let by_operator = matches!(step, Step::Bound(_) | Step::Key(..) | Step::Paste(_) | Step::Mouse(..));
            console.step(step);
            console.draw();
            console.check(before.filter(|_| !by_operator))?;
        }
    }
}
