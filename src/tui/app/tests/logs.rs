//! The targets of the log: what of them is shown, and what the node keeps of them.

use super::*;
use crate::model::{Command, LogChange, LogDetail, LogLevel, LogView, Stamp, TargetDetail};
use crate::tui::overlays::Targets;

fn line(target: &str, level: LogLevel) -> LogLine {
    LogLine { at: Stamp(0), level, target: target.to_owned(), text: "said".to_owned() }
}

fn with_log(log: LogView) -> Arc<Snapshot> {
    Arc::new(Snapshot { log: Arc::new(log), ..Snapshot::clone(&demo::busy()) })
}

/// A node whose log keeps what is good to know, and a console that has seen some of it.
fn logging() -> Bench {
    let mut b = Bench::new(with_log(LogView { filter: Some("info".to_owned()), changes: Vec::new() }));
    let lines = vec![
        line("punchdeck::core::gossip", LogLevel::Info),
        line("punchdeck::node", LogLevel::Warn),
        line("punchdeck::node", LogLevel::Info),
    ];
    b.send(Input::Lines(lines, 0));
    b
}

fn targets(b: &Bench) -> &Targets {
    match b.app.overlays.top() {
        Some(Overlay::Targets(targets)) => targets,
        other => panic!("no targets but {other:?}"),
    }
}

#[test]
fn arrows_choose_a_target_and_what_of_it_is_shown() {
    let mut b = logging();
    b.keys("8t");
    for _ in 0..2 {
        b.press(KeyCode::Down);
    }
    assert_eq!(targets(&b).chosen().unwrap().target, "punchdeck::node");
    for _ in 0..3 {
        b.press(KeyCode::Left);
    }
    assert_eq!(targets(&b).chosen().unwrap().shown, LogDetail::Warn);
    assert_eq!(b.app.panes.logs.passing(), (2, 3));
    b.press(KeyCode::Right);
    assert_eq!(b.app.panes.logs.passing(), (3, 3));
    b.press(KeyCode::Esc);
    assert!(b.app.overlays.is_empty());
}

#[test]
fn plus_and_minus_ask_the_node_to_keep_more_or_less_for_ten_minutes() {
    let mut b = logging();
    b.keys("8t");
    let asked = |detail| {
        let details = vec![TargetDetail { target: "punchdeck::core".to_owned(), detail }];
        [Effect::Send(Command::Log { details, for_ms: 600_000 })]
    };
    assert_eq!(b.keys("+"), asked(LogDetail::Debug));
    assert_eq!(b.keys("-"), asked(LogDetail::Warn));
    let what = TargetDetail { target: "punchdeck::core".to_owned(), detail: LogDetail::Trace };
    let change = LogChange { what, until: demo::NOW.after(Duration::from_secs(600)) };
    b.send(Input::Snapshot(with_log(LogView { filter: Some("info".to_owned()), changes: vec![change] })));
    assert_eq!(targets(&b).chosen().unwrap().kept, Some(LogDetail::Trace), "the list follows the node");
    assert!(b.keys("+").is_empty());
    assert_eq!(b.message(), "+: all of it is kept already");
    assert_eq!(b.keys("0"), [Effect::Send(Command::LogReset)]);
}

#[test]
fn a_console_that_may_only_look_or_whose_node_has_no_log_changes_what_is_shown_alone() {
    let mut b = logging();
    b.app.settings.read_only = true;
    b.keys("8t");
    assert!(b.keys("+").is_empty());
    assert_eq!(b.message(), "+: this console may only look");
    b.press(KeyCode::Left);
    assert_eq!(targets(&b).chosen().unwrap().shown, LogDetail::Debug);

    let mut b = busy();
    b.send(Input::Lines(vec![line("a::b", LogLevel::Info)], 0));
    b.keys("8t");
    assert!(b.keys("+").is_empty());
    assert_eq!(b.message(), "+: this node's log cannot be changed from here");
}
