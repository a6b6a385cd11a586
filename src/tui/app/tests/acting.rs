//! Orders that are typed out, marked peers, leaving, and the lists of what is wrong and
//! who failed.

use super::*;
use crate::model::{Command, SaveState};
use crate::tui::lab::DrillInfo;
use crate::tui::message::{Export, ExportEnd};

const OLD: [u8; 3] = [0xc0, 0xff, 0xee];

fn dial(addr: &str) -> [Effect; 1] {
    [Effect::Send(Command::Dial { addr: addr.parse().unwrap(), peer: None })]
}

fn question(b: &Bench) -> &str {
    match b.app.overlays.top() {
        Some(Overlay::Confirm(question)) => question.text(),
        other => panic!("no question but {other:?}"),
    }
}

fn listed(b: &Bench) -> Vec<&str> {
    match b.app.overlays.top() {
        Some(Overlay::Listing(listing)) => listing.texts(),
        other => panic!("no list but {other:?}"),
    }
}

#[test]
fn an_address_is_dialled_from_the_palette_from_a_paste_and_by_the_key_on_nothing() {
    let mut b = busy();
    b.keys(":connect 198.18.0.1:9000");
    assert_eq!(b.press(KeyCode::Enter), dial("198.18.0.1:9000"));
    assert!(b.app.overlays.is_empty());

    b.send(Input::Paste(" 198.18.0.2:9000\n".to_owned()));
    assert_eq!(b.app.scope(), Scope::Palette, "it is shown before it is done");
    assert_eq!(b.press(KeyCode::Enter), dial("198.18.0.2:9000"));
    b.send(Input::Paste("disconnect".to_owned()));
    assert!(b.app.overlays.is_empty(), "any other paste is nothing");

    let mut b = Bench::new(demo::empty());
    b.keys("c198.18.0.3:9000");
    assert_eq!(b.press(KeyCode::Enter), dial("198.18.0.3:9000"));
}

#[test]
fn an_order_that_cannot_be_read_says_how_it_is_typed_and_a_console_that_may_only_look_gives_none() {
    let mut b = busy();
    b.keys(":bootstrap add nowhere");
    assert!(b.press(KeyCode::Enter).is_empty());
    assert!(b.message().contains("is no address with a port, such as 198.18.0.1:9000"), "{}", b.message());
    b.app.settings.read_only = true;
    b.press(KeyCode::Esc);
    b.keys(":bootstrap add 198.18.0.1:9000");
    assert!(b.press(KeyCode::Enter).is_empty());
    assert!(b.message().ends_with("this console may only look"), "{}", b.message());
    b.press(KeyCode::Esc);
    b.keys(":bootstrap list");
    b.press(KeyCode::Enter);
    assert!(listed(&b).is_empty());
}

#[test]
fn the_bootstrap_list_is_changed_and_shown() {
    let mut b = busy();
    let addr = "198.18.0.1:9000".parse().unwrap();
    b.keys(":bootstrap add 198.18.0.1:9000");
    assert_eq!(b.press(KeyCode::Enter), [Effect::Send(Command::AddBootstrap { addr })]);
    let mut node = demo::busy().node.as_ref().clone();
    node.bootstrap = vec![addr];
    b.send(Input::Snapshot(Arc::new(Snapshot { node: Arc::new(node), ..Snapshot::clone(&demo::busy()) })));
    b.keys(":bootstrap list");
    b.press(KeyCode::Enter);
    assert_eq!(listed(&b), ["198.18.0.1:9000"]);
}

#[test]
fn an_export_is_written_and_never_over_another_file_unless_somebody_says_so() {
    let mut b = busy();
    b.keys(":export peers p.csv");
    let effects = b.press(KeyCode::Enter);
    let [Effect::Export(export)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((export.path.to_str(), export.over), (Some("p.csv"), false));
    assert_eq!(export.text.lines().count(), export.rows + 1, "a heading, and a line for each peer");
    assert!(export.text.contains("vps-nyc"));
    b.send(Input::Exported(export.clone(), ExportEnd::IsThere));
    assert_eq!(question(&b), "p.csv is there already. Write over it?");
    let over = Export { over: true, ..export.clone() };
    assert_eq!(b.keys("y"), [Effect::Export(over.clone())]);
    b.send(Input::Exported(over, ExportEnd::Done(100)));
    assert!(b.message().starts_with("wrote ") && b.message().contains("p.csv"), "{}", b.message());

    for event in demo::events() {
        b.send(Input::Event(event));
    }
    b.keys(":export events e.jsonl");
    let effects = b.press(KeyCode::Enter);
    let [Effect::Export(export)] = effects.as_slice() else { panic!("{effects:?}") };
    let first: serde_json::Value = serde_json::from_str(export.text.lines().next().unwrap()).unwrap();
    assert_eq!(first["kind"], "gossip.sync", "the oldest comes first");
    b.keys(":export why w.json");
    assert!(b.press(KeyCode::Enter).is_empty());
    assert!(b.message().starts_with("export: the node gave no explanation yet"), "{}", b.message());
}

#[test]
fn what_is_done_to_marked_peers_is_done_to_all_of_them_after_a_question() {
    let mut b = busy();
    b.select(NYC);
    b.keys("v");
    b.select(OLD);
    b.keys("v");
    assert_eq!(b.app.panes.peers.marked().count(), 2);
    assert!(b.keys("c").is_empty());
    assert_eq!(question(&b), "Connect: 2 marked peers?");
    let mut sent = b.keys("y");
    sent.sort_by_key(|effect| format!("{effect:?}"));
    let connect = |head| Effect::Send(Command::Connect { peer: demo::id(head) });
    let mut wanted = vec![connect(NYC), connect(OLD)];
    wanted.sort_by_key(|effect| format!("{effect:?}"));
    assert_eq!(sent, wanted);

    b.keys("x");
    assert_eq!(
        question(&b),
        "Disconnect: 1 marked peer? 1 more cannot: no link to it. Automatic dials to and from them wait for \
         60 s."
    );
    b.keys("n");
    b.press(KeyCode::Esc);
    assert_eq!(b.app.panes.peers.marked().count(), 0, "escape takes the marks away first");
}

#[test]
fn leaving_asks_where_links_would_end_and_the_same_key_again_leaves() {
    let mut b = busy();
    b.app.settings.quit_asks = true;
    assert!(b.keys("q").is_empty());
    assert!(question(&b).starts_with("Leave? The node ends with this console, and "), "{}", question(&b));
    b.press(KeyCode::Esc);
    assert!(b.app.overlays.is_empty());
    b.at += Duration::from_secs(1);
    b.keys("q");
    assert_eq!(b.keys("q"), [Effect::Quit]);

    let mut b = Bench::new(demo::empty());
    b.app.settings.quit_asks = true;
    assert_eq!(b.keys("q"), [Effect::Quit], "nothing ends with it");
    let mut b = busy();
    b.app.settings.quit_asks = true;
    let ctrl_c = Input::Key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
    assert_eq!(b.send(ctrl_c), [Effect::Quit], "at once");
}

#[test]
fn warnings_name_what_is_wrong_the_worst_first_and_lead_there() {
    let mut snapshot = Snapshot::clone(&demo::busy());
    let node = Arc::make_mut(&mut snapshot.node);
    node.cache.save = SaveState::Failed { detail: "disk full".to_owned(), since: demo::NOW };
    let mut b = Bench::new(Arc::new(snapshot));
    b.send(Input::Fault("task \"x\" panicked".to_owned()));
    b.keys("!");
    let texts = listed(&b).join("\n");
    assert!(listed(&b)[0].starts_with("a task faulted"), "{texts}");
    assert!(texts.contains("the cache is not saved for") && texts.contains("cannot be reached"), "{texts}");
    b.press(KeyCode::Enter);
    assert!(b.app.overlays.is_empty());
    assert_eq!(b.app.panes.focus(), Pane::Events);
}

#[test]
fn failures_are_counted_by_peer_and_reason_in_a_span_that_a_key_steps() {
    let mut b = busy();
    b.keys("e");
    let first = listed(&b).join("\n");
    assert!(first.contains("c0ffee old-box: failed once"), "{first}");
    b.keys("o");
    assert!(matches!(b.app.listed(), Some(crate::tui::overlays::Which::Failures(1))));
    b.keys("oo");
    assert!(matches!(b.app.listed(), Some(crate::tui::overlays::Which::Failures(0))), "round again");
    let asked = b.press(KeyCode::Enter);
    assert!(matches!(asked.as_slice(), [Effect::Send(Command::Why { .. })]), "{asked:?}");
}

#[test]
fn a_drill_is_run_as_it_is_typed_and_a_large_one_asks_first() {
    let mut b = busy();
    b.keys(":drill x");
    assert!(b.press(KeyCode::Enter).is_empty(), "there is no lab");
    b.press(KeyCode::Esc);
    let small =
        DrillInfo { name: "x".to_owned(), kills: false, nodes: Some(4), ..demo::lab().drills[0].clone() };
    b.send(Input::Lab(Arc::new(LabView { drills: vec![small], drill: None, ..demo::lab() })));
    b.keys(":drill x repeat=2");
    let ask = DrillAsk { repeat: 2, ..DrillAsk::plain("x") };
    assert_eq!(b.press(KeyCode::Enter), [Effect::Lab(LabCommand::Drill(ask))]);
    assert_eq!(b.message(), "x: 4 nodes, at most 5 min 0 s", "it says how large it is");
    b.keys(":drill x nodes=24");
    assert!(b.press(KeyCode::Enter).is_empty());
    assert_eq!(question(&b), "Run x: 24 nodes, at most 2 min 30 s?");
    let ask = DrillAsk { nodes: Some(24), ..DrillAsk::plain("x") };
    assert_eq!(b.keys("y"), [Effect::Lab(LabCommand::Drill(ask))]);
    b.keys(":drill x for=1m");
    assert!(b.press(KeyCode::Enter).is_empty());
    assert_eq!(b.message(), "drill: no step of x runs for a while");
}
