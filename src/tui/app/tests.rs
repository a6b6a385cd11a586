//! The reducer, driven as the loop drives it.

use std::time::Duration;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::*;
use crate::model::{Attempt, CommandId, Event, LogLine, PeerState, Reason, SyncReport};
use crate::node::feed::SendError;
use crate::tui::bindings::{Action, NodeCommand};
use crate::tui::demo;
use crate::tui::draw::Drawn;
use crate::tui::entry::Timeline;
use crate::tui::lab::{LabCommand, LabSaid, LabView};
use crate::tui::lists::Stamped as _;
use crate::tui::overlays::Palette;
use crate::tui::panes::Filtered;
use crate::tui::panes::component::Filterable as _;
use crate::tui::theme::GlyphChoice;

mod fleet;
mod mouse;
mod palette;
mod tables;
mod told;

const NYC: [u8; 3] = [0x1b, 0x88, 0xf0];

struct Bench {
    app: App,
    at: Duration,
}

impl Bench {
    fn new(snapshot: Arc<Snapshot>) -> Self {
        let theme = Theme::resolve(Some(false), GlyphChoice::Unicode, |_| None);
        Self { app: App::new(snapshot, theme, TimeZone::UTC, LogSource::Off), at: Duration::ZERO }
    }

    fn send(&mut self, input: Input) -> Vec<Effect> {
        self.at += Duration::from_millis(10);
        self.app.update(input, self.at)
    }

    fn press(&mut self, code: KeyCode) -> Vec<Effect> {
        self.send(Input::Key(KeyEvent::new(code, KeyModifiers::NONE)))
    }

    /// Types a text, and answers what is sent as the node would.
    fn keys(&mut self, text: &str) -> Vec<Effect> {
        text.chars().flat_map(|c| self.press(KeyCode::Char(c))).collect()
    }

    fn select(&mut self, head: [u8; 3]) {
        self.keys("g");
        for _ in 0..100 {
            if self.app.panes.peers.selected() == Some(demo::id(head)) {
                return;
            }
            self.keys("j");
        }
        panic!("no such peer");
    }

    fn message(&self) -> &str {
        self.app.commands.message().map_or("", |m| &m.text)
    }

    fn names(&self) -> Vec<String> {
        (0..self.app.panes.peers.len())
            .filter_map(|at| self.app.panes.peers.row(at)?.row.name.clone())
            .collect()
    }
}

/// A screen on which the events have ten rows.
fn page_of_ten() -> Layout {
    Layout { panes: vec![(Pane::Events, Drawn { rows: 10, top: 0, below: 0 })], ..Layout::default() }
}

fn busy() -> Bench {
    Bench::new(demo::busy())
}

/// The busy snapshot with its peers changed.
fn with_peers(change: impl FnOnce(&mut Vec<Arc<PeerRow>>)) -> Arc<Snapshot> {
    let mut snapshot = Snapshot::clone(&demo::busy());
    let mut peers = Vec::clone(&snapshot.peers);
    change(&mut peers);
    snapshot.peers = Arc::new(peers);
    snapshot.seq += 1;
    Arc::new(snapshot)
}

#[test]
fn the_selection_follows_the_peer_when_rows_move_or_come_and_go() {
    let mut b = busy();
    b.select(NYC);
    let before = b.app.panes.peers.cursor();
    // The row above leaves, another one comes in front.
    b.send(Input::Snapshot(with_peers(|peers| {
        peers.retain(|p| p.name.as_deref() != Some("lab-3"));
        let mut row = PeerRow::clone(&peers[0]);
        row.peer_id = demo::id([0, 0, 1]);
        row.state = PeerState::Suspect;
        peers.insert(0, Arc::new(row.clone()));
        row.peer_id = demo::id([0, 0, 2]);
        peers.insert(1, Arc::new(row));
    })));
    assert_eq!(b.app.panes.peers.selected(), Some(demo::id(NYC)));
    assert_ne!(b.app.panes.peers.cursor(), before);
    b.keys("oooO");
    assert_eq!(b.app.panes.peers.selected(), Some(demo::id(NYC)));
}

#[test]
fn a_filter_that_hides_the_selected_peer_selects_the_first_it_finds_and_gives_it_back() {
    let mut b = busy();
    b.select(NYC);
    b.keys("/home");
    b.press(KeyCode::Enter);
    assert_eq!(b.names(), ["home-ber"]);
    assert_eq!(b.app.panes.peers.selected(), Some(demo::id([0x77, 0xc2, 0xab])));
    b.press(KeyCode::Esc);
    assert_eq!(b.app.panes.peers.selected(), Some(demo::id(NYC)), "it is selected again");

    b.keys("/home");
    b.press(KeyCode::Enter);
    b.keys("j");
    b.press(KeyCode::Esc);
    assert_eq!(b.app.panes.peers.selected(), Some(demo::id([0x77, 0xc2, 0xab])), "unless another was chosen");
}

#[test]
fn a_peer_that_no_longer_passes_the_filter_leaves_nothing_selected() {
    let mut b = busy();
    b.select(NYC);
    b.keys("/linked");
    b.press(KeyCode::Enter);
    b.send(Input::Snapshot(with_peers(|peers| {
        for row in peers.iter_mut().filter(|p| p.peer_id == demo::id(NYC)) {
            Arc::make_mut(row).state = PeerState::Unreachable;
        }
    })));
    assert_eq!(b.app.panes.peers.selected(), None);
    assert!(b.keys("x").is_empty() && b.app.overlays.is_empty());
}

#[test]
fn escape_in_the_filter_line_brings_the_filter_before_back() {
    let mut b = busy();
    b.keys("/lab");
    b.press(KeyCode::Enter);
    b.keys("/-3");
    assert_eq!(b.names(), ["lab-3"]);
    b.press(KeyCode::Esc);
    assert_eq!(b.names(), ["lab-3", "lab-4", "lab-7"]);
    b.press(KeyCode::Esc);
    assert_eq!(b.names().len(), 8, "a second escape clears it");
}

#[test]
fn the_filter_line_takes_keys_that_are_commands_elsewhere() {
    let mut b = busy();
    assert!(b.keys("/qsx ?").is_empty());
    assert_eq!(b.app.prompt().map(|p| p.line().text()), Some("qsx ?"));
    b.press(KeyCode::Backspace);
    assert_eq!(b.app.prompt().map(|p| p.line().text()), Some("qsx "));
}

#[test]
fn a_paste_is_text_in_the_filter_line_and_nothing_anywhere_else() {
    let mut b = busy();
    assert!(b.send(Input::Paste("xyq".to_owned())).is_empty());
    assert!(b.app.overlays.is_empty());
    b.keys("/");
    b.send(Input::Paste("lab\u{1b}[31m-3\n".to_owned()));
    assert_eq!(b.app.prompt().map(|p| p.line().text()), Some("lab[31m-3"));
}

#[test]
fn pressing_sync_all_again_while_it_runs_queues_nothing_and_says_so() {
    let mut b = busy();
    let all = Command::Sync { peer: None };
    assert_eq!(b.keys("S"), [Effect::Send(all.clone())]);
    b.send(Input::Sent(all.clone(), Ok(CommandId(7))));
    assert!(b.keys("SSS").is_empty());
    assert_eq!(b.message(), "sync all is running already, nothing was queued");

    let report = SyncReport { peers_synced: 3, peers_asked: 3, ..SyncReport::default() };
    let outcome = Outcome { id: CommandId(7), command: all.clone(), result: Ok(Done::Synced(report)) };
    b.send(Input::Outcome(Arc::new(outcome)));
    assert!(b.message().starts_with("sync: 3 of 3 peers"), "{}", b.message());
    assert!(b.app.commands.running().is_empty());
    assert_eq!(b.keys("S"), [Effect::Send(all)]);
}

#[test]
fn the_outcome_of_somebody_elses_command_is_an_event_and_not_our_message() {
    let mut b = busy();
    let command = Command::NatProbe;
    let outcome = Outcome { id: CommandId(7), command, result: Err(Reason::NoVantagePoints.into()) };
    b.send(Input::Outcome(Arc::new(outcome)));
    assert_eq!(b.message(), "");
    assert!(matches!(b.app.panes.events.log().window(1).next(), Some(Entry::Outcome { .. })));
}

#[test]
fn a_full_queue_and_a_lost_outcome_are_said_and_block_nothing() {
    let mut b = busy();
    let all = Command::Sync { peer: None };
    b.send(Input::Sent(all.clone(), Err(SendError::Busy)));
    assert_eq!(b.message(), "sync all: the command queue is full, nothing was done");

    b.send(Input::Sent(all.clone(), Ok(CommandId(1))));
    b.at += Duration::from_secs(121);
    b.send(Input::Tick);
    assert_eq!(b.message(), "sync all: no outcome after 120 s");

    b.send(Input::Sent(all.clone(), Ok(CommandId(2))));
    b.send(Input::OutcomesLost(9));
    assert_eq!(b.keys("S"), [Effect::Send(all)]);
}

#[test]
fn disconnect_asks_first_and_only_a_yes_does_it() {
    let mut b = busy();
    b.select(NYC);
    assert!(b.keys("x").is_empty());
    assert!(matches!(b.app.overlays.top(), Some(Overlay::Confirm(_))));
    assert!(b.press(KeyCode::Enter).is_empty(), "enter is no answer");
    assert!(b.keys("n").is_empty());
    assert!(b.app.overlays.is_empty());
    assert_eq!(b.keys("xy"), [Effect::Send(Command::Disconnect { peer: demo::id(NYC) })]);
}

#[test]
fn whom_we_serve_is_ended_after_a_question_and_its_link_is_left_alone() {
    let mut b = busy();
    let served = demo::id([0x77, 0xc2, 0xab]);
    // Past both reservations.
    b.keys("3jj");
    assert_eq!(b.app.target(), Some(served));
    assert!(b.keys("x").is_empty());
    let Some(Overlay::Confirm(question)) = b.app.overlays.top() else { panic!() };
    assert!(
        question.text().starts_with("End the reservation of 77c2ab home-ber here?"),
        "{}",
        question.text()
    );
    assert!(b.keys("n").is_empty());
    assert_eq!(b.keys("xy"), [Effect::Send(Command::EndServed { peer: served })]);
    // One above is a relay of ours: there the key means its link.
    b.keys("k");
    assert_eq!(b.keys("xy"), [Effect::Send(Command::Disconnect { peer: demo::id([0x5e, 0x01, 0xc9]) })]);
}

#[test]
fn whom_we_serve_no_more_is_not_disconnected_in_its_place() {
    let mut b = busy();
    b.keys("3jj");
    let mut snapshot = Snapshot::clone(&demo::busy());
    Arc::make_mut(&mut snapshot.relays).served.remove(0);
    b.send(Input::Snapshot(Arc::new(snapshot)));
    assert_eq!(b.app.target(), Some(demo::id([0x77, 0xc2, 0xab])), "it is shown for a moment");
    assert!(b.keys("x").is_empty());
    assert!(b.app.overlays.is_empty(), "nothing was asked");
    assert!(b.message().ends_with("77c2ab is not served any more"), "{}", b.message());
}

#[test]
fn the_cursor_of_the_relays_goes_through_both_tables_and_back() {
    let mut b = busy();
    let at = |b: &Bench| (b.app.panes.relays.cursor(), b.app.panes.relays.is_in_served());
    b.keys("3");
    assert_eq!(at(&b), (Some(0), false));
    b.keys("jj");
    assert_eq!(at(&b), (Some(2), true));
    b.keys("G");
    assert_eq!(at(&b), (Some(3), true));
    b.keys("g");
    assert_eq!(at(&b), (Some(0), false));
    b.keys("jjo");
    assert_eq!(b.app.panes.relays.served().sort(), ("peer", false), "the table with the cursor is sorted");
    assert_eq!(b.app.panes.relays.held().sort(), ("role", false));
}

#[test]
fn the_question_keeps_its_peer_while_the_rows_move() {
    let mut b = busy();
    b.select(NYC);
    b.keys("x");
    b.send(Input::Snapshot(with_peers(|p| p.retain(|p| p.peer_id != demo::id(NYC)))));
    assert_eq!(b.keys("y"), [Effect::Send(Command::Disconnect { peer: demo::id(NYC) })]);
}

#[test]
fn what_cannot_work_is_not_sent_and_the_reason_is_said() {
    let mut b = busy();
    b.select([0xc0, 0xff, 0xee]);
    for (key, said) in [("s", "s: no link to it"), ("x", "x: no link to it")] {
        assert!(b.keys(key).is_empty());
        assert_eq!(b.message(), said);
    }
    b.select([0x3d, 0x07, 0x77]);
    assert!(b.keys("s").is_empty());
    assert_eq!(b.message(), "s: speaks no punchdeck");

    let mut alone = Bench::new(demo::empty());
    for (key, said) in [("S", "S: no links"), ("f", "f: no relay is in use"), ("c", "c: no peer is selected")]
    {
        assert!(alone.keys(key).is_empty());
        assert_eq!(alone.message(), said);
    }
    b.send(Input::NodeGone(Gone::Stopped));
    assert!(b.keys("S").is_empty());
    assert_eq!(b.message(), "S: the node has stopped");
}

#[test]
fn peer_actions_do_nothing_while_the_peers_are_not_on_the_screen() {
    let mut b = busy();
    b.app.on_drawn(Layout { panes: vec![(Pane::Nat, Drawn::default())], ..Layout::default() });
    assert!(b.keys("c").is_empty());
    assert_eq!(b.message(), "c: the peers are not on the screen (1 shows them)");
}

#[test]
fn each_command_key_sends_its_command() {
    let peer = demo::id(NYC);
    let expected = [
        ("s", Command::Sync { peer: Some(peer) }),
        ("c", Command::Connect { peer }),
        ("p", Command::Punch { peer }),
        ("r", Command::Relay { peer }),
        ("n", Command::NatProbe),
        ("f", Command::Failover { peer: None }),
    ];
    for (key, command) in expected {
        let mut b = busy();
        b.select(NYC);
        assert_eq!(b.keys(key), [Effect::Send(command)]);
    }
}

#[test]
fn the_why_view_acts_on_its_own_peer() {
    let mut b = busy();
    b.select(NYC);
    b.press(KeyCode::Enter);
    assert_eq!(b.app.scope(), Scope::Why);
    for (key, command) in [
        ("p", Command::Punch { peer: demo::id(NYC) }),
        ("r", Command::Relay { peer: demo::id(NYC) }),
        ("f", Command::Failover { peer: None }),
        ("n", Command::NatProbe),
    ] {
        assert_eq!(b.keys(key), [Effect::Send(command)]);
    }
    b.send(Input::Snapshot(demo::busy()));
    assert_eq!(b.keys("c"), [Effect::Send(Command::Connect { peer: demo::id(NYC) })]);
    assert_eq!(b.keys("y"), [Effect::Copy(demo::id(NYC).to_string())]);
    b.keys("?");
    assert_eq!(b.app.scope(), Scope::Help);
    b.press(KeyCode::Esc);
    b.press(KeyCode::Esc);
    assert_eq!(b.app.scope(), Scope::Main);
}

#[test]
fn freezing_holds_the_panes_and_counts_what_is_missed() {
    let mut b = busy();
    let shown = b.app.shown().clone();
    b.keys(" ");
    for event in demo::events() {
        b.send(Input::Event(event));
    }
    b.send(Input::Snapshot(demo::empty()));
    assert!(Arc::ptr_eq(b.app.shown(), &shown));
    let frozen = b.app.moment().expect("held");
    assert_eq!((frozen.missed, frozen.past), (1, false));
    assert_eq!(b.app.panes.events.log().unseen(), demo::events().len() as u64);
    assert_eq!(b.app.panes.events.log().window(9).count(), 0);

    b.keys(" ");
    assert!(b.app.shown().peers.is_empty());
    assert_eq!(b.app.panes.events.log().window(9).count(), demo::events().len().min(9));
}

/// Three states a few seconds apart: a link is lost, and comes back.
fn lost_and_found() -> Bench {
    let mut b = busy();
    for (seconds, state, seq) in [(2, PeerState::Suspect, 1), (4, PeerState::Linked, 2)] {
        b.at = Duration::from_secs(seconds);
        let at = demo::NOW.after(b.at);
        let kind = EventKind::LinkSuspect { missed: seq as u32 };
        b.send(Input::Event(Arc::new(Event { seq, at, peer_id: Some(demo::id(NYC)), kind })));
        let mut snapshot = Snapshot::clone(&with_peers(|peers| {
            for row in peers.iter_mut().filter(|p| p.peer_id == demo::id(NYC)) {
                Arc::make_mut(row).state = state;
            }
        }));
        snapshot.at = at.after(Duration::from_millis(50));
        b.send(Input::Snapshot(Arc::new(snapshot)));
    }
    b
}

/// All peers leave, a second later.
fn all_leave(b: &mut Bench) {
    b.at += Duration::from_secs(1);
    let mut snapshot = Snapshot::clone(&with_peers(Vec::clear));
    snapshot.at = demo::NOW.after(b.at);
    b.send(Input::Snapshot(Arc::new(snapshot)));
}

fn state_shown(b: &Bench) -> PeerState {
    b.app.peer(demo::id(NYC)).expect("it is known").state
}

#[test]
fn one_steps_back_through_what_changed_and_forward_to_now_with_the_same_peer_selected() {
    let mut b = lost_and_found();
    b.select(NYC);
    b.keys("[");
    assert!(b.app.moment().is_some_and(|m| m.past));
    assert_eq!((state_shown(&b), b.app.panes.events.log().passing()), (PeerState::Suspect, 1));
    b.keys("[");
    assert_eq!((state_shown(&b), b.app.panes.events.log().passing()), (PeerState::Linked, 0));
    b.keys("[");
    assert_eq!(b.message(), "[: nothing older is kept than 14:02:11");
    assert_eq!(b.app.panes.peers.selected(), Some(demo::id(NYC)));

    // What comes meanwhile does not move it.
    all_leave(&mut b);
    assert_eq!(b.app.panes.peers.selected(), Some(demo::id(NYC)));
    b.keys("]]]]");
    assert!(b.app.moment().is_none() && b.app.shown().peers.is_empty(), "it is now again");
    b.keys("]");
    assert_eq!(b.message(), "]: this is now");
}

#[test]
fn a_minute_is_leapt_and_the_ends_are_the_first_moment_and_now() {
    let mut b = lost_and_found();
    b.keys("{");
    assert_eq!(b.app.moment().map(|m| m.now), Some(demo::NOW));
    b.keys("}");
    assert!(b.app.moment().is_none());
}

#[test]
fn nothing_is_asked_of_the_node_from_a_moment_that_is_over() {
    let mut b = lost_and_found();
    b.select(NYC);
    b.keys("[");
    for key in ["s", "S", "c", "p", "r", "f", "x", "n"] {
        assert!(b.keys(key).is_empty() && b.app.overlays.is_empty(), "{key}");
        assert_eq!(b.message(), format!("{key}: you are looking at 14:02:13; esc comes back"));
    }
    let asked = b.press(KeyCode::Enter);
    assert!(asked.is_empty(), "the why view shows what is known, and asks nobody: {asked:?}");
    assert!(matches!(b.app.overlays.top(), Some(Overlay::Why(_))));
    b.press(KeyCode::Esc);
    b.press(KeyCode::Esc);
    assert!(b.app.moment().is_none(), "escape comes back");
    assert_eq!(b.keys("c"), [Effect::Send(Command::Connect { peer: demo::id(NYC) })]);
}

#[test]
fn enter_on_an_event_goes_to_the_first_moment_that_shows_it() {
    let mut b = lost_and_found();
    b.app.on_drawn(page_of_ten());
    b.keys("7k");
    b.press(KeyCode::Enter);
    assert_eq!(state_shown(&b), PeerState::Suspect);
    assert_eq!(b.app.panes.events.log().passing(), 1);
    b.press(KeyCode::Esc);
    b.send(Input::Event(demo::events()[0].clone()));
    b.press(KeyCode::Enter);
    assert_eq!(b.message(), "enter: nothing older is kept than 14:02:11");
}

#[test]
fn the_screen_can_be_held_in_the_past_only_by_looking_there_and_space_goes_on() {
    let mut b = lost_and_found();
    b.keys("[ ");
    assert!(b.app.moment().is_none());
    b.keys(" ");
    assert!(b.app.moment().is_some_and(|m| !m.past));
    assert_eq!(b.keys("S"), [Effect::Send(Command::Sync { peer: None })], "what is held is hardly old");
    b.keys("[");
    assert!(b.app.moment().is_some_and(|m| m.past));
}

#[test]
fn the_filter_of_the_events_shows_some_of_them_and_enter_goes_to_one() {
    let mut b = lost_and_found();
    b.app.on_drawn(page_of_ten());
    for event in demo::events() {
        b.send(Input::Event(event));
    }
    b.keys("7/kind=link.susp peer=vps-nyc");
    assert_eq!(b.app.panes.filtered(Filtered::Events).passing(), (2, demo::events().len() + 2));
    b.press(KeyCode::Enter);
    b.keys("g");
    b.press(KeyCode::Enter);
    assert_eq!(state_shown(&b), PeerState::Suspect, "the first that passes is that of vps-nyc");
    b.press(KeyCode::Esc);
    b.send(Input::Event(demo::events()[0].clone()));
    assert_eq!(b.app.panes.filtered(Filtered::Events).passing().0, 2, "what comes is filtered, too");
    b.press(KeyCode::Esc);
    assert_eq!(
        b.app.panes.filtered(Filtered::Events).passing(),
        (demo::events().len() + 3, demo::events().len() + 3)
    );
    assert_eq!(b.app.panes.peers.filter(), "", "the peers were never filtered");
}

#[test]
fn the_filter_of_the_log_looks_for_words_and_the_past_has_no_later_lines() {
    let mut b = lost_and_found();
    let line = |seconds, text: &str| LogLine {
        at: demo::NOW.after(Duration::from_secs(seconds)),
        level: crate::model::LogLevel::Info,
        target: "driver".to_owned(),
        text: text.to_owned(),
    };
    b.send(Input::Lines(vec![line(1, "saved the cache"), line(3, "lost a link"), line(5, "saved again")], 4));
    assert_eq!(
        b.app.panes.filtered(Filtered::Lines).passing(),
        (4, 4),
        "and one about those that are missing"
    );
    b.keys("8/saved");
    assert_eq!(b.app.panes.filtered(Filtered::Lines).passing(), (2, 4));
    b.press(KeyCode::Enter);
    b.keys("[[");
    assert_eq!(b.app.panes.filtered(Filtered::Lines).passing(), (0, 0), "it was before all of them");
    b.keys("]");
    assert_eq!(b.app.panes.filtered(Filtered::Lines).passing(), (1, 1));
}

#[test]
fn dropped_events_are_counted_and_leave_a_mark_in_the_timeline() {
    let mut b = busy();
    b.send(Input::EventsLost(3));
    b.send(Input::EventsLost(4));
    assert_eq!(b.app.events_dropped, 7);
    assert!(matches!(b.app.panes.events.log().window(1).next(), Some(Entry::Lost { events: 4, .. })));
}

#[test]
fn a_timeline_that_was_scrolled_back_stands_still_until_its_end_is_reached() {
    let mut b = busy();
    let event = |seq| {
        let kind = EventKind::RecordPublished { version: seq };
        Arc::new(Event { seq, at: demo::NOW, peer_id: None, kind })
    };
    for seq in 0..100 {
        b.send(Input::Event(event(seq)));
    }
    b.app.on_drawn(page_of_ten());
    b.keys("7k");
    let seq = |entry: Option<&Entry>| match entry {
        Some(Entry::Event(e)) => e.seq,
        _ => panic!("an event"),
    };
    let chosen = |b: &Bench| seq(b.app.panes.events.log().chosen());
    let last = |b: &Bench| seq(b.app.panes.events.log().window(10).last());
    assert_eq!((chosen(&b), last(&b)), (98, 99));
    b.send(Input::Event(event(100)));
    assert_eq!((chosen(&b), last(&b)), (98, 99));
    for _ in 0..9 {
        b.keys("k");
    }
    assert_eq!((chosen(&b), last(&b)), (89, 98), "it moves only as far as it must");
    b.keys("g");
    assert_eq!(chosen(&b), 0);
    assert_eq!(b.app.panes.events.log().window(10).count(), 10, "the first page is a full one");
    b.keys("G");
    b.send(Input::Event(event(101)));
    assert_eq!((chosen(&b), last(&b)), (101, 101));
}

#[test]
fn the_timeline_is_bounded_and_keeps_the_newest() {
    let mut timeline = Timeline::default();
    for n in 0..6_000 {
        timeline.push(Entry::Lost { at: demo::NOW, events: n }, true);
    }
    assert_eq!(timeline.count(), 5_000);
    assert_eq!(timeline.window(10_000).count(), 5_000);
    assert!(matches!(timeline.window(1).next(), Some(Entry::Lost { events: 5_999, .. })));
}

#[test]
fn a_snapshot_is_stale_after_three_seconds_without_another() {
    let mut b = busy();
    b.at += Duration::from_secs(3);
    b.send(Input::Tick);
    assert!(b.app.stale().is_some());
    b.send(Input::Snapshot(demo::busy()));
    assert!(b.app.stale().is_none());
}

#[test]
fn time_never_runs_backwards_because_a_snapshot_took_its_time() {
    let mut b = busy();
    b.at += Duration::from_secs(1);
    b.send(Input::Tick);
    let before = b.app.node_now();
    let mut late = Snapshot::clone(&demo::busy());
    late.at = demo::NOW.after(Duration::from_millis(700));
    b.send(Input::Snapshot(Arc::new(late)));
    assert!(b.app.node_now() >= before);
}

#[test]
fn quit_and_suspend_work_from_every_overlay() {
    for open in ["", "?", "x", "/"] {
        let mut b = busy();
        b.keys(open);
        let ctrl = |c| Input::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL));
        assert_eq!(b.send(ctrl('z')), [Effect::Suspend], "{open}");
        assert_eq!(b.send(ctrl('c')), [Effect::Quit], "{open}");
    }
    assert_eq!(busy().keys("q"), [Effect::Quit]);
}

#[test]
fn a_released_key_does_nothing() {
    let mut b = busy();
    let mut key = KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE);
    key.kind = KeyEventKind::Release;
    assert!(b.send(Input::Key(key)).is_empty());
}

#[test]
fn enter_asks_why_once_and_its_answer_is_neither_a_message_nor_an_event() {
    let mut b = busy();
    b.select(NYC);
    let why = Command::Why { peer: demo::id(NYC) };
    assert_eq!(b.press(KeyCode::Enter), [Effect::Send(why.clone())]);
    b.send(Input::Sent(why.clone(), Ok(CommandId(3))));
    assert!(b.app.commands.is_running(&Command::Why { peer: demo::id(NYC) }));
    b.press(KeyCode::Esc);
    assert!(b.press(KeyCode::Enter).is_empty(), "the question is still open");

    let explained = Done::Explained(Box::new(crate::model::Why { peer_id: demo::id(NYC), ..demo::why() }));
    let outcome = Outcome { id: CommandId(3), command: why, result: Ok(explained) };
    b.send(Input::Outcome(Arc::new(outcome)));
    assert!(b.app.overlays.asked(demo::id(NYC)).is_some_and(|asked| asked.answer.is_some()));
    assert!(!b.app.commands.is_running(&Command::Why { peer: demo::id(NYC) }));
    assert_eq!((b.message(), b.app.panes.events.log().count()), ("", 0));
}

#[test]
fn a_changed_path_is_asked_about_again_but_not_within_ten_seconds() {
    let mut b = busy();
    b.select(NYC);
    let why = Command::Why { peer: demo::id(NYC) };
    b.press(KeyCode::Enter);
    let moved = || {
        with_peers(|peers| {
            for row in peers.iter_mut().filter(|p| p.peer_id == demo::id(NYC)) {
                Arc::make_mut(row).path = Some(crate::model::Path::Relayed);
            }
        })
    };
    assert!(b.send(Input::Snapshot(moved())).is_empty(), "too soon");
    b.at += Duration::from_secs(10);
    assert_eq!(b.send(Input::Tick), [Effect::Send(why)]);
    b.at += Duration::from_secs(10);
    assert!(b.send(Input::Snapshot(moved())).is_empty(), "the path is the one that was asked about");
    b.press(KeyCode::Esc);
    assert!(b.send(Input::Snapshot(demo::busy())).is_empty(), "nobody looks any more");
}

#[test]
fn a_question_that_could_not_be_sent_says_so_in_the_view() {
    let mut b = busy();
    b.select(NYC);
    b.press(KeyCode::Enter);
    b.send(Input::Sent(Command::Why { peer: demo::id(NYC) }, Err(SendError::Busy)));
    let failure = b.app.overlays.asked(demo::id(NYC)).and_then(|asked| asked.failure.clone());
    assert_eq!(failure.as_deref(), Some("the command queue is full, nothing was done"));
    assert_eq!(b.message(), "");
}

fn in_lab() -> Bench {
    let mut b = busy();
    b.send(Input::Lab(Arc::new(demo::lab())));
    b
}

fn asked_of_lab(effects: &[Effect]) -> Option<&LabCommand> {
    match effects {
        [Effect::Lab(command)] => Some(command),
        _ => None,
    }
}

#[test]
fn each_key_of_the_lab_asks_for_its_change_or_for_its_undoing() {
    let host = |name: &str| name.to_owned();
    let wire = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
    let expected = [
        ("lx", LabCommand::Cut(host("pub-1"))),
        ("ljx", LabCommand::Heal(host("pub-2"))),
        ("ljjK", LabCommand::Start(host("full-1"))),
        ("ljjtp", LabCommand::SetNat(host("full-1"), crate::model::NatType::PortRestricted)),
        ("ljjb", LabCommand::Flush(host("full-1"))),
        ("lGx", LabCommand::HealLink(wire("east", "south"))),
        ("lGkx", LabCommand::CutLink(wire("east", "west"))),
        ("lu", LabCommand::Undo),
    ];
    for (keys, command) in expected {
        assert_eq!(asked_of_lab(&in_lab().keys(keys)), Some(&command), "{keys}");
    }
    let mut b = in_lab();
    b.keys("l");
    assert_eq!(asked_of_lab(&b.press(KeyCode::Enter)), Some(&LabCommand::Show(host("pub-1"))));
    assert!(b.app.overlays.is_empty(), "who goes to another node sees it");
}

#[test]
fn what_the_lab_cannot_do_is_not_asked_of_it_and_the_reason_is_said() {
    for (keys, said) in [
        ("lt", "t: pub-1 is public, there is no NAT before it"),
        ("lGK", "K: a node is needed, and this is a link"),
        ("da", "a: no drill runs"),
    ] {
        let mut b = in_lab();
        assert!(b.keys(keys).is_empty());
        assert_eq!(b.message(), said);
    }
    let mut b = in_lab();
    b.keys("lG");
    b.keys("kk");
    b.press(KeyCode::Enter);
    assert_eq!(b.message(), "enter: the console is on sym-1 already");
}

#[test]
fn without_a_lab_its_keys_say_how_to_get_one() {
    let mut b = busy();
    assert!(b.keys("d").is_empty() && b.app.overlays.is_empty());
    assert_eq!(b.message(), "d: drills need a lab: punchdeck lab starts one, with a console on it");
    b.keys("l");
    assert_eq!(b.message(), "l: this needs a lab: punchdeck lab starts one, with a console on it");
}

#[test]
fn one_drill_runs_at_a_time_and_can_be_called_off() {
    let mut b = in_lab();
    b.keys("dj");
    let drill = LabCommand::Drill("chaos_partition".to_owned());
    assert_eq!(asked_of_lab(&b.press(KeyCode::Enter)), Some(&drill));
    b.send(Input::Lab(Arc::new(LabView { drill: Some(demo::drill()), ..demo::lab() })));
    assert!(b.press(KeyCode::Enter).is_empty());
    assert_eq!(b.message(), "enter: chaos_partition runs; one drill at a time");
    assert_eq!(asked_of_lab(&b.keys("a")), Some(&LabCommand::CallOff));
}

#[test]
fn what_came_of_a_change_is_said_once() {
    let mut b = in_lab();
    let said = |n| {
        let said = LabSaid { n, done: true, text: "pub-1 is cut off".to_owned() };
        Input::Lab(Arc::new(LabView { said: Some(said), ..demo::lab() }))
    };
    b.send(said(1));
    assert_eq!(b.message(), "pub-1 is cut off");
    b.keys("c");
    b.send(Input::Sent(Command::NatProbe, Ok(CommandId(4))));
    b.send(said(1));
    assert_eq!(b.message(), "");
    b.send(Input::LabBusy);
    assert_eq!(b.message(), "the lab is busy, nothing was done");
}

#[test]
fn another_node_brings_its_own_state_and_leaves_the_console_as_it_was() {
    let mut b = in_lab();
    b.select(NYC);
    for event in demo::events() {
        b.send(Input::Event(event));
    }
    b.send(Input::Sent(Command::NatProbe, Ok(CommandId(4))));
    b.send(Input::NodeGone(Gone::Stopped));
    b.keys("oz");
    let sort = b.app.panes.peers.sort();
    b.send(Input::Switched(demo::empty()));
    assert!(b.app.shown().peers.is_empty() && b.app.node.gone.is_none());
    assert_eq!(b.app.panes.events.log().count(), 0, "those were events of the other node");
    assert!(b.app.commands.running().is_empty());
    assert!(b.app.panes.zoom && b.app.panels.lab.is_some());
    assert_eq!(b.app.panes.peers.sort(), sort);
    assert!(b.app.stale().is_none());
    assert!(b.app.node_now() >= demo::NOW);
}

#[test]
fn a_node_that_is_lost_is_said_to_be_and_is_welcome_when_it_returns() {
    let mut b = Bench::new(demo::busy());
    let selected = b.app.target();
    b.send(Input::NodeGone(Gone::Lost { detail: "no node answers".to_owned() }));
    assert!(b.app.node.gone.as_ref().unwrap().banner("q").contains("no node answers"));
    assert_eq!(
        b.app.available(Action::Node(NodeCommand::SyncAll)),
        Err("the node does not answer".to_owned())
    );
    b.send(Input::NodeBack(demo::busy()));
    assert!(b.app.node.gone.is_none());
    assert_eq!(b.app.available(Action::Node(NodeCommand::SyncAll)), Ok(()));
    assert_eq!(b.app.target(), selected, "what the operator chose stays chosen");
}

#[test]
fn a_read_only_console_offers_no_order_and_says_why() {
    let mut b = Bench::new(demo::busy());
    b.app.settings.read_only = true;
    for asked in [
        NodeCommand::SyncAll,
        NodeCommand::Connect,
        NodeCommand::Disconnect,
        NodeCommand::Failover,
        NodeCommand::NatProbe,
    ] {
        let refused = b.app.available(Action::Node(asked));
        assert_eq!(refused, Err("this console may only look".to_owned()), "{asked:?}");
    }
    assert_eq!(b.app.available(Action::Why), Ok(()));
}

#[test]
fn the_filter_line_completes_and_goes_back_to_what_was_kept() {
    let mut b = Bench::new(demo::busy());
    let text = |b: &Bench| b.app.prompt().unwrap().line().text().to_owned();
    for kept in ["name~vps", "nat=symmetric"] {
        b.keys("/");
        b.send(Input::Key(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL)));
        b.keys(kept);
        b.press(KeyCode::Enter);
    }
    assert_eq!(b.app.panes.peers.len(), 1, "the filter holds after it was typed");
    b.keys("/");
    b.send(Input::Key(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL)));
    b.keys("pa");
    b.press(KeyCode::Tab);
    assert_eq!(text(&b), "path");
    b.keys("=");
    b.press(KeyCode::Tab);
    assert!(b.app.prompt().unwrap().candidates().contains(&"path=relayed".to_owned()));
    let mut seen = Vec::new();
    for key in [KeyCode::Up, KeyCode::Up, KeyCode::Up, KeyCode::Down, KeyCode::Down] {
        b.press(key);
        seen.push(text(&b));
    }
    assert_eq!(seen, ["nat=symmetric", "name~vps", "name~vps", "nat=symmetric", "path="]);
    b.press(KeyCode::Esc);
    assert_eq!(b.app.panes.peers.filter(), "nat=symmetric", "esc goes back to the filter before");
}

/// What a console remembers, opened again.
fn replayed(mut b: Bench) -> Bench {
    let bundle = b.app.bundle();
    let theme = b.app.settings.theme.clone();
    Bench { app: App::replay(bundle, theme, TimeZone::UTC).expect("there are moments"), at: Duration::ZERO }
}

#[test]
fn a_snap_is_asked_for_once_and_what_came_of_it_is_said() {
    let mut b = lost_and_found();
    assert_eq!(b.keys("w"), [Effect::Snap]);
    assert!(b.keys("w").is_empty());
    assert_eq!(b.message(), "w: a file is being written already");
    b.send(Input::Snapped(Ok(("snaps/snap-1.jsonl".into(), 2048))));
    assert_eq!(b.message(), "wrote the last 4 s to snaps/snap-1.jsonl (2.0 KiB): punchdeck replay opens it");
    assert_eq!(b.keys("w"), [Effect::Snap]);
    b.send(Input::Snapped(Err("snaps: No space left on device".to_owned())));
    assert_eq!(b.message(), "nothing was written: snaps: No space left on device");
}

#[test]
fn a_replay_stands_at_its_last_moment_and_can_be_walked_but_not_acted_on() {
    let mut b = lost_and_found();
    all_leave(&mut b);
    let mut b = replayed(b);
    assert!(b.app.shown().peers.is_empty() && b.app.live().peers.is_empty(), "it stands at its end");
    b.keys("[");
    assert_eq!(state_shown(&b), PeerState::Linked);
    b.keys("[");
    b.select(NYC);
    assert_eq!((state_shown(&b), b.app.panes.events.log().passing()), (PeerState::Suspect, 1));
    for key in ["s", "S", "c", "p", "r", "f", "x", "n"] {
        assert!(b.keys(key).is_empty() && b.app.overlays.is_empty(), "{key}");
        assert_eq!(b.message(), format!("{key}: this is a replay, there is no node to ask"));
    }
    assert!(b.press(KeyCode::Enter).is_empty(), "nobody is asked why, either");
    b.press(KeyCode::Esc);
    b.press(KeyCode::Esc);
    assert!(b.app.shown().peers.is_empty(), "escape goes to its end");
    b.keys("]");
    assert_eq!(b.message(), "]: this is the last moment of the file");
    b.at += Duration::from_secs(60);
    b.send(Input::Tick);
    assert_eq!((b.app.stale(), b.app.stale_in()), (None, None), "nothing is expected of nobody");
}

#[test]
fn a_replay_plays_as_time_went_and_stops_at_its_end_or_when_it_is_told_to() {
    let mut b = replayed(lost_and_found());
    b.keys(" ");
    assert!(b.app.history.is_playing());
    assert_eq!(b.app.moment().map(|m| m.now), Some(demo::NOW), "from its beginning, as it stood at the end");
    b.at += Duration::from_millis(2_500);
    b.send(Input::Tick);
    assert_eq!(state_shown(&b), PeerState::Suspect);
    assert_eq!(b.app.panes.events.log().passing(), 1);
    b.keys(" ");
    b.at += Duration::from_secs(9);
    b.send(Input::Tick);
    assert_eq!(state_shown(&b), PeerState::Suspect, "it was stopped");
    b.keys(" ");
    b.at += Duration::from_secs(9);
    b.send(Input::Tick);
    assert_eq!((state_shown(&b), b.app.history.is_playing()), (PeerState::Linked, false));
}

#[test]
fn what_is_done_to_a_pseudonym_is_done_to_whom_it_stands_for() {
    let mut b = lost_and_found();
    b.select(NYC);
    b.keys("m");
    let masked = b.app.panes.peers.selected().expect("the same peer");
    assert_ne!(masked, demo::id(NYC));
    assert!(b.app.peer(masked).is_some_and(|p| p.name.as_deref().is_some_and(|n| n.starts_with("peer-"))));
    let connect = Command::Connect { peer: demo::id(NYC) };
    assert_eq!(b.keys("c"), [Effect::Send(connect.clone())]);
    b.send(Input::Sent(connect.clone(), Ok(CommandId(7))));
    assert_eq!(b.app.commands.running()[0].describe(), format!("connect {}", masked.short()));
    let outcome = Outcome { id: CommandId(7), command: connect, result: Err(Reason::NoAddress.into()) };
    b.send(Input::Outcome(Arc::new(outcome)));
    assert_eq!(b.message(), format!("connect {}: no address known", masked.short()));
    assert_eq!(b.keys("y"), [Effect::Copy(masked.to_string())], "what is copied bears pseudonyms, too");

    b.keys("[");
    assert!(b.app.peer(masked).is_some(), "and so does the past");
    b.press(KeyCode::Esc);
    b.keys("m");
    assert_eq!(b.app.panes.peers.selected(), Some(demo::id(NYC)));
    b.keys("m");
    assert_eq!(b.app.panes.peers.selected(), Some(masked), "one is called the same all the time");
}
