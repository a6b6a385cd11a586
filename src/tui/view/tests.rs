//! Whole screens as text, at the sizes people have, and the rules that hold
//! for every screen.

use std::sync::Arc;
use std::time::Duration;

use insta::assert_snapshot;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;

use jiff::tz::TimeZone;

use super::*;
use crate::model::{
    AlsoCalled, CloseCode, Command, CommandId, Done, Event, EventKind, Failure, Outcome, Path, PeerRow,
    Reason, RelayMode, SaveState, Snapshot,
};
use crate::tui::bindings::Keymap;
use crate::tui::demo;
use crate::tui::fleet::FleetView;
use crate::tui::fmt;
use crate::tui::lab::{DrillInfo, DrillStage, DrillView, LabView};
use crate::tui::logs::LogSource;
use crate::tui::message::{Effect, Gone, Input};
use crate::tui::theme::{GlyphChoice, Theme};

mod fleet;
mod said;
mod states;

const SMALL: (u16, u16) = (80, 24);
const LARGE: (u16, u16) = (140, 40);

struct Shot {
    app: App,
    at: Duration,
    wake: Option<Duration>,
    terminal: Terminal<TestBackend>,
}

impl Shot {
    fn of(snapshot: Arc<Snapshot>, size: (u16, u16)) -> Self {
        Self::with(snapshot, size, Some(true), GlyphChoice::Unicode)
    }

    fn with(snapshot: Arc<Snapshot>, (w, h): (u16, u16), colours: Option<bool>, glyphs: GlyphChoice) -> Self {
        let theme = Theme::resolve(colours, glyphs, |_| None);
        let app = App::new(snapshot, theme, TimeZone::UTC, LogSource::Off);
        let terminal = Terminal::new(TestBackend::new(w, h)).unwrap();
        let mut shot = Self { app, at: Duration::ZERO, wake: None, terminal };
        shot.draw();
        shot
    }

    /// The busy fleet with its events.
    fn busy(size: (u16, u16)) -> Self {
        let mut shot = Self::of(demo::busy(), size);
        for event in demo::events() {
            shot.input(Input::Event(event));
        }
        shot
    }

    fn input(&mut self, input: Input) -> Vec<Effect> {
        let effects = self.app.update(input, self.at);
        self.draw();
        effects
    }

    fn keys(mut self, keys: &str) -> Self {
        for c in keys.chars() {
            let code = match c {
                '\n' => KeyCode::Enter,
                '\t' => KeyCode::Tab,
                c => KeyCode::Char(c),
            };
            for effect in self.input(Input::Key(KeyEvent::new(code, KeyModifiers::NONE))) {
                if let Effect::Send(command) = effect {
                    self.input(Input::Sent(command, Ok(CommandId(1))));
                }
            }
        }
        self
    }

    fn draw(&mut self) {
        let (app, mut picture) = (&self.app, None);
        self.terminal.draw(|frame| picture = Some(draw(app, frame.area(), frame.buffer_mut()))).unwrap();
        let picture = picture.expect("it was drawn");
        self.app.on_drawn(picture.layout);
        self.wake = picture.changes_in;
    }

    fn text_now(&self) -> String {
        self.terminal.backend().to_string()
    }

    fn text(mut self) -> String {
        self.draw();
        self.terminal.backend().to_string()
    }
}

#[test]
fn a_new_node_without_peers() {
    assert_snapshot!("empty_80x24", Shot::of(demo::empty(), SMALL).text());
    assert_snapshot!("empty_140x40", Shot::of(demo::empty(), LARGE).text());
}

#[test]
fn a_busy_fleet() {
    assert_snapshot!("busy_140x40", Shot::busy(LARGE).text());
    assert_snapshot!("busy_200x50", Shot::busy((200, 50)).text());
    assert_snapshot!("busy_100x30", Shot::busy((100, 30)).text());
}

#[test]
fn each_pane_alone() {
    for (key, name) in [
        ("1", "peers"),
        ("2", "escalation"),
        ("3", "relays"),
        ("4", "gossip"),
        ("5", "nat"),
        ("6", "kpi"),
        ("7", "events"),
        ("8", "logs"),
    ] {
        assert_snapshot!(format!("{name}_80x24"), Shot::busy(SMALL).keys(key).text());
        assert_snapshot!(format!("{name}_empty_80x24"), Shot::of(demo::empty(), SMALL).keys(key).text());
        assert_snapshot!(format!("{name}_zoomed_140x40"), Shot::busy(LARGE).keys(key).keys("z").text());
    }
}

#[test]
fn the_help() {
    assert_snapshot!("help_80x24", Shot::busy(SMALL).keys("?").text());
    assert_snapshot!("help_140x40", Shot::busy(LARGE).keys("?").text());
    assert_snapshot!("help_search_80x24", Shot::busy(SMALL).keys("?/relay").text());
    assert_snapshot!("help_of_the_lab_80x24", in_lab(SMALL, |_| {}).keys("l?").text());
}

#[test]
fn the_palette() {
    assert_snapshot!("palette_80x24", Shot::busy(SMALL).keys(":").text());
    assert_snapshot!("palette_140x40", Shot::busy(LARGE).keys(":").text());
    assert_snapshot!("palette_found_80x24", Shot::busy(SMALL).keys(":co").text());
    assert_snapshot!("palette_peer_140x40", Shot::busy(LARGE).keys(":sync 5").text());
    assert!(Shot::busy(SMALL).keys(":zzzz").text().contains("no action or peer matches"));
}

#[test]
fn a_question_that_wants_a_name_shows_it_and_what_is_typed() {
    assert_snapshot!("name_80x24", in_lab(SMALL, |_| {}).keys("lKpub").text());
}

#[test]
fn every_text_shows_the_keys_in_force_and_none_that_were_moved() {
    let keys = [
        ("help", "f1"),
        ("palette", "f2"),
        ("why", "f3"),
        ("disconnect", "f4"),
        ("yes", "f5"),
        ("no", "f6"),
        ("close-help", "f7"),
        ("close-why", "f8"),
        ("quit", "f9"),
        ("punch", "f10"),
        ("freeze", "f11"),
        ("connect", "f12"),
    ];
    let map = Keymap::with(keys.map(|(name, key)| (name, vec![key]))).unwrap();
    let start = || {
        let mut shot = Shot::busy(LARGE);
        shot.app.settings.keys = map.clone();
        shot
    };
    let press = |shot: &mut Shot, n: u8| {
        shot.input(Input::Key(KeyEvent::new(KeyCode::F(n), KeyModifiers::NONE)));
        shot.text_now()
    };
    let mut shot = start();
    shot.draw();
    let panes = shot.text_now();
    for text in ["f3 why", "f10 punch", "f1 help", "f2 palette", "f9 quit"] {
        assert!(panes.contains(text), "{text} in {panes}");
    }
    let question = press(&mut shot, 4);
    assert!(
        question.contains("f5 yes, do it   f6 no") && question.contains("f12 connects it again"),
        "{question}"
    );
    let mut shot = start();
    assert!(press(&mut shot, 1).contains("/ searches, f7 closes"));
    let mut shot = start();
    let why = press(&mut shot, 3);
    assert!(why.contains("f10 punch") && why.contains("f8 close"), "{why}");
    let mut shot = start();
    assert!(press(&mut shot, 11).contains("(f11 goes on)"));
    let mut shot = start();
    shot.input(Input::NodeGone(Gone::Stopped));
    assert!(shot.text_now().contains("(f9 quits)"));
    let palette = press(&mut shot, 2);
    assert!(palette.contains("f3 ") && palette.contains("not now: the node has stopped"), "{palette}");
}

#[test]
fn the_why_view() {
    // The fourth row is relayed, the seventh unreachable.
    assert_snapshot!("why_relayed_140x40", Shot::busy(LARGE).keys("jjj\n").text());
    assert_snapshot!("why_unreachable_80x24", Shot::busy(SMALL).keys("jjjjjj\n").text());
}

#[test]
fn the_question_before_a_disconnect() {
    assert_snapshot!("confirm_80x24", Shot::busy(SMALL).keys("jx").text());
    assert_snapshot!("confirm_140x40", Shot::busy(LARGE).keys("jx").text());
}

#[test]
fn whom_we_serve_and_the_question_before_it_ends() {
    assert_snapshot!("served_80x24", Shot::busy(SMALL).keys("3jj").text());
    assert_snapshot!("served_zoomed_140x40", Shot::busy(LARGE).keys("3jjjz").text());
    assert_snapshot!("served_zoomed_200x50", Shot::busy((200, 50)).keys("3jjz").text());
    assert_snapshot!("served_end_80x24", Shot::busy(SMALL).keys("3jjx").text());
    // Scrolled: the row of the cursor is in sight, with the title of its table.
    let text = Shot::busy(LARGE).keys("3jj").text();
    assert!(text.contains("Peers we serve as a relay: 2") && text.contains("▶● 12m 77c2ab"), "{text}");
}

#[test]
fn the_filter_line_while_it_is_typed() {
    assert_snapshot!("filter_80x24", Shot::busy(SMALL).keys("/vps").text());
    assert_snapshot!("filter_nothing_140x40", Shot::busy(LARGE).keys("/nobody").text());
}

#[test]
fn a_frozen_screen_says_what_it_missed() {
    let mut shot = Shot::busy(LARGE).keys(" ");
    shot.at = Duration::from_secs(2);
    for event in demo::events() {
        shot.input(Input::Event(event));
    }
    shot.input(Input::Snapshot(demo::busy()));
    shot.at = Duration::from_secs(4);
    shot.input(Input::Tick);
    assert_snapshot!("frozen_140x40", shot.text());
}

#[test]
fn a_moment_of_the_past_says_so_and_the_events_stand_at_it() {
    let mut shot = Shot::busy(LARGE);
    for seconds in [20, 140] {
        shot.at = Duration::from_secs(seconds);
        let mut snapshot = Snapshot::clone(&demo::busy());
        snapshot.at = demo::NOW.after(shot.at);
        snapshot.peers = Arc::new(snapshot.peers.iter().skip(seconds as usize / 20).cloned().collect());
        let at = snapshot.at.before(Duration::from_millis(10));
        shot.input(Input::Snapshot(Arc::new(snapshot)));
        for event in demo::events().iter().take(3) {
            shot.input(Input::Event(Arc::new(Event { at, ..Event::clone(event) })));
        }
    }
    shot.at = Duration::from_secs(143);
    let mut shot = shot.keys("[");
    let text = shot.text_now();
    assert!(text.contains("THEN 14:02:31, 2 min 3 s ago: 3 events since (] forward, esc now)"), "{text}");
    assert_snapshot!("then_140x40", text);
    shot.terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
    let shot = shot.keys("7k");
    assert_snapshot!("then_events_80x24", shot.text());
}

#[test]
fn a_replay_says_whose_it_is_and_where_one_stands_in_it() {
    let mut live = Shot::busy(LARGE);
    for seconds in [3, 5] {
        live.at = Duration::from_secs(seconds);
        let mut snapshot = Snapshot::clone(&demo::busy());
        snapshot.at = demo::NOW.after(live.at);
        snapshot.peers = Arc::new(snapshot.peers.iter().skip(seconds as usize).cloned().collect());
        live.input(Input::Snapshot(Arc::new(snapshot)));
    }
    let theme = Theme::resolve(Some(true), GlyphChoice::Unicode, |_| None);
    let mut bundle = live.app.bundle();
    // One day it is another one.
    bundle.about.program = "0.1.0".into();
    let app = App::replay(bundle, theme, TimeZone::UTC).unwrap();
    let mut shot = Shot { app, ..Shot::busy(SMALL) };
    shot.draw();
    let text = shot.text_now();
    assert!(text.contains(" REPLAY 14:02:16 of vps-fra-1 9f3a21: the end ([ back, space plays)"), "{text}");
    let mut shot = shot.keys("[");
    assert_snapshot!("replay_80x24", shot.text_now());
    shot.terminal = Terminal::new(TestBackend::new(140, 40)).unwrap();
    let shot = shot.keys(" ");
    assert!(shot.wake.is_some_and(|wake| wake <= Duration::from_secs(1)), "it goes on by itself");
    assert_snapshot!("replay_playing_140x40", shot.text());
}

#[test]
fn trouble_stands_in_a_banner() {
    let mut shot = Shot::busy(SMALL).keys("S");
    shot.input(Input::Fault("gossip panicked at src/node/gossip.rs:7: no".to_owned()));
    shot.input(Input::EventsLost(12));
    shot.at = Duration::from_secs(2);
    shot.input(Input::Tick);
    assert_snapshot!("faulted_80x24", shot.text());

    let mut snapshot = Snapshot::clone(&demo::busy());
    let node = Arc::make_mut(&mut snapshot.node);
    node.cache.save = SaveState::Failed {
        detail: "No space left on device".to_owned(),
        since: demo::NOW.before(Duration::from_secs(7)),
    };
    let text = Shot::of(Arc::new(snapshot), SMALL).text();
    assert!(text.contains("CACHE NOT SAVED for 7s: No space left on device"), "{text}");

    let mut gone = Shot::busy(SMALL);
    gone.input(Input::NodeGone(Gone::Stopped));
    let text = gone.text();
    assert!(text.contains("THE NODE HAS STOPPED") && text.contains("stopped"), "{text}");
    assert!(!text.contains("S all"), "nothing can be sent any more: {text}");
}

#[test]
fn a_stale_snapshot_shows_its_age() {
    let mut shot = Shot::busy(SMALL);
    shot.at = Duration::from_millis(5_200);
    shot.input(Input::Tick);
    assert!(shot.text().contains("STALE: the node has sent nothing for 5s"));
}

#[test]
fn a_terminal_that_is_too_small_says_which_size_it_takes() {
    assert_snapshot!("too_small_39x10", Shot::busy((39, 10)).text());
    assert_snapshot!("smallest_40x10", Shot::busy((40, 10)).text());
}

#[test]
fn in_ascii_every_cell_is_ascii() {
    let mut shot = Shot::with(demo::busy(), LARGE, Some(false), GlyphChoice::Ascii);
    for event in demo::events() {
        shot.input(Input::Event(event));
    }
    shot.input(Input::Lab(Arc::new(LabView { drill: Some(demo::drill()), ..demo::lab() })));
    let mut shot = shot.keys("ljjjd");
    let ascii = |shot: &Shot| shot.terminal.backend().buffer().content.iter().all(|c| c.symbol().is_ascii());
    assert!(ascii(&shot), "{}", shot.text_now());
    for _ in 0..2 {
        shot.input(Input::Key(KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE)));
        assert!(ascii(&shot), "{}", shot.text_now());
    }
    let shot = shot.keys("jjj\n");
    assert!(ascii(&shot));
    assert_snapshot!("ascii_140x40", shot.text());
}

#[test]
fn without_colour_no_cell_has_one() {
    for keys in ["", "?", "jx", "\n", "/vps", " "] {
        let shot = Shot::with(demo::busy(), LARGE, Some(false), GlyphChoice::Unicode).keys(keys);
        let coloured = |cell: &ratatui::buffer::Cell| (cell.fg, cell.bg) != (Color::Reset, Color::Reset);
        assert!(!shot.terminal.backend().buffer().content.iter().any(coloured), "{keys:?}");
    }
}

#[test]
fn peer_supplied_text_cannot_move_the_screen() {
    let mut snapshot = Snapshot::clone(&demo::busy());
    let mut peers = Vec::clone(&snapshot.peers);
    let row: &mut PeerRow = Arc::make_mut(&mut peers[1]);
    row.name = Some("\u{1b}[2Jevil\u{202e}世世世世世世世世世世世世世世世".to_owned());
    row.last_failure = Some(Reason::Other { detail: "a\u{1b}]0;title\u{7}b".to_owned() });
    snapshot.peers = Arc::new(peers);
    for size in [SMALL, LARGE, (40, 10)] {
        let shot = Shot::of(Arc::new(snapshot.clone()), size).keys("j\n");
        for cell in &shot.terminal.backend().buffer().content {
            assert!(!cell.symbol().chars().any(|c| c.is_control() || c == '\u{202e}'), "{:?}", cell.symbol());
        }
    }
}

#[test]
fn a_name_that_somebody_else_was_linked_under_says_who_and_until_when() {
    let mut snapshot = Snapshot::clone(&demo::busy());
    let mut rows: Vec<_> = snapshot.peers.iter().map(|row| PeerRow::clone(row)).collect();
    let until = crate::model::Stamp(snapshot.at.0 - 60_000);
    let other = demo::id([0x3f, 0x0c, 0x77]);
    for row in &mut rows {
        row.also = Some(Box::new(AlsoCalled { peer_id: other, until }));
        row.name = Some("a-name-of-a-fair-length".into());
    }
    snapshot.peers = Arc::new(rows.into_iter().map(Arc::new).collect());
    let expected = format!("also 3f0c77 until {}", fmt::until(until, snapshot.at, &TimeZone::UTC));
    let small = Shot::of(Arc::new(snapshot.clone()), SMALL).text();
    assert!(small.contains("…!"), "where there is no room a mark stands: {small}");
    let why = Shot::of(Arc::new(snapshot), LARGE).keys("j\n").text();
    assert!(why.contains(&expected), "{expected} in {why}");
}

#[test]
fn no_size_and_no_view_panics_or_loses_the_selection() {
    for keys in
        ["", "?", "jjj\n", "jx", "/vps", " ", "z2", "3", "4k", "5k", "6j", "7k", "8", "lG", "ljjt", "dj"]
    {
        let mut shot = in_lab(LARGE, |view| view.drill = Some(demo::drill())).keys("jj").keys(keys);
        let before = shot.app.panes().peers.selected();
        for (w, h) in [
            (1, 1),
            (7, 3),
            (39, 50),
            (40, 10),
            (41, 11),
            (60, 12),
            (79, 31),
            (120, 10),
            (119, 33),
            (300, 90),
        ] {
            shot.terminal.backend_mut().resize(w, h);
            shot.draw();
        }
        shot.terminal.backend_mut().resize(140, 40);
        shot.draw();
        assert_eq!(shot.app.panes().peers.selected(), before, "{keys:?}");
    }
}

#[test]
fn the_next_frame_is_due_when_an_age_steps_and_never_for_a_frozen_one() {
    let mut shot = Shot::of(demo::busy(), LARGE);
    assert_eq!(shot.wake, Some(Duration::from_secs(1)));
    shot.at = Duration::from_millis(300);
    shot.input(Input::Tick);
    assert_eq!(shot.wake, Some(Duration::from_millis(700)), "ages step on whole seconds");

    shot.input(Input::Key(KeyEvent::new(KeyCode::Char(' '), KeyModifiers::NONE)));
    let frozen = shot.text_now();
    shot.at = Duration::from_secs(1);
    shot.input(Input::Tick);
    let later = shot.text_now();
    let rows = |text: &str| text.lines().skip(2).take(20).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(rows(&frozen), rows(&later), "a frozen pane does not age");

    let mut snapshot = Snapshot::clone(&demo::empty());
    Arc::make_mut(&mut snapshot.node).started = demo::NOW.before(Duration::from_secs(3600));
    snapshot.seq += 1;
    let shot = Shot::of(Arc::new(snapshot), LARGE);
    // Minutes do not step within seconds; only becoming stale would show.
    assert!(shot.wake.is_some_and(|w| w > Duration::from_secs(2)), "{:?}", shot.wake);
}

#[test]
fn a_relayed_path_is_told_by_a_word_and_not_by_colour() {
    let text = Shot::busy(LARGE).text();
    assert!(text.contains(Path::Relayed.name()) && text.contains("unreachable") && text.contains("held off"));
}

#[test]
fn the_relays_pane_shows_what_is_unknown_as_a_dash_and_a_lost_message_as_bad() {
    let mut snapshot = Snapshot::clone(&demo::busy());
    let relays = Arc::make_mut(&mut snapshot.relays);
    let over = relays.last_failover.as_mut().unwrap();
    (over.to, over.gap_ms, over.lost) = (None, None, None);
    (relays.served, relays.mode) = (Vec::new(), RelayMode::Off);
    let text = Shot::of(Arc::new(snapshot.clone()), SMALL).keys("3").text();
    assert!(text.contains("failover  d41d8c → no relay 14:02:08, gap -, - messages lost"), "{text}");
    assert!(text.contains("Peers we serve as a relay: none, the relay is off; 46.0 MiB so far"), "{text}");

    let over = Arc::make_mut(&mut snapshot.relays).last_failover.as_mut().unwrap();
    over.lost = Some(1);
    let text = Shot::of(Arc::new(snapshot), SMALL).keys("3").text();
    assert!(text.contains("gap -, 1 message lost"), "{text}");
}

#[test]
fn a_reservation_counts_down_and_asks_for_the_frame_that_shows_it() {
    let mut shot = Shot::busy(SMALL).keys("3");
    assert!(shot.text_now().contains("in 28s"));
    shot.at = Duration::from_secs(1);
    shot.input(Input::Tick);
    assert!(shot.text_now().contains("in 27s"));
}

fn in_lab(size: (u16, u16), change: impl FnOnce(&mut LabView)) -> Shot {
    let mut shot = Shot::busy(size);
    let mut view = demo::lab();
    change(&mut view);
    shot.input(Input::Lab(Arc::new(view)));
    shot
}

#[test]
fn the_lab_shows_what_is_changed_as_changed() {
    for (size, name) in [(SMALL, "lab_80x24"), (LARGE, "lab_140x40")] {
        assert_snapshot!(name, in_lab(size, |_| {}).keys("ljjj").text());
    }
    let text = in_lab(SMALL, |_| {}).text();
    assert!(text.contains("LAB CHANGED: 4 changes (l shows and undoes)"), "{text}");
    assert_snapshot!("lab_nat_80x24", in_lab(SMALL, |_| {}).keys("ljjjt").text());
}

#[test]
fn a_lab_without_a_network_says_why_and_offers_no_key_for_it() {
    let why = "on loopback there is no network to cut, and no NAT";
    let text = in_lab(SMALL, |view| {
        (view.kind, view.no_network) = ("loopback".to_owned(), Some(why.to_owned()));
        view.links.clear();
    });
    let text = text.keys("l").text();
    assert!(text.contains(why), "{text}");
    assert!(text.contains("K kill") && !text.contains("x cut") && !text.contains("t NAT"), "{text}");
}

#[test]
fn a_drill_shows_its_step_its_countdown_and_each_value_as_it_comes() {
    let running = |view: &mut LabView| view.drill = Some(demo::drill());
    for (size, name) in [(SMALL, "drill_80x24"), (LARGE, "drill_140x40")] {
        let mut shot = in_lab(size, running).keys("d");
        shot.at = Duration::from_millis(15_500);
        shot.input(Input::Snapshot(demo::busy()));
        assert!(shot.text_now().contains("(45 s left)"), "{}", shot.text_now());
        assert_snapshot!(name, shot.text());
    }
    let text = in_lab(SMALL, running).text();
    assert!(text.contains("DRILL chaos_partition: step 3 of 6 (d shows it)"), "{text}");

    let ended = |passed, verdict: &str, reason: Option<&str>| DrillStage::Ended {
        passed,
        verdict: verdict.to_owned(),
        reason: reason.map(str::to_owned),
        elapsed_s: 47.25,
    };
    let fail = ended(false, "fail", Some("called off in step 3"));
    let text =
        in_lab(SMALL, |view| view.drill = Some(DrillView { stage: fail, ..demo::drill() })).keys("d").text();
    assert!(text.contains("✗ chaos_partition") && text.contains("fail after 47.2 s, all undone"), "{text}");
    assert!(text.contains("called off in step 3") && text.contains("not measured"), "{text}");
    assert!(!text.contains("DRILL"), "a drill that is over is nothing to remember: {text}");
}

#[test]
fn a_verdict_stays_in_view_whichever_drill_is_chosen() {
    let mut shot = in_lab(SMALL, |view| {
        let drill = view.drills[0].clone();
        view.drills = (0..30).map(|n| DrillInfo { name: format!("drill-{n}"), ..drill.clone() }).collect();
        let stage =
            DrillStage::Ended { passed: true, verdict: "pass".to_owned(), reason: None, elapsed_s: 1.0 };
        view.drill = Some(DrillView { stage, ..demo::drill() });
    });
    shot = shot.keys("dG");
    let text = shot.text();
    assert!(text.contains("✓ chaos_partition") && text.contains("▶ drill-29"), "{text}");
}

/// Answers what the why view asked.
fn explain(shot: &mut Shot, result: Result<Done, Failure>) {
    let peer = demo::why().peer_id;
    let outcome = Outcome { id: CommandId(1), command: Command::Why { peer }, result };
    shot.input(Input::Outcome(Arc::new(outcome)));
}

#[test]
fn the_why_view_draws_the_explanation_with_both_ends_accounts() {
    for (size, name) in [(LARGE, "why_explained_140x40"), (SMALL, "why_explained_80x24")] {
        let mut shot = Shot::busy(size).keys("jjj\n");
        assert!(shot.text_now().contains("asking the node, and 77c2ab for its account"));
        explain(&mut shot, Ok(Done::Explained(Box::new(demo::why()))));
        assert_snapshot!(name, shot.text());
    }
}

#[test]
fn a_question_without_an_answer_says_why_and_keeps_what_the_console_knows() {
    let mut shot = Shot::busy(LARGE).keys("jjj\n");
    explain(&mut shot, Err(Reason::UnknownPeer.into()));
    let text = shot.text();
    assert!(text.contains("no explanation: no such peer is known; this is what the console knows"), "{text}");
    assert!(text.contains("A relayed link via 1b88f0") && text.contains("Last attempt of ours"), "{text}");
}

#[test]
fn an_action_that_cannot_be_done_now_says_so_beside_its_key() {
    let mut snapshot = Snapshot::clone(&demo::busy());
    let links = Vec::clone(&snapshot.links);
    snapshot.links = Arc::new(links.into_iter().filter(|l| l.path.is_straight()).collect());
    let mut shot = Shot::of(Arc::new(snapshot), LARGE).keys("jjj\n");
    explain(&mut shot, Ok(Done::Explained(Box::new(demo::why()))));
    let text = shot.text();
    assert!(text.contains("f  use another relay   not now: no relay is in use"), "{text}");
    assert!(text.contains("n  probe our NAT again"), "{text}");
}

#[test]
fn what_an_account_brings_in_cannot_move_the_screen() {
    let mut why = demo::why();
    why.timeline[4].what = "\u{1b}[2Jevil\u{202e} ".repeat(40);
    let mut shot = Shot::busy(SMALL).keys("jjj\n");
    explain(&mut shot, Ok(Done::Explained(Box::new(why))));
    for cell in &shot.terminal.backend().buffer().content {
        assert!(!cell.symbol().chars().any(|c| c.is_control() || c == '\u{202e}'), "{:?}", cell.symbol());
    }
}

#[test]
fn a_live_attempt_says_what_comes_next_and_a_long_reason_is_not_cut() {
    let mut snapshot = Snapshot::clone(&demo::busy());
    let attempts = Arc::make_mut(&mut snapshot.attempts);
    let live = Arc::make_mut(&mut attempts.live[0]);
    live.stages.truncate(1);
    live.stages[0].outcome = crate::model::StageOutcome::Running;
    let text = Shot::of(Arc::new(snapshot), SMALL).keys("2").text();
    assert!(text.contains("next   → punch, if nobody answers"), "{text}");
    assert!(text.contains("symmetric with") && text.contains("port-restricted via 1b88f0 vps-nyc"), "{text}");
}

#[test]
fn what_stands_in_an_empty_pane_never_touches_its_border() {
    for width in 40..=46 {
        for key in ["1", "2", "3", "4", "5", "6", "7", "8"] {
            let shot = Shot::of(demo::empty(), (width, 10)).keys(key);
            let buffer = shot.terminal.backend().buffer();
            for y in 0..10 {
                let cell = |x| buffer.cell((x, y)).unwrap().symbol();
                if cell(0) == "│" {
                    assert_eq!(cell(width - 1), "│", "{width} wide, pane {key}, line {y}");
                }
            }
        }
    }
    assert_snapshot!("events_empty_40x10", Shot::of(demo::empty(), (40, 10)).keys("7").text());
}

#[test]
fn a_connection_that_was_replaced_bears_no_mark_of_trouble() {
    let mut shot = Shot::of(demo::empty(), SMALL).keys("7");
    let close = |seq, close| {
        let reason = Reason::Closed { close: Some(close) };
        Input::Event(Arc::new(Event {
            seq,
            at: demo::NOW,
            peer_id: None,
            kind: EventKind::LinkDown { reason },
        }))
    };
    shot.input(close(1, CloseCode::Replaced));
    shot.input(close(2, CloseCode::Leave));
    let text = shot.text();
    assert!(text.contains("14:02:11.000   link.down") && text.contains("14:02:11.000 ✗ link.down"), "{text}");
}

#[test]
fn the_focused_panes_own_keys_come_first_where_not_all_fit() {
    let last = |keys: &str| {
        let text = Shot::busy(SMALL).keys(keys).text();
        text.lines().last().unwrap().to_owned()
    };
    assert!(!last("1").contains("failover"), "{}", last("1"));
    assert!(last("3").contains(" f failover"), "{}", last("3"));
    assert!(last("5").contains("\" n NAT"), "{}", last("5"));
    assert!(last("4").starts_with("\" S all"), "{}", last("4"));
    assert!(last("7").contains("/ filter"), "{}", last("7"));
}

/// Whatever identifies somebody in the demo: beginnings of ids, addresses, names.
fn secrets() -> Vec<String> {
    let snapshot = demo::busy();
    let mut all: Vec<String> =
        vec!["net fleet".to_owned(), "198.18.".to_owned(), snapshot.node.peer_id.short()];
    for row in snapshot.peers.iter() {
        all.push(row.peer_id.short());
        all.extend(row.name.clone());
    }
    for node in demo::lab().nodes {
        all.extend([node.peer_id.short(), node.name]);
    }
    all.push(snapshot.node.name.clone());
    all.extend(["fra ", "nyc", "sgp", "host ber"].map(str::to_owned));
    all
}

/// The busy fleet with hostile texts in every corner, masked.
fn masked(size: (u16, u16)) -> Shot {
    let mut shot = Shot::busy(size);
    shot.input(Input::Lab(Arc::new(LabView { drill: Some(demo::drill()), ..demo::lab() })));
    shot.input(Input::Fleet(Arc::new(FleetView {
        compared: Some(Arc::new(demo::compared())),
        ..demo::fleet()
    })));
    let told = "vps-nyc=198.18.0.27:9000/1b88f042 (HOME-BER), \"lab-3\"@198.18.0.5";
    shot.input(Input::Fault(format!("gossip panicked: {told}")));
    let line = |text: &str| crate::model::LogLine {
        at: demo::NOW,
        level: crate::model::LogLevel::Warn,
        target: "driver".to_owned(),
        text: text.to_owned(),
    };
    shot.input(Input::Lines(vec![line(told), line(&demo::id([0x1b, 0x88, 0xf0]).to_string())], 0));
    let reason = Reason::Other { detail: told.to_owned() };
    let down = EventKind::LinkDown { reason };
    let at = demo::NOW;
    shot.input(Input::Event(Arc::new(Event {
        seq: 99,
        at,
        peer_id: Some(demo::id([0xa9, 0x93, 0x0d])),
        kind: down,
    })));
    shot.app.set_masked(true);
    // What comes afterwards is masked, too.
    shot.input(Input::Event(demo::events()[7].clone()));
    shot.input(Input::Lines(vec![line(told)], 0));
    shot.input(Input::NodeGone(Gone::Lost { detail: told.to_owned() }));
    shot.input(Input::NodeBack(demo::busy()));
    shot
}

#[test]
fn a_masked_console_shows_nobody_in_any_pane_or_overlay() {
    let secrets = secrets();
    assert!(secrets.len() > 20);
    let looks_away = |shot: &Shot, what: &str| {
        let text = shot.text_now().to_lowercase();
        for secret in &secrets {
            assert!(!text.contains(&secret.to_lowercase()), "{secret} in {what}: {text}");
        }
        assert!(text.contains("masked"), "{what} says so");
    };
    for size in [(200, 60), LARGE, SMALL] {
        for pane in '1'..='8' {
            looks_away(&masked(size).keys(&format!("{pane}z")), &format!("pane {pane}"));
        }
        for keys in ["?", "jx", "l", "d", ":peer", "jjj\n", "7k", " ", "/vp", "F", "F\t"] {
            looks_away(&masked(size).keys(keys), keys);
        }
        let mut shot = masked(size).keys("jjj\n");
        explain_all(&mut shot);
        looks_away(&shot, "an explanation");
    }
}

/// The node explains every link, as it would if it was asked about each.
fn explain_all(shot: &mut Shot) {
    let result = Ok(Done::Explained(Box::new(demo::why())));
    let command = Command::Why { peer: demo::why().peer_id };
    shot.input(Input::Outcome(Arc::new(Outcome { id: CommandId(1), command, result })));
}

#[test]
fn a_snap_of_a_masked_console_names_nobody_and_can_be_replayed() {
    let dir = tempfile::tempdir().unwrap();
    let mut shot = masked(LARGE);
    let (path, _) = shot.app.bundle().save(dir.path(), &TimeZone::UTC).unwrap();
    let text = std::fs::read_to_string(&path).unwrap().to_lowercase();
    for secret in secrets() {
        assert!(!text.contains(&secret.to_lowercase()), "{secret}");
    }
    let bundle = crate::tui::Bundle::load(&path).unwrap();
    let app = App::replay(bundle, shot.app.settings.theme.clone(), TimeZone::UTC).unwrap();
    let replayed = Shot { app, ..Shot::busy(LARGE) }.keys("1");
    assert!(replayed.text_now().contains("masked"), "it says so");
    assert!(replayed.text_now().contains("peer-"), "{}", replayed.text_now());
}

#[test]
fn the_mask_by_size() {
    // Pseudonyms are drawn by chance: only what is under them can be compared.
    let text = masked((200, 50)).text();
    assert!(text.contains("net net-") && text.contains(" punchdeck  peer-"), "{text}");
}
